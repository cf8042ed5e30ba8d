"""How every benchmark tells its rows: a table or JSON, and the exit code."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Row:
    """One case: what ours takes, what it stands beside takes (both in `unit`), and the ratio that it must not pass."""

    case: str
    ours: float
    beside: float
    unit: str
    gate: float

    @property
    def ratio(self) -> float:
        return self.ours / self.beside


def report(rows: list[Row]) -> int:
    """Print the rows (as JSON with --json); 1 where a gate is missed by more than a tenth."""
    if "--json" in sys.argv:
        print(json.dumps([{**asdict(row), "ratio": row.ratio} for row in rows], indent=1))
    else:
        print(f"{'case':<44}{'ours':>10}{'beside':>10}     {'ratio':>6}{'gate':>7}")
        for row in rows:
            missed = "   missed" if row.ratio > row.gate else ""
            print(f"{row.case:<44}{row.ours:>10.3g}{row.beside:>10.3g} {row.unit:<4}{row.ratio:>6.2f}{row.gate:>7g}{missed}")
    return int(any(row.ratio > 1.1 * row.gate for row in rows))
