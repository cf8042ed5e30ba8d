"""The kinds of file in which a notebook may arrive, and what arrives in its stead."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable
from typing import Any

from tests.grading.damage_work import Notebook, NotHere

Written = tuple[bytes, set[str]]            # the file, and the grade_ids of what is not in it
FILES: dict[str, Callable[[Notebook], Written]] = {}


def file(function: Callable[[Notebook], bytes | Written]) -> Callable[[Notebook], bytes | Written]:
    def write(notebook: Notebook) -> Written:
        made = function(notebook)
        return made if isinstance(made, tuple) else (made, set())
    FILES[function.__name__] = write
    return function


def _text(notebook: Notebook) -> str:
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def _without(notebook: Notebook, *, first: int) -> set[str]:
    """The grade_ids from a cell on."""
    return {c["metadata"].get("nbgrader", {}).get("grade_id", "") for c in notebook["cells"][first:]}


def _cells(notebook: Notebook) -> list[tuple[str, str, dict[str, Any]]]:
    return [(c["cell_type"], c["source"], c.get("metadata", {})) for c in notebook["cells"]]


# -- encodings and forms of JSON

FILES["json"] = lambda notebook: (_text(notebook).encode(), set())
FILES["compact"] = lambda notebook: (json.dumps(notebook, separators=(",", ":")).encode(), set())
FILES["with_bom"] = lambda notebook: (_text(notebook).encode("utf-8-sig"), set())
FILES["utf16"] = lambda notebook: (_text(notebook).encode("utf-16"), set())
FILES["utf16_without_bom"] = lambda notebook: (_text(notebook).encode("utf-16-be"), set())
FILES["utf32"] = lambda notebook: (_text(notebook).encode("utf-32"), set())
FILES["windows_lines"] = lambda notebook: (_text(notebook).replace("\n", "\r\n").encode(), set())
FILES["raw_line_ends"] = lambda notebook: (re.sub(r"(?<!\\)\\n", "\n", _text(notebook)).encode(), set())
FILES["two_in_one"] = lambda notebook: (_text(notebook).encode() * 2, set())
FILES["trailing_commas"] = lambda notebook: (re.sub(r"\n( *)([\]}])(?=,?\n)", r",\n\1\2", _text(notebook)).encode(), set())
FILES["bytes_that_are_no_text"] = lambda notebook: (_text(notebook).encode().replace(b'"cells"', b'"x": "\xff\xfe\x80", "cells"', 1), set())
FILES["half_a_character"] = lambda notebook: (_text(notebook).replace('"cells"', '"x": "\\ud83d", "cells"', 1).encode(), set())
FILES["a_giant_number"] = lambda notebook: (_text(notebook).replace('"cells"', f'"x": {"9" * 5000}, "cells"', 1).encode(), set())
FILES["in_an_answer_of_a_server"] = lambda notebook: (json.dumps({"type": "notebook", "name": "a", "content": notebook}).encode(), set())
FILES["a_bare_list"] = lambda notebook: (json.dumps(notebook["cells"]).encode(), set())
FILES["cells_by_number"] = lambda notebook: (_text(notebook | {"cells": dict(enumerate(notebook["cells"]))}).encode(), set())


@file
def cp1252(notebook: Notebook) -> bytes:
    """As an editor of old writes it, where the code has only letters of its own."""
    code = "".join(c["source"] for c in notebook["cells"] if c["cell_type"] == "code")
    if code.encode("cp1252", "ignore") != code.encode("cp1252", "replace"):
        raise NotHere
    return _text(notebook).encode("cp1252", "replace")


@file
def nested_deeply(notebook: Notebook) -> bytes:
    deep = "[" * 50_000 + "]" * 50_000
    return _text(notebook).replace('"metadata": {', f'"metadata": {{"deep": {deep}, ', 2).replace(", \n }", "\n }").encode()


@file
def keys_twice(notebook: Notebook) -> bytes:
    return re.sub(r'("cell_type": "\w+",)', r'"cell_type": "raw", \1', _text(notebook)).encode()


@file
def a_merge_conflict(notebook: Notebook) -> bytes:
    lines = _text(notebook).split("\n")
    place = next(i for i, line in enumerate(lines) if '"source"' in line)
    lines[place:place + 1] = ["<<<<<<< HEAD", lines[place], "=======", '   "source": "theirs"', ">>>>>>> theirs"]
    return "\n".join(lines).encode()


@file
def format_4_0(notebook: Notebook) -> bytes:
    cells = [{k: v for k, v in cell.items() if k != "id"} for cell in notebook["cells"]]
    return json.dumps(notebook | {"cells": cells, "nbformat_minor": 0}).encode()


@file
def format_3(notebook: Notebook) -> bytes:
    cells = []
    for cell in notebook["cells"]:
        old = {"cell_type": cell["cell_type"], "metadata": cell.get("metadata", {})}
        code = cell["cell_type"] == "code"
        cells.append(old | ({"input": cell["source"], "language": "python", "prompt_number": 1} if code else {"source": cell["source"]}))
    sheets = [{"cells": cells, "metadata": {}}]
    return json.dumps({"metadata": {"name": ""}, "nbformat": 3, "nbformat_minor": 0, "worksheets": sheets}).encode()


# -- cut off

@file
def cut_off_after_the_cells(notebook: Notebook) -> bytes:
    return _text(notebook | {"metadata": notebook["metadata"]}).encode()[:-30]


@file
def cut_off_in_the_last_cell(notebook: Notebook) -> Written:
    last = len(notebook["cells"]) - 1
    return _cut(notebook, last), _without(notebook, first=last)


@file
def cut_off_in_the_middle(notebook: Notebook) -> Written:
    middle = len(notebook["cells"]) // 2
    return _cut(notebook, middle), _without(notebook, first=middle)


@file
def cut_off_in_the_first_cell(notebook: Notebook) -> Written:
    return _cut(notebook, 0), _without(notebook, first=0)


def _cut(notebook: Notebook, place: int) -> bytes:
    head = _text({"cells": notebook["cells"][:place + 1]}).encode()
    return head[:head.rindex(b'"source"') + 15]


# -- scripts

@file
def percent_script(notebook: Notebook) -> bytes:
    blocks = []
    for kind, source, metadata in _cells(notebook):
        label = f' nbgrader={json.dumps(metadata["nbgrader"])}' if "nbgrader" in metadata else ""
        blocks.append(f"# %%{'' if kind == 'code' else ' [markdown]'}{label}\n" + (source if kind == "code" else f'"""\n{source}\n"""'))
    return ("# ---\n# jupyter:\n#   kernelspec: python3\n# ---\n\n" + "\n\n".join(blocks) + "\n").encode()


@file
def percent_script_without_labels(notebook: Notebook) -> bytes:
    blocks = [("# %%\n" + source) if kind == "code" else "# %% [markdown]\n" + _commented(source) for kind, source, _ in _cells(notebook)]
    return ("\n".join(blocks) + "\n").encode()


@file
def download_as_python(notebook: Notebook) -> bytes:
    blocks = [f"# In[ ]:\n\n\n{source}\n" if kind == "code" else _commented(source) + "\n" for kind, source, _ in _cells(notebook)]
    return ("#!/usr/bin/env python\n# coding: utf-8\n\n" + "\n\n".join(blocks)).encode()


@file
def only_the_code(notebook: Notebook) -> bytes:
    return ("\n\n".join(source for kind, source, metadata in _cells(notebook) if kind == "code" and "tags" not in metadata) + "\n").encode()


def _commented(source: str) -> str:
    return "\n".join(f"# {line}" for line in source.split("\n"))


# -- what is no notebook

def _zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("tensor_dev.ipynb", "{}")
    return buffer.getvalue()


NOTHING: dict[str, bytes] = {
    "an_empty_file": b"", "blanks": b" \n\n\t", "a_zip": _zip(),
    "a_web_page": b"<!DOCTYPE html><html><body>Not found</body></html>", "a_pdf": b"%PDF-1.7\n...",
    "a_picture": b"\x89PNG\r\n\x1a\n\0\0", "null": b"null", "an_empty_list": b"[]", "an_empty_object": b"{}",
    "cells_that_are_a_number": b'{"cells": 3}', "no_cells": b'{"cells": [], "nbformat": 4}',
    "noise": bytes(range(256)), "zeros": bytes(1000),
    "a_letter": "Dear professor, my notebook is gone. Grüße".encode(), "a_brace": b"{", "another_module": json.dumps({"cells": [
        {"cell_type": "code", "metadata": {}, "source": "#| default_exp core.elsewhere"}, {"cell_type": "code", "metadata": {
            "nbgrader": {"grade_id": "elsewhere", "solution": True}}, "source": "def elsewhere(): return 1"}]}).encode()}
