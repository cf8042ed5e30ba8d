"""What is handed in: a right notebook with some things changed; and what an attack is: one that would gain what it does not deserve."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from tests.grading.redteam.targets import TARGETS

Notebook = dict[str, Any]


@dataclass(frozen=True)
class Handed:
    """A notebook as somebody hands it in.  All answers are the reference's but the named ones."""

    name: str
    tries: str                                          # what is special about it, in one sentence
    answers: dict[str, str] = field(default_factory=dict, kw_only=True)     # grade_id of a solution cell: what stands there
    target: str = field(default="tensor", kw_only=True)
    first: str = field(default="", kw_only=True)        # an extra cell before everything
    setup: str = field(default="", kw_only=True)        # an extra cell before the first answer
    after: dict[str, str] = field(default_factory=dict, kw_only=True)       # grade_id of a cell: an extra cell behind it
    last: str = field(default="", kw_only=True)         # an extra cell after everything
    reshape: Callable[[Notebook], Notebook] | None = field(default=None, kw_only=True)     # what is done to the notebook itself
    text: Callable[[str], str] | None = field(default=None, kw_only=True)   # what is done to the file

    def notebook(self, places: dict[str, str]) -> Notebook:
        """What is handed in.  `places`: what @NAME@ in its code stands for."""
        made = copy.deepcopy(TARGETS[self.target].solved)
        cells: list[dict[str, Any]] = [extra(self.first)] if self.first else []
        setup = self.setup
        for cell in made["cells"]:
            marks = cell["metadata"].get("nbgrader", {})
            name = marks.get("grade_id", "")
            if marks.get("solution") and setup:
                cells.append(extra(filled(setup, places)))
                setup = ""
            cells.append(cell | {"source": filled(self.answers[name], places)} if name in self.answers else cell)
            if name in self.after:
                cells.append(extra(self.after[name]))
        made["cells"] = cells + ([extra(filled(self.last, places))] if self.last else [])
        return self.reshape(made) if self.reshape else made

    def file(self, places: dict[str, str]) -> bytes:
        """The file that is handed in."""
        text = json.dumps(self.notebook(places), indent=1)
        return (self.text(text) if self.text else text).encode()


@dataclass(frozen=True)
class Attack(Handed):
    """One that cheats: only what it aims at is wrong."""

    works_under: str                                    # the judge that it fools: see weak.py
    aim: tuple[str, ...] = ()                           # test cells whose points it is after; none: it is after a secret, or does harm
    lingers: float = 0.0                                # seconds until all that it does is done
    needs: str = ""                                     # a package without which it is not tried

    @property
    def trick(self) -> bool:
        """Something beside its wrong answers, without which these would be worth nothing."""
        return bool(self.first or self.setup or self.after or self.last or self.reshape)

    def plainly(self) -> Attack:
        """The wrong answers alone."""
        return replace(self, first="", setup="", after={}, last="", reshape=None, text=None)

    def gain(self, points: dict[str, float]) -> str:
        """What these points (grade_id -> points) are above what it deserves; nothing where they are not."""
        deserved = {} if self.answers else TARGETS[self.target].assignment.points
        return ", ".join(f"{name}: {points[name]:g} points" for name in self.aim if points.get(name, 0.0) > deserved.get(name, 0.0))


def extra(source: str) -> dict[str, Any]:
    """A student's own cell."""
    return {"cell_type": "code", "id": f"own-{hashlib.sha256(source.encode()).hexdigest()[:8]}", "metadata": {}, "execution_count": None,
            "outputs": [], "source": source}


def filled(source: str, places: dict[str, str]) -> str:
    for name, value in places.items():
        source = source.replace(f"@{name}@", value)
    return source
