"""The course's own answers: after the checks pass and not a moment earlier, and from no file that is not what it should be."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import HALF, Answer, Edition, Terminal
from tito.cells import read_notebook
from tito.course import Course
from tito.errors import ExitCode, TitoError
from tito.ladder.answers import MEMBER, PACKED, UNPACKED, fingerprint, read_answers

Tito = Callable[..., Answer]
REFERENCE = {"twice": '#| export\ndef twice(x):\n    """Two of it."""\n    return x + x\n',
             "half": "#| export\ndef half(x):\n    return x / 2"}


def released(edition: Edition) -> str:
    return fingerprint(read_notebook(edition.notebook(1).parent / ".released" / "alpha_dev.ipynb"))


def place(edition: Edition, member: str = MEMBER, method: int = zipfile.ZIP_DEFLATED, **changed: object) -> Path:
    facts = {"schema_version": 1, "module": "01 alpha", "answers": REFERENCE, "released_sha256": released(edition), **changed}
    path = edition.root / "answers" / "01.zip"
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr(member, json.dumps(facts))
    return path


def test_before_everything_passes_they_are_not_even_opened(edition: Edition, tito: Tito, monkeypatch: pytest.MonkeyPatch) -> None:
    edition.write(1, "half", HALF)
    without = [tito("module", "hint", "01", *words).out for words in ([], ["--all"], ["half"])]
    (edition.root / ".tito/hints.json").unlink()
    place(edition)
    monkeypatch.setattr(zipfile, "ZipFile", lambda *a, **k: pytest.fail("the answers were opened"))
    assert [tito("module", "hint", "01", *words).out for words in ([], ["--all"], ["half"])] == without


def test_after_that_what_differs_is_shown_beside_ones_own(edition: Edition, tito: Tito) -> None:
    place(edition)
    edition.solve(1)
    edition.write(1, "half", "    # my own\n    return (x\n            / 2)\n")
    answer = tito("module", "hint", "01")
    assert answer.code == 0 and "every check passes" in answer.out
    assert "return 2 * x" in answer.out and "return x + x" in answer.out and "Two of it" not in answer.out
    assert "my own" not in answer.out, "comments and blanks are no difference"
    assert max(map(len, answer.out.splitlines())) <= 80
    one = tito("module", "hint", "01", "half").out
    assert "my own" in one and "half: both say the same" in one and "x + x" not in one
    assert tito("module", "hint", "01", "test-half").out == one, "by its check, too"
    data = tito("module", "hint", "01", "--json").json
    assert [(a["grade_id"], a["reference"]) for a in data["answers"]] == [("twice", "def twice(x):\n    return x + x")]


def test_where_there_are_none_nothing_is_said_of_them(edition: Edition, tito: Tito) -> None:
    edition.solve(1)
    out = tito("module", "hint", "01").out
    assert "answer" not in out and "course" not in out


def test_a_wide_terminal_has_them_side_by_side(edition: Edition, tito: Tito, terminal: Callable[[], tuple[Terminal, Terminal]],
                                               monkeypatch: pytest.MonkeyPatch) -> None:
    from tito.cli import main
    place(edition)
    edition.solve(1)
    out, _ = terminal()
    monkeypatch.setenv("COLUMNS", "130")
    assert main(["module", "hint", "01"]) == 0
    line = next(line for line in out.getvalue().splitlines() if "2 * x" in line)
    assert "│     return x + x" in line and len(line) <= 130


def test_answers_of_another_version_are_shown_with_a_word_of_warning(edition: Edition, tito: Tito) -> None:
    place(edition, released_sha256="0" * 64)
    edition.solve(1)
    answer = tito("module", "hint", "01")
    assert answer.code == 0 and "another version" in answer.out and "return x + x" in answer.out


def test_what_would_move_the_cursor_is_left_out(edition: Edition, tito: Tito) -> None:
    place(edition, answers={"twice": "def twice(x):\n    return '\x1b[2J'\r\n"})
    edition.solve(1)
    out = tito("module", "hint", "01").out
    assert "\x1b" not in out and "\r" not in out and "return '[2J'" in out


def _no_zip(path: Path) -> None:
    path.write_bytes(b"no zip")


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-30])


def _large(path: Path) -> None:
    path.write_bytes(b"x" * (PACKED + 1))


def _bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(MEMBER, b" " * (UNPACKED + 1))


def _no_json(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(MEMBER, "[" * 100_000)


@pytest.mark.parametrize("harm", [_no_zip, _cut, _large, _bomb, _no_json])
def test_a_damaged_file_is_a_clear_error(edition: Edition, harm: Callable[[Path], None]) -> None:
    harm(place(edition))
    _refused(edition)


@pytest.mark.parametrize("facts", [{"module": "02 beta"}, {"schema_version": 2}, {"answers": {"twice": 3}}, {"answers": []},
                                   {"member": "../../answers.json"}, {"method": zipfile.ZIP_BZIP2}])
def test_a_file_that_is_something_else_is_a_clear_error(edition: Edition, facts: dict[str, object]) -> None:
    place(edition, **facts)             # type: ignore[arg-type]
    _refused(edition)


def _refused(edition: Edition) -> None:
    before = edition.files()
    course = Course(edition.root)
    with pytest.raises(TitoError, match="answers/01.zip cannot be used") as caught:
        read_answers(course, course.module("01"))
    assert caught.value.code == ExitCode.INTEGRITY and caught.value.why and edition.files() == before
    assert not list(edition.root.parent.glob("answers*"))


def test_the_error_is_told_as_any_other(edition: Edition, tito: Tito) -> None:
    edition.solve(1)
    _no_zip(place(edition))
    answer = tito("module", "hint", "01")
    assert answer.code == ExitCode.INTEGRITY and answer.out == "" and "Traceback" not in answer.err
    assert answer.err.startswith("error: answers/01.zip cannot be used\nwhy:   ")
