"""Whatever happens to a worker, to the main process or to the loop: a clear error, no hang, and nothing left behind."""

from __future__ import annotations

import faulthandler
import gc
import multiprocessing
import os
import signal
import time
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from tests.data.parts import HANG, Lines, Noisy, Slow, Stuck, Troubled, children, die, open_files, raise_key_error
from tinytorch.data import DataLoader, loader

pytestmark = pytest.mark.usefixtures("nothing_is_left")


# ---- in a worker -------------------------------------------------------------------------------


def test_an_error_has_its_kind_and_the_workers_traceback() -> None:
    with pytest.raises(KeyError) as caught:
        list(DataLoader(Troubled(raise_key_error), 4, num_workers=2))
    text = str(caught.value)
    assert "in worker 1: KeyError: 'no such sample'" in text and "Traceback" in text
    assert "raise_key_error" in text and "parts.py" in text and "\\n" not in text


class Own(Exception):
    """Not one of Python's."""


def _raise(error: BaseException) -> Callable[[], None]:
    def trouble() -> None:
        raise error

    return trouble


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ValueError("x"), ValueError),
        (Own("x"), RuntimeError),
        (StopIteration("x"), RuntimeError),
        (UnicodeDecodeError("a", b"b", 1, 2, "c"), RuntimeError),
        (NotImplementedError("x"), NotImplementedError),
        (MemoryError("x"), MemoryError),
        (EOFError("x"), EOFError),
        (ConnectionResetError("x"), ConnectionResetError),
        (OSError(5, "x"), OSError),
        (SystemExit(4), RuntimeError),
        (KeyboardInterrupt(), RuntimeError),
    ],
)
@pytest.mark.parametrize("method", ["fork"])
def test_errors_of_every_kind(error: BaseException, kind: type[Exception], method: str, capfd: pytest.CaptureFixture[str]) -> None:
    seen = []
    with pytest.raises(kind) as caught:
        for batch in DataLoader(Troubled(_raise(error)), 4, num_workers=2):
            seen.append(batch)
    assert len(seen) <= 3 and (type(caught.value) is kind or kind is OSError)


def test_an_error_that_only_a_dataset_could_unpickle_is_told_all_the_same() -> None:
    class Local(Exception):
        def __init__(self, a: int, b: int):
            super().__init__(a, b)

    with pytest.raises(RuntimeError, match="Local"):
        list(DataLoader(Troubled(_raise(Local(1, 2))), 4, num_workers=1))


def test_a_batch_that_cannot_be_sent_is_an_error() -> None:
    with pytest.raises((AttributeError, TypeError, RuntimeError), match="worker 0"):
        list(DataLoader(Noisy(), 4, num_workers=1, collate_fn=lambda samples: lambda: samples))


@pytest.mark.parametrize("dataset", [Noisy(), Lines(9)])
def test_an_error_in_worker_init_fn(dataset: Any) -> None:
    def init(worker: int) -> None:
        raise ValueError(f"no camera {worker}")

    with pytest.raises(ValueError, match="no camera 0"):
        list(DataLoader(dataset, 4, num_workers=2, worker_init_fn=init))


def test_the_batches_before_an_error_come_first() -> None:
    iterator = iter(DataLoader(Troubled(raise_key_error), 4, num_workers=2))
    assert [next(iterator)[:, 0].tolist() for _ in range(3)] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    with pytest.raises(KeyError):
        next(iterator)
    assert list(iterator) == [], "and then it has ended"


def crash() -> None:
    faulthandler.disable()                              # or pytest's tells of it at length
    os.kill(os.getpid(), signal.SIGSEGV)


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (die, "killed by SIGKILL"),
        (lambda: os._exit(3), "exit code 3"),
        (lambda: os._exit(0), "exit code 0"),
        (crash, "killed by SIGSEGV"),
        (lambda: os.kill(os.getpid(), signal.SIGTERM), "killed by SIGTERM"),
    ],
)
def test_a_worker_that_dies_is_noticed_at_once(trouble: Callable[[], None], words: str) -> None:
    began = time.monotonic()
    with pytest.raises(RuntimeError, match=rf"worker \d \(process \d+\) .*{words}.*num_workers=0"):
        list(DataLoader(Troubled(trouble), 4, num_workers=2))
    assert time.monotonic() - began < HANG


