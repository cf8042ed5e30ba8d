"""Every operation of modules 01 to 05 equals torch: the value, and the gradient of a weighted sum of it."""

import math

import numpy as np
import pytest

import tinytorch as tt
from tinytorch.core import tensor as T

torch = pytest.importorskip("torch", reason="torch is only installed where conformance is checked: pip install torch==2.13.0")
F = torch.nn.functional

SHAPES = [(3, 4), (2, 3, 4), (1, 4), (5,)]
POSITIVE = dict(low=0.2, high=2.0)
UNARY = {       # name: (ours, torch's, range of the inputs)
    "negative": (lambda x: -x, lambda x: -x, {}),
    "exp": (T.exp, torch.exp, {}),
    "log": (T.log, torch.log, POSITIVE),
    "sqrt": (T.sqrt, torch.sqrt, POSITIVE),
    "abs": (abs, torch.abs, {}),
    "square": (lambda x: x ** 2, lambda x: x ** 2, {}),
    "cube": (lambda x: x ** 3, lambda x: x ** 3, {}),
    "root": (lambda x: x ** 0.5, lambda x: x ** 0.5, POSITIVE),
    "inverse": (lambda x: x ** -1, lambda x: x ** -1, POSITIVE),
    "to the 0": (lambda x: x ** 0, lambda x: x ** 0, {}),
    "2 to the x": (lambda x: 2 ** x, lambda x: 2 ** x, {}),
    "1 - x": (lambda x: 1 - x, lambda x: 1 - x, {}),
    "1 / x": (lambda x: 1 / x, lambda x: 1 / x, POSITIVE),
    "clip": (lambda x: x.clip(-0.5, 0.5), lambda x: x.clip(-0.5, 0.5), {}),
    "clip at one end": (lambda x: x.clip(min=0), lambda x: x.clip(min=0), {}),
    "masked_fill": (lambda x: x.masked_fill(x > 0, 7.0), lambda x: x.masked_fill(x > 0, 7.0), {}),
    "sum": (lambda x: x.sum(), lambda x: x.sum(), {}),
    "sum dim": (lambda x: x.sum(dim=-1), lambda x: x.sum(dim=-1), {}),
    "sum dim 0, kept": (lambda x: x.sum(0, keepdim=True), lambda x: x.sum(0, keepdim=True), {}),
    "mean": (lambda x: x.mean(), lambda x: x.mean(), {}),
    "mean dim": (lambda x: x.mean(dim=-1, keepdim=True), lambda x: x.mean(dim=-1, keepdim=True), {}),
    "var": (lambda x: x.var(), lambda x: x.var(), {}),
    "var dim": (lambda x: x.var(dim=-1, correction=0), lambda x: x.var(dim=-1, correction=0), {}),
    "std": (lambda x: x.std(dim=-1, keepdim=True), lambda x: x.std(dim=-1, keepdim=True), {}),
    "max": (lambda x: x.max(), lambda x: x.amax(), {}),
    "max dim": (lambda x: x.max(dim=-1), lambda x: x.amax(dim=-1), {}),
    "min dim": (lambda x: x.min(dim=0, keepdim=True), lambda x: x.amin(dim=0, keepdim=True), {}),
    "reshape": (lambda x: x.reshape(-1), lambda x: x.reshape(-1), {}),
    "flatten": (lambda x: x.flatten(), lambda x: x.flatten(), {}),
    "unsqueeze": (lambda x: x.unsqueeze(-1), lambda x: x.unsqueeze(-1), {}),
    "squeeze": (lambda x: x.squeeze(), lambda x: x.squeeze(), {}),
    "expand": (lambda x: x.expand(2, *x.shape), lambda x: x.expand(2, *x.shape), {}),
    "permute": (lambda x: x.permute(*range(x.ndim))[..., ::1], lambda x: x.permute(*range(x.ndim)), {}),
    "index": (lambda x: x[..., 1:], lambda x: x[..., 1:], {}),
    "index list": (lambda x: x[..., [0, 0, -1]], lambda x: x[..., [0, 0, -1]], {}),
    "index mask": (lambda x: x[x > 0], lambda x: x[x > 0], {}),
    "relu": (tt.relu, F.relu, {}),
    "leaky_relu": (tt.leaky_relu, F.leaky_relu, {}),
    "leaky_relu 0.2": (lambda x: tt.leaky_relu(x, negative_slope=0.2), lambda x: F.leaky_relu(x, 0.2), {}),
    "sigmoid": (tt.sigmoid, torch.sigmoid, dict(low=-8, high=8)),
    "tanh": (tt.tanh, torch.tanh, dict(low=-4, high=4)),
    "gelu": (tt.gelu, F.gelu, dict(low=-4, high=4)),
    "gelu tanh": (lambda x: tt.gelu(x, approximate="tanh"), lambda x: F.gelu(x, approximate="tanh"), dict(low=-4, high=4)),
    "silu": (tt.silu, F.silu, dict(low=-4, high=4)),
    "softmax": (lambda x: tt.softmax(x, dim=-1), lambda x: F.softmax(x, dim=-1), dict(low=-30, high=30)),
    "softmax dim 0": (lambda x: tt.softmax(x, dim=0), lambda x: F.softmax(x, dim=0), {}),
    "log_softmax": (lambda x: tt.log_softmax(x, dim=-1), lambda x: F.log_softmax(x, dim=-1), dict(low=-30, high=30)),
}
BINARY = {
    "add": (lambda a, b: a + b, lambda a, b: a + b, {}),
    "subtract": (lambda a, b: a - b, lambda a, b: a - b, {}),
    "multiply": (lambda a, b: a * b, lambda a, b: a * b, {}),
    "divide": (lambda a, b: a / b, lambda a, b: a / b, POSITIVE),
    "power": (lambda a, b: a ** b, lambda a, b: a ** b, POSITIVE),
    "maximum": (T.maximum, torch.maximum, {}),
    "minimum": (T.minimum, torch.minimum, {}),
    "where": (lambda a, b: tt.where(a > b, a, b * 2), lambda a, b: torch.where(a > b, a, b * 2), {}),
}
JOINED = {
    "cat": (lambda a, b: tt.cat([a, b, a], dim=-1), lambda a, b: torch.cat([a, b, a], dim=-1), {}),
    "stack": (lambda a, b: tt.stack([a, b], dim=1), lambda a, b: torch.stack([a, b], dim=1), {}),
    "transposed product": (lambda a, b: a @ b.T, lambda a, b: a @ b.mT, {}),
    "mse": (tt.mse_loss, F.mse_loss, {}),
    "mse sum": (lambda a, b: tt.mse_loss(a, b, reduction="sum"), lambda a, b: F.mse_loss(a, b, reduction="sum"), {}),
    "l1": (tt.l1_loss, F.l1_loss, {}),
    "huber": (tt.huber_loss, F.huber_loss, dict(low=-3, high=3)),
    "huber 0.3": (lambda a, b: tt.huber_loss(a, b, delta=0.3), lambda a, b: F.huber_loss(a, b, delta=0.3), {}),
    "huber, none": (lambda a, b: tt.huber_loss(a, b, reduction="none"), lambda a, b: F.huber_loss(a, b, reduction="none"), {}),
    "bce": (tt.binary_cross_entropy, F.binary_cross_entropy, dict(low=0.05, high=0.95)),
    "bce with logits": (tt.binary_cross_entropy_with_logits, F.binary_cross_entropy_with_logits, dict(low=0, high=1)),
}
PAIRS = [((3, 4), (3, 4)), ((3, 4), (4,)), ((4,), (2, 3, 4)), ((2, 1, 4), (3, 1)), ((3, 4), ())]
PRODUCTS = [((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 3), (3, 4)), ((5, 2, 3), (3, 4)), ((5, 2, 3), (5, 3, 4)),
            ((4, 1, 2, 3), (5, 3, 2)), ((3,), (4, 3, 2))]
