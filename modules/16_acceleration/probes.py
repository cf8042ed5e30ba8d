"""Inputs and calls for the judge: never an expected value.  The reference's answers to the same calls are the expectation."""

import numpy as np

from tito.check.probing import close, exact, forbid, numbers, probe, raised

PLAIN = forbid("test-loop-matmul", "@", "matmul", "dot", "einsum", "inner", "tensordot", "vdot", "sum")
IN_PLACE = forbid("test-gelu-into", "gelu", "in_blocks", "fused_gelu", "unfused_gelu")


# ---- products ----------------------------------------------------------------------------------

@probe("test-loop-matmul", close(1e-9))
def loops(tinytorch, rng):
    answers = []
    for n, k, m in ((1, 1, 1), (2, 3, 4), (4, 3, 2), (1, 5, 3), (3, 0, 2), (0, 2, 2)):
        a, b = numbers(rng, n, k), numbers(rng, k, m)
        answers += [tinytorch.loop_matmul(a, b), tinytorch.loop_matmul(a.astype("float32"), b.astype("float32")).dtype.name, a, b]
    return answers


class Noted(np.ndarray):
    """An array that notes the sizes and the dtypes of the products that it is in."""
    seen: list = []

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **settings):
        plain = [np.asarray(x) for x in inputs]
        if ufunc is np.matmul:
            Noted.seen.append([*plain[0].shape, plain[1].shape[-1], *[x.dtype.name for x in plain]])
        result = getattr(ufunc, method)(*plain, **settings, **({"out": tuple(map(np.asarray, out))} if out else {}))
        return out[0] if out else result.view(Noted)


@probe("test-tiled-matmul", close(1e-5))
def tiles(tinytorch, rng):
    answers = []
    for (n, k, m), tile in (((5, 7, 3), 2), ((4, 4, 4), 4), ((6, 3, 8), 3), ((2, 9, 2), 64), ((1, 1, 1), 1), ((3, 0, 2), 2)):
        a, b = numbers(rng, n, k, dtype="float32"), numbers(rng, k, m, dtype="float32")
        x, y = (tinytorch.Tensor(t, requires_grad=True) for t in (a, b))
        product = tinytorch.tiled_matmul(x, y, tile)
        answers += [product, *tinytorch.grad((product * product).sum(), [x, y]),
                    tinytorch.tiled_matmul(a.astype("float64"), b.astype("float64"), tile)]
        answers += [tinytorch.tiled_matmul(tinytorch.Tensor((9 * t).astype("float16")), tinytorch.Tensor(u.astype("float16")), tile=tile) for t,
                    u in ((a, b),)]
    return [*answers, raised(lambda: tinytorch.tiled_matmul(x, y, 0)), raised(lambda: tinytorch.tiled_matmul(tinytorch.Tensor(np.ones((2, 3))), x))]


@probe("test-tiled-matmul", exact)
def what_is_multiplied(tinytorch, rng):
    answers = []
    for (n, k, m), tile in (((5, 7, 3), 2), ((6, 6, 9), 3)):
        for dtype in ("float32", "float16"):
            Noted.seen = []
            tinytorch.tiled_matmul.__wrapped__(*[numbers(rng, *s, dtype=dtype).view(Noted) for s in ((n, k), (k, m))], tile)
            answers.append(sorted(map(str, Noted.seen)))
    return answers


# ---- one pass ----------------------------------------------------------------------------------

@probe("test-gelu-into", close(1e-6))
def gelus(tinytorch, rng):
    answers = []
    for shape in ((1,), (7,), (3, 4), (0,)):
        for dtype in ("float32", "float64"):
            x = (numbers(rng, *shape) * 3).astype(dtype)
            out = np.full_like(x, 9)
            answers += [tinytorch.gelu_into(out, x) is None, out, x]
    t = tinytorch.Tensor(numbers(rng, 40, 5), requires_grad=True)
    y = tinytorch.fused_gelu(t)
    return [*answers, y, *tinytorch.grad((y * y).sum(), t)]


def chains(tinytorch, rng):
    return [(lambda x, y: np.exp(-x * x) * y, 2), (lambda x, y: x / (1.0 + np.exp(y)) - 2.0 * x, 2), (lambda x: np.tanh(x) * np.maximum(x, 0.25), 1),
            (lambda x, y: x * 3.0 + y * 0.0, 2)]


