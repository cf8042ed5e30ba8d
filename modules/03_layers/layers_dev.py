# %% [markdown]
"""
# 03 Layers

> A layer holds its own numbers; a network finds the numbers of all its layers, saves them, loads them, and switches them.

So far a network is arithmetic on loose tensors. By the end of this notebook it is one object, built of parts that you can count, print,
copy and save, and its weights start at a size that lets a signal pass through twenty layers.
"""

# %% nbgrader={"grade": false, "grade_id": "start", "locked": true, "schema_version": 3, "solution": false, "task": false}
import tito.notebook     # where this fails, open the notebook with: tito module open 03
from tito.check import expect

tito.notebook.use(3)

# %%
#| default_exp core.layers
#| view nn

# %% nbgrader={"grade": false, "grade_id": "imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
import math
from collections.abc import Mapping

import numpy as np

from tinytorch.core.tensor import Tensor, default_generator, op, rand, zeros

# %% nbgrader={"grade": false, "grade_id": "tools", "locked": true, "schema_version": 3, "solution": false, "task": false}
import copy
import tracemalloc

from tinytorch.core.activations import ReLU, relu, tanh
from tinytorch.core.tensor import arange, float32, float64, manual_seed, ones, randn


def peak_bytes(call):
    """The most memory that `call()` holds at a time, beyond what was in use before."""
    tracemalloc.start()
    call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak

# %% [markdown]
"""
Here is a network of two layers, made by hand. It runs, and two things about it are wrong. Which?
"""

# %%
manual_seed(0)
w1, b1 = randn(64, 32), zeros(32)
w2, b2 = randn(32, 10), zeros(10)
to_train = [w1, b1, w2]                                    # typed by hand

x = randn(5, 64)                                           # five samples of 64 numbers, spread 1
scores = relu(x @ w1 + b1) @ w2 + b2                       # (5, 64) -> (5, 32) -> (5, 10)
print("numbers to train:", sum(t.size for t in to_train))
print(f"spread of the inputs {x.std():.1f}, of the scores {scores.std():.1f}")

# %% [markdown]
"""
**The list.** `b2` is not in it. Whoever trains this list never changes `b2`, and nobody says so. Real networks have hundreds of tensors.
Parts 3 to 6 build objects that find their tensors themselves.

**The sizes.** Inputs of spread 1 came out more than thirty times larger, after two layers only. Part 2 follows that through twenty.

## 1 · One layer, one operation

Each output adds up all inputs, each times a weight of its own, and a bias. Column $j$ of `w` belongs to output $j$:

```
 x₁ ── w₁₁ ──┐                          x (5, 64)    five samples, one a row
 x₂ ── w₂₁ ──┼──► + b₁ ──► y₁           w (64, 32)   one column an output
 x₃ ── w₃₁ ──┘                          b (32,)      one number an output
                                        y (5, 32)    y = x @ w + b
```

With numbers: `[1, 2] @ [[3, 0], [4, 1]]` is `[11, 2]`; with the bias `[10, 20]` it is `[21, 22]`.

As `x @ w + b` it is two operations. Broadcasting is too friendly for the second:
"""

# %%
upright = arange(4.0).reshape(4, 1)                        # a bias that lies the wrong way
ones(4, 3) @ ones(3, 4) + upright                          # every sample gets a bias of its own, in silence

# %% [markdown]
"""
So `linear` is one operation. It knows what a bias is and refuses anything else; it also adds the bias into the product's own memory, where
`+` would make a second array.

**Your turn.** Arrays come in, as in every `@op`. `x` has any number of axes in front, `(…, in)`:

1. Check the sizes: `x` has an axis and `w` two (else say that `(in, out)` is wanted), the last size of `x` is the first of `w`, and `b`, if
   there is one, has shape `(out,)`. A ValueError names the sizes; where the *last* size of `w` would fit, add `; did you mean w.T?`. The door
   puts `linear:` and the shapes in front.
2. Read `x` as a table with one row a sample: `x.reshape(-1, in)`. Multiply, add the bias, give the axes in front back.

`np.add(y, b, out=y)` adds into `y`. It may only be done where the dtypes are equal; `out=None` makes a new array.
"""

# %% nbgrader={"grade": false, "grade_id": "linear", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
@op
def linear(x, w, b=None):
    """x @ w + b in one operation: (…, in), (in, out), (out,) -> (…, out).

    As torch's `linear`, with `w` turned round.

    ValueError, naming the sizes, where they do not fit.

    >>> linear(Tensor([1.0, 2.0]), Tensor([[3.0, 0.0], [4.0, 1.0]]), Tensor([10.0, 20.0]))
    Tensor([21., 22.])
    """
    ### BEGIN SOLUTION
    if not np.ndim(x) or np.ndim(w) != 2:
        raise ValueError(f"x of shape (…, in) and w of shape (in, out) wanted, got {np.shape(x)} and {np.shape(w)}")
    front, (fan_in, fan_out) = x.shape[:-1], w.shape
    if x.shape[-1] != fan_in:
        raise ValueError(f"inner sizes {x.shape[-1]} and {fan_in} differ{'; did you mean w.T?' if x.shape[-1] == fan_out else ''}")
    if b is not None and np.shape(b) != (fan_out,):
        raise ValueError(f"the bias has shape {np.shape(b)}; {fan_out} outputs need ({fan_out},)")
    y = x.reshape(math.prod(front), fan_in) @ w                    # (rows, in) @ (in, out)
    if b is not None:
        y = np.add(y, b, out=y if y.dtype == b.dtype else None)    # (rows, out) + (out,)
    return y.reshape(*front, fan_out)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-linear", "locked": true, "points": 12, "schema_version": 3, "solution": false, "task": false}
def test_unit_linear():
    """linear multiplies by the weights and adds the bias, for one sample or any batch, and explains sizes that do not fit."""
    x, w, b = Tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), Tensor([[1.0, 0.0], [0.0, 1.0], [1.0, -1.0]]), Tensor([10.0, 20.0])
    expect.close(lambda: linear(x, w, b), [[14.0, 19.0], [20.0, 19.0]], "(2, 3) @ (3, 2) + (2,)", mistaken={
        "the bias is missing": [[4.0, -1.0], [10.0, -1.0]], "the bias is subtracted": [[-6.0, -21.0], [0.0, -21.0]]}, raises={
        ValueError: "w has shape (in, out), so x @ w fits as it is; then b is added to every row"})
    expect.close(lambda: linear(x, w), [[4.0, -1.0], [10.0, -1.0]], "without a bias", hint="b is None then: add nothing")
    expect.close(lambda: linear(x[0], w, b), [14.0, 19.0], "one sample, (3,) -> (2,)", mistaken={
        "one sample comes back as (2,): take the axis of rows off again": [[14.0, 19.0]]}, raises={
        IndexError: "a single sample has one axis: ask x.shape[-1] and x.shape[:-1]"})
    batch = np.arange(24.0).reshape(2, 4, 3)
    expect.close(lambda: linear(batch, w, b), batch @ w.numpy() + b.numpy(), "axes in front stay, (2, 4, 3) -> (2, 4, 2)", mistaken={
        "give the axes in front back: reshape(*x.shape[:-1], out)": lambda got: got.shape == (8, 2)})
    expect.same(lambda: linear(zeros(0, 2, 3), w, b).shape, (0, 2, 2), "no samples, no results")
    expect.close([b, x[0, :2]], [[10.0, 20.0], [1.0, 2.0]], "the inputs are as they were", hint="add into the product, never into x or b")
    expect.raises(ValueError, lambda: linear(zeros(32, 784), zeros(256, 10)), "sizes that do not fit", match="linear (32, 784), 784 256",
                  hint="raise a ValueError that says: inner sizes 784 and 256 differ")
    expect.raises(ValueError, lambda: linear(zeros(32, 784), zeros(256, 784)), "a weight that lies the wrong way", match="w.T?",
                  hint="say so where x.shape[-1] is the last size of w")
    for shape in [(1,), (2, 2), ()]:
        expect.raises(ValueError, lambda: linear(x, w, ones(shape)), f"a bias of shape {shape} is refused", match="bias",
                      hint="it would be broadcast: compare np.shape(b) with (out,)")
    for data, weight in [(Tensor(1.0), w), (x, b), (x, zeros(1, 3, 2))]:
        expect.raises(ValueError, lambda: linear(data, weight), "x has an axis, w has two", match="linear (in, out)",
                      hint="look at np.ndim(x) and np.ndim(w) first, and say what is wanted")
    dtypes = linear(x, w, b).dtype, linear(x, w, Tensor(b, dtype=float64)).dtype, linear([1, 2, 3], w, b).dtype
    expect.same(dtypes, (float32, float64, float32), "float64 only where an input was",
                hint="out=y keeps y's dtype: use it only where y and b agree")
    column, row, bias = ones(500, 1), ones(1, 500), ones(500)              # their product takes a million bytes
    expect.true(lambda: peak_bytes(lambda: linear(column, row, bias)) < 1.5e6, "the bias is added in the product's own memory",
                hint="y + b makes a second array: np.add(y, b, out=y) does not")

