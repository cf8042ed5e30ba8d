"""Inputs and calls for the judge of module 03: never an expected value.  The reference's answers to the same calls are the expectation."""

import copy

import numpy as np

from tito.check.probing import exact, holds, probe, raised, statistics

KINDS = ["float32", "float64"]


def numbers(tinytorch, rng, shape, kind="float32"):
    """A Tensor of random numbers."""
    return tinytorch.Tensor(rng.normal(size=shape), dtype=kind)


def stream(seed):
    """A generator of its own, always the same."""
    return np.random.default_rng(seed)


# ---- 1, one operation

@probe("test-linear")
def any_axes_in_front(tinytorch, rng):
    rows, inside, out = (int(n) for n in rng.integers(1, 7, 3))
    w, b = numbers(tinytorch, rng, (inside, out)), numbers(tinytorch, rng, out)
    found = []
    for front in [(), (1,), (rows,), (0,), (2, rows), (3, 1, 2), (2, 0, 3), (2, 1, rows, 2)]:
        x = numbers(tinytorch, rng, (*front, inside))
        found += [tinytorch.linear(x, w, b), tinytorch.linear(x, w), tinytorch.linear(x, w=w, b=b), x]
    return [*found, w, b]


@probe("test-linear")
def dtypes_and_layouts(tinytorch, rng):
    square = {kind: [numbers(tinytorch, rng, shape, kind) for shape in ((4, 4), (4, 4), (4,))] for kind in KINDS}
    mixed = [tinytorch.linear(square[i][0], square[j][1], square[k][2]) for i in KINDS for j in KINDS for k in KINDS]
    x, w, b = square["float32"]
    rows = rng.integers(-3, 4, size=(2, 4))
    return [mixed, [tinytorch.linear(x.T, w.T, b), tinytorch.linear(x[::2], w[:, ::-1].copy(), b), tinytorch.linear(x[:, 1:3], w[1:3], b)],
            [tinytorch.linear(rows, w, b), tinytorch.linear(rows.tolist(), w), tinytorch.linear(rows[0], w, b)], list(square.values())]


@probe("test-linear", exact)
def sizes_that_do_not_fit(tinytorch, rng):
    a, b = (int(n) for n in rng.choice(np.arange(2, 9), 2, replace=False))
    shapes = [((3, a), (b, 2), None), ((a,), (b, a), None), ((3, b), (a, b), (b,)), ((3, a), (a,), None), ((), (a, b), None),
              ((3, a), (1, a, b), None), *(((b, a), (a, b), wrong) for wrong in [(), (1,), (a,), (1, b), (b, b), (b, 1), (0,)])]
    made = [[None if shape is None else numbers(tinytorch, rng, shape) for shape in three] for three in shapes]
    return [raised(lambda: tinytorch.linear(*three)) for three in made]


# ---- 2, initialisers

def draws(tinytorch, rng, generator):
    """Each initialiser with each of its settings, on shapes of one, two and four axes."""
    n, a, gain, fan = int(rng.integers(2, 30)), float(rng.uniform(0.1, 3)), float(rng.uniform(0.5, 3)), int(rng.integers(2, 500))
    shapes, kaiming, xavier = [(n, 7), (n,), (4, n, 2, 9), (0, n)], tinytorch.kaiming_uniform, tinytorch.xavier_uniform
    return [
        [kaiming(shape, fan_in=shape[0] or n, generator=generator) for shape in shapes], [kaiming(shape, generator=generator) for shape in shapes[:3]],
        [kaiming((n, 3), a, generator=generator), kaiming((n, 3), a=-a, fan_in=fan, generator=generator)],
        [xavier(shape, generator=generator) for shape in shapes], [xavier(shape, gain, generator=generator) for shape in shapes],
        [xavier((n, 5), **fans, generator=generator) for fans in ({"fan_in": fan}, {"fan_out": fan}, {"fan_in": fan, "fan_out": 2 * fan})]]


@probe("test-initialisers")
def from_a_generator(tinytorch, rng):
    return draws(tinytorch, rng, stream(int(rng.integers(1 << 30))))


