"""Worker processes: the same batches as without, in the same order, in memory that stays as it is."""

from __future__ import annotations

import gc
import multiprocessing
import time
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinytorch as tt
from tests.data.parts import Lines, Noisy, Slow, as_it_is, children, epoch, told
from tests.waiting import soon
from tinytorch.data import DataLoader, Subset, TensorDataset, get_worker_info, loader

pytestmark = pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system has no fork")
Pair = namedtuple("Pair", "x y")
ALONE = epoch(Noisy(), 0, shuffle=True)


def all_have_ended() -> bool:
    """Whether soon no child is left but, perhaps, the process that minds shared memory, asleep."""
    return soon(lambda: set(children().values()) <= {"S"})


@pytest.mark.parametrize("prefetch_factor", [1, 2, 5])
@pytest.mark.parametrize("num_workers", [1, 2, 3, 4])
def test_any_number_of_workers_gives_the_same_batches_to_the_last_bit(num_workers: int, prefetch_factor: int) -> None:
    assert epoch(Noisy(), num_workers, shuffle=True, prefetch_factor=prefetch_factor) == ALONE


@pytest.mark.parametrize("how", [{}, {"drop_last": True}, {"batch_sampler": [[3, 1], [0], [22, 5, 7]]}, {"sampler": [4, 4, 2]}])
def test_however_the_order_is_given(how: dict[str, Any]) -> None:
    if "batch_sampler" in how:
        runs = [[told(b) for b in DataLoader(Noisy(), num_workers=n, generator=np.random.default_rng(1), **how)] for n in (0, 2)]
    else:
        runs = [epoch(Noisy(), n, **how) for n in (0, 2)]
    assert runs[0] == runs[1] and runs[0]


def test_where_a_new_python_is_started_the_batches_are_the_same() -> None:
    assert epoch(Noisy(), 2, shuffle=True, multiprocessing_context="spawn") == ALONE
    assert epoch(Lines(11), 2, multiprocessing_context="spawn") == epoch(Lines(11), 2)


def test_what_a_new_python_cannot_find_is_told() -> None:
    with pytest.raises(TypeError, match="importable"):
        list(DataLoader(Noisy(), 4, num_workers=1, multiprocessing_context="spawn", collate_fn=lambda samples: samples))
    assert all_have_ended()


def test_an_epoch_is_decided_when_it_begins() -> None:
    generator = np.random.default_rng(7)
    loader = DataLoader(Noisy(), 4, shuffle=True, num_workers=2, generator=generator)
    state = generator.bit_generator.state
    iterator = iter(loader)
    after = generator.bit_generator.state
    first = [told(batch) for batch in iterator]
    assert generator.bit_generator.state == after != state
    generator.bit_generator.state = state
    assert [told(batch) for batch in loader] == first


def test_the_common_generator_decides_where_none_is_given() -> None:
    runs = []
    for num_workers in (0, 2, 0):
        tt.manual_seed(3)
        loader = DataLoader(Noisy(), 4, shuffle=True, num_workers=num_workers)
        runs.append([told(batch) for _ in range(2) for batch in loader] + [tt.rand(2).tolist()])
    assert runs[0] == runs[1] == runs[2]
    assert runs[0][:6] != runs[0][6:12], "the second epoch has another order"


def test_what_the_network_draws_in_between_changes_nothing() -> None:
    for num_workers in (0, 2):
        seen = []
        for batch in DataLoader(Noisy(), 4, shuffle=True, num_workers=num_workers, generator=np.random.default_rng(5)):
            tt.randn(100), np.random.random(7)
            seen.append(told(batch))
        assert seen == ALONE


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_batch_stays_as_it_is_and_belongs_to_its_user(num_workers: int) -> None:
    data = TensorDataset(np.arange(40000.0).reshape(40, 1000), np.arange(40))
    batches = list(DataLoader(data, 4, num_workers=num_workers))
    gc.collect()
    for n, (x, y) in enumerate(batches):
        assert y.tolist() == list(range(4 * n, 4 * n + 4))
        assert np.array_equal(x.numpy(), np.arange(4000.0).reshape(4, 1000) + 4000 * n)
        x.data[...] = -1
    assert data.tensors[0].numpy()[0, 0] == 0, "what a user does to a batch is not done to the data"


