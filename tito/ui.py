"""The terminal: where results, errors and progress are printed; as text, in colour where it is wanted, as JSON."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TextIO

from tito import streams
from tito.cli.results import Result
from tito.errors import ExitCode, TitoError

SCHEMA = 1
WIDEST = 100                                # columns of text that are still easy to read
Span = tuple[str, str]                      # text and style
Line = list[Span]
COMMAND = re.compile(r"\btito (?=(module|milestone|progress|bench|init|demo|dev|grade|submit|status|watch|doctor|completion)\b)")


@dataclass
class Screen:
    """The two streams and what they can show; tests put their own in its place."""

    out: TextIO
    err: TextIO
    json: bool = False
    _told: bool = False                     # a JSON document is on stdout: there is never a second one
    _consoles: dict[int, Any] = field(default_factory=dict)

    def show(self, result: Result, command: str) -> None:
        """Print a result, once."""
        if self.json:
            self._print_json({"command": command, "exit_code": int(result.code), **result.to_dict()})
        else:
            from tito.cli.render import render  # its tables are not needed for JSON
            self._print(self.out, render(result, self.columns(getattr(result, "widest", WIDEST))))

    def fail(self, error: TitoError) -> None:
        """Print an error: what happened, why, what to do."""
        if self.json:
            self._print_json({"exit_code": int(error.code), "error": {"what": error.what, "why": error.why, "fix": error.fix}})
        lines = [[(word, "bold red" if word == "error:" else "dim"), (" " * (7 - len(word)) + text, "")]
                 for word, text in (("error:", error.what), ("why:", error.why), ("fix:", as_typed(error.fix))) if text]
        self._print(self.err, lines)

    def interrupted(self) -> None:
        """Print that Ctrl-C was heard."""
        if self.json:
            self._print_json({"exit_code": int(ExitCode.INTERRUPTED), "error": {"what": "interrupted", "why": "", "fix": ""}})
        self.note("interrupted")

    def note(self, text: str) -> None:
        self._print(self.err, [[(text, "")]])

    def clear(self) -> None:
        """Begin a new page, where pages can be turned; elsewhere an empty line."""
        if _colourful(self.out):
            self._console(self.out).clear()
        else:
            self._write(self.out, "\n")

    @contextmanager
    def busy(self, text: str) -> Iterator[None]:
        """Say what takes a moment, on a terminal only; it vanishes when done."""
        if not _colourful(self.err):
            yield
            return
        with self._console(self.err).status(text, spinner="line"):       # of plain letters
            yield

    @contextmanager
    def progress(self) -> Iterator[Callable[[int, int, str], None]]:
        """A bar for long work, on a terminal only: it is called with how much is done, of how much, and a word for what is at hand."""
        if not _colourful(self.err):
            yield lambda done, total, what: None
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        with Progress(*columns, console=self._console(self.err), transient=True) as bar:
            task = bar.add_task("")
            yield lambda done, total, what: bar.update(task, completed=done, total=total, description=what)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Where the result will be JSON, what is printed meanwhile, also by other processes, goes to stderr."""
        if not self.json:
            yield
            return
        self.out.flush()
        kept = os.dup(1)
        os.dup2(2, 1)
        try:
            yield
        finally:
            self.out.flush()
            os.dup2(kept, 1)
            os.close(kept)

    def confirm(self, question: str) -> bool | None:
        """A yes or no on a terminal; None where nobody can be asked."""
        import sys
        if not (sys.stdin and sys.stdin.isatty() and self.err.isatty()):
            return None
        import typer
        return bool(typer.confirm(question, err=True))

    def columns(self, widest: int = WIDEST) -> int:
        """How wide a result may be: as the terminal, between 40 and what it can use; 80 where nobody looks."""
        return max(40, min(widest, shutil.get_terminal_size((80, 24)).columns)) if self.out.isatty() else 80

    def _print_json(self, value: dict[str, Any]) -> None:
        if not self._told:
            self._told = True
            self._write(self.out, json.dumps({"schema_version": SCHEMA, **value}, indent=1) + "\n")

    def _print(self, stream: TextIO, lines: list[Line]) -> None:
        if not _colourful(stream):
            self._write(stream, "".join("".join(text for text, _ in line).rstrip() + "\n" for line in lines))
            return
        from rich.text import Text
        console = self._console(stream)
        for line in lines:
            console.print(Text.assemble(*line), soft_wrap=True, highlight=False)

    def _write(self, stream: TextIO, text: str) -> None:
        try:
            stream.write(text)
            stream.flush()
        except OSError as err:
            streams.silence(stream)
            if stream is self.out and not streams.unread(err):
                raise TitoError("the result could not be printed", why=err.strerror or str(err), code=ExitCode.ENVIRONMENT,
                                fix="look at where the output goes, then run the command again") from None

    def _console(self, stream: TextIO) -> Any:
        from rich.console import Console
        return self._consoles.setdefault(id(stream), Console(file=stream, markup=False, emoji=False))


def _colourful(stream: TextIO) -> bool:
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def as_typed(text: str) -> str:
    """Commands as they can be typed here: without a `tito` on the path, `python3 -m tito` is what works."""
    return COMMAND.sub(f"{caller()} ", text)


@cache
def caller() -> str:
    """How tito is called on this machine."""
    return "tito" if shutil.which("tito") else "py -m tito" if os.name == "nt" else "python3 -m tito"
