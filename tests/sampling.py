"""How much a run of the tests takes: of what is many a few, others after every change of the module; with TITO_ALL=1 all."""

import os
import random
from collections.abc import Sequence
from typing import TypeVar

from tito.course import Module

T = TypeVar("T")
ALL = os.environ.get("TITO_ALL") == "1"


def chosen(module: Module, of: Sequence[T], count: int) -> Sequence[T]:
    """So many of them, the same until the module's source changes; or all."""
    return of if ALL else random.Random(module.source.read_text(encoding="utf-8")).sample(of, min(count, len(of)))
