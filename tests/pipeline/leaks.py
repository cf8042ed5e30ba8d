"""Looks for the course's solutions in every file of a folder: text, JSON, archives, git's objects and compiled Python."""

import io
import json
import marshal
import re
import subprocess
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import CodeType

from tito.course import Course
from tito.dev.source import notebook, solution_blocks

SHORTEST = 20  # shorter lines, such as `return self`, are anybody's


def distinctive(course: Course) -> dict[str, str]:
    """{a line that stands only in solutions: the source and cell it is from}."""
    solved: dict[str, str] = {}
    public = ""
    for module in course.modules:
        for cell in notebook(module.source)["cells"]:
            lines, inside = cell["source"].split("\n"), set()
            for begin, end in solution_blocks(cell["source"]):
                inside |= set(range(begin + 1, end))
            marks = cell["metadata"].get("nbgrader", {})
            if marks.get("solution") and not inside:  # nbgrader replaces the whole cell
                inside = set(range(len(lines)))
            for number, line in enumerate(lines):
                if number not in inside:
                    public += _plain(line) + "\n"
                elif len(_plain(line)) >= SHORTEST:
                    solved.setdefault(_plain(line), f"{module.label}, cell {marks.get('grade_id') or cell['id']}")
    return {line: where for line, where in solved.items() if line not in public}     # prose may quote it, too


def leaks(course: Course, folder: Path) -> list[str]:
    """One sentence for each solution line, and each compiled solution, found anywhere in the folder."""
    lines, functions = distinctive(course), _compiled(course)
    assert lines, "no solution lines to look for"
    found = []
    for name, data in _contents(folder):
        texts = _texts(name, data)
        found += [f"{name}: {line!r} of {where}" for line, where in lines.items() if any(line in text for text in texts)]
        if name.endswith(".pyc"):
            found += [f"{name}: compiled {code.co_name}" for code in _codes(marshal.loads(data[16:])) if _shape(code) in functions]
    return found


def _plain(line: str) -> str:
    """A line without its comment, blanks made single."""
    return " ".join(re.sub(r"\s#.*", "", line).split())


def _texts(name: str, data: bytes) -> list[str]:
    text = data.decode("utf-8", "replace")
    texts = [" ".join(text.split())]
    if name.endswith((".ipynb", ".json")):
        texts.append(" ".join(" ".join(_strings(json.loads(text))).split()))
    return texts


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from (key, *_strings(inner))
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)


def _contents(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Every file, and what is packed in it; git's whole history."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield from _unpacked(path.relative_to(folder).as_posix(), path.read_bytes())
    for git in folder.rglob(".git"):
        done = subprocess.run(["git", "-C", git.parent, "cat-file", "--batch", "--batch-all-objects"], capture_output=True, check=True)
        yield f"{git.relative_to(folder).as_posix()} (history)", done.stdout


def _unpacked(name: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    yield name, data
    if zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for member in archive.namelist():
                yield from _unpacked(f"{name}!{member}", archive.read(member))
    for window in (31, 15):  # gzip, zlib
        try:
            yield from _unpacked(f"{name} (unpacked)", zlib.decompress(data, window))
        except zlib.error:
            continue


def _compiled(course: Course) -> set[object]:
    """The functions of solution cells as Python compiles them."""
    shapes = set()
    for module in course.modules:
        for cell in notebook(module.source)["cells"]:
            if cell["cell_type"] == "code" and solution_blocks(cell["source"]):
                for code in _codes(compile(cell["source"], "cell", "exec", dont_inherit=True)):
                    if len(code.co_code) > 40 and code.co_name != "<module>":
                        shapes.add(_shape(code))
    return shapes


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _shape(code: CodeType) -> object:
    return code.co_name, code.co_code, code.co_names, code.co_varnames
