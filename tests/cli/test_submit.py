"""`tito submit`: one file that holds the notebook as it is, a receipt, and a name that is remembered."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import time
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tito.errors import ExitCode

from .conftest import REPOSITORY, Answer, Edition

Tito = Callable[..., Answer]
DAY = 86400


def packed(edition: Edition) -> Path:
    (path,) = (edition.root / "submissions").iterdir()
    return path


def test_the_file_holds_the_notebook_as_it_is_and_a_receipt(edition: Edition, tito: Tito) -> None:
    edition.solve(1)
    work = edition.notebook(1).read_bytes()
    digest = hashlib.sha256(work).hexdigest()
    answer = tito("submit", "1", "--name", "Ada Lovelace")
    assert answer.code == 0 and digest in answer.out and "note:" not in answer.out
    path = packed(edition)
    assert path.name == f"01_alpha-Ada_Lovelace-{digest[:8]}.zip" and str(Path("submissions", path.name)) in answer.out
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["alpha_dev.ipynb", "receipt.json"] and archive.testzip() is None
        assert archive.read("alpha_dev.ipynb") == work
        receipt = json.loads(archive.read("receipt.json"))
    when = datetime.fromisoformat(receipt.pop("time"))
    assert abs((datetime.now(UTC) - when).total_seconds()) < 60 and when.utcoffset() is not None
    assert receipt.pop("tito")
    assert receipt == {"schema_version": 1, "course": "tinytorch", "module": "01_alpha", "student": "Ada Lovelace",
                       "notebook": "alpha_dev.ipynb", "sha256": digest}
    assert edition.notebook(1).read_bytes() == work


def test_json_carries_the_receipt(edition: Edition, tito: Tito) -> None:
    data = tito("submit", "01", "--name", "ada", "--json").json
    assert data["command"] == "submit" and data["exit_code"] == 0 and data["receipt"]["student"] == "ada" and Path(data["file"]).is_file()


def test_the_same_work_at_the_same_time_is_the_same_file(edition: Edition, tito: Tito, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tito.state.now", lambda: "2027-01-18T10:00:00+00:00")
    tito("submit", "1", "--name", "ada")
    first = packed(edition).read_bytes()
    packed(edition).unlink()
    monkeypatch.setattr(time, "time", lambda: 1e9)
    tito("submit", "1")
    assert packed(edition).read_bytes() == first


def test_the_same_work_packed_again_keeps_its_first_time(edition: Edition, tito: Tito, monkeypatch: pytest.MonkeyPatch) -> None:
    tito("submit", "1", "--name", "ada")
    before = packed(edition).read_bytes()
    monkeypatch.setattr("tito.state.now", lambda: "2037-01-18T10:00:00+00:00")
    answer = tito("submit", "1")
    assert answer.code == 0 and "2037" not in answer.out and "packed before" in answer.out and packed(edition).read_bytes() == before
    packed(edition).write_bytes(before[:-9])                    # a file that is not whole is written anew
    assert "2037" in tito("submit", "1").out and zipfile.is_zipfile(packed(edition))


def test_other_work_is_another_file(edition: Edition, tito: Tito) -> None:
    tito("submit", "1", "--name", "ada")
    edition.solve(1)
    tito("submit", "1")
    assert len(list((edition.root / "submissions").iterdir())) == 2


def test_the_name_is_asked_for_once(edition: Edition, tito: Tito) -> None:
    answer = tito("submit", "01")
    assert answer.code == ExitCode.USAGE and 'tito submit 01 --name "Your Name"' in answer.err
    assert not (edition.root / "submissions").exists()
    tito("submit", "01", "--name", " Jörg O'Hara-Weiß ")
    assert tito("submit", "02").code == 0
    assert all("-Jörg_O'Hara-Weiß-" in p.name for p in (edition.root / "submissions").iterdir())


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema_version": 1}', "\udcff"])
def test_a_damaged_memory_asks_again(edition: Edition, tito: Tito, content: str) -> None:
    (edition.root / ".tito").mkdir()
    (edition.root / ".tito/student.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    assert tito("submit", "01").code == ExitCode.USAGE


@pytest.mark.parametrize("name", ["../ada", "a/b", "a\\b", "C:ada", "a\nda", "a\0b", "a*", "-ada", ".ada", " ", "a|b", "\u202eada",
                                  "a" * 200, "ü" * 70])
def test_a_name_that_no_file_should_have(edition: Edition, tito: Tito, name: str) -> None:
    before = edition.files()
    answer = tito("submit", "01", "--name", name)
    assert answer.code == ExitCode.USAGE and answer.err.startswith("error: ") and "Traceback" not in answer.err
    assert edition.files() == before


def test_a_name_that_was_remembered_by_hand_is_looked_at_too(edition: Edition, tito: Tito) -> None:
    (edition.root / ".tito").mkdir()
    (edition.root / ".tito/student.json").write_text('{"schema_version": 1, "name": "../../out"}', encoding="utf-8")
    assert tito("submit", "01").code == ExitCode.USAGE


def test_into_a_drop_folder(edition: Edition, tito: Tito, tmp_path: Path) -> None:
    (tmp_path / "drop box").mkdir()
    answer = tito("submit", "01", "--name", "ada", "--to", str(tmp_path / "drop box"))
    assert answer.code == 0 and len(list((tmp_path / "drop box").iterdir())) == 1 and not (edition.root / "submissions").exists()
    for wrong in ("missing", "file"):
        (tmp_path / "file").write_text("", encoding="utf-8")
        answer = tito("submit", "01", "--to", str(tmp_path / wrong))
        assert answer.code == ExitCode.ENVIRONMENT and f"{wrong} is not a folder" in answer.err
    assert not (tmp_path / "missing").exists()


def test_work_that_was_not_begun_is_noted(edition: Edition, tito: Tito) -> None:
    assert "its code is still that of the released notebook" in tito("submit", "01", "--name", "ada").out


@pytest.mark.parametrize(("content", "code"), [(None, ExitCode.ENVIRONMENT), (b"{", ExitCode.INTEGRITY), (b"\xff", ExitCode.INTEGRITY),
                                              (b"[]", ExitCode.INTEGRITY), (b"", ExitCode.INTEGRITY)])
def test_a_notebook_that_cannot_be_read(edition: Edition, tito: Tito, content: bytes | None, code: ExitCode) -> None:
    if content is None:
        edition.notebook(1).unlink()
    else:
        edition.notebook(1).write_bytes(content)
    answer = tito("submit", "01", "--name", "ada")
    assert answer.code == code and " 01" in answer.err.partition("fix:")[2] and not (edition.root / "submissions").exists()


@pytest.mark.parametrize(("number", "said"), [(errno.ENOSPC, "the disk is full"), (errno.EROFS, "may not be written"),
                                              (errno.EACCES, "may not be written")])
def test_a_disk_that_takes_nothing(edition: Edition, tito: Tito, monkeypatch: pytest.MonkeyPatch, number: int, said: str) -> None:
    def refuse(path: Path, content: bytes) -> None:
        path.write_bytes(content[:7])
        raise OSError(number, os.strerror(number), str(path))
    monkeypatch.setattr("tito.journal._write", refuse)
    answer = tito("submit", "01", "--name", "ada")
    assert answer.code == ExitCode.ENVIRONMENT and said in answer.err
    assert list((edition.root / "submissions").iterdir()) == []         # no half of a file is left


def test_the_course_repository_says_whom_it_is_for(tito: Tito, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    answer = tito("submit", "01", "--name", "ada")
    assert answer.code == ExitCode.USAGE and "student editions" in answer.err and not (REPOSITORY / "submissions").exists()
