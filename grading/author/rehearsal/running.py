"""What running an assignment shows: on the stub nothing passes, on the answers everything does, each time, and soon."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from grading.assignment import Assignment
from grading.author.rehearsal.problem import BOOLEANS, FAILS, FLAKY, SLOW, STUB, UNTRIED, Problem
from grading.author.stopwatch import seconds, timed
from tito.cells import Document, document
from tito.check.probing import Probe, defined
from tito.check.session import Questions
from tito.check.values import unpack
from tito.check.verdict import Verdict, judge
from tito.dev.checks import ask
from tito.errors import TitoError
from tito.parsing import parsing_in_turn

NOTEBOOK_SECONDS, CELL_SECONDS = 3.0, 1.0
PROBE_SEEDS = (1, 2)            # of the questions to the answers
FIRST, SECOND = "times-1", "times-2"                    # files: what the cells of the answers took
CHUNK = 5                       # seeds to a process: each process has another order of sets
Lines = dict[str, int]          # grade_id: line of the source
Task = Callable[[], list[Problem]]


class Stage:
    """An assignment in a folder of its own: the package before it, and nothing later."""

    def __init__(self, assignment: Assignment, folder: Path, lines: Lines):
        self.assignment, self.folder, self.lines = assignment, folder, lines
        self.solved = document(assignment.solved, Path(f"{assignment.notebook}.ipynb"))
        self.probes = folder / "probes.py"
        self.probes.write_text(assignment.probes, encoding="utf-8")
        for path, text in assignment.package.items():
            (folder / "tinytorch" / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / "tinytorch" / path).write_text(text, encoding="utf-8")

    def tasks(self, seeds: int) -> list[Task]:
        """What there is to try, each for itself."""
        chunks = [range(start, min(start + CHUNK, seeds)) for start in range(0, seeds, CHUNK)]
        return [self.stub, self.reference, *(partial(self.shaken, chunk) for chunk in chunks)]

    def problem(self, kind: str, what: str, where: str = "", why: str = "", fix: str = "") -> Problem:
        return Problem(self.lines.get(where, 0), kind, what, where, why, fix)

    # ---- the stub ------------------------------------------------------------------------------

    def stub(self) -> list[Problem]:
        """No check passes on what students are given."""
        verdict = self._judged(self.assignment.document)
        return self._broken(verdict) or [
            self.problem(STUB, f"{row.grade_id} passes on the notebook as it is released", row.grade_id,
                         f"{row.max_points:g} points for nothing", "let the check ask for what only an answer gives")
            for row in verdict.rows if row.state == "passed"]

    # ---- the answers ---------------------------------------------------------------------------

    def reference(self) -> list[Problem]:
        """Every check passes on the answers, every probe answers with values, and it takes little time."""
        try:
            probes = defined(self.assignment.probes, Probe)
        except Exception as err:
            return [self.problem(FAILS, f"probes.py cannot be run: {type(err).__name__}: {err}", fix="mend it there")]
        asked = tuple((which, seed) for which in range(len(probes)) for seed in PROBE_SEEDS)
        verdict = self._judged(self.solved, Questions(self.assignment.probes, asked), FIRST)
        failing = [self.problem(FAILS, f"{row.grade_id} says {row.state} of the answers", row.grade_id, row.got or row.check or row.hint,
                                "mend the answer, or the check") for row in verdict.rows if row.state not in ("passed", "infra", "skipped")]
        failing += [self.problem(FAILS, f"a cell of the answers raises {t.error}", t.grade_id, fix="mend it") for t in verdict.troubles
                    if t.exported or t.solution]
        named = {p.where for p in failing}
        silent = [p for p in self._answered(probes, verdict) if p.where not in named]
        return self._broken(verdict) or [*failing, *silent, *self._slow()]

    def _answered(self, probes: list[Probe], verdict: Verdict) -> Iterator[Problem]:
        size = len(PROBE_SEEDS)
        for n, probe in enumerate(probes):
            answers = verdict.answers[n * size:(n + 1) * size]
            if error := next((a.error for a in answers if a.error), ""):
                yield self.problem(FAILS, f"probe {probe.name} has no answer: {error}", probe.grade_id, fix="mend it in probes.py")
            elif only_one_truth([unpack(a.value) for a in answers]):
                yield self.problem(BOOLEANS, f"probe {probe.name} says one and the same truth, whatever the seed", probe.grade_id,
                                   "it compares beside a student's code, which can tell it what to say",
                                   "return the values themselves, and choose a comparator")

    def _slow(self) -> Iterator[Problem]:
        """Processor time, the lesser of two runs."""
        slow = seconds(self.folder / FIRST)
        if _too_slow(slow):
            self._judged(self.solved, times=SECOND)
            again = seconds(self.folder / SECOND)
            slow = {index: min(taken, again.get(index, taken)) for index, taken in slow.items()}
        for index, taken in slow.items():
            if taken > CELL_SECONDS:
                cell = self.solved.cells[index]
                yield self.problem(SLOW, f"{cell.grade_id or f'cell {index + 1}'} takes {taken:.1f} s", cell.grade_id,
                                   f"a cell takes at most {CELL_SECONDS:g} s of processor time", "make its numbers smaller")
        if sum(slow.values()) > NOTEBOOK_SECONDS:
            yield self.problem(SLOW, f"the graded notebook takes {sum(slow.values()):.1f} s", "",
                               f"it takes at most {NOTEBOOK_SECONDS:g} s of processor time", "make the numbers of its cells smaller")

    # ---- the answers, shaken -------------------------------------------------------------------

    def shaken(self, chunk: range) -> list[Problem]:
        """The answers pass with other random numbers and another order of sets, too."""
        job = {"cells": self.solved.values(), "name": f"{self.assignment.notebook}.ipynb", "root": str(self.folder),
               "number": self.assignment.number, "module": self.assignment.label, "trials": [], "mistakes": [], "seeds": list(chunk),
               "probes": str(self.probes)}
        events, broken = ask.events_of(job, hash_seed=chunk.start)
        seen = [(f"with seed {e['seed']}: {sentence}", _blamed(e)) for e in events
                if e["event"] == "seed" and (sentence := ask.sentence(e))]
        seen += [(f"with the order of sets {chunk.start}: {text}", "") for text in broken]
        return [self.problem(FLAKY, what, where, "right answers would fail by chance",
                             "fix the seed of what is drawn, or ask for less precision") for what, where in seen]

    # ---- judging -------------------------------------------------------------------------------

    def _judged(self, document: Document, questions: Questions | None = None, times: str = "times") -> Verdict:
        return judge(document, self.folder, self.assignment.number, self.assignment.label, questions=questions,
                     launch=timed(self.folder / times))

    def _broken(self, verdict: Verdict) -> list[Problem]:
        """Why nothing could be tried at all."""
        found = [row.got for row in verdict.rows if row.state == "infra"]
        return [self.problem(UNTRIED, f"the checks cannot be run: {found[0]}", fix="tito grade doctor")] if found else []


def _too_slow(times: dict[int, float]) -> bool:
    return sum(times.values()) > NOTEBOOK_SECONDS or any(taken > CELL_SECONDS for taken in times.values())


def _blamed(event: dict[str, Any]) -> str:
    return str(event.get("grade_id") or event.get("row", {}).get("grade_id", ""))


def only_one_truth(value: Any) -> bool:
    """Whether a value holds nothing but one truth, however often."""
    leaves = list(_leaves(value))
    return bool(leaves) and all(isinstance(leaf, (bool, np.bool_)) for leaf in leaves) and len(set(leaves)) == 1


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, np.ndarray):
        yield from value.ravel()
    elif isinstance(value, (list, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _leaves(item)
    elif value is not None:
        yield value


def tried(stage: Stage, seeds: int, progress: Callable[[int, int, str], None]) -> list[Problem]:
    """Everything, on all cores (the work is in processes of its own)."""
    tasks = stage.tasks(seeds)
    found: list[Problem] = []
    with parsing_in_turn(), ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for done, problems in enumerate(pool.map(lambda task: _safely(stage, task), tasks), 1):
            found += problems
            progress(done, len(tasks), stage.assignment.label)
    if any(p.kind == FAILS for p in found):
        return [p for p in found if p.kind != FLAKY]        # what always fails is not flaky
    return found


def _safely(stage: Stage, task: Task) -> list[Problem]:
    try:
        return task()
    except (TitoError, ValueError, OSError) as err:
        return [stage.problem(UNTRIED, f"{type(err).__name__}: {err}", fix="tito grade doctor")]
