"""JupyterLab, started so that its kernels import this course's own tinytorch and tito; nothing of the user's settings is written."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import webbrowser
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tito.course import Course
from tito.environ import before
from tito.errors import ExitCode, TitoError

KERNEL = "python3"                      # this interpreter's
OURS = "TITO_LAB"                       # in the environment of a JupyterLab that tito started: for which folder, with which Python
SETTINGS = Path("jupyter")              # what we would have otherwise than JupyterLab has it, for everybody and for authors
AUTHORS = Path("tito", "dev", "jupyter")
# Where Jupyter keeps its own files if the home cannot be written.
PLACES = {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime", "IPYTHONDIR": "ipython"}


def run(course: Course, path: Path, options: Sequence[str], say: Callable[[str], None]) -> int:
    """Open JupyterLab at a notebook (a path below the root) and wait until it is closed; its exit code."""
    require()
    if getattr(os, "geteuid", lambda: 1)() == 0 and "--allow-root" not in options:
        raise TitoError("JupyterLab does not start for root", why="everybody on this machine could then act as root",
                        fix=f"be an ordinary user, or say that you know: tito module open {path.parent.name[:2]} -- --allow-root",
                        code=ExitCode.ENVIRONMENT)
    if other := foreign_kernel(course.root / path):
        say(f"the notebook names the kernel '{other}', which is not this course's: choose Kernel, Change Kernel..., Python 3 (ipykernel)")
    if set(options) <= {"--no-browser", "--allow-root"} and (server := running(course)):
        return _join(server, path, say, browser="--no-browser" not in options)
    say(f"JupyterLab opens {path.as_posix()} in your browser; end it here with Ctrl-C")
    process = subprocess.Popen([*command(course, path), *options], cwd=course.root, env=environment(course))
    with _ended_with_us(process):
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue                        # it reaches JupyterLab too, which asks before it ends


def require() -> None:
    """TitoError where JupyterLab is not installed."""
    if importlib.util.find_spec("jupyterlab") is None:
        raise TitoError("JupyterLab is not installed", why=f"{sys.executable} has no jupyterlab",
                        fix='install it with: python -m pip install jupyterlab', code=ExitCode.ENVIRONMENT)


def command(course: Course, path: Path) -> list[str]:
    """The same interpreter's JupyterLab, with the course as its root, where also what was open in it is remembered."""
    return [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={course.root}", f"--LabApp.default_url={_page(path)}",
            f"--LabApp.workspaces_dir={course.root / '.tito' / 'workspaces'}", "--ServerApp.log_level=WARN", "--LabApp.log_level=WARN"]


def environment(course: Course) -> dict[str, str]:
    """This folder's packages come first in every kernel, and this interpreter's kernel before any other `python3`."""
    settings = [Path(__file__).parent / SETTINGS, *([] if course.is_edition else [course.root / AUTHORS])]
    places = {name: str(course.root / ".tito" / "jupyter" / part) for name, part in PLACES.items()} if home_is_shut() else {}
    return {**places, **os.environ, OURS: _mark(course), "JUPYTER_PREFER_ENV_PATH": "1",
            "PYTHONPATH": before("PYTHONPATH", course.root), "JUPYTER_CONFIG_PATH": before("JUPYTER_CONFIG_PATH", *settings),
            "JUPYTER_PATH": before("JUPYTER_PATH", Path(sys.prefix) / "share" / "jupyter")}


def home_is_shut() -> bool:
    """Jupyter could not make or write its own folders in the user's home, which it does not start without."""
    try:
        homes = [Path.home() / name for name in (".jupyter", ".local/share/jupyter" if os.name == "posix" else "AppData/Roaming/jupyter")]
    except RuntimeError:                    # nobody knows where it is
        return True
    nearest = [next(folder for folder in (home, *home.parents) if folder.exists()) for home in homes]
    return not all(folder.is_dir() and os.access(folder, os.W_OK) for folder in nearest)


def foreign_kernel(path: Path) -> str:
    """A kernel of this machine that a notebook's metadata name, if it is not this interpreter's; JupyterLab passes over unknown ones."""
    try:
        name = json.loads(path.read_text(encoding="utf-8"))["metadata"]["kernelspec"]["name"] if path.suffix == ".ipynb" else KERNEL
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    if name == KERNEL:
        return ""
    from jupyter_client.kernelspec import find_kernel_specs
    return str(name) if name in find_kernel_specs() else ""


def running(course: Course) -> dict[str, Any] | None:
    """The server that an earlier tito started for this folder with this Python and that is still at work, as Jupyter describes it."""
    import psutil
    from jupyter_core.paths import jupyter_runtime_dir
    for path in Path(jupyter_runtime_dir()).glob("jpserver-*.json"):
        try:
            server = json.loads(path.read_text(encoding="utf-8"))
            ours = psutil.Process(server["pid"]).environ().get(OURS) == _mark(course)
        except (psutil.Error, OSError, ValueError):     # it has just ended, or is somebody else's, or is only beginning
            continue
        if ours and not server["sock"]:
            return dict(server)
    return None


def _join(server: dict[str, Any], path: Path, say: Callable[[str], None], *, browser: bool) -> int:
    """Open a notebook in a JupyterLab that runs; the browser, which has been there, needs no token."""
    page = server["url"].rstrip("/") + _page(path)
    say(f"JupyterLab runs for this folder already; the notebook is at\n{page}" + (f"?token={server['token']}" if server["token"] else ""))
    if browser:
        webbrowser.open(page)
    return ExitCode.OK


def _page(path: Path) -> str:
    """Where JupyterLab shows a notebook: without a query, for to the address that it prints it adds one of its own."""
    return f"/lab/tree/{quote(path.as_posix())}"


def _mark(course: Course) -> str:
    return f"{course.root} {sys.executable}"


@contextmanager
def _ended_with_us(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Who asks tito to end means JupyterLab, which then ends its kernels."""
    before = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
