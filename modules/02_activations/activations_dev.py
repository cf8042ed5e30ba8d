# %% [markdown]
"""
# 02 Activations

> The bend between two layers: without it, a hundred layers are one.

An activation is a function without weights that stands between or after the layers of a network. Each formula fits in a line. Four of
them break when they are typed in as they stand, and you will see each of these break before you mend it.
"""

# %% nbgrader={"grade": false, "grade_id": "start", "locked": true, "schema_version": 3, "solution": false, "task": false}
import tito.notebook     # where this fails, open the notebook with: tito module open 02
from tito.check import expect

tito.notebook.use(2)

# %%
#| default_exp core.activations
#| view nn

# %% nbgrader={"grade": false, "grade_id": "imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
import functools
import math

import numpy as np

from tinytorch.core.tensor import Tensor, float64, op

# %% [markdown]
"""
## 1 · Why a bend

A linear layer multiplies by a matrix. Stack two of them, and compare with a single one whose matrix was multiplied out beforehand:
"""

# %%
from tinytorch.core.tensor import float32, manual_seed, randn

manual_seed(0)
x, w1, w2 = randn(5, 8), randn(8, 16), randn(16, 3)
two = (x @ w1) @ w2                                              # (5, 8) @ (8, 16) @ (16, 3) -> (5, 3)
one = x @ (w1 @ w2)                                              # (5, 8) @ (8, 3)            -> (5, 3)
print("two layers and one differ by at most", abs(two - one).max().item())

# %% [markdown]
"""
Only rounding is left. Matrix multiplication may be bracketed as one likes, so the stack *is* one layer, however many it has.

Now cut off what is negative between the two. A linear function gives $f(x) + f(-x) = 0$ for every $x$. Does this one?
"""

# %%
def bent(x):
    return (x @ w1).clip(min=0) @ w2

print("straight: f(x) + f(-x) up to", abs(x @ w1 @ w2 + (-x) @ w1 @ w2).max().item())
print("bent:     f(x) + f(-x) up to", abs(bent(x) + bent(-x)).max().item())

# %% [markdown]
"""
No single matrix can do what `bent` does. And bends add up. On the left are eight ramps: each is flat, and rises from its own knot on.
On the right is a weighted sum of them, beside the best that straight lines can do.
"""

# %% tags=["analysis"]
import matplotlib.pyplot as plt

t, knots = np.linspace(-3, 3, 301), np.linspace(-3, 2.2, 8)
ramps = np.maximum(t[:, None] - knots, 0)                        # (301, 8)
line = np.stack([t, np.ones_like(t)], axis=1)                    # (301, 2)
figure, axes = plt.subplots(1, 2, figsize=(9, 2.8))
axes[0].plot(t, ramps, linewidth=1)
axes[1].plot(t, np.sin(2 * t), "k:", label="wanted")
for label, columns in {"straight lines": line, "8 ramps": np.hstack([ramps, line[:, 1:]])}.items():
    weights = np.linalg.lstsq(columns, np.sin(2 * t), rcond=None)[0]
    axes[1].plot(t, columns @ weights, label=label)
axes[0].set(title="eight ramps", xlabel="x")
axes[1].set(title="weighted sums", xlabel="x", ylim=(-1.4, 3)); axes[1].legend(); plt.show()

# %% [markdown]
r"""
## 2 · ReLU

The ramp is called the *rectified linear unit*:

$$\mathrm{relu}(x) = \max(x, 0)$$

```
x          -2.0  -0.5   0.0   0.5   2.0    nan
relu(x)     0.0   0.0   0.0   0.5   2.0    nan      a nan stays in sight
```

Every operation of this module is written as in module 01: arrays come in, an array goes out, and `@op` does the rest.

**Your turn.** Make a new array. The one that comes in belongs to the caller, who may still need it.
"""

# %% nbgrader={"grade": false, "grade_id": "relu", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
@op
def relu(x):
    """x where it is above 0, else 0.  Any shape; nan stays nan.  As `torch.relu`.

    >>> relu(Tensor([-2.0, 0.0, 3.0]))
    Tensor([0., 0., 3.])
    """
    ### BEGIN SOLUTION
    return np.maximum(x, 0)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-relu", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_relu():
    """ReLU keeps what is positive and makes the rest 0."""
    x = Tensor([-2.0, -0.5, 0.0, 0.5, 2.0])
    expect.close(lambda: relu(x), [0.0, 0.0, 0.0, 0.5, 2.0], "positive numbers stay, the others become 0", mistaken={
        "that is the smaller of x and 0; the larger is wanted": [-2.0, -0.5, 0.0, 0.0, 0.0],
        "that is the absolute value; below 0 the answer is 0": [2.0, 0.5, 0.0, 0.5, 2.0],
        "that says where x is positive; give x itself there": [0.0, 0.0, 0.0, 1.0, 1.0],
        "np.max finds the largest of all; np.maximum compares each with 0": 2.0}, raises={
        ValueError: "Python's max and if need one truth value; np.maximum compares number by number"})
    expect.close(x, [-2.0, -0.5, 0.0, 0.5, 2.0], "x itself is as it was", hint="you wrote into the caller's array: make a new one")
    expect.close(lambda: relu(Tensor([math.nan, 1.0])), [math.nan, 1.0], "nan stays nan", mistaken={
        "nan > 0 is False, so a choice gives 0; np.maximum keeps nan": [0.0, 1.0]})
    expect.close(lambda: relu(Tensor([-math.inf, math.inf])), [0.0, math.inf], "infinities are numbers too", mistaken={
        "0 times infinity, or infinity minus itself, is nan: compare, do not calculate": lambda got: np.isnan(got[0])})

test_unit_relu()

# %% [markdown]
"""
### Units that die

Training moves a weight by the *slope* of the output: where nothing changes, nothing is learnt. The slope can be measured with a small
step to both sides. Here is one unit, `relu(input + bias)`, on a thousand inputs, before and after an unlucky step that pushed its bias
to -5:
"""

