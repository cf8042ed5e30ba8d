"""Inputs and calls for the judge: never an expected value.  The reference's answers to the same calls are the expectation."""

import itertools

import numpy as np

from tito.check.probing import close, exact, probe, raised

SHAPES = [(), (1,), (0,), (3,), (2, 3), (4, 1, 2), (1, 0, 2)]


def leaf(tinytorch, rng, shape, dtype="float64", low=-2.0, high=2.0):
    """A tensor that wants a gradient."""
    return tinytorch.Tensor(rng.uniform(low, high, shape), requires_grad=True, dtype=np.dtype(dtype).type)


def slopes(tinytorch, rng, fn, *leaves):
    """The gradients of fn(*leaves), weighed at random, and the weights as they are afterwards."""
    out = fn(*leaves)
    weights = np.asarray(rng.normal(size=out.shape), out.dtype)
    found = tinytorch.grad(out, leaves, weights, allow_unused=True)
    return [None if g is None else g.numpy() for g in found] + [weights]


def second(tinytorch, rng, fn, *leaves):
    """Slopes of the slopes of fn(*leaves): the rules work on Tensors, and none is lost on the way."""
    out = fn(*leaves)
    first = tinytorch.grad(out, leaves, tinytorch.Tensor(rng.normal(size=out.shape), dtype=out.dtype), create_graph=True)
    total = sum(((g * g).sum() for g in first[1:]), (first[0] * first[0]).sum())
    return [g.numpy() for g in tinytorch.grad(total, leaves)]


@probe("test-numerical-gradient", close(1e-5))
def any_shape(tinytorch, rng):
    found = []
    for shape in SHAPES:
        x, w = rng.normal(size=shape), rng.normal(size=shape)
        found += [tinytorch.numerical_gradient(lambda x, w=w: (w * np.sin(x)).sum(), x), x]
    return found


@probe("test-numerical-gradient", close(1e-7))
def long_steps(tinytorch, rng):
    x = rng.normal(size=(2, 3))
    f = lambda x: (x ** 3).sum() * x[0, 0] + np.abs(x).sum()                    # noqa: E731
    return [tinytorch.numerical_gradient(f, x.copy(), eps) for eps in (0.5, 0.125, 2.0)] + [tinytorch.numerical_gradient(f, x.T.copy().T, eps=0.25)]


@probe("test-rules-arithmetic", close(1e-4))
def arithmetic(tinytorch, rng):
    found, fns = [], [lambda a, b: a * b, lambda a, b: a / b, lambda a, b: a - b, lambda a, b: -a - b * -a, lambda a, b: 2.0 / b - a / 4.0]
    for dtype, shape in itertools.product(("float32", "float64"), SHAPES):
        a, b = leaf(tinytorch, rng, shape, dtype), leaf(tinytorch, rng, shape, dtype, 0.5, 2.0)
        found += [slopes(tinytorch, rng, fn, a, b) for fn in fns]
    return found


@probe("test-rules-arithmetic", close(1e-9))
def arithmetic_of_arrays(tinytorch, rng):
    g, a, b = rng.normal(size=(3, 2, 4)) + 5
    found = [[tinytorch.subtract.rule.run(g, need)[1], tinytorch.multiply.rule.run(g, need, a, b), tinytorch.divide.rule.run(g, need, b, a / b)]
             for need in itertools.product([True, False], repeat=2)]
    return [found, tinytorch.negative.rule.run(g), g, a, b]


@probe("test-rules-arithmetic", close(1e-6))
def arithmetic_twice(tinytorch, rng):
    a, b = leaf(tinytorch, rng, (2, 3)), leaf(tinytorch, rng, (2, 3), low=0.5)
    return second(tinytorch, rng, lambda a, b: a * b / (b * b) - a * (-a), a, b)


@probe("test-matmul-gradients", close(1e-4))
def products(tinytorch, rng):
    pairs = [((2, 3), (3, 4)), ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 3, 4), (4, 2)), ((2, 1, 3, 4), (5, 4, 2)), ((0, 3), (3, 2)),
             ((1, 1), (1, 1)), ((2, 3, 4), (2, 4, 1))]
    return [slopes(tinytorch, rng, lambda a, b: a @ b, leaf(tinytorch, rng, m, dtype), leaf(tinytorch, rng, n, dtype))
            for dtype in ("float32", "float64") for m, n in pairs]


