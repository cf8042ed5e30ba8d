# %% [markdown]
"""
# 17 Quantization

> A weight in one byte instead of four, or in half a byte, and what the model can still do then.

You put numbers on a coarse grid, keep them in bytes, multiply without ever holding all of them as floats, and make trained models smaller.
"""

# %% nbgrader={"grade": false, "grade_id": "start", "locked": true, "schema_version": 3, "solution": false, "task": false}
import tito.notebook     # where this fails, open the notebook with: tito module open 17
from tito.check import expect

tito.notebook.use(17)

# %%
#| default_exp optimization.quantization
#| view optimization

# %% nbgrader={"grade": false, "grade_id": "imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
import copy
import json
import math
import zipfile
from numbers import Integral

import numpy as np

from tinytorch.core.autograd import bare, gradient, no_grad, rows
from tinytorch.core.layers import (
    Linear, Module, Parameter, check_array, check_choice, check_kind, check_number, check_whole, linear)
from tinytorch.core.spatial import Conv1d, Conv2d
from tinytorch.core.tensor import Tensor, float32, op
from tinytorch.core.training import check_names, check_path, replace_file
from tinytorch.models.transformer import TiedLinear
from tinytorch.text.embeddings import Embedding, embedding, token_ids

# %% nbgrader={"grade": false, "grade_id": "tools", "locked": true, "schema_version": 3, "solution": false, "task": false}
import pickle
from pathlib import Path
from tempfile import TemporaryDirectory

from tinytorch.core.activations import relu
from tinytorch.core.layers import Flatten, Sequential
from tinytorch.core.losses import CrossEntropyLoss
from tinytorch.core.optimizers import SGD, AdamW
from tinytorch.core.spatial import BatchNorm2d, MaxPool2d
from tinytorch.core.tensor import float64, manual_seed, tensor
from tinytorch.core.training import Trainer
from tinytorch.data.loader import DataLoader, Subset, load_digits
from tinytorch.models.transformer import GPT, next_token_loss
from tinytorch.profiling.profiler import compare, evaluating, peak_memory
from tinytorch.text.tokenization import CharTokenizer, load_text

# %% [markdown]
"""
## 1 · What one token waits for

A model that writes multiplies *one* row by each of its weight matrices, for every token. Each weight is fetched from memory, used for one
multiplication and one addition, and forgotten. Is it the arithmetic that takes the time, or the fetching?
"""

# %% tags=["analysis"]
rng, width = np.random.default_rng(0), 4096
one, many = rng.standard_normal((1, width), np.float32), rng.standard_normal((64, width), np.float32)
matrix = rng.standard_normal((width, width), np.float32)
matrix64, one64 = matrix.astype(float64), one.astype(float64)
took = compare({"1 row, float64": lambda: one64 @ matrix64, "1 row, float32": lambda: one @ matrix, "64 rows, float32": lambda: many @ matrix}, 2, 9)
for (name, time), array, n in zip(took.items(), (matrix64, matrix, matrix), (1, 1, 64)):
    print(f"{name:17} {time}: {array.nbytes / time.median / 1e9:5.1f} GB/s of weights, {2 * n * array.size / time.median / 1e9:5.1f} GFLOP/s")

# %% [markdown]
"""
One row gets nowhere near the arithmetic that the machine can do with 64. It waits for memory, and half the bytes take about half the time. So what
about a quarter of the bytes? Whole numbers from -128 to 127 fit into one. Let NumPy multiply those:
"""

# %% tags=["analysis"]
ints = rng.integers(-127, 128, (2, 512, 512))
sides = {kind: ints.astype(kind) for kind in ("int8", "int32", "float32")}
for kind, took in compare({kind: (lambda s=s: s[0] @ s[1]) for kind, s in sides.items()}, 1, 3).items():
    got = sides[kind][0] @ sides[kind][1]
    print(f"{kind:8} {took}, first number {got[0, 0]:.0f}, should be {ints[0, 0] @ ints[1, :, 0]}")

# %% [markdown]
"""
Slower, and for int8 wrong: a sum of products does not fit into a byte, and nothing says so. Some libraries have fast instructions for int8; NumPy has
none, so here **int8 arithmetic is not faster**. What one byte a weight saves is memory, and the way from memory. So: keep bytes, and make floats of
them a few at a time, just before they are used.

## 2 · A grid

A *grid* says what number each whole number stands for: `x = (q - zero_point) * scale`. Between two neighbours lies a step of `scale`.

```
symmetric, zero_point 0            asymmetric
 q   -127 ······ 0 ······ 127       q  -128 ····························· 127
 x    -a         0         a        x   low              high = low + 255 · scale
```

*Symmetric*, for weights: 0 is in the middle, and the larger side decides. `a` is the larger of -low and high: 127 steps on each side. *Asymmetric*, for
what comes out of a ReLU: all 255 steps lie between low and high, and low becomes the smallest whole number. 0 is on every grid (low ≤ 0 ≤ high is
made true first), because padding and ReLU make many zeros, which are to stay exact.

**Your turn.** `low` and `high` are numbers or arrays, so use `np.minimum`, `np.maximum`, `np.round`. For 8 bits `smallest` and `largest` are -128 and 127.
Where all numbers are 0, the scale must not be: make it at least 1e-30.
"""

# %% nbgrader={"grade": false, "grade_id": "grid", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def _levels(bits):
    """The smallest and the largest whole number of so many bits: 8 -> (-128, 127).  ValueError unless they are from 2 to 8."""
    check_whole("quantize", 2, 8, bits=bits)                     # which fit into an int8
    return -2 ** (bits - 1), 2 ** (bits - 1) - 1

def quantization_grid(low, high, bits=8, symmetric=True):
    """The grid for numbers from `low` to `high`: (scale, zero_point), a float and a whole number; arrays of them where low and high are arrays.

    >>> quantization_grid(-1.27, 0.5), quantization_grid(0.0, 127.5, symmetric=False)
    ((0.01, 0), (0.5, -128))
    """
    smallest, largest = _levels(bits)
    low, high = check_array("quantization_grid", low=low, high=high)
    if np.any(low > high):
        raise ValueError(f"quantization_grid: low must not be above high, not {low!r:.60} and {high!r:.60}")
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise ValueError("quantization_grid: a range from a finite number to another wanted; there is nan or infinity in what is to be quantised")
    ### BEGIN SOLUTION
    low, high = np.minimum(low, 0.0), np.maximum(high, 0.0)
    scale = np.maximum(-low, high) / largest if symmetric else (high - low) / (largest - smallest)
    scale = np.maximum(scale, 1e-30)
    zero_point = 0.0 * scale if symmetric else smallest - np.round(low / scale)
    ### END SOLUTION
    return (float(scale), int(zero_point)) if np.ndim(scale) == 0 else (scale.astype(float32), zero_point.astype(int))

# %% nbgrader={"grade": true, "grade_id": "test-grid", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_grid():
    """A grid reaches as far as the numbers do, and 0 is on it."""
    expect.close(lambda: quantization_grid(-2.0, 1.0)[0], 2 / 127, "symmetric: the larger side in 127 steps", mistaken={
        "the larger of -low and high, not always high": 1 / 127, "127 steps, not 128": 2 / 128,
        "each side has 127 steps: symmetric is not high - low": lambda got: got in (3 / 255, 4 / 255, 3 / 127)}, tol=1e-7)
    expect.same(quantization_grid(-2.0, 1.0)[1], 0, "and 0 in the middle")
    expect.close(lambda: quantization_grid(-1.0, 3.0, symmetric=False)[0], 4 / 255, "asymmetric: all in 255 steps", mistaken={
        "255 steps lie between 256 numbers": 4 / 256, "from low to high, all 255 steps": lambda got: got in (3 / 127, 4 / 127, 3 / 255)}, tol=1e-7)
    expect.same(lambda: quantization_grid(-1.0, 3.0, symmetric=False)[1], -64, "low becomes -128", mistaken={
        "low is negative: minus low / scale": -192, "low becomes the smallest whole number, not 0": 64,
        "low stands at the smallest number, high at the largest": 63}, hint="smallest - round(low / scale)")
    expect.close(lambda: [*quantization_grid(1.0, 5.1, symmetric=False), *quantization_grid(-5.1, -1.0, symmetric=False)], [0.02, -128, 0.02, 127],
                 "0 is on it, wherever the numbers are", hint="first low = min(low, 0), high = max(high, 0)", tol=1e-7)
    expect.close(lambda: quantization_grid(-0.7, 0.35, bits=4)[0], 0.1, "four bits: 7 steps", hint="largest, not 127", tol=1e-7)
    expect.close(lambda: quantization_grid(-0.7, 0.8, bits=4, symmetric=False), (0.1, -1), "or 15", hint="largest - smallest steps", tol=1e-7)
    expect.true(lambda: 0 < quantization_grid(0.0, 0.0)[0] < 1e-20, "the scale is never 0", hint="np.maximum(scale, 1e-30)",
                raises={(ZeroDivisionError, ValueError, OverflowError): "np.maximum(scale, 1e-30)"})
    several = np.array([-1.0, -0.5, 0.0]), np.array([0.5, 2.0, 0.0])
    expect.close(lambda: quantization_grid(*several)[0][:2], np.float32([1 / 127, 2 / 127]), "arrays: a grid for each", tol=1e-6,
                 raises={ValueError: "np.maximum and np.minimum work on arrays"})
    expect.same(lambda: quantization_grid(*several, symmetric=False)[1], np.array([42, -77, -128]), "also asymmetric")

