"""Inputs and calls for the judge: never an expected value.  The reference's answers to the same calls are the expectation."""

import numpy as np

from tito.check.probing import close, exact, forbid, numbers, probe, raised, slopes, tensors

LEADING = [(), (2,), (1, 3), (0,)]
SIZES = [(1, 1, 1, 1), (3, 4, 2, 5), (4, 3, 6, 2), (2, 5, 9, 1)]                   # T, S, D, E
TEXTS = [(1, 1, 1, 1), (2, 5, 2, 3), (1, 4, 3, 2), (3, 2, 1, 4), (0, 3, 2, 2)]     # B, T, H, D

loops_only = forbid("test-attention-loops", "np.matmul", "np.einsum", "np.tensordot", "np.dot", "np.vdot", "np.inner", "@", "softmax")


def masks(rng, *shape):
    """Masks that broadcast to scores of this shape; of truth values one has rows without any."""
    t, s = shape[-2:]
    some, bias = rng.random(shape) < 0.5, numbers(rng, t, s)
    return [None, some, rng.random((1, s)) < 0.6, np.ones((t, s), bool), np.zeros((t, 1), bool), bias, numbers(rng, s),
            np.where(rng.random((t, s)) < 0.6, bias, -np.inf)]


# ---- loops and masks ---------------------------------------------------------------------------

@probe("test-attention-loops", close(1e-5))
def by_loops(tinytorch, rng):
    answers = []
    for t, s, d, e in SIZES:
        for dtype in ("float32", "float64"):
            for size in (1.0, 1e4, -300.0):
                q, k, v = numbers(rng, t, d, dtype=dtype) * np.asarray(size, dtype), numbers(rng, s, d, dtype=dtype), numbers(rng, s, e, dtype=dtype)
                answers += [tinytorch.attention_loops(q, k, v), q, k, v]
    return [*answers, tinytorch.attention_loops(numbers(rng, 0, 2), numbers(rng, 3, 2), numbers(rng, 3, 4))]


@probe("test-masked-softmax", close(1e-6))
def under_masks(tinytorch, rng):
    answers = []
    for front in LEADING:
        for dtype in ("float32", "float64"):
            scores = tinytorch.Tensor(numbers(rng, *front, 3, 4, dtype=dtype), dtype=dtype)
            for mask in masks(rng, *front, 3, 4):
                given = mask if mask is None else tinytorch.Tensor(mask, dtype=mask.dtype)
                answers += [tinytorch.masked_softmax(scores, mask), tinytorch.masked_softmax(scores, given), scores]
    return answers


@probe("test-masked-softmax", close(1e-6))
def of_any_size(tinytorch, rng):
    scores, may = rng.choice([-1e30, -1e9, -1e4, 0.0, 1.0, 1e4, 1e9, 1e30], size=(40, 5)), rng.random((40, 5)) < 0.4
    added = np.where(may, 0.0, -np.inf)
    return [tinytorch.masked_softmax(tinytorch.Tensor(scores), mask) for mask in (may, added, may.tolist())]


@probe("test-masked-softmax", close(1e-6))
def slopes_under_masks(tinytorch, rng):
    answers, scores = [], numbers(rng, 2, 3, 4)
    for mask in masks(rng, 2, 3, 4)[1:]:
        answers.append(slopes(tinytorch, rng, lambda s: tinytorch.masked_softmax(s, mask), scores))
        if mask.dtype == float:
            answers.append(slopes(tinytorch, rng, tinytorch.masked_softmax, scores, mask))
    return answers


@probe("test-masked-softmax", exact)
def what_is_no_mask(tinytorch, rng):
    scores = tinytorch.Tensor(numbers(rng, 3, 4))
    return [raised(lambda: tinytorch.masked_softmax(scores, mask)) for mask in (np.ones((3, 4), int), np.ones(3, bool), np.ones((2, 3, 4)), "no")]


@probe("test-causal-mask", exact)
def triangles(tinytorch, rng):
    masks = [tinytorch.create_causal_mask(n) for n in (0, 1, 2, int(rng.integers(3, 30)))]
    return [*masks, [type(mask).__name__ for mask in masks]]


# ---- two products ------------------------------------------------------------------------------

