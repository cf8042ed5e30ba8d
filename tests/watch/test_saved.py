"""A notebook on disk: editors save in more than one way, and sometimes take their time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tito.watch.saved import Saved, State

FULL, OTHER = '{"cells": []}', '{"cells": [1]}'


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    path = tmp_path / "näme mit Platz.ipynb"
    path.write_text(FULL, encoding="utf-8")
    return path


@pytest.fixture
def saved(notebook: Path) -> Saved:
    found = Saved(notebook)
    assert found.look() is State.SAVED                  # the first look finds it
    assert found.look() is State.SAME
    return found


def test_saving_in_place_passes_through_what_is_not_whole(notebook: Path, saved: Saved) -> None:
    states = []
    for part in ("", OTHER[:5], OTHER):
        notebook.write_text(part, encoding="utf-8")
        states.append(saved.look())
    assert states == [State.TORN, State.TORN, State.SAVED]
    assert saved.look() is State.SAME


def test_saving_by_renaming_is_seen(notebook: Path, saved: Saved) -> None:
    beside = notebook.with_suffix(".tmp")
    beside.write_text(OTHER, encoding="utf-8")
    beside.replace(notebook)
    assert saved.look() is State.SAVED


@pytest.mark.parametrize("ago", [0, 3600])
def test_a_save_of_the_same_size_is_seen_even_where_the_time_stands_still(notebook: Path, ago: int) -> None:
    """Of an old time only where that has changed: nobody reads a notebook ten times a second for ever."""
    now = notebook.stat().st_mtime_ns - ago * 10**9
    os.utime(notebook, ns=(now, now))
    saved = Saved(notebook)
    saved.look()
    notebook.write_text(FULL.replace("cells", "sells"), encoding="utf-8")
    os.utime(notebook, ns=(now + (ago > 0), now + (ago > 0)))
    assert saved.look() is State.SAVED


def test_a_notebook_that_is_gone_is_waited_for(notebook: Path, saved: Saved) -> None:
    notebook.unlink()
    assert saved.look() is saved.look() is State.GONE
    notebook.write_text(OTHER, encoding="utf-8")
    assert saved.look() is State.SAVED


def test_a_source_is_whole_when_it_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "source.py"
    path.write_text("a = 1", encoding="utf-8")
    saved = Saved(path)
    assert [saved.look(), saved.look(), saved.look()] == [State.TORN, State.SAVED, State.SAME]
    path.write_text("", encoding="utf-8")
    assert saved.look() is saved.look() is State.TORN
    path.write_text("a = (", encoding="utf-8")          # a mistake in it is for the checks to tell
    assert [saved.look(), saved.look()] == [State.TORN, State.SAVED]


def test_what_is_written_between_a_look_and_its_use_is_noticed(notebook: Path, saved: Saved) -> None:
    assert not saved.changed()
    notebook.write_text(OTHER, encoding="utf-8")
    assert saved.changed()
    notebook.unlink()
    assert saved.changed()
