"""Inputs that do not fit, of every operation of the table: refused in its name, or answered as torch answers; never a wrong number.

Settings that make no sense are in tests/engine/test_bad_input.py; nan and infinity in test_generated.py.
"""

import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tinytorch as tt

torch = pytest.importorskip("torch", reason="torch is only installed where conformance is checked: see the extra `conformance`")

from tests.conformance.compare import OURS, THEIRS, to_torch  # noqa: E402
from tests.conformance.forms import cases  # noqa: E402
from tests.conformance.operations import OPERATIONS  # noqa: E402

REPEATABLE = settings(derandomize=True, deadline=None, database=None, max_examples=3, suppress_health_check=list(HealthCheck))
WAYS = {
    "no axis": lambda a: np.full((), 1.5, a.dtype), "five axes": lambda a: np.ones((2, 1, 2, 1, 2), a.dtype),
    "thirteen": lambda a: np.ones(13, a.dtype), "no rows": lambda a: np.ones((0, 3), a.dtype), "nothing": lambda a: np.ones(0, a.dtype),
    "turned round": lambda a: a.T, "one row": lambda a: a[:1] if a.ndim else a, "an axis more": lambda a: a[None],
    "half": lambda a: a.astype(np.float16), "bytes": lambda a: np.abs(a).astype(np.uint8), "whole": lambda a: a.astype(np.int32),
    "truth": lambda a: a.astype(bool)}
LOOPS = {"loop_matmul", "conv2d_loops", "attention_loops"}          # written to be read, for inputs that fit
OF_ARRAYS = {"logistic", "error_function"}                          # the table writes what they give back in the dtype of the input
ON_PURPOSE = {("masked_fill", "truth")}                             # it widens: differences.py


def outcome(call):
    """What a call returns as an array, or the error that it raises."""
    try:
        with np.errstate(all="ignore"):
            got = call()
        return np.asarray(got.detach().numpy() if isinstance(got, torch.Tensor) else got.numpy(), np.float64)
    except THEIRS as error:
        return error


def close(got, want):
    """Within what float16 can hold."""
    return got.shape == want.shape and np.allclose(got, want, rtol=1e-2, atol=1e-2, equal_nan=True)


def looked_at(operation, arrays, chosen):
    """Nothing, or what is wrong with how ours took these inputs."""
    before = [a.copy() for a in arrays]
    got = outcome(lambda: operation.ours(*[tt.Tensor(a, dtype=a.dtype) for a in arrays], **chosen))
    if not all(np.array_equal(a, b) for a, b in zip(arrays, before)):
        return "an input was written to"
    if isinstance(got, Exception):
        named = isinstance(got, OURS) and re.match(r"\w+: ", str(got))
        return None if named else f"{type(got).__name__}: {got}"
    wide = [a.astype(np.float64) if a.dtype.kind == "f" else a for a in arrays]
    for other in (lambda: operation.theirs(*map(to_torch, arrays), **{name: to_torch(value) for name, value in chosen.items()}),
                  lambda: operation.ours(*[tt.Tensor(a, dtype=a.dtype) for a in wide], **chosen)):
        want = outcome(other)
        if isinstance(want, np.ndarray) and got.size + want.size and not close(got, want):
            return f"{got.ravel()[:4]} of shape {got.shape}, not {want.ravel()[:4]} of shape {want.shape}"
    return None


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [name for name in OPERATIONS if name[0].islower() and name not in LOOPS | OF_ARRAYS])
@REPEATABLE
@given(data=st.data())
def test_inputs_that_do_not_fit(name, data):
    operation = OPERATIONS[name]
    case = data.draw(cases(operation, coarse=False))
    for number, array in enumerate(case.arrays):
        for way, spoil in WAYS.items():
            arrays = [a.copy() for a in case.arrays]
            arrays[number] = np.array(spoil(array))
            if (name, way) not in ON_PURPOSE:
                assert looked_at(operation, arrays, case.settings) is None, f"input {number}, {way}, of {case}"


@pytest.mark.parametrize("name", ["sigmoid", "softmax", "log_softmax", "silu", "gelu", "tanh", "relu", "erf"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "int8", "int64", "bool"])
def test_whole_numbers_give_what_their_floats_give(name, dtype):
    numbers = np.array([0, 1, 1, 0], dtype) if dtype == "bool" else np.array([0, 1, 5, 100], dtype)
    function = getattr(tt, name, None) or getattr(tt.core.activations, name)
    got, want = (function(tt.Tensor(numbers, dtype=each)).numpy() for each in (dtype, "float32"))
    np.testing.assert_allclose(got, want, rtol=1e-3)
