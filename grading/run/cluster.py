"""Jobs on a Dask cluster: its scheduler spreads them and starts those of dead workers anew; here is what it does not do."""

from __future__ import annotations

import hashlib
import logging
import queue
import sys
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import CancelledError
from contextlib import closing, suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grading
import tito
from grading.run.jobs import AHEAD, Ended, Job, JobError, Outcome, Work, attempt, slot
from tito.errors import ExitCode, TitoError

if TYPE_CHECKING:
    from distributed import Client, Future

PATIENCE = 60.0             # seconds to wait for a scheduler, or for the first or the next worker
LOOK = 1.0                  # seconds between two looks at the cluster's health
ROUNDS = 3                  # that a job is given to the scheduler, which itself tries it on four workers
FETCH = 30.0                # seconds for a result to come over


@cache
def installed() -> dict[str, str]:
    """What decides a verdict on this machine: the course's own code, Python and NumPy."""
    digest = hashlib.sha256()
    for home in (Path(grading.__file__).parent, Path(tito.__file__).parent):
        for path in sorted(home.rglob("*.py")):
            digest.update(f"{home.name}/{path.relative_to(home).as_posix()}\n".encode() + path.read_bytes())
    return {"code": digest.hexdigest()[:12], "Python": "{}.{}".format(*sys.version_info), "numpy": version("numpy")}


def call(work: Work, job: Job, wanted: dict[str, str]) -> tuple[str, Any]:
    """What a worker does: ("done", the outcome), or ("differs", what is installed there) with nothing done."""
    if installed() != wanted:
        return "differs", installed()
    with slot() as number:
        return "done", attempt(work, job, number)


class Dask:
    """The workers of a scheduler.  A job whose worker dies is done again; where the scheduler goes, it is waited for."""

    name = "dask"

    def __init__(self, address: str, patience: float = PATIENCE):
        self.address, self.patience = address, patience

    def run(self, work: Work, jobs: Iterable[Job]) -> Ended:
        numbered = enumerate(jobs)
        left: dict[int, Job] = {}
        killed: Counter[int] = Counter()
        deadline = time.monotonic() + self.patience
        while True:
            try:
                with closing(_Session(self.address, work, deadline, self.patience)) as session:
                    for number, job in left.items():
                        session.submit(number, job)
                    while True:
                        while len(left) < session.window and (fresh := next(numbered, None)):
                            left[fresh[0]] = fresh[1]
                            session.submit(*fresh)
                        if not left:
                            return
                        number, outcome = session.next()
                        if isinstance(outcome, _Killed):
                            killed[number] += 1
                            if killed[number] < ROUNDS:
                                session.submit(number, left[number])
                                continue
                        yield left.pop(number), outcome
                        deadline = 0.0
            except _Lost:                           # what was under way is done again: a job may be done twice, and is told once
                deadline = deadline or time.monotonic() + self.patience
                if time.monotonic() >= deadline:
                    raise _unusable(f"the scheduler at {self.address} goes away again and again") from None


class _Killed(JobError):
    """Workers died over a job: perhaps because of another one that they had as well."""


class _Lost(Exception):
    """The scheduler went away."""


