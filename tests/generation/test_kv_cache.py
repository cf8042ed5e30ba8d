"""A text written with a cache is the text written without; what the cache costs and holds; what it refuses.  Numbers beside torch's."""

import copy
import pickle
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinytorch as tt
from benchmarks import decoding
from benchmarks.measure import verify
from tinytorch.core import tensor
from tinytorch.generation.kv_cache import (
    KVCache,
    block_step,
    cache_for,
    cached_attention,
    cached_block,
    cached_forward,
    decode_weights,
    generate_cached,
)

try:
    import torch
except ImportError:                                 # the extra `conformance`
    torch = None
needs_torch = pytest.mark.skipif(torch is None, reason="torch is only installed where conformance is checked: see the extra `conformance`")

V, C, H, T = 11, 12, 3, 9
POSITIONS = "learned", "sinusoidal", "rotary", None
KNOBS = {"temperature": 0}, {"temperature": 0.7}, {"top_k": 4}, {"top_p": 0.8}, {"temperature": 1.4, "top_k": 6, "top_p": 0.9}


def gpt(seed=0, scale=0.5, num_layers=2, embed_dim=C, **settings):
    """A small GPT with weights that make a difference."""
    rng = np.random.default_rng(seed)
    model = tt.GPT(V, embed_dim, num_layers, H, T, **settings)
    for p in model.parameters():
        p.data[...] = rng.normal(size=p.shape) * scale + (p.ndim == 1)
    return model


def widened(model):
    """The model in float64."""
    for part in model.modules():
        for value in vars(part).values():
            if isinstance(value, tt.Tensor) and value.dtype == np.float32:
                value.data = value.data.astype(np.float64)
    return model


def passing(call):
    """[(operation's name, shape of its first input)] of what passes the door during `call()`."""
    seen = []
    watch = lambda call, op, arrays, params: seen.append((op.__name__, arrays[0].shape)) or call(arrays, params)     # noqa: E731
    tensor.around.append(watch)
    try:
        call()
    finally:
        tensor.around.remove(watch)
    return seen


# ---- the same text ------------------------------------------------------------------------------

SEEDS = st.integers(0, 10 ** 6)


@settings(deadline=None)
@given(seed=SEEDS, positions=st.sampled_from(POSITIONS), layers=st.integers(1, 3), tied=st.booleans(), batch=st.integers(0, 4),
       prompt=st.integers(1, T + 3), new=st.integers(0, 2 * T), knobs=st.sampled_from(KNOBS), dropout=st.sampled_from([0.0, 0.4]))
def test_the_text_is_the_same(seed, positions, layers, tied, batch, prompt, new, knobs, dropout):
    model = gpt(seed, num_layers=layers, positions=positions, tie_weights=tied, dropout=dropout)
    ids = np.random.default_rng(seed).integers(0, V, (batch, prompt) if batch else prompt)
    one, other = (np.random.default_rng(seed) for _ in range(2))
    want = model.generate(ids, new, generator=one, **knobs)
    got = generate_cached(model, ids, new, generator=other, **knobs)
    assert got.dtype == want.dtype and got.tolist() == want.tolist()
    assert one.random() == other.random(), "who draws next gets the same"


