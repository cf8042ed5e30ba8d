"""A progress file that is not what it should be: one clear error, and nothing is changed."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Edition
from tests.never.progress import Tito, complete, export, on
from tito.errors import ExitCode


def rewritten(path: str, changes: dict[str, bytes | None], *, about: dict[str, Any] | None = None) -> str:
    """The file with other members in it; None takes one away."""
    source = zipfile.ZipFile(path)
    members: dict[str, bytes | None] = {name: source.read(name) for name in source.namelist()}
    if about:
        members["progress.json"] = json.dumps(merged(json.loads(source.read("progress.json")), about)).encode()
    with zipfile.ZipFile(path, "w") as target:
        for name, content in (members | changes).items():
            if content is not None:
                target.writestr(name, content)
    return path


def merged(here: Any, there: Any) -> Any:
    return {**here, **{key: merged(here.get(key), value) for key, value in there.items()}} \
        if isinstance(here, dict) and isinstance(there, dict) else there


NOTE = "modules/01_alpha/history/20270101T000000.000000Z-reset/note.json"


def note(**changes: Any) -> bytes:
    return json.dumps({"schema_version": 1, "action": "reset", "when": "2027-01-01T00:00:00+00:00", "record": None, "started": True,
                       "files": []} | changes).encode()


@pytest.mark.parametrize("changes", [
    {"../evil": b""}, {"/etc/evil": b""}, {"modules/01_alpha/../../x": b""}, {"modules/01_alpha/other.py": b""}, {"tito/cli/app.py": b""},
    {"progress.json": None}, {"progress.json": b"{"}, {"progress.json": b"[]"}, {"progress.json": b"[" * 100_000},
    {"MODULES/01_alpha/notebook.ipynb": b""}, {NOTE: b"{"}, {NOTE: note(files=[["tito/cli/app.py", None]])},
    {NOTE: note(files=[["tinytorch/../tito/x.py", None]])}, {NOTE: note(files=[["modules/01_alpha/alpha_dev.ipynb", "0-gone.ipynb"]])},
    {NOTE: note(action="\x1b[2J")}, {NOTE: note(when="yesterday")}, {NOTE: note(record={"points": 1})},
    {NOTE.replace("2027", "9999"): note()}, {NOTE.replace("note.json", "..%2f"): b""}, {NOTE.replace("01T", "99T"): note()},
    {"modules/01_alpha/history/20270101T000000.000000Z-reset/0-a.ipynb": b""}], ids=lambda changes: next(iter(changes)))
def test_a_hostile_file_changes_nothing(edition: Edition, other: Edition, tito: Tito, changes: dict[str, bytes | None]) -> None:
    edition.solve(1)
    complete(edition, 1)
    path = rewritten(export(edition, tito), changes)
    refused(other, tito, path, "damaged, or no file of tito progress export; nothing was changed")


def refused(other: Edition, tito: Tito, path: str, said: str) -> None:
    before = other.files()
    answer = on(other, tito, "progress", "import", path)
    assert answer.code == ExitCode.INTEGRITY and said in answer.err and "Traceback" not in answer.err
    assert other.files() == before


@pytest.mark.parametrize(("about", "said"), [
    ({"schema_version": 2}, "made by a newer tito"), ({"course": "chemistry"}, "is of another course"),
    ({"modules": {"21_beyond": {"saved": 1, "released": ""}}}, "modules that are not here: 21_beyond"),
    ({"state": {"started": ["04"]}}, "modules that are not here: 04"), ({"state": {"schema_version": 9}}, "damaged"),
    ({"modules": {"01_alpha": {"saved": 1 << 70}}}, "damaged"), ({"modules": {"01_alpha": {"saved": "x"}}}, "damaged"),
    ({"modules": {"01_alpha": {"released": 3}}}, "damaged"), ({"modules": []}, "damaged"), ({"course": None}, "another course"),
    ({"state": {"completed": {"01": {"points": float("nan")}}}}, "damaged"), ({"state": {"completed": {"01": {"when": "x"}}}}, "damaged"),
    ({"state": {"milestones": {"01_double": {"when": "2027-01-01", "seed": 1, "bars": ["\x1b[2J"]}}}}, "damaged"),
    ({"schema_version": "x"}, "damaged")], ids=str)
def test_a_file_that_says_what_it_should_not(edition: Edition, other: Edition, tito: Tito, about: dict[str, Any], said: str) -> None:
    edition.solve(1)
    complete(edition, 1)
    refused(other, tito, rewritten(export(edition, tito), {}, about=about), said)


def test_a_bomb_is_not_unpacked(edition: Edition, other: Edition, tito: Tito, monkeypatch: pytest.MonkeyPatch) -> None:
    edition.solve(1)
    path = rewritten(export(edition, tito), {"modules/01_alpha/notebook.ipynb": b"0" * 200_000})
    monkeypatch.setattr("tito.progress_file.BYTES", 100_000)
    refused(other, tito, path, "damaged")
    monkeypatch.setattr("tito.progress_file.BYTES", 1 << 30)
    monkeypatch.setattr("tito.progress_file.ALL_BYTES", 100_000)
    refused(other, tito, path, "damaged")
    monkeypatch.setattr("tito.progress_file.MEMBERS", 1)
    refused(other, tito, path, "damaged")


def test_any_damage_is_a_clear_error_or_none(edition: Edition, other: Edition, tito: Tito) -> None:
    edition.solve(1)
    complete(edition, 1)
    path = Path(export(edition, tito))
    whole = path.read_bytes()
    for place in range(0, len(whole), 211):
        for damaged in (whole[:place], whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1:]):
            path.write_bytes(damaged)
            answer = on(other, tito, "progress", "import", str(path))
            assert answer.code in (0, ExitCode.INTEGRITY), (place, answer.err)


@pytest.mark.parametrize("field", [12, 16], ids=["size of the list", "place of the list"])
@pytest.mark.parametrize("value", [0xFF, 0x01, 0x7F])
def test_a_list_of_contents_that_stands_nowhere(edition: Edition, other: Edition, tito: Tito, field: int, value: int) -> None:
    path = Path(export(edition, tito))
    whole = bytearray(path.read_bytes())
    whole[len(whole) - 22 + field + 1] ^= value             # in the last record of a zip file, which is 22 bytes long
    path.write_bytes(whole)
    refused(other, tito, str(path), "damaged")


def test_a_member_that_stands_nowhere(edition: Edition, other: Edition, tito: Tito) -> None:
    path = Path(export(edition, tito))
    whole = bytearray(path.read_bytes())
    first = whole.index(b"PK\x01\x02")
    whole[first + 42:first + 46] = b"\xff\xff\xff\x7f"
    path.write_bytes(whole)
    refused(other, tito, str(path), "damaged")


def test_a_file_that_is_not_there(edition: Edition, tito: Tito) -> None:
    assert tito("progress", "import", "nowhere.zip").code == ExitCode.ENVIRONMENT
    assert tito("progress", "import", "modules").code == ExitCode.ENVIRONMENT


def test_the_course_repository_has_no_progress(edition: Edition, tito: Tito) -> None:
    (edition.root / "tito/dev").mkdir(parents=True)
    assert tito("progress", "export").code == ExitCode.USAGE and tito("progress", "import", "x").code == ExitCode.USAGE
