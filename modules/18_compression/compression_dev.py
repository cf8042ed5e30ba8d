# %% [markdown]
"""
# 18 Compression

> Most of a trained network can go. What is left must be stored, and run, so that it pays.

You take 19 weights of 20 away and keep the accuracy, write a file that is twenty times smaller, make a network that is really faster, and let a large
one teach a small one. And you measure where each of these does not pay.
"""

# %% nbgrader={"grade": false, "grade_id": "start", "locked": true, "schema_version": 3, "solution": false, "task": false}
import tito.notebook     # where this fails, open the notebook with: tito module open 18
from tito.check import expect

tito.notebook.use(18)

# %%
#| default_exp optimization.compression
#| view optimization

# %% nbgrader={"grade": false, "grade_id": "imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
import copy
import io
import math
import os
import zipfile
from collections.abc import Callable, Mapping
from contextlib import contextmanager

import numpy as np

from tinytorch.core.activations import log_softmax
from tinytorch.core.autograd import no_grad
from tinytorch.core.layers import (
    Linear, Module, Parameter, Sequential, check_array, check_choice, check_kind, check_number, check_whole)
from tinytorch.core.losses import cross_entropy
from tinytorch.core.optimizers import SGD
from tinytorch.core.spatial import BatchNorm2d, Conv2d
from tinytorch.core.tensor import Tensor, composed
from tinytorch.core.training import CosineSchedule, Trainer, batches, check_float, check_names, check_path, replace_file

# %% nbgrader={"grade": false, "grade_id": "tools", "locked": true, "schema_version": 3, "solution": false, "task": false}
from pathlib import Path
from tempfile import TemporaryDirectory

from tinytorch.core.activations import ReLU
from tinytorch.core.autograd import grad
from tinytorch.core.layers import Flatten
from tinytorch.core.spatial import MaxPool2d
from tinytorch.core.tensor import float32, float64, manual_seed, randn, tensor
from tinytorch.profiling.profiler import compare, evaluating

# %% [markdown]
"""
## 1 · Room to spare

A network for the 8×8 digits of module 08, far larger than they need. The images are moved by up to half a pixel, anew in every epoch. 360 of them are
held out: every accuracy in this notebook is theirs.
"""

# %% tags=["analysis"]
from tinytorch.data.loader import load_digits

images, labels = map(np.asarray, load_digits().tensors)          # (1797, 1, 8, 8), (1797,)
mixed = np.random.default_rng(0).permutation(len(images))
train, held_out = mixed[:1437], mixed[1437:]


class Moved:
    """A loader of these digits, in batches of 64, each image moved a little along both axes."""
    def __init__(self, digits, seed=0):
        self.digits, self.rng = digits, np.random.default_rng(seed)

    def __iter__(self):
        for at in np.split(mix := self.rng.permutation(self.digits), range(64, len(mix), 64)):
            x = images[at]
            for axis in (2, 3):
                part = self.rng.uniform(-0.5, 0.5, (len(x), 1, 1, 1)).astype(float32)
                x = (1 - abs(part)) * x + abs(part) * np.where(part > 0, np.roll(x, 1, axis), np.roll(x, -1, axis))
            yield x, labels[at]


def network(seed, *hidden):
    """Linear layers with ReLU between them, from 64 pixels to 10 digits."""
    manual_seed(seed)
    sizes = (64, *hidden)
    return Sequential(Flatten(), *(part for m, n in zip(sizes, hidden) for part in (Linear(m, n), ReLU())), Linear(sizes[-1], 10))


def trained(model, epochs, lr=0.1):
    """The model after so many epochs."""
    optimizer = SGD(model.parameters(), lr=lr, momentum=0.9, weight_decay=1e-3)
    Trainer(model, optimizer, cross_entropy, CosineSchedule(lr, 0.0, epochs)).fit(Moved(train), epochs, progress=False)
    return model


def right(model):
    """The share of the held-out digits that a model reads rightly."""
    with evaluating(model):
        return (model(Tensor(images[held_out])).numpy().argmax(1) == labels[held_out]).mean()


wide = trained(network(0, 512, 256), 20)
print(f"{sum(p.size for p in wide.parameters()):,} parameters, {right(wide):.1%} right")

# %% [markdown]
"""
## 2 · Which weights go

The small ones (*magnitude pruning*). Biases stay: they are few. `weights_of` finds what can be pruned; its `skip` leaves out names that contain a
word, such as "embedding". The *sparsity* is the share of zeros among all weights. (Both are given.)
"""

# %%
#| export
def weights_of(model, skip=()):
    """{name: Parameter} of what can be pruned: parameters with two axes or more.  Names that contain a word of `skip` are left out.

    >>> list(weights_of(Sequential(Linear(3, 2), Linear(2, 1))))
    ['0.weight', '1.weight']
    """
    check_kind("weights_of", Module, model=model)
    check_names("weights_of", skip=skip)
    return {name: p for name, p in model.named_parameters() if p.ndim > 1 and not any(word in name for word in skip)}


def measure_sparsity(model, skip=()):
    """The share of a model's weights that are 0: a number from 0 to 1.

    >>> layer = Linear(2, 2); layer.weight.data[...] = [[0, 1], [0, 0]]
    >>> measure_sparsity(layer)
    0.75
    """
    weights = weights_of(model, skip).values()
    return 1 - float(sum(np.count_nonzero(p.data) for p in weights) / max(sum(p.size for p in weights), 1))

# %% [markdown]
"""
**Your turn.** Which numbers of an array stay? Exactly `round(sparsity · n)` go, the smallest by size. A limit such as `np.abs(values) > t` would take
all of several equal ones, or none: sort, and count.
"""

# %% nbgrader={"grade": false, "grade_id": "keep-largest", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def keep_largest(values, sparsity):
    """True where a number stays: an array -> truth values of its shape.  The smallest round(sparsity · n) go, of equal ones the first.

    >>> keep_largest(np.array([0.1, -3.0, 0.2, 1.0]), 0.5).tolist()
    [False, True, False, True]
    """
    values = check_array("keep_largest", values=values)
    check_number("keep_largest", -math.inf, sparsity=sparsity)
    if not 0 <= sparsity <= 1:
        raise ValueError(f"keep_largest: sparsity is the share of the weights that go, from 0 to 1, not {sparsity}")
    ### BEGIN SOLUTION
    order = np.argsort(np.abs(values), axis=None, kind="stable")             # places, the smallest first
    gone = order[:round(sparsity * len(order))]
    keep = np.ones(values.shape, bool)
    keep.flat[gone] = False
    return keep
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-keep-largest", "locked": true, "points": 10, "schema_version": 3, "solution": false, "task": false}
def test_unit_keep_largest():
    """The smallest go, exactly as many as asked for."""
    values = np.array([[0.5, -3.0, 0.25], [1.0, -0.75, 2.0]])
    rank = np.abs(values).ravel().argsort().argsort().reshape(2, 3)          # 0 for the smallest
    expect.same(lambda: keep_largest(values, 0.5), rank >= 3, "half of six go", mistaken={
        "True means that it stays": rank < 3, "small means near 0: compare sizes, np.abs": values > np.median(values),
        "the smallest go, not the largest": rank < 3, "truth values of the shape of `values`": (rank >= 3).ravel()},
        hint="sort by np.abs(values), mark the first round(sparsity · n)",
        raises={IndexError: "axis=None sorts the whole array: its places are those of keep.flat"})
    expect.same(lambda: keep_largest(values, 0.6), rank >= 4, "0.6 of six are 3.6, so four go", mistaken={"round, do not cut off": rank >= 3})
    expect.same(lambda: keep_largest(values, 0.7), rank >= 4, "0.7 of six are 4.2, so four go", mistaken={"round to the nearest": rank >= 5})
    equal = np.array([2.0, -2.0, 2.0, 2.0, 1.0])
    expect.same(lambda: keep_largest(equal, 0.6), np.array([False, False, True, True, False]), "equal ones: the first go", mistaken={
        "sort and count: a limit treats all equal ones alike": lambda got: got.sum() in (0, 4),
        "kind='stable' keeps equal ones in their order": lambda got: got.sum() == 2})
    expect.same(lambda: [keep_largest(values, s).sum().item() for s in (0, 1)], [6, 0], "nothing goes, everything goes")
    expect.raises(ValueError, lambda: keep_largest(values, 95), "a share, not percent", match="share 95")

