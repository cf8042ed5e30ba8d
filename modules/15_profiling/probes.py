"""Inputs and calls for the judge: never an expected value.  The reference's answers to the same calls are the expectation."""

import numpy as np

from tito.check.probing import close, exact, probe, raised


class Watch:
    """A clock that goes on when something is done, and never by itself."""

    def __init__(self, begin):
        self.time = begin

    def __call__(self):
        return self.time

    def work(self, seconds, answer=None):
        self.time += seconds
        return answer


@probe("test-compare", close(1e-9))
def timed_in_turns(tinytorch, rng):
    answers = []
    for names, warmup, rounds in (("ab", 2, 3), ("xyz", 0, 4), ("a", 3, 1), ("abcd", 1, 2)):
        clock, seen = Watch(float(rng.uniform(0, 100))), []

        def call(name, clock=clock, seen=seen):
            return lambda: seen.append(name) or clock.work(float(rng.uniform(1, 9)))
        got = tinytorch.compare({name: call(name) for name in names}, warmup, rounds, clock)
        answers += [seen, {name: [t.times, t.median, t.low, t.high] for name, t in got.items()}, clock.time]
        got = tinytorch.measure(call("alone"), warmup, rounds, clock)
        answers += [got.times, len(seen)]
    defaults = tinytorch.compare({"one": lambda: seen.append("one")})
    return [*answers, seen.count("one"), len(defaults["one"].times)]


@probe("test-peak-memory", close(0.05))
def highest_moments(tinytorch, rng):
    x, answers = rng.normal(size=int(rng.integers(60_000, 90_000))), []
    for call in (lambda: np.add(x * 2.0, x * 3.0), lambda: [x + k for k in range(5)], lambda: sum((x * k).sum() for k in range(5)), lambda: x[::2]):
        answers.append(round(tinytorch.peak_memory(call) / x.nbytes, 2))

    def inside():
        held = [np.ones(x.size * 5), x * 2.0][1]
        answers.append(round(tinytorch.peak_memory(lambda: np.multiply(held, held + 1.0)) / x.nbytes, 2))
    tinytorch.peak_memory(inside)
    return [*answers, len(answers), raised(lambda: tinytorch.peak_memory(lambda: 1 / 0)), round(tinytorch.peak_memory(lambda: x * x) / x.nbytes, 2)]


@probe("test-work-of", exact)
def costs(tinytorch, rng):
    answers = []
    for _ in range(3):
        n, k, m, b = (int(size) for size in rng.integers(1, 9, 4))
        x, w, many = np.ones((n, k)), np.ones((k, m)), np.ones((b, n, k))
        for ufunc, inputs in ((np.add, (x, 2.0)), (np.multiply, (many, x)), (np.exp, (many,)), (np.maximum, (x, x[0])), (np.negative, (3.0,)),
                              (np.matmul, (x, w)), (np.matmul, (many, w)), (np.matmul, (x, np.ones(k))), (np.matmul, (np.ones(k), w)),
                              (np.matmul, (np.ones(k), np.ones(k))), (np.greater, (x, 0.5))):
            answers.append(int(tinytorch.work_of(ufunc, "__call__", list(inputs), ufunc(*inputs))))
        for ufunc, axis in ((np.add, 0), (np.add, None), (np.maximum, 1), (np.multiply, -1)):
            if axis is not None or ufunc is np.add:
                answers.append(int(tinytorch.work_of(ufunc, "reduce", [many], ufunc.reduce(many, axis=axis))))
        counted = tinytorch.count_work(lambda a, c: np.tanh(a @ c).sum(axis=0) / 2.0, x, w)[1]
        answers.append({name: int(count) for name, count in counted.items()})
    return answers


@probe("test-formulas", exact)
def by_shapes(tinytorch, rng):
    answers = []
    for _ in range(4):
        b, n, k, m, g = (int(size) for size in rng.integers(1, 7, 5))
        for front in ((b, n), (n,), ()):
            for bias in ([], [np.ones(m)]):
                answers.append(int(tinytorch.linear_flops([np.ones((*front, k)), np.ones((k, m)), *bias], np.ones((*front, m)))))
        filters, made = np.ones((m * g, k, 3, b)), np.ones((n, m * g, 4, 5))
        answers.append(int(tinytorch.convolve_flops([np.ones((n, k * g, 9, 9)), filters, None], made)))
        answers += [int(tinytorch.attention_flops(b * n * m, k)), int(tinytorch.attention_flops(b, g * 16))]
    x, w = tinytorch.Tensor(rng.normal(size=(2, 3, 9, 9))), tinytorch.Tensor(rng.normal(size=(6, 3, 2, 2)))
    with tinytorch.profile() as p:
        tinytorch.nn.functional.conv2d(x, w, stride=2)
        tinytorch.linear(x, tinytorch.Tensor(rng.normal(size=(9, 4))))
        tinytorch.causal_attention(tinytorch.Tensor(rng.normal(size=(2, 5, 24))), num_heads=2)
    return [*answers, {row["name"]: int(row["flops"]) for row in sorted(p.rows(), key=lambda row: row["name"])}]


