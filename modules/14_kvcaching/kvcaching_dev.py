# %% [markdown]
"""
# 14 KV caching

> A model that writes need not read its own text again for every token.

You find out what `generate` of module 13 computes again and again, keep it, and make one operation of a whole block. Then you measure what both are
worth, and where they are worth nothing.
"""

# %% nbgrader={"grade": false, "grade_id": "start", "locked": true, "schema_version": 3, "solution": false, "task": false}
import tito.notebook     # where this fails, open the notebook with: tito module open 14
from tito.check import expect

tito.notebook.use(14)

# %%
#| default_exp generation.kv_cache
#| view generation

# %% nbgrader={"grade": false, "grade_id": "imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
import math
from numbers import Integral

import numpy as np

from tinytorch.core.attention import MultiHeadAttention, causal_weights, merge_heads, split_heads, thirds
from tinytorch.core.autograd import no_grad, run
from tinytorch.core.layers import Linear, Module, check_kind, check_whole
from tinytorch.core.tensor import Tensor, default_generator, float32, int64, op
from tinytorch.core.training import check_float
from tinytorch.models.transformer import GPT, MLP, LayerNorm, TiedLinear, TransformerBlock, check_generate, sample_tokens, token_probabilities
from tinytorch.text.embeddings import Embedding, LearnedPositionalEmbedding, PositionalEncoding, token_ids

# %% nbgrader={"grade": false, "grade_id": "tools", "locked": true, "schema_version": 3, "solution": false, "task": false}
from tinytorch.core.attention import attention_loops, causal_attention
from tinytorch.core.tensor import around, float64, tensor
from tinytorch.models.transformer import RMSNorm
from tinytorch.text.embeddings import RotaryEmbedding


def passing(call):
    """What passes the door during `call()`: a list of (operation's name, its first input)."""
    seen = []
    def watch(call, op, arrays, params):
        seen.append((op.__name__, arrays[0]))
        return call(arrays, params)
    around.append(watch)
    try:
        call()
    finally:
        around.remove(watch)
    return seen


def drawn(model, seed=0, scale=0.3):
    """The model in evaluation, with numbers in all its parameters that make a difference."""
    rng = np.random.default_rng(seed)
    for p in model.parameters():
        p.data[...] = rng.normal(size=p.shape) * scale + (p.ndim == 1)
    return model.eval()

# %% [markdown]
"""
## 1 · Reading the same text again

`generate` gives the model the whole text for each token that it adds. How many rows does each `Linear` layer work on, to write n tokens? Somebody sits
at the door and counts.
"""

# %%
model = drawn(GPT(vocab_size=65, embed_dim=32, num_layers=2, num_heads=4, max_seq_len=128))
for n in (1, 10, 100):
    inputs = [x for name, x in passing(lambda: model.generate([0], n)) if name == "linear"]
    layers = 4 * len(model.blocks) + 1                           # qkv, proj, fc, proj of each block; the head
    print(f"{n:3} tokens: {sum(len(x.reshape(-1, x.shape[-1])) for x in inputs) // layers:5} rows a layer")

# %% [markdown]
r"""
1 + 2 + … + n = n(n + 1)/2. To write a text twice as long takes four times the work, and nearly all of it was done before. What of it was the same?
Here are the queries, keys and values of every block, for the first five tokens of a text, and for six:
"""

# %%
ids = np.random.default_rng(0).integers(0, 65, (1, 6))
five, six = ([x for name, x in passing(lambda: model(ids[:, :n])) if name == "causal_attention"] for n in (5, 6))
for block, (a, b) in enumerate(zip(five, six)):
    print(f"block {block}: (B, T, 3·C) = {a.shape}, then {b.shape}; the first five rows differ by {np.abs(a - b[:, :5]).max():.0e}")

# %% [markdown]
"""
They are the same, in every block (but for rounding, where the last digit depends on how many rows are multiplied at once). No token sees later ones,
so what comes later changes nothing before it. Of the new token one needs everything; of the earlier ones only what *others* look at:

```
  written before               new
  token 0  token 1  token 2    token 3
    k v      k v      k v        k v      for itself and all that follow
     ▲        ▲        ▲          ▲
     └────────┴────────┴──── q ───┘       needed once, by nobody else
```

So keep the keys and values of each block. That is a *KV cache*. The queries of earlier tokens are not needed any more, nor anything else of them.

## 2 · Attention for the new ones

Often one token is new. At the start it is a whole prompt, so let there be n new ones at the end of S places:

```
                 keys and values, S = 5
                   0  1  2  3  4
 queries, n = 2  3 ■  ■  ■  ■  ·        the first new one stands at place S - n
                 4 ■  ■  ■  ■  ■
```

Module 12's `causal_weights(q, k)` gives the weights of just these n rows, (…, n, S). `run(merge_heads, x)` brings an array (B, H, n, D) to (B, n, H·D).

**Your turn.** All are arrays here.
"""

# %% nbgrader={"grade": false, "grade_id": "cached-attention", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
@op
def cached_attention(q, keys, values):
    """Attention of the last n of S places, none of which sees what comes later: q (B, H, n, D), keys, values (B, H, S, D) -> (B, n, H·D).

    It has no gradient.

    >>> cached_attention(np.zeros((1, 1, 1, 2)), np.zeros((1, 1, 2, 2)), np.array([[[[0.0, 1.0], [4.0, 5.0]]]])).tolist()
    [[[2.0, 3.0]]]
    """
    ### BEGIN SOLUTION
    return run(merge_heads, causal_weights(q, keys) @ values)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-cached-attention", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_cached_attention():
    """The new places look at all before them, and not ahead."""
    rng = np.random.default_rng(0)
    qkv = rng.normal(size=(2, 5, 3 * 6)) * 2.0
    q, k, v = thirds(run(split_heads, qkv, 6))                               # (2, 2, 5, 3)
    whole = causal_attention(tensor(qkv, float64), num_heads=2).numpy()
    given = lambda n: [tensor(x, float64) for x in (q[:, :, -n:], k, v)]
    single = lambda n: np.stack([[attention_loops(q[b, h, -n:], k[b, h], v[b, h]) for h in range(2)] for b in range(2)])
    heads_last = lambda x: run(merge_heads, x)
    expect.close(lambda: cached_attention(*given(1)), whole[:, 4:], "one new token: the last row", mistaken={
        "heads become columns again: merge_heads": single(1), "merge_heads swaps heads and places; a reshape does not": single(1).reshape(2, 1, 6),
        "mix the values, by weights made of the keys": heads_last(causal_weights(q[:, :, -1:], v) @ k),
        "causal_weights divides by √D already": heads_last(causal_weights(q[:, :, -1:] / 3 ** 0.5, k) @ v)}, hint="causal_weights(q, keys) @ values",
        raises={(ValueError, TypeError): "causal_weights(q, keys) is (B, H, n, S); times values; then run(merge_heads, …)"})
    for n in (2, 5):
        expect.close(lambda: cached_attention(*given(n)), whole[:, -n:], "of several new ones none looks ahead", mistaken={
            "a new token does not see those after it": heads_last(single(n)), "merge_heads swaps heads and places; a reshape does not": lambda got: np.allclose(
                np.sort(got, axis=None), np.sort(whole[:, -n:], axis=None))}, hint="causal_weights(q, keys) knows that q are the last n")