test_unit_keep_largest()

# %% [markdown]
"""
## 3 · They grow back

Half of a layer is set to zero. Then it is trained on, by a single step:
"""

# %%
manual_seed(0)
layer, x, y = Linear(20, 10), randn(64, 20), randn(64, 10)
layer.weight.data *= keep_largest(layer.weight.data, 0.5)
optimizer = SGD(layer.parameters(), lr=0.1, momentum=0.9)
print("before the step", measure_sparsity(layer))
((layer(x) - y) ** 2).mean().backward()
optimizer.step()
print("after it       ", measure_sparsity(layer))

# %% [markdown]
"""
Their gradients are not zero. So a *mask* remembers which weights stay, and is laid on again after every step:

```
   weights after a step       mask           weights that count
   0.31 -0.02  0.75           1  0  1         0.31   0    0.75
   0.04 -0.52  0.01     ×     0  1  0    =     0   -0.52   0
```

**Your turn.** `apply` writes zeros into the arrays *that are there*: others may hold them. `held` (given) lets each step of an optimizer end with
`apply`.
"""

# %% nbgrader={"grade": false, "grade_id": "masks", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
class Masks:
    """Which weights of a model stay: `parameters` is {name: Parameter}, `keep` {name: truth values}; `history`: see `prune_and_finetune`."""
    def __init__(self, parameters, keep):
        self.parameters, self.keep, self.history = parameters, keep, []

    def apply(self):
        """Set the weights that go to 0, in the arrays that are there, and return self."""
        ### BEGIN SOLUTION
        for name, keep in self.keep.items():
            self.parameters[name].data[~keep] = 0.0
        return self
        ### END SOLUTION

    @contextmanager
    def held(self, optimizer):
        """Within `with masks.held(optimizer):` each of the optimizer's steps ends with `apply`."""
        step = optimizer.step

        def masked_step():
            step()
            self.apply()
        optimizer.step = masked_step
        try:
            yield self
        finally:
            optimizer.step = step

# %% nbgrader={"grade": true, "grade_id": "test-masks", "locked": true, "points": 10, "schema_version": 3, "solution": false, "task": false}
def test_unit_masks():
    """Masked weights are 0, and stay it while the others are trained."""
    model = Sequential(Linear(2, 2), Linear(2, 1))
    weights = [np.array([[0.5, -2.0], [1.5, 4.0]]), np.array([[3.0], [-7.0]])]
    for layer, w in zip(model, weights):
        layer.weight.data = w.astype(float32)
    parameters, there = weights_of(model), model[0].weight.data
    keep = {"0.weight": np.array([[True, False], [False, True]]), "1.weight": np.array([[False], [True]])}
    masks, zeroed = Masks(parameters, keep), [w * k for w, k in zip(weights, keep.values())]
    expect.true(lambda: masks.apply() is masks, "it returns itself", hint="return self", raises={TypeError: "write into .data of each parameter"})
    expect.close(lambda: model[0].weight, zeroed[0], "what goes is 0", mistaken={
        "True stays: ~keep is what goes": weights[0] - zeroed[0], "write into .data of each parameter": weights[0]}, hint="….data[~keep] = 0.0")
    expect.close(lambda: model[1].weight, zeroed[1], "in every layer", mistaken={"all of them, not only the first": weights[1]}, hint="for each name")
    expect.true(model[0].weight.data is there, "the array is the same", hint="write into it, p.data[...] = …, since others may hold it")
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
    with masks.held(optimizer):
        for _ in range(2):
            optimizer.zero_grad()
            (model(Tensor([[1.0, -2.0], [3.0, 1.5]])) ** 2).sum().backward()
            optimizer.step()
    expect.same(lambda: [p.data != 0 for p in parameters.values()], list(keep.values()), "two steps later, the same are 0 and the others are not")

test_unit_masks()

# %% [markdown]
"""
Now the whole model. With `scope="layer"` each layer loses the same share. With `"global"` all weights are compared with one another, and a layer
whose weights are small loses more.

**Your turn.** For "global": one long array of all weights (`np.concatenate`, `.ravel()`), one call of `keep_largest`, and the answer cut into
pieces of the right sizes and shapes. The masks are applied before they are returned.
"""

# %% nbgrader={"grade": false, "grade_id": "magnitude-prune", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def magnitude_prune(model, sparsity, scope="global", skip=()):
    """Set the smallest weights of a model to 0, that share of them, and return the `Masks`.

    scope: "global" compares all weights, "layer" those of each layer.  As `torch.nn.utils.prune.global_unstructured` and `l1_unstructured`.
    """
    weights = weights_of(model, skip)
    check_choice("magnitude_prune", ("global", "layer"), scope=scope)
    check_number("magnitude_prune", 0, 1, sparsity=sparsity)
    if not weights:
        raise ValueError("magnitude_prune: the model has no weights, parameters with two axes or more")
    arrays = [p.data for p in weights.values()]
    ### BEGIN SOLUTION
    if scope == "layer":
        keep = [keep_largest(a, sparsity) for a in arrays]
    else:
        together = keep_largest(np.concatenate([a.ravel() for a in arrays]), sparsity)
        ends = np.cumsum([a.size for a in arrays])
        keep = [part.reshape(a.shape) for part, a in zip(np.split(together, ends), arrays)]
    return Masks(weights, dict(zip(weights, keep))).apply()
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-magnitude-prune", "locked": true, "points": 12, "schema_version": 3, "solution": false, "task": false}
def test_unit_magnitude_prune():
    """Weights are compared within a layer, or with all others."""
    weights = [np.array([[0.1, -0.2], [0.3, 0.9]]), np.array([[1.0, -0.15, 2.0], [3.0, 0.5, -4.0]])]
    def model():
        made = Sequential(Linear(2, 2), Linear(2, 3))
        for layer, w in zip(made, weights):
            layer.weight.data, layer.bias.data[...] = w.copy(), 0.01
        return made
    names, together = ("0.weight", "1.weight"), np.split(keep_largest(np.concatenate([w.ravel() for w in weights]), 0.4), [4])
    together, each = [keep.reshape(w.shape) for keep, w in zip(together, weights)], [keep_largest(w, 0.4) for w in weights]
    kept = lambda got, keep: all(np.array_equal(got[name], k) for name, k in zip(names, keep))
    expect.same(lambda: dict(magnitude_prune(model(), 0.4).keep), dict(zip(names, together)), "4 of all 10 weights go", mistaken={
        "global: all weights are compared with one another": lambda got: kept(got, each)}, hint="one call of keep_largest for all weights together",
        raises={ValueError: "cut where the numbers of each weight end: np.cumsum of the sizes"})
    pruned = model()
    masks = magnitude_prune(pruned, 0.4)
    expect.close(lambda: [p.data for p in masks.parameters.values()], [w * k for w, k in zip(weights, together)], "they are 0", mistaken={
        "apply the masks: a mask alone prunes nothing": lambda got: all((g == w).all() for g, w in zip(got, weights))})
    expect.true(lambda: masks.parameters["1.weight"] is pruned[1].weight, "in the model itself", hint="prune the model, not a copy")
    expect.same(lambda: dict(magnitude_prune(model(), 0.4, scope="layer").keep), dict(zip(names, each)), 'scope="layer": 2 of 4 and 2 of 6',
                mistaken={"each layer for itself": lambda got: kept(got, together)}, hint="keep_largest for each weight")
    again = model()
    expect.close(lambda: [measure_sparsity(again) for share in (0.4, 0.6) if magnitude_prune(again, share)], [0.4, 0.6],
                 "twice, a second time with more", hint="sparsity is the share of all weights, not of those that are left")
    expect.raises(ValueError, lambda: magnitude_prune(model(), 0.5, scope="row"), "another scope is refused", match="global layer row")