# %%
def slope(f, x, h=1e-4):
    """How steep `f` is at each number of the array x: (f(x + h) - f(x - h)) / 2h, in float64."""
    after, before = (f(Tensor(x + step, dtype=float64)).numpy() for step in (h, -h))
    return (after - before) / (2 * h)

inputs = np.random.default_rng(0).standard_normal(1000)
for bias in (0.0, -5.0):
    print(f"bias {bias:4}: the slope is not 0 on {np.mean(slope(relu, inputs + bias) != 0):5.1%} of the inputs")

# %% [markdown]
r"""
With bias -5 the slope is 0 on every input. No example can move this unit any more: it is dead.

The *leaky* ReLU lets a little through on the negative side, so that there is a slope to come back on:

$$\mathrm{leaky\_relu}(x) = \begin{cases} x & x > 0 \\ \mathrm{negative\_slope} \cdot x & \text{otherwise} \end{cases}$$

**Your turn.** Any slope should work, also one above 1.
"""

# %% nbgrader={"grade": false, "grade_id": "leaky-relu", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
@op
def leaky_relu(x, *, negative_slope=0.01):
    """x where it is above 0, else negative_slope · x.  Any shape and any slope.  As `torch.nn.functional.leaky_relu`.

    >>> leaky_relu(Tensor([-2.0, 0.0, 3.0]), negative_slope=0.25)
    Tensor([-0.5,  0. ,  3. ])
    """
    ### BEGIN SOLUTION
    return np.where(x > 0, x, negative_slope * x)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-leaky-relu", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_leaky_relu():
    """Leaky ReLU lets a part of the negative numbers through."""
    x = Tensor([-2.0, -0.5, 0.0, 0.5, 2.0])
    expect.close(lambda: leaky_relu(x), [-0.02, -0.005, 0.0, 0.5, 2.0], "a hundredth of what is negative", mistaken={
        "the sides are exchanged: the slope is for the negative one": [-2.0, -0.5, 0.0, 0.005, 0.02],
        "the slope is for the negative side only": [-0.02, -0.005, 0.0, 0.005, 0.02],
        "that is relu: nothing leaks": [0.0, 0.0, 0.0, 0.5, 2.0],
        "what is negative comes out positive: look at the sign": [0.02, 0.005, 0.0, 0.5, 2.0],
        "multiply x by the slope; here the slope itself came out": [0.01, 0.01, 0.01, 0.5, 2.0]}, raises={
        ValueError: "`if` decides once for the whole array; np.where decides number by number"})
    expect.close(lambda: leaky_relu(x, negative_slope=0.2), [-0.4, -0.1, 0.0, 0.5, 2.0], "the slope is a setting", mistaken={
        "0.01 is only its default: use negative_slope": [-0.02, -0.005, 0.0, 0.5, 2.0]})
    expect.close(lambda: leaky_relu(x, negative_slope=2.0), [-4.0, -1.0, 0.0, 0.5, 2.0], "any slope", mistaken={
        "the larger of x and slope · x is right for small slopes only: look at x > 0": [-2.0, -0.5, 0.0, 1.0, 4.0]})
    expect.close(lambda: leaky_relu(Tensor([math.nan, -math.inf])), [math.nan, -math.inf], "nan and infinity", mistaken={
        "infinity minus infinity, or times 0, is nan: choose, do not add": lambda got: np.isnan(got).all()})

test_unit_leaky_relu()

# %% [markdown]
r"""
## 3 · Sigmoid

Is this picture a cat? An answer between 0 and 1 is wanted, and any number may come in. The *logistic function* does that; networks call
it the sigmoid, after its S shape. Multiplied by $e^x$ above and below, it has a second form:

$$\sigma(x) = \frac{1}{1 + e^{-x}} = \frac{e^{x}}{e^{x} + 1}$$

Both are correct on paper. Run them. (The red lines are NumPy's warnings; here and below they are part of the lesson.)
"""

# %%
far = np.array([-1000.0, 0.0, 1000.0], dtype=np.float32)
print("first form: ", 1 / (1 + np.exp(-far)))
print("second form:", np.exp(far) / (np.exp(far) + 1))

# %% [markdown]
r"""
The largest float32 is about $3.4 \cdot 10^{38}$, and $e^{89}$ is more than that, so it becomes `inf`. The first form overflows on the left
and is right by luck (one over infinity is 0). The second overflows on the right, where infinity over infinity is `nan`.

So use each form on its good side. Neither then needs more than $e^{-|x|}$, which lies between 0 and 1:

```
              x >= 0                x < 0

                1                  e^x            one e = e^-|x| serves both:
 sigma     ──────────           ─────────
            1 + e^-x             1 + e^x          (1 or e) / (1 + e)
```

**Your turn.** `logistic` works on arrays. `sigmoid` makes an operation of it, and is given. Compute $e^{-|x|}$ once, for all numbers; then
`np.where` chooses what goes above the line. (`np.where` computes both of its sides everywhere, so it cannot keep an overflow away.)
"""

# %% nbgrader={"grade": false, "grade_id": "sigmoid", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def logistic(x):
    """1 / (1 + e^-x) for an array of any shape, without overflow.

    >>> logistic(np.array([-1000.0, 0.0, 1000.0]))
    array([0. , 0.5, 1. ])
    """
    x = x if x.dtype.kind == "f" else x * 1.0                   # whole numbers of one byte have no -x
    ### BEGIN SOLUTION
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, e) / (1.0 + e)
    ### END SOLUTION


@op
def sigmoid(x):
    """1 / (1 + e^-x): any number becomes one between 0 and 1.  As `torch.sigmoid`."""
    return logistic(x)

