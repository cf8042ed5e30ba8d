# %% [markdown]
"""
# 08 Data loading

> A dataset answers "sample 17, please". A loader makes shuffled batches of such answers, and lets other processes prepare them.

Training asks for thousands of batches, in a new order every epoch. Cutting them by hand goes wrong in silence. And where a sample takes work
(reading a file, cropping a picture), the network waits for it. Both are solved here, the second one with real processes.
"""

# %% nbgrader={"grade": false, "grade_id": "start", "locked": true, "schema_version": 3, "solution": false, "task": false}
import tito.notebook     # where this fails, open the notebook with: tito module open 08
from tito.check import expect

tito.notebook.use(8)

# %%
#| default_exp data.loader
#| view data

# %% nbgrader={"grade": false, "grade_id": "imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
import contextlib
import gzip
import hashlib
import itertools
import math
import mmap
import multiprocessing
import os
import pickle
import random
import signal
import struct
import sys
import tarfile
import tempfile
import threading
import time
import traceback
import weakref
from collections import deque, namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from multiprocessing.connection import wait
from pathlib import Path

import numpy as np

import tinytorch
from tinytorch.core.layers import check_array, check_kind, check_number, check_sizes, check_whole
from tinytorch.core.tensor import Tensor, default_generator, manual_seed
from tinytorch.core.training import check_path

# %% [markdown]
"""
## 1 · Batches by hand

Ten samples; the answer to sample `i` is `10 i`, so that a wrong pair shows. This is how most people write it the first time. Three things go wrong.
"""

# %%
inputs, answers = np.arange(10), np.arange(10) * 10

