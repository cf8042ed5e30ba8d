"""All attacks, in one list."""

from __future__ import annotations

from tests.grading.redteam import (
    attacks_inside,
    attacks_ipython,
    attacks_machine,
    attacks_means,
    attacks_modules,
    attacks_notebook,
    attacks_patch,
    attacks_secrets,
    attacks_values,
    attacks_wire,
)

THEMES = (attacks_patch, attacks_values, attacks_modules, attacks_ipython, attacks_inside, attacks_wire, attacks_secrets, attacks_machine,
          attacks_notebook, attacks_means)
ATTACKS = [attack for theme in THEMES for attack in theme.ATTACKS]
NAMES = {attack.name: attack for attack in ATTACKS}
