"""The claims' page: it tells what it measures, and where something is not what it says, it fails.  Hardly any rounds: no time is judged."""

import contextlib
import copy
import json

import numpy as np
import pytest

import tinytorch as tt
from benchmarks import claimed, claims
from benchmarks.claims import Claim, Figure, lines
from tinytorch.generation import kv_cache

if not tt.built("benchmarking.benchmark"):
    pytest.skip("benchmarking.benchmark is not exported yet", allow_module_level=True)


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    """Little training and few rounds; the network of milestone 4 is as good as new."""
    monkeypatch.setattr(claimed, "ROUNDS", 2)
    monkeypatch.setattr(claimed, "LEAST", 1e-4)
    monkeypatch.setattr(claimed, "SEEDS", 2)
    monkeypatch.setattr(claimed, "STEPS", ((0.95, 1),))
    monkeypatch.setattr(claimed, "EPOCHS", dict.fromkeys(claimed.EPOCHS, 1) | {"half": 5})


def run(capsys, name):
    """The exit code, and one claim as JSON tells it."""
    code = claims.main([name, "--json", "-"])
    (told,) = json.loads(capsys.readouterr().out)["claims"]
    return code, told


def figure(told, word):
    """The one figure that a word is in."""
    (found,) = (f for f in told["figures"] if word in f["what"])
    return found


@pytest.mark.parametrize("name", claimed.CLAIMS)
def test_every_claim_is_measured_and_tells_its_quality_and_its_limits(capsys, name):
    _, told = run(capsys, name)
    assert not told["error"] and told["quality"] and told["unless"] and told["claimed"]
    assert any(f["gate"] is not None for f in told["figures"])
    assert all(np.isfinite(f["value"]) for f in told["figures"])


def wide(layer, bits=8):
    """A layer that calls itself int8."""
    return copy.deepcopy(layer)


start = kv_cache.start_step
KNOCKED = [
    ("vectorised", "vectorized_matmul", lambda a, b: tt.Tensor(a + b), ""),
    ("quantised", "QuantizedLinear", wide, "less memory than float64"),
    ("cached", "generation.kv_cache.start_step", lambda ids, weights, at: start(ids, weights=weights, at=0), "the same"),
    ("pruned", "Masks.apply", lambda self: self, "zero"),
    ("pruned", "load_sparse", lambda model, path: model, "zero"),
    ("fused", "fused_gelu", lambda x: tt.unfused_gelu(x), "less memory"),
    ("fused", "fused_gelu", lambda x: x * 2.0, ""),
    ("halved", "autocast", lambda dtype="float16": contextlib.nullcontext(), "less memory"),
    ("halved", "MixedPrecisionTrainer.train_step", lambda self, batch: {}, "progress"),
    ("narrowed", "structured_prune", lambda model, share: copy.deepcopy(model), "smaller on disk"),
]


@pytest.mark.parametrize(("name", "part", "broken", "word"), KNOCKED, ids=[f"{k[0]}-{k[1]}" for k in KNOCKED])
def test_a_part_that_is_not_what_it_says_fails_its_claim(capsys, monkeypatch, name, part, broken, word):
    monkeypatch.setattr(f"tinytorch.{part}", broken)
    code, told = run(capsys, name)
    assert code == 1
    if word:
        assert figure(told, word)["verdict"] == "missed"
    else:
        assert told["verdict"] == "broken" and "differ" in told["error"]


@pytest.mark.parametrize(("value", "gate", "most", "spread", "verdict"), [
    (12.0, 12.0, False, None, "met"), (11.5, 12.0, False, 0.2, "nearly met"), (11.5, 12.0, False, None, "missed"),
    (10.0, 12.0, False, 0.2, "missed"), (1.0, 1.1, True, 0.1, "met"), (1.15, 1.1, True, 0.1, "nearly met"),
    (1.15, 1.1, True, None, "missed"), (0.1, 0.0, False, None, "met"),
    (0.0, 0.5, False, None, "missed"), (-0.3, 1.0, True, None, "met"), (-0.1, 0.0, False, None, "missed"),
    (3.0, None, False, None, "told")])
def test_a_gate_is_for_sizes_to_the_letter_and_for_times_within_a_tenth(value, gate, most, spread, verdict):
    assert Figure(value, "times", gate, most, spread).verdict == verdict


def test_the_page_and_the_exit_code(capsys, monkeypatch):
    def good():
        return [Figure(3.0, "times smaller", 2.0), Figure(1.5, "times as fast", spread=0.1)], "99 % -> 99 %", "at 10 it is slower"

    def bad():
        return [Figure(1.0, "times smaller", 2.0)], "", ""

    def broken():
        raise ValueError("no such thing")

    monkeypatch.setattr(claimed, "CLAIMS", {"good": ("smaller", good), "bad": ("also smaller", bad), "broken": ("faster", broken)})
    assert claims.main(["good"]) == 0
    page = capsys.readouterr().out
    assert "met         3 times smaller; the gate: at least 2" in page and "told        1.5 ± 0.1 times as fast\n" in page
    assert "limits      at 10 it is slower" in page and page.endswith("1 of 1 claims hold\n")
    assert claims.main([]) == 1
    assert capsys.readouterr().out.endswith("1 of 3 claims hold; not bad, broken\n")
    assert "ValueError: no such thing" in "\n".join(lines(claims.measured("broken", "faster", broken)))
    assert Claim("none", "nothing measured").verdict == "broken"


def test_the_page_goes_to_a_file_too(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(claimed, "CLAIMS", {"one": ("smaller", lambda: ([Figure(3.0, "times", 2.0)], "", ""))})
    assert claims.main(["--json", str(tmp_path / "claims.json")]) == 0
    data = json.loads((tmp_path / "claims.json").read_text(encoding="utf-8"))
    assert data["claims"][0]["verdict"] == data["claims"][0]["figures"][0]["verdict"] == "met" and data["clock"] == "process_time"
    assert "3 times" in capsys.readouterr().out


def test_an_unknown_claim_is_refused(capsys):
    with pytest.raises(SystemExit) as exit_:
        claims.main(["free"])
    assert exit_.value.code == 2 and "distilled" in capsys.readouterr().err
