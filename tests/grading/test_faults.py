"""Kills at random: whatever dies, and when, the command run again and again until it says OK leaves what an undisturbed run leaves.

A run of every day does 42 jobs; with TITO_ALL=1 it is 501.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from grading.assignment import Assignment
from grading.author.generate import generate
from grading.term import Term
from tests.grading import small
from tests.grading.clusters import ROOT, Cluster, environment, needs_bubblewrap, needs_dask
from tests.grading.postgres import Cluster as Postgres
from tests.grading.postgres import absent
from tests.grading.test_autograde import dump, hand_in
from tests.sampling import ALL
from tito.course import Course
from tito.errors import ExitCode

STUDENTS = 167 if ALL else 14
KILLS = 60 if ALL else 6
SECONDS = 1800.0 if ALL else 240.0      # then it hangs

pytestmark = [needs_bubblewrap, pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks processes up in /proc")]

COMMAND = [sys.executable, "-m", "tito", "grade", "autograde", "--json"]
ANSWERS: dict[str, dict[str, str]] = {
    "right": {},
    "wrong": {"mean": "#| export\ndef mean(numbers):\n    return total(numbers) / 3\n",
              "scale": "#| export\ndef scale(x):\n    return np.asarray(x) - mean(x)\n",
              "mix": "#| export\ndef mix(a, b, share):\n    return a\n"},
    "raises": {"total": "#| export\ndef total(numbers):\n    return numbers[0]\n", "scale": "raise RuntimeError('here')", "mix": "1 +"},
    "ends Python": {"total": "#| export\nimport os\ndef total(numbers):\n    os._exit(0)\n", "scale": "import os; os._exit(7)",
                    "mix": "#| export\ndef mix(a, b, share):\n    import sys; sys.exit()\n"},
    "nothing": {},
}


# ---- the term, and a run of it that nothing happens to -----------------------------------------------

@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A term with many submissions."""
    root = tmp_path_factory.mktemp("faults")
    term = small.write_term(root)
    kinds = list(ANSWERS)
    for module in term.course.modules:
        assignment = Assignment.current(term, module)
        for n in range(STUDENTS):
            kind = kinds[(n + module.number) % len(kinds)]
            notebook = small.unanswered(assignment) if kind == "nothing" else small.answered(assignment, **ANSWERS[kind])
            notebook["cells"][-1]["source"] += f"\n# by student {n}"
            hand_in(term, f"s{n:03d}", module.number, notebook)
    return root


def copied(template: Path, to: Path, url: str = "sqlite:///gradebook.db") -> Term:
    """The same term elsewhere, with its gradebook elsewhere; its course is a repository of its own, with all commands."""
    shutil.copytree(template, to)
    root = next(path.parent for path in to.glob("*/settings.ini"))
    shutil.copytree(ROOT / "grading", root / "grading", ignore=shutil.ignore_patterns("__pycache__"))
    with (root / "settings.ini").open("a", encoding="utf-8") as file:
        file.write(f"\n[gradebook]\nurl = {url}\n")
    term = Term.open(Course(root))
    generate(term, term.course.modules, progress=lambda *_: None)
    return term


def results(term: Term) -> dict[str, dict[str, Any]]:
    """All verdicts, but for the time that they took."""
    found = {path.relative_to(term.folder).as_posix(): json.loads(path.read_text(encoding="utf-8"))
             for path in term.path("results").rglob("*.json") if not path.name.startswith(".")}
    return {name: {**facts, "seconds": 0} for name, facts in found.items()}


@pytest.fixture(scope="module")
def undisturbed(template: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[tuple[Any, ...]], dict[str, dict[str, Any]]]:
    term = copied(template, tmp_path_factory.mktemp("undisturbed") / "term")
    done = subprocess.run(COMMAND, cwd=term.course.root, env=of(term), capture_output=True, text=True, check=False)
    assert done.returncode == ExitCode.OK, done.stderr
    facts = json.loads(done.stdout)
    assert facts["states"] == {"graded": 3 * STUDENTS} and len(results(term)) == 3 * STUDENTS
    assert {"passed", "failed", "error", "skipped"} <= set(facts["cells"])
    return dump(term), results(term)


def of(term: Term) -> dict[str, str]:
    """The environment of a process of that course."""
    return environment(PYTHONPATH=str(term.course.root))


# ---- the killer --------------------------------------------------------------------------------------