test_unit_cached_attention()

# %% [markdown]
"""
## 3 · The cache

Appending with `np.concatenate` would copy all that is there, for every token. So take the memory at once, for the longest text, and write into it:

```
 keys of one layer, (B, H, max_seq_len = 8, D), seq_pos = 3
   ┌─────┬─────┬─────┬─────┬─────┬─────┬─────┬─────┐
   │ k 0 │ k 1 │ k 2 │ new │     │     │     │     │
   └─────┴─────┴─────┴─────┴─────┴─────┴─────┴─────┘
   └── get ────────┘
   └── what update returns ┘                   views, not copies
```

**Your turn.** The two arrays of zeros have the given `shape` and `dtype`, and no token is there yet.
"""

# %% nbgrader={"grade": false, "grade_id": "cache", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
class KVCache:
    """Room for the keys and values of every token that a model has seen: `keys`, `values` (num_layers, batch_size, num_heads, max_seq_len, head_dim).

    `seq_pos` counts the tokens that are there.  ValueError for sizes below 1.

    >>> KVCache(batch_size=1, max_seq_len=8, num_layers=2, num_heads=4, head_dim=16).keys.shape
    (2, 1, 4, 8, 16)
    """
    def __init__(self, batch_size, max_seq_len, num_layers, num_heads, head_dim, dtype=float32):
        """Make the arrays `keys` and `values` of zeros, and `seq_pos`."""
        self.max_seq_len, shape = max_seq_len, (num_layers, batch_size, num_heads, max_seq_len, head_dim)
        check_whole("KVCache", num_layers=num_layers, batch_size=batch_size, num_heads=num_heads, max_seq_len=max_seq_len, head_dim=head_dim)
        check_float("KVCache", dtype=dtype)
        ### BEGIN SOLUTION
        self.keys, self.values, self.seq_pos = np.zeros(shape, dtype), np.zeros(shape, dtype), 0
        ### END SOLUTION

    def __repr__(self):
        layers, texts = self.keys.shape[:2]
        return f"KVCache({self.seq_pos} of {self.max_seq_len} places taken, {layers} layers, batch of {texts}, {self.keys.dtype})"

# %% nbgrader={"grade": true, "grade_id": "test-cache", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
def test_unit_cache():
    """The cache has room for every key and every value, and is empty."""
    cache = KVCache(2, 5, 3, 4, 6)
    expect.same(lambda: [cache.keys.shape, cache.values.shape], [(3, 2, 4, 5, 6)] * 2, "a place for every token of every layer", hint="np.zeros(shape, dtype)",
                raises={AttributeError: "set self.keys, self.values and self.seq_pos"})
    expect.same(lambda: [cache.keys.dtype, cache.values.dtype], [float32] * 2, "float32, unless another dtype is given", hint="np.zeros(shape, dtype)")
    expect.same(lambda: [x.dtype for x in (KVCache(1, 2, 1, 1, 2, float64).keys, KVCache(1, 2, 1, 1, 2, float64).values)], [float64] * 2, "float64 where it is wanted",
                hint="pass dtype on")
    expect.true(lambda: not np.shares_memory(cache.keys, cache.values), "keys and values have memory of their own", hint="np.zeros twice: a = b = … is one array")
    expect.same(lambda: [cache.seq_pos, cache.max_seq_len], [0, 5], "no token is there yet", hint="seq_pos counts the tokens that are there",
                raises={AttributeError: "set self.keys, self.values and self.seq_pos"})
    expect.raises(ValueError, lambda: KVCache(0, 5, 3, 4, 6), "no texts", match="batch_size")

test_unit_cache()

# %% [markdown]
"""
What does not fit is refused before anything is written (given). A Tensor with a gradient does not fit either: through a cache no gradient flows, and
losing it silently would be worse.

**Your turn.** Write n new keys and values of one layer to the places from `seq_pos` on. Return views up to and with the new ones. Every layer writes to
the same places, so `seq_pos` stays as it is.
"""

# %%
#| export
def _check(self, layer, key, value):
    """ValueError where a key and a value (B, H, n, D) do not fit into `layer`, TypeError where a gradient would be lost."""
    layers, batch, heads, room, width = self.keys.shape
    for x in key, value:
        if not isinstance(x, (np.ndarray, Tensor)) or x.dtype.kind not in "fiub":
            raise TypeError(f"KVCache.update: key and value must be arrays of numbers (B, H, n, D), not {key!r:.60} and {value!r:.60}")
        if isinstance(x, Tensor) and x.requires_grad:
            raise TypeError("KVCache.update: no gradient flows through a cache; write under no_grad(), or give x.detach()")
    check_whole("KVCache.update", 0, layers - 1, layer=layer)
    if key.shape != value.shape or key.ndim != 4 or key.shape != (batch, heads, key.shape[2], width):
        raise ValueError(f"KVCache.update: key and value ({batch}, {heads}, n, {width}) wanted, (B, H, n, D), not {key.shape} and {value.shape}")
    if self.seq_pos + key.shape[2] > room:
        raise ValueError(f"KVCache.update: {self.seq_pos} of {room} places are taken, no room for {key.shape[2]} more; reset(), or make max_seq_len larger")

# %% nbgrader={"grade": false, "grade_id": "update", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def _update(self, layer, key, value):
    """Write the key and the value (B, H, n, D) of n new tokens: the views (B, H, seq_pos + n, D) of all keys and all values of the layer."""
    _check(self, layer, key, value)
    ### BEGIN SOLUTION
    stop = self.seq_pos + key.shape[2]
    self.keys[layer, :, :, self.seq_pos:stop] = key
    self.values[layer, :, :, self.seq_pos:stop] = value
    return self.keys[layer, :, :, :stop], self.values[layer, :, :, :stop]
    ### END SOLUTION

KVCache.update = _update

