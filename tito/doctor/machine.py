"""The machine: Python, the environment in `.venv`, its packages, the disk, the clock, the terminal."""

from __future__ import annotations

import codecs
import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib import invalidate_caches, metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from tito import bootstrap, install
from tito.doctor.check import Check, fine, listed, problem, warning
from tito.doctor.visit import TITO, Look, Visit
from tito.errors import TitoError

if TYPE_CHECKING:
    from packaging.requirements import Requirement

AFRESH = f"{TITO}, which makes .venv afresh"
MADE_WITH = re.compile(r"^version(?:_info)?\s*=\s*(\d+\.\d+)", re.MULTILINE)      # in pyvenv.cfg: venv's word, and uv's
LITTLE, VERY_LITTLE = 500, 50           # MB that are free
SLACK = timedelta(minutes=10)           # that two clocks may differ


def python(visit: Visit) -> Iterator[Check]:
    """It is new enough, and the one that .venv was made with."""
    here = sys.version_info[:2]
    if here < bootstrap.OLDEST:
        yield problem("python", f"Python {platform.python_version()} is too old: TinyTorch needs {_dotted(bootstrap.OLDEST)}",
                      f"install a newer one from python.org, then run {TITO} with it")
    made = MADE_WITH.search(bootstrap.read(str(Path(bootstrap.venv_of(str(visit.root)), "pyvenv.cfg"))))
    if made and bootstrap.inside(str(visit.root)) and not _unfinished(visit) and made[1] != _dotted(here):
        yield problem("python", f".venv was made with Python {made[1]}, and its Python is now {_dotted(here)}",
                      AFRESH).by(partial(_make_afresh, visit))


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def environment(visit: Visit) -> Iterator[Check]:
    """tito runs in .venv, which is up to date."""
    root = str(visit.root)
    stamp, inside = bootstrap.read(bootstrap.stamp_of(root)), bootstrap.inside(root)
    if os.environ.get("PYTHONHOME"):
        yield problem("environment", "PYTHONHOME is set, which mixes two Pythons",
                      "unset PYTHONHOME, and take it out of your shell's settings")
    if not Path(bootstrap.venv_of(root)).is_dir():
        yield fine("environment", "tito runs in an environment of your own, without .venv")
    elif not stamp:
        yield warning("environment", "tito did not make the .venv that is here", f"move it away, and run {TITO}")
    elif _unfinished(visit):
        yield _remade(visit, "its installation was not finished")
    elif stamp.split("\n")[1:2] != [os.path.realpath(root)]:
        yield _remade(visit, "it was made for another folder: this one was moved or copied")
    elif not Path(bootstrap.python_of(root)).exists():
        yield _remade(visit, "its Python is gone")
    elif not bootstrap.ready(root):
        yield _remade(visit, "pyproject.toml or requirements.lock was changed since it was made")
    elif not inside:
        yield warning("environment", "tito runs in another environment than .venv", f"run it as {TITO}, without TITO_BOOTSTRAP")


def _remade(visit: Visit, why: str) -> Check:
    check = problem("environment", f".venv cannot be relied on: {why}", AFRESH)
    return check if bootstrap.inside(str(visit.root)) else check.by(partial(_make, visit))


def _unfinished(visit: Visit) -> bool:
    return bootstrap.read(bootstrap.stamp_of(str(visit.root))) == install.MAKING


def _make(visit: Visit) -> str:
    if install.install(str(visit.root)):
        raise TitoError("the installation failed", why="its message is above")
    return ".venv was made anew"


def _make_afresh(visit: Visit) -> str:
    install.spoil(str(visit.root))
    return f"the next {TITO} makes .venv afresh"


def packages(visit: Visit) -> Iterator[Check]:
    """What tito and your library need is there, as it was tried."""
    yield from _packages(visit, "packages", "", "tito and your library need")


def extras(visit: Visit) -> Iterator[Check]:
    """What notebooks need is there, as it was tried."""
    for extra in install.extras(str(visit.root)).split(","):
        yield from _packages(visit, "extras", extra, "notebooks need" if extra == "lab" else f"[{extra}] needs")


