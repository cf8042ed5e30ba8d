# %% [markdown]
"""
# 05 Autograd

> Slopes of any computation: what was done is written down, and read backwards.

A loss says how wrong a network is. To make it less wrong you need its slope with respect to every single weight. This notebook computes all of
them at once, for any expression made of the operations of modules 01 to 04, in a few times what the expression itself costs.
"""

# %% nbgrader={"grade": false, "grade_id": "start", "locked": true, "schema_version": 3, "solution": false, "task": false}
import tito.notebook     # where this fails, open the notebook with: tito module open 05
from tito.check import expect

tito.notebook.use(5)

# %%
#| default_exp core.autograd

# %% nbgrader={"grade": false, "grade_id": "imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
import inspect
import itertools
import math
import time
import tracemalloc
import weakref
from contextlib import contextmanager
from contextvars import ContextVar
from heapq import heappop, heappush
from operator import attrgetter, itemgetter
from types import SimpleNamespace

import numpy as np
from numpy import ndarray

import tinytorch.core.tensor as door
from tinytorch.core.activations import erf, gelu, in_blocks, leaky_relu, log_softmax, relu, sigmoid, silu, softmax, tanh
from tinytorch.core.layers import dropout, linear
from tinytorch.core.losses import clamped_log, cross_entropy, softplus
from tinytorch.core.tensor import (Tensor, absolute, add, amax, amin, clip, concatenate, default_generator, divide, exp, expand, float32, float64,
                                   getitem, log, matmul, maximum, mean, minimum, multiply, negative, op, permute, power, reduce_sum, reshape, sqrt,
                                   subtract, through, transpose, where)

# %% [markdown]
r"""
## 1 · A slope by small steps
How much does $f$ change when one number changes a little? Go a small step to both sides:

$$\frac{\partial f}{\partial x_i} \approx \frac{f(x + \varepsilon e_i) - f(x - \varepsilon e_i)}{2 \varepsilon}$$

**Your turn.** `f` takes an array and returns one number. Change one entry of `x` at a time, in place, and put it back before the next.
`for i, before in np.ndenumerate(x):` runs through the places `i` of an array of any shape, with the number that stands there.
"""

# %% nbgrader={"grade": false, "grade_id": "numerical-gradient", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def numerical_gradient(f, x, eps=1e-6):
    """The slopes of f(x) by central differences, an array of x's shape.

    `x` is a float64 array, and unchanged afterwards; `f` takes it and returns one number.

    >>> numerical_gradient(lambda x: (x ** 2).sum(), np.array([1.0, 3.0])).round(4)
    array([2., 6.])
    """
    slopes = np.zeros_like(x)
    ### BEGIN SOLUTION
    for i, before in np.ndenumerate(x):
        x[i] = before + eps
        above = f(x)
        x[i] = before - eps
        below = f(x)
        x[i] = before
        slopes[i] = (above - below) / (2 * eps)
    ### END SOLUTION
    return slopes

# %% nbgrader={"grade": true, "grade_id": "test-numerical-gradient", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_numerical_gradient():
    """Central differences give the slope of any function, one entry at a time."""
    x = np.array([[1.0, -2.0], [0.5, 3.0]])
    expect.close(lambda: numerical_gradient(lambda x: (x ** 3).sum(), x), 3 * x ** 2, "the slope of x³ is 3x²", tol=1e-4, mistaken={
        "the two places are 2·eps apart: divide by all of that": 6 * x ** 2,
        "divide the difference by how far apart the two places are": lambda got: 0 < np.abs(got).max() < 1e-3,
        "all entries moved together: change one at a time": lambda got: np.ptp(got) < 1e-3 < got.max(),
        "f after the step up, minus f after the step down": -3 * x ** 2})
    expect.close(lambda: x, [[1.0, -2.0], [0.5, 3.0]], "x is put back as it was", tol=1e-9,
                 hint="keep the old entry and write it back after both steps")
    expect.close(lambda: numerical_gradient(lambda x: np.abs(x).sum(), np.array([0.0])), [0.0], "both sides count alike", mistaken={
        "that is a step to one side only: go up and down from x": lambda got: np.isclose(np.abs(got), 1)})
    expect.close(lambda: numerical_gradient(lambda x: x[0] ** 3 * x[1], np.array([1.0, 2.0]), eps=0.1), [6.02, 1.0],
                 "a step is as long as `eps` says")
test_unit_numerical_gradient()

# %% [markdown]
"""
It needs no calculus, and it is useless for training: two runs of the whole network *for every weight*. A small classifier has 10,000 weights, so
one step would take 20,000 runs. It is also imprecise, as the picture shows: with too large a step the curve bends, with too small a one the
digits cancel. Keep it as the yardstick.
"""

# %% tags=["analysis"]
import matplotlib.pyplot as plt

steps = 10.0 ** np.arange(-12, 0)
error = [abs(numerical_gradient(lambda x: np.exp(x).sum(), np.array([1.0]), eps)[0] - math.e) for eps in steps]
plt.figure(figsize=(5, 3)); plt.loglog(steps, error, "o-")
plt.xlabel("eps"); plt.ylabel("error of the slope of exp at 1"); plt.show()

# %% [markdown]
"""
## 2 · The chain rule, and how not to use it
A computation is a graph. Each operation knows how its own output changes with its inputs; slopes along a path multiply, and where several paths
meet, they add up. For `y = (a * b) + a` at a = 2, b = 3:

```
 forward                         backward: how much y changes with each of them
 a ─┬──► a * b ──► sum = y       y  1
    │     ▲         ▲            the product   1
 b ─┼─────┘         │            b             1 · a     = 2      through the product
    └───────────────┘            a             1 · b + 1 = 4      through both
```

The obvious program asks each value to pass its slope on to what it was made of, recursively:
"""

# %%
class Naive:
    """A number that remembers its parents, with the slope towards each."""
    visits = 0

    def __init__(self, data, parents=()):
        self.data, self.parents, self.grad = data, parents, 0.0

    def __add__(self, other):
        return Naive(self.data + other.data, [(self, 1.0), (other, 1.0)])

    def backward(self, g=1.0):
        Naive.visits += 1
        self.grad += g
        for parent, slope in self.parents:
            parent.backward(g * slope)

for doublings in (4, 8, 16):
    x = y = Naive(1.0)
    for _ in range(doublings):
        y = y + y
    Naive.visits = 0
    y.backward()
    print(f"{doublings:2} times y = y + y: slope {x.grad:.0f}, {Naive.visits:,} visits")
try:
    x = y = Naive(1.0)
    for _ in range(2000):
        y = y + x
    y.backward()
except RecursionError as error:
    print("2,000 additions:", error)

# %% [markdown]
"""
Two failures. It walks every *path*, and paths double with every `y + y`: sixty of them take longer than a lifetime. And it nests a call in a
call, so a long computation breaks Python's stack.

Both go away with one rule: **visit each operation once, after everything that used it**. Then its slope is complete when it is passed on. The
order is easy to come by: an operation is always younger than its inputs, so number them as they are made, and go from the newest to the oldest.

## 3 · Writing it down
A `Node` says how one value came about. It knows the operation, where the inputs came from, and the little that its gradient will need. It does
*not* know the value it made: then nothing points in a circle, and memory is free as soon as the last user lets go.

```
   y ──► Node add ──┬──► Node multiply ──┬──► a   (a leaf: a Tensor that you made)
                    │    saved: a, b     └──► b   (a leaf)
                    └──► a
```

The calculus itself is a table: one small function an operation, registered with `@gradient(operation)`. The slope of $e^x$ is $e^x$, so:

```python
@gradient(exp)
def _(g, out):
    return g * out
```

`g` is the slope of the loss with respect to the *output*; the rule returns the slope for each *input*. It **asks by name** for what it wants, in
this order: `need` (which inputs anybody wants a gradient for), the inputs and `out`, then settings, extras, and `shape` (of the first input).
What it does not ask for is not kept: `add` asks for nothing, and the arrays that were added can go. `Rule` reads those names once, when the rule
is registered. And `record` sits down in the empty chair that the door has had since module 01: no operation is touched.
"""

# %%
#| export
class Node:
    """How a value came about.  `inputs`: per input its Node, or the leaf Tensor, or None.  Never its own output."""
    __slots__ = ("op", "rule", "inputs", "shape", "saved", "order", "hooks")
    __lt__ = lambda self, other: self.order > other.order        # a heap gives the newest first

tick, age = itertools.count().__next__, attrgetter("order")      # numbers, upwards; and the one that a node got

class Rule:
    """A gradient rule and what it asks for: `run(g, need, inputs and out, then settings, extras, shape)`."""
    __slots__ = ("run", "asks", "pick", "named", "fill")

    def __init__(self, op, run):
        asks, settings = list(inspect.signature(run).parameters)[1:], inspect.signature(op).parameters
        at = {name: k for k, name in enumerate(op.places)} | {"need": -2, "out": -1}
        self.run, self.asks = run, [at[n] for n in asks if n in at]
        if at.keys() & (rest := asks[len(self.asks):]):
            raise TypeError(f"the rule of '{op.__name__}' asks in this order: g, need, inputs and out, the rest; not {asks}")
        self.pick = itemgetter(*self.asks) if len(self.asks) > 1 else lambda values: [values[k] for k in self.asks]
        self.named = {n: settings[n].default if n in settings else None for n in rest}
        self.fill = list(op.places.values())