# %% nbgrader={"grade": true, "grade_id": "test-sigmoid", "locked": true, "points": 12, "schema_version": 3, "solution": false, "task": false}
def test_unit_sigmoid():
    """The sigmoid maps every number to one between 0 and 1, and nothing overflows on the way."""
    x = Tensor([-2.0, -0.5, 0.5, 2.0])
    expect.close(lambda: sigmoid(x), [0.1192029, 0.3775407, 0.6224593, 0.8807971], "from low to high", mistaken={
        "it falls where it should rise: the two forms are exchanged, or a sign": [0.8807971, 0.6224593, 0.3775407, 0.1192029],
        "-x gives what x gives: where x < 0, e stands above the line, and e is e^-|x|": [0.8807971, 0.6224593, 0.6224593, 0.8807971],
        "e stands above the line on both sides; where x >= 0 it is 1": [0.1192029, 0.3775407, 0.3775407, 0.1192029]}, raises={
        ValueError: "`if` decides once for the whole array; np.where decides number by number"})
    with np.errstate(over="raise", invalid="raise"):
        expect.close(lambda: sigmoid(Tensor([-math.inf, -1000.0, 1000.0, math.inf])), [0.0, 0.0, 1.0, 1.0], "nothing overflows far out",
                     raises={FloatingPointError: "take e^-|x|, which is at most 1; np.where computes both of its sides"})
    expect.close(lambda: sigmoid(Tensor([-20.0])) * 1e9, [2.0611537], "small chances keep their digits", tol=1e-4, mistaken={
        "1 minus almost 1 leaves nothing: use e / (1 + e) for x < 0": [0.0],
        "far too large: do not cut x off, and add nothing to it": lambda got: got > 3})
    expect.close(lambda: sigmoid(Tensor([math.nan])), [math.nan], "nan stays nan", hint="do not replace nan")
    expect.same(lambda: logistic(x.numpy()).dtype, float32, "logistic takes arrays, and keeps float32", hint="make no float64 array")

test_unit_sigmoid()

# %% [markdown]
r"""
## 4 · Tanh

A sigmoid's outputs are all positive; with inputs around 0 they gather around 0.5. The *hyperbolic tangent* has the same shape and is
centred on 0:

$$\tanh(x) = \frac{e^x - e^{-x}}{e^x + e^{-x}} = 2\,\sigma(2x) - 1$$

As before, the first form is `nan` far out. The second is safe, but look closely at a small number:
"""

# %%
far, small = np.array([-100.0, 100.0], dtype=np.float32), np.array([1e-4], dtype=np.float32)
print("first form, far out:   ", (np.exp(far) - np.exp(-far)) / (np.exp(far) + np.exp(-far)))
print("second form at 0.0001: ", 2 * logistic(2 * small) - 1)
print("np.tanh:               ", np.tanh(far), np.tanh(small))

# %% [markdown]
"""
The second form took 1 from a number just above 1: the leading digits cancel, and float32 has few others. NumPy's own `np.tanh` is right
everywhere.

**Your turn.** One line. Because the operation is *called* `tanh`, `np.tanh(tensor)` comes through the door as well.
"""

# %% nbgrader={"grade": false, "grade_id": "tanh", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
@op
def tanh(x):
    """The hyperbolic tangent, between -1 and 1.  Any shape.  As `torch.tanh`.

    >>> tanh(Tensor([-100.0, 0.0, 1.0]))
    Tensor([-1.    ,  0.    ,  0.7616])
    """
    ### BEGIN SOLUTION
    return np.tanh(x)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-tanh", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
def test_unit_tanh():
    """Tanh maps every number to one between -1 and 1."""
    x = Tensor([-1.0, 0.0, 2.0])
    expect.close(lambda: tanh(x), [-0.7615942, 0.0, 0.9640276], "from -1 to 1, with 0 in the middle", mistaken={
        "that is the sigmoid": [0.2689414, 0.5, 0.8807971],
        "half as steep as it should be: 2x goes into the sigmoid": [-0.4621172, 0.0, 0.7615942]}, raises={
        TypeError: "x is an array: math.tanh takes one number, NumPy's tanh takes all"})
    with np.errstate(over="raise", invalid="raise"):
        expect.close(lambda: tanh(Tensor([-1000.0, 100.0, math.inf])), [-1.0, 1.0, 1.0], "far out", raises={
            FloatingPointError: "e^1000 is too large; np.tanh is built to avoid it"})
    expect.close(lambda: tanh(Tensor([1e-4])) * 1e4, [1.0], "small numbers keep their digits",
                 hint="a difference of nearly equal numbers loses them; np.tanh takes none")

test_unit_tanh()

# %% [markdown]
"""
### Saturation

Both curves are flat at their ends. Feed a sigmoid with inputs of growing size, and see where the outputs land and how much slope is left.
"""

# %% tags=["analysis"]
figure, axes = plt.subplots(1, 3, figsize=(11, 2.5), sharey=True)
for axis, scale in zip(axes, (1, 4, 16)):
    scores = scale * np.random.default_rng(0).standard_normal(5000)
    axis.hist(sigmoid(Tensor(scores)).numpy(), bins=40, range=(0, 1))
    axis.set(title=f"inputs of size {scale}\nmean slope {slope(sigmoid, scores).mean():.3f}", xlabel="sigmoid")
plt.show()

# %% [markdown]
r"""
An output that is nearly 0 or 1 hardly moves whatever the input does: the unit is *saturated*. ReLU is flat on one side only. That is
the main reason why it replaced the sigmoid between layers.

## 5 · GELU and SiLU: soft gates

ReLU multiplies x by 0 or by 1, with a corner between. Take a multiplier that goes from 0 to 1 smoothly, and the corner is gone:

```
 relu(x) = x · (0 or 1)
 silu(x) = x · sigma(x)        sigma: the sigmoid
 gelu(x) = x · Phi(x)          Phi:   how likely a normal random number is smaller than x
```

$\Phi$ has no formula in powers and exponentials. One can count, or use the *error function* erf, which exists for this purpose:

$$\Phi(x) = \tfrac12\left(1 + \mathrm{erf}\left(x / \sqrt 2\right)\right)$$
"""

# %%
normal = np.random.default_rng(0).standard_normal(100_000)
print("counted: ", np.mean(normal < 1.0))
print("with erf:", 0.5 * (1 + math.erf(1 / math.sqrt(2))))
print("has NumPy an erf for arrays?", hasattr(np, "erf"))

