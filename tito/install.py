"""Makes `.venv` and installs the course in it, with uv where there is one, else with venv and pip.

Standard library only, and syntax that Python 3.8 can read.  Everything is said on stderr; stdout belongs to the command.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Sequence

from tito import bootstrap
from tito.errors import ExitCode, TitoError
from tito.install_steps import Lock, Progress, say

MAKING = "making"               # the stamp of an environment that is not finished

# What an installer says -> what is wrong and what to do.  The first that matches counts.
TROUBLES = (
    (r"No space left|os error 28|Errno 28|not enough space|Disk quota exceeded|Errno 122|os error 122",
     "the disk is full", "make room and run the command again; it starts afresh"),
    (r"certificate|CERTIFICATE_VERIFY_FAILED|UnknownIssuer|SSLError",
     "the package index could not be trusted",
     "this network replaces certificates: ask its administrator for the right one, or use another network"),
    (r"Failed to establish|Name or service not known|name resolution|dns error|client error \(Connect\)|Connection(Error| refused| reset)"
     r"|NewConnectionError|ConnectTimeout|ReadTimeout|timed out|Max retries|ProxyError|getaddrinfo|unreachable|error sending request"
     r"|\(from versions: none\)",
     "no connection to the package index", "connect to the network (or set its proxy) and run the command again"),
    (r"ensurepip is not available|No module named ensurepip",
     "this Python cannot make virtual environments", "on Debian or Ubuntu: sudo apt install python3-venv"),
    (r"Read-only file system|os error 30|Errno 30|Permission denied|os error 13|Errno 13|Access is denied",
     "this folder cannot be written to", "copy the course to a folder of your own and run the command there"),
)


def install(root: str) -> int:
    """Makes or updates `.venv` and returns an exit code; an error has then been said."""
    def work(lock: Lock) -> None:
        lock.take(lambda: bootstrap.ready(root))
        if not bootstrap.ready(root):           # another tito may just have made it
            _install(root, lock)

    return _said(root, work)


def reinstall(root: str, names: Sequence[str]) -> int:
    """Puts packages in place anew, though pip may believe that they are there, and what they need; an exit code."""
    def work(lock: Lock) -> None:
        lock.take(lambda: False)
        progress = Progress(os.path.join(_private(root), "install.log"), lock.touch)
        before = bootstrap.read(bootstrap.stamp_of(root))
        try:
            _with_tool(_tools(keep=True)[0], root, True, progress, names)
        except TitoError:
            _stamp(root, before)                # no worse than it was, and not to be made afresh without a network
            raise
        _stamp(root, bootstrap.recipe(root))

    return _said(root, work)


def spoil(root: str) -> None:
    """`.venv` is made afresh at the next start."""
    _stamp(root, MAKING)


def _said(root: str, work: Callable[[Lock], None]) -> int:
    lock = None
    try:
        lock = Lock(os.path.join(_private(root), "install.lock"))
        work(lock)
        return ExitCode.OK
    except KeyboardInterrupt:
        say("\ninterrupted; run the command again and it starts afresh")
        return ExitCode.INTERRUPTED
    except (TitoError, OSError) as err:
        trouble = err if isinstance(err, TitoError) else explain(str(err))
        say(f"error: {trouble.what}\nwhy:   {trouble.why}\nfix:   {trouble.fix}")
        return trouble.code
    finally:
        if lock:
            lock.release()


def explain(output: str) -> TitoError:
    """The one error that an installer's output (or an OSError) amounts to."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    for pattern, what, fix in TROUBLES:
        blamed = [line for line in lines if re.search(pattern, line) and not line.startswith("hint")]
        if blamed:
            return TitoError(what, why=_short(blamed[-1]), fix=fix, code=ExitCode.ENVIRONMENT)
    blamed = [line for line in lines if re.match(r"(ERROR|error|×)", line)] or lines[-1:]
    return TitoError("the installation failed", why=_short(blamed[0]) if blamed else "the installer said nothing",
                     fix="read .tito/install.log, mend it, and run the command again", code=ExitCode.ENVIRONMENT)


def _short(line: str) -> str:
    """An installer's line without its ornaments: "[Errno 111] Connection refused"."""
    line = re.sub(r"^(ERROR|error|cause|Caused by|×)[:\s]*", "", line)
    found = re.search(r"\[Errno -?\d+\][^'\")]*|certificate verify failed[^'\")]*", line)
    return (found[0].strip(": ") if found else line)[:160]


def _install(root: str, lock: Lock) -> None:
    before = bootstrap.read(bootstrap.stamp_of(root))
    keep = _same_place(before, root)
    tools = _tools(keep)
    if not keep:
        _check_python()
        _check_foreign(root)
        if not tools:
            raise TitoError("this Python cannot make virtual environments", why="its parts venv and ensurepip are missing",
                            fix="on Debian or Ubuntu: sudo apt install python3-venv (or install uv)", code=ExitCode.ENVIRONMENT)
        _check_disk(root)
    _announce(root, keep, tools[0])
    began = time.monotonic()
    progress = Progress(os.path.join(_private(root), "install.log"), lock.touch)
    for tool in tools:
        try:
            _with_tool(tool, root, keep, progress)
            break
        except TitoError as err:
            if keep and err.what == "no connection to the package index":
                _stamp(root, before)            # nothing was changed yet: the environment is as good as it was
                say(f"{err.what}; going on with the packages as they are")
                return
            if tool == tools[-1] or err.what == "the disk is full":
                raise
            say(f"uv could not do it ({err.why}); trying venv and pip")
    _stamp(root, bootstrap.recipe(root))
    say(f"ready after {time.monotonic() - began:.0f} s\n")


