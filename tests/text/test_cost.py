"""The benchmark of byte pairs: every side gives the same before it is timed, and a wrong one has no figures.  No figure is judged here."""

from __future__ import annotations

import json

import pytest

from benchmarks import text as benchmark


def told(capsys: pytest.CaptureFixture[str]) -> tuple[int, list[dict[str, object]]]:
    code = benchmark.main(["--json", "-"], size=20_000, few=20, many=60, rounds=2)
    return code, json.loads(capsys.readouterr().out)["rows"]


def test_every_row_has_figures(capsys: pytest.CaptureFixture[str]) -> None:
    _, rows = told(capsys)
    assert len(rows) in (4, 6) and not any(row["error"] for row in rows)           # 4 where Hugging Face is not installed


def test_a_wrong_trainer_has_none_and_fails(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "learn_merges_loops", lambda words, n: [])
    code, rows = told(capsys)
    assert code == 1 and rows[0]["verdict"] == "broken" and rows[0]["ours"] is None