# %% [markdown]
r"""
NumPy has no erf, and `math.erf` takes one number at a time. So here is one that is given:

* float64 goes through `math.erf` number by number: exact, and slow.
* Everything else uses $\mathrm{erf}(z) = \tanh(z \cdot p(z^2))$, with a polynomial $p$ whose seven coefficients were fitted to `math.erf`
  so that the largest error, rounding included, is under $3 \cdot 10^{-7}$. The next check holds it to that.

Such formulas make an array at every step. A large one does not fit into the processor's cache, so each of them travels to the memory and back.
`in_blocks` goes over a large array in pieces that do fit; the formula stays as it is.
"""

# %%
#| export
_erf_of_each = np.frompyfunc(math.erf, 1, 1)
_erf_terms = (1.5895995e-07, -5.9856862e-06, 8.9712563e-05, -0.00062571951, -0.00018438375, 0.10276548, 1.1283797)  # of z¹², z¹⁰ … 1


def error_function(z):
    """erf of an array: exact for float64, within 3e-7 for float32.

    >>> error_function(np.array([-1.0, 0.0, 1.0])).round(6)
    array([-0.842701,  0.      ,  0.842701])
    """
    if z.dtype == float64:
        return np.asarray(_erf_of_each(z), dtype=float64)
    z = z.clip(-5.0, 5.0)                                        # beyond, erf is 1 in float32, and powers would overflow
    s = z * z
    p = _erf_terms[0] * s
    for term in _erf_terms[1:-1]:
        p += term                                                # in place: p is ours
        p *= s
    return np.tanh(z * (p + _erf_terms[-1]))


BLOCK = 1 << 16                                                  # numbers; as float32, 256 KB


def in_blocks(forward):
    """The same elementwise function of arrays of one shape, which takes large ones in pieces that fit into the cache."""
    @functools.wraps(forward)
    def run(*arrays, **settings):
        x, step = arrays[0], BLOCK // len(arrays)
        if not isinstance(x, np.ndarray) or x.size <= step or x.dtype.kind != "f":
            return forward(*arrays, **settings)
        flat, out = [a.reshape(-1) for a in arrays], np.empty(x.size, x.dtype)
        for start in range(0, x.size, step):
            out[start:start + step] = forward(*[a[start:start + step] for a in flat], **settings)
        return out.reshape(x.shape)
    return run


@op
@in_blocks
def erf(x):
    """The error function: 2/√π times the integral of e^-t² from 0 to x.  As `torch.erf`."""
    return error_function(x)

# %% [markdown]
r"""
With only two terms in $p$, this is the well-known short form of GELU, with which GPT-2 was trained. A model must be run in the form it was
trained in, so both exist, and a setting keeps them apart:

$$\begin{aligned}
\text{'none'}:&\quad x \cdot \tfrac12\left(1 + \mathrm{erf}(x/\sqrt2)\right) \\
\text{'tanh'}:&\quad x \cdot \tfrac12\left(1 + \tanh\left(\sqrt{2/\pi}\,(x + 0.044715\,x^3)\right)\right)
\end{aligned}$$

**Your turn.** Write constants with `math.sqrt`, which gives a Python number. `np.sqrt(2)` is a NumPy float64, and would make float64 of
the whole array. Write the cube as `x * x * x`; module 01 measured why. Any other setting is a ValueError.
"""

# %% nbgrader={"grade": false, "grade_id": "gelu", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
@op
@in_blocks
def gelu(x, *, approximate="none"):
    """x times the chance that a normal random number is smaller.  Any shape.  As `torch.nn.functional.gelu`.

    `approximate` is "none" (with erf) or "tanh"; ValueError for anything else.  Source: Hendrycks and Gimpel, 2016.

    >>> gelu(Tensor([-1.0, 0.0, 1.0]))
    Tensor([-0.1587,  0.    ,  0.8413])
    >>> gelu(Tensor([-1.0, 0.0, 1.0]), approximate="tanh")
    Tensor([-0.1588,  0.    ,  0.8412])
    """
    ### BEGIN SOLUTION
    if approximate == "none":
        return 0.5 * x * (1 + error_function(x * math.sqrt(0.5)))
    if approximate == "tanh":
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))
    raise ValueError(f"approximate is 'none' or 'tanh', not {approximate!r}")
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-gelu", "locked": true, "points": 14, "schema_version": 3, "solution": false, "task": false}
def test_unit_gelu():
    """GELU has an exact form and a tanh form, and does not mix them up."""
    z = np.linspace(-5, 5, 1001, dtype=np.float32)
    away = erf(Tensor(z)).numpy() - np.array([math.erf(v) for v in z])
    expect.true(np.abs(away).max() < 3e-7, "the polynomial agrees with math.erf")
    x, exact = Tensor([-2.0, -1.0, 0.0, 1.0, 2.0]), [-0.0455003, -0.1586553, 0.0, 0.8413447, 1.9544997]
    short = [-0.0454023, -0.1588080, 0.0, 0.8411920, 1.9545977]
    expect.close(lambda: gelu(x), exact, "the exact form is the default", mistaken={
        "that is the tanh form; 'none' means exact": short,
        "erf takes x / √2, not x": [-0.0046777, -0.0786496, 0.0, 0.9213504, 1.9953223],
        "that is Φ(x), the multiplier; multiply it by x": [0.0227501, 0.1586553, 0.5, 0.8413447, 0.9772499],
        "the ½ is missing": [-0.0910005, -0.3173105, 0.0, 1.6826895, 3.9089995],
        "that is x · sigmoid(1.702 x), yet another approximation": [-0.0643414, -0.1542042, 0.0, 0.8457958, 1.9356586]}, raises={
        TypeError: "math.erf takes one number, error_function all of x", ValueError: "'none' is a setting as well: the exact form"})
    expect.close(lambda: gelu(x, approximate="tanh"), short, "'tanh' asks for the short form", mistaken={
        "that is the exact form: look at `approximate`": exact,
        "that has x²; the term is 0.044715 x³": [-0.1037038, -0.1788124, 0.0, 0.8411920, 1.9400500],
        "√(2/π) multiplies the whole bracket": [-0.0394101, -0.1564082, 0.0, 0.8435918, 1.9605899],
        "2 stands above π, under the root": [-0.0054101, -0.0679438, 0.0, 0.9320562, 1.9945899]})
    expect.raises(ValueError, lambda: gelu(x, approximate="exact"), "another setting is refused", match="approximate",
                  hint="raise a ValueError that names `approximate`, unless it is 'none' or 'tanh'")
    expect.close(lambda: gelu(Tensor([-1000.0, 1000.0])), [0.0, 1000.0], "far out it is ReLU")
    expect.close(lambda: gelu(Tensor([1.0], dtype=float64)), [0.841344746068543], "in float64 too", tol=1e-12, hint="use error_function")
    for form in ("none", "tanh"):                                # __wrapped__: the function of arrays inside the operation
        expect.same(lambda: gelu.__wrapped__(z, approximate=form).dtype, float32, "float32 stays float32 on the way",
                    hint="a NumPy number such as np.sqrt(2) widens the array: use math.sqrt")

