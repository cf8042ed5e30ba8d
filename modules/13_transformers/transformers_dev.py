# %% [markdown]
"""
# 13 Transformers

> Layers that keep their signal, stacked: a language model that learns to write.

You have everything but the way to stack it. You make layers that can be put on top of one another fifty times, build a GPT of them, teach it, let
it write, and keep it in a file.
"""

# %% nbgrader={"grade": false, "grade_id": "start", "locked": true, "schema_version": 3, "solution": false, "task": false}
import tito.notebook     # where this fails, open the notebook with: tito module open 13
from tito.check import expect

tito.notebook.use(13)

# %%
#| default_exp models.transformer
#| view nn
#| view models

# %% nbgrader={"grade": false, "grade_id": "imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
import json
import math
import zipfile
from collections.abc import Callable

import numpy as np

from tinytorch.core.activations import gelu
from tinytorch.core.attention import MultiHeadAttention
from tinytorch.core.autograd import gradient, no_grad
from tinytorch.core.layers import (
    Dropout, Linear, Module, Parameter, check_array, check_choice, check_kind, check_number, check_sizes, check_whole, linear, plain_array)
from tinytorch.core.losses import cross_entropy
from tinytorch.core.tensor import Tensor, composed, default_generator, float64, int64, ones, op, randn, zeros
from tinytorch.core.training import replace_file
from tinytorch.text.embeddings import Embedding, LearnedPositionalEmbedding, PositionalEncoding, RotaryEmbedding

# %% nbgrader={"grade": false, "grade_id": "tools", "locked": true, "schema_version": 3, "solution": false, "task": false}
from pathlib import Path
from tempfile import TemporaryDirectory

from tinytorch.core.autograd import grad, gradcheck
from tinytorch.core.optimizers import Adam
from tinytorch.core.tensor import float32, manual_seed, tensor

# %% [markdown]
"""
## 1 · Fifty layers deep

A deep network should be able to do more than a flat one. Here are fifty `Linear` layers with GELU between them. How large is the signal after some
of them? And how large is the gradient that comes back to the first? The weights are those of module 03, times a factor. "Size" is the mean of the
absolute values.
"""

# %%
def size_of(step, factor, depth=50):
    """The size of the signal at the start and after each layer, x = step(layer, x), and of the gradient there."""
    manual_seed(0)
    signals = [randn(32, 64, requires_grad=True)]
    for _ in range(depth):
        layer = Linear(64, 64, bias=False)
        layer.weight.data *= factor
        signals.append(step(layer, signals[-1]))
    slopes = grad(signals[-1], signals, grad_outputs=randn(32, 64))
    return [[np.abs(t.numpy()).mean() for t in row] for row in (signals, slopes)]


def plain(layer, x):
    return gelu(layer(x))


for factor in (1, 2.5, 2.6, 4):
    signal, slope = size_of(plain, factor)
    print(f"weights × {factor:3}: signal after 1, 10, 50 layers {signal[1]:.0e} {signal[10]:.0e} {signal[50]:.0e}, gradient at the first {slope[0]:.0e}")

# %% [markdown]
r"""
Every layer multiplies the signal by some number. Fifty times a number below 1 is nothing; fifty times a number above 1 is far too much. In between
one factor happens to work, and with a little less it works no longer. Training moves the weights by more than that. Two ideas mend it for good.

## 2 · Normalise every token

The first idea: before each layer, put the numbers back to mean 0 and variance 1. Batch norm does that for a channel, over all images of a batch.
A language model writes one token at a time, in texts of any length, so here each *token* is normalised by itself, over its own numbers:

```
             n numbers each
 token 1   [ 1   3   5   7]   mean 4, variance 5     ─►  [-1.34 -0.45  0.45  1.34]
 token 2   [10  30  20  40]   mean 25, variance 125  ─►  [-1.34  0.45 -0.45  1.34]
```

$$\hat x = \frac{x - \mu}{\sqrt{\sigma^2 + \varepsilon}} \qquad \mu = \tfrac1n \sum_i x_i \qquad \sigma^2 = \tfrac1n \sum_i (x_i - \mu)^2$$

**Your turn.** The rows of `x` (…, n) are its last axis. It is an array or a Tensor, so use `.mean(axis=-1, keepdims=True)` and operators only.
Return $\hat x$, and the factor $1/\sqrt{\sigma^2 + \varepsilon}$ of each row, which the gradient will want. With `center=False` nothing is taken
away: the row is divided by the root of its mean *square*.
"""

# %% nbgrader={"grade": false, "grade_id": "standardize", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def standardize(x, eps, center=True):
    """The last axis with mean 0 and variance 1, and what it was multiplied by: (…, n) -> (…, n) and (…, 1).  Arrays or Tensors.

    With center=False the mean stays, and the mean square becomes 1.

    >>> standardize(np.array([[1.0, 3.0, 5.0, 7.0]]), 0.0)[0].round(2)
    array([[-1.34, -0.45,  0.45,  1.34]])
    """
    ### BEGIN SOLUTION
    away = x - x.mean(axis=-1, keepdims=True) if center else x * 1.0
    scale = ((away * away).mean(axis=-1, keepdims=True) + eps) ** -0.5
    away *= scale                                                # for an array in place, and it is ours
    return away, scale
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-standardize", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_standardize():
    """Each row gets mean 0 and variance 1, whatever the other rows hold."""
    x = np.array([[1.0, 3.0, 5.0, 7.0], [10.0, 30.0, 20.0, 40.0], [2.0, 2.5, 2.0, -1.0]])
    x.flags.writeable = False                                                # others look at it
    away, over = x - x.mean(1, keepdims=True), lambda t: (t * t).mean(1, keepdims=True)
    want = away / np.sqrt(over(away) + 0.5)
    expect.close(lambda: standardize(x, 0.5)[0], want, "the rows", mistaken={
        "each row has its own mean and variance: axis=-1": lambda got: np.allclose(got.mean(0), 0),
        "take the mean away": x / np.sqrt(over(x) + 0.5), "divide by the root of the variance": away / (over(away) + 0.5),
        "eps stands inside the root": away / (np.sqrt(over(away)) + 0.5), "add eps to the variance": away / np.sqrt(over(away)),
        "the variance is that of what is left after the mean is gone": away / np.sqrt(over(x) + 0.5),
        "divide the squares by n, not by n - 1": away / np.sqrt(over(away) * 4 / 3 + 0.5)},
        hint="(x - mean) times (mean of squares + eps) ** -0.5", raises={ValueError: "keepdims=True keeps (rows, 1); and x is not yours to change"})
    expect.close(lambda: standardize(x, 0.5)[1], (over(away) + 0.5) ** -0.5, "what each row was multiplied by, (rows, 1)", mistaken={
        "the factor is 1 over the root": (over(away) + 0.5) ** 0.5}, hint="return the rows, then the factor")
    expect.close(lambda: standardize(x[None], 0.5)[0], want[None], "rows are the last axis, however many there are", hint="axis=-1")
    expect.close(lambda: standardize(x, 0.5, center=False)[0], x / np.sqrt(over(x) + 0.5), "without center the mean stays", mistaken={
        "with center=False nothing is taken away": want, "the square is that of x itself then": x / np.sqrt(over(away) + 0.5)})
    expect.close(lambda: standardize(x, 0.5, center=False)[1], (over(x) + 0.5) ** -0.5, "and the factor is that of x")
    expect.true(lambda: all(t.requires_grad for t in standardize(Tensor(x, requires_grad=True), 0.5)), "Tensors know how they were made",
                hint="use operators and .mean(…) only: x may be a Tensor", raises={
                    (AttributeError, TypeError): "use operators and .mean(…) only: x may be a Tensor"})
    expect.same(lambda: [t.dtype for t in standardize(x.astype("float32"), 1e-5)], [float32, float32], "float32 stays float32",
                hint="use Python's numbers")

