"""What comes of running something on the library: milestones and benchmarks, as plain values."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from tito.errors import ExitCode


@dataclass(frozen=True)
class MilestoneLine:
    """One milestone in a list."""

    number: int
    name: str
    year: int
    title: str
    needs: tuple[int, ...]      # modules
    missing: tuple[int, ...]    # those of them that are not complete
    state: str                  # "passed", "ready", "locked"
    passed: Any = None          # tito.state.Passed

    def to_dict(self) -> dict[str, Any]:
        passed = {"when": self.passed.when, "seed": self.passed.seed, "bars": list(self.passed.bars)} if self.passed else None
        return {"number": self.number, "name": self.name, "year": self.year, "title": self.title, "needs": list(self.needs),
                "missing": list(self.missing), "state": self.state, "passed": passed}


@dataclass(frozen=True)
class MilestoneList:
    """`milestone list`."""

    milestones: tuple[MilestoneLine, ...]
    code: ExitCode = ExitCode.OK

    def to_dict(self) -> dict[str, Any]:
        return {"milestones": [m.to_dict() for m in self.milestones]}


@dataclass(frozen=True)
class MilestoneRun:
    """`milestone run`: the program has printed its page; this is what it wrote down."""

    label: str
    result: dict[str, Any]
    note: str                   # why it was not recorded
    next: str
    code: ExitCode

    def to_dict(self) -> dict[str, Any]:
        return {"milestone": self.label, "passed": self.code == ExitCode.OK, "note": self.note, "result": self.result, "next": self.next}


@dataclass(frozen=True)
class BenchRow:
    """One case of `bench`: seconds, and times what NumPy and torch take; without figures where there is an error."""

    number: int                 # of the module
    title: str
    ours: float | None
    over_numpy: float | None
    spread: float | None
    over_torch: float | None
    before: float | None        # over NumPy, the last time
    change: str                 # "faster", "slower"; empty where that cannot be told from noise
    error: str

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Benched:
    """`bench`: a row for each case."""

    rows: tuple[BenchRow, ...]
    numpy: str                  # versions
    torch: str                  # empty where it is not installed
    note: str
    code: ExitCode

    def to_dict(self) -> dict[str, Any]:
        return {"numpy": self.numpy, "torch": self.torch or None, "note": self.note, "rows": [row.to_dict() for row in self.rows]}
