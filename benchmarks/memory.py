"""What a training step keeps, moment by moment, beside what the mathematics needs: `python -m benchmarks.memory [MODEL …] [--json FILE]`.

Bytes of arrays and objects, by tracemalloc, from before the model was made.  Then a thousand steps while nobody collects cycles: what each
leaves behind, and by how much the process grows (only told: the system gives and takes whole pages).  Exit code 1 where a gate is missed
by more than a tenth, or a step breaks.
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    for name in ("OPENBLAS", "OMP", "MKL"):
        os.environ[f"{name}_NUM_THREADS"] = "1"     # read when NumPy is imported, so before everything below

import gc  # noqa: E402
import platform  # noqa: E402
import tracemalloc  # noqa: E402
from collections.abc import Callable  # noqa: E402
from dataclasses import dataclass  # noqa: E402
from functools import partial  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402

from benchmarks import convolution, network, transformer  # noqa: E402
from benchmarks.cases import FORGOTTEN  # noqa: E402
from benchmarks.measure import Training, growth  # noqa: E402
from benchmarks.needs import Needs, cnn_needs, gpt_needs, mlp_needs  # noqa: E402
from benchmarks.report import Row, options, report  # noqa: E402

STEPS = 1000
GATE = 1.1                                      # of what is held over what is needed; small models have some objects beside


@dataclass(frozen=True)
class Model:
    """A model: how its training is made, what that needs, and a smaller one for a thousand steps."""

    title: str
    make: Callable[[], Training]
    needs: Needs
    small: Callable[[], Training]


SMALL = transformer.Size(layers=2, width=32, heads=2, batch=2, length=16)
MODELS = {
    "mlp": Model("MLP", lambda: network.training()[0], mlp_needs(network.SIZES, network.BATCH), lambda: network.training()[0]),
    "cnn": Model("CNN", convolution.training, cnn_needs(convolution.SIZE), partial(convolution.training, 8)),
    "gpt": Model("GPT", transformer.training, gpt_needs(transformer.USUAL), partial(transformer.training, SMALL)),
}


def phases(make: Callable[[], Training]) -> list[int]:
    """Bytes besides those before the model was made: in the order of `wanted`."""
    make().step()                               # what is made once for all models is not this one's
    gc.collect()
    tracemalloc.start()
    try:
        found, held = [], lambda: tracemalloc.get_traced_memory()[0]
        training = make()
        found.append(held())
        training.step()
        found.append(held())
        training.optimizer.zero_grad()
        loss = training.loss()
        found.append(held())
        tracemalloc.reset_peak()
        loss.backward()
        found += [tracemalloc.get_traced_memory()[1], held()]
        training.optimizer.step()
        found.append(held())
        training.optimizer.zero_grad()
        found.append(held())
        return found
    finally:
        tracemalloc.stop()


def wanted(needs: Needs) -> dict[str, int]:
    """Bytes that are needed at each moment."""
    held = needs.batch + needs.parameters + needs.averages
    full = held + needs.parameters              # with the gradients
    return {"made": needs.batch + needs.parameters, "after the first step": full, "after forward": held + needs.kept,
            "at backward's worst moment": needs.all, "after backward": full, "after the optimizer's step": full,
            "gradients forgotten": held}


def resident() -> int | None:
    """Bytes of the machine's memory that this process has, where the system tells."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if statm.exists() else None


def grown(step: Callable[[], object], times: int) -> float | None:
    """Bytes by which the process has grown after `times` steps, each, while nobody collects cycles."""
    gc.disable()
    try:
        for _ in range(times // 10):
            step()
        if (before := resident()) is None:
            return None
        for _ in range(times):
            step()
        return (resident() - before) / times
    finally:
        gc.enable()


def forgotten(make: Callable[[], Training], times: int) -> float:
    """Bytes that a step leaves behind; the smaller of two measurements, as Python now and then moves its table of names, which is large."""
    found = growth(make().step, times)
    return found if found <= FORGOTTEN else min(found, growth(make().step, times))


def rows(model: Model, steps: int) -> list[Row]:
    """The moments of a step in MiB, and what a thousand steps leave behind."""
    found = [Row(f"{model.title}, {moment}", bytes_ / 2 ** 20, need / 2 ** 20, "MiB", GATE)
             for bytes_, (moment, need) in zip(phases(model.make), wanted(model.needs).items(), strict=True)]
    left, more = forgotten(model.small, steps), grown(model.small().step, steps)
    found.append(Row(f"{model.title}, left behind by each of {steps:,} steps", left, None, "B", FORGOTTEN, absolute=True))
    found.append(Row(f"{model.title}, growth of the process by each", more, None, "B", None))
    return found


def measured(model: Model, steps: int) -> list[Row]:
    """Its rows; one row where a step breaks."""
    try:
        return rows(model, steps)
    except Exception as error:                  # whatever a broken engine raises
        return [Row(model.title, None, None, "MiB", GATE, error=f"{type(error).__name__}: {error}".splitlines()[0])]


def main(arguments: list[str] | None = None, steps: int = STEPS) -> int:
    """Measure the models that are named, or all."""
    parser = options("What a training step keeps, moment by moment, beside what the mathematics needs.")
    parser.add_argument("models", metavar="MODEL", nargs="*", help=f"of {', '.join(MODELS)}; all by default")
    chosen = parser.parse_args(arguments)
    if unknown := set(chosen.models) - set(MODELS):
        parser.error(f"no model {', '.join(sorted(unknown))}; there are {', '.join(MODELS)}")
    found = [row for name in chosen.models or MODELS for row in measured(MODELS[name], steps)]
    return report(found, chosen.json, "needed", python=platform.python_version(), numpy=np.__version__, steps=steps)


if __name__ == "__main__":
    sys.exit(main())
