# %% [markdown]
"""
# 19 Benchmarking

> A number, how sure it is, and from where on it stops being true.

You have made networks faster and smaller. How do you know? Time is the most treacherous quantity of this course. Here you build the instrument:
samples in place of a single number, races that are fair, and a competition whose rules measure what a submission only claims.
"""

# %% nbgrader={"grade": false, "grade_id": "start", "locked": true, "schema_version": 3, "solution": false, "task": false}
import tito.notebook     # where this fails, open the notebook with: tito module open 19
from tito.check import expect

tito.notebook.use(19)

# %%
#| default_exp benchmarking.benchmark
#| view benchmarking

# %% nbgrader={"grade": false, "grade_id": "imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
import hashlib
import html
import io
import json
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sized
from contextlib import ExitStack

import numpy as np

from tinytorch.core.autograd import SVG
from tinytorch.core.layers import Module, check_array, check_kind, check_number, check_whole
from tinytorch.core.tensor import Tensor, default_generator, float64
from tinytorch.core.training import replace_file
from tinytorch.data.loader import load_digits
from tinytorch.models.transformer import next_token_loss
from tinytorch.profiling.profiler import compare, evaluating, peak_memory, seconds_text
from tinytorch.text.tokenization import load_text

# %% nbgrader={"grade": false, "grade_id": "tools", "locked": true, "schema_version": 3, "solution": false, "task": false}
from pathlib import Path
from tempfile import TemporaryDirectory

from tinytorch.core.activations import ReLU
from tinytorch.core.layers import Flatten, Linear, Parameter, Sequential
from tinytorch.core.losses import cross_entropy
from tinytorch.core.optimizers import SGD, AdamW
from tinytorch.core.tensor import cat, manual_seed, randn
from tinytorch.core.training import Trainer
from tinytorch.data.loader import DataLoader, TensorDataset
from tinytorch.generation.kv_cache import enable_kv_cache
from tinytorch.models.transformer import GPT
from tinytorch.optimization.compression import CSR
from tinytorch.text.tokenization import BPETokenizer, CharTokenizer


class Clock:
    """A clock that is turned by hand: what a check expects must not depend on how fast your machine is."""
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now

    def work(self, seconds, result=None):
        """Let this time pass."""
        self.now += seconds
        return result

# %% [markdown]
"""
## 1 · The winner changes

Two runners, which are *the same function*. Each runs once, and the ratio of their times is the result; then the race again, thirty times. Below it
twenty copies of that function, each timed five times, by their means.
"""

# %% tags=["analysis"]
table = np.random.default_rng(0).random((200, 200)).astype("float32")

def work():
    return table @ table

def stopwatch(call):
    """Seconds of one call."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began

ratios = [stopwatch(work) / stopwatch(work) for _ in range(30)]
print(f"first / second: from {min(ratios):.2f} to {max(ratios):.2f}; the first one wins {sum(r < 1 for r in ratios)} of 30 races")
means = np.array([np.mean([stopwatch(work) for _ in range(5)]) for _ in range(20)])
print(f"the best of 20 copies needs {1 - means.min() / np.median(means):.0%} less than the one in the middle, and all are the same")

# %% [markdown]
"""
Who runs such a race once can prove anything, and who publishes the best of many always has a winner.

## 2 · A number and its doubt

A measurement is a handful of *samples*. Their median says what is usual: one sample that is far off hardly moves it. But another handful would
have another median. How far off may this one be?

```
  samples      · ··:·· ·   ·         ·   median 0.290     draw as many, with repetition,
  drawn again  ·  ··::·    ·             median 0.289     out of the samples themselves:
  drawn again    ··:·  ·   :             median 0.291     some come twice, some do not
  drawn again  : · :·· ·             ·   median 0.288     come at all
      …                                      …
  interval       [──┼─]                  the middle 95 % of all these medians
```

That is the *bootstrap* (Efron, 1979): the samples stand for everything that could have been measured. It assumes nothing about how they are spread,
which is good, because times are lopsided. Nothing is faster than the machine, but anything may be slower.

**Your turn.** `rows` is given: `resamples` rows of n places, each from 0 to n - 1. Draw the samples at these places, take `statistic(…, axis=1)` of
them, and of what comes out the two `np.quantile`s that leave half of the rest, `1 - confidence`, on either side.
"""

# %%
#| export
def as_samples(values):
    """Numbers as a row (n,) of float64.  ValueError where there is none, or one is not finite."""
    samples = check_array("samples", values=values).astype(float64)
    if samples.ndim != 1 or not samples.size or not np.isfinite(samples).all():
        raise ValueError(f"samples: a row of finite numbers wanted, at least one, not {samples.shape}")
    return samples

# %% nbgrader={"grade": false, "grade_id": "bootstrap", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def bootstrap_interval(samples, statistic=np.median, confidence=0.95, generator=None, resamples=1000):
    """Between which numbers the statistic lies, as far as these samples can say: (n,) -> (low, high).

    `statistic(rows, axis=1)` gives one number for each row.  ValueError for a confidence that is not between 0 and 1.

    >>> bootstrap_interval([3.0, 3.0, 3.0])
    (3.0, 3.0)
    """
    samples = as_samples(samples)
    check_number("bootstrap_interval", confidence=confidence)
    check_whole("bootstrap_interval", resamples=resamples)
    check_kind("bootstrap_interval", np.random.Generator, none=True, generator=generator)
    if not 0 < confidence < 1:
        raise ValueError(f"bootstrap_interval: a confidence between 0 and 1 wanted, such as 0.95, not {confidence}")
    rows = (generator or default_generator).integers(0, samples.size, (resamples, samples.size))
    ### BEGIN SOLUTION
    found = statistic(samples[rows], axis=1)                     # (resamples,)
    low, high = np.quantile(found, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-bootstrap", "locked": true, "points": 10, "schema_version": 3, "solution": false, "task": false}
def test_unit_bootstrap():
    """The interval holds the middle of what other draws would have given."""
    x = np.array([0.31, 0.29, 0.3, 0.45, 0.28, 0.33, 0.36, 0.9])
    new = np.random.default_rng
    drawn = x[new(3).integers(0, 8, (1000, 8))]
    means, medians = drawn.mean(1), np.median(drawn, axis=1)
    wide = tuple(float(q) for q in np.quantile(means, [0.05, 0.95]))
    expect.close(lambda: bootstrap_interval(x, np.mean, 0.9, new(3)), wide, "the mean, with 90 %", mistaken={
        "the quantiles are those of the statistic, not of the samples": lambda got: np.allclose(got, np.quantile(x, [0.05, 0.95])),
        "one number for each row: axis=1": lambda got: np.isclose(got[0], got[1]) or np.allclose(got, np.quantile(drawn.mean(0), [0.05, 0.95])),
        "half of the rest on either side": lambda got: np.allclose(got, np.quantile(means, [0.1, 0.9])),
        "np.quantile wants shares, not percents": lambda got: np.allclose(got, np.quantile(means, [0.0005, 0.0095])),
        "`rows` are places: samples[rows]": lambda got: got[0] > 1, "first the low one": lambda got: got[0] > got[1],
        "the confidence is an argument": lambda got: np.allclose(got, np.quantile(means, [0.025, 0.975])),
        "call `statistic`, whatever it is": lambda got: np.allclose(got, np.quantile(medians, [0.05, 0.95]))},
        hint="np.quantile of statistic(samples[rows], axis=1)", raises={IndexError: "draw samples[rows], then statistic(…, axis=1)"})
    usual = tuple(float(q) for q in np.quantile(medians, [0.025, 0.975]))
    expect.close(lambda: bootstrap_interval(x, generator=new(3)), usual, "the median, with 95 %")
    expect.true(lambda: all(type(bound) is float for bound in bootstrap_interval(x)), "two numbers of Python", hint="float(low), float(high)")
    expect.raises(ValueError, lambda: bootstrap_interval([]), "no samples are refused", match="samples")

test_unit_bootstrap()

# %% [markdown]
"""
Does it keep its promise? Here the truth is known: numbers with a long tail, whose median is 1. Of 1,000 experiments, 95 % should have an interval
that holds it. Three samples are too few for any method: in one of four experiments all three lie on the same side of the truth. And more than
enough are a waste: each further digit costs a hundred times as many. Stop where the interval is narrower than the difference you care about.
"""

# %% tags=["analysis"]
rng = np.random.default_rng(0)
for n in (3, 5, 11, 44, 176):
    low, high = np.transpose([bootstrap_interval(np.exp(rng.normal(size=n)), generator=rng) for _ in range(1000)])
    print(f"{n:3} samples: {np.mean((low <= 1) & (1 <= high)):.0%} hold the truth, half of them are narrower than {np.median(high - low):.2f}")

# %% [markdown]
r"""
## 3 · Sure is not large

