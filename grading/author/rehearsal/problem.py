"""A fault of an assignment that is found before students get it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

# ---- the kinds of faults -----------------------------------------------------------------------
LEFT = "solution left in the release"
LATER = "test needs a later module"
STUB = "stub passes"
FAILS = "reference fails"
FLAKY = "flaky test"
SLOW = "slow test"
POINTS = "missing points"
METADATA = "wrong metadata"
UNPROBED = "no probe"
BOOLEANS = "probe gives a truth, not values"
DIFFERS = "release differs"
SOURCE = "source has faults"
UNTRIED = "could not be tried"


@dataclass(frozen=True, order=True)
class Problem:
    """One fault: its kind, where it is, why it is one, and how to mend it."""

    line: int                   # of the module's source, from 1; 0 where no line of it is to blame
    kind: str
    what: str
    where: str = ""             # a grade_id, where there is one
    why: str = ""
    fix: str = ""
    blocks: bool = True         # students are not to get it like this

    def __str__(self) -> str:
        place = ", ".join(filter(None, [self.where, f"line {self.line}" if self.line else ""]))
        head = f"{'' if self.blocks else 'note: '}{self.kind}: {self.what}" + (f" ({place})" if place else "")
        return "; ".join(filter(None, [head, self.why, self.fix]))

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)
