"""Inputs and calls for the judge: never an expected value.  The reference's answers to the same calls are the expectation."""

import numpy as np

from tito.check.probing import close, exact, holds, numbers, probe, raised, slopes, statistics, tensors


def drawn(rng, module, scale=0.4):
    """The module with numbers of this generator in all its parameters."""
    for p in module.parameters():
        p.data[...] = rng.normal(size=p.shape) * scale + (p.ndim == 1)
    return module


def gpt(tinytorch, rng, **settings):
    """A small GPT with weights of this generator."""
    return drawn(rng, tinytorch.GPT(**dict(vocab_size=9, embed_dim=8, num_layers=2, num_heads=2, max_seq_len=6) | settings))


# ---- norms -------------------------------------------------------------------------------------

@probe("test-standardize", close(1e-9))
def rows_of_numbers(tinytorch, rng):
    answers = []
    for shape in ((1, 1), (5, 3), (2, 8), (0, 4), (2, 3, 4), (4,)):
        x, eps = numbers(rng, *shape) * 3 + 2, float(rng.uniform(0.01, 1))
        for given in (x, *tensors(tinytorch, x)):
            answers += [list(tinytorch.standardize(given, eps)), list(tinytorch.standardize(given, eps, center=False))]
        answers.append(x)
    return answers


@probe("test-standardize", close(1e-4))
def rows_in_float32(tinytorch, rng):
    x = numbers(rng, 4, 6, dtype="float32") * 5
    return [list(tinytorch.standardize(x, 1e-5, center)) for center in (True, False)] + [x]


@probe("test-layer-norm", close(1e-9))
def both_norms(tinytorch, rng):
    answers = []
    for shape, normalized in (((3, 4), 4), ((2, 3, 4), (3, 4)), ((4,), (4,)), ((2, 1, 2, 3), (1, 2, 3)), ((0, 4), 4)):
        size = (normalized,) if isinstance(normalized, int) else normalized
        x, w, b = (numbers(rng, *s) for s in (shape, size, size))
        given, weight, bias = (tinytorch.Tensor(t, dtype=t.dtype) for t in (x, w, b))
        eps = float(rng.uniform(0.01, 1))
        answers += [tinytorch.layer_norm(given, normalized, *wb, eps=eps) for wb in ((), (weight,), (weight, bias), (None, bias))]
        answers += [tinytorch.rms_norm(given, normalized, *w, eps=eps) for w in ((), (weight,))]
        answers += [tinytorch.layer_norm(given, normalized), tinytorch.rms_norm(given, normalized, weight), x, w, b]
    return answers


@probe("test-layer-norm", close(1e-4))
def both_norms_in_float32(tinytorch, rng):
    x, w = (tinytorch.Tensor(numbers(rng, *s, dtype="float32") * 3) for s in ((2, 3, 5), (5,)))
    return [tinytorch.layer_norm(x, 5, w, w), tinytorch.rms_norm(x, 5, w), tinytorch.LayerNorm(5)(x), tinytorch.RMSNorm(5)(x),
            raised(lambda: tinytorch.layer_norm(x, 4)), raised(lambda: tinytorch.rms_norm(x, (2, 5)))]


@probe("test-norm-gradient", close(1e-8))
def its_own_gradient(tinytorch, rng):
    answers = []
    for shape in ((3, 4), (5, 1), (2, 3, 6)):
        g, normal, scale = numbers(rng, *shape), numbers(rng, *shape), rng.uniform(0.5, 2, (*shape[:-1], 1))
        answers += [tinytorch.norm_gradient(g, normal, scale), tinytorch.norm_gradient(g, normal, scale, center=False), g, normal, scale]
        answers.append(tinytorch.norm_gradient(*(t.astype("float32") for t in (g, normal, scale))).dtype.name)
    return answers


@probe("test-norm-gradient", close(1e-6))
def gradients_of_gradients(tinytorch, rng):
    x, w, b = numbers(rng, 2, 3, 4), numbers(rng, 3, 4), numbers(rng, 3, 4)
    return [slopes(tinytorch, rng, lambda x, w, b: tinytorch.layer_norm(x, (3, 4), w, b, 0.01), x, w, b),
            slopes(tinytorch, rng, lambda x: tinytorch.layer_norm(x, 4, eps=0.1), x),
            slopes(tinytorch, rng, lambda x, w: tinytorch.rms_norm(x, (3, 4), w, 0.01), x, w), slopes(tinytorch, rng, lambda x: tinytorch.rms_norm(x, 4), x)]


