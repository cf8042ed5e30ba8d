"""What a student reads: the same cards, the person's words, and nothing that is hidden or somebody else's."""

from __future__ import annotations

import html
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from grading.result import Result
from grading.tell.feedback import feedback
from grading.term import Term
from tests.grading.invented import DUE, STUDENTS, known, row, verdict, write_term
from tests.grading.pages import Page, checked

EVIL = "</pre><script>alert(1)</script><img src=x onerror=alert(2)>\"'&"


def page(term: Term, facts: Any, result: Result | None = None, student: str = "ada") -> Page:
    feedback(term, [facts], {(facts.student, facts.module): result} if result else {})
    return checked(text(term, student))


def text(term: Term, student: str = "ada") -> str:
    return term.path("feedback", student, "01_counting.html").read_text(encoding="utf-8")


def hand_in(term: Term, answer: Any, student: str = "ada", kind: str = "autograded") -> None:
    marks = {"nbgrader": {"grade_id": "why-mean", "grade": True, "solution": True, "points": 5}}
    cells = [{"cell_type": "markdown", "source": "## 4 · When the mean misleads", "metadata": {}},
             {"cell_type": "markdown", "source": answer, "metadata": marks}]
    folder = term.path(kind, student, "01_counting")
    folder.mkdir(parents=True)
    notebook = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (folder / "counting_dev.ipynb").write_text(json.dumps(notebook), encoding="utf-8")


def test_a_page_shows_the_cards_of_the_terminal(tmp_path: Path) -> None:
    term, failed = write_term(tmp_path), row("failed")
    page(term, known(auto={"test-total": 0.0, "test-mean": 4.0}), verdict(rows=(failed, row("passed", "test-mean", 4.0))))
    assert "\n".join(failed.card(80)) in html.unescape(text(term))
    assert html.unescape(text(term)).count("<pre ") == 2


def test_a_page_says_how_the_points_came_about(tmp_path: Path) -> None:
    found = page(write_term(tmp_path), known(submitted=DUE + timedelta(days=1, hours=4), extra={"test-total": 1.0}), verdict())
    for said in ("12.8 of 15 points", "Extra credit 1", "Handed in 2027-01-19 22:00 UTC", "Due 2027-01-18 18:00 UTC",
                 "2 days begun: 80 % of the points count", "abababababab",
                 "What is handed in after 2027-01-21 18:00 UTC counts for nothing"):
        assert said in found.text
    found = page(write_term(tmp_path / "b"), known(until=DUE + timedelta(days=2)), verdict())
    assert "extended for you to 2027-01-20 18:00 UTC" in found.text


def test_times_stand_on_the_courses_clock(tmp_path: Path) -> None:
    term = write_term(tmp_path)
    settings = term.course.root / "settings.ini"
    settings.write_text(settings.read_text(encoding="utf-8") + "timezone = Europe/Berlin\n", encoding="utf-8")
    assert "Handed in 2027-01-18 18:00 CET" in page(Term.of(term.course), known(), verdict()).text


def test_written_answers_come_with_their_points_and_the_persons_words(tmp_path: Path) -> None:
    term = write_term(tmp_path)
    hand_in(term, ["When a few numbers\n", "are far away."])
    found = page(term, known(manual_scores={"why-mean": 3.5}, comments={"why-mean": "An example?", "total": "Name it better."}), verdict())
    assert "When the mean misleads · 3.5 of 5 points When a few numbers are far away. Comment An example?" in found.text
    assert "Comments on your code total Comment Name it better." in found.text
    assert "This is not a grade" not in found.text


def test_what_waits_for_a_person_is_no_grade(tmp_path: Path) -> None:
    found = page(write_term(tmp_path), known(manual_scores={}), verdict())
    assert "10 of 15 points so far 1 written answer waits for a person. This is not a grade yet." in found.text


def test_partial_credit_stands_beside_the_card(tmp_path: Path) -> None:
    found = page(write_term(tmp_path), known(auto={"test-total": 0.0, "test-mean": 4.0}, manual_scores={"test-total": 2.5, "why-mean": 5.0},
                                             comments={"test-total": "Half of it."}),
                 verdict(rows=(row("failed"), row("passed", "test-mean", 4.0))))
    assert "2.5 of 6 points, given by a person. Comment Half of it." in found.text


def test_what_the_machine_failed_on_is_no_zero_and_does_not_say_what_the_machine_said(tmp_path: Path) -> None:
    term = write_term(tmp_path)
    rows = (row("infra", got="/srv/canary died", hint="canary"), row("infra", "test-mean", 4.0, got="canary"))
    found = page(term, known(auto={}), verdict(rows=rows))
    assert "Not judged yet." in found.text and "This is not a grade." in found.text
    assert "0 of" not in found.text and "canary" not in text(term)


