# %% [markdown]
"""
# 07 Training

> The loop around everything: one step after the other, measured fairly, stopped in time, and continued after a crash.

A training loop is five lines, and five lines are easily written wrong. None of the usual mistakes raises an error; the network just learns less, or
the numbers lie. You will see three of them happen, and then build a `Trainer` that you can leave alone overnight.
"""

# %% nbgrader={"grade": false, "grade_id": "start", "locked": true, "schema_version": 3, "solution": false, "task": false}
import tito.notebook     # where this fails, open the notebook with: tito module open 07
from tito.check import expect

tito.notebook.use(7)

# %%
#| default_exp core.training

# %% nbgrader={"grade": false, "grade_id": "imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
import itertools
import json
import math
import operator
import os
import shutil
import sys
import textwrap
import time
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np

from tinytorch.core.autograd import SVG, no_grad
from tinytorch.core.layers import Module, check_array, check_kind, check_number, check_whole, refuse
from tinytorch.core.optimizers import Optimizer, ReduceLROnPlateau, Scheduler, settings_checked
from tinytorch.core.tensor import Tensor, default_generator

# %% nbgrader={"grade": false, "grade_id": "tools", "locked": true, "schema_version": 3, "solution": false, "task": false}
import tempfile
from contextlib import redirect_stderr, suppress
from io import StringIO

from tinytorch.core.activations import ReLU
from tinytorch.core.autograd import is_grad_enabled
from tinytorch.core.layers import Dropout, Identity, Linear, Sequential
from tinytorch.core.losses import CrossEntropyLoss, MSELoss
from tinytorch.core.optimizers import SGD, Adam, StepLR
from tinytorch.core.tensor import float64, manual_seed


def spirals(n, noise=0.15, seed=0):
    """n points (n, 2) on three spiral arms, and the arm of each (n,)."""
    rng = np.random.default_rng(seed)
    arm, along = np.arange(n) % 3, rng.uniform(0.2, 1.0, size=n)
    angle = 2.1 * arm + 4.0 * along + rng.normal(size=n) * noise / along
    return Tensor(np.stack([along * np.cos(angle), along * np.sin(angle)], axis=1)), Tensor(arm)


def split(x, y, size):
    """A loader: a list of batches (inputs, targets) of `size` samples; the last one may be smaller."""
    return [(x[i:i + size], y[i:i + size]) for i in range(0, len(x), size)]


def network(seed=0, width=64, drop=0.3):
    """Two layers with dropout between, always the same for a seed."""
    manual_seed(seed)
    return Sequential(Linear(2, width), ReLU(), Dropout(drop), Linear(width, 3))

# %% [markdown]
"""
## 1 · Three mistakes that raise no error

Points on three spiral arms; which arm is each on? Here are 195 to learn from, in batches of 64, and a loop as one writes it at night.
"""

# %%
x, y = spirals(195)
loss_fn = CrossEntropyLoss()

def night_loop(model, epochs):
    optimizer = SGD(model.parameters(), lr=1.0)
    for _ in range(epochs):
        for inputs, targets in split(x, y, 64):
            loss_fn(model(inputs), targets).backward()
            optimizer.step()
    losses = [loss_fn(model(inputs), targets).item() for inputs, targets in split(x, y, 64)]
    return sum(losses) / len(losses)

for epochs in (0, 1, 2, 3, 30):
    print(f"{epochs:2} epochs: loss {night_loop(network(), epochs):.3f}")

# %% [markdown]
"""
Three arms, so knowing nothing costs ln 3 = 1.099. The loss should fall; it jumps up and down. Read the loop again: there are three mistakes.

**One: gradients are added up.** `backward` adds to `.grad`, and nobody ever cleared it. The same gradient four times:
"""

# %%
model = network(drop=0.0)
for _ in range(4):
    loss_fn(model(x), y).backward()
    print(f"its norm in the first layer: {np.linalg.norm(model[0].weight.grad.numpy()):.3f}")

# %% [markdown]
"""
**Two: dropout is on while we measure.** The same network, the same data, measured three times:
"""

# %%
model = network()
print("training mode  ", [round(loss_fn(model(x), y).item(), 4) for _ in range(3)])
model.eval()
print("evaluation mode", [round(loss_fn(model(x), y).item(), 4) for _ in range(3)])

# %% [markdown]
r"""
**Three: a mean of means.** The last batch has 3 samples. In a mean of batch means it weighs as much as 64, so each of its samples counts 21 times:

$$\frac{\ell_1 + \ell_2 + \ell_3 + \ell_4}{4} \;\neq\; \frac{64\,\ell_1 + 64\,\ell_2 + 64\,\ell_3 + 3\,\ell_4}{195}$$
"""

# %%
losses = [loss_fn(model(inputs), targets).item() for inputs, targets in split(x, y, 64)]
print("batch means              ", np.round(losses, 4))
print(f"mean of the batch means   {np.mean(losses):.4f}")
print(f"weighted by their samples {np.average(losses, weights=[64, 64, 64, 3]):.4f}")
print(f"all samples at once       {loss_fn(model(x), y).item():.4f}")

# %% [markdown]
"""
All three are mended once, in one place, for every network to come. That place is the `Trainer`.

## 2 · Measuring

A *loader* is anything that gives batches `(inputs, targets)` when it is gone through: a list will do. Given:
"""

# %%
#| export
def batches(loader):
    """The (inputs, targets) of a loader, as Tensors.

    ValueError where a batch is no such pair, and where there is none at all.
    """
    check_kind("batches", Iterable, loader=loader)
    batch = None
    for batch in loader:
        if not isinstance(batch, (tuple, list)) or len(batch) != 2:
            raise ValueError(f"batches: a loader gives pairs (inputs, targets), not a {type(batch).__name__}; for one batch write [(inputs, targets)]")
        yield tuple(part if isinstance(part, Tensor) else Tensor(part) for part in batch)
    if batch is None:
        raise ValueError("batches: the loader gave no batch; what can be gone through only once (a generator) must be made a list")

# %% nbgrader={"grade": false, "grade_id": "test-tools", "locked": true, "schema_version": 3, "solution": false, "task": false}
# what the checks below are made with
class Watcher(Module):
    """Gives back what it gets, and notes what it sees: its mode, that of a module in it, and whether operations are recorded."""
    def __init__(self):
        self.inner, self.seen = Identity(), []

    def forward(self, x):
        self.seen.append((self.training, self.inner.training, is_grad_enabled()))
        if len(x) == 5:
            raise KeyError("a broken batch")
        return x


def one_layer(clip=None):
    """A Trainer of one linear layer, always with the same start, in float64."""
    layer = Linear(3, 2, generator=np.random.default_rng(1))
    layer.weight.data, layer.bias.data = layer.weight.data.astype(float64), layer.bias.data.astype(float64)
    return Trainer(Sequential(layer, Dropout(0.0)), SGD(layer.parameters(), lr=0.5), CrossEntropyLoss(), grad_clip_norm=clip)


def with_gradients(*grads):
    """Tensors that have these gradients; None for none."""
    made = [Tensor(np.ones(np.shape(g)), requires_grad=True) for g in grads]
    for t, g in zip(made, grads):
        t.grad = None if g is None else Tensor(g)
    return made

# %% [markdown]
"""
A loss is good to descend on; people ask how often the network is *right*.

**Your turn.** The class with the largest logit is the answer. Logits are `(n, classes)` or `(n, classes, …)`, targets `(n,)` or `(n, …)`: the
classes lie on axis 1. Targets that are no integers, or have the shape of the logits, are no classes: then the answer is None. `check_array` makes
arrays of Tensors and lists.
"""