@probe("test-timed", close(1e-9))
def boxes(tinytorch, rng):
    clock, answers = Watch(float(rng.uniform(0, 50))), []
    p = tinytorch.Profile(clock)
    outer = p.root.part("outer", "forward", "op")
    inner, other = (outer.part(name, "forward", "op") for name in ("inner", "other"))

    def inside():
        clock.work(float(rng.uniform(1, 5)))
        answers.append([frame.name for frame in p.open])
        with p.aside():
            clock.work(float(rng.uniform(1, 5)))
        for frame in (inner, other, inner):
            answers.append(p.timed(frame, lambda: clock.work(float(rng.uniform(1, 5)), len(p.open))))
        return clock.work(float(rng.uniform(1, 5)), "result")

    def fails():
        clock.work(2.5)
        raise LookupError
    for call in (inside, inside, fails):
        answers.append(raised(lambda call=call: answers.append(p.timed(outer, call))))
        answers += [[frame.name for frame in p.open], *([f.seconds, f.calls, f.own] for f in (outer, inner, other))]
    return answers


def tree(tinytorch, rng, depth):
    """A box with random parts, whose seconds are more than theirs."""
    frame = tinytorch.Frame(f"box {depth}")
    for k in range(int(rng.integers(0, 4)) if depth else 0):
        part = tree(tinytorch, rng, depth - 1)
        part.name = f"{part.name} {k}"
        frame.parts[part.name, "forward", "op"] = part
        frame.seconds += part.seconds
    frame.seconds += float(rng.uniform(1, 9))
    return frame


@probe("test-layout", close(1e-9))
def places(tinytorch, rng):
    answers = []
    for depth in (0, 1, 2, 3, 3):
        root = tree(tinytorch, rng, depth)
        for begin in ((), (float(rng.uniform(1, 9)),), (2.0, 5)):
            got = tinytorch.layout(root, *begin)
            answers += [[frame.name for frame, *_ in got], [left for _, left, _ in got], [int(depth) for *_, depth in got]]
    return answers


@probe("test-count-flops", exact)
def of_one_sample(tinytorch, rng):
    n, m = (int(size) for size in rng.integers(4, 20, 2))
    count, answers = tinytorch.Profiler().count_flops, []
    models = [(tinytorch.Linear(n, m), (5, n)), (tinytorch.Linear(n, m), (n,)), (tinytorch.Linear(n, m), (3, 4, n)), (tinytorch.Identity(), (2, 3)),
              (tinytorch.Sequential(tinytorch.Linear(n, m), tinytorch.Dropout(0.3), tinytorch.ReLU()), (7, n)),
              (tinytorch.Sequential(tinytorch.Conv2d(2, 4, 3), tinytorch.BatchNorm2d(4), tinytorch.MaxPool2d(2)), (3, 2, 8, 8)),
              (tinytorch.GPT(9, 8, 2, 2, 12), (4, 7))]
    for model, shape in models:
        before = [module.training for module in model.modules()]
        answers += [int(count(model, shape)), [module.training for module in model.modules()] == before, raised(lambda: count(model, (*shape, 3)))]
        answers += [module.training for module in model.modules()]
    return answers


@probe("test-module", close(1e-9))
def a_step(tinytorch, rng):
    n, answers = int(rng.integers(4, 20)), []
    model = tinytorch.Sequential(tinytorch.Linear(n, 8), tinytorch.Tanh(), tinytorch.Linear(8, 2))
    x = tinytorch.Tensor(rng.normal(size=(5, n)))
    answers += [[row["name"], row["calls"], row["intensity"], row["limit"], row["bound"]]
                for row in sorted(tinytorch.roofline(model, x, 1, (1e9, 1e9)), key=lambda row: row["name"])]
    report = tinytorch.profile_backward_pass(model, x, lambda y: (y * y).mean(), rounds=1)
    answers += [report[key] for key in ("forward_flops", "backward_flops", "total_flops", "gradient_memory_mb", "optimizer_memory_estimates")]
    report = tinytorch.profile_forward_pass(model, x, rounds=1, peak=(1e9, 1e9))
    answers += [report[key] for key in ("parameters", "flops", "parameter_memory_mb")]
    with tinytorch.profile() as p:
        (model(x) ** 2).sum().backward()
    rows = sorted(p.rows(), key=lambda row: (row["phase"], row["name"]))
    answers += [[row[key] for key in ("name", "phase", "calls", "flops", "bytes")] for row in rows]
    return [*answers, [(frame.name, frame.kind, frame.calls) for frame, _ in p.root.walk()], p.flame_chart().count("<rect")]


@probe("test-module", exact)
def moved(tinytorch, rng):
    answers = []
    for dtype in ("float32", "float64"):
        x, w = np.ones((5, int(rng.integers(1, 30))), dtype), np.ones(5)
        for inputs, out in (([x, w, None, 2], x * 2), ([x], x.T), ([x, w], (x[1:], w * 2)), ([x], x.sum())):
            answers.append(int(tinytorch.bytes_of(inputs, out)))
    return answers
