"""Time in which the machine's mood cancels out: processor time, sides that take turns, medians of ratios within a round."""

from __future__ import annotations

import gc
import importlib
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np


class Side(NamedTuple):
    """One way to do a piece of work: a step to time, and the arrays that its value stands for, to compare."""

    step: Callable[[], Any]
    arrays: Callable[[Any], Sequence[np.ndarray]]


def verify(sides: dict[str, Side]) -> None:
    """Run every side once; AssertionError where one does not compute what NumPy's does: what is broken is not fast."""
    computed = {name: [np.array(x) for x in side.arrays(side.step())] for name, side in sides.items()}
    for name, got in computed.items():
        for k, (array, want) in enumerate(zip(got, computed["numpy"], strict=True)):
            close = array.shape == want.shape and np.allclose(array, want, rtol=1e-4, atol=1e-6)
            assert close, f"result {k + 1} of {name} is not NumPy's"


def seconds(step: Callable[[], Any], times: int, clock: Callable[[], float] = time.process_time) -> float:
    """Time of one of `times` steps: processor time, unless the clock is another."""
    start = clock()
    for _ in range(times):
        step()
    return (clock() - start) / times


def enough(step: Callable[[], Any], least: float, clock: Callable[[], float] = time.process_time) -> int:
    """How many steps take `least` seconds; counting them warms up as well."""
    times = 1
    while (took := seconds(step, times, clock) * times) < least / 4:
        times *= 2
    return max(1, round(times * least / took)) if took else times


def in_turns(sides: dict[str, Side], rounds: int, least: float,
             clock: Callable[[], float] = time.process_time) -> dict[str, list[float]]:
    """Seconds of one step of each side, once a round; a side works for `least` seconds, then it is the next one's turn."""
    times = {name: enough(side.step, least, clock) for name, side in sides.items()}
    found: dict[str, list[float]] = {name: [] for name in sides}
    gc.collect()
    gc.freeze()                                 # what is there already is nobody's cost
    try:
        for _ in range(rounds):
            for name, side in sides.items():
                found[name].append(seconds(side.step, times[name], clock))
    finally:
        gc.unfreeze()
    return found


def ratio(some: list[float], others: list[float]) -> tuple[float, float]:
    """The median of some / others, each within its round, and its spread: half of what lies between the quartiles."""
    ratios = [a / b for a, b in zip(some, others, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return middle, (high - low) / 2


def torch_or_none() -> Any:
    """torch on one thread, where it is installed."""
    try:
        torch = importlib.import_module("torch")
    except ImportError:
        return None
    torch.set_num_threads(1)
    return torch
