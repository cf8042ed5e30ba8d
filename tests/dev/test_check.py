"""`tito dev check`: whatever is amiss with a module's checks is said, and nothing is said of good ones."""

import os
from collections.abc import Iterator

import pytest

from tests.dev.conftest import ANSWER, CHECK, MISTAKES, PROBES, Small
from tito.course import Course
from tito.dev.checks import report
from tito.dev.checks.audit import Audit
from tito.dev.checks.run import check, digest, load, write
from tito.errors import TitoError
from tito.parsing import parsing_in_turn

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="mutations are tried in copies of a process")


@pytest.fixture(autouse=True)
def _in_turn() -> Iterator[None]:
    """As the command does it: a check is on several threads."""
    with parsing_in_turn():
        yield


def audit(course: Course, **known: str) -> Audit:
    label = course.modules[0].label
    return check(course, course.modules, known={label: dict(known)}, seed=1)[0]


def said(course: Course) -> str:
    return "\n".join(audit(course).problems())


def test_nothing_is_said_of_good_checks(small: Small) -> None:
    found = audit(small())
    assert list(found.problems()) == []
    assert found.complete and len(found.mutants) > 5 and found.fresh
    assert {m["by"] for m in found.mutants} <= {"visible", "probe"}
    assert len(found.seeds) == 20 and found.own_hints == len(found.mistakes) == 10
    assert found.solved["points"] == found.prefix["points"] == 60 and found.unsolved["passed"] == found.empty["passed"] == []


@pytest.mark.parametrize("name, what, texts", [
    ("a check that the stub passes", "the stub passes test-shift", dict(check="pass")),
    ("answers that fail", "the answers get 0 of 60 points", dict(answer="return x + by + 1")),
    ("a check that sees little", "of the mutants visible checks see", dict(check='expect.same(lambda: len(shift(x)), 2, "as many")')),
    ("a mutant that nobody sees", "nobody sees shift, line", dict(answer="return x + by if x.size < 100 else x")),
    ("a probe that fails on the answers", "probe `broken` fails on the answers: ZeroDivisionError",
     dict(probes=PROBES + '\n@probe("test-shift")\ndef broken(tinytorch, rng):\n    return 1 / 0\n')),
    ("no probe", "graded cell `test-shift` has no probe", dict(probes="")),
    ("a probe of nothing", "`test-other`, which is no graded cell", dict(probes=PROBES.replace('"test-shift"', '"test-other"'))),
    ("too few mistakes", "has 1 mistakes, not 10 or more", dict(mistakes=MISTAKES.replace("* 10", ""))),
    ("no mistake of an answer", "no mistake of solution cell `shift` is tried", dict(mistakes="MISTAKES = []\n")),
    ("another hint", "the hint is 'you took it away', not 'a better word'",
     dict(mistakes=MISTAKES.replace('="you took it away"', '="a better word"'))),
    ("a mistake that is none", "no visible check sees the mistake shift", dict(mistakes=MISTAKES.replace('"x - by"', '"by + x"'))),
    ("a reason that is out of date", "lists as equivalent what does not survive",
     dict(mistakes=MISTAKES.replace("= []", '= [Equivalent("shift", "return x + by", "return x - by", "it is not")]'))),
    ("a hint by chance", "the hint is 'you took it away', and on a second input ''",
     dict(check=CHECK.replace("[-1.0, 0.5]", "lambda got: np.allclose(got, [-1.0, 0.5])"))),
    ("answers that depend on luck", "the answers fail: test-shift",
     dict(answer="return x + by + (np.random.default_rng().random() > 0.9)", probes="")),
], ids=lambda value: value if isinstance(value, str) else "")
def test_it_is_said(name: str, what: str, texts: dict[str, str], small: Small) -> None:
    assert what in said(small(**texts))


def test_a_patch_that_fits_nowhere_is_an_error_that_names_it(small: Small) -> None:
    with pytest.raises(TitoError, match="shift: takes it away: 'x \\* by' is in the solution 0 times, not once"):
        said(small(mistakes=MISTAKES.replace('"x + by"', '"x * by"')))