def gradient(op):
    """Register the gradient rule of an operation: a function that returns one gradient per input."""
    def register(run):
        op.rule = Rule(op, run)
        return run
    return register

recording = ContextVar("recording", default=True)       # per thread and task; a dict while a checkpoint asks who takes part

def record(op, args, arrays, params, extra, data):
    """A Node for what `op` just computed, or None where no gradient can be wanted."""
    mode, rule = recording.get(), op.rule
    if mode is not True:
        if mode is not False:
            mode.update((x, None) for x in args if isinstance(x, Tensor) and x.requires_grad)
        return None
    if rule is None and data.dtype.kind != "f":                  # comparisons and positions have no gradient
        return None
    node = Node()
    node.op, node.rule, node.shape = op, rule, data.shape
    node.order, node.saved, node.hooks = tick(), (), None
    node.inputs, need = (inputs := []), []
    for x in args:
        wants = isinstance(x, Tensor) and x.requires_grad
        inputs.append((x.node or x) if wants else None)
        need.append(wants)
    if rule is None:
        return node
    if rule.asks:
        if len(need) < len(rule.fill):                           # linear(x, w): b is left out
            arrays += rule.fill[len(need):]
            need += [False] * (len(rule.fill) - len(need))
        arrays += need, data                                     # at -2 and -1
        node.saved = rule.pick(arrays)
    if rule.named:
        known = {**rule.named, **params, **(extra or {}), "shape": arrays[0].shape}
        node.saved = (*node.saved, *[known[n] for n in rule.named])
    return node

door.record = record

# %%
a, b = Tensor([2.0], requires_grad=True), Tensor([3.0], requires_grad=True)
y = a * b + a
print(y.node.op.__name__, "made from", y.node.inputs[0].op.__name__, "and from", y.node.inputs[1])

# %% [markdown]
r"""
## 4 · The table
**Your turn.** The rules of arithmetic. `add` shows the form; each of the others is a line. `g`, `a`, `b` and `out` are arrays of one shape
(stretching comes in part 5), `need` is a list of True and False. Return one gradient per input, in their order, and None where `need[0]` or
`need[1]` is False: nobody wants that one. Never write into `g` or into what you asked for: others are looking at the same memory.

$$\frac{\partial (a-b)}{\partial b} = -1 \qquad \frac{\partial (ab)}{\partial a} = b \qquad \frac{\partial (a/b)}{\partial a} = \frac1b
\qquad \frac{\partial (a/b)}{\partial b} = -\frac{a}{b^2} = -\frac{\mathrm{out}}{b}$$
"""

# %% nbgrader={"grade": false, "grade_id": "rules-arithmetic", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
gradient(add)(lambda g: (g, g))

@gradient(negative)
def _(g):
    """out = -a: the gradient for a."""
    ### BEGIN SOLUTION
    return -g
    ### END SOLUTION

@gradient(subtract)
def _(g, need):
    """out = a - b: the gradients for a and b."""
    ### BEGIN SOLUTION
    return g, -g if need[1] else None
    ### END SOLUTION

@gradient(multiply)
def _(g, need, a, b):
    """out = a * b: the gradients for a and b."""
    ### BEGIN SOLUTION
    return g * b if need[0] else None, g * a if need[1] else None
    ### END SOLUTION

@gradient(divide)
def _(g, need, b, out):
    """out = a / b: the gradients for a and b."""
    ### BEGIN SOLUTION
    return g / b if need[0] else None, -g * out / b if need[1] else None
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-rules-arithmetic", "locked": true, "points": 10, "schema_version": 3, "solution": false, "task": false}
def test_unit_rules_arithmetic():
    """Each operation of arithmetic knows the slope towards each of its inputs."""
    g, a, b = np.array([3.0, 10.0]), np.array([2.0, 7.0]), np.array([4.0, 5.0])
    for t in (g, a, b):
        t.flags.writeable = False                                        # others are looking at the same memory
    writes = {ValueError: "never write into g or into what you asked for: make a new array"}
    expect.close(lambda: negative.rule.run(g), [-3.0, -10.0], "the negative", raises=writes,
                 mistaken={"when a grows, -a falls: the slope is -1": g})
    expect.close(lambda: subtract.rule.run(g, [True, True]), [[3.0, 10.0], [-3.0, -10.0]], "a difference", raises=writes, mistaken={
        "b is taken away: its slope is -1": [g, g], "a is not taken away, b is": lambda got: np.allclose(got, [-g, g])})
    expect.close(lambda: multiply.rule.run(g, [True, True], a, b), [[12.0, 50.0], [6.0, 70.0]],
                 "a product: each side's slope is the other side", raises=writes, mistaken={
        "the slope for a is b, and the slope for b is a": [g * a, g * b], "multiply by g: the chain rule": [b, a]})
    expect.close(lambda: divide.rule.run(g, [True, True], b, a / b), [g / b, -g * a / b ** 2], "a quotient", raises=writes, mistaken={
        "the slope for b is negative: a larger divisor makes less": [g / b, g * a / b ** 2],
        "multiply by g: the chain rule": [1 / b, -a / b ** 2],
        "the slope for b is -a / b²; out has only one of the two b": [g / b, -g * a / b],
        "out is a / b already: only one more b is missing": [g / b, -g * a / b ** 3]})
    expect.same(lambda: subtract.rule.run(g, [True, False])[1], None, "a - b: None for b, whose slope nobody wants", hint="look at need[1]")
    for need in ((True, False), (False, True)):
        expect.same(lambda: tuple(t is not None for t in multiply.rule.run(g, need, a, b)), need, "a * b: None for what nobody wants",
                    hint="look at need[0] and need[1]")
        expect.same(lambda: tuple(t is not None for t in divide.rule.run(g, need, b, a / b)), need, "a / b: None for what nobody wants",
                    hint="look at need[0] and need[1]")
test_unit_rules_arithmetic()

# %% [markdown]
r"""
### The product of matrices
For `out = a @ b` with `a` (n, k) and `b` (k, m), the gradient for `a` must have the shape of `a`. There is only one way to put `g` (n, m)
together with `b` that gives (n, k), and it is the right one:

$$\frac{\partial L}{\partial a} = g\,b^\top \quad (n,m)(m,k) \qquad\qquad \frac{\partial L}{\partial b} = a^\top g \quad (k,n)(n,m)$$

**Your turn.** `g`, `a` and `b` are arrays: matrices, or batches of them (the rule below turns vectors into matrices first). `x.mT` swaps the last
two axes and leaves a batch in its place.
"""

# %% nbgrader={"grade": false, "grade_id": "matmul-gradients", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def matmul_gradients(g, need, a, b):
    """For out = a @ b: the gradients for a (…, n, k) and b (…, k, m), from g (…, n, m).

    None where `need` is False.
    """
    ### BEGIN SOLUTION
    return g @ b.mT if need[0] else None, a.mT @ g if need[1] else None
    ### END SOLUTION

Tensor.mT = Tensor.T                # NumPy's name for "swap the last two axes": rules work on arrays and on Tensors

@gradient(matmul)
def _(g, need, a, b):
    row, column = a.ndim == 1, b.ndim == 1                       # vectors are matrices of one row or one column
    batch = g.shape[:g.ndim - (not row) - (not column)]
    a2, b2 = a.reshape(1, -1) if row else a, b.reshape(-1, 1) if column else b
    da, db = matmul_gradients(g.reshape((*batch, a2.shape[-2], b2.shape[-1])), need, a2, b2)
    return da, db.reshape(db.shape[:-1]) if column and db is not None else db

# %% nbgrader={"grade": true, "grade_id": "test-matmul-gradients", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_matmul_gradients():
    """The gradients of a matrix product are matrix products."""
    rng = np.random.default_rng(0)
    for batch, hint in (((), "write the shapes down: only one order gives (n, m) @ (m, k) = (n, k)"),
                        ((5,), "mT, not T: T would turn the batch round too")):
        a, b, g = (rng.normal(size=(*batch, *shape)) for shape in ((2, 3), (3, 4), (2, 4)))
        loss, fits = lambda a, b: ((a @ b) * g).sum(), {"raises": {ValueError: hint}, "tol": 1e-4}
        expect.close(lambda: matmul_gradients(g, [True, True], a, b)[0], numerical_gradient(lambda a: loss(a, b), a),
                     "for a, as small steps say", **fits, mistaken={
            "a's gradient has a's shape: that is it, turned round": lambda got: got.shape == (3, 2)})
        expect.close(lambda: matmul_gradients(g, [True, True], a, b)[1], numerical_gradient(lambda b: loss(a, b), b), "for b", **fits,
                     mistaken={
            "b's gradient has b's shape: that is it, turned round": lambda got: got.shape == (4, 3)})
    for need in ((True, False), (False, True)):
        expect.same(lambda: tuple(t is not None for t in matmul_gradients(g, need, a, b)), need, "None for what nobody wants",
                    hint="look at need[0] and need[1]")
    expect.same([t.shape for t in matmul.rule.run(np.ones(2), [True, True], a[0], b[0, :, 0])], [(2, 3), (3,)],
                "a vector is a matrix of one column")
test_unit_matmul_gradients()

