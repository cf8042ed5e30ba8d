"""The rehearsal of an assignment before its release: faults that students would otherwise find."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from grading.assignment import Assignment, freeze
from grading.author.rehearsal.problem import DIFFERS, LEFT, SOURCE, Problem
from grading.author.rehearsal.reading import all_read, differs, left, unreadable
from grading.author.rehearsal.running import Stage, tried
from grading.term import Term
from tito.course import Module
from tito.dev.page import Page, read_page
from tito.errors import ExitCode, TitoError

__all__ = ["Problem", "refuse", "rehearse"]
Progress = Callable[[int, int, str], None]
SEEDS = 20


def rehearse(term: Term, module: Module, *, seeds: int = SEEDS, progress: Progress = lambda done, total, what: None) -> list[Problem]:
    """The faults of the assignment that the module's source makes now, and of the one in force, in the order of their lines.

    `seeds`: how often the answers are judged with other random numbers.
    """
    if not module.source.exists():
        raise TitoError(f"{module.label} has no source here", why=f"expected at {module.source}", fix="run this in the course repository")
    if found := unreadable(module):
        return found
    page = read_page(term.course, module)
    fresh, found = _frozen(term, module)
    read = list(all_read(page, fresh))
    found = [*([] if any(p.kind == LEFT for p in read) else found), *read]
    if fresh:
        with tempfile.TemporaryDirectory(prefix="tito-") as folder:
            lines = {placed.cell.grade_id: placed.line for placed in page.cells}
            found += tried(Stage(fresh, Path(folder), lines), seeds, progress)
        found += _in_force(term, module, page, fresh)
    return sorted(set(found))


def refuse(term: Term, modules: Sequence[Module], *, seeds: int = SEEDS,
           progress: Progress = lambda done, total, what: None) -> list[Problem]:
    """The faults that do not keep students from getting these modules.  TitoError where one does."""
    found = {module: rehearse(term, module, seeds=seeds, progress=progress) for module in modules}
    bad = [(module, problem) for module, problems in found.items() for problem in problems if problem.blocks]
    if bad:
        names = ", ".join(dict.fromkeys(module.label for module, _ in bad))
        raise TitoError(f"{names}: not fit for students: {len(bad)} problem{'s' * (len(bad) > 1)}",
                        why="\n".join(f"{module.label}: {problem}" for module, problem in bad),
                        fix="mend the source, then: tito grade generate, tito grade release", code=ExitCode.INTEGRITY)
    return [problem for problems in found.values() for problem in problems]


def _frozen(term: Term, module: Module) -> tuple[Assignment | None, list[Problem]]:
    try:
        return freeze(term, module), []
    except TitoError as err:
        return None, [Problem(1, SOURCE, err.what, "", err.why, err.fix)]
    except (KeyError, TypeError, ValueError, RuntimeError) as err:          # nbgrader's, of a cell that it cannot use
        return None, [Problem(1, SOURCE, f"no notebook can be made of it: {type(err).__name__}: {err}", fix="mend the cells' metadata")]


def _in_force(term: Term, module: Module, page: Page, fresh: Assignment) -> Iterator[Problem]:
    """The assignment that submissions are judged by, and the notebook that was made of it, beside the source."""
    number = f"{module.number:02d}"
    if not Assignment.exists(term, module):
        return
    force = Assignment.current(term, module)
    if force.digest != fresh.digest:
        yield from left(force.solved, force.released, page, "in the assignment in force, ")
        yield from differs(page, fresh.released, force.released, "the source makes another notebook than the assignment in force has",
                           "students who have the old one are judged by it until you say otherwise", f"before students have it: "
                           f"tito grade generate {number}; afterwards: tito grade regrade {number} --preview", False)
    yield from _handed_out(term, module, page, force)
    path = term.path("release", force.folder, f"{force.notebook}.ipynb")
    if path.exists():
        try:
            given = json.loads(path.read_text(encoding="utf-8"))
            yield from left(force.solved, given, page, f"in {path.name}, ")
            yield from differs(page, force.released, given, f"{path.name} in release/ is not the notebook of the assignment in force",
                               "students would not get what they are judged by", f"tito grade generate {number}", True)
        except (ValueError, KeyError, TypeError, AttributeError) as err:
            yield Problem(0, DIFFERS, f"{path} is not a notebook", "", f"{type(err).__name__}: {err}", f"tito grade generate {number}")


def _handed_out(term: Term, module: Module, page: Page, force: Assignment) -> Iterator[Problem]:
    """The notebook that students got last, beside the one in force."""
    from grading.author.release import releases
    known = releases(term).get(force.folder, {})
    if known and force.digest not in known:
        when, digest = max((when, digest) for digest, when in known.items())
        yield from differs(page, Assignment.load(term, module, digest).released, force.released,
                           f"students got another notebook on {when[:10]} than the assignment in force has",
                           "repair puts the checks in force in their place", f"to hand it out anew: tito grade release {module.number:02d}",
                           False)
