"""Where ours differs from torch on purpose: why, what ours does, and what torch does, so that each can be looked at again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import tinytorch as tt
from tests.conformance.operations import F, torch

Outcome = Any                                       # an exception type, or (dtype, shape, numbers or None)


@dataclass(frozen=True)
class Difference:
    """The same call, and its two outcomes."""

    why: str
    ours: Callable[[], Any]
    theirs: Callable[[], Any]
    outcome: Outcome
    outcome_of_torch: Outcome


def row(values: Any = (1.0, 2.0, 3.0), dtype: str = "float32") -> Any:
    return tt.Tensor(np.array(values, dtype), dtype=dtype)


def line(values: Any = (1.0, 2.0, 3.0), dtype: str = "float32") -> Any:
    return torch.tensor(np.array(values, dtype))


def numbers(dtype: str, values: Any) -> Outcome:
    """What is expected: this dtype, and these numbers."""
    return dtype, np.shape(values), np.asarray(values)


def slope_of(x: Any, call: Callable[[Any], Any]) -> Any:
    """The gradient of the sum of `call(x)`, as a detached tensor."""
    x.requires_grad = True
    call(x).sum().backward()
    return x.grad


def cube() -> np.ndarray:
    return np.arange(24.0, dtype="float32").reshape(2, 3, 4)


NAN = float("nan")
DIFFERENCES = [
    Difference("floats become float32 unless another dtype is named", lambda: tt.tensor(np.ones(2)), lambda: torch.tensor(np.ones(2)),
               numbers("float32", [1, 1]), numbers("float64", [1, 1])),
    Difference("a result is float64 where an input was, also one of shape ()", lambda: row() + row(1.0, "float64"),
               lambda: line() + line(1.0, "float64"), numbers("float64", [2, 3, 4]), numbers("float32", [2, 3, 4])),
    Difference("a product widens as a sum does", lambda: row() @ row((1, 1, 1), "float64"), lambda: line() @ line((1, 1, 1), "float64"),
               numbers("float64", 6.0), RuntimeError),
    Difference("a truth value is a number to Python, also in a subtraction", lambda: row() - True, lambda: line() - True,
               numbers("float32", [0, 1, 2]), RuntimeError),
    Difference("whole numbers have a mean, a float", lambda: row((1, 2), "int64").mean(), lambda: line((1, 2), "int64").mean(),
               numbers("float32", 1.5), RuntimeError),
    Difference("activations take whole numbers", lambda: tt.softmax(row((1, 1), "int64")), lambda: F.softmax(line((1, 1), "int64"), 0),
               numbers("float32", [0.5, 0.5]), RuntimeError),
    Difference("NumPy computes exp, log, sqrt and tanh of one-byte numbers in half precision; the result is float32",
               lambda: row((True,), "bool").exp(), lambda: line((True,), "bool").exp(), numbers("float32", [np.float16(np.e)]),
               numbers("float32", [np.e])),
    Difference("a whole number to a negative power is refused", lambda: row((2,), "int64") ** row((-1,), "int64"),
               lambda: line((2,), "int64") ** line((-1,), "int64"), ValueError, numbers("int64", [0])),
    Difference("a truth value to a power is NumPy's byte", lambda: row((True,), "bool") ** 2, lambda: line((True,), "bool") ** 2,
               numbers("int8", [1]), numbers("int64", [1])),
    Difference("masked_fill widens as `where` does", lambda: row((True, True), "bool").masked_fill(np.array([True, False]), 7),
               lambda: line((True, True), "bool").masked_fill(line((True, False), "bool"), 7),
               numbers("int64", [7, 1]), numbers("bool", [1, 1])),
    Difference("a vector has no two axes to swap", lambda: row().T, lambda: line().t(), IndexError, numbers("float32", [1, 2, 3])),
    Difference("a single number has no axis to average along", lambda: row(1.0).mean(dim=0), lambda: line(1.0).mean(dim=0), IndexError,
               numbers("float32", 1.0)),
    Difference("no classes have no probabilities", lambda: tt.softmax(row(())), lambda: F.softmax(line(()), -1), ValueError,
               numbers("float32", [])),
    Difference("the mean of nothing is refused before it spoils every weight", lambda: tt.mse_loss(row(()), row(())),
               lambda: F.mse_loss(line(()), line(())), ValueError, numbers("float32", NAN)),
    Difference("losses stretch nothing", lambda: tt.mse_loss(row([[1.0], [3.0]]), row((1.0, 3.0))),
               lambda: F.mse_loss(line([[1.0], [3.0]]), line((1.0, 3.0))), ValueError, numbers("float32", 2.0)),
    Difference("targets are class numbers; rows of probabilities are refused", lambda: tt.cross_entropy(row([[0, 0]]), row([[0.5, 0.5]])),
               lambda: F.cross_entropy(line([[0, 0]]), line([[0.5, 0.5]])), TypeError, ("float32", (), None)),
    Difference("a weight has shape (in, out), as x @ w reads", lambda: tt.Linear(3, 2).weight.detach(),
               lambda: torch.nn.Linear(3, 2).weight.detach(), ("float32", (3, 2), None), ("float32", (2, 3), None)),
    Difference("T swaps the last two axes, in a batch too", lambda: tt.Tensor(cube()).T, lambda: torch.tensor(cube()).T,
               ("float32", (2, 4, 3), None), ("float32", (4, 3, 2), None)),
    Difference("max and min along an axis give numbers; argmax says where", lambda: row().max(dim=0), lambda: line().max(dim=0)[1],
               numbers("float32", 3.0), numbers("int64", 2)),
    Difference("keys follow NumPy: a number beside a list counts as a list", lambda: tt.Tensor(cube())[0, :, [1, 2]],
               lambda: torch.tensor(cube())[0, :, [1, 2]], ("float32", (2, 3), None), ("float32", (3, 2), None)),
    Difference("a slice may go backwards", lambda: row()[::-1], lambda: line()[::-1], numbers("float32", [3, 2, 1]), ValueError),
    Difference("clip without limits changes nothing", lambda: row().clip(), lambda: line().clip(), numbers("float32", [1, 2, 3]),
               RuntimeError),
    Difference("where limits cross, the upper one wins, and a number equal to it has a slope",
               lambda: slope_of(row((-1.0, 0.0)), lambda x: x.clip(1, -1)), lambda: slope_of(line((-1.0, 0.0)), lambda x: x.clip(1, -1)),
               numbers("float32", [1, 0]), numbers("float32", [0, 0])),
    Difference("nan has no slope either", lambda: slope_of(row((NAN, 1.0)), abs), lambda: slope_of(line((NAN, 1.0)), abs),
               numbers("float32", [NAN, 1]), numbers("float32", [0, 1])),
]
