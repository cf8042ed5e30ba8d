"""One training step of a classifier of three layers: gradients forgotten, forward, loss, backward, Adam."""

from __future__ import annotations

import math
from types import ModuleType

import numpy as np

import tinytorch as tt
from benchmarks.measure import Side, Training

SIZES, BATCH = (784, 256, 128, 10), 128
Sizes = tuple[int, ...]
LR, BETA1, BETA2 = 1e-3, 0.9, 0.999
EPS = 1e-5                                      # not 1e-8: a slope that is nothing but rounding would go a whole LR, each side its own way
BLOCK = 1 << 15                                 # numbers; with five arrays 640 KB, which fit into a cache of the second level


def problem(sizes: Sizes = SIZES, batch: int = BATCH) -> tuple[np.ndarray, np.ndarray, list[np.ndarray], list[np.ndarray]]:
    """Inputs, classes, weights and biases: the same for everybody."""
    rng = np.random.default_rng(0)
    weights = [rng.standard_normal((i, o), dtype=np.float32) * np.float32((2 / i) ** 0.5) for i, o in zip(sizes, sizes[1:])]
    biases = [rng.standard_normal(o, dtype=np.float32) / 10 for o in sizes[1:]]
    return rng.standard_normal((batch, sizes[0]), dtype=np.float32), rng.integers(0, sizes[-1], batch), weights, biases


def training(sizes: Sizes = SIZES, batch: int = BATCH) -> tuple[Training, list[tt.Linear]]:
    """With the exported package; and its layers."""
    inputs, classes, *parameters = problem(sizes, batch)
    x = tt.Tensor(inputs)
    layers = [tt.Linear(i, o) for i, o in zip(sizes, sizes[1:])]
    for layer, w, b in zip(layers, *parameters):
        layer.weight.data, layer.bias.data = w, b
    model = tt.Sequential(*[part for layer in layers for part in (layer, tt.relu)][:-1])
    optimizer = tt.Adam(model.parameters(), lr=LR, betas=(BETA1, BETA2), eps=EPS)
    return Training(lambda: tt.cross_entropy(model(x), classes), optimizer), layers


def ours(sizes: Sizes = SIZES, batch: int = BATCH) -> Side:
    """A step of it."""
    trained, layers = training(sizes, batch)
    order = [layer.weight for layer in layers] + [layer.bias for layer in layers]
    return Side(trained.step, lambda loss: [loss.numpy(), *(p.grad.numpy() for p in order), *(p.numpy() for p in order)])


def adam(p: np.ndarray, g: np.ndarray, m: np.ndarray, v: np.ndarray, u: np.ndarray, t: int) -> None:
    """One step of Adam for flat arrays, in place and block by block; `u` is a block of scratch."""
    root = math.sqrt(1 - BETA2 ** t)
    size, eps = LR * root / (1 - BETA1 ** t), EPS * root
    for at in range(0, p.size, BLOCK):
        block = slice(at, at + BLOCK)
        pb, gb, mb, vb = p[block], g[block], m[block], v[block]
        ub = u[:pb.size]
        np.multiply(gb, 1 - BETA1, out=ub)
        mb *= BETA1
        mb += ub
        np.multiply(gb, gb, out=ub)
        ub *= 1 - BETA2
        vb *= BETA2
        vb += ub
        np.sqrt(vb, out=ub)
        ub += eps
        np.divide(mb, ub, out=ub)
        ub *= size
        pb -= ub


def by_hand(sizes: Sizes = SIZES, batch: int = BATCH) -> Side:
    """With NumPy, into arrays that are there from the start; all parameters lie in one, and so do all gradients."""
    x, classes, *starts = problem(sizes, batch)
    last = len(sizes) - 2                                   # the number of the last layer, which has no ReLU
    theta, grads = (np.empty(sum(i * o + o for i, o in zip(sizes, sizes[1:])), np.float32) for _ in range(2))
    m, v, u, count = np.zeros_like(theta), np.zeros_like(theta), np.empty(BLOCK, np.float32), [0]
    parts, at = ([], [], [], []), 0                         # weights, biases, their gradients: views
    for start in (*starts[0], *starts[1]):
        for flat, kind in ((theta, 0), (grads, 2)):
            parts[kind + (start.ndim == 1)].append(flat[at:at + start.size].reshape(start.shape))
        theta[at:at + start.size] = start.reshape(-1)
        at += start.size
    weights, biases, dw, db = parts
    acts, slopes = ([np.empty((batch, n), np.float32) for n in sizes[1:]] for _ in range(2))
    rows = np.arange(batch)

    def forward():
        """Scores to probabilities, in place; the loss."""
        h = x
        for layer, (w, b, out) in enumerate(zip(weights, biases, acts)):
            np.matmul(h, w, out=out)
            out += b
            h = out if layer == last else np.maximum(out, 0, out=out)
        h -= h.max(axis=1, keepdims=True)
        wanted = h[rows, classes]
        np.exp(h, out=h)
        total = h.sum(axis=1, keepdims=True)
        h /= total
        return np.log(total).mean() - wanted.mean()

    def backward():
        """From the probabilities down to the first layer."""
        g = slopes[last]
        np.divide(acts[last], batch, out=g)
        g[rows, classes] -= np.float32(1 / batch)
        for layer in range(last, -1, -1):
            below = acts[layer - 1] if layer else x
            np.matmul(below.T, g, out=dw[layer])
            np.add.reduce(g, axis=0, out=db[layer])
            if layer:
                g = np.matmul(g, weights[layer].T, out=slopes[layer - 1])
                g *= below > 0

    def step():
        loss = forward()
        backward()
        count[0] += 1
        adam(theta, grads, m, v, u, count[0])
        return loss
    return Side(step, lambda loss: [loss, *dw, *db, *weights, *biases])


def theirs(torch: ModuleType) -> Side:
    """With torch, and the Adam that it chooses itself; its layers want the weights turned round."""
    inputs, classes, *parameters = problem()
    x, targets = torch.from_numpy(inputs), torch.from_numpy(classes)
    layers = [torch.nn.Linear(i, o) for i, o in zip(SIZES, SIZES[1:])]
    with torch.no_grad():
        for layer, w, b in zip(layers, *parameters):
            layer.weight.copy_(torch.from_numpy(w.T.copy()))
            layer.bias.copy_(torch.from_numpy(b))
    model = torch.nn.Sequential(layers[0], torch.nn.ReLU(), layers[1], torch.nn.ReLU(), layers[2])
    optimizer = torch.optim.Adam(model.parameters(), lr=LR, betas=(BETA1, BETA2), eps=EPS)

    def step():
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), targets)
        loss.backward()
        optimizer.step()
        return loss

    def arrays(loss):
        order = [layer.weight for layer in layers] + [layer.bias for layer in layers]
        return [loss.detach().numpy(), *(p.grad.numpy().T for p in order), *(p.detach().numpy().T for p in order)]
    return Side(step, arrays)


def mlp(torch: ModuleType | None) -> dict[str, Side]:
    """The step by everybody who is there."""
    return {"ours": ours(), "numpy": by_hand()} | ({"torch": theirs(torch)} if torch else {})
