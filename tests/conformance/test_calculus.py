"""Derivatives of programs, not of operations: nested, repeated, through loops and branches, at corners, and of a network of single numbers.

The cases are those that HIPS autograd and micrograd are known by; the answers are closed forms, or torch's.
"""

import itertools
import math
from functools import partial

import numpy as np
import pytest

import tinytorch as tt
from tests.conformance.adapters import torch

F32, F64 = np.dtype("float32"), np.dtype("float64")
needs_torch = pytest.mark.skipif(torch is None, reason="torch is only installed where conformance is checked: see the extra `conformance`")


def leaf(data, dtype=F64):
    return tt.Tensor(data, requires_grad=True, dtype=dtype)


def slope(f):
    """f' as a function of one Tensor, which can be differentiated again; `here` is a variable of its own, whatever x is outside."""
    def of(x):
        here = x * 1.0
        return tt.grad(f(here).sum(), here, create_graph=True)[0]
    return of


def our_slopes(f, *inputs):
    given = [leaf(x, x.dtype) for x in inputs]
    return [g.numpy() for g in tt.grad(f(*given).sum(), given)]


def torch_slopes(f, *inputs):
    """The gradients that torch finds for arrays."""
    given = [torch.tensor(x, requires_grad=True) for x in inputs]
    return [g.numpy() for g in torch.autograd.grad(f(*given).sum(), given)]


# ---- again and again ---------------------------------------------------------------------------------------

def test_the_inner_derivative_does_not_take_the_outer_variable_for_its_own():
    """d/dx (x · d/dy (x + y)) is 1, not 2: perturbation confusion (Siskind and Pearlmutter, 2005)."""
    x = leaf(2.0)
    assert slope(lambda x: x * slope(lambda y: x + y)(x))(x).item() == 1.0
    assert slope(lambda x: x * slope(lambda y: x * y)(leaf(5.0)))(x).item() == 4.0
    assert slope(lambda x: slope(lambda y: slope(lambda z: x * y * z * z)(y))(x))(x).item() == 16.0       # 2xy², then 4x², then 8x


@pytest.mark.parametrize("name, f, derivatives", [
    ("x⁴", lambda x: x ** 4, [lambda x: 4 * x ** 3, lambda x: 12 * x ** 2, lambda x: 24 * x, lambda x: 24 + 0 * x, lambda x: 0 * x]),
    ("exp", lambda x: (x * 2).exp(), [lambda x, k=k: 2 ** k * np.exp(2 * x) for k in range(1, 6)]),
    ("log", lambda x: x.log(), [lambda x: 1 / x, lambda x: -x ** -2, lambda x: 2 * x ** -3, lambda x: -6 * x ** -4]),
    ("sqrt", lambda x: x.sqrt(), [lambda x: x ** -0.5 / 2, lambda x: -x ** -1.5 / 4, lambda x: 3 * x ** -2.5 / 8]),
    ("1/x", lambda x: 1.0 / x, [lambda x: -x ** -2, lambda x: 2 * x ** -3, lambda x: -6 * x ** -4]),
    ("xˣ", lambda x: x ** x, [lambda x: x ** x * (np.log(x) + 1), lambda x: x ** x * ((np.log(x) + 1) ** 2 + 1 / x)]),
    ("tanh", tt.tanh, [lambda x: 1 - np.tanh(x) ** 2, lambda x: -2 * np.tanh(x) * (1 - np.tanh(x) ** 2)]),
    ("sin, by its series", lambda x: sum((-1) ** k / math.factorial(2 * k + 1) * x ** (2 * k + 1) for k in range(14)),
     [np.cos, lambda x: -np.sin(x), lambda x: -np.cos(x), np.sin])])
def test_derivatives_of_every_order(name, f, derivatives):
    x = leaf([0.4, 1.0, 1.7])
    for want in derivatives:
        f = slope(f)
        np.testing.assert_allclose(f(x).numpy(), want(x.numpy()), rtol=1e-9, atol=1e-9)


def rows(y, x):
    """The Jacobian, a row for each number of y."""
    return tt.stack([tt.grad(y.reshape(-1)[i], x, retain_graph=True, create_graph=True)[0].reshape(-1) for i in range(y.size)])


