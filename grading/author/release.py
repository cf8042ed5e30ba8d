"""Hand out: the student edition as a zip or a folder, of assignments that are what their sources are, and when that was."""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from grading.assignment import Assignment, freeze
from grading.term import Term
from tito import zips
from tito.cli.results import Report
from tito.course import Module
from tito.dev.edition import make_edition
from tito.errors import ExitCode, TitoError
from tito.journal import write_atomically

RELEASES = "releases.json"
SCHEMA = 1


def release(term: Term, modules: Sequence[Module], *, to: Path | None) -> Report:
    """Write the student edition: to a new folder, to a file that ends in .zip, or to the term's editions/.

    TitoError where one of the modules is no assignment, or its source has changed since it became one.
    """
    if not modules:
        raise TitoError("there is nothing to release", why="no module is an assignment yet", fix="tito grade generate")
    with term.lock():
        digests = {module.folder.name: _agreed(term, module).digest for module in modules}
        path = to or term.path("editions", f"{term.settings.course.id}.zip")
        if path.suffix == ".zip":
            write_atomically(path, _zipped(term))
        else:
            make_edition(term.course, path)
        noted = _note(term, digests)
    beside = [m.label for m in term.course.modules if m not in modules and m.source.exists()]
    lines = [f"  {m.label}: released {noted[m.folder.name]}" for m in modules]
    lines += [f"  also in it, and not released by this: {', '.join(beside)}"] if beside else []
    return Report(f"the student edition is {path}", tuple(lines), {"path": str(path), "released": noted, "beside": beside},
                  "tito grade collect PATH")


def _agreed(term: Term, module: Module) -> Assignment:
    assignment = Assignment.current(term, module)
    if freeze(term, module).digest != assignment.digest:
        raise TitoError(f"{module.label} has changed since it became an assignment",
                        why="students would get something else than what their work is judged by",
                        fix=f"tito grade generate {module.number:02d}", code=ExitCode.INTEGRITY)
    return assignment


def _zipped(term: Term) -> bytes:
    """The same bytes for the same course: names in order, no dates, no owners."""
    packed = io.BytesIO()
    with tempfile.TemporaryDirectory() as stage, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        edition = Path(stage, term.settings.course.id)
        make_edition(term.course, edition)
        for path in sorted(p for p in edition.rglob("*") if p.is_file()):
            mode = 0o100755 if path.stat().st_mode & 0o100 else zips.FILE
            zips.add(archive, path.relative_to(stage).as_posix(), path.read_bytes(), mode=mode)
    return packed.getvalue()


def _note(term: Term, digests: dict[str, str]) -> dict[str, str]:
    """{assignment: when it was first released as it is now}; releases.json keeps earlier ones too."""
    known = releases(term)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    for folder, digest in digests.items():
        known.setdefault(folder, {}).setdefault(digest, now)
    text = json.dumps({"schema_version": SCHEMA, "releases": known}, indent=1, sort_keys=True) + "\n"
    write_atomically(term.path(RELEASES), text.encode())
    return {folder: known[folder][digest] for folder, digest in digests.items()}


def releases(term: Term) -> dict[str, dict[str, str]]:
    """{assignment: {digest: when it was first released}}.  TitoError where the file cannot be read."""
    path = term.path(RELEASES)
    if not path.exists():
        return {}
    try:
        known: Any = json.loads(path.read_text(encoding="utf-8"))
        return {folder: dict(dates) for folder, dates in known["releases"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as err:
        raise TitoError(f"{RELEASES} cannot be read", why=f"{path}: {err}", fix="bring it back from a backup, or remove it: only the dates "
                        "of releases are in it", code=ExitCode.INTEGRITY) from None