# %% nbgrader={"grade": false, "grade_id": "accuracy", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def accuracy(logits, targets):
    """The share of the targets (n, …) at which the logits (n, classes, …) are largest, a float; None where targets are no class numbers.

    >>> accuracy(Tensor([[2.0, 1.0], [0.0, 3.0], [5.0, 4.0], [1.0, 2.0]]), [0, 1, 1, 1])
    0.75
    """
    logits, targets = check_array("accuracy", logits=logits, targets=targets)
    ### BEGIN SOLUTION
    if targets.dtype.kind not in "iu" or targets.shape == logits.shape:
        return None
    if logits.shape[:1] + logits.shape[2:] != targets.shape:
        raise ValueError(f"accuracy: logits {logits.shape} and targets {targets.shape} do not fit; (n, classes) and (n,) do")
    return float((logits.argmax(axis=1) == targets).mean())
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-accuracy", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
def test_unit_accuracy():
    """Accuracy is the share of samples whose largest logit is the right one."""
    logits, targets = Tensor([[2.0, 1.0, 0.0], [0.0, 3.0, 5.0], [4.0, 5.0, 1.0], [-3.0, -2.0, -1.0]]), Tensor([0, 2, 0, 2])
    expect.close(lambda: accuracy(logits, targets), 0.75, "three of four are right", mistaken={
        "that is their number: take the mean": 3.0, "that is the share of wrong ones": 0.25,
        "the largest logit of each sample is at argmax(axis=1)": 0.0}, raises={ValueError: "axis 1 has the classes: (4, 3) and (4,) fit"})
    expect.same(lambda: type(accuracy(logits, targets)), float, "as a Python number", hint="float(…) makes one of NumPy's")
    places, axis = np.zeros((2, 3, 4)), "the classes are on axis 1, which is not always the last"
    places[:, 1] = 1.0                                         # two sentences, three classes, four places
    expect.close(lambda: accuracy(places, [[1, 1, 1, 0], [1, 0, 0, 0]]), 0.5, "an array (2, 3, 4) and a list (2, 4)",
                 hint=axis, raises={ValueError: axis})
    for bad in ([[0], [2], [0], [1]], [0]):
        expect.raises(ValueError, lambda: accuracy(logits, bad), f"targets of shape {np.shape(bad)} are refused",
                      match=f"accuracy (4, 3) {np.shape(bad)}",
                      hint="each would be compared with each: look at the shapes, and name both in the error")
    shape = "return None where both have one shape"
    expect.same(lambda: accuracy(logits, Tensor([0.0, 2.0, 0.0, 1.0])), None, "numbers that are no classes have no accuracy",
                hint="return None unless the targets are integers")
    expect.same(lambda: accuracy(logits, np.eye(4, 3, dtype=int)), None, "nor have pairs of numbers", hint=shape, raises={ValueError: shape})

test_unit_accuracy()

# %% [markdown]
"""
Now the Trainer. Its constructor notes what it was given and starts the books. `began`, `best`, `stale` and `done` wait for part 5, `loaders` and
`waiting` for part 7.
"""

# %%
#| export
class Trainer:
    """Trains a model, measures it, saves the run and goes on with it.

    `scheduler` is one of module 06 or a `CosineSchedule`, stepped once an epoch; `grad_clip_norm` is the most that all gradients together may
    measure.
    """
    def __init__(self, model, optimizer, loss_fn, scheduler=None, grad_clip_norm=None):
        check_number("Trainer", 0, math.inf, none=True, grad_clip_norm=grad_clip_norm)
        if grad_clip_norm is not None and not grad_clip_norm > 0:
            raise ValueError(f"Trainer: grad_clip_norm is above 0, or None, not {grad_clip_norm}")
        check_kind("Trainer", Module, model=model)
        check_kind("Trainer", Optimizer, none=True, optimizer=optimizer)
        check_kind("Trainer", Callable, loss_fn=loss_fn)
        if not (scheduler is None or isinstance(scheduler, Scheduler) or hasattr(scheduler, "get_lr")):
            raise TypeError(f"Trainer: scheduler must be a Scheduler, a CosineSchedule or None, not {scheduler!r:.60}")
        self.model, self.optimizer, self.loss_fn = model, optimizer, loss_fn
        self.scheduler, self.grad_clip_norm, self.line = scheduler, grad_clip_norm, None
        self.history = {"train_loss": [], "val_loss": [], "val_accuracy": [], "lr": []}
        self.epoch, self.began, self.stale = 0, 0, 0             # epochs done; how many when `fit` began; how many since the best
        self.best, self.done = None, False                       # the best loss and its weights; whether `fit` should end
        self.loaders, self.waiting = {}, {}                      # generators of loaders; states of those that were not met yet

# %% [markdown]
"""
**Your turn.** `evaluate` gives the loss and the accuracy of all samples of a loader.

1. Note the mode of each module, `[(module, module.training) for module in self.model.modules()]`. Somebody may have put one of them into
   evaluation for good.
2. `self.model.eval()`; then, inside `with no_grad():`, go through `batches(loader)`. Nothing needs to be recorded, so no memory is spent on it.
3. Add up the loss and the accuracy, each multiplied by `len(targets)`, and divide at the end. Without classes the accuracy is None.
4. In `finally:` every module gets its own mode back, also when a batch raised an error.
"""

# %% nbgrader={"grade": false, "grade_id": "evaluate", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def _evaluate(self, loader):
    """(loss, accuracy) of all samples of a loader, in evaluation mode, unrecorded.

    Every module is in its own mode afterwards.  Assumes that `loss_fn` is the mean of a batch.  Accuracy as in `accuracy`.
    """
    ### BEGIN SOLUTION
    modes = [(module, module.training) for module in self.model.modules()]
    total = right = samples = 0
    self.model.eval()
    try:
        with no_grad():
            for inputs, targets in batches(loader):
                logits, n = self.model(inputs), len(targets)
                share = accuracy(logits, targets)
                total += self.loss_fn(logits, targets).item() * n
                right = None if share is None else right + share * n
                samples += n
    finally:
        for module, mode in modes:
            module.training = mode
    return total / samples, None if right is None else right / samples
    ### END SOLUTION


Trainer.evaluate = _evaluate

# %% nbgrader={"grade": true, "grade_id": "test-evaluate", "locked": true, "points": 14, "schema_version": 3, "solution": false, "task": false}
def test_unit_evaluate():
    """evaluate counts every sample once, in evaluation mode, and leaves everything as it was."""
    rng, model = np.random.default_rng(0), Watcher()
    logits, targets = rng.normal(size=(7, 3)) * 2, np.array([0, 1, 2, 2, 1, 0, 0])
    trainer, batched = Trainer(model, None, CrossEntropyLoss()), split(logits, targets, 3)
    means = [CrossEntropyLoss()(Tensor(a), b).item() for a, b in batched]
    want = CrossEntropyLoss()(Tensor(logits), targets).item()
    expect.close(lambda: trainer.evaluate(batched)[0], want, "the loss of seven samples, in batches of 3, 3 and 1", mistaken={
        "a mean of batch means: weigh each batch by its samples": np.mean(means),
        "divide by the number of samples": want * 7, "the last batch only": means[-1]})
    expect.close(lambda: trainer.evaluate(batched)[1], accuracy(logits, targets), "and their accuracy",
                 hint="weigh each batch's accuracy by its samples too")
    expect.same(lambda: [seen[:2] for seen in model.seen[:3]], [(False, False)] * 3, "in evaluation mode, all the way down",
                hint="self.model.eval() before the first batch")
    expect.same(lambda: [seen[2] for seen in model.seen[:3]], [False] * 3, "and nothing is recorded", hint="with no_grad(): around the loop")
    for modes in ((True, False), (False, True), (False, False)):
        model.training, model.inner.training = modes
        expect.same(lambda: (trainer.evaluate(batched), (model.training, model.inner.training))[1], modes, "each module is in its own mode again",
                    hint="note the mode of every module before eval(), and give each its own back; train() would change them all")
    model.train()
    expect.raises(KeyError, lambda: trainer.evaluate([(np.ones((5, 3)), np.zeros(5, int))]), "an error in a batch is not hidden",
                  hint="finally: runs in any case; except: would swallow the error")
    expect.same(lambda: model.training, True, "and the modes come back even then", hint="restore the modes in `finally:`")
    expect.raises(ValueError, lambda: trainer.evaluate([]), "no batch is an error", match="batch", hint="go through batches(loader), which says so")
    numbers = [(np.ones((2, 2)), np.zeros((2, 2))), (np.ones((1, 2)), np.ones((1, 2)))]
    expect.same(lambda: Trainer(model, None, MSELoss()).evaluate(numbers)[1], None, "numbers have no accuracy", hint="None stays None")

test_unit_evaluate()

# %% [markdown]
r"""
## 3 · One pass of training

Large batches give quieter gradients, but the memory of a batch grows with its size: every sample's intermediate values wait for `backward`.
*Gradient accumulation* goes around that. Since `backward` adds up, a large batch can be had in pieces:

```
 batch of 20 ─► backward ─┐
 batch of 20 ─► backward ─┼─► .grad of 48 samples ─► one step
 batch of  8 ─► backward ─┘
```

The loss of all 48 is $\frac{20}{48}\ell_1 + \frac{20}{48}\ell_2 + \frac{8}{48}\ell_3$. So each piece's loss is multiplied by its *share of the
samples* before `backward`. A third each would be wrong here: another mean of means.
"""

