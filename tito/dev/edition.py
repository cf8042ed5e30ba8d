"""The student edition: this repository without its solutions and its authors' half, the same paths and the same commands."""

from __future__ import annotations

import re
import shutil
import tempfile
from itertools import pairwise
from pathlib import Path

from tito.cells import document
from tito.course import Course, Module
from tito.dev.outline import outline_file
from tito.dev.source import dumps, notebook, strip
from tito.errors import ExitCode, TitoError
from tito.export import entry, module_text
from tito.package import Entry, skeleton

FOLDERS = ("tito", "datasets", "milestones", ".devcontainer")            # copied whole, but for what is left out
LEFT_OUT = ("__pycache__", "*.pyc", ".*", "*.egg-info")
AUTHORS = ("tito/dev",)
FILES = ("pyproject.toml", "requirements.lock", "LICENSE", "docs/installing.md")
SECTIONS = ("course", "deadlines")
SECTION = re.compile(r"^\[([^\]\n]+)\]", re.MULTILINE)
README = Path(__file__).with_name("student_readme.md")


def make_edition(course: Course, target: Path) -> None:
    """Write a student edition to `target`: all of it, or nothing.  TitoError where something is there already, or cannot be written."""
    target = target.absolute()
    _refuse(course, target)
    stage = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        stage.chmod(0o755)                              # mkdtemp keeps others out
        _fill(course, stage)
        if target.exists():
            target.rmdir()
        stage.rename(target)
    except OSError as err:
        raise TitoError(f"cannot write {target}", why=err.strerror or str(err), fix="choose a folder that you may write to",
                        code=ExitCode.ENVIRONMENT) from err
    finally:
        if stage is not None:
            shutil.rmtree(stage, ignore_errors=True)


def _refuse(course: Course, target: Path) -> None:
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise TitoError(f"{target} is not empty", why="an edition goes into a folder of its own, and nothing is overwritten",
                        fix="name a folder that does not exist yet")
    if any(target.resolve().is_relative_to(course.root.resolve() / name) for name in (*FOLDERS, "modules", "tinytorch")):
        raise TitoError(f"{target} lies inside the course's own files", why="the edition would become a part of the course",
                        fix="name a folder outside of them")


def _fill(course: Course, stage: Path) -> None:
    for name in FOLDERS:
        if (course.root / name).is_dir():
            _copy(course.root / name, stage / name)
    for name in AUTHORS:
        shutil.rmtree(stage / name)
    for name in FILES:
        if (course.root / name).is_file():
            (stage / name).parent.mkdir(exist_ok=True)
            shutil.copy2(course.root / name, stage / name)
    _write(stage / "README.md", README.read_text(encoding="utf-8"))
    _write(stage / "settings.ini", sections((course.root / "settings.ini").read_text(encoding="utf-8"), SECTIONS))
    ignored = course.root / ".gitignore"
    _write(stage / ".gitignore", kept_by_git(ignored.read_text(encoding="utf-8") if ignored.is_file() else ""))
    table = [_module(course, module, stage) for module in course.modules if module.source.exists()]
    for path, text in skeleton(table).items():
        _write(stage / "tinytorch" / path, text)


def _copy(folder: Path, target: Path) -> None:
    """A folder as it ships: without what its own .gitignore names, such as data that was downloaded."""
    ignored = folder / ".gitignore"
    own = ignored.read_text(encoding="utf-8").split() if ignored.is_file() else []
    shutil.copytree(folder, target, ignore=shutil.ignore_patterns(*LEFT_OUT, *(name.rstrip("/") for name in own)))
    if own:
        shutil.copy2(ignored, target)


def _module(course: Course, module: Module, stage: Path) -> Entry:
    """Write a module's notebook for students, twice: to work in, and as it was released; beside that an outline of its answers."""
    source = notebook(module.source)
    text = dumps(strip(source))
    folder = stage / module.folder.relative_to(course.root)
    _write(folder / module.notebook.name, text)
    _write(folder / ".released" / module.notebook.name, text)
    _write(folder / ".released" / "outline.json", outline_file(source))
    whole = document(source, module.source)
    return entry(module.number, whole, module_text(whole, module.source.relative_to(course.root).as_posix()))


def sections(text: str, names: tuple[str, ...]) -> str:
    """The named sections of an ini file, with the comments that stand directly above and inside them."""
    lines = text.splitlines(keepends=True)
    bounds = []
    for number, line in enumerate(lines):
        if SECTION.match(line):
            while number and lines[number - 1].startswith(("#", ";")):
                number -= 1
            bounds.append(number)
    chunks = ["".join(lines[begin:end]) for begin, end in pairwise([*bounds, len(lines)])]
    kept = [chunk.strip("\n") for chunk in chunks if (found := SECTION.search(chunk)) and found[1].strip() in names]
    return "\n\n".join(kept) + "\n"


def kept_by_git(ignored: str) -> str:
    """The course's .gitignore without the lines that ignore notebooks: in an edition they are the work."""
    return "".join(line + "\n" for line in ignored.splitlines() if not line.rstrip().endswith(".ipynb"))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")