def batches_by_hand(size):
    for i in range(len(inputs) // size):
        yield inputs[i * size:(i + 1) * size], answers[i * size:(i + 1) * size]

np.random.default_rng(0).shuffle(inputs)                   # once, before training
for epoch in range(2):
    print("epoch", epoch, *(f"{x.tolist()} -> {y.tolist()}  " for x, y in batches_by_hand(4)))

# %% [markdown]
"""
* The pairs are wrong: `shuffle` moved the inputs and left the answers where they were.
* Two of the ten samples are never seen: `10 // 4` is 2, and the short batch at the end is lost.
* Both epochs have the same order.

The cure for the first is never to shuffle data. Shuffle *numbers*, and look samples up by their number:

```
 sampler            batch sampler          dataset                     collate
 3 7 0 9 1 …   ───► [3, 7, 0, 9]     ───► [(x3, y3), (x7, y7), …] ───► X (4, …), Y (4,)
 an order           lists of numbers       samples, input and answer    one batch
                                           together
```

Each of the four is a small object. This notebook builds them from left to right, then lets workers do the work.

## 2 · A dataset

A *dataset* has two methods: how many samples there are, and sample `index`. A *stream*, for what has no numbers (a log, a socket), has `__iter__`
instead.
"""

# %%
#| export
class Dataset:
    """Samples by number: a subclass writes `__len__` and `__getitem__`.  As `torch.utils.data.Dataset`."""
    def __getitem__(self, index):
        raise NotImplementedError(f"{type(self).__name__} needs a method __getitem__(self, index)")


class IterableDataset(Dataset):
    """Samples in a stream: a subclass writes `__iter__`.  As `torch.utils.data.IterableDataset`."""
    def __iter__(self):
        raise NotImplementedError(f"{type(self).__name__} needs a method __iter__(self)")

# %% [markdown]
"""
The commonest dataset is made of tensors whose first axis counts the samples. Of images (1797, 1, 8, 8) and labels (1797,), sample 5 is an image
(1, 8, 8) and a label ().

**Your turn.** Tensors of different lengths, or without a first axis (shape `()`), are a ValueError that names the shapes. A part of a sample is a
Tensor made of `t.data[index]` with `dtype=t.dtype`: data, without history.
"""

# %% nbgrader={"grade": false, "grade_id": "tensor-dataset", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
class TensorDataset(Dataset):
    """Tensors whose first axis counts the samples: sample i is (transform(first[i]), second[i], …).

    As `torch.utils.data.TensorDataset`, which has no `transform`.  ValueError where the lengths differ.

    >>> TensorDataset([[1.0, 2.0], [3.0, 4.0]], [7, 8])[1]
    (Tensor([3., 4.]), Tensor(8, dtype=int64))
    """
    def __init__(self, *tensors, transform=None):
        """Keep the tensors.  ValueError where they are not of one length."""
        self.tensors = tuple(t if isinstance(t, Tensor) else Tensor(check_array("TensorDataset", tensors=t)) for t in tensors)
        check_kind("TensorDataset", Callable, none=True, transform=transform)
        self.transform = transform
        ### BEGIN SOLUTION
        lengths = {t.shape[:1] for t in self.tensors}
        if len(lengths) != 1 or () in lengths:
            raise ValueError(f"TensorDataset: tensors of one length wanted, got shapes {[t.shape for t in self.tensors]}")
        ### END SOLUTION

    def __len__(self):
        """How many samples there are."""
        ### BEGIN SOLUTION
        return len(self.tensors[0])
        ### END SOLUTION

    def __getitem__(self, index):
        """Sample `index`: a tuple of Tensors."""
        ### BEGIN SOLUTION
        first, *others = (Tensor(t.data[index], dtype=t.dtype) for t in self.tensors)
        return (self.transform(first) if self.transform else first, *others)
        ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-tensor-dataset", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_tensor_dataset():
    """A dataset of tensors gives each sample as a tuple, input and answer together."""
    x, y = np.arange(12, dtype="float32").reshape(3, 4), np.array([7, 8, 9])
    data = TensorDataset(x, y)
    expect.same(lambda: [len(data), len(TensorDataset(x))], [3, 3], "three samples of four numbers", mistaken={
        "count samples, not tensors": [2, 1], "count samples, not numbers": [12, 12]}, hint="count the entries of the first tensor")
    expect.true(lambda: isinstance(data[1], tuple), "a sample is a tuple", hint="return a tuple: (entry of the first, entry of the second)")
    expect.same(lambda: [type(part) for part in data[1]], [Tensor, Tensor], "of two Tensors", hint="make a Tensor of each part, and no more than one")
    expect.same(lambda: data[1][0], x[1], "entry 1 of the first", mistaken={"index the first axis: t.data[index]": x[:, 1]})
    expect.same(lambda: data[2][1], np.int64(9), "and entry 2 of the second; whole numbers stay whole")
    wide = TensorDataset(Tensor(x, dtype=np.float64, requires_grad=True))[0][0]
    expect.same(lambda: wide.dtype, np.dtype("float64"), "float64 stays float64", hint="Tensor(…, dtype=t.dtype)")
    expect.true(lambda: not wide.requires_grad, "without history", hint="index t.data and make a new Tensor of it")
    doubled = TensorDataset(x, y, transform=lambda image: image * 2)[1]
    expect.same(lambda: doubled[0], x[1] * 2, "transform is applied to the input", hint="self.transform(first), where it is not None")
    expect.same(lambda: doubled[1], np.int64(8), "and not to the answer", hint="apply it to the first part only")
    for wrong in [(x, y[:2]), (x, 5.0), (5.0,), ()]:
        shapes = " ".join(str(np.shape(part)) for part in wrong)
        expect.raises(ValueError, lambda: TensorDataset(*wrong), "lengths that differ, or none", match=shapes,
                      hint="compare shape[:1] of all; there must be one, and not ()")

test_unit_tensor_dataset()

# %% [markdown]
"""
A list of numbers to look up makes a part of a dataset, which is a dataset again (`Subset`, given): nothing is copied.

Held-out samples must be drawn at random: data often comes sorted, and the last fifth may hold nothing but nines. Lengths are whole numbers, or
fractions that add up to 1. Of ten samples, `[0.75, 0.25]` gives 7.5 and 2.5: round down to 7 and 2, and hand the one left over to the first part.

**Your turn.**

1. A length below 0 is a ValueError.
2. They are fractions if `math.isclose(sum(lengths), 1)`. Give what is left over to the parts in turn, one each, from the first on.
3. Lengths that do not add up to `n` are a ValueError that names both numbers.
4. Draw the order once, `generator.permutation(n).tolist()`, and cut it into Subsets.
"""

# %% nbgrader={"grade": false, "grade_id": "random-split", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
class Subset(Dataset):
    """Some samples of a dataset, by their numbers.  As `torch.utils.data.Subset`."""
    def __init__(self, dataset, indices):
        check_kind("Subset", Sequence if isinstance(indices, Sequence) else np.ndarray, indices=indices)
        self.dataset, self.indices = dataset, indices

    def __len__(self):
        return len(self.indices)

    def __getitem__(self, index):
        return self.dataset[self.indices[index]]


def random_split(dataset, lengths, generator=None):
    """The dataset as a list of Subsets that share no sample, drawn at random.  As `torch.utils.data.random_split`.

    `lengths` are counts, or fractions that add up to 1.  ValueError where they do not add up.

    >>> [len(part) for part in random_split(range(10), [0.75, 0.25])]
    [8, 2]
    """
    check_kind("random_split", Sized, dataset=dataset)
    check_kind("random_split", np.random.Generator, none=True, generator=generator)
    counts = check_array("random_split", lengths=lengths)
    if counts.ndim != 1 or counts.dtype.kind not in "iu" and not math.isclose(counts.sum(), 1):
        raise ValueError(f"random_split: lengths must be whole numbers, or fractions that add up to 1, not {lengths!r:.60}")
    generator = generator or default_generator
    n = len(dataset)
    ### BEGIN SOLUTION
    if any(length < 0 for length in lengths):
        raise ValueError(f"random_split: lengths are not below 0, got {list(lengths)}")
    if math.isclose(sum(lengths), 1):
        lengths = [math.floor(n * part) for part in lengths]
        for i in range(n - sum(lengths)):
            lengths[i] += 1
    if sum(lengths) != n:
        raise ValueError(f"random_split: lengths {list(lengths)} add up to {sum(lengths)}, but there are {n} samples")
    order = generator.permutation(n).tolist()
    return [Subset(dataset, order[end - length:end]) for length, end in zip(lengths, itertools.accumulate(lengths))]
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-random-split", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_random_split():
    """Every sample comes into exactly one part, at random, and the parts have the lengths that were asked for."""
    data, own = range(100, 120), np.random.default_rng
    split = lambda generator, lengths: [list(part) for part in random_split(data, lengths, generator)]
    sizes = lambda n, lengths: [len(part) for part in random_split(range(n), lengths)]
    expect.same(lambda: [type(part) for part in random_split(data, [12, 8])], [Subset] * 2, "a list of Subsets")
    expect.same(lambda: [len(part) for part in split(own(1), [12, 5, 3])], [12, 5, 3], "as long as asked for")
    expect.same(lambda: sorted(sample for part in split(own(1), [12, 5, 3]) for sample in part), list(data), "every sample once",
                hint="cut ONE permutation into pieces that follow each other")
    expect.true(lambda: sum(split(own(2), [10, 10]), []) != list(data), "drawn at random", hint="cut generator.permutation(n), not range(n)")
    expect.same(lambda: split(own(3), [12, 8]), split(own(3), [12, 8]), "the same generator draws the same parts", hint="draw from `generator`")
    expect.true(lambda: split(own(3), [12, 8]) != split(own(4), [12, 8]), "another one draws others", hint="draw from `generator`")
    expect.same(lambda: sizes(10, [0.75, 0.25]), [8, 2], "7.5 and 2.5: the first gets the one left over", mistaken={
        "round down; what is left over goes to the first part": lambda got: got == [7, 3]})
    expect.same(lambda: sizes(14, [0.25] * 4), [4, 4, 3, 3], "two left over: one each, from the first on", mistaken={
        "one each, in turn, not all to the first": [5, 3, 3, 3]})
    expect.same(lambda: [sizes(3, [0, 3]), sizes(4, [0.0, 1.0])], [[0, 3], [0, 4]], "a part may be empty", hint="0 is not below 0")
    expect.true(lambda: all(type(i) is int for i in random_split(data, [20])[0].indices), "Python's whole numbers", hint=".tolist() makes them")
    for wrong in ([5, 4], [6, 5], [0.5, 0.4], [1.5, -0.5], [11, -1]):
        expect.raises(ValueError, lambda: sizes(10, wrong), f"{wrong} is refused for ten samples",
                      hint="a length below 0 is refused, and lengths that do not add up to n")
    expect.raises(ValueError, lambda: sizes(10, [5, 4]), "and told why", match="9 10", hint="name the sum and n")

test_unit_random_split()

# %% [markdown]
"""
## 3 · Samplers: the order, and where to cut it

A *sampler* is the order of an epoch: something to iterate over that gives numbers. A new `iter` is a new epoch, so `RandomSampler` draws when
`__iter__` is called, or every epoch would have the same order.

With `replacement=True` every number is drawn from all of them again, and some come twice. Without it, more than `n` numbers are several
orders one after the other, the last cut short.

**Your turn.** Both return an iterator: `iter(some list)`. Draw with `generator.permutation(n)` and `generator.integers(n, size=…)`.
"""

# %% nbgrader={"grade": false, "grade_id": "samplers", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
class Sampler:
    """Numbers of samples, in the order in which they are wanted.  As `torch.utils.data.Sampler`."""
    def __iter__(self):
        raise NotImplementedError(f"{type(self).__name__} needs a method __iter__(self)")


class SequentialSampler(Sampler):
    """0, 1, 2, …  As `torch.utils.data.SequentialSampler`."""
    def __init__(self, data_source):
        check_kind("SequentialSampler", Sized, data_source=data_source)
        self.data_source = data_source

    def __len__(self):
        return len(self.data_source)

    def __iter__(self):
        """The numbers of all samples, from 0 on."""
        ### BEGIN SOLUTION
        return iter(range(len(self.data_source)))
        ### END SOLUTION


class RandomSampler(Sampler):
    """Every number once, in an order drawn when the iteration begins.  As `torch.utils.data.RandomSampler`.

    >>> sorted(RandomSampler("abcd"))
    [0, 1, 2, 3]
    """
    def __init__(self, data_source, replacement=False, num_samples=None, generator=None):
        check_kind("RandomSampler", Sized, data_source=data_source)
        check_whole("RandomSampler", 0, none=True, num_samples=num_samples)
        check_kind("RandomSampler", np.random.Generator, none=True, generator=generator)
        self.data_source, self.replacement, self.generator = data_source, replacement, generator
        self.num_samples = len(data_source) if num_samples is None else num_samples
        if self.num_samples and not len(data_source):
            raise ValueError(f"RandomSampler: {num_samples} samples wanted, and there is none to draw from")

    def __len__(self):
        return self.num_samples

    def __iter__(self):
        """`num_samples` numbers in a new order."""
        generator, n = self.generator or default_generator, len(self.data_source)
        ### BEGIN SOLUTION
        if self.replacement:
            return iter(generator.integers(n, size=self.num_samples).tolist())
        order = []
        while len(order) < self.num_samples:
            order += generator.permutation(n).tolist()
        return iter(order[:self.num_samples])
        ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-samplers", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_samplers():
    """A sampler gives every number once: in order, or in a new order each time."""
    own = np.random.default_rng
    order = lambda generator, **how: list(RandomSampler(range(100, 120), generator=generator, **how))
    expect.same(lambda: list(SequentialSampler("abcd")), [0, 1, 2, 3], "in order", mistaken={
        "numbers of samples, from 0 on": lambda got: got == [1, 2, 3, 4], "numbers, not the samples": lambda got: got == list("abcd")})
    sampler = RandomSampler(range(100, 120), generator=own(1))
    expect.same(lambda: sorted(sampler), list(range(20)), "every number once", mistaken={
        "numbers of samples, not the samples": list(range(100, 120))}, hint="without replacement: a permutation")
    expect.true(lambda: list(sampler) != list(sampler), "each epoch in a new order", hint="draw when __iter__ is called")
    for how in ({}, {"replacement": True}):
        expect.same(lambda: order(own(3), **how), order(own(3), **how), "the same generator gives the same order", hint="draw from `generator`")
        expect.true(lambda: order(own(3), **how) != order(own(4), **how), "another one gives another", hint="draw from `generator`")
        expect.true(lambda: all(type(i) is int for i in order(own(1), **how)), "Python's whole numbers", hint=".tolist() makes them")
    many = order(own(1), num_samples=50)
    expect.same(lambda: [sorted(many[:20]), sorted(many[20:40]), len(set(many[40:]))], [list(range(20)), list(range(20)), 10],
                "50 of 20: two whole orders and a part of a third", hint="draw an order again and again, then cut at num_samples")
    expect.true(lambda: many[:20] != many[20:40], "each round anew", hint="draw a new permutation for each round")
    drawn = order(own(5), replacement=True, num_samples=2000)
    expect.same(lambda: [len(drawn), min(drawn), max(drawn)], [2000, 0, 19], "with replacement: 2,000 draws from 0 to 19",
                hint="generator.integers(n, size=self.num_samples)")
    expect.true(lambda: len(set(drawn[:20])) < 20, "some come twice", hint="with replacement each number is drawn from all of them")
    expect.same(lambda: list(RandomSampler([], num_samples=0)), [], "of nothing, nothing")

test_unit_samplers()

# %% [markdown]
"""
`BatchSampler` cuts any sampler's numbers into lists.

**Your turn.** `__len__` says how many lists will come, without making them. `__iter__` collects numbers, and *yields* a list when it is full. Make a
new list for each: one that is filled again would change under the hands of whoever keeps it.
"""

# %% nbgrader={"grade": false, "grade_id": "batch-sampler", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
class BatchSampler(Sampler):
    """The numbers of a sampler in lists of `batch_size`; the last one may be shorter, or is left out with `drop_last`.

    As `torch.utils.data.BatchSampler`.

    >>> list(BatchSampler(range(5), 2, False))
    [[0, 1], [2, 3], [4]]
    """
    def __init__(self, sampler, batch_size, drop_last):
        check_kind("BatchSampler", Iterable, sampler=sampler)
        check_whole("BatchSampler", batch_size=batch_size)
        self.sampler, self.batch_size, self.drop_last = sampler, batch_size, drop_last

    def __len__(self):
        """How many lists `__iter__` gives."""
        ### BEGIN SOLUTION
        n = len(self.sampler)
        return n // self.batch_size if self.drop_last else math.ceil(n / self.batch_size)
        ### END SOLUTION

    def __iter__(self):
        """Lists of numbers."""
        ### BEGIN SOLUTION
        batch = []
        for index in self.sampler:
            batch.append(index)
            if len(batch) == self.batch_size:
                yield batch
                batch = []
        if batch and not self.drop_last:
            yield batch
        ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-batch-sampler", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_batch_sampler():
    """A batch sampler cuts the order into lists and loses no sample, unless it is told to."""
    cut = lambda n, size, drop=False: list(BatchSampler(range(n), size, drop))
    expect.same(lambda: cut(10, 4), [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]], "ten in fours", mistaken={
        "the short list at the end is lost": lambda got: got == [[0, 1, 2, 3], [4, 5, 6, 7]],
        "begin a new list after each: batch = []": lambda got: np.array_equal(got, [[8, 9]] * 3)})
    expect.same(lambda: cut(10, 4, True), [[0, 1, 2, 3], [4, 5, 6, 7]], "drop_last leaves the short one out", hint="keep it only if not drop_last")
    for drop in (False, True):
        expect.same(lambda: cut(8, 4, drop), [[0, 1, 2, 3], [4, 5, 6, 7]], "eight in fours: none is short, and none is empty",
                    hint="yield the rest only if there is one")
        for n, size in [(10, 4), (8, 4), (0, 4), (3, 5), (1, 1)]:
            expect.same(lambda: len(BatchSampler(range(n), size, drop)), len(cut(n, size, drop)), f"its len for {n} in {size}s",
                        hint="round up; with drop_last round down")
    taken = []
    slow = iter(BatchSampler((taken.append(i) or "abcdef"[i] for i in range(6)), 2, False))
    expect.same(lambda: next(slow), ["a", "b"], "whatever the sampler gives", hint="iterate over self.sampler")
    expect.same(lambda: taken, [0, 1], "a list is made when it is asked for", hint="yield each list when it is full, and look no further")

