"""`tito grade collect`: take in what was handed in, whatever form it has; nothing is lost, and nothing is refused without a reason."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

from grading.intake.archives import RECEIPT, TIMESTAMP, Entry, Ignored, Refusal, Survey
from grading.intake.lms import LMS, Cells, Match, Name, Named, Roster, read
from grading.intake.versions import CLAIM, Version, receive, stamp
from grading.intake.zips import NOTEBOOK, Unreadable, suffix
from grading.term import Term
from tito.cli.results import Report
from tito.course import Module
from tito.errors import ExitCode, TitoError

Progress = Callable[[int, int, str], None]
Known = tuple[Roster, Cells]
COMPANION_BYTES = 1 << 16           # of a receipt, of a timestamp
CLAIM_LETTERS = 200                 # of one value in a receipt
TIME = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?:\.\d+)?(?: (\S+))?\s*")     # as nbgrader writes it


class Elsewhere(Exception):
    """A notebook that is none of those asked for."""


@dataclass
class Tally:
    """What became of every file."""

    arrived: list[tuple[str, Version]] = field(default_factory=list)        # (from which file, what it is)
    refused: list[dict[str, str]] = field(default_factory=list)             # file, reason, fix
    ignored: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)                      # not of the module or the student that was asked for

    def refuse(self, file: str, reason: str, fix: str = "") -> None:
        self.refused.append({"file": file, "reason": reason, "fix": fix})


@dataclass(frozen=True)
class Asked:
    """What the command line says of everything that comes."""

    module: Module | None
    student: str
    received: datetime | None


def collect(term: Term, sources: Sequence[Path], *, module: Module | None = None, student: str = "", received: datetime | None = None,
            progress: Progress = lambda done, total, what: None) -> Report:
    """Keep every notebook in these folders, zips and files as a version; one that is refused never stops the rest."""
    if received is not None and received.tzinfo is None:
        received = received.replace(tzinfo=term.settings.deadlines.timezone)
    for source in sources:
        _refuse_our_own(term, source.resolve())
    with term.lock():
        tally, asked, done = Tally(), Asked(module, student, received), 0
        known = Roster(term.students), Cells(term)
        surveys = [(source, Survey(source, term.settings.deadlines.timezone)) for source in sources]
        for source, survey in surveys:
            for item in survey:
                done += 1
                progress(done, max(done, sum(s.total for _, s in surveys)), source.name)
                _take(term, source, item, asked, known, tally)
    return _report(term, sources, tally)


def _refuse_our_own(term: Term, source: Path) -> None:
    """Of the term's folder only submitted/ holds what students handed in; what grading made of it must not come back as theirs."""
    inside = source.is_relative_to(term.folder) and not source.is_relative_to(term.path("submitted"))
    if inside or term.folder.is_relative_to(source):
        raise TitoError(f"{source} is the term's own folder" if not inside else f"{source} lies in the term's own folder",
                        why="it holds autograded notebooks, which would be taken for new submissions",
                        fix="name the folder or the zip that students' work came in")


def _take(term: Term, source: Path, item: Entry | Refusal | Ignored, asked: Asked, known: Known, tally: Tally) -> None:
    if isinstance(item, Refusal):
        tally.refuse(item.origin, item.reason)
    elif isinstance(item, Ignored):
        tally.ignored.append(item.origin)
    else:
        try:
            if arrived := _receive(term, source, item, asked, known):
                tally.arrived.append((item.origin, arrived))
        except Elsewhere:
            tally.elsewhere.append(item.origin)
        except Unreadable as err:
            tally.refuse(item.origin, str(err))
        except TitoError as err:
            tally.refuse(item.origin, err.what + (f": {err.why}" if err.why else ""), err.fix)


def _receive(term: Term, source: Path, entry: Entry, asked: Asked, known: Known) -> Version:
    """One notebook, from its name to a version.  Unreadable, TitoError or Elsewhere where there is none."""
    roster, cells = known
    named = read(entry.parts, term.course.modules, source.stem if source.suffix else source.name)
    claim = _claim(entry)
    content = entry.read()
    if not content.strip():
        raise Unreadable("it is empty")
    who = _student(source, named, claim, asked, roster, len(entry.parts))
    module, notes = _module(named, content, asked, cells)
    if named.copy and any(f"{module.name}_dev.ipynb" == name for name in entry.beside):
        raise Unreadable(f"it is a copy that Jupyter made of {module.name}_dev.ipynb, which stands beside it")
    when, clock = _time(entry, named, who.at, asked, term.settings.deadlines.timezone)
    claimed, doubts = _doubts(claim, who, when, content, roster)
    return receive(term, who.student, module, content, when, entry.origin, clock=clock, attempt=named.attempt, claimed=claimed,
                   notes=(*notes, *doubts, *_late(term, named, who.student, module, when)))