test_unit_linear()

# %% [markdown]
"""
What did fusing buy? The same layer both ways, in turns, for one sample, a small batch, a large one, and one with two axes in front.
"""

# %% tags=["analysis"]
import time

import matplotlib.pyplot as plt


def seconds(*works, rounds=30):
    """The shortest time that each of `works` takes, in seconds, measured in turns."""
    best = [math.inf] * len(works)
    for turn in range(rounds):
        for i in range(len(works))[::(-1) ** turn]:
            start = time.perf_counter()
            works[i]()
            best[i] = min(best[i], time.perf_counter() - start)
    return best


w, b = randn(256, 256), randn(256)
for shape in [(1, 256), (64, 256), (2048, 256), (256, 8, 256)]:
    x = randn(*shape)
    apart, fused = seconds(lambda: x @ w + b, lambda: linear(x, w, b))
    print(f"{shape!s:14} x @ w + b {apart * 1e6:6.0f} µs   linear {fused * 1e6:6.0f} µs   ratio {apart / fused:.2f}")

# %% [markdown]
"""
One more thing before the layers: sizes and settings are typed by people. Given, for all modules from here on: checks that say in one
sentence whose setting is wrong, what it must be, and what came, before NumPy says something else three calls further down.
"""

# %%
#| export
MOST = 10 ** 9                                             # a larger size is a slip of the keyboard; such an array has no room anywhere

def refuse(kind, name, settings, must):
    """An error as a sentence: `Linear: in_features, out_features must be whole numbers …, not 0, 3`."""
    raise kind(f"{name}: {', '.join(settings)} must be {must}, not {', '.join(f'{value!r:.60}' for value in settings.values())}")


def _check(name, fits, what, none, settings):
    for value in settings.values():
        number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, (bool, np.timedelta64))
        if not (number and fits(value) or none and value is None):
            must = what().replace("number", "numbers") if len(settings) > 1 else f"a {what()}"
            refuse(ValueError if number else TypeError, name, settings, must + " or None" * none)


def check_whole(name, least=1, most=MOST, /, *, none=False, **settings):
    """TypeError or ValueError in the name of a function, unless its settings are whole numbers from `least` to `most` (or None, if it may be).

    >>> check_whole("Linear", in_features=784, out_features=10)
    """
    fits = lambda n: isinstance(n, (int, np.integer)) and least <= n <= most
    _check(name, fits, lambda: f"whole number from {least:,} to {most:,}", none, settings)


def check_number(name, low=0.0, high=None, /, *, none=False, **settings):
    """The same for numbers from `low` to `high`, or finite ones of `low` or more; nan is none.

    >>> check_number("Dropout", 0, 1, p=0.5)
    """
    fits = lambda x: low <= x and (x <= high if high is not None else abs(x) < math.inf)
    what = lambda: f"number from {low:g} to {high:g}" if high is not None else "finite number" + f" of {low:g} or more" * (low > -math.inf)
    _check(name, fits, what, none, settings)


def check_kind(name, kind, /, *, none=False, **settings):
    """TypeError unless all settings are of this class (or None, if they may be)."""
    for setting, value in settings.items():
        single = kind.__module__ == "collections.abc" and getattr(value, "ndim", 1) == 0     # such an array says it has a length, and has none
        if single or not (isinstance(value, kind) or none and value is None):
            refuse(TypeError, name, {setting: value}, f"{'an' if kind.__name__[0] in 'AEIOU' else 'a'} {kind.__name__}" + " or None" * none)


def check_choice(name, choices, /, **settings):
    """ValueError unless all settings are among these.

    >>> check_choice("GELU", ("none", "tanh"), approximate="tanh")
    """
    for setting, value in settings.items():
        if not any(type(value) is type(choice) and value == choice for choice in choices):
            refuse(ValueError, name, {setting: value}, f"one of {', '.join(map(repr, choices))}")


def check_sizes(name, axes=None, least=1, /, **settings):
    """TypeError or ValueError unless all settings are rows (tuples or lists) of sizes; with `axes` so many, and one number counts for all.

    >>> check_sizes("RandomCrop", 2, size=(24, 24))
    """
    for setting, value in settings.items():
        row = value if isinstance(value, (tuple, list)) else [value] if axes else None
        if not row or axes and len(row) not in (1, axes):
            refuse(TypeError, name, {setting: value}, f"a row of {axes or 'one or more'} whole numbers")
        for size in row:
            check_whole(name, least, **{setting: size})


def plain_array(value):
    """Anything as an array; rows of different lengths make array(None), which is no number to whoever asks for its dtype."""
    try:
        return np.asarray(value)
    except ValueError:
        return np.array(None)


def check_array(name, /, **settings):
    """The arrays of the settings, in their order (the array itself, of one).  TypeError for what holds no real numbers."""
    arrays = [plain_array(value) for value in settings.values()]
    for array, (setting, value) in zip(arrays, settings.items()):
        if array.dtype.kind not in "fiub":
            refuse(TypeError, name, {setting: value}, "numbers")
    return arrays if len(arrays) > 1 else arrays[0]

# %% [markdown]
"""
## 2 · How large should weights be?

Twenty layers of 256, each followed by a ReLU, the weights drawn from the normal distribution. Follow the spread of the numbers.
"""

# %%
def spreads(make, act=relu, depth=20, width=256):
    """The spread of the numbers after each of `depth` layers, whose weights are `make((width, width))`."""
    manual_seed(0)
    x, found = randn(128, width), []
    for _ in range(depth):
        x = act(linear(x, make((width, width))))           # (128, 256) -> (128, 256)
        found.append(x.numpy().std(dtype="float64"))
    return found


for scale in (1.0, 0.01):
    after = spreads(lambda shape: randn(*shape) * scale)
    print(f"weights of spread {scale:4}: after layer 1 {after[0]:.2g}, 5 {after[4]:.2g}, 10 {after[9]:.2g}, 20 {after[19]:.2g}")

