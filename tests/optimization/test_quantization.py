"""Module 17 beside torch and beside integer arithmetic; what its models weigh, seen from outside; and its files, which may be anything."""

import copy
import io
import json
import pickle
import tempfile
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinytorch as tt
from tinytorch.optimization import quantization as Q

try:
    import torch
except ImportError:                                 # the extra `conformance`
    torch = None
needs_torch = pytest.mark.skipif(torch is None, reason="torch is only installed where conformance is checked: see the extra `conformance`")

often = settings(derandomize=True, deadline=None, database=None, max_examples=60)
seeds, widths = st.integers(0, 2 ** 20), st.sampled_from([8, 4])
GPTS = [{}, {"tie_weights": False}, {"positions": "sinusoidal"}, {"positions": "rotary"}, {"positions": None}]


def gpt(seed=0, **more):
    rng = np.random.default_rng(seed)
    model = tt.GPT(11, 16, 2, 2, 9, **more)
    for p in model.parameters():
        p.data[...] = rng.normal(size=p.shape) * 0.3 + (p.ndim == 1)
    return model


def convnet(seed=0):
    tt.manual_seed(seed)
    model = tt.Sequential(tt.Conv2d(1, 6, 3, padding=1, bias=False), tt.BatchNorm2d(6), tt.relu, tt.MaxPool2d(2),
                          tt.Conv2d(6, 8, 3, groups=2, stride=2), tt.ReLU(), tt.Flatten(), tt.Dropout(0.5), tt.Linear(8, 10))
    model(tt.randn(16, 1, 8, 8))                            # running statistics of its own
    return model


# ---- grids -------------------------------------------------------------------------------------

@needs_torch
@often
@given(seed=seeds, low=st.floats(-9, 0), high=st.floats(0, 9), bits=st.integers(2, 8))
def test_asymmetric_grids_are_torchs(seed, low, high, bits):
    observer = torch.ao.quantization.MinMaxObserver(torch.qint8, quant_min=-2 ** (bits - 1), quant_max=2 ** (bits - 1) - 1)
    observer(torch.tensor([low, high]))
    scale, zero_point = observer.calculate_qparams()
    ours = Q.quantization_grid(float(np.float32(low)), float(np.float32(high)), bits, symmetric=False)
    if high - low > 1e-3:
        assert np.isclose(ours[0], scale.item(), rtol=1e-5) and abs(ours[1] - zero_point.item()) <= 1       # a tie may fall either way


@needs_torch
@pytest.mark.filterwarnings("ignore:.*deprecated")
@often
@given(seed=seeds, axis=st.sampled_from([None, 0, 1]), symmetric=st.booleans())
def test_whole_numbers_are_torchs(seed, axis, symmetric):
    x = np.random.default_rng(seed).normal(size=(4, 5)).astype("float32")
    q, scale, zero_point = Q.quantize_int8(x, axis, symmetric)
    if axis is None:
        theirs = torch.quantize_per_tensor(torch.tensor(x), scale, zero_point, torch.qint8)
    else:
        scales, points = (torch.tensor(np.ravel(np.broadcast_to(t, scale.shape))) for t in (scale, zero_point))
        theirs = torch.quantize_per_channel(torch.tensor(x), scales, points, axis, torch.qint8)
    far = abs(x / scale % 1 - 0.5) > 1e-3                                     # torch multiplies by 1 / scale: ties may differ
    assert (q == theirs.int_repr().numpy())[far].all()
    assert np.allclose(Q.dequantize_int8(q, scale, zero_point)[far], theirs.dequantize().numpy()[far], atol=1e-6)


@often
@given(seed=seeds, bits=st.integers(2, 8), symmetric=st.booleans(), size=st.floats(1e-20, 1e20))
def test_nobody_moves_by_more_than_half_a_step_and_zero_stays(seed, bits, symmetric, size):
    x = np.random.default_rng(seed).normal(size=(3, 7)) * size
    x[0, 0] = x[1] = 0
    for axis in (None, 0, 1):
        q, scale, zero_point = Q.quantize_int8(x, axis, symmetric, bits)
        back = (q.astype(float) - zero_point) * scale
        assert q.dtype == np.int8 and q.nbytes == 21 and q.min() >= -2 ** (bits - 1) and q.max() < 2 ** (bits - 1)
        assert (abs(back - x) <= 0.5001 * scale).all() and not back[x == 0].any()


@pytest.mark.parametrize("x", [[np.nan, 1.0], [np.inf, 1.0], [1, 2], np.zeros((0, 3))])
def test_what_cannot_be_put_on_a_grid_is_refused(x):
    with pytest.raises(ValueError, match="wanted"):
        Q.quantize_int8(x)


