"""What acceleration promises: the same numbers, halves that take half, gradients that are still there, and a door left as it was."""

import gc
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hn

import tinytorch as tt
from tinytorch.core import tensor as door
from tinytorch.core.autograd import newest_first
from tinytorch.optimization import acceleration as acc
from tinytorch.optimization.acceleration import MixedPrecisionTrainer, autocast, fuse, kept_bytes, tiled_matmul
from tinytorch.profiling.profiler import count_work, peak_memory, profile

try:
    import torch
except ImportError:                                 # the extra `conformance`
    torch = None
needs_torch = pytest.mark.skipif(torch is None, reason="torch is only installed where conformance is checked: see the extra `conformance`")
HALVES = pytest.mark.parametrize("dtype", ["float16", "bfloat16"])


def drawn(*shape, seed=0, **how):
    return tt.Tensor(np.random.default_rng(seed).normal(size=shape), **how)


def gpt():
    return tt.GPT(17, 32, 2, 2, 16, generator=np.random.default_rng(0))


def cnn():
    rng = np.random.default_rng(0)
    return tt.Sequential(tt.Conv2d(1, 6, 3, padding=1, generator=rng), tt.BatchNorm2d(6), tt.ReLU(), tt.MaxPool2d(2),
                         tt.Conv2d(6, 8, 3, padding=1, generator=rng), tt.GELU(), tt.AvgPool2d(2), tt.Flatten(),
                         tt.Linear(32, 5, generator=rng))


def works():
    """Losses of models of every kind, by name: (model, a function that computes its loss)."""
    rng = np.random.default_rng(1)
    ids, images, labels = rng.integers(0, 17, (4, 17)), drawn(32, 1, 8, 8), rng.integers(0, 5, 32)
    writer, reader = gpt(), cnn()
    deep = tt.Sequential(*[part for _ in range(6) for part in (tt.Linear(64, 64, generator=rng), tt.Tanh())], tt.Linear(64, 5))
    flat, classes = drawn(256, 64, seed=2), rng.integers(0, 5, 256)
    return {"gpt": (writer, lambda: tt.next_token_loss(writer(ids[:, :-1]), ids[:, 1:])),
            "cnn": (reader, lambda: tt.cross_entropy(reader(images), labels)), "mlp": (deep, lambda: tt.cross_entropy(deep(flat), classes))}


def stored(call, dtype):
    with autocast(dtype):
        return call()


# ---- products and chains -----------------------------------------------------------------------

@pytest.mark.parametrize("tile", [1, 3, 64])
@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
def test_tiles_give_the_product_in_full_precision(kind, tile):
    a, b = (np.random.default_rng(seed).normal(size=(20, 20)).astype(kind) for seed in (0, 1))
    got = tiled_matmul(tt.Tensor(a, dtype=a.dtype), tt.Tensor(b, dtype=b.dtype), tile)
    wide = np.float64 if kind == "float64" else np.float32
    assert got.dtype == wide
    np.testing.assert_allclose(got.numpy(), a.astype(float) @ b.astype(float), rtol=1e-5, atol=1e-5)


def test_tiles_of_halves_widen_no_more_than_tiles():
    a = np.ones((512, 512), np.float16)
    assert peak_memory(lambda: tiled_matmul.__wrapped__(a, a, 64)) < 1.2 * 4 * 512 * 512        # the result, and a few tiles


@pytest.mark.parametrize("call", [
    lambda: tt.vectorized_matmul(np.ones((2, 3)), np.ones((2, 3))), lambda: tt.vectorized_matmul(np.ones(3), np.ones(3)),
    lambda: tiled_matmul(np.ones((2, 2)), np.ones((2, 2)), 0), lambda: tiled_matmul(np.ones((2, 2), int), np.ones((2, 2))),
    lambda: fuse(lambda x, y: x + y)(np.ones(2), np.ones(3)), lambda: fuse(lambda x: x * 2)(tt.Tensor([1, 2])),
    lambda: autocast("int8").__enter__(), lambda: MixedPrecisionTrainer(None, None, loss_scale=0.0),
    lambda: MixedPrecisionTrainer(None, None, growth_interval=0), lambda: MixedPrecisionTrainer(None, None, loss_scale=2.0 ** 20)])
