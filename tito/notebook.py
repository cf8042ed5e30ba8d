"""The first line of every notebook: `from tito import notebook; notebook.use(5)`.

It hides from module 05 the package's modules 05 and later, and makes a failing check show its card in place of a traceback.
"""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tito.course import root_above

if TYPE_CHECKING:
    from tito.cells import Document
    from tito.course import Module

TEST = re.compile(r"^def test_\w+\(", re.MULTILINE)
_root: Path | None = None           # set by the checking process, which runs elsewhere


def use(number: int) -> None:
    """Make this process the place of module `number`: this course's package, without that module and the later ones."""
    root = _root or _find(number)
    if root is not None:
        hide(str(root), number)
    shell = _shell()
    if shell is not None:
        _Cards(number, root).join(shell)
        if hasattr(shell, "kernel"):        # a person's, not the judge's
            importlib.import_module("tito.magic").join(shell, number, root)


def hide(root: str, number: int) -> None:
    """The package of this course comes first, and its modules `number` and later are as if not built."""
    global _root
    _root = Path(root)
    if root in sys.path:
        sys.path.remove(root)
    sys.path.insert(0, root)
    try:
        import tinytorch
        tinytorch.limit(number)
    except (ImportError, AttributeError, SyntaxError):
        return              # a package that is broken, or has no modules yet, is met by the cells that import it


def _find(number: int) -> Path | None:
    """The course around the current folder, else around the file that calls `use`."""
    script = sys._getframe(2).f_globals.get("__file__")
    return root_above(Path.cwd()) or (root_above(Path(str(script)).resolve().parent) if script else None)


def _shell() -> Any:
    """The running IPython, without importing it."""
    module = sys.modules.get("IPython.core.getipython") or sys.modules.get("IPython")
    return module.get_ipython() if module is not None and hasattr(module, "get_ipython") else None


class _Cards:
    """What IPython is taught: cards, the memory of cells that raised, and that `expect` is ours."""

    def __init__(self, number: int, root: Path | None):
        self.number, self.root = number, root
        self.ran: list[tuple[str, BaseException | None]] = []

    def join(self, shell: Any) -> None:
        from tito.check.failure import CheckFailed
        for event in ("pre_run_cell", "post_run_cell"):         # running the first cell again must not double these
            for old in [f for f in shell.events.callbacks[event] if isinstance(getattr(f, "__self__", None), _Cards)]:
                self.ran = old.__self__.ran
                shell.events.unregister(event, old)
        self.shell = shell
        shell.events.register("pre_run_cell", self.before)
        shell.events.register("post_run_cell", self.after)
        shell.set_custom_exc((Exception,), self.show)
        CheckFailed.card = staticmethod(self.card)

    def before(self, info: Any) -> None:
        expect = sys.modules.get("tito.check.expect")
        if expect is not None and "expect" in self.shell.user_ns:
            self.shell.user_ns["expect"] = expect

    def after(self, result: Any) -> None:
        source, error = result.info.raw_cell if result.info else "", result.error_before_exec or result.error_in_exec
        if not TEST.search(source or ""):
            self.ran = [*self.ran[-300:], (source, error)]
        elif error is None:
            self.passed(source)

    def passed(self, source: str) -> None:
        """Tell of a graded cell that it holds: silence would leave one wondering."""
        from tito.check.row import blank
        module = self.module()
        document = self.document(module)
        cell = next((c for c in document.tests if c.source.strip() == source.strip()), None) if document else None
        if cell is not None and module is not None:
            print("\n".join(blank(cell, module.label).card()))

    def show(self, shell: Any, kind: type[BaseException], error: BaseException, tb: Any, tb_offset: int | None = None) -> None:
        """IPython's handler of exceptions: a card below a graded test, its own traceback everywhere else."""
        lines = self.card(error)
        if lines is None:
            shell.showtraceback((kind, error, tb), tb_offset=tb_offset, running_compiled_code=True)
        else:
            shell._showtraceback(kind, _Plain(lines), ["\n".join(lines)])

    def card(self, error: BaseException) -> list[str] | None:
        """The card of an exception that arose in a graded test, from what the notebook on disk says of it."""
        from tito.check.failure import CheckFailed
        from tito.check.row import Row, row_for, told
        from tito.check.site import spots
        names = [s.code.co_name for s in spots(error) if s.code.co_name.startswith("test_")]
        module = self.module()
        document = self.document(module)
        cell = next((c for c in document.tests if f"def {names[-1]}(" in c.source), None) if document and names else None
        if document is not None and module is not None and cell is not None:
            return row_for(error, cell, document, module.label, self.ran).card()
        if isinstance(error, CheckFailed):
            return told(Row("error" if error.__cause__ else "failed", ""), error).card()
        return None

    def module(self) -> Module | None:
        from tito.course import Course
        modules = Course(self.root).modules if self.root else ()
        return next((m for m in modules if m.number == self.number), None)

    def document(self, module: Module | None) -> Document | None:
        """The notebook as saved; None where it cannot be read."""
        from tito.errors import TitoError
        try:
            return module.read() if module else None
        except (TitoError, ImportError, OSError):
            return None


class _Plain(Exception):
    """The exception that JupyterLab is told of: its message is the card's, and can be shown whatever the student's may be."""

    def __init__(self, lines: list[str]):
        super().__init__(lines[0])
