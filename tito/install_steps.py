"""What an installation stands on: one installer at a time, and its output shown as a line that moves.

Standard library only, and syntax that Python 3.8 can read.
"""

from __future__ import annotations

import os
import queue
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import IO

STALE = 20.0            # seconds without a touch after which a lock's holder counts as dead
BEAT = 2.0


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class Lock:
    """A file that exists while somebody installs; its holder touches it, so that one left by a killed process is seen to be stale."""

    def __init__(self, path: str):
        self.path, self.held, self.touched = path, False, 0.0
        self.mine = f"{os.getpid()} {os.urandom(8).hex()}\n"

    def take(self, done: Callable[[], bool]) -> None:
        """Returns when the lock is ours, or, without it, when somebody else has finished (`done`)."""
        told = False
        while not self._create():
            if done():
                return
            if self._stale():
                self._remove(self._holder())
                continue
            if not told:
                say(f"another tito is installing in this folder (process {self._holder().split(' ')[0] or 'unknown'}); waiting for it")
                told = True
            time.sleep(0.2)

    def touch(self) -> None:
        if self.held and time.monotonic() - self.touched > BEAT:
            self.touched = time.monotonic()
            try:
                os.utime(self.path)
            except OSError:
                self.held = False           # somebody took it for stale; the stamp still tells who finished

    def release(self) -> None:
        if self.held and self._holder() == self.mine:
            os.unlink(self.path)
        self.held = False

    def _create(self) -> bool:
        try:
            with open(self.path, "x", encoding="utf-8") as file:
                file.write(self.mine)
        except FileExistsError:
            return False
        self.held = True
        return True

    def _holder(self) -> str:
        try:
            with open(self.path, encoding="utf-8") as file:
                return file.read()
        except OSError:
            return ""

    def _stale(self) -> bool:
        try:
            age = time.time() - os.stat(self.path).st_mtime
        except OSError:
            return False                    # just released
        pid = self._holder().split(" ")[0]
        return age > STALE or age > BEAT and pid.isdigit() and not _alive(int(pid))

    def _remove(self, judged: str) -> None:
        """Removes the lock that was judged stale; moved aside first, because two may do this at once and a third hold a fresh one."""
        aside = f"{self.path}.{os.getpid()}"
        try:
            os.replace(self.path, aside)
        except OSError:
            return
        with open(aside, encoding="utf-8") as file:
            fresh = file.read() != judged
        if fresh and not os.path.exists(self.path):
            os.replace(aside, self.path)
        else:
            os.unlink(aside)


def _alive(pid: int) -> bool:
    if os.name == "nt":
        return True                         # os.kill would end it there; the age decides
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


class Progress:
    """Runs installers; on a terminal as one line that moves, elsewhere as a line now and then; all they say goes into a log."""

    def __init__(self, log: str, beat: Callable[[], None], stream: IO[str] | None = None, pause: float = 10.0):
        self.log, self.beat, self.stream, self.pause = log, beat, stream or sys.stderr, pause
        self.terminal = self.stream.isatty()
        self.found = 0
        with open(log, "w", encoding="utf-8"):
            pass

    def run(self, title: str, command: list[str], cwd: str, env: dict[str, str], explain: Callable[[str], Exception]) -> None:
        """Runs a command to its end; raises `explain(its output)` where it fails."""
        began, news = time.monotonic(), ""
        shown, self.found = began - self.pause * self.terminal, 0
        output: list[str] = []
        child = subprocess.Popen(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                 encoding="utf-8", errors="replace")
        lines = _reader(child)
        try:
            with open(self.log, "a", encoding="utf-8") as log:
                log.write(f"$ {' '.join(command)}\n")
                while True:
                    try:
                        line = lines.get(timeout=0.5)
                        if line is None:
                            break
                        log.write(line)
                        output.append(line)
                        news = self.condense(line) or news
                    except queue.Empty:
                        pass
                    self.beat()
                    now = time.monotonic()
                    if now - shown > (0.1 if self.terminal else self.pause):
                        self._paint(title, now - began, news, moving=True)
                        shown = now
        except BaseException:               # Ctrl-C, or no room for the log: never leave the installer running
            _end(child)
            self._clear()
            raise
        if child.wait() != 0:
            self._clear()
            raise explain("".join(output))
        self._paint(title, time.monotonic() - began, news, moving=False)

    def condense(self, line: str) -> str:
        """What a line of pip or uv tells a person; "" for the many that tell nothing."""
        if match := re.match(r"(?:Collecting|\s*Downloading|\s*Using cached|\s*Building|\s*Obtaining) ([\w.]+)", line):
            self.found += line.startswith("Collecting")
            return (f"{self.found} found, " if self.found else "") + match[1]
        if line.startswith("Installing collected packages"):
            return f"putting {line.count(',') + 1} in place"
        if match := re.match(r"(Resolved|Prepared|Installed) (\d+) packages?", line):
            return f"{match[2]} {match[1].lower()}"
        if match := re.match(r"Successfully installed (.*)", line):
            return f"{len(match[1].split())} installed"
        return ""

    def _paint(self, title: str, seconds: float, news: str, moving: bool) -> None:
        text = f"  {title}  {seconds:3.0f} s  {news}"
        if not self.terminal:
            self.stream.write(text.rstrip() + "\n")
        else:
            self.stream.write(f"\r{text[:78]:78}" + ("" if moving else "\n"))
        self.stream.flush()

    def _clear(self) -> None:
        if self.terminal:
            self.stream.write("\r" + " " * 78 + "\r")


def _end(child: subprocess.Popen[str]) -> None:
    """Asks first, so that the installer can end its own children."""
    child.terminate()
    try:
        child.wait(timeout=5)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        child.kill()
        child.wait()


def _reader(child: subprocess.Popen[str]) -> queue.Queue[str | None]:
    """The child's lines, as they come; None at the end."""
    lines: queue.Queue[str | None] = queue.Queue()

    def pump() -> None:
        assert child.stdout
        for line in child.stdout:
            lines.put(line)
        lines.put(None)

    threading.Thread(target=pump, daemon=True).start()
    return lines
