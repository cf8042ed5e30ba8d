"""However the main process ends, no worker outlives it, and a terminal is told once."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data.parts import HANG, named_memory, start
from tests.waiting import soon
from tinytorch.data import DataLoader

pytestmark = pytest.mark.usefixtures("nothing_is_left")

LOOP = """
for batch in DataLoader(Slow(10000, {seconds}), 4, num_workers=3):
    print(os.getpid(), *children(), flush=True)
    {then}
"""


def run(seconds: float, then: str) -> Any:
    """A process in its loop, and the pids of its workers."""
    process = start(LOOP.format(seconds=seconds, then=then))
    assert process.stdout
    pid, *workers = map(int, process.stdout.readline().split())
    assert pid == process.pid and len(workers) == 3
    return process, workers


def gone(pids: list[int]) -> Callable[[], bool]:
    return lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids)


def finish(process: Any) -> tuple[str, str]:
    out, err = process.communicate(timeout=20)
    return out, err


@pytest.mark.parametrize("seconds", [0.01, 30])
def test_when_the_main_process_is_killed_its_workers_end(seconds: float) -> None:
    process, workers = run(0.01, f"Slow(1, {seconds})[0]") if seconds > 1 else run(seconds, "pass")
    process.kill()
    assert soon(gone(workers))
    assert "Traceback" not in finish(process)[1]


def test_when_the_main_process_is_killed_workers_in_the_middle_of_a_sample_end() -> None:
    process = start("""
import threading
threading.Thread(target=lambda: (time.sleep(1), print(os.getpid(), *children(), flush=True)), daemon=True).start()
for batch in DataLoader(Slow(8, 100), 4, num_workers=2): pass
""")
    pid, *workers = map(int, process.stdout.readline().split())  # type: ignore[union-attr]
    assert len(workers) == 2
    process.kill()
    assert soon(gone(workers))
    finish(process)


@pytest.mark.parametrize(
    "then", ["sys.exit(5)", "break", "raise ValueError('of the user')", "os._exit(5)", "keep = batch; iterator = 1; 1 / 0"]
)
def test_however_the_main_process_ends_no_worker_is_left(then: str) -> None:
    process, workers = run(0.01, then)
    out, err = finish(process)
    assert soon(gone(workers))
    assert "in worker" not in err and "ResourceWarning" not in err and "leaked" not in err
    assert err == "" or then.startswith(("raise", "keep"))


def test_an_iterator_that_is_alive_at_the_end() -> None:
    process = start("iterator = iter(DataLoader(Slow(100, 0.01), 4, num_workers=2)); next(iterator); print(*children(), flush=True)")
    out, err = finish(process)
    assert process.returncode == 0 and err == ""
    assert soon(gone(list(map(int, out.split()))))


@pytest.mark.parametrize("whom", ["main", "all"])
@pytest.mark.parametrize("where", ["waiting", "in the loop"])
def test_ctrl_c(whom: str, where: str) -> None:
    """A terminal sends it to every process of its group; JupyterLab to the kernel alone."""
    seconds, then = (0.5, "pass") if where == "waiting" else (0.01, "time.sleep(20)")
    code = LOOP.format(seconds=seconds, then=then)
    process = start("os.setsid()\n" + code)
    pid, *workers = map(int, process.stdout.readline().split())  # type: ignore[union-attr]
    time.sleep(0.1)
    began = time.monotonic()
    (os.killpg if whom == "all" else os.kill)(process.pid, signal.SIGINT)
    _, err = finish(process)
    assert err.count("Traceback") == 1 and err.rstrip().endswith("KeyboardInterrupt"), err
    assert time.monotonic() - began < HANG and soon(gone(workers))


def test_a_handler_of_the_users_does_not_keep_workers_alive() -> None:
    process = start("""
signal.signal(signal.SIGTERM, lambda *_: None)
iterator = iter(DataLoader(Slow(100, 0.01), 4, num_workers=2))
next(iterator); print(*children(), flush=True)
sys.exit()
""")
    out, err = finish(process)
    assert err == "" and soon(gone(list(map(int, out.split()))))


def test_prints_of_a_worker_are_seen() -> None:
    process = start("""
class Talks(Noisy):
    def __getitem__(self, index):
        print("sample", index, flush=True)
        return index
list(DataLoader(Talks(4), 2, num_workers=1))
""")
    assert sorted(finish(process)[0].split("\n"))[1:] == [f"sample {i}" for i in range(4)]


def test_a_user_who_forks_does_not_end_our_workers() -> None:
    process = start("""
iterator = iter(DataLoader(Slow(40, 0.01), 4, num_workers=2, collate_fn=as_it_is))
next(iterator)
pid = os.fork()
if not pid:
    del iterator
    os._exit(0)
os.waitpid(pid, 0)
print(len(list(iterator)))
""")
    assert finish(process) == ("9\n", "")


def test_memory_never_has_a_name() -> None:
    """Looked at while batches lie in it."""
    before = named_memory()
    for batch in DataLoader([np.zeros(100_000)] * 20, 2, num_workers=2):
        assert named_memory() - before == set() and batch.size
        held = [str(each.readlink()) for each in Path("/proc/self/fd").iterdir() if each.is_symlink()]
        if sys.platform == "linux" and Path("/dev/shm").is_dir():
            assert any(name.startswith("/dev/shm/") and name.endswith("(deleted)") for name in held)
