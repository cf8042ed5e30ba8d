"""What goes wrong with a machine, an environment, a place, JupyterLab."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
from collections import namedtuple
from pathlib import Path

from tests.doctor.conftest import PYPROJECT, Student
from tests.doctor.planted import Act, fault
from tito import bootstrap
from tito.doctor import jupyter, machine, paths

Usage = namedtuple("Usage", "total used free")


def unset(name: str) -> Act:
    return lambda s: s.patch.delenv(name)


def inside(s: Student) -> None:
    """The same command by `.venv`'s Python."""
    s.patch.setattr(sys, "prefix", str(s.venv))


# ---- Python and its packages -------------------------------------------------------------------

@fault("python", "is too old: TinyTorch needs 99.1", "python.org", cure=lambda s: s.patch.setattr(bootstrap, "OLDEST", (3, 11)))
def an_old_python(s: Student) -> None:
    s.patch.setattr(bootstrap, "OLDEST", (99, 1))


@fault("python", ".venv was made with Python 3.9, and its Python is now", "python3 -m tito", mends=True,
       cure=lambda s: (s.write(".venv/pyvenv.cfg", ""), s.stamp()))
def a_python_that_was_replaced(s: Student) -> None:
    s.write(".venv/pyvenv.cfg", "version = 3.9.2\n")


@fault("environment", "PYTHONHOME is set", "unset PYTHONHOME", cure=unset("PYTHONHOME"))
def pythonhome(s: Student) -> None:
    s.patch.setenv("PYTHONHOME", sys.base_prefix)


@fault("environment", "tito runs in another environment", "python3 -m tito", state="warning", cure=inside)
def another_environment(s: Student) -> None:
    other = s.root.parent / "other"
    shutil.copytree(s.venv / "share", other / "share")
    s.patch.setattr(sys, "prefix", str(other))


@fault("environment", "for another folder: this one was moved or copied", "python3 -m tito", mends=True, cure=inside)
def a_moved_folder(s: Student) -> None:
    another_environment(s)
    stamp = s.venv / "tito-stamp.txt"
    stamp.write_text(stamp.read_text(encoding="utf-8").replace(str(s.root), "/elsewhere"), encoding="utf-8")


@fault("environment", "requirements.lock was changed since", "python3 -m tito", mends=True, cure=inside)
def a_changed_lock(s: Student) -> None:
    another_environment(s)
    s.write("requirements.lock", "tried-one==1.0\ntried-lab==1.0\n")


@fault("environment", "its Python is gone", "python3 -m tito", mends=True, cure=inside)
def a_python_that_is_gone(s: Student) -> None:
    another_environment(s)
    (s.venv / "bin" / "python").unlink()


@fault("environment", "its installation was not finished", "python3 -m tito", mends=True, cure=inside)
def a_killed_installation(s: Student) -> None:
    another_environment(s)
    s.write(".venv/tito-stamp.txt", "making")


@fault("environment", "tito did not make the .venv", "move it away", state="warning", cure=lambda s: s.stamp())
def somebody_elses_venv(s: Student) -> None:
    (s.venv / "tito-stamp.txt").unlink()


@fault("packages", "what tito and your library need is missing: tried-one", "pip install -c requirements.lock", mends=True)
def a_missing_package(s: Student) -> None:
    shutil.rmtree(s.site / "tried_one-1.0.dist-info")


@fault("packages", "what tito and your library need is missing: tried-one", "pip install -c requirements.lock", mends=True)
def a_package_whose_files_are_gone(s: Student) -> None:
    s.install("tried-one", "1.0", "tried_one/__init__.py,,\n")


@fault("packages", "need another version: tried-one 0.5 (>=1)", "pip install -c requirements.lock", mends=True)
def an_old_package(s: Student) -> None:
    s.install("tried-one", "0.5")


@fault("packages", "another version than was tried: tried-one 1.1 (1.0)", "pip install -c requirements.lock", state="warning", mends=True)
def another_version(s: Student) -> None:
    s.install("tried-one", "1.1")


