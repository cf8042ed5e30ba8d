# %% [markdown]
"""
# 09 Spatial

> A small set of weights that looks at every place of a picture in the same way.

So far a picture was a list of numbers, in any order. But a picture has neighbours. You write the convolution as seven loops, turn it into one
matrix product, find its gradients, and build a network that reads handwriting better.
"""

# %% nbgrader={"grade": false, "grade_id": "start", "locked": true, "schema_version": 3, "solution": false, "task": false}
import tito.notebook     # where this fails, open the notebook with: tito module open 09
from tito.check import expect

tito.notebook.use(9)

# %%
#| default_exp core.spatial
#| view nn

# %% nbgrader={"grade": false, "grade_id": "imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
import functools
import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tinytorch.core.autograd import bare, gradient, run
from tinytorch.core.layers import MOST, Module, Parameter, check_kind, check_number, check_whole, kaiming_uniform
from tinytorch.core.tensor import Tensor, composed, flatten, ones, op, stack, unsqueeze, zeros        # noqa: F401

_all_ = ["flatten"]                     # module 01's, which networks of pictures need

# %% nbgrader={"grade": false, "grade_id": "tools", "locked": true, "schema_version": 3, "solution": false, "task": false}
import timeit

from tinytorch.core.activations import ReLU, relu
from tinytorch.core.autograd import grad, gradcheck
from tinytorch.core.layers import Flatten, Linear, Sequential
from tinytorch.core.losses import cross_entropy
from tinytorch.core.tensor import float32, float64, manual_seed, randn, tensor


def seconds(call, repeat=5):
    """How long `call()` takes: the shortest of a few times."""
    return min(timeit.repeat(call, number=1, repeat=repeat))

# %% [markdown]
"""
## 1 · One pixel to the right

A `Linear` layer learns to read 8×8 digits. Then it sees the same test digits once more, moved by one pixel. A reader would hardly notice.
"""

# %% tags=["analysis"]
import matplotlib.pyplot as plt

from tinytorch.core.optimizers import SGD
from tinytorch.core.training import Trainer
from tinytorch.data.loader import DataLoader, TensorDataset, load_digits

images, labels = map(np.asarray, load_digits().tensors)          # (1797, 1, 8, 8), (1797,)
mixed = np.random.default_rng(0).permutation(len(images))
train, held_out = mixed[:1437], mixed[1437:]
moved = np.roll(images, 1, axis=3)                               # one pixel to the right


def trained(model, epochs, lr=0.1):
    """The model after a few epochs on the training digits."""
    loader = DataLoader(TensorDataset(Tensor(images[train]), Tensor(labels[train])), batch_size=32, shuffle=True)
    Trainer(model, SGD(model.parameters(), lr=lr, momentum=0.9), cross_entropy).fit(loader, epochs)
    return model.eval()


def right(model, pictures):
    """The share of the held-out digits that the model reads rightly."""
    return (model(Tensor(pictures[held_out])).numpy().argmax(1) == labels[held_out]).mean()


manual_seed(0)
dense = trained(Sequential(Flatten(), Linear(64, 10)), 20)
print(f"as they are {right(dense, images):.1%}, moved by a pixel {right(dense, moved):.1%}")

# %% [markdown]
r"""
The layer has a weight for each *place*. What it learned about column 3 it does not know about column 4. And places are many: to make 64 numbers of
each pixel of a photograph, 224×224 in 3 colours, it would need 224·224·3 · 224·224·64 = 483,385,147,392 weights.

Two ideas help. **Neighbours**: what belongs together in a picture is close together. **Sharing**: an edge is an edge wherever it is, so the same
weights look for it everywhere. With both, for 3×3 neighbours, 3·3·3·64 = 1,728 weights do. Such a layer is a *convolution*, and its small sets of
weights are *kernels* or *filters*.

## 2 · Seven loops

```
   picture x (5×5)             kernel w (3×3)        result y (3×3)
   1  0  0  2  1
   0 ┌2──1──0┐ 1                1  0 -1
   3 │1  0  1│ 2        ×       1  0 -1        ──►   y[1, 1] = 2 + 1 + 0 - 0 - 1 - 2 = 0
   1 │0  2  2│ 0                1  0 -1
   0 └───────┘ ...
```

Lay the kernel on the picture, multiply what lies on one another, add up: one number. Move on by one place, do it again.

How many places are there? On an axis of size $n$ with $p$ zeros at either end (*padding*), a kernel of size $k$ whose numbers are $d$ places apart
(*dilation*), moving by $s$ places each time (*stride*), finds the first, and one more for every whole step that is left:

$$\left\lfloor \frac{n + 2p - \mathrm{span}}{s} \right\rfloor + 1 \qquad \mathrm{span} = d\,(k-1) + 1$$

**Your turn.** A kernel that is too large is a ValueError, whose message names `span` and the size with its padding.
"""

# %% nbgrader={"grade": false, "grade_id": "output-size", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def output_size(size, kernel, stride=1, padding=0, dilation=1):
    """How many places a kernel finds along an axis: five whole numbers -> one.  ValueError where it does not fit.

    >>> output_size(224, 7, stride=2, padding=3)
    112
    """
    check_whole("output_size", 0, size=size, padding=padding)
    check_whole("output_size", kernel=kernel, stride=stride, dilation=dilation)
    ### BEGIN SOLUTION
    room, span = size + 2 * padding, dilation * (kernel - 1) + 1
    if span > room:
        raise ValueError(f"a kernel that spans {span} does not fit into {room} (padding included)")
    return (room - span) // stride + 1
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-output-size", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
def test_unit_output_size():
    """How many places a kernel finds."""
    expect.same(lambda: output_size(3, 3), 1, "a kernel as large as the axis has one place", mistaken={
        "the first place counts too: + 1": 0}, hint="divide with //, which gives a whole number",
        raises={ValueError: "raise only where the span is LARGER"})
    expect.same(lambda: output_size(7, 3, stride=3), 2, "three places at a time; a last step that is not whole is left out", mistaken={
        "only whole steps of `stride` count: divide by it": 5, "divide what is left after the first place, then add 1": 1, "round down: //": 3})
    expect.same(lambda: output_size(9, 3, dilation=3), 3, "3 numbers, 3 places apart, span 7", mistaken={
        "the span is d · (k - 1) + 1, not d · k": 1, "dilation makes the kernel wider: it spans d · (k - 1) + 1": 7})
    expect.same(lambda: output_size(2, 3, padding=1), 2, "a kernel that fits only with the padding", mistaken={
        "padding is put at both ends": 1}, raises={ValueError: "compare the span with the size and its padding"})
    expect.raises(ValueError, lambda: output_size(3, 4), "a kernel that is too large", match="4 3",
                  hint="raise where span > size + 2 * padding")
    expect.raises(ValueError, lambda: output_size(3, 3, padding=1, dilation=3), "or spans too much", match="7 5",
                  hint="compare the span, not the kernel, with the size and its padding")

test_unit_output_size()

# %% [markdown]
r"""
A real picture has channels: 3 colours, or 64 results of the layer before. The kernel has weights for each channel, and the sum runs over them too.
One kernel finds one thing, so there are several, each giving a channel of the result:

$$y[n, o, i, j] = \sum_{c}\sum_{u}\sum_{v} x[n, c, i s + u, j s + v] \cdot w[o, c, u, v]$$

Pictures are `x` (N, C, H, W): N of them, C channels, H lines, W columns. Kernels are `w` (O, C, kh, kw).

**Your turn.** As the formula says: four loops over the numbers of the result, three over what is added up. Plain arrays, one number at a time.
"""

# %% nbgrader={"grade": false, "grade_id": "conv2d-loops", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def conv2d_loops(x, w, stride=1):
    """The convolution as it is defined, with seven loops: arrays (N, C, H, W), (O, C, kh, kw) -> (N, O, oh, ow).  No padding.

    >>> conv2d_loops(np.ones((1, 1, 3, 3)), np.ones((1, 1, 2, 2))).tolist()
    [[[[4.0, 4.0], [4.0, 4.0]]]]
    """
    (N, C, H, W), (out, _, kh, kw) = x.shape, w.shape
    y = np.zeros((N, out, output_size(H, kh, stride), output_size(W, kw, stride)), x.dtype)
    ### BEGIN SOLUTION
    for n in range(N):
        for o in range(out):
            for i in range(y.shape[2]):
                for j in range(y.shape[3]):
                    for c in range(C):
                        for u in range(kh):
                            for v in range(kw):
                                y[n, o, i, j] += x[n, c, i * stride + u, j * stride + v] * w[o, c, u, v]
    return y
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-conv2d-loops", "locked": true, "points": 10, "schema_version": 3, "solution": false, "task": false}
def test_unit_conv2d_loops():
    """The convolution as the formula says it."""
    x, w = np.arange(16.0).reshape(1, 1, 4, 4), np.array([[[[1.0, 2.0], [0.0, -1.0]]]])
    expect.close(lambda: conv2d_loops(x, w), [[[[-3, -1, 1], [5, 7, 9], [13, 15, 17]]]], "one picture, one kernel", mistaken={
        "the kernel is laid on as it is, not turned round": [[[[13, 15, 17], [21, 23, 25], [29, 31, 33]]]],
        "the kernel's lines lie along the picture's lines: u goes with i, v with j": [[[[3, 5, 7], [11, 13, 15], [19, 21, 23]]]],
        "add the products up: +=": lambda got: np.allclose(got[0, 0], w[0, 0, 1, 1] * x[0, 0, 1:, 1:])},
        hint="add up x[n, c, i * stride + u, j * stride + v] * w[o, c, u, v], and nothing else",
        raises={IndexError: "i and j count the places of the result, u and v those of the kernel"})
    expect.close(lambda: conv2d_loops(x, w, stride=2), [[[[-3, 1], [13, 17]]]], "two places at a time", mistaken={
        "place i of the result begins at i * stride of the picture": [[[[-3, -1], [5, 7]]]],
        "only i and j are multiplied by stride, not u and v": lambda got: got[0, 0, 0, 0] != (x[0, 0, :2, :2] * w[0, 0]).sum()},
        hint="both axes move by `stride`")
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(2, 3, 5, 4)), rng.normal(size=(4, 3, 3, 2))
    seen = sliding_window_view(x, (3, 2), axis=(2, 3))
    expect.close(lambda: conv2d_loops(x, w), np.einsum("ncijuv,ocuv->noij", seen, w), "many pictures, channels and kernels", mistaken={
        "add up over all channels": lambda got: np.allclose(got, np.einsum("nijuv,ouv->noij", seen[:, 0], w[:, 0]))},
        hint="every index of the formula has its own loop", raises={IndexError: "c counts channels, o kernels: both stand in the formula"})

