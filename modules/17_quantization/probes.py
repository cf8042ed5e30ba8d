"""Inputs and calls for the judge: never an expected value.  The reference's answers to the same calls are the expectation."""

import pickle

import numpy as np

from tito.check.probing import close, exact, holds, numbers, probe, raised, slopes


def layers(tinytorch, rng):
    """Layers with weights of this generator, and the shape of an input of each."""
    draw = {"generator": np.random.default_rng(int(rng.integers(1 << 30)))}
    return [(tinytorch.Linear(5, 3, **draw), (2, 5)), (tinytorch.Linear(8, 4, bias=False, **draw), (2, 3, 8)),
            (tinytorch.Conv2d(4, 6, 3, stride=2, padding=1, groups=2, **draw), (2, 4, 7, 6)),
            (tinytorch.Conv2d(1, 3, (2, 3), dilation=2, bias=False, **draw), (1, 1, 7, 8)), (tinytorch.Conv1d(2, 3, 3, padding=1, **draw), (2, 2, 6))]


def stored(tinytorch, layer, *settings):
    """The quantised layer that stands for this one."""
    kind = type(layer).__name__.replace("1", "2")
    return getattr(tinytorch, f"Quantized{kind}")(layer, *settings)


# ---- numbers -----------------------------------------------------------------------------------

@probe("test-grid", close(1e-9))
def grids(tinytorch, rng):
    answers, grid = [], tinytorch.quantization_grid
    for bits in range(2, 9):
        for symmetric in (True, False):
            low, high = np.sort(numbers(rng, 2, 9), axis=0) * 3
            answers += [grid(float(a), float(b), bits, symmetric) for a, b in zip(low, high)] + [grid(low, high, bits, symmetric), low, high]
            answers += [grid(0.0, 0.0, bits, symmetric), grid(np.zeros((2, 1)), np.ones((2, 1)), bits, symmetric), grid(-3, 2, bits, symmetric)]
    return [*answers, *(raised(lambda: grid(*wrong)) for wrong in ((np.nan, 1.0), (0.0, np.inf), (-1.0, 1.0, 9), (-1.0, 1.0, 1)))]


@probe("test-grid", exact)
def kinds_of_grids(tinytorch, rng):
    low = -rng.random((2, 1))
    return [[type(part).__name__ if np.ndim(part) == 0 else (part.dtype.name, part.shape) for part in tinytorch.quantization_grid(a, -a, 8, symmetric)]
            for a in (low, low.astype("float32"), low[0, 0], np.float32(low[0, 0]), -2) for symmetric in (True, False)]


@probe("test-quantize", close(1e-6))
def there_and_back(tinytorch, rng):
    answers = []
    for shape, axes in (((6,), (None, 0)), ((3, 4), (None, 0, 1, -1)), ((2, 3, 4), (0, 1, 2, -2)), ((2, 1, 2, 3), (None, 1, 3))):
        x = numbers(rng, *shape) * rng.uniform(0.1, 10, shape[-1])
        for axis in axes:
            for symmetric in (True, False):
                bits = int(rng.integers(2, 9))
                scale, zero_point = tinytorch.grid_of(x, axis, symmetric, bits)
                q = tinytorch.quantize(x * 1.2, scale, zero_point, bits)
                answers += [scale, zero_point, q, q.dtype.name, tinytorch.dequantize_int8(q, scale, zero_point)]
                answers += [*tinytorch.quantize_int8(x.astype("float32"), axis, symmetric, bits), x]
    return [*answers, tinytorch.dequantize_int8(np.array([-128, 127], np.int8), 0.5, 127), raised(lambda: tinytorch.grid_of([1, 2])),
            raised(lambda: tinytorch.grid_of(np.zeros((0, 2)))), raised(lambda: tinytorch.grid_of([[0.0]], 0, True, 1))]


@probe("test-pack", exact)
def bytes_of_two(tinytorch, rng):
    answers = []
    for shape in ((1,), (2,), (7,), (3, 8), (2, 3, 5), (0, 4)):
        q = rng.integers(-8, 8, shape).astype(np.int8)
        packed, out = tinytorch.pack_int4(q), np.zeros(shape, "float32")
        answers += [packed, tinytorch.unpack_int4(packed, shape[-1]), tinytorch.unpack_int4(packed, shape[-1], out), out, q]
    return [*answers, raised(lambda: tinytorch.pack_int4(np.array([8], np.int8))), raised(lambda: tinytorch.pack_int4(np.array([1])))]


@probe("test-product-by-tiles", close(1e-4))
def products(tinytorch, rng):
    answers = []
    for n, inner, outputs, tile in ((1, 3, 7, 3), (4, 2, 6, 2), (2, 5, 3, 10), (0, 2, 4, 3), (3, 1, 1, 1)):
        x, w = numbers(rng, n, inner), rng.integers(-9, 10, (outputs, inner)).astype(np.int8)
        for given in (x, x.astype("float32")):
            seen = []

            def widen(part, out, w=w, seen=seen):
                seen.append((part.start, part.stop, out.shape, out.dtype.name, (out if out.base is None else out.base).size))
                out[...] = w[part]
            answers += [tinytorch.product_by_tiles(given, outputs, widen, tile), seen, given]
    return answers


