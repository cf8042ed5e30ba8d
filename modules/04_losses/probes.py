"""Inputs and calls for the judge: never an expected value.  The reference's answers to the same calls are the expectation."""

import numpy as np

from tito.check.probing import close, exact, probe, raised

SHAPES = [(), (1,), (5,), (1, 1), (4, 3), (2, 3, 4)]
DTYPES = ["float32", "float64"]
REDUCTIONS = ["mean", "sum", "none"]
SETTINGS = [(shape, dtype, reduction) for shape in SHAPES for dtype in DTYPES for reduction in REDUCTIONS]
CLASSES = [((5,), ()), ((1,), ()), ((4, 3), (4,)), ((1, 6), (1,)), ((3, 3), (3,)), ((3, 4, 2), (3, 2)), ((2, 3, 4, 5), (2, 4, 5)), ((2, 4, 1), (2, 1))]


def tensor(tinytorch, array):
    """A Tensor with the dtype of the array."""
    return tinytorch.Tensor(array, dtype=array.dtype)


def numbers(rng, shape, dtype="float32", scale=2.0):
    """Random numbers as an array, also where the shape is ()."""
    return np.asarray(rng.normal(size=shape) * scale, dtype)


# ---- pairs of tensors --------------------------------------------------------------------------

@probe("test-paired", exact)
def what_fits(tinytorch, rng):
    answers = []
    for shape in [*SHAPES, (0,)]:
        for dtype in DTYPES:
            x, y = numbers(rng, shape, dtype), numbers(rng, shape, dtype)
            for target in (tensor(tinytorch, y), y, y.tolist()):
                pair = tinytorch.paired(tensor(tinytorch, x), target)
                answers.append([len(pair), *(item.numpy() for item in pair)])
    return answers


@probe("test-paired", exact)
def what_does_not_fit(tinytorch, rng):
    n = int(rng.integers(2, 9))
    shapes = [(n, 1), (n,), (1, n), (), (1,), (n, n), (n, n + 1), (n + 1, n), (1, n, n), (0,), (0, n)]
    return [raised(lambda: tinytorch.paired(tinytorch.Tensor(np.ones(a)), tinytorch.Tensor(np.ones(b)))) for a in shapes for b in shapes]


@probe("test-reduce-loss", close(1e-5))
def every_reduction(tinytorch, rng):
    answers = []
    for shape, dtype, reduction in SETTINGS:
        losses, count = numbers(rng, shape, dtype), int(rng.integers(1, 9))
        for given in (tensor(tinytorch, losses), losses):
            answers += [tinytorch.reduce_loss(given, reduction), tinytorch.reduce_loss(given, reduction, count), given]
    return answers


@probe("test-reduce-loss", close(1e-5))
def nothing_and_other_words(tinytorch, rng):
    empty, some = np.ones((0, 3), "float32"), numbers(rng, (2, 3))
    word = str(rng.choice(["average", "Mean", "", "summ"]))
    calls = [(empty, "mean", None), (empty, "mean", 3), (some, "mean", 0), (empty, "mean", 0), (some, word, None), (some, None, None), (some, word, 2)]
    allowed = [tinytorch.reduce_loss(tinytorch.Tensor(empty), r, 0) for r in ("sum", "none")]
    return [allowed, [raised(lambda: tinytorch.reduce_loss(tinytorch.Tensor(losses), *how)) for losses, *how in calls]]


def pairs(tinytorch, rng, loss, draw=numbers, **settings):
    """The answers of a loss of pairs, and its inputs afterwards; the target a Tensor, an array and a list."""
    answers = []
    for shape, dtype, reduction in SETTINGS:
        x, y = draw(rng, shape, dtype), draw(rng, shape, dtype)
        prediction, target = tensor(tinytorch, x), tensor(tinytorch, y)
        for given in (target, y, y.tolist()):
            answers.append(loss(prediction, given, reduction=reduction, **settings))
        answers += [prediction, target]
    return answers


