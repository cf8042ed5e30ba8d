"""Inputs and calls for the judge: never an expected value.  The reference's answers to the same calls are the expectation."""

import numpy as np

from tito.check.probing import close, exact, holds, numbers, probe, raised, statistics

SIZES = [(1, 1, 1, 1, 1), (2, 3, 1, 5, 4), (1, 2, 3, 3, 2), (3, 1, 2, 6, 3)]             # B, H, n, S, D
KINDS = [{}, {"tie_weights": False}, {"positions": "sinusoidal"}, {"positions": "rotary"}, {"positions": None, "num_heads": 1}]


def drawn(rng, module, scale=0.4):
    """The module with numbers of this generator in all its parameters."""
    for p in module.parameters():
        p.data[...] = rng.normal(size=p.shape) * scale + (p.ndim == 1)
    return module


def gpt(tinytorch, rng, **settings):
    """A small GPT with weights of this generator, in evaluation."""
    return drawn(rng, tinytorch.GPT(**dict(vocab_size=9, embed_dim=8, num_layers=2, num_heads=2, max_seq_len=7) | settings)).eval()


def cache_of(tinytorch, rng, *sizes, start=0, dtype="float32"):
    """A cache in which numbers stand everywhere, `start` tokens of which count."""
    cache = tinytorch.KVCache(*sizes, dtype=np.dtype(dtype))
    cache.keys[...], cache.values[...] = (rng.normal(size=cache.keys.shape) for _ in range(2))
    cache.advance(start)
    return cache


def inside(cache):
    """What a cache holds."""
    return [cache.keys.copy(), cache.values.copy(), cache.seq_pos]


# ---- attention and the cache -------------------------------------------------------------------

@probe("test-cached-attention", close(1e-5))
def the_last_rows(tinytorch, rng):
    answers = []
    for b, h, n, s, d in SIZES:
        for dtype in ("float32", "float64"):
            arrays = [numbers(rng, b, h, length, d, dtype=dtype) * 2 for length in (n, s, s)]
            answers += [tinytorch.cached_attention(*(tinytorch.Tensor(x, dtype=x.dtype) for x in arrays)), *arrays]
    return answers


@probe("test-cache", exact)
def new_caches(tinytorch, rng):
    answers = []
    for _ in range(4):
        sizes, dtype = [int(n) for n in rng.integers(1, 6, 5)], np.dtype(str(rng.choice(["float32", "float64", "float16"])))
        for cache in (tinytorch.KVCache(*sizes), tinytorch.KVCache(*sizes, dtype)):
            answers += [*inside(cache), cache.keys.dtype.name, cache.values.dtype.name, cache.max_seq_len, np.shares_memory(cache.keys, cache.values), repr(cache)]
        answers.append(raised(lambda: tinytorch.KVCache(*(sizes[:2] + [0] + sizes[3:]))))
    return answers


@probe("test-update", exact)
def writing(tinytorch, rng):
    answers = []
    for b, h, n, s, d in SIZES:
        for kind in (np.asarray, lambda x: tinytorch.Tensor(x)):
            start, layer = int(rng.integers(0, s - n + 1)), int(rng.integers(0, 3))
            cache, (key, value) = cache_of(tinytorch, rng, b, s, 3, h, d, start=start), numbers(rng, 2, b, h, n, d, dtype="float32")
            keys, values = cache.update(layer, kind(key), kind(value))
            answers += [keys, values, *inside(cache), np.shares_memory(keys, cache.keys), np.shares_memory(values, cache.values), key, value]
            wrong = [(3, key, value), (-1, key, value), (0, key[0], value[0]), (0, key, value[..., :0]), (0, *np.tile([key, value], (1, 1, 1, s + 1, 1)))]
            answers += [raised(lambda: cache.update(*given)) for given in wrong] + inside(cache)
    return answers


