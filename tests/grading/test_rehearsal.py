"""The rehearsal: each fault is planted in a small module and caught by name; an honest module has none."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from grading.assignment import Assignment
from grading.author.rehearsal import Problem, problem, refuse, rehearse, running
from grading.term import Term
from tests.grading.small import write_term
from tito.dev.source import dumps
from tito.errors import TitoError

MIXED = "import numpy as np\n\nfrom tito.check"          # what belongs to the package and what does not, in one cell
DRAWN = np.random.default_rng(3000).random()             # what a generator without a seed gives first in the run with seed 3
SHUFFLED = 'assert "".join({"a", "b", "c", "d", "e", "f"}) == ORDER'
Edit = Callable[..., Term]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Term:
    return write_term(tmp_path_factory.mktemp("rehearsal"))


@pytest.fixture
def edit(made: Term) -> Edit:
    """Put a text in the place of another in module 01's source (or its probes); all is put back at the end."""
    folder = made.course.modules[0].folder
    kept = {path: path.read_text(encoding="utf-8") for path in folder.glob("*.py")}
    source = folder / "counting_dev.py"
    source.write_text(kept[source].replace(MIXED, MIXED.replace("\n\n", "\n\n# %%\n")), encoding="utf-8")

    def change(*pairs: tuple[str, str], file: str = "counting_dev.py") -> Term:
        text = (folder / file).read_text(encoding="utf-8")
        for old, new in pairs:
            assert old in text, old
            text = text.replace(old, new, 1)
        (folder / file).write_text(text, encoding="utf-8")
        return made

    yield change
    for path, text in kept.items():
        path.write_text(text, encoding="utf-8")


def faults(term: Term, seeds: int = 0) -> list[Problem]:
    return rehearse(term, term.course.modules[0], seeds=seeds)


def the(kind: str, term: Term, seeds: int = 0) -> Problem:
    """The first fault of a kind: what it is must not be left out for another one."""
    found = [p for p in faults(term, seeds) if p.kind == kind]
    assert found, faults(term, seeds)
    assert found[0].what and found[0].fix or found[0].why
    return found[0]


def test_an_honest_module_has_no_fault_with_twenty_seeds(edit: Edit) -> None:
    done: list[tuple[int, int, str]] = []
    term = edit()
    assert [p for p in rehearse(term, term.course.modules[0], progress=lambda *told: done.append(told)) if p.blocks] == []
    assert done[-1][0] == done[-1][1] == 6 and done[-1][2] == "01 counting"


# ---- answers that students would read ----------------------------------------------------------

@pytest.mark.parametrize("name, where, pairs", [
    ("a mark without its partner", "mean", [("numbers) / len(numbers)\n    ### END SOLUTION", "numbers) / len(numbers)")]),
    ("a solution that is not marked", "total", [('"grade_id": "total", "locked": false, "schema_version": 3, "solution": true',
                                                 '"grade_id": "total", "locked": false, "schema_version": 3, "solution": false')]),
    ("a copy of it in another cell", "", [("print(\"the mean of", "def mean2(numbers):\n    return total(numbers) / len(numbers)\n\n"
                                       "print(\"the mean of")]),
    ("a copy of it as a remark", "test-mean", [("test_unit_mean()\n", "test_unit_mean()\n#     found = 0.0\n#     for number in numbers:\n"
                                                "#         found += number\n#     return found\n")]),
    ("a mark in the text", "", [("Add things up.", "Add things up: BEGIN SOLUTION")]),
])
def test_a_solution_left_in_the_release(edit: Edit, name: str, where: str, pairs: list[tuple[str, str]]) -> None:
    found = the(problem.LEFT, edit(*pairs))
    assert found.blocks and found.line and (not where or found.where == where)


def test_a_solution_in_the_notebook_that_was_generated(edit: Edit) -> None:
    term = edit()
    force = Assignment.current(term, term.course.modules[0])
    given = json.loads(dumps(force.released))
    given["cells"][2]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "        found += number\n"}]
    with released(term, force, given):
        found = the(problem.LEFT, term)
    assert "counting_dev.ipynb" in found.what and "found += number" in found.what and found.blocks


# ---- what students get -------------------------------------------------------------------------

def test_a_release_that_is_not_the_assignment_in_force(edit: Edit) -> None:
    term = edit()
    force = Assignment.current(term, term.course.modules[0])
    given = json.loads(dumps(force.released))
    with released(term, force, given):
        assert problem.DIFFERS not in {p.kind for p in faults(term) if p.blocks}
    test = next(c for c in given["cells"] if c["metadata"].get("nbgrader", {}).get("grade_id") == "test-mean")
    test["source"] = "".join(test["source"]).replace("3.0", "4.0")
    with released(term, force, given):
        found = next(p for p in faults(term) if p.kind == problem.DIFFERS and p.blocks)
    assert found.where == "test-mean" and "generate 01" in found.fix


def test_a_source_that_was_changed_since_the_release_is_worth_a_note(edit: Edit) -> None:
    found = the(problem.DIFFERS, edit(("[1.0, 2.0, 6.0]), 3.0", "[1.0, 2.0, 9.0]), 4.0")))
    assert not found.blocks and "regrade 01 --preview" in found.fix


