"""One training step of a GPT of 4 blocks, 128 numbers a token, 16 x 128 tokens: forward, loss, backward, Adam."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

import tinytorch as tt
from benchmarks.measure import Side, Training
from benchmarks.network import adam

LAYERS, WIDTH, HEADS, VOCABULARY, BATCH, LENGTH = 4, 128, 4, 65, 16, 128
DEPTH = WIDTH // HEADS
LR, BETAS, EPS = 1e-3, (0.9, 0.999), 1e-5       # as network.py's, whose `adam` is used
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


def shapes(size: Size = Size()) -> dict[str, tuple[int, ...]]:
    """Every parameter's name, as the package calls it, and its shape."""
    width = size.width
    of = {"token_embedding.weight": (VOCABULARY, width), "position_embedding.weight": (size.length, width)}
    for k in range(size.layers):
        for name, wide in (("norm1", width), ("attention.qkv", 3 * width), ("attention.proj", width),
                           ("norm2", width), ("mlp.fc", 4 * width), ("mlp.proj", width)):
            reach = (4 * width if name == "mlp.proj" else width,) if "norm" not in name else ()
            of |= {f"blocks.{k}.{name}.weight": (*reach, wide), f"blocks.{k}.{name}.bias": (wide,)}
    return of | {"norm.weight": (width,), "norm.bias": (width,), "head.weight": (width, VOCABULARY)}


def problem(size: Size = Size()) -> tuple[Array, Array, dict[str, Array]]:
    """Tokens, what follows each, and the parameters at the start: the same for everybody."""
    rng = np.random.default_rng(0)
    start = {name: rng.standard_normal(s, dtype=np.float32) / 20 for name, s in shapes(size).items()}
    for name in start:
        start[name] += "norm" in name and "weight" in name
    return *rng.integers(0, VOCABULARY, (2, size.batch, size.length)), start


def training(size: Size = Size()) -> Training:
    """With the exported package."""
    ids, targets, start = problem(size)
    model = tt.GPT(VOCABULARY, size.width, size.layers, size.heads, size.length, tie_weights=False)
    model.load_state_dict(start)
    named = dict(model.named_parameters())
    optimizer = tt.Adam([named[name] for name in start], lr=LR, betas=BETAS, eps=EPS)
    return Training(lambda: tt.next_token_loss(model(ids), targets), optimizer)


def ours(size: Size = Size()) -> Side:
    """A step of it."""
    trained = training(size)
    order = trained.optimizer.param_groups[0]["params"]
    return Side(trained.step, lambda loss: [loss.numpy(), *(p.grad.numpy() for p in order), *(p.numpy() for p in order)])


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


