"""Two versions of a notebook, compared by what a person writes: the text of its cells, whatever running them has left there."""

from __future__ import annotations

import json
from pathlib import Path

from tito.cells import Cell, document
from tito.errors import TitoError

SHOWN = 3                       # answers that are named; the others are counted


def cells(content: bytes) -> tuple[Cell, ...] | None:
    """A notebook's cells; None where the bytes are no notebook."""
    try:
        return document(json.loads(content), Path()).cells
    except (ValueError, TitoError, RecursionError):
        return None


def same(one: bytes, other: bytes) -> bool:
    """Whether nothing that a person wrote differs."""
    if one == other:
        return True
    here, there = cells(one), cells(other)
    return here is not None and there is not None and _texts(here) == _texts(there)


def differing(kept: bytes, now: bytes) -> tuple[str, ...]:
    """The answers that are not the same in both, by their grade_ids, in order."""
    here, there = ({c.grade_id: c.source for c in cells(content) or () if c.solution} for content in (kept, now))
    return tuple(name for name in here | there if here.get(name) != there.get(name))


def difference(kept: bytes, now: bytes | None) -> str:
    """In one phrase how a kept notebook differs from the present one."""
    if now is None:
        return "there is no notebook now"
    if kept == now:
        return "same as now"
    if cells(kept) is None:
        return "not a readable notebook"
    if cells(now) is None:
        return "the present notebook cannot be read"
    if names := differing(kept, now):
        shown = ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
        return f"{len(names)} answers differ: {shown}" if len(names) > 1 else f"1 answer differs: {shown}"
    return "same as now, but for what running it left" if same(kept, now) else "same answers as now; other cells differ"


def _texts(found: tuple[Cell, ...]) -> list[tuple[str, str, str]]:
    return [(cell.kind, cell.grade_id, cell.source) for cell in found]
