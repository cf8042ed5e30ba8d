"""Inputs and calls for the judge of module 02: never an expected value.  The reference's answers to the same calls are the expectation."""

import numpy as np

from tito.check.probing import close, probe, raised

SHAPES = [(), (1,), (0,), (7,), (2, 3), (0, 3), (3, 1, 4)]
FULL = [(1,), (6,), (2, 3), (3, 1), (2, 3, 4), (2, 1, 3, 2)]            # no axis of length 0: nothing has no largest number


def tensor(tinytorch, array):
    """A Tensor of the array's own dtype."""
    return tinytorch.Tensor(array, dtype=array.dtype)


def numbers(rng, kind, spread=3.0):
    """Arrays of all shapes; the last is a transposed one, whose rows do not lie side by side in memory."""
    made = [np.asarray(spread * rng.standard_normal(shape), dtype=kind) for shape in SHAPES]
    return [*made, np.asarray(spread * rng.standard_normal((5, 4)), dtype=kind).T]


def answers(tinytorch, function, arrays):
    """What the function makes of each array, and the input after the call."""
    given = [tensor(tinytorch, array) for array in arrays]
    return [[function(x), x] for x in given]


def overflows(call):
    """The name of what `call()` raises where numbers too large for their dtype are an error."""
    with np.errstate(over="raise", invalid="raise"):
        return raised(call)


# ---- one number at a time: any shape, both dtypes; float64 to its own digits

@probe("test-relu")
def relu_anywhere(tinytorch, rng):
    return answers(tinytorch, tinytorch.relu, numbers(rng, "float32") + numbers(rng, "float32", 1e30))


@probe("test-relu", close(1e-14))
def relu_wide(tinytorch, rng):
    return answers(tinytorch, tinytorch.relu, numbers(rng, "float64"))


@probe("test-relu")
def relu_of_strange_numbers(tinytorch, rng):
    strange = rng.permutation(np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e38, -1e38, 0.25, -0.25]))
    return answers(tinytorch, tinytorch.relu, [strange.astype("float32"), strange])


@probe("test-leaky-relu")
def leaky_relu_with_any_slope(tinytorch, rng):
    slopes = [0.0, 1.0, *rng.uniform(0.05, 0.5, 2).tolist(), *rng.uniform(1.5, 4, 2).tolist(), -0.5]
    return [answers(tinytorch, lambda x: tinytorch.leaky_relu(x, negative_slope=slope), numbers(rng, "float32")) for slope in slopes]


@probe("test-leaky-relu", close(1e-14))
def leaky_relu_wide(tinytorch, rng):
    return [answers(tinytorch, tinytorch.leaky_relu, numbers(rng, "float64")),
            answers(tinytorch, lambda x: tinytorch.leaky_relu(x, negative_slope=0.3), numbers(rng, "float64"))]


@probe("test-leaky-relu")
def leaky_relu_of_strange_numbers(tinytorch, rng):
    strange = rng.permutation(np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e37, -1e37, 0.25, -0.25]))
    given = [strange.astype("float32"), strange]
    return [answers(tinytorch, lambda x: tinytorch.leaky_relu(x, negative_slope=slope), given) for slope in (0.01, 0.5, 2.0)]


@probe("test-sigmoid")
def sigmoid_anywhere(tinytorch, rng):
    arrays = numbers(rng, "float32") + numbers(rng, "float32", 300.0)
    return [answers(tinytorch, tinytorch.sigmoid, arrays), [[tinytorch.logistic(a), a] for a in arrays]]


@probe("test-sigmoid", close(1e-13))
def sigmoid_wide(tinytorch, rng):
    return [answers(tinytorch, tinytorch.sigmoid, numbers(rng, "float64")), [tinytorch.logistic(a) for a in numbers(rng, "float64")]]


@probe("test-sigmoid", close(1e-4))
def small_chances(tinytorch, rng):
    low = np.array([rng.uniform(a - 5, a) for a in (-10, -20, -40, -80)])
    with np.errstate(divide="ignore", invalid="ignore"):
        return [np.log(tinytorch.sigmoid(tensor(tinytorch, low.astype(kind))).numpy()) for kind in ("float32", "float64")]


@probe("test-sigmoid")
def sigmoid_of_strange_numbers(tinytorch, rng):
    far = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e38, -1e38, *rng.uniform(100, 1e5, 3), *-rng.uniform(100, 1e5, 3)])
    both = [tensor(tinytorch, far.astype(kind)) for kind in ("float32", "float64")]
    return [[tinytorch.sigmoid(x), x, overflows(lambda: tinytorch.sigmoid(x))] for x in both]


