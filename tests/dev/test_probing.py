"""Probes: raw values and what "equal" means to each comparator."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tito.check.probing import Probe, View, close, exact, holds, load_probes, probe, raised, raw, statistics

RNG = np.random.default_rng(0)
NORMAL = RNG.normal(size=(2, 20_000))
FLOATS = np.array([1.0, np.nan, np.inf], np.float32)


@pytest.mark.parametrize("got, want, compare, alike", [
    (FLOATS, FLOATS.copy(), exact, True),
    (np.float32([1.0]), np.float32([1.0 + 1e-6]), exact, False),
    (np.float32([1.0]), np.float32([1.0 + 1e-6]), close(1e-5), True),
    (np.float32([1.0]), np.float64([1.0]), close(), False),
    (np.float32([[1.0]]), np.float32([1.0]), close(), False),
    (np.array([1, 2]), np.array([1, 3]), close(1.0), False),
    ([1.0, "a", None, {"b": 2}], [1.0, "a", None, {"b": 2}], close(), True),
    ([1.0, "a", None, {"b": 2}], [1.0, "a", None, {"b": 3}], close(), False),
    (1, True, exact, False),
    (1, 1.0, close(), False),
    ("", "ValueError", exact, False),
    ([1, 2], [1, 2, 3], exact, False),
    ({"a": 1, "b": 2}, {"b": 2, "a": 1}, exact, False),
    (NORMAL[0], NORMAL[1], statistics(), True),
    (NORMAL[0], NORMAL[1] * 1.2, statistics(), False),
    (NORMAL[0], NORMAL[1] + 0.1, statistics(), False),
    (np.empty((0, 2)), np.empty((0, 2)), statistics(), True),
    ([3, 4], [1, 2], holds(lambda got, reference: len(got) == len(reference)), True),
    ([3], [1, 2], holds(lambda got, reference: len(got) == len(reference)), False),
])
def test_comparators(got: Any, want: Any, compare: Any, alike: bool) -> None:
    assert (compare(raw(got), raw(want)) == "") == alike


def test_a_difference_says_where_it_is() -> None:
    assert close()(raw([1.0, {"x": [2.0, 3.0]}]), raw([1.0, {"x": [2.0, 4.0]}])) == "[1][x][1] has other numbers"
    assert close()(raw(np.ones(2)), raw(np.ones(3))) == "is float64 (2,), not float64 (3,)"
    assert exact("one", "two") == "is 'one', not 'two'"


class Liar(np.ndarray):
    def __array_ufunc__(self, *args: Any, **settings: Any) -> Any:
        return True

    def __eq__(self, other: object) -> Any:
        return True


def test_raw_values_have_no_class_of_a_students() -> None:
    lie = np.zeros(2).view(Liar)
    assert type(raw(lie)) is np.ndarray and exact(raw(lie), raw(np.ones(2)))
    assert type(raw(SimpleNamespace(data=np.ones(2)))) is np.ndarray
    assert raw((1, np.float32(2.0)))[0] == 1
    with pytest.raises(TypeError, match="a probe returns arrays, numbers and text, not object"):
        raw(object())


def test_raw_values_are_copies() -> None:
    array = np.zeros(2)
    kept = raw([array])
    array[0] = 1.0
    assert kept[0][0] == 0.0


def test_a_view_shows_the_notebook_before_the_package() -> None:
    view = View({"relu": "mine"}, SimpleNamespace(relu="package", Tensor="package"))
    assert (view.relu, view.Tensor) == ("mine", "package")
    with pytest.raises(AttributeError):
        view.missing  # noqa: B018


def test_raised_names_the_exception() -> None:
    assert raised(lambda: 1 / 0) == "ZeroDivisionError" and raised(lambda: 1) == ""  # type: ignore[no-any-return]


def test_the_same_seed_asks_the_same(tmp_path: Path) -> None:
    (tmp_path / "probes.py").write_text("""
from tito.check.probing import exact, probe

@probe("test-a", exact)
def first(tinytorch, rng):
    return rng.normal(size=3)

@probe("test-b")
def second(tinytorch, rng):
    return tinytorch.name
""", encoding="utf-8")
    first, second = load_probes(tmp_path / "probes.py")
    assert (first.grade_id, first.name, second.grade_id) == ("test-a", "first", "test-b")
    assert exact(first.values(None, 3), first.values(None, 3)) == "" != exact(first.values(None, 3), first.values(None, 4))
    assert second.values(SimpleNamespace(name="x"), 0) == "x"


def test_probe_keeps_the_function_and_its_name() -> None:
    @probe("test-a")
    def one(tinytorch: Any, rng: Any) -> int:
        return 1

    assert isinstance(one, Probe) and one.name == "one" and one.values(None, 0) == 1
