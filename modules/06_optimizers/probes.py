"""Inputs and calls for the judge: never an expected value.  The reference's answers to the same calls are the expectation."""

import numpy as np

from tito.check.probing import close, exact, probe, raised

SHAPES = [(), (1,), (5,), (4, 3), (2, 3, 4), (200, 170), (0, 3)]
DTYPES = ["float32", "float64"]


def tensor(tinytorch, array):
    """A Tensor with the dtype of the array, to be optimized."""
    return tinytorch.Tensor(array, requires_grad=True, dtype=array.dtype)


def numbers(rng, shape, dtype="float32", scale=1.0):
    """Random numbers as an array, also where the shape is ()."""
    return np.asarray(rng.normal(size=shape) * scale, dtype)


def few(array):
    """A copy; of a large one its first and last numbers and some between: all of it would be megabytes."""
    flat = np.ravel(array)
    return np.array(array) if flat.size < 100 else np.concatenate([flat[:2], flat[::397], flat[-2:]])


def path(tinytorch, rng, make, steps=6, shapes=SHAPES, dtypes=DTYPES):
    """Where the parameters of an optimizer go under random slopes; some have none; then its state, and what it was given."""
    answers = []
    for dtype in dtypes:
        params = [tensor(tinytorch, numbers(rng, shape, dtype)) for shape in shapes]
        arrays, optimizer = [p.data for p in params], make(params)
        for _ in range(steps):
            slopes = [numbers(rng, p.shape, dtype, 10 ** rng.uniform(-2, 2)) for p in params]
            for p, g in zip(params, slopes):
                p.grad = None if rng.random() < 0.2 else tensor(tinytorch, g)
            optimizer.step()
            answers.append([few(p.data) for p in params])
            answers.append([None if p.grad is None else few(p.grad.data) for p in params])
        answers.append([p.data is a for p, a in zip(params, arrays)])
        answers.append([{k: few(x) if isinstance(x, np.ndarray) else x for k, x in sorted(optimizer.state.get(p, {}).items())} for p in params])
        answers.append([{k: v for k, v in group.items() if k != "params"} for group in optimizer.param_groups])
    return answers


def chosen(rng, **choices):
    """One of each."""
    return {name: values[rng.integers(len(values))] for name, values in choices.items()}


# ---- groups and blocks --------------------------------------------------------------------------

@probe("test-add-group", exact)
def groups(tinytorch, rng):
    params = [tensor(tinytorch, numbers(rng, (2,))) for _ in range(5)]
    twins = [tensor(tinytorch, np.ones(2, "float32")) for _ in range(3)]
    defaults, lr = {"lr": float(rng.uniform()), "momentum": 0.5, "weight_decay": 0.0}, float(rng.uniform())
    given = [{"params": params[:2], "lr": lr}, {"params": params[2]}, {"params": (p for p in params[3:4]), "name": "last", "momentum": 0.25}]
    optimizer = tinytorch.Optimizer(given, defaults)
    optimizer.add_param_group({"params": [params[4]], "weight_decay": lr})
    optimizer.param_groups[0]["momentum"] = 0.75
    number = {id(p): i for i, p in enumerate(params)}
    seen = [{k: [number[id(p)] for p in v] if k == "params" else v for k, v in sorted(group.items())} for group in optimizer.param_groups]
    alone = tinytorch.Optimizer(twins, defaults)
    return [seen, sorted(defaults.items()), [sorted(k for k in group) for group in given[:2]], len(given[0]["params"]),
            len(alone.param_groups[0]["params"]), type(optimizer.param_groups[2]["params"]).__name__]


@probe("test-add-group", exact)
def refused_groups(tinytorch, rng):
    a, b, c = (tensor(tinytorch, np.ones(2, "float32")) for _ in range(3))
    wrong = [[a, b], [{"params": [a]}, {"params": [b]}], [{"params": [a]}, {"params": [b]}, {"params": [c, a]}], [{"params": a}, {"params": a}],
             [{"params": [a]}, {"params": [b, b * 1.0]}], [{"params": [a, 3.0]}],
             [{"params": [a], "lr": -float(rng.uniform())}], [], a, [{"params": {a}}]]
    return [raised(lambda: tinytorch.Optimizer(params, {"lr": 0.1, "momentum": 0.0})) for params in wrong]


