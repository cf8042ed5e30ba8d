"""From facts to a score: what the late rule, extensions, partial and extra credit promise, for every kind of facts."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grading.book.facts import Facts
from grading.book.rules import (
    GRADED,
    INFRA,
    MISSING,
    WAITING,
    accepted_until,
    by_student,
    score,
    state_of,
    total,
)
from tests.grading.invented import DUE, known
from tito.settings import Deadlines

RULE = Deadlines(late_days=3, late_percent_per_day=10, grace_minutes=15)
CELLS = ("a", "b", "c")
NUMBERS = st.floats(-20, 20)
MINUTES = st.integers(-20_000, 20_000)


@st.composite
def facts(draw: Any) -> Facts:
    """Anything that a gradebook may hold, handed in and judged."""
    points = {name: draw(st.floats(0, 20)) for name in CELLS}
    until = draw(st.none() | MINUTES)
    return Facts("ada", 1, points, {"d": draw(st.floats(0, 20))}, {name: draw(NUMBERS) for name in CELLS},
                 {"d": draw(NUMBERS)} | draw(st.dictionaries(st.sampled_from(CELLS), NUMBERS)),
                 draw(st.dictionaries(st.sampled_from((*CELLS, "d")), NUMBERS)), DUE + timedelta(minutes=draw(MINUTES)), DUE,
                 None if until is None else DUE + timedelta(minutes=until))


@st.composite
def deadlines(draw: Any) -> Deadlines:
    return Deadlines(late_days=draw(st.integers(0, 14)), late_percent_per_day=draw(st.integers(0, 100)),
                     grace_minutes=draw(st.integers(0, 1440)))


@given(facts(), deadlines())
def test_a_score_is_never_negative_nor_above_the_maximum_and_the_extra_credit(facts: Facts, rule: Deadlines) -> None:
    found = score(facts, rule)
    assert 0 <= found.points <= found.max_points + 1e-9
    assert 0 <= found.extra and 0 <= found.share <= 1
    assert 0 <= found.final <= found.max_points + found.extra + 1e-9


@given(facts(), deadlines(), st.integers(0, 20_000))
def test_handing_in_later_never_gives_more(facts: Facts, rule: Deadlines, minutes: int) -> None:
    assert facts.submitted
    later = replace(facts, submitted=facts.submitted + timedelta(minutes=minutes))
    assert score(later, rule).final <= score(facts, rule).final
    assert score(later, rule).late_days >= score(facts, rule).late_days


@given(facts(), deadlines())
def test_an_extension_never_hurts(facts: Facts, rule: Deadlines) -> None:
    assert score(facts, rule).final >= score(replace(facts, until=None), rule).final


@given(facts(), deadlines(), st.randoms())
def test_the_order_in_which_cells_are_known_does_not_matter(facts: Facts, rule: Deadlines, rng: random.Random) -> None:
    def mixed(table: Any) -> Any:
        return dict(sorted(table.items(), key=lambda _: rng.random()))

    again = replace(facts, points=mixed(facts.points), auto=mixed(facts.auto), manual_scores=mixed(facts.manual_scores),
                    extra=mixed(facts.extra))
    assert score(again, rule) == score(facts, rule)


@given(facts(), deadlines(), st.floats(0, 20))
def test_more_points_never_make_a_lower_score(facts: Facts, rule: Deadlines, more: float) -> None:
    better = replace(facts, auto={name: (points or 0) + more for name, points in facts.auto.items()})
    assert score(better, rule).final >= score(facts, rule).final


@given(facts(), deadlines())
def test_what_comes_after_the_last_day_counts_for_nothing_and_what_comes_before_it_counts(facts: Facts, rule: Deadlines) -> None:
    last = accepted_until(facts, rule)
    assert last
    after = replace(facts, submitted=last + timedelta(minutes=1))
    before = replace(facts, submitted=last - timedelta(minutes=1))
    assert score(after, rule).final == 0
    assert score(before, rule).share > 0


@pytest.mark.parametrize(("late", "days", "share"), [
    (timedelta(minutes=-1), 0, 1.0), (timedelta(0), 0, 1.0), (timedelta(minutes=15), 0, 1.0),
    (timedelta(minutes=15, seconds=1), 1, 0.9), (timedelta(hours=23, minutes=59), 1, 0.9), (timedelta(days=1), 2, 0.8),
    (timedelta(days=2, hours=23), 3, 0.7), (timedelta(days=3), 4, 0.0)])
def test_days_are_counted_from_the_minute_of_the_deadline(late: timedelta, days: int, share: float) -> None:
    found = score(known(submitted=DUE + late), RULE)
    assert (found.late_days, found.share) == (days, pytest.approx(share))
    assert found.final == pytest.approx(15 * share)


def test_after_an_extension_the_same_rule_begins_anew() -> None:
    until = DUE + timedelta(days=5)
    assert score(known(submitted=until, until=until), RULE).final == 15
    assert score(known(submitted=until + timedelta(minutes=10), until=until), RULE).late_days == 0
    assert score(known(submitted=until + timedelta(hours=1), until=until), RULE).final == pytest.approx(13.5)
    assert score(known(submitted=until + timedelta(days=3), until=until), RULE).final == 0


def test_an_extension_that_ends_before_the_deadline_changes_nothing() -> None:
    assert score(known(until=DUE - timedelta(days=9)), RULE).final == 15


def test_a_module_without_a_deadline_is_never_late_whatever_the_extension() -> None:
    found = score(known(due=None, until=DUE, submitted=DUE + timedelta(days=400)), RULE)
    assert (found.late_days, found.final) == (0, 15)
    assert accepted_until(known(due=None), RULE) is None


@pytest.mark.parametrize("day", [datetime(2027, 3, 27, 18), datetime(2027, 10, 30, 18)])
def test_a_day_is_24_hours_also_where_the_clocks_are_changed_and_in_whatever_zone_a_time_is_written(day: datetime) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    due = day.replace(tzinfo=berlin)
    for passed, days in ((timedelta(hours=23, minutes=59), 1), (timedelta(hours=24), 2)):
        moment = due.astimezone(UTC) + passed
        for zone in (UTC, berlin, ZoneInfo("America/New_York")):
            assert score(known(due=due, submitted=moment.astimezone(zone)), RULE).late_days == days


def test_the_hour_that_the_clocks_show_twice_is_told_apart() -> None:
    due = datetime(2027, 10, 31, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"))
    assert score(known(due=due, submitted=due.replace(minute=40, fold=0)), RULE).late_days == 0
    assert score(known(due=due, submitted=due.replace(minute=40, fold=1)), RULE).late_days == 1


def test_a_leap_day_is_a_day() -> None:
    due = datetime(2028, 2, 28, 18, tzinfo=UTC)
    assert score(known(due=due, submitted=datetime(2028, 2, 29, 17, 59, tzinfo=UTC)), RULE).late_days == 1
    assert score(known(due=due, submitted=datetime(2028, 3, 1, 17, 59, tzinfo=UTC)), RULE).late_days == 2


@pytest.mark.parametrize("field", ["submitted", "due", "until"])
def test_a_time_without_a_zone_is_refused(field: str) -> None:
    with pytest.raises(ValueError, match=f"{field} of ada, module 1: 2027-01-18 18:00:00 has no time zone"):
        known(**{field: datetime(2027, 1, 18, 18)})


@pytest.mark.parametrize("number", [math.nan, math.inf])
@pytest.mark.parametrize("field", ["points", "auto", "manual_scores", "extra"])
def test_what_is_not_a_number_is_refused(field: str, number: float) -> None:
    with pytest.raises(ValueError, match="test-total of ada, module 1: .* is not a number of points"):
        known(**{field: {"test-total": number}})


@pytest.mark.parametrize(("changes", "state", "points"), [
    ({}, GRADED, 15.0),
    ({"submitted": None}, MISSING, 0.0),
    ({"auto": {"test-total": 6.0, "test-mean": None}}, INFRA, 11.0),
    ({"auto": {"test-total": 6.0}}, INFRA, 11.0),
    ({"auto": {"test-total": 6.0}, "manual_scores": {"test-mean": 1.0, "why-mean": 5.0}}, GRADED, 12.0),    # a person resolves it
    ({"manual_scores": {}}, WAITING, 10.0),
    ({"manual_scores": {}, "auto": {}}, INFRA, 0.0),                                                        # the machine's turn comes first
    ({"manual_scores": {}, "auto": {"test-total": 6.0, "test-mean": 4.0, "why-mean": 0.0}}, GRADED, 10.0),  # still the released text
    ({"manual_scores": {"test-total": 2.5, "why-mean": 5.0}}, GRADED, 11.5),                                # partial credit
    ({"manual_scores": {"test-total": 99.0, "why-mean": -3.0}}, GRADED, 10.0),                              # held to 0 and the maximum
    ({"auto": {"test-total": 6.0, "test-mean": 4.0, "gone": 9.0}}, GRADED, 15.0),                           # of an older assignment
])
def test_states_and_points(changes: dict[str, Any], state: str, points: float) -> None:
    assert state_of(known(**changes)) == state
    assert score(known(**changes), RULE).points == points


def test_extra_credit_goes_beyond_the_maximum_is_late_with_the_rest_and_is_never_negative() -> None:
    found = score(known(extra={"test-mean": 2.0, "why-mean": -5.0, "gone": 7.0}), RULE)
    assert (found.extra, found.final, found.max_points) == (2, 17, 15)
    assert score(known(extra={"test-mean": 2.0}, submitted=DUE + timedelta(hours=1)), RULE).final == pytest.approx(15.3)
    assert score(known(extra={"test-mean": 2.0}, submitted=DUE + timedelta(days=9)), RULE).final == 0


def test_a_total_waits_for_what_is_no_grade_yet() -> None:
    graded, missing = score(known(), RULE), score(known(submitted=None), RULE)
    assert total([graded, missing, graded]) == 30
    assert total([graded, score(known(manual_scores={}), RULE)]) is None


def test_two_facts_about_the_same_work_are_refused() -> None:
    with pytest.raises(ValueError, match="two facts about ada, module 1"):
        by_student([known(), known()])
