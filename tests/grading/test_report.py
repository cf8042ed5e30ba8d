"""What an instructor reads: where everybody stands, which checks fail, who failed alike, and what needs a person."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import time
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grading.tell.analysis import MARKS, alike, bins, clusters, items, marks
from grading.tell.report import report
from grading.term import Term
from tests.grading.invented import DUE, MANUAL, POINTS, STUDENTS, known, row, verdict, whole_class, write_term
from tests.grading.pages import Page, checked

EVIL = "<script>alert(1)</script>"


def text(term: Term) -> str:
    return term.path("reports", "report.html").read_text(encoding="utf-8")


def cells(term: Term, student: str) -> list[str]:
    """A student's letters in the (only) heat map."""
    line = next(line for line in text(term).splitlines() if f">{student}</span></th><td class=\"g\"" in line)
    return re.findall(r'<td class="([A-Z])">\1</td>', line)


def few(term: Term) -> Page:
    """A class of three."""
    failed = verdict("ada", rows=(row("failed"), row("hidden", "test-mean", 4.0)), reasons={"test-mean": "probe means_canary: 2, not 1"},
                     repairs=("test-total was deleted: put back",))
    facts = [known("ada", auto={"test-total": 0.0, "test-mean": 0.0}, submitted=DUE + timedelta(hours=30)),
             known("ben", auto={}, manual_scores={}), known("cleo", submitted=None)]
    infra = verdict("ben", rows=(row("infra", got="the disk is full"), row("infra", "test-mean", 4.0)))
    report(term, facts, {("ada", 1): failed, ("ben", 1): infra})
    return checked(text(term))


def test_every_student_stands_in_the_heat_map_with_a_letter_for_each_cell(tmp_path: Path) -> None:
    term = write_term(tmp_path)
    few(term)
    assert [cells(term, s) for s in ("ada", "ben", "cleo")] == [["F", "H", "P"], ["I", "I", "W"], ["N", "N", "N"]]


def test_every_letter_is_in_the_legend_and_has_a_colour_in_both_schemes(tmp_path: Path) -> None:
    term = write_term(tmp_path)
    found = few(term)
    for letter, meaning in MARKS.items():
        assert f"{letter} {meaning}" in found.text
        assert letter == "N" or text(term).count(f"--{letter}: #") == 2


def test_what_needs_a_person_is_listed_with_its_reason(tmp_path: Path) -> None:
    found = few(write_term(tmp_path))
    assert "01 counting ben the disk is full" in found.text
    assert "01 counting ben why-mean" in found.text
    assert "01 counting ada 2027-01-20 00:00 UTC no 2 80 %" in found.text
    assert "01 counting test-mean probe means_canary: 2, not 1 1 ada" in found.text
    assert "01 counting ada test-total was deleted: put back" in found.text
    assert "Students without a submission Module Students Who 01 counting 1 cleo" in found.text


def test_states_of_every_kind(tmp_path: Path) -> None:
    states = ("passed", "failed", "error", "timeout", "skipped")
    rows = {state: verdict(rows=(row(state), row("passed", "test-mean", 4.0))) for state in states}
    zero = known(auto={"test-total": 0.0, "test-mean": 4.0})
    assert [marks(known() if s == "passed" else zero, r)["test-total"] for s, r in rows.items()] == ["P", "F", "E", "T", "S"]
    unwritten = verdict(rows=(row("failed", hint="total is not written yet"), row("passed", "test-mean", 4.0)))
    assert marks(zero, unwritten)["test-total"] == "U"
    partly = known(auto={"test-total": 0.0, "test-mean": 4.0}, manual_scores={"test-total": 2.0, "why-mean": 1.0})
    assert marks(partly, rows["failed"]) == {"test-total": "A", "test-mean": "P", "why-mean": "A"}
    assert marks(known(submitted=None), None) == dict.fromkeys([*POINTS, *MANUAL], "N")


def test_the_statistics_of_a_check() -> None:
    facts = [known(f"s{k}", auto={"test-total": 6.0 * (k > 1), "test-mean": 4.0 * (k > 1)}) for k in range(4)]
    facts.append(known("s9", submitted=None))
    results = [verdict(f.student, rows=(row("passed" if k > 1 else "failed"), row("passed" if k > 1 else "skipped", "test-mean", 4.0)))
               if f.submitted else None for k, f in enumerate(facts)]
    first, second, answer = items(facts, results, [marks(f, r) for f, r in zip(facts, results)])
    assert (first.wrong, first.known, first.difficulty, first.hint, first.hinted) == (2, 4, 0.5, "the first number is left out", 2)
    assert first.discrimination == pytest.approx(1.0)
    assert (second.wrong, second.letters["S"]) == (0, 2)
    assert (answer.difficulty, answer.discrimination) == (1.0, None)


def test_who_failed_in_the_same_way() -> None:
    rows = {"ada": row("failed", got="[0.30001,\n 1.0]"), "ben": row("failed", got="[0.3000200, 1.0]"),
            "cleo": row("failed", got="[0.31, 1.0]"),
            "dan": row("failed", got="[0.3, 1.0]", hint="other"), "eve": row("failed", hint="total is not written yet"),
            "fay": row("failed", hint="total is not written yet")}
    found = clusters(verdict(student, rows=(one,)) for student, one in rows.items())
    assert [(c.id, c.got, c.students) for c in found] == [("test-total", "[0.3, 1]", ("ada", "ben"))]
    assert found[0].hint == "the first number is left out"


