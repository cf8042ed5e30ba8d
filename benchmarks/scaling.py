"""What a step costs as something grows: `python -m benchmarks.scaling [CURVE …] [--json FILE] [--picture FILE]`.

Times are processor time on one thread, of all sizes in turns; memory is the worst moment of a step.  Growth is how many times as much the
largest size costs as the middle one: of ours, of NumPy by hand where that is there, and of what the mathematics asks for (multiply-adds,
or bytes).  Exit code 1 where ours grows by more than a tenth faster than both of the others, or a result is wrong.
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    for name in ("OPENBLAS", "OMP", "MKL"):
        os.environ[f"{name}_NUM_THREADS"] = "1"     # read when NumPy is imported, so before everything below

import json  # noqa: E402
import platform  # noqa: E402
import statistics  # noqa: E402
from collections.abc import Iterator  # noqa: E402
from dataclasses import asdict, dataclass  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402

from benchmarks.curves import CURVES, Curve  # noqa: E402
from benchmarks.measure import Side, in_turns, peak, ratio, verify  # noqa: E402
from benchmarks.report import SLACK, aligned, options, shown  # noqa: E402

COLUMNS = "curve", "sizes", "smallest", "largest", "unit", "±", "ours", "numpy", "count", "excess", "verdict"
AGAIN = 2                                       # times that a curve is measured again before it has failed


@dataclass(frozen=True)
class Grown:
    """A curve as it was measured: what each size costs, seconds or bytes, and how many times the middle one's cost the largest one's is.

    `count` is how much the mathematics asks for at each size; `error` is why there are no figures.
    """

    curve: str
    sizes: tuple[int, ...]
    ours: tuple[float, ...] = ()
    numpy: tuple[float, ...] = ()
    count: tuple[float, ...] = ()
    growth: float | None = None
    spread: float | None = None
    numpys: float | None = None
    memory: bool = False
    error: str = ""

    @property
    def counted(self) -> float | None:
        """How many times as much the mathematics asks for."""
        return self.count[-1] / self.count[middle(self.sizes)] if self.count else None

    @property
    def excess(self) -> float | None:
        """Our growth over the faster of the other two: hand-written NumPy outgrows the count where it leaves a cache."""
        return self.growth / max(self.counted, self.numpys or 0.0) if self.growth is not None and self.counted else None

    @property
    def verdict(self) -> str:
        """met, nearly met (by less than a tenth too fast), missed or broken."""
        if self.error or self.excess is None:
            return "broken"
        return "met" if self.excess <= 1 else "nearly met" if self.excess <= SLACK else "missed"


def middle(sizes: tuple[int, ...]) -> int:
    """Where the half begins that is looked at: below it a step's fixed costs hide how it grows."""
    return (len(sizes) - 1) // 2


def timed(curve: Curve, rounds: int, least: float) -> Grown:
    """A curve by the clock: every size by every side, in turns."""
    made = {size: curve.make(size) for size in curve.sizes}
    for sides in made.values():
        verify(sides)
    sides: dict[str, Side] = {f"{side} {size}": one for size, both in made.items() for side, one in both.items()}
    times = in_turns(sides, rounds, least)
    largest, half = curve.sizes[-1], curve.sizes[middle(curve.sizes)]
    ours, numpys = (tuple(statistics.median(times[f"{side} {size}"]) for size in curve.sizes) for side in ("ours", "numpy"))
    growth, spread = ratio(times[f"ours {largest}"], times[f"ours {half}"])
    beside = ratio(times[f"numpy {largest}"], times[f"numpy {half}"])[0]
    return Grown(curve.title, curve.sizes, ours, numpys, tuple(map(curve.count, curve.sizes)), growth, spread, beside)


def remembered(curve: Curve) -> Grown:
    """A curve of memory: the worst moment of a second step, with all that the first one left."""
    found = []
    for size in curve.sizes:
        def twice(size: int = size) -> None:
            step = curve.make(size)["ours"].step
            step()
            step()
        found.append(float(peak(twice)))
    return Grown(curve.title, curve.sizes, tuple(found), (), tuple(map(curve.count, curve.sizes)),
                 found[-1] / found[middle(curve.sizes)], memory=True)