test_unit_gelu()

# %%
x = Tensor(np.linspace(-5, 5, 10_001))
apart = abs(gelu(x) - gelu(x, approximate="tanh"))
print(f"the two forms differ by at most {apart.max().item():.6f}, at |x| = {abs(x)[apart.argmax()].item():.2f}")

# %% [markdown]
"""
**Your turn.** SiLU (also called *swish*) is the same idea with the sigmoid as the gate. You have a sigmoid for arrays already.
"""

# %% nbgrader={"grade": false, "grade_id": "silu", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
@op
@in_blocks
def silu(x):
    """x · sigmoid(x).  Any shape.  As `torch.nn.functional.silu`.

    >>> silu(Tensor([-1.0, 0.0, 1.0]))
    Tensor([-0.2689,  0.    ,  0.7311])
    """
    ### BEGIN SOLUTION
    return x * logistic(x)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-silu", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
def test_unit_silu():
    """SiLU is x times its sigmoid."""
    x = Tensor([-2.0, -1.0, 0.0, 1.0, 2.0])
    expect.close(lambda: silu(x), [-0.2384058, -0.2689414, 0.0, 0.7310586, 1.7615942], "x · sigmoid(x)", mistaken={
        "that is the sigmoid alone; multiply it by x": [0.1192029, 0.2689414, 0.5, 0.7310586, 0.8807971],
        "the gate is turned: it must open for positive x": [-1.7615942, -0.7310586, 0.0, 0.2689414, 0.2384058]})
    with np.errstate(over="raise", invalid="raise"):
        expect.close(lambda: silu(Tensor([-1000.0, 1000.0])), [0.0, 1000.0], "far out it is ReLU", raises={
            FloatingPointError: "e^1000 overflows: use `logistic`, which you made safe"})
    expect.close(lambda: silu(Tensor([1.0], dtype=float64)), [0.731058578630005], "in float64 too", tol=1e-12,
                 hint="x is an array here: use `logistic`; the operation `sigmoid` is for tensors")

test_unit_silu()

# %% [markdown]
"""
Six curves, each with its slope. Look for three things: where a slope is 0 (nothing is learnt there), where it jumps, and how large it
ever gets.
"""

# %% tags=["analysis"]
x = np.linspace(-5, 5, 500)
figure, axes = plt.subplots(2, 3, figsize=(11, 5), sharex=True)
for axis, f in zip(axes.flat, (relu, leaky_relu, sigmoid, tanh, gelu, silu)):
    steep = slope(f, x)
    axis.plot(x, f(Tensor(x)).numpy(), label="value")
    axis.plot(x, steep, "--", label="slope")
    axis.set(title=f"{f.__name__}: slope {steep.min():.2f} to {steep.max():.2f}", ylim=(-1.2, 2.5))
axes[0, 0].legend(); plt.show()

# %% [markdown]
r"""
## 6 · Softmax: scores to probabilities

So far each number was on its own. A classifier's last layer gives one score per class, a *logit*, and the scores compete. Exponentials
make them positive; dividing by their sum makes them add up to one:

$$\mathrm{softmax}(z)_i = \frac{e^{z_i}}{\sum_j e^{z_j}}$$

Written down as it stands, it breaks. Run it.
"""

# %%
def softmax_as_written(z):
    return np.exp(z) / np.exp(z).sum()

print(softmax_as_written(np.array([1.0, 2.0, 3.0], np.float32)))
print(softmax_as_written(np.array([1000.0, 2.0, 3.0], np.float32)))

# %% [markdown]
"""
The first entry is `inf / inf`, which is `nan`. In training, one `nan` spoils every weight it touches.

Adding the same number $c$ to every score changes nothing: the factor $e^c$ stands above and below the line, and cancels. So subtract the
largest score. Every exponent is then at most 0, and nothing can overflow.

```
scores               1000     2     3
minus the largest       0  -998  -997
exp                     1     0     0      -> 1, 0, 0
```

**Your turn.** `dim` says along which axis the probabilities add up to one; the shape does not change. Each row (or column) has a largest
score of its own: `keepdims=True` lets it line up.
"""

# %% nbgrader={"grade": false, "grade_id": "softmax", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
@op
def softmax(z, dim=-1):
    """Probabilities along `dim`: positive, and adding up to 1.  (…, n, …) -> the same shape.

    Stable for finite scores; -inf gets probability 0.  As `torch.softmax`.

    >>> softmax(Tensor([0.0, 0.0, math.log(2)]))
    Tensor([0.25, 0.25, 0.5 ])
    """
    z = z if z.dtype.kind == "f" else z * 1.0
    ### BEGIN SOLUTION
    z = z - z.max(axis=dim, keepdims=True)
    e = np.exp(z)
    return e / e.sum(axis=dim, keepdims=True)                    # (…, n, …) / (…, 1, …)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-softmax", "locked": true, "points": 14, "schema_version": 3, "solution": false, "task": false}