@settings(deadline=None)
@given(seed=SEEDS, positions=st.sampled_from(POSITIONS), cuts=st.lists(st.integers(1, T - 1), unique=True), batch=st.integers(1, 3))
def test_scores_do_not_depend_on_how_a_text_is_cut(seed, positions, cuts, batch):
    model, ids = widened(gpt(seed, positions=positions)).eval(), np.random.default_rng(seed).integers(0, V, (batch, T))
    cache, whole = cache_for(model, batch), model(ids).numpy()
    assert cache.keys.dtype == whole.dtype == np.float64
    for a, b in zip([0, *sorted(cuts)], [*sorted(cuts), T]):
        np.testing.assert_allclose(cached_forward(model, ids[:, a:b], cache).numpy(), whole[:, b - 1], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("change", [
    lambda block: setattr(block, "norm2", tt.RMSNorm(C)), lambda block: setattr(block.attention.proj, "bias", None),
    lambda block: setattr(block.mlp, "fc", type("Other", (tt.Linear,), {})(C, 4 * C)), lambda block: setattr(block.norm1, "bias", None)],
    ids=["RMSNorm", "no bias", "a layer of another kind", "a norm without bias"])
def test_other_parts_take_the_clear_way(change):
    model = gpt()
    change(model.blocks[1])
    assert decode_weights(model) is None
    assert generate_cached(model, [1, 2], 12, 0).tolist() == model.generate([1, 2], 12, 0).tolist()
    assert "block_step" not in {name for name, _ in passing(lambda: generate_cached(model, [1], 3))}


def test_an_eps_of_its_own_counts():
    model = gpt()
    model.blocks[0].norm1.eps, model.blocks[1].norm2.eps, model.norm.eps = 0.5, 0.9, 0.7
    assert generate_cached(model, [1, 2], 7, 0).tolist() == model.generate([1, 2], 7, 0).tolist()
    assert decode_weights(model)[1][-2:] == [0.5, 1e-5] and decode_weights(model)[-1][-1] == 0.7


# ---- beside torch -------------------------------------------------------------------------------

@needs_torch
@pytest.mark.parametrize("n, S", [(1, 1), (1, 6), (3, 6), (6, 6)])
def test_attention_is_torchs(n, S):
    rng = np.random.default_rng(n)
    q, k, v = (rng.normal(size=(2, 3, length, 4)) for length in (n, S, S))
    mask = torch.ones(n, S, dtype=torch.bool).tril(S - n)
    want = torch.nn.functional.scaled_dot_product_attention(*map(torch.tensor, (q, k, v)), attn_mask=mask).transpose(1, 2).flatten(2)
    got = cached_attention(*(tt.Tensor(x, dtype=x.dtype) for x in (q, k, v)))
    np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=1e-12)


@needs_torch
@pytest.mark.parametrize("dtype, tol", [("float32", 1e-5), ("float64", 1e-12)])
def test_a_step_is_torchs(dtype, tol):
    rng, f = np.random.default_rng(0), torch.nn.functional
    sizes = (C,), (C,), (C, 3 * C), (3 * C,), (C, C), (C,), (C,), (C,), (C, 4 * C), (4 * C,), (4 * C, C), (C,)
    arrays = [(rng.normal(size=size) / 2).astype(dtype) for size in sizes]
    x, (keys, values) = rng.normal(size=(2, 1, C)).astype(dtype), rng.normal(size=(2, 2, H, 5, C // H)).astype(dtype)
    cache = KVCache(2, T, 1, H, C // H, np.dtype(dtype))
    cache.update(0, keys, values)
    cache.advance(5)
    got = block_step(tt.Tensor(x, dtype=x.dtype), weights=[*arrays, 0.1, 0.2], cache=cache, layer=0)
    w1, b1, qkv, bqkv, proj, bproj, w2, b2, fc, bfc, back, bback = map(torch.tensor, arrays)
    y = torch.tensor(x)
    q, k, v = f.linear(f.layer_norm(y, (C,), w1, b1, 0.1), qkv.T, bqkv).view(2, 1, 3, H, C // H).permute(2, 0, 3, 1, 4)
    k, v = torch.cat([torch.tensor(keys), k], 2), torch.cat([torch.tensor(values), v], 2)
    y = y + f.linear(f.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2), proj.T, bproj)
    want = y + f.linear(f.gelu(f.linear(f.layer_norm(y, (C,), w2, b2, 0.2), fc.T, bfc), approximate="tanh"), back.T, bback)
    assert got.dtype == dtype
    np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=tol, atol=tol)
    np.testing.assert_allclose(cache.keys[0, :, :, :6], k.numpy(), rtol=tol, atol=tol)


# ---- what it costs ------------------------------------------------------------------------------

def test_every_token_is_read_once():
    model = gpt()
    read = passing(lambda: generate_cached(model, [1, 2, 3], 6, 0))
    assert [shape[2] for name, shape in read if name == "cached_attention"] == [3, 3], "the prompt, in two blocks"
    assert [shape for name, shape in read if name == "block_step"] == [(1, 1, C)] * 2 * 5
    assert sum(name == "head_step" for name, _ in read) == 5


@pytest.mark.parametrize("positions, most", [("learned", 7), (None, 4), ("rotary", 60)])
def test_a_token_costs_few_operations(positions, most):
    model = gpt(positions=positions)
    some, more = (len(passing(lambda n=n: generate_cached(model, [1], n, 0))) for n in (3, 4))
    assert 0 < more - some <= most


def test_writing_takes_no_new_memory():
    cache = KVCache(2, 512, 2, 4, 32)
    key = np.ones((2, 4, 1, 32), np.float32)
    cache.update(0, key, key)
    tracemalloc.start()
    try:
        for _ in range(500):
            for layer in range(2):
                keys, values = cache.update(layer, key, key)
            cache.advance()
        assert tracemalloc.get_traced_memory()[1] < 20_000, "one copy of the keys alone takes 500,000 bytes"
    finally:
        tracemalloc.stop()
    assert np.shares_memory(keys, cache.keys) and np.shares_memory(values, cache.values) and keys.all() and keys.shape == (2, 4, 500, 32)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_memory_is_what_it_says(dtype):
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        cache = KVCache(3, 100, 4, 2, 16, np.dtype(dtype))
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    usage = cache.get_memory_usage()
    assert taken == pytest.approx(usage["total_mb"] * 2 ** 20, rel=0.02)
    assert usage["bytes_per_token"] * 3 * 100 == cache.keys.nbytes + cache.values.nbytes == usage["total_mb"] * 2 ** 20
    assert usage["keys_mb"] + usage["values_mb"] == usage["total_mb"]


# ---- in front of a model ------------------------------------------------------------------------

def test_enabled_and_disabled():
    model = gpt()
    names, state = [name for name, _ in model.named_parameters()], model.state_dict()
    holder = tt.enable_kv_cache(model)
    assert holder is model.generate and tt.enable_kv_cache(model) is model.generate
    assert [name for name, _ in model.named_parameters()] == names and model.state_dict().keys() == state.keys()
    assert "KVCache" in repr(model)
    model.generate([[1, 2], [3, 4]], max_new_tokens=3)
    assert model.kv_cache is model.generate.cache and model.kv_cache.keys.shape == (2, 2, H, T, C // H) and model.kv_cache.seq_pos == 4
    tt.disable_kv_cache(model)
    tt.disable_kv_cache(model)
    assert model.generate.__func__ is tt.GPT.generate and "kv_cache" not in vars(model)


@pytest.mark.parametrize("again", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))], ids=["deepcopy", "pickle"])
def test_a_copy_writes_with_its_own_weights(again):
    model = gpt()
    tt.enable_kv_cache(model)
    want, other = model.generate([1], 8, 0).tolist(), again(model)
    assert other.generate.model is other
    for p in model.parameters():
        p.data[...] = 0.0
    assert other.generate([1], 8, 0).tolist() == want


