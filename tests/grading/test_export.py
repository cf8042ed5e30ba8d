"""What other programs get: their formats, empty cells where there is no grade, and nothing that a spreadsheet would run."""

from __future__ import annotations

import csv
import io
import json
import random
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grading.tell.export import FORMATS, export, safe, text
from tests.grading.invented import DUE, known, row, verdict, write_term
from tito.errors import ExitCode, TitoError

CLASS = (known("ada"),
         known("ada", 2, submitted=DUE + timedelta(days=9), due=DUE + timedelta(days=7), manual_scores={"why-mean": 4.5}),
         known("ben", manual_scores={}), known("ben", 2, submitted=None),
         known("cleo", auto={}), known("cleo", 2, extra={"test-mean": 1.0}))
HIDDEN = verdict("ada", rows=(row("hidden"), row("passed", "test-mean", 4.0)), reasons={"test-total": "probe total_canary: 3"})
RESULTS = {("ada", 1): HIDDEN,
           ("ada", 2): verdict("ada", 2), ("cleo", 2): verdict("cleo", 2)}
DANGEROUS = "=+-@\t\r\n＝＋－＠−"


def read(path: Path) -> list[list[str]]:
    return list(csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline="")))


def test_csv_has_a_row_for_each_student_and_says_how_a_grade_came_about(tmp_path: Path) -> None:
    export(write_term(tmp_path), CLASS, RESULTS, to=tmp_path / "out")
    head, *rows = read(tmp_path / "out" / "grades.csv")
    assert head == ["student", "name", "email", *(f"{label} {part}" for label in ("01 counting", "02 scaling")
                    for part in ("state", "points", "extra", "late days", "final")), "total", "possible"]
    assert rows == [
        ["ada", "Ada Lovelace", "ada@example.org", "graded", "15", "0", "0", "15", "graded", "14.5", "0", "3", "10.15", "25.15", "30"],
        ["ben", "Ben Müller", "ben@example.org", "needs manual grading", "", "", "", "", "missing", "", "", "", "", "", "30"],
        ["cleo", "Cleo O'Hara", "cleo@example.org", "infra", "", "", "", "", "graded", "15", "1", "0", "16", "", "30"]]


def test_canvas_finds_students_assignments_and_their_points(tmp_path: Path) -> None:
    export(write_term(tmp_path), CLASS, RESULTS, form="canvas", to=tmp_path)
    assert read(tmp_path / "canvas.csv") == [
        ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "01 counting", "02 scaling"],
        ["    Points Possible", "", "", "", "", "15", "15"],
        ["Ada Lovelace", "", "ada", "ada", "", "15", "10.15"], ["Ben Müller", "", "ben", "ben", "", "", ""],
        ["Cleo O'Hara", "", "cleo", "cleo", "", "", "16"]]


def test_moodle_finds_students_by_number_or_address(tmp_path: Path) -> None:
    export(write_term(tmp_path), CLASS, RESULTS, form="moodle", to=tmp_path)
    assert read(tmp_path / "moodle.csv")[:2] == [["ID number", "Full name", "Email address", "01 counting", "02 scaling"],
                                                 ["ada", "Ada Lovelace", "ada@example.org", "15", "10.15"]]


def test_gradescope_gets_a_file_for_each_grade_with_the_cards_and_nothing_hidden(tmp_path: Path) -> None:
    found = export(write_term(tmp_path), CLASS, RESULTS, form="gradescope", to=tmp_path)
    files = sorted(p.relative_to(tmp_path / "gradescope").as_posix() for p in tmp_path.rglob("results.json"))
    assert files == ["01_counting/ada/results.json", "02_scaling/ada/results.json", "02_scaling/cleo/results.json"]
    assert "3 results" in found.what
    content = (tmp_path / "gradescope" / files[0]).read_text(encoding="utf-8")
    data = json.loads(content)
    assert data["score"] == 15 and data["output"] == "15 of 15 points"
    assert [t["name"] for t in data["tests"]] == ["A total adds every number once."] * 2 + ["why-mean"]
    assert {"name", "score", "max_score", "status", "output", "visibility"} <= set(data["tests"][0])
    assert "hidden check" in data["tests"][0]["output"] and "canary" not in content
    late = json.loads((tmp_path / "gradescope" / files[1]).read_text(encoding="utf-8"))
    assert (late["score"], late["output"]) == (10.15, "14.5 of 15 points; 3 days late: 70 % of that counts")


def test_a_results_file_of_an_earlier_export_does_not_survive_its_grade(tmp_path: Path) -> None:
    term = write_term(tmp_path)
    export(term, [known("cleo")], {}, form="gradescope", to=tmp_path)
    export(term, [known("cleo", auto={})], {}, form="gradescope", to=tmp_path)
    assert not list(tmp_path.rglob("results.json"))


@pytest.mark.parametrize("form", FORMATS)
def test_the_same_facts_in_any_order_give_the_same_bytes(tmp_path: Path, form: str) -> None:
    term = write_term(tmp_path)
    kept = []
    for name in ("first", "second"):
        given = random.Random(name).sample(CLASS, len(CLASS))
        export(term, given, dict(random.Random(name).sample(sorted(RESULTS.items()), 3)), form=form, to=tmp_path / name)
        kept.append({p.relative_to(tmp_path / name): p.read_bytes() for p in (tmp_path / name).rglob("*") if p.is_file()})
    assert kept[0] == kept[1] and kept[0]


