"""Inputs and calls for the judge: never an expected value.  The reference's answers to the same calls are the expectation."""

import collections
import itertools
import math
import multiprocessing
import os
import random
import struct

import numpy as np

from tito.check.probing import close, exact, holds, probe, raised, statistics


def tensor(tinytorch, array):
    """A Tensor with the dtype of the array."""
    return tinytorch.Tensor(array, dtype=np.asarray(array).dtype)


def own(rng):
    """A generator of its own, from the probe's."""
    return np.random.default_rng(int(rng.integers(2**31)))


# ---- datasets ----------------------------------------------------------------------------------

@probe("test-tensor-dataset", exact)
def samples_of_tensors(tinytorch, rng):
    answers = []
    for n, shape in [(1, ()), (5, (3,)), (4, (1, 2, 3)), (3, (0,))]:
        for dtype in ("float32", "float64", "int64", "uint8"):
            x, y = np.asarray(rng.normal(size=(n, *shape)) * 9).astype(dtype), rng.integers(0, 9, size=n)
            data = tinytorch.TensorDataset(tensor(tinytorch, x), y, y.tolist())
            answers += [len(data), [[type(part).__name__ for part in data[i]] for i in range(n)], [list(data[i]) for i in range(-n, n)]]
            twice = tinytorch.TensorDataset(tensor(tinytorch, x), y, transform=lambda image: image * 2)
            answers += [[list(twice[i]) for i in range(n)], isinstance(twice[0], tuple), raised(lambda: data[n])]
    return answers


@probe("test-tensor-dataset", exact)
def lengths_of_tensors(tinytorch, rng):
    n = int(rng.integers(2, 6))
    shapes = [[(n,), (n + 1,)], [(n, 1), (1, n)], [(), ()], [(n,), ()], [()], [], [(n,)], [(n, 2), (n, 3), (n,)], [(0,), (0, 3)], [(0,), (n,)]]
    history = tinytorch.TensorDataset(tinytorch.Tensor(np.ones((n, 2)), requires_grad=True))[0][0]
    return [[raised(lambda: tinytorch.TensorDataset(*(np.zeros(shape) for shape in several))) for several in shapes], history.requires_grad]


@probe("test-random-split", holds(lambda got, want: got == want and all(len(set(parts)) > 1 for parts in got[-1])))
def parts_at_random(tinytorch, rng):
    n = int(rng.integers(40, 60))
    lengths = [[n], [n - 5, 5], [10, 10, n - 20], [0.5, 0.5], [0.3, 0.3, 0.2, 0.2], [0.1] * 10, [1.0], [0, n], [1 / 3] * 3]
    data, answers, orders = list(range(1000, 1000 + n)), [], []
    for several in lengths:
        parts = tinytorch.random_split(data, several, own(rng))
        drawn = [sample for part in parts for sample in part]
        answers += [type(parts).__name__, [type(part).__name__ for part in parts], [len(part) for part in parts], sorted(drawn), drawn == data]
    seeds = [own(rng) for _ in range(3)]
    states = [seed.bit_generator.state for seed in seeds]
    for seed, state in zip(seeds, states, strict=True):
        first = list(tinytorch.random_split(data, [n], seed)[0])
        seed.bit_generator.state = state
        answers.append(list(tinytorch.random_split(data, [n], seed)[0]) == first)
        orders.append(",".join(map(str, first)) + "")
    wrong = [[n + 1], [n - 1], [0.5, 0.4], [1.2, -0.2], [n, 1], [], [-1, n + 1][:1], [0.6, 0.6]]
    answers.append([raised(lambda: tinytorch.random_split(data, several, own(rng))) for several in wrong])
    return [*answers, [[str(len(set(orders))), "orders"]]]


@probe("test-random-split", statistics())
def first_of_a_part(tinytorch, rng):
    generator = own(rng)
    return np.array([tinytorch.random_split(range(50), [0.5, 0.5], generator)[k][0] for k in (0, 1) for _ in range(400)])


# ---- samplers ----------------------------------------------------------------------------------

