"""What stands around tests that start workers."""

import gc
import multiprocessing
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.data.parts import children, named_memory, open_files
from tests.waiting import soon


@pytest.fixture
def nothing_is_left() -> Iterator[None]:
    """No process, no zombie, no open file, no named memory."""
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("this system has no fork")
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("what is left is read from /proc")
    gc.collect()
    before = children(), open_files(), named_memory()
    yield
    gc.collect()
    assert soon(lambda: (set(children()) - set(before[0]), named_memory() - before[2]) == (set(), set())), (children(), named_memory())
    assert open_files() <= before[1]
