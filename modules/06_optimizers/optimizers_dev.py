# %% [markdown]
"""
# 06 Optimizers

> Slopes say which way is down. An optimizer decides how far to go.

Module 05 gives every weight its slope. What to do with it took seventy years to find out, and each idea answers a failure of the one before. You
will watch the failures, and end with the optimizer that trains nearly every network of today.
"""

# %% nbgrader={"grade": false, "grade_id": "start", "locked": true, "schema_version": 3, "solution": false, "task": false}
import tito.notebook
from tito.check import expect

tito.notebook.use(6)

# %%
#| default_exp core.optimizers
#| view optim

# %% nbgrader={"grade": false, "grade_id": "imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
import math
import warnings

import numpy as np

from tinytorch.core.autograd import enable_grad
from tinytorch.core.tensor import Tensor

# %% [markdown]
r"""
## 1 · A narrow valley

Two weights, and a loss that is 50 times steeper in one direction than in the other: $\ell = \frac12 (x^2 + 50 y^2)$. Its lowest point is (0, 0). Walk
against the slope, 100 steps from (−8, 1), with five step lengths:
"""

# %%
steepness = Tensor([1.0, 50.0])

def valley(w):
    """A long valley with steep sides: (2,) -> ()"""
    return 0.5 * (w * w * steepness).sum()

for lr in (0.001, 0.01, 0.038, 0.0399, 0.041):
    w = Tensor([-8.0, 1.0], requires_grad=True)
    for _ in range(100):
        w.grad = None
        valley(w).backward()
        w.data = w.data - lr * w.grad.data
    print(f"lr {lr:6}:  x = {w.data[0]:7.3f}   y = {w.data[1]:9.3f}   loss {valley(w).item():10.4f}")

# %% [markdown]
"""
No length is good. Short steps crawl along the floor: after 100 of them, `x` is still far from 0. Long steps bounce between the walls, and a little
above 0.04 they climb out. Along `y` a step multiplies the distance by 1 − 50·lr, along `x` by 1 − lr: the steep direction dictates a step that the
flat one has no use for. Real losses have ratios of thousands.
"""

# %% tags=["analysis"]
import time
import tracemalloc
from pathlib import Path

import matplotlib.pyplot as plt

def contours(axis, title):
    """The valley from above."""
    xs, ys = np.meshgrid(np.linspace(-9, 3, 100), np.linspace(-1.4, 1.4, 100))
    axis.contour(xs, ys, 0.5 * (xs ** 2 + 50 * ys ** 2), levels=np.geomspace(0.1, 60, 12), cmap="viridis", linewidths=0.7)
    axis.plot(0, 0, "k+"); axis.set_title(title, fontsize=10)

figure, axes = plt.subplots(1, 2, figsize=(10, 2.4))
for axis, lr in zip(axes, (0.01, 0.038)):
    place, path = np.array([-8.0, 1.0]), []
    for _ in range(40):
        path.append(place); place = place - lr * place * [1, 50]
    contours(axis, f"40 steps with lr = {lr}"); axis.plot(*np.array(path).T, ".-", color="crimson", markersize=4)
plt.show()

# %% [markdown]
"""
## 2 · Who holds what

Every method below does the same around its formula: it knows the parameters, forgets old slopes, and skips what got none. That is a class of its
own. A **group** is a dict with parameters and the settings they share, so that, for example, the last layer may learn faster:

```
 param_groups                              state: what is remembered
 0: {"params": [w1, b1], "lr": 0.01, …}    w1 ──► {…}
 1: {"params": [w2, b2], "lr": 0.1,  …}    b1 ──► {…}
 (its own settings, else the defaults)     (empty before the first step)
```

`settings_checked` is given: it tells settings that make no sense.
"""

# %%
#| export
def settings_checked(name, group):
    """The group as it is.  ValueError, in the name of an optimizer, for settings that make no sense."""
    for key, value in group.items():
        if key in ("lr", "momentum", "weight_decay", "alpha", "betas", "eps", "lr_decay", "initial_accumulator_value") and not np.min(value) >= 0:
            raise ValueError(f"{name}: {key} must be 0 or more, not {value}")
    if max(group.get("betas", [0])) >= 1:
        raise ValueError(f"{name}: betas must be below 1, not {group['betas']}; usual are (0.9, 0.999)")
    if group.get("nesterov") and (group["momentum"] <= 0 or group["dampening"]):
        raise ValueError(f"{name}: nesterov needs a momentum above 0 and a dampening of 0")
    return group


class Optimizer:
    """Holds parameters in groups, each with its settings.  As `torch.optim.Optimizer`.

    params: Tensors, or dicts {"params": Tensors, "lr": …}; `defaults` are the settings that a group does not name.
    A subclass writes `update(p, g, state, group)`, which changes the array `p` in place.
    """
    def __init__(self, params, defaults):
        name, groups = type(self).__name__, [params] if isinstance(params, Tensor) else list(params)
        if isinstance(params, Tensor):
            raise TypeError(f"{name}: a list of Tensors wanted, not one Tensor; write [w]")
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
    name, params = type(self).__name__, group["params"]
    if isinstance(params, set):
        raise TypeError(f"{name}: a set has no order, and a saved state needs one; use a list")
    params = [params] if isinstance(params, Tensor) else list(params)
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
w, b = Tensor(np.ones((3, 2)), requires_grad=True), Tensor(np.zeros(2), requires_grad=True)
Optimizer([{"params": [w]}, {"params": b, "lr": 0.5}], {"lr": 0.1})

# %% nbgrader={"grade": true, "grade_id": "test-add-group", "locked": true, "points": 10, "schema_version": 3, "solution": false, "task": false}
def test_unit_add_group():
    """Parameters are held in groups, each with its own settings."""
    a, b, c = (Tensor([1.0, 2.0], requires_grad=True) for _ in range(3))
    defaults, given = {"lr": 0.1, "momentum": 0.0}, {"params": a, "lr": 0.5}
    both = lambda: Optimizer([given, {"params": [b]}], defaults)
    expect.same(lambda: [g["lr"] for g in both().param_groups], [0.5, 0.1], "a group's own settings come first, else the defaults", mistaken={
        "the group's own settings win: write them after the defaults": [0.1, 0.1], "each group is a dict of its own, not self.defaults": [0.5, 0.5]},
        raises={KeyError: "what a group does not name comes from self.defaults", ValueError: "equal numbers are not the same Tensor: compare id(p)"})
    expect.true(lambda: [[p is q for p in g["params"]] for g, q in zip(both().param_groups, (a, b))] == [[True], [True]], "each has the very Tensors, in a list",
                hint='the group keeps its Tensors under "params", as the list `params`')
    expect.true(lambda: given.keys() == {"params", "lr"} and given["params"] is a, "the given dict is not changed",
                hint="make a new dict, {**one, **another}, and leave the given one alone")
    optimizer = both()
    optimizer.param_groups[0]["lr"] = 7.0
    expect.same(lambda: (defaults["lr"], optimizer.param_groups[1]["lr"]), (0.1, 0.1), "groups do not share their dict",
                hint="each group is a dict of its own, not self.defaults")
    for what, again in [("two", [{"params": [a]}, {"params": [b, a]}]), ("three", [{"params": c}, {"params": a}, {"params": c}])]:
        expect.raises(ValueError, lambda: Optimizer(again, defaults), f"the same parameter in two of {what} groups is refused",
                      match="Optimizer", hint="look through the params of ALL groups that are there: any id(p) twice is a ValueError")
    optimizer.add_param_group({"params": [c], "momentum": 0.9})
    expect.same(lambda: (len(optimizer.param_groups), optimizer.param_groups[-1]["momentum"]), (3, 0.9), "a group may come later, once")
    for error, wrong in [(TypeError, a), (TypeError, [3.0]), (TypeError, [{"params": {a}}]), (ValueError, []), (ValueError, [a * 2.0]),
                         (ValueError, [{"params": [a], "lr": -1.0}]), (ValueError, [{"params": [a], "lr": math.nan}])]:
        expect.raises(error, lambda: Optimizer(wrong, defaults), "what makes no sense is refused", match="Optimizer")

test_unit_add_group()

# %% [markdown]
"""
Now the two methods that every training loop calls. `zero_grad` forgets the slopes; `step` updates each parameter that has one. The slopes must be
forgotten, because `backward` adds to what is there.
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
        for p in group["params"]:
            if p.grad is None:
                continue
            if p.grad.shape != p.shape:
                raise ValueError(f"{type(self).__name__}: a parameter of shape {p.shape} has a gradient of shape {p.grad.shape}")
            self.update(p.data, p.grad.data, self.state.setdefault(p, {}), group)
    return loss


Optimizer.zero_grad, Optimizer.step = _zero_grad, _step

# %% [markdown]
"""
## 3 · In place, block by block

