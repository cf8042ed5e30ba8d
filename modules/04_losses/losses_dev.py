# %% [markdown]
"""
# 04 Losses

> How wrong is a prediction? One number says it, and training pushes that number down.

A network maps inputs to predictions. To improve it, somebody has to say how bad a prediction is, as *one* number. That number is the loss. You will
write seven. Several break when they are typed in as the textbook has them, and you will see each break before you mend it.
"""

# %% nbgrader={"grade": false, "grade_id": "start", "locked": true, "schema_version": 3, "solution": false, "task": false}
import tito.notebook     # where this fails, open the notebook with: tito module open 04
from tito.check import expect

tito.notebook.use(4)

# %%
#| default_exp core.losses
#| view nn

# %% nbgrader={"grade": false, "grade_id": "imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export

import numpy as np

from tinytorch.core.layers import Module
from tinytorch.core.tensor import Tensor, absolute, composed, op, where

# %% [markdown]
"""
## 1 · One number for how wrong

Here are 32 true values, and a prediction that is exactly right. The mean of the squared differences should be 0.
"""

# %%
from tinytorch.core.tensor import float32, float64, full

truth = Tensor(np.random.default_rng(0).normal(size=32))         # (32,)
prediction = truth.reshape(32, 1)                                # (32, 1), as it comes from a layer with one output
difference = prediction - truth
print("loss", (difference * difference).mean().item(), " shape of the differences", difference.shape)

# %% [markdown]
"""
A column `(32, 1)` and a row `(32,)` stretch to `(32, 32)`: every prediction was compared with every truth. Only the diagonal was meant:
"""

# %% tags=["analysis"]
import time
import tracemalloc

import matplotlib.pyplot as plt

plt.figure(figsize=(3.4, 3)); plt.imshow(difference.numpy(), cmap="RdBu", vmin=-3, vmax=3)
plt.xlabel("truth"); plt.ylabel("prediction"); plt.colorbar(label="difference"); plt.show()

# %% [markdown]
"""
A network trained on this loss learns to predict the mean of all truths, and nobody sees why. So our losses never stretch anything.

**Your turn.** What is not a Tensor has been made one. Unequal shapes are a ValueError, with a message that says what to do.
"""

# %% nbgrader={"grade": false, "grade_id": "paired", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def paired(prediction, target):
    """Both as Tensors of one shape.  ValueError where their shapes differ, even if they would broadcast.

    >>> paired(Tensor([1.0, 2.0]), [0, 1])
    (Tensor([1., 2.]), Tensor([0., 1.]))
    """
    prediction = prediction if isinstance(prediction, Tensor) else Tensor(prediction)
    target = target if isinstance(target, Tensor) else Tensor(target, dtype=prediction.dtype)
    ### BEGIN SOLUTION
    if prediction.shape != target.shape:
        raise ValueError(f"prediction {prediction.shape} and target {target.shape} must have one shape; reshape or squeeze one of them")
    return prediction, target
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-paired", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
def test_unit_paired():
    """Prediction and target have one shape, or are refused."""
    x, y = Tensor(np.ones((2, 3))), Tensor(np.zeros((2, 3)))
    expect.true(lambda: paired(x, y)[0] is x and paired(x, y)[1] is y, "tensors of one shape come back",
                hint="the prediction comes first, then the target, both as they are", raises={ValueError: "these shapes are equal: raise only where they differ"})
    expect.close(lambda: paired(x, np.zeros((2, 3)))[1], y, "an array becomes a Tensor")
    expect.raises(ValueError, lambda: paired(Tensor(np.ones((32, 1))), Tensor(np.ones(32))), "a column and a row are refused",
                  hint="raise where the shapes differ, also where the numbers would fit or broadcast")
    expect.raises(ValueError, lambda: paired(x, Tensor(np.ones((3, 2)))), "so are (2, 3) and (3, 2)",
                  hint="compare all of the shape, not size or ndim")
    expect.raises(ValueError, lambda: paired(x, 0.0), "and a single number", hint="a number has shape (), which is not (2, 3)")

test_unit_paired()

# %% [markdown]
"""
Each single prediction has a loss of its own. What becomes of those is called the *reduction*:

```
 losses of 4 predictions        reduction
 ┌─────┬─────┬─────┬─────┐      "none"   0.5  2.0  0.1  1.4   one each
 │ 0.5 │ 2.0 │ 0.1 │ 1.4 │ ───► "sum"    4.0
 └─────┴─────┴─────┴─────┘      "mean"   4.0 / 4 = 1.0        the same for any batch size
```

Sometimes not every place counts (a short sentence was filled up). Then `count` says how many do, and the mean is the sum divided by that.

**Your turn.** Any other word is a ValueError, and so is the mean of nothing (0 of them): NumPy would give `nan`, and one `nan` spoils every weight it
meets. `sum` and `size` work on Tensors and on arrays alike.
"""

# %% nbgrader={"grade": false, "grade_id": "reduce-loss", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def reduce_loss(loss, reduction, count=None):
    """The losses (a Tensor or an array) as "mean", "sum" or "none".

    The mean is the sum over `count`, or over all if that is None.

    >>> reduce_loss(Tensor([0.5, 2.0, 0.1, 1.4]), "mean")
    Tensor(1.)
    """
    ### BEGIN SOLUTION
    if reduction == "none":
        return loss
    if reduction == "sum":
        return loss.sum()
    if reduction != "mean":
        raise ValueError(f"reduction is 'mean', 'sum' or 'none', not {reduction!r}")
    count = loss.size if count is None else count
    if not count:
        raise ValueError("nothing to average: the batch is empty, or all of it is ignored")
    return loss.sum() / count
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-reduce-loss", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_reduce_loss():
    """Losses are averaged, added up, or left alone."""
    losses = Tensor([[0.5, 2.0], [1.5, 5.0], [2.5, 0.5]])
    expect.close(lambda: reduce_loss(losses, "mean"), 2.0, "the mean of all of them", mistaken={
        "that is the sum": 12.0, "divide the sum, not the mean": 1 / 3, "size counts all of them; this counted the rows": 4.0})
    expect.close(lambda: reduce_loss(losses, "sum"), 12.0, "the sum", mistaken={"that is the mean": 2.0})
    expect.true(lambda: reduce_loss(losses, "none") is losses, "or as they are")
    expect.close(lambda: reduce_loss(losses, "mean", 4), 3.0, "where four of them count: 12 / 4", mistaken={
        "divide by count, not by the number of losses": 2.0, "divide the sum by count, not the mean": 0.5})
    expect.same(lambda: reduce_loss(np.ones(4, np.float32), "mean"), np.float32(1.0), "arrays work too, and stay float32",
                hint="divide by a Python number: NumPy's int64 makes float64 of it")
    expect.raises(ValueError, lambda: reduce_loss(losses, "average"), "an unknown word is refused",
                  hint='raise ValueError for all but "mean", "sum" and "none"')
    expect.raises(ValueError, lambda: reduce_loss(Tensor(np.ones((0, 3))), "mean"), "the mean of nothing is refused",
                  hint="look whether there are 0 of them")
    expect.raises(ValueError, lambda: reduce_loss(losses, "mean", 0), "also where none of them counts",
                  hint="0 is a count; only None means all")
    expect.close(lambda: reduce_loss(Tensor(np.ones((0, 3))), "sum"), 0.0, "the sum of nothing is 0")

