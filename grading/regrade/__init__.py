"""Grade a module anew after its checks were changed: see who moves, apply it as a whole, take it back exactly.

Results of a preview are kept under keys of their own, so applying judges nothing twice.  What is about to happen is written down before
the gradebook is changed: a run that was killed is finished by the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from grading.assignment import Assignment, freeze
from grading.intake.versions import Version, counting, versions
from grading.regrade.moves import Outlook, differences, lost_by_hand, move
from grading.result import Result, key_of
from grading.term import Term
from tito.cli.results import Report
from tito.course import Module
from tito.errors import ExitCode, TitoError

if TYPE_CHECKING:
    from nbgrader.api import Gradebook

    from grading.regrade.ledger import Plan, Record
    from grading.run.jobs import Jobs, Work
    from grading.sandbox import Sandbox

__all__ = ["regrade", "undo", "unfinished"]
Progress = Callable[[int, int, str], None]


def regrade(term: Term, module: Module, *, preview: bool, jobs: Jobs, sandbox: Sandbox, progress: Progress,
            work: Work | None = None) -> Report:
    """Judge every version that counts by the module's source as it is now; without `preview`, put that in force and record it.

    TitoError where it is not to be applied: something could not be judged, or points that a person gave would go.
    """
    with _opened(term) as gradebook:
        finished = _finish_pending(term, module, gradebook)
        force, new = Assignment.current(term, module), freeze(term, module)
        if new.digest == force.digest:
            return Report(finished or f"{module.label}: its source makes the assignment that is in force",
                          (), {"module": module.number, "applied": bool(finished), "digest": new.digest},
                          "" if finished else f"edit {module.source.name} or probes.py")
        new.save(term)
        case = _Case(term, module, gradebook, force, new)
        outlook = case.outlook(jobs, sandbox, progress, work)
        lines = ((f"first: {finished}",) if finished else ()) + tuple(outlook.lines())
        number = f"{module.number:02d}"
        data = {"module": module.number, "from": force.digest, "to": new.digest, "applied": not preview, **outlook.to_dict()}
        count = f"{len(outlook.moved)} of {len(outlook.moves) + len(outlook.infra)} students"
        if preview:
            held = bool(outlook.infra or outlook.lost)
            return Report(f"{module.label}: {count} would move", lines, data, f"tito grade regrade {number}" + " --preview" * held,
                          _code(outlook))
        _refuse(module, outlook)
        record = case.apply(outlook)
    return Report(f"{module.label}: {count} moved; the new assignment is in force", lines, {**data, "record": record.name},
                  f"tito grade export; to take it back: tito grade regrade {number} --undo")


def undo(term: Term, module: Module) -> Report:
    """Take the last regrade back: scores, maximum scores and the assignment in force are what they were.

    What people entered since stays.  TitoError where there is none, or something was recorded since.
    """
    from grading.book.rows import snapshot
    from grading.regrade import ledger
    with _opened(term) as gradebook:
        finished = _finish_pending(term, module, gradebook)
        record = ledger.last(term, module)
        if record is None:
            raise TitoError(f"there is no regrade of {module.label} to take back",
                            why=finished or "none was applied, or all were taken back",
                            fix=f"apply one with: tito grade regrade {module.number:02d}")
        new, force = Assignment.load(term, module, record.new), Assignment.current(term, module)
        since = ledger.recorded_since(gradebook, record, new, snapshot(gradebook, new))
        if since or force.digest != record.new:
            raise TitoError(f"the regrade of {module.label} of {record.time} cannot be taken back", code=ExitCode.INTEGRITY,
                            why=f"recorded since: {', '.join(since)}" if since else "another assignment came into force since",
                            fix=f"change the source back, and: tito grade regrade {module.number:02d}")
        plan = ledger.Plan(ledger.UNDO, record)
        plan.write(term)
        _finish(term, module, gradebook, plan)
    return Report(f"{module.label}: the regrade of {record.time} is taken back", (f"  in force again: {record.old[:12]}",),
                  {"module": module.number, "record": record.name, "in_force": record.old},
                  f"the source still makes the other one: change it back, or tito grade regrade {module.number:02d} --preview")


def unfinished(term: Term, module: Module) -> str:
    """What was begun and not finished, in words; nothing where nothing was."""
    from grading.regrade import ledger
    plan = ledger.pending(term, module)
    return f"{'undoing ' if plan.kind == ledger.UNDO else ''}the regrade of {module.label} of {plan.record.time}" if plan else ""


@contextmanager
def _opened(term: Term) -> Iterator[Gradebook]:
    """The gradebook, with nobody else at work on the term."""
    from grading.book.gradebook import opened
    with term.lock(), opened(term) as gradebook:
        yield gradebook


def _code(outlook: Outlook) -> ExitCode:
    return ExitCode.INFRASTRUCTURE if outlook.infra else ExitCode.INTEGRITY if outlook.lost else ExitCode.OK


def _refuse(module: Module, outlook: Outlook) -> None:
    if outlook.infra:
        raise TitoError(f"{module.label} is not regraded: {len(outlook.infra)} submissions could not be judged", code=_code(outlook),
                        why="\n".join(f"{student}: {why}" for student, why in outlook.infra),
                        fix=f"nothing was changed; mend that, and do the same again; see: tito grade regrade {module.number:02d} --preview")
    if outlook.lost:
        raise TitoError(f"{module.label} is not regraded: points that were given by hand would be lost", why="\n".join(outlook.lost),
                        fix="nothing was changed; keep the cell, or take the points back in formgrader first", code=_code(outlook))


@dataclass(frozen=True)
class _Case:
    """A regrade at work."""

    term: Term
    module: Module
    gradebook: Gradebook
    force: Assignment
    new: Assignment

    def outlook(self, jobs: Jobs, sandbox: Sandbox, progress: Progress, work: Work | None) -> Outlook:
        """Judge everybody by the new assignment, as far as that is not known."""
        from grading.book.record import facts
        from grading.book.rows import snapshot
        from grading.run.autograde import Task, judged
        from grading.run.work import examine
        tasks = [Task.of(self.term, self.new, version) for _, version in sorted(self.counting.items())]
        known = {one.student: one for one in facts(self.term, self.gradebook, self.module)}
        moves, infra = [], []
        progress(0, len(tasks), self.module.label)
        for done, (task, result, _) in enumerate(judged(self.term, tasks, jobs=jobs, sandbox=sandbox, work=work or examine), 1):
            progress(done, len(tasks), str(task))
            if result.state == "infra":
                infra.append((task.version.student, next((row.got for row in result.rows if row.got), "it has no checks")))
                continue
            old = Task.of(self.term, self.force, task.version).known(self.term)
            moves.append(move(known[task.version.student], old, result, self.new, self.term.settings.deadlines))
        return Outlook(tuple(differences(self.force, self.new)), tuple(sorted(moves, key=lambda m: m.student)), tuple(sorted(infra)),
                       tuple(lost_by_hand(snapshot(self.gradebook, self.force), self.new)))

    @property
    def counting(self) -> dict[str, Version]:
        return counting(self.term, self.module)

    def apply(self, outlook: Outlook) -> Record:
        """Into the gradebook, and then into force."""
        from grading.book.record import apply
        from grading.book.rows import snapshot
        from grading.regrade import ledger
        keys, old_keys = ({student: key_of(version.sha256, assignment.digest, self.term.secret) for student, version in
                           self.counting.items()} for assignment in (self.new, self.force))
        record = ledger.Record.begun(self.module, self.force.digest, self.new.digest, keys, old_keys, outlook.to_dict(),
                                     snapshot(self.gradebook, self.force))
        plan = ledger.Plan(ledger.APPLY, record)
        plan.write(self.term)
        apply(self.gradebook, self.new, _results(self.term, self.module, keys))
        _finish(self.term, self.module, self.gradebook, plan)
        return record


# ---- what is left to do when the gradebook has it, and after a run that was killed ---------------

def _finish_pending(term: Term, module: Module, gradebook: Gradebook) -> str:
    """Finish what was begun, or forget it where nothing has happened yet; what was finished, in words."""
    from grading.book.rows import snapshot
    from grading.regrade import ledger
    plan = ledger.pending(term, module)
    if plan is None:
        return ""
    new = Assignment.load(term, module, plan.record.new)
    if plan.kind == ledger.APPLY and not ledger.committed(plan.record, snapshot(gradebook, new)):
        plan.done(term)
        return ""
    what = f"{unfinished(term, module)} was interrupted, and is finished now"
    _finish(term, module, gradebook, plan)
    return what


def _finish(term: Term, module: Module, gradebook: Gradebook, plan: Plan) -> None:
    """Everything but the change of the gradebook by `apply`.  Again, it does the same."""
    from grading.author.generate import write
    from grading.book.gradebook import RECORDED
    from grading.book.rows import restore, snapshot
    from grading.regrade import ledger
    record = plan.record
    old, new = (Assignment.load(term, module, digest) for digest in (record.old, record.new))
    if plan.kind == ledger.APPLY:
        ledger.applied(record, snapshot(gradebook, new)).save(term)
        force, keys = new, record.keys
    else:
        restore(gradebook, new, record.before, record.after)
        force, keys = old, record.old_keys
    write(term, force)
    force.use(term)
    entered = {row["key"] for row in snapshot(gradebook, force)[RECORDED.name].values()}
    _show(term, module, force, {student: key for student, key in keys.items() if key in entered})
    if plan.kind == ledger.UNDO:
        record.undone(term)
    plan.done(term)


def _show(term: Term, module: Module, assignment: Assignment, keys: dict[str, str]) -> None:
    """The notebooks that formgrader shows, repaired with this assignment's release."""
    from grading.book.record import show
    from tito.repair import repair
    handed_in = {(version.student, version.sha256): version for version in versions(term, module)}
    for result in _results(term, module, keys):
        version = handed_in.get((result.student, result.version))
        if version:
            show(term, assignment, result, version, repair(version.content(), assignment.released).notebook)


def _results(term: Term, module: Module, keys: dict[str, str]) -> list[Result]:
    """What is known under these keys, by student."""
    found = [Result.load(_path(term, module, student, key)) for student, key in sorted(keys.items())]
    return [result for result in found if result and result.state == "graded"]


def _path(term: Term, module: Module, student: str, key: str) -> Path:
    return term.path("results", module.folder.name, student, f"{key}.json")
