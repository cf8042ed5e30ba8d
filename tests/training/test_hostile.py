"""Checkpoints made by somebody unfriendly: settings, entries and archives that lie."""

import json
import os
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from tests.training.files import assert_refused, changed, names, npy, pack
from tinytorch.core.training import read_tree


class Evil:
    def __reduce__(self):
        return os.mkdir, ("the pickle was run",)


def setting(*path, value):
    def change(tree):
        for name in path[:-1]:
            tree = tree[name]
        tree[path[-1]] = value
    return change


def without(*path):
    def change(tree):
        for name in path[:-1]:
            tree = tree[name]
        del tree[path[-1]]
    return change


GROUP = ("optimizer", "param_groups", 0)
CHANGES = {
    "a newer version": (setting("version", value="2"), ["version is '2', not '1'"]),
    "no version": (without("version"), ["version is missing"]),
    "version a number": (setting("version", value=1), ["version is 1"]),
    "lr nan": (setting(*GROUP, "lr", value=float("nan")), ["lr is nan"]),
    "lr inf": (setting(*GROUP, "lr", value=float("inf")), ["lr is inf"]),
    "lr negative": (setting(*GROUP, "lr", value=-1.0), ["lr"]),
    "lr text": (setting(*GROUP, "lr", value="0.1"), ["lr is '0.1'"]),
    "lr list": (setting(*GROUP, "lr", value=[1]), ["lr"]),
    "lr huge": (setting(*GROUP, "lr", value=10 ** 400), []),
    "betas nan": (setting(*GROUP, "betas", value=[float("nan"), 0.9]), ["betas/0 is nan"]),
    "betas three": (setting(*GROUP, "betas", value=[0.9, 0.9, 0.9]), ["betas"]),
    "betas one": (setting(*GROUP, "betas", value=[0.9, 1.0]), ["betas"]),
    "no eps": (without(*GROUP, "eps"), ["eps is missing"]),
    "a setting more": (setting(*GROUP, "more", value=1), ["more is unexpected"]),
    "params fewer": (setting(*GROUP, "params", value=[0]), ["params"]),
    "params text": (setting(*GROUP, "params", value="0123"), ["params"]),
    "params others": (setting(*GROUP, "params", value=[0, 0, 0, 0]), ["params"]),
    "params in another order": (setting(*GROUP, "params", value=[3, 2, 1, 0]), ["params"]),
    "a group more": (lambda tree: tree["optimizer"]["param_groups"].append(tree["optimizer"]["param_groups"][0]), ["param_groups"]),
    "no groups": (setting("optimizer", "param_groups", value=[]), []),
    "state of nobody": (setting("optimizer", "state", "9", value={"step": 1}), []),
    "state negative": (setting("optimizer", "state", "-1", value={"step": 1}), []),
    "state text": (setting("optimizer", "state", "0", value="x"), []),
    "state list": (setting("optimizer", "state", value=[]), []),
    "state name": (setting("optimizer", "state", "zero", value={}), []),
    "moment missing": (setting("optimizer", "state", "0", "exp_avg", value={"array": 77}), []),
    "moment is another": (setting("optimizer", "state", "0", "exp_avg", value={"array": 1}), ["exp_avg"]),
    "moment a number": (setting("optimizer", "state", "0", "exp_avg", value=1.0), []),
    "step nan": (setting("optimizer", "state", "0", "step", value=float("nan")), ["step"]),
    "step negative": (setting("optimizer", "state", "0", "step", value=-1), []),
    "step text": (setting("optimizer", "state", "0", "step", value="x"), ["step"]),
    "step half": (setting("optimizer", "state", "0", "step", value=2.5), []),
    "a weight missing": (without("model", "0.weight"), ["model/0.weight is missing"]),
    "a weight more": (setting("model", "../evil", value={"array": 0}), ["model/../evil is unexpected"]),
    "a weight a number": (setting("model", "0.weight", value=3.0), ["model/0.weight is 3.0"]),
    "no model": (without("model"), ["model"]),
    "model a list": (setting("model", value=[]), []),
    "an array of nowhere": (setting("model", "0.weight", value={"array": "../../etc/passwd"}), []),
    "an array by list": (setting("model", "0.weight", value={"array": [0]}), []),
    "an array of the settings": (setting("model", "0.weight", value={"array": "settings"}), []),
    "an array from behind": (setting("model", "0.weight", value={"array": -1}), []),
    "epoch text": (setting("run", "epoch", value="x"), []),
    "epoch negative": (setting("run", "epoch", value=-3), ["-3"]),
    "epoch none": (setting("run", "epoch", value=None), []),
    "epoch half": (setting("run", "epoch", value=1.5), []),
    "history text": (setting("run", "history", "lr", value="abc"), []),
    "history of texts": (setting("run", "history", "lr", value=["a"]), []),
    "history missing": (without("run", "history", "lr"), []),
    "history more": (setting("run", "history", "evil", value=[1]), ["evil"]),
    "history arrays": (setting("run", "history", "lr", value=[{"array": 0}] * 50), []),
    "history deep": (setting("run", "history", "lr", value=[[[1]]]), []),
    "best without weights": (setting("run", "best", value={"loss": 1.0, "epoch": 1}), ["best/model is missing"]),
    "best text": (setting("run", "best", value="best"), []),
    "best of another": (setting("run", "best", "model", "0.weight", value={"array": 1}), ["best"]),
    "another attribute": (setting("run", "load_checkpoint", value=1), ["load_checkpoint"]),
    "the scheduler's nan": (setting("scheduler", "best", value=float("nan")), ["best is nan"]),
    "the scheduler's more": (setting("scheduler", "step", value=1), ["step is unexpected"]),
    "the scheduler's text": (setting("scheduler", "factor", value="x"), ["factor"]),
    "no scheduler": (setting("scheduler", value=None), []),
    "a generator of another kind": (setting("generators", "default", "bit_generator", value="MT19937"), []),
    "a generator of no kind": (setting("generators", "default", "bit_generator", value="shuffle"), []),
    "a generator's state": (setting("generators", "default", "state", value=1), []),
    "a generator's number": (setting("generators", "default", "state", "state", value=2 ** 200), []),
    "a generator negative": (setting("generators", "default", "state", "state", value=-1), []),
    "a loader's generator": (setting("loaders", "loader", value={"bit_generator": "PCG64"}), []),
    "a loader's generator negative": (setting("loaders", "loader", "state", "state", value=-1), []),
    "a loader's generator of no kind": (setting("loaders", "loader", "bit_generator", value="test"), ["test"]),     # numpy.random.test runs
    "loaders text": (setting("loaders", value="x"), []),
    "a generator nobody has": (setting("generators", "model/9", value={}), []),
    "a generator missing": (without("generators", "default"), ["default"]),
    "a generator too little": (without("generators", "model/3"), ["model/3"]),
    "generators text": (setting("generators", value="x"), []),
    "a name without end": (setting("model", "x" * 100_000, value=1), []),
    "not json's dict": (lambda tree: tree.clear(), []),
}


