"""Is a term fit for grading: its folder, its tables, its gradebook, and everything that was handed in and judged?"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path

from grading.assignment import Assignment, freeze
from grading.intake.versions import Version, versions
from grading.result import Result
from grading.term import EXTENSIONS, SECRET, STUDENTS, Term
from tito.course import Module
from tito.doctor.check import Check, fine, guarded, listed, problem, spoilt, warning
from tito.errors import TitoError

PRIVATE = 0o077                 # the bits that a folder of students' work does not have


@dataclass
class Visit:
    """A term that is looked at; `mend`: what can be set right without a loss, is."""

    term: Term
    mend: bool = False
    received: dict[Module, list[Version]] = field(default_factory=dict)

    @cached_property
    def assignments(self) -> dict[Module, Assignment]:
        """In force, of the modules that have one that can be read (`frozen` tells of the others)."""
        found = {}
        for module in self.term.modules():
            try:
                found[module] = Assignment.current(self.term, module)
            except TitoError:
                continue
        return found

    def versions(self, module: Module) -> list[Version]:
        if module not in self.received:
            self.received[module] = versions(self.term, module)
        return self.received[module]


# ---- the folder --------------------------------------------------------------------------------

def folder(visit: Visit) -> Iterator[Check]:
    """Nobody else reads it, and it is in no repository."""
    here = visit.term.folder
    yield from _private(visit, here, "folder", 0o700)
    home = next((parent for parent in (here, *here.parents) if (parent / ".git").exists()), None)
    if home:
        yield spoilt("folder", f"it lies in the git repository {home}", "name a folder outside of it in settings.ini, and move it there")


def secret(visit: Visit) -> Iterator[Check]:
    """It is there, and nobody else reads it."""
    if not visit.term.secret:
        return
    yield from _private(visit, visit.term.path(SECRET), "secret", 0o600)


def _private(visit: Visit, path: Path, name: str, wanted: int) -> Iterator[Check]:
    mode = path.stat().st_mode & 0o777
    if os.name != "posix" or not mode & PRIVATE:
        yield fine(name, f"{path} is yours alone")
    elif visit.mend:
        path.chmod(wanted)
        yield fine(name, f"{path} was open to others ({mode:o}), and is yours alone now")
    else:
        yield spoilt(name, f"others may read {path} ({mode:o})", f"chmod {wanted:o} {path}")


def lock(visit: Visit) -> Iterator[Check]:
    """Nobody is at work on it."""
    try:
        with visit.term.lock():
            yield fine("lock", "nobody else is at work on the term")
    except TitoError as err:
        yield warning("lock", err.what, err.fix)


# ---- the tables --------------------------------------------------------------------------------

def students(visit: Visit) -> Iterator[Check]:
    """students.csv can be read, and has everybody who handed in."""
    known = visit.term.students
    yield fine("students", f"{len(known)} in {STUDENTS}") if known else \
        warning("students", f"nobody is in {STUDENTS}", f"write them into {visit.term.path(STUDENTS)}: id,name,email,aliases")
    place = visit.term.path("versions")
    strangers = sorted(p.name for p in place.iterdir() if p.is_dir() and p.name not in known) if known and place.is_dir() else []
    if strangers:
        yield warning("students", f"handed in, but not in {STUDENTS}: {listed(strangers)}", "add them, or their file names as aliases")


def extensions(visit: Visit) -> Iterator[Check]:
    """extensions.csv can be read, and is about students of the term and deadlines that there are."""
    found, due = visit.term.extensions, visit.term.settings.deadlines.due
    yield fine("extensions", f"{len(found)} in {EXTENSIONS}")
    if unknown := sorted({student for student, _ in found} - visit.term.students.keys()):
        yield warning("extensions", f"of nobody in {STUDENTS}: {listed(unknown)}", f"mend {visit.term.path(EXTENSIONS)}")
    idle = [f"{student} {number:02d}" for (student, number), until in sorted(found.items()) if number not in due or until <= due[number]]
    if idle:
        yield warning("extensions", f"of no effect, for there is no deadline or it is later: {listed(idle)}", "mend them, or take them out")


def deadlines(visit: Visit) -> Iterator[Check]:
    """Every assignment has one."""
    missing = [m.label for m in visit.assignments if m.number not in visit.term.settings.deadlines.due]
    yield warning("deadlines", f"none for {listed(missing)}: never late", "add them to [deadlines] in settings.ini") if missing else \
        fine("deadlines", f"{len(visit.assignments)} assignments have one")


# ---- assignments -------------------------------------------------------------------------------

def frozen(visit: Visit) -> Iterator[Check]:
    """Each assignment is as it was made, and its source still makes it."""
    for module in visit.term.modules():
        yield from guarded("assignments", partial(_assignment, visit, module), extra="grading")
    if not visit.term.modules():
        yield warning("assignments", "there is none yet", "tito grade generate")


def _assignment(visit: Visit, module: Module) -> Iterator[Check]:
    from grading.author.generate import written
    from grading.regrade import unfinished
    number, force = f"{module.number:02d}", Assignment.current(visit.term, module)
    if begun := unfinished(visit.term, module):
        yield problem("assignments", f"{begun} was interrupted", f"finish it: tito grade regrade {number}")
    elif module.source.exists() and freeze(visit.term, module).digest != force.digest:
        handed_in = bool(visit.versions(module))
        yield warning("assignments", f"{module.label}: its source was changed since it was made",
                      f"tito grade regrade {number} --preview" if handed_in else f"tito grade generate {number}")
    elif not written(visit.term, force):
        yield spoilt("assignments", f"{module.label}: source/ or release/ is not the assignment in force", f"tito grade generate {number}")
    else:
        yield fine("assignments", f"{module.label} is in force, {force.digest[:12]}")


# ---- what was handed in ------------------------------------------------------------------------

def handed_in(visit: Visit) -> Iterator[Check]:
    """Every version is what came in, has its receipt, and the latest one is what counts."""
    total = 0
    for module in visit.term.course.modules:
        found = visit.versions(module)
        total += len(found)
        for version in found:
            try:
                version.content()
            except TitoError as err:
                yield spoilt("versions", f"{err.what}: {err.why}", err.fix)
        known = {version.path for version in found}
        bare = [p for p in visit.term.path("versions").glob(f"*/{module.folder.name}/*.ipynb") if p not in known]
        if bare:
            yield warning("versions", f"without a receipt: {listed(['/'.join(p.parts[-3:]) for p in bare])}", "collect them again")
        yield from _submitted(visit, module, {version.student: version for version in found})
    yield fine("versions", f"{total} were handed in")
    newest = max((v.seen for found in visit.received.values() for v in found), default=None)
    if newest and newest > datetime.now(UTC):
        yield problem("clock", f"something was collected at {newest:%Y-%m-%d %H:%M} UTC, which is yet to come", "set this machine's clock")


def _submitted(visit: Visit, module: Module, latest: dict[str, Version]) -> Iterator[Check]:
    others = []
    for student, version in sorted(latest.items()):
        path = visit.term.path("submitted", student, module.folder.name, module.notebook.name)
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != version.sha256:
            others.append(f"{student}/{module.folder.name}")
    if others:
        yield spoilt("versions", f"submitted/ is not the latest version of {listed(others)}", "collect them again")


# ---- what was judged ---------------------------------------------------------------------------

def judged(visit: Visit) -> Iterator[Check]:
    """Every version that counts has a verdict, and every verdict a version."""
    from grading.run.autograde import Task
    found: dict[str, list[str]] = {"graded": [], "infra": [], "none": []}
    for module, force in visit.assignments.items():
        for student, version in sorted({v.student: v for v in visit.versions(module)}.items()):
            result = Result.load(Task.of(visit.term, force, version).path(visit.term))
            found[result.state if result else "none"].append(f"{student} {module.number:02d}")
    yield fine("results", f"{len(found['graded'])} of {sum(map(len, found.values()))} submissions are judged")
    if found["infra"]:
        yield problem("results", f"could not be judged: {listed(found['infra'])}", "see why: tito grade autograde")
    if found["none"]:
        yield warning("results", f"not judged yet: {listed(found['none'])}", "tito grade autograde")
    yield from _stray(visit)


def _stray(visit: Visit) -> Iterator[Check]:
    known = {(v.student, v.sha256) for m in visit.term.course.modules for v in visit.versions(m)}
    stray, broken = [], []
    for path in sorted(visit.term.path("results").glob("*/*/*.json")):
        name = "/".join(path.parts[-3:])
        result = Result.load(path)
        if result is None:
            broken.append(name)
        elif (result.student, result.version) not in known:
            stray.append(name)
    if broken:
        yield warning("results", f"cannot be read: {listed(broken)}", "remove them: tito grade autograde judges anew")
    if stray:
        yield warning("results", f"of versions that are not here: {listed(stray)}", "bring the versions back from a backup, or remove them")


# ---- the gradebook -----------------------------------------------------------------------------

def gradebook(visit: Visit) -> Iterator[Check]:
    """It is there, of this nbgrader's version, and has what was judged.  Nothing is made or changed."""
    from sqlalchemy import create_engine, inspect, text
    from sqlalchemy.engine import make_url

    from grading.book.gradebook import VERSION, guarded
    url = make_url(visit.term.database)
    shown = url.render_as_string()                          # without its password
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
        yield warning("gradebook", f"{shown} is not there yet", "tito grade generate")
        return
    engine = create_engine(url)
    try:
        with guarded(visit.term.database), engine.connect() as connection:
            names = set(inspect(connection).get_table_names())
            found = connection.execute(text(f"SELECT version_num FROM {VERSION}")).scalar() if VERSION in names else None
            sound = connection.execute(text("PRAGMA quick_check")).scalar() if engine.name == "sqlite" else "ok"
    finally:
        engine.dispose()
    if sound != "ok":
        yield spoilt("gradebook", f"{shown} is damaged: {sound}", "bring it back from a backup")
    elif not names:
        yield warning("gradebook", f"{shown} is empty", "tito grade generate")
    elif found != (head := _head()):
        yield spoilt("gradebook", f"{shown} is of version {found or '(none)'}, and nbgrader's is {head}",
                     "make a backup, then run: nbgrader db upgrade")
    else:
        yield fine("gradebook", f"{shown} is reachable and up to date")
        yield from _recorded(visit)


