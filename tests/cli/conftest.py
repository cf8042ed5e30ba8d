"""A small student edition of three modules, made by hand: nothing here needs jupytext or nbgrader."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tito.cli import main
from tito.cli.app import command
from tito.course import Course
from tito.export import write_files
from tito.package import Entry, skeleton

STUB = "    raise NotImplementedError()\n"


def code(source: str, **marks: Any) -> dict[str, Any]:
    """A code cell; marks are nbgrader's."""
    metadata = {"nbgrader": {"grade": False, "locked": False, "solution": False, "schema_version": 3, **marks}} if marks else {}
    return {"cell_type": "code", "id": marks.get("grade_id", "c" + str(abs(hash(source)) % 10**6)), "metadata": metadata,
            "source": source, "outputs": [], "execution_count": None}


def text(source: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "id": "m" + str(abs(hash(source)) % 10**6), "metadata": {}, "source": source}


def check(name: str, body: str, points: int) -> dict[str, Any]:
    source = f'def test_unit_{name}():\n    """{name.capitalize()} does what it says."""\n    {body}\n\ntest_unit_{name}()'
    return code(source, grade=True, locked=True, grade_id=f"test-{name}", points=points)


def answer(name: str, arguments: str, body: str = STUB) -> dict[str, Any]:
    return code(f"#| export\ndef {name}({arguments}):\n{body}", solution=True, grade_id=name)


ALPHA = [
    text("# 01 Alpha"),
    code("from tito.check import expect"),
    code("#| default_exp core.alpha"),
    code("#| export\nimport math"),
    text("## Twice"),
    answer("twice", "x"),
    check("twice", 'expect.same(lambda: twice(3), 6, "three twice")', 4),
    text("## Half"),
    answer("half", "x"),
    check("half", 'expect.same(lambda: half(6), 3.0, "half of six")', 6),
]
BETA = [
    text("# 02 Beta"),
    code("from tito.check import expect"),
    code("#| default_exp core.beta"),
    code("#| export\nfrom tinytorch.core.alpha import twice"),
    text("## Four times"),
    answer("fourfold", "x"),
    check("fourfold", 'expect.same(lambda: fourfold(2), 8, "two four times")', 5),
]
GAMMA = [text("# 03 Gamma"), code("#| default_exp core.gamma"), answer("gamma", ""), check("gamma", "assert gamma() == 1", 1)]

TWICE, HALF, FOURFOLD = "    return 2 * x\n", "    return x / 2\n", "    return twice(twice(x))\n"


def notebook(cells: list[dict[str, Any]]) -> str:
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}, indent=1, ensure_ascii=False) + "\n"


@dataclass
class Answer:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Edition:
    """The edition's folder, and short ways to do what a student does."""

    root: Path

    def notebook(self, number: int) -> Path:
        return Course(self.root).modules[number - 1].notebook

    def write(self, number: int, grade_id: str, body: str) -> None:
        """Fill in a solution cell: everything below the `def` line."""
        self.edit(number, grade_id, lambda source: "\n".join(source.split("\n")[:2]) + "\n" + body)

    def edit(self, number: int, grade_id: str, change: Callable[[str], str]) -> None:
        path = self.notebook(number)
        data = json.loads(path.read_text(encoding="utf-8"))
        for cell in data["cells"]:
            if cell["id"] == grade_id:
                cell["source"] = change(cell["source"])
        path.write_text(json.dumps(data), encoding="utf-8")

    def cells(self, number: int, change: Callable[[list[Any]], list[Any]]) -> None:
        path = self.notebook(number)
        data = json.loads(path.read_text(encoding="utf-8"))
        data["cells"] = change(data["cells"])
        path.write_text(json.dumps(data), encoding="utf-8")

    def solve(self, number: int) -> None:
        for name, body in {1: {"twice": TWICE, "half": HALF}, 2: {"fourfold": FOURFOLD}}[number].items():
            self.write(number, name, body)

    def files(self) -> dict[str, bytes]:
        """Every file that counts: all but the lock, what is remembered of tests, and compiled code."""
        return {p.relative_to(self.root).as_posix(): p.read_bytes() for p in sorted(self.root.rglob("*"))
                if p.is_file() and p.name not in ("lock", "tested.json") and "__pycache__" not in p.parts}


@pytest.fixture
def edition(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Edition:
    root = tmp_path / "mein Kurs ü"
    for folder, cells in (("01_alpha", ALPHA), ("02_beta", BETA), ("03_gamma", GAMMA)):
        name = f"{folder[3:]}_dev.ipynb"
        for place in (root / "modules" / folder, root / "modules" / folder / ".released"):
            place.mkdir(parents=True)
            (place / name).write_text(notebook(cells), encoding="utf-8")
    (root / "settings.ini").write_text("[course]\n", encoding="utf-8")
    table = [Entry(1, "core.alpha", ("twice", "half")), Entry(2, "core.beta", ("fourfold",)), Entry(3, "core.gamma", ("gamma",))]
    write_files(root / "tinytorch", skeleton(table))
    monkeypatch.chdir(root)
    return Edition(root)


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever this machine's PATH says, `tito` is on it."""
    monkeypatch.setattr("tito.ui.caller", lambda: "tito")


def every_command() -> Iterator[tuple[str, list[str]]]:
    """Each command as it is typed, "module test", and the names of those below it."""
    waiting: list[tuple[str, Any]] = [("", command())]
    while waiting:
        name, each = waiting.pop()
        inner = getattr(each, "commands", {})
        waiting += [(f"{name} {part}".strip(), inner[part]) for part in inner]
        yield name, list(inner)


REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def tito(capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    def run(*arguments: str) -> Answer:
        capsys.readouterr()
        code = main(list(arguments))
        printed = capsys.readouterr()
        return Answer(int(code), printed.out, printed.err)
    return run


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[], tuple[Terminal, Terminal]]:
    def install() -> tuple[Terminal, Terminal]:
        out, err = Terminal(), Terminal()
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", err)
        monkeypatch.setenv("TERM", "xterm-256color")
        monkeypatch.setenv("COLUMNS", "80")
        monkeypatch.delenv("NO_COLOR", raising=False)
        return out, err
    return install
