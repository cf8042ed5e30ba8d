"""From an exception in a graded cell to a row: what was not kept, where in the student's own code it went wrong, what to do."""

from __future__ import annotations

import builtins
import types
from collections.abc import Sequence
from types import FrameType

from tito.cells import Cell, Document
from tito.check import hints, names
from tito.check.failure import CheckFailed
from tito.check.row import Row, told
from tito.check.shown import clean, message
from tito.check.site import Spot, around, decorator_of, line_of, spots, stack, text_of

NOTEBOOK = ("<cell ", "ipykernel", "ipython-input")     # what the files of notebook cells are called
Ran = Sequence[tuple[str, BaseException | None]]


class LeftOut(Exception):
    """Stands for the end of a cell that was left out of a rerun: it did not end, or ended Python."""

    def __init__(self, state: str, text: str):
        super().__init__(text)
        self.state, self.text = state, text


def explain(error: BaseException, row: Row, cell: Cell, document: Document, ran: Ran = ()) -> tuple[Row, str]:
    """The row told, and what is to blame where another cell's mistake is behind it: rows of one blame have one cause."""
    failure = error if isinstance(error, CheckFailed) else None
    cause = error.__cause__ if failure else error
    trail = spots(error)
    test = test_spot(trail, cell)
    row.line = test.line if test else 0
    if cause is not None and (broken := _broken(cause, document, ran)):
        return _of_broken(row, *broken, document), f"cell {broken[0].index}"
    if failure:
        told(row, failure)
    elif isinstance(error, SyntaxError) and test is None:
        row.state, row.got, row.line = "error", message(error), error.lineno or 0
        row.hint = "this cell is locked: bring it back with tito module undo, or tito module reset"
        return row, ""
    if cause is None:
        return row, ""
    row = _raised(row, cause, failure, test, document)
    missing = _missing(cause, document)
    if missing:
        row.hint = f"no cell defines `{missing}`: the checks look for this name"
    same = f"{row.at}: {row.got}" if row.state == "error" and row.at else ""       # one line, one message: one mistake
    return row, f"name {missing}" if missing else same


def _raised(row: Row, cause: BaseException, failure: CheckFailed | None, test: Spot | None, document: Document) -> Row:
    """The row of an exception of the student's code, or of the test around it."""
    raises: dict[str, str] = {}
    if failure is None:
        row.got = message(cause)
        if test:
            row.check, row.call, raises = around(test)
    trail = spots(cause)
    mine = _own(trail, document, cause)
    if mine and _stub(cause, trail, *mine):
        spot, place = mine
        row.state, row.expected, row.got, row.first = "failed", row.expected, "", ""
        row.hint = unwritten(_called(spot), place)
        return row
    row.state = "failed" if isinstance(cause, AssertionError) else "error"
    if mine:
        row.at = told_place(*mine)
    if failure is None:
        chosen = next((raises[k.__name__] for k in type(cause).__mro__ if k.__name__ in raises), "")
        row.hint = chosen or hints.of_exception(cause) or _shadowed(cause, test, document)
    else:
        row.hint = row.hint or _shadowed(cause, test, document)
    return row


def running(frame: FrameType | None, row: Row, cell: Cell, document: Document, seconds: float) -> Row:
    """The row of a graded cell that is still at work: where the test is, and in which of the student's functions."""
    trail = stack(frame)
    test = test_spot(trail, cell)
    row.state, row.got = "timeout", f"still running after {seconds:g} seconds"
    if test:
        row.line = test.line
        row.check, row.call, _ = around(test)
        inside = [(s, place) for s in trail if (place := cell_of(s, document)) is not None and not place.test]
        if inside:      # the function, not the line: where exactly a loop is caught differs from run to run
            row.at = f"{_function(inside[0][0])}cell {label(inside[0][1])}"
    row.hint = "does a loop end?  is something recomputed many times?"
    return row


def label(cell: Cell) -> str:
    """How a person is told of a cell: its grade_id, else its number."""
    return cell.grade_id or str(cell.index + 1)


def unwritten(what: str, cell: Cell) -> str:
    """The hint for a stub."""
    return f"{what} is not written yet: replace `raise NotImplementedError()` in cell {label(cell)}" if what else \
        f"cell {label(cell)} is not written yet: replace `raise NotImplementedError()` in it"


def _called(spot: Spot) -> str:
    """How a person calls the function of a frame; "" for a cell's own top level.  A rule is called `_`: its decorator tells more."""
    name = spot.code.co_qualname.rpartition("<locals>.")[2]
    if name == "_" and (decorated := decorator_of(spot)):
        return decorated
    return "" if name.startswith("<") else f"`{name}`"


def told_place(spot: Spot, cell: Cell) -> str:
    """ "in `add`, cell tensor-add, line 3: return a + c". """
    return f"{_function(spot)}cell {label(cell)}, line {spot.line}: {line_of(spot.file, spot.line)}".rstrip(": ")


def trouble_text(error: BaseException, cell: Cell, document: Document) -> tuple[str, int]:
    """An exception that left an ungraded cell: its message, and its line in that cell."""
    if isinstance(error, LeftOut):
        return error.text, 0
    if isinstance(error, SyntaxError):
        return message(error), error.lineno or 0
    trail = spots(error)
    inside = [s for s in trail if _same(text_of(s.file), cell.source)]
    mine = _own(trail, document)
    text = unwritten(_called(mine[0]), mine[1]).partition(":")[0] if mine and _stub(error, trail, *mine) else message(error)
    return text, inside[-1].line if inside else 0


