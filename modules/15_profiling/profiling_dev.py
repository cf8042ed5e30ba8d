# %% [markdown]
"""
# 15 Profiling

> Where the time and the memory go: counted and measured, not guessed.

What should be made faster? Most people guess. In this module you build the instruments that answer: a clock that can be trusted, a scale for memory,
a counter of arithmetic, and a profiler that stands at the door and sees every operation that passes.
"""

# %% nbgrader={"grade": false, "grade_id": "start", "locked": true, "schema_version": 3, "solution": false, "task": false}
import tito.notebook     # where this fails, open the notebook with: tito module open 15
from tito.check import expect

tito.notebook.use(15)

# %%
#| default_exp profiling.profiler
#| view profiling

# %% nbgrader={"grade": false, "grade_id": "imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
import functools
import html
import math
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import SimpleNamespace

import numpy as np

import tinytorch.core.tensor as door
from tinytorch.core.activations import GELU
from tinytorch.core.attention import blocks_of
from tinytorch.core.autograd import SVG, no_grad
from tinytorch.core.layers import Linear, Module, Sequential, check_kind, check_sizes, check_whole
from tinytorch.core.optimizers import SGD, Adam, AdamW
from tinytorch.core.tensor import Tensor, default_generator, float32, randn, zeros
from tinytorch.text.embeddings import SMALL_TABLE, Embedding

# %% nbgrader={"grade": false, "grade_id": "tools", "locked": true, "schema_version": 3, "solution": false, "task": false}
from tinytorch.core.activations import gelu, relu, softmax
from tinytorch.core.autograd import checkpoint
from tinytorch.core.layers import Dropout
from tinytorch.core.spatial import Conv2d
from tinytorch.core.tensor import manual_seed
from tinytorch.models.transformer import GPT, LayerNorm, next_token_loss

# %% [markdown]
"""
## 1 · A clock that can be trusted

A small GPT makes one training step. How long does that take? The same question, asked eight times in a row:
"""

# %% tags=["analysis"]
manual_seed(0)
model = GPT(vocab_size=65, embed_dim=64, num_layers=2, num_heads=4, max_seq_len=64)
ids = np.random.default_rng(0).integers(0, 65, (8, 65))


def step():
    model.zero_grad()
    next_token_loss(model(ids[:, :-1]), ids[:, 1:]).backward()


for _ in range(8):
    began = time.perf_counter()
    step()
    print(f"{(time.perf_counter() - began) * 1e3:.2f} ms", end="   ")

# %% [markdown]
"""
Which one is the answer? The first calls pay for what later ones find ready, such as memory that was never touched; they do not count (*warm-up*). Now
and then another program gets the processor, and one call takes far longer. That spoils the mean, but not the *median*. The *quartiles* say how much
the calls differ: half of them lie in between.
"""

# %%
#| export
def seconds_text(seconds):
    """Seconds in a unit that fits: 0.00234 is '2.34 ms'."""
    factor, unit = next(((f, u) for f, u in ((1, "s"), (1e3, "ms"), (1e6, "µs")) if abs(seconds) * f >= 1), (1e9, "ns"))
    return f"{seconds * factor:.3g} {unit}"

class Timing:
    """Seconds that one call took, round by round: `times`, their `median`, and the quartiles `low` and `high`."""
    def __init__(self, times):
        self.times = times
        self.low, self.median, self.high = np.quantile(times, (0.25, 0.5, 0.75)).tolist()

    def __repr__(self):
        return f"{seconds_text(self.median)} (half of {len(self.times)} rounds: {seconds_text(self.low)} to {seconds_text(self.high)})"

# %% [markdown]
"""
Compare two things one after the other, and each gets the mood that the machine is in just then. *In turns* both get the same:

```
                       another program begins ▼
one after the other    a a a a a a a b b b b b b b     b is "slower"
in turns               a b a b a b a b a b a b a b     both get it
```

**Your turn.** `calls` is a dict {name: function}. In each round every function is called once, in the order of the dict. The first `warmup` rounds
are not timed. `clock()` gives the seconds now; read it just before and just after a call. Return {name: `Timing(list of seconds)`}.
"""

# %% nbgrader={"grade": false, "grade_id": "compare", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def compare(calls, warmup=3, rounds=11, clock=time.perf_counter):
    """How long several calls take, measured in turns: {name: a function of no arguments} -> {name: Timing}.

    First come `warmup` rounds that do not count, then `rounds` that do; in a round each is called once.  On a busy machine
    clock=time.process_time helps, which goes on only while the processor is ours (and in coarse steps on Windows).
    """
    check_kind("compare", Mapping, calls=calls)
    check_whole("compare", 0, warmup=warmup)
    check_whole("compare", rounds=rounds)
    ### BEGIN SOLUTION
    times = {name: [] for name in calls}
    for k in range(warmup + rounds):
        for name, call in calls.items():
            began = clock()
            call()
            if k >= warmup:
                times[name].append(clock() - began)
    return {name: Timing(each) for name, each in times.items()}
    ### END SOLUTION

def measure(call, warmup=3, rounds=11, clock=time.perf_counter):
    """How long one call takes: a Timing of `rounds` calls, after `warmup` calls that do not count."""
    check_kind("measure", Callable, call=call)
    return compare({"": call}, warmup, rounds, clock)[""]

# %% nbgrader={"grade": true, "grade_id": "test-compare", "locked": true, "points": 10, "schema_version": 3, "solution": false, "task": false}
def test_unit_compare():
    """Calls are timed in turns, and the warm-up does not count."""
    spent, seen, now = np.random.default_rng(0).uniform(1, 9, (2, 5)), [], [100.0]
    def call(k):
        def run():
            now[0] += spent[k, seen.count(k)]
            seen.append(k)
        return run
    clock = lambda: now[0]
    got = {name: each.times for name, each in compare({"a": call(0), "b": call(1)}, 2, 3, clock).items()}
    expect.same(seen, [0, 1] * 5, "in turns, warm-up and all", mistaken={
        "one after the other: in every round call each once": [0] * 5 + [1] * 5, "the warm-up goes in turns too": [0, 0, 1, 1] + [0, 1] * 3,
        "warmup rounds come before the others": [0, 1] * 3}, hint="for each round: for each name: call it once")
    expect.close([got["a"], got["b"]], spent[:, 2:], "the seconds of each round", mistaken={
        "the warm-up does not count": lambda got: got.shape == (2, 5),
        "read the clock anew before each call": lambda got: (got >= spent[:, 2:] - 1e-9).all(),
        "the last rounds count, not the first": spent[:, :3]}, hint="clock() just before the call, and just after it")
    seen.clear()
    expect.close(lambda: measure(call(0), 0, 5, clock).median, np.median(spent[0]), "one alone, without warm-up")

test_unit_compare()

# %% [markdown]
"""
Does it matter? A product, compared with *itself*. Every ratio should be 1.
"""

# %% tags=["analysis"]
a = np.random.default_rng(0).normal(size=(256, 256)).astype("float32")
product = lambda: a @ a
after, turns = [], []
for _ in range(9):
    after.append(measure(product, 1, 15).median / measure(product, 1, 15).median)
    both = compare({"first": product, "second": product}, 1, 15)
    turns.append(both["first"].median / both["second"].median)
print(f"one after the other: between {min(after):.2f} and {max(after):.2f}    in turns: between {min(turns):.2f} and {max(turns):.2f}")
print("one step:", measure(step))

# %% [markdown]
"""
## 2 · The worst moment of memory

A training run stops when at *one moment* it needs more memory than there is, whatever it needs on average. `tracemalloc`, of Python's library,
follows every allocation, NumPy's too: `tracemalloc.get_traced_memory()` gives two numbers of bytes, those now and the most (the *peak*) since
`tracemalloc.reset_peak()`.

**Your turn.** Run `call()` once, and return by how much the peak was above what was there before. (Switching the tracing on and off is given.)
"""

