"""What the command line costs, beside what it cannot do without: `python -m benchmarks.tools`.

Processor time of whole processes, children included; the median of interleaved rounds.
Exits with 1 where a gate is missed by more than a tenth.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from tito.course import Course
from tito.dev.demo import write_solutions
from tito.dev.edition import make_edition

ROUNDS = 9
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


def main() -> int:
    """Prints the table, and the same as JSON with --json."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        edition, course = Path(folder).resolve() / "edition", Course.find()
        make_edition(course, edition)
        write_solutions(Course(edition).module("01").notebook, course.module("01"))
        for name, (command, beside, gate) in cases(edition).items():
            times: dict[str, list[float]] = {"ours": [], "beside": []}
            for _ in range(ROUNDS):
                times["ours"].append(seconds(command, edition))
                times["beside"].append(seconds(beside, edition))
            ours, other = (statistics.median(t) for t in times.values())
            rows.append({"case": name, "seconds": round(ours, 3), "beside": round(other, 3), "ratio": round(ours / other, 2), "gate": gate})
    if "--json" in sys.argv:
        print(json.dumps(rows, indent=1))
    else:
        print(f"{'case':<22}{'seconds':>9}{'beside':>9}{'ratio':>8}{'gate':>7}")
        for row in rows:
            print(f"{row['case']:<22}{row['seconds']:>9}{row['beside']:>9}{row['ratio']:>8}{row['gate']:>7}")
    return int(any(float(str(row["ratio"])) > 1.1 * float(str(row["gate"])) for row in rows))


if __name__ == "__main__":
    sys.exit(main())