# %% nbgrader={"grade": true, "grade_id": "test-update", "locked": true, "points": 12, "schema_version": 3, "solution": false, "task": false}
def test_unit_update():
    """New keys and values stand behind those that are there, and nothing is copied."""
    rng = np.random.default_rng(0)
    cache, (key, value) = KVCache(2, 5, 3, 2, 4), rng.normal(size=(2, 2, 2, 2, 4)).astype(float32)
    arrays, cache.seq_pos = (cache.keys, cache.values), 1
    views = []
    expect.same(lambda: [x.shape for x in views.append(cache.update(1, key, value)) or views[0]], [(2, 2, 3, 4)] * 2, "one that was there, two new ones", mistaken={
        "all up to the new ones, not only the new ones": [(2, 2, 2, 4)] * 2, "up to the new ones, not the whole room": [(2, 2, 5, 4)] * 2,
        "with the new ones": [(2, 2, 1, 4)] * 2}, hint="self.keys[layer, :, :, :stop]", raises={TypeError: "return the views of keys and values"})
    want = np.zeros((2, 3, 2, 2, 5, 4), float32)
    want[:, 1, :, :, 1:3] = key, value
    start, everywhere = want * 0, np.broadcast_to(want[:, 1:2], want.shape)
    start[:, 1, :, :, :2] = key, value
    expect.close(lambda: np.stack([cache.keys, cache.values]), want, "in their layer, from seq_pos on; all else as it was", mistaken={
        "the first new one stands at seq_pos": start, "only this layer: self.keys[layer, …]": everywhere, "keys to keys, values to values": want[::-1],
        "write the values, too": want * [[[[[[1.0]]]]], [[[[[0.0]]]]]], "write the keys, too": want * [[[[[[0.0]]]]], [[[[[1.0]]]]]]},
        hint="self.keys[layer, :, :, seq_pos:seq_pos + n] = key")
    expect.true(lambda: cache.keys is arrays[0] and cache.values is arrays[1], "in the arrays that were there from the start", hint="write into self.keys[…]")
    expect.close(lambda: np.stack(views[0]), want[:, 1, :, :, :3], "keys first, then values", mistaken={"keys first": want[::-1, 1, :, :, :3]})
    expect.true(lambda: all(np.shares_memory(view, whole) for view, whole in zip(views[0], arrays)), "views of the cache", hint="return slices: concatenate and copy cost time")
    expect.same(cache.seq_pos, 1, "seq_pos stays, for the next layer", hint="advance() moves on, once all layers have written")
    cache.update(2, Tensor(key), Tensor(value))
    expect.close(lambda: cache.keys[2], want[0, 1], "Tensors are welcome")
    for layer, wrong, words in ((3, key, "layer 3"), (0, key[:1], "(1, 2, 2, 4)"), (0, np.tile(key, (1, 1, 3, 1)), "1 of 5 6 more reset")):
        expect.raises(ValueError, lambda: cache.update(layer, wrong, wrong), "what does not fit is refused", match=words)

test_unit_update()

# %% [markdown]
"""
**Your turn.** `get` gives views of what is there, `advance` counts the new tokens, and `reset` makes room for another text, in the same memory: what
lies beyond `seq_pos` nobody reads.
"""

# %% nbgrader={"grade": false, "grade_id": "get", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def _get(self, layer):
    """The views (B, H, seq_pos, D) of a layer's keys and values."""
    check_whole("KVCache.get", 0, len(self.keys) - 1, layer=layer)
    ### BEGIN SOLUTION
    return self.keys[layer, :, :, :self.seq_pos], self.values[layer, :, :, :self.seq_pos]
    ### END SOLUTION


def _advance(self, n=1):
    """n more tokens are in all layers.  ValueError where there is no room for so many."""
    check_kind("KVCache.advance", Integral, n=n)
    if not 0 <= n <= self.max_seq_len - self.seq_pos:
        raise ValueError(f"KVCache.advance: {self.seq_pos} of {self.max_seq_len} places are taken; 0 to {self.max_seq_len - self.seq_pos} more, not {n}")
    ### BEGIN SOLUTION
    self.seq_pos += n
    ### END SOLUTION


def _reset(self):
    """Forget the text, and keep the memory."""
    ### BEGIN SOLUTION
    self.seq_pos = 0
    ### END SOLUTION

KVCache.get, KVCache.advance, KVCache.reset = _get, _advance, _reset

# %% nbgrader={"grade": true, "grade_id": "test-get", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
def test_unit_get():
    """Tokens that are counted are there, until the next text."""
    cache, (key, value) = KVCache(1, 4, 2, 1, 2), np.random.default_rng(0).normal(size=(2, 1, 1, 3, 2)).astype(float32)
    cache.update(1, key, value)
    expect.same(lambda: [x.shape for x in cache.get(1)], [(1, 1, 0, 2)] * 2, "what is not counted yet is not there", mistaken={
        "up to seq_pos": [(1, 1, 4, 2)] * 2}, hint="self.keys[layer, :, :, :self.seq_pos]")
    cache.advance(2)
    cache.advance()
    expect.same(cache.seq_pos, 3, "two, and one more", mistaken={"by n": 2, "add n to those before": 1}, hint="self.seq_pos += n")
    expect.close(lambda: cache.get(1), [key, value], "keys, and values", mistaken={"of this layer": np.zeros((2, 1, 1, 3, 2)), "keys first": np.stack([value, key])})
    arrays = cache.keys, cache.values
    expect.true(lambda: all(np.shares_memory(view, whole) for view, whole in zip(cache.get(1), arrays)), "views of the cache", hint="a slice, not a copy")
    expect.raises(ValueError, lambda: cache.advance(2), "more than there is room for", match="3 of 4 1 more")
    cache.reset()
    expect.same(cache.seq_pos, 0, "after reset a text begins", hint="self.seq_pos = 0")
    expect.true(lambda: cache.keys is arrays[0] and cache.values is arrays[1], "in the same memory", hint="reset only moves seq_pos")

test_unit_get()

# %% [markdown]
"""
What does it cost? `array.nbytes` is what an array takes.

**Your turn.** Of all keys, all values, and both together: in units of 2²⁰ bytes. And for one token of one text, in all layers: in bytes.
"""

# %% nbgrader={"grade": false, "grade_id": "memory-usage", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def _get_memory_usage(self):
    """{"keys_mb", "values_mb", "total_mb"} in units of 2**20 bytes, and "bytes_per_token", a whole number, for one token of one text."""
    ### BEGIN SOLUTION
    each, mb = self.keys.nbytes, 2 ** 20                         # the values take as much as the keys
    per_token = 2 * each // (self.keys.shape[1] * self.max_seq_len)
    return {"keys_mb": each / mb, "values_mb": each / mb, "total_mb": 2 * each / mb, "bytes_per_token": per_token}
    ### END SOLUTION

KVCache.get_memory_usage = _get_memory_usage

# %% nbgrader={"grade": true, "grade_id": "test-memory-usage", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
def test_unit_memory_usage():
    """What the cache takes, in all and for a token."""
    for dtype, size in ((float32, 4), (float64, 8)):
        usage, keys = KVCache(3, 128, 2, 4, 8, dtype).get_memory_usage, 2 * 3 * 4 * 128 * 8 * size / 2 ** 20
        expect.close(lambda: [usage()[name] for name in ("keys_mb", "values_mb", "total_mb")], [keys, keys, 2 * keys], f"of {dtype}", mistaken={
            "both together: keys and values": [keys] * 3, "2**20 bytes are one unit": [keys * 1.048576, keys * 1.048576, 2 * keys * 1.048576],
            "so many bytes as the dtype has: nbytes": [keys / 2, keys / 2, keys], "bytes, not numbers: nbytes": [keys / size, keys / size, 2 * keys / size]},
            hint="nbytes / 2 ** 20", raises={KeyError: "keys_mb, values_mb, total_mb, bytes_per_token", TypeError: "return a dict"})
        expect.same(lambda: usage()["bytes_per_token"], 2 * 2 * 4 * 8 * size, "one token of one text", mistaken={
            "of ONE text: divide by batch_size as well": 3 * 2 * 2 * 4 * 8 * size, "keys and values, in all layers": 2 * 4 * 8 * size,
            "of one token: divide by max_seq_len": 128 * 2 * 2 * 4 * 8 * size, "a whole number: //": float(2 * 2 * 4 * 8 * size)}, hint="total bytes // (batch_size · max_seq_len)")

test_unit_memory_usage()

