"""Downloads from this machine: files in the true formats, small, and mirrors that break off, lie, or are not there."""

from __future__ import annotations

import gzip
import hashlib
import io
import struct
import tarfile
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinytorch.data import CIFAR10, MNIST, download, download_cifar10, download_mnist, load_digits, loader, read_cifar10, read_idx

Mirror = Callable[..., Any]


class Server:
    """A mirror on this machine, which does what `files` and `breaks` say, and notes what it was asked."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[tuple[str, str | None]] = []
        self.breaks: list[int] = []  # after how many bytes the next answers break off
        self.ranges, self.status = True, 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name, wanted = self.path.lstrip("/"), self.headers.get("Range")
                outer.asked.append((name, wanted))
                data = outer.files.get(name)
                if outer.status or data is None:
                    self.send_error(outer.status or 404)
                    return
                start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and outer.ranges else 0
                if start and start >= len(data):
                    self.send_error(416)
                    return
                self.send_response(206 if start else 200)
                self.send_header("Content-Length", str(len(data) - start))
                self.end_headers()
                self.wfile.write(data[start:][: outer.breaks.pop(0) if outer.breaks else None])

            def log_message(self, *args: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def publish(self, name: str, data: bytes) -> tuple[int, str]:
        self.files[name] = data
        return len(data), hashlib.sha256(data).hexdigest()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.http.shutdown()
    made.http.server_close()


DATA = bytes(np.random.default_rng(0).integers(0, 256, size=200_000, dtype="uint8"))


def get(server: Server, folder: Path, *more: str, data: bytes = DATA, **how: Any) -> Path:
    size, sha256 = len(DATA), hashlib.sha256(DATA).hexdigest()
    server.files.setdefault("file.gz", data)
    return download("file.gz", size, sha256, folder, [*more, server.url], **how)


def test_a_file_is_fetched_once(server: Server, tmp_path: Path) -> None:
    for _ in range(2):
        assert get(server, tmp_path / "new ü").read_bytes() == DATA
    assert server.asked == [("file.gz", None)]
    assert [path.name for path in (tmp_path / "new ü").iterdir()] == ["file.gz"]


def test_a_download_goes_on_where_it_broke_off(server: Server, tmp_path: Path) -> None:
    server.breaks = [70_000]
    assert get(server, tmp_path).read_bytes() == DATA
    assert [wanted for _, wanted in server.asked] == [None, "bytes=70000-"]


def test_and_a_later_call_goes_on_too(server: Server, tmp_path: Path) -> None:
    server.breaks = [70_000, 50_000]
    with pytest.raises(ConnectionError, match="70000 of 200000 bytes came.*120000 of 200000 bytes came"):
        get(server, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["file.gz.part"]
    assert get(server, tmp_path).read_bytes() == DATA
    assert server.asked[-1] == ("file.gz", "bytes=120000-")


def test_a_mirror_that_knows_no_ranges(server: Server, tmp_path: Path) -> None:
    server.breaks, server.ranges = [70_000], False
    assert get(server, tmp_path).read_bytes() == DATA


@pytest.mark.parametrize("data", [DATA[:-1] + b"x", DATA[::-1], DATA + b"more", DATA * 3, b"<html>not found</html>", b""])
def test_another_file_is_refused_and_not_kept(server: Server, tmp_path: Path, data: bytes) -> None:
    with pytest.raises(ConnectionError, match="not the published file|bytes came|416"):
        get(server, tmp_path, data=data)
    assert not (tmp_path / "file.gz").exists()
    if len(data) >= len(DATA):
        assert list(tmp_path.iterdir()) == []


def test_a_wrong_beginning_does_not_last(server: Server, tmp_path: Path) -> None:
    """What is left of somebody else's file is found out at the end, and fetched anew."""
    (tmp_path / "file.gz.part").write_bytes(b"x" * 1000)
    assert get(server, tmp_path).read_bytes() == DATA
    (tmp_path / "file.gz").unlink()
    (tmp_path / "file.gz.part").write_bytes(b"x" * 300_000)
    assert get(server, tmp_path).read_bytes() == DATA