test_unit_standardize()

# %% [markdown]
r"""
A layer may need something else than mean 0 and variance 1. So each of the $n$ numbers gets a weight and a bias of its own, which are learned; they
start as 1 and 0. That is *LayerNorm* (Ba et al., 2016). *RMSNorm* (Zhang and Sennrich, 2019) leaves the mean where it is, and has no bias.

`_normalized_rows` (given) makes the table: what is normalised together becomes a row. `_smallest` is the eps that PyTorch takes for RMSNorm.
"""

# %%
#| export
def _shape_of(sizes):
    """One size or several, as a tuple."""
    return tuple(np.ravel(sizes).tolist())


def _normalized_rows(x, normalized_shape, *parameters):
    """x as a table (rows, n), a row for all that is normalised together.  TypeError, ValueError where it is not of floats or does not fit."""
    shape = _shape_of(normalized_shape)
    if x.dtype.kind != "f":
        raise TypeError(f"floats wanted, not {x.dtype}")
    if not shape or 0 in shape or x.shape[-len(shape):] != shape:
        raise ValueError(f"x of shape (…, {', '.join(map(str, shape))}) wanted, not {x.shape}")
    if wrong := [p.shape for p in parameters if p is not None and p.shape != shape]:
        raise ValueError(f"weight and bias have the shape of what is normalised, {shape}, not {wrong[0]}")
    return x.reshape(-1, math.prod(shape))


def _smallest(eps, x):
    """`eps`, or where that is None the step from 1 to the next number of x's dtype."""
    return float(np.finfo(x.dtype).eps) if eps is None else eps

# %% [markdown]
"""
**Your turn.** Both get arrays. `weight` and `bias` are None, or have the shape `normalized_shape`: as a row, `.ravel()`, they fit the table.
"""

# %% nbgrader={"grade": false, "grade_id": "layer-norm", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
@op
def layer_norm(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    """The last axes with mean 0 and variance 1, times `weight`, plus `bias`: (…, *normalized_shape) -> the same shape.

    As `torch.nn.functional.layer_norm`.

    >>> layer_norm(Tensor([1.0, 3.0, 5.0, 7.0]), 4)
    Tensor([-1.3416, -0.4472,  0.4472,  1.3416])
    """
    table = _normalized_rows(x, normalized_shape, weight, bias)
    ### BEGIN SOLUTION
    y, _ = standardize(table, eps)
    y = y if weight is None else y * weight.ravel()
    y = y if bias is None else y + bias.ravel()
    return y.reshape(x.shape)
    ### END SOLUTION


@op
def rms_norm(x, normalized_shape, weight=None, eps=None):
    """The last axes divided by the root of their mean square, times `weight`: (…, *normalized_shape) -> the same shape.

    As `torch.nn.functional.rms_norm`.

    >>> rms_norm(Tensor([1.0, 3.0, 5.0, 1.0]), 4)
    Tensor([0.3333, 1.    , 1.6667, 0.3333])
    """
    table, eps = _normalized_rows(x, normalized_shape, weight), _smallest(eps, x)
    ### BEGIN SOLUTION
    y, _ = standardize(table, eps, center=False)
    return (y if weight is None else y * weight.ravel()).reshape(x.shape)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-layer-norm", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_layer_norm():
    """LayerNorm and RMSNorm treat each token alike, and each of its numbers by its own weight."""
    rng = np.random.default_rng(0)
    x, w, b = rng.normal(size=(2, 3, 4)) + 1.0, rng.normal(size=4), rng.normal(size=4)
    given, rows = tensor(x, float64), standardize(x.reshape(6, 4), 0.1)[0].reshape(x.shape)
    expect.close(lambda: layer_norm(given, 4, eps=0.1), rows, "without weight and bias", mistaken={
        "eps is passed on: standardize(table, eps)": standardize(x.reshape(6, 4), 1e-5)[0].reshape(x.shape)},
        raises={(AttributeError, TypeError): "weight and bias may be None"})
    expect.close(lambda: layer_norm(given, 4, tensor(w, float64), tensor(b, float64), 0.1), rows * w + b, "times weight, plus bias", mistaken={
        "first the weight, then the bias": (rows + b) * w, "add the bias": rows * w, "multiply by the weight": rows + b},
        hint="x̂ * weight + bias")
    expect.close(lambda: layer_norm(given, (3, 4), tensor(x[0], float64), eps=0.1),
                 standardize(x.reshape(2, 12), 0.1)[0].reshape(x.shape) * x[0], "two axes together", hint="weight.ravel() fits the rows",
                 raises={ValueError: "weight.ravel() fits the rows of the table"})
    expect.close(given, x, "x is as it was", hint="make a new array")
    square = (x * x).mean(-1, keepdims=True)
    expect.close(lambda: rms_norm(given, 4, eps=0.1), x / np.sqrt(square + 0.1), "RMSNorm leaves the mean", mistaken={
        "center=False leaves the mean": rows})
    expect.close(lambda: rms_norm(given, 4, tensor(w, float64), 0.1), x / np.sqrt(square + 0.1) * w, "and has a weight", mistaken={
        "multiply by the weight": x / np.sqrt(square + 0.1)})

test_unit_layer_norm()

# %% [markdown]
r"""
## 3 · A true gradient

$\mu$ and $\sigma$ are made of $x$. Whoever takes them for constants gets $\mathrm{d}x = g / \sigma$, which is wrong, and no message says so. Two facts
give the right one. Adding a number to the whole row changes nothing, and neither does stretching the row (but for $\varepsilon$). So a gradient points
neither along $(1, 1, …, 1)$ nor along $\hat x$: both parts are taken out.

$$\mathrm{d}x = \frac{1}{\sqrt{\sigma^2 + \varepsilon}} \left( g - \overline{g} - \hat x \cdot \overline{g\,\hat x} \right)$$

with means over the row. Without centering, adding a number *does* change something, so $\overline g$ stays.

**Your turn.** `g` is the gradient for $\hat x$. All are arrays or Tensors, and none may be changed.
"""

# %% nbgrader={"grade": false, "grade_id": "norm-gradient", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def norm_gradient(g, normal, scale, center=True):
    """For normal, scale = standardize(x, …): the gradient for x, from `g`, the one for `normal`, all (…, n); `scale` is (…, 1)."""
    ### BEGIN SOLUTION
    along = (g * normal).mean(axis=-1, keepdims=True)
    d = g - g.mean(axis=-1, keepdims=True) if center else g * 1.0
    d -= normal * along                                          # for arrays in place: d is ours
    d *= scale
    return d
    ### END SOLUTION

# %%
#| export
def _norm_rule(g, need, x, weight, shape, eps, center):
    """The gradients for x, (the shape,) the weight, and the bias."""
    table, shape = _normalized_rows(g, shape), _shape_of(shape)
    normal, scale = standardize(x.reshape(table.shape), eps, center)
    dw = (table * normal).sum(axis=0).reshape(shape) if need[2] else None
    db = table.sum(axis=0).reshape(shape) if need[3] else None
    dx = norm_gradient(table if weight is None else table * weight.reshape(-1), normal, scale, center)
    return dx.reshape(x.shape), None, dw, db

@gradient(layer_norm)
def _(g, need, x, normalized_shape, weight, eps):
    return _norm_rule(g, need, x, weight, normalized_shape, eps, center=True)

@gradient(rms_norm)
def _(g, need, x, normalized_shape, weight, eps):
    return _norm_rule(g, need, x, weight, normalized_shape, _smallest(eps, x), center=False)

# %% nbgrader={"grade": true, "grade_id": "test-norm-gradient", "locked": true, "points": 10, "schema_version": 3, "solution": false, "task": false}
def test_unit_norm_gradient():
    """The gradient agrees with small steps, because mean and variance are not constants."""
    rng = np.random.default_rng(0)
    x, g = rng.normal(size=(3, 5)), rng.normal(size=(3, 5))
    normal, scale = standardize(x, 0.1)
    g.flags.writeable = normal.flags.writeable = False                       # others look at them
    average = lambda t: t.mean(-1, keepdims=True)
    center, along = g - average(g), normal * average(g * normal)
    want = (center - along) * scale
    expect.close(lambda: norm_gradient(g, normal, scale), want, "with center", mistaken={
        "mean and variance are made of x: take both parts out": g * scale, "the variance is made of x too": center * scale,
        "the mean is made of x too": (g - along) * scale, "minus x̂ · mean(g · x̂), not plus": (center + along) * scale,
        "the mean of g · x̂ is multiplied by x̂": (center - average(g * normal)) * scale, "multiply by scale": center - along,
        "multiply by scale, do not divide": (center - along) / scale, "means, not sums": (g - 5 * (average(g) + along)) * scale},
        hint="(g - mean(g) - x̂ · mean(g · x̂)) times scale; means along the row", raises={ValueError: "others look at g: make a new array"})
    expect.close(lambda: norm_gradient(g[None], normal[None], scale[None]), want[None], "rows are the last axis", hint="axis=-1")
    expect.close(lambda: norm_gradient(g, normal, scale, center=False), (g - along) * scale, "without center the mean of g stays", mistaken={
        "with center=False mean(g) is not taken out": want})
    expect.same(lambda: norm_gradient(*(t.astype("float32") for t in (g, normal, scale))).dtype, float32, "float32 stays float32")
    x, w, b = (tensor(rng.normal(size=s), float64, requires_grad=True) for s in ((2, 3, 4), (3, 4), (3, 4)))
    for norm, given in ((lambda x, w, b: layer_norm(x, (3, 4), w, b), (x, w, b)), (lambda x, w: rms_norm(x, (3, 4), w), (x, w))):
        expect.true(lambda: gradcheck(lambda *t: norm(*t) ** 2, given), "small steps agree")
        slope = lambda *t: grad((norm(*t) ** 3).sum(), t[0], create_graph=True)[0]
        expect.true(lambda: gradcheck(slope, given), "also for the gradient of the gradient",
                    raises={(AttributeError, TypeError, ValueError): "all of them may be Tensors: operators and .mean(…) only"})

test_unit_norm_gradient()

# %% [markdown]
"""
As layers, with their weights:
"""

# %%
#| export
class LayerNorm(Module):
    """`layer_norm` with a weight and a bias that are learned: (…, *normalized_shape) -> the same shape.  As `torch.nn.LayerNorm`."""
    def __init__(self, normalized_shape, eps=1e-5, elementwise_affine=True, bias=True):
        check_sizes(type(self).__name__, None if isinstance(normalized_shape, (tuple, list)) else 1, normalized_shape=normalized_shape)
        check_number(type(self).__name__, none=isinstance(self, RMSNorm), eps=eps)
        self.normalized_shape, self.eps = _shape_of(normalized_shape), eps
        self.weight = Parameter(ones(self.normalized_shape)) if elementwise_affine else None
        self.bias = Parameter(zeros(self.normalized_shape)) if elementwise_affine and bias else None

    def forward(self, x):
        return layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)


