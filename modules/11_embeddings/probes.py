"""Inputs and calls for the judge: never an expected value.  The reference's answers to the same calls are the expectation."""

import numpy as np

from tito.check.probing import close, exact, forbid, numbers, probe, raised

no_slow_ways = forbid("test-sum-by-sorting", "np.add.at", "np.bincount")
a_product = forbid("test-sum-by-product", "np.add.at", "np.bincount")


def said(call, *words):
    """What `call` raises, and which of the words its message has."""
    try:
        call()
    except Exception as error:
        return [type(error).__name__, [word in str(error) for word in words]]
    return [""]


def leaf(tinytorch, array):
    """A Tensor with the dtype of the array, and a gradient."""
    return tinytorch.Tensor(array, requires_grad=True, dtype=array.dtype)


def slopes(tinytorch, rng, call, x):
    """What `call` gives, its gradient, that of its square, and that of the gradient's cube."""
    x = leaf(tinytorch, x)
    y = call(x)
    weights = tinytorch.Tensor(rng.normal(size=y.shape), dtype=y.dtype)
    plain = tinytorch.grad((y * weights).sum(), x, retain_graph=True)[0]
    steep = tinytorch.grad((y * y * weights).sum(), x, create_graph=True)[0]
    return [y, plain, steep, tinytorch.grad((steep * steep * steep).sum(), x)[0], x]


# ---- ids ---------------------------------------------------------------------------------------

@probe("test-token-ids", exact)
def what_passes(tinytorch, rng):
    answers = []
    for dtype in ("int64", "int32", "int8", "uint8", "uint64"):
        for shape in ((), (5,), (2, 3), (0,), (2, 0, 3)):
            ids = np.asarray(rng.integers(0, 100, size=shape)).astype(dtype)
            before = ids.copy()
            answers += [tinytorch.token_ids(ids, 100), tinytorch.token_ids(ids.tolist(), 100) if ids.size else 0, bool((ids == before).all())]
    edge = int(rng.integers(2 ** 24 + 1, 2 ** 40))
    return [*answers, tinytorch.token_ids([0, edge], edge + 1), tinytorch.token_ids(tinytorch.Tensor([3, 1]), 4), tinytorch.token_ids((1, 0), 2)]


@probe("test-token-ids", exact)
def what_is_refused(tinytorch, rng):
    count = int(rng.integers(3, 50))
    wrong = [[count], [-1], [[0, 1], [count + 1001, -7]], [0, -count], [1.0], [0.5], [True, False], np.float32(1), np.zeros((0,), "float32")]
    answers = [raised(lambda: tinytorch.token_ids(ids, count)) for ids in wrong]
    return [answers, said(lambda: tinytorch.token_ids([[0, 1], [count + 1001, -7]], count), str(count + 1001)),
            said(lambda: tinytorch.token_ids([0, -1, count], count), "-1")]


@probe("test-embedding", exact)
def looked_up(tinytorch, rng):
    answers = []
    for dtype in ("float32", "float64"):
        weight = numbers(rng, 7, 7, dtype=dtype)
        for shape in ((), (4,), (2, 3), (0,), (2, 2, 2)):
            ids = np.asarray(rng.integers(0, 7, size=shape))
            answers += [tinytorch.embedding(ids, tinytorch.Tensor(weight, dtype=dtype)), tinytorch.embedding(ids, tinytorch.Tensor(weight, dtype=dtype), 2)]
        answers.append(weight)
    return [*answers, tinytorch.take_rows(tinytorch.Tensor(weight, dtype="float64"), ids, None)]


@probe("test-embedding", exact)
def refused_by_the_table(tinytorch, rng):
    weight = tinytorch.Tensor(numbers(rng, 4, 3, dtype="float32"))
    calls = [([1.0], weight), ([4], weight), ([-1], weight), ([0], weight[0]), (weight, [1]), ([0], weight, 4), ([0], weight, -5), ([True], weight)]
    return [said(lambda: tinytorch.embedding(*call), "embedding") for call in calls]


