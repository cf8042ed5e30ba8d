"""`tito module hint`: one rung more each time for the same mistake, from the first for another one; and never in the way."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import HALF, TWICE, Answer, Edition
from tito.check.row import Row
from tito.cli.hint import hint
from tito.course import Course, Module
from tito.errors import ExitCode
from tito.ladder import memory

Tito = Callable[..., Answer]
OUTLINE = {"schema_version": 1, "answers": {"twice": [
    {"name": "twice", "lines": 1, "uses": [], "signs": ["*"], "loops": 0, "branches": 0, "returns": 1}]}}


def rung(answer: Answer) -> str:
    """ "2 of 3" """
    assert answer.code == 0, answer.err
    return next(line for line in answer.out.splitlines() if line.startswith("hint "))[5:11]


def outline(edition: Edition, text: str) -> None:
    (edition.notebook(1).parent / ".released" / "outline.json").write_text(text, encoding="utf-8")


def explain(edition: Edition, text: str) -> None:
    """Put this in place of the text above the first answer."""
    path = edition.notebook(1)
    for each in (path, path.parent / ".released" / path.name):
        data = json.loads(each.read_text(encoding="utf-8"))
        data["cells"][4]["source"] = text
        each.write_text(json.dumps(data), encoding="utf-8")


def test_where_the_notebook_has_no_text_it_says_so(edition: Edition, tito: Tito) -> None:
    assert "has no text of its own" in tito("module", "hint", "01", "--all").out


def test_a_stub_is_told_what_to_write_and_where(edition: Edition, tito: Tito) -> None:
    answer = tito("module", "hint", "01")
    assert answer.code == 0 and answer.err == ""
    assert "module 01 alpha  test-twice" in answer.out and "hint 1 of 3, not written yet" in answer.out
    assert "`twice` is not written yet" in answer.out and 'It is cell 6 of the notebook, below "Twice"' in answer.out
    assert answer.out.splitlines()[-1] == "next: tito module hint 01"


def test_each_call_climbs_one_rung_and_the_last_one_stays(edition: Edition, tito: Tito) -> None:
    explain(edition, "## Twice\n\nTwo of a thing are twice as much.\n\n**Your turn.** Multiply.")
    outline(edition, json.dumps(OUTLINE))
    first, second, third, again = (tito("module", "hint", "01") for _ in range(4))
    assert [rung(a) for a in (first, second, third, again)] == ["1 of 3", "2 of 3", "3 of 3", "3 of 3"]
    assert "the idea: Twice" in second.out and "  Two of a thing are twice as much.\n\n  Your turn. Multiply.\n" in second.out
    assert "modules/01_alpha/alpha_dev.ipynb, cell 5" in second.out
    assert "def twice(x):" in third.out and "1 line, no loops, no branches, 1 return" in third.out and "signs     *" in third.out
    assert "this was the last one; all of them: tito module hint 01 --all" in third.out
    assert third.out.splitlines()[-1] == "next: tito module test 01" and third.out == again.out


def test_all_of_them_at_once(edition: Edition, tito: Tito) -> None:
    out = tito("module", "hint", "01", "--all").out
    assert all(f"hint {n} of 3" in out for n in (1, 2, 3)) and "this was the last" not in out
    assert rung(tito("module", "hint", "01")) == "3 of 3", "what was seen is not told as if it were new"


def test_a_mistake_is_told_with_what_came(edition: Edition, tito: Tito) -> None:
    edition.write(1, "twice", "    return x + 1\n")
    out = tito("module", "hint", "01").out
    assert "hint 1 of 3, what went wrong" in out and "this mistake has no hint of its own" in out
    assert "  expected  6\n" in out and "  got       4\n" in out and "  check     three twice\n" in out


def test_another_mistake_begins_at_the_first_rung(edition: Edition, tito: Tito) -> None:
    assert [rung(tito("module", "hint", "01")) for _ in range(2)] == ["1 of 3", "2 of 3"]
    edition.write(1, "twice", "    return x + 1\n")
    assert rung(tito("module", "hint", "01")) == "1 of 3"
    edition.write(1, "twice", "    return y\n")
    assert rung(tito("module", "hint", "01")) == "1 of 3"


def test_the_same_mistake_with_other_numbers_is_the_same() -> None:
    row = Row("failed", "test-twice", check="three twice", hint="multiply, do not add", got="4")
    assert memory.mistake(row) == memory.mistake(Row(**{**vars(row), "got": "5", "first": "x"}))
    assert memory.mistake(row) != memory.mistake(Row(**{**vars(row), "hint": "the sign"}))
    assert memory.mistake(Row("error", "t", got="KeyError: 1")) != memory.mistake(Row("error", "t", got="KeyError: 2"))


def test_another_check_begins_at_the_first_rung_and_each_is_remembered(edition: Edition, tito: Tito) -> None:
    assert [rung(tito("module", "hint", "01")) for _ in range(2)] == ["1 of 3", "2 of 3"]
    other = tito("module", "hint", "01", "test-half")
    assert rung(other) == "1 of 3" and "test-half" in other.out.splitlines()[0]
    assert other.out.splitlines()[-1] == "next: tito module hint 01 test-half"
    assert rung(tito("module", "hint", "01", "half")) == "2 of 3", "an answer's name means its check"
    assert rung(tito("module", "hint", "01")) == "3 of 3"


def test_a_check_that_passes_and_a_name_that_is_none(edition: Edition, tito: Tito) -> None:
    edition.write(1, "twice", TWICE)
    answer = tito("module", "hint", "01", "twice")
    assert answer.code == 0 and "test-twice passes" in answer.out and answer.out.splitlines()[-1] == "next: tito module hint 01"
    answer = tito("module", "hint", "01", "test-halve")
    assert answer.code == ExitCode.USAGE and "did you mean test-half?" in answer.err


def test_a_check_that_waits_for_another_says_so(edition: Edition, tito: Tito) -> None:
    for path in (edition.notebook(1), edition.notebook(1).parent / ".released" / "alpha_dev.ipynb"):
        path.write_text(path.read_text(encoding="utf-8").replace("half(6), 3.0", "half(twice(3)), 3.0"), encoding="utf-8")
    answer = tito("module", "hint", "01", "test-half", "--all")
    assert "hint 1 of 1, another check comes first" in answer.out and "first mend: Twice" in answer.out
    assert answer.out.splitlines()[-1] == "next: tito module hint 01"


def test_what_passes_needs_no_hint(edition: Edition, tito: Tito) -> None:
    tito("module", "hint", "01")
    edition.solve(1)
    answer = tito("module", "hint", "01")
    assert answer.code == 0 and "every check passes, 10 points" in answer.out
    assert answer.out.splitlines()[-1] == "next: tito module complete 01"
    tito("module", "complete", "01")
    assert tito("module", "hint", "01").out.splitlines()[-1] == "next: tito module start 02"
    edition.write(1, "twice", "    raise NotImplementedError()\n")
    assert rung(tito("module", "hint", "01")) == "1 of 3", "and nothing is remembered of it"


def test_a_cell_that_raises_beside_checks_that_pass(edition: Edition, tito: Tito) -> None:
    edition.solve(1)
    edition.edit(1, "half", lambda source: source + "\n1 / 0\n")
    answer = tito("module", "hint", "01")
    assert answer.code == 0 and "ZeroDivisionError" in answer.out and "half, line 5" in answer.out


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[]", b'{"schema_version": 2, "modules": {}}', b'{"schema_version": 1}',
                                     b'{"schema_version": 1, "modules": {"01": {"test-twice": 3}}}',
                                     b'{"schema_version": 1, "modules": {"01": {"test-twice": ["x", 1e999]}}}'])
def test_a_memory_that_cannot_be_read_begins_anew(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".tito").mkdir()
    (tmp_path / memory.HINTS).write_bytes(content)
    module = Module(1, "alpha", tmp_path)
    assert [memory.climb(tmp_path, module, Row("failed", "test-twice"), 3) for _ in range(4)] == [1, 2, 3, 3]


def test_a_memory_that_cannot_be_written_is_no_hindrance(edition: Edition, tito: Tito) -> None:
    (edition.root / memory.HINTS).mkdir(parents=True)
    assert [rung(tito("module", "hint", "01")) for _ in range(2)] == ["1 of 3", "1 of 3"]


@pytest.mark.parametrize("text", ["", "[]", '{"schema_version": 9, "answers": {}}', '{"schema_version": 1, "answers": {"twice": [{}]}}'])
def test_without_an_outline_the_stub_is_still_shown(edition: Edition, tito: Tito, text: str) -> None:
    if text:
        outline(edition, text)
    answer = tito("module", "hint", "01", "--all")
    assert answer.code == 0 and "def twice(x):" in answer.out and "reference" not in answer.out


def test_modules_have_their_order(edition: Edition, tito: Tito) -> None:
    answer = tito("module", "hint", "02")
    assert answer.code == ExitCode.USAGE and "builds on 01 alpha" in answer.err


def test_json_tells_the_same(edition: Edition, tito: Tito) -> None:
    data = tito("module", "hint", "01", "--json").json
    assert (data["module"], data["check"], data["rung"], data["of"]) == ("01 alpha", "test-twice", 1, 3)
    assert [(r["rung"], r["title"]) for r in data["rungs"]] == [(1, "not written yet")]
    assert data["rungs"][0]["parts"][0]["form"] == "text" and data["next"] == "tito module hint 01" and data["answers"] == []
    assert [r["rung"] for r in tito("module", "hint", "01", "--all", "--json").json["rungs"]] == [1, 2, 3]


def test_nothing_is_wider_than_eighty_columns(edition: Edition, tito: Tito) -> None:
    long = "word " * 60
    explain(edition, f"## Twice\n\n{long}\n\n```\n{'─' * 90}\n```\n\n* `{long}`\n\n**Your turn.** $x_{{ij}} \\cdot 2$")
    edition.edit(1, "twice", lambda source: source.replace("raise NotImplementedError()", f"return {'x' * 200!r}"))
    out = tito("module", "hint", "01", "--all").out
    assert max(map(len, out.splitlines())) <= 80
    assert "a picture: look at it in the notebook" in out and "x_ij · 2" in out


def test_a_verdict_that_is_there_is_not_asked_for_again(edition: Edition, monkeypatch: pytest.MonkeyPatch) -> None:
    from tito.check import verdict
    course = Course(edition.root)
    module = course.module("01")
    edition.write(1, "half", HALF)
    known = verdict.judge(module.read(), course.root, 1, module.label)
    monkeypatch.setattr(verdict, "judge", lambda *a, **k: pytest.fail("it was judged again"))
    assert [hint(course, module, verdict=known).rung for _ in range(2)] == [1, 2]


def test_nothing_but_the_memory_is_written(edition: Edition, tito: Tito) -> None:
    before = edition.files()
    tito("module", "hint", "01", "--all")
    after = edition.files()
    assert set(after) - set(before) == {memory.HINTS} and all(after[name] == before[name] for name in before)
    assert not list(Path(edition.root, ".tito").glob("*.new"))