def test_a_hidden_check_says_no_more_than_that(tmp_path: Path) -> None:
    term = write_term(tmp_path)
    canary = replace(row("hidden"), got="canary", expected="canary", call="canary", first="canary", at="canary")
    found = page(term, known(auto={"test-total": 0.0, "test-mean": 4.0}), verdict(
        rows=(canary, row("passed", "test-mean", 4.0)), sandbox="canary", key="canary0123456789", assignment="canary" * 8,
        reasons={"test-total": "probe sums_canary: [2]: 0.31, not 0.13"}))
    assert "failed, hidden check" in found.text and "check hidden check" in found.text
    assert "A hidden check runs your code on other inputs" in found.text
    assert "canary" not in text(term) and "0.31" not in text(term) and "sums" not in text(term)


def test_no_page_holds_anything_of_another_student(tmp_path: Path) -> None:
    term = write_term(tmp_path)
    for student in ("ada", "ben"):
        hand_in(term, f"the answer of {student}", student)
    feedback(term, [known("ada"), known("ben", comments={"why-mean": "well said, ben"})],
             {("ada", 1): verdict("ada", repairs=("a repair of ada",)), ("ben", 1): verdict("ben")})
    assert "ada" not in text(term, "ben").lower() and "ben" not in text(term, "ada").lower().replace("been", "")
    assert "the answer of ada" in text(term, "ada") and "a repair of ada" in text(term, "ada")


@pytest.mark.parametrize("where", ["name", "card", "hint", "answer", "comment", "repair", "trouble", "title"])
def test_markup_of_others_is_only_text(tmp_path: Path, where: str) -> None:
    term = write_term(tmp_path, STUDENTS.replace("Ada Lovelace", '"' + EVIL.replace('"', '""') + '"') if where == "name" else STUDENTS)
    if where == "title":
        settings = term.course.root / "settings.ini"
        settings.write_text(settings.read_text(encoding="utf-8").replace("Small numbers", EVIL), encoding="utf-8")
        term = Term.of(term.course)
    hand_in(term, EVIL if where == "answer" else "fine")
    failed = row("failed", **({"got": EVIL} if where == "card" else {"hint": EVIL} if where == "hint" else {}))
    trouble = {"cell": 3, "grade_id": "", "heading": EVIL, "exported": True, "error": EVIL, "line": 2, "solution": False}
    result = verdict(rows=(failed, row("passed", "test-mean", 4.0)), repairs=(EVIL,) if where == "repair" else (),
                     troubles=(trouble,) if where == "trouble" else ())
    found = page(term, known(auto={"test-total": 0.0, "test-mean": 4.0}, comments={"why-mean": EVIL} if where == "comment" else {}), result)
    assert not found.all("script") and not found.all("img")
    assert "<script>alert(1)</script>" in found.text


def test_no_script_can_run_and_nothing_is_loaded(tmp_path: Path) -> None:
    term = write_term(tmp_path)
    found = page(term, known(), verdict())
    policy = next(m["content"] for m in found.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"
    assert "http://" not in text(term) and "https://" not in text(term)


def test_characters_that_no_file_can_hold_are_replaced(tmp_path: Path) -> None:
    term = write_term(tmp_path)
    hand_in(term, "half \ud83d, bell \x07, escape \x1b[31m, nothing \x00")
    assert "half \ufffd, bell \ufffd, escape \ufffd[31m, nothing \ufffd" in page(term, known(), verdict()).text


def test_a_notebook_that_cannot_be_read_costs_the_answers_text_alone(tmp_path: Path) -> None:
    term = write_term(tmp_path)
    for kind, content in (("autograded", b"\xff{"), ("submitted", b'{"cells": [{"metadata": 3}]}')):
        folder = term.path(kind, "ada", "01_counting")
        folder.mkdir(parents=True)
        (folder / "counting_dev.ipynb").write_bytes(content)
    assert "why-mean · 5 of 5 points" in page(term, known(), verdict()).text


def test_how_to_go_on(tmp_path: Path) -> None:
    term = write_term(tmp_path)
    assert "Every check passed." in page(term, known(), verdict()).text
    found = page(term, known(auto={"test-total": 0.0, "test-mean": 0.0}),
                 verdict(rows=(row("skipped"), row("error", "test-mean", 4.0, sentence="The mean."))))
    assert "Begin with the first card that did not pass: The mean. tito module test 01 in your course folder shows" in found.text


def test_who_handed_in_nothing_gets_no_page_and_is_counted(tmp_path: Path) -> None:
    term = write_term(tmp_path)
    seen: list[tuple[int, int, str]] = []
    found = feedback(term, [known("ada"), known("ben", submitted=None), known("cleo", auto={})], {("ada", 1): verdict()},
                     progress=lambda *step: seen.append(step))
    assert sorted(p.name for p in term.path("feedback").iterdir()) == ["ada", "cleo"]
    assert found.data == {"pages": 2, "states": {"graded": 1, "needs manual grading": 0, "infra": 1, "missing": 1}}
    assert seen == [(1, 2, "ada 01 counting"), (2, 2, "cleo 01 counting")]
    assert found.next == "tito grade autograde"


def test_a_page_made_again_is_the_same_file(tmp_path: Path) -> None:
    term = write_term(tmp_path)
    page(term, known(), verdict())
    first = text(term)
    page(term, known(), verdict(seconds=99.0))
    assert text(term) == first
