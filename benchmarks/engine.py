"""What the engine adds to NumPy on tensors of four numbers, where nothing else is left: `python -m benchmarks.engine`.

One thread and processor time; the median of interleaved rounds, by the package as it is exported.
"""

from __future__ import annotations

import gc
import os
import statistics
import sys
import time
from collections.abc import Callable

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"      # before NumPy is imported

import numpy as np  # noqa: E402

import tinytorch as tt  # noqa: E402
from benchmarks.report import Row, report  # noqa: E402

ROUNDS, TIMES = 15, 4000
A, B, ONES = np.arange(4, dtype=np.float32), np.arange(4, dtype=np.float32) + 1, np.ones(4, np.float32)


def numpy_mul_add() -> tuple[np.ndarray, np.ndarray]:
    """a * b + a, and its gradients by hand."""
    _, g = A * B + A, ONES.copy()
    return g * B + g, g * A


def our_mul_add() -> Callable[[], None]:
    """The same, recorded and differentiated."""
    a, b = tt.Tensor(A, requires_grad=True), tt.Tensor(B, requires_grad=True)

    def step() -> None:
        a.grad = b.grad = None
        (a * b + a).backward(ONES)
    step()
    for ours, want in zip((a, b), numpy_mul_add()):
        np.testing.assert_allclose(ours.grad.numpy(), want)     # a broken gradient is not fast, it is broken
    return step


def medians(*cases: Callable[[], object]) -> list[float]:
    """Microseconds of one call of each case."""
    times: list[list[float]] = [[] for _ in cases]
    for _ in range(ROUNDS):
        for case, found in zip(cases, times):
            start = time.process_time()
            for _ in range(TIMES):
                case()
            found.append((time.process_time() - start) / TIMES * 1e6)
    return [statistics.median(found) for found in times]


def chain(length: int = 100_000) -> float:
    """Microseconds an operation of a chain of `length`, built and differentiated."""
    x, c = tt.Tensor([1.0], requires_grad=True), tt.Tensor([1e-6])
    start, y = time.process_time(), x
    for _ in range(length // 2):
        y = y * c + x
    y.backward()
    return (time.process_time() - start) / length * 1e6


def main() -> int:
    """The rows of the engine that need no optimizer."""
    a, b = tt.Tensor(A), tt.Tensor(B)
    mul_add = our_mul_add()
    gc.collect()
    gc.freeze()
    add, numpy_add, step, by_hand = medians(lambda: a + b, lambda: A + B, mul_add, numpy_mul_add)
    return report([Row("add of 4 elements, no gradient", add, numpy_add, "us", 4.0),
                   Row("mul-add of 4 elements, forward and backward", step, by_hand, "us", 5.5),
                   Row("chain of 100,000, an operation, beside 1 us", statistics.median(chain() for _ in range(3)), 1.0, "us", 8.0)])


if __name__ == "__main__":
    sys.exit(main())
