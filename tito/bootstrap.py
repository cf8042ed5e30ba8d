"""Makes sure that tito runs inside `.venv` with everything it needs, using only the standard library.

This file is read at every start, so it imports next to nothing; what installs is in install.py.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from tito import streams

OLDEST = (3, 11)
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
RECIPE = ("pyproject.toml", "requirements.lock")      # .venv is up to date while these read as they did when it was made
STARTED = "TITO_STARTED"        # set for the process that is started inside .venv: it never looks for another


def enter() -> None:
    """Runs tito: here if everything is installed here, else in `.venv`, which is made or brought up to date first.

    TITO_BOOTSTRAP=0 says that this Python has all it needs.
    """
    streams.open_closed()
    started = os.environ.pop(STARTED, "")               # popped: what tito itself starts decides for itself
    if started or os.environ.get("TITO_BOOTSTRAP") == "0" or _installed_elsewhere() or inside(ROOT) and ready(ROOT):
        sys.exit(_run_here())
    if not ready(ROOT) and not adopted(ROOT):
        from tito import install

        code = install.install(ROOT)
        if code:
            sys.exit(code)
    _run_inside(ROOT)


def _run_here() -> int:
    try:
        from tito.cli import main
    except ModuleNotFoundError as err:
        if not err.name or err.name.split(".")[0] == "tito":
            raise
        sys.stderr.write(f"error: the package {err.name} is missing\nwhy:   {sys.prefix} has lost it, or never had it\n"
                         "fix:   delete the folder .venv and run the command again\n")
        return 3
    return main() or 0


def _run_inside(root: str) -> NoReturn:
    """Starts the same command again with `.venv`'s Python, in the same folder."""
    command = [python_of(root), os.path.join(root, "tito"), *sys.argv[1:]]      # by path: this folder's tito, wherever we stand
    os.environ[STARTED] = "1"
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    if os.name != "nt":
        os.execv(command[0], command)
    sys.exit(_wait_for(command))


def _wait_for(command: list[str]) -> int:
    """Runs a command to its end and returns its exit code; Ctrl-C reaches it by itself, so it only has to be waited for."""
    import subprocess

    with subprocess.Popen(command) as child:
        while True:
            try:
                return child.wait()
            except KeyboardInterrupt:
                continue


def venv_of(root: str) -> str:
    return os.path.join(root, ".venv")


def stamp_of(root: str) -> str:
    return os.path.join(venv_of(root), "tito-stamp.txt")


def python_of(root: str) -> str:
    """The interpreter in `.venv`, whether or not it exists."""
    return os.path.join(venv_of(root), *(("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")))


def inside(root: str) -> bool:
    """This interpreter is `.venv`'s own."""
    return os.path.normcase(os.path.realpath(sys.prefix)) == os.path.normcase(os.path.realpath(venv_of(root)))


def ready(root: str) -> bool:
    """`.venv` was finished, for this folder, from the files as they are now, and its Python is still the one it was made with."""
    stamp = read(stamp_of(root))
    return stamp != "" and stamp == recipe(root)


def adopted(root: str) -> bool:
    """`.venv` is somebody else's work (`uv venv`, `python3 -m venv .venv`) with the course installed in it: it is used as it is."""
    if os.path.exists(stamp_of(root)) or not os.path.exists(python_of(root)):
        return False
    lib = os.path.join(venv_of(root), "lib")            # Windows has Lib/site-packages, the others lib/python3.12/site-packages
    inner = [os.path.join(lib, name) for name in os.listdir(lib)] if os.path.isdir(lib) else []
    return any(_holds_course(os.path.join(folder, "site-packages")) for folder in [lib, *inner])


def recipe(root: str) -> str:
    """All that `.venv` depends on, as text: a comparison needs no hash, and a person can read what has changed."""
    where = [sys.platform, os.path.realpath(root), os.path.realpath(python_of(root))]
    if not os.path.exists(where[-1]):
        return ""
    return "\n".join(where + [read(os.path.join(root, name)) for name in RECIPE])


def read(path: str) -> str:
    """A text file; "" where it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _installed_elsewhere() -> bool:
    """This is a virtual or conda environment that somebody else made, with the course installed in it."""
    if inside(ROOT) and read(stamp_of(ROOT)) or sys.prefix == sys.base_prefix and not os.path.isdir(os.path.join(sys.prefix, "conda-meta")):
        return False
    return any(_holds_course(folder) for folder in sys.path if folder.endswith("site-packages"))


def _holds_course(folder: str) -> bool:
    return os.path.isdir(folder) and any(name.startswith("tinytorch_course-") for name in os.listdir(folder))