@probe("test-get", exact)
def counting(tinytorch, rng):
    answers, cache = [], cache_of(tinytorch, rng, 2, 9, 2, 3, 4)
    keys = cache.keys
    for n in (2, None, 0, 3):
        cache.advance() if n is None else cache.advance(n)
        answers += [[*cache.get(layer), np.shares_memory(cache.get(layer)[0], keys)] for layer in (0, 1)] + inside(cache)
    answers += [raised(lambda: cache.advance(4)), raised(lambda: cache.advance(-1)), cache.seq_pos, cache.reset()]
    cache.advance()
    return [*answers, *inside(cache), cache.keys is keys, *cache.get(1)]


@probe("test-memory-usage", close(1e-9))
def what_it_takes(tinytorch, rng):
    answers = []
    for dtype in ("float16", "float32", "float64"):
        sizes = [int(n) for n in rng.integers(1, 9, 5)]
        usage = cache_of(tinytorch, rng, *sizes, dtype=dtype).get_memory_usage()
        answers += [dict(usage), type(usage["bytes_per_token"]).__name__]
    return answers


# ---- a block, a model --------------------------------------------------------------------------

@probe("test-cached-block", close(1e-4))
def piece_by_piece(tinytorch, rng):
    answers = []
    for kind in ({}, {"norm": tinytorch.RMSNorm}, {"rotary": tinytorch.RotaryEmbedding(4, 9)}, {"mlp_ratio": 2}):
        block, x = drawn(rng, tinytorch.TransformerBlock(8, 2, **kind)), tinytorch.Tensor(numbers(rng, 2, 7, 8) * 2)
        for cuts in ((0, 7), (0, 1, 2, 7), (0, 4, 5, 6, 7)):
            cache = tinytorch.KVCache(2, 7, 2, 2, 4)
            with tinytorch.no_grad():
                for a, b in zip(cuts, cuts[1:]):
                    answers += [tinytorch.cached_block(block, x[:, a:b], cache, 1), *inside(cache)]
                    cache.advance(b - a)
        answers.append(x)
    return answers


@probe("test-cached-block", statistics())
def dropped(tinytorch, rng):
    tinytorch.manual_seed(int(rng.integers(1 << 30)))
    block = tinytorch.TransformerBlock(4, 2, dropout=0.3)
    for p in block.mlp.parameters():
        p.data[...] = 0.0
    block.attention.proj.weight.data[...], block.attention.proj.bias.data[...] = 0.0, 1.0
    x, answers = tinytorch.Tensor(np.tile(numbers(rng, 1, 1, 4), (200, 1, 1))), []
    for mode in (True, False):
        with tinytorch.no_grad():
            answers.append((tinytorch.cached_block(block.train(mode), x, tinytorch.KVCache(200, 1, 1, 2, 2), 0) - x).numpy())
    return answers


@probe("test-cached-forward", close(2e-4))
def scores(tinytorch, rng):
    answers = []
    for kind in KINDS:
        model, ids = gpt(tinytorch, rng, **kind), rng.integers(0, 9, (2, 7))
        for cuts in ((0, 7), (0, 3, 4, 5), (0, 1, 4)):
            cache = tinytorch.cache_for(model, 2)
            for a, b in zip(cuts, cuts[1:]):
                given = ids[:, a:b]
                answers += [tinytorch.cached_forward(model, given if a else given.tolist(), cache), *inside(cache)]
        answers += [raised(lambda: tinytorch.cached_forward(model, wrong, cache)) for wrong in (ids, ids[0], ids[:, :0], ids[:1, :1], [[9], [0]])]
    return answers


@probe("test-cached-forward", statistics())
def with_dropout(tinytorch, rng):
    tinytorch.manual_seed(int(rng.integers(1 << 30)))
    model = gpt(tinytorch, rng, dropout=0.4).train()
    for block in model.blocks:
        block.eval()
    return np.concatenate([tinytorch.cached_forward(model, ids, tinytorch.cache_for(model, 300)).numpy() for ids in np.tile([[[1, 2]], [[3, 4]]], (1, 300, 1))])