def by_hand(size: Size = Size()) -> Side:
    """With NumPy, into arrays that are there from the start; all parameters lie in one, and so do all gradients."""
    ids, targets, start = problem(size)
    theta, grads = (np.empty(sum(p.size for p in start.values()), np.float32) for _ in range(2))
    m, v, u, count = np.zeros_like(theta), np.zeros_like(theta), np.empty(1 << 15, np.float32), [0]
    p, dp, at = {}, {}, 0
    for name, array in start.items():
        p[name], dp[name] = (flat[at:at + array.size].reshape(array.shape) for flat in (theta, grads))
        p[name][...] = array
        at += array.size

    def part(kind: type, name: str) -> Any:
        return kind(size.rows, p[name + ".weight"], p[name + ".bias"], dp[name + ".weight"], dp[name + ".bias"])
    shared = Shared(size)
    blocks = [Block(part, f"blocks.{k}", size, shared) for k in range(size.layers)]
    norm, head, dhead = part(Norm, "norm"), p["head.weight"], dp["head.weight"]
    x, dx, z = (empty(size.rows, n) for n in (size.width, size.width, VOCABULARY))
    rows, flat, following = np.arange(size.rows), ids.reshape(-1), targets.reshape(-1)
    hot = np.zeros((VOCABULARY, size.rows), np.float32)
    hot[flat, rows] = 1

    def forward() -> float:
        """The loss; z becomes the probabilities."""
        np.take(p["token_embedding.weight"], flat, axis=0, out=x)
        text = x.reshape(*ids.shape, size.width)
        text += p["position_embedding.weight"]
        for block in blocks:
            block.forward(x)
        np.matmul(norm.forward(x), head, out=z)
        np.subtract(z, z.max(axis=1, keepdims=True), out=z)
        wanted = z[rows, following]
        np.exp(z, out=z)
        total = z.sum(axis=1, keepdims=True)
        np.divide(z, total, out=z)
        return np.log(total).mean() - wanted.mean()

    def backward() -> None:
        z[rows, following] -= 1
        np.divide(z, size.rows, out=z)
        np.matmul(norm.out.T, z, out=dhead)
        dx.fill(0)
        norm.backward(np.matmul(z, head.T, out=shared.narrow), dx)
        for block in reversed(blocks):
            block.backward(dx)
        np.matmul(hot, dx, out=dp["token_embedding.weight"])
        np.add.reduce(dx.reshape(*ids.shape, size.width), axis=0, out=dp["position_embedding.weight"])

    def step() -> float:
        loss = forward()
        backward()
        count[0] += 1
        adam(theta, grads, m, v, u, count[0])
        return loss
    return Side(step, lambda loss: [loss, *dp.values(), *p.values()])


def theirs(torch: ModuleType) -> Side:
    """With torch's layers, its fused attention, and the Adam that it chooses itself; its layers want the weights turned round."""
    ids, targets, start = problem()
    nn = torch.nn

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
            self.attention = nn.ModuleDict({"qkv": nn.Linear(WIDTH, 3 * WIDTH), "proj": nn.Linear(WIDTH, WIDTH)})
            self.mlp = nn.ModuleDict({"fc": nn.Linear(WIDTH, 4 * WIDTH), "proj": nn.Linear(4 * WIDTH, WIDTH)})

        def forward(self, x):
            q, k, v = self.attention["qkv"](self.norm1(x)).view(BATCH, LENGTH, 3, HEADS, DEPTH).permute(2, 0, 3, 1, 4)
            found = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(BATCH, LENGTH, WIDTH)
            x = x + self.attention["proj"](found)
            return x + self.mlp["proj"](nn.functional.gelu(self.mlp["fc"](self.norm2(x)), approximate="tanh"))

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.token_embedding, self.position_embedding = nn.Embedding(VOCABULARY, WIDTH), nn.Embedding(LENGTH, WIDTH)
            self.blocks, self.norm = nn.ModuleList(Block() for _ in range(LAYERS)), nn.LayerNorm(WIDTH)
            self.head = nn.Linear(WIDTH, VOCABULARY, bias=False)

        def forward(self, ids):
            x = self.token_embedding(ids) + self.position_embedding.weight
            for block in self.blocks:
                x = block(x)
            return self.head(self.norm(x))

    def turned(name: str, array: Array) -> Array:
        return array.T if array.ndim == 2 and "embedding" not in name else array
    model = Model()
    model.load_state_dict({name: torch.tensor(turned(name, array).copy()) for name, array in start.items()})
    optimizer = torch.optim.Adam(model.parameters(), lr=LR, betas=BETAS, eps=EPS)
    tokens, following = torch.from_numpy(ids), torch.from_numpy(targets).reshape(-1)

    def step():
        loss = nn.functional.cross_entropy(model(tokens).view(-1, VOCABULARY), following)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    def arrays(loss):
        order = [(name, dict(model.named_parameters())[name]) for name in start]
        return [loss.detach().numpy(), *(turned(n, q.grad.numpy()) for n, q in order), *(turned(n, q.detach().numpy()) for n, q in order)]
    return Side(step, arrays)


def gpt(torch: ModuleType | None) -> dict[str, Side]:
    """The step by everybody who is there."""
    return {"ours": ours(), "numpy": by_hand()} | ({"torch": theirs(torch)} if torch else {})