def _packages(visit: Visit, name: str, extra: str, who: str) -> Iterator[Check]:
    """What of pyproject.toml's requirements is missing or old (a problem), and what is not as in the lock (a warning)."""
    missing, old, other = [], [], []
    tried = _locked(visit)
    for wanted in _wanted(visit, extra):
        found = version(wanted.name)
        if not found:
            missing.append(wanted.name)
        elif not wanted.specifier.contains(found, prereleases=True):
            old.append(f"{wanted.name} {found} ({wanted.specifier})")
        elif found != tried.get(wanted.name.lower(), found):
            other.append(f"{wanted.name} {found} ({tried[wanted.name.lower()]})")
    how = f'{visit.python} -m pip install -c requirements.lock -e ".[{install.extras(str(visit.root))}]"'
    for state, words, names in ((problem, f"what {who} is missing", missing), (problem, f"{who} another version", old),
                                (warning, "another version than was tried", other)):
        if names:
            check = state(name, f"{words}: {listed(names)}", how)
            inside = bootstrap.inside(str(visit.root))
            yield check.by(partial(_reinstall, visit, [n.partition(" ")[0] for n in names])) if inside else check


def _wanted(visit: Visit, extra: str) -> list[Requirement]:
    import tomllib

    from packaging.requirements import Requirement
    project = tomllib.loads((visit.root / "pyproject.toml").read_text(encoding="utf-8")).get("project", {})
    return [Requirement(text) for text in (project["optional-dependencies"][extra] if extra else project.get("dependencies", []))]


def _locked(visit: Visit) -> dict[str, str]:
    """The versions in requirements.lock that hold for this Python and system."""
    from packaging.requirements import Requirement
    lines = bootstrap.read(str(visit.root / "requirements.lock")).splitlines()
    found = [Requirement(line) for line in lines if re.match(r"[\w.-]+==", line)]
    return {r.name.lower(): str(r.specifier)[2:] for r in found if r.marker is None or r.marker.evaluate()}


def version(name: str) -> str:
    """The installed version; empty where the package is not there, whatever its metadata say."""
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return ""
    module = name.lower().replace("-", "_")
    if find_spec(module) is None and any(f.parts[0] == module and f.suffix == ".py" for f in found.files or ()):
        return ""
    return found.version


def _reinstall(visit: Visit, names: list[str]) -> str:
    tried = _locked(visit)
    invalidate_caches()
    names = [name for name in names if version(name) != tried.get(name.lower(), version(name) or "?")]
    if not names:
        return "it came with the others"
    if install.reinstall(str(visit.root), names):
        raise TitoError("the installation failed", why="its message is above")
    return f"installed {listed(names)}"


def disk(visit: Visit) -> Iterator[Check]:
    """There is room on the disk."""
    free = shutil.disk_usage(visit.root).free // 10**6
    if free < LITTLE:
        yield (warning if free >= VERY_LITTLE else problem)("disk", f"it is nearly full: {free} MB are free",
                                                            "make room: notebooks may fail to save")


def clock(visit: Visit) -> Iterator[Check]:
    """The clock does not stand before what is kept."""
    moments = [datetime.fromisoformat(record.when) for record in visit.state.completed.values()]
    kept = (visit.root / ".tito" / "history").glob("*/*Z-*")
    moments += [datetime.strptime(folder.name[:15], "%Y%m%dT%H%M%S").replace(tzinfo=UTC) for folder in kept]
    latest = max(moments, default=None)
    if latest and latest > datetime.now(UTC) + SLACK:
        yield warning("clock", f"your work was kept at {latest:%Y-%m-%d %H:%M} UTC, which is yet to come: the clock was set back",
                      "set this machine's date and time")


def terminal(visit: Visit) -> Iterator[Check]:
    """What is printed is UTF-8."""
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    if codecs.lookup(encoding).name != "utf-8":
        yield warning("terminal", f"it shows {encoding}, not UTF-8: some letters may be replaced",
                      "set the environment variable PYTHONUTF8=1")


LOOKS: tuple[Look, ...] = (python, environment, packages, extras, disk, clock, terminal)
