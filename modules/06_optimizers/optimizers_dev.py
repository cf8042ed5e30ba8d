# %% [markdown]
"""
# 06 Optimizers

> Slopes say which way is down. An optimizer decides how far to go.

Module 05 gives every weight its slope. What to do with it took seventy years to find out, and each idea answers a failure of the one before. You
will watch the failures, and end with the optimizer that trains nearly every network of today.
"""

# %% nbgrader={"grade": false, "grade_id": "start", "locked": true, "schema_version": 3, "solution": false, "task": false}
import tito.notebook     # where this fails, open the notebook with: tito module open 06
from tito.check import expect

tito.notebook.use(6)

# %%
#| default_exp core.optimizers
#| view optim

# %% nbgrader={"grade": false, "grade_id": "imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
import math
import warnings
from collections.abc import Iterable, Mapping

import numpy as np

from tinytorch.core.autograd import enable_grad
from tinytorch.core.layers import check_array, check_choice, check_kind, check_number, check_whole
from tinytorch.core.tensor import Tensor

# %% [markdown]
r"""
## 1 · A narrow valley

Two weights, and a loss that is 50 times steeper in one direction than in the other: $\ell = \frac12 (x^2 + 50 y^2)$. Its lowest point is (0, 0). Walk
against the slope, 100 steps from (−8, 1), with four step lengths:
"""

# %%
steepness = Tensor([1.0, 50.0])

def valley(w):
    """A long valley with steep sides: (2,) -> ()"""
    return 0.5 * (w * w * steepness).sum()

walks = {}
for lr in (0.001, 0.01, 0.038, 0.041):
    w = Tensor([-8.0, 1.0], requires_grad=True)
    walks[f"lr {lr}"] = places = [w.data]
    for _ in range(100):
        w.grad = None
        valley(w).backward()
        w.data = w.data - lr * w.grad.data
        places.append(w.data)
    print(f"lr {lr:5}:  x = {w.data[0]:7.3f}   y = {w.data[1]:9.3f}   loss {valley(w).item():10.4f}")

# %% tags=["analysis"]
import time
import tracemalloc
from pathlib import Path

import matplotlib.pyplot as plt