test_unit_reduce_loss()

# %% [markdown]
r"""
### The mean squared error

$$\ell = (\mathrm{prediction} - \mathrm{target})^2$$

**Your turn.** Three lines: pair, square, reduce. Twice as far off costs four times as much. What is made of Tensor operations needs no gradient of its own later;
`@composed`, from module 01, has its errors begin with its name.
"""

# %% nbgrader={"grade": false, "grade_id": "mse-loss", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
@composed
def mse_loss(prediction, target, *, reduction="mean"):
    """The squared differences of two Tensors of one shape, reduced.  As `torch.nn.functional.mse_loss`.

    >>> mse_loss(Tensor([1.0, 2.0, 3.0]), Tensor([1.0, 2.0, 6.0]))
    Tensor(3.)
    """
    ### BEGIN SOLUTION
    prediction, target = paired(prediction, target)
    difference = prediction - target
    return reduce_loss(difference * difference, reduction)
    ### END SOLUTION

# %% [markdown]
"""
As an object it can be handed to whoever trains the network. `Loss` is a `Module` without parameters that keeps the settings:
"""

# %%
#| export
class Loss(Module):
    """A loss function and its settings as an object: (prediction, target) -> how wrong.

    A subclass names its `function` and `settings`.
    """
    settings = ("reduction",)

    def __init__(self, reduction="mean"):
        self.reduction = reduction

    def forward(self, prediction, target):
        return self.function(prediction, target, **{name: getattr(self, name) for name in self.settings})


class MSELoss(Loss):
    """The mean squared error, `mse_loss`, as an object.  As `torch.nn.MSELoss`."""
    function = staticmethod(mse_loss)

# %%
print(MSELoss(), MSELoss()(Tensor([1.0, 2.0, 3.0]), Tensor([1.0, 2.0, 6.0])))     # (0 + 0 + 9) / 3

# %% nbgrader={"grade": true, "grade_id": "test-mse-loss", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_mse_loss():
    """The mean squared error is 0 for what is right, and never stretches a shape."""
    x, y = Tensor([[1.0, 2.0], [3.0, 4.0]]), Tensor([[1.0, 0.0], [6.0, 4.5]])
    expect.close(lambda: mse_loss(x, x), 0.0, "a right prediction costs nothing")
    expect.close(x, [[1.0, 2.0], [3.0, 4.0]], "and the prediction is as it was", hint="do not change what you were given")
    expect.close(lambda: mse_loss(x, y), 3.3125, "(0 + 4 + 9 + 0.25) / 4", mistaken={
        "square the differences": -0.375, "those are the sizes of the differences: square them": 1.375, "that is its square root": 1.820027,
        "no half: ½ belongs to Huber": 1.65625, "that is the sum": 13.25, "first the squares, then the mean": 0.140625})
    expect.close(lambda: mse_loss(x, y, reduction="none"), [[0.0, 4.0], [9.0, 0.25]], "one each", hint="pass reduction on to reduce_loss")
    expect.close(lambda: MSELoss("sum")(x, y), 13.25, "the object remembers its reduction")
    expect.raises(ValueError, lambda: mse_loss(Tensor(np.ones((32, 1))), Tensor(np.ones(32))), "nothing is stretched",
                  match="mse_loss (32, 1) (32,)",
                  hint="ask `paired` first")
    expect.raises(ValueError, lambda: mse_loss(Tensor(np.ones((0, 2))), Tensor(np.ones((0, 2)))), "an empty batch is refused",
                  match="mse_loss (0, 2)")
    expect.same(lambda: mse_loss(Tensor([1.0], dtype=float64), [0.1]), np.float64(0.9 * 0.9), "float64 stays exact", mistaken={
        "paired takes the prediction first: the target gets its dtype": lambda got: got.dtype == float64},
        hint="compute with Tensors to the end: a new Tensor(…) is float32")

test_unit_mse_loss()

# %% [markdown]
"""
## 2 · Outliers

Four measurements say 1, 2, 3, 4. The fifth says 100, because somebody slipped on the keyboard. Which single number predicts them best?
"""

# %%
data, guesses = Tensor([1.0, 2.0, 3.0, 4.0, 100.0]), np.arange(0.0, 100.5, 0.5)

def best(loss):                                                  # of the guesses 0, 0.5, 1, … 100
    return guesses[np.argmin([loss(full((5,), guess), data).item() for guess in guesses])]

print("mean squared error:", best(mse_loss))

# %% [markdown]
r"""
22, which is near none of them. A square makes the one large difference outweigh all others. Two losses that do not:

$$\mathrm{L1} = |d| \qquad\qquad \mathrm{Huber}(d) = \begin{cases} \tfrac12 d^2 & |d| \le \delta \\[2pt] \delta\,(|d| - \tfrac12 \delta) & |d| > \delta \end{cases}
\qquad\text{where } d = \mathrm{prediction} - \mathrm{target}$$

L1 has a corner at 0: its slope jumps from −1 to 1. Huber is a square near 0 and a line far out; the $-\tfrac12\delta$ makes the two meet.

**Your turn.** The difference is there. `absolute` and `where(condition, a, b)` are module 01's. δ must be above 0: raise a ValueError otherwise.
"""

# %% nbgrader={"grade": false, "grade_id": "l1-huber", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
@composed
def l1_loss(prediction, target, *, reduction="mean"):
    """The absolute differences of two Tensors of one shape, reduced.  As `torch.nn.functional.l1_loss`.

    >>> l1_loss(Tensor([1.0, 2.0, 3.0]), Tensor([1.0, 2.0, 6.0]))
    Tensor(1.)
    """
    prediction, target = paired(prediction, target)
    difference = prediction - target
    ### BEGIN SOLUTION
    return reduce_loss(absolute(difference), reduction)
    ### END SOLUTION


@composed
def huber_loss(prediction, target, *, reduction="mean", delta=1.0):
    """Half the square of differences up to `delta`, a line beyond, reduced.  As `torch.nn.functional.huber_loss`.

    >>> huber_loss(Tensor([0.5, 3.0]), Tensor([0.0, 0.0]), reduction="none")
    Tensor([0.125, 2.5  ])
    """
    prediction, target = paired(prediction, target)
    difference = prediction - target
    ### BEGIN SOLUTION
    if delta <= 0:
        raise ValueError(f"delta must be above 0, not {delta}")
    size = absolute(difference)
    return reduce_loss(where(size <= delta, 0.5 * difference * difference, delta * (size - 0.5 * delta)), reduction)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-l1-huber", "locked": true, "points": 12, "schema_version": 3, "solution": false, "task": false}
