"""`tito demo`: a student edition is built and worked through as a student would, then the milestones run on what came out of it.

Nothing is acted: the commands are the real ones, each in a process of its own, and whatever goes otherwise than it should is an error.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tito import milestones
from tito.course import Course, Module
from tito.dev.source import notebook
from tito.errors import ExitCode, TitoError
from tito.export import SOLUTION_MARK

MARK = ".tito-demo"             # in a folder that a demo made, and that the next one may therefore replace
STEPS = ("start", "test the stubs", "write", "test", "complete")
FEW = 6                         # bars of a milestone that are told
PATIENCE = 300.0                # seconds for one command: only a command that hangs takes longer


def demo(course: Course, target: Path | None = None) -> int:
    """Builds an edition in `target` (default: build/demo), works through it, runs the milestones.  TitoError at the first surprise."""
    began = time.monotonic()
    folder = (target or course.root / "build" / "demo").absolute()
    console = Console(markup=False, highlight=False, emoji=False, soft_wrap=True)
    _clear(folder, ours=target is None)
    with _progress(console) as progress:
        student = Student(folder, console)
        task = progress.add_task("building a student edition", total=1 + len(STEPS) * len(course.modules))
        Student(course.root, console).tito("init", _shown(course, folder), show="a student edition")
        (folder / MARK).write_text("made by tito demo, which replaces it the next time\n", encoding="utf-8")
        console.print(f"$ cd {_shown(course, folder)}")
        progress.advance(task)
        for module in course.modules:
            for step in _work_through(student, course, module):
                progress.update(task, advance=1, description=f"{module.label}: {step}")
        student.tito(show="complete")
    passed = _milestones(student, course)
    console.print(f"\nA student edition was built in {folder},\n{len(course.modules)} modules were worked through, and the package that "
                  f"came out of them passed {len(passed)} milestones:\n" + "\n".join(f"  {line}" for line in passed)
                  + f"\npictures in {folder / 'build' / 'milestones'}\n{time.monotonic() - began:.0f} s in all")
    return ExitCode.OK


@dataclass(frozen=True)
class Student:
    """Somebody who types commands in a folder."""

    folder: Path
    console: Console

    def tito(self, *args: str, code: int = 0, show: str = "") -> list[str]:
        """Runs `tito …` and returns what it printed; the lines with `show` in them are shown."""
        lines = self.run("-m", "tito", *args, shown=" ".join(["tito", *args]), code=code)
        for line in lines:
            if show and show in line:
                self.console.print(f"  {line.strip()}")
        return lines

    def run(self, *args: str, shown: str, code: int, errors: int | None = subprocess.STDOUT) -> list[str]:
        """Runs this Python with arguments in the folder; TitoError where the exit code is not `code`."""
        self.console.print(f"$ {shown}")
        done = subprocess.run([sys.executable, *args], cwd=self.folder, env={**os.environ, "PYTHONUTF8": "1"}, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=errors, encoding="utf-8", errors="replace", timeout=PATIENCE)
        lines = done.stdout.splitlines()
        if done.returncode != code:
            raise _surprise(f"`{shown}` ended with exit code {done.returncode}, not {code}", lines, self.folder)
        return lines


def _work_through(student: Student, course: Course, module: Module) -> Iterator[str]:
    """One module from its stubs to the package; yields what comes next."""
    number = f"{module.number:02d}"
    yield STEPS[0]
    student.console.print()
    student.tito("module", "start", number, "--no-open", show="ready")
    yield STEPS[1]
    lines = student.tito("module", "test", number, code=ExitCode.CHECKS_FAILED)
    if passed := [line for line in lines if line.startswith("passed")]:
        raise _surprise(f"{module.label}: a check passes although nothing was written", passed, student.folder)
    student.console.print("\n".join(f"  {line}" for line in _first_card(lines)))
    yield STEPS[2]
    written = write_solutions(student.folder / module.notebook.relative_to(course.root), module)
    student.console.print(f"# ... {written} answers are written ...")
    yield STEPS[3]
    student.tito("module", "test", number, show=f"{module.label}  ")
    yield STEPS[4]
    student.tito("module", "complete", number, show="complete ")


def _milestones(student: Student, course: Course) -> list[str]:
    """Run those that the modules suffice for, in their short form where they have one; a line for each."""
    student.console.print()
    listed = json.loads("\n".join(student.tito("milestone", "list", "--json")))["milestones"]
    passed = []
    for found in listed:
        if found["missing"]:
            continue
        short = milestones.find(course, number := str(found["number"])).short
        lines = student.tito("milestone", "run", number, *(("--", *short) if short else ()), show="passed  ")
        bars = [line.removeprefix("passed  ").partition("  ")[0] for line in lines if line.startswith("passed  ")]
        if len(bars) > FEW:
            bars[FEW - 1:] = [f"{len(bars) - FEW + 1} more"]
        passed.append(f"{found['year']} {found['name']}{' in short' if short else ''}: {'; '.join(bars)}")
    return passed


def write_solutions(path: Path, module: Module) -> int:
    """Puts the source's answers into a student's notebook, by grade_id; how many."""
    answers = {marks["grade_id"]: cell["source"] for cell in notebook(module.source)["cells"]
               if (marks := cell["metadata"].get("nbgrader")) and marks.get("solution")}
    work = json.loads(path.read_text(encoding="utf-8"))
    written = 0
    for cell in work["cells"]:
        name = cell["metadata"].get("nbgrader", {}).get("grade_id")
        if name in answers:
            cell["source"] = SOLUTION_MARK.sub("", answers[name]).rstrip("\n")
            written += 1
    path.write_text(json.dumps(work, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return written


def _first_card(lines: list[str]) -> list[str]:
    """The card that `module test` shows in full: the paragraph after the list of checks."""
    paragraphs = "\n".join(lines).split("\n\n")
    return paragraphs[1].splitlines() if len(paragraphs) > 1 else []


def _clear(folder: Path, *, ours: bool) -> None:
    """Removes an earlier demo.  TitoError where the folder holds anything else."""
    if not folder.exists() or folder.is_dir() and not any(folder.iterdir()):
        return
    if not ours and not (folder / MARK).is_file():
        raise TitoError(f"{folder} is not empty, and no demo made it", why="a demo replaces only what a demo has made",
                        fix="name a folder that does not exist yet")
    shutil.rmtree(folder)


def _progress(console: Console) -> Progress:
    """A bar below the lines on a terminal; elsewhere the lines are the progress."""
    return Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console,
                    transient=True, disable=not console.is_terminal)


def _surprise(what: str, lines: list[str], folder: Path) -> TitoError:
    last = " / ".join(line.strip() for line in lines[-12:] if line.strip())
    return TitoError(what, why=f"it printed: {last or 'nothing'}", fix=f"look at it in {folder}", code=ExitCode.CHECKS_FAILED)


def _shown(course: Course, folder: Path) -> str:
    return str(folder.relative_to(course.root)) if folder.is_relative_to(course.root) else str(folder)
