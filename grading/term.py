"""A term: the course, its settings, and the folder in which an instructor keeps submissions, results and the gradebook."""

from __future__ import annotations

import csv
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

from tito.course import Course, Module
from tito.errors import ExitCode, TitoError
from tito.settings import Settings, read_settings

STUDENTS, EXTENSIONS, SECRET, LOCK = "students.csv", "extensions.csv", "secret", ".lock"
COLUMNS = {STUDENTS: ("id", "name", "email", "aliases"), EXTENSIONS: ("student", "module", "until", "reason")}
STUDENT_ID = re.compile(r"\w[\w.@+-]{0,99}")


@dataclass(frozen=True)
class Student:
    """One line of students.csv."""

    id: str
    name: str = ""
    email: str = ""
    aliases: tuple[str, ...] = ()       # other names that a file may bear


@dataclass(frozen=True)
class Term:
    """The course, its settings, and the data folder, which `create` makes and `open` finds."""

    course: Course
    settings: Settings
    folder: Path

    @classmethod
    def of(cls, course: Course) -> Term:
        """The term that settings.ini names, whether its folder is there or not.  TitoError where it would lie inside the course."""
        settings = read_settings(course.root / "settings.ini")
        given = settings.grading.folder or f"../{course.root.name}-grading"
        folder = (course.root / Path(given).expanduser()).resolve()
        if folder.is_relative_to(course.root.resolve()):
            raise TitoError(f"settings.ini: [grading] folder = {given}", why="students' work never lies inside the course's own folder",
                            fix="name a folder outside of it, such as ../tinytorch-grading", code=ExitCode.INTEGRITY)
        return cls(course, settings, folder)

    @classmethod
    def open(cls, course: Course) -> Term:
        """The term whose folder is there.  TitoError where it is not."""
        term = cls.of(course)
        if not term.path(SECRET).is_file():
            raise TitoError(f"there is no term in {term.folder}", why="submissions and grades are kept in a folder of their own",
                            fix="make it with: tito grade init", code=ExitCode.ENVIRONMENT)
        return term

    def create(self) -> list[str]:
        """Make the folder and what is missing in it; the names of what was made."""
        made = []
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name, columns in COLUMNS.items():
            if not self.path(name).exists():
                self.path(name).write_text(",".join(columns) + "\n", encoding="utf-8")
                made.append(name)
        if not self.path(SECRET).exists():
            self.path(SECRET).touch(mode=0o600)
            self.path(SECRET).write_text(secrets.token_hex(32) + "\n", encoding="utf-8")
            made.append(SECRET)
        return made

    def path(self, *parts: str) -> Path:
        return self.folder.joinpath(*parts)

    @property
    def database(self) -> str:
        """The gradebook's SQLAlchemy URL; a relative SQLite path starts at the term's folder."""
        url = self.settings.gradebook.url
        kind, slashes, path = url.partition(":///")
        return f"{kind}:///{self.folder / path}" if kind.startswith("sqlite") and slashes and not path.startswith("/") else url

    @cached_property
    def secret(self) -> bytes:
        """What the probes' seeds are made from."""
        text = self.path(SECRET).read_text(encoding="utf-8").strip()
        if not re.fullmatch(r"[0-9a-f]{64}", text):
            raise TitoError(f"{self.path(SECRET)} is damaged", why="it holds 64 hexadecimal digits, from which the probes' seeds come",
                            fix="bring it back from a backup; or remove it, run tito grade init, and grade everything anew",
                            code=ExitCode.INTEGRITY)
        return bytes.fromhex(text)

    @cached_property
    def students(self) -> dict[str, Student]:
        """students.csv by id.  TitoError where a line cannot be used."""
        found: dict[str, Student] = {}
        for line, row in self._rows(STUDENTS):
            student = Student(row["id"], row["name"], row["email"], tuple(a.strip() for a in row["aliases"].split(";") if a.strip()))
            if not STUDENT_ID.fullmatch(student.id) or student.id in found:
                raise self._wrong(STUDENTS, line, f"the id '{student.id}' " + ("stands there twice" if student.id in found else
                                  "has other signs than letters, digits and . _ @ + -"))
            found[student.id] = student
        return found

    @cached_property
    def extensions(self) -> dict[tuple[str, int], datetime]:
        """(student's id, module's number) -> until when it counts as in time."""
        from tito.settings import moment
        found = {}
        for line, row in self._rows(EXTENSIONS):
            try:
                until = moment(row["until"]).replace(tzinfo=self.settings.deadlines.timezone)
                found[row["student"], self.course.module(row["module"]).number] = until
            except ValueError:
                raise self._wrong(EXTENSIONS, line, f"until is a day, or a day and a time, not '{row['until']}'") from None
            except TitoError as err:
                raise self._wrong(EXTENSIONS, line, err.what) from None
        return found

    def modules(self, chosen: Module | None = None) -> tuple[Module, ...]:
        """The chosen module, or all that have assignments."""
        from grading.assignment import Assignment
        return (chosen,) if chosen else tuple(m for m in self.course.modules if Assignment.exists(self, m))

    @contextmanager
    def lock(self) -> Iterator[None]:
        """One command at a time changes a term.  TitoError where another one is at work."""
        from filelock import FileLock, Timeout
        try:
            with FileLock(self.path(LOCK), timeout=0):
                yield
        except Timeout:
            raise TitoError("another tito grade is at work on this term", why=f"it holds {self.path(LOCK)}",
                            fix="wait until it has ended; a lock ends with its process", code=ExitCode.ENVIRONMENT) from None

    def _rows(self, name: str) -> list[tuple[int, dict[str, str]]]:
        """(line, {column: text}) of a table that an instructor edits; empty lines and lines that start with # are no rows."""
        try:
            with self.path(name).open(encoding="utf-8-sig", newline="") as file:
                reader = csv.DictReader(file)
                rows = [(reader.line_num, row) for row in reader]
                head = tuple(reader.fieldnames or ())
        except (OSError, UnicodeDecodeError, csv.Error) as err:
            raise TitoError(f"{name} cannot be read", why=f"{self.path(name)}: {err}", fix="save it as CSV in UTF-8",
                            code=ExitCode.INTEGRITY) from None
        if missing := [c for c in COLUMNS[name][:1] if c not in head]:
            raise self._wrong(name, 1, f"there is no column '{missing[0]}'; the columns are {', '.join(COLUMNS[name])}")
        clean = [(line, {c: (row.get(c) or "").strip() for c in COLUMNS[name]}) for line, row in rows]
        return [(line, row) for line, row in clean if any(row.values()) and not next(iter(row.values())).startswith("#")]

    def _wrong(self, name: str, line: int, why: str) -> TitoError:
        return TitoError(f"{name}, line {line} cannot be used", why=why, fix=f"mend it in {self.path(name)}", code=ExitCode.INTEGRITY)