def test_unit_l1_huber():
    """L1 grows in proportion; Huber is a square near 0 and a line far out."""
    x, y = Tensor([-2.0, 1.6, 0.5, 0.5, 7.0]), Tensor([1.0, 2.0, 0.5, -1.0, 3.0])         # differences -3, -0.4, 0, 1.5, 4
    expect.close(lambda: l1_loss(x, y, reduction="none"), [3.0, 0.4, 0.0, 1.5, 4.0], "sizes of the differences", mistaken={
        "without their sign: absolute": [-3.0, -0.4, 0.0, 1.5, 4.0]})
    expect.close(lambda: l1_loss(x, y), 1.78, "and their mean", mistaken={"the mean of the sizes, not the size of the mean": 0.42})
    expect.close(lambda: huber_loss(x, y, reduction="none"), [2.5, 0.08, 0.0, 1.0, 3.5], "delta = 1", mistaken={
        "the two pieces are exchanged": [4.5, -0.1, -0.5, 1.125, 8.0],
        "where the difference is small, half the square": [2.5, 0.16, 0.0, 1.0, 3.5],
        "compare the size of the difference, not the difference": [4.5, 0.08, 0.0, 1.0, 3.5],
        "without the -½ delta the pieces do not meet": [3.0, 0.08, 0.0, 1.5, 4.0]})
    expect.close(lambda: huber_loss(x, y, reduction="none", delta=2.0), [4.0, 0.08, 0.0, 1.125, 6.0], "delta = 2", mistaken={
        "the line's slope is delta": [2.0, 0.08, 0.0, 1.125, 3.0], "use delta, not 1": [2.5, 0.08, 0.0, 1.0, 3.5],
        "½ delta, not ½": [5.0, 0.08, 0.0, 1.125, 7.0], "the square goes as far as delta, not 1": [4.0, 0.08, 0.0, 1.0, 6.0]})
    for delta in (0.0, -1.0):
        expect.raises(ValueError, lambda: huber_loss(x, y, delta=delta), "delta is above 0", match="huber_loss delta",
                      hint="raise ValueError unless delta > 0")

test_unit_l1_huber()

# %%
print("mean squared error:", best(mse_loss), " L1:", best(l1_loss), " Huber:", best(huber_loss))

# %% [markdown]
"""
L1's best guess is the *median*, the squared error's the *mean*. The slope on the right is the pull of one point. L1 and Huber limit it.
"""

# %% tags=["analysis"]
d = Tensor(np.linspace(-3, 3, 301))
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3))
for name, loss in [("squared error", mse_loss), ("L1", l1_loss), ("Huber, δ = 1", huber_loss)]:
    curve = loss(d, np.zeros(301), reduction="none").numpy()
    left.plot(d.numpy(), curve, label=name); right.plot(d.numpy(), np.gradient(curve, d.numpy()))
left.set(xlabel="prediction − target", title="the loss", ylim=(0, 5)); right.set(xlabel="prediction − target", title="its slope"); left.legend(); plt.show()

# %% [markdown]
"""
## 3 · Probabilities

A classifier does not predict a number but a probability for each class. Good is what makes the truth *likely*: multiply the probabilities that it
gave to what really happened. Here are 1000 answers, each of which gave the right class 0.4.
"""

# %%
chances = np.full(1000, 0.4, dtype=np.float32)
print("product of 1000 probabilities:", chances.prod())
print("sum of their logarithms:      ", np.log(chances).sum())
for p in (1.0, 0.9, 0.5, 0.1, 0.01, 0.0001):
    print(f"one answer with p = {p:6}: -log p = {np.log(1 / p):6.4f}")

# %% [markdown]
r"""
The product, about $10^{-398}$, is smaller than the smallest float; the sum of the logarithms, which is its logarithm, is an ordinary number. With a
minus, so that small is good, and as a mean, this is the *negative log-likelihood*:

$$\mathrm{NLL} = -\frac1N \sum_i \log p_i(\text{class } i \text{ really was})$$

Sure and right costs 0. Sure and wrong costs without limit. A guess among 10 classes costs $-\ln 0.1 = 2.3026$: a network that has learned nothing
should start about there.

The classes stand along axis 1, as in PyTorch, and a target is the *number* of the right class: an integer, one for each row.

```
 log-probabilities (3, 4)              targets (3,)
 ┌───────┬───────┬───────┬───────┐     ┌───┐
 │       │       │  ●    │       │  ◄──│ 2 │      row 0, column 2
 │  ●    │       │       │       │  ◄──│ 0 │      row 1, column 0
 │       │       │       │  ●    │  ◄──│ 3 │      row 2, column 3
 └───────┴───────┴───────┴───────┘     └───┘
```

`table[[0, 1, 2], [2, 0, 3]]` picks them: a list of rows, a list of columns. `class_targets` (given) makes such a key, for any number of axes, and tells
when targets do not fit: floats, a one-hot table, a class that is not there. One more number is understood: `ignore_index` (−100 unless told otherwise)
marks places that do not count, such as the filling at the end of a short sentence.
"""

# %%
#| export
def class_targets(scores, targets, ignore_index):
    """(dim, places, keep) for scores (N, C, …) or (C,): the axis of the classes; the key of the right ones, scores[places] (N, 1, …); which of them count.

    Ignored targets are looked up as class 0.  TypeError, ValueError, IndexError for targets that do not fit.
    """
    dim, targets = min(scores.ndim - 1, 1), np.asarray(targets)
    if scores.dtype.kind != "f" or dim < 0:
        raise TypeError(f"scores must be floats with an axis of classes, (N, C); these are {scores.dtype} of shape {scores.shape}")
    if targets.dtype.kind not in "iu":
        one_hot = "; of one-hot rows take argmax(dim=1)" if targets.shape == scores.shape else ""
        raise TypeError(f"targets must be class numbers, integers, not {targets.dtype}{one_hot}")
    classes, fitting = scores.shape[dim], scores.shape[:dim] + scores.shape[dim + 1:]
    if targets.shape != fitting:
        last = f"; if the classes are last: scores.reshape(-1, {scores.shape[-1]}), targets.reshape(-1)" if targets.shape == scores.shape[:-1] else ""
        raise ValueError(f"{classes} classes along axis {dim} need targets of shape {fitting}, not {targets.shape}{last}")
    keep = targets != ignore_index
    wrong = targets[keep & ((targets < 0) | (targets >= classes))]
    if wrong.size:
        raise IndexError(f"target {wrong[0]} is not one of the {classes} classes, which are numbered from 0")
    shape = (*fitting[:dim], 1, *fitting[dim:])                           # (N, 1, …)
    places = list(np.indices(shape, sparse=True))                        # row numbers, column numbers, …
    places[dim] = np.where(keep, targets, 0).reshape(shape)
    return dim, tuple(places), keep.reshape(shape)

