"""From a result to nbgrader's gradebook and to the notebook that formgrader shows; and from the gradebook to facts."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nbgrader.api import Comment, Grade, Gradebook, GradeCell, SolutionCell, SubmittedAssignment, SubmittedNotebook, new_uuid
from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from grading.assignment import Assignment, Notebook
from grading.book.facts import Facts
from grading.book.gradebook import RECORDED, naive, opened, put, reading, student_row, transaction
from grading.book.rows import complete, enter, notebook_row
from grading.intake.versions import Version, counting, stamp
from grading.result import Result
from grading.term import Term
from tito.cells import Document, document
from tito.check.row import Row, number
from tito.course import Module
from tito.errors import ExitCode, TitoError
from tito.journal import sibling
from tito.repair import repair

UNANSWERED = "No response."             # nbgrader's words
Answers = dict[str, tuple[str, bool]]   # {grade_id: (hash of the text, whether it is still the released text)}


def record(term: Term, gradebook: Gradebook, assignment: Assignment, result: Result, version: Version,
           notebook: Notebook | None = None) -> bool:
    """Enter a result, and write the notebook that formgrader shows (`notebook`: the repaired one); whether anything changed.

    One transaction; the same result again changes nothing.  Points, comments and extra credit that a person gave are never touched; a
    written answer asks for a person only when its text is new.  A result that says "infra" is no score: its automatic cells get none (not
    the earlier one either) and are marked as needing a person, so that formgrader lists the submission, and the card says why.
    """
    if (result.assignment, result.version, result.student) != (assignment.digest, version.sha256, version.student):
        raise ValueError(f"a result of {result.student}, version {result.version[:8]}, does not belong to what it is recorded with")
    notebook = notebook or _repaired(assignment, result, version)
    with transaction(gradebook) as session:
        submitted, changed = _submitted(session, term, assignment, version)
        changed |= _enter(session, assignment, result, submitted, _answers(assignment, notebook) if notebook else None)
    return show(term, assignment, result, version, notebook or assignment.released) or changed


def _repaired(assignment: Assignment, result: Result, version: Version) -> Notebook | None:
    """None where the file is damaged, which may be why the result says "infra"."""
    try:
        return repair(version.content(), assignment.released).notebook
    except TitoError:
        if result.state == "graded":
            raise
        return None


@contextmanager
def recorder(term: Term) -> Iterator[Callable[[Assignment, Version, Result], bool]]:
    """`record` with the term's gradebook open, for a whole run."""
    with opened(term) as gradebook:
        yield lambda assignment, version, result: record(term, gradebook, assignment, result, version)


def apply(gradebook: Gradebook, assignment: Assignment, results: Iterable[Result]) -> None:
    """Change the gradebook to another assignment's cells and to results by it: all in one transaction.  Written answers stay as they
    are; a result of somebody who has no submission is passed over."""
    with transaction(gradebook) as session:
        enter(session, assignment)
        notebook = notebook_row(session, assignment)
        query = select(SubmittedAssignment.student_id, SubmittedNotebook).join(SubmittedNotebook.assignment)
        rows = dict(session.execute(query.where(SubmittedNotebook.notebook_id == notebook.id)).all())
        for result in results:
            if result.student in rows:
                _enter(session, assignment, result, rows[result.student], None)


def _submitted(session: Session, term: Term, assignment: Assignment, version: Version) -> tuple[SubmittedNotebook, bool]:
    """The row of the student's notebook, and whether it or its time had to be written."""
    notebook = notebook_row(session, assignment)
    query = select(SubmittedAssignment).where(SubmittedAssignment.assignment_id == notebook.assignment_id)
    whole = session.scalars(query.where(SubmittedAssignment.student_id == version.student)).first()
    if whole is None:
        student_row(session, term, version.student)
        whole = SubmittedAssignment(id=new_uuid(), assignment_id=notebook.assignment_id, student_id=version.student)
        session.add(whole)
    changed = put(whole, timestamp=naive(version.received))
    session.flush()
    mine = (SubmittedNotebook.assignment_id == whole.id, SubmittedNotebook.notebook_id == notebook.id)
    row = session.scalars(select(SubmittedNotebook).where(*mine)).first()
    if row is None:
        row = SubmittedNotebook(id=new_uuid(), assignment_id=whole.id, notebook_id=notebook.id)
        session.add(row)
        session.flush()
    return row, changed


