"""Every way to fail is one clear message and the right exit code; nothing is lost, and no traceback is shown unasked."""

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

from tito import state as progress
from tito.course import Course
from tito.errors import ExitCode

from .conftest import REPOSITORY, Answer, Edition

Tito = Callable[..., Answer]
RUN = "import sys; from tito.cli import main; sys.exit(main())"


def process(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONIOENCODING": "utf-8"}
    return subprocess.run([sys.executable, "-c", RUN, *arguments], capture_output=True, text=True, check=False, encoding="utf-8",
                          env=environment | options.pop("env", {}), **options)


def test_two_at_once(edition: Edition, tito: Tito) -> None:
    with progress.locked(Course(edition.root)):
        answer = process("module", "reset", "01", "--yes")
        assert answer.returncode == 0                           # nothing to change: it does not wait for anybody
        edition.solve(1)
        answer = process("module", "reset", "01", "--yes")
    assert answer.returncode == ExitCode.ENVIRONMENT and answer.stdout == ""
    assert answer.stderr.splitlines()[0] == "error: another tito is at work in this folder"
    assert process("module", "reset", "01", "--yes").returncode == 0


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema_version": 1}', '{"schema_version": 2, "completed": {}, "started": []}',
                                     '{"schema_version": 1, "completed": {"01": {}}, "started": []}', "\x00\x01", '{"completed": 3}'])
@pytest.mark.parametrize("arguments", [[], ["module", "start", "01", "--no-open"], ["module", "undo", "01"]], ids=" ".join)
def test_a_truncated_state_stops_and_offers_the_repair(edition: Edition, tito: Tito, content: str, arguments: list[str]) -> None:
    path = edition.root / ".tito/state.json"
    edition.solve(1)
    tito("module", "reset", "01", "--yes")
    path.write_text(content, encoding="utf-8")
    answer = tito(*arguments)
    assert answer.code == ExitCode.INTEGRITY and "tito module status --rebuild" in answer.err
    assert path.read_text(encoding="utf-8") == content          # never silently replaced


def test_a_state_that_is_not_utf8(edition: Edition, tito: Tito) -> None:
    (edition.root / ".tito").mkdir()
    (edition.root / ".tito/state.json").write_bytes(b"\xff\xfe{")
    assert tito().code == ExitCode.INTEGRITY


@pytest.mark.parametrize(("number", "said"), [
    (errno.ENOSPC, "the disk is full; nothing was changed"), (errno.EROFS, "may not be written"), (errno.EACCES, "may not be written"),
    (errno.EIO, "the system refused")])
def test_a_folder_that_cannot_be_written(edition: Edition, tito: Tito, monkeypatch: pytest.MonkeyPatch, number: int, said: str) -> None:
    edition.solve(1)
    before = edition.files()

    def refuse(path: Path, content: bytes) -> None:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr("tito.journal._write", refuse)
    answer = tito("module", "reset", "01", "--yes")
    assert answer.code == ExitCode.ENVIRONMENT and said in answer.err and "Traceback" not in answer.err
    monkeypatch.undo()
    tito()
    assert edition.files() == before


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is read-only for root, nor by mode on Windows")
def test_a_read_only_folder(edition: Edition, tito: Tito) -> None:
    edition.root.chmod(0o555)
    try:
        assert tito("module", "list").code == 0                 # looking needs no writing
        assert tito("module", "start", "01", "--no-open").code == ExitCode.ENVIRONMENT
    finally:
        edition.root.chmod(0o755)


def test_an_interrupted_command_is_settled_by_the_next(edition: Edition, tito: Tito, monkeypatch: pytest.MonkeyPatch) -> None:
    edition.solve(1)
    mine = edition.notebook(1).read_bytes()
    released = (edition.root / "modules/01_alpha/.released/alpha_dev.ipynb").read_bytes()
    monkeypatch.setattr("tito.journal._finish", lambda root: (_ for _ in ()).throw(KeyboardInterrupt))
    assert tito("module", "reset", "01", "--yes").code == ExitCode.INTERRUPTED
    assert edition.notebook(1).read_bytes() == mine
    monkeypatch.undo()
    monkeypatch.chdir(edition.root)
    assert tito("module", "list").code == 0                     # it counted already: the next command finishes it
    assert edition.notebook(1).read_bytes() == released
    tito("module", "undo", "01")
    assert edition.notebook(1).read_bytes() == mine