@fault("packages", "pyproject.toml: No such file", "see that you may read it",
       cure=lambda s: (s.write("pyproject.toml", PYPROJECT), s.stamp()))
def no_pyproject(s: Student) -> None:
    (s.root / "pyproject.toml").unlink()
    s.stamp()


@fault("extras", "what notebooks need is missing: tried-lab", '-e ".[lab]"', mends=True)
def a_missing_extra(s: Student) -> None:
    shutil.rmtree(s.site / "tried_lab-1.0.dist-info")


# ---- the machine -------------------------------------------------------------------------------

@fault("disk", "nearly full: 100 MB are free", "make room", state="warning", cure=lambda s: s.patch.setattr(machine, "LITTLE", 0))
def a_full_disk(s: Student) -> None:
    s.patch.setattr(shutil, "disk_usage", lambda path: Usage(10**12, 10**12, 100 * 10**6))


FUTURE = ".tito/history/01/20990101T000000.000000Z-start"


@fault("clock", "which is yet to come", "date and time", state="warning", cure=lambda s: shutil.rmtree(s.root / FUTURE))
def a_clock_set_back(s: Student) -> None:
    s.write(f"{FUTURE}/note.json", json.dumps({"action": "start", "when": "2099", "files": [], "record": None, "started": False}))


class Narrow:
    """A stream that shows few letters."""

    encoding = "cp1252"

    def __init__(self, stream: object):
        self.stream = stream

    def __getattr__(self, name: str) -> object:
        return getattr(self.stream, name)


@fault("terminal", "it shows cp1252, not UTF-8", "PYTHONUTF8=1", state="warning",
       cure=lambda s: s.patch.setattr(Narrow, "encoding", "utf-8"))
def a_narrow_terminal(s: Student) -> None:
    s.patch.setattr(Narrow, "encoding", "cp1252")
    s.patch.setattr(sys, "stdout", Narrow(sys.stdout))


# ---- places ------------------------------------------------------------------------------------

@fault("place", "synchronised (dropbox)", "move it", state="warning", cure=lambda s: moved(s, s.root, s.root.parents[1] / "kurs"))
def a_synced_folder(s: Student) -> None:
    moved(s, s.root, s.root.parent / "Dropbox" / "kurs")


def moved(s: Student, old: Path, new: Path) -> None:
    new.parent.mkdir(exist_ok=True)
    old.rename(new)
    s.edition.root = new
    s.patch.chdir(new)
    s.patch.setattr(paths, "HERE", new)
    inside(s)
    s.stamp()


@fault("folder", "read-only: the course folder, modules/01_alpha/alpha_dev.ipynb", "chmod -R u+w", mends=True)
def a_read_only_folder(s: Student) -> None:
    for path in (s.root, s.edition.notebook(1)):
        path.chmod(path.stat().st_mode & 0o555)


@fault("folder", ".tito is a file", "rename it", mends=True, cure=lambda s: (s.root / "tito-file").unlink())
def a_private_folder_that_is_a_file(s: Student) -> None:
    s.write(".tito", "?")


@fault("command", "tito/ is missing", "fresh student edition", cure=lambda s: (s.root / "tito").mkdir())
def no_tito(s: Student) -> None:
    (s.root / "tito").rmdir()


@fault("command", "the tito that runs belongs to another course folder", "python3 -m tito",
       cure=lambda s: s.patch.setattr(paths, "HERE", s.root))
def another_courses_tito(s: Student) -> None:
    (s.root.parent / "last year" / "tito").mkdir(parents=True)
    s.patch.setattr(paths, "HERE", s.root.parent / "last year")


@fault("command", "the tito on the path belongs to another environment", "activate the .venv", state="warning",
       cure=lambda s: (s.root.parent / "tools" / "tito").unlink())
def another_tito_on_the_path(s: Student) -> None:
    program = s.root.parent / "tools" / "tito"
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(0o755)