@probe("test-blocks", exact)
def pieces(tinytorch, rng):
    answers = []
    for shape in [*SHAPES, (40_000,), (32_768,), (32_769,), (70_000,), (300, 128), (3, 20_000), (2, 20_000, 1)]:
        for dtype in DTYPES:
            for decay in (0.0, float(rng.uniform())):
                p, g, m, v = (numbers(rng, shape, dtype) for _ in range(4))
                for block in tinytorch.blocks(p, g, m, v, decay=decay):
                    answers.append([[x.shape, str(x.dtype)] for x in block] + [few(x) for x in block[:-1]])
                answers += [few(x) for x in (p, g, m, v)]
    return answers


@probe("test-blocks", exact)
def written(tinytorch, rng):
    answers = []
    for shape in [*SHAPES, (40_000,), (300, 128)]:
        for order in "CF":
            p, g, m = (np.asarray(numbers(rng, shape), order=order) for _ in range(3))
            for bp, bg, bm, u in tinytorch.blocks(p, g, m, decay=0.5):
                u[...] = bg
                u *= 2.0
                bp -= u
                bm += bg
            answers += [few(p), few(g), few(m)]
    strided = numbers(rng, (60, 80))
    for bp, bg, _ in tinytorch.blocks(strided[:, ::2], numbers(rng, (60, 40))):
        bp += bg
    return [*answers, strided]


@probe("test-blocks", exact)
def scratch(tinytorch, rng):
    p, g = numbers(rng, (50_000,)), numbers(rng, (50_000,))
    return [sorted(len(block) for block in tinytorch.blocks(p, g)), [len({block[-1].ctypes.data for block in tinytorch.blocks(p, g, p)})],
            [np.shares_memory(block[-1], block[1]) for block in tinytorch.blocks(p, g, decay=0.5)]]


# ---- the methods --------------------------------------------------------------------------------

@probe("test-sgd", close(2e-5))
def velocities(tinytorch, rng):
    some = lambda: float(rng.uniform(0.1, 0.9))
    settings = [dict(), dict(lr=0.1), dict(lr=0.1, momentum=0.9), dict(lr=0.1, momentum=0.5, nesterov=True),
                dict(lr=0.1, momentum=0.5, dampening=0.25), dict(lr=0.1, weight_decay=0.1),
                dict(lr=0.1, momentum=some(), weight_decay=0.2, nesterov=True),
                dict(lr=0.1, momentum=some(), weight_decay=0.2, dampening=some())]
    return [path(tinytorch, rng, lambda p: tinytorch.SGD(p, **s)) for s in settings]


@probe("test-adagrad", close(2e-5))
def sums(tinytorch, rng):
    settings = [dict(), dict(lr=0.1, lr_decay=0.5), dict(lr=0.1, initial_accumulator_value=float(rng.uniform())),
                dict(lr=0.1, weight_decay=0.3, eps=0.5)]
    return [path(tinytorch, rng, lambda p: tinytorch.Adagrad(p, **s)) for s in settings]


@probe("test-rmsprop", close(2e-5))
def averages(tinytorch, rng):
    settings = [dict(), dict(lr=0.1, alpha=0.5), dict(lr=0.1, alpha=float(rng.uniform(0.2, 0.9)), momentum=float(rng.uniform(0.2, 0.9))),
                dict(lr=0.1, weight_decay=0.3, eps=0.5), dict(lr=0.1, weight_decay=0.3, momentum=0.5)]
    return [path(tinytorch, rng, lambda p: tinytorch.RMSprop(p, **s)) for s in settings]


@probe("test-adam", close(2e-5))
def corrected(tinytorch, rng):
    betas = float(rng.uniform(0.2, 0.9)), float(rng.uniform(0.5, 0.99))
    settings = [dict(), dict(lr=0.1, betas=(0.5, 0.75)), dict(lr=0.1, betas=betas, eps=0.5), dict(lr=0.1, weight_decay=0.3),
                dict(lr=0.1, betas=(0.0, 0.9))]
    return [path(tinytorch, rng, lambda p: tinytorch.Adam(p, **s)) for s in settings]


@probe("test-adam", close(2e-5))
def a_long_walk(tinytorch, rng):
    return path(tinytorch, rng, lambda p: tinytorch.Adam(p, lr=0.01), steps=60, shapes=[(3,)])