def refusals(tinytorch, rng, loss):
    """What a loss of pairs says of shapes that are not equal, of empty ones and of an unknown word."""
    n = int(rng.integers(2, 6))
    shapes = [((n, 1), (n,)), ((n,), (n, 1)), ((n, 3), (n, 1)), ((n, 3), (3,)), ((n,), ()), ((), (n,)), ((n, n + 1), (n + 1, n)), ((0, 2), (0, 2))]
    one = tinytorch.Tensor(np.full((n,), 0.5))
    return [*(raised(lambda: loss(tinytorch.Tensor(np.full(a, 0.5)), tinytorch.Tensor(np.full(b, 0.5)))) for a, b in shapes),
            raised(lambda: loss(one, one, reduction="average")), raised(lambda: loss(one, one, reduction="none"))]


@probe("test-mse-loss", close(1e-5))
def squared_errors(tinytorch, rng):
    return [pairs(tinytorch, rng, tinytorch.mse_loss), refusals(tinytorch, rng, tinytorch.mse_loss)]


@probe("test-mse-loss", close(1e-12))
def squared_errors_in_float64(tinytorch, rng):
    x, y = numbers(rng, (4, 3), "float64"), numbers(rng, (4, 3), "float64")
    return [tinytorch.mse_loss(tensor(tinytorch, x), target) for target in (tensor(tinytorch, y), y, y.tolist())]


@probe("test-mse-loss", close(1e-5))
def squared_errors_of_any_size(tinytorch, rng):
    x, y = (tinytorch.Tensor(numbers(rng, (3, 4), scale=size)) for size in (1e12, 1e15))
    return [tinytorch.mse_loss(a, b, reduction=reduction) for a, b in ((x, y), (y, x), (x, x)) for reduction in REDUCTIONS]


@probe("test-l1-huber", close(1e-5))
def absolute_errors(tinytorch, rng):
    return [pairs(tinytorch, rng, tinytorch.l1_loss), refusals(tinytorch, rng, tinytorch.l1_loss)]


@probe("test-l1-huber", close(1e-5))
def huber_errors(tinytorch, rng):
    deltas = [1.0, 1, 2.5, float(rng.uniform(0.1, 3)), 1e-3, 1e6]
    return [*(pairs(tinytorch, rng, tinytorch.huber_loss, delta=delta) for delta in deltas), refusals(tinytorch, rng, tinytorch.huber_loss),
            [raised(lambda: tinytorch.huber_loss([1.0], [2.0], delta=delta)) for delta in (0, 0.0, -1, -1e-9, 1e-9)]]


@probe("test-l1-huber", close(1e-12))
def both_in_float64(tinytorch, rng):
    x, y = numbers(rng, (4, 3), "float64"), numbers(rng, (4, 3), "float64")
    return [loss(tensor(tinytorch, x), target) for loss in (tinytorch.l1_loss, tinytorch.huber_loss) for target in (tensor(tinytorch, y), y, y.tolist())]


# ---- classes -----------------------------------------------------------------------------------

def labels(rng, scores, places, ignored=-100):
    """Class numbers for scores of this shape, some of them ignored, not all."""
    targets = np.asarray(rng.integers(0, scores[min(len(scores) - 1, 1)], size=places))
    if targets.size > 1:
        targets.flat[rng.integers(targets.size)] = ignored
    return targets


def of_classes(tinytorch, rng, loss, draw, **settings):
    """The answers of a loss of classes, and its inputs afterwards; targets a Tensor, an array and a list."""
    answers = []
    for shape, places in CLASSES:
        for dtype in DTYPES:
            scores, targets = tensor(tinytorch, draw(shape).astype(dtype)), labels(rng, shape, places)
            for reduction in REDUCTIONS:
                for given in (tinytorch.Tensor(targets), targets, targets.tolist()):
                    answers.append(loss(scores, given, reduction=reduction, **settings))
            answers += [scores, loss(scores, np.zeros(places, "int32"), **settings)]
            answers += [loss(scores, np.zeros(places, "uint8"), ignore_index=255, reduction=reduction, **settings) for reduction in REDUCTIONS]
    return answers


