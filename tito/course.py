"""Where we are: the folder of a course repository or of a student edition, and its modules.

Nothing here is a table: a module's number and name come from its folder, all else from its document.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tito.cells import Document, read_notebook
from tito.errors import ExitCode, TitoError

FOLDER = re.compile(r"(\d\d)_([a-z][a-z0-9_]*)")


def root_above(start: Path) -> Path | None:
    """The course's root that is `start` or contains it: the folder with settings.ini and modules/."""
    return next((f for f in (start, *start.parents) if (f / "settings.ini").is_file() and (f / "modules").is_dir()), None)


@dataclass(frozen=True)
class Module:
    """One module's folder `modules/NN_name`."""

    number: int
    name: str
    folder: Path

    @property
    def label(self) -> str:
        return f"{self.number:02d} {self.name}"

    @property
    def source(self) -> Path:
        """The percent-format source, which only the course repository has."""
        return self.folder / f"{self.name}_dev.py"

    @property
    def notebook(self) -> Path:
        return self.folder / f"{self.name}_dev.ipynb"

    def read(self) -> Document:
        """The source in the course repository, the notebook in a student edition."""
        if self.source.exists():
            from tito.dev.source import read_source  # jupytext: over a second to import
            return read_source(self.source)
        return read_notebook(self.notebook)


@dataclass(frozen=True)
class Course:
    """The root folder: it holds settings.ini and modules/."""

    root: Path

    @classmethod
    def find(cls, start: Path | None = None) -> Course:
        """The course that contains `start` (default: the current folder)."""
        start = (start or Path.cwd()).resolve()
        if root := root_above(start):
            return cls(root)
        raise TitoError("this folder is not part of a TinyTorch course", why=f"no settings.ini and modules/ at or above {start}",
                        fix="change into your course folder", code=ExitCode.ENVIRONMENT)

    @property
    def is_edition(self) -> bool:
        """A student edition, as opposed to the course repository (which has the author's half of tito)."""
        return not (self.root / "tito" / "dev").is_dir()

    @property
    def package(self) -> Path:
        return self.root / "tinytorch"

    def exported(self, name: str) -> Path:
        """The file of the package that a document's `default_exp` means: "core.tensor" is tinytorch/core/tensor.py."""
        return self.package.joinpath(*name.split(".")).with_suffix(".py")

    @cached_property
    def modules(self) -> tuple[Module, ...]:
        found = []
        for folder in sorted((self.root / "modules").iterdir()):
            if (match := FOLDER.fullmatch(folder.name)) and folder.is_dir():
                found.append(Module(int(match[1]), match[2], folder))
        return tuple(found)

    def module(self, text: str) -> Module:
        """The module that a person means by "1", "01", "tensor" or "01_tensor"."""
        for module in self.modules:
            if text in (module.name, module.folder.name) or text.isdecimal() and int(text) == module.number:
                return module
        near = difflib.get_close_matches(text, [m.name for m in self.modules], 1)
        raise TitoError(f"there is no module '{text}'", why=f"did you mean {near[0]}?" if near else
                        f"modules go from {self.modules[0].number:02d} to {self.modules[-1].number:02d}" if self.modules else
                        "modules/ is empty", fix="see them all with: tito module list")
