"""Tensors in several threads and tasks at once: what each gets is what it would get alone.

The common generator is one for all threads, by design: whoever wants the same numbers again gives each thread a generator of its own.
"""

import asyncio
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import tinytorch as tt
from tinytorch.core import tensor
from tinytorch.optimization.acceleration import autocast
from tinytorch.profiling.profiler import profile

PATIENCE = 60                                       # seconds: a test that hangs ends all the same


@pytest.fixture(autouse=True)
def threads_that_change_often():
    """A turn of a thread lasts a few operations of Python, not the usual five thousandths of a second."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def together(*calls):
    """What the calls return, each in a thread of its own; none begins before all are there."""
    start = threading.Barrier(len(calls))

    def run(call):
        start.wait(PATIENCE)
        return call()
    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result(PATIENCE) for future in [pool.submit(run, call) for call in calls]]


class Turns:
    """Two threads by turns: `first` goes to its end only after `second` has ended."""

    def __init__(self):
        self.inside, self.over = threading.Event(), threading.Event()

    def first(self, context, call):
        """call() within `context`, while the other thread is at work."""
        with context as value:
            self.inside.set()
            self.over.wait(PATIENCE)
            return value, call()

    def second(self, call):
        self.inside.wait(PATIENCE)
        try:
            return call()
        finally:
            self.over.set()


def leaf(data):
    return tt.Tensor(data, requires_grad=True)


# ---- models that are trained --------------------------------------------------------------------------

def reader(rng):
    return tt.Sequential(tt.Linear(12, 300, generator=rng), tt.GELU(), tt.Dropout(0.3, rng), tt.Linear(300, 4, generator=rng))


def looker(rng):
    return tt.Sequential(tt.Conv2d(1, 4, 3, padding=1, generator=rng), tt.BatchNorm2d(4), tt.ReLU(), tt.MaxPool2d(2), tt.Flatten(),
                         tt.Dropout(0.3, rng), tt.Linear(16, 4, generator=rng))


def writer(rng):
    return tt.GPT(7, 8, num_layers=1, num_heads=2, max_seq_len=6, generator=rng)


KINDS = {"reader": (reader, lambda rng: (rng.normal(size=(16, 12)), rng.integers(0, 4, 16))),
         "looker": (looker, lambda rng: (rng.normal(size=(8, 1, 4, 4)), rng.integers(0, 4, 8))),
         "writer": (writer, lambda rng: (rng.integers(0, 7, (4, 6)), rng.integers(0, 7, 24)))}


def trained(kind, seed, steps=8):
    """All weights and losses, as bytes, of a model that starts, drops and learns by one generator alone."""
    rng = np.random.default_rng(seed)
    make, draw = KINDS[kind]
    model = make(rng)
    optimizer, losses = tt.AdamW(model.parameters(), lr=0.01), []
    for _ in range(steps):
        x, targets = draw(rng)
        optimizer.zero_grad()
        loss = tt.cross_entropy(model(tt.Tensor(x)).reshape(len(targets), -1), targets)
        loss.backward()
        tt.clip_grad_norm(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses, {name: array.tobytes() for name, array in model.state_dict().items()}


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("kind", KINDS)
def test_threads_that_train_each_a_model_train_as_one_alone(kind, count):
    alone = [trained(kind, seed) for seed in range(count)]
    assert together(*(lambda seed=seed: trained(kind, seed) for seed in range(count))) == alone


# ---- recording ------------------------------------------------------------------------------------------

def test_no_grad_in_one_thread_leaves_recording_on_in_another():
    x, turns = leaf([1.0]), Turns()
    quiet, recorded = together(lambda: turns.first(tt.no_grad(), lambda: (x * 2).requires_grad),
                               lambda: turns.second(lambda: (tt.is_grad_enabled(), (x * 2).requires_grad)))
    assert quiet == (None, False) and recorded == (True, True)


def test_a_thread_begun_under_no_grad_records():
    with tt.no_grad():
        assert together(tt.is_grad_enabled) == [True]


def test_a_checkpoint_in_one_thread_does_not_hear_of_the_leaves_of_another():
    x, y, turns = leaf([3.0]), leaf([5.0]), Turns()

    def inner(x):
        turns.inside.set()
        turns.over.wait(PATIENCE)
        return x * x
    ours, theirs = together(lambda: tt.checkpoint(inner, x), lambda: turns.second(lambda: tt.grad(y * y, y)[0].item()))
    assert theirs == 10.0
    assert [i for i in ours.node.inputs if i is not None] == [x]


def test_tasks_record_each_for_itself_however_they_take_turns():
    x = leaf([2.0])

    async def work(mode, rounds):
        seen = []
        for _ in range(rounds):
            with mode():
                await asyncio.sleep(0)
                seen.append((x * 3).requires_grad)
                await asyncio.sleep(0)
            seen.append((x * 3).requires_grad)
            await asyncio.sleep(0)
        return seen

    async def all_of_them():
        return await asyncio.gather(work(tt.no_grad, 6), work(tt.enable_grad, 4), work(tt.no_grad, 3))
    assert asyncio.run(all_of_them()) == [[False, True] * 6, [True, True] * 4, [False, True] * 3]


def test_a_task_takes_over_what_held_where_it_was_made():
    async def nested():
        with tt.no_grad():
            task = asyncio.create_task(asyncio.sleep(0, "made"))
            inside = asyncio.create_task(ask())
            thread = asyncio.to_thread(tt.is_grad_enabled)          # takes the task's context along, unlike a plain thread
            return await task, await inside, await thread, tt.is_grad_enabled()

    async def ask():
        return tt.is_grad_enabled()
    assert asyncio.run(nested()) == ("made", False, False, False)
    assert tt.is_grad_enabled()


# ---- gradients -------------------------------------------------------------------------------------------

def test_grad_of_shared_parameters_is_right_in_every_thread():
    rng = np.random.default_rng(0)
    model = tt.Sequential(tt.Linear(6, 50, generator=rng), tt.Tanh(), tt.Linear(50, 3, generator=rng))
    batches = [(tt.Tensor(rng.normal(size=(9, 6))), rng.integers(0, 3, 9)) for _ in range(4)]

    def slopes(x, targets, rounds=10):
        return [[g.numpy().tobytes() for g in tt.grad(tt.cross_entropy(model(x), targets), model.parameters())] for _ in range(rounds)]
    alone = [slopes(*batch) for batch in batches]
    assert together(*(lambda batch=batch: slopes(*batch) for batch in batches)) == alone
    assert [p.grad for p in model.parameters()] == [None] * 4


def test_one_kept_graph_answers_several_threads():
    x = leaf(np.linspace(0.1, 1, 50))
    y = (x.exp() * x).log()                         # 1 + 1/x

    def ask(k):
        return [tt.grad(y, x, np.full(50, float(k)), retain_graph=True)[0].tolist() for _ in range(20)]
    alone = [ask(k) for k in range(4)]
    assert together(*(lambda k=k: ask(k) for k in range(4))) == alone


def test_backward_in_threads_whose_leaves_are_their_own():
    def work(k, rounds=30):
        x = leaf(np.arange(40.0))
        for _ in range(rounds):
            h = x
            for _ in range(5):
                h = h + x * float(k)
            (h.sum() + (h - x).sum()).backward()
        return x.grad.tolist()
    assert together(*(lambda k=k: work(k) for k in range(4))) == [[30.0 * (1 + 10 * k)] * 40 for k in range(4)]


def test_backward_into_shared_leaves_adds_up_exactly_under_a_lock():
    """Without one a gradient may be lost where two threads add to the same `.grad`, as in torch; what is there is never another number."""
    lock, w, b = threading.Lock(), leaf(np.zeros(1000)), leaf(0.0)

    def work(k, rounds=5):
        for _ in range(rounds):
            loss = (w * float(k) + b).sum()
            with lock:
                loss.backward()
    together(*(lambda k=k: work(k) for k in (1, 10, 100, 1000)))
    assert w.grad.tolist() == [5555.0] * 1000 and b.grad.item() == 20_000.0


def test_backward_into_shared_leaves_without_a_lock_gives_sums_of_what_was_sent():
    w = leaf(np.zeros(20_000))
    together(*(lambda k=k: (w * float(k)).sum().backward() for k in (1, 10, 100, 1000)))
    sums = {sum(k for k, here in zip((1, 10, 100, 1000), f"{m:04b}", strict=True) if here == "1") for m in range(1, 16)}
    assert set(w.grad.tolist()) <= sums


def test_a_checkpoint_that_computes_again_leaves_the_hooks_of_a_shared_leaf_to_others():
    w, turns, heard = leaf([2.0]), Turns(), []
    w.register_hook(lambda g: heard.append(g.item()))

    def inner(x):
        if inner.again:
            turns.inside.set()
            turns.over.wait(PATIENCE)
        return x * x
    inner.again = False
    y = tt.checkpoint(inner, w)
    inner.again = True
    together(lambda: tt.grad(y, w), lambda: turns.second(lambda: tt.grad(w * 3.0, w)))
    assert sorted(heard) == [3.0, 4.0]


# ---- who sits around the door ------------------------------------------------------------------------------


@pytest.fixture
def door_as_it_was():
    record, call = tensor.record, tt.Module.__call__
    yield
    tensor.record, tt.Module.__call__ = record, call
    tensor.around.clear()


def exact():
    """Numbers that half precision cannot hold, through an operation that autocast stores in half."""
    return (tt.Tensor([[1.0, 1 / 3]]) @ tt.Tensor([[1.0], [1e-3]])).numpy()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_autocast_in_one_thread_leaves_the_numbers_of_another_alone(dtype, door_as_it_was):
    want, turns = exact(), Turns()
    _, got = together(lambda: turns.first(autocast(dtype), exact), lambda: turns.second(exact))
    assert got.dtype == np.float32 and got.tobytes() == want.tobytes()


def test_a_profile_counts_the_operations_of_its_own_thread_alone(door_as_it_was):
    model, turns = tt.Linear(3, 3), Turns()
    x = tt.zeros(2, 3)
    (found, _), _ = together(lambda: turns.first(profile(), lambda: x + 1.0), lambda: turns.second(lambda: model(x)))
    assert [frame.name for frame, _ in found.root.walk()] == ["all", "add"]


@pytest.mark.parametrize("context", [autocast, profile])
def test_the_door_is_as_before_when_contexts_of_two_threads_overlap(context, door_as_it_was):
    """The first thread leaves while the second is inside: neither puts back what the other brought."""
    record, call = tensor.record, tt.Module.__call__
    one, two, gone = (threading.Event() for _ in range(3))

    def first():
        with context():
            one.set()
            two.wait(PATIENCE)
        gone.set()

    def second():
        one.wait(PATIENCE)
        with context():
            two.set()
            gone.wait(PATIENCE)
    together(first, second)
    assert not tensor.around
    assert tensor.record is record and tt.Module.__call__ is call