def test_what_does_not_fit_is_refused(call):
    with pytest.raises(ValueError):
        call()


def test_fused_means_one_operation_that_keeps_its_input_alone():
    x = drawn(50, 40, requires_grad=True)
    for f, operations in ((tt.unfused_gelu, 9), (tt.fused_gelu, 1), (fuse(lambda x: np.tanh(x) * x + 1.0), 1)):
        assert len(newest_first([f(x).node])) == operations
    kept = {f: kept_bytes(lambda f=f: f(drawn(400, 500, requires_grad=True))) for f in (tt.unfused_gelu, tt.fused_gelu)}
    assert kept[tt.fused_gelu] < 0.4 * kept[tt.unfused_gelu]


def test_fused_work_is_the_work():
    piece = np.random.default_rng(0).normal(size=1000)
    _, work = count_work(lambda out, x: acc.gelu_into(out, x), np.empty(1000), piece)
    assert sum(work.values()) == 8 * 1000
    _, work = count_work(lambda x: acc.in_pieces(lambda x: np.exp(x) * x, x), np.ones(acc.SPAN + 7))
    assert sum(work.values()) == 2 * (acc.SPAN + 7)


def test_a_fused_name_does_not_replace_an_operation():
    before = door.OPS["exp"]

    def exp(x):
        return np.exp(x)
    assert fuse(exp).__name__ == "fused_exp" and door.OPS["exp"] is before


def test_fused_gradients_reach_what_is_given_twice_and_transposed():
    f = fuse(lambda x, y: np.exp(x) * y)
    x, z = drawn(3, 4, requires_grad=True), drawn(3, 4, requires_grad=True)
    f(x.T, z.T * 1.0).sum().backward()
    got, other = x.grad.numpy(), z.grad.numpy()
    x.zero_grad()
    z.zero_grad()
    (x.T.exp() * z.T).sum().backward()
    np.testing.assert_allclose(got, x.grad.numpy(), rtol=1e-6)
    np.testing.assert_allclose(other, z.grad.numpy(), rtol=1e-6)
    x.zero_grad()
    f(x, x).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.exp(x.numpy()) * (1 + x.numpy()), rtol=1e-5)
    with pytest.raises(RuntimeError, match="no second derivative"):
        tt.grad(f(x, x).sum(), x, create_graph=True)


# ---- sixteen bits ------------------------------------------------------------------------------

@settings(deadline=None, max_examples=200)
@given(hn.arrays(np.uint32, st.integers(0, 40)))
def test_bfloat16_rounds_to_the_nearest_even(bits):
    x = bits.view(np.float32)
    packed = acc.to_bfloat16(x)
    assert packed.dtype == np.uint16 and packed.shape == x.shape
    back = acc.from_bfloat16(packed)
    np.testing.assert_array_equal(np.isnan(back), np.isnan(x))
    np.testing.assert_array_equal(acc.to_bfloat16(back), np.where(np.isnan(x), 0x7FC0, packed))          # once rounded, it stays
    normal = np.isfinite(x) & np.isfinite(back) & (abs(x) > 1e-37)
    assert (abs(back - x.astype(float))[normal] <= abs(x[normal].astype(float)) / 256).all()


@needs_torch
def test_bfloat16_is_torchs():
    bits = np.random.default_rng(0).integers(0, 1 << 32, 100_000, dtype=np.uint32)
    bits[:50_000] = (bits[:50_000] & 0xFFFF0000) | np.random.default_rng(1).choice([0x7FFF, 0x8000, 0x8001], 50_000).astype(np.uint32)
    x = bits.view(np.float32)
    x = x[np.isfinite(x)]
    want = torch.tensor(x).bfloat16()
    np.testing.assert_array_equal(acc.to_bfloat16(x).view(np.int16), want.view(torch.int16).numpy())
    np.testing.assert_array_equal(acc.from_bfloat16(acc.to_bfloat16(x)), want.float().numpy())


