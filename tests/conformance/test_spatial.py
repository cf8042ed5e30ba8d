"""Layers of convolution and batch norm beside torch's: the same start, the same steps, the same statistics; and what they refuse."""

import math

import numpy as np
import pytest

import tinytorch as tt
from tinytorch.core.spatial import conv2d_loops

torch = pytest.importorskip("torch", reason="torch is only installed where conformance is checked: see the extra `conformance`")
NN = torch.nn


def copied(ours, theirs):
    """torch's module with our numbers."""
    turned = lambda array: array.T if array.ndim == 2 else array        # noqa: E731  a Linear's weight
    theirs.load_state_dict({name: torch.tensor(turned(array)) for name, array in ours.state_dict().items()})
    return theirs


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


@pytest.mark.parametrize(("name", "args", "settings"), [
    ("Conv2d", (4, 6, 3), {"padding": "same"}),
    ("Conv2d", (4, 6, (3, 2)), {"stride": (2, 1), "padding": (1, 0), "dilation": (1, 2), "groups": 2}),
    ("Conv2d", (4, 4, 1), {"bias": False}), ("Conv1d", (4, 6, 3), {"stride": 2, "padding": 1}),
    ("Conv1d", (4, 4, (5,)), {"groups": 4, "padding": 2}),
    ("BatchNorm2d", (4,), {}), ("BatchNorm2d", (4,), {"affine": False, "momentum": None}),
    ("BatchNorm1d", (4,), {"track_running_stats": False}),
    ("MaxPool2d", (3,), {"stride": 2, "padding": 1, "ceil_mode": True}), ("AvgPool2d", (2,), {"count_include_pad": False, "padding": 1}),
    ("AdaptiveAvgPool2d", ((2, 3),), {})])
def test_a_layer_has_torchs_state_and_gives_its_numbers(name, args, settings):
    ours = getattr(tt, name)(*args, **settings)
    theirs = copied(ours, getattr(NN, name)(*args, **settings))
    assert list(ours.state_dict()) == list(theirs.state_dict())
    x = numbers(5, 4, 9) if "1d" in name else numbers(5, 4, 9, 8)
    for training in (True, False):
        got, want = ours.train(training)(tt.Tensor(x)), theirs.train(training)(torch.tensor(x))
        np.testing.assert_allclose(got.numpy(), want.detach().numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("momentum", [0.1, 0.7, None])
def test_statistics_move_as_torchs_do(momentum):
    ours = tt.BatchNorm2d(3, momentum=momentum)
    theirs = copied(ours, NN.BatchNorm2d(3, momentum=momentum))
    for step in range(6):
        x = numbers(4, 3, 5, 2, seed=step) * (step + 1) + step
        ours(tt.Tensor(x)), theirs(torch.tensor(x))
        for name, want in theirs.state_dict().items():
            got = ours.state_dict()[name]
            assert got.shape == tuple(want.shape) and str(got.dtype) == str(want.dtype).removeprefix("torch."), name
            np.testing.assert_allclose(got, want.numpy(), rtol=1e-4, atol=1e-6, err_msg=name)


def test_a_network_is_trained_as_torchs_is():
    def layers(n):
        return [n.Conv2d(1, 6, 3, padding=1), n.BatchNorm2d(6), n.ReLU(), n.MaxPool2d(2), n.Conv2d(6, 8, 3, stride=2, groups=2), n.ReLU(),
                n.AvgPool2d(2), n.Flatten(), n.Linear(8, 4)]
    ours = tt.Sequential(*layers(tt))
    theirs = copied(ours, NN.Sequential(*layers(NN)))
    x, y = numbers(16, 1, 12, 12), np.random.default_rng(1).integers(0, 4, 16)
    steps = tt.SGD(ours.parameters(), lr=0.1, momentum=0.9), torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.9)
    for _ in range(8):
        losses = tt.cross_entropy(ours(tt.Tensor(x)), y), NN.functional.cross_entropy(theirs(torch.tensor(x)), torch.tensor(y))
        for loss, optimizer in zip(losses, steps):
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        np.testing.assert_allclose(losses[0].item(), losses[1].item(), rtol=1e-3)
    got, want = ours.eval()(tt.Tensor(x)).numpy(), theirs.eval()(torch.tensor(x)).detach().numpy()
    np.testing.assert_allclose(got, want, rtol=1e-2, atol=1e-2)


def test_where_numbers_are_equal_the_first_gets_the_gradient():
    for seed in range(20):
        x = np.random.default_rng(seed).integers(0, 2, (2, 3, 7, 8)).astype("float32")
        for settings in ({"kernel_size": 2}, {"kernel_size": 3, "stride": 1, "padding": 1},
                         {"kernel_size": (3, 2), "stride": 2, "dilation": (1, 2)}):
            a, b = tt.Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
            y = tt.max_pool2d(a, **settings)
            weights = numbers(*y.shape, seed=seed)
            y.backward(weights)
            NN.functional.max_pool2d(b, **settings).backward(torch.tensor(weights))
            np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-5, atol=1e-6)


