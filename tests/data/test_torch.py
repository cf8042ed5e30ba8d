"""The same calls in torch.utils.data: the same structure, lengths and errors."""

from __future__ import annotations

import itertools
from collections import namedtuple
from typing import Any

import numpy as np
import pytest

import tinytorch as tt
from tinytorch import data

pytestmark = pytest.mark.filterwarnings("ignore:Length of split", "ignore:This DataLoader will create")
torch = pytest.importorskip("torch", reason="torch is only installed where conformance is checked: the extra `conformance`")
theirs = pytest.importorskip("torch.utils.data")
Pair = namedtuple("Pair", "x y")


def plain(value: Any) -> Any:
    """A batch without anybody's tensors: arrays, and what they are in."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value).__name__, [plain(item) for item in value]
    return value if isinstance(value, (str, bytes)) else (np.asarray(value).dtype.str, np.asarray(value).shape, np.asarray(value).tolist())


SAMPLES = {
    "numbers": [3, 7, 2**40],
    "truth": [True, False],
    "arrays": [np.ones((2, 3), "float32"), np.zeros((2, 3), "float32")],
    "empty": [np.zeros((0, 2), "float32")] * 2,
    "small numbers": [np.array([1, 2], "uint8"), np.array([3, 4], "uint8")],
    "NumPy's numbers": [np.int64(1), np.int64(2)],
    "of one": [5],
    "tuples": [(1, "a"), (2, "b")],
    "lists": [[1, 2], [3, 4]],
    "dicts": [{"x": 1, "y": (2, 3)}, {"x": 4, "y": (5, 6)}],
    "names": [Pair(1, 2), Pair(3, 4)],
    "text": ["a", "bc"],
    "bytes": [b"a", b"bc"],
    "deep": [({"x": [(1, "u")]},), ({"x": [(2, "v")]},)],
}


@pytest.mark.parametrize("name", SAMPLES)
def test_collate(name: str) -> None:
    assert plain(data.default_collate(SAMPLES[name])) == plain(theirs.default_collate(SAMPLES[name]))


def test_collate_of_tensors() -> None:
    for dtype in ("float32", "float64", "int64"):
        arrays = [np.arange(6).reshape(2, 3).astype(dtype), np.ones((2, 3), dtype)]
        ours = data.default_collate([tt.Tensor(array, dtype=array.dtype) for array in arrays])
        assert plain(ours) == plain(theirs.default_collate([torch.tensor(array) for array in arrays]))


def test_floats_differ_on_purpose() -> None:
    assert data.default_collate([0.5, 1.5]).dtype == np.float32 and theirs.default_collate([0.5, 1.5]).dtype == torch.float64


@pytest.mark.parametrize("wrong", [[np.zeros(2), np.zeros(3)], [(1, 2), (3,)], [None, None]])
def test_what_torch_refuses_ours_refuses(wrong: Any) -> None:
    for collate in (data.default_collate, theirs.default_collate):
        with pytest.raises((ValueError, RuntimeError, TypeError)):
            collate(wrong)


@pytest.mark.parametrize(("n", "size", "drop"), list(itertools.product((0, 1, 7, 8), (1, 3, 8, 9), (False, True))))
def test_batches_and_lengths(n: int, size: int, drop: bool) -> None:
    ours, torchs = data.BatchSampler(range(n), size, drop), theirs.BatchSampler(range(n), size, drop)
    assert list(ours) == list(torchs) and len(ours) == len(torchs)
    loaders = data.DataLoader(range(n), size, drop_last=drop), theirs.DataLoader(range(n), size, drop_last=drop)
    assert len(loaders[0]) == len(loaders[1]) and [plain(b) for b in loaders[0]] == [plain(b) for b in loaders[1]]


@pytest.mark.parametrize(
    "how", [{}, {"num_samples": 3}, {"num_samples": 25}, {"replacement": True}, {"replacement": True, "num_samples": 4}]
)
def test_how_many_are_drawn(how: dict[str, Any]) -> None:
    ours, torchs = data.RandomSampler(range(10), **how), theirs.RandomSampler(range(10), **how)
    assert len(ours) == len(list(ours)) == len(torchs) == len(list(torchs))


@pytest.mark.parametrize("n", [1, 2, 7, 10, 11, 14])
@pytest.mark.parametrize(
    "lengths", [[0.5, 0.5], [0.75, 0.25], [0.3, 0.3, 0.2, 0.2], [1 / 3] * 3, [0.1] * 10, [1.0], [0.0, 1.0], [0.9, 0.05, 0.05]]
)
def test_parts(n: int, lengths: list[float]) -> None:
    assert [len(part) for part in data.random_split(range(n), lengths)] == [len(part) for part in theirs.random_split(range(n), lengths)]


@pytest.mark.parametrize("lengths", [[5, 4], [6, 5], [0.5, 0.4], [0.6, 0.6], [1.5, -0.5]])
def test_parts_that_do_not_fit(lengths: list[Any]) -> None:
    for split in (data.random_split, theirs.random_split):
        with pytest.raises(ValueError):
            split(range(10), lengths)


def test_datasets() -> None:
    x, y = np.arange(12, dtype="float32").reshape(4, 3), np.arange(4)
    ours, torchs = data.TensorDataset(x, y), theirs.TensorDataset(torch.tensor(x), torch.tensor(y))
    assert len(ours) == len(torchs) and [plain(ours[i]) for i in (0, 3, -1)] == [plain(torchs[i]) for i in (0, 3, -1)]
    picked = data.Subset(ours, [2, 0]), theirs.Subset(torchs, [2, 0])
    assert plain(picked[0][0]) == plain(picked[1][0]) and len(picked[0]) == len(picked[1])
    for loader in (data.DataLoader(ours, 3), theirs.DataLoader(torchs, 3)):
        batch = next(iter(loader))
        assert type(batch) is list and plain(batch[0]) == plain(x[:3])


@pytest.mark.parametrize(("num_workers", "size", "drop"), list(itertools.product((0, 1, 2, 3), (2, 3), (False, True))))
def test_streams_in_workers(num_workers: int, size: int, drop: bool) -> None:
    def stream(package: Any) -> Any:
        class Stream(package.IterableDataset):  # type: ignore[misc]
            def __iter__(self) -> Any:
                info = package.get_worker_info()
                return iter(range(info.id, 11, info.num_workers) if info else range(11))

        return Stream()

    seen = [
        [plain(batch) for batch in package.DataLoader(stream(package), size, num_workers=num_workers, drop_last=drop)]
        for package in (data, theirs)
    ]
    assert seen[0] == seen[1]


def test_the_same_settings() -> None:
    import inspect

    known = inspect.signature(theirs.DataLoader.__init__).parameters
    ours = inspect.signature(data.DataLoader.__init__).parameters
    assert set(ours) <= set(known)
    positional = [name for name, p in ours.items() if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert positional == list(known)[: len(positional)], "in torch's order"
    differ = {name for name, p in ours.items() if p.default != known[name].default}
    assert differ == {"shuffle", "prefetch_factor"}, "torch has None there, which means the same"
