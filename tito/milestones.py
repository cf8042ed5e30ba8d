"""The milestones: programs in milestones/ that run on the package.  Everything about them is read from their files; there is no table.

A file's name has the number and the name, the first line of its docstring the year and the title, and the `tinytorch` names that it uses
say which modules it needs.
"""

from __future__ import annotations

import ast
import difflib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from tito import state as progress
from tito.course import Course
from tito.environ import before
from tito.errors import ExitCode, TitoError
from tito.journal import write_atomically
from tito.state import Passed, State

FILE = re.compile(r"(\d\d)_([a-z][a-z0-9_]*)\.py")
HEADING = re.compile(r"(\d{4}): (.+?)\.?")
PACKAGE = "tinytorch"
PATIENCE = 5.0                  # seconds that an interrupted milestone has to end by itself


@dataclass(frozen=True)
class Milestone:
    """One program, `milestones/NN_name.py`."""

    number: int
    name: str
    path: Path

    @property
    def label(self) -> str:
        return f"{self.number} {self.name}"

    @cached_property
    def _tree(self) -> ast.Module:
        return _parsed(self.path)

    @cached_property
    def heading(self) -> tuple[int, str]:
        """The year and the title."""
        match = HEADING.fullmatch((ast.get_docstring(self._tree) or "").partition("\n")[0])
        if match is None:
            raise TitoError(f"milestones/{self.path.name} does not say its year and title", fix='let its docstring begin as "1957: Title."',
                            code=ExitCode.INTEGRITY)
        return int(match[1]), match[2]

    @property
    def short(self) -> tuple[str, ...]:
        """What asks for its short form; nothing where it is short anyway."""
        return ("--quick",) if "[--quick]" in (ast.get_docstring(self._tree) or "") else ()

    def used(self) -> set[str]:
        """What it uses of the package, itself and by the files beside it that it imports: names ("Linear"), modules ("core.layers")."""
        return {name for tree in _with_helpers(self._tree, self.path.parent) for name in _used(tree)}


@dataclass(frozen=True)
class Standing:
    """A milestone in a course: what it needs, what of that is missing, and whether it was passed."""

    milestone: Milestone
    needs: tuple[int, ...]
    missing: tuple[int, ...]        # modules that are not complete yet
    unknown: tuple[str, ...]        # names that no module of this course has
    passed: Passed | None

    @property
    def word(self) -> str:
        return "passed" if self.passed else "locked" if self.missing or self.unknown else "ready"


def milestones(course: Course) -> tuple[Milestone, ...]:
    """All of them, in order."""
    folder = course.root / "milestones"
    names = sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []
    return tuple(Milestone(int(m[1]), m[2], folder / name) for name in names if (m := FILE.fullmatch(name)))


def find(course: Course, text: str) -> Milestone:
    """The milestone that a person means by "3", "03", "mlp" or "03_mlp"."""
    found = milestones(course)
    for milestone in found:
        if text in (milestone.name, milestone.path.stem) or text.isdecimal() and int(text) == milestone.number:
            return milestone
    near = difflib.get_close_matches(text, [m.name for m in found], 1)
    raise TitoError(f"there is no milestone '{text}'", why=f"did you mean {near[0]}?" if near else
                    f"milestones go from {found[0].number} to {found[-1].number}" if found else "milestones/ is missing or empty",
                    fix="see them all with: tito milestone list")


def standings(course: Course, state: State) -> Iterator[Standing]:
    """Every milestone of the course, in order, and how it stands."""
    modules, names = catalogue(course)
    for milestone in milestones(course):
        yield _standing(course, state, milestone, modules, names)


def standing(course: Course, state: State, milestone: Milestone) -> Standing:
    return _standing(course, state, milestone, *catalogue(course))


def reachable(course: Course, state: State) -> Milestone | None:
    """The first milestone whose modules are complete and that was not passed yet.  Unreadable files are nothing to mention here."""
    if not course.is_edition or not state.completed:
        return None
    try:
        return next((s.milestone for s in standings(course, state) if s.word == "ready"), None)
    except (TitoError, OSError):
        return None