# %% [markdown]
"""
## 5 · Undoing the stretch
Broadcasting used one number several times. What is used several times gets the **sum** of its slopes:

```
 forward    b (3,)  ──stretch──►  (2, 3)        each b[j] is used in 2 rows
 backward   db (3,) ◄───sum─────  g (2, 3)      db[j] = g[0, j] + g[1, j]
```

**Your turn.** Sum the array `g` back to the tuple `shape`: over the axes that are missing on the left, and over those where `shape` has 1 and `g`
has more. Raise a ValueError where `g` could not have come from `shape` at all. Use only `g.sum(axis=(…))` and `g.reshape(shape)`:
later `g` may be a Tensor, which has both, too.
"""

# %% nbgrader={"grade": false, "grade_id": "unbroadcast", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def unbroadcast(g, shape):
    """Sum `g` down to `shape`, from which it was broadcast.  ValueError where it was not.

    >>> unbroadcast(np.ones((2, 3)), (3,))
    array([2., 2., 2.])
    """
    ### BEGIN SOLUTION
    extra = g.ndim - len(shape)
    if extra < 0 or any(n not in (1, m) for n, m in zip(shape, g.shape[extra:])):
        raise ValueError(f"{shape} does not broadcast to {g.shape}")
    axes = tuple(i for i in range(g.ndim) if i < extra or shape[i - extra] == 1)
    return g.sum(axis=axes).reshape(shape)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-unbroadcast", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_unbroadcast():
    """A gradient is summed back to the shape that was stretched."""
    g = np.arange(24.0).reshape(2, 3, 4)
    expect.close(lambda: unbroadcast(g, (4,)), g.sum((0, 1)), "axes that were missing are summed", mistaken={
        "sum, do not average": g.mean((0, 1)), "sum, do not take the first": g[0, 0]})
    expect.close(lambda: unbroadcast(g, (2, 1, 4)), g.sum(1, keepdims=True), "a size of 1 that was stretched is summed, and stays",
                 mistaken={
        "the axis of size 1 stays: bring the sum to `shape`": lambda got: got.shape == (2, 4)}, raises={
        ValueError: "sum also over the axes where `shape` has 1 and g has more"})
    expect.close(lambda: unbroadcast(g, (3, 1)), g.sum((0, 2)).reshape(3, 1), "both at once", raises={
        ValueError: "shapes line up on the right: axis 0 of this `shape` is axis 1 of g"})
    expect.close(lambda: unbroadcast(g, ()), g.sum(), "down to a single number")
    expect.close(lambda: unbroadcast(g, (2, 3, 4)), g, "nothing to do",
                 raises={TypeError: "an empty tuple of axes sums nothing; that is fine"})
    expect.same(lambda: unbroadcast(np.ones((0, 3)), (1, 3)).tolist(), [[0.0, 0.0, 0.0]], "a size of 1 that was stretched to 0 gets zeros")
    for wide, wrong in (((2, 3, 4), (6, 2)), ((2, 3, 4), (5,)), ((0, 3), (0, 5)), ((0, 3), (0, 0)), ((0,), (0, 0))):
        expect.raises(ValueError, lambda: unbroadcast(np.ones(wide), wrong), f"{wrong} cannot be stretched to {wide}",
                      hint="compare the sizes from the right: alike, or 1 in `shape`; and g has at least as many axes")
test_unit_unbroadcast()

# %% [markdown]
"""
## 6 · Newest first
**Your turn**, in two steps. First the order: every Node that can be reached from those in the list `roots`, each once, newest first.
`node.inputs` is a list in which each entry is a Node, or a leaf Tensor, or None: follow only Nodes. Use a list as a stack instead of a recursive
function. `node.order` counts upwards as nodes are made, and `sorted(nodes, key=age, reverse=True)` sorts by it.
"""

# %% nbgrader={"grade": false, "grade_id": "newest-first", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def newest_first(roots):
    """Every Node reachable from the Nodes `roots` through `inputs`, each once: a list by falling `order`."""
    ### BEGIN SOLUTION
    seen, stack = set(roots), list(roots)
    while stack:
        for i in stack.pop().inputs:
            if type(i) is Node and i not in seen:
                seen.add(i)
                stack.append(i)
    return sorted(seen, key=age, reverse=True)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-newest-first", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_newest_first():
    """The operations behind a value come newest first, each of them once."""
    x = Tensor([1.0], requires_grad=True)
    h = x.exp()
    y = h + h * h
    expect.same(lambda: [n.op.__name__ for n in newest_first([y.node])], ["add", "multiply", "exp"], "newest first, each once", mistaken={
        "h is used three times, but made once: remember what you have seen": lambda got: len(got) > 3,
        "what is used comes after all that use it: sort by `order`, newest first": lambda got: len(got) == 3,
        "the roots belong to it, too": lambda got: "add" not in got}, raises={
        AttributeError: "a leaf has no `inputs`, None neither: follow only Nodes"})
    roots = [h.node, y.node]
    expect.same(lambda: [n.op.__name__ for n in newest_first(roots)], ["add", "multiply", "exp"],
                "several roots, one of them behind another")
    expect.same(lambda: len(roots), 2, "the list of roots is as it was", hint="pop from a list of your own")

    visits = []

    class Noted(list):
        def __iter__(self):
            visits.append(self)
            if len(visits) > 999:
                raise RuntimeError("a thousand visits, and no end")
            return super().__iter__()
    for _ in range(60):
        y = y * 0.5 + y
        y.node.inputs = Noted(y.node.inputs)
    expect.same(lambda: len(newest_first([y.node])), 123, "sixty times two operations, on two paths each", raises={
        RuntimeError: "you walk down every path: skip a node that you have seen before"})
    for _ in range(20_000):
        y = y + x
    expect.same(lambda: len(newest_first([y.node])), 20_123, "and a chain of 20,000 more",
                raises={RecursionError: "use a list as a stack, not recursion"})
test_unit_newest_first()

# %% [markdown]
"""
Second, the walk. A dict `grads` holds the gradients that are still under way, by Node. For each node, newest first: take its gradient out, ask
its rule, bring each gradient to its input's shape, and **add** it to what that input has already. At the end only leaves are left in the dict.

**Your turn.** Write the body of the loop. `grads.pop(node)` takes the gradient out. `call_rule(node, g)`, which is given, returns a tuple with
one gradient (an array) or None for each of `node.inputs`. Skip inputs that are None, and gradients that are None. Nodes and leaves both have a
`shape`.
"""

# %%
#| export
def call_rule(node, g, create_graph=False):
    """One gradient (or None) per input of `node`, from `g`, the gradient of its output."""
    rule, saved, inputs = node.rule, node.saved, node.inputs
    if saved is None:
        raise RuntimeError(f"the graph of '{node.op.__name__}' was freed by an earlier backward; say retain_graph=True there")
    if rule is None:
        raise NotImplementedError(f"'{node.op.__name__}' has no gradient rule; write one with @gradient({node.op.__name__})")
    saved = as_tensors(node) if create_graph else saved
    got = rule.run(g, *saved) if not door.around else through(node.op, rule.run, [g, *saved], {})
    got = got if type(got) is tuple else (got,)
    if len(got) < len(inputs) and any(i is not None for i in inputs[len(got):]):
        raise RuntimeError(f"the rule of '{node.op.__name__}' has no gradient for its input number {len(got) + 1}, and one is wanted")
    return got

# %% nbgrader={"grade": false, "grade_id": "simple-pull", "locked": false, "schema_version": 3, "solution": true, "task": false}
def simple_pull(node, g):
    """Carry `g`, the gradient of what `node` made, down the graph: {leaf Tensor: its gradient, an array}."""
    grads = {node: g}
    for node in newest_first([node]):
        ### BEGIN SOLUTION
        for i, gi in zip(node.inputs, call_rule(node, grads.pop(node))):
            if i is not None and gi is not None:
                gi = unbroadcast(gi, i.shape)
                grads[i] = grads[i] + gi if i in grads else gi
        ### END SOLUTION
    return grads

# %% nbgrader={"grade": true, "grade_id": "test-simple-pull", "locked": true, "points": 10, "schema_version": 3, "solution": false, "task": false}
def test_unit_simple_pull():
    """Gradients are carried to the leaves, and add up where paths meet."""
    a, b, c = Tensor([2.0, 1.0], requires_grad=True), Tensor([4.0], requires_grad=True), Tensor([5.0, 5.0])
    y, g = a * b + a * a, np.array([1.0, 10.0], float32)                 # (2,)
    expect.close(lambda: simple_pull(y.node, g)[a], [8.0, 60.0], "a is used three times: its slopes add up", mistaken={
        "one gradient replaced another: add them": lambda got: np.allclose(got, g * a.data) or np.allclose(got, g * b.data)},
        raises={KeyError: "an input's first gradient is put into the dict, later ones are added to it"})
    expect.close(lambda: simple_pull(y.node, g)[b], [12.0], "b was stretched: its slopes are summed", mistaken={
        "unbroadcast to the input's shape": lambda got: got.shape == (2,)})
    expect.same(lambda: list(simple_pull((a + c).node, g)), [a], "c wants no gradient", raises={
        AttributeError: "skip inputs that are None"}, hint="what is left in the dict are the leaves that want a gradient")
    silent = op(lambda a, b: a + b)
    gradient(silent)(lambda g: (None, g))
    expect.same(lambda: list(simple_pull(silent(a, b).node, g)), [b], "this rule has no gradient for a", raises={
        AttributeError: "skip gradients that are None", TypeError: "skip gradients that are None"})
    x = Tensor([2.0], requires_grad=True)
    h = x * x
    for _ in range(10):
        h = h + h
    expect.close(lambda: simple_pull((h * x).node, np.ones(1, float32))[x], [1024 * 12.0], "the slope of 1024 x³ at 2")
