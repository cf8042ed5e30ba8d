"""Wrong answers that real learners write, as patches of the solution, each with the words its card must show first."""

from tito.dev.checks.mistake import Equivalent, Mistake

DRAWN = "statistic(samples[rows], axis=1)"
BOUNDS = "[(1 - confidence) / 2, (1 + confidence) / 2]"
PAIRS = "np.sign(a[:, None] - b).mean()"
DRIFT = "np.median(times[-half:]) / np.median(times[:half]) - 1"
SPREAD, OUTLIERS = "(high - low) / middle", "np.mean(times > high + 3 * (high - low))"
SHAPE = "got.shape != want.shape or "
NEAR = "np.allclose(got, want, rtol=self.agree, atol=self.agree)"
RACE = "compare(calls, self.warmup, self.rounds, self.clock)"
CROSSES = "xs[k] - (xs[k + 1] - xs[k]) * saved[k] / (saved[k + 1] - saved[k])"
BEATEN = "(points <= one).all(axis=2) & (points < one).any(axis=2)"
PLACE = "math.ceil(rank * ordered.size / 100)"
SAMPLE = "float(ordered[k - 1]) if k < ordered.size else None"
TIMED = "began = clock()\n        step()\n        seconds += clock() - began\n        history.append(float(quality()))"
ENOUGH = "history[-1] >= target if higher else history[-1] <= target"
WARMUP = "for k in order[:self.warmup]:\n            task.answer(model, task.queries[k:k + 1])"
ALONE = "began = self.clock()\n            answers[k] = task.answer(model, task.queries[k:k + 1])\n            seconds.append(self.clock() - began)"

