"""Folders and zips that nobody vouches for: what can be read is read, all else is refused with a reason, nothing leads outside."""

from __future__ import annotations

import io
import os
import socket
import stat
import struct
import tracemalloc
import warnings
import zipfile
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from grading.intake import archives, zips
from grading.intake.archives import Entry, Ignored, Refusal, Survey
from grading.intake.zips import Unreadable
from tito.errors import TitoError

WORK = b'{"cells": []}'
ZONE = timezone(timedelta(hours=1))
Date = tuple[int, int, int, int, int, int]


def member(name: str, *, mode: int = 0o100644, when: Date = (2027, 1, 18, 10, 0, 0), method: int = zipfile.ZIP_DEFLATED) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("x", when)
    info.filename = info.orig_filename = name
    info.create_system, info.external_attr, info.compress_type = 3, mode << 16, method
    return info


def packed(members: Iterable[tuple[str | zipfile.ZipInfo, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive, warnings.catch_warnings(category=UserWarning, action="ignore"):
        for name, content in members:
            archive.writestr(member(name) if isinstance(name, str) else name, content)
    return buffer.getvalue()


def survey(path: Path) -> tuple[dict[str, bytes | str], dict[str, str], list[str]]:
    """(what was read, by its parts; what was refused, and why; what was ignored)."""
    read: dict[str, bytes | str] = {}
    refused, ignored = {}, []
    for item in Survey(path, ZONE):
        if isinstance(item, Entry):
            try:
                read["/".join(item.parts)] = item.read()
            except Unreadable as err:
                refused[item.origin] = str(err)
        elif isinstance(item, Refusal):
            refused[item.origin] = item.reason
        else:
            assert isinstance(item, Ignored)
            ignored.append(item.origin)
    return read, refused, ignored


def zipped(tmp_path: Path, members: Iterable[tuple[str | zipfile.ZipInfo, bytes]]) -> Path:
    path = tmp_path / "all.zip"
    path.write_bytes(packed(members))
    return path


# ---- what is read

def test_a_zip_of_notebooks(tmp_path: Path) -> None:
    path = zipped(tmp_path, [("a/x_dev.ipynb", WORK), ("b/Y.IPYNB", b"y"), ("c/readme.pdf", b"p"), ("c/receipt.json", b"{}"), ("d/", b""),
                             ("e/.ipynb_checkpoints/x-checkpoint.ipynb", WORK), ("e/.released/x.ipynb", WORK), ("__MACOSX/._x.ipynb", b"")])
    assert survey(path) == ({"a/x_dev.ipynb": WORK, "b/Y.IPYNB": b"y"}, {}, ["all.zip: c/readme.pdf"])


def test_a_folder(tmp_path: Path) -> None:
    for name in ("ü b/x_dev.ipynb", "a/x_dev.ipynb", "a/.hidden.ipynb", ".git/x.ipynb", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(WORK)
    (tmp_path / "z.zip").write_bytes(packed([("i/x_dev.ipynb", b"in a zip")]))
    read, refused, ignored = survey(tmp_path)
    assert list(read) == ["a/x_dev.ipynb", "z/i/x_dev.ipynb", "ü b/x_dev.ipynb"] and not refused and ignored == ["notes.txt"]


def test_a_single_notebook_and_one_that_is_missing(tmp_path: Path) -> None:
    (tmp_path / "x.ipynb").write_bytes(WORK)
    assert survey(tmp_path / "x.ipynb")[0] == {"x.ipynb": WORK}
    with pytest.raises(TitoError):
        Survey(tmp_path / "y.ipynb", ZONE)


def test_a_students_zip_in_the_platforms_zip_is_opened_and_no_further_one(tmp_path: Path) -> None:
    inner = packed([("x_dev.ipynb", WORK), ("deeper.zip", packed([("x.ipynb", WORK)]))])
    read, refused, _ = survey(zipped(tmp_path, [("ada/work.zip", inner), ("ben/x_dev.ipynb", b"ben"), ("cleo/broken.zip", b"PK nothing")]))
    assert read == {"ada/work/x_dev.ipynb": WORK, "ben/x_dev.ipynb": b"ben"}
    assert refused["all.zip: ada/work.zip: deeper.zip"] == "it is a zip in a zip in a zip"
    assert "not a zip" in refused["all.zip: cleo/broken.zip"]


def test_dates_go_with_what_they_date(tmp_path: Path) -> None:
    inner = packed([(member("x.ipynb", when=(2001, 1, 1, 0, 0, 0)), WORK)])
    path = zipped(tmp_path, [("ada/work.zip", inner), (member("ben.ipynb", when=(1980, 1, 1, 0, 0, 0)), b"")])
    os.utime(path, (1e9, 1e9))
    ada, ben = (i for i in Survey(path, ZONE) if isinstance(i, Entry))
    assert [(d.depth, d.when, d.kind) for d in ada.dates] == [
        (0, datetime.fromtimestamp(1e9, UTC), "file"), (2, datetime(2027, 1, 18, 9, tzinfo=UTC), "zip"),
        (3, datetime(2000, 12, 31, 23, tzinfo=UTC), "zip")]
    assert ben.dates[-1].when is None                           # the date of a zip without dates


def test_a_date_in_utc_is_better_than_a_local_one(tmp_path: Path) -> None:
    info = member("x.ipynb", when=(2027, 1, 18, 23, 0, 0))
    info.extra = struct.pack("<HHBi", 0x5455, 5, 1, 1_800_000_000)
    (entry,) = (i for i in Survey(zipped(tmp_path, [(info, WORK)]), ZONE) if isinstance(i, Entry))
    assert entry.dates[-1].when == datetime.fromtimestamp(1_800_000_000, UTC)
    info.extra = struct.pack("<HHB", 0x5455, 1, 0)              # the field is there, the date is not
    (entry,) = (i for i in Survey(zipped(tmp_path, [(info, WORK)]), ZONE) if isinstance(i, Entry))
    assert entry.dates[-1].when == datetime(2027, 1, 18, 23, tzinfo=ZONE)


# ---- names

OUTSIDE = ["../x.ipynb", "a/../../x.ipynb", "/etc/x.ipynb", "C:/x.ipynb", "c:x.ipynb", "a\\..\\x.ipynb", "\\\\host\\x.ipynb",
           "//host/x.ipynb"]


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_name_that_leads_outside(tmp_path: Path, name: str) -> None:
    read, refused, _ = survey(zipped(tmp_path, [(name, WORK), ("good.ipynb", WORK)]))
    assert list(read) == ["good.ipynb"] and list(refused.values()) == ["its name leads outside: a drive, a backslash, a leading / or .."]


@pytest.mark.parametrize("name", ["a\nb.ipynb", "\x1b[31mx.ipynb", "a\u202eb.ipynb", "a\x00.ipynb"])
def test_a_name_that_cannot_be_printed(tmp_path: Path, name: str) -> None:
    content = packed([(name.replace("\x00", "\x01"), WORK), ("good.ipynb", WORK)])
    (tmp_path / "all.zip").write_bytes(content.replace(b"a\x01.", b"a\x00."))
    read, refused, _ = survey(tmp_path / "all.zip")
    assert list(read) == ["good.ipynb"] and len(refused) == 1 and all(key.isprintable() for key in refused)
    assert "cannot be printed" in next(iter(refused.values()))


def test_a_space_that_does_not_break(tmp_path: Path) -> None:
    assert list(survey(zipped(tmp_path, [("Ada\u00a0L/x\u202f1.ipynb", WORK)]))[0]) == ["Ada\u00a0L/x\u202f1.ipynb"]


def unflagged(content: bytes) -> bytes:
    """A zip in which nothing says that names are UTF-8."""
    data = bytearray(content)
    for signature, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        begin = 0
        while (begin := data.find(signature, begin)) >= 0:
            data[begin + at + 1] &= ~0x08
            begin += 4
    return bytes(data)


def test_a_name_in_utf8_that_nothing_says_is(tmp_path: Path) -> None:
    (tmp_path / "all.zip").write_bytes(unflagged(packed([("Jörg/x.ipynb", WORK)])))
    assert survey(tmp_path / "all.zip")[0] == {"Jörg/x.ipynb": WORK}


def test_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    content = unflagged(packed([("Jörg/x.ipynb", WORK), ("good.ipynb", WORK)])).replace("Jörg/".encode(), b"Jo\xffrg/"[:6])
    (tmp_path / "all.zip").write_bytes(content)
    read, refused, _ = survey(tmp_path / "all.zip")
    assert list(read) == ["good.ipynb"] and "not UTF-8" in next(iter(refused.values()))


def test_a_name_that_lies_about_being_utf8_refuses_the_archive(tmp_path: Path) -> None:
    content = packed([("Jörg/x.ipynb", WORK)]).replace("Jörg/".encode(), b"Jo\xffrg/"[:6])
    (tmp_path / "all.zip").write_bytes(content)
    read, refused, _ = survey(tmp_path / "all.zip")
    assert not read and "not a zip that can be read" in refused["all.zip"]


@pytest.mark.parametrize(("one", "two"), [("a/x.ipynb", "a/x.ipynb"), ("a/X.ipynb", "A/x.ipynb"), ("e\u0301/x.ipynb", "é/x.ipynb"),
                                          ("a/x.ipynb", "a/./x.ipynb"), ("a//x.ipynb", "a/x.ipynb")])
def test_names_that_are_one_on_some_systems(tmp_path: Path, one: str, two: str) -> None:
    read, refused, _ = survey(zipped(tmp_path, [(one, b"1"), (two, b"2"), ("good.ipynb", WORK)]))
    assert list(read) == ["good.ipynb"] and all("same name" in reason for reason in refused.values())


def test_a_name_that_is_too_long_or_too_deep(tmp_path: Path) -> None:
    read, refused, _ = survey(zipped(tmp_path, [("a/" * 30 + "x.ipynb", WORK), ("a" * 2000 + ".ipynb", WORK)]))
    assert not read and set(refused.values()) == {"its name is too long"}


# ---- kinds

@pytest.mark.parametrize(("kind", "said"), [(stat.S_IFLNK, "link"), (stat.S_IFIFO, "pipe"), (stat.S_IFCHR, "device")])
def test_members_that_are_no_files(tmp_path: Path, kind: int, said: str) -> None:
    read, refused, _ = survey(zipped(tmp_path, [(member("x.ipynb", mode=kind | 0o777), b"/etc/passwd"), ("good.ipynb", WORK)]))
    assert list(read) == ["good.ipynb"] and said in refused["all.zip: x.ipynb"]


def test_an_encrypted_member(tmp_path: Path) -> None:
    data = bytearray(packed([("x.ipynb", WORK), ("good.ipynb", WORK)]))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "all.zip").write_bytes(data)
    read, refused, _ = survey(tmp_path / "all.zip")
    assert list(read) == ["good.ipynb"] and refused == {"all.zip: x.ipynb": "it is encrypted"}


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_unpack_without_a_bound(tmp_path: Path, method: int) -> None:
    read, refused, _ = survey(zipped(tmp_path, [(member("x.ipynb", method=method), bytes(1 << 20)), ("good.ipynb", WORK)]))
    assert list(read) == ["good.ipynb"] and "packed by method" in refused["all.zip: x.ipynb"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_what_is_no_file_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret.ipynb").write_bytes(b"secret")
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "good.ipynb").write_bytes(WORK)
    (folder / "link.ipynb").symlink_to(tmp_path / "outside/secret.ipynb")
    (folder / "linked").symlink_to(tmp_path / "outside")
    (folder / "dangling.zip").symlink_to("nowhere")
    os.mkfifo(folder / "pipe.ipynb")
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(folder / "door.ipynb"))
        read, refused, _ = survey(folder)
    assert read == {"good.ipynb": WORK}
    assert set(refused) == {"link.ipynb", "linked", "dangling.zip", "pipe.ipynb", "door.ipynb"}


def test_a_file_that_becomes_a_link_while_we_look(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "in/x.ipynb").write_bytes(WORK)
    (entry,) = (i for i in Survey(tmp_path / "in", ZONE) if isinstance(i, Entry))
    (tmp_path / "in/x.ipynb").unlink()
    (tmp_path / "in/x.ipynb").symlink_to(tmp_path / "secret")
    with pytest.raises(Unreadable):
        entry.read()


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_a_files_name_that_is_not_utf8(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"x\xff.ipynb")).write_bytes(WORK)
    read, refused, _ = survey(tmp_path)
    assert not read and "UTF-8" in refused["x\\xdcff.ipynb"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="everything is readable for root")
def test_what_may_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "x.ipynb").write_bytes(WORK)
    (tmp_path / "x.ipynb").chmod(0)
    assert list(survey(tmp_path)[1]) == ["x.ipynb"]


