"""`tito` and `tito status` as functions: where am I, what did the last test say, what comes next."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from tito import journal, tested, when
from tito import state as progress
from tito.cells import read_notebook
from tito.cli.module import module_lines, next_command
from tito.cli.results import ModuleLine, Overview
from tito.course import Course, Module
from tito.errors import TitoError
from tito.released import read, released
from tito.settings import Deadlines, read_settings
from tito.state import State
from tito.tested import Memory

if TYPE_CHECKING:
    from tito.milestones import Milestone

TITLE = re.compile(r"^#\s+(?:\d+\s*[·.):-]?\s*)?(\S.*?)\s*$", re.MULTILINE)
ABOUT = re.compile(r"^>\s*(\S.*?)\s*$", re.MULTILINE)


def overview(course: Course, *, detailed: bool = False) -> Overview:
    """Where am I, and the one next command; where `detailed`, module by module and milestone by milestone."""
    return _overview(course, progress.load(course), detailed=detailed)


def rebuild(course: Course) -> Overview:
    """Test every notebook again and write progress anew; what cannot be read is kept aside."""
    from tito.complete import standing
    with progress.locked(course, recover=False):
        stamp = progress.stamp()
        aside = _recover_or_set_aside(course, stamp)
        old = _readable(course)
        state = State(milestones=old.milestones if old else {})     # no notebook tells of them
        for module in course.modules:
            record, begun = standing(course, module)
            state = state.with_module(module.number, record, started=begun or bool(old and module.number in old.started))
        path = course.root / progress.STATE
        if old is None:
            aside.append(journal.aside(course.root, path, stamp))
        journal.write_atomically(path, state.to_bytes())
    return replace(_overview(course, state, detailed=True), rebuilt=True, aside=tuple(aside))


def _overview(course: Course, state: State, *, detailed: bool) -> Overview:
    settings = read_settings(course.root / "settings.ini")
    memory = tested.recall(course) if course.is_edition else Memory()
    lines = tuple(_lines(course, state, memory, detailed=detailed))
    found = Overview(course.root, course.is_edition, lines, next_command(course, state), detailed, title=settings.course.title,
                     last=memory.last)
    if course.is_edition and state.completed:
        from tito.milestones import reachable  # it reads programs: not before there can be one
        found = _with_milestone(found, reachable(course, state))
    if course.is_edition and detailed:
        found = _with_milestones(course, found)
    return _with_current(found, found.current, settings.deadlines)


def _with_current(found: Overview, current: ModuleLine | None, deadlines: Deadlines) -> Overview:
    """When the module at hand is due, and that nothing is left but to complete it."""
    if current and (due := deadlines.due.get(current.number)):
        found = replace(found, due=f"module {current.number:02d} is due {due:%Y-%m-%d %H:%M %Z} ({when.ahead(due)})")
    if current and current.tested and current.tested.well and not current.edited:
        found = replace(found, next=f"tito module complete {current.number:02d}")
    return found


def _with_milestone(found: Overview, ahead: Milestone | None) -> Overview:
    """The milestone that is within reach; to run it comes next where no module is left."""
    return replace(found, milestone=ahead.label, next=found.next or f"tito milestone run {ahead.number}") if ahead else found


def _with_milestones(course: Course, found: Overview) -> Overview:
    from tito.cli.milestone import milestone_list
    try:
        return replace(found, milestones=milestone_list(course).milestones)
    except (TitoError, OSError) as err:
        return replace(found, note=f"the milestones are not shown: {err}")


def _lines(course: Course, state: State, memory: Memory, *, detailed: bool) -> Iterator[ModuleLine]:
    """The modules; where not `detailed`, nothing is read that cannot have changed, and the last test is told of two alone."""
    last = False
    for module, line in zip(course.modules, module_lines(course, state)):
        if not course.is_edition:
            yield line
            continue
        record, test = state.completed.get(module.number), memory.modules.get(module.number)
        told = detailed or module.number == memory.last or not (record or last)
        last = last or not record
        if record:
            line = replace(line, changed=(detailed or _touched(module, record.when)) and _differs(module, record.notebook_sha256))
        if test and told:
            line = replace(line, tested=test, edited=_differs(module, test.code_sha256))
        yield _described(line, module) if detailed else line


def _described(line: ModuleLine, module: Module) -> ModuleLine:
    """With what the released notebook says of it (a student's own may say anything): its title, what it is about, its written answers."""
    path = released(module) if released(module).exists() else module.notebook
    try:
        document = read_notebook(path)
    except TitoError:
        return replace(line, title=line.name)
    words = next((c.source for c in document.cells if c.kind == "markdown" and TITLE.search(c.source)), "")
    title, about = TITLE.search(words), ABOUT.search(words)
    return replace(line, title=title[1].replace("`", "") if title else line.name, about=about[1] if about else "",
                   manual_points=document.manual_points)


def _touched(module: Module, moment: str) -> bool:
    """Whether a notebook's file may be younger than this, as far as clocks tell."""
    try:
        then = when.moment(moment)
        return then > when.now() or module.notebook.stat().st_mtime >= then.timestamp()
    except (OSError, ValueError):
        return True


def _differs(module: Module, sha256: str) -> bool:
    """Whether a notebook's code is other than the one with this fingerprint; repaired, as it is for judging, only where that may matter."""
    with suppress(TitoError):
        if progress.code_sha256(read_notebook(module.notebook)) == sha256:
            return False
    try:
        return progress.code_sha256(read(module).document) != sha256
    except TitoError:
        return True


def _recover_or_set_aside(course: Course, stamp: str) -> list[str]:
    try:
        journal.recover(course.root)
    except TitoError:
        return journal.set_aside(course.root, stamp)
    return []


def _readable(course: Course) -> State | None:
    """The present progress; None where it cannot be read."""
    try:
        return progress.parse((course.root / progress.STATE).read_bytes())
    except FileNotFoundError:
        return State()
    except TitoError:
        return None