def measure(curve: Curve, rounds: int, least: float) -> Grown:
    """A curve; one of which a step breaks, or computes something wrong, has no figures.

    One that is missed is measured again, and its best counts: a busy machine slows some sizes more than others.
    """
    try:
        if curve.memory:
            return remembered(curve)
        found = timed(curve, rounds, least)
        for _ in range(AGAIN):
            if found.verdict == "missed":
                found = min(found, timed(curve, rounds, least), key=lambda grown: grown.excess)
        return found
    except Exception as error:                  # whatever a broken engine raises
        return Grown(curve.title, curve.sizes, memory=curve.memory, error=f"{type(error).__name__}: {error}".splitlines()[0])


def cells(grown: Grown) -> Iterator[str]:
    """A curve as a line of the table."""
    scale, unit = (2 ** -20, "MiB") if grown.memory else (1e3, "ms")
    yield grown.curve
    yield f"{grown.sizes[0]:,} to {grown.sizes[-1]:,}"
    for end in (0, -1):
        yield shown(grown.ours[end] * scale) if grown.ours else "-"
    yield unit
    for number in (grown.spread, grown.growth, grown.numpys, grown.counted, grown.excess):
        yield shown(number)
    yield f"{grown.verdict}: {grown.error}" if grown.error else grown.verdict


def picture(found: list[Grown], file: Path) -> None:
    """A panel for each curve, both axes logarithmic; the dashed line is how the count grows."""
    from matplotlib.figure import Figure
    found = [grown for grown in found if not grown.error]
    figure = Figure(figsize=(12, 2.6 * -(-len(found) // 4) + 0.3), layout="constrained")
    for k, grown in enumerate(found, 1):
        axes = figure.add_subplot(-(-len(found) // 4), min(4, len(found)), k)
        last = grown.ours[-1] / grown.count[-1]
        axes.loglog(grown.sizes, [last * count for count in grown.count], "--", color="#999999", label="the mathematics")
        if grown.numpy:
            axes.loglog(grown.sizes, grown.numpy, "o-", color="#dd8452", markersize=3, label="NumPy")
        axes.loglog(grown.sizes, grown.ours, "o-", color="#4c72b0", markersize=3, label="ours")
        axes.set_title(grown.curve, fontsize=9)
        axes.set_ylabel("bytes" if grown.memory else "seconds", fontsize=8)
        axes.minorticks_off()
        axes.set_xticks(grown.sizes[::2], [f"{size:,}" for size in grown.sizes[::2]])
        axes.tick_params(labelsize=7)
        if k == 1:
            axes.legend(fontsize=7)
    figure.savefig(file, dpi=120)


def report(found: list[Grown], to_json: str | None, **about: object) -> int:
    """Tell the curves; 1 where one grows too fast or is broken."""
    told = [{**asdict(g), "counted": g.counted, "excess": g.excess, "verdict": g.verdict} for g in found]
    text = json.dumps({**about, "curves": told}, indent=1)
    if to_json not in (None, "-"):
        Path(to_json).write_text(text + "\n", encoding="utf-8")
    print(text if to_json == "-" else aligned([list(COLUMNS), *(list(cells(g)) for g in found)]), flush=True)
    return int(any(g.verdict in ("missed", "broken") for g in found))


def main(arguments: list[str] | None = None, rounds: int = 5, least: float = 0.02) -> int:
    """Measure the curves that are named, or all."""
    parser = options("What a step costs as something grows: batch, width, depth, tokens, the graph, parameters, images.")
    parser.add_argument("--picture", metavar="FILE.png", type=Path, help="draw the curves, one panel each")
    parser.add_argument("curves", metavar="CURVE", nargs="*", help=f"of {', '.join(CURVES)}; all by default")
    chosen = parser.parse_args(arguments)
    if unknown := set(chosen.curves) - set(CURVES):
        parser.error(f"no curve {', '.join(sorted(unknown))}; there are {', '.join(CURVES)}")
    found = [measure(CURVES[name], rounds, least) for name in chosen.curves or CURVES]
    if chosen.picture:
        picture(found, chosen.picture)
    about = {"python": platform.python_version(), "numpy": np.__version__, "threads": 1, "clock": "process_time", "rounds": rounds}
    return report(found, chosen.json, **about)


if __name__ == "__main__":
    sys.exit(main())