# ---- size

def test_a_giant_file_in_a_folder(tmp_path: Path) -> None:
    with (tmp_path / "x.ipynb").open("wb") as file:
        file.truncate(zips.FILE_BYTES + 1)
    assert survey(tmp_path)[1] == {"x.ipynb": "it is larger than 50 MB"}


def test_a_bomb_that_says_how_large_it_is(tmp_path: Path) -> None:
    path = zipped(tmp_path, [("x.ipynb", bytes(60 << 20)), ("y.ipynb", bytes(40 << 20)), ("good.ipynb", WORK)])
    read, refused, _ = survey(path)
    assert list(read) == ["good.ipynb"] and "larger than 50 MB" in refused["all.zip: x.ipynb"] and "zip bomb" in refused["all.zip: y.ipynb"]


def test_a_bomb_that_lies_about_its_size(tmp_path: Path) -> None:
    data = packed([("x.ipynb", bytes(200 << 20)), ("good.ipynb", WORK)])
    (tmp_path / "all.zip").write_bytes(data.replace(struct.pack("<I", 200 << 20), struct.pack("<I", 1 << 20)))
    tracemalloc.start()
    read, refused, _ = survey(tmp_path / "all.zip")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert list(read) == ["good.ipynb"] and "damaged" in refused["all.zip: x.ipynb"] and peak < 20 << 20