@probe("test-attention", close(2e-5))
def looked_up(tinytorch, rng):
    answers = []
    for front in LEADING:
        for t, s, d, e in SIZES:
            for dtype in ("float32", "float64"):
                q, k, v = (numbers(rng, *front, *shape, dtype=dtype) for shape in ((t, d), (s, d), (s, e)))
                for mask in masks(rng, *front, t, s)[:4]:
                    answers += list(tinytorch.scaled_dot_product_attention(*tensors(tinytorch, q, k, v), mask))
                answers += list(tinytorch.scaled_dot_product_attention(tinytorch.Tensor(q * np.asarray(1e4, dtype)), k, v))
    shared = tinytorch.scaled_dot_product_attention(numbers(rng, 2, 3, 4, 5), numbers(rng, 3, 6, 5), numbers(rng, 6, 2))
    return [*answers, *shared]


@probe("test-attention", close(1e-6))
def slopes_of_a_look(tinytorch, rng):
    answers = []
    for t, s, d, e in SIZES:
        for mask in masks(rng, 2, t, s):
            look = lambda q, k, v: tinytorch.scaled_dot_product_attention(q, k, v, mask)[0]
            answers.append(slopes(tinytorch, rng, look, numbers(rng, 2, t, d), numbers(rng, 2, s, d), numbers(rng, 2, s, e)))
    return answers


@probe("test-attention", exact)
def what_does_not_fit(tinytorch, rng):
    n = int(rng.integers(2, 6))
    shapes = [((n, 3), (n, 4), (n, 4)),
              ((n, 3), (n, 3), (n + 1, 3)), ((3,), (n, 3), (n, 3)), ((n, 0), (n, 0), (n, 2)), ((2, n, 3), (3, n, 3), (3, n, 3))]
    return [raised(lambda: tinytorch.scaled_dot_product_attention(*(numbers(rng, *shape) for shape in each))) for each in shapes]


# ---- heads -------------------------------------------------------------------------------------

@probe("test-heads", exact)
def dealt_out(tinytorch, rng):
    answers = []
    for front in LEADING:
        for t, heads, d in ((1, 1, 1), (3, 2, 4), (4, 3, 2), (2, 4, 1), (0, 2, 3)):
            for dtype in ("float32", "int64"):
                x = (numbers(rng, *front, t, heads * d) * 9).astype(dtype)
                parts = tinytorch.split_heads(tinytorch.Tensor(x), heads)
                other = (numbers(rng, *front, heads, t, d) * 9).astype(dtype)
                answers += [parts, tinytorch.merge_heads(parts), tinytorch.merge_heads(tinytorch.Tensor(other)), x, other,
                            bool(np.shares_memory(tinytorch.split_heads.__wrapped__(x, heads), x))]
    return answers


@probe("test-heads", close(1e-7))
def slopes_of_heads(tinytorch, rng):
    split, x = lambda x: tinytorch.split_heads(x, 3), numbers(rng, 2, 4, 6)
    return [slopes(tinytorch, rng, split, x), slopes(tinytorch, rng, tinytorch.merge_heads, numbers(rng, 2, 3, 4, 5)),
            [raised(lambda: tinytorch.split_heads(tinytorch.Tensor(x), n)) for n in (0, -1, 4, 5, 6)], raised(lambda: tinytorch.merge_heads(x[0]))]


# ---- one operation -----------------------------------------------------------------------------

@probe("test-causal-weights", close(2e-5))
def weighed(tinytorch, rng):
    answers = []
    for front in LEADING:
        for n, s, d in ((1, 1, 1), (1, 4, 3), (3, 3, 2), (2, 5, 9), (6, 6, 4)):
            for dtype in ("float32", "float64"):
                for size in (1.0, 1e4, -300.0):
                    q, k = numbers(rng, *front, n, d, dtype=dtype) * np.asarray(size, dtype), numbers(rng, *front, s, d, dtype=dtype)
                    answers += [tinytorch.causal_weights(q, k), q, k]
    return answers


@probe("test-causal-weights", close(2e-5))
def in_one(tinytorch, rng):
    answers = []
    for b, t, heads, d in (*TEXTS, (1, 33, 2, 3), (2, 100, 1, 4)):
        for dtype in ("float32", "float64"):
            x = numbers(rng, b, t, 3 * heads * d, dtype=dtype)
            answers += [tinytorch.causal_attention(tinytorch.Tensor(x, dtype=dtype), num_heads=heads), x]
    return answers


