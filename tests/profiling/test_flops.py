"""The table of FLOPs against what NumPy is really asked for, and against torch's own counter."""

import importlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tinytorch as tt
from tests.conformance.forms import cases
from tests.conformance.operations import OPERATIONS
from tinytorch.core.tensor import OPS, around
from tinytorch.profiling.profiler import FLOPS, Profiler, count_work, flops_of, profile

BEFORE = [path for path, (number, _) in tt.MODULES.items() if number < 15 and tt.built(path)]
BY_DEFINITION = {                       # the table says what the operation means, NumPy does it another way
    "linear": "the bias is one of the additions", "convolve": "the bias is one of the additions",
    "argmax": "no ufunc", "argmin": "no ufunc", "scatter_sum": "no ufunc", "dropout": "p = 1 drops everything at once",
    "power": "of a number by a number Python makes it", "clip": "of a number by a number Python makes it"}


def test_every_operation_has_an_entry():
    for path in BEFORE:
        importlib.import_module(path)
    names = {operation.__name__ for operation in OPS.values() if operation.__module__ in BEFORE}
    assert names - FLOPS.keys() == set()


def told_and_done(name, *arrays, **params):
    """What the table says of one call, and what NumPy was asked for."""
    made, work = count_work(lambda *a: OPS[name].__wrapped__(*a, **params), *arrays)
    return flops_of(name, arrays, params, np.asarray(made[0] if type(made) is tuple else made)), sum(work.values())


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_the_table_says_what_numpy_is_asked_for(data):
    operation = data.draw(st.sampled_from(list(OPERATIONS.values())))
    case = data.draw(cases(operation, dtype="float32"))
    if operation.refuses(case.arrays, case.settings):
        return

    def watch(call, op, arrays, params):
        before, made = list(arrays), call(arrays, params)
        if op.__module__ in BEFORE and op.__name__ not in BY_DEFINITION and all(np.ndim(a) for a in before if isinstance(a, np.ndarray)):
            told, work = flops_of(op.__name__, before, params, np.asarray(made[0] if type(made) is tuple else made)), 0
            work = sum(count_work(lambda *again: call(list(again), params), *before)[1].values())
            rows = max((a.size // max(a.shape[-1], 1) + a.shape[-1] for a in before if isinstance(a, np.ndarray)), default=0)
            assert abs(told - work) <= 8 * rows + 60, (op.__name__, told, work)          # what is done once a row, or once a channel
        return made
    around.append(watch)
    try:
        with np.errstate(all="ignore"):
            operation.ours(*(tt.Tensor(a, dtype=a.dtype) for a in case.arrays), **case.settings)
    except (ValueError, IndexError):
        pass
    finally:
        around.remove(watch)


def floats(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


@pytest.mark.parametrize(("name", "arrays", "params"), [
    ("matmul", (floats(3, 20, 30), floats(30, 40)), {}), ("softmax", (floats(64, 100), -1), {}),
    ("cross_entropy", (floats(64, 100), np.arange(64)), {}),
    ("gelu", (floats(30, 30),), {}), ("gelu", (floats(30, 30),), {"approximate": "tanh"}),
    ("causal_attention", (floats(2, 150, 96),), {"num_heads": 4}), ("layer_norm", (floats(256, 256), 256, floats(256), floats(256)), {}),
    ("rms_norm", (floats(256, 256), 256, floats(256)), {}), ("batch_norm", (floats(64, 8, 12, 12), floats(8), abs(floats(8))), {}),
    ("batch_norm", (floats(64, 8, 12, 12), floats(8), abs(floats(8)), floats(8), floats(8), True), {}),
    ("convolve", (floats(8, 4, 9, 9), floats(6, 2, 3, 3), None, (1, 1), (1, 1), 2), {}),
    ("convolve_weight", (floats(8, 4, 9, 9), floats(8, 6, 7, 7), (3, 3), (1, 1), (1, 1), 2), {}),
    ("sum_by_id", (floats(10, 5), np.arange(10) % 4), {"count": 7}), ("sum_by_id", (floats(10, 5), np.arange(10) % 4), {"count": 70}),
    ("col2im", (floats(2, 12, 9), (4, 4), 2), {}),
    ("scatter_lines", (floats(2, 3, 4, 4),) * 2, {"dim": 2, "size": 5, "stride": 1, "dilation": 1})])
def test_large_inputs_agree_within_a_hundredth(name, arrays, params):
    told, done = told_and_done(name, *arrays, **params)
    assert told == pytest.approx(done, rel=0.011)


def test_the_first_layer_of_resnet():
    told = flops_of("convolve", [np.empty((1, 3, 224, 224)), np.empty((64, 3, 7, 7)), None], {}, np.empty((1, 64, 112, 112)))
    assert told == 236_027_904


# ---- torch's own counter, which counts products only ------------------------------------------------

PRODUCTS = {"linear", "matmul", "convolve"}


def ours(model, x):
    """FLOPs of the products of a training step, forward and backward."""
    with profile() as p:
        model(x).sum().backward()
    rows = [row for row in p.rows() if row["name"] in PRODUCTS]
    return tuple(sum(row["flops"] for row in rows if row["phase"] == phase) for phase in ("forward", "backward"))


def theirs(torch, model, x):
    from torch.utils.flop_counter import FlopCounterMode
    counts = []
    with FlopCounterMode(display=False) as counter:
        y = model(x).sum()
        counts.append(counter.get_total_flops())
        y.backward()
    return counts[0], counter.get_total_flops() - counts[0]


def test_a_perceptron_costs_what_torch_says():
    torch = pytest.importorskip("torch")
    sizes = [(20, 30), (30, 40), (40, 5)]
    model = tt.Sequential(*[layer for n, m in sizes for layer in (tt.Linear(n, m, bias=False), tt.GELU("tanh"))])
    other = torch.nn.Sequential(*[layer for n, m in sizes for layer in (torch.nn.Linear(n, m, bias=False), torch.nn.GELU("tanh"))])
    assert ours(model, tt.randn(7, 20)) == theirs(torch, other, torch.randn(7, 20))


def test_a_convolution_costs_what_torch_says():
    torch = pytest.importorskip("torch")
    for settings_ in ({}, {"stride": 2, "padding": 1}, {"groups": 2}, {"dilation": 2}):
        model, other = tt.Conv2d(4, 6, 3, bias=False, **settings_), torch.nn.Conv2d(4, 6, 3, bias=False, **settings_)
        mine = ours(model, tt.randn(5, 4, 11, 11, generator=np.random.default_rng(0)))
        want = theirs(torch, other, torch.randn(5, 4, 11, 11))
        back = want[1] // settings_.get("groups", 1)                                  # torch's counter forgets the groups on the way back
        assert mine[0] == want[0] and back <= mine[1] <= 1.01 * back          # and an addition for each part that fits in the cache


def test_attention_costs_what_torch_says():
    torch = pytest.importorskip("torch")

    def attend(q):
        return (q @ q.mT).softmax(-1) @ q
    x = np.random.default_rng(0).normal(size=(2, 3, 8, 4))
    mine, want = ours(attend, tt.Tensor(x, requires_grad=True)), theirs(torch, attend, torch.tensor(x, requires_grad=True))
    assert mine == want


# ---- models -----------------------------------------------------------------------------------------

@pytest.mark.parametrize(("make", "shape"), [
    (lambda: tt.Linear(12, 5), (12,)),
    (lambda: tt.Sequential(tt.Conv2d(2, 4, 3), tt.BatchNorm2d(4), tt.ReLU(), tt.MaxPool2d(2), tt.Flatten()), (2, 8, 8)),
    (lambda: tt.GPT(9, 8, 2, 2, 12), (7,)), (lambda: tt.GPT(9, 8, 2, 2, 12, positions="rotary"), (7,)),
    (lambda: tt.Sequential(tt.Linear(6, 6), tt.Dropout(0.5)), (6,))])
def test_flops_are_those_of_one_sample(make, shape):
    model = make()
    one = Profiler().count_flops(model, (1, *shape))
    assert one == Profiler().count_flops(model, (64, *shape)) > 0
    x = tt.Tensor(np.zeros((16, *shape), int)) if isinstance(model, tt.GPT) else tt.randn(16, *shape)
    model.eval()
    with profile() as p:
        model(x)
    assert p.total("flops") == 16 * one


def test_an_operation_without_an_entry_is_counted():
    class Cube(tt.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x * x

        @staticmethod
        def backward(ctx, g):
            return g * ctx.saved_tensors[0] * ctx.saved_tensors[0] * 3.0
    fresh = tt.op(lambda x: np.tanh(x * 2.0))
    x = tt.randn(10, requires_grad=True)
    with profile() as p:
        (Cube.apply(x) + fresh(x.detach())).sum().backward()
    by_name = {(row["name"], row["phase"]): row["flops"] for row in p.rows()}
    assert by_name["Cube", "forward"] == by_name["Cube", "backward"] == 0                # what is inside passes the door itself
    assert (by_name["multiply", "forward"], by_name["multiply", "backward"], by_name["<lambda>", "forward"]) == (20, 30, 20)


def test_second_derivatives_are_counted_as_the_operations_that_they_are():
    x = tt.randn(10, requires_grad=True)
    with profile() as p:
        (slope,) = tt.core.autograd.grad((x * x * x).sum(), x, create_graph=True)
        slope.sum().backward()
    assert p.total("flops", "backward") > 0 and x.grad.shape == (10,)


@pytest.mark.skipif(not tt.built("generation.kv_cache"), reason="module 14 is not built")
def test_steps_of_a_cache_cost_what_numpy_is_asked_for(monkeypatch):
    model = tt.GPT(50, 32, 2, 4, 64)
    tt.enable_kv_cache(model)
    prompt = np.arange(10) % 50
    told, counted = [], []
    for found, names in ((told, ()), (counted, ("block_step", "head_step", "cached_attention"))):
        for name in names:
            monkeypatch.delitem(FLOPS, name)                     # without an entry the arrays count
        with profile() as p:
            model.generate(prompt, 20, temperature=0)
        found += [sum(row["flops"] for row in p.rows() if row["name"] == name) for name in ("block_step", "head_step", "cached_attention")]
    assert min(told) > 0 and told == pytest.approx(counted, rel=0.06)
    looked_up = [(row["calls"], row["flops"]) for row in p.rows() if row["name"] == "start_step"]
    assert looked_up == [(19, 19 * 32)], "what is looked up is not computed"
