"""`tito grade collect`: every version is kept, the latest counts, nobody loses work, and no name leads outside."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grading.intake import versions
from grading.intake.collect import collect
from grading.intake.lms import Roster, read
from grading.term import Term
from tests.grading.arriving import arrived, files, lay, new_term, notebook, reasons, received, zipped  # noqa: F401    # a fixture
from tests.grading.test_archives import packed
from tito import journal
from tito.course import Course
from tito.errors import ExitCode, TitoError

# ---- what is kept

def test_every_version_is_kept_and_the_latest_counts(term: Term, tmp_path: Path) -> None:
    module = term.course.modules[0]
    first, second, third = (notebook(text=t) for t in ("first", "second", "third"))
    for content, day in ((second, 19), (third, 20), (first, 18)):              # the oldest arrives last
        collect(term, [zipped(tmp_path, {"ada/01_counting/counting_dev.ipynb": content}, (2027, 1, day, 12, 0, 0))])
    kept = versions.versions(term, module)
    assert [v.content() for v in kept] == [first, second, third] and versions.counting(term, module) == {"ada": kept[-1]}
    place = term.path("submitted", "ada", "01_counting")
    assert sorted(p.name for p in place.iterdir()) == ["counting_dev.ipynb", "timestamp.txt"]
    assert (place / "counting_dev.ipynb").read_bytes() == third
    assert (place / "timestamp.txt").read_text(encoding="utf-8") == "2027-01-20 11:00:00 UTC"
    assert kept[0].path == term.path("versions", "ada", "01_counting", hashlib.sha256(first).hexdigest() + ".ipynb")


def test_the_same_again_adds_nothing(term: Term, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "_now", lambda: datetime(2027, 2, 1, tzinfo=UTC))
    source = zipped(tmp_path, {"ada.ipynb": notebook(), "cleo/scaling_dev.ipynb": notebook(2)})
    first = collect(term, [source])
    before = files(term.folder)
    again = collect(term, [source])
    assert (first.data["new"], first.data["known"], again.data["new"], again.data["known"]) == (2, 0, 0, 2)
    assert files(term.folder) == before
    monkeypatch.setattr(versions, "_now", lambda: datetime(2027, 3, 1, tzinfo=UTC))
    collect(term, [lay(tmp_path, "ada.ipynb", notebook(), datetime(2027, 1, 30, tzinfo=UTC))])
    version = versions.latest(term, "ada", term.course.modules[0])
    assert version and version.seen == datetime(2027, 3, 1, tzinfo=UTC) and version.origins == ("submissions.zip: ada.ipynb", "ada.ipynb")
    assert version.received == datetime(2027, 1, 18, 11, tzinfo=UTC)           # when it came first


def test_the_later_attempt_of_one_moment_counts(term: Term, tmp_path: Path) -> None:
    for names in (["-1", "", "-10", "-2"], ["-10", "-2", "", "-1"]):
        collect(term, [zipped(tmp_path, {f"lovelaceada_1_{200 + i}_counting_dev{n}.ipynb": notebook(text=n) for i, n in enumerate(names)})])
        assert b'"-10"' in term.path("submitted/ada/01_counting/counting_dev.ipynb").read_bytes()


def test_two_notebooks_of_one_moment_are_told_of(term: Term, tmp_path: Path) -> None:
    report = collect(term, [zipped(tmp_path, {f"ada/{n}/counting_dev.ipynb": notebook(text=n) for n in "ab"})])
    assert any("2 notebooks with one time" in line for line in report.lines)


def test_jupyters_copy_is_not_the_notebook(term: Term, tmp_path: Path) -> None:
    copied = {"ada/counting_dev-Copy1.ipynb": notebook(text="c"), "ada/counting_dev.ipynb": notebook(),
              "cleo/counting_dev-Copy2.ipynb": notebook()}
    report = collect(term, [zipped(tmp_path, copied)])
    assert arrived(report) == {"ada": ["01"], "cleo": ["01"]} and "a copy that Jupyter made" in reasons(report)[0]


def test_a_run_that_is_stopped_anywhere_can_be_repeated(term: Term, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "_now", lambda: datetime(2027, 2, 1, tzinfo=UTC))
    old = zipped(tmp_path / "1", {"ada.ipynb": notebook(text="old"), "cleo.ipynb": notebook()})
    new = zipped(tmp_path / "2", {"ada.ipynb": notebook(text="new"), "cleo.ipynb": notebook()}, (2027, 1, 19, 0, 0, 0))
    collect(term, [old])
    start = files(term.folder)
    real = journal.write_atomically
    writes = 0

    def stopping(path: Path, content: bytes) -> None:
        nonlocal writes
        if writes == 0:
            journal.sibling(path).write_bytes(content[:5])
            raise KeyboardInterrupt
        writes -= 1
        real(path, content)

    monkeypatch.setattr(versions, "write_atomically", real)
    collect(term, [new])
    wanted = files(term.folder)
    monkeypatch.setattr(versions, "write_atomically", stopping)
    for writes_before in range(10):
        for path in [p for p in term.folder.rglob("*") if p.is_file()]:
            path.unlink()
        for name, content in start.items():
            real(term.path(name), content)
        writes = writes_before
        try:
            collect(term, [new])
            break
        except KeyboardInterrupt:
            assert versions.versions(term, term.course.modules[0])              # readable at every moment
        writes = -1
        collect(term, [new])
        assert files(term.folder) == wanted
    assert writes_before >= 4


def test_what_was_handed_in_is_checked_when_it_is_read(term: Term, tmp_path: Path) -> None:
    collect(term, [zipped(tmp_path, {"ada.ipynb": notebook(), "cleo.ipynb": notebook(text="c")})])
    version = versions.latest(term, "ada", term.course.modules[0])
    assert version
    version.path.write_bytes(b"{}")
    with pytest.raises(TitoError, match="cannot be used") as caught:
        version.content()
    assert caught.value.code == ExitCode.INTEGRITY
    collect(term, [tmp_path / "submissions.zip"])                               # the same once more mends it
    assert version.content() == notebook()
    version.path.with_suffix(".json").write_text("{", encoding="utf-8")
    report = collect(term, [tmp_path / "submissions.zip"])                      # a damaged receipt is not written over
    assert arrived(report) == {"cleo": ["01"]} and "cannot be used" in reasons(report)[0]


# ---- the report

def test_one_bad_notebook_never_stops_the_rest(term: Term, tmp_path: Path) -> None:
    source = zipped(tmp_path, {"ada/counting_dev.ipynb": b"", "../cleo.ipynb": notebook(), "cleo/counting_dev.ipynb": b"\xff not JSON",
                               "ben@example.org/counting_dev.ipynb": notebook(), "b/readme.pdf": b"", "bad.zip": b"PK"})
    seen: list[tuple[int, int]] = []
    report = collect(term, [source], progress=lambda done, total, what: seen.append((done, total)))
    assert report.what == "2 new, 0 known already, 3 refused" and report.code == ExitCode.OK
    assert arrived(report) == {"ben": ["01"], "cleo": ["01"]}                   # what is no JSON is kept: repairing is another step's work
    assert "it is empty" in reasons(report) and report.data["ignored_files"] == ["submissions.zip: b/readme.pdf"]
    assert report.next == "tito grade autograde --module 01"
    assert [done for done, _ in seen] == list(range(1, 7)) and all(done <= total for done, total in seen)
    json.dumps(report.to_dict())


def test_everything_refused_and_nothing_there(term: Term, tmp_path: Path) -> None:
    report = collect(term, [zipped(tmp_path, {"nobody/counting_dev.ipynb": notebook()})])
    assert report.code == ExitCode.INTEGRITY and report.next == ""
    with pytest.raises(TitoError, match="there is no notebook"):
        collect(term, [zipped(tmp_path, {"a.pdf": b""})])
    with pytest.raises(TitoError, match="is not there"):
        collect(term, [tmp_path / "nowhere"])


@pytest.mark.parametrize("where", [".", "..", "autograded", "autograded/ada", "versions"])
def test_what_grading_made_is_not_taken_in(term: Term, where: str) -> None:
    lay(term.folder, "autograded/ada/01_counting/counting_dev.ipynb", notebook())
    lay(term.folder, "versions/x", b"")
    with pytest.raises(TitoError, match="term's own folder"):
        collect(term, [term.folder / where])


def test_what_nbgrader_collected_is_taken_in_where_it_stands(term: Term) -> None:
    lay(term.folder, "submitted/ada/01_counting/counting_dev.ipynb", notebook())
    lay(term.folder, "submitted/ada/01_counting/timestamp.txt", b"2027-01-15 10:00:00.5 UTC")
    assert arrived(collect(term, [term.folder / "submitted"])) == {"ada": ["01"]} and received(term)[0] == "2027-01-15 10:00:00 UTC"


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_a_source_whose_name_is_not_utf8(term: Term, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xff.ipynb")
    path.write_bytes(notebook())
    assert arrived(collect(term, [path], student="ada")) == {"ada": ["01"]}


def test_one_at_a_time(term: Term, tmp_path: Path) -> None:
    with term.lock(), pytest.raises(TitoError, match="another tito grade"):
        collect(term, [zipped(tmp_path, {"ada.ipynb": notebook()})])


def test_several_sources(term: Term, tmp_path: Path) -> None:
    one = zipped(tmp_path / "1", {"ada.ipynb": notebook()})
    assert arrived(collect(term, [one, lay(tmp_path, "cleo.ipynb", notebook(2))])) == {"ada": ["01"], "cleo": ["02"]}


def test_a_folder_of_a_thousand(term: Term, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tito.journal.os.fsync", lambda descriptor: None)       # the disk's own time is not ours
    rows = "".join(f"s{i},Given{i} Family{i},s{i}@example.org,\n" for i in range(1000))
    term.path("students.csv").write_text("id,name,email,aliases\n" + rows, encoding="utf-8")
    folder = tmp_path / "in"
    folder.mkdir()
    for i in range(1000):
        (folder / f"family{i}given{i}_{i}_{5000 + i}_counting_dev.ipynb").write_bytes(notebook(text=str(i)))
    began = time.monotonic()
    report = collect(term, [folder])
    assert report.data["new"] == 1000 and len(versions.versions(term, term.course.modules[0])) == 1000
    assert time.monotonic() - began < 10


# ---- names, whatever they are

PARTS = st.one_of(st.text(min_size=1, max_size=12), st.sampled_from([
    "..", ".", "", "~", "C:", "\\", "../..", "ada", "01_counting", "counting_dev", "_1_222_", "_assignsubmission_file_", "CON", "/",
    "submitted"]))


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[Term, Path]]:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "course"
        (root / "modules/01_counting").mkdir(parents=True)
        (root / "settings.ini").write_text("[course]\nid = small\n", encoding="utf-8")
        made = Term.of(Course(root))
        made.create()
        yield made, Path(folder)


@given(st.lists(PARTS, min_size=1, max_size=5), st.sampled_from(["", "/", "_1_222_"]), st.text(max_size=8))
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_name_leads_outside(shared: tuple[Term, Path], parts: list[str], glue: str, claim: str) -> None:
    term, folder = shared
    name = (glue or "/").join(parts) + ".ipynb"
    nested = packed([("x.ipynb", notebook(text=name)), ("receipt.json", json.dumps({"student": claim}).encode())])
    try:
        content = packed([(name, notebook(text=name)), (name[:-6] + ".zip", nested)])
    except UnicodeEncodeError:                                  # surrogates: no zip program can write them
        return
    source = folder / "submissions.zip"
    source.write_bytes(content)
    others = {p for p in folder.rglob("*") if not p.is_relative_to(term.folder)}
    try:
        collect(term, [source], module=term.course.modules[0])
    except TitoError:
        pass                                                    # there was nothing to collect
    assert {p for p in folder.rglob("*") if not p.is_relative_to(term.folder)} == others
    for path in term.folder.rglob("*.ipynb"):
        assert path.parent.name == "01_counting" and path.parent.parent.parent.name in ("versions", "submitted")
        assert path.parent.parent.parent.parent == term.folder and not path.is_symlink()


@given(st.lists(st.text(max_size=30), min_size=1, max_size=4), st.text(max_size=30))
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_path_can_be_read(shared: tuple[Term, Path], parts: list[str], outer: str) -> None:
    term, _ = shared
    named = read(tuple(parts), term.course.modules, outer)
    found = Roster(term.students).find(named.names, named.best)
    assert bool(found.student) != bool(found.reason)
