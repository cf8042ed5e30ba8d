"""`module test` and `module complete`: the verdict first, then everything or nothing."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tito.errors import ExitCode

from .conftest import REPOSITORY, TWICE, Answer, Edition, code

Tito = Callable[..., Answer]


def python(edition: Edition, script: str) -> str:
    answer = subprocess.run([sys.executable, "-c", script], cwd=edition.root, capture_output=True, text=True, check=False,
                            env={**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1"})
    return (answer.stdout + answer.stderr).strip()


def insert(source: str, *, before: str) -> Callable[[list[Any]], list[Any]]:
    """A student's own cell, before the cell with this id."""
    def change(cells: list[Any]) -> list[Any]:
        place = next(i for i, c in enumerate(cells) if c["id"] == before)
        return [*cells[:place], code(source), *cells[place:]]
    return change


def test_who_has_written_nothing_is_not_stuck(edition: Edition, tito: Tito) -> None:
    assert "stuck?" not in tito("module", "test", "01").out
    edition.write(1, "twice", TWICE)
    assert "stuck?" not in tito("module", "test", "01").out


def test_the_verdict_a_line_for_each_check_and_the_first_card(edition: Edition, tito: Tito) -> None:
    edition.write(1, "twice", "    return x + 1\n")
    edition.write(1, "half", "    return 0.0\n")
    answer = tito("module", "test", "01")
    assert answer.code == ExitCode.CHECKS_FAILED and answer.err == ""
    lines = answer.out.splitlines()
    assert lines[0] == "failed       0/4  Twice does what it says." and lines[1] == "failed       0/6  Half does what it says."
    assert answer.out.count("FAILED") == 1 and "call     twice(3)" in answer.out
    assert any(line.startswith("also test-half:") for line in lines)
    assert lines[-3:] == ["01 alpha  0 of 10 points", "stuck? tito module hint 01", "next: tito module test 01"]
    assert max(map(len, lines)) <= 80
    assert tito("module", "test", "01", "--all").out.count("FAILED") == 2


def test_an_unwritten_answer_is_not_called_wrong(edition: Edition, tito: Tito) -> None:
    assert tito("module", "test", "alpha").out.splitlines()[0] == "to write     0/4  Twice does what it says."


def test_all_passed_leads_to_complete(edition: Edition, tito: Tito) -> None:
    edition.solve(1)
    before = edition.files()
    answer = tito("module", "test", "01")
    assert answer.code == 0 and answer.out.splitlines()[-1] == "next: tito module complete 01"
    assert edition.files() == before


def test_json_of_a_verdict(edition: Edition, tito: Tito) -> None:
    edition.write(1, "twice", "    return 2 * x\n")
    answer = tito("module", "test", "01", "--json")
    assert answer.code == 1 and answer.json["schema_version"] == 1 and answer.json["exit_code"] == 1
    rows = [(r["grade_id"], r["state"], r["points"]) for r in answer.json["rows"]]
    assert rows == [("test-twice", "passed", 4.0), ("test-half", "failed", 0.0)]
    assert answer.out == tito("module", "test", "01", "--json").out     # the same bytes every time


def test_complete_exports_and_records(edition: Edition, tito: Tito) -> None:
    edition.solve(1)
    answer = tito("module", "complete", "01")
    assert answer.code == 0
    assert answer.out.splitlines() == [
        "complete  01 alpha  10 of 10 points", "          tinytorch/core/alpha.py", "next: tito module start 02"]
    assert python(edition, "import tinytorch; print(tinytorch.twice(4))") == "8"
    assert "File to edit: ../../modules/01_alpha/alpha_dev.ipynb" in (edition.root / "tinytorch/core/alpha.py").read_text(encoding="utf-8")
    record = json.loads((edition.root / ".tito/state.json").read_text(encoding="utf-8"))["completed"]["01"]
    assert record["points"] == 10 and len(record["export_sha256"]) == 64
    assert "1 of 3 modules complete, 10 of 16 points" in tito().out
    assert not (edition.root / ".tito/stage").exists()


def test_the_next_module_builds_on_it(edition: Edition, tito: Tito) -> None:
    for number, name in ((1, "alpha"), (2, "beta")):
        edition.solve(number)
        answer = tito("module", "complete", name, "--json")
        assert answer.code == 0 and answer.json["exported"] == f"tinytorch/core/{name}.py"
    assert python(edition, "import tinytorch; print(tinytorch.fourfold(4))") == "16"


