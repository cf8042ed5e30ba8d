"""A student's notebook, rebuilt from the released one: the same at home and in grading, so that both judge the same cells."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tito.cells import DEFAULT_EXP
from tito.repair.matching import Matching
from tito.repair.piece import Piece, Slot
from tito.repair.reading import read_pieces

MOST = 20                       # notes that a person is told
MARKS = ("grade", "grade_id", "locked", "points", "schema_version", "solution", "task")
ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True)
class Repaired:
    """The notebook that is judged (nbformat 4.5, without outputs), what was done to it, and the grade_ids of answers that are not there."""

    notebook: dict[str, Any]
    notes: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()


def repair(content: bytes, released: dict[str, Any]) -> Repaired:
    """The released notebook with a student's answers and own cells in it.  No bytes make it raise; what is whole stays as it is.

    Every released cell is there, in its order, with its metadata: checks and locked cells as they were released, answers and given cells
    with the student's text, or the released one where there is none.  The student's own cells follow the cell that they followed.
    """
    slots = [Slot(index, cell) for index, cell in enumerate(released["cells"])]
    pieces, notes = read_pieces(content)
    if other := _other_module(slots, pieces):
        pieces, notes = [], [*notes, f"this is the notebook of another module ({other}): nothing of it could be used"]
    match = Matching(slots, pieces)
    lost = tuple(s.grade_id for s in match.missing if s.answer)
    if pieces:
        notes += [*_changed(match), *_absent(match), *_more(match), *_metadata(match)]
    if len(notes) > MOST:
        notes = [*notes[:MOST], f"and {len(notes) - MOST} more"]
    return Repaired({**released, "cells": list(_cells(match))}, tuple(notes), lost)


def _other_module(slots: list[Slot], pieces: list[Piece]) -> str:
    """What a notebook that has none of our answers says that it exports to, where that is not what the released one says."""
    ours = {found[1] for s in slots if (found := DEFAULT_EXP.search(s.source))}
    theirs = [found[1] for p in pieces if (found := DEFAULT_EXP.search(p.source))]
    answers = {s.grade_id for s in slots if s.answer}
    alien = bool(ours and theirs) and not ours & set(theirs) and not any(p.grade_id in answers for p in pieces)
    return theirs[0] if alien else ""


def _cells(match: Matching) -> Iterator[dict[str, Any]]:
    own: dict[int, list[Piece]] = defaultdict(list)
    anchor = -1
    for piece in match.pieces:
        if piece in match.home:
            anchor = match.home[piece].index
        elif piece not in match.gone:
            own[anchor].append(piece)
        anchor = max(anchor, match.reach.get(piece, -1))
    used = Counter(s.id for s in match.slots)
    for piece in own[-1]:
        yield _own_cell(piece, used)
    for slot in match.slots:
        yield _released_cell(slot, match.taken.get(slot))
        for piece in own[slot.index]:
            yield _own_cell(piece, used)


def _released_cell(slot: Slot, piece: Piece | None) -> dict[str, Any]:
    """A released cell with the student's text, where that is for the student to write."""
    cell = {key: value for key, value in slot.cell.items() if key != "attachments"} | {"source": slot.source}
    if piece and not slot.fixed:
        cell["source"] = piece.source
    attachments = piece.attachments if piece and not slot.fixed else slot.cell.get("attachments")
    if attachments and slot.kind != "code":
        cell["attachments"] = attachments
    if slot.kind == "code":
        cell |= {"execution_count": None, "outputs": []}
    return cell


def _own_cell(piece: Piece, used: Counter[str]) -> dict[str, Any]:
    """A cell of the student's own: it runs where it stood, and is not graded."""
    name = piece.id
    if not name or name in used:
        name = base = hashlib.sha256(f"{piece.kind}\n{piece.source}".encode()).hexdigest()[:8]
        while name in used:
            used[base] += 1
            name = f"{base}-{used[base]}"
    used[name] += 1
    cell: dict[str, Any] = {"cell_type": piece.kind, "id": name, "metadata": {"tags": list(piece.tags)} if piece.tags else {},
                            "source": piece.source}
    if piece.kind == "code":
        cell |= {"execution_count": None, "outputs": []}
    elif piece.attachments:
        cell["attachments"] = piece.attachments
    return cell


def _changed(match: Matching) -> Iterator[str]:
    """Notes on cells that are there, but not as they were."""
    for slot in match.slots:
        piece = match.taken.get(slot)
        if not piece:
            continue
        if slot in match.shared or slot.fixed and (piece.text, piece.kind) != (slot.text, slot.kind):
            yield f"the {'check' if slot.check else 'locked cell'} {slot.grade_id} was changed in the notebook: the released one is used"
        if piece.kind != slot.kind and not slot.fixed:
            yield f"{_called(slot)} was made a {piece.kind} cell: it is a {slot.kind} cell again"
    for how in dict.fromkeys(match.found.values()):
        if names := [s.grade_id for s in match.slots if s.answer and match.found.get(s) == how]:
            yield f"{'these answers were' if len(names) > 1 else 'an answer was'} {how}: {_listed(names)}"
    for slot in match.copies:
        yield f"{_called(slot)} stood there more than once: the last one with something in it counts"


def _absent(match: Matching) -> Iterator[str]:
    """Notes on cells that are not there."""
    for slot in match.missing:
        if slot.answer:
            yield f"{_called(slot)} was deleted: its stub stands in its place"
        elif slot.fixed or slot.kind == "code" and slot.text and "analysis" not in slot.tags:
            yield f"{_called(slot)} was deleted: the released one is used"


def _more(match: Matching) -> Iterator[str]:
    """Notes on cells that stood elsewhere, and on cells that claimed to be graded."""
    order = [match.home[p].index for p in match.pieces if p in match.home]
    moved = [match.slots[b] for a, b in zip(order, order[1:]) if b < a]
    if moved:
        yield f"cells were moved: they stand in the released order again, such as {_called(moved[0])}"
    for piece in match.pieces:
        if piece not in match.home and piece not in match.gone and (piece.marks or {}).get("grade"):
            yield f"the cell {_word(piece.grade_id)} is not one of the graded cells: it runs, and gives no points"


def _metadata(match: Matching) -> Iterator[str]:
    """A note on metadata that are not as they were released."""
    bad = [slot for slot, piece in match.taken.items() if slot.grade_id and
           ({key: (piece.marks or {}).get(key) for key in MARKS} != {key: slot.marks.get(key) for key in MARKS} or piece.tags != slot.tags)]
    if bad:
        names = _listed([s.grade_id for s in sorted(bad, key=lambda s: s.index)])
        yield f"the metadata of {names} were missing or changed: the released ones are used"


def _called(slot: Slot) -> str:
    """A released cell as a person knows it."""
    if slot.grade_id:
        return f"the {'check' if slot.check else 'cell'} {slot.grade_id}"
    return f'the given cell "{_word(slot.text.split(chr(10), 1)[0])}"'


def _listed(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _word(text: str) -> str:
    """A student's or a cell's words, short enough for a line and without what would break one."""
    shown = " ".join(text.split())
    return (shown if len(shown) <= 40 else shown[:39] + "…") or "without a name"