def wrong_classes(tinytorch, rng, loss):
    """What a loss of classes says of targets that do not fit, and of nothing that counts."""
    scores = tinytorch.Tensor(np.log(np.full((3, 4), 0.25)))
    targets = [[0, 1, 4], [0, -1, 2], [0, 1], [[0, 1, 2]], [-100] * 3, [0.0, 1.0, 2.0], np.eye(4)[:3]]
    nothing = tinytorch.Tensor(np.zeros((0, 4)))
    return [*(raised(lambda: loss(scores, given)) for given in targets), raised(lambda: loss(nothing, np.zeros(0, int))),
            *(loss(scores, [-100] * 3, reduction=reduction) for reduction in ("sum", "none")),
            *(loss(nothing, np.zeros(0, int), reduction=reduction) for reduction in ("sum", "none")),
            loss(scores, [2, 1, 2], ignore_index=2), loss(scores, [0, 0, 1], ignore_index=0, reduction="none"), loss(scores, [7, 1, 2], ignore_index=7)]


def log_chances(rng):
    """Draws arrays of log-probabilities, which need not add up to 1."""
    return lambda shape: np.log(np.asarray(rng.uniform(0.01, 1, size=shape)))


@probe("test-nll-loss", close(1e-5))
def what_is_picked(tinytorch, rng):
    return [of_classes(tinytorch, rng, tinytorch.nll_loss, log_chances(rng)), wrong_classes(tinytorch, rng, tinytorch.nll_loss)]


@probe("test-nll-loss", close(1e-5))
def impossible_classes(tinytorch, rng):
    table = np.log(rng.uniform(0.1, 1, size=(6, 5)))
    targets = rng.integers(1, 5, size=6)
    table[:, 0], targets[rng.integers(6)] = -np.inf, -100
    return [tinytorch.nll_loss(tinytorch.Tensor(table), targets, reduction=reduction) for reduction in REDUCTIONS]


@probe("test-cross-entropy", close(2e-5))
def scores_of_classes(tinytorch, rng):
    def draw(shape):
        return numbers(rng, shape, "float64", 3.0)
    smooth = [0.0, float(rng.uniform(0.05, 0.95)), 1.0]
    return [*(of_classes(tinytorch, rng, tinytorch.cross_entropy, draw, label_smoothing=eps) for eps in smooth),
            wrong_classes(tinytorch, rng, tinytorch.cross_entropy)]


@probe("test-cross-entropy", close(2e-5))
def scores_of_any_size(tinytorch, rng):
    z, targets = rng.choice([-1e4, -60, 0, 60, 1e4], size=(8, 5)), rng.integers(0, 5, size=8)
    forbidden = numbers(rng, (6, 4))
    forbidden[:, 3] = -np.inf
    scores = [(z, targets), (z + 1e5, targets), (forbidden, rng.integers(0, 3, size=6)), (np.zeros((2, 1000)), [3, 999])]
    answers = [tinytorch.cross_entropy(tinytorch.Tensor(x), t, reduction=reduction) for x, t in scores for reduction in REDUCTIONS]
    return [*answers, tinytorch.cross_entropy(tinytorch.Tensor(z), targets, label_smoothing=0.1, reduction="none")]


@probe("test-cross-entropy", close(2e-5))
def probabilities_for_later(tinytorch, rng):
    forward, answers = tinytorch.cross_entropy.__wrapped__, []
    for shape, places in CLASSES:
        for dtype in DTYPES:
            z = numbers(rng, shape, dtype, 5.0)
            answers += [forward(z, labels(rng, shape, places), label_smoothing=float(rng.choice([0, 0.2])))[1]["p"], z]
    return answers


# ---- yes or no ---------------------------------------------------------------------------------

def chances(rng, shape, dtype):
    """Numbers from 0 to 1, both ends among them."""
    return np.asarray(rng.choice([0.0, 1.0, *rng.uniform(0.01, 0.99, size=4)], size=shape), dtype)


@probe("test-binary-cross-entropy", close(1e-5))
def floors(tinytorch, rng):
    small = np.array([0.0, 1e-45, 1e-40, 1e-30, 1e-7, 0.5, 1.0, 1e30], "float32")
    tiny = np.array([0.0, 1e-300, 1e-43, 1e-44, rng.uniform()])
    return [tinytorch.clamped_log(tensor(tinytorch, x)) for x in (small, tiny, chances(rng, (), "float32"), chances(rng, (3, 4), "float64"))]