@often
@given(seed=seeds, shape=st.lists(st.integers(0, 5), min_size=1, max_size=3))
def test_four_bits_take_half_a_byte_and_come_back(seed, shape):
    q = np.random.default_rng(seed).integers(-8, 8, shape).astype(np.int8)
    packed, half = Q.pack_int4(q), (shape[-1] + 1) // 2
    assert packed.dtype == np.uint8 and packed.shape == (*shape[:-1], half)
    assert np.array_equal(Q.unpack_int4(packed, shape[-1]), q)
    assert np.array_equal(Q.unpack_int4(packed, shape[-1], np.empty(shape, "float32")), q)


# ---- operations --------------------------------------------------------------------------------

@often
@given(seed=seeds, bits=widths, per_channel=st.booleans(), front=st.lists(st.integers(0, 3), max_size=2), n=st.integers(1, 7),
       out=st.sampled_from([1, 3, 300, 513]), wide=st.booleans())
def test_the_product_is_that_of_the_widened_weights(seed, bits, per_channel, front, n, out, wide):
    rng, dtype = np.random.default_rng(seed), "float64" if wide else "float32"
    layer = Q.QuantizedLinear(tt.Linear(n, out, generator=rng), bits, per_channel)
    x = rng.normal(size=(*front, n)).astype(dtype)
    y = layer(tt.Tensor(x, dtype=dtype))
    assert y.dtype == dtype and y.shape == (*front, out)
    assert np.allclose(y.numpy(), x @ layer.weight.numpy() + layer.bias.numpy(), atol=1e-5)


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("per_channel", [True, False])
def test_its_gradients_are_those_of_small_steps(bits, per_channel):
    rng = np.random.default_rng(0)
    layer = Q.QuantizedLinear(tt.Linear(5, 3, generator=rng), bits, per_channel)
    given = [tt.tensor(rng.normal(size=s), dtype="float64", requires_grad=True) for s in ((2, 2, 5), (3,))]
    y = lambda x, b: Q.quantized_linear(x, layer.q, layer.scale, b) ** 2      # noqa: E731
    assert tt.gradcheck(y, given)
    assert tt.gradcheck(lambda x, b: tt.grad(y(x, b).sum(), x, create_graph=True)[0], given)
    with pytest.raises(RuntimeError, match="scale"):
        Q.quantized_linear(given[0], layer.q, tt.Tensor(layer.scale.data, requires_grad=True)).sum().backward()


@pytest.mark.parametrize("x", [tt.Tensor(1.0), tt.zeros(2, 4), tt.Tensor([[1, 2, 3]])])
@pytest.mark.parametrize("bits", [8, 4])
def test_an_input_that_does_not_fit_is_refused_by_name(x, bits):
    if x.shape != (2, 4) or bits == 8:                                        # 3 numbers take as many bytes of half a byte as 4
        with pytest.raises((ValueError, TypeError), match="quantized_linear"):
            Q.QuantizedLinear(tt.Linear(3, 2), bits)(x)


@needs_torch
@often
@given(seed=seeds, axis=st.sampled_from([None, 0, 1]), bits=st.integers(2, 8))
def test_straight_through_gradients_are_torchs(seed, axis, bits):
    rng = np.random.default_rng(seed)
    (x, g), ends = rng.normal(size=(2, 4, 5)).astype("float32"), (-2 ** (bits - 1), 2 ** (bits - 1) - 1)
    scale, zero_point = Q.grid_of(x * 0.6, axis, symmetric=False, bits=bits)
    mine, theirs = tt.Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y = Q.fake_quantize(mine, scale, zero_point, bits)
    y.backward(g)
    if axis is None:
        want = torch.fake_quantize_per_tensor_affine(theirs, scale, zero_point, *ends)
    else:
        flat = torch.tensor(scale.ravel()), torch.tensor(zero_point.ravel().astype("int32"))
        want = torch.fake_quantize_per_channel_affine(theirs, *flat, axis, *ends)
    want.backward(torch.tensor(g))
    far = abs(x / scale % 1 - 0.5) > 1e-3
    assert np.allclose(y.numpy()[far], want.detach().numpy()[far], atol=1e-5)
    assert np.allclose(mine.grad.numpy()[far], theirs.grad.numpy()[far])


def test_the_grid_has_no_gradient():
    with pytest.raises(RuntimeError, match="fake_quantize"):
        Q.fake_quantize(tt.Tensor([1.0]), tt.Tensor([0.5], requires_grad=True)).sum().backward()


