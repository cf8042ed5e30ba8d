"""The storm: is anything lost when commands are killed?  `python -m benchmarks.kills [--runs 1000] [--seed 0] [--jobs 2]`.

A small edition in a temporary folder; one command after the other is started and killed at a random moment, while the notebook is saved
again and again, as JupyterLab saves (in place) and as other editors do (by renaming).  After every run: the state can be read, each
version that a command replaced is there or kept, the package is a whole export and the recorded one, and the next command finds nothing
in its way.  In the end no process is left.  Exit code 1 where anything was lost.  POSIX only.
"""

from __future__ import annotations

import argparse
import os
import pty
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from benchmarks.saver import QUICK, VERSION, Saver, edition, notebook, version
from tito import history, journal
from tito import state as progress
from tito.cells import read_notebook
from tito.cli.status import overview
from tito.course import Course
from tito.errors import TitoError
from tito.export import module_text

HOME = Path(__file__).resolve().parents[1]
MOMENTS = "before", "during", "after", "ended"      # when a command was killed: before it changed anything, in the middle, after it; or not
COMMANDS = {"start": ("module", "start", "01", "--no-open"), "test": ("module", "test", "01"), "complete": ("module", "complete", "01"),
            "reset": ("module", "reset", "01", "--yes"), "undo": ("module", "undo", "01"), "watch": ("watch", "01")}
WRITING = 0.005         # seconds that a change takes to be written, about
WATCHED = 3.0           # seconds: watch ends when it is ended
PATIENCE = 8.0          # seconds that a judging process has to see that nobody listens any more
LOCK = threading.Lock()


@dataclass
class Storm:
    """One edition, and what happened to it."""

    course: Course
    chance: random.Random
    usual: dict[str, float]
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    losses: list[str] = field(default_factory=list)
    groups: list[int] = field(default_factory=list)
    kept: dict[int, str] = field(default_factory=dict)          # version: the folder that keeps it
    seen: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.module = self.course.modules[0]
        self.saver = Saver(self.module.notebook, random.Random(self.chance.random()))

    def blow(self, runs: int) -> None:
        """So many commands, one after the other."""
        self.saver.start()
        for number in range(runs):
            self.one(self.chance.choice(sorted(self.usual.keys() - {"tito"})), number)
        self.saver.over.set()
        self.saver.join()
        self.seen.clear()
        self.kept.clear()
        self.check("at the end")

    def one(self, name: str, number: int) -> None:
        self.saver.rest = self.usual[name] if name == "start" else QUICK        # it is to find a missing notebook
        if name == "start":
            self.saver.remove()
        elif not self.module.notebook.exists():
            self.saver.again()
        before = len(history.names(self.course, self.module))
        way = self.chance.choice(("any moment", "at work", "at work", "writing"))
        process = Process(self.course.root, COMMANDS[name])
        if way == "writing":
            process.wait_until(lambda: journal.interrupted(self.course.root), self.usual[name] * 2)
            moment = self.chance.expovariate(1 / WRITING)
        else:
            moment = self.chance.uniform(0 if way == "any moment" else self.usual["tito"], self.usual[name])
        code = process.killed_after(moment, group=way == "any moment")
        if group_alive(process.pid):
            self.groups.append(process.pid)
        interrupted = journal.interrupted(self.course.root)
        after = len(history.names(self.course, self.module)) > before
        self.usual[name] *= 1.03 if code < 0 else 0.95          # a machine is busier at times
        self.counts[name, "ended" if code >= 0 else "during" if interrupted else "after" if after else "before"] += 1
        if code >= 0 and (code not in (0, 1, 2, 5) or b"Traceback" in process.said):        # 2: nothing to undo; 5: read while it was saved
            self.losses.append(f"run {number}, {name} ended with {code}: {process.said.decode(errors='replace')}")
        self.check(f"run {number}, {name}")
        if number % 25 == 0 and (process := Process(self.course.root, ("module", "history", "01"))).killed_after(60, group=False):
            self.losses.append(f"run {number}, history after {name}: {process.said.decode(errors='replace')}")

    def check(self, where: str) -> None:
        """Whether all is there and whole."""
        try:
            content = (self.course.root / progress.STATE).read_bytes() if (self.course.root / progress.STATE).exists() else None
            if content is not None:
                progress.parse(content)
            overview(self.course, detailed=True)                # as the next command does: it settles what was interrupted
            state = progress.load(self.course)
        except TitoError as err:
            self.losses.append(f"{where}: {err.what} ({err.why})")
            return
        self.check_package(where, state.completed.get(1))
        with self.saver.pause:
            self.look()
            there = {version(self.module.notebook.read_bytes())} if self.module.notebook.exists() else set()
            for lost in sorted(self.saver.saved - self.saver.overwritten - set(self.kept) - there):
                self.losses.append(f"{where}: version {lost} is lost")
                self.saver.overwritten.add(lost)                # said once

    def look(self) -> None:
        """Learn which versions are kept.  What an editor still writes when it is moved is whole a moment later: the last are read again."""
        names = history.names(self.course, self.module)
        for name in [n for n in names if n not in self.seen] + names[-3:]:
            self.seen.add(name)
            for path in (history.folder(self.course, self.module) / name).glob("*.ipynb*"):
                if (found := version(path.read_bytes())) is not None:
                    self.kept[found] = name

    def check_package(self, where: str, record: progress.Record | None) -> None:
        path = self.course.package / "core/alpha.py"
        content = path.read_bytes() if path.exists() else None
        if (content is None) != (record is None) or content is not None and record and sha256(content).hexdigest() != record.export_sha256:
            self.losses.append(f"{where}: the package is not what was recorded")
        elif content is not None and ((found := VERSION.search(content)) is None or content != exported(self.course, int(found[1]))):
            self.losses.append(f"{where}: the package holds half an export")


