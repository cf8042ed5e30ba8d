"""Growth: what grows as the mathematics does is met, a planted square is found.  Few sizes and rounds; no honest curve's time is judged."""

import json
from dataclasses import replace

import numpy as np
import pytest

import tinytorch as tt
from benchmarks import scaling
from benchmarks.curves import CURVES, Curve
from benchmarks.measure import Side
from benchmarks.scaling import Grown
from tinytorch.core import autograd

TIMES = [name for name, curve in CURVES.items() if not curve.memory]
MEMORIES = [name for name, curve in CURVES.items() if curve.memory]
SMALL = {"batch": (2, 4, 8), "width": (4, 8, 16), "depth": (1, 2, 4), "length": (4, 8, 16), "writing": (1, 2, 4), "chain": (10, 20, 40),
         "adam": (10, 100, 70_000), "sgd": (10, 100, 70_000), "tensors": (1, 2, 4), "image": (4, 8, 12)}
CHAIN = {"memory-chain": (1000, 2000, 4000)}


@pytest.fixture
def small(monkeypatch):
    """Every curve of time, and the longest of memory, at small sizes, measured once."""
    monkeypatch.setattr(scaling, "CURVES", CURVES | {name: replace(CURVES[name], sizes=sizes) for name, sizes in (SMALL | CHAIN).items()})
    monkeypatch.setattr(scaling, "AGAIN", 0)


def told(capsys, *names):
    """The exit code, and the curves as JSON tells them."""
    code = scaling.main([*names, "--json", "-"], rounds=2, least=1e-5)
    return code, json.loads(capsys.readouterr().out)["curves"]


def test_every_curve_of_time_is_computed_as_numpy_does_and_told(capsys, small):
    assert SMALL.keys() == set(TIMES)
    code, curves = told(capsys, *TIMES)
    for name, curve in zip(TIMES, curves, strict=True):
        assert not curve["error"] and len(curve["ours"]) == len(curve["numpy"]) == len(curve["count"]) == len(SMALL[name])
        assert curve["growth"] > 0 and curve["numpys"] > 0 and curve["count"] == sorted(set(curve["count"]))
    assert code == int(any(curve["verdict"] == "missed" for curve in curves))


@pytest.mark.parametrize("name", MEMORIES)
def test_memory_grows_as_the_mathematics_says(capsys, small, name):
    code, (curve,) = told(capsys, name)
    assert (code, curve["verdict"]) == (0, "met") and curve["numpy"] == [] and min(curve["ours"]) > 1000


def test_a_backward_that_looks_through_the_graph_at_every_step_is_found(monkeypatch, capsys):
    monkeypatch.setattr(scaling, "CURVES", {"chain": replace(CURVES["chain"], sizes=(100, 400, 1600))})
    call_rule = autograd.call_rule

    def looking(node, g, create_graph=False):
        autograd.newest_first([node])
        return call_rule(node, g, create_graph)
    monkeypatch.setattr(autograd, "call_rule", looking)
    code, (curve,) = told(capsys, "chain")
    assert (code, curve["verdict"]) == (1, "missed") and curve["excess"] > 2


def test_memory_that_grows_with_the_square_is_found(monkeypatch, capsys):
    def square(n):
        return {"ours": Side(lambda: np.zeros(n * n), lambda x: [x])}
    monkeypatch.setattr(scaling, "CURVES", {"square": Curve("square", (100, 200, 400), square, float, memory=True)})
    code, (curve,) = told(capsys, "square")
    assert (code, curve["verdict"]) == (1, "missed") and curve["excess"] == pytest.approx(2, rel=0.1)


def test_a_broken_rule_has_no_curve_and_fails(monkeypatch, capsys, small):
    monkeypatch.setattr(tt.relu, "rule", None)
    tt.gradient(tt.relu)(lambda g: g)
    code, (curve,) = told(capsys, "batch")
    assert (code, curve["verdict"]) == (1, "broken") and "not NumPy's" in curve["error"]
    assert curve["ours"] == [] and curve["growth"] is curve["excess"] is None
    assert scaling.main(["batch"], rounds=2, least=1e-5) == 1 and "broken: AssertionError" in capsys.readouterr().out


def test_a_curve_that_is_missed_once_is_measured_again(monkeypatch):
    found = iter([40.0, 30.0, 9.0])
    monkeypatch.setattr(scaling, "timed", lambda curve, rounds, least: curve_of(next(found)))
    assert scaling.measure(CURVES["batch"], 1, 0.0).growth == 9.0
    found = iter([40.0, 20.0, 30.0, 9.0])
    assert scaling.measure(CURVES["batch"], 1, 0.0).growth == 20.0          # it has failed, and its best is told


def curve_of(growth, numpys=None, count=(1.0, 2.0, 20.0)):
    """A curve of three sizes whose count grows tenfold."""
    return Grown("curve", (1, 2, 20), (1e-3, 2e-3, growth * 2e-3), (), count, growth, 0.1, numpys)


@pytest.mark.parametrize(("growth", "numpys", "verdict", "code"), [
    (10.0, 5.0, "met", 0), (10.9, 5.0, "nearly met", 0), (11.1, 5.0, "missed", 1), (11.1, None, "missed", 1), (14.0, 15.0, "met", 0),
    (17.0, 15.0, "missed", 1)])
def test_growth_beyond_the_count_and_beyond_numpy_by_more_than_a_tenth_fails(capsys, growth, numpys, verdict, code):
    grown = curve_of(growth, numpys)
    assert (grown.verdict, scaling.report([grown], None)) == (verdict, code)
    header, line = capsys.readouterr().out.splitlines()
    assert header.split() == [*scaling.COLUMNS] and line.endswith(verdict) and "1 to 20" in line


def test_json_and_picture_go_to_files(capsys, tmp_path, small):
    scaling.main(["batch", "tensors", "--json", f"{tmp_path}/c.json", "--picture", f"{tmp_path}/c.png"], rounds=2, least=1e-5)
    assert len(json.loads((tmp_path / "c.json").read_text())["curves"]) == 2
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 120


def test_an_unknown_curve_is_refused(capsys):
    with pytest.raises(SystemExit) as exit_:
        scaling.main(["straight"])
    assert exit_.value.code == 2 and "memory-length" in capsys.readouterr().err