test_unit_batch_sampler()

# %% [markdown]
"""
## 4 · Collate: from samples to a batch

Four samples `(image, label)` are to become one batch: four images in one Tensor, four labels in another. What a sample is made of decides:

```
 samples                                   batch
 numbers   3, 7, 0                  ───►   Tensor (3,)
 arrays or Tensors of shape (8, 8)  ───►   Tensor (3, 8, 8)       stacked along a new first axis
 tuples    (image, label)           ───►   [images, labels]       part by part
 dicts     {"x": …, "y": …}         ───►   {"x": …, "y": …}       key by key
 text      "a", "b", "c"            ───►   ["a", "b", "c"]        as it is
```

Tuples may hold dicts that hold tuples: the same function collates each part.

**Your turn.** Ask what the *first* sample is; they are all alike. Text (`str`, `bytes`) comes first, because text is a Sequence, too. A named tuple
(it has `_fields`) gives one of its own kind. Parts that differ in number, and arrays that differ in shape, are a ValueError that names them. A
float64 *Tensor* stays float64, an array follows the rule of module 01.
"""

# %% nbgrader={"grade": false, "grade_id": "default-collate", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def default_collate(samples):
    """A list of samples as one batch: numbers, arrays and Tensors stacked, tuples, lists and dicts followed down.

    As `torch.utils.data.default_collate`, but Python's floats give float32.

    >>> default_collate([(Tensor([1.0, 2.0]), 7), (Tensor([3.0, 4.0]), 8)])
    [Tensor([[1., 2.],
            [3., 4.]]), Tensor([7, 8], dtype=int64)]
    """
    check_kind("collate", Sequence, samples=samples)
    if not samples:
        raise ValueError("collate: a batch needs at least one sample")
    first = samples[0]
    ### BEGIN SOLUTION
    if isinstance(first, (str, bytes)):
        return samples
    if isinstance(first, Mapping):
        return {key: default_collate([sample[key] for sample in samples]) for key in first}
    if isinstance(first, Sequence):
        if len(counts := {len(sample) for sample in samples}) > 1:
            raise ValueError(f"collate: samples have {sorted(counts)} parts; all need the same number")
        parts = [default_collate(part) for part in zip(*samples)]
        return type(first)(*parts) if hasattr(first, "_fields") else parts
    arrays = [np.asarray(sample) for sample in samples]    # a Tensor's is its own
    if len(shapes := {array.shape for array in arrays}) > 1:
        raise ValueError(f"collate: samples have shapes {sorted(shapes)}; crop or pad them to one, or pass a collate_fn of your own")
    return Tensor(np.stack(arrays), dtype=first.dtype if isinstance(first, Tensor) else None)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-default-collate", "locked": true, "points": 10, "schema_version": 3, "solution": false, "task": false}
def test_unit_default_collate():
    """Samples become a batch of the same structure, stacked along a new first axis."""
    a, b = np.arange(6, dtype="float32").reshape(2, 3), np.ones((2, 3), "float32")
    both, text = Tensor(np.stack([a, b])), "text first: it is a Sequence, too"
    expect.same(lambda: default_collate([a, b]), both, "arrays (2, 3) become a Tensor (2, 2, 3)", mistaken={
        "along a NEW first axis: np.stack, not np.concatenate": lambda got: got.shape == (4, 3)}, hint="make a Tensor of what np.stack gives")
    expect.same(lambda: default_collate([3, 7, 2**24 + 1]), Tensor([3, 7, 2**24 + 1]), "whole numbers stay whole",
                hint="Tensor(…) of the stacked numbers as they are")
    expect.same(lambda: default_collate([0.5, 1.5]), Tensor([0.5, 1.5]), "floats are float32", hint="dtype=None for what is no Tensor")
    expect.same(lambda: default_collate([Tensor([0.1], dtype=np.float64)] * 2).dtype, np.dtype("float64"), "a float64 Tensor stays float64",
                hint="Tensor(…, dtype=first.dtype) where first is a Tensor")
    expect.same(lambda: default_collate(["a", "bc"]), ["a", "bc"], "text as it is", hint=text, raises={RecursionError: text, ValueError: text})
    expect.same(lambda: default_collate([b"a", b"bc"]), [b"a", b"bc"], "bytes are text here", hint="look for (str, bytes)")
    expect.same(lambda: default_collate([(a, 1), (b, 2)]), [both, Tensor([1, 2])], "tuples part by part, in a list",
                hint="zip(*samples) gives the first parts, then the second parts")
    expect.same(lambda: default_collate([[1, 2, 3], [4, 5, 6]]), [Tensor([1, 4]), Tensor([2, 5]), Tensor([3, 6])], "a list is followed down, too",
                hint="a list is a Sequence of parts; only arrays and Tensors are stacked")
    expect.same(lambda: default_collate([{"x": a, "y": (1, "one")}, {"y": (2, "two"), "x": b}]),
                {"x": both, "y": [Tensor([1, 2]), ("one", "two")]}, "dicts key by key, whatever is in them",
                hint="look each sample up by key, and collate the parts with default_collate")
    pair = namedtuple("pair", "image label")
    expect.same(lambda: default_collate([pair(1, 2), pair(3, 4)]).label, Tensor([2, 4]), "a named tuple keeps its names",
                raises={AttributeError: "where first has _fields: type(first)(*parts)"})
    expect.raises(ValueError, lambda: default_collate([a, a[:1]]), "shapes that differ are refused", match="(1, 3) (2, 3)",
                  hint="compare the shapes before stacking, and name them")
    expect.raises(ValueError, lambda: default_collate([(1, 2), (3,)]), "and so are samples with fewer parts", match="1 2 parts",
                  hint="zip stops at the shortest: compare the lengths first")

test_unit_default_collate()

# %% [markdown]
"""
## 5 · Transforms: the same picture, slightly different

A network that saw a truck from the left may not know it from the right. So pictures are changed a little each time they are looked up. A *transform*
is a function from image to image, of shape (…, H, W), a Tensor or an array.

**Your turn.**

* `Normalize`: mean and std are (C, 1, 1) already.
* `RandomHorizontalFlip`: exchange left and right if `generator.random() < self.p`.
* `RandomCrop`: the zeros are around the image already. Draw `top` and then `left` with `generator.integers`, every place equally likely, and cut.
  An image smaller than the piece is a ValueError with both sizes.
"""

# %% nbgrader={"grade": false, "grade_id": "transforms", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def check_image(name, image, axes):
    """TypeError unless this is an array or a Tensor of numbers, with so many axes or more."""
    check_kind(name, Tensor if isinstance(image, Tensor) else np.ndarray, image=image)
    if check_array(name, image=image).ndim < axes:
        raise ValueError(f"{name}: an image of {axes} axes or more wanted, not {image.shape}")


class Compose:
    """Transforms one after the other.  As `torchvision.transforms.Compose`."""
    def __init__(self, transforms):
        check_kind("Compose", Iterable, transforms=transforms)
        for transform in transforms:
            check_kind("Compose", Callable, transforms=transform)
        self.transforms = transforms

    def __call__(self, image):
        for transform in self.transforms:
            image = transform(image)
        return image


class Normalize:
    """(image - mean) / std, channel by channel: (C, H, W) -> (C, H, W).  As `torchvision.transforms.Normalize`.

    >>> Normalize([0.5], [0.25])(Tensor([[[0.5, 1.0]]]))
    Tensor([[[0., 2.]]])
    """
    def __init__(self, mean, std):
        self.mean, self.std = (each.astype("float32").reshape(-1, 1, 1) for each in check_array("Normalize", mean=mean, std=std))    # (C, 1, 1)
        if not self.std.all():
            raise ValueError(f"Normalize: a std of 0 in {std}; a channel that never changes needs a std of 1")
        if 0 in (self.mean.size, self.std.size) or not (np.isfinite(self.mean).all() and np.isfinite(self.std).all() and self.std.min() > 0):
            raise ValueError(f"Normalize: mean and std must be finite numbers, one for each channel, std above 0, not {mean!r:.60} and {std!r:.60}")

    def __call__(self, image):
        """The image, normalized."""
        check_image("Normalize", image, 1)
        ### BEGIN SOLUTION
        return (image - self.mean) / self.std
        ### END SOLUTION


class RandomHorizontalFlip:
    """Left and right exchanged, with probability `p`.  As `torchvision.transforms.RandomHorizontalFlip`."""
    def __init__(self, p=0.5, generator=None):
        check_number("RandomHorizontalFlip", 0, 1, p=p)
        check_kind("RandomHorizontalFlip", np.random.Generator, none=True, generator=generator)
        self.p, self.generator = p, generator

    def __call__(self, image):
        """The image, or its mirror image."""
        check_image("RandomHorizontalFlip", image, 1)
        generator = self.generator or default_generator
        ### BEGIN SOLUTION
        return image[..., ::-1] if generator.random() < self.p else image
        ### END SOLUTION