test_unit_simple_pull()

# %% [markdown]
"""
## 7 · The engine
`simple_pull` is the whole idea. The engine below is the same loop with what daily use needs; it is given, so read it beside yours:

* **One walk.** A node waits in a heap once it has a gradient, and the newest comes out next: no walk beforehand to find them all.
* **Owned memory.** `add` returns `g` twice, so two leaves would share one buffer, and clipping one in place would change the other. `deposit`
  copies a leaf's gradient where it might be anybody else's. Sums are made in a new array the first time, in place after that.
* **Freeing.** A node lets go of what it saved as soon as it has been used, unless `retain_graph=True`.
* **Hooks** see a gradient once it is complete.
* **Second derivatives.** With `create_graph=True` the rules run on Tensors, and so are recorded themselves.
* **Errors** name the operation.

One thing it cannot see: if you change `x.data` between forward and backward, the rules compute with the changed numbers.
"""

# %%
#| export
def pull(grads, wanted=(), retain_graph=False, create_graph=False, ends=()):
    """Carry gradients {Node or leaf: g} down the graph, but not beyond `ends`; returns {leaf or end: g}, and {node: g} for nodes that are `wanted`."""
    waiting, found, owned = [], {}, set()
    for root in grads:
        if type(root) is Node and root not in ends:
            heappush(waiting, root)
    while waiting:
        node = heappop(waiting)
        g = grads.pop(node)
        if node.hooks:
            g = hooked(node.hooks, g)
        if node in wanted:
            found[node] = g
        for i, gi in zip(node.inputs, call_rule(node, g, create_graph)):
            if i is None or gi is None:
                continue
            if type(gi) is not ndarray and not create_graph:     # a rule written with operations, or a NumPy scalar
                gi = np.asarray(bare(gi))
            shape = i.shape if type(i) is Node else i.data.shape
            if gi.shape != shape:
                try:
                    gi = unbroadcast(gi, shape) if create_graph else np.asarray(unbroadcast(gi, shape))     # of shape () NumPy makes a number
                except ValueError:
                    raise RuntimeError(f"the gradient rule of '{node.op.__name__}' gave shape {gi.shape} for an input of shape {shape}") from None
            before = grads.get(i)
            if before is None:
                grads[i] = gi
                if type(i) is Node and i not in ends:
                    heappush(waiting, i)
            elif i in owned:
                before += gi
            else:
                grads[i] = before + gi if create_graph else np.asarray(before + gi)
                create_graph or owned.add(i)
        if not retain_graph:
            node.inputs, node.saved = (), None
    for leaf in grads:                                           # only leaves and ends are left
        if leaf.hooks and leaf not in ends:
            grads[leaf] = hooked(leaf.hooks, grads[leaf])
    grads.update(found)
    return grads

def hooked(hooks, g):
    """`g` as the hooks leave it; each gets a Tensor, and may return another."""
    for hook in hooks:
        new = hook(g if isinstance(g, Tensor) else wrap(g))
        g = g if new is None else new if isinstance(g, Tensor) else np.asarray(bare(new), g.dtype)
    return g

def bare(x):
    """The array of a Tensor; anything else as it is."""
    return x.data if isinstance(x, Tensor) else x

def wrap(array, node=None):
    """A Tensor from its value and its recipe."""
    out = Tensor.__new__(Tensor)
    out.data, out.node, out.requires_grad, out.grad, out.hooks = array, node, node is not None, None, None
    return out

def deposit(gradients, taken):
    """Add each g of {leaf: g} to `leaf.grad`, in memory that is this leaf's alone; `taken`: ids of arrays that are somebody's."""
    for leaf, g in gradients.items():
        if type(g) is Tensor:                                    # create_graph
            leaf.grad = g if leaf.grad is None else leaf.grad + g
        elif leaf.grad is not None:
            np.add(leaf.grad.data, g, out=leaf.grad.data)
        else:
            if g.dtype is not leaf.data.dtype or g.base is not None or id(g) in taken:
                g = np.array(g, leaf.data.dtype)
            taken.add(id(g))
            leaf.grad = wrap(g)

def first_gradient(t, gradient, create_graph):
    """The gradient that backward begins with: the one given, or 1 for a single number."""
    data = t.data
    if not t.requires_grad:
        raise RuntimeError("backward on a tensor that does not require a gradient; make its inputs with requires_grad=True")
    if gradient is None and data.size != 1:
        raise RuntimeError(f"a tensor of shape {t.shape} needs a gradient: backward(gradient), or reduce it to one number, as a loss is")
    g = np.ones_like(data) if gradient is None else np.asarray(gradient, data.dtype)
    if g.shape != data.shape:
        raise ValueError(f"backward: the gradient has shape {g.shape}, the tensor {t.shape}")
    return g if not create_graph else gradient if isinstance(gradient, Tensor) else wrap(g)

def backward(self, gradient=None, retain_graph=None, create_graph=False):
    """Add to `x.grad` of every leaf x the slope of this tensor with respect to x.  As `torch.Tensor.backward`.

    RuntimeError where nothing requires a gradient, where more than one number comes without `gradient`, or where the graph was freed.

    >>> x = Tensor([3.0], requires_grad=True)
    >>> (x * x).backward()
    >>> x.grad
    Tensor([6.])
    """
    g = first_gradient(self, gradient, create_graph)
    deposit(pull({self.node or self: g}, (), create_graph if retain_graph is None else retain_graph, create_graph), taken={id(g)})

def zero_grad(self):
    """Forget the gradient, so that the next backward starts from nothing."""
    self.grad = None

Tensor.backward, Tensor.zero_grad = backward, zero_grad

# %% nbgrader={"grade": true, "grade_id": "test-backward", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_backward():
    """backward fills .grad of every leaf: summed, owned, and only where it is wanted."""
    w, b, x = Tensor(np.ones((3, 2)), requires_grad=True), Tensor(np.zeros(2), requires_grad=True), Tensor(np.arange(12.0).reshape(4, 3))
    y = x @ w + b                                                        # (4, 2)
    y.backward(np.ones((4, 2)))
    expect.close(w.grad, x.numpy().T @ np.ones((4, 2)), "through a product of matrices")
    expect.close(b.grad, [4.0, 4.0], "through broadcasting")
    expect.same((x.grad, w.grad.dtype, w.grad.shape), (None, float32, (3, 2)), "x did not ask; float32 stays float32")
    expect.raises(RuntimeError, lambda: y.backward(np.ones((4, 2))), "the graph was freed", match="freed retain_graph")
    p, q = Tensor([1.0], requires_grad=True), Tensor([2.0], requires_grad=True)
    (p + q).backward()
    p.grad.data += 5.0
    expect.close(q.grad, [1.0], "two leaves never share a gradient")
    q.zero_grad()
    z = q * q
    z.backward(retain_graph=True)
    z.backward()
    expect.close(q.grad, [8.0], "a second backward adds to the first")
    expect.raises(RuntimeError, lambda: (w * 2.0).backward(), "six numbers need a gradient", match="(3, 2)")
    expect.raises(RuntimeError, lambda: x.backward(), "x does not require a gradient", match="requires_grad")
    expect.raises(ValueError, lambda: (w * 2.0).backward(np.ones(3)), "a gradient of the wrong shape", match="(3,)")
    expect.raises(NotImplementedError, lambda: op(lambda x: np.floor(x))(q).backward(), "no rule", match="gradient")
test_unit_backward()

# %% [markdown]
"""
## 8 · Not now
Evaluating a network needs no gradients, and then nothing should be written down. `recording` is a `ContextVar`: each thread has its own.

**Your turn.** `@contextmanager` turns a generator into something for `with`: what stands before `yield` happens on entry, what stands after it on
leaving. `recording.set(on)` returns a token, and `recording.reset(token)` puts back what was there before. It must be put back *also when the
body raises*: that is what `try: … finally:` is for.
"""

# %% nbgrader={"grade": false, "grade_id": "grad-mode", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
@contextmanager
def grad_mode(on):
    """`with grad_mode(on):` operations are recorded (True) or not (False).

    Afterwards as before, come what may.
    """
    ### BEGIN SOLUTION
    token = recording.set(on)
    try:
        yield
    finally:
        recording.reset(token)
    ### END SOLUTION

def no_grad():
    """`with no_grad():` or `@no_grad()`: nothing is recorded inside.  As `torch.no_grad`."""
    return grad_mode(False)

def enable_grad():
    """`with enable_grad():` records, also inside `no_grad`.  As `torch.enable_grad`."""
    return grad_mode(True)

def is_grad_enabled():
    """Whether operations are being recorded here.  As `torch.is_grad_enabled`."""
    return recording.get() is True

