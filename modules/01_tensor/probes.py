"""Inputs and calls for the judge of module 01: never an expected value.  The reference's answers to the same calls are the expectation."""

import numpy as np

from tito.check.probing import close, exact, forbid, holds, probe, raised

KINDS = ["float32", "float64"]
SHAPES = [(), (1,), (5,), (0,), (2, 3), (1, 4), (0, 3), (3, 0), (2, 1, 4), (2, 3, 1, 2)]


def numbers(rng, shape, kind="float32"):
    """A Tensor's worth of numbers, none of them near 0."""
    return (rng.uniform(0.5, 2, size=shape) * rng.choice([-1, 1], size=shape)).astype(kind)


def tensors(tinytorch, rng, shape):
    """One Tensor of each float dtype."""
    return [tinytorch.Tensor(numbers(rng, shape, kind), dtype=kind) for kind in KINDS]

@probe("test-as-array", exact)
def kinds_of_numbers(tinytorch, rng):
    kinds = ["float32", "float64", "int8", "int32", "int64", "uint8", "uint64", "bool"]
    given = [rng.integers(0, 100, size=shape).astype(kind) for kind in kinds for shape in ((), (3,), (2, 0), (2, 3))]
    return [[tinytorch.as_array(a), tinytorch.as_array(a, "float64"), tinytorch.as_array(a.tolist()), a] for a in given]


@probe("test-as-array", exact)
def asked_for(tinytorch, rng):
    value, kinds = float(rng.normal()), [np.float64, "float32", np.dtype("int64"), float, bool]
    return [tinytorch.as_array(data, kind) for data in (value, [value, 1], np.full((2, 1), value)) for kind in kinds]


@probe("test-as-array", exact)
def not_numbers(tinytorch, rng):
    word = "".join(rng.choice(list("abc"), 3))
    given = [word, [word], {word: 1}, None, [None, 1], object(), 1j, np.ones(2, complex), b"bytes", {1, 2}]
    return [raised(lambda: tinytorch.as_array(data)) for data in given]


@probe("test-as-array", exact)
def the_same_memory(tinytorch, rng):
    given = [numbers(rng, (4, 3)), numbers(rng, (4, 3)).T, rng.integers(0, 9, size=5), numbers(rng, 3, "float64")]
    wide = tinytorch.as_array(given[3], "float64")
    return [[bool(np.shares_memory(tinytorch.as_array(a), a)) for a in given], bool(np.shares_memory(wide, given[3])), given[3]]


@probe("test-memory-footprint", exact)
def bytes_of(tinytorch, rng):
    kinds = ["float16", "float32", "float64", "int8", "int64", "bool"]
    made = [tinytorch.Tensor(np.zeros(shape), dtype=kind) for shape in [*SHAPES, tuple(rng.integers(1, 9, 3).tolist())] for kind in kinds]
    x = tinytorch.Tensor(numbers(rng, (6, 4)))
    made += [x.T, x[0], x[::2], x[:, 1:1], x.expand(3, 6, 4), x.detach()]
    return [[t.memory_footprint(), tinytorch.memory_footprint(t)] for t in made]


# ---- 2, the door

@probe("test-lift", exact)
def any_arguments(tinytorch, rng):
    a, b = tensors(tinytorch, rng, (2, 3))[0], tinytorch.Tensor(rng.integers(-5, 5, size=3))
    lists = tinytorch.lift(lambda *args: np.array([np.sum(arg) * place for place, arg in enumerate(args, 1)]))
    mixed = tinytorch.lift(lambda x, y, z: x * y - z)
    results = [lists(a), lists(a, b), lists(2, a, 3.0, b, True), lists(), mixed(a, b, 1.5), mixed(2, a, b), mixed(a, 2, a)]
    return [[type(r).__name__ for r in results], [r.numpy() for r in results], a.numpy(), b.numpy()]


