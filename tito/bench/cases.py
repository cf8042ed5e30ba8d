"""What `tito bench` measures: the same work in the student's package, in NumPy by hand, and in torch.

A case names what it uses of the package, which says to which module it belongs.  Each gets the package, `tt`, and torch or None.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tito.bench.measure import Side

Sides = dict[str, Side]
Make = Callable[[Any, Any], Sides]


@dataclass(frozen=True)
class Case:
    """A row: its title, the names that it uses of the package, and its sides "ours", "numpy" and perhaps "torch"."""

    title: str
    uses: tuple[str, ...]
    make: Make


CASES: list[Case] = []


def case(title: str, uses: str) -> Callable[[Make], Make]:
    """Make a function a case."""
    def add(make: Make) -> Make:
        CASES.append(Case(title, tuple(uses.split()), make))
        return make
    return add


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def sides(ours: Callable[[], Any], by_hand: Callable[[], Any], theirs: Callable[[], Any] | None) -> Sides:
    """Three ways to one array."""
    found = {"ours": Side(ours, lambda y: [np.asarray(y)]), "numpy": Side(by_hand, lambda y: [y])}
    return found | ({"torch": Side(theirs, lambda y: [y.detach().numpy()])} if theirs else {})


def given(torch: Any, *arrays: np.ndarray) -> list[Any]:
    """The arrays as torch has them; nothing where it is not there."""
    return [torch.from_numpy(a) for a in arrays] if torch else [None] * len(arrays)


@case("add, 4 numbers", "Tensor")
def add(tt: Any, torch: Any) -> Sides:
    a, b = numbers(4), numbers(4, seed=1)
    x, y, (p, q) = tt.Tensor(a), tt.Tensor(b), given(torch, a, b)
    return sides(lambda: x + y, lambda: a + b, torch and (lambda: p + q))


def product(tt: Any, torch: Any, n: int) -> Sides:
    """The product of two matrices of n by n."""
    a, b = numbers(n, n) / 32, numbers(n, n, seed=1) / 32
    x, y, (p, q) = tt.Tensor(a), tt.Tensor(b), given(torch, a, b)
    return sides(lambda: x @ y, lambda: a @ b, torch and (lambda: p @ q))


@case("matmul, 512 x 512", "Tensor")
def matmul(tt: Any, torch: Any) -> Sides:
    return product(tt, torch, 512)


@case("softmax, 1000 x 100", "softmax")
def softmax(tt: Any, torch: Any) -> Sides:
    a = numbers(1000, 100)
    x, (p,) = tt.Tensor(a), given(torch, a)

    def by_hand() -> Any:
        raised = np.exp(a - a.max(axis=1, keepdims=True))
        return raised / raised.sum(axis=1, keepdims=True)
    return sides(lambda: tt.softmax(x, dim=1), by_hand, torch and (lambda: torch.softmax(p, dim=1)))


@case("linear, 64 x 784 to 256", "Linear")
def linear(tt: Any, torch: Any) -> Sides:
    a, layer = numbers(64, 784), tt.Linear(784, 256)
    w, b = layer.weight.numpy(), layer.bias.numpy()
    x, (p, q, r) = tt.Tensor(a), given(torch, a, w.T.copy(), b)
    return sides(lambda: layer(x), lambda: a @ w + b, torch and (lambda: torch.nn.functional.linear(p, q, r)))


@case("cross entropy, 256 x 1000", "cross_entropy")
def cross_entropy(tt: Any, torch: Any) -> Sides:
    a, classes = numbers(256, 1000), np.arange(256)
    x, (p, q) = tt.Tensor(a), given(torch, a, classes)

    def by_hand() -> Any:
        away = a - a.max(axis=1, keepdims=True)
        return np.asarray(np.log(np.exp(away).sum(axis=1)).mean() - away[classes, classes].mean())
    return sides(lambda: tt.cross_entropy(x, classes), by_hand, torch and (lambda: torch.nn.functional.cross_entropy(p, q)))


@case("mul-add, forward and backward", "Tensor grad")
def mul_add(tt: Any, torch: Any) -> Sides:
    """x * y + x of 4 numbers, and the gradients of x and y."""
    a, b, ones = numbers(4), numbers(4, seed=1), np.ones(4, np.float32)

    def recorded(pair: Any, start: Any) -> Side:
        x, y = pair

        def step() -> Any:
            x.grad = y.grad = None
            z = x * y + x
            z.backward(start)
            return z
        return Side(step, lambda z: [z.detach().numpy(), x.grad.numpy(), y.grad.numpy()])

    def by_hand() -> Any:
        z, g = a * b + a, ones.copy()
        return z, g * b + g, g * a

    found = {"ours": recorded([tt.Tensor(x, requires_grad=True) for x in (a, b)], ones), "numpy": Side(by_hand, lambda made: made)}
    if torch:
        found["torch"] = recorded([torch.tensor(x, requires_grad=True) for x in (a, b)], torch.from_numpy(ones))
    return found


@case("SGD, momentum, 500,000 numbers", "SGD")
def sgd(tt: Any, torch: Any) -> Sides:
    start, slope = numbers(500_000), numbers(500_000, seed=1)

    def stepping(optimizer: Any, p: Any) -> Callable[[], Any]:
        return lambda: optimizer.step() or p

    mine = tt.Parameter(start.copy())
    mine.grad = tt.Tensor(slope)
    hand, speed = start.copy(), np.zeros_like(start)

    def by_hand() -> Any:
        nonlocal hand, speed
        speed = speed * np.float32(0.9) + slope
        hand = hand - speed * np.float32(1e-3)
        return hand
    theirs = None
    if torch:
        other = torch.nn.Parameter(torch.from_numpy(start.copy()))
        other.grad = torch.from_numpy(slope)
        theirs = stepping(torch.optim.SGD([other], lr=1e-3, momentum=0.9), other)
    return sides(stepping(tt.SGD([mine], lr=1e-3, momentum=0.9), mine), by_hand, theirs)


@case("loader, 128 batches of 32", "DataLoader TensorDataset")
def loader(tt: Any, torch: Any) -> Sides:
    a = numbers(4096, 64)
    mine = tt.DataLoader(tt.TensorDataset(tt.Tensor(a)), batch_size=32)

    def total(batches: Any) -> Any:
        return sum(np.asarray(batch[0]) for batch in batches) / 128
    other = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.from_numpy(a)), batch_size=32) if torch else None
    return sides(lambda: total(mine), lambda: total([a[k:k + 32]] for k in range(0, 4096, 32)),
                 other and (lambda: torch.from_numpy(total(other))))


@case("convolution, 16 of 8 x 14 x 14", "conv2d")
def conv(tt: Any, torch: Any) -> Sides:
    a, w = numbers(16, 8, 14, 14), numbers(16, 8, 3, 3, seed=1) / 8
    x, kernel, (p, q) = tt.Tensor(a), tt.Tensor(w), given(torch, a, w)

    def by_hand() -> Any:
        seen = np.lib.stride_tricks.sliding_window_view(a, (3, 3), axis=(2, 3))         # (N, C, 12, 12, 3, 3)
        return np.tensordot(seen, w, axes=((1, 4, 5), (1, 2, 3))).transpose(0, 3, 1, 2)
    return sides(lambda: tt.conv2d(x, kernel), by_hand, torch and (lambda: torch.nn.functional.conv2d(p, q)))


@case("embedding, 64 x 128 of 5,000", "Embedding")
def embedding(tt: Any, torch: Any) -> Sides:
    layer, ids = tt.Embedding(5000, 64), np.random.default_rng(0).integers(0, 5000, (64, 128))
    w, (p, q) = layer.weight.numpy(), given(torch, layer.weight.numpy(), ids)
    return sides(lambda: layer(ids), lambda: w[ids], torch and (lambda: torch.nn.functional.embedding(q, p)))


@case("attention, 8 x 64, 4 heads", "MultiHeadAttention")
def attention(tt: Any, torch: Any) -> Sides:
    a, layer = numbers(8, 64, 64), tt.MultiHeadAttention(64, 4, causal=True)
    x, arrays = tt.Tensor(a), [p.numpy() for p in (layer.qkv.weight, layer.qkv.bias, layer.proj.weight, layer.proj.bias)]
    later = np.triu(np.full((64, 64), -np.inf, np.float32), 1)

    def by_hand() -> Any:
        w, b, out, beside = arrays
        q, k, v = (a @ w + b).reshape(8, 64, 3, 4, 16).transpose(2, 0, 3, 1, 4)
        raised = np.exp(q @ k.swapaxes(2, 3) / np.float32(4) + later)
        found = raised / raised.sum(axis=-1, keepdims=True) @ v
        return found.swapaxes(1, 2).reshape(8, 64, 64) @ out + beside

    def theirs() -> Any:
        q, k, v = (p @ t[0] + t[1]).reshape(8, 64, 3, 4, 16).permute(2, 0, 3, 1, 4)
        found = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return found.transpose(1, 2).reshape(8, 64, 64) @ t[2] + t[3]
    p, *t = given(torch, a, *arrays)
    return sides(lambda: layer(x), by_hand, theirs if torch else None)


@case("layer norm, 2,048 x 256", "LayerNorm")
def layer_norm(tt: Any, torch: Any) -> Sides:
    a, layer = numbers(2048, 256), tt.LayerNorm(256)
    x, (p,) = tt.Tensor(a), given(torch, a)

    def by_hand() -> Any:
        away = a - a.mean(axis=1, keepdims=True)
        return away / np.sqrt(np.square(away).mean(axis=1, keepdims=True) + np.float32(1e-5))
    return sides(lambda: layer(x), by_hand, torch and (lambda: torch.nn.functional.layer_norm(p, (256,))))


@case("GELU in one piece, 1000 x 1000", "fused_gelu")
def fused_gelu(tt: Any, torch: Any) -> Sides:
    a = numbers(1000, 1000)
    x, (p,), c = tt.Tensor(a), given(torch, a), np.float32(np.sqrt(2 / np.pi))
    return sides(lambda: tt.fused_gelu(x), lambda: a / 2 * (1 + np.tanh(c * (a + np.float32(0.044715) * a * a * a))),
                 torch and (lambda: torch.nn.functional.gelu(p, approximate="tanh")))


@case("8-bit weights, 2048 x 2048", "QuantizedLinear Linear")
def quantized(tt: Any, torch: Any) -> Sides:
    a, layer = numbers(1, 2048), tt.QuantizedLinear(tt.Linear(2048, 2048))
    w, b, x = np.array(np.asarray(layer.weight), np.float32), layer.bias.numpy(), tt.Tensor(a)
    p, q, r = given(torch, a, w, b)
    return sides(lambda: layer(x), lambda: a @ w + b, torch and (lambda: p @ q + r))


@case("99 % zeros, 1024 x 1024 by 1", "CSR")
def sparse(tt: Any, torch: Any) -> Sides:
    full = numbers(1024, 1024) * (np.random.default_rng(1).random((1024, 1024)) >= 0.99)
    full, x = full.astype(np.float32), numbers(1024, seed=2)
    csr, (p, q) = tt.CSR.from_dense(full), given(torch, full, x)
    return sides(lambda: csr.matvec(x), lambda: full @ x, torch and (lambda: p @ q))