def processes() -> dict[int, tuple[int, str]]:
    """{pid: (parent, name)} of everything that runs."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            head, _, rest = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")
            found[int(stat.parent.name)] = (int(rest.split()[1]), head.partition("(")[2])
    return found


def below(pid: int, table: dict[int, tuple[int, str]]) -> list[int]:
    """All that a process has started, and what those have."""
    own = [child for child, (parent, _) in table.items() if parent == pid]
    return own + [each for child in own for each in below(child, table)]


def shot(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


@dataclass
class Run:
    """The command, started again whenever it ends otherwise than well, and everything that may be killed meanwhile."""

    term: Term
    seed: int
    cluster: Cluster | None = None
    postgres: Postgres | None = None
    starts: int = 0
    killed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.process = self._start()

    def _start(self) -> subprocess.Popen[str]:
        self.starts += 1
        command = [*COMMAND, *(["--cluster", self.cluster.address] if self.cluster else [])]
        return subprocess.Popen(command, cwd=self.term.course.root, env=of(self.term), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True)

    def to_its_end(self) -> dict[str, Any]:
        """The last report, which says OK."""
        targets = self._targets()
        plan = [targets[n % len(targets)] for n in range(KILLS)]
        self.random.shuffle(plan)
        counts = sorted(self.random.randrange(2 * STUDENTS) for _ in plan)      # of the results that are there when it comes
        deadline, trouble = time.monotonic() + SECONDS, ""
        while True:
            assert time.monotonic() < deadline, f"still at work after {SECONDS:g} s; killed: {self.killed}; {trouble}"
            if plan and self._count() >= counts[0] and self.process.poll() is None and plan[0]():
                self.killed.append(plan.pop(0).__name__)
                counts.pop(0)
            time.sleep(self.random.uniform(0.0, 0.3))
            self._tend()
            if self.process.poll() is not None:
                said, trouble = self.process.communicate()
                if self.process.returncode == ExitCode.OK:
                    return json.loads(said)         # type: ignore[no-any-return]
                assert self.process.returncode in (-signal.SIGKILL, ExitCode.INFRASTRUCTURE), said + trouble
                self.process = self._start()

    def _tend(self) -> None:
        """Start anew what has ended, as whoever runs a cluster and a server does."""
        if self.cluster:
            self.cluster.tend()
        if self.postgres and self.postgres.server and self.postgres.server.poll() is not None:
            with suppress(RuntimeError):                # what the old one has left behind is still there: the next time
                self.postgres.start()

    def _count(self) -> int:
        return sum(1 for _ in self.term.path("results").glob("*/*/*.json"))

    def _targets(self) -> list[Callable[[], bool]]:
        found = [self.coordinator, self.sandbox, self.worker]
        if self.cluster:
            found += [self.nanny, self.scheduler]
        if self.postgres:
            found.append(self.database)
        return found

    def _at_work(self, name: str) -> list[int]:
        """Processes of ours, by what they run."""
        table = processes()
        roots = [nanny.pid for nanny in self.cluster.nannies] if self.cluster else [self.process.pid]
        return [pid for root in roots for pid in below(root, table) if table[pid][1] == name]

    def coordinator(self) -> bool:
        self.process.kill()
        return True

    def sandbox(self) -> bool:
        """Any process of any sandbox, outside or in."""
        table = processes()
        inside = [pid for box in self._at_work("bwrap") for pid in (box, *below(box, table))]
        return self._one_of(inside)

    def worker(self) -> bool:
        """The parent of a sandbox."""
        table = processes()
        boxes = self._at_work("bwrap")
        return self._one_of([table[pid][0] for pid in boxes if pid in table and table[pid][0] not in boxes])

    def nanny(self) -> bool:
        assert self.cluster
        return self._one_of([nanny.pid for nanny in self.cluster.nannies if nanny.poll() is None])

    def scheduler(self) -> bool:
        assert self.cluster
        shot(self.cluster.scheduler.pid)
        return True

    def database(self) -> bool:
        assert self.postgres and self.postgres.server
        shot(self.postgres.server.pid)
        return True

    def _one_of(self, pids: list[int]) -> bool:
        if pids:
            shot(self.random.choice(pids))
        return bool(pids)

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


def check(run: Run, undisturbed: tuple[list[tuple[Any, ...]], dict[str, dict[str, Any]]]) -> None:
    """No grade lost, none doubled, none wrong."""
    last = run.to_its_end()
    assert last["submissions"] == 3 * STUDENTS and last["infra"] == []
    assert len(run.killed) == KILLS, f"the end came before all kills; there were {run.killed}"
    grades, verdicts = undisturbed
    assert results(run.term) == verdicts
    assert dump(run.term) == grades


# ---- the tests -----------------------------------------------------------------------------------------

@pytest.fixture(autouse=True)
def rubbish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a process that is killed leaves its temporary files."""
    (tmp_path / "rubbish").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "rubbish"))


@pytest.fixture
def closing_all() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_this_machine_and_sqlite(template: Path, undisturbed: Any, tmp_path: Path, closing_all: ExitStack) -> None:
    term = copied(template, tmp_path / "term")
    check(closing_all.enter_context(closing(Run(term, seed=1))), undisturbed)


@needs_dask
@pytest.mark.skipif(bool(absent()), reason=absent())
def test_a_cluster_and_postgresql(template: Path, undisturbed: Any, tmp_path: Path, closing_all: ExitStack) -> None:
    postgres = Postgres()
    closing_all.callback(postgres.remove)
    postgres.make()
    term = copied(template, tmp_path / "term", postgres.database())
    cluster = closing_all.enter_context(closing(Cluster(tmp_path, PYTHONPATH=of(term)["PYTHONPATH"])))
    check(closing_all.enter_context(closing(Run(term, seed=2, cluster=cluster, postgres=postgres))), undisturbed)
