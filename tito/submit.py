"""`tito submit`: a notebook exactly as it is, in one file that can be handed in, with a receipt beside it."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
import zipfile
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

from tito import released, state, zips
from tito.cells import read_notebook
from tito.cli.results import Report
from tito.cli.version import installed
from tito.course import Course, Module
from tito.errors import ExitCode, TitoError
from tito.journal import write_atomically
from tito.settings import read_settings

SCHEMA = 1
RECEIPT, FOLDER, REMEMBERED = "receipt.json", "submissions", ".tito/student.json"
NAME = re.compile(r"\w[\w .@+'-]*")
NAME_BYTES = 120                        # so that the file's name stays below what file systems take


def submit(course: Course, module: Module, *, name: str = "", to: Path | None = None) -> Report:
    """Write the file to hand in, and say what is in it.  TitoError where the notebook cannot be read, or nobody's name is known."""
    if not course.is_edition:
        raise TitoError("tito submit is for student editions; this is the course repository",
                        fix="hand in from an edition; take in what was handed in with: tito grade collect")
    student = _name(course, module, name)
    folder = _folder(course, to)
    try:
        read_notebook(module.notebook)
        content = module.notebook.read_bytes()
    except TitoError as err:
        err.fix = err.fix.replace("NN", f"{module.number:02d}")
        raise
    digest = hashlib.sha256(content).hexdigest()
    path = folder / f"{module.folder.name}-{student.replace(' ', '_')}-{digest[:8]}.zip"
    receipt = _earlier(path, student, digest)
    again = receipt is not None
    if receipt is None:
        receipt = {"schema_version": SCHEMA, "course": read_settings(course.root / "settings.ini").course.id, "module": module.folder.name,
                   "student": student, "notebook": module.notebook.name, "sha256": digest, "time": state.now(),
                   "tito": installed().data["version"]}
        write_atomically(path, _packed(module.notebook.name, content, receipt))
    if name:
        write_atomically(course.root / REMEMBERED, _json({"schema_version": SCHEMA, "name": student}))
    return _report(course, module, path, receipt, again=again)


def _report(course: Course, module: Module, path: Path, receipt: dict[str, Any], *, again: bool) -> Report:
    shown = path.relative_to(course.root) if path.is_relative_to(course.root) else path
    saved = datetime.fromtimestamp(module.notebook.stat().st_mtime).astimezone().isoformat(sep=" ", timespec="minutes")
    lines = [f"  file    {shown}", f"  sha256  {receipt['sha256']}", f"  time    {receipt['time']}",
             f"  the notebook was saved last at {saved}"]
    if again:
        lines.append("  it was packed before: file and time are those of then")
    original = released.released(module)
    if original.is_file() and state.code_sha256(read_notebook(original)) == state.code_sha256(read_notebook(module.notebook)):
        lines.append("  note: its code is still that of the released notebook")
    data = {"file": str(path), "receipt": receipt, "again": again}
    return Report(f"{module.label} is packed for {receipt['student']}", tuple(lines), data)


def _folder(course: Course, to: Path | None) -> Path:
    """Where the file goes.  A drop folder is never made here: one that is missing is misspelt, or not connected."""
    if to is None:
        return course.root / FOLDER
    if not to.is_dir():
        raise TitoError(f"{to} is not a folder", why="it is a file" if to.exists() else "there is nothing of that name",
                        fix="name a folder that is there; or leave --to out, and hand the file in yourself", code=ExitCode.ENVIRONMENT)
    return to.resolve()


def _name(course: Course, module: Module, given: str) -> str:
    """The student's name: as given now, else as given the last time."""
    name = unicodedata.normalize("NFC", given.strip())
    if given and not name:
        raise TitoError("--name is empty", fix="write the name or the number by which your course knows you")
    if not given:
        name = _remembered(course)
    if not name:
        raise TitoError("whose work is this?", why="no name was given yet; it is remembered from the first time on",
                        fix=f'tito submit {module.number:02d} --name "Your Name"')
    if bad := sorted({c for c in name if not re.fullmatch(r"[\w .@+'-]", c)}):
        raise TitoError(f"the name cannot have {' '.join(map(ascii, bad))} in it", why="it becomes a part of a file's name",
                        fix="letters, digits, spaces and . _ @ + - ' will do")
    if not NAME.fullmatch(name) or len(name.encode()) > NAME_BYTES:
        raise TitoError("the name " + ("is too long" if NAME.fullmatch(name) else "does not begin with a letter or a digit"),
                        why="it becomes a part of a file's name", fix="write the name or the number by which your course knows you")
    return name


def _remembered(course: Course) -> str:
    try:
        return str(json.loads((course.root / REMEMBERED).read_text(encoding="utf-8"))["name"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return ""                       # it is asked for once more


def _earlier(path: Path, student: str, digest: str) -> dict[str, Any] | None:
    """The receipt of the same notebook packed before: its time is the better one.  None where there is none that is whole."""
    try:
        with zipfile.ZipFile(path) as archive:
            receipt = json.loads(archive.read(RECEIPT))
            content = archive.read(receipt["notebook"])
    except (OSError, *zips.DAMAGED, KeyError, TypeError):
        return None
    whole = hashlib.sha256(content).hexdigest() == receipt.get("sha256") == digest and receipt.get("student") == student
    return receipt if whole and isinstance(receipt.get("time"), str) else None


def _packed(name: str, content: bytes, receipt: dict[str, Any]) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in ((name, content), (RECEIPT, _json(receipt))):
            zips.add(archive, member, data)
    return buffer.getvalue()


def _json(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()
