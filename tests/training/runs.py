"""A run with everything that has a state, small and always the same; as a program, one that is killed in the middle.

    python -m tests.training.runs FOLDER     trains to the end
    python -m tests.training.runs            for each line FOLDER<tab>EVENTS a child does, but kills itself after so many function calls and
                                             returns; the child's exit code is printed
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import tinytorch as tt
from tinytorch import nn, optim
from tinytorch.core.training import CosineSchedule, Trainer

EPOCHS = 6


class Loader:
    """Shuffled batches; the order comes from a generator of its own, or from the common one."""

    def __init__(self, n: int, size: int, seed: int, generator: np.random.Generator | None = None):
        rng = np.random.default_rng(seed)
        self.x, self.y, self.size, self.generator = rng.normal(size=(n, 12)).astype("float32"), rng.integers(0, 4, size=n), size, generator

    def __len__(self) -> int:
        return -(-len(self.x) // self.size)

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        order = (self.generator or tt.core.tensor.default_generator).permutation(len(self.x))
        for at in range(0, len(order), self.size):
            part = order[at:at + self.size]
            yield self.x[part], self.y[part]


class Counter(nn.Module):
    """Counts what passes through it, in a buffer, and is part of the result."""

    def __init__(self) -> None:
        self.seen = tt.Tensor(np.zeros(1))

    def forward(self, x: Any) -> Any:
        if self.training:
            self.seen.data += len(x)
        return x + self.seen.item() * 1e-4


def trainer(seed: int = 0, kind: str = "Adam", scheduler: str = "ReduceLROnPlateau", width: int = 64, **settings: Any) -> Trainer:
    """A trainer whose model has dropout from two generators and a buffer."""
    tt.manual_seed(seed)
    model = nn.Sequential(nn.Linear(12, width), nn.ReLU(), nn.Dropout(0.2), nn.Dropout(0.1, np.random.default_rng(seed + 5)),
                          Counter(), nn.Linear(width, 4))
    optimizer = getattr(optim, kind)(model.parameters(), lr=0.02, **settings)
    schedules = {"ReduceLROnPlateau": lambda: optim.ReduceLROnPlateau(optimizer, patience=0),
                 "StepLR": lambda: optim.StepLR(optimizer, 2, 0.5), "Cosine": lambda: CosineSchedule(0.05, 0.001, EPOCHS), "": lambda: None}
    return Trainer(model, optimizer, nn.CrossEntropyLoss(), schedules[scheduler](), grad_clip_norm=0.5)


def loaders(own: bool = True) -> tuple[Loader, Loader]:
    return Loader(90, 16, 1, np.random.default_rng(3) if own else None), Loader(50, 20, 2, np.random.default_rng(4) if own else None)


def complete(made: Trainer, path: Path | None = None, resume: bool = False, own: bool = True) -> dict[str, list[Any]]:
    train, held_out = loaders(own)
    return made.fit(train, EPOCHS, held_out, patience=4, accumulation_steps=2, checkpoint=path, resume=resume)


def result(made: Trainer) -> str:
    """All that a run leaves, as text: the bytes of the weights too."""
    weights = {name: array.tobytes().hex() for name, array in made.model.state_dict().items()}
    return json.dumps([weights, made.history, made.epoch, made.optimizer.param_groups[0]["lr"], tt.rand(3).tolist()])


def killed_after(events: int) -> None:
    """From here on, count calls and returns of all functions, Python's and C's, and end this process without a word."""
    left = [events]

    def count(*_: Any) -> None:
        left[0] -= 1
        if left[0] <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
    sys.setprofile(count)


def run(folder: Path, events: int | None = None) -> None:
    made = trainer()
    if events is not None:
        killed_after(events)
    complete(made, folder / "run.npz", resume=True)
    sys.setprofile(None)
    (folder / "result.json").write_text(result(made), encoding="utf-8")


def run_as_child(folder: Path, events: int) -> int:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            run(folder, events)
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    if len(sys.argv) > 1:
        run(Path(sys.argv[1]))
    for line in sys.stdin if len(sys.argv) == 1 else ():
        where, limit = line.split("\t")
        print(run_as_child(Path(where), int(limit)), flush=True)