class RandomCrop:
    """A piece of `size` (h, w) from a random place, after `padding` zeros on each side.  As `torchvision.transforms.RandomCrop`."""
    def __init__(self, size, padding=0, generator=None):
        check_sizes("RandomCrop", 2, size=size)
        check_whole("RandomCrop", 0, padding=padding)
        check_kind("RandomCrop", np.random.Generator, none=True, generator=generator)
        self.size = tuple(np.broadcast_to(size, 2).tolist())
        self.padding, self.generator = padding, generator

    def __call__(self, image):
        """(…, H, W) -> (…, h, w).  ValueError where the image is too small."""
        check_image("RandomCrop", image, 2)
        generator = self.generator or default_generator
        if self.padding:
            wide = np.pad(np.asarray(image), [(0, 0)] * (image.ndim - 2) + [(self.padding, self.padding)] * 2)
            image = Tensor(wide, dtype=wide.dtype) if isinstance(image, Tensor) else wide
        ### BEGIN SOLUTION
        (height, width), (h, w) = image.shape[-2:], self.size
        if height < h or width < w:
            raise ValueError(f"RandomCrop: an image of {(height, width)}, zeros included, has no piece of {self.size}")
        top, left = generator.integers(height - h + 1), generator.integers(width - w + 1)
        return image[..., top:top + h, left:left + w]
        ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-transforms", "locked": true, "points": 10, "schema_version": 3, "solution": false, "task": false}
def test_unit_transforms():
    """Transforms normalize, mirror and cut images, at random but repeatably."""
    image = Tensor(np.arange(24).reshape(2, 3, 4) / 1.0)                                # (channels, height, width)
    mirror, own, draw = image.numpy()[:, :, ::-1], np.random.default_rng, "draw from `generator`"
    expect.close(lambda: Normalize([1.0, 2.0], [2.0, 4.0])(image)[:, 0, :2], [[-0.5, 0.0], [2.5, 2.75]], "each channel with its own numbers",
                 mistaken={"subtract the mean first, then divide": [[-1.0, -0.5], [1.0, 1.25]], "divide by std": [[-2.0, 0.0], [40.0, 44.0]],
                           "subtract the mean": [[0.5, 1.0], [3.5, 3.75]], "divide by std, too": [[-1.0, 0.0], [10.0, 11.0]]})
    expect.same(lambda: type(Normalize([0.5], [0.5])(mirror)), np.ndarray, "an array stays an array", hint="compute with the image as it is")
    expect.raises(ValueError, lambda: Normalize([0.0], [0.0]), "a std of 0 is refused", match="std")
    expect.same(lambda: RandomHorizontalFlip(1.0)(image), Tensor(mirror), "p = 1 always mirrors", mistaken={
        "that turned the image upside down: the last axis": lambda got: np.array_equal(got, image.numpy()[:, ::-1]),
        "mirror where the number drawn is below p": lambda got: np.array_equal(got, image)})
    expect.same(lambda: RandomHorizontalFlip(0.0)(image), image, "p = 0 never does", hint="mirror where the number drawn is below p")
    flips = lambda p: [bool((RandomHorizontalFlip(p, g)(image) == mirror).numpy().all()) for g in [own(5)] for _ in range(400)]
    expect.close(lambda: np.mean(flips(0.25)), 0.25, "p = 0.25 mirrors a quarter", tol=0.08, hint="compare one new number with p each time")
    expect.same(lambda: flips(0.5), flips(0.5), "the same generator, the same choices", hint=draw)
    crop = lambda size, generator=None: RandomCrop(size, generator=generator)(image)
    for size, shape in [(2, (2, 2, 2)), ((3, 1), (2, 3, 1))]:
        expect.same(lambda: crop(size, own(1)).shape, shape, f"(2, 3, 4) cut to {size}", raises={ValueError: "there are height - h + 1 places"},
                    hint="size is (height, width): rows from top, columns from left, with `...` before them")
    expect.same(lambda: crop((3, 4)), image, "all of it, where nothing is to be cut",
                hint="there are height - h + 1 places, and integers(n) ends before n", raises={ValueError: "there are height - h + 1 places"})
    expect.same(lambda: RandomCrop((2, 3))(image[0]).shape, (2, 3), "whatever axes are in front", hint="the last two of image.shape")
    places = lambda generator: [divmod(int(crop(2, generator).numpy()[0, 0, 0]), 4) for _ in range(400)]
    expect.same(lambda: places(own(2)), places(own(2)), "the same generator cuts the same pieces", hint=draw)
    expect.same(lambda: sorted(set(places(own(2)))), [(i, j) for i in range(2) for j in range(3)], "every place comes, and no other", mistaken={
        "draw top and left each for itself": lambda got: all(a == b for a, b in got)}, hint="there are height - h + 1 places, and width - w + 1")
    changed = Compose([RandomCrop((5, 6), padding=1), Normalize([0.0], [2.0])])
    expect.same(lambda: changed(image), np.pad(image.numpy() / 2, [(0, 0), (1, 1), (1, 1)]), "zeros around it, and one after the other")
    for size in ((4, 2), (2, 5)):
        expect.raises(ValueError, lambda: crop(size), "a piece larger than the image is refused", match=str(size),
                      hint="compare both sizes first, and name them")

test_unit_transforms()

# %% [markdown]
"""
The digits that ship with the course, cut and mirrored. Digits do mind being mirrored, as the picture shows; trucks do not.
"""

# %%
#| export
def datasets_folder():
    """The folder `datasets`: the nearest one above the package or above the folder one works in."""
    above = [*Path(tinytorch.__file__).resolve().parents, Path.cwd(), *Path.cwd().parents]
    return next((folder / "datasets" for folder in above if (folder / "datasets").is_dir()), Path("datasets"))


def load_digits(path=None):
    """The 1,797 handwritten digits that ship with the course, as a TensorDataset; `.tensors` are its images and labels.

    Images (1797, 1, 8, 8), float32 from 0 (paper) to 1 (ink); labels (1797,), int64.
    """
    if path is not None:
        check_path("load_digits", path)
    path = Path(path or datasets_folder() / "digits.npz")
    if not path.exists():
        raise FileNotFoundError(f"load_digits: there is no {path}; it comes with the course, in its folder datasets")
    with np.load(path, allow_pickle=False) as file:
        return TensorDataset(file["images"][:, None].astype("float32") / 16, file["labels"])

# %% tags=["analysis"]
import matplotlib.pyplot as plt

digits, changed = load_digits(), Compose([RandomCrop(8, padding=1), RandomHorizontalFlip()])
print([(part.shape, part.dtype) for part in digits.tensors])
manual_seed(3)
figure, axes = plt.subplots(2, 8, figsize=(9, 2.4))
for column in range(8):
    for axis, image in zip(axes[:, column], (digits[column][0], changed(digits[column][0]))):
        axis.imshow(image.numpy()[0], cmap="gray_r"); axis.axis("off")
plt.show()

# %% [markdown]
"""
## 6 · The loader, in one process

All pieces together are one line, `collate([dataset[i] for i in indices])` for each list of numbers. One question is left: *where does chance come
from?*

The flips of batch 7 must not depend on what the network drew for its dropout in between, nor on which process makes batch 7. So each batch gets a
seed of its own, made of the epoch's seed and the batch's number. `seeded` (given) starts every common generator there, ours, NumPy's and Python's,
and afterwards puts all three back as they were:
"""

# %%
#| export
@contextlib.contextmanager
def seeded(*seed):
    """Inside, all that is random starts from `seed`; afterwards it goes on as if nothing had been drawn."""
    ours, numpys, pythons = default_generator.bit_generator.state, np.random.get_bit_generator(), random.getstate()
    manual_seed(seed)
    np.random.set_bit_generator(np.random.MT19937(default_generator.integers(2**32)))
    random.seed(int(default_generator.integers(2**32)))
    try:
        yield
    finally:
        default_generator.bit_generator.state = ours
        np.random.set_bit_generator(numpys)
        random.setstate(pythons)

# %%
for number in (7, 8, 7):
    with seeded(2024, number):
        print("batch", number, " ours", default_generator.integers(100), " NumPy's", np.random.randint(100), " Python's", random.randrange(100))

# %% [markdown]
"""
So an epoch can be decided before it begins: a seed and a list of lists of numbers. After that, batch `number` is a *function* of its number.

**Your turn.** Inside `seeded(self.seed, number)`: a list of samples, then `self.collate(samples)`.

* If there is an order, the samples are `self.dataset[index]` for each index of `self.order[number]`.
* If there is none (None), the dataset is a stream. `self.stream` is None at first: make it `iter(self.batches)`, which gives lists of samples. The
  batch is made of the `next` one, and is `END` where there is no more.
"""

# %% nbgrader={"grade": false, "grade_id": "epoch", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
class END:
    """Comes in the place of a batch when a stream has ended."""


class Epoch:
    """One pass through a loader's data, decided beforehand: batch `number` is the same whoever makes it, and whenever."""
    def __init__(self, loader):
        self.seed = int((loader.generator or default_generator).integers(2**63))
        self.dataset, self.collate, self.init = loader.dataset, loader.collate_fn, loader.worker_init_fn
        self.batches, self.stream = loader.batch_sampler, None
        self.order = None if isinstance(loader.dataset, IterableDataset) else list(loader.batch_sampler)
        self.numbers = range(sys.maxsize if self.order is None else len(self.order))

    def make(self, number):
        """Batch `number`, or END."""
        ### BEGIN SOLUTION
        with seeded(self.seed, number):
            if self.order is not None:
                samples = [self.dataset[index] for index in self.order[number]]
            else:
                self.stream = self.stream or iter(self.batches)
                samples = next(self.stream, END)
            return END if samples is END else self.collate(samples)
        ### END SOLUTION

    def __iter__(self):
        for number in self.numbers:
            if (batch := self.make(number)) is END:
                return
            yield batch

# %% [markdown]
"""
The loader puts the parts together. As in PyTorch, a `sampler` or `batch_sampler` may be given in place of `shuffle` and `batch_size`. A stream is its
own sampler: `BatchSampler` cuts it into lists of *samples*. `in_workers` comes in part 7.
"""

