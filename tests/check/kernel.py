"""Run a notebook's cells in a real IPython shell, and print as JSON what it would show of each exception.  `kernel.py NOTEBOOK`.

What the cells print goes to stderr.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config


class Shell(InteractiveShell):      # type: ignore[misc]
    shown: list[str] = []

    def _showtraceback(self, etype: Any, evalue: Any, stb: list[str]) -> None:
        self.shown.append("\n".join(stb))


def main(path: str) -> None:
    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "nocolor"
    shell = Shell.instance(config=config)
    out = sys.stdout
    sys.stdout = sys.stderr
    cells = json.loads(Path(path).read_text(encoding="utf-8"))["cells"]
    results = []
    for cell in cells:
        Shell.shown.clear()
        if cell["cell_type"] == "code":
            shell.run_cell(cell["source"], store_history=True)
        results.append("\n".join(Shell.shown))
    json.dump(results, out)


if __name__ == "__main__":
    main(sys.argv[1])
