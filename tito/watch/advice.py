"""What the keys of `tito watch` tell: a hint, the next card, what comes after the last."""

from __future__ import annotations

from dataclasses import replace

from tito.check.row import Row
from tito.check.verdict import Verdict
from tito.cli.hint import hint
from tito.cli.results import Report, Result, wrong
from tito.course import Course, Module


def keys(verdict: Verdict) -> str:
    """The line that names the keys."""
    several = "n next card, " if len(wrong(verdict)) > 1 else "n show the card, "
    return f"keys: {f'h hint, {several}' if wrong(verdict) else 'n what comes next, '}r check all again, q quit"


def hint_for(course: Course, module: Module, verdict: Verdict, row: Row) -> Result:
    """What `tito module hint` says of a row, as if it were the first that fails."""
    return hint(course, module, verdict=replace(verdict, rows=verdict.rows[verdict.rows.index(row):]))


def card(verdict: Verdict, at: int, width: int) -> Report:
    """One of the cards, and how many there are."""
    rows = wrong(verdict)
    return Report(f"card {at + 1} of {len(rows)}", ("", *rows[at].card(min(width, 80))))