def test_hidden_failures_cluster_by_their_reason() -> None:
    reasons = ("probe a: 0.12345", "probe a: 0.12349", "probe b: 1")
    found = clusters(verdict(f"s{k}", rows=(row("hidden"),), reasons={"test-total": reason}) for k, reason in enumerate(reasons))
    assert [(c.state, c.got, c.students) for c in found] == [("hidden check", "probe a: 0.123", ("s0", "s1"))]


@given(st.text(alphabet="0123456789.-+e naif\n"))
def test_normalising_an_outcome_never_fails_whatever_looks_like_a_number(outcome: str) -> None:
    assert "  " not in alike(outcome) and "\n" not in alike(outcome)


def test_normalising_an_outcome_keeps_what_tells_outcomes_apart() -> None:
    assert alike("shape (2, 3)\n  0.333333 nan") == alike("shape (2, 3) 0.33333334 nan") == "shape (2, 3) 0.333 nan"
    assert len({alike(text) for text in ("12", "13", "0.33", "0.34", "-0.33", "1.5e-09", "1.5e-08", "-inf", "inf")}) == 9


def test_a_histogram_counts_every_grade_once() -> None:
    found = bins([0.0, 0.099, 0.1, 0.3, 0.9, 1.0, 1.0000000001])
    assert [n for _, n in found] == [2, 1, 0, 1, 0, 0, 0, 0, 0, 3]
    assert bins([1.2, 0.7])[-1] == ("over 100 %", 1)
    assert [label for label, _ in found][::9] == ["0–9 %", "90–100 %"]


def test_the_histogram_can_be_read_without_seeing_it(tmp_path: Path) -> None:
    term = write_term(tmp_path)
    report(term, [known("ada"), known("ben", auto={"test-total": 0.0, "test-mean": 4.0})], {})
    drawing = checked(text(term)).all("svg")[0]
    assert drawing["role"] == "img" and drawing["aria-labelledby"] == "m01-t m01-d"
    assert "60–69 %: 1" in text(term) and "90–100 %: 1" in text(term)


@pytest.mark.parametrize("where", ["name", "hint", "got", "reason", "repair", "infra", "sentence"])
def test_markup_of_others_is_only_text(tmp_path: Path, where: str) -> None:
    term = write_term(tmp_path, STUDENTS.replace("Ada Lovelace", EVIL) if where == "name" else STUDENTS)
    kind = "infra" if where == "infra" else "hidden" if where == "reason" else "failed"
    changes = {"infra": {"got": EVIL}, "hint": {"hint": EVIL}, "got": {"got": EVIL}, "sentence": {"sentence": EVIL}}.get(where, {})
    rows = (row(kind, **changes), row("passed", "test-mean", 4.0))
    results = {(s, 1): verdict(s, rows=rows, repairs=(EVIL,) if where == "repair" else (),
                               reasons={"test-total": EVIL} if where == "reason" else {}) for s in ("ada", "ben")}
    auto = {} if where == "infra" else {"test-total": 0.0, "test-mean": 4.0}
    report(term, [known("ada", auto=auto), known("ben", auto=auto)], results)
    found = checked(text(term))
    assert len(found.all("script")) == 1 and EVIL in found.text


def test_only_our_own_script_may_run(tmp_path: Path) -> None:
    term = write_term(tmp_path)
    found = few(term)
    script = re.search(r"<script>(.*?)</script>", text(term), re.DOTALL)
    assert script
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    policy = next(m["content"] for m in found.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert policy == f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"


def test_a_report_made_again_is_the_same_file(tmp_path: Path) -> None:
    term = write_term(tmp_path)
    facts, results = whole_class(30, 6)
    kept = []
    for order in (1, -1):
        report(term, facts[::order], dict(list(results.items())[::order]))
        kept.append(text(term))
    assert kept[0] == kept[1]


def test_one_module_and_a_term_without_any(tmp_path: Path) -> None:
    term = write_term(tmp_path)
    found = report(term, [known("ada"), known("ada", 2)], {}, only=2)
    assert found.what.endswith("report-02.html")
    assert found.lines == ("02 scaling  1 handed in, 1 graded, 0 wait for a person, 0 not judged, 0 late",)
    report(term, [], {})
    checked(text(term))


@pytest.mark.skipif(not (find_spec("playwright") and shutil.which("chromium")), reason="needs playwright and chromium")
def test_in_a_browser_columns_sort_rows_filter_and_a_narrow_window_does_not_scroll_sideways(tmp_path: Path) -> None:
    from playwright.sync_api import sync_playwright
    term = write_term(tmp_path)
    report(term, *whole_class(30, 6))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 400, "height": 800})
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.goto(term.path("reports", "report.html").as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") == 400
        page.get_by_role("button", name="Grade", exact=True).press("Enter")
        grades = [float(g) for g in page.locator(".map tbody td.g").evaluate_all("cells => cells.map(c => c.dataset.key)")]
        assert grades == sorted(grades) and len(set(grades)) > 5
        assert page.locator(".map th[aria-sort=ascending]").inner_text() == "Grade"
        page.get_by_role("searchbox").fill("S007")
        assert page.locator(".map tbody tr:visible").count() == 1
        browser.close()
    assert not said


def test_a_large_class_stays_usable(tmp_path: Path) -> None:
    term = write_term(tmp_path)
    facts, results = whole_class(400, 200)
    start = time.process_time()
    report(term, facts, results)
    assert time.process_time() - start < 20
    path = term.path("reports", "report.html")
    assert path.stat().st_size < 5_000_000
    assert path.read_text(encoding="utf-8").count('class="g"') == 400