def test_what_really_comes_out_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zips.zipfile.ZipExtFile, "read", lambda self, n=-1: b"x" * n)       # type: ignore[attr-defined]
    read, refused, _ = survey(zipped(tmp_path, [("x.ipynb", WORK)]))
    assert not read and refused == {"all.zip: x.ipynb": "it is larger than 50 MB"}


def test_many_large_members_are_too_much_together(tmp_path: Path) -> None:
    inner = packed([(f"{i}.ipynb", bytes(9 << 20)) for i in range(30)])
    read, refused, _ = survey(zipped(tmp_path, [("ada/work.zip", inner), ("good.ipynb", WORK)]))
    assert list(read) == ["good.ipynb"] and refused == {"all.zip: ada/work.zip": "it unpacks to more than 200 MB"}


def test_overlapping_members(tmp_path: Path) -> None:
    data = bytearray(packed([("x.ipynb", WORK), ("y.ipynb", WORK)]))
    second = data.rindex(b"PK\x01\x02")
    data[second + 42:second + 46] = struct.pack("<I", 5)        # its data are said to begin inside the first one's
    (tmp_path / "all.zip").write_bytes(data)
    assert "zip bomb" in survey(tmp_path / "all.zip")[1]["all.zip"]


def test_ten_thousand_files(tmp_path: Path) -> None:
    many = packed((f"{i}.txt", b"") for i in range(10_000))
    (tmp_path / "all.zip").write_bytes(many)
    assert survey(tmp_path / "all.zip") == ({}, {"all.zip": "it holds more than 5000 files"}, [])
    nested = packed((f"{i}.txt", b"") for i in range(1001))
    read, refused, _ = survey(zipped(tmp_path, [("ada/work.zip", nested), ("ben.ipynb", WORK)]))
    assert list(read) == ["ben.ipynb"] and refused == {"all.zip: ada/work.zip": "it holds more than 1000 files"}