def _head() -> str:
    from alembic.script import ScriptDirectory
    from nbgrader.dbutil import ALEMBIC_DIR
    return str(ScriptDirectory(ALEMBIC_DIR).get_current_head())


def _recorded(visit: Visit) -> Iterator[Check]:
    from grading.book.gradebook import opened
    from grading.book.record import facts
    from grading.book.rules import INFRA, state_of, waiting
    from grading.run.autograde import Task
    with opened(visit.term) as book:
        for module, force in visit.assignments.items():
            known = facts(visit.term, book, module)
            latest = {v.student: v for v in visit.versions(module)}
            missing = [one.student for one in known if state_of(one) == INFRA and one.student in latest
                       and Task.of(visit.term, force, latest[one.student]).known(visit.term)]
            if missing:
                yield warning("gradebook", f"judged, but not recorded: {listed(missing)} {module.number:02d}", "tito grade autograde")
            answers = sum(len(waiting(one)) for one in known)
            if answers:
                wait = "answers wait" if answers > 1 else "answer waits"
                yield warning("gradebook", f"{module.label}: {answers} {wait} for a person", "tito grade formgrader")


LOOKS: tuple[Callable[[Visit], Iterator[Check]], ...] = (
    folder, secret, lock, students, extensions, deadlines, frozen, handed_in, judged, gradebook)
