"""How every benchmark tells its rows: a table, JSON, a picture, and the exit code."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

SLACK = 1.1             # a gate that is missed by more than a tenth fails


@dataclass(frozen=True)
class Row:
    """One case: what ours takes, what it stands beside takes (both in `unit`), and the gate for their ratio; None where it is only told.

    `absolute`: the gate is for ours itself.  `spread` is of the ratio (or of ours), `error` is why there are no figures.
    """

    case: str
    ours: float | None
    beside: float | None
    unit: str
    gate: float | None
    torch: float | None = None
    over_torch: float | None = None
    target: float | None = None
    spread: float | None = None
    measured: float | None = None       # the ratio, where it was taken round by round
    absolute: bool = False
    error: str = ""

    @property
    def ratio(self) -> float | None:
        """Ours over what it stands beside."""
        if self.measured is not None:
            return self.measured
        return self.ours / self.beside if self.ours is not None and self.beside else None

    @property
    def verdict(self) -> str:
        """met, nearly met (missed by less than a tenth), missed or broken; told where there is no gate."""
        if self.error:
            return "broken"
        if self.gate is None:
            return "told"
        gated = self.ours if self.absolute or self.ratio is None else self.ratio
        return "met" if gated <= self.gate else "nearly met" if gated <= SLACK * self.gate else "missed"


COLUMNS = "case", "ours", "{beside}", "torch", "unit", "ours/{beside}", "±", "gate", "ours/torch", "target", "verdict"


def shown(number: float | None) -> str:
    """Three digits, or a dash for what is not there."""
    return "-" if number is None else f"{number:.0f}" if abs(number) >= 1000 else f"{number:.3g}"


def aligned(lines: list[list[str]]) -> str:
    """Columns: the first and the last to the left, figures between them to the right."""
    widths = [max(map(len, column)) for column in zip(*lines)]
    return "\n".join("  ".join(cell.rjust(width) if 0 < k < len(line) - 1 else cell.ljust(width)
                               for k, (cell, width) in enumerate(zip(line, widths))).rstrip() for line in lines)


def table(rows: list[Row], beside: str) -> str:
    """The rows, one a line; a broken one tells why instead of figures."""
    lines = [[name.format(beside=beside) for name in COLUMNS]]
    for row in rows:
        figures = [row.ours, row.beside, row.torch, row.unit, row.ratio, row.spread, None, row.over_torch, row.target]
        cells = ["-" if row.error else x if isinstance(x, str) else shown(x) for x in figures]
        cells[6] = "-" if row.gate is None else f"{row.gate:g} {row.unit}" if row.absolute else f"{row.gate:g}"
        lines.append([row.case, *cells, f"{row.verdict}: {row.error}" if row.error else row.verdict])
    return aligned(lines)


def bars(axes: Any, shift: float, colour: str, name: str, values: list[float | None], bounds: list[float | None]) -> None:
    """A bar for each value that is there, and a mark where its bound stands."""
    for k, (value, bound) in enumerate(zip(values, bounds)):
        if value is None:
            continue
        axes.barh(k + shift, value, 0.36, color=colour, label=name if k == len(values) - 1 else None)
        axes.annotate(f"{value:.2f}", (max(value, bound or 0), k + shift), (5, 0), textcoords="offset points", va="center", fontsize=8)
        if bound is not None:
            axes.vlines(bound, k + shift - 0.19, k + shift + 0.19, "black", linewidth=2)


def picture(rows: list[Row], file: Path) -> None:
    """Bars of ours over NumPy and over torch, and marks where their gates and targets stand."""
    from matplotlib.figure import Figure
    rows = [row for row in reversed(rows) if row.ratio is not None and not row.error]
    figure = Figure(figsize=(9, 1.2 + 0.7 * len(rows)), layout="constrained")
    axes = figure.subplots()
    bars(axes, 0.2, "#4c72b0", "ours / NumPy", [row.ratio for row in rows], [None if row.absolute else row.gate for row in rows])
    bars(axes, -0.2, "#dd8452", "ours / torch", [row.over_torch for row in rows], [row.target for row in rows])
    axes.plot([], [], "|k", markersize=10, markeredgewidth=2, label="gate, target")
    axes.set_yticks(range(len(rows)), [row.case for row in rows])
    axes.set_xlabel("times as long (one thread, processor time)")
    axes.margins(x=0.08)
    axes.legend(loc="lower right")
    figure.savefig(file, dpi=120)


def options(description: str, *more: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """What every benchmark understands, and what `more` do."""
    parser = argparse.ArgumentParser(description=description, parents=more)
    parser.add_argument("--json", metavar="FILE", help="write the rows as JSON; - prints them instead of the table")
    return parser


def report(rows: list[Row], to_json: str | None = None, beside: str = "beside", **about: object) -> int:
    """Tell the rows; 1 where a gate is missed by more than a tenth, or a case is broken."""
    told = [{**asdict(row), "ratio": row.ratio, "verdict": row.verdict} for row in rows]
    text = json.dumps({**about, "rows": told}, indent=1)
    if to_json not in (None, "-"):
        Path(to_json).write_text(text + "\n", encoding="utf-8")
    print(text if to_json == "-" else table(rows, beside))
    sys.stdout.flush()
    return int(any(row.verdict in ("missed", "broken") for row in rows))