# %%
def gradient_of(*pieces):
    """Of the first layer, from (samples, share) after (samples, share)."""
    model, done = network(drop=0.0), 0
    for n, share in pieces:
        (loss_fn(model(x[done:done + n]), y[done:done + n]) * share).backward()
        done += n
    return model[0].weight.grad.numpy()

for name, shares in [("no weights", (1, 1, 1)), ("1/3 each", (1/3, 1/3, 1/3)), ("shares of the samples", (20/48, 20/48, 8/48))]:
    away = np.abs(gradient_of(*zip((20, 20, 8), shares)) - gradient_of((48, 1))).max()
    print(f"{name:22} largest difference from one batch of 48: {away:.1e}")

# %% [markdown]
"""
The last one is the rounding of float32.

**Your turn.** `pairs` gives the batches. Take them in groups: `list(itertools.islice(pairs, accumulation_steps))` is the next few, an empty list at
the end; the last group may be shorter. For each group clear the gradients, run `backward` on each weighted loss, clip if `grad_clip_norm` is not
None (`clip_grad_norm` is the next thing you write), and step once. Add up `loss · len(targets)` and the samples along the way.
"""

# %% nbgrader={"grade": false, "grade_id": "train-epoch", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def _train_epoch(self, loader, accumulation_steps=1):
    """One pass over a loader, in training mode: the mean loss of its samples, as they were met.

    `accumulation_steps` batches make one step, equal to that of one large batch.  Assumes that `loss_fn` is the mean of a batch, every sample
    counting the same (no `ignore_index`), and that a sample's loss does not depend on its neighbours (no batch normalisation).
    """
    check_whole("train_epoch", accumulation_steps=accumulation_steps)
    self.model.train()
    total, samples, pairs = 0.0, 0, self.watched(loader)
    ### BEGIN SOLUTION
    while group := list(itertools.islice(pairs, accumulation_steps)):
        size = sum(len(targets) for _, targets in group)
        self.optimizer.zero_grad()
        for inputs, targets in group:
            loss, n = self.loss_fn(self.model(inputs), targets), len(targets)
            (loss * (n / size)).backward()
            total += loss.item() * n
        samples += size
        if self.grad_clip_norm is not None:
            clip_grad_norm(self.model.parameters(), self.grad_clip_norm)
        self.optimizer.step()
    return total / samples
    ### END SOLUTION


Trainer.train_epoch = _train_epoch
Trainer.watched = lambda self, loader: batches(loader)           # part 5 lets you see how far it is
Trainer.meet = lambda self, **loaders: None                      # and part 7 saves where a loader is

# %% [markdown]
r"""
**Clipping.** One bad sample can undo an hour of training: its gradient is enormous, and one step along it throws the weights far away. The cure is to
limit how long all gradients *together* may be, and to keep their direction:

$$\lVert g \rVert = \sqrt{\textstyle\sum_p \lVert g_p \rVert^2} \qquad
g_p \leftarrow g_p \cdot \min\!\left(1, \frac{\mathrm{max\_norm}}{\lVert g \rVert + 10^{-6}}\right)$$

Clipping every number by itself, to $\pm c$, is simpler but turns the direction.

**Your turn.** `gradients` is given. Both functions write into the arrays that are there: `g *= …`, `out=g`. `np.linalg.norm(g.ravel(), norm_type)` is
the norm of one array; the norm of those norms, of the same type, is that of all. Without any gradient the norm is 0.0. If the norm is nan, so is the
factor, and all gradients become nan: PyTorch's way of not hiding it.
"""

# %% nbgrader={"grade": false, "grade_id": "clip", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def gradients(parameters):
    """The arrays of the gradients that there are, of one parameter or of several."""
    several = [parameters] if isinstance(parameters, Tensor) else parameters
    check_kind("gradients", Iterable, parameters=several)
    several = list(several)
    if not all(isinstance(p, Tensor) for p in several):
        refuse(TypeError, "gradients", {"parameters": parameters}, "Tensors")
    return [p.grad.data for p in several if p.grad is not None]


def clip_grad_norm(parameters, max_norm, norm_type=2.0):
    """Scale all gradients, in place, so that together they measure at most `max_norm`; returns what they measured before, a float.

    As `torch.nn.utils.clip_grad_norm_`.
    """
    check_number("clip_grad_norm", 0, math.inf, max_norm=max_norm)
    check_number("clip_grad_norm", -math.inf, math.inf, norm_type=norm_type)
    ### BEGIN SOLUTION
    grads = gradients(parameters)
    norm = float(np.linalg.norm([np.linalg.norm(g.ravel(), norm_type) for g in grads], norm_type)) if grads else 0.0
    factor = max_norm / (norm + 1e-6)
    for g in grads:
        g *= 1.0 if factor > 1 else factor                       # nan is not above 1
    return norm
    ### END SOLUTION


def clip_grad_value(parameters, clip_value):
    """Bring every number of the gradients, in place, between -clip_value and clip_value.  As `torch.nn.utils.clip_grad_value_`.

    >>> w = Tensor([1.0, 1.0], requires_grad=True); w.grad = Tensor([-5.0, 0.25])
    >>> clip_grad_value(w, 0.5); w.grad
    Tensor([-0.5 ,  0.25])
    """
    check_number("clip_grad_value", 0, math.inf, clip_value=clip_value)
    ### BEGIN SOLUTION
    for g in gradients(parameters):
        np.clip(g, -clip_value, clip_value, out=g)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-clip", "locked": true, "points": 12, "schema_version": 3, "solution": false, "task": false}
def test_unit_clip():
    """Clipping limits the length of all gradients together, or each of their numbers."""
    one, two, three = with_gradients(np.array([3.0, 0.0]), None, np.array([[0.0], [4.0]]))
    both = [one.grad.data, three.grad.data.ravel()]            # the arrays themselves
    expect.close(lambda: clip_grad_norm([one, two, three], 10.0), 5.0, "√(3² + 4²), with one that has no gradient", mistaken={
        "squares add up, norms do not": 7.0, "take the root": 25.0, "that is the largest": 4.0}, raises={
        AttributeError: "gradients(parameters) passes over those that have none"})
    expect.close(both, [[3.0, 0.0], [0.0, 4.0]], "they are shorter than 10: nothing changes", mistaken={
        "the factor is max_norm / norm, not the other way round": [[1.5, 0.0], [0.0, 2.0]]},
        hint="never make gradients longer: the factor is at most 1")
    expect.close(lambda: clip_grad_norm([one, two, three], 1.0), 5.0, "longer than 1", hint="return the norm as it was before")
    expect.close(both, [[0.6, 0.0], [0.0, 0.8]], "then both are scaled by 1/5, in place", mistaken={
        "all share one factor: their common norm": [[1.0, 0.0], [0.0, 1.0]],
        "g *= factor writes in place; g = g * factor makes another array": [[3.0, 0.0], [0.0, 4.0]]},
        hint="multiply each gradient by max_norm / norm")
    for norm_type, want in ((math.inf, 7.0), (1.0, 15.0)):
        expect.close(lambda: clip_grad_norm(with_gradients([3.0, -7.0], [5.0]), 1.0, norm_type), want, f"the norm of type {norm_type}",
                     hint="hand norm_type to both norms: that of each array, and that of the norms")
        expect.same(lambda: [clip_grad_norm(none, 1.0, norm_type) for none in ([], with_gradients(None))], [0.0] * 2, "no gradients at all: 0.0",
                    raises={ValueError: "there is nothing to measure then: return 0.0", ZeroDivisionError: "add 1e-6 to the norm"})
    zero, bad = with_gradients([0.0], [math.nan, 1.0])
    expect.close(lambda: (clip_grad_norm(zero, 1.0), zero.grad.numpy()[0]), (0.0, 0.0), "a gradient of 0 stays 0", hint="add 1e-6 to the norm")
    expect.close(lambda: (clip_grad_norm([bad], 1.0), *bad.grad.numpy()), (math.nan,) * 3, "nan is not hidden",
                 hint="min(1, nan) is 1 in Python: ask whether the factor is above 1")
    (v,) = with_gradients(np.array([-5.0, 0.25, 3.0]))
    array = v.grad.data
    expect.close(lambda: (clip_grad_value(v, 0.5), array)[1], [-0.5, 0.25, 0.5], "each number between -0.5 and 0.5, in place", mistaken={
        "the lower end is -clip_value": [-5.0, 0.25, 0.5], "the lower end is -clip_value, not 0": [0.0, 0.25, 0.5]},
        hint="np.clip, from -clip_value to clip_value, with out=g")

