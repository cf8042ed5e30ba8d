"""A course of three small modules with probes and a written answer, and notebooks as its students might hand them in."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from typing import Any

from grading.assignment import Assignment, freeze
from grading.term import Term
from tests.pipeline.fakes import graded, locked, solution, written
from tito.course import Course

ROOT = Path(__file__).parents[2]
SETTINGS = """\
[course]
id = small

[deadlines]
late_days = 3
late_percent_per_day = 10
grace_minutes = 15
01 = 2027-01-18 18:00
02 = 2027-01-25
"""
STUDENTS = """\
id,name,email,aliases
ada,Ada Lovelace,ada@example.org,
ben,Ben Müller,ben@example.org,benmuller
cleo,Cleo O'Hara,cleo@example.org,oharacleo;C. O'Hara
"""
HEAD = """\
# %% {locked}
from tito import notebook
notebook.use({number})

# %%
#| default_exp core.{name}

# %%
#| export
import numpy as np

# %%
from tito.check import expect
"""
COUNTING = HEAD.format(locked=locked("counting-setup"), number=1, name="counting") + f'''

# %% [markdown]
"""
## 1 · Totals

Add things up.
"""

# %% {solution("total")}
#| export
def total(numbers):
    """The sum of a list, as a float."""
    ### BEGIN SOLUTION
    found = 0.0
    for number in numbers:
        found += number
    return found
    ### END SOLUTION

# %% {graded("test-total", 6)}
def test_unit_total():
    """A total adds every number once."""
    expect.close(lambda: total([1.0, 2.0, 4.5]), 7.5, "three numbers add up",
                 mistaken={{"the first number is left out": 6.5}})
    expect.close(lambda: total([]), 0.0, "nothing adds up to 0")

test_unit_total()

# %% {solution("mean")}
#| export
def mean(numbers):
    """The total, divided by how many there are."""
    ### BEGIN SOLUTION
    return total(numbers) / len(numbers)
    ### END SOLUTION

# %% {graded("test-mean", 4)}
def test_unit_mean():
    """The mean is the total over the count."""
    expect.close(lambda: mean([1.0, 2.0, 6.0]), 3.0, "three numbers")

test_unit_mean()

# %% [markdown] {written("why-mean", 5)}
"""
When is the mean a poor summary?

<!-- BEGIN SOLUTION -->
When a few numbers are far away.
<!-- END SOLUTION -->
"""

# %% tags=["analysis"]
print("the mean of 1 to 9:", mean(range(1, 10)))
'''
COUNTING_PROBES = '''\
"""Inputs and calls for the judge: never an expected value."""

from tito.check.probing import close, forbid, probe

bans = forbid("test-total", "np.sum", "np.add.reduce", "sum", "math.fsum")


@probe("test-total", close(1e-9))
def sums_canary(tinytorch, rng):
    return [tinytorch.total(list(rng.normal(size=n))) for n in (0, 1, 7)]


@probe("test-mean", close(1e-9))
def means_canary(tinytorch, rng):
    return tinytorch.mean(list(rng.normal(size=5)))
'''
SCALING = HEAD.format(locked=locked("scaling-setup"), number=2, name="scaling") + f'''

# %%
#| export
from tinytorch.core.counting import mean

# %% [markdown]
"""
## 1 · Scaling
"""

# %% {solution("scale")}
#| export
def scale(x):
    """An array less its mean, in units of its spread."""
    ### BEGIN SOLUTION
    x = np.asarray(x, dtype=np.float64)
    return (x - mean(x.tolist())) / x.std()
    ### END SOLUTION

# %% {graded("test-scale", 10)}
def test_unit_scale():
    """Scaling gives mean 0 and spread 1."""
    expect.close(lambda: scale([1.0, 3.0]), [-1.0, 1.0], "two numbers")
    expect.close(lambda: scale([0.0, 0.0, 6.0, 6.0]), [-1.0, -1.0, 1.0, 1.0], "four numbers")

test_unit_scale()
'''
SCALING_PROBES = '''\
"""Inputs and calls for the judge."""

from tito.check.probing import close, probe


@probe("test-scale", close(1e-6))
def scales_canary(tinytorch, rng):
    return [tinytorch.scale(rng.normal(size=n)) for n in (2, 9)]
'''
MIXING = HEAD.format(locked=locked("mixing-setup"), number=3, name="mixing") + f'''

# %% [markdown]
"""
## 1 · Mixing
"""

# %% {solution("mix")}
#| export
def mix(a, b, share):
    """`share` of a, and the rest of b."""
    ### BEGIN SOLUTION
    return share * np.asarray(a) + (1.0 - share) * np.asarray(b)
    ### END SOLUTION

# %% {graded("test-mix", 10)}
def test_unit_mix():
    """A mix lies between its two."""
    expect.close(lambda: mix([0.0, 4.0], [8.0, 4.0], 0.25), [6.0, 4.0], "a quarter")

test_unit_mix()
'''
MIXING_PROBES = SCALING_PROBES.replace("scale", "mix").replace("tinytorch.mix(rng.normal(size=n))",
                                                               "tinytorch.mix(rng.normal(size=n), rng.normal(size=n), 0.3)")
MODULES = {"01_counting": (COUNTING, COUNTING_PROBES), "02_scaling": (SCALING, SCALING_PROBES), "03_mixing": (MIXING, MIXING_PROBES)}


def write_course(root: Path) -> Course:
    """The course below `root`, with a tito of its own."""
    for folder, (source, probes) in MODULES.items():
        name = folder[3:]
        (root / "modules" / folder).mkdir(parents=True)
        (root / "modules" / folder / f"{name}_dev.py").write_text(source, encoding="utf-8")
        (root / "modules" / folder / "probes.py").write_text(probes, encoding="utf-8")
    (root / "settings.ini").write_text(SETTINGS, encoding="utf-8")
    (root / "tinytorch").mkdir()
    shutil.copytree(ROOT / "tito", root / "tito", ignore=shutil.ignore_patterns("__pycache__"))
    return Course(root)


def write_term(root: Path) -> Term:
    """A term of that course, with three students and every module frozen."""
    course = write_course(root / "small course é")
    term = Term.of(course)
    term.create()
    term.path("students.csv").write_text(STUDENTS, encoding="utf-8")
    for module in course.modules:
        assignment = freeze(term, module)
        assignment.save(term)
        assignment.use(term)
    return term


def answered(assignment: Assignment, **answers: str) -> dict[str, Any]:
    """The solved notebook with other sources in the cells of these grade_ids ("-" is written "_")."""
    notebook = copy.deepcopy(assignment.solved)
    for cell in notebook["cells"]:
        name = cell["metadata"].get("nbgrader", {}).get("grade_id", "").replace("-", "_")
        if name in answers:
            cell["source"] = answers[name]
    return notebook


def unanswered(assignment: Assignment) -> dict[str, Any]:
    """The notebook as it was released."""
    return copy.deepcopy(assignment.released)


def packed(notebook: dict[str, Any]) -> bytes:
    """A notebook's file."""
    return json.dumps(notebook, indent=1).encode()
