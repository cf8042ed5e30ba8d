"""The one place that takes out of a report what is private: names of people and machines, homes, addresses."""

from __future__ import annotations

import getpass
import json
import os
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tito.course import Course

HOME = Path("~")
MAIL = re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)*")
HOMES = re.compile(r"(?i)((?:/home|/users|[a-z]:[\\/]+users)[\\/]+)[^\\/\s'\",;:]+")
PASSWORD = re.compile(r"(\w+://)[^/\s@]+@")
# Names that say nothing of a person or a machine, and are words of a report.
COMMON = {"root", "user", "admin", "administrator", "student", "jovyan", "ubuntu", "debian", "linux", "windows", "mac", "localhost", "vm",
          "python", "python3", "jupyter", "jupyterlab", "tito", "tinytorch", "home", "host", "course", "module", "notebook"}


@dataclass(frozen=True)
class Scrub:
    """Replaces each (pattern, by) in every text of a value."""

    rules: tuple[tuple[re.Pattern[str], str], ...]

    @classmethod
    def of(cls, course: Course) -> Scrub:
        """What is private on this machine, longest first: a home often contains the user's name, and the course's folder the home."""
        common = COMMON | {word for m in course.modules for word in (m.name, m.folder.name)}
        names = [(name, "<user>") for name in _people(course)] + [(name, "<host>") for name in _hosts()]
        telling = sorted({(name, by) for name, by in names if len(name) > 1 and name.lower() not in common}, key=lambda n: -len(n[0]))
        words = [(re.compile(rf"(?<![^\W_]){re.escape(name)}(?![^\W_])", re.IGNORECASE), by) for name, by in telling]
        return cls((*_places(_spellings(course.root), "."), *_places(_spellings(HOME.expanduser()), "~"),
                    (PASSWORD, r"\1"), (MAIL, "<mail>"), (HOMES, r"\1<user>"), *words))

    def text(self, text: str) -> str:
        for pattern, by in self.rules:
            text = pattern.sub(by, text)
        return text

    def __call__(self, value: Any) -> Any:
        """The value, JSON at heart, with every text in it scrubbed; keys are tito's own words."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {key: self(item) for key, item in value.items()}
        return [self(item) for item in value] if isinstance(value, list | tuple) else value


def _places(paths: list[str], by: str) -> Iterator[tuple[re.Pattern[str], str]]:
    for path in paths:
        yield re.compile(r"(?<![\w.])" + re.escape(path) + r"(?![^\s/\\'\",;:)])", re.IGNORECASE if os.name == "nt" else 0), by


def _spellings(path: Path) -> list[str]:
    """A folder as messages may spell it, longest first; none for a folder that is no secret, such as /."""
    whole = {str(path), str(path.resolve()), path.as_posix(), os.path.realpath(path)}
    whole |= {json.dumps(text)[1:-1] for text in whole} | {ascii(text)[1:-1] for text in whole}
    return sorted((text for text in whole if len(text) > 3), key=len, reverse=True)


def _people(course: Course) -> Iterator[str]:
    """The user's names: the login, the home's, and the one that was given to `tito submit`, in whole and in parts."""
    try:
        yield getpass.getuser()
    except (OSError, KeyError, ImportError):    # nobody is logged in, as in some containers
        pass
    yield HOME.expanduser().name
    try:
        name = str(json.loads((course.root / ".tito" / "student.json").read_text(encoding="utf-8"))["name"])
    except (OSError, ValueError, KeyError, TypeError):
        return
    yield from (name, *(part for part in re.split(r"\W+", name) if len(part) > 2))


def _hosts() -> Iterator[str]:
    name = socket.gethostname()
    yield from (name, name.partition(".")[0])
