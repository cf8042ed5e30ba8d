"""Every operation of the table, on generated inputs: value, shape, dtype and gradient are torch's."""

import itertools

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tinytorch as tt

torch = pytest.importorskip("torch", reason="torch is only installed where conformance is checked: see the extra `conformance`")

from tests.conformance.compare import check, same, to_torch  # noqa: E402
from tests.conformance.differences import DIFFERENCES  # noqa: E402
from tests.conformance.forms import Case, cases  # noqa: E402
from tests.conformance.operations import CREATION, OPERATIONS  # noqa: E402

REPEATABLE = settings(derandomize=True, deadline=None, database=None, max_examples=60, suppress_health_check=list(HealthCheck))
SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-30, -1e-30, 1e15, -1e15, 1.0, -1.0, 90.0, -90.0, 0.5])
# Not compared there: torch takes the root of -inf and -0 its own way; its gelu of inf is nan; losses of probabilities take no others;
# it puts nan on a grid at the lowest number.
NOT_SPECIAL = {"power of positive numbers", "gelu", "binary_cross_entropy", "binary_cross_entropy_with_logits", "fake_quantize"}


@pytest.mark.filterwarnings("ignore:.*degrees of freedom", "ignore:Mean of empty slice")
@pytest.mark.parametrize("name", OPERATIONS)
@REPEATABLE
@given(data=st.data())
def test_value_and_gradient(name, data):
    check(OPERATIONS[name], data.draw(cases(OPERATIONS[name])))


def special_cases(operation, dtype="float32"):
    """Calls with nan, infinities, zeros of both signs, and numbers far out; every choice of the settings."""
    x = SPECIAL.astype(dtype)
    names, choices = [name for name, _ in operation.extra], itertools.product(*(values for _, values in operation.extra))
    for chosen in choices:
        some = dict(zip(names, chosen))
        if operation.form == "one":
            yield Case([x], some)
        elif operation.form in ("pair", "compared"):
            a, b = (array.copy() for array in np.broadcast_arrays(x[:, None], x))
            yield Case([a, b], some | ({"reduction": "none"} if operation.form == "compared" else {}))
        elif operation.form in ("axis", "reduced", "reduced to one"):
            for i, j in itertools.product(range(len(x)), repeat=2):
                yield Case([x[[i, j, 9]]], some | {"dim": 0} | ({} if operation.form == "axis" else {"keepdim": True}))


@pytest.mark.filterwarnings("ignore:.*degrees of freedom")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", [name for name in OPERATIONS if name not in NOT_SPECIAL and [*special_cases(OPERATIONS[name])]])
def test_value_of_special_numbers(name, dtype):
    for case in special_cases(OPERATIONS[name], dtype):
        operation, arrays = OPERATIONS[name], [a.copy() for a in case.arrays]
        with np.errstate(all="ignore"):
            got = operation.ours(*(tt.Tensor(a, dtype=a.dtype) for a in arrays), **case.settings).numpy()
        want = operation.theirs(*map(to_torch, arrays), **case.settings).numpy()
        same(got, want, want.dtype, f"{case.arrays} {case.settings}")


@pytest.mark.parametrize("name", [name for name, operation in OPERATIONS.items() if operation.built])
@REPEATABLE
@given(data=st.data())
def test_an_object_is_its_function(name, data):
    operation = OPERATIONS[name]
    case = data.draw(cases(operation, dtype="float32"))
    inputs = [tt.Tensor(a) for a in case.arrays] + [case.settings[k] for k in ("targets",) if k in case.settings]
    settings = {k: v for k, v in case.settings.items() if k != "targets"}
    if not operation.refuses(case.arrays, case.settings):
        np.testing.assert_array_equal(operation.built(**settings)(*inputs), operation.ours(*inputs, **settings))


SIZES = {"size": [(), (3,), (2, 0, 3), (1, 2)], "table": [(3,), (2, 4), (3, 0), (0,)],
         "range": [(4,), (0,), (2, 7), (7, 2, -2), (0.0, 1.0, 0.25), (1, 2, 0.5), (2.5,), (-3, 3)]}


@pytest.mark.parametrize("name", CREATION)
def test_tensors_from_nothing(name):
    operation = CREATION[name]
    if operation.form == "one":
        for data in ([[1.5, 2.0]], [1, 2], [True, False], 3, 2.5, [], [[], []]):
            want = operation.theirs(np.array(data)).numpy()
            same(operation.ours(np.array(data)).numpy(), want, want.dtype, f"{data}")
        return
    for size in SIZES[operation.form]:
        for values in itertools.product(*(choices for _, choices in operation.extra)):
            some = dict(zip((key for key, _ in operation.extra), values))
            want = operation.theirs(*size, **some).numpy()
            same(operation.ours(*size, **some).numpy(), want, want.dtype, f"{size} {some}")


@pytest.mark.parametrize("rate", [0.0, 0.3, 1.0])
def test_dropout_keeps_and_scales_and_its_gradient_is_the_mask(rate):
    x = tt.Tensor(np.ones((200, 50)), requires_grad=True)
    layer = tt.Dropout(rate)
    y = layer(x)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), y.numpy())
    assert abs((y.numpy() == 0).mean() - rate) < 0.03 and (rate == 1 or abs(y.numpy().max() - 1 / (1 - rate)) < 1e-6)
    assert layer.eval()(x) is x or (layer(x).numpy() == 1).all()


def outcome(call, expected):
    """Assert that a call has an outcome: an exception, or a dtype, a shape and, where they are told, numbers."""
    if isinstance(expected, type):
        with pytest.raises(expected):
            call()
        return
    dtype, shape, numbers = expected
    got = call().numpy()
    assert (str(got.dtype), got.shape) == (dtype, shape)
    if numbers is not None:
        np.testing.assert_allclose(got, numbers, rtol=1e-6)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda difference: difference.why)
def test_where_we_differ_on_purpose(difference):
    outcome(difference.ours, difference.outcome)
    outcome(difference.theirs, difference.outcome_of_torch)
    assert difference.outcome is not difference.outcome_of_torch
