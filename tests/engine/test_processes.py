"""Tensors and models that go to another process and come back; what a child inherits, and what it does not.

A forked child goes on with the common generator where its parent stood: children that are forked one after the other draw the same numbers,
and none of them moves the parent's.  A child that a new Python runs has a generator of its own.
"""

import multiprocessing
import threading
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

import tinytorch as tt
from tinytorch.data.loader import DataLoader, TensorDataset

PATIENCE = 60                                       # seconds: a test that hangs ends all the same
METHODS = [method for method in ("fork", "spawn") if method in multiprocessing.get_all_start_methods()]
needs_fork = pytest.mark.skipif("fork" not in METHODS, reason="this system has no fork")


@pytest.fixture(scope="module", params=METHODS)
def child(request):
    """`child(call, *inputs)`: what the call returns in another process; all of it travels."""
    with ProcessPoolExecutor(1, multiprocessing.get_context(request.param)) as pool:
        yield lambda call, *inputs: pool.submit(call, *inputs).result(PATIENCE)


def forked(*calls):
    """What the calls return, each in a child of its own, forked one after the other."""
    context, waiting = multiprocessing.get_context("fork"), []
    for call in calls:
        here, there = context.Pipe(duplex=False)
        process = context.Process(target=lambda call=call, there=there: there.send(call()))
        process.start()
        there.close()
        waiting.append((process, here))
    try:
        return [here.recv() if here.poll(PATIENCE) else pytest.fail("a forked child does not answer") for _, here in waiting]
    finally:
        for process, here in waiting:
            process.kill()
            process.join()
            process.close()
            here.close()


# ---- what a child is asked to do: a new Python must find it by name ------------------------------------------

def same(x):
    return x


def facts(x):
    """All that a tensor is, as it is seen there."""
    grad = None if x.grad is None else x.grad.tolist()
    return type(x).__name__, x.dtype.name, x.shape, x.tolist(), x.requires_grad, grad, x.data.flags.writeable


def slopes(w, x):
    loss = (w * x).exp().sum()
    loss.backward()
    return loss.item(), w.grad


def steps(model, optimizer, x, targets, count=5):
    """The losses on the way, the model and its optimizer."""
    losses = []
    for _ in range(count):
        optimizer.zero_grad()
        loss = tt.cross_entropy(model(x), targets)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, model, optimizer


def batches(num_workers):
    data = TensorDataset(tt.arange(10), tt.arange(10) * 2)
    loader = DataLoader(data, 4, shuffle=True, num_workers=num_workers, generator=np.random.default_rng(3))
    return [[part.tolist() for part in batch] for batch in loader]


def seeded():
    tt.manual_seed(7)
    return tt.rand(3).tolist()


def drawn():
    return tt.rand(3).tolist()