MISTAKES = [
    Mistake("bootstrap", "of the samples", f"found = {DRAWN}", "found = samples", "not of the samples"),
    Mistake("bootstrap", "of the places", DRAWN, "statistic(rows, axis=1)", "`rows` are places"),
    Mistake("bootstrap", "one number of all", DRAWN, "statistic(samples[rows])", "one number for each row"),
    Mistake("bootstrap", "down the columns", DRAWN, "statistic(samples[rows], axis=0)", "one number for each row"),
    Mistake("bootstrap", "always the median", DRAWN, "np.median(samples[rows], axis=1)", "call `statistic`"),
    Mistake("bootstrap", "all of the rest on either side", BOUNDS, "[1 - confidence, confidence]", "half of the rest"),
    Mistake("bootstrap", "in percents", f"np.quantile(found, {BOUNDS})", f"np.percentile(found, {BOUNDS})", "shares, not percents"),
    Mistake("bootstrap", "always 95 %", BOUNDS, "[0.025, 0.975]", "the confidence is an argument"),
    Mistake("bootstrap", "high first", "return float(low), float(high)", "return float(high), float(low)", "first the low one"),
    Mistake("bootstrap", "NumPy's numbers", "return float(low), float(high)", "return low, high", "float(low), float(high)"),

    Mistake("effect-size", "turned round", "a[:, None] - b", "b[:, None] - a", "larger is plus"),
    Mistake("effect-size", "one by one", "a[:, None] - b", "a - b", "all pairs"),
    Mistake("effect-size", "only those above", PAIRS, "(a[:, None] > b).mean()", "count against it"),
    Mistake("effect-size", "equal counts as larger", PAIRS, "np.where(a[:, None] >= b, 1, -1).mean()", "count for nobody"),
    Mistake("effect-size", "how far, too", PAIRS, "(a[:, None] - b).mean()", "only the sign counts"),
    Mistake("effect-size", "a sum", ".mean()", ".sum()", "divide by the number of pairs"),
    Mistake("effect-size", "over the length of a", PAIRS, "np.sign(a[:, None] - b).sum() / a.size", "n_a times n_b"),
    Mistake("effect-size", "NumPy's number", f"float({PAIRS})", PAIRS, "float("),

    Mistake("noise", "spread in seconds", SPREAD, "high - low", "divide by the median"),
    Mistake("noise", "standard deviation", SPREAD, "times.std() / times.mean()", "quartiles"),
    Mistake("noise", "spread over low", SPREAD, "(high - low) / low", "by the median"),
    Mistake("noise", "first over last", DRIFT, "np.median(times[:half]) / np.median(times[-half:]) - 1", "the last half over the first"),
    Mistake("noise", "no drift is 1", DRIFT, DRIFT.removesuffix(" - 1"), "minus 1"),
    Mistake("noise", "means", DRIFT, DRIFT.replace("median", "mean"), "medians, not means"),
    Mistake("noise", "the middle in the last half", DRIFT, DRIFT.replace("times[-half:]", "times[half:]"), "belongs to neither half"),
    Mistake("noise", "sorted halves", "half = times.size // 2", "half, times = times.size // 2, np.sort(times)", "in the order they were taken"),
    Mistake("noise", "no care for one", " if half else 0.0", "", "no half, no drift"),
    Mistake("noise", "counts outliers", OUTLIERS, OUTLIERS.replace("np.mean", "np.sum"), "a share"),
    Mistake("noise", "outliers below", OUTLIERS, OUTLIERS.replace(">", "<"), "above is what counts"),
    Mistake("noise", "one distance", OUTLIERS, OUTLIERS.replace("3 * ", ""), "3 times the quartiles' distance"),
    Mistake("noise", "faster is quiet", "abs(drift)", "drift", "abs"),

    Mistake("benchmark-run", "one after the other", f"timings = {RACE}",
            "timings = {name: compare({name: call}, self.warmup, self.rounds, self.clock)[name] for name, call in calls.items()}", "compare(calls"),
    Mistake("benchmark-run", "its own rounds", RACE, "compare(calls, clock=self.clock)", "warmup and rounds"),
    Mistake("benchmark-run", "another clock", ", self.clock)", ")", "pass clock on"),
    Mistake("benchmark-run", "0 is no tolerance", "if self.agree is not None:", "if self.agree:", "agree may be 0"),
    Mistake("benchmark-run", "nobody is asked", "if self.agree is not None:", "if False:", "then np.allclose"),
    Mistake("benchmark-run", "always asks",
            "if self.agree is not None:", "self.agree = 1e-3 if self.agree is None else self.agree\n        if True:", "warmup and rounds"),
    Mistake("benchmark-run", "shapes that stretch", SHAPE, "", "compare shapes first"),
    Mistake("benchmark-run", "only relative", NEAR, "np.allclose(got, want, rtol=self.agree, atol=0)", "both tolerances"),
    Mistake("benchmark-run", "only absolute", NEAR, "np.allclose(got, want, rtol=0, atol=self.agree)", "both tolerances"),
    Mistake("benchmark-run", "leaves them out",
            "raise RuntimeError(f\"Benchmark: {name} does not give what {next(iter(given))} gives, and what is wrong is not fast\")",
            "calls = {n: c for n, c in calls.items() if n != name}", "then np.allclose"),

    Mistake("break-even", "the first crossing", "k = nothing[-1]", "k = np.flatnonzero(np.diff(saved > 0, append=saved[-1] > 0))[0]",
            "the last crossing"),
    Mistake("break-even", "stops at a size", CROSSES, "xs[k + 1]", "do not stop at a size"),
    Mistake("break-even", "the last bad size", CROSSES, "xs[k]", "a straight line"),
    Mistake("break-even", "goes the wrong way", CROSSES, CROSSES.replace("xs[k] - ", "xs[k] + "), "mind the sign"),
    Mistake("break-even", "from the other end", CROSSES, CROSSES.replace("xs[k] - ", "xs[k + 1] + "), "not from x[k + 1]"),
    Mistake("break-even", "looks for saving", "saved <= 0", "saved > 0", "nothing came back"),
    Mistake("break-even", "the same is less", "saved <= 0", "saved < 0", "the same is not less"),
    Mistake("break-even", "never says never", "if k == xs.size - 1:\n        return None\n    ", "", "None where"),
    Mistake("break-even", "no case for everywhere", "if not nothing.size:\n        return float(xs[0])\n    ", "", "xs[0]"),

    Mistake("pareto", "equal beat each other", BEATEN, "(points <= one).all(axis=2)", "equal points do not"),
    Mistake("pareto", "better in all", BEATEN, "(points < one).all(axis=2)", "a tie in one column"),
    Mistake("pareto", "better in any", BEATEN, "(points < one).any(axis=2)", "ALL columns"),
    Mistake("pareto", "large is good", BEATEN, BEATEN.replace("<", ">"), "that nobody beats"),
    Mistake("pareto", "the beaten ones", "~beaten.any(axis=1)", "beaten.any(axis=1)", "that nobody beats"),
    Mistake("pareto", "who beats nobody", "beaten.any(axis=1)", "beaten.any(axis=0)", "nobody beats"),
    Mistake("pareto", "True and False", "np.flatnonzero(~beaten.any(axis=1)).tolist()", "(~beaten.any(axis=1)).tolist()", "not True and False"),
    Mistake("pareto", "one by one", "points[:, None]", "points", "all pairs"),

    Mistake("percentiles", "from 0", "ordered[k - 1]", "ordered[k]", "the first sample is at place 1"),
    Mistake("percentiles", "rounds down", PLACE, "int(rank * ordered.size / 100)", "round up"),
    Mistake("percentiles", "rounds", PLACE, "round(rank * ordered.size / 100)", "round up"),
    Mistake("percentiles", "a mean of two",
            SAMPLE, "float(np.percentile(ordered, rank)) if k < ordered.size else None", "a time that somebody waited"),
    Mistake("percentiles", "the largest for all", " if k < ordered.size else None", "", "None where"),
    Mistake("percentiles", "one too careful", "k < ordered.size", "k + 1 < ordered.size", "is enough"),
    Mistake("percentiles", "no sorting", "float(ordered[k - 1])", "float(samples[k - 1])", "sort"),
    Mistake("percentiles", "NumPy's numbers", "float(ordered[k - 1])", "ordered[k - 1]", "float("),

    Mistake("time-to-quality", "asking counts",
            TIMED, "began = clock()\n        step()\n        history.append(float(quality()))\n        seconds += clock() - began",
            "costs no time"),
    Mistake("time-to-quality", "the last step only", "seconds += ", "seconds = ", "add the seconds"),
    Mistake("time-to-quality", "goes on", "while not reached and len(history) < most:", "while len(history) < most:", "stop as soon as"),
    Mistake("time-to-quality", "no end", "while not reached and len(history) < most:", "while not reached:", "at most"),
    Mistake("time-to-quality", "one more", "len(history) < most", "len(history) <= most", "at most"),
    Mistake("time-to-quality", "more is always better", ENOUGH, "history[-1] >= target", "less is better"),
    Mistake("time-to-quality", "only beyond", ENOUGH, "history[-1] > target if higher else history[-1] < target", "the target itself"),
    Mistake("time-to-quality", "asks first",
            TIMED, "history.append(float(quality()))\n        began = clock()\n        step()\n        seconds += clock() - began",
            "a step first"),

    Mistake("mlperf-run", "no warm-up", WARMUP, "pass", "the warm-up"),
    Mistake("mlperf-run", "warms up with the first", "for k in order[:self.warmup]:", "for k in range(self.warmup):", "of `order`"),
    Mistake("mlperf-run", "in the task's order", "for k in order:", "for k in range(n):", "in the order of `order`"),
    Mistake("mlperf-run", "answers as they come", ALONE, ALONE.replace("answers[k] =", "answers[len(seconds)] ="), "answers[k]"),
    Mistake("mlperf-run", "loses the axis", ALONE, ALONE.replace("task.queries[k:k + 1]", "task.queries[k]"), "with its axis"),
    Mistake("mlperf-run", "from the beginning",
            "for k in order:\n            began = self.clock()\n", "began = self.clock()\n        for k in order:\n", "the clock before and after"),
    Mistake("mlperf-run", "times the warm-up", WARMUP, WARMUP.replace("task.answer", "began = self.clock()\n            task.answer")
            + "\n            seconds.append(self.clock() - began)", "the warm-up is not timed"),
    Mistake("mlperf-run", "judges the crowd", "np.concatenate(answers))", "together)", "timed one by one"),
    Mistake("mlperf-run", "the times of all in one", "offline.append(self.clock() - began)", "offline.append(sum(seconds) + self.clock() - began)", "offline"),
    Mistake("mlperf-run", "once is enough", "for _ in range(self.rounds):", "for _ in range(1):", "self.rounds times"),
    Mistake("mlperf-run", "the same answers twice", "together = task.answer(model, task.queries)", "together = np.concatenate(answers)", "all at once"),
]

