"""`tito` and `tito status`: where somebody was, what comes next."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tito import state as progress
from tito import tested, when
from tito.check.row import Row
from tito.check.verdict import Verdict
from tito.cli import main
from tito.cli.status_words import bar, spans
from tito.course import Course
from tito.released import read
from tito.state import Passed, Record, State

from .conftest import TWICE, Answer, Edition, Terminal

Tito = Callable[..., Answer]
SUMMER = datetime(2026, 7, 18, 12, tzinfo=UTC)
FAILED = Row("failed", "test-half", 0, 6, "Half does what it says.", section="Half")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """Set tito's clock."""
    return lambda moment: monkeypatch.setattr("tito.when.now", lambda: moment)


def remember(edition: Edition, *, last: Row = FAILED, number: int = 1) -> None:
    """As if the module had been tested: the first check passed, the last one as told."""
    course = Course(edition.root)
    tested.remember(course, course.modules[number - 1], Verdict("", [Row("passed", "test-twice", 4, 4, "Twice does what it says."), last]))


def completed(edition: Edition, *numbers: int, milestones: dict[str, Passed] | None = None) -> None:
    """As if these modules were complete, with their notebooks as they are."""
    course, state = Course(edition.root), State(milestones=milestones or {})
    for module in course.modules:
        if module.number in numbers:
            code = progress.code_sha256(read(module).document)
            state = state.with_module(module.number, Record(5, 5, "2026-07-01T00:00:00+00:00", code, ""), started=True)
    (edition.root / ".tito").mkdir(exist_ok=True)
    (edition.root / progress.STATE).write_bytes(state.to_bytes())


def told(answer: Answer) -> str:
    """What was printed, whatever the line breaks."""
    return " ".join(answer.out.split())


# After a while

@pytest.mark.parametrize(("days", "said"), [
    (0, "tested today: module 01 alpha, 1 of 2 checks passed; next to mend: Half does what it says"),
    (1, f"you were last here yesterday ({when.day(SUMMER)}): module 01 alpha"), (5, "last here 5 days ago"), (20, "last here 2 weeks ago"),
    (127, f"you were last here 4 months ago ({when.day(SUMMER)}): module 01 alpha, 1 of 2 checks passed"), (365, "12 months ago"),
    (800, "2 years ago")])
def test_it_says_where_somebody_was_and_when(edition: Edition, tito: Tito, clock: Callable[[datetime], None], days: int, said: str) -> None:
    clock(SUMMER)
    remember(edition)
    clock(SUMMER + timedelta(days=days))
    for arguments in ([], ["status"], ["module", "status"]):
        answer = tito(*arguments)
        assert answer.code == 0 and said in told(answer) and "edited" not in answer.out
        assert answer.out.splitlines()[-1] == "next: tito module start 01"


def test_a_time_that_lies_ahead_is_not_told(edition: Edition, tito: Tito, clock: Callable[[datetime], None]) -> None:
    clock(SUMMER)
    remember(edition)
    completed(edition, 1)
    edition.write(1, "twice", TWICE)
    clock(SUMMER - timedelta(days=400))
    out = told(tito())
    assert "you were last at module 01 alpha, 1 of 2 checks passed" in out and "2026" not in out and "ago" not in out
    assert "01 alpha was edited after completion" in out        # though by its date the file is older


def test_what_was_tested_last_is_told_whatever_the_clock_said(edition: Edition, tito: Tito, clock: Callable[[datetime], None]) -> None:
    clock(SUMMER)
    remember(edition, number=2)
    clock(SUMMER - timedelta(days=40))
    remember(edition, number=1)
    assert "tested today: module 01 alpha" in told(tito())


def test_a_test_is_remembered_and_so_is_completing(edition: Edition, tito: Tito) -> None:
    edition.write(1, "twice", TWICE)
    tito("module", "test", "01")
    stored = json.loads((edition.root / tested.TESTED).read_text(encoding="utf-8"))
    when.moment(stored["modules"]["01"].pop("when"))
    assert len(stored["modules"]["01"].pop("code_sha256")) == 64
    assert stored == {"schema_version": 1, "last": 1, "modules": {"01": {
        "points": 4.0, "max_points": 10.0, "passed": 1, "of": 2, "mend": "Half does what it says.", "heading": "Half",
        "grade_id": "test-half", "unwritten": True}}}
    assert "next to write: Half does what it says" in told(tito())
    edition.solve(1)
    tito("module", "complete", "01")
    assert "tested today: module 01 alpha, all 2 checks passed, complete" in told(tito())
    assert tito("--json").json["tested"]["01"]["passed"] == 2


