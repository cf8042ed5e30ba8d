"""Module 19: statistics against brute force, races, suites and pictures, and a competition that cannot be cheated easily."""

import json
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinytorch as tt
from tinytorch.benchmarking import benchmark as b
from tinytorch.core.autograd import is_grad_enabled

ROOT = Path(__file__).resolve().parents[2]
whole = st.integers(0, 5).map(float)
rows = st.lists(whole, min_size=1, max_size=8)


class Reader(tt.Module):
    """The label of the nearest scan."""

    def __init__(self, scans, labels):
        self.scans, self.labels = tt.Parameter(scans.reshape(len(scans), -1).T), labels

    def forward(self, x):
        near = 2 * x.flatten(1).numpy() @ self.scans.data - (self.scans.data ** 2).sum(0)
        return tt.Tensor(np.stack([near[:, self.labels == digit].max(1) for digit in range(10)], axis=1))


@pytest.fixture(scope="module")
def digits():
    return b.DigitsTask()


@pytest.fixture(scope="module")
def reader(digits):
    return Reader(*digits.train)


# ---- statistics ------------------------------------------------------------------------------------

@pytest.mark.parametrize("n, least, most", [(3, 0.68, 0.80), (11, 0.91, 0.97), (41, 0.91, 0.97)])
def test_intervals_hold_the_truth_as_often_as_they_promise(n, least, most):
    rng = np.random.default_rng(7)
    held = [low <= 1 <= high for low, high in (b.bootstrap_interval(np.exp(rng.normal(size=n)), generator=rng) for _ in range(1500))]
    assert least < np.mean(held) < most


def test_an_interval_repeats_with_its_generator_and_the_course_s():
    x = np.random.default_rng(0).random(9)
    tt.manual_seed(3)
    first = b.bootstrap_interval(x)
    tt.manual_seed(3)
    assert b.bootstrap_interval(x) == first != b.bootstrap_interval(x)
    assert b.BenchmarkResult("a", x).interval == b.BenchmarkResult("b", x).interval
    for wrong in (0, 1, 95, float("nan")):
        with pytest.raises(ValueError, match="confidence"):
            b.bootstrap_interval(x, confidence=wrong)


@given(rows, rows)
def test_effect_size_counts_pairs(a, c):
    pairs = [(p > q) - (p < q) for p in a for q in c]
    assert b.effect_size(a, c) == pytest.approx(sum(pairs) / len(pairs)) == -b.effect_size(c, a)


@given(st.lists(st.tuples(whole, whole, whole), min_size=1, max_size=12), st.sets(st.integers(0, 2)))
def test_the_frontier_is_what_nobody_beats(points, higher):
    turned = [tuple(-v if k in higher else v for k, v in enumerate(p)) for p in points]
    want = [k for k, p in enumerate(turned) if not any(all(x <= y for x, y in zip(q, p)) and q != p for q in turned)]
    assert b.pareto_frontier(points, higher=sorted(higher)) == want


@given(st.lists(st.floats(-3, 3).map(lambda v: round(v, 2)), min_size=1, max_size=9))
def test_break_even_is_the_last_crossing(saved):
    xs = np.arange(1.0, len(saved) + 1)
    found = b.break_even(xs, saved, np.zeros(len(saved)))
    fine = np.union1d(np.linspace(1, len(saved), 4001), xs)
    bad = fine[np.interp(fine, xs, saved) <= 0]
    if saved[-1] <= 0:
        assert found is None
    elif not bad.size:
        assert found == pytest.approx(1, abs=0.01)
    else:
        assert found == pytest.approx(bad[-1], abs=(len(saved) - 1) / 4000 + 1e-9)