# %% nbgrader={"grade": false, "grade_id": "peak-memory", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def peak_memory(call):
    """The most bytes that `call()` held at one moment, beyond what was there before; NumPy's arrays are included."""
    check_kind("peak_memory", Callable, call=call)
    tracing = tracemalloc.is_tracing()
    tracing or tracemalloc.start()
    try:
        ### BEGIN SOLUTION
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        call()
        _, peak = tracemalloc.get_traced_memory()
        return peak - before
        ### END SOLUTION
    finally:
        tracing or tracemalloc.stop()

# %% nbgrader={"grade": true, "grade_id": "test-peak-memory", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_peak_memory():
    """The highest moment counts, beyond what was there before."""
    x, seen = np.random.default_rng(0).normal(size=100_000), []
    arrays = lambda call: round(peak_memory(call) / x.nbytes, 1)
    sums = lambda: (x + 1.0).sum() + np.add(x * 2.0, x * 3.0).sum()
    expect.close(lambda: arrays(sums), 3.0, "two products and their sum, at one moment", mistaken={
        "the peak, not what is left: the second number": 0.0, "the first number is now, the second the peak": 0.0},
        hint="call, then the second number minus before",
        raises={TypeError: "get_traced_memory() gives two numbers"})
    def inside():
        held = np.ones(300_000)
        np.ones(900_000).sum()
        seen.append(arrays(lambda: seen.append(x * held[0])))
    peak_memory(inside)
    expect.close(seen[-1], 1.0, "what was there before does not count, nor an earlier peak", mistaken={
        "take away what was there before": lambda got: 3.9 <= got < 5, "reset the peak first": lambda got: got >= 8},
        hint="reset_peak(), then what is there before the call")
    expect.same(len(seen), 2, "the call runs once", hint="call() once")

test_unit_peak_memory()

# %% [markdown]
"""
Asking a model holds one layer's values at a time; training holds all of them, for the way back:
"""

# %% tags=["analysis"]
def asking():
    with no_grad():
        model(ids[:, :-1])


print(f"asking {peak_memory(asking) / 2**20:.2f} MB, training {peak_memory(step) / 2**20:.2f} MB")

# %% [markdown]
"""
## 3 · Counting arithmetic

Seconds depend on the machine. The amount of work does not. A *FLOP* is one operation on floating point numbers, by these conventions:

* a multiplication followed by an addition, the step of which matrix products are made, counts 2;
* any other function of NumPy counts 1 for each number that it *makes*: `+`, `max`, `>` and also `exp`, which costs the machine more;
* a reduction such as `sum` counts 1 for each number that it *takes in*;
* moving numbers (reshape, transpose, indexing, joining) counts nothing.

How do you count what a function really does? Give it arrays that count: NumPy tells an array with a method `__array_ufunc__` of every call. There,
`method` is "__call__" for `np.add(x, y)` and "reduce" for `x.sum()`. A ufunc with a `signature`, such as `matmul`'s "(n?,k),(k,m?)->(n?,m?)", makes
products: each number of the result is a sum over k, the last axis of the first input.

**Your turn.** What does such a call cost?
"""

# %% nbgrader={"grade": false, "grade_id": "work-of", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def work_of(ufunc, method, inputs, result):
    """FLOPs of one call of a NumPy function that was given `inputs`, a list of arrays and numbers, and made `result`.

    >>> work_of(np.add, "__call__", [np.ones((2, 3)), 1.0], np.ones((2, 3)))
    6
    """
    ### BEGIN SOLUTION
    if ufunc.signature:
        return 2 * np.size(result) * inputs[0].shape[-1]
    return np.size(result) if method == "__call__" else np.size(inputs[0])
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-work-of", "locked": true, "points": 10, "schema_version": 3, "solution": false, "task": false}
def test_unit_work_of():
    """Each number made counts one, each number taken in by a reduction one, and a product two for each multiply-add."""
    n, k, m = (int(size) for size in np.random.default_rng(0).integers(4, 9, 3))
    a, b, row = np.ones((n, k)), np.ones((k, m)), np.ones(k)
    expect.same(lambda: int(work_of(np.multiply, "__call__", [a, row], a * row)), n * k, "a row times a table", mistaken={
        "one for each number made, not taken in": n * k + k, "only products count twice": 2 * n * k})
    expect.same(lambda: int(work_of(np.exp, "__call__", [2.0], np.exp(2.0))), 1, "a single number")
    expect.same(lambda: int(work_of(np.add, "reduce", [a], a.sum(0))), n * k, "a sum", mistaken={
        "a reduction costs what it takes in": k, "the method is not always __call__": k})
    expect.same(lambda: int(work_of(np.matmul, "__call__", [a, b], a @ b)), 2 * n * k * m, "a matrix product", mistaken={
        "a multiply-add counts 2": n * k * m, "each number of the result is a sum of k products": n * m,
        "the sum runs over the last axis of the first input": 2 * n * m * n,
        "the result's numbers, times k, times 2": 2 * n * m}, hint="2 · size of the result · k")
    many = np.ones((3, n, k))
    expect.same(lambda: int(work_of(np.matmul, "__call__", [many, b], many @ b)), 6 * n * k * m, "three of them at once",
            hint="np.size(result) has all three")
    expect.same(lambda: int(work_of(np.matmul, "__call__", [row, b], row @ b)), 2 * k * m, "a vector times a matrix",
            hint="k is shape[-1]: a vector has one axis",
                raises={IndexError: "k is shape[-1]: a vector has one axis"})

test_unit_work_of()

# %% [markdown]
"""
The class is given. `x.view(Counted)` is an array that counts, and copies nothing. What is made of it counts, too.
"""

# %%
#| export
class Counted(np.ndarray):
    """An array that adds up in `Counted.work`, by function, what NumPy is asked to compute with it."""
    work = ContextVar("work", default=None)                      # per thread and task: a Counter while somebody counts

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **settings):
        settings |= {} if out is None else {"out": uncounted(out)}
        inputs = uncounted(list(inputs))
        result = getattr(ufunc, method)(*inputs, **settings)
        Counted.work.get()[ufunc.__name__] += work_of(ufunc, method, inputs, result)
        return counted(result) if out is None else out[0]

    def __array_function__(self, function, types, args, settings):
        if function is np.einsum:                                # a multiply-add for each number of the largest array
            Counted.work.get()["einsum"] += 2 * max(x.size for x in args[1:])
            args = uncounted(args)
        return counted(super().__array_function__(function, types, args, settings))

def counted(x):
    """Arrays of floats as arrays that count, also in tuples; all else as it is."""
    if type(x) is tuple:
        return tuple(map(counted, x))
    return x.view(Counted) if type(x) is np.ndarray and x.dtype.kind == "f" else x

def uncounted(x):
    """The way back."""
    if type(x) in (tuple, list):
        return type(x)(map(uncounted, x))
    return x.view(np.ndarray) if isinstance(x, Counted) else x

def count_work(call, *arrays):
    """What `call(*arrays)` returns, and a Counter of its FLOPs by NumPy's functions.

    >>> count_work(lambda x: np.exp(x * 2.0).sum(), np.ones(10))[1]
    Counter({'multiply': 10, 'exp': 10, 'add': 10})
    """
    token = Counted.work.set(work := Counter())
    try:
        return uncounted(call(*counted(arrays))), work
    finally:
        Counted.work.reset(token)

# %% [markdown]
"""
What do the activations of module 02 cost, for each number? `op.__wrapped__` is an operation's function of arrays.
"""

# %%
numbers = np.ones((100, 100), "float32")
for operation in (relu, softmax, gelu):
    work = count_work(operation.__wrapped__, numbers)[1]
    print(f"{operation.__name__:8} {sum(work.values()) / numbers.size:4.0f}  {dict(work.most_common(3))}")