@probe("test-adamw", close(2e-5))
def shrunk(tinytorch, rng):
    settings = [dict(), dict(lr=0.1, weight_decay=0.5), dict(lr=0.1, weight_decay=0.0),
                dict(lr=float(rng.uniform()), betas=(0.5, 0.75), eps=0.1, weight_decay=0.2)]
    return [path(tinytorch, rng, lambda p: tinytorch.AdamW(p, **s)) for s in settings]


# ---- saved and restored -------------------------------------------------------------------------

def stopped(tinytorch, rng, name, settings):
    """A training that is saved, goes on, is restored in another optimizer, and goes on from there."""
    shapes = [(3,), (), (2, 2), (4,)]
    params, others = ([tensor(tinytorch, numbers(rng, shape, dtype)) for shape, dtype in zip(shapes, DTYPES * 2)] for _ in range(2))
    make = lambda ps, **s: getattr(tinytorch, name)([{"params": ps[:3]}, {"params": ps[3:], "lr": 0.3}], **s)
    optimizer, fresh = make(params, **settings), make(others, lr=0.7)

    def go(optimizer, params, steps=3):
        for _ in range(steps):
            for p in params[1:]:
                p.grad = tensor(tinytorch, numbers(rng, p.shape, p.dtype))
            optimizer.step()
    go(optimizer, params)
    saved = optimizer.state_dict()
    before = {i: {k: np.array(x) for k, x in entries.items()} for i, entries in saved["state"].items()}
    go(optimizer, params)
    fresh.load_state_dict(saved)
    kept = [[type(x).__name__ for _, x in sorted(fresh.state.get(p, {}).items())] for p in others]
    go(fresh, others)
    return [sorted(saved), before, saved["param_groups"], saved["state"], kept, [p.data for p in others],
            [[p is q for p, q in zip(group["params"], ps)] for group, ps in zip(fresh.param_groups, (others[:3], others[3:]))],
            [{k: v for k, v in group.items() if k != "params"} for group in fresh.param_groups],
            [sorted(group) for group in optimizer.param_groups], [len(optimizer.param_groups[0]["params"])]]


@probe("test-state", close(2e-5))
def stops(tinytorch, rng):
    return [stopped(tinytorch, rng, name, s) for name, s in [
        ("SGD", {"lr": 0.1}), ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.5}), ("Adam", {"lr": 0.1, "betas": (0.5, 0.9)}),
        ("AdamW", {"lr": 0.1}), ("RMSprop", {"lr": 0.1, "momentum": 0.5}), ("Adagrad", {"lr": 0.1, "lr_decay": 0.5})]]


@probe("test-state", exact)
def odd_states(tinytorch, rng):
    def adam():
        p = tensor(tinytorch, np.ones(2, "float32"))
        return p, tinytorch.Adam([p])
    (p, optimizer), (_, other) = adam(), adam()
    groups = other.state_dict()["param_groups"]
    state = {"step": np.float64(3), "exp_avg": [0.5, 1.0], "exp_avg_sq": np.ones(2), "nothing": None}
    optimizer.load_state_dict({"state": {0: state}, "param_groups": groups})
    loaded = {k: [str(getattr(x, "dtype", type(x).__name__)), x] for k, x in sorted(optimizer.state[p].items())}
    wrong = [{"state": {}, "param_groups": []}, {"state": {0: {"exp_avg": np.ones(3)}}, "param_groups": groups},
             {"state": {}, "param_groups": [{**groups[0], "maximize": True}]}, {"state": {}, "param_groups": [{"params": [0], "lr": 0.1}]}]
    empty = {"state": {}, "param_groups": [{**groups[0], "lr": 0.5, "initial_lr": 0.75}]}
    refused = [raised(lambda: optimizer.load_state_dict(state)) for state in wrong]
    optimizer.load_state_dict(empty)
    group = optimizer.param_groups[0]
    return [loaded, refused, group["lr"], group["initial_lr"], sorted(empty["param_groups"][0]), len(optimizer.state)]


# ---- schedules ----------------------------------------------------------------------------------

