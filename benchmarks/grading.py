"""What grading costs, beside nbgrader: `python -m benchmarks.grading [--count 60] [--scale]`.

The same batch of module 01 (right, empty, wrong, slow and broken work) through `tito grade autograde` and through `nbgrader autograde`, by
the clock, on the same processors in one run; the honest ones must come out with the same points.  --scale: the processor time of one
submission and the coordinator's memory, of 1,000 beside 100.
"""

from __future__ import annotations

import copy
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from benchmarks.report import Row, options, report
from grading.assignment import Assignment, Notebook
from grading.author.generate import generate
from grading.intake.versions import receive
from grading.term import Term
from tito.cells import document
from tito.course import Course
from tito.dev.checks.mistake import Mistake, load_mistakes

SPEED = 1 / 5                   # the time of ours over nbgrader's
LINEAR, FLAT = 1.15, 1.2        # of 1,000 over 100
FEW, MANY = 100, 1000
SLOW = "import time\ntime.sleep(1.5)"
BROKEN = ("def (", "raise RuntimeError('not finished')", "import a_module_that_is_not_there", "answer = 1 / 0")
RUNNER = """
import sys
from pathlib import Path
from tito.cli import main
code = 1
try:
    code = main()
except SystemExit as end:
    code = end.code
for line in Path("/proc/self/status").read_text().splitlines():
    if line.startswith("VmHWM"):        # of this program alone: ru_maxrss also knows what it was before exec
        print(line, file=sys.stderr)
sys.exit(code)
"""


# ---- the batch -----------------------------------------------------------------------------------------

