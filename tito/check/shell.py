"""An IPython shell for cells that need its syntax, tamed: no history, no windows, no commands of the system."""

from __future__ import annotations

import sys
import types
from typing import Any

from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config


class QuietShell(InteractiveShell):                     # type: ignore[misc]
    """What JupyterLab's kernel is to a cell, as far as the verdict needs it."""

    def system(self, cmd: str) -> None:
        """`!pip install ...` is for people at a keyboard."""
        self.user_ns["_exit_code"] = 0

    system_raw = system_piped = system

    def getoutput(self, cmd: str, split: bool = True, depth: int = 0) -> Any:
        return [] if split else ""

    def enable_gui(self, gui: Any = None) -> None:
        pass

    def enable_matplotlib(self, gui: Any = None) -> tuple[str, str]:
        """Nobody looks: the plain backend does (and costs nothing until something is drawn)."""
        return "agg", "agg"

    def showtraceback(self, *args: Any, **kwargs: Any) -> None:
        """`%%time` shows an exception and goes on; here it must be seen."""
        error = sys.exc_info()[1]
        if error is not None:
            raise error

    def init_sys_modules(self) -> None:
        """`__main__` is already the notebook's namespace."""


def make_shell(main: types.ModuleType) -> InteractiveShell:
    """The one shell of this process, whose namespace is the module's."""
    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "nocolor"
    QuietShell.clear_instance()
    shell = QuietShell.instance(config=config, user_module=main, user_ns=main.__dict__)
    shell.register_magic_function(lambda line: None, "line", "tito")        # `%tito test` is what goes on here already
    return shell
