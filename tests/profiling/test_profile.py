"""The profiler looks on, and nothing is different for it: results, gradients, errors, the door, the model."""

import json
import math
import time
import tracemalloc

import numpy as np
import pytest

import tinytorch as tt
from tinytorch.core.tensor import around
from tinytorch.profiling import profiler
from tinytorch.profiling.profiler import Counted, Profiler, compare, count_work, measure, peak_memory, profile


def model_and_batch():
    tt.manual_seed(0)
    model = tt.GPT(9, 8, 2, 2, 12, dropout=0.1)
    ids = np.random.default_rng(0).integers(0, 9, (3, 13))
    return model, lambda: tt.cross_entropy(model(ids[:, :-1]).flatten(0, -2), ids[:, 1:].ravel())


def gradients(looked_at):
    model, loss_of = model_and_batch()
    if looked_at:
        with profile():
            loss = loss_of()
            loss.backward()
    else:
        loss = loss_of()
        loss.backward()
    return [loss.data, *(p.grad.data for p in model.parameters())]


def test_looking_on_changes_no_bit():
    for mine, plain in zip(gradients(True), gradients(False), strict=True):
        assert type(mine) is np.ndarray and mine.dtype == plain.dtype
        np.testing.assert_array_equal(mine, plain)


def test_an_error_passes_and_leaves_the_door_as_it_was():
    before, called = list(around), tt.Module.__call__
    with pytest.raises(ValueError, match="linear"):
        with profile() as p:
            tt.Linear(3, 2)(tt.randn(4, 5))
    assert around == before and tt.Module.__call__ is called and p.open == [p.root] and Counted.work.get() is None
    x = tt.randn(3, requires_grad=True)
    broken = tt.op(lambda x: x * 1.0)
    tt.core.autograd.gradient(broken)(lambda g: 1 / 0)
    with pytest.raises(ZeroDivisionError), profile() as p:
        broken(x).sum().backward()
    assert around == before and p.open == [p.root] and Counted.work.get() is None


def test_profiles_inside_one_another_see_the_same():
    model, loss_of = model_and_batch()
    with profile() as outer:
        with profile() as inner:
            loss_of().backward()
    rows = [{(row["name"], row["phase"]): (row["calls"], row["flops"], row["bytes"]) for row in p.rows()} for p in (outer, inner)]
    assert rows[0] == rows[1] and rows[0]["linear", "backward"][1] > 0


def test_a_checkpoint_nests_and_its_seconds_count_once():
    layer, x = tt.Linear(20, 20), tt.randn(50, 20, requires_grad=True)
    with profile() as p:
        tt.core.autograd.checkpoint(lambda x: tt.core.autograd.checkpoint(layer, x), x).sum().backward()
    rows = {(row["name"], row["phase"]): row for row in p.rows()}
    assert rows["linear", "forward"]["calls"] == 1
    again = rows["checkpoint", "backward"]
    assert again["calls"] == 3 and again["flops"] == 0 and again["own_seconds"] < again["seconds"] <= p.root.seconds
    assert rows["linear", "backward"]["flops"] == 2 * 2 * 50 * 20 * 20 + 4 * 50 * 20 * 20 + 50 * 20       # twice forward, and the rule


def test_the_tree_has_the_modules_by_name():
    model, loss_of = model_and_batch()
    with profile() as p:
        loss_of()
    names = {frame.name for frame, _ in p.root.walk()}
    assert {"GPT", "blocks.0 TransformerBlock", "mlp MLP", "qkv Linear", "causal_attention"} <= names
    frames = {id(frame): frame for frame, _ in p.root.walk()}
    assert all(frame.own >= -1e-9 for frame in frames.values())
    assert sum(frame.own for frame in frames.values()) == pytest.approx(p.root.seconds)


def test_the_dict_is_json_and_the_chart_a_file(tmp_path):
    model, loss_of = model_and_batch()
    with profile() as p:
        loss_of().backward()
    told = json.loads(json.dumps(p.to_dict()))
    assert told["flops"] == p.total("flops") and told["operations"][0]["own_seconds"] >= told["operations"][-1]["own_seconds"]
    picture = p.flame_chart(tmp_path / "ä b.svg")
    assert (tmp_path / "ä b.svg").read_text(encoding="utf-8") == picture
    assert picture.count("<rect") == sum(1 for _ in p.root.walk()) and picture.startswith("<svg")
    assert "linear" in p.table() and len(p.table(3).split("\n")) == 5


def test_names_are_safe_in_a_picture():
    odd = tt.op(lambda x: x + 1.0)
    odd.__name__ = "<b>&"
    with profile() as p:
        odd(tt.randn(3))
    assert "<b>" not in p.flame_chart() and "&lt;b&gt;&amp;" in p.flame_chart()


def test_the_clock_stands_still_while_the_profiler_works():
    """Counting runs each rule once more; what it takes must not be in anybody's seconds."""
    slow = tt.op(lambda x: x * 1.0)
    ran = []
    tt.core.autograd.gradient(slow)(lambda g: ran.append(time.sleep(0.05)) or g * 1.0)
    x = tt.randn(3, requires_grad=True)
    with profile() as p:
        slow(x).sum().backward()
    assert len(ran) == 2 and p.late >= 0.04
    assert 0.04 <= next(row["own_seconds"] for row in p.rows() if row["phase"] == "backward" and row["name"] == "<lambda>") < 0.09


def test_bytes_of_a_sum_are_those_it_reads():
    x = tt.randn(100)
    with profile() as p:
        x.sum()
        x.reshape(10, 10)
        x + 1.0
    moved = {row["name"]: row["bytes"] for row in p.rows()}
    assert moved == {"sum": 404, "reshape": 0, "add": 800}


# ---- memory -----------------------------------------------------------------------------------------

