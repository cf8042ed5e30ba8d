"""Student code in a Docker container, for machines without bubblewrap: the same kit, the same limits, an image of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import uuid
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO

from grading.sandbox import inside
from grading.sandbox.limits import Limits
from grading.sandbox.process import Process
from tito.check.process import Launch

ULIMITS = ("cpu", "fsize", "nofile", "core", "msgqueue", "memlock")     # of Limits.resources(); enter.py takes on the others
AFTER = 10                  # seconds after which a container ends that nobody watches any more
PATIENCE = 20.0             # seconds for the engine to answer


class Docker:
    """The sandbox for machines with an engine."""

    name = "docker"

    def __init__(self, image: str):
        self.image = image

    def home(self, kit: Path) -> Path:
        """Where the kit is for the code inside."""
        return Path("/kit")

    def launch(self, kit: Path, slot: int, limits: Limits) -> Launch:
        """Starts judging processes on a kit."""
        return lambda work, errors: self._start(kit, slot, limits, errors)

    def works(self) -> str:
        """Why it cannot be used here, or nothing: the engine answers, and has the image."""
        return _asked(self.image)

    def command(self, name: str, kit: Path, slot: int, limits: Limits) -> list[str]:
        """The command line of a container of that name."""
        user, memory, resources = inside.FIRST_UID + slot, f"{limits.memory_mb}m", limits.resources()
        words = ["docker", "run", "--rm", "-i", "--init", "--name", name, "--pull", "never", "--log-driver", "none",
                 "--hostname", "sandbox", "--network", "none", "--read-only", "--user", f"{user}:{user}",
                 "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
                 "--memory", memory, "--memory-swap", memory, "--pids-limit", str(limits.processes), "--cpus", "1"]
        for key in ULIMITS:
            words += ["--ulimit", f"{key}={resources[key]}:{resources[key]}"]
        for folder, size in limits.folders().items():
            words += ["--tmpfs", f"{folder}:rw,nosuid,nodev,mode=1777,size={size},nr_inodes={limits.files + 1}"]
        for source, place in ((kit, "/kit"), (inside.ENTER, "/enter.py")):
            words += ["--mount", f'type=bind,"source={str(source).replace(chr(34), chr(34) * 2)}",target={place},readonly']
        for key, value in (inside.environment("/kit", "/tmp") | {"PATH": "/usr/local/bin:/usr/bin:/bin"}).items():
            words += ["--env", f"{key}={value}"]
        job = {"module": "tito.check.child", "first": False, "limits": {"as": resources["as"]}}
        return [*words, "--workdir", "/work", "--entrypoint", "timeout", self.image, "--signal=KILL", str(limits.wall_seconds + AFTER),
                "python", "/enter.py", json.dumps(job)]

    def _start(self, kit: Path, slot: int, limits: Limits, errors: IO[bytes]) -> Process:
        name = f"tito-{uuid.uuid4().hex}"
        command = self.command(name, kit, slot, limits)
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        return Process(child, errors, limits, Container(name))


@dataclass
class Container:
    """A container by its name.  The engine itself holds it to its memory and its files."""

    name: str

    def look(self) -> str:
        return ""

    def end(self) -> None:
        try:
            subprocess.run(["docker", "kill", self.name], capture_output=True, timeout=PATIENCE, check=False)
        except subprocess.TimeoutExpired:
            return                                      # `timeout` inside ends it, some seconds later

    def close(self) -> None:
        """--rm has the engine remove it."""


@lru_cache(maxsize=4)
def _asked(image: str) -> str:
    if shutil.which("docker") is None:
        return "it is not installed"
    absent = f"there is no image {image}; make it with: docker build -t {image} -f grading/sandbox/Dockerfile ."
    for words, trouble in ((["version"], "no engine answers"), (["image", "inspect", image], absent)):
        try:
            done = subprocess.run(["docker", *words], capture_output=True, text=True, timeout=PATIENCE, check=False)
        except (OSError, subprocess.TimeoutExpired) as err:
            return f"{trouble} ({type(err).__name__})"
        if done.returncode:
            return trouble
    return ""
