"""One call, ours and torch's: value, shape, dtype, and the gradient of a weighted sum are the same, or both refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinytorch as tt
from tests.conformance.forms import Case
from tests.conformance.operations import Operation, torch

TOLERANCE = {"float32": {"rtol": 2e-5, "atol": 2e-6}, "float64": {"rtol": 1e-10, "atol": 1e-12}}
OURS = (ValueError, TypeError, IndexError)          # what our operations raise for what they cannot do
THEIRS = (*OURS, RuntimeError)


def to_torch(value: Any) -> Any:
    """Arrays as torch's tensors, also inside a tuple; anything else as it is."""
    if isinstance(value, np.ndarray):
        return torch.tensor(value.copy())
    return tuple(map(to_torch, value)) if isinstance(value, tuple) else value


def leaves(operation: Operation, case: Case) -> tuple[list[Any], list[Any]]:
    """The inputs as tensors, ours and torch's; ours look at the very arrays, whatever their layout."""
    sloped = [operation.slope and a.dtype.kind == "f" for a in case.arrays]
    mine = [tt.Tensor(a, requires_grad=s, dtype=a.dtype) for a, s in zip(case.arrays, sloped)]
    return mine, [to_torch(a).requires_grad_(s) for a, s in zip(case.arrays, sloped)]


def result_dtype(case: Case, theirs: np.dtype[Any]) -> np.dtype[Any]:
    """torch's, but for one rule: a float64 of shape () makes our result float64, and torch's only among its like.

    Ours is the simpler sentence: a result is float64 where an input was.
    """
    wide = any(a.dtype == np.float64 for a in case.arrays)
    return np.dtype("float64") if theirs == np.float32 and wide else theirs


def check(operation: Operation, case: Case) -> None:
    """AssertionError where ours and torch's differ, or an input was written to."""
    mine, other = leaves(operation, case)
    before = [a.copy() for a in case.arrays]
    with np.errstate(all="ignore"):
        try:
            want = operation.theirs(*other, **{name: to_torch(value) for name, value in case.settings.items()})
        except THEIRS:
            return refused(operation, mine, case)
        if operation.refuses(case.arrays, case.settings):
            return refused(operation, mine, case)
        got = operation.ours(*mine, **case.settings)
        dtype = result_dtype(case, want.detach().numpy().dtype)
        same(got.numpy(), want.detach().numpy(), dtype, coarse=any(a.dtype == np.float32 for a in case.arrays))
        if want.requires_grad:
            gradients(got, want, mine, other)
    for a, b in zip(case.arrays, before):
        np.testing.assert_array_equal(a, b, "an input was written to")
    return None


def refused(operation: Operation, mine: list[Any], case: Case) -> None:
    with pytest.raises(OURS):
        operation.ours(*mine, **case.settings)


def same(got: np.ndarray, want: np.ndarray, dtype: np.dtype[Any], note: str = "value", coarse: bool = False) -> None:
    """Shape, dtype and numbers; nan equals nan."""
    assert type(got) is np.ndarray, f"{note}: a {type(got).__name__}, and not an array"
    assert got.shape == want.shape, f"{note}: shape {got.shape}, torch {want.shape}"
    assert got.dtype == dtype, f"{note}: {got.dtype}, torch {want.dtype}"
    coarser = "float32" if coarse or np.float32 in (got.dtype, want.dtype) else "float64"
    np.testing.assert_allclose(got, want, **TOLERANCE[coarser], err_msg=note)


def gradients(got: Any, want: Any, mine: list[Any], other: list[Any]) -> None:
    """The gradients of a weighted sum of the results, for every input that has one; each in its own dtype."""
    assert got.requires_grad, "torch has a gradient here"
    weights = np.random.default_rng(0).uniform(0.5, 1.5, got.shape).astype(got.dtype)
    got.backward(weights)
    want.backward(torch.tensor(weights).to(want.dtype))
    for k, (a, b) in enumerate(zip(mine, other)):
        if b.grad is None:
            assert a.grad is None or not a.grad.numpy().any(), f"gradient {k}: torch has none"
        else:
            assert a.grad is not None, f"gradient {k} is missing"
            same(a.grad.numpy(), b.grad.numpy(), a.dtype, f"gradient {k}", coarse=any(t.dtype == np.float32 for t in mine))
