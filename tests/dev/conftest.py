"""A course of one small module whose checks, answers, probes and mistakes can be put in place of each other."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.pipeline.fakes import graded, locked, solution
from tito.course import Course

SOURCE = f'''\
# %% {locked("start")}
import tito.notebook
from tito.check import expect
tito.notebook.use(1)

# %%
#| default_exp core.shift

# %%
#| export
import numpy as np

# %% {solution("shift")}
#| export
def shift(x, by=2.0):
    """Every number of the array `x`, larger by `by`."""
    ### BEGIN SOLUTION
    @ANSWER@
    ### END SOLUTION

# %% {graded("test-shift", 60)}
def test_unit_shift():
    """shift adds."""
    x = np.array([1.0, 2.5])
    @CHECK@

test_unit_shift()
'''
ANSWER = "return x + by"
CHECK = """expect.close(lambda: shift(x), [3.0, 4.5], "by 2", mistaken={
        "you took it away": [-1.0, 0.5], "you took nothing": lambda got: got is x})
    expect.close(lambda: shift(x, 0.5), [1.5, 3.0], "by what is asked for")"""
MISTAKES = """
from tito.dev.checks.mistake import Equivalent, Mistake

MISTAKES = [Mistake("shift", "takes it away", old="x + by", new="x - by", hint="you took it away")] * 10
EQUIVALENT: list[Equivalent] = []
"""
PROBES = """
from tito.check.probing import probe

@probe("test-shift")
def random_numbers(tinytorch, rng):
    x = rng.normal(size=(3, 2))
    return [tinytorch.shift(x), tinytorch.shift(x, 3.0), x]
"""
Small = Callable[..., Course]


@pytest.fixture
def small(tmp_path: Path) -> Small:
    """The course, with these texts in it."""

    def make(answer: str = ANSWER, check: str = CHECK, mistakes: str = MISTAKES, probes: str = PROBES) -> Course:
        folder = tmp_path / "modules" / "01_shift"
        folder.mkdir(parents=True)
        (folder / "shift_dev.py").write_text(SOURCE.replace("@ANSWER@", answer).replace("@CHECK@", check), encoding="utf-8")
        (folder / "mistakes.py").write_text(mistakes, encoding="utf-8")
        (folder / "probes.py").write_text(probes, encoding="utf-8")
        (tmp_path / "settings.ini").write_text("[course]\n", encoding="utf-8")
        (tmp_path / "tinytorch" / "core").mkdir(parents=True)
        (tmp_path / "tinytorch" / "__init__.py").write_text("def limit(number):\n    pass\n", encoding="utf-8")
        (tmp_path / "tinytorch" / "core" / "shift.py").write_text("", encoding="utf-8")
        return Course(tmp_path)

    return make