class RMSNorm(LayerNorm):
    """`rms_norm` with a weight that is learned: (…, *normalized_shape) -> the same shape.  As `torch.nn.RMSNorm`."""
    def __init__(self, normalized_shape, eps=None, elementwise_affine=True):
        super().__init__(normalized_shape, eps, elementwise_affine, bias=False)

    def forward(self, x):
        return rms_norm(x, self.normalized_shape, self.weight, self.eps)

# %% [markdown]
r"""
## 4 · A road past every layer

The second idea: let a layer compute a *change*, and add it to what came in, $y = x + f(x)$ (He et al., 2015). Then

$$\frac{\mathrm{d}y}{\mathrm{d}x} = 1 + f'(x)$$

and the 1 carries the gradient past the layer, however small $f'$ is. What runs straight through is the *residual stream*; each layer reads from it
and adds to it. Where does the norm stand? On the stream itself ("post-norm") it would rescale the road at each step. In front of the layer
("pre-norm") the road stays free:

```
      post-norm (2017)                 pre-norm (GPT-2 and after)

 x ─┬───────────┬─ + ─ norm ─►     x ─┬──────────────────┬─ + ─►
    └── layer ──┘                     └── norm ── layer ─┘
```

The stack of part 1 again, with what you have now:
"""

# %%
def normed(layer, x):
    return gelu(layer(layer_norm(x, 64)))


def residual(layer, x):
    return x + gelu(layer(layer_norm(x, 64)))


for step in (plain, normed, residual):
    for factor in (1, 4):
        signal, slope = size_of(step, factor)
        print(f"{step.__name__:8} weights × {factor}: signal at the end {signal[50]:.0e}, gradient at the first {slope[0]:.0e}")

# %% tags=["analysis"]
import time

import matplotlib.pyplot as plt

figure, axes = plt.subplots(1, 2, figsize=(10, 3.2))
for step, colour in ((plain, "#c44e52"), (normed, "#dd8452"), (residual, "#4c72b0")):
    for factor, line in ((1, "-"), (4, "--")):
        for axis, values in zip(axes, size_of(step, factor)):
            axis.semilogy(values, line, color=colour, label=f"{step.__name__}, × {factor}")
axes[0].set(title="signal after each layer", xlabel="layer"); axes[1].set(title="gradient there", xlabel="layer"); axes[0].legend(fontsize=7, ncols=2)
plt.show()

# %% [markdown]
"""
## 5 · The block

Attention lets tokens look at each other. What each makes of it is computed by an *MLP*, for every token by itself: one `Linear` that widens it four
times, GELU (in its tanh form), and one that brings it back.

**Your turn.** The constructor is given.
"""

# %% nbgrader={"grade": false, "grade_id": "mlp", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
class MLP(Module):
    """Two Linear layers with GELU between them, every token by itself: (…, embed_dim) -> (…, embed_dim).

    >>> MLP(8)(zeros(2, 5, 8)).shape
    (2, 5, 8)
    """
    def __init__(self, embed_dim, hidden_dim=None, dropout=0.0, generator=None):
        check_whole("MLP", embed_dim=embed_dim)
        check_whole("MLP", none=True, hidden_dim=hidden_dim)
        check_number("MLP", 0, 1, dropout=dropout)
        check_kind("MLP", np.random.Generator, none=True, generator=generator)
        hidden_dim = 4 * embed_dim if hidden_dim is None else hidden_dim
        self.fc, self.proj = Linear(embed_dim, hidden_dim, generator=generator), Linear(hidden_dim, embed_dim, generator=generator)
        self.dropout = Dropout(dropout)

    def forward(self, x):
        """`fc`, GELU in its "tanh" form, `proj`, and last `dropout`."""
        ### BEGIN SOLUTION
        return self.dropout(self.proj(gelu(self.fc(x), approximate="tanh")))
        ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-mlp", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_mlp():
    """The MLP widens, bends and narrows every token."""
    mlp, x = MLP(3, generator=np.random.default_rng(0)), Tensor([[[2.0, -1.0, 0.5]], [[1.0, 3.0, -2.0]]])
    inner = mlp.fc(x)
    expect.close(lambda: mlp(x), mlp.proj(gelu(inner, approximate="tanh")), "fc, GELU, proj", tol=1e-6, mistaken={
        'GELU in its short form: approximate="tanh"': lambda got: np.allclose(got, mlp.proj(gelu(inner)).numpy(), rtol=1e-6, atol=1e-6),
        "bend it between the two: gelu": mlp.proj(inner), "the last layer's result is not bent": gelu(mlp.proj(gelu(inner, approximate="tanh")), approximate="tanh")})
    manual_seed(0)
    expect.true(lambda: (MLP(50, 10, dropout=0.5)(Tensor(np.ones((4, 50)))).numpy() == 0).mean() > 0.3, "dropout is used",
                hint="pass the result through self.dropout")

