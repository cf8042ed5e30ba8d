"""What the engine promises: order, memory, dtypes, errors.  Values are compared with torch in tests/conformance."""

import asyncio
import copy
import gc
import pickle
import threading
import time
import tracemalloc

import numpy as np
import pytest

import tinytorch as tt
from tinytorch.core import autograd, tensor

F32, F64 = np.dtype("float32"), np.dtype("float64")


def leaf(data, dtype=None):
    return tt.Tensor(data, requires_grad=True, dtype=dtype)


def test_a_diamond_of_sixty_doublings_takes_milliseconds():
    x = y = leaf([1.0])
    for _ in range(60):
        y = y + y
    start = time.process_time()
    y.backward()
    assert time.process_time() - start < 1.0            # by paths it would be 2**60 visits
    assert x.grad.item() == 2.0 ** 60


def test_a_chain_of_100_000_operations_needs_no_recursion():
    x = leaf([1.0])
    y = x
    for _ in range(50_000):
        y = y * 1.0 + x
    y.backward()
    assert x.grad.item() == 50_001.0
    del y                                               # nor does letting go of it


@pytest.mark.parametrize("shapes", [((2, 3), (3,)), ((3,), (2, 3)), ((2, 1), (1, 3)), ((4, 1, 3), (2, 1)), ((), (2, 2)), ((2, 2), ()),
                                    ((1,), (1, 1, 1)), ((0, 3), (1, 3)), ((5, 1), (1, 0))])
def test_every_broadcast_gives_each_input_a_gradient_of_its_own_shape(shapes):
    rng = np.random.default_rng(0)
    a, b = (leaf(rng.uniform(1, 2, s), F64) for s in shapes)
    for operation in (tensor.add, tensor.subtract, tensor.multiply, tensor.divide, tensor.power, tensor.maximum):
        assert tt.gradcheck(operation, (a, b)), operation.__name__