@cache
def _exported(text: bytes, name: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "alpha_dev.ipynb"
        path.write_bytes(text)
        return module_text(read_notebook(path), name).encode()


def exported(course: Course, number: int) -> bytes:
    """What a version is exported as, when it is whole."""
    with LOCK:                                              # nbdev was not made for two at once
        return _exported(notebook(number), course.modules[0].notebook.relative_to(course.root).as_posix())


class Process:
    """One command, on a terminal of its own where it is one that watches."""

    def __init__(self, root: Path, arguments: tuple[str, ...]):
        self.said, self.output = b"", tempfile.TemporaryFile()
        terminal: Any = {"stdin": subprocess.DEVNULL, "stdout": self.output, "stderr": self.output}
        self.ends = pty.openpty() if arguments[0] == "watch" else ()
        if self.ends:
            terminal = dict.fromkeys(terminal, self.ends[1])
        env = {**os.environ, "PYTHONPATH": str(HOME), "TITO_BOOTSTRAP": "0", "TMPDIR": str(root.parent)}
        self.process = subprocess.Popen([sys.executable, "-m", "tito", *arguments], cwd=root, env=env, start_new_session=True, **terminal)
        self.pid = self.process.pid

    def wait_until(self, true: Callable[[], bool], seconds: float) -> None:
        """Until something is true, or it has ended, or for so long."""
        until = time.monotonic() + seconds
        while not true() and self.process.poll() is None and time.monotonic() < until:
            time.sleep(0.0005)

    def killed_after(self, seconds: float, *, group: bool) -> int:
        """Its exit code, negative where it was killed; a group is all that it has started too."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            (os.killpg if group else os.kill)(self.pid, signal.SIGKILL)
        code = self.process.wait()
        for end in self.ends:
            os.close(end)
        self.output.seek(0)
        self.said = self.output.read()
        self.output.close()
        return code


def group_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):           # macOS says the second of a group that is ending
        return False
    return True


def orphans(groups: list[int]) -> int:
    """How many commands have left a process that does not end by itself; those are ended here."""
    until = time.monotonic() + PATIENCE
    while (left := [g for g in groups if group_alive(g)]) and time.monotonic() < until:
        time.sleep(0.1)
    for group in left:
        os.killpg(group, signal.SIGKILL)
    return len(left)


def usual(course: Course) -> dict[str, float]:
    """How long each command takes that there is, and tito itself."""
    times = {}
    for name, arguments in {"tito": ("--version",), **COMMANDS}.items():
        if name == "watch":
            help_, there = Process(course.root, ("--help",)), False
            there = help_.killed_after(60, group=False) == 0 and b"\n  watch " in help_.said
            times |= {"watch": WATCHED} if there else {}
            continue
        begin = time.monotonic()
        Process(course.root, arguments).killed_after(60, group=False)
        times[name] = (time.monotonic() - begin) * 1.3
    return times


def table(storms: list[Storm], left: int) -> str:
    """What happened, command by command, and what is left of it."""
    counts = sum((s.counts for s in storms), Counter())
    names = [name for name in COMMANDS if any(counts[name, moment] for moment in MOMENTS)]
    rows = [[name, *(counts[name, moment] for moment in MOMENTS), sum(counts[name, moment] for moment in MOMENTS)] for name in names]
    rows.append(["all", *(sum(column) for column in list(zip(*rows))[1:])])
    lines = [f"{'killed':<10}" + "".join(f"{title:>9}" for title in (*MOMENTS, "runs"))]
    lines += [f"{name:<10}" + "".join(f"{count:>9}" for count in numbers) for name, *numbers in rows]
    saved = sum(len(s.saver.saved) for s in storms)
    kept = sum(len(s.kept.keys() & s.saver.saved) for s in storms)
    by_saver = sum(len((s.saver.overwritten & s.saver.saved) - s.kept.keys()) for s in storms)
    return "\n".join([*lines, "", f"{saved} versions saved: {by_saver} overwritten by the next save, {kept} kept, "
                      f"{saved - by_saver - kept} on the disk", f"{left} processes left"])


def main(arguments: list[str] | None = None) -> int:
    """Let the storm blow, and tell what it has left."""
    parser = argparse.ArgumentParser(description="Kill commands at random moments, and look whether anything is lost.")
    parser.add_argument("--runs", type=int, default=1000, metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the moments; the machine adds its own chance")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), metavar="J", help="editions side by side")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(chosen.jobs) as pool:
        courses = [edition(Path(folder).resolve() / f"{job} ü" / "edition") for job in range(chosen.jobs)]
        times = usual(courses[0])
        begun = times.pop("tito")
        storms = [Storm(course, random.Random(f"{chosen.seed}-{job}"), {"tito": begun, **times}) for job, course in enumerate(courses)]
        shares = [chosen.runs // chosen.jobs + (job < chosen.runs % chosen.jobs) for job in range(chosen.jobs)]
        list(pool.map(Storm.blow, storms, shares))
        left = orphans([group for storm in storms for group in storm.groups])
        losses = [loss for storm in storms for loss in storm.losses]
        print(table(storms, left))
    print(*losses[:20], sep="\n")
    return 1 if losses or left else 0


if __name__ == "__main__":
    sys.exit(main())