@probe("test-block-step", close(1e-4))
def one_token(tinytorch, rng):
    answers = []
    for b, width, heads, start in ((1, 4, 1, 0), (3, 8, 2, 4), (2, 6, 3, 2)):
        for scale in (0.4, 30.0):
            block, x = drawn(rng, tinytorch.TransformerBlock(width, heads)), tinytorch.Tensor(numbers(rng, b, 1, width))
            block.attention.qkv.weight.data[...] *= scale
            c, head = width, width // heads
            parts = (block.norm1, block.attention.qkv, block.attention.proj, block.norm2, block.mlp.fc, block.mlp.proj)
            weights = [t.data for part in parts for t in (part.weight, part.bias)] + rng.uniform(0.001, 0.1, 2).tolist()
            cache = cache_of(tinytorch, rng, b, 5, 2, heads, head, start=start)
            answers += [tinytorch.block_step(x, weights=weights, cache=cache, layer=1), x, *inside(cache), *weights[:4]]
            answers.append(raised(lambda: tinytorch.block_step(tinytorch.Tensor(np.ones((b, 2, c))), weights=weights, cache=cache, layer=1)))
    return answers


@probe("test-block-step", close(1e-9))
def one_token_in_float64(tinytorch, rng):
    arrays = [numbers(rng, *shape) * 0.3 for shape in ((4,), (4,), (4, 12), (12,), (4, 4), (4,), (4,), (4,), (4, 16), (16,), (16, 4), (4,))]
    cache, x = cache_of(tinytorch, rng, 2, 5, 2, 2, 2, start=3, dtype="float64"), numbers(rng, 2, 1, 4)
    return [tinytorch.block_step(tinytorch.Tensor(x, dtype=x.dtype), weights=[*arrays, 0.01, 0.02], cache=cache, layer=0), *inside(cache)]


# ---- writing -----------------------------------------------------------------------------------

@probe("test-generate", exact)
def texts(tinytorch, rng):
    answers = []
    for kind in (*KINDS, {"dropout": 0.5}):
        model = drawn(rng, gpt(tinytorch, rng, **kind), 1.0).train()
        for knobs in ({"temperature": 0}, {"temperature": 0.7}, {"top_k": 3}, {"temperature": 1.5, "top_k": 4, "top_p": 0.9}):
            seed = int(rng.integers(1 << 30))
            for prompt in ([3], rng.integers(0, 9, (2, 3)), rng.integers(0, 9, 9)):
                answers.append(tinytorch.generate_cached(model, prompt, 8, generator=np.random.default_rng(seed), **knobs))
        answers += [tinytorch.generate_cached(model, [1, 2], 0), model.training, model.blocks[0].training]
    return [*answers, *(raised(lambda: tinytorch.generate_cached(model, wrong, 2)) for wrong in ([], [1.5], [[[1]]]))]


def as_often(got, reference):
    """Nobody reads a token twice: block by block, as many rows as the reference's."""
    return got == reference


@probe("test-generate", holds(as_often))
def how_much_is_read(tinytorch, rng):
    model, seen = gpt(tinytorch, rng, max_seq_len=12), []

    def watch(call, op, arrays, params):
        if op.__name__ in ("linear", "block_step", "cached_attention", "causal_attention"):
            seen.append([op.__name__, *arrays[0].shape])
        return call(arrays, params)
    door = tinytorch.around
    door.append(watch)
    try:
        tinytorch.generate_cached(model, rng.integers(0, 9, (2, 3)), int(rng.integers(4, 9)))
    finally:
        door.remove(watch)
    return seen


@probe("test-module", exact)
def switched_on_and_off(tinytorch, rng):
    answers = []
    for kind in KINDS:
        model, prompt, seed = drawn(rng, gpt(tinytorch, rng, **kind), 1.0), rng.integers(0, 9, (2, 3)), int(rng.integers(1 << 30))
        write = lambda: model.generate(prompt, 9, 0.9, generator=np.random.default_rng(seed))    # noqa: B023, E731
        answers += [write(), repr(tinytorch.enable_kv_cache(model)), write(), model.kv_cache.seq_pos, repr(model.generate)]
        model.head.weight.data[...] *= -1
        answers += [write(), tinytorch.disable_kv_cache(model), write(), "kv_cache" in vars(model)]
    return [*answers, raised(lambda: tinytorch.enable_kv_cache(tinytorch.Linear(2, 2)))]
