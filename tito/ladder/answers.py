"""The course's own answers, `answers/NN.zip`, where whoever teaches has put them into the edition; and a student's beside them."""

from __future__ import annotations

import ast
import json
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tito import zips
from tito.cells import Document, read_notebook
from tito.course import Course, Module
from tito.errors import ExitCode, TitoError
from tito.ladder.stubs import Scope, is_text
from tito.released import released
from tito.state import code_sha256

SCHEMA = 1
MEMBER = "answers.json"
PACKED, UNPACKED = 1 << 20, 4 << 20     # bytes; the whole course's answers take a tenth
DAMAGED = (OSError, *zips.DAMAGED, KeyError, TypeError, AttributeError)


@dataclass(frozen=True)
class Pair:
    """An answer twice: the student's and the course's own, without docstrings."""

    grade_id: str
    heading: str
    own: str
    reference: str

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Answers:
    """The answers of a module, by grade_id; `other` where they belong to another version of its notebook."""

    known: dict[str, str]
    other: bool = False


def path_of(course: Course, module: Module) -> Path:
    return course.root / "answers" / f"{module.number:02d}.zip"


def read_answers(course: Course, module: Module) -> Answers | None:
    """What the file holds; None where there is none.  TitoError where it is damaged, too large, or another module's.

    One member is read, by its name; nothing is unpacked onto the disk.
    """
    path = path_of(course, module)
    if not path.is_file():
        return None
    try:
        data = json.loads(_member(path))
        version, label, sha256 = data["schema_version"], str(data["module"]), str(data["released_sha256"])
        known = {str(name): _printable(text) for name, text in data["answers"].items()}
    except DAMAGED as err:
        raise _error(path, str(err) or type(err).__name__) from None
    if version != SCHEMA:
        raise _error(path, f"its schema_version is {version!r}, not {SCHEMA}")
    if label != module.label:
        raise _error(path, f"it holds the answers of {label!r:.40}, not of {module.label}")
    return Answers(known, sha256 != fingerprint(read_notebook(released(module))) if released(module).is_file() else False)


def fingerprint(document: Document) -> str:
    """Of a released notebook: its code, whatever its prose says."""
    return code_sha256(document)


def _member(path: Path) -> bytes:
    if path.stat().st_size > PACKED:
        raise ValueError(f"it is larger than {PACKED >> 20} MB")
    with zipfile.ZipFile(path) as archive:
        found = archive.getinfo(MEMBER)
        if found.compress_type not in zips.METHODS:
            raise ValueError("it is packed in a way that cannot be unpacked within bounds")
        with archive.open(found) as packed:
            content = packed.read(UNPACKED + 1)
    if len(content) > UNPACKED:
        raise ValueError(f"it unpacks to more than {UNPACKED >> 20} MB")
    return content


def _printable(text: Any) -> str:
    """Without what would move a terminal's cursor."""
    if not isinstance(text, str):
        raise TypeError("an answer is text")
    return "".join(c for c in text.expandtabs(4) if c.isprintable() or c == "\n")


def _error(path: Path, why: str) -> TitoError:
    return TitoError(f"{path.parent.name}/{path.name} cannot be used", why=f"{why:.300}", code=ExitCode.INTEGRITY,
                     fix="ask for it again, or remove it; your own work is not touched by it")


def pairs(document: Document, answers: Answers, only: str = "") -> list[Pair]:
    """The answers that say something else than the course's own; the one called `only` in any case."""
    found = []
    for cell in document.code:
        reference = answers.known.get(cell.grade_id)
        if reference is not None and (cell.grade_id == only if only else _meaning(cell.source) != _meaning(reference)):
            found.append(Pair(cell.grade_id, cell.heading, _bare(cell.source), _bare(reference)))
    return found


def same(pair: Pair) -> bool:
    return _meaning(pair.own) == _meaning(pair.reference)


def _meaning(source: str) -> str:
    """What Python makes of it: comments, blanks and docstrings apart."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return source
    for node in ast.walk(tree):
        if doc := _docstring(node):
            doc.value = ast.Constant(None)
    return ast.dump(tree)


def _bare(source: str) -> str:
    """The lines without docstrings and directives: what was to be written, and little more."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return source.strip("\n")
    gone = {line for node in ast.walk(tree) if (doc := _docstring(node)) for line in range(doc.lineno, (doc.end_lineno or doc.lineno) + 1)}
    lines = [line.rstrip() for number, line in enumerate(source.split("\n"), 1) if number not in gone and not line.startswith("#|")]
    return "\n".join(line for k, line in enumerate(lines) if line or k and lines[k - 1]).strip("\n")


def _docstring(node: ast.AST) -> ast.Expr | None:
    return first if isinstance(node, Scope) and is_text(first := node.body[0]) else None