test_unit_mlp()

# %% [markdown]
"""
A transformer *block* is both, each behind a norm, each added to the stream:

```
 x ──┬───────────────────────────────┬─ + ──┬─────────────────────────┬─ + ──►
     └─ norm1 ─ attention ─ dropout ─┘      └─ norm2 ─ mlp (dropout) ─┘
```

**Your turn.** `self.attention(x, mask)` is module 12's layer. The mask goes there; it is usually None, as the attention is causal by itself.
"""

# %% nbgrader={"grade": false, "grade_id": "block", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
class TransformerBlock(Module):
    """Attention, then an MLP, each behind a norm and added to what came in: (B, T, embed_dim) -> (B, T, embed_dim).

    >>> TransformerBlock(8, num_heads=2)(zeros(2, 5, 8)).shape
    (2, 5, 8)
    """
    def __init__(self, embed_dim, num_heads, mlp_ratio=4, dropout=0.0, causal=True, rotary=None, norm=LayerNorm, generator=None):
        check_whole("TransformerBlock", embed_dim=embed_dim, num_heads=num_heads)
        check_number("TransformerBlock", mlp_ratio=mlp_ratio)
        check_number("TransformerBlock", 0, 1, dropout=dropout)
        check_kind("TransformerBlock", Callable, norm=norm)
        check_kind("TransformerBlock", Callable, none=True, rotary=rotary)
        self.norm1, self.attention = norm(embed_dim), MultiHeadAttention(embed_dim, num_heads, causal=causal, rotary=rotary, generator=generator)
        self.norm2, self.mlp = norm(embed_dim), MLP(embed_dim, int(mlp_ratio * embed_dim), dropout, generator)
        self.dropout = Dropout(dropout)

    def forward(self, x, mask=None):
        """(B, T, embed_dim) -> the same shape; `mask` is for the attention."""
        ### BEGIN SOLUTION
        x = x + self.dropout(self.attention(self.norm1(x), mask))
        return x + self.mlp(self.norm2(x))
        ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-block", "locked": true, "points": 10, "schema_version": 3, "solution": false, "task": false}
def test_unit_block():
    """The block adds what attention finds, then what the MLP makes of it, to what came in."""
    block = TransformerBlock(4, 2, generator=np.random.default_rng(0))
    for n, p in enumerate(block.parameters()):
        p.data += np.random.default_rng(n).normal(size=p.shape).astype(float32) * 0.3
    x, (norm1, attention, norm2, mlp) = Tensor(np.random.default_rng(0).normal(size=(2, 3, 4)) + 1), (block.norm1, block.attention, block.norm2, block.mlp)
    block.mlp = lambda x: x * 0.0
    found = attention(norm1(x))
    expect.close(lambda: block(x), x + found, "with an MLP that says nothing: x plus what attention finds", mistaken={
        "add it to x": found, "the norm stands before the attention": x + attention(x), "the norm stands before the layer, not after the sum": norm1(x + attention(x)),
        "add it to x, not to the normalised x": norm1(x) + found, "attention has norm1": x + attention(norm2(x)),
        "what the MLP makes is added to what came in": lambda got: not got.any()}, hint="x + attention(norm1(x))")
    block.mlp, block.attention = mlp, lambda x, mask: x * 0.0
    expect.close(lambda: block(x), x + mlp(norm2(x)), "with attention that says nothing: x plus what the MLP makes of it", mistaken={
        "add it to what came in": mlp(norm2(x)), "the norm stands before the MLP": x + mlp(x), "the MLP has norm2": x + mlp(norm1(x))},
        hint="x + mlp(norm2(x))")
    block.attention, middle = attention, x + found
    expect.close(lambda: block(x), middle + mlp(norm2(middle)), "one after the other", mistaken={
        "the MLP works on the sum, after the attention": middle + mlp(norm2(x)), "add it to the sum, not to the first x": x + mlp(norm2(middle))})
    may = np.array([[True, False, False], [True, True, False], [True, False, True]])
    expect.close(lambda: block(x, may)[:, 2], TransformerBlock.forward(block, x[:, [0, 2]])[:, 1], "a token that may not be seen changes nothing",
                 hint="pass the mask on to the attention")
    manual_seed(0)
    block.mlp, block.attention, block.dropout = (lambda x: x * 0.0), (lambda x, mask: x * 0.0 + 1.0), Dropout(0.5)
    expect.true(lambda: set(np.unique((block(x) - x).numpy().round(3)).tolist()) == {0.0, 2.0}, "what attention finds goes through dropout",
                hint="x + self.dropout(self.attention(…)): x itself is not dropped")

test_unit_block()

# %% [markdown]
r"""
## 6 · Where to begin

Module 03 chose random weights so that a signal keeps its size through one layer. On the stream something else counts: each of $L$ blocks adds twice,
so $2L$ changes add up, and the deeper the model, the larger the stream at its end. If each change is smaller by $1/\sqrt{2L}$, the sum has the same
size at any depth (variances add up, and $2L \cdot \frac{1}{2L} = 1$). That is how GPT-2 starts:

* every weight is normal with standard deviation 0.02, also embeddings;
* those of the layers that end a branch, `attention.proj` and `mlp.proj`, have $0.02 / \sqrt{2L}$;
* biases are 0, weights of norms 1.

**Your turn.** `model.named_parameters()` gives pairs such as `("blocks.0.mlp.proj.weight", parameter)`. Parameters of one axis that are no bias are
the weights of norms. Write into the arrays: `p.data[...] = …`; `randn(p.shape, generator=generator)` draws.
"""