@probe("test-binary-cross-entropy", close(1e-5))
def chances_of_yes(tinytorch, rng):
    loss = tinytorch.binary_cross_entropy
    bad = [[1.0 + 1e-6], [-1e-6], [np.nan], [np.inf]]
    return [pairs(tinytorch, rng, loss, chances), refusals(tinytorch, rng, loss), [raised(lambda: loss(tinytorch.Tensor(p), [1.0])) for p in bad]]


@probe("test-with-logits", close(3e-6))
def softplus_of_any_size(tinytorch, rng):
    z = np.concatenate([rng.normal(size=50) * 30, [0.0, -1e4, 1e4, -80, 80, -1e30, 1e30, -np.inf, np.inf]])
    plain = [tinytorch.softplus(tensor(tinytorch, x)) for x in (z.astype("float32"), z, numbers(rng, ()), numbers(rng, (0, 3)), numbers(rng, (2, 3, 4)))]
    small = np.asarray(rng.uniform(-60, -10, size=20), "float32")
    return [*plain, tinytorch.softplus(tinytorch.Tensor(small)).numpy() / np.exp(small)]


@probe("test-with-logits", close(5e-5))
def scores_of_yes(tinytorch, rng):
    def draw(rng, shape, dtype):
        return np.asarray(rng.choice([0.0, 1.0, 0.3, -0.7, 2.5], size=shape), dtype)
    loss = tinytorch.binary_cross_entropy_with_logits
    big, t = rng.choice([-1e4, -100, -20, 0, 20, 100, 1e4], size=(6, 5)), chances(rng, (6, 5), "float32")
    return [pairs(tinytorch, rng, loss, draw), refusals(tinytorch, rng, loss),
            [loss(tinytorch.Tensor(big), given, reduction=reduction) for given in (t, np.round(t)) for reduction in REDUCTIONS]]


# ---- everything --------------------------------------------------------------------------------

@probe("test-module", close(2e-5))
def objects(tinytorch, rng):
    x, y = (tinytorch.Tensor(numbers(rng, (6, 3))) for _ in range(2))
    p, yes, t = tinytorch.Tensor(chances(rng, (6, 3), "float32")), tinytorch.Tensor(chances(rng, (6, 3), "float32")), labels(rng, (6, 3), (6,))
    delta, eps = float(rng.uniform(0.2, 2)), float(rng.uniform(0, 1))
    answers = []
    for reduction in REDUCTIONS:
        answers += [tinytorch.MSELoss(reduction)(x, y), tinytorch.L1Loss(reduction)(x, y), tinytorch.HuberLoss(reduction, delta)(x, y)]
        answers += [tinytorch.NLLLoss(reduction=reduction)(x, t), tinytorch.CrossEntropyLoss(eps, 1, reduction)(x, np.maximum(t, 0))]
        answers += [tinytorch.BCELoss(reduction)(p, yes), tinytorch.BinaryCrossEntropyLoss(reduction)(p, yes), tinytorch.BCEWithLogitsLoss(reduction)(x, yes)]
    return [answers, [x, y, p, yes]]


@probe("test-module", close(2e-5))
def two_ways_to_one_number(tinytorch, rng):
    z, t = numbers(rng, (7, 4)), rng.integers(0, 4, size=7)
    logs = np.log(np.exp(z) / np.exp(z).sum(1, keepdims=True))
    score, yes = numbers(rng, (7,)), rng.integers(0, 2, size=7).astype("float32")
    chance = 1 / (1 + np.exp(-score))
    return [tinytorch.cross_entropy(tinytorch.Tensor(z), t), tinytorch.nll_loss(tinytorch.Tensor(logs), t),
            tinytorch.binary_cross_entropy_with_logits(tinytorch.Tensor(score), yes), tinytorch.binary_cross_entropy(tinytorch.Tensor(chance), yes)]