# %% nbgrader={"grade": true, "grade_id": "test-grad-mode", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
def test_unit_grad_mode():
    """Inside no_grad nothing is recorded, and afterwards all is as before."""
    from contextvars import copy_context                                 # in a copy, a mistake here does not show in the cells below
    x, apart = Tensor([2.0], requires_grad=True), copy_context()

    def inside():
        with no_grad():
            y = x * 2.0
            with enable_grad():
                z = x * 2.0
            w = x * 2.0
        return y.requires_grad, z.requires_grad, w.requires_grad, (x * 2.0).requires_grad

    def leave_by_an_error():
        with no_grad():
            raise KeyError("the body failed")
    expect.same(lambda: copy_context().run(inside), (False, True, False, True), "off, on inside of off, off again, on again", mistaken={
        "after the inner block comes back what was there before it: off": (False, True, True, True),
        "set what `on` says: the inner block turns recording on": (False, False, False, True)})
    expect.raises(KeyError, lambda: apart.run(leave_by_an_error), "the body's own error comes out",
                  hint="do not catch the error, only tidy up: finally")
    expect.same(lambda: apart.run(is_grad_enabled), True, "and recording is on again after it",
                hint="reset in `finally`, so that an error cannot leave it off")
test_unit_grad_mode()

# %% [markdown]
"""
## 9 · The rest of the table
Rules must work on arrays, and on Tensors when second derivatives are wanted. `run` chooses: an operation on Tensors is called as it is, on arrays
its bare `forward` is. `spread(g, shape, dim)` brings the gradient of a reduction back to the input's `shape`:

```
 x (2, 3)  ──sum over dim 1──►  out (2,)             forward
 dx (2, 3) ◄──── spread ──────  g (2,)               each g[i] stands 3 times in row i
```

**Your turn.** A sum hands its gradient to each number that went into it; a mean, a share of it: `g` has one number for each result, so
`g.size / math.prod(shape)` is the share. (Where `shape` has a 0, divide by 1 instead.) `dim` is what the reduction was called with.
"""

# %% nbgrader={"grade": false, "grade_id": "rules-reductions", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def run(op, *args, **settings):
    """The operation `op` where an argument is a Tensor; its bare forward where they are arrays."""
    return (op if any(isinstance(x, Tensor) for x in args) else op.__wrapped__)(*args, **settings)

def spread(g, shape, dim):
    """The gradient of a reduction, once for each number that went into it: back to `shape`."""
    if dim is not None:
        axes = {range(len(shape) or 1)[d] for d in (dim if isinstance(dim, (tuple, list)) else (dim,))}     # () has an axis 0, as in NumPy
        g = g.reshape(tuple(1 if i in axes else n for i, n in enumerate(shape)))
    return run(expand, g, shape=shape)

@gradient(reduce_sum)
def _(g, dim, shape):
    """out = x.sum(dim): the gradient for x, of shape `shape`."""
    ### BEGIN SOLUTION
    return spread(g, shape, dim)
    ### END SOLUTION

@gradient(mean)
def _(g, dim, shape):
    """out = x.mean(dim): the gradient for x, of shape `shape`."""
    ### BEGIN SOLUTION
    return spread(g * (g.size / max(math.prod(shape), 1)), shape, dim)
    ### END SOLUTION

# %% [markdown]
"""
Most of the table is given; read a few of them. What was indexed more than once gets the sum, what was reshaped is reshaped back. The largest
number gets the whole gradient; where several are equally large they share it. The gradient of the cross-entropy of a softmax is the simplest of
all: the probabilities, minus 1 at the right class. This is why the two were made into one operation.
"""

# %%
#| export
@op
def scatter_sum(g, *, key, shape):
    """Zeros of `shape`, with `g` added at `key`: what was indexed twice gets both."""
    out = np.zeros(shape, g.dtype)
    if all(k is None or k is ... or type(k) in (int, slice) for k in (key if isinstance(key, tuple) else (key,))):
        out[key] = g                                             # these never meet the same place twice
        return out
    places = np.arange(out.size).reshape(shape)[key]             # where each number of g came from
    return np.bincount(places.reshape(-1), g.reshape(-1), out.size).reshape(shape).astype(g.dtype)

gradient(scatter_sum)(lambda g, key: run(getitem, g, key=key))
gradient(getitem)(lambda g, key, shape: run(scatter_sum, g, key=key, shape=shape))
gradient(reshape)(lambda g, shape: g.reshape(shape))
gradient(expand)(lambda g: g)                                    # the engine sums it back
gradient(transpose)(lambda g, dim0, dim1: run(transpose, g, dim0, dim1))
gradient(permute)(lambda g, dims: run(permute, g, dims=dims and np.argsort([d % len(dims) for d in dims]).tolist()))
gradient(exp)(lambda g, out: g * out)
gradient(log)(lambda g, x: g / x)
gradient(sqrt)(lambda g, out: g * 0.5 / out)
gradient(absolute)(lambda g, x: g * np.sign(bare(x)))
gradient(clip)(lambda g, x, min, max: run(where, bare(x) == run(clip, bare(x), min=min, max=max), g, 0.0))
gradient(where)(lambda g, need, condition: (None, *(run(where, condition, *s) if n else None for n, s in zip(need[1:], ((g, 0.0), (0.0, g))))))
gradient(log_softmax)(lambda g, out, dim: g - np.exp(out) * g.sum(axis=dim, keepdims=True))
gradient(leaky_relu)(lambda g, x, negative_slope: g * np.where(bare(x) > 0, 1.0, negative_slope).astype(g.dtype))
gradient(erf)(lambda g, x: g * np.exp(-(x * x)) * (2 / math.sqrt(math.pi)))
gradient(softplus)(lambda g, z: g * run(sigmoid, z))
gradient(silu)(lambda g, x: g * (s := run(sigmoid, x)) * (1.0 + x * (1.0 - s)))
gradient(clamped_log)(lambda g, x: g / np.maximum(x, 1e-12))
gradient(dropout)(lambda g, keep, p: g * keep * (1 / (1 - p) if p < 1 else 0.0))

@gradient(amax)
@gradient(amin)
def _(g, x, out, dim):
    hit = np.equal(bare(x), bare(spread(out, x.shape, dim)))
    return spread(g, x.shape, dim) * (hit / hit.sum(axis=dim, keepdims=True)).astype(g.dtype)

def _larger(g, need, ahead):
    first = np.heaviside(ahead, 0.5).astype(g.dtype)             # 1 where it is ahead, a half where they are equal
    return g * first if need[0] else None, g * (1 - first) if need[1] else None

gradient(maximum)(lambda g, need, a, b: _larger(g, need, bare(a) - bare(b)))
gradient(minimum)(lambda g, need, a, b: _larger(g, need, bare(b) - bare(a)))

@gradient(power)
def _(g, need, a, b, out):
    da = g * (a ** (b - 1 + (b == 0)) * b) if need[0] else None            # where b is 0, so is the slope, also at a = 0
    a = a if isinstance(a, Tensor) else np.asarray(a, g.dtype)
    return da, g * out * run(log, a + (a == 0)) if need[1] else None       # 0 ** b has slope 0, not 0 · log 0

@gradient(concatenate)
def _(g, sizes, dim):
    ends, before = list(itertools.accumulate(sizes)), (slice(None),) * (dim % g.ndim)
    return tuple(g[(*before, slice(end - n, end))] for n, end in zip(sizes, ends))

@in_blocks
def _gelu_gradient(g, x, *, approximate):
    s = x * x
    if approximate == "none":                                    # Phi(x) + x · phi(x)
        return g * (0.5 * (1.0 + run(erf, x * math.sqrt(0.5))) + x * np.exp(s * -0.5) * (1 / math.sqrt(2 * math.pi)))
    c, k = math.sqrt(2 / math.pi), 0.044715
    t = np.tanh(x * (c + c * k * s))
    return g * (0.5 * (1.0 + t + x * (1.0 - t * t) * (c + 3 * c * k * s)))

gradient(gelu)(lambda g, x, approximate: _gelu_gradient(g, x, approximate=approximate))

@gradient(cross_entropy)
def _(g, p, places, keep, reduction, label_smoothing):
    dim = min(p.ndim - 1, 1)                                     # the classes'
    d = p - label_smoothing / p.shape[dim]                       # p minus what was wanted
    d[places] -= 1 - label_smoothing
    g = np.expand_dims(g, dim) if reduction == "none" else g / int(keep.sum()) if reduction == "mean" else g
    d *= np.where(keep, g, 0.0)
    return d

# %% [markdown]
r"""
### Activations
Each has a slope that can be written with its own output, so that is all that needs to be kept:

| | slope |
|---|---|
| relu | 1 where out > 0, else 0 |
| sigmoid | out · (1 - out) |
| tanh | 1 - out² |
| softmax | every output depends on every input: $\mathrm{out}_i\,(g_i - \sum_j g_j\,\mathrm{out}_j)$, the sum along `dim` |

**Your turn.** Return `g` times the slope; softmax's formula has its `g` inside. `g` and `out` are of one shape: arrays, or Tensors, and both
understand `t.sum(axis=dim, keepdims=True)`.
"""

# %% nbgrader={"grade": false, "grade_id": "rules-activations", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
@gradient(relu)
def _(g, out):
    """The gradient for x, from out = relu(x)."""
    ### BEGIN SOLUTION
    return g * (out > 0)
    ### END SOLUTION