@probe("test-tanh")
def tanh_anywhere(tinytorch, rng):
    return answers(tinytorch, tinytorch.tanh, numbers(rng, "float32") + numbers(rng, "float32", 300.0))


@probe("test-tanh", close(1e-14))
def tanh_wide(tinytorch, rng):
    return [answers(tinytorch, tinytorch.tanh, numbers(rng, "float64")), [np.tanh(tensor(tinytorch, a)) for a in numbers(rng, "float64")]]


@probe("test-tanh")
def tanh_of_strange_numbers(tinytorch, rng):
    far = np.array([np.nan, np.inf, -np.inf, 1e38, -1e38, *rng.uniform(100, 1e5, 3), *-rng.uniform(100, 1e5, 3)])
    small = np.concatenate([10.0 ** -rng.uniform(3, 8, 4), -10.0 ** -rng.uniform(3, 8, 4)])
    both = [(tensor(tinytorch, far.astype(kind)), tensor(tinytorch, small.astype(kind))) for kind in ("float32", "float64")]
    return [[tinytorch.tanh(x), overflows(lambda: tinytorch.tanh(x)), tinytorch.tanh(y).numpy() / y.numpy()] for x, y in both]


@probe("test-gelu")
def gelu_in_both_forms(tinytorch, rng):
    forms = [tinytorch.gelu, lambda x: tinytorch.gelu(x, approximate="none"), lambda x: tinytorch.gelu(x, approximate="tanh")]
    arrays = numbers(rng, "float32") + numbers(rng, "float32", 0.01) + numbers(rng, "float32", 1000.0)
    return [answers(tinytorch, form, arrays) for form in forms]


@probe("test-gelu", close(1e-12))
def gelu_wide(tinytorch, rng):
    arrays = numbers(rng, "float64")
    return [answers(tinytorch, lambda x: tinytorch.gelu(x, approximate=form), arrays) for form in ("none", "tanh")]


@probe("test-gelu")
def gelu_refuses(tinytorch, rng):
    x, word = tinytorch.Tensor([1.0, 2.0]), "".join(rng.choice(list("abc"), 4))
    return [raised(lambda: tinytorch.gelu(x, approximate=form)) for form in ("none", "tanh", "exact", "Tanh", "", word)]


@probe("test-gelu")
def gelu_of_more_than_a_cache_holds(tinytorch, rng):
    x = tensor(tinytorch, rng.standard_normal((300, 250), dtype="float32").T)
    return [tinytorch.gelu(x), tinytorch.gelu(x, approximate="tanh"), tinytorch.erf(x), tinytorch.silu(x), x]


@probe("test-silu")
def silu_anywhere(tinytorch, rng):
    arrays = numbers(rng, "float32") + numbers(rng, "float32", 0.01) + numbers(rng, "float32", 300.0)
    return answers(tinytorch, tinytorch.silu, arrays)


@probe("test-silu", close(1e-13))
def silu_wide(tinytorch, rng):
    return answers(tinytorch, tinytorch.silu, numbers(rng, "float64"))


@probe("test-silu")
def silu_far_out(tinytorch, rng):
    far = np.array([np.nan, 1e38, -1e38, *rng.uniform(100, 1e5, 3), *-rng.uniform(100, 1e5, 3)])
    both = [tensor(tinytorch, far.astype(kind)) for kind in ("float32", "float64")]
    return [[tinytorch.silu(x), x, overflows(lambda: tinytorch.silu(x))] for x in both]


# ---- along an axis: every axis, counted from both ends, given by place and by name

def along(tinytorch, function, arrays):
    """What the function makes of each array along each of its axes, and the input after the calls."""
    return [[[function(x, dim=dim) for dim in range(-x.ndim, x.ndim)], function(x), function(x, 0), x]
            for x in (tensor(tinytorch, array) for array in arrays)]


def scores(rng, kind, spread):
    return [np.asarray(spread * rng.standard_normal(shape) + spread * rng.choice([-1, 0, 1]), dtype=kind) for shape in FULL]


def with_forbidden(rng, kind):
    """Scores some of which are -inf, though never a whole row or column."""
    z = np.asarray(rng.normal(size=(4, 4)), dtype=kind)
    z[np.eye(4, dtype=bool)[rng.permutation(4)]] = -np.inf
    return z


