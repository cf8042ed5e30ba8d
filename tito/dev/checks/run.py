"""`tito dev check`: the questions of several modules, asked on all cores, with what is known already taken from a file."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import platform
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import numpy

from tito.course import Course, Module
from tito.dev.checks.ask import Facts, Task, tasks
from tito.dev.checks.audit import Audit
from tito.dev.checks.report import page
from tito.dev.checks.subject import Subject, package_file
from tito.dev.lint import lint

SAMPLE = 50                     # mutants of a fresh sample
RESULTS, PAGE = Path("docs/checks.json"), Path("docs/checks.md")      # of the last run of everything: written by `write`, committed
CODE = ("tito/check", "tito/dev/checks", "tito/cells.py", "tito/notebook.py")
Progress = Callable[[int, int, str], None]


def check(course: Course, modules: Iterable[Module], *, known: dict[str, Facts], seed: int, progress: Progress) -> list[Audit]:
    """An audit of each module: only a fresh sample of mutants where `known` has its content already ({module: facts})."""
    planned = []
    for module in modules:
        subject, content = Subject(course, module), digest(course, module)
        facts = known.get(module.label, {})
        same = facts.get("digest") == content
        audit = Audit(module.label, content, complete=not same, equivalent=[asdict(e) for e in subject.written[1]],
                      lint=[f"line {p.line}: {p.message}" for p in lint(course, module) if not p.warning])
        planned.append((audit, list(tasks(subject, sample=SAMPLE, seed=seed or int(content[:8], 16), everything=not same))))
    _run(planned, progress)
    return [audit for audit, _ in planned]


def _run(planned: list[tuple[Audit, list[Task]]], progress: Progress) -> None:
    """Every task, on as many threads as there are cores (the work is in processes of their own); facts are taken up in the tasks' order."""
    total, done = sum(len(tasks) for _, tasks in planned), 0
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        waiting = [(audit, pool.submit(_timed, task)) for audit, tasks in planned for task in tasks]
        for audit, future in waiting:
            progress(done, total, audit.module)
            facts, seconds = future.result()
            audit.add(facts)
            audit.seconds += seconds
            done += 1
    progress(total, total, "")


def _timed(task: Task) -> tuple[Facts, float]:
    began = time.monotonic()
    return task(), time.monotonic() - began


# ---- what is known already ---------------------------------------------------------------------

def digest(course: Course, module: Module) -> str:
    """Of everything on which a module's audit depends: its files, the package before it, the checks, Python and numpy."""
    parts = [platform.python_version_tuple()[:2], numpy.__version__]
    files = [module.source, module.folder / "probes.py", module.folder / "mistakes.py"]
    files += [course.root / package_file(m) for m in course.modules if m.number < module.number]
    files += [path for name in CODE for path in sorted(_python(course.root / name))]
    parts += [(path.relative_to(course.root).as_posix(), path.read_text(encoding="utf-8")) for path in files if path.exists()]
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _python(path: Path) -> list[Path]:
    return [path] if path.is_file() else list(path.rglob("*.py"))


def load(path: Path) -> dict[str, Facts]:
    """{module: facts} of an earlier run; nothing where there is none that can be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["modules"]
    except (OSError, ValueError, KeyError):
        return {}
    return {facts["module"]: facts for facts in found}


def write(course: Course, audits: Sequence[Audit]) -> None:
    """Write down what is known, for the next run and for readers."""
    today = datetime.date.today().isoformat()
    known = [{"module": a.module, "digest": a.digest} for a in audits if not any(a.problems())]
    (course.root / RESULTS).parent.mkdir(exist_ok=True)
    (course.root / RESULTS).write_text(json.dumps({"date": today, "modules": known}, indent=1) + "\n", encoding="utf-8")
    (course.root / PAGE).write_text(page(audits, today, SAMPLE), encoding="utf-8")
