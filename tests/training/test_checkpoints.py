"""Files that are no checkpoint of this run, by accident or on purpose: one clear error, soon, and the trainer as before."""

import io
import json
import os
import pickle
import struct
import time
import tracemalloc
import zipfile

import numpy as np
import pytest

from tests.training import runs
from tinytorch.core.training import read_tree, write_tree


class Evil:
    def __reduce__(self):
        return os.mkdir, ("the pickle was run",)


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A checkpoint, its entries, and its tree."""
    path = tmp_path_factory.mktemp("good") / "run.npz"
    runs.complete(runs.trainer(), path)
    with zipfile.ZipFile(path) as archive:
        return path.read_bytes(), {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def victim():
    made = runs.trainer(7)
    runs.complete(made)
    return made


def everything(made):
    return json.dumps(made.state_dict(), default=lambda part: part.tolist()) + repr(sorted(vars(made).keys() - {"loaders", "waiting"}))


def npy(array=None, shape=None, dtype="<f4", data=b"", order=False, version=(1, 0), pickled=None):
    """An entry: an array, or a header that says what it likes."""
    file = io.BytesIO()
    if array is not None:
        np.lib.format.write_array(file, np.asarray(array), version=version)
        return file.getvalue()
    header = f"{{'descr': {dtype!r}, 'fortran_order': {order}, 'shape': {shape}, }}".encode()
    header += b" " * (63 - (10 + len(header)) % 64) + b"\n"
    return b"\x93NUMPY" + bytes(version) + struct.pack("<H", len(header)) + header + (pickle.dumps(pickled) if pickled else data)


def pack(path, entries, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in entries:
            archive.writestr(name, data)


def tree_of(entries):
    return json.loads(np.frombuffer(np.load(io.BytesIO(entries["settings.npy"])), np.uint8).tobytes())


def changed(entries, change):
    """The entries, with the settings as `change(tree)` leaves them."""
    tree = tree_of(entries)
    change(tree)
    return list({**entries, "settings.npy": npy(np.frombuffer(json.dumps(tree).encode(), np.uint8))}.items())


def assert_refused(made, path, *words):
    before, begin = everything(made), time.process_time()
    tracemalloc.start()
    try:
        with pytest.raises(ValueError) as caught:
            made.load_checkpoint(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert str(path) in str(caught.value) and "load_checkpoint" in str(caught.value)
    assert all(word in str(caught.value) for word in words), caught.value
    assert len(str(caught.value)) < 2000 and peak < 30e6 and time.process_time() - begin < 5
    assert everything(made) == before


def test_the_files_as_they_are_made_here_are_read(tmp_path, good, victim):
    pack(tmp_path / "a", good[1].items())
    victim.load_checkpoint(tmp_path / "a")
    victim.save_checkpoint(tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == good[0]
    with np.load(tmp_path / "b", allow_pickle=False) as arrays:
        assert sorted(arrays.files) == sorted(name[:-4] for name in good[1])


@pytest.mark.parametrize("content", [b"", b"\x00", b"hello\n" * 1000, b"PK\x03\x04" + b"\x00" * 500, b"PK\x05\x06" + b"\x00" * 18, pickle.dumps({"model": 1}),
                                     npy(np.zeros(3)), b"{\"version\": 1}", b"\xff" * 4096])
def test_other_files(tmp_path, victim, content):
    (tmp_path / "a").write_bytes(content)
    assert_refused(victim, tmp_path / "a")


def test_a_folder_and_nothing(tmp_path, victim):
    assert_refused(victim, tmp_path)
    with pytest.raises(FileNotFoundError, match="load_checkpoint"):
        victim.load_checkpoint(tmp_path / "nothing")


def test_truncated_anywhere(tmp_path, good, victim):
    rng = np.random.default_rng(0)
    for length in sorted({1, 21, 22, 100, len(good[0]) - 1, len(good[0]) - 22, *rng.integers(0, len(good[0]), size=40).tolist()}):
        (tmp_path / "a").write_bytes(good[0][:length])
        assert_refused(victim, tmp_path / "a")


def test_flipped_bits_are_noticed_or_change_nothing(tmp_path, good):
    """150 files with one bit flipped: refused, or (in a date, say) loaded as they were meant."""
    rng, refused = np.random.default_rng(1), 0
    made = runs.trainer(7)
    made.load_checkpoint(_written(tmp_path / "good", good[0]))
    meant = everything(made)
    for at in rng.integers(0, len(good[0]), size=150):
        data = bytearray(good[0])
        data[at] ^= 1 << int(rng.integers(8))
        made = runs.trainer(7)
        before = everything(made)
        try:
            made.load_checkpoint(_written(tmp_path / "bad", data))
            assert everything(made) == meant
        except ValueError:
            assert everything(made) == before
            refused += 1
    assert refused > 100


def _written(path, data):
    path.write_bytes(data)
    return path


def test_scribbled_bytes(tmp_path, good, victim):
    rng = np.random.default_rng(2)
    for _ in range(40):
        data = bytearray(good[0])
        at = int(rng.integers(len(data) - 300))
        data[at:at + 300] = rng.bytes(300)
        try:
            victim.load_checkpoint(_written(tmp_path / "a", data))
        except ValueError as error:
            assert "load_checkpoint" in str(error)


@pytest.mark.parametrize("other, words", [
    ({"width": 32}, ["model/0.weight is float32 (12, 64), not float32 (12, 32)", "model/5.weight"]),
    ({"kind": "SGD", "momentum": 0.9}, ["Adam", "SGD", "betas is unexpected", "momentum is missing"]),
    ({"kind": "AdamW"}, ["'Adam', not 'AdamW'"]), ({"scheduler": "StepLR"}, ["'ReduceLROnPlateau', not 'StepLR'", "gamma is missing"]),
    ({"scheduler": ""}, ["'ReduceLROnPlateau'"]), ({"scheduler": "Cosine"}, ["CosineSchedule"])])
def test_of_another_run(tmp_path, good, other, words):
    made = runs.trainer(7, **other)
    runs.complete(made)
    assert_refused(made, _written(tmp_path / "a", good[0]), *words)


def test_of_another_model_names_the_layers(tmp_path, good):
    from tinytorch import nn, optim
    made = runs.trainer(7)
    made.model = nn.Sequential(*list(made.model), nn.Linear(4, 4))
    made.optimizer = optim.Adam(made.model.parameters())
    made.scheduler = optim.ReduceLROnPlateau(made.optimizer)
    assert_refused(made, _written(tmp_path / "a", good[0]), "model/6.weight is missing", "model/6.bias is missing")


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
    "a newer version": (setting("version", value=2), ["version 2"]), "no version": (without("version"), []), "version text": (setting("version", value="1"), ["version"]),
    "lr nan": (setting(*GROUP, "lr", value=float("nan")), ["lr is nan"]), "lr inf": (setting(*GROUP, "lr", value=float("inf")), ["lr is inf"]),
    "lr negative": (setting(*GROUP, "lr", value=-1.0), ["lr"]), "lr text": (setting(*GROUP, "lr", value="0.1"), ["lr is '0.1'"]), "lr list": (setting(*GROUP, "lr", value=[1]), ["lr"]),
    "lr huge": (setting(*GROUP, "lr", value=10 ** 400), []), "betas nan": (setting(*GROUP, "betas", value=[float("nan"), 0.9]), ["betas/0 is nan"]),
    "betas three": (setting(*GROUP, "betas", value=[0.9, 0.9, 0.9]), ["betas"]), "betas one": (setting(*GROUP, "betas", value=[0.9, 1.0]), ["betas"]),
    "no eps": (without(*GROUP, "eps"), ["eps is missing"]), "a setting more": (setting(*GROUP, "more", value=1), ["more is unexpected"]),
    "params fewer": (setting(*GROUP, "params", value=[0]), ["params"]), "params text": (setting(*GROUP, "params", value="0123"), ["params"]),
    "params others": (setting(*GROUP, "params", value=[0, 0, 0, 0]), ["params"]), "params in another order": (setting(*GROUP, "params", value=[3, 2, 1, 0]), ["params"]),
    "a group more": (lambda tree: tree["optimizer"]["param_groups"].append(tree["optimizer"]["param_groups"][0]), ["param_groups"]), "no groups": (setting("optimizer", "param_groups", value=[]), []),
    "state of nobody": (setting("optimizer", "state", "9", value={"step": 1}), []), "state negative": (setting("optimizer", "state", "-1", value={"step": 1}), []),
    "state text": (setting("optimizer", "state", "0", value="x"), []), "state list": (setting("optimizer", "state", value=[]), []), "state name": (setting("optimizer", "state", "zero", value={}), []),
    "moment missing": (setting("optimizer", "state", "0", "exp_avg", value={"array": 77}), []), "moment is another": (setting("optimizer", "state", "0", "exp_avg", value={"array": 1}), ["exp_avg"]),
    "moment a number": (setting("optimizer", "state", "0", "exp_avg", value=1.0), []), "step nan": (setting("optimizer", "state", "0", "step", value=float("nan")), ["step"]),
    "step negative": (setting("optimizer", "state", "0", "step", value=-1), []), "step text": (setting("optimizer", "state", "0", "step", value="x"), ["step"]), "step half": (setting("optimizer", "state", "0", "step", value=2.5), []),
    "a weight missing": (without("model", "0.weight"), ["model/0.weight is missing"]), "a weight more": (setting("model", "../evil", value={"array": 0}), ["model/../evil is unexpected"]),
    "a weight a number": (setting("model", "0.weight", value=3.0), ["model/0.weight is 3.0"]), "no model": (without("model"), ["model"]), "model a list": (setting("model", value=[]), []),
    "an array of nowhere": (setting("model", "0.weight", value={"array": "../../etc/passwd"}), []), "an array by list": (setting("model", "0.weight", value={"array": [0]}), []),
    "an array of the settings": (setting("model", "0.weight", value={"array": "settings"}), []), "an array from behind": (setting("model", "0.weight", value={"array": -1}), []),
    "epoch text": (setting("run", "epoch", value="x"), []), "epoch negative": (setting("run", "epoch", value=-3), ["-3"]), "epoch none": (setting("run", "epoch", value=None), []), "epoch half": (setting("run", "epoch", value=1.5), []),
    "history text": (setting("run", "history", "lr", value="abc"), []), "history of texts": (setting("run", "history", "lr", value=["a"]), []), "history missing": (without("run", "history", "lr"), []),
    "history more": (setting("run", "history", "evil", value=[1]), ["evil"]), "history arrays": (setting("run", "history", "lr", value=[{"array": 0}] * 50), []), "history deep": (setting("run", "history", "lr", value=[[[1]]]), []),
    "best without weights": (setting("run", "best", value={"loss": 1.0, "epoch": 1}), ["best/model is missing"]), "best text": (setting("run", "best", value="best"), []), "best of another": (setting("run", "best", "model", "0.weight", value={"array": 1}), ["best"]),
    "another attribute": (setting("run", "load_checkpoint", value=1), ["load_checkpoint"]), "the scheduler's nan": (setting("scheduler", "best", value=float("nan")), ["best is nan"]),
    "the scheduler's more": (setting("scheduler", "step", value=1), ["step is unexpected"]), "the scheduler's text": (setting("scheduler", "factor", value="x"), ["factor"]), "no scheduler": (setting("scheduler", value=None), []),
    "a generator of another kind": (setting("generators", "default", "bit_generator", value="MT19937"), []), "a generator of no kind": (setting("generators", "default", "bit_generator", value="shuffle"), []),
    "a generator's state": (setting("generators", "default", "state", value=1), []), "a generator's number": (setting("generators", "default", "state", "state", value=2 ** 200), []), "a generator negative": (setting("generators", "loader", "state", "state", value=-1), []),
    "a loader's generator": (setting("generators", "loader", value={"bit_generator": "PCG64"}), []), "a generator nobody has": (setting("generators", "model/9", value={}), []), "a generator missing": (without("generators", "default"), ["default"]),
    "a generator too little": (without("generators", "model/3"), ["model/3"]), "generators text": (setting("generators", value="x"), []), "not json's dict": (lambda tree: tree.clear(), []),
}


@pytest.mark.parametrize("name", CHANGES)
def test_settings_that_lie(tmp_path, good, victim, name):
    change, words = CHANGES[name]
    pack(tmp_path / "a", changed(good[1], change))
    assert_refused(victim, tmp_path / "a", *words)


GIANT = 10 ** 12
ENTRIES = {
    "a pickle in an object array": npy(shape=(1,), dtype="|O", pickled=Evil()), "a giant": npy(shape=(GIANT,), data=b"\x00" * 64), "a giant of the right name": npy(shape=(12, GIANT)),
    "a giant that overflows": npy(shape=(2 ** 62, 2 ** 62)), "a giant times nothing": npy(shape=(0, GIANT)), "negative": npy(shape=(-12, -64), data=b"\x00" * 3072), "no shape": npy(shape="None"), "a shape of text": npy(shape="('a',)"),
    "bools for sizes": npy(shape="(True,)", data=b"\x00" * 4), "another dtype": npy(np.zeros((12, 64))), "complex": npy(np.zeros((12, 64), "c8")), "text": npy(np.array(["a" * 30] * 4)), "dates": npy(np.zeros((12, 64), "M8[s]")),
    "big-endian": npy(np.zeros((12, 64), ">f4")), "a structure": npy(np.zeros(3, [("a", "f4")])), "too short": npy(shape=(12, 64), data=b"\x00" * 100), "too long": npy(shape=(12, 64), data=b"\x00" * 4000),
    "no header": b"\x93NUMPY\x01\x00", "nothing": b"", "not npy": b"hello" * 100, "version 3": npy(np.zeros((12, 64), "f4"), version=(3, 0)), "version 9": npy(shape=(1,), version=(9, 0)),
    "a header that runs code": npy(shape="__import__('os').mkdir('evil')"), "a header that never ends": npy(shape="(" * 20000 + ")" * 20000),
}


@pytest.mark.parametrize("name", ENTRIES)
@pytest.mark.parametrize("entry", ["0.npy", "settings.npy"])
def test_entries_that_lie(tmp_path, good, victim, name, entry, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pack(tmp_path / "a.npz", {**good[1], entry: ENTRIES[name]}.items())
    assert_refused(victim, tmp_path / "a.npz")
    assert os.listdir(tmp_path) == ["a.npz"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_archives_that_lie(tmp_path, good, victim):
    entries, path = list(good[1].items()), tmp_path / "a.npz"
    for more in ([("0.npy", good[1]["0.npy"])], [("settings.npy", good[1]["settings.npy"])], [("../evil.npy", b"x")], [("/etc/evil", b"x")], [("evil.py", b"x")], [("0.npy/", b"")], [("77.npy", npy(np.zeros(1)))]):
        pack(path, [*entries, *more])
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
    pack(path, [*entries[:-1], (entries[-1][0], npy(np.zeros(300_000_000, "u1")))], zipfile.ZIP_DEFLATED)      # 300 MB in 300 KB
    assert path.stat().st_size < 2e6
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


def test_an_error_in_the_middle_of_loading_is_undone(tmp_path, good, victim, monkeypatch):
    real, calls = victim.optimizer.load_state_dict, []

    def fails(state):
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("in the middle")
        real(state)
    monkeypatch.setattr(victim.optimizer, "load_state_dict", fails)
    assert_refused(victim, _written(tmp_path / "a", good[0]), "in the middle")


# ---- writing -----------------------------------------------------------------------------------

def test_what_cannot_be_saved_is_refused_before_anything_is_written(tmp_path):
    write_tree(tmp_path / "a", {"x": 1})
    for value in (object(), {1, 2}, np.array([object()]), b"bytes", np.array([Evil()], dtype=object), 1j):
        with pytest.raises((TypeError, ValueError)):
            write_tree(tmp_path / "a", {"x": value})
        assert read_tree(tmp_path / "a") == {"x": 1} and os.listdir(tmp_path) == ["a"]


def test_trees_come_back(tmp_path):
    tree = {"a": [1, 2.5, None, True, "ü"], "b": {"c": np.arange(6.0).reshape(2, 3), "d": np.zeros((0, 3), "i8"), "e": np.array(5, "u1")}, "f": float("inf"), "g": np.float32(0.5), "h": 2 ** 200}
    write_tree(tmp_path / "a", tree)
    again = read_tree(tmp_path / "a")
    for name in "cde":
        got, want = again["b"].pop(name), tree["b"].pop(name)
        assert got.dtype == want.dtype and np.array_equal(got, want)
    assert again == tree


def assert_kept(made, path, match):
    before, files = path.read_bytes(), sorted(os.listdir(path.parent))
    with pytest.raises(OSError, match=match) as caught:
        made.save_checkpoint(path)
    assert path.name in str(caught.value)
    assert path.read_bytes() == before and sorted(os.listdir(path.parent)) == files
    runs.trainer(3).load_checkpoint(path)


@pytest.fixture
def saved(tmp_path):
    made = runs.trainer()
    runs.complete(made, tmp_path / "run.npz")
    made.model[0].weight.data += 1.0
    return made, tmp_path / "run.npz"


@pytest.mark.parametrize("limit", [0, 100, 5000, 20_000])
def test_a_full_disk(saved, limit):
    """The system refuses to let the file grow."""
    import signal
    resource = pytest.importorskip("resource", reason="this system has no such limits")
    old, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, old[1]))
    try:
        before = saved[1].read_bytes()
        with pytest.raises(OSError, match="was not written, and is as it was"):
            saved[0].save_checkpoint(saved[1])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)
    assert saved[1].read_bytes() == before and os.listdir(saved[1].parent) == ["run.npz"]


@pytest.mark.parametrize("name", ["fsync", "replace"])
def test_a_disk_that_fails(saved, monkeypatch, name):
    def fails(*args):
        raise OSError(28, "No space left on device")
    with monkeypatch.context() as patched:
        patched.setattr(os, name, fails)
        assert_kept(*saved, "No space left on device")
    saved[0].save_checkpoint(saved[1])


@pytest.mark.parametrize("after", [1, 3, 10, 15])
def test_an_entry_that_cannot_be_written(saved, monkeypatch, after):
    real, calls = np.lib.format.write_array, []

    def fails(file, *args, **settings):
        calls.append(1)
        if len(calls) == after:
            file.write(b"half")
            raise OSError(28, "No space left on device")
        return real(file, *args, **settings)
    monkeypatch.setattr(np.lib.format, "write_array", fails)
    assert_kept(*saved, "No space left")


def test_places_that_cannot_be_written(tmp_path):
    made = runs.trainer()
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "no" / "a", tmp_path / "folder"):
        with pytest.raises(OSError, match="was not written"):
            made.save_checkpoint(path)
    assert os.listdir(tmp_path) == ["folder"] and os.listdir(tmp_path / "folder") == []