def test_what_raised_outside_of_the_checks_is_to_be_mended_too(edition: Edition, tito: Tito) -> None:
    edition.solve(1)
    edition.edit(1, "half", lambda source: source + "\nhlaf\n")
    tito("module", "test", "01")
    assert re.search(r"all 2 checks passed; next to mend: cell \d+ raised NameError", told(tito()))


def test_edited_since(edition: Edition, tito: Tito) -> None:
    remember(edition)
    edition.write(1, "half", "    return 7\n")
    for arguments in ([], ["status"]):
        assert "the notebook was edited since" in told(tito(*arguments))
    assert "1 of 2 checks  edited since" in tito("status").out


def test_when_nothing_is_left_to_mend_completing_comes_next(edition: Edition, tito: Tito) -> None:
    tito("module", "start", "01", "--no-open")
    assert "module 01 alpha, begun and not tested yet" in told(tito())
    remember(edition, last=Row("passed", "test-half", 6, 6))
    assert tito().out.splitlines()[-1] == "next: tito module complete 01"
    edition.write(1, "half", "    return 7\n")
    assert tito().out.splitlines()[-1] == "next: tito module test 01"


def test_the_package_has_older_code_than_a_complete_module(edition: Edition, tito: Tito) -> None:
    completed(edition, 1, 2)
    assert "edited" not in tito().out + tito("status").out
    edition.write(2, "fourfold", "    return 7\n")
    for arguments in ([], ["status"]):
        said = "02 beta was edited after completion, and your tinytorch has the older code: tito module complete 02"
        assert said in told(tito(*arguments))
    edition.write(1, "half", "    return 7\n")
    assert "01 alpha and 02 beta were edited after completion" in told(tito())


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 100_000, b'{"schema_version": 2, "last": 1, "modules": {}}',
                                     b'{"schema_version": 1, "last": 1, "modules": {"01": {"when": "soon"}}}',
                                     b'{"schema_version": 1, "last": 1, "modules": []}'])
def test_an_unreadable_memory_is_none_and_is_written_anew(edition: Edition, tito: Tito, content: bytes) -> None:
    path = edition.root / tested.TESTED
    path.parent.mkdir()
    path.write_bytes(content)
    answer = tito()
    assert answer.code == 0 and answer.err == "" and "last" not in answer.out and path.read_bytes() == content
    remember(edition)
    assert "tested today: module 01 alpha" in told(tito())


@pytest.mark.parametrize("change", [{"when": "0001-01-01T00:00:00+00:00"}, {"when": "tomorrow"}, {"passed": 1e400}, {"points": None}])
def test_nonsense_in_the_memory_is_none(edition: Edition, tito: Tito, change: dict[str, object]) -> None:
    remember(edition)
    path = edition.root / tested.TESTED
    data = json.loads(path.read_bytes())
    data["modules"]["01"].update(change)
    path.write_text(json.dumps(data), encoding="utf-8")
    assert tito().code == 0 and "module 01 alpha" not in tito().out


def test_where_it_cannot_be_written_testing_goes_on(edition: Edition, tito: Tito) -> None:
    (edition.root / tested.TESTED).mkdir(parents=True)
    edition.solve(1)
    assert tito("module", "test", "01").code == 0 and tito().code == 0
    assert [p.name for p in (edition.root / ".tito").iterdir()] == ["tested.json"]


def test_what_could_not_be_judged_is_not_remembered(edition: Edition) -> None:
    remember(edition, last=Row("infra", "test-half", 0, 6))
    assert not (edition.root / ".tito").exists()


# In words

@pytest.mark.parametrize(("done", "of", "room", "shown"), [
    (0, 20, 80, "[--------------------]"), (9, 20, 80, "[#########-----------]"), (20, 20, 22, "[####################]"),
    (19, 20, 12, "[#########-]"), (1, 99, 12, "[#---------]"), (98, 99, 80, "[###################-]"), (2, 3, 80, "[#############-------]"),
    (0, 0, 80, "[--------------------]")])
def test_the_bar_is_full_only_when_all_is_done(done: int, of: int, room: int, shown: str) -> None:
    assert bar(done, of, room) == shown


@pytest.mark.parametrize(("numbers", "shown"), [((), ""), ((3,), "03"), ((8, 9), "08-09"), ((2, 4, 5, 6, 9), "02, 04-06, 09")])
def test_modules_in_a_row_are_told_as_one(numbers: tuple[int, ...], shown: str) -> None:
    assert spans(numbers) == shown


def milestone(edition: Edition, name: str, text: str) -> None:
    (edition.root / "milestones").mkdir(exist_ok=True)
    (edition.root / "milestones" / name).write_text(text, encoding="utf-8")


