# %% [markdown]
"""
# 16 Acceleration

> The same numbers, sooner or in less memory; and where that does not pay.

Module 15 showed where time and memory go. Now you do something about it, in three ways: give the work to code that is made for it, go over memory
once instead of nine times, and store numbers in half as many bytes. Each is measured against what it replaces, also where it loses.
"""

# %% nbgrader={"grade": false, "grade_id": "start", "locked": true, "schema_version": 3, "solution": false, "task": false}
import tito.notebook     # where this fails, open the notebook with: tito module open 16
from tito.check import expect

tito.notebook.use(16)

# %%
#| default_exp optimization.acceleration
#| view optimization

# %% nbgrader={"grade": false, "grade_id": "imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
import copy
import functools
import gc
import inspect
import math
import tracemalloc
import weakref
from collections.abc import Callable
from contextlib import contextmanager

import numpy as np
from numpy import ndarray

import tinytorch.core.tensor as door
from tinytorch.core.activations import ReLU, gelu, tanh
from tinytorch.core.autograd import enable_grad, grad, gradient, run
from tinytorch.core.layers import Linear, Module, Sequential, check_array, check_choice, check_kind, check_number, check_sizes, check_whole
from tinytorch.core.losses import cross_entropy
from tinytorch.core.optimizers import SGD, Optimizer
from tinytorch.core.tensor import Tensor, float32, matmul, op
from tinytorch.core.training import accuracy
from tinytorch.data.loader import TensorDataset, load_digits
from tinytorch.profiling.profiler import FLOPS, attainable, compare, machine_peak, peak_memory, profile, seconds_text, standing, watching

# %% nbgrader={"grade": false, "grade_id": "tools", "locked": true, "schema_version": 3, "solution": false, "task": false}
from tinytorch.core.activations import relu
from tinytorch.core.autograd import gradcheck
from tinytorch.core.tensor import float64, randn

# %% [markdown]
"""
## 1 · One number at a time

A network is mostly matrix products. Here is one as it is defined: row i of `a` times column j of `b`, added up.

**Your turn.** Three loops over plain arrays, one number at a time, as the convolution of module 09.
"""

# %% nbgrader={"grade": false, "grade_id": "loop-matmul", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def loop_matmul(a, b):
    """The matrix product as it is defined, with three loops: arrays (n, k), (k, m) -> (n, m).

    >>> loop_matmul(np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]])).tolist()
    [[11.0]]
    """
    (n, k), m = a.shape, b.shape[1]
    c = np.zeros((n, m), a.dtype)
    ### BEGIN SOLUTION
    for i in range(n):
        for j in range(m):
            for p in range(k):
                c[i, j] += a[i, p] * b[p, j]
    return c
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-loop-matmul", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_loop_matmul():
    """Row times column, added up, in three loops."""
    a, b = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), np.array([[1.0, -1.0], [2.0, 0.5], [-3.0, 4.0]])
    expect.close(lambda: loop_matmul(a, b), a @ b, "two rows, two columns, three products each", mistaken={
        "add the products up: +=": a[:, 2:] * b[2:]}, hint="add up a[i, p] * b[p, j]",
        raises={IndexError: "p runs along the rows of a and down the columns of b: a[i, p], b[p, j]"})
    expect.close(lambda: loop_matmul(a[:1], a.T), a[:1] @ a.T, "one row, two columns", hint="i counts rows of a, j columns of b")
    expect.same(lambda: loop_matmul(a[:, :0], b[:0]), np.zeros((2, 2)), "a sum of nothing is 0")
test_unit_loop_matmul()

# %% [markdown]
"""
And here is the same in one call. `matmul` of module 01 hands the whole to BLAS, a library of matrix products that has been tuned for decades.
"""

# %%
#| export
def _check_matrices(a, b, name=""):
    """ValueError unless a (n, k) and b (k, m) are matrices that fit."""
    if np.ndim(a) != 2 or np.ndim(b) != 2 or np.shape(a)[1] != np.shape(b)[0]:
        raise ValueError(f"{name}matrices (n, k) and (k, m) wanted, not {np.shape(a)} and {np.shape(b)}")

def vectorized_matmul(a, b):
    """The matrix product in one call: (n, k), (k, m) -> a Tensor (n, m).  ValueError for other shapes.

    >>> vectorized_matmul(Tensor([[1.0, 2.0]]), Tensor([[3.0], [4.0]]))
    Tensor([[11.]])
    """
    check_array("vectorized_matmul", a=a, b=b)
    _check_matrices(a, b, "vectorized_matmul: ")
    return matmul(a, b)

def analyze_vectorization_scaling(sizes=(1, 2, 4, 16, 64, 128), rounds=3):
    """Loops against one call, for square matrices: {size: {"loop_s", "vectorized_s", "speedup"}}; prints a table."""
    check_sizes("analyze_vectorization_scaling", sizes=sizes)
    rows = {}
    for n in sizes:
        a, b = np.random.default_rng(n).standard_normal((2, n, n), dtype=float32)
        times = compare({"loop": lambda: loop_matmul(a, b), "one": lambda: vectorized_matmul(Tensor(a), Tensor(b))}, 1, rounds)
        loop, one = times["loop"].median, times["one"].median
        rows[n] = {"loop_s": loop, "vectorized_s": one, "speedup": loop / one}
        print(f"{n:5} x {n:<5} loops {seconds_text(loop):>8}   one call {seconds_text(one):>8}   {loop / one:8.1f} times")
    return rows

# %% [markdown]
"""
How much faster? Both grow with the size, but not alike:
"""

# %% tags=["analysis"]
import matplotlib.pyplot as plt

scaling = analyze_vectorization_scaling()
for name, key in (("loops", "loop_s"), ("one call", "vectorized_s")):
    plt.loglog(list(scaling), [row[key] for row in scaling.values()], "o-", label=name)
plt.xlabel("size n of n x n"); plt.ylabel("seconds"); plt.legend(); plt.gcf().set_size_inches(5, 3); plt.show()

# %% [markdown]
"""
For the smallest matrices the loops win: a call through the door costs more than a few products. From there on the gap widens: "a thousand times
faster" is true of a size, not of a method. And some of it is the arrays' fault, which are slow at handing out single numbers. Python's lists are
fairer:
"""

# %% tags=["analysis"]
a, b = np.random.default_rng(0).standard_normal((2, 128, 128), dtype=float32)
rows, columns = a.tolist(), b.T.tolist()
calls = {"loops over lists": lambda: [[sum(x * y for x, y in zip(row, column)) for column in columns] for row in rows],
         "one call": lambda: vectorized_matmul(a, b)}
for name, timing in compare(calls, 1, 5).items():
    print(f"{name:18} {timing}")

# %% [markdown]
"""
## 2 · Tiles

What does BLAS know that the loops do not? Mainly where the numbers are. A core multiplies far faster than memory delivers. So it works on small
square pieces, *tiles*, that stay in its cache until they have been used as often as they can be:

```
          k                 m                m
     ┌──┬──┬──┐         ┌──┬──┐          ┌──┬──┐
   n │▒▒│▒▒│▒▒│       k │  │▒▒│        n │  │██│     c[i, j] is the sum over p
     ├──┼──┼──┤    @    ├──┼──┤    =     ├──┼──┤     of a[i, p] @ b[p, j]
     │  │  │  │         │  │▒▒│          │  │  │
     └──┴──┴──┘         ├──┼──┤          └──┴──┘
                        │  │▒▒│
                        └──┴──┘
```

**Your turn.** Three loops again, now over tiles: `range(0, n, tile)` and slices `i:i + tile` (at the edge a slice is shorter by itself). `dtype` is
the one to multiply and add in: where the arrays are float16 it is float32, so convert each *tile* with `.astype(dtype)`, never a whole matrix.
"""