@probe("test-matmul-gradients", close(1e-9))
def products_of_arrays(tinytorch, rng):
    a, b, g = (rng.normal(size=s) for s in ((2, 5, 3), (2, 3, 4), (2, 5, 4)))
    return [tinytorch.matmul_gradients(g, need, a, b) for need in itertools.product([True, False], repeat=2)] + [a, b, g]


@probe("test-matmul-gradients", close(1e-6))
def products_twice(tinytorch, rng):
    return second(tinytorch, rng, lambda a, b: a @ b, leaf(tinytorch, rng, (2, 2, 3)), leaf(tinytorch, rng, (3, 4)))


@probe("test-unbroadcast", close(1e-4))
def summed_back(tinytorch, rng):
    found = []
    for dtype in ("float32", "float64"):
        for _ in range(12):
            shape = tuple(rng.integers(0, 4, rng.integers(0, 4)).tolist())
            wide = (*rng.integers(0, 3, rng.integers(0, 3)).tolist(), *(int(rng.integers(0, 4)) if n == 1 else n for n in shape))
            g = rng.normal(size=wide).astype(dtype)
            found += [tinytorch.unbroadcast(g, shape), g, tinytorch.unbroadcast(tinytorch.Tensor(g, dtype=g.dtype.type), shape).numpy()]
    return found


@probe("test-unbroadcast", exact)
def not_from_there(tinytorch, rng):
    pairs = [((3,), (2, 3)), ((1,), (1, 1)), ((2, 3), (3, 2)), ((2, 3), (2,)), ((2, 3, 4), (6, 2)), ((4, 6), (1, 2)), ((0,), (2,)), ((2, 3), (2, 1)), ((), (1,)),
             ((1, 3), (2, 3)), ((2, 6), (3, 4)), ((0, 3), (0, 5)), ((0, 3), (0, 0)), ((0,), (0, 0)), ((0, 1), (0, 2))]
    return [raised(lambda: tinytorch.unbroadcast(np.ones(wide), shape)) for wide, shape in pairs]


def tangle(tinytorch, rng, count):
    """Leaves, and values made of each other at random, with the same shape."""
    leaves = [leaf(tinytorch, rng, s, low=0.5, high=1.0) for s in ((2, 3), (3,), (2, 1))]
    values = [x * 1.0 for x in leaves]
    for _ in range(count):
        a, b = (values[i] for i in rng.integers(max(0, len(values) - 4), len(values), 2))
        values.append([lambda: a + b, lambda: a * b, lambda: (a - b).exp(), lambda: 1.0 / (a + 2.0), lambda: b - 1.0][rng.integers(5)]())
        values[-1] = values[-1] * (1 / (1 + abs(values[-1].numpy()).max()))      # no overflow
    return leaves, values


@probe("test-newest-first", exact)
def tangles(tinytorch, rng):
    found = []
    for count in (0, 1, 5, 30):
        _, values = tangle(tinytorch, rng, count)
        for roots in ([values[-1].node], [v.node for v in values[:2]], list({v.node: None for v in values[::-3]}), []):
            nodes = tinytorch.newest_first(roots)
            ranks = np.argsort([n.order for n in nodes]).astype("int64")
            found.append([[n.op.__name__ for n in nodes], [n.shape for n in nodes], ranks, len(roots)])
    return found


@probe("test-simple-pull", close(1e-5))
def tangles_pulled(tinytorch, rng):
    found = []
    for count in (0, 1, 5, 30):
        leaves, values = tangle(tinytorch, rng, count)
        g = rng.normal(size=values[-1].shape)
        got = tinytorch.simple_pull(values[-1].node, g)
        found += [len(got), g, [got[x] if x in got else None for x in leaves]]
    return found


@probe("test-backward", close(1e-4))
def backwards(tinytorch, rng):
    w, b, x = leaf(tinytorch, rng, (3, 2), "float32"), leaf(tinytorch, rng, (2,), "float32"), leaf(tinytorch, rng, (4, 3), "float32")
    h = tinytorch.relu(x.detach() @ w + b)
    y = (h * h).sum(dim=1) * b.sum()
    y.backward(np.ones(4), retain_graph=True)
    once = w.grad.numpy().copy(), b.grad.numpy().copy()
    y.backward(np.full(4, 0.5))
    again = raised(lambda: y.backward(np.ones(4)))
    return [once, w.grad.numpy(), b.grad.numpy(), x.grad, again, raised(lambda: (w * 1.0).backward()), raised(lambda: (w * 1.0).backward(np.ones(3)))]