def draw(paths):
    """Each path through the valley, from above."""
    xs, ys = np.meshgrid(np.linspace(-9, 3, 100), np.linspace(-1.4, 1.4, 100))
    figure, axes = plt.subplots(-(-len(paths) // 3), 3, figsize=(12, 2.3 * -(-len(paths) // 3)), squeeze=False)
    for axis, (name, path) in zip(axes.flat, paths.items()):
        axis.contour(xs, ys, 0.5 * (xs ** 2 + 50 * ys ** 2), levels=np.geomspace(0.1, 60, 12), linewidths=0.7)
        axis.plot(*np.array(path).T, ".-", color="crimson", markersize=3, linewidth=0.8); axis.set_title(name, fontsize=10)
    figure.tight_layout(); plt.show()

draw({f"{name}, 40 steps": places[:41] for name, places in list(walks.items())[:3]})

# %% [markdown]
"""
No length is good. Short steps crawl along the floor; long ones bounce between the walls, and a little above 0.04 they climb out. Along `y` a step
multiplies the distance by 1 − 50·lr, along `x` by 1 − lr: the steep direction dictates a step that the flat one has no use for. Real losses have
ratios of thousands.

## 2 · Who holds what

Every method below does the same around its formula: it knows the parameters, forgets old slopes, and skips what got none. That is a class of its
own. A **group** is a dict with parameters and the settings they share, so that, for example, the last layer may learn faster:

```
 param_groups                              state: what is remembered
 0: {"params": [w1, b1], "lr": 0.01, …}    w1 ──► {…}
 1: {"params": [w2, b2], "lr": 0.1,  …}    b1 ──► {…}
 (its own settings, else the defaults)     (empty before the first step)
```
"""

# %%
#| export
def settings_checked(name, group):
    """The group as it is.  ValueError, in the name of an optimizer, for settings that make no sense."""
    for key in "lr momentum weight_decay alpha eps lr_decay initial_accumulator_value".split():
        check_number(name, **{key: group.get(key, 0)})
    check_number(name, -math.inf, dampening=group.get("dampening", 0))
    betas = group.get("betas", (0, 0))
    if not isinstance(betas, (tuple, list)) or len(betas) != 2:
        raise TypeError(f"{name}: betas must be two numbers, such as (0.9, 0.999), not {betas!r:.60}")
    for beta in betas:
        check_number(name, 0, 1, betas=beta)
    if max(betas) >= 1:
        raise ValueError(f"{name}: betas must be below 1, not {betas}; usual are (0.9, 0.999)")
    if group.get("nesterov") and (group["momentum"] <= 0 or group["dampening"]):
        raise ValueError(f"{name}: nesterov needs a momentum above 0 and a dampening of 0")
    return group

class Optimizer:
    """Holds parameters in groups, each with its settings.  As `torch.optim.Optimizer`.

    params: Tensors, or dicts {"params": Tensors, "lr": …}; `defaults` are the settings that a group does not name.
    A subclass writes `update(p, g, state, group)`, which changes the array `p` in place.
    """
    def __init__(self, params, defaults):
        name = type(self).__name__
        if isinstance(params, Tensor):
            raise TypeError(f"{name}: a list of Tensors wanted, not one Tensor; write [w]")
        check_kind(name, Iterable, params=params)
        groups = list(params)
        if not groups:
            raise ValueError(f"{name}: no parameters to optimize; a generator can be read only once, so make a list of it")
        self.defaults, self.state, self.param_groups = defaults, {}, []
        for group in groups if isinstance(groups[0], dict) else [{"params": groups}]:
            self.add_param_group(group)

    def __repr__(self):
        groups = [f"{len(g['params'])} parameters, " + ", ".join(f"{k}={v}" for k, v in g.items() if k != "params") for g in self.param_groups]
        return f"{type(self).__name__}({'; '.join(groups)})"

# %% [markdown]
"""
**Your turn.** What cannot be optimized is refused already. Two things are left.

* A parameter that is in a group already would be moved twice a step: a ValueError. `p in list` does not help, since `==` compares the *numbers* of
  two tensors. Compare identities: `id(p)`.
* `group` becomes a *new* dict: the defaults, then what the given one says instead, then `"params"` as the list `params`.
"""

# %% nbgrader={"grade": false, "grade_id": "add-group", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def _add_param_group(self, group):
    """Add {"params": Tensors, …} with the defaults for what it does not name.  As `torch.optim.Optimizer.add_param_group`.

    TypeError for what is no Tensor; ValueError for a result of operations, and for what is in another group already.
    """
    name = type(self).__name__
    check_kind(name, Mapping, group=group)
    params = [group["params"]] if isinstance(group.get("params"), Tensor) else group.get("params")
    check_kind(name, Iterable, params=params)
    if isinstance(params, set):
        raise TypeError(f"{name}: a set has no order, and a saved state needs one; use a list")
    params = list(params)
    if wrong := [p for p in params if not isinstance(p, Tensor)]:
        raise TypeError(f"{name}: only Tensors can be optimized, not a {type(wrong[0]).__name__}")
    if results := [p for p in params if p.node is not None]:
        raise ValueError(f"{name}: a Tensor of shape {results[0].shape} is the result of operations; optimize what it was made of")
    if len({id(p) for p in params}) < len(params):
        warnings.warn(f"{name}: a group has the same parameter twice, which moves it twice a step", stacklevel=4)
    ### BEGIN SOLUTION
    taken = {id(p) for other in self.param_groups for p in other["params"]}
    if any(id(p) in taken for p in params):
        raise ValueError(f"{name}: a parameter is in more than one group")
    group = {**self.defaults, **group, "params": params}
    ### END SOLUTION
    self.param_groups.append(settings_checked(name, group))

Optimizer.add_param_group = _add_param_group

# %%
w, b = Tensor([1.0, 2.0], requires_grad=True), Tensor([0.0], requires_grad=True)
Optimizer([{"params": [w]}, {"params": b, "lr": 0.5}], {"lr": 0.1}).param_groups

# %% nbgrader={"grade": true, "grade_id": "test-add-group", "locked": true, "points": 10, "schema_version": 3, "solution": false, "task": false}
def test_unit_add_group():
    """Parameters are held in groups, each with its own settings."""
    a, b, c = (Tensor([1.0, 2.0], requires_grad=True) for _ in range(3))
    defaults, given = {"lr": 0.1, "momentum": 0.0}, {"params": a, "lr": 0.5}
    groups = lambda: Optimizer([given, {"params": [b]}], defaults).param_groups
    expect.same(lambda: [g["lr"] for g in groups()], [0.5, 0.1], "a group's own settings come first, else the defaults", mistaken={
        "the group's own settings win: write them after the defaults": [0.1, 0.1],
        "each group is a dict of its own, not self.defaults": [0.5, 0.5]}, raises={
        KeyError: "what a group does not name comes from self.defaults",
        ValueError: "equal numbers are not the same Tensor: compare id(p)"})
    expect.true(lambda: [[p is q for p in g["params"]] for g, q in zip(groups(), (a, b))] == [[True], [True]],
                "each has the very Tensors, in a list", hint='the group keeps its Tensors under "params", as the list `params`')
    expect.true(lambda: given.keys() == {"params", "lr"} and given["params"] is a, "the given dict is not changed",
                hint="make a new dict, {**one, **another}, and leave the given one alone")
    expect.raises(ValueError, lambda: Optimizer([{"params": [a]}, {"params": [b]}, {"params": [c, a]}], defaults),
                  "the same parameter in two of three groups is refused", match="Optimizer",
                  hint="look through the params of ALL groups that are there: any id(p) twice is a ValueError")
    for error, wrong in [(TypeError, [3.0]), (TypeError, [{"params": {a}}]), (ValueError, [a * 2.0]), (ValueError, [{"params": a, "lr": -1.0}])]:
        expect.raises(error, lambda: Optimizer(wrong, defaults), "what makes no sense is refused", match="Optimizer")

test_unit_add_group()

# %% [markdown]
"""
Now the two methods that every training loop calls. The slopes must be forgotten between steps, because `backward` adds to what is there.
"""

# %%
#| export
def _zero_grad(self, set_to_none=True):
    """Forget all gradients; with set_to_none=False those that are there become zeros.  As `torch.optim.Optimizer.zero_grad`."""
    for p in [p for group in self.param_groups for p in group["params"] if p.grad is not None]:
        p.grad = None if set_to_none else Tensor(np.zeros_like(p.grad.data), dtype=p.grad.dtype)

def _step(self, closure=None):
    """Update every parameter that has a gradient, in place.  `closure`, if there is one, computes the loss first; it is returned."""
    loss = None
    if closure is not None:
        with enable_grad():
            loss = closure()
    for group in self.param_groups:
        for p in [p for p in group["params"] if p.grad is not None]:
            if p.grad.shape != p.shape:
                raise ValueError(f"{type(self).__name__}: a parameter of shape {p.shape} has a gradient of shape {p.grad.shape}")
            self.update(p.data, p.grad.data, self.state.setdefault(p, {}), group)
    return loss

Optimizer.zero_grad, Optimizer.step = _zero_grad, _step

# %% [markdown]
"""
## 3 · In place, block by block

`p = p - lr * g` makes two new arrays, and whoever else held the weights is left with the old ones. `p -= lr * g` writes into the array that is there,
but still makes one for the product. `np.multiply(g, lr, out=u)` puts it into an array `u` that is there already, and returns `u`.

A formula such as Adam's makes a dozen passes over arrays that are too large for the processor's cache, and each pass waits for the memory. So cut the
arrays into blocks, and do *all* passes on one block while it is in the cache (section 8 measures what that brings):

```
 p  ██████│██████│██████│███    first all passes on the first block
 g  ██████│██████│██████│███    of p, g and what is kept (m, v, …),
 m  ██████│██████│██████│███    then on the next
 v  ██████│██████│██████│███
 u  ██████                      scratch: one block, used again
```

Slices are views: what is written into the block `p[at:at + rows]` is written into `p`.

**Weight decay.** Weights that grow without need make a network overfit. Adding `decay * p` to the slope pulls every weight towards 0 (it is the
slope of ½ · decay · p²). All methods want it, so it is done here, for the block.

**Your turn.** The arrays have been made flat, `n` long each. For every `at` in steps of `rows` yield the blocks of all `arrays` and the scratch,
in the order `(p, g, *kept, u)`. The last block is shorter, and so is its `u[:len(p)]`. Where `decay` is not 0, `g` is replaced by g + decay · p,
written into `d` (a second scratch): the caller's gradient must stay as it is.
"""

# %% nbgrader={"grade": false, "grade_id": "blocks", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
BLOCK_SIZE = 1 << 15                                             # numbers; five such blocks of float32 take 640 KB

def blocks(p, g, *kept, decay=0.0):
    """Yield (p, g, *kept, u) block by block: views to write into, `g` with decay · p added, and scratch `u`.

    >>> for p, g, u in blocks(np.array([1.0, 2.0]), np.array([10.0, 20.0]), decay=0.5):
    ...     print(p, g)
    [1. 2.] [10.5 21. ]
    """
    arrays = [p, g, *kept]
    if p.ndim != 1 and all(a.flags.c_contiguous for a in arrays):  # else they are cut along their first axis
        arrays = [a.reshape(-1) for a in arrays]
    n = len(arrays[0])
    rows = max(1, BLOCK_SIZE * n // max(p.size, 1))              # flat: BLOCK_SIZE
    u = np.empty_like(arrays[0][:rows])
    d = np.empty_like(u) if decay else None
    ### BEGIN SOLUTION
    for at in range(0, n, rows):
        p, g, *kept = [a[at:at + rows] for a in arrays]
        if decay:
            g = np.add(g, np.multiply(p, decay, out=d[:len(p)]), out=d[:len(p)])
        yield (p, g, *kept, u[:len(p)])
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-blocks", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_blocks():
    """Arrays of any size are handed out in blocks that can be written into."""
    one = lambda *shape: np.ones(shape, np.float32)
    p, g, m = np.arange(80_000, dtype=np.float32), one(80_000), one(80_000)
    expect.same(lambda: [[len(x) for x in block] for block in blocks(p, g, m)], [[32768] * 4, [32768] * 4, [14464] * 4],
                "80,000 numbers are three blocks of p, g, m and u",
                hint="yield (p, g, *kept, u) for at = 0, rows, 2·rows … below n; u as long as p")
    expect.close(lambda: [block[0][0] for block in blocks(p, g, m)], [0.0, 32768.0, 65536.0], "one after the other",
                 hint="slice from `at` to `at + rows`")
    def write(p):
        g, m = np.ones_like(p), np.zeros_like(p)
        for block, slopes, kept, u in blocks(p, g, m):
            u[...] = 2.0
            block -= u
            kept += slopes
        return p, m
    expect.true(lambda: np.array_equal(write(p)[0], np.arange(80_000) - 2.0), "what is written there is written into the arrays",
                hint="yield the slices themselves, not copies or results")
    for what, a in [*[(shape, one(*shape)) for shape in ((), (3,), (0,), (2, 3, 4), (1, 50_000))], ("transposed", one(300, 200).T)]:
        expect.true(lambda: all((x == want).all() for x, want in zip(write(a), (-1, 1))), f"any array, {what}",
                    hint="take everything from `arrays`, not from p, g and kept")
    expect.close(lambda: [list(b[1]) for b in blocks(np.float32([1, 2]), np.float32([10, 20]), decay=0.5)], [[10.5, 21.0]], "decay · p is added",
                 mistaken={"decay is multiplied with p, not with g": [[15.0, 30.0]], "g itself is missing": [[0.5, 1.0]],
                           "decay is not used": [[10.0, 20.0]], "the decay is added: it makes the slope point away from 0": [[9.5, 19.0]]})
    many = [one(500_000) for _ in range(3)]
    import tracemalloc
    tracemalloc.start(); list(zip(*blocks(*many, decay=0.1))); peak = tracemalloc.get_traced_memory()[1]; tracemalloc.stop()
    expect.true(lambda: (many[1] == 1).all(), "the gradient stays as it is", hint="write g + decay · p into d, not into g")
    expect.true(lambda: peak < 300_000, "no array of the parameter's size is made",
                hint="the parameter has 2 MB, two blocks of scratch 256 KB: write into d")

test_unit_blocks()

# %% [markdown]
"""
Three tools, given: the arrays that an optimizer remembers of a parameter, and the two formulas that all methods below are made of, in place:
"""

# %%
#| export
def kept(state, p, **start):
    """The arrays of these names in `state`, of p's shape and dtype; new ones are filled with the number given for them."""
    for name, number in start.items():
        if name not in state:
            state[name] = np.full_like(p, number)
    return [state[name] for name in start]

def blend(a, keep, x, share, u):
    """a = keep · a + share · x, in place; `u` is scratch, and may be x."""
    a *= keep
    a += x if share == 1 else np.multiply(x, share, out=u)

def scaled(x, v, eps, u):
    """x / (√v + eps), written into `u`."""
    return np.divide(x, np.add(np.sqrt(v, out=u), eps, out=u), out=u)

# %% [markdown]
r"""
## 4 · Momentum

A ball in the valley does not zigzag: it is heavy. The pushes of the two walls cancel, the small ones along the floor add up. So remember a velocity:

$$b \leftarrow \mu\, b + (1 - \text{dampening})\, g \qquad\qquad p \leftarrow p - \mathrm{lr} \cdot b$$

With $\mu = 0.9$ a constant slope adds up to $1 + 0.9 + 0.81 + \dots = 10$ times itself. On the very first step $b$ is $g$, without dampening.
**Nesterov** looks where the ball is going: it steps along $g + \mu b$ with the new $b$.

**Your turn.** `blend` does the first formula, and `first` says whether this is the first step. The arrays `p` and `b` are changed in place, `g`
belongs to somebody else, and `u` is yours.
"""

# %% nbgrader={"grade": false, "grade_id": "sgd", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
class SGD(Optimizer):
    """Steps against the gradient, with or without momentum.  As `torch.optim.SGD`.

    >>> w = Tensor([1.0], requires_grad=True); w.grad = Tensor([2.0])
    >>> SGD([w], lr=0.1).step(); w.numpy()
    array([0.8], dtype=float32)
    """
    def __init__(self, params, lr=1e-3, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False):
        super().__init__(params, dict(lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay, nesterov=nesterov))

    def update(self, p, g, state, group):
        """One step of the array p."""
        lr, momentum, decay = group["lr"], group["momentum"], group["weight_decay"]
        if not momentum:
            for p, g, u in blocks(p, g, decay=decay):
                p -= np.multiply(g, lr, out=u)
            return
        first = "momentum_buffer" not in state
        buffer, = kept(state, p, momentum_buffer=0.0)
        for p, g, b, u in blocks(p, g, buffer, decay=decay):
            ### BEGIN SOLUTION
            blend(b, momentum, g, 1.0 if first else 1 - group["dampening"], u)
            ahead = np.add(g, np.multiply(b, momentum, out=u), out=u) if group["nesterov"] else b
            p -= np.multiply(ahead, lr, out=u)
            ### END SOLUTION

# %%
def walk(make, slopes):
    """Where one weight is after each of these slopes; it starts at 1."""
    w, places = Tensor([1.0], requires_grad=True), []
    optimizer = make([w])
    for slope in slopes:
        w.grad = Tensor([slope])
        optimizer.step()
        places.append(w.item())
    return np.array(places)

def two_steps_of_many(make):
    """Two steps of 500,000 weights of 1, slopes 2: a slope, a weight, what is kept for it, and how many blocks of scratch a step took."""
    import tracemalloc
    w = Tensor(np.ones(500_000), requires_grad=True)
    w.grad, p, optimizer = Tensor(np.full(500_000, 2.0)), w.data, make([w])
    optimizer.step()
    tracemalloc.start(); optimizer.step(); peak = tracemalloc.get_traced_memory()[1]; tracemalloc.stop()
    return np.array([w.grad.data[-1], p[-1], *[x[-1] for name, x in optimizer.state[w].items() if name != "step"], round(peak / 4 / BLOCK_SIZE)])

print("plain   ", walk(lambda w: SGD(w, lr=0.1), [1.0, 1.0, 1.0, 1.0]))
print("momentum", walk(lambda w: SGD(w, lr=0.1, momentum=0.5), [1.0, 1.0, 1.0, 1.0]))

# %% nbgrader={"grade": true, "grade_id": "test-sgd", "locked": true, "points": 12, "schema_version": 3, "solution": false, "task": false}
def test_unit_sgd():
    """SGD steps against the slope, with a velocity, looking ahead, and in place."""
    slopes = np.array([1.0, 1.0, -2.0])
    steps = lambda **settings: walk(lambda w: SGD(w, lr=0.1, momentum=0.5, **settings), slopes)
    expect.close(lambda: steps(), [0.9, 0.75, 0.875], "b is 1, 1.5, -1.25: p goes down by lr · b each time", mistaken={
        "step along b, not along g": [0.9, 0.8, 1.0], "against the velocity: p -= …": [1.1, 1.25, 1.125],
        "the step is lr · b": [0.0, -1.5, -0.25], "b = momentum · b + g: the new slope counts fully": [0.95, 0.875, 0.9375],
        "momentum was applied again, as for nesterov": [0.85, 0.675, 0.9375], "write into p: p -= …, not p = p - …": [1.0, 1.0, 1.0],
        "what is kept is b, not lr · b: multiply into u": [0.9, 0.795, 0.98975]})
    expect.close(lambda: steps(dampening=0.2), [0.9, 0.77, 0.865], "dampening 0.2: b is 1, 1.3, -0.95", mistaken={
        "on the first step b is g, without dampening": [0.92, 0.8, 0.9], "dampening is not used": [0.9, 0.75, 0.875],
        "the share is 1 - dampening": [0.9, 0.83, 0.835]})
    expect.close(lambda: steps(nesterov=True), [0.85, 0.675, 0.9375], "nesterov: along g + momentum · b", mistaken={
        "nesterov is not used, or b is the old one: blend first": [0.9, 0.75, 0.875], "g + momentum · b, not g + b": [0.8, 0.55, 0.875]})
    expect.close(lambda: two_steps_of_many(lambda w: SGD(w, lr=0.1, momentum=0.5, nesterov=True)), [2.0, 0.35, 3.0, 1.0],
                 "many weights: g, p, b and u", hint="b is kept before it is multiplied by lr", mistaken={
        "write into u, never into g": lambda got: got[0] != 2, "write results into u: out=u": lambda got: got[-1] > 1})

test_unit_sgd()

# %% [markdown]
"""
How many steps through the valley until the loss is below 0.001? For plain steps, 0.038 was nearly the best there is.
"""

# %%
def through_the_valley(make):
    """The path until the loss, 57 at the start, is below 0.001."""
    w = Tensor([-8.0, 1.0], requires_grad=True)
    optimizer, path = make([w]), [w.numpy().copy()]
    while valley(w).item() > 0.001 and len(path) < 2000:
        optimizer.zero_grad()
        valley(w).backward()
        optimizer.step()
        path.append(w.numpy().copy())
    return path

paths = {}
for name, make in [("plain, lr 0.038", lambda w: SGD(w, lr=0.038)), ("momentum 0.8, lr 0.02", lambda w: SGD(w, lr=0.02, momentum=0.8)),
                   ("Nesterov 0.8, lr 0.02", lambda w: SGD(w, lr=0.02, momentum=0.8, nesterov=True))]:
    paths[name] = through_the_valley(make)
    print(f"{name:<22} {len(paths[name]) - 1:4} steps")

# %% [markdown]
r"""
## 5 · A scale for each weight

Momentum still has one step length for all. The slopes along `y` are 50 times those along `x`; divide each by its own typical size, and both
directions look alike. **Adagrad** (2011) divides by the root of the sum of all squares so far:

$$s \leftarrow s + g^2 \qquad p \leftarrow p - \mathrm{lr}_t \frac{g}{\sqrt{s} + \varepsilon} \qquad
\mathrm{lr}_t = \frac{\mathrm{lr}}{1 + (t - 1)\,\text{lr\_decay}}$$

$\varepsilon$ keeps it from dividing by 0. **Your turn:** one block of it. `scaled` is the fraction; `lr` is $\mathrm{lr}_t$ already.
"""

# %% nbgrader={"grade": false, "grade_id": "adagrad", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
class Adagrad(Optimizer):
    """Slopes divided by the root of the sum of their squares.  As `torch.optim.Adagrad` (Duchi et al., 2011)."""
    def __init__(self, params, lr=1e-2, lr_decay=0.0, weight_decay=0.0, initial_accumulator_value=0.0, eps=1e-10):
        super().__init__(params, dict(lr=lr, lr_decay=lr_decay, eps=eps, weight_decay=weight_decay,
                                      initial_accumulator_value=initial_accumulator_value))

    def update(self, p, g, state, group):
        """One step of the array p."""
        t = state["step"] = state.get("step", 0) + 1
        lr, eps = group["lr"] / (1 + (t - 1) * group["lr_decay"]), group["eps"]
        total, = kept(state, p, sum=group["initial_accumulator_value"])
        for p, g, s, u in blocks(p, g, total, decay=group["weight_decay"]):
            ### BEGIN SOLUTION
            s += np.multiply(g, g, out=u)
            p -= np.multiply(scaled(g, s, eps, u), lr, out=u)
            ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-adagrad", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
def test_unit_adagrad():
    """Adagrad divides by the root of the sum of all squares."""
    slopes = np.array([2.0, 2.0, 1.0])
    steps = lambda slopes, **settings: walk(lambda w: Adagrad(w, lr=0.1, **settings), slopes)
    expect.close(lambda: steps(slopes), [0.9, 0.829289, 0.795956], "s is 4, 8, 9: the steps are 0.1 · 2/2, 2/√8, 1/3", mistaken={
        "divide by the root of s": [0.95, 0.925, 0.913889], "s grows by the square of g": [0.858579, 0.758579, 0.713857],
        "s is a sum: it keeps what was there": [0.9, 0.8, 0.7], "a step goes against the slope": lambda got: got[0] > 1,
        "first s, then the step": lambda got: got[0] < -1e3, "write into u, never into g": [0.8, 0.658579, 0.625245]})
    expect.close(lambda: steps(slopes[:2], lr_decay=1.0, initial_accumulator_value=5.0, eps=1.0), [0.95, 0.928287], "with all settings", mistaken={
        "eps is added to the root of s": [0.933333, 0.905598], "`lr` has the decay in it": [0.95, 0.906574]}, hint="s starts as given")
    expect.close(lambda: two_steps_of_many(lambda w: Adagrad(w, lr=0.1)), [2.0, 0.829289, 8.0, 1.0], "many weights: g, p, s and u",
                 hint="add to s in place", mistaken={
        "write into u, never into g": lambda got: got[0] != 2, "write results into u: out=u": lambda got: got[-1] > 1})

test_unit_adagrad()

# %%
print("Adagrad, slope 1 every time:", -np.diff(walk(lambda w: Adagrad(w, lr=0.1), [1.0] * 1000), prepend=1.0)[[0, 1, 9, 99, 999]])

# %% [markdown]
r"""
Those are steps 1, 2, 10, 100 and 1000. The sum only grows, so the steps only shrink: what was steep long ago is held against a weight forever.
**RMSprop** (2012) forgets: an *average* of squares that keeps $\alpha$ of itself each time. It may have a momentum too, on the scaled slope:

$$v \leftarrow \alpha v + (1 - \alpha)\, g^2 \qquad b \leftarrow \mu\, b + \frac{g}{\sqrt{v} + \varepsilon} \qquad
p \leftarrow p - \mathrm{lr} \cdot b$$

**Your turn.** `b` is None where there is no momentum; then the fraction itself takes its place. In `blend`, `x` and `u` may be the same array.
"""

# %% nbgrader={"grade": false, "grade_id": "rmsprop", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
class RMSprop(Optimizer):
    """Slopes divided by the root of the average of their squares.  As `torch.optim.RMSprop`, not centered (Hinton, 2012)."""
    def __init__(self, params, lr=1e-2, alpha=0.99, eps=1e-8, weight_decay=0.0, momentum=0.0):
        super().__init__(params, dict(lr=lr, alpha=alpha, eps=eps, weight_decay=weight_decay, momentum=momentum))

    def update(self, p, g, state, group):
        """One step of the array p."""
        lr, alpha, eps, momentum = group["lr"], group["alpha"], group["eps"], group["momentum"]
        state["step"] = state.get("step", 0) + 1
        arrays = kept(state, p, square_avg=0.0, **({"momentum_buffer": 0.0} if momentum else {}))
        for p, g, v, *buffer, u in blocks(p, g, *arrays, decay=group["weight_decay"]):
            b = buffer[0] if buffer else None
            ### BEGIN SOLUTION
            blend(v, alpha, np.multiply(g, g, out=u), 1 - alpha, u)
            step = scaled(g, v, eps, u)
            if b is not None:
                blend(b, momentum, step, 1.0, u)
                step = b
            p -= np.multiply(step, lr, out=u)
            ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-rmsprop", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_rmsprop():
    """RMSprop divides by the root of an average that forgets."""
    slopes = np.array([2.0, 2.0, 1.0])
    steps = lambda slopes, **settings: walk(lambda w: RMSprop(w, lr=0.1, **{"alpha": 0.75, **settings}), slopes)
    expect.close(lambda: steps(slopes), [0.8, 0.648814, 0.568814], "v is 1, 1.75, 1.5625 with alpha = 0.75", mistaken={
        "v keeps alpha of itself and takes 1 - alpha of the new square": [0.9, 0.829289, 0.795956],
        "divide by the root of v": [0.8, 0.685714, 0.621714], "average the squares of g": [0.717157, 0.503348, 0.398303],
        "alpha and 1 - alpha are exchanged": [0.88453, 0.78125, 0.70427], "a step goes against the slope": lambda got: got[0] > 1,
        "first v, then the step": lambda got: got[0] < -1e3})
    expect.close(lambda: steps(slopes, momentum=0.5), [0.8, 0.548814, 0.343221], "with momentum", mistaken={
        "momentum is not used": [0.8, 0.648814, 0.568814], "the new fraction counts fully": [0.9, 0.774407, 0.671611],
        "the momentum is of g / (√v + eps)": [0.8, 0.5, 0.25]})
    expect.close(lambda: steps([10.0], eps=1.0), [0.833333], "eps is added to the root", hint="√v + eps: `scaled` does it")
    expect.close(lambda: two_steps_of_many(lambda w: RMSprop(w, lr=0.1, momentum=0.5, alpha=0.75)), [2.0, 0.548814, 1.75, 2.511858, 1.0],
                 "many weights: g, p, v, b and u", hint="b is kept before it is multiplied by lr", mistaken={
        "write into u, never into g": lambda got: got[0] != 2, "write results into u: out=u": lambda got: got[-1] > 1})

test_unit_rmsprop()

# %% [markdown]
r"""
## 6 · Adam

These steps do not fade, but the first are too long: the average starts at 0, not at the truth. After $t$ steps an average that keeps $\beta$ has
reached the share $1 - \beta^t$ of what it is an average of. Here with a slope of 1 every time, and an average $m$ of slopes beside it:
"""

# %%
m, v, u = np.zeros(1), np.zeros(1), np.empty(1)
print("  t     m       v       m/√v    corrected")
for t in range(1, 1001):
    blend(m, 0.9, np.ones(1), 0.1, u)                            # both should be 1
    blend(v, 0.999, np.ones(1), 0.001, u)
    if t in (1, 2, 3, 10, 100, 1000):
        corrected = (m / (1 - 0.9 ** t)) / np.sqrt(v / (1 - 0.999 ** t))
        print(f"{t:4}  {m[0]:.4f}  {v[0]:.4f}  {(m / np.sqrt(v))[0]:7.4f}  {corrected[0]:7.4f}")

# %% [markdown]
r"""
Without the correction the steps are three to six times too long, just when the network knows least. **Adam** (2015) is momentum, RMSprop and this
correction:

$$m \leftarrow \beta_1 m + (1 - \beta_1)\, g \qquad v \leftarrow \beta_2 v + (1 - \beta_2)\, g^2 \qquad
p \leftarrow p - \mathrm{lr}\, \frac{m / (1 - \beta_1^t)}{\sqrt{v / (1 - \beta_2^t)} + \varepsilon}$$

The corrections are two *numbers*; to divide whole arrays by them costs two passes. With $r = \sqrt{1 - \beta_2^t}$, multiply above and below by $r$:

$$p \leftarrow p - \Big(\mathrm{lr}\, \frac{r}{1 - \beta_1^t}\Big) \frac{m}{\sqrt{v} + \varepsilon r}$$

**Your turn.** First the two numbers `size` (the bracket) and `small` ($\varepsilon r$), then the loop over `blocks(p, g, …, decay=…)`: three lines
with `blend` and `scaled`. `t` is 1 on the first step. Stay with Python's numbers (`math.sqrt`).
"""

# %% nbgrader={"grade": false, "grade_id": "adam", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
class Adam(Optimizer):
    """An average of slopes over the root of an average of squares, both corrected for their start at 0.

    As `torch.optim.Adam` without amsgrad (Kingma and Ba, 2015).

    >>> w = Tensor([1.0, 1.0], requires_grad=True); w.grad = Tensor([500.0, -0.005])
    >>> Adam([w], lr=0.1).step(); w.numpy().round(4)
    array([0.9, 1.1], dtype=float32)
    """
    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay))

    def update(self, p, g, state, group):
        """One step of the array p."""
        lr, (beta1, beta2), eps = group["lr"], group["betas"], group["eps"]
        t = state["step"] = state.get("step", 0) + 1
        averages = kept(state, p, exp_avg=0.0, exp_avg_sq=0.0)
        ### BEGIN SOLUTION
        r = math.sqrt(1 - beta2 ** t)
        size, small = lr * r / (1 - beta1 ** t), eps * r
        for p, g, m, v, u in blocks(p, g, *averages, decay=group["weight_decay"]):
            blend(m, beta1, g, 1 - beta1, u)
            blend(v, beta2, np.multiply(g, g, out=u), 1 - beta2, u)
            p -= np.multiply(scaled(m, v, small, u), size, out=u)
        ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-adam", "locked": true, "points": 12, "schema_version": 3, "solution": false, "task": false}
def test_unit_adam():
    """Adam divides an average of slopes by the root of an average of squares, both corrected."""
    slopes = np.array([2.0, -1.0, 1.0, 0.0])
    steps = lambda slopes, **settings: walk(lambda w: Adam(w, lr=0.1, **settings), slopes)
    expect.close(lambda: steps([500.0])[0], 0.9, "the first step is lr, for any slope", mistaken={
        "no correction: m and v start at 0": 0.683772, "m is not corrected": 0.99, "v is not corrected": -2.162278,
        "a step goes against the slope": 1.1, "r is a ROOT, and v an average, not a sum": 0.996838, "v is an average of squares": -1.236068,
        "m is an average, corrected once: step along m, and leave it as it is": 0.0, "divide by the root of v": lambda got: 0.99 < got < 1},
        raises={ZeroDivisionError: "the first step has t = 1"})
    expect.close(lambda: steps(slopes, betas=(0.5, 0.75)), [0.9, 0.9, 0.856552, 0.831093], "betas 0.5 and 0.75", mistaken={
        "beta1 is for m, beta2 for v": [0.9, 0.879797, 0.83005, 0.783859]})
    expect.close(lambda: steps(slopes, eps=1.0), [0.933333, 0.917019, 0.890726, 0.870487], "eps = 1: it is added after v is corrected", mistaken={
        "eps needs the factor r as well: small = eps · r": [0.994052, 0.992293, 0.989068, 0.986428]}, hint="small is eps · r")
    expect.close(lambda: steps(slopes, weight_decay=0.5), [0.9, 0.850557, 0.786073, 0.725985], "weight decay goes into the slope",
                 hint="blocks(…, decay=…) adds it to g")
    expect.close(lambda: two_steps_of_many(lambda w: Adam(w, lr=0.1)), [2.0, 0.8, 0.38, 0.007996, 1.0], "many weights: g, p, m, v and u",
                 hint="m and v stay uncorrected: correct with `size` and `small`", mistaken={
        "write into u, never into g": lambda got: got[0] != 2, "work on the blocks, and write results into u: out=u": lambda got: got[-1] > 1})

test_unit_adam()

# %% tags=["analysis"]
for name, make in [("Adagrad, lr 1", lambda w: Adagrad(w, lr=1.0)), ("RMSprop, lr 0.1", lambda w: RMSprop(w, lr=0.1)),
                   ("Adam, lr 0.5", lambda w: Adam(w, lr=0.5))]:
    paths[name] = through_the_valley(make)
draw({f"{name}: {len(path) - 1} steps": path for name, path in paths.items()})

# %% [markdown]
r"""
Momentum is the fastest here, with settings chosen for this very valley. The three that scale their slopes have hardly noticed that it is narrow: they
walk alike through every valley whose axes differ in scale.

## 7 · Decay that is not scaled

Adam divides slopes by their size. Weight decay is part of the slope, so it is divided too, and what was meant as the same pull for all is a strong
pull for weights with small slopes. Three weights start at 1; their slopes push forth and back and mean nothing, only their sizes differ:
"""

# %%
sizes = np.array([10.0, 1.0, 0.01])

def decayed(make):
    """Three weights after 1000 slopes that only change their sign."""
    w = Tensor([1.0, 1.0, 1.0], requires_grad=True)
    optimizer = make([w])
    for t in range(1000):
        w.grad = Tensor(sizes * (-1) ** t)
        optimizer.step()
    return w.numpy().round(3)

print("slopes                ", sizes)
print("Adam, decay in slopes ", decayed(lambda w: Adam(w, lr=0.001, weight_decay=0.1)))

# %% [markdown]
r"""
The first weight hardly decays, the third loses three quarters. **AdamW** (2019) takes the decay out of the slope and shrinks the weights themselves,
all by the same factor, before the step:

$$p \leftarrow (1 - \mathrm{lr} \cdot \text{decay})\, p \qquad\text{then Adam, without decay}$$

**Your turn.** Two lines: shrink `p` in place, then `super().update(…)` with a group whose `"weight_decay"` is 0. The group itself stays as it is.
"""

# %% nbgrader={"grade": false, "grade_id": "adamw", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
class AdamW(Adam):
    """Adam with weight decay that is not part of the slope.  As `torch.optim.AdamW` (Loshchilov and Hutter, 2019)."""
    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2):
        super().__init__(params, lr, betas, eps, weight_decay)

    def update(self, p, g, state, group):
        """One step of the array p."""
        ### BEGIN SOLUTION
        p *= 1 - group["lr"] * group["weight_decay"]
        super().update(p, g, state, {**group, "weight_decay": 0.0})
        ### END SOLUTION