def submissions(assignment: Assignment, mistakes: list[Mistake], count: int) -> Iterator[tuple[str, Notebook]]:
    """(what it is, the notebook): of ten, two are right, one is empty, five have a mistake of a learner, one is slow, one is broken."""
    solved = document(assignment.solved, Path("solved.ipynb"))
    wrong = itertools.cycle(mistakes[::max(1, len(mistakes) // 30)])
    broken = itertools.cycle(BROKEN)
    for n in range(count):
        notebook = copy.deepcopy(assignment.released if n % 10 == 9 else assignment.solved)
        kind = ("right", "wrong", "wrong", "slow", "wrong", "right", "wrong", "broken", "wrong", "empty")[n % 10]
        if kind == "wrong":
            cell = next(wrong).in_cell(solved)
            notebook["cells"][cell.index]["source"] = cell.source
        elif kind in ("slow", "broken"):
            last = max(cell.index for cell in solved.code if cell.solution)
            notebook["cells"][last]["source"] += f"\n{SLOW if kind == 'slow' else next(broken)}"
        notebook["cells"][-1]["source"] += f"\n# student {n}\n" if notebook["cells"][-1]["cell_type"] == "code" else f"\n\nStudent {n}.\n"
        yield kind, notebook


def prepared(folder: Path, count: int) -> tuple[Term, dict[str, str]]:
    """A copy of the course with a term in which so many handed in module 01; {student: what the work is}."""
    ours, course = Course.find(), folder / "course"
    for name in ("modules", "tinytorch", "tito", "grading"):
        shutil.copytree(ours.root / name, course / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ours.root / "settings.ini", course)
    term = Term.of(Course(course))
    term.create()
    module = term.course.module("01")
    generate(term, [module], progress=lambda *_: None)
    mistakes, _ = load_mistakes(module.folder / "mistakes.py")
    kinds = {}
    for n, (kind, notebook) in enumerate(submissions(Assignment.current(term, module), mistakes, count)):
        student = f"{'ab'[n % 2]}{n:04d}"
        receive(term, student, module, json.dumps(notebook).encode(), datetime.now(UTC), "benchmark")
        kinds[student] = kind
    return term, kinds


# ---- the two sides -------------------------------------------------------------------------------------

def environment(term: Term) -> dict[str, str]:
    """nbgrader looks for alembic on the PATH."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return {**os.environ, "PYTHONPATH": str(term.course.root), "TITO_BOOTSTRAP": "0", "PATH": path}


class Cost(NamedTuple):
    """Of one run."""

    seconds: float              # by the clock
    processor: float            # seconds of the coordinator, its workers and their sandboxes
    megabytes: float            # the most that the coordinator held


def ours(term: Term) -> Cost:
    """`tito grade autograde`."""
    began, before = time.perf_counter(), os.times()
    done = subprocess.run([sys.executable, "-c", RUNNER, "grade", "autograde", "--module", "01", "--json"], cwd=term.course.root,
                          env=environment(term), capture_output=True, text=True, check=False)
    seconds, after = time.perf_counter() - began, os.times()
    if done.returncode:
        raise RuntimeError(f"tito grade autograde: {done.stdout}{done.stderr}")
    processor = after.children_user + after.children_system - before.children_user - before.children_system
    return Cost(seconds, processor, float(done.stderr.split("VmHWM:")[1].split()[0]) / 1024)


def theirs(term: Term, folder: Path, patterns: tuple[str, ...]) -> float:
    """Seconds of `nbgrader autograde` on a copy of the term, a process for each pattern of students."""
    shutil.copytree(term.folder, folder, ignore=shutil.ignore_patterns("autograded", "results", "versions"))
    assignment = Assignment.current(term, term.course.module("01"))
    began = time.perf_counter()
    running = [subprocess.Popen([sys.executable, "-m", "nbgrader", "autograde", assignment.folder, f"--student={pattern}",
                                 f"--CourseDirectory.root={folder}", f"--course={term.settings.course.id}"], cwd=folder,
                                env=environment(term), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for pattern in patterns]
    for process in running:
        process.wait()                      # it does not say by its code whether all went well: the points are looked at below
    return time.perf_counter() - began


def points(term: Term, folder: Path) -> dict[str, float]:
    """{student: points of the tests} in the gradebook there."""
    from nbgrader.api import Gradebook
    assignment = Assignment.current(term, term.course.module("01"))
    with Gradebook(f"sqlite:///{folder}/gradebook.db", term.settings.course.id) as book:
        return {row.student.id: sum(g.auto_score or 0.0 for n in row.notebooks for g in n.grades if g.cell.name in assignment.points)
                for row in book.assignment_submissions(assignment.folder)}


def beside_nbgrader(count: int) -> Iterator[Row]:
    """The rows of speed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        term, kinds = prepared(folder, count)
        alone, both = folder / "nbgrader", folder / "two"
        serial, two = theirs(term, alone, ("*",)), theirs(term, both, ("a*", "b*"))
        seconds = ours(term).seconds
        marks, reference = points(term, term.folder), points(term, alone)
    error = differing(kinds, marks, reference)
    print(f"{count} submissions: {', '.join(f'{list(kinds.values()).count(k)} {k}' for k in sorted(set(kinds.values())))}; "
          f"of the wrong and broken, {sum(marks[s] != reference.get(s) for s in kinds)} have other points", file=sys.stderr)
    yield Row(f"a submission of 01, of {count}: nbgrader", seconds / count, serial / count, "s", SPEED, error=error)
    yield Row(f"a submission of 01, of {count}: two nbgraders at once", seconds / count, two / count, "s", SPEED, error=error)


def differing(kinds: dict[str, str], marks: dict[str, float], reference: dict[str, float]) -> str:
    """Whether honest work has other points here than there."""
    honest = [student for student, kind in kinds.items() if kind in ("right", "slow", "empty")]
    other = [f"{kinds[s]} {s}: {marks.get(s)}, nbgrader {reference.get(s)}" for s in honest if marks.get(s) != reference.get(s)]
    return f"other points: {other[0]}" if other else ""


def scaled() -> Iterator[Row]:
    """The rows of scale."""
    found: dict[int, Cost] = {}
    for count in (FEW, MANY):
        with tempfile.TemporaryDirectory() as name:
            term, _ = prepared(Path(name).resolve(), count)
            found[count] = ours(term)
        print(f"{count} submissions: {found[count].seconds:.1f} s by the clock", file=sys.stderr)
    few, many = found[FEW], found[MANY]
    yield Row(f"processor time of a submission, {MANY} beside {FEW}", many.processor / MANY, few.processor / FEW, "s", LINEAR)
    yield Row(f"the coordinator's memory, {MANY} beside {FEW}", many.megabytes, few.megabytes, "MB", FLAT)


def main(arguments: list[str] | None = None) -> int:
    """Measure; 1 where a gate is missed."""
    parser = options("What grading costs, beside nbgrader.")
    parser.add_argument("--count", type=int, default=60, help="submissions in the batch")
    parser.add_argument("--scale", action="store_true", help=f"{MANY} submissions beside {FEW}, in place of nbgrader")
    chosen = parser.parse_args(arguments)
    rows = list(scaled() if chosen.scale else beside_nbgrader(chosen.count))
    return report(rows, chosen.json, "beside", processors=os.cpu_count(), clock="process_time" if chosen.scale else "perf_counter")


if __name__ == "__main__":
    sys.exit(main())
