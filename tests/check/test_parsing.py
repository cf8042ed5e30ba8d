"""Threads that parse at the same time do not disturb each other."""

from __future__ import annotations

import ast
import gc
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tito import parsing
from tito.parsing import parsing_in_turn

THREADS = 4


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads change often, and memory is collected often."""
    interval, thresholds = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(1e-5)
    gc.set_threshold(50, 2, 2)
    yield
    sys.setswitchinterval(interval)
    gc.set_threshold(*thresholds)


class Loop:
    """Collected late, and not at once: meanwhile another thread may have its turn."""

    def __init__(self) -> None:
        self.me = self

    def __del__(self) -> None:
        sum(range(200))


def parsed(depth: int, source: str, until: float) -> int:
    """How often the source was parsed, so deep in calls; whatever goes wrong is raised."""
    if depth:
        return parsed(depth - 1, source, until)
    times = 0
    while time.monotonic() < until:
        for _ in range(20):
            Loop()
        ast.parse(source)
        times += 1
    return times


@pytest.mark.usefixtures("restless")
def test_many_threads_parse_at_once() -> None:
    source, until = Path(__file__).read_text(encoding="utf-8"), time.monotonic() + 3
    with parsing_in_turn(), ThreadPoolExecutor(THREADS) as pool:
        assert all(future.result() for future in [pool.submit(parsed, 10 * k, source, until) for k in range(THREADS)])


def test_one_thread_at_a_time_and_afterwards_all_is_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    inside, most, count, parse = [0], [0], threading.Lock(), ast.parse

    def slow(*args: Any, **settings: Any) -> Any:
        with count:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        time.sleep(0.02)
        with count:
            inside[0] -= 1
        return parse(*args, **settings)

    monkeypatch.setattr(parsing, "MIXES_UP", True)
    monkeypatch.setattr(ast, "parse", slow)
    with parsing_in_turn(), ThreadPoolExecutor(THREADS) as pool:
        assert len(list(pool.map(lambda source: ast.parse(source), "abcdefgh"))) == 8
    assert most == [1] and ast.parse is slow