test_unit_magnitude_prune()

# %% tags=["analysis"]
for scope in ("layer", "global"):
    for sparsity in (0.5, 0.8, 0.9, 0.95):
        magnitude_prune(cut := copy.deepcopy(wide), sparsity, scope)
        zeros = [f"{np.mean(p.data == 0):.0%}" for p in weights_of(cut).values()]
        print(f"{scope:6} {sparsity:.0%} gone: {right(cut):.1%} right; zeros by layer", *zeros)

# %% [markdown]
"""
## 4 · Train what is left

What is left can learn to do the work of what is gone. So: prune a little, train, prune more (Han et al., 2015).
"""

# %%
#| export
def prune_and_finetune(model, loader, steps, loss_fn=cross_entropy, optimizer=lambda p: SGD(p, lr=0.03, momentum=0.9), scope="global", skip=(),
                       evaluate=None):
    """Prune a little, train what is left, prune more; returns the last `Masks`.

    steps: pairs (sparsity, epochs).  `optimizer` makes a new optimizer of the parameters for each; its learning rate falls to 0 along a
    cosine.  With `evaluate`, a function of the model, `history` of the masks has its answers before and after each training.
    """
    history = []
    for sparsity, epochs in steps:
        masks, chosen = magnitude_prune(model, sparsity, scope, skip), optimizer(model.parameters())
        row = {"sparsity": sparsity, "pruned": evaluate and evaluate(model)}
        trainer = Trainer(model, chosen, loss_fn, CosineSchedule(chosen.param_groups[0]["lr"], 0.0, epochs))
        with masks.held(chosen):
            trainer.fit(loader, epochs, progress=False)
        history.append(row | {"tuned": evaluate and evaluate(model)})
    masks.history = history
    return masks

# %% [markdown]
"""
Three networks from three seeds, pruned in steps, and at once with as many epochs. Beside them: the same networks, trained as long without being
pruned, and *small* ones, trained from their first day, with about as many weights as are left.
"""

# %% tags=["analysis"]
STEPS = (0.5, 2), (0.75, 2), (0.85, 3), (0.9, 3), (0.95, 10)
models = {"as they were": [wide, *(trained(network(seed, 512, 256), 20) for seed in (1, 2))]}
models["trained on"] = [trained(copy.deepcopy(m), 20, 0.05) for m in models["as they were"]]
for name, steps in ("95 % at once", ((0.95, 20),)), ("95 % in steps", STEPS):
    models[name] = [copy.deepcopy(m) for m in models["as they were"]]
    masks = [prune_and_finetune(model, Moved(train), steps, evaluate=right) for model in models[name]]
models["small"] = [trained(network(seed, 96, 32), 40) for seed in range(3)]
for row in masks[0].history:
    print(f"{row['sparsity']:.0%} gone: {row['pruned']:.1%}, trained: {row['tuned']:.1%}")
for name, each in models.items():
    print(f"{name:14}{sum(np.count_nonzero(p.data) for p in each[0].parameters()):8,} numbers that are not 0,", *(f"{right(m):.1%}" for m in each))

# %% [markdown]
"""
In steps or at once: three networks show no difference here, but the steps tell when to stop. And read the last line again. On this task the small
network is as good as what pruning leaves of the large one, and never was large (Liu et al., 2019, found the same for many). Pruning pays where the
large network is there already, or where nobody knows how small it may be.

## 5 · A zero takes as much room as any number

It takes 4 bytes, in memory and in the file. To save room, only what is left may be stored, and *where* it lies. A place among 131,072 needs more than
two bytes. But the *gap* to the one before is small, and one byte mostly holds it:

```
  place   0   1   2   3   4   5   6   7   8
         [0  .7   0   0   0  -.2  0   0  .4]     values  .7 -.2  .4    4 bytes each
              1───────────────4───────────3      gaps     1   4   3    1 byte each
```

**Your turn.** Places are counted through all rows (`np.flatnonzero`), the first gap from place 0. `narrow` (given) finds the smallest dtype.
"""

# %% nbgrader={"grade": false, "grade_id": "gaps", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def narrow(counts):
    """Whole numbers from 0 on, an array, in the smallest unsigned dtype that holds them all."""
    return counts.astype(np.min_scalar_type(counts.max(initial=0)))


def to_gaps(array):
    """(values, gaps): the numbers of an array that are not 0, and how far each lies behind the one before; the first: behind place 0.

    `gaps` is narrow.

    >>> to_gaps(np.array([[0.0, 0.0, 5.0], [7.0, 0.0, 0.0]]))
    (array([5., 7.]), array([2, 1], dtype=uint8))
    """
    ### BEGIN SOLUTION
    places = np.flatnonzero(array)
    return array.ravel()[places], narrow(np.diff(places, prepend=0))
    ### END SOLUTION


def from_gaps(values, gaps, shape):
    """The array of `shape` that `to_gaps` took apart.  ValueError where they do not fit."""
    places = np.cumsum(gaps, dtype=np.int64)
    if gaps.dtype.kind != "u" or values.shape != places.shape or places.size and places[-1] >= math.prod(shape):
        raise ValueError(f"{len(values)} values with {len(gaps)} gaps ({gaps.dtype}) do not fit into an array of shape {tuple(shape)}")
    array = np.zeros(math.prod(shape), values.dtype)
    array[places] = values
    return array.reshape(shape)

# %% nbgrader={"grade": true, "grade_id": "test-gaps", "locked": true, "points": 12, "schema_version": 3, "solution": false, "task": false}
def test_unit_gaps():
    """What is not 0, and the steps from one to the next: there and back."""
    array, gaps = np.array([[0.0, 0.0, 5.0, 0.0], [7.0, 0.0, -1.5, 2.5]], float32), np.array([2, 2, 2, 1], np.uint8)
    expect.close(lambda: to_gaps(array)[0], array[array != 0], "the numbers that are not 0", mistaken={"negative ones too": array[array > 0]})
    expect.same(lambda: to_gaps(array)[1], gaps, "the gaps, in the smallest unsigned dtype", mistaken={
        "gaps from one to the next, not places": lambda got: (got == [2, 4, 6, 7]).all(),
        "count through all rows": lambda got: (got == [2, 0, 2, 1]).all(),
        "the first gap is counted from place 0": lambda got: len(got) == 3, "neighbours have gap 1": lambda got: (got[1:] == gaps[1:] - 1).all(),
        "int64 takes 8 bytes a gap: narrow(…)": lambda got: got.dtype.itemsize > 1}, hint="np.diff(places, prepend=0)")
    far = np.zeros((2, 300), float32)
    far[1, 260] = far[1, 290] = 0.5
    expect.same(lambda: to_gaps(far)[1], np.array([560, 30], np.uint16), "a large gap needs two bytes", mistaken={
        "560 does not fit into 8 bits": lambda got: got.dtype.itemsize == 1}, hint="narrow finds the dtype")
    expect.same(lambda: [t.size for t in to_gaps(np.zeros((2, 3)))], [0, 0], "nothing but zeros")
    deep = np.random.default_rng(0).normal(size=(3, 2, 4, 5)).clip(0)
    expect.close(lambda: from_gaps(*to_gaps(deep), deep.shape), deep, "there and back, arrays of any shape")
    expect.raises(ValueError, lambda: from_gaps(array[0], gaps, (2, 3)), "what does not fit is refused", match="4 gaps (2, 3)")