# %%
print("AdamW                 ", decayed(lambda w: AdamW(w, lr=0.001, weight_decay=0.1)))

# %% nbgrader={"grade": true, "grade_id": "test-adamw", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
def test_unit_adamw():
    """AdamW shrinks all weights alike, and then does what Adam does."""
    steps = lambda slopes: walk(lambda w: AdamW(w, lr=0.1, weight_decay=0.5), slopes)
    expect.close(lambda: steps([0.0, 0.0, 0.0]), [0.95, 0.9025, 0.857375], "without slopes: 5 % less each time", mistaken={
        "the factor is 1 - lr · decay": lambda got: np.isclose(got[0], 0.5),
        "do not change the group: {**group, …} makes a new one": [0.95, 0.95, 0.95],
        "the decay is still in the slope: pass a group with weight_decay 0 on": lambda got: got[0] < 0.94,
        "nothing decays: p *= …, in place": [1.0, 1.0, 1.0]})
    expect.close(lambda: steps([2.0, -1.0, 1.0, 0.0]), [0.85, 0.780866, 0.696933, 0.625315], "with slopes: shrink, then step", mistaken={
        "Adam's step is missing": lambda got: np.isclose(got[0], 0.95), "shrink first, then step": lambda got: np.isclose(got[0], 0.855)})