# ---- blocks ------------------------------------------------------------------------------------

@probe("test-mlp", close(1e-6))
def mlps(tinytorch, rng):
    answers = []
    for hidden, shape in ((None, (4,)), (3, (2, 4)), (5, (2, 3, 4))):
        mlp, x = drawn(rng, tinytorch.MLP(4, hidden)), tinytorch.Tensor(numbers(rng, *shape) * 2)
        answers += [mlp(x), x, [p.shape for p in mlp.parameters()]]
    return answers


@probe("test-mlp", statistics())
def dropped(tinytorch, rng):
    tinytorch.manual_seed(int(rng.integers(1 << 30)))
    mlp = drawn(rng, tinytorch.MLP(4, dropout=0.4))
    x = tinytorch.Tensor(np.tile(numbers(rng, 4), (200, 1)))
    return [mlp(x).numpy() == 0, mlp.eval()(x).numpy() == 0]


@probe("test-block", close(1e-5))
def blocks(tinytorch, rng):
    answers = []
    for settings in ({}, {"causal": False}, {"norm": tinytorch.RMSNorm}, {"mlp_ratio": 2}):
        block = drawn(rng, tinytorch.TransformerBlock(4, 2, **settings))
        x, mask = tinytorch.Tensor(numbers(rng, 2, 5, 4) * 2), rng.random((5, 5)) < 0.7
        answers += [block(x), block(x, mask), block(x, mask=np.where(mask, 0.0, -1.0).astype("float32")), x]
    return answers


@probe("test-block", statistics())
def drops_what_attention_finds(tinytorch, rng):
    tinytorch.manual_seed(int(rng.integers(1 << 30)))
    block = tinytorch.TransformerBlock(4, 2, dropout=0.3)
    for p in block.mlp.parameters():
        p.data[...] = 0.0
    block.attention.proj.weight.data[...], block.attention.proj.bias.data[...] = 0.0, 1.0
    x = tinytorch.Tensor(np.tile(numbers(rng, 1, 1, 4), (200, 1, 1)))
    return [block(x) - x, block.eval()(x) - x]


# ---- the model ---------------------------------------------------------------------------------

@probe("test-initialize", statistics())
def how_it_begins(tinytorch, rng):
    model = tinytorch.GPT(40, 48, int(rng.integers(1, 5)), 4, 30, generator=np.random.default_rng(int(rng.integers(1 << 30))))
    return [{name: p.data for name, p in model.named_parameters()}, [p.dtype.name for p in model.parameters()]]


def repeats(got, reference):
    """One seed gave two models the same numbers, and a new start was written into the arrays that were there."""
    first, second, held, now = got
    return len(first) == len(reference[0]) and all(np.array_equal(a, b) for a, b in zip([*first, *held], [*second, *now]))


@probe("test-initialize", holds(repeats))
def the_generator_decides(tinytorch, rng):
    seed = int(rng.integers(1 << 30))
    first, second = (tinytorch.GPT(10, 8, 2, 2, 6, tie_weights=False, generator=np.random.default_rng(seed)) for _ in range(2))
    states, held = [[p.data.copy() for p in model.parameters()] for model in (first, second)], [p.data for p in first.parameters()]
    tinytorch.initialize_weights(first, np.random.default_rng(seed + 1))
    return [*states, held, [p.data for p in first.parameters()]]


@probe("test-gpt-forward", close(2e-5))
def scores(tinytorch, rng):
    answers = []
    for positions in ("learned", "sinusoidal", "rotary", None):
        for settings in ({}, {"tie_weights": False, "num_layers": 1}, {"num_layers": 3, "num_heads": 1}, {"dropout": 0.5}):
            model, ids = gpt(tinytorch, rng, positions=positions, **settings).eval(), rng.integers(0, 9, (2, int(rng.integers(1, 7))))
            answers += [model(ids), model(tinytorch.Tensor(ids)), model(ids.tolist()), [name for name, _ in model.named_parameters()]]
    return [*answers, *(raised(lambda: model(given)) for given in (np.zeros((1, 7), int), np.zeros(3, int), np.zeros((1, 0), int), [[0, 9]]))]


