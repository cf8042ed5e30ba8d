"""`tito module complete`: verdict, export, a trial of the exported package in a fresh process, record.  All of it or nothing."""

from __future__ import annotations

import builtins
import shutil
import symtable
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from tito import history, tested
from tito import state as progress
from tito.cells import Cell, Document, read_notebook
from tito.course import Course, Module
from tito.errors import TitoError
from tito.journal import Change
from tito.released import Work, read, released
from tito.state import Record

if TYPE_CHECKING:
    from tito.check.verdict import Verdict


@dataclass(frozen=True)
class Completion:
    """What happened: `exported` is empty, and nothing has changed, where the checks failed or the package had a problem."""

    verdict: Verdict
    notes: tuple[str, ...] = ()
    exported: str = ""
    changed: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def complete(course: Course, module: Module) -> Completion:
    """Check a module, export it, try the package with it, and record it."""
    with progress.locked(course):
        state = progress.load(course)
        progress.require_in_order(course, state, module)
        work = read(module, whole=True)
        verdict = _judge(course, module, work.document)
        tested.remember(course, module, verdict, work.document)
        if not verdict.ok:
            return Completion(verdict, work.notes)
        if problems := missing_helpers(work.document):
            return Completion(verdict, work.notes, problems=tuple(problems))
        with _stage(course) as stage:
            exported = _export(course, stage, work.document)
            if problems := _try_out(course, stage, module, work.document):
                return Completion(verdict, work.notes, problems=tuple(problems))
            content = (stage / exported).read_bytes()
        changed = not (course.root / exported).exists() or (course.root / exported).read_bytes() != content
        record = _unless_equal(state.completed.get(module.number), _record(verdict, work, content))
        state = state.with_module(module.number, record, started=True)
        history.keep(course, module, "complete", [Change(exported, content)], state)
        return Completion(verdict, work.notes, exported, (exported,) if changed else ())


def standing(course: Course, module: Module) -> tuple[Record | None, bool]:
    """What the facts say of a module: its record if its checks pass and the package has just this code, and whether it was begun."""
    from tito.export import module_text
    try:
        work = read(module, whole=True)
        original = read_notebook(released(module)) if released(module).exists() else None
        begun = original is None or progress.code_sha256(work.document) != progress.code_sha256(original)
        target = course.exported(work.document.default_exp)
        if not work.document.default_exp or not target.is_file():
            return None, begun
        content = target.read_bytes()
        if content != module_text(work.document, _header(course, work.document)).encode():
            return None, begun
    except TitoError:
        return None, True                           # there is something, if only a broken notebook
    verdict = _judge(course, module, work.document)
    return (_record(verdict, work, content) if verdict.ok else None), begun


def missing_helpers(document: Document) -> list[str]:
    """Names that exported code uses and only a cell without `#| export` defines: there in the notebook, gone in the package."""
    used, defined = _globals("\n\n".join(c.source for c in document.code if c.exported))
    gone = sorted(used - defined - set(dir(builtins)))
    problems = []
    for name in gone:
        homes = [c for c in document.code if not c.exported and not c.grade and name in _globals(c.source)[1]]
        if homes:
            cell = homes[-1]
            problems.append(f"exported code uses `{name}`, which is not exported: add `#| export` above `{name}`, cell {cell.index + 1}"
                            + (f" ({cell.heading})" if cell.heading else ""))
    return problems


def _globals(source: str) -> tuple[set[str], set[str]]:
    """The global names that a piece of code uses, and those that it defines; none where it is not plain Python."""
    try:
        top = symtable.symtable(source, "cell", "exec")
    except (SyntaxError, ValueError):
        return set(), set()
    used, defined = set(), set()
    for scope in _scopes(top):
        for symbol in scope.get_symbols():
            if scope is not top and not symbol.is_global():
                continue
            if symbol.is_referenced():
                used.add(symbol.get_name())
            if symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace():
                defined.add(symbol.get_name())
    return used, defined