test_unit_gaps()

# %% [markdown]
"""
`save_sparse` (given) writes a model that way into a compressed .npz; with `dtype="float16"` a weight takes 2 bytes. `storage` writes the same to
memory, and counts bytes.
"""

# %%
#| export
def _entries(model, dtype=None):
    """What a file holds: {name: array}, weights that are mostly 0 as "name/values" and "name/gaps".  `dtype` is that of all weights."""
    entries = {}
    for name, array in model.state_dict().items():
        if array.ndim > 1 and dtype is not None:
            with np.errstate(over="ignore"):
                array, largest = array.astype(dtype), np.abs(array).max(initial=0)
            if not np.isfinite(array).all():
                raise ValueError(f"save_sparse: {name} has numbers up to {largest:.3g}, which {np.dtype(dtype)} cannot hold; try float32")
        if array.ndim > 1 and 2 * np.count_nonzero(array) < array.size:
            entries[f"{name}/values"], entries[f"{name}/gaps"] = to_gaps(array)
        else:
            entries[name] = array
    return entries


def save_sparse(model, path, dtype=None):
    """Write the parameters and buffers of a model to a compressed .npz file, without its zeros, and return the bytes on disk."""
    replace_file(path, lambda file: np.savez_compressed(file, **_entries(model, dtype)))
    return os.path.getsize(path)


def load_sparse(model, path):
    """Put what `save_sparse` wrote into a model of the same shapes, and return it.  ValueError where it does not fit; nothing is changed then."""
    check_path("load_sparse", path)
    ours, state = model.state_dict(), {}
    try:
        with np.load(path, allow_pickle=False) as archive:
            for key in archive.files:
                name, _, part = key.partition("/")
                if part == "values" and name in ours:
                    state[name] = from_gaps(archive[key], archive[f"{name}/gaps"], ours[name].shape)
                elif part != "gaps":
                    state[name] = archive[key]
        return model.load_state_dict(state)
    except (TypeError, KeyError, AttributeError, EOFError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"load_sparse: {path} is no file of save_sparse for this model: {error}") from error


def storage(model, dtype=None):
    """What a model takes, counted on its arrays and on files written to memory: a dict.

    parameters, nonzero: how many.  dense_bytes: the file of `np.savez`, with all numbers.  sparse_bytes: that of `save_sparse`.
    """
    check_kind("storage", Module, model=model)
    if dtype is not None:
        check_float("storage", dtype=dtype)
    dense, sparse, arrays = io.BytesIO(), io.BytesIO(), [p.data for p in model.parameters()]
    np.savez(dense, **model.state_dict())
    np.savez_compressed(sparse, **_entries(model, dtype))
    return {"parameters": sum(a.size for a in arrays), "nonzero": sum(int(np.count_nonzero(a)) for a in arrays),
            "dense_bytes": dense.tell(), "sparse_bytes": sparse.tell()}

# %% tags=["analysis"]
kinds, full = {"large": wide, "pruned": models["95 % in steps"][0], "small": models["small"][0]}, storage(wide)["dense_bytes"]
with TemporaryDirectory() as folder:
    for name, model, dtype in ((name, model, dtype) for name, model in kinds.items() for dtype in ("float32", "float16")):
        size, again = save_sparse(model, Path(folder) / "model.npz", dtype), load_sparse(copy.deepcopy(model), Path(folder) / "model.npz")
        print(f"{name:7}{dtype}: {size:8,} bytes on disk, {full / size:4.1f} × smaller than the large one with all; {right(again):.1%} right")
for sparsity in (0.1, 0.2, 0.5, 0.9):
    magnitude_prune(cut := copy.deepcopy(wide), sparsity)
    stored = sum(part.nbytes for p in weights_of(cut).values() for part in to_gaps(p.data))
    print(f"{sparsity:.0%} zeros: values and gaps take {stored / sum(p.data.nbytes for p in weights_of(cut).values()):.2f} of all numbers' bytes")

# %% [markdown]
"""
Compressing the file alone finds next to nothing in numbers that all differ. float16 gives a factor of two, the zeros the rest. And the small network
is as small again.

## 6 · Zeros that are not multiplied

Is a sparse matrix also *faster*? A product that skips zeros must find the numbers of a row at once. That is *CSR*, compressed sparse rows: the
values, the column of each, and where each row starts among them.

```
   0  5  0            values   5   7  -2         row 0: values[0:1]
   0  0  0     ──►    columns  1   0   2         row 1: values[1:1]   nothing
   7  0 -2            starts   0   1   1   3     row 2: values[1:3]
```

**Your turn.** The product with a vector, without ever making the matrix: each value times the number of `x` at its column, added up row by row.
`np.add.reduceat(products, starts)` adds up from each start to the next. For an empty row it gives nonsense: ask it about `filled` rows only.
"""

# %% nbgrader={"grade": false, "grade_id": "csr", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
class CSR:
    """A matrix without its zeros: `values` (n,), their `columns` (n,), and where each row `starts` among them, (rows + 1,).

    As `scipy.sparse.csr_array`.
    """
    def __init__(self, values, columns, starts, shape):
        if len(starts) != shape[0] + 1 or not len(values) == len(columns) == starts[-1]:
            raise ValueError(f"CSR: {len(values)} values, {len(columns)} columns and {len(starts)} starts make no matrix {tuple(shape)}")
        self.values, self.columns, self.starts, self.shape = values, columns, starts, tuple(shape)

    nbytes = property(lambda self: self.values.nbytes + self.columns.nbytes + self.starts.nbytes)

    @classmethod
    def from_dense(cls, array):
        """An array (rows, columns) without its zeros; `columns` are narrow."""
        array = check_array("CSR", array=array)
        if array.ndim != 2:
            raise ValueError(f"CSR: a matrix (rows, columns) wanted, not {array.shape}")
        rows, columns = np.nonzero(array)
        starts = np.searchsorted(rows, np.arange(len(array) + 1)).astype(np.uint32)
        return cls(array[rows, columns], narrow(columns), starts, array.shape)

    def to_dense(self):
        """The matrix with its zeros: an array of `shape`."""
        array = np.zeros(self.shape, self.values.dtype)
        array[np.repeat(np.arange(self.shape[0]), np.diff(self.starts)), self.columns] = self.values
        return array

    def matvec(self, x):
        """The matrix times a vector: an array (columns,) -> (rows,)."""
        x = check_array("CSR.matvec", x=x)
        if np.shape(x) != self.shape[1:]:
            raise ValueError(f"CSR.matvec: a matrix {self.shape} takes a vector ({self.shape[1]},), not {np.shape(x)}")
        filled = np.diff(self.starts) > 0                        # the rows that are not empty
        ### BEGIN SOLUTION
        products = self.values * x[self.columns]
        y = np.zeros(self.shape[0], products.dtype)
        y[filled] = np.add.reduceat(products, self.starts[:-1][filled])
        return y
        ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-csr", "locked": true, "points": 12, "schema_version": 3, "solution": false, "task": false}