@pytest.mark.parametrize("form", FORMATS)
def test_what_is_no_grade_yet_is_named_and_makes_the_exit_code_4_where_the_machine_failed(tmp_path: Path, form: str) -> None:
    term = write_term(tmp_path)
    found = export(term, CLASS, RESULTS, form=form)
    assert found.code == ExitCode.INFRASTRUCTURE
    assert found.lines[:3] == ("no grade  ben  01 counting  needs manual grading", "no grade  cleo  01 counting  infra",
                               "1 not handed in: left empty")
    assert found.data["pending"] == [{"student": "ben", "module": 1, "state": "needs manual grading"},
                                     {"student": "cleo", "module": 1, "state": "infra"}]
    assert export(term, CLASS[:3], RESULTS, form=form).code == ExitCode.OK


def test_work_that_was_not_handed_in_is_a_zero_only_when_asked_for(tmp_path: Path) -> None:
    term = write_term(tmp_path)
    facts = [known("ada", submitted=None), known("ben", auto={})]
    export(term, facts, {}, form="canvas", to=tmp_path, zeros=True)
    assert [r[-1] for r in read(tmp_path / "canvas.csv")[2:]] == ["0", ""]


def test_one_module_goes_to_a_file_of_its_own(tmp_path: Path) -> None:
    term = write_term(tmp_path)
    export(term, CLASS, RESULTS, form="canvas", only=2)
    assert [p.name for p in term.path("exports").iterdir()] == ["canvas-02.csv"]
    assert read(term.path("exports", "canvas-02.csv"))[0][5:] == ["02 scaling"]


def test_a_mark_for_excel_only_when_asked_for(tmp_path: Path) -> None:
    term = write_term(tmp_path)
    export(term, CLASS, RESULTS)
    assert term.path("exports", "grades.csv").read_bytes().startswith(b"student,")
    export(term, CLASS, RESULTS, bom=True)
    assert term.path("exports", "grades.csv").read_bytes().startswith(b"\xef\xbb\xbfstudent,")


def test_an_unknown_format_names_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(TitoError) as caught:
        export(write_term(tmp_path), CLASS, RESULTS, form="excel")
    assert "gradescope" in caught.value.why


def test_somebody_who_left_the_list_of_students_keeps_a_row(tmp_path: Path) -> None:
    export(write_term(tmp_path, "id,name,email\n"), [known("zed")], {}, form="canvas", to=tmp_path)
    assert read(tmp_path / "canvas.csv")[2] == ["zed", "", "zed", "zed", "", "15"]


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "\u00a0=1", "\u200b=1",
                                  "＝1", "＋1", "－1", "＠x", "﹦1", "⁺1", "−1", "\x00=1"])
def test_a_formula_is_escaped_wherever_a_spreadsheet_finds_one(cell: str) -> None:
    assert safe(cell).startswith("'") and safe(cell).replace("'", "") == cell


@pytest.mark.parametrize("cell", ["x;=1", "x,=1", "x|=1", 'x"=1', "x\t =1", "x\r\n=1", "x;＝1"])
def test_a_formula_behind_a_separator_is_escaped_too(cell: str) -> None:
    at = next(i for i, c in enumerate(cell) if c in "=＝")
    assert safe(cell) == f"{cell[:at]}'{cell[at:]}"


@pytest.mark.parametrize("cell", ["Ada", "O'Hara", "Anne-Marie", "a+b@example.org", "x = 1", "Müller, Jürgen", "", "Zoë (né X)", "日本"])
def test_ordinary_text_stays_as_it_is(cell: str) -> None:
    assert safe(cell) == cell


@given(st.text(alphabet=st.one_of(st.sampled_from(DANGEROUS + " ;,|\"'a1\u200b\u00a0"), st.characters(codec="utf-8"))))
def test_no_text_at_all_begins_a_formula_and_every_reader_gets_it_back(cell: str) -> None:
    written = safe(cell)
    assert not written or written[0] not in DANGEROUS
    assert written.lstrip()[:1] not in tuple("=+-@＝＋－＠−")
    assert safe(written) == written
    assert written.replace("'", "") == cell.replace("'", "")
    assert list(csv.reader(io.StringIO(text([["first", cell, 1.5]]), newline=""))) == [["first", written, "1.5"]]


@given(st.floats(-1e6, 1e6))
def test_numbers_stay_numbers(value: float) -> None:
    written = text([["x", value]]).strip().split(",")[1]
    assert float(written) == pytest.approx(value, abs=1e-4)


def test_dangerous_names_reach_no_spreadsheet(tmp_path: Path) -> None:
    names = 'id,name,email\nada,"=HYPERLINK(""http://x"",""y"")",@ada\nben,"Müller, ""Ben"";=1",ben@example.org\n'
    term = write_term(tmp_path, names)
    for form in ("csv", "canvas", "moodle"):
        export(term, CLASS[:3], {}, form=form)
    cells = [cell for path in term.path("exports").glob("*.csv") for line in read(path) for cell in line]
    assert "'=HYPERLINK(\"http://x\",\"y\")" in cells and "'@ada" in cells and "Müller, \"Ben\";'=1" in cells
    assert not [cell for cell in cells if cell.startswith(tuple(DANGEROUS))]