def _scopes(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    yield table
    for child in table.get_children():
        yield from _scopes(child)


def _judge(course: Course, module: Module, document: Document) -> Verdict:
    from tito.check.verdict import judge
    return judge(document, course.root, module.number, module.label)


@contextmanager
def _stage(course: Course) -> Iterator[Path]:
    """A copy of the package in a folder of its own, where the new file joins it first."""
    stage = course.root / ".tito" / "stage"
    shutil.rmtree(stage, ignore_errors=True)
    stage.mkdir(parents=True)
    try:
        for path in course.package.rglob("*"):              # not copytree, which forgets what kind of error it was
            if path.is_file() and "__pycache__" not in path.parts:
                copy = stage / path.relative_to(course.root)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)
        yield stage
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _export(course: Course, stage: Path, document: Document) -> str:
    """Write the module into the staged package; its file, relative to the root."""
    from tito.export import module_text, write_package
    write_package(stage / "tinytorch", {document.default_exp: module_text(document, _header(course, document))})
    return course.exported(document.default_exp).relative_to(course.root).as_posix()


def _try_out(course: Course, stage: Path, module: Module, document: Document) -> list[str]:
    """Import every built module of the staged package in a fresh process, and run this module's checks on the exported code."""
    from tito.check.verdict import judge
    last = max(m.number for m in course.modules) + 1                    # nothing is hidden
    trial = _trial(course, stage, document)
    verdict = judge(trial, stage, last, module.label)
    problems = [f"in the package, {t.heading or 'a cell'} does not work: {t.error}" for t in verdict.troubles]
    if problems:
        return problems
    return [f"passes in the notebook but not in the package: {row.sentence or row.grade_id} ({row.hint or row.check or row.state})"
            for row in verdict.rows if row.state != "passed"]


def _trial(course: Course, stage: Path, document: Document) -> Document:
    """A notebook that imports the built modules, takes the exported module's names as its own, and runs the graded cells."""
    here = f"tinytorch.{document.default_exp}"
    others = [name for name in _built(stage) if name != here]
    seed = f"import {here} as _exported\nfrom tito.check import expect\n" \
           "globals().update({name: value for name, value in vars(_exported).items() if not name.startswith('__')})"
    sources = [(here, f"import {here}"), *((name, f"import {name}") for name in others), (here, seed)]
    cells = [Cell(i, "code", source, heading) for i, (heading, source) in enumerate(sources)]
    tests = [*_support(document), *document.tests]
    cells += [replace(cell, index=len(cells) + i) for i, cell in enumerate(tests)]
    return Document(document.path, tuple(cells))


def _support(document: Document) -> list[Cell]:
    """The cells outside the package that define names which the graded cells use (a picture's helper, an import)."""
    _, known = _globals("\n\n".join(c.source for c in document.code if c.exported))
    known |= set(dir(builtins)) | {"expect"}
    needed = set().union(*(_globals(c.source)[0] - _globals(c.source)[1] for c in document.tests)) - known
    chosen: list[Cell] = []
    for cell in reversed(document.code):
        used, defined = _globals(cell.source)
        if not (cell.exported or cell.grade or cell.analysis) and needed & defined:
            chosen.insert(0, cell)
            needed = (needed - defined) | (used - defined - known)
    return chosen


def _built(stage: Path) -> list[str]:
    """The package's modules that exist, as import names."""
    package = stage / "tinytorch"
    paths = sorted(p.relative_to(stage).with_suffix("") for p in package.rglob("*.py"))
    return [".".join(p.parts[:-1] if p.name == "__init__" else p.parts) for p in paths]


def _record(verdict: Verdict, work: Work, content: bytes) -> Record:
    return Record(verdict.points, verdict.max_points, progress.now(), progress.code_sha256(work.document), sha256(content).hexdigest())


def _unless_equal(old: Record | None, new: Record) -> Record:
    """The old record where only the time would change: completing twice leaves nothing to undo."""
    return old if old and replace(old, when=new.when) == new else new


def _header(course: Course, document: Document) -> str:
    return document.path.relative_to(course.root).as_posix()