def test_jacobians_row_by_row():
    a, x = np.random.default_rng(0).normal(size=(4, 3)), leaf([0.5, -1.0, 2.0])
    np.testing.assert_allclose(rows(tt.Tensor(a, dtype=F64) @ x, x).numpy(), a, rtol=1e-12)
    p = tt.softmax(x)
    np.testing.assert_allclose(rows(p, x).numpy(), np.diag(p.numpy()) - np.outer(p.numpy(), p.numpy()), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", ["quadratic", "logistic", "rosenbrock"])
def test_hessians_row_by_row(name):
    a = np.random.default_rng(1).normal(size=(3, 3))
    x, ta = leaf([0.3, -0.7, 1.1]), tt.Tensor(a, dtype=F64)
    v = x.numpy()
    s = 1 / (1 + np.exp(-a @ v))
    u, w = v[:-1], v[1:]
    rosenbrock = np.diag([*(2 - 400 * (w - 3 * u * u)), 0.0]) + np.diag([0.0, 200.0, 200.0]) + np.diag(-400 * u, 1) + np.diag(-400 * u, -1)
    y, want = {"quadratic": ((x @ ta) @ x, a + a.T), "logistic": ((1 + (-(ta @ x)).exp()).log().sum(), a.T @ np.diag(s * (1 - s)) @ a),
               "rosenbrock": (((x[1:] - x[:-1] ** 2) ** 2 * 100 + (1 - x[:-1]) ** 2).sum(), rosenbrock)}[name]
    first, = tt.grad(y, x, create_graph=True)
    np.testing.assert_allclose(rows(first, x).numpy(), want, rtol=1e-9, atol=1e-9)


def test_third_derivatives_of_several_variables():
    x, y = leaf(0.7), leaf(1.3)
    dx, = tt.grad(x ** 3 * y ** 2, x, create_graph=True)
    dxy, = tt.grad(dx, y, create_graph=True)
    dxyx, dxyy = tt.grad(dxy, [x, y])
    np.testing.assert_allclose([dxy.item(), dxyx.item(), dxyy.item()], [6 * 0.7 ** 2 * 1.3, 12 * 0.7 * 1.3, 6 * 0.7 ** 2], rtol=1e-12)


# ---- programs ------------------------------------------------------------------------------------------------

def test_a_branch_has_the_slope_of_the_side_that_was_taken():
    f = lambda x: x * 3 if x.item() > 0 else x * x                    # noqa: E731
    assert [slope(f)(leaf(at)).item() for at in (2.0, -2.0)] == [3.0, -4.0]


def test_a_loop_that_runs_as_often_as_the_numbers_want():
    def halves(x):
        while x.item() > 1:
            x = x / 2
        return x * x
    assert slope(halves)(leaf(12.0)).item() == 2 * 0.75 / 16

    def root(a):                                                      # Newton's method: the slope of √a comes with it
        x = a
        while abs(x.item() ** 2 - a.item()) > 1e-14:
            x = (x + a / x) / 2
        return x
    np.testing.assert_allclose(slope(root)(leaf(2.0)).item(), 0.5 / math.sqrt(2), rtol=1e-9)


def test_a_name_that_is_given_a_new_value_in_a_loop():
    start = x = leaf(2.0)
    for _ in range(10):
        x = x + 1
        x *= start
        x -= start                                                    # x · start, all in all, and start stays what it was
    assert (x.item(), start.item()) == (2.0 ** 11, 2.0)
    assert tt.grad(x, start)[0].item() == 11 * 2.0 ** 10


TWICE = {"x · x": (lambda x: x * x, 6.0), "x + x": (lambda x: x + x, 2.0), "x - x": (lambda x: x - x, 0.0),
         "x / x": (lambda x: x / x, 0.0), "xˣ": (lambda x: x ** x, 27 * (math.log(3) + 1)), "larger": (lambda x: tt.maximum(x, x), 1.0),
         "dot": (lambda x: x @ x, 6.0), "cat": (lambda x: tt.cat([x, x]), 2.0), "where": (lambda x: tt.where(x > 0, x, x), 1.0)}


@pytest.mark.parametrize("name", TWICE)
def test_one_input_as_both_arguments(name):
    f, want = TWICE[name]
    assert slope(f)(leaf([3.0])).item() == pytest.approx(want, rel=1e-12)


def test_what_goes_a_thousand_ways_comes_back_as_one_sum():
    x = leaf([1.0, 2.0])
    ways = [x * float(k) for k in range(1000)]
    assert tt.grad(sum(ways[1:], ways[0]).sum(), x)[0].tolist() == [499_500.0] * 2
    assert tt.grad(tt.stack([x] * 1000).sum(), x)[0].tolist() == [1000.0] * 2


def test_an_input_that_is_not_used_is_told_or_is_none():
    x, y, z = leaf(2.0), leaf(3.0), leaf(4.0)
    with pytest.raises(RuntimeError, match="grad: input 1 was not used .* allow_unused=True"):
        tt.grad(x * z, [x, y])
    dx, dy, dz = tt.grad(x * z + y.detach(), [x, y, z], allow_unused=True)
    assert (dx.item(), dy, dz.item()) == (4.0, None, 2.0)
    first, = tt.grad(x * z, x, create_graph=True)                     # z, which does not depend on x
    assert tt.grad(first, [x, z], allow_unused=True)[0] is None


# ---- shapes ----------------------------------------------------------------------------------------------------

KEYS = {"twice": [0, 0, 2], "pairs": ([1, 1, 1, 1], [0, 1, 0, 0]), "from behind": [-1, 2, 2],
        "slices": (slice(None, None, -2), slice(1, None)), "slice and list": (slice(None), [1, 1]),
        "new axes": (None, [2, 2], None), "nothing": slice(3, 3), "no places": np.zeros(0, int),
        "truth": np.array([True, False, True]), "a table of places": np.array([[0, 0], [1, 0]]), "ellipsis": (..., 0)}


@pytest.mark.parametrize("name", KEYS)
def test_indices_that_repeat_add_up(name):
    x, key = np.arange(6.0).reshape(3, 2) + 1, KEYS[name]
    want = np.zeros((3, 2))
    np.add.at(want, key, 3 * x[key] ** 2)
    np.testing.assert_allclose(our_slopes(lambda x: x[key] ** 3, x)[0], want)
    again = np.zeros((3, 2))
    np.add.at(again, key, 6 * x[key])
    np.testing.assert_allclose(slope(slope(lambda x: x[key] ** 3))(leaf(x)).numpy(), again)


@pytest.mark.parametrize("one, other", list(itertools.product(range(5), range(5))))
def test_every_pair_of_ranks_broadcasts(one, other):
    """Each rank with ones in many places; the closed form is a sum over what was stretched."""
    sizes, rng = (2, 3, 1, 4), np.random.default_rng(one * 5 + other)
    for mask in range(2 ** min(one, 3)):
        a, b = (rng.uniform(1, 2, [1 if ones >> i & 1 else n for i, n in enumerate(sizes[4 - rank:])])
                for rank, ones in ((one, mask), (other, ~mask)))
        both = np.broadcast_shapes(a.shape, b.shape)
        for got, g in zip(our_slopes(lambda a, b: a * b / (a + b), a, b), (b * b / (a + b) ** 2, a * a / (a + b) ** 2), strict=True):
            stretched = [i - len(both) for i in range(len(both)) if i < len(both) - got.ndim or got.shape[i - len(both)] == 1]
            np.testing.assert_allclose(got, np.broadcast_to(g, both).sum(axis=tuple(stretched)).reshape(got.shape), rtol=1e-12)


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (2, 0, 3)])
def test_sums_of_nothing_have_slopes_of_no_numbers(shape):
    x, y = leaf(np.zeros(shape)), leaf(5.0)
    total = (x.exp() * y).sum() + y * 2
    assert total.item() == 10.0
    dx, dy = tt.grad(total, [x, y])
    assert dx.shape == shape and dy.item() == 2.0
    assert slope(slope(lambda x: x ** 3))(x).shape == shape
    for k in range(len(shape)):
        assert tt.grad((x.sum(k) + y).sum(), x)[0].shape == shape


