"""From sources to assignments: frozen, entered in the gradebook by nbgrader's own generator, and laid out in nbgrader's folders."""

from __future__ import annotations

import json
import logging
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from grading.assignment import CURRENT, Assignment, Notebook, freeze
from grading.book.gradebook import enrol, guarded, opened
from grading.book.rows import entered, submissions
from grading.term import Term
from tito.check.row import number
from tito.cli.results import Report
from tito.course import Module
from tito.dev.source import dumps
from tito.errors import ExitCode, TitoError
from tito.journal import write_atomically

Progress = Callable[[int, int, str], None]


def generate(term: Term, modules: Sequence[Module], *, progress: Progress) -> Report:
    """Make assignments of the modules' sources as they are now; from then on submissions are judged by them.

    Again without a change, nothing happens.  TitoError where work was graded by another version of an assignment.
    """
    lines, made = [], []
    with term.lock(), opened(term) as gradebook:
        for done, module in enumerate(modules):
            progress(done, len(modules), module.label)
            assignment = freeze(term, module)
            _refuse(term, module, assignment, submissions(gradebook, assignment))
            new = _make(term, module, assignment, gradebook)
            made += [module.number] if new else []
            lines.append(f"  {module.label}: {_told(assignment)}; {'made' if new else 'nothing changed'}")
        enrol(term, gradebook)
        progress(len(modules), len(modules), "")
    what = f"{len(made)} of {len(modules)} assignments made anew" if made else "every assignment is as its source is"
    return Report(what, tuple(lines), {"modules": [m.number for m in modules], "made": made}, "tito grade release")


def _make(term: Term, module: Module, assignment: Assignment, gradebook: Any) -> bool:
    """Whether there was anything to do.  It comes into force last, so that a run that was stopped is finished by the next."""
    digest = assignment.digest
    if _in_force(term, module) == digest and _kept(term, module, digest) and entered(gradebook, assignment) and written(term, assignment):
        return False
    _check(assignment, nbgraders(term, assignment, database=True))
    write(term, assignment)
    assignment.save(term)
    assignment.use(term)
    return True


def _in_force(term: Term, module: Module) -> str:
    """The digest of what submissions are judged by; empty where that is nothing yet."""
    path = term.path("assignments", module.folder.name, CURRENT)
    return path.read_text(encoding="utf-8").strip() if path.is_file() else ""


def _kept(term: Term, module: Module, digest: str) -> bool:
    try:
        return Assignment.load(term, module, digest).digest == digest
    except TitoError:
        return False


def _refuse(term: Term, module: Module, assignment: Assignment, count: int) -> None:
    if count and _in_force(term, module) != assignment.digest:
        raise TitoError(f"{module.label} was changed, and {count} submissions are graded by what it was",
                        why="their points would silently mean something else",
                        fix=f"see who would move: tito grade regrade {module.number:02d} --preview", code=ExitCode.INTEGRITY)


def _told(assignment: Assignment) -> str:
    points, manual = sum(assignment.points.values()), sum(assignment.manual.values())
    return f"{number(points)} points by {len(assignment.points)} tests" + (f", {number(manual)} by hand" if manual else "")


def nbgraders(term: Term, assignment: Assignment, *, database: bool) -> Notebook:
    """The notebook for students as nbgrader's own GenerateAssignment makes it; `database`: which also enters the cells in the gradebook.

    It works in a folder of its own: where it fails, it removes what it has written.
    """
    from nbgrader.converters import GenerateAssignment
    from nbgrader.coursedir import CourseDirectory
    from nbgrader.preprocessors import SaveCells
    with tempfile.TemporaryDirectory() as stage, _heard(assignment) as log, guarded(term.database):
        source = Path(stage, "source", assignment.folder, f"{assignment.notebook}.ipynb")
        write_atomically(source, dumps(assignment.solved).encode())
        folder = CourseDirectory(root=str(Path(stage).resolve()), db_url=term.database, course_id=term.settings.course.id,
                                 assignment_id=assignment.folder, log=log)
        generator = GenerateAssignment(coursedir=folder, no_database=not database, log=log)
        if not database:
            generator.preprocessors = [step for step in generator.preprocessors if step is not SaveCells]
        generator.start()
        text = Path(stage, "release", assignment.folder, source.name).read_text(encoding="utf-8")
    found: Notebook = json.loads(text)
    return found


@contextmanager
def _heard(assignment: Assignment) -> Iterator[logging.Logger]:
    """A logger that prints nothing; what nbgrader says before it fails becomes the error's reason."""
    said: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    log, theirs, ear = logging.Logger("nbgrader", logging.ERROR), logging.getLogger("tornado.application"), Ear()
    log.addHandler(ear)
    theirs.addHandler(ear)
    theirs.propagate = False
    try:
        yield log
    except TitoError:
        raise
    except Exception as err:        # nbgrader's converters raise whatever their steps raise
        root = re.search(r"^[\w.]+: (.+)$", "\n".join(said), re.MULTILINE)       # of a chain of tracebacks, the first exception
        raise TitoError(f"nbgrader cannot make an assignment of {assignment.label}", why=root[1] if root else str(err),
                        fix=f"see what is amiss: tito dev lint {assignment.number:02d}", code=ExitCode.INTEGRITY) from err
    finally:
        theirs.removeHandler(ear)
        theirs.propagate = True


def _check(assignment: Assignment, theirs: Notebook) -> None:
    """TitoError unless nbgrader's release is ours, cell by cell."""
    for ours, other in zip(assignment.released["cells"], theirs["cells"], strict=True):
        if ours != other | {"source": "".join(other["source"])}:
            raise TitoError(f"nbgrader would release another notebook of {assignment.label}", why=f"cell {ours['id']} differs",
                            fix="install the version of nbgrader that requirements.lock names", code=ExitCode.INTEGRITY)


def write(term: Term, assignment: Assignment) -> None:
    """Its two notebooks, in nbgrader's folders."""
    for path, content in _files(term, assignment).items():
        write_atomically(path, content)


def written(term: Term, assignment: Assignment) -> bool:
    return all(path.is_file() and path.read_bytes() == content for path, content in _files(term, assignment).items())


def _files(term: Term, assignment: Assignment) -> dict[Path, bytes]:
    return {term.path(step, assignment.folder, f"{assignment.notebook}.ipynb"): dumps(notebook).encode()
            for step, notebook in (("source", assignment.solved), ("release", assignment.released))}