@pytest.mark.parametrize("shapes", [((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((4, 2, 3), (3,)), ((3,), (4, 3, 2)), ((2, 3), (3, 2)),
                                    ((5, 2, 3), (3, 4)), ((2, 3), (5, 3, 4)), ((5, 1, 2, 3), (6, 3, 4)), ((0, 3), (3, 2))])
def test_matmul_of_vectors_and_batches(shapes):
    rng = np.random.default_rng(0)
    assert tt.gradcheck(lambda a, b: a @ b, [leaf(rng.normal(size=s), F64) for s in shapes])


def test_a_fancy_index_that_repeats_adds_up():
    x = leaf(np.arange(6.0).reshape(3, 2))
    x[[0, 0, 2], [1, 1, 0]].sum().backward()
    assert x.grad.tolist() == [[0, 2], [0, 0], [1, 0]]
    for key in ([0, 0], (slice(None), [1, 1, 0]), np.array([[True, False]] * 3), (..., -1), None, (1, None), (tt.Tensor([2, 2]), 0)):
        assert tt.gradcheck(lambda x, key=key: x[key], leaf(np.arange(6.0).reshape(3, 2), F64))


def test_equal_maxima_share_the_gradient():
    x = leaf([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]])
    x.max(dim=1).sum().backward()
    np.testing.assert_allclose(x.grad, [[0, 0.5, 0.5], [1 / 3, 1 / 3, 1 / 3]], rtol=1e-6)


def test_reflected_and_unary_operators():
    x = leaf([2.0, 4.0])
    for got, want in [(1 - x, [-1, -3]), (1 + x, [3, 5]), (8 / x, [4, 2]), (2 ** x, [4, 16]), (3 * x, [6, 12]),
                      (-x, [-2, -4]), (abs(-x), [2, 4]),
                      (np.ones(2) - x, [-1, -3]), (np.float64(1) - x, [-1, -3]), (np.ones((2, 2)) @ x, [6, 6]), (np.exp(x).log(), [2, 4])]:
        assert type(got) is tt.Tensor and got.requires_grad and got.dtype == F32
        np.testing.assert_allclose(got, want, rtol=1e-6)


OPERATIONS = {
    "arithmetic": lambda x: (x + 1.5) * 2.5 / 1.5 - x ** 2 + x ** 3 + 2.0 ** x - -x + np.float64(2) * x,
    "elementwise": lambda x: x.exp() + x.log() + x.sqrt() + x.abs() + x.clip(0.1, 0.9) + tensor.maximum(x, 0.5),
    "reductions": lambda x: x.sum() + x.mean() + x.max() + x.min() + x.var() + x.std() + x.sum(0) + x.mean(1, True),
    "shapes": lambda x: x.T.reshape(-1)[::2].unsqueeze(0).flatten().permute(0).expand(2, -1),
    "choosing": lambda x: tt.where(x > 0.5, x, 0.0) + x.masked_fill(x > 0.7, 1.0) + tt.cat([x, x])[:3] + tt.stack([x, x])[0],
    "activations": lambda x: sum(f(x) for f in (tt.relu, tt.leaky_relu, tt.sigmoid, tt.tanh, tt.gelu, tt.silu, tt.softmax, tt.log_softmax)),
    "gelu, tanh form": lambda x: tt.gelu(x, approximate="tanh"),
    "linear": lambda x: tt.linear(x, tt.Tensor(np.ones((3, 2)), dtype=x.dtype), tt.Tensor(np.ones(2), dtype=x.dtype)),
    "cross-entropy": lambda x: tt.cross_entropy(x, np.array([0, 1, 2])),
    "losses": lambda x: tt.mse_loss(x, x * 0.5) + tt.l1_loss(x, x * 0.5) + tt.huber_loss(x, x * 0.5)
    + tt.binary_cross_entropy(x.clip(0.1, 0.9), x.detach()) + tt.binary_cross_entropy_with_logits(x, x.detach()),
}


@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
@pytest.mark.parametrize("name", OPERATIONS)
def test_dtypes_go_through_forward_and_backward(name, dtype):
    x = leaf(np.random.default_rng(0).uniform(0.2, 0.8, (3, 3)), dtype)
    seen = []
    autograd.door.around.append(lambda call, op, arrays, params: seen.append((op.__name__, call(arrays, params))) or seen[-1][1])
    try:
        y = OPERATIONS[name](x)
        assert y.dtype == dtype, name
        y.backward(np.ones(y.shape))
    finally:
        autograd.door.around.clear()
    assert x.grad.dtype == dtype
    for op_name, result in seen:
        for array in result if isinstance(result, tuple) else (result,):
            kind = getattr(getattr(array, "dtype", None), "kind", "")
            assert kind != "f" or array.dtype == dtype, f"{op_name} computed in {array.dtype}"


def test_leaves_never_share_a_gradient_buffer():
    a, b, c = leaf([1.0, 2.0]), leaf([3.0, 4.0]), leaf([5.0, 6.0])
    mine = np.ones(2, np.float32)
    (a + b + c).backward(mine)
    grads = [t.grad.data for t in (a, b, c)]
    assert not any(np.shares_memory(x, y) for x in (*grads, mine) for y in (*grads, mine) if x is not y)

    twice = tt.op(lambda x, y: x + y)
    tt.gradient(twice)(lambda g: (lambda d: (d, d))(g * 1.0))
    for build in (lambda: twice(a, b * 1.0) + a, lambda: twice(a, b)):
        for t in (a, b):
            t.zero_grad()
        h = build()
        h.backward(np.ones(2))
        assert not np.shares_memory(a.grad.data, b.grad.data)
        assert b.grad.tolist() == [1, 1]


def test_a_leaf_of_one_number_adds_up_as_any_other():
    scale = leaf(2.0)
    for _ in range(2):
        (scale * tt.ones(3)).sum().backward()
    assert type(scale.grad.data) is np.ndarray and scale.grad.tolist() == 6.0


def test_accumulating_into_a_leaf_does_not_spoil_a_gradient_under_way():
    a, b = leaf([1.0]), leaf([1.0])
    pair = tt.op(lambda x, y: x + y)
    tt.gradient(pair)(lambda g: (lambda d: (d, d))(g * 1.0))
    h = b * 3.0
    (pair(a, h) + a * 5.0).backward()
    assert (a.grad.item(), b.grad.item()) == (6.0, 3.0)


def test_memory_does_not_grow_with_the_collector_off():
    def step():
        x = leaf(np.ones(10_000))
        y = (x * x + x).exp().sum() + x.max()
        y.backward()
        x.register_hook(lambda g: None)
        h = x * 2.0
        h.retain_grad()
        tt.checkpoint(lambda h: h * h, h).sum().backward()
    step()
    gc.collect()
    gc.disable()
    try:
        tracemalloc.start()
        step()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(20):
            step()
        assert tracemalloc.get_traced_memory()[0] - before < 20_000
    finally:
        tracemalloc.stop()
        gc.enable()


def test_a_value_dies_as_soon_as_nobody_needs_it():
    import weakref
    x = leaf(np.ones(10))
    h = x + 1.0
    alive = weakref.ref(h)
    y = h + 2.0                                         # addition keeps nothing
    del h
    assert alive() is None and y.requires_grad


def test_a_freed_graph_is_refused_and_a_retained_one_is_not():
    x = leaf([3.0])
    y = x * x
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == 12.0
    with pytest.raises(RuntimeError, match="multiply.*retain_graph"):
        y.backward()
    assert x.grad.item() == 12.0


def test_no_grad_is_over_after_an_exception_and_per_thread_and_task():
    x = leaf([1.0])
    with pytest.raises(KeyError), tt.no_grad():
        raise KeyError
    assert tt.is_grad_enabled()

    @tt.no_grad()
    def quiet():
        return (x * 2).requires_grad
    assert not quiet() and (x * 2).requires_grad
    with tt.no_grad():
        seen = []
        thread = threading.Thread(target=lambda: seen.append((x * 2).requires_grad))
        thread.start()
        thread.join()
        assert seen == [True]

    async def one():
        with tt.no_grad():
            await asyncio.sleep(0.01)
            return (x * 2).requires_grad

    async def other():
        await asyncio.sleep(0.005)
        return (x * 2).requires_grad

    async def both():
        return await asyncio.gather(one(), other())
    assert asyncio.run(both()) == [False, True]


def test_hooks_see_the_sum_once_and_may_replace_it():
    x, seen = leaf([2.0]), []
    handle = x.register_hook(lambda g: seen.append(g.item()) or g * 2)
    (x * 3 + x * 4).backward()
    assert seen == [7.0] and x.grad.item() == 14.0
    handle.remove()
    h = x * 2
    h.register_hook(lambda g: g * 0)
    h.retain_grad()
    x.zero_grad()
    (h * h).backward()
    assert x.grad.item() == 0.0 and h.grad.item() == 0.0
    with pytest.raises(RuntimeError, match="require"):
        tt.Tensor([1.0]).register_hook(print)


def test_checkpoint_gives_the_same_gradients_for_less_memory():
    size = 100_000
    w = leaf(np.linspace(0.5, 1.5, size))

    def steps(h):
        for _ in range(6):
            h = tt.tanh(h * w)
        return h

    def run(wrapped):
        x = leaf(np.linspace(0, 1, size))
        w.zero_grad()
        gc.collect()
        tracemalloc.start()
        h = x
        for _ in range(6):
            h = wrapped(steps, h)
        h.sum().backward()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return x.grad.numpy(), w.grad.numpy(), peak
    straight, again = run(lambda f, h: f(h)), run(tt.checkpoint)
    np.testing.assert_array_equal(straight[0], again[0])
    np.testing.assert_allclose(straight[1], again[1], rtol=1e-6)
    assert again[2] < 0.6 * straight[2], f"{again[2]:,} bytes with checkpoints, {straight[2]:,} without"


def test_checkpoint_drops_the_same_numbers_again():
    tt.manual_seed(1)
    drop = tt.Dropout(0.5)
    x = leaf(np.ones(1000))
    y = tt.checkpoint(lambda x: drop(x) * x, x)
    kept = y.numpy() != 0
    y.sum().backward()
    assert ((x.grad.numpy() != 0) == kept).all()


def test_checkpoint_reaches_what_its_function_uses_from_outside():
    def gradients(wrapped):
        x, w, seen = leaf([0.5, 1.5]), leaf([2.0, 3.0]), []
        w.register_hook(lambda g: seen.append(g.tolist()))
        middle = w * w                                  # not a leaf, and also used after the checkpoint
        y = wrapped(lambda x: (x * middle).exp() * w, x)
        (y * middle).sum().backward()
        return x.grad.tolist(), w.grad.tolist(), seen
    assert gradients(tt.checkpoint) == gradients(lambda f, *inputs: f(*inputs))


def test_gradcheck_catches_a_wrong_rule():
    wrong = tt.op(lambda x: x * x)
    tt.gradient(wrong)(lambda g, x: g * x)
    with pytest.raises(RuntimeError, match="small steps"):
        tt.gradcheck(wrong, leaf([1.0, 2.0], F64))
    with pytest.raises(ValueError, match="float64"):
        tt.gradcheck(lambda x: x, leaf([1.0]))


def test_grad_leaves_grad_alone_and_reaches_the_middle():
    x = leaf([2.0])
    h = x * x
    y = h * 3
    dh, dx = tt.grad(y, [h, x])
    assert (dh.item(), dx.item(), x.grad) == (3.0, 12.0, None)
    with pytest.raises(RuntimeError, match="allow_unused"):
        tt.grad((x * 1).sum(), leaf([1.0]))


def test_second_derivatives_come_from_the_same_rules():
    x = leaf([0.5, 1.5], F64)
    (first,) = tt.grad((x.exp() * x).sum(), x, create_graph=True)
    (second,) = tt.grad(first.sum(), x)
    np.testing.assert_allclose(second, (x.numpy() + 2) * np.exp(x.numpy()))
    (first,) = tt.grad(tt.cross_entropy(leaf(np.ones((2, 3)), F64) * x.sum(), np.array([0, 1])), x, create_graph=False)
    assert first.shape == (2,)


def test_a_rule_of_the_wrong_shape_and_a_missing_rule_are_named():
    floor = tt.op(lambda x: np.floor(x))
    floor.__name__ = "floor"
    with pytest.raises(NotImplementedError, match="floor"):
        floor(leaf([1.5])).backward()
    tt.gradient(floor)(lambda g: np.ones((7, 7)))
    with pytest.raises(RuntimeError, match=r"floor.*\(7, 7\)"):
        floor(leaf([1.5, 2.5])).backward(np.ones(2))


def test_leaves_pickle_and_copy_and_others_say_why_not():
    x = leaf([1.0, 2.0])
    (x * 1).sum().backward()
    for twin in (pickle.loads(pickle.dumps(x)), copy.deepcopy(x)):
        assert twin.requires_grad and twin.tolist() == [1, 2] and twin.grad.tolist() == [1, 1]
        assert not np.shares_memory(twin.data, x.data)
    with pytest.raises(TypeError, match="detach"):
        copy.deepcopy(x * 2)
    assert type(copy.deepcopy(tt.Parameter([1.0]))) is tt.Parameter


def test_a_list_of_leaves_is_not_made_a_tensor_silently():
    with pytest.raises(TypeError, match="stack"):
        tt.Tensor([leaf(1.0), leaf(2.0)])
    assert tt.Tensor([tt.Tensor(1.0), tt.Tensor(2.0)]).tolist() == [1, 2]


def test_numpy_cannot_drop_a_derivative_silently():
    x = leaf([1.0, 2.0])
    for call, ours in [(lambda: np.where(x > 1, x, x), "where"), (lambda: np.concatenate([x, x]), "cat"), (lambda: np.sum(x), "sum"),
                       (lambda: np.mean(x), "mean"), (lambda: np.stack([x, x]), "stack"), (lambda: np.linalg.norm(x), "norm")]:
        with pytest.raises(TypeError, match=ours):
            call()
    assert np.allclose(x, [1, 2]) and np.asarray(x) is not None


def test_shapes_that_do_not_fit_are_explained():
    with pytest.raises(ValueError, match=r"matmul: \(32, 784\) @ \(256, 784\): inner sizes 784 and 256 differ; did you mean b.T\?"):
        tt.Tensor(np.ones((32, 784))) @ tt.Tensor(np.ones((256, 784)))
    with pytest.raises(ValueError, match=r"add: \(2, 3\) \+ \(4,\): sizes 3 and 4"):
        tt.Tensor(np.ones((2, 3))) + tt.Tensor(np.ones(4))


@pytest.mark.parametrize("activation", [tt.gelu, tt.silu, tt.erf])
def test_a_large_array_in_pieces_gives_what_its_rows_give(activation):
    x = np.random.default_rng(0).standard_normal((700, 500)).astype(F32).T
    np.testing.assert_array_equal(activation(tt.Tensor(x)).numpy(), np.stack([activation(tt.Tensor(row)).numpy() for row in x]))
