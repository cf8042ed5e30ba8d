"""JupyterLab: its kernel, what that imports, its port and its browser, and where it keeps its own files."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from tito.cli import lab
from tito.doctor.check import Check, problem, spoilt, warning
from tito.doctor.visit import Look, Visit, aside
from tito.errors import TitoError

PORT, MORE = 8888, 50                       # JupyterLab's, and how many after it it tries
PATIENCE = 30.0                             # seconds for a Python to start
AGAIN = "-m ipykernel install --sys-prefix"
# What the kernel `python3` of the lab's environment is: asked of Jupyter itself.
WHICH = """import json
from jupyter_client.kernelspec import KernelSpecManager as M
s = M().get_kernel_spec("python3")
print(json.dumps([s.resource_dir, s.argv, s.env]))"""
IMPORTS = """import importlib, json
found = {}
for name in ("numpy", "tito.notebook", "tinytorch"):
    try:
        found[name] = [importlib.import_module(name).__file__ or "", ""]
    except BaseException as err:
        found[name] = ["", type(err).__name__ + ": " + str(err)]
print(json.dumps(found))"""


def kernel(visit: Visit) -> Iterator[Check]:
    """The kernel python3 starts this environment's Python."""
    from jupyter_core.paths import jupyter_data_dir
    path = Path(sys.prefix, "share", "jupyter", "kernels", "python3", "kernel.json")
    how, mend = f"{visit.python} {AGAIN}", partial(_again, visit, path)
    try:
        first = str(json.loads(path.read_text(encoding="utf-8"))["argv"][0])
    except FileNotFoundError:
        yield warning("kernel", "this environment has no kernel python3 of its own: another one may be taken", how).by(mend)
    except (ValueError, KeyError, IndexError, TypeError):
        yield spoilt("kernel", "the kernel python3 of this environment cannot be read", how).by(mend)
    else:
        if not _ours(first):
            yield problem("kernel", f"the kernel python3 of this environment starts another Python: {first}", how).by(mend)
    users = Path(jupyter_data_dir(), "kernels", "python3")
    if users.is_dir() and users != path.parent:
        yield warning("kernel", "there is a kernel python3 in your home: a JupyterLab that tito did not start takes it for this course's",
                      "start JupyterLab with tito module open, or: jupyter kernelspec remove python3")


def _ours(python: str) -> bool:
    names = {"python", f"python{sys.version_info[0]}", "python{}.{}".format(*sys.version_info)}     # these mean JupyterLab's own
    return python in names or Path(python).parent.resolve() == Path(sys.executable).parent.resolve()


def _again(visit: Visit, path: Path) -> str:
    old = f"; the old one is {aside(visit.course, path)}" if path.exists() else ""
    with tempfile.TemporaryDirectory() as folder:           # ipykernel leaves an empty folder among the temporary ones
        done = subprocess.run([sys.executable, "-m", "ipykernel", "install", "--prefix", sys.prefix], capture_output=True, text=True,
                              encoding="utf-8", errors="replace", timeout=PATIENCE, env={**os.environ, "TMPDIR": folder})
    if done.returncode:
        raise TitoError("ipykernel could not write it", why=done.stderr.strip()[-200:])
    return "the kernel was written anew" + old


def imports(visit: Visit) -> Iterator[Check]:
    """A kernel starts, and imports numpy, tito and your tinytorch."""
    home = next((m.folder for m in visit.course.modules if m.number not in visit.state.completed), visit.root)
    environment = lab.environment(visit.course)
    directory, argv, more = _said([sys.executable, "-c", WHICH], home, environment, "no kernel python3 is found", visit)
    words = argv[:argv.index("-m")] if "-m" in argv else argv[:1]
    words[0] = sys.executable if _ours(words[0]) else words[0]
    if not _ours(words[0]) and not Path(directory).is_relative_to(sys.prefix):      # else the look `kernel` tells
        yield problem("imports", "notebooks get a kernel python3 of another environment", "unset JUPYTER_PATH, then: tito doctor --fix")
    found = _said([*words, "-c", IMPORTS], home, {**environment, **more}, "the kernel of the notebooks does not start", visit)
    for name, (file, error) in found.items():
        if error:
            yield problem("imports", f"a notebook cannot import {name}: {error}", "mend what the other lines name; then look again")
        elif name == "tinytorch" and not Path(file).resolve().is_relative_to(visit.course.package.resolve()):
            yield problem("imports", "a notebook imports another tinytorch than this folder's", "see the lines `library` and `hidden`")


def _said(command: list[str], home: Path, environment: dict[str, str], trouble: str, visit: Visit) -> Any:
    """The JSON in the last line of what a command prints."""
    try:
        done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, encoding="utf-8", errors="replace",
                              stdin=subprocess.DEVNULL, timeout=PATIENCE)
        return json.loads(done.stdout.strip().splitlines()[-1])
    except (OSError, ValueError, IndexError, subprocess.TimeoutExpired) as err:
        why = err if isinstance(err, OSError | subprocess.TimeoutExpired) else (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise TitoError(trouble, why=str(why)[-200:], fix=f"{visit.python} {AGAIN}") from None


def home(visit: Visit) -> Iterator[Check]:
    """JupyterLab can keep its own files in your home."""
    if lab.home_is_shut():
        yield warning("home", "your home cannot be written: tito module open lets JupyterLab keep its own files in .tito/jupyter",
                      "start JupyterLab with tito module open, not by itself")


def port(visit: Visit) -> Iterator[Check]:
    """JupyterLab's port is free."""
    free = next((number for number in range(PORT, PORT + MORE) if _free(number)), None)
    if free is None:
        yield problem("port", f"the ports from {PORT} on are all taken", f"tito module open {visit.next} -- --port 9999")
    elif free != PORT:
        yield warning("port", f"{PORT} is taken, perhaps by another JupyterLab: the next one takes {free}",
                      f"close the other one, or choose: tito module open {visit.next} -- --port {free}")


def _free(number: int) -> bool:
    with socket.socket() as one:
        if os.name != "nt":                     # there this option lets two have the same
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind(("127.0.0.1", number))
        except OSError:
            return False
    return True


def browser(visit: Visit) -> Iterator[Check]:
    """There is a browser to open notebooks in."""
    import webbrowser
    try:
        webbrowser.get()
    except webbrowser.Error:
        yield warning("browser", "none is found here", f"tito module open {visit.next} -- --no-browser prints an address for one elsewhere")


def user(visit: Visit) -> Iterator[Check]:
    """You are an ordinary user."""
    if getattr(os, "geteuid", lambda: 1)() == 0:
        yield warning("user", "you are root, for whom JupyterLab does not start",
                      f"be an ordinary user, or: tito module open {visit.next} -- --allow-root")


LOOKS: tuple[Look, ...] = (kernel, imports, home, port, browser, user)
