"""`tito bench`: a student's library beside NumPy by hand and beside torch, and beside itself the last time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tito import state as progress
from tito.cli.results_runs import Benched, BenchRow
from tito.course import Course
from tito.environ import before
from tito.errors import ExitCode, TitoError
from tito.journal import write_atomically
from tito.milestones import catalogue

HISTORY, SCHEMA, KEPT = ".tito/bench.json", 1, 50
ROUNDS, LEAST = 7, 0.02                 # each side works so many seconds in each round
PATIENCE = 600.0


def run(course: Course, texts: Sequence[str], *, rounds: int = ROUNDS, least: float = LEAST) -> Benched:
    """Measure the cases of these modules, or of all that the package has; what was found is added to the history."""
    from tito.bench.cases import CASES
    modules, names = catalogue(course)
    wanted = {course.module(text).number for text in texts}
    there = {number for path, number in modules.items() if course.exported(path).exists()}
    if missing := sorted(wanted - there):
        module = course.module(str(missing[0]))
        raise TitoError(f"module {module.label} is not in your tinytorch yet", fix=_next(course, module.number))
    numbers = {case.title: max(names.get(name, 0) for name in case.uses) for case in CASES if all(name in names for name in case.uses)}
    chosen = {title: number for title, number in numbers.items() if number in (wanted or there)}
    if not chosen:
        if wanted:
            labels = ", ".join(course.module(str(n)).label for n in sorted(wanted))
            known = ", ".join(f"{n:02d}" for n in sorted({*numbers.values()} & there))
            raise TitoError(f"nothing is measured of {labels}", fix=f"there is something of {known}")
        first = course.modules[0].number
        raise TitoError("there is nothing to measure yet", why="tinytorch has no module so far", fix=_next(course, first))
    found = _measured(course, list(chosen), rounds, least)
    history, note = load(course)
    last = _last(history)
    rows = tuple(_row(chosen[row["title"]], row, last.get(row["title"])) for row in found["rows"])
    note = note or remember(course, history, found)
    code = ExitCode.CHECKS_FAILED if any(row.error for row in rows) else ExitCode.OK
    return Benched(rows, found["numpy"], found["torch"] or "", note, code)


def load(course: Course) -> tuple[list[dict[str, Any]], str]:
    """The runs so far, oldest first; and a note where they cannot be read, which stops nothing."""
    path = course.root / HISTORY
    try:
        saved = json.loads(path.read_bytes())
        if saved["schema_version"] != SCHEMA:
            raise ValueError(f"it is of version {saved['schema_version']}")
        return [run for run in saved["runs"] if isinstance(run["rows"], list)], ""
    except FileNotFoundError:
        return [], ""
    except (OSError, ValueError, KeyError, TypeError) as err:
        return [], f"earlier runs are not compared, and this one is not kept: {HISTORY} cannot be read ({err}); remove it to begin anew"


def remember(course: Course, history: list[dict[str, Any]], found: dict[str, Any]) -> str:
    """Add a run; empty, or why it was not kept."""
    runs = [*history, {"when": progress.now(), **found}][-KEPT:]
    try:
        write_atomically(course.root / HISTORY, (json.dumps({"schema_version": SCHEMA, "runs": runs}, indent=1) + "\n").encode())
    except OSError as err:
        return f"this run was not kept: {err}"
    return ""


def _last(history: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The newest row of each case that has figures."""
    return {row["title"]: row for run in history for row in run["rows"] if "over_numpy" in row}


def _row(number: int, row: dict[str, Any], last: dict[str, Any] | None) -> BenchRow:
    before = last["over_numpy"] if last else None
    change = ""
    if before and "over_numpy" in row and last:
        apart = abs(row["over_numpy"] - before) > 2 * (row["spread_numpy"] + last["spread_numpy"])
        if apart and not 0.9 < row["over_numpy"] / before < 1.1:
            change = "faster" if row["over_numpy"] < before else "slower"
    ours, beside, spread, torch = (row.get(name) for name in ("ours", "over_numpy", "spread_numpy", "over_torch"))
    return BenchRow(number, row["title"], ours, beside, spread, torch, before, change, row["error"])


def _next(course: Course, number: int) -> str:
    return f"go on with: tito module start {number:02d}" if course.is_edition else "tito dev export"


def _measured(course: Course, titles: list[str], rounds: int, least: float) -> dict[str, Any]:
    """Let a process of its own measure, on one thread: NumPy and torch read that when they are loaded."""
    threads = {f"{name}_NUM_THREADS": "1" for name in ("OPENBLAS", "OMP", "MKL", "VECLIB_MAXIMUM")}
    environment = {**os.environ, **threads, "PYTHONPATH": before("PYTHONPATH", course.root)}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "found.json"
        arguments = [sys.executable, "-X", "utf8", "-m", "tito.bench", str(path), str(rounds), str(least), *titles]
        try:
            done = subprocess.run(arguments, cwd=course.root, env=environment,
                                  capture_output=True, encoding="utf-8", errors="replace", timeout=PATIENCE, check=False)
        except subprocess.TimeoutExpired:
            raise TitoError(f"measuring did not end within {PATIENCE:.0f} s", fix="name one module, to see where: tito bench 01",
                            code=ExitCode.CHECKS_FAILED) from None
        try:
            found: dict[str, Any] = json.loads(path.read_bytes())
        except (OSError, ValueError):
            said = (done.stderr or done.stdout).strip().splitlines()
            raise TitoError("your tinytorch could not be measured", why=said[-1] if said else f"exit code {done.returncode}",
                            fix="see whether it can be imported: python -c 'import tinytorch'", code=ExitCode.CHECKS_FAILED) from None
    return found