@probe("test-lift", exact)
def what_forward_sees(tinytorch, rng):
    seen = []
    look = tinytorch.lift(lambda *args: seen.append([type(arg).__name__ for arg in args]) or float(len(args)))
    x = tinytorch.Tensor(numbers(rng, (2, 2)))
    values = [float(rng.normal()), numbers(rng, (0, 2)), numbers(rng, 3, "float64"), rng.integers(0, 9, size=(1, 1)), True]
    wrapped = [tinytorch.lift(lambda: value)().numpy() for value in values]
    return [look(x).numpy(), look(x, 1, x).numpy(), look(2.5, x, np.ones(2), None).numpy(), seen, wrapped]


# ---- 3, arithmetic

PAIRS = [((), ()), ((3,), (3,)), ((2, 3), (3,)), ((2, 1, 3), (4, 1)), ((0, 3), (1, 3)), ((1,), (0,)), ((), (2, 2))]


@probe("test-arithmetic", close(1e-6))
def two_sides(tinytorch, rng):
    operations = [tinytorch.multiply, tinytorch.divide, lambda a, b: a * b, lambda a, b: a / b, lambda a, b: a + b, lambda a, b: a - b]
    cases = [[(a, b) for a, b in zip(tensors(tinytorch, rng, s), tensors(tinytorch, rng, t))] for s, t in PAIRS]
    return [[f(a, b).numpy() for f in operations] + [a.numpy(), b.numpy()] for pairs in cases for a, b in pairs]


@probe("test-arithmetic", close(1e-5))
def powers(tinytorch, rng):
    found = []
    for kind in KINDS:
        x = tinytorch.Tensor(rng.uniform(0.5, 2, size=(3, 4)).astype(kind), dtype=kind)
        b = tinytorch.Tensor(rng.integers(-3, 4, size=4).astype(kind), dtype=kind)
        found += [x ** p for p in (3, 3.0, 2, -1, 0.5, 0, 4, 1, np.float64(3))] + [x ** b, 3 ** x, 2.0 ** b, x ** x[0], x ** (0 * x + 3)]
    whole = tinytorch.Tensor(rng.integers(1, 9, size=5))
    return [t.numpy() for t in [*found, whole ** 3, whole ** 2, tinytorch.Tensor(2.0) ** 3, tinytorch.Tensor(3.0) ** tinytorch.Tensor(3.0)]]


@probe("test-arithmetic", close(1e-6))
def dtypes(tinytorch, rng):
    kinds = ["float32", "float64", "int64", "int32", "uint8", "bool"]
    ts = [tinytorch.Tensor(rng.integers(1, 5, size=3).astype(kind), dtype=kind) for kind in kinds]
    both = [(a / b, a * b) for a in ts for b in ts]
    one = [(t / 2, t * 2, 2 / t, 1.5 * t, t * np.float64(2), t / np.float32(3), t * True) for t in ts]
    return [[t.numpy() for t in group] for group in both + one]


@probe("test-arithmetic", exact)
def a_cube_is_two_products(tinytorch, rng):
    class Counted(np.ndarray):
        def __array_ufunc__(self, ufunc, method, *args, **settings):
            used.append(ufunc.__name__)
            return getattr(ufunc, method)(*map(np.asarray, args), **settings).view(Counted)
    used, x = [], tinytorch.Tensor(numbers(rng, 4))
    x.data = x.data.view(Counted)
    return [np.asarray(tinytorch.power(x, three).data) for three in (3, 3.0)] + [used.count("power") + used.count("float_power")]


@probe("test-broadcast-shape", exact)
def two_shapes(tinytorch, rng):
    found = []
    for _ in range(60):
        full = rng.integers(0, 5, size=rng.integers(0, 5))
        a, b = (tuple(int(n) if rng.random() < 0.6 else 1 for n in full)[rng.integers(0, len(full) + 1):] for _ in "ab")
        found += [tinytorch.broadcast_shape(a, b), tinytorch.broadcast_shape(b, a)]
    return [["/".join(map(str, shape)), type(shape).__name__] for shape in found]


@probe("test-broadcast-shape", exact)
def two_shapes_that_do_not_fit(tinytorch, rng):
    found = []
    for _ in range(40):
        a, b = (tuple(rng.choice([0, 1, 2, 3], size=rng.integers(1, 4)).tolist()) for _ in "ab")
        found.append(raised(lambda: tinytorch.broadcast_shape(a, b)))
    return found


