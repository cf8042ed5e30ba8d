"""The process that tries wrong answers on one module: `python -m tito.dev.checks.worker`, a job on stdin, a JSON line for each trial.

It runs the solved notebook cell by cell, and before each cell it forks: a child puts a wrong answer in the place of the cell, runs on to
the first graded cell that fails, and tells of it.  What stands before the cell was run once for all of them, nothing of one trial reaches
another, and one that hangs is ended by the system's limit on processor time.  Where there is no fork (Windows), there is no such process.
"""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import random
import signal
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tito import notebook
from tito.cells import Cell
from tito.check import expect
from tito.check.child import Cells, Wire, read_job, silence
from tito.check.failure import CheckFailed
from tito.check.probing import Probe, View, load_probes
from tito.check.site import spots
from tito.dev.checks.mistake import with_cell
from tito.dev.checks.second import Call, Recorder, Replay, perturbed

SECONDS = 5                     # of processor time, for one trial, and for every seed with which the answers themselves are run
PROBE_SEEDS = (0, 1, 2)
SECOND_SEED, SECOND = 7, "<second>"                     # of a test's second input: its seed, and its file in tracebacks
Told = dict[str, Any]


@dataclass
class Bench:
    """The reference in a running process, at one cell, and what it gave."""

    cells: Cells
    probes: list[Probe]
    tests: dict[int, list[Call]] = field(default_factory=dict)      # what the reference gives on the second inputs, by test cell
    values: dict[tuple[int, int], Any] = field(default_factory=dict)            # ... and to the probes: (probe, seed)
    owners: dict[int, dict[str, list[list[Call]]]] = field(default_factory=dict)    # by test cell: hint -> what mistakes of that hint give

    def __post_init__(self) -> None:
        tests = self.cells.document.tests               # compiled here, once for all trials
        self.second = {test.index: compile(perturbed(test.source, SECOND_SEED), SECOND, "exec") for test in tests}

    @property
    def view(self) -> View:
        import tinytorch
        return View(self.cells.space, tinytorch)

    # ---- the reference -------------------------------------------------------------------------

    def learn(self, seeds: list[int]) -> tuple[dict[int, list[Call]], dict[tuple[int, int], Any]]:
        """Run everything, then the tests on second inputs, then the probes.  RuntimeError where the reference fails."""
        for cell in self.cells.judged:
            if error := self.cells.one(cell):
                raise RuntimeError(f"the answers fail in cell {cell.index + 1} ({cell.grade_id}): {type(error).__name__}: {error}")
        tests = {cell.index: self.recorded(cell) for cell in self.cells.document.tests}
        values = {}
        for n, probe in enumerate(self.probes):
            for seed in seeds:
                try:
                    values[n, seed] = probe.values(self.view, seed)
                except Exception as error:
                    raise RuntimeError(f"probe `{probe.name}` fails on the answers: {type(error).__name__}: {error}") from error
        return tests, values

    def recorded(self, test: Cell) -> list[Call]:
        """What a test's calls are given on its second input; nothing after an exception."""
        recorder = Recorder()
        with contextlib.suppress(Exception):
            self.on_second(test, recorder)
        return recorder.calls

    def on_second(self, test: Cell, expect: Recorder | Replay) -> None:
        """Run a test on its second input, with this in the place of `expect`."""
        exec(self.second[test.index], {**self.cells.space, "expect": expect})

    # ---- one trial -----------------------------------------------------------------------------

    def attempt(self, cell: Cell, seeds: Sequence[int], alone: bool = False) -> Told:
        """Who sees that `cell` is wrong: {"by": "visible" | "probe" | ""}, with the failing row or the probe's name.

        `alone`: and which probe sees it, were no visible check there to see it first.
        """
        self.cells.document = with_cell(self.cells.document, cell)
        found: Told = {}
        for each in self.cells.judged:
            if each.index < cell.index or (error := self.cells.one(each)) is None:
                continue
            if each.test and "second" not in found and "state" not in found.get("row", {}):
                found = {"by": "visible", "row": self.cells.told(each, error)["row"], **self.again(each, error)}
                if not alone:
                    return found
            elif each.exported or each.solution:
                found = found or _seen_at(each, self.cells.told(each, error)["trouble"]["error"])
        hidden = self.probed(seeds) if alone or not found else {}
        return {**(found or hidden), **({"hidden": hidden.get("probe", "")} if alone else {})}

    def probed(self, seeds: Sequence[int]) -> Told:
        """The first probe whose answer is not the reference's."""
        for n, probe in enumerate(self.probes):
            for seed in seeds:
                try:
                    found = probe.compare(probe.values(self.view, seed), self.values[n, seed])
                except Exception as error:
                    found = f"{type(error).__name__}: {error}"
                if found:
                    return {"by": "probe", "probe": probe.name, "differs": found, "grade_id": probe.grade_id}
        return {"by": ""}

    def again(self, test: Cell, error: BaseException) -> Told:
        """The second input, where a check failed: the hint that it gets there, and whether at the same check."""
        if not isinstance(error, CheckFailed):
            return {}
        line, hint, same_check = _line(error, f"<cell {test.index + 1}>"), None, False
        try:
            self.on_second(test, Replay(self.tests[test.index], self.owners.get(test.index, {})))
        except CheckFailed as second:
            hint, same_check = second.hint, _line(second, SECOND) == line
        except Exception as other:
            hint = f"{type(other).__name__}: {other}"
        return {"second": {"hint": hint, "same_check": same_check, "first": error.hint}}

    def made(self, cell: Cell) -> tuple[int, str, list[Call]] | None:
        """Of a handwritten mistake: the test cell that fails, the hint, and what its calls are given on the second input."""
        told = self.attempt(cell, [])
        if told["by"] != "visible" or "second" not in told:
            return None
        test = self.cells.document.cells[told["row"]["cell"] - 1]
        return test.index, told["second"]["first"], self.recorded(test)


