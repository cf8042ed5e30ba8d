"""Judge what was handed in and record it: every verdict is on disk before it is recorded, so a run can be stopped at any point."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from grading.assignment import Assignment
from grading.book.record import recorder
from grading.intake.versions import Version, counting
from grading.result import Result, key_of
from grading.run.jobs import Job, Jobs, Outcome, Work
from grading.run.work import examine, make_job, paper
from grading.sandbox import Sandbox
from grading.sandbox.limits import Limits
from grading.term import Term
from tito.check.row import blank
from tito.cli.results import Report
from tito.course import Module
from tito.errors import ExitCode, TitoError

OUTAGE = 60.0               # seconds for which a gradebook may be away
LONGEST_WAIT = 5.0          # seconds between two tries

Progress = Callable[[int, int, str], None]
T = TypeVar("T")
Record = Callable[[Assignment, Version, Result], Any]
Recorder = Callable[[Term], AbstractContextManager[Record]]


@dataclass(frozen=True)
class Task:
    """One version to judge, by one assignment."""

    assignment: Assignment
    version: Version
    key: str

    @classmethod
    def of(cls, term: Term, assignment: Assignment, version: Version) -> Task:
        return cls(assignment, version, key_of(version.sha256, assignment.digest, term.secret))

    def path(self, term: Term) -> Path:
        """Where its result is kept."""
        return term.path("results", self.assignment.folder, self.version.student, f"{self.key}.json")

    def known(self, term: Term) -> Result | None:
        """Its result, if there is one that stands."""
        found = Result.load(self.path(term))
        return found if found and found.state == "graded" and found.key == self.key else None

    def unjudged(self, why: str) -> Result:
        """The result that says that there is none."""
        rows = [replace(blank(cell, self.assignment.label, "infra"), got=why) for cell in self.assignment.document.tests]
        return Result(self.version.student, self.assignment.number, self.version.sha256, self.assignment.digest, self.key, tuple(rows))

    def __str__(self) -> str:
        return f"{self.version.student} {self.assignment.label}"


def tasks(term: Term, modules: Sequence[Module], students: set[str] | None = None) -> list[Task]:
    """The version that counts of every student, or of the named ones, by the assignments in force."""
    found = []
    for module in modules:
        assignment = Assignment.current(term, module)
        found += [Task.of(term, assignment, version) for student, version in sorted(counting(term, module).items())
                  if students is None or student in students]
    return found


def judged(term: Term, tasks: Sequence[Task], *, jobs: Jobs, sandbox: Sandbox, force: bool = False,
           work: Work = examine) -> Generator[tuple[Task, Result, bool], None, None]:
    """Every task with its result, and whether that was made now: first what is known, then the others as they end.

    A result is on disk before it is told.
    """
    fresh = []
    for task in tasks:
        if not force and (known := task.known(term)):
            yield task, known, False
        else:
            fresh.append(task)
    given = _Given(term, sandbox, fresh)
    with closing(jobs.run(work, given.jobs())) as ended:
        for job, outcome in ended:
            task = fresh[job["task"]]
            yield task, _kept(term, task, outcome), True
            yield from given.refused()
    yield from given.refused()


@dataclass
class _Given:
    """Tasks as jobs, made one by one as they are asked for; those of which none can be made have a result at once."""

    term: Term
    sandbox: Sandbox
    tasks: Sequence[Task]
    papers: dict[str, str] = field(default_factory=dict)
    wrong: list[tuple[Task, str]] = field(default_factory=list)

    def jobs(self) -> Iterator[Job]:
        for number, task in enumerate(self.tasks):
            try:
                yield {**self._job(task), "task": number}
            except (OSError, TitoError) as err:
                self.wrong.append((task, _told(err)))

    def _job(self, task: Task) -> Job:
        digest = task.assignment.digest
        if digest not in self.papers:
            self.papers[digest] = paper(task.assignment, self.term.secret, self.sandbox, Limits.of(self.term.settings.grading))
        return make_job(task.assignment, self.papers[digest], student=task.version.student, version=task.version.sha256,
                        content=task.version.content(), key=task.key)

    def refused(self) -> Iterator[tuple[Task, Result, bool]]:
        while self.wrong:
            task, why = self.wrong.pop()
            yield task, _kept(self.term, task, OSError(why)), True


def _kept(term: Term, task: Task, outcome: Outcome) -> Result:
    result = task.unjudged(str(outcome)) if isinstance(outcome, Exception) else Result.from_dict(outcome)
    result.save(task.path(term))
    return result


@dataclass
class Tally:
    """What a run came to."""

    began: float = field(default_factory=time.monotonic)
    states: Counter[str] = field(default_factory=Counter)           # of submissions
    rows: Counter[str] = field(default_factory=Counter)             # of their graded cells
    made: int = 0                                                   # results of this run; the others were known
    infra: list[tuple[str, str, str]] = field(default_factory=list)             # (student, module, why)
    repaired: list[tuple[str, str, tuple[str, ...]]] = field(default_factory=list)

    @property
    def total(self) -> int:
        return sum(self.states.values())

    def add(self, task: Task, result: Result, new: bool) -> None:
        self.states[result.state] += 1
        self.rows.update(row.state for row in result.rows)
        self.made += new
        if result.state == "infra":
            why = next((row.got or row.check for row in result.rows if row.state == "infra"), "there is nothing to judge")
            self.infra.append((task.version.student, task.assignment.label, why))
        if result.repairs:
            self.repaired.append((task.version.student, task.assignment.label, result.repairs))

    def report(self, sandbox: str, jobs: str) -> Report:
        seconds = time.monotonic() - self.began
        total, rate = self.total, self.made / seconds if seconds else 0.0
        data = {"submissions": total, "judged": self.made, "known": total - self.made, "states": dict(sorted(self.states.items())),
                "cells": dict(sorted(self.rows.items())), "sandbox": sandbox, "jobs": jobs, "seconds": round(seconds, 3),
                "per_second": round(rate, 3),
                "infra": [{"student": s, "module": m, "why": why} for s, m, why in sorted(self.infra)],
                "repaired": [{"student": s, "module": m, "repairs": list(r)} for s, m, r in sorted(self.repaired)]}
        many = "submission" if total == 1 else "submissions"
        what = f"{total} {many}: {self.made} judged in {seconds:.1f} s ({rate:.1f} a second, sandbox {sandbox})"
        if total > self.made:
            what += f", {total - self.made} known"
        if self.infra:
            what += f"; {len(self.infra)} could NOT be judged, and have no points until they are"
        return Report(what, tuple(self._lines()), data, "tito grade autograde" if self.infra else "tito grade report" if total else
                      "tito grade collect", ExitCode.INFRASTRUCTURE if self.infra else ExitCode.OK)

    def _lines(self) -> Iterator[str]:
        if self.rows:
            yield "graded cells: " + ", ".join(f"{count} {state}" for state, count in self.rows.most_common())
        yield from (f"  not judged: {student}, {module}: {why}" for student, module, why in sorted(self.infra))
        for student, module, repairs in sorted(self.repaired):
            yield f"  repaired: {student}, {module}: {'; '.join(repairs)}"


def autograde(term: Term, modules: Sequence[Module], *, students: set[str] | None = None, jobs: Jobs, sandbox: Sandbox, force: bool = False,
              progress: Progress, work: Work = examine, recorder: Recorder = recorder, outage: float = OUTAGE) -> Report:
    """Judge and record every submission that counts; `force`: also those whose verdict is known.

    Stopped at any point and started again, it goes on where it was.  TitoError where the gradebook stays away.
    """
    tally = Tally()
    with term.lock(), ExitStack() as stack:
        _nothing_begun(term, modules)
        todo = tasks(term, modules, students)
        progress(0, len(todo), "")

        def patiently(action: Callable[[], T]) -> T:
            return _patiently(action, outage, lambda: progress(tally.total, len(todo), "waiting for the gradebook"))

        record = patiently(lambda: stack.enter_context(recorder(term)))
        for task, result, new in stack.enter_context(closing(judged(term, todo, jobs=jobs, sandbox=sandbox, force=force, work=work))):
            if damage := _damage(task):                 # nothing is entered: what was recorded of this version stays
                result = task.unjudged(damage)
            else:
                patiently(lambda: record(task.assignment, task.version, result))        # noqa: B023  # called at once
            tally.add(task, result, new)
            progress(tally.total, len(todo), str(task))
    return tally.report(sandbox.name, jobs.name)


def _nothing_begun(term: Term, modules: Sequence[Module]) -> None:
    """TitoError where a regrade was stopped half way: the gradebook may hold its cells already, and not yet its assignment."""
    from grading.regrade import unfinished
    for module in modules:
        if begun := unfinished(term, module):
            raise TitoError(f"{begun} was interrupted", why="submissions are judged by what is in force when it has come to its end",
                            fix=f"finish it with: tito grade regrade {module.number:02d}", code=ExitCode.INTEGRITY)


def _damage(task: Task) -> str:
    """Why the version's file cannot be used, or nothing."""
    try:
        task.version.content()
    except TitoError as err:
        return _told(err)
    return ""


def _patiently(action: Callable[[], T], seconds: float, waiting: Callable[[], None]) -> T:
    """Do something with the gradebook, again and again while its server is away.  TitoError where it stays away."""
    deadline, wait = time.monotonic() + seconds, 0.1
    while True:
        try:
            return action()
        except TitoError as err:
            if err.code is not ExitCode.INFRASTRUCTURE or time.monotonic() >= deadline:
                raise TitoError(err.what, why=err.why, fix=f"{err.fix}; the verdicts so far are kept", code=err.code) from err
        waiting()
        time.sleep(wait)
        wait = min(2 * wait, LONGEST_WAIT)


def _told(err: Exception) -> str:
    return f"{err.what}: {err.why}" if isinstance(err, TitoError) else str(err)