@probe("test-in-pieces", close(1e-6))
def any_chain(tinytorch, rng):
    answers = []
    for fn, count in chains(tinytorch, rng):
        for shape in ((3,), (2, 5), (tinytorch.SPAN + 3,), (0, 2)):
            for dtype in ("float32", "float64"):
                arrays = [numbers(rng, *shape, dtype=dtype) for _ in range(count)]
                given = [*arrays] if count == 1 or shape == (3,) else [arrays[0], float(rng.normal())]
                answers += [tinytorch.in_pieces(fn, *given), *[a for a in arrays if a.size < 100]]
    sizes = []
    tinytorch.in_pieces(lambda x: sizes.append(x.size) or x * 2.0, np.ones((3, tinytorch.SPAN // 2 + 1)))
    return [*answers, sizes, raised(lambda: tinytorch.in_pieces(np.add, np.ones(2), np.ones(3))), raised(lambda: tinytorch.in_pieces(np.exp, 1.0))]


@probe("test-slopes-in-pieces", close(1e-5))
def their_slopes(tinytorch, rng):
    answers = []
    for fn, count in chains(tinytorch, rng):
        for shape in ((4,), (2, 3), (tinytorch.SPAN + 5,)):
            arrays, g = [numbers(rng, *shape) for _ in range(count)], numbers(rng, *shape)
            for need in ([True] * count, [True] + [False] * (count - 1)):
                got = tinytorch.slopes_in_pieces(fn, g, need, *arrays)
                answers += [slope if slope is None or slope.size < 100 else slope[::1000] for slope in got]
        inputs = [tinytorch.Tensor(numbers(rng, 3, 2), requires_grad=True) for _ in range(count)]
        y = tinytorch.fuse(fn)(*inputs)
        answers += [y, *tinytorch.grad((y * y).sum(), inputs), *[a for a in arrays if a.size < 100]]
    kept, seen = np.ones(3), []
    tinytorch.slopes_in_pieces(lambda x, k: (seen.append((type(k).__name__, x.dtype.name, x.requires_grad)) or x * k), np.ones(3), [True, False],
                               kept, 2.0)
    return [*answers, seen]


# ---- sixteen bits ------------------------------------------------------------------------------

@probe("test-bfloat16", exact)
def bits(tinytorch, rng):
    answers = []
    for shape in ((), (1,), (50,), (3, 4), (0,)):
        x = rng.integers(0, 1 << 32, shape, dtype=np.uint32)
        near = (x & 0xFFFF0000) | rng.choice([0x7FFF, 0x8000, 0x8001, 0, 1, 0xFFFF], shape).astype(np.uint32)
        for value in (x, near):
            value = np.asarray(value).view("float32")
            packed = tinytorch.to_bfloat16(value)
            answers += [packed, tinytorch.from_bfloat16(np.asarray(packed)), value]
    return [*answers, tinytorch.to_bfloat16(numbers(rng, 4, 6, dtype="float32").T)]


def at_the_door(tinytorch, dtype, call):
    """call() under autocast, and the dtypes that each operation met, nearest to the arithmetic."""
    door, seen = tinytorch.door, []
    with tinytorch.autocast(dtype):
        door.around.insert(0, lambda call, op, arrays, params: (
            seen.append([op.__name__, *[x.dtype.name for x in arrays if isinstance(x, np.ndarray)]]) or call(arrays, params)))
        try:
            return call(), seen
        finally:
            del door.around[0]


@probe("test-half-door", close(1e-4))
def what_passes(tinytorch, rng):
    answers = []
    for dtype in ("float16", "bfloat16", "float32"):
        x, w, b = (tinytorch.Tensor(numbers(rng, *s), requires_grad=True) for s in ((4, 3), (3, 5), (5,)))
        works = [lambda: x @ w, lambda: tinytorch.linear(x, w, b), lambda: (x @ w).relu() * 2.0, lambda: (x @ w).exp().sum(), lambda: w + w,
                 lambda: (x @ w).reshape(2, 10)[0], lambda: w @ (x @ w).T, lambda: (x @ w + b).mean(dim=0), lambda: x * 2.0 @ w,
                 lambda: (x @ w).T.softmax(), lambda: tinytorch.cross_entropy(x @ w, np.array([0, 1, 2, 3])), lambda: (w * 1.0) @ (x @ w).T]
        for work in works:
            y, seen = at_the_door(tinytorch, dtype, work)
            kept = [getattr(s, "dtype", type(s)).name if isinstance(s, np.ndarray) else type(s).__name__ for s in y.node.saved]
            answers += [y.dtype.name, y.data.astype("float32"), seen, kept,
                        [g.data for g in tinytorch.grad(y.sum(), [x, w], allow_unused=True) if g is not None]]
        answers.append([len(tinytorch.door.around), raised(lambda: tinytorch.autocast("int8").__enter__())])
    return answers


# ---- the trainer -------------------------------------------------------------------------------

@probe("test-unscale", close(1e-6))
def gradients(tinytorch, rng):
    answers = []
    for wrong in (None, np.inf, -np.inf, np.nan):
        for place in range(3):
            weights = [tinytorch.Tensor(numbers(rng, 2, 2), requires_grad=True) for _ in range(4)]
            for w in weights[:3]:
                w.grad = tinytorch.Tensor(numbers(rng, 2, 2))
            held = [w.grad.data for w in weights[:3]]
            if wrong is not None:
                held[place][0, 1] = wrong
            trainer = tinytorch.MixedPrecisionTrainer(None, None, loss_scale=float(2 ** rng.integers(1, 8)))
            answers += [trainer.unscale_gradients(weights), held, trainer.loss_scale]
    return answers


@probe("test-update-scale", close(1e-9))
def scales(tinytorch, rng):
    answers = []
    for _ in range(20):
        start, interval = float(rng.uniform(1, 20)), int(rng.integers(1, 5))
        trainer = tinytorch.MixedPrecisionTrainer(None, None, start, 64.0, growth_interval=interval)
        for overflow in rng.random(12) < rng.choice([0.1, 0.3, 0.7]):
            trainer.update_loss_scale(bool(overflow))
            answers += [trainer.loss_scale, trainer.good_steps]
    return answers


@probe("test-train-step", close(2e-3))
def steps(tinytorch, rng):
    answers = []
    for dtype in ("float16", "bfloat16", "float32"):
        for scale in (2.0, 2.0 ** 32):
            model = tinytorch.Sequential(tinytorch.Linear(5, 4), tinytorch.ReLU(), tinytorch.Linear(4, 3))
            for p in model.parameters():
                p.data[...] = rng.normal(size=p.shape) * 0.5
            trainer = tinytorch.MixedPrecisionTrainer(model, tinytorch.SGD(model.parameters(), lr=0.2), scale, 2.0 ** 34, growth_interval=3,
                                                      dtype=dtype)
            x, y = tinytorch.Tensor(numbers(rng, 6, 5)), rng.integers(0, 3, 6)
            told = [trainer.train_step((x, y)) for _ in range(5)]
            told = [{name: float(step[name]) if name in ("loss", "loss_scale") else step[name] for name in sorted(step)} for step in told]
            answers += [told, [p.data for p in model.parameters()]]
    return answers


@probe("test-module", close(2e-2))
def together(tinytorch, rng):
    answers, bend = [], tinytorch.fuse(lambda x: x / (1.0 + np.exp(-1.5 * x)))
    start, x, y = [numbers(rng, *s) * 0.5 for s in ((6, 8), (8,), (8, 2), (2,))], tinytorch.Tensor(numbers(rng, 20, 6)), rng.integers(0, 2, 20)
    for dtype in ("float32", "float16", "bfloat16"):
        first, second = tinytorch.Linear(6, 8), tinytorch.Linear(8, 2)
        for p, value in zip((first.weight, first.bias, second.weight, second.bias), start, strict=True):
            p.data[...] = value
        model = tinytorch.Sequential(first, second)
        model.forward = lambda x, first=first, second=second: second(bend(first(x)) + tinytorch.fused_gelu(first(x)))
        trainer = tinytorch.MixedPrecisionTrainer(model, tinytorch.SGD(model.parameters(), lr=0.1), dtype=dtype)
        answers += [[trainer.train_step((x, y))["loss"] for _ in range(6)], [p.data for p in model.parameters()]]
    return answers