# %% [markdown]
r"""
Counting takes time, and shapes are enough. Each number that a `linear` layer makes of x (…, in) and w (in, out) is a sum of *in* products: *in*
multiplications, $in - 1$ additions, and one more for the bias. So the bias is in the 2 that a multiply-add counts.

In a convolution, with x (N, C, H, W) and w (O, C / groups, kh, kw), each number of the result (N, O, oh, ow) is such a sum over all of *one* filter.

Attention makes a *score* for each query and each key that it may look at: a sum of D products. With the softmax of the scores it mixes the values: D
more multiply-adds for each score. The softmax itself costs 7 for each score (scale, mask, maximum, subtract, exp, sum, divide).

**Your turn.** Three formulas. `arrays` is the list of inputs, [x, w, b] for the first two.
"""

# %% nbgrader={"grade": false, "grade_id": "formulas", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def linear_flops(arrays, out):
    """FLOPs of x @ w (+ b): arrays x (…, in), w (in, out), and what they made, (…, out)."""
    ### BEGIN SOLUTION
    return 2 * out.size * arrays[0].shape[-1]
    ### END SOLUTION

def convolve_flops(arrays, out):
    """FLOPs of a convolution: arrays x (N, C, H, W), w (O, C / groups, kh, kw), and what they made, (N, O, oh, ow)."""
    ### BEGIN SOLUTION
    return 2 * out.size * math.prod(arrays[1].shape[1:])
    ### END SOLUTION

def attention_flops(scores, head_dim):
    """FLOPs of attention that makes so many scores, each from `head_dim` products, and used for as many."""
    ### BEGIN SOLUTION
    return scores * (4 * head_dim + 7)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-formulas", "locked": true, "points": 12, "schema_version": 3, "solution": false, "task": false}
def test_unit_formulas():
    """The formulas agree with what is known of these shapes."""
    rng = np.random.default_rng(0)
    rows, n, m = (int(k) for k in rng.integers(3, 9, 3))
    x, w, b, out = np.zeros((2, rows, n)), np.zeros((n, m)), np.zeros(m), np.zeros((2, rows, m))
    want = 2 * 2 * rows * n * m
    expect.same(lambda: int(linear_flops([x, w, b], out)), want, "linear", mistaken={
        "a multiply-add counts 2": want // 2, "with the bias there are as many additions as products": want + out.size,
        "all rows count: out.size": 2 * n * m},
        hint="2 · numbers of the result · in")
    expect.same(lambda: int(linear_flops([x, w], out)), want, "without a bias", raises={
        (IndexError, ValueError): "the bias may be missing"})
    image, filters, made = np.zeros((1, 3, 224, 224)), np.zeros((64, 3, 7, 7)), np.zeros((1, 64, 112, 112))
    expect.same(lambda: int(convolve_flops([image, filters, None], made)), 236_027_904, "the first layer of ResNet", mistaken={
        "a multiply-add counts 2": 118_013_952, "the filters are used at each place of the result, not of the image": 944_111_616,
        "each number of the result is a sum over all channels": 78_675_968, "a number is the sum over one filter, not over all 64": 15_105_785_856},
        hint="2 · numbers of the result · numbers of one filter")
    halves, made = [np.zeros((2, 4, n, m)), np.zeros((8, 2, 3, 3)), None], np.zeros((2, 8, n, m))
    expect.same(lambda: int(convolve_flops(halves, made)), 2 * 16 * n * m * 18, "two groups: a filter sees half of the channels",
                mistaken={"the channels that a filter sees are in its own shape": 2 * 16 * n * m * 36},
                hint="the channels that a filter sees are in its own shape",
                raises={(IndexError, TypeError, AttributeError): "arrays[1].shape[1:] is one filter"})
    scores, dim = 10 * rows, 4 * n
    expect.same(lambda: int(attention_flops(scores, dim)), scores * (4 * dim + 7), "attention", mistaken={
        "two products, one that makes the score and one that uses it, and a multiply-add counts 2": scores * (2 * dim + 7),
        "do not forget the softmax": scores * 4 * dim,
        "the softmax costs 7 for each score": scores * 4 * dim + 7})

test_unit_formulas()

# %% [markdown]
"""
The table of all operations is given; the tests of this course compare it with `count_work`. (For float64 Python computes erf, as one call; of
attention only the keys count that a block of rows really looks at.)
"""

# %%
#| export
def _taken(n):
    return lambda a, out, settings: n * a[0].size                # n for each number of the first input