def test_a_corrupt_journal_stops_and_is_repaired_on_demand(edition: Edition, tito: Tito) -> None:
    (edition.root / ".tito/pending").mkdir(parents=True)
    (edition.root / ".tito/pending/journal.json").write_text("{", encoding="utf-8")
    answer = tito("module", "list")
    assert answer.code == ExitCode.INTEGRITY and "--rebuild" in answer.err


def test_ctrl_c(edition: Edition, tito: Tito, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt
    monkeypatch.setattr("tito.cli.module.module_list", interrupt)
    answer = tito("module", "list")
    assert answer.code == ExitCode.INTERRUPTED and answer.err == "interrupted\n"


@pytest.mark.parametrize("error", [
    KeyError("x"), RecursionError("deep"), MemoryError(), AssertionError("a\nb"), ValueError(""), Exception("ü")])
def test_whatever_is_unforeseen_is_one_line(edition: Edition, tito: Tito, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*_: object) -> None:
        raise error
    monkeypatch.setattr("tito.cli.module.module_list", fail)
    answer = tito("module", "list")
    assert answer.code == ExitCode.INFRASTRUCTURE               # not 1: it is not the student's code
    assert answer.err.splitlines()[1:] == ["fix:   see whether all is well here with: tito doctor (or where it stumbled, with --debug)"]
    assert "Traceback" not in answer.err
    answer = tito("module", "list", "--debug")
    assert answer.code == ExitCode.INFRASTRUCTURE and "Traceback" in answer.err


def test_nobody_reads_on(edition: Edition) -> None:
    command = [sys.executable, "-c", RUN, "module", "list"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(REPOSITORY)})
    assert child.stdout and child.stderr
    child.stdout.close()
    assert child.wait(30) == 0 and child.stderr.read() == b""
    child.stderr.close()


def test_a_terminal_that_cannot_show_a_letter(edition: Edition) -> None:
    answer = process("module", "status", env={"PYTHONIOENCODING": "ascii"})
    assert answer.returncode == 0 and r"mein Kurs \xfc" in answer.stdout


def test_looking_writes_nothing(edition: Edition, tito: Tito) -> None:
    before = edition.files()
    for arguments in ([], ["module", "list"], ["module", "status"], ["module", "undo", "01", "--list"],
                      ["module", "open", "01", "--no-open"]):
        assert tito(*arguments).code == 0
    assert edition.files() == before and not (edition.root / ".tito").exists()


def test_starting_imports_nothing_heavy(edition: Edition) -> None:
    script = ("import sys; from tito.cli import main; code = main(sys.argv[1:]); "
              "print(code, sorted({m.split('.')[0] for m in sys.modules} & HEAVY), file=sys.stderr)")
    heavy = {"numpy", "nbformat", "nbgrader", "jupytext", "nbdev", "IPython", "jupyterlab", "pydantic", "asyncio", "rich", "filelock"}
    for arguments in ([], ["--help"], ["module", "list"], ["module", "status"]):
        answer = subprocess.run([sys.executable, "-c", script.replace("HEAVY", repr(heavy)), *arguments], capture_output=True, text=True,
                                check=False, env={**os.environ, "PYTHONPATH": str(REPOSITORY)})
        assert answer.stderr.split("\n")[0] == "0 []", arguments


def test_the_schema_of_the_state(edition: Edition, tito: Tito) -> None:
    tito("module", "start", "01", "--no-open")
    stored = json.loads((edition.root / ".tito/state.json").read_text(encoding="utf-8"))
    assert stored == {"schema_version": 1, "completed": {}, "started": ["01"]}


def test_json_of_a_command_that_prints_as_it_goes(edition: Edition) -> None:
    """The result alone is on stdout, whatever the command and its own processes print."""
    script = ("import subprocess, sys, tito.cli.course as c; from tito.cli.results import Report; from tito.cli import main\n"
              "def demo(target):\n"
              "    print('from here'); subprocess.run([sys.executable, '-c', 'print(\"from a child\")']); return Report('')\n"
              "c.demo = demo; sys.exit(main(['demo', '--json']))")
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False,
                            env={**os.environ, "PYTHONPATH": str(REPOSITORY)})
    assert answer.returncode == 0 and json.loads(answer.stdout)["exit_code"] == 0
    assert "from here" in answer.stderr and "from a child" in answer.stderr