# ---- dtypes and corners --------------------------------------------------------------------------------------------

MIXED = {"product": lambda a, b: a * b, "quotient": lambda a, b: (a + b) / b, "power": lambda a, b: a ** b,
         "chain": lambda a, b: (a * 2.5 - b) * a}
each_mixture = pytest.mark.parametrize("one, other", list(itertools.product([F32, F64], repeat=2)), ids=str)


@needs_torch
@each_mixture
@pytest.mark.parametrize("name", MIXED)
def test_each_leaf_of_either_dtype_has_a_gradient_of_its_own(name, one, other):
    rng = np.random.default_rng(0)
    given = rng.uniform(0.5, 2, (3, 2)).astype(one), rng.uniform(0.5, 2, 2).astype(other)
    leaves = [leaf(x, x.dtype) for x in given]
    MIXED[name](*leaves).sum().backward()
    for x, want in zip(leaves, torch_slopes(MIXED[name], *given), strict=True):
        assert (x.grad.dtype, x.grad.shape) == (want.dtype, want.shape)
        np.testing.assert_allclose(x.grad.numpy(), want, rtol=1e-12 if one == other == F64 else 1e-6)


def test_grad_too_is_of_the_dtype_of_its_input():
    x, y = leaf([1.0, 2.0], F32), leaf([3.0, 4.0], F64)
    assert [g.dtype for g in tt.grad((x * y).sum(), [x, y])] == [F32, F64]