# %%
#| export
class DataLoader:
    """Batches of a dataset, epoch after epoch.  As `torch.utils.data.DataLoader`.

    `generator` (or the common one) decides an epoch when it begins, so a sampler must end.  Unlike torch's, batches do not depend on `num_workers`.

    >>> data = TensorDataset([[0.0], [1.0], [2.0]], [0, 1, 2])
    >>> [y.tolist() for x, y in DataLoader(data, batch_size=2)]
    [[0, 1], [2]]
    """
    def __init__(self, dataset, batch_size=1, shuffle=False, sampler=None, batch_sampler=None, num_workers=0, collate_fn=None, *,
                 drop_last=False, prefetch_factor=2, generator=None, worker_init_fn=None, multiprocessing_context=None):
        stream = isinstance(dataset, IterableDataset)
        if not stream and not hasattr(dataset, "__getitem__"):
            raise TypeError(f"DataLoader: dataset must be a Dataset, or anything with numbered samples, not {dataset!r:.60}")
        check_whole("DataLoader", batch_size=batch_size)
        check_whole("DataLoader", prefetch_factor=prefetch_factor)
        check_whole("DataLoader", 0, num_workers=num_workers)
        check_kind("DataLoader", Iterable, none=True, sampler=sampler, batch_sampler=batch_sampler)
        check_kind("DataLoader", Callable, none=True, collate_fn=collate_fn, worker_init_fn=worker_init_fn)
        check_kind("DataLoader", np.random.Generator, none=True, generator=generator)
        if sum([stream, bool(shuffle), sampler is not None, batch_sampler is not None]) > 1:
            raise ValueError("DataLoader: a stream, shuffle, a sampler and a batch_sampler each give an order; only one of them can")
        if batch_sampler is not None and (batch_size != 1 or drop_last):
            raise ValueError("DataLoader: batch_sampler takes the place of batch_size and drop_last")
        if sampler is None:
            sampler = dataset if stream else RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)
        self.dataset, self.sampler, self.batch_size, self.drop_last = dataset, sampler, batch_size, drop_last
        self.batch_sampler = BatchSampler(sampler, batch_size, drop_last) if batch_sampler is None else batch_sampler
        self.num_workers, self.prefetch_factor, self.generator = num_workers, prefetch_factor, generator
        self.collate_fn = default_collate if collate_fn is None else collate_fn
        self.worker_init_fn, self.multiprocessing_context = worker_init_fn, multiprocessing_context

    def __len__(self):
        return len(self.batch_sampler)

    def __iter__(self):
        epoch = Epoch(self)
        return in_workers(epoch, self) if self.num_workers else iter(epoch)

# %%
pairs = TensorDataset(np.arange(10.0), np.arange(10) * 10)          # part 1 again
loader = DataLoader(pairs, batch_size=4, shuffle=True, generator=np.random.default_rng(0))
for epoch in range(2):
    print("epoch", epoch, *(f"{x.tolist()} -> {y.tolist()}  " for x, y in loader))

# %% nbgrader={"grade": true, "grade_id": "test-epoch", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_epoch():
    """An epoch is decided when it begins: each batch depends on its number only, and disturbs nobody."""
    class Count(IterableDataset):
        def __iter__(self):
            return iter(range(5))

    own, draw = np.random.default_rng, lambda number: (number, default_generator.random(), np.random.random(), random.random())
    new = lambda generator: Epoch(DataLoader(TensorDataset(np.arange(10), transform=draw), 4, True, generator=generator))
    epoch, first = new(own(0)), new(own(0)).make(1)                 # a batch is [[numbers, and what was drawn in three ways]]
    expect.same(lambda: [epoch.make(n)[0][0].tolist() for n in (0, 1, 2)], epoch.order, "batch n has the samples that the order says",
                hint="samples of self.order[number]")
    expect.same(lambda: epoch.make(1), first, "the same batch again, to the last bit", hint="make the samples inside `with seeded(…):`")
    expect.true(lambda: epoch.make(0)[0][1].tolist() != first[0][1].tolist(), "another batch draws other numbers",
                hint="number belongs to the seed: seeded(self.seed, number)")
    expect.true(lambda: new(own(1)).make(1)[0][1].tolist() != first[0][1].tolist(), "and so does another epoch",
                hint="self.seed belongs to the seed: seeded(self.seed, number)")
    state = lambda: (default_generator.bit_generator.state, random.getstate(), np.random.get_state()[1].tolist())
    before = state()
    epoch.make(0)
    expect.true(lambda: state() == before, "the common generators are as they were")
    summed = Epoch(DataLoader(range(10), 4, collate_fn=lambda samples: (sum(samples), default_generator.random())))
    expect.same(lambda: summed.make(2)[0], 17, "collate_fn makes the batch", hint="self.collate(samples), whatever that gives")
    expect.same(lambda: summed.make(2), summed.make(2), "collating may draw, too", hint="collate inside `with seeded(…):` as well")
    short = Epoch(DataLoader(Count(), 2, collate_fn=len))
    expect.same(lambda: [short.make(n) for n in range(3)], [2, 2, 1], "a stream, cut into batches",
                hint="iter(self.batches) once, then next(self.stream, END)", raises={TypeError: "iter(self.batches) once: lists of samples"})
    expect.same(lambda: short.make(3), END, "and then END", hint="next(self.stream, END)", raises={TypeError: "END is returned uncollated"})
    stream = DataLoader(Count(), 2)
    expect.same(lambda: [[batch.tolist() for batch in stream] for _ in range(2)], [[[0, 1], [2, 3], [4]]] * 2, "every epoch begins it anew")
    for how in [{"batch_size": 0}, {"num_workers": -1}, {"shuffle": True, "sampler": [1]}, {"batch_sampler": [[1]], "drop_last": True}]:
        expect.raises(ValueError, lambda: DataLoader(range(3), **how), f"{how} is refused")

test_unit_epoch()

# %% [markdown]
"""
## 7 · Workers

How long does the network wait? Here a batch costs some work, and a step of training half as much. Each bar is one of them:
"""

# %% tags=["analysis"]
image = np.ones((3, 32, 32), "float32")


def costly(rounds):
    """Do some rounds of work on a picture; gives (process, start, end)."""
    start = time.perf_counter()
    for _ in range(rounds):
        np.sqrt(image * image + 1e-3)
    return os.getpid(), start, time.perf_counter()


def timeline(axis, num_workers):
    """Draw an epoch of 10 batches, and a step of training after each."""
    zero, bars = time.perf_counter(), []
    for batch in DataLoader(range(10), num_workers=num_workers, collate_fn=lambda samples: costly(3000)):
        bars += [(*batch, "tab:orange"), (*costly(1500), "tab:blue")]
    rows = list(dict.fromkeys([os.getpid(), *(process for process, *_ in bars)]))
    for process, start, end, color in bars:
        axis.broken_barh([(start - zero, end - start)], (rows.index(process) - 0.4, 0.8), color=color, edgecolor="white")
    axis.set(yticks=range(len(rows)), yticklabels=["main", *(f"worker {i}" for i in range(len(rows) - 1))], ylim=(-0.7, len(rows) - 0.3))
    axis.set_title(f"num_workers={num_workers}: {bars[-1][2] - zero:.2f} s", fontsize=9)


figure, axis = plt.subplots(figsize=(9, 1.2))
timeline(axis, 0); axis.set_xlabel("seconds; orange: a batch is made, blue: a step of training"); plt.show()

# %% [markdown]
"""
Everything happens in one row, in turns. A second process could make batch 1 while the network learns from batch 0. (Threads would not do: only one
thread of a Python process runs Python at a time.)

A *process* has memory of its own. `fork` makes a copy of the running one: the worker has the dataset without anything being sent. (Windows has no
`fork`; there a new Python starts, and dataset and transforms must be importable.) What goes between the two goes through a *pipe*. By hand:
"""

# %% tags=["analysis"]
def draw_and_answer(name, pipe):
    time.sleep(pipe.recv())                                # waits until something comes
    pipe.send(f"batch {name}, by process {os.getpid()}, which drew {np.random.randint(100, size=4)}")

fork, pipes = multiprocessing.get_context("fork"), []
for name, seconds in enumerate([0.3, 0.0]):                # worker 0 has the harder sample
    ours, theirs = fork.Pipe()
    fork.Process(target=draw_and_answer, args=(name, theirs)).start()
    ours.send(seconds)
    pipes.append(ours)
while pipes:
    for pipe in wait(pipes):                               # those that have something to say
        print(pipe.recv())
        pipes.remove(pipe)

# %% [markdown]
"""
Two traps, both in these two lines. **Chance**: a fork copies the generators, too, so all workers draw the same "random" numbers, and the pictures
are changed half as much as you think. **Order**: batch 1 came before batch 0. If whoever is ready first answers first, no two runs train alike, and
no bug can be found again. `seeded` has already solved the first. For the second:

### Ask in turn, take in turn

```
            asks, in advance                        takes, in the same order
 batch 0 ─► worker 0                                batch 0 ◄─ worker 0   then asks it for batch 4
 batch 1 ─► worker 1                                batch 1 ◄─ worker 1   then asks it for batch 5
 batch 2 ─► worker 0     prefetch_factor = 2        batch 2 ◄─ worker 0
 batch 3 ─► worker 1     for each worker            batch 3 ◄─ worker 1
```

Each worker answers in the order in which it is asked. So the main process only has to remember *whom* it asked, in a queue, and to take the next
batch from whoever stands first. Never more than `prefetch_factor * num_workers` batches are under way or ready: memory stays bounded.

**Your turn.** `crew` does the talking (you will see it below). `crew.ask(worker)` has a worker make the next batch that nobody makes yet, and
appends to `crew.asked` a pair `(worker, slot)`; when no batch is left, it does nothing. `crew.receive(worker, slot)` waits for the batch, or for
END.

1. Ask every worker once, in turn, `prefetch_factor` times over.
2. As long as anybody is asked: take the first pair off `crew.asked` (`popleft`) and receive. END means that this worker's stream has ended: go on
   with the next. Otherwise ask the *same* worker again, and only then yield the batch, so that it works while the network does.
"""

