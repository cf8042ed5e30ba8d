"""Student code in bubblewrap: namespaces of its own, nothing but the kit to see, nothing of value to write to."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from contextlib import suppress
from functools import lru_cache
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import IO, TextIO

from grading.sandbox import inside, seccomp
from grading.sandbox.limits import Limits
from grading.sandbox.process import Process
from grading.sandbox.watch import Bubble
from tito.check.process import Launch

TRIAL = "import {}; print(\"ready\", flush=True); input()\n"


class Bubblewrap:
    """The sandbox that is used wherever it works: Linux, as root or as anybody."""

    name = "bubblewrap"

    def __init__(self, packages: tuple[str, ...] = inside.PACKAGES):
        self.packages = packages

    def home(self, kit: Path) -> Path:
        """Where the kit is for the code inside."""
        return Path("/kit")

    def launch(self, kit: Path, slot: int, limits: Limits) -> Launch:
        """Starts judging processes on a kit.  They end with the process that starts them, whatever may happen to it."""
        compiled(kit)
        return lambda work, errors: self.start(kit, slot, limits, errors)

    def works(self) -> str:
        """Why it cannot be used here, or nothing: a small sandbox is really started, once."""
        return _trial(self.packages)

    def command(self, kit: Path, slot: int, limits: Limits, *, rules: int, info: int, root: bool) -> list[str]:
        """The command line.  `rules`: a descriptor to read the filter of system calls from, `info`: one to write pids to."""
        uid = inside.FIRST_UID + slot
        words = [shutil.which("bwrap") or "bwrap", "--new-session", "--as-pid-1", "--clearenv",
                 "--hostname", "sandbox", "--unshare-net", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try",
                 "--cap-drop", "ALL"]
        if root:                                        # to become another user, for which enter.py gives up the rest
            words += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--cap-add", "CAP_SETPCAP"]
        else:                                           # a namespace of users counts its processes by itself
            words += ["--unshare-user", "--uid", str(uid), "--gid", str(uid)]
        words += ["--seccomp", str(rules), "--info-fd", str(info)]
        words += _laid_out(self.packages) + inside.show(inside.ENTER, "/enter.py") + inside.show(kit, "/kit")
        for folder, size in limits.folders().items():
            words += ["--size", str(size), "--perms", "1777", "--tmpfs", folder]
        words += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/work"]
        for key, value in self.environment().items():
            words += ["--setenv", key, value]
        job = {"module": "tito.check.child", "first": True, "uid": uid if root else None, "limits": limits.resources()}
        return [*words, "--", "/python/bin/python", "/enter.py", json.dumps(job)]

    def environment(self) -> dict[str, str]:
        """The variables inside."""
        return inside.environment(f"/kit:{inside.SITE}", "/tmp") | {"LD_LIBRARY_PATH": "/python/lib"}

    def start(self, kit: Path, slot: int, limits: Limits, errors: IO[bytes]) -> Process:
        """One process at work; OSError where none can be made."""
        with os.fdopen(os.memfd_create("filter"), "wb", buffering=0) as rules:
            rules.write(seccomp.program(seccomp.machine()))
            rules.seek(0)
            told, info = os.pipe()
            with os.fdopen(told, encoding="ascii") as heard:
                try:
                    command = self.command(kit, slot, limits, rules=rules.fileno(), info=info, root=os.geteuid() == 0)
                    # it holds both ends of the pipe: if we die now, and its word is heard by nobody, that must not end it half way
                    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/",
                                             pass_fds=(rules.fileno(), info, told), env={})
                finally:
                    os.close(info)
                pid = _first_pid(heard) or child.pid
        return Process(child, errors, limits, Bubble(pid, limits))


def _first_pid(heard: TextIO) -> int:
    """What bubblewrap says of the process that is the first one inside; 0 where it could not make one: then stderr says why."""
    lines = []
    for line in heard:                                  # not to the end: by chance, a fork of ours may hold the pipe open
        lines.append(line)
        if line.startswith("}"):
            return int(json.loads("".join(lines))["child-pid"])
    return 0


@lru_cache(maxsize=4)
def _laid_out(packages: tuple[str, ...]) -> list[str]:
    """What is the same for every kit."""
    return inside.stands(inside.system() + inside.python() + inside.packages(packages)) + ["--proc", "/proc", "--dev", "/dev"]


@lru_cache(maxsize=4)
def _trial(packages: tuple[str, ...]) -> str:
    if shutil.which("bwrap") is None:
        return "it is not installed"
    if not seccomp.machine():
        return f"its filter of system calls is not made for processors like {os.uname().machine}"
    try:
        inside.packages(packages)
    except PackageNotFoundError as err:
        return f"the package {err} is not installed here"
    with tempfile.TemporaryDirectory(prefix="tito-trial-") as folder:
        return _try(Bubblewrap(packages), Path(folder))


def _try(sandbox: Bubblewrap, kit: Path) -> str:
    """Start one, and look at it from outside; why that does not work, or nothing."""
    child = kit / "tito" / "check" / "child.py"
    child.parent.mkdir(parents=True)
    child.write_text(TRIAL.format("numpy" if "numpy" in sandbox.packages else "math"), encoding="utf-8")
    for each in (kit, *kit.rglob("*")):
        each.chmod(0o755 if each.is_dir() else 0o644)
    with tempfile.TemporaryFile() as errors:
        process = sandbox.start(kit, 0, Limits(wall_seconds=20), errors)
        with suppress(BrokenPipeError), process.stdin, process.stdout:
            seen = process.stdout.readline() == b"ready\n" and not process.box.look()
            process.stdin.write(b"\n")                  # refused where it has ended already
        code = process.wait()
        errors.seek(0)
        words = errors.read().decode("utf-8", "replace").strip().rpartition("\n")[2]
    return "" if seen and code == 0 else process.ended or words or f"a trial ended with exit code {code}"


@lru_cache(maxsize=64)
def compiled(kit: Path) -> None:
    """Compile a kit once: inside, where it cannot be written to, each process would do it again."""
    import compileall

    compileall.compile_dir(kit, ddir="/kit", quiet=2)
