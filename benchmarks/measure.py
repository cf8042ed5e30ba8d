"""Time as `tito bench` takes it, in turns, and memory."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from typing import Any, NamedTuple

from tito.bench.measure import Side, enough, in_turns, ratio, seconds, torch_or_none, verify

__all__ = ["Side", "Training", "alive", "enough", "growth", "in_turns", "peak", "ratio", "seconds", "torch_or_none", "verify"]


class Training(NamedTuple):
    """What a training step works with: the loss of the batch, to be computed, and the optimizer."""

    loss: Callable[[], Any]
    optimizer: Any

    def step(self) -> Any:
        """Gradients forgotten, forward, backward, the optimizer's step; the loss."""
        self.optimizer.zero_grad()
        loss = self.loss()
        loss.backward()
        self.optimizer.step()
        return loss


def growth(step: Callable[[], Any], times: int) -> float:
    """Bytes that one of `times` steps leaves behind while nobody collects cycles."""
    gc.collect()
    gc.disable()
    for length in range(20):                    # Python keeps up to 2,000 freed tuples of each length: fill that store first
        [tuple([None] * length) for _ in range(2000)]
    tracemalloc.start()
    try:
        for _ in range(times):                  # what is made once is no growth
            step()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(times):
            step()
        return (tracemalloc.get_traced_memory()[0] - before) / times
    finally:
        tracemalloc.stop()
        gc.enable()


def traced(call: Callable[[], Any]) -> tuple[int, int]:
    """Bytes besides what was there before a call: those that stay as long as what it returns does, and those at its worst moment."""
    gc.collect()
    tracemalloc.start()
    try:
        returned = call()
        now, most = tracemalloc.get_traced_memory()
        del returned
        return now, most
    finally:
        tracemalloc.stop()


def alive(make: Callable[[], Any]) -> int:
    """Bytes that are there as long as what `make` returns is."""
    return traced(make)[0]


def peak(step: Callable[[], Any]) -> int:
    """Bytes that one step has at its worst moment, besides what was there before it."""
    return traced(step)[1]