@probe("test-samplers", exact)
def orders(tinytorch, rng):
    answers = []
    for n in (0, 1, 2, 7, 30):
        data = list(range(500, 500 + n))
        answers.append(list(tinytorch.SequentialSampler(data)))
        sampler = tinytorch.RandomSampler(data, generator=own(rng))
        drawn = [list(sampler) for _ in range(4)]
        answers += [[sorted(each) for each in drawn], all(type(i) is int for each in drawn for i in each), len(sampler)]
        answers.append(n < 30 or len({tuple(each) for each in drawn}) == 4)
        for m in (1, n, 2 * n + 1, 3 * n) if n else (0,):
            order = list(tinytorch.RandomSampler(data, num_samples=m, generator=own(rng)))
            answers += [len(order), [sorted(order[k:k + n]) for k in range(0, m - n + 1, n)] if n else []]
            answers.append(len(set(order[m - m % n:] if n else order)))
            answers.append(n < 30 or m < 2 * n or order[:n] != order[n:2 * n])
            again = list(tinytorch.RandomSampler(data, replacement=True, num_samples=m, generator=own(rng))) if n else []
            answers += [len(again), all(type(i) is int and 0 <= i < n for i in again)]
    return answers


@probe("test-samplers", exact)
def repeated_orders(tinytorch, rng):
    seed, answers = int(rng.integers(2**31)), []
    for how in ({}, {"replacement": True}, {"num_samples": 70}, {"num_samples": 7}):
        a, b, c = (list(tinytorch.RandomSampler(range(30), generator=np.random.default_rng(s), **how)) for s in (seed, seed, seed + 1))
        answers += [a == b, a == c, len(set(a[:30])) < len(a[:30])]
    return answers


@probe("test-samplers", statistics())
def places_of_a_number(tinytorch, rng):
    sampler = tinytorch.RandomSampler(range(40), generator=own(rng))
    return np.array([list(sampler).index(k) for k in (0, 39) for _ in range(400)])


@probe("test-samplers", statistics())
def drawn_with_replacement(tinytorch, rng):
    return np.array(list(tinytorch.RandomSampler(range(40), replacement=True, num_samples=4000, generator=own(rng))))


@probe("test-batch-sampler", exact)
def lists(tinytorch, rng):
    answers = []
    for n, size, drop in itertools.product((0, 1, 2, 5, 8, 12), (1, 2, 4, 5, 20), (False, True)):
        numbers = rng.integers(0, 99, size=n).tolist()
        sampler = tinytorch.BatchSampler(numbers, size, drop)
        batches = list(sampler)
        answers += [batches, len(sampler), list(sampler), len({id(batch) for batch in batches}), [type(batch).__name__ for batch in batches]]
    taken = []
    slow = iter(tinytorch.BatchSampler((taken.append(i) or i for i in range(50)), 3, bool(rng.integers(2))))
    return [*answers, [[next(slow), len(taken)] for _ in range(5)]]


# ---- collate -----------------------------------------------------------------------------------

@probe("test-default-collate", exact)
def arrays_and_numbers(tinytorch, rng):
    answers, collate = [], tinytorch.default_collate
    for n, shape in itertools.product((1, 4), [(), (3,), (2, 0), (1, 2, 3)]):
        for dtype in ("float32", "float64", "int64", "uint8", "bool"):
            arrays = [np.asarray(rng.integers(0, 2 if dtype == "bool" else 200, size=shape)).astype(dtype) for _ in range(n)]
            answers += [collate(arrays), collate([tensor(tinytorch, array) for array in arrays]), collate(tuple(arrays))]
            answers += [type(collate(arrays)).__name__]
    numbers = rng.integers(-99, 2**40, size=5)
    return [*answers, collate(numbers.tolist()), collate([float(x) / 7 for x in numbers]), collate(list(numbers)), collate([True, False]),
            collate([np.float32(1.5), np.float32(2.5)]), collate([2**24 + 1])]