# %% nbgrader={"grade": false, "grade_id": "in-turn", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def in_turn(crew, num_workers, prefetch_factor):
    """A crew's batches in order, `prefetch_factor * num_workers` of them under way."""
    ### BEGIN SOLUTION
    for _ in range(prefetch_factor):
        for worker in range(num_workers):
            crew.ask(worker)
    while crew.asked:
        worker, slot = crew.asked.popleft()
        batch = crew.receive(worker, slot)
        if batch is not END:
            crew.ask(worker)
            yield batch
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-in-turn", "locked": true, "points": 12, "schema_version": 3, "solution": false, "task": false}
def test_unit_in_turn():
    """Workers are asked ahead of time, and batches are taken in the order in which they were asked for."""
    class Paper:
        """A crew of paper: batch n is the number n, in slot 50 + n, and `told` is all that was said."""
        def __init__(self, batches, ends=()):
            self.numbers, self.ends, self.asked, self.told = iter(range(batches)), ends, deque(), []

        def ask(self, worker):
            for number in itertools.islice(self.numbers, 1):
                self.asked.append((worker, 50 + number))
                self.told.append(f"ask {worker}")

        def receive(self, worker, slot):
            self.told.append(f"take {worker}")
            return END if slot - 50 in self.ends else slot - 50

    crew = Paper(7)
    expect.same(lambda: list(in_turn(crew, 2, 2)), list(range(7)), "all batches, in order", mistaken={
        "ask again for each batch that you take": [0, 1, 2, 3], "take the first of crew.asked: popleft": lambda got: sorted(got) == list(range(7))})
    expect.same(lambda: crew.told[:4], ["ask 0", "ask 1", "ask 0", "ask 1"], "in turn, twice", hint="every worker once, prefetch_factor times over")
    expect.same(lambda: crew.told[4:8], ["take 0", "ask 0", "take 1", "ask 1"], "who has given a batch is asked for another",
                hint="ask the worker whose batch you took")
    for workers, ahead in [(1, 3), (3, 2)]:
        crew = Paper(20)
        batches = in_turn(crew, workers, ahead)
        expect.same(lambda: [next(batches) for _ in range(5)], [0, 1, 2, 3, 4], f"{workers} workers, {ahead} each")
        expect.same(lambda: len(crew.asked), workers * ahead, "while the network works, so many are under way", mistaken={
            "ask before you yield": workers * ahead - 1})
    crew = Paper(9, ends=[4, 6, 7, 8])                     # worker 0's stream ends at batch 4, worker 1's at batch 7
    expect.same(lambda: list(in_turn(crew, 2, 2)), [0, 1, 2, 3, 5], "when one stream has ended, the others go on", mistaken={
        "END is no batch: do not yield it": lambda got: END in got}, hint="END is of one worker only: go on with the next")
    expect.same(lambda: crew.told.count("ask 0"), 4, "and nobody asks there again", hint="ask again only where a batch came")

test_unit_in_turn()

# %% [markdown]
"""
### Shared memory

A pipe copies everything twice, into the kernel and out of it. So arrays take another way: a file that lives in memory and that both processes hold
open. The worker writes a batch's arrays into it; the main process looks at the same memory through `mmap`, without copying. Only an outline goes
through the pipe. `pickle` of protocol 5 makes it: it hands every array to `buffer_callback`, and gives what is left.

```
 worker                     shared file                          main process
 [images, labels]  write    ┌───────────────────┬──────────┐     mmap
        ├─────────────────► │ images            │ labels   │ ◄──────────── images.data, labels.data
        │                   └───────────────────┴──────────┘                    ▲
        │                   0                16384      16896                   │
        └── pipe: "a list of two Tensors, at 0–16384 and 16384–16896" ──────────┘
```

The file has no name (`tempfile.TemporaryFile`), so the system frees it when the last process that holds it is gone, however that comes about. Named
shared memory would be left behind by a crash.
"""

# %%
#| export
def pack(batch, file):
    """A batch as (outline, places): its arrays stand in the file.  Without one, or where it is full, the outline holds them."""
    arrays, places, end = [], [], 0
    outline = pickle.dumps(batch, 5, buffer_callback=arrays.append if file else None)
    try:
        for raw in (array.raw() for array in arrays):
            start = math.ceil(end / 64) * 64               # numbers of any size lie well there
            end = start + raw.nbytes
            places.append((start, end))
            file.seek(start)
            if file.write(raw) < raw.nbytes:
                raise OSError("the file is full")
    except OSError:
        return pickle.dumps(batch, 5), []
    return outline, places

# %% [markdown]
"""
### The worker's side

A worker waits for `(number, slot)`, makes that batch, and answers. What goes wrong in a dataset is not the worker's to bear: `answer` sends the
error, with its traceback as text. A worker whose main process is gone has nobody to work for: `end_with` looks twice a second who its parent is,
because a process that lost its parent is given another. And a stream has no numbers to share out: each worker has a copy of all of it, and every
sample comes twice, unless the dataset asks `get_worker_info`, which is None where there are no workers.
"""

# %%
#| export
WorkerInfo = namedtuple("WorkerInfo", "id num_workers seed dataset")
worker_info = None                                         # in a worker: what it is


def get_worker_info():
    """In a worker: its `id`, `num_workers`, `seed` and `dataset`; elsewhere None.  As `torch.utils.data.get_worker_info`.

    A stream shares itself out with it, in `__iter__`: `itertools.islice(numbers, info.id, None, info.num_workers)`.
    """
    return worker_info


def work(epoch, worker, num_workers, pipe, files, parent):
    """What a worker process does, until it is killed: make each batch that it is asked for."""
    global worker_info
    signal.signal(signal.SIGINT, signal.SIG_IGN)           # Ctrl-C reaches every process of a terminal; the main one decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=end_with, args=(parent,), daemon=True).start()
    worker_info = WorkerInfo(worker, num_workers, epoch.seed + worker, epoch.dataset)
    with contextlib.suppress(EOFError, ConnectionError):   # the main process is gone
        for number, slot in iter(pipe.recv, None):         # on and on, or until it hears None
            pipe.send(answer(epoch, worker, number, None if slot is None else files[slot]))


def end_with(parent):
    """End this process when the one that started it is gone."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def answer(epoch, worker, number, file):
    """What a worker says: the batch (or END), packed, or an error to raise."""
    try:
        if epoch.init is not None:
            init, epoch.init = epoch.init, None            # once
            init(worker)
        return pack(epoch.make(number), file)
    except Exception as error:
        return told(error, worker)


class Text(str):
    """Text that a KeyError shows as it is."""
    __repr__ = str.__str__


def told(error, worker):
    """An error with its traceback as its text: of the same kind where that is one of Python's own, else a RuntimeError."""
    text = Text(f"in worker {worker}: {type(error).__name__}: {error}\n\n{''.join(traceback.format_exception(error))}")
    if type(error).__module__ == "builtins" and not isinstance(error, StopIteration):
        with contextlib.suppress(TypeError):               # a UnicodeError wants more than a text
            return type(error)(text)
    return RuntimeError(text)

# %% [markdown]
"""
### The main process's side

The crew holds the workers, each with its pipe, and the shared files, each a *slot* for one batch. A slot is free again when nothing refers to the
batch in it any more; `weakref.finalize` calls `free.append` at that moment. So a batch stays as it is for as long as you keep it. Where no slot is
free, because you keep many, a batch goes through the pipe.

A process can be killed at any time, by the system when memory runs out, or by somebody's library. Its pipe would be silent for ever. So `receive`
waits for several things at once: an answer, or the end of any worker (its `sentinel`).
"""

# %%
#| export
class Crew:
    """Worker processes, each with a pipe, and shared files, each with room for a batch."""
    def __init__(self, epoch, loader):
        self.epoch, self.num_workers, self.workers, self.asked = epoch, loader.num_workers, [], deque()
        self.numbers = iter(epoch.numbers)
        self.method = loader.multiprocessing_context or ("fork" if hasattr(os, "fork") else "spawn")
        slots = loader.prefetch_factor * loader.num_workers + 2                        # two more: one in the user's hands, one coming
        folder = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None                # a file system in memory
        self.files = [tempfile.TemporaryFile(dir=folder, buffering=0) for _ in range(slots)] if self.method == "fork" else []
        self.free = list(range(len(self.files)))

    def start(self):
        """Start the workers."""
        context = multiprocessing.get_context(self.method)
        for worker in range(self.num_workers):
            ours, theirs = context.Pipe()
            process = context.Process(target=work, args=(self.epoch, worker, self.num_workers, theirs, self.files, os.getpid()), daemon=True)
            try:
                process.start()
            except (pickle.PicklingError, AttributeError, TypeError) as error:
                raise TypeError("DataLoader: without fork, dataset, transforms and collate_fn must come from an importable file") from error
            theirs.close()
            self.workers.append((process, ours))

    def ask(self, worker):
        """Have a worker make the next batch that nobody makes yet, if there is one."""
        number = next(self.numbers, None)
        if number is not None:
            slot = self.free.pop() if self.free else None
            with contextlib.suppress(ConnectionError):     # it has just died: whoever receives will find out how
                self.workers[worker][1].send((number, slot))
            self.asked.append((worker, slot))

    def receive(self, worker, slot):
        """A worker's batch, or END.  Raises what went wrong there; RuntimeError where it has died."""
        process, pipe = self.workers[worker]
        ready = wait([pipe, *(each.sentinel for each, _ in self.workers)])
        if dead := [(number, each) for number, (each, _) in enumerate(self.workers) if each.sentinel in ready]:
            raise RuntimeError(death(*dead[0]))
        try:
            said = pipe.recv()
        except (EOFError, ConnectionError):                # it dies while it speaks
            raise RuntimeError(death(worker, process)) from None
        if isinstance(said, Exception):
            raise said
        outline, places = said
        filled = places and places[-1][1] > 0
        memory = np.frombuffer(mmap.mmap(self.files[slot].fileno(), 0) if filled else b"", np.uint8)       # 0: all of the file
        if slot is not None:
            weakref.finalize(memory, self.free.append, slot)
        return pickle.loads(outline, buffers=[memory[start:end] for start, end in places])