@probe("test-backward", close(1e-5))
def a_leaf_and_its_own_memory(tinytorch, rng):
    p, q = leaf(tinytorch, rng, (3,)), leaf(tinytorch, rng, (3,))
    g = rng.normal(size=3)
    p.backward(g)
    (p + q + p).backward(g)
    p.grad.data += 1.0
    first = [p.grad.numpy().copy(), q.grad.numpy().copy(), g]
    q.zero_grad()
    return first + [q.grad, raised(lambda: p.detach().backward(g))]


@probe("test-grad-mode", exact)
def nested_at_random(tinytorch, rng):
    x, seen = leaf(tinytorch, rng, (2,)), []

    def nest(depth):
        seen.append([tinytorch.is_grad_enabled(), (x * x).requires_grad])
        if depth == 0:
            return
        try:
            with tinytorch.no_grad() if rng.random() < 0.5 else tinytorch.enable_grad():
                nest(depth - 1)
                if rng.random() < 0.5:
                    raise KeyError("from the body")
        except KeyError as error:
            seen.append(error.args)
        seen.append([tinytorch.is_grad_enabled(), (x * x).requires_grad])
    for _ in range(8):
        nest(int(rng.integers(1, 5)))
    return seen


@probe("test-grad-mode", exact)
def as_decorator_and_in_threads(tinytorch, rng):
    from concurrent.futures import ThreadPoolExecutor
    x = leaf(tinytorch, rng, (2,))
    quiet = tinytorch.no_grad()(lambda: (x + x).requires_grad)
    with tinytorch.no_grad(), ThreadPoolExecutor(1) as pool:
        there = pool.submit(lambda: (x + x).requires_grad).result()
    return [quiet(), quiet(), (x + x).requires_grad, there, raised(lambda: tinytorch.no_grad()(lambda: 1 / 0)()), tinytorch.is_grad_enabled()]


@probe("test-rules-activations", close(1e-4))
def reductions(tinytorch, rng):
    found, settings = [], [{}, *({"dim": d, "keepdim": k} for d in (0, 1, -1, (0, 2), (-1, 1)) for k in (False, True))]
    for dtype, shape in itertools.product(("float32", "float64"), ((2, 3, 4), (1, 1, 1), (0, 3, 2), (2, 3, 1))):
        x = leaf(tinytorch, rng, shape, dtype)
        for name in ("reduce_sum", "mean") if x.size else ("reduce_sum",):         # the mean of nothing warns
            found += [slopes(tinytorch, rng, lambda x: getattr(tinytorch, name)(x, **chosen), x) for chosen in settings]
    return found


@probe("test-rules-activations", close(1e-4))
def activations(tinytorch, rng):
    found = []
    for dtype, shape in itertools.product(("float32", "float64"), ((2, 3), (2, 3, 4), (1,), (0, 2))):
        x = leaf(tinytorch, rng, shape, dtype, -4, 4)
        found += [slopes(tinytorch, rng, getattr(tinytorch, name), x) for name in ("relu", "sigmoid", "tanh")]
        found += [slopes(tinytorch, rng, lambda x: tinytorch.softmax(x, dim=dim), x) for dim in (0, -1) if x.size]
    return found


@probe("test-rules-activations", close(1e-5))
def extremes(tinytorch, rng):
    x = tinytorch.Tensor(rng.choice([-1e4, -100.0, -0.0, 0.0, 1.0, 100.0, 1e4], (4, 5)), requires_grad=True)
    found = [slopes(tinytorch, rng, getattr(tinytorch, name), x) for name in ("relu", "sigmoid", "tanh", "softmax")]
    return [found, tinytorch.mean.rule.run(np.ones(3), 0, (0, 3))]


@probe("test-rules-activations", close(1e-6))
def activations_twice(tinytorch, rng):
    fns = [lambda x: tinytorch.relu(x) * x, tinytorch.sigmoid, tinytorch.tanh, lambda x: tinytorch.softmax(x, dim=0), lambda x: (x * x).mean(dim=1), lambda x: (x * x).sum(dim=(0, 1))]
    return [second(tinytorch, rng, fn, leaf(tinytorch, rng, (2, 3, 2))) for fn in fns]