def _enter(session: Session, assignment: Assignment, result: Result, submitted: SubmittedNotebook, answers: Answers | None) -> bool:
    """Points, comments and our own note of one submission; `answers` None leaves written answers alone.  Whether anything changed."""
    grades, comments = complete(session, submitted.notebook_id, submitted.id)
    old = session.execute(select(RECORDED).where(RECORDED.c.id == submitted.id)).mappings().first()
    before: dict[str, str] = json.loads(old["answers"]) if old else {}
    rows = {row.grade_id: row for row in result.rows} if result.state == "graded" else {}
    changed = bool(session.new)
    for name, grade in grades.items():
        if name not in assignment.manual:
            points = rows[name].points if name in rows else None
            changed |= put(grade, auto_score=points, needs_manual_grade=points is None and grade.manual_score is None)
        elif answers is not None:
            changed |= _answered(grade, *answers[name], before.get(name))
    texts = _comments(assignment, result, answers)
    for name, text in texts.items():
        changed |= put(comments[name], auto_comment=text)
    now = {"key": result.key, "version": result.version, "assignment": result.assignment, "state": result.state,
           "answers": json.dumps(before if answers is None else {name: digest for name, (digest, _) in answers.items()}, sort_keys=True)}
    if old is None:
        session.execute(insert(RECORDED).values(id=submitted.id, **now))
    elif {**old, **now} != dict(old):
        session.execute(update(RECORDED).where(RECORDED.c.id == submitted.id).values(**now))
        changed = True
    return changed


def _answered(grade: Any, digest: str, unanswered: bool, before: str | None) -> bool:
    """A written answer's grade: as it is where the text is the one of last time, else a person is asked (anew)."""
    changed = put(grade, auto_score=0.0 if unanswered else None)
    if digest != before:
        changed |= put(grade, needs_manual_grade=not unanswered or grade.manual_score is not None)
    return changed


def _answers(assignment: Assignment, notebook: Notebook) -> Answers:
    given = {cell.grade_id: cell.source for cell in _document(assignment, notebook).cells}
    released = {cell.grade_id: cell.source for cell in assignment.document.cells}
    return {name: (_hash(given.get(name, "")), _hash(given.get(name, "")) == _hash(released[name])) for name in assignment.manual}


def _hash(text: str) -> str:
    """Of what a reader sees: line ends and blanks around are no change."""
    return hashlib.sha256("\n".join(line.rstrip() for line in text.strip().splitlines()).encode("utf-8", "replace")).hexdigest()


def _comments(assignment: Assignment, result: Result, answers: Answers | None) -> dict[str, str | None]:
    """{grade_id of an answer: what the judge says of it}: the tests below it, up to the next answer, that did not pass."""
    rows = {row.grade_id: row for row in result.rows}
    found: dict[str, list[str]] = {}
    group: list[str] = []
    tested = False
    for cell in assignment.document.cells:
        if cell.solution and not cell.manual:
            group, tested = ([] if tested else group) + [cell.grade_id], False
            found[cell.grade_id] = []
        elif cell.test:
            tested = True
            for name in group:
                found[name] += _said(rows.get(cell.grade_id))
    texts: dict[str, str | None] = {name: "\n".join(lines) or None for name, lines in found.items()}
    return texts | {name: UNANSWERED if unanswered else None for name, (_, unanswered) in (answers or {}).items()}


def _said(row: Row | None) -> list[str]:
    if row is None or row.state == "passed":
        return []
    if row.state == "infra":
        return [f"{row.grade_id}: could not be judged"]
    why = row.hint or row.check or row.got
    return [f"{row.grade_id}: {row.state}, {number(row.points)} of {number(row.max_points)}" + (f": {why}" if why else "")]


def show(term: Term, assignment: Assignment, result: Result, version: Version, notebook: Notebook) -> bool:
    """Write autograded/STUDENT/NN_name as formgrader wants it; whether it was any different.  It can be made again at any time."""
    folder = term.path("autograded", version.student, assignment.folder)
    text = json.dumps(_with_cards(notebook, result), ensure_ascii=False, sort_keys=True, indent=1) + "\n"
    files = {f"{assignment.notebook}.ipynb": text.encode("utf-8", "replace"), "timestamp.txt": (stamp(version.received) + "\n").encode()}
    changed = [folder / name for name, content in files.items() if not _holds(folder / name, content)]
    with _disk(folder):
        for path in changed:
            path.parent.mkdir(parents=True, exist_ok=True)
            sibling(path).write_bytes(files[path.name])         # not flushed to the disk: it would take longer than all the rest
            sibling(path).replace(path)
    return bool(changed)


