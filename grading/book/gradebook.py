"""nbgrader's gradebook: made in one step, opened, changed in transactions that happen or do not, and its errors told to a person."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from nbgrader.api import Assignment, Base, Course, Gradebook, Student
from sqlalchemy import Column, Connection, Engine, MetaData, String, Table, Text, create_engine, exc, inspect, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from grading.term import Student as Enrolled
from grading.term import Term
from tito.errors import ExitCode, TitoError

PATIENCE = 30.0                 # seconds to wait for another program's change
VERSION = "alembic_version"     # where nbgrader's migrations look up which of them were done
LONGEST = 128                   # letters of a name, as nbgrader has them

# What nbgrader's tables have no place for: from which result a submission's points come, and which written answers it had.
# It refers to a submitted notebook by id and not by a foreign key, so that nbgrader may remove one.
RECORDED = Table("tinytorch_recorded", MetaData(), Column("id", String(32), primary_key=True), Column("key", String(16)),
                 Column("version", String(64)), Column("assignment", String(64)), Column("state", String(16)), Column("answers", Text))


@contextmanager
def opened(term: Term, patience: float = PATIENCE) -> Iterator[Gradebook]:
    """The term's gradebook, made where there is none.  TitoError where it cannot be used."""
    address = _address(term, patience)
    with guarded(term.database):
        _prepare(address, term.settings.course.id)
        gradebook = Gradebook(address, term.settings.course.id)
    try:
        yield gradebook
    finally:
        gradebook.close()


@contextmanager
def transaction(gradebook: Gradebook) -> Iterator[Session]:
    """A session of its own: what is done in it happens as a whole, or not at all.  TitoError where the database fails."""
    engine: Engine = gradebook.engine
    with guarded(engine.url.render_as_string()), Session(engine) as session, session.begin():
        _alone(session.connection())
        yield session


@contextmanager
def reading(gradebook: Gradebook) -> Iterator[Session]:
    """A session that only looks.  TitoError where the database fails."""
    with guarded(gradebook.engine.url.render_as_string()), Session(gradebook.engine) as session:
        yield session


@contextmanager
def guarded(url: str) -> Iterator[None]:
    """Errors of the database become what a person can act on."""
    try:
        yield
    except (exc.DBAPIError, exc.TimeoutError) as err:
        why = str(getattr(err, "orig", None) or err).strip().split("\n")[0]
        raise TitoError("the gradebook cannot be used", why=f"{make_url(url).render_as_string()}: {why}", fix=_remedy(url, why.lower()),
                        code=ExitCode.INFRASTRUCTURE) from err
    except (ImportError, exc.NoSuchModuleError) as err:
        raise TitoError("there is no driver for the gradebook's database here", why=f"{make_url(url).drivername}: {err}",
                        fix="for PostgreSQL: python -m pip install psycopg2-binary, and postgresql+psycopg2:// in settings.ini",
                        code=ExitCode.ENVIRONMENT) from err


def _remedy(url: str, why: str) -> str:
    again = "what was recorded stays recorded: then do the same again"
    if "locked" in why:
        return f"end the other program that writes to it; {again}"
    if "full" in why or "no space" in why:
        return f"make room on the disk; {again}"
    if "readonly" in why or "unable to open" in why or "permission" in why:
        return f"see that you may write to it and to its folder; {again}"
    if "malformed" in why or "not a database" in why:
        return "bring it back from a backup; or move it away, and run tito grade generate and tito grade autograde: manual points are lost"
    if "no such" in why or "does not exist" in why:
        return "it may be of another version of nbgrader: make a backup, then run nbgrader db upgrade"
    return f"see that its server runs and lets you in; {again}" if url.startswith("postgresql") else again


def _address(term: Term, patience: float) -> str:
    url = make_url(term.database)
    if url.get_backend_name() == "sqlite":
        url = url.update_query_dict({"timeout": str(patience)})
    address: str = url.render_as_string(hide_password=False)
    return address


