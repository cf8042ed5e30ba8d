"""Damages to the cells of a notebook: copied, deleted, moved, retyped, merged, split, relabelled, rewritten."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from tests.grading.damage_work import Cell, NotHere, Work, marks
from tito.repair.piece import statements

Damage = Callable[[Work], None]
CELLS: dict[str, Damage] = {}


def damage(function: Damage) -> Damage:
    CELLS[function.__name__] = function
    return function


def each(what: str, name: str, change: Callable[[Work, Cell], None], *, only: int | None = None) -> None:
    """A damage to every cell of a sort, or only to the one at a place."""
    def to_each(work: Work) -> None:
        found = work.marked(what)
        if not found:
            raise NotHere
        for cell in found if only is None else [found[only]]:
            change(work, cell)
    CELLS[name] = to_each


# -- copies

def _copied(work: Work, cell: Cell, **change: Any) -> None:
    work.cells.insert(work.place(cell) + 1, {**copy.deepcopy(cell), **change})


def _stub_before(work: Work, cell: Cell) -> None:
    work.cells.insert(work.place(cell), {**copy.deepcopy(cell), "source": work.stub(work.name(cell))})


each("answer", "answers_twice", _copied)
each("answer", "answers_and_their_stubs", lambda w, c: _copied(w, c, source=w.stub(w.name(c))))
each("answer", "stubs_and_their_answers", _stub_before)
each("answer", "answer_with_an_empty_copy", lambda w, c: _copied(w, c, source="\n"), only=0)
each("check", "checks_twice", _copied)
each("check", "check_with_a_weaker_copy", lambda w, c: _copied(w, c, source="assert True"), only=0)
each("given", "given_cells_twice", _copied, only=0)


@damage
def everything_twice(work: Work) -> None:
    work.cells = [copy.deepcopy(c) for cell in work.cells for c in (cell, cell)]


# -- deleted

def _deleted(work: Work, cell: Cell) -> None:
    del work.cells[work.place(cell)]
    work.lose(cell)


def _emptied(work: Work, cell: Cell) -> None:
    cell["source"] = ""
    work.lose(cell)


each("check", "check_deleted", _deleted, only=0)
each("check", "checks_deleted", _deleted)
each("check", "checks_emptied", _emptied)
each("locked", "locked_cells_deleted", _deleted)
each("given", "given_cell_deleted", _deleted, only=-1)
each("given", "given_cells_deleted", _deleted)
each("given", "given_cells_emptied", _emptied)
each("answer", "answer_deleted", _deleted, only=0)
each("answer", "last_answer_emptied", _emptied, only=-1)
each("answer", "answers_deleted", _deleted)


@damage
def texts_deleted(work: Work) -> None:
    work.cells = [c for c in work.cells if c["cell_type"] != "markdown" or any(c is cell for cell in work.marked("written"))]


@damage
def nothing_but_answers(work: Work) -> None:
    work.cells = [*work.marked("answer"), *work.marked("written")]


# -- moved

def _to_the_end(work: Work, cell: Cell) -> None:
    work.cells.append(work.cells.pop(work.place(cell)))


each("answer", "answer_at_the_end", _to_the_end, only=0)
each("answer", "answers_at_the_end", _to_the_end)
each("check", "checks_at_the_top", lambda w, c: w.cells.insert(0, w.cells.pop(w.place(c))))
each("locked", "locked_cells_at_the_end", _to_the_end)


@damage
def upside_down(work: Work) -> None:
    work.cells.reverse()


@damage
def shuffled(work: Work) -> None:
    work.random.shuffle(work.cells)


# -- retyped

def _typed(kind: Any) -> Callable[[Work, Cell], None]:
    return lambda work, cell: cell.update(cell_type=kind)


each("answer", "answers_as_text", _typed("markdown"))
each("answer", "answer_as_raw", _typed("raw"), only=-1)
each("check", "checks_as_text", _typed("markdown"))
each("check", "check_as_raw", _typed("raw"), only=0)
each("given", "given_cells_as_text", _typed("markdown"))
each("written", "written_answers_as_code", _typed("code"))
each("locked", "locked_cells_as_raw", _typed("raw"))


@damage
def everything_as_text(work: Work) -> None:
    for cell in work.cells:
        cell["cell_type"] = "markdown"


# -- merged and split

def _with_its_check(work: Work, cell: Cell, keep: str) -> None:
    after = [c for c in work.marked("check") if work.place(c) > work.place(cell)]
    if not after:
        raise NotHere
    work.merge(cell, after[0], cell if keep == "answer" else after[0])


each("answer", "answer_merged_with_its_check", lambda w, c: _with_its_check(w, c, "answer"), only=-1)
each("answer", "answer_merged_into_its_check", lambda w, c: _with_its_check(w, c, "check"), only=-1)
each("answer", "answer_merged_into_the_cell_above", lambda w, c: w.merge(w.above(c), c, w.above(c)), only=0)
each("answer", "answer_merged_with_the_cell_above", lambda w, c: w.merge(w.above(c), c, c), only=0)
each("answer", "answer_merged_into_a_locked_cell", lambda w, c: w.merge(w.one("locked"), c, w.one("locked")), only=0)


def _both(work: Work) -> tuple[Cell, Cell]:
    return work.one("answer"), work.one("answer", 1)


@damage
def two_answers_merged_into_the_first(work: Work) -> None:
    work.merge(*_both(work), keep=_both(work)[0])


@damage
def two_answers_merged_into_the_second(work: Work) -> None:
    work.merge(*_both(work), keep=_both(work)[1])


@damage
def all_code_in_one_cell(work: Work) -> None:
    code = [c for what in ("locked", "given", "answer", "check") for c in work.marked(what)]
    if not code:
        raise NotHere
    code.sort(key=work.place)
    work.merge(code[0], code[-1], keep=code[0])


def _split(work: Work, cell: Cell) -> None:
    parts = statements(cell["source"])
    if len(parts) > 1:
        rest = {"cell_type": cell["cell_type"], "metadata": {}, "outputs": [], "execution_count": None, "source": parts[-1].strip("\n")}
        cell["source"] = "\n".join(parts[:-1])
        work.cells.insert(work.place(cell) + 1, rest)


def _shredded(work: Work, cell: Cell) -> None:
    parts = statements(cell["source"])
    work.cells[work.place(cell):work.place(cell) + 1] = [{**copy.deepcopy(cell), "source": part.strip("\n"), **({} if i == 0 else {
        "metadata": {}, "id": f"part-{i}"})} for i, part in enumerate(parts)]


each("answer", "answers_split", _split)
each("answer", "answer_in_pieces", _shredded, only=-1)
each("check", "checks_split", _split)
each("given", "given_cells_split", _split)


# -- labels

def _renamed(work: Work, cell: Cell) -> None:
    marks(cell)["grade_id"] = work.name(cell) + "-copy"


def _nameless(work: Work, cell: Cell) -> None:
    cell["metadata"].pop("nbgrader", None)
    cell.pop("id", None)


def _marked(**change: Any) -> Callable[[Work, Cell], None]:
    return lambda work, cell: marks(cell).update(change)


def _swap(first: Cell, second: Cell) -> None:
    for key in ("metadata", "id"):
        first[key], second[key] = second.get(key), first.get(key)


each("answer", "answers_renamed", _renamed)
each("check", "checks_renamed", _renamed)
each("answer", "answers_without_labels", _nameless)
each("check", "checks_without_labels", _nameless)
each("locked", "locked_cells_without_labels", _nameless)
each("check", "points_raised", _marked(points=1000))
each("check", "points_as_words", _marked(points="many"))
each("check", "checks_not_graded", _marked(grade=False))
each("check", "checks_as_answers", _marked(solution=True))
each("answer", "answers_not_marked", _marked(solution=False))
each("answer", "answers_locked", _marked(locked=True, grade=True, points=50))
each("answer", "another_schema", _marked(schema_version=1))
each("answer", "answers_numbered", lambda w, c: marks(c).update(grade_id=w.place(c)))
each("check", "checks_left_out_as_analysis", lambda w, c: c["metadata"].update(tags=["analysis"]))
each("answer", "answers_left_out_as_analysis", lambda w, c: c["metadata"].update(tags=["analysis"]))
each("check", "checks_that_may_fail", lambda w, c: c["metadata"].update(tags=["raises-exception"]))


@damage
def two_labels_swapped(work: Work) -> None:
    _swap(*_both(work))


@damage
def answer_and_check_swapped(work: Work) -> None:
    _swap(work.one("answer"), work.one("check"))


@damage
def labels_one_further(work: Work) -> None:
    answers = work.marked("answer")
    kept = [(c["metadata"], c.get("id")) for c in answers]
    for cell, (metadata, name) in zip(answers, kept[1:] + kept[:1]):
        cell.update(metadata=metadata, id=name)


@damage
def grading_metadata_removed(work: Work) -> None:
    for cell in work.cells:
        cell["metadata"].pop("nbgrader", None)


@damage
def all_metadata_removed(work: Work) -> None:
    for cell in work.cells:
        cell.pop("id", None)
        cell["metadata"] = {}


@damage
def one_id_for_all(work: Work) -> None:
    for cell in work.cells:
        cell["id"] = "same"


# -- changed texts

each("check", "checks_that_always_pass", lambda w, c: c.update(source="assert True"))
each("check", "checks_with_another_body", lambda w, c: c.update(source=c["source"].split("\n")[0] + "\n    pass"))
each("check", "checks_commented_out", lambda w, c: c.update(source="\n".join("# " + line for line in c["source"].split("\n"))))
each("locked", "locked_cells_commented", lambda w, c: c.update(source="# mine\n" + c["source"]))
each("locked", "locked_cells_replaced", lambda w, c: c.update(source="print('hello')"))
each("answer", "windows_lines_in_cells", lambda w, c: c.update(source=c["source"].replace("\n", "\r\n")))
each("answer", "old_mac_lines_in_cells", lambda w, c: c.update(source=c["source"].replace("\n", "\r")))
each("answer", "zero_bytes", lambda w, c: c.update(source=c["source"].replace("\n", "\0\n")))
each("answer", "trailing_blanks", lambda w, c: c.update(source=c["source"].replace("\n", "  \n") + "\n\n"))
each("answer", "lines_without_ends", lambda w, c: c.update(source=c["source"].split("\n")))
each("answer", "lines_with_nulls_between", lambda w, c: c.update(source=[p for s in c["source"].splitlines(True) for p in (s, None, 7)]))


# -- cells of one's own

def _own(source: str, **metadata: Any) -> Cell:
    return {"cell_type": "code", "id": "own", "metadata": metadata, "outputs": [], "execution_count": None, "source": source}


@damage
def own_cells_everywhere(work: Work) -> None:
    work.cells = [c for i, cell in enumerate(work.cells) for c in (cell, _own(f"my_notes = {i}"))]


@damage
def own_graded_cell(work: Work) -> None:
    work.cells.append(_own("assert True", nbgrader={"grade": True, "grade_id": "mine", "locked": True, "points": 100, "solution": False}))


@damage
def own_cell_that_leaves(work: Work) -> None:
    work.cells.insert(1, _own("import sys\nsys.exit()"))


@damage
def own_cells_with_the_checks(work: Work) -> None:
    for cell in work.marked("check"):
        work.cells.insert(0, _own(cell["source"]))
        work.cells.append(_own(cell["source"]))


@damage
def empty_cells(work: Work) -> None:
    work.cells = [c for cell in work.cells for c in (_own(""), cell, {"cell_type": "markdown", "metadata": {}, "source": []})]


# -- values of the wrong kind

# After these no other damage finds what it needs.
LAST = {"what_is_no_cell", "notebook_metadata_of_the_wrong_kind", "lines_without_ends", "lines_with_nulls_between"}


def _everywhere(name: str, change: Callable[[Cell], object]) -> None:
    def to_all(work: Work) -> None:
        for cell in work.cells:
            change(cell)
    CELLS[name] = to_all
    LAST.add(name)


_everywhere("outputs_of_the_wrong_kind", lambda c: c.update(outputs="none", execution_count="In [3]"))
_everywhere("giant_outputs", lambda c: c.update(outputs=[{"output_type": "stream", "name": "stdout", "text": ["x" * 50_000] * 2}]))
_everywhere("nulls", lambda c: c.update(outputs=None, execution_count=None, attachments=None, id=None))
_everywhere("ids_of_the_wrong_kind", lambda c: c.update(id=[1, {"a": 2}]))
_everywhere("tags_of_the_wrong_kind", lambda c: c["metadata"].update(tags={"analysis": 1}))
_everywhere("metadata_of_the_wrong_kind", lambda c: c.update(metadata=["nbgrader"]))
_everywhere("grading_metadata_of_the_wrong_kind", lambda c: c["metadata"].update(nbgrader="yes"))
_everywhere("kinds_of_the_wrong_kind", lambda c: c.update(cell_type=7))
_everywhere("not_a_number", lambda c: c["metadata"].update(size=float("nan"), most=float("inf")))
_everywhere("unknown_fields", lambda c: c.update(prompt_number=3, collapsed=True, cell_id={"x": []}))


@damage
def what_is_no_cell(work: Work) -> None:
    work.cells = [c for cell in work.cells for c in (None, cell, 3, "text", [], {})]


@damage
def notebook_metadata_of_the_wrong_kind(work: Work) -> None:
    work.notebook.update(metadata=7, nbformat="four", nbformat_minor=None)