test_unit_adamw()

# %% [markdown]
"""
## 8 · What it costs

The same Adam as in a textbook, one line a formula, beside yours, on ever larger parameters; then yours with blocks of other sizes.
"""

# %% tags=["analysis"]
class TextbookAdam(Adam):
    """Adam, a line for each formula."""
    def update(self, p, g, state, group):
        (b1, b2), t = group["betas"], state.setdefault("step", 0) + 1
        m, v = b1 * state.get("m", 0.0) + (1 - b1) * g, b2 * state.get("v", 0.0) + (1 - b2) * g ** 2
        p -= group["lr"] * (m / (1 - b1 ** t)) / (np.sqrt(v / (1 - b2 ** t)) + group["eps"])
        state.update(step=t, m=m, v=v)

def cost(kind, size):
    """The shortest of seven steps, in ms, and the MB that one takes for a while."""
    w, times = Tensor(np.ones(size), requires_grad=True), []
    w.grad, optimizer = Tensor(np.full(size, 0.1)), kind([w])
    for _ in range(7):
        start = time.perf_counter(); optimizer.step(); times.append(time.perf_counter() - start)
    tracemalloc.start(); optimizer.step(); peak = tracemalloc.get_traced_memory()[1]; tracemalloc.stop()
    return min(times) * 1e3, peak / 1e6

