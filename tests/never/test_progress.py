"""Progress that moves to another machine: nothing that is complete and no version of a notebook is lost, whatever the file is."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Answer, Edition
from tito import history
from tito import state as progress
from tito.course import Course
from tito.errors import ExitCode
from tito.journal import Change
from tito.state import Passed, Record, State

Tito = Callable[..., Answer]
FILE = "progress.zip"


def on(edition: Edition, tito: Tito, *arguments: str) -> Answer:
    os.chdir(edition.root)
    return tito(*arguments)


def export(edition: Edition, tito: Tito) -> str:
    path = str(edition.root.parent / f"{edition.root.name}.zip")
    assert on(edition, tito, "progress", "export", path, "--force").code == 0
    return path


def move(here: Edition, there: Edition, tito: Tito) -> dict[str, str]:
    """What was done, {module: how}."""
    answer = on(there, tito, "progress", "import", export(here, tito), "--json")
    assert answer.code == 0, answer.err
    return {line["module"]: line["did"] + (" kept" if line["kept"] else "") for line in answer.json["modules"]}


def complete(edition: Edition, number: int, *, points: float = 10, when: str = "2027-01-01T00:00:00+00:00") -> None:
    """As `tito module complete` leaves it, without the checks."""
    course = Course(edition.root)
    module = course.modules[number - 1]
    content = b"# exported\n" + module.notebook.read_bytes()
    record = Record(points, 10, when, sha256(module.notebook.read_bytes()).hexdigest(), sha256(content).hexdigest())
    with progress.locked(course):
        state = progress.load(course).with_module(number, record, started=True)
        history.keep(course, module, "complete", [Change(f"tinytorch/core/{module.name}.py", content)], state)


def passed(edition: Edition, name: str, when: str) -> None:
    course = Course(edition.root)
    state = progress.load(course).with_milestone(name, Passed(when, 1, ("reached 4",)))
    (edition.root / ".tito").mkdir(exist_ok=True)
    (edition.root / progress.STATE).write_bytes(state.to_bytes())


def saved_at(edition: Edition, number: int, seconds: int) -> None:
    os.utime(edition.notebook(number), (seconds, seconds))


def state(edition: Edition) -> State:
    return progress.load(Course(edition.root))


def versions(edition: Edition) -> set[bytes]:
    """Every notebook that is there or kept."""
    return {path.read_bytes() for path in edition.root.rglob("*.ipynb") if ".released" not in path.parts}


def test_a_fresh_machine_gets_everything(edition: Edition, other: Edition, tito: Tito) -> None:
    edition.solve(1)
    assert on(edition, tito, "module", "complete", "01").code == 0
    edition.write(2, "fourfold", "    return 1\n")
    on(edition, tito, "module", "start", "02", "--no-open")
    passed(edition, "01_double", "2027-01-01T00:00:00+00:00")
    answer = on(other, tito, "progress", "import", export(edition, tito))
    assert answer.out.splitlines() == [
        "took in the progress in mein Kurs ü.zip",
        "  01 alpha  taken from the file: complete, 10 of 10 points; 1 kept version came along",
        "  02 beta   taken from the file: not complete yet; 1 kept version came along", "next: tito module test 02"]
    assert state(other) == state(edition)
    assert other.notebook(2).read_bytes() == edition.notebook(2).read_bytes()
    assert other.notebook(2).stat().st_mtime_ns == edition.notebook(2).stat().st_mtime_ns     # it is not newer than it is
    other.write(2, "fourfold", "    return twice(twice(x))\n")
    assert on(other, tito, "module", "complete", "02").code == 0        # what was exported there works here


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_importing_twice_or_the_own_file_changes_nothing(edition: Edition, other: Edition, tito: Tito, arguments: list[str]) -> None:
    edition.solve(1)
    complete(edition, 1)
    edition.write(2, "fourfold", "    return 1\n")
    other.write(1, "twice", "    return 1\n")
    move(edition, other, tito)
    for here in (edition, other):
        before = here.files()
        answer = on(here, tito, "progress", "import", export(edition, tito), *arguments)
        assert answer.code == 0 and "is here already" in answer.out
        assert here.files() == before


def test_what_is_further_wins_and_the_other_is_kept(edition: Edition, other: Edition, tito: Tito) -> None:
    for here, body, points in ((edition, "    return 1\n", 9.0), (other, "    return 2\n", 8.0)):
        here.write(1, "twice", body)
        complete(here, 1, points=points)
    other.write(2, "fourfold", "    return 3\n")
    complete(other, 2)
    edition.write(2, "fourfold", "    return 4\n")
    theirs, ours = edition.notebook(1).read_bytes(), other.notebook(1).read_bytes()
    assert move(edition, other, tito) == {"01 alpha": "taken kept", "02 beta": "stayed kept"}
    assert other.notebook(1).read_bytes() == theirs and state(other).completed[1].points == 9
    assert state(other).completed[2].points == 10
    name = on(other, tito, "module", "history", "02", "--json").json["kept"][0]["name"]
    assert on(other, tito, "module", "undo", "02", "--to", name).code == 0
    assert other.notebook(2).read_bytes() == edition.notebook(2).read_bytes() and 2 not in state(other).completed
    assert on(other, tito, "module", "undo", "01").code == 0            # an import is undone like any other command
    assert other.notebook(1).read_bytes() == ours and state(other).completed[1].points == 8


def test_of_two_that_are_not_complete_the_later_wins_but_never_an_untouched_one(edition: Edition, other: Edition, tito: Tito) -> None:
    for number, (here, there) in ((1, (100, 200)), (2, (200, 100))):
        for one, seconds, body in ((edition, here, "    return 1\n"), (other, there, "    return 2\n")):
            one.edit(number, ("twice", "fourfold")[number - 1], lambda source, body=body: source + body)      # type: ignore[misc]
            saved_at(one, number, seconds)
    edition.edit(3, "gamma", lambda source: source + "# mine\n")
    saved_at(edition, 3, 100)
    on(other, tito, "module", "start", "01", "--no-open")
    assert move(edition, other, tito) == {"01 alpha": "stayed kept", "02 beta": "taken kept", "03 gamma": "taken"}


def test_undo_means_what_was_done_here(edition: Edition, other: Edition, tito: Tito) -> None:
    edition.solve(1)
    on(edition, tito, "module", "reset", "01", "--yes")
    move(edition, other, tito)
    (kept,) = on(other, tito, "module", "history", "01", "--json").json["kept"]
    assert kept["elsewhere"]
    answer = on(other, tito, "module", "undo", "01")
    assert answer.code == ExitCode.USAGE and "nothing to undo" in answer.err
    assert on(other, tito, "module", "undo", "01", "--to", kept["name"]).code == 0


def test_a_package_file_that_does_not_fit_counts_as_started(edition: Edition, other: Edition, tito: Tito) -> None:
    edition.solve(1)
    complete(edition, 1)
    (edition.root / "tinytorch/core/alpha.py").write_text("# edited by hand\n", encoding="utf-8")
    answer = on(other, tito, "progress", "import", export(edition, tito))
    assert "its exported file is not the one that was recorded" in answer.out
    assert 1 not in state(other).completed and 1 in state(other).started
    assert not (other.root / "tinytorch/core/alpha.py").exists()
    assert other.notebook(1).read_bytes() == edition.notebook(1).read_bytes()


def test_another_version_of_the_course_is_said(edition: Edition, other: Edition, tito: Tito) -> None:
    edition.solve(1)
    complete(edition, 1)
    released = other.root / "modules/01_alpha/.released/alpha_dev.ipynb"
    released.write_bytes(released.read_bytes().replace(b"01 Alpha", b"01 Alpha, second edition"))
    answer = on(other, tito, "progress", "import", export(edition, tito))
    assert answer.code == 0 and "note: it comes from another version of this course, where 01 alpha began differently" in answer.out
    assert 1 in state(other).completed


def test_nothing_is_overwritten_unasked(edition: Edition, tito: Tito, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"mine")
    answer = tito("progress", "export", str(tmp_path / FILE))
    assert answer.code == ExitCode.USAGE and "--force" in answer.err and (tmp_path / FILE).read_bytes() == b"mine"
    assert tito("progress", "export", str(tmp_path / FILE), "--force").code == 0
    assert tito("progress", "export").code == 0
    (made,) = edition.root.glob("tinytorch-progress-2*.zip")
    assert not [p for p in (*tmp_path.iterdir(), *edition.root.iterdir()) if p.name.endswith(".new")]
    assert str(edition.root).encode() not in b"".join(zipfile.ZipFile(made).read(name) for name in zipfile.ZipFile(made).namelist())


def test_what_cannot_be_read_here_is_left_out_and_said(edition: Edition, other: Edition, tito: Tito) -> None:
    edition.solve(1)
    on(edition, tito, "module", "reset", "01", "--yes")
    (entry,) = (edition.root / ".tito/history/01").iterdir()
    (entry / ".DS_Store").write_bytes(b"")
    shutil.copytree(entry, entry.with_name("20270101T000000.000000Z-reset"))
    (entry / "0-alpha_dev.ipynb").unlink()
    answer = on(edition, tito, "progress", "export", str(edition.root / FILE))
    assert answer.code == 0 and f"left out, for it cannot be read: the kept version {entry.name}" in answer.out
    assert on(other, tito, "progress", "import", str(edition.root / FILE)).code == 0


def test_stopped_in_the_middle_it_goes_on_when_it_is_done_again(
        edition: Edition, other: Edition, tito: Tito, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in (1, 2):
        edition.edit(number, ("twice", "fourfold")[number - 1], lambda source: source + "# mine\n")
        complete(edition, number)
        other.edit(number, ("twice", "fourfold")[number - 1], lambda source: source + "# other\n")
    before = versions(other) | versions(edition)
    file, fresh = export(edition, tito), other.root.with_name("fresh")
    shutil.copytree(other.root, fresh)
    replaced, steps = Path.replace, 0
    for stop in range(0, 100, 2):
        shutil.rmtree(other.root)
        shutil.copytree(fresh, other.root)
        with monkeypatch.context() as patched:
            patched.setattr(Path, "replace", full_after(stop, replaced))
            answer = on(other, tito, "progress", "import", file)
        if answer.code == 0:
            break
        steps += 1
        assert answer.code == ExitCode.ENVIRONMENT and "it goes on from there" in answer.err
        assert on(other, tito, "progress", "import", file).code == 0
        assert state(other).completed == state(edition).completed and before <= versions(other)
        assert on(other, tito, "progress", "import", file).out.startswith("all that is in")
    assert steps > 5


def full_after(count: int, real: Callable[[Path, Path], Path]) -> Callable[[Path, Path], Path]:
    """A disk that takes so many files more."""
    calls = iter(range(10**6))

    def replace(path: Path, target: Path) -> Path:
        if next(calls) == count:
            raise OSError(28, "No space left on device")
        return real(path, target)
    return replace


def rewritten(path: str, changes: dict[str, bytes | None], *, about: dict[str, Any] | None = None) -> str:
    """The file with other members in it; None takes one away."""
    source = zipfile.ZipFile(path)
    members: dict[str, bytes | None] = {name: source.read(name) for name in source.namelist()}
    if about:
        members["progress.json"] = json.dumps(merged(json.loads(source.read("progress.json")), about)).encode()
    with zipfile.ZipFile(path, "w") as target:
        for name, content in (members | changes).items():
            if content is not None:
                target.writestr(name, content)
    return path


def merged(here: Any, there: Any) -> Any:
    return {**here, **{key: merged(here.get(key), value) for key, value in there.items()}} \
        if isinstance(here, dict) and isinstance(there, dict) else there


NOTE = "modules/01_alpha/history/20270101T000000.000000Z-reset/note.json"


def note(**changes: Any) -> bytes:
    return json.dumps({"schema_version": 1, "action": "reset", "when": "2027-01-01T00:00:00+00:00", "record": None, "started": True,
                       "files": []} | changes).encode()


@pytest.mark.parametrize("changes", [
    {"../evil": b""}, {"/etc/evil": b""}, {"modules/01_alpha/../../x": b""}, {"modules/01_alpha/other.py": b""}, {"tito/cli/app.py": b""},
    {"progress.json": None}, {"progress.json": b"{"}, {"progress.json": b"[]"}, {"progress.json": b"[" * 100_000},
    {"MODULES/01_alpha/notebook.ipynb": b""}, {NOTE: b"{"}, {NOTE: note(files=[["tito/cli/app.py", None]])},
    {NOTE: note(files=[["tinytorch/../tito/x.py", None]])}, {NOTE: note(files=[["modules/01_alpha/alpha_dev.ipynb", "0-gone.ipynb"]])},
    {NOTE: note(action="\x1b[2J")}, {NOTE: note(when="yesterday")}, {NOTE: note(record={"points": 1})},
    {NOTE.replace("2027", "9999"): note()}, {NOTE.replace("note.json", "..%2f"): b""}, {NOTE.replace("01T", "99T"): note()},
    {"modules/01_alpha/history/20270101T000000.000000Z-reset/0-a.ipynb": b""}], ids=lambda changes: next(iter(changes)))
def test_a_hostile_file_changes_nothing(edition: Edition, other: Edition, tito: Tito, changes: dict[str, bytes | None]) -> None:
    edition.solve(1)
    complete(edition, 1)
    path = rewritten(export(edition, tito), changes)
    refused(other, tito, path, "damaged, or no file of tito progress export; nothing was changed")


def refused(other: Edition, tito: Tito, path: str, said: str) -> None:
    before = other.files()
    answer = on(other, tito, "progress", "import", path)
    assert answer.code == ExitCode.INTEGRITY and said in answer.err and "Traceback" not in answer.err
    assert other.files() == before


@pytest.mark.parametrize(("about", "said"), [
    ({"schema_version": 2}, "made by a newer tito"), ({"course": "chemistry"}, "is of another course"),
    ({"modules": {"21_beyond": {"saved": 1, "released": ""}}}, "modules that are not here: 21_beyond"),
    ({"state": {"started": ["04"]}}, "modules that are not here: 04"), ({"state": {"schema_version": 9}}, "damaged"),
    ({"modules": {"01_alpha": {"saved": 1 << 70}}}, "damaged"), ({"modules": {"01_alpha": {"saved": "x"}}}, "damaged"),
    ({"modules": {"01_alpha": {"released": 3}}}, "damaged"), ({"modules": []}, "damaged"), ({"course": None}, "another course"),
    ({"state": {"completed": {"01": {"points": float("nan")}}}}, "damaged"), ({"state": {"completed": {"01": {"when": "x"}}}}, "damaged"),
    ({"state": {"milestones": {"01_double": {"when": "2027-01-01", "seed": 1, "bars": ["\x1b[2J"]}}}}, "damaged"),
    ({"schema_version": "x"}, "damaged")], ids=str)
def test_a_file_that_says_what_it_should_not(edition: Edition, other: Edition, tito: Tito, about: dict[str, Any], said: str) -> None:
    edition.solve(1)
    complete(edition, 1)
    refused(other, tito, rewritten(export(edition, tito), {}, about=about), said)


def test_a_bomb_is_not_unpacked(edition: Edition, other: Edition, tito: Tito, monkeypatch: pytest.MonkeyPatch) -> None:
    edition.solve(1)
    path = rewritten(export(edition, tito), {"modules/01_alpha/notebook.ipynb": b"0" * 200_000})
    monkeypatch.setattr("tito.progress_file.BYTES", 100_000)
    refused(other, tito, path, "damaged")
    monkeypatch.setattr("tito.progress_file.BYTES", 1 << 30)
    monkeypatch.setattr("tito.progress_file.ALL_BYTES", 100_000)
    refused(other, tito, path, "damaged")
    monkeypatch.setattr("tito.progress_file.MEMBERS", 1)
    refused(other, tito, path, "damaged")


def test_any_damage_is_a_clear_error_or_none(edition: Edition, other: Edition, tito: Tito) -> None:
    edition.solve(1)
    complete(edition, 1)
    path = Path(export(edition, tito))
    whole = path.read_bytes()
    for place in range(0, len(whole), 211):
        for damaged in (whole[:place], whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1:]):
            path.write_bytes(damaged)
            answer = on(other, tito, "progress", "import", str(path))
            assert answer.code in (0, ExitCode.INTEGRITY), (place, answer.err)


@pytest.mark.parametrize("field", [12, 16], ids=["size of the list", "place of the list"])
@pytest.mark.parametrize("value", [0xFF, 0x01, 0x7F])
def test_a_list_of_contents_that_stands_nowhere(edition: Edition, other: Edition, tito: Tito, field: int, value: int) -> None:
    path = Path(export(edition, tito))
    whole = bytearray(path.read_bytes())
    whole[len(whole) - 22 + field + 1] ^= value             # in the last record of a zip file, which is 22 bytes long
    path.write_bytes(whole)
    refused(other, tito, str(path), "damaged")


def test_a_member_that_stands_nowhere(edition: Edition, other: Edition, tito: Tito) -> None:
    path = Path(export(edition, tito))
    whole = bytearray(path.read_bytes())
    first = whole.index(b"PK\x01\x02")
    whole[first + 42:first + 46] = b"\xff\xff\xff\x7f"
    path.write_bytes(whole)
    refused(other, tito, str(path), "damaged")


def test_a_file_that_is_not_there(edition: Edition, tito: Tito) -> None:
    assert tito("progress", "import", "nowhere.zip").code == ExitCode.ENVIRONMENT
    assert tito("progress", "import", "modules").code == ExitCode.ENVIRONMENT


def test_the_course_repository_has_no_progress(edition: Edition, tito: Tito) -> None:
    (edition.root / "tito/dev").mkdir(parents=True)
    assert tito("progress", "export").code == ExitCode.USAGE and tito("progress", "import", "x").code == ExitCode.USAGE


def test_milestones_are_joined(edition: Edition, other: Edition, tito: Tito) -> None:
    passed(edition, "01_double", "2027-01-02T00:00:00+00:00")
    passed(edition, "02_fourfold", "2027-01-03T00:00:00+00:00")
    passed(other, "01_double", "2027-01-01T00:00:00+00:00")
    move(edition, other, tito)
    assert {name: p.when[:10] for name, p in state(other).milestones.items()} == {"01_double": "2027-01-01", "02_fourfold": "2027-01-03"}