# %%
table = Tensor([[0.1, 0.2, 0.6, 0.1], [0.7, 0.1, 0.1, 0.1], [0.2, 0.2, 0.2, 0.4]])       # (3, 4)
dim, places, keep = class_targets(table, [2, -100, 3], -100)
print("axis", dim, " places", [key.tolist() for key in places], " keep", keep.tolist())
print(table[places])                                                     # (3, 1)

# %% [markdown]
"""
**Your turn.** The loss of each row is minus what is picked, `log_probs[places]`; 0 where `keep` does not hold (`where`). Then take axis `dim` away
(`squeeze(dim)`) and reduce. For the mean, only the kept ones count: `keep.sum()`.
"""

# %% nbgrader={"grade": false, "grade_id": "nll-loss", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
@composed
def nll_loss(log_probs, targets, *, ignore_index=-100, reduction="mean"):
    """Minus the log-probability of the right class, reduced.  As `torch.nn.functional.nll_loss`.

    log_probs: Tensor (N, C), (C,) or (N, C, …); targets: integers (N,), () or (N, …).  Targets equal to `ignore_index` do not count.

    >>> nll_loss(Tensor([[0.5, 0.5], [0.25, 0.75]]).log(), [1, 0], reduction="none")
    Tensor([0.6931, 1.3863])
    """
    log_probs = log_probs if isinstance(log_probs, Tensor) else Tensor(log_probs)
    dim, places, keep = class_targets(log_probs, targets, ignore_index)
    ### BEGIN SOLUTION
    loss = where(keep, -log_probs[places], 0.0)                         # (N, 1, …)
    return reduce_loss(loss.squeeze(dim), reduction, keep.sum())
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-nll-loss", "locked": true, "points": 12, "schema_version": 3, "solution": false, "task": false}
def test_unit_nll_loss():
    """The negative log-likelihood looks up the right class, and counts only what counts."""
    p = np.array([[0.1, 0.2, 0.6, 0.1], [0.7, 0.1, 0.1, 0.1], [0.2, 0.2, 0.2, 0.4]], float32)
    x, each = Tensor(np.log(p)), -np.log([0.6, 0.7, 0.4])
    expect.close(lambda: nll_loss(x, Tensor([2, 0, 3]), reduction="none"), each, "one a row", mistaken={
        "a loss is positive: put a minus before it": -each, "take axis `dim` away: squeeze(dim)": lambda got: got.shape == (3, 1),
        "where keep holds the loss, elsewhere 0: not the other way round": [0.0, 0.0, 0.0]})
    expect.close(lambda: nll_loss(x, [2, 0, 3]), each.mean(), "their mean")
    want = (each[0] + each[2]) / 2
    expect.close(lambda: nll_loss(x, [2, -100, 3]), want, "what is ignored does not count", mistaken={
        "it adds nothing, but it is still counted: divide by keep.sum()": want * 2 / 3,
        "-100 was looked up as class 0: put 0 there with where": each.sum() / 2})
    expect.close(lambda: nll_loss(x, [2, -100, 3], reduction="none"), each * [1, 0, 1], "its own loss is 0")
    expect.close(lambda: nll_loss(x, [2, 1, 3], ignore_index=1, reduction="sum"), each[0] + each[2], "any number may mean it")
    expect.close(lambda: nll_loss(x[0], 2), each[0], "scores of one row, one target")
    expect.same(lambda: nll_loss(x[:1], [2], reduction="none").shape, (1,), "a batch of one is still a batch",
                hint="squeeze axis `dim`, not every axis of size 1")
    grid = Tensor(np.log(np.stack([p, p[::-1]], axis=2)))                                # (3, 4, 2): classes along axis 1
    expect.close(lambda: nll_loss(grid, [[2, 3], [0, 0], [3, 2]], reduction="none"), np.stack([each, each[::-1]], 1),
                 "classes stay in axis 1",
                 hint="classes stand along axis `dim`, which is not always the last")
    expect.close(lambda: nll_loss(Tensor([[-np.inf, 0.0], [0.0, -np.inf]]), [-100, 0]), 0.0,
                 "a probability of 0 does no harm where nobody asks for it",
                 hint="0 times infinity is nan: choose with where, do not multiply by keep")
    expect.raises(ValueError, lambda: nll_loss(x, [-100] * 3), "all ignored: nothing to average", match="nll_loss")
    expect.raises(IndexError, lambda: nll_loss(x, [2, 4, 0]), "a class that is not there", match="nll_loss 4 classes")

test_unit_nll_loss()

# %% [markdown]
"""
## 4 · Cross-entropy

A network's last layer gives scores of any size, the *logits*. Softmax makes probabilities of them, and their logarithms go into the loss above.
Written down as it stands, it breaks:
"""

# %%
from tinytorch.core.activations import log_softmax, sigmoid, softmax

logits = Tensor([[0.0, 200.0]])
with np.errstate(divide="ignore"):                               # NumPy would warn of log(0); look at the number instead
    print("log of softmax:", nll_loss(softmax(logits, dim=1).log(), [0]).item())

def cross_entropy_in_two(logits, targets, **settings):
    """Cross-entropy as two operations: your yardstick for the one below."""
    return nll_loss(log_softmax(logits, dim=1), targets, **settings)

print("log_softmax:   ", cross_entropy_in_two(logits, [0]).item())

# %% [markdown]
r"""
The true answer is 200. Softmax rounded $e^{-200}$ to 0, and the logarithm of 0 is −∞. `log_softmax` never makes the probability.

It takes memory, though. A language model's logits are often its largest tensor (every word times a vocabulary of thousands), and each operation
makes another of that size. One operation can do with less. With the largest score subtracted first,

$$-\log \frac{e^{z_t}}{\sum_j e^{z_j}} = \log \sum_j e^{z_j} - z_t$$

```
 scores          2.0     1.0     0.1       the target is class 0
 minus the max   0.0    -1.0    -1.9   ◄── z
 exp             1.000   0.368   0.150     sum 1.517, log 0.417
 loss            0.417 - 0.0 = 0.417
 exp / sum       0.659   0.242   0.099     the probabilities, kept for module 05
```

One array of the size of the logits is enough: `z` becomes `exp(z)` becomes the probabilities, each in the place of the one before
(`np.exp(z, out=z)`, `np.divide(z, total, out=z)`). That is allowed because `z` is our own array, not the caller's.

**Label smoothing.** The loss is 0 only when the right score is infinitely far above the others, so training pushes forever. With `label_smoothing` ε
the target is no longer "surely this class" but $1 - \varepsilon$ for this class plus $\varepsilon$ shared equally by *all* C classes, itself included:

$$\ell = \log \sum_j e^{z_j} - (1 - \varepsilon)\, z_t - \frac{\varepsilon}{C} \sum_j z_j$$

**Your turn.** Everything is an array here, and only one of the logits' size may be made. `z[places]` picks the $z_t$ (before `exp` overwrites them),
`keepdims=True` keeps what is summed along `dim` lined up with it, and $\frac1C \sum_j z_j$ is a mean. Leave that last term out
where `label_smoothing` is 0: a score of −∞ (a class that is forbidden) times 0 is `nan`. The last line, below your code, takes `loss` (N, 1, …) and `p`,
the probabilities.
"""