def test_training_between_two_texts_counts():
    model, ids = gpt(), np.random.default_rng(0).integers(0, V, (4, T))
    tt.enable_kv_cache(model)
    optimizer = tt.SGD(model.parameters(), lr=0.5)
    texts = []
    for _ in range(3):
        texts.append(model.generate([1, 2], 6, 0).tolist())
        assert texts[-1] == tt.GPT.generate(model, [1, 2], 6, 0).tolist() and model.training
        optimizer.zero_grad()
        tt.next_token_loss(model(ids[:, :-1]), ids[:, 1:]).backward()
        optimizer.step()
    assert texts[0] != texts[-1]


def test_no_graph_is_recorded_and_modes_come_back():
    model = gpt(dropout=0.5)
    model.blocks[1].eval()
    modes = [part.training for part in model.modules()]
    with pytest.raises(IndexError):
        generate_cached(model, [V], 3)
    assert [part.training for part in model.modules()] == modes
    assert not generate_cached(model, [1], 3).requires_grad and not cached_forward(model, [[1]], cache_for(model)).requires_grad


def test_a_gradient_is_not_lost_silently():
    model, x = gpt(), tt.Tensor(np.ones((1, 2, C)), requires_grad=True)
    with pytest.raises(TypeError, match="no gradient"):
        cached_block(model.blocks[0], x, cache_for(model), 0)
    with pytest.raises(RuntimeError, match="cached_attention"):
        q = x.reshape(1, 1, 2, C)
        cached_attention(q, q, q).sum().backward()


def test_scores_that_are_no_numbers_are_told():
    model = gpt()
    model.head.weight.data[...] = np.nan
    for way in (tt.GPT.generate, generate_cached):
        with pytest.raises(ValueError, match="nan"):
            way(model, [1], 3, temperature=0)