CORNERS = {                                                           # `by` is tinytorch or torch
    "relu at 0": lambda by, x: by.relu(x), "abs at 0": lambda by, x: x.abs(), "clipped at 0": lambda by, x: x.clip(0, 1),
    "max of equals": lambda by, x: by.amax(x, 0), "larger of equals": lambda by, x: by.maximum(x, x * 1.0),
    "larger than 0": lambda by, x: by.maximum(x, x * 0.0), "0 squared": lambda by, x: x ** 2, "0 to the 1": lambda by, x: x ** 1,
    "0 to the 0": lambda by, x: x ** 0, "0 to the half": lambda by, x: (x * x) ** 0.5,
    "sqrt at 0": lambda by, x: by.sqrt(x * x), "1 over 0": lambda by, x: 1 / x, "log at 0": lambda by, x: by.log(x * x),
    "0 to the x": lambda by, x: 0.0 ** (x * x), "not taken": lambda by, x: by.where(x > 0, by.log(x * x), x)}


@needs_torch
@pytest.mark.parametrize("name", CORNERS)
@pytest.mark.filterwarnings("ignore")
def test_at_corners_and_edges_the_slope_is_torchs(name):
    at = np.array([0.0, 0.0, -1.0, 2.0, 2.0])
    got, want = our_slopes(partial(CORNERS[name], tt), at), torch_slopes(partial(CORNERS[name], torch), at)
    np.testing.assert_allclose(got[0], want[0], rtol=1e-12)


@pytest.mark.filterwarnings("ignore")
def test_0_to_the_0_has_slope_0_for_a_tensor_of_exponents_too():
    assert our_slopes(lambda a, b: a ** b, np.zeros(2), np.array([0.0, 2.0]))[0].tolist() == [0.0, 0.0]


# ---- a network of single numbers ---------------------------------------------------------------------------------------

def neuron(weights, bias, inputs):
    return sum((w * x for w, x in zip(weights, inputs, strict=True)), bias)


def moons(count=20):
    """Two half circles that lie in one another, and their sides, -1 and 1."""
    turn = np.linspace(0, math.pi, count // 2)
    one, other = np.c_[np.cos(turn), np.sin(turn)], np.c_[1 - np.cos(turn), 0.5 - np.sin(turn)]
    return np.concatenate([one, other]).tolist(), [-1.0] * (count // 2) + [1.0] * (count // 2)


def test_a_network_of_single_numbers_learns_to_tell_two_moons():
    rng = np.random.default_rng(0)
    layers = [[([leaf(w) for w in rng.normal(size=n)], leaf(0.0)) for _ in range(m)] for n, m in ((2, 8), (8, 1))]
    parameters = [p for layer in layers for weights, bias in layer for p in (*weights, bias)]
    points, sides = moons()

    def scores():
        return [neuron(*layers[1][0], [tt.tanh(neuron(*n, point)) for n in layers[0]]) for point in points]
    losses = []
    for _ in range(50):
        loss = sum(tt.relu(1 - side * score) for side, score in zip(sides, scores(), strict=True)) / len(sides)
        for p in parameters:
            p.zero_grad()
        loss.backward()
        for p in parameters:
            p.data -= 0.5 * p.grad.data
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0] and losses[::10] == sorted(losses[::10], reverse=True), losses
    assert sum((score.item() > 0) == (side > 0) for side, score in zip(sides, scores(), strict=True)) >= 18
