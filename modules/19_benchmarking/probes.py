"""Inputs and calls for the judge: never an expected value.  The reference's answers to the same calls are the expectation."""

import itertools

import numpy as np

from tito.check.probing import close, exact, numbers, probe, raised


class Clock:
    """A clock that only work moves."""

    def __init__(self):
        self.now = 5.0

    def __call__(self):
        return self.now

    def work(self, seconds, result=None):
        self.now += seconds
        return result


def times(rng, n):
    """Seconds with a long tail."""
    return np.exp(rng.normal(size=n) / 3)


@probe("test-bootstrap", close(1e-12))
def intervals(tinytorch, rng):
    answers = []
    for n in (1, 2, 5, 12):
        for statistic in (np.median, np.mean, np.max):
            x, seed, confidence = times(rng, n), int(rng.integers(1 << 30)), float(rng.uniform(0.5, 0.99))
            answers += [list(tinytorch.bootstrap_interval(x, statistic, confidence, np.random.default_rng(seed))), x]
            answers.append(list(tinytorch.bootstrap_interval(x.tolist(), statistic, generator=np.random.default_rng(seed), resamples=50)))
    tinytorch.manual_seed(int(rng.integers(1 << 30)))
    answers += [f"{bound!r} {type(bound).__name__}" for bound in tinytorch.bootstrap_interval(x)]
    return [*answers, *(raised(lambda: tinytorch.bootstrap_interval(bad)) for bad in ([], [[1.0]], [np.nan])), raised(
        lambda: tinytorch.bootstrap_interval(x, confidence=95))]


@probe("test-effect-size", close(1e-12))
def effects(tinytorch, rng):
    answers = []
    for n, m in ((1, 1), (3, 3), (7, 4), (2, 30)):
        a, b = times(rng, n), times(rng, m)
        answers += [tinytorch.effect_size(a, b), tinytorch.effect_size(b.tolist(), a), tinytorch.effect_size(a.round(), b.round()), a, b]
    return [*answers, type(tinytorch.effect_size(a, b)).__name__, raised(lambda: tinytorch.effect_size([], a))]