def test_a_list_of_members_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zips, "DIRECTORY_BYTES", 1000)
    assert "too long" in survey(zipped(tmp_path, [(f"{i}.ipynb", WORK) for i in range(100)]))[1]["all.zip"]


def test_a_folder_with_too_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "FILES", 3)
    for i in range(5):
        (tmp_path / f"{i}.ipynb").write_bytes(WORK)
    assert list(survey(tmp_path)[1].values()) == ["it holds more than 3 files"]


# ---- damage

@pytest.mark.parametrize("content", [b"", b"PK", b"not a zip", b"PK\x05\x06" + bytes(18), b"PK\x05\x06" + b"\xff" * 18, packed([])[:-1]])
def test_what_is_no_zip(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "all.zip").write_bytes(content)
    read, refused, _ = survey(tmp_path / "all.zip")
    assert not read and len(refused) <= 1


def test_every_truncated_and_every_bent_zip_is_survived(tmp_path: Path) -> None:
    whole = packed([("ada/x_dev.ipynb", WORK * 30), ("ben/x_dev.ipynb", WORK), ("b.zip", packed([("c.ipynb", WORK)]))])
    path = tmp_path / "all.zip"
    for cut in range(0, len(whole), 7):
        path.write_bytes(whole[:cut])
        survey(path)
    for at in range(len(whole)):
        bent = bytearray(whole)
        bent[at] ^= 0xFF
        path.write_bytes(bent)
        read, _, _ = survey(path)
        assert all(content in (WORK * 30, WORK) for content in read.values())      # what is read is what was packed