# ---- sums --------------------------------------------------------------------------------------

def sums(rng, function):
    """What a function makes of rows that share ids: few and many, none, and of both dtypes; the inputs afterwards."""
    answers = []
    for n, dim, count in ((1, 1, 1), (5, 2, 3), (40, 3, 4), (30, 2, 200), (3, 4, 3), (64, 1, 64), (0, 3, 5)):
        for dtype in ("float32", "float64"):
            g, ids = numbers(rng, n, dim, dtype=dtype), rng.integers(0, count, n)
            answers += [function(g, ids, count), g, ids]
    g = numbers(rng, 6, 2)
    return [*answers, function(g, np.full(6, 3), 5), function(g, np.arange(6)[::-1], 6), function(g.T.copy().T, np.array([0, 0, 1, 1, 0, 2]), 3)]


@probe("test-sum-by-product", close(1e-5))
def by_product(tinytorch, rng):
    return sums(rng, tinytorch.sum_by_product)


@probe("test-sum-by-sorting", close(1e-5))
def by_sorting(tinytorch, rng):
    return sums(rng, tinytorch.sum_by_sorting)


@probe("test-embedding-gradient", close(1e-6))
def of_the_table(tinytorch, rng):
    answers = []
    for count in (4, 80):
        for skip in (None, 0, 2, -1):
            for shape in ((), (5,), (3, 4), (2, 0)):
                ids = np.asarray(rng.integers(0, 4, size=shape))
                answers.append(slopes(tinytorch, rng, lambda w: tinytorch.embedding(ids, w, skip), numbers(rng, count, 3)))
    return answers


@probe("test-embedding-gradient", exact)
def dtypes(tinytorch, rng):
    w = leaf(tinytorch, numbers(rng, 5, 2, dtype="float32"))
    gradients = [tinytorch.grad(tinytorch.embedding([[1, 1], [4, 0]], w, skip).sum(), w)[0] for skip in (None, 1, 4)]
    return [gradients, tinytorch.embedding([[1, 1], [4, 0]], w, 1)]


@probe("test-embedding-class", exact)
def layers(tinytorch, rng):
    seed, answers = int(rng.integers(1000)), []
    for args in ((6, 3), (1, 1), (6, 3, 0), (6, 3, 4), (3, 6, -1), (6, 3, 2)):
        layer = tinytorch.Embedding(*args, generator=np.random.default_rng(seed))
        answers += [layer.weight, [name for name, _ in layer.named_parameters()], bool(layer.weight.requires_grad), layer([[0, 0]])]
    tinytorch.manual_seed(seed)
    return [*answers, tinytorch.Embedding(3, 2).weight, tinytorch.Embedding(3, 2).weight]


# ---- positions ---------------------------------------------------------------------------------

@probe("test-sinusoidal", close(1e-6))
def hands(tinytorch, rng):
    sizes = [(1, 2), (7, 8), (5, 3), (50, 6), (3, 1), (0, 4), (4, 10)]
    base = float(rng.uniform(5, 500))
    return [[tinytorch.position_angles(*size), tinytorch.position_angles(*size, base), tinytorch.create_sinusoidal_embeddings(*size)] for size in sizes]


@probe("test-positions-of", exact)
def places(tinytorch, rng):
    layer, answers = tinytorch.Module(), []
    layer.max_seq_len = 6
    for shape in ((2, 4, 3), (4, 3), (6, 3), (7, 3), (1, 3), (0, 3), (2, 5, 4, 3), (3,), (), (4, 1), (3, 4)):
        x = tinytorch.Tensor(np.zeros(shape))
        for start in (0, 1, 2, 3, 5, 6, 7, -1, -4):
            error = said(lambda: tinytorch.positions_of(layer, x, start, 3), "Module", "max_seq_len", "6", "3")
            at = None if error[0] else tinytorch.positions_of(layer, x, start, 3)
            answers.append([error, [] if at is None else [at.start, at.stop, at.step]])
    return answers