def test_completing_twice_leaves_nothing_to_undo(edition: Edition, tito: Tito) -> None:
    edition.solve(1)
    tito("module", "complete", "01")
    before = edition.files()
    answer = tito("module", "complete", "01")
    assert answer.code == 0 and "(as it was)" in answer.out
    assert edition.files() == before


def test_undo_takes_the_export_and_the_record_back(edition: Edition, tito: Tito) -> None:
    edition.solve(1)
    tito("module", "complete", "01")
    path = edition.root / "tinytorch/core/alpha.py"
    first = path.read_bytes()
    edition.write(1, "half", "    return x * 0.5\n")
    tito("module", "complete", "01")
    assert tito("module", "undo", "01").code == 0 and path.read_bytes() == first
    tito("module", "reset", "01", "--yes")
    (oldest,) = [e for e in tito("module", "undo", "01", "--list", "--json").json["kept"] if e["action"] == "complete"][-1:]
    assert tito("module", "undo", "01", "--to", oldest["name"]).code == 0
    assert not path.exists() and "next" in tito("module", "list").out.splitlines()[0]
    assert "is module 01; build it with: tito module start 01" in python(edition, "import tinytorch.core.alpha")


def test_complete_out_of_order(edition: Edition, tito: Tito) -> None:
    edition.solve(2)
    for command in ("complete", "test"):
        answer = tito("module", command, "02")
        assert answer.code == ExitCode.USAGE and "builds on 01 alpha" in answer.err


def unchanged(edition: Edition, tito: Tito, number: int = 1) -> Answer:
    """Complete a module that must not be completed."""
    before = edition.files()
    answer = tito("module", "complete", f"{number:02d}")
    assert edition.files() == before and answer.code != 0
    return answer


@pytest.mark.parametrize(("name", "body"), [
    ("twice", "    return x + 1\n"), ("half", "    return\n"), ("half", "    return (\n"), ("twice", "    exit()\n")])
def test_a_mistake_changes_nothing_and_names_its_cell(edition: Edition, tito: Tito, name: str, body: str) -> None:
    edition.solve(1)
    edition.write(1, name, body)
    answer = unchanged(edition, tito)
    assert answer.code == ExitCode.CHECKS_FAILED and name in answer.out and "nothing was changed" in answer.out


def test_a_helper_that_is_not_exported_is_named(edition: Edition, tito: Tito) -> None:
    edition.solve(1)
    edition.cells(1, insert("def helper(x):\n    return x * 2", before="twice"))
    edition.write(1, "twice", "    return helper(x)\n")
    assert tito("module", "test", "01").code == 0
    answer = unchanged(edition, tito)
    assert answer.code == ExitCode.CHECKS_FAILED
    assert "add `#| export` above `helper`, cell 6 (Twice)" in " ".join(answer.out.split())


def test_checks_may_use_what_is_not_exported(edition: Edition, tito: Tito) -> None:
    edition.solve(1)
    for path in (edition.notebook(1), edition.notebook(1).parent / ".released/alpha_dev.ipynb"):
        data = json.loads(path.read_text(encoding="utf-8"))
        data["cells"].insert(2, code("import random\n\ndef example():\n    return random.Random(0).randint(3, 3)"))
        for cell in data["cells"]:
            cell["source"] = cell["source"].replace("twice(3)", "twice(example())")
        path.write_text(json.dumps(data), encoding="utf-8")
    assert tito("module", "complete", "01").code == 0


def test_what_passes_only_in_the_notebook_is_not_complete(edition: Edition, tito: Tito) -> None:
    edition.solve(1)
    edition.write(1, "half", "    return None\n")
    edition.cells(1, insert("def half(x):\n    return x / 2", before="test-half"))
    assert tito("module", "test", "01").code == 0
    answer = unchanged(edition, tito)
    assert answer.code == ExitCode.CHECKS_FAILED and "passes in the notebook but not in the package" in answer.out