# %% nbgrader={"grade": false, "grade_id": "cross-entropy", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
@op
def cross_entropy(logits, targets, *, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    """Minus the log of the softmax of the right class, in one stable operation.  As `torch.nn.functional.cross_entropy`.

    logits: floats (N, C), (C,) or (N, C, …); targets: integers (N,), () or (N, …).  Targets equal to `ignore_index` do not count.
    Of a language model's (B, T, V) take `logits.reshape(-1, V)` and `targets.reshape(-1)`.

    >>> cross_entropy(Tensor([[2.0, 1.0, 0.1]]), [0])
    Tensor(0.417)
    """
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing must be between 0 and 1, not {label_smoothing}")
    dim, places, keep = class_targets(logits, targets, ignore_index)     # z[places], keep: (N, 1, …)
    ### BEGIN SOLUTION
    z = logits - logits.max(axis=dim, keepdims=True)
    wanted = (1 - label_smoothing) * z[places]
    if label_smoothing:
        wanted += label_smoothing * z.mean(axis=dim, keepdims=True)
    total = np.exp(z, out=z).sum(axis=dim, keepdims=True)                # from here on z is exp(z)
    loss = np.where(keep, np.log(total) - wanted, 0.0)                   # (N, 1, …)
    p = np.divide(z, total, out=z)
    ### END SOLUTION
    kept = {"p": p, "places": places, "keep": keep}
    return reduce_loss(loss.squeeze(dim), reduction, int(keep.sum())), kept         # int: NumPy's int64 makes float64 of an array

# %% nbgrader={"grade": true, "grade_id": "test-cross-entropy", "locked": true, "points": 20, "schema_version": 3, "solution": false, "task": false}
def test_unit_cross_entropy():
    """Cross-entropy is the log-likelihood of softmax, in one operation and for scores of any size."""
    rng = np.random.default_rng(0)
    z, t = rng.normal(size=(5, 4)).astype(float32) * 2, np.array([3, 0, 0, 2, 1])
    x, forward = Tensor(z.copy()), cross_entropy.__wrapped__             # forward: your function, on arrays
    expect.close(lambda: cross_entropy(Tensor([[2.0, 1.0, 0.1]]), [2]), 2.317030, "the example above, had class 2 been right", mistaken={
        "a loss is positive: log of the sum, minus the score": -2.317030, "minus the right class's z, not plus": -1.482970,
        "subtract the right class's z": 0.417030, "z_t was read after exp overwrote it: pick it first": 0.267461}, raises={
        NameError: "give every name a value first; the last line needs `loss` and `p`"})
    logs = log_softmax(x, dim=1).numpy()
    both, top, flat = -logs[np.arange(5), t], -logs.max(1), -logs.mean(1)
    expect.close(lambda: cross_entropy(x, t, reduction="none"), both, "the same as log_softmax, then nll_loss", mistaken={
        "sum along `dim` only, with keepdims=True": lambda got: np.ptp(got - both + top) < 1e-4}, raises={
        ValueError: "keepdims=True keeps (5, 1), which lines up with (5, 4)"})
    expect.close(x, z, "the logits are as they were", hint="z must be an array of its own before anything is written into it")
    expect.close(lambda: cross_entropy(x, Tensor(t)), cross_entropy_in_two(x, t), "and their mean")
    expect.close(lambda: cross_entropy(Tensor([[0.0, 200.0], [1000.0, -1000.0]]), [0, 0], reduction="none"), [200.0, 0.0],
                 "scores of 1000 are fine", mistaken={
        "too much was subtracted: each row has its own largest score": lambda got: np.isneginf(got[0])},
        hint="subtract the largest score first, and do not take the log of a probability")
    expect.close(lambda: forward(z, t)[1]["p"], softmax(x, dim=1).numpy(), "the probabilities come along", mistaken={
        "divide exp by its sum": lambda got: not np.allclose(got.sum(1), 1)})
    some = np.where(t == 0, -100, t)
    expect.close(lambda: cross_entropy(x, some), both[t != 0].mean(), "what is ignored does not count", mistaken={
        "ignored places were looked up as class 0: `where(keep, …, 0.0)`": both.sum() / 3})
    expect.close(lambda: cross_entropy(x, some, reduction="none"), both * (t != 0), "its own loss is 0", hint="0 where keep does not hold")
    smooth = 0.7 * both + 0.3 * flat
    expect.close(lambda: cross_entropy(x, t, label_smoothing=0.3, reduction="none"), smooth, "label smoothing", mistaken={
        "label_smoothing is not used": both, "the share ε of all classes is missing": 0.7 * both + 0.3 * top,
        "z_t counts 1 - ε": both + 0.3 * (flat - top),
        "the mean of z, not its sum": 0.7 * both + 0.3 * top + 1.2 * (flat - top),
        "the right class gets its share ε/C too": smooth - 0.075 * (both - top),
        "the share is ε/C, for all C classes": smooth + 0.1 * (flat - both),
        "the mean of ONE row: axis=dim, keepdims=True": smooth + 0.3 * ((flat - top).mean() - flat + top)})
    expect.close(lambda: cross_entropy(Tensor([[0.0, -np.inf, 0.0]]), [0]), np.log(2.0), "a forbidden class",
                 hint="leave the smoothing term out where it is 0")
    expect.close(lambda: cross_entropy(x[0], 3, label_smoothing=0.3), smooth[0], "one row",
                 hint="use `dim`: a single row has its classes along axis 0")
    expect.close(lambda: cross_entropy(Tensor(z.T[None]), t[None], label_smoothing=0.3), smooth.mean(), "(N, C, d): classes stay in axis 1",
                 hint="use `dim`")
    expect.same(lambda: [forward(z, t)[1]["p"].dtype, cross_entropy(Tensor(z, dtype=float64), t).dtype], [float32, float64], "dtypes stay",
                hint="no conversion on the way: arrays keep the dtype of the logits")
    import tracemalloc
    wide = Tensor(np.zeros((64, 1000)))
    tracemalloc.start(); cross_entropy(wide, np.zeros(64, int)); peak = tracemalloc.get_traced_memory()[1]; tracemalloc.stop()
    expect.same(round(peak / wide.memory_footprint()), 1, "arrays of the size of the logits: one",
                hint="write exp and the quotient in the place of z: out=z")

test_unit_cross_entropy()

# %% [markdown]
"""
What was gained? Three ways to the same number: with the operations of module 01, with `log_softmax`, and in one. 256 words over a vocabulary of
8,000. `tracemalloc` sees every array that NumPy makes.

The picture is about label smoothing, for two classes. Without it a larger margin is always better; with it, being too sure costs.
"""

# %% tags=["analysis"]
def cross_entropy_in_many(logits, targets):
    """Cross-entropy from the operations of module 01."""
    z = logits - logits.max(dim=1, keepdim=True)
    return (z.exp().sum(dim=1).log() - z[np.arange(len(targets)), targets]).mean()

rng = np.random.default_rng(0)
words, ids = Tensor(rng.normal(size=(256, 8_000))), rng.integers(0, 8_000, 256)
print(f"the logits: {words.memory_footprint() / 1e6:.1f} MB")
for way in (cross_entropy_in_many, cross_entropy_in_two, cross_entropy):
    tracemalloc.start(); way(words, ids); peak = tracemalloc.get_traced_memory()[1]; tracemalloc.stop()
    times = []
    for _ in range(7):
        start = time.perf_counter(); way(words, ids); times.append(time.perf_counter() - start)
    print(f"{way.__name__:22} {way(words, ids).item():.4f}   {min(times) * 1e3:5.1f} ms   {peak / 1e6:5.1f} MB more at the peak")

plt.figure(figsize=(5, 2.8)); margins = np.linspace(-2, 10, 121)
pairs = Tensor(np.stack([margins, np.zeros(121)], axis=1))                       # (121, 2)
for smoothing in (0.0, 0.1, 0.3):
    losses = cross_entropy(pairs, np.zeros(121, int), label_smoothing=smoothing, reduction="none").numpy()
    plt.plot(margins, losses, label=f"ε = {smoothing}")
plt.xlabel("score of the right class − score of the other"); plt.ylabel("loss"); plt.legend(); plt.show()

# %% [markdown]
"""
### Where the classes stand

Axis 1, always: `(N, C)`, or `(N, C, H, W)` when every pixel has a class. A language model gives `(B, T, V)`, classes *last*. Make rows of it:
"""

# %%
model_says = Tensor(np.random.default_rng(0).normal(size=(2, 5, 7)))             # (B, T, V): 2 texts, 5 words each, 7 in the vocabulary
next_words = Tensor(np.array([[1, 2, 6, 0, 3], [4, 4, 5, -100, -100]]))          # (B, T); the second text has only 3
try:
    cross_entropy(model_says, next_words)
except ValueError as error:
    print(error)
print(cross_entropy(model_says.reshape(-1, 7), next_words.reshape(-1)))          # (B·T, V), (B·T,)

# %% [markdown]
r"""
## 5 · Yes or no

With two classes one probability $p$ says everything, and the target is 1 or 0 (or in between):

$$\mathrm{BCE} = -\,t \log p - (1 - t) \log (1 - p)$$

At $p = 0$ the logarithm is −∞, and $0 \cdot \infty$ is `nan`. PyTorch cuts its logarithms off at −100, and so do we.

**Your turn.** First the logarithm with its floor, on arrays (`np.errstate` keeps NumPy from warning of log(0)). Then the loss, on Tensors.
"""

# %% nbgrader={"grade": false, "grade_id": "binary-cross-entropy", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
@op
def clamped_log(x):
    """The logarithm, but never below -100.  `x` is an array of numbers from 0 on.

    >>> clamped_log(Tensor([1.0, 0.0]))
    Tensor([   0., -100.])
    """
    with np.errstate(divide="ignore"):
        ### BEGIN SOLUTION
        return np.maximum(np.log(x), -100.0)
        ### END SOLUTION


@composed
def binary_cross_entropy(prediction, target, *, reduction="mean"):
    """The loss of probabilities for yes (target 1) or no (target 0), reduced.  As `torch.nn.functional.binary_cross_entropy`.

    >>> binary_cross_entropy(Tensor([0.5, 0.25]), Tensor([1.0, 0.0]), reduction="none")
    Tensor([0.6931, 0.2877])
    """
    prediction, target = paired(prediction, target)
    if not ((prediction.data >= 0) & (prediction.data <= 1)).all():
        raise ValueError("predictions must be probabilities, from 0 to 1; for scores of any size use binary_cross_entropy_with_logits")
    ### BEGIN SOLUTION
    return reduce_loss(-(target * clamped_log(prediction) + (1 - target) * clamped_log(1 - prediction)), reduction)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-binary-cross-entropy", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_binary_cross_entropy():
    """Binary cross-entropy is the log-likelihood of yes and no, and stays finite."""
    p, t = Tensor([0.9, 0.9, 0.2, 0.6]), Tensor([1.0, 0.0, 0.0, 0.25])
    expect.close(lambda: clamped_log(Tensor([1.0, 1e-30, 0.0])), [0.0, np.log(1e-30), -100.0], "a logarithm with a floor", mistaken={
        "the larger of the two: maximum": [-100.0, -100.0, -np.inf], "cut off at -100: np.maximum": [0.0, np.log(1e-30), -np.inf],
        "the floor is under the logarithm, not under x": lambda got: got[1] == got[2] and -99 < got[2] < -1})
    expect.close(lambda: binary_cross_entropy(p, t, reduction="none"), [0.105361, 2.302585, 0.223144, 0.814925], "yes, no, and in between",
                 mistaken={
        "a loss is positive: put a minus before it": [-0.105361, -2.302585, -0.223144, -0.814925],
        "the target 0 asks for log(1 - p)": lambda got: np.allclose(got[1:3], 0) or np.allclose(got, -np.log(p.numpy())),
        "the target 1 asks for log(p): target and 1 - target are exchanged": [2.302585, 0.105361, 1.609438, 0.612190]},
        hint="each target is the weight of log(p), and 1 - target that of log(1 - p)")
    expect.close(lambda: binary_cross_entropy(Tensor([0.0, 1.0, 0.0, 1.0]), [1.0, 0.0, 0.0, 1.0], reduction="none"),
                 [100.0, 100.0, 0.0, 0.0], "sure and wrong costs 100",
                 hint="use clamped_log for both logarithms")
    expect.raises(ValueError, lambda: binary_cross_entropy(Tensor([1.7]), [1.0]), "a score is no probability",
                  match="binary_cross_entropy with_logits")

test_unit_binary_cross_entropy()

# %% [markdown]
"""
Where does $p$ come from? From a score $z$ through a sigmoid. Let us try that, with and without the floor. The target is 0, so a score of 20 should
cost very nearly 20, and 1000 should cost 1000. In the last line the target is 1: nothing is wrong, so it should cost 0.
"""

# %%
for score, t in [(5.0, 0.0), (20.0, 0.0), (1000.0, 0.0), (1000.0, 1.0)]:
    p = sigmoid(Tensor([score]))
    with np.errstate(divide="ignore", invalid="ignore"):
        as_written = -(t * p.log() + (1 - t) * (1 - p).log())
    print(f"z = {score:6}, target {t:.0f}   as written {as_written.item():8.4f}   with the floor {binary_cross_entropy(p, [t]).item():8.4f}")

# %% [markdown]
r"""
A float32 cannot tell $1 - 2\cdot 10^{-9}$ from 1: at 20 the information is gone, and no floor brings it back. The `nan` is $0 \cdot \infty$. As before, the cure is not to make the probability at all:

$$-\log \sigma(z) = \log(1 + e^{-z}) = \mathrm{softplus}(-z) \qquad -\log(1 - \sigma(z)) = \mathrm{softplus}(z)$$

$$\mathrm{softplus}(z) = \log(1 + e^z) = \max(z, 0) + \log(1 + e^{-|z|})$$

The last form never takes the exponential of a positive number. `np.log1p(x)` is $\log(1 + x)$, exact for small $x$.

**Your turn.** `softplus` on arrays, then the loss from it: twice `softplus`, weighted by the target.
"""

# %% nbgrader={"grade": false, "grade_id": "with-logits", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
@op
def softplus(z):
    """log(1 + exp(z)), for z of any size (an array here).  As `torch.nn.functional.softplus`.

    >>> softplus(Tensor([-1000.0, 0.0, 1000.0]))
    Tensor([0.0000e+00, 6.9315e-01, 1.0000e+03])
    """
    z = z if z.dtype.kind == "f" else z * 1.0                    # whole numbers of one byte have no -z
    ### BEGIN SOLUTION
    return np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))
    ### END SOLUTION