test_unit_clip()

# %% nbgrader={"grade": true, "grade_id": "test-train-epoch", "locked": true, "points": 16, "schema_version": 3, "solution": false, "task": false}
def test_unit_train_epoch():
    """Accumulated batches make the same step as one large batch, and the loss counts every sample once."""
    rng = np.random.default_rng(3)
    a, t = Tensor(rng.normal(size=(23, 3)), dtype=float64), Tensor(rng.integers(0, 2, size=23))
    pieces = lambda *sizes: [(a[i:j], t[i:j]) for i, j in itertools.pairwise(np.cumsum([0, *sizes]).tolist())]
    weights = lambda trainer: trainer.model.state_dict()["0.weight"]
    before = weights(one_layer())

    def after(*sizes, steps=1, clip=None):
        """(loss, weights) after an epoch with batches of these sizes."""
        trainer = one_layer(clip)
        return trainer.train_epoch(pieces(*sizes), steps), weights(trainer)

    def by_hand(*batches):
        trainer, losses = one_layer(), []
        for inputs, targets in batches:
            trainer.optimizer.zero_grad()
            loss = trainer.loss_fn(trainer.model(inputs), targets)
            loss.backward()
            trainer.optimizer.step()
            losses.append(loss.item() * len(targets))
        return sum(losses) / 23, weights(trainer)

    (loss, whole), three = by_hand((a, t)), by_hand(*pieces(8, 8, 7))
    last = by_hand(pieces(16, 7)[1])[1]                              # after a step along the last seven
    times = lambda k: lambda got: np.allclose(got - before, k * (whole - before))
    adding = "add up loss · len(targets), and divide by all samples"
    expect.close(lambda: after(23)[1], whole, "one batch, one step", mistaken={
        "divide by the samples of the group": times(23), "one step a group: step once, after its batches": times(2)}, hint="backward, then step")
    expect.close(lambda: after(8, 8, 7)[1], three[1], "three batches, three steps", tol=1e-9, hint="clear the gradients before each step")
    expect.close(lambda: after(8, 8, 7)[0], three[0], "and the mean loss of the samples", tol=1e-9, hint=adding)
    expect.close(lambda: after(8, 8, 7, steps=3)[1], whole, "batches of 8, 8 and 7 in one step are a batch of 23", tol=1e-9, mistaken={
        "clear the gradients before each group, not before each batch": before + 7 / 23 * (last - before),
        "one step a group: step once, after its batches": three[1]},
        hint="weigh each loss by its batch's share of the group's samples: len(targets) / size")
    expect.close(lambda: after(8, 8, 7, steps=3)[0], loss, "with the loss of 23 samples", tol=1e-9, hint=adding)
    expect.close(lambda: after(9, 9, 5, steps=2)[1], by_hand(*pieces(18, 5))[1], "what is left at the end is a group too", tol=1e-9,
                 hint="the last group may be shorter: it makes a step too, with the samples that it has")
    expect.true(lambda: np.linalg.norm(after(23, clip=1e-3)[1] - before) < 6e-4, "gradients are clipped before the step",
                hint="call clip_grad_norm between backward and step")
    expect.close(lambda: (after(8, 8, 7, steps=3, clip=1e-3)[1] - before) * 1e3, (after(23, clip=1e-3)[1] - before) * 1e3,
                 "those of the group, not of each batch", hint="clip once, when all batches of the group are in")
    expect.raises(ValueError, lambda: one_layer().train_epoch([]), "an empty loader is explained", match="batch",
                  hint="go through `pairs`, which says so")

test_unit_train_epoch()

# %% [markdown]
"""
Does it help? Ten layers whose weights are three times too large: going back, the gradient grows from layer to layer. The first norm, and 25 epochs:
"""

# %%
for clip in (None, 1.0):
    manual_seed(0)
    model = Sequential(*[layer for k in range(10) for layer in (Linear(32 if k else 2, 32), ReLU())], Linear(32, 3))
    for p in model.parameters():
        p.data *= 3.0
    loss_fn(model(x), y).backward()
    norm = clip_grad_norm(model.parameters(), 1.0)
    trainer = Trainer(model, SGD(model.parameters(), lr=0.1), loss_fn, grad_clip_norm=clip)
    with np.errstate(all="ignore"):                              # one of them will overflow
        for _ in range(25):
            trainer.train_epoch(split(x, y, 64))
        print(f"grad_clip_norm={clip}: first norm {norm:.0f}, then (loss, accuracy) {trainer.evaluate([(x, y)])}")

# %% [markdown]
r"""
Without clipping the first steps threw the weights so far that the loss is nan, and nan never leaves a weight again.

## 4 · A learning rate that falls

Large steps find the valley, small ones its floor. Half a cosine leads from one to the other without a jump:

$$\mathrm{lr}(t) = \mathrm{min} + (\mathrm{max} - \mathrm{min}) \cdot \frac{1 + \cos(\pi\, t / T)}{2}$$

It is `max` at $t = 0$, halfway at $T/2$, and `min` from $T$ on. (Loshchilov and Hutter, 2016.)

**Your turn.** One formula. After `total_epochs` the rate stays at `min_lr`; without care the cosine would rise again.
"""

# %% nbgrader={"grade": false, "grade_id": "cosine", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
class CosineSchedule:
    """A learning rate that falls from `max_lr` to `min_lr` along half a cosine.  A scheduler for `Trainer`.

    >>> [round(CosineSchedule(0.1, 0.0, 10).get_lr(epoch), 3) for epoch in (0, 5, 10, 20)]
    [0.1, 0.05, 0.0, 0.0]
    """
    def __init__(self, max_lr, min_lr, total_epochs):
        check_number("CosineSchedule", max_lr=max_lr, min_lr=min_lr)
        check_whole("CosineSchedule", total_epochs=total_epochs)
        self.max_lr, self.min_lr, self.total_epochs = max_lr, min_lr, total_epochs

    def get_lr(self, epoch):
        """The rate of an epoch, the first one being 0."""
        check_number("CosineSchedule", epoch=epoch)
        ### BEGIN SOLUTION
        done = min(epoch / self.total_epochs, 1.0)
        return self.min_lr + (self.max_lr - self.min_lr) * (1 + math.cos(math.pi * done)) / 2
        ### END SOLUTION

    def state_dict(self):
        return dict(vars(self))

    def load_state_dict(self, state):
        vars(self).update(state)

# %% nbgrader={"grade": true, "grade_id": "test-cosine", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
def test_unit_cosine():
    """The rate falls along half a cosine and stays at the bottom."""
    rate = CosineSchedule(0.9, 0.1, 8).get_lr
    expect.close(lambda: rate(0), 0.9, "it begins at max_lr", mistaken={"it falls: max_lr comes first": 0.1, "add min_lr": 0.8,
        "cos(0) is 1, so the bracket begins at 2: halve it": 1.7, "the height is the difference of max_lr and min_lr": 1.0})
    expect.close(lambda: rate(4), 0.5, "halfway it is in the middle", mistaken={
        "half a cosine: π, not 2π": 0.1, "the last epoch is total_epochs, not total_epochs - 1": lambda got: 0.4 < got < 0.45},
        hint="π · epoch / total_epochs, in radians")
    expect.close(lambda: rate(2), 0.1 + 0.8 * (1 + math.sqrt(0.5)) / 2, "a quarter of the way", hint="a cosine, not a straight line")
    expect.close(lambda: [rate(8), rate(9), rate(16)], [0.1] * 3, "at the end it is min_lr, and stays there",
                 hint="after total_epochs the rate is min_lr: epoch / total_epochs is at most 1")
    expect.same(lambda: type(rate(3)), float, "a Python number", hint="math.cos gives a Python number, np.cos does not")

test_unit_cosine()

# %% [markdown]
"""
## 5 · Many epochs, and when to stop

A run of many epochs should show that it is alive. Given: a line on stderr that rewrites itself. Where it cannot, in a file or a pipe, it writes one
line an epoch if you ask for it.
"""