def death(worker, process):
    """How a worker came to its end, in words."""
    process.join(1)
    code = process.exitcode
    how = f"ended with exit code {code}" if code is None or code >= 0 else f"was killed by {signal.Signals(-code).name}"
    why = "; the system does that when memory runs out" if code == -9 else ""
    return (f"DataLoader: worker {worker} (process {process.pid}) {how}{why}. "
            "With num_workers=0 the same happens in this process, where it can be looked at")

# %% [markdown]
"""
And the end. A generator's `finally` runs when it is exhausted, when an error passes, and when nobody refers to it any more, as after `break`. Workers
own nothing that would need tidying up: no name in a folder, no lock. So they are simply killed, and waited for, because a dead process stays in the
system's list until its parent has asked how it ended (a *zombie*).
"""

# %%
#| export
def in_workers(epoch, loader):
    """The batches of an epoch, made by worker processes, in order."""
    crew, owner = Crew(epoch, loader), os.getpid()
    try:
        crew.start()
        yield from in_turn(crew, loader.num_workers, loader.prefetch_factor)
    finally:
        if os.getpid() == owner:                           # and not a process that was forked from ours
            for process, _ in crew.workers:
                process.kill()
                process.join()
        for file in (*(pipe for _, pipe in crew.workers), *crew.files):
            file.close()

# %% nbgrader={"grade": true, "grade_id": "test-workers", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_workers():
    """Any number of workers gives the same batches, and nothing of them stays behind."""
    from unittest import mock

    def collate(samples):
        if 13 in samples and get_worker_info():
            trouble()
        return default_collate(samples), {"image": np.full((2, 3), random.random())}, default_generator.random(), np.random.random()

    def loader(num_workers, **how):
        return DataLoader(range(23), 4, True, num_workers=num_workers, collate_fn=collate, generator=np.random.default_rng(5), **how)

    expect.same(lambda: (pickle.loads(pack([1, 2], None)[0]), get_worker_info()), ([1, 2], None), "a batch by pipe, where there is no worker")
    trouble, (ours, theirs) = lambda: 1 / 0, multiprocessing.Pipe()
    for order in [(0, 0), (3, 0), None]:
        ours.send(order)
    with mock.patch("signal.signal"), mock.patch("threading.Thread"), mock.patch.dict(work.__globals__, worker_info=None):
        work(Epoch(DataLoader(range(23), 4, collate_fn=collate)), 0, 1, theirs, [None], os.getppid())
    expect.same(lambda: [len(ours.recv()), type(ours.recv())], [2, ZeroDivisionError], "a worker answers with a batch, or with an error")
    with mock.patch.object(os, "_exit", side_effect=SystemExit):
        expect.raises(SystemExit, lambda: end_with(-1), "it ends when its parent is gone")
    expect.true(lambda: "SIGKILL" in death(1, mock.Mock(exitcode=-9)), "how a worker came to its end is told")
    if not hasattr(os, "fork"):                            # a notebook's functions cannot be found by a process that starts anew
        return
    left = lambda: [process for process in multiprocessing.active_children() if process.name.startswith("ForkProcess")]
    for each, kind, word in [(lambda: 1 / 0, ZeroDivisionError, "worker"), (lambda: os.kill(os.getpid(), 9), RuntimeError, "SIGKILL"),
                             (lambda: os._exit(3), RuntimeError, "exit code 3")]:
        trouble = each
        expect.raises(kind, lambda: list(loader(2)), "trouble in a worker is told", match=word)
        expect.same(lambda: left(), [], "and none is left")
    trouble = lambda: None
    for workers, ahead in [(1, 1), (2, 2), (3, 1)]:
        expect.same(lambda: list(loader(workers, prefetch_factor=ahead)), list(loader(0)), f"{workers} workers, the same batches, to the last bit")
    first = next(iter(loader(2)))
    expect.same(lambda: (left(), first), ([], next(iter(loader(0)))), "after break no worker is left, and the batch is still there")

test_unit_workers()

# %% tags=["analysis"]
figure, axes = plt.subplots(3, 1, figsize=(9, 5), sharex=True)
for num_workers, axis in enumerate(axes):
    timeline(axis, num_workers)
axes[-1].set_xlabel("seconds; orange: a batch is made, blue: a step of training"); figure.tight_layout(); plt.show()

# %% [markdown]
"""
That is the timeline again, with one worker and with two. With one the two kinds of work overlap. With two there are three processes: look at the
longer bars if the machine has only two processors.

### Does it pay?

Workers cost something: starting them, and a message a batch. Here are batches of 32 pictures, with more and more work a picture:
"""

# %% tags=["analysis"]
import timeit

def pictures(rounds):
    """512 pictures (3, 32, 32), each after some rounds of work."""
    def change(image):
        costly(rounds)
        return image
    return TensorDataset(np.ones((512, 3, 32, 32), "float32"), np.arange(512), transform=change)


def milliseconds(loader, epochs=1):
    """The shortest of some epochs, with the start of the workers."""
    return min(timeit.repeat(lambda: deque(loader, maxlen=0), number=1, repeat=epochs)) * 1e3


print(f"{os.cpu_count()} processors. Milliseconds for 512 pictures:\n\n  µs a picture   0 workers   1 worker   2 workers   gain of 2")
gains = []
for rounds in (0, 5, 10, 20, 50, 100):
    none, one, two = (milliseconds(DataLoader(pictures(rounds), 32, num_workers=workers), 3) for workers in (0, 1, 2))
    gains.append((none / 512 * 1e3, none / two))
    print(f"  {gains[-1][0]:12.0f} {none:11.0f} {one:10.0f} {two:11.0f} {gains[-1][1]:11.2f}")
crossing = next((cost for cost, gain in gains if gain > 1), None)
print(f"\n2 workers gain from about {crossing:.0f} µs a picture on" if crossing else "\n2 workers never gain here: is another program at work?")

# %% [markdown]
"""
Below the crossing point workers *lose*: the messages cost more than the work. For data in memory, such as our digits, `num_workers=0` is right. Far
above it the gain approaches the number of processors that are free, and no more.

Waiting is different. A batch that takes 8 ms to come over a network costs no processor, and many workers can wait at once. And an error in a worker
comes with its own traceback, which names the line to mend:
"""

# %% tags=["analysis"]
for num_workers in (0, 1, 2, 4, 8):
    far_away = DataLoader(range(32), num_workers=num_workers, collate_fn=lambda samples: time.sleep(0.008))
    print(f"{num_workers} workers: {milliseconds(far_away):4.0f} ms")

try:
    list(DataLoader(range(8), num_workers=2, collate_fn=lambda samples: 12 / (samples[0] - 5)))
except ZeroDivisionError as error:
    print(error)

# %% [markdown]
"""
## 8 · Real data from elsewhere

MNIST comes in four files of a simple format, IDX. Four bytes say what it is, then each axis has its length in four bytes, the largest first
(`>I` in the words of `struct`), then come the pixels:

```
 00 00  08     03     00 00 EA 60   00 00 00 1C   00 00 00 1C   00 00 00 7F …
 zeros  bytes  3 axes    60000          28            28        pixels, row by row
```

Data from outside is never trusted: a header that promises more than is there must be an error here, not a strange picture later.

**Your turn.** `data` is the file's content. Fewer than four bytes, a beginning other than 0 0 8, a header that is cut off, or pixels too few or too
many are a ValueError; the last one says the shape, how many bytes it needs, and how many there are. `struct.unpack_from(">2I", data, 4)` reads two
lengths from byte 4 on.
"""

# %% nbgrader={"grade": false, "grade_id": "read-idx", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def read_idx(data):
    """The array of uint8 that the content of an IDX file describes.  ValueError where it is not one.

    >>> read_idx(bytes([0, 0, 8, 2, 0, 0, 0, 1, 0, 0, 0, 3, 7, 8, 9]))
    array([[7, 8, 9]], dtype=uint8)
    """
    ### BEGIN SOLUTION
    if len(data) < 4 or data[:3] != b"\0\0\x08":
        raise ValueError(f"IDX: a file of bytes begins with 0 0 8, not with {list(data[:3])}")
    header = 4 + 4 * data[3]
    if len(data) < header:
        raise ValueError(f"IDX: {data[3]} axes need a header of {header} bytes; the file has {len(data)}")
    shape = struct.unpack_from(f">{data[3]}I", data, 4)
    if len(data) - header != math.prod(shape):
        raise ValueError(f"IDX: shape {shape} needs {math.prod(shape)} bytes; the file has {len(data) - header}")
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-read-idx", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_read_idx():
    """An IDX file is read as it describes itself, and refused where it lies."""
    idx = lambda *shape: bytes([0, 0, 8, len(shape)]) + b"".join(n.to_bytes(4, "big") for n in shape)         # a header
    for shape in [(3,), (2, 3), (2, 3, 4), (0, 28, 28), (300,)]:
        want = np.arange(math.prod(shape)).astype("uint8").reshape(shape)
        expect.same(lambda: read_idx(idx(*shape) + want.tobytes()), want, f"shape {shape}",
                    hint="data[3] axes, their lengths from byte 4 on, the largest byte first, then the pixels",
                    raises={struct.error: 'the lengths are read by f">{data[3]}I"', ValueError: "the header has 4 + 4 * axes bytes"})
    for what, data in {"nothing": b"", "three bytes": idx(2)[:3], "a text": b"P5 28 28 255 ....", "a header cut off": idx(2, 3)[:9],
                       "other numbers than bytes": b"\0\0\x0d" + idx(2)[3:] + b"ab", "no kind": b"\0\0\5" + idx(2)[3:] + b"ab"}.items():
        expect.raises(ValueError, lambda: read_idx(data), f"{what} is refused", hint="look at the length before you read, and compare it at the end")
    for shape, have, need in [((2, 3), 5, 6), ((2, 3), 7, 6), ((60000, 28, 28), 10, 47040000)]:
        expect.raises(ValueError, lambda: read_idx(idx(*shape) + bytes(have)), f"{have} pixels of {need} are refused", match=f"{shape} {have} {need}",
                      hint="compare the bytes after the header with math.prod(shape), and name both")

