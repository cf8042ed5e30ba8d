"""One submission, from a repaired notebook to a result: what a worker does, with nothing but the job that it is given."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from grading.assignment import Assignment
from grading.result import Result
from grading.run import kit
from grading.run.judge import Exam, compared, exam, lowered
from grading.sandbox import Limits as Caps
from grading.sandbox import Sandbox, named
from tito.cells import Document, document
from tito.check.row import blank
from tito.check.session import Limits
from tito.check.verdict import Verdict, judge
from tito.repair import repair

Job = dict[str, Any]
ROOM, SPARE = 4, 1 << 20        # what answers may take: so many times the reference's bytes, and so many more
CELL_SECONDS = 10.0


def paper(assignment: Assignment, secret: bytes, sandbox: Sandbox, caps: Caps) -> str:
    """What all jobs of an assignment share, as one text: the kit, the answers, the probes, the limits."""
    return json.dumps({"label": assignment.label, "folder": assignment.folder, "number": assignment.number, "digest": assignment.digest,
                       "kit": kit.pack(assignment), "solved": _document(assignment, assignment.solved).values(),
                       "probes": assignment.probes, "name": assignment.notebook, "secret": secret.hex(), "sandbox": sandbox.name,
                       "image": getattr(sandbox, "image", ""), "caps": asdict(caps)}, sort_keys=True)


def make_job(assignment: Assignment, paper: str, *, student: str, version: str, content: bytes, key: str) -> Job:
    """Everything that judging this submission takes."""
    repaired = repair(content, assignment.released)
    return {"student": student, "version": version, "key": key, "repairs": list(repaired.notes), "paper": paper,
            "cells": _document(assignment, repaired.notebook).values()}


def examine(job: Job) -> dict[str, Any]:
    """The result of a job, as `Result.to_dict` has it.  job["slot"]: a number that no other job at work on this machine has."""
    began = time.monotonic()
    paper = _paper(job["paper"])
    slot = int(job.get("slot", 0))
    wrong = paper.learn(slot)
    document = paper.document(job["cells"])
    rows, troubles = [replace(blank(c, paper.label, "infra"), got=wrong) for c in document.tests], []
    reasons: dict[str, str] = {}
    if not wrong:
        verdict = paper.judge(document, slot)
        rows, reasons = lowered(document, verdict, paper.exam, paper.solved, paper.reference)
        troubles = [asdict(t) for t in verdict.troubles]
    return Result(job["student"], paper.number, job["version"], paper.digest, job["key"], tuple(rows), tuple(job["repairs"]),
                  tuple(troubles), paper.sandbox.name, round(time.monotonic() - began, 3), reasons).to_dict()


class Paper:
    """A paper as a worker holds it: the kit on disk, and the reference's answers, found on this machine when they are first needed."""

    def __init__(self, text: str):
        facts = json.loads(text)
        self.label, self.number, self.digest, self.name = facts["label"], facts["number"], facts["digest"], facts["name"]
        self.solved, self.caps = self.document(facts["solved"]), Caps(**facts["caps"])
        self.kit = kit.unpack(facts["kit"])
        self.sandbox = named(facts["sandbox"], facts["image"])
        self.exam: Exam = exam(facts["probes"], facts["folder"], bytes.fromhex(facts["secret"]))
        self.reference: list[Any] = []
        self.room = self.caps.memory_mb << 20           # bytes that answers may take
        self.wrong: str | None = None
        self._lock = threading.Lock()

    def document(self, cells: list[dict[str, Any]]) -> Document:
        return Document.of(Path(f"{self.name}.ipynb"), cells)

    def learn(self, slot: int) -> str:
        """Ask the reference, once; why it cannot be relied on, or nothing."""
        with self._lock:
            if self.wrong is None:
                verdict = self.judge(self.solved, slot)
                self.reference = [answer.value for answer in verdict.answers]
                wrong = self._amiss(verdict)
                if any(row.state == "infra" for row in verdict.rows):       # of the moment, perhaps: the next job tries again
                    return wrong
                self.wrong, self.room = wrong, ROOM * len(json.dumps(self.reference)) + SPARE
            return self.wrong

    def _amiss(self, verdict: Verdict) -> str:
        rows, reasons = lowered(self.solved, verdict, self.exam, self.solved, self.reference)
        found = [f"{row.grade_id}: {reasons.get(row.grade_id) or f'{row.state}, {row.got or row.check}'}" for row in rows
                 if row.state != "passed"]
        for probe, answer in zip(self.exam.asked, verdict.answers):
            if alone := f"no answer: {answer.error}" if answer.error else compared(probe, answer, answer.value):
                found.append(f"probe {probe.name}: {alone}")
        asked = {probe.grade_id for probe in self.exam.asked}
        found += [f"{cell.grade_id}: no probe asks for it" for cell in self.solved.tests if cell.grade_id not in asked]
        return f"the reference itself does not pass: {found[0]}" if found else ""

    def judge(self, document: Document, slot: int) -> Verdict:
        """The verdict of the visible part, and what the probes gave."""
        limits = Limits(CELL_SECONDS, float(self.caps.wall_seconds), self.caps.output_kb << 10, self.room)
        return judge(document, self.sandbox.home(self.kit), self.number, self.label, limits=limits, questions=self.exam.questions,
                     launch=self.sandbox.launch(self.kit, slot, self.caps))


@lru_cache(maxsize=4)
def _paper(text: str) -> Paper:
    return Paper(text)


def _document(assignment: Assignment, notebook: dict[str, Any]) -> Document:
    return document(notebook, Path(f"{assignment.notebook}.ipynb"))