def _seen_at(cell: Cell, what: str) -> Told:
    """Seen without a graded cell: what happened, and in which cell."""
    return {"by": "visible", "row": {"grade_id": cell.grade_id, "got": what}}


def _line(error: BaseException, file: str) -> int:
    """The line of the test that failed."""
    return next((s.line for s in spots(error) if s.file == file and s.code.co_name != "<module>"), 0)


# ---- processes ---------------------------------------------------------------------------------

def forked(work: Callable[[], Any], seconds: int = SECONDS) -> Any:
    """`work()` in a copy of this process: its value, or what ended it as {"ended": ...}."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        _limit(seconds)
        try:
            value = work()
        except BaseException as error:                  # also SystemExit: it is the copy's end in any case
            value = {"ended": f"{type(error).__name__}: {error}"}
        with os.fdopen(write, "wb") as pipe:
            pickle.dump(value, pipe)
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        said = pipe.read()
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        late = os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL)
        return {"ended": f"still running after {seconds} seconds" if late else f"signal {os.WTERMSIG(status)}"}
    return pickle.loads(said) if said else {"ended": f"exit code {os.WEXITSTATUS(status)}"}


def _limit(seconds: int) -> None:
    import resource
    until = seconds + int(sum(os.times()[:2]))
    resource.setrlimit(resource.RLIMIT_CPU, (until, until + 1))


def seeded(seed: int) -> None:
    """Make every generator that is left to itself begin with a number of our own, so that a trial can be repeated."""
    start = iter(range(seed * 1000, (seed + 1) * 1000))
    real = np.random.default_rng

    def default_rng(given: Any = None) -> np.random.Generator:
        return real(next(start) if given is None else given)

    random.seed(seed)
    np.random.default_rng = default_rng         # type: ignore[assignment]
    np.random.seed(seed)


def trials(bench: Bench, job: dict[str, Any]) -> Iterator[tuple[int, Told]]:
    """Every trial of the job at its cell: (its place in the job, what came of it)."""
    todo: dict[int, list[int]] = {}
    for n, trial in enumerate(job["trials"]):
        todo.setdefault(trial["cell"], []).append(n)
    for cell in bench.cells.judged:
        here = todo.get(cell.index, ())
        for mistake in (m for m in job["mistakes"] if here and m["cell"] == cell.index):
            made = forked(partial(bench.made, replace(cell, source=mistake["source"])))
            if isinstance(made, tuple):
                test, hint, calls = made
                bench.owners.setdefault(test, {}).setdefault(hint, []).append(calls)
        for n in here:
            trial = job["trials"][n]
            told = forked(partial(bench.attempt, replace(cell, source=trial["source"]), PROBE_SEEDS, trial.get("alone", False)))
            yield n, _seen_at(cell, told["ended"]) if "ended" in told else told
        if error := bench.cells.one(cell):
            raise RuntimeError(f"the answers fail in cell {cell.index + 1}: {error}")


def run_seeds(bench: Bench, seeds: list[int]) -> Iterator[tuple[int, Told]]:
    """The answers themselves, each time with other random numbers: nothing may fail."""

    def once(seed: int) -> Told:
        seeded(seed)
        return bench.attempt(bench.cells.judged[0], [seed])

    for seed in seeds:
        yield seed, forked(partial(once, seed))


def main() -> None:
    job, document = read_job(sys.stdin.buffer.read().decode("utf-8"))
    wire = Wire()
    space = types.ModuleType("__main__")
    sys.modules["__main__"] = space
    silence()
    sys.path[0] = job["root"]
    notebook.hide(job["root"], job["number"])
    seeded(1000)
    probes = load_probes(Path(job["probes"])) if job["probes"] else []
    bench = Bench(Cells(document, job["module"], expect, space.__dict__), probes)
    gc.freeze()
    try:
        seeds = sorted({*PROBE_SEEDS, *job["seeds"]})
        learnt = forked(partial(bench.learn, seeds), SECONDS * len(seeds))
        if isinstance(learnt, dict):
            raise RuntimeError(learnt["ended"])
        bench.tests, bench.values = learnt
        for seed, told in run_seeds(bench, job["seeds"]):
            wire.send("seed", seed=seed, **told)
        for n, told in trials(bench, job) if job["trials"] else ():
            wire.send("trial", n=n, **told)
    except RuntimeError as error:
        wire.send("infra", error=str(error))
    wire.send("done")
    os._exit(0)


if __name__ == "__main__":
    main()