@probe("test-initialisers", statistics())
def from_nobodys_generator(tinytorch, rng):
    n, m = (int(k) for k in rng.integers(20, 400, 2))
    return [tinytorch.kaiming_uniform((200, 150)), tinytorch.kaiming_uniform((n, 20000 // n + 1), 1.5, fan_in=m),
            tinytorch.xavier_uniform((n, 30000 // n + 1)), tinytorch.xavier_uniform((200, 150), 1.7, fan_in=n, fan_out=m)]


# ---- 3, parameters

def tree(tinytorch, rng, depth):
    """A random network: modules, lists, tuples and dicts in one another, with all that may lie between; some of it shared, some in circles."""
    net = tinytorch.Module()
    net.weight, net.buffer, net._scratch = (kind(rng.normal(size=2)) for kind in (tinytorch.Parameter, tinytorch.Tensor, tinytorch.Tensor))
    net._own, net.size, net.label, net.nothing = tinytorch.Parameter([1.0]), 3, "text", None
    below = [tree(tinytorch, rng, depth - 1) for _ in range(int(rng.integers(1, 4)))] if depth else []
    holders = [list, tuple, lambda parts: {f"k{i}": part for i, part in enumerate(parts)}, lambda parts: [{"deep": (part,)} for part in parts]]
    net.parts, net.scratch = holders[int(rng.integers(4))](below), [tinytorch.Tensor([1.0]), tinytorch.Parameter([2.0])]
    net.tied, net.circle = net.weight, net
    if below:
        net.last, below[0].parent, below[-1].tied = below[-1], net, net.weight
    return net


@probe("test-parameters", exact)
def found_in_a_tree(tinytorch, rng):
    net = tree(tinytorch, rng, 3)
    named, twice = net.named_parameters(), [[name for name, _ in net.named_parameters()] for _ in range(2)]
    return [twice, [type(part).__name__ for _, part in named], [p.numpy() for p in net.parameters()],
            [name for name, _ in net.named_modules()], [[name, type(part).__name__] for name, part in tinytorch._walk(net)]]


@probe("test-parameters", exact)
def walks_from_anything(tinytorch, rng):
    leaf = tinytorch.Parameter(rng.normal(size=3))
    deep = [leaf]
    for _ in range(40):
        deep = [deep]
    starts = [leaf, [leaf, leaf], {"a": leaf, 2: [leaf]}, (tinytorch.Module(), leaf), deep, [], 1.5, None, "text", tinytorch.Tensor([1.0])]
    return [[[name, type(part).__name__] for name, part in tinytorch._walk(start)] for start in starts] + [
        [name for name, _ in tinytorch._walk(start, "top")] for start in starts]


@probe("test-linear-layer")
def layers_of_any_size(tinytorch, rng):
    found = []
    for fan_in, fan_out, bias in [(1, 1, True), (*(int(n) for n in rng.integers(2, 30, 2)), True), (6, 2, False), (2, 9, True)]:
        layer = tinytorch.Linear(fan_in, fan_out, bias, generator=stream(int(rng.integers(1 << 30))))
        inputs = [numbers(tinytorch, rng, (*front, fan_in), kind) for front in ((), (3,), (0,), (2, 1, 3)) for kind in KINDS]
        found += [[[name, p, p.requires_grad, type(p).__name__] for name, p in layer.named_parameters()],
                  [layer(x) for x in inputs], inputs, layer.in_features, layer.out_features, raised(lambda: layer(inputs[2].reshape(-1)))]
    return found


@probe("test-linear-layer", statistics())
def how_layers_start(tinytorch, rng):
    fan_in = int(rng.integers(100, 300))
    layers = [tinytorch.Linear(fan_in, 20000 // fan_in + 1), tinytorch.Linear(3, 20000)]
    return [p for layer in layers for p in layer.parameters()]


@probe("test-state", exact)
def kept_and_loaded(tinytorch, rng):
    net, other = (tree(tinytorch, stream(int(rng.integers(1 << 30))), 2) for _ in range(2))
    twin = copy.deepcopy(net)
    kept, held = net.state_dict(), [t.data for _, t in tinytorch._walk(twin) if isinstance(t, tinytorch.Tensor)]
    for p in net.parameters():
        p.data += 1.0
    found = [kept, {name: type(value).__name__ for name, value in kept.items()}]
    back = twin.load_state_dict({name: value * 2 for name, value in kept.items()})
    return [*found, held, type(back).__name__, twin.state_dict(), raised(lambda: other.load_state_dict({**kept, "more": np.zeros(1)})), other.state_dict()]


@probe("test-state")                                    # the draws of `Linear` may differ in their last bits
def refused(tinytorch, rng):
    shapes = {"0.weight": (3, 2), "0.bias": (2,), "1.weight": (2, 1), "1.bias": (1,)}
    right = {name: rng.normal(size=shape).astype("float32") for name, shape in shapes.items()}
    wrong = [{name: value for name, value in right.items() if name != left} for left in right]
    wrong += [{**right, name: np.zeros(shape, "float32")} for name in right for shape in ((), (1,), (1, 1), (1, 2), (2, 3), (2, 1, 1))]
    wrong += [{**right, "else": np.zeros(1)}, {}, {"0": right}, {**right, "1.bias": np.array(["x"])}]
    found = []
    for state in wrong:
        for strict in (True, False):
            net = tinytorch.Sequential(tinytorch.Linear(3, 2, generator=stream(1)), tinytorch.Linear(2, 1, generator=stream(2)))
            found += [raised(lambda: net.load_state_dict(state, strict)), [p.numpy() for p in net.parameters()]]
    return found


@probe("test-state", exact)
def dtypes_of_a_state(tinytorch, rng):
    net = tinytorch.Module()
    net.wide, net.whole = tinytorch.Parameter(rng.normal(size=3), dtype="float64"), tinytorch.Tensor(rng.integers(0, 9, size=2))
    state = net.state_dict()
    net.load_state_dict({"wide": rng.normal(size=3).astype("float32"), "whole": np.array([4.0, 5.0])})
    return [state, net.state_dict(), [t.requires_grad for t in (net.wide, net.whole)]]


# ---- 6, dropout

def thrown(got, reference):
    """Item by item: 0 or x / (1 - p), as often as p says, each number for itself; kept where it is not 0; x as it was."""
    return len(got) == len(reference) and all(_thrown(*g[:3], *r[2:]) for g, r in zip(got, reference))


def _thrown(y, keep, left, x, p):
    if not all(isinstance(a, np.ndarray) and a.shape == x.shape for a in (y, keep, left)) or y.dtype != x.dtype or keep.dtype != bool:
        return False
    gone = y == 0
    apart = p == 0 or all(np.unique(gone, axis=axis).shape == gone.shape for axis in (0, 1) if gone.ndim == 2 and min(gone.shape) > 50)
    share = abs(gone.mean() - p) <= 6 * np.sqrt(p * (1 - p) / gone.size)
    return bool(apart and share and np.array_equal(keep, ~gone) and np.array_equal(left, x) and np.allclose(y, np.where(gone, 0, x / (1 - p)), rtol=1e-5))


@probe("test-dropout", holds(thrown))
def zeros_and_what_is_left(tinytorch, rng):
    found = []
    for shape, p, kind in [((200, 60), 0.5, "float32"), ((60, 200), 0.3, "float64"), ((20, 3, 100), float(rng.uniform(0.05, 0.95)), "float32"),
                           ((9000,), 0.0, "float32"), ((1, 9000), 0.1, "float32"), ((9000, 1), 0.9, "float64")]:
        x = (rng.uniform(0.5, 2, size=shape) * rng.choice([-1, 1], size=shape)).astype(kind)
        seed = int(rng.integers(1 << 30))
        y, extra = tinytorch.dropout.__wrapped__(x, p=p, generator=stream(seed) if seed % 2 else None)
        found.append([y, extra["keep"], x, p])
    return found


def anew(got, reference):
    """The first two are equal, the others are not."""
    return np.array_equal(got[0], got[1]) and not any(np.array_equal(got[0], other) for other in got[2:])


@probe("test-dropout", holds(anew))
def repeats_with_its_generator(tinytorch, rng):
    x, seed = numbers(tinytorch, rng, (30, 20)), int(rng.integers(1 << 30))
    return [tinytorch.dropout(x, p=0.5, generator=generator) for generator in (stream(seed), stream(seed), stream(seed + 1), None)]


@probe("test-dropout", exact)
def the_ends_of_p(tinytorch, rng):
    x = [numbers(tinytorch, rng, shape, kind) for shape in ((), (1,), (3, 2), (0,)) for kind in KINDS] + [tinytorch.Tensor([1, 2])]
    wrong = [-1e-9, 1 + 1e-9, -1, 2, float("nan"), float("inf")]
    ends = [tinytorch.dropout(t, p=p).numpy() + 0.0 for t in x for p in (0, 0.0, 1, 1.0)]       # + 0.0: no matter whether 0 or -0
    return [ends, x, [raised(lambda: tinytorch.dropout(x[0], p=p)) for p in wrong]]


@probe("test-train", exact)
def switched_everywhere(tinytorch, rng):
    net = tree(tinytorch, rng, 3)
    flags = lambda: [module.training for module in net.modules()]
    back = [net.eval(), net.train(), net.train(False), net.train(True), net.train(mode=False)]
    found = [[module is net for module in back], flags()]
    for call in (net.train, net.eval, net.modules()[-1].train, net.modules()[-1].eval):
        call()
        found.append(flags())
    return [*found, tinytorch.Module().training]


@probe("test-train", exact)
def off_in_evaluation(tinytorch, rng):
    layers = [tinytorch.Dropout(p) for p in (0.0, float(rng.uniform(0, 1)), 1, 1.0)]
    x = [numbers(tinytorch, rng, shape, kind) for shape in ((), (5,), (0, 2), (2, 3, 2)) for kind in KINDS]
    return [[layer.eval()(t) for layer in layers for t in x], x, [layers[i].train()(t).numpy() + 0.0 for i in (0, 2, 3) for t in x],
            [raised(lambda: tinytorch.Dropout(p)) for p in (-0.1, 1.1, float("nan"))]]


@probe("test-train", holds(thrown))
def on_in_training(tinytorch, rng):
    found = []
    for p, shape in [(0.5, (200, 60)), (float(rng.uniform(0.1, 0.9)), (9000,))]:
        x, layer = rng.uniform(0.5, 2, size=shape).astype("float32"), tinytorch.Dropout(p, stream(int(rng.integers(1 << 30))))
        y = layer.eval().train()(tinytorch.Tensor(x)).numpy()
        found.append([y, y != 0, x, p])
    return found


@probe("test-train", holds(anew))
def the_layers_generator(tinytorch, rng):
    seed, x = int(rng.integers(1 << 30)), numbers(tinytorch, rng, (40, 5))
    first, again = (tinytorch.Dropout(0.5, generator=stream(seed)) for _ in range(2))
    return [first(x), again(x), first(x)]


# ---- 7, one after the other

def steps(tinytorch, rng, count):
    """Plain functions, activations and layers on five numbers, in a random order."""
    kinds = [lambda: lambda x: x + 1.5, lambda: lambda x: x * -2.0, tinytorch.ReLU, lambda: tinytorch.Linear(5, 5, generator=stream(count)),
             tinytorch.Identity, lambda: tinytorch.Sequential(tinytorch.Linear(5, 5, False, stream(3)), lambda x: x - 0.5)]
    return [kinds[int(i)]() for i in rng.integers(0, len(kinds), count)]


@probe("test-sequential")
def layers_in_a_row(tinytorch, rng):
    x, found = numbers(tinytorch, rng, (3, 5)), []
    for count in (0, 1, 2, 5, 12):
        layers = steps(tinytorch, rng, count)
        model = tinytorch.Sequential(*layers)
        found += [model(x), len(model), [name for name, _ in model.named_parameters()], [layer is ours for layer, ours in zip(model, layers)],
                  [layers.index(model[i]) for i in range(-count, count)], [raised(lambda: model[i]) for i in (count, -count - 1)]]
    return [*found, x]


@probe("test-sequential")
def slices(tinytorch, rng):
    layers, x = steps(tinytorch, rng, 7), numbers(tinytorch, rng, 5)
    model, low = tinytorch.Sequential(*layers), int(rng.integers(1, 6))
    cut = [model[at] for at in (slice(low), slice(low, None), slice(None, None, 2), slice(None, None, -1), slice(-low, None), slice(9, None))]
    return [[[type(part).__name__, len(part), [layers.index(layer) for layer in part], part(x)] for part in cut], len(model), list(vars(model))]


@probe("test-sequential")
def longer(tinytorch, rng):
    model, x, found = tinytorch.Sequential(), numbers(tinytorch, rng, (2, 5)), []
    for layer in steps(tinytorch, rng, 12):
        found += [model.append(layer) is model, len(model), model(x)]
    wrong = [[layer], (layer, layer), None, 3, "ReLU", tinytorch.Tensor([1.0]), {}]
    return [*found, [raised(lambda: model.append(one)) for one in wrong], [raised(lambda: tinytorch.Sequential(one)) for one in wrong], len(model)]


@probe("test-module")
def a_network_for_digits(tinytorch, rng):
    hidden, share = int(rng.integers(2, 40)), float(rng.uniform(0.1, 0.9))
    build = lambda seed: tinytorch.Sequential(
        tinytorch.Flatten(), tinytorch.Linear(12, hidden, generator=stream(seed)), tinytorch.ReLU(), tinytorch.Dropout(share),
        tinytorch.Sequential(tinytorch.Identity(), tinytorch.Linear(hidden, 3, bias=False, generator=stream(seed + 1))))
    model, other, x = build(1), build(5), numbers(tinytorch, rng, (4, 3, 4))
    before, state = other.eval()(x), model.state_dict()
    twin = copy.deepcopy(model.eval())
    other.load_state_dict(state)
    return [repr(model), state, before, other(x), twin(x), model(x), [m.training for m in twin.modules()], [p.shape for p in twin.parameters()]]
