"""How soon `tito watch` answers a save, and what it keeps: `python -m benchmarks.watch [--saves N] [--json FILE]`.  POSIX only.

A student's notebook of module 01 is saved again and again, by turns with a mistake that learners make, right, and with other words in
its text; by turns in place and by renaming, as editors do.  Every verdict is compared with what it must be.  Exit code 1 where the 95th
percentile is 2 s or more, where the watching process grows, or where a verdict is wrong.
"""

from __future__ import annotations

import json
import math
import os
import pty
import select
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.report import Row, options, report
from tito.course import Course, Module
from tito.dev.checks.mistake import load_mistakes
from tito.dev.demo import write_solutions
from tito.dev.edition import make_edition
from tito.export import SOLUTION_MARK

NUMBER, SECONDS, SETTLED, PATIENCE = "01", 2.0, 50, 60.0
MEGABYTES = 8.0                     # by which memory may grow from save SETTLED on: caches fill
CHECKED, NOTHING, PASSED = b"checked in", b"nothing to check again", b"module complete"


class Watched:
    """`tito watch` on a pseudo terminal."""

    def __init__(self, edition: Path):
        self.terminal, inner = pty.openpty()
        env = {**os.environ, "TITO_BOOTSTRAP": "0", "PYTHONPATH": str(edition), "TERM": "xterm"}
        self.process = subprocess.Popen([sys.executable, "-m", "tito", "watch", NUMBER], cwd=edition, env=env, stdin=inner, stdout=inner,
                                        stderr=inner, start_new_session=True)
        os.close(inner)

    def until(self, *words: bytes) -> bytes:
        """What it prints up to one of these words, and the keys' line after a verdict."""
        said, end = b"", time.monotonic() + PATIENCE
        while not any(word in said and (word != CHECKED or b"q quit" in said.partition(word)[2]) for word in words):
            if not select.select([self.terminal], [], [], max(0.0, end - time.monotonic()))[0]:
                raise TimeoutError(f"it only said {said[-500:]!r}")
            said += os.read(self.terminal, 1 << 16)
        return said

    def quit(self) -> int:
        os.write(self.terminal, b"q")
        try:
            return self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            os.close(self.terminal)


def settled(pid: int) -> dict[str, float]:
    """What a process has when it waits: a pipe to a process that has just ended may be open for a moment."""
    found = []
    for _ in range(5):
        time.sleep(0.1)
        found.append(holds(pid))
    return {name: min(each[name] for each in found) for name in found[0]}


def holds(pid: int) -> dict[str, float]:
    """What a process has of the machine: MB, and open files, threads and processes where the system tells."""
    proc = Path("/proc", str(pid))
    if not proc.is_dir():
        return {"memory, MB": float(subprocess.check_output(["ps", "-o", "rss=", "-p", str(pid)])) / 1024}
    status = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines())
    children = sum(len(task.joinpath("children").read_text().split()) for task in (proc / "task").iterdir())
    return {"memory, MB": int(status["VmRSS"].split()[0]) / 1024, "open files": len(list((proc / "fd").iterdir())),
            "threads": int(status["Threads"]), "processes": children}


def save(path: Path, text: str, *, in_place: bool) -> None:
    """As JupyterLab does, or as editors do that rename."""
    if in_place:
        path.write_text(text, encoding="utf-8")
        return
    beside = path.with_suffix(".tmp")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)


def versions(notebook: dict[str, Any], module: Module) -> Iterator[tuple[str, bytes, bool]]:
    """For ever: a notebook's text, the word that ends what is said of it, and whether all passes."""
    solved, mistakes = module.read(), load_mistakes(module.folder / "mistakes.py")[0]
    text = notebook["cells"][0]
    answers = {marks["grade_id"]: cell for cell in notebook["cells"] if (marks := cell["metadata"].get("nbgrader")) and marks["solution"]}
    for turn in range(sys.maxsize):
        mistake = mistakes[turn % len(mistakes)]
        cell = answers[mistake.grade_id]
        right, cell["source"] = cell["source"], SOLUTION_MARK.sub("", mistake.in_cell(solved).source).rstrip("\n")
        yield json.dumps(notebook, indent=1), CHECKED, False
        text["source"] = f"Words that were written {turn} times."
        yield json.dumps(notebook, indent=1), NOTHING, False
        cell["source"] = right
        yield json.dumps(notebook, indent=1), CHECKED, True


def measure(edition: Path, module: Module, saves: int) -> tuple[list[float], dict[str, float], str]:
    """Seconds from each save to its verdict, by how much the process has grown, and what was wrong."""
    path = Course(edition).module(NUMBER).notebook
    write_solutions(path, module)
    turns = versions(json.loads(path.read_text(encoding="utf-8")), module)
    watched, times, first = Watched(edition), [], {}
    try:
        watched.until(CHECKED)
        for n in range(saves):
            text, word, passes = next(turns)
            save(path, text, in_place=n % 2 == 0)
            start = time.perf_counter()
            said = watched.until(CHECKED, NOTHING)
            times.append(time.perf_counter() - start)
            if word not in said or passes != (PASSED in said):
                return times, {}, f"save {n + 1} was answered by {said[-300:]!r}"
            if n + 1 == min(SETTLED, saves // 2):
                first = settled(watched.process.pid)
        last = settled(watched.process.pid)
    finally:
        code = watched.quit()
    return times, {name: last[name] - first[name] for name in last}, f"it ended with {code}" if code else ""


def main() -> int:
    """Measure in a fresh edition."""
    parser = options("How soon `tito watch` answers a save, and what it keeps.")
    parser.add_argument("--saves", metavar="N", type=int, default=500, help="how often the notebook is saved (500)")
    chosen, course = parser.parse_args(), Course.find()
    with tempfile.TemporaryDirectory() as folder:
        edition = Path(folder).resolve() / "edition"
        make_edition(course, edition)
        times, grown, wrong = measure(edition, course.module(NUMBER), max(4, chosen.saves))
    late = statistics.quantiles(times, n=20)[-1] if len(times) > 1 else math.inf
    figures = {"50th percentile": (statistics.median(times), math.inf), "95th percentile": (late, SECONDS),
               "longest": (max(times), math.inf)}
    rows = [Row(f"save to verdict, {name}", value, None, "s", gate, absolute=True, error=wrong) for name, (value, gate) in figures.items()]
    rows += [Row(f"growth in {name}", value, None, "", MEGABYTES if "MB" in name else 0.0, absolute=True) for name, value in grown.items()]
    code = report(rows, chosen.json, saves=len(times), times=times)
    return max(code, int(late >= SECONDS))


if __name__ == "__main__":
    sys.exit(main())