@probe("test-broadcast-shape", exact)
def both_sizes_are_named(tinytorch, rng):
    n, m = rng.choice(np.arange(100, 999), 2, replace=False).tolist()
    told = []
    for a, b in [((n,), (m,)), ((5, n), (m,)), ((n, 1), (2, m, 7)), ((m, 4), (n, 4))]:
        try:
            tinytorch.broadcast_shape(a, b)
        except ValueError as error:
            told.append([size for size in (n, m) if str(size) in str(error)])
    return told


@probe("test-numpy", exact)
def comparisons(tinytorch, rng):
    x, y = (tinytorch.Tensor(rng.integers(-2, 3, size=(2, 4)).astype("float32")) for _ in "xy")
    found = [[x < other, x <= other, x > other, x >= other, x == other, x != other] for other in (y, 1, 0.5)]
    return [[t.numpy() for t in row] for row in found]


@probe("test-numpy", close(1e-6))
def numpy_at_the_door(tinytorch, rng):
    a, t = np.abs(numbers(rng, (2, 3))), tinytorch.Tensor(numbers(rng, (2, 3)))
    found = [a + t, a - t, a * t, a / t, a @ t.T, np.exp(t), np.maximum(t, a)]
    refused = [raised(lambda: call(t)) for call in (np.sum, np.mean, np.sin, np.where, np.add.reduce)]
    return [[x.numpy() for x in found], [type(x).__name__ for x in found], refused, np.asarray(t), raised(lambda: np.concatenate([t, t]))]


# ---- 4, matrix multiplication

no_library = forbid("test-matmul-loops", "@", "np.matmul", "np.dot", "np.einsum", "np.inner", "np.vdot", "np.tensordot", "np.outer")


@probe("test-matmul-loops", close(1e-5))
def single_numbers(tinytorch, rng):
    class Single(np.ndarray):
        __array_ufunc__ = __array_function__ = dot = None               # rows and matrices refuse to compute, single numbers do not
    found = []
    for kind in ("float32", "float64", "int64"):
        n, k, m = rng.integers(1, 6, size=3)
        for shape in [(n, k, m), (1, k, 1), (n, 1, m), (n, 0, m), (0, k, m), (n, k, 0)]:
            a, b = (rng.integers(-9, 9, size=size).astype(kind) for size in (shape[:2], shape[1:]))
            found += [tinytorch.matmul_loops(a.view(Single), b.view(Single)), tinytorch.matmul_loops(a, b), a, b]
    return [np.asarray(c) for c in found]


class Grid:
    """A matrix that gives away single numbers, and counts them; its rows and columns do the same.  It is no array."""

    def __init__(self, array, read):
        self.array, self.read, self.shape, self.dtype, self.ndim = array, read, array.shape, array.dtype, array.ndim

    @property
    def T(self):
        return Grid(self.array.T, self.read)

    def __len__(self):
        return len(self.array)

    def __getitem__(self, place):
        found = self.array[place]
        if isinstance(found, np.ndarray):
            return Grid(found, self.read)
        self.read[0] += 1
        return found


def often_enough(got, reference):
    """The same product, and at least as many numbers were taken as it has multiplications."""
    same = isinstance(got, list) and len(got) == 3 and not close(1e-5)(got[0], reference[0])
    return same and type(got[1]) is int and got[1] >= reference[2]


@probe("test-matmul-loops", holds(often_enough))
def one_number_at_a_time(tinytorch, rng):
    (n, k, m), read = rng.integers(4, 8, size=3).tolist(), [0]
    a, b = (rng.integers(-9, 9, size=shape).astype("float32") for shape in ((n, k), (k, m)))
    return [tinytorch.matmul_loops(Grid(a, read), Grid(b, read)), read[0], n * k * m]