FLAT = "an array of two axes has its last one as axis 1"
EQUIVALENT = [
    Equivalent("bootstrap", f"found = {DRAWN}", "found = statistic(samples[rows], axis=-1)", FLAT),
    Equivalent("benchmark-run", "given = {name: np.asarray(call()) for name, call in calls.items()}",
               "given = {name: np.asarray(-call()) for name, call in calls.items()}", "both sides change their sign"),
    Equivalent("pareto", f"beaten = {BEATEN}", f"beaten = {BEATEN.replace('.any(axis=2)', '.any(axis=-1)')}", FLAT),
    Equivalent("pareto", f"beaten = {BEATEN}", f"beaten = {BEATEN.replace('.all(axis=2)', '.all(axis=-1)')}", FLAT),
    Equivalent("pareto", "return np.flatnonzero(~beaten.any(axis=1)).tolist()", "return np.flatnonzero(~beaten.any(axis=-1)).tolist()", FLAT),
    *(Equivalent("break-even", "if k == xs.size - 1:", f"if k == {cost}.size - 1:", "an array of costs has as many numbers as xs")
      for cost in ("cost_a", "cost_b", "saved")),
    Equivalent("noise", 'quiet = shares["spread"] <= 0.05 and shares["outliers"] <= 0.05 and abs(drift) <= 0.02',
               'quiet = shares["spread"] <= 0.05 and shares["outliers"] <= 0.05 and abs(drift) < 0.02',
               "a number near 1 minus 1 is never the float that is nearest to 0.02"),
]
