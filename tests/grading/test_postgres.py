"""The gradebook on a PostgreSQL server: the same facts, and a server that goes away loses and doubles nothing."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from grading.assignment import Assignment
from grading.book.facts import Facts
from grading.book.gradebook import enrol, guarded, opened
from grading.book.record import facts, record, recorder
from grading.book.rows import snapshot
from grading.term import Term
from tests.grading.handed import copied, hand_in, shelf, verdict, written  # noqa: F401    # a fixture
from tests.grading.postgres import Cluster, cluster  # noqa: F401
from tito.errors import ExitCode, TitoError


@pytest.fixture
def term(cluster: Cluster, shelf: Path, tmp_path: Path) -> Term:  # noqa: F811
    return copied(shelf, tmp_path, cluster.database())


def some_weeks(term: Term) -> list[Facts]:
    """Four students: one better the second time, one wrong, one that could not be judged, one with a name that is too long."""
    assignment = Assignment.current(term, term.course.modules[0])
    with recorder(term) as enter:
        for student, days, states in (("ada", 0, {"test_mean": "failed"}), ("ada", 2, {}), ("ben", 1, {"test_total": "timeout"}),
                                      ("cleo", 1, {"test_mean": "infra"}), ("d" * 100, 0, {})):
            version = hand_in(term, assignment, student, written(assignment, f"Day {days} of Übung."), days)
            enter(assignment, version, verdict(term, assignment, version, **states))
    with opened(term) as gradebook:
        enrol(term, gradebook)
        return facts(term, gradebook, term.course.modules[0])


def test_the_facts_are_those_of_sqlite(term: Term, shelf: Path, tmp_path: Path) -> None:  # noqa: F811
    long = f'{"d" * 100},{"N" * 300},,\n'
    other = copied(shelf, tmp_path / "other")
    for one in (term, other):
        with one.path("students.csv").open("a", encoding="utf-8") as file:
            file.write(long)
    assert some_weeks(term) == some_weeks(other)


def test_a_server_that_is_gone_is_named_and_what_it_had_is_there_when_it_is_back(term: Term, cluster: Cluster) -> None:  # noqa: F811
    assignment = Assignment.current(term, term.course.modules[0])
    ada, ben = hand_in(term, assignment, "ada"), hand_in(term, assignment, "ben")
    with opened(term) as gradebook:
        record(term, gradebook, assignment, verdict(term, assignment, ada), ada)
        before = snapshot(gradebook, assignment)
        cluster.kill()
        try:
            with pytest.raises(TitoError, match="the gradebook cannot be used") as caught:
                record(term, gradebook, assignment, verdict(term, assignment, ben), ben)
            with pytest.raises(TitoError, match="the gradebook cannot be used"), opened(term):
                pass
        finally:
            cluster.start()
        assert caught.value.code == ExitCode.INFRASTRUCTURE and "its server runs" in caught.value.fix
        assert snapshot(gradebook, assignment) == before and not term.path("autograded", "ben").exists()
        assert record(term, gradebook, assignment, verdict(term, assignment, ben), ben)


def test_a_server_that_dies_in_a_transaction_has_done_nothing_of_it(term: Term, cluster: Cluster,  # noqa: F811
                                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    assignment = Assignment.current(term, term.course.modules[0])
    version = hand_in(term, assignment, "ada")
    result = verdict(term, assignment, version)
    with opened(term) as gradebook:
        before = snapshot(gradebook, assignment)
        with monkeypatch.context() as patch:
            patch.setattr("grading.book.record._comments", lambda *_: cluster.kill() or {})
            with pytest.raises(TitoError, match="the gradebook cannot be used"):
                record(term, gradebook, assignment, result, version)
        cluster.start()
        assert snapshot(gradebook, assignment) == before
        assert record(term, gradebook, assignment, result, version)
        assert not record(term, gradebook, assignment, result, version)


def test_two_that_make_the_gradebook_at_once_make_one(shelf: Path, tmp_path: Path, cluster: Cluster) -> None:  # noqa: F811
    term = copied(shelf, tmp_path)
    empty = replace(term, settings=replace(term.settings, gradebook=replace(term.settings.gradebook, url=cluster.database())))
    wrong: list[Exception] = []

    def make() -> None:
        try:
            with opened(empty):
                pass
        except Exception as err:
            wrong.append(err)

    both = [threading.Thread(target=make) for _ in range(3)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert not wrong
    with opened(empty) as gradebook:
        assert gradebook.students == []


def test_a_missing_driver_is_named(shelf: Path, tmp_path: Path) -> None:  # noqa: F811
    term = copied(shelf, tmp_path)
    strange = replace(term, settings=replace(term.settings, gradebook=replace(term.settings.gradebook, url="postgresql+nosuch://u:hush@h/n")))
    with pytest.raises(TitoError, match="no driver") as caught, opened(strange):
        pass
    assert "psycopg2" in caught.value.fix and "hush" not in caught.value.why


def test_a_password_is_in_no_error() -> None:
    from sqlalchemy.exc import OperationalError
    url = "postgresql+psycopg2://tutor:hush@example.org/grades"
    with pytest.raises(TitoError) as caught, guarded(url):
        raise OperationalError("SELECT 1", {}, Exception("no route to host"))
    assert "hush" not in f"{caught.value.what} {caught.value.why} {caught.value.fix}" and "example.org" in caught.value.why