@composed
def binary_cross_entropy_with_logits(logits, target, *, reduction="mean"):
    """Binary cross-entropy of sigmoid(logits), stable.  As `torch.nn.functional.binary_cross_entropy_with_logits`.

    >>> binary_cross_entropy_with_logits(Tensor([1000.0, 1000.0, 0.0]), Tensor([1.0, 0.0, 1.0]), reduction="none")
    Tensor([0.0000e+00, 1.0000e+03, 6.9315e-01])
    """
    ### BEGIN SOLUTION
    logits, target = paired(logits, target)
    return reduce_loss(target * softplus(-logits) + (1 - target) * softplus(logits), reduction)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-with-logits", "locked": true, "points": 12, "schema_version": 3, "solution": false, "task": false}
def test_unit_with_logits():
    """From scores of any size: the same loss where the other one works, and the right one where it does not."""
    expect.close(lambda: softplus(Tensor([-2.0, 0.0, 2.0])), [0.126928, 0.693147, 2.126928], "softplus", mistaken={
        "that is log(1 + exp(-|z|)): add max(z, 0)": [0.126928, 0.693147, 0.126928],
        "exp(-|z|), not exp(-z)": [2.126928, 0.693147, 2.126928]})
    expect.close(lambda: softplus(Tensor([-1000.0, 1000.0])), [0.0, 1000.0], "scores of 1000 are fine",
                 hint="exp of a positive number overflows: take exp(-|z|)")
    expect.close(lambda: softplus(Tensor([-20.0])) * 1e9, [2.0611537], "small ones are exact", tol=1e-4,
                 hint="1 + 2e-9 is 1 in float32: use np.log1p")
    z, t = Tensor([-3.0, -0.5, 0.0, 2.0]), Tensor([0.0, 1.0, 1.0, 0.25])
    want = binary_cross_entropy(sigmoid(z), t, reduction="none").numpy()
    expect.close(lambda: binary_cross_entropy_with_logits(z, t, reduction="none"), want, "the same as a sigmoid and then the loss",
                 mistaken={
        "the target 1 asks for softplus(-z): large scores are right": want + (2 * t.data - 1) * z.data,
        "the target 0 is missing": lambda got: got[0] == 0})
    expect.raises(ValueError, lambda: binary_cross_entropy_with_logits(z.unsqueeze(1), t), "shapes must be equal",
                  match="with_logits (4, 1) (4,)", hint="ask `paired` first")
    big = Tensor([1000.0, 1000.0, -1000.0, -1000.0, 20.0])
    expect.close(lambda: binary_cross_entropy_with_logits(big, [1.0, 0.0, 0.0, 1.0, 0.0], reduction="none"),
                 [0.0, 1000.0, 0.0, 1000.0, 20.0], "scores of ±1000",
                 hint="use softplus on the scores: no sigmoid, no logarithm")
    expect.same(lambda: [softplus(z).dtype, binary_cross_entropy_with_logits(z, t).dtype], [float32, float32], "float32 stays float32",
                hint="use Python's numbers")

