"""A gradebook's rows of one assignment: its cells, and for every submission the grades and comments; kept in step, copied, put back."""

from __future__ import annotations

from typing import Any

from nbgrader.api import Assignment as AssignmentRow
from nbgrader.api import BaseCell, Comment, Grade, Gradebook, GradeCell, Notebook, SolutionCell, SourceCell, SubmittedNotebook
from sqlalchemy import Table, delete, insert, or_, select, update
from sqlalchemy.orm import Session, load_only

from grading.assignment import Assignment
from grading.book.gradebook import RECORDED, added, put, reading, transaction
from tito.errors import ExitCode, TitoError

Rows = dict[str, dict[str, Any]]        # {id: {column: value}}
Snapshot = dict[str, Rows]              # {table: rows}

MARKS: tuple[Table, ...] = (Grade.__table__, Comment.__table__, RECORDED)
CELLS: tuple[Table, ...] = tuple(model.__table__ for model in (BaseCell, GradeCell, SolutionCell, SourceCell))
TABLES = (*CELLS, *MARKS)               # a row comes after those that it refers to


def notebook_row(session: Session, assignment: Assignment) -> Notebook:
    """The assignment's notebook.  TitoError where it was not generated into this gradebook."""
    query = select(Notebook).join(AssignmentRow, AssignmentRow.id == Notebook.assignment_id)
    row = session.scalars(query.where(AssignmentRow.name == assignment.folder, Notebook.name == assignment.notebook)).first()
    if row is None:
        raise TitoError(f"the gradebook does not know {assignment.label}", why="its cells are entered when the assignment is made",
                        fix=f"tito grade generate {assignment.number:02d}", code=ExitCode.INTEGRITY)
    return row


def wanted_cells(assignment: Assignment) -> dict[type[Any], dict[str, dict[str, Any]]]:
    """The rows that the gradebook has of an assignment's cells: {class: {grade_id: columns}}."""
    found: dict[type[Any], dict[str, dict[str, Any]]] = {GradeCell: {}, SolutionCell: {}, SourceCell: {}}
    for cell, raw in zip(assignment.document.cells, assignment.released["cells"], strict=True):
        if cell.grade:
            found[GradeCell][cell.grade_id] = {"max_score": cell.points, "cell_type": cell.kind}
        if cell.solution:
            found[SolutionCell][cell.grade_id] = {}
        if cell.grade or cell.solution or cell.locked:
            found[SourceCell][cell.grade_id] = {"cell_type": cell.kind, "locked": not cell.solution and (cell.grade or cell.locked),
                                                "source": cell.source, "checksum": raw["metadata"]["nbgrader"].get("checksum")}
    return found


def entered(gradebook: Gradebook, assignment: Assignment) -> bool:
    """Whether the gradebook's cells are the assignment's."""
    with reading(gradebook) as session:
        try:
            notebook = notebook_row(session, assignment)
        except TitoError:
            return False
        return all({row.name: {name: getattr(row, name) for name in wanted.get(row.name, {})} for row in
                    session.scalars(select(kind).where(kind.notebook_id == notebook.id))} == wanted
                   for kind, wanted in wanted_cells(assignment).items())


def submissions(gradebook: Gradebook, assignment: Assignment) -> int:
    """How many the gradebook has of an assignment."""
    with reading(gradebook) as session:
        query = select(SubmittedNotebook.id).join(Notebook, Notebook.id == SubmittedNotebook.notebook_id)
        query = query.join(AssignmentRow, AssignmentRow.id == Notebook.assignment_id).where(AssignmentRow.name == assignment.folder)
        return len(session.scalars(query).all())


def enter(session: Session, assignment: Assignment) -> None:
    """Make the gradebook's cells those of the assignment, also where there are submissions: they get rows for new cells, and lose those
    of cells that are gone.  TitoError where a person's points would go with them."""
    notebook = notebook_row(session, assignment)
    for kind, wanted in wanted_cells(assignment).items():
        present = {row.name: row for row in session.scalars(select(kind).where(kind.notebook_id == notebook.id))}
        _drop(session, kind, {name: row.id for name, row in present.items() if name not in wanted})
        for name, values in wanted.items():
            if name in present:
                put(present[name], **values)
            else:
                session.add(kind(name=name, notebook_id=notebook.id, **values))
    session.flush()
    for submitted in session.scalars(select(SubmittedNotebook.id).where(SubmittedNotebook.notebook_id == notebook.id)):
        complete(session, notebook.id, submitted)


