"""Files that are no checkpoint of this run, by accident: one clear error, soon, and the trainer as before."""

import pickle

import numpy as np
import pytest

from tests.training import runs
from tests.training.files import assert_refused, everything, npy, pack, written


def test_the_files_as_they_are_made_here_are_read(tmp_path, good, victim):
    pack(tmp_path / "a", good[1].items())
    victim.load_checkpoint(tmp_path / "a")
    victim.save_checkpoint(tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == good[0]
    with np.load(tmp_path / "b", allow_pickle=False) as arrays:
        assert sorted(arrays.files) == sorted(name[:-4] for name in good[1])


@pytest.mark.parametrize("content", [
    b"", b"\x00", b"hello\n" * 1000, b"PK\x03\x04" + b"\x00" * 500, b"PK\x05\x06" + b"\x00" * 18,
    pickle.dumps({"model": 1}), npy(np.zeros(3)), b"{\"version\": 1}", b"\xff" * 4096])
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
    made.load_checkpoint(written(tmp_path / "good", good[0]))
    meant = everything(made)
    for at in rng.integers(0, len(good[0]), size=150):
        data = bytearray(good[0])
        data[at] ^= 1 << int(rng.integers(8))
        made = runs.trainer(7)
        before = everything(made)
        try:
            made.load_checkpoint(written(tmp_path / "bad", data))
            assert everything(made) == meant
        except ValueError:
            assert everything(made) == before
            refused += 1
    assert refused > 100


def test_scribbled_bytes(tmp_path, good, victim):
    rng = np.random.default_rng(2)
    for _ in range(40):
        data = bytearray(good[0])
        at = int(rng.integers(len(data) - 300))
        data[at:at + 300] = rng.bytes(300)
        try:
            victim.load_checkpoint(written(tmp_path / "a", data))
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
    assert_refused(made, written(tmp_path / "a", good[0]), *words)


def test_of_another_model_names_the_layers(tmp_path, good):
    from tinytorch import nn, optim
    made = runs.trainer(7)
    made.model = nn.Sequential(*list(made.model), nn.Linear(4, 4))
    made.optimizer = optim.Adam(made.model.parameters())
    made.scheduler = optim.ReduceLROnPlateau(made.optimizer)
    assert_refused(made, written(tmp_path / "a", good[0]), "model/6.weight is missing", "model/6.bias is missing")


def test_an_error_in_the_middle_of_loading_is_undone(tmp_path, good, victim, monkeypatch):
    real, calls = victim.optimizer.load_state_dict, []

    def fails(state):
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("in the middle")
        real(state)
    monkeypatch.setattr(victim.optimizer, "load_state_dict", fails)
    assert_refused(victim, written(tmp_path / "a", good[0]), "in the middle")
