"""Every version of every submission, kept by the hash of its content with a receipt; the latest one is what counts."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from grading.term import STUDENT_ID, Term
from tito.course import Module
from tito.errors import ExitCode, TitoError
from tito.journal import write_atomically

SCHEMA = 1
CLAIM = timedelta(minutes=5)            # a receipt's own time that is further off is worth a note
RECEIPT = re.compile(r"[0-9a-f]{64}\.json")


@dataclass(frozen=True)
class Version:
    """One content that a student handed in for a module, and what is known of how it came."""

    student: str
    module: int
    sha256: str
    received: datetime                  # in UTC, to the second: the earliest time at which it is known to have been here
    clock: str                          # what says so: given, timestamp.txt, zip or file
    seen: datetime                      # the last time it was collected
    origins: tuple[str, ...]
    path: Path                          # of the notebook, exactly as it was handed in
    attempt: int = 0                    # of several that came at one time
    claimed: datetime | None = None     # by the student's own receipt: noted, never trusted
    notes: tuple[str, ...] = ()
    new: bool = field(default=False, compare=False)     # it was not known before this call

    @property
    def order(self) -> tuple[datetime, int, str]:
        """Later versions are larger."""
        return self.received, self.attempt, self.sha256

    def content(self) -> bytes:
        """The notebook's file.  TitoError where it is no longer what was handed in."""
        try:
            found = self.path.read_bytes()
        except OSError as err:
            raise _damaged(self.path, err.strerror or str(err)) from None
        if hashlib.sha256(found).hexdigest() != self.sha256:
            raise _damaged(self.path, "its content is not that of its name")
        return found

    def to_dict(self) -> dict[str, Any]:
        return {"schema_version": SCHEMA, "student": self.student, "module": self.module, "sha256": self.sha256,
                "received": stamp(self.received), "clock": self.clock, "seen": stamp(self.seen), "origins": list(self.origins),
                "attempt": self.attempt, "claimed": stamp(self.claimed) if self.claimed else "", "notes": list(self.notes)}


def receive(term: Term, student: str, module: Module, content: bytes, received: datetime, origin: str, *, clock: str = "given",
            attempt: int = 0, claimed: datetime | None = None, notes: Iterable[str] = ()) -> Version:
    """Keep a version, and make the latest one the submission.  The same content again adds to its receipt, and its earliest time holds."""
    if not STUDENT_ID.fullmatch(student):
        raise TitoError(f"'{student}' cannot be a student's id", fix="an id is letters, digits and . _ @ + -")
    digest = hashlib.sha256(content).hexdigest()
    path = _folder(term, "versions", student, module) / f"{digest}.ipynb"
    came = received.astimezone(UTC).replace(microsecond=0)
    version = Version(student, module.number, digest, came, clock, _now(), (origin,), path, attempt, claimed, tuple(notes), True)
    known = _load(path.with_suffix(".json"), module) if path.with_suffix(".json").exists() else None
    if known:
        version = _joined(known, version)
    if not known or not path.exists() or path.read_bytes() != content:
        write_atomically(path, content)
    if not known or version.to_dict() != known.to_dict():
        write_atomically(path.with_suffix(".json"), _json(version.to_dict()))       # last: it says that the rest is there
    _submit(term, module, version, content)
    return version


def versions(term: Term, module: Module) -> list[Version]:
    """Every version that anybody handed in, each student's oldest first.  TitoError where a receipt cannot be read."""
    if not term.path("versions").is_dir():
        return []
    return [v for folder in sorted(term.path("versions").iterdir()) for v in _of(folder.name, term, module)]


def latest(term: Term, student: str, module: Module) -> Version | None:
    """The version that counts."""
    return next(reversed(_of(student, term, module)), None)


def counting(term: Term, module: Module) -> dict[str, Version]:
    """The version that counts of every student who handed one in."""
    return {version.student: version for version in versions(term, module)}


def stamp(when: datetime) -> str:
    """A time as nbgrader writes and reads it."""
    return when.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def unstamped(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S UTC").replace(tzinfo=UTC)


def _of(student: str, term: Term, module: Module) -> list[Version]:
    folder = _folder(term, "versions", student, module)
    found = [_load(path, module) for path in folder.iterdir() if RECEIPT.fullmatch(path.name)] if folder.is_dir() else []
    return sorted(found, key=lambda v: v.order)


def _joined(known: Version, again: Version) -> Version:
    """A version that came before and came again."""
    first = min(known, again, key=lambda v: v.received)
    origins = tuple(dict.fromkeys((*known.origins, *again.origins)))
    notes = tuple(dict.fromkeys((*known.notes, *again.notes)))
    return Version(known.student, known.module, known.sha256, first.received, first.clock, max(known.seen, again.seen), origins, again.path,
                   max(known.attempt, again.attempt), known.claimed or again.claimed, notes)


def _submit(term: Term, module: Module, version: Version, content: bytes) -> None:
    """The latest version in nbgrader's place; also where an earlier run was stopped before it stood there."""
    last = latest(term, version.student, module) or version
    folder = _folder(term, "submitted", version.student, module)
    notebook = content if last.sha256 == version.sha256 else last.content()
    for path, wanted in ((folder / module.notebook.name, notebook), (folder / "timestamp.txt", stamp(last.received).encode())):
        if not path.is_file() or path.read_bytes() != wanted:
            write_atomically(path, wanted)


def _load(path: Path, module: Module) -> Version:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["schema_version"] != SCHEMA:
            raise ValueError(f"schema_version {data['schema_version']}, not {SCHEMA}")
        claimed = unstamped(data["claimed"]) if data["claimed"] else None
        return Version(data["student"], module.number, path.stem, unstamped(data["received"]), data["clock"], unstamped(data["seen"]),
                       tuple(data["origins"]), path.with_suffix(".ipynb"), int(data["attempt"]), claimed, tuple(data["notes"]))
    except (OSError, ValueError, KeyError, TypeError) as err:
        raise _damaged(path, f"{type(err).__name__}: {err}") from None


def _damaged(path: Path, why: str) -> TitoError:
    return TitoError(f"{path.name} of {'/'.join(path.parts[-3:-1])} cannot be used", why=f"{path}: {why}", code=ExitCode.INTEGRITY,
                     fix="bring it back from a backup; or move it away, and collect the submission again")


def _folder(term: Term, kind: str, student: str, module: Module) -> Path:
    return term.path(kind, student, module.folder.name)


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def _json(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True) + "\n").encode()