def odd_ones(tinytorch, function, rng):
    """No row at all, rows with -inf in them and of nothing else, nan, and an axis that is not there."""
    x = tinytorch.Tensor(rng.normal(size=(2, 3)))
    nothing = np.full((2, 3), -np.inf)
    nothing[1] = rng.normal(size=3)
    given = [with_forbidden(rng, "float32"), nothing, nothing * np.nan]
    with np.errstate(invalid="ignore"):
        values = [function(tinytorch.Tensor(z), dim=dim) for z in given for dim in (0, 1)]
    return [values, function(tinytorch.Tensor(np.ones((0, 3)))), [raised(lambda: function(x, dim=dim)) for dim in (-3, -2, 1, 2)]]


# Scores of float32 stay small enough for z - (largest + log of the sum): a right answer too, which loses digits where scores are large.

@probe("test-softmax", close(1e-4))
def softmax_along_every_axis(tinytorch, rng):
    return along(tinytorch, tinytorch.softmax, [z for spread in (1.0, 5.0, 100.0) for z in scores(rng, "float32", spread)])


@probe("test-softmax", close(1e-11))
def softmax_wide(tinytorch, rng):
    given = [*scores(rng, "float64", 1.0), *scores(rng, "float64", 1000.0), with_forbidden(rng, "float64")]
    return along(tinytorch, tinytorch.softmax, given)


@probe("test-softmax")
def softmax_of_odd_ones(tinytorch, rng):
    return odd_ones(tinytorch, tinytorch.softmax, rng)


@probe("test-log-softmax", close(1e-4))
def log_softmax_along_every_axis(tinytorch, rng):
    return along(tinytorch, tinytorch.log_softmax, [z for spread in (1.0, 5.0, 100.0) for z in scores(rng, "float32", spread)])


@probe("test-log-softmax", close(1e-9))
def log_softmax_wide(tinytorch, rng):
    given = [*scores(rng, "float64", 1.0), *scores(rng, "float64", 1e4), with_forbidden(rng, "float64")]
    return along(tinytorch, tinytorch.log_softmax, given)


@probe("test-log-softmax")
def log_softmax_of_odd_ones(tinytorch, rng):
    return odd_ones(tinytorch, tinytorch.log_softmax, rng)


# ---- as objects, and together

@probe("test-objects", close(1e-4))
def objects_with_settings(tinytorch, rng):
    x, slope = tinytorch.Tensor(100 * rng.normal(size=(2, 3, 4))), float(rng.uniform(0.1, 0.9))
    small = tinytorch.Tensor(rng.normal(size=(2, 3, 4)))
    made = [tinytorch.LeakyReLU(slope), tinytorch.Softmax(), tinytorch.LogSoftmax(),
            *(kind(dim) for kind in (tinytorch.Softmax, tinytorch.LogSoftmax) for dim in (-2, 0, 1, 2))]
    return [[layer(x), layer.forward(small), repr(layer), layer.parameters()] for layer in made]


@probe("test-objects", close(1e-6))
def gelu_as_an_object(tinytorch, rng):
    x = tinytorch.Tensor(rng.normal(size=(3, 5)))
    made = [tinytorch.GELU(), tinytorch.GELU("none"), tinytorch.GELU(approximate="tanh")]
    return [[layer(x), layer.eval()(x), repr(layer)] for layer in made] + [raised(lambda: tinytorch.GELU("exact")(x))]


@probe("test-objects")
def given_objects_and_methods(tinytorch, rng):
    x = tinytorch.Tensor(rng.normal(size=(3, 4)))
    made = [tinytorch.ReLU(), tinytorch.Sigmoid(), tinytorch.Tanh(), tinytorch.SiLU(), tinytorch.LeakyReLU()]
    methods = [x.relu(), x.sigmoid(), x.tanh(), x.erf(), x.softmax(0), x.softmax(dim=1), x.log_softmax(0), x.log_softmax(dim=1)]
    return [[[layer(x), layer.train().training, layer.eval().training, repr(layer)] for layer in made], methods]


@probe("test-module", close(1e-4))
def a_network(tinytorch, rng):
    pixels, *weights = (rng.standard_normal(shape) for shape in [(5, 8), (8, 6), (6, 6), (6, 6), (6, 3)])
    layers = [tinytorch.LeakyReLU(0.2), tinytorch.GELU(), tinytorch.SiLU(), tinytorch.LogSoftmax()]
    out = []
    for kind in ("float32", "float64"):
        x = tinytorch.Tensor(pixels, dtype=kind)
        for w, layer in zip(weights, layers):
            x = layer(x @ tinytorch.Tensor(w / 4, dtype=kind))
        out.append([x, x.tanh().sigmoid().relu(), x.softmax(0), x.log_softmax(1)])
    return out
