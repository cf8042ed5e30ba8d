"""Inputs and calls for the judge: never an expected value.  The reference's answers to the same calls are the expectation."""

import numpy as np

from tito.check.probing import close, exact, forbid, numbers, probe, raised, slopes, tensors

SIZES = [((1, 1), (1, 1)), ((2, 1), (1, 1)), ((1, 1), (1, 2)), ((2, 3), (2, 1)), ((3, 2), (1, 1))]             # stride, dilation

loops_only = forbid("test-conv2d-loops", "np.matmul", "np.einsum", "np.tensordot", "np.dot", "np.sum", "@", "sliding_window_view", "as_strided")


# ---- places ------------------------------------------------------------------------------------

@probe("test-output-size", exact)
def places(tinytorch, rng):
    answers = []
    for _ in range(200):
        size, kernel, stride, padding, dilation = (int(rng.integers(low, high)) for low, high in ((1, 40), (1, 8), (1, 5), (0, 4), (1, 4)))
        call = lambda: tinytorch.output_size(size, kernel, stride, padding, dilation)
        error = raised(call)
        answers.append([error, 0 if error else int(call())])
    return [*answers, int(tinytorch.output_size(9, 3)), int(tinytorch.output_size(9, 3, dilation=2, padding=1)), int(tinytorch.output_size(9, 3, 2))]


@probe("test-conv2d-loops", close(1e-5))
def by_loops(tinytorch, rng):
    answers = []
    for n, c, o, h, w, kh, kw, stride in ((1, 1, 1, 4, 4, 2, 2, 1), (2, 3, 2, 5, 4, 3, 2, 1), (1, 2, 3, 7, 6, 2, 3, 2),
                                          (2, 1, 2, 3, 8, 1, 4, 3), (0, 2, 1, 3, 3, 2, 2, 1)):
        for dtype in ("float32", "float64"):
            x, k = numbers(rng, n, c, h, w, dtype=dtype), numbers(rng, o, c, kh, kw, dtype=dtype)
            answers += [tinytorch.conv2d_loops(x, k, stride), x, k]
    return [*answers, tinytorch.conv2d_loops(x, k)]


@probe("test-patches", exact)
def what_is_seen(tinytorch, rng):
    x = numbers(rng, 2, 3, 9, 8)
    answers = []
    for kernel in ((1, 1), (2, 3), (3, 2)):
        for stride, dilation in SIZES:
            seen = tinytorch.patches(x, kernel, stride, dilation)
            answers += [seen, bool(np.shares_memory(seen, x))]
    return answers


@probe("test-im2col", close(1e-9))
def columns_and_back(tinytorch, rng):
    answers = []
    for kernel in (1, 2, (2, 3)):
        for stride, dilation in SIZES:
            for padding in (0, 1, (2, 1)):
                how = {"stride": stride, "padding": padding, "dilation": dilation}
                x = numbers(rng, 2, 2, 6, 7)
                cols = tinytorch.im2col(tensors(tinytorch, x)[0], kernel, **how)
                back = tinytorch.col2im(tensors(tinytorch, numbers(rng, *cols.shape))[0], (6, 7), kernel, **how)
                answers += [cols, back, x]
    return answers


# ---- convolution -------------------------------------------------------------------------------