# %% [markdown]
r"""
With spread 1 the numbers explode, with 0.01 they vanish; some twenty layers more, and a float32 cannot hold them. The right size can be
worked out. An output adds up $n$ products with independent weights around zero, and variances add up:

$$\mathrm{var}(y) = n \cdot \mathrm{var}(w) \cdot \overline{x^2}$$

* The size stays if $n \cdot \mathrm{var}(w) = 1$. Above, $n \cdot \mathrm{var}(w)$ was 256: 16 times the spread, of which ReLU left
  $16/\sqrt 2 = 11$ a layer.
* Later the gradients run through the same weights backwards, where $n$ is the number of *outputs*. **Xavier** takes the middle:
  $\mathrm{var}(w) = 2 / (\mathrm{fan_{in}} + \mathrm{fan_{out}})$. (Glorot and Bengio, 2010.)
* ReLU sets half of the numbers to zero, so $\overline{x^2}$ is halved. **Kaiming** makes up for it:
  $\mathrm{var}(w) = 2 / \mathrm{fan_{in}}$; for a leaky ReLU of slope $a$, $2 / ((1 + a^2)\,\mathrm{fan_{in}})$. (He and others, 2015.)

Numbers drawn uniformly from $-c$ to $c$ have variance $c^2 / 3$. So the bound for a variance $v$ is $c = \sqrt{3 v}$. With 300 inputs,
Kaiming's variance is 2/300, and $c = \sqrt{6/300} = 0.141$.

**Your turn.** Draw with `rand(*shape, generator=generator)`, which is uniform in [0, 1); stretch and shift it, 0 to $-c$, 1 to $c$. `fan_in` is `shape[0]`
and `fan_out` is `shape[-1]` unless they are given: our weights have shape (in, out).
"""

# %% nbgrader={"grade": false, "grade_id": "initialisers", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def xavier_uniform(shape, gain=1.0, *, fan_in=None, fan_out=None, generator=None):
    """A Tensor drawn uniformly, of variance gain² · 2 / (fan_in + fan_out).

    As `torch.nn.init.xavier_uniform_`.

    >>> xavier_uniform((300, 100)).shape
    (300, 100)
    """
    check_sizes("xavier_uniform", None, 0, shape=shape)
    check_whole("xavier_uniform", none=True, fan_in=fan_in, fan_out=fan_out)
    check_number("xavier_uniform", gain=gain)
    check_kind("xavier_uniform", np.random.Generator, none=True, generator=generator)
    ### BEGIN SOLUTION
    bound = gain * math.sqrt(6 / ((fan_in or shape[0]) + (fan_out or shape[-1])))
    return rand(*shape, generator=generator) * (2 * bound) - bound
    ### END SOLUTION


def kaiming_uniform(shape, a=0.0, *, fan_in=None, generator=None):
    """A Tensor drawn uniformly, of variance 2 / ((1 + a²) fan_in); `a` is the slope of a leaky ReLU.

    As `torch.nn.init.kaiming_uniform_`.

    >>> kaiming_uniform((300, 100)).shape
    (300, 100)
    """
    check_sizes("kaiming_uniform", None, 0, shape=shape)
    check_whole("kaiming_uniform", none=True, fan_in=fan_in)
    check_number("kaiming_uniform", -math.inf, a=a)
    check_kind("kaiming_uniform", np.random.Generator, none=True, generator=generator)
    ### BEGIN SOLUTION
    bound = math.sqrt(6 / ((1 + a * a) * (fan_in or shape[0])))
    return rand(*shape, generator=generator) * (2 * bound) - bound
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-initialisers", "locked": true, "points": 12, "schema_version": 3, "solution": false, "task": false}
def test_unit_initialisers():
    """Initialisers draw uniformly, with the variance that keeps a signal's size."""
    manual_seed(1)
    ends = lambda w: np.array([w.min(), w.std(), w.max()])
    is_ = lambda want: lambda got: abs(got - want) < 1e-3
    w = kaiming_uniform((300, 400)).numpy()
    expect.close(lambda: w.mean(), 0.0, "around zero", tol=2e-3, hint="rand gives [0, 1): stretch by 2 * bound, then shift by -bound")
    expect.close(lambda: w.std(), math.sqrt(2 / 300), "kaiming: variance 2 / fan_in", tol=1e-3, mistaken={
        "that makes the spread the bound: a uniform number's variance is bound² / 3": is_(math.sqrt(2 / 900)),
        "fan_in is shape[0], the number of inputs": is_(math.sqrt(2 / 400)),
        "that makes the bound the spread: draw with rand, not randn": is_(math.sqrt(6 / 300)),
        "stretch by 2 * bound: from -bound to bound": is_(math.sqrt(0.5 / 300))})
    expect.close(lambda: np.abs(w).max(), math.sqrt(6 / 300), "none beyond sqrt(3 · variance)", tol=1e-3, hint="draw with rand, not randn")
    for name, draw, shape, settings, variance, hint in [
            ("kaiming, a = √5", kaiming_uniform, (300, 400), {"a": math.sqrt(5)}, 1 / 900, "divide the variance by 1 + a², the slope squared"),
            ("kaiming, fan_in given", kaiming_uniform, (9000,), {"fan_in": 300}, 2 / 300, "use `fan_in` where it is not None"),
            ("xavier", xavier_uniform, (300, 10, 100), {}, 2 / 400, "bound² is 3 · variance; the fans are shape[0] and shape[-1]"),
            ("xavier, gain 2", xavier_uniform, (300, 100), {"gain": 2.0}, 8 / 400, "gain multiplies the bound, gain² the variance"),
            ("xavier, fans given", xavier_uniform, (300, 100), {"fan_in": 20, "fan_out": 30}, 2 / 50, "use the fans that are not None")]:
        w, bound = draw(shape, **settings), math.sqrt(3 * variance)
        expect.same((w.shape, w.dtype), (shape, float32), "the shape that was asked for, in float32",
                    hint="rand(*shape) is float32 already")
        expect.close(lambda: ends(w.numpy()), [-bound, math.sqrt(variance), bound], f"{name}: lowest, spread, highest", tol=1e-3, hint=hint)
        own = lambda: draw((3, 2), generator=np.random.default_rng(7)).tolist()
        expect.same(own, own(), "the same generator gives the same numbers", hint="pass generator on to rand")
        lowest = rand(3, 2, generator=np.random.default_rng(7)).argmin().item()
        expect.same(lambda: int(np.argmin(own())), lowest, "0 becomes -bound, 1 becomes bound", hint="stretch first, then shift down")
        expect.true(lambda: draw((3, 2)).tolist() != draw((3, 2)).tolist(), "and each draw is a new one")

test_unit_initialisers()

# %% [markdown]
r"""
The same twenty layers again. `nn.Linear` of PyTorch uses `a = √5`, for historical reasons; its bound is simply
$1/\sqrt{\mathrm{fan_{in}}}$. How does that do?
"""

# %% tags=["analysis"]
ways = {"normal, spread 1": lambda shape: randn(*shape), "normal, spread 0.01": lambda shape: randn(*shape) * 0.01,
        "xavier": xavier_uniform, "kaiming": kaiming_uniform, "kaiming, a = √5": lambda shape: kaiming_uniform(shape, math.sqrt(5))}
figure, axes = plt.subplots(1, 2, figsize=(11, 3.5), sharey=True)
for axis, act in zip(axes, (relu, tanh)):
    for name, make in ways.items():
        axis.semilogy(range(1, 21), spreads(make, act), label=name)
    axis.set(title=f"{act.__name__} after each layer", xlabel="layer", xticks=range(0, 21, 5))
axes[0].set_ylabel("spread of the numbers"); axes[1].legend(fontsize=8); plt.show()
print("after 20 layers with ReLU:", *(f"{name:20} {spreads(make)[-1]:.2g}" for name, make in ways.items()), sep="\n  ")

# %% [markdown]
"""
Kaiming is level under ReLU, Xavier nearly so under tanh, which cannot explode because it ends at 1: with weights of spread 1 it only
saturates. PyTorch's default fades through twenty layers. For the two or three layers of most networks it is good enough, and it is ours
too, so that results can be compared.

## 3 · A module knows its parameters

A *parameter* is a tensor that training may change. It is a Tensor in every respect; its class only says what it is for. A copy of
it is a parameter again, because `Tensor.__reduce__` asks `type(self)`.
"""

