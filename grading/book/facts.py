"""What is known of one student's work on one module.  Scores, pages and exports are computed from this and from nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class Facts:
    """One student, one module; there is one for each student of the term and each assignment, handed in or not.

    Ids of cells that are in neither `points` nor `manual` (of an assignment that was changed since) count for nothing.
    ValueError for a time without a zone, and for a number that is none.
    """

    student: str
    module: int
    points: Mapping[str, float]                     # grade_id -> the most that an automatic cell gives
    manual: Mapping[str, float]                     # grade_id -> the most that a person gives for an answer
    auto: Mapping[str, float | None] = field(default_factory=dict)      # the judge's points; None or absent: it could not judge (infra).
    # For an answer that a person grades: 0 where it is still the released text, else None or absent.
    manual_scores: Mapping[str, float | None] = field(default_factory=dict)     # a person's points, which stand above the judge's
    # (on an automatic cell: partial credit).  None or absent: no person has said anything, or must do so anew.
    extra: Mapping[str, float] = field(default_factory=dict)            # extra credit that a person gave, by cell
    submitted: datetime | None = None               # when the version that counts was handed in; None: nothing was
    due: datetime | None = None                     # the module's deadline; None: never late
    until: datetime | None = None                   # this student's extension
    comments: Mapping[str, str] = field(default_factory=dict)           # what a person wrote, by cell
    sha256: str = ""                                # of the version that counts

    def __post_init__(self) -> None:
        for what, moment in (("submitted", self.submitted), ("due", self.due), ("until", self.until)):
            if moment is not None and moment.utcoffset() is None:
                raise ValueError(f"{what} of {self.student}, module {self.module}: {moment} has no time zone")
        for grade_id, number in self._numbers():
            if not math.isfinite(number):
                raise ValueError(f"{grade_id} of {self.student}, module {self.module}: {number} is not a number of points")

    def _numbers(self) -> Iterator[tuple[str, float]]:
        for table in (self.points, self.manual, self.auto, self.manual_scores, self.extra):
            yield from ((grade_id, number) for grade_id, number in table.items() if number is not None)