test_unit_grid()

# %% [markdown]
"""
## 3 · There and back

To put a number on the grid: divide by the scale, *round*, add the zero point, and *clip* what lies beyond the ends. Only then is `.astype(np.int8)`
safe: it cuts decimals off, and wraps round what does not fit. On the way back the same trap waits: int8 minus a zero point can leave the byte.

One grid for a whole matrix (*per tensor*), or one for each output (*per channel*)? A single large weight makes all steps large:

```
 row 1   [ 0.9 -0.5  0.3]       one step for all: 10 / 127 = 0.079
 row 2   [ 10.  -4.   2.]       a step for each row: 0.9 / 127 = 0.007, and 0.079
```

**Your turn.** `grid_of` finds low and high of `x` and hands them to `quantization_grid`: for the whole array where `axis` is None, else for each channel
along `axis`, over all *other* axes, with `keepdims=True`, so that the scales broadcast to x.
"""

# %% nbgrader={"grade": false, "grade_id": "quantize", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def grid_of(x, axis=None, symmetric=True, bits=8):
    """The grid for an array from its smallest number to its largest; with `axis`, a grid for each channel along it."""
    x = check_array("quantize", x=x)
    if x.dtype.kind != "f" or not x.size:
        raise ValueError(f"quantize: floats wanted, at least one, not {x.dtype} {x.shape}")
    check_kind("quantize", Integral, none=True, axis=axis)
    if axis is not None and not -x.ndim <= axis < x.ndim:
        raise ValueError(f"quantize: there is no axis {axis} in a shape {x.shape}")
    ### BEGIN SOLUTION
    others = None if axis is None else tuple(k for k in range(x.ndim) if k != axis % x.ndim)
    low, high = x.min(axis=others, keepdims=axis is not None), x.max(axis=others, keepdims=axis is not None)
    return quantization_grid(low, high, bits, symmetric)
    ### END SOLUTION

def quantize(x, scale, zero_point=0, bits=8):
    """Floats to the whole numbers of a grid, as int8; what lies outside goes to its ends.  Arrays.

    >>> quantize(np.array([-9.0, -0.5, 0.24, 0.26]), 0.5, 1)
    array([-17,   0,   1,   2], dtype=int8)
    """
    x = check_array("quantize", x=x)
    check_array("quantize", scale=scale, zero_point=zero_point)
    if not np.isfinite(x).all() or not np.min(scale) > 0:
        raise ValueError(f"quantize: finite numbers and a scale above 0 wanted, not {x!r:.60} and {scale!r:.60}")
    ### BEGIN SOLUTION
    return np.clip(np.round(x / scale) + zero_point, *_levels(bits)).astype(np.int8)
    ### END SOLUTION

def dequantize_int8(q, scale, zero_point=0):
    """The numbers that the whole numbers `q` (int8) stand for, as float32.

    >>> dequantize_int8(np.array([50, -127], np.int8), 0.01)
    array([ 0.5 , -1.27], dtype=float32)
    """
    q, *_ = check_array("dequantize_int8", q=q, scale=scale, zero_point=zero_point)
    ### BEGIN SOLUTION
    return ((q.astype(float32) - zero_point) * scale).astype(float32)
    ### END SOLUTION

def quantize_int8(x, axis=None, symmetric=True, bits=8):
    """An array or Tensor as int8: (q, scale, zero_point).  `axis`: see `grid_of`; fewer bits make a coarser grid.

    >>> quantize_int8([0.5, -1.27, 0.0])
    (array([  50, -127,    0], dtype=int8), 0.01, 0)
    """
    scale, zero_point = grid_of(x, axis, symmetric, bits)
    return np.ascontiguousarray(quantize(np.asarray(x), scale, zero_point, bits)), scale, zero_point

# %% nbgrader={"grade": true, "grade_id": "test-quantize", "locked": true, "points": 12, "schema_version": 3, "solution": false, "task": false}
def test_unit_quantize():
    """Numbers move to the nearest grid point, each channel's on a grid of its own, and come back at most half a step away."""
    x = np.array([[0.9, -0.5, 0.3], [10.0, -4.0, 2.0]])
    expect.close(lambda: grid_of(x), (10 / 127, 0), "one grid for all", tol=1e-6, hint="x.min(), x.max()")
    for axis, most in ((0, [[0.9], [10.0]]), (1, [[10.0, 4.0, 2.0]]), (-1, [[10.0, 4.0, 2.0]])):
        expect.close(lambda: grid_of(x, axis)[0], np.array(most) / 127, "a grid for each channel", tol=1e-6, mistaken={
            "axis is the one that keeps its own scales: look along the others": lambda got: got.size == (2 if axis else 3),
            "keepdims=True: the scales broadcast to x": lambda got: got.ndim < 2}, hint="min and max over all axes but `axis`")
    expect.same(lambda: grid_of(np.ones((2, 3, 4, 5)), 1)[0].shape, (1, 3, 1, 1), "of as many axes as you like", hint="over ALL other axes")
    expect.close(lambda: grid_of(x, 0, symmetric=False, bits=4), (np.array([[1.4 / 15], [14 / 15]]), np.array([[-3], [-4]])), "bits and symmetric are passed on",
                 tol=1e-6, hint="quantization_grid(low, high, bits, symmetric)")
    given = np.array([-0.9, -0.6, 0.4, 0.6, 100.0, -100.0])
    expect.same(lambda: quantize(given, 0.5), np.array([-2, -1, 1, 1, 127, -128], np.int8), "divided, rounded, clipped", mistaken={
        "round to the nearest: astype cuts off": np.array([-1, -1, 0, 1, 127, -128], np.int8), "clip to -128 … 127 first: int8 wraps round": lambda got: got[4] < 0,
        "divide by the scale": np.array([0, 0, 0, 0, 50, -50], np.int8)}, hint="clip(round(x / scale) + zero_point), then astype(np.int8)")
    expect.same(lambda: quantize(given, 0.5, 7), np.array([5, 6, 8, 8, 127, -128], np.int8), "plus the zero point", mistaken={
        "add the zero point before you clip": lambda got: got[5] == -121 or got[4] < 0, "plus the zero point, not minus": np.array([-9, -8, -6, -6, 127, -128], np.int8)})
    expect.same(lambda: quantize(given, 0.5, bits=4), np.array([-2, -1, 1, 1, 7, -8], np.int8), "fewer bits end earlier", hint="_levels(bits)")
    q = np.array([[-128, 0], [50, 127]], np.int8)
    expect.same(lambda: dequantize_int8(q, 0.5, -100), np.array([[-14.0, 50.0], [75.0, 113.5]], float32), "(q - zero_point) * scale", mistaken={
        "make floats first: int8 wraps round": lambda got: got[1, 0] < 0, "first minus the zero point, then times the scale": lambda got: got[0, 1] == 100,
        "float32": lambda got: got.dtype != float32}, hint="q.astype(float32) first")
    many = np.random.default_rng(0).normal(size=(4, 50)) * [[0.01], [1.0], [30.0], [0.0]]
    for symmetric in (True, False):
        q, scale, zero_point = quantize_int8(many, 0, symmetric)
        expect.true(lambda: np.all(abs(dequantize_int8(q, scale, zero_point) - many) <= 0.51 * scale), "nobody moves by more than half a step")