# %%
#| export
class Parameter(Tensor):
    """A Tensor that belongs to a module and is to be trained.  As `torch.nn.Parameter`.

    >>> (Parameter([1.0, 2.0]) * 2).tolist()
    [2.0, 4.0]
    """
    __slots__ = ()

    def __init__(self, data, requires_grad=True, dtype=None):
        super().__init__(data, requires_grad, dtype)

    def __repr__(self):
        return "Parameter" + super().__repr__()[len("Tensor"):].replace("\n", "\n   ")

# %% [markdown]
"""
A *module* is a part of a network: attributes that hold its numbers, and a function `forward` that uses them. Everything else it does
follows from its attributes, and Python keeps those in a dict that anybody can read, `vars(module)`, in the order in which they were set.
"""

# %%
#| export
class Module:
    """A part of a network.

    Set Parameters and Modules as attributes, and write `forward`.  As `torch.nn.Module`.

    No `super().__init__()` is needed.

    >>> class Double(Module):
    ...     def forward(self, x):
    ...         return x * 2
    >>> Double()(Tensor([1.0, 2.0]))
    Tensor([2., 4.])
    """
    training = True                                        # `eval()` switches it off

    def forward(self, *inputs):
        raise NotImplementedError(f"{type(self).__name__} needs a method forward(self, x)")

    def __call__(self, *inputs, **settings):
        try:
            return self.forward(*inputs, **settings)
        except AttributeError as error:
            if strange := [x for x in inputs if not isinstance(x, (Tensor, np.ndarray, type(None)))]:
                raise TypeError(f"{type(self).__name__}: a Tensor wanted, not {strange[0]!r:.40}") from error
            raise


Layer = Module

# %%
class Scale(Module):
    """x times a factor that is to be trained, plus an offset that is not.  (2,) -> (2,)"""
    def __init__(self, factor):
        self.factor = Parameter([factor, factor])
        self.offset = Tensor([1.0, 1.0])
        self.name = "a scale"

    def forward(self, x):
        return x * self.factor + self.offset


print(Scale(3.0)(Tensor([1.0, 2.0])))
vars(Scale(3.0))

# %% [markdown]
"""
To find all parameters of a network, look through the attributes; where one is a module, look through *its* attributes, and so on down. The
names on the way, joined by dots, say where each was found:

```
 net                                      name
 ├─ first   Scale
 │          ├─ factor   Parameter         first.factor
 │          ├─ offset   Tensor            first.offset
 │          └─ name     text
 ├─ blocks  list
 │          ├─ 0        Scale ─ …         blocks.0.factor, blocks.0.offset
 │          └─ 1        Scale ─ …         blocks.1.factor, blocks.1.offset
 └─ tied    the same Parameter as first.factor: found already
```

What is found, and what becomes of it:

| an attribute that is | is trained: `parameters()` | is saved: `state_dict()` |
|---|---|---|
| a Parameter | yes | yes |
| a plain Tensor, a *buffer* such as `offset` | no | yes |
| a Module | what it holds | what it holds |
| a list, tuple or dict | the Modules and Parameters in it | the same |
| a plain Tensor in a list, or with a name like `_last` | no | no: it is scratch paper |
| anything else: numbers, text, arrays, functions | no | no |

PyTorch passes over lists in silence, and a network trains without half of its layers. Here they are looked into. `_parts` is the table's
left side: one level, without the names on the way.
"""

# %%
#| export
def _parts(value):
    """(name, part) for what lies directly in a Module, list, tuple or dict; scratch Tensors left out."""
    if isinstance(value, Module):
        return [(name, part) for name, part in vars(value).items() if not (name[:1] == "_" and type(part) is Tensor)]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, (list, tuple)) else ()
    return [(name, part) for name, part in items if type(part) is not Tensor]

# %% [markdown]
"""
**Your turn.** `_walk` goes all the way down and yields `(name, value)` for each Module and Tensor, the starting point first, with what is
below a value right after it. A function that contains `yield` gives its results one by one; `yield from _walk(part, …)` passes on those of
a deeper walk.

Each value is visited once: `seen` holds the `id(…)` of everything that was. Then a shared parameter has one name, its first, and a child
that knows its parent (`child.parent = net`) does not lead in circles.
"""

# %% nbgrader={"grade": false, "grade_id": "walk", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def _walk(value, name="", seen=None):
    """Yield (dotted name, value) for `value` and every Module and Tensor below it, in order of definition, each once.

    >>> net = Module(); net.a, net.b = Parameter([1.0]), [Module()]
    >>> [name for name, part in _walk(net)]
    ['', 'a', 'b.0']
    """
    seen = set() if seen is None else seen
    ### BEGIN SOLUTION
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, (Module, Tensor)):
        yield name, value
    for key, part in _parts(value):
        yield from _walk(part, f"{name}.{key}" if name else str(key), seen)
    ### END SOLUTION

# %%
#| export
def _zero_grad(self):
    for parameter in self.parameters():
        parameter.grad = None


Module.named_modules = lambda self: [(name, m) for name, m in _walk(self) if isinstance(m, Module)]
Module.modules = lambda self: [m for _, m in self.named_modules()]                                # itself first
Module.named_parameters = lambda self: [(name, p) for name, p in _walk(self) if isinstance(p, Parameter)]
Module.parameters = lambda self: [p for _, p in self.named_parameters()]
Module.zero_grad = _zero_grad

# %% nbgrader={"grade": true, "grade_id": "test-parameters", "locked": true, "points": 16, "schema_version": 3, "solution": false, "task": false}
def test_unit_parameters():
    """A module finds its parameters by name, in lists too, in order, each once."""
    expect.same(lambda: [name for name, _ in Scale(1.0).named_parameters()], ["factor"], "one module, one parameter", mistaken={
        "no dot in front: at the top the name is the key alone": [".factor"],
        "a walk has to be passed on: yield from _walk(part, …)": []}, raises={
        TypeError: "`_walk` yields pairs (name, value), and must contain a `yield`"})
    net = Module()
    net.first, net.blocks = Scale(1.0), [Scale(2.0), Scale(3.0)]
    net.tied, net.last = net.first.factor, Parameter([4.0])
    names, found = ["first.factor", "blocks.0.factor", "blocks.1.factor", "last"], lambda: [name for name, _ in net.named_parameters()]
    expect.same(found, names, "modules within modules and lists, in order", mistaken={
        "`tied` is first.factor again: visit each id once": [*names[:3], "tied", "last"],
        "lists are looked into as well: ask _parts(value) of every value": ["first.factor", "last"],
        "pass the name on: f\"{name}.{key}\"": ["factor", "factor", "factor", "last"],
        "at the top there is no dot in front": ["." + name for name in names]}, raises={
        TypeError: "a list cannot be in a set, nor its keys be added to text: take id(value) and f\"{name}.{key}\""})
    expect.true(lambda: net.parameters()[0] is net.first.factor, "the parameters themselves, not copies")
    every = [place + part for place in ("first", "blocks.0", "blocks.1") for part in ("", ".factor", ".offset")]
    expect.same(lambda: [name for name, _ in _walk(net)], ["", *every, "last"], "the whole walk",
                hint="yield Modules and Tensors, `value` itself first; not lists")
    expect.same(lambda: [type(m) for m in net.modules()], [Module, Scale, Scale, Scale], "modules, itself first")
    net.first.parent, net.heads, net.scratch = net, {"a": Scale(5.0), "b": Parameter([6.0])}, [Tensor([7.0])]
    expect.same(found, [*names, "heads.a.factor", "heads.b"], "dicts too, and circles do no harm", raises={
        RecursionError: "a child may know its parent: return where id(value) was seen before"})
    expect.same(lambda: [name for name, _ in _walk([net.last])], ["0"], "a walk may begin at a list; names are text", hint="str(key)")
    net.last.grad = ones(1)
    twin = copy.deepcopy(net.last)
    expect.same((type(twin), type(twin * 2), twin.requires_grad), (Parameter, Tensor, True), "a copied Parameter is a Parameter")
    expect.close([twin, twin.grad], [[4.0], [1.0]], "with its numbers and its gradient")
    expect.same(copy.deepcopy(Parameter([1.0], False, float64)).dtype, float64, "and its dtype")
    expect.same(repr(twin), "Parameter([4.], requires_grad=True)", "it shows itself")
    net.zero_grad()
    expect.true(net.last.grad is None, "zero_grad forgets the gradients")
    expect.raises(NotImplementedError, lambda: Layer()(1.0), "a module, or Layer, without forward says so", match="Module forward")