FACTORS = [((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 4)), ((2, 3), (3, 4)), ((5, 2, 3), (3, 4)), ((3,), (5, 3, 4)), ((5, 2, 3), (3,)),
           ((5, 2, 3), (5, 3, 4)), ((2, 1, 4, 3), (5, 3, 2)), ((0, 3), (3, 2)), ((2, 0), (0, 3)), ((1, 1), (1,)), ((2, 3, 0), (0,))]


@probe("test-matmul", close(1e-5))
def products(tinytorch, rng):
    found = []
    for s, t in FACTORS:
        for a, b in zip(tensors(tinytorch, rng, s), tensors(tinytorch, rng, t)):
            found.append([p.numpy() for p in (a @ b, a.matmul(b), tinytorch.matmul(a, b.numpy()), a.numpy() @ b)] + [a.numpy(), b.numpy()])
    return found


@probe("test-matmul", exact)
def refused_products(tinytorch, rng):
    def said(a, b):
        try:
            tinytorch.matmul(a, b)
        except ValueError as error:
            return str(error)
        return ""
    n, k, m = (int(size) for size in rng.choice(np.arange(2, 30), 3, replace=False))
    shapes = [((n, k), (m, k)), ((n, k), (m, n)), ((k,), (m,)), ((n, k), (m,)), ((k,), (m, k)), ((2, n, k), (2, m, k)),
              ((2, n, k), (2, m, n)), ((n, k), (n, k)), ((0, k), (m, k)), ((n, 1), (m, 1))]
    x, one = tinytorch.Tensor(numbers(rng, (3, 3))), tinytorch.Tensor(1.0)
    pairs = [(x, 2), (2, x), (x, one), (one, x), (one, one), (one, 2.0), (x, np.float32(3)), (x[0], 2.0), (x[0], one)]
    told = [said(tinytorch.Tensor(np.ones(a)), tinytorch.Tensor(np.ones(b))) for a, b in shapes]
    return told + [raised(lambda: tinytorch.matmul(*pair)) for pair in pairs]


# ---- 5, shapes

@probe("test-shapes", exact)
def axes_swapped(tinytorch, rng):
    found = []
    for shape in [(2, 3), (1, 4), (0, 3), (2, 3, 4), (2, 3, 4, 5)]:
        for x in tensors(tinytorch, rng, shape):
            places = range(-x.ndim, x.ndim)
            found += [x.T, x.transpose(), x, *(x.transpose(int(rng.choice(places)), int(rng.choice(places))) for _ in range(6))]
    return [t.numpy() for t in found] + [raised(lambda: found[0].transpose(0, 2)) != ""]


@probe("test-shapes", exact)
def axes_put_in(tinytorch, rng):
    ts = [tinytorch.Tensor(numbers(rng, shape, kind), dtype=kind) for shape in SHAPES for kind in KINDS]
    wrong = [raised(lambda: t.unsqueeze(t.ndim + 1)) != "" for t in ts]
    return [[t.unsqueeze(dim).numpy() for dim in range(-t.ndim - 1, t.ndim + 1)] + [t.numpy()] for t in ts] + wrong


@probe("test-shapes", exact)
def axes_joined(tinytorch, rng):
    ts = [tinytorch.Tensor(numbers(rng, shape, kind), dtype=kind) for shape in SHAPES for kind in KINDS]
    found = [[t.flatten().numpy(), t.flatten(-1).numpy(), t.numpy()] for t in ts]
    for t in ts:
        n = max(t.ndim, 1)
        found += [t.flatten(i - n * (rng.random() < 0.5), j - n * (rng.random() < 0.5)).numpy() for i in range(n) for j in range(i, n)]
    return [*found, [raised(lambda: t.flatten(max(t.ndim, 1))) != "" for t in ts]]


# ---- 6, reductions

AXES = [None, 0, 1, 2, -1, -3, (0, 2), (1,), (2, 1, 0)]