# %%
#| export
class Progress:
    """A line on stderr that rewrites itself in a terminal or a notebook; elsewhere one line an epoch, if `wanted` (None: no).  No colours."""
    def __init__(self, wanted=None):
        shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
        self.notebook = getattr(shell, "kernel", None) is not None and type(sys.stderr).__module__.startswith("ipykernel")
        terminal = sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self.live = wanted is not False and (self.notebook or terminal)
        self.on = self.live or bool(wanted)
        self.title, self.numbers, self.handle = "", "", None

    def show(self, bar=""):
        """The title, a bar, and the numbers of the last epoch, in the place of what was there."""
        text = f"{self.title}  {bar}{self.numbers}"
        if self.notebook:
            data = {"text/plain": text}
            self.handle = self.handle or sys.modules["IPython"].display.display(data, raw=True, display_id=True)
            self.handle.update(data, raw=True)
        elif self.live:
            width = shutil.get_terminal_size().columns - 1
            print("\r" + text[:width].ljust(width), end="", file=sys.stderr, flush=True)
        else:
            print(text, file=sys.stderr, flush=True)


def _watched(self, loader):
    """The batches of a loader; ten times a second the line on the screen counts them."""
    self.meet(loader=loader)
    line, count, shown = self.line, operator.length_hint(loader), time.monotonic()
    for k, pair in enumerate(batches(loader), 1):
        yield pair
        if line and line.live and time.monotonic() > shown + 0.1:
            line.show(f"[{'#' * min(20 * k // (count or k), 20):.<20}] {k}/{count or '?'}  ")
            shown = time.monotonic()


Trainer.watched = _watched

# %% [markdown]
"""
More epochs are not always better. A large network learns a few noisy points by heart, and grows surer of its mistakes on all others: *overfitting*
(you will see the picture below). Nobody knows the best epoch beforehand. So keep the best weights, stop after `patience` epochs without a better
validation loss, and take the best ones back.

**Your turn.** `end_epoch` gets `row`, this epoch's numbers: always `train_loss` and `lr`, and `val_loss` and `val_accuracy` where they were measured.

1. Append each number to its list in `self.history`, and count the epoch.
2. Step the scheduler. A `ReduceLROnPlateau` gets the validation loss, or the training loss where there is none. A `CosineSchedule` needs no step.
3. Where `patience` is not None: if the validation loss is smaller than that of `self.best` (or nothing is there yet; nan is never smaller than
   infinity), then `self.best = {"loss": …, "epoch": …, "model": self.model.state_dict()}` and `self.stale` is 0; else `self.stale` grows by one.
   `self.done` says whether it has reached `patience`.
"""

# %% nbgrader={"grade": false, "grade_id": "end-epoch", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def _end_epoch(self, row, patience=None):
    """Note the numbers of an epoch, step the scheduler, keep the best weights, and decide whether it is time to stop."""
    ### BEGIN SOLUTION
    for name, number in row.items():
        self.history[name].append(number)
    self.epoch += 1
    if isinstance(self.scheduler, ReduceLROnPlateau):
        self.scheduler.step(row.get("val_loss", row["train_loss"]))
    elif self.scheduler is not None and not isinstance(self.scheduler, CosineSchedule):
        self.scheduler.step()
    if patience is not None:
        self.stale += 1
        if row["val_loss"] < (self.best["loss"] if self.best else math.inf):
            self.best, self.stale = {"loss": row["val_loss"], "epoch": self.epoch, "model": self.model.state_dict()}, 0
        self.done = self.stale >= patience
    ### END SOLUTION


Trainer.end_epoch = _end_epoch

# %% nbgrader={"grade": true, "grade_id": "test-end-epoch", "locked": true, "points": 14, "schema_version": 3, "solution": false, "task": false}
def test_unit_end_epoch():
    """The end of an epoch: the books, the scheduler, the best weights, and patience."""
    def run(losses, patience=2, schedule=lambda optimizer: None):
        trainer = one_layer()
        trainer.scheduler = schedule(trainer.optimizer)
        for k, loss in enumerate(losses):
            trainer.model[0].bias.data[...] = k
            measured = {} if loss is None else {"val_loss": loss, "val_accuracy": 0.5}
            trainer.end_epoch({"train_loss": 0.9 - k / 10, "lr": 0.5, **measured}, patience)
        return trainer

    trainer = run([3.0, 1.0])
    expect.same(trainer.history, {"train_loss": [0.9, 0.8], "val_loss": [3.0, 1.0], "val_accuracy": [0.5, 0.5], "lr": [0.5, 0.5]},
                "every number is in its list", hint="append each number of row to self.history[name]")
    expect.same(trainer.epoch, 2, "two epochs are done", hint="self.epoch += 1")
    expect.same(lambda: (trainer.best["loss"], trainer.best["epoch"]), (1.0, 2), "the second was the best",
                hint="keep it where the loss is smaller than the best so far",
                raises={TypeError: "an epoch that is better than all before is kept in self.best"})
    trainer.model[0].bias.data[...] = 77.0
    expect.close(lambda: trainer.best["model"]["0.bias"], [1.0, 1.0], "its weights stay as they were",
                 hint="state_dict() copies; the parameters themselves go on changing")

    def watch(*losses):
        trainer = run(losses)
        return trainer.best["loss"], trainer.stale, bool(trainer.done)
    expect.same(lambda: watch(3.0, 1.0, 2.0), (1.0, 1, False), "a worse epoch is only counted", mistaken={
        "compare the validation loss, not the training loss": (2.0, 0, False)}, hint="stale counts the epochs since the best one; the best stays")
    expect.same(lambda: watch(3.0, 1.0, 2.0, 1.5), (1.0, 2, True), "two in a row, with a patience of two: stop",
                hint="compare with the best loss, not with the last one; stop at stale >= patience")
    expect.same(lambda: watch(1.0, 1.0, 1.0), (1.0, 2, True), "as good as before is not better", hint="smaller, not smaller or equal")
    expect.same(lambda: watch(3.0, 4.0, 1.0, 2.0), (1.0, 1, False), "a better one starts the count anew",
                hint="stale is 0 again after a better epoch")
    never = "nan < x is False for every x: begin with infinity"
    expect.same(lambda: watch(math.nan, 2.0, 3.0), (2.0, 1, False), "nan is never better", hint=never, raises={TypeError: never})
    expect.same(lambda: run([1.0, 2.0, 3.0, 4.0], patience=None).done, False, "without patience nothing stops", hint="look at patience first")

    rate = lambda *args: run(*args).optimizer.param_groups[0]["lr"]
    plateau = lambda optimizer: ReduceLROnPlateau(optimizer, patience=0, factor=0.1)
    expect.close(lambda: rate([3.0, 1.0], 2, lambda optimizer: StepLR(optimizer, 1, 0.4)), 0.08, "a scheduler is stepped once an epoch",
                 hint="self.scheduler.step(), if there is one")
    given = 'row.get("val_loss", row["train_loss"]) is the number to watch'
    expect.close(lambda: rate([3.0, 4.0, 2.5], 5, plateau), 0.05, "ReduceLROnPlateau sees the validation loss",
                 hint="give it the validation loss", raises={TypeError: "a ReduceLROnPlateau wants to know the loss"})
    expect.close(lambda: run([None, None], None, plateau).scheduler.best, 0.8, "or the training loss where there is none",
                 hint=given, raises={KeyError: given})
    cosine = "ask isinstance(self.scheduler, CosineSchedule): the rate is set elsewhere"
    expect.same(lambda: run([1.0], schedule=lambda optimizer: CosineSchedule(1.0, 0.0, 5)).epoch, 1, "a CosineSchedule has no step",
                hint=cosine, raises={AttributeError: cosine})

test_unit_end_epoch()

# %% [markdown]
"""
`fit` puts it together. Given: read it as a summary of what you have written. A callback is a function of the trainer that is called after each epoch.
`plot_history` draws how it went, and below are the spirals of part 1 without the mistakes.
"""

