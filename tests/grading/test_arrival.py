"""`tito grade collect`: whose a file is, which module, and when it came."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from grading.assignment import Assignment
from grading.intake.collect import collect
from grading.intake.lms import Name, Roster
from grading.term import Student, Term
from tests.grading.arriving import arrived, lay, new_term, notebook, reasons, received, zipped  # noqa: F401    # a fixture
from tests.grading.test_archives import Date, member, packed
from tito.course import Course
from tito.errors import ExitCode
from tito.submit import submit

# ---- whose it is

@pytest.mark.parametrize(("name", "student"), [
    ("lovelaceada_12345_67890_counting_dev.ipynb", "ada"),
    ("lovelaceada_LATE_12345_67890_counting_dev-1.ipynb", "ada"),
    ("oharacleoann_12345_67890_01_counting-Cleo-1a2b3c4d.ipynb", "cleo"),
    ("vanderbergzoe_12345_67890_counting_dev (2).ipynb", "jo-1"),
    ("vanderbergzoë_12345_67890_counting_dev.ipynb", "jo-1"),
    ("benmüller_4711_67890_counting_dev.ipynb", "ben2"),
    ("Ada Lovelace_12345_assignsubmission_file/counting_dev.ipynb", "ada"),
    ("Ada Lovelace_12345_assignsubmission_file_/counting_dev.ipynb", "ada"),
    ("Ada Lovelace_12345_assignsubmission_file_counting_dev.ipynb", "ada"),
    ("O'HARA Cleo Ann_12345_assignsubmission_file_/deep/er/counting_dev.ipynb", "cleo"),
    ("Participant_777_assignsubmission_file_/counting_dev.ipynb", "ben"),
    ("submitted/ada/01_counting/counting_dev.ipynb", "ada"),
    ("ADA/counting_dev.ipynb", "ada"),
    ("ada@example.org/counting_dev.ipynb", "ada"),
    ("jo-1/01_counting/anything.ipynb", "jo-1"),
    ("ada.ipynb", "ada"),
    ("jo-1.ipynb", "jo-1"),
    ("b-m.ipynb", "ben"),
    ("ada_counting_dev.ipynb", "ada"),
    ("jo-1_01_counting_dev.ipynb", "jo-1"),
    ("week 1/Lovelace, Ada/work.ipynb", "ada"),
])
@pytest.mark.parametrize("form", ["folder", "zip"])
def test_whose_it_is(term: Term, tmp_path: Path, name: str, student: str, form: str) -> None:
    source = zipped(tmp_path, {name: notebook()}) if form == "zip" else lay(tmp_path / "in", name, notebook()) and tmp_path / "in"
    report = collect(term, [source])
    assert arrived(report) == {student: ["01"]} and not report.data["refusals"] and report.code == ExitCode.OK


@pytest.mark.parametrize(("name", "reason", "fix"), [
    ("doejane_12345_67890_counting_dev.ipynb", "nobody in students.csv is 'doejane'", "write 'doejane' into the column aliases"),
    ("müllerben_1_67890_counting_dev.ipynb", "'müllerben' may be ben or ben2", "aliases"),
    ("anon_a1b2c_67890_counting_dev.ipynb", "nobody in students.csv is 'anon a1b2c'", "aliases"),
    ("counting_dev.ipynb", "its name does not say whose it is", "--student"),
    ("xaver/01_counting/counting_dev.ipynb", "nobody in students.csv is 'xaver'", "aliases"),
])
def test_nobody_or_more_than_one(term: Term, tmp_path: Path, name: str, reason: str, fix: str) -> None:
    report = collect(term, [zipped(tmp_path, {name: notebook(), "ada.ipynb": notebook()})])
    assert reasons(report) == [reason] and fix in report.data["refusals"][0]["fix"] and arrived(report) == {"ada": ["01"]}
    assert any(reason in line for line in report.lines)


@pytest.mark.parametrize(("name", "student"), [
    ("doejane_12345_67890_counting_dev.ipynb", "doejane"), ("Jane Doe/counting_dev.ipynb", "Jane.Doe"),
    ("jd7/01_counting/counting_dev.ipynb", "jd7"), ("jd7_counting_dev.ipynb", "jd7"),
    ("Jané Doe_1_assignsubmission_file_/counting_dev.ipynb", "Jané.Doe"), ("-x-.ipynb", "")])
def test_with_no_table_of_students_the_name_is_the_id(term: Term, tmp_path: Path, name: str, student: str) -> None:
    term.path("students.csv").write_text("id,name,email,aliases\n", encoding="utf-8")
    report = collect(term, [zipped(tmp_path, {name: notebook()})])
    assert list(report.data["students"]) == ([student] if student else [])
    assert report.code == (ExitCode.OK if student else ExitCode.INTEGRITY)


def test_nobody_can_hand_in_for_another_from_within_a_zip_of_their_own(term: Term, tmp_path: Path) -> None:
    names = ("lovelaceada_12345_67890_counting_dev.ipynb", "ada/01_counting/counting_dev.ipynb", "ada.ipynb",
             "Ada Lovelace_1_assignsubmission_file_/counting_dev.ipynb")
    forged = packed((name, notebook(text=name)) for name in names)
    claim = packed([("counting_dev.ipynb", notebook()), ("receipt.json", b'{"student": "ada"}')])
    handed_in = {"oharacleoann_1_222_work.zip": forged, "Cleo Ann O'Hara_1_assignsubmission_file_/r.zip": claim}
    report = collect(term, [zipped(tmp_path, handed_in)])
    assert list(report.data["students"]) == ["cleo"] and len(report.data["students"]["cleo"]) == 5
    assert any("made out to 'ada'" in line for line in report.lines)
    folder = tmp_path / "unpacked"
    lay(folder, "cleo/lovelaceada_12345_67890_counting_dev.ipynb", notebook(text="u"))
    lay(folder, "cleo/ada/01_counting/counting_dev.ipynb", notebook(text="v"))
    assert list(collect(term, [folder]).data["students"]) == ["cleo"]


def test_somebody_unknown_to_us_does_not_become_whom_the_receipt_names(term: Term, tmp_path: Path) -> None:
    claim = packed([("counting_dev.ipynb", notebook()), ("receipt.json", b'{"student": "ada"}')])
    report = collect(term, [zipped(tmp_path, {"doejane_1_222_01_counting-ada-1a2b3c4d.zip": claim})])
    assert arrived(report) == {} and reasons(report) == ["nobody in students.csv is 'doejane'"]


def test_student_names_a_file_that_has_no_name_and_picks_from_a_platforms_zip(term: Term, tmp_path: Path) -> None:
    single = lay(tmp_path / "a", "counting_dev.ipynb", notebook(text="a"))
    assert arrived(collect(term, [single], student="ada")) == {"ada": ["01"]}
    assert arrived(collect(term, [single.parent], student="ben")) == {"ben": ["01"]}
    unknown = lay(tmp_path / "b", "zzz_12345_67890_counting_dev.ipynb", notebook(text="b"))
    assert arrived(collect(term, [unknown], student="ben2")) == {"ben2": ["01"]}
    members = {"lovelaceada_1_222_counting_dev.ipynb": notebook(text="c"), "ben@example.org/x.ipynb": notebook(),
               "zzz_1_223_counting_dev.ipynb": notebook(text="d")}
    report = collect(term, [zipped(tmp_path, members)], student="ada")
    assert arrived(report) == {"ada": ["01"]} and report.data["elsewhere"] == 1 and reasons(report) == ["nobody in students.csv is 'zzz'"]


def test_an_id_is_found_before_a_name(term: Term) -> None:
    roster = Roster({s.id: s for s in (Student("ada", "Eve"), Student("eve", "Ada"))})
    assert [roster.find([Name(n, 0)], Name(n, 0)).student for n in ("ada", "EVE")] == ["ada", "eve"]


# ---- which module

@pytest.mark.parametrize(("name", "number", "modules"), [
    ("ada/counting_dev.ipynb", 0, ["01"]), ("ada/Counting.ipynb", 0, ["01"]), ("ada/fast_counting_dev.ipynb", 0, ["10"]),
    ("ada/02_scaling/mine.ipynb", 0, ["02"]), ("ada/mine.ipynb", 2, ["02"]), ("ada.ipynb", 10, ["10"]), ("ada/mine.ipynb", 0, []),
    ("ada/mine.ipynb", 77, [])])
def test_which_module(term: Term, tmp_path: Path, name: str, number: int, modules: list[str]) -> None:
    report = collect(term, [zipped(tmp_path, {name: notebook(number)})])
    assert arrived(report) == ({"ada": modules} if modules else {})
    if not modules:
        assert "which module" in reasons(report)[0] and "--module" in report.data["refusals"][0]["fix"]


def test_the_module_of_a_notebook_without_its_first_cell(term: Term, tmp_path: Path) -> None:
    for number, name, ids in ((1, "counting", ("total", "mean")), (2, "scaling", ("scale", "mean"))):
        solved = json.loads(notebook(number, ids=ids))
        assignment = Assignment(number, name, solved, solved, "", {})
        assignment.save(term)
        assignment.use(term)
    report = collect(term, [zipped(tmp_path, {"ada.ipynb": notebook(0, ids=("scale", "mean"))[:-30],
                                              "ben@example.org.ipynb": notebook(0, ids=("mean",))})])
    assert arrived(report) == {"ada": ["02"]} and len(reasons(report)) == 1      # damaged as it is; "mean" alone could be either


def test_asked_for_one_module(term: Term, tmp_path: Path) -> None:
    source = zipped(tmp_path, {"ada/mine.ipynb": notebook(0), "cleo/scaling_dev.ipynb": notebook(2), "ben2/scaling_dev.ipynb": notebook(1)})
    report = collect(term, [source], module=term.course.module("1"))
    assert arrived(report) == {"ada": ["01"], "ben2": ["01"]} and report.data["elsewhere"] == 1 and not report.data["refusals"]


def test_cells_of_another_module_are_noted(term: Term, tmp_path: Path) -> None:
    report = collect(term, [zipped(tmp_path, {"ada/counting_dev.ipynb": notebook(2)})])
    assert arrived(report) == {"ada": ["01"]} and any("its cells are those of 02 scaling" in line for line in report.lines)


# ---- when

def test_the_platforms_date_is_local_time_of_the_course(term: Term, tmp_path: Path) -> None:
    collect(term, [zipped(tmp_path, {"lovelaceada_1_222_counting_dev.ipynb": notebook()})])
    assert received(term) == ("2027-01-18 11:00:00 UTC", "zip")


def test_the_date_in_a_students_own_zip_is_not_believed(term: Term, tmp_path: Path) -> None:
    own = packed([(member("counting_dev.ipynb", when=(2001, 1, 1, 0, 0, 0)), notebook()), ("timestamp.txt", b"2001-01-01 00:00:00 UTC")])
    collect(term, [zipped(tmp_path, {"lovelaceada_1_222_work.zip": own})])
    assert received(term) == ("2027-01-18 11:00:00 UTC", "zip")
    lay(tmp_path / "drop", "ben@example.org.zip", own, datetime(2027, 1, 19, tzinfo=UTC))
    collect(term, [tmp_path / "drop"])
    assert received(term, "ben") == ("2027-01-19 00:00:00 UTC", "file")


@pytest.mark.parametrize(("text", "when"), [
    ("2027-01-15 10:00:00 UTC", "2027-01-15 10:00:00 UTC"), ("2027-01-15 10:00:00.123 UTC\n", "2027-01-15 10:00:00 UTC"),
    ("2027-01-15 10:00:00", "2027-01-15 10:00:00 UTC"), ("2027-01-15 10:00:00 Europe/Athens", "2027-01-15 08:00:00 UTC"),
    ("2027-01-15 10:00:00 PDT", "2027-01-15 09:00:00 UTC"), ("2027-01-15 10:00:00 ../../x", "2027-01-15 09:00:00 UTC"),
    ("yesterday", "2027-01-18 11:00:00 UTC"), ("2027-13-15 10:00:00 UTC", "2027-01-18 11:00:00 UTC")])
def test_nbgraders_timestamp(term: Term, tmp_path: Path, text: str, when: str) -> None:
    source = zipped(tmp_path, {"ada/01_counting/counting_dev.ipynb": notebook(), "ada/01_counting/timestamp.txt": text.encode()})
    collect(term, [source])
    assert received(term)[0] == when


@pytest.mark.parametrize("above", ["Ada Lovelace_1_assignsubmission_file_", "ada", "ada/stuff/01_counting"])
def test_a_timestamp_that_a_student_can_upload_is_not_believed(term: Term, tmp_path: Path, above: str) -> None:
    collect(term, [zipped(tmp_path, {f"{above}/counting_dev.ipynb": notebook(), f"{above}/timestamp.txt": b"2001-01-01 00:00:00 UTC"})])
    assert received(term) == ("2027-01-18 11:00:00 UTC", "zip")


def test_a_files_date_and_a_given_time(term: Term, tmp_path: Path) -> None:
    path = lay(tmp_path, "ada.ipynb", notebook(), datetime(2027, 1, 20, 7, 30, tzinfo=UTC))
    collect(term, [path])
    assert received(term) == ("2027-01-20 07:30:00 UTC", "file")
    collect(term, [path], received=datetime(2027, 1, 18, 9, tzinfo=timezone(timedelta(hours=-5))))
    assert received(term) == ("2027-01-18 14:00:00 UTC", "given")
    collect(term, [path], received=datetime(2027, 1, 18, 9))                    # the course's time
    assert received(term) == ("2027-01-18 08:00:00 UTC", "given")
    collect(term, [path], received=datetime(2028, 1, 1, tzinfo=UTC))            # it has been here since; nothing makes it later
    assert received(term) == ("2027-01-18 08:00:00 UTC", "given")


@pytest.mark.parametrize(("late", "when", "said"), [
    ("LATE_", (2027, 1, 18, 17, 0, 0), "Canvas marks it as late, by its date, 2027-01-18 16:00:00 UTC, it is in time"),
    ("", (2027, 1, 19, 17, 0, 0), "Canvas does not mark it as late, by its date, 2027-01-19 16:00:00 UTC, it is late"),
    ("", (2027, 1, 18, 18, 10, 0), ""), ("", (2027, 1, 18, 17, 0, 0), ""), ("LATE_", (2027, 1, 19, 0, 0, 0), "")])
def test_canvas_and_our_clock(term: Term, tmp_path: Path, late: str, when: Date, said: str) -> None:
    report = collect(term, [zipped(tmp_path, {f"lovelaceada_{late}1_222_counting_dev.ipynb": notebook()}, when)])
    assert report.data["students"]["ada"][0]["notes"] == ([said] if said else [])
    assert ("--received" in "".join(report.lines)) == said.startswith("Canvas does not")


def test_an_extension_is_known_when_clocks_are_compared(term: Term, tmp_path: Path) -> None:
    term.path("extensions.csv").write_text("student,module,until,reason\nada,1,2027-01-25,ill\n", encoding="utf-8")
    report = collect(term, [zipped(tmp_path, {"lovelaceada_1_222_counting_dev.ipynb": notebook()}, (2027, 1, 20, 0, 0, 0))])
    assert report.data["students"]["ada"][0]["notes"] == []


# ---- what `tito submit` writes

@pytest.fixture
def edition(tmp_path: Path) -> Course:
    root = tmp_path / "edition"
    lay(root / "modules/01_counting", "counting_dev.ipynb", notebook())
    lay(root, "settings.ini", b"[course]\nid = small\n")
    return Course(root)


def test_a_submission_from_an_edition(term: Term, tmp_path: Path, edition: Course) -> None:
    packed_ = submit(edition, edition.modules[0], name="Lovelace Ada")
    path, receipt = Path(packed_.data["file"]), packed_.data["receipt"]
    for source in (path, path.parent):
        report = collect(term, [source])
        assert arrived(report) == {"ada": ["01"]} and not report.data["refusals"] and not report.data["ignored"]
    one = report.data["students"]["ada"][0]
    assert one["sha256"] == receipt["sha256"] and one["clock"] == "file" and one["notes"] == []
    assert datetime.strptime(one["claimed"], "%Y-%m-%d %H:%M:%S UTC").replace(tzinfo=UTC) == datetime.fromisoformat(receipt["time"])
    nested = collect(term, [zipped(tmp_path, {f"lovelaceada_LATE_1_222_{path.name}": path.read_bytes()}, (2027, 1, 30, 0, 0, 0))])
    assert nested.data["known"] == 1 and any("the receipt says" in note for note in nested.data["students"]["ada"][0]["notes"])


@pytest.mark.parametrize("receipt", [b"", b"{", b"[]", b"[" * 10**5, b'{"student": 3, "time": []}', b'{"student": "", "time": "soon"}',
                                     b"\xff", b'{"time": "0001-01-01T00:00:00+23:59"}', b'{"sha256": "00"}',
                                     b'{"student": "\\ud800"}', b'{"student": "\\u001b[31m", "time": "\\ud800"}',
                                     json.dumps({"student": "x" * 9999}).encode(), json.dumps({"student": "x" * 99999}).encode()])
def test_a_receipt_that_is_made_up_does_no_harm(term: Term, tmp_path: Path, receipt: bytes) -> None:
    own = packed([("counting_dev.ipynb", notebook()), ("receipt.json", receipt)])
    report = collect(term, [zipped(tmp_path, {"lovelaceada_1_222_work.zip": own})])
    assert arrived(report) == {"ada": ["01"]} and all(line.isprintable() and len(line) < 300 for line in report.lines)
