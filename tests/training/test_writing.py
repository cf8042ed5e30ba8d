"""Writing a checkpoint: what cannot be saved, disks that are full or fail, places that are none."""

import os

import numpy as np
import pytest

from tests.training import runs
from tests.training.files import names
from tinytorch.core.training import read_tree, write_tree


def test_what_cannot_be_saved_is_refused_before_anything_is_written(tmp_path):
    write_tree(tmp_path / "a", {"x": 1})
    for value in (object(), {1, 2}, np.array([object()]), b"bytes", np.array([runs], dtype=object), 1j):
        with pytest.raises((TypeError, ValueError)):
            write_tree(tmp_path / "a", {"x": value})
        assert read_tree(tmp_path / "a") == {"x": 1} and names(tmp_path) == ["a"]


def test_trees_come_back(tmp_path):
    tree = {"a": [1, 2.5, None, True, "ü"], "f": float("inf"), "g": np.float32(0.5), "h": 2 ** 200,
            "b": {"c": np.arange(6.0).reshape(2, 3), "d": np.zeros((0, 3), "i8"), "e": np.array(5, "u1")}}
    write_tree(tmp_path / "a", tree)
    again = read_tree(tmp_path / "a")
    for name in "cde":
        got, want = again["b"].pop(name), tree["b"].pop(name)
        assert got.dtype == want.dtype and np.array_equal(got, want)
    assert again == tree


def assert_kept(made, path, match):
    before, files = path.read_bytes(), names(path.parent)
    with pytest.raises(OSError, match=match) as caught:
        made.save_checkpoint(path)
    assert path.name in str(caught.value)
    assert path.read_bytes() == before and names(path.parent) == files
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
    assert saved[1].read_bytes() == before and names(saved[1].parent) == ["run.npz"]


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
    assert names(tmp_path) == ["folder"] and names(tmp_path / "folder") == []