test_unit_parameters()

# %% [markdown]
r"""
## 4 · Linear

Now the layer itself is short: two parameters, and the operation of part 1.

**Your turn.** `weight` has shape (in, out), `bias` has shape (out,) or is None. Both start as PyTorch's do, uniform up to
$1/\sqrt{\mathrm{in}}$: `kaiming_uniform` with `a = √5`, first the weight, then the bias (its `fan_in` has to be given), from the same
generator.
"""

# %% nbgrader={"grade": false, "grade_id": "linear-layer", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
class Linear(Module):
    """A layer of weights and biases: (…, in_features) -> (…, out_features).

    As `torch.nn.Linear`, `weight` being (in, out).

    >>> Linear(784, 10)(zeros(32, 784)).shape
    (32, 10)
    """
    def __init__(self, in_features, out_features, bias=True, generator=None):
        """Draw `weight` (in, out), then `bias` (out,), or None."""
        check_whole("Linear", in_features=in_features, out_features=out_features)
        check_kind("Linear", np.random.Generator, none=True, generator=generator)
        self.in_features, self.out_features = in_features, out_features
        ### BEGIN SOLUTION
        self.weight = Parameter(kaiming_uniform((in_features, out_features), math.sqrt(5), generator=generator))
        self.bias = Parameter(kaiming_uniform((out_features,), math.sqrt(5), fan_in=in_features, generator=generator)) if bias else None
        ### END SOLUTION

    def forward(self, x):
        """(…, in_features) -> (…, out_features)"""
        ### BEGIN SOLUTION
        return linear(x, self.weight, self.bias)
        ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-linear-layer", "locked": true, "points": 10, "schema_version": 3, "solution": false, "task": false}
def test_unit_linear_layer():
    """Linear holds a weight and a bias of the right shapes and sizes, and applies them."""
    layer = Linear(400, 300, generator=np.random.default_rng(0))
    expect.same(lambda: [(name, p.shape) for name, p in layer.named_parameters()], [("weight", (400, 300)), ("bias", (300,))],
                "weight first, then bias", mistaken={
        "weight has shape (in, out)": [("weight", (300, 400)), ("bias", (300,))],
        "weight first, then bias: so they are drawn, named and saved": [("bias", (300,)), ("weight", (400, 300))],
        "only a Parameter is found: wrap both, Parameter(…)": lambda got: len(got) < 2})
    top = lambda p: np.abs(p.numpy()).max()
    expect.close(lambda: top(layer.weight), 0.05, "weights up to 1/√400", tol=1e-3, hint="PyTorch's start is kaiming_uniform with a = √5")
    expect.close(lambda: top(layer.bias), 0.05, "biases as well", tol=1e-3, hint="kaiming_uniform with a = √5, as for the weight",
                 mistaken={
        "biases start at random here, as PyTorch's do": 0.0,
        "a bias's fan_in is in_features, not its shape[0]": lambda got: abs(got - 300 ** -0.5) < 1e-3})
    x = randn(7, 400)
    product = x.numpy() @ layer.weight.numpy()
    expect.close(lambda: layer(x), product + layer.bias.numpy(), "x @ weight + bias", tol=1e-4, mistaken={
        "self.bias is not added yet": lambda got: np.allclose(got, product, atol=1e-4)})
    plain = Linear(3, 2, bias=False)
    expect.true(lambda: plain.bias is None and len(plain.parameters()) == 1, "bias=False: no bias", hint="set self.bias to None then")
    expect.close(lambda: plain(ones(3)), plain.weight.numpy().sum(0), "and none is added", raises={
        TypeError: "linear knows a bias of None: hand self.bias on as it is"})
    same = np.random.default_rng(0)
    drawn = [same.random(shape, dtype=np.float32) * 0.1 - 0.05 for shape in ((400, 300), 300)]
    expect.close(lambda: [layer.weight, layer.bias], drawn, "one generator draws the weight, then the bias",
                 hint="pass `generator` on to both draws, the weight's first")
    expect.same(lambda: (layer.weight.requires_grad, layer(x).dtype), (True, float32), "to be trained, in float32")
    expect.raises(ValueError, lambda: layer(randn(7, 300)), "wrong inputs are explained", match="linear inner 300 400")
    expect.raises(ValueError, lambda: Linear(0, 3), "a layer of nothing is refused", match="Linear 0 3")

test_unit_linear_layer()

# %% [markdown]
"""
A network should show itself. Given: each module shows its settings (the attributes that are numbers or text), its children indented, and
how many numbers it trains. A child is anything that can be called, so the activations of module 02 appear too.
"""

# %%
#| export
def _children(value, prefix=""):
    """(name, child) for what a Module is made of: everything that can be called, in lists and dicts too."""
    for name, part in _parts(value):
        if isinstance(part, (list, tuple, dict)):
            yield from _children(part, f"{prefix}{name}.")
        elif callable(part):
            yield f"{prefix}{name}", part


def _settings(self):
    return ", ".join(f"{name}={v!r}" for name, v in vars(self).items() if isinstance(v, (int, float, str)) and name != "training")


def _repr(self):
    inside, settings = [f"({name}): " + getattr(child, "__name__", repr(child)) for name, child in _children(self)], self.extra_repr()
    if inside:
        settings = "\n  " + "\n".join([settings][:len(settings)] + inside).replace("\n", "\n  ") + "\n"
    count = sum(p.size for p in self.parameters())
    return f"{type(self).__name__}({settings})" + (f"  # {count:,} parameters" if count else "")


Module.extra_repr, Module.__repr__ = _settings, _repr
Linear.extra_repr = lambda self: f"{_settings(self)}, bias={self.bias is not None}"

# %% [markdown]
"""
## 5 · Saving and loading

What was trained must be kept. This keeps nothing:
"""

# %%
layer = Linear(2, 2)
kept = {name: p.data for name, p in layer.named_parameters()}
before = layer.weight.data.sum()
layer.weight.data += 100.0                                 # training goes on
print(f"weights added up to {before:.2f}; the kept ones add up to {kept['weight'].sum():.2f}")

# %% [markdown]
"""
The dict held the *same arrays*, and they went on changing. A state is made of copies.

Loading has the opposite trap. An optimizer, and anybody else, may hold a reference to `layer.weight` or to its array. So the numbers are
written **into** the arrays that are there: `t.data[...] = new`, not `t.data = new`.

And loading is strict: a state from another network is refused, with every name that is wrong, *before* anything is written. Otherwise a
misspelt name leaves a layer at its random start, and nobody notices.

**Your turn.** Names come from `_walk`: Tensors, parameters and buffers alike. With `strict=False` missing and unexpected names are passed
over (wrong shapes never).
"""

# %% nbgrader={"grade": false, "grade_id": "state", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def _state_dict(self):
    """{dotted name: a copy of the array} of all parameters and buffers.

    >>> {name: array.shape for name, array in Linear(3, 2).state_dict().items()}
    {'weight': (3, 2), 'bias': (2,)}
    """
    ### BEGIN SOLUTION
    return {name: t.data.copy() for name, t in _walk(self) if isinstance(t, Tensor)}
    ### END SOLUTION