@probe("test-default-collate", exact)
def structures(tinytorch, rng):
    collate, pair = tinytorch.default_collate, collections.namedtuple("pair", "x y")
    numbers = rng.integers(0, 99, size=8).tolist()
    a, b = rng.normal(size=(2, 3)).astype("float32"), rng.normal(size=(2, 3)).astype("float32")
    named = collate([pair(a, 1), pair(b, 2)])
    many = [[(a, 1), (b, 2)], [[a, "one"], [b, "two"]], [((a, (1,)),), ((b, (2,)),)],
            [{"x": a, "y": {"z": (1, b"u")}}, {"y": {"z": (2, b"v")}, "x": b}],
            [numbers[:4], numbers[4:]], ["ab", "c"], [b"ab", b""], [("a", "b"), ("c", "d")], ([1, 2], [3, 4]), [{}, {}], [(), ()]]
    seen = [collate(samples) for samples in many]
    return [[str(value) if isinstance(value, bytes) else value for value in flat(seen)], [type(value).__name__ for value in seen],
            type(named).__name__, named.x, named.y]


def flat(value):
    """What is in lists, tuples and dicts, one after the other, with what it is in."""
    if isinstance(value, dict):
        return [item for key, inner in value.items() for item in ("key", key, *flat(inner))]
    if isinstance(value, (list, tuple)):
        return [type(value).__name__, *(item for inner in value for item in flat(inner)), "end"]
    return [value]


@probe("test-default-collate", exact)
def what_does_not_fit(tinytorch, rng):
    n = int(rng.integers(2, 5))
    wrong = [[np.zeros(n), np.zeros(n + 1)], [np.zeros((n, 1)), np.zeros((1, n))], [np.zeros(()), np.zeros(1)], [(1, 2), (1,)], [[1], [1, 2]],
             [(1, (2, 3)), (1, (2,))], [{"x": np.zeros(n)}, {"x": np.zeros((n, n))}]]
    return [raised(lambda: tinytorch.default_collate(samples)) for samples in wrong]


# ---- transforms --------------------------------------------------------------------------------

@probe("test-transforms", close(1e-5))
def normalized(tinytorch, rng):
    answers = []
    for channels, dtype in itertools.product((1, 3), ("float32", "float64")):
        image = rng.normal(size=(channels, 4, 5)).astype(dtype)
        mean, std = rng.normal(size=channels).tolist(), rng.uniform(0.5, 2, size=channels).tolist()
        for given in (image, tensor(tinytorch, image)):
            answers += [type(tinytorch.Normalize(mean, std)(given)).__name__, tinytorch.Normalize(mean, std)(given), image]
    return answers


@probe("test-transforms", exact)
def mirrored(tinytorch, rng):
    image, seed = rng.normal(size=(3, 4, 5)).astype("float32"), int(rng.integers(2**31))
    answers = []
    for given in (image, tensor(tinytorch, image), image[0]):
        answers += [tinytorch.RandomHorizontalFlip(p, own(rng))(given) for p in (0, 0.0, 1, 1.0)]
        answers.append(type(tinytorch.RandomHorizontalFlip(1.0)(given)).__name__)
    runs = [[np.asarray(flip(image)).tolist() == image.tolist() for _ in range(30)]
            for flip in (tinytorch.RandomHorizontalFlip(0.5, np.random.default_rng(s)) for s in (seed, seed, seed + 1))]
    return [*answers, image, runs[0] == runs[1], runs[0] == runs[2]]


@probe("test-transforms", statistics())
def how_often(tinytorch, rng):
    image, generator = np.array([[0.0, 1.0]]), own(rng)
    return np.array([np.asarray(tinytorch.RandomHorizontalFlip(p, generator)(image))[0, 0] + 2 * k
                     for k, p in enumerate((0.1, 0.5, 0.8)) for _ in range(500)])


@probe("test-transforms", statistics())
def where_it_cuts(tinytorch, rng):
    image, generator = np.arange(30.0).reshape(1, 5, 6), own(rng)
    return np.array([np.asarray(tinytorch.RandomCrop((2, 4), generator=generator)(image))[0, 0, 0] for _ in range(1500)])


