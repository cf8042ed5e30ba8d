"""An assignment as it was frozen: the notebooks, the probes and the package that decide every verdict on it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tito.cells import Document, document
from tito.course import Course, Module
from tito.errors import ExitCode, TitoError
from tito.journal import write_atomically

if TYPE_CHECKING:
    from grading.term import Term

CURRENT = "current"
Notebook = dict[str, Any]


@dataclass(frozen=True)
class Assignment:
    """Everything that decides a verdict; its digest names it."""

    number: int
    name: str                       # "tensor"
    released: Notebook              # what students get
    solved: Notebook                # the same with the answers
    probes: str                     # the text of probes.py
    package: dict[str, str]         # below tinytorch/: the reference's modules before this one, and the package around them

    @property
    def label(self) -> str:
        return f"{self.number:02d} {self.name}"

    @property
    def folder(self) -> str:
        """nbgrader's name of the assignment."""
        return f"{self.number:02d}_{self.name}"

    @property
    def notebook(self) -> str:
        """nbgrader's name of its notebook."""
        return f"{self.name}_dev"

    @cached_property
    def document(self) -> Document:
        """The released notebook."""
        return document(self.released, Path(f"{self.notebook}.ipynb"))

    @property
    def points(self) -> dict[str, float]:
        """Of every test cell."""
        return {c.grade_id: c.points for c in self.document.tests}

    @property
    def manual(self) -> dict[str, float]:
        """Of every answer that a person grades."""
        return {c.grade_id: c.points for c in self.document.cells if c.manual}

    @cached_property
    def digest(self) -> str:
        return hashlib.sha256(self._text().encode()).hexdigest()

    def _text(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False, sort_keys=True, indent=1)

    def save(self, term: Term) -> None:
        """Keep it; it becomes the one in force with `use`."""
        write_atomically(self._folder(term, self.folder) / f"{self.digest}.json", self._text().encode())

    def use(self, term: Term) -> None:
        """From now on submissions are judged by this one."""
        write_atomically(self._folder(term, self.folder) / CURRENT, (self.digest + "\n").encode())

    @classmethod
    def load(cls, term: Term, module: Module, digest: str) -> Assignment:
        """The one with this digest.  TitoError where it is missing or damaged."""
        path = cls._folder(term, module.folder.name) / f"{digest}.json"
        try:
            found = cls(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as err:
            raise TitoError(f"the frozen assignment of {module.label} cannot be read", why=f"{path}: {err}",
                            fix=f"make it anew with: tito grade generate {module.number:02d}", code=ExitCode.INTEGRITY) from None
        if found.digest != digest:
            raise TitoError(f"the frozen assignment of {module.label} was changed", why=f"{path} does not have the content of its name",
                            fix=f"make it anew with: tito grade generate {module.number:02d}", code=ExitCode.INTEGRITY)
        return found

    @classmethod
    def current(cls, term: Term, module: Module) -> Assignment:
        """The one in force.  TitoError where none was generated."""
        if not cls.exists(term, module):
            raise TitoError(f"{module.label} is not an assignment yet", why="its tests, its probes and its answers are frozen first",
                            fix=f"tito grade generate {module.number:02d}")
        return cls.load(term, module, (cls._folder(term, module.folder.name) / CURRENT).read_text(encoding="utf-8").strip())

    @classmethod
    def exists(cls, term: Term, module: Module) -> bool:
        return (cls._folder(term, module.folder.name) / CURRENT).is_file()

    @staticmethod
    def _folder(term: Term, name: str) -> Path:
        return term.path("assignments", name)


def freeze(term: Term, module: Module) -> Assignment:
    """The assignment that the module's source makes now: nothing is written."""
    from tito.dev.source import notebook, strip
    if not module.source.exists():
        raise TitoError(f"{module.label} has no source here", why=f"expected at {module.source}", fix="run this in the course repository")
    solved = notebook(module.source)
    probes = module.folder / "probes.py"
    sources = [m.source for m in term.course.modules if m.source.exists()]
    whole, places = _package(term.course, tuple((path, path.stat().st_mtime_ns, path.stat().st_size) for path in sources))
    package = {path: text for path, text in whole.items() if places.get(path, 0) < module.number}
    return Assignment(module.number, module.name, strip(solved), solved, probes.read_text(encoding="utf-8") if probes.exists() else "",
                      package)


@lru_cache(maxsize=2)
def _package(course: Course, stamps: tuple[tuple[Path, int, int], ...]) -> tuple[dict[str, str], dict[str, int]]:
    """The whole reference package, and of which module its modules are; made once as long as no source changes."""
    from tito.export import fresh_package
    places = {m.read().default_exp.replace(".", "/") + ".py": m.number for m in course.modules if m.source.exists()}
    return fresh_package(course), places