@often
@given(seed=seeds, bits=widths, per_channel=st.booleans())
def test_a_layer_with_a_grid_computes_what_whole_numbers_give(seed, bits, per_channel):
    rng = np.random.default_rng(seed)
    layer, x = tt.Linear(400, 6, generator=rng), rng.normal(size=(3, 400))
    quantizer = Q.Quantizer(bits, per_channel).calibrate(layer, x / 2)        # some inputs will be clipped
    small, (scale, zero_point) = quantizer.convert(layer), quantizer.grid("")
    q = Q.unpack_int4(small.q.numpy(), 400) if bits == 4 else small.q.numpy()
    sums = (Q.quantize(x.astype("float32"), scale, zero_point).astype(int) - zero_point) @ q.T.astype(int)
    assert np.allclose(small(tt.Tensor(x)).numpy(), sums * scale * small.scale.numpy().T + layer.bias.numpy(), rtol=1e-4, atol=1e-4)


# ---- weight ------------------------------------------------------------------------------------

@pytest.mark.parametrize("bits", [8, 4])
def test_what_is_kept_and_what_is_held_while_it_computes(bits):
    layer, x = tt.Linear(1024, 1024, bias=False), tt.Tensor(np.ones((1, 1024)))
    floats = 4 * 1024 * 1024
    tracemalloc.start()
    try:
        small = Q.QuantizedLinear(layer, bits)
        kept = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        small(x)
        held = tracemalloc.get_traced_memory()[1] - kept
    finally:
        tracemalloc.stop()
    assert kept < floats * bits / 32 * 1.02 and len(pickle.dumps(small)) < floats * bits / 32 * 1.02
    assert held < floats * 0.4                                                # a tile of 256 rows, and bytes on their way to it


@pytest.mark.parametrize("bits", [8, 4])
def test_all_weights_of_a_model_are_bytes_and_no_float_copy_hangs_on_it(bits):
    for model in (gpt(), convnet(), tt.Sequential(tt.Conv1d(4, 64, 3), tt.Embedding(400, 64))):
        small = Q.quantize_model(model, bits=bits)
        layers = [m for m in small.modules() if isinstance(m, Q.Quantized)]
        assert len(layers) == sum(type(m) in (*Q.QUANTIZED, tt.TiedLinear) for m in model.modules()) > 1
        for layer in layers:
            assert layer.q.dtype == ("int8" if bits == 8 else "uint8") and layer.scale.dtype == "float32"
            assert sum(t.data.nbytes for t in vars(layer).values() if isinstance(t, tt.Tensor)) == layer.nbytes
        assert len(pickle.dumps(layers)) < 1.1 * sum(layer.nbytes for layer in layers) + 500 * len(layers)
        assert Q.model_nbytes(small) < Q.model_nbytes(model)


def test_eight_times_smaller_than_float64_and_sixteen_with_four_bits():
    layer = tt.Linear(2000, 500, bias=False)
    assert 8 * layer.weight.size / Q.QuantizedLinear(layer).nbytes > 7.9
    assert 8 * layer.weight.size / Q.QuantizedLinear(layer, 4).nbytes > 15.9
    file = io.BytesIO()
    np.savez(file, layer.weight.numpy())
    assert file.tell() / len(saved(Q.QuantizedLinear(layer))) > 3.9


# ---- models ------------------------------------------------------------------------------------

def state(model):
    return [(name, a.tobytes()) for name, a in model.state_dict().items()], [m.training for m in model.modules()]


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("calibrated", [False, True])
@pytest.mark.parametrize("more", GPTS, ids=str)
def test_a_gpt_of_every_kind(more, bits, calibrated):
    model, ids = gpt(**more), np.random.default_rng(0).integers(0, 11, (3, 9))
    model.blocks[0].eval()
    before, z = state(model), model(ids).numpy()
    small = Q.quantize_model(model, [ids[:2], (ids[2:], None)] if calibrated else None, bits)
    assert state(model) == before and not np.shares_memory(small.norm.weight.data, model.norm.weight.data)
    assert 0 < abs(small(ids).numpy() - z).max() < {8: 0.03, 4: 0.6}[bits] * abs(z).max()
    assert (small.head.q is small.token_embedding.q) == more.get("tie_weights", True)
    assert (small.blocks[1].mlp.fc.grid is not None) == calibrated
    assert small.generate([1, 2], 12, temperature=0).shape == (14,)
    again = Q.load_quantized(io.BytesIO(saved(small)), gpt(1, **more))
    assert np.array_equal(again(ids).numpy(), small(ids).numpy()) and state(again)[0] == state(small)[0]
    assert np.array_equal(copy.deepcopy(small)(ids).numpy(), small(ids).numpy())


def test_layers_that_are_left_alone_stay_floats_in_the_file_too():
    model, ids = gpt(), np.random.default_rng(0).integers(0, 11, (2, 9))
    quantizer = Q.Quantizer(4, skip=["head", "token_embedding", "blocks.0.attention.qkv", "no such layer"])
    small = quantizer.convert(model)
    assert type(small.blocks[0].attention.qkv) is tt.Linear
    assert type(small.head) is tt.TiedLinear and small.head.embedding is small.token_embedding
    assert type(small.blocks[1].attention.qkv) is Q.QuantizedLinear
    assert type(quantizer.prepare_qat(model).blocks[0].attention.qkv) is tt.Linear
    again = Q.load_quantized(io.BytesIO(saved(small)), gpt(1))
    assert np.array_equal(again(ids).numpy(), small(ids).numpy()) and state(again)[0] == state(small)[0]


