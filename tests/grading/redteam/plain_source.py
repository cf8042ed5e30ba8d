"""A small assignment in the manner of many courses: bare asserts, NumPy's own checks, and a task that forbids a means."""

from tests.pipeline.fakes import graded, locked, solution

SOURCE = f'''\
# %% {locked("start")}
import numpy as np
from tito import notebook
notebook.use(1)

# %%
#| default_exp core.tensor

# %% {solution("doubled")}
#| export
def doubled(x):
    """Twice the array."""
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION

# %% {graded("test-doubled", 3)}
def test_unit_doubled():
    """doubled gives twice the numbers."""
    np.testing.assert_allclose(doubled(np.array([1.0, 2.0, 4.0])), np.array([2.0, 4.0, 8.0]))
test_unit_doubled()

# %% {solution("halved")}
#| export
def halved(x):
    """Half the array."""
    ### BEGIN SOLUTION
    return x / 2
    ### END SOLUTION

# %% {graded("test-halved", 3)}
def test_unit_halved():
    """halved gives half the numbers."""
    x = np.array([1.0, 2.0, 4.0])
    want = np.array([0.5, 1.0, 2.0])
    assert np.allclose(halved(x), want)
    assert (halved(x) == want).all()
test_unit_halved()

# %% {solution("ordered")}
#| export
def ordered(items):
    """The numbers of a list in order, as a new list, found by comparing them."""
    ### BEGIN SOLUTION
    found = []
    for item in items:
        place = len(found)
        while place and found[place - 1] > item:
            place -= 1
        found.insert(place, item)
    return found
    ### END SOLUTION

# %% {graded("test-ordered", 5)}
def test_unit_ordered():
    """ordered puts numbers in order."""
    got = ordered([3, 1, 2])
    assert isinstance(got, list)
    assert len(got) == 3
    assert all(a <= b for a, b in zip(got, got[1:]))
    assert got == sorted([3, 1, 2])
test_unit_ordered()

# %% {solution("distance")}
#| export
def distance(a, b):
    """How far two numbers, or the numbers of two arrays, lie apart."""
    ### BEGIN SOLUTION
    return abs(a - b)
    ### END SOLUTION

# %% {graded("test-distance", 4)}
def test_unit_distance():
    """distance is never negative."""
    assert not abs(distance(2.0, 5.0) - 3.0) > 1e-6
    assert not abs(distance(7.0, 5.0) - 2.0) > 1e-6
test_unit_distance()

# %% {solution("spelled")}
#| export
def spelled(digit):
    """The English word for a digit."""
    ### BEGIN SOLUTION
    return "zero one two three four five six seven eight nine".split()[digit]
    ### END SOLUTION

# %% {graded("test-spelled", 3)}
def test_unit_spelled():
    """spelled names digits."""
    assert isinstance(spelled(3), str)
    assert spelled(3) == "three"
    if spelled(7) != "seven":
        raise AssertionError("7 is spelled seven")
if __name__ == "__main__":
    test_unit_spelled()
'''

PROBES = '''\
"""Inputs and calls for the judge."""

from tito.check.probing import close, exact, forbid, probe

HIDDEN = "@CANARY@"
bans = forbid("test-ordered", "sorted", "list.sort", "np.sort", "np.argsort", "heapq.heapify")


@probe("test-doubled", close(1e-9))
def doubles(tinytorch, rng):
    return [tinytorch.doubled(rng.normal(size=n)) for n in (0, 1, 5)]


@probe("test-halved", close(1e-9))
def halves(tinytorch, rng):
    return [tinytorch.halved(rng.normal(size=n)) for n in (0, 1, 5)]


@probe("test-ordered", exact)
def orders(tinytorch, rng):
    return [tinytorch.ordered(rng.integers(0, 50, size=n).tolist()) for n in (0, 1, 2, 9)]


@probe("test-distance", close(1e-9))
def distances(tinytorch, rng):
    return [tinytorch.distance(float(rng.normal()), float(rng.normal())) for _ in range(6)]


@probe("test-spelled", exact)
def spells(tinytorch, rng):
    return [tinytorch.spelled(int(digit)) for digit in rng.permutation(10)]
'''