@probe("test-transforms", exact)
def pieces(tinytorch, rng):
    image, seed, answers = rng.normal(size=(2, 5, 6)).astype("float32"), int(rng.integers(2**31)), []
    places = {image[:, i:i + 2, j:j + 4].tobytes() for i in range(4) for j in range(3)}
    for given in (image, tensor(tinytorch, image)):
        cut = [np.ascontiguousarray(np.asarray(tinytorch.RandomCrop((2, 4), generator=own(rng))(given))) for _ in range(60)]
        answers += [[piece.shape for piece in cut], all(piece.tobytes() in places for piece in cut), type(tinytorch.RandomCrop(2)(given)).__name__]
        answers += [tinytorch.RandomCrop((5, 6))(given), tinytorch.RandomCrop((7, 8), 1)(given), tinytorch.RandomCrop(3, 2)(given).shape]
    crops = [tinytorch.RandomCrop(2, generator=np.random.default_rng(s)) for s in (seed, seed, seed + 1)]
    cuts = [[np.asarray(crop(image)).tolist() for _ in range(20)] for crop in crops]
    wrong = [raised(lambda: tinytorch.RandomCrop(size, padding)(image))
             for size, padding in [(6, 0), ((5, 7), 0), ((6, 6), 0), ((8, 6), 1), ((5, 9), 1), (5, 0)]]
    return [*answers, cuts[0] == cuts[1], cuts[0] == cuts[2], wrong, image]


# ---- the loader --------------------------------------------------------------------------------

def noisy(tinytorch, n):
    """A dataset whose samples are numbers, with four numbers drawn in four ways."""
    class Noisy(tinytorch.Dataset):
        def __len__(self):
            return n

        def __getitem__(self, index):
            return index, tinytorch.default_generator.random(), np.random.random(), random.random()

    return Noisy()


@probe("test-epoch", exact)
def batches_by_number(tinytorch, rng):
    answers, data, seed = [], noisy(tinytorch, 17), int(rng.integers(2**31))
    for how in ({}, {"shuffle": True}, {"batch_size": 5, "shuffle": True}, {"batch_size": 5, "drop_last": True},
                {"batch_sampler": [[3, 1], [2], [16, 0, 3]]}):
        epoch = tinytorch.Epoch(tinytorch.DataLoader(data, generator=np.random.default_rng(seed), **how))
        state = tinytorch.default_generator.bit_generator.state, random.getstate(), np.random.get_state()[1].tolist()
        made = [epoch.make(number) for number in (1, 0, 1, 2)]
        answers += [made[0][0].tolist() == epoch.order[1], str(made[0]) == str(made[2]), made[0][1].tolist() == made[1][1].tolist(), made]
        answers.append(state == (tinytorch.default_generator.bit_generator.state, random.getstate(), np.random.get_state()[1].tolist()))
        answers.append(list(tinytorch.DataLoader(data, generator=np.random.default_rng(seed), **how)))
    summed = tinytorch.Epoch(tinytorch.DataLoader(range(10), 4, collate_fn=lambda samples: [tinytorch.default_generator.random(), *samples]))
    return [*answers, summed.make(2)[1:], summed.make(1) == summed.make(1)]


@probe("test-epoch", exact)
def streams(tinytorch, rng):
    class Stream(tinytorch.IterableDataset):
        def __init__(self, n):
            self.n = n

        def __iter__(self):
            return iter([(i, tinytorch.default_generator.random()) for i in range(self.n)])

    def made(epoch):
        return ["END" if batch is tinytorch.END else str(batch) for batch in map(epoch.make, range(n + 2))]

    answers, seed = [], int(rng.integers(2**31))
    for n, size, drop in itertools.product((0, 1, 4, 7), (1, 3, 4), (False, True)):
        loader = tinytorch.DataLoader(Stream(n), size, drop_last=drop, generator=np.random.default_rng(seed))
        answers += [list(itertools.islice(loader, 12)), len(list(itertools.islice(loader, 12)))]
        counted = tinytorch.DataLoader(Stream(n), size, drop_last=drop, collate_fn=len)
        answers += [made(tinytorch.Epoch(loader)), made(tinytorch.Epoch(counted))]
    return answers