def test_unit_softmax():
    """Softmax turns scores into probabilities along one axis, whatever their size."""
    z = Tensor([[1.0, 2.0, 3.0], [1.0, 1.0, 1.0]])                       # (2, 3)
    want = np.array([[0.0900306, 0.2447285, 0.6652410], [1 / 3] * 3], np.float32)
    expect.close(lambda: softmax(z, dim=1), want, "each row adds up to 1", mistaken={
        "the whole array adds up to 1: sum along `dim` only": lambda got: np.isclose(got.sum(), 1),
        "the columns add up to 1: use `dim`, not a fixed axis": lambda got: np.allclose(got.sum(0), 1),
        "those are the logarithms; softmax is e / sum": np.log(want),
        "the scores themselves were divided: exp makes them positive first": [[2 / 3, 1 / 3, 0.0], [math.nan] * 3]},
        raises={ValueError: "keepdims=True keeps (2, 1), which lines up with (2, 3)"})
    expect.close(z, [[1.0, 2.0, 3.0], [1.0, 1.0, 1.0]], "z is as it was", hint="you wrote into the caller's array: -= does, - does not")
    down = [[0.5, 0.7310586, 0.8807971], [0.5, 0.2689414, 0.1192029]]
    expect.close(lambda: softmax(z, dim=0), down, "with dim=0 each column adds up to 1", mistaken={
        "the rows add up to 1 again: use `dim`, not a fixed axis": lambda got: np.allclose(got.sum(1), 1),
        "the sum goes along `dim`, but the max does not: use `dim` for both": lambda got: np.allclose(got.sum(0), 1)})
    expect.finite(lambda: softmax(Tensor([1000.0, 0.0])), "scores of 1000 are fine", hint="subtract the largest score before exp")
    expect.close(lambda: softmax(Tensor([[1000.0, 1000.0], [-1000.0, -1000.0]])), [[0.5, 0.5]] * 2, "rows far apart are fine", mistaken={
        "each row has its own largest score: max along `dim`, with keepdims=True": lambda got: np.isnan(got[1]).all()})
    expect.close(lambda: softmax(Tensor([1.0, -math.inf, 1.0])), [0.5, 0.0, 0.5], "a score of -inf gets nothing")
    expect.close(lambda: softmax(Tensor([0.0, 0.0], dtype=float64)), [0.5, 0.5], "in float64 too", tol=1e-12,
                 hint="add nothing below the line: the sum is at least 1 already")
    with np.errstate(invalid="ignore"):
        expect.close(lambda: softmax(Tensor([-math.inf, -math.inf])), [math.nan] * 2, "nothing but -inf has no answer",
                     hint="let nan stand: an invented number would hide the mistake")

test_unit_softmax()

# %% [markdown]
"""
A score of `-inf` means *not allowed*, and gets probability 0. Where nothing is allowed there is nothing to choose from: `nan`.

Dividing the scores by a *temperature* sharpens or flattens the result. A language model chooses its words in this way.
"""

# %% tags=["analysis"]
scores = np.array([2.0, 1.0, 0.1, -1.0])
plt.figure(figsize=(5, 3))
for temperature in (0.3, 1.0, 3.0):
    plt.plot(softmax(Tensor(scores / temperature)).numpy(), "o-", label=f"T = {temperature}")
plt.xticks(range(4)); plt.xlabel("class"); plt.ylabel("probability"); plt.legend(); plt.show()

# %% [markdown]
"""
## 7 · Log-softmax

Losses and language models want the *logarithm* of a probability. You have a softmax that never overflows, so take its log?
"""

# %%
scores = np.array([0.0, -50.0, -200.0], dtype=np.float32)
chances = softmax(Tensor(scores)).numpy()
print(chances)
print(np.log(chances))

# %% [markdown]
r"""
The third logarithm is -200, a harmless number. But $e^{-200}$ is too small for a float32 and was rounded to 0, whose logarithm is `-inf`.
What is lost in rounding cannot be brought back. So do not take the exponential of what will be logged; simplify first:

$$\log \frac{e^{z_i}}{\sum_j e^{z_j}} = z_i - \log \sum_j e^{z_j}$$

**Your turn.** Subtract the largest score first, as before. Then the sum contains $e^0 = 1$, and its logarithm is safe.
"""

# %% nbgrader={"grade": false, "grade_id": "log-softmax", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
@op
def log_softmax(z, dim=-1):
    """The logarithm of softmax along `dim`, without rounding small probabilities to 0.  As `torch.log_softmax`.

    >>> log_softmax(Tensor([0.0, -200.0]))
    Tensor([   0., -200.])
    """
    z = z if z.dtype.kind == "f" else z * 1.0
    ### BEGIN SOLUTION
    z = z - z.max(axis=dim, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=dim, keepdims=True))    # (…, n, …) - (…, 1, …)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-log-softmax", "locked": true, "points": 12, "schema_version": 3, "solution": false, "task": false}