def test_unit_csr():
    """The product of what is not 0."""
    class Sparse(CSR):
        def to_dense(self):
            raise AssertionError
    array = np.array([[0.0, 5.0, 0.0, 3.0], [0.0, 0.0, 0.0, 0.0], [7.0, 0.0, -2.5, 0.0], [0.0, 0.0, 0.0, 1.5]], float32)
    x = np.array([2.0, 0.5, -1.0, 4.0], float32)
    expect.close(lambda: Sparse.from_dense(array[[0, 2]]).matvec(x), array[[0, 2]] @ x, "the product", mistaken={
        "take the numbers of x at the columns": lambda got: got[0] != array[0] @ x}, hint="values * x[columns], added up from each start to the next",
        raises={AssertionError: "the zeros come back in to_dense: use the values only", IndexError: "the last start is the end: starts[:-1]",
                ValueError: "x[self.columns] has as many numbers as there are values"})
    expect.close(lambda: Sparse.from_dense(array).matvec(x), array @ x, "an empty row gives 0", mistaken={
        "as many sums as there are rows: zeros, with the sums where a row is not empty": lambda got: len(got) < 4,
        "for an empty row reduceat gives the next product: leave such rows out": lambda got: got[1] != 0})
    expect.close(lambda: Sparse.from_dense(array[:2]).matvec(x), array[:2] @ x, "also when the last row is empty", raises={
        (IndexError, ValueError): "an empty last row starts behind the last value: leave it out"})
    expect.close(lambda: Sparse.from_dense(array[1:2]).matvec(x), [0.0], "or all of them", raises={
        (IndexError, ValueError): "without values there is nothing to add up"})
    expect.same(lambda: [Sparse.from_dense(t).matvec(x).dtype for t in (array, array.astype(float64))], [float32, float64], "as the products",
                hint="np.zeros has float64 unless told")
    large = np.random.default_rng(0).normal(size=(40, 300)).clip(1.5) - 1.5
    expect.close(lambda: Sparse.from_dense(large).matvec(large[0]), large @ large[0], "many rows")
    expect.close(lambda: CSR.from_dense(array).to_dense(), array, "there and back")
    expect.raises(ValueError, lambda: CSR.from_dense(array).matvec(x[:3]), "a vector that does not fit is refused", match="(4,) (3,)")

test_unit_csr()

# %% tags=["analysis"]
rng = np.random.default_rng(0)
for n in (512, 2048):
    dense, x = rng.normal(size=(n, n)).astype(float32), rng.normal(size=n).astype(float32)
    for sparsity in (0.8, 0.9, 0.95, 0.99):
        sparse = CSR.from_dense(zeroed := dense * keep_largest(dense, sparsity))
        times = compare({"dense": lambda: zeroed @ x, "sparse": lambda: sparse.matvec(x)})
        fewer, faster = zeroed.nbytes / sparse.nbytes, times["dense"].median / times["sparse"].median
        print(f"{n}², {sparsity:.0%} zeros: {fewer:4.1f} × fewer bytes, {faster:4.2f} × as fast, {times['sparse']}")

# %% [markdown]
"""
The processor reads neighbours, many at once; columns that jump cost it more each. So skipping zeros pays where the matrix is too large for the cache
*and* nearly empty, and not for the layers above: pruned, they are smaller, not faster.

## 7 · Whole rows go

To be faster, the matrix itself must be smaller, without holes: *structured* pruning. If an output of a layer goes, then its column of weights goes,
its bias, its batch norm, *and* what the next layer would have done with it:

```
    x (3) @ W1 (3, 4)          ReLU          @ W2 (4, 2)
            ┌ · ▒ · · ┐                        ┌ · · ┐
            │ · ▒ · · │                        │ ▒ ▒ │
            └ · ▒ · · ┘                        │ · · │
                                               └ · · ┘
```

Behind Flatten one channel is height · width inputs in a row: all of them go. Which outputs? Those whose weights are small: the sum of |weights| of each (Li et al., 2017).

**Your turn.** In `strongest`, `weight` is (inputs, outputs), that of a Conv2d too. `inputs_behind`: each output gives `each` inputs to the next
layer; those of output 2 are 2·each to 3·each - 1.
"""

# %% nbgrader={"grade": false, "grade_id": "strongest", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def strongest(layer, ratio):
    """The outputs of a Linear or Conv2d that stay, in their order, when that share of them goes: those with the largest sums of |weights|.

    At least one stays.  Li et al., Pruning Filters for Efficient ConvNets, 2017.
    """
    check_number("strongest", ratio=ratio)
    if not 0 <= ratio < 1:
        raise ValueError(f"strongest: ratio is the share of the outputs that go, from 0 to below 1, not {ratio}")
    weight = layer.weight.data if isinstance(layer, Linear) else layer.weight.data.reshape(len(layer.weight), -1).T        # (inputs, outputs)
    ### BEGIN SOLUTION
    sizes = np.abs(weight).sum(axis=0)
    count = max(1, round((1 - ratio) * len(sizes)))
    return np.sort(np.argsort(-sizes)[:count])
    ### END SOLUTION


def inputs_behind(kept, each):
    """The inputs that come from the outputs `kept`, each of which gives `each` inputs in a row.

    >>> inputs_behind(np.array([0, 2]), 3)
    array([0, 1, 2, 6, 7, 8])
    """
    ### BEGIN SOLUTION
    return (kept[:, None] * each + np.arange(each)).ravel()
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-strongest", "locked": true, "points": 10, "schema_version": 3, "solution": false, "task": false}
def test_unit_strongest():
    """Outputs with large weights stay, and the next layer's inputs with them."""
    layer, conv = Linear(3, 4), Conv2d(2, 3, 2)
    layer.weight.data[...] = np.array([[0.5, 2.0, 0.1, -4.0], [-1.5, 2.0, 0.2, 3.5], [1.0, -0.5, 0.1, 0.25]])
    conv.weight.data[...] = np.random.default_rng(0).normal(size=(3, 2, 2, 2)) + np.array([1.0, 9.0, 5.0])[:, None, None, None]
    expect.same(lambda: strongest(layer, 0.5).tolist(), [1, 3], "two of four outputs stay", mistaken={
        "in their order: np.sort": [3, 1], "the large ones stay": [0, 2], "sizes: np.abs before adding up": [1, 2],
        "outputs are the columns: add along axis 0": [0, 1]}, hint="the sum of |weights| of each output, the largest first")
    expect.same(lambda: strongest(layer, 0.25).tolist(), [0, 1, 3], "three of four stay", mistaken={
        "ratio is the share that goes: 1 - ratio stays": [3]})
    expect.same(lambda: strongest(layer, 0.95).tolist(), [3], "one stays", mistaken={"at least one: max(1, …)": []})
    expect.same(lambda: strongest(conv, 1 / 3).tolist(), [1, 2], "kernels of a Conv2d", hint="`weight` is (inputs, outputs)")
    expect.same(lambda: inputs_behind(np.array([0, 2]), 1).tolist(), [0, 2], "one input each")
    expect.same(lambda: inputs_behind(np.array([0, 3]), 4).tolist(), [0, 1, 2, 3, 12, 13, 14, 15], "four inputs each", mistaken={
        "all inputs of one output, then those of the next": [0, 12, 1, 13, 2, 14, 3, 15], "output k begins at k · each": [0, 1, 2, 3, 3, 4, 5, 6]},
        hint="kept[:, None] * each + np.arange(each)")

test_unit_strongest()

