"""An error in any function of a student's notebook fails the verdict, which names its cell.

A run of every day takes a few functions of each module, others after every change of it; with TITO_ALL=1 it takes all of them.
"""

import pytest

from tests.modules.plant import spots
from tests.modules.shelf import each_module, solved, verdict
from tests.sampling import chosen
from tito.course import Module

SAMPLE, SHARES = 6, 3           # functions of a module, and the tests that share them out


@pytest.mark.parametrize("share", range(SHARES))
@each_module
def test_an_error_in_a_function_is_found_and_its_cell_is_named(module: Module, share: int) -> None:
    missed = []
    for spot in chosen(module, spots(solved(module)), SAMPLE)[share::SHARES]:
        found = verdict(spot.planted_in(solved(module)), module)
        if found.ok:
            missed.append(f"{spot}: not found")
        elif not spot.named_by(found):
            missed.append(f"{spot}: not named")
        elif spot.cell.solution and (cards := sum(row.state in ("failed", "error") for row in found.rows)) != 1:
            missed.append(f"{spot}: one mistake, {cards} cards")
    assert missed == []


@each_module
def test_every_function_has_its_turn(module: Module) -> None:
    """The planted sources are Python, each with one error more, at the start of a function of its own."""
    found = spots(solved(module))
    assert len(found) > SAMPLE
    assert len({(spot.cell.index, spot.source) for spot in found}) == len(found)
    for spot in found:
        compile(spot.source, str(spot), "exec")
        assert spot.source.count("planted") == spot.cell.source.count("planted") + 1
