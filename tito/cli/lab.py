"""JupyterLab, started so that its kernels import this course's own tinytorch and tito."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tito import journal
from tito.course import Course
from tito.errors import ExitCode, TitoError

PLUGIN = "@jupyterlab/docmanager-extension:plugin"
VIEWER = "Jupytext Notebook"
# Where Jupyter keeps its own files if the home cannot be written.
PLACES = {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime", "IPYTHONDIR": "ipython"}


def run(course: Course, path: Path, options: Sequence[str], say: Callable[[str], None]) -> int:
    """Open JupyterLab at a notebook (a path below the root) and wait until it is closed; its exit code."""
    require()
    if getattr(os, "geteuid", lambda: 1)() == 0 and "--allow-root" not in options:
        raise TitoError("JupyterLab does not start for root", why="everybody on this machine could then act as root",
                        fix=f"be an ordinary user, or say that you know: tito module open {path.parent.name[:2]} -- --allow-root",
                        code=ExitCode.ENVIRONMENT)
    if path.suffix == ".py" and not show_sources_as_notebooks():
        say("this Python is not in a virtual environment: in JupyterLab, open the file by right-click, Open With, Notebook")
    say(f"JupyterLab opens {path.as_posix()} in your browser; end it here with Ctrl-C")
    process = subprocess.Popen([*command(course, path), *options], cwd=course.root, env=environment(course))
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
    """The same interpreter's JupyterLab, with the course as its root."""
    return [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={course.root}", "--ServerApp.log_level=WARN",
            f"--LabApp.default_url=/lab/tree/{quote(path.as_posix())}", str(course.root / path)]


def environment(course: Course) -> dict[str, str]:
    """This folder's packages come first in every kernel, and this interpreter's kernel before a user's own `python3`."""
    paths = [str(course.root), *filter(None, [os.environ.get("PYTHONPATH")])]
    own = {name: str(course.root / ".tito" / "jupyter" / part) for name, part in PLACES.items()} if home_is_shut() else {}
    return {**own, **os.environ, "PYTHONPATH": os.pathsep.join(paths), "JUPYTER_PREFER_ENV_PATH": "1"}


def home_is_shut() -> bool:
    """Jupyter could not make or write its own folders in the user's home, which it does not start without."""
    try:
        homes = [Path.home() / name for name in (".jupyter", ".local/share/jupyter" if os.name == "posix" else "AppData/Roaming/jupyter")]
    except RuntimeError:                    # nobody knows where it is
        return True
    nearest = [next(folder for folder in (home, *home.parents) if folder.exists()) for home in homes]
    return not all(folder.is_dir() and os.access(folder, os.W_OK) for folder in nearest)


def show_sources_as_notebooks() -> bool:
    """Let this environment's JupyterLab open .py sources as notebooks; False outside a virtual environment, where nothing is touched."""
    if sys.prefix == sys.base_prefix:
        return False
    path = Path(sys.prefix) / "share" / "jupyter" / "lab" / "settings" / "overrides.json"
    settings = _read(path)
    viewers = settings.setdefault(PLUGIN, {}).setdefault("defaultViewers", {})
    if viewers.get("python") != VIEWER:
        viewers["python"] = VIEWER
        journal.write_atomically(path, (json.dumps(settings, indent=2) + "\n").encode("utf-8"))
    return True


def _read(path: Path) -> dict[str, Any]:
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as err:
        raise TitoError("JupyterLab's settings cannot be read", why=f"{path}: {err}", fix="mend or delete that file",
                        code=ExitCode.INTEGRITY) from None
    return settings if isinstance(settings, dict) else {}
