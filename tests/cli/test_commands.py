"""What a person types and gets: where am I, start, reset, undo; and one clear message for every way to go wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tito.errors import ExitCode, TitoError

from .conftest import Answer, Edition

Tito = Callable[..., Answer]


def test_alone_it_says_where_i_am_and_the_one_next_command(edition: Edition, tito: Tito) -> None:
    answer = tito()
    assert answer.code == 0 and answer.err == ""
    assert "student edition in" in answer.out and "mein Kurs ü" in answer.out
    assert "0 of 3 modules complete, 0 of 16 points" in answer.out
    assert answer.out.splitlines()[-1] == "next: tito module start 01"


def test_the_settings_are_read_and_a_mistake_in_them_is_named(edition: Edition, tito: Tito) -> None:
    path = edition.root / "settings.ini"
    path.write_text("[course]\ntitle = Build it\n[deadlines]\n01 = 2027-01-18 18:00\n", encoding="utf-8")
    out = tito().out
    assert "Build it" in out
    assert "module 01 is due 2027-01-18 18:00 UTC" in out
    path.write_text("[course]\ntitel = Build it\n", encoding="utf-8")
    answer = tito()
    assert answer.code == 5
    assert "unknown key titel" in answer.err
    assert "did you mean title?" in answer.err


def test_commands_are_told_as_they_can_be_typed(edition: Edition, tito: Tito, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tito.ui.caller", lambda: "python3 -m tito")
    assert "next: python3 -m tito module start 01\n" in tito().out
    assert "fix:   see them all with: python3 -m tito module list\n" in tito("module", "start", "9").err


def test_module_list(edition: Edition, tito: Tito) -> None:
    assert tito("module", "list").out.splitlines() == [
        "01 alpha  next       0 of 10 points", "02 beta   locked      0 of 5 points", "03 gamma  locked      0 of 1 points"]


def test_start_prepares_the_notebook_and_records_it(edition: Edition, tito: Tito) -> None:
    answer = tito("module", "start", "01", "--no-open")
    assert answer.code == 0 and "modules/01_alpha/alpha_dev.ipynb" in answer.out
    assert answer.out.splitlines()[-1] == "next: tito module test 01"
    assert "started" in tito("module", "list").out.splitlines()[0]
    assert json.loads((edition.root / ".tito/state.json").read_text(encoding="utf-8"))["started"] == ["01"]


def test_start_brings_a_missing_notebook_back(edition: Edition, tito: Tito) -> None:
    path = edition.notebook(1)
    released = path.read_bytes()
    path.unlink()
    answer = tito("module", "start", "1", "--no-open")
    assert answer.code == 0 and "was missing" in answer.out and path.read_bytes() == released


def test_start_out_of_order_says_which_module_comes_first(edition: Edition, tito: Tito) -> None:
    answer = tito("module", "start", "03", "--no-open")
    assert answer.code == ExitCode.USAGE and answer.out == ""
    assert answer.err.splitlines() == ["error: module 03 gamma builds on 01 alpha (and 1 more), which is not complete",
                                       "fix:   go on with: tito module start 01"]


@pytest.mark.parametrize(("typed", "said"), [
    ("alpa", "did you mean alpha?"), ("07", "modules go from 01 to 03"), ("", "modules go from"), ("²", "modules go from")])
def test_an_unknown_module(edition: Edition, tito: Tito, typed: str, said: str) -> None:
    answer = tito("module", "start", typed, "--no-open")
    assert answer.code == ExitCode.USAGE and said in answer.err and "Traceback" not in answer.err


@pytest.mark.parametrize("arguments", [
    ["bogus"], ["module", "strat", "01"], ["module"], ["module", "start"], ["--bogus"], ["module", "list", "x"],
    ["module", "undo", "01", "--to"]])
def test_what_is_not_understood_is_a_usage_error(edition: Edition, tito: Tito, arguments: list[str]) -> None:
    answer = tito(*arguments)
    assert answer.code == ExitCode.USAGE and answer.out == ""
    assert answer.err.startswith("error: ") and "--help" in answer.err


@pytest.mark.parametrize("arguments", [
    ["init", "x"], ["demo"], ["dev", "export"], ["dev", "lint"], ["dev", "test"], ["grade"], ["grade", "run", "-x"]])
def test_what_belongs_to_the_course_repository_says_so(edition: Edition, tito: Tito, arguments: list[str]) -> None:
    answer = tito(*arguments)
    assert answer.code == ExitCode.USAGE
    assert answer.err.splitlines()[0].endswith("belongs to the course repository; this is a student edition")


def test_outside_of_a_course(tmp_path: Path, tito: Tito, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    answer = tito()
    assert answer.code == ExitCode.ENVIRONMENT and "not part of a TinyTorch course" in answer.err


def test_it_works_from_a_folder_below(edition: Edition, tito: Tito, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(edition.notebook(1).parent)
    assert "next: tito module start 01" in tito().out


def test_reset_keeps_the_work_and_undo_brings_it_back(edition: Edition, tito: Tito) -> None:
    path = edition.notebook(1)
    released = path.read_bytes()
    edition.solve(1)
    mine = path.read_bytes()
    assert tito("module", "reset", "01", "--yes").code == 0
    assert path.read_bytes() == released
    answer = tito("module", "undo", "01")
    assert answer.code == 0 and "brought back  modules/01_alpha/alpha_dev.ipynb" in answer.out
    assert path.read_bytes() == mine
    assert tito("module", "undo", "01").code == 0               # undoing can be undone
    assert path.read_bytes() == released


def test_every_version_can_be_reached(edition: Edition, tito: Tito) -> None:
    path = edition.notebook(1)
    versions = []
    for body in ("    return 1\n", "    return 2\n", "    return 3\n"):
        edition.write(1, "twice", body)
        versions.append(path.read_bytes())
        tito("module", "reset", "01", "--yes")
    kept = tito("module", "undo", "01", "--list", "--json").json["kept"]
    assert [k["action"] for k in kept] == ["reset"] * 3
    assert tito("module", "undo", "01", "--to", kept[-1]["name"]).code == 0
    assert path.read_bytes() == versions[0]
    assert tito("module", "undo", "01", "--to", "nonsense").code == ExitCode.USAGE


def test_history_is_in_order_even_when_the_clock_goes_back(edition: Edition, tito: Tito) -> None:
    folder = edition.root / ".tito/history/01"
    edition.solve(1)
    tito("module", "reset", "01", "--yes")
    (first,) = folder.iterdir()
    first.rename(folder / "29990101T000000.000000Z-reset")
    (folder / ".DS_Store").write_bytes(b"")                     # an operating system's own
    edition.write(1, "twice", "    return 7\n")
    mine = edition.notebook(1).read_bytes()
    tito("module", "reset", "01", "--yes")
    tito("module", "undo", "01")
    assert edition.notebook(1).read_bytes() == mine


def test_nothing_to_undo(edition: Edition, tito: Tito) -> None:
    answer = tito("module", "undo", "02")
    assert answer.code == ExitCode.USAGE and "nothing to undo in module 02 beta" in answer.err


def test_a_kept_version_that_cannot_be_read(edition: Edition, tito: Tito) -> None:
    edition.solve(1)
    tito("module", "reset", "01", "--yes")
    (entry,) = (edition.root / ".tito/history/01").iterdir()
    (entry / "note.json").write_text('{"files": [["../../../evil", "0"]]}', encoding="utf-8")
    answer = tito("module", "undo", "01")
    assert answer.code == ExitCode.INTEGRITY and "cannot be read" in answer.err


def test_reset_needs_a_yes_where_nobody_can_be_asked(edition: Edition, tito: Tito) -> None:
    edition.solve(1)
    before = edition.files()
    answer = tito("module", "reset", "01")
    assert answer.code == ExitCode.USAGE and "tito module reset 01 --yes" in answer.err
    assert edition.files() == before


@pytest.mark.parametrize("said", [True, False])
def test_reset_asks_on_a_terminal(edition: Edition, tito: Tito, monkeypatch: pytest.MonkeyPatch, said: bool) -> None:
    monkeypatch.setattr("tito.ui.Screen.confirm", lambda self, question: said)
    edition.solve(1)
    mine = edition.notebook(1).read_bytes()
    assert tito("module", "reset", "01").code == 0
    assert (edition.notebook(1).read_bytes() == mine) == (not said)


def test_reset_of_an_untouched_notebook_does_nothing(edition: Edition, tito: Tito) -> None:
    assert "nothing was changed" in tito("module", "reset", "01", "--yes").out
    assert not (edition.root / ".tito/history").exists()


def test_reset_without_the_released_notebook(edition: Edition, tito: Tito) -> None:
    (edition.root / "modules/01_alpha/.released/alpha_dev.ipynb").unlink()
    answer = tito("module", "reset", "01", "--yes")
    assert answer.code == ExitCode.ENVIRONMENT and "released notebook of 01 alpha is missing" in answer.err


def test_version(tito: Tito, edition: Edition) -> None:
    assert re.fullmatch(r"tito \S+.*, Python 3\.\d+\.\d+\S*\n", tito("--version").out)


COMMANDS = [[], ["module", "list"], ["module", "status"], ["module", "start", "01", "--no-open"], ["module", "open", "01", "--no-open"],
            ["module", "reset", "01", "--yes"], ["module", "undo", "01", "--list"], ["--version"]]


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_json_everywhere(edition: Edition, tito: Tito, arguments: list[str]) -> None:
    before, after = tito("--json", *arguments), tito(*arguments, "--json")
    for answer in (before, after):
        assert answer.code == 0 and answer.err == ""
        assert answer.json["schema_version"] == 1 and answer.json["exit_code"] == 0
        answer.out.encode("ascii")                              # readable on every console


def test_json_of_an_error(edition: Edition, tito: Tito) -> None:
    answer = tito("module", "start", "alpa", "--json")
    assert answer.code == 2 and answer.json["schema_version"] == 1 and answer.json["exit_code"] == 2
    assert answer.json["error"] == {"what": "there is no module 'alpa'", "why": "did you mean alpha?",
                                    "fix": "see them all with: tito module list"}
    assert answer.err.startswith("error: there is no module")


def test_points_of_a_source_are_read_without_jupytext(edition: Edition, tito: Tito) -> None:
    (edition.root / "tito/dev").mkdir(parents=True)
    marks = json.dumps({"grade": True, "grade_id": "test-x", "points": 12})
    written = json.dumps({"grade": True, "solution": True, "grade_id": "why", "points": 5})
    source = f'# %% nbgrader={marks}\npass\n\n# %% [markdown] nbgrader={written}\n"""why?"""\n'
    (edition.root / "modules/01_alpha/alpha_dev.py").write_text(source, encoding="utf-8")
    answer = tito("module", "list")
    assert "01 alpha  source     0 of 12 points" in answer.out
    assert "course repository" in tito().out and tito().out.splitlines()[-1] == "next: tito demo"


def test_the_error_class_is_shown_without_its_empty_parts(edition: Edition, tito: Tito, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise TitoError("this happened", code=ExitCode.INFRASTRUCTURE)
    monkeypatch.setattr("tito.cli.module.module_list", fail)
    assert tito("module", "list").err == "error: this happened\n"
