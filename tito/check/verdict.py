"""The verdict on a notebook: how every graded cell went, what raised elsewhere, and the points."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tito.cells import Document
from tito.check.process import Launch, plain
from tito.check.row import Row
from tito.check.session import Answer, Limits, Questions, Session, Trouble

SCHEMA_VERSION = 1


@dataclass
class Verdict:
    module: str
    rows: list[Row] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    manual_points: float = 0.0
    answers: list[Answer] = field(default_factory=list)     # to the probes, where they were asked; never shown to anybody

    @property
    def ok(self) -> bool:
        """Every graded cell passed, and no cell of the answer raised."""
        return all(r.state == "passed" for r in self.rows) and not any(t.exported or t.solution for t in self.troubles)

    @property
    def points(self) -> float:
        return sum(r.points for r in self.rows)

    @property
    def max_points(self) -> float:
        return sum(r.max_points for r in self.rows)

    def to_dict(self) -> dict[str, Any]:
        return {"schema_version": SCHEMA_VERSION, "module": self.module, "ok": self.ok, "points": self.points,
                "max_points": self.max_points, "manual_points": self.manual_points,
                "rows": [r.to_dict() for r in self.rows], "troubles": [asdict(t) for t in self.troubles]}


def judge(document: Document, course_root: Path, module_number: int, module_label: str, *, cell_seconds: float = 10.0,
          launch: Launch = plain, limits: Limits | None = None, questions: Questions | None = None) -> Verdict:
    """Run the notebook in a process of its own and say of every graded cell how it went.

    `launch` starts that process, in which the course is at `course_root`; `questions` are put to it when all cells have run.
    """
    limits = limits or Limits(cell_seconds=cell_seconds)
    session = Session(document, str(Path(course_root).resolve()), module_number, module_label, launch, limits, questions or Questions())
    session.run()
    rows = session.finished_rows()
    if not rows:                                        # nothing was asked, so nothing is proven
        number = f"{module_number:02d}"
        rows = [Row("error", "", sentence="this notebook has no graded cells", module=module_label,
                    hint=f"bring it back with: tito module undo {number}, or tito module reset {number}")]
    return Verdict(module_label, rows, session.finished_troubles(), document.manual_points, session.answers)