def of_threads():
    """What the threads of a child find, each with a graph of its own."""
    found = [None] * 3

    def work(k):
        x = tt.Tensor(np.arange(5.0), requires_grad=True)
        (x * x * float(k)).sum().backward()
        found[k] = x.grad.tolist()
    threads = [threading.Thread(target=work, args=(k,)) for k in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    return found


# ---- there and back ------------------------------------------------------------------------------------------

def tensors():
    graded = tt.Parameter([[1.0, 2.0]])
    (graded * 3.0).sum().backward()
    kinds = [np.dtype(kind) for kind in ("float32", "float64", "float16", "int64", "uint8", "bool")]
    plain = [tt.Tensor(np.array([[0, 1, 2]], kind), dtype=kind) for kind in kinds]
    return [graded, *plain, tt.zeros(0, 3), tt.Tensor(2.5), tt.arange(6.0).reshape(2, 3).T, tt.ones(1).expand(4), tt.arange(8.0)[::-2]]


def test_tensors_arrive_as_they_are_and_come_back_so(child):
    for x in tensors():
        seen, back = child(facts, x), child(same, x)
        assert seen == facts(back) == (*facts(x)[:-1], True), x            # a view that was for reading only is an array of its own there


def test_gradients_are_those_of_this_process(child):
    w, x = tt.Parameter(np.linspace(-1, 1, 7)), tt.Tensor(np.linspace(2, 3, 7))
    loss, grad = child(slopes, w, x)
    assert w.grad is None
    here = slopes(w, x)
    assert (loss, grad.tolist()) == (here[0], here[1].tolist())


def test_the_result_of_operations_is_refused_with_what_to_do_instead(child):
    with pytest.raises(TypeError, match=r"only leaf tensors can be copied or pickled; use x\.detach\(\)"):
        child(same, tt.Parameter([1.0]) * 2)


@pytest.mark.parametrize("name, how", [("SGD", {"momentum": 0.9}), ("AdamW", {})])
def test_a_model_trains_there_as_here_and_goes_on_here(child, name, how):
    rng = np.random.default_rng(0)
    model = tt.Sequential(tt.Linear(5, 8, generator=rng), tt.BatchNorm1d(8), tt.Tanh(), tt.Dropout(0.4, np.random.default_rng(1)),
                          tt.Linear(8, 3, generator=rng))
    x, targets = tt.Tensor(rng.normal(size=(6, 5))), tt.Tensor(rng.integers(0, 3, 6))
    optimizer = getattr(tt, name)(model.parameters(), **how)
    before = {name: array.copy() for name, array in model.state_dict().items()}
    losses, far, theirs = child(steps, model, optimizer, x, targets)
    assert all((before[name] == array).all() for name, array in model.state_dict().items())
    assert [id(p) for group in theirs.param_groups for p in group["params"]] == [id(p) for p in far.parameters()]
    more, far, _ = steps(far, theirs, x, targets)
    here, _, _ = steps(model, optimizer, x, targets, 10)
    assert losses + more == here
    assert all((far.state_dict()[name] == array).all() for name, array in model.state_dict().items())


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_loader_in_a_child_gives_what_it_gives_here(child, num_workers):
    assert child(batches, num_workers) == batches(0)


def test_threads_of_a_child_work_as_those_of_its_parent(child):
    assert child(of_threads) == of_threads() == [[2.0 * k * x for x in range(5)] for k in range(3)]


# ---- what is inherited -----------------------------------------------------------------------------------------

def test_the_same_seed_gives_the_same_numbers_in_every_process(child):
    assert child(seeded) == seeded() == child(seeded)


@needs_fork
def test_forked_children_draw_what_their_parent_will_draw():
    tt.manual_seed(3)
    drawn()
    one, other = forked(drawn, drawn)
    assert one == other == drawn()


@needs_fork
def test_forked_children_with_seeds_of_their_own_draw_differently():
    def work(seed):
        tt.manual_seed(seed)
        return drawn()
    one, other = forked(lambda: work(1), lambda: work(2))
    assert one != other and one == work(1)


@pytest.mark.skipif("spawn" not in METHODS, reason="this system cannot start a new Python")
def test_a_new_python_does_not_know_its_parents_seed():
    tt.manual_seed(7)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        there = pool.submit(drawn).result(PATIENCE)
    assert there != drawn()


@needs_fork
def test_a_forked_child_goes_on_with_the_graph_that_it_inherits():
    x = tt.Parameter([3.0])
    y = x * x

    def work():
        y.backward()
        return x.grad.item()
    assert forked(work, work) == [6.0, 6.0] and x.grad is None
    y.backward()
    assert x.grad.item() == 6.0


@needs_fork
def test_a_child_forked_under_no_grad_does_not_record():
    x = tt.Parameter([1.0])
    with tt.no_grad():
        assert forked(lambda: (x * 2).requires_grad) == [False]
    assert forked(lambda: (x * 2).requires_grad) == [True]


@needs_fork
def test_a_child_forked_while_other_threads_train_can_train_itself():
    over = threading.Event()

    def busy():
        x = tt.Parameter(np.ones(50_000))
        while not over.is_set():
            (x * x).exp().sum().backward()
    threads = [threading.Thread(target=busy) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        assert forked(*[of_threads] * 4) == [of_threads()] * 4
    finally:
        over.set()
        for thread in threads:
            thread.join(PATIENCE)


@needs_fork
def test_a_child_forked_while_another_thread_draws_can_draw():
    over, lock = threading.Event(), tt.default_generator.bit_generator.lock

    def busy():
        while not over.is_set():
            tt.rand(1_000_000)

    def draw():
        return lock.acquire(blocking=False) and len(drawn())           # does not wait for ever, as drawing alone would
    thread = threading.Thread(target=busy)
    thread.start()
    try:
        assert forked(*[draw] * 5) == [3] * 5
    finally:
        over.set()
        thread.join(PATIENCE)