@probe("test-positions", close(1e-6))
def told(tinytorch, rng):
    x, answers = numbers(rng, 2, 3, 4, dtype="float32"), []
    tinytorch.manual_seed(int(rng.integers(1000)))
    for make in (tinytorch.PositionalEncoding, tinytorch.LearnedPositionalEmbedding):
        layer = make(8, 4)
        for start in (0, 2, 5):
            answers += [layer(tinytorch.Tensor(x), start), layer(tinytorch.Tensor(x[0]), start=start), layer(tinytorch.Tensor(x))]
        answers += [raised(lambda: layer(tinytorch.Tensor(x), 6)), raised(lambda: layer(tinytorch.Tensor(x[..., :1]))), list(layer.state_dict()), x]
        answers.append(slopes(tinytorch, rng, lambda t: layer(t, 1), x.astype("float64")))
    y = layer(tinytorch.Tensor(x), 2)
    answers.append(tinytorch.grad((y * y).sum(), layer.weight)[0])
    return answers


@probe("test-positions", close(1e-6))
def dropped(tinytorch, rng):
    x, seed = tinytorch.Tensor(numbers(rng, 2, 3, 4, dtype="float32")), int(rng.integers(1000))
    tinytorch.manual_seed(seed)
    noisy = tinytorch.PositionalEncoding(8, 4, dropout=0.5)
    return [noisy(x), noisy.eval()(x), noisy(x, 4)]


# ---- turns -------------------------------------------------------------------------------------

@probe("test-rotate", close(1e-6))
def turned(tinytorch, rng):
    answers = []
    for shape in ((3, 4), (2, 3, 6), (2, 2, 1, 2), (0, 4)):
        angles = numbers(rng, shape[-2], shape[-1] // 2)
        cos, sin = (tinytorch.Tensor(f(angles), dtype="float64") for f in (np.cos, np.sin))
        answers.append(slopes(tinytorch, rng, lambda x: tinytorch.rotate(x, cos, sin), numbers(rng, *shape)))
        answers += [cos, sin, tinytorch.rotate(*(tinytorch.Tensor(t) for t in (numbers(rng, *shape), np.cos(angles), np.sin(angles))))]
    return answers


@probe("test-rotate", exact)
def unlearned(tinytorch, rng):
    x, cos, sin = (leaf(tinytorch, numbers(rng, *shape)) for shape in ((3, 4), (3, 2), (3, 2)))
    return [raised(lambda: tinytorch.rotate(x, cos, sin.detach()).sum().backward()), raised(lambda: tinytorch.rotate(x, cos.detach(), sin).sum().backward())]


@probe("test-module", close(1e-5))
def both(tinytorch, rng):
    answers, ids = [], rng.integers(0, 9, (2, 5))
    for kind in ("learned", "sinusoidal", None):
        for scale in (False, True):
            layer = tinytorch.EmbeddingLayer(9, 6, 8, kind, scale, generator=np.random.default_rng(int(rng.integers(1000))))
            y = layer(ids, start=2)
            answers += [layer(ids), y, layer(ids[0]), tinytorch.grad((y * y).sum(), layer.token_embedding.weight)[0], list(layer.state_dict())]
    rotary = tinytorch.RotaryEmbedding(6, 9, base=50.0)
    x = numbers(rng, 2, 3, 4, 6)
    return [answers, slopes(tinytorch, rng, lambda t: rotary(t, 5), x), tinytorch.RotaryEmbedding(2, 4)(tinytorch.Tensor(x[..., :2])),
            raised(lambda: rotary(tinytorch.Tensor(x), 6)), raised(lambda: tinytorch.RotaryEmbedding(5, 9))]