test_unit_quantize()

# %%
for axis in (None, 0):
    q, scale, _ = quantize_int8(two := np.array([[0.9, -0.5, 0.3], [10.0, -4.0, 2.0]]), axis)
    print(f"axis={axis}: steps {np.ravel(scale).round(3)}, {q.tolist()}, off by at most {abs(dequantize_int8(q, scale) - two).max(axis=1).round(4)}")

# %% [markdown]
"""
## 4 · Two to a byte

With 4 bits there are only 16 numbers, -8 to 7, and NumPy has no type for them: in an int8 they would take a whole byte. So two share one. Each is
stored as number + 8, from 0 to 15. To unpack quickly, long runs of memory are best, so byte k holds number k, and the one half a row further on:

```
 numbers   1   2   3  -1        + 8:  9  10  11   7       half = 2
 byte 0    11 · 16 +  9   =  1011 1001                    number 2 above, number 0 below
 byte 1     7 · 16 + 10   =  0111 1010                    number 3 above, number 1 below
```

**Your turn.** For an odd n the upper half of a row's last byte stays 0. `packed & 15` is the lower half, `packed >> 4` the upper one; both are uint8, which
has no negative numbers: make them int8 before you take 8 away. Results go into `out`, which may be of floats.
"""

# %% nbgrader={"grade": false, "grade_id": "pack", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def pack_int4(q):
    """Numbers from -8 to 7, two to a byte: int8 (…, n) -> uint8 (…, (n + 1) // 2).

    >>> [f"{byte:08b}" for byte in pack_int4(np.array([1, 2, 3, -1], np.int8))]
    ['10111001', '01111010']
    """
    if not isinstance(q, np.ndarray) or q.dtype != np.int8 or not q.ndim or q.size and (q.min() < -8 or q.max() > 7):
        raise ValueError("pack_int4: int8 numbers from -8 to 7 wanted; quantise with bits=4")
    ### BEGIN SOLUTION
    half, codes = (q.shape[-1] + 1) // 2, (q + 8).astype(np.uint8)
    packed = codes[..., :half].copy()
    packed[..., :q.shape[-1] - half] += codes[..., half:] * 16
    return packed
    ### END SOLUTION

def unpack_int4(packed, n, out=None):
    """The way back: uint8 (…, (n + 1) // 2) -> (…, n), as int8, or written into `out`.

    >>> unpack_int4(np.array([0b10111001, 0b01111010], np.uint8), 4).tolist()
    [1, 2, 3, -1]
    """
    if out is None:
        check_whole("unpack_int4", 0, n=n)
        if not isinstance(packed, np.ndarray) or packed.dtype != np.uint8 or not packed.ndim or packed.shape[-1] != (n + 1) // 2:
            raise ValueError(f"unpack_int4: {n} numbers come from uint8 (…, {(n + 1) // 2}), not from {packed!r:.60}")
        out = np.empty((*packed.shape[:-1], n), np.int8)
    ### BEGIN SOLUTION
    half = packed.shape[-1]
    out[..., :half] = (packed & 15).astype(np.int8) - 8
    out[..., half:] = (packed >> 4).astype(np.int8)[..., :n - half] - 8
    ### END SOLUTION
    return out

# %% nbgrader={"grade": true, "grade_id": "test-pack", "locked": true, "points": 10, "schema_version": 3, "solution": false, "task": false}
def test_unit_pack():
    """Two numbers share a byte, and come back as they were."""
    even, odd = np.array([[1, 2, 3, -1], [-8, 7, 0, -5]], np.int8), np.array([3, -8, 6], np.int8)
    even.flags.writeable = odd.flags.writeable = False
    want = np.array([[0xb9, 0x7a], [0x80, 0x3f]], np.uint8)
    expect.same(lambda: pack_int4(even), want, "number k below, number k + half above", mistaken={
        "number k shares its byte with number k + half, not with its neighbour": np.array([[0xa9, 0x7b], [0xf0, 0x38]], np.uint8),
        "number k goes below, number k + half above": np.array([[0x9b, 0xa7], [0x08, 0xf3]], np.uint8), "add 8 first": lambda got: got[1, 0] in (8, 248),
        "two to a byte": lambda got: got.shape == (2, 4)}, hint="code k + 16 · code (k + half)", raises={ValueError: "make a new array"})
    expect.same(lambda: pack_int4(odd), np.array([0xeb, 0x00], np.uint8), "an odd number of them", hint="half is rounded up; above the last there is nothing",
                raises={ValueError: "half is rounded up: there is one number less above than below"})
    packed = want.copy()
    packed.flags.writeable = False
    expect.same(lambda: unpack_int4(packed, 4), even, "and back", mistaken={"take 8 away": lambda got: got.min() >= 0},
                hint="(packed & 15) - 8 first, then (packed >> 4) - 8")
    expect.same(lambda: unpack_int4(np.array([0xeb, 0x00], np.uint8), 3), odd, "also an odd number", raises={ValueError: "an odd n: the last one above is left out"})
    floats = np.zeros((2, 4), float32)
    expect.same(lambda: unpack_int4(packed, 4, floats), even.astype(float32), "into floats", mistaken={
        "a uint8 has no negative numbers: astype(np.int8), then - 8": lambda got: got.max() > 7})
    expect.true(floats.any(), "they are written into `out`", hint="out[..., :half] = …")
    many = np.random.default_rng(0).integers(-8, 8, (3, 2, 9)).astype(np.int8)
    expect.same(lambda: unpack_int4(pack_int4(many), 9), many, "of any shape")

test_unit_pack()

# %% [markdown]
"""
## 5 · A product without the floats

To multiply, weights have to become floats. All at once, and the memory is back that was saved. So *widen* a few rows at a time into a small buffer,
multiply, and use the buffer again for the next. Where x has few rows, what counts is that the buffer stays in the core's own cache: `CACHED` numbers.

```
 q (out, in), bytes          buffer (tile, in), floats          y (n, out)
 ┌──────────────┐  widen     ┌──────────────┐   x @ bufferᵀ    ┌────┬────┬────┐
 │ rows 0-31    │ ─────────► │              │ ───────────────► │    │    │    │
 │ rows 32-63   │            └──────────────┘                  └────┴────┴────┘
 └──────────────┘            stays in the cache                 32 columns each
```

Rows are outputs here, (out, in): a tile is then one piece of memory. The scales wait until the end, one for each column of y.

**Your turn.** `widen(part, out)` fills `out`, an array (rows, in), with those rows of the weights that the slice `part` names. Make one buffer before the
loop, of x's dtype. The last tile may have fewer rows: use the first rows of the buffer. `np.matmul(a, b, out=…)` writes into `y`.
"""

# %% nbgrader={"grade": false, "grade_id": "product-by-tiles", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
CACHED = 2 ** 17                                                 # numbers: half a megabyte of float32