class Told:
    """A crew that only writes down what it is told."""

    def __init__(self, end, batches, ends):
        self.end, self.batches, self.ends, self.next = end, batches, ends, 0
        self.asked, self.told, self.orders = collections.deque(), [], {}

    def ask(self, worker):
        self.told.append(f"ask {worker}")
        if self.next < self.batches:
            self.asked.append((worker, 100 + self.next))
            self.orders.setdefault(worker, collections.deque()).append(self.next)
            self.next += 1

    def receive(self, worker, slot):
        number = self.orders[worker].popleft()
        self.told.append(f"take {worker} {slot - number}")
        return self.end if number in self.ends else number


@probe("test-in-turn", exact)
def who_is_told_what(tinytorch, rng):
    answers = []
    for batches, workers, ahead in itertools.product((0, 1, 5, 12), (1, 2, 3), (1, 2, 4)):
        ends = set(rng.choice(12, size=int(rng.integers(4)), replace=False).tolist())
        for crew in (Told(tinytorch.END, batches, set()), Told(tinytorch.END, batches, ends)):
            under_way = [(batch, len(crew.asked)) for batch in tinytorch.in_turn(crew, workers, ahead)]
            answers += [under_way, [word for word in crew.told if word.startswith("take")], crew.told if not crew.ends else []]
    return answers


@probe("test-workers", exact)
def any_number_of_workers(tinytorch, rng):
    seed, numbers = int(rng.integers(2**31)), (0, 2) if hasattr(os, "fork") else (0,)
    runs = [list(tinytorch.DataLoader(noisy(tinytorch, 11), 3, shuffle=True, num_workers=n, generator=np.random.default_rng(seed))) for n in numbers]
    left = [process for process in multiprocessing.active_children() if process.name.startswith("ForkProcess")]
    return [runs[0], str(runs[0]) == str(runs[-1]), len(left)]


# ---- files -------------------------------------------------------------------------------------

def idx(shape, pixels, kind=8, axes=None):
    """The content of an IDX file."""
    return bytes([0, 0, kind, len(shape) if axes is None else axes]) + struct.pack(f">{len(shape)}I", *shape) + pixels


@probe("test-read-idx", exact)
def what_it_holds(tinytorch, rng):
    shapes = [(), (1,), (5,), (300,), (2, 3), (1, 1, 1), (3, 28, 28), (0,), (0, 28, 28), (2, 3, 4, 5)]
    return [tinytorch.read_idx(idx(shape, rng.integers(0, 256, size=math.prod(shape), dtype="uint8").tobytes())) for shape in shapes]


@probe("test-read-idx", exact)
def what_it_refuses(tinytorch, rng):
    pixels = rng.integers(0, 256, size=12, dtype="uint8").tobytes()
    whole = idx((3, 4), pixels)
    wrong = [b"", whole[:3], whole[:4], whole[:7], whole[:11], whole[:12], whole[:-1], whole + b"\0",
             idx((3, 4), pixels, kind=9), idx((3, 4), pixels, kind=13), b"\1" + whole[1:], b"\0\1" + whole[2:],
             idx((3, 4), pixels, axes=3), idx((3, 4), pixels, axes=1), idx((3, 4), pixels, axes=255), idx((2**32 - 1,) * 2, pixels)]
    return [raised(lambda: tinytorch.read_idx(data)) for data in wrong] + [tinytorch.read_idx(whole)]


# ---- everything --------------------------------------------------------------------------------

@probe("test-module", exact)
def from_samples_to_batches(tinytorch, rng):
    seed, images, labels = int(rng.integers(2**31)), rng.normal(size=(23, 1, 4, 4)).astype("float32"), rng.integers(0, 9, size=23)
    data = tinytorch.TensorDataset(images, labels, transform=lambda image: image * 2)
    answers = []
    for size, drop in itertools.product((1, 5, 23, 40), (False, True)):
        loader = tinytorch.DataLoader(data, size, drop_last=drop, generator=np.random.default_rng(seed))
        answers += [list(loader), len(loader)]
    part, rest = tinytorch.random_split(data, [0.7, 0.3], np.random.default_rng(seed))
    shuffled = list(tinytorch.DataLoader(part, 4, shuffle=True, generator=np.random.default_rng(seed)))
    return [*answers, len(rest), sorted(float(x.max().item()) for images, _ in shuffled for x in images) != [], [x.shape for x, _ in shuffled]]
