"""`%tito ...` in a notebook: what can be typed in a terminal, judged as the student sees the notebook.

JupyterLab saves now and then, and a kernel does not see what is not saved.  But it is told the id of every cell that it runs: those that
were run since the last save stand in for the saved ones.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from contextlib import chdir
from pathlib import Path
from typing import Any, TextIO

from tito import released
from tito.course import Course
from tito.errors import TitoError
from tito.ui import Line, Screen, caller

TERMINAL = {**dict.fromkeys(("start", "open"), "it opens JupyterLab, where you are"), "watch": "it does not end by itself",
            **dict.fromkeys(("reset", "undo"), "it replaces the notebook that is open here"),
            **dict.fromkeys(("init", "demo", "dev", "grade", "completion"), "it is not about a notebook")}
TAKES_FILE = ("complete", "submit")         # they take the notebook as it is on disk
ID = re.compile(r"[\w-]{1,64}")            # of a notebook's cell; editors that do not give it give something longer
SAVE = "save with Ctrl+S (Cmd+S)"


def join(shell: Any, number: int, root: Path | None) -> None:
    """Teach IPython `%tito`; running the first cell again forgets nothing."""
    magic = Magic(number, root or Path())
    for old in [f for f in shell.events.callbacks["pre_run_cell"] if isinstance(getattr(f, "__self__", None), Magic)]:
        magic.ran, magic.current = old.__self__.ran, old.__self__.current
        shell.events.unregister("pre_run_cell", old)
    shell.events.register("pre_run_cell", magic.before)
    shell.register_magic_function(magic.tito, "line", "tito")
    shell.set_hook("complete_command", magic.complete, str_key="%tito")


class Magic:
    """The command line of one kernel, and the cells that it has run: their source, and which save of the notebook they came after."""

    def __init__(self, number: int, root: Path):
        self.number, self.root = number, root.resolve()
        modules = Course(self.root).modules if (self.root / "modules").is_dir() else ()
        self.notebook = next((m.notebook for m in modules if m.number == number), self.root)
        self.ran: dict[str, tuple[str, int]] = {}
        self.current = ""

    def before(self, info: Any) -> None:
        self.current = str(getattr(info, "cell_id", None) or "")
        if ID.fullmatch(self.current):
            self.ran[self.current] = info.raw_cell, self._saved()

    def tito(self, line: str) -> None:
        """%tito: where am I; %tito test, hint, complete, status ...: as in a terminal, for this notebook's module."""
        from tito.cli import explain, main
        screen = Cell(sys.stdout, sys.stdout, number=self.number)
        token = released.seen.set(self.seen)
        try:
            with chdir(self.root):
                main(self._asked(line), screen)
        except Exception as error:
            screen.fail(explain(error))
        finally:
            released.seen.reset(token)

    def complete(self, shell: Any, event: Any) -> list[str]:
        """The commands that IPython offers after `%tito `."""
        whole = _commands()
        return sorted({*whole, *whole["module"].commands} - set(TERMINAL) - {"module"})

    def seen(self, path: Path, content: bytes) -> tuple[bytes, tuple[str, ...]]:
        """A saved notebook with the cells that were run since as they were run, and a note of them."""
        if path != self.notebook:
            return content, ()
        here = Path(os.environ.get("JPY_SESSION_NAME") or path.name)
        if here.name != path.name:                      # a copy has the same cells
            return content, (f"this notebook is {here.name}; what is looked at is {path.name}",)
        notebook, changed, new = self._merged(content)
        if not changed + new:
            return content, ()
        note = f"{_unsaved(changed + new)}: {SAVE}" + (f"; {new} of them new, left out until then" if new else "")
        return json.dumps(notebook).encode(), (note,)

    def _merged(self, content: bytes) -> tuple[Any, int, int]:
        """The notebook with later sources, how many those are, and how many cells of it were never saved."""
        saved = self._saved()
        later = {name: source for name, (source, save) in self.ran.items() if save == saved and not source.startswith("%tito")}
        try:
            notebook = json.loads(content)
            cells = {cell["id"]: cell for cell in notebook["cells"] if "id" in cell}
        except (ValueError, KeyError, TypeError):       # for others to say
            return None, 0, 0
        changed = {name: source for name, source in later.items() if name in cells and source != "".join(cells[name]["source"])}
        for name, source in changed.items():
            cells[name]["source"] = source
        return notebook, len(changed), len(later.keys() - cells.keys() - {self.current})

    def _asked(self, line: str) -> list[str]:
        """The words as they would be typed in a terminal, with the group and the module that go without saying here."""
        try:
            words = shlex.split(line)
        except ValueError as error:
            raise TitoError(f"%tito {line} cannot be read", why=str(error), fix="see what there is with: %tito --help") from None
        whole = _commands()
        if words and words[0] not in whole and words[0] in whole["module"].commands:
            words.insert(0, "module")
        found, at = None, 0
        while at < len(words) and words[at] in whole:
            found, whole, at = whole[words[at]], getattr(whole[words[at]], "commands", {}), at + 1
        name = words[at - 1] if at else ""
        if any(p.name == "nn" and p.required for p in getattr(found, "params", ())) and not any(w[0] != "-" for w in words[at:at + 1]):
            words.insert(at, f"{self.number:02d}")
        if reason := next((TERMINAL[word] for word in words[:at] if word in TERMINAL), ""):
            raise TitoError(f"tito {name} belongs in a terminal", why=reason, fix=f"in a terminal: {shlex.join(['tito', *words])}")
        if name in TAKES_FILE:
            self._require_saved(name, words[at])
        return words

    def _require_saved(self, name: str, which: str) -> None:
        """TitoError where the file is older than what was run."""
        path = Course(self.root).module(which).notebook
        if path == self.notebook and path.exists() and (count := sum(self._merged(path.read_bytes())[1:])):
            raise TitoError(_unsaved(count), why=f"{name} takes the notebook as it is on disk", fix=f"{SAVE}, then run this cell again")

    def _saved(self) -> int:
        """Which save of the notebook is the last: a file's own time, so that no two clocks are compared."""
        return self.notebook.stat().st_mtime_ns if self.notebook.exists() else 0


class Cell(Screen):
    """The output of a cell: in colour, and with commands as they are typed in this notebook."""

    def __init__(self, out: TextIO, err: TextIO, *, number: int):
        super().__init__(out, err)
        self.number = number

    def _print(self, stream: TextIO, lines: list[Line]) -> None:
        from rich.console import Console
        from rich.text import Text
        console = Console(file=stream, force_terminal=True, force_jupyter=False, color_system="standard", markup=False, emoji=False)
        for line in lines:
            console.print(Text.assemble(*((self._typed(text), style) for text, style in line)), soft_wrap=True, highlight=False)

    def _typed(self, text: str) -> str:
        """`tito module test 05` as `%tito test` in notebook 05."""
        typed = text.replace(f"{caller()} module ", "%tito ").removesuffix(f" {self.number:02d}")
        return typed if typed.startswith("%tito") and typed.split()[1] not in TERMINAL else text


def _unsaved(count: int) -> str:
    return f"{count} cell{' was' if count == 1 else 's were'} run but {'is' if count == 1 else 'are'} not saved yet"


def _commands() -> dict[str, Any]:
    """Everything that can be typed."""
    from tito.cli.app import command
    return dict(command().commands)