def complete(session: Session, notebook: str, submitted: str) -> tuple[dict[str, Grade], dict[str, Comment]]:
    """A submission's grades and comments by the names of their cells, made where there are none."""
    grades = _by_name(session, GradeCell, Grade, notebook, submitted, (Grade.auto_score, Grade.manual_score, Grade.needs_manual_grade))
    return grades, _by_name(session, SolutionCell, Comment, notebook, submitted, (Comment.auto_comment,))


def _by_name(session: Session, cell: Any, kind: Any, notebook: str, submitted: str, columns: tuple[Any, ...]) -> dict[str, Any]:
    names = session.execute(select(cell.id, cell.name).where(cell.notebook_id == notebook).order_by(cell.name)).all()
    query = select(kind).where(kind.notebook_id == submitted).options(load_only(kind.cell_id, *columns)).with_for_update(of=kind)
    rows = {row.cell_id: row for row in session.scalars(query)}
    return {name: rows.get(cell_id) or added(session, kind(cell_id=cell_id, notebook_id=submitted)) for cell_id, name in names}


def _drop(session: Session, kind: Any, gone: dict[str, str]) -> None:
    if kind is GradeCell:
        by_hand = or_(Grade.manual_score.is_not(None), Grade.extra_credit.is_not(None))
        for name, cell in gone.items():
            if session.scalars(select(Grade.id).where(Grade.cell_id == cell, by_hand)).first():
                raise TitoError(f"{name} is gone, but somebody gave points for it by hand", why="they would be lost",
                                fix="keep the cell; or take the points back in formgrader first", code=ExitCode.INTEGRITY)
    tables = {GradeCell: (Grade, GradeCell, BaseCell), SolutionCell: (Comment, SolutionCell, BaseCell), SourceCell: (SourceCell,)}[kind]
    for model in tables:
        table = model.__table__
        column = table.c.cell_id if "cell_id" in table.c else table.c.id
        session.execute(delete(table).where(column.in_(list(gone.values()))))


def snapshot(gradebook: Gradebook, assignment: Assignment) -> Snapshot:
    """All rows of the assignment that recording and regrading change, as JSON has them."""
    with reading(gradebook) as session:
        return _snapshot(session, assignment)


def _snapshot(session: Session, assignment: Assignment) -> Snapshot:
    notebook = notebook_row(session, assignment).id
    submitted = select(SubmittedNotebook.id).where(SubmittedNotebook.notebook_id == notebook)
    cells = select(BaseCell.__table__.c.id).where(BaseCell.__table__.c.notebook_id == notebook)
    found: Snapshot = {}
    for table in TABLES:
        mine = (table.c.id.in_(submitted) if table is RECORDED else table.c.notebook_id.in_(submitted) if table in MARKS
                else table.c.notebook_id == notebook if "notebook_id" in table.c else table.c.id.in_(cells))
        rows = session.execute(select(table).where(mine).order_by(table.c.id)).mappings()
        found[table.name] = {row["id"]: dict(row) for row in rows}
    return found


def restore(gradebook: Gradebook, assignment: Assignment, before: Snapshot, after: Snapshot) -> None:
    """Take back what happened between two snapshots, exactly and in one transaction; where nothing happened since, it is as it was.

    What people entered since stays.  A submission that was recorded since keeps what it has; `facts` says that it is to be judged anew,
    since its points come from another assignment.  TitoError where points given by hand would go with a cell.
    """
    with transaction(gradebook) as session:
        for kind, table in ((kind, kind.__table__) for kind in (GradeCell, SolutionCell, SourceCell)):
            _drop(session, kind, {after["base_cell"].get(row, after[table.name][row])["name"]: row
                                  for row in after[table.name] if row not in before[table.name]})
        now = _snapshot(session, assignment)
        later = {row for row, values in now[RECORDED.name].items() if values != after[RECORDED.name].get(row)}
        for table in TABLES:
            _put_back(session, table, before[table.name], after[table.name], now[table.name], later)


def _put_back(session: Session, table: Table, before: Rows, after: Rows, now: Rows, later: set[str]) -> None:
    for row, values in before.items():
        if row not in after and row not in now:
            session.execute(insert(table).values(**values))
    for row, values in now.items():
        if table in MARKS and values.get("notebook_id", row) in later:
            continue
        if row in after and row not in before and values == after[row]:
            session.execute(delete(table).where(table.c.id == row))
        elif row in after and row in before:
            back = {c: before[row][c] for c in values if before[row][c] != after[row][c] == values[c]}
            if back:
                session.execute(update(table).where(table.c.id == row).values(**back))
