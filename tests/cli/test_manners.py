"""What a terminal may be like: without our letters, narrow, closed, read by nobody; and what a program that asks for JSON may count on."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tito import streams
from tito.cli import main, results, results_runs
from tito.errors import ExitCode, TitoError
from tito.ui import Screen

from .conftest import REPOSITORY, Answer, Edition, Terminal

Tito = Callable[..., Answer]
Install = Callable[[], tuple[Terminal, Terminal]]
RUN = "import sys; from tito.cli import main; sys.exit(main())"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(REPOSITORY)}


def process(*arguments: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    environment = ENVIRONMENT | options.pop("env", {})
    return subprocess.run([sys.executable, "-c", RUN, *arguments], capture_output=True, check=False, env=environment, **options)


LETTERS = "a · b…  1 ± 2  “q” ≥  →  ü 東"


@pytest.mark.parametrize(("encoding", "shown"), [
    ("ascii", r'a - b...  1 +- 2  "q" >=  ->  \xfc \u6771'), ("cp1252", r"a · b…  1 ± 2  “q” >=  ->  ü \u6771"),
    ("cp437", r'a · b...  1 ± 2  "q" ≥  ->  ü \u6771'), ("utf-8", LETTERS)])
def test_letters_that_cannot_be_shown_become_plain_ones(encoding: str, shown: str) -> None:
    script = f"from tito import streams; streams.prepare(); print({LETTERS!a})"
    environment = {**ENVIRONMENT, "PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, env=environment)
    assert done.stdout.decode(encoding).rstrip() == shown


def test_a_card_in_ascii(edition: Edition) -> None:
    done = process("module", "test", "01", env={"PYTHONIOENCODING": "ascii"})
    where = next(line for line in done.stdout.decode("ascii").splitlines() if "where" in line)
    assert where == "        where    01 Twice - test-twice, line 3"


def test_every_letter_that_tito_itself_writes_has_a_plain_form() -> None:
    """Those of its own sentences; a name such as Léon stays a name."""
    text = "".join(path.read_text(encoding="utf-8") for path in (REPOSITORY / "tito").rglob("*.py"))
    assert not {letter for letter in text if ord(letter) > 127 and not letter.isalpha() and ord(letter) not in streams.PLAIN}


@pytest.mark.skipif(os.name == "nt", reason="names are no bytes there")
def test_a_name_that_is_no_text_is_shown_as_it_is(edition: Edition, monkeypatch: pytest.MonkeyPatch) -> None:
    root = os.fsencode(edition.root.parent) + b"/\xff"
    os.rename(os.fsencode(edition.root), root)              # noqa: PTH104  (bytes)
    assert b"/\xff\n" in process(cwd=root, env={"PYTHONIOENCODING": "utf-8"}).stdout


@pytest.mark.skipif(os.name == "nt", reason="a shell that can close streams")
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(("arguments", "code"), [("module list", 0), ("--help", 0), ("nonsense", 2), ("--json", 0)])
def test_closed_streams(edition: Edition, closed: str, arguments: str, code: int) -> None:
    command = ["sh", "-c", f'"$0" -c "$1" {arguments} {closed}', sys.executable, RUN]
    done = subprocess.run(command, capture_output=True, env=ENVIRONMENT, check=False)
    assert done.returncode == code and b"Traceback" not in done.stderr and b"Exception" not in done.stderr
    assert bool(done.stdout) == (code == 0 and ">&-" not in closed.replace("2>&-", ""))


@pytest.mark.parametrize("arguments", [["module", "list"], ["--help"], ["module", "list", "--json"], ["nonsense"]], ids=" ".join)
def test_nobody_reads_on(edition: Edition, arguments: list[str]) -> None:
    child = subprocess.Popen([sys.executable, "-c", RUN, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT)
    assert child.stdout and child.stderr
    child.stdout.close()
    said = child.stderr.read()
    child.stderr.close()
    assert child.wait(30) == (2 if arguments == ["nonsense"] else 0)
    assert said == b"" or arguments == ["nonsense"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device that is always full")    # noqa: PTH110
def test_a_result_that_cannot_be_written(edition: Edition) -> None:
    with open("/dev/full", "wb") as full:                   # noqa: PTH123
        command = [sys.executable, "-c", RUN, "module", "list"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, env=ENVIRONMENT, check=False)
    assert done.returncode == ExitCode.ENVIRONMENT
    assert done.stderr.decode().splitlines()[0] == "error: the result could not be printed" and b"Exception" not in done.stderr


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_nothing_moves_where_nothing_may(terminal: Install, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    out, err = terminal()
    monkeypatch.setenv(name, value)
    screen = Screen(out, err)
    with screen.busy("working"), screen.progress() as progress:
        progress(1, 2, "a")
    assert out.getvalue() + err.getvalue() == ""


def test_what_moves_is_plain_where_letters_are_lacking(terminal: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    class Ascii(Terminal):
        encoding = "ascii"                                  # type: ignore[assignment]  # read-only in the class above
    _, err = Ascii(), Ascii()
    terminal()
    screen = Screen(err, err)
    with screen.progress() as progress:
        progress(1, 2, "a")
    with screen.busy("working"):
        pass
    assert "working" in err.getvalue() and err.getvalue().isascii()


NARROW = [[], ["module", "list"], ["module", "status"], ["module", "test", "01"], ["module", "test", "01", "--all"],
          ["module", "undo", "01", "--list"], ["milestone", "list"], ["--help"], ["module", "test", "--help"], ["nonsense"]]


@pytest.mark.parametrize("columns", ["1", "20", "40"])
def test_a_narrow_terminal(edition: Edition, terminal: Install, monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    out, err = terminal()
    monkeypatch.setenv("COLUMNS", columns)
    for arguments in NARROW:
        main(arguments)
    assert "stumbled" not in err.getvalue() and "01 alpha" in out.getvalue()


@pytest.mark.parametrize("columns", ["40", "80"])
def test_a_bench_in_a_narrow_terminal(terminal: Install, monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    out, err = terminal()
    monkeypatch.setenv("COLUMNS", columns)
    rows = (results_runs.BenchRow(1, "matmul 256x256", 1e-3, 1.2, 0.1, 2.0, 1.3, "faster", ""),
            results_runs.BenchRow(1, "sum", None, None, None, None, None, "", "a " * 60))
    Screen(out, err).show(results_runs.Benched(rows, "2.0", "", "", ExitCode.OK), "bench")
    lines = re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue()).splitlines()
    assert "a a a" in out.getvalue() and (columns == "40" or max(map(len, lines)) <= 80)


@pytest.mark.parametrize("arguments", [
    ["nonsense"], ["module", "nonsense"], ["module", "test"], ["module", "test", "99"], ["module", "start", "02", "--no-open"], ["init"],
    ["module", "reset", "01", "--nonsense"], ["milestone", "run", "1"], ["dev", "export"], ["grade"]], ids=" ".join)
def test_json_of_an_error_is_one_document(edition: Edition, tito: Tito, arguments: list[str]) -> None:
    answer = tito(*arguments, "--json")
    assert set(answer.json) == {"schema_version", "exit_code", "error"} and set(answer.json["error"]) == {"what", "why", "fix"}
    assert answer.json["exit_code"] == answer.code != 0
    assert answer.json["error"]["what"] in answer.err


def test_json_of_an_interruption(edition: Edition, tito: Tito, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt
    monkeypatch.setattr("tito.cli.module.module_list", interrupt)
    answer = tito("module", "list", "--json")
    assert answer.json["exit_code"] == answer.code == ExitCode.INTERRUPTED and answer.err == "interrupted\n"


def test_there_is_never_a_second_document(terminal: Install) -> None:
    """A command that has told its result and stumbles then, as JupyterLab may, says so where it disturbs no program."""
    out, err = terminal()
    screen = Screen(out, err, json=True)
    screen.show(results.Report("fine"), "x")
    screen.fail(TitoError("it fell"))
    assert json.loads(out.getvalue())["what"] == "fine" and "it fell" in err.getvalue()


@pytest.mark.parametrize("name", ["con", "dot.", "a:b", "ü 東"])
def test_no_file_gets_a_name_that_windows_refuses(edition: Edition, tito: Tito, name: str) -> None:
    edition.solve(1)
    for arguments in (["module", "reset", "01", "--yes"], ["module", "undo", "01"], ["submit", "01", "--name", name]):
        tito(*arguments)
    names = {part for path in edition.root.rglob("*") for part in path.relative_to(edition.root).parts}
    assert "history" in names and not [n for n in names if re.search(r'[<>:"|?*\\]|[ .]$|^(?i:con|nul|aux)(\.|$)', n)]