With enough rounds every difference becomes sure, also one of a thousandth. How large is it, beside what the samples vary anyway? The usual answer
divides the difference of the means by the standard deviation (Cohen's d). *Cliff's delta* only asks who is larger. Of all pairs, one sample of `a`
and one of `b`:

$$\delta = \frac{\#(a > b) - \#(a < b)}{n_a \, n_b}$$

1 means that every `a` is above every `b`; 0 that nobody can tell them apart.

**Your turn.** `a[:, None]` beside `b` makes all pairs; `np.sign` of their difference is 1, 0 or -1.
"""

# %% nbgrader={"grade": false, "grade_id": "effect-size", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def effect_size(a, b):
    """Cliff's delta: samples (n,), (m,) -> a number from -1 (every a is below every b) to 1 (every a is above).  Cliff (1993).

    >>> effect_size([1.0, 2.0], [1.0, 1.0])
    0.5
    """
    a, b = as_samples(a), as_samples(b)
    ### BEGIN SOLUTION
    return float(np.sign(a[:, None] - b).mean())
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-effect-size", "locked": true, "points": 7, "schema_version": 3, "solution": false, "task": false}
def test_unit_effect_size():
    """Of all pairs: how many more have the larger one in a."""
    a, b = np.array([1.0, 2.0, 3.0]), np.array([1.0, 1.0, 4.0, 5.0])
    pairs = a[:, None] - b
    expect.close(lambda: effect_size(a, b), -1 / 6, "3 by 4 pairs, some of them equal", mistaken={
        "larger is plus: a - b": 1 / 6, "those where a is smaller count against it": float(np.mean(pairs > 0)),
        "equal ones count for nobody": float(np.mean(np.where(pairs >= 0, 1, -1))), "only the sign counts, not how far": float(pairs.mean()),
        "divide by the number of pairs": -2.0, "n_a times n_b pairs": lambda got: np.isclose(got, -2 / 3) or np.isclose(got, -0.5)},
        hint="np.sign(a[:, None] - b), then the mean", raises={ValueError: "all pairs, not one by one: a[:, None]"})
    expect.close(lambda: effect_size(b, a), 1 / 6, "the other way round")
    expect.close(lambda: [effect_size(b, b + 9.0), effect_size(a, [0.5])], [-1.0, 1.0], "all below, all above")
    expect.true(lambda: type(effect_size(a, b)) is float, "a number of Python", hint="float(…)")

test_unit_effect_size()

# %% [markdown]
"""
One slow round in ten, and the usual answer no longer sees what nine of ten rounds say:
"""

# %%
fast, slow = np.linspace(1.0, 1.1, 10), np.linspace(1.2, 1.3, 10)
for name, a in (("ten rounds", fast), ("one of them disturbed", np.append(fast[:9], 9.0))):
    print(f"{name:22} Cohen's d {(slow.mean() - a.mean()) / np.sqrt((slow.var() + a.var()) / 2):5.2f}, Cliff's delta {effect_size(slow, a):5.2f}")

# %% [markdown]
"""
## 4 · Is this machine quiet?

The samples know, if they are in the order in which they were taken. Three things to look for:

```
 spread                    drift                      outliers
   :.  . :  :.                        ..::··                ·
 . : :.: . : .:                 . ..::·            ............  ......   ·
 others use it too         it gets warm            now and then something runs
```

**Your turn.** With the quartiles `low`, `middle`, `high` of the times: `spread` is (high - low) / middle. `drift` is the median of the last half over
that of the first, minus 1; where the number is odd, the one in the middle belongs to neither; a single time has a drift of 0. `outliers` is the share
of times above high + 3 (high - low). The machine was `quiet` if spread and outliers are at most 0.05, and the drift at most 0.02 up or down.
"""

# %% nbgrader={"grade": false, "grade_id": "noise", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def noise_of(times):
    """What times (n,), in the order they were taken, say of the machine: dict(spread, drift, outliers, quiet), all but the last as shares.

    >>> noise_of([2.0, 2.0, 2.5, 3.0, 2.5])
    {'spread': 0.2, 'drift': 0.375, 'outliers': 0.0, 'quiet': False}
    """
    times = as_samples(times)
    low, middle, high = np.quantile(times, [0.25, 0.5, 0.75])
    ### BEGIN SOLUTION
    half = times.size // 2
    drift = np.median(times[-half:]) / np.median(times[:half]) - 1 if half else 0.0
    shares = {"spread": (high - low) / middle, "drift": drift, "outliers": np.mean(times > high + 3 * (high - low))}
    quiet = shares["spread"] <= 0.05 and shares["outliers"] <= 0.05 and abs(drift) <= 0.02
    ### END SOLUTION
    return {name: float(share) for name, share in shares.items()} | {"quiet": bool(quiet)}

# %% nbgrader={"grade": true, "grade_id": "test-noise", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_noise():
    """Spread, drift and outliers, each as a share."""
    t = np.array([1.0, 1.2, 0.9, 1.1, 20.0, 1.5, 1.4, 1.3, 1.25])
    low, middle, high = np.quantile(t, [0.25, 0.5, 0.75])
    expect.close(lambda: noise_of(t)["spread"], (high - low) / middle, "the spread", mistaken={
        "divide by the median": high - low, "quartiles, not the standard deviation": t.std() / t.mean(),
        "by the median, not by low": (high - low) / low})
    first, last, around = np.median(t[:4]), np.median(t[5:]), ((4, 4), (5, 5), (4, 5))
    expect.close(lambda: noise_of(t)["drift"], last / first - 1, "the drift", mistaken={
        "the last half over the first": first / last - 1, "minus 1: no drift is 0": last / first,
        "medians, not means": t[5:].mean() / t[:4].mean() - 1, "over the first half": last - first,
        "the one in the middle belongs to neither half": lambda got: any(np.isclose(got, np.median(t[a:]) / np.median(t[:b]) - 1) for a, b in around),
        "in the order they were taken": np.median(np.sort(t)[5:]) / np.median(np.sort(t)[:4]) - 1})
    expect.close(lambda: noise_of(t)["outliers"], 1 / 9, "the outliers", mistaken={
        "a share, not a number": 1.0, "above is what counts": 8 / 9, "3 times the quartiles' distance above high": lambda got: got > 0.2})
    ramp = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0])
    expect.close(lambda: [noise_of(np.append(ramp, last))["outliers"] for last in (15.0, 20.0)], [0.0, 1 / 9], "two distances above is not far",
                 hint="3 times the quartiles' distance above high")
    flat, mixed = np.ones(19), np.array([19.5, 20.5, 20.0, 20.5, 19.5])
    cases = [flat, np.append(flat, 7.0), mixed, np.append(flat, [7.0, 7.0]), mixed * 1.3 - 6, *(np.append(flat, flat * f) for f in (0.97, 1.03))]
    expect.same(lambda: [noise_of(case)["quiet"] for case in cases], [True] * 3 + [False] * 4, "quiet: neither spread nor outliers nor drift",
                hint="a machine that becomes faster drifts too: abs")
    expect.same(lambda: noise_of(t[:1]), {"spread": 0.0, "drift": 0.0, "outliers": 0.0, "quiet": True}, "a single time",
                hint="no half, no drift: 0.0", raises={ValueError: "no half, no drift: 0.0"})

test_unit_noise()

# %% tags=["analysis"]
times = [stopwatch(work) for _ in range(200)]
print("this machine now:", {name: value if name == "quiet" else f"{value:.1%}" for name, value in noise_of(times).items()})

# %% [markdown]
"""
## 5 · Rounds that take turns

A machine is seldom quiet. But two that are measured in turns meet the same disturbances:

```
  one after the other   a a a a a a a b b b b b b b   the second half's trouble is b's
  in turns              a b a b a b a b a b a b a b   it is shared
```

`compare` of module 15 takes turns. And it gives more than two medians. In each round `a` and `b` were neighbours in time, so their *ratio within the
round* has lost most of the machine's mood. The ratios of all rounds are samples again, with a median and an interval of their own. (Given:)
"""

# %%
#| export
class BenchmarkResult:
    """The samples (n,) of one contestant, in the order of the rounds, and their unit."""
    def __init__(self, name, samples, unit="s"):
        self.name, self.samples, self.unit = name, as_samples(samples), unit

    @property
    def median(self):
        return float(np.median(self.samples))

    @property
    def interval(self):
        """Between which numbers the median lies, with 95 % confidence; the same for the same samples."""
        return bootstrap_interval(self.samples, generator=np.random.default_rng(0))

    def speedup_over(self, other):
        """How many times faster than `other`, round by round: a BenchmarkResult of ratios, whose unit is "×".

        >>> BenchmarkResult("a", [1.0, 2.0]).speedup_over(BenchmarkResult("b", [2.0, 8.0])).samples
        array([2., 4.])
        """
        check_kind("speedup_over", BenchmarkResult, other=other)
        if self.samples.size != other.samples.size:
            raise ValueError(f"speedup_over: the same rounds wanted, not {self.samples.size} and {other.samples.size}")
        return BenchmarkResult(f"{self.name} over {other.name}", other.samples / self.samples, "×")

    def to_dict(self):
        """What JSON can hold, and `from_dict` reads."""
        return {"name": self.name, "unit": self.unit, "samples": self.samples.tolist()}

    @classmethod
    def from_dict(cls, saved):
        return cls(saved["name"], saved["samples"], saved["unit"])

    def __repr__(self):
        median, low, high = (seconds_text(t) if self.unit == "s" else f"{t:.3g} {self.unit}" for t in (self.median, *self.interval))
        return f"{self.name}: {median} ({low} to {high}, {self.samples.size} rounds)"

# %% [markdown]
"""
The race from the beginning, both runners the same, now with eleven rounds: forty times one after the other, forty times in turns.
"""

# %% tags=["analysis"]
blocks, turns = [], []
for _ in range(40):
    a, b = (BenchmarkResult(name, compare({name: work})[name].times) for name in "ab")
    blocks.append(a.median / b.median)
    a, b = (BenchmarkResult(name, timing.times) for name, timing in compare({"a": work, "b": work}).items())
    turns.append(a.speedup_over(b).median)
for name, found in (("one after the other", blocks), ("in turns", turns)):
    print(f"{name:20} 90 % of the ratios from {np.quantile(found, 0.05):.3f} to {np.quantile(found, 0.95):.3f}")

# %% [markdown]
"""
**Your turn.** `run` of a `Benchmark`. What is wrong is not fast: where `agree` is a number, first call every contestant once. Whoever gives an array
of another shape than the first one gives, or other numbers (`np.allclose` with `agree` as both tolerances), is named in a RuntimeError. Then
`compare` all of `calls` with the benchmark's `warmup`, `rounds` and `clock`.
"""

# %%
#| export
def _at_rest(models):
    """No graph is recorded for these models, and their dropout is off, until the `with` ends."""
    stack = ExitStack()
    for model in models:
        if isinstance(model, Module):
            stack.enter_context(evaluating(model))
    return stack


class Benchmark:
    """A race of functions of no arguments, or of models that are all given `x`: {name: function or model}.  ValueError where there is none."""
    def __init__(self, contestants, x=None, warmup=3, rounds=11, agree=None, clock=time.perf_counter):
        check_kind("Benchmark", Mapping, contestants=contestants)
        for contestant in contestants.values():
            check_kind("Benchmark", Callable, contestants=contestant)
        check_whole("Benchmark", 0, warmup=warmup)
        check_whole("Benchmark", rounds=rounds)
        check_number("Benchmark", none=True, agree=agree)
        if not contestants:
            raise ValueError("Benchmark: at least one contestant wanted")
        self.contestants, self.x, self.agree, self.results = dict(contestants), x, agree, {}
        self.warmup, self.rounds, self.clock = warmup, rounds, clock

# %% nbgrader={"grade": false, "grade_id": "benchmark-run", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def _run(self):
    """Race: {name: BenchmarkResult}, kept as `results`.  RuntimeError where `agree` is given and somebody does not."""
    models = {} if self.x is None else self.contestants
    calls = self.contestants | {name: lambda model=model: model(self.x) for name, model in models.items()}
    with _at_rest(models.values()):
        ### BEGIN SOLUTION
        if self.agree is not None:
            given = {name: np.asarray(call()) for name, call in calls.items()}
            want = next(iter(given.values()))
            for name, got in given.items():
                if got.shape != want.shape or not np.allclose(got, want, rtol=self.agree, atol=self.agree):
                    raise RuntimeError(f"Benchmark: {name} does not give what {next(iter(given))} gives, and what is wrong is not fast")
        timings = compare(calls, self.warmup, self.rounds, self.clock)
        ### END SOLUTION
    self.results = {name: BenchmarkResult(name, timing.times) for name, timing in timings.items()}
    return self.results

Benchmark.run = _run

# %% nbgrader={"grade": true, "grade_id": "test-benchmark-run", "locked": true, "points": 10, "schema_version": 3, "solution": false, "task": false}
def test_unit_benchmark_run():
    """Contestants take turns, and whoever computes something else is sent home before the race."""
    clock, asked = Clock(), []
    def runner(name, times, gives=1.0):
        left = iter([*times])
        return lambda: asked.append(name) or clock.work(next(left), gives)
    took = np.array([[9.0, 1.0, 3.0, 2.0], [8.0, 4.0, 6.0, 5.0]])
    race = Benchmark({"a": runner("a", took[0]), "b": runner("b", took[1])}, warmup=1, rounds=3, clock=clock)
    many = "warmup and rounds, each once: compare(calls, self.warmup, self.rounds, self.clock)"
    expect.close(lambda: [r.samples for r in race.run().values()], took[:, 1:], "every round, in its order, without the warm-up", mistaken={
        "pass clock on": lambda got: np.all(np.array(got) < 0.1)}, hint=many, raises={(StopIteration, RuntimeError): many})
    expect.same(lambda: asked, ["a", "b"] * 4, "they take turns", hint=many)
    x, ones = np.array([1000.0, 2.0, -3.0, 0.0]), np.ones(3)
    for right, other, what in ((x, x + 0.5, "other numbers"), (ones, ones[:, None], "another shape"), (ones, ones[:1], "fewer numbers")):
        asked.clear()
        race = {name: runner(name, [1.0] * 20, gives) for name, gives in (("right", right), ("like it", right.copy()), ("odd one", other))}
        expect.raises(RuntimeError, lambda: Benchmark(race, agree=1e-2, clock=clock).run(), f"{what}: not fast", match="odd",
                      hint="compare shapes first, then np.allclose with rtol=agree, atol=agree")
        expect.same(lambda: asked, [*race], "each was called once, and nothing timed", hint="first all are asked, then the race")
    expect.raises(RuntimeError, lambda: Benchmark({"right": lambda: x, "odd one": lambda: x + 1e-6}, agree=0).run(), "0 means exactly", match="odd",
                  hint="agree may be 0: ask whether it is None")
    near = {"a": lambda: x, "b": lambda: x * 0.99, "c": lambda: x + 0.005}
    expect.same(lambda: list(Benchmark(near, rounds=1, agree=1e-2).run()), ["a", "b", "c"], "a hundredth of the first one's, or by itself, is near",
                hint="np.allclose(got, want, …)", raises={RuntimeError: "agree is both tolerances: rtol and atol"})

test_unit_benchmark_run()

# %% [markdown]
"""
A race that matters: 64 rows through a `Linear` layer, one after the other or all at once. Beside it, how often the difference is to be seen.
"""

# %% tags=["analysis"]
layer, x = Linear(128, 128), randn(64, 128)
race = Benchmark({"row by row": lambda: cat([layer(x[k:k + 1]) for k in range(64)]), "all at once": lambda: layer(x)}, rounds=31, agree=1e-4)
single, batch = race.run().values()
print(single, batch, batch.speedup_over(single), f"Cliff's delta {effect_size(single.samples, batch.samples):.2f}", sep="\n")

# %% [markdown]
"""
## 6 · From where on it pays

"12 times faster" is half a sentence. *From where on* is the other half: every technique costs something first, and for small inputs that is all there
is. Measure both ways at several sizes. Between two sizes take both costs for straight lines; then so is `saved`, what `b` saves, and it crosses 0 at
`x[k] + (x[k+1] - x[k]) · -saved[k] / (saved[k+1] - saved[k])`:

```
  saved
    │              ·──·
  0 ┼─────·──────/─────────  x     k: the LAST size at which b saves nothing
    │    / \    /                  (where it paid for a while does not count)
    │ ·─     ·─
```

**Your turn.** None if b saves nothing at the last size; the first size if it saves something everywhere.
"""

# %% nbgrader={"grade": false, "grade_id": "break-even", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def break_even(xs, cost_a, cost_b):
    """From which x on `b` costs less than `a` for good: three rows (n,), xs rising -> a number, or None where it never does.

    >>> break_even([1, 2, 4], [1.0, 2.0, 4.0], [3.0, 3.0, 3.0])
    3.0
    """
    check_array("break_even", xs=xs, cost_a=cost_a, cost_b=cost_b)
    xs, a, b = map(as_samples, (xs, cost_a, cost_b))
    if not xs.shape == a.shape == b.shape or np.any(np.diff(xs) <= 0):
        raise ValueError(f"break_even: two costs for each x wanted, and xs that rise, not {a.size} and {b.size}: {xs.tolist()!s:.80}")
    saved = a - b
    ### BEGIN SOLUTION
    nothing = np.flatnonzero(saved <= 0)
    if not nothing.size:
        return float(xs[0])
    k = nothing[-1]
    if k == xs.size - 1:
        return None
    return float(xs[k] - (xs[k + 1] - xs[k]) * saved[k] / (saved[k + 1] - saved[k]))
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-break-even", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_break_even():
    """The last place where the two lines cross."""
    xs, a = np.array([1.0, 2.0, 5.0, 7.0, 9.0]), np.array([1.0, 4.0, 5.0, 9.0, 12.0])
    b = a - np.array([-1.0, 0.5, -2.0, 3.0, 1.0])
    expect.close(lambda: break_even(xs, a, b), 5.8, "it pays at 2, not at 5, and then for good", mistaken={
        "for good: the last crossing, not the first": lambda got: 1 < got < 2.1, "between the sizes lies a straight line": 5.0,
        "between the sizes lies a straight line; do not stop at a size": 7.0, "go on from x[k], not from x[k + 1]": 6.2,
        "saved[k] is not above 0, and the place is beyond x[k]: mind the sign": 4.2, "`saved` is what b saves: cost_a - cost_b": 9.0},
        hint="k is the last size with saved <= 0")
    never = "None where nothing is saved at the last size"
    expect.same(lambda: break_even(xs, b, a), None, "the other way round it never pays at the end", hint=never, raises={IndexError: never})
    expect.close(lambda: break_even(xs, b + 9.0, a), 1.0, "it pays everywhere", hint="the first size", raises={
        (IndexError, UnboundLocalError): "no size without saving: xs[0]"})
    expect.true(lambda: all(type(break_even(xs, a, c)) is float for c in (b, a - 1)), "a number of Python", hint="float(…)")
    expect.close(lambda: break_even(xs, a, a - (xs - 5.0)), 5.0, "they cost the same at 5, and from there on it pays")
    expect.same(lambda: break_even(xs, a, a), None, "the same costs: it never pays", hint="saved <= 0: the same is not less")
    expect.raises(ValueError, lambda: break_even([2, 1], [1, 2], [1, 2]), "sizes that fall are refused", match="rise")

test_unit_break_even()

# %% [markdown]
"""
A pruned matrix times a column, by the sparse form of module 18 and by NumPy as if it were full. How many of its numbers must be 0 until it pays?
"""

# %% tags=["analysis"]
x, shares, costs = rng.normal(size=1024).astype("float32"), [0.8, 0.9, 0.95, 0.98, 0.99, 0.995], []
for share in shares:
    full = rng.normal(size=(1024, 1024)).astype("float32") * (rng.random((1024, 1024)) >= share)
    sparse = CSR.from_dense(full)
    race = Benchmark({"full": lambda: full @ x, "sparse": lambda: sparse.matvec(x)}, agree=1e-3, rounds=41).run()
    costs.append([result.median for result in race.values()])
    print(f"{share:6.1%} zeros:", race["sparse"].speedup_over(race["full"]))
print(f"it pays from {break_even(shares, *zip(*costs)) or math.nan:.1%} zeros on")

# %% [markdown]
"""
## 7 · Fast, small, good

One number for a model is never enough. One is faster, another reads better. But some can be put aside: those that another model *beats*, at least as
good in everything and better in something. What is left is the *Pareto frontier*.

```
  quality                          a is beaten by b (better at the same cost),
    │        b────────c            d by all of them
    │        a                     b and c: nobody beats them, and neither beats the other
    │              d
    └──────────────────── cost
```

**Your turn.** `points` (n, d) holds a row for each point; small is good everywhere (the columns of `higher` have been turned round already). Two
equal points do not beat each other.
"""

# %% nbgrader={"grade": false, "grade_id": "pareto", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def pareto_frontier(points, higher=()):
    """Which points no other beats: rows (n, d) -> their numbers, rising.  Small is good, but for the columns `higher`.

    >>> pareto_frontier([(1.0, 5.0), (2.0, 3.0), (3.0, 4.0)])
    [0, 1]
    """
    points = check_array("pareto_frontier", points=points).astype(float64)
    if points.ndim != 2 or not np.isfinite(points).all():
        raise ValueError(f"pareto_frontier: a row of finite numbers for each point wanted, not {points.shape}")
    points[:, list(higher)] *= -1
    ### BEGIN SOLUTION
    one = points[:, None]                                        # beside `points` all pairs: (n, n, d)
    beaten = (points <= one).all(axis=2) & (points < one).any(axis=2)
    return np.flatnonzero(~beaten.any(axis=1)).tolist()
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-pareto", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_pareto():
    """Who is beaten by nobody stays."""
    p = np.array([[2.0, 5.0], [1.0, 7.0], [2.0, 6.0], [4.0, 4.0], [5.0, 4.0], [2.0, 5.0], [6.0, 8.0]])
    expect.same(lambda: pareto_frontier([p[0], p[5], p[6]]), [0, 1], "two that are equal, and one that is worse", mistaken={
        "equal points do not beat each other, nor a point itself": [], "return those that nobody beats": [2],
        "numbers of the points, not True and False": [True, True, False]}, raises={ValueError: "all pairs: points[:, None] beside points, (n, n, d)"})
    expect.same(lambda: pareto_frontier(p), [0, 1, 3, 5], "small is good in both", mistaken={
        "a tie in one column does not save a point that loses in the other": [0, 1, 2, 3, 4, 5], "at least as good in ALL columns": []},
        hint="beaten: in all columns <=, and in one of them <")
    expect.same(lambda: pareto_frontier(p, higher=(1,)), [1, 6], "the second column: large is good", hint="leave `higher` to the line above")
    expect.same(lambda: pareto_frontier(np.random.default_rng(0).normal(size=(1, 3))), [0], "one point alone")
    q = np.array([[3.0, 1.0, 2.0], [1.0, 2.0, 3.0], [2.0, 3.0, 1.0], [3.0, 3.0, 3.0]])
    expect.same(lambda: pareto_frontier(q), [0, 1, 2], "three columns", hint="axis=2 are the columns")

test_unit_pareto()

# %% [markdown]
"""
A picture of it, the file that a model makes, and a suite that asks all of several models. (Given.) The bytes are those of the file, not what a model
says of itself. A task holds data back, and says what a model's answers to it are worth; these are the scans that milestones 3 and 4 hold back.
Below it, networks of several sizes, each trained for a second. Which of them would nobody choose?
"""

# %%
#| export
def plot_pareto(names, costs, qualities, title="", higher=True):
    """Every point with its name: cost to the right (its logarithm), quality upwards; a line joins those that nobody beats.  An SVG picture."""
    check_kind("plot_pareto", Sized, names=names)
    costs, qualities = as_samples(costs), as_samples(qualities)
    if not len(names) == costs.size == qualities.size or costs.min() <= 0:
        raise ValueError(f"plot_pareto: a name, a cost above 0 and a quality for each wanted, not {len(names)}, {costs.size} and {qualities.size}")
    across, up = np.log10(costs), qualities
    best = pareto_frontier(np.column_stack([across, up]), higher=(1,) if higher else ())
    on = lambda v: (v - v.min()) / (np.ptp(v) or 1.0)
    spots = np.column_stack([60 + 380 * on(across), 210 - 160 * on(up)]).round(1).tolist()
    line = " ".join(f"{x},{y}" for x, y in sorted(spots[k] for k in best))
    parts = [f'<text x="60" y="20">{html.escape(title)}</text><path d="M50 40V220H480" fill="none" stroke="#999"/>',
             f'<polyline points="{line}" fill="none" stroke="#4c72b0"/>']
    parts += [f'<circle cx="{x}" cy="{y}" r="4" fill="{"#4c72b0" if k in best else "#fff"}" stroke="#4c72b0"/><text x="{x + 7}" y="{y - 6}">'
              f'{html.escape(str(name))}</text>' for k, (name, (x, y)) in enumerate(zip(names, spots))]
    parts += [f'<text x="{x}" y="236" text-anchor="middle">{cost:.3g}</text>' for x, cost in ((60, min(costs)), (440, max(costs)))]
    parts += [f'<text x="46" y="{y}" text-anchor="end">{q:.3g}</text>' for y, q in ((210, min(qualities)), (50, max(qualities)))]
    return SVG('<svg xmlns="http://www.w3.org/2000/svg" width="560" height="250" font-family="sans-serif" font-size="11" '
               f'style="background:#fff">{"".join(parts)}</svg>')


def packed(model):
    """The file that a model's state makes, as bytes: what `np.savez` writes."""
    file = io.BytesIO()
    np.savez(file, **model.state_dict())
    return file.getvalue()


class BenchmarkSuite:
    """Several models: seconds for `x`, bytes of the file, bytes at the worst moment, and `quality(model)`, a number."""
    def __init__(self, models, x, quality, warmup=3, rounds=11):
        check_kind("BenchmarkSuite", Callable, quality=quality)
        self.benchmark, self.quality, self.rows = Benchmark(models, x, warmup, rounds), quality, {}

    def run(self):
        """Measure: {name: {"seconds": BenchmarkResult, "bytes", "peak_bytes", "quality"}}, kept as `rows`."""
        self.rows = {name: {"seconds": result} for name, result in self.benchmark.run().items()}
        for name, model in self.benchmark.contestants.items():
            with _at_rest([model]):
                peak = peak_memory(lambda model=model: model(self.benchmark.x))
                self.rows[name] |= {"bytes": len(packed(model)), "peak_bytes": peak, "quality": float(self.quality(model))}
        return self.rows

    def table(self):
        """The rows as text."""
        lines = [f"{name:<16}{row['bytes']:>12,}{row['peak_bytes']:>12,}{row['quality']:>10.4g}   {str(row['seconds']).partition(': ')[2]}"
                 for name, row in self.rows.items()]
        return "\n".join([f"{'':<16}{'bytes':>12}{'at worst':>12}{'quality':>10}   seconds", *lines])

    def plot(self, cost="seconds", higher=True):
        """Quality over "seconds", "bytes" or "peak_bytes": see `plot_pareto`."""
        costs = [row[cost].median if cost == "seconds" else row[cost] for row in self.rows.values()]
        return plot_pareto(list(self.rows), costs, [row["quality"] for row in self.rows.values()], f"quality over {cost}", higher)

    def save(self, path):
        """Write the rows as JSON; what was there stays until the new file is whole."""
        text = json.dumps(self.rows, indent=1, default=BenchmarkResult.to_dict)
        replace_file(path, lambda file: file.write(text.encode()))


class DigitsTask:
    """Read `count` held-out scans: a model (N, 1, 8, 8) -> scores (N, 10).  Quality: the share read rightly.  `train` is the rest."""
    name, target, higher = "digits", 0.97, True

    def __init__(self, images=None, labels=None, count=360):
        check_whole("DigitsTask", count=count)
        if images is not None:
            images, labels = check_array("DigitsTask", images=images, labels=labels)
            if images.shape[:1] != labels.shape or labels.size <= count:
                raise ValueError(f"DigitsTask: a label for each image, and more than {count} of them, wanted, not {images.shape} and {labels.shape}")
        images, labels = map(np.asarray, load_digits().tensors if images is None else (images, labels))
        order = np.random.default_rng(1998).permutation(len(labels))
        self.queries, self.labels = images[order[:count]], labels[order[:count]]
        self.train = images[order[count:]], labels[order[count:]]

    def answer(self, model, queries):
        """What it reads: (n, 1, 8, 8) -> (n,)."""
        return np.asarray(model(Tensor(queries))).argmax(axis=-1)

    def quality(self, model, answers):
        return float(np.mean(answers == self.labels))

# %% tags=["analysis"]
digits = DigitsTask()
loader = DataLoader(TensorDataset(*map(Tensor, digits.train)), batch_size=32, shuffle=True)

def learned(*layers):
    """The layers in a row, trained on digits."""
    model = Sequential(Flatten(), *layers)
    Trainer(model, SGD(model.parameters(), lr=0.03, momentum=0.9), cross_entropy).fit(loader, 20)
    return model.eval()

manual_seed(0)
readers = {f"{width} wide": learned(Linear(64, width), ReLU(), Linear(width, 10)) for width in (4, 16, 64, 256)}
readers |= {"linear": learned(Linear(64, 10)), "deep": learned(Linear(64, 64), ReLU(), Linear(64, 64), ReLU(), Linear(64, 10))}
suite = BenchmarkSuite(readers, Tensor(digits.queries), lambda model: digits.quality(model, digits.answer(model, digits.queries)), rounds=41)
suite.run()
print(suite.table())
suite.plot()

# %% [markdown]
"""
## 8 · Not only the middle

Somebody waits for every answer, also for the slow ones. So a service promises that 99 of 100 answers come in time: the *99th percentile*, p99. The
median says nothing of it.

**Your turn.** The place of `p` among n sorted samples is p n / 100, rounded up (the first one is at place 1). The sample there is the answer: a time
that somebody really waited. If it is the last, nothing is above it, and the true value may lie anywhere higher. Then the answer is None: 11 rounds
have no p99.
"""

# %% nbgrader={"grade": false, "grade_id": "percentiles", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def percentiles(samples, ranks=(50, 90, 99)):
    """{"p90": the smallest sample that at least 90 of 100 samples do not exceed}; None where no sample is above its place.

    >>> percentiles([3.0, 1.0, 2.0, 4.0], (50, 75, 90))
    {'p50': 2.0, 'p75': 3.0, 'p90': None}
    """
    check_kind("percentiles", Iterable, ranks=ranks)
    for rank in ranks:
        check_number("percentiles", 0, 100, ranks=rank)
        if not rank:
            raise ValueError("percentiles: ranks must be above 0; no sample is below all samples")
    ordered = np.sort(as_samples(samples))
    ### BEGIN SOLUTION
    places = {rank: math.ceil(rank * ordered.size / 100) for rank in ranks}
    return {f"p{rank}": float(ordered[k - 1]) if k < ordered.size else None for rank, k in places.items()}
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-percentiles", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_percentiles():
    """A percentile is a sample, and needs enough of them."""
    x = np.array([5.0, 1.0, 9.0, 3.0, 7.0, 2.0, 8.0, 4.0, 6.0, 10.0])
    s = np.sort(x)
    expect.same(lambda: [value is None for value in percentiles(x).values()], [False, False, True], "ten samples have no p99", mistaken={
        "round up, and None where nothing is above the place": [False] * 3, "one sample above the place is enough": [False, True, True]},
        raises={TypeError: "a place is a whole number: math.ceil", IndexError: "the first sample is at place 1: ordered[place - 1]"})
    expect.close(lambda: percentiles(x, (50, 90)), {"p50": float(s[4]), "p90": float(s[8])}, "the 5th and the 9th of ten", mistaken={
        "the first sample is at place 1: ordered[place - 1]": lambda got: got["p50"] == s[5],
        "a time that somebody waited: no mean of two": lambda got: got["p50"] not in x, "sort first": lambda got: got["p50"] == x[4]},
        hint="ordered[math.ceil(rank * n / 100) - 1]")
    expect.close(lambda: percentiles(x, (41, 49)), {"p41": float(s[4]), "p49": float(s[4])}, "rounded up", mistaken={
        "round up: math.ceil": lambda got: got["p41"] == s[3]})
    many = np.random.default_rng(0).permutation(100) + 0.5
    expect.same(lambda: percentiles(many, (1, 99)), {"p1": 0.5, "p99": 98.5}, "a hundred have one")
    expect.true(lambda: type(percentiles(x)["p50"]) is float, "numbers of Python", hint="float(…)")

test_unit_percentiles()

# %% [markdown]
"""
The other half of speed is learning: how long until a model is *good enough*? Only the steps count, not the asking.

**Your turn.** Take a step, ask for the quality, stop when the target is reached or after `most` steps. `higher=False`: less is better.
"""

# %% nbgrader={"grade": false, "grade_id": "time-to-quality", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def time_to_quality(step, quality, target, most=100, higher=True, clock=time.perf_counter):
    """Call `step()` until `quality()` reaches the target, at most `most` times: dict(reached, steps, seconds, history).

    >>> time_to_quality(lambda: None, iter([0.5, 0.8, 0.9]).__next__, 0.75)["history"]
    [0.5, 0.8]
    """
    check_kind("time_to_quality", Callable, step=step, quality=quality)
    check_number("time_to_quality", -math.inf, target=target)
    check_whole("time_to_quality", most=most)
    seconds, history, reached = 0.0, [], False
    ### BEGIN SOLUTION
    while not reached and len(history) < most:
        began = clock()
        step()
        seconds += clock() - began
        history.append(float(quality()))
        reached = history[-1] >= target if higher else history[-1] <= target
    ### END SOLUTION
    return {"reached": reached, "steps": len(history), "seconds": seconds, "history": history}

# %% nbgrader={"grade": true, "grade_id": "test-time-to-quality", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_time_to_quality():
    """The clock runs while a step does, until the target is reached."""
    def run(costs, found, target, **more):
        clock, done = Clock(), []
        step = lambda: clock.work(costs[len(done)]) or done.append(0)
        return time_to_quality(step, lambda: clock.work(50.0, found[len(done) - 1]), target, clock=clock, **more)
    costs, found, soon = np.array([2.0, 3.0, 4.0, 7.0]), np.array([0.5, 0.7, 0.9, 0.8]), "stop as soon as it is reached"
    target = float(found[2])
    expect.close(lambda: run(costs, found, target)["history"], found[:3], "until the target is reached", mistaken={
        "a step first, then ask": lambda got: got[0] == found[-1]}, hint=soon, raises={IndexError: soon})
    expect.close(lambda: run(costs, found, target)["seconds"], costs[:3].sum(), "the seconds of three steps", mistaken={
        "asking for the quality costs no time": lambda got: got > 50, "add the seconds of all steps up": lambda got: np.isclose(got, costs[2])},
        hint="the clock before and after step()")
    expect.same(lambda: [run(costs, found, target)[name] for name in ("reached", "steps")], [True, 3], "three steps do")
    expect.same(lambda: [run(costs, found, 2.0, most=3)[name] for name in ("reached", "steps")], [False, 3], "at most three steps",
                hint="at most `most` steps: len(history) < most", raises={IndexError: "at most `most` steps: len(history) < most"})
    expect.true(lambda: type(run(costs, found, target)["history"][0]) is float, "numbers of Python", hint="float(quality())")
    expect.same(lambda: run(costs, 1 - found, float(1 - found[1]), higher=False)["steps"], 2, "less is better; equal is enough", mistaken={
        "higher=False: less is better": 1, "the target itself is good enough: <=": 3},
        raises={IndexError: "higher=False: less is better, and the target itself is enough"})
    expect.same(lambda: run(costs, found, float(found[1]))["steps"], 2, "more is better; equal is enough", hint="the target itself: >=")

test_unit_time_to_quality()

# %% [markdown]
"""
## 9 · Rules that nobody can bend

Who measures himself finds what he hopes to find. Since 2018 *MLPerf* measures by rules that bind all: the same task, the same data, the same bar for
quality; the organiser's program asks the questions and holds the clock. `TinyMLPerf` has two tasks: digits, and this one, which holds back what
milestone 5 holds back. (Given.)
"""

# %%
#| export
class WritingTask:
    """Write on after pieces of a held-out text: a GPT, by its tokenizer.  Quality: bits a character of what is held out; less is better.

    What was written counts only where it is what the model's own scores say (temperature 0).
    """
    name, target, higher = "writing", 3.0, False

    def __init__(self, tokenizer, text=None, prompt=8, length=32, count=100):
        pieces, window = [""], prompt + length
        for line in (text or load_text()).splitlines(keepends=True):     # pieces of 10,000 letters, of which each tenth is held out
            pieces[-1] += line
            pieces += [""] * (len(pieces[-1]) >= 10_000)
        self.train, held = "".join(p for k, p in enumerate(pieces, 1) if k % 10), "".join(pieces[9::10])
        ids = np.asarray(tokenizer.encode(held))
        self.length, self.letters = length, len(held) / ids.size
        self.held = ids[np.linspace(0, ids.size - window - 1, count).astype(int)[:, None] + np.arange(window + 1)]
        self.queries = self.held[:, :prompt]

    def answer(self, model, queries):
        """What it writes after them: (n, prompt) -> (n, length)."""
        return np.asarray(model.generate(queries, self.length, temperature=0))[:, queries.shape[1]:]

    def quality(self, model, answers):
        """Bits a character, or infinity where the answers are not the model's own."""
        scores = np.asarray(model(np.column_stack([self.queries, answers])[:, :-1]))[:, -self.length:]
        behind = scores.max(axis=-1) - np.take_along_axis(scores, answers[..., None], axis=-1)[..., 0]
        if np.mean(behind < 1e-3) < 0.99:
            return math.inf
        return next_token_loss(model(self.held[:, :-1]), self.held[:, 1:]).item() / self.letters / math.log(2)


class TinyMLPerf:
    """A competition under closed rules: task, order of the queries and clock are ours, the model is yours.  After MLPerf Inference."""
    def __init__(self, warmup=3, rounds=5, seed=0, clock=time.perf_counter):
        check_whole("TinyMLPerf", 0, warmup=warmup, seed=seed)
        check_whole("TinyMLPerf", rounds=rounds)
        self.warmup, self.rounds, self.seed, self.clock = warmup, rounds, seed, clock

# %% [markdown]
"""
**Your turn.** The heart of it. `order` has the numbers of the queries, mixed. Ask the first `self.warmup` of them without a clock. Then ask all, one
by one: query k is `task.queries[k:k + 1]`; its answer goes to `answers[k]`, its time to `seconds`. Then all at once, `self.rounds` times: the answers
are `together`, the times go to `offline`. The `quality` is that of the answers that were timed one by one: else a model could be good in the exam,
fast in the race, and never both.
"""

# %% nbgrader={"grade": false, "grade_id": "mlperf-run", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def _run_task(self, task, model):
    """Ask one query after the other, then all at once: a dict of what was measured.

    `valid`: the quality of the answers reaches the bar, and a query gets the same answer alone and in company (99 of 100).
    """
    n = len(task.queries)
    order, answers, seconds, offline = np.random.default_rng(self.seed).permutation(n), [None] * n, [], []
    with _at_rest([model]):
        ### BEGIN SOLUTION
        for k in order[:self.warmup]:
            task.answer(model, task.queries[k:k + 1])
        for k in order:
            began = self.clock()
            answers[k] = task.answer(model, task.queries[k:k + 1])
            seconds.append(self.clock() - began)
        for _ in range(self.rounds):
            began = self.clock()
            together = task.answer(model, task.queries)
            offline.append(self.clock() - began)
        quality = task.quality(model, np.concatenate(answers))
        ### END SOLUTION
    reached, file = quality >= task.target if task.higher else quality <= task.target, packed(model)
    return {"task": task.name, "quality": round(quality, 4), "target": task.target, "queries": n,
            "valid": bool(reached and np.mean(np.concatenate(answers) == together) >= 0.99),
            "latency_ms": percentiles(np.array(seconds) * 1e3), "per_second": n / max(float(np.median(offline)), 1e-9),
            "bytes": len(file), "sha256": hashlib.sha256(file).hexdigest()}

TinyMLPerf.run = _run_task

# %% nbgrader={"grade": false, "grade_id": "a-task", "locked": true, "schema_version": 3, "solution": false, "task": false}
class Doubling:
    """A task for checks: twice the query, in as many ms as it is large."""
    name, target, higher = "doubling", 0.8, True

    def __init__(self, queries, clock):
        self.queries, self.clock, self.asked = np.asarray(queries)[:, None], clock, []

    def answer(self, model, queries):
        self.asked.append(queries[:, 0].tolist())
        return self.clock.work(queries.sum() * 1e-3, model(queries))

    def quality(self, model, answers):
        return float(np.mean(answers == 2 * self.queries))

class Times(Module):
    """x times a factor, in company another one."""
    def __init__(self, alone=2.0, in_company=2.0):
        self.factor, self.in_company = Parameter([alone]), in_company

    def forward(self, x):
        return x * (float(self.factor.data[0]) if len(x) == 1 else self.in_company)

# %% nbgrader={"grade": true, "grade_id": "test-mlperf-run", "locked": true, "points": 10, "schema_version": 3, "solution": false, "task": false}
def test_unit_mlperf_run():
    """Every query is asked alone, timed and judged; then all at once."""
    queries = np.array([3.0, 1.1, 4.3, 2.2, 5.6, 7.9])
    def run(model, **more):
        clock = Clock()
        task = Doubling(queries, clock)
        return TinyMLPerf(clock=clock, **more).run(task, model), task.asked
    order = lambda seed: [[q] for q in queries[np.random.default_rng(seed).permutation(6)].tolist()]
    want = order(0)[:2] + order(0) + [queries.tolist()]
    expect.close(lambda: run(Times(), warmup=2, rounds=1)[1], want, "two to warm up, each alone, then all", mistaken={
        "the warm-up: the first ones of `order`": lambda got: len(got) == 7 or got[:2] == [[q] for q in queries[:2].tolist()],
        "in the order of `order`": lambda got: got[-7:-1] == [[q] for q in queries.tolist()], "all at once, too": lambda got: len(got[-1]) == 1},
        hint="order[:self.warmup], then order, then task.queries",
        raises={IndexError: "query k is task.queries[k:k + 1], with its axis", ValueError: "each answer to its place: answers[k]"})
    expect.close(lambda: run(Times(), seed=5)[0]["quality"], 1.0, "all are right", mistaken={
        "each answer to the place of its query: answers[k]": lambda got: got < 0.9})
    expect.close(lambda: run(Times())[0]["latency_ms"]["p50"], float(np.sort(queries)[2]), "what one query takes, in ms", mistaken={
        "the warm-up is not timed": lambda got: np.isclose(got, queries).any(),
        "the clock before and after each query": lambda got: got > 0}, hint="seconds.append(self.clock() - began) for every query")
    expect.close(lambda: run(Times())[0]["per_second"], 6 / queries.sum() * 1e3, "how many a second", hint="offline: the times of all at once")
    expect.same(lambda: len(run(Times(), rounds=3)[1]), 12, "all at once, three times", hint="self.rounds times")
    shy = [run(Times(*factors))[0] for factors in ((2.0, 3.0), (3.0, 2.0), (3.0, 3.0), (2.0, 2.0))]
    expect.same([found["quality"] for found in shy], [1.0, 0.0, 0.0, 1.0], "the quality is that of the answers given alone",
                mistaken={"judge the answers that were timed one by one": [0.0, 1.0, 0.0, 1.0]})
    expect.same([found["valid"] for found in shy], [False] * 3 + [True], "who answers otherwise in company is not", hint="together: all at once")

test_unit_mlperf_run()

# %% [markdown]
"""
A result is a claim until somebody repeats it. `audit` measures again with the model that was handed in. What no clock has touched must be equal.
Times only have to be possible, because a machine may be in another mood. (Given.)
"""

# %%
#| export
def _audit(self, task, model, claim, tolerance=2.0):
    """What of a claim, a dict as from `run`, cannot be repeated with this model: a list of sentences; empty where all can.

    A time may be better than what is measured now by the factor `tolerance`.  What is missing cannot be repeated either.
    """
    found, said = self.run(task, model), claim.get("latency_ms", {})
    wrong = [name for name in ("task", "target", "queries", "quality", "valid", "bytes", "sha256") if claim.get(name) != found[name]]
    lines = [f"{name} is {found[name]}, not {claim.get(name)}" for name in wrong]
    lines += [f"{rank} is {here:.3g} ms, not {said.get(rank)}" for rank, here in found["latency_ms"].items()
              if here is not None and here > tolerance * (said.get(rank) or 0.0)]
    if not 0 < claim.get("per_second", math.inf) <= tolerance * found["per_second"]:
        lines.append(f"per_second is {found['per_second']:.3g}, not {claim.get('per_second')}")
    return lines

TinyMLPerf.audit = _audit

# %% [markdown]
"""
The readers of part 7 enter the competition, and one of them with forged papers. Below that the second task, from the beginning: how long does a small
GPT learn until it may enter? With the cache of module 14 it enters once more: the same bytes, the same quality, another speed.
"""

# %% tags=["analysis"]
perf = TinyMLPerf()
entries = {name: perf.run(digits, model) for name, model in readers.items()}
for name, entry in entries.items():
    p50, p90, p99 = (entry["latency_ms"][rank] * 1e3 for rank in ("p50", "p90", "p99"))
    print(f"{name:9} {entry['quality']:.1%} {'valid' if entry['valid'] else 'not valid':9} p50 {p50:4.0f} µs  p90 {p90:4.0f}  p99 {p99:4.0f}   "
          f"{entry['per_second']:11,.0f} a second  {entry['bytes']:7,} bytes")
print(*perf.audit(digits, readers["linear"], entries["linear"] | {"quality": 0.99, "valid": True, "per_second": 1e9}), sep="\n")

tokenizer = BPETokenizer(512).train(load_text()[:200_000])
writing = WritingTask(tokenizer)
ids, rng = np.array(tokenizer.encode(writing.train[:300_000])), np.random.default_rng(0)
gpt = GPT(tokenizer.vocab_size, 64, 2, 4, 64, generator=rng)
optimizer = AdamW(gpt.parameters(), lr=4e-3)

def fifty_steps():
    """Train on 50 batches of 16 windows."""
    for _ in range(50):
        window = ids[rng.integers(0, len(ids) - 65, 16)[:, None] + np.arange(65)]
        optimizer.zero_grad()
        next_token_loss(gpt(window[:, :-1]), window[:, 1:]).backward()
        optimizer.step()

bits = lambda: writing.quality(gpt, writing.answer(gpt, writing.queries))
learning = time_to_quality(fifty_steps, bits, writing.target, most=8, higher=False)
print(f"good enough: {learning['reached']}, after {learning['seconds']:.1f} s; bits a character {[round(b, 2) for b in learning['history']]}")
for name in ("without a cache", "with a cache"):
    entry = perf.run(writing, gpt)
    print(f"{name:15} {entry['quality']:.2f} bits, valid: {entry['valid']}, p50 {entry['latency_ms']['p50']:.1f} ms, {entry['bytes']:,} bytes")
    enable_kv_cache(gpt)

# %% nbgrader={"grade": true, "grade_id": "test-module", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_module():
    """Everything together: a reader without any training enters the competition, and its forged papers are found out."""
    class Nearest(Module):
        """The label of the scan that is nearest: |x - s|² is |s|² - 2 x·s, but for what all s share."""
        def __init__(self, scans, labels):
            self.scans, self.labels = Parameter(scans.reshape(len(scans), -1).T), labels
        def forward(self, x):
            near = 2 * x.flatten(1).numpy() @ self.scans.data - (self.scans.data ** 2).sum(0)      # (N, scans)
            return Tensor(np.stack([near[:, self.labels == digit].max(1) for digit in range(10)], axis=1))

    rng, labels = np.random.default_rng(0), np.arange(300) % 10
    task, perf = DigitsTask(rng.normal(size=(10, 1, 8, 8))[labels] + 0.5 * rng.normal(size=(300, 1, 8, 8)), labels, count=120), TinyMLPerf()
    model = Nearest(*task.train)
    entry = perf.run(task, model)
    expect.true(entry["quality"] > 0.97 and entry["valid"] and entry["queries"] == 120, "it reads well", hint="the answers in their places")
    expect.same(lambda: perf.audit(task, model, entry, tolerance=1e6), [], "an honest claim can be repeated")
    for forged in ({"quality": 0.999}, {"bytes": 1000}, {"sha256": "0"}, {"per_second": -1.0}):
        expect.same(lambda: [line.split()[0] for line in perf.audit(task, model, entry | forged, tolerance=1e6)], [*forged], "forged papers")
    small = Nearest(*(part[:60] for part in task.train))
    suite = BenchmarkSuite({"all": model, "some": small}, Tensor(task.queries), lambda m: task.quality(m, task.answer(m, task.queries)), rounds=3)
    rows = suite.run()
    expect.true(rows["all"]["quality"] >= rows["some"]["quality"] > 0.5 and rows["all"]["bytes"] > 2 * rows["some"]["bytes"], "smaller and worse")
    with TemporaryDirectory() as folder:
        suite.save(Path(folder) / "suite.json")
        saved = BenchmarkResult.from_dict(json.loads((Path(folder) / "suite.json").read_text())["all"]["seconds"])
    expect.close(lambda: saved.interval, rows["all"]["seconds"].interval, "the samples come back from a file", tol=1e-12)
    expect.same(lambda: repr(saved.speedup_over(saved)), "all over all: 1 × (1 × to 1 ×, 3 rounds)", "nobody is faster than himself")
    expect.true(lambda: all(name in suite.table() and name in suite.plot("bytes") for name in ("all", "some")), "a table and a picture")
    text = "".join(f"{n} bottles of milk on the wall\n" for n in range(5000))
    tokenizer = CharTokenizer().train(text)
    writing, gpt = WritingTask(tokenizer, text, prompt=4, length=5, count=6), GPT(tokenizer.vocab_size, 8, 1, 2, 9)
    entry = perf.run(writing, gpt)
    expect.true(3.5 < entry["quality"] < 9 and not entry["valid"], "who has learned nothing writes nothing", hint="bits a character")
    gpt.generate = lambda ids, n, temperature: np.column_stack([ids, np.zeros((len(ids), n), int)])
    expect.same(lambda: perf.run(writing, gpt)["quality"], math.inf, "and who writes without asking the model is found out")

test_module()

# %% [markdown]
"""
## 10 · In your own words

**Question.** "We ran the old code ten times and then the new code ten times, and took the best of each. The new one is 4 % faster." Name three things
that are wrong, and what you would do in place of each.
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-claim", "locked": false, "points": 6, "schema_version": 3, "solution": true, "task": false}
"""
One after the other: what happened to the machine in between counts as a difference; let them take turns. The best of ten: it says what is possible,
not what is usual, and it is one sample; take the median with its interval, or the ratio within the rounds. And 4 % beside what? The same code against
itself may differ as much: say how wide the interval is and whether it holds 1, whether the results agree, and for which sizes it was measured.
"""

# %% [markdown]
"""
## Where you are

Numbers with their doubt, races that are fair, the place from where on something pays, and rules that hold for everybody. `tito bench` puts your own
library beside NumPy in this way. Next: `tito module complete 19`.
"""