def convolutions(rng):
    """Inputs and settings: x, w, b, stride, dilation, groups."""
    for groups, c, o in ((1, 3, 4), (2, 4, 2), (3, 3, 6)):
        for stride, dilation in SIZES:
            yield numbers(rng, 2, c, 8, 9), numbers(rng, o, c // groups, 3, 2), numbers(rng, o), stride, dilation, groups


@probe("test-convolve", close(1e-7))
def any_setting(tinytorch, rng):
    answers = []
    for x, w, b, *how in convolutions(rng):
        for bias in (b, None):
            answers.append(tinytorch.convolve(*tensors(tinytorch, x, w, bias), *how))
        answers += [x, w, b]
    return answers


@probe("test-convolve", close(1e-3))
def in_many_parts(tinytorch, rng):
    answers = []
    for n, c, size in ((6, 8, 40), (1, 4, 90), (3, 1, 64)):
        x, w, b = numbers(rng, n, c, size, size, dtype="float32"), numbers(rng, 4, c, 3, 3, dtype="float32"), numbers(rng, 4, dtype="float32")
        answers.append(tinytorch.convolve(*tensors(tinytorch, x, w, b), (1, 1), (1, 1), 1))
    return answers


@probe("test-convolve-gradients", close(1e-6))
def both_gradients(tinytorch, rng):
    return [slopes(tinytorch, rng, lambda x, w, b: tinytorch.convolve(x, w, b, *how), x, w, b) for x, w, b, *how in convolutions(rng)]


@probe("test-convolve-gradients", close(1e-6))
def gradients_in_many_parts(tinytorch, rng):
    answers = []
    for n, c, size in ((5, 8, 40), (1, 4, 90)):
        x, w, g = numbers(rng, n, c, size, size), numbers(rng, 2, c, 3, 3), numbers(rng, n, 2, size - 2, size - 2)
        answers += [tinytorch.convolve_weight(*tensors(tinytorch, x, g), (3, 3), (1, 1), (1, 1), 1),
                    tinytorch.convolve_input(*tensors(tinytorch, g, w), (size, size), (1, 1), (1, 1), 1)]
    return answers


@probe("test-conv2d-layer", close(1e-5))
def layers(tinytorch, rng):
    answers = []
    for kernel, groups, bias in ((3, 1, True), ((2, 3), 2, True), (1, 4, False)):
        seed = int(rng.integers(1000))
        layer = tinytorch.Conv2d(4, 8, kernel, groups=groups, bias=bias, padding=1, generator=np.random.default_rng(seed))
        x = tinytorch.Tensor(numbers(rng, 2, 4, 6, 7, dtype="float32"))
        answers += [layer.state_dict(), layer(x), len(layer.parameters()), layer.bias is None,
                    tinytorch.Conv1d(4, 8, 3, groups=groups, bias=bias, generator=np.random.default_rng(seed)).state_dict()]
    tinytorch.manual_seed(int(rng.integers(1000)))
    return [*answers, tinytorch.Conv2d(2, 3, 3).state_dict(), raised(lambda: tinytorch.Conv2d(3, 4, 3, groups=2))]


# ---- pools -------------------------------------------------------------------------------------

@probe("test-max-along", close(1e-9))
def largest_of_windows(tinytorch, rng):
    answers = []
    for dim, size in ((2, 7), (3, 9)):
        for kernel, stride, dilation in ((1, 1, 1), (2, 2, 1), (3, 1, 1), (3, 2, 1), (2, 3, 2), (3, 1, 2), (4, 2, 1)):
            count = (size - dilation * (kernel - 1) - 1) // stride + 1
            for x in (numbers(rng, 2, 3, 7, 9) - 3, np.asarray(rng.integers(0, 3, size=(2, 3, 7, 9)), "float64")):
                answers.append(slopes(tinytorch, rng, lambda x: tinytorch.max_along(x, dim, kernel, stride, dilation, count), x))
    return answers


@probe("test-max-along", close(1e-9))
def pools(tinytorch, rng):
    x = np.asarray(rng.integers(-2, 2, size=(2, 3, 7, 8)), "float64")
    settings = [(2, None, 0, 1, False), (3, 1, 1, 1, False), ((2, 3), (2, 1), (1, 0), 1, True), (2, 3, 1, 2, True)]
    return [slopes(tinytorch, rng, lambda x: tinytorch.max_pool2d(x, *how), x) for how in settings]


# ---- batch norm --------------------------------------------------------------------------------

def of_batch_norm(tinytorch, rng, dtype, training):
    """What batch_norm gives, and its statistics afterwards, for shapes of two to four axes, with and without weights."""
    answers = []
    for shape in ((5, 3), (2, 3, 4), (3, 2, 2, 5)):
        c = shape[1]
        for weighted in (True, False):
            x, (w, b) = numbers(rng, *shape, dtype=dtype) * 3 + 1, (numbers(rng, c, dtype=dtype) if weighted else None for _ in range(2))
            mean = numbers(rng, c, dtype=dtype)
            var, momentum, eps = np.asarray(rng.uniform(0.5, 2, c), dtype), float(rng.uniform(0.05, 0.9)), float(rng.choice([1e-5, 0.1]))
            running = [tinytorch.Tensor(t.copy(), dtype=dtype) for t in (mean, var)]
            made = [None if t is None else tinytorch.Tensor(t, dtype=t.dtype) for t in (x, w, b)]
            answers += [tinytorch.batch_norm(made[0], *running, *made[1:], training, momentum, eps), *running, x]
            if training:
                answers.append(tinytorch.batch_norm(made[0], None, None, made[1], None, training=True, eps=eps))
    return answers


@probe("test-batch-norm", close(1e-4))
def in_float32(tinytorch, rng):
    return [of_batch_norm(tinytorch, rng, np.dtype("float32"), training) for training in (True, False)]


@probe("test-batch-norm", close(1e-9))
def in_float64(tinytorch, rng):
    moments = [tinytorch.moments(numbers(rng, 4, 3, 2) * 2 + 5) for _ in range(3)]
    return [[list(m) for m in moments], *(of_batch_norm(tinytorch, rng, np.dtype("float64"), training) for training in (True, False))]


@probe("test-batch-norm-gradient", close(1e-6))
def of_its_gradient(tinytorch, rng):
    answers = []
    for shape in ((5, 3), (2, 3, 4), (3, 2, 2, 5)):
        c = shape[1]
        running = [tinytorch.Tensor(t, dtype=t.dtype) for t in (numbers(rng, c), rng.uniform(0.5, 2, c))]
        for training in (True, False):
            for weighted in (True, False):
                given = numbers(rng, *shape), numbers(rng, c) if weighted else None, numbers(rng, c) if weighted else None
                answers.append(slopes(tinytorch, rng, lambda x, w, b: tinytorch.batch_norm(x, *running, w, b, training, 0.0, 0.01), *given))
        x, g, mean, var, w = numbers(rng, 2, c, 4), numbers(rng, 2, c, 4), numbers(rng, c), rng.uniform(0.5, 2, c), numbers(rng, c)
        answers += [list(tinytorch.batch_norm_gradient(g, x, mean, var, weight, training, 0.1)) for weight in (w, None) for training in (True, False)]
        answers += [x, g]
    return answers


@probe("test-module", close(2e-3))
def a_few_steps(tinytorch, rng):
    net = tinytorch.Sequential(tinytorch.Conv2d(2, 4, 3, padding="same"), tinytorch.BatchNorm2d(4), tinytorch.MaxPool2d(2),
                               tinytorch.Conv2d(4, 6, 2, stride=2, groups=2), tinytorch.AvgPool2d(2), tinytorch.Flatten(), tinytorch.Linear(6, 3))
    for p in net.parameters():
        p.data[...] = numbers(rng, *p.shape) / 2
    x, y, losses = tinytorch.Tensor(numbers(rng, 8, 2, 8, 8, dtype="float32")), rng.integers(0, 3, 8), []
    for _ in range(5):
        net.zero_grad()
        loss = tinytorch.cross_entropy(net(x), y)
        loss.backward()
        losses.append(loss.item())
        for p in net.parameters():
            p.data -= 0.05 * p.grad.data
    return [losses, net.state_dict(), net.eval()(x)]