def _student(source: Path, named: Named, claim: dict[str, str], asked: Asked, roster: Roster, depth: int) -> Match:
    """Whose it is: by the path, else by the receipt, whose name stands for the zip that it lies in.

    --student names what bears no name, a single notebook whatever its name, and a zip that one person packed; of all else it picks
    that student's.
    """
    names, best = named.names, named.best
    if claim.get("student") and named.layout not in LMS:
        best = Name(claim["student"], depth - 2)
        names = (*names, best)
    if asked.student and (best is None or source.is_file() and suffix(source.name) == NOTEBOOK):
        return Match(asked.student)
    packed = source.is_dir() or named.layout != "plain" and best is not None and best.at >= 0
    found = roster.find(names, best)
    if found.student and asked.student not in ("", found.student) and (packed or roster.students):
        raise Elsewhere
    if asked.student and not packed:
        return Match(asked.student)
    if not found.student:
        raise TitoError(found.reason, fix=found.fix)
    return found


def _module(named: Named, content: bytes, asked: Asked, cells: Cells) -> tuple[Module, tuple[str, ...]]:
    """Which module it is: --module, else by its name, else by its cells; and what is odd about that."""
    inside = cells.module(content)
    module = asked.module or named.module or inside
    if module is None:
        raise TitoError("neither its name nor its cells say which module it is", fix="say it with: --module NN")
    if named.module not in (None, module) and inside != module:
        raise Elsewhere
    return module, (f"its cells are those of {inside.label}",) if inside not in (None, module) and inside else ()


def _time(entry: Entry, named: Named, at: int, asked: Asked, zone: tzinfo) -> tuple[datetime, str]:
    """When it was handed in, and what says so.  Dates inside a zip that the student packed are the student's: its own date counts."""
    if asked.received:
        return asked.received, "given"
    if named.layout == "nbgrader" and named.best and at == named.best.at and (stamped := _timestamp(entry, zone)):
        return stamped, TIMESTAMP
    level = next((i for i, date in enumerate(entry.dates) if date.depth > at), len(entry.dates) - 1)
    for date in reversed(entry.dates[:level + 1]):
        if date.when:
            return date.when, date.kind
    return datetime.now(UTC), "now"


def _timestamp(entry: Entry, zone: tzinfo) -> datetime | None:
    """nbgrader's timestamp.txt beside the notebook; without a zone it is UTC, as nbgrader reads it."""
    from zoneinfo import ZoneInfo
    if not (found := TIME.fullmatch(_companion(entry, TIMESTAMP).decode("utf-8", "replace"))):
        return None
    try:
        moment = datetime.fromisoformat(found[1])
    except ValueError:
        return None
    try:
        return moment.replace(tzinfo=ZoneInfo(found[2]) if found[2] else UTC)
    except (ValueError, KeyError, OSError):                 # an abbreviation such as PDT
        return moment.replace(tzinfo=zone)


def _companion(entry: Entry, name: str) -> bytes:
    """A small file beside a notebook; empty where there is none that can be used."""
    try:
        content = entry.beside[name]() if name in entry.beside else b""
    except Unreadable:
        return b""
    return content if len(content) <= COMPANION_BYTES else b""


def _claim(entry: Entry) -> dict[str, str]:
    """What the receipt of `tito submit` says.  The student could have written it by hand, so none of it is trusted."""
    try:
        data = json.loads(_companion(entry, RECEIPT) or b"{}")
    except (ValueError, RecursionError):
        return {}
    found = data.items() if isinstance(data, dict) else ()
    return {key: value for key, value in found if isinstance(value, str) and value.isprintable() and len(value) <= CLAIM_LETTERS}