# ---- refused ------------------------------------------------------------------------------------

class Loud(tt.GPT):
    """A GPT that computes something else."""

    def forward(self, ids):
        return super().forward(ids) * 2


def ahead():
    """A GPT in which tokens see later ones."""
    model = gpt()
    model.blocks[1].attention.causal = False
    return model


def patched():
    """A GPT with a function in the place of a block's forward."""
    model = gpt()
    model.blocks[0].forward = lambda x: x
    return model


ROOM = np.ones((2, H, 1, 4), np.float32)


def update(layer, key, value):
    """Into a new cache for two texts of three tokens, in one layer."""
    return lambda: KVCache(2, 3, 1, H, 4).update(layer, key, value)


@pytest.mark.parametrize("call, kind, words", [
    (lambda: tt.enable_kv_cache(tt.Linear(2, 2)), TypeError, "GPT Linear"),
    (lambda: tt.enable_kv_cache(Loud(V, C, 1, H, T)), TypeError, "GPT Loud"),
    (lambda: tt.enable_kv_cache(ahead()), TypeError, "causal"),
    (lambda: tt.enable_kv_cache(patched()), TypeError, "TransformerBlock forward"),
    (lambda: KVCache(2, 0, 1, H, 4), ValueError, "max_seq_len 1, 2, 3, 0, 4"),
    (update(1, ROOM, ROOM), ValueError, "layer 1 0 to 0"),
    (update(-1, ROOM, ROOM), ValueError, "layer -1 0 to 0"),
    (update(0, ROOM[:1], ROOM[:1]), ValueError, "(2, 3, n, 4) (1, 3, 1, 4)"),
    (update(0, ROOM[0], ROOM[0]), ValueError, "(2, 3, n, 4) (3, 1, 4)"),
    (update(0, ROOM, ROOM[..., :2]), ValueError, "(2, 3, 1, 4) (2, 3, 1, 2)"),
    (update(0, *[np.tile(ROOM, (1, 1, 4, 1))] * 2), ValueError, "0 of 3 4 more max_seq_len reset"),
    (lambda: KVCache(2, 3, 1, H, 4).advance(4), ValueError, "0 of 3 4"),
    (lambda: cached_forward(gpt(), [1, 2], cache_for(gpt())), ValueError, "(B, n) (2,)"),
    (lambda: cached_forward(gpt(), np.ones((1, T + 1), int), cache_for(gpt())), ValueError, "max_seq_len 9"),
    (lambda: cached_forward(gpt(), [[1], [2]], cache_for(gpt())), ValueError, "(1, 3, n, 4) (2, 3, 1, 4)"),
    (lambda: generate_cached(gpt(), [], 2), ValueError, "prompt"),
    (lambda: generate_cached(gpt(), [1.5], 2), ValueError, "prompt float64"),
    (lambda: generate_cached(gpt(), [1], 2, top_k=0), ValueError, "top_k"),
    (lambda: generate_cached(gpt(), [V], 2), IndexError, "start_step id 11"),
    (lambda: generate_cached(gpt(), [0, V], 2), IndexError, "embedding id 11"),
    (lambda: block_step(tt.ones(2, 3, C), weights=decode_weights(gpt())[1], cache=cache_for(gpt(), 2), layer=0), ValueError, "(2, 3, 12)")])
def test_refused(call, kind, words):
    with pytest.raises(kind) as told:
        call()
    assert all(word in str(told.value) for word in words.split()), str(told.value)


# ---- the benchmark ------------------------------------------------------------------------------

@pytest.mark.parametrize("sides", [decoding.decoding, decoding.gain], ids=["kv", "kv-gain"])
def test_all_sides_write_the_same(monkeypatch, sides):
    monkeypatch.setattr(decoding, "TOKENS", 12)
    verify(sides(torch))


@pytest.mark.parametrize("change", [lambda cache: cache.keys.fill(0), lambda cache: cache.values.fill(0)], ids=["keys", "values"])
def test_a_broken_cache_is_seen(monkeypatch, change):
    monkeypatch.setattr(decoding, "TOKENS", 12)
    advance = KVCache.advance
    monkeypatch.setattr(KVCache, "advance", lambda self, n=1: (advance(self, n), change(self)))
    with pytest.raises(AssertionError, match="not NumPy's"):
        verify(decoding.decoding(None))