def _load_state_dict(self, state, strict=True):
    """Write `state`, a dict as from `state_dict()`, into the arrays that are there, and return self.

    ValueError that names all missing, unexpected and wrongly shaped entries; nothing is written then.
    """
    check_kind("load_state_dict", Mapping, state=state)
    for name, values in state.items():
        check_array("load_state_dict", **{name: values})
    ### BEGIN SOLUTION
    ours = {name: t for name, t in _walk(self) if isinstance(t, Tensor)}
    wrong = [f"{name} is missing" for name in ours if strict and name not in state]
    wrong += [f"{name} is unexpected" for name in state if strict and name not in ours]
    ours = {name: t for name, t in ours.items() if name in state}
    wrong += [f"{name} has shape {np.shape(state[name])}, not {t.shape}" for name, t in ours.items() if np.shape(state[name]) != t.shape]
    if wrong:
        raise ValueError(f"load_state_dict: this state does not fit {type(self).__name__}: {'; '.join(wrong)}")
    for name, t in ours.items():
        t.data[...] = state[name]
    return self
    ### END SOLUTION


Module.state_dict, Module.load_state_dict = _state_dict, _load_state_dict

# %% nbgrader={"grade": true, "grade_id": "test-state", "locked": true, "points": 14, "schema_version": 3, "solution": false, "task": false}
def test_unit_state():
    """A state is made of copies, and loading one writes in place or explains why not."""
    net, other = Module(), Module()
    net.scale, net.layer, net._last = Scale(2.0), Linear(3, 2), Tensor([9.0])
    other.scale, other.layer = Scale(5.0), Linear(3, 2)
    state = net.state_dict()
    shapes = {"scale.factor": (2,), "scale.offset": (2,), "layer.weight": (3, 2), "layer.bias": (2,)}
    expect.same(lambda: {name: a.shape for name, a in state.items()}, shapes, "all by name, parameters and buffers", mistaken={
        "a buffer is saved too: ask for Tensor, not Parameter": {k: v for k, v in shapes.items() if k != "scale.offset"}})
    expect.same(lambda: {type(a) for a in state.values()}, {np.ndarray}, "as arrays", hint="a state holds arrays, not Tensors: copy t.data")
    net.scale.factor.data += 1.0
    expect.close(lambda: state["scale.factor"], [2.0, 2.0], "a state does not change with the module", hint="copy the arrays: .data.copy()")
    factor, weight, in_place = other.scale.factor, other.layer.weight.data, "write into the array: t.data[...] = …"
    expect.true(lambda: other.load_state_dict(state) is other, "loading returns the module",
                hint="end with `return self`, as train() and append() will")
    expect.close(lambda: [other.scale.factor, other.layer.bias], [[2.0, 2.0], state["layer.bias"]], "the numbers arrive")
    expect.true(lambda: other.scale.factor is factor and other.layer.weight.data is weight, "in the arrays that were there", hint=in_place)
    other.scale.factor.data += 1.0
    expect.close(lambda: state["scale.factor"], [2.0, 2.0], "and do not stay tied to the state", hint=in_place)
    bad = {"scale.factor": np.zeros(2), "scale.ofset": np.zeros(2), "layer.weight": np.zeros((2, 3)), "layer.bias": np.zeros(2)}
    expect.raises(ValueError, lambda: other.load_state_dict(bad), "a wrong state is refused, naming all that is wrong",
                  match="scale.offset scale.ofset layer.weight",
                  hint="collect all that is missing, unexpected or wrongly shaped, and raise once, before the first is written")
    expect.close(lambda: other.scale.factor, [3.0, 3.0], "and nothing was written", hint="check everything before you write the first")
    for name, value in {"layer.weight": np.zeros((1, 2)), "layer.bias": np.zeros(1), "more": np.zeros(2)}.items():
        wrong = {**state, name: value}
        expect.raises(ValueError, lambda: other.load_state_dict(wrong), "one wrong entry is enough", match=name,
                      hint="refuse what is unexpected, and every other shape, even one that could be stretched")
    some = {"scale.factor": np.zeros(2), "else": np.zeros(1)}
    expect.close(lambda: other.load_state_dict(some, strict=False).scale.factor, [0.0, 0.0], "strict=False loads what fits by name",
                 raises={
        ValueError: "with strict=False, missing and unexpected names are passed over",
        KeyError: "write only what both have: names that are in `state` and in the module"})
    expect.raises(ValueError, lambda: other.load_state_dict({"scale.factor": np.zeros(3)}, False), "but no wrong shape", match="(3,) (2,)",
                  hint="strict is about names: a wrong shape is always refused")

test_unit_state()

# %% [markdown]
"""
## 6 · Training and evaluating: dropout

A large network can learn its samples by heart. *Dropout* makes that hard: in training each number is set to zero with probability `p`, anew
every time, so no output can rely on one particular input. (Srivastava and others, 2014.) Written down carelessly:
"""

# %%
def careless(x, p=0.5):
    """Each number is zero with probability p."""
    return x * (rand(*x.shape) >= p)


x, w = ones(1, 1000), ones(1000, 1)
print("the next layer gets", (careless(x) @ w).item(), "then", (careless(x) @ w).item(), "and without dropout", (x @ w).item())

# %% [markdown]
"""
Two failures. The sums are half as large in training as afterwards, so the next layer learnt on numbers of the wrong size. And a network
that is *used* must not throw dice: the same input gave two answers.

The first is mended by dividing what is kept by its share, $1 - p$. The sum stays the same on average, and nothing has to be done later:

```
 x                  3.0   1.0   2.0   4.0
 kept, p = 0.5      yes   no    no    yes      "keep"
 x where kept       3.0   0.0   0.0   4.0
 ÷ (1 - p)          6.0   0.0   0.0   8.0
```

**Your turn.** The operation. It returns the result *and* `{"keep": kept}`, because the gradient will pass through the same places: truth
values, one byte each. A number is kept where `generator.random(…) >= p`. With `p = 1` nothing is kept, and nothing may be divided by zero.
"""

# %% nbgrader={"grade": false, "grade_id": "dropout", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
@op
def dropout(x, *, p=0.5, generator=None):
    """Each number is zero with probability `p`, else divided by 1 - p.

    (…) -> (…), and what was kept as "keep".  `x` is an array here.

    ValueError where `p` is not between 0 and 1.  As `torch.nn.functional.dropout` in training.
    """
    generator = generator or default_generator
    ### BEGIN SOLUTION
    if not 0 <= p <= 1:
        raise ValueError(f"p is a probability, from 0 to 1, not {p}")
    kept = generator.random(x.shape, dtype=np.float32) >= p
    return (x * kept / (1 - p) if p < 1 else x * 0.0), {"keep": kept}
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-dropout", "locked": true, "points": 12, "schema_version": 3, "solution": false, "task": false}
def test_unit_dropout():
    """dropout sets a share p of the numbers to zero and keeps the sum, on average."""
    manual_seed(2)
    x = ones(200, 100)
    y = lambda p: dropout(x, p=p).numpy()
    expect.close(lambda: np.unique(y(0.6)), [0.0, 2.5], "p = 0.6: what is kept is divided by 0.4", mistaken={
        "what is kept must be divided by 1 - p": [0.0, 1.0], "divide by 1 - p, the share that is kept, not by p": [0.0, 5 / 3]})
    expect.close(x, np.ones((200, 100)), "x is as it was", hint="whoever gave you x still needs it: make a new array")
    expect.close(lambda: (y(0.75) == 0).mean(), 0.75, "three quarters become zero", tol=0.02, mistaken={
        "p is the chance to become zero; random() >= p keeps the rest": lambda got: abs(got - 0.25) < 0.03})
    least = lambda: min(y(0.2).std(axis=0).min(), y(0.2).std(axis=1).min())
    expect.true(lambda: least() > 0.1, "each number has a draw of its own", hint="draw as many numbers as x has: x.shape")
    expect.true(lambda: not np.array_equal(y(0.5), y(0.5)), "each call draws anew")
    own = lambda: dropout(x, p=0.5, generator=np.random.default_rng(3)).tolist()
    expect.true(lambda: own() == own(), "the same generator drops the same numbers", hint="draw from `generator`, not from NumPy's own")
    zero = np.random.default_rng(1194)                     # one of the numbers that it will draw is 0
    expect.close(lambda: dropout(x, p=0.0, generator=zero), x.numpy(), "p = 0 drops nothing",
                 hint="random() may give 0: keep where it is >= p")
    expect.close(lambda: dropout(Tensor([2.0, 3.0]), p=1), [0.0, 0.0], "p = 1 drops everything", mistaken={
        "with p = 1 nothing is kept, and 0 / 0 is nan": lambda got: np.isnan(got).any()}, raises={
        ZeroDivisionError: "with p = 1 there is nothing to divide: all is 0"})
    for p in (-0.1, 1.5, math.nan):
        expect.raises(ValueError, lambda: dropout(x, p=p), f"p = {p} is no probability", match="dropout",
                      hint="raise a ValueError unless 0 <= p <= 1")
    for dtype in (float32, float64):
        array = np.array([3.0, 1.0, 2.0, 4.0], dtype)
        both = dropout.__wrapped__(array, p=0.5, generator=np.random.default_rng(0))
        expect.true(type(both) is tuple and "keep" in both[1], "what was kept comes along",
                    hint='return two things: the result, and {"keep": kept}')
        expect.same((both[1]["keep"].dtype, both[1]["keep"].tolist()), (np.dtype(bool), (both[0] != 0).tolist()), "as truth values",
                    hint="keep says where, not how much: truth values, divided by nothing")
        expect.same(both[0].dtype, dtype, f"{dtype} stays {dtype}", hint="a Python number does not widen an array, a NumPy number does")