def _prepare(address: str, course: str) -> None:
    """nbgrader's tables, the mark of their version, our own table and the course's row: all of it in one transaction.

    nbgrader would ask a program called alembic for the version after making the tables, and where that is not found, leave a
    gradebook that it can never migrate.
    """
    engine = create_engine(address)
    try:
        with engine.connect() as connection:
            if _complete(connection, course):
                return
        with engine.begin() as connection:
            _alone(connection)
            _create(connection, course)
    finally:
        engine.dispose()


def _complete(connection: Connection, course: str) -> bool:
    if not {VERSION, RECORDED.name} <= set(inspect(connection).get_table_names()):
        return False
    version = connection.execute(text(f"SELECT version_num FROM {VERSION}")).scalar()
    return bool(version and connection.execute(select(Course.id).where(Course.id == course)).scalar())


def _create(connection: Connection, course: str) -> None:
    from alembic.script import ScriptDirectory  # half a second to import
    from nbgrader.dbutil import ALEMBIC_DIR
    head = str(ScriptDirectory(ALEMBIC_DIR).get_current_head())
    names = set(inspect(connection).get_table_names())
    if names & set(Base.metadata.tables) and VERSION not in names:
        raise TitoError("the gradebook does not say which version of nbgrader made it", why=f"it has no table {VERSION}",
                        fix="move it away if it has no grades yet; else make a backup, then run nbgrader db upgrade",
                        code=ExitCode.INTEGRITY)
    Base.metadata.create_all(connection)
    RECORDED.create(connection, checkfirst=True)
    if VERSION not in names:
        connection.execute(text(f"CREATE TABLE {VERSION} (version_num VARCHAR(32) NOT NULL)"))
        connection.execute(text(f"INSERT INTO {VERSION} (version_num) VALUES (:head)"), {"head": head})
    if not connection.execute(select(Course.id).where(Course.id == course)).scalar():
        connection.execute(Course.__table__.insert().values(id=course))


def _alone(connection: Connection) -> None:
    """From here to the end of the transaction no other coordinator changes anything; with SQLite, nor does formgrader."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")       # Python begins one only before the first change
    else:
        connection.execute(text("SELECT pg_advisory_xact_lock(7416401)"))


def put(row: Any, **values: Any) -> bool:
    """Set what differs; whether anything did."""
    changed = {name: value for name, value in values.items() if getattr(row, name) != value}
    for name, value in changed.items():
        setattr(row, name, value)
    return bool(changed)


def enrol(term: Term, gradebook: Gradebook) -> None:
    """Names, addresses and deadlines as students.csv and settings.ini have them now: what formgrader shows."""
    with transaction(gradebook) as session:
        rows = {row.id: row for row in session.scalars(select(Student))}
        for student in term.students.values():
            put(rows.get(student.id) or added(session, Student(id=student.id)), **_names(student))
        for number, due in term.settings.deadlines.due.items():
            for row in session.scalars(select(Assignment).where(Assignment.name.like(f"{number:02d}\\_%", escape="\\"))):
                put(row, duedate=naive(due))


def student_row(session: Session, term: Term, student: str) -> Student:
    """A student's row, made where there is none."""
    return session.get(Student, student) or added(session, Student(id=student, **_names(term.students.get(student, Enrolled(student)))))


def _names(student: Enrolled) -> dict[str, str | None]:
    last, comma, first = student.name.partition(",")
    if not comma:
        first, _, last = student.name.rpartition(" ")
    return {name: value.strip()[:LONGEST] or None for name, value in
            {"first_name": first, "last_name": last, "email": student.email}.items()}


def added(session: Session, row: Any) -> Any:
    session.add(row)
    return row


def naive(moment: datetime) -> datetime:
    """A time as nbgrader keeps it: UTC, without saying so."""
    return moment.astimezone(UTC).replace(tzinfo=None)