@probe("test-mean-var", close(1e-4))
def means_and_variances(tinytorch, rng):
    found, whole = [], tinytorch.Tensor(rng.integers(-9, 9, size=(3, 4, 5)))
    for x in [*tensors(tinytorch, rng, (3, 4, 5)), whole, tinytorch.Tensor(numbers(rng, (3, 5, 4)) + 100).T]:
        for dim in AXES:
            found += [f(dim=dim, keepdim=keep) for f in (x.mean, x.var, x.std, x.sum, x.max, x.min) for keep in (False, True)]
            found += [x.var(dim, correction=0), x.var(axis=dim, keepdims=True, correction=2), tinytorch.var(x, dim, True, 0), x.var(dim, correction=70), x]
    return [t.numpy() for t in found]


@probe("test-mean-var", close(1e-5))
def small_and_empty(tinytorch, rng):
    none, one, row = (tinytorch.Tensor(numbers(rng, shape)) for shape in ((0, 3), (), (1, 4)))
    found = [none.var(dim=1), none.var(1, True), none.mean(dim=1), none.mean(1, True), one.mean(), row.mean(0)]
    wrong = [raised(lambda: f(dim=2)) != "" for f in (row.mean, row.var)]
    return [t.numpy() for t in [*found, one.var(correction=0), row.var(0, correction=0)]] + wrong

@probe("test-choosing", exact)
def chosen(tinytorch, rng):
    found = []
    for x in [*tensors(tinytorch, rng, (3, 4)), *tensors(tinytorch, rng, (0, 4)), tinytorch.Tensor(rng.integers(-5, 5, size=(3, 4)))]:
        mask = tinytorch.Tensor(rng.random((1, 4)) < 0.5)
        found += [x.masked_fill(mask, value) for value in (0, 7, -1.5, -np.inf)] + [x.masked_fill(x > 0, 3), x.masked_fill(x == x, 1), x]
        found += [tinytorch.where(mask, *pair) for pair in ((x, x * 2), (x, 0), (1.5, x), (x, x[:1]), (2.0, 3.0))]
    return [t.numpy() for t in found]


@probe("test-choosing", exact)
def cut_off(tinytorch, rng):
    xs = [*tensors(tinytorch, rng, (3, 4)), *tensors(tinytorch, rng, ()), tinytorch.Tensor(rng.integers(-5, 5, size=7))]
    limits = [(-1, 1), (0, None), (None, 0), (0, 0), (None, -0.5), (0.25, None), (-3, 1.5), (1, 5)]
    return [[t.numpy() for t in [*(x.clip(*ends) for ends in limits), tinytorch.clip(x, min=-1, max=1), x.clamp(max=1), x]] for x in xs]


@probe("test-choosing", exact)
def joined(tinytorch, rng):
    found = []
    for shape in [(), (3,), (2, 3), (0, 2), (2, 1, 3)]:
        one, many = tensors(tinytorch, rng, shape), [tinytorch.Tensor(numbers(rng, shape)) for _ in range(3)]
        for dim in range(-len(shape) - 1, len(shape) + 1):
            found += [tinytorch.stack(many, dim), tinytorch.stack(one, dim), tinytorch.stack(many[:1], dim=dim), many[0]]
    wrong = [raised(lambda: tinytorch.stack([found[-1], found[0]])) != "", raised(lambda: tinytorch.stack(many, 4)) != ""]
    return [t.numpy() for t in [*found, tinytorch.stack(many)]] + wrong


@probe("test-module", close(1e-5))
def a_small_network(tinytorch, rng):
    x, w, b = (tinytorch.Tensor(numbers(rng, shape)) for shape in ((5, 4), (4, 3), (3,)))
    scores = (x @ w + b).clip(min=0)
    e = (scores - scores.max(dim=1, keepdim=True)).exp()
    made = [tinytorch.zeros(2, 3), tinytorch.ones((2,)), tinytorch.eye(3, 2), tinytorch.full((2,), 1.5), tinytorch.arange(1, 7, 2)]
    seed = int(rng.integers(1000))
    made += [f(2, 3, generator=np.random.default_rng(seed)) for f in (tinytorch.rand, tinytorch.randn)]
    tinytorch.manual_seed(seed)
    return [t.numpy() for t in [e / e.sum(dim=1, keepdim=True), *made, tinytorch.rand(3), tinytorch.randn(3)]]
