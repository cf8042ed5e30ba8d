"""Networks that read the digits of milestone 4, for the claims: the scans that they learn from, and those that are held out."""

from __future__ import annotations

import runpy
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import tinytorch as tt

MILESTONES = Path(__file__).resolve().parents[1] / "milestones"
Array = np.ndarray


@cache
def milestone() -> dict[str, Any]:
    """The names of milestone 4, and of the handwriting that it reads."""
    sys.path.insert(0, str(MILESTONES))
    try:
        return runpy.run_path(str(MILESTONES / "handwriting.py")) | runpy.run_path(str(MILESTONES / "04_cnn.py"))
    finally:
        sys.path.remove(str(MILESTONES))


@cache
def scans() -> tuple[Any, Array, Array]:
    """1,437 scans that are never quite the same, as a loader; 360 that are held out, as in the milestones, and their labels."""
    images, labels = milestone()["scans"]()
    order = np.random.default_rng(1998).permutation(len(labels))
    held, learn = order[:360], order[360:]
    data = tt.TensorDataset(images[learn, None], labels[learn])
    return milestone()["Unsteady"](tt.DataLoader(data, batch_size=32, shuffle=True)), images[held, None], labels[held]


def right(model: tt.Module) -> float:
    """The share of the held-out scans that a model reads rightly, in percent."""
    _, x, labels = scans()
    with tt.no_grad():
        return 100 * float((model.eval()(tt.Tensor(x)).numpy().argmax(axis=1) == labels).mean())


def mlp(*sizes: int) -> tt.Module:
    """Linear layers from 64 pixels through `sizes` to 10 digits, ReLU between them."""
    widths = [64, *sizes, 10]
    layers = [layer for k in range(len(widths) - 1) for layer in (tt.ReLU(), tt.Linear(widths[k], widths[k + 1]))]
    return tt.Sequential(tt.Flatten(), *layers[1:])


def fit(model: tt.Module, epochs: int, lr: float = 0.05, loss: Any = tt.cross_entropy) -> tt.Module:
    """Train on scans; `loss` of logits and labels."""
    optimizer = tt.SGD(model.parameters(), lr=lr, momentum=0.9, weight_decay=1e-4)
    tt.Trainer(model, optimizer, loss, tt.CosineSchedule(lr, 0.0, epochs)).fit(scans()[0], epochs)
    return model