@given(st.lists(whole, min_size=1, max_size=30), st.sampled_from([1, 10, 25, 50, 75, 90, 99]))
def test_percentiles_are_samples(x, rank):
    found = b.percentiles(x, (rank,))[f"p{rank}"]
    place = -(-rank * len(x) // 100)
    assert found is None if place >= len(x) else found == np.percentile(x, rank, method="inverted_cdf")


@pytest.mark.parametrize("wrong", [[], [[1.0]], [np.nan], [np.inf], 3.0])
def test_what_is_no_row_of_numbers_is_refused(wrong):
    for call in (b.bootstrap_interval, b.noise_of, b.percentiles, lambda x: b.effect_size(x, [1.0]), lambda x: b.BenchmarkResult("a", x)):
        with pytest.raises(ValueError, match="a row of finite numbers"):
            call(wrong)


# ---- races, suites, pictures -----------------------------------------------------------------------

def test_models_race_at_rest_and_are_then_as_they_were():
    seen = []

    class Watch(tt.Module):
        def forward(self, x):
            seen.append((self.training, is_grad_enabled()))
            return x * 2

    model, quiet = Watch(), Watch().eval()
    results = b.Benchmark({"a": model, "b": quiet, "c": lambda x: x + x}, x=tt.ones(3), warmup=1, rounds=2, agree=1e-6).run()
    assert list(results) == ["a", "b", "c"] and set(seen) == {(False, False)} and len(seen) == 8
    assert model.training and not quiet.training and is_grad_enabled()
    seen.clear()
    with pytest.raises(RuntimeError, match="off does not give what a gives"):
        b.Benchmark({"a": model, "off": lambda x: x}, x=tt.ones(3), agree=1e-6).run()
    assert model.training and is_grad_enabled() and len(seen) == 1
    b.Benchmark({"a": lambda: seen.append(is_grad_enabled())}, rounds=1).run()
    assert seen[-1] is True, "functions may train"


def test_a_speed_up_is_one_of_rounds():
    a, c = b.BenchmarkResult("a", [1.0, 2.0, 10.0]), b.BenchmarkResult("b", [3.0, 8.0, 20.0])
    found = a.speedup_over(c)
    assert found.samples.tolist() == [3.0, 4.0, 2.0] and found.median == 3.0 and found.unit == "×"
    assert repr(found).startswith("a over b: 3 ×")
    with pytest.raises(ValueError, match="the same rounds wanted, not 3 and 1"):
        a.speedup_over(b.BenchmarkResult("c", [1.0]))


def test_a_suite_tells_and_keeps_what_it_found(tmp_path, digits, reader):
    small = Reader(*(part[:100] for part in digits.train))
    models, right = {"all <&>": reader, "100": small}, lambda m: digits.quality(m, digits.answer(m, digits.queries))
    suite = b.BenchmarkSuite(models, tt.Tensor(digits.queries), right, rounds=3)
    found = suite.run()
    assert found["all <&>"]["quality"] > found["100"]["quality"] > 0.7 and found["all <&>"]["peak_bytes"] > found["100"]["peak_bytes"] > 0
    np.savez(tmp_path / "model.npz", **reader.state_dict())
    assert found["all <&>"]["bytes"] == (tmp_path / "model.npz").stat().st_size
    suite.save(tmp_path / "suite.json")
    saved = json.loads((tmp_path / "suite.json").read_text(encoding="utf-8"))
    again = b.BenchmarkResult.from_dict(saved["100"]["seconds"])
    assert again.samples.tolist() == found["100"]["seconds"].samples.tolist() and repr(again) == repr(found["100"]["seconds"])
    for cost in ("seconds", "bytes", "peak_bytes"):
        tree = ElementTree.fromstring(suite.plot(cost))
        words = [text.text for text in tree.iter("{http://www.w3.org/2000/svg}text")]
        assert {"all <&>", "100", f"quality over {cost}"} <= set(words)
    assert "all <&>" in suite.table() and f"{found['100']['bytes']:,}" in suite.table()


def test_a_picture_of_one_point_or_of_equal_ones():
    for names, costs, qualities in ((["one"], [3.0], [0.5]), (["a", "b"], [2.0, 2.0], [1.0, 1.0])):
        circles = [c.attrib for c in ElementTree.fromstring(b.plot_pareto(names, costs, qualities)).iter("{http://www.w3.org/2000/svg}circle")]
        assert len(circles) == len(names) and all(c["fill"] == "#4c72b0" for c in circles)


# ---- the competition -------------------------------------------------------------------------------

@pytest.fixture
def milestones(monkeypatch):
    """A file of milestones/, as a dict."""
    monkeypatch.setattr(sys, "path", [str(ROOT / "milestones"), *sys.path])
    yield lambda name: runpy.run_path(str(ROOT / "milestones" / f"{name}.py"))
    for name in ("common", "corpora", "handwriting"):
        sys.modules.pop(name, None)


def test_both_tasks_hold_back_what_the_milestones_hold_back(milestones, digits):
    asked = SimpleNamespace(validate=False, fact=lambda *told: None)
    learn, held = milestones("handwriting")["split"](asked, tt.load_digits().tensors[1].numpy())
    images = tt.load_digits().tensors[0].numpy()
    assert np.array_equal(digits.queries, images[held]) and np.array_equal(np.sort(digits.train[0], axis=0), np.sort(images[learn], axis=0))
    text = tt.text.load_text()
    tokenizer = tt.text.CharTokenizer().train(text)
    task = b.WritingTask(tokenizer)
    learnt, held = milestones("corpora")["split"](asked, "it", text)
    assert task.train == learnt and all(tokenizer.decode(row) in held for row in task.held[::10])


def test_a_reader_enters_and_forged_papers_are_found_out(digits, reader):
    perf = b.TinyMLPerf()
    entry = perf.run(digits, reader)
    assert entry["valid"] and entry["quality"] > 0.97 and entry["queries"] == 360 and entry["per_second"] > 0
    assert 0 < entry["latency_ms"]["p50"] <= entry["latency_ms"]["p90"] <= entry["latency_ms"]["p99"]
    assert json.loads(json.dumps(entry)) == entry
    calm = {"tolerance": 1e9}
    assert perf.audit(digits, reader, entry, **calm) == [] == perf.audit(digits, reader, json.loads(json.dumps(entry)), **calm)
    for forged in ({"task": "writing"}, {"target": 0.5}, {"queries": 1}, {"quality": 1.0}, {"valid": False}, {"bytes": 9}, {"sha256": ""}):
        assert [line.split()[0] for line in perf.audit(digits, reader, entry | forged, **calm)] == [*forged]
    assert len(perf.audit(digits, reader, {}, **calm)) == 11, "seven facts, three latencies, and how many a second"
    for forged in ({"latency_ms": {"p50": 0.0, "p90": None}}, {"per_second": 1e99}, {"per_second": 0.0}, {"per_second": float("nan")}):
        assert perf.audit(digits, reader, entry | forged, **calm)
    other = Reader(digits.train[0] + 1e-7, digits.train[1])
    assert [line.split()[0] for line in perf.audit(digits, other, entry, **calm)] == ["sha256"], "the model that was handed in, bit for bit"


def test_who_is_good_only_in_company_is_not_valid(digits, reader):
    class Shy(Reader):
        def forward(self, x):
            scores = super().forward(x)
            return scores if len(x) > 1 else scores * 0.0
    shy = b.TinyMLPerf().run(digits, Shy(*digits.train))
    assert not shy["valid"] and shy["quality"] < 0.2
    fast = Reader(*digits.train)
    fast.forward = lambda x: Reader.forward(fast, x) if len(x) == 1 else tt.zeros(len(x), 10)
    found = b.TinyMLPerf().run(digits, fast)
    assert not found["valid"] and found["quality"] > 0.97


def test_writing_is_judged_by_the_model_s_own_scores():
    text = "".join(f"{n} bottles of milk on the wall\n" for n in range(8000))
    tokenizer = tt.text.CharTokenizer().train(text)
    task = b.WritingTask(tokenizer, text, prompt=4, length=6, count=8)
    tt.manual_seed(0)
    model, perf = tt.GPT(tokenizer.vocab_size, 8, 1, 2, 10), b.TinyMLPerf()
    before = perf.run(task, model)
    uniform = np.log2(tokenizer.vocab_size)
    assert before["quality"] == pytest.approx(uniform, abs=0.5) and not before["valid"] and before["task"] == "writing"
    optimizer, ids, rng = tt.Adam(model.parameters(), lr=0.02), np.array(tokenizer.encode(task.train[:20000])), np.random.default_rng(0)
    for _ in range(60):
        window = ids[rng.integers(0, len(ids) - 11, 16)[:, None] + np.arange(11)]
        optimizer.zero_grad()
        tt.next_token_loss(model(window[:, :-1]), window[:, 1:]).backward()
        optimizer.step()
    after = perf.run(task, model)
    assert after["quality"] < 3 and after["valid"]
    model.generate = lambda ids, count, temperature: np.column_stack([ids, np.zeros((len(ids), count), int)])
    assert perf.run(task, model)["quality"] == np.inf and not perf.run(task, model)["valid"]


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=6), st.floats(0, 1), st.integers(1, 6), st.booleans())
def test_learning_ends_at_the_target_or_at_the_end(found, target, most, higher):
    steps, levels = [], iter(found * 6)
    clock = lambda: float(len(steps))                                   # noqa: E731
    told = b.time_to_quality(lambda: steps.append(1), levels.__next__, target, most, higher, clock)
    enough = [(q >= target) if higher else (q <= target) for q in (found * 6)[:most]]
    want = enough.index(True) + 1 if True in enough else most
    assert told == {"reached": True in enough, "steps": want, "seconds": float(want), "history": (found * 6)[:want]}