def test_unit_log_softmax():
    """Log-softmax gives the logarithms of probabilities, however small they are."""
    z = Tensor([[1.0, 2.0, 3.0], [1.0, 1.0, 1.0]])                       # (2, 3)
    want = np.array([[-2.4076059, -1.4076059, -0.4076059], [-math.log(3)] * 3], np.float32)
    expect.close(lambda: log_softmax(z, dim=1), want, "the logarithms of probabilities", mistaken={
        "those are the probabilities; their logarithms are wanted": np.exp(want),
        "the largest score was subtracted in the sum only: shift both": want + [[3], [1]],
        "log of the sum is wanted; here the sum itself was subtracted": lambda got: np.allclose(got[1], -3),
        "the sum is of e^z, not of z": [[math.nan] * 3, [math.inf] * 3],
        "the whole array was summed: sum along `dim` only": lambda got: np.isclose(np.exp(got).sum(), 1),
        "the columns were summed: use `dim`, not a fixed axis": lambda got: np.allclose(np.exp(got).sum(0), 1)},
        raises={ValueError: "keepdims=True keeps (2, 1), which lines up with (2, 3)"})
    expect.close(z, [[1.0, 2.0, 3.0], [1.0, 1.0, 1.0]], "z is as it was", hint="you wrote into the caller's array: -= does, - does not")
    expect.close(lambda: log_softmax(Tensor([0.0, -200.0])), [0.0, -200.0], "a very small probability has a logarithm", mistaken={
        "e^-200 was rounded to 0 before its logarithm: simplify first": [0.0, -math.inf],
        "something was added before the logarithm, which hides the rounding: simplify first": lambda got: got[1] > -199})
    expect.close(lambda: log_softmax(Tensor([[1000.0, 0.0], [0.0, 0.0]])), [[0.0, -1000.0], [-math.log(2)] * 2], "large scores", mistaken={
        "subtract the largest score before exp": lambda got: np.isinf(got[0]).any() or np.isnan(got[0]).any(),
        "each row has its own largest score: max along `dim`, with keepdims=True": lambda got: not np.isfinite(got[1]).all()})
    down = np.log([[0.5, 0.7310586, 0.8807971], [0.5, 0.2689414, 0.1192029]])
    expect.close(lambda: log_softmax(z, dim=0), down, "dim=0 works on columns", mistaken={
        "the rows were summed again: use `dim`, not a fixed axis": lambda got: np.allclose(np.exp(got).sum(1), 1),
        "the sum goes along `dim`, but the max does not: use `dim` for both": lambda got: np.allclose(np.exp(got).sum(0), 1)})
    expect.close(lambda: log_softmax(Tensor([0.0, -math.inf])), [0.0, -math.inf], "a score of -inf has probability 0")
    with np.errstate(invalid="ignore"):
        expect.close(lambda: log_softmax(Tensor([-math.inf, -math.inf])), [math.nan] * 2, "nothing but -inf has no answer")

test_unit_log_softmax()

# %% [markdown]
"""
## 8 · As methods and as objects

A network is written as a list of layers that are called one after the other. An activation in that list must remember its settings, and
answer the same questions as a layer: which parameters have you (none), are we training (no matter). One small base class does all of
that, and five activations are given. The last of them has a setting.

Before them, as in PyTorch, six of the functions become methods of Tensor.
"""

# %%
#| export
Tensor.relu, Tensor.sigmoid, Tensor.tanh, Tensor.erf = relu, sigmoid, tanh, erf
Tensor.softmax, Tensor.log_softmax = softmax, log_softmax

# %%
#| export
class Activation:
    """What all activations have in common: called like functions, with settings, without parameters.  Subclasses define `forward`."""
    training = True

    def __call__(self, x):
        return self.forward(x)

    def parameters(self):
        return []

    named_parameters = parameters

    def train(self, mode=True):
        self.training = mode
        return self

    def eval(self):
        return self.train(False)

    def __repr__(self):
        settings = [f"{name}={value!r}" for name, value in vars(self).items() if name != "training"]
        return f"{type(self).__name__}({', '.join(settings)})"

# %%
#| export
class ReLU(Activation):
    """`relu` as an object.  As `torch.nn.ReLU`."""
    def forward(self, x):
        return relu(x)


class Sigmoid(Activation):
    """`sigmoid` as an object.  As `torch.nn.Sigmoid`."""
    def forward(self, x):
        return sigmoid(x)


class Tanh(Activation):
    """`tanh` as an object.  As `torch.nn.Tanh`."""
    def forward(self, x):
        return tanh(x)


class SiLU(Activation):
    """`silu` as an object.  As `torch.nn.SiLU`."""
    def forward(self, x):
        return silu(x)


class LeakyReLU(Activation):
    """`leaky_relu` as an object.  As `torch.nn.LeakyReLU`."""
    def __init__(self, negative_slope=0.01):
        self.negative_slope = negative_slope

    def forward(self, x):
        return leaky_relu(x, negative_slope=self.negative_slope)

# %% [markdown]
"""
**Your turn.** The other three keep their setting as `LeakyReLU` does. What is left is to pass it on.
"""

# %% nbgrader={"grade": false, "grade_id": "objects", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
class GELU(Activation):
    """`gelu` as an object; `approximate` is 'none' or 'tanh'.  As `torch.nn.GELU`."""
    def __init__(self, approximate="none"):
        self.approximate = approximate

    def forward(self, x):
        """gelu with this object's setting."""
        ### BEGIN SOLUTION
        return gelu(x, approximate=self.approximate)
        ### END SOLUTION


class Softmax(Activation):
    """`softmax` along `dim` as an object.  As `torch.nn.Softmax`."""
    def __init__(self, dim=-1):
        self.dim = dim

    def forward(self, x):
        """softmax with this object's setting."""
        ### BEGIN SOLUTION
        return softmax(x, dim=self.dim)
        ### END SOLUTION


class LogSoftmax(Activation):
    """`log_softmax` along `dim` as an object.  As `torch.nn.LogSoftmax`."""
    def __init__(self, dim=-1):
        self.dim = dim

    def forward(self, x):
        """log_softmax with this object's setting."""
        ### BEGIN SOLUTION
        return log_softmax(x, dim=self.dim)
        ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-objects", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
