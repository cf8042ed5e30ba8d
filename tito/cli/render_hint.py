"""How hints look: Markdown as text, code as it is, two answers side by side where there is room."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterable
from itertools import zip_longest

from tito.check.row import columns, fold
from tito.cli.results import Hinted
from tito.ladder.prose import readable
from tito.ladder.rungs import Part, Rung
from tito.ui import Line

READ, GUTTER = 80, 10               # prose is no wider; how far what was expected and what came are set in
BESIDE = 120                        # columns from which two answers stand side by side
LONGEST = 6                         # lines of one fact


def hint_lines(result: Hinted, width: int) -> list[Line]:
    """What was asked for, without the command that comes next."""
    title: Line = [(f"module {result.label}", "bold"), (f"  {result.check}" if result.check else "", "")]
    lines = [title, *_plain(textwrap.wrap(result.sentence, min(width, READ)))]
    for number, rung in enumerate(result.rungs, result.first):
        lines += [[], [(f"hint {number} of {result.of}, ", ""), (rung.title, "bold")], *_rung(rung, min(width, READ))]
    for pair in result.answers:
        lines += [[], [(pair.grade_id, "bold"), (f"  {pair.heading}", "")], *_beside(pair.own, pair.reference, width)]
    notes = [line for note in result.notes for line in textwrap.wrap(f"note: {note}", min(width, READ), subsequent_indent="      ")]
    return [*lines, [], *_plain(notes)]


def _rung(rung: Rung, width: int) -> list[Line]:
    lines: list[Line] = []
    before = ""
    for part in rung.parts:
        form = part.form if part.form in ("text", "code", "markdown") else "fact"
        if part.text:
            lines += [[]] if form != before or form != "fact" else []
            lines += _part(part, width)
            before = form
    return lines


def _part(part: Part, width: int) -> list[Line]:
    if part.form == "text":
        return _plain(textwrap.wrap(part.text, width, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False))
    if part.form == "code":
        return _plain("    " + line if line else "" for line in _folded(part.text, width - 4))
    if part.form == "markdown":
        return _plain(["  " + line if line else "" for line in _markdown(part.text, width - 2)])
    folded = fold(part.text, width - 2 - GUTTER, LONGEST)
    return [[(f"  {part.form if k == 0 else '':<{GUTTER}}", "dim"), (text, "")] for k, text in enumerate(folded)]


def _markdown(text: str, width: int) -> list[str]:
    """Markdown as Rich sets it, without styles, and never two empty lines."""
    from rich.console import Console
    from rich.markdown import Markdown
    page = io.StringIO()
    console = Console(file=page, width=width, color_system=None, force_terminal=False, legacy_windows=False, emoji=False)
    console.print(Markdown(readable(text, width - 2), hyperlinks=False))
    lines = "\n".join(line.rstrip() for line in page.getvalue().split("\n")).strip("\n").split("\n")
    return [line for k, line in enumerate(lines) if line or lines[k - 1]]


def _beside(own: str, reference: str, width: int) -> list[Line]:
    if width < BESIDE:
        wide = width - 2
        return [[("  yours", "dim")], *_plain("  " + text for text in _folded(own, wide)),
                [("  the course's", "dim")], *_plain("  " + text for text in _folded(reference, wide))]
    half = (width - 5) // 2
    rows = zip_longest(_folded(own, half), _folded(reference, half), fillvalue="")
    head: Line = [(f"  {'yours':<{half}} │ the course's", "dim")]
    return [head, *_plain(f"  {left}{' ' * (half - columns(left))} │ {right}" for left, right in rows)]


def _folded(code: str, width: int) -> list[str]:
    """Lines of code, long ones broken, what follows set in further."""
    found = []
    for line in code.split("\n"):
        inner = " " * min(len(line) - len(line.lstrip()) + 4, width // 2)
        found += textwrap.wrap(line, width, subsequent_indent=inner, break_on_hyphens=False) or [""]
    return found


def _plain(texts: Iterable[str]) -> list[Line]:
    return [[(text, "")] for text in texts]
