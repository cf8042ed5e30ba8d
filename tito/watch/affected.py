"""Which graded cells a change can affect; whatever cannot be known counts as affected.

Every ungraded cell is always run again.  A graded cell may keep its row where it uses no name and no attribute, through however many
cells, that a changed cell gives a meaning to, or might change in place.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable
from functools import cached_property

from tito.cells import Cell, Document
from tito.watch.facts import ANY, Facts, facts, special


def affected(before: Document, after: Document, passed: Container[int]) -> set[int]:
    """The indices of the graded cells that are to be judged again; `passed` are those that passed before."""
    every = {c.index for c in after.tests}
    if [_place(c) for c in before.cells] != [_place(c) for c in after.cells]:
        return every                                # cells came, went or moved
    web = Web(after)
    found: set[int] = set()
    for old, new in zip(before.cells, after.cells):
        if old.source != new.source and new in web.cells:
            found |= web.reached(old, new, passed) if web.binds(old, new) else every
    return found


def needed(document: Document, chosen: Iterable[int]) -> set[int]:
    """The chosen graded cells, and those that define something which these or ungraded cells use."""
    found, tests = set(chosen), {c.index: facts(c.source) for c in document.tests}
    used = {name for c in _run(document) if not c.test or c.index in found for name in facts(c.source).uses}
    while more := {i for i, each in tests.items() if i not in found and (each.binds & used or ANY in used or each.opaque)}:
        found |= more
        used |= {name for i in more for name in tests[i].uses}
    return found


def unchanged(before: Document, after: Document) -> bool:
    """No cell that is run says anything else."""
    return [_said(c) for c in _run(before)] == [_said(c) for c in _run(after)]


def _run(document: Document) -> list[Cell]:
    return [c for c in document.code if not (c.analysis or c.manual)]


def _place(cell: Cell) -> tuple[object, ...]:
    return cell.kind, cell.grade_id, cell.test, cell.solution, cell.manual, cell.analysis, cell.tags, cell.points


def _said(cell: Cell) -> tuple[object, ...]:
    return _place(cell), cell.source


class Web:
    """The cells of a document, and how they hang together by names."""

    def __init__(self, document: Document):
        self.cells = _run(document)
        self.tests = document.tests
        self.facts = {c.index: facts(c.source) for c in self.cells}

    @cached_property
    def own(self) -> frozenset[str]:
        """What the notebook itself gives a meaning to."""
        return frozenset().union(*(f.binds for f in self.facts.values())) - self.imports

    @cached_property
    def imports(self) -> frozenset[str]:
        return frozenset().union(*(f.imports for f in self.facts.values())) - self.values

    @cached_property
    def values(self) -> frozenset[str]:
        return frozenset().union(*(f.values for f in self.facts.values()))

    @staticmethod
    def binds(old: Cell, new: Cell) -> bool:
        """Both versions say what they are about: a cell that names nothing may be blamed for anything."""
        return bool(facts(old.source).binds and facts(new.source).binds)

    def reached(self, old: Cell, new: Cell, passed: Container[int]) -> set[int]:
        """The graded cells that one changed cell can affect."""
        tainted, since = self._spread(old, new)
        # A cell comes too late for a test above it; only the words of one that fails may still speak of it.
        return {t.index for t in self.tests if t.index == new.index or t.index > since or
                (t.index > new.index or t.index not in passed) and (_meets(self.facts[t.index], tainted) or since < math.inf)}

    def _spread(self, old: Cell, new: Cell) -> tuple[set[str], float]:
        """The names that may mean something else now; and the cell from which on everything may be different."""
        versions = facts(old.source), facts(new.source)
        since = new.index if any(f.acts or f.opaque or self._unbounded(f) for f in versions) else math.inf
        tainted = {name for f in versions for name in (*f.binds, *self._shaken(f))}
        seen = {new.index}
        while fresh := [c for c in self.cells if c.index not in seen and _meets(self.facts[c.index], tainted)]:
            for cell in fresh:
                seen.add(cell.index)
                found = self.facts[cell.index]
                tainted |= found.binds
                if cell.index > new.index and not cell.test:
                    tainted |= self._shaken(found)
                    since = min(since, cell.index if self._unbounded(found) else math.inf)
                elif found.opaque and not cell.test:
                    since = new.index
        return tainted, since

    def _shaken(self, found: Facts) -> set[str]:
        """What this cell may change in place while it runs: what it holds in its hands, and what the functions that it calls change."""
        below = [self.facts[i] for i in self._below(found)]
        return set((found.touches & self.values | found.owners | found.marks).union(*(f.changes for f in below)) & self.own)

    def _unbounded(self, found: Facts) -> bool:
        """Where what it does may end cannot be told from names: Python's own hooks, the package, names that are made while it runs."""
        below = [self.facts[i] for i in self._below(found)]
        package = found.marks.union(found.owners, *(f.stores for f in below)) & self.imports
        return bool(found.opaque or any(map(special, found.binds)) or package or any(f.opaque for f in below))

    def _below(self, found: Facts) -> set[int]:
        """The ungraded cells whose functions may be called while this one runs."""
        seen: set[int] = set()
        names = set(found.touches)
        while fresh := [c.index for c in self.cells if not c.test and c.index not in seen and self.facts[c.index].binds & names]:
            seen.update(fresh)
            names = names.union(*(self.facts[i].uses for i in fresh))
        return seen


def _meets(found: Facts, tainted: set[str]) -> bool:
    return found.opaque or ANY in found.uses or not tainted.isdisjoint(found.uses)
