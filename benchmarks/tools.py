"""What the command line costs, beside what it cannot do without: `python -m benchmarks.tools`.

Processor time of whole processes, children included; the median of interleaved rounds.
Completing every module is timed once, by the clock.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.report import Row, options, report
from tito.course import Course
from tito.dev.demo import write_solutions
from tito.dev.edition import make_edition

ROUNDS = 9
EVERY_MODULE = 90.0     # seconds by the clock, on two cores
PLAIN = """
import json, sys
import numpy
cells = json.load(open(sys.argv[1], encoding="utf-8"))["cells"]
names = {"__name__": "__main__"}
for cell in cells:
    if cell["cell_type"] == "code" and "analysis" not in cell["metadata"].get("tags", ()):
        exec(compile("".join(cell["source"]), "cell", "exec"), names)
"""


def seconds(command: list[str], folder: Path) -> float:
    """Processor seconds of one run, its children's included.  Compiled code may be kept, as it is for everybody."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before = os.times()
    subprocess.run([sys.executable, *command], cwd=folder, check=True, capture_output=True,
                   env={**env, "PYTHONPATH": str(folder), "TITO_BOOTSTRAP": "0"})
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def cases(edition: Path) -> dict[str, tuple[list[str], list[str], float]]:
    """name: (what is measured, beside what, the gate for their ratio)."""
    imports = ["-c", "import typer, rich.console"]
    notebook = str(Course(edition).module("01").notebook)
    return {
        "tito": (["-m", "tito"], imports, 1.5),
        "tito --help": (["-m", "tito", "--help"], imports, 1.5),
        "tito module list": (["-m", "tito", "module", "list"], imports, 1.5),
        "tito module test 01": (["-m", "tito", "module", "test", "01"], ["-c", PLAIN, notebook], 4.0),
    }


def complete_all(edition: Path) -> Row:
    """`tito module complete` of every module in order: each command of the student's, in a process of its own."""
    numbers = [f"{module.number:02d}" for module in Course(edition).modules]
    start = time.perf_counter()
    for number in numbers:
        seconds(["-m", "tito", "module", "complete", number], edition)
    return Row(f"tito module complete {numbers[0]} to {numbers[-1]}", time.perf_counter() - start, None, "s", EVERY_MODULE, absolute=True)


def main() -> int:
    """Measure every case in a fresh edition."""
    chosen, rows = options("What the command line costs, beside what it cannot do without.").parse_args(), []
    with tempfile.TemporaryDirectory() as folder:
        edition, course = Path(folder).resolve() / "edition", Course.find()
        make_edition(course, edition)
        for module in course.modules:
            write_solutions(Course(edition).module(f"{module.number:02d}").notebook, module)
        for name, (command, beside, gate) in cases(edition).items():
            pairs = [(seconds(command, edition), seconds(beside, edition)) for _ in range(ROUNDS)]
            ours, other = (statistics.median(times) for times in zip(*pairs))
            rows.append(Row(name, ours, other, "s", gate))
        rows.append(complete_all(edition))
    return report(rows, chosen.json)


if __name__ == "__main__":
    sys.exit(main())