@gradient(sigmoid)
def _(g, out):
    """The gradient for x, from out = sigmoid(x)."""
    ### BEGIN SOLUTION
    return g * (out * (1.0 - out))
    ### END SOLUTION

@gradient(tanh)
def _(g, out):
    """The gradient for x, from out = tanh(x)."""
    ### BEGIN SOLUTION
    return g * (1.0 - out * out)
    ### END SOLUTION

@gradient(softmax)
def _(g, out, dim):
    """The gradient for x, from out = softmax(x, dim)."""
    ### BEGIN SOLUTION
    return out * (g - (g * out).sum(axis=dim, keepdims=True))
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-rules-activations", "locked": true, "points": 10, "schema_version": 3, "solution": false, "task": false}
def test_unit_rules_activations():
    """Activations know their slopes, the reductions and softmax included."""
    x = np.array([[-1.5, -0.2, 0.3], [0.4, 1.0, 2.5]])
    weigh = np.array([[1.0, -2.0, 3.0], [0.5, 4.0, -1.0]])

    def agrees(f, why, **help):
        """Check that the gradient of f equals small steps; its results are weighed, so that no mistake cancels."""
        t = Tensor(x, requires_grad=True, dtype=float64)
        g = weigh.reshape(-1)[:f(t).size].reshape(f(t).shape)
        steps = numerical_gradient(lambda x: (f(Tensor(x, dtype=float64)).data * g).sum(), x.copy())
        expect.close(lambda: simple_pull(f(t).node, g)[t], steps, why, tol=1e-4, **help)

    top = np.tile(weigh[0], (2, 1))                                      # g for dim=0, once a row
    agrees(lambda t: t.sum(dim=1), "a sum hands its gradient to all", hint="each number of g belongs to a whole row of x: bring it back to x's shape")
    agrees(lambda t: t.mean(dim=0, keepdim=True), "a mean hands on a share", mistaken={
        "each of n numbers moves the mean by an n-th: a share of g": top, "the share is below 1: results divided by inputs": 2 * top,
        "divide by how many numbers went into *one* result": top / 6})
    agrees(lambda t: t.mean(dim=1), "whether the axis is kept or not")
    agrees(lambda t: t.mean() + t[1, 2].mean(), "and of everything, or of one number alone")
    expect.same(lambda: mean.rule.run(np.ones(3), 0, (0, 3)).shape, (0, 3), "a mean of nothing",
                raises={ZeroDivisionError: "where `shape` has a 0, divide by 1"})
    agrees(relu, "relu lets g through where out > 0", mistaken={
        "nothing gets through where out is 0": weigh, "look at out, not at g: where is it positive?": weigh * (weigh > 0),
        "multiply by g: the chain rule": x > 0})
    s, t, p = sigmoid(Tensor(x)).numpy(), np.tanh(x), softmax(Tensor(x)).numpy()
    agrees(sigmoid, "sigmoid: out (1 - out)", mistaken={"both factors: out, and 1 - out": weigh * s, "multiply by g: the chain rule": s * (1 - s)})
    agrees(tanh, "tanh: 1 - out²", mistaken={"the output is squared": weigh * (1 - t), "multiply by g: the chain rule": 1 - t * t})
    agrees(softmax, "softmax along the last axis", mistaken={
        "every output depends on every input: the sum is missing": weigh * p * (1 - p),
        "g · out is summed, not g alone": p * (weigh - weigh.sum(1, keepdims=True)),
        "the sum is along `dim`, not over everything": p * (weigh - (weigh * p).sum())}, raises={
        ValueError: "the sum keeps its axis, with size 1: keepdims=True"})
    agrees(lambda t: softmax(t, dim=-2), "softmax along another axis", hint="use `dim`, not a fixed axis")
test_unit_rules_activations()

# %% [markdown]
"""
### A layer
A layer is `out = x @ w + b` with x of shape (…, in). Seen as a table of rows, it is the product of matrices again, and the bias was stretched
over the rows.

**Your turn.** The rule of `linear`. `rows(t)` reads a (…, n) block as a table (rows, n). Return the gradients for x, w and b, and None for what
`need[0]`, `need[1]`, `need[2]` say nobody wants: the first layer's input is the data, and its gradient costs as much as the weight's.
"""

# %% nbgrader={"grade": false, "grade_id": "rule-linear", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def rows(t):
    """(…, n) as a table (rows, n)."""
    return t.reshape((math.prod(t.shape[:-1]), t.shape[-1]))

@gradient(linear)
def _(g, need, x, w):
    """out = x @ w + b: the gradients for x (…, in), w (in, out) and b (out,), from g (…, out)."""
    ### BEGIN SOLUTION
    g = rows(g)
    dx = (g @ w.mT).reshape(x.shape) if need[0] else None
    dw = rows(x).mT @ g if need[1] else None
    return dx, dw, g.sum(axis=0) if need[2] else None
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-rule-linear", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
def test_unit_rule_linear():
    """A layer passes gradients to its input, its weight and its bias, and only where they are wanted."""
    rng = np.random.default_rng(0)
    x, w, b, g = (rng.normal(size=s) for s in ((2, 4, 3), (3, 5), (5,), (2, 4, 5)))
    layer, shapes = lambda x, w, b: ((x @ w + b) * g).sum(), {ValueError: "write the shapes of the tables down: x (rows, in), w (in, out), g (rows, out)"}
    expect.close(lambda: linear.rule.run(g, [True, False, False], x, w)[0], numerical_gradient(lambda x: layer(x, w, b), x),
                 "for the input, with its axes in front", tol=1e-4,
                 raises=shapes, mistaken={"the table has all rows; bring it back to x.shape": lambda got: got.shape == (8, 3)})
    expect.close(lambda: linear.rule.run(g, [False, True, False], x, w)[1], numerical_gradient(lambda w: layer(x, w, b), w),
                 "for the weight", tol=1e-4, raises=shapes, mistaken={
        "w is (in, out): x comes first in the product": lambda got: got.shape == (5, 3),
        "the weight is used in every row: read x and g as tables first": lambda got: got.ndim == 3})
    expect.close(lambda: linear.rule.run(g, [False, False, True], x, w)[2], numerical_gradient(lambda b: layer(x, w, b), b), "for the bias",
                 tol=1e-4, mistaken={
        "sum over the rows, do not average": g.mean((0, 1)), "it was stretched over all rows: sum over every axis but the last": lambda got: got.ndim > 1})
    for need in ((True, False, False), (False, True, False), (False, False, True)):
        expect.same(lambda: tuple(t is not None for t in linear.rule.run(g, need, x, w)), need, "None for what nobody wants",
                    hint="look at need[0], need[1], need[2]")
test_unit_rule_linear()

# %% [markdown]
"""
## 10 · Is it right? Ask small steps
`grad` gives the gradients of chosen tensors, also intermediate ones, and leaves every `.grad` alone. `gradcheck` compares them with
`numerical_gradient`, in float64. It weighs the outputs at random, so that a mistake in any of them shows.

For second derivatives the rules are run on Tensors: `as_tensors` gives what a node saved its history back. A rule that kept an array of its own
that depends on the inputs cannot be differentiated again, and says so.
"""

# %%
#| export
def grad(outputs, inputs, grad_outputs=None, retain_graph=None, create_graph=False, allow_unused=False):
    """The gradients of `outputs` (a Tensor or several) for `inputs`, as a tuple; no `.grad` changes.  As `torch.autograd.grad`.

    >>> x = Tensor([3.0], requires_grad=True)
    >>> (slope,) = grad(x * x * x, x, create_graph=True)
    >>> slope, grad(slope, x)[0]                     # 3x² and 6x
    (Tensor([27.], requires_grad=True), Tensor([18.]))
    """
    outputs, inputs = ([t] if isinstance(t, Tensor) else list(t) for t in (outputs, inputs))
    given = grad_outputs if isinstance(grad_outputs, (list, tuple)) else [grad_outputs] * len(outputs)
    roots = {}
    for out, g in zip(outputs, given):
        root, g = out.node or out, first_gradient(out, g, create_graph)
        roots[root] = roots[root] + g if root in roots else g
    found = pull(roots, {x.node for x in inputs}, create_graph if retain_graph is None else retain_graph, create_graph)
    got = [(found.get(x.node or x), x.dtype) for x in inputs]
    if not allow_unused and any(g is None for g, _ in got):
        raise RuntimeError(f"grad: input {[g is None for g, _ in got].index(True)} was not used for the outputs; say allow_unused=True if that is meant")
    return tuple(g if g is None or isinstance(g, Tensor) else wrap(np.array(g, dtype)) for g, dtype in got)

def as_tensors(node):
    """What a rule asked for, as Tensors that remember where they came from."""
    asks, named = node.rule.asks, node.rule.named
    settings = node.saved[len(asks):]
    for name, value in zip(named, settings):
        if isinstance(value, ndarray) and value.dtype.kind == "f":
            raise RuntimeError(f"no second derivative: '{node.op.__name__}' keeps '{name}', which depends on its inputs")
    sources = [*node.inputs, *[None] * len(node.op.places), None, node]         # a leaf, a Node or None each; the last is `out`'s
    inputs = [s if isinstance(s := sources[k], Tensor) else wrap(v, s) if isinstance(v, ndarray) else v for k, v in zip(asks, node.saved)]
    return [*inputs, *settings]