# %% nbgrader={"grade": false, "grade_id": "tiled-matmul", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
@op
def tiled_matmul(a, b, tile=64):
    """The matrix product of floats tile by tile: (n, k), (k, m) -> (n, m).  Arrays here.  Halves are multiplied and added up in float32.

    >>> tiled_matmul(Tensor([[1.0, 2.0]]), Tensor([[3.0], [4.0]]), tile=1)
    Tensor([[11.]])
    """
    _check_matrices(a, b)
    if tile < 1 or a.dtype.kind != "f" or b.dtype.kind != "f":
        raise ValueError(f"floats and a tile of 1 or more wanted, not {a.dtype}, {b.dtype} and {tile}")
    (n, k), m, dtype = a.shape, b.shape[1], np.result_type(float32, a, b)
    c = np.zeros((n, m), dtype)
    ### BEGIN SOLUTION
    for p in range(0, k, tile):
        for j in range(0, m, tile):
            right = b[p:p + tile, j:j + tile].astype(dtype)
            for i in range(0, n, tile):
                c[i:i + tile, j:j + tile] += a[i:i + tile, p:p + tile].astype(dtype) @ right
    return c
    ### END SOLUTION

@gradient(tiled_matmul)
def _(g, need, a, b, tile):
    return run(tiled_matmul, g, b.mT, tile) if need[0] else None, run(tiled_matmul, a.mT, g, tile) if need[1] else None

# %% nbgrader={"grade": true, "grade_id": "test-tiled-matmul", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_tiled_matmul():
    """The product, tile by tile, with no product larger than a tile."""
    class Seen(np.ndarray):                                      # notes sizes and dtypes of the products that it is in
        def __array_ufunc__(self, ufunc, method, *inputs, out=None, **settings):
            plain = [np.asarray(x) for x in inputs]
            if ufunc is np.matmul:
                seen.append((max(*plain[0].shape, *plain[1].shape), *[x.dtype.name for x in plain]))
            result = getattr(ufunc, method)(*plain, **settings, **({"out": tuple(map(np.asarray, out))} if out else {}))
            return out[0] if out else result.view(Seen)
    rng, seen = np.random.default_rng(0), []
    a, b = rng.integers(-3, 4, (5, 6)) * 1.0, rng.integers(-3, 4, (6, 4)) * 1.0
    multiply = lambda a, b, tile=2: tiled_matmul.__wrapped__(a, b, tile)
    expect.close(lambda: multiply(a, b), a @ b, "tiles of 2", mistaken={
        "the tiles of p are added up: +=": a[:, 4:] @ b[4:]}, hint="c[i.., j..] += a[i.., p..] @ b[p.., j..]",
        raises={ValueError: "b has its rows at p and its columns at j"})
    for tile in (1, 3, 4, 64):
        expect.close(lambda: multiply(a, b, tile), a @ b, f"tiles of {tile}, cut off at the edges", hint="the last tile may be smaller")
    half = [(64.0 * x).astype("float16") for x in (a, b)]
    multiply(*[x.view(Seen) for x in half])
    expect.true(0 < max([size for size, *_ in seen], default=0) <= 2, "no product is larger than its tile",
                hint="multiply tiles, with @, not whole matrices")
    expect.same(len(seen), 3 * 3 * 2, "every tile meets each of its partners once", hint="three loops, each in steps of `tile`")
    expect.close(lambda: multiply(*half), 4096.0 * (a @ b).astype(float32), "halves, whose products no half could hold", tol=1e-6,
                 hint="convert each tile to dtype before it is multiplied")
    expect.same({name for _, *names in seen for name in names}, {"float32"}, "halves are multiplied in float32", hint="convert both tiles")
    expect.true(lambda: gradcheck(lambda a, b: tiled_matmul(a, b, 2), [Tensor(x, True, float64) for x in (a, b)]), "it has a gradient")
test_unit_tiled_matmul()

# %% [markdown]
"""
Does it pay? Against BLAS, which has tiles inside its tiles, down to the registers, there is nothing to win. But there is no float16 in BLAS, so NumPy
multiplies halves by a plain loop. By tiles they meet BLAS all the same, and no float32 copy is larger than a tile:
"""

# %% tags=["analysis"]
for kind, n in (("float32", 64), ("float32", 512), ("float16", 4), ("float16", 16), ("float16", 256)):
    a, b = np.random.default_rng(0).standard_normal((2, n, n)).astype(kind)
    calls = {"@": lambda: a @ b} | {f"tiles of {tile}": lambda tile=tile: tiled_matmul(a, b, tile) for tile in (64, 256)}
    print(f"{kind} {n:3} x {n:<3} " + "   ".join(f"{name} {seconds_text(t.median):>8}" for name, t in compare(calls, 1, 3).items()))

# %% [markdown]
"""
## 3 · What holds it up

Two things can hold an operation up: arithmetic, or memory. Module 15 has the measure: its *intensity*, FLOPs per byte that it must move. Below the
point where the machine's two limits meet, memory decides, and no better arithmetic helps. Here are five operations to try; `fused_gelu` comes next.
"""

# %%
#| export
def unfused_gelu(x):
    """GELU in its short form, operation by operation: a Tensor of any shape.  Nine of them, each with an array of its own."""
    return 0.5 * x * (1.0 + tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))

def analyze_arithmetic_intensity(n=512, rounds=5, peak=None):
    """Some operations and their limits: {name: {"flops", "bytes", "intensity", "gflops", "limit", "bound"}}; prints a table.

    `peak`: as of `machine_peak`, which is measured unless it is given.
    """
    check_whole("analyze_arithmetic_intensity", n=n)
    rng, peak, rows = np.random.default_rng(0), peak or machine_peak(), {}
    a, b, x, row = (Tensor(rng.standard_normal(shape, dtype=float32)) for shape in ((n, n), (n, n), (16 * n, n), (1, n)))
    works = {"x + x": lambda: x + x, "unfused_gelu(x)": lambda: unfused_gelu(x), "fused_gelu(x)": lambda: fused_gelu(x),
             "row @ a": lambda: vectorized_matmul(row, a), "a @ b": lambda: vectorized_matmul(a, b)}
    times = compare(works, 2, rounds)
    for name, work in works.items():
        with profile() as p:
            work()
        flops, moved = p.total("flops"), p.total("bytes")
        limit, reached = attainable(flops / moved, peak), flops / times[name].median
        rows[name] = {"flops": flops, "bytes": moved, "intensity": flops / moved, "gflops": reached / 1e9, "limit": limit / 1e9,
                      "bound": "compute" if limit == peak[0] else "memory"}
        print(f"{name:16} {flops / moved:7.2f} FLOPs a byte  {reached / 1e9:7.1f} of {limit / 1e9:7.1f} GFLOP/s  {rows[name]['bound']}")
    return rows

# %% [markdown]
r"""
## 4 · One pass instead of nine

`unfused_gelu` reads and writes memory nine times. If all nine operations were done to one piece that fits into the cache, and then to the next,
memory would be read once and written once. That is *fusing* them:

```
   nine operations    memory ──► op ──► memory ──► op ──► memory ──► …  ──► memory
   fused              memory ──► op op op op op op op op (in the cache)  ──► memory
```

**Your turn.** For one piece. Write into `out` and nowhere else: NumPy's functions take `out=out`, and `out *= …` works in place. With
$c = \sqrt{2/\pi}$ and $k = 0.044715$, start with $x \cdot x$, and find an order that needs no second array:
$0.5 \, x \, (1 + \tanh(x \, (c + c k \, x^2)))$.
"""

# %% nbgrader={"grade": false, "grade_id": "gelu-into", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def gelu_into(out, x):
    """GELU in its short form of an array x, written into `out`, an array of the same shape.  No other array is made, and x stays as it is.

    >>> out = np.empty(3); gelu_into(out, np.array([-1.0, 0.0, 1.0])); out.round(4).tolist()
    [-0.1588, 0.0, 0.8412]
    """
    c, k = math.sqrt(2 / math.pi), 0.044715
    ### BEGIN SOLUTION
    np.multiply(x, x, out=out)
    out *= c * k
    out += c
    out *= x
    np.tanh(out, out=out)
    out += 1.0
    out *= x
    out *= 0.5
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-gelu-into", "locked": true, "points": 10, "schema_version": 3, "solution": false, "task": false}
def test_unit_gelu_into():
    """GELU of a piece, written into the array that is given, without another one."""
    x, out = np.array([-2.0, -0.5, 0.0, 1.0, 3.0], float32), np.full(5, 7.0, float32)
    given = x.copy()
    gelu_into(out, x)
    expect.close(out, gelu(Tensor(given), approximate="tanh").numpy(), "GELU in its short form", mistaken={
        "nothing was written into `out`: use out=out, and *= or +=": np.full(5, 7.0, float32),
        "multiply by a half at the end": 2 * gelu(Tensor(given), approximate="tanh").numpy(),
        "1 is added after tanh": lambda got: got[0] > 0.5, "multiply by x once more, after the 1": lambda got: got.max() <= 1.0},
        hint="x · (c + c · k · x · x), where both terms have c; then tanh, + 1, · x, · 0.5")
    expect.same(x, given, "x is as it was", hint="write into `out`, not into x")
    large = np.random.default_rng(0).standard_normal(50_000, dtype=float32)
    into = np.empty_like(large)
    expect.true(lambda: peak_memory(lambda: gelu_into(into, large)) < large.nbytes / 4, "no other array is made",
                hint="an expression such as x * x makes a new array: np.multiply(x, x, out=out) does not")