# %% [markdown]
"""
## 4 · A block that remembers

Module 13's block again, with one difference: it gets the n new tokens only, and looks for the others in the cache.

```
 x ──┬────────────────────────────────────────────────────────┬─ + ── MLP …
     └─ norm1 ─ qkv ─┬ q ──────────────────┐                  │
                     │                cached_attention ─ proj ─ dropout
                     └ k, v ─ cache.update ┘
```

`thirds(split_heads(attention.qkv(…), 3 * attention.num_heads))` gives q, k and v, (B, H, n, D). Where `attention.rotary` is not None, it turns q and k by
their positions: `rotary(q, start=…)`; the first new token stands at `cache.seq_pos`.

**Your turn.** `x + …` for the attention, as in the picture, then for the MLP: `block.mlp` of `block.norm2`.
"""

# %% nbgrader={"grade": false, "grade_id": "cached-block", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def cached_block(block, x, cache, layer):
    """The TransformerBlock of number `layer` for the n tokens that are new: x (B, n, C) -> (B, n, C).  Their keys and values go into the cache."""
    attention = block.attention
    ### BEGIN SOLUTION
    q, k, v = thirds(split_heads(attention.qkv(block.norm1(x)), 3 * attention.num_heads))
    if attention.rotary is not None:
        q, k = attention.rotary(q, start=cache.seq_pos), attention.rotary(k, start=cache.seq_pos)
    x = x + block.dropout(attention.proj(cached_attention(q, *cache.update(layer, k, v))))
    return x + block.mlp(block.norm2(x))
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-cached-block", "locked": true, "points": 12, "schema_version": 3, "solution": false, "task": false}
@no_grad()
def test_unit_cached_block():
    """Piece by piece, a block gives what it gives for the whole text."""
    x = Tensor(np.random.default_rng(0).normal(size=(2, 5, 8)) + 1.0)
    for name, kind in (("a plain block", {}), ("RMSNorm", {"norm": RMSNorm}), ("rotary positions", {"rotary": RotaryEmbedding(4, 6)})):
        block, cache = drawn(TransformerBlock(8, 2, **kind)), KVCache(2, 6, 3, 2, 4)
        whole, attention, mlp, norm1, norm2 = block(x).numpy(), block.attention, block.mlp, block.norm1, block.norm2
        prompt, thought = x[:, :3], lambda y: y + mlp(norm2(y))
        found = attention(norm1(prompt))
        middle = prompt + found
        expect.close(lambda: cached_block(block, prompt, cache, 1), whole[:, :3], f"{name}: a prompt of three", mistaken={
            "add what attention finds to x": thought(found), "norm1 stands before the attention": thought(prompt + attention(prompt)),
            "add what the MLP makes": mlp(norm2(middle)), "the MLP comes last": middle, "the MLP works on the sum": middle + mlp(norm2(prompt)),
            "norm2 stands before the MLP": middle + mlp(middle),
            "proj comes after the attention": thought(prompt + causal_attention(attention.qkv(norm1(prompt)), num_heads=2))},
            hint="rotary(q, start=cache.seq_pos), and k as well" if "rotary" in kind else "follow the picture", tol=1e-5)
        expect.same(cache.seq_pos, 0, "the block does not move on: other layers follow", hint="no advance() here")
        cache.advance(3)
        expect.close(lambda: cached_block(block, x[:, 3:], cache, 1), whole[:, 3:], f"{name}: then two more, which see the three", tol=1e-5, mistaken={
            "look at all keys and values: those that cache.update returns": block(x[:, 3:])}, hint="rotary(…, start=cache.seq_pos): the first new token stands at place 3"
            if "rotary" in kind else "cached_attention(q, *cache.update(layer, k, v))")
        expect.same(lambda: [bool(x.any()) for x in cache.keys], [False, True, False], "in its own layer", hint="cache.update(layer, …)")
    block = drawn(TransformerBlock(8, 2, dropout=0.5)).train()
    block.mlp.eval()
    expect.true(lambda: not np.allclose(*(cached_block(block, x, KVCache(2, 6, 3, 2, 4), 1).numpy() for _ in range(2))), "dropout is used in training",
                hint="x + block.dropout(…)")

test_unit_cached_block()

# %% [markdown]
"""
The whole model: ids, positions, blocks, norm and head, as in module 13. The positions of the new tokens begin at `cache.seq_pos`:
`position_embedding(x, start=…)`. Only the scores of the last position are wanted, so the head works on `x[:, -1]` alone, for a prompt too.

`cache_for` (given) makes a cache that fits a model, and refuses a model for which these pages would not be true.

**Your turn.** Do not forget `model.dropout`, and to count the new tokens at the end.
"""

# %%
#| export
def _follows(part, kind):
    """TypeError unless the part of a model computes what its kind computes."""
    if not isinstance(part, kind) or type(part).forward is not kind.forward or "forward" in vars(part):
        raise TypeError(f"enable_kv_cache: a KV cache follows the forward of {kind.__name__}, and this {type(part).__name__} has another one")


