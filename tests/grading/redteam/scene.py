"""What attacks are after: a term with secrets and neighbours, a course with its solutions, services that tell; and what was touched."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.grading.redteam.targets import CANARY, ROOT, TARGETS

WON = "had-its-way-51c2"            # what an attack on the machine says when nothing stopped it
RUN = f"tt-redteam-{os.getpid()}"   # begins what stands where others see it; other test runs have theirs
MARK = f"{RUN}-mark"                # begins the name of every file that an attack leaves elsewhere
OPEN = (Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"))


class Scene:
    """The places, and a service that tells the canary to everyone who calls."""

    def __init__(self, folder: Path):
        self.folder, self.term, self.course, self.drop = folder, folder / "term", folder / "course", folder / "drop"
        self.servers = [socket.create_server(("0.0.0.0", 0)), socket.socket(socket.AF_UNIX)]
        self.servers[1].bind(f"\0{RUN}")
        self.servers[1].listen()
        self.victim = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", CANARY])
        self._fill()
        self._opened = (self.term / "secret").open()
        os.set_inheritable(self._opened.fileno(), True)
        for server in self.servers:
            threading.Thread(target=self._serve, args=(server,), daemon=True).start()

    def _fill(self) -> None:
        tensor = TARGETS["tensor"].assignment
        for part in ("modules/01_tensor", "tinytorch"):
            shutil.copytree(ROOT / part, self.course / part, ignore=shutil.ignore_patterns("__pycache__"))
        (self.course / "settings.ini").write_text("[course]\n", encoding="utf-8")
        (self.course / "modules/01_tensor/probes.py").write_text(tensor.probes, encoding="utf-8")
        solved, plain = json.dumps(tensor.solved), json.dumps(TARGETS["plain"].solved)
        for place, text in {"secret": CANARY, "gradebook.db": f"SQLite {CANARY}", "source/01_tensor/tensor_dev.ipynb": solved,
                            "submitted/neighbour/01_tensor/tensor_dev.ipynb": solved, "source/01_plain/plain_dev.ipynb": plain,
                            "submitted/neighbour/01_plain/plain_dev.ipynb": plain, "results/neighbour.json": CANARY,
                            "assignments/01_tensor/0.answers.json": CANARY}.items():
            (self.term / place).parent.mkdir(parents=True, exist_ok=True)
            (self.term / place).write_text(text, encoding="utf-8")
        self.drop.mkdir()
        for each in (self.folder, *self.folder.rglob("*")):     # open to everybody: only a sandbox protects it
            each.chmod(0o777 if each.is_dir() else 0o666)
        self.before = self._state()

    @property
    def places(self) -> dict[str, str]:
        """What the names in the attacks' code stand for."""
        half, quarter = len(WON) // 2, len(CANARY) // 2
        return {"TERM": str(self.term), "COURSE": str(self.course), "DROP": str(self.drop), "PORT": str(self.servers[0].getsockname()[1]),
                "SOCKET": RUN, "HOST": _address(), "MARK": MARK, "VICTIM": str(self.victim.pid),
                "WON1": WON[:half], "WON2": WON[half:], "CANARY1": CANARY[:quarter], "CANARY2": CANARY[quarter:]}

    def _state(self) -> dict[str, bytes]:
        files = (p for top in (self.term, self.course, self.drop) for p in top.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
        return {str(p): p.read_bytes() for p in files}

    def touched(self) -> list[str]:
        """What an attack has left or changed; all is as it was afterwards."""
        now = self._state()
        found = [name for name in {*now, *self.before} if now.get(name) != self.before.get(name)]
        for name in found:
            if name in self.before:
                Path(name).write_bytes(self.before[name])
            else:
                Path(name).unlink()
        for path in [p for folder in OPEN for p in [*folder.glob(f"{MARK}*"), *folder.glob(f"tito-*/work/{MARK}*")]]:
            found.append(str(path))
            path.unlink(missing_ok=True)
        if self.victim.poll() is not None:
            found.append("the victim")
            self.victim = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", CANARY])
        return found

    def close(self) -> None:
        for server in self.servers:
            server.close()
        self._opened.close()
        self.victim.kill()
        self.victim.wait()

    @staticmethod
    def _serve(server: socket.socket) -> None:
        while True:
            try:
                line, _ = server.accept()
                with line:
                    line.sendall(CANARY.encode())
            except OSError:
                return


@contextmanager
def scene() -> Iterator[Scene]:
    """A scene for as long as it is needed; the canary stands in this process's environment, too."""
    with tempfile.TemporaryDirectory(prefix="tt-redteam-") as folder:
        made = Scene(Path(folder))
        os.environ["TT_SECRET"] = CANARY
        try:
            yield made
        finally:
            del os.environ["TT_SECRET"]
            made.close()


def leaked(text: str) -> bool:
    """Whether a secret, or an attack's word that it had its way, stands in a text."""
    return CANARY in text or WON in text


def _address() -> str:
    """This machine's address for others, without asking anybody; loopback where it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        try:
            line.connect(("192.0.2.1", 9))
            return str(line.getsockname()[0])
        except OSError:
            return "127.0.0.2"