test_unit_dropout()

# %% [markdown]
"""
The second failure needs a switch. Every module has `training`; `model.eval()` must turn it off *everywhere* in a network, or one forgotten
layer keeps throwing dice.

**Your turn.** `train(mode)` sets `training` for the module and all modules in it, and returns the module, so that `model = Net().eval()`
works. Activations are not modules and need no switch. `Dropout` drops only in training, and only where `p` is above 0; else it returns `x` itself.
"""

# %% nbgrader={"grade": false, "grade_id": "train", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def _train(self, mode=True):
    """Set `training` for this module and every module in it, and return self."""
    ### BEGIN SOLUTION
    for module in self.modules():
        module.training = mode
    return self
    ### END SOLUTION


class Dropout(Module):
    """`dropout` in training; in evaluation x is left alone.  As `torch.nn.Dropout`."""
    def __init__(self, p=0.5, generator=None):
        check_number("Dropout", 0, 1, p=p)
        check_kind("Dropout", np.random.Generator, none=True, generator=generator)
        self.p, self.generator = p, generator

    def forward(self, x):
        """(…) -> (…): x itself in evaluation, and where p is 0."""
        ### BEGIN SOLUTION
        return dropout(x, p=self.p, generator=self.generator) if self.training and self.p else x
        ### END SOLUTION


Module.train, Module.eval = _train, lambda self: _train(self, False)

# %% nbgrader={"grade": true, "grade_id": "test-train", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
def test_unit_train():
    """train and eval reach every module, and dropout is off in evaluation."""
    net, x = Module(), ones(1000)
    net.act, net.blocks = ReLU(), [Dropout(0.5), Dropout(0.9, generator=np.random.default_rng(0))]
    expect.same(net.training, True, "a new module is in training")
    expect.true(lambda: net.eval() is net, "eval returns the module", hint="return self: then model = Net().eval() works")
    expect.same(lambda: [m.training for m in net.modules()], [False] * 3, "every module is told", mistaken={
        "set it for all of self.modules()": [False, True, True], "set it to `mode`": [True] * 3,
        "the module itself too, not only those in it": [True, False, False]})
    expect.close(lambda: net.blocks[0](x), x.numpy(), "in evaluation x is left alone", mistaken={
        "what was kept was divided in training already: now there is nothing to do": lambda got: got.std() == 0,
        "it still drops: look at self.training": lambda got: (got == 0).any()})
    expect.same(lambda: [m.training for m in net.train().modules()], [True] * 3, "and back again")
    expect.close(lambda: (net.blocks[0](x).numpy() == 0).mean(), 0.5, "in training half is dropped", tol=0.1,
                 hint="drop while self.training is True")
    expect.close(lambda: (net.blocks[1](x).numpy() == 0).mean(), 0.9, "or another share", tol=0.05,
                 hint="the layer has a share of its own: pass p=self.p on")
    again = dropout(x, p=0.5, generator=np.random.default_rng(5)).numpy()
    expect.close(lambda: Dropout(generator=np.random.default_rng(5))(x), again, "from the generator that was given",
                 hint="the layer has a generator of its own: pass self.generator on")
    expect.true(lambda: Dropout(0.0)(x) is x, "with p = 0 there is nothing to do, and nothing is drawn", hint="return x itself where self.p is 0")
    expect.same(lambda: net.train(False).blocks[1].training, False, "train(False) is eval()", hint="set `mode`, not always the same")
    expect.raises(ValueError, lambda: Dropout(1.5), "1.5 is no probability", match="Dropout 1.5")

test_unit_train()

# %% tags=["analysis"]
manual_seed(0)
picture, model = ones(16, 16), Dropout(0.5)
figure, axes = plt.subplots(1, 4, figsize=(9, 2.6))
pictures = {"training": model(picture), "training again": model(picture), "average of 200": sum(model(picture) for _ in range(200)) / 200,
            "evaluation": model.eval()(picture)}
for axis, (title, shown) in zip(axes, pictures.items()):
    axis.imshow(shown.numpy(), vmin=0, vmax=2, cmap="Blues")
    axis.set_title(f"{title}\nmean {shown.mean():.2f}", fontsize=9); axis.axis("off")
plt.show()

# %% [markdown]
"""
## 7 · One after the other

Most networks are layers in a row. `Sequential` sets them as its attributes "0", "1", "2" …, and everything from parts 3 to 6 holds for it:
`_walk` gives the names `0.weight`, `0.bias`, `2.weight`. Anything that can be called may stand in the row: modules, the activations of
module 02, plain functions.
"""

# %%
#| export
class Sequential(Module):
    """Layers in a row: each gets what the one before it returned.  As `torch.nn.Sequential`.

    >>> Sequential(Linear(784, 256), Dropout(0.2), Linear(256, 10))(zeros(32, 784)).shape
    (32, 10)
    """
    def __init__(self, *layers):
        for layer in layers:
            self.append(layer)

    layers = property(lambda self: [layer for name, layer in vars(self).items() if name.isdigit()])

    def __len__(self):
        return len(self.layers)

    def __iter__(self):
        return iter(self.layers)


class Flatten(Module):
    """Axes `start_dim` to `end_dim` joined into one: (n, 8, 8) -> (n, 64).  As `torch.nn.Flatten`."""
    def __init__(self, start_dim=1, end_dim=-1):
        check_whole("Flatten", -32, 31, start_dim=start_dim, end_dim=end_dim)
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x):
        return x.flatten(self.start_dim, self.end_dim)


class Identity(Module):
    """x as it is.  As `torch.nn.Identity`."""
    def forward(self, x):
        return x

# %% [markdown]
"""
**Your turn.** `setattr(self, name, layer)` sets an attribute whose name is text. `append` refuses what is not `callable(…)`: a list of
layers is the usual slip (`Sequential([a, b])` instead of `Sequential(a, b)`).
"""

# %% nbgrader={"grade": false, "grade_id": "sequential", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def _append(self, layer):
    """Put a layer at the end, under the next number, and return self.

    TypeError where it cannot be called.
    """
    ### BEGIN SOLUTION
    if not callable(layer):
        raise TypeError(f"Sequential: layer {len(self)} is a {type(layer).__name__} and cannot be called; write Sequential(first, second, …)")
    setattr(self, str(len(self)), layer)
    return self
    ### END SOLUTION