def test_unit_objects():
    """Activations as objects remember their settings, and show them."""
    x = Tensor([[-1.0, 0.0, 2.0], [1.0, -300.0, 0.5]])                   # (2, 3)
    lost = "the setting is not passed on: give self.… to the function by name"
    expect.close(lambda: GELU("tanh")(x), gelu(x, approximate="tanh"), "GELU('tanh') is the tanh form", mistaken={lost: gelu(x)},
                 raises={TypeError: "give a setting by its name, as LeakyReLU does"})
    expect.close(lambda: GELU()(x), gelu(x), "GELU() is the exact form")
    expect.close(lambda: Softmax(dim=-2)(x), softmax(x, dim=0), "Softmax(dim=-2) works on columns", mistaken={
        lost: softmax(x), "that is log_softmax": log_softmax(x, dim=0)})
    expect.close(lambda: LogSoftmax(dim=-2)(x), log_softmax(x, dim=0), "LogSoftmax(dim=-2) works on columns", mistaken={
        lost: log_softmax(x), "that is softmax": softmax(x, dim=0),
        "log_softmax keeps small probabilities, which the log of softmax loses": lambda got: np.isinf(got).any()})
    expect.close(lambda: (Softmax()(x) + LogSoftmax()(x).exp()).sum(dim=1), [2.0, 2.0], "without a setting both work on the last axis")
    expect.same(lambda: repr([GELU(), Softmax(1), LogSoftmax(), LeakyReLU(0.2), ReLU()]),
                "[GELU(approximate='none'), Softmax(dim=1), LogSoftmax(dim=-1), LeakyReLU(negative_slope=0.2), ReLU()]",
                "they show their settings", hint="forward keeps nothing in `self`")
    for layer, f in [(ReLU(), relu), (Sigmoid(), sigmoid), (Tanh(), tanh), (SiLU(), silu), (LeakyReLU(), leaky_relu)]:
        expect.close(lambda: layer.eval()(x), f(x), "the given objects do what their functions do")
        expect.same((layer.parameters(), layer.training), ([], False), "they have no parameters, and know of eval()")
    expect.close(lambda: x.softmax(0) - x.log_softmax(0).exp(), np.zeros((2, 3)), "the methods do what their functions do")

test_unit_objects()

# %% nbgrader={"grade": true, "grade_id": "test-module", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def test_module():
    """Everything together: a classifier's forward pass, in float32 and in float64."""
    rng = np.random.default_rng(0)
    pixels, w1, w2, w3 = (rng.standard_normal(shape) for shape in [(6, 8), (8, 16), (16, 16), (16, 3)])

    def network(dtype):
        x = Tensor(pixels, dtype=dtype)
        for w, layer in zip((w1, w2, w3), (LeakyReLU(0.1), GELU("tanh"), LogSoftmax())):
            x = layer(x @ Tensor(w / 4, dtype=dtype))
        return x

    chances = network(float32).exp()                                     # (6, 3)
    expect.close(chances.sum(dim=1), np.ones(6), "each row of probabilities adds up to one")
    expect.close(network(float32), network(float64).numpy(), "float32 and float64 agree", tol=1e-4)
    a = np.linspace(-6, 6, 25)
    x = Tensor(a.copy(), dtype=float64)
    exact = [(sigmoid, 1 / (1 + np.exp(-a))), (tanh, 1 - 2 / (np.exp(2 * a) + 1)), (silu, a / (1 + np.exp(-a))),
             (gelu, a / 2 * np.array([1 + math.erf(v / math.sqrt(2)) for v in a])), (softmax, np.exp(a) / np.exp(a).sum())]
    for f, want in exact:
        expect.close(f(x), want, "float64 has float64's digits", tol=1e-12, hint=f"look at {f.__name__}")
    for f in (relu, leaky_relu, sigmoid, tanh, erf, gelu, silu):
        expect.same([f(t).shape for t in (Tensor(2.0), Tensor(np.ones((0, 3))), x.reshape(5, 5).T)], [(), (0, 3), (5, 5)], "any shape")
        expect.same((f(Tensor(2.0)).dtype, f(x).dtype), (float32, float64), "the dtype stays", hint=f"look at {f.__name__}")
    expect.close(x, a, "x is as it was", hint="a forward makes new arrays, and never writes into those that come in")

test_module()

# %% [markdown]
"""
### What it costs

How long does each take on a million numbers? The first bar is a plain copy, the least that anything can take. Is the order the one
that you expect from the formulas?
"""

# %% tags=["analysis"]
import timeit

x = Tensor(np.random.default_rng(0).standard_normal((1000, 1000), dtype=np.float32))
functions = {"copy": Tensor.copy, "relu": relu, "leaky_relu": leaky_relu, "sigmoid": sigmoid, "tanh": tanh, "silu": silu,
             "gelu": gelu, "gelu, tanh form": GELU("tanh"), "softmax": softmax, "log_softmax": log_softmax}
times = {name: 1e3 * min(timeit.repeat(lambda: f(x), number=1, repeat=7)) for name, f in functions.items()}
plt.figure(figsize=(6, 3))
bars = plt.barh(list(times), list(times.values()))
plt.bar_label(bars, fmt="%.1f", padding=3); plt.margins(x=0.12)
plt.gca().invert_yaxis(); plt.xlabel("milliseconds"); plt.show()

# %% [markdown]
"""
## 9 · In your own words

**Question 1.** Two layers with biases compute $(x W_1 + b_1) W_2 + b_2$. Which weight and which bias does the *single* layer have that
gives the same? And at which step does your argument fail once `relu` stands between the two?
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-linear", "locked": false, "points": 6, "schema_version": 3, "solution": true, "task": false}
"""
Multiplied out: $x (W_1 W_2) + (b_1 W_2 + b_2)$, so the weight is $W_1 W_2$ and the bias $b_1 W_2 + b_2$. With relu, the first step fails:
the product with $W_2$ cannot be moved inside, because relu of a sum is not the sum of the relus (take 1 and -1: 0, but 1 + 0).
"""

# %% [markdown]
"""
**Question 2.** The slope of a chain of functions is the product of their slopes. The sigmoid's slope is never more than 0.25. What is
the most that is left of a slope after 20 sigmoids, what after 20 ReLUs on their positive side, and what is the price that ReLU pays?
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-slopes", "locked": false, "points": 6, "schema_version": 3, "solution": true, "task": false}
r"""
After 20 sigmoids at most $0.25^{20} \approx 10^{-12}$: the early layers learn next to nothing. After 20 ReLUs on the positive side the
slope is still $1^{20} = 1$. The price is the negative side, where the slope is 0: a unit that is negative for every example is dead and
never comes back, unless something leaks.
"""

# %% [markdown]
"""
## Where you are

You have eight activations that are right everywhere on the number line, as functions, as objects, and five as methods. What
you will meet again: before a formula is typed in, ask what its largest exponential is, and what will cancel.

Next: `tito module complete 02`. Module 03 puts weights between the bends.
"""