@pytest.mark.parametrize("name", CHANGES)
def test_settings_that_lie(tmp_path, good, victim, name):
    change, words = CHANGES[name]
    pack(tmp_path / "a", changed(good[1], change))
    assert_refused(victim, tmp_path / "a", *words)


GIANT = 10 ** 12
ENTRIES = {
    "a pickle in an object array": npy(shape=(1,), dtype="|O", pickled=Evil()),
    "a giant": npy(shape=(GIANT,), data=b"\x00" * 64),
    "a giant of the right name": npy(shape=(12, GIANT)),
    "a giant that overflows": npy(shape=(2 ** 62, 2 ** 62)),
    "a giant times nothing": npy(shape=(0, GIANT)),
    "negative": npy(shape=(-12, -64), data=b"\x00" * 3072),
    "no shape": npy(shape="None"),
    "a shape of text": npy(shape="('a',)"),
    "bools for sizes": npy(shape="(True,)", data=b"\x00" * 4),
    "another dtype": npy(np.zeros((12, 64))),
    "complex": npy(np.zeros((12, 64), "c8")),
    "text": npy(np.array(["a" * 30] * 4)),
    "dates": npy(np.zeros((12, 64), "M8[s]")),
    "big-endian": npy(np.zeros((12, 64), ">f4")),
    "a structure": npy(np.zeros(3, [("a", "f4")])),
    "too short": npy(shape=(12, 64), data=b"\x00" * 100),
    "too long": npy(shape=(12, 64), data=b"\x00" * 4000),
    "no header": b"\x93NUMPY\x01\x00",
    "nothing": b"",
    "not npy": b"hello" * 100,
    "version 3": npy(np.zeros((12, 64), "f4"), version=(3, 0)),
    "version 9": npy(shape=(1,), version=(9, 0)),
    "a header that runs code": npy(shape="__import__('os').mkdir('evil')"),
    "a header that never ends": npy(shape="(" * 20000 + ")" * 20000),
}


