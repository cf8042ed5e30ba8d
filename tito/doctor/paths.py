"""Where things are: the course's folder, what else is called tito or tinytorch, and files that hide a library."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import partial
from importlib import metadata
from pathlib import Path

from tito import bootstrap
from tito.doctor.check import Check, listed, problem, spoilt, warning
from tito.doctor.visit import TITO, Look, Visit
from tito.errors import TitoError

HERE = Path(__file__).parents[2]            # the folder whose tito is running
SYNCED = ("onedrive", "dropbox", "icloud", "mobile documents", "cloudstorage", "google drive", "googledrive", "nextcloud")
LONG = 120                                  # letters of a path, of the 260 that Windows takes
LIBRARIES = {"numpy", "matplotlib", "IPython", "ipykernel", "jupyter_client", "zmq", "tornado", "traitlets", "typer", "rich"}
OURS = {"tinytorch", "tito"}
UNUSED = {"test", "this", "antigravity", "idlelib", "turtledemo", "lib2to3"}        # of the standard library: nobody misses them


def place(visit: Visit) -> Iterator[Check]:
    """The course lies where no other program changes it."""
    if cloud := [part for part in visit.root.parts if any(name in part.lower() for name in SYNCED)]:
        name = next(name for name in SYNCED if name in cloud[0].lower())
        yield warning("place", f"the course lies in a folder that is synchronised ({name}): two machines may undo each other's work",
                      f"move it to a folder of this machine alone, then run {TITO} there")
    if os.name == "nt" and len(str(visit.root)) > LONG:
        yield warning("place", f"the course's path has {len(str(visit.root))} letters, and Windows takes 260 for a file's",
                      "move it to a short one, such as C:\\course")


def folder(visit: Visit) -> Iterator[Check]:
    """The course's folders and notebooks can be written."""
    private = visit.root / ".tito"
    if private.exists() and not private.is_dir():
        yield spoilt("folder", ".tito is a file, where a folder has to be", "rename it").by(partial(_moved, visit, private, "tito-file"))
    shut = [path for path in _written(visit) if path.exists() and _shut(path)]
    if shut:
        names = ["the course folder" if path == visit.root else visit.name(path) for path in shut]
        how = "chmod -R u+w ." if os.name != "nt" else "attrib -R /S /D"
        yield problem("folder", f"read-only: {listed(names)}",
                      f"in the course folder: {how} (or copy it to a place of your own)").by(partial(_opened, shut))


def _written(visit: Visit) -> Iterator[Path]:
    yield from (visit.root, visit.root / ".tito", visit.root / ".tito" / "state.json", visit.course.package, visit.root / "modules")
    for module in visit.course.modules:
        yield from (module.folder, module.notebook)


def _shut(path: Path) -> bool:
    return not os.access(path, os.W_OK) or not path.stat().st_mode & stat.S_IWUSR


def _opened(paths: list[Path]) -> str:
    for path in paths:
        path.chmod(path.stat().st_mode | stat.S_IWUSR)
    return "made writable"


def command(visit: Visit) -> Iterator[Check]:
    """The tito that runs is this course's."""
    own = visit.root / "tito"
    if not own.is_dir():
        yield spoilt("command", "the folder tito/ is missing in the course folder", "copy it from a fresh student edition")
    elif not own.samefile(HERE / "tito"):
        yield problem("command", "the tito that runs belongs to another course folder", f"in this folder, write {TITO}")
    found = shutil.which("tito")
    homes = [Path(sys.executable).parent, Path(bootstrap.python_of(str(visit.root))).parent]
    if found and Path(found).parent.resolve() not in [home.resolve() for home in homes]:
        yield warning("command", "the tito on the path belongs to another environment",
                      f"write {TITO}, or activate the .venv of this folder")


def library(visit: Visit) -> Iterator[Check]:
    """Nothing else is called tinytorch or comes before the libraries."""
    if _installed("tinytorch"):                 # this course's distribution is tinytorch-course
        check = problem("library", "an unrelated package called tinytorch is installed: plain Python takes it for yours",
                        f"{visit.python} -m pip uninstall tinytorch")
        yield check.by(_uninstalled) if bootstrap.inside(str(visit.root)) else check
    entries = [Path(text) for text in os.environ.get("PYTHONPATH", "").split(os.pathsep) if text]
    others = [entry for entry in entries if entry.resolve() != visit.root.resolve()]
    if theirs := sorted({name for entry in others for name in _hiding(entry, LIBRARIES | OURS)}):
        yield problem("library", f"PYTHONPATH leads to another {listed(theirs)}",
                      "unset PYTHONPATH, and take it out of your shell's settings")


def _installed(name: str) -> bool:
    try:
        return metadata.version(name) != ""
    except metadata.PackageNotFoundError:
        return False


def _uninstalled() -> str:
    done = subprocess.run([sys.executable, "-I", "-m", "pip", "uninstall", "-y", "tinytorch"], capture_output=True, text=True,
                          encoding="utf-8", errors="replace", stdin=subprocess.DEVNULL)
    if done.returncode:
        raise TitoError("it could not be removed", why=done.stderr.strip()[-200:])
    return "it was uninstalled; your own tinytorch/ is as it was"


def hidden(visit: Visit) -> Iterator[Check]:
    """No file of yours hides a library."""
    for home in (visit.root, *(m.folder for m in visit.course.modules)):
        for name in _hiding(home, (sys.stdlib_module_names - UNUSED) | LIBRARIES | (OURS if home != visit.root else set())):
            path = home / name if (home / name).is_dir() else home / f"{name}.py"
            yield problem("hidden", f"{visit.name(path)} hides the library {name}", f"rename it, for example to my_{path.name}").by(
                partial(_moved, visit, path, f"my_{path.name}"))


def _hiding(home: Path, names: Iterable[str]) -> list[str]:
    """The names that `import` would find in a folder."""
    wanted = set(names)
    try:
        found = list(home.iterdir())
    except OSError:
        return []
    return sorted({p.stem for p in found if p.stem in wanted and (p.suffix == ".py" or (p / "__init__.py").is_file() and not p.suffix)})


def _moved(visit: Visit, path: Path, name: str) -> str:
    target = path.with_name(name)
    if target.exists():
        raise TitoError(f"{name} is there already")
    path.replace(target)
    return f"it is now {visit.name(target)}"


LOOKS: tuple[Look, ...] = (place, folder, command, library, hidden)