def test_the_peak_is_what_tracemalloc_saw():
    assert peak_memory(lambda: np.ones(1_000_000)) == pytest.approx(8e6, rel=1e-3)
    assert not tracemalloc.is_tracing()
    tracemalloc.start()
    try:
        assert peak_memory(lambda: np.ones(1000)) == pytest.approx(8000, rel=0.2)
        assert tracemalloc.is_tracing()
    finally:
        tracemalloc.stop()
    with pytest.raises(ZeroDivisionError):
        peak_memory(lambda: 1 / 0)
    assert not tracemalloc.is_tracing()


def test_memory_of_a_model_by_counting_arrays():
    model = tt.Sequential(tt.Linear(100, 1000, bias=False), tt.ReLU(), tt.Linear(1000, 10, bias=False))
    told = Profiler().measure_memory(model, (64, 100))
    assert told["parameter_memory_mb"] * 2**20 == 4 * (100_000 + 10_000)
    assert told["activation_memory_mb"] * 2**20 == pytest.approx(2 * 4 * 64 * 1000, rel=0.02)      # what goes into ReLU, and comes out
    assert told["peak_memory_mb"] == told["parameter_memory_mb"] + told["activation_memory_mb"]


# ---- reports ----------------------------------------------------------------------------------------

FORWARD = {"parameters", "flops", "latency_ms", "parameter_memory_mb", "activation_memory_mb", "peak_memory_mb", "memory_efficiency",
           "gflops_per_second", "memory_bandwidth_mbs", "computational_efficiency", "bottleneck"}
BACKWARD = {"forward_flops", "backward_flops", "gradient_memory_mb", "total_flops", "total_latency_ms", "total_memory_mb",
            "optimizer_memory_estimates"}


def test_the_reports_have_their_keys():
    model, x = tt.Linear(8, 4), tt.randn(5, 8)
    forward, backward = profiler.profile_forward_pass(model, x), profiler.profile_backward_pass(model, x)
    assert set(forward) >= FORWARD and set(backward) >= BACKWARD and {"sgd", "adam", "adamw"} <= set(backward["optimizer_memory_estimates"])
    assert (forward["flops"], backward["forward_flops"], backward["backward_flops"]) == (64, 68, 68)       # the sum, too; nothing for x
    assert forward["bottleneck"] in ("memory", "compute") and 0 < forward["computational_efficiency"] < 2
    json.dumps([forward, backward])


def test_a_report_leaves_no_trace():
    model = tt.Sequential(tt.Conv2d(1, 2, 3), tt.BatchNorm2d(2), tt.Dropout(0.5), tt.Flatten())
    x = tt.randn(4, 1, 6, 6)
    model(x).sum().backward()
    before, grads = model.state_dict(), [p.grad for p in model.parameters()]
    drawn, modes = tt.default_generator.bit_generator.state, [m.training for m in model.modules()]
    profiler.profile_backward_pass(model, x)
    profiler.profile_forward_pass(model, x)
    assert all(np.array_equal(array, before[name]) for name, array in model.state_dict().items())
    assert [p.grad for p in model.parameters()] == grads or all(p.grad is g for p, g in zip(model.parameters(), grads, strict=True))
    assert tt.default_generator.bit_generator.state == drawn and [m.training for m in model.modules()] == modes


@pytest.mark.filterwarnings("ignore:invalid value")
def test_a_model_with_nan_survives():
    model = tt.Linear(2, 2)
    profiler.profile_backward_pass(model, tt.Tensor([[math.inf, 1.0]]))
    assert np.isfinite(model.weight.data).all()


def test_analyses_measure_what_they_say():
    scaling = profiler.analyze_model_scaling((8, 16), batch=4)
    assert [row["flops"] for row in scaling] == [16 * 8 * 8 + 9 * 32, 16 * 16 * 16 + 9 * 64]
    batches = profiler.analyze_batch_size_effects(batch_sizes=(1, 64), input_shape=(32,))
    assert batches[1]["activation_memory_mb"] > 30 * batches[0]["activation_memory_mb"] / 2
    rows = {row["name"]: row for row in profiler.benchmark_operation_efficiency(64, peak=(1e11, 1e9))}
    assert rows["matmul"]["intensity"] == pytest.approx(2 * 64**3 / (3 * 4 * 64**2)) and rows["add"]["bound"] == "memory"
    cost = profiler.analyze_profiling_overhead(rounds=3)
    assert set(cost) == {"plain_ms", "profiled_ms", "overhead_percent", "microseconds_per_operation"}


# ---- the clock --------------------------------------------------------------------------------------

def test_each_call_is_made_as_often_as_asked():
    seen = []
    times = compare({"a": lambda: seen.append("a"), "b": lambda: seen.append("b")}, 1, 4)
    assert "".join(seen) == "ab" * 5 and len(times["a"].times) == 4
    one = measure(lambda: seen.append("c"), 2, 3)
    assert seen.count("c") == 5 and one.low <= one.median <= one.high and "rounds" in repr(one)


def test_arrays_that_count_give_what_plain_ones_give():
    x, w = (np.random.default_rng(0).normal(size=s).astype("float32") for s in ((4, 5), (5, 3)))

    def call(x, w):
        y = np.where(x @ w > 0, np.einsum("ij,jk->ik", x, w), 0.0)
        y += 1.0
        return y.sum(axis=0), [y.mean(), y.T]
    got, work = count_work(call, x, w)
    want = call(x, w)
    for mine, plain in zip([got[0], *got[1]], [want[0], *want[1]], strict=True):
        assert type(mine) is not Counted and np.array_equal(mine, plain) and mine.dtype == plain.dtype
    assert work["matmul"] == 2 * 4 * 5 * 3 and work["greater"] == 12 and Counted.work.get() is None