TOLERANCE = {"float32": dict(rtol=2e-5, atol=2e-6), "float64": dict(rtol=1e-10, atol=1e-12)}


def agree(ours, theirs, shapes, dtype, low=-2.0, high=2.0, targets=()):
    """Values and gradients of `ours` and `theirs` on the same random inputs are equal."""
    rng = np.random.default_rng([len(shapes), *map(math.prod, shapes)])
    arrays = [rng.uniform(low, high, s).astype(dtype) for s in shapes]
    mine = [tt.Tensor(a, requires_grad=True, dtype=dtype) for a in arrays]
    other = [torch.tensor(a, requires_grad=True) for a in arrays]
    got, want = ours(*mine, *targets), theirs(*other, *map(torch.tensor, targets))
    np.testing.assert_allclose(got.numpy(), want.detach().numpy(), **TOLERANCE[dtype])
    assert got.dtype == np.dtype(dtype) and got.shape == tuple(want.shape)
    g = rng.uniform(0.5, 1.5, want.shape).astype(dtype)
    got.backward(g)
    want.backward(torch.tensor(g))
    for a, b in zip(mine, other):
        assert a.grad.dtype == np.dtype(dtype) and a.grad.shape == a.shape
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), **TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", UNARY)
def test_one_input(name, shape, dtype):
    ours, theirs, limits = UNARY[name]
    agree(ours, theirs, [shape], dtype, **limits)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("shapes", PAIRS, ids=str)