def require(course: Course, state: State, found: Standing) -> None:
    """TitoError where a module that the milestone needs is not complete."""
    label = found.milestone.label
    if found.unknown:
        raise TitoError(f"milestone {label} needs what no module of this course has: {', '.join(found.unknown)}",
                        fix="see which milestones there are with: tito milestone list")
    if found.missing:
        first = course.module(str(found.missing[0]))
        more = f" (and {len(found.missing) - 1} more)" if len(found.missing) > 1 else ""
        command = "tito dev export" if not course.is_edition else \
            f"tito module {'complete' if first.number in state.started else 'start'} {first.number:02d}"
        raise TitoError(f"milestone {label} needs module {first.label}{more}, which is not complete", fix=f"go on with: {command}")


def run(course: Course, milestone: Milestone, *, seed: int, output: Path, options: Sequence[str] = ()) -> tuple[ExitCode, dict[str, Any]]:
    """Run a milestone, which prints its own page; its exit code, and the result that it wrote to `output`.

    TitoError where it wrote none, but for what it has said itself already: that it was misunderstood, that it cannot write.
    """
    written = output / f"{milestone.path.stem}.json"
    if written.is_file():
        written.unlink()
    arguments = [sys.executable, "-X", "utf8", str(milestone.path), "--seed", str(seed), "--output", str(output), *options]
    spoken = f"{getattr(sys.stdout, 'encoding', None) or 'utf-8'}:replace"         # one page, one encoding: -X utf8 is for files
    process = subprocess.Popen(arguments, cwd=course.root,
                               env={**os.environ, "PYTHONPATH": before("PYTHONPATH", course.root), "PYTHONIOENCODING": spoken})
    try:
        code = process.wait()
    except BaseException:
        _end(process)
        raise
    if code in (ExitCode.INTERRUPTED, -signal.SIGINT):
        raise KeyboardInterrupt
    if code in (ExitCode.USAGE, ExitCode.ENVIRONMENT):
        return ExitCode(code), {}
    try:
        data: dict[str, Any] = json.loads(written.read_bytes())
    except (OSError, ValueError):
        data = {}
    if code not in (ExitCode.OK, ExitCode.CHECKS_FAILED) or bool(data.get("passed")) != (code == ExitCode.OK) or not data:
        raise TitoError(f"milestone {milestone.label} wrote no result", why=f"it ended with exit code {code}; its own words are above",
                        fix=f"run it by itself: python milestones/{milestone.path.name}", code=ExitCode.INFRASTRUCTURE)
    return ExitCode(code), data


def record(course: Course, milestone: Milestone, data: dict[str, Any]) -> str:
    """Write down that a milestone was passed; empty, or why it does not count.  TitoError where that could not be written."""
    if why := "the held-out data was left shut" if data.get("validate") else data.get("instead"):
        return f"not recorded: {why}"
    bars = tuple(str(bar["text"]) for bar in data["bars"])
    try:
        with progress.locked(course):
            state = progress.load(course).with_milestone(milestone.path.stem, Passed(progress.now(), int(data["seed"]), bars))
            write_atomically(course.root / progress.STATE, state.to_bytes())
    except (TitoError, OSError) as err:
        raise TitoError(f"milestone {milestone.label} passed, but that could not be written down", why=str(err),
                        fix=f"see to that, then run it again: tito milestone run {milestone.number}", code=ExitCode.ENVIRONMENT) from None
    return ""


def catalogue(course: Course) -> tuple[dict[str, int], dict[str, int]]:
    """{"core.layers": 3} and {"Linear": 3}, as the package's own top level tells them."""
    tree = _parsed(course.package / "__init__.py")
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == "MODULES" and node.value:
            table: dict[str, tuple[int, str]] = ast.literal_eval(node.value)
            modules = {path.removeprefix(f"{PACKAGE}."): number for path, (number, _) in table.items()}
            return modules, {name: number for number, names in table.values() for name in names.split()}
    raise TitoError("tinytorch/__init__.py does not say which modules there are", code=ExitCode.INTEGRITY,
                    fix="copy it from a fresh student edition" if course.is_edition else "tito dev export")


