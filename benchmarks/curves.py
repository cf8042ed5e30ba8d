"""The curves of benchmarks.scaling: what grows, the step that is taken at each size, and what the mathematics then asks for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

import tinytorch as tt
from benchmarks import convolution, decoding, network, transformer
from benchmarks.measure import Side
from benchmarks.needs import gpt_needs, mlp_needs
from benchmarks.network import BETA1, BETA2, BLOCK, EPS, LR

SMALL = partial(transformer.Size, 2, 64, 4, 4)          # a GPT of two blocks, four texts; the length is left to say
DEEP, FEW = 64, 32                                      # neurons of each of many layers, and the batch that goes through them
TINY = 64                                               # numbers of each of many parameters
Array = np.ndarray


@dataclass(frozen=True)
class Curve:
    """What grows and its sizes, the step at a size, by "ours" and perhaps "numpy", and how much the mathematics asks for there.

    `count`: multiply-adds, or bytes where the curve is of `memory`; only how it grows is looked at.
    """

    title: str
    sizes: tuple[int, ...]
    make: Callable[[int], dict[str, Side]]
    count: Callable[[int], float]
    memory: bool = False


def weights(sizes: tuple[int, ...]) -> int:
    """Multiply-adds of one row through a classifier of these sizes."""
    return sum(i * o for i, o in zip(sizes, sizes[1:]))


def wide(n: int) -> tuple[int, ...]:
    """A classifier of two hidden layers of n."""
    return 784, n, n, 10


def deep(n: int) -> tuple[int, ...]:
    """A classifier of n hidden layers."""
    return (DEEP,) * (n + 1) + (10,)


def classifier(sizes: tuple[int, ...], batch: int) -> dict[str, Side]:
    """A step of it, and the same by hand."""
    return {"ours": network.ours(sizes, batch), "numpy": network.by_hand(sizes, batch)}


def gpt(length: int) -> dict[str, Side]:
    """A training step on texts of this length."""
    return {"ours": transformer.ours(SMALL(length)), "numpy": transformer.by_hand(SMALL(length))}


def gpt_products(length: int) -> float:
    """Multiply-adds of a training step: three times those of forward, where a token looks at half of the others on average."""
    size = SMALL(length)
    return 3 * size.rows * (size.layers * size.width * (12 * size.width + length) + size.width * transformer.VOCABULARY)


def writing(tokens: int) -> dict[str, Side]:
    """So many tokens, one after the other, with a KV cache."""
    return {"ours": decoding.ours(tokens=tokens), "numpy": decoding.by_hand(tokens)}


def written(tokens: int) -> float:
    """Multiply-adds: each token goes through the weights, and looks at all before it."""
    d = decoding.WIDTH
    return tokens * (decoding.LAYERS * d * (12 * d + tokens) + d * decoding.VOCABULARY)


def images(size: int) -> dict[str, Side]:
    """A training step on images of size by size."""
    return {"ours": convolution.ours(size), "numpy": convolution.by_hand(size)}


def chain(operations: int) -> dict[str, Side]:
    """y = y * c + x, over and over, forward and backward.

    By hand an operation leaves a list, which holds lists of its inputs and of what backward reads: Python's garbage collector walks
    through those of everybody, and the more often the more there are, so that neither side is quite linear.
    """
    start, factor = np.ones(1, np.float32), np.full(1, 0.5, np.float32)
    x, c = tt.Tensor(start, requires_grad=True), tt.Tensor(factor)

    def ours() -> tt.Tensor:
        x.grad, y = None, x
        for _ in range(operations // 2):
            y = y * c + x
        y.backward()
        return y

    def by_hand() -> tuple[Array, Array]:
        y, node = start, []
        for _ in range(operations // 2):
            y = y * factor
            node = [[node, None], [factor]]
            y = y + start
            node = [[node, None], []]
        g, total = np.ones(1, np.float32), np.zeros(1, np.float32)
        while node:
            (node, _), read = node
            if read:
                g = g * read[0]
            else:
                total += g
        return y, total + g
    return {"ours": Side(ours, lambda y: [y.detach().numpy(), x.grad.numpy()]), "numpy": Side(by_hand, lambda found: found)}


def moved(kind: str, count: int, size: int) -> dict[str, Side]:
    """A step of Adam or SGD for `count` parameters of `size` numbers each."""
    start, slopes = np.random.default_rng(0).standard_normal((2, count, size), dtype=np.float32)
    params, arrays, given = [tt.Tensor(a.copy(), requires_grad=True) for a in start], [a.copy() for a in start], [g.copy() for g in slopes]
    for p, g in zip(params, slopes):
        p.grad = tt.Tensor(g.copy())
    adam = kind == "adam"
    optimizer = tt.Adam(params, lr=LR, betas=(BETA1, BETA2), eps=EPS) if adam else tt.SGD(params, lr=LR)
    averages, u, taken = np.zeros((2, count, size), np.float32) if adam else (), np.empty(BLOCK, np.float32), [0]

    def descend(p: Array, g: Array) -> None:
        for at in range(0, size, BLOCK):
            part = p[at:at + BLOCK]
            part -= np.multiply(g[at:at + BLOCK], LR, out=u[:len(part)])

    def by_hand() -> None:
        taken[0] += 1
        for p, *others in zip(arrays, given, *averages):
            network.adam(p, *others, u, taken[0]) if adam else descend(p, *others)
    return {"ours": Side(optimizer.step, lambda _: [p.numpy() for p in params]), "numpy": Side(by_hand, lambda _: arrays)}


def alone(make: Callable[[int], Side]) -> Callable[[int], dict[str, Side]]:
    """One side, which is ours."""
    return lambda n: {"ours": make(n)}


NUMBERS = tuple(4 ** k for k in range(6, 12))           # 4,096 to 4,194,304
CHAIN = 1_000, 3_000, 10_000, 30_000, 100_000, 300_000
CURVES = {
    "batch": Curve("MLP step, batch", (16, 32, 64, 128, 256, 512, 1024), partial(classifier, network.SIZES), float),
    "width": Curve("MLP step, width", (32, 64, 128, 256, 512, 1024, 2048), lambda n: classifier(wide(n), 128), lambda n: weights(wide(n))),
    "depth": Curve("MLP step, layers", (2, 4, 8, 16, 32, 64, 128), lambda n: classifier(deep(n), FEW), lambda n: weights(deep(n))),
    "length": Curve("GPT step, tokens", (16, 32, 64, 128, 256, 512), gpt, gpt_products),
    "writing": Curve("KV cache, tokens", (16, 32, 64, 128, 256, 512), writing, written),
    "chain": Curve("chain, operations", CHAIN, chain, float),
    "adam": Curve("Adam, numbers", NUMBERS, partial(moved, "adam", 1), float),
    "sgd": Curve("SGD, numbers", NUMBERS, partial(moved, "sgd", 1), float),
    "tensors": Curve("Adam, tensors of 64", (16, 64, 256, 1024, 4096, 16384), lambda n: moved("adam", n, TINY), float),
    "image": Curve("CNN step, image side", (8, 12, 16, 24, 32, 48, 64), images, lambda n: n * n),
    "memory-batch": Curve("MLP, bytes by batch", (128, 256, 512, 1024, 2048, 4096), alone(partial(network.ours, network.SIZES)),
                          lambda n: mlp_needs(network.SIZES, n).growing, memory=True),
    "memory-length": Curve("GPT, bytes by tokens", (32, 64, 128, 256, 512), alone(lambda n: transformer.ours(SMALL(n))),
                           lambda n: gpt_needs(SMALL(n)).growing, memory=True),
    "memory-chain": Curve("chain, bytes by operations", CHAIN[:-1], lambda n: {"ours": chain(n)["ours"]}, float, memory=True),
}
