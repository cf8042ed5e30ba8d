"""Jobs, several at once and never all in memory: one interface, and the processes of this machine behind it."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import queue
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tito.errors import ExitCode, TitoError

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

ATTEMPTS = 4                # of a job whose worker dies
AHEAD = 2                   # jobs in memory for every one at work, so that no worker waits while a result is recorded
END_SECONDS = 3.0           # for a worker that is asked to end, before it is killed

Job = dict[str, Any]
Work = Callable[[Job], dict[str, Any]]
Outcome = dict[str, Any] | Exception
Ended = Generator[tuple[Job, Outcome], None, None]


class JobError(Exception):
    """Why a job has no result: its work raised, or the workers that did it died."""


class Jobs(Protocol):
    """Where jobs are done."""

    name: str

    def run(self, work: Work, jobs: Iterable[Job]) -> Ended:
        """Every job with what came of it, in the order in which they end; `work` finds a number of its own in job["slot"]."""
        ...


@contextmanager
def chosen(address: str, workers: int) -> Iterator[Jobs]:
    """The workers of the scheduler at this address; without one, so many processes of this machine (0: as many as it has processors)."""
    if address:
        from grading.run.cluster import Dask
        yield Dask(address)
    else:
        yield Local(workers)


def attempt(work: Work, job: Job, slot: int) -> Outcome:
    """What comes of one job; what it raises is told in words, for it has to travel."""
    try:
        return work({**job, "slot": slot})
    except Exception as err:
        return JobError(f"{err.what}: {err.why}" if isinstance(err, TitoError) else f"{type(err).__name__}: {err}")


@contextmanager
def slot() -> Iterator[int]:
    """The lowest number that nobody else of this user has on this machine, for as long as the context lasts."""
    from filelock import FileLock, Timeout
    folder = _slots()
    for number in itertools.count():
        lock = FileLock(folder / str(number), timeout=0)
        try:
            lock.acquire()
        except Timeout:
            continue
        try:
            yield number
        finally:
            lock.release()
        return


def _slots() -> Path:
    """Where this user's numbers are locked.  TitoError where somebody else has made that folder."""
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = Path(tempfile.gettempdir()) / f"tito-grading-{user}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or hasattr(os, "getuid") and folder.stat().st_uid != user:
        raise TitoError(f"{folder} cannot be used", why="somebody else has made it", fix="remove it, or set TMPDIR to a folder of yours",
                        code=ExitCode.ENVIRONMENT)
    return folder


def processors() -> int:
    """How many of this machine's processors are ours."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Local:
    """The processes of this machine: as many as it has processors, or as many as are named."""

    name = "local"

    def __init__(self, slots: int = 0):
        self.slots = slots or processors()

    def run(self, work: Work, jobs: Iterable[Job]) -> Ended:
        todo: queue.Queue[Job | None] = queue.Queue()
        done: queue.Queue[tuple[Job, Outcome]] = queue.Queue()
        workers = [_Worker(work) for _ in range(self.slots)]
        drivers = [threading.Thread(target=worker.drive, args=(todo, done), daemon=True) for worker in workers]
        for driver in drivers:
            driver.start()
        try:
            under_way = 0
            for job in jobs:
                todo.put(job)
                under_way += 1
                if under_way == AHEAD * self.slots:
                    yield done.get()
                    under_way -= 1
            for _ in range(under_way):
                yield done.get()
        finally:
            _end(workers, drivers, todo)


def _end(workers: list[_Worker], drivers: list[threading.Thread], todo: queue.Queue[Job | None]) -> None:
    """No worker, no child of one and no thread is left."""
    for worker in workers:
        worker.interrupt()
        todo.put(None)
    deadline = time.monotonic() + END_SECONDS
    for worker in workers:
        worker.end(max(0.0, deadline - time.monotonic()))
    for driver in drivers:
        driver.join()


class _Worker:
    """One process that does a job at a time, started anew where it dies, and the thread that drives it."""

    def __init__(self, work: Work):
        self.work = work
        self.process: multiprocessing.process.BaseProcess | None = None
        self.wire: Connection | None = None
        self.ended = False
        self.changing = threading.Lock()        # of `process` and `ended`

    def drive(self, todo: queue.Queue[Job | None], done: queue.Queue[tuple[Job, Outcome]]) -> None:
        """Do jobs until there is none, or this worker is ended."""
        while not self.ended and (job := todo.get()) is not None:
            try:
                done.put((job, self._done(job)))
            except Exception as err:            # no process could be started: the job's own matter, for others may do theirs
                done.put((job, JobError(f"no worker could be started: {type(err).__name__}: {err}")))

    def _done(self, job: Job) -> Outcome:
        for _ in range(ATTEMPTS):
            wire = self._ready()
            if wire is None:
                return JobError("stopped")
            try:
                wire.send(job)
                outcome: Outcome = wire.recv()
                return outcome
            except (EOFError, OSError):
                self._bury()
        return JobError(f"{ATTEMPTS} worker processes died over it")

    def _ready(self) -> Connection | None:
        """The way to the process, started where there is none; None where there is to be none."""
        with self.changing:
            if not self.ended and self.wire is None:
                context = multiprocessing.get_context("spawn")
                ours, theirs = context.Pipe()
                process = context.Process(target=_serve, args=(theirs, self.work), daemon=True)
                with theirs, _uninterrupted():
                    process.start()
                self.wire, self.process = ours, process
            return None if self.ended else self.wire

    def _bury(self) -> None:
        """It does not answer any more: make sure that it is gone."""
        with self.changing:
            if not self.ended and self.process:
                self.process.kill()
                self._close()

    def interrupt(self) -> None:
        """Ask the process to end, as Ctrl-C would."""
        with self.changing:
            self.ended = True
            if self.process and self.process.pid and self.process.is_alive():
                if hasattr(os, "setsid"):
                    os.kill(self.process.pid, signal.SIGINT)
                else:
                    self.process.terminate()

    def end(self, seconds: float) -> None:
        """Wait for its end, and then do not wait."""
        if self.process:
            self.process.join(seconds)
            if self.process.is_alive():
                self.process.kill()
        self._close()

    def _close(self) -> None:
        if self.process and self.wire:
            self.wire.close()
            self.process.join()
            self.process.close()
        self.process = self.wire = None


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """A process that starts in here holds Ctrl-C back until it says otherwise."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(wire: Connection, work: Work) -> None:
    """A worker process: jobs in, outcomes out, until the other side ends.

    It leaves the terminal's group: a Ctrl-C there is for the coordinator alone, and never for a student's code.
    """
    with suppress(EOFError, KeyboardInterrupt, ConnectionError):
        if hasattr(os, "setsid"):
            os.setsid()
            signal.signal(signal.SIGINT, signal.default_int_handler)        # a shell's background starts everything deaf to it
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        threading.Thread(target=_end_with_parent, daemon=True).start()
        with slot() as number:
            while True:
                wire.send(attempt(work, wire.recv(), number))


def _end_with_parent() -> None:
    """Where the coordinator dies, its workers end as on Ctrl-C: their children first."""
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
    if hasattr(signal, "pthread_kill") and (main := threading.main_thread().ident):
        signal.pthread_kill(main, signal.SIGINT)
    time.sleep(END_SECONDS)
    os._exit(1)
