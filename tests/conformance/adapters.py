"""For the table of operations: layers of ours with given tensors in them, and torch's counterparts of what it has in another form."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import tinytorch as tt

try:
    import torch
    import torch.nn.functional as F
except ImportError:                                 # the extra `conformance`
    torch = F = None

Call = Callable[..., Any]


def of_arrays(function: Call, x: Any) -> Any:
    """A function of arrays, on a Tensor."""
    return tt.Tensor(function(x.data), dtype=x.dtype)


def fused_chain(x: Any, y: Any) -> Any:
    """A chain of operations, fused."""
    return tt.fuse(lambda x, y: np.tanh(x * y) / (1.0 + np.exp(-x)) - 2.0 * y)(x, y)


def as_layer(w: Any, b: Any) -> Any:
    """A Linear layer with these tensors as its weight and bias."""
    layer = tt.Linear(*w.shape, bias=b is not None)
    layer.weight, layer.bias = w, b
    return layer


def as_kernels(layer: Any, x: Any, w: Any, b: Any = None, groups: int = 1, **how: Any) -> Any:
    """What a layer of convolution with these tensors as its weight and bias makes of x."""
    kernels = layer(w.shape[1] * groups, w.shape[0], w.shape[2:], groups=groups, bias=b is not None, **how)
    kernels.weight, kernels.bias = w, b
    return kernels(x)


def as_table(w: Any) -> Any:
    """An Embedding with this tensor as its weight."""
    layer = tt.Embedding(*w.shape)
    layer.weight = w
    return layer


def as_positions(w: Any) -> Any:
    """Learned positions with this tensor as their weight."""
    layer = tt.LearnedPositionalEmbedding(*w.shape)
    layer.weight = w
    return layer


def as_both(w: Any, p: Any, scale: bool) -> Any:
    """A layer of words and positions with these tensors as its weights."""
    layer = tt.EmbeddingLayer(*w.shape, max_seq_len=len(p), scale_embeddings=scale)
    layer.token_embedding.weight, layer.position_embedding.weight = w, p
    return layer


def fake_quantized(x: Any, scale: float, zero_point: int, bits: int) -> Any:
    """torch's, which is told the ends of the grid."""
    return torch.fake_quantize_per_tensor_affine(x, scale, zero_point, -2 ** (bits - 1), 2 ** (bits - 1) - 1)


def sinusoids(positions: int, dim: int) -> Any:
    """The table of "Attention is all you need", column by column, rounded to float32 as ours is."""
    table = torch.zeros(positions, dim, dtype=torch.float64)
    for p in range(positions):
        for column in range(dim):
            angle = p / 10000 ** ((column - column % 2) / dim)
            table[p, column] = math.cos(angle) if column % 2 else math.sin(angle)
    return table.float()


def llama_rotation(x: Any, start: int, base: float) -> Any:
    """x turned as Hugging Face's LLaMA turns queries and keys: x cos + rotate_half(x) sin."""
    half = x.shape[-1] // 2
    frequencies = 1.0 / base ** (torch.arange(0, 2 * half, 2, dtype=torch.float64) / (2 * half))
    angles = torch.outer(torch.arange(start, start + x.shape[-2], dtype=torch.float64), frequencies)
    cos, sin = (torch.cat((f, f), dim=-1).float().to(x.dtype) for f in (angles.cos(), angles.sin()))
    return x * cos + torch.cat((-x[..., half:], x[..., :half]), dim=-1) * sin


def of_dtype(mask: Any, dtype: Any) -> Any:
    """torch's mask of floats in another dtype; of truth values, or None, as it is."""
    return mask if mask is None or mask.dtype == torch.bool else mask.to(dtype)


def masked(scores: Any, mask: Any) -> Any:
    """torch's scores under a mask of truth values (True: may be looked at), of floats, or without one."""
    if mask is None or mask.dtype != torch.bool:
        return scores if mask is None else scores + mask.to(scores.dtype)
    return scores.masked_fill(~mask, float("-inf"))


def side_by_side(qkv: Any, num_heads: int, mask: Any = None) -> Any:
    """torch's attention of queries, keys and values that lie side by side; causal, unless there is a mask."""
    b, t, c = qkv.shape[0], qkv.shape[1], qkv.shape[2] // 3
    q, k, v = (x.reshape(b, t, num_heads, c // num_heads).transpose(1, 2) for x in qkv.split(c, -1))
    return F.scaled_dot_product_attention(q, k, v, mask, is_causal=mask is None).transpose(1, 2).reshape(b, t, c)


def as_heads(x: Any, w: Any, b: Any, p: Any, c: Any, num_heads: int, causal: bool, mask: Any) -> Any:
    """What a MultiHeadAttention with these tensors as its weights and biases makes of x."""
    layer = tt.MultiHeadAttention(x.shape[-1], num_heads, causal)
    layer.qkv.weight, layer.qkv.bias, layer.proj.weight, layer.proj.bias = w, b, p, c
    return layer(x, mask)


def heads_of(x: Any, w: Any, b: Any, p: Any, c: Any, num_heads: int, causal: bool, mask: Any) -> Any:
    """The same by torch's functions."""
    t = x.shape[1]
    may = torch.ones(t, t).tril().bool() if causal else torch.ones(t, t).bool()
    added = masked(torch.zeros(x.shape[0], 1, t, t, dtype=x.dtype), may)
    return F.linear(side_by_side(F.linear(x, w.T, b), num_heads, masked(added, mask)), p.T, c)