# ---- autocast ----------------------------------------------------------------------------------

@HALVES
@pytest.mark.parametrize("name", ["gpt", "cnn", "mlp"])
def test_what_is_kept_takes_about_half(name, dtype):
    _, call = works()[name]
    call()
    kept = {kind: kept_bytes(lambda kind=kind: stored(call, kind)) for kind in ("float32", dtype)}
    assert kept[dtype] < 0.75 * kept["float32"]


@HALVES
@pytest.mark.parametrize("name", ["gpt", "cnn", "mlp"])
@pytest.mark.parametrize("later", [False, True])
def test_gradients_are_float32s_up_to_rounding(name, dtype, later):
    model, call = works()[name]
    state = {key: value.copy() for key, value in model.state_dict().items()}
    call().backward()
    want = [p.grad.numpy().copy() for p in model.parameters()]
    model.load_state_dict(state)
    model.zero_grad()
    with autocast(dtype):
        loss = call() * 1024.0
        if not later:
            loss.backward()
    if later:
        loss.backward()
    got = [p.grad.numpy() / 1024 for p in model.parameters()]
    assert all(g.dtype == np.float32 for g in got) and loss.dtype == np.float32
    a, b = (np.concatenate([g.ravel() for g in gradients]) for gradients in (got, want))
    assert np.linalg.norm(a - b) < 0.06 * np.linalg.norm(b) and (a != b).any()


@HALVES
def test_arithmetic_is_in_float32_and_storage_is_not(dtype):
    for model, call in works().values():
        met = []
        with autocast(dtype):
            floats = lambda arrays: [x for x in arrays if isinstance(x, np.ndarray) and x.dtype.kind == "f"]        # noqa: E731
            door.around.insert(0, lambda call, op, arrays, params, met=met, floats=floats: (
                met.extend((op.__name__, x.dtype) for x in floats(arrays)) or call(arrays, params)))
            try:
                loss = call()
            finally:
                del door.around[0]
        assert {kind for name, kind in met if name not in acc.MOVES} == {np.dtype("float32")}
        leaves = {id(p.data) for p in model.parameters()}
        for node in newest_first([loss.node]):
            large = [x for x in node.saved if isinstance(x, np.ndarray) and x.dtype == np.float32 and x.size > 100 and id(x) not in leaves]
            there_anyway = dtype == "bfloat16" and node.op.__name__ in ("linear", "convolve")                   # the batch
            assert not large or there_anyway, node.op.__name__


def test_the_door_is_left_as_it_was():
    record = door.record
    for dtype in ("float32", "float16", "bfloat16"):
        with pytest.raises(KeyError), autocast(dtype):
            raise KeyError
        with autocast(dtype), autocast("bfloat16"):
            (drawn(2, 3) @ drawn(3, 2, requires_grad=True)).sum().backward()
        assert door.around == [] and door.record is record


@HALVES
def test_a_profiler_sees_both_ways_of_a_step(dtype):
    _, call = works()["mlp"]
    with profile() as p:
        stored(call, dtype).backward()
    phases = {(row["name"], row["phase"]) for row in p.rows()}
    assert {("linear", "forward"), ("linear", "backward"), ("tanh", "backward")} <= phases and p.total("flops", "backward") > 0


@HALVES
def test_nothing_is_left_to_the_collector(dtype):
    model, call = works()["mlp"]
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            model.zero_grad()
            stored(call, dtype).backward()
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_without_gradients_results_are_halves_all_the_same():
    with tt.no_grad(), autocast():
        y = tt.relu(drawn(3, 4) @ drawn(4, 5))
    assert y.dtype == np.float16 and y.node is None


