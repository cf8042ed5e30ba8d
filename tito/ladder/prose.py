"""What the notebook says on the way to an answer: the last paragraphs before it, as Markdown, and that Markdown as a terminal shows it."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

from tito.cells import HEADING, Cell, Document
from tito.ladder.formula import plain

LINES, FEW, WIDTH = 22, 5, 76           # about how much of it is told; less than FEW lines tell too little
TASK = "**Your turn"                    # begins what is to be written; an earlier one is another answer's
FENCE = re.compile(r"^\s*(```|~~~)")
DISPLAY = re.compile(r"\$\$(.+?)\$\$", re.DOTALL)
INLINE = re.compile(r"(?<![\\$\w])\$(?!\s)([^$`]+?)(?<!\s)\$(?!\w)")
CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
SPECIAL = re.compile(r"([\\`*_\[\]<>|])")


def before(document: Document, cell: Cell) -> tuple[str, Cell | None, bool]:
    """(Markdown, the last cell that it is from, whether it is shortened) of what leads to a cell: from the answer or check before it on."""
    found = _leading(document, cell, through=False)
    if sum(_height(each.source) for each in found) < FEW:
        found = _leading(document, cell, through=True)
    texts = [[block for block in _blocks(_section(each.source)) if not HEADING.fullmatch(block)] for each in found]
    kept = _last(texts[-1]) if texts else []
    for blocks in reversed(texts[:-1]):             # what stands before a picture or a run of code is told whole, or not at all
        blocks = [block for block in blocks if not block.startswith(TASK)]
        if sum(map(_height, blocks + kept)) > LINES:
            break
        kept = blocks + kept
    return "\n\n".join(kept), found[-1] if found else None, len(kept) < sum(map(len, texts))


def _last(blocks: list[str]) -> list[str]:
    """As many of the last blocks as there is room for."""
    kept: list[str] = []
    for block in reversed(blocks):
        if kept and sum(map(_height, [block, *kept])) > LINES and _whole(kept[0]):
            break
        kept.insert(0, block)
    return kept


def _leading(document: Document, cell: Cell, *, through: bool) -> list[Cell]:
    """The text between the heading and the cell; without `through` not what stands before another answer or check."""
    found: list[Cell] = []
    for each in reversed(document.cells[:cell.index]):
        if each.heading != cell.heading or (each.test or each.solution) and not through:
            break
        if each.kind == "markdown" and each.source.strip() and not each.manual:
            found.append(each)
    return found[::-1]


def _section(source: str) -> str:
    """From its last heading on: what stands above belongs to the section before."""
    headings = list(HEADING.finditer(_without_fences(source)))
    return source[headings[-1].end():] if headings else source


def _without_fences(source: str) -> str:
    """The same length and lines, with nothing inside fences: a `# comment` there is no heading."""
    lines, inside = [], False
    for line in source.split("\n"):
        fence = bool(FENCE.match(line))
        lines.append(" " * len(line) if inside or fence else line)
        inside ^= fence
    return "\n".join(lines)


def _blocks(markdown: str) -> Iterator[str]:
    """Paragraphs, lists, tables, and pictures in fences whole."""
    lines: list[str] = []
    inside = False
    for line in markdown.split("\n"):
        fence = bool(FENCE.match(line))
        if lines and (not line.strip() and not inside or fence and not inside):
            yield "\n".join(lines)
            lines = []
        inside ^= fence
        if line.strip() or inside:
            lines.append(line)
        if fence and not inside:
            yield "\n".join(lines)
            lines = []
    if lines:
        yield "\n".join(lines)


def _whole(block: str) -> bool:
    """Whether it can stand without the one before: a list or a formula is nothing without the sentence above it."""
    return not re.match(r"\s*(```|~~~|[*-] |\d+\. |\||\$\$)", block)


def _height(block: str) -> int:
    if FENCE.match(block):
        return block.count("\n") + 1 if max(map(len, _picture(block).split("\n"))) <= WIDTH else 1
    if block.startswith("|"):
        return block.count("\n") + 1
    return -(-len(block) // WIDTH) + 1


def readable(markdown: str, width: int) -> str:
    """The Markdown with formulas as text, code still in its backticks, and without pictures that are wider than the terminal."""
    parts: list[str] = []
    for block in _blocks(markdown):
        if FENCE.match(block):
            picture = _picture(block)
            wide = max(map(len, picture.split("\n"))) > width
            parts.append("(a picture: look at it in the notebook)" if wide else picture)
        else:
            block = DISPLAY.sub(lambda m: f"\n\n```\n{plain(m[1])}\n```\n\n", block)
            parts.append("\n\n".join(b if FENCE.match(b) else _inline(b) for b in _blocks(block)))
    return "\n\n".join(parts)


def _picture(block: str) -> str:
    """A picture in its fences, as far to the left as it goes."""
    begin, *lines, end = block.split("\n")
    return "\n".join([begin, textwrap.dedent("\n".join(lines)), end]) if lines else block


def _inline(text: str) -> str:
    """Code is shown in backticks, which Markdown would take away; what stands in it is no formula."""
    pieces = re.split(r"(`[^`\n]+`)", text)
    return "".join(CODE.sub(r"`` `\1` ``", p) if k % 2 else INLINE.sub(lambda m: SPECIAL.sub(r"\\\1", plain(m[1])), p)
                   for k, p in enumerate(pieces))
