"""Outside the sandbox: points need the visible check to pass *and* the probes to give what the reference gives."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from grading.run.forbidden import used
from tito.cells import Document
from tito.check.probing import Ban, Probe, defined
from tito.check.row import Row
from tito.check.session import Answer, Questions
from tito.check.values import unpack
from tito.check.verdict import Verdict

SEEDS = 2                       # questions to each probe
HIDDEN = "hidden check"


@dataclass(frozen=True)
class Exam:
    """The probes of an assignment, the seeds of this term, and what the task forbids."""

    probes: tuple[Probe, ...]
    bans: tuple[Ban, ...]
    questions: Questions

    @property
    def asked(self) -> list[Probe]:
        """The probe of each question."""
        return [self.probes[which] for which, _ in self.questions.asked]


@lru_cache(maxsize=8)
def exam(text: str, folder: str, secret: bytes) -> Exam:
    """Its seeds depend on the term's secret and the probe's name alone: a regrade asks what was asked before."""
    probes = tuple(defined(text, Probe))
    asked = tuple((which, _seed(secret, f"{folder}/{probe.grade_id}/{probe.name}/{k}"))
                  for which, probe in enumerate(probes) for k in range(SEEDS))
    return Exam(probes, tuple(defined(text, Ban)), Questions(text, asked))


def _seed(secret: bytes, what: str) -> int:
    return int.from_bytes(hmac.digest(secret, what.encode(), hashlib.sha256)[:6], "big")


def lowered(document: Document, verdict: Verdict, exam: Exam, solved: Document,
            reference: Sequence[Any]) -> tuple[list[Row], dict[str, str]]:
    """The rows after the hidden part, and for the instructor why rows were lowered.

    `solved`: the reference's notebook; `reference`: its packed value of each question.
    """
    if any(row.state == "infra" for row in verdict.rows):
        return verdict.rows, {}
    reasons: dict[str, str] = {}
    for probe, answer, wanted in zip(exam.asked, verdict.answers, reference, strict=True):
        if probe.grade_id not in reasons and (found := differs(probe, answer, wanted)):
            reasons[probe.grade_id] = f"probe {probe.name}: {found}"
    banned = {ban.grade_id: means for ban in exam.bans if (means := used(document, ban, solved))}
    rows = [_lowered(row, reasons, banned) for row in verdict.rows]
    changed = {row.grade_id for row, before in zip(rows, verdict.rows) if row is not before}
    return rows, {name: banned.get(name) and f"forbidden: {banned[name]}" or reasons[name] for name in changed}


def _lowered(row: Row, reasons: dict[str, str], banned: dict[str, str]) -> Row:
    if row.state != "passed":
        return row
    if row.grade_id in banned:
        return replace(row, state="failed", points=0.0, check="done by the means that the task asks for",
                       hint=f"this task is to be done without {banned[row.grade_id]}")
    if row.grade_id in reasons:
        return replace(row, state="failed", points=0.0, check=HIDDEN,
                       hint="right for the inputs that the notebook shows, not for others like them")
    return row


def differs(probe: Probe, answer: Answer, wanted: Any) -> str:
    """In what an answer is not the reference's; nothing where it is."""
    if answer.error:
        return f"no answer: {answer.error}"
    # Mostly it is the same bit by bit; that the reference agrees with itself, `Paper.learn` has seen to.
    return "" if answer.value == wanted else compared(probe, answer, wanted)


def compared(probe: Probe, answer: Answer, wanted: Any) -> str:
    """In what an answer differs for the probe's comparator.  Whatever it may be, this comes to an end and does not raise."""
    try:
        return probe.compare(unpack(answer.value), unpack(wanted))
    except (Exception, RecursionError) as err:
        return f"cannot be compared: {type(err).__name__}"
