"""What a training step keeps: the table's moments, and that a step which keeps more than it needs is found.  Few steps."""

import json
from dataclasses import replace

import numpy as np
import pytest

import tinytorch as tt
from benchmarks import memory, network, transformer
from benchmarks.needs import gpt_needs, mlp_needs


def told(capsys, *names, steps=100):
    """The exit code, and the rows as JSON tells them, by what follows the model's name."""
    code = memory.main([*names, "--json", "-"], steps=steps)
    return code, {row["case"].partition(", ")[2]: row for row in json.loads(capsys.readouterr().out)["rows"]}


@pytest.mark.parametrize("name", memory.MODELS)
def test_a_step_keeps_what_it_needs_and_leaves_nothing_behind(capsys, name):
    code, rows = told(capsys, name)
    assert [*rows][:-2] == [*memory.wanted(memory.MODELS[name].needs)]
    assert {row["verdict"] for row in rows.values()} == {"met", "told"} and code == 0
    assert rows["growth of the process by each"]["verdict"] == "told" and rows["left behind by each of 100 steps"]["gate"] == 100


def test_a_forward_that_keeps_more_is_found(capsys, monkeypatch):
    kept, relu = [], tt.relu
    monkeypatch.setattr(tt, "relu", lambda x: (kept.append(out := relu(x)), out)[1])
    code, rows = told(capsys, "mlp")
    assert code == 1 and rows["left behind by each of 100 steps"]["verdict"] == "missed"
    assert rows["made"]["verdict"] == "met" and rows["gradients forgotten"]["verdict"] != "met"


def test_an_optimizer_that_keeps_another_average_is_found(capsys, monkeypatch):
    update = tt.Adam.update

    def more(self, p, g, state, group):
        state.setdefault("another", np.zeros_like(p))
        update(self, p, g, state, group)
    monkeypatch.setattr(tt.Adam, "update", more)
    code, rows = told(capsys, "mlp")
    assert code == 1 and rows["gradients forgotten"]["verdict"] == "missed" and rows["made"]["verdict"] == "met"


@pytest.mark.parametrize(("forward", "verdict"), [(True, "met"), (False, "missed")], ids=["forward", "backward"])
def test_what_backward_holds_at_its_worst_is_found_and_what_forward_held_is_not(capsys, monkeypatch, forward, verdict):
    relu = tt.relu

    def wasteful(x):
        np.empty(1 << 20)
        return relu(x)

    def rule(g, out):
        waste = np.empty(1 << 20)
        return (g * (out > 0), waste)[0]
    if forward:
        monkeypatch.setattr(tt, "relu", wasteful)
    else:
        monkeypatch.setattr(relu, "rule", None)
        tt.gradient(relu)(rule)
    _, rows = told(capsys, "mlp", steps=2)
    assert rows["at backward's worst moment"]["verdict"] == verdict and rows["after backward"]["verdict"] == "met"


def test_a_broken_step_has_one_row_and_fails(capsys, monkeypatch):
    monkeypatch.setattr(tt.relu, "rule", None)
    assert memory.main(["mlp"], steps=2) == 1
    out = capsys.readouterr().out.splitlines()
    assert len(out) == 2 and "broken: NotImplementedError" in out[1]


def test_a_growth_that_is_measured_once_is_measured_again(monkeypatch):
    found = iter([961.0, 0.1, 961.0, 900.0])
    monkeypatch.setattr(memory, "growth", lambda step, times: next(found))
    make = memory.MODELS["mlp"].small
    assert [memory.forgotten(make, 1), memory.forgotten(make, 1)] == [0.1, 900.0]


def test_the_arithmetic_counts_the_arrays_that_are_there():
    trained, layers = network.training((5, 4, 3), 2)
    needs = mlp_needs((5, 4, 3), 2)
    assert needs.parameters == sum(p.data.nbytes for p in trained.optimizer.param_groups[0]["params"]) == 4 * (5 * 4 + 4 + 4 * 3 + 3)
    assert (needs.batch, needs.kept) == (2 * 5 * 4 + 2 * 8, 4 * 2 * (4 + 3)) and len(layers) == 2
    size = transformer.Size(2, 8, 2, 3, 4)
    params = transformer.training(size).optimizer.param_groups[0]["params"]
    assert gpt_needs(size).parameters == sum(p.data.nbytes for p in params)
    one, two = (gpt_needs(replace(size, length=n)).growing for n in (1000, 2000))
    assert two / one > 3.5                              # the scores: all before it, for every token


def test_an_unknown_model_is_refused(capsys):
    with pytest.raises(SystemExit) as exit_:
        memory.main(["rnn"])
    assert exit_.value.code == 2 and "cnn" in capsys.readouterr().err