def test_mistakes_that_cannot_be_read_are_an_error_that_names_the_file(small: Small) -> None:
    with pytest.raises(TitoError, match="01_shift/mistakes.py cannot be read"):
        said(small(mistakes="MISTAKES = [Mistake("))


def test_a_mutant_that_hangs_is_ended_and_counts_as_seen(small: Small) -> None:
    answer = "n = 0\n    while n < 1:\n        n += 1\n    return x + by * n"
    found = audit(small(answer=answer))
    assert any("still running" in m["seen"] and m["by"] == "visible" for m in found.mutants)
    assert not found.infra


def test_what_was_fully_checked_before_gets_a_sample_only(small: Small) -> None:
    course = small()
    known = digest(course, course.modules[0])
    found = audit(course, digest=known)
    assert not found.complete and not found.mutants and found.fresh and not any(found.problems())
    assert "a sample only: 01 shift" in " ".join(report.table([found]))
    assert report.problems([found])[-1] == "1 module, 0 problems"


def test_one_of_a_small_sample_is_no_measure() -> None:
    """15 of 16 hints hold: of a sample that is no less than 95 % can show, of all mutants it is too few."""
    mutant = {"grade_id": "shift", "old": "x", "new": "y", "by": "visible"}
    tried = [{**mutant, "second": {"first": "a hint", "hint": "a hint" if n else "another", "same_check": True}} for n in range(16)]
    sample, whole = Audit("01 shift", complete=False, fresh=tried), Audit("01 shift", mutants=tried, fresh=tried)
    told = "of the hints that mutants get, right on a second input are 93.8%, not 95% or more"
    assert told in whole.problems() and told not in sample.problems()


def test_what_is_known_of_the_same_content_is_not_asked_again(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    course = small()
    first = audit(course)
    monkeypatch.setattr("tito.dev.checks.run._run", lambda planned, progress: [pytest.fail("asked again") for _ in planned])
    assert audit(course).to_dict() == first.to_dict()
    (course.modules[0].folder / "probes.py").write_text(PROBES + "\n", encoding="utf-8")
    with pytest.raises(pytest.fail.Exception):
        audit(course)


def test_a_kept_audit_that_cannot_be_read_is_made_anew(small: Small) -> None:
    course = small()
    first = audit(course)
    (kept,) = (course.root / "build").rglob("*.json")
    kept.write_text("{", encoding="utf-8")
    assert audit(course).mutants == first.mutants


def test_a_changed_file_makes_another_digest(small: Small) -> None:
    course = small()
    module, seen = course.modules[0], set()
    for name in ("shift_dev.py", "probes.py", "mistakes.py"):
        seen.add(digest(course, module))
        with (module.folder / name).open("a", encoding="utf-8") as file:
            file.write("\n# changed\n")
    assert len({*seen, digest(course, module)}) == 4


def test_what_is_written_down_is_the_digest_of_good_modules_and_a_page(small: Small) -> None:
    course = small(answer="return (x + by if x.size < 10**6 else x)", mistakes=MISTAKES.replace("* 10", "* 9"))
    bad = audit(course)
    write(course, [bad])
    assert load(course.root / "docs" / "checks.json") == {}
    text = (course.root / "docs" / "checks.md").read_text(encoding="utf-8")
    assert "| 01 shift | 0/1 | 0/1 | 60/60 |" in text and ": not explained" in text
    good = Audit(bad.module, bad.digest, **{name: getattr(bad, name) for name in ("unsolved", "empty", "solved", "prefix", "seeds")},
                 mistakes=bad.mistakes + bad.mistakes[:1])
    write(course, [good])
    assert load(course.root / "docs" / "checks.json") == {"01 shift": {"module": "01 shift", "digest": bad.digest}}


def test_the_answer_is_not_changed_by_being_checked(small: Small) -> None:
    course = small()
    before = {p: p.read_bytes() for p in course.root.rglob("*") if p.is_file()}
    audit(course)
    after = {p: p.read_bytes() for p in course.root.rglob("*")
             if p.is_file() and not {"__pycache__", "build"} & set(p.parts)}
    assert after == before
    assert ANSWER in (course.modules[0].source.read_text(encoding="utf-8"))