def three(edition: Edition) -> None:
    """Milestones, of which the first was passed, the second is within reach and the third is not."""
    milestone(edition, "01_double.py", '"""1950: twice two."""\nimport tinytorch as tt\ntt.twice')
    milestone(edition, "02_half.py", '"""1955: half of it <b>&."""\nimport tinytorch as tt\ntt.half')
    milestone(edition, "03_all.py", '"""1960: all."""\nimport tinytorch as tt\ntt.gamma')
    completed(edition, 1, milestones={"01_double": Passed("2026-07-03T10:00:00+00:00", 0, ("answer: 4 < 5",))})
    (edition.root / "tinytorch/core/alpha.py").write_text("", encoding="utf-8")


def test_status_tells_of_modules_and_milestones(edition: Edition, tito: Tito) -> None:
    three(edition)
    for place in (edition.notebook(3), edition.notebook(3).parent / ".released" / edition.notebook(3).name):
        data = json.loads(place.read_text(encoding="utf-8"))
        data["cells"].append({"cell_type": "markdown", "id": "why", "source": "why?", "metadata": {"nbgrader": {
            "grade": True, "solution": True, "points": 7, "grade_id": "why"}}})
        place.write_text(json.dumps(data), encoding="utf-8")
    assert tito("status").out.splitlines()[2:] == [
        "[######--------------] 1 of 3 modules complete, 5 of 11 points",
        "written answers are worth 7 more points, which a person gives", "",
        "01 alpha  done        5 of 5 points", "02 beta   next        0 of 5 points", "03 gamma  locked      0 of 1 points", "",
        "1950 milestone 1 double  passed 2026-07-03", "1955 milestone 2 half    ready: tito milestone run 2",
        "1960 milestone 3 all     missing 02-03", "next: tito module start 02"]
    data = tito("status", "--json").json
    assert data["command"] == "status" and [m["state"] for m in data["milestones"]] == ["passed", "ready", "locked"]
    assert data["manual_points"] == 7 and "milestones" not in tito("--json").json
    assert tito("module", "status").out == tito("status").out


def test_a_milestone_that_cannot_be_read_is_no_reason_to_say_nothing(edition: Edition, tito: Tito) -> None:
    three(edition)
    milestone(edition, "03_all.py", "def")
    answer = tito("status")
    assert answer.code == 0 and "the milestones are not shown: milestones/03_all.py cannot be read" in told(answer)
    assert "02 beta   next" in answer.out


def test_when_every_module_is_complete_a_milestone_comes_next(edition: Edition, tito: Tito) -> None:
    three(edition)
    completed(edition, 1, 2, 3)
    assert tito().out.splitlines()[-1] == "next: tito milestone run 1"


def test_how_far_the_deadline_is(edition: Edition, tito: Tito, clock: Callable[[datetime], None]) -> None:
    (edition.root / "settings.ini").write_text("[course]\n[deadlines]\n01 = 2026-07-18 12:00\n", encoding="utf-8")
    for days, said in ((-12, "in 12 days"), (-1, "tomorrow"), (0, "today"), (3, "3 days ago")):
        clock(SUMMER + timedelta(days=days))
        assert f"module 01 is due 2026-07-18 12:00 UTC ({said})" in tito().out


def test_rebuild_is_the_same_command(edition: Edition, tito: Tito) -> None:
    edition.solve(1)
    tito("module", "complete", "01")
    (edition.root / progress.STATE).write_text("{", encoding="utf-8")
    answer = tito("status", "--rebuild")
    assert answer.code == 0 and "progress was rebuilt" in answer.out and "1 of 3 modules complete" in answer.out


@pytest.mark.parametrize("columns", [40, 60, 80])
def test_no_line_is_too_long_and_nothing_needs_colour(edition: Edition, terminal: Callable[[], tuple[Terminal, Terminal]],
                                                      monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    three(edition)
    remember(edition, last=replace(FAILED, sentence="A sentence that goes on for as long as one of ours ever might go on."), number=2)
    edition.write(2, "fourfold", "    return 7\n")
    monkeypatch.chdir(edition.root)
    out, _ = terminal()
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("NO_COLOR", "1")
    assert main([]) == 0 and main(["status"]) == 0
    lines = [line for line in out.getvalue().splitlines() if str(edition.root) not in line]
    assert "\x1b" not in out.getvalue() and any(line.startswith("[###") for line in lines)
    assert max(len(line) for line in lines if " milestone " not in line and " points" not in line) <= columns
    assert columns < 80 or max(map(len, lines)) <= 80