@fault("library", "an unrelated package called tinytorch is installed", "pip uninstall tinytorch",
       cure=lambda s: shutil.rmtree(s.site / "tinytorch-9.9.dist-info"))
def an_unrelated_tinytorch(s: Student) -> None:
    another_environment(s)                                  # of which nothing is removed
    s.write(".venv/tito-stamp.txt", "")
    shutil.rmtree(s.venv)
    s.install("tinytorch", "9.9")


@fault("library", "PYTHONPATH leads to another numpy, tinytorch", "unset PYTHONPATH", cure=unset("PYTHONPATH"))
def a_pythonpath(s: Student) -> None:
    for name in ("old/tinytorch/__init__.py", "old/numpy.py", "old/random_notes.py"):
        s.write(name, "")
    s.patch.setenv("PYTHONPATH", os.pathsep.join([str(s.root), str(s.root / "old")]))


@fault("hidden", "modules/01_alpha/random.py hides the library random", "my_random.py", mends=True)
def a_file_that_hides_a_library(s: Student) -> None:
    s.write("modules/01_alpha/random.py", "seed = 7\n")


@fault("hidden", "numpy hides the library numpy", "my_numpy", mends=True)
def a_folder_that_hides_a_library(s: Student) -> None:
    s.write("numpy/__init__.py", "")


# ---- JupyterLab --------------------------------------------------------------------------------

@fault("kernel", "has no kernel python3 of its own", "ipykernel install", state="warning", mends=True)
def no_kernel(s: Student) -> None:
    s.kernel.unlink()


@fault("kernel", "cannot be read", "ipykernel install", mends=True)
def a_broken_kernel(s: Student) -> None:
    s.kernel.write_text('{"argv": ["python", ', encoding="utf-8")


@fault("kernel", "starts another Python: /opt/other/bin/python", "ipykernel install", mends=True)
def a_kernel_of_another_environment(s: Student) -> None:
    s.kernel.write_text(json.dumps({"argv": ["/opt/other/bin/python", "-m", "ipykernel_launcher"]}), encoding="utf-8")


@fault("kernel", "there is a kernel python3 in your home", "jupyter kernelspec remove python3", state="warning",
       cure=lambda s: shutil.rmtree(s.home / "jupyter"))
def a_kernel_in_the_home(s: Student) -> None:
    s.patch.setenv("JUPYTER_DATA_DIR", str(s.home / "jupyter"))
    shutil.copytree(s.kernel.parent, s.home / "jupyter" / "kernels" / "python3")


@fault("home", "your home cannot be written: tito module open lets JupyterLab keep its own files in .tito/jupyter", "tito module open",
       state="warning", cure=lambda s: s.patch.setenv("HOME", str(s.home)))
def a_home_that_is_shut(s: Student) -> None:
    s.patch.setenv("HOME", os.devnull)


@fault("port", "is taken, perhaps by another JupyterLab: the next one takes", "tito module open 01 -- --port", state="warning",
       cure=lambda s: BUSY.pop().close())
def a_taken_port(s: Student) -> None:
    one = socket.socket()
    one.bind(("127.0.0.1", jupyter.PORT))
    one.listen()
    BUSY.append(one)


BUSY: list[socket.socket] = []


@fault("browser", "none is found", "tito module open 01 -- --no-browser", state="warning", cure=lambda s: browsers(s, sys.executable))
def no_browser(s: Student) -> None:
    browsers(s, "")


def browsers(s: Student, named: str) -> None:
    import webbrowser
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        s.patch.delenv(name, raising=False)
    s.patch.setenv("BROWSER", named)
    s.patch.setattr(webbrowser, "_tryorder", None)
    s.patch.setattr(webbrowser, "_browsers", {})
    s.patch.setattr("webbrowser.shutil.which", lambda name, *rest: None if name != sys.executable else name)


@fault("user", "you are root", "tito module open 01 -- --allow-root", state="warning",
       cure=lambda s: s.patch.setattr(os, "geteuid", lambda: 1000))
def root(s: Student) -> None:
    s.patch.setattr(os, "geteuid", lambda: 0)