def _causal_flops(a, out, settings):
    (b, t, c3), heads = a[0].shape, settings["num_heads"]
    return attention_flops(b * heads * sum((rows.stop - rows.start) * keys.stop for rows, keys in blocks_of(t)), c3 // 3 // heads)

def _step_flops(a, out, settings):
    """A row through all matrices of a block, or of the head; 16 for each number of the norms and sums around them, 9 for the GELU."""
    (rows, _, width), matrices, cache = a[0].shape, [w for w in arrays_in(settings["weights"]) if w.ndim == 2], settings.get("cache")
    flops = rows * sum(2 * w.size for w in matrices)
    if cache is None:
        return flops + 7 * rows * width
    _, _, heads, _, dim = cache.keys.shape
    return flops + rows * (16 * width + 9 * matrices[-1].shape[0]) + attention_flops(rows * heads * (cache.seq_pos + 1), dim)

def arrays_in(x):
    """The arrays in a tuple or list, and in tuples and lists inside it; [x] for an array."""
    return [x] if isinstance(x, (np.ndarray, np.generic)) else [a for each in x for a in arrays_in(each)] if isinstance(x, (tuple, list)) else []

FLOPS = {name: n for n, names in {                               # n for each number made
    0: "reshape permute expand getitem transpose concatenate cat where frame im2col split_heads merge_heads take_rows checkpoint",
    1: "add subtract multiply divide negative absolute exp log sqrt maximum minimum relu tanh equal not_equal less less_equal greater greater_equal",
    2: "leaky_relu dropout clamped_log", 3: "rotate", 6: "sigmoid softplus", 7: "silu"}.items() for name in names.split()}
FLOPS |= {name: _taken(n) for n, names in {
    1: "sum amax amin argmax argmin scatter_sum col2im", 5: "softmax log_softmax cross_entropy"}.items() for name in names.split()}
FLOPS |= {
    "matmul": lambda a, out, settings: linear_flops(a, out), "linear": lambda a, out, settings: linear_flops(a, out),
    "power": lambda a, out, settings: out.size * (2 if type(a[1]) in (int, float) and a[1] == 3 else 1),
    "clip": lambda a, out, settings: out.size * sum(x is not None for x in (*a[1:], *settings.values())),
    "mean": lambda a, out, settings: a[0].size + out.size,
    "erf": lambda a, out, settings: out.size * (16 if out.dtype == float32 else 1),
    "gelu": lambda a, out, settings: out.size * (9 if settings.get("approximate") == "tanh" else 20 if out.dtype == float32 else 5),
    "convolve": lambda a, out, settings: convolve_flops(a, out),
    "convolve_weight": lambda a, out, settings: convolve_flops((a[0], out), a[1]),           # as many as forward, whatever is asked
    "convolve_input": lambda a, out, settings: convolve_flops((out, a[1]), a[0]),
    "causal_attention": _causal_flops,
    "cached_attention": lambda a, out, settings: attention_flops(a[0].size // a[0].shape[-1] * a[1].shape[-2], a[0].shape[-1]),
    "start_step": lambda a, out, settings: out.size * (settings["weights"][1] is not None), "block_step": _step_flops, "head_step": _step_flops,
    "max_along": lambda a, out, settings: out.size * (a[2] - 1), "sum_along": lambda a, out, settings: out.size * (a[2] - 1),
    "scatter_lines": lambda a, out, settings: sum(x.size for x in a),
    "sum_by_id": lambda a, out, settings: a[0].size * (2 * settings["count"] if settings["count"] <= SMALL_TABLE else 1),
    "batch_norm": lambda a, out, settings: out.size * (2 + len(arrays_in(a[4:5])) + 4 * bool(settings.get("training", len(a) > 5 and a[5]))),
    "layer_norm": lambda a, out, settings: out.size * (5 + len(arrays_in(a[2:4]))),
    "rms_norm": lambda a, out, settings: out.size * (4 + len(arrays_in(a[2:3])))}

def flops_of(op_name, arrays, settings, out):
    """FLOPs of an operation of the table FLOPS: its name, its inputs as arrays, its settings, and the array that it made.

    KeyError for a name that is not there.  A new operation may be added, with a number (for each number made) or a function; else arrays
    count for it, which takes time.

    >>> flops_of("matmul", [np.ones((2, 3)), np.ones((3, 4))], {}, np.ones((2, 4)))
    48
    """
    cost = FLOPS[op_name]
    return int(cost(arrays, out, settings) if callable(cost) else cost * out.size)

# %% [markdown]
"""
Arithmetic is half of the story: numbers come from memory and go back. The *least* that an operation moves is every input read once, and every result
written once. What returns a *view* (reshape, transpose) moves nothing.
"""

# %%
#| export
def bytes_of(arrays, out):
    """The least bytes that an operation moves: the arrays among its inputs read once, its results written once; 0 where all of these are views.

    >>> bytes_of([np.ones(10), 2.0], np.ones(10))
    160
    """
    given, made = arrays_in(arrays), arrays_in(out)
    if all(any(np.may_share_memory(x, y) for y in given) for x in made):
        return 0
    return sum(x.nbytes for x in (*given, *made))

# %% [markdown]
"""
## 4 · A seat at the door

Every operation passes one door (module 01), and so does every gradient rule (module 05). Who is in the list `around` stands there: gets
`call(arrays, params)`, which goes on to the operation, and may do something before and after. That is all a profiler needs.

What comes by is written into a *tree*. A box (`Frame`) stands for a module, an operation or a rule, and in it are the boxes of what ran inside. The
seconds of a box contain those of its parts; what is left is its *own* time. The profiler itself takes time to count and to look things up. Meanwhile
its clock stands still (`aside`): this time is nobody's.

```
 all
 ├─ GPT                          a module
 │  ├─ blocks.0
 │  │  ├─ norm1 ── layer_norm    an operation: calls, seconds, FLOPs, bytes
 │  │  └─ attention …
 │  └─ head
 └─ linear                       a rule
```
"""

# %%
#| export
class Frame:
    """A box: a module, an operation ("op") or its rule; its calls, seconds, FLOPs and bytes, and in `parts` the boxes inside."""
    def __init__(self, name, phase="forward", kind="module"):
        self.name, self.phase, self.kind, self.parts = name, phase, kind, {}
        self.calls = self.seconds = self.flops = self.bytes = 0

    own = property(lambda self: self.seconds - sum(part.seconds for part in self.parts.values()))

    def part(self, name, phase, kind):
        """The box of this name inside, made where it is missing."""
        key = name, phase, kind
        return self.parts.get(key) or self.parts.setdefault(key, Frame(*key))

    def walk(self, above=()):
        """(a box, the operations around it) for this box and all below."""
        yield self, above
        for part in self.parts.values():
            yield from part.walk((*above, (self.phase, self.name)) if self.kind == "op" else above)

class Profile:
    """What passes the door between `with profile() as p:` and its end, as a tree of boxes, `p.root`."""
    def __init__(self, clock=time.perf_counter):
        self.clock, self.late = clock, 0.0                       # late: the seconds that it took itself
        self.root = Frame("all")
        self.open, self.names = [self.root], {}                  # the boxes that are open, the innermost last

    def now(self):
        """Seconds, on a clock that stands still while the profiler works."""
        return self.clock() - self.late

    @contextmanager
    def aside(self):
        """The clock stands still inside."""
        began = self.clock()
        try:
            yield
        finally:
            self.late += self.clock() - began

# %% [markdown]
"""
**Your turn.** `timed(frame, call)` runs `call()`, returns what it returns, and adds its seconds and one call to the box. Meanwhile the box is the
last of `self.open`, so that what runs inside finds it. If `call()` raises, the error must pass, and the box must be closed all the same: `try`,
`finally`.
"""

# %% nbgrader={"grade": false, "grade_id": "timed", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def _timed(self, frame, call):
    """`call()`, as one more call of this box, which is open meanwhile."""
    ### BEGIN SOLUTION
    self.open.append(frame)
    began = self.now()
    try:
        return call()
    finally:
        frame.seconds += self.now() - began
        frame.calls += 1
        self.open.pop()
    ### END SOLUTION

Profile.timed = _timed

# %% nbgrader={"grade": true, "grade_id": "test-timed", "locked": true, "points": 12, "schema_version": 3, "solution": false, "task": false}
def test_unit_timed():
    """A box gets its seconds and its calls, is open meanwhile, and is closed whatever happens."""
    long, short, ours = np.random.default_rng(0).uniform(1, 9, 3).round(2).tolist()
    now = [50.0]
    p = Profile(lambda: now[0])
    outer = p.root.part("outer", "forward", "op")
    inner = outer.part("inner", "forward", "op")
    def wait(seconds, answer=None):
        now[0] += seconds
        return answer
    def run():
        expect.true(p.open[-1] is outer, "the box is open while its call runs", hint="self.open.append(frame) before call()")
        wait(long)
        p.late += wait(ours, ours)
        return p.timed(inner, lambda: wait(short, "done"))
    expect.same(lambda: p.timed(outer, run), "done", "what the call returns", hint="return what call() returns")
    expect.true(p.open == [p.root], "afterwards it is closed", hint="self.open.pop()")
    expect.close([outer.seconds, inner.seconds], [long + short, short], "the seconds of both", mistaken={
        "self.now() stands still while the profiler works; self.clock() does not": [long + short + ours, short],
        "now minus before": [-long - short, -short],
        "the inner box's seconds are part of the outer one's": [long, short]}, hint="self.now() after the call, minus self.now() before it")
    p.timed(outer, run)
    expect.close([outer.seconds, inner.seconds], [2 * (long + short), 2 * short], "the seconds of all calls", mistaken={
        "add to the seconds that are there": [long + short, short]})
    expect.same([outer.calls, inner.calls], [2, 2], "and their number", mistaken={"count the calls": [0, 0], "one more at each call": [1, 1]})
    def fails():
        wait(long)
        raise KeyError("lost")
    expect.raises(KeyError, lambda: p.timed(inner, fails), "an error passes", hint="no except: try and finally", match="lost")
    expect.true(p.open == [p.root], "and its box is closed", hint="self.open.pop() stands in finally")
    expect.close([inner.seconds, inner.calls], [2 * short + long, 3], "with the seconds until then", hint="all three lines stand in finally")

test_unit_timed()

# %% [markdown]
"""
The rest is given. `watch` stands at the door. An operation's FLOPs come from the table, or, where it is not there, from arrays that count. A gradient
rule is run once more, with arrays that count: nobody has to *assume* what backward costs. (A rule changes nothing. One whose inside passes the door
by itself is not run again.) Modules are seen through `Module.__call__`, as long as the profile lasts. What other threads do meanwhile is theirs:
`standing` and `watching` ask whose call it is, and however the contexts of several threads overlap, each takes away only what it brought.
"""

# %%
#| export
def runs_rule(call, op):
    """Whether what waits behind the door is the gradient rule of `op`, not `op` itself."""
    while isinstance(call, functools.partial):                   # others stand around it too
        call = call.args[0]
    return op.rule is not None and call.__closure__[0].cell_contents is op.rule.run

def _watch(self, call, op, arrays, params):
    if Counted.work.get() is not None:                           # somebody is only counting
        return call(arrays, params)
    with self.aside():
        name, given, rule = op.__name__, list(arrays), runs_rule(call, op)
        frame = self.open[-1].part(name, "backward" if rule else self.open[-1].phase, "op")
        inside = rule and ("back" in op.rule.named or isinstance(given[0], Tensor))          # what it does passes the door itself
        known, work = rule or name in FLOPS, {}
        arrays[:] = arrays if known else counted(tuple(arrays))
    data = self.timed(frame, lambda: call(arrays, params) if known else count_work(call, arrays, params))
    with self.aside():
        if not known:
            (data, work), arrays[:] = data, uncounted(arrays)
        elif rule and not inside:
            work = count_work(lambda *again: call(list(again), params), *given)[1]
        made = data[0] if type(data) is tuple and not rule else data
        frame.flops += flops_of(name, given, params, np.asarray(made)) if known and not rule else sum(work.values())
        frame.bytes += 0 if inside else bytes_of([*given, *params.values()], made)
    return data

def shortened(name):
    """The last part of a dotted name, and the list that it is in: "blocks.0.mlp" is "mlp", and "blocks.0" stays."""
    return ".".join(name.split(".")[-2 if name[-1:].isdigit() else -1:])

Profile.watch = _watch

# %%
#| export
CHANGES = threading.Lock()                                       # one thread at a time comes or goes

@contextmanager
def standing(holder, name, instead):
    """Inside, what this thread calls as `holder.name(…)` is `instead(below, …)`, where `below(…)` is what it was."""
    def layer(*args, **settings):
        return instead(link.below, *args, **settings) if threading.get_ident() == me else link.below(*args, **settings)
    me, layer.link = threading.get_ident(), (link := SimpleNamespace())
    with CHANGES:
        link.below = getattr(holder, name)
        setattr(holder, name, layer)
    try:
        yield
    finally:
        with CHANGES:
            above = getattr(holder, name)
            if above is layer:
                setattr(holder, name, link.below)
            else:                                                # another thread came later, and is still there
                while above.link.below is not layer:
                    above = above.link.below
                above.link.below = link.below

@contextmanager
def watching(watch):
    """Inside, `watch` stands around the door, for the operations of this thread."""
    def mine(call, op, arrays, params):
        return watch(call, op, arrays, params) if threading.get_ident() == me else call(arrays, params)
    me = threading.get_ident()
    door.around.append(mine)
    try:
        yield
    finally:
        door.around.remove(mine)

@contextmanager
def profile(clock=time.perf_counter):
    """`with profile() as p:` what passes the door inside is counted and timed; see `Profile`.  Afterwards the door is as it was."""
    p = Profile(clock)

    def call(called, module, *inputs, **settings):
        with p.aside():
            if module not in p.names:                            # the outermost: it knows the names of its parts
                p.names |= {m: f"{shortened(name)} {type(m).__name__}".strip() for name, m in module.named_modules()}
            frame = p.open[-1].part(p.names[module], p.open[-1].phase, "module")
        return p.timed(frame, lambda: called(module, *inputs, **settings))
    with standing(Module, "__call__", call), watching(p.watch):
        began = p.now()
        try:
            yield p
        finally:
            p.root.seconds += p.now() - began

# %% [markdown]
"""
The table adds up all boxes of an operation, wherever they stand. (What runs inside itself, as a checkpoint may, does not count its seconds twice.)
"""

# %%
#| export
MB = 2 ** 20                                                     # bytes

def _rows(self):
    """A dict per operation and phase, longest first: name phase calls own_seconds, seconds (with what ran inside), flops bytes."""
    rows = {}
    for frame, above in self.root.walk():
        if frame.kind == "op":
            key = frame.phase, frame.name
            rows.setdefault(key, Counter()).update(calls=frame.calls, own_seconds=frame.own, seconds=0 if key in above else frame.seconds,
                                                   flops=frame.flops, bytes=frame.bytes)
    return sorted(({"name": name, "phase": phase, **row} for (phase, name), row in rows.items()), key=lambda row: -row["own_seconds"])

def _total(self, what, phase=None):
    """The sum of "calls", "own_seconds", "flops" or "bytes" over all operations, or over those of one phase."""
    return sum(row[what] for row in self.rows() if phase in (None, row["phase"]))

def _table(self, count=20):
    """The first rows as text."""
    lines = [f"{'operation':<20}{'phase':<9}{'calls':>6}{'own time':>10}{'share':>7}{'MFLOP':>10}{'MB':>9}{'GFLOP/s':>9}"]
    for row in self.rows()[:count]:
        own = row["own_seconds"]
        lines.append(f"{row['name']:<20}{row['phase']:<9}{row['calls']:>6}{seconds_text(own):>10}{own / self.root.seconds:>7.1%}"
                     f"{row['flops'] / 1e6:>10.2f}{row['bytes'] / MB:>9.2f}{row['flops'] / max(own, 1e-9) / 1e9:>9.2f}")
    return "\n".join([*lines, f"{seconds_text(self.total('own_seconds'))} of {seconds_text(self.root.seconds)} in operations, the rest between them"])

def _to_dict(self):
    """{"seconds", "flops", "bytes", "operations": the rows}, which json can write."""
    return {"seconds": self.root.seconds, "flops": self.total("flops"), "bytes": self.total("bytes"), "operations": self.rows()}

Profile.rows, Profile.total, Profile.table, Profile.to_dict = _rows, _total, _table, _to_dict

# %% [markdown]
"""
Which operation of the GPT's steps takes the most time? Write down your guess before you run this.
"""

# %% tags=["analysis"]
with profile() as p:
    for _ in range(5):
        step()
print(p.table(8))

# %% [markdown]
"""
Where the arithmetic is and where the time is are two different things: look at the last column.

## 5 · A picture of time

A table does not say *where* in the model. In a *flame chart* each box is as wide as its seconds, and stands below the box that it ran in:

```
 | GPT                                |
 | blocks.0        | blocks.1        |
 | qkv | proj |fc  | qkv | proj |fc  |
```

**Your turn.** Make a list of (box, left edge, depth): a box, then all that is in it, part by part. The first part begins at the left edge of its box,
the next where the one before it ended. A function that calls itself does it.
"""

# %% nbgrader={"grade": false, "grade_id": "layout", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def layout(frame, left=0.0, depth=0):
    """The places of a box and all below it in a flame chart: a list of (box, left edge in seconds, depth), each box before its parts."""
    ### BEGIN SOLUTION
    boxes = [(frame, left, depth)]
    for part in frame.parts.values():
        boxes += layout(part, left, depth + 1)
        left += part.seconds
    return boxes
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-layout", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_layout():
    """Each part lies inside its box, and begins where the one before it ended."""
    a, b, c, start = np.random.default_rng(0).uniform(1, 9, 4).round(2).tolist()
    root = Frame("root")
    two, one = root.part("two", "forward", "op"), root.part("one", "forward", "op")
    first, second = (two.part(name, "forward", "op") for name in ("first", "second"))
    root.seconds, one.seconds, two.seconds, first.seconds, second.seconds = a + b + c + 1.0, a, b + c, b, c
    names = lambda: [frame.name for frame, *_ in layout(root, start)]
    expect.same(names, ["root", "two", "first", "second", "one"], "a box, then what is in it", mistaken={
        "parts have parts: layout calls itself": ["root", "two", "one"], "the box itself is in the list": [],
        "first the box, then its parts": ["first", "second", "two", "one", "root"]},
        hint="[(frame, left, depth)], then layout(part, …) for each part",
        raises={(AttributeError, TypeError): "a list of tuples: boxes += layout(part, …)"})
    expect.same(lambda: [depth for *_, depth in layout(root, start)], [0, 1, 2, 2, 1], "how deep", mistaken={"parts are one line deeper": [0] * 5},
            hint="depth + 1")
    expect.close(lambda: [left for _, left, _ in layout(root, start)], [start, start, start, start + b, start + b + c], "the left edges", mistaken={
        "a part begins where the one before it ended": lambda got: np.allclose(got, start),
        "parts begin at the left edge of their box": lambda got: got.min() < start,
        "a part's whole seconds count, not its own": lambda got: np.isclose(got[4], start)}, hint="left += part.seconds after each part")

test_unit_layout()

# %%
#| export
def _flame_chart(self, path=None, width=1000):
    """The tree as an SVG picture, also written to `path` where one is given.  Grey: modules, orange: operations, blue: gradient rules."""
    colours, scale, shapes = {"module": "#dfe5ec", "forward": "#f6b26b", "backward": "#93b7e3"}, width / max(self.root.seconds, 1e-12), []
    boxes = layout(self.root)
    for frame, left, depth in boxes:
        name, x, y, wide = html.escape(frame.name), left * scale, 18 * depth, frame.seconds * scale
        told = f"{name}, {frame.phase}: {frame.calls} calls, {seconds_text(frame.seconds)}, {frame.flops / 1e6:.2f} MFLOP"
        text = f'<text x="{x + 3:.1f}" y="{y + 12}">{name}</text>' if wide > 6.5 * len(frame.name) + 6 else ""
        shapes.append(f'<g><title>{told}</title><rect x="{x:.1f}" y="{y}" width="{wide:.1f}" height="17" '
                      f'fill="{colours[frame.phase if frame.kind == "op" else "module"]}" stroke="#fff"/>{text}</g>')
    height = 18 * (1 + max(depth for *_, depth in boxes))
    picture = SVG(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" style="max-width: {width}px" font-family="sans-serif" '
                  f'font-size="11">{"".join(shapes)}</svg>')
    if path is not None:
        Path(path).write_text(picture, encoding="utf-8")
    return picture

Profile.flame_chart = _flame_chart

# %% tags=["analysis"]
p.flame_chart()

# %% [markdown]
"""
Rest the pointer on a box to read its numbers. Backward has no modules: the graph knows operations only.

## 6 · What backward costs

"Backward costs twice as much as forward" is often said, and rarely measured. What do the rules of single layers really compute?
"""

# %%
for layer in (Linear(64, 64), Conv2d(8, 8, 3), LayerNorm(64), GELU("tanh"), softmax):
    x = randn(*((4, 8, 16, 16) if isinstance(layer, Conv2d) else (32, 64)), requires_grad=True)
    with profile() as p:
        layer(x).sum().backward()
    cost = {row["phase"]: row["flops"] for row in p.rows() if row["name"] not in ("sum", "frame")}
    name, times = getattr(layer, "__name__", type(layer).__name__), cost["backward"] / cost["forward"]
    print(f"{name:10} forward {cost['forward']:9,}   backward {cost['backward']:9,}   {times:.2f} times")

# %% [markdown]
r"""
Twice is true of products: $x w$ has two inputs, and the gradient of each is a product of the same size. (The little more is the sum for the bias.)
For the rest it differs. And the first layer of a model costs less: nobody wants the gradient of its input.

## 7 · The roof

Is 3 GFLOP/s slow? It depends. `machine_peak` measures what this machine can do: how fast it multiplies matrices, and how fast it reads and writes
long arrays. An operation's *intensity* is its FLOPs per byte. With a low one it waits for memory: intensity × bytes per second is all that it can
reach. With a high one arithmetic is the limit. That is the *roofline* (Williams, Waterman and Patterson, 2009):

```
 FLOP/s │          ┌─────────────  the peak
        │        ╱
        │      ╱   intensity × bytes/s
        │    ╱
        └────────────────────────► FLOPs per byte
          add, exp        products
```
"""

# %%
#| export
def attainable(intensity, peak):
    """The FLOP/s that `intensity` FLOPs per byte allow, on a machine whose peak is (FLOP/s, bytes/s)."""
    return min(peak[0], intensity * peak[1])

@functools.lru_cache(maxsize=1)
def machine_peak(size=512, numbers=1 << 22, rounds=15):
    """(FLOP/s, bytes/s) that NumPy reaches here, measured once: float32 products of `size`², and sums of long arrays.  The best round counts."""
    check_whole("machine_peak", size=size, numbers=numbers, rounds=rounds)
    a, x = np.ones((size, size), float32), np.ones(numbers, float32)
    b, y = np.empty_like(a), np.empty_like(x)
    times = compare({"product": lambda: np.matmul(a, a, out=b), "sum": lambda: np.add(x, x, out=y)}, 1, rounds)
    return 2 * size ** 3 / min(times["product"].times), 2 * x.nbytes / min(times["sum"].times)

@contextmanager
def evaluating(model):
    """Nothing is recorded and dropout is off; afterwards every part is in the mode it was in."""
    check_kind("evaluating", Module, model=model)
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with no_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training

def roofline(model, x, rounds=5, peak=None):
    """A dict for each operation of model(x) that computes: name calls intensity (FLOPs per byte) reached limit (FLOP/s) share bound.

    `bound` is "memory" or "compute"; `peak` is that of this machine, where none is given.
    """
    check_whole("roofline", rounds=rounds)
    peak, rows = peak or machine_peak(), []
    with evaluating(model):
        model(x)
        with profile() as p:
            for _ in range(rounds):
                model(x)
    for row in p.rows():
        if row["flops"]:
            intensity, reached = row["flops"] / row["bytes"], row["flops"] / row["own_seconds"]
            limit = attainable(intensity, peak)
            rows.append({"name": row["name"], "calls": row["calls"], "intensity": intensity, "reached": reached, "limit": limit,
                         "share": reached / limit, "bound": "compute" if limit == peak[0] else "memory"})
    return rows

def benchmark_operation_efficiency(size=512, peak=None):
    """How near some operations come to their roof: the rows of `roofline`, for arrays of size²."""
    b, several = randn(size, size), Module()
    several.forward = lambda x: (x + b, x.exp(), x.sum(), door.OPS["gelu"](x, approximate="tanh"), x.softmax(), x @ b)
    return roofline(several, randn(size, size), peak=peak)

# %% tags=["analysis"]
import matplotlib.pyplot as plt

peak, rows = machine_peak(), benchmark_operation_efficiency()
at = np.logspace(-2, 2.5)
plt.figure(figsize=(7, 3.2))
plt.loglog(at, [attainable(i, peak) / 1e9 for i in at], color="#444")
for row in rows:
    plt.plot(row["intensity"], row["reached"] / 1e9, "o", label=f"{row['name']}: {row['share']:.0%} of its roof ({row['bound']})")
plt.legend(fontsize=8); plt.xlabel("FLOPs per byte"); plt.ylabel("GFLOP/s"); plt.show()
print(f"peak: {peak[0] / 1e9:.0f} GFLOP/s, {peak[1] / 1e9:.0f} GB/s; ridge at {peak[0] / peak[1]:.1f} FLOPs per byte")

# %% [markdown]
"""
Far below the roof work may pay. GELU and softmax write down arrays in between, which are not in the *least* bytes. And above it? The roof is that of
memory; arrays of 512² may still lie in the cache, which is faster.

## 8 · A model at a glance

The `Profiler` puts the instruments together. How many FLOPs does a model cost for *one* sample? The names of its classes do not say what its
`forward` does: run it, and look at the door.

**Your turn.** `x`, with a batch of one, is given. Count while `evaluating(model)`, and return the FLOPs of all operations.
"""

# %% nbgrader={"grade": false, "grade_id": "count-flops", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
class Profiler:
    """What a model costs on this machine: FLOPs of one sample, seconds and bytes measured.  1 MB is 2²⁰ bytes."""

    def count_parameters(self, model):
        """How many numbers are trained."""
        check_kind("count_parameters", Module, model=model)
        return sum(p.size for p in model.parameters())

    def count_flops(self, model, input_shape):
        """FLOPs of the forward pass for one sample; the first size of `input_shape` is the batch.

        >>> Profiler().count_flops(Linear(128, 64), (32, 128))
        16384
        """
        check_kind("count_flops", Module, model=model)
        check_sizes("count_flops", input_shape=input_shape)
        x = _input_of(model, (1, *input_shape[1:]) if len(input_shape) > 1 else input_shape)
        ### BEGIN SOLUTION
        with evaluating(model), profile() as p:
            model(x)
        return p.total("flops")
        ### END SOLUTION

def _input_of(model, shape):
    """Zeros of this shape: floats, or ids where the model has an Embedding."""
    ids = any(isinstance(module, Embedding) for module in model.modules())
    return Tensor(np.zeros(shape, int)) if ids else zeros(shape)

# %% nbgrader={"grade": true, "grade_id": "test-count-flops", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_count_flops():
    """What one sample costs, whatever the batch, and the model is as it was."""
    n, m = (int(size) for size in np.random.default_rng(0).integers(4, 40, 2))
    count, model = Profiler().count_flops, Sequential(Linear(n, m), Dropout(0.5), GELU("tanh"), Linear(m, 3))
    want = 2 * n * m + 9 * m + 6 * m
    expect.same(lambda: count(model, (1, n)), want, "two layers and a GELU", mistaken={
        "while evaluating(model): there is no dropout": want + 2 * m, "FLOPs, not parameters": n * m + m + 3 * m + 3,
        "all operations, not those of some classes": 2 * n * m + 6 * m, "FLOPs, not calls": 3},
        hint='with profile() as p: model(x); then p.total("flops")')
    expect.same(lambda: count(model, (64, n)), want, "a batch changes nothing", hint="x has a batch of one already")
    expect.true(model.training and model[1].training, "and the model is in the mode it was in", hint="with evaluating(model)")
    twice = Module()
    twice.part, twice.forward = model, lambda x: model(x) + model(x)
    expect.same(lambda: count(twice, (1, n)), 2 * want + 3, "what forward does counts, not what is in the model", hint="count what passes the door")
    expect.same(lambda: count(Embedding(9, n), (2, 5)), 0, "a table is only looked up")

test_unit_count_flops()

# %% [markdown]
"""
Everything else is given. Looking at a training step must leave no trace: parameters, gradients, running statistics and the generator are put back
(`untouched`). What an optimizer keeps is measured on its `state`.
"""

# %%
#| export
@contextmanager
def untouched(model):
    """Parameters, buffers, gradients and the generator are afterwards as before."""
    check_kind("untouched", Module, model=model)
    state, grads, drawn = model.state_dict(), [(p, p.grad) for p in model.parameters()], default_generator.bit_generator.state
    try:
        yield
    finally:
        model.load_state_dict(state)
        default_generator.bit_generator.state = drawn
        for parameter, grad in grads:
            parameter.grad = grad

def _measure_memory(self, model, input_shape):
    """MB of the parameters, of what a forward pass holds at its worst moment, of both, and the parameters' share.  A shape, or an input."""
    check_kind("measure_memory", Module, model=model)
    if isinstance(input_shape, tuple):
        check_sizes("measure_memory", input_shape=input_shape)
    x = _input_of(model, input_shape) if isinstance(input_shape, tuple) else input_shape
    with evaluating(model):
        parameters, activations = sum(p.data.nbytes for p in model.parameters()), peak_memory(lambda: model(x))
    return {"parameter_memory_mb": parameters / MB, "activation_memory_mb": activations / MB, "peak_memory_mb": (parameters + activations) / MB,
            "memory_efficiency": parameters / max(parameters + activations, 1)}

def _measure_latency(self, model, x, warmup=10, iterations=100):
    """Milliseconds of one forward pass: the median."""
    with evaluating(model):
        return measure(lambda: model(x), warmup, iterations).median * 1e3

# %%
#| export
def _forward_pass(self, model, x, rounds=11, peak=None):
    """What model(x) costs, and how near it comes to what this machine can do: a dict."""
    milliseconds, memory, peak = self.measure_latency(model, x, 3, rounds), self.measure_memory(model, x), peak or machine_peak()
    with evaluating(model), profile() as p:
        model(x)
    flops, moved = p.total("flops"), p.total("bytes")
    rate = flops / milliseconds * 1e3
    return {"parameters": self.count_parameters(model), "flops": flops // len(x), "latency_ms": milliseconds, **memory,
            "gflops_per_second": rate / 1e9, "memory_bandwidth_mbs": moved / milliseconds * 1e3 / MB, "computational_efficiency": rate / peak[0],
            "bottleneck": "memory" if attainable(flops / max(moved, 1), peak) < peak[0] else "compute"}

def _backward_pass(self, model, x, loss_fn=None, rounds=11):
    """What a training step costs, both passes measured: a dict.  `loss_fn` makes one number of the output; None takes the sum."""
    check_kind("profile_backward_pass", Callable, none=True, loss_fn=loss_fn)
    check_whole("profile_backward_pass", rounds=rounds)
    loss_of, clock, times = loss_fn or Tensor.sum, time.perf_counter, []

    def step():
        model.zero_grad()
        began, loss, middle = clock(), loss_of(model(x)), clock()
        loss.backward()
        times.append((middle - began, clock() - middle))
    def kept(kind, **settings):
        (optimizer := kind(model.parameters(), lr=0.0, **settings)).step()
        return sum(a.nbytes for state in optimizer.state.values() for a in arrays_in(list(state.values()))) / MB
    with untouched(model):
        memory = peak_memory(step)
        with profile() as p:
            step()
        times.clear()
        for _ in range(rounds):
            step()
        gradients = sum(q.grad.data.nbytes for q in model.parameters() if q.grad is not None)
        states = {"sgd": kept(SGD), "sgd_momentum": kept(SGD, momentum=0.9), "adam": kept(Adam), "adamw": kept(AdamW)}
    (forward, backward), n = np.median(times, axis=0).tolist(), len(x)
    flops = [p.total("flops", phase) // n for phase in ("forward", "backward")]
    return {"forward_flops": flops[0], "backward_flops": flops[1], "total_flops": sum(flops), "forward_latency_ms": forward * 1e3,
            "backward_latency_ms": backward * 1e3, "total_latency_ms": (forward + backward) * 1e3, "gradient_memory_mb": gradients / MB,
            "total_memory_mb": (memory + sum(q.data.nbytes for q in model.parameters())) / MB, "optimizer_memory_estimates": states}

Profiler.measure_memory, Profiler.measure_latency = _measure_memory, _measure_latency
Profiler.profile_forward_pass, Profiler.profile_backward_pass = _forward_pass, _backward_pass
profile_forward_pass, profile_backward_pass = Profiler().profile_forward_pass, Profiler().profile_backward_pass

# %% tags=["analysis"]
for name, value in (profile_forward_pass(model, Tensor(ids[:, :-1])) | profile_backward_pass(model, Tensor(ids[:, :-1]))).items():
    print(f"{name:28}{value if not isinstance(value, float) else f'{value:.3g}'}")

# %% [markdown]
"""
## 9 · Larger, and looked at

How do the costs grow with the width, and with the batch? Looking on costs something, too (which is in none of the table's seconds): where more than
what is looked at?
"""

# %%
#| export
def _mlp(width):
    return Sequential(Linear(width, 4 * width), GELU("tanh"), Linear(4 * width, width))

def analyze_model_scaling(widths=(32, 64, 128, 256, 512), batch=32):
    """What a wider MLP costs: a dict per width with its parameters, FLOPs of a sample, milliseconds and GFLOP/s, measured in turns."""
    check_sizes("analyze_model_scaling", widths=widths)
    check_whole("analyze_model_scaling", batch=batch)
    models, inputs, profiler = {w: _mlp(w) for w in widths}, {w: randn(batch, w) for w in widths}, Profiler()
    with no_grad():
        times = compare({w: functools.partial(model, inputs[w]) for w, model in models.items()}, 2, 9)
    return [{"width": w, "parameters": profiler.count_parameters(model), "flops": (flops := profiler.count_flops(model, (1, w))),
             "latency_ms": times[w].median * 1e3, "gflops_per_second": flops * batch / times[w].median / 1e9} for w, model in models.items()]

def analyze_batch_size_effects(model=None, batch_sizes=(1, 4, 16, 64, 256), input_shape=(128,)):
    """What a batch costs: a dict per size with milliseconds, samples a second and MB, measured in turns."""
    check_sizes("analyze_batch_size_effects", batch_sizes=batch_sizes, input_shape=input_shape)
    check_kind("analyze_batch_size_effects", Module, none=True, model=model)
    model, inputs = model or _mlp(input_shape[-1]), {n: randn(n, *input_shape) for n in batch_sizes}
    with evaluating(model):
        times = compare({n: functools.partial(model, x) for n, x in inputs.items()}, 2, 9)
        return [{"batch_size": n, "latency_ms": times[n].median * 1e3, "samples_per_second": n / times[n].median,
                 "activation_memory_mb": peak_memory(functools.partial(model, x)) / MB} for n, x in inputs.items()]

def analyze_profiling_overhead(model=None, x=None, rounds=11):
    """What looking on costs: milliseconds of model(x) with and without `profile()`, in turns, and microseconds for each operation that passed."""
    check_kind("analyze_profiling_overhead", Module, none=True, model=model)
    model, x = (_mlp(128), randn(32, 128)) if model is None else (model, x)

    def plain():
        for _ in range(3):
            model(x)

    def profiled():
        with profile() as p:
            plain()
        return p.total("calls") / 3
    with evaluating(model):
        times, calls = compare({"plain": plain, "profiled": profiled}, 1, rounds), profiled()
    bare, watched = (times[name].median / 3 for name in ("plain", "profiled"))
    return {"plain_ms": bare * 1e3, "profiled_ms": watched * 1e3, "overhead_percent": 100 * (watched / bare - 1),
            "microseconds_per_operation": (watched - bare) / calls * 1e6}

# %% tags=["analysis"]
for rows in (analyze_model_scaling(), analyze_batch_size_effects()):
    print(*rows[0], sep="  ")
    for row in rows:
        print("".join(f"{value:>{len(key)}.4g}  " for key, value in row.items()))

# %% tags=["analysis"]
cost = analyze_profiling_overhead()
print({name: round(value, 3) for name, value in cost.items()})
each = cost["microseconds_per_operation"] * 1e-6
for size in (4, 64, 256, 1024):
    x = randn(size, size)
    took = measure(lambda: x + x).median
    print(f"adding {size}²: {seconds_text(took):>9}, looking on {each / took:8.1%} of that")

# %% nbgrader={"grade": true, "grade_id": "test-module", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_module():
    """Everything together: a training step is counted forward and backward, and nothing is different afterwards."""
    n, m = (int(size) for size in np.random.default_rng(0).integers(4, 40, 2))
    model, x = Sequential(Linear(n, m), GELU("tanh"), Linear(m, 3, bias=False)), randn(8, n)
    before, called = model.state_dict(), Module.__call__
    report = profile_backward_pass(model, x, rounds=1)
    products = 2 * n * m + 6 * m
    expect.same(lambda: report["forward_flops"], products + 9 * m + 3, "forward: two products, a GELU, and the sum")
    expect.true(lambda: report["backward_flops"] > 2 * 6 * m + 2 * n * m, "backward is counted")
    expect.same(lambda: report["total_flops"], report["forward_flops"] + report["backward_flops"], "both together")
    numbers = sum(p.size for p in model.parameters())
    expect.close(lambda: [report["gradient_memory_mb"] * 2**20, report["optimizer_memory_estimates"]["adam"] * 2**20], [4 * numbers, 8 * numbers],
                 "gradients take as much as the parameters, Adam twice that")
    expect.close(lambda: model[0].weight, before["0.weight"], "the model is as it was")
    expect.true(lambda: all(p.grad is None for p in model.parameters()), "without gradients, as before")
    def fails():
        with profile():
            model(randn(8, n + 1))
    expect.raises(ValueError, fails, "an error passes", match="linear")
    expect.true(lambda: Module.__call__ is called and not door.around, "and leaves the door as it was")
    with profile() as p:
        checkpoint(model, x).sum().backward()
    rows = {(row["name"], row["phase"]): row for row in p.rows()}
    expect.same(lambda: [rows["linear", "forward"]["calls"], rows["linear", "backward"]["calls"]], [2, 4],
            "a checkpoint computes forward again, inside backward")
    forward = profile_forward_pass(model, x, rounds=1, peak=(1e9, 1e9))
    expect.same(lambda: [forward["parameters"], forward["flops"]], [numbers, products + 9 * m], "the forward pass alone")
    expect.same(lambda: sorted({row["bound"] for row in roofline(model, x, 1, (1e9, 1e6))}), ["memory"], "a machine with slow memory")
    expect.true(lambda: p.flame_chart().count("<rect") == len(layout(p.root)), "the picture has a box for each")
    expect.true(lambda: "linear" in p.table() and p.to_dict()["flops"] == p.total("flops"), "the table has a row for each operation")
    expect.same(lambda: repr(Timing([2.5])), "2.5 s (half of 1 rounds: 2.5 s to 2.5 s)", "a Timing can be read")
    with profile() as p:
        (Tensor([2.0, 3.0], requires_grad=True) ** Tensor([2.0, 1.0])).sum().backward()
    expect.same(lambda: p.total("flops", "forward"), 2 + 2, "a power and a sum")
    expect.same(lambda: flops_of("causal_attention", [np.ones((2, 5, 24))], {"num_heads": 2}, np.ones((2, 5, 8))), 2 * 2 * 25 * (4 * 4 + 7),
            "attention")
    expect.same(lambda: flops_of("head_step", [np.ones((2, 1, 4))], {"weights": [np.ones(4), np.ones((4, 9))]}, np.ones((2, 9))), 200, "a head")
    expect.true(lambda: min(machine_peak(8, 8, 1)) > 0, "a peak is measured")
    expect.same(lambda: [len(rows) for rows in (analyze_model_scaling((4, 8), 2), analyze_batch_size_effects(None, (1, 2), (4,)))], [2, 2],
            "larger models")
    expect.same(lambda: len(benchmark_operation_efficiency(4, (1e9, 1e9))), 6, "six operations")
    expect.same(lambda: len(analyze_profiling_overhead(model, x, 1)), 4, "what looking on costs")

test_module()

# %% [markdown]
"""
## 10 · In your own words

**Question 1.** An operation takes 40 % of a step. You make it ten times faster. How much faster is the step? And at most, whatever you do to that
operation? What does that say about where to begin?
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-amdahl", "locked": false, "points": 5, "schema_version": 3, "solution": true, "task": false}
"""
0.6 + 0.04 = 0.64 of the time is left: 1.56 times faster. At most 1 / 0.6 = 1.67 times, if it took no time at all (Amdahl's law). So one begins with
what takes the largest share, and measures again after each change, because then the shares are other ones.
"""

# %% [markdown]
"""
**Question 2.** Somebody shows that a new function is 20 % faster: 1.00 s before, 0.83 s after, each measured once, the old one first. Name three
things that may have happened instead. How would you measure?
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-claim", "locked": false, "points": 5, "schema_version": 3, "solution": true, "task": false}
"""
The first run paid for the warm-up (memory, caches, imports); another program was busy during the first; and the difference may lie within what runs
differ by anyway, which one run each cannot show. Warm up, measure both in turns, many rounds, and give median and quartiles; and check that both
compute the same.
"""

# %% [markdown]
"""
## Where you are

A clock, a scale, a counter, a table, a picture and a roof: from here on nothing has to be guessed. Next: `tito module complete 15`.
"""