def _holds(path: Path, content: bytes) -> bool:
    return path.is_file() and path.stat().st_size == len(content) and path.read_bytes() == content


@contextmanager
def _disk(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as err:
        raise TitoError(f"cannot write {folder}", why=err.strerror or str(err), fix="make room, or see that you may write there; then do "
                        "the same again", code=ExitCode.INFRASTRUCTURE) from err


def _with_cards(notebook: Notebook, result: Result) -> Notebook:
    """The notebook without the outputs that came with it, and with the cards under its tests.

    A raw cell becomes a code cell: nbconvert would put it into the page as the HTML that it may be."""
    rows = {row.grade_id: row for row in result.rows}
    shown = copy.deepcopy(notebook)
    for cell in shown["cells"]:
        if cell["cell_type"] != "markdown":
            cell["cell_type"] = "code"
            cell.pop("attachments", None)
            row = rows.get(cell["metadata"].get("nbgrader", {}).get("grade_id"))
            cell |= {"execution_count": None, "outputs": [_output(row)] if row else []}
    return shown


def _output(row: Row) -> dict[str, Any]:
    card = "\n".join(row.card())
    if row.state == "passed":
        return {"output_type": "stream", "name": "stdout", "text": card + "\n"}
    return {"output_type": "error", "ename": row.state, "evalue": "", "traceback": [card]}


def facts(term: Term, gradebook: Gradebook, module: Module) -> list[Facts]:
    """What is known of every student of the term and of everybody who handed in, by id.

    The judge's points count only where they are of the version that counts and by the assignment in force: else nothing is known of them.
    """
    assignment = Assignment.current(term, module)
    versions = counting(term, module)
    recorded = _recorded(gradebook, assignment)
    return [_facts(term, assignment, student, versions.get(student), recorded.get(student, {}))
            for student in sorted({*term.students, *versions, *recorded})]


def _facts(term: Term, assignment: Assignment, student: str, version: Version | None, known: dict[str, Any]) -> Facts:
    judged = version is not None and (known.get("version"), known.get("assignment")) == (version.sha256, assignment.digest)
    grades = known.get("grades", {})
    by_hand = {name: g.manual_score for name, g in grades.items()
               if g.manual_score is not None and not (name in assignment.manual and g.needs_manual_grade)}
    return Facts(student, assignment.number, assignment.points, assignment.manual,
                 auto={name: g.auto_score for name, g in grades.items()} if judged else {}, manual_scores=by_hand,
                 extra={name: g.extra_credit for name, g in grades.items() if g.extra_credit is not None},
                 submitted=version.received if version else None, due=term.settings.deadlines.due.get(assignment.number),
                 until=term.extensions.get((student, assignment.number)), comments=known.get("comments", {}),
                 sha256=version.sha256 if version else "")


def _recorded(gradebook: Gradebook, assignment: Assignment) -> dict[str, dict[str, Any]]:
    """{student: {"version": ..., "assignment": ..., "grades": {grade_id: row}, "comments": {grade_id: a person's words}}}."""
    found: dict[str, dict[str, Any]] = {}
    with reading(gradebook) as session:
        notebook = notebook_row(session, assignment).id
        whose = select(SubmittedAssignment.student_id, SubmittedNotebook.id).join(SubmittedNotebook.assignment)
        students = {row: student for student, row in session.execute(whose.where(SubmittedNotebook.notebook_id == notebook))}
        for row in session.execute(select(RECORDED.c.id, RECORDED.c.version, RECORDED.c.assignment)):
            if row.id in students:
                found[students[row.id]] = {"version": row.version, "assignment": row.assignment}
        points = (Grade.auto_score, Grade.manual_score, Grade.extra_credit, Grade.needs_manual_grade)
        grades = select(Grade.notebook_id, GradeCell.name, *points).join(GradeCell, GradeCell.id == Grade.cell_id)
        for row in session.execute(grades.where(GradeCell.notebook_id == notebook)):
            found.setdefault(students[row.notebook_id], {}).setdefault("grades", {})[row.name] = row
        said = select(Comment.notebook_id, SolutionCell.name, Comment.manual_comment).join(SolutionCell, SolutionCell.id == Comment.cell_id)
        for row in session.execute(said.where(SolutionCell.notebook_id == notebook, Comment.manual_comment.is_not(None))):
            found.setdefault(students[row.notebook_id], {}).setdefault("comments", {})[row.name] = row.manual_comment
    return found


def _document(assignment: Assignment, notebook: Notebook) -> Document:
    return document(notebook, Path(f"{assignment.notebook}.ipynb"))