def _standing(course: Course, state: State, milestone: Milestone, modules: dict[str, int], names: dict[str, int]) -> Standing:
    numbers = {chain: _number(course, chain, modules, names) for chain in milestone.used()}
    last = max((n for n in numbers.values() if n is not None), default=0)
    needs = tuple(m.number for m in course.modules if m.number <= last)         # each module stands on those before it
    there = {number for path, number in modules.items() if course.package.joinpath(*path.split(".")).with_suffix(".py").exists()}
    complete = there & set(state.completed) if course.is_edition else there
    missing = tuple(number for number in needs if number not in complete)
    unknown = tuple(sorted(chain for chain, n in numbers.items() if n is None))
    return Standing(milestone, needs, missing, unknown, state.milestones.get(milestone.path.stem))


def _number(course: Course, chain: str, modules: dict[str, int], names: dict[str, int]) -> int | None:
    """The module that "Linear", "nn.Linear" or "core.layers.Linear" comes from; 0 for a view such as "nn", None where none has it."""
    steps = chain.split(".")
    for n in range(1, len(steps) + 1):
        path = ".".join(steps[:n])
        if path in modules:
            return modules[path]
        view = course.package.joinpath(*steps[:n])
        if not view.is_dir() and not view.with_suffix(".py").exists():
            return names.get(steps[n - 1])
    return 0


def _parsed(path: Path) -> ast.Module:
    try:
        return _tree(path.read_bytes())
    except (SyntaxError, ValueError) as err:
        raise TitoError(f"{path.parent.name}/{path.name} cannot be read", why=str(err), fix="copy it from a fresh student edition",
                        code=ExitCode.INTEGRITY) from None


@lru_cache
def _tree(content: bytes) -> ast.Module:
    """The same tree for the same text: what the programs share is parsed and walked once."""
    return ast.parse(content)


def _with_helpers(tree: ast.Module, folder: Path) -> Iterator[ast.Module]:
    """A program, and the files beside it that it imports."""
    waiting, seen = [tree], set()
    while waiting:
        yield (tree := waiting.pop())
        for name, _ in _imports(tree):
            if name not in seen and (folder / f"{name}.py").is_file():
                seen.add(name)
                waiting.append(_parsed(folder / f"{name}.py"))


@lru_cache
def _imports(tree: ast.Module) -> tuple[tuple[str, str], ...]:
    """(module, what is taken from it; empty where that is all of it)."""
    found: list[tuple[str, str]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found += ((node.module, alias.name) for alias in node.names)
    return tuple(found)


@lru_cache
def _used(tree: ast.Module) -> frozenset[str]:
    """What a program uses of the package: "Linear", "nn.Linear", "core.layers"."""
    paths = ((module.partition("."), name) for module, name in _imports(tree))
    taken = {".".join(filter(None, (path, name))) for (package, _, path), name in paths if package == PACKAGE and (path or name)}
    short = {alias.asname or alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
             if alias.name == PACKAGE}
    chains = (_chain(node, short) for node in ast.walk(tree) if isinstance(node, ast.Attribute))
    return frozenset(taken | {chain for chain in chains if chain and not chain.startswith("__")})


def _chain(node: ast.Attribute, short: set[str]) -> str:
    """The "nn.Linear" of `tt.nn.Linear`; empty where it does not begin with the package."""
    steps, inner = [node.attr], node.value
    while isinstance(inner, ast.Attribute):
        steps.append(inner.attr)
        inner = inner.value
    return ".".join(reversed(steps)) if isinstance(inner, ast.Name) and inner.id in short else ""


def _end(process: subprocess.Popen[bytes]) -> None:
    """Let an interrupted milestone end, and see that it does.  On a terminal Ctrl-C has reached it too."""
    try:
        process.wait(0.5)
        return
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        process.terminate()
    try:
        process.wait(PATIENCE)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        process.kill()
        process.wait()