def cache_for(model, batch_size=1):
    """An empty KVCache for a GPT and so many texts.  TypeError for a model that computes something else than GPT and its blocks do."""
    _follows(model, GPT)
    for block in model.blocks:
        _follows(block, TransformerBlock)
        _follows(block.attention, MultiHeadAttention)
        if not block.attention.causal:
            raise TypeError("enable_kv_cache: a KV cache needs causal attention: where tokens see later ones, keys and values change with every token")
    heads = model.settings["num_heads"]
    return KVCache(batch_size, model.max_seq_len, len(model.blocks), heads, model.embed_dim // heads, model.norm.weight.dtype)

# %% nbgrader={"grade": false, "grade_id": "cached-forward", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
@no_grad()
def cached_forward(model, ids, cache):
    """The scores (B, V) of the last position, when the ids (B, n) follow those that the cache has seen; then it has seen these too.

    ValueError where the ids do not fit, or there is no room for them.
    """
    ids = np.asarray(ids)
    if ids.ndim != 2 or not ids.shape[1]:
        raise ValueError(f"cached_forward: new ids (B, n) wanted, at least one, not {ids.shape}")
    ### BEGIN SOLUTION
    x = model.token_embedding(ids)                                           # (B, n, C)
    if model.position_embedding is not None:
        x = model.position_embedding(x, start=cache.seq_pos)
    x = model.dropout(x)
    for layer, block in enumerate(model.blocks):
        x = cached_block(block, x, cache, layer)
    cache.advance(ids.shape[1])
    return model.head(model.norm(x[:, -1]))                                  # (B, V)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-cached-forward", "locked": true, "points": 10, "schema_version": 3, "solution": false, "task": false}
def test_unit_cached_forward():
    """Piece by piece, a model gives the scores that it gives for the whole text."""
    ids = np.random.default_rng(0).integers(0, 11, (2, 6))
    for positions in ("learned", "sinusoidal", "rotary", None):
        model, bare = (drawn(GPT(11, 8, 2, 2, 6, positions=positions)) for _ in range(2))
        whole, cache, bare.position_embedding = model(ids).numpy(), cache_for(model, 2), None
        hint = "position_embedding(x, start=cache.seq_pos), unless it is None"
        expect.same(lambda: [cached_forward(model, ids[:, :2], cache), cache.seq_pos][1], 2, f"{positions} positions: two are seen", mistaken={
            "count them: cache.advance(n)": 0, "n tokens are new, not one": 1, "once, not for every layer": 4}, hint="cache.advance(ids.shape[1])",
            raises={TypeError: hint, IndexError: "x[:, -1] (B, C) is what the head needs"})
        cache.reset()
        expect.close(lambda: cached_forward(model, ids[:, :3], cache), whole[:, 2], "the scores after a prompt of three", tol=2e-5, mistaken={
            "the scores of the last position": whole[:, 0], "of the last position only, (B, V)": whole[:, :3], "add the positions": bare(ids[:, :3])[:, -1]},
            hint="embeddings, positions, dropout, blocks, norm, head")
        for n in (4, 5, 6):
            expect.close(lambda: cached_forward(model, ids[:, n - 1:n].tolist(), cache), whole[:, n - 1], "then one after the other", tol=2e-5, mistaken={
                "the first new token stands at cache.seq_pos": lambda got: positions == "learned" and not np.allclose(got, whole[:, n - 1], atol=1e-4)}, hint=hint)
    expect.raises(ValueError, lambda: cached_forward(model, ids[:, :1], cache), "a seventh has no room", match="6 of 6")
    expect.same(lambda: cache.seq_pos, 6, "and is not counted")
    expect.true(lambda: not cached_forward(model, ids[:, :3], cache_for(model, 2)).requires_grad, "no graph is recorded")
    rare = GPT(11, 40, 1, 2, 6, dropout=0.5)
    rare.blocks[0].eval()
    expect.true(lambda: not np.allclose(*(cached_forward(rare, [[1]], cache_for(rare)).numpy() for _ in range(2))), "dropout is used in training",
                hint="model.dropout(x)")

test_unit_cached_forward()

# %% [markdown]
"""
## 5 · One operation

How long does one more token take now, with 128 tokens in the cache? And how long does NumPy take for the products alone? `compare` runs the calls in
turns, so that what slows the machine down slows all of them, and tells the median and the quartiles of the processor's time.
"""

# %% tags=["analysis"]
import time


def timed(call, times):
    """Seconds of the processor for one of `times` calls."""
    began = time.process_time()
    for _ in range(times):
        call()
    return (time.process_time() - began) / times


def compare(calls, rounds=11, times=20):
    """What each call of a dict takes, in turns: the median and the quartiles."""
    took = {name: [] for name in calls}
    for _ in range(rounds + 1):                                              # the first round warms up
        for name, call in calls.items():
            took[name].append(timed(call, times))
    for name, seconds in took.items():
        low, middle, high = np.quantile(seconds[1:], [0.25, 0.5, 0.75]) * 1e3
        print(f"{name:28} {middle:8.3f} ms   ({low:.3f} to {high:.3f})")


large = drawn(GPT(vocab_size=65, embed_dim=128, num_layers=4, num_heads=4, max_seq_len=256), scale=0.1)
text = np.random.default_rng(0).integers(0, 65, (1, 256))
cache = cache_for(large)
cached_forward(large, text[:, :128], cache)
pairs = [(np.ones((1, len(p.data)), float32), p.data) for name, p in large.named_parameters() if p.ndim == 2 and "embedding" not in name]


def one_more(step, *weights):
    """The scores after token 129, 128 being in the cache."""
    cache.seq_pos = 128
    return step(large, text[:, 128:129], cache, *weights)

compare({"all 129 tokens again": lambda: large(text[:, :129]), "one more, with the cache": lambda: one_more(cached_forward),
         "its products alone": lambda: [row @ matrix for row, matrix in pairs]});

# %%
from collections import Counter

block, row = drawn(TransformerBlock(128, 4)), Tensor(np.ones((1, 1, 128)))
with no_grad():
    seen = passing(lambda: cached_block(block, row, KVCache(1, 8, 1, 4, 32), 0))
print(len(seen), "operations a block:", dict(Counter(name for name, _ in seen)))

# %% [markdown]
"""
The products are a small part. Each operation has its price, however little it has to do: Python looks for it, the door unwraps and wraps, NumPy
allocates. For a thousand rows nobody notices. For one row that *is* the price.

So make one operation of the block, for the case that counts: one new token. Two more things are cheap there. One query at the end sees everything, so no
mask is needed. And one token has no axis of places, so heads become columns without swapping anything:

```
 h (B, 3·C) ── reshape(parts) (B, 3, H, 1, D) ── swapaxes(0, 1) ──► q, k, v  (B, H, 1, D)
 p @ values (B, H, 1, D) ── reshape (B, C)
```

The weights come as a *setting*, a list of arrays: inputs would each be unwrapped and looked at. `_norm_rows` and `_gelu_rows` (given) are module 13's
`layer_norm` and module 02's `gelu`, written for few rows: few calls, in place where the array is their own.
"""

# %%
#| export
def _norm_rows(x, weight, bias, eps):
    """Layer norm of the rows of an array (B, C)."""
    y = x - x.sum(axis=-1, keepdims=True) / x.shape[-1]
    y /= np.sqrt(np.vecdot(y, y)[:, None] / x.shape[-1] + eps)
    y *= weight
    y += bias
    return y


def _gelu_rows(x):
    """GELU of an array, in its tanh form: x/2 · (1 + tanh(x · (c + 0.044715 c x²))), c = √(2/π)."""
    c = math.sqrt(2 / math.pi)
    y = x * x
    y *= 0.044715 * c
    y += c
    y *= x
    np.tanh(y, out=y)
    y += 1
    y *= x
    y *= 0.5
    return y


def _block_weights(block):
    """What `block_step` needs of a block: twelve arrays and two eps.  None where the block is of another kind."""
    if [type(part) for part in (block, block.attention, block.mlp)] != [TransformerBlock, MultiHeadAttention, MLP] or block.attention.rotary is not None:
        return None
    parts = block.norm1, block.attention.qkv, block.attention.proj, block.norm2, block.mlp.fc, block.mlp.proj
    if [type(part) for part in parts] != [LayerNorm, Linear, Linear] * 2 or any(t is None for part in parts for t in (part.weight, part.bias)):
        return None
    return [t.data for part in parts for t in (part.weight, part.bias)] + [block.norm1.eps, block.norm2.eps]

# %% [markdown]
r"""
**Your turn.** The same block, on arrays `x` (B, C), without dropout: `_norm_rows(x, norm1, norm1_bias, eps1) @ qkv + qkv_bias`, the keys and values to
the cache, softmax$(q k^T / \sqrt{D})$ of *all* of them (minus the largest before `np.exp`), `proj`, added to x; then `fc`, GELU, `back`, added to
that. Python's numbers, not NumPy's: float32 stays float32. `x` is not yours to change; what you made yourself is.
"""

# %% nbgrader={"grade": false, "grade_id": "block-step", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
@op
def block_step(x, *, weights, cache, layer):
    """`cached_block` in evaluation, for one new token of each text, in one operation: x (B, 1, C) -> (B, 1, C).  It has no gradient.

    `weights`: weight and bias of norm1, qkv, proj, norm2, fc and back (the MLP's proj), then eps1 and eps2.
    """
    norm1, norm1_bias, qkv, qkv_bias, proj, proj_bias, norm2, norm2_bias, fc, fc_bias, back, back_bias, eps1, eps2 = weights
    B, n, C = x.shape
    if n != 1:
        raise ValueError(f"one new token of each text, x (B, 1, C) wanted, not {x.shape}")
    x, H, D = x.reshape(B, C), cache.keys.shape[2], cache.keys.shape[4]
    parts = B, 3, H, 1, D                                                    # of what qkv gives
    ### BEGIN SOLUTION
    h = _norm_rows(x, norm1, norm1_bias, eps1) @ qkv                         # (B, 3·C)
    h += qkv_bias
    q, k, v = h.reshape(parts).swapaxes(0, 1)                                # (B, H, 1, D)
    keys, values = cache.update(layer, k, v)
    p = q @ keys.mT                                                          # (B, H, 1, S)
    p *= 1 / math.sqrt(D)
    p -= p.max(axis=-1, keepdims=True)
    np.exp(p, out=p)
    p /= p.sum(axis=-1, keepdims=True)
    y = (p @ values).reshape(x.shape) @ proj
    y += proj_bias
    y += x
    h = _norm_rows(y, norm2, norm2_bias, eps2) @ fc                          # (B, 4·C)
    h += fc_bias
    out = _gelu_rows(h) @ back
    out += back_bias
    out += y
    ### END SOLUTION
    return out.reshape(B, 1, C)

# %% nbgrader={"grade": true, "grade_id": "test-block-step", "locked": true, "points": 12, "schema_version": 3, "solution": false, "task": false}
@no_grad()
def test_unit_block_step():
    """One operation gives for one token what the block gives."""
    rng = np.random.default_rng(0)
    x, block = Tensor(rng.normal(size=(3, 4, 8)) + 0.5), drawn(TransformerBlock(8, 2), scale=0.5)
    block.norm1.eps, block.norm2.eps = 0.2, 0.3
    def after(step):
        """What a step makes of the fourth token, when the cache has seen three; and the cache."""
        cache = KVCache(3, 5, 2, 2, 4)
        cached_block(block, x[:, :3], cache, 1)
        cache.advance(3)
        return step(x[:, 3:], cache), cache
    clear = lambda x, cache: cached_block(block, x, cache, 1)
    fused = lambda x, cache: block_step(x, weights=_block_weights(block), cache=cache, layer=1)
    last, (want, full), back, proj = x[:, 3:], after(clear), block.mlp.proj, block.attention.proj
    held, weight, bias = (t.numpy().copy() for t in (last, back.weight, back.bias))
    back.weight.data[...], back.bias.data[...] = 0.0, 0.0                    # first an MLP that says nothing
    half = after(clear)[0].numpy()
    q, k, v = thirds(split_heads(block.attention.qkv(block.norm1(last)), 6).numpy())
    mixed = lambda p: last + proj(merge_heads(p / p.sum(-1, keepdims=True) @ full.values[1, :, :, :4]))
    scores = q @ full.keys[1, :, :, :4].mT
    expect.close(lambda: after(fused)[0], half, "with an MLP that says nothing: x, and what attention finds", tol=2e-5, mistaken={
        "add it to x": half - held, "what the MLP makes is added to what the attention gave": half * 0, "to the sum, not to x": held,
        "add the bias of proj": half - proj.bias.numpy(), "all that the cache holds, not only the new one": last + proj(merge_heads(v)),
        "divide the scores by √D": mixed(np.exp(scores)), "by √D, not by D": mixed(np.exp(scores / 4))},
        hint="h → q, k, v → cache.update → softmax(q @ keys.mT / √D) @ values → proj → + x", raises={
            ValueError: "h.reshape(parts).swapaxes(0, 1) is q, k, v; q @ keys.mT is (B, H, 1, S), for ALL keys", UnboundLocalError: "call the result `out`",
            NameError: "call the result `out`"})
    expect.close(last, held, "x is as it was", hint="y += x changes y; x += y would change x")
    back.weight.data[...], back.bias.data[...], y = weight, bias, Tensor(half)
    expect.close(lambda: after(fused)[0], want, "with its MLP", tol=2e-5, mistaken={
        "the MLP works on the sum, after norm2": y + block.mlp(block.norm2(last)), "norm2, not norm1": y + block.mlp(block.norm1(y)),
        "the norm stands before fc": y + block.mlp(y), "add the bias of back": want.numpy() - bias,
        "bend it: _gelu_rows": y + back(block.mlp.fc(block.norm2(y)))}, hint="y + _gelu_rows(_norm_rows(y, norm2, …) @ fc + fc_bias) @ back + back_bias")
    expect.close(lambda: after(fused)[1].keys, full.keys, "its key is in the cache, in its layer", hint="cache.update(layer, k, v)")
    expect.close(lambda: after(fused)[1].values, full.values, "and its value")
    expect.same(lambda: [name for name, _ in passing(lambda: after(fused))][-1], "block_step", "one operation", hint="on arrays: no tensor's operations inside")
    block.attention.qkv.weight.data[...] *= 500.0
    expect.finite(lambda: after(fused)[0], "large scores", hint="take the largest away before np.exp")
    on_arrays = lambda: run(block_step, held, weights=_block_weights(block), cache=KVCache(3, 5, 2, 2, 4), layer=1)
    expect.same(lambda: on_arrays().dtype, float32, "float32 stays float32", hint="math.sqrt, not np.sqrt")

test_unit_block_step()

# %% [markdown]
"""
Last, the same for the model's two ends, and who decides: where a model is made of the parts that these operations know, one new token takes the short way.
Everything else, a prompt, rotary positions, RMSNorm, layers of another kind, takes the clear one. (All given.)
"""

# %%
#| export
@op
def start_step(ids, *, weights, at):
    """The embeddings of one id of each text at position `at`, in one operation: whole numbers (B, 1) -> (B, 1, C).  It has no gradient.

    `weights`: the table of the tokens, and that of the positions, or None.
    """
    tokens, places = weights
    x = tokens[token_ids(ids, len(tokens))]
    return x if places is None else x + places[at]


def _start_weights(model):
    """What `start_step` needs of a model.  None where its embeddings are of another kind."""
    tokens, places = model.token_embedding, model.position_embedding
    if type(tokens) is not Embedding or type(places) not in (type(None), LearnedPositionalEmbedding, PositionalEncoding):
        return None
    rows = None if places is None else np.asarray(places.weight if type(places) is LearnedPositionalEmbedding else places._table)
    return [tokens.weight.data, rows]


def decode_weights(model):
    """The weights for `start_step`, for `block_step` of each block, and for `head_step`; None for a model that is made of other parts."""
    weights, norm, head = [_start_weights(model), *map(_block_weights, model.blocks)], model.norm, model.head
    if None in weights or type(norm) is not LayerNorm or type(head) not in (Linear, TiedLinear) or type(head) is Linear and head.bias is not None:
        return None
    table = head.weight.data if type(head) is Linear else head.weight.data.T                                 # (C, V)
    return [*weights, [norm.weight.data, norm.bias.data, table, norm.eps]]


@op
def head_step(x, *, weights):
    """The last norm and the head for one token of each text, in one operation: x (B, 1, C) -> scores (B, V).  It has no gradient."""
    weight, bias, table, eps = weights
    return _norm_rows(x[:, 0], weight, bias, eps) @ table


def decode_step(model, ids, cache, weights):
    """`cached_forward` in evaluation, by few operations where one id of each text is new.  `weights`: see `decode_weights`."""
    if weights is None or ids.shape[1] > 1:
        return cached_forward(model, ids, cache)
    start, *blocks, head = weights
    x = start_step(ids, weights=start, at=cache.seq_pos)
    for layer, arrays in enumerate(blocks):
        x = block_step(x, weights=arrays, cache=cache, layer=layer)
    cache.advance()
    return head_step(x, weights=head)

# %% tags=["analysis"]
compare({"one more, clear": lambda: one_more(cached_forward), "one more, short": lambda: one_more(decode_step, decode_weights(large)),
         "its products alone": lambda: [row @ matrix for row, matrix in pairs]});

# %% [markdown]
"""
## 6 · Writing

Where is the cache true? As long as every token stands where it stood. Once the text is longer than `max_seq_len`, the model of module 13 sees the last
`max_seq_len` tokens: the first falls away, and all others move to the position before. Their embeddings change, and so does every key.

```
 max_seq_len = 4     position  0  1  2  3
 4 tokens                      a  b  c  d       cached: a b c d
 5 tokens                      b  c  d  e       b stands where a stood
```

Then the cache begins anew, with all `max_seq_len` tokens, for every token that is written. That is no faster than without.

`next_tokens` (given) draws: `sample_tokens(token_probabilities(…))`, and at temperature 0 without the detour over chances.

**Your turn.** Give the model what the cache has not seen: of the last `model.max_seq_len` ids, those from `cache.seq_pos` on; the first time, that is the
prompt. Where the text has moved on, `cache.reset()` first.
"""

# %%
#| export
def next_tokens(logits, temperature, top_k, top_p, generator):
    """sample_tokens(token_probabilities(…), generator), by a shorter way at temperature 0: scores (B, V) -> ids (B,)."""
    z = logits.numpy()
    if temperature or not np.isfinite(z.max(axis=-1)).all():
        return sample_tokens(token_probabilities(logits, temperature, top_k, top_p), generator)
    (generator or default_generator).random((len(z), 1))         # so that who draws next gets what it gets without a cache
    return z.argmax(axis=-1)

# %% nbgrader={"grade": false, "grade_id": "generate", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
@no_grad()
def generate_cached(model, prompt_tokens, max_new_tokens, temperature=1.0, top_k=None, top_p=None, generator=None):
    """The text of GPT.generate, to the token, by means of a cache, which is left as `model.kv_cache`.  ValueError as there."""
    prompt = check_generate(prompt_tokens, max_new_tokens, temperature, top_k, top_p, generator)
    ids, modes = np.atleast_2d(prompt).astype(int64), [(module, module.training) for module in model.modules()]
    model.kv_cache = cache = cache_for(model, len(ids))
    weights = decode_weights(model)
    model.eval()
    try:
        for _ in range(max_new_tokens):
            ### BEGIN SOLUTION
            if ids.shape[1] > model.max_seq_len:
                cache.reset()
            logits = decode_step(model, ids[:, -model.max_seq_len:][:, cache.seq_pos:], cache, weights)
            ### END SOLUTION
            ids = np.column_stack([ids, next_tokens(logits, temperature, top_k, top_p, generator)])
    finally:
        for module, training in modes:
            module.training = training
    return Tensor(ids.reshape(*prompt.shape[:-1], -1))

# %% nbgrader={"grade": true, "grade_id": "test-generate", "locked": true, "points": 12, "schema_version": 3, "solution": false, "task": false}
def test_unit_generate():
    """The same text, token by token, and every token is read once."""
    model = drawn(GPT(11, 8, 2, 2, 8), scale=0.5).train()
    def read(prompt, n):
        """How many tokens each block reads at a time."""
        names = {"cached_attention": lambda q: q.shape[2], "block_step": lambda x: x.shape[1]}
        return [names[name](x) for name, x in passing(lambda: generate_cached(model, prompt, n)) if name in names]
    expect.same(lambda: read([1, 2, 3], 4), [3, 3] + [1] * 6, "the prompt, then one token at a time, by two blocks", mistaken={
        "only what the cache has not seen": [3, 3, 4, 4, 5, 5, 6, 6], "the whole prompt is new at first": [1] * 8}, hint="ids[:, cache.seq_pos:]", raises={
            ValueError: "what is in the cache is not new: ids[:, cache.seq_pos:]", NameError: "call the scores `logits`"})
    rng = np.random.default_rng(0)
    for n, why in ((5, "a short text"), (20, "a text that becomes longer than max_seq_len")):
        for prompt in (rng.integers(0, 11, 3), rng.integers(0, 11, (2, 2)), rng.integers(0, 11, (1, 10))):
            knobs, seed = {"temperature": rng.uniform(0.5, 1.5), "top_k": 6, "top_p": 0.9}, rng.integers(1000)
            expect.same(lambda: generate_cached(model, prompt, n, **knobs, generator=np.random.default_rng(seed)), GPT.generate(
                model, prompt, n, **knobs, generator=np.random.default_rng(seed)), f"{why}, of {prompt.shape}", raises={ValueError:
                "beyond max_seq_len nothing cached is true: reset(), then the last max_seq_len ids"}, hint="beyond max_seq_len the cache begins anew for every token")
    expect.same(lambda: read([1] * 7, 4), [7, 7, 1, 1] + [8] * 4, "beyond max_seq_len all is read again", mistaken={
        "eight tokens fit: reset only where there are MORE": [7, 7] + [8] * 6}, hint="if ids.shape[1] > model.max_seq_len: cache.reset()")
    expect.true(lambda: all(module.training for module in model.modules()), "every part is in the mode it was in")
    expect.same(lambda: model.kv_cache.keys.shape[1], 1, "the cache is left for those who want to look at it")

test_unit_generate()

# %% [markdown]
"""
A model that has a cache is used like one that has none. `enable_kv_cache` (given) puts an attribute `generate` into this one model, in front of the
class's method; `disable_kv_cache` takes it away.
"""

# %%
#| export
class CachedGeneration:
    """What stands in for a model's `generate`: the same call, with a cache."""
    def __init__(self, model):
        self.model = model

    cache = property(lambda self: self.model.kv_cache)           # that of the last call

    def __call__(self, *args, **settings):
        return generate_cached(self.model, *args, **settings)

    def __repr__(self):
        return f"CachedGeneration({self.cache})"


def enable_kv_cache(model):
    """From now on `model.generate` has a cache, a new one for each call: the object that stands in for it.  TypeError where the model is no GPT.

    >>> enable_kv_cache(GPT(vocab_size=65, embed_dim=16, num_layers=2, num_heads=2, max_seq_len=8))
    CachedGeneration(KVCache(0 of 8 places taken, 2 layers, batch of 1, float32))
    """
    model.kv_cache = cache_for(model)
    model.generate = CachedGeneration(model)
    return model.generate


def disable_kv_cache(model):
    """`model.generate` is the class's own again, and the cache is gone."""
    check_kind("disable_kv_cache", Module, model=model)
    for name in ("generate", "kv_cache"):
        vars(model).pop(name, None)

# %%
without = model.generate([0], 60, generator=np.random.default_rng(0))
print(enable_kv_cache(model))
print(model.generate([0], 60, generator=np.random.default_rng(0)).tolist() == without.tolist(), model.kv_cache)
disable_kv_cache(model)

# %% [markdown]
"""
## 7 · What it is worth

How long does each token take, the longer the text? And a whole text of n tokens?
"""

# %% tags=["analysis"]
import matplotlib.pyplot as plt

long = drawn(GPT(vocab_size=65, embed_dim=128, num_layers=4, num_heads=4, max_seq_len=1024), scale=0.1)
text = np.random.default_rng(0).integers(0, 65, (1, 1024))
lengths, each = (16, 64, 128, 256, 512, 1023), {"without": [], "clear": [], "short": []}
for n in lengths:
    cache, weights = cache_for(long), decode_weights(long)
    cached_forward(long, text[:, :n], cache)
    def again(step, *arrays):
        cache.seq_pos = n
        return step(long, text[:, n:n + 1], cache, *arrays)
    for name, call in (("without", lambda: long(text[:, :n + 1])), ("clear", lambda: again(cached_forward)), ("short", lambda: again(decode_step, weights))) * 5:
        each[name].append((n, timed(call, 1) * 1e3))
for name, seconds in each.items():
    plt.loglog(lengths, [np.median([ms for n, ms in seconds if n == length]) for length in lengths], "o-", label=name)
plt.xlabel("tokens before it"); plt.ylabel("ms for the next token"); plt.legend(); plt.show()

# %% tags=["analysis"]
def faster(slow, fast, rounds=5, times=1):
    """How many times faster, in turns: the median of slow / fast, and the quartiles."""
    ratios = [timed(slow, times) / timed(fast, times) for _ in range(rounds + 1)][1:]
    low, middle, high = np.quantile(ratios, [0.25, 0.5, 0.75])
    return f"{middle:6.2f} times as fast with a cache   ({low:.2f} to {high:.2f})"


for n in (1, 2, 4, 8, 16, 50, 100, 200):
    print(f"{n:3} tokens:", faster(lambda: large.generate([0], n, 0), lambda: generate_cached(large, [0], n, 0), 11 if n < 100 else 5, max(1, 16 // n)))

# %% [markdown]
"""
Where does it pay nothing? Where a long prompt is read for one token; where the text has outgrown `max_seq_len`; and where the text is all there, as in
training: one forward for 200 tokens, or 200 steps with a cache.
"""

# %% tags=["analysis"]
narrow = drawn(GPT(vocab_size=65, embed_dim=128, num_layers=4, num_heads=4, max_seq_len=64), scale=0.1)
prompt, weights = text[0, :200], decode_weights(large)
print("one token after 200:   ", faster(lambda: large.generate(prompt, 1, 0), lambda: generate_cached(large, prompt, 1, 0), 11))
print("20 tokens beyond the end:", faster(lambda: narrow.generate(prompt, 20, 0), lambda: generate_cached(narrow, prompt, 20, 0), 11))


def one_by_one():
    cache = cache_for(large)
    for at in range(200):
        decode_step(large, text[:, at:at + 1], cache, weights)

print("reading 200 tokens:    ", faster(lambda: large(text[:, :200]), one_by_one))

# %% [markdown]
"""
And the memory: what the cache says of itself, what Python's `tracemalloc` sees when it is made, and what all parameters take.
"""

# %% tags=["analysis"]
import tracemalloc

tracemalloc.start()
cache = cache_for(large, batch_size=8)
seen = tracemalloc.get_traced_memory()[0]
tracemalloc.stop()
usage, parameters = cache.get_memory_usage(), sum(p.data.nbytes for p in large.parameters())
print(f"8 texts of 256 tokens: {usage['total_mb']:.2f} · 2²⁰ bytes; seen from outside: {seen / 2 ** 20:.2f}")
print(f"{usage['bytes_per_token']:,} bytes a token; the parameters, {parameters:,} bytes, are as much as {parameters / usage['bytes_per_token']:.0f} tokens")

# %% nbgrader={"grade": true, "grade_id": "test-module", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_module():
    """Everything together: any GPT writes with a cache what it writes without."""
    rng, kinds = np.random.default_rng(0), [{}, {"tie_weights": False}, {"positions": "sinusoidal"}, {"positions": "rotary"}, {"positions": None}]
    for kind in kinds:
        model = drawn(GPT(13, 12, 2, 3, 10, dropout=0.2, **kind), scale=0.5)
        prompt, seed = rng.integers(0, 13, (2, 4)), rng.integers(1000)
        for knobs in ({"temperature": 0}, {"temperature": 0.8, "top_k": 5}):
            want = model.generate(prompt, 9, **knobs, generator=np.random.default_rng(seed))
            enable_kv_cache(model)
            expect.same(lambda: model.generate(prompt, 9, **knobs, generator=np.random.default_rng(seed)), want, f"GPT with {kind or 'learned positions'}")
            expect.same(lambda: model.kv_cache.keys.shape, (2, 2, 3, 10, 4), "its cache has the model's sizes")
            disable_kv_cache(model)
            expect.true(lambda: not {"generate", "kv_cache"} & set(vars(model)), "and is gone afterwards")
    model.token_embedding.weight.data[...] *= -1.0
    expect.true(lambda: "KVCache(0 of " in repr(enable_kv_cache(model)), "the cache shows itself")
    expect.same(lambda: model.generate([1, 2], 5, 0), GPT.generate(model, [1, 2], 5, 0), "weights that have changed are seen")
    mixed = drawn(GPT(13, 12, 2, 3, 10), scale=0.5)
    mixed.blocks[1].norm2, mixed.blocks[0].attention.qkv.bias = RMSNorm(12), None
    expect.same(lambda: generate_cached(mixed, [1, 2], 6, 0), mixed.generate([1, 2], 6, 0), "parts of another kind take the clear way")
    mixed.blocks[1].attention.causal = False
    expect.raises(TypeError, lambda: enable_kv_cache(mixed), "attention that looks ahead is refused", match="causal")
    expect.raises(TypeError, lambda: enable_kv_cache(TransformerBlock(4, 2)), "and what is no GPT", match="GPT TransformerBlock")

test_module()

# %% [markdown]
"""
## 8 · In your own words

**Question 1.** How many numbers does the cache keep for a token, in a GPT of L blocks of width C? How many parameters have its blocks? From how many
tokens on does a cache take more memory than the blocks, in the same dtype? What does that mean for someone who writes many texts at once?
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-memory", "locked": false, "points": 5, "schema_version": 3, "solution": true, "task": false}
"""
2·L·C numbers a token, a key and a value of width C in each block. The blocks have 12·L·C² parameters. So with 6·C tokens the cache is as large, all texts
of the batch counted together: for C = 128, 768 tokens. The weights are read once for all texts, the caches are not shared, so memory for caches decides
how many texts can be written at once.
"""

# %% [markdown]
"""
**Question 2.** With rotary positions a key depends on nothing but *how far* away a query stands. May the cache be kept when the text grows beyond
`max_seq_len`, only without its first token? Would `generate` of module 13 write the same text?
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-window", "locked": false, "points": 5, "schema_version": 3, "solution": true, "task": false}
"""
It can be done, and models do it, but the text is another one. In the first block nothing changes. From the second block on, a key was made of a stream
into which attention had mixed the tokens before it, also the one that fell away. Module 13's model has never seen that token; the cached keys remember it.
"""

# %% [markdown]
"""
## Where you are

A model that reads every token once, a cache whose size you can work out, and one operation where Python had been the price. Next: `tito module complete 14`.
"""