@pytest.mark.parametrize("name", BINARY)
def test_two_inputs_that_broadcast(name, shapes, dtype):
    ours, theirs, limits = BINARY[name]
    agree(ours, theirs, shapes, dtype, **limits)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", JOINED)
def test_two_inputs_of_one_shape(name, dtype):
    ours, theirs, limits = JOINED[name]
    agree(ours, theirs, [(3, 4), (3, 4)], dtype, **limits)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("shapes", PRODUCTS, ids=str)
def test_products(shapes, dtype):
    agree(lambda a, b: a @ b, lambda a, b: a @ b, shapes, dtype)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("shape", [(5, 3), (3,), (2, 4, 3)], ids=str)
@pytest.mark.parametrize("bias", [True, False])
def test_linear(shape, bias, dtype):
    shapes = [shape, (3, 2), (2,)] if bias else [shape, (3, 2)]
    agree(tt.linear, lambda x, w, *b: F.linear(x, w.T, *b), shapes, dtype)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing, ignored", [(0.0, -100), (0.1, -100), (0.0, 1), (0.2, 1)])
@pytest.mark.parametrize("shape, target", [((4, 3), [0, 2, 1, 1]), ((3,), 2), ((2, 3, 2), [[0, 1], [2, 2]])], ids=str)
def test_cross_entropy(shape, target, smoothing, ignored, reduction, dtype):
    settings = dict(label_smoothing=smoothing, ignore_index=ignored, reduction=reduction)
    agree(lambda x, t: tt.cross_entropy(x, t, **settings), lambda x, t: F.cross_entropy(x, t, **settings), [shape], dtype, -5, 5,
          targets=[np.array(target)])


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_nll(reduction, dtype):
    agree(lambda x, t: tt.nll_loss(x, t, reduction=reduction), lambda x, t: F.nll_loss(x, t, reduction=reduction), [(4, 3)], dtype,
          targets=[np.array([0, 2, 1, 1])])


@pytest.mark.parametrize("rate", [0.0, 0.3, 1.0])
def test_dropout_keeps_and_scales_and_its_gradient_is_the_mask(rate):
    x = tt.Tensor(np.ones((200, 50)), requires_grad=True)
    layer = tt.Dropout(rate)
    y = layer(x)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), y.numpy())
    assert abs((y.numpy() == 0).mean() - rate) < 0.03 and (rate == 1 or abs(y.numpy().max() - 1 / (1 - rate)) < 1e-6)
    assert layer.eval()(x) is x or (layer(x).numpy() == 1).all()