@probe("test-gpt-forward", statistics())
def with_dropout(tinytorch, rng):
    tinytorch.manual_seed(int(rng.integers(1 << 30)))
    model = gpt(tinytorch, rng, num_layers=0, dropout=0.4)
    return model(np.tile(rng.integers(0, 9, (1, 4)), (100, 1)))


@probe("test-next-token-loss", close(1e-5))
def losses(tinytorch, rng):
    answers = []
    for shape in ((1, 1), (2, 3), (4, 2), (3,), (2, 2, 3)):
        z, ids = tinytorch.Tensor(numbers(rng, *shape, 5) * 3), rng.integers(0, 5, shape)
        answers += [tinytorch.next_token_loss(z, given) for given in (ids, tinytorch.Tensor(ids), ids.tolist())]
    return [*answers, raised(lambda: tinytorch.next_token_loss(z, ids[:1])), raised(lambda: tinytorch.next_token_loss(z, ids + 5))]


# ---- writing -----------------------------------------------------------------------------------

@probe("test-token-probabilities", close(1e-9))
def chances(tinytorch, rng):
    answers, probabilities = [], tinytorch.token_probabilities
    for shape in ((1,), (7,), (3, 6), (2, 3, 5)):
        for z in (numbers(rng, *shape) * 2, rng.integers(-2, 2, shape), numbers(rng, *shape) * 1e4):
            knobs = [{"temperature": t} for t in (0, 0.3, 1.0, 2)] + [{"top_k": k} for k in (1, 2, 3, 9)] + [{"top_p": p} for p in (0.1, 0.5, 0.9, 1.0)]
            knobs += [{"temperature": 0.5, "top_k": 3, "top_p": 0.7}, {"temperature": 1.7, "top_k": 4, "top_p": 0.8}, {"temperature": 0, "top_k": 2}]
            answers += [probabilities(z, **k) for k in knobs] + [z]
    wrong = [{"temperature": -1}, {"top_k": 0}, {"top_p": 0}, {"top_p": 1.1}]
    return [*answers, *(raised(lambda: probabilities(z, **k)) for k in wrong), probabilities(tinytorch.Tensor(numbers(rng, 2, 4))).dtype.name]


@probe("test-generate", exact)
def texts(tinytorch, rng):
    answers = []
    for settings in ({}, {"positions": "rotary"}, {"dropout": 0.5}):
        model = drawn(rng, gpt(tinytorch, rng, **settings), 1.0)
        for knobs in ({"temperature": 0}, {"temperature": 0.7}, {"top_k": 3}, {"top_p": 0.6}, {"temperature": 1.5, "top_k": 4, "top_p": 0.9}):
            seed = int(rng.integers(1 << 30))
            for prompt in ([3], [1, 2, 3, 4, 5, 6, 7, 8], rng.integers(0, 9, (3, 2))):
                answers.append(model.generate(prompt, 9, generator=np.random.default_rng(seed), **knobs))
        answers += [model.generate([1, 2], 0), model.training, model.blocks[0].training]
    tinytorch.manual_seed(int(rng.integers(1 << 30)))
    return [*answers, model.generate([1], 20), raised(lambda: model.generate([], 2)), raised(lambda: model.generate([1.5], 2))]


@probe("test-module", close(2e-3))
def a_few_steps(tinytorch, rng):
    answers = []
    for settings in ({}, {"tie_weights": False, "positions": "rotary"}):
        model, ids = gpt(tinytorch, rng, **settings), rng.integers(0, 9, (4, 7))
        optimizer = tinytorch.SGD(model.parameters(), lr=0.05)
        for _ in range(4):
            optimizer.zero_grad()
            loss = tinytorch.next_token_loss(model(ids[:, :-1]), ids[:, 1:])
            loss.backward()
            optimizer.step()
            answers.append(loss.item())
        answers += [model.state_dict(), model(ids[:, :6])]
    return answers