test_unit_with_logits()

# %% [markdown]
"""
The other losses as objects, with PyTorch's names and settings:
"""

# %%
#| export
class L1Loss(Loss):
    """`l1_loss` as an object.  As `torch.nn.L1Loss`."""
    function = staticmethod(l1_loss)


class HuberLoss(Loss):
    """`huber_loss` as an object.  As `torch.nn.HuberLoss`."""
    function, settings = staticmethod(huber_loss), ("reduction", "delta")

    def __init__(self, reduction="mean", delta=1.0):
        self.reduction, self.delta = reduction, delta


class NLLLoss(Loss):
    """`nll_loss` as an object: log-probabilities and class numbers.  As `torch.nn.NLLLoss`."""
    function, settings = staticmethod(nll_loss), ("ignore_index", "reduction")

    def __init__(self, ignore_index=-100, reduction="mean"):
        self.ignore_index, self.reduction = ignore_index, reduction


class CrossEntropyLoss(Loss):
    """`cross_entropy` as an object: logits and class numbers.  As `torch.nn.CrossEntropyLoss`."""
    function, settings = staticmethod(cross_entropy), ("label_smoothing", "ignore_index", "reduction")

    def __init__(self, label_smoothing=0.0, ignore_index=-100, reduction="mean"):
        self.label_smoothing, self.ignore_index, self.reduction = label_smoothing, ignore_index, reduction


class BCELoss(Loss):
    """`binary_cross_entropy` as an object: probabilities, and targets from 0 to 1.  As `torch.nn.BCELoss`."""
    function = staticmethod(binary_cross_entropy)


class BCEWithLogitsLoss(Loss):
    """`binary_cross_entropy_with_logits` as an object: scores, and targets from 0 to 1.  As `torch.nn.BCEWithLogitsLoss`."""
    function = staticmethod(binary_cross_entropy_with_logits)


BinaryCrossEntropyLoss = BCELoss

# %% [markdown]
"""
## 6 · A landscape

With the data fixed, the loss is a function of the *weights*. Take the smallest model there is, a line $w x + b$ with two weights, and twenty points.
Standing at $w = 0, b = 0$, which way is down? Try a small step each way:
"""