test_unit_conv2d_loops()

# %% [markdown]
"""
What does a kernel find? This one takes what is on its left from what is on its right: it answers to upright edges. Blue is above zero, red below.
"""

# %% tags=["analysis"]
def draw(axis, picture, title):
    """A picture: blue above zero, red below."""
    axis.imshow(picture, cmap="RdBu", vmin=-abs(picture).max(), vmax=abs(picture).max()); axis.set_title(title, fontsize=9); axis.axis("off")

digit, upright = images[train[3:4]], np.array([[[[-1.0, 0.0, 1.0]] * 3]])       # (1, 1, 8, 8), (1, 1, 3, 3)
figure, axes = plt.subplots(1, 3, figsize=(8, 2.6))
for axis, picture, title in zip(axes, (digit, upright, conv2d_loops(digit, upright)), ("a digit", "kernel", "result")):
    draw(axis, picture[0, 0], title)
plt.show()

# %% [markdown]
"""
And how long does it take? The first layer of ResNet has 64 kernels of 7×7 for pictures of 224×224 in 3 colours, with stride 2 and padding 3. Every
number of the result is 7·7·3 products and as many additions:
"""

# %% tags=["analysis"]
places = output_size(224, 7, stride=2, padding=3) ** 2
flops = places * 64 * (7 * 7 * 3) * 2
print(f"{places:,} places, {flops:,} operations")

x, w = np.ones((1, 3, 16, 16), float32), np.ones((2, 3, 7, 7), float32)
slow = seconds(lambda: conv2d_loops(x, w), 1) / (10 * 10 * 2 * 7 * 7 * 3 * 2)
print(f"the loops: {slow * 1e9:.0f} ns an operation, {slow * flops:.0f} s for one picture")

# %% [markdown]
"""
## 3 · Patches become rows

A matrix product is far faster than loops. Where is the matrix? What the kernel sees at one place is a *patch*. Write each patch as one row, the
kernel as one column, and every number of the result is a row times a column:

```
  picture 3×3       patches 2×2            rows (4, 4)            kernel (4, 1)     result

  a b c          a b    b c              ┌ a b d e ┐                ┌ p ┐          ┌ y00 ┐
  d e f          d e    e f              │ b c e f │                │ q │          │ y01 │       y00 y01
  g h i    ──►                     ──►   │ d e g h │        @       │ r │     =    │ y10 │  ──►
                 d e    e f              └ e f h i ┘                └ s ┘          └ y11 ┘       y10 y11
                 g h    h i
```

So a convolution is the `Linear` layer of module 03, used on every patch. NumPy's `sliding_window_view` shows all windows without copying any.

**Your turn.** `seen` holds *every* window of the full span. Keep each `stride`-th place along both axes, and inside the windows each `dilation`-th
number. Then bring the channel to the end, as `(N, oh, ow, kh, kw, C)`. Slices and `transpose` copy nothing.
"""

# %% nbgrader={"grade": false, "grade_id": "patches", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def patches(x, kernel, stride, dilation):
    """What a kernel sees at each place, copying nothing: an array (N, C, H, W) and three pairs -> a view (N, oh, ow, kh, kw, C).

    >>> patches(np.zeros((8, 3, 32, 32)), (5, 5), (2, 2), (1, 1)).shape
    (8, 14, 14, 5, 5, 3)
    """
    span = [d * (k - 1) + 1 for k, d in zip(kernel, dilation)]
    seen = sliding_window_view(x, span, axis=(2, 3))             # (N, C, places, places, span, span)
    ### BEGIN SOLUTION
    seen = seen[:, :, ::stride[0], ::stride[1], ::dilation[0], ::dilation[1]]
    return seen.transpose(0, 2, 3, 4, 5, 1)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-patches", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_patches():
    """Every patch is seen where it lies."""
    x = np.arange(2 * 3 * 7 * 8.0).reshape(2, 3, 7, 8)
    expect.same(lambda: patches(x, (3, 2), (1, 1), (1, 1)).shape, (2, 5, 7, 3, 2, 3), "the shape: (N, oh, ow, kh, kw, C)", mistaken={
        "the channel comes last": (2, 3, 5, 7, 3, 2)}, hint="first the places, then the kernel's lines before its columns, then the channel")
    expect.same(lambda: patches(x, (2, 2), (2, 3), (1, 1)).shape, (2, 3, 3, 2, 2, 3), "stride 2 down, 3 across", mistaken={
        "keep every stride-th place: [::stride]": (2, 6, 7, 2, 2, 3), "the stride of the lines comes first": (2, 2, 4, 2, 2, 3)},
        hint="stride belongs to the places, which are axes 2 and 3 of `seen`")
    expect.same(lambda: patches(x, (3, 2), (1, 1), (2, 3)).shape, (2, 3, 5, 3, 2, 3), "dilation 2 down, 3 across", mistaken={
        "inside the windows keep every dilation-th number": (2, 3, 5, 5, 4, 3), "the dilation of the lines comes first": (2, 3, 5, 2, 2, 3)},
        hint="dilation belongs inside the windows, the last two axes of `seen`")
    expect.same(lambda: patches(x, (2, 2), (2, 3), (2, 3))[0, 1, 1, :, :, 1], x[0, 1, 2:5:2, 3:7:3], "place (1, 1) begins at line 2, column 3",
                hint="keep every stride-th place, and inside the windows every dilation-th number, from 0 on")
    expect.true(lambda: np.shares_memory(patches(x, (3, 3), (1, 1), (1, 1)), x), "nothing is copied",
                hint="slices and transpose give views; reshape and np.array copy")

test_unit_patches()

# %% [markdown]
"""
Padding happens before anything else, so that nobody after it needs to know of it; its gradient cuts the frame off again. `lines` and `taps` turn the
view round: not what *one place* sees, but what *one position of the kernel* sees over all places. That is a slice too. (Given.)
"""

# %%
#| export
@op
def frame(x, pads, value=0.0):
    """x (N, C, H, W) with `value` around it, channels last in memory; `pads` is ((top, bottom), (left, right)).  x itself where they are 0."""
    if not any(map(any, pads)):
        return x
    return np.pad(x.transpose(0, 2, 3, 1), ((0, 0), *pads, (0, 0)), constant_values=value).transpose(0, 3, 1, 2)

gradient(frame)(lambda g, pads, shape: g[:, :, pads[0][0]:pads[0][0] + shape[2], pads[1][0]:pads[1][0] + shape[3]])     # what is inside

def lines(x, dim, kernel, stride, dilation, places):
    """What each position of a kernel sees along axis `dim` of x: a list of `kernel` slices, `places` long there."""
    before, end = (slice(None),) * dim, stride * (places - 1) + 1
    return [x[(*before, slice(k * dilation, k * dilation + end, stride))] for k in range(kernel)]

def taps(x, dim, kernel, stride, dilation, places):
    """The same for axes `dim` and `dim + 1`, line by line; the settings are pairs."""
    down, across = zip(kernel, stride, dilation, places)
    return [tap for line in lines(x, dim, *down) for tap in lines(line, dim + 1, *across)]

def _pair(value, name, least=1, axes=2):
    """A setting for both axes, (vertical, horizontal), from one whole number or two.  ValueError where one is below `least`."""
    each = [value] if type(value) is int else np.array(value, object).ravel().tolist()
    each = [int(v) if isinstance(v, np.integer) else v for v in each] * (axes if len(each) == 1 else 1)
    if len(each) != axes or any(type(v) is not int for v in each):
        raise TypeError(f"{name} is a whole number{', or one for each axis' if axes > 1 else ''}, not {value!r:.60}")
    if min(each) < least or max(each) > MOST:
        raise ValueError(f"{name} must be at least {least}, and at most {MOST:,}, not {value!r:.60}")
    return tuple(each)

# %%
print([line.tolist() for line in lines(np.arange(7), 0, kernel=3, stride=2, dilation=1, places=3)])