def test_a_cache_of_keys_and_values_works_with_it():
    cache = pytest.importorskip("tinytorch.generation.kv_cache")
    model = gpt()
    small = Q.quantize_model(model)
    want = small.generate([1, 2], 12, temperature=0).tolist()
    cache.enable_kv_cache(small)
    assert small.generate([1, 2], 12, temperature=0).tolist() == want
    cache.enable_kv_cache(model)
    assert Q.quantize_model(model).generate([1, 2], 12, temperature=0).tolist() == want     # its own weights, not the old model's


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("per_channel", [True, False])
def test_what_is_trained_for_a_grid_is_what_is_stored(bits, per_channel):
    rng = np.random.default_rng(0)
    for model, x in ((convnet(), tt.Tensor(rng.normal(size=(4, 1, 8, 8)))), (gpt(), rng.integers(0, 11, (2, 9)))):
        before, quantizer = state(model), Q.Quantizer(bits, per_channel).calibrate(model, [x])
        aware = quantizer.prepare_qat(model)
        aware(x).sum().backward()
        assert all(p.grad.numpy().any() for name, p in aware.named_parameters() if name.endswith("weight"))
        small = quantizer.convert(aware.eval())
        np.testing.assert_allclose(small(x).numpy(), aware(x).numpy(), rtol=1e-4, atol=1e-4)
        assert state(model) == before and state(Q.Quantizer().convert(aware))[0] == state(small)[0]


def test_training_for_the_grid_is_better_than_rounding_afterwards():
    digits = tt.load_digits()
    x, y = (t.numpy() for t in digits.tensors)
    order = np.random.default_rng(1998).permutation(len(x))
    held, learn = order[:360], order[360:]
    tt.manual_seed(0)
    model = tt.Sequential(tt.Flatten(), tt.Linear(64, 64), tt.ReLU(), tt.Linear(64, 10))

    def train(model, rounds):
        optimizer, rng = tt.Adam(model.parameters(), lr=3e-3), np.random.default_rng(0)
        for _ in range(rounds):
            for at in np.array_split(rng.permutation(learn), 45):
                optimizer.zero_grad()
                tt.cross_entropy(model(tt.Tensor(x[at])), y[at]).backward()
                optimizer.step()
        return model

    right = lambda model: (model(tt.Tensor(x[held])).numpy().argmax(1) == y[held]).mean()     # noqa: E731
    exact = right(train(model, 12))
    for calibration in (None, x[learn[:200]]):
        assert right(Q.quantize_model(model, calibration)) >= exact - 0.005 > 0.93
    aware = Q.Quantizer(2).prepare_qat(model)
    rounded = right(aware)
    assert right(train(aware, 3)) > rounded + 0.05


# ---- files -------------------------------------------------------------------------------------

def saved(model):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.npz"
        Q.save_quantized(model, path)
        return path.read_bytes()


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def broken():
    good = saved(Q.quantize_model(tt.Linear(3, 2)))
    recipe, q, scale = json.dumps({"": [8, True, None]}), np.zeros((2, 3), np.int8), np.ones((2, 1), "float32")
    return {"empty": b"", "text": b"hello", "cut off": good[:200], "no recipe": npz(q=q), "a pickle": pickle.dumps(q),
            "objects": npz(recipe=np.array([{}], object), q=q), "too little": npz(recipe=recipe, q=q),
            "another shape": npz(recipe=recipe, q=q.T, scale=scale, bias=np.zeros(2)),
            **{f"a recipe {text}": npz(recipe=text, q=q, scale=scale, bias=np.zeros(2))
               for text in ("{", "[]", "7", '{"": 3}', '{"": [3, true, null]}')}}


@pytest.mark.parametrize("kind", broken())
def test_another_file_is_refused(kind, tmp_path):
    (tmp_path / "model.npz").write_bytes(broken()[kind])
    with pytest.raises(ValueError, match="save_quantized"):
        Q.load_quantized(tmp_path / "model.npz", tt.Linear(3, 2))


def test_a_model_is_not_lost_where_writing_fails(tmp_path, monkeypatch):
    path, model = tmp_path / "model.npz", Q.quantize_model(tt.Linear(3, 2))
    Q.save_quantized(model, path)
    before = path.read_bytes()

    def full(file, **arrays):
        file.write(b"half of it")
        raise OSError("no space left")
    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="space"):
        Q.save_quantized(model, path)
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["model.npz"]
