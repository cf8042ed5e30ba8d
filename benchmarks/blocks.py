"""The parts of a GPT by hand, for benchmarks.transformer: each goes forward and backward into arrays that are there from the start."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

LAYERS, WIDTH, HEADS, BATCH, LENGTH = 4, 128, 4, 16, 128
BLOCK = 1 << 15                                 # numbers of GELU at a time; a few such blocks fit into a cache of the second level
Array = np.ndarray


@dataclass(frozen=True)
class Size:
    """How large a GPT is, and its batch; nothing said, the one that is measured everywhere."""

    layers: int = LAYERS
    width: int = WIDTH
    heads: int = HEADS
    batch: int = BATCH
    length: int = LENGTH

    @property
    def rows(self) -> int:
        """Tokens of the batch."""
        return self.batch * self.length

    @property
    def depth(self) -> int:
        """Numbers that each head has of a token."""
        return self.width // self.heads


def empty(*shape: int) -> Array:
    """Memory that is there from the start."""
    return np.empty(shape, np.float32)


class Norm:
    """Layer norm of (rows, width), forward and backward, into its own arrays."""

    def __init__(self, rows: int, w: Array, b: Array, dw: Array, db: Array):
        self.w, self.b, self.dw, self.db = w, b, dw, db
        self.normal, self.scale, self.out = empty(rows, w.size), empty(rows, 1), empty(rows, w.size)

    def forward(self, x: Array) -> Array:
        np.subtract(x, x.mean(axis=1, keepdims=True), out=self.normal)
        self.scale[:, 0] = np.einsum("ij,ij->i", self.normal, self.normal)
        np.divide(1, np.sqrt(self.scale / self.w.size + 1e-5), out=self.scale)
        self.normal *= self.scale
        np.multiply(self.normal, self.w, out=self.out)
        self.out += self.b
        return self.out

    def backward(self, g: Array, dx: Array) -> None:
        """Add what `g`, which is used up, says of x to dx."""
        np.einsum("ij,ij->j", g, self.normal, out=self.dw)
        np.add.reduce(g, axis=0, out=self.db)
        g *= self.w
        along = np.einsum("ij,ij->i", g, self.normal)[:, None] / self.w.size
        g -= g.mean(axis=1, keepdims=True)
        np.multiply(self.normal, along, out=self.out)           # nobody needs it any more
        g -= self.out
        g *= self.scale
        dx += g


class Linear:
    """x @ w + b of (rows, …), forward and backward, into its own arrays."""

    def __init__(self, rows: int, w: Array, b: Array, dw: Array, db: Array):
        self.w, self.b, self.dw, self.db = w, b, dw, db
        self.x, self.out = empty(0), empty(rows, w.shape[1])

    def forward(self, x: Array) -> Array:
        self.x = x
        np.matmul(x, self.w, out=self.out)
        self.out += self.b
        return self.out

    def backward(self, g: Array, out: Array) -> Array:
        np.matmul(self.x.T, g, out=self.dw)
        np.add.reduce(g, axis=0, out=self.db)
        return np.matmul(g, self.w.T, out=out)


class Attention:
    """Causal attention of (rows, 3 · width), forward and backward."""

    def __init__(self, size: Size, scores: Array):
        self.p, self.d, self.out, self.size = empty(*scores.shape), scores, empty(size.rows, size.width), size
        self.later = np.triu(np.full(scores.shape[2:], -np.inf, np.float32), 1)

    def heads(self, x: Array) -> Array:
        """(rows, n · depth) as (batch, n, length, depth), a view."""
        return x.reshape(self.size.batch, self.size.length, -1, self.size.depth).swapaxes(1, 2)

    def forward(self, qkv: Array) -> Array:
        self.q, self.k, self.v = np.split(self.heads(qkv), 3, axis=1)
        p = np.matmul(self.q, self.k.mT, out=self.p)
        p *= self.size.depth ** -0.5
        p += self.later
        p -= p.max(axis=-1, keepdims=True)
        np.exp(p, out=p)
        p /= p.sum(axis=-1, keepdims=True)
        np.matmul(p, self.v, out=self.heads(self.out))
        return self.out

    def backward(self, g: Array, out: Array) -> Array:
        dq, dk, dv = np.split(self.heads(out), 3, axis=1)
        g, found = self.heads(g), self.heads(self.out)
        np.matmul(self.p.mT, g, out=dv)
        d = np.matmul(g, self.v.mT, out=self.d)
        d -= np.einsum("bhtd,bhtd->bht", g, found)[..., None]
        d *= self.p
        d *= self.size.depth ** -0.5
        np.matmul(d, self.k, out=dq)
        np.matmul(d.mT, self.q, out=dk)
        return out


C, K = math.sqrt(2 / math.pi), 0.044715


def gelu(x: Array, out: Array) -> Array:
    """GELU in its tanh form, block by block."""
    x, y = x.reshape(-1), out.reshape(-1)
    for at in range(0, x.size, BLOCK):
        xb, t = x[at:at + BLOCK], y[at:at + BLOCK]
        np.multiply(xb, xb, out=t)
        t *= C * K
        t += C
        t *= xb
        np.tanh(t, out=t)
        t += 1
        t *= xb
        t *= 0.5
    return out


def gelu_slope(x: Array, g: Array, scratch: Array) -> None:
    """Multiply g by the slope of GELU at x, block by block."""
    x, g = x.reshape(-1), g.reshape(-1)
    for at in range(0, x.size, BLOCK):
        xb, gb = x[at:at + BLOCK], g[at:at + BLOCK]
        s, t, u = scratch[:, :xb.size]
        np.multiply(xb, xb, out=s)
        np.multiply(s, C * K, out=t)
        t += C
        t *= xb
        np.tanh(t, out=t)
        s *= 3 * C * K
        s += C
        s *= xb                                 # x times the slope of what stands inside tanh
        np.multiply(t, t, out=u)
        np.subtract(1, u, out=u)
        u *= s
        u += t
        u += 1
        u *= 0.5
        gb *= u


class Shared:
    """What all blocks use for slopes, one after the other."""

    def __init__(self, size: Size) -> None:
        self.narrow, self.triple, self.wide = (empty(size.rows, n * size.width) for n in (1, 3, 4))
        self.scores, self.scratch = empty(size.batch, size.heads, size.length, size.length), empty(3, BLOCK)


class Block:
    """A transformer block: forward and backward in place on the stream and on its slope."""

    def __init__(self, part: Callable[[type, str], Any], name: str, size: Size, shared: Shared):
        self.norm1, self.norm2 = part(Norm, name + ".norm1"), part(Norm, name + ".norm2")
        self.qkv, self.proj = part(Linear, name + ".attention.qkv"), part(Linear, name + ".attention.proj")
        self.fc, self.back = part(Linear, name + ".mlp.fc"), part(Linear, name + ".mlp.proj")
        self.attention, self.bent, self.shared = Attention(size, shared.scores), np.empty_like(self.fc.out), shared

    def forward(self, x: Array) -> None:
        x += self.proj.forward(self.attention.forward(self.qkv.forward(self.norm1.forward(x))))
        x += self.back.forward(gelu(self.fc.forward(self.norm2.forward(x)), self.bent))

    def backward(self, dx: Array) -> None:
        narrow, triple, wide = self.shared.narrow, self.shared.triple, self.shared.wide
        gelu_slope(self.fc.out, self.back.backward(dx, wide), self.shared.scratch)
        self.norm2.backward(self.fc.backward(wide, narrow), dx)
        self.attention.backward(self.proj.backward(dx, narrow), triple)
        self.norm1.backward(self.qkv.backward(triple, narrow), dx)