def test_a_worker_killed_from_outside_while_another_is_waited_for() -> None:
    iterator = iter(DataLoader(Slow(40, 0.2), 1, num_workers=2, prefetch_factor=1))
    next(iterator)
    workers = sorted(set(children()))[-2:]
    began = time.monotonic()
    os.kill(workers[1], signal.SIGKILL)
    with pytest.raises(RuntimeError, match="worker 1 .* killed by SIGKILL; the system does that when memory runs out"):
        for _ in iterator:
            pass
    assert time.monotonic() - began < HANG


def test_a_worker_that_dies_while_the_one_waited_for_never_answers() -> None:
    began = time.monotonic()
    with pytest.raises(RuntimeError, match="worker 1 .* killed by SIGKILL"):
        list(DataLoader(Stuck(), 1, num_workers=2))
    assert time.monotonic() - began < HANG


def test_a_worker_that_dies_while_nobody_looks() -> None:
    """It is asked for a batch, which is of no use, and found dead when the batch is wanted."""
    crew = loader.Crew(loader.Epoch(DataLoader(Noisy(), 4)), DataLoader(Noisy(), 4, num_workers=1))
    crew.start()
    process, pipe = crew.workers[0]
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    crew.ask(0)
    with pytest.raises(RuntimeError, match="worker 0 .* killed by SIGKILL"):
        crew.receive(*crew.asked.popleft())
    for file in (pipe, *crew.files):
        file.close()


def test_a_stopped_worker_can_be_ended() -> None:
    iterator = iter(DataLoader(Slow(40, 0.01), 1, num_workers=1))
    next(iterator)
    os.kill(max(children()), signal.SIGSTOP)
    began = time.monotonic()
    iterator.close()
    assert time.monotonic() - began < HANG


def test_a_worker_in_an_endless_loop_can_be_ended() -> None:
    def forever() -> None:
        while True:
            pass

    iterator = iter(DataLoader(Troubled(forever), 4, num_workers=2))
    next(iterator)
    time.sleep(0.1)
    began = time.monotonic()
    del iterator
    assert time.monotonic() - began < HANG


# ---- in the loop -------------------------------------------------------------------------------


def test_leaving_the_loop_ends_the_workers() -> None:
    began = time.monotonic()
    for batch in DataLoader(Slow(1000, 0.05), 4, num_workers=2):  # noqa: B007
        assert len(children()) >= 2
        break
    assert time.monotonic() - began < HANG
    assert batch[0].tolist() == [0, 1, 2, 3]


def test_an_error_in_the_loop_ends_the_workers() -> None:
    def loop() -> None:
        for _ in DataLoader(Noisy(), 4, num_workers=2):
            raise ValueError("of the user")

    with pytest.raises(ValueError, match="of the user") as caught:
        loop()
    assert not [process for process in multiprocessing.active_children() if process.name.startswith("Fork")], (
        "while the traceback is still held"
    )
    del caught


def test_an_iterator_that_nobody_finishes() -> None:
    iterator = iter(DataLoader(Noisy(), 4, num_workers=2))
    first = next(iterator)
    cycle = [iterator]
    cycle.append(cycle)  # type: ignore[arg-type]
    del iterator, cycle
    gc.collect()
    assert first["index"].tolist() == [0, 1, 2, 3]


def test_an_iterator_that_nobody_begins() -> None:
    iter(DataLoader(Noisy(), 4, num_workers=2))


def test_a_hundred_epochs_leave_nothing() -> None:
    files = open_files()
    for n in range(100):
        for batch in DataLoader(Noisy(8), 4, num_workers=2):  # noqa: B007  the last one is held
            if n % 2:
                break
    del batch  # it holds the memory that it lies in
    assert open_files() == files


def test_no_warning_of_something_left_open() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        list(DataLoader(Noisy(), 4, num_workers=2))
        gc.collect()


def test_where_no_process_can_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    from multiprocessing.popen_fork import Popen

    real, made = Popen._launch, []  # type: ignore[attr-defined]

    def launch(self: Any, process: Any) -> None:
        if len(made) == 2:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        made.append(1)
        real(self, process)

    monkeypatch.setattr(Popen, "_launch", launch)
    with pytest.raises(OSError, match="unavailable"):
        list(DataLoader(Noisy(), 4, num_workers=4))


def test_where_no_file_can_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(**how: Any) -> Any:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(loader.tempfile, "TemporaryFile", refused)
    with pytest.raises(OSError, match="Too many"):
        list(DataLoader(Noisy(), 4, num_workers=2))
