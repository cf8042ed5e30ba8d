"""The engine's costs, beside NumPy by hand and beside torch: `python -m benchmarks [CASE …] [--json FILE] [--picture FILE] [--threads N]`.

One thread and processor time; every side has computed the same result before it is timed.
Exit code 1 where a gate is missed by more than a tenth, or a result is wrong.

With `--threads 2` BLAS and torch get two threads, and time is that of the clock on the wall, which other work on the machine disturbs:
figures are only told then, and the exit code is 1 only where a result is wrong.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from types import ModuleType

THREADS = argparse.ArgumentParser(add_help=False)
THREADS.add_argument("--threads", metavar="N", type=int, default=1, help="of BLAS and torch; with more than one, nothing is gated")

if __name__ == "__main__":
    for name in ("OPENBLAS", "OMP", "MKL"):         # read when NumPy and torch are imported, so before everything below
        os.environ[f"{name}_NUM_THREADS"] = str(THREADS.parse_known_args()[0].threads)

import platform  # noqa: E402
import statistics  # noqa: E402
import time  # noqa: E402
from dataclasses import replace  # noqa: E402

import numpy as np  # noqa: E402

from benchmarks.cases import CASES, MEMORIES, Case, Memory  # noqa: E402
from benchmarks.measure import in_turns, ratio, torch_or_none, verify  # noqa: E402
from benchmarks.report import Row, options, picture, report  # noqa: E402

SCALE = {"us": 1e6, "ms": 1e3}


def timed(case: Case, torch: ModuleType | None, rounds: int, least: float, threads: int) -> Row:
    """One row by the clock: of one thread the processor's, of several the wall's."""
    sides = case.make(torch)
    verify(sides)
    times = in_turns(sides, rounds, least, time.process_time if threads == 1 else time.perf_counter)
    scale = SCALE[case.unit] / case.pieces
    ours, beside, theirs = (statistics.median(times[side]) * scale if side in times else None for side in ("ours", "numpy", "torch"))
    measured, spread = ratio(times["ours"], times["numpy"])
    over_torch = ratio(times["ours"], times["torch"])[0] if "torch" in times else None
    return Row(case.title, ours, beside, case.unit, case.gate, theirs, over_torch, case.target, spread, measured, case.absolute)


def remembered(memory: Memory) -> Row:
    """One row of memory, by the side that is ours."""
    verify(memory.make(None))
    return Row(memory.title, memory.measure(memory.make(None)["ours"].step), None, memory.unit, memory.gate, absolute=True)


def measure(name: str, torch: ModuleType | None, rounds: int, least: float, threads: int) -> Row:
    """One row, of several threads without a gate; a case that computes something wrong, or nothing, has no figures."""
    case: Case | Memory = CASES.get(name) or MEMORIES[name]
    try:
        row = timed(case, torch, rounds, least, threads) if isinstance(case, Case) else remembered(case)
        return row if threads == 1 else replace(row, gate=None)
    except Exception as error:                  # whatever a broken engine raises
        why = f"{type(error).__name__}: {error}".splitlines()[0]
        return Row(case.title, None, None, "-", case.gate, error=why)


def main(arguments: list[str] | None = None, rounds: int = 11, least: float = 0.03) -> int:
    """Measure the cases that are named, or all."""
    names = [*CASES, *MEMORIES]
    parser = options("What the engine costs, beside NumPy by hand and beside torch.", THREADS)
    parser.add_argument("--picture", metavar="FILE.png", type=Path, help="draw the ratios, with their gates")
    parser.add_argument("cases", metavar="CASE", nargs="*", help=f"of {', '.join(names)}; all by default")
    chosen = parser.parse_args(arguments)
    if unknown := set(chosen.cases) - set(names):
        parser.error(f"no case {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    if (threads := chosen.threads) < 1:
        parser.error(f"{threads} threads do nothing")
    torch = torch_or_none()
    if torch:
        torch.set_num_threads(threads)
    rows = [measure(name, torch, rounds, least, threads) for name in chosen.cases or names]
    if chosen.picture:
        picture(rows, chosen.picture)
    about = {"python": platform.python_version(), "numpy": np.__version__, "torch": torch and torch.__version__,
             "openblas_coretype": os.environ.get("OPENBLAS_CORETYPE"), "threads": threads,
             "clock": "process_time" if threads == 1 else "perf_counter", "rounds": rounds}
    return report(rows, chosen.json, "numpy", **about)


if __name__ == "__main__":
    sys.exit(main())
