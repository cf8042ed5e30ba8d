"""nbgrader's formgrader in JupyterLab, on this term's gradebook: for the answers that a person grades."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from grading.term import Term
from tito.cli.lab import require
from tito.environ import before
from tito.errors import ExitCode, TitoError

START, STOP = 90.0, 20.0                # seconds
PAGE = "/formgrader"
UNNEEDED = ("jupyter_lsp", "notebook", "jupyterlab_jupytext", "nbgrader.server_extensions.validate_assignment",
            "nbgrader.server_extensions.assignment_list", "nbgrader.server_extensions.course_list")     # slow to start, or run notebooks
NBGRADER = """\
c = get_config()
c.CourseDirectory.root = {root!r}
c.CourseDirectory.course_id = {course!r}
c.CourseDirectory.db_url = {database!r}
c.NbGraderAPI.timezone = {timezone!r}
# The page would show these settings, and the address of the gradebook with them.
c.FormgradeExtension.debug = False
# What students write is shown, and never run, neither in the browser of the person who reads it nor by nbgrader's own buttons.
c.HTMLExporter.filters = {{"markdown2html": "grading.book.shield.markdown"}}
c.Autograde.exporter_class = c.GenerateAssignment.exporter_class = c.GenerateFeedback.exporter_class = "grading.book.shield.Refused"
"""


def formgrader(term: Term, *, browser: bool, port: int = 0, options: Sequence[str] = (),
               say: Callable[[str], None] = lambda text: print(text, file=sys.stderr, flush=True)) -> int:
    """Serve the term's formgrader to this machine alone, until Ctrl-C; its exit code.  Nothing is left of it: no process, no settings.

    `port` 0: any free one.  `options` go to JupyterLab.  TitoError where it does not start.
    """
    _may_start(options)
    _prepare(term)
    with tempfile.TemporaryDirectory(prefix="tito-formgrader-") as folder, _ends_like_ctrl_c():
        home = Path(folder)
        _configure(term, home, browser, port)
        with (home / "log").open("wb") as log:
            process = subprocess.Popen([sys.executable, "-m", "jupyterlab", *options], cwd=home, env=_environment(term, home),
                                       stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            say(f"formgrader is at {_address(process, home)}")
            say("end it with Ctrl-C")
            if process.wait():
                raise _stopped(home, "JupyterLab has failed")
            return int(ExitCode.OK)         # somebody chose Shut Down in its menu
        except KeyboardInterrupt:
            return int(ExitCode.OK)
        finally:
            _end(process)


def _may_start(options: Sequence[str]) -> None:
    require()
    if getattr(os, "geteuid", lambda: 1)() == 0 and "--allow-root" not in options:
        raise TitoError("formgrader does not start for root", why="everybody who reaches the page could then act as root",
                        fix="be an ordinary user, or say that you know: tito grade formgrader -- --allow-root", code=ExitCode.ENVIRONMENT)


def _prepare(term: Term) -> None:
    """The gradebook is there, and knows the names and the deadlines of now."""
    from grading.book.gradebook import enrol, opened
    with opened(term) as gradebook:
        enrol(term, gradebook)


def _configure(term: Term, home: Path, browser: bool, port: int) -> None:
    """Settings of its own, in a folder that nobody else may read: the user's are neither read nor written."""
    server: dict[str, Any] = {"ip": "127.0.0.1", "root_dir": str(term.folder), "open_browser": browser, "answer_yes": True,
                              "default_url": PAGE, "log_level": "WARN", "port_retries": 0 if port else 50}
    server |= {"port": port} if port else {}
    server["jpserver_extensions"] = dict.fromkeys(UNNEEDED, False)
    (home / "config").mkdir()
    (home / "config" / "jupyter_server_config.json").write_text(json.dumps(
        {"ServerApp": server, "LabApp": {"default_url": PAGE}, "IdentityProvider": {"token": secrets.token_hex(24)}}), encoding="utf-8")
    (home / "config" / "nbgrader_config.py").write_text(NBGRADER.format(
        root=str(term.folder), course=term.settings.course.id, database=term.database,
        timezone=str(term.settings.deadlines.timezone)), encoding="utf-8")


def _environment(term: Term, home: Path) -> dict[str, str]:
    places = {name: str(home / name.lower()) for name in ("JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTERLAB_SETTINGS_DIR",
                                                         "JUPYTERLAB_WORKSPACES_DIR", "IPYTHONDIR")}
    inherited = {name: value for name, value in os.environ.items() if name not in ("JUPYTER_TOKEN", "JUPYTER_CONFIG_PATH", "JUPYTER_PATH")}
    return {**inherited, **places, "JUPYTER_CONFIG_DIR": str(home / "config"), "JUPYTER_PREFER_ENV_PATH": "1",
            "PYTHONPATH": before("PYTHONPATH", term.course.root, Path(__file__).parents[2])}


def _address(process: subprocess.Popen[bytes], home: Path) -> str:
    """Where the page is, once it is there."""
    until = time.monotonic() + START
    while time.monotonic() < until and process.poll() is None:
        for path in (home / "jupyter_runtime_dir").glob("jpserver-*.json"):
            try:
                server = json.loads(path.read_text(encoding="utf-8"))
            except ValueError:
                continue                # it is being written
            return f"{server['url'].rstrip('/')}{PAGE}?token={server['token']}"
        time.sleep(0.1)
    raise _stopped(home, "JupyterLab does not start")


def _stopped(home: Path, what: str) -> TitoError:
    lines = (home / "log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return TitoError(what, why=lines[-1].strip() if lines else "it says nothing", fix="try another port: tito grade formgrader --port 8899",
                     code=ExitCode.ENVIRONMENT)


def _end(process: subprocess.Popen[bytes]) -> None:
    """It ends the kernels that were started in it, for which it has some seconds, or until the next Ctrl-C."""
    process.terminate()
    try:
        process.wait(STOP)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        process.kill()
        process.wait()


@contextmanager
def _ends_like_ctrl_c() -> Iterator[None]:
    """A closed terminal and a request to end do what Ctrl-C does, so that the server is ended and its folder removed."""
    names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {name: signal.signal(getattr(signal, name), signal.default_int_handler) for name in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)