# %% [markdown]
"""
Most books write the patches as *columns*, with a function `im2col`. Its way back, `col2im`, puts every number where it came from. What comes back to
one pixel from several patches **adds up**.

```
  im2col  a b c   ──►  a b d e        col2im     each pixel gets the sum of its copies:  e was in all
          d e f        b c e f  …                four patches, so e comes back four times as large
```

**Your turn.** `im2col`: from `seen` make (N, C · kh · kw, places), rows in the order channel, kernel line, kernel column. `col2im`: `cols` comes
as (N, C, kh · kw, oh, ow), and `taps` gives the slice of `out` that each of the kh · kw kernel positions saw. Add.
"""

# %% nbgrader={"grade": false, "grade_id": "im2col", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
@op
def im2col(x, kernel_size, stride=1, padding=0, dilation=1):
    """Each patch as a column: (N, C, H, W) -> (N, C · kh · kw, places).  `x` is an array here.  As `torch.nn.functional.unfold`.

    >>> im2col(Tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), (1, 2)).tolist()
    [[[1.0, 3.0], [2.0, 4.0]]]
    """
    x = run(frame, x, tuple((p, p) for p in _pair(padding, "padding", 0)))
    seen = patches(x, _pair(kernel_size, "kernel_size"), _pair(stride, "stride"), _pair(dilation, "dilation"))
    n, oh, ow, kh, kw, c = seen.shape
    ### BEGIN SOLUTION
    return seen.transpose(0, 5, 3, 4, 1, 2).reshape(n, c * kh * kw, oh * ow)
    ### END SOLUTION


