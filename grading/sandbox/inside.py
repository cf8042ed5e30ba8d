"""What is inside a sandbox: this interpreter, the system's shared libraries, and the few packages that a notebook may use."""

from __future__ import annotations

import os
import sys
from importlib.metadata import Distribution, distribution
from importlib.util import cache_from_source
from pathlib import Path, PurePosixPath

from tito.check.process import ONE_THREAD

PACKAGES = ("numpy", "matplotlib", "ipython", "rich")      # and what they need; so no answer can be imported from torch or scipy
PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
SITE = "/site"
ENTER = Path(__file__).with_name("enter.py")
FIRST_UID = 60000           # of slot 0; no system gives these numbers to people


def show(source: Path | str, place: str) -> list[str]:
    """To be seen inside, and not to be changed."""
    return ["--ro-bind", str(source), place]


def stands(words: list[str]) -> list[str]:
    """The same, after the folders in which all that is shown stands: bubblewrap makes such folders for the first user alone."""
    places = [PurePosixPath(words[i + 2]) for i, word in enumerate(words) if word in ("--ro-bind", "--symlink")]
    tops = {top for place in places for top in place.parents} - set(places) - {PurePosixPath("/")}
    return [word for top in sorted(tops) for word in ("--perms", "0755", "--dir", str(top))] + words


def hide(place: str) -> list[str]:
    """An empty folder over what stands there."""
    return ["--tmpfs", place, "--remount-ro", place]


def system() -> list[str]:
    """The folders of shared libraries, as far as the loader looks, without other Pythons in them."""
    arch = f"{os.uname().machine}-linux-gnu"
    words, seen = [], []
    for top in ("/usr/lib", "/usr/lib64", "/lib", "/lib64"):
        place = Path(top)
        if place.is_symlink():
            words += ["--symlink", str(place.readlink()), top]
        elif (place / arch).is_dir():
            seen += [place / arch, *(loader for loader in place.glob("ld-linux*") if loader.exists())]
        elif place.is_dir():
            seen.append(place)
    for place in seen:
        words += show(place, str(place))
        for other in sorted(place.glob("python*")):
            words += hide(str(other)) if other.is_dir() else []
    return words


def python() -> list[str]:
    """The interpreter at /python, without the packages that are installed for it."""
    home, lib = Path(sys.base_prefix), Path(os.__file__).parent
    words = show(home / "bin" / PYTHON, "/python/bin/python")
    if home == Path("/usr"):
        words += show(lib, f"/python/{sys.platlibdir}/{PYTHON}") + _without_packages(lib, f"/python/{sys.platlibdir}/{PYTHON}")
    else:                                               # its shared libraries stand beside it
        words += show(lib.parent, f"/python/{lib.parent.name}")
        for each in sorted(lib.parent.glob("python*")):
            words += _without_packages(each, f"/python/{lib.parent.name}/{each.name}")
    return words


def _without_packages(lib: Path, place: str) -> list[str]:
    return [word for name in ("site-packages", "dist-packages") if (lib / name).is_dir() for word in hide(f"{place}/{name}")]


def packages(names: tuple[str, ...] = PACKAGES) -> list[str]:
    """The named distributions and all that they need, at /site.  PackageNotFoundError where one is not installed."""
    found: dict[str, Distribution] = {}
    for name in names:
        _require(name, frozenset(), found)
    words: list[str] = []
    for path, place in sorted({each for one in found.values() for each in _entries(one)}):
        words += show(path, place)
    return words


def _require(name: str, extras: frozenset[str], found: dict[str, Distribution]) -> None:
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    if canonicalize_name(name) in found:
        return
    one = found[canonicalize_name(name)] = distribution(name)
    for need in map(Requirement, one.requires or ()):
        if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            _require(need.name, frozenset(need.extras), found)


def _entries(one: Distribution) -> set[tuple[str, str]]:
    """A distribution's packages and modules, not its .pth files: (where they are, where they are inside)."""
    entries = set()
    for name in {file.parts[0] for file in one.files or ()} - {"..", "__pycache__"}:
        path = Path(str(one.locate_file(name)))
        if path.suffix != ".pth" and path.exists():
            entries.add((str(path), f"{SITE}/{name}"))
            compiled = Path(cache_from_source(str(path))) if path.suffix == ".py" else path
            if compiled != path and compiled.exists():
                entries.add((str(compiled), f"{SITE}/__pycache__/{compiled.name}"))
    return entries


def environment(kit: str, home: str) -> dict[str, str]:
    """All that a judging process knows of the world: where the kit is, where it may write, and that it is alone."""
    return {"PATH": "/python/bin", "HOME": home, "TMPDIR": home, "USER": "student", "LANG": "C.UTF-8", "TZ": "UTC",
            "PYTHONPATH": kit, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONNOUSERSITE": "1",
            "MPLBACKEND": "Agg", "MPLCONFIGDIR": f"{home}/matplotlib", "IPYTHONDIR": f"{home}/ipython",
            "MALLOC_ARENA_MAX": "2", **ONE_THREAD}