def gradcheck(fn, inputs, eps=1e-6, atol=1e-5, rtol=1e-3):
    """True where the gradients of `fn(*inputs)` agree with central differences.  As `torch.autograd.gradcheck`.

    `inputs`: a float64 Tensor that requires a gradient, or several.  RuntimeError, naming input, place and both numbers, where they do not.
    """
    inputs = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    wanted = [k for k, x in enumerate(inputs) if isinstance(x, Tensor) and x.requires_grad]
    if not wanted or any(inputs[k].dtype != float64 for k in wanted):
        raise ValueError("gradcheck: inputs must be float64 and require a gradient; float32 is too coarse for small steps")
    out = fn(*inputs)
    weights = np.random.default_rng(0).uniform(0.5, 1.5, out.shape)
    for k, got in zip(wanted, grad(out, [inputs[k] for k in wanted], weights, allow_unused=True)):
        want = numerical_gradient(lambda _: (fn(*inputs).data * weights).sum(), inputs[k].data, eps)
        got = np.zeros_like(want) if got is None else got.data
        for at in np.argwhere(~np.isclose(got, want, rtol, atol, equal_nan=True)).tolist():
            raise RuntimeError(f"gradcheck: input {k} at {at}: the rules say {got[*at]:.6g}, small steps {want[*at]:.6g}")
    return True

# %% nbgrader={"grade": true, "grade_id": "test-gradcheck", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_gradcheck():
    """Rules agree with small steps, a wrong rule is caught, and slopes of slopes work."""
    rng = np.random.default_rng(3)
    x = Tensor(rng.uniform(0.5, 2.0, (3, 4)), requires_grad=True, dtype=float64)
    y = Tensor(rng.uniform(0.5, 2.0, (4,)), requires_grad=True, dtype=float64)
    for name, fn in {
            "+ - * / **": lambda x, y: (x + y) * x / y - 2 / x + x ** y + x ** 3 + (-y) ** 2 + x ** 0,
            "exp log sqrt abs": lambda x, y: x.exp() + x.log() * y.sqrt() + abs(x - 1.01),
            "sum mean var": lambda x, y: x.sum(0) * x.mean(1).sum() + x.var(dim=0) + y.std() + x.mean(),
            "max min": lambda x, y: x.max(1).sum() + x.min(0, True) * y.max(),
            "indexing": lambda x, y: x[1:, ::2].sum() * y[y > 1].sum() * x[..., None].squeeze(),
            "cat stack where": lambda x, y: door.cat([x, door.stack([y, y * 2])]) * where(door.cat([x, x])[:5] > 1, 2.0, door.cat([x, x])[:5]),
            "clip maximum minimum": lambda x, y: x.clip(0.8, 1.5) + maximum(x, y) * minimum(x, 1.1),
            "activations": lambda x, y: log_softmax(x) + leaky_relu(x) * erf(x) + silu(x) * gelu(x) + gelu(x, approximate="tanh"),
            "cross_entropy": lambda x, y: cross_entropy(x, [0, 3, 1], label_smoothing=0.1) + cross_entropy(x, [0, 1, 1], ignore_index=1),
            "shapes": lambda x, y: x.T.reshape(2, 6)[:, [0, 0, -1]].flatten().unsqueeze(0).permute(1, 0).expand(2, 6, 3),
            "@": lambda x, y: (x @ y) @ x + (x.unsqueeze(0) @ x.T).sum() + y @ y}.items():
        expect.true(lambda: gradcheck(fn, (x, y)), f"the rules of {name} agree with small steps",
                    hint="mend the cards above first; then try gradcheck on one operation after the other")
    wrong = op(lambda x: x * x)
    gradient(wrong)(lambda g, x: g * x)
    expect.raises(RuntimeError, lambda: gradcheck(wrong, x), "a wrong rule is caught", match="gradcheck small")
    (slope,) = grad((x ** 3).sum(), x, create_graph=True)
    expect.close(grad(slope.sum(), x)[0], 6 * x.numpy(), "the slope of the slope of x³ is 6x")
    expect.same(x.grad, None, "grad leaves .grad alone")
    expect.raises(RuntimeError, lambda: grad(x.sum(), y), "y was not used", match="allow_unused")
test_unit_gradcheck()

# %% [markdown]
"""
## 11 · For those who want to look, or to add
**Hooks** see a gradient when it is complete, and may replace it. `retain_grad` keeps the gradient of a tensor in the middle.

**Function** is PyTorch's form for an operation with a backward of one's own. **checkpoint** trades time for memory: inside it nothing is
recorded. When the gradient arrives, the function is run again, this time recorded. During the first run `recording` holds a dict, in which
`record` collects the tensors that take part; during the second they are leaves, so that it goes no further than to them.

**draw_graph** draws what is behind a tensor. The last lines are old spellings that other code may use.
"""

# %%
#| export
def register_hook(self, hook):
    """Call `hook(gradient)` once this tensor's gradient is complete; what it returns replaces it.  `.remove()` on the result ends it."""
    if not self.requires_grad:
        raise RuntimeError("register_hook: this tensor does not require a gradient")
    holder = self.node or self
    holder.hooks = [*(holder.hooks or ()), hook]
    return SimpleNamespace(remove=lambda: setattr(holder, "hooks", [h for h in holder.hooks if h is not hook]))

def retain_grad(self):
    """Keep `.grad` of this tensor too, although it is not a leaf.  As `torch.Tensor.retain_grad`."""
    me = weakref.ref(self)                                       # a node must not hold what it made

    def keep(g):
        if (t := me()) is not None:
            t.grad = wrap(g.data.copy()) if t.grad is None else t.grad + g
    if self.node is not None:
        register_hook(self, keep)

Tensor.register_hook, Tensor.retain_grad = register_hook, retain_grad

def elsewhere(name):
    """An operation whose `value` is computed elsewhere, and given to it together with `back`, its gradient rule."""
    def given(*inputs, value, back):
        return value
    given.__name__ = name
    gradient(operation := op(given))(lambda g, back: back(g))
    return operation

class Function:
    """An operation with its own backward: static methods `forward(ctx, *inputs)` and `backward(ctx, g)`.  As `torch.autograd.Function`."""
    saved_tensors = ()

    def save_for_backward(self, *tensors):
        self.saved_tensors = tensors

    def __init_subclass__(cls):
        cls.op = elsewhere(cls.__name__)

    @classmethod
    def apply(cls, *inputs):
        """Run `forward` unrecorded, and record the whole as one operation."""
        ctx = cls()
        with no_grad():
            value = cls.forward(ctx, *inputs).data

        def back(g):
            with grad_mode(isinstance(g, Tensor)):               # under create_graph backward is recorded itself
                return cls.backward(ctx, g if isinstance(g, Tensor) else wrap(g))
        return cls.op(*inputs, value=value, back=back)

_again = elsewhere("checkpoint")

def checkpoint(fn, *inputs):
    """`fn(*inputs)`, a Tensor, whose inner values are computed again for the gradient instead of kept.  As `torch.utils.checkpoint`."""
    generator = default_generator.bit_generator
    before, met = generator.state, dict.fromkeys(x for x in inputs if isinstance(x, Tensor) and x.requires_grad)
    with grad_mode(met):
        value = fn(*inputs).data

    def back(g):
        if isinstance(g, Tensor):
            raise RuntimeError("no second derivative through checkpoint")
        now, ends = generator.state, [t.node or t for t in met]
        try:
            generator.state = before                             # dropout must drop the same again
            with enable_grad():
                again = fn(*inputs)
        finally:
            generator.state = now
        found = pull({again.node or again: g}, ends=set(ends))
        return tuple(found.get(end) for end in ends)
    return _again(*met, value=value, back=back)

class SVG(str):
    """A picture as SVG text; JupyterLab draws it."""
    _repr_svg_ = str.__str__

def draw_graph(tensor):
    """The operations behind `tensor`, newest on the right, leaves on the left, as an SVG picture."""
    parents = lambda item: () if isinstance(item, Tensor) else [i for i in item.inputs if i is not None]
    level, place, boxes, lines = {tensor.node or tensor: 0}, {}, [], []
    for node in newest_first([n for n in level if type(n) is Node]):
        level.update({i: max(level.get(i, 0), level[node] + 1) for i in parents(node)})
    columns = list(level.values())
    depth, height = max(columns), max(map(columns.count, columns))
    for k, (item, column) in enumerate(level.items()):
        place[item] = 10 + 130 * (depth - column), 10 + 50 * columns[:k].count(column)
    for item, (x, y) in place.items():
        name, corner, colour = ("leaf", 18, "#e8f0fe") if isinstance(item, Tensor) else (item.op.__name__, 4, "#fef3e0")
        boxes.append(f'<rect x="{x}" y="{y}" width="100" height="36" rx="{corner}" fill="{colour}" stroke="#666"/><text x="{x + 50}" y="{y + 16}">'
                     f'{name}</text><text x="{x + 50}" y="{y + 30}" fill="#666">{item.shape}</text>')
        lines += [f'<line x1="{place[i][0] + 100}" y1="{place[i][1] + 18}" x2="{x}" y2="{y + 18}" stroke="#666"/>' for i in parents(item)]
    return SVG(f'<svg xmlns="http://www.w3.org/2000/svg" width="{130 * depth + 120}" height="{50 * height + 10}" font-family="sans-serif" '
               f'font-size="11" text-anchor="middle">{"".join(lines + boxes)}</svg>')

