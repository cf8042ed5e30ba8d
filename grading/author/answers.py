"""`tito grade answers`: the reference solutions of a module in a file, for an edition's `answers/`; no term is needed for it."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

from tito import zips
from tito.cells import document
from tito.cli.results import Report
from tito.course import Course, Module
from tito.dev.source import answers as solutions
from tito.dev.source import notebook, strip
from tito.errors import ExitCode, TitoError
from tito.export import SOLUTION_MARK
from tito.journal import to_json, write_atomically
from tito.ladder.answers import MEMBER, SCHEMA, fingerprint


def answers(course: Course, modules: Sequence[Module], *, to: Path | None = None) -> Report:
    """Write NN.zip for each of the modules to a folder, by default build/answers.  TitoError where it cannot be written."""
    folder = to or course.root / "build" / "answers"
    files = [folder / f"{module.number:02d}.zip" for module in modules]
    try:
        for module, path in zip(modules, files, strict=True):
            write_atomically(path, packed(module))
    except OSError as err:
        raise TitoError(f"cannot write {folder}", why=err.strerror or str(err), fix="choose a folder that you may write to",
                        code=ExitCode.ENVIRONMENT) from err
    what = f"the answers of {len(modules)} module{'s are' if len(modules) > 1 else ' are'} in {folder}"
    lines = [f"  {path.name}  {module.label}" for module, path in zip(modules, files, strict=True)]
    lines += ["an edition shows them once a module's checks all pass, from its folder answers/ (which you make)"]
    return Report(what, tuple(lines), {"folder": str(folder), "files": [path.name for path in files]})


def packed(module: Module) -> bytes:
    """The zip of one module's answers: the same bytes for the same source."""
    if not module.source.exists():
        raise TitoError(f"{module.label} has no source here", why=f"expected at {module.source}", fix="run this in the course repository")
    source = notebook(module.source)
    known = {name: SOLUTION_MARK.sub("", text).rstrip("\n") for name, text in solutions(source)}
    data = {"schema_version": SCHEMA, "module": module.label, "answers": known,
            "released_sha256": fingerprint(document(strip(source), module.notebook))}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        zips.add(archive, MEMBER, to_json(data))
    return file.getvalue()