def test_a_change_that_breaks_a_later_module_is_not_complete(edition: Edition, tito: Tito) -> None:
    edition.solve(1)
    edition.solve(2)
    edition.cells(1, insert("#| export\ndef extra():\n    return 1", before="twice"))
    edition.cells(2, insert("#| export\nfrom tinytorch.core.alpha import extra", before="fourfold"))
    assert [tito("module", "complete", n).code for n in ("01", "02")] == [0, 0]
    edition.cells(1, lambda cells: [c for c in cells if "extra" not in c["source"]])
    answer = unchanged(edition, tito)
    assert "tinytorch.core.beta" in answer.out


@pytest.mark.parametrize(("change", "said", "exit_code"), [
    (lambda p: p.unlink(), "alpha_dev.ipynb is missing", ExitCode.ENVIRONMENT),
    (lambda p: p.write_text("{", encoding="utf-8"), "the file is not valid JSON", ExitCode.INTEGRITY),
    (lambda p: p.write_bytes(b"\xff\x00"), "the file is not a notebook", ExitCode.INTEGRITY),
    (lambda p: p.write_text("[]", encoding="utf-8"), "the file has no cells", ExitCode.INTEGRITY),
    (lambda p: p.write_text('{"cells": []}', encoding="utf-8"), "it has lost the answers twice, half", ExitCode.INTEGRITY),
])
@pytest.mark.parametrize("command", ["test", "complete"])
def test_a_broken_notebook(edition: Edition, tito: Tito, change: Callable[[Path], Any], said: str, exit_code: ExitCode,
                           command: str) -> None:
    change(edition.notebook(1))
    before = edition.files()
    answer = tito("module", command, "01")
    assert answer.code == exit_code and said in answer.err and answer.out == ""
    assert "tito module" in answer.err.splitlines()[-1] and "NN" not in answer.err
    assert edition.files() == before


def test_a_changed_check_does_not_count(edition: Edition, tito: Tito) -> None:
    edition.solve(1)
    edition.write(1, "half", "    return 7\n")
    edition.edit(1, "test-half", lambda source: "def test_unit_half():\n    pass")
    answer = tito("module", "test", "01")
    assert answer.code == 1 and "note: the check test-half was changed" in answer.out and "half of six" in answer.out


def test_what_is_not_an_answer_may_be_lost(edition: Edition, tito: Tito) -> None:
    edition.solve(1)
    edition.cells(1, lambda cells: [c for c in cells if c["id"] in ("twice", "half")])
    answer = tito("module", "complete", "01")
    assert answer.code == 0 and "note: the check test-twice was deleted: the released one is used" in answer.out
    assert tito("module", "status").out.count("changed") == 0
    edition.solve(2)
    assert tito("module", "complete", "02").code == 0


def test_a_lost_answer_is_judged_and_never_complete(edition: Edition, tito: Tito) -> None:
    edition.solve(1)
    edition.cells(1, lambda cells: [c for c in cells if c["id"] != "half"])
    answer = tito("module", "test", "01")
    said = " ".join(answer.out.split())
    assert answer.code == ExitCode.CHECKS_FAILED and "the cell half was deleted" in said and "tito module undo 01" in said
    assert [row["state"] for row in tito("module", "test", "01", "--json").json["rows"]] == ["passed", "failed"]
    answer = unchanged(edition, tito)
    assert answer.code == ExitCode.INTEGRITY and "it has lost the answer half" in answer.err


def test_a_released_notebook_that_was_changed_is_no_measure(edition: Edition, tito: Tito) -> None:
    (edition.notebook(1).parent / ".released/alpha_dev.ipynb").write_text("{}", encoding="utf-8")
    answer = tito("module", "test", "01")
    assert answer.code == ExitCode.INTEGRITY and "copy it from a fresh student edition" in answer.err


