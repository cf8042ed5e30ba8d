"""The one exception of `expect`: an AssertionError that knows what was expected and what came."""

from __future__ import annotations

from collections.abc import Callable


class CheckFailed(AssertionError):
    """A check of a graded cell did not hold.  Every field is text that can be shown as it is.

    `__cause__` is the exception of the student's code, where there was one.
    """

    # Set by `tito.notebook.use`: in JupyterLab the card also knows the section and the points.
    card: Callable[[CheckFailed], list[str] | None] | None = None

    def __init__(self, check: str, *, call: str = "", expected: str = "", got: str = "", first: str = "", hint: str = ""):
        super().__init__(check)
        self.check, self.call, self.expected, self.got, self.first, self.hint = check, call, expected, got, first, hint

    def __str__(self) -> str:
        facts = {"call": self.call, "expected": self.expected, "got": self.got, "first": self.first, "hint": self.hint}
        lines = [f"{name:<9}{line}" if k == 0 else f"{'':<9}{line}"
                 for name, text in facts.items() if text for k, line in enumerate(text.split("\n"))]
        return "\n".join([self.check, *lines])

    def _render_traceback_(self) -> list[str]:
        """IPython asks for this, and shows it in place of a traceback."""
        lines = CheckFailed.card(self) if CheckFailed.card else None
        if lines is None:
            from tito.check.row import Row, told
            lines = told(Row("failed", ""), self).card()
        return ["\n".join(lines)]