print("   numbers   textbook              yours")
for size in (1_000, 10_000, 100_000, 1_000_000, 4_000_000):
    print(f"{size:10,}", *("{:8.3f} ms {:6.1f} MB".format(*cost(kind, size)) for kind in (TextbookAdam, Adam)))
for BLOCK_SIZE in [1 << power for power in (10, 13, 18, 22, 15)]:
    print(f"blocks of {BLOCK_SIZE:9,} numbers: {cost(Adam, 4_000_000)[0]:8.3f} ms for 4 million weights")

# %% [markdown]
"""
Compare the first rows with the last: where everything fits into the cache there is no time to gain. Small blocks pay for the calls, the largest fall
out of the cache.

## 9 · Stop and go on

Training stops: the battery is empty, the cluster wants the machine back. Save the weights and go on later. What could go wrong?
"""

# %%
def stopped(another):
    """The loss after 65 steps through the valley; after 60 of them another(weights, optimizer) takes over."""
    w = Tensor([-8.0, 1.0], requires_grad=True)
    optimizer = Adam([w], lr=0.5)
    for t in range(65):
        optimizer = another([w], optimizer) if t == 60 else optimizer
        optimizer.zero_grad()
        valley(w).backward()
        optimizer.step()
    return valley(w).item()

print("without a stop  ", stopped(lambda weights, optimizer: optimizer))
print("with a new Adam ", stopped(lambda weights, optimizer: Adam(weights, lr=0.5)))

# %% [markdown]
"""
The new Adam does not know that it is nearly there: its first steps are `lr` long, whatever the slope. The averages must be saved as well. Tensors
cannot be keys in a file, so a saved state names parameters by *number*, counted through all groups:

```
 {"state":        {0: {"step": 60, "exp_avg": array, …}, 1: …},
  "param_groups": [{"lr": 0.5, …, "params": [0, 1]},
                   {"lr": 0.1, …, "params": [2]}]}
```

**Your turn.** `places` is {Tensor: number}. In `_state_dict` make both parts, with *copies* of the arrays (the next step changes them in place) and
of the groups; leave out parameters of which nothing is kept. In `_load_state_dict`, `params` is {number: Tensor}, and everything has been checked:
fill `self.state` with copies of the arrays of `entries` in the dtype of their parameter (`"step"` is an int), and take over the groups' settings, but
not `"params"`.
"""

# %% nbgrader={"grade": false, "grade_id": "state", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def _state_dict(self):
    """All that is needed to go on: dicts of numbers and copies of arrays.  As `torch.optim.Optimizer.state_dict`."""
    places = {p: i for i, p in enumerate(p for group in self.param_groups for p in group["params"])}
    ### BEGIN SOLUTION
    state = {i: {name: x.copy() if isinstance(x, np.ndarray) else x for name, x in self.state[p].items()}
             for p, i in places.items() if self.state.get(p)}
    return {"state": state, "param_groups": [{**group, "params": [places[p] for p in group["params"]]} for group in self.param_groups]}
    ### END SOLUTION