def product_by_tiles(x, outputs, widen, tile=None):
    """x (n, in) @ wᵀ -> (n, outputs), w being made floats tile by tile: `widen(part, out)` writes its rows of the slice `part` into `out` (rows, in).

    tile: rows at once; by default as many as x has, or as many as make `CACHED` numbers, if these are more.
    """
    y, tile = np.empty((len(x), outputs), x.dtype), tile or max(1, len(x), CACHED // x.shape[1])
    ### BEGIN SOLUTION
    buffer = np.empty((min(tile, outputs), x.shape[1]), x.dtype)
    for start in range(0, outputs, tile):
        part = slice(start, min(start + tile, outputs))
        out = buffer[:part.stop - start]
        widen(part, out)
        np.matmul(x, out.T, out=y[:, part])
    ### END SOLUTION
    return y

# %% nbgrader={"grade": true, "grade_id": "test-product-by-tiles", "locked": true, "points": 12, "schema_version": 3, "solution": false, "task": false}
def test_unit_product_by_tiles():
    """The product is right, and only `tile` rows of the weights are ever floats."""
    rng = np.random.default_rng(0)
    x, w, seen = rng.normal(size=(2, 3)), rng.integers(-9, 9, (7, 3)).astype(np.int8), []

    def widen(part, out):
        seen.append((part, out))
        out[...] = w[part]
    expect.close(lambda: product_by_tiles(x, 7, widen, 3), x @ w.T, "x @ wᵀ", hint="y[:, part] is x @ outᵀ", raises={
        ValueError: "out has as many rows as part names, and y[:, part] as many columns"}, mistaken={
            "the last rows are a tile too": lambda got: np.allclose(got[:, :6], (x @ w.T)[:, :6])})
    rows_of = lambda: [len(out) for _, out in seen]
    expect.true(lambda: max(rows_of()) <= 3, "no more than `tile` rows at once", hint="range(0, outputs, tile)")
    expect.same(rows_of, [3, 3, 1], "each row is made once")
    expect.true(lambda: all(np.shares_memory(seen[0][1], out) for _, out in seen), "one buffer, used again", hint="np.empty before the loop")
    whole = lambda out: out if out.base is None else out.base
    expect.true(lambda: all(whole(out).size <= 9 for _, out in seen), "and a small one", hint="the buffer has `tile` rows")
    seen.clear()
    expect.close(lambda: product_by_tiles(x, 7, widen), x @ w.T, "a tile may be larger than what there is")
    expect.true(lambda: all(whole(out).size <= 21 for _, out in seen), "then the buffer is as large as what there is", hint="min(tile, outputs) rows")
    expect.same(lambda: (product_by_tiles(x.astype(float32), 7, widen).dtype, seen[-1][1].dtype), (float32, float32), "in x's dtype",
                hint="np.empty(…, x.dtype)")

test_unit_product_by_tiles()

# %%
#| export
# Bytes pass the door as they are.  Gradients for x and the bias, as frozen layers may lie above others that learn.
def widen_rows(q, out):
    """Whole numbers, int8 (r, n) or packed uint8 (r, (n + 1) // 2), written into `out` (r, n) as they are, without a scale; and `out`."""
    if q.dtype == np.uint8:
        return unpack_int4(q, out.shape[-1], out)
    np.copyto(out, q)
    return out

@op
def quantized_linear(x, q, scale, bias=None):
    """x @ wᵀ + bias, w being stored as whole numbers: x (…, in), q (out, in) int8 or packed, scale (out, 1) or (1, 1), bias (out,) -> (…, out).

    >>> q, scale, _ = quantize_int8([[1.27, 0.0], [0.5, 1.0]])
    >>> quantized_linear(Tensor([1.0, 2.0]), Tensor(q), Tensor([[scale]]))
    Tensor([1.27, 2.5 ])
    """
    n = x.shape[-1] if np.ndim(x) else 0
    if not n or x.dtype.kind != "f" or q.shape[1] != (n if q.dtype == np.int8 else (n + 1) // 2):
        raise ValueError(f"x of floats (…, in) wanted, not {x.dtype} {np.shape(x)}, for weights stored as {q.dtype} {q.shape}")
    y = product_by_tiles(x.reshape(-1, n), len(q), lambda part, out: widen_rows(q[part], out))
    y *= scale.T                                                 # one for each column, or one for all
    if bias is not None:
        y += bias
    return y.reshape(*x.shape[:-1], len(q))

@gradient(quantized_linear)
def _(g, need, q, scale, shape):
    if need[2]:
        raise RuntimeError("quantized_linear: the scale is given, and has no gradient")
    w = widen_rows(bare(q), np.empty((len(q), shape[-1]), g.dtype)) * bare(scale).astype(g.dtype) if need[0] else None
    return (rows(g) @ w).reshape(shape) if need[0] else None, None, None, rows(g).sum(axis=0) if need[3] else None

# %% tags=["analysis"]
# How long does it take?  The tiles alone may be good for something, so they are tried with float32, too.
def products(width, count):
    """Seconds of one product (count, width) @ (width, width), by what the weights are stored as."""
    x, w = rng.standard_normal((count, width), np.float32), rng.standard_normal((width, width), np.float32)
    wide, x64, turned, tile = w.astype(float64), x.astype(float64), np.ascontiguousarray(w.T), max(count, CACHED // width)
    ways = {"float64": lambda: x64 @ wide, "float32": lambda: x @ w, "float32 in tiles": lambda: [x @ turned[k:k + tile].T for k in range(0, width, tile)]}
    for bits in (8, 4):
        q, scale, _ = quantize_int8(turned, 0, bits=bits)
        stored = [Tensor(x), Tensor(pack_int4(q) if bits == 4 else q), Tensor(scale)]
        ways[f"int{bits}"] = lambda stored=stored: quantized_linear(*stored)
    return compare(ways, 2, 9)

for width, count in ((4096, 1), (4096, 16), (4096, 128), (512, 1)):
    took = products(width, count)
    print(f"{count:3} rows, {width}²: float32 takes {took['float32']}")
    print("     × that:", ", ".join(f"{name} {t.median / took['float32'].median:.2f}" for name, t in took.items() if name != "float32"))

# %% [markdown]
"""
One row of a large matrix: int8 is about as fast as float32, with a quarter of the memory, and clearly faster than float64,
with an eighth: widening costs what the shorter way from memory saves. int4 has more to undo. With many rows the arithmetic counts, and widening
comes on top. A small matrix lies in the cache anyway: there **it does not pay** in time, only in memory.

## 6 · Layers that keep bytes

A layer's weights become two *buffers*, plain Tensors: `q` and `scale`. Like the running mean of batch norm they are saved, and not trained.

**Your turn.** `table` is an array (rows, n), a row for each output. Quantise it, with a scale for each row where per_channel. Set `self.q`, a Tensor:
int8, or packed where bits is 4; and `self.scale`, a Tensor (rows, 1), or (1, 1) where there is one for all. Keep nothing else of it.
"""

# %% nbgrader={"grade": false, "grade_id": "store", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def model_nbytes(model):
    """Bytes of all parameters and buffers of a Module, each once."""
    return sum(array.nbytes for array in model.state_dict().values())

class Quantized(Module):
    """What quantised layers have in common: weights as whole numbers `q` with their `scale`.  `grid`: that of the inputs (part 8), or None."""
    def __init__(self, layer, table, bits=8, per_channel=True, grid=None):
        """Keep `table`, the layer's weights as an array (rows, n), as `q`, int8 or packed uint8, and `scale`, (rows, 1) or (1, 1): plain Tensors."""
        check_choice(type(self).__name__, (8, 4), bits=bits)
        self.bits, self.per_channel, self.grid, self.shape = bits, per_channel, grid, layer.weight.shape
        ### BEGIN SOLUTION
        q, scale, _ = quantize_int8(table, axis=0 if per_channel else None, bits=bits)
        self.q, self.scale = Tensor(pack_int4(q) if bits == 4 else q), Tensor(np.reshape(scale, (-1, 1)))
        ### END SOLUTION
        bias = getattr(layer, "bias", None)
        self.bias = None if bias is None else Parameter(bias.data.copy(), dtype=bias.dtype)

    nbytes = property(model_nbytes)

    def table(self, n):
        """The weights as floats, scaled: (rows, n)."""
        return widen_rows(self.q.data, np.empty((len(self.q), n), float32)) * self.scale.data

    def rounded(self, x):
        """x on the grid of the inputs, if there is one."""
        return x if self.grid is None else fake_quantize(x, *self.grid)

# %% [markdown]
"""
`Linear` multiplies by tiles. A convolution uses each weight at many places, so while it computes it may have all of *its own* as floats. An embedding
makes floats of those rows only that are asked for.
"""

# %%
#| export
class QuantizedLinear(Quantized):
    """A Linear whose weights are int8, or int4 two to a byte: (…, in) -> (…, out)."""
    def __init__(self, linear, bits=8, per_channel=True, grid=None):
        check_kind("QuantizedLinear", Linear, linear=linear)
        super().__init__(linear, linear.weight.data.T, bits, per_channel, grid)

    weight = property(lambda self: Tensor(self.table(self.shape[0]).T))      # (in, out), for whoever must have floats

    def forward(self, x):
        return quantized_linear(self.rounded(x), self.q, self.scale, self.bias)

class QuantizedConv2d(Quantized):
    """A Conv2d (or Conv1d) whose weights are int8, or int4 two to a byte; they are floats while it computes."""
    def __init__(self, conv, bits=8, per_channel=True, grid=None):
        check_kind("QuantizedConv2d", Conv2d, conv=conv)
        super().__init__(conv, conv.weight.data.reshape(len(conv.weight), -1), bits, per_channel, grid)
        self.function, self.settings = conv.function, (conv.stride, conv.padding, conv.dilation, conv.groups)

    weight = property(lambda self: Tensor(self.table(math.prod(self.shape[1:])).reshape(self.shape)))

    def forward(self, x):
        return self.function(self.rounded(x), self.weight, self.bias, *self.settings)

@op
def quantized_rows(q, scale, ids, *, n):
    """The rows of a stored table for `ids` (…) -> (…, n), float32.  Arrays here."""
    return widen_rows(q[ids], np.empty((*ids.shape, n), float32)) * (scale[ids] if len(scale) > 1 else scale[0])

class QuantizedEmbedding(Quantized):
    """An Embedding whose table is int8, or int4 two to a byte: ids (…) -> (…, embed_dim)."""
    def __init__(self, embedding, bits=8, per_channel=True, grid=None):
        check_kind("QuantizedEmbedding", Embedding, embedding=embedding)
        super().__init__(embedding, embedding.weight.data, bits, per_channel)

    weight = property(lambda self: Tensor(self.table(self.shape[1])))

    def forward(self, ids):
        return quantized_rows(self.q, self.scale, token_ids(ids, self.shape[0]), n=self.shape[1])

# %% nbgrader={"grade": true, "grade_id": "test-store", "locked": true, "points": 10, "schema_version": 3, "solution": false, "task": false}
def test_unit_store():
    """A layer keeps bytes, and nothing but bytes, of its weights."""
    rng = np.random.default_rng(0)
    layer, x = Linear(5, 3, generator=rng), Tensor(rng.normal(size=(2, 5)))
    layer.weight.data *= np.array([1.0, 10.0, 0.1], float32)
    w = layer.weight.numpy()
    want = np.round(w.T / abs(w.T).max(1, keepdims=True) * 127)
    stored = lambda **settings: QuantizedLinear(layer, **settings)
    expect.same(lambda: stored().q, Tensor(want.astype(np.int8)), "int8, a row for each output", mistaken={
        "int8, not floats": lambda got: got.dtype != np.int8, "a scale for each row: axis=0": lambda got: got.dtype == np.int8 and got.shape == (3, 5)},
        raises={AttributeError: "set self.q and self.scale, Tensors"})
    expect.close(lambda: stored().scale, abs(w.T).max(1, keepdims=True) / 127, "a scale for each", tol=1e-6, hint="np.reshape(scale, (-1, 1))")
    expect.close(lambda: stored(per_channel=False).scale, [[abs(w).max() / 127]], "or one for all, (1, 1)", tol=1e-6, mistaken={
        "per_channel=False: axis=None": lambda got: got.size == 3}, hint="np.reshape(scale, (-1, 1))")
    expect.same(lambda: (stored(bits=4).q.shape, stored(bits=4).q.dtype), ((3, 3), np.dtype("uint8")), "four bits: two to a byte", hint="pack_int4(q) where bits is 4",
                raises={ValueError: "pass bits on to quantize_int8, then pack_int4(q)"})
    expect.close(lambda: stored(bits=4).scale, abs(w.T).max(1, keepdims=True) / 7, "with larger steps", tol=1e-6, hint="pass bits on to quantize_int8")
    large = Linear(64, 100, bias=False, generator=rng)
    for bits, most in ((8, 6400), (4, 3200)):
        expect.true(lambda: len(pickle.dumps(QuantizedLinear(large, bits))) < most + 1200, "all that hangs on the layer weighs little",
                    hint="keep nothing but q and scale: no float copy of the table, and not the layer")
        expect.same(lambda: QuantizedLinear(large, bits).nbytes, most + 400, "as its own report says")
    expect.same(lambda: [sorted(stored().state_dict()), [name for name, _ in stored().named_parameters()]], [["bias", "q", "scale"], ["bias"]],
                "saved, and not trained", hint="q and scale are Tensors, not Parameters")
    for bits, near in ((8, 0.05), (4, 1.0)):
        expect.true(lambda: np.all(abs(stored(bits=bits)(x).numpy() - layer(x).numpy()) < near), "it computes nearly the same")
        expect.close(lambda: stored(bits=bits)(x), linear(x, stored(bits=bits).weight, layer.bias), "with the weights that it says it has")
    small, x.requires_grad = stored(), True
    small(x).sum().backward()
    expect.close(x.grad, np.tile(small.weight.numpy().sum(axis=1), (2, 1)), "and passes gradients on")

test_unit_store()

# %% tags=["analysis"]
# How many bytes does a layer keep, and how many more does it hold while it computes?  Counted from outside.
big = Linear(2048, 2048, bias=False)
for layer in (big, QuantizedLinear(big), QuantizedLinear(big, bits=4)):
    print(f"{'float32' if layer is big else f'int{layer.bits}':8} {model_nbytes(layer):10,} bytes, 1/{model_nbytes(big) / model_nbytes(layer):.2f}; "
          f"pickled {len(pickle.dumps(layer)):10,}; while it computes {peak_memory(lambda: layer(Tensor(one[:, :2048]))):9,} more")

# %% [markdown]
"""
## 7 · A whole model

Layers lie in lists, in blocks of blocks, and may be used twice. Who knows all those places? `copy.deepcopy` does. It copies part after part, and
notes each in a dict, `memo`: the id of the old part -> the new part. What stands there already is not copied again. So fill the memo first:
`copy.deepcopy(model, {id(old): new})` is a copy in which `new` stands wherever `old` stood.

**Your turn.** `model.named_modules()` gives pairs (name, layer), each layer once; `make` may return None, which means: copy it as usual.
"""

# %% nbgrader={"grade": false, "grade_id": "replace", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def replace_layers(model, make):
    """A copy of a model in which make(name, layer) stands in place of every layer for which it is not None."""
    ### BEGIN SOLUTION
    made = {id(layer): make(name, layer) for name, layer in model.named_modules()}
    return copy.deepcopy(model, {key: new for key, new in made.items() if new is not None})
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-replace", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_replace():
    """Every layer that is meant is replaced, wherever it stands, and the model that was given stays as it was."""
    rng = np.random.default_rng(0)
    first, twice = Linear(2, 2, generator=rng), Linear(2, 2, generator=rng)
    model, named = Sequential(first, relu, twice, Sequential(twice)), []
    model.branches = [Linear(2, 3, generator=rng)]

    def make(name, layer):
        named.append(name)
        return QuantizedLinear(layer) if type(layer) is Linear else None
    new = replace_layers(model, make)
    expect.true(lambda: isinstance(new, Sequential), "a model comes back", hint="return the copy; where make returned None, nothing belongs into memo")
    expect.true(lambda: type(first) is type(model[0]) is type(model.branches[0]) is Linear, "the old one stays as it was", hint="copy.deepcopy(model, memo)")
    expect.same(lambda: [type(layer) for layer in (new[0], new[2], new[3][0], new.branches[0])], [QuantizedLinear] * 4, "all are replaced, in lists too",
                hint="copy.deepcopy(model, memo), with memo {id(old layer): new layer}")
    expect.true(lambda: new[2] is new[3][0], "one layer in two places stays one layer")
    expect.same(named, ["", "0", "2", "3", "branches.0"], "each is asked about once, by its name", hint="all of model.named_modules(), the model itself too")
    expect.true(lambda: new[3] is not model[3] and new is not model and isinstance(replace_layers(first, make), QuantizedLinear), "the rest is copied")
    kept = replace_layers(model, lambda name, layer: None)
    expect.true(lambda: not np.shares_memory(kept[0].weight.numpy(), first.weight.numpy()), "with numbers of its own", hint="copy.deepcopy, not copy.copy")

test_unit_replace()

# %% [markdown]
"""
## 8 · What comes in

A chip with int8 arithmetic wants the inputs as bytes, too. They change with every question, so their ranges are found beforehand: run the model on a
few examples, and let an *observer* look on. That is *calibration*. One wild number makes the grid coarse for all others, so it may pay to clip the outermost.

**Your turn.** `observe` notes the range of a batch in `self.ranges`: from the (100 - percentile)-th percentile to the percentile-th. `np.percentile` finds
both at once; with 100 they are the smallest and the largest. `range` makes one of all: with 100 as wide as any, otherwise the means of lows and highs.
"""

# %% nbgrader={"grade": false, "grade_id": "observer", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
class Observer:
    """The range of the numbers that it is shown; with percentile=99.9, of each batch without the outermost 0.1 % on either side."""
    def __init__(self, percentile=100):
        check_number("Observer", 50, 100, percentile=percentile)
        self.percentile, self.ranges = percentile, []

    def observe(self, x):
        """Note the range of an array or Tensor."""
        x = check_array("Observer", x=x)
        if not x.size or x.dtype.kind == "b":
            raise ValueError(f"Observer: at least one number wanted, not {x.dtype} {x.shape}")
        ### BEGIN SOLUTION
        self.ranges.append(np.percentile(x, (100 - self.percentile, self.percentile)))
        ### END SOLUTION

    def range(self):
        """(low, high) of all that was observed.  RuntimeError where nothing was."""
        if not self.ranges:
            raise RuntimeError("Observer: nothing was observed; calibrate with at least one batch")
        ### BEGIN SOLUTION
        lows, highs = zip(*self.ranges)
        return (min(lows), max(highs)) if self.percentile == 100 else (sum(lows) / len(lows), sum(highs) / len(highs))
        ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-observer", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_observer():
    """An observer remembers how far the numbers reach, over all batches."""
    def shown(*batches, **settings):
        observer = Observer(**settings)
        for batch in batches:
            observer.observe(batch)
        return observer.range()
    first, second = np.array([[-1.0, 2.5], [0.5, 0.25]]), np.array([3.5, -0.5])
    expect.close(lambda: shown(first, second), (-1.0, 3.5), "the smallest and the largest of all", mistaken={
        "all batches, not only the last": (-0.5, 3.5), "all batches, not only the first": (-1.0, 2.5), "as wide as any of them, not the mean": (-0.75, 3.0)})
    expect.close(lambda: shown(Tensor(first, requires_grad=True), Tensor(second)), (-1.0, 3.5), "Tensors, too", hint="np.asarray(x)")
    steps = np.arange(101.0)
    expect.close(lambda: shown(steps, percentile=90.0), (10.0, 90.0), "the outermost are left out", mistaken={
        "on either side: from 100 - percentile": lambda got: got[0] == 0, "the percentile-th on top": lambda got: got[1] == 100}, hint="np.percentile(x, (100 - p, p))")
    expect.close(lambda: shown(steps, steps * 3 - 50, percentile=90.0), (-5.0, 155.0), "then the mean of the batches", mistaken={
        "the mean of the lows, and of the highs": lambda got: got[0] == -20}, hint="sum / how many")
    expect.close(lambda: shown(steps, steps + 7, percentile=100), (0.0, 107.0), "100 may be a whole number")

test_unit_observer()

# %% [markdown]
"""
## 9 · Rounding that can be trained

`fake_quantize` puts numbers on a grid and takes them back at once. With it inputs are rounded just as an int8 chip would see them (and stay floats, as
NumPy has no fast product of bytes), and a model can *train* for its grid. But rounding is a staircase: its slope is 0 almost everywhere, and nothing
would be learned. From far away it is a straight line. So backward pretends that it is one, a *straight-through* gradient (Bengio et al., 2013). Beyond
the ends of the grid numbers are clipped; there the slope is 0 from far away, too.

```
        ┌──          /‾‾      forward: the staircase
     ┌──┘           /         backward: as if it were this line,
  ───┘          ___/          flat beyond the ends
```

**Your turn.** Forward returns the rounded numbers, and {"inside": truth values}, True where clipping changed nothing. Backward gets `inside`.
"""

# %% nbgrader={"grade": false, "grade_id": "fake-quantize", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
@op
def fake_quantize(x, scale, zero_point=0, bits=8):
    """Every number moved to its grid point, still a float: (…) -> (…).  As `torch.fake_quantize_per_tensor_affine` and its twin per channel.

    >>> fake_quantize(Tensor([0.24, 0.26, 99.0]), 0.5)
    Tensor([ 0. ,  0.5, 63.5])
    """
    x, scale, zero_point = check_array("fake_quantize", x=x, scale=scale, zero_point=zero_point)
    if not np.all((scale > 0) & (scale < np.inf)) or not np.isfinite(zero_point).all():
        raise ValueError(f"a finite scale above 0 and a finite zero_point wanted, not {scale!r:.60} and {zero_point!r:.60}")
    scale, zero_point = np.asarray(scale, x.dtype), np.asarray(zero_point, x.dtype)
    ### BEGIN SOLUTION
    at = np.round(x / scale) + zero_point
    kept = np.clip(at, *_levels(bits))
    return (kept - zero_point) * scale, {"inside": kept == at}
    ### END SOLUTION

@gradient(fake_quantize)
def _(g, need, inside):
    """The gradient for x."""
    if any(need[1:]):
        raise RuntimeError("fake_quantize: the grid is given, and has no gradient")
    ### BEGIN SOLUTION
    return g * inside
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-fake-quantize", "locked": true, "points": 10, "schema_version": 3, "solution": false, "task": false}
def test_unit_fake_quantize():
    """Forward rounds, backward looks through the rounding, and nothing gets through beyond the ends."""
    rng = np.random.default_rng(0)
    x, g = rng.normal(size=(3, 40)), rng.normal(size=(3, 40))
    for axis, symmetric, bits in ((None, True, 8), (0, False, 8), (1, True, 4), (0, False, 3)):
        scale, zero_point = grid_of(x / 2, axis, symmetric, bits)             # half of what it would need: some are clipped
        given = tensor(x, float64, requires_grad=True)
        q = quantize(x, scale, zero_point, bits)
        want = (q.astype(float64) - zero_point) * scale
        expect.close(lambda: fake_quantize(given, scale, zero_point, bits), want, "there and back", tol=1e-6, mistaken={
            "round to whole numbers": x, "times the scale again": q.astype(float64) - zero_point, "minus the zero point again": q * np.asarray(scale, float64),
            "clip at the ends of the grid": lambda got: abs(got).max() > abs(want).max() * 1.1}, hint="(clip(round(x / scale) + zero_point) - zero_point) * scale")
        inside = abs(want - x) <= 0.5001 * scale
        fake_quantize(given, scale, zero_point, bits).backward(g)
        expect.close(given.grad, g * inside, "the gradient passes, where the grid reaches", mistaken={
            "the slope of the rounding is not 0 here: g itself passes": lambda got: not got.any(), "beyond the ends nothing passes": g,
            "inside, g as it is: the scale was undone": g * inside * np.asarray(scale), "where it was NOT clipped": g * ~inside,
            "the ends belong to the grid": lambda got: (got != 0).sum() < inside.sum()}, hint="g * inside")
    expect.same(lambda: fake_quantize(Tensor(x), *grid_of(x, 0)).dtype, float32, "float32 stays float32")
    ends = Tensor([-64.0, 63.5, -64.5], requires_grad=True)
    fake_quantize(ends, 0.5).sum().backward()
    expect.close(ends.grad, [1.0, 1.0, 0.0], "for the gradient, too", hint="inside: where clipping changed nothing")

test_unit_fake_quantize()

# %% [markdown]
"""
A layer that trains for its grid keeps its exact weights, which move a little at each step, and computes with rounded ones.

**Your turn.** The forward of Linear and of convolutions: `self.weight` (given) is the rounded weight, a Tensor with a history. Inputs go through
`fake_quantize` first, where there is a `grid`. A convolution's `layer.function` takes x, weight, bias, stride, padding, dilation, groups.
"""

# %%
#| export
CHANNELS = {Linear: 1, Conv2d: 0, Conv1d: 0, Embedding: 0}       # the axis of the weight that has a scale for each
QUANTIZED = {Linear: QuantizedLinear, Conv2d: QuantizedConv2d, Conv1d: QuantizedConv2d, Embedding: QuantizedEmbedding}

class QuantizationAware(Module):
    """A layer that computes with rounded weights (and inputs, where there is a `grid`), and trains the exact ones behind them."""
    def __init__(self, layer, bits=8, per_channel=True, grid=None):
        self.layer, self.bits, self.per_channel, self.grid = layer, bits, per_channel, grid

    @property
    def weight(self):
        """The layer's weight, on the grid that fits it now."""
        w, axis = self.layer.weight, CHANNELS[type(self.layer)] if self.per_channel else None
        return fake_quantize(w, *grid_of(w.data, axis, bits=self.bits), bits=self.bits)

# %% nbgrader={"grade": false, "grade_id": "aware-forward", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def _forward(self, x):
    """What self.layer computes, with rounded weights and inputs."""
    layer = self.layer
    if type(layer) is Embedding:
        return embedding(x, self.weight, layer.padding_idx)
    ### BEGIN SOLUTION
    x = x if self.grid is None else fake_quantize(x, *self.grid)
    if type(layer) is Linear:
        return linear(x, self.weight, layer.bias)
    return layer.function(x, self.weight, layer.bias, layer.stride, layer.padding, layer.dilation, layer.groups)
    ### END SOLUTION

QuantizationAware.forward = _forward

# %% nbgrader={"grade": true, "grade_id": "test-aware-forward", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_aware_forward():
    """In training the layer computes what it will compute once its weights are bytes."""
    rng = np.random.default_rng(0)
    plan = ((Linear(5, 3, generator=rng), (2, 5)), (Conv2d(4, 6, 3, stride=2, padding=1, groups=2, generator=rng), (2, 4, 6, 6)),
            (Conv2d(1, 2, 3, dilation=2, generator=rng), (1, 1, 7, 7)), (Conv1d(2, 3, 3, padding=1, generator=rng), (2, 2, 5)))
    for layer, shape in plan:
        x = Tensor(rng.normal(size=shape))
        for settings in ((8, True, None), (4, False, None), (4, True, (0.25, 3))):
            expect.close(lambda: QuantizationAware(layer, *settings)(x), QUANTIZED[type(layer)](layer, *settings)(x), "as the bytes will", mistaken={
                "self.weight is the rounded weight": layer(x), "round the inputs, where there is a grid": QUANTIZED[type(layer)](layer, *settings[:2])(x)},
                hint="all settings of the layer: bias, stride, padding, dilation, groups")
        aware = QuantizationAware(layer, 4)
        (aware(x) ** 2).sum().backward()
        expect.true(lambda: layer.weight.grad is not None and np.any(layer.weight.grad.numpy()), "a gradient reaches the exact weights",
                    hint="self.weight as it is: .data and Tensor(…) cut it off from its history")

test_unit_aware_forward()

# %% [markdown]
"""
The tool that puts all this together (given). A head that shares its table with the embedding (module 13) shares the bytes as well.
"""

# %%
#| export
class Quantizer:
    """Makes quantised models.  bits: of the weights, 8 or 4; per_channel: a scale for each output, or one for a layer; percentile: see Observer;
    skip: names of layers to leave alone.

    `calibrate` first, and inputs are rounded to 8 bits too.  `prepare_qat`, training, `convert`: where rounding alone loses too much.
    """
    def __init__(self, bits=8, per_channel=True, percentile=100, skip=()):
        check_whole("Quantizer", 2, 8, bits=bits)
        check_number("Quantizer", 50, 100, percentile=percentile)
        check_names("Quantizer", skip=skip)
        self.bits, self.per_channel, self.percentile, self.skip, self.observers = bits, per_channel, percentile, set(skip), {}

    def observe(self, name, x):
        """Note the range of an input x of the layer of this name."""
        self.observers.setdefault(name, Observer(self.percentile)).observe(x)

    def grid(self, name):
        """(scale, zero_point) for the inputs of a layer, or None where none were observed."""
        seen = self.observers.get(name)
        return seen and quantization_grid(*seen.range(), symmetric=False)

# %%
#| export
@no_grad()
def _calibrate(self, model, batches):
    """Run a model on batches (inputs, or tuples that begin with them; an array is one batch), noting what its layers get; and return self."""
    check_kind("Quantizer", Module, model=model)
    def watched(name, layer):
        spy = copy.copy(layer)
        spy.forward = lambda x: self.observe(name, x) or layer(x)
        return spy if type(layer) in CHANNELS and type(layer) is not Embedding else None
    model = replace_layers(model, watched).eval()
    for batch in [batches] if isinstance(batches, (np.ndarray, Tensor)) else batches:
        model(Tensor(batch[0] if isinstance(batch, (tuple, list)) else batch))
    return self

def _prepare_qat(self, model):
    """A copy to train, whose layers compute with rounded weights and keep the exact ones."""
    check_kind("Quantizer", Module, model=model)
    def aware(name, layer):
        wanted = type(layer) in CHANNELS and name not in self.skip
        return QuantizationAware(copy.deepcopy(layer), self.bits, self.per_channel, self.grid(name)) if wanted else None
    return replace_layers(model, aware)

# %%
#| export
def _convert(self, model):
    """A copy whose layers store whole numbers; what `prepare_qat` made keeps its own settings."""
    check_kind("Quantizer", Module, model=model)
    made = {}

    def quantized(name, layer):
        if name in self.skip:
            return None
        if type(layer) is TiedLinear:
            head = copy.copy(quantized(name, layer.embedding))               # the very buffers of the embedding
            head.__class__, head.shape = QuantizedLinear, head.shape[::-1]
            return head
        settings = self.bits, self.per_channel, self.grid(name)
        if type(layer) is QuantizationAware:
            settings, layer = (layer.bits, layer.per_channel, layer.grid), layer.layer
        if type(layer) in QUANTIZED and id(layer) not in made:
            made[id(layer)] = QUANTIZED[type(layer)](layer, *settings)
        return made.get(id(layer))
    return replace_layers(model, quantized)

Quantizer.calibrate, Quantizer.prepare_qat, Quantizer.convert = _calibrate, _prepare_qat, _convert

def quantize_model(model, calibration=None, bits=8, per_channel=True):
    """A copy of a model whose Linear, Conv2d, Conv1d and Embedding layers store int8, or int4 two to a byte.

    calibration: batches as for `Quantizer.calibrate`, whose ranges the inputs are rounded with.

    >>> quantize_model(Linear(512, 512)), model_nbytes(Linear(512, 512)), quantize_model(Linear(512, 512)).nbytes
    (QuantizedLinear(bits=8, per_channel=True)  # 512 parameters, 1050624, 266240)
    """
    quantizer = Quantizer(bits, per_channel)
    return (quantizer if calibration is None else quantizer.calibrate(model, calibration)).convert(model)

# %%
# Is that really what an int8 chip would compute?  Sums of whole numbers, scaled once at the end; then the layer.
manual_seed(0)
layer, x = Linear(300, 4, bias=False), np.random.default_rng(0).normal(size=(2, 300))
quantizer = Quantizer().calibrate(layer, x)
whole = quantizer.convert(layer)
scale, zero_point = quantizer.grid("")
sums = (quantize(x, scale, zero_point).astype(int) - zero_point) @ whole.q.numpy().T.astype(int)
print((sums * scale * whole.scale.numpy().T).round(4), whole(Tensor(x)).numpy().round(4), sep="\n")

# %% [markdown]
"""
## 10 · Does it still read, does it still write?

A network like milestone 4's, trained for a moment, and asked about scans that it has not seen. (Two bits are computed, not stored.)
"""

# %% tags=["analysis"]
scans = load_digits()
order = np.random.default_rng(1998).permutation(len(scans))
held, learn = DataLoader(Subset(scans, order[:360]), 360), DataLoader(Subset(scans, order[360:]), 32, shuffle=True)

def study(model, rounds, lr):
    """The share of the scans held out that a model reads, after so many rounds of training."""
    trainer = Trainer(model, SGD(model.parameters(), lr=lr, momentum=0.9), CrossEntropyLoss())
    for _ in range(rounds):
        trainer.train_epoch(learn)
    return trainer.evaluate(held)[1]

manual_seed(0)
reader = Sequential(*[layer for i, o in ((1, 12), (12, 24), (24, 24)) for layer in (Conv2d(i, o, 3, padding=1, bias=False), BatchNorm2d(o), relu, MaxPool2d(2))],
                    Flatten(), Linear(24, 10))
study(reader, 4, 0.05)
print(f"float32: {study(reader, 4, 0.01):.1%}, {model_nbytes(reader):,} bytes")
few = [batch for batch, _ in zip(learn, range(6))]
for bits, per_channel, calibration in ((8, True, None), (8, False, None), (8, True, few), (4, True, None), (4, False, None)):
    small = quantize_model(reader, calibration, bits, per_channel)
    print(f"int{bits} per {'channel' if per_channel else 'tensor '}{', inputs too' if calibration else '':12}: {study(small, 0, 0.01):.1%}, {model_nbytes(small):,} bytes")
aware = Quantizer(2).prepare_qat(reader)
print(f"2 bits per channel: {study(aware, 0, 0.01):.1%} by rounding alone, {study(aware, 3, 0.01):.1%} after three rounds of training for the grid")

# %% [markdown]
"""
And a GPT, in bits per character on text that it has not seen. For comparison, the exact model trains on for as many steps as the rounded one.
"""

# %% tags=["analysis"]
text = load_text()
tokenizer = CharTokenizer().train(text)
corpus, cut = np.array(tokenizer.encode(text)), len(text) * 9 // 10
asked = corpus[np.linspace(cut, len(corpus) - 66, 64).astype(int)[:, None] + np.arange(65)]

def read(model, count, lr):
    """Bits per character on the last tenth of the text, after `count` steps on pieces of the rest."""
    optimizer = AdamW(model.parameters(), lr=lr)
    for _ in range(count):
        ids = corpus[rng.integers(0, cut - 65, 16)[:, None] + np.arange(65)]
        optimizer.zero_grad()
        next_token_loss(model(ids[:, :-1]), ids[:, 1:]).backward()
        optimizer.step()
    with evaluating(model):
        return next_token_loss(model(asked[:, :-1]), asked[:, 1:]).item() / math.log(2)

manual_seed(0)
writer = GPT(tokenizer.vocab_size, embed_dim=64, num_layers=2, num_heads=4, max_seq_len=64)
print(f"float32: {read(writer, 400, 3e-3):.3f} bits per character, {model_nbytes(writer):,} bytes")
for bits, per_channel in ((8, True), (8, False), (4, True), (4, False)):
    small = quantize_model(writer, bits=bits, per_channel=per_channel)
    print(f"int{bits} per {'channel' if per_channel else 'tensor '}: {read(small, 0, 0):.3f}, {model_nbytes(small):,} bytes")
quantizer, longer = Quantizer(4, per_channel=False), copy.deepcopy(writer)
aware = quantizer.prepare_qat(writer)
print(f"100 steps later: float32 {read(longer, 100, 1e-3):.3f}, as int4 per tensor {read(quantizer.convert(longer), 0, 0):.3f}; "
      f"int4 per tensor, trained for it, {(read(aware, 100, 1e-3), read(quantizer.convert(aware), 0, 0))[1]:.3f}")

# %% [markdown]
"""
## 11 · On disk

The arrays go into an `.npz` as they are, with a text that says which layer has how many bits. To read it, you need a model of the same build. (Given.)
The smaller the model, the more of the file is names, scales and biases: for a tiny one it hardly pays.
"""

# %%
#| export
def save_quantized(model, path):
    """Write a quantised model to an .npz file: its arrays as they are stored, and which layer has how many bits."""
    check_kind("save_quantized", Module, model=model)
    recipe = {name: [m.bits, m.per_channel, m.grid] for name, m in model.named_modules() if isinstance(m, Quantized)}
    replace_file(path, lambda file: np.savez(file, recipe=json.dumps(recipe), **model.state_dict()))

def load_quantized(path, model):
    """The quantised model in a file that `save_quantized` wrote; `model`: one of the same build, not quantised.  ValueError for any other file."""
    check_path("load_quantized", path)
    try:
        with np.load(path, allow_pickle=False) as archive:
            state = dict(archive)
        recipe = json.loads(state.pop("recipe").item())
        aware = lambda name, layer: QuantizationAware(layer, *recipe[name]) if name in recipe and type(layer) in QUANTIZED else None
        others = [name for name, _ in model.named_modules() if name not in recipe]
        return Quantizer(skip=others).convert(replace_layers(model, aware)).load_state_dict(state)
    except (ValueError, TypeError, KeyError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is not a model of this build that save_quantized wrote: {error}") from error

# %%
with TemporaryDirectory() as folder:
    for width in (16, 64, 1024):
        path, model = Path(folder) / "model.npz", Sequential(Linear(64, width), relu, Linear(width, 10))
        np.savez(path, **model.state_dict())
        sizes = [path.stat().st_size]
        for bits in (8, 4):
            save_quantized(quantize_model(model, bits=bits), path)
            sizes.append(path.stat().st_size)
        print(f"64-{width}-10: {sizes[0]:,} bytes on disk, int8 1/{sizes[0] / sizes[1]:.1f}, int4 1/{sizes[0] / sizes[2]:.1f}")

# %% nbgrader={"grade": true, "grade_id": "test-module", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_module():
    """Everything together: models become small, answer nearly the same, learn on their grid, and come back from a file as they were."""
    rng = np.random.default_rng(0)
    model, ids = GPT(9, 32, 2, 2, 8, generator=rng), rng.integers(0, 9, (2, 8))
    for bits, near in ((8, 0.02), (4, 0.3)):
        small = quantize_model(model, bits=bits)
        expect.true(lambda: abs(small(ids).numpy() - model(ids).numpy()).max() < near, "it scores nearly the same")
        expect.true(lambda: small.head.q is small.token_embedding.q and small.generate([1, 2], 3).shape == (5,), "tied weights stay tied, and it writes")
        with TemporaryDirectory() as folder:
            path = Path(folder) / "small.npz"
            save_quantized(small, path)
            expect.same(lambda: load_quantized(path, GPT(9, 32, 2, 2, 8))(ids), small(ids), "it comes back from its file")
            expect.raises(ValueError, lambda: load_quantized(path, GPT(9, 16, 2, 2, 8)), "a model of another build is refused", match="small.npz build")
    quantizer = Quantizer(4, per_channel=False).calibrate(model, [ids, (ids[:1], 0)])
    aware = quantizer.prepare_qat(model)
    expect.close(lambda: quantizer.convert(aware)(ids), aware(ids), "what is trained is what is stored")
    expect.true(lambda: quantizer.convert(model).blocks[1].mlp.proj.grid == quantizer.grid("blocks.1.mlp.proj") is not None, "inputs have grids")
    optimizer, losses = AdamW(aware.parameters(), lr=0.01), []
    for _ in range(8):
        optimizer.zero_grad()
        loss = next_token_loss(aware(ids[:, :-1]), ids[:, 1:])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    expect.true(losses[-1] < losses[0] * 0.9, "it learns with rounded weights", hint="a gradient for every weight")

test_module()

# %% [markdown]
"""
## 12 · In your own words

**Question 1.** Someone shows a "quantised" model: all weights were rounded to 255 values, and stand in float32 arrays. Accuracy is as before. What has been
gained, what has not, and how would you find out from outside?
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-sham", "locked": false, "points": 5, "schema_version": 3, "solution": true, "task": false}
"""
It was shown that rounding does no harm; nothing has become smaller or faster. The arrays have four bytes a number (`nbytes`), the file is as long as
before, and so is what has to come from memory for each token. Only when the bytes themselves are stored, and floats exist for a moment, is anything saved.
"""

# %% [markdown]
"""
**Question 2.** A layer's inputs lie between -1 and 1, but one in a thousand is 50. Compare a grid of all with one of the 99.9th percentile: what happens to
the small numbers, what to the large ones? What does it depend on which is better?
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-outlier", "locked": false, "points": 5, "schema_version": 3, "solution": true, "task": false}
"""
The grid of all has steps of about 0.4 (50 / 127): the small numbers fall on some five values, the large one is right. With the percentile the steps are about
0.01, and 50 is clipped to 1. Where the rare large ones carry meaning, as in large language models, clipping is worse; where they are accidents, rounding is.
"""

# %% [markdown]
"""
## Where you are

Weights in bytes and half bytes, products that never hold them all as floats, and models that train for their grid. Next: `tito module complete 17`.
"""