`w.data = w.data - lr * w.grad.data` makes two new arrays and lets go of the old one. Whoever else held the weights is left with that. `-=` writes into
the array that is there:
"""

# %%
w = Tensor([1.0, 2.0])
held = w.data                                                    # by a thread that shows the weights, say
w.data -= 0.5
print("in place: ", w.data, held)
w.data = w.data - 0.5
print("new array:", w.data, held)

# %% [markdown]
"""
There is a second reason. A formula such as Adam's makes a dozen passes over arrays that are too large for the processor's cache, so that each pass
waits for the memory. Cut the arrays into blocks, and do *all* passes on one block while it is in the cache:

```
 p  ██████│██████│██████│███    first all passes on the first block
 g  ██████│██████│██████│███    of p, g and what is kept (m, v, …),
 m  ██████│██████│██████│███    then on the next
 v  ██████│██████│██████│███
 u  ██████                      scratch: one block, used again
```

Slices are views: what is written into the block `p[at:at + rows]` is written into `p`. `np.multiply(a, b, out=u)` puts the product into `u`
and returns `u`.

**Weight decay.** Weights that grow without need make a network overfit. Adding `decay * p` to the slope pulls every weight towards 0 (it is the slope of
½ · decay · p²). All methods want it, so it is done here, for the block.