def _load_state_dict(self, saved):
    """Go on from `saved`, as from `state_dict()` of ours or torch's.  ValueError where it does not fit; nothing is changed then."""
    name = type(self).__name__
    check_kind(name, Mapping, saved=saved)
    if missing := {"state", "param_groups"} - saved.keys():
        raise ValueError(f"{name}: this state does not fit: {', '.join(sorted(missing))} missing")
    groups = saved["param_groups"]
    check_kind(name, Mapping, state=saved["state"])
    theirs, here = ([len(group["params"]) for group in some] for some in (groups, self.param_groups))
    if theirs != here:
        raise ValueError(f"{name}: saved were groups of {theirs} parameters, and here are groups of {here}")
    params = {i: p for old, ours in zip(groups, self.param_groups) for i, p in zip(old["params"], ours["params"])}
    entries = {i: {key: x for key, x in kept.items() if x is not None} for i, kept in saved["state"].items()}
    wrong = [f"{key} is missing" for old in groups for key in self.defaults if key not in old]
    wrong += [f"{key} was on" for old in groups for key in ("amsgrad", "centered", "maximize") if old.get(key)]
    wrong += [f"there is no parameter {i}" for i in entries.keys() - params]
    wrong += [f"{key} of parameter {i} has shape {np.shape(x)}, not {params[i].shape}" for i, kept in entries.items() if i in params
              for key, x in kept.items() if key != "step" and np.shape(x) != params[i].shape]
    if wrong:
        raise ValueError(f"{name}: this state does not fit: {'; '.join(wrong)}")
    for old in groups:
        settings_checked(name, old)
    ### BEGIN SOLUTION
    self.state = {params[i]: {key: int(x) if key == "step" else np.array(x, params[i].dtype) for key, x in kept.items()}
                  for i, kept in entries.items()}
    for old, ours in zip(groups, self.param_groups):
        ours.update({**old, "params": ours["params"]})
    ### END SOLUTION

Optimizer.state_dict, Optimizer.load_state_dict = _state_dict, _load_state_dict

# %% nbgrader={"grade": true, "grade_id": "test-state", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_state():
    """A training that was stopped goes on as if nothing had been."""
    def three(**settings):
        params = [Tensor(np.full(n, 1.0), requires_grad=True) for n in (2, 3, 4)]
        return Adam([{"params": params[:2]}, {"params": params[2:], "lr": 0.5}], **settings), params
    def train(optimizer, params, slopes):
        for slope in slopes:
            for p in params[:2]:
                p.grad = Tensor(np.full(p.size, slope * p.size))
            optimizer.step()
        return np.concatenate([p.data for p in params])
    (optimizer, params), (fresh, others) = three(), three(lr=0.9, betas=(0.5, 0.5))
    train(optimizer, params, [1.0, 3.0])
    expect.same(lambda: {i: sorted(entries) for i, entries in optimizer.state_dict()["state"].items()},
                {i: ["exp_avg", "exp_avg_sq", "step"] for i in (0, 1)}, "parameters have numbers; those without a gradient have no state yet",
                hint="the keys are places[p]; leave out parameters of which nothing is kept", raises={
                TypeError: 'return {"state": …, "param_groups": …}', KeyError: "leave out parameters of which nothing is kept: self.state.get(p)"})
    saved = optimizer.state_dict()
    expect.same(lambda: [(group["params"], group["lr"]) for group in saved["param_groups"]], [([0, 1], 1e-3), ([2], 0.5)],
                "counted through all groups, with their settings", hint='each group\'s "params" are the numbers places[p]',
                raises={KeyError: 'return {"state": …, "param_groups": …}'})
    expect.true(lambda: optimizer.param_groups[1]["params"][0] is params[2], "the optimizer's own groups are as they were",
                hint="a new dict for each group: {**group, …}")
    for p, q in zip(others, params):
        p.data[...] = q.data
    want = train(optimizer, params, [-2.0, 0.5])
    expect.close(lambda: saved["state"][1]["exp_avg"], [1.17] * 3, "a saved state does not change when training goes on",
                 hint="copy the arrays: x.copy()")
    saved["state"][0].update(step=np.float32(2), exp_avg=list(saved["state"][0]["exp_avg"]))
    fresh.load_state_dict(saved)
    expect.true(lambda: [p is q for p, q in zip(others, sum([g["params"] for g in fresh.param_groups], []))] == [True] * 3,
                "an optimizer that loads keeps its own parameters", hint='leave "params" of the groups alone')
    expect.same(lambda: [(g["lr"], g["betas"]) for g in fresh.param_groups], [(1e-3, (0.9, 0.999)), (0.5, (0.9, 0.999))], "and settings as they were",
                hint="take over the groups' settings as well")
    expect.same(lambda: (type(fresh.state[others[0]]["step"]), fresh.state[others[0]]["exp_avg"].dtype), (int, others[0].dtype),
                "step is an int, arrays are as the parameter", hint='int(x) for "step", np.array(x, params[i].dtype) for the others')
    expect.close(lambda: train(fresh, others, [-2.0, 0.5]), want, "it goes to the same place", tol=1e-7, hint='take over the arrays and "step"')
    expect.close(lambda: saved["state"][1]["exp_avg"], [1.17] * 3, "and what was loaded stays as it is", hint="np.array(x, dtype) makes a copy")

test_unit_state()

# %%
def restored(weights, optimizer):
    """Another Adam, in the state of the first."""
    new = Adam(weights)
    new.load_state_dict(optimizer.state_dict())                  # brings lr = 0.5 along
    return new

print("state restored  ", stopped(restored))

# %% [markdown]
r"""
## 10 · Schedules

A batch is a sample of the data, so its slope is only roughly right. Here is the simplest case: the loss is $\frac12 w^2$, and every slope is off by a
random number of size 1.
"""

# %%
def noisy_walk(rate, steps=2000):
    """The mean distance from 0 over the last 200 of noisy steps; rate(t) is the lr of step t."""
    w, rng, far = 10.0, np.random.default_rng(0), []
    for t in range(steps):
        w -= rate(t) * (w + rng.normal())
        far.append(abs(w))
    return np.mean(far[-200:])

for name, rate in [("lr 0.5", lambda t: 0.5), ("lr 0.05", lambda t: 0.05), ("lr 0.001", lambda t: 0.001),
                   ("from 0.5 down", lambda t: 0.5 / (1 + t / 20))]:
    print(f"{name:<14} mean distance at the end {noisy_walk(rate):.3f}")

# %% [markdown]
r"""
A large `lr` keeps hopping about, a small one has not arrived. Start large, end small. Adam's averages, on the other hand, are poor in the first
steps, and large networks are thrown off by them: there one starts *small* for a while, a warm-up.

A scheduler sits beside an optimizer and changes the `"lr"` of its groups. Each step computes the next lr from the one that is there, so two
schedules on one optimizer multiply. `base` is what the group began with, `t` counts the steps from 1.
"""

# %%
#| export
class Scheduler:
    """Changes the learning rates of an optimizer's groups, each step a little.  A subclass writes `next_lr(lr, base, t)`.

    As `torch.optim.lr_scheduler.LRScheduler`.
    """
    start_factor = 1.0                                           # what the first lr is multiplied by

    def __init__(self, optimizer, **settings):
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{type(self).__name__}: an optimizer comes first, not a {type(optimizer).__name__}")
        vars(self).update(settings, optimizer=optimizer, last_epoch=0)
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])
            group["lr"] *= self.start_factor
        self._last_lr = [group["lr"] for group in optimizer.param_groups]

    def step(self):
        """The next learning rates: call it after the optimizer's step, once a batch or once an epoch."""
        self.last_epoch += 1
        for group in self.optimizer.param_groups:
            group["lr"] = self.next_lr(group["lr"], group.setdefault("initial_lr", group["lr"]), self.last_epoch)
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]

    def get_last_lr(self):
        """The learning rate of each group, as of the last step."""
        return list(self._last_lr)

    def state_dict(self):
        """Its settings and where it is; the learning rates themselves are in the optimizer's state."""
        return {name: x for name, x in vars(self).items() if name != "optimizer"}

    def load_state_dict(self, saved):
        """Go on from `saved`.  ValueError where something is missing."""
        check_kind(type(self).__name__, Mapping, saved=saved)
        if missing := [name for name in self.state_dict() if name not in saved]:
            raise ValueError(f"{type(self).__name__}: this state does not fit: {', '.join(missing)} missing")
        vars(self).update({name: saved[name] for name in self.state_dict()})

# %% [markdown]
r"""
**Your turn.** `next_lr` returns the lr of step `t`. A warm-up's lr is $s(t) \cdot$ base, where $s$ is a straight line, and 1 from `total_iters` on.
A cosine's is $\text{eta\_min} + (\text{base} - \text{eta\_min}) \cdot c(t) / 2$ with $c(t) = 1 + \cos(\pi t / T)$. From one step to the next,
base drops out:

$$\text{lr} \cdot \frac{s(t)}{s(t-1)} \qquad\qquad \text{eta\_min} + (\text{lr} - \text{eta\_min}) \cdot \frac{c(t)}{c(t-1)}$$

At the bottom $c(t-1)$ is 0; the way up from there is given.
"""

# %% nbgrader={"grade": false, "grade_id": "schedules", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
class StepLR(Scheduler):
    """lr · gamma every `step_size` steps.  As `torch.optim.lr_scheduler.StepLR`."""
    def __init__(self, optimizer, step_size, gamma=0.1):
        check_whole("StepLR", step_size=step_size)
        check_number("StepLR", gamma=gamma)
        super().__init__(optimizer, step_size=step_size, gamma=gamma)

    def next_lr(self, lr, base, t):
        """lr · gamma where t is a multiple of step_size, else lr."""
        ### BEGIN SOLUTION
        return lr * self.gamma if t % self.step_size == 0 else lr
        ### END SOLUTION

