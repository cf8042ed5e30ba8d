"""Python scripts that were a notebook once: percent format, nbconvert's `# In[3]:`, or nothing but code."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from typing import Any

from tito.repair.piece import HEAD, Piece, parsed

PERCENT = re.compile(r"^#[ \t]*%%(.*)$", re.MULTILINE)
NUMBERED = re.compile(r"^# In ?\[[ \d*]*\]:?[ \t]*$", re.MULTILINE)
MARKS = re.compile(r"\bnbgrader=(\{.*?\})(?=\s|$)")
TAGS = re.compile(r"\btags=(\[[^\]]*\])")
KIND = re.compile(r"\[(markdown|md|raw)\]")
QUOTED = re.compile(r'\A[rR]?("""|\'\'\')(.*)\1\s*\Z', re.DOTALL)
HEADER = re.compile(r"\A(?:#!.*\n|#.*coding[:=].*\n|[ \t]*\n)+|\A# ---\n(?:#.*\n)*?# ---\n")


def is_script(text: str) -> bool:
    """Whether a text may be Python: it has cells or definitions, or it parses and does more than name something."""
    if PERCENT.search(text) or NUMBERED.search(text) or HEAD.search(text):
        return True
    tree = parsed(text)
    return tree is not None and any(not (isinstance(node, ast.Expr) and isinstance(node.value, (ast.Name, ast.Constant, ast.Tuple)))
                                    for node in tree.body)


def script_pieces(text: str) -> Iterator[Piece]:
    """A script's cells."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    text = HEADER.sub("", text, count=1)
    if markers := _markers(text):
        yield from _percent(text, markers)
    elif NUMBERED.search(text):
        yield from _numbered(text)
    else:
        yield Piece("code", text.strip("\n"))


def _markers(text: str) -> list[re.Match[str]]:
    """The lines that begin a cell: those inside a string do not."""
    found = list(PERCENT.finditer(text))
    tree = parsed(text) if found else None
    strings = [(n.lineno, n.end_lineno or 0) for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)
               and n.end_lineno != n.lineno] if tree else []
    inside = {line for a, b in strings for line in range(a + 1, b + 1)}
    return [m for m in found if text.count("\n", 0, m.start()) + 1 not in inside] if inside else found


def _percent(text: str, found: list[re.Match[str]]) -> Iterator[Piece]:
    if before := text[:found[0].start()].strip("\n"):
        yield Piece("code", before)
    for match, end in zip(found, [*(m.start() for m in found[1:]), len(text)]):
        header, body = match[1], text[match.end():end].strip("\n")
        kind = (KIND.search(header) or [None, "code"])[1]
        marks = _json(MARKS.search(header))
        tags = _json(TAGS.search(header))
        yield Piece("code" if kind == "code" else "raw" if kind == "raw" else "markdown", body if kind == "code" else _prose(body),
                    marks=marks if isinstance(marks, dict) else None,
                    tags=tuple(t for t in tags if isinstance(t, str)) if isinstance(tags, list) else ())


def _json(found: re.Match[str] | None) -> Any:
    try:
        return json.loads(found[1]) if found else None
    except (ValueError, RecursionError):
        return None


def _prose(body: str) -> str:
    """A text cell's words: between triple quotes, or behind a # in each line."""
    if quoted := QUOTED.fullmatch(body):
        return quoted[2].strip("\n")
    return "\n".join(re.sub(r"^#[ \t]?", "", line) for line in body.split("\n"))


def _numbered(text: str) -> Iterator[Piece]:
    """nbconvert's form: two empty lines end a cell, and prose is a block of comments."""
    found = list(NUMBERED.finditer(text))
    yield from _blocks(text[:found[0].start()], code=False)
    for match, end in zip(found, [*(m.start() for m in found[1:]), len(text)]):
        yield from _blocks(text[match.end():end], code=True)


def _blocks(text: str, *, code: bool) -> Iterator[Piece]:
    blocks = text.strip("\n").split("\n\n\n")
    prose: list[str] = []
    while blocks and (not code or len(blocks) > 1) and all(re.match(r"#(?![|!])", line) for line in blocks[-1].split("\n") if line.strip()):
        prose.insert(0, blocks.pop())
    if source := "\n\n\n".join(blocks).strip("\n"):
        yield Piece("code", source)
    for block in prose:
        for paragraph in re.split(r"\n\n+", block.strip("\n")):
            if paragraph.strip():
                yield Piece("markdown", _prose(paragraph))