@probe("test-noise", close(1e-12))
def noises(tinytorch, rng):
    answers = []
    for n in (1, 2, 3, 4, 9, 40):
        t, calm = times(rng, n), 1 + rng.normal(size=n) / 100
        lifted = calm.copy()
        lifted[n // 2:] *= rng.choice([0.9, 1.1])
        answers += [tinytorch.noise_of(np.concatenate([calm.round(), level * calm.round()]))["quiet"] for level in (0.97, 0.985, 1.03)]
        answers += [tinytorch.noise_of(given) for given in (t, calm, lifted, calm[::-1], np.append(calm, [9.0] * int(rng.integers(4))))] + [t]
    return answers


@probe("test-benchmark-run", close(1e-9))
def races(tinytorch, rng):
    answers = []
    for warmup, rounds in ((0, 1), (2, 3), (1, 5)):
        clock, asked = Clock(), []
        cost = {name: itertools.cycle(times(rng, 7).tolist()) for name in ("first", "second", "third")}
        calls = {name: lambda name=name: asked.append(name) or clock.work(next(cost[name]), 1.0) for name in cost}
        for agree in (None, 1e-3):
            race = tinytorch.Benchmark(calls, warmup=warmup, rounds=rounds, agree=agree, clock=clock)
            answers += [{name: [r.samples, r.unit, r.name] for name, r in race.run().items()}, list(race.results), list(asked)]
    x, ones = np.append(numbers(rng, 3) * 100, 0.0), np.full(3, float(rng.uniform(1, 2)))
    pairs = [(x, other) for other in (x, x + 0.5, x * 1.005, x[:, None], x + 0.005, x + 1e-9, np.zeros(4))]
    for x, other in (*pairs, (ones, ones[:, None]), (ones, ones[:1]), (ones[:1], ones)):
        asked = []
        three = {"first": lambda: x, "second": lambda: asked.append(1) or other, "third": lambda: asked.append(2) or x.copy()}
        for agree in (None, 1e-2, 0):
            answers += [raised(tinytorch.Benchmark(three, agree=agree, warmup=1, rounds=2).run), list(asked)]
    layer = tinytorch.Sequential(tinytorch.Linear(3, 2), tinytorch.Dropout(0.5))
    return [*answers, list(tinytorch.Benchmark({"a": layer, "b": layer}, x=tinytorch.ones(4, 3), agree=1e-6, rounds=2).run()), layer.training]


@probe("test-break-even", close(1e-9))
def crossings(tinytorch, rng):
    answers = []
    for n in (1, 2, 3, 8):
        for _ in range(12):
            xs, a, saved = np.cumsum(rng.uniform(0.5, 3, n)), rng.uniform(5, 9, n), rng.normal(size=n)
            for kept in (saved, saved.round(), abs(saved) + 0.1, np.append(saved[:-1], 1.0)):
                answers.append(tinytorch.break_even(xs, a, a - kept))
    return [*answers, xs, raised(lambda: tinytorch.break_even([2, 1], [1, 1], [1, 1])), raised(lambda: tinytorch.break_even([1], [1, 1], [1, 1]))]


@probe("test-pareto", exact)
def frontiers(tinytorch, rng):
    answers = []
    for n, d in ((1, 1), (5, 1), (6, 2), (30, 2), (12, 3)):
        for points in (rng.normal(size=(n, d)), rng.integers(0, 4, (n, d)), np.ones((n, d))):
            answers += [tinytorch.pareto_frontier(points), tinytorch.pareto_frontier(points.tolist(), higher=(d - 1,)), points]
    return [*answers, raised(lambda: tinytorch.pareto_frontier([1.0])), raised(lambda: tinytorch.pareto_frontier([[np.nan, 1.0]]))]


@probe("test-percentiles", close(1e-12))
def ranks(tinytorch, rng):
    answers = []
    for n in (1, 2, 3, 10, 11, 100, 101):
        x = times(rng, n)
        answers += [tinytorch.percentiles(x), tinytorch.percentiles(x.tolist(), (1, 25, 50, 75, 95, 100)), x]
    return [*answers, type(tinytorch.percentiles(x)["p50"]).__name__, raised(lambda: tinytorch.percentiles([]))]


@probe("test-time-to-quality", close(1e-9))
def learning(tinytorch, rng):
    answers = []
    for higher in (True, False):
        for most in (1, 3, 9):
            clock, asked = Clock(), []
            found = (rng.permutation(9) / 8).tolist()
            for target in (found[4], 0.5, 2.0, -2.0):
                costs, levels = iter(times(rng, 12).tolist()), iter(found * 2)
                answers.append(tinytorch.time_to_quality(
                    lambda: asked.append("step") or clock.work(next(costs)), lambda: asked.append("ask") or clock.work(7.0, next(levels)),
                    target, most=most, higher=higher, clock=clock))
            answers.append(list(asked))
    return answers


class Task:
    """A task whose queries take as long as they are large."""

    name, target = "probe", 0.7

    def __init__(self, rng, clock, higher):
        self.queries, self.clock, self.higher, self.asked = times(rng, 30)[:, None], clock, higher, []

    def answer(self, model, queries):
        self.asked.append(np.array(queries))
        return self.clock.work(float(queries.sum()) + 0.1 * (len(self.asked) == 2), np.asarray(model(queries)))

    def quality(self, model, answers):
        return float(np.mean(np.isclose(answers, 2 * self.queries)))


@probe("test-mlperf-run", close(1e-9))
def competitions(tinytorch, rng):
    class Model(tinytorch.Module):
        def __init__(self, alone, together):
            self.alone, self.together = tinytorch.Parameter([alone]), together

        def forward(self, x):
            asked.append(self.training)
            return x * (float(self.alone.data[0]) if len(x) == 1 else self.together)

    answers = []
    for alone, together in ((2.0, 2.0), (2.0, 3.0), (3.0, 2.0), (3.0, 3.0)):
        for higher, warmup in ((True, 0), (False, 4)):
            clock, asked = Clock(), []
            task, model = Task(rng, clock, higher), Model(alone, together)
            perf = tinytorch.TinyMLPerf(warmup, int(rng.integers(1, 4)), int(rng.integers(99)), clock)
            answers += [perf.run(task, model), list(task.asked), list(asked), model.training]
    return answers


@probe("test-module", exact)
def forged(tinytorch, rng):
    images, labels = numbers(rng, 90, 1, 8, 8, dtype="float32"), rng.integers(0, 10, 90)
    task, perf = tinytorch.DigitsTask(images, labels, 30), tinytorch.TinyMLPerf()
    layer = tinytorch.Sequential(tinytorch.Flatten(), tinytorch.Linear(64, 10))
    layer[1].weight.data, layer[1].bias.data = numbers(rng, 64, 10, dtype="float32"), numbers(rng, 10, dtype="float32")
    claim = perf.run(task, layer)
    told = [claim[name] for name in ("task", "target", "queries", "valid", "bytes")]
    others = ({}, {"bytes": 1}, {"sha256": ""}, {"valid": not claim["valid"]}, {"queries": 7, "task": "writing"}, {"per_second": -1.0},
              {"latency_ms": {}})
    return [*told, *([line.split()[0] for line in perf.audit(task, layer, claim | other, tolerance=1e6)] for other in others)]