@pytest.mark.parametrize("name", ENTRIES)
@pytest.mark.parametrize("entry", ["0.npy", "settings.npy"])
def test_entries_that_lie(tmp_path, good, victim, name, entry, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pack(tmp_path / "a.npz", {**good[1], entry: ENTRIES[name]}.items())
    assert_refused(victim, tmp_path / "a.npz")
    assert names(tmp_path) == ["a.npz"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_archives_that_lie(tmp_path, good, victim):
    entries, path = list(good[1].items()), tmp_path / "a.npz"
    for more in (("0.npy", good[1]["0.npy"]), ("settings.npy", good[1]["settings.npy"]), ("../evil.npy", b"x"), ("/etc/evil", b"x"),
                 ("evil.py", b"x"), ("0.npy/", b""), ("77.npy", npy(np.zeros(1)))):
        pack(path, [*entries, more])
        assert_refused(victim, path)
    pack(path, entries[:-1])
    assert_refused(victim, path)
    pack(path, entries[1:])
    assert_refused(victim, path)
    pack(path, [])
    assert_refused(victim, path)
    for compression in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        pack(path, entries, compression)
        assert_refused(victim, path)
    pack(path, [*entries[:-1], (entries[-1][0], npy(np.zeros(60_000_000, "u1")))], zipfile.ZIP_DEFLATED)       # 60 MB in 60 KB
    assert path.stat().st_size < 1e6
    assert_refused(victim, path)


def test_entries_that_share_their_bytes(tmp_path, good, victim):
    """A bomb without compression: many entries of the directory point at the same large data."""
    path = tmp_path / "a.npz"
    pack(path, [("settings.npy", good[1]["settings.npy"]), ("0.npy", npy(np.zeros(2_000_000, "f4")))])
    data = path.read_bytes()
    end = data.rfind(b"PK\x05\x06")
    start = struct.unpack("<I", data[end + 16:end + 20])[0]
    directory = data[start:end]
    second = directory[directory.rfind(b"PK\x01\x02"):]
    many = [second.replace(b"0.npy", f"{k}.npy".encode()) for k in range(1, 10)]
    tail = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 11, 11, len(directory) + sum(map(len, many)), start, 0)
    path.write_bytes(data[:start] + directory + b"".join(many) + tail)
    assert len(zipfile.ZipFile(path).namelist()) == 11
    assert_refused(victim, path)


def test_one_array_named_a_thousand_times_is_read_once(tmp_path):
    settings = json.dumps({"a": [{"array": 0}] * 1000}).encode()
    pack(tmp_path / "a", [("settings.npy", npy(np.frombuffer(settings, np.uint8))), ("0.npy", npy(np.zeros(1_000_000, "u1")))])
    tracemalloc.start()
    read_tree(tmp_path / "a")
    assert tracemalloc.get_traced_memory()[1] < 10e6
    tracemalloc.stop()


def test_deep_settings(tmp_path, victim):
    pack(tmp_path / "a", [("settings.npy", npy(np.frombuffer(b"[" * 100_000, np.uint8)))])
    assert_refused(victim, tmp_path / "a")