def _forward(self, x):
    """x through all layers, one after the other."""
    ### BEGIN SOLUTION
    for layer in self.layers:
        x = layer(x)
    return x
    ### END SOLUTION


def _getitem(self, at):
    """model[0] is a layer; model[1:] a Sequential of the same layers, not of copies."""
    ### BEGIN SOLUTION
    return Sequential(*self.layers[at]) if isinstance(at, slice) else self.layers[at]
    ### END SOLUTION


Sequential.append, Sequential.forward, Sequential.__getitem__ = _append, _forward, _getitem

# %% nbgrader={"grade": true, "grade_id": "test-sequential", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_sequential():
    """Sequential passes x through its layers in order, and can be counted, indexed, sliced and extended."""
    double, plus = (lambda x: x * 2), (lambda x: x + 1)
    expect.close(lambda: Sequential(double, plus)(Tensor([3.0])), [7.0], "first double, then plus one", mistaken={
        "the first layer comes first": [8.0], "each layer gets what the one before returned: x = layer(x)": [4.0],
        "all layers, not only the first: is `return` inside the loop?": [6.0],
        "no layer was kept: set it as an attribute, by setattr": [3.0]}, raises={
        TypeError: "all that is callable(…) may stand in the row, and an attribute's name is text"})
    a, b = Linear(4, 3), Linear(3, 2)
    model, x, names = Sequential(a, ReLU(), b), randn(5, 4), ["0.weight", "0.bias", "2.weight", "2.bias"]
    expect.same(lambda: [name for name, _ in model.named_parameters()], names, "names begin with the layer's number", mistaken={
        "the first layer is number 0, which is len(self) before it is set": ["1.weight", "1.bias", "3.weight", "3.bias"]})
    expect.close(lambda: model(x), b(relu(a(x))).numpy(), "activations stand in the row")
    expect.true(lambda: len(model) == 3 and model[0] is a and model[-1] is b and list(model)[2] is b, "len, index, iteration")
    expect.same(lambda: type(model[1:]), Sequential, "a slice is a Sequential",
                hint="where `at` is a slice, put its layers into a new Sequential")
    expect.true(lambda: len(model[1:]) == 2 and model[1:][1] is b, "of the same layers", hint="the layers themselves, not copies")
    expect.raises(IndexError, lambda: model[3], "there is no layer 3")
    expect.true(lambda: model.append(double) is model and len(model) == 4, "append adds one and returns the model",
                hint="set it under str(len(self)), and return self")
    expect.close(lambda: model(x), 2 * b(relu(a(x))).numpy(), "which takes part")
    expect.raises(TypeError, lambda: Sequential([a, b]), "a list is not a layer", match="list", hint="refuse what is not callable(layer)")
    expect.close(Sequential()(x), x.numpy(), "no layers change nothing")

test_unit_sequential()

# %%
model = Sequential(Flatten(), Linear(64, 32), ReLU(), Dropout(0.2), Linear(32, 10))
model                                                      # the ten numbers of b2, forgotten at the top, are counted

# %% nbgrader={"grade": true, "grade_id": "test-module", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def test_module():
    """Everything together: a network for digits is built, shown, saved, loaded and copied."""
    build = lambda: Sequential(Flatten(), Linear(64, 32), ReLU(), Dropout(0.2), Sequential(Identity(), Linear(32, 10)))
    model, other, x = build(), build().eval(), randn(5, 8, 8)
    expect.same(sum(p.size for p in model.parameters()), 2410, "64 · 32 + 32 + 32 · 10 + 10 numbers")
    lines = repr(model).split("\n")
    expect.same(lines[2].strip(), "(1): Linear(in_features=64, out_features=32, bias=True)  # 2,080 parameters", "each layer shows itself")
    expect.same([lines[0], *lines[-2:]], ["Sequential(", "  )  # 330 parameters", ")  # 2,410 parameters"], "and the whole")
    block = Module()
    block.width, block.parts = 3, {"drop": Dropout(0.2).eval(), "act": relu}
    shown = ["Module(", "  width=3", "  (parts.drop): Dropout(p=0.2)", "  (parts.act): relu", ")"]
    expect.same(repr(block).split("\n"), shown, "settings, and children in a dict")
    expect.true(not np.allclose(model(x), model(x)), "in training dropout makes a difference")
    expect.close(model.eval()(x), model(x).numpy(), "in evaluation answers repeat")
    expect.true(not np.allclose(other(x), model(x)), "another network gives other answers")
    expect.close(other.load_state_dict(model.state_dict())(x), model(x).numpy(), "until the state is loaded")
    twin = copy.deepcopy(model)
    twin[1].weight.data *= 0.0
    expect.true(len(twin.parameters()) == 4 and not np.allclose(twin(x), model(x)), "a copy has parameters of its own")
    expect.same((model(x).shape, model(x).dtype, Flatten(0, 1)(x).shape), ((5, 10), float32, (40, 8)), "ten scores a sample")
    expect.raises(ValueError, lambda: check_choice("Norm", ("layer", "rms"), kind="batch"), "what is no choice is refused", match="Norm kind 'rms' 'batch'")

test_module()

# %% [markdown]
"""
### What it costs

Where are a network's numbers, and where does its time go? Three layers for pictures of 28 × 28, and a batch of 128.
"""

# %% tags=["analysis"]
model = Sequential(Linear(784, 256), ReLU(), Linear(256, 128), ReLU(), Linear(128, 10)).eval()
x, total = randn(128, 784), sum(p.size for p in model.parameters())
whole, finding = seconds(lambda: model(x), model.parameters)
for i, layer in enumerate(model):
    count, [taken] = sum(p.size for p in layer.parameters()), seconds(lambda: layer(x))
    print(f"{i} {type(layer).__name__:8} {count:8,} parameters {count / total:6.1%}   {taken * 1e6:6.0f} µs {taken / whole:6.1%}")
    x = layer(x)
print(f"           {total:8,}, {total * 4 / 1e6:.2f} MB            {whole * 1e6:6.0f} µs; finding the parameters takes {finding * 1e6:.0f} µs")

# %% [markdown]
"""
## 8 · In your own words

**Question 1.** Someone starts all weights of `Sequential(Linear(64, 32), ReLU(), Linear(32, 10))` at 0.1 instead of drawing them, and all
biases at 0. What do the 32 hidden numbers look like, for any input? How many hidden numbers would have done as well? Why may biases start
at 0 and weights not?
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-symmetry", "locked": false, "points": 4, "schema_version": 3, "solution": true, "task": false}
"""
All 32 are equal: each is the ReLU of 0.1 times the sum of the inputs. One would have done as well. Nothing tells them apart, so training
changes all in the same way and they stay equal. Different weights break the symmetry; once they differ, equal biases do no harm.
"""

# %% [markdown]
"""
**Question 2.** A network with `Dropout(0.5)` was measured three times on the same pictures: 91 %, 89 %, 92 % right. What was forgotten, and
what in `_walk` makes one call enough to mend it for every layer? A friend leaves out the division by $1 - p$ instead: what is then wrong,
and when does it show?
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-dropout", "locked": false, "points": 4, "schema_version": 3, "solution": true, "task": false}
"""
`model.eval()`: dropout was still on, so each measurement threw other dice. `modules()` comes from `_walk`, which goes down into modules,
lists and dicts, so all are told. Without the division the next layer is trained on sums half as large as those it gets in evaluation, where
all inputs are there: answers in training look right, and go wrong in use.
"""

# %% [markdown]
"""
## Where you are

A layer is a module: attributes, and a `forward`. From the attributes follow the parameters, the state, the switch and the picture of the
network. `tito module complete 03` puts it into your package. Next come the losses, which say how wrong a network's answers are.
"""
