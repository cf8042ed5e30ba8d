"""Regrades on disk: what is about to be done, so that it can be finished; and what was done, so that it can be undone."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grading.assignment import Assignment
from grading.term import Term
from tito.course import Module
from tito.errors import ExitCode, TitoError
from tito.journal import write_atomically

if TYPE_CHECKING:
    from nbgrader.api import Gradebook

    from grading.book.rows import Snapshot

SCHEMA = 1
PENDING = "pending.json"
UNDONE = ".undone"              # before the suffix of a record that was undone
BY_PEOPLE = {"grade": ("manual_score", "extra_credit"), "comment": ("manual_comment",)}     # columns that no regrade touches
APPLY, UNDO = "apply", "undo"


@dataclass(frozen=True)
class Record:
    """One regrade: between which assignments, by which results, and the gradebook's rows before and after it."""

    module: str                 # folder name
    name: str                   # of its file
    time: str
    old: str                    # digests
    new: str
    keys: dict[str, str]        # student -> key of the result that was entered
    old_keys: dict[str, str]    # ... and of the one that was in force
    told: dict[str, Any]        # what the preview said
    before: Snapshot
    after: Snapshot = field(default_factory=dict)

    def path(self, term: Term) -> Path:
        return _folder(term, self.module) / f"{self.name}.json"

    def save(self, term: Term) -> None:
        _write(self.path(term), asdict(self))

    def undone(self, term: Term) -> None:
        """Keep it, under another name."""
        if self.path(term).exists():
            self.path(term).replace(self.path(term).with_suffix(UNDONE + ".json"))

    @classmethod
    def begun(cls, module: Module, old: str, new: str, keys: dict[str, str], old_keys: dict[str, str], told: dict[str, Any],
              before: Snapshot) -> Record:
        now = datetime.now(UTC)
        return cls(module.folder.name, f"{now:%Y%m%dT%H%M%S%fZ}-{new[:12]}", f"{now:%Y-%m-%d %H:%M:%S UTC}", old, new, keys, old_keys, told,
                   before)


@dataclass(frozen=True)
class Plan:
    """What is being done: `kind` with this record."""

    kind: str
    record: Record

    def write(self, term: Term) -> None:
        _write(_folder(term, self.record.module) / PENDING, {"kind": self.kind, "record": asdict(self.record)})

    def done(self, term: Term) -> None:
        (_folder(term, self.record.module) / PENDING).unlink(missing_ok=True)


def pending(term: Term, module: Module) -> Plan | None:
    """What was begun and not finished."""
    path = _folder(term, module.folder.name) / PENDING
    if not path.exists():
        return None
    data = _read(path)
    try:
        return Plan(data["kind"], Record(**data["record"]))
    except (KeyError, TypeError) as err:
        raise _unreadable(path, err) from None


def last(term: Term, module: Module) -> Record | None:
    """The last regrade that was not undone."""
    folder = _folder(term, module.folder.name)
    paths = sorted(p for p in folder.glob("2*.json") if not p.stem.endswith(UNDONE)) if folder.is_dir() else []
    if not paths:
        return None
    data = _read(paths[-1])
    try:
        return Record(**data)
    except TypeError as err:
        raise _unreadable(paths[-1], err) from None


def _folder(term: Term, module: str) -> Path:
    return term.path("regrades", module)


def _write(path: Path, data: dict[str, Any]) -> None:
    write_atomically(path, (json.dumps({"schema_version": SCHEMA, **data}, ensure_ascii=False, sort_keys=True, indent=1) + "\n").encode())


def _read(path: Path) -> dict[str, Any]:
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if data.pop("schema_version") != SCHEMA:
            raise ValueError("it is of another version of tito")
        return data
    except (OSError, ValueError, KeyError, AttributeError) as err:
        raise _unreadable(path, err) from None


def _unreadable(path: Path, err: Exception) -> TitoError:
    return TitoError(f"the record of a regrade cannot be used: {path.name}", why=f"{path}: {type(err).__name__}: {err}",
                     fix="bring it back from a backup of the term's folder", code=ExitCode.INTEGRITY)


# ---- the gradebook's rows ----------------------------------------------------------------------

def applied(record: Record, now: Snapshot) -> Record:
    """The record with the rows as the regrade left them: what people entered meanwhile is no part of it, and is not undone with it."""
    before = record.before
    after = {table: {row: dict(values) for row, values in rows.items()} for table, rows in now.items()}
    for table, columns in BY_PEOPLE.items():
        for row, values in after[table].items():
            values.update({column: before[table].get(row, {}).get(column) for column in columns})
    return replace(record, after=after)


def committed(record: Record, now: Snapshot) -> bool:
    """Whether the gradebook has the regrade, or what came after it."""
    from grading.book.gradebook import RECORDED
    if record.before[RECORDED.name]:
        return any(row["key"] in record.keys.values() for row in now[RECORDED.name].values())
    return now != record.before


def recorded_since(gradebook: Gradebook, record: Record, assignment: Assignment, now: Snapshot) -> list[str]:
    """The students of whom something was recorded after the regrade."""
    from grading.book.gradebook import RECORDED
    one, two = record.after[RECORDED.name], now[RECORDED.name]
    rows = {row for row in one.keys() | two.keys() if one.get(row) != two.get(row)}
    return sorted(student for row, student in students(gradebook, assignment, rows))


def students(gradebook: Gradebook, assignment: Assignment, wanted: set[str]) -> list[tuple[str, str]]:
    """(row, student) of submitted notebooks."""
    from nbgrader.api import SubmittedAssignment, SubmittedNotebook
    from sqlalchemy import select

    from grading.book.gradebook import reading
    from grading.book.rows import notebook_row
    with reading(gradebook) as session:
        query = select(SubmittedNotebook.id, SubmittedAssignment.student_id).join(SubmittedNotebook.assignment)
        query = query.where(SubmittedNotebook.notebook_id == notebook_row(session, assignment).id)
        return [(row, student) for row, student in session.execute(query) if row in wanted]
