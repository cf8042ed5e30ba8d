"""How results look: plain in a pipe, coloured on a terminal, within 80 columns."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tito.cli import main

from .conftest import Answer, Edition, Terminal, every_command

ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
Install = Callable[[], tuple[Terminal, Terminal]]


def test_colour_on_a_terminal(edition: Edition, terminal: Install) -> None:
    out, _ = terminal()
    assert main(["module", "list"]) == 0
    assert "\x1b[" in out.getvalue()
    assert ESCAPE.sub("", out.getvalue()).splitlines()[0] == "01 alpha  next       0 of 10 points"     # the words say it without the colour


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_no_colour_where_it_is_not_wanted(edition: Edition, terminal: Install, monkeypatch: pytest.MonkeyPatch, name: str,
                                          value: str) -> None:
    out, err = terminal()
    monkeypatch.setenv(name, value)
    main(["module", "list"])
    main(["module", "start", "nonsense"])
    assert "\x1b" not in out.getvalue() + err.getvalue()


def test_no_colour_in_a_pipe(edition: Edition, tito: Callable[..., Answer]) -> None:
    answer = tito("module", "status")
    assert "\x1b" not in answer.out


def test_json_on_a_terminal_is_json(edition: Edition, terminal: Install) -> None:
    out, _ = terminal()
    main(["module", "list", "--json"])
    assert out.getvalue().startswith('{\n "schema_version": 1,')


@pytest.mark.parametrize("name", [name for name, _ in every_command() if name != "grade"])      # its help is of its own making
def test_help_in_eighty_columns(edition: Edition, tito: Callable[..., Answer], name: str) -> None:
    lines = tito(*name.split(), "--help").out.splitlines()
    assert lines and max(map(len, lines)) <= 80


@pytest.mark.parametrize("arguments", [
    [], ["--version"], ["module", "list"], ["module", "status"], ["module", "test", "01"], ["module", "test", "01", "--all"],
    ["module", "complete", "01"], ["module", "start", "01", "--no-open"], ["module", "reset", "01", "--yes"],
    ["submit", "01", "--name", "Ada"]], ids=" ".join)
def test_eighty_columns(edition: Edition, tito: Callable[..., Answer], arguments: list[str]) -> None:
    lines = [line for line in tito(*arguments).out.splitlines() if str(edition.root) not in line]
    assert lines and max(map(len, lines)) <= 80


def test_square_brackets_in_a_path_are_no_markup(edition: Edition, terminal: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    renamed = edition.root.rename(edition.root.with_name("[bold]kurs :smile:"))
    monkeypatch.chdir(renamed)
    out, _ = terminal()
    main([])
    assert "[bold]kurs :smile:" in out.getvalue()
