"""One training step of a GPT of 4 blocks, 128 numbers a token, 16 x 128 tokens: forward, loss, backward, Adam."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

import tinytorch as tt
from benchmarks.blocks import BATCH, HEADS, LAYERS, LENGTH, WIDTH, Block, Norm, Shared, Size, empty
from benchmarks.measure import Side, Training
from benchmarks.network import adam

VOCABULARY, DEPTH, USUAL = 65, WIDTH // HEADS, Size()
LR, BETAS, EPS = 1e-3, (0.9, 0.999), 1e-5       # as network.py's, whose `adam` is used
Array = np.ndarray


def shapes(size: Size = USUAL) -> dict[str, tuple[int, ...]]:
    """Every parameter's name, as the package calls it, and its shape."""
    width = size.width
    of = {"token_embedding.weight": (VOCABULARY, width), "position_embedding.weight": (size.length, width)}
    for k in range(size.layers):
        for name, wide in (("norm1", width), ("attention.qkv", 3 * width), ("attention.proj", width),
                           ("norm2", width), ("mlp.fc", 4 * width), ("mlp.proj", width)):
            reach = (4 * width if name == "mlp.proj" else width,) if "norm" not in name else ()
            of |= {f"blocks.{k}.{name}.weight": (*reach, wide), f"blocks.{k}.{name}.bias": (wide,)}
    return of | {"norm.weight": (width,), "norm.bias": (width,), "head.weight": (width, VOCABULARY)}


def problem(size: Size = USUAL) -> tuple[Array, Array, dict[str, Array]]:
    """Tokens, what follows each, and the parameters at the start: the same for everybody."""
    rng = np.random.default_rng(0)
    start = {name: rng.standard_normal(s, dtype=np.float32) / 20 for name, s in shapes(size).items()}
    for name in start:
        start[name] += "norm" in name and "weight" in name
    return *rng.integers(0, VOCABULARY, (2, size.batch, size.length)), start


def training(size: Size = USUAL) -> Training:
    """With the exported package."""
    ids, targets, start = problem(size)
    model = tt.GPT(VOCABULARY, size.width, size.layers, size.heads, size.length, tie_weights=False)
    model.load_state_dict(start)
    named = dict(model.named_parameters())
    optimizer = tt.Adam([named[name] for name in start], lr=LR, betas=BETAS, eps=EPS)
    return Training(lambda: tt.next_token_loss(model(ids), targets), optimizer)


def ours(size: Size = USUAL) -> Side:
    """A step of it."""
    trained = training(size)
    order = trained.optimizer.param_groups[0]["params"]
    return Side(trained.step, lambda loss: [loss.numpy(), *(p.grad.numpy() for p in order), *(p.numpy() for p in order)])


def by_hand(size: Size = USUAL) -> Side:
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
