"""One training step of a classifier of three layers, without an optimizer: forward, loss, backward, gradients forgotten."""

from __future__ import annotations

from types import ModuleType

import numpy as np

import tinytorch as tt
from benchmarks.measure import Side

SIZES, BATCH = (784, 256, 128, 10), 128
LAST = len(SIZES) - 2                           # the number of the last layer, which has no ReLU


def problem() -> tuple[np.ndarray, np.ndarray, list[np.ndarray], list[np.ndarray]]:
    """Inputs, classes, weights and biases: the same for everybody."""
    rng = np.random.default_rng(0)
    weights = [rng.standard_normal((i, o), dtype=np.float32) * np.float32((2 / i) ** 0.5) for i, o in zip(SIZES, SIZES[1:])]
    biases = [rng.standard_normal(o, dtype=np.float32) / 10 for o in SIZES[1:]]
    return rng.standard_normal((BATCH, SIZES[0]), dtype=np.float32), rng.integers(0, SIZES[-1], BATCH), weights, biases


def ours() -> Side:
    """With the exported package."""
    inputs, classes, *parameters = problem()
    x = tt.Tensor(inputs)
    weights, biases = ([tt.Tensor(p, requires_grad=True) for p in group] for group in parameters)

    def step():
        for p in (*weights, *biases):
            p.zero_grad()
        h = x
        for layer, (w, b) in enumerate(zip(weights, biases)):
            h = tt.linear(h, w, b)
            h = h if layer == LAST else tt.relu(h)
        loss = tt.cross_entropy(h, classes)
        loss.backward()
        return loss
    return Side(step, lambda loss: [loss.numpy(), *(p.grad.numpy() for p in (*weights, *biases))])


def by_hand() -> Side:
    """With NumPy, into arrays that are there from the start."""
    x, classes, weights, biases = problem()
    acts, slopes = ([np.empty((BATCH, n), np.float32) for n in SIZES[1:]] for _ in range(2))
    dw, db = [np.empty_like(w) for w in weights], [np.empty_like(b) for b in biases]
    rows = np.arange(BATCH)

    def forward():
        """Scores to probabilities, in place; the loss."""
        h = x
        for layer, (w, b, out) in enumerate(zip(weights, biases, acts)):
            np.matmul(h, w, out=out)
            out += b
            h = out if layer == LAST else np.maximum(out, 0, out=out)
        h -= h.max(axis=1, keepdims=True)
        wanted = h[rows, classes]
        np.exp(h, out=h)
        total = h.sum(axis=1, keepdims=True)
        h /= total
        return np.log(total).mean() - wanted.mean()

    def backward():
        """From the probabilities down to the first layer."""
        g = slopes[LAST]
        np.divide(acts[LAST], BATCH, out=g)
        g[rows, classes] -= np.float32(1 / BATCH)
        for layer in range(LAST, -1, -1):
            below = acts[layer - 1] if layer else x
            np.matmul(below.T, g, out=dw[layer])
            np.add.reduce(g, axis=0, out=db[layer])
            if layer:
                g = np.matmul(g, weights[layer].T, out=slopes[layer - 1])
                g *= below > 0

    def step():
        loss = forward()
        backward()
        return loss
    return Side(step, lambda loss: [loss, *dw, *db])


def theirs(torch: ModuleType) -> Side:
    """With torch; its `linear` wants the weights turned round."""
    inputs, classes, weights, biases = problem()
    x, targets, functional = torch.from_numpy(inputs), torch.from_numpy(classes), torch.nn.functional
    weights = [torch.tensor(w.T.copy(), requires_grad=True) for w in weights]
    biases = [torch.tensor(b, requires_grad=True) for b in biases]

    def step():
        for p in (*weights, *biases):
            p.grad = None
        h = x
        for layer, (w, b) in enumerate(zip(weights, biases)):
            h = functional.linear(h, w, b)
            h = h if layer == LAST else torch.relu(h)
        loss = functional.cross_entropy(h, targets)
        loss.backward()
        return loss
    return Side(step, lambda loss: [loss.detach().numpy(), *(w.grad.numpy().T for w in weights), *(b.grad.numpy() for b in biases)])


def mlp(torch: ModuleType | None) -> dict[str, Side]:
    """The step by everybody who is there."""
    return {"ours": ours(), "numpy": by_hand()} | ({"torch": theirs(torch)} if torch else {})