class ExponentialLR(Scheduler):
    """lr · gamma every step.  As `torch.optim.lr_scheduler.ExponentialLR`."""
    def __init__(self, optimizer, gamma):
        check_number("ExponentialLR", gamma=gamma)
        super().__init__(optimizer, gamma=gamma)

    def next_lr(self, lr, base, t):
        """lr · gamma."""
        ### BEGIN SOLUTION
        return self.gamma * lr
        ### END SOLUTION

class LinearWarmup(Scheduler):
    """From start_factor · lr up to lr in `total_iters` steps.  As `torch.optim.lr_scheduler.LinearLR`."""
    def __init__(self, optimizer, total_iters=5, start_factor=1 / 3):
        check_whole("LinearWarmup", total_iters=total_iters)
        check_number("LinearWarmup", 0, 1, start_factor=start_factor)
        if not start_factor:
            raise ValueError(f"LinearWarmup: total_iters from 1 and start_factor above 0, up to 1, wanted, not {total_iters} and {start_factor}")
        super().__init__(optimizer, total_iters=total_iters, start_factor=start_factor)

    def next_lr(self, lr, base, t):
        """lr · s(t) / s(t - 1); s rises from start_factor to 1 and stays there."""
        ### BEGIN SOLUTION
        now, before = (min(1.0, self.start_factor + (1 - self.start_factor) * k / self.total_iters) for k in (t, t - 1))
        return lr * (now / before)
        ### END SOLUTION

class CosineAnnealingLR(Scheduler):
    """Half a cosine from lr down to `eta_min` in `T_max` steps, and up again.  As `torch.optim.lr_scheduler.CosineAnnealingLR`."""
    def __init__(self, optimizer, T_max, eta_min=0.0):
        check_whole("CosineAnnealingLR", T_max=T_max)
        check_number("CosineAnnealingLR", eta_min=eta_min)
        super().__init__(optimizer, T_max=T_max, eta_min=eta_min)

    def next_lr(self, lr, base, t):
        """eta_min + (lr - eta_min) · c(t) / c(t - 1)."""
        if (t - 1) % (2 * self.T_max) == self.T_max:             # from the bottom
            return lr + (base - self.eta_min) * (1 - math.cos(math.pi / self.T_max)) / 2
        ### BEGIN SOLUTION
        now, before = (1 + math.cos(math.pi * k / self.T_max) for k in (t, t - 1))
        return now / before * (lr - self.eta_min) + self.eta_min
        ### END SOLUTION

# %%
def rates(make, steps):
    """The learning rates of so many steps under these schedules, from 0.8."""
    optimizer, seen = SGD([Tensor([1.0])], lr=0.8), []
    schedulers = make(optimizer)
    for _ in range(steps):
        seen.append(optimizer.param_groups[0]["lr"])
        for scheduler in schedulers:
            scheduler.step()
    return seen

print(rates(lambda o: [CosineAnnealingLR(o, T_max=4)], 6))

# %% nbgrader={"grade": true, "grade_id": "test-schedules", "locked": true, "points": 10, "schema_version": 3, "solution": false, "task": false}
def test_unit_schedules():
    """Learning rates that fall, rise and follow a cosine."""
    expect.close(lambda: rates(lambda o: [StepLR(o, 3, gamma=0.5)], 7), [0.8] * 3 + [0.4] * 3 + [0.2], "StepLR: half every 3 steps", mistaken={
        "only every step_size steps": lambda got: got[1] != got[0], "at t = 3, 6, …: t % step_size": lambda got: got[2] != got[0]})
    expect.close(lambda: rates(lambda o: [ExponentialLR(o, 0.5)], 4), [0.8, 0.4, 0.2, 0.1], "ExponentialLR: half every step", mistaken={
        "from lr, not from base: it is halved each time": [0.8, 0.4, 0.4, 0.4], "lr already holds the earlier gammas": [0.8, 0.4, 0.1, 0.0125]})
    expect.close(lambda: rates(lambda o: [LinearWarmup(o, 3, start_factor=0.25)], 6), [0.2, 0.4, 0.6, 0.8, 0.8, 0.8],
                 "LinearWarmup: a quarter, then up", hint="s(t) = start_factor + (1 - start_factor) · t / total_iters, at most 1", mistaken={
        "s(t) above, s(t - 1) below": lambda got: np.isclose(got[2], 0.2 / 3), "it ends at base: s is at most 1": lambda got: got[5] > 0.81,
        "lr itself has start_factor in it: multiply by s(t) / s(t - 1)": lambda got: got[1] < 0.3})
    half = [0.8, 0.682843, 0.4, 0.117157, 0.0]
    expect.close(lambda: rates(lambda o: [CosineAnnealingLR(o, 4)], 9), half + half[-2::-1], "CosineAnnealingLR: down in 4 steps, and up",
                 hint="c(t) = 1 + cos(π · t / T_max); take the quotient c(t) / c(t - 1)",
                 mistaken={"c(t) above, c(t - 1) below": lambda got: got[1] > got[0]},
                 raises={ZeroDivisionError: "c(t) is 0 only at T_max: the cosine of π · t / T_max"})
    expect.close(lambda: rates(lambda o: [CosineAnnealingLR(o, 4, eta_min=0.2)], 6), [0.8, 0.712132, 0.5, 0.287868, 0.2, 0.287868],
                 "down to eta_min", hint="only what is above eta_min shrinks: eta_min + (lr - eta_min) · …")
    expect.close(lambda: rates(lambda o: [ExponentialLR(o, 0.5), StepLR(o, 2, gamma=0.1)], 4), [0.8, 0.4, 0.02, 0.01], "two schedules multiply",
                 hint="start from lr, not from base")
    expect.close(lambda: rates(lambda o: [LinearWarmup(o, 2, 0.5), CosineAnnealingLR(o, 4)], 4), [0.4, 0.512132, 0.4, 0.117157],
                 "a warm-up and a cosine", hint="start from lr, not from base")

test_unit_schedules()

# %% tags=["analysis"]
plt.figure(figsize=(7, 2.6))
for name, make in [("StepLR(30, 0.5)", lambda o: [StepLR(o, 30, 0.5)]), ("ExponentialLR(0.97)", lambda o: [ExponentialLR(o, 0.97)]),
                   ("CosineAnnealingLR(50)", lambda o: [CosineAnnealingLR(o, 50)]), ("LinearWarmup(20, 0.1)", lambda o: [LinearWarmup(o, 20, 0.1)]),
                   ("warm-up and cosine", lambda o: [LinearWarmup(o, 20, 0.1), CosineAnnealingLR(o, 100)])]:
    plt.plot(rates(make, 100), label=name)
plt.xlabel("step"); plt.ylabel("lr"); plt.legend(fontsize=7); plt.show()

# %% [markdown]
"""
All these are decided before the training starts. `ReduceLROnPlateau` looks at how it goes: it is told a number (the validation loss, say) at every
step, and lowers lr when that has not become better for more than `patience` steps in a row.

```
 metric    5   4   4   4   4   4    patience 2, cooldown 1
 bad       0   0   1   2   3►0 0    3 is more than 2: lr · factor
 cooldown  0   0   0   0   1   0    this many steps are not counted
```

**Your turn.** In `step`: a better metric becomes `best` and sets `num_bad_epochs` to 0, any other adds 1 to it. While `cooldown_counter` is above 0,
take 1 from it and set `num_bad_epochs` back to 0. Then, if `num_bad_epochs` is above `patience`: `self.lower()`, start the cooldown, count anew.
"""

