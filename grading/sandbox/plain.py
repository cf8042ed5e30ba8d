"""No sandbox: a process of this machine with limits, as free as whoever starts it.  Only where --unsafe asks for it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from grading.sandbox import inside
from grading.sandbox.limits import Limits
from grading.sandbox.process import Process
from tito.check.process import Launch

PER_USER = ("nproc",)       # all that the person runs would count


class Plain:
    """What --unsafe stands for; every result says so."""

    name = "none"

    def home(self, kit: Path) -> Path:
        """Where the kit is for the code inside."""
        return kit

    def launch(self, kit: Path, slot: int, limits: Limits) -> Launch:
        """Starts judging processes on a kit, in the folder that they are given."""
        return lambda work, errors: self._start(kit, limits, work, errors)

    def works(self) -> str:
        """It always does."""
        return ""

    def environment(self, kit: Path, work: Path) -> dict[str, str]:
        """The variables of the process: what Windows cannot do without is kept."""
        kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
        return inside.environment(str(kit), str(work)) | kept

    def _start(self, kit: Path, limits: Limits, work: Path, errors: IO[bytes]) -> Process:
        resources = {name: value for name, value in limits.resources().items() if name not in PER_USER}
        job = {"module": "tito.check.child", "first": False, "limits": resources}
        child = subprocess.Popen([sys.executable, str(inside.ENTER), json.dumps(job)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, cwd=work, env=self.environment(kit, work), start_new_session=True)
        return Process(child, errors, limits, Group(child))


@dataclass
class Group:
    """A process and those that it started and that did not leave its session."""

    child: subprocess.Popen[bytes]

    def look(self) -> str:
        return ""

    def end(self) -> None:
        if not hasattr(os, "killpg"):                   # Windows
            self.child.kill()
            return
        try:
            os.killpg(self.child.pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    def close(self) -> None:
        """Nothing is held."""
