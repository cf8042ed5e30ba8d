"""A handed-in file's bytes, whatever they are, as the cells that can be read from them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from tito.repair.piece import Piece
from tito.repair.script import is_script, script_pieces

TOKEN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\],"]|-?\d[\d.eE+-]*+|true|false|null', re.DOTALL)
CONFLICT = re.compile(r"^<{7}[^\n]*\n(.*?)^(?:\|{7}[^\n]*\n.*?^)?={7}\n.*?^>{7}[^\n]*\n", re.MULTILINE | re.DOTALL)
ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
FOREIGN = {b"PK\x03\x04": "a zip archive", b"%PDF": "a PDF", b"\x89PNG": "a picture", b"\xff\xd8\xff": "a picture",
           b"\x1f\x8b": "a gzip archive", b"Rar!": "a rar archive", b"7z\xbc\xaf": "a 7z archive",
           b"\xd0\xcf\x11\xe0": "an Office document"}
NOTHING = "nothing could be read from it"
SCRIPT = "the file is a Python script, not a notebook: its cells were read as far as they can be told apart"


def read_pieces(content: bytes) -> tuple[list[Piece], list[str]]:
    """The cells of a handed-in file, and what was amiss with the file.  No bytes make it raise."""
    if kind := next((what for magic, what in FOREIGN.items() if content.startswith(magic)), ""):
        return [], [f"the file is {kind}, not a notebook: {NOTHING}"]
    text = _decoded(content)
    start = text.lstrip()[:1]
    if not start:
        return [], ["the file is empty"]
    if start == "<" and not text.lstrip().startswith("<<<<<<<"):
        return [], [f"the file is a web page (HTML), not a notebook: {NOTHING}"]
    if start not in ("{", "[", "<"):
        if not is_script(text):
            return [], [f"the file is not a notebook: {NOTHING}"]
        return list(script_pieces(text)), [SCRIPT]
    return _from_json(text)


def _decoded(content: bytes) -> str:
    text = content.decode(json.detect_encoding(content[:4]), errors="replace")
    if "\ufffd" in text and text.replace("\ufffd", "").isascii():       # no letter beyond ASCII made sense: an editor of old
        text = content.decode("cp1252", errors="replace")
    return text.removeprefix("\ufeff")


def _from_json(text: str) -> tuple[list[Piece], list[str]]:
    notes = []
    merged = CONFLICT.sub(r"\1", text) if "\n>>>>>>>" in text else text
    if merged != text:
        notes.append("the file holds an unresolved merge conflict: the first of the two versions is used")
    try:
        whole = json.loads(merged, strict=False)
    except (ValueError, RecursionError, MemoryError):
        whole, cut = _tolerant(merged)
        notes.append("the file is cut off: only the cells before that place could be read" if cut else
                     "the file is not valid JSON: its cells were read as far as they can be")
    pieces = [_piece(cell) for cell in _cells(whole) if isinstance(cell, dict)]
    if not pieces:
        notes = [f"the file is not valid JSON: {NOTHING}" if notes else "the file has no cells"]
    elif isinstance(whole, dict) and isinstance(whole.get("worksheets"), list):
        notes.append("the notebook is in the old format 3: it was read as one of today's")
    return pieces, notes


def _tolerant(text: str) -> tuple[Any, bool]:
    """JSON read for as long as it can be, at any depth, and whether it was cut off; a cell that has no end is left out."""
    root: Any = None
    stack: list[Any] = []
    keys: list[str | None] = []
    outputs = 0                                                 # how deep the list of outputs is in which we are: nobody asks what it holds

    def put(value: Any) -> None:
        if not stack:
            return
        if isinstance(stack[-1], list):
            stack[-1].append(value)
        elif keys[-1] is None:
            keys[-1] = value if isinstance(value, str) else None
        else:
            stack[-1][keys[-1]], keys[-1] = value, None

    for match in TOKEN.finditer(text):
        token = match[0]
        if not stack and token not in "{[":
            continue
        if token == '"':                                        # a string without an end
            break
        if outputs and token not in "{[}]":
            continue
        if token in "{[":
            value: Any = {} if token == "{" else []
            outputs = outputs or (len(stack) if keys and keys[-1] == "outputs" else 0)
            root = value if root is None else root
            put(value)
            stack.append(value)
            keys.append(None)
        elif token in "}]":
            stack.pop()
            keys.pop()
            outputs = outputs if len(stack) > outputs else 0
            if not stack:
                return root, False
        elif token == ",":
            keys[-1] = None
        else:
            put(_scalar(token))
    for owner, inner in pairwise(stack):
        if isinstance(owner, list) and isinstance(inner, dict) and "cells" not in inner and owner and owner[-1] is inner:
            owner.pop()
            break
    return root, True


def _scalar(token: str) -> Any:
    try:
        return json.loads(token, strict=False)
    except ValueError:
        return token.strip('"')


def _cells(whole: Any) -> Iterator[Any]:
    """The cells of a notebook of any format, also where it is wrapped in something else."""
    if isinstance(whole, list):
        yield from (cell for cell in whole if isinstance(cell, dict) and "cell_type" in cell)
        return
    if not isinstance(whole, dict):
        return
    if isinstance(whole.get("content"), dict) and "cells" not in whole:
        whole = whole["content"]                                # as Jupyter's server sends it
    sheets = whole.get("worksheets")
    for owner in [whole, *(sheets if isinstance(sheets, list) else [])]:
        cells = owner.get("cells") if isinstance(owner, dict) else None
        yield from cells.values() if isinstance(cells, dict) else cells if isinstance(cells, list) else ()


def _piece(cell: dict[str, Any]) -> Piece:
    metadata = cell.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    marks, tags = metadata.get("nbgrader"), metadata.get("tags")
    kind = cell.get("cell_type")
    source = _source(cell.get("source", cell.get("input")))
    if kind == "heading":
        kind, source = "markdown", "# " + source
    if kind not in ("code", "markdown", "raw"):
        kind = "code" if {"outputs", "execution_count", "input", "prompt_number"} & set(cell) else "markdown"
    name = cell.get("id")
    name = name if isinstance(name, str) and ID.fullmatch(name) else ""
    return Piece(kind, source, name, marks if isinstance(marks, dict) else None,
                 tags=tuple(clean(t) for t in tags if isinstance(t, str)) if isinstance(tags, list) else (),
                 attachments=_attachments(cell.get("attachments")))


def _source(value: Any) -> str:
    if isinstance(value, list):
        lines = [line for line in value if isinstance(line, str)]
        whole = len(lines) > 1 and not any(line.endswith(("\n", "\r")) for line in lines[:-1])
        value = ("\n" if whole else "").join(lines)
    return clean(value) if isinstance(value, str) else ""


def clean(text: str) -> str:
    """The text with line ends of one kind, and without what no source may hold."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:                                  # half a character
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _attachments(value: Any) -> dict[str, Any]:
    """Pictures that were pasted into a text cell."""
    if not isinstance(value, dict):
        return {}
    return {clean(name): {clean(kind): clean(data) for kind, data in bundle.items() if isinstance(data, str)}
            for name, bundle in value.items() if isinstance(bundle, dict)}