# %% nbgrader={"grade": false, "grade_id": "plateau", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
class ReduceLROnPlateau(Scheduler):
    """lr · factor when a metric has stopped getting better.  As `torch.optim.lr_scheduler.ReduceLROnPlateau`."""
    def __init__(self, optimizer, mode="min", factor=0.1, patience=10, threshold=1e-4, threshold_mode="rel", cooldown=0, min_lr=0.0, eps=1e-8):
        name = "ReduceLROnPlateau"
        check_choice(name, ("min", "max"), mode=mode)
        check_choice(name, ("rel", "abs"), threshold_mode=threshold_mode)
        check_number(name, factor=factor, threshold=threshold, eps=eps)
        if factor >= 1:
            raise ValueError(f"{name}: factor must be below 1, not {factor}")
        check_whole(name, 0, patience=patience, cooldown=cooldown)
        super().__init__(optimizer, mode=mode, factor=factor, patience=patience, threshold=threshold, threshold_mode=threshold_mode,
                         cooldown=cooldown, eps=eps, cooldown_counter=0, num_bad_epochs=0, best=math.inf if mode == "min" else -math.inf)
        least = check_array(name, min_lr=min_lr)
        if least.size not in (1, len(optimizer.param_groups)) or not np.all((least >= 0) & (least < math.inf)):
            raise ValueError(f"{name}: min_lr must be a number of 0 or more, or one for each group, not {min_lr!r:.60}")
        self.min_lrs = np.broadcast_to(least.ravel(), len(optimizer.param_groups)).tolist()

    def is_better(self, metric):
        """By more than the threshold."""
        up = 1 if self.mode == "max" else -1
        bar = self.best * (1 + up * self.threshold) if self.threshold_mode == "rel" else self.best + up * self.threshold
        return up * metric > up * bar

    def lower(self):
        """lr · factor in all groups, not below min_lr."""
        for group, least in zip(self.optimizer.param_groups, self.min_lrs):
            lr = max(group["lr"] * self.factor, least)
            group["lr"] = lr if group["lr"] - lr > self.eps else group["lr"]

    def step(self, metric):
        """Look at the metric of this step, a number."""
        if check_array("ReduceLROnPlateau", metric=metric).size != 1:
            raise ValueError(f"ReduceLROnPlateau: metric must be one number, not {metric!r:.60}")
        metric, self.last_epoch = np.asarray(metric).item(), self.last_epoch + 1
        ### BEGIN SOLUTION
        if self.is_better(metric):
            self.best, self.num_bad_epochs = metric, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter, self.num_bad_epochs = self.cooldown_counter - 1, 0
        if self.num_bad_epochs > self.patience:
            self.lower()
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
        ### END SOLUTION
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]

# %% nbgrader={"grade": true, "grade_id": "test-plateau", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
def test_unit_plateau():
    """The learning rate falls when a metric has stopped getting better."""
    def told(metrics, **settings):
        scheduler, seen = ReduceLROnPlateau(SGD([Tensor([1.0])], lr=1.0), factor=0.5, **settings), []
        for metric in metrics:
            scheduler.step(metric)
            seen += scheduler.get_last_lr()
        return seen
    expect.close(lambda: told(np.array([5.0] * 7), patience=1), [1.0, 1.0, 0.5, 0.5, 0.25, 0.25, 0.125], "it never gets better", mistaken={
        "only MORE than patience bad ones lower it": [1.0, 0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625],
        "after lowering, num_bad_epochs is 0 again": [1.0, 1.0, 0.5, 0.25, 0.125, 0.0625, 0.03125],
        "count the bad ones, and keep the best": [1.0] * 7})
    expect.close(lambda: told([5.0, 6.0, 4.0, 5.0, 4.5], patience=1), [1.0] * 4 + [0.5], "6 is one bad step, 5 and 4.5 are two in a row", mistaken={
        "a better metric sets num_bad_epochs to 0": [1.0] * 3 + [0.5] * 2, "`best` changes only when it is beaten": [1.0] * 5})
    expect.close(lambda: told([5.0] * 8, patience=0, cooldown=2), [1.0, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125], "a cooldown of 2", mistaken={
        "the cooldown is not used": [1.0, 0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625, 0.0078125],
        "the cooldown never ends: take 1 from it each step": [1.0] + [0.5] * 7},
        hint="in the cooldown num_bad_epochs is 0; after lowering, cooldown_counter is self.cooldown")

test_unit_plateau()

# %% [markdown]
"""
## 11 · A network learns to read

1,797 handwritten digits of 8×8 pixels, a network of three layers, the same start and the same batches for all, and for each method an `lr` that
suits it. Whether the network reads digits that it has *not* seen is a matter of module 07.
"""

# %% tags=["analysis"]
import tinytorch as tt

course = next(folder for folder in [Path.cwd(), *Path.cwd().parents] if (folder / "datasets").is_dir())
with np.load(course / "datasets" / "digits.npz", allow_pickle=False) as archive:
    pixels, labels = archive["images"].reshape(-1, 64) / 16, archive["labels"]

def learn(make):
    """The losses of 700 batches."""
    tt.manual_seed(0)
    model = tt.Sequential(tt.Linear(64, 64), tt.ReLU(), tt.Linear(64, 32), tt.ReLU(), tt.Linear(32, 10))
    optimizer, rng, losses = make(model.parameters()), np.random.default_rng(0), []
    for _ in range(700):
        batch = rng.choice(len(labels), 32)
        optimizer.zero_grad()
        loss = tt.cross_entropy(model(Tensor(pixels[batch])), labels[batch])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return np.array(losses)

plt.figure(figsize=(6, 3))
for name, make in [("plain, lr 0.3", lambda p: SGD(p, lr=0.3)), ("momentum 0.9, lr 0.1", lambda p: SGD(p, lr=0.1, momentum=0.9)),
                   ("Adagrad, lr 0.1", lambda p: Adagrad(p, lr=0.1)), ("RMSprop, lr 0.01", lambda p: RMSprop(p, lr=0.01)),
                   ("Adam, lr 0.01", lambda p: Adam(p, lr=0.01))]:
    plt.semilogy(range(50, 701, 50), learn(make).reshape(-1, 50).mean(1), ".-", label=name)
plt.xlabel("steps"); plt.ylabel("loss, mean of 50"); plt.legend(fontsize=7); plt.show()

# %% nbgrader={"grade": true, "grade_id": "test-module", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_module():
    """Everything together: a network learns with every optimizer, in groups, with a schedule, and goes on after a stop."""
    rng = np.random.default_rng(0)
    x, starts = Tensor(rng.normal(size=(64, 5))), [rng.normal(size=shape) * 0.3 for shape in ((5, 16), (16,), (16, 3))]
    y = Tensor(np.tanh(x.numpy() @ rng.normal(size=(5, 3))))
    network = lambda: [Tensor(start, requires_grad=True) for start in starts]
    def loss(params):
        difference = (x @ params[0] + params[1]).clip(0.0, 100.0) @ params[2] - y
        return (difference * difference).mean()
    def train(optimizer, params, steps, scheduler=None):
        for _ in range(steps):
            optimizer.zero_grad()
            loss(params).backward()
            optimizer.step()
            if scheduler:
                scheduler.step(*[loss(params)] * isinstance(scheduler, ReduceLROnPlateau))
        return loss(params).item()
    for kind, lr, settings in [(SGD, 0.3, {"momentum": 0.9, "nesterov": True}), (Adagrad, 0.1, {}), (RMSprop, 0.01, {}), (AdamW, 0.05, {})]:
        params = network()
        expect.true(lambda: train(kind(params, lr, **settings), params, 100) < 0.06, f"100 steps of {kind.__name__}",
                    hint="look at the optimizer that this names")
    for schedule in (lambda o: StepLR(o, 4), lambda o: ExponentialLR(o, 0.9), lambda o: LinearWarmup(o, 12), lambda o: CosineAnnealingLR(o, 15, 1e-4),
                     lambda o: ReduceLROnPlateau(o, patience=1, threshold=0.5, threshold_mode="abs")):
        one, other = network(), network()
        first, second = (Adam([{"params": params[:2]}, {"params": params[2:], "lr": 0.05, "weight_decay": 0.1}], lr=0.01) for params in (one, other))
        a, b = schedule(first), schedule(second)
        train(first, one, 8, a)
        for p, q in zip(other, one):
            p.data[...] = q.data
        second.load_state_dict(first.state_dict()); b.load_state_dict(a.state_dict())
        expect.close(lambda: train(second, other, 9, b), train(first, one, 9, a), f"{type(a).__name__}: after a stop, the very same", tol=1e-9)
    first.zero_grad(set_to_none=False); second.zero_grad()
    expect.true(lambda: all((p.grad.data == 0).all() and q.grad is None for p, q in zip(one, other)), "zero_grad forgets; zeros, if asked for")
    expect.true(lambda: repr(first).startswith("Adam(2 parameters, lr="), "it shows its groups")

test_module()

# %% [markdown]
"""
## 12 · In your own words

**Question 1.** All slopes of a network are multiplied by 1000 (somebody forgot to divide the loss by the batch size). What changes for SGD, what for
Adam? And what if `eps` were 1?
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-scale", "locked": false, "points": 5, "schema_version": 3, "solution": true, "task": false}
"""
SGD steps 1000 times as far, and probably diverges until lr is divided by 1000. In Adam m and √v both grow by 1000, their quotient stays: the same
steps. Only eps is added without being multiplied, so it counts 1000 times less than before: nothing for 1e-8, but with eps = 1 the steps get longer.
"""

# %% [markdown]
"""
**Question 2.** A model has 1 billion weights in float32. How much memory do weights, gradients and the optimizer's state take with plain SGD, with
momentum and with Adam? Why is the scratch of a step not on your list?
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-memory", "locked": false, "points": 5, "schema_version": 3, "solution": true, "task": false}
"""
4 GB of weights and 4 GB of gradients: 8 GB plain. Momentum adds one array, 12 GB. Adam adds two, 16 GB. The scratch is two blocks of 128 KB, whatever
the size of the model; the textbook lines would have needed arrays of the size of the largest parameter, several at a time.
"""

# %% [markdown]
"""
## Where you are

Five optimizers and five schedules, each an answer to a failure that you saw. What is still missing is the loop around them: batches, epochs,
validation, stopping in time, saving. `tito module complete 06`, then module 07.
"""