test_unit_gelu_into()

# %% [markdown]
"""
The rest is given: the pieces, the door, the gradient (of module 05: the same function has the same slope), and a line that tells the profiler of
module 15 how many FLOPs it is.
"""

# %%
#| export
SPAN = 1 << 16                                                   # numbers; as float32, 256 KB

def spans(*arrays):
    """Arrays of one size, cut alike into pieces of SPAN numbers, which are views of them: lists [piece, …].  What is no array stays itself."""
    size = max(a.size for a in arrays if isinstance(a, ndarray))
    flat = [a.reshape(-1) if isinstance(a, ndarray) else a for a in arrays]
    for start in range(0, size, SPAN):
        yield [a[start:start + SPAN] if isinstance(a, ndarray) else a for a in flat]

@op
def fused_gelu(x):
    """GELU in its short form, in one operation that goes over x once, in pieces that stay in the cache.  Any shape.

    >>> fused_gelu(Tensor([-1.0, 0.0, 1.0]))
    Tensor([-0.1588,  0.    ,  0.8412])
    """
    if not isinstance(x, ndarray) or x.dtype.kind != "f":
        raise TypeError(f"an array of floats wanted, not {getattr(x, 'dtype', x)!r:.60}")
    out = np.empty(x.shape, x.dtype)
    for into, piece in spans(out, x):
        gelu_into(into, piece)
    return out

gradient(fused_gelu)(lambda g, x: gelu.rule.run(g, x, "tanh"))
FLOPS["fused_gelu"] = lambda arrays, out, settings: 8 * out.size

# %% tags=["analysis"]
x = randn(2000, 2000)
calls = {"nine operations": lambda: unfused_gelu(x), "in place, all at once": lambda: gelu_into(np.empty_like(x.data), x.data),
         "in place, in pieces": lambda: fused_gelu(x)}
for name, timing in compare(calls, 2, 7).items():
    print(f"{name:22} {timing}   at most {peak_memory(calls[name]) / 1e6:5.1f} MB more")

# %% [markdown]
"""
And the limits of part 3, on this machine. Who is far below has other costs: to get new memory from the system, or to call.
"""

# %% tags=["analysis"]
rows = analyze_arithmetic_intensity()

# %% [markdown]
"""
## 5 · Any chain

GELU was fused by hand. For any other chain of operations that go number by number, a part of the gain is to be had without writing it anew: run the
function as it is, but on piece after piece, so that what it makes on the way stays in the cache.

**Your turn.** `spans(out, *arrays)` gives the piece of `out`, then those of the others (a plain number stays itself).
"""