def Variable(data, requires_grad=True):
    """A Tensor that requires a gradient: an old spelling, from when PyTorch had two classes."""
    return Tensor(data, requires_grad)

def to_numpy(x):
    """The array of a Tensor; anything else as an array."""
    return np.asarray(x)

def enable_autograd():
    """Nothing: gradients need no switching on."""

# %% nbgrader={"grade": true, "grade_id": "test-extras", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_extras():
    """Hooks, retain_grad, Function and checkpoint do what their names say."""
    x = Tensor([1.0, 2.0], requires_grad=True)
    seen = []
    handle = x.register_hook(lambda g: seen.append(g.tolist()) or g * 10)
    h = x * 3.0
    h.retain_grad()
    (h * h + x).backward(np.ones(2))
    expect.same(seen, [[19.0, 37.0]], "a hook sees the whole sum, once")
    expect.close(x.grad, [190.0, 370.0], "what it returns replaces the gradient")
    expect.close(h.grad, [6.0, 12.0], "retain_grad keeps one in the middle")
    handle.remove()
    x.zero_grad()
    x.sum().backward()
    expect.close(x.grad, [1.0, 1.0], "a removed hook is silent")

    class Cube(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x * x

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * x * x * 3.0
    expect.close(grad(Cube.apply(x), x, np.ones(2))[0], [3.0, 12.0], "a Function has its own backward")
    w = Tensor([0.5], requires_grad=True)
    straight = grad((x * w).exp().sum(), [x, w])
    again = grad(checkpoint(lambda x: (x * w).exp().sum(), x), [x, w])
    expect.close([g.tolist()[0] for g in again], [g.tolist()[0] for g in straight],
                 "checkpoint gives the same gradients, also of what fn uses from outside")
    expect.same((type(Variable([1.0])), Variable([1.0]).requires_grad, type(to_numpy(x))), (Tensor, True, np.ndarray), "the old spellings")
    picture = draw_graph((x * w).sum())
    expect.same((picture.count("<rect"), picture.count("<line"), picture._repr_svg_() == picture), (4, 3, True), "a picture of (x * w).sum()")
    expect.same(enable_autograd(), None, "nothing to switch on")
test_unit_extras()

# %%
w, b, x = Tensor(np.ones((3, 2)), requires_grad=True), Tensor(np.zeros(2), requires_grad=True), Tensor(np.ones((4, 3)))
draw_graph((relu(x @ w + b) * 2.0).mean())

# %% [markdown]
"""
## 12 · What it costs
A class that measures: nothing in it is estimated. Checkpointing every few steps holds least: with every step as a checkpoint nothing is saved
inside but every boundary is; with few checkpoints much is held again while it is recomputed. The last line compares backward with small steps.
"""

# %%
#| export
def _chain(y, count, every=None):
    """`count` times tanh(0.9 y), with a checkpoint around each `every` steps."""
    for _ in range(0, count, every or 1):
        y = checkpoint(_chain, y, every) if every else tanh(y * 0.9)
    return y

def _measured(*chain):
    """Seconds of a chain and of backward from its sum (medians of 3), and the bytes that both hold at their worst moment."""
    clock, times, tracing = time.perf_counter, [], tracemalloc.is_tracing()
    for _ in range(3):
        start, y, middle = clock(), _chain(*chain).sum(), clock()
        y.backward()
        times.append((middle - start, clock() - middle))
    tracing or tracemalloc.start()
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    _chain(*chain).sum().backward()
    peak = tracemalloc.get_traced_memory()[1] - before
    tracing or tracemalloc.stop()
    return dict(zip(("forward_time", "backward_time"), np.median(times, axis=0).tolist()), memory_bytes=peak)

class AutogradSystemsProfiler:
    """What backward and checkpointing cost on this machine: seconds by the clock, bytes by tracemalloc."""

    def profile_computational_graph_depth(self, max_depth=10, operations_per_level=5):
        """Ever longer chains, forward and backward: {"depths": [a dict per depth], "efficiency_metrics", "memory_scaling_factor"}."""
        x, counts = Tensor(np.full(10_000, 0.5), requires_grad=True), [(d + 1) * operations_per_level for d in range(max_depth)]
        rows = [{"depth": d, "operations": 2 * n, **_measured(x, n)} for d, n in enumerate(counts, 1)]
        ratio = sum(r["backward_time"] / r["forward_time"] for r in rows) / len(rows)
        return {"depths": rows, "efficiency_metrics": {"avg_backward_forward_ratio": ratio},
                "memory_scaling_factor": rows[-1]["memory_bytes"] / rows[0]["memory_bytes"]}

    def analyze_memory_checkpointing_trade_offs(self, checkpoint_frequencies=(1, 2, 4, 8), depth=16, size=100_000):
        """One chain with a checkpoint around every `frequency` steps: a list of dicts, the first without any (None)."""
        x = Tensor(np.full(size, 0.5), requires_grad=True)
        return [{"frequency": f, **_measured(x, depth, f)} for f in (None, *checkpoint_frequencies)]

# %% tags=["analysis"]
profiler = AutogradSystemsProfiler()
for row in profiler.profile_computational_graph_depth(max_depth=4, operations_per_level=25)["depths"]:
    forward_ms, backward_ms = row["forward_time"] * 1e3, row["backward_time"] * 1e3
    print(f"{row['operations']:4} operations: forward {forward_ms:6.2f} ms, backward {backward_ms:6.2f} ms, {row['memory_bytes'] / 1e6:5.1f} MB")
for row in profiler.analyze_memory_checkpointing_trade_offs():
    both_ms = (row["forward_time"] + row["backward_time"]) * 1e3
    name = f"checkpoint every {row['frequency']} steps" if row["frequency"] else "no checkpoint"
    print(f"{name:<24} {both_ms:6.1f} ms, {row['memory_bytes'] / 1e6:5.1f} MB")

w = Tensor(np.random.randn(100, 10) / 10, requires_grad=True, dtype=float64)
data = np.random.randn(32, 100)
start = time.perf_counter()
by_steps = numerical_gradient(lambda w: np.tanh(data @ w).sum(), w.data)
middle = time.perf_counter()
tanh(Tensor(data, dtype=float64) @ w).sum().backward()
end = time.perf_counter()
print(f"{w.size:,} slopes: small steps {(middle - start) * 1e3:.0f} ms, backward {(end - middle) * 1e3:.2f} ms; furthest apart {np.abs(by_steps - w.grad.data).max():.1e}")

# %% nbgrader={"grade": true, "grade_id": "test-module", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_module():
    """A network of two layers learns exclusive or, with gradients from this engine alone."""
    rng = np.random.default_rng(0)
    x, target = Tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), np.array([0, 1, 1, 0])
    params = [Tensor(rng.normal(size=s), requires_grad=True) for s in ((2, 8), (8,), (8, 2), (2,))]

    def loss():
        w1, b1, w2, b2 = params
        return cross_entropy(linear(tanh(linear(x, w1, b1)), w2, b2), target)
    first = loss().item()
    for _ in range(300):
        for p in params:
            p.zero_grad()
        loss().backward()
        for p in params:
            p.data -= 0.5 * p.grad.data
    expect.true(loss().item() < 0.05 < first, "300 steps downhill bring the loss below 0.05",
                hint="look at the rules of linear, tanh and cross_entropy")
    profiler = AutogradSystemsProfiler()
    report = profiler.profile_computational_graph_depth(max_depth=2, operations_per_level=2)
    expect.same([r["operations"] for r in report["depths"]], [4, 8], "the profiler runs what it reports")
    none, every4 = profiler.analyze_memory_checkpointing_trade_offs((4,), depth=16, size=10_000)
    expect.true(every4["memory_bytes"] < none["memory_bytes"], "checkpoints take less memory, measured")
test_module()

# %% [markdown]
"""
## 13 · In your own words
**Question 1.** `add` asks for none of its inputs, `multiply` for both, `exp` for its output. For `y = (a + b).exp() * c`, which arrays are held
between forward and backward? Which of `a`, `b`, `c` could be freed at once if nobody else uses them?
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-saved", "locked": false, "points": 5, "schema_version": 3, "solution": true, "task": false}
"""
`exp` keeps its output, `multiply` keeps that same array and `c`. So two arrays are held: `exp(a + b)` (once, shared) and `c`. `a`, `b` and also
`a + b` can go.
"""

# %% [markdown]
"""
**Question 2.** Backward costs about as much as one to three forwards, whatever the number of weights; small steps cost two forwards a weight.
When would you still use small steps, and why does `gradcheck` insist on float64?
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-small-steps", "locked": false, "points": 5, "schema_version": 3, "solution": true, "task": false}
"""
To check a rule, since they share no code with it. Two values of f that differ in the sixth digit are subtracted; float32 has only seven digits,
so hardly one digit of the difference would be left. float64 has sixteen.
"""

# %% [markdown]
"""
## Where you are
Operations write themselves down as they run, and a loop over them, newest first, gives every slope. You have an engine that trains anything you
can write with tensors: `tito module complete 05`, and then see it learn to read handwritten digits.
"""