test_unit_read_idx()

# %% [markdown]
"""
The rest is given. A download can break off, or be somebody else's file. So it goes to `name.part` first, is continued where it broke off (`Range` in
the request), is compared with the published fingerprint (sha256: nobody can make another file that has it), and only then gets its name. A wrong one
is deleted. The archive is never unpacked onto the disk, where a member called `../../something` could land anywhere; its files are read by name, in
memory.
"""

# %%
#| export
MNIST = {                                                  # name: (bytes, sha256), in the order of download_mnist
    "train-images-idx3-ubyte.gz": (9912422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
    "train-labels-idx1-ubyte.gz": (28881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
    "t10k-images-idx3-ubyte.gz": (1648877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
    "t10k-labels-idx1-ubyte.gz": (4542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
}
MNIST_MIRRORS = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/")
CIFAR10 = {"cifar-10-binary.tar.gz": (170052171, "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd")}
CIFAR10_MIRRORS = ("https://www.cs.toronto.edu/~kriz/",)


def is_published(path, sha256):
    """Whether a file is there and is, to the last bit, the one that was published."""
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256


def fetch(url, part, size):
    """Download what is missing in `part` of a file of `size` bytes."""
    from urllib.request import Request, urlopen
    have = part.stat().st_size if part.exists() else 0
    request = Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    with urlopen(request, timeout=30) as reply, part.open("ab" if reply.status == 206 else "wb") as file:
        while file.tell() <= size and (piece := reply.read(1 << 16)):
            file.write(piece)


def download(name, size, sha256, folder, mirrors):
    """The path of a published file in `folder`, downloaded if need be from the first of `mirrors` that has it.

    ConnectionError, which says what to do by hand, where none has.
    """
    from http.client import HTTPException
    path, part, troubles = Path(folder) / name, Path(folder) / f"{name}.part", []
    if is_published(path, sha256):
        return path
    part.parent.mkdir(parents=True, exist_ok=True)
    for mirror in (*mirrors, *mirrors):                    # twice: what broke off goes on
        try:
            fetch(mirror + name, part, size)
            trouble = f"{part.stat().st_size} of {size} bytes came, not the published file"
        except (OSError, HTTPException) as error:
            trouble = f"{error}"
        if is_published(part, sha256):
            part.replace(path)
            return path
        troubles.append(f"{mirror}: {trouble}")
        if part.exists() and part.stat().st_size >= size:
            part.unlink()
    raise ConnectionError(f"{name} could not be downloaded ({'; '.join(dict.fromkeys(troubles))}). "
                          f"Get {mirrors[0]}{name} where there is a network, and put it at {path.resolve()}")

# %%
#| export
def read_cifar10(path, names):
    """Of CIFAR-10's archive the files `names`, each (n, 3073) bytes: a label and 3 × 32 × 32 pixels a row.  ValueError for others."""
    try:
        with tarfile.open(path, "r:gz") as archive:
            members = [archive.getmember(f"cifar-10-batches-bin/{name}.bin") for name in names]
            if not all(member.isfile() for member in members):
                raise KeyError("its members are links")
            return [np.frombuffer(archive.extractfile(member).read(), np.uint8).reshape(-1, 3073) for member in members]
    except (tarfile.TarError, KeyError, EOFError, ValueError) as error:
        raise ValueError(f"{path} is not the archive of CIFAR-10: {error}") from error


def labelled(images, labels):
    """A TensorDataset of images from 0 to 1, (n, C, H, W), and their classes."""
    return TensorDataset(images.astype("float32") / 255, labels.astype("int64"))


def download_mnist(folder=None, mirrors=MNIST_MIRRORS, files=MNIST):
    """MNIST as two TensorDatasets, (train, test): images (60000, 1, 28, 28) and (10000, 1, 28, 28), float32 from 0 to 1, and labels.

    Kept in `folder`, which is datasets/mnist unless it is given.
    """
    arrays = []
    for name, (size, sha256) in files.items():
        with gzip.open(download(name, size, sha256, folder or datasets_folder() / "mnist", mirrors)) as file:
            arrays.append(read_idx(file.read()))
    return labelled(arrays[0][:, None], arrays[1]), labelled(arrays[2][:, None], arrays[3])


def download_cifar10(folder=None, mirrors=CIFAR10_MIRRORS, files=CIFAR10):
    """CIFAR-10 as two TensorDatasets, (train, test): images (50000, 3, 32, 32) and (10000, 3, 32, 32), float32 from 0 to 1, and labels.

    Kept in `folder`, which is datasets/cifar10 unless it is given.
    """
    (name, (size, sha256)), = files.items()
    path = download(name, size, sha256, folder or datasets_folder() / "cifar10", mirrors)
    *train, test = read_cifar10(path, [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"])
    return tuple(labelled(rows[:, 1:].reshape(-1, 3, 32, 32), rows[:, 0]) for rows in (np.concatenate(train), test))

# %% nbgrader={"grade": true, "grade_id": "test-module", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_module():
    """Everything together: from files to shuffled, changed batches, once with a worker and once without."""
    import io
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.savez(folder / "digits.npz", images=np.full((12, 8, 8), 16, "uint8"), labels=np.arange(12))
        digits = load_digits(folder / "digits.npz")
        expect.same(lambda: digits[11], (Tensor(np.ones((1, 8, 8))), Tensor(11)), "a digit has an axis for the channel, and ink is 1")
        expect.raises(FileNotFoundError, lambda: load_digits(datasets_folder() / "x.npz"), "what is not there is named", match="datasets x.npz")

        def publish(name, content):                        # as a mirror would have it
            (folder / name).write_bytes(content)
            return name, (len(content), hashlib.sha256(content).hexdigest())

        idx = lambda *shape: gzip.compress(bytes([0, 0, 8, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + bytes(math.prod(shape)))
        mirrors = ["file:///nowhere/", folder.as_uri() + "/"]
        files = dict(publish(f"{i}.gz", idx(*shape)) for i, shape in enumerate([(5, 28, 28), (5,), (2, 28, 28), (2,)]))
        train, test = download_mnist(folder / "mnist", mirrors, files)
        expect.same(lambda: [train.tensors[0].shape, len(test)], [(5, 1, 28, 28), 2], "MNIST from the second mirror")
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            for name in [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]:
                member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
                member.size = 2 * 3073
                archive.addfile(member, io.BytesIO(bytes([3] + [255] * 3072) * 2))
        train, test = download_cifar10(folder / "cifar", mirrors, dict([publish("cifar.tar.gz", packed.getvalue())]))
        expect.same(lambda: (train.tensors[0].shape, test[1]), ((10, 3, 32, 32), (Tensor(np.ones((3, 32, 32))), Tensor(3))), "CIFAR-10")
        new = folder / "new"
        expect.raises(ConnectionError, lambda: download("0.gz", 9, "0" * 64, new, mirrors), "a wrong file is refused", match="published put")
        expect.same(lambda: list(new.iterdir()), [], "and not kept")

    change = Compose([RandomCrop(4, padding=1), RandomHorizontalFlip()])
    data = TensorDataset(np.arange(30.0).repeat(16).reshape(30, 1, 4, 4), np.arange(30), transform=change)
    train, held = random_split(data, [0.8, 0.2], np.random.default_rng(0))
    runs = [list(DataLoader(train, 5, shuffle=True, num_workers=n, drop_last=True, generator=np.random.default_rng(1)))
            for n in (0, 1 * hasattr(os, "fork"))]
    expect.same(lambda: runs[1], runs[0], "with a worker as without, to the last bit")
    expect.same(lambda: [(x.shape, y.shape) for x, y in runs[0]], [((5, 1, 4, 4), (5,))] * 4, "four whole batches")
    expect.true(lambda: all(x.max().item() == y.max().item() for x, y in runs[0]), "each image with its own label")
    expect.same(lambda: len(DataLoader(held, 4)), 2, "its len")
    for base in (lambda: Dataset()[0], lambda: iter(IterableDataset()), lambda: iter(Sampler())):
        expect.raises(NotImplementedError, base, "a subclass must say how", match="needs a method")

test_module()

# %% [markdown]
"""
## 9 · In your own words

**Question 1.** A batch takes 12 ms to make and 5 ms to learn from. The machine has four processors. How many workers do you take, and what does a
step cost then? What if making it took 2 ms?
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-how-many", "locked": false, "points": 4, "schema_version": 3, "solution": true, "task": false}
"""
Without workers a step costs 12 + 5 = 17 ms. With w workers a batch comes every 12 / w ms: with three every 4 ms, which is less than the 5 ms of
learning. Then the network never waits, and a step costs 5 ms; three workers and the main process fill four processors. More would only take memory.
At 2 ms one worker is enough (2 < 5), and saves 2 ms of 7, less what messages cost.
"""

# %% [markdown]
"""
**Question 2.** Somebody's loader gives each *worker* a seed when it starts, and keeps the batches in order. With two workers and with four, a run
with the same seed ends at different accuracies. Why? How does ours avoid it?
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-seeds", "locked": false, "points": 4, "schema_version": 3, "solution": true, "task": false}
"""
With two workers, batch 2 is the second batch of worker 0; with four, the first of worker 2. It has the same samples, but its flips are drawn from
another generator, at another place in it. Ours seeds each batch by the epoch's seed and the batch's number, which do not depend on who makes it.
"""

# %% [markdown]
"""
## Where you are

Datasets, samplers, batches, and processes that prepare them, with the same result for any number of them. Next: `tito module complete 08`. From
here on a network is trained by `for x, y in loader`.
"""
