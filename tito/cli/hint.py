"""`tito module hint`: one rung further for the check that fails; and when all pass, the course's own answers, if they are there."""

from __future__ import annotations

import difflib
from dataclasses import replace
from typing import Any

from tito import state as progress
from tito.cells import Document
from tito.check.names import Uses
from tito.check.row import Row, number
from tito.cli.module import next_command, verdict_code
from tito.cli.results import Hinted, wrong
from tito.course import Course, Module
from tito.errors import ExitCode, TitoError
from tito.ladder import memory
from tito.ladder.answers import pairs, read_answers, same
from tito.ladder.rungs import Place, ladder
from tito.released import read


def hint(course: Course, module: Module, check: str = "", *, every: bool = False, verdict: Any = None) -> Hinted:
    """The next rung for the first check that fails (or for `check`, by its grade_id or its answer's); all of them with `every`.

    `verdict` is that of a caller who has just judged the notebook; else it is judged here.
    """
    progress.require_in_order(course, progress.load(course), module)
    document = read(module).document
    if verdict is None:
        from tito.check.verdict import judge
        verdict = judge(document, course.root, module.number, module.label)
    wanted = _named(document, module, check)
    if verdict.ok:
        memory.forget(course.root, module)
        return _passed(course, module, document, wanted)
    row = _first(verdict, wanted)
    if row is None:
        return Hinted(module.label, wanted[-1], f"{wanted[-1]} passes", 0, 0, (), 1, (), (), f"tito module hint {module.number:02d}")
    return _climbed(course, Place(module, document, row), every=every, named=bool(check), code=verdict_code(verdict))


def _named(document: Document, module: Module, check: str) -> tuple[str, ...]:
    """The grade_ids that are meant: of an answer, if there is one, and of its check, last.  TitoError where nothing has this name."""
    if not check:
        return ()
    checks = Uses(document).own
    own = {cell.grade_id: checks[cell.index].grade_id for cell in document.code if cell.index in checks}
    if check in own:
        return check, own[check]
    if any(cell.grade_id == check for cell in document.tests):
        return (*[answer for answer, test in own.items() if test == check][-1:], check)
    names = [cell.grade_id for cell in document.tests]
    near = difflib.get_close_matches(check, [*names, *own], 1)
    raise TitoError(f"module {module.label} has no check '{check}'", why=f"did you mean {near[0]}?" if near else "its checks are "
                    + ", ".join(names), fix=f"leave it out for the first that fails: tito module hint {module.number:02d}")


def _first(verdict: Any, wanted: tuple[str, ...]) -> Row | None:
    """The row to help with: of the check that is meant, else the first that fails, else one made of a cell that raised."""
    if wanted:
        return next((row for row in verdict.rows if row.grade_id == wanted[-1] and row.state != "passed"), None)
    troubles = [t for t in verdict.troubles if t.exported or t.solution]
    return next(iter([*wrong(verdict), *map(_row_of, troubles), *(row for row in verdict.rows if row.state == "skipped")]), None)


def _row_of(trouble: Any) -> Row:
    """All checks pass, and yet a cell that belongs to the answer raises."""
    name = trouble.grade_id or f"cell {trouble.cell}"
    at = f"{name}, line {trouble.line}" if trouble.line else name
    return Row("error", name, sentence="the cells that are exported run without an error", check=f"{name} runs", got=trouble.error, at=at,
               section=trouble.heading, cell=trouble.cell)


def _climbed(course: Course, place: Place, *, every: bool, named: bool, code: ExitCode) -> Hinted:
    row, nn = place.row, f"{place.module.number:02d}"
    rungs = ladder(place)
    if code == ExitCode.INFRASTRUCTURE:
        return Hinted(place.module.label, row.grade_id, row.sentence, 1, 1, rungs[:1], 1, (), (), f"tito module test {nn}", code)
    top = len(rungs)
    rung = memory.climb(course.root, place.module, row, top, at_once=every)
    last = rung == top
    again = f"tito module hint {nn}" + (f" {row.grade_id}" if named else "")
    notes = (f"this was the last one; all of them: {again} --all",) if last and not every and top > 1 else ()
    command = f"tito module hint {nn}" if row.state == "skipped" else f"tito module test {nn}" if last else again
    return Hinted(place.module.label, row.grade_id, row.sentence, rung, top, rungs if every else rungs[rung - 1:rung],
                  1 if every else rung, (), notes, command)


def _passed(course: Course, module: Module, document: Document, wanted: tuple[str, ...]) -> Hinted:
    """Every check passes: what comes next, and how the course itself has written it, where its answers are there."""
    state = progress.load(course)
    done = module.number in state.completed or not course.is_edition
    command = next_command(course, state) if done else f"tito module complete {module.number:02d}"
    points = number(sum(test.points for test in document.tests))
    result = Hinted(module.label, "", f"every check passes, {points} points", 0, 0, (), 1, (), (), command)
    answers = read_answers(course, module)
    if answers is None:
        return result
    found = pairs(document, answers, wanted[0] if wanted else "")
    notes = ["the answers are those of another version of this module"] if answers.other else []
    if not found:
        notes.append(f"there is no answer to {wanted[0]} among the course's own" if wanted else
                     "the course's own answers say the same as yours")
    notes += [f"{pair.grade_id}: both say the same" for pair in found if same(pair)]
    return replace(result, check=wanted[-1] if wanted else "", answers=tuple(found), notes=tuple(notes))
