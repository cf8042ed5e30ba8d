"""The cards of wrong answers, byte for byte, as a student gets them: in the terminal, in JupyterLab and as JSON.

A pair of files stands for a mistake of `modules/NN_name/mistakes.py`: `NN_name/<grade_id>.<name>.txt` is the card, the same in a terminal
of 80 columns without colour and below the cell of a notebook, `.json` is the row of `--json`.  After a change that is meant:

    TITO_GOLDEN=write tito dev test tests/golden      then read what changed, as somebody who meets the idea for the first time
"""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from tests.check import kernel
from tests.modules.shelf import MODULES, ROOT, solved, subject_of, verdict
from tito.check.row import Row
from tito.check.verdict import Verdict
from tito.cli import results
from tito.course import Module
from tito.dev.checks.mistake import Mistake, load_mistakes
from tito.dev.source import dumps
from tito.errors import ExitCode
from tito.ui import Screen

HERE = Path(__file__).parent
GOLDEN = sorted(HERE.glob("*/*.txt"))
WRITE = os.environ.get("TITO_GOLDEN") == "write"
each_card = pytest.mark.parametrize("path", GOLDEN, ids=lambda p: f"{p.parent.name}-{p.stem}")


def name_of(mistake: Mistake) -> str:
    """The file's name: grade_id and name, in letters, digits and hyphens."""
    return f"{mistake.grade_id}.{re.sub(r'[^a-z0-9]+', '-', mistake.name.lower()).strip('-')}"


@lru_cache
def mistakes_of(folder: str) -> dict[str, Mistake]:
    return {name_of(m): m for m in load_mistakes(ROOT / "modules" / folder / "mistakes.py")[0]}


def planted(path: Path) -> tuple[Module, Mistake]:
    module = next(m for m in MODULES if m.folder.name == path.parent.name)
    return module, mistakes_of(path.parent.name)[path.stem]


@lru_cache
def judged(path: Path) -> Verdict:
    module, mistake = planted(path)
    return verdict(mistake.planted(solved(module)), module)


def first(found: Verdict) -> Row:
    return next(r for r in found.rows if r.state not in ("passed", "skipped"))


def same(path: Path, text: str) -> None:
    """The file holds this text; or, when we are told to, it does from now on."""
    if WRITE:
        path.write_text(text, encoding="utf-8", newline="\n")
    assert path.read_bytes().decode("utf-8") == text


def test_there_are_enough_of_them_from_every_module() -> None:
    assert len(GOLDEN) >= 30
    assert {path.parent.name for path in GOLDEN} == {m.folder.name for m in MODULES}


@each_card
def test_the_terminal(path: Path) -> None:
    found = judged(path)
    out = io.StringIO()
    Screen(out, io.StringIO()).show(results.Tested(found.module, found, (), False, "", ExitCode.CHECKS_FAILED), "module test")
    lines = out.getvalue().split("\n")
    start = next(n for n, line in enumerate(lines) if re.match(r"(FAILED|ERROR|TIMEOUT) ", line))
    card = lines[start:lines.index("", start)]
    assert max(map(len, lines)) <= 80 and not re.search(r"[\x00-\x08\x0b-\x1f]", "".join(lines))
    same(path, "\n".join(card) + "\n")


@each_card
def test_json(path: Path) -> None:
    row = first(judged(path)).to_dict()
    same(path.with_suffix(".json"), json.dumps(row, indent=1, ensure_ascii=False) + "\n")


@each_card
def test_the_notebook(path: Path, tmp_path: Path) -> None:
    """In a real IPython shell, below the cell that failed."""
    module, mistake = planted(path)
    index = first(judged(path)).cell - 1
    work = mistake.planted(solved(module))
    cells = [{"cell_type": "code", "source": c.source} for c in work.code if c.index <= index and not c.analysis]
    notebook = tmp_path / "modules" / module.folder.name / module.notebook.name
    notebook.parent.mkdir(parents=True)
    (tmp_path / "settings.ini").write_bytes((ROOT / "settings.ini").read_bytes())
    (tmp_path / "tinytorch").symlink_to(ROOT / "tinytorch")
    notebook.write_text(_whole(module, work), encoding="utf-8")
    script = tmp_path / "run.ipynb"
    script.write_text(json.dumps({"cells": cells}), encoding="utf-8")
    done = subprocess.run([sys.executable, str(kernel.__file__), str(script)], cwd=notebook.parent, capture_output=True, timeout=120,
                          env={**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg"})
    assert done.returncode == 0, done.stderr.decode()
    shown = [text for text in json.loads(done.stdout) if text]
    assert shown[:1] == [path.read_text(encoding="utf-8").rstrip("\n")]


def _whole(module: Module, work: Any) -> str:
    """The notebook as saved: what the cards in JupyterLab look things up in."""
    raw = subject_of(module).raw
    cells = [{**cell, "source": new.source} for cell, new in zip(raw["cells"], work.cells)]
    return dumps({**raw, "cells": cells})
