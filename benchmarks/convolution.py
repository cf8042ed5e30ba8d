"""Convolutions: one of them forward, and a step of a network of two, with pools, a linear layer and SGD."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

import tinytorch as tt
from benchmarks.measure import Side, Training

BATCH, SIZE, RATE, CHUNK = 64, 28, 0.05, 4      # CHUNK: images at a time, so that what is made of them stays in the cache
Array = np.ndarray


# ---- one convolution ---------------------------------------------------------------------------

def conv(torch: ModuleType | None) -> dict[str, Side]:
    """Forward; by hand the patches of one image at a time, as columns in memory that is there from the start."""
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((32, 16, 28, 28), dtype=np.float32), rng.standard_normal((32, 16, 3, 3), dtype=np.float32) / 12
    framed, cols, y = np.zeros((32, 16, 30, 30), np.float32), np.empty((16, 3, 3, 28, 28), np.float32), np.empty((32, 32, 784), np.float32)
    seen, flat = sliding_window_view(framed, (3, 3), axis=(2, 3)).transpose(0, 1, 4, 5, 2, 3), w.reshape(32, 144)

    def by_hand() -> Array:
        framed[:, :, 1:-1, 1:-1] = x
        for image, out in zip(seen, y):
            np.copyto(cols, image)
            np.matmul(flat, cols.reshape(144, 784), out=out)
        return y

    mine, kernels = tt.Tensor(x), tt.Tensor(w)
    sides = {"ours": Side(lambda: tt.conv2d(mine, kernels, padding=1), lambda c: [c.numpy()]),
             "numpy": Side(by_hand, lambda c: [c.reshape(32, 32, 28, 28)])}
    if torch:
        theirs, weights = torch.from_numpy(x), torch.from_numpy(w)
        sides["torch"] = Side(lambda: torch.nn.functional.conv2d(theirs, weights, padding=1), lambda c: [c.numpy()])
    return sides


# ---- a network -----------------------------------------------------------------------------------

def problem(size: int = SIZE) -> tuple[Array, Array, list[Array]]:
    """Images of `size` by `size`, classes and parameters: the same for everybody."""
    rng = np.random.default_rng(0)
    shapes = [(16, 1, 3, 3), (16,), (32, 16, 3, 3), (32,), (32 * (size // 4) ** 2, 10), (10,)]
    reach = [np.prod(s[1:]) if len(s) == 4 else s[0] for s in shapes]
    parameters = [rng.standard_normal(s, dtype=np.float32) * np.float32((2 / n) ** 0.5) for s, n in zip(shapes, reach)]
    return rng.standard_normal((BATCH, 1, size, size), dtype=np.float32), rng.integers(0, 10, BATCH), parameters


def training(size: int = SIZE) -> Training:
    """With the exported package."""
    inputs, classes, parameters = problem(size)
    model = tt.Sequential(tt.Conv2d(1, 16, 3, padding=1), tt.ReLU(), tt.MaxPool2d(2), tt.Conv2d(16, 32, 3, padding=1), tt.ReLU(),
                          tt.MaxPool2d(2), tt.Flatten(), tt.Linear(len(parameters[4]), 10))
    for p, start in zip(model.parameters(), parameters):
        p.data[...] = start
    x = tt.Tensor(inputs)
    return Training(lambda: tt.cross_entropy(model(x), classes), tt.SGD(model.parameters(), lr=RATE))


def ours(size: int = SIZE) -> Side:
    """A step of it."""
    trained = training(size)
    return Side(trained.step, lambda loss: [loss.numpy(), *(p.numpy() for p in trained.optimizer.param_groups[0]["params"])])


class Layer:
    """By hand: a convolution, ReLU and a 2x2 pool as one, channels last, into arrays that are there from the start."""

    def __init__(self, w: Array, b: Array, size: int):
        (self.out, c, _, _), self.b, self.size = w.shape, b.copy(), size
        self.w = w.transpose(2, 3, 1, 0).reshape(-1, self.out).copy()                               # (9 C, O)
        self.x, self.dx = (np.zeros((BATCH, size + 2, size + 2, c), np.float32) for _ in range(2))  # with their frames
        seen = sliding_window_view(self.x, (3, 3), axis=(1, 2))                                     # (N, H, W, C, 3, 3)
        if c == 1:                                          # copied along the lines, which are longer than the patches
            cols = np.empty((9, CHUNK * size * size), np.float32)
            self.seen, self.rows, self.into = seen.transpose(4, 5, 3, 0, 1, 2), cols.T, cols.reshape(3, 3, c, CHUNK, size, size)
        else:
            self.rows = np.empty((CHUNK * size * size, 9 * c), np.float32)
            self.seen, self.into = seen.transpose(0, 1, 2, 4, 5, 3), self.rows.reshape(CHUNK, size, size, 3, 3, c)
        self.image_axis = self.seen.shape.index(BATCH)
        self.y = np.empty((BATCH, size, size, self.out), np.float32)
        self.lines = np.empty((BATCH, size // 2, size, self.out), np.float32)                       # of y, the larger of two lines
        self.best = np.empty((BATCH, size // 2, size // 2, self.out), np.float32)
        self.dy, self.dlines = np.empty((CHUNK, *self.y.shape[1:]), np.float32), np.empty((CHUNK, *self.lines.shape[1:]), np.float32)
        self.slopes = np.empty((9, CHUNK * size * size, c), np.float32)
        self.dw, self.db, self.ones = np.empty_like(self.w), np.empty_like(b), np.ones(CHUNK * size * size, np.float32)

    def patches(self, part: slice) -> Array:
        np.copyto(self.into, self.seen[(slice(None),) * self.image_axis + (part,)])
        return self.rows

    def forward(self, part: slice) -> Array:
        y, lines, best = self.y[part], self.lines[part], self.best[part]
        np.matmul(self.patches(part), self.w, out=y.reshape(-1, self.out))
        np.maximum(y[:, 0::2], y[:, 1::2], out=lines)
        np.maximum(lines[:, :, 0::2], lines[:, :, 1::2], out=best)
        best += self.b                                      # the same for all four, so it can wait until only one is left
        return np.maximum(best, 0, out=best)

    def backward(self, part: slice, g: Array, below: bool) -> None:
        """Add to dw, db and, if anybody is `below`, dx; `g` is overwritten."""
        y, lines, best, dlines, dy = self.y[part], self.lines[part], self.best[part], self.dlines, self.dy
        g *= best > 0
        self.db += self.ones[:g.size // self.out] @ g.reshape(-1, self.out)
        left, right, upper, lower = lines[:, :, 0::2], lines[:, :, 1::2], y[:, 0::2], y[:, 1::2]
        np.multiply(g, left >= right, out=dlines[:, :, 0::2])
        np.subtract(g, dlines[:, :, 0::2], out=dlines[:, :, 1::2])
        np.multiply(dlines, upper >= lower, out=dy[:, 0::2])
        np.subtract(dlines, dy[:, 0::2], out=dy[:, 1::2])
        flat = dy.reshape(-1, self.out)
        self.dw += self.patches(part).T @ flat
        if below:
            np.matmul(flat, self.w.T.reshape(self.out, 9, -1).transpose(1, 0, 2).copy(), out=self.slopes)
            dx, slopes = self.dx[part], self.slopes.reshape(3, 3, CHUNK, self.size, self.size, -1)
            dx.fill(0)
            for i in range(3):
                for j in range(3):
                    dx[:, i:i + self.size, j:j + self.size] += slopes[i, j]


def by_hand(size: int = SIZE) -> Side:
    """With NumPy: a few images at a time go through both layers, and back."""
    inputs, classes, (w1, b1, w2, b2, w3, b3) = problem(size)
    first, second, places, wide = Layer(w1, b1, size), Layer(w2, b2, size // 2), (size // 4) ** 2, len(w3)
    w3 = w3.reshape(32, places, 10).transpose(1, 0, 2).reshape(wide, 10).copy()     # our pictures are channels last
    b3, rows, g, slopes = b3.copy(), np.arange(BATCH), np.empty((BATCH, 10), np.float32), np.empty_like(second.best)
    parts = [slice(k, k + CHUNK) for k in range(0, BATCH, CHUNK)]

    def step() -> float:
        first.x[:, 1:-1, 1:-1, 0] = inputs[:, 0]
        for part in parts:
            second.x[part, 1:-1, 1:-1] = first.forward(part)
            second.forward(part)
        flat = second.best.reshape(BATCH, wide)
        np.matmul(flat, w3, out=g)
        np.add(g, b3, out=g)
        np.subtract(g, g.max(axis=1, keepdims=True), out=g)
        wanted = g[rows, classes]
        np.exp(g, out=g)
        total = g.sum(axis=1, keepdims=True)
        loss = float(np.log(total).mean() - wanted.mean())
        np.divide(g, total * np.float32(BATCH), out=g)
        g[rows, classes] -= np.float32(1 / BATCH)
        dw3, db3 = flat.T @ g, g.sum(axis=0)
        np.matmul(g, w3.T, out=slopes.reshape(BATCH, wide))
        for layer in (first, second):
            layer.dw.fill(0)
            layer.db.fill(0)
        for part in parts:
            second.backward(part, slopes[part], below=True)
            first.backward(part, second.dx[part, 1:-1, 1:-1], below=False)
        pairs = [(p, d) for layer in (first, second) for p, d in ((layer.w, layer.dw), (layer.b, layer.db))]
        for p, slope in (*pairs, (w3, dw3), (b3, db3)):
            slope *= np.float32(RATE)
            p -= slope
        return loss

    def arrays(loss: float) -> list[Array]:
        kernels = [layer.w.reshape(3, 3, -1, layer.out).transpose(3, 2, 0, 1) for layer in (first, second)]
        last = w3.reshape(places, 32, 10).transpose(1, 0, 2).reshape(wide, 10)
        return [np.array(loss, np.float32), kernels[0], first.b, kernels[1], second.b, last, b3]
    return Side(step, arrays)


def theirs(torch: ModuleType) -> Side:
    """With torch; its `Linear` wants the weights turned round."""
    inputs, classes, parameters = problem()
    nn = torch.nn
    model = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(),
                          nn.MaxPool2d(2), nn.Flatten(), nn.Linear(1568, 10))
    turned: Callable[[Array], Array] = lambda p: p.T if p.ndim == 2 else p          # noqa: E731
    with torch.no_grad():
        for p, start in zip(model.parameters(), parameters):
            p.copy_(torch.from_numpy(turned(start).copy()))
    x, targets, optimizer = torch.from_numpy(inputs), torch.from_numpy(classes), torch.optim.SGD(model.parameters(), lr=RATE)

    def step() -> Any:
        loss = nn.functional.cross_entropy(model(x), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss
    return Side(step, lambda loss: [loss.detach().numpy(), *(turned(p.detach().numpy()) for p in model.parameters())])


def cnn(torch: ModuleType | None) -> dict[str, Side]:
    """The step by everybody who is there."""
    return {"ours": ours(), "numpy": by_hand()} | ({"torch": theirs(torch)} if torch else {})
