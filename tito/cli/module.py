"""The `tito module` commands as functions: a course and a module in, a typed result out."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tito import history, tested
from tito import state as progress
from tito.cells import read_notebook
from tito.cli.results import Completed, ModuleLine, ModuleList, Opened, Restored, Tested
from tito.course import Course, Module
from tito.errors import ExitCode, TitoError
from tito.journal import Change
from tito.released import read, released
from tito.state import State

MARKS = re.compile(r"^# %% .*?\bnbgrader=(\{.*\})\s*$", re.MULTILINE)
Ask = Callable[[str], bool | None]


def module_list(course: Course) -> ModuleList:
    """Every module: number, name, state, points."""
    return ModuleList(tuple(module_lines(course, progress.load(course))))


def module_lines(course: Course, state: State) -> Iterator[ModuleLine]:
    """Every module and how it stands; the notebooks of those that are complete are not read."""
    open_yet = True
    for module in course.modules:
        record = state.completed.get(module.number)
        if record:
            yield ModuleLine(module.number, module.name, "done", record.points, record.max_points)
            continue
        word = "source" if not course.is_edition else "started" if module.number in state.started else "next" if open_yet else "locked"
        open_yet = False
        yield ModuleLine(module.number, module.name, word, 0.0, _max_points(module))


def next_command(course: Course, state: State) -> str:
    """The one command that goes on from here; empty when all is done."""
    if not course.is_edition:
        return "tito demo"
    for module in course.modules:
        if module.number not in state.completed:
            return f"tito module {'test' if module.number in state.started else 'start'} {module.number:02d}"
    return ""


def start(course: Course, module: Module, *, lab: bool = True) -> Opened:
    """Record a module as started and make sure that its notebook exists."""
    state = progress.load(course)
    progress.require_in_order(course, state, module)
    if not course.is_edition:
        return opened(course, module, lab=lab)
    with progress.locked(course):
        state = progress.load(course)
        missing = not module.notebook.exists()
        changes = [Change(_relative(course, module.notebook), _released_bytes(module))] if missing else []
        new = module.number not in state.started and module.number not in state.completed
        state = state.with_module(module.number, state.completed.get(module.number), started=True)
        history.keep(course, module, "start", changes, state)
    return Opened(module.label, module.notebook.relative_to(course.root), new, missing, lab, f"tito module test {module.number:02d}")


def opened(course: Course, module: Module, *, lab: bool = True) -> Opened:
    """The notebook (in the course repository: the source) that JupyterLab is to open."""
    path = module.notebook if course.is_edition else module.source
    if not path.exists():
        raise TitoError(f"{_relative(course, path)} is missing", code=ExitCode.ENVIRONMENT,
                        fix=f"put the released notebook in its place: tito module start {module.number:02d}")
    return Opened(module.label, path.relative_to(course.root), False, False, lab, f"tito module test {module.number:02d}")


def test(course: Course, module: Module, *, every_card: bool = False) -> Tested:
    """Judge a module's notebook (in the course repository: its source)."""
    from tito.check.verdict import judge
    progress.require_in_order(course, progress.load(course), module)
    work = read(module)
    verdict = judge(work.document, course.root, module.number, module.label)
    tested.remember(course, module, verdict, work.document)
    command = "complete" if verdict.ok else "test"
    return Tested(module.label, verdict, work.notes, every_card, f"tito module {command} {module.number:02d}", verdict_code(verdict))


def complete(course: Course, module: Module) -> Completed:
    """Test, export, try the package, record: all of it or nothing."""
    from tito.complete import complete as complete_module
    done = complete_module(course, module)
    code = ExitCode.CHECKS_FAILED if done.problems else verdict_code(done.verdict)
    again = f"tito module {'complete' if done.problems else 'test'} {module.number:02d}"
    command = next_command(course, progress.load(course)) if done.exported else again
    return Completed(module.label, done.verdict, done.notes, done.exported, done.changed, done.problems, command, code)


def reset(course: Course, module: Module, *, yes: bool, ask: Ask) -> Restored:
    """Put the released notebook in place of the student's, which is kept."""
    path = _relative(course, module.notebook)
    if not course.is_edition:
        raise TitoError("the course repository keeps its sources in git", fix=f"git restore {_relative(course, module.source)}")
    fresh = _released_bytes(module)
    if module.notebook.exists() and module.notebook.read_bytes() == fresh:
        return Restored(module.label, "the notebook is as it was released; nothing was changed", ())
    if not yes:
        answer = ask(f"Put the released {path} in place of yours? (yours is kept)")
        if answer is None:
            raise TitoError(f"this replaces {path}, and there is nobody to ask", fix=f"tito module reset {module.number:02d} --yes")
        if not answer:
            return Restored(module.label, "nothing was changed", ())
    with progress.locked(course):
        history.keep(course, module, "reset", [Change(path, fresh)], progress.load(course))
    return Restored(module.label, "the released notebook is back; yours is kept", (path,), next=f"tito module undo {module.number:02d}")


def undo(course: Course, module: Module, *, to: str = "") -> Restored:
    """Bring back what the last command replaced."""
    with progress.locked(course):
        done = history.undo(course, module, to)
        command = next_command(course, progress.load(course))
    what = f"undid '{done.entry.action}'; what it had done is kept: undo again to return to it"
    return Restored(module.label, what, done.restored, done.removed, command)


def verdict_code(verdict: Any) -> ExitCode:
    """0 all passed, 1 something failed, 4 where it could not be judged at all."""
    if any(row.state == "infra" for row in verdict.rows):
        return ExitCode.INFRASTRUCTURE
    return ExitCode.OK if verdict.ok else ExitCode.CHECKS_FAILED


def _max_points(module: Module) -> float:
    """A module's points for code, read from the released notebook or the source's cell marks (without jupytext: it takes a second)."""
    if module.source.exists():
        found = (json.loads(m[1]) for m in MARKS.finditer(module.source.read_text(encoding="utf-8")))
        return float(sum(marks.get("points", 0) for marks in found if marks.get("grade") and not marks.get("solution")))
    path = released(module) if released(module).exists() else module.notebook
    try:
        return float(sum(c.points for c in read_notebook(path).cells if c.test))
    except TitoError:
        return 0.0


def _released_bytes(module: Module) -> bytes:
    try:
        return released(module).read_bytes()
    except FileNotFoundError:
        raise TitoError(f"the released notebook of {module.label} is missing", why=f"expected at {released(module)}",
                        fix="copy it from a fresh student edition", code=ExitCode.ENVIRONMENT) from None


def _relative(course: Course, path: Path) -> str:
    return path.relative_to(course.root).as_posix()
