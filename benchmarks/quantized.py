"""512 rows times a matrix of 1024 by 1024 whose weights are stored in one byte each; by hand and in torch, the same weights as floats."""

from __future__ import annotations

from types import ModuleType

import numpy as np

import tinytorch as tt
from benchmarks.measure import Side

ROWS, WIDTH = 512, 1024


def int8(torch: ModuleType | None) -> dict[str, Side]:
    """The product by everybody who is there; AssertionError where what is stored is not a quarter."""
    rng = np.random.default_rng(0)
    x, layer = rng.standard_normal((ROWS, WIDTH), dtype=np.float32) / 8, tt.Linear(WIDTH, WIDTH, bias=False, generator=rng)
    stored, given = tt.QuantizedLinear(layer), tt.Tensor(x)
    held = sum(t.data.nbytes for t in vars(stored).values() if isinstance(t, tt.Tensor))
    assert held * 3.9 < layer.weight.data.nbytes, f"{held:,} bytes are no quarter of {layer.weight.data.nbytes:,}"
    floats = np.ascontiguousarray(stored.weight.numpy())
    sides = {"ours": Side(lambda: stored(given), lambda y: [y.numpy()]), "numpy": Side(lambda: x @ floats, lambda y: [y])}
    if torch:
        p, q = torch.from_numpy(x), torch.from_numpy(floats)
        sides["torch"] = Side(lambda: p @ q, lambda y: [y.numpy()])
    return sides
