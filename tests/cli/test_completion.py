"""`tito completion`: the scripts in the shells that they are for, and what they ask tito for."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tito.cli import main

from .conftest import REPOSITORY, Answer, Edition

Tito = Callable[..., Answer]
Ask = Callable[..., str]
RUN = "import sys; sys.path.insert(0, {!r}); from tito.cli import main; sys.exit(main())"
MILESTONE = '"""1950: {}."""\nimport tinytorch as tt\ntt.twice\n'
needs = {name: pytest.mark.skipif(shutil.which(name) is None, reason=f"there is no {name} here") for name in ("bash", "zsh", "fish")}
# What may follow the words, as each shell's own way of asking gives it.
ASK = {
    "bash": 'source ./script; COMP_WORDS=($1 ""); COMP_CWORD=$(({n})); _tito_completion tito; printf "%s\\n" "${{COMPREPLY[@]}}"',
    "zsh": 'compdef() {{}}; _arguments() {{ print -r -- "${{1#*: :}}" }}; '
           'source ./script; words=("${{(@s: :)1}}"); CURRENT=$#words; _tito_completion',
    "fish": "source ./script; complete -C $argv[1]",
}


@pytest.fixture
def course(edition: Edition) -> Edition:
    (edition.root / "milestones").mkdir()
    for name in ("01_double", "02_fourfold"):
        (edition.root / "milestones" / f"{name}.py").write_text(MILESTONE.format(name), encoding="utf-8")
    return edition


@pytest.fixture
def ask(course: Edition, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Ask:
    """Ask as PowerShell's script does, in this process: what may follow."""
    def run(typed: str, incomplete: str = "") -> str:
        monkeypatch.setenv("_TITO_COMPLETE", "complete_powershell")
        monkeypatch.setenv("_TYPER_COMPLETE_ARGS", f"{typed}{incomplete}")
        monkeypatch.setenv("_TYPER_COMPLETE_WORD_TO_COMPLETE", incomplete)
        assert main([]) == 0
        out, err = capfd.readouterr()
        assert err == ""
        return out.strip()
    return run


def offered(answer: str) -> list[str]:
    return [line.partition(":::")[0] for line in answer.splitlines()]


@pytest.mark.parametrize(("typed", "incomplete", "expected"), [
    ("tito ", "mod", ["module"]), ("tito module ", "st", ["status", "start"]), ("tito --json module ", "und", ["undo"]),
    ("tito module test ", "", ["01", "02", "03"]), ("tito module test ", "0", ["01", "02", "03"]), ("tito module test ", "3", []),
    ("tito module test ", "b", ["beta"]), ("tito module test ", "02_", ["02_beta"]), ("tito submit ", "al", ["alpha"]),
    ("tito module start 01 ", "--", ["--no-open", "--json", "--debug", "--help"]), ("tito module undo --to ", "", []),
    ("tito milestone run ", "", ["1", "2"]), ("tito milestone run ", "f", ["fourfold"]),
    ("tito completion ", "", ["bash", "zsh", "fish", "powershell"]), ("tito bench 01 ", "", ["01", "02", "03"]),
    ("tito module list ", "", []), ("tito module nonsense ", "--d", ["--debug"])])
def test_what_may_follow(ask: Ask, typed: str, incomplete: str, expected: list[str]) -> None:
    assert offered(ask(typed, incomplete)) == expected


def test_a_module_is_offered_with_its_state(ask: Ask) -> None:
    assert ask("tito module test ").splitlines() == ["01:::alpha, next", "02:::beta, locked", "03:::gamma, locked"]


def test_every_command_can_be_completed(ask: Ask) -> None:
    assert {"module", "milestone", "submit", "completion"} <= set(offered(ask("tito ")))


@pytest.mark.parametrize("breakage", ["no course", "state"])
def test_where_something_is_wrong_nothing_is_offered_and_nothing_said(ask: Ask, course: Edition, tmp_path: Path,
                                                                      monkeypatch: pytest.MonkeyPatch, breakage: str) -> None:
    if breakage == "no course":
        monkeypatch.chdir(tmp_path)
    else:
        (course.root / ".tito").mkdir()
        (course.root / ".tito/state.json").write_text("{", encoding="utf-8")
    assert ask("tito module test ") == ask("tito milestone run ") == ""


def test_a_key_writes_nothing(ask: Ask, course: Edition) -> None:
    before = course.files()
    ask("tito module test ")
    assert course.files() == before


def test_asking_imports_nothing_heavy(course: Edition) -> None:
    script = ("import sys; from tito.cli import main; code = main([]); "
              "print(code, sorted({m.split('.')[0] for m in sys.modules} & {'numpy', 'rich', 'pydantic', 'nbformat'}), file=sys.stderr)")
    asked = {"PYTHONPATH": str(REPOSITORY), "_TITO_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": "tito mod"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env={**os.environ, **asked})
    assert done.stderr == "0 []\n" and "module" in done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_the_script_is_on_stdout_and_how_to_install_it_on_stderr(tito: Tito, shell: str) -> None:
    answer = tito("completion", shell)
    assert answer.code == 0 and "_TITO_COMPLETE" in answer.out and "tito" in answer.out and answer.out.isascii()
    line = answer.err.splitlines()[-1]
    assert f"tito completion {shell}" in line
    told = tito("completion", shell, "--json").json
    assert (told["shell"], told["install"]) == (shell, line) and told["script"].strip() == answer.out.strip()


def test_another_shell(tito: Tito) -> None:
    answer = tito("completion", "tcsh")
    assert answer.code == 2 and "bash, zsh, fish, powershell" in answer.err and answer.out == ""


def in_shell(shell: str, course: Edition, typed: str) -> list[str]:
    """What a real shell makes of the script, with a `tito` on its path as in an activated .venv."""
    tools = course.root.parent / "tools"
    tools.mkdir()
    (tools / "tito.py").write_text(RUN.format(str(REPOSITORY)), encoding="utf-8")
    (tools / "tito").write_text(f'#!/bin/sh\nexec "{sys.executable}" "{tools}/tito.py" "$@"\n', encoding="utf-8")
    (tools / "tito").chmod(0o755)
    environment = {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
    script = subprocess.run(["tito", "completion", shell], env=environment, capture_output=True, check=True).stdout
    (course.root / "script").write_bytes(script)
    program = ASK[shell].format(n=len(typed.split()) - (not typed.endswith(" ")))
    options = {"bash": ["--norc"], "zsh": ["-f"], "fish": ["--no-config"]}[shell]
    done = subprocess.run([shell, *options, "-c", program, *(["x"] if shell != "fish" else []), typed], env=environment, cwd=course.root,
                          capture_output=True, text=True, check=False, encoding="utf-8")
    assert done.stderr == ""
    return re.findall(r'"\S+":"[^"]*"', done.stdout) if shell == "zsh" else done.stdout.split("\n")[:-1]


@pytest.mark.skipif(os.name == "nt", reason="shells of other systems")
@pytest.mark.parametrize(("typed", "expected"), [("tito module te", ["test"]), ("tito module test ", ["01", "02", "03"])])
@pytest.mark.parametrize("shell", [pytest.param(name, marks=mark) for name, mark in needs.items()])
def test_in_a_real_shell(course: Edition, shell: str, typed: str, expected: list[str]) -> None:
    lines = in_shell(shell, course, typed)
    assert [line.split(":")[0].split("\t")[0].strip('"') for line in lines] == expected
    assert shell == "bash" or expected == ["test"] or "alpha, next" in lines[0]
