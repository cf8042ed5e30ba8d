"""settings.ini, read and checked: frozen values, and errors that name the file, the key, what stands there and what may."""

from __future__ import annotations

import configparser
import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, time, timedelta, tzinfo
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from tito.errors import ExitCode, TitoError

T = TypeVar("T")


def _key(read: Callable[[str], Any], default: Any, allowed: str, example: str) -> Any:
    """A field of a section: how its text is read (ValueError: it is not allowed), and what an error says about it."""
    return field(default=default, metadata={"read": read, "allowed": allowed, "example": example})


def _number(low: float, high: float) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not low <= int(text) <= high:
            raise ValueError
        return int(text)

    return read


def _match(pattern: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError
        return text

    return read


def _zone(text: str) -> tzinfo:
    if text == "UTC":
        return UTC
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(text)
    except (KeyError, OSError) as err:      # ZoneInfoNotFoundError is a KeyError
        raise ValueError from err


def moment(text: str) -> datetime:
    """A day means its last minute."""
    if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        return datetime.combine(datetime.fromisoformat(text), time(23, 59))
    if re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d", text):
        return datetime.fromisoformat(text)
    raise ValueError


@dataclass(frozen=True)
class About:
    """[course]"""

    id: str = _key(_match(r"[A-Za-z0-9_-]+"), "tinytorch", "letters, digits, - and _", "tinytorch-2027")
    title: str = _key(_match(r".+"), "TinyTorch: build PyTorch yourself", "a line of text", "Machine learning systems")
    term: str = _key(_match(r".*"), "", "a line of text, or nothing", "spring 2027")


@dataclass(frozen=True)
class Deadlines:
    """[deadlines]: the rule, and when each module is due."""

    timezone: tzinfo = _key(_zone, _zone("UTC"), "UTC or a name of the time zone database", "Europe/Berlin")
    late_days: int = _key(_number(0, 365), 7, "a whole number from 0 to 365", "7")
    late_percent_per_day: int = _key(_number(0, 100), 10, "a whole number from 0 to 100", "10")
    grace_minutes: int = _key(_number(0, 1440), 15, "a whole number from 0 to 1440", "15")
    due: Mapping[int, datetime] = field(default_factory=dict)

    def late(self, module: int, handed_in: datetime) -> int:
        """The days begun since the module's deadline; 0 in time.  `handed_in` knows its time zone."""
        if module not in self.due:
            return 0
        over = handed_in.astimezone(UTC) - self.due[module].astimezone(UTC)      # within one zone Python takes away wall clocks
        return 0 if over <= timedelta(minutes=self.grace_minutes) else over.days + 1

    def share(self, module: int, handed_in: datetime) -> float:
        """The share of the points that counts, from 0 to 1."""
        days = self.late(module, handed_in)
        return max(0.0, 1 - days * self.late_percent_per_day / 100) if days <= self.late_days else 0.0


@dataclass(frozen=True)
class Grading:
    """[grading]: where it happens, and the limits of one submission."""

    folder: str = _key(_match(r".*"), "", "a folder, or nothing", "../tinytorch-grading")
    sandbox: str = _key(_match("auto|bubblewrap|docker"), "auto", "auto, bubblewrap or docker", "auto")
    image: str = _key(_match(r"\S+"), "tinytorch-grading", "the name of an image", "tinytorch-grading:2027")
    cpu_seconds: int = _key(_number(1, 86400), 60, "a whole number from 1 to 86400", "60")
    wall_seconds: int = _key(_number(1, 86400), 120, "a whole number from 1 to 86400", "120")
    memory_mb: int = _key(_number(128, 1 << 20), 2048, "a whole number from 128 to 1048576", "2048")
    processes: int = _key(_number(1, 65536), 64, "a whole number from 1 to 65536", "64")
    output_kb: int = _key(_number(1, 1 << 20), 256, "a whole number from 1 to 1048576", "256")
    files: int = _key(_number(1, 1 << 20), 256, "a whole number from 1 to 1048576", "256")
    file_mb: int = _key(_number(1, 1 << 20), 64, "a whole number from 1 to 1048576", "64")


@dataclass(frozen=True)
class Gradebook:
    """[gradebook]"""

    url: str = _key(_match(r"(sqlite|postgresql)(\+\w+)?://\S+"), "sqlite:///gradebook.db", "a URL that begins with sqlite:// or postgresql://",
                    "sqlite:///gradebook.db")


@dataclass(frozen=True)
class Cluster:
    """[cluster]"""

    address: str = _key(_match(r"|(tcp|tls|ws|wss)://\S+:\d+"), "", "nothing, or a scheduler's address with its port", "tcp://10.0.0.5:8786")


@dataclass(frozen=True)
class Settings:
    """All of settings.ini."""

    course: About = About()
    deadlines: Deadlines = Deadlines()
    grading: Grading = Grading()
    gradebook: Gradebook = Gradebook()
    cluster: Cluster = Cluster()


SECTIONS: dict[str, type[Any]] = {"course": About, "deadlines": Deadlines, "grading": Grading, "gradebook": Gradebook, "cluster": Cluster}


def read_settings(path: Path) -> Settings:
    """The settings in a file.  TitoError where it is missing, cannot be parsed, or holds a wrong or unknown key."""
    parser = configparser.ConfigParser(interpolation=None, default_section="\0")
    parser.optionxform = str        # type: ignore[assignment,method-assign]  # keys as they are written
    try:
        parser.read_string(path.read_text(encoding="utf-8"), path.name)
    except OSError as err:
        raise TitoError(f"{path.name} cannot be read", why=str(err), fix="bring it back from the course repository",
                        code=ExitCode.ENVIRONMENT) from None
    except (configparser.Error, UnicodeDecodeError) as err:
        raise TitoError(f"{path.name} is not a settings file", why=" ".join(str(err).split()), fix="mend that line",
                        code=ExitCode.INTEGRITY) from None
    found = {}
    for name in parser.sections():
        if name not in SECTIONS:
            _unknown(path, "section", f"[{name}]", name, SECTIONS)
        found[name] = _section(path, name, dict(parser[name]))
    return Settings(**found)


def _section(path: Path, name: str, texts: dict[str, str]) -> Any:
    kind = SECTIONS[name]
    known = {f.name: f.metadata for f in fields(kind) if f.metadata}
    values: dict[str, Any] = {}
    due: dict[int, datetime] = {}
    for key, text in texts.items():
        if kind is Deadlines and re.fullmatch(r"\d\d?", key):
            due[int(key)] = _value(path, name, key, text, moment, "a day, or a day and a time", "2027-01-18 18:00")
        elif key not in known:
            _unknown(path, "key", f"{key} in [{name}]", key, known)
        else:
            values[key] = _value(path, name, key, text, **known[key])
    if kind is Deadlines:
        zone = values.get("timezone", Deadlines.timezone)
        values["due"] = {number: moment.replace(tzinfo=zone) for number, moment in sorted(due.items())}
    return kind(**values)


def _value(path: Path, section: str, key: str, text: str, read: Callable[[str], T], allowed: str, example: str) -> T:
    try:
        return read(text.strip())
    except ValueError:
        raise TitoError(f"{path.name}: [{section}] {key} = {text or '(nothing)'}", why=f"allowed is {allowed}",
                        fix=f"write for example: {key} = {example}", code=ExitCode.INTEGRITY) from None


def _unknown(path: Path, what: str, given: str, name: str, known: Mapping[str, Any]) -> NoReturn:
    near = difflib.get_close_matches(name, known, 1)
    raise TitoError(f"{path.name}: unknown {what} {given}", why=f"there are: {', '.join(known)}",
                    fix=f"did you mean {near[0]}?" if near else "correct it, or take it out", code=ExitCode.INTEGRITY)