@probe("test-attention-gradients", close(1e-7))
def slopes_in_one(tinytorch, rng):
    answers = []
    for b, t, heads, d in (*TEXTS[:4], (1, 70, 1, 2)):
        call = lambda x: tinytorch.causal_attention(x, num_heads=heads)
        answers.append(slopes(tinytorch, rng, call, numbers(rng, b, t, 3 * heads * d)))
    return answers


@probe("test-attention-gradients", close(1e-8))
def pairs(tinytorch, rng):
    answers = []
    for front, t, s, d in (((), 3, 3, 2), ((2,), 4, 6, 3), ((1, 2), 5, 5, 9)):
        g, q, k, v = (numbers(rng, *front, n, d) for n in (t, t, s, s))
        p, row = rng.random((*front, t, s)), numbers(rng, *front, t, 1)
        given = [g, q, k, v, p, row]
        answers += [[a @ b for a, b in tinytorch.attention_gradients(*given)], given]
        answers += [[a @ b for a, b in tinytorch.attention_gradients(*(tinytorch.Tensor(x, dtype=x.dtype) for x in given))]]
    return answers


# ---- the layer ---------------------------------------------------------------------------------

def layer(tinytorch, rng, *args, **how):
    """A layer whose weights the generator draws."""
    return tinytorch.MultiHeadAttention(*args, generator=np.random.default_rng(int(rng.integers(1000))), **how)


@probe("test-multi-head", exact)
def drawn(tinytorch, rng):
    layers = [layer(tinytorch, rng, *sizes, bias=bias) for sizes in ((1, 1), (6, 3), (8, 2)) for bias in (True, False)]
    wrong = [raised(lambda: tinytorch.MultiHeadAttention(*sizes)) for sizes in ((6, 4), (4, 8), (0, 1), (4, 0))]
    return [[[name, p] for name, p in one.named_parameters()] for one in layers] + [wrong]


@probe("test-multi-head-forward", close(2e-5))
def layers_at_work(tinytorch, rng):
    answers = []
    turns = [None, lambda x: x * 1.5, lambda x: x[..., ::-1] + 0.5]
    for causal in (False, True):
        for turn in turns:
            for heads in (1, 2, 3):
                one, x = layer(tinytorch, rng, 6, heads, causal=causal, rotary=turn, bias=heads > 1), numbers(rng, 2, 4, 6, dtype="float32")
                for mask in masks(rng, 2, 1, 4, 4):
                    given = tensors(tinytorch, x)[0]
                    y = one(given, mask)
                    one.zero_grad()
                    (y * y).sum().backward()
                    answers += [y, given.grad, [p.grad for p in one.parameters()], one.attention_weights(given, mask), x]
    return answers


@probe("test-multi-head-forward", exact)
def one_operation_where_it_can(tinytorch, rng):
    import tinytorch.core.tensor as door
    taken, x = [], tinytorch.Tensor(numbers(rng, 1, 3, 4))
    for causal in (False, True):
        for turn in (None, lambda x: x):
            for mask in (None, np.ones((3, 3), bool)):
                seen, one = [], layer(tinytorch, rng, 4, 2, causal=causal, rotary=turn)
                watch = lambda call, op, arrays, params: seen.append(op.__name__) or call(arrays, params)
                door.around.append(watch)
                one(x, mask)
                door.around.remove(watch)
                taken.append(sorted(set(seen)))
    return [taken, [raised(lambda: one(tinytorch.Tensor(numbers(rng, *shape)))) for shape in ((3, 4), (1, 3, 5), (1, 1, 3, 4), (2, 1, 4))]]


@probe("test-module", close(1e-3))
def a_few_steps(tinytorch, rng):
    one, losses, x = layer(tinytorch, rng, 8, 2, causal=True), [], tinytorch.Tensor(numbers(rng, 4, 6, 8))
    wanted = tinytorch.Tensor(numbers(rng, 4, 6, 8))
    for _ in range(5):
        one.zero_grad()
        away = one(x) - wanted
        loss = (away * away).mean()
        loss.backward()
        for p in one.parameters():
            p.data -= 0.5 * p.grad.data
        losses.append(loss)
    return [losses, one.attention_weights(x)]