def test_a_second_derivative_is_refused():
    x, w = drawn(3, 4), drawn(4, 2, requires_grad=True)
    loss = stored(lambda: tt.tanh(x @ w).sum(), "float16")
    with pytest.raises(RuntimeError, match="autocast"):
        tt.grad(loss, w, create_graph=True)


def test_a_checkpoint_works_inside():
    x, w = drawn(6, 4), drawn(4, 4, requires_grad=True)
    again = stored(lambda: tt.checkpoint(lambda w: tt.tanh(x @ w), w).sum(), "float16")
    again.backward()
    got = w.grad.numpy().copy()
    w.zero_grad()
    tt.tanh(x @ w).sum().backward()
    np.testing.assert_allclose(got, w.grad.numpy(), rtol=2e-2, atol=2e-2)


@needs_torch
def test_activations_are_those_of_torchs_autocast():
    x, w = drawn(8, 16), drawn(16, 4, seed=1, requires_grad=True)
    ours = stored(lambda: tt.relu(x @ w), "bfloat16")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        theirs = torch.relu(torch.tensor(x.numpy()) @ torch.tensor(w.numpy()))
    np.testing.assert_allclose(ours.numpy(), theirs.float().numpy(), rtol=0.02, atol=0.02)


# ---- the trainer -------------------------------------------------------------------------------

@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_it_really_trains(dtype):
    model, x, y = tt.Sequential(tt.Linear(4, 16), tt.ReLU(), tt.Linear(16, 3)), drawn(60, 4), np.arange(60) % 3
    before = [p.numpy().copy() for p in model.parameters()]
    trainer = MixedPrecisionTrainer(model, tt.Adam(model.parameters(), lr=0.05), dtype=dtype)
    losses = [trainer.train_step((x, y))["loss"] for _ in range(40)]
    assert losses[-1] < 0.8 * losses[0]
    assert all((p.numpy() != b).any() and p.dtype == np.float32 for p, b in zip(model.parameters(), before))


def test_a_broken_loss_is_reported_and_changes_no_weight():
    model = tt.Linear(3, 2)
    trainer = MixedPrecisionTrainer(model, tt.SGD(model.parameters(), lr=0.1), loss_fn=lambda z, y: (z * math.inf).sum())
    before = model.weight.numpy().copy()
    told = trainer.train_step((drawn(4, 3), np.zeros(4, int)))
    assert told["overflow"] and not told["gradients_valid"] and (model.weight.numpy() == before).all()


@needs_torch
def test_the_scale_moves_as_torchs_does():
    ours = MixedPrecisionTrainer(None, None, 1024.0, 2.0 ** 40, growth_interval=3)
    theirs = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=3)
    p = torch.nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([p], lr=0.0)
    for overflow in np.random.default_rng(0).random(40) < 0.2:
        theirs.scale(p.sum()).backward()
        p.grad.fill_(math.inf if overflow else 1.0)
        theirs.step(optimizer)
        theirs.update()
        ours.update_loss_scale(bool(overflow))
        assert ours.loss_scale == theirs.get_scale()


def test_the_analyses_tell_what_they_measured(capsys):
    rows = acc.analyze_vectorization_scaling((2, 8), rounds=1)
    assert set(rows) == {2, 8} and rows[8]["speedup"] == rows[8]["loop_s"] / rows[8]["vectorized_s"]
    limits = acc.analyze_arithmetic_intensity(64, rounds=1)
    assert limits["a @ b"]["flops"] == 2 * 64 ** 3 and limits["a @ b"]["bytes"] == 3 * 4 * 64 ** 2
    assert limits["fused_gelu(x)"]["bytes"] * 5 < limits["unfused_gelu(x)"]["bytes"]
    rows = acc.analyze_mixed_precision_benefits(steps=2, width=32, rounds=1)
    assert set(rows) == {"float32", "float16", "bfloat16"} and rows["bfloat16"]["kept_bytes"] < 0.7 * rows["float32"]["kept_bytes"]
    assert len(capsys.readouterr().out.splitlines()) == 2 + 5 + 3
