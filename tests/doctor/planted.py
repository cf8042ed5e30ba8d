"""Faults, planted for real: how each comes about, what the doctor says of it, and who mends it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.doctor.conftest import Student

Act = Callable[[Student], object]
FAULTS: dict[str, Fault] = {}


@dataclass(frozen=True)
class Fault:
    """A fault: the line that tells of it, and how it goes."""

    plant: Act
    name: str
    says: str
    fix: str
    state: str
    mends: bool                 # --fix does it
    cure: Act | None            # what the person does, as the fix says (where `mends`: what is left to do)


def fault(name: str, says: str, fix: str, *, state: str = "problem", mends: bool = False, cure: Act | None = None) -> Callable[[Act], Act]:
    """Adds a function that plants a fault; its name is the fault's."""
    def planted(plant: Act) -> Act:
        FAULTS[plant.__name__] = Fault(plant, name, says, fix, state, mends, cure)
        return plant
    return planted
