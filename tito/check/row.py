"""One graded cell's result, and the card that shows it: the same text in JupyterLab, in the terminal and in feedback."""

from __future__ import annotations

import ast
import re
import textwrap
import unicodedata
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from tito.cells import Cell

if TYPE_CHECKING:
    from tito.check.failure import CheckFailed

STATES = ("passed", "failed", "error", "timeout", "skipped", "infra")
LINES, INDENT = 15, 17
# How many lines a field may take, and the fewest it shrinks to when a card would grow too long.
ROOM = {"check": (2, 1), "call": (2, 1), "expected": (5, 2), "got": (5, 2), "first": (1, 1), "hint": (3, 2), "at": (2, 1), "where": (1, 1)}


@dataclass
class Row:
    state: str
    grade_id: str
    points: float = 0.0         # earned
    max_points: float = 0.0
    sentence: str = ""          # the first line of the test's docstring
    check: str = ""             # the promise that was not kept
    call: str = ""
    expected: str = ""
    got: str = ""
    first: str = ""             # "[0, 0]: 0.0301, not 0.0900", or "shape (2,), not (2, 1)"
    hint: str = ""
    section: str = ""           # heading
    line: int = 0               # in the test cell
    cell: int = 0               # in the notebook, from 1
    at: str = ""                # where in the student's own code an exception arose
    module: str = ""            # "01 tensor"

    @property
    def unwritten(self) -> bool:
        """The answer is still the stub."""
        return self.state == "failed" and "is not written yet" in self.hint

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, facts: dict[str, Any]) -> Row:
        known = {f.name for f in fields(cls)}
        return cls(**{name: value for name, value in facts.items() if name in known})

    def card(self, width: int = 80) -> list[str]:
        """The row as plain text: at most 15 lines."""
        right = max(20, width - INDENT)
        head = fold(self.sentence or self.grade_id or self.check, right, 2)
        points = f"{number(self.points)} of {number(self.max_points)}" if self.max_points or self.grade_id else ""
        lines = [f"{self.state.upper():<8}{points:<9}".ljust(INDENT) + head[0], *(" " * INDENT + text for text in head[1:])]
        if len(points) >= INDENT - 8:
            lines[0] = f"{self.state.upper():<8}{points} {head[0]}"[:width]
        parts = [] if self.state == "passed" else self._parts(right)
        for name, folded in _fitted(parts, right, LINES - len(lines)):
            lines += [" " * 8 + (f"{name:<9}" if k == 0 else " " * 9) + text for k, text in enumerate(folded)]
        return [line.rstrip() for line in lines]

    def _parts(self, width: int) -> list[tuple[str, str, str]]:
        """(label, text, which field's room)."""
        first = "first at" if self.first.startswith("[") else "differs"
        at = "running" if self.state == "timeout" else "raised"
        shown = {"check": self.check, "call": self.call, "expected": self.expected, "got": self.got, "first": self.first, "at": self.at,
                 "hint": self.hint, "where": self._where(width)}
        return [({"first": first, "at": at}.get(name, name), text, name) for name, text in shown.items() if text]

    def _where(self, width: int) -> str:
        """The section and the place in it; where both are too long for a line, the section's heading gives way."""
        section = f"{self.module.split(' ')[0]} {short_heading(self.section)}".strip()
        place = self.grade_id + (f", line {self.line}" if self.line else "")
        room = max(width - columns(place) - columns(" · "), 0)
        if section and columns(section) > room:
            section = textwrap.shorten(section, room, placeholder=" ...") if room > 12 else section.partition(" ")[0]
        return " · ".join(w for w in (section, place) if w)


def short_heading(heading: str) -> str:
    """ "2 · Softmax: scores to probabilities" is "Softmax" to a reader who looks for the place. """
    return re.sub(r"^\d+\s*[·.):-]\s*", "", heading).split(":")[0]


def number(value: float) -> str:
    return f"{value:g}"


def _fitted(parts: list[tuple[str, str, str]], width: int, room: int) -> list[tuple[str, list[str]]]:
    """Every part folded, the longest shortened until all fit."""
    most = {field: ROOM[field][0] for _, _, field in parts}
    while True:
        folded = [(name, fold(text, width, most[field]), field) for name, text, field in parts]
        over = sum(len(lines) for _, lines, _ in folded) - room
        loose = [(len(lines), field) for _, lines, field in folded if len(lines) > ROOM[field][1]]
        if over <= 0 or not loose:
            return [(name, lines) for name, lines, _ in folded]
        longest, field = max(loose)
        most[field] = longest - 1


def columns(text: str) -> int:
    """How wide a terminal shows it."""
    return len(text) if text.isascii() else sum(_wide(c) for c in text)


def _wide(char: str) -> int:
    return 0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1


def fold(text: str, width: int, most: int) -> list[str]:
    """The text in lines of at most `width` columns, at most `most` of them, broken between words where there are any."""
    lines = [part for line in text.split("\n") for part in _broken(line, width)]
    if len(lines) <= most:
        return lines
    # An array's last line holds its dtype and shape, so that one stays.
    if text.count("\n") >= 1 and most >= 2:
        return [*lines[:most - 2], _cut(lines[most - 2], width), lines[-1]]
    return [*lines[:most - 1], _cut(lines[most - 1], width)]


def _cut(line: str, width: int) -> str:
    while columns(line) > width - 4:
        line = line[:-1]
    return line + " ..."


def _broken(line: str, width: int) -> list[str]:
    found = []
    while columns(line) > width:
        end, taken = 0, 0
        while taken + _wide(line[end]) <= width:
            taken += _wide(line[end])
            end += 1
        space = line.rfind(" ", 0, end + 1)
        if line[:space].strip() and space > end // 2:
            end = space
        found.append(line[:end].rstrip())
        line = line[end:].lstrip()
    return [*found, line]


def blank(cell: Cell, module: str, state: str = "passed") -> Row:
    """A graded cell's row before anything is known of its result."""
    return Row(state, cell.grade_id, cell.points if state == "passed" else 0.0, cell.points, sentence_of(cell.source),
               section=cell.heading, cell=cell.index + 1, module=module)


@lru_cache(maxsize=256)
def sentence_of(source: str) -> str:
    """The first line of the docstring of the cell's `test_` function."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return ""
    tests = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name.startswith("test_")]
    return ((ast.get_docstring(tests[0]) or "").strip().split("\n")[0] if tests else "").strip()


def told(row: Row, failure: CheckFailed) -> Row:
    """The row with what a failed check knows."""
    row.check, row.call, row.expected, row.got = failure.check, failure.call, failure.expected, failure.got
    row.first, row.hint = failure.first, failure.hint
    return row


def row_for(error: BaseException, cell: Cell, document: Any, module: str, ran: Any = ()) -> Row:
    """The row of a graded cell in which this exception arose.  `ran`: (source, exception or None) of the cells run so far."""
    from tito.check.reason import explain  # only a failure needs it
    return explain(error, blank(cell, module, "failed"), cell, document, ran)[0]
