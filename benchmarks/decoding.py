"""256 tokens, one after the other, from a GPT of 4 blocks of 128 that keeps its keys and values: always the best token follows."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

import tinytorch as tt
from benchmarks.measure import Side
from benchmarks.transformer import DEPTH, EPS, HEADS, LAYERS, VOCABULARY, WIDTH, Size, shapes

TOKENS = 256                                    # that are written, after a prompt of one
LENGTH = TOKENS + 1
Array = np.ndarray


def start(length: int = LENGTH) -> dict[str, Array]:
    """The parameters: the same for everybody, and large enough that no two tokens come close."""
    rng = np.random.default_rng(0)
    sizes = shapes(Size(length=length))
    return {name: rng.standard_normal(s, dtype=np.float32) / 6 + ("norm" in name and "weight" in name) for name, s in sizes.items()}


def layers(p: dict[str, Any]) -> list[list[tuple[Any, Any]]]:
    """(weight, bias) of each part of each block, in the order in which they are needed."""
    names = "norm1", "attention.qkv", "attention.proj", "norm2", "mlp.fc", "mlp.proj"
    return [[(p[f"blocks.{k}.{name}.weight"], p[f"blocks.{k}.{name}.bias"]) for name in names] for k in range(LAYERS)]


def ours(cached: bool = True, tokens: int | None = None) -> Side:
    """With the exported package; TOKENS where nothing is said."""
    tokens = tokens or TOKENS
    model = tt.GPT(VOCABULARY, WIDTH, LAYERS, HEADS, tokens + 1, tie_weights=False)
    model.load_state_dict(start(tokens + 1))
    if cached:
        tt.enable_kv_cache(model)
    return Side(lambda: model.generate([0], tokens, temperature=0), lambda ids: [ids.numpy()])


def norm(x: Array, w: Array, b: Array) -> Array:
    """Layer norm of a row."""
    x = x - x.mean(axis=-1, keepdims=True)
    return x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + EPS) * w + b


def by_hand(tokens: int | None = None) -> Side:
    """With NumPy, as one writes it for this model and one text."""
    tokens = tokens or TOKENS
    p, half, c = start(tokens + 1), np.float32(0.5), np.float32(np.sqrt(2 / np.pi))
    blocks = layers(p)

    def write() -> Array:
        keys, values = np.zeros((2, LAYERS, HEADS, tokens + 1, DEPTH), np.float32)
        ids = [0]
        for at in range(tokens):
            x = p["token_embedding.weight"][ids[-1:]] + p["position_embedding.weight"][at:at + 1]
            for k, (norm1, (wqkv, bqkv), (wproj, bproj), norm2, (wfc, bfc), (wback, bback)) in enumerate(blocks):
                q, key, value = (norm(x, *norm1) @ wqkv + bqkv).reshape(3, HEADS, 1, DEPTH)
                keys[k, :, at:at + 1], values[k, :, at:at + 1] = key, value
                s = q @ keys[k, :, :at + 1].mT
                s *= DEPTH ** -0.5
                s -= s.max(axis=-1, keepdims=True)
                np.exp(s, out=s)
                s /= s.sum(axis=-1, keepdims=True)
                x = x + (s @ values[k, :, :at + 1]).reshape(1, WIDTH) @ wproj + bproj
                h = norm(x, *norm2) @ wfc + bfc
                x = x + (half * h * (1 + np.tanh(c * (h + np.float32(0.044715) * h * h * h)))) @ wback + bback
            z = norm(x, p["norm.weight"], p["norm.bias"]) @ p["head.weight"]
            ids.append(int(z.argmax()))
        return np.array(ids)
    return Side(write, lambda ids: [ids])


def theirs(torch: ModuleType) -> Side:
    """With torch's functions and its fused attention, in inference mode; its linear wants the weights turned round."""
    f = torch.nn.functional
    p = {name: torch.from_numpy(np.ascontiguousarray(a.T) if a.ndim == 2 and "embedding" not in name else a)
         for name, a in start(TOKENS + 1).items()}
    blocks = layers(p)

    @torch.inference_mode()
    def write():
        keys, values = torch.zeros(2, LAYERS, 1, HEADS, LENGTH, DEPTH)
        ids = torch.zeros(1, 1, dtype=torch.long)
        for at in range(TOKENS):
            x = f.embedding(ids[:, -1:], p["token_embedding.weight"]) + p["position_embedding.weight"][at:at + 1]
            for k, (norm1, qkv, proj, norm2, fc, back) in enumerate(blocks):
                q, key, value = f.linear(f.layer_norm(x, (WIDTH,), *norm1), *qkv).view(3, 1, HEADS, 1, DEPTH)
                keys[k, :, :, at:at + 1], values[k, :, :, at:at + 1] = key, value
                found = f.scaled_dot_product_attention(q, keys[k, :, :, :at + 1], values[k, :, :, :at + 1])
                x = x + f.linear(found.view(1, 1, WIDTH), *proj)
                inner = f.gelu(f.linear(f.layer_norm(x, (WIDTH,), *norm2), *fc), approximate="tanh")
                x = x + f.linear(inner, *back)
            z = f.linear(f.layer_norm(x, (WIDTH,), p["norm.weight"], p["norm.bias"]), p["head.weight"])
            ids = torch.cat([ids, z[:, -1].argmax(dim=-1, keepdim=True)], dim=1)
        return ids[0]
    return Side(write, lambda ids: [ids.numpy()])


def decoding(torch: ModuleType | None) -> dict[str, Side]:
    """The text by everybody who is there."""
    return {"ours": ours(), "numpy": by_hand()} | ({"torch": theirs(torch)} if torch else {})


def gain(torch: ModuleType | None) -> dict[str, Side]:
    """The text with a cache, and beside it, in NumPy's place, without one."""
    return {"ours": ours(), "numpy": ours(cached=False)}