def test_weights_start_within_torchs_bounds():
    for groups in (1, 2):
        ours, theirs = (n.Conv2d(8, 64, (3, 5), groups=groups) for n in (tt, NN))
        bound = 1 / math.sqrt(8 // groups * 15)
        for p, q in zip(ours.parameters(), theirs.parameters()):
            assert p.shape == tuple(q.shape) and abs(p.numpy()).max() <= bound and abs(p.numpy()).max() > 0.9 * q.abs().max().item() * 0.9
            assert abs(p.numpy().std() - bound / math.sqrt(3)) < 0.25 * bound


def test_images_larger_than_a_block_give_what_the_loops_give():
    x, w = numbers(1, 2, 14, 15), numbers(3, 2, 3, 3)
    from tinytorch.core import spatial
    before = spatial.CACHE
    try:
        for spatial.CACHE in (1, 100, 700, 5000):
            np.testing.assert_allclose(tt.conv2d(tt.Tensor(x), w, stride=2).numpy(), conv2d_loops(x, w, 2), rtol=1e-4, atol=1e-5)
    finally:
        spatial.CACHE = before


def image(*shape):
    return tt.ones(*shape)


@pytest.mark.parametrize(("call", "kind", "words"), [
    (lambda: tt.conv2d(image(3, 3), image(1, 1, 2, 2)), ValueError, "conv2d (3, 3) N, C, H, W"),
    (lambda: tt.conv2d(image(1, 3, 5, 5), image(4, 2, 2, 2)), ValueError, "conv2d (1, 3, 5, 5) (4, 2, 2, 2) 3 channels"),
    (lambda: tt.conv2d(image(1, 4, 5, 5), image(4, 2, 2, 2), groups=3), ValueError, "conv2d groups"),
    (lambda: tt.conv2d(image(1, 4, 5, 5), image(3, 2, 2, 2), groups=2), ValueError, "conv2d 3 kernels 2 groups"),
    (lambda: tt.conv2d(image(1, 1, 5, 5), image(1, 1, 8, 8), padding=1), ValueError, "conv2d 8 7"),
    (lambda: tt.conv2d(image(1, 1, 5, 5), image(1, 1, 2, 2), stride=0), ValueError, "conv2d stride 0"),
    (lambda: tt.conv2d(image(1, 1, 5, 5), image(1, 1, 2, 2), padding=-1), ValueError, "conv2d padding -1"),
    (lambda: tt.conv2d(image(1, 1, 5, 5), image(1, 1, 2, 2), stride=(1, 2, 3)), TypeError, "conv2d stride (1, 2, 3)"),
    (lambda: tt.conv2d(image(1, 1, 5, 5), image(1, 1, 2, 2), stride=1.5), TypeError, "conv2d stride 1.5"),
    (lambda: tt.conv2d(image(1, 1, 5, 5), image(1, 1, 2, 2), padding="full"), ValueError, "conv2d padding full"),
    (lambda: tt.conv2d(image(1, 1, 5, 5), image(1, 1, 2, 2), padding="same", stride=2), ValueError, "conv2d same stride"),
    (lambda: tt.conv2d(image(1, 1, 5, 5), image(2, 1, 2, 2), image(3)), ValueError, "conv2d bias (3,) (2,)"),
    (lambda: tt.conv2d(tt.Tensor(np.ones((1, 1, 5, 5), int)), image(1, 1, 2, 2)), TypeError, "conv2d int64"),
    (lambda: tt.conv2d(image(1, 0, 5, 5), image(1, 1, 2, 2)), ValueError, "conv2d (1, 0, 5, 5)"),
    (lambda: tt.conv1d(image(1, 1, 5, 5), image(1, 1, 2)), ValueError, "conv1d N, C, L"),
    (lambda: tt.max_pool2d(image(1, 1, 5, 5), 6), ValueError, "max_pool2d 6 5"),
    (lambda: tt.max_pool2d(image(1, 1, 5, 5), 2, padding=2), ValueError, "max_pool2d padding half"),
    (lambda: tt.max_pool2d(image(1, 1, 5, 5), 2, stride=0), ValueError, "max_pool2d stride"),
    (lambda: tt.avg_pool2d(image(5, 5), 2), ValueError, "avg_pool2d (5, 5)"),
    (lambda: tt.adaptive_avg_pool2d(image(1, 1, 5, 5), 0), ValueError, "adaptive_avg_pool2d output_size 0"),
    (lambda: tt.batch_norm(image(1, 3), None, None, training=True), ValueError, "batch_norm (1, 3) more than 1"),
    (lambda: tt.batch_norm(image(0, 3), None, None, training=True), ValueError, "batch_norm (0, 3) more than 0"),
    (lambda: tt.batch_norm(image(2, 3), None, None), ValueError, "batch_norm running statistics"),
    (lambda: tt.BatchNorm2d(3)(image(2, 4, 5, 5)), ValueError, "BatchNorm2d 3 (2, 4, 5, 5)"),
    (lambda: tt.BatchNorm1d(3)(image(2, 3, 5, 5)), ValueError, "BatchNorm1d 3 (2, 3, 5, 5)"),
    (lambda: tt.Conv2d(3, 4, 3, groups=2), ValueError, "Conv2d groups=2 3 4"),
    (lambda: tt.Conv2d(3, 4, 0), ValueError, "kernel_size 0"),
])
def test_what_does_not_fit_is_refused_by_name(call, kind, words):
    with pytest.raises(kind) as caught:
        call()
    assert [word for word in words.split() if word not in str(caught.value)] == []


def test_an_empty_batch_gives_an_empty_result():
    x = tt.Tensor(np.ones((0, 2, 6, 6)), requires_grad=True)
    y = tt.max_pool2d(tt.Conv2d(2, 3, 3, padding=1)(x), 2)
    assert y.shape == (0, 3, 3, 3)
    y.sum().backward()
    assert x.grad.shape == x.shape
