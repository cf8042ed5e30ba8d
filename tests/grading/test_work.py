"""One submission in the sandbox: what it gets, that it is what the student saw at home, and that nothing of the hidden part comes out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grading.assignment import Assignment
from grading.result import Result
from grading.run import kit
from grading.run.work import examine, make_job, paper
from grading.sandbox import Limits, named
from grading.term import Term
from tests.grading.slots import FIRST
from tests.grading.small import answered, packed, unanswered, write_term
from tito.cells import document
from tito.check.verdict import judge

Examine = Callable[..., Result]
TOTAL = "def total(numbers):\n    {}"
LOOP = "found = 0.0\n    for n in numbers:\n        found += n\n    return found"


@pytest.fixture(scope="module")
def term(tmp_path_factory: pytest.TempPathFactory) -> Term:
    return write_term(tmp_path_factory.mktemp("term"))


@pytest.fixture(scope="module")
def first(term: Term) -> Assignment:
    return Assignment.current(term, term.course.module("1"))


@pytest.fixture(scope="module")
def run(term: Term, first: Assignment) -> Examine:
    """The result of a notebook of module 01, in bubblewrap where it works, else without a sandbox: the judging is the same."""
    bubble = named("bubblewrap")
    sandbox = named("none") if bubble.works() else bubble
    text = paper(first, term.secret, sandbox, Limits(wall_seconds=20, cpu_seconds=10))

    def run(notebook: dict[str, Any]) -> Result:
        job = make_job(first, text, student="ada", version="v", content=packed(notebook), key="k")
        return Result.from_dict(json.loads(json.dumps(examine(json.loads(json.dumps({**job, "slot": FIRST}))))))

    return run


def states(result: Result) -> dict[str, str]:
    return {row.grade_id: row.state for row in result.rows}


def test_right_and_unwritten(run: Examine, first: Assignment) -> None:
    right, stub = run(first.solved), run(unanswered(first))
    assert (right.state, right.points, right.reasons, right.repairs) == ("graded", 10, {}, ())
    assert right.sandbox in ("bubblewrap", "none") and right.seconds > 0
    assert (stub.state, stub.points) == ("graded", 0)


def test_right_for_what_is_shown_alone_is_not_right(run: Examine, first: Assignment) -> None:
    known = answered(first, total=TOTAL.format("return {3: 7.5, 0: 0.0}.get(len(numbers), 9.0)"))
    result = run(known)
    assert states(result) == {"test-total": "failed", "test-mean": "failed"}
    assert result.rows[0].check == "hidden check" and result.points == 0
    assert "sums_canary" in result.reasons["test-total"]
    assert "canary" not in str([row.to_dict() for row in result.rows])


def test_a_forbidden_means(run: Examine, first: Assignment) -> None:
    result = run(answered(first, total=TOTAL.format("return float(sum(numbers))")))
    assert states(result) == {"test-total": "failed", "test-mean": "passed"}
    assert result.rows[0].hint == "this task is to be done without sum"


@pytest.mark.parametrize("body", [LOOP, "return 0.0", "raise ValueError('no')", "return numbers", "import os; os._exit(3)",
                                  "import sys; sys.exit(1)", "return [",
                                  "print('x' * 10**6); import warnings; warnings.warn('!'); " + LOOP])
def test_the_rows_are_those_of_home(run: Examine, first: Assignment, term: Term, body: str) -> None:
    notebook = answered(first, total=TOTAL.format(body))
    home = judge(document(notebook, Path(f"{first.notebook}.ipynb")), term.course.root, 1, first.label)
    result = run(notebook)
    lowered = set(result.reasons)
    assert [r.to_dict() for r in result.rows if r.grade_id not in lowered] == [r.to_dict() for r in home.rows if r.grade_id not in lowered]


def test_nothing_of_the_probes_comes_out(run: Examine, first: Assignment) -> None:
    """A canary stands in every probe's name; an answer that hunts for it tells all that it can find."""
    spy = TOTAL.format("""import gc, sys
    seen = [o for o in gc.get_objects() if isinstance(o, dict) and any("canary" in str(k) for k in o)]
    frames, frame = [], sys._getframe()
    while frame:
        frames.append(str(list(frame.f_locals.items()))[:5000])
        frame = frame.f_back
    raise ValueError("CAN" + "ARY " + str(seen)[:3000] + str([f for f in frames if "canary" in f])[:3000])""")
    result = run(answered(first, total=spy))
    assert result.points == 0
    assert "_canary" not in str([row.to_dict() for row in result.rows]) + str(result.troubles)


def test_a_reference_that_fails_is_our_fault_and_never_a_zero(term: Term, first: Assignment) -> None:
    import dataclasses
    broken = dataclasses.replace(first, probes=first.probes.replace("rng.normal(size=5)", "rng.no_such_thing()"))
    text = paper(broken, term.secret, named("none"), Limits())
    job = make_job(broken, text, student="ada", version="v", content=packed(first.solved), key="k")
    result = Result.from_dict(examine(job))
    assert result.state == "infra" and result.points == 0
    assert "means_canary" not in result.rows[0].card()[0] and {r.state for r in result.rows} == {"infra"}


def test_a_kit_holds_no_answer_and_nothing_later(term: Term) -> None:
    second = Assignment.current(term, term.course.module("2"))
    folder = kit.unpack(kit.pack(second))
    files = {p.relative_to(folder).as_posix() for p in folder.rglob("*.py")}
    assert "tinytorch/core/counting.py" in files and "tito/check/child.py" in files
    assert not files & {"tinytorch/core/scaling.py", "tinytorch/core/mixing.py"}
    assert not [f for f in files if f.startswith(("tito/dev", "tito/cli", "grading", "modules"))]
    assert "canary" not in "".join(p.read_text(encoding="utf-8") for p in folder.rglob("*.py"))
