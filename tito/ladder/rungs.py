"""The three rungs for a check that fails: the mistake, the idea, the shape of the answer.  Never the answer."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from tito.cells import Cell, Document, read_notebook
from tito.check.names import Uses
from tito.check.row import Row
from tito.course import Module
from tito.ladder.prose import before
from tito.ladder.stubs import stubs
from tito.released import released

SCHEMA = 1
OWN_SOURCE = "This is the course's own source: the reference stands in its cell {}.  In a student edition this hint shows the stub, and an \
outline of the reference."
TOGETHER = "It builds on these answers.  Each has a check of its own, which passes; so look at how they are used together:"
COUNTS = (("lines", "line"), ("loops", "loop"), ("branches", "branch"), ("returns", "return"))
CELL = re.compile(r"\bcell ([\w.-]+)")


@dataclass(frozen=True)
class Part:
    """A piece of a rung; `form` is "text", "code", "markdown", or a word such as "expected" that stands before the text."""

    form: str
    text: str


@dataclass(frozen=True)
class Rung:
    title: str
    parts: tuple[Part, ...]

    def to_dict(self) -> dict[str, Any]:
        return {"title": self.title, "parts": [asdict(part) for part in self.parts if part.text]}


@dataclass(frozen=True)
class Place:
    """Where a check that fails stands: the student's notebook, the row of the check, and the notebook as it was released."""

    module: Module
    work: Document
    row: Row

    @cached_property
    def document(self) -> Document:
        """What is told from: the released notebook, or the course's own source."""
        path = released(self.module)
        return read_notebook(path) if path.is_file() else self.work

    @cached_property
    def check(self) -> Cell | None:
        return self._cell(self.row.grade_id)

    @cached_property
    def uses(self) -> Uses:
        return Uses(self.document)

    @cached_property
    def answer(self) -> Cell | None:
        """The answer that is to be written or mended; None where a check is about several."""
        named = [cell for name in CELL.findall(f"{self.row.hint} {self.row.at}") if (cell := self._cell(name)) and _answer(cell)]
        own = [c for c in self.uses.cells if self.check and self.uses.own.get(c.index) == self.check]
        if self.check and _answer(self.check):
            return self.check
        return named[0] if named and (self.row.unwritten or not own) else own[-1] if own else None

    @property
    def parts_of_check(self) -> list[Cell]:
        return self.uses.solutions(self.check) if self.check and self.check.test else []

    def number(self, cell: Cell) -> int:
        """Of a cell in the student's notebook, from 1."""
        same = (c for c in self.work.cells if (c.grade_id == cell.grade_id if cell.grade_id else c.source == cell.source))
        return next(same, cell).index + 1

    def _cell(self, grade_id: str) -> Cell | None:
        return next((c for c in self.document.cells if grade_id and c.grade_id == grade_id), None)


def _answer(cell: Cell) -> bool:
    return cell.kind == "code" and cell.solution and not cell.grade


def ladder(place: Place) -> tuple[Rung, ...]:
    """All rungs for a check that fails; one alone where the cell is no part of an answer."""
    if place.row.state == "skipped":
        return (Rung("another check comes first", (Part("text", place.row.hint),)),)
    first = mistake(place)
    return (first, idea(place), shape(place)) if place.answer or place.parts_of_check else (first,)


def mistake(place: Place) -> Rung:
    """What the card knows, the hint first."""
    row = place.row
    if row.unwritten:
        return Rung("not written yet", tuple(_to_write(place)))
    hint = row.hint or ("Python says what is wrong: look at the line that it names" if row.state == "error" else
                        "this mistake has no hint of its own: compare what was expected with what came")
    facts = (Part(name, getattr(row, name)) for name in ("check", "call", "expected", "got"))
    differs = Part("first at" if row.first.startswith("[") else "differs", row.first)
    at = Part("running" if row.state == "timeout" else "raised", row.at)
    return Rung("what went wrong", (Part("text", hint), *facts, differs, at))


def _to_write(place: Place) -> list[Part]:
    parts = [Part("text", place.row.hint)]
    if cell := place.answer:
        parts.append(Part("text", f"It is cell {place.number(cell)} of the notebook, below \"{cell.heading}\": the text above it says "
                                  "what to write, the check below it whether it is right."))
    return parts


def idea(place: Place) -> Rung:
    """Where it is explained, and the explanation."""
    about = place.answer or place.check
    assert about is not None
    text, last, shortened = before(place.document, about)
    path = f"modules/{place.module.folder.name}/{(place.work.path or place.module.notebook).name}"
    where = f"{path}, cell {place.number(last or about)}" + ("; the section says more" if shortened else "")
    together = () if place.answer else (Part("text", "This check puts together what was checked one by one before."),)
    told = Part("markdown", text) if text else Part("text", "It has no text of its own: read from the heading on.")
    return Rung(f"the idea: {about.heading}", (*together, told, Part("where", where)))


def shape(place: Place) -> Rung:
    """What is given of the answer, and what the reference is made of."""
    if place.answer is None:
        return _shape_of_many(place)
    cell = place.answer
    if place.module.source.exists():
        return Rung(f"the shape of the answer: {cell.grade_id}", (Part("text", OWN_SOURCE.format(cell.grade_id)),))
    found = stubs(cell.source)
    parts = [Part("text", f"What is given in cell {place.number(cell)}:")]
    facts = f"{place.row.hint} {place.row.call} {place.row.at} {place.row.check}"
    about = [k for k, stub in enumerate(found) if stub.named_in(facts)] or range(len(found))
    known = _outlines(place.module, cell.grade_id)
    for k in about:
        parts.append(Part("code", found[k].given))
        if len(known) == len(found):
            parts += _outline(known[k])
    return Rung(f"the shape of the answer: {cell.grade_id}", tuple(parts))


def _shape_of_many(place: Place) -> Rung:
    lines = (place.check.source.split("\n") if place.check else [""])
    own = lines[place.row.line - 1].strip() if 0 < place.row.line <= len(lines) else ""
    answers = "\n".join(f"{cell.grade_id}: {cell.heading}" for cell in place.parts_of_check[-8:])
    asked = (Part("text", "This is what it asks:"), Part("code", own)) if own else ()
    return Rung("the shape: several answers at once", (*asked, Part("text", TOGETHER), Part("code", answers)))


def _outlines(module: Module, grade_id: str) -> list[dict[str, Any]]:
    """The outlines of an answer; none where the edition has none, or they cannot be read."""
    try:
        data = json.loads(released(module).with_name("outline.json").read_text(encoding="utf-8"))
        known = data["answers"][grade_id] if data["schema_version"] == SCHEMA else []
        return [dict(each) for each in known]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _outline(known: dict[str, Any]) -> list[Part]:
    """An outline as three facts."""
    try:
        counts = [_many(known[key], name) for key, name in COUNTS]
        uses, signs = ", ".join(map(str, known["uses"])), ", ".join(map(str, known["signs"]))
    except (KeyError, TypeError):
        return []
    return [Part("reference", ", ".join(counts)), Part("uses", uses), Part("signs", signs)]


def _many(count: int, thing: str) -> str:
    ending = "es" if thing.endswith("ch") else "s"
    return f"{count or 'no'} {thing}{'' if count == 1 else ending}"