def test_some_batches_kept_others_not() -> None:
    """Slots come back in any order; what is kept is never written over."""
    kept, rng = {}, np.random.default_rng(0)
    data = TensorDataset(np.arange(3000.0).repeat(50).reshape(3000, 50))
    for n, (x,) in enumerate(DataLoader(data, 10, num_workers=2)):
        kept[n] = x
        for other in rng.permutation(list(kept))[: len(kept) // 3].tolist():
            del kept[other]
        for number, batch in kept.items():
            assert batch.numpy()[:, 7].tolist() == list(range(10 * number, 10 * number + 10))


def test_in_a_loop_nothing_is_copied() -> None:
    data = TensorDataset(np.zeros((64, 1000)))
    bases = set()
    for (x,) in DataLoader(data, 4, num_workers=2):
        assert not x.data.flags.owndata and x.data.flags.writeable
        base = x.data
        while isinstance(base, np.ndarray) and base.base is not None:
            base = base.base
        bases.add(type(base).__name__)
    assert bases <= {"mmap", "memoryview"}


def test_batches_of_every_kind_travel() -> None:
    class Kinds:
        def __len__(self) -> int:
            return 6

        def __getitem__(self, index: int) -> Any:
            return Pair(
                np.full((index + 1,), index, "uint8"),
                {"none": None, "text": "ä" * index, "big": np.arange(10.0)[::-1][:index], "empty": np.zeros((0, 3))},
            )

    runs = [list(DataLoader(Kinds(), 2, num_workers=n, collate_fn=as_it_is)) for n in (0, 2)]
    assert str(runs[0]) == str(runs[1])
    assert [type(sample) for batch in runs[1] for sample in batch] == [Pair] * 6
    assert all(x.flags.aligned for batch in runs[1] for x, _ in batch)


def test_batches_that_grow() -> None:
    sizes = [1, 10, 1000, 5, 100000, 0, 3, 200000]
    sets = [np.full(size, size) for size in sizes]
    for prefetch in (1, 2):
        seen = list(DataLoader(sets, 1, num_workers=2, prefetch_factor=prefetch, collate_fn=lambda samples: samples[0]))
        assert [len(x) for x in seen] == sizes and all((x == len(x)).all() for x in seen)


def test_where_memory_is_full_batches_travel_through_the_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    import tempfile

    real = tempfile.TemporaryFile

    class Small:
        """A file with room for a thousand bytes."""

        def __init__(self, **how: Any):
            self.file = real(**how)
            self.seek, self.fileno, self.close = self.file.seek, self.file.fileno, self.file.close

        def write(self, raw: Any) -> int:
            if self.file.tell() + len(raw) > 1000:
                raise OSError(28, "No space left on device")
            return int(self.file.write(raw))

    monkeypatch.setattr(loader.tempfile, "TemporaryFile", Small)
    sizes = [10, 1000, 20, 3000]
    seen = list(DataLoader([np.full(size, size % 256, "uint8") for size in sizes], 1, num_workers=2))
    assert [x.shape for x in seen] == [(1, size) for size in sizes] and all((x.numpy() == x.shape[1] % 256).all() for x in seen)


class Counted(Noisy):
    """Writes down in a file each sample that is begun."""

    path = Path()

    def __getitem__(self, index: int) -> Any:
        with self.path.open("ab") as file:
            file.write(b".")
        return index


def test_at_most_so_many_batches_are_made_ahead(tmp_path: Path) -> None:
    data = Counted(60)
    data.path = tmp_path / "begun"
    iterator = iter(DataLoader(data, 1, num_workers=2, prefetch_factor=3))
    for n in range(10):
        next(iterator)
        assert soon(lambda: data.path.stat().st_size >= n + 1 + 6)  # noqa: B023  called at once
        time.sleep(0.01)
        assert data.path.stat().st_size == n + 1 + 6
    iterator.close()


def test_work_goes_on_while_the_user_works() -> None:
    began, done = [], []
    for batch in DataLoader(Slow(12, 0.02), 1, num_workers=1, collate_fn=as_it_is):
        began.append(batch[0][1])
        time.sleep(0.03)
        done.append(time.monotonic())
    early = sum(start < end for start, end in zip(began[1:], done, strict=False))
    assert early > 6, "most batches are begun before the user has done with the one before"


@pytest.mark.parametrize(
    ("num_workers", "want"),
    [
        (0, [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10]]),
        (1, [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10]]),
        (2, [[0, 2, 4], [1, 3, 5], [6, 8, 10], [7, 9]]),
        (3, [[0, 3, 6], [1, 4, 7], [2, 5, 8], [9], [10]]),
    ],
)
def test_streams(num_workers: int, want: list[list[int]]) -> None:
    loader = DataLoader(Lines(11), 3, num_workers=num_workers)
    for _ in range(2):
        assert [batch.tolist() for batch in loader] == want


def test_a_stream_without_end_and_one_without_anything() -> None:
    class Endless(Lines):
        def __iter__(self):  # type: ignore[no-untyped-def]
            import itertools

            return itertools.count(get_worker_info().id, get_worker_info().num_workers)

    iterator = iter(DataLoader(Endless(0), 2, num_workers=2))
    assert [next(iterator).tolist() for _ in range(3)] == [[0, 2], [1, 3], [4, 6]]
    iterator.close()
    assert list(DataLoader(Lines(0), 2, num_workers=2)) == list(DataLoader(Noisy(0), 2, num_workers=2)) == []


def test_workers_know_who_they_are() -> None:
    class Who(Noisy):
        def __getitem__(self, index: int) -> Any:
            info = get_worker_info()
            return info.id, info.num_workers, info.seed, info.dataset is self, self.n

    def init(worker: int) -> None:
        get_worker_info().dataset.n = 100 + worker

    seen = [sample for batch in DataLoader(Who(8), 2, num_workers=2, collate_fn=as_it_is, worker_init_fn=init) for sample in batch]
    assert [(i, n, same, own) for i, n, _, same, own in seen] == [(k, 2, True, 100 + k) for k in (0, 0, 1, 1, 0, 0, 1, 1)]
    assert len({seed for _, _, seed, *_ in seen}) == 2 and get_worker_info() is None


def test_two_loaders_at_once_and_one_inside_the_other() -> None:
    one, two = (DataLoader(Noisy(), 4, num_workers=2, shuffle=True, generator=np.random.default_rng(5)) for _ in range(2))
    assert [told(x) for pair in zip(one, two, strict=True) for x in pair] == [x for x in ALONE for _ in range(2)]
    small = Subset(Noisy(), range(8))
    inner = [epoch(small, 2) for _ in DataLoader(Noisy(9), 4, num_workers=1)]
    assert inner == [epoch(small, 0)] * 3
    assert all_have_ended()


def test_a_loader_used_in_a_thread() -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(lambda n: epoch(Noisy(), n, shuffle=True), [2, 1])) == [ALONE, ALONE]