# %%
rng = np.random.default_rng(1)
xs = Tensor(np.linspace(-1.5, 1.5, 20))
ys = Tensor(0.8 * xs.numpy() - 0.4 + rng.normal(size=20) * 0.3)          # a line, and noise
yes = Tensor((xs.numpy() + rng.normal(size=20) * 0.8 > 0.3) * 1.0)       # 1 or 0

def line_loss(w, b):                                                     # of the line w·x + b
    return mse_loss(xs * w + b, ys).item()

def yes_loss(w, b):                                                      # of sigmoid(w·x + b) as the probability of yes
    return binary_cross_entropy_with_logits(xs * w + b, yes).item()

for w, b in [(0.0, 0.0), (0.1, 0.0), (-0.1, 0.0), (0.0, 0.1), (0.0, -0.1)]:
    print(f"w = {w:4.1f}  b = {b:4.1f}   squared error {line_loss(w, b):.4f}   cross-entropy {yes_loss(w, b):.4f}")

# %% [markdown]
"""
Larger $w$ and smaller $b$ help, for both. Do that often and you walk from the dot down to the cross. That walk is called training. Trying a step for
each weight takes one loss per weight; module 05 finds the way down for all of them at once.
"""

# %% tags=["analysis"]
figure, axes = plt.subplots(1, 2, figsize=(10, 3.8))
for axis, loss, title, ws, bs in [(axes[0], line_loss, "squared error of a line", np.linspace(-1, 2.5, 60), np.linspace(-2, 1.5, 60)),
                                  (axes[1], yes_loss, "cross-entropy of yes and no", np.linspace(-2, 6, 60), np.linspace(-5, 3, 60))]:
    surface = np.array([[loss(float(w), float(b)) for w in ws] for b in bs])         # (60, 60)
    row, column = np.unravel_index(surface.argmin(), surface.shape)
    shown = axis.contourf(ws, bs, surface, levels=25, cmap="viridis")
    axis.plot(0, 0, "wo"); axis.plot(ws[column], bs[row], "wx")
    axis.set(xlabel="w", ylabel="b", title=title); figure.colorbar(shown, ax=axis)
    print(f"{title}: {surface.min():.4f} at w = {ws[column]:.2f}, b = {bs[row]:.2f}")
plt.show()

# %% nbgrader={"grade": true, "grade_id": "test-module", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_module():
    """Everything together: every loss as an object, on one batch, with its settings and its errors."""
    import tinytorch.core.tensor as door
    rng = np.random.default_rng(1)
    x, y = Tensor(rng.normal(size=(6, 3))), Tensor(rng.normal(size=(6, 3)))
    p, yes, t = sigmoid(x), Tensor((y.numpy() > 0) * 1.0), Tensor([0, 1, 2, 2, 1, -100])
    losses = [(MSELoss, mse_loss, x, y), (L1Loss, l1_loss, x, y), (HuberLoss, huber_loss, x, y), (NLLLoss, nll_loss, log_softmax(x, dim=1), t),
              (CrossEntropyLoss, cross_entropy, x, t), (BCELoss, binary_cross_entropy, p, yes), (BCEWithLogitsLoss, binary_cross_entropy_with_logits, x, yes)]
    for loss, function, prediction, target in losses:
        for reduction in ("mean", "sum", "none"):
            expect.close(lambda: loss(reduction=reduction)(prediction, target), function(prediction, target, reduction=reduction),
                         f"{loss.__name__}, {reduction}")
        expect.same(list(loss().parameters()), [], "a loss has no parameters")
        expect.raises((TypeError, ValueError), lambda: loss()(prediction, target[:4]), "targets that do not fit are refused",
                      match=function.__name__)
        expect.raises(ValueError, lambda: loss()(prediction[:0], target[:0]), "so is an empty batch", match=function.__name__)
    chair, door.record = door.record, lambda *made: made                 # module 05 will sit here, and note how each result was made
    try:
        lost = [function.__name__ for _, function, a, b in losses if not function(Tensor(a.numpy(), requires_grad=True), b).requires_grad]
    finally:
        door.record = chair
    expect.same(lost, [], "each loss can be followed back to the prediction",
                hint="compute with Tensors to the end: `.data` and NumPy leave no trace")
    expect.close(CrossEntropyLoss(0.1, ignore_index=2)(x[:5], t[:5]), cross_entropy(x[:5], t[:5], label_smoothing=0.1, ignore_index=2),
                 "settings arrive")
    expect.close([HuberLoss(delta=0.5)(x, y), BinaryCrossEntropyLoss()(p, yes)],
                 [huber_loss(x, y, delta=0.5).item(), BCEWithLogitsLoss()(x, yes).item()], "in all")
    expect.close(cross_entropy(Tensor(np.zeros((4, 10))), [0, 3, 5, 9]), np.log(10.0), "who knows nothing of 10 classes pays ln 10")
    expect.same(repr(HuberLoss(delta=0.5)), "HuberLoss(reduction='mean', delta=0.5)", "it shows its settings")
    expect.raises(TypeError, lambda: cross_entropy(x, yes), "one-hot targets are refused", match="cross_entropy integers argmax")
    expect.raises(ValueError, lambda: cross_entropy(x, t, label_smoothing=1.5), "too smooth", match="cross_entropy label_smoothing")

test_module()

# %% [markdown]
"""
## 7 · In your own words

**Question 1.** A new network is to tell 1,000 kinds of animals apart. Which cross-entropy do you expect before any training, and why? On the first
batch it prints 31.7. What do you suspect?
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-first-loss", "locked": false, "points": 5, "schema_version": 3, "solution": true, "task": false}
"""
It knows nothing, so each class should get about 1/1000, and the loss is ln 1000 = 6.9. A loss of 31.7 is worse than knowing nothing: the network is
sure of wrong answers. The scores are too large (weights started too large, inputs not scaled), or something is summed that should be averaged.
"""

# %% [markdown]
"""
**Question 2.** Two sentences, of 10 words and of 2, are filled up to 10 places each. Take the mean of the losses over all 20 places, over the places
that count, or of the two sentences' own means. Which one does `ignore_index` give? How do the other two weigh a word of the short sentence?
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-padding", "locked": false, "points": 5, "schema_version": 3, "solution": true, "task": false}
"""
`ignore_index` gives the second: every one of the 12 words weighs the same. Over all 20 places the filling counts too, as 8 losses that mean nothing, or
as 8 zeros that make the loss too small. In the mean of means a word of the short sentence weighs 1/4, one of the long sentence 1/20: five times less.
"""

# %% [markdown]
"""
## Where you are

Seven losses, each one number for how wrong, each with an error that says what does not fit. Next: `tito module complete 04`. Then module 05 finds
out in which direction every weight should move to make that number smaller.
"""
