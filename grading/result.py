"""The verdict on one version of a student's work, as it is kept: a JSON file that names everything it depends on."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tito.check.row import Row
from tito.journal import write_atomically

SCHEMA = 1


@dataclass(frozen=True)
class Result:
    """What came of judging one version; `state` is "infra" where that could not be done, which is never a zero."""

    student: str
    module: int
    version: str                                # sha256 of the file handed in
    assignment: str                             # the digest of what it was judged by
    key: str
    rows: tuple[Row, ...]
    repairs: tuple[str, ...] = ()               # what was mended in the notebook
    troubles: tuple[dict[str, Any], ...] = ()   # ungraded cells that raised
    sandbox: str = ""
    seconds: float = 0.0
    reasons: dict[str, str] = field(default_factory=dict)   # grade_id: why a row was lowered; for the instructor alone

    @property
    def state(self) -> str:
        return "infra" if any(row.state == "infra" for row in self.rows) or not self.rows else "graded"

    @property
    def points(self) -> float:
        return sum(row.points for row in self.rows)

    def to_dict(self) -> dict[str, Any]:
        return {"schema_version": SCHEMA, "state": self.state, **asdict(self)}

    @classmethod
    def from_dict(cls, facts: dict[str, Any]) -> Result:
        known = {name: facts[name] for name in cls.__dataclass_fields__ if name in facts}
        return cls(**{**known, "rows": tuple(Row.from_dict(r) for r in facts["rows"]), "repairs": tuple(facts["repairs"]),
                      "troubles": tuple(facts["troubles"])})

    def save(self, path: Path) -> None:
        write_atomically(path, (json.dumps(self.to_dict(), indent=1, sort_keys=True) + "\n").encode())

    @classmethod
    def load(cls, path: Path) -> Result | None:
        """The verdict in a file; None where there is none, or it cannot be read: then it is made again."""
        try:
            return cls.from_dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError):
            return None


def key_of(version: str, assignment: str, seed: bytes) -> str:
    """What a verdict depends on, in 16 digits."""
    return hashlib.sha256(b"|".join([version.encode(), assignment.encode(), seed])).hexdigest()[:16]