**Your turn.** The arrays have been made flat, `n` long each. Yield for every `at` in steps of `rows`: the blocks of all `arrays` and the scratch,
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
    if all(a.flags.c_contiguous for a in arrays):                # else they are cut along their first axis
        arrays = [a.reshape(-1) for a in arrays]
    n = len(arrays[0])
    rows = max(1, BLOCK_SIZE * n // max(p.size, 1))              # flat: BLOCK_SIZE
    u, d = (np.empty_like(arrays[0][:rows]) if wanted else None for wanted in (True, decay))
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
    p, g, m = np.arange(80_000, dtype=np.float32), np.ones(80_000, np.float32), np.zeros(80_000, np.float32)
    expect.same(lambda: [[len(x) for x in block] for block in blocks(p, g, m)], [[32768] * 4, [32768] * 4, [14464] * 4],
                "80,000 numbers are three blocks of p, g, m and u", hint="yield (p, g, *kept, u) for at = 0, rows, 2·rows … below n; u as long as p")
    expect.close(lambda: [block[0][0] for block in blocks(p, g, m)], [0.0, 32768.0, 65536.0], "one after the other",
                 hint="slice from `at` to `at + rows`")
    def write(*arrays):
        for p, g, *kept, u in blocks(*arrays):
            u[...] = 2.0
            p -= u
            for k in kept:
                k += g
        return arrays
    expect.true(lambda: np.array_equal(write(p, g, m)[0], np.arange(80_000) - 2.0) and (m == 1).all(), "what is written there is written into the arrays",
                hint="yield the slices themselves, not copies or results")
    expect.close(lambda: [list(b[1]) for b in blocks(np.float32([1, 2]), np.float32([10, 20]), decay=0.5)], [[10.5, 21.0]], "decay · p is added",
                 mistaken={"decay is multiplied with p, not with g": [[15.0, 30.0]], "g itself is missing": [[0.5, 1.0]],
                           "decay is not used": [[10.0, 20.0]], "the decay is added: it makes the slope point away from 0": [[9.5, 19.0]]})
    big = [np.ones(500_000, np.float32) for _ in range(3)]
    import tracemalloc
    tracemalloc.start(); list(zip(*blocks(*big, decay=0.1))); peak = tracemalloc.get_traced_memory()[1]; tracemalloc.stop()
    expect.true(lambda: (big[1] == 1).all(), "the gradient stays as it is", hint="write g + decay · p into d, not into g")
    expect.true(lambda: peak < 300_000, "no array of the parameter's size is made", hint="the parameter has 2 MB, two blocks of scratch 256 KB: write into d")
    one = lambda *shape: np.ones(shape, np.float32)
    for what, p in [*[(f"shape {shape}", one(*shape)) for shape in ((), (3,), (0,), (2, 3, 4), (1, 50_000))], ("transposed", one(300, 200).T)]:
        expect.true(lambda: (write(p, one(*p.shape), one(*p.shape))[0] == -1).all(), f"any array, {what}", hint="take everything from `arrays`, not from p, g and kept")
    expect.same(lambda: next(blocks(np.ones(2), np.ones(2), decay=0.1))[1].dtype, np.dtype(float), "float64 stays float64")

test_unit_blocks()

# %% [markdown]
"""
Three small tools, given. `kept` finds the arrays that an optimizer remembers of a parameter. `blend` and `scaled` are the two formulas that all
methods below are made of, in place:
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

# %%
a, u = np.array([0.0, 10.0]), np.empty(2)
for _ in range(3):
    blend(a, 0.9, np.array([1.0, 1.0]), 0.1, u)                  # nine tenths of the old, one tenth of the new
    print(a)
print(scaled(np.array([3.0, 0.3]), np.array([9.0, 0.09]), 1e-8, u))

# %% [markdown]
r"""
## 4 · Momentum

A ball in the valley does not zigzag: it is heavy. The pushes of the two walls cancel, the small ones along the floor add up. So remember a velocity:

$$b \leftarrow \mu\, b + (1 - \text{dampening})\, g \qquad\qquad p \leftarrow p - \mathrm{lr} \cdot b$$

With $\mu = 0.9$ a constant slope adds up to $1 + 0.9 + 0.81 + \dots = 10$ times itself. On the very first step $b$ is $g$, without dampening.
**Nesterov** looks where the ball is going: it steps along $g + \mu b$ with the new $b$.

```
 plain      ╲╱╲╱╲╱╲╱─►     each step is the slope here
 momentum   ╲_╱╲__╱──►     pushes of the walls cancel, the others add up
 Nesterov   ╲╱───────►     corrected before it overshoots
```

**Your turn.** `blend` does the first formula, and `first` says whether this is the first step. The arrays `p` and `b` are changed in place; `g` belongs to
somebody else, and `u` is yours.
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


def _sgd(self, p, g, state, group):
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


SGD.update = _sgd

# %%
def walk(make, slopes, start=1.0, dtype=None):
    """Where one weight is after each of these slopes."""
    w, places = Tensor([start], requires_grad=True, dtype=dtype), []
    optimizer = make([w])
    for slope in slopes:
        w.grad = Tensor([slope], dtype=dtype)
        optimizer.step()
        places.append(w.item())
    return np.array(places)

def memory_of_a_step(make):
    """How many bytes a step of 500,000 weights needs for a while."""
    import tracemalloc
    w = Tensor(np.ones(500_000), requires_grad=True)
    w.grad, optimizer = Tensor(np.ones(500_000)), make([w])
    optimizer.step()
    tracemalloc.start(); optimizer.step(); peak = tracemalloc.get_traced_memory()[1]; tracemalloc.stop()
    return peak

print("plain   ", walk(lambda w: SGD(w, lr=0.1), [1.0, 1.0, 1.0, 1.0]))
print("momentum", walk(lambda w: SGD(w, lr=0.1, momentum=0.5), [1.0, 1.0, 1.0, 1.0]))

# %% nbgrader={"grade": true, "grade_id": "test-sgd", "locked": true, "points": 12, "schema_version": 3, "solution": false, "task": false}
def test_unit_sgd():
    """SGD steps against the slope, with a velocity, looking ahead, and in place."""
    slopes = [1.0, 1.0, -2.0]
    steps = lambda **settings: walk(lambda w: SGD(w, lr=0.1, **settings), slopes)
    expect.close(lambda: steps(), [0.9, 0.8, 1.0], "without momentum: lr times the slope")
    expect.close(lambda: steps(momentum=0.5), [0.9, 0.75, 0.875], "b is 1, 1.5, -1.25: p goes down by lr · b each time", mistaken={
        "step along b, not along g": [0.9, 0.8, 1.0], "against the velocity: p -= …": [1.1, 1.25, 1.125],
        "the step is lr · b": lambda got: np.isclose(got[0], 0.0) or np.isclose(got[0], 0.99),
        "b = momentum · b + g: the new slope counts fully": [0.95, 0.875, 0.9375], "momentum was applied again, as for nesterov": [0.85, 0.675, 0.9375],
        "what is kept is b, not lr · b: multiply into u": [0.9, 0.795, 0.98975], "write into p: p -= …, not p = p - …": [1.0, 1.0, 1.0]})
    expect.close(lambda: steps(momentum=0.5, dampening=0.5), [0.9, 0.8, 0.85], "dampening 0.5: b is 1, 1, -0.5", mistaken={
        "on the first step b is g, without dampening": [0.95, 0.875, 0.9375], "dampening is not used": [0.9, 0.75, 0.875]},
        hint="the share of g is 1 on the first step, then 1 - dampening")
    expect.close(lambda: walk(lambda w: SGD(w, lr=0.1, momentum=0.5, dampening=0.2), [1.0] * 3), [0.9, 0.77, 0.625], "dampening 0.2: b is 1, 1.3, 1.45",
                 mistaken={"the share is 1 - dampening": [0.9, 0.83, 0.775]})
    expect.close(lambda: steps(momentum=0.5, nesterov=True), [0.85, 0.675, 0.9375], "nesterov: along g + momentum · b", mistaken={
        "nesterov is not used": [0.9, 0.75, 0.875], "take the NEW b: blend first": [0.9, 0.75, 0.875 + 0.05],
        "g + momentum · b, not g + b": [0.8, 0.55, 0.875]}, hint="blend first; then step along g + momentum · b")
    expect.close(lambda: steps(momentum=0.5, weight_decay=0.5), [0.85, 0.6325, 0.692125], "weight decay 0.5")
    w, untouched, other = (Tensor(np.ones(40_000), requires_grad=True) for _ in range(3))
    w.grad, other.grad = Tensor(np.ones(40_000)), Tensor(np.zeros(40_000))
    held, optimizer = w.data, SGD([w, untouched, other], lr=0.1, momentum=0.5, nesterov=True)
    optimizer.step(); optimizer.step()
    expect.true(lambda: (w.grad.data == 1).all(), "the gradient stays as it is", hint="write into u, never into g")
    expect.true(lambda: w.data is held and np.allclose(held, 0.675), "in place, in all blocks", hint="write into p: p -= …")
    expect.close(lambda: (untouched.data[0], other.data[0]), (1.0, 1.0), "one without a gradient stays where it is, and each has its own velocity")
    expect.same(lambda: optimizer.state[w]["momentum_buffer"].dtype, np.dtype(np.float32), "the velocity of a float32 is float32")
    expect.close(lambda: optimizer.state[w]["momentum_buffer"][:3], [1.5] * 3, "and it is b that is kept", hint="b must not be multiplied by lr")
    expect.close(lambda: walk(lambda w: SGD(w, lr=0.1, momentum=0.5), slopes, dtype=float), np.array([0.9, 0.75, 0.875]), "float64 is exact", tol=1e-12,
                 hint="compute in the arrays that are there")
    expect.true(lambda: memory_of_a_step(lambda w: SGD(w, momentum=0.9, nesterov=True)) < 170_000, "a step takes one block of scratch, 128 KB",
                hint="write results into u: out=u")

test_unit_sgd()

# %% [markdown]
"""
How many steps through the valley until the loss is below 0.001? For plain steps, 0.038 was nearly the best there is.
"""

# %%
def steps_through_the_valley(make, most=2000):
    """How many steps bring the loss from 57 below 0.001; where it went."""
    w = Tensor([-8.0, 1.0], requires_grad=True)
    optimizer, path = make([w]), [w.numpy().copy()]
    while valley(w).item() > 0.001 and len(path) <= most:
        optimizer.zero_grad()
        valley(w).backward()
        optimizer.step()
        path.append(w.numpy().copy())
    return len(path) - 1, np.array(path)

for name, make in [("plain, lr 0.038", lambda w: SGD(w, lr=0.038)), ("momentum 0.8, lr 0.02", lambda w: SGD(w, lr=0.02, momentum=0.8)),
                   ("Nesterov 0.8, lr 0.02", lambda w: SGD(w, lr=0.02, momentum=0.8, nesterov=True))]:
    print(f"{name:<22} {steps_through_the_valley(make)[0]:4} steps")

# %% [markdown]
r"""
## 5 · A scale for each weight

Momentum still has one step length for all. The slopes along `y` are 50 times those along `x`; divide each by its own typical size, and both
directions look alike. **Adagrad** (2011) divides by the root of the sum of all squares so far:

$$s \leftarrow s + g^2 \qquad\qquad p \leftarrow p - \mathrm{lr}_t \frac{g}{\sqrt{s} + \varepsilon} \qquad\qquad \mathrm{lr}_t = \frac{\mathrm{lr}}{1 + (t - 1)\,\text{lr\_decay}}$$

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
    steps = lambda slopes, **settings: walk(lambda w: Adagrad(w, lr=0.1, **settings), slopes)
    expect.close(lambda: steps([2.0, 2.0, 1.0]), [0.9, 0.829289, 0.795956], "s is 4, 8, 9: the steps are 0.1 · 2/2, 2/√8, 1/3", mistaken={
        "divide by the root of s": lambda got: np.isclose(got[0], 0.95), "s grows by the square of g": lambda got: np.isclose(got[0], 1 - 0.2 / 2 ** 0.5),
        "a step goes against the slope": lambda got: got[0] > 1, "first s, then the step": lambda got: got[0] < -1e3,
        "write into u, never into g": lambda got: np.isclose(got[0], 0.8), "s is a sum: it keeps what was there": lambda got: np.allclose(got, [0.9, 0.8, 0.7])})
    expect.close(lambda: steps([500.0]), steps([0.005]), "the size of the slope does not matter", hint="g / (√s + eps)")
    expect.close(lambda: steps([0.0, 0.0]), [1.0, 1.0], "a slope of 0 is no reason to move", hint="eps keeps 0/0 away")
    expect.close(lambda: steps([2.0, 2.0], lr_decay=1.0, initial_accumulator_value=5.0), [1 - 0.2 / 3, 1 - 0.2 / 3 - 0.1 / 13 ** 0.5],
                 "lr_decay and the first value of s", hint="`lr` has the decay in it, and s starts as given")
    w = Tensor(np.ones(40_000), requires_grad=True)
    w.grad = Tensor(np.full(40_000, 2.0))
    optimizer = Adagrad([w], lr=0.1)
    optimizer.step()
    expect.true(lambda: (w.grad.data == 2).all() and np.allclose(w.data, 0.9), "in all blocks, and the gradient stays", hint="write into u, never into g")
    expect.close(lambda: optimizer.state[w]["sum"][[0, -1]], [4.0, 4.0], "s is kept", hint="add to s in place")
    expect.true(lambda: memory_of_a_step(Adagrad) < 170_000, "a step takes one block of scratch, 128 KB", hint="write results into u: out=u")

test_unit_adagrad()

# %%
print("Adagrad, slope 1 every time:", -np.diff(walk(lambda w: Adagrad(w, lr=0.1), [1.0] * 1000), prepend=1.0)[[0, 1, 9, 99, 999]])

# %% [markdown]
r"""
Those are steps 1, 2, 10, 100 and 1000. The sum only grows, so the steps only shrink: what was steep long ago is held against a weight forever.
**RMSprop** (2012) forgets: an *average* of squares that keeps $\alpha$ of itself each time. It may have a momentum too, on the scaled slope:

$$v \leftarrow \alpha v + (1 - \alpha)\, g^2 \qquad\qquad b \leftarrow \mu\, b + \frac{g}{\sqrt{v} + \varepsilon} \qquad\qquad p \leftarrow p - \mathrm{lr} \cdot b$$

**Your turn.** `b` is None where there is no momentum; then the fraction itself takes its place. `blend` does not mind if `x` and `u` are the same array.
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
    steps = lambda slopes, **settings: walk(lambda w: RMSprop(w, lr=0.1, **settings), slopes)
    expect.close(lambda: steps([2.0, 2.0, 1.0], alpha=0.5), [0.858579, 0.743109, 0.672398], "v is 2, 3, 2", mistaken={
        "v keeps alpha of itself and takes 1 - alpha of the new square": lambda got: np.isclose(got[1], 0.829289),
        "divide by the root of v": lambda got: np.isclose(got[1], 0.833333),
        "average the squares of g": lambda got: np.isclose(got[0], 0.8), "a step goes against the slope": lambda got: got[0] > 1,
        "first v, then the step": lambda got: got[0] < -1e3})
    expect.close(lambda: steps([2.0, 2.0], alpha=0.75), [0.8, 0.648814], "v is 1, 1.75 with alpha = 0.75", mistaken={
        "alpha and 1 - alpha are exchanged": lambda got: np.isclose(got[0], 1 - 0.2 / 3 ** 0.5)})
    expect.close(lambda: steps([2.0, 2.0, 1.0], alpha=0.5, momentum=0.5), [0.858579, 0.672398, 0.508597], "with momentum", mistaken={
        "momentum is not used": [0.858579, 0.743109, 0.672398], "the new fraction counts fully": lambda got: np.isclose(got[0], 1 - 0.1 / 2 ** 0.5),
        "the momentum is of g / (√v + eps)": lambda got: np.isclose(got[0], 0.8) or np.isclose(got[0], 1 - 0.14142136, atol=1e-6)})
    expect.close(lambda: steps([0.0, 0.0]), [1.0, 1.0], "a slope of 0 is no reason to move", hint="eps keeps 0/0 away")
    expect.close(lambda: steps([10.0], alpha=0.5, eps=1.0), [0.876101], "eps is added to the root", hint="√v + eps: `scaled` does it")
    w = Tensor(np.ones(40_000), requires_grad=True)
    w.grad = Tensor(np.full(40_000, 2.0))
    optimizer = RMSprop([w], lr=0.1, momentum=0.5, alpha=0.5)
    optimizer.step(); optimizer.step()
    expect.true(lambda: (w.grad.data == 2).all() and np.allclose(w.data, 0.672398), "in all blocks, and the gradient stays", hint="write into u, never into g")
    expect.close(lambda: [optimizer.state[w][name][0] for name in ("square_avg", "momentum_buffer")], [3.0, 1.861807], "v and b are kept",
                 hint="b is kept before it is multiplied by lr")
    expect.true(lambda: memory_of_a_step(lambda w: RMSprop(w, momentum=0.9)) < 170_000, "a step takes one block of scratch, 128 KB", hint="write results into u: out=u")

test_unit_rmsprop()

# %%
print("RMSprop, slope 1 every time:", -np.diff(walk(lambda w: RMSprop(w, lr=0.1), [1.0] * 1000), prepend=1.0)[[0, 1, 9, 99, 999]])

# %% [markdown]
r"""
## 6 · Adam

The steps do not fade any more, but look at the first: it is ten times `lr`. The average started at 0, not at the truth: after one step it is $0.01\, g^2$,
and its root a tenth of $g$. A mean of slopes starts at 0 too. How far off both are is known: after $t$ steps an average that keeps $\beta$ has reached
the share $1 - \beta^t$ of what it is an average of.
"""

# %%
m, v, u = np.zeros(1), np.zeros(1), np.empty(1)
print("  t     m       v       m/√v    corrected")
for t in range(1, 1001):
    blend(m, 0.9, np.ones(1), 0.1, u)                            # the slope is 1 every time: both should be 1
    blend(v, 0.999, np.ones(1), 0.001, u)
    if t in (1, 2, 3, 10, 100, 1000):
        corrected = (m / (1 - 0.9 ** t)) / np.sqrt(v / (1 - 0.999 ** t))
        print(f"{t:4}  {m[0]:.4f}  {v[0]:.4f}  {(m / np.sqrt(v))[0]:7.4f}  {corrected[0]:7.4f}")

# %% [markdown]
r"""
Without the correction the steps are three to six times too long, just when the network knows least; the last column is right from the first step on. **Adam** (2015) is momentum, RMSprop and this
correction:

$$m \leftarrow \beta_1 m + (1 - \beta_1)\, g \qquad v \leftarrow \beta_2 v + (1 - \beta_2)\, g^2 \qquad
p \leftarrow p - \mathrm{lr}\, \frac{m / (1 - \beta_1^t)}{\sqrt{v / (1 - \beta_2^t)} + \varepsilon}$$

The corrections are two *numbers*; to divide whole arrays by them costs two passes. With $r = \sqrt{1 - \beta_2^t}$, multiply above and below by $r$:

$$p \leftarrow p - \Big(\mathrm{lr}\, \frac{r}{1 - \beta_1^t}\Big) \frac{m}{\sqrt{v} + \varepsilon r}$$

**Your turn.** First the two numbers `size` (the bracket) and `small` ($\varepsilon r$), then the block: three lines with `blend` and `scaled`. `t` is 1 on the
first step. Stay with Python's numbers (`math.sqrt`).
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


def _adam(self, p, g, state, group):
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


Adam.update = _adam

# %% nbgrader={"grade": true, "grade_id": "test-adam", "locked": true, "points": 12, "schema_version": 3, "solution": false, "task": false}
def test_unit_adam():
    """Adam divides an average of slopes by the root of an average of squares, both corrected."""
    steps = lambda slopes, **settings: walk(lambda w: Adam(w, **{"lr": 0.1, **settings}), slopes)
    expect.close(lambda: steps([500.0])[0], 0.9, "the first step is lr, for a large slope", mistaken={
        "no correction: m and v start at 0": lambda got: np.isclose(got, 1 - 0.316228),
        "v is not corrected": lambda got: np.isclose(got, 1 - 0.1 / 0.001 ** 0.5, rtol=1e-3), "m is not corrected": lambda got: np.isclose(got, 0.99),
        "a step goes against the slope": lambda got: np.isclose(got, 1.1), "r is a ROOT, and v an average, not a sum": lambda got: np.isclose(got, 1 - 0.1 * 0.001 ** 0.5, atol=1e-5),
        "divide by the root of v": lambda got: 0.99 < got < 1, "v is an average of squares": lambda got: np.isclose(got, 1 - 0.1 * 500 ** 0.5),
        "m is an average, corrected once: step along m, and leave it as it is": lambda got: abs(got) < 1e-3},
        raises={ZeroDivisionError: "the first step has t = 1"})
    expect.close(lambda: steps([-0.005])[0], 1.1, "and for a small one", tol=1e-4, hint="m / (√v + small)")
    slopes = [2.0, -1.0, 1.0, 0.0]
    expect.close(lambda: steps(slopes, betas=(0.5, 0.75)), [0.9, 0.9, 0.856552, 0.831093], "betas 0.5 and 0.75", mistaken={
        "beta1 is for m, beta2 for v": [0.9, 0.879797, 0.830050, 0.783859]})
    expect.close(lambda: steps(slopes), [0.9, 0.873366, 0.828476, 0.791705], "the usual betas")
    expect.close(lambda: steps(slopes, eps=1.0), [0.933333, 0.917019, 0.890726, 0.870487], "eps = 1: it is added after v is corrected", mistaken={
        "eps needs the factor r as well: small = eps · r": [0.994052, 0.992293, 0.989068, 0.986428]}, hint="small is eps · r")
    expect.close(lambda: steps(slopes, weight_decay=0.5), [0.9, 0.850557, 0.786073, 0.725985], "weight decay goes into the slope", hint="blocks(…, decay=…) adds it to g")
    expect.close(lambda: steps([0.0, 0.0]), [1.0, 1.0], "a slope of 0 is no reason to move")
    w, other, fresh = (Tensor(np.ones(40_000), requires_grad=True) for _ in range(3))
    w.grad, other.grad = Tensor(np.full(40_000, 2.0)), Tensor(np.full(40_000, -2.0))
    held, optimizer = w.data, Adam([w, other, fresh], lr=0.1)
    for _ in range(3):
        optimizer.step()
    expect.true(lambda: w.data is held and np.allclose(held, 0.7) and np.allclose(other.data, 1.3), "in place, each with its own averages",
                hint="write into p: p -= …")
    expect.true(lambda: (w.grad.data == 2).all() and (fresh.data == 1).all(), "the gradient stays as it is, and without one nothing moves",
                hint="write into u, never into g")
    state = optimizer.state[w]
    expect.close(lambda: [state["exp_avg"][7], state["exp_avg_sq"][7]], [0.542, 0.011988], "m and v are kept as they are, uncorrected",
                 hint="correct with `size` and `small`; leave m and v alone")
    expect.same(lambda: (state["step"], w.dtype, state["exp_avg"].dtype, state["exp_avg_sq"].dtype), (3, *[np.dtype(np.float32)] * 3),
                "numbers are Python's, arrays float32")
    expect.close(lambda: walk(lambda w: Adam(w, lr=0.1), slopes, dtype=float), np.array([0.9000000005, 0.8733662967, 0.8284759673, 0.791704541]), "float64 is exact", tol=1e-9)
    expect.true(lambda: memory_of_a_step(Adam) < 170_000, "a step takes one block of scratch, 128 KB", hint="work on the blocks, and write results into u: out=u")

test_unit_adam()

# %%
for name, make in [("Adagrad, lr 1", lambda w: Adagrad(w, lr=1.0)), ("RMSprop, lr 0.1", lambda w: RMSprop(w, lr=0.1)),
                   ("Adam, lr 0.5", lambda w: Adam(w, lr=0.5))]:
    print(f"{name:<22} {steps_through_the_valley(make)[0]:4} steps")

# %% [markdown]
r"""
Momentum was faster here, with settings chosen for this very valley. The three that scale their slopes have hardly noticed that it is narrow: they walk
alike through every valley whose axes differ in scale. Here are the paths.
"""

# %% tags=["analysis"]
figure, axes = plt.subplots(2, 3, figsize=(11, 4.6))
for axis, (name, make) in zip(axes.flat, [
        ("plain, lr 0.038", lambda w: SGD(w, lr=0.038)), ("momentum 0.8, lr 0.02", lambda w: SGD(w, lr=0.02, momentum=0.8)),
        ("Nesterov 0.8, lr 0.02", lambda w: SGD(w, lr=0.02, momentum=0.8, nesterov=True)), ("Adagrad, lr 1", lambda w: Adagrad(w, lr=1.0)),
        ("RMSprop, lr 0.1", lambda w: RMSprop(w, lr=0.1)), ("Adam, lr 0.5", lambda w: Adam(w, lr=0.5))]):
    count, path = steps_through_the_valley(make)
    contours(axis, f"{name}: {count} steps"); axis.plot(*path.T, ".-", color="crimson", markersize=3, linewidth=0.8)
figure.tight_layout(); plt.show()

# %% [markdown]
r"""
## 7 · Decay that is not scaled

Weight decay goes into the slope, and Adam divides slopes by their size. So the decay is divided too, and what was meant as the same pull for all
becomes a strong pull for weights with small slopes. Three weights start at 1; their slopes push forth and back and mean nothing, only their sizes differ:
"""

# %%
sizes = np.array([10.0, 1.0, 0.01])

def decayed(make, steps=1000):
    """Three weights after slopes that only change their sign."""
    w = Tensor([1.0, 1.0, 1.0], requires_grad=True)
    optimizer = make([w])
    for t in range(steps):
        w.grad = Tensor(sizes * (-1) ** t)
        optimizer.step()
    return w.numpy().round(3)

print("slopes                ", sizes)
print("Adam, decay in slopes ", decayed(lambda w: Adam(w, lr=0.001, weight_decay=0.1)))

# %% [markdown]
r"""
The first weight hardly decays, the third loses three quarters. **AdamW** (2019) takes the decay out of the slope and shrinks the weights themselves, all by the same
factor, before the step:

$$p \leftarrow (1 - \mathrm{lr} \cdot \text{decay})\, p \qquad\text{then Adam, without decay}$$

**Your turn.** Two lines: shrink `p` in place, then `super().update(…)` with a group whose `"weight_decay"` is 0. The group itself must stay as it is.
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
    steps = lambda slopes, **settings: walk(lambda w: AdamW(w, lr=0.1, **settings), slopes)
    expect.close(lambda: steps([0.0, 0.0, 0.0], weight_decay=0.5), [0.95, 0.9025, 0.857375], "without slopes: 5 % less each time", mistaken={
        "the factor is 1 - lr · decay": lambda got: np.isclose(got[0], 0.5), "do not change the group: {**group, …} makes a new one": [0.95, 0.95, 0.95],
        "the decay is still in the slope: pass a group with weight_decay 0 on": lambda got: got[0] < 0.94, "nothing decays: p *= …, in place": [1.0, 1.0, 1.0]})
    expect.close(lambda: steps([2.0, -1.0, 1.0, 0.0], weight_decay=0.5), [0.85, 0.780866, 0.696933, 0.625315], "with slopes: shrink, then step", mistaken={
        "Adam's step is missing": lambda got: np.isclose(got[0], 0.95), "shrink first, then step": lambda got: np.isclose(got[0], 0.855),
        "the decay is still in the slope: pass a group with weight_decay 0 on": [0.85, 0.757521, 0.651837, 0.554946]})
    expect.close(lambda: steps([2.0, -1.0]), [0.899, 0.871467], "a decay of 0.01 unless told otherwise")
    w = Tensor(np.ones(40_000), requires_grad=True)
    w.grad, held = Tensor(np.zeros(40_000)), w.data
    optimizer = AdamW([w], lr=0.1, weight_decay=0.5)
    optimizer.step(); optimizer.step()
    expect.true(lambda: w.data is held and np.allclose(held, 0.9025), "in place, and again on the second step", hint="do not change the group: {**group, …} makes a new one")
    expect.same(lambda: (optimizer.param_groups[0]["weight_decay"], optimizer.state[w]["step"]), (0.5, 2), "the group is as it was")

test_unit_adamw()

# %% [markdown]
"""
## 8 · What it costs

The same Adam as in a textbook, one line a formula, beside yours, on ever larger parameters. `tracemalloc` sees what NumPy makes on the way.
"""

# %% tags=["analysis"]
class TextbookAdam(Adam):
    """Adam, a line for each formula."""
    def update(self, p, g, state, group):
        (b1, b2), t = group["betas"], state.setdefault("step", 0) + 1
        m, v = b1 * state.get("m", 0.0) + (1 - b1) * g, b2 * state.get("v", 0.0) + (1 - b2) * g ** 2
        p -= group["lr"] * (m / (1 - b1 ** t)) / (np.sqrt(v / (1 - b2 ** t)) + group["eps"])
        state.update(step=t, m=m, v=v)

print("   numbers    textbook       yours   ratio   textbook     yours")
for size in (1_000, 10_000, 100_000, 1_000_000, 4_000_000):
    took, peak = [], []
    for kind in (TextbookAdam, Adam):
        w = Tensor(np.ones(size), requires_grad=True)
        w.grad, optimizer, times = Tensor(np.full(size, 0.1)), kind([w]), []
        for _ in range(7):
            start = time.perf_counter(); optimizer.step(); times.append(time.perf_counter() - start)
        tracemalloc.start(); optimizer.step(); peak.append(tracemalloc.get_traced_memory()[1] / 1e6); tracemalloc.stop()
        took.append(min(times) * 1e3)
    print(f"{size:10,} {took[0]:7.3f} ms {took[1]:7.3f} ms {took[0] / took[1]:6.1f} {peak[0]:9.1f} MB {peak[1]:5.1f} MB more at the peak")

w = Tensor(np.ones(4_000_000), requires_grad=True)
w.grad, usual, took, powers = Tensor(np.full(w.size, 0.1)), BLOCK_SIZE, [], range(10, 23)
for power in powers:
    BLOCK_SIZE, optimizer, times = 1 << power, Adam([w]), []
    for _ in range(4):
        start = time.perf_counter(); optimizer.step(); times.append((time.perf_counter() - start) * 1e3)
    took.append(min(times))
BLOCK_SIZE = usual
plt.figure(figsize=(5, 2.4)); plt.loglog([1 << power for power in powers], took, "o-", base=2); plt.axvline(usual, color="gray", linewidth=0.7)
plt.xlabel("numbers in a block"); plt.ylabel("ms a step"); plt.title("4 million weights", fontsize=10); plt.show()

# %% [markdown]
"""
Parameters that fit into the cache gain nothing in time, large ones a factor of two or more, and all of them memory. Small blocks pay for the calls, the
largest fall out of the cache; in between it hardly matters.

## 9 · Stop and go on

Training stops: the battery is empty, the cluster wants the machine back. Save the weights and go on later. What could go wrong?
"""

# %%
def descend(w, optimizer, steps):
    """Walk on; the loss at the end."""
    for _ in range(steps):
        optimizer.zero_grad()
        valley(w).backward()
        optimizer.step()
    return valley(w).item()

w = Tensor([-8.0, 1.0], requires_grad=True)
optimizer = Adam([w], lr=0.5)
print("loss after 60 steps     ", descend(w, optimizer, 60))
saved = w.numpy().copy()
print("5 more without a stop   ", descend(w, optimizer, 5))
again = Tensor(saved, requires_grad=True)
print("5 more with a new Adam  ", descend(again, Adam([again], lr=0.5), 5))

# %% [markdown]
"""
The new Adam does not know that it is nearly there: its first steps are `lr` long, whatever the slope. The averages must be saved as well. Tensors
cannot be keys in a file, so a saved state names parameters by *number*, counted through all groups:

```
 {"state":        {0: {"step": 60, "exp_avg": array, …}, 1: …},
  "param_groups": [{"lr": 0.5, …, "params": [0, 1]},
                   {"lr": 0.1, …, "params": [2]}]}
```

**Your turn.** `places` is {Tensor: number}. In `_state_dict` make both parts, with *copies* of the arrays (the next step changes them in place) and of the
groups; leave out parameters of which nothing is kept. In `_load_state_dict`, `params` is {number: Tensor}, and everything has been checked: fill
`self.state` with copies of the arrays in the dtype of their parameter (`"step"` is an int), and take over the groups' settings, but not `"params"`.
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
    name, groups = type(self).__name__, saved["param_groups"]
    params = {i: p for old, ours in zip(groups, self.param_groups) for i, p in zip(old["params"], ours["params"])}
    entries = {i: {key: x for key, x in kept.items() if x is not None} for i, kept in saved["state"].items()}
    theirs, here = ([len(group["params"]) for group in some] for some in (groups, self.param_groups))
    if theirs != here:
        raise ValueError(f"{name}: saved were groups of {theirs} parameters, and here are groups of {here}")
    wrong = [f"{key} is missing" for old in groups for key in self.defaults if key not in old]
    wrong += [f"{key} was on" for old in groups for key in ("amsgrad", "centered", "maximize") if old.get(key)]
    wrong += [f"{key} of parameter {i} has shape {np.shape(x)}, not {params[i].shape}" for i, kept in entries.items() for key, x in kept.items()
              if key != "step" and np.shape(x) != params[i].shape]
    if wrong:
        raise ValueError(f"{name}: this state does not fit: {'; '.join(wrong)}")
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
    def three(make):
        a, b, c = (Tensor(np.full(n, 1.0), requires_grad=True) for n in (2, 3, 4))
        return make([{"params": [a, b]}, {"params": [c], "lr": 0.5}]), (a, b, c)
    def train(optimizer, params, slopes):
        for slope in slopes:
            for p in params[:2]:
                p.grad = Tensor(np.full(p.size, slope * p.size))
            optimizer.step()
        return [p.data.copy() for p in params[:2]]
    optimizer, params = three(Adam)
    at_save = train(optimizer, params, [1.0, 3.0])
    expect.same(lambda: {i: sorted(entries) for i, entries in optimizer.state_dict()["state"].items()}, {i: ["exp_avg", "exp_avg_sq", "step"] for i in (0, 1)},
                "parameters have numbers; those without a gradient have no state yet", hint="the keys are places[p]",
                raises={TypeError: 'return {"state": …, "param_groups": …}', KeyError: "leave out parameters of which nothing is kept: self.state.get(p)"})
    saved = optimizer.state_dict()
    expect.same(lambda: [(group["params"], group["lr"]) for group in saved["param_groups"]], [([0, 1], 1e-3), ([2], 0.5)],
                "counted through all groups, with their settings", hint='each group\'s "params" are the numbers places[p]',
                raises={KeyError: 'return {"state": …, "param_groups": …}'})
    expect.true(lambda: optimizer.param_groups[1]["params"][0] is params[2], "the optimizer's own groups are as they were",
                hint="a new dict for each group: {**group, …}")
    want = train(optimizer, params, [-2.0, 0.5])
    expect.close(lambda: saved["state"][1]["exp_avg"], [1.17] * 3, "a saved state does not change when training goes on", hint="copy the arrays: x.copy()")
    for make, hint in [(Adam, 'take over the arrays and "step"'), (lambda p: Adam(p, lr=0.9, betas=(0.5, 0.5)), "take over the groups' settings as well")]:
        fresh, others = three(make)
        for p, array in zip(others, at_save):
            p.data[...] = array
        fresh.load_state_dict(saved)
        expect.close(lambda: train(fresh, others, [-2.0, 0.5]), want, "another optimizer goes on from there, to the same place", tol=1e-7, hint=hint,
                     raises={AttributeError: 'leave "params" of the groups alone'})
        expect.true(lambda: [p is q for p, q in zip(others, sum([g["params"] for g in fresh.param_groups], []))] == [True] * 3, "with its own parameters",
                    hint='leave "params" of the groups alone')
        expect.close(lambda: saved["state"][1]["exp_avg"], [1.17] * 3, "and what was loaded stays as it is", hint="np.array(x, dtype) makes a copy")
    wide, (a, *_) = three(Adam)
    odd = {0: {"step": np.float32(2), "exp_avg": [1.0, 2.0], "exp_avg_sq": np.ones(2), "momentum_buffer": None}}
    wide.load_state_dict({"state": odd, "param_groups": saved["param_groups"]})
    expect.same(lambda: (type(wide.state[a]["step"]), wide.state[a]["exp_avg"].dtype, len(wide.state)), (int, a.dtype, 1), "step an int, arrays as the parameter",
                hint='int(x) for "step", np.array(x, params[i].dtype) for the others')
    before, groups = repr(wide.state_dict()), saved["param_groups"]
    for state, words in [({"state": {0: {"step": 1, "exp_avg": np.ones(3)}}, "param_groups": groups}, "exp_avg (3,) (2,)"),
                         ({"state": {}, "param_groups": groups[:1]}, "groups"), (three(SGD)[0].state_dict(), "betas eps"),
                         ({"state": {}, "param_groups": [{**group, "amsgrad": True} for group in groups]}, "amsgrad")]:
        expect.raises(ValueError, lambda: wide.load_state_dict(state), "what does not fit is refused", match=f"Adam {words}")
    expect.same(lambda: repr(wide.state_dict()), before, "and nothing has changed then")

test_unit_state()

# %%
w = Tensor([-8.0, 1.0], requires_grad=True)
optimizer = Adam([w], lr=0.5)
descend(w, optimizer, 60)
saved, state = w.numpy().copy(), optimizer.state_dict()
print("5 more without a stop   ", descend(w, optimizer, 5))
again = Tensor(saved, requires_grad=True)
optimizer = Adam([again])
optimizer.load_state_dict(state)                                 # brings lr = 0.5 along
print("5 more, state restored  ", descend(again, optimizer, 5))

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

for name, rate in [("lr 0.5", lambda t: 0.5), ("lr 0.05", lambda t: 0.05), ("lr 0.001", lambda t: 0.001), ("from 0.5 down", lambda t: 0.5 / (1 + t / 20))]:
    print(f"{name:<20} mean distance at the end {noisy_walk(rate):.3f}")

# %% [markdown]
r"""
A large `lr` keeps hopping about, a small one has not arrived. Start large, end small. Adam's averages, on the other hand, are poor in the first
steps, and large networks are thrown off by them: there one starts *small* for a while, a warm-up.

A scheduler sits beside an optimizer and changes the `"lr"` of its groups. Each step computes the next lr from the one that is there, so two schedules on
one optimizer multiply. `base` is what the group began with, `t` counts the steps from 1.
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
        return {name: list(x) if isinstance(x, list) else x for name, x in vars(self).items() if name != "optimizer"}

    def load_state_dict(self, saved):
        """Go on from `saved`.  ValueError where something is missing."""
        if missing := [name for name in self.state_dict() if name not in saved]:
            raise ValueError(f"{type(self).__name__}: this state does not fit: {', '.join(missing)} missing")
        vars(self).update({name: saved[name] for name in self.state_dict()})

# %% [markdown]
r"""
**Your turn.** `next_lr` returns the lr of step `t`. A warm-up's lr is $s(t) \cdot$ base, where $s$ is the straight line, and 1 from `total_iters` on. A
cosine's is $\text{eta\_min} + (\text{base} - \text{eta\_min}) \cdot c(t) / 2$ with $c(t) = 1 + \cos(\pi t / T)$. From one step to the next, base drops out:

$$\text{lr} \cdot \frac{s(t)}{s(t-1)} \qquad\qquad \text{eta\_min} + (\text{lr} - \text{eta\_min}) \cdot \frac{c(t)}{c(t-1)}$$

At the bottom $c(t-1)$ is 0; the way up from there is given.
"""

# %% nbgrader={"grade": false, "grade_id": "schedules", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
class StepLR(Scheduler):
    """lr · gamma every `step_size` steps.  As `torch.optim.lr_scheduler.StepLR`."""
    def __init__(self, optimizer, step_size, gamma=0.1):
        super().__init__(optimizer, step_size=step_size, gamma=gamma)

    def next_lr(self, lr, base, t):
        """lr · gamma where t is a multiple of step_size, else lr."""
        ### BEGIN SOLUTION
        return lr * self.gamma if t % self.step_size == 0 else lr
        ### END SOLUTION


class ExponentialLR(Scheduler):
    """lr · gamma every step.  As `torch.optim.lr_scheduler.ExponentialLR`."""
    def __init__(self, optimizer, gamma):
        super().__init__(optimizer, gamma=gamma)

    def next_lr(self, lr, base, t):
        """lr · gamma."""
        ### BEGIN SOLUTION
        return self.gamma * lr
        ### END SOLUTION


class LinearWarmup(Scheduler):
    """From start_factor · lr up to lr in `total_iters` steps.  As `torch.optim.lr_scheduler.LinearLR`."""
    def __init__(self, optimizer, total_iters=5, start_factor=1 / 3):
        if not 0 < start_factor <= 1 or total_iters < 1:
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
def rates(make, steps, lr=0.8):
    """The learning rates of so many steps under a schedule, or under several."""
    optimizer, seen = SGD([Tensor([1.0])], lr=lr), []
    schedulers = make(optimizer)
    for _ in range(steps):
        seen.append(optimizer.param_groups[0]["lr"])
        for scheduler in schedulers if isinstance(schedulers, list) else [schedulers]:
            scheduler.step()
    return seen

print(rates(lambda o: CosineAnnealingLR(o, T_max=4), 6))

# %% nbgrader={"grade": true, "grade_id": "test-schedules", "locked": true, "points": 10, "schema_version": 3, "solution": false, "task": false}
def test_unit_schedules():
    """Learning rates that fall, rise and follow a cosine."""
    expect.close(lambda: rates(lambda o: StepLR(o, 3, gamma=0.5), 7), [0.8] * 3 + [0.4] * 3 + [0.2], "StepLR: half every 3 steps", mistaken={
        "only every step_size steps": lambda got: got[1] != got[0], "at t = 3, 6, …: t % step_size": lambda got: got[2] != got[0]})
    expect.close(lambda: rates(lambda o: ExponentialLR(o, 0.5), 4), [0.8, 0.4, 0.2, 0.1], "ExponentialLR: half every step", mistaken={
        "from lr, not from base: it is halved each time": [0.8, 0.4, 0.4, 0.4], "lr already holds the earlier gammas": [0.8, 0.4, 0.1, 0.0125]})
    expect.close(lambda: rates(lambda o: LinearWarmup(o, 3, start_factor=0.25), 6), [0.2, 0.4, 0.6, 0.8, 0.8, 0.8], "LinearWarmup: a quarter, then up",
                 mistaken={"s(t) above, s(t - 1) below": lambda got: np.isclose(got[2], 0.2 / 3), "it ends at base: s is at most 1": lambda got: got[5] > 0.81,
                           "lr itself has start_factor in it: multiply by s(t) / s(t - 1)": lambda got: got[1] < 0.3},
                 hint="s(t) = start_factor + (1 - start_factor) · t / total_iters, at most 1")
    half = [0.8, 0.682843, 0.4, 0.117157, 0.0]
    expect.close(lambda: rates(lambda o: CosineAnnealingLR(o, 4), 9), half + half[-2::-1], "CosineAnnealingLR: down in 4 steps, and up", mistaken={
        "c(t) above, c(t - 1) below": lambda got: got[1] > got[0]},
        hint="c(t) = 1 + cos(π · t / T_max); take the quotient c(t) / c(t - 1)",
        raises={ZeroDivisionError: "c(t) is 0 only at T_max: the cosine of π · t / T_max"})
    expect.close(lambda: rates(lambda o: CosineAnnealingLR(o, 4, eta_min=0.2), 6), [0.8, 0.712132, 0.5, 0.287868, 0.2, 0.287868], "down to eta_min",
                 hint="only what is above eta_min shrinks: eta_min + (lr - eta_min) · …")
    expect.close(lambda: rates(lambda o: [ExponentialLR(o, 0.5), StepLR(o, 2, gamma=0.1)], 4), [0.8, 0.4, 0.02, 0.01], "two schedules multiply",
                 hint="start from lr, not from base")
    expect.close(lambda: rates(lambda o: [LinearWarmup(o, 2, 0.5), CosineAnnealingLR(o, 4)], 4), [0.4, 0.512132, 0.4, 0.117157], "a warm-up and a cosine",
                 hint="start from lr, not from base")

test_unit_schedules()

# %% tags=["analysis"]
figure, axes = plt.subplots(1, 5, figsize=(13, 2.2), sharey=True)
for axis, name, make in zip(axes, ("StepLR(30, 0.5)", "ExponentialLR(0.97)", "LinearWarmup(20, 0.1)", "CosineAnnealingLR(50)", "warm-up and cosine"), (
        lambda o: StepLR(o, 30, 0.5), lambda o: ExponentialLR(o, 0.97), lambda o: LinearWarmup(o, 20, 0.1), lambda o: CosineAnnealingLR(o, 50),
        lambda o: [LinearWarmup(o, 20, 0.1), CosineAnnealingLR(o, 100)])):
    axis.plot(rates(make, 100)); axis.set_title(name, fontsize=9); axis.set_ylim(0, 0.85); axis.set_xlabel("step")
axes[0].set_ylabel("lr"); plt.show()

# %% [markdown]
"""
All these are decided before the training starts. `ReduceLROnPlateau` looks at how it goes: it is told a number (the validation loss, say) at every
step, and lowers lr when that has not become better for more than `patience` steps in a row.

```
 metric    5   4   4   4   4   4    patience 2, cooldown 1
 bad       0   0   1   2   3►0 0    3 is more than 2: lr · factor
 cooldown  0   0   0   0   1   0    this many steps are not counted
```

**Your turn.** `is_better` and `lower` are given. In `step`: a better metric becomes `best` and sets `num_bad_epochs` to 0, any other adds 1 to it. While
`cooldown_counter` is above 0, take 1 from it and set `num_bad_epochs` back to 0. Then, if `num_bad_epochs` is above `patience`: `self.lower()`, start the
cooldown, count anew.
"""

# %% nbgrader={"grade": false, "grade_id": "plateau", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
class ReduceLROnPlateau(Scheduler):
    """lr · factor when a metric has stopped getting better.  As `torch.optim.lr_scheduler.ReduceLROnPlateau`."""
    def __init__(self, optimizer, mode="min", factor=0.1, patience=10, threshold=1e-4, threshold_mode="rel", cooldown=0, min_lr=0.0, eps=1e-8):
        if factor >= 1 or mode not in ("min", "max") or threshold_mode not in ("rel", "abs"):
            raise ValueError("ReduceLROnPlateau: factor below 1, mode 'min' or 'max' and threshold_mode 'rel' or 'abs' wanted, "
                             f"not {factor}, {mode!r} and {threshold_mode!r}")
        super().__init__(optimizer, mode=mode, factor=factor, patience=patience, threshold=threshold, threshold_mode=threshold_mode,
                         cooldown=cooldown, eps=eps, cooldown_counter=0, num_bad_epochs=0, best=math.inf if mode == "min" else -math.inf)
        self.min_lrs = list(min_lr) if isinstance(min_lr, (list, tuple)) else [min_lr] * len(optimizer.param_groups)

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
        metric, self.last_epoch = float(metric), self.last_epoch + 1
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
    def told(metrics, lr=1.0, **settings):
        optimizer = SGD([{"params": [Tensor([1.0])]}, {"params": [Tensor([1.0])], "lr": lr / 2}], lr=lr)
        scheduler, seen = ReduceLROnPlateau(optimizer, factor=0.5, **settings), []
        for metric in metrics:
            scheduler.step(metric)
            seen.append(scheduler.get_last_lr()[0])
        return seen
    expect.close(lambda: told([5.0, 4.0, 3.0, 2.0], patience=0), [1.0] * 4, "while it gets better, nothing happens", mistaken={
        "only MORE than patience bad ones lower it": [0.5, 0.25, 0.125, 0.0625]}, hint="a better metric sets num_bad_epochs to 0, and is the best from then on")
    expect.close(lambda: told([5.0, 4.0, 4.0, 4.0, 4.0], patience=2), [1.0] * 4 + [0.5], "more than 2 steps without", mistaken={
        "only MORE than patience bad ones lower it": [1.0, 1.0, 1.0, 0.5, 0.5], "count the bad ones, and keep the best": [1.0] * 5},
        hint="num_bad_epochs is 1, 2, 3: above 2 at the fifth step")
    expect.close(lambda: told([5.0] + [5.0] * 6, patience=1), [1.0, 1.0, 0.5, 0.5, 0.25, 0.25, 0.125], "then the count starts anew", mistaken={
        "after lowering, num_bad_epochs is 0 again": [1.0, 1.0, 0.5, 0.25, 0.125, 0.0625, 0.03125]})
    expect.close(lambda: told([5.0, 6.0, 4.0, 5.0, 3.0, 4.0], patience=1), [1.0] * 6, "one bad step in a row is not two",
                 hint="a better metric sets num_bad_epochs to 0")
    expect.close(lambda: told([3.0, 5.0, 4.0], patience=1), [1.0, 1.0, 0.5], "better than the best, not than the one before", hint="`best` changes only when it is beaten")
    expect.close(lambda: told([5.0] * 8, patience=0, cooldown=2), [1.0, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125], "a cooldown of 2", mistaken={
        "the cooldown is not used": [1.0, 0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625, 0.0078125],
        "the cooldown never ends: take 1 from it each step": [1.0] + [0.5] * 7},
        hint="in the cooldown num_bad_epochs is 0; after lowering, cooldown_counter is self.cooldown")
    expect.close(lambda: told([1.0, 1.0, 2.0], mode="max", patience=0), [1.0, 0.5, 0.5], "larger may be better")
    expect.close(lambda: told([Tensor(5.0)] * 3, patience=0, min_lr=0.4), [1.0, 0.5, 0.4], "a Tensor may tell it, and min_lr is the least")

test_unit_plateau()

# %% [markdown]
"""
## 11 · A network learns to read

1,797 handwritten digits of 8×8 pixels, 360 of them held out, a network of three layers, the same start and the same batches for all. For each method
`lr` was tried in steps of about 3; the one with the lowest loss is shown.
"""

# %% tags=["analysis"]
from tinytorch.core.layers import Linear, Sequential
from tinytorch.core.activations import ReLU
from tinytorch.core.losses import cross_entropy
from tinytorch.core.tensor import manual_seed

found = next(folder / "datasets" / "digits.npz" for folder in [Path.cwd(), *Path.cwd().parents] if (folder / "datasets" / "digits.npz").exists())
with np.load(found, allow_pickle=False) as archive:
    pixels, labels = archive["images"].reshape(-1, 64).astype(np.float32) / 16, archive["labels"]
order = np.random.default_rng(1998).permutation(len(pixels))
held_out, learned_from = order[:360], order[360:]

def learn(make, schedule=None, epochs=12, batch=32):
    """Train a network; the mean loss of each epoch, and how many of 360 unseen digits it reads."""
    manual_seed(0)
    model, rng, losses = Sequential(Linear(64, 64), ReLU(), Linear(64, 32), ReLU(), Linear(32, 10)), np.random.default_rng(0), []
    optimizer = make(model.parameters())
    scheduler = schedule(optimizer) if schedule else None
    for _ in range(epochs):
        shuffled, total = rng.permutation(learned_from), 0.0
        for start in range(0, len(shuffled), batch):
            some = shuffled[start:start + batch]
            optimizer.zero_grad()
            loss = cross_entropy(model(Tensor(pixels[some])), labels[some])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(some)
        losses.append(total / len(shuffled))
        if scheduler:
            scheduler.step()
    return losses, (model(Tensor(pixels[held_out])).data.argmax(1) == labels[held_out]).mean()

plt.figure(figsize=(6, 3))
for name, make, schedule in [("plain, lr 0.3", lambda p: SGD(p, lr=0.3), None), ("momentum 0.9, lr 0.1", lambda p: SGD(p, lr=0.1, momentum=0.9), None),
                             ("Adagrad, lr 0.1", lambda p: Adagrad(p, lr=0.1), None), ("RMSprop, lr 0.01", lambda p: RMSprop(p, lr=0.01), None),
                             ("Adam, lr 0.01", lambda p: Adam(p, lr=0.01), None), ("AdamW, lr 0.03, cosine", lambda p: AdamW(p, lr=0.03), lambda o: CosineAnnealingLR(o, 12))]:
    losses, share = learn(make, schedule)
    print(f"{name:<24} loss {losses[0]:.3f} … {losses[-1]:.4f}   reads {share:6.1%} of unseen digits")
    plt.semilogy(range(1, 13), losses, ".-", label=name)
plt.xlabel("epoch"); plt.ylabel("loss"); plt.legend(fontsize=7); plt.show()

# %% nbgrader={"grade": true, "grade_id": "test-module", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_module():
    """Everything together: a network learns with every optimizer, in groups, with a schedule, and goes on after a stop."""
    rng = np.random.default_rng(0)
    x, starts = Tensor(rng.normal(size=(64, 5))), [rng.normal(size=shape) * 0.3 for shape in ((5, 16), (16,), (16, 3))]
    y = Tensor(np.tanh(x.numpy() @ rng.normal(size=(5, 3))))
    def network():
        return [Tensor(start, requires_grad=True) for start in starts]
    def loss(params):
        w1, b, w2 = params
        difference = (x @ w1 + b).clip(0.0, 100.0) @ w2 - y
        return (difference * difference).mean()
    def train(optimizer, params, steps, scheduler=None):
        for _ in range(steps):
            optimizer.zero_grad()
            loss(params).backward()
            optimizer.step()
            if scheduler:
                scheduler.step(*[loss(params)] * isinstance(scheduler, ReduceLROnPlateau))
        return loss(params).item()
    for make in (lambda p: SGD(p, lr=0.3, momentum=0.9, nesterov=True), lambda p: Adagrad(p, lr=0.1), lambda p: RMSprop(p, lr=0.01), lambda p: AdamW(p, lr=0.05)):
        params = network()
        expect.true(lambda: train(make(params), params, 100) < 0.06, f"100 steps of {make(params)}", hint="look at the optimizer that this names")
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
        expect.same(lambda: b.get_last_lr(), [group["lr"] for group in first.param_groups], "and the same learning rates")
    params = network()
    optimizer, calls = SGD(params, lr=0.1), []
    def closure():
        optimizer.zero_grad(); calls.append(loss(params)); calls[-1].backward()
        return calls[-1]
    expect.true(lambda: optimizer.step(closure) is calls[0] and loss(params).item() < calls[0].item(), "step calls a closure, and returns its loss")
    optimizer.zero_grad(set_to_none=False)
    expect.true(lambda: all((p.grad.data == 0).all() for p in params), "zeros, if asked for")
    optimizer.zero_grad()
    expect.same(lambda: [p.grad for p in params], [None] * 3, "else None")
    params[0].grad = Tensor(np.ones(5))
    for error, call, words in [(ValueError, optimizer.step, "SGD gradient (5,)"), (ValueError, lambda: SGD(params, lr=-0.1), "SGD lr -0.1"),
                               (ValueError, lambda: SGD(params, momentum=0.9, dampening=0.1, nesterov=True), "nesterov momentum"),
                               (ValueError, lambda: Adam(params, betas=(0.9, 1.0)), "Adam betas"), (TypeError, lambda: StepLR(params, 3), "StepLR optimizer"),
                               (ValueError, lambda: LinearWarmup(optimizer, 5, 0.0), "start_factor"), (ValueError, lambda: ReduceLROnPlateau(optimizer, "least"), "mode"),
                               (ValueError, lambda: StepLR(optimizer, 3).load_state_dict({"gamma": 0.1}), "StepLR step_size last_epoch")]:
        expect.raises(error, call, f"refused, with the words: {words}", match=words)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        SGD([params[1], params[1]])
    expect.same(len(warned), 1, "a parameter that is in its group twice is warned of")

test_module()

# %% [markdown]
"""
## 12 · In your own words

**Question 1.** All slopes of a network are multiplied by 1000 (somebody forgot to divide the loss by the batch size). What changes for SGD, what for
Adam? And what if `eps` were 1?
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-scale", "locked": false, "points": 5, "schema_version": 3, "solution": true, "task": false}
"""
SGD steps 1000 times as far, and probably diverges until lr is divided by 1000. In Adam m and √v both grow by 1000, their quotient stays: the same steps.
Only eps is added without being multiplied, so it counts 1000 times less than before: nothing for 1e-8, but with eps = 1 the steps get longer.
"""

# %% [markdown]
"""
**Question 2.** A model has 1 billion weights in float32. How much memory do weights, gradients and the optimizer's state take with plain SGD, with
momentum and with Adam? Why is the scratch of a step not on your list?
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-memory", "locked": false, "points": 5, "schema_version": 3, "solution": true, "task": false}
"""
4 GB of weights and 4 GB of gradients: 8 GB plain. Momentum adds one array, 12 GB. Adam adds two, 16 GB. The scratch is two blocks of 128 KB, whatever the
size of the model; the textbook lines would have needed arrays of the size of the largest parameter, several at a time.
"""

# %% [markdown]
"""
## Where you are

Five optimizers and five schedules, each an answer to a failure that you saw. What is still missing is the loop around them: batches, epochs,
validation, stopping in time, saving. `tito module complete 06`, then module 07.
"""