def elsewhere(error: BaseException, cell: Cell, document: Document) -> str:
    """Where an exception that left this cell arose, if it was in a function of another one: a stub's text says so itself."""
    trail = spots(error)
    mine = _own(trail, document)
    return told_place(*mine) if mine and mine[1] != cell and not _stub(error, trail, *mine) else ""


def test_spot(trail: list[Spot], cell: Cell) -> Spot | None:
    """Where in the test the exception arose: the last frame of the test cell that is not a lambda's."""
    first = next((s for s in trail if _same(text_of(s.file), cell.source)), None)
    first = first or next((s for s in trail if s.code.co_name.startswith("test_")), None)
    if first is None:
        return None
    inside = [s for s in trail if s.file == first.file and s.code.co_name not in ("<lambda>", "<module>")]
    return inside[-1] if inside else first


def cell_of(spot: Spot, document: Document) -> Cell | None:
    """The cell whose code this frame runs: by its text; by its names, where the notebook on disk is older than what runs."""
    if not any(mark in spot.file for mark in NOTEBOOK):
        return None
    text = text_of(spot.file)
    return _source_cell(text, document)


def _same(text: str, source: str) -> bool:
    return text.strip() == source.strip()


def _own(trail: list[Spot], document: Document, cause: BaseException | None = None) -> tuple[Spot, Cell] | None:
    """The innermost frame in the student's own cells; in an answer's, where given code only passes an error on (`raise … from`)."""
    found = [(s, cell) for s in reversed(trail) if (cell := cell_of(s, document)) is not None and not cell.test]
    if cause is not None and cause.__cause__ is not None:
        found = [place for place in found if place[1].solution] or found
    return found[0] if found else None


def _stub(cause: BaseException, trail: list[Spot], spot: Spot, cell: Cell) -> bool:
    """Nothing but the stub's `raise NotImplementedError()`: an abstract method says more."""
    return isinstance(cause, NotImplementedError) and not cause.args and spot is trail[-1] and cell.solution


def _function(spot: Spot) -> str:
    return f"in {called}, " if (called := _called(spot)) else ""


def _missing(cause: BaseException, document: Document) -> str:
    """The name that a test needs and no cell defines: renamed, or deleted."""
    name = str(getattr(cause, "name", None) or "")
    if not isinstance(cause, NameError) or isinstance(cause, UnboundLocalError):
        return ""
    if any(name in names.bound(c.source) for c in document.code):
        return ""
    return name if any(name in names.used(c.source) for c in document.tests) else ""


def _broken(cause: BaseException, document: Document, ran: Ran) -> tuple[Cell, BaseException] | None:
    """The cell that would have defined a missing name, had it not raised; and what it raised."""
    name = getattr(cause, "name", None)
    if not isinstance(name, str) or not isinstance(cause, (NameError, AttributeError)) or isinstance(cause, UnboundLocalError):
        return None
    wanted = name if isinstance(cause, NameError) else "." + name
    for source, error in reversed(ran):
        if wanted in names.bound(source):
            cell = _source_cell(source, document)
            return (cell, error) if error is not None and cell is not None else None
    if not isinstance(cause, NameError):
        return None
    # No cell says the name: perhaps one that says nothing yet, a stub at the top level of its cell.
    silent = ((_source_cell(source, document), error) for source, error in ran if error is not None and not names.bound(source))
    return next(((cell, error) for cell, error in silent if cell is not None and cell.solution), None)


def _source_cell(source: str, document: Document) -> Cell | None:
    """The cell with this source, else the one that shares the most names with it."""
    exact = next((c for c in document.code if _same(source, c.source)), None)
    mine = names.bound(source)
    near = exact or max(document.code, key=lambda c: len(mine & names.bound(c.source)), default=None)
    return near if exact or near and mine & names.bound(near.source) else None


def _of_broken(row: Row, cell: Cell, error: BaseException, document: Document) -> Row:
    """The row of a test that finds nothing to test, because the answer's cell raised."""
    text, line = trouble_text(error, cell, document)
    if isinstance(error, NotImplementedError) and cell.solution and not error.args and line:
        row.state, row.hint = "failed", unwritten("", cell)
        return row
    row.state = error.state if isinstance(error, LeftOut) else "error"
    row.check, row.got, row.hint = f"cell {label(cell)} runs", text, hints.of_exception(error)
    shown = cell.source.split("\n")[line - 1].strip() if 0 < line <= cell.source.count("\n") + 1 else ""
    row.at = f"cell {label(cell)}" + (f", line {line}: {clean(shown, 200)}" if line else "")
    row.at = elsewhere(error, cell, document) or row.at
    return row


def _shadowed(cause: BaseException, test: Spot | None, document: Document) -> str:
    """The hint for a name of Python or of an import that a cell took for something else: `sum = 0`."""
    if test is None or not isinstance(cause, (TypeError, AttributeError)):
        return ""
    world = test.frame.f_globals
    loaded = {n for n in names.used(text_of(test.file)) if n in world}
    imported = {n for c in document.code for n in names.bound(c.source) - names.defined(c.source)}
    for name in sorted(loaded & (set(vars(builtins)) | imported)):
        taken = next((c for c in document.code if name in names.defined(c.source) and not c.test and not c.locked), None)
        usual = isinstance(world[name], (types.FunctionType, type, types.ModuleType)) or callable(world[name])
        if taken and not usual:
            return f"cell {label(taken)} gives the name `{name}` another meaning: choose another name there"
    return ""
