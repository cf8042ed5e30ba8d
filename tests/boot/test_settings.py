"""settings.ini is read as its comments say, and a mistake in it is named."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tito.errors import TitoError
from tito.settings import SECTIONS, Settings, read_settings

SHIPPED = Path(__file__).parents[2] / "settings.ini"


def settings(tmp_path: Path, text: str) -> Settings:
    path = tmp_path / "settings.ini"
    path.write_text(text, encoding="utf-8")
    return read_settings(path)


def test_the_shipped_file_holds_the_defaults() -> None:
    assert read_settings(SHIPPED) == Settings()


def test_every_key_is_in_the_shipped_file_under_a_comment() -> None:
    text = SHIPPED.read_text(encoding="utf-8")
    for kind in SECTIONS.values():
        for key in (name for name, f in kind.__dataclass_fields__.items() if f.metadata):
            assert re.search(rf"^#.+\n{key} =", text, re.MULTILINE), key


def test_an_edition_has_two_sections_only(tmp_path: Path) -> None:
    got = settings(tmp_path, "[course]\nid = x\n[deadlines]\n01 = 2027-01-18\n")
    assert got.course.id == "x" and got.grading == Settings().grading
    assert got.deadlines.due == {1: datetime(2027, 1, 18, 23, 59, tzinfo=UTC)}


def test_deadlines_stand_in_the_courses_time_zone(tmp_path: Path) -> None:
    got = settings(tmp_path, "[deadlines]\n3 = 2027-07-01 18:00\ntimezone = Europe/Berlin\n").deadlines
    assert got.due[3] == datetime(2027, 7, 1, 16, 0, tzinfo=UTC)


@pytest.mark.parametrize(("handed_in", "days", "share"), [
    (datetime(2027, 1, 18, 23, 0, tzinfo=UTC), 0, 1.0),
    (datetime(2027, 1, 19, 0, 14, tzinfo=UTC), 0, 1.0),        # within the grace
    (datetime(2027, 1, 19, 0, 30, tzinfo=UTC), 1, 0.9),
    (datetime(2027, 1, 20, 12, 0, tzinfo=UTC), 2, 0.8),
    (datetime(2027, 2, 20, 12, 0, tzinfo=UTC), 33, 0.0),       # after the last late day
])
def test_late_rule(tmp_path: Path, handed_in: datetime, days: int, share: float) -> None:
    deadlines = settings(tmp_path, "[deadlines]\n01 = 2027-01-18\n").deadlines
    assert deadlines.late(1, handed_in) == days
    assert deadlines.share(1, handed_in) == pytest.approx(share)
    assert deadlines.share(2, handed_in) == 1.0                # no deadline


def test_a_day_late_is_24_hours_also_where_clocks_change(tmp_path: Path) -> None:
    """Due on Saturday noon; on Sunday at 12:30 only 23 hours and a half have passed: clocks went forward in the night."""
    deadlines = settings(tmp_path, "[deadlines]\ntimezone = Europe/Berlin\n01 = 2027-03-27 12:00\n").deadlines
    assert deadlines.late(1, datetime(2027, 3, 28, 12, 30, tzinfo=deadlines.timezone)) == 1
    assert deadlines.late(1, datetime(2027, 3, 28, 13, 30, tzinfo=deadlines.timezone)) == 2


@pytest.mark.parametrize(("text", "what", "rest"), [
    ("[grading]\nmemory_mb = lots\n", "settings.ini: [grading] memory_mb = lots", "from 128 to 1048576 / memory_mb = 2048"),
    ("[grading]\nmemory = 100\n", "unknown key memory in [grading]", "did you mean memory_mb?"),
    ("[Grading]\n", "unknown section [Grading]", "did you mean grading?"),
    ("[grading]\nsandbox = none\n", "sandbox = none", "auto, bubblewrap or docker"),
    ("[course]\nid = a b\n", "[course] id = a b", "letters, digits"),
    ("[deadlines]\n01 = tomorrow\n", "[deadlines] 01 = tomorrow", "2027-01-18 18:00"),
    ("[deadlines]\n01 = 2027-02-30\n", "01 = 2027-02-30", "a day"),
    ("[deadlines]\ntimezone = Mars/Base\n", "timezone = Mars/Base", "Europe/Berlin"),
    ("[gradebook]\nurl = gradebook.db\n", "url = gradebook.db", "sqlite:///gradebook.db"),
    ("[cluster]\naddress = 10.0.0.5\n", "address = 10.0.0.5", "tcp://10.0.0.5:8786"),
    ("id = 1\n", "not a settings file", "line: 1"),
    ("[course]\nid = a\nid = b\n", "not a settings file", "already exists"),
])
def test_a_mistake_is_named(tmp_path: Path, text: str, what: str, rest: str) -> None:
    with pytest.raises(TitoError) as caught:
        settings(tmp_path, text)
    assert what in caught.value.what
    for part in rest.split(" / "):
        assert part in f"{caught.value.why} {caught.value.fix}"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TitoError, match="settings.ini cannot be read"):
        read_settings(tmp_path / "settings.ini")