def test_no_room_on_the_disk(edition: Edition, tito: Tito, monkeypatch: pytest.MonkeyPatch) -> None:
    edition.solve(1)

    def full(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr("tito.journal._write", full)
    answer = unchanged(edition, tito)
    assert answer.code == ExitCode.ENVIRONMENT and "the disk is full; nothing was changed" in answer.err


@pytest.mark.parametrize("step", ["tito.complete._judge", "tito.complete._export", "tito.complete._try_out", "tito.journal._prepare"])
def test_ctrl_c_changes_nothing(edition: Edition, tito: Tito, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt
    edition.solve(1)
    monkeypatch.setattr(step, interrupt)
    assert unchanged(edition, tito).code == ExitCode.INTERRUPTED


KILLED = '''
import os, sys
from tito import journal, complete
from tito.cli import main
place, name, after = sys.argv[1], sys.argv[2], int(sys.argv[3])
owner = {"journal": journal, "complete": complete}[place]
real = getattr(owner, name)
def killed(*args, **kwargs):
    global after
    if after == 0:
        os._exit(9)
    after -= 1
    return real(*args, **kwargs)
setattr(owner, name, killed)
main(["module", "complete", "01"])
'''


@pytest.mark.parametrize(("place", "name", "after", "done"), [
    ("complete", "_try_out", 0, False), ("journal", "_write", 0, False), ("journal", "_write", 2, False), ("journal", "_finish", 0, True),
    ("journal", "_discard", 0, True)])
def test_killed_in_the_middle(edition: Edition, tito: Tito, place: str, name: str, after: int, done: bool) -> None:
    edition.solve(1)
    before = edition.files()
    child = subprocess.run([sys.executable, "-c", KILLED, place, name, str(after)], check=False,
                           env={**os.environ, "PYTHONPATH": str(REPOSITORY)})
    assert child.returncode == 9
    assert tito("module", "list").out.startswith("01 alpha  done" if done else "01 alpha  next")
    now = {path: content for path, content in edition.files().items() if not path.startswith(".tito/stage/")}
    assert ("tinytorch/core/alpha.py" in now) == done
    assert done or now == before
    assert tito("module", "complete", "01").code == 0           # and the next attempt finds nothing in its way
    assert python(edition, "import tinytorch; print(tinytorch.twice(4))") == "8"


def test_checks_that_cannot_be_started_are_nobodys_failure(edition: Edition, tito: Tito, monkeypatch: pytest.MonkeyPatch) -> None:
    edition.solve(1)
    monkeypatch.setenv("PYTHONHOME", str(edition.root))         # no Python can start with this
    answer = unchanged(edition, tito)
    assert answer.code == ExitCode.INFRASTRUCTURE and "infra" in answer.out


def test_status_knows_what_was_edited_since(edition: Edition, tito: Tito) -> None:
    edition.solve(1)
    tito("module", "complete", "01")
    assert "edited since" not in tito("module", "status").out
    edition.cells(1, lambda cells: [{**c, "outputs": ["new"]} for c in cells])
    assert "edited since" not in tito("module", "status").out   # running it is not editing it
    edition.write(1, "half", "    return x * 0.5\n")
    assert "10 of 10 points  edited since" in tito("module", "status").out


def test_rebuild_finds_the_same_progress(edition: Edition, tito: Tito) -> None:
    edition.solve(1)
    edition.solve(2)
    tito("module", "complete", "01")
    tito("module", "start", "02", "--no-open")
    path = edition.root / ".tito/state.json"
    before = json.loads(path.read_text(encoding="utf-8"))
    path.write_bytes(path.read_bytes()[:40])
    answer = tito("module", "status", "--rebuild")
    assert answer.code == 0 and "progress was rebuilt" in answer.out and "kept aside: .tito/aside/" in answer.out
    after = json.loads(path.read_text(encoding="utf-8"))
    for state in (before, after):
        del state["completed"]["01"]["when"]
    assert after == before
    (aside,) = (edition.root / ".tito/aside").iterdir()
    assert len(aside.read_bytes()) == 40


def test_rebuild_believes_only_what_it_sees(edition: Edition, tito: Tito) -> None:
    edition.solve(1)
    tito("module", "complete", "01")
    edition.write(1, "half", "    return x * 0.5\n")            # right, but not what the package has
    assert "01 alpha  started" in tito("module", "status", "--rebuild").out
    edition.notebook(1).write_text("{", encoding="utf-8")
    assert "01 alpha  started" in tito("module", "status", "--rebuild").out


def test_rebuild_sets_an_unreadable_journal_aside(edition: Edition, tito: Tito) -> None:
    (edition.root / ".tito/pending/kept").mkdir(parents=True)
    (edition.root / ".tito/pending/journal.json").write_text("{", encoding="utf-8")
    answer = tito("module", "status", "--rebuild")
    assert answer.code == 0 and "-pending" in answer.out
    assert tito("module", "list").code == 0
