"""The benchmarks: what is wrong is never timed, what they tell and how they end.  Few rounds, and no figure is judged here."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import tinytorch as tt
from benchmarks import __main__ as benchmarks
from benchmarks import measure
from benchmarks.cases import CASES
from benchmarks.report import Row, report, table

SMALL = "add", "mul-add", "mlp"
ROOT = Path(benchmarks.__file__).parents[1]


def run(*arguments):
    """The command with hardly any rounds."""
    return benchmarks.main([*map(str, arguments)], rounds=2, least=1e-5)


def told(capsys, *arguments):
    """Its exit code, and its rows as JSON tells them."""
    code = run(*arguments, "--json", "-")
    return code, json.loads(capsys.readouterr().out)["rows"]


@pytest.mark.parametrize("torch", [True, False], ids=["torch as it is", "without torch"])
def test_every_side_computes_the_same_and_is_told(capsys, monkeypatch, torch):
    if not torch:
        monkeypatch.setitem(sys.modules, "torch", None)
    _, rows = told(capsys, *SMALL)
    assert [row["case"] for row in rows] == [CASES[name].title for name in SMALL]
    for row in rows:
        assert not row["error"] and row["ours"] > 0 and row["ratio"] > 0
        assert torch or row["torch"] is row["over_torch"] is None


@pytest.mark.parametrize("case, op, rule", [
    ("mul-add", tt.multiply, lambda g, need, a, b: (g * b, g * b)), ("mul-add", tt.add, lambda g: (g, None)),
    ("chain", tt.multiply, lambda g, need, a, b: (g * 0, None)),
    ("mlp", tt.linear, lambda g, need, x, w: (g @ w.T if need[0] else None, x.T @ g, g.sum(axis=0) * 2)),
    ("mlp", tt.relu, lambda g: g), ("mlp", tt.cross_entropy, None), ("memory", tt.relu, lambda g: g),
    ("gpt", tt.layer_norm, lambda g, need, x: (g, None, g.sum(axis=(0, 1)), g.sum(axis=(0, 1)))),
    ("gpt", tt.causal_attention, lambda g, qkv: qkv * 0), ("gpt-memory", tt.gelu, lambda g: g)])
def test_a_broken_rule_has_no_figures_and_fails(capsys, monkeypatch, case, op, rule):
    monkeypatch.setattr(op, "rule", None)
    if rule:
        tt.gradient(op)(rule)
    code, (row,) = told(capsys, case)
    assert code == 1
    assert row["verdict"] == "broken" and ("not NumPy's" in row["error"] or "no gradient" in row["error"])
    assert row["ours"] is row["beside"] is row["torch"] is row["ratio"] is None
    assert "broken" in table([Row(**{name: row[name] for name in Row.__dataclass_fields__})], "numpy").splitlines()[1]


@pytest.mark.parametrize("update", [lambda self, p, g, state, group: None, lambda self, p, g, state, group: p.__isub__(group["lr"] * g)])
def test_a_broken_optimizer_fails_too(capsys, monkeypatch, update):
    monkeypatch.setattr(tt.Adam, "update", update)
    code, (row,) = told(capsys, "mlp")
    assert (code, row["verdict"]) == (1, "broken") and "not NumPy's" in row["error"]


def test_a_broken_forward_fails_too(capsys, monkeypatch):
    monkeypatch.setattr(tt.Tensor, "__add__", tt.subtract)
    assert run("add") == 1 and "broken" in capsys.readouterr().out


def test_memory_that_is_left_behind_is_seen(capsys, monkeypatch):
    assert run("memory") == 0
    kept, relu = [], tt.relu

    def forgetful(x):
        kept.append(relu(x))
        return kept[-1]
    monkeypatch.setattr(tt, "relu", forgetful)
    assert run("memory") == 1 and "missed" in capsys.readouterr().out


def test_cycles_count_as_growth():
    def cycle():
        ring = []
        ring.append(ring)
    assert measure.growth(cycle, 100) > 50
    assert measure.growth(lambda: [[]], 100) < 50


def test_json_and_picture_go_to_files(capsys, tmp_path):
    code = run("add", "memory", "--json", tmp_path / "rows.json", "--picture", tmp_path / "rows.png")
    document = json.loads((tmp_path / "rows.json").read_text())
    assert len(document["rows"]) == 2 and document["clock"] == "process_time"
    assert code == int(any(row["verdict"] == "missed" for row in document["rows"]))
    assert (tmp_path / "rows.png").read_bytes().startswith(b"\x89PNG")
    assert "ours/numpy" in capsys.readouterr().out                          # and the table is told as well


def test_an_unknown_case_is_refused(capsys):
    with pytest.raises(SystemExit) as exit_:
        run("fast")
    assert exit_.value.code == 2 and "mul-add" in capsys.readouterr().err


@pytest.mark.parametrize("ours, absolute, verdict, code", [
    (1.0, False, "met", 0), (1.05, False, "nearly met", 0), (1.2, False, "missed", 1), (1.2, True, "missed", 1), (0.9, True, "met", 0)])
def test_a_gate_that_is_missed_by_more_than_a_tenth_fails(capsys, ours, absolute, verdict, code):
    row = Row("case", ours, 1.0, "us", 1.0, absolute=absolute)
    assert (row.verdict, report([row])) == (verdict, code)
    assert verdict in capsys.readouterr().out


def test_several_threads_are_told_by_the_wall_and_never_gated(capsys, monkeypatch):
    monkeypatch.setitem(CASES, "add", replace(CASES["add"], gate=1e-9))
    monkeypatch.setitem(sys.modules, "torch", None)
    assert run("add") == 1
    capsys.readouterr()
    assert run("add", "memory", "--threads", 2, "--json", "-") == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["threads"], document["clock"]) == (2, "perf_counter")
    assert [(row["gate"], row["verdict"]) for row in document["rows"]] == [(None, "told")] * 2
    monkeypatch.setattr(tt.Tensor, "__add__", tt.subtract)
    assert run("add", "--threads", 2) == 1 and "broken" in capsys.readouterr().out


@pytest.mark.parametrize("arguments, threads", [([], "1"), (["--threads", "2"], "2"), (["--threads=2"], "2")])
def test_threads_are_said_before_numpy_is_imported(arguments, threads):
    program = ("import os, runpy, sys\nclass Stop:\n    def find_spec(self, name, *_):\n        if name == 'numpy':\n"
               "            sys.exit(' '.join(os.environ[f'{x}_NUM_THREADS'] for x in ('OPENBLAS', 'OMP', 'MKL')))\n"
               "sys.meta_path.insert(0, Stop())\nrunpy.run_module('benchmarks', run_name='__main__', alter_sys=True)")
    done = subprocess.run([sys.executable, "-c", program, "add", *arguments], capture_output=True, text=True, cwd=ROOT)
    assert done.stderr.strip() == " ".join([threads] * 3)


def test_no_threads_are_refused(capsys):
    with pytest.raises(SystemExit) as exit_:
        run("add", "--threads", 0)
    assert exit_.value.code == 2 and "0 threads" in capsys.readouterr().err