def test_a_file_without_end_is_not_followed(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server.files["file.gz"] = DATA * 200  # 40 MB
    part = tmp_path / "file.gz.part"
    loader.fetch(server.url + "file.gz", part, len(DATA))
    assert part.stat().st_size <= len(DATA) + (1 << 16)


def test_a_damaged_file_in_the_cache_is_replaced(server: Server, tmp_path: Path) -> None:
    get(server, tmp_path).write_bytes(b"damaged")
    assert get(server, tmp_path).read_bytes() == DATA


def test_the_next_mirror_is_tried(server: Server, tmp_path: Path) -> None:
    other = Server()
    other.files["file.gz"] = b"?" * len(DATA)
    assert get(server, tmp_path, "http://127.0.0.1:9/", other.url).read_bytes() == DATA
    other.http.server_close()


@pytest.mark.parametrize("trouble", ["offline", "status"])
def test_without_a_network_the_error_says_what_to_do(server: Server, tmp_path: Path, trouble: str) -> None:
    server.status = 503
    mirrors = ["http://127.0.0.1:9/"] if trouble == "offline" else [server.url]
    with pytest.raises(ConnectionError) as caught:
        download_mnist(tmp_path / "mnist", mirrors)
    text = str(caught.value)
    assert (
        f"Get {mirrors[0]}train-images-idx3-ubyte.gz" in text and str((tmp_path / "mnist" / "train-images-idx3-ubyte.gz").resolve()) in text
    )
    assert "\n" not in text and text.count(mirrors[0]) == 2, "each mirror's trouble once, and the address"


def test_a_file_put_there_by_hand_is_taken(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.gz").write_bytes(DATA)
    assert get(server, tmp_path).read_bytes() == DATA and server.asked == []


# ---- formats -----------------------------------------------------------------------------------


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.astype("uint8").tobytes()


def test_mnist(server: Server, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    arrays = [
        rng.integers(0, 256, size=(7, 28, 28)),
        rng.integers(0, 10, size=7),
        rng.integers(0, 256, size=(3, 28, 28)),
        rng.integers(0, 10, size=3),
    ]
    files = {name: server.publish(name, gzip.compress(idx(array))) for name, array in zip(MNIST, arrays, strict=True)}
    for _ in range(2):
        train, test = download_mnist(tmp_path, [server.url], files)
    assert len(server.asked) == 4
    for data, images, labels in ((train, *arrays[:2]), (test, *arrays[2:])):
        assert data.tensors[0].shape == (len(labels), 1, 28, 28) and data.tensors[0].dtype == np.float32
        assert np.allclose(data.tensors[0].numpy()[:, 0] * 255, images) and data.tensors[1].tolist() == labels.tolist()
        assert data.tensors[1].dtype == np.int64


def pack(members: dict[str, bytes], change: Callable[[tarfile.TarInfo], None] = lambda member: None) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            change(member)
            archive.addfile(member, io.BytesIO(data))
    return file.getvalue()


NAMES = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
ROWS = np.random.default_rng(2).integers(0, 256, size=(6, 4, 3073), dtype="uint8")
ROWS[..., 0] %= 10
MEMBERS = {f"cifar-10-batches-bin/{name}.bin": rows.tobytes() for name, rows in zip(NAMES, ROWS, strict=True)}


def test_cifar10(server: Server, tmp_path: Path) -> None:
    more = {"cifar-10-batches-bin/readme.html": b"<html>", "../../evil.bin": b"x" * 3073}
    files = {name: server.publish(name, pack(MEMBERS | more)) for name in CIFAR10}
    train, test = download_cifar10(tmp_path / "here", [server.url], files)
    assert train.tensors[0].shape == (20, 3, 32, 32) and test.tensors[0].shape == (4, 3, 32, 32)
    assert np.allclose(train.tensors[0].numpy().reshape(20, -1) * 255, ROWS[:5, :, 1:].reshape(20, -1))
    assert test.tensors[1].tolist() == ROWS[5, :, 0].tolist()
    assert [path.name for path in (tmp_path / "here").iterdir()] == list(CIFAR10), "nothing is unpacked"
    assert [path.name for path in tmp_path.iterdir()] == ["here"]


def _link(member: tarfile.TarInfo) -> None:
    member.type, member.linkname, member.size = tarfile.SYMTYPE, "/etc/passwd", 0


def _hard(member: tarfile.TarInfo) -> None:
    member.type, member.linkname, member.size = tarfile.LNKTYPE, "../../secret", 0


NO_ARCHIVES = {
    "a symbolic link": lambda: pack(MEMBERS, _link),
    "a hard link": lambda: pack(MEMBERS, _hard),
    "a byte short": lambda: pack({name: data[:-1] for name, data in MEMBERS.items()}),
    "empty": lambda: pack({}),
    "outside": lambda: pack({f"../{name}": data for name, data in MEMBERS.items()}),
    "text": lambda: b"no archive",
    "cut off": lambda: pack(MEMBERS)[:-900],
}


@pytest.mark.parametrize("kind", NO_ARCHIVES)  # by name: the bytes hold the time, and pytest would name the test after them
def test_archives_that_are_none(tmp_path: Path, kind: str) -> None:
    (tmp_path / "a.tar.gz").write_bytes(NO_ARCHIVES[kind]())
    with pytest.raises(ValueError, match=r"a\.tar\.gz"):
        read_cifar10(tmp_path / "a.tar.gz", NAMES)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\0\x08",
        b"\0\0\x08\x02\0\0\0\1",
        b"\0\0\x08\x01\0\0\0\4abc",
        b"\0\0\x08\x01\0\0\0\2abc",
        b"\0\0\x0d\x01\0\0\0\3abc",
        b"\0\0\x08\xff" + b"\xff" * 2000,
        b"PK\3\4",
    ],
)
def test_idx_files_that_are_none(data: bytes) -> None:
    with pytest.raises(ValueError, match="IDX"):
        read_idx(data)


def test_an_mnist_file_that_is_no_gzip(server: Server, tmp_path: Path) -> None:
    """Even where its fingerprint is right."""
    files = {name: server.publish(name, b"no gzip") for name in MNIST}
    with pytest.raises(OSError):
        download_mnist(tmp_path, [server.url], files)


def test_digits() -> None:
    data = load_digits()
    images, labels = data.tensors
    assert images.shape == (1797, 1, 8, 8) and images.dtype == np.float32 and (images.min().item(), images.max().item()) == (0.0, 1.0)
    assert labels.dtype == np.int64 and np.bincount(labels.numpy()).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    with pytest.raises(FileNotFoundError, match="nowhere.npz"):
        load_digits("nowhere.npz")


def test_what_is_published_is_written_down_right() -> None:
    """The sizes and fingerprints are data: their form, at least, can be looked at."""
    for size, sha256 in [*MNIST.values(), *CIFAR10.values()]:
        assert size > 4000 and len(sha256) == 64 and int(sha256, 16)
    assert list(MNIST) == [f"{part}-{what}-ubyte.gz" for part in ("train", "t10k") for what in ("images-idx3", "labels-idx1")]
