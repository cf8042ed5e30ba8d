"""`tito dev check`: the questions of several modules, asked on all cores; what is known of the same content is not asked again.

Two files know: `docs/checks.json`, which is committed, says which content passed a full run, so that a sample is enough; `build/checks/`
keeps whole audits for the one who works on a module.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import sys
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


def check(course: Course, modules: Iterable[Module], *, known: dict[str, Facts], seed: int = 0, again: bool = False,
          progress: Progress = lambda done, total, what: None) -> list[Audit]:
    """An audit of each module: only a fresh sample of mutants where `known` has its content already ({module: facts}).

    `again`: do not look at what is kept of earlier runs.
    """
    audits: list[Audit] = []
    planned = []
    for module in modules:
        content = digest(course, module)
        full = known.get(module.label, {}).get("digest") != content
        kept = _kept(course, module, content, seed, full)
        audit = None if again else _read(kept)
        if audit is None:
            subject = Subject(course, module)
            audit = Audit(module.label, content, complete=full, equivalent=[asdict(e) for e in subject.written[1]],
                          lint=[f"line {p.line}: {p.message}" for p in lint(course, module) if not p.warning])
            asked = list(tasks(subject, sample=SAMPLE, seed=seed or int(content[:8], 16), everything=full))
            planned.append((audit, asked, kept))
        audits.append(audit)
    _run([(audit, asked) for audit, asked, _ in planned], progress)
    for audit, _, kept in planned:
        _keep(kept, audit)
    return audits


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
    """Of the content on which a module's audit depends: its files, the package before it, and the checks."""
    files = [module.source, module.folder / "probes.py", module.folder / "mistakes.py"]
    files += [course.root / package_file(m) for m in course.modules if m.number < module.number]
    files += [path for name in CODE for path in sorted(_python(course.root / name))]
    parts = [(path.relative_to(course.root).as_posix(), path.read_text(encoding="utf-8")) for path in files if path.exists()]
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _python(path: Path) -> list[Path]:
    return [path] if path.is_file() else list(path.rglob("*.py"))


def _kept(course: Course, module: Module, content: str, seed: int, full: bool) -> Path:
    """Where the audit of this content is kept; another Python or numpy might give another."""
    versions = f"{sys.version_info[0]}.{sys.version_info[1]}-{numpy.__version__}"
    return course.root / "build" / "checks" / module.folder.name / f"{content}-{versions}-{seed}{'' if full else '-sample'}.json"


def _read(path: Path) -> Audit | None:
    try:
        return Audit.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _keep(path: Path, audit: Audit) -> None:
    """Keep an audit, in place of those of other contents.  One that could not be carried out is asked for again."""
    if audit.infra:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    for old in path.parent.glob("*.json"):
        if not old.name.startswith(audit.digest):
            old.unlink()
    path.write_text(json.dumps(audit.to_dict()), encoding="utf-8")


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