# %%
#| export
def _fit(self, train_loader, epochs, val_loader=None, patience=None, accumulation_steps=1, callbacks=(), checkpoint=None, resume=False,
         progress=None):
    """Train for `epochs` more epochs; returns the history.

    patience: so many epochs without a better validation loss end the run; then the best weights are put back.
    callbacks: each is called with the trainer after an epoch; one that returns True ends the run.
    checkpoint: a path, written after each epoch.  resume: go on from there, if it exists, to the end of the run that was interrupted.
    progress: True, False, or None for where a line can rewrite itself.  The model is in training mode afterwards.
    """
    check_whole("fit", 0, epochs=epochs)
    check_whole("fit", none=True, patience=patience)
    check_kind("fit", Iterable, callbacks=callbacks)
    for callback in callbacks:
        check_kind("fit", Callable, callbacks=callback)
    if patience is not None and val_loader is None:
        raise ValueError("fit: patience watches the validation loss; give a val_loader")
    if resume and checkpoint is None:
        raise ValueError("fit: resume=True must know from where; give checkpoint=path")
    if resume and os.path.exists(checkpoint):
        self.load_checkpoint(checkpoint)
    else:
        self.began, self.best, self.stale, self.done = self.epoch, None, 0, False
    self.meet(val_loader=val_loader)
    end, self.line = self.began + epochs, Progress(progress)
    try:
        for epoch in range(self.epoch, end):
            if self.done:
                break
            self.line.title = f"epoch {epoch + 1}/{end}"
            if isinstance(self.scheduler, CosineSchedule):
                for group in self.optimizer.param_groups:
                    group["lr"] = self.scheduler.get_lr(epoch)
            row = {"lr": self.optimizer.param_groups[0]["lr"], "train_loss": self.train_epoch(train_loader, accumulation_steps)}
            if val_loader is not None:
                row["val_loss"], row["val_accuracy"] = self.evaluate(val_loader)
            self.end_epoch(row, patience)
            self.line.numbers = "  ".join(f"{name} {number:.4g}" for name, number in row.items() if number is not None)
            if self.line.on:
                self.line.show()
            self.done = any([self.done, *(callback(self) is True for callback in callbacks)])
            if checkpoint is not None:
                self.save_checkpoint(checkpoint)
    finally:
        if self.line.live and not self.line.notebook:
            print(file=sys.stderr)
        self.line = None
    if patience is not None and self.best:
        self.model.load_state_dict(self.best["model"])
    return self.history


Trainer.fit = _fit

# %%
#| export
def plot_history(history):
    """Loss and accuracy of every epoch, side by side, as an SVG picture."""
    check_kind("plot_history", Mapping, history=history)
    parts = ['<svg xmlns="http://www.w3.org/2000/svg" width="600" height="240" font-family="sans-serif" font-size="11" '
             'style="background:#fff">']
    for left, title, names in (0, "loss", ("train_loss", "val_loss")), (300, "accuracy", ("val_accuracy",)):
        curves = {name: [(k, v) for k, v in enumerate(history.get(name, []), 1) if v is not None and abs(v) < 1e300] for name in names}
        epochs, values = zip(*([point for curve in curves.values() for point in curve] or [(1, 0.0)]))
        last, low, high = max(epochs), min(values), max(values)
        high += (high == low) * (abs(low) or 1.0)
        x = lambda epoch: round(left + 50 + 230 * (epoch - 1) / max(last - 1, 1), 1)
        y = lambda number: round(195 - 165 * (number - low) / (high - low), 1)
        parts.append(f'<text x="{left + 50}" y="18">{title}</text><text x="{left + 165}" y="230" text-anchor="middle">epoch</text>')
        parts += [f'<path d="M{left + 50} {y(at)}h230" stroke="#ddd"/><text x="{left + 44}" y="{y(at)}" dy="4" text-anchor="end">{at:.3g}</text>'
                  for at in np.linspace(low, high, 5).tolist()]
        parts += [f'<text x="{x(at)}" y="211" text-anchor="middle">{at}</text>' for at in sorted({round(k) for k in np.linspace(1, last, 6)})]
        for name, curve in curves.items():
            colour, at = ("#c44e52", 150) if name == "train_loss" else ("#4c72b0", 220)
            points = " ".join(f"{x(epoch)},{y(number)}" for epoch, number in curve)
            parts += [f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>',
                      f'<text x="{left + at}" y="18" fill="{colour}">{"training" if name == "train_loss" else "validation"}</text>'] * bool(curve)
    return SVG("".join(parts) + "</svg>")

# %%
held_out, model = [spirals(150, seed=1)], network(drop=0.0)
trainer = Trainer(model, SGD(model.parameters(), lr=0.5, momentum=0.9), loss_fn, CosineSchedule(0.5, 0.01, 60), grad_clip_norm=1.0)
trainer.fit(split(x, y, 64), 60, held_out)
print("loss and accuracy:", trainer.evaluate(held_out))

# %% [markdown]
"""
And a network that is too large for 60 noisy points. The training loss goes on falling while the other one rises:
"""

# %% tags=["analysis"]
few, many = spirals(60, noise=0.3), spirals(300, noise=0.3, seed=1)
for patience in (10, None):
    manual_seed(0)
    model = Sequential(Linear(2, 128), ReLU(), Linear(128, 128), ReLU(), Linear(128, 3))
    trainer = Trainer(model, Adam(model.parameters(), lr=0.01), loss_fn)
    history = trainer.fit(split(*few, 30), 80, [many], patience=patience)
    loss, share = trainer.evaluate([many])
    print(f"patience={patience}: {trainer.epoch} epochs, then on 300 others loss {loss:.3f}, accuracy {share:.1%}")
plot_history(history)

# %% [markdown]
"""
## 6 · A file that is whole or not there

A run of hours ends early: a laptop's lid, a full disk, the power. So `fit` saves all that the rest of the run depends on. The naive way is worse
than nothing:
"""

# %%
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "run.npz"
    path.write_bytes(b"yesterday's good checkpoint")
    with suppress(OSError), open(path, "wb") as file:
        file.write(b"today's che")
        raise OSError("no space left on device")
    print("what is left:", path.read_bytes())

# %% [markdown]
"""
Opening a file for writing empties it, and what goes wrong from then on costs both checkpoints. Instead:

```
 1  write a new file beside the old one          run.npz   run.npz.new
 2  flush and fsync: it is really on the disk
 3  os.replace: one step of the file system      run.npz
```

Whenever the power fails, `run.npz` is either the old one or the new one, whole.

**Your turn.** `write(file)` writes into an open binary file. The new file is `path.with_name(path.name + ".new")`: the same folder, since only there
is `os.replace` one step. Where anything goes wrong (`except BaseException:`, which is Ctrl-C too), remove the new file,
`new.unlink(missing_ok=True)`, and `raise`.
"""