def _with_tool(tool: str, root: str, keep: bool, progress: Progress, anew: Sequence[str] = ()) -> None:
    """Makes `.venv` (unless it is kept) and installs the course with one tool: the path of uv, or "pip"; `anew`: packages, in any case."""
    env = dict(os.environ, PIP_USER="0", PIP_DISABLE_PIP_VERSION_CHECK="1", PYTHONUTF8="1", NO_COLOR="1", UV_NO_PROGRESS="1")
    env.setdefault("PIP_RETRIES", "2")          # by the environment, so that it reaches the build's own pip as well
    env.setdefault("UV_SYSTEM_CERTS", "1")      # as pip does: the certificates that this machine trusts
    env.pop("PYTHONHOME", None)
    python = bootstrap.python_of(root)
    if not keep:
        _clear(root)
        base = getattr(sys, "_base_executable", "") or sys.executable
        progress.run("making .venv", [tool, "venv", "--allow-existing", "--seed", "--python", base, ".venv"] if tool != "pip" else
                     [base, "-I", "-m", "venv", ".venv"], root, env, explain)
    _stamp(root, MAKING)
    lock = ["-c", "requirements.lock"]
    how = [tool, "pip", "install", "--python", python] if tool != "pip" else \
        [python, "-I", "-m", "pip", "install", "--no-input", "--progress-bar", "off"]
    if anew:
        progress.run("installing anew", [*how, "--force-reinstall", "--no-deps", *lock, *anew], root, env, explain)
    progress.run("installing packages", [*how, *lock, "-e", f".[{extras(root)}]"], root, env, explain)


def _same_place(stamp: str, root: str) -> bool:
    """`.venv` was finished here and its Python is unchanged, so that only packages have to be brought up to date."""
    now = bootstrap.recipe(root)
    return now != "" and stamp.split("\n")[:3] == now.split("\n")[:3]


def _check_foreign(root: str) -> None:
    """An environment that somebody else made is never removed."""
    venv = bootstrap.venv_of(root)
    ours = bootstrap.read(bootstrap.stamp_of(root)) or os.path.isdir(venv) and not os.listdir(venv)
    if os.path.lexists(venv) and not ours:
        raise TitoError("there is already a .venv here that tito did not make", why=f"it would have to be replaced: {venv}",
                        fix="move it away; or use its Python, after: pip install -c requirements.lock -e " + f'".[{extras(root)}]"',
                        code=ExitCode.ENVIRONMENT)


def _clear(root: str) -> None:
    """An empty `.venv` with the mark of one that is being made."""
    venv = bootstrap.venv_of(root)
    if os.path.isdir(venv):
        shutil.rmtree(venv)
    os.makedirs(venv)
    _stamp(root, MAKING)


def _stamp(root: str, text: str) -> None:
    path = bootstrap.stamp_of(root)
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(path + ".new", path)


def _tools(keep: bool) -> list[str]:
    """The installers to try, best first."""
    uv = shutil.which("uv")
    return ([uv] if uv else []) + (["pip"] if keep or _has("venv") and _has("ensurepip") else [])


def _has(module: str) -> bool:
    from importlib.util import find_spec

    return find_spec(module) is not None


def extras(root: str) -> str:
    """A student edition has no authors' half."""
    return "lab,grading,dev" if os.path.isdir(os.path.join(root, "tito", "dev")) else "lab"


def _check_python() -> None:
    if sys.version_info[:2] >= bootstrap.OLDEST:
        return
    newer = _newer_python()
    raise TitoError("this Python is too old",
                    why="it is Python {}.{}; TinyTorch needs {}.{} or newer".format(*sys.version_info[:2], *bootstrap.OLDEST),
                    fix=f"run: {newer} -m tito" if newer else "install a newer one from python.org, then run this command with it",
                    code=ExitCode.ENVIRONMENT)


def _newer_python() -> str | None:
    """The name of a new enough interpreter on PATH that really starts (version managers leave names that do not)."""
    import subprocess

    for minor in range(19, bootstrap.OLDEST[1] - 1, -1):
        name = f"python3.{minor}"
        if shutil.which(name) and subprocess.run([name, "-V"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0:
            return name
    return None


def _check_disk(root: str) -> None:
    needed = 800 if "dev" in extras(root) else 450
    free = shutil.disk_usage(root).free // 10**6
    if free < needed:
        raise TitoError("the disk is too full", why=f"{free} MB are free in {root}, and the packages need about {needed} MB",
                        fix="make room and run the command again", code=ExitCode.ENVIRONMENT)


def _announce(root: str, keep: bool, tool: str) -> None:
    how = "pip" if tool == "pip" else "uv"
    say(f"tito brings the packages in .venv up to date, with {how}" if keep else
        f"tito works in an environment of its own. This once, it makes {bootstrap.venv_of(root)}\n"
        f"and installs there, with {how}, what pyproject.toml asks for, in the versions of requirements.lock.")


def _private(root: str) -> str:
    """The folder for tito's own files, made where it is missing."""
    folder = os.path.join(root, ".tito")
    os.makedirs(folder, exist_ok=True)
    return folder
