"""Datasets that do what datasets do, well and badly, and a look at what is left of their workers."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import tinytorch as tt
from tests.waiting import soon  # noqa: F401    # for the code that `start` runs
from tinytorch.data import DataLoader, Dataset, IterableDataset, get_worker_info

ROOT = Path(__file__).parents[2]
HANG = 15.0                     # seconds: what takes that long, on a busy machine too, waits for something that will not come


class Noisy(Dataset):
    """A sample is its number, and numbers drawn in every way there is."""

    def __init__(self, n: int = 23):
        self.n = n

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> Any:
        return {"index": index, "ours": tt.randn(2, 3), "numpy": np.random.random(4), "python": random.random(), "name": f"sample {index}"}


class Troubled(Dataset):
    """Sample 13 is in trouble."""

    def __init__(self, trouble: Callable[[], Any], n: int = 30):
        self.trouble, self.n = trouble, n

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> Any:
        if index == 13:
            self.trouble()
        return np.full(1000, index)


class Slow(Dataset):
    """A sample takes some time, and is the moment at which it was begun."""

    def __init__(self, n: int, seconds: float):
        self.n, self.seconds = n, seconds

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> Any:
        began = time.monotonic()
        time.sleep(self.seconds)
        return index, began


class Stuck(Dataset):
    """Sample 0 never comes, and sample 1 ends its worker."""

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> Any:
        if index == 1:
            die()
        time.sleep(600)


class Lines(IterableDataset):
    """Whole numbers, shared out among workers."""

    def __init__(self, n: int, share: bool = True):
        self.n, self.share = n, share

    def __iter__(self) -> Iterator[int]:
        info = get_worker_info()
        return iter(range(info.id, self.n, info.num_workers) if info and self.share else range(self.n))


def as_it_is(samples: list[Any]) -> list[Any]:
    return samples


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def raise_key_error() -> None:
    raise KeyError("no such sample")


def told(batch: Any) -> Any:
    """A batch as something that can be compared, bit by bit."""
    if isinstance(batch, dict):
        return {key: told(value) for key, value in batch.items()}
    if isinstance(batch, (list, tuple)):
        return [told(value) for value in batch]
    return (batch.dtype.str, batch.shape, batch.numpy().tobytes()) if isinstance(batch, tt.Tensor) else batch


def epoch(dataset: Any, num_workers: int, seed: int = 5, **how: Any) -> list[Any]:
    return [told(batch) for batch in DataLoader(dataset, 4, num_workers=num_workers, generator=np.random.default_rng(seed), **how)]


def children(pid: int = 0) -> dict[int, str]:
    """The processes that a process has started and that still stand in the system's list: {pid: state}."""
    found = {}
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            try:
                state, parent = (place / "stat").read_text().rpartition(")")[2].split()[:2]
            except OSError:
                continue
            if int(parent) == (pid or os.getpid()):
                found[int(place.name)] = state
    return found


def named_memory() -> set[str]:
    """The names in /dev/shm, but for locks, the shared memory of others' libraries, and what the attacks on grading leave there."""
    folder, others = Path("/dev/shm"), ("sem.", "torch_", "psm_", "tt-redteam-")
    return {each.name for each in folder.iterdir() if not each.name.startswith(others)} if folder.is_dir() else set()


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def start(code: str) -> subprocess.Popen[str]:
    """A Python of its own that runs code, with these datasets at hand."""
    program = f"import time, os, sys, signal\nfrom tests.data.parts import *\n{code}"
    return subprocess.Popen(
        [sys.executable, "-X", "faulthandler", "-c", program],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error::ResourceWarning"},
    )
