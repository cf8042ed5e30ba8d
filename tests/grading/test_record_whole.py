"""Recording is all or nothing: what fails, what is full, what is many, and a regrade's half of it."""

from __future__ import annotations

import itertools
import json
import sqlite3
import time
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event

from grading.assignment import Assignment, freeze
from grading.book.gradebook import opened
from grading.book.record import apply, facts, record
from grading.book.rows import entered, restore, snapshot
from grading.term import Term
from tests.grading.handed import MONDAY, copied, hand_in, shelf, verdict, written  # noqa: F401    # a fixture
from tests.grading.postgres import Cluster, cluster  # noqa: F401
from tests.grading.recorded import any_term, by_hand, counting, fact, light_term, put_in  # noqa: F401    # fixtures
from tito.errors import ExitCode, TitoError

# ---- all of it, or nothing -------------------------------------------------------------------------

def test_a_transaction_that_fails_leaves_nothing_half(term: Term, monkeypatch: pytest.MonkeyPatch) -> None:
    assignment = counting(term)
    version = hand_in(term, assignment, "ada")
    result = verdict(term, assignment, version)
    with opened(term) as gradebook:
        before = snapshot(gradebook, assignment)
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr("grading.book.record._comments", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
            record(term, gradebook, assignment, result, version)
        assert snapshot(gradebook, assignment) == before and not term.path("autograded").exists()
        assert fact(term, gradebook).auto == {}
        assert record(term, gradebook, assignment, result, version)


def test_a_notebook_that_was_not_written_is_written_the_next_time(light: Term) -> None:
    assignment = counting(light)
    version = hand_in(light, assignment, "ada")
    result = verdict(light, assignment, version)
    light.path("autograded").write_text("in the way", encoding="utf-8")
    with opened(light) as gradebook:
        with pytest.raises(TitoError, match="cannot write") as caught:
            record(light, gradebook, assignment, result, version)
        assert caught.value.code == ExitCode.INFRASTRUCTURE
        light.path("autograded").unlink()
        assert record(light, gradebook, assignment, result, version)
        assert not record(light, gradebook, assignment, result, version)


def test_a_gradebook_that_somebody_holds_is_waited_for_and_then_named(light: Term) -> None:
    assignment = counting(light)
    version = hand_in(light, assignment, "ada")
    other = sqlite3.connect(light.path("gradebook.db"))
    with opened(light, patience=0.1) as gradebook:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(TitoError, match="the gradebook cannot be used") as caught:
            record(light, gradebook, assignment, verdict(light, assignment, version), version)
        assert "locked" in caught.value.why and "end the other program" in caught.value.fix
        assert caught.value.code == ExitCode.INFRASTRUCTURE
        other.rollback()
        assert record(light, gradebook, assignment, verdict(light, assignment, version), version)
    other.close()


def test_a_full_disk_is_named_and_leaves_nothing_half(light: Term) -> None:
    assignment = counting(light)
    versions = [hand_in(light, assignment, f"student{n:03d}") for n in range(60)]
    done = 0
    with opened(light) as gradebook:
        pages = sqlite3.connect(light.path("gradebook.db")).execute("PRAGMA page_count").fetchone()[0]
        event.listen(gradebook.engine, "checkout", lambda connection, *_: connection.execute(f"PRAGMA max_page_count = {pages + 2}"))
        with pytest.raises(TitoError, match="the gradebook cannot be used") as caught:
            for version in versions:
                before = snapshot(gradebook, assignment)
                record(light, gradebook, assignment, verdict(light, assignment, version), version)
                done += 1
        assert "full" in caught.value.why and "make room" in caught.value.fix
    with opened(light) as gradebook:
        assert snapshot(gradebook, assignment) == before
        assert [f.auto != {} for f in facts(light, gradebook, light.course.modules[0])].count(True) == done


def test_a_file_that_is_no_database_is_named(light: Term) -> None:
    light.path("gradebook.db").write_bytes(b"no database at all, but long enough to be read as one" * 20)
    with pytest.raises(TitoError, match="the gradebook cannot be used") as caught, opened(light):
        pass
    assert "from a backup" in caught.value.fix


# ---- many ------------------------------------------------------------------------------------------

def test_a_submission_takes_milliseconds_and_no_memory_stays(light: Term) -> None:
    assignment = counting(light)
    versions = iter([hand_in(light, assignment, f"student{n:03d}") for n in range(80)])
    with opened(light) as gradebook:
        def batch(count: int) -> tuple[float, int]:
            began, before = time.perf_counter(), tracemalloc.get_traced_memory()[0]
            for version in itertools.islice(versions, count):
                record(light, gradebook, assignment, verdict(light, assignment, version), version, assignment.solved)
            return (time.perf_counter() - began) / count, tracemalloc.get_traced_memory()[0] - before

        batch(10)
        fast, _ = batch(40)
        tracemalloc.start()
        try:
            batch(10)
            _, grown = batch(20)
        finally:
            tracemalloc.stop()
    assert fast < 0.05                          # 0.006 s on a quiet machine; this one may be busy
    assert grown < 100_000


# ---- a regrade's half of it ------------------------------------------------------------------------

def other_assignment(term: Term) -> Assignment:
    """The mean is worth 3, and the test of the total has another name."""
    source = term.course.modules[0].source
    text = source.read_text(encoding="utf-8")
    for old, new in (('"points": 4', '"points": 3'), ('"grade_id": "test-total"', '"grade_id": "test-sum"')):
        assert old in text
        text = text.replace(old, new)
    source.write_text(text, encoding="utf-8")
    return freeze(term, term.course.modules[0])


def test_apply_and_restore(term: Term) -> None:
    old, new = counting(term), other_assignment(term)
    with opened(term) as gradebook:
        versions = [put_in(term, gradebook, "ada"), put_in(term, gradebook, "ben", test_mean="failed")]
        by_hand(gradebook, 4.5, 0.5)
        before = json.loads(json.dumps(snapshot(gradebook, old)))
        apply(gradebook, new, [verdict(term, new, version) for version in versions])
        after = json.loads(json.dumps(snapshot(gradebook, new)))
        assert entered(gradebook, new)
        new.save(term)
        new.use(term)
        assert fact(term, gradebook).auto == {"test-sum": 6.0, "test-mean": 3.0, "why-mean": None}
        assert fact(term, gradebook).manual_scores == {"why-mean": 4.5} and fact(term, gradebook).extra == {"why-mean": 0.5}
        restore(gradebook, old, before, after)
        assert snapshot(gradebook, old) == before and entered(gradebook, old)


def test_apply_is_all_or_nothing(term: Term) -> None:
    old, new = counting(term), other_assignment(term)
    with opened(term) as gradebook:
        version = put_in(term, gradebook)
        before = snapshot(gradebook, old)

        def results() -> Iterator[Any]:
            yield verdict(term, new, version)
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            apply(gradebook, new, results())
        assert snapshot(gradebook, old) == before


def test_points_given_by_hand_do_not_go_with_a_cell(term: Term) -> None:
    old, new = counting(term), other_assignment(term)
    with opened(term) as gradebook:
        version = put_in(term, gradebook)
        by_hand(gradebook, 5.0, name="test-total")
        before = snapshot(gradebook, old)
        with pytest.raises(TitoError, match="test-total is gone"):
            apply(gradebook, new, [verdict(term, new, version)])
        assert snapshot(gradebook, old) == before


def test_what_happened_after_a_regrade_is_not_undone_with_it(term: Term) -> None:
    old, new = counting(term), other_assignment(term)
    with opened(term) as gradebook:
        versions = [put_in(term, gradebook, "ada"), put_in(term, gradebook, "ben")]
        before = snapshot(gradebook, old)
        apply(gradebook, new, [verdict(term, new, version) for version in versions])
        after = snapshot(gradebook, new)
        new.save(term)
        new.use(term)
        by_hand(gradebook, 2.5)                                                 # somebody reads ada's answer
        put_in(term, gradebook, "ben", written(new, "Later."), days=1)          # ben hands in again
        put_in(term, gradebook, "cleo")                                         # cleo for the first time
        restore(gradebook, old, before, after)
        old.use(term)
        assert entered(gradebook, old)
        assert fact(term, gradebook).manual_scores == {"why-mean": 2.5}
        assert fact(term, gradebook).auto == {"test-total": 6.0, "test-mean": 4.0, "why-mean": None}
        assert fact(term, gradebook, "ben").auto == fact(term, gradebook, "cleo").auto == {}        # to be judged anew
        put_in(term, gradebook, "cleo", days=1)
        assert fact(term, gradebook, "cleo").auto == {"test-total": 6.0, "test-mean": 4.0, "why-mean": None}