# %% nbgrader={"grade": false, "grade_id": "replace-file", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def replace_file(path, write):
    """Let `write(file)` write a file, and put it in the place of `path` when it is complete and on the disk.

    Where anything goes wrong, `path` is as it was, and nothing is left beside it.
    """
    path = Path(path)
    new = path.with_name(path.name + ".new")
    ### BEGIN SOLUTION
    try:
        with open(new, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-replace-file", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_replace_file():
    """A file is replaced when the new one is complete, and not before."""
    with tempfile.TemporaryDirectory() as folder:
        path, seen = Path(folder) / "run.npz", []
        inside = lambda: {p.name: p.read_bytes() for p in Path(folder).iterdir()}

        def replaced(text, error=None):
            """What is in the folder afterwards, and the error that came out."""
            def write(file):
                file.write(text)
                file.flush()
                seen.append(inside())
                if error:
                    raise error
            try:
                replace_file(str(path), write)
            except BaseException as err:
                if err is not error:
                    raise
                return inside(), err
            return inside()
        new = "write into `new`, and touch `path` only when that is done"
        expect.same(lambda: replaced(b"old"), {"run.npz": b"old"}, "the file is there, and nothing else",
                    hint="os.replace(new, path) moves it into its place", raises={OSError: new})
        expect.same(lambda: replaced(b"more"), {"run.npz": b"more"}, "and takes the place of an older one")
        expect.same(lambda: seen[-1], {"run.npz": b"old", "run.npz.new": b"more"}, "until it is complete the old one stays", hint=new)
        for error in (OSError("no space left on device"), KeyboardInterrupt()):
            expect.same(lambda: replaced(b"half", error), ({"run.npz": b"more"}, error),
                        f"{type(error).__name__}: the old file is as it was, and the error goes on",
                        mistaken={"`raise` alone, after clearing up, hands the error on": lambda got: isinstance(got, dict)},
                        hint="except BaseException: remove the new file, for Ctrl-C as well")
        synced, real = [], os.fsync
        os.fsync = lambda number: synced.append(inside()) or real(number)
        try:
            replace_file(path, lambda file: file.write(b"x"))
            expect.same(synced, [{"run.npz": b"more", "run.npz.new": b"x"}], "it is on the disk before it counts",
                        hint="file.flush(), then os.fsync(file.fileno()), then os.replace")
        finally:
            os.fsync = real

test_unit_replace_file()

# %%
#| export
# Given: what is written to a file, or read from one, is named by people, too.
def check_path(name, path, /):
    """TypeError unless this is the path of a file, as text or as pathlib makes it, or an open file."""
    if not isinstance(path, (str, os.PathLike)) and not hasattr(path, "read"):
        refuse(TypeError, name, {"path": path}, "the path of a file")

def check_names(name, /, **settings):
    """TypeError unless all settings are lists (or the like) of texts: one text alone would be read letter by letter."""
    for setting, value in settings.items():
        check_kind(name, Iterable, **{setting: value})
        if isinstance(value, str) or not all(isinstance(text, str) for text in value):
            refuse(TypeError, name, {setting: value}, "a list of texts")

def check_float(name, /, **settings):
    """ValueError unless all settings are a dtype of floats, or its name."""
    for setting, value in settings.items():
        known = isinstance(value, (str, type, np.dtype))
        if not known or getattr(value, "__name__", str(value)) not in ("float16", "float32", "float64"):
            refuse(ValueError, name, {setting: value}, "float16, float32 or float64")

# %% [markdown]
"""
What goes into the file? Python's own way is `pickle`. But a pickle is a program, and loading one runs it:
"""

# %%
import pickle

class Gift:
    def __reduce__(self):
        return print, ("this text was printed by loading a file",)

_ = pickle.loads(pickle.dumps(Gift()))

# %% [markdown]
"""
It might as well have deleted your files. Checkpoints are passed around, so ours hold only numbers: arrays in NumPy's own format, and all else as text
(JSON). An array in the text is a number that says which entry it is. Given, and the reader is the suspicious half: it believes nothing that the file
says about itself.
"""

# %%
#| export
def write_tree(path, tree):
    """Write dicts and lists of numbers, text and arrays to one file: arrays as `np.savez` does, the rest as JSON among them.

    OSError where it cannot be written; what was there is then as it was.
    """
    arrays = []

    def put(value):
        if isinstance(value, np.generic):
            return value.item()
        if not isinstance(value, np.ndarray):
            raise TypeError(f"{path}: numbers, text and arrays can be saved, not {type(value).__name__}")
        arrays.append(value)
        return {"array": len(arrays) - 1}
    settings = np.frombuffer(json.dumps(tree, default=put).encode(), np.uint8)

    def write(file):
        with zipfile.ZipFile(file, "w") as archive:
            for name, array in [("settings", settings), *enumerate(arrays)]:
                with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as entry:
                    np.lib.format.write_array(entry, array, version=(1, 0), allow_pickle=False)
    try:
        replace_file(path, write)
    except OSError as error:
        raise OSError(error.errno, f"{path} was not written, and is as it was: {error.strerror or error}") from error


def read_tree(path):
    """What `write_tree` wrote; an error for anything else, before more memory is taken than the file is long."""
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if {info.filename for info in entries} != {"settings.npy", *(f"{k}.npy" for k in range(len(entries) - 1))}:
            raise ValueError("its entries are not those that write_tree makes")
        if any(info.compress_type for info in entries) or sum(info.file_size for info in entries) > os.path.getsize(path):
            raise ValueError("it is compressed, or claims to be larger than it is")
        arrays = {}
        for info in entries:
            with archive.open(info) as file:
                np.lib.format.read_magic(file)
                shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
                arrays[info.filename[:-4]] = np.frombuffer(file.read(), dtype).reshape(shape, order="CF"[fortran])     # raises if it lies
    settings = arrays.pop("settings").tobytes()
    return json.loads(settings, object_hook=lambda part: arrays[str(part["array"])] if part.keys() == {"array"} else part)

# %% [markdown]
"""
## 7 · Stop and go on

On what does the rest of a run depend? On more than the weights:

| what | without it |
|---|---|
| weights and buffers | everything is lost |
| the optimizer's state | momentum starts from nothing |
| scheduler, epoch, history, best weights, patience | another learning rate, another end |
| the state of every random generator | another order, another dropout |

Given: `state_dict` collects all of it. A Dropout may have a `generator`, and so may a loader that shuffles. A loader is met only when it is
used; its generator's state waits until then. (Generators that sit elsewhere, say in a dataset of your own, are not known here and not saved.)
"""

# %%
#| export
def _generators(self):
    """{name: generator}: the common one, and those of the model's modules."""
    found = {name: getattr(module, "generator", None) for name, module in self.model.named_modules()}
    return {"default": default_generator} | {f"model/{name}": g for name, g in found.items() if isinstance(g, np.random.Generator)}


def _meet(self, **loaders):
    """Note the generators of loaders and their samplers, and give them the states that wait for them."""
    for name, loader in loaders.items():
        for place, owner in (name, loader), (f"{name}/sampler", getattr(loader, "sampler", None)):
            if isinstance(generator := getattr(owner, "generator", None), np.random.Generator):
                self.loaders[place] = generator
                generator.bit_generator.state = self.waiting.pop(place, generator.bit_generator.state)


def _state_dict(self):
    """All that the rest of the run depends on: dicts and lists of arrays, numbers and text."""
    states = lambda generators: {name: generator.bit_generator.state for name, generator in generators.items()}
    return {"version": "1", "kinds": {name: type(getattr(self, name)).__name__ for name in ("optimizer", "scheduler")},
            "model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict() if self.scheduler else {},
            "run": {name: getattr(self, name) for name in ("epoch", "began", "stale", "done", "best")}
            | {"history": {name: list(numbers) for name, numbers in self.history.items()}},
            "generators": states(self.generators()), "loaders": self.waiting | states(self.loaders)}


def _load_state_dict(self, tree):
    """Go on from `tree`, as from `state_dict()`."""
    self.model.load_state_dict(tree["model"])
    self.optimizer.load_state_dict(tree["optimizer"])
    if self.scheduler:
        self.scheduler.load_state_dict(tree["scheduler"])
    for name, generator in self.generators().items():
        generator.bit_generator.state = tree["generators"][name]
    vars(self).update(tree["run"], loaders={}, waiting=dict(tree["loaders"]))


Trainer.generators, Trainer.meet, Trainer.state_dict, Trainer.load_state_dict = _generators, _meet, _state_dict, _load_state_dict

# %% [markdown]
"""
A file may be of another network, or broken, or made by somebody unfriendly. Given: `misfits` lays both trees side by side and collects *everything*
that differs, so that one message says it all. And loading is all or nothing too: where it raises in the middle, the state from before is put back.
"""

# %%
#| export
def misfits(ours, theirs, at=""):
    """What does not fit where `theirs`, from a file, is to take the place of `ours`: a list of sentences."""
    if isinstance(ours, (list, tuple)) and isinstance(theirs, list):
        ours, theirs = dict(enumerate(ours)), dict(enumerate(theirs))
    if isinstance(ours, dict) and isinstance(theirs, dict):
        wrong = [f"{at}{name} is missing" for name in ours if name not in theirs]
        wrong += [f"{at}{name} is unexpected" for name in theirs if name not in ours]
        return sum((misfits(ours[name], theirs[name], f"{at}{name}/") for name in ours if name in theirs), wrong)
    if isinstance(ours, np.ndarray):
        fits = isinstance(theirs, np.ndarray) and (theirs.shape, theirs.dtype) == (ours.shape, ours.dtype)
    elif isinstance(ours, str):
        fits = isinstance(theirs, str) and theirs == ours
    else:                                                        # nan only where nan may be
        fits = theirs is None or isinstance(theirs, (int, float)) and (theirs == theirs or ours != ours)
    told = [f"{x.dtype} {x.shape}" if isinstance(x, np.ndarray) else f"{x!r:.40}" for x in (theirs, ours)]
    return [] if fits else [f"{at[:-1]} is {told[0]}, not {told[1]}"]


def _checked(self, tree):
    """`tree`, from a file.  An error that names all that does not fit this trainer."""
    ours, run, optimizer = self.state_dict(), tree["run"], tree["optimizer"]
    optimizer["state"] = {int(i): state for i, state in optimizer["state"].items()}                 # JSON's names are text
    ours["optimizer"]["state"], ours["loaders"] = optimizer["state"], tree["loaders"]               # seen to by the optimizer, and below
    ours["run"] |= {"best": run["best"] and {"loss": 0.0, "epoch": 0, "model": ours["model"]},
                    "history": {name: [math.nan] * len(run["history"][name]) for name in self.history}}
    wrong = misfits(ours, tree)
    for part in (run, *optimizer["state"].values()):
        counts = {name: part[name] for name in ("epoch", "began", "stale", "step") if name in part}
        wrong += [f"{name} is {count!r}, not a count" for name, count in counts.items() if type(count) is not int or count < 0]
    for group in optimizer["param_groups"]:
        wrong += [f"{name} is {value}" for name, value in group.items() if type(value) in (int, float) and abs(value) > 1e300]
    if wrong:
        raise ValueError("; ".join(wrong))
    for group in optimizer["param_groups"]:
        settings_checked(type(self.optimizer).__name__, group)
        group.update({name: tuple(value) for name, value in group.items() if isinstance(value, list) and name != "params"})     # betas
    kinds = {kind.__name__: kind for kind in np.random.BitGenerator.__subclasses__()}
    for state in tree["loaders"].values():
        kinds[state["bit_generator"]]().state = state            # a trial, on a new one
    return tree


def _load_checkpoint(self, path):
    """Go on from a file of `save_checkpoint`, of a run with a model, optimizer and scheduler like these.

    ValueError where it does not fit or is no checkpoint; the trainer is then as before.
    """
    check_path("load_checkpoint", path)
    if not os.path.exists(path):
        raise FileNotFoundError(f"load_checkpoint: there is no file {path}")
    try:
        tree, before = self.checked(read_tree(path)), self.state_dict()
        try:
            self.load_state_dict(tree)
        except Exception:
            self.load_state_dict(before)                         # half loaded is the worst of all
            raise
    except Exception as error:                                   # a broken file raises many kinds
        why = textwrap.shorten(f"{type(error).__name__}, {error}", 1000)
        raise ValueError(f"load_checkpoint: {path} cannot be loaded here: {why}") from error


Trainer.checked, Trainer.load_checkpoint = _checked, _load_checkpoint
Trainer.save_checkpoint = lambda self, path: write_tree(path, self.state_dict())

# %% [markdown]
"""
The proof. One run of 8 epochs, undisturbed. Another that crashes after its fifth epoch, before that is saved. A third that goes on from its file:
"""

# %%
def cut(trainer):
    if trainer.epoch == 5:
        raise OSError("the power failed")

def new_run(path, **settings):
    model = network()                                            # with dropout
    optimizer = Adam(model.parameters(), lr=0.01)
    trainer = Trainer(model, optimizer, loss_fn, StepLR(optimizer, 3, 0.5), grad_clip_norm=1.0)
    return trainer.fit(split(x, y, 64), 8, held_out, patience=5, checkpoint=path, **settings)

with tempfile.TemporaryDirectory() as folder:
    one, two = Path(folder) / "straight.npz", Path(folder) / "cut.npz"
    straight = new_run(one)
    with suppress(OSError):
        new_run(two, callbacks=[cut])
    print(read_tree(two)["run"]["epoch"], "epochs are in the file")
    print("histories equal:           ", new_run(two, resume=True) == straight)
    print("files equal, byte for byte:", one.read_bytes() == two.read_bytes())

# %% [markdown]
"""
## 8 · What does it cost?

An epoch, and a checkpoint:
"""

# %% tags=["analysis"]
import timeit

model = network(width=256)
trainer, file = Trainer(model, SGD(model.parameters(), lr=0.1), loss_fn), Path(tempfile.gettempdir()) / "cost.npz"
for name, work in ("train_epoch", lambda: trainer.train_epoch(split(x, y, 64))), ("save_checkpoint", lambda: trainer.save_checkpoint(file)):
    print(f"{name:16} {np.median(timeit.repeat(work, number=1, repeat=30)) * 1e3:6.2f} ms")
file.unlink()

# %% [markdown]
"""
A checkpoint waits for the disk. After an epoch of minutes that is nothing; after one of milliseconds, save every tenth, from a callback.
"""

# %% nbgrader={"grade": true, "grade_id": "test-module", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_module():
    """Everything together: a run that learns, stops, is interrupted, resumed and drawn."""
    data, others = split(*spirals(60), 25), [spirals(45, seed=2)]

    def trainer(seed=0, schedule=None, width=16):
        model = network(seed, width)
        optimizer = Adam(model.parameters(), lr=0.02)
        return Trainer(model, optimizer, CrossEntropyLoss(), schedule or StepLR(optimizer, 3, 0.5), grad_clip_norm=2.0)

    first, again = trainer(schedule=CosineSchedule(0.1, 0.0, 4)), trainer(schedule=CosineSchedule(9.0, 9.0, 9))
    with redirect_stderr(StringIO()) as said:
        first.fit(data, 2, progress=True)
    expect.true(lambda: "epoch 2/2" in said.getvalue(), "it says how far it is")
    again.load_state_dict(first.state_dict())
    expect.close(lambda: again.fit(data, 3)["lr"], [CosineSchedule(0.1, 0.0, 4).get_lr(epoch) for epoch in range(5)],
                 "the cosine sets the rate, and another goes on with it")
    with tempfile.TemporaryDirectory() as folder:
        one, two, whole = Path(folder) / "one.npz", Path(folder) / "two.npz", trainer()
        history = whole.fit(data, 6, others, patience=6, checkpoint=one)
        expect.true(lambda: history["train_loss"][-1] < history["train_loss"][0], "it learns")
        expect.close(lambda: history["lr"], [0.02] * 3 + [0.01] * 3, "the rate of each epoch is noted")
        trainer().fit(data, 6, others, patience=6, checkpoint=two, callbacks=[lambda t: t.epoch == 2])
        expect.same(lambda: trainer(1).fit(data, 6, others, patience=6, checkpoint=two, resume=True)["lr"], [0.02] * 2,
                    "a callback ends a run, and it stays ended")
        trainer().fit(data, 2, others, patience=6, checkpoint=two)
        expect.same(lambda: trainer(5).fit(data, 6, others, patience=6, checkpoint=two, resume=True) == history, True,
                    "interrupted and resumed, it has the same history")
        expect.same(lambda: {name: (Path(folder) / name).read_bytes() == one.read_bytes() for name in sorted(os.listdir(folder))},
                    {"one.npz": True, "two.npz": True}, "and the same file, byte for byte")
        other = trainer(width=17)
        expect.raises(ValueError, lambda: other.load_checkpoint(one), "the file of another network is refused",
                      match="load_checkpoint one.npz model/0.weight (2, 16) (2, 17)")
        one.write_bytes(one.read_bytes()[:3000])
        expect.raises(ValueError, lambda: whole.load_checkpoint(one), "so is half a file", match="load_checkpoint one.npz")
        expect.same(lambda: (other.epoch, whole.history == history), (0, True), "and nothing of them is loaded")
    best = trainer()
    best.fit(data, 20, others, patience=3)
    expect.close(lambda: best.evaluate(others)[0], min(best.history["val_loss"]), "after early stopping the best weights are back")
    expect.same(lambda: plot_history(history).count("<polyline"), 3, "three curves")
    for word, bad in [("patience", {"patience": 2}), ("resume", {"resume": True}), ("train_epoch", {"accumulation_steps": 0})]:
        expect.raises(ValueError, lambda: trainer().fit(data, 1, **bad), f"{bad} alone is refused", match=word)
    expect.raises(TypeError, lambda: check_names("load", skip="head"), "one text is no list of texts", match="load skip 'head'")
    expect.raises(ValueError, lambda: check_float("load", dtype="int8"), "whole numbers are no floats", match="load dtype 'int8'")

test_module()

# %% [markdown]
"""
## 9 · In your own words

**Question 1.** Your loader has 10 batches of 32 samples and a last one of 4; `accumulation_steps=4`. How many steps does an epoch make, of how many
samples each? Somebody divides each loss by 4 instead. What is wrong with the last step?
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-accumulation", "locked": false, "points": 4, "schema_version": 3, "solution": true, "task": false}
"""
Three steps: 128, 128, and 32 + 32 + 4 = 68 samples. Divided by 4, the last group's three losses have the weights 1/4 each: the gradient is too short
(3/4), and the 4 samples of the last batch count 8 times as much as the others in it.
"""

# %% [markdown]
"""
**Question 2.** Early stopping chose the epoch with the lowest loss on the validation set. A friend reports the accuracy of those weights on the same
set as "how good the network is". Why is that too kind, and what would you do?
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-validation", "locked": false, "points": 4, "schema_version": 3, "solution": true, "task": false}
"""
Of many epochs the one was taken that happened to do best on just these samples, so part of its success is luck that others will not repeat. Keep a
third set that decides nothing, and measure on it once, at the end.
"""

# %% [markdown]
"""
## Where you are

One object trains any network, counts every sample once, stops in time, and survives a crash without a trace. Next: `tito module complete 07`. The
loaders here were lists of batches that lay in memory; the next module makes loaders that shuffle, and read data that does not fit.
"""