# %% nbgrader={"grade": false, "grade_id": "initialize", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def initialize_weights(model, generator=None):
    """Draw all parameters of a Module with a list `blocks` anew, as GPT-2 does (Radford et al., 2019)."""
    ### BEGIN SOLUTION
    for name, p in model.named_parameters():
        if p.ndim == 1:
            p.data[...] = 0.0 if name.endswith("bias") else 1.0
        else:
            std = 0.02 / math.sqrt(2 * len(model.blocks)) if name.endswith("proj.weight") else 0.02
            p.data[...] = std * randn(p.shape, generator=generator)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-initialize", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_initialize():
    """The stream starts with the same size at any depth."""
    model = Module()
    model.table, model.blocks, model.norm = Embedding(50, 32), [TransformerBlock(32, 2) for _ in range(8)], LayerNorm(32)
    arrays = [p.data for p in model.parameters()]
    for array in arrays:
        array += 5.0
    expect.true(lambda: initialize_weights(model, np.random.default_rng(0)) is None and all(a is p.data for a, p in zip(arrays, model.parameters())),
                "written into the arrays that are there", hint="p.data[...] = …: an optimizer holds these arrays")
    of = lambda end: np.concatenate([p.numpy().ravel() for name, p in model.named_parameters() if name.endswith(end)])
    expect.same(lambda: [np.unique(of(end)).tolist() for end in ("bias", "norm1.weight", "norm.weight")], [[0.0], [1.0], [1.0]], "biases 0, norms 1",
                hint="p.ndim == 1: 0 where the name ends in bias, else 1")
    spread = lambda *ends: [of(end).std() for end in ends]
    expect.close(lambda: spread("table.weight", "qkv.weight", "fc.weight"), [0.02] * 3, "the others 0.02", tol=1e-3, mistaken={
        "0.02 is the standard deviation, not the variance": lambda got: got[0] > 0.1}, hint="0.02 * randn(…)")
    expect.close(lambda: spread("attention.proj.weight", "mlp.proj.weight"), [0.005] * 2, "the ends of branches 0.02 / √16", tol=3e-4, mistaken={
        "those that end in proj.weight are smaller by √(2L)": lambda got: min(got) > 0.015, "a block adds twice: 2L": [0.02 / 8 ** 0.5] * 2,
        "by the root of 2L": [0.02 / 16] * 2, "both branches end in proj: attention's and the MLP's": lambda got: abs(got[0] - got[1]) > 0.01},
        hint="divide by √(2 · len(model.blocks))")
    expect.true(lambda: abs(of("qkv.weight").mean()) < 1e-3, "normal, around 0", hint="randn, not rand")
    before = of("fc.weight")
    initialize_weights(model, np.random.default_rng(0))
    expect.same(lambda: of("fc.weight"), before, "the generator decides", hint="pass generator on to randn")

test_unit_initialize()

# %% [markdown]
"""
How much have all blocks together changed the stream at its end?
"""

# %%
for depth in (1, 4, 16, 64):
    deep = Module()
    deep.blocks = [TransformerBlock(32, 2) for _ in range(depth)]
    initialize_weights(deep, np.random.default_rng(0))
    stream = start = Tensor(np.random.default_rng(1).normal(size=(1, 8, 32)))
    for block in deep.blocks:
        stream = block(stream)
    print(f"{depth:3} blocks: by {(stream - start).numpy().std():.3f}")

# %% [markdown]
"""
## 7 · GPT

```
 ids ─► token_embedding ─► + positions ─► block … block ─► norm ─► head ─► z
(B,T)          │              (B,T,C)                               ▲    (B,T,V)
               └──────────── one table, used twice ─────────────────┘
```

The *head* gives each token of the vocabulary a score in z: a row of V numbers from each row of C. The table of embeddings has just that many, (V, C), one
row for each token. So the head can use the same table, turned round: a token scores high where the stream points along its row. That is *weight
tying* (Press and Wolf, 2017): fewer parameters, and what one use learns the other knows.

It is one Parameter, in two places. `parameters()` finds it once, so an optimizer moves it once, by the sum of both gradients; a file holds it once.
"""

# %%
#| export
class TiedLinear(Module):
    """A layer with an Embedding's weights: x @ weightᵀ, (…, embed_dim) -> (…, vocab_size)."""
    def __init__(self, embedding):
        self.embedding = embedding

    weight = property(lambda self: self.embedding.weight)

    def forward(self, x):
        return linear(x, self.weight.T)                          # (…, C) @ (C, V)