def _doubts(claim: dict[str, str], who: Match, when: datetime, content: bytes, roster: Roster) -> tuple[datetime | None, list[str]]:
    """The receipt's own time, and where the receipt and the facts disagree."""
    notes = []
    try:
        claimed = datetime.fromisoformat(claim["time"]).astimezone(UTC).replace(microsecond=0) if claim.get("time") else None
    except (ValueError, OverflowError):
        claimed = None
        notes.append("the receipt's time cannot be read")
    if claimed and abs(when - claimed) > CLAIM:
        notes.append(f"the receipt says {stamp(claimed)}, it came at {stamp(when)}")
    if claim.get("sha256") and claim["sha256"] != hashlib.sha256(content).hexdigest():
        notes.append("the notebook is not the one that the receipt was made for")
    if claim.get("student"):
        name = Name(claim["student"], 0)
        if roster.find([name], name).student != who.student:
            notes.append(f"the receipt is made out to '{claim['student']}'")
    return claimed, notes


def _late(term: Term, named: Named, student: str, module: Module, when: datetime) -> list[str]:
    """Where Canvas and the deadline here disagree."""
    deadlines = term.settings.deadlines
    if named.late is None or module.number not in deadlines.due:
        return []
    until = term.extensions.get((student, module.number), deadlines.due[module.number])
    late = when > max(until, deadlines.due[module.number]) + timedelta(minutes=deadlines.grace_minutes)
    if late == named.late:
        return []
    ours = f"by its date, {stamp(when)}, it is {'late' if late else 'in time'}"
    return [f"Canvas marks it as late, {ours}" if named.late else f"Canvas does not mark it as late, {ours}"]


def _report(term: Term, sources: Sequence[Path], tally: Tally) -> Report:
    new = [v for _, v in tally.arrived if v.new]
    counts = {"new": len(new), "known": len(tally.arrived) - len(new), "refused": len(tally.refused), "ignored": len(tally.ignored),
              "elsewhere": len(tally.elsewhere)}
    if not tally.arrived and not tally.refused and not tally.elsewhere:
        raise TitoError(f"there is no notebook in {', '.join(str(s) for s in sources)}", fix="name the folder or the zip that holds them",
                        why="only .ipynb files are collected" + (f", and not {_some(tally.ignored)}" if tally.ignored else ""))
    modules = sorted({v.module for _, v in tally.arrived})
    next_ = f"tito grade autograde --module {modules[0]:02d}" if len(modules) == 1 else "tito grade autograde" if modules else ""
    code = ExitCode.INTEGRITY if tally.refused and not tally.arrived else ExitCode.OK
    data = {**counts, "students": _students(tally), "refusals": tally.refused, "ignored_files": tally.ignored,
            "elsewhere_files": tally.elsewhere}
    what = f"{counts['new']} new, {counts['known']} known already, {counts['refused']} refused"
    return Report(what, tuple(_lines(term, tally)), data, next_, code)


def _students(tally: Tally) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for file, version in sorted(tally.arrived, key=lambda pair: (pair[1].student, pair[1].module, pair[1].order)):
        found.setdefault(version.student, []).append({**version.to_dict(), "file": file, "new": version.new})
    return found


def _lines(term: Term, tally: Tally) -> Iterator[str]:
    names = {m.number: m.label for m in term.course.modules}
    arrived = sorted(tally.arrived, key=lambda pair: (pair[1].student, pair[1].module, pair[1].order))
    for file, v in arrived:
        if v.new:
            yield f"  {v.student}  {names[v.module]}  {stamp(v.received)}  {file}"
        yield from (f"    note: {note}" for note in v.notes if v.new)
    ties = Counter((v.student, v.module, v.received, v.attempt) for v in {(v.student, v.sha256, v.module): v for _, v in arrived}.values())
    for (student, number, received, _), count in ties.items():
        if count > 1:
            yield f"  {student}  {names[number]}: {count} notebooks with one time, {stamp(received)}; one of them counts, all are kept"
    for one in tally.refused:
        yield f"  refused  {one['file']}: {one['reason']}"
        if one["fix"]:
            yield f"    fix: {one['fix']}"
    marked = sum("Canvas does not mark it as late" in note for _, v in arrived for note in v.notes)
    if marked:
        yield (f"  {marked} that Canvas has in time are late by their dates here, which may be those of the download: "
               "collect them again with --received, and the earlier time holds")
    if tally.elsewhere:
        yield f"  {len(tally.elsewhere)} of other modules or students, not asked for: {_some(tally.elsewhere)}"
    if tally.ignored:
        yield f"  {len(tally.ignored)} that are no notebooks: {_some(tally.ignored)}"


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
