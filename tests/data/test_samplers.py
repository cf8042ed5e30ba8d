"""Orders, batches and parts, over generated sizes: every sample once, and the lengths that were promised."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinytorch as tt
from tinytorch.data import (
    BatchSampler,
    Compose,
    DataLoader,
    Dataset,
    IterableDataset,
    Normalize,
    RandomCrop,
    RandomHorizontalFlip,
    RandomSampler,
    Sampler,
    SequentialSampler,
    Subset,
    TensorDataset,
    default_collate,
    random_split,
)

QUICK = settings(deadline=None, max_examples=60, derandomize=True, database=None)
SIZES = st.integers(0, 60)


def own(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


@QUICK
@given(SIZES, st.integers(0, 2**32))
def test_a_random_order_has_every_number_once(n: int, seed: int) -> None:
    sampler = RandomSampler(range(n), generator=own(seed))
    first, second = list(sampler), list(sampler)
    assert sorted(first) == sorted(second) == list(SequentialSampler(range(n))) == list(range(n))
    assert len(sampler) == len(SequentialSampler(range(n))) == n
    assert n < 12 or first != second
    assert list(RandomSampler(range(n), generator=own(seed))) == first


@QUICK
@given(st.integers(1, 40), st.integers(0, 200), st.booleans(), st.integers(0, 2**32))
def test_as_many_numbers_as_wanted(n: int, wanted: int, replacement: bool, seed: int) -> None:
    drawn = list(RandomSampler(range(n), replacement, wanted, own(seed)))
    assert len(drawn) == wanted and set(drawn) <= set(range(n)) and all(type(i) is int for i in drawn)
    if not replacement:
        counts = Counter(drawn)
        assert all(wanted // n <= counts[i] <= math.ceil(wanted / n) for i in range(n))


@QUICK
@given(SIZES, st.integers(1, 70), st.booleans())
def test_batches_have_every_number_once(n: int, size: int, drop_last: bool) -> None:
    batches = list(BatchSampler(range(n), size, drop_last))
    assert len(batches) == len(BatchSampler(range(n), size, drop_last)) == len(DataLoader(range(n), size, drop_last=drop_last))
    assert [i for batch in batches for i in batch] == list(range(n - n % size if drop_last else n))
    assert all(len(batch) == size for batch in batches[:-1]) and all(batches)


@QUICK
@given(st.lists(st.integers(0, 30), min_size=1, max_size=6), st.integers(0, 2**32))
def test_a_split_by_counts(lengths: list[int], seed: int) -> None:
    n = sum(lengths)
    parts = random_split(range(100, 100 + n), lengths, own(seed))
    assert [len(part) for part in parts] == lengths or n == 1
    assert sorted(sample for part in parts for sample in part) == list(range(100, 100 + n))
    with pytest.raises(ValueError, match="add up"):
        random_split(range(n), [*lengths, n + 2], own(seed))


@QUICK
@given(SIZES, st.lists(st.integers(1, 20), min_size=1, max_size=6), st.integers(0, 2**32))
def test_a_split_by_fractions(n: int, weights: list[int], seed: int) -> None:
    fractions = [weight / sum(weights) for weight in weights]
    lengths = [len(part) for part in random_split(range(n), fractions, own(seed))]
    assert sum(lengths) == n and all(
        0 <= have - math.floor(n * part) <= 1 + (n < len(fractions)) for have, part in zip(lengths, fractions, strict=True)
    )


@QUICK
@given(st.integers(1, 40), st.integers(1, 12), st.booleans(), st.booleans(), st.integers(0, 2**32))
def test_an_epoch_has_every_sample_once(n: int, size: int, shuffle: bool, drop_last: bool, seed: int) -> None:
    data = TensorDataset(np.arange(n) * 2.0, np.arange(n))
    loader = DataLoader(data, size, shuffle, drop_last=drop_last, generator=own(seed))
    batches = list(loader)
    labels = [y for _, batch in batches for y in batch.tolist()]
    assert len(batches) == len(loader) and len(labels) == len(set(labels)) == (n - n % size if drop_last else n)
    assert [x for batch, _ in batches for x in batch.tolist()] == [2.0 * y for y in labels]
    assert shuffle or labels == list(range(len(labels)))


@QUICK
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 3), st.data())
def test_a_crop_is_a_piece_of_the_image(height: int, width: int, padding: int, data: st.DataObject) -> None:
    size = data.draw(st.integers(1, height + 2 * padding)), data.draw(st.integers(1, width + 2 * padding))
    image = np.arange(1.0, 1 + 2 * height * width).reshape(2, height, width)
    piece = RandomCrop(size, padding)(image)
    wide = np.pad(image, [(0, 0), (padding, padding), (padding, padding)])
    places = [(i, j) for i in range(wide.shape[1] - size[0] + 1) for j in range(wide.shape[2] - size[1] + 1)]
    assert any(np.array_equal(piece, wide[:, i : i + size[0], j : j + size[1]]) for i, j in places)
    for more in ((height + 2 * padding + 1, 1), (1, width + 2 * padding + 1)):
        with pytest.raises(ValueError, match="RandomCrop"):
            RandomCrop(more, padding)(image)


def test_transforms_keep_kind_and_dtype() -> None:
    for dtype in ("float32", "float64"):
        image = np.random.default_rng(0).normal(size=(3, 5, 6)).astype(dtype)
        for change in (
            Normalize([0.5] * 3, [2.0] * 3),
            RandomHorizontalFlip(1.0),
            RandomCrop(4, 1),
            Compose([RandomCrop(4), RandomHorizontalFlip()]),
        ):
            assert type(change(image)) is np.ndarray and change(image).dtype == dtype
            made = change(tt.Tensor(image, dtype=image.dtype))
            assert type(made) is tt.Tensor and made.dtype == np.dtype(dtype)


def test_what_is_refused_says_why() -> None:
    class Stream(IterableDataset):
        def __iter__(self):  # type: ignore[no-untyped-def]
            return iter(range(3))

    for wrong, words in [
        (lambda: DataLoader(range(3), 0), "batch_size"),
        (lambda: DataLoader(range(3), 2.0), "batch_size"),  # type: ignore[arg-type]
        (lambda: DataLoader(range(3), num_workers=-1), "num_workers"),
        (lambda: DataLoader(range(3), prefetch_factor=0), "prefetch_factor"),
        (lambda: DataLoader(Stream(), shuffle=True), "shuffle"),
        (lambda: DataLoader(Stream(), sampler=[1]), "order"),
        (lambda: DataLoader(range(3), batch_sampler=[[1]], batch_size=2), "batch_sampler"),
        (lambda: DataLoader(range(3), shuffle=True, sampler=[1]), "order"),
        (lambda: RandomSampler([], num_samples=3), "draw"),
        (lambda: TensorDataset(np.zeros(3), np.zeros(4)), "length"),
        (lambda: Normalize([0.0], [0.0]), "std"),
    ]:
        with pytest.raises(ValueError, match=words):
            wrong()
    with pytest.raises(TypeError):
        len(DataLoader(Stream()))
    for nothing in (lambda: Dataset()[0], lambda: iter(Sampler()), lambda: iter(IterableDataset())):
        with pytest.raises(NotImplementedError, match="needs a method"):
            nothing()
    with pytest.raises(RuntimeError, match="StopIteration"):
        list(DataLoader(Subset([iter(())], [0]), 1, collate_fn=lambda samples: next(samples[0])))
    with pytest.raises((TypeError, ValueError)):
        default_collate([None, None])