# %%
#| export
def _cut(layer, inputs, outputs):
    """A copy of a layer with these inputs and outputs only."""
    new, arrays = copy.copy(layer), {}
    if isinstance(layer, Linear):
        new.in_features, new.out_features, arrays["weight"] = len(inputs), len(outputs), layer.weight.data[np.ix_(inputs, outputs)]
    elif isinstance(layer, Conv2d):
        new.in_channels, new.out_channels, arrays["weight"] = len(inputs), len(outputs), layer.weight.data[np.ix_(outputs, inputs)]
    else:
        new.num_features, new.num_batches_tracked = len(outputs), copy.deepcopy(layer.num_batches_tracked)
        arrays = {name: getattr(layer, name).data[outputs] for name in ("weight", "running_mean", "running_var") if getattr(layer, name) is not None}
    if layer.bias is not None:
        arrays["bias"] = layer.bias.data[outputs]
    for name, array in arrays.items():
        setattr(new, name, type(getattr(layer, name))(array, dtype=array.dtype))
    return new


def structured_prune(model, ratio):
    """A smaller model: a Sequential without that share of the outputs of each Linear and Conv2d but the last, the weakest first.

    BatchNorm loses the same channels.  ValueError for other layers with parameters, and for groups.
    """
    check_number("structured_prune", 0, 1, ratio=ratio)
    if not isinstance(model, Sequential) or not (cuttable := [m for m in model if isinstance(m, (Linear, Conv2d))]):
        raise ValueError(f"structured_prune: a Sequential with Linear or Conv2d layers wanted, not {type(model).__name__}")
    layers, kept, width = [], None, None                         # the outputs that are left, of how many
    for layer in model:
        fits = getattr(layer, "groups", 1) == 1 and isinstance(layer, (Linear, Conv2d, BatchNorm2d))
        if not fits and isinstance(layer, Module) and layer.parameters():
            raise ValueError(f"structured_prune: it can cut Linear, BatchNorm and Conv2d with groups=1, not {layer!r}")
        if isinstance(layer, (Linear, Conv2d)):
            fan_in, fan_out = (layer.in_features, layer.out_features) if isinstance(layer, Linear) else (layer.in_channels, layer.out_channels)
            inputs = np.arange(fan_in) if kept is None else inputs_behind(kept, fan_in // width)
            kept, width = np.arange(fan_out) if layer is cuttable[-1] else strongest(layer, ratio), fan_out
            layers.append(_cut(layer, inputs, kept))
        else:
            layers.append(_cut(layer, None, kept) if fits and kept is not None else copy.deepcopy(layer))
    return Sequential(*layers)

# %% [markdown]
"""
A network of convolutions and the large network, cut, trained for six epochs more, and timed.
"""

# %% tags=["analysis"]
def convolution(inputs, outputs):
    return Conv2d(inputs, outputs, 3, padding=1, bias=False), BatchNorm2d(outputs), ReLU()

manual_seed(0)
conv = trained(Sequential(*convolution(1, 12), *convolution(12, 24), MaxPool2d(2), *convolution(24, 24), MaxPool2d(2), Flatten(), Linear(96, 10)), 10)
for name, model in ("linear", wide), ("convolutions", conv):
    cuts = {ratio: structured_prune(model, ratio) for ratio in (0, 0.25, 0.5, 0.75)}
    before, after = [[f"{right(trained(cut, epochs, 0.05) if epochs else cut):.1%}" for cut in cuts.values()] for epochs in (0, 6)]
    print(name, [sum(p.size for p in cut.parameters()) for cut in cuts.values()], "parameters")
    print("    right", *before, "and trained", *after)
    for rows in (1, 256):
        x, each = Tensor(images[:rows]), {ratio: cut.eval() for ratio, cut in cuts.items()}
        times = compare({ratio: lambda m=m: m(x) for ratio, m in each.items()})
        print(f"    {rows:3} images: {times[0]}; times as fast", *(f"{times[0].median / t.median:.1f}" for t in times.values()))

# %% [markdown]
r"""
For one image most of the time is Python's, which no pruning takes away.

## 8 · Two thin layers for one

A matrix (m, n) is a sum of $k = \min(m, n)$ products of a column and a row, its *singular value decomposition* $W = U S V$. $S$ says how much each
counts, the largest first. The first $r$ alone are the nearest that a product of (m, r) and (r, n) can come to $W$ (Eckart and Young, 1936). $m n$
weights become $r (m + n)$: fewer only where $r < m n / (m + n)$.

**Your turn.** The two factors, from `u`, `s` and `v`. `factorize` (given) makes two Linear layers of them.
"""

# %% nbgrader={"grade": false, "grade_id": "low-rank", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def low_rank_approximate(weight, rank):
    """Two factors, (m, rank) and (rank, n), whose product is as near as can be to a matrix (m, n), or to the weight of a Linear.

    Eckart and Young, 1936.  ValueError unless 1 ≤ rank ≤ min(m, n).
    """
    array = check_array("low_rank_approximate", weight=weight.weight if isinstance(weight, Linear) else weight)
    check_whole("low_rank_approximate", rank=rank)
    if not np.isfinite(array).all():
        raise ValueError("low_rank_approximate: there is nan or infinity in the weight")
    if array.ndim != 2 or not 1 <= rank <= min(array.shape):
        raise ValueError(f"low_rank_approximate: a matrix, and a rank from 1 to its shorter side wanted, not {array.shape} and {rank}")
    u, s, v = np.linalg.svd(array, full_matrices=False)          # (m, k), (k,), (k, n)
    ### BEGIN SOLUTION
    return u[:, :rank] * s[:rank], v[:rank]
    ### END SOLUTION


def factorize(layer, rank):
    """Two Linear layers in the place of one: in -> rank -> out, the second with its bias."""
    layers = []
    for factor in low_rank_approximate(layer, rank):
        layers.append(new := copy.copy(layer))
        (new.in_features, new.out_features), new.weight, new.bias = factor.shape, Parameter(factor.copy(), dtype=factor.dtype), None
    new.bias = copy.deepcopy(layer.bias)
    return Sequential(*layers)

# %% nbgrader={"grade": true, "grade_id": "test-low-rank", "locked": true, "points": 10, "schema_version": 3, "solution": false, "task": false}
def test_unit_low_rank():
    """Two thin factors that come as near as can be."""
    rng = np.random.default_rng(0)
    for shape in ((5, 3), (3, 5)):
        w = rng.normal(size=shape)
        u, s, v = np.linalg.svd(w, full_matrices=False)
        product = lambda given=w, rank=2: np.matmul(*low_rank_approximate(given, rank))
        expect.same(lambda: [f.shape for f in low_rank_approximate(w, 2)], [(shape[0], 2), (2, shape[1])], "two thin factors",
                    hint="keep `rank` columns of u and `rank` rows of v", raises={ValueError: "u[:, :rank] has the columns that s[:rank] belongs to"})
        expect.close(product, u[:, :2] * s[:2] @ v[:2], "their product is the nearest", mistaken={
            "multiply by s: it says how much each counts": u[:, :2] @ v[:2], "s counts once: in one of the factors": u[:, :2] * s[:2] ** 2 @ v[:2],
            "the largest come first": u[:, -2:] * s[-2:] @ v[-2:]}, hint="u[:, :rank] * s[:rank] and v[:rank]")
    layer, x = Linear(5, 4), Tensor(rng.normal(size=(2, 5)))
    expect.close(lambda: product(layer, 4), layer.weight, "a Linear stands for its weight; of full rank it comes back")
    expect.same(lambda: low_rank_approximate(w.astype(float32), 1)[0].dtype, float32, "float32 stays float32")
    expect.close(lambda: factorize(layer, 4)(x), layer(x), "two layers in the place of one")
    expect.raises(ValueError, lambda: low_rank_approximate(w, 4), "no rank above the shorter side", match="rank (3, 5) 4")

test_unit_low_rank()

# %% tags=["analysis"]
layer, x = wide[3], randn(256, 512)                              # Linear(512, 256)
for rank in (171, 128, 64, 16, 8):
    setattr(thin := copy.deepcopy(wide), "3", factorize(layer, rank))
    times, few = compare({"one": lambda: layer(x), "two": lambda: thin[3](x)}), sum(p.size for p in thin[3].parameters())
    print(f"rank {rank:3}: {few:7,} parameters, {times['one'].median / times['two'].median:.2f} times as fast, {right(thin):.1%} right")

# %% [markdown]
r"""
## 9 · A teacher

A small network can be taught by a large one. "A 7, but it might be a 1, and hardly a 5" says more than "a 7". A *temperature* $T$ above 1 softens the
answers of both, so that small chances count. With $p = \text{softmax}(\text{teacher} / T)$ and $q = \text{softmax}(\text{student} / T)$:

$$\text{loss} = \alpha\, T^2\, \frac1n \sum_{\text{rows}} \sum_c p_c \,(\log p_c - \log q_c) \;+\; (1 - \alpha)\, \text{cross-entropy}$$

The sum over $c$ is the *Kullback-Leibler divergence*, 0 where both agree. $T^2$ makes up for gradients that $T$ made smaller (Hinton et al., 2015).

**Your turn.** `log_softmax` takes each row by itself. The gradient goes to the student, not to the teacher: `teacher_logits.detach()` does not know
how it was made.
"""

# %% nbgrader={"grade": false, "grade_id": "distillation-loss", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
@composed
def distillation_loss(student_logits, teacher_logits, targets, temperature=3.0, alpha=0.7):
    """alpha · T² · KL(teacher ‖ student), both softened by the temperature T, plus (1 - alpha) · cross-entropy: logits (n, C) -> one number.

    Hinton et al., Distilling the Knowledge in a Neural Network, 2015.  No gradient goes to the teacher.
    """
    check_kind("distillation_loss", Tensor, student_logits=student_logits, teacher_logits=teacher_logits)
    check_number("distillation_loss", temperature=temperature)
    check_number("distillation_loss", 0, 1, alpha=alpha)
    if not temperature:
        raise ValueError(f"the temperature must be above 0 and alpha from 0 to 1, not {temperature} and {alpha}")
    ### BEGIN SOLUTION
    log_p = log_softmax(teacher_logits.detach() / temperature)
    log_q = log_softmax(student_logits / temperature)
    soft = (log_p.exp() * (log_p - log_q)).sum(dim=-1).mean()
    return alpha * temperature * temperature * soft + (1 - alpha) * cross_entropy(student_logits, targets)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-distillation-loss", "locked": true, "points": 10, "schema_version": 3, "solution": false, "task": false}
def test_unit_distillation_loss():
    """Softened answers, softened alike, and the labels."""
    rng = np.random.default_rng(0)
    s, t, y, T = rng.normal(size=(4, 3)), rng.normal(size=(4, 3)), np.array([0, 2, 1, 2]), 2.5
    log = lambda z: z - np.log(np.exp(z).sum(-1, keepdims=True))
    kl = lambda z, w: (np.exp(log(z)) * (log(z) - log(w))).sum() / 4
    student, hard, soft = tensor(s, float64, requires_grad=True), -log(s)[np.arange(4), y].mean(), T * T * kl(t / T, s / T)
    teacher = tensor(t, float64, requires_grad=True)
    loss = lambda alpha: distillation_loss(student, teacher, y, T, alpha)
    expect.close(lambda: loss(0.0), hard, "alpha = 0: the labels alone", mistaken={"alpha belongs to the teacher, 1 - alpha to the labels": soft})
    expect.close(lambda: loss(1.0), soft, "alpha = 1: the teacher alone", mistaken={
        "multiply by T²": soft / T / T, "T squared": soft / T, "soften the student too": T * T * kl(t / T, s),
        "soften the teacher too": T * T * kl(t, s / T), "divide the scores by T": T * T * kl(t * T, s * T),
        "the teacher's chances are the weights: KL(teacher ‖ student)": T * T * kl(s / T, t / T),
        "add up the classes, then the mean of the rows": soft / 3, "the mean of the rows, not their sum": soft * 4,
        "KL is 0 where both agree: take log q from log p": -T * T * (np.exp(log(t / T)) * log(s / T)).sum() / 4,
        "log p - log q, not the other way": -soft, "1 - alpha for the labels": soft + hard},
        hint="α T² · sum of p (log p - log q) / n", raises={AttributeError: "arrays have no gradient: student_logits stays a Tensor"})
    expect.close(lambda: loss(0.3), 0.3 * soft + 0.7 * hard, "both")
    slope, cut = (np.exp(log(s / T)) - np.exp(log(t / T))) * T / 4, "the student's way was cut: operations only, no .data"
    expect.close(lambda: grad(loss(1.0), student)[0], slope, "the gradient: T · (q - p) / n", mistaken={cut: lambda got: not got.any()},
                 raises={RuntimeError: cut})
    expect.same(lambda: grad(loss(0.5), teacher, allow_unused=True)[0], None, "none for the teacher", hint="teacher_logits.detach()")
    expect.same(lambda: distillation_loss(Tensor(s), Tensor(t), y).dtype, float32, "float32 stays float32")
    expect.raises(ValueError, lambda: distillation_loss(student, teacher, y, 0.0), "a temperature of 0 is refused", match="temperature")

test_unit_distillation_loss()

# %%
#| export
class KnowledgeDistillation:
    """A student that learns from a teacher's answers (alpha) and from the labels (1 - alpha)."""
    def __init__(self, teacher, student, temperature=3.0, alpha=0.7):
        check_kind("KnowledgeDistillation", Module, teacher=teacher, student=student)
        check_number("KnowledgeDistillation", temperature=temperature)
        check_number("KnowledgeDistillation", 0, 1, alpha=alpha)
        self.teacher, self.student, self.temperature, self.alpha = teacher, student, temperature, alpha

    def loss(self, x, targets):
        """The `distillation_loss` of a batch.  The teacher is switched to evaluation, and nothing of it is recorded."""
        self.teacher.eval()
        with no_grad():
            wanted = self.teacher(x)
        return distillation_loss(self.student(x), wanted, targets, self.temperature, self.alpha)

    def train_epoch(self, loader, optimizer):
        """One pass over a loader, the student in training mode: the mean loss of its samples."""
        self.student.train()
        total = samples = 0
        for x, targets in batches(loader):
            optimizer.zero_grad()
            loss = self.loss(x, targets)
            loss.backward()
            optimizer.step()
            total, samples = total + loss.item() * len(targets), samples + len(targets)
        return total / samples

# %% [markdown]
"""
Six students with 32 hidden numbers, alone and taught by the large network, and the difference pair by pair. First with 100 labels, then with all.
"""

# %% tags=["analysis"]
def student(seed, digits, epochs, alpha):
    """The accuracy in percent of a small network that learns from these digits."""
    pair, loader = KnowledgeDistillation(wide, network(seed, 32), temperature=2.0, alpha=alpha), Moved(digits, seed)
    optimizer, schedule = SGD(pair.student.parameters(), lr=0.1, momentum=0.9), CosineSchedule(0.1, 0.0, epochs)
    for epoch in range(epochs):
        optimizer.param_groups[0]["lr"] = schedule.get_lr(epoch)
        pair.train_epoch(loader, optimizer)
    return 100 * right(pair.student)


for n, epochs in (100, 100), (1437, 15):
    some = [np.random.default_rng(seed).permutation(train)[:n] for seed in range(6)]
    alone, taught = ([student(seed, digits, epochs, alpha) for seed, digits in enumerate(some)] for alpha in (0.0, 0.9))
    gain = np.subtract(taught, alone)
    reach = 2.57 * gain.std(ddof=1) / math.sqrt(6)               # Student's t for 6 pairs: 95 of 100 such intervals hold the truth
    print(f"{n:4} labels: alone {np.mean(alone):.2f} %, taught {np.mean(taught):.2f} %, gain {gain.mean():+.2f} ± {reach:.2f} points", gain.round(1))

# %% [markdown]
"""
Mind what it proves: the teacher saw all labels, and hands on some of what they said. A student that has all labels itself gains nothing to speak of.

## 10 · All together

A plan names techniques; `Compressor` (given) carries them out on a copy, lets you train in between, and counts what is left.
"""

# %%
#| export
def low_rank_model(model, share):
    """Put two Linear layers of that share of the rank in the place of each but the last, where that is smaller, and return the model."""
    places = [(module, name, layer) for module in model.modules() for name, layer in vars(module).items() if isinstance(layer, Linear)]
    for module, name, layer in places[:-1]:
        (m, n), rank = layer.weight.shape, max(1, round(share * min(layer.weight.shape)))
        if rank * (m + n) < m * n:
            setattr(module, name, factorize(layer, rank))
    return model


class Compressor:
    """A plan for a model: some of {"structured_prune": ratio, "low_rank": share of the rank, "magnitude_prune": sparsity}.

    They are carried out in this order, on a copy.  After each, `finetune(model, masks)` may train it; masks is None but for magnitude_prune.
    `dtype` is that of the weights in the file whose bytes `report` tells, as in `save_sparse`.
    """
    techniques = {"structured_prune": structured_prune, "low_rank": low_rank_model, "magnitude_prune": magnitude_prune}

    def __init__(self, plan, finetune=None, dtype=None):
        check_kind("Compressor", Mapping, plan=plan)
        check_kind("Compressor", Callable, none=True, finetune=finetune)
        if dtype is not None:
            check_float("Compressor", dtype=dtype)
        if unknown := set(plan) - set(self.techniques):
            raise ValueError(f"Compressor: a plan has {', '.join(self.techniques)}, not {', '.join(sorted(unknown))}")
        self.plan, self.finetune, self.dtype, self.report = dict(plan), finetune, dtype, {}

    def compress(self, model):
        """The smaller copy; `report` has what `storage` counts before, and after each technique."""
        self.report, model = {"before": storage(model)}, copy.deepcopy(model)
        for name in (name for name in self.techniques if name in self.plan):
            result = self.techniques[name](model, self.plan[name])
            model, masks = (model, result) if isinstance(result, Masks) else (result, None)
            if self.finetune:
                self.finetune(model, masks)
            self.report[name] = storage(model, self.dtype)
        return model


def compress_model(model, plan, finetune=None, dtype=None):
    """A smaller copy of a model by a plan, and the report: see `Compressor`."""
    compressor = Compressor(plan, finetune, dtype)
    return compressor.compress(model), compressor.report

# %% tags=["analysis"]
def tune(model, masks):
    """Ten epochs more, with the masks if there are any."""
    optimizer = SGD(model.parameters(), lr=0.05, momentum=0.9)
    with (masks or Masks({}, {})).held(optimizer):
        Trainer(model, optimizer, cross_entropy, CosineSchedule(0.05, 0.0, 10)).fit(Moved(train), 10, progress=False)


for plan in ({"structured_prune": 0.5}, {"low_rank": 0.25}, {"magnitude_prune": 0.9}, {"structured_prune": 0.5, "magnitude_prune": 0.8}):
    model, report = compress_model(wide, plan, tune, "float16")
    before, *_, last = report.values()
    print(f"{plan}: {last['nonzero']:,} numbers, {before['dense_bytes'] / last['sparse_bytes']:.1f} × smaller on disk, {right(model):.1%} right")

# %% nbgrader={"grade": true, "grade_id": "test-module", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_module():
    """Everything together: a network is pruned, stored, cut, taught, and still does what it did."""
    rng = np.random.default_rng(0)
    x, net = Tensor(rng.normal(size=(60, 6))), lambda hidden: Sequential(Linear(6, hidden), ReLU(), Linear(hidden, 3))
    y = (x.numpy() @ rng.normal(size=(6, 3))).argmax(1)
    manual_seed(0)
    model = net(24)
    masks = prune_and_finetune(model, [(x, y)], [(0.0, 20), (0.5, 20), (0.75, 40)], optimizer=lambda p: SGD(p, lr=0.2, momentum=0.9),
                               evaluate=lambda m: cross_entropy(m(x), y).item())
    expect.close(lambda: measure_sparsity(model), 0.75, "three weights of four are 0 after the training", tol=0.003)
    expect.true(lambda: masks.history[-1]["tuned"] < 0.5 * masks.history[-1]["pruned"], "and the others learned to do without them")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.npz"
        expect.true(lambda: save_sparse(model, path) == path.stat().st_size == storage(model)["sparse_bytes"], "the bytes are those on disk")
        expect.close(lambda: load_sparse(net(24), path)(x), model(x), "the file gives the model back", tol=1e-6)
        expect.raises(ValueError, lambda: load_sparse(net(23), path), "not to another model", match="load_sparse")
    conv = Sequential(Conv2d(1, 4, 3), BatchNorm2d(4), ReLU(), MaxPool2d(2), Flatten(), Linear(16, 6), ReLU(), Linear(6, 3)).eval()
    conv[0].weight.data[[1, 3]], conv[0].bias.data[[1, 3]], conv[5].weight.data[:, ::2], conv[5].bias.data[::2] = 0.0, 0.0, 0.0, 0.0
    cut, picture = structured_prune(conv, 0.5), Tensor(rng.normal(size=(2, 1, 6, 6)))
    expect.close(lambda: cut(picture), conv(picture), "without the outputs that were 0, the answers are the same")
    expect.same(lambda: [cut[0].weight.shape, cut[1].running_mean.shape, cut[5].weight.shape], [(2, 1, 3, 3), (2,), (8, 3)], "smaller arrays")
    pair = KnowledgeDistillation(model, net(4))
    first, optimizer = pair.loss(x, y).item(), SGD(pair.student.parameters(), lr=0.2)
    expect.true(lambda: [pair.train_epoch([(x, y)], optimizer) for _ in range(30)][-1] < 0.7 * first, "a student learns from it")
    smaller, report = compress_model(model, {"magnitude_prune": 0.9, "low_rank": 0.4})
    expect.same(lambda: list(report), ["before", "low_rank", "magnitude_prune"], "a plan is carried out in its order")
    expect.true(lambda: abs(measure_sparsity(smaller) - 0.9) < 0.02 and measure_sparsity(model) < 0.8, "on a copy")

test_module()

# %% [markdown]
"""
## 11 · In your own words

A friend sets 95 % of a network's weights to zero and says: "twenty times smaller and twenty times faster". What did you measure on both
counts? What must be done to make the first true, and what makes a network faster?
When would you rather train a small network from its first day?
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-pruning", "locked": false, "points": 5, "schema_version": 3, "solution": true, "task": false}
"""
An array of zeros is as large as any other; stored as values and gaps the file was about 16 times smaller, and with float16 above 20. A product that
skips zeros was slower for a matrix in the cache, and somewhat faster for a large one. What makes it faster is a smaller matrix: whole outputs must
go. Where the right size is known and the data are there, a small network does as well. Pruning is for large ones that exist, or to find the size.
"""

# %% [markdown]
"""
## Where you are

Masks that hold, files without zeros, layers with fewer rows, thin factors, and students. Next: `tito module complete 18`.
"""
