"""Measure cases and write what was found as JSON: `python -m tito.bench FILE ROUNDS LEAST TITLE…`.  `tito bench` starts it."""

from __future__ import annotations

import contextlib
import importlib
import json
import platform
import statistics
import sys
from pathlib import Path
from typing import Any

import numpy as np

from tito.bench.cases import CASES, Case
from tito.bench.measure import in_turns, ratio, torch_or_none, verify


def measured(case: Case, tt: Any, torch: Any, rounds: int, least: float) -> dict[str, Any]:
    """One row; a case that computes something wrong, or nothing, has no figures."""
    row: dict[str, Any] = {"title": case.title, "error": ""}
    try:
        sides = case.make(tt, torch)
        verify(sides)
        times = in_turns(sides, rounds, least)
    except Exception as err:                    # whatever a student's code raises
        return row | {"error": f"{type(err).__name__}: {err}".splitlines()[0]}
    for name in sides:
        row[name] = statistics.median(times[name])
    for name in sides.keys() - {"ours"}:
        row[f"over_{name}"], row[f"spread_{name}"] = ratio(times["ours"], times[name])
    return row


def main(arguments: list[str]) -> None:
    path, rounds, least, *titles = arguments
    with contextlib.redirect_stdout(sys.stderr):                # a student's code may print
        tt, torch = importlib.import_module("tinytorch"), torch_or_none()
        rows = [measured(case, tt, torch, int(rounds), float(least)) for case in CASES if case.title in titles]
    about = {"python": platform.python_version(), "numpy": np.__version__, "torch": getattr(torch, "__version__", None),
             "machine": platform.machine(), "rounds": int(rounds)}
    Path(path).write_text(json.dumps({**about, "rows": rows}), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