# %% nbgrader={"grade": false, "grade_id": "in-pieces", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def in_pieces(fn, *arrays):
    """fn(*arrays), piece by piece: arrays of floats of one shape, or numbers -> an array of that shape.  `fn` goes number by number.

    >>> in_pieces(lambda x, y: x * y + 1.0, np.array([1.0, 2.0]), 10.0)
    array([11., 21.])
    """
    given = [a for a in arrays if isinstance(a, ndarray)]
    if not given or any(a.shape != given[0].shape or a.dtype.kind != "f" for a in given):
        raise ValueError("arrays of floats of one shape wanted, or numbers; expand the smaller ones")
    out = np.empty(given[0].shape, np.result_type(*given))
    ### BEGIN SOLUTION
    for into, *rest in spans(out, *arrays):
        into[...] = fn(*rest)
    return out
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-in-pieces", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_in_pieces():
    """A chain, run on piece after piece."""
    x, y = np.array([[0.5, 1.0, -2.0], [3.0, 0.25, 1.5]], float32), np.array([[2.0, -1.0, 4.0], [1.0, 8.0, -3.0]], float32)
    fn = lambda x, y, k: np.tanh(x * y) + k * x
    expect.close(lambda: in_pieces(fn, x, y, 2.0), fn(x, y, 2.0), "what the function gives", hint="into[...] = fn(*rest), and return out", raises={
        TypeError: "spread the pieces with *", UnboundLocalError: "spans(out, *arrays) gives lists"}, mistaken={
        "write into the piece: into[...] = …, for `into = …` only moves a name": lambda got: not np.allclose(got, fn(x, y, 2.0), atol=1e-3)})
    sizes, large = [], np.random.default_rng(0).standard_normal((3, 2, SPAN // 4), dtype=float32)
    done = in_pieces(lambda x: sizes.append(x.size) or x * x, large)
    expect.same(sizes, [SPAN, SPAN // 2], "no piece is larger than SPAN", hint="call fn on every piece, not on the arrays")
    expect.close(done, large * large, "all pieces together")
test_unit_in_pieces()

# %% [markdown]
"""
And the gradient? Keep only the inputs. When the gradient is wanted, run the function again, now on Tensors, and let module 05 find the slopes:
`checkpoint`, in pieces.

**Your turn.** For each piece: make Tensors of the inputs (those with `need` require a gradient, and keep their dtype; numbers stay), run `fn`, ask
`grad` for the slopes of what is needed, from this piece of `g` (with allow_unused=True: a None stands for zeros), and add them into the pieces of
`slopes`.
"""

# %% nbgrader={"grade": false, "grade_id": "slopes-in-pieces", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def slopes_in_pieces(fn, g, need, *arrays):
    """The gradients of fn(*arrays) for its inputs, from `g`, the gradient of its result: a tuple of arrays, None where `need` is False."""
    slopes = [np.zeros(g.shape, g.dtype) if n else None for n in need]
    for piece, *rest in spans(g, *slopes, *arrays):
        into, given = rest[:len(need)], rest[len(need):]
        ### BEGIN SOLUTION
        inputs = [Tensor(x, n, x.dtype) if isinstance(x, ndarray) else x for x, n in zip(given, need)]
        with enable_grad():
            got = grad(fn(*inputs), [x for x, n in zip(inputs, need) if n], piece, allow_unused=True)
        for slope, found in zip([s for s in into if s is not None], got):
            slope += 0.0 if found is None else found.data
        ### END SOLUTION
    return tuple(slopes)

# %% nbgrader={"grade": true, "grade_id": "test-slopes-in-pieces", "locked": true, "points": 10, "schema_version": 3, "solution": false, "task": false}
def test_unit_slopes_in_pieces():
    """The gradients of a chain, by running it again."""
    x, y, g = np.array([0.5, 1.0, -2.0]), np.array([3.0, -0.25, 1.0]), np.array([1.0, 2.0, 0.5])
    fn = lambda x, y: np.exp(x) * y
    expect.close(lambda: slopes_in_pieces(fn, g, [True, True], x, y), (g * np.exp(x) * y, g * np.exp(x)), "both slopes", mistaken={
        "from g: give it to grad": (np.exp(x) * y, np.exp(x))}, hint="add each slope into its piece",
        raises={RuntimeError: "the Tensors of what is needed require a gradient; give grad the piece of g", TypeError: "spread the inputs with *"})
    expect.close(lambda: slopes_in_pieces(fn, g, [False, True], x, y)[1], g * np.exp(x), "only the second is wanted",
                 hint="go on only with what is needed")
    expect.true(lambda: slopes_in_pieces(fn, g, [True, False], x, 2.0)[1] is None, "a number has none",
                raises={AttributeError: "a number stays as it is"})
    expect.close(lambda: slopes_in_pieces(lambda x, y: 3.0 * y, g, [True, True], x, y)[0], np.zeros(3), "what is not used has slope 0",
                 raises={RuntimeError: "allow_unused=True", AttributeError: "a None stands for zeros", TypeError: "a None stands for zeros"})
    wide = np.array([1.0 + 1e-12, 2.0, -1.0])
    expect.close(lambda: slopes_in_pieces(lambda x: x * x, g, [True], wide)[0], 2 * g * wide, "float64 stays float64", tol=1e-14,
                 hint="Tensor(x, n, x.dtype)")
    large = np.random.default_rng(0).standard_normal(SPAN + 10)
    expect.close(lambda: slopes_in_pieces(lambda x: x * x, 0.5 + large, [True], large)[0], 2 * (0.5 + large) * large, "more than one piece",
                 hint="each piece has its own inputs")
test_unit_slopes_in_pieces()

# %%
#| export
def fuse(fn):
    """An operation from a function of arrays that goes number by number (NumPy's functions and + - * /), run in pieces, with its gradient.

    Inputs: Tensors of floats, all of one shape, or plain numbers.  Only they are kept for the gradient.

    >>> fuse(lambda x, y: np.exp(-x * x) * y)(Tensor([0.0, 1.0]), Tensor([5.0, 5.0]))
    Tensor([5.    , 1.8394])
    """
    check_kind("fuse", Callable, fn=fn)
    def forward(*arrays):
        return in_pieces(fn, *arrays)

    def rule(g, need, *arrays):
        if isinstance(g, Tensor):
            raise RuntimeError("no second derivative through fuse")
        return slopes_in_pieces(fn, g, need, *arrays)

    names = list(inspect.signature(fn).parameters)
    for function, asks in ((forward, names), (rule, ["g", "need", *names])):
        function.__signature__ = inspect.Signature([inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in asks])
    forward.__name__, forward.__doc__ = "fused_" + fn.__name__.strip("<>"), fn.__doc__
    operation = op(forward)
    gradient(operation)(rule)
    return operation

# %% [markdown]
"""
By hand and by `fuse`, forward alone and with the gradient, small and large. To run the chain again takes time of its own. Where that does not pay,
is it worth it for the memory?
"""

# %% tags=["analysis"]
any_gelu = fuse(lambda x: 0.5 * x * (1.0 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x))))
versions = {"nine operations": unfused_gelu, "fuse": any_gelu, "by hand": fused_gelu}
for size in (10, 1000, 100_000, 4_000_000):
    x = Tensor(randn(size), requires_grad=True)
    for what, run_it in (("forward", lambda f: f(x.detach())), ("with gradient", lambda f: f(x).sum().backward())):
        times = compare({name: lambda f=f: run_it(f) for name, f in versions.items()}, 2, 7)
        print(f"{size:9,} numbers  {what:14}" + "  ".join(f"{name} {seconds_text(t.median):>8}" for name, t in times.items()))
print({name: f"{peak_memory(lambda: run_it(f)) / 1e6:.0f} MB at most" for name, f in versions.items()})

# %% [markdown]
"""
## 6 · Numbers in sixteen bits

A float32 has a sign, 8 bits for the exponent and 23 for the digits. There are two ways to halve it:

```
   float32     s eeeeeeee ddddddddddddddddddddddd      up to 3e38,  7 decimal digits
   float16     s eeeee dddddddddd                      up to 65504, 3 digits, and below 0.00006 fewer and fewer
   bfloat16    s eeeeeeee ddddddd                      up to 3e38,  2 digits: the upper half of a float32
```

NumPy has float16, but not bfloat16. That one is easily made: take the upper 16 bits of each float32, as a uint16. But round, do not cut: add half of
what is cut off, and of two equally near numbers take the even one, or sums would drift.

**Your turn.** `x.view(np.uint32)` shows the bits of float32 as whole numbers, `bits >> 16` moves them down by 16 places. Add `0x7FFF` (one less
than half of what is cut off) and the last bit that stays (`bits >> 16 & 1`) before you move them. nan becomes `0x7FC0`.
"""

# %% nbgrader={"grade": false, "grade_id": "bfloat16", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def to_bfloat16(x):
    """The upper 16 bits of float32, rounded to the nearest (of two equally near the even one): an array -> uint16 of its shape.

    >>> [hex(bits) for bits in to_bfloat16(np.array([1.0, -2.0], np.float32))]
    ['0x3f80', '0xc000']
    """
    if not isinstance(x, ndarray) or x.dtype != float32:
        raise TypeError(f"to_bfloat16: an array of float32 wanted, not {getattr(x, 'dtype', x)!r:.60}; other bits mean other numbers")
    ### BEGIN SOLUTION
    bits = np.ascontiguousarray(x).view(np.uint32)
    upper = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16
    return np.where(np.isnan(x), 0x7FC0, upper).astype(np.uint16)
    ### END SOLUTION

def from_bfloat16(bits):
    """The float32 whose upper 16 bits these are, the others being 0: uint16 -> float32 of its shape.

    >>> from_bfloat16(to_bfloat16(np.array([3.14159265], np.float32))).tolist()
    [3.140625]
    """
    if not isinstance(bits, ndarray) or bits.dtype != np.uint16:
        raise TypeError(f"from_bfloat16: an array of uint16 wanted, not {getattr(bits, 'dtype', bits)!r:.60}")
    ### BEGIN SOLUTION
    return (bits.astype(np.uint32) << 16).view(float32)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-bfloat16", "locked": true, "points": 10, "schema_version": 3, "solution": false, "task": false}
def test_unit_bfloat16():
    """float32 becomes 16 bits, rounded to the nearest, and comes back."""
    x = np.array([1.0, -2.0, 0.15625, 256.0, 0.0], float32)
    expect.same(lambda: [hex(bits) for bits in to_bfloat16(x)], ["0x3f80", "0xc000", "0x3e20", "0x4380", "0x0"], "the upper 16 bits", mistaken={
        "view shows the bits; astype would convert the numbers": lambda got: got[0] == "0x0"}, hint="view as np.uint32, move down by 16",
        raises={TypeError: "x.view(np.uint32) are whole numbers; astype(np.uint16) makes two bytes a number of them"})
    expect.same(lambda: to_bfloat16(x.reshape(5, 1)).dtype.name, "uint16", "two bytes a number", hint="astype(np.uint16) at the end")
    near = np.array([0x3F808001, 0x3F80FFFF, 0x3F807FFF, 0xBF808001], np.uint32).view(float32)
    expect.same(lambda: [hex(bits) for bits in to_bfloat16(near)], ["0x3f81", "0x3f81", "0x3f80", "0xbf81"], "to the nearest", mistaken={
        "round, do not cut: add 0x7FFF first": ["0x3f80", "0x3f80", "0x3f80", "0xbf80"]},
        hint="add 0x7FFF and the last bit that stays, then move down")
    between = np.array([0x3F808000, 0x3F818000, 0x3F828000], np.uint32).view(float32)
    expect.same(lambda: [hex(bits) for bits in to_bfloat16(between)], ["0x3f80", "0x3f82", "0x3f82"], "of two equally near ones the even one",
                mistaken={
        "add 0x7FFF, and the last bit that stays: 0x8000 always rounds up": ["0x3f81", "0x3f82", "0x3f83"],
        "add the last bit that STAYS: bits >> 16 & 1": ["0x3f80", "0x3f81", "0x3f82"]})
    odd = np.array([0x7F800001, 0x7FFFFFFF, 0x7F800000, 0x7F7FFFFF], np.uint32).view(float32)
    expect.same(lambda: [hex(bits) for bits in to_bfloat16(odd)], ["0x7fc0", "0x7fc0", "0x7f80", "0x7f80"], "nan stays nan, and infinity infinity",
                hint="where np.isnan(x): 0x7FC0")
    expect.close(lambda: from_bfloat16(np.array([0x3F80, 0xC000, 0x4049], np.uint16)), np.array([1.0, -2.0, 3.140625], float32), "and back",
                 mistaken={
        "move the bits up by 16 first": lambda got: abs(got).max() < 1e-30, "view the bits, do not convert them": lambda got: abs(got).max() > 1e6},
        hint="as np.uint32, moved up by 16, viewed as float32", raises={ValueError: "make 4 bytes of the 2 first: astype(np.uint32)"})
test_unit_bfloat16()

# %% [markdown]
"""
What converts one into the other, in the form that the next part needs, is given: float16 by NumPy, bfloat16 by yours, in pieces. A `Packed` is an
array that is kept as bfloat16. And what it costs, a number:
"""

# %%
#| export
float16 = np.dtype("float16")

class Packed:
    """An array kept as bfloat16."""
    __slots__ = ("bits", "of", "__weakref__")

    def __init__(self, x):
        self.bits, self.of = _in_pieces_of(to_bfloat16, x, np.uint16), weakref.ref(x)

def _is(x, dtype):
    return isinstance(x, ndarray) and x.dtype == dtype

def _in_pieces_of(convert, x, dtype):
    """convert(x), an array of this dtype, made in pieces that stay in the cache."""
    out = np.empty(x.shape, dtype)
    for into, piece in spans(out, x):
        into[...] = convert(piece)
    return out

def to_half(x):
    """Arrays of float32 as float16, anything else as it is.  What is too large becomes infinity."""
    with np.errstate(over="ignore"):
        return x.astype(float16) if _is(x, float32) else x

def rounded(x):
    """Arrays of float32 rounded to bfloat16, anything else as it is."""
    return _in_pieces_of(lambda x: from_bfloat16(to_bfloat16(x)), x, float32) if _is(x, float32) else x

def widen(x):
    """What was stored in half, as float32; anything else as it is."""
    return x.astype(float32) if _is(x, float16) else _in_pieces_of(from_bfloat16, x.bits, float32) if type(x) is Packed else x

def each(change, value):
    """`value` with change(x) in place of each x in it: in tuples, lists and dicts.

    >>> each(lambda x: x * 2, (1, [2, 3], {"four": 4}))
    (2, [4, 6], {'four': 8})
    """
    if isinstance(value, dict):
        return {name: each(change, x) for name, x in value.items()}
    return type(value)([each(change, x) for x in value]) if type(value) in (tuple, list) else change(value)

# %% tags=["analysis"]
numbers = np.random.default_rng(0).standard_normal(1_000_000, dtype=float32)
tiny = numbers * 1e-6
packed, halves = Packed(numbers), to_half(numbers)
calls = {"float32 to float16": lambda: to_half(numbers), "… of numbers around 0.000001": lambda: to_half(tiny),
         "float16 to float32": lambda: widen(halves),
         "float32 to bfloat16": lambda: Packed(numbers), "bfloat16 to float32": lambda: widen(packed),
         "halves, added as halves": lambda: halves + halves,
         "float32, added": lambda: numbers + numbers}
for name, timing in compare(calls, 1, 5).items():
    print(f"{name:30} {timing.median / numbers.size * 1e9:6.2f} ns")

# %% [markdown]
"""
This processor computes with float32; in NumPy a half is a way to *store*. Converting costs more than adding, and for numbers below the range of
float16 far more. So whoever stores halves to be faster, here will be slower. What there is to win is memory.

## 7 · A door that stores half

Nearly all memory of a training step are activations, kept for the gradients. Store them in half, compute in float32: that is a matter of the door
alone. Every operation passes through it, and `around` (module 01) is the chair next to it. Three sorts of operations need a rule of their own:
"""

# %%
#| export
START = {"linear", "matmul", "convolve", "causal_attention"}     # the large products, with which storing in half begins
FULL = {"exp", "log", "sqrt", "power", "sum", "mean", "log_softmax", "softplus", "clamped_log", "cross_entropy"}     # may leave the range of a half
MOVES = {"reshape", "permute", "transpose", "expand", "getitem", "cat", "split_heads", "merge_heads", "frame"}      # compute nothing

# %% [markdown]
"""
**Your turn.** What sits around the door. `low` says whether halves are among what comes in. In this order:

1. An operation of MOVES goes on as it is: `return call(arrays, params)`.
2. An operation of START that has no halves yet gets its first input narrowed, *in the list* `arrays`: what stands there is what will be kept.
3. Then `call` gets each input widened (`each(widen, arrays)`, a new list; the halves stay in `arrays`).
4. What it returns is narrowed if halves came in (`each(narrow, …)`), unless the operation is one of FULL. The rest stays as it is.
"""

# %% nbgrader={"grade": false, "grade_id": "half-door", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def half_door(narrow):
    """What sits around the door while numbers are stored in half, by `narrow` (`to_half` or `rounded`): a watch(call, op, arrays, params)."""
    def watch(call, op, arrays, params):
        low = narrow is rounded or any(_is(x, float16) for x in arrays)      # bfloat16 cannot be seen: it looks like float32
        ### BEGIN SOLUTION
        if op.__name__ in MOVES:
            return call(arrays, params)
        if op.__name__ in START and not low:
            arrays[0], low = narrow(arrays[0]), True
        out = call(each(widen, arrays), params)
        return each(narrow, out) if low and op.__name__ not in FULL else out
        ### END SOLUTION
    return watch

# %% [markdown]
"""
`autocast` is given. It also sits in the other chair, `record`: what a node keeps is packed, and its rule unpacks it, so that `backward` may come
later, outside. Parameters are kept as they are; they are there anyway.
"""

# %%
#| export
@contextmanager
def autocast(dtype="float16"):
    """`with autocast():` what operations give, keep and send back is stored in half as many bytes; arithmetic stays in float32.

    dtype: "float16", "bfloat16" (between operations as rounded float32, kept in 16 bits), or "float32": nothing changes.  As `torch.autocast`.
    """
    check_choice("autocast", ("float16", "bfloat16", "float32"), dtype=str(dtype))
    if str(dtype) == "float32":
        yield
        return
    narrow, packs, ops = to_half if str(dtype) == "float16" else rounded, weakref.WeakValueDictionary(), {}

    def pack(x):
        if narrow is to_half or not _is(x, float32):
            return to_half(x)
        kept = packs.get(id(x))
        if kept is None or kept.of() is not x:                   # the same array twice is one Packed
            kept = packs[id(x)] = Packed(x)
        return kept

    def note(record, op, args, arrays, params, extra, data):
        node = record(op, args, arrays, params, extra, data)
        if node is not None and node.rule and op.__name__ not in MOVES:
            leaves = {id(x.data) for x in args if isinstance(x, Tensor) and x.node is None}
            node.saved = each(lambda x: x if id(x) in leaves else pack(x), node.saved)
            node.op = ops[node.op] = ops.get(node.op) or _stored(node.op, narrow)
            node.rule = node.op.rule
        return node

    with watching(half_door(narrow)), standing(door, "record", note):
        yield

def _stored(op, narrow):
    """The operation with a rule for what is kept in half: it is widened before the rule runs, and the rule's answers are narrowed."""
    def run(g, *saved):
        if isinstance(g, Tensor):
            raise RuntimeError("no second derivative through autocast; leave it out where one is wanted")
        return each(narrow, rule.run(widen(g), *each(widen, saved)))
    rule, new = op.rule, functools.wraps(op)(lambda *args, **settings: op(*args, **settings))
    new.rule = copy.copy(rule)
    new.rule.run = run
    return new

# %% nbgrader={"grade": true, "grade_id": "test-half-door", "locked": true, "points": 10, "schema_version": 3, "solution": false, "task": false}
def test_unit_half_door():
    """Inside autocast results are stored in half, and computed in float32."""
    def inside(call, dtype="float16"):                           # what call() gives, and which dtypes each operation computed with
        seen = {}
        def spy(call, op, arrays, params):
            seen.setdefault(op.__name__, set()).update(x.dtype.name for x in arrays if isinstance(x, ndarray))
            return call(arrays, params)
        with autocast(dtype):
            door.around.insert(0, spy)                           # nearer to the operation than autocast
            try:
                return call(), seen
            finally:
                door.around.remove(spy)
    rng = np.random.default_rng(0)
    x, w = Tensor(rng.normal(size=(4, 3))), Tensor(rng.normal(size=(3, 2)), requires_grad=True)
    product = lambda: inside(lambda: x @ w)[0]
    expect.same(lambda: product().dtype.name, "float16", "the result of a product is float16", mistaken={
        "nothing came back: return what call returns": "object"}, hint="narrow what call returns, and leave the half in `arrays`: arrays[0] = …",
        raises={TypeError: "call takes a list of arrays, and params"})
    expect.close(lambda: product().data.astype(float32), widen(to_half(widen(to_half(x.numpy())) @ w.numpy())), "the first input is a half, too",
                 tol=1e-7,
                 hint="arrays[0] = narrow(arrays[0])")
    expect.same(lambda: [kept.dtype.name for kept in product().node.saved if isinstance(kept, ndarray)], ["float16", "float32"],
                "what is kept: the input as a half, the parameter as it is", mistaken={
                    "put the half into the list: arrays[0] = …": ["float32", "float32"], "the parameter stays as it is": ["float16", "float16"]})
    bent = lambda dtype="float16": inside(lambda: relu(x @ w) * 0.5, dtype)
    expect.same(lambda: bent()[1], {"matmul": {"float32"}, "relu": {"float32"}, "multiply": {"float32"}}, "arithmetic is in float32",
                hint="widen the inputs: each(widen, arrays)")
    expect.same(lambda: [x.dtype for x in bent()[0].node.saved if isinstance(x, ndarray)][:1], [float16], "and kept as halves",
                hint="each(widen, arrays) is a new list: leave the halves in `arrays`")
    expect.same(lambda: inside(lambda: (x @ w).exp())[0].dtype, float32, "exp could leave the range of a half",
                hint="what operations of FULL return stays as it is")
    expect.close(lambda: inside(lambda: (w + w) * 3e4)[0], (w + w) * 3e4, "without a half among the inputs all stays float32", tol=1e-6,
                 hint="narrow only where `low`")
    flat, seen = inside(lambda: [y := x @ w, y.reshape(8)][1])
    expect.same((flat.dtype, seen["reshape"]), (float16, {"float16"}), "what computes nothing moves the halves themselves", hint="MOVES comes first")
    expect.same(lambda: sorted(a.dtype.name for a in inside(lambda: w @ (x @ w).T)[0].node.saved if isinstance(a, ndarray)), ["float16", "float32"],
                "a parameter that meets a half need not become one", hint="START narrows only where there are no halves yet: not low")
    expect.true(lambda: not (bent("bfloat16")[0].data.view(np.uint32) & 0xFFFF).any(), "bfloat16: the lower 16 bits are 0",
                hint="narrow what call returns")
test_unit_half_door()

# %% [markdown]
"""
A language model, its loss and its gradients. `kept_bytes` asks Python's own memory tracer what is still there after the forward pass.
"""

# %%
#| export
def kept_bytes(call):
    """The bytes that are there after `call()`, while its result is, and were not before: for a loss, what its gradients will need."""
    gc.collect()
    tracing = tracemalloc.is_tracing()
    tracing or tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        result = call()                                          # held until the bytes are counted
        after = tracemalloc.get_traced_memory()[0]
        return after - before if result is not None else 0
    finally:
        tracing or tracemalloc.stop()

# %% tags=["analysis"]
from tinytorch.models.transformer import GPT, next_token_loss

model = GPT(96, embed_dim=128, num_layers=4, num_heads=4, max_seq_len=128, generator=np.random.default_rng(0))
ids = np.random.default_rng(0).integers(0, 96, (8, 129))

def forward(dtype):
    with autocast(dtype):
        return next_token_loss(model(ids[:, :-1]), ids[:, 1:])

def slopes(dtype, scale=1.0):
    model.zero_grad()
    with np.errstate(over="ignore", invalid="ignore"):
        (forward(dtype) * scale).backward()
    return np.concatenate([p.grad.numpy().ravel() for p in model.parameters()]) / scale

exact = slopes("float32")
for dtype in ("float32", "float16", "bfloat16"):
    away = np.linalg.norm(slopes(dtype) - exact) / np.linalg.norm(exact)
    print(f"{dtype:9} loss {forward(dtype).item():.5f}  gradients off by {away:.2%}  kept {kept_bytes(lambda: forward(dtype)) / 1e6:5.1f} MB"
          f"  at most {peak_memory(lambda: slopes(dtype)) / 1e6:5.1f} MB")

# %% [markdown]
"""
## 8 · Slopes too small for a half

A mean over many tokens has small slopes, and below 0.00006 a float16 has few digits, below 0.00000003 none. Here are the gradients that travel
through the model on their way back. A larger loss has larger slopes: how much is lost, when the loss is multiplied by a *scale* first?
"""

# %% tags=["analysis"]
def travelling(scale):
    """All gradients that rules are given, in float32, of the loss times the scale."""
    seen, loss = [], forward("float32") * scale
    door.around.append(lambda call, op, arrays, params: seen.append(arrays[0].ravel()) or call(arrays, params))
    loss.backward()
    door.around.clear()
    return np.concatenate(seen)

for scale in (1.0, 1024.0, 65536.0, 2.0 ** 24):
    g = travelling(scale)
    halves, step = abs(to_half(g)), compare({"": lambda: slopes("float16", scale)}, 0, 3)[""].median
    print(f"scale {scale:10,.0f}: lost to 0 {(halves[g != 0] == 0).mean():6.2%}  few digits {(halves[halves > 0] < 6.1e-5).mean():6.2%}"
          f"  too large {np.isinf(halves).sum():5}   a step takes {seconds_text(step)}")

# %% [markdown]
"""
So: multiply the loss, and divide the gradients again, in float32, before the optimizer sees them. The best scale is the largest that does not
overflow. It is found by trying: where a gradient is infinite or nan, skip the step and halve the scale; after many good steps double it.
"""

# %%
#| export
class MixedPrecisionTrainer:
    """Trains a model whose activations and gradients are stored in half, with float32 weights and a loss that is scaled up.

    As `torch.amp.GradScaler` (Micikevicius et al., 2018).  `loss_fn` takes what the model gives, and the targets.
    """
    def __init__(self, model, optimizer, loss_scale=1024.0, max_loss_scale=65536.0, *, loss_fn=cross_entropy, growth_interval=2000, dtype="float16"):
        check_kind("MixedPrecisionTrainer", Module, none=True, model=model)
        check_kind("MixedPrecisionTrainer", Optimizer, none=True, optimizer=optimizer)
        check_kind("MixedPrecisionTrainer", Callable, loss_fn=loss_fn)
        check_number("MixedPrecisionTrainer", loss_scale=loss_scale, max_loss_scale=max_loss_scale)
        check_whole("MixedPrecisionTrainer", growth_interval=growth_interval)
        check_choice("MixedPrecisionTrainer", ("float16", "bfloat16", "float32"), dtype=str(dtype))
        if not 0 < loss_scale <= max_loss_scale:
            raise ValueError(f"MixedPrecisionTrainer: loss_scale must be above 0 and at most max_loss_scale, {max_loss_scale}, not {loss_scale}")
        self.model, self.optimizer, self.loss_fn, self.dtype = model, optimizer, loss_fn, dtype
        self.loss_scale, self.max_loss_scale, self.growth_interval = loss_scale, max_loss_scale, growth_interval
        self.good_steps = 0                                      # since the scale was last changed, or a step skipped

    def loss(self, x, y):
        """The loss of one batch, stored in half."""
        with autocast(self.dtype):
            return self.loss_fn(self.model(x), y)

    def scale_loss(self, loss):
        """The loss times the scale, a Tensor."""
        return loss * self.loss_scale

# %% [markdown]
"""
**Your turn.** Divide every gradient by the scale, in place, and say whether all of them are finite. A parameter may have no gradient.
"""

# %% nbgrader={"grade": false, "grade_id": "unscale", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def _unscale_gradients(self, parameters):
    """Divide all gradients by the scale, in place.  True where every number of them is finite, else False."""
    ### BEGIN SOLUTION
    valid = True
    for p in parameters:
        if p.grad is not None:
            p.grad.data /= self.loss_scale
            valid = valid and bool(np.isfinite(p.grad.data).all())
    return valid
    ### END SOLUTION

MixedPrecisionTrainer.unscale_gradients = _unscale_gradients

# %% nbgrader={"grade": true, "grade_id": "test-unscale", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_unscale():
    """Gradients are divided by the scale, and looked at."""
    def left(*gradients):
        weights = [Tensor([0.0, 0.0], requires_grad=True) for _ in gradients]
        for w, g in zip(weights, gradients):
            w.grad = g
        held, trainer = [w.grad for w in weights], MixedPrecisionTrainer(None, None, loss_scale=8.0)
        return trainer.unscale_gradients(weights), [None if g is None else g.data for g in held]
    first, second = Tensor([16.0, -4.0]), Tensor([0.5, 2.0])
    expect.close(lambda: left(first.copy(), second.copy())[1], [[2, -0.5], [0.0625, 0.25]], "divided by 8, in place", mistaken={
        "divide by the scale": [[128.0, -32.0], [4.0, 16.0]], "write into p.grad.data": [[16.0, -4.0], [0.5, 2.0]]}, hint="p.grad.data /= …")
    expect.same(lambda: left(first.copy(), second.copy())[0], True, "all finite", hint="return a bool of Python")
    expect.same(lambda: left(None, Tensor([3.0, 3.0]))[0], True, "a parameter may have no gradient", raises={AttributeError: "p.grad may be None"})
    for wrong in (math.inf, -math.inf, math.nan):
        bad = Tensor([1.0, 1.0])
        bad.data[0] = wrong
        expect.same(lambda: left(bad.copy(), first.copy())[0], False, f"{wrong} in the first one",
                    hint="np.isfinite tells infinity and nan; one bad gradient is enough")
        expect.same(lambda: left(first.copy(), bad.copy())[0], False, f"{wrong} in the last one", hint="look at all of them")
    expect.close(lambda: left(bad.copy(), first.copy())[1][1], [2, -0.5], "those after a bad one are divided, too",
                 hint="do not leave the loop early")
test_unit_unscale()

# %% [markdown]
"""
**Your turn.** The scale after a step. An overflow halves it, but never below 1, and starts the counting of good steps anew. The
`growth_interval`-th good step in a row doubles it, up to `max_loss_scale`, and starts the counting anew as well.
"""

# %% nbgrader={"grade": false, "grade_id": "update-scale", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def _update_loss_scale(self, overflow):
    """Change `loss_scale` and `good_steps` after a step, of which `overflow` says whether it was skipped."""
    ### BEGIN SOLUTION
    self.good_steps = 0 if overflow else self.good_steps + 1
    if overflow:
        self.loss_scale = max(self.loss_scale / 2, 1.0)
    elif self.good_steps == self.growth_interval:
        self.loss_scale, self.good_steps = min(self.loss_scale * 2, self.max_loss_scale), 0
    ### END SOLUTION

MixedPrecisionTrainer.update_loss_scale = _update_loss_scale

# %% nbgrader={"grade": true, "grade_id": "test-update-scale", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_update_scale():
    """The scale falls at once, and rises slowly."""
    def scales(start, steps, most=64.0, interval=3):
        trainer, seen = MixedPrecisionTrainer(None, None, start, most, growth_interval=interval), []
        for overflow in steps:
            trainer.update_loss_scale(overflow == "x")
            seen.append(trainer.loss_scale)
        return seen
    expect.close(lambda: scales(16.0, "x"), [8], "an overflow halves it", mistaken={"smaller after an overflow": [32.0]})
    expect.close(lambda: scales(8.0, "......."), [8, 8, 16, 16, 16, 32, 32], "every third good step doubles it", mistaken={
        "only after growth_interval good steps": [16.0, 32.0, 64.0, 64.0, 64.0, 64.0, 64.0],
        "start counting anew": [8.0, 8.0, 16.0, 32.0, 64.0, 64.0, 64.0],
        "the third step counts already": [8.0, 8.0, 8.0, 16.0, 16.0, 16.0, 16.0],
        "doubled, not squared or increased by a few": lambda got: got[2] not in (8, 16)},
        hint="start counting anew after each change")
    expect.close(lambda: scales(16.0, "..x..."), [16, 16, 8, 8, 8, 16], "an overflow starts the counting anew", mistaken={
        "good steps in a row: 0 after an overflow": [16.0, 16.0, 8.0, 16.0, 16.0, 16.0]}, hint="good_steps = 0 after an overflow")
    expect.close(lambda: scales(48.0, "...", most=64.0), [48, 48, 64], "never above the most", hint="min(…, self.max_loss_scale)")
    expect.close(lambda: scales(1.5, "xx"), [1, 1], "never below 1", hint="max(…, 1.0)")
test_unit_update_scale()

# %% [markdown]
"""
**Your turn.** One step: forget the old gradients, `self.loss`, scale it, `backward`, unscale, and a step of the optimizer, unless there was an
overflow. Then update the scale. The loss that is reported is a float, and not the scaled one.
"""

# %% nbgrader={"grade": false, "grade_id": "train-step", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def _train_step(self, batch):
    """One step on (inputs, targets): a dict of "loss", "loss_scale" (from now on), "overflow" and "gradients_valid"."""
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        raise ValueError(f"train_step: a batch is a pair (inputs, targets), not {batch!r:.60}")
    x, y = batch
    with np.errstate(over="ignore", invalid="ignore"):           # an overflow is looked for here, and no accident
        ### BEGIN SOLUTION
        self.optimizer.zero_grad()
        loss = self.loss(x, y)
        self.scale_loss(loss).backward()
        valid = self.unscale_gradients(self.model.parameters())
        if valid:
            self.optimizer.step()
        self.update_loss_scale(not valid)
        return {"loss": loss.item(), "loss_scale": self.loss_scale, "overflow": not valid, "gradients_valid": valid}
        ### END SOLUTION

MixedPrecisionTrainer.train_step = _train_step

# %% nbgrader={"grade": true, "grade_id": "test-train-step", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_train_step():
    """A step trains with halves, and one that overflows changes nothing but the scale."""
    rng, seen = np.random.default_rng(0), []
    class Watched(Linear):
        def forward(self, x):
            seen.append((out := super().forward(x)).dtype)
            return out
    x, y = Tensor(rng.normal(size=(6, 4))), np.array([0, 2, 1, 1, 0, 2])
    def begin(scale, dtype="float16"):
        model = Watched(4, 3, generator=np.random.default_rng(1))
        return model, MixedPrecisionTrainer(model, SGD(model.parameters(), lr=0.5), scale, 2.0 ** 40, growth_interval=2, dtype=dtype)
    plain, _ = begin(1.0)
    optimizer, losses = SGD(plain.parameters(), lr=0.5), []
    for _ in range(3):
        optimizer.zero_grad()
        losses.append(cross_entropy(plain(x), y))
        losses[-1].backward()
        optimizer.step()
    model, trainer = begin(2.0)
    seen.clear()
    told = [trainer.train_step((x, y)) for _ in range(3)]
    expect.same(lambda: sorted(told[0]), ["gradients_valid", "loss", "loss_scale", "overflow"], "what is told of a step")
    expect.true({*seen} == {float16}, "the model runs under autocast", hint="self.loss runs the model under autocast")
    expect.close(lambda: told[0]["loss"], losses[0].item(), "the loss as it is", tol=1e-2, hint="report the loss, not the scaled one")
    expect.close(lambda: model.weight, plain.weight, "three steps end where float32 ends", tol=1e-2, hint="zero_grad, scaled backward, unscale, step")
    expect.close(lambda: [step["loss_scale"] for step in told], [2, 4, 4], "the scale grows", hint="update_loss_scale(not valid), at the end")
    expect.same([(step["overflow"], step["gradients_valid"]) for step in told], [(False, True)] * 3, "no overflow")
    model, trainer = begin(2.0 ** 30)
    before, told = model.weight.numpy().copy(), trainer.train_step((x, y))
    expect.same((told["overflow"], told["gradients_valid"], told["loss_scale"]), (True, False, 2.0 ** 29), "too large a scale is halved",
                hint="the scaled loss goes backward")
    expect.same(lambda: model.weight.numpy(), before, "a step that overflowed is skipped", hint="step only where the gradients are valid")
    expect.true(lambda: np.isfinite([trainer.train_step((x, y))["loss"] for _ in range(20)]).all(), "it recovers",
                hint="forget the old gradients first")
test_unit_train_step()

# %% [markdown]
"""
## 9 · What pays, and where

A model that reads handwriting, trained three times from the same start:
"""

# %%
#| export
def _reader(width, depth, generator=None):
    """Layers from 64 pixels to 10 digits."""
    sizes = [64, *[width] * depth, 10]
    return Sequential(*[part for n, m in zip(sizes, sizes[1:]) for part in (Linear(n, m, generator=generator), ReLU())][:-1])

def analyze_mixed_precision_benefits(steps=60, width=256, rounds=5, digits=None):
    """Handwriting (`digits`: load_digits()), learned in three precisions: {dtype: {"loss", "accuracy", "kept_bytes", "step_s", "skipped"}}; prints a table."""
    images, labels = (np.asarray(t) for t in (load_digits() if digits is None else digits).tensors)
    mixed, count = np.random.default_rng(0).permutation(len(labels)), len(labels) * 4 // 5
    train, held_out = ((Tensor(images[part].reshape(-1, 64)), labels[part]) for part in (mixed[:count], mixed[count:]))
    trainers, rows = {}, {}
    for dtype in ("float32", "float16", "bfloat16"):
        model = _reader(width, 3, np.random.default_rng(0))
        trainer = trainers[dtype] = MixedPrecisionTrainer(model, SGD(model.parameters(), lr=0.1, momentum=0.9), dtype=dtype)
        kept = kept_bytes(lambda: trainer.loss(*train))
        told = [trainer.train_step(train) for _ in range(steps)]
        rows[dtype] = {"loss": told[-1]["loss"], "accuracy": accuracy(model(held_out[0]), held_out[1]), "kept_bytes": kept,
                       "skipped": sum(step["overflow"] for step in told)}
    times = compare({dtype: lambda trainer=trainer: trainer.train_step(train) for dtype, trainer in trainers.items()}, 1, rounds)
    for dtype, row in rows.items():
        row["step_s"] = times[dtype].median
        print(f"{dtype:9} loss {row['loss']:.4f}  right {row['accuracy']:.1%}  kept {row['kept_bytes'] / 1e6:5.2f} MB"
              f"  a step {seconds_text(row['step_s'])}  skipped {row['skipped']}")
    return rows

# %% tags=["analysis"]
rows = analyze_mixed_precision_benefits()

# %% [markdown]
"""
As good, in about half the memory, and slower. On a processor that multiplies halves faster than floats it would be faster, too; this one, in NumPy,
does not. Now all techniques of this module, each against what it replaces, from small to large:
"""

# %%
#| export
def analyze_acceleration_decision_framework(rounds=3, largest=2048):
    """Each technique against what it replaces, at sizes up to `largest`: {technique: {size: {"speedup", "memory"}}}; prints where it pays.

    "memory" is the peak before over the peak after.
    """
    numbers = lambda *shape: np.random.default_rng(0).standard_normal(shape, dtype=float32)

    def step(n, dtype):
        model, batch = _reader(128, 12), (Tensor(numbers(n, 64)), np.arange(n) % 10)
        trainer = MixedPrecisionTrainer(model, SGD(model.parameters()), dtype=dtype)
        return lambda: trainer.train_step(batch)

    def halves(n, a):
        a = a.astype(float16)
        return lambda: a @ a, lambda: tiled_matmul(a, a, 256)

    techniques = {                                               # sizes, and (size n, matrix n x n) -> (before, after)
        "one call for loops": ((1, 4, 16, 64), lambda n, a: (lambda: loop_matmul(a, a), lambda: vectorized_matmul(a, a))),
        "one pass for nine operations": ((4, 32, 320, 2000), lambda n, a: (lambda: unfused_gelu(Tensor(a)), lambda: fused_gelu(a))),
        "tiles for a product": ((64, 256, 512), lambda n, a: (lambda: a @ a, lambda: tiled_matmul(a, a, 256))),
        "tiles for a product of halves": ((4, 16, 64, 256), halves),
        "halves kept in a training step": ((32, 512, 2048), lambda n, a: (step(n, "float32"), step(n, "bfloat16")))}
    rows = {name: {} for name in techniques}
    for name, n, make in [(name, n, make) for name, (sizes, make) in techniques.items() for n in sizes if n <= largest]:
        before, after = make(n, numbers(n, n))
        times = compare({"before": before, "after": after}, 1, rounds)
        speedup, memory = times["before"].median / times["after"].median, peak_memory(before) / max(peak_memory(after), 1)
        rows[name][n] = {"speedup": speedup, "memory": memory}
        verdict = "pays" if speedup > 1.05 else "saves memory" if memory > 1.05 else "does not pay"
        print(f"{name:32} size {n:5}   speed x {speedup:<8.2f} memory / {memory:<6.2f} {verdict}")
    return rows

# %% tags=["analysis"]
rows = analyze_acceleration_decision_framework()

# %% [markdown]
"""
No technique of this list pays always. So the order is: measure (module 15), find what holds it up, choose what helps against *that*, and measure
again.
"""

# %% nbgrader={"grade": true, "grade_id": "test-module", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
def test_module():
    """Everything together: a model with a fused activation learns from halves as well as from float32."""
    rng, bend = np.random.default_rng(0), fuse(lambda x: x / (1.0 + np.exp(-1.5 * x)))
    class Bent(Module):
        def __init__(self):
            self.first, self.second = (Linear(*size, generator=np.random.default_rng(3)) for size in ((6, 16), (16, 2)))
        def forward(self, x):
            return self.second(bend(self.first(x)) + fused_gelu(self.first(x)))
    x, weights = Tensor(rng.normal(size=(40, 6))), []
    y = (x.numpy()[:, 0] > x.numpy()[:, 1]).astype(int)
    for dtype in ("float32", "float16", "bfloat16"):
        model = Bent()
        trainer = MixedPrecisionTrainer(model, SGD(model.parameters(), lr=0.5), dtype=dtype)
        told = [trainer.train_step((x, y)) for _ in range(25)]
        expect.true(told[-1]["loss"] < 0.6 * told[0]["loss"] and all(step["gradients_valid"] for step in told), f"it learns in {dtype}")
        weights.append(model.second.weight.numpy())
    expect.close(lambda: weights[1:], [weights[0]] * 2, "halves lead to the same place", tol=0.05)
    expect.true(not door.around, "nobody is left at the door")
    kept = lambda dtype: kept_bytes(lambda: MixedPrecisionTrainer(model, None, dtype=dtype).loss(Tensor(np.ones((2000, 6), float32)),
                                                                                                 np.zeros(2000, int)))
    expect.true(lambda: max(kept("float16"), kept("bfloat16")) < 0.7 * kept("float32"), "halves take less memory")
    a, b = (Tensor(rng.normal(size=(5, 5)), True, float64) for _ in range(2))
    expect.true(lambda: gradcheck(lambda a, b: fuse(lambda a, b: np.tanh(a * b) - a)(tiled_matmul(a, b, 2), vectorized_matmul(a, b)), [a, b]),
                "all have gradients")
    digits = TensorDataset(rng.random((10, 8, 8)), np.arange(10))
    expect.same(lambda: list(analyze_vectorization_scaling((2,), 1)), [2], "loops and one call are compared")
    expect.same(lambda: len(analyze_arithmetic_intensity(4, 1, (1e9, 1e9))), 5, "five operations have their limits")
    expect.same(lambda: list(analyze_mixed_precision_benefits(1, 4, 1, digits)), ["float32", "float16", "bfloat16"], "so have three precisions")
    expect.same(lambda: [len(sizes) for sizes in analyze_acceleration_decision_framework(1, 32).values()], [3, 2, 0, 2, 1], "and all techniques")

test_module()

# %% [markdown]
"""
## 10 · In your own words

**Question 1.** Somebody fuses all operations of a model that multiplies large matrices, and it is hardly faster. Somebody else stores its weights as
float16, and in NumPy it is slower. What should each of them have measured first, and what would it have told?
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-limits", "locked": false, "points": 5, "schema_version": 3, "solution": true, "task": false}
"""
The intensity of what takes the time. Large products are bound by arithmetic: reading memory less often does not help them. And halves help only
where memory is the limit and converting costs less than what is saved: time both on the real sizes. The first needs fewer FLOPs, the second a
reason to store halves.
"""

# %% [markdown]
"""
**Question 2.** Why does float16 need a scaled loss and bfloat16 hardly, though bfloat16 has fewer digits? And why are weights kept in float32?
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-halves", "locked": false, "points": 5, "schema_version": 3, "solution": true, "task": false}
"""
What is lost without a scale is range, not digits: small slopes fall below the smallest float16, while bfloat16 has the exponents of float32. A weight
changes by steps that are far smaller than itself; with 3 digits or 2 most of these steps would be rounded away.
"""

# %% [markdown]
"""
## Where you are

Products in one call and in tiles, chains of operations fused by hand and by machine, and training that keeps half as many bytes. Each with the size
at which it begins to pay. Next: `tito module complete 16`.
"""
