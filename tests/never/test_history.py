"""`tito module history`: what is kept, when it was replaced, by which command, and how it differs from now."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from tests.cli.conftest import TWICE, Answer, Edition
from tito.versions import difference
from tito.when import since

Tito = Callable[..., Answer]
NOW = datetime(2027, 1, 18, 12, 0, tzinfo=UTC)


def test_newest_first_with_the_command_the_files_and_the_difference(edition: Edition, tito: Tito) -> None:
    tito("module", "start", "01", "--no-open")
    edition.solve(1)
    tito("module", "reset", "01", "--yes")
    tito("module", "undo", "01")
    edition.write(1, "twice", "    return x + x\n")
    answer = tito("module", "history", "01")
    assert answer.code == 0 and answer.err == ""
    lines = answer.out.splitlines()
    assert [line.partition("-")[2] for line in lines if line[0].isdigit()] == ["undo", "reset", "start"]
    assert "  replaced by reset, " in answer.out and " (just now)" in answer.out
    assert "  2 answers differ: twice, half" in lines                   # the released one, which undo replaced
    assert "  1 answer differs: twice" in lines                         # mine, which reset replaced
    assert "  progress only" in lines
    assert lines[-1] == "bring one back with: tito module undo 01 --to NAME"
    assert max(map(len, lines)) <= 80


def test_the_list_of_undo_is_the_same(edition: Edition, tito: Tito) -> None:
    edition.solve(1)
    tito("module", "reset", "01", "--yes")
    assert tito("module", "undo", "01", "--list").out == tito("module", "history", "01").out
    (kept,) = tito("module", "history", "01", "--json").json["kept"]
    assert kept["action"] == "reset" and kept["files"] == ["modules/01_alpha/alpha_dev.ipynb"] and kept["differs"].startswith("2 answers")
    assert datetime.fromisoformat(kept["when"]).tzinfo == UTC
    assert tito("module", "undo", "01", "--to", kept["name"]).code == 0
    assert tito("module", "history", "01", "--json").json["kept"][1]["differs"] == "same as now"


def test_nothing_is_kept_yet(edition: Edition, tito: Tito) -> None:
    assert tito("module", "history", "02").out == "nothing is kept of 02 beta yet\n"


def test_one_that_cannot_be_read_hides_no_other(edition: Edition, tito: Tito) -> None:
    edition.solve(1)
    mine = edition.notebook(1).read_bytes()
    tito("module", "reset", "01", "--yes")
    edition.write(1, "twice", TWICE)
    tito("module", "reset", "01", "--yes")
    first, second = sorted((edition.root / ".tito/history/01").iterdir())
    (second / "note.json").write_text("{", encoding="utf-8")
    (second.parent / "99999999T000000.000000Z-reset").mkdir()           # no moment at all
    answer = tito("module", "history", "01")
    assert answer.code == 0 and f"cannot be read: see .tito/history/01/{second.name}" in answer.out and first.name in answer.out
    assert tito("module", "undo", "01", "--to", first.name).code == 0
    assert edition.notebook(1).read_bytes() == mine


@pytest.mark.parametrize(("before", "said"), [
    (0, "just now"), (59, "just now"), (60, "1 minute ago"), (7300, "2 hours ago"), (86400, "yesterday"), (70 * 86400, "2 months ago"),
    (800 * 86400, "2 years ago"), (-30, "just now"), (-3600, "by a clock that was ahead of this one")])
def test_how_long_ago(before: float, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tito.when.now", lambda: NOW)
    assert since(NOW - timedelta(seconds=before)) == said


def test_a_difference_in_one_phrase(edition: Edition) -> None:
    now = edition.notebook(1).read_bytes()
    data = json.loads(now)
    ran = json.dumps({**data, "cells": [{**cell, "outputs": ["4"]} for cell in data["cells"]]}).encode()
    more = json.dumps({**data, "cells": [*data["cells"], {"cell_type": "markdown", "source": "mine"}]}).encode()
    assert difference(now, now) == "same as now"
    assert difference(ran, now) == "same as now, but for what running it left"
    assert difference(more, now) == "same answers as now; other cells differ"
    assert difference(b"{", now) == difference(b"[]", now) == "not a readable notebook"
    assert difference(now, b"{") == "the present notebook cannot be read"
    assert difference(now, None) == "there is no notebook now"
    many = [{"cell_type": "code", "source": "", "metadata": {"nbgrader": {"solution": True, "grade_id": name}}} for name in "abcde"]
    assert difference(json.dumps({"cells": many}).encode(), b'{"cells": []}') == "5 answers differ: a, b, c, …"