@probe("test-rule-linear", close(1e-4))
def layers(tinytorch, rng):
    found = []
    for dtype, shape in itertools.product(("float32", "float64"), ((3,), (2, 3), (2, 4, 3), (0, 3), (1, 1, 2, 3))):
        x, w, b = (leaf(tinytorch, rng, s, dtype) for s in (shape, (3, 5), (5,)))
        found += slopes(tinytorch, rng, tinytorch.linear, x, w, b) + slopes(tinytorch, rng, tinytorch.linear, x, w)
    return found


@probe("test-rule-linear", close(1e-9))
def layers_of_arrays(tinytorch, rng):
    x, w, g = (rng.normal(size=s) for s in ((2, 4, 3), (3, 5), (2, 4, 5)))
    return [tinytorch.linear.rule.run(g, need, x, w) for need in itertools.product([True, False], repeat=3)] + [x, w, g]


@probe("test-rule-linear", close(1e-6))
def layers_twice(tinytorch, rng):
    return second(tinytorch, rng, lambda x, w, b: tinytorch.tanh(tinytorch.linear(x, w, b)), *(leaf(tinytorch, rng, s) for s in ((2, 4, 3), (3, 5), (5,))))


@probe("test-gradcheck", exact)
def right_and_wrong_rules(tinytorch, rng):
    wrong = tinytorch.op(lambda x: x * x)
    tinytorch.gradient(wrong)(lambda g, x: g * x)
    x, y = leaf(tinytorch, rng, (2, 3), low=0.5), leaf(tinytorch, rng, (3,), low=0.5)
    fns = [lambda x, y: x * y / (x + y), lambda x, y: tinytorch.softmax(x @ y, dim=0), lambda x, y: tinytorch.linear(x, x.T, None) - y.mean(),
           lambda x, y: x.sum(dim=0, keepdim=True) * tinytorch.tanh(y), lambda x, y: wrong(x) + y]
    answers = [raised(lambda: tinytorch.gradcheck(fn, (x, y))) for fn in fns]
    return answers + [tinytorch.gradcheck(fns[0], (x, y)), raised(lambda: tinytorch.gradcheck(fns[0], (leaf(tinytorch, rng, (3,), "float32"), y)))]


@probe("test-gradcheck", close(1e-5))
def gradients_of_some(tinytorch, rng):
    x, y, z = (leaf(tinytorch, rng, (2, 2)) for _ in range(3))
    h = x * y
    outputs = [h.sum(), (h * h * x).mean()]
    got = tinytorch.grad(outputs, [h, x, z], allow_unused=True)
    return [None if g is None else g.numpy() for g in got] + [x.grad, raised(lambda: tinytorch.grad(x.sum(), z))]


@probe("test-extras", close(1e-5))
def hooks_checkpoints_and_pictures(tinytorch, rng):
    x, w, seen = leaf(tinytorch, rng, (2, 3)), leaf(tinytorch, rng, (3,)), []
    h = tinytorch.tanh(x * w)
    handle = h.register_hook(lambda g: seen.append(g.numpy().copy()) or g * 2)
    h.retain_grad()
    (h * h + h).sum().backward()
    handle.remove()
    inside = tinytorch.checkpoint(lambda x: tinytorch.tanh(x * w).exp(), x)
    drawn = tinytorch.draw_graph(tinytorch.relu(x * w + x).sum())
    return [seen, h.grad.numpy(), x.grad.numpy(), [g.numpy() for g in tinytorch.grad((inside * w).mean(), [x, w])],
            drawn.count("<rect"), drawn.count("<line"), tinytorch.Variable([1.0]).requires_grad, tinytorch.to_numpy(x)]


@probe("test-module", close(1e-4))
def a_few_steps(tinytorch, rng):
    x, target = tinytorch.Tensor(rng.normal(size=(6, 3))), rng.integers(0, 4, 6)
    params = [leaf(tinytorch, rng, s, "float32") for s in ((3, 5), (5,), (5, 4), (4,))]
    losses = []
    for _ in range(5):
        w1, b1, w2, b2 = params
        hidden = tinytorch.relu(tinytorch.linear(x, w1, b1)) + tinytorch.sigmoid(x @ w1 - b1)
        loss = tinytorch.cross_entropy(tinytorch.linear(hidden, w2, b2), target)
        losses.append(loss.item())
        loss.backward()
        for p in params:
            p.data -= 0.1 * p.grad.data
            p.zero_grad()
    return losses + [p.numpy() for p in params]