def rates(tinytorch, make, steps, metrics=None):
    """The rates of two groups under some schedulers."""
    one, two = (tensor(tinytorch, np.ones(1, "float32")) for _ in range(2))
    optimizer = tinytorch.SGD([{"params": [one]}, {"params": [two], "lr": 0.05}], lr=0.4)
    schedulers, seen = make(optimizer), []
    for t in range(steps):
        seen += [group["lr"] for group in optimizer.param_groups]
        for scheduler in schedulers:
            scheduler.step(*[] if metrics is None else [metrics[t]])
            seen += scheduler.get_last_lr()
    return np.array(seen)


@probe("test-schedules", close(1e-9))
def schedules(tinytorch, rng):
    n, share, low = int(rng.integers(2, 9)), float(rng.uniform(0.1, 0.9)), float(rng.uniform(0.001, 0.04))
    steep, decay = lambda o: tinytorch.StepLR(o, n, share), lambda o: tinytorch.ExponentialLR(o, share ** 0.1)
    warm, wave = lambda o: tinytorch.LinearWarmup(o, n, share), lambda o: tinytorch.CosineAnnealingLR(o, n, low)
    plain = lambda o: tinytorch.CosineAnnealingLR(o, n)
    chains = [[steep], [decay], [warm], [wave], [plain], [lambda o: tinytorch.StepLR(o, 1)], [lambda o: tinytorch.StepLR(o, 3)],
              [tinytorch.LinearWarmup], [lambda o: tinytorch.LinearWarmup(o, 1, 1.0)],
              [steep, decay], [warm, wave], [wave, steep], [warm, warm], [plain, decay, warm]]
    return [rates(tinytorch, lambda o: [make(o) for make in chain], 30) for chain in chains]


@probe("test-plateau", close(1e-9))
def plateaus(tinytorch, rng):
    answers = []
    for mode in ("min", "max"):
        for settings in [dict(), dict(patience=0), dict(patience=2, cooldown=3), dict(patience=1, threshold=0.3),
                         dict(patience=1, threshold=0.3, threshold_mode="abs"), dict(patience=0, cooldown=1, min_lr=0.03, factor=0.7),
                         dict(patience=1, min_lr=[0.2, 0.01], factor=0.5)]:
            metrics = rng.normal(size=60).cumsum() * rng.choice([-1, 1]) + rng.integers(0, 3, size=60)
            kept = []
            def make(optimizer):
                kept.append(tinytorch.ReduceLROnPlateau(optimizer, mode, **settings))
                return kept
            answers.append(rates(tinytorch, make, 60, metrics))
            answers.append([kept[0].best, kept[0].num_bad_epochs, kept[0].cooldown_counter, kept[0].last_epoch])
    return answers


# ---- everything ---------------------------------------------------------------------------------

@probe("test-module", close(1e-3))
def a_network(tinytorch, rng):
    x, y = tinytorch.Tensor(numbers(rng, (20, 4))), tinytorch.Tensor(numbers(rng, (20, 2)))
    starts, answers = [numbers(rng, shape) for shape in ((4, 8), (8,), (8, 2))], []
    for make in (lambda p: tinytorch.SGD(p, lr=0.05, momentum=0.9), lambda p: tinytorch.Adagrad(p, lr=0.1), lambda p: tinytorch.RMSprop(p, lr=0.01),
                 lambda p: tinytorch.Adam(p, lr=0.01), lambda p: tinytorch.AdamW([{"params": p[:1], "lr": 0.05}, {"params": p[1:]}], lr=0.01)):
        params = [tensor(tinytorch, start.copy()) for start in starts]
        optimizer = make(params)
        scheduler = tinytorch.CosineAnnealingLR(optimizer, 12)
        for _ in range(10):
            optimizer.zero_grad()
            difference = tinytorch.sigmoid(x @ params[0] + params[1]) @ params[2] - y
            loss = (difference * difference).mean()
            loss.backward()
            optimizer.step()
            answers.append(loss)
            scheduler.step()
    return answers


@probe("test-module", exact)
def gradients_forgotten(tinytorch, rng):
    answers = []
    for settings in ({}, {"set_to_none": False}):
        params = [tensor(tinytorch, numbers(rng, (3,), dtype)) for dtype in DTYPES]
        params[0].grad = tensor(tinytorch, numbers(rng, (3,)))
        tinytorch.SGD(params).zero_grad(**settings)
        answers += [p.grad for p in params]
    return answers