@op
def col2im(cols, size, kernel_size, stride=1, padding=0, dilation=1):
    """The way back: columns to images (N, C, H, W) of `size` (H, W), adding up where patches overlap.  As `torch.nn.functional.fold`.

    >>> col2im(ones(1, 2, 4), (2, 3), (1, 2)).tolist()
    [[[[1.0, 2.0, 1.0], [1.0, 2.0, 1.0]]]]
    """
    if np.ndim(cols) != 3:
        raise ValueError(f"columns (N, C · kh · kw, places) wanted, not {np.shape(cols)}")
    kernel, stride, dilation = _pair(kernel_size, "kernel_size"), _pair(stride, "stride"), _pair(dilation, "dilation")
    (h, w), (down, across) = size, _pair(padding, "padding", 0)
    places, count = [output_size(*each) for each in zip(size, kernel, stride, (down, across), dilation)], math.prod(kernel)
    cols = cols.reshape(len(cols), cols.shape[1] // count, count, *places)      # (N, C, kh · kw, oh, ow)
    out = np.zeros((*cols.shape[:2], h + 2 * down, w + 2 * across), cols.dtype)
    ### BEGIN SOLUTION
    for k, tap in enumerate(taps(out, 2, kernel, stride, dilation, places)):
        tap += cols[:, :, k]
    return out[:, :, down:down + h, across:across + w]
    ### END SOLUTION

gradient(im2col)(lambda g, kernel_size, stride, padding, dilation, shape: run(col2im, g, shape[2:], kernel_size, stride, padding, dilation))
gradient(col2im)(lambda g, kernel_size, stride, padding, dilation: run(im2col, g, kernel_size, stride, padding, dilation))

# %% nbgrader={"grade": true, "grade_id": "test-im2col", "locked": true, "points": 10, "schema_version": 3, "solution": false, "task": false}
def test_unit_im2col():
    """Patches become columns, and columns a picture."""
    x = np.arange(18.0).reshape(1, 2, 3, 3)
    want = np.add.outer([0, 1, 3, 4, 9, 10, 12, 13], [0, 1, 3, 4])[None].astype(float)
    expect.close(lambda: im2col(Tensor(x), 2), want, "four patches of 2 channels, 2x2", mistaken={
        "each patch is a column: swap the last two axes": want.swapaxes(1, 2),
        "channel first, then the kernel's line and column": lambda got: got.shape == (1, 8, 4) and not np.allclose(got, want)},
        raises={ValueError: "(n, c * kh * kw, oh * ow) has as many numbers as `seen`"})
    expect.close(lambda: col2im(Tensor(np.ones((1, 8, 4))), (3, 3), 2)[0, 1], [[1, 2, 1], [2, 4, 2], [1, 2, 1]],
                 "in how many patches each pixel is", mistaken={
        "where patches overlap, add: +=": np.ones((3, 3)), "nothing arrived in `out`: add in place, tap += …": np.zeros((3, 3))},
        hint="every tap gets its part of cols")
    places = np.arange(25.0).reshape(1, 1, 25)
    expect.close(lambda: col2im(Tensor(places), (3, 3), 1, padding=1)[0, 0], [[6, 7, 8], [11, 12, 13], [16, 17, 18]],
                 "what lay in the frame is dropped, at both ends", mistaken={
        "the frame is cut off: h lines from `down` on, w columns from `across` on": lambda got: got.shape == (5, 5)},
        hint="return the part of `out` that is inside the frame")
    pixels = tensor(np.random.default_rng(0).normal(size=(2, 2, 7, 6)), float64, requires_grad=True)
    expect.true(lambda: gradcheck(lambda t: im2col(t, (3, 2), stride=2, padding=1, dilation=(1, 2)), pixels),
                "the gradient of im2col is col2im", hint="col2im must add each number where im2col took it from")

test_unit_im2col()

# %% [markdown]
"""
## 4 · In pieces that stay in the cache

`w.reshape(O, -1) @ im2col(x, kernel_size)` is a convolution now. But every pixel is in 9 patches of 3×3, so the columns are 9 times as large as the
picture, too large for the processor's cache. So we make the rows of a few patches, multiply them, and go on to the next few. Given: `in_parts` says
which places are done together, `rows_of` copies their patches, `by_group` shows a picture (n, oh, ow, O) as rows.

*Groups* cut the channels into parts that do not see each other: with 2 groups the first half of the kernels sees the first half of the channels.
Each is a product of its own, so all rows below are `(groups, places, numbers)`, and a matrix product of stacks does them all.
"""

# %%
#| export
CACHE = 1 << 17                 # so many numbers of rows are made at a time
# What large arrays leave goes back to the system, and comes again page by page, which is slow.  One freed early tells glibc to keep it.
np.empty(2 ** 25 - 2 ** 16, np.uint8)

def in_parts(shape):
    """The places of patches (N, oh, ow, kh, kw, C) in parts (images, lines), two slices: several images, or some lines of one."""
    n, height, *line = shape
    count = max(1, CACHE // math.prod(line))                                 # lines at a time
    images, rows = max(1, count // height), min(count, height)
    return [(slice(i, i + images), slice(r, min(r + rows, height))) for i in range(0, n, images) for r in range(0, height, rows)]

def rows_of(seen, groups):
    """Patches (n, oh, ow, kh, kw, C) as rows: (groups, places, kh · kw · C / groups)."""
    *places, kh, kw, c = seen.shape
    seen, count, width = seen.reshape(*places, kh, kw, groups, c // groups), math.prod(places), kh * kw * c // groups
    if kw * c < places[2]:                                                   # few numbers a patch: copy along the lines instead
        return seen.transpose(5, 3, 4, 6, 0, 1, 2).reshape(groups, width, count).mT
    return seen.transpose(5, 0, 1, 2, 3, 4, 6).reshape(groups, count, width)

def by_group(y, groups):
    """Images (n, oh, ow, O) as rows: (groups, places, O / groups).  A view, where y is one piece of memory."""
    return y.reshape(-1, groups, y.shape[3] // groups).transpose(1, 0, 2)

# %% [markdown]
"""
**Your turn.** For each `part`, one matrix product: the rows of its patches times `columns`, the weights. Write it straight into its place with
`np.matmul(…, …, out=by_group(y[part], groups))`. Then add the bias `b` (O,) to this part of y, unless it is None.
"""

# %% nbgrader={"grade": false, "grade_id": "convolve", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
@op
def convolve(x, w, b, stride, dilation, groups):
    """x (N, C, H, W), w (O, C / groups, kh, kw), b (O,) or None -> (N, O, oh, ow).  Arrays here; padding is `frame`'s."""
    seen, (out, fan_in, kh, kw) = patches(x, w.shape[2:], stride, dilation), w.shape
    columns = w.reshape(groups, -1, fan_in, kh, kw).transpose(0, 3, 4, 2, 1).reshape(groups, -1, out // groups)
    y = np.empty((*seen.shape[:3], out), np.result_type(x, w))
    for part in in_parts(seen.shape):
        ### BEGIN SOLUTION
        np.matmul(rows_of(seen[part], groups), columns, out=by_group(y[part], groups))
        if b is not None:
            y[part] += b
        ### END SOLUTION
    return y.transpose(0, 3, 1, 2)

# %% nbgrader={"grade": true, "grade_id": "test-convolve", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_convolve():
    """One matrix product for each part gives what the seven loops give."""
    rng = np.random.default_rng(0)
    x, w, b = rng.normal(size=(2, 4, 6, 5)), rng.normal(size=(6, 4, 3, 2)), rng.normal(size=6)
    make = lambda *arrays: [Tensor(a, dtype=float64) for a in arrays]
    expect.close(lambda: convolve(*make(x, w), None, (1, 1), (1, 1), 1), conv2d_loops(x, w), "as the loops say",
                 hint="rows of patches @ columns of weights; write the product into by_group(y[part], groups)",
                 raises={TypeError: "b may be None: then nothing is added",
                         ValueError: "rows (groups, places, k) @ columns (groups, k, O / groups) -> out=by_group(y[part], groups)"})
    expect.close(lambda: convolve(*make(x, w, b), (2, 2), (1, 1), 1), conv2d_loops(x, w, 2) + b[:, None, None],
                 "stride 2, and a bias for each kernel", mistaken={"add the bias": conv2d_loops(x, w, 2)})
    halves = np.concatenate([conv2d_loops(x[:, :2], w[:3, :2]), conv2d_loops(x[:, 2:], w[3:, :2])], 1)
    expect.close(lambda: convolve(*make(x, w[:, :2]), None, (1, 1), (1, 1), 2), halves, "two groups", hint="pass `groups` on")
    x, w, b = np.ones((4, 8, 40, 40)), np.ones((2, 8, 3, 3)), np.array([1.0, 2.0])
    expect.close(lambda: convolve(*make(x, w, b), (1, 1), (1, 1), 1)[:, :, 5, 5], 72 + np.tile(b, (4, 1)), "in many parts", mistaken={
        "add the bias to y[part] only, not to all of y each time": lambda got: got[0, 0] > 72 + b[0]})

test_unit_convolve()

# %% tags=["analysis"]
x, w = frame(randn(32, 16, 28, 28), ((1, 1), (1, 1))), randn(32, 16, 3, 3)
print(f"the loops     {slow * 32 * 28 * 28 * 32 * (16 * 3 * 3) * 2:.0f} s")
print(f"all columns   {seconds(lambda: w.reshape(32, -1) @ im2col(x, 3), 9) * 1e3:.1f} ms, {im2col(x, 3).numpy().nbytes / 1e6:.1f} MB of them")
print(f"rows in parts {seconds(lambda: convolve(x, w, None, (1, 1), (1, 1), 1), 9) * 1e3:.1f} ms, {4 * CACHE / 1e6:.1f} MB at a time")

# %% [markdown]
"""
## 5 · Backwards

The result is `rows @ columns`, so module 05 knows the gradients: `rows.T @ g` for the weights, `g @ columns.T` for the rows. The rows were copies
of pixels, so their gradients add up where they came from, as in `col2im`:

```
  weights   (kh·kw·C, O)   =  Σ over parts   rows.mT (kh·kw·C, places)  @  g (places, O)
  picture   tap k of dx   +=                 g (places, O)  @  weights of tap k (O, C)
```

Tap k, position k of the kernel, has a matrix (O, C) of its own, and the slice of `dx` that it saw is one of `taps`.

**Your turn.** One line in each loop. `slopes` (kh · kw, groups, places, C / groups) holds what each tap gets: one product of
`by_group(g[images, rows], groups)` and `per_tap`.
"""

# %% nbgrader={"grade": false, "grade_id": "convolve-gradients", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
@op
def convolve_weight(x, g, kernel, stride, dilation, groups):
    """The gradient of `convolve` for w: x (N, C, H, W), g (N, O, oh, ow) -> (O, C / groups, kh, kw).  Arrays here."""
    seen, g = patches(x, kernel, stride, dilation), g.transpose(0, 2, 3, 1)
    out, fan_in = g.shape[3] // groups, x.shape[1] // groups
    dw = np.zeros((groups, math.prod(kernel) * fan_in, out), np.result_type(x, g))
    for part in in_parts(seen.shape):
        ### BEGIN SOLUTION
        dw += rows_of(seen[part], groups).mT @ by_group(g[part], groups)
        ### END SOLUTION
    return dw.reshape(groups, *kernel, fan_in, out).transpose(0, 4, 3, 1, 2).reshape(-1, fan_in, *kernel)


@op
def convolve_input(g, w, size, stride, dilation, groups):
    """The gradient of `convolve` for x: g (N, O, oh, ow), w (O, C / groups, kh, kw), size (H, W) -> (N, C, H, W).  Arrays here."""
    (n, _, *places), (_, fan_in, *kernel) = g.shape, w.shape
    g, dx = g.transpose(0, 2, 3, 1), np.zeros((n, *size, fan_in * groups), np.result_type(g, w))
    per_tap = w.reshape(groups, -1, fan_in, math.prod(kernel)).transpose(3, 0, 1, 2).copy()     # (kh · kw, groups, O / groups, C / groups)
    for images, rows in in_parts((n, *places, *kernel, fan_in * groups)):
        below, here = dx[images, rows.start * stride[0]:], (rows.stop - rows.start, places[1])
        ### BEGIN SOLUTION
        slopes = by_group(g[images, rows], groups) @ per_tap
        ### END SOLUTION
        for slope, tap in zip(slopes, taps(below, 1, kernel, stride, dilation, here)):
            tap += slope.transpose(1, 0, 2).reshape(tap.shape)
    return dx.transpose(0, 3, 1, 2)

# %%
#| export
# Each of the three is linear in both of its inputs, and its gradients are the other two: it can be differentiated as often as you like.
gradient(convolve_weight)(lambda h, x, g, stride, dilation, groups: (         # h: the gradient of what dw is used for
    run(convolve_input, g, h, x.shape[2:], stride, dilation, groups), run(convolve, x, h, None, stride, dilation, groups)))
gradient(convolve_input)(lambda h, g, w, stride, dilation, groups: (
    run(convolve, h, w, None, stride, dilation, groups), run(convolve_weight, h, g, w.shape[2:], stride, dilation, groups)))

@gradient(convolve)
def _(g, need, x, w, stride, dilation, groups):
    dx = run(convolve_input, g, w, x.shape[2:], stride, dilation, groups) if need[0] else None
    dw = run(convolve_weight, x, g, w.shape[2:], stride, dilation, groups) if need[1] else None
    return dx, dw, g.sum(axis=2).sum(axis=(0, 2)) if need[2] else None       # along the lines first: long runs of memory

# %% nbgrader={"grade": true, "grade_id": "test-convolve-gradients", "locked": true, "points": 12, "schema_version": 3, "solution": false, "task": false}
def test_unit_convolve_gradients():
    """The gradients of a convolution agree with small steps."""
    rng = np.random.default_rng(0)
    x, w, g = rng.normal(size=(2, 4, 6, 5)), rng.normal(size=(6, 4, 3, 2)), rng.normal(size=(2, 6, 4, 4))
    make = lambda *arrays: [Tensor(a, dtype=float64) for a in arrays]
    want = np.einsum("nijuvc,noij->ocuv", patches(x, (3, 2), (1, 1), (1, 1)), g)
    expect.close(lambda: convolve_weight(*make(x, g), (3, 2), (1, 1), (1, 1), 1), want, "for the weights",
                 raises={ValueError: "rows.mT (groups, k, places) @ g by group (groups, places, O / groups)"},
                 hint="a sum over all places: rows of patches, turned round, @ g")
    dot = g[:, :, :1, :1]
    expect.close(lambda: convolve_input(*make(dot, w), (3, 2), (1, 1), (1, 1), 1), np.einsum("noij,ocuv->ncuv", dot, w),
                 "for the picture: the kernels, where the slope is", hint="taps come in the kernel's order, as `per_tap` has them",
                 raises={ValueError: "slopes = g by group (groups, places, O / groups) @ per_tap"})
    big, each = np.ones((4, 8, 40, 40)), np.ones((4, 1, 38, 38)) * np.arange(4.0)[:, None, None, None]
    expect.close(lambda: convolve_weight(*make(big, each), (3, 3), (1, 1), (1, 1), 1), np.full((1, 8, 3, 3), 6 * 38 * 38.0),
                 "many parts add up", mistaken={"add the parts up: +=": lambda got: got.max() < 6 * 38 * 38})
    expect.close(lambda: convolve_input(*make(each, np.ones((1, 8, 3, 3))), (40, 40), (1, 1), (1, 1), 1)[:, 0, 20, 20], [0, 9, 18, 27],
                 "each part of the picture gets its own", hint="take g[images, rows], the part, not all of g")
    for stride, dilation, groups in [((1, 1), (1, 1), 1), ((2, 1), (1, 2), 1), ((1, 2), (2, 1), 2)]:
        inputs = [tensor(a, float64, requires_grad=True) for a in (x, w[:, :4 // groups], rng.normal(size=6))]
        expect.true(lambda: gradcheck(lambda *t: convolve(*t, stride, dilation, groups), inputs),
                    f"stride {stride}, dilation {dilation}, groups {groups}",
                    hint="the small steps disagree: pass `groups` on, and leave stride and dilation to `patches` and `taps`")

test_unit_convolve_gradients()

# %% [markdown]
"""
`conv2d` says what does not fit, then frames and convolves. `padding="same"` adds as much as the kernel takes away. `conv1d` sees a line as a picture
of one line. (Given.)
"""

# %%
#| export
def _of_images(function):
    """A function of images (N, C, H, W), which then takes a single one (C, H, W) too, refuses what is none, and tells its name in errors."""
    @composed
    @functools.wraps(function)
    def checked(x, *args, **settings):
        x = x if isinstance(x, Tensor) else Tensor(x)
        if x.dtype.kind != "f":
            raise TypeError(f"floats wanted, not {x.dtype}: divide by the largest value, or give Tensor a dtype")
        if x.ndim not in (3, 4) or 0 in x.shape[-3:]:
            raise ValueError(f"images (N, C, H, W) wanted, or one without N; this shape is {x.shape}")
        return function(x, *args, **settings) if x.ndim == 4 else function(unsqueeze(x, 0), *args, **settings)[0]
    return checked

def _pads_of(padding, kernel, stride, dilation):
    """`padding` as ((top, bottom), (left, right))."""
    if isinstance(padding, str) and (padding not in ("same", "valid") or padding == "same" and max(stride) > 1):
        raise ValueError(f"padding is numbers, 'valid', or (with stride 1) 'same'; not {padding!r} with stride {stride}")
    if padding == "same":
        return tuple((d * (k - 1) // 2, d * (k - 1) - d * (k - 1) // 2) for k, d in zip(kernel, dilation))
    return tuple((p, p) for p in _pair(0 if padding == "valid" else padding, "padding", 0))

@_of_images
def conv2d(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """x (N, C, H, W), weight (O, C / groups, kh, kw), bias (O,) -> (N, O, oh, ow).  As `torch.nn.functional.conv2d`.

    `padding`: numbers, "valid" (none) or "same" (the size stays).  ValueError or TypeError, naming the shapes, where something does not fit.

    >>> conv2d(ones(1, 1, 3, 3), ones(1, 1, 2, 2)).tolist()
    [[[[4.0, 4.0], [4.0, 4.0]]]]
    """
    weight = weight if isinstance(weight, Tensor) else Tensor(weight)
    if weight.ndim != 4 or weight.dtype.kind != "f" or 0 in weight.shape:
        raise ValueError(f"a weight of floats (O, C / groups, kh, kw) wanted, not {weight.dtype} {weight.shape}")
    if groups < 1 or x.shape[1] != weight.shape[1] * groups or weight.shape[0] % groups:
        raise ValueError(f"{x.shape[1]} channels and {weight.shape[0]} kernels do not make {groups} groups of {weight.shape[1]} channels")
    if bias is not None and np.shape(bias) != weight.shape[:1]:
        raise ValueError(f"the bias has shape {np.shape(bias)}; {weight.shape[0]} kernels need ({weight.shape[0]},)")
    kernel, stride, dilation = weight.shape[2:], _pair(stride, "stride"), _pair(dilation, "dilation")
    x = frame(x, _pads_of(padding, kernel, stride, dilation))
    for size, k, d in zip(x.shape[2:], kernel, dilation):
        output_size(size, k, dilation=d)                                     # a ValueError where the kernel is too large
    return convolve(x, weight, bias, stride, dilation, groups)

@composed
def conv1d(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """x (N, C, L), weight (O, C / groups, k), bias (O,) -> (N, O, places).  As `torch.nn.functional.conv1d`."""
    if np.ndim(x) not in (2, 3):
        raise ValueError(f"lines (N, C, L) wanted, or one without N; this shape is {np.shape(x)}")
    stride, dilation = (1, *_pair(stride, "stride", axes=1)), (1, *_pair(dilation, "dilation", axes=1))
    padding = padding if isinstance(padding, str) else (0, *_pair(padding, "padding", 0, axes=1))
    return conv2d(unsqueeze(x, -2), unsqueeze(weight, -2), bias, stride, padding, dilation, groups).squeeze(-2)

# %% [markdown]
"""
**Your turn.** The layer draws `weight` and `bias` as `Linear` does, by `kaiming_uniform(shape, math.sqrt(5), fan_in=…, generator=generator)`.
`fan_in` is how many numbers go into one number of the result: a patch of the channels that its group sees.
"""

# %% nbgrader={"grade": false, "grade_id": "conv2d-layer", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
class Conv2d(Module):
    """A layer of kernels: (N, in_channels, H, W) -> (N, out_channels, oh, ow).  As `torch.nn.Conv2d`.

    >>> Conv2d(3, 16, 5, padding=2)(zeros(8, 3, 32, 32)).shape
    (8, 16, 32, 32)
    """
    function, axes = staticmethod(conv2d), 2

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True, *, generator=None):
        """Draw `weight` (out, in / groups, kh, kw), then `bias` (out,), or None."""
        name = type(self).__name__
        check_whole(name, in_channels=in_channels, out_channels=out_channels, groups=groups)
        check_kind(name, np.random.Generator, none=True, generator=generator)
        if in_channels % groups or out_channels % groups:
            raise ValueError(f"{name}: groups={groups} must divide {in_channels} input and {out_channels} output channels")
        self.in_channels, self.out_channels, self.kernel_size = in_channels, out_channels, _pair(kernel_size, f"{name}: kernel_size", axes=self.axes)
        for setting, value, least in ("stride", stride, 1), ("padding", padding, 0), ("dilation", dilation, 1):
            _pair(0 if setting == "padding" and isinstance(value, str) and value in ("valid", "same") else value, f"{name}: {setting}", least, self.axes)
        self.stride, self.padding, self.dilation, self.groups = stride, padding, dilation, groups
        ### BEGIN SOLUTION
        fan_in = in_channels // groups * math.prod(self.kernel_size)
        shape = out_channels, in_channels // groups, *self.kernel_size
        self.weight = Parameter(kaiming_uniform(shape, math.sqrt(5), fan_in=fan_in, generator=generator))
        self.bias = Parameter(kaiming_uniform((out_channels,), math.sqrt(5), fan_in=fan_in, generator=generator)) if bias else None
        ### END SOLUTION

    def forward(self, x):
        return self.function(x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


class Conv1d(Conv2d):
    """The same along one axis: (N, in_channels, L) -> (N, out_channels, places).  As `torch.nn.Conv1d`."""
    function, axes = staticmethod(conv1d), 1

# %% nbgrader={"grade": true, "grade_id": "test-conv2d-layer", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
def test_unit_conv2d_layer():
    """A layer of kernels has the right shapes, and starts at the right size."""
    layer = Conv2d(6, 40, (5, 3), groups=2)
    expect.same(lambda: [(name, p.shape) for name, p in layer.named_parameters()], [("weight", (40, 3, 5, 3)), ("bias", (40,))], "its parameters",
                hint="weight (out, in / groups, kh, kw), then bias (out,), both Parameters")
    expect.true(lambda: Conv2d(3, 4, 3, bias=False).bias is None, "no bias, if none is wanted", hint="look at `bias`")
    bound = 1 / math.sqrt(3 * 5 * 3)
    for p, least in ((layer.weight, 0.9), (layer.bias, 0.5)):
        expect.true(lambda: least * bound < abs(p.numpy()).max() <= bound, f"they go up to 1 / sqrt(fan_in) = {bound:.3f}",
                    hint="fan_in = in_channels / groups · kh · kw: what one number of the result is made of; the same fan_in, "
                         "and a = math.sqrt(5), for both")
    draw = lambda: [p.numpy() for p in Conv2d(2, 3, 3, generator=np.random.default_rng(0)).parameters()]
    expect.same(draw, draw(), "a generator makes them repeat", hint="pass generator=generator on, for both")

test_unit_conv2d_layer()

# %% [markdown]
"""
## 6 · Pooling

The deeper a layer, the less it matters *where exactly* something was. *Pooling* takes the largest (or the mean) of each window: fewer numbers, and a
shift by one pixel often changes nothing. A pool of 2×2 is two pools of 2, one along each axis:

```
  1 3 │ 2 0        3 │ 2
  4 2 │ 1 1   ──►  4 │ 1   ──►  4 2
```

The gradient goes to the number that was the largest. If several are equal (four zeros after a ReLU), the **first** gets all of it, as in PyTorch.

**Your turn.** `lines` gives what each position of the window sees. Forward: `np.maximum` of two of them, of that and the next, and so on:
`functools.reduce(function, list)` does that. Backward: go through the lines (all but the last), and give each the share of `g` where it equals
`out`; take that share off `g`, so that later ones cannot get it again. What is left is the last line's. `g` may be a Tensor: use `*` and `-`, and
write into nothing. `scatter_lines` (given) lays the shares where the lines were.
"""

# %%
#| export
@op
def scatter_lines(*parts, dim, size, stride, dilation):
    """Zeros of `size` along axis `dim`, with part k added at what position k of a kernel sees: the way back from `lines`."""
    (n, c, *image), places = parts[0].shape, parts[0].shape[dim]
    image[dim - 2], overlap = size, dilation * (len(parts) - 1) >= stride
    new = np.empty if not overlap and len(parts) * places == size else np.zeros     # where every number is written, none needs a zero
    out = new((n, *image, c), parts[0].dtype).transpose(0, 3, 1, 2)          # in memory the channels come last
    for line, part in zip(lines(out, dim, len(parts), stride, dilation, places), parts):
        np.add(line, part, out=line) if overlap else np.copyto(line, part)
    return out, {"how": (len(parts), stride, dilation, places)}

gradient(scatter_lines)(lambda g, dim, how: tuple(lines(g, dim, *how)))

# %% nbgrader={"grade": false, "grade_id": "max-along", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
@op
def max_along(x, dim, kernel, stride, dilation, places):
    """The largest number of each window along axis `dim`.  `x` is an array here.

    >>> max_along(Tensor([1.0, 3.0, 2.0, 0.0]), 0, kernel=2, stride=2, dilation=1, places=2)
    Tensor([3., 2.])
    """
    ### BEGIN SOLUTION
    return functools.reduce(np.maximum, lines(x, dim, kernel, stride, dilation, places))
    ### END SOLUTION

@gradient(max_along)
def _(g, x, out, dim, kernel, stride, dilation, places):
    """The gradient for x: all of g to the first maximum of each window."""
    shares, out = [], bare(out)
    *others, _ = lines(bare(x), dim, kernel, stride, dilation, places)
    ### BEGIN SOLUTION
    for line in others:
        shares.append(g * (line == out))
        g = g - shares[-1]
    ### END SOLUTION
    return run(scatter_lines, *shares, g, dim=dim, size=x.shape[dim], stride=stride, dilation=dilation)

# %% nbgrader={"grade": true, "grade_id": "test-max-along", "locked": true, "points": 10, "schema_version": 3, "solution": false, "task": false}
def test_unit_max_along():
    """The largest of each window, and its gradient to the first of them."""
    x = np.array([[[[-1.0, -3.0, -2.0, -5.0, -4.0, -6.0], [2.0, 7.0, 7.0, 1.0, 3.0, 3.0]]]])
    given = Tensor(x)
    expect.close(lambda: max_along(given, 3, 2, 2, 1, 3), [[[[-1, -2, -4], [7, 7, 3]]]], "windows of 2", mistaken={
        "the largest of negative numbers is negative: begin with a line, not with zeros": [[[[0, 0, 0], [7, 7, 3]]]],
        "the largest, not the smallest": [[[[-3, -5, -6], [2, 1, 3]]]]})
    expect.close(given, x, "x is as it was", hint="lines are views of x: do not write into them")
    expect.close(lambda: max_along(Tensor(-x), 3, 3, 1, 1, 4), [[[[3, 5, 5, 6], [-2, -1, -1, -1]]]], "windows of 3 that overlap",
                 hint="go through all of the lines")
    expect.close(lambda: max_along(Tensor(x), 2, 2, 1, 1, 1), [[[[2, 7, 7, 1, 3, 3]]]], "along the other axis", hint="pass `dim` on to `lines`")
    def slope(x, *how):
        x = tensor(x, float64, requires_grad=True)
        y = max_along(x, 3, *how)
        return grad(y, x, np.arange(1.0, y.size + 1).reshape(y.shape))[0][0, 0]
    shape = "a share has the shape of g: g * (line == out)"
    expect.close(lambda: slope(x, 2, 2, 1, 3), [[1, 0, 2, 0, 3, 0], [0, 4, 5, 0, 6, 0]], "the gradient goes to the largest", mistaken={
        "where two are equal, only the first gets it": [[1, 0, 2, 0, 3, 0], [0, 4, 5, 0, 6, 6]],
        "the FIRST of two equal ones gets it": [[1, 0, 2, 0, 3, 0], [0, 4, 5, 0, 0, 6]],
        "multiply by g: the chain rule": lambda got: np.isin(got[0], (0, 1)).all(),
        "take that share off g: what is left is the last line's": [[1, 1, 2, 2, 3, 3], [0, 4, 5, 5, 6, 6]]},
        hint="g times (line == out), for each line", raises={RuntimeError: shape, ValueError: shape})
    expect.close(lambda: slope(np.array([[[[1.0, 1.0, 1.0, 2.0, 0.0]]]]), 3, 1, 1, 3), [[1, 0, 0, 5, 0]], "also in windows of 3 that overlap",
                 hint="take what a line got off g, for all lines after it")
    g = np.array([[[[1.0, 2.0, 3.0]] * 2]])
    def kept():
        max_along.rule.run(g, x, max_along.__wrapped__(x, 3, 2, 2, 1, 3), 3, 2, 2, 1, 3)
        return g[0, 0, 0]
    expect.close(kept, [1, 2, 3], "g is as it was", hint="others look at g: make a new one, g = g - share")
    line = tensor(x[:, :, :1], float64, requires_grad=True)
    first = lambda t: grad((max_along(t, 3, 3, 1, 1, 4) ** 2).sum(), t, create_graph=True)[0]
    expect.true(lambda: gradcheck(first, line), "it can be differentiated twice", hint="compute the shares from g with * and -", raises={
        (AttributeError, TypeError, ValueError, RuntimeError): "g may be a Tensor: only * and - with it, and no writing into it"})

test_unit_max_along()

# %% [markdown]
r"""
The rest is arithmetic. With `ceil_mode` a last window may stick out at the end, but must begin inside. A maximum is padded with $-\infty$, which
never wins; a mean can count its zeros or not (`count_include_pad`). (Given.)
"""

# %%
#| export
@op
def sum_along(x, dim, kernel, stride, dilation, places):
    """The sum of each window along axis `dim`."""
    return functools.reduce(np.add, lines(x, dim, kernel, stride, dilation, places))

gradient(sum_along)(lambda g, dim, kernel, stride, dilation, shape: run(
    scatter_lines, *[g] * kernel, dim=dim, size=shape[dim], stride=stride, dilation=dilation))

def _pool_axes(x, kernel_size, stride, padding, dilation, ceil_mode):
    """For axes 2 and 3 of x: what `lines` wants to know, and the padding (before, after) that the windows need."""
    kernel, stride = _pair(kernel_size, "kernel_size"), _pair(kernel_size if stride is None else stride, "stride")
    axes, pads = [], []
    for dim, size, k, s, p, d in zip((2, 3), x.shape[2:], kernel, stride, _pair(padding, "padding", 0), _pair(dilation, "dilation")):
        if p > k // 2:
            raise ValueError(f"padding {p} is more than half of the kernel, {k}")
        places = min(output_size(size + (s - 1 if ceil_mode else 0), k, s, p, d), -(-(size + p) // s))
        axes.append((dim, k, s, d, places))
        pads.append((p, max(0, s * (places - 1) + d * (k - 1) + 1 - size - p)))
    return axes, tuple(pads)

@_of_images
def max_pool2d(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    """The largest number of each window: (N, C, H, W) -> (N, C, oh, ow); stride None: the kernel's.  As `torch.nn.functional.max_pool2d`.

    >>> max_pool2d(Tensor([[[[1.0, 3.0, 2.0, 0.0], [4.0, 2.0, 1.0, 1.0]]]]), 2)
    Tensor([[[[4., 2.]]]])
    """
    axes, pads = _pool_axes(x, kernel_size, stride, padding, dilation, ceil_mode)
    x = frame(x, pads, -math.inf)
    for axis in reversed(axes):                                  # within each line first: of equal numbers the first is torch's first
        x = max_along(x, *axis)
    return x

@_of_images
def avg_pool2d(x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """The mean of each window: (N, C, H, W) -> (N, C, oh, ow); stride None is the kernel's.  As `torch.nn.functional.avg_pool2d`."""
    axes, pads = _pool_axes(x, kernel_size, stride, padding, 1, ceil_mode)
    inner = tuple((p, min(p, after)) for p, after in pads)       # what sticks out behind it is never counted
    count = run(frame, np.ones((1, 1, *x.shape[2:])), inner, float(count_include_pad))
    count, x = run(frame, count, tuple((0, after - p) for (_, after), (_, p) in zip(pads, inner))), frame(x, pads)
    for axis in axes:
        x, count = sum_along(x, *axis), run(sum_along, count, *axis)
    return x * Tensor(1.0 / count, dtype=x.dtype)

@_of_images
def adaptive_avg_pool2d(x, output_size):
    """The means of `output_size` windows that cover each image: (N, C, H, W) -> (N, C, *output_size); None keeps a size.  As torch's."""
    wanted = output_size if isinstance(output_size, (tuple, list)) else (output_size, output_size)
    counts = _pair([size if n is None else n for size, n in zip(x.shape[2:], wanted, strict=True)], "output_size")
    for dim, size, n in zip((2, 3), x.shape[2:], counts):
        ends = [(k * size // n, -(-(k + 1) * size // n)) for k in range(n)]                  # rounded down, and up
        x = stack([x[(*[slice(None)] * dim, slice(*end))].mean(dim) for end in ends], dim)
    return x

# %%
#| export
class Pool(Module):
    """A function of images and its settings as an object: (N, C, H, W) -> (N, C, oh, ow)."""
    def forward(self, x):
        return self.function(x, **{name: value for name, value in vars(self).items() if name != "training"})


def _checked(pool):
    """ValueError or TypeError unless the settings of a Pool are those of windows."""
    for setting, value in vars(pool).items():
        if setting in ("kernel_size", "stride", "padding", "dilation"):
            _pair(value, f"{type(pool).__name__}: {setting}", int(setting != "padding"))


class MaxPool2d(Pool):
    """`max_pool2d` as an object.  As `torch.nn.MaxPool2d`."""
    function = staticmethod(max_pool2d)

    def __init__(self, kernel_size, stride=None, padding=0, dilation=1, *, ceil_mode=False):
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.dilation, self.ceil_mode = padding, dilation, ceil_mode
        _checked(self)


class AvgPool2d(Pool):
    """`avg_pool2d` as an object.  As `torch.nn.AvgPool2d`."""
    function = staticmethod(avg_pool2d)

    def __init__(self, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.ceil_mode, self.count_include_pad = padding, ceil_mode, count_include_pad
        _checked(self)


class AdaptiveAvgPool2d(Pool):
    """`adaptive_avg_pool2d` as an object.  As `torch.nn.AdaptiveAvgPool2d`."""
    function = staticmethod(adaptive_avg_pool2d)

    def __init__(self, output_size):
        sizes = output_size if isinstance(output_size, (tuple, list)) else [output_size]
        _pair([1 if n is None else n for n in sizes], "AdaptiveAvgPool2d: output_size")
        self.output_size = output_size

# %%
x = Tensor(np.arange(25.0).reshape(1, 1, 5, 5))
print(max_pool2d(x, 2).tolist(), max_pool2d(x, 2, ceil_mode=True).shape)
print(avg_pool2d(x, 3, stride=2, padding=1)[0, 0].tolist())
print(adaptive_avg_pool2d(x, 2)[0, 0].tolist())

# %% [markdown]
"""
## 7 · Batch norm

Eight pictures go through twenty convolutions with ReLUs. By how much do they differ from one another on the way?
"""

# %%
def differences(layers):
    """How much a number differs from picture to picture, after every fifth layer."""
    x, sizes = randn(8, 16, 12, 12), []
    for layer in layers:
        x = relu(layer(x))
        sizes.append(x.numpy().std(axis=0).mean())
    return [f"{size:.1e}" for size in sizes[4::5]]

manual_seed(0)
print(differences([Conv2d(16, 16, 3, padding=1) for _ in range(20)]))

# %% [markdown]
r"""
At the end nobody can tell the pictures apart: what is left comes from the biases. *Batch normalisation* puts every channel back: subtract its mean
over the batch and all places, divide by its standard deviation, and let two learned numbers choose scale and shift.

$$\hat x = \frac{x - \mu}{\sqrt{\sigma^2 + \varepsilon}} \qquad y = \gamma\,\hat x + \beta$$

In training $\mu$ and $\sigma^2$ are those of the batch. In use there may be one picture only, so the layer keeps running averages from training:
$r \leftarrow (1 - m)\,r + m\,\mathrm{new}$, with $m$ = `momentum`. The running variance gets the *unbiased* one, $\sigma^2 \cdot \frac{n}{n-1}$ for
$n$ numbers a channel.

**Your turn.** `moments` of (N, C, L): `.mean(axis=…)` first over N, then over L, and operators only, since the gradient will call it with Tensors
too. Then move the running arrays in place, in training and unless they are None, and make `y` (N, C, L) from `flat`, `mean` and `var`. A (C,) lines
up with (N, C, L) as `[:, None]`.
"""

# %% nbgrader={"grade": false, "grade_id": "batch-norm", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def moments(x):
    """Mean and variance of each channel: (N, C, L), an array or a Tensor -> two of (C,)."""
    ### BEGIN SOLUTION
    mean = x.mean(axis=0).mean(axis=1)
    away = x - mean[:, None]
    return mean, (away * away).mean(axis=0).mean(axis=1)
    ### END SOLUTION

@op
def batch_norm(x, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5):
    """Each channel of x (N, C, …) with mean 0 and variance 1, times `weight`, plus `bias`.  As `torch.nn.functional.batch_norm`.

    In training by the batch's own mean and variance, which also move `running_mean` and `running_var` (C,) in place; else by these.
    """
    if np.ndim(x) < 2 or x.dtype.kind != "f":
        raise ValueError(f"floats (N, C, …) wanted, not {np.asarray(x).dtype} {np.shape(x)}")
    if not training and running_mean is None:
        raise ValueError("without running statistics only training=True works")
    n, flat = x.size // max(x.shape[1], 1), x.reshape(*x.shape[:2], math.prod(x.shape[2:]))             # (N, C, L)
    if training and n < 2:
        raise ValueError(f"in training a channel needs more than {n} number{'s' * (n != 1)}")
    mean, var = moments(flat) if training else (running_mean, running_var)
    ### BEGIN SOLUTION
    if training and running_mean is not None:
        running_mean += momentum * (mean - running_mean)
        running_var += momentum * (var * (n / (n - 1)) - running_var)
    y = flat - mean[:, None]
    y *= ((1.0 if weight is None else weight) / np.sqrt(var + eps))[:, None]
    if bias is not None:
        y += bias[:, None]
    ### END SOLUTION
    return y.reshape(x.shape)

# %% nbgrader={"grade": true, "grade_id": "test-batch-norm", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_batch_norm():
    """Every channel is put back to mean 0 and variance 1."""
    x = np.array([[[1.0, 3.0], [10.0, 20.0]], [[5.0, 7.0], [30.0, 40.0]]])                # channels 1 3 5 7 and 10 20 30 40
    away, var = x - [[4.0], [25.0]], np.array([[5.0], [125.0]])
    expect.close(lambda: moments(x), [[4.0, 25.0], [5.0, 125.0]], "mean and variance: one number for each channel, over N and L", mistaken={
        "each channel has its own mean": lambda got: got[0][0] == got[0][1],
        "the variance to divide by is the mean of squares, not the unbiased one": [[4.0, 25.0], [20 / 3, 500 / 3]],
        "the variance is the mean of the squares, without a root": [[4.0, 25.0], np.sqrt([5.0, 125.0])],
        "the mean of squares, not of absolute differences": [[4.0, 25.0], [2.0, 10.0]]})
    given, want = Tensor(x), away / np.sqrt(var + 1e-5)
    expect.close(lambda: batch_norm(given, None, None, training=True, eps=15.0), away / np.sqrt(var + 15), "mean 0, variance nearly 1",
                 raises={TypeError: "the running statistics may be None"}, mistaken={
        "divide by the root of the variance": away / (var + 15), "take the mean away": x / np.sqrt(var + 15),
        "eps stands inside the root": away / (np.sqrt(var) + 15)})
    expect.close(given, x, "x is as it was", hint="give y an array of its own")
    of_x = lambda *args, **more: batch_norm(Tensor(x), *args, **more)
    expect.close(lambda: of_x(None, None, Tensor([2.0, -1.0]), Tensor([0.5, 7.0]), training=True), want * [[2.0], [-1.0]] + [[0.5], [7.0]],
                 "a scale and a shift for each channel", hint="times weight[:, None], plus bias[:, None]")
    mean, var = Tensor([1.0, 2.0]), Tensor([4.0, 9.0])
    in_use = (x - mean.numpy()[:, None]) / np.sqrt(var.numpy()[:, None] + 1e-5)
    expect.close(lambda: of_x(mean, var, momentum=0.5), in_use, "in use: by the running statistics", mistaken={
        "only training moves them": lambda got: np.allclose(got * np.sqrt(7 / 6), in_use)})
    expect.close(lambda: of_x(mean, var, training=True, momentum=0.2), want, "in training: by the batch's own")
    expect.close(mean, [1.6, 6.6], "the running mean goes a fifth of the way", mistaken={
        "momentum is the share of the new value": [3.4, 20.4], "move it in place: +=": [1.0, 2.0]},
        hint="running_mean += momentum * (mean - running_mean)")
    expect.close(var, [0.8 * 4 + 0.2 * 20 / 3, 0.8 * 9 + 0.2 * 500 / 3], "and so does the running variance", mistaken={
        "the running variance gets the unbiased one: n / (n - 1)": [0.8 * 4 + 0.2 * 5, 0.8 * 9 + 0.2 * 125],
        "move it in place: +=": [4.0, 9.0]}, hint="times n / (n - 1): a little more than the mean of squares")
    expect.same(lambda: (of_x(None, None, training=True).dtype, of_x(mean, var).dtype), (float32, float32), "float32 stays float32")

test_unit_batch_norm()

# %% [markdown]
r"""
### Its gradient

$\mu$ and $\sigma$ are made of $x$. Whoever treats them as constants gets a wrong gradient, and does not notice. Two facts give the right one: adding
a number to a whole channel changes nothing, and neither does stretching it. So the gradient loses what points in these two directions:

$$\mathrm{d}x = \frac{\gamma}{\sqrt{\sigma^2 + \varepsilon}} \left( g - \overline{g} - \hat x \cdot \overline{g\,\hat x} \right)$$

with means over a channel, as above. Without training the statistics *are* constants, and only the factor is left.

**Your turn.** `x` and `g` are (N, C, L), arrays or Tensors: use operators, and `.mean(axis=0).mean(axis=1)` as above. `weight` may be None.
"""

# %% nbgrader={"grade": false, "grade_id": "batch-norm-gradient", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def batch_norm_gradient(g, x, mean, var, weight, training, eps):
    """For y = batch_norm(x): (gradient for x, x̂), from g and x (N, C, L), `mean` and `var` (C,), and `weight` (C,) or None."""
    ### BEGIN SOLUTION
    scale = 1.0 / np.sqrt(var + eps)
    normal = (x - mean[:, None]) * scale[:, None]
    if training:
        g = g - g.mean(axis=0).mean(axis=1)[:, None] - normal * (g * normal).mean(axis=0).mean(axis=1)[:, None]
    return g * (scale if weight is None else scale * weight)[:, None], normal
    ### END SOLUTION

@gradient(batch_norm)
def _(g, need, x, running_mean, running_var, weight, training, eps):
    shape, flat = x.shape, (*x.shape[:2], math.prod(x.shape[2:]))
    g, x = g.reshape(flat), x.reshape(flat)
    mean, var = moments(x) if training else (running_mean, running_var)
    dx, normal = batch_norm_gradient(g, x, mean, var, weight, training, eps)
    dw, db = ((t.sum(axis=0).sum(axis=1) if wanted else None) for t, wanted in ((g * normal, need[3]), (g, need[4])))
    return dx.reshape(shape), None, None, dw, db

# %% nbgrader={"grade": true, "grade_id": "test-batch-norm-gradient", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_batch_norm_gradient():
    """The gradient of batch norm agrees with small steps, because mean and variance are not constants."""
    rng = np.random.default_rng(0)
    x, g, w = rng.normal(size=(3, 2, 4)), rng.normal(size=(3, 2, 4)), np.array([2.0, -1.0])
    mean, var, average = x.mean((0, 2)), x.var((0, 2)), lambda t: t.mean((0, 2), keepdims=True)
    x.flags.writeable = g.flags.writeable = False                            # others look at them
    def formula(eps):
        root = np.sqrt(var + eps)[:, None]
        normal = (x - mean[:, None]) / root
        return w[:, None] / root, normal, normal * average(g * normal)
    scale, normal, along = formula(0.1)
    center = g - average(g)
    want = scale * (center - along)
    expect.close(lambda: batch_norm_gradient(g, x, mean, var, w, True, 0.1)[0], want, "in training", mistaken={
        "mean and variance are made of x: subtract both means": g * scale, "the variance is made of x too": scale * center,
        "the mean is made of x too": scale * (g - along), "multiply by the weight": want / w[:, None],
        "minus x̂ · mean(g · x̂), not plus": scale * (center + along), "means, not sums": scale * (g - 12 * (average(g) + along)),
        "the mean of g · x̂ is multiplied by x̂": scale * (center - average(g * normal)),
        "eps belongs into the root": formula(0.0)[0] * (center - formula(0.0)[2])},
        hint="g - mean(g) - x̂ · mean(g · x̂), all times weight / sqrt(var + eps): the root of the variance",
        raises={ValueError: "others look at g: make a new one"})
    expect.close(lambda: batch_norm_gradient(g, x, mean, var, w, False, 0.1)[0], g * scale, "without training they are constants", mistaken={
        "without training only the factor is left": want})
    expect.close(lambda: batch_norm_gradient(g, x, mean, var, None, True, 0.1)[1], normal, "x̂ comes second",
                 hint="x̂ = (x - mean) / sqrt(var + eps), without weight",
                 raises={TypeError: "weight may be None: then the factor is 1 / sqrt(var + eps)"})
    small = [t.astype("float32") for t in (g, x, mean, var, w)]
    expect.same(lambda: [t.dtype for t in batch_norm_gradient(*small, True, 0.1)], [float32, float32], "float32 stays float32",
                hint="use Python's numbers")
    for training in (True, False):
        inputs = [tensor(t.copy(), float64, requires_grad=True) for t in (x, w, rng.normal(size=2))]
        statistics = (None, None) if training else (Tensor(mean, dtype=float64), Tensor(var, dtype=float64))
        expect.true(lambda: gradcheck(lambda x, w, b: batch_norm(x, *statistics, w, b, training) ** 2, inputs), "small steps agree")
        slope = lambda x: (grad((batch_norm(x, *statistics, training=training) ** 3).sum(), x, create_graph=True)[0] ** 2).sum()
        expect.true(lambda: gradcheck(slope, inputs[0], rtol=1e-3), "also for the gradient of the gradient", raises={
            (AttributeError, TypeError, ValueError): "x and g may be Tensors: operators and .mean(axis=…) only"})

test_unit_batch_norm_gradient()

# %%
#| export
class BatchNorm2d(Module):
    """`batch_norm` with weights and running statistics: (N, C, H, W) -> the same shape.  As `torch.nn.BatchNorm2d`."""
    axes = (4,)

    def __init__(self, num_features, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True):
        name = type(self).__name__
        check_whole(name, num_features=num_features)
        check_number(name, eps=eps)
        check_number(name, 0, 1, none=True, momentum=momentum)
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        self.weight, self.bias = (Parameter(ones(num_features)), Parameter(zeros(num_features))) if affine else (None, None)
        buffers = (zeros(num_features), ones(num_features), Tensor(0)) if track_running_stats else (None, None, None)
        self.running_mean, self.running_var, self.num_batches_tracked = buffers              # plain Tensors: saved, and not trained

    def forward(self, x):
        if x.ndim not in self.axes or x.shape[1] != self.num_features:
            axes = " or ".join(map(str, self.axes))
            raise ValueError(f"{type(self).__name__}: {self.num_features} channels in {axes} axes wanted, not {x.shape}")
        momentum, by_batch = self.momentum, self.training or not self.track_running_stats
        if self.training and self.track_running_stats:
            self.num_batches_tracked.data += 1
            momentum = 1.0 / self.num_batches_tracked.item() if momentum is None else momentum       # None: the mean of all batches
        return batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, by_batch, momentum, self.eps)


class BatchNorm1d(BatchNorm2d):
    """The same for (N, C) and (N, C, L).  As `torch.nn.BatchNorm1d`."""
    axes = (2, 3)

# %%
manual_seed(0)
print(differences([Sequential(Conv2d(16, 16, 3, padding=1), BatchNorm2d(16)) for _ in range(20)]))
print({name: array.shape for name, array in BatchNorm2d(16).state_dict().items()})

# %% [markdown]
"""
## 8 · A network that reads

Two convolutions, each with a pool, and a `Linear` layer, on the digits of part 1:
"""

# %% tags=["analysis"]
manual_seed(0)
cnn = Sequential(Conv2d(1, 16, 3, padding=1), BatchNorm2d(16), ReLU(), MaxPool2d(2), Conv2d(16, 32, 3, padding=1), BatchNorm2d(32), ReLU(),
                 MaxPool2d(2), Flatten(), Linear(128, 10))
spent = seconds(lambda: trained(cnn, 10), 1)
print(f"{spent:.1f} s: as they are {right(cnn, images):.1%}, moved by a pixel {right(cnn, moved):.1%}")
print(f"Linear alone: {right(dense, images):.1%}, {right(dense, moved):.1%}")

# %% [markdown]
"""
What did it learn to look for? The 16 kernels of the first layer, and under each what it answers to the digit of part 2:
"""

# %% tags=["analysis"]
figure, axes = plt.subplots(4, 8, figsize=(9, 5))
for k, (kernel, answer) in enumerate(zip(cnn[0].weight.numpy(), cnn[0](Tensor(digit)).numpy()[0])):      # (1, 3, 3), (8, 8)
    draw(axes[k // 8 * 2, k % 8], kernel[0], f"kernel {k}")
    draw(axes[k // 8 * 2 + 1, k % 8], answer, "")
plt.show()

# %% nbgrader={"grade": true, "grade_id": "test-module", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_module():
    """Everything together: a small network learns to tell upright from level lines, wherever they are."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(64, 1, 8, 8)).astype(float32) * 0.1, np.arange(64) % 2
    for picture, level, at in zip(x, y, rng.integers(1, 7, 64)):
        (picture[0] if level else picture[0].T)[at] += 1.0
    manual_seed(0)
    net = Sequential(Conv2d(1, 4, 3, padding="same"), BatchNorm2d(4), ReLU(), MaxPool2d(2), Conv2d(4, 8, 3), ReLU(),
                     AdaptiveAvgPool2d(1), Flatten(), Linear(8, 2))
    for _ in range(30):
        net.zero_grad()
        loss = cross_entropy(net(Tensor(x)), y)
        loss.backward()
        for p in net.parameters():
            p.data -= 0.5 * p.grad.data
    expect.true(lambda: loss.item() < 0.1, "it learns", hint="a gradient is wrong: gradcheck each layer")
    expect.true(lambda: (net.eval()(Tensor(x)).numpy().argmax(1) == y).mean() > 0.9, "and knows it when it is used",
                hint="are the running statistics moved?")
    expect.close(lambda: AvgPool2d(2)(Tensor(x)), x.reshape(64, 1, 4, 2, 4, 2).mean((3, 5)), "means of windows")
    expect.close(lambda: Conv1d(1, 1, 3)(Tensor(x[:, 0, :1])).shape, (64, 1, 6), "lines have neighbours too")

test_module()

# %% [markdown]
"""
## 9 · In your own words

**Question 1.** A layer `Conv2d(64, 64, 3, padding=1)` works on 56×56 places. How many weights has it (without bias), and how many operations does
one picture take? Which of the two changes when the picture is twice as high and wide, and why?
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-cost", "locked": false, "points": 5, "schema_version": 3, "solution": true, "task": false}
"""
64·64·3·3 = 36,864 weights. Each of 56·56·64 results takes 3·3·64 products and additions: 56·56·64·576·2 = 231,211,008 operations. A picture twice
as high and wide has four times as many places: four times the operations, the same weights, because every place uses the same ones.
"""

# %% [markdown]
"""
**Question 2.** A network with batch norm is trained well. Somebody forgets `model.eval()` and asks it about one picture at a time. What goes wrong,
and what happens to the model meanwhile?
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-eval", "locked": false, "points": 5, "schema_version": 3, "solution": true, "task": false}
"""
Each picture is normalised by its own mean and variance instead of those of the training: the answer depends on what else is in the batch, and a
picture that is bright as a whole loses that. Worse, every question moves the running statistics towards the pictures asked about, so the saved
model changes by being used.
"""

# %% [markdown]
"""
## Where you are

Convolutions, pools and batch norm, each checked by something slower and simpler. Next: `tito module complete 09`. Then `tito milestone run 04`
reads digits better than the network of milestone 3, with fewer weights.
"""