# %%
#| export
class GPT(Module):
    """Scores for the token that follows each: ids (B, T) -> (B, T, vocab_size).  `positions`: "learned", "sinusoidal", "rotary" or None.

    >>> GPT(vocab_size=65, embed_dim=16, num_layers=2, num_heads=2, max_seq_len=8)([[1, 2, 3]]).shape
    (1, 3, 65)
    """
    def __init__(self, vocab_size, embed_dim, num_layers, num_heads, max_seq_len, dropout=0.0, tie_weights=True, positions="learned", generator=None):
        check_choice("GPT", ("learned", "sinusoidal", "rotary", None), positions=positions)
        check_whole("GPT", vocab_size=vocab_size, embed_dim=embed_dim, num_heads=num_heads, max_seq_len=max_seq_len)
        check_whole("GPT", 0, 10_000, num_layers=num_layers)
        check_number("GPT", 0, 1, dropout=dropout)
        check_kind("GPT", np.random.Generator, none=True, generator=generator)
        self.settings = dict(vocab_size=vocab_size, embed_dim=embed_dim, num_layers=num_layers, num_heads=num_heads, max_seq_len=max_seq_len,
                             dropout=dropout, tie_weights=tie_weights, positions=positions)
        self.vocab_size, self.embed_dim, self.max_seq_len = vocab_size, embed_dim, max_seq_len
        self.token_embedding, self.position_embedding = Embedding(vocab_size, embed_dim), None
        if positions in ("learned", "sinusoidal"):
            self.position_embedding = (LearnedPositionalEmbedding if positions == "learned" else PositionalEncoding)(max_seq_len, embed_dim)
        rotary = RotaryEmbedding(embed_dim // num_heads, max_seq_len) if positions == "rotary" else None
        self.dropout = Dropout(dropout)
        self.blocks = [TransformerBlock(embed_dim, num_heads, dropout=dropout, rotary=rotary) for _ in range(num_layers)]
        self.norm = LayerNorm(embed_dim)
        self.head = TiedLinear(self.token_embedding) if tie_weights else Linear(embed_dim, vocab_size, bias=False)
        initialize_weights(self, generator)

# %%
manual_seed(0)
small = GPT(vocab_size=65, embed_dim=16, num_layers=1, num_heads=2, max_seq_len=8)
print(small)
print([name for name, _ in small.named_parameters() if "block" not in name], small.head.weight is small.token_embedding.weight)

# %% [markdown]
"""
**Your turn.** Follow the picture; `dropout` comes after the positions. `position_embedding` takes and returns (B, T, C), or is None.
"""

# %% nbgrader={"grade": false, "grade_id": "gpt-forward", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def _forward(self, ids):
    """Token ids (B, T) -> scores (B, T, vocab_size).  ValueError unless 1 ≤ T ≤ max_seq_len."""
    check_array("GPT", ids=ids)
    ids = np.asarray(ids)
    if ids.ndim != 2 or not 0 < ids.shape[1] <= self.max_seq_len:
        raise ValueError(f"GPT: ids (B, T) wanted, T from 1 to max_seq_len = {self.max_seq_len}, not {ids.shape}")
    ### BEGIN SOLUTION
    x = self.token_embedding(ids)                                # (B, T, C)
    if self.position_embedding is not None:
        x = self.position_embedding(x)
    x = self.dropout(x)
    for block in self.blocks:
        x = block(x)
    return self.head(self.norm(x))                               # (B, T, V)
    ### END SOLUTION

GPT.forward = _forward

# %% nbgrader={"grade": true, "grade_id": "test-gpt-forward", "locked": true, "points": 10, "schema_version": 3, "solution": false, "task": false}
def test_unit_gpt_forward():
    """GPT gives every position scores for the next token, and never looks ahead."""
    rng = np.random.default_rng(0)
    model, ids = GPT(11, 8, 2, 2, 6), rng.integers(0, 11, (2, 5))
    for p in model.parameters():
        p.data[...] = rng.normal(size=p.shape) * 0.5 + (p.ndim == 1)
    first, second = model.blocks
    x = model.position_embedding(model.token_embedding(ids))
    ends = [first(x), second(x), second(first(x))]
    expect.close(lambda: model(ids), model.head(model.norm(ends[2])), "embeddings, positions, blocks, norm, head", mistaken={
        "add the positions": model.head(model.norm(second(first(model.token_embedding(ids))))), "the norm stands before the head": model.head(ends[2]),
        "a block works on what the one before it gave": model.head(model.norm(ends[1])), "all blocks, not only one": model.head(model.norm(ends[0])),
        "the first block comes first": model.head(model.norm(first(ends[1])))}, hint="follow the picture")
    other = ids.copy()
    other[:, 3:] = (ids[:, 3:] + 1) % 11
    expect.close(lambda: model(other)[:, :3], model(ids)[:, :3], "what comes later changes nothing before it")
    free = GPT(11, 8, 1, 2, 6, positions=None, generator=rng)
    expect.close(lambda: free(ids[:, [0, 0]])[:, 1], free(ids[:, [0, 0]])[:, 0], "positions=None works",
                 raises={TypeError: "position_embedding may be None"})
    rare = GPT(11, 40, 0, 2, 6, dropout=0.5)
    expect.true(lambda: not np.allclose(rare(ids).numpy(), rare(ids).numpy()), "dropout is used", hint="dropout comes after the positions")
    expect.raises(ValueError, lambda: model(rng.integers(0, 11, (1, 7))), "too long a text is refused", match="max_seq_len 6 7")

test_unit_gpt_forward()

# %% [markdown]
r"""
What is it to learn? At each of the T positions, the token that follows. Module 10's `TextDataset` gives ids and targets, the ids moved on by one:
a text of T tokens holds T examples. They are all judged at once, by the cross-entropy of module 04, as B·T rows.

**Your turn.** `targets` may be a Tensor, an array or a list; `np.ravel` makes one axis of any of them, `logits.flatten(0, -2)` one of all but V.
"""

# %% nbgrader={"grade": false, "grade_id": "next-token-loss", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
@composed
def next_token_loss(logits, targets):
    """The mean cross-entropy of all positions: scores (…, T, V) and ids (…, T) -> one number.

    >>> round(next_token_loss(zeros(2, 3, 10), [[1, 2, 3], [4, 5, 6]]).item(), 4)           # ln 10
    2.3026
    """
    logits = logits if isinstance(logits, Tensor) else Tensor(logits)
    ### BEGIN SOLUTION
    return cross_entropy(logits.flatten(0, -2), np.ravel(targets))           # (rows, V), (rows,)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-next-token-loss", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_next_token_loss():
    """Each position is an example of its own."""
    rng = np.random.default_rng(0)
    scores, ids = Tensor(rng.normal(size=(2, 3, 3)) * 2.0), rng.integers(0, 3, (2, 3))
    want = np.mean([cross_entropy(scores[b, t], ids[b, t]).item() for b in range(2) for t in range(3)])
    for given in (ids, Tensor(ids), ids.tolist()):
        expect.close(lambda: next_token_loss(scores, given), want, "the mean of six losses", mistaken={
            "the classes are the last axis: flatten(0, -2)": cross_entropy(scores, ids), "the targets are moved on already": cross_entropy(scores[:, :-1].reshape(-1, 3), ids[:, 1:].reshape(-1)),
            "the mean, not the sum": want * 6}, hint="logits.flatten(0, -2), np.ravel(targets)",
            raises={AttributeError: "a list has no shape: np.ravel(targets)", ValueError: "logits.flatten(0, -2), np.ravel(targets)"})

test_unit_next_token_loss()

# %% [markdown]
"""
A small one learns from the Bible's characters, for half a minute. Knowing nothing costs ln V, and that is where it starts:
"""

# %% tags=["analysis"]
from tinytorch.core.optimizers import AdamW
from tinytorch.text.tokenization import CharTokenizer, load_text

text = load_text()
tokenizer = CharTokenizer().train(text)
corpus, rng = np.array(tokenizer.encode(text)), np.random.default_rng(0)
manual_seed(0)
model = GPT(tokenizer.vocab_size, embed_dim=64, num_layers=2, num_heads=4, max_seq_len=64)
optimizer, losses, began = AdamW(model.parameters(), lr=3e-3), [], time.perf_counter()
for _ in range(1000):
    at = rng.integers(0, len(corpus) - 65, 16)[:, None] + np.arange(65)      # 16 pieces of 65 tokens
    optimizer.zero_grad()
    loss = next_token_loss(model(corpus[at[:, :-1]]), corpus[at[:, 1:]])
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
print(f"ln {tokenizer.vocab_size} = {math.log(tokenizer.vocab_size):.2f}; loss {losses[0]:.2f}, then {np.mean(losses[-20:]):.2f}, "
      f"after {time.perf_counter() - began:.0f} s")

# %% [markdown]
r"""
## 8 · Choosing the next token

The model gives scores. Always taking the best token (*greedy*) is safe and dull: such a text soon walks in circles. Drawing by the softmax's chances
now and then takes a token that hardly ever fits, and goes on from there. Three knobs lie in between:

```
 chances          0.50  0.25  0.15  0.07  0.03
 temperature 0.5  0.73  0.18  0.07  0.01  0.00   scores divided by it first
 top_k = 2        0.67  0.33  0     0     0      only the k best, chances rescaled
 top_p = 0.8      0.56  0.28  0.17  0     0      the fewest best that have 0.8
```

Temperature 0 is the limit: all to the best. They work in this order: temperature, top_k, top_p.

**Your turn.** `z` (…, V) are the scores as float64, minus their largest. For top_k, scores below the k-th best become `-np.inf`. For top_p, sort
the chances, the best first: one stays if those *before* it have less than `top_p` together. So the best always stays, and so does the one that crosses
the line. What is below the least of those that stay gets 0. Whatever equals the last one that stays, stays too.
"""

# %% nbgrader={"grade": false, "grade_id": "token-probabilities", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def check_sampling(name, temperature, top_k, top_p):
    """ValueError or TypeError, in the name of a function, for settings of `token_probabilities` that make no sense."""
    check_number(name, temperature=temperature)
    check_whole(name, none=True, top_k=top_k)
    check_number(name, 0, 1, none=True, top_p=top_p)
    if top_p == 0:
        raise ValueError(f"{name}: top_p must be above 0, not {top_p}; of no chance at all there is nothing to draw")


def token_probabilities(logits, temperature=1.0, top_k=None, top_p=None):
    """The chances to draw by: scores (…, V) -> an array (…, V) of float64, each row adding up to 1.  ValueError for settings that make no sense.

    >>> token_probabilities(np.log([0.5, 0.25, 0.15, 0.1]), top_k=2).round(2)
    array([0.67, 0.33, 0.  , 0.  ])
    """
    check_sampling("token_probabilities", temperature, top_k, top_p)
    z = check_array("token_probabilities", logits=logits).astype(float64)
    if not z.ndim or not z.size:
        raise ValueError(f"token_probabilities: scores (…, V) wanted, at least one, not {z.shape}")
    if not np.isfinite(z.max(axis=-1)).all():
        raise ValueError("token_probabilities: there is nan or infinity among the scores: the training has gone astray; try a smaller learning rate")
    z = z - z.max(axis=-1, keepdims=True)
    if temperature == 0:
        return 1.0 * (np.arange(z.shape[-1]) == z.argmax(axis=-1)[..., None])
    ### BEGIN SOLUTION
    if top_k is not None and top_k < z.shape[-1]:
        z = np.where(z < np.sort(z)[..., -top_k, None], -np.inf, z)
    p = np.exp(z / temperature)
    p /= p.sum(axis=-1, keepdims=True)
    if top_p is not None:
        best = np.sort(p)[..., ::-1]
        before = best.cumsum(axis=-1) - best                     # what the better ones have
        least = np.where(before < top_p, best, 1.0).min(axis=-1, keepdims=True)
        p = np.where(p < least, 0.0, p)
        p /= p.sum(axis=-1, keepdims=True)
    return p
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-token-probabilities", "locked": true, "points": 10, "schema_version": 3, "solution": false, "task": false}
def test_unit_token_probabilities():
    """Temperature sharpens or flattens; top_k and top_p cut off what hardly fits."""
    chance = np.array([[0.07, 0.5, 0.03, 0.25, 0.15], [0.125, 0.125, 0.5, 0.125, 0.125]])
    z = np.log(chance) + 3.0
    scaled = lambda p: p / p.sum(-1, keepdims=True)
    expect.close(lambda: token_probabilities(z), chance, "the softmax", mistaken={"divide by the sum of each row": lambda got: not np.allclose(got.sum(-1), 1)})
    expect.close(lambda: token_probabilities(z, 0.5), scaled(chance ** 2), "a temperature of 0.5 sharpens", mistaken={
        "divide by the temperature": scaled(chance ** 0.5), "the scores are divided, not the chances": chance, "the rows add up to 1": chance ** 2})
    expect.close(lambda: token_probabilities(z, top_k=2), scaled(chance * [[0, 1, 0, 1, 0], [1, 1, 1, 1, 1]]), "the two best, and all that equal the second",
                 mistaken={"the best ones are at the end of np.sort": scaled(chance * [[0, 1, 0, 1, 1], [1] * 5]), "what is left adds up to 1": lambda got: got.sum() < 1.9},
                 hint="scores below the k-th best become -inf; each row has its own")
    expect.close(lambda: token_probabilities(z, top_k=9), chance, "no more than there are", raises={IndexError: "top_k may be larger than V"})
    expect.close(lambda: token_probabilities(z, top_p=0.72), scaled(chance * [[0, 1, 0, 1, 0], [1, 1, 1, 1, 1]]), "the fewest that have 0.72", mistaken={
        "the one that crosses the line stays: compare what those before it have": scaled(chance * [[0, 1, 0, 0, 0], [1, 1, 1, 1, 1]]),
        "what is left adds up to 1": lambda got: got.sum() < 1.9, "begin with the best": chance,
        "the chances stay in their places": lambda got: got[0, 0] > got[0, 1]}, hint="from the best down, keep those with less than top_p before them")
    expect.close(lambda: token_probabilities(np.log([0.5, 0.25, 0.25]), top_p=0.5), [1.0, 0.0, 0.0], "a half is enough, where a half is asked for",
                 hint="a token stays if those before it have LESS than top_p")
    expect.close(lambda: token_probabilities(z, top_p=0.01)[0], [0.0, 1.0, 0.0, 0.0, 0.0], "the best one always stays")
    expect.close(lambda: token_probabilities(z[0], 0.5, 3, 0.8), scaled(np.array([0, 0.25, 0, 0.0625, 0])), "temperature, then top_k, then top_p", mistaken={
        "top_p sees the chances after the temperature": scaled(np.array([0, 0.25, 0, 0.0625, 0.0225]))}, tol=1e-3)
    expect.close(lambda: token_probabilities(z, 0), [[0, 1, 0, 0, 0], [0, 0, 1, 0, 0]], "temperature 0: the best")
    expect.finite(lambda: token_probabilities(z * 1000, 0.01), "large scores")

test_unit_token_probabilities()

# %%
for knobs in ({}, {"temperature": 0.5}, {"top_k": 2}, {"top_p": 0.8}):
    print(token_probabilities(np.log([0.50, 0.25, 0.15, 0.07, 0.03]), **knobs).round(2), knobs)

# %% [markdown]
"""
To draw one: a random number between 0 and 1 falls into one of the pieces that the chances cut this line into.
"""

# %%
#| export
def sample_tokens(p, generator=None):
    """One place of each row, by its chances: an array (…, V) -> integers (…).

    >>> sample_tokens(np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])).tolist()
    [1, 2]
    """
    if not (generator is None or hasattr(generator, "random")):
        raise TypeError(f"sample_tokens: generator must be a Generator or None, not {generator!r:.60}")
    reached = check_array("sample_tokens", p=p).cumsum(axis=-1)
    if not np.ndim(p) or not np.size(p) or np.min(p) < 0 or not np.all((reached[..., -1] > 0) & (reached[..., -1] < np.inf)):
        raise ValueError(f"sample_tokens: chances (…, V) of 0 or more wanted, not all 0, not {np.shape(p)}: {p!r:.60}")
    u = (generator or default_generator).random((*np.shape(p)[:-1], 1)) * reached[..., -1:]
    return (reached <= u).sum(axis=-1)

# %% [markdown]
"""
`generate` asks the model for scores, draws, appends, and asks again. Once the text is longer than `max_seq_len`, the model gets the last
`max_seq_len` tokens of it.

**Your turn.** The loop: `ids` is an array (B, T) that grows by a column each time (`np.column_stack`). Only the scores of the *last* position are wanted. What stands
around the loop is given: no graph is recorded, dropout is off, and afterwards every part is in the mode it was in.
"""

# %% nbgrader={"grade": false, "grade_id": "generate", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def check_generate(prompt_tokens, max_new_tokens, temperature, top_k, top_p, generator):
    """The prompt as an array.  ValueError or TypeError for arguments of `generate` that make no sense, before anything is done."""
    prompt = plain_array(prompt_tokens)
    if prompt.dtype.kind not in "iu" or prompt.ndim not in (1, 2) or not prompt.size:
        raise ValueError(f"generate: a prompt of ids (T,) or (B, T) wanted, at least one, not {prompt.dtype} {prompt.shape}")
    check_whole("generate", 0, max_new_tokens=max_new_tokens)
    check_sampling("generate", temperature, top_k, top_p)
    check_kind("generate", np.random.Generator, none=True, generator=generator)
    return prompt


@no_grad()
def _generate(self, prompt_tokens, max_new_tokens, temperature=1.0, top_k=None, top_p=None, generator=None):
    """The prompt and what the model adds: ids (T,) or (B, T) -> a Tensor of ids, (T + max_new_tokens,) or (B, T + max_new_tokens).

    See `token_probabilities`; `generator` draws.  ValueError for a prompt that is empty or not of ids.
    """
    prompt = check_generate(prompt_tokens, max_new_tokens, temperature, top_k, top_p, generator)
    ids, modes = np.atleast_2d(prompt).astype(int64), [(module, module.training) for module in self.modules()]
    self.eval()
    try:
        for _ in range(max_new_tokens):
            ### BEGIN SOLUTION
            logits = self(ids[:, -self.max_seq_len:])[:, -1]                 # (B, V)
            new = sample_tokens(token_probabilities(logits, temperature, top_k, top_p), generator)
            ids = np.column_stack([ids, new])
            ### END SOLUTION
    finally:
        for module, training in modes:
            module.training = training
    return Tensor(ids.reshape(*prompt.shape[:-1], -1))

GPT.generate = _generate

# %% nbgrader={"grade": true, "grade_id": "test-generate", "locked": true, "points": 10, "schema_version": 3, "solution": false, "task": false}
def test_unit_generate():
    """Text grows token by token, each drawn by the model's last scores."""
    class Sums(GPT):                                                         # what follows is the last digit of the sum of what it sees
        def forward(self, ids):
            assert ids.shape[1] <= self.max_seq_len and not any(m.training for m in self.modules())
            return Tensor(20.0 * (ids.cumsum(1)[..., None] % 10 == np.arange(10)))
    model = Sums(10, 4, 1, 1, 4)
    model.norm.training = False
    want = np.array([[2, 3, 5, 0, 0, 8, 3], [1, 1, 2, 4, 8, 5, 9]])
    expect.same(lambda: model.generate([2, 3], 5), Tensor(want[0]), "it adds up what it sees, four tokens at most", mistaken={
        "the prompt comes first": want[0, 2:], "the scores of the last position": np.array([2, 3, 2, 2, 2, 3, 2]),
        "it sees the last max_seq_len tokens, not the first": np.array([2, 3, 5, 0, 0, 0, 0])}, hint="append a column for each new token",
        raises={AssertionError: "the model sees the last max_seq_len tokens only: ids[:, -self.max_seq_len:]", ValueError: "np.column_stack([ids, new])"})
    expect.same(lambda: model.generate(Tensor(want[:, :2]), 5), Tensor(want), "two texts at once, each by itself")
    expect.same([model.training, model.norm.training], [True, False], "every part is in the mode it was in")
    model.forward = lambda ids: Tensor(np.zeros((*ids.shape, 10)) + 0.1 * np.arange(10))
    for knob in ({"temperature": 0}, {"temperature": 0.001}, {"top_k": 1}, {"top_p": 0.05}):
        expect.same(lambda: model.generate([1], 6, **knob).tolist(), [1] + [9] * 6, "the knobs are turned", hint="pass all three on to token_probabilities")
    seeded = lambda: model.generate([1], 30, generator=np.random.default_rng(0)).tolist()
    expect.true(lambda: seeded() == seeded() and len(set(seeded())) > 5, "the generator decides", hint="pass generator on to sample_tokens")
    expect.raises(ValueError, lambda: model.generate([], 3), "an empty prompt is refused", match="prompt")

test_unit_generate()

# %% [markdown]
"""
What the model of part 7 writes, with three temperatures:
"""

# %% tags=["analysis"]
for temperature in (0, 0.8, 1.5):
    ids = model.generate(tokenizer.encode("And God said"), 120, temperature, generator=np.random.default_rng(0))
    print(f"— temperature {temperature}\n{tokenizer.decode(ids)}\n")

# %% [markdown]
"""
Each new token asked the model about the whole text again, most of which it had seen before. How long does the next token take, the longer the text?
"""

# %% tags=["analysis"]
long = GPT(tokenizer.vocab_size, embed_dim=64, num_layers=2, num_heads=4, max_seq_len=1024)
for length in (64, 128, 256, 512, 1024):
    began = time.perf_counter()
    long.generate(corpus[:length], 3)
    print(f"{length:5} tokens: {(time.perf_counter() - began) / 3 * 1e3:6.1f} ms for the next")

# %% [markdown]
"""
## 9 · Keep it

An `.npz` is a folder of arrays in one file. The settings go in as a text, the parameters under their names; nothing in it can run code when it is
read. `replace_file` of module 07 sees to it that a file is whole or is not there. (These two are given.)
"""

# %%
#| export
def _save(self, path):
    """Write settings and parameters to an .npz file, which `numpy.load` reads too.  What was there stays until the new one is whole."""
    settings = json.dumps(self.settings, default=lambda number: number.item())
    replace_file(path, lambda file: np.savez(file, settings=settings, **self.state_dict()))


def _load(cls, path):
    """The model in a file that `save` wrote.  ValueError for any other file."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            state = dict(archive)
        model = cls(**json.loads(state.pop("settings").item()))
        return model.load_state_dict(state)
    except (ValueError, TypeError, KeyError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is not a model that GPT.save wrote: {error}") from error

GPT.save, GPT.load = _save, classmethod(_load)

# %%
with TemporaryDirectory() as folder:
    small.save(Path(folder) / "small.npz")
    with np.load(Path(folder) / "small.npz") as archive:
        print(*[(name, archive[name].shape) for name in archive][:4], archive["settings"], sep="\n")

# %% nbgrader={"grade": true, "grade_id": "test-module", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_module():
    """Everything together: a model learns to count in a circle, goes on by itself, and comes back from a file as it was."""
    rng = np.random.default_rng(0)
    model = GPT(5, 16, 2, 2, 8, positions="rotary", generator=rng)
    optimizer = Adam(model.parameters(), lr=0.02)
    for _ in range(30):
        ids = (rng.integers(0, 5, (8, 1)) + np.arange(7)) % 5
        optimizer.zero_grad()
        loss = next_token_loss(model(ids[:, :-1]), ids[:, 1:])
        loss.backward()
        optimizer.step()
    expect.true(lambda: loss.item() < 0.1, "it learns", hint="gradcheck each layer")
    expect.same(lambda: model.generate([3, 4, 0], 12, temperature=0).tolist(), [k % 5 for k in range(3, 18)], "it goes on, beyond max_seq_len")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.npz"
        model.save(path)
        again = GPT.load(path)
        expect.close(lambda: again(ids), model(ids), "it comes back from its file", tol=1e-7)
        expect.true(again.head.weight is again.token_embedding.weight and not again.position_embedding, "with its settings")
        np.savez(path, settings="{}", table=np.zeros(3))
        expect.raises(ValueError, lambda: GPT.load(path), "another file is refused", match="model.npz GPT.save")
    expect.same(lambda: [GPT(7, 8, 1, 2, 4, positions=p)([[1, 2, 3]]).shape for p in ("learned", "sinusoidal", "rotary", None)], [(1, 3, 7)] * 4,
                "with positions of every kind")
    free = GPT(7, 8, 1, 2, 4, tie_weights=False)
    expect.same(sum(p.size for p in free.parameters()) - sum(p.size for p in GPT(7, 8, 1, 2, 4).parameters()), 56, "an untied head has weights of its own")
    x, block = Tensor(rng.normal(size=(1, 3, 4))), TransformerBlock(4, 2, norm=RMSNorm)
    expect.close(lambda: block.norm1(x), rms_norm(x, 4), "a block with RMSNorm")
    expect.same(lambda: block(x).shape, (1, 3, 4), "runs, too")

test_module()

# %% [markdown]
"""
## 10 · In your own words

**Question 1.** How many parameters does a block of width C have, as a multiple of C² (leave out what grows only with C)? Where are most of them? Twice
as wide or twice as deep: which of the two makes a GPT larger, and which longer texts slower?
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-size", "locked": false, "points": 5, "schema_version": 3, "solution": true, "task": false}
"""
Attention has 3C² (qkv) and C² (proj), the MLP 4C² and 4C²: 12C² in all, two thirds of them in the MLP. Twice as deep means twice the parameters, twice
as wide four times. Texts twice as long cost attention four times the scores, and everything else twice; neither width nor depth changes that.
"""

# %% [markdown]
"""
**Question 2.** A model with batch norm in place of layer norm is to write text. What would it look at in training that it has not when it writes one
token? And why would it be cheating, even in training?
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-batch-norm", "locked": false, "points": 5, "schema_version": 3, "solution": true, "task": false}
"""
Mean and variance over all texts of the batch and all their positions. When it writes there is one text, and one position that counts, so the numbers
would be other ones. In training the mean holds later tokens too: every position would get to know a little about what it is to predict.
"""

# %% [markdown]
"""
## Where you are

Norms with true gradients, blocks that can be stacked, and a GPT that learns, writes and comes back from a file. Next: `tito module complete 13`.
Then `tito milestone run 05` teaches one to write better than counting could.
"""
