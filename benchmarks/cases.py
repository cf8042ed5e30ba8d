"""The rows of the engine: the same work in the exported package, in NumPy by hand, and in torch where it is installed.

Where `tito bench` shows a student the same work, it is taken from there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import ModuleType

import numpy as np

import tinytorch as tt
from benchmarks.convolution import cnn, conv
from benchmarks.decoding import decoding, gain
from benchmarks.measure import Side, growth, peak
from benchmarks.network import mlp
from benchmarks.quantized import int8
from benchmarks.transformer import gpt
from tito.bench.cases import add, mul_add, product

SQUARE = np.random.default_rng(0).standard_normal((2000, 2000), dtype=np.float32)
LONG = 100_000                                  # operations of the chain
STEPS, FORGOTTEN = 100, 100.0                   # 100 bytes a step: less than one node that nobody let go of


@dataclass(frozen=True)
class Case:
    """A row: its title and unit, the gate of ours / NumPy (`absolute`: of ours itself, in the unit), and what torch is aimed at."""

    title: str
    unit: str
    gate: float
    make: Callable[[ModuleType | None], dict[str, Side]]    # from torch, or None: the sides "ours", "numpy" and perhaps "torch"
    target: float | None = None                 # of ours / torch: told, never gated
    absolute: bool = False
    pieces: int = 1                             # a step does so many of what the row tells of one


@dataclass(frozen=True)
class Memory:
    """A row of memory: its title, unit and gate, whose step it is of (as Case.make), and how that is measured on a new side."""

    title: str
    unit: str
    gate: float
    make: Callable[[ModuleType | None], dict[str, Side]]
    measure: Callable[[Callable[[], object]], float]


def linked(x, c) -> Side:
    """y = y * c + x, over and over, and the gradient of x.  A backward that called itself would end in a RecursionError."""
    def step():
        x.grad, y = None, x
        for _ in range(LONG // 2):
            y = y * c + x
        y.backward()
        return y
    return Side(step, lambda y: [y.detach().numpy(), x.grad.numpy()])


def chain(torch: ModuleType | None) -> dict[str, Side]:
    """100,000 operations on one number, each on the result of the one before."""
    start, factor = np.ones(1, np.float32), np.full(1, 0.5, np.float32)

    def by_hand():
        y = start
        for _ in range(LONG // 2):
            y = y * factor + start
        g, total = np.ones(1, np.float32), np.zeros(1, np.float32)
        for _ in range(LONG // 2):
            total += g
            g = g * factor
        return y, total + g

    sides = {"ours": linked(tt.Tensor(start, requires_grad=True), tt.Tensor(factor)), "numpy": Side(by_hand, lambda y: y)}
    if torch:
        sides["torch"] = linked(torch.ones(1, requires_grad=True), torch.from_numpy(factor))
    return sides


def gelu(torch: ModuleType | None) -> dict[str, Side]:
    """GELU in its short form; by hand in two arrays that are there from the start."""
    x, out, inner = tt.Tensor(SQUARE), np.empty_like(SQUARE), np.empty_like(SQUARE)
    c = math.sqrt(2 / math.pi)

    def by_hand():
        np.multiply(SQUARE, SQUARE, out=inner)              # 0.5 x (1 + tanh(x (c + 0.044715 c x²)))
        np.multiply(inner, 0.044715 * c, out=inner)
        np.add(inner, c, out=inner)
        np.multiply(inner, SQUARE, out=inner)
        np.tanh(inner, out=inner)
        np.add(inner, 1, out=inner)
        np.multiply(SQUARE, 0.5, out=out)
        np.multiply(out, inner, out=out)
        return out

    sides = {"ours": Side(lambda: tt.gelu(x, approximate="tanh"), lambda y: [y.numpy()]), "numpy": Side(by_hand, lambda y: [y])}
    if torch:
        z, theirs = torch.from_numpy(SQUARE), torch.nn.functional.gelu
        sides["torch"] = Side(lambda: theirs(z, approximate="tanh"), lambda y: [y.numpy()])
    return sides


CASES = {
    "add": Case("add of 4 elements, no gradient", "us", 4.0, partial(add, tt), 1.0),
    "mul-add": Case("mul-add of 4 elements, forward + backward", "us", 5.5, partial(mul_add, tt), 0.4),
    "chain": Case("chain of 100,000 operations, each", "us", 8.0, chain, 1.2, absolute=True, pieces=LONG),
    "gelu": Case("GELU on 2000 x 2000", "ms", 1.1, gelu, 1.0),
    "matmul": Case("matmul 1024", "ms", 1.0, partial(product, tt, n=1024)),
    "mlp": Case("MLP 784-256-128-10, batch 128, one Adam step", "ms", 1.1, mlp, 1.0),
    "conv": Case("convolution 32x16x28x28 to 32, forward", "ms", 1.4, conv, 3.0),
    "cnn": Case("CNN, 64 images of 28x28, one SGD step", "ms", 1.25, cnn, 2.0),
    "gpt": Case("GPT, 4 blocks of 128, 16 x 128 tokens, one Adam step", "ms", 1.05, gpt, 1.0),
    "kv": Case("GPT, 256 tokens written with a KV cache", "ms", 1.15, decoding, 0.95),
    "kv-gain": Case("the same, beside no cache instead of NumPy", "ms", 0.083, gain),       # a twelfth
    "int8": Case("512 x 1024 @ 1024 x 1024, weights of one byte", "ms", 1.1, int8),
}
MEMORIES = {
    "memory": Memory(f"MLP, left behind by each of {STEPS} steps", "B", FORGOTTEN, mlp, lambda step: growth(step, STEPS)),
    "gpt-memory": Memory("GPT, at the worst moment of its first step", "MiB", 1.05 * 86, gpt, lambda step: peak(step) / 2 ** 20),
    "gpt-growth": Memory(f"GPT, left behind by each of {STEPS} steps", "B", FORGOTTEN, gpt, lambda step: growth(step, STEPS)),
}