def test_students_who_got_another_notebook_are_worth_a_note(edit: Edit) -> None:
    term = edit()
    module = term.course.modules[0]
    force = Assignment.current(term, module)
    changed = replace(force, released=json.loads(json.dumps(force.released).replace("three numbers", "some numbers")))
    noted = term.path("releases.json")
    changed.save(term)
    noted.write_text(json.dumps({"releases": {force.folder: {changed.digest: "2027-01-04T10:00:00+00:00"}}}), encoding="utf-8")
    try:
        found = [p for p in faults(term) if p.kind == problem.DIFFERS and "2027-01-04" in p.what]
    finally:
        noted.unlink()
    assert [(p.where, p.blocks) for p in found] == [("test-total", False)]


class released:
    """A notebook in release/ for a while."""

    def __init__(self, term: Term, force: Assignment, notebook: dict[str, object]):
        self.path = term.path("release", force.folder, f"{force.notebook}.ipynb")
        self.text = json.dumps(notebook)

    def __enter__(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(self.text, encoding="utf-8")

    def __exit__(self, *_: object) -> None:
        self.path.unlink()


# ---- later modules -----------------------------------------------------------------------------

@pytest.mark.parametrize("file, pair", [
    ("counting_dev.py", ("def test_unit_total():\n", "from tinytorch.core.scaling import scale\n\ndef test_unit_total():\n")),
    ("counting_dev.py", ('"nothing adds up to 0")\n', '"nothing adds up to 0")\n    scale([1.0, 2.0])\n')),
    ("probes.py", ("tinytorch.mean(", "tinytorch.scale(")),
])
def test_a_test_that_needs_a_later_module(edit: Edit, file: str, pair: tuple[str, str]) -> None:
    found = the(problem.LATER, edit(pair, file=file))
    assert found.blocks and "02" in found.what and found.line and found.where in ("test-total", "test-mean")


@pytest.mark.parametrize("own", ["def scale(x):\n        return x", "class scale:\n        pass", "import math as scale", "scale = 1"])
def test_a_test_may_have_a_name_of_its_own_that_a_later_module_has_too(edit: Edit, own: str) -> None:
    line = '"nothing adds up to 0")\n'
    term = edit((line, f"{line}    {own}\n    print(scale)\n"))
    assert [p for p in faults(term) if p.kind == problem.LATER] == []


# ---- what running shows ------------------------------------------------------------------------

def test_a_stub_that_passes(edit: Edit) -> None:
    found = the(problem.STUB, edit(('expect.close(lambda: mean([1.0, 2.0, 6.0]), 3.0, "three numbers")', "assert callable(mean)")))
    assert (found.where, found.blocks) == ("test-mean", True) and "test-mean passes" in found.what and "4 points" in found.why
    assert found.line == line_of("def test_unit_mean", edit())


@pytest.mark.parametrize("file, pair, where, what", [
    ("counting_dev.py", ("return total(numbers) / len(numbers)", "return total(numbers) * len(numbers)"), "test-mean", "failed"),
    ("counting_dev.py", ("found = 0.0", "found = undefined"), "test-total", "error"),
    ("probes.py", ("tinytorch.mean(list", "tinytorch.median(list"), "test-mean", "probe means_canary has no answer: AttributeError"),
    ("probes.py", ("bans =", "bans = 1 / 0\nother ="), "", "ZeroDivisionError"),
])
def test_a_reference_that_fails(edit: Edit, file: str, pair: tuple[str, str], where: str, what: str) -> None:
    found = the(problem.FAILS, edit(pair, file=file))
    assert found.blocks and found.where == where and what in found.what


@pytest.mark.parametrize("name, line", [
    ("random numbers", f"assert np.random.default_rng().random() != {DRAWN!r}"),
    ("the order of sets", SHUFFLED),
])
def test_a_flaky_test(edit: Edit, name: str, line: str) -> None:
    import subprocess
    import sys
    order = subprocess.run([sys.executable, "-c", 'print("".join({"a", "b", "c", "d", "e", "f"}))'], env={"PYTHONHASHSEED": "0"},
                           capture_output=True, text=True, check=True).stdout.strip()
    line = line.replace("ORDER", repr(order))
    term = edit(('    """The mean is the total over the count."""\n', f'    """The mean is the total over the count."""\n    {line}\n'))
    found = [p for p in faults(term, seeds=10) if p.kind == problem.FLAKY]
    assert found and found[0].blocks and problem.FAILS not in {p.kind for p in faults(term, seeds=0)}
    assert any("test-mean" in p.what for p in found)


@pytest.mark.parametrize("cell, whole, where", [(0.2, 9.0, "test-mean"), (9.0, 0.2, "")])
def test_a_slow_test(edit: Edit, monkeypatch: pytest.MonkeyPatch, cell: float, whole: float, where: str) -> None:
    monkeypatch.setattr(running, "CELL_SECONDS", cell)
    monkeypatch.setattr(running, "NOTEBOOK_SECONDS", whole)
    term = edit(("\ntest_unit_mean()\n", "\ntest_unit_mean()\nimport time\nbegan = time.process_time()\n"
                                         "while time.process_time() < began + 0.3:\n    pass\n"))
    found = the(problem.SLOW, term)
    assert (found.where, found.blocks) == (where, True) and "0.3 s" in found.what


def test_processor_time_counts_and_not_time_by_the_clock(edit: Edit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "CELL_SECONDS", 0.25)
    term = edit(("\ntest_unit_mean()\n", "\nimport time\ntime.sleep(0.4)\ntest_unit_mean()\n"))
    assert problem.SLOW not in {p.kind for p in faults(term)}


# ---- points, metadata, probes ------------------------------------------------------------------

@pytest.mark.parametrize("pairs", [
    [('"locked": true, "points": 4', '"locked": true, "points": 0')],
    [('"locked": true, "points": 4, ', '"locked": true, ')],
])
def test_missing_points(edit: Edit, pairs: list[tuple[str, str]]) -> None:
    found = the(problem.POINTS, edit(*pairs))
    assert found.blocks and found.where == "test-mean" and "without points" in found.what


def test_a_module_without_any_points(edit: Edit) -> None:
    term = edit(('"points": 4', '"points": 0'), ('"points": 6', '"points": 0'), ('"points": 5', '"points": 0'))
    assert any("no cell of the module has points" in p.what for p in faults(term) if p.kind == problem.POINTS)


@pytest.mark.parametrize("name, pair, what", [
    ("another schema", ('"grade_id": "test-mean", "locked": true, "points": 4, "schema_version": 3',
                        '"grade_id": "test-mean", "locked": true, "points": 4, "schema_version": 2'), "another kind"),
    ("an id twice", ('"grade_id": "test-mean"', '"grade_id": "test-total"'), "stands 2 times"),
    ("not locked", ('"grade_id": "test-mean", "locked": true', '"grade_id": "test-mean", "locked": false'), "not a locked code cell"),
    ("a graded solution", ('"grade": false, "grade_id": "mean"', '"grade": true, "points": 1, "grade_id": "mean"'), "locked or graded"),
    ("points in words", ('"points": 4', '"points": "four"'), "'four', not a number"),
    ("points that are a truth", ('"points": 4', '"points": true'), "True, not a number"),
    ("points without end", ('"points": 4', '"points": 1e999'), "inf, not a number"),
    ("no table", ('{"grade": false, "grade_id": "mean", "locked": false, "schema_version": 3, "solution": true, "task": false}',
                  '"mean"'), "cannot be read"),
])
def test_wrong_metadata(edit: Edit, name: str, pair: tuple[str, str], what: str) -> None:
    term = edit(pair)
    found = [p for p in faults(term) if p.kind == problem.METADATA and what in p.what]
    assert found and found[0].blocks and found[0].line and found[0].fix, faults(term)


def test_a_graded_cell_without_a_probe(edit: Edit) -> None:
    found = the(problem.UNPROBED, edit(('@probe("test-mean", close(1e-9))', ""), file="probes.py"))
    assert (found.where, found.blocks) == ("test-mean", True)


def test_probes_that_are_no_python(edit: Edit) -> None:
    assert "probes.py cannot be read" in the(problem.UNPROBED, edit(("def means", "de means"), file="probes.py")).what


def test_a_probe_that_leaks_a_boolean(edit: Edit) -> None:
    term = edit(("return tinytorch.mean(list(rng.normal(size=5)))",
                 "x = list(rng.normal(size=5))\n    return [bool(np.isclose(tinytorch.mean(x), np.mean(x)))]"),
                ("from tito.check", "import numpy as np\nfrom tito.check"), file="probes.py")
    found = the(problem.BOOLEANS, term)
    assert found.blocks and found.where == "test-mean" and "means_canary" in found.what


@pytest.mark.parametrize("value, leaks", [([True, [True]], True), (np.array([True, True]), True), ({"a": False}, True),
                                          ([True, False], False),
                                          ([True, 1.0], False), ([True, "x"], False), ([], False), ([None], False), (1.0, False)])
def test_what_counts_as_one_truth(value: object, leaks: bool) -> None:
    assert running.only_one_truth(value) is leaks


# ---- the whole ---------------------------------------------------------------------------------

def test_a_module_that_is_fit_is_not_refused_and_one_that_is_not_is(edit: Edit) -> None:
    term = edit()
    first = term.course.modules[:1]
    assert all(not p.blocks for p in refuse(term, first, seeds=0))
    edit(('"points": 4', '"points": 0'))
    with pytest.raises(TitoError) as caught:
        refuse(term, first, seeds=0)
    assert "01 counting" in caught.value.what and problem.POINTS in caught.value.why and "test-mean" in caught.value.why


def test_a_rehearsal_writes_nothing(edit: Edit) -> None:
    def files(folder: Path) -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts}

    term = edit()
    before = files(term.folder) | files(term.course.root)
    faults(term)
    assert files(term.folder) | files(term.course.root) == before


def line_of(text: str, term: Term) -> int:
    lines = term.course.modules[0].source.read_text(encoding="utf-8").split("\n")
    return next(n for n, line in enumerate(lines, 1) if text in line)
