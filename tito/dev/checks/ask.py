"""What is asked of a module, as tasks that return facts: tasks of all modules share the machine's cores."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from tito.check.process import environment
from tito.check.verdict import Verdict
from tito.dev.checks.mistake import Mistake
from tito.dev.checks.mutate import Mutant, mutants
from tito.dev.checks.subject import Subject, built_to
from tito.errors import ExitCode, TitoError

SEEDS = 20                      # runs of the answers with other random numbers
Facts = dict[str, Any]
Task = Callable[[], Facts]


def tasks(subject: Subject, *, sample: int, seed: int, everything: bool) -> Iterator[Task]:
    """What is asked of a module: all mutants, if `everything`, and `sample` more that are drawn with `seed`."""
    yield partial(_judged, subject, "unsolved", "stub")
    yield partial(_judged, subject, "empty", "stub", prefix=0)
    yield partial(_judged, subject, "solved", "solved")
    yield partial(_judged, subject, "prefix", "solved", prefix=subject.module.number)
    yield from _worker_tasks(subject, sample, seed, everything)


def _judged(subject: Subject, name: str, work: str, prefix: int | None = None) -> Facts:
    """The verdict on the stub or the answers; `prefix`: on a package of modules 1 to this one, and not one file more."""
    with tempfile.TemporaryDirectory(prefix="tito-") as folder:
        root = None if prefix is None else built_to(subject.course, prefix, Path(folder) / "course")
        found = subject.judge(getattr(subject, work), root)
    passed = [r.grade_id for r in found.rows if r.state == "passed"]
    return {name: {"ok": found.ok, "points": found.points, "of": found.max_points, "passed": passed, "cells": len(found.rows)},
            "infra": _infra(found)}


def _infra(found: Verdict) -> list[str]:
    return [r.got for r in found.rows if r.state == "infra"]


# ---- what the worker is asked ------------------------------------------------------------------

def _worker_tasks(subject: Subject, sample: int, seed: int, everything: bool) -> Iterator[Task]:
    if not hasattr(os, "fork"):
        raise TitoError("mutations cannot be tried here", why="each one is tried in a copy of a running process, which Windows cannot make",
                        fix="run tito dev check on Linux or macOS, or in WSL", code=ExitCode.ENVIRONMENT)
    job = _job(subject)
    yield partial(_seeds, job)
    yield partial(_mistakes, subject.written[0], job)
    whole = mutants(subject.solved)
    yield from (partial(_mutants, job, "mutants", part) for part in (whole[::2], whole[1::2]) if part and everything)
    yield partial(_mutants, job, "fresh", _fresh(subject, whole, sample, seed))


def _fresh(subject: Subject, whole: list[Mutant], sample: int, seed: int) -> list[Mutant]:
    """Mutants that are not among those of every full run."""
    known, rng = {m.cell.source for m in whole}, random.Random(seed)
    drawn = {m.cell.source: m for _ in range(3) for m in mutants(subject.solved, rng.randrange(1, 10**9)) if m.cell.source not in known}
    return rng.sample(list(drawn.values()), min(sample, len(drawn)))


def _job(subject: Subject) -> Facts:
    planted = [m.in_cell(subject.solved) for m in subject.written[0]]
    return {"cells": subject.solved.values(), "name": subject.module.source.name,
            "root": str(subject.course.root.resolve()), "number": subject.module.number, "module": subject.module.label,
            "trials": [], "seeds": [],
            "mistakes": [{"cell": c.index, "source": c.source} for c in planted],
            "probes": str(subject.probes) if subject.probes.exists() else ""}


def _seeds(job: Facts) -> Facts:
    """The answers themselves, with other random numbers and another order of sets each time."""
    found: Facts = {"seeds": [], "infra": []}
    for start in range(0, SEEDS, SEEDS // 4):
        events, broken = events_of({**job, "seeds": list(range(start, start + SEEDS // 4))}, hash_seed=start)
        found["infra"] += broken
        found["seeds"] += [{"seed": e["seed"], "seen": sentence(e)} for e in events if e["event"] == "seed"]
    return found


def _mistakes(mistakes: list[Mistake], job: Facts) -> Facts:
    """The handwritten mistakes: who sees them, with which hint, and with which on a second input."""
    told, broken = _tried({**job, "trials": [{**m, "alone": True} for m in job["mistakes"]]})
    rows = [each["row"] if each["by"] == "visible" else {} for each in told]
    return {"mistakes": [{"mistake": str(m), "wanted": m.hint, "seen_by": row.get("grade_id", ""), "hint": row.get("hint", ""),
                          "own": m.hint in row.get("hint", ""), "second": each.get("second"),
                          "hidden": each.get("hidden") or each.get("ended", "")}
                         for m, row, each in zip(mistakes, rows, told)], "infra": broken}


def _mutants(job: Facts, name: str, tried: list[Mutant]) -> Facts:
    told, broken = _tried({**job, "trials": [{"cell": m.cell.index, "source": m.cell.source} for m in tried]})
    return {name: [_mutant(m, each) for m, each in zip(tried, told)], "infra": broken}


def _tried(job: Facts) -> tuple[list[Facts], list[str]]:
    """What came of each trial, in their order, and what kept us from trying."""
    events, broken = events_of(job)
    told = {e["n"]: e for e in events if e["event"] == "trial"}
    if len(told) != len(job["trials"]) and not broken:
        broken = [f"{len(told)} of {len(job['trials'])} trials were told of"]
    return [told[n] for n in sorted(told)] if not broken else [], broken


def events_of(job: Facts, hash_seed: int = 0) -> tuple[list[Facts], list[str]]:
    """What the worker says, and what is wrong with the worker."""
    with tempfile.TemporaryDirectory(prefix="tito-") as folder:
        done = subprocess.run([sys.executable, "-m", "tito.dev.checks.worker"], input=json.dumps(job), capture_output=True, cwd=folder,
                              encoding="utf-8", errors="replace", env={**environment(), "PYTHONHASHSEED": str(hash_seed)})
    events: list[Facts] = [json.loads(line) for line in done.stdout.splitlines()]
    broken = [str(e["error"]) for e in events if e["event"] == "infra"]
    if not broken and (not events or events[-1]["event"] != "done"):
        broken = [done.stderr.strip().split("\n")[-1] or f"exit code {done.returncode}"]
    return events, broken


def _mutant(mutant: Mutant, told: Facts) -> Facts:
    facts = {"grade_id": mutant.grade_id, "operator": mutant.operator, "line": mutant.line, "old": mutant.old, "new": mutant.new,
             "by": told["by"], "seen": sentence(told)}
    return {**facts, **({"second": told["second"]} if "second" in told else {})}


def sentence(told: Facts) -> str:
    """Who saw it, and how; nothing where nobody did."""
    if "ended" in told:
        return str(told["ended"])
    if told["by"] == "probe":
        return f"probe `{told['probe']}`: {told['differs']}"
    return f"{told['row'].get('grade_id')}: {told['row'].get('check') or told['row'].get('got')}" if told["by"] else ""
