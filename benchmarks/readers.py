"""Networks that read the digits of milestone 4, for the claims: the scans that they learn from, and those that are held out."""

from __future__ import annotations

import runpy
import sys
from functools import cache
from pathlib import Path
from typing import Any

import tinytorch as tt

MILESTONES = Path(__file__).resolve().parents[1] / "milestones"


@cache
def milestone() -> dict[str, Any]:
    """The names of milestone 4, and of the handwriting that it reads."""
    sys.path.insert(0, str(MILESTONES))
    try:
        return runpy.run_path(str(MILESTONES / "handwriting.py")) | runpy.run_path(str(MILESTONES / "04_cnn.py"))
    finally:
        sys.path.remove(str(MILESTONES))


@cache
def digits() -> Any:
    """1,437 scans to learn from, and 360 that are held out."""
    return tt.DigitsTask()


@cache
def unsteady(count: int | None = None) -> Any:
    """Those to learn from, or the first `count` of them, never quite the same, as a loader."""
    images, labels = digits().train
    return milestone()["Unsteady"](tt.DataLoader(tt.TensorDataset(images[:count], labels[:count]), batch_size=32, shuffle=True))


def right(model: tt.Module) -> float:
    """The share of the held-out scans that a model reads rightly, in percent; it is in evaluation mode afterwards."""
    task = digits()
    with tt.no_grad():
        return 100 * task.quality(model, task.answer(model.eval(), task.queries))


def mlp(*sizes: int) -> tt.Module:
    """Linear layers from 64 pixels through `sizes` to 10 digits, ReLU between them."""
    widths = [64, *sizes, 10]
    layers = [layer for k in range(len(widths) - 1) for layer in (tt.ReLU(), tt.Linear(widths[k], widths[k + 1]))]
    return tt.Sequential(tt.Flatten(), *layers[1:])


def fit(model: tt.Module, epochs: int, lr: float = 0.05, loss: Any = tt.cross_entropy) -> tt.Module:
    """Train on scans; `loss` of logits and labels."""
    optimizer = tt.SGD(model.parameters(), lr=lr, momentum=0.9, weight_decay=1e-4)
    tt.Trainer(model, optimizer, loss, tt.CosineSchedule(lr, 0.0, epochs)).fit(unsteady(), epochs)
    return model