class _Session:
    """One connection to a scheduler, and the jobs that it was given."""

    def __init__(self, address: str, work: Work, deadline: float, patience: float):
        self.address, self.work, self.patience = address, work, patience
        self.done: queue.Queue[Future[Any]] = queue.Queue()
        self.numbers: dict[Any, int] = {}           # a task's key -> its job's number
        self.known: set[str] = set()                # workers that have our code
        self.client = self._connect(deadline)
        try:
            self._look()
        except BaseException:
            self.close()
            raise

    def _connect(self, deadline: float) -> Client:
        try:
            from distributed import Client
        except ImportError as err:
            raise TitoError("Dask is not installed here", why=str(err), fix='install it with: pip install -e ".[scale]"',
                            code=ExitCode.ENVIRONMENT) from None
        for name in ("distributed", "distributed.client"):                  # what they log, we say in a sentence
            logging.getLogger(name).setLevel(logging.CRITICAL)
        while True:
            try:
                return Client(self.address, timeout=max(1.0, deadline - time.monotonic()), set_as_default=False)
            except (OSError, ValueError) as err:    # TimeoutError is an OSError
                if time.monotonic() >= deadline or isinstance(err, ValueError):
                    raise _unusable(f"the scheduler at {self.address} does not answer") from None
            time.sleep(0.1)

    def _look(self) -> None:
        """How many jobs may be under way, and that every new worker has our code.  TitoError where no worker turns up."""
        deadline = time.monotonic() + self.patience
        while not (threads := self._asked(self.client.nthreads)):
            if time.monotonic() >= deadline:
                raise _unusable(f"the scheduler at {self.address} has no workers")
            time.sleep(0.1)
        self.window = AHEAD * sum(threads.values())
        if new := set(threads) - self.known:
            self._compare(sorted(new))
        self.known, self.looked = set(threads), time.monotonic()

    def _asked(self, question: Any, *args: Any, **options: Any) -> Any:
        try:
            return question(*args, **options)
        except (OSError, CancelledError, RuntimeError) as err:              # RuntimeError: the client has closed itself
            raise _Lost from err

    def _compare(self, workers: list[str]) -> None:
        """TitoError where a worker has other code than ours, or none; one that has just died says nothing."""
        for worker, theirs in self._asked(self.client.run, installed, workers=workers, on_error="return").items():
            if isinstance(theirs, Exception) and not isinstance(theirs, OSError):
                raise _differs(f"the worker at {worker} cannot load it: {theirs}")
            if isinstance(theirs, dict) and theirs != installed():
                raise _differs(f"the worker at {worker} has {_told(theirs)}; here is {_told(installed())}")

    def submit(self, number: int, job: Job) -> None:
        future = self._asked(self.client.submit, call, self.work, job, installed(), pure=False)
        self.numbers[future.key] = number
        future.add_done_callback(self.done.put)

    def next(self) -> tuple[int, Outcome]:
        """The next job that has ended, by its number.  _Lost where the scheduler is."""
        while True:
            if time.monotonic() >= self.looked + LOOK:
                self._look()
            with suppress(queue.Empty):
                future = self.done.get(timeout=LOOK)
                return self.numbers.pop(future.key), self._outcome(future)
            if self.client.status != "running":
                raise _Lost

    def _outcome(self, future: Future[Any]) -> Outcome:
        from distributed.scheduler import KilledWorker
        try:
            kind, outcome = future.result(timeout=FETCH)
        except KilledWorker as err:
            return _Killed(f"{ROUNDS} times {err.allowed_failures + 1} workers died over it")
        except ImportError as err:
            raise _differs(f"a worker cannot load it: {err}") from None
        except (OSError, CancelledError) as err:
            raise _Lost from err
        if kind == "differs":
            raise _differs(f"a worker has {_told(outcome)}; here is {_told(installed())}")
        return outcome      # type: ignore[no-any-return]

    def close(self) -> None:
        """Let go of everything: the scheduler forgets what we no longer want."""
        with suppress(OSError, CancelledError, RuntimeError):
            self.client.close(timeout=2.0)


def _unusable(why: str) -> TitoError:
    return TitoError("the cluster cannot be used", why=why,
                     fix="see that its scheduler and its workers run, then run the same command again: what is done is kept",
                     code=ExitCode.INFRASTRUCTURE)


def _differs(why: str) -> TitoError:
    return TitoError("a worker of the cluster has another course than this one", why=why,
                     fix="install the same commit there, and the same Python and numpy; then start that worker anew",
                     code=ExitCode.INFRASTRUCTURE)


def _told(facts: dict[str, str]) -> str:
    return ", ".join(f"{name} {text}" for name, text in facts.items())