# ---- layers and models -------------------------------------------------------------------------

@probe("test-store", close(1e-5))
def what_layers_keep(tinytorch, rng):
    answers = []
    for layer, shape in layers(tinytorch, rng):
        x = tinytorch.Tensor(numbers(rng, *shape))
        for bits in (8, 4):
            for per_channel in (True, False):
                small = stored(tinytorch, layer, bits, per_channel)
                answers += [small.state_dict(), [(name, p.dtype.name) for name, p in small.named_parameters()], small.weight, small(x), small.nbytes]
    table = tinytorch.Embedding(7, 5)
    return [*answers, stored(tinytorch, table)([[1, 6], [0, 1]]).shape, raised(lambda: stored(tinytorch, table, 3)), raised(lambda: tinytorch.QuantizedLinear(layer))]


def light(got, reference):
    """Nothing hangs on the layers that the reference's do not have: at most a few names more."""
    return all(g <= w + 300 for g, w in zip(got, reference))


@probe("test-store", holds(light))
def weight_of_layers(tinytorch, rng):
    layer = tinytorch.Linear(60, 80, generator=np.random.default_rng(int(rng.integers(1 << 30))))
    return [len(pickle.dumps(tinytorch.QuantizedLinear(layer, bits))) for bits in (8, 4)]


@probe("test-replace", exact)
def replaced(tinytorch, rng):
    shared = tinytorch.Linear(3, 3)
    model = tinytorch.Sequential(shared, tinytorch.relu, tinytorch.Sequential(tinytorch.Linear(3, 2), shared), tinytorch.BatchNorm1d(3))
    model.parts = {"a": tinytorch.Linear(3, 3), "b": [tinytorch.Dropout(0.2)]}
    asked = []

    def make(name, layer):
        asked.append((name, type(layer).__name__))
        return tinytorch.Flatten() if type(layer) is tinytorch.Linear and rng.random() < 0.7 else None
    new = tinytorch.replace_layers(model, make)
    same = [new[0] is new[2][1], new is model, new[2] is model[2], new[3] is model[3], np.shares_memory(new[3].weight.numpy(), model[3].weight.numpy())]
    return [asked, [(name, type(m).__name__) for name, m in new.named_modules()], [(name, type(m).__name__) for name, m in model.named_modules()], same]


@probe("test-observer", close(1e-9))
def ranges(tinytorch, rng):
    answers = []
    for percentile in (100, 100.0, 99.9, 90.0, 60.0):
        observer = tinytorch.Observer(percentile)
        answers.append(raised(observer.range))
        for count in (1, 20, 300):
            x = numbers(rng, count, 3) * 4
            observer.observe(tinytorch.Tensor(x, dtype=x.dtype) if count == 20 else x)
            answers += [observer.range(), len(observer.ranges)]
    return answers


@probe("test-fake-quantize", close(1e-6))
def rounded(tinytorch, rng):
    answers = []
    for shape, axis in (((5,), None), ((3, 6), 0), ((2, 3, 4), 1), ((4, 1), None)):
        for symmetric in (True, False):
            x, bits = numbers(rng, *shape), int(rng.integers(2, 9))
            grid = tinytorch.grid_of(x * 0.6, axis, symmetric, bits)
            answers.append(slopes(tinytorch, rng, lambda x: tinytorch.fake_quantize(x, *grid, bits), x))
            answers.append(tinytorch.fake_quantize(tinytorch.Tensor(x), *grid, bits))
    return answers


@probe("test-aware-forward", close(1e-5))
def aware(tinytorch, rng):
    answers = []
    for layer, shape in layers(tinytorch, rng):
        for settings in ((8, True, None), (4, False, None), (3, True, (0.1, -7)), (8, True, (0.02, 100))):
            x, module = tinytorch.Tensor(numbers(rng, *shape), requires_grad=True), tinytorch.QuantizationAware(layer, *settings)
            y = module(x)
            y.backward(rng.normal(size=y.shape).astype("float32"))
            answers += [y, x.grad, *(p.grad for p in layer.parameters())]
            module.zero_grad()
    return answers


@probe("test-module", close(2e-3))
def a_few_steps(tinytorch, rng):
    answers = []
    for bits, per_channel in ((8, True), (4, False)):
        model = tinytorch.GPT(9, 16, 1, 2, 6, generator=np.random.default_rng(int(rng.integers(1 << 30))))
        ids, quantizer = rng.integers(0, 9, (3, 6)), tinytorch.Quantizer(bits, per_channel)
        aware = quantizer.calibrate(model, ids).prepare_qat(model)
        optimizer = tinytorch.SGD(aware.parameters(), lr=0.05)
        for _ in range(3):
            optimizer.zero_grad()
            loss = tinytorch.next_token_loss(aware(ids[:, :-1]), ids[:, 1:])
            loss.backward()
            optimizer.step()
            answers.append(loss.item())
        small = quantizer.convert(model)
        answers += [small(ids), quantizer.convert(aware)(ids), tinytorch.model_nbytes(small), list(small.state_dict())]
    return answers
