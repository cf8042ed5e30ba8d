"""Inputs and calls for the judge: never an expected value.  The reference's answers to the same calls are the expectation."""

import numpy as np

from tito.check.probing import close, exact, numbers, probe, raised, tensors

SHARES = (0, 0.1, 0.25, 0.33, 0.5, 0.62, 0.9, 1)


def holed(rng, *shape, zeros=0.7, dtype="float32"):
    """Numbers of which that share is 0."""
    return numbers(rng, *shape, dtype=dtype) * (rng.random(shape) >= zeros)


def drawn(rng, module):
    """The module with numbers of this generator in all its parameters."""
    for p in module.parameters():
        p.data[...] = rng.normal(size=p.shape)
    return module


def network(tinytorch, rng):
    return drawn(rng, tinytorch.Sequential(tinytorch.Linear(5, 7), tinytorch.ReLU(), tinytorch.Linear(7, 4, bias=False), tinytorch.Linear(4, 3)))


# ---- pruning -----------------------------------------------------------------------------------

@probe("test-keep-largest", exact)
def what_stays(tinytorch, rng):
    answers = []
    for values in (numbers(rng, 7), numbers(rng, 4, 5, dtype="float32"), numbers(rng, 2, 3, 2, 2), rng.integers(-2, 3, (6, 6)), np.zeros((0, 3)),
                   holed(rng, 5, 4), np.asfortranarray(numbers(rng, 3, 5))):
        before = values.copy()
        answers += [tinytorch.keep_largest(values, share) for share in (*SHARES, float(rng.uniform()))]
        answers.append(bool(np.array_equal(before, values)))
    return [*answers, raised(lambda: tinytorch.keep_largest(values, 1.5)), raised(lambda: tinytorch.keep_largest(values, -0.1))]


@probe("test-masks", exact)
def zeros_that_stay(tinytorch, rng):
    answers = []
    for _ in range(3):
        model = network(tinytorch, rng)
        parameters = tinytorch.weights_of(model)
        held = {name: p.data for name, p in parameters.items()}
        masks = tinytorch.Masks(parameters, {name: rng.random(p.shape) < 0.6 for name, p in parameters.items()})
        answers += [masks.apply() is masks, dict(held), all(p.data is held[name] for name, p in parameters.items())]
        answers += [[p.data for p in model.parameters()], [p.requires_grad for p in model.parameters()]]
    return answers


@probe("test-masks", close(1e-4))
def trained_with_masks(tinytorch, rng):
    model, x = network(tinytorch, rng), tinytorch.Tensor(numbers(rng, 6, 5))
    parameters = tinytorch.weights_of(model)
    masks = tinytorch.Masks(parameters, {name: rng.random(p.shape) < 0.5 for name, p in parameters.items()})
    masks.apply()
    optimizer = tinytorch.SGD(model.parameters(), lr=0.01, momentum=0.9)
    with masks.held(optimizer):
        for _ in range(3):
            optimizer.zero_grad()
            (model(x) ** 2).mean().backward()
            optimizer.step()
    return [[p.data for p in model.parameters()], tinytorch.measure_sparsity(model)]


@probe("test-magnitude-prune", exact)
def pruned(tinytorch, rng):
    answers = []
    for scope in ("global", "layer"):
        for share in (*SHARES, float(rng.uniform())):
            for skip in ((), ("2.",)):
                model = network(tinytorch, rng)
                masks = tinytorch.magnitude_prune(model, share, scope, skip)
                answers += [dict(masks.keep), [p.data for p in model.parameters()], all(p is masks.parameters[name] for name, p in
                            tinytorch.weights_of(model, skip).items()), type(masks).__name__]
    conv = drawn(rng, tinytorch.Sequential(tinytorch.Conv2d(2, 3, 3), tinytorch.Linear(3, 2)))
    answers.append(dict(tinytorch.magnitude_prune(conv, 0.5).keep))
    return [*answers, raised(lambda: tinytorch.magnitude_prune(conv, 0.5, "row")), raised(lambda: tinytorch.magnitude_prune(tinytorch.ReLU(), 0.5)),
            raised(lambda: tinytorch.magnitude_prune(conv, 95))]


# ---- storage -----------------------------------------------------------------------------------

@probe("test-gaps", exact)
def there_and_back(tinytorch, rng):
    answers = []
    for shape in ((7,), (4, 6), (3, 400), (2, 3, 4, 5), (0, 3), (3, 0), (1, 70000)):
        for zeros in (0.0, 0.5, 0.95, 0.9999, 1.1):
            array = holed(rng, *shape, zeros=zeros, dtype="float64" if zeros == 0.5 else "float32")
            before = array.copy()
            values, gaps = tinytorch.to_gaps(array)
            answers += [values, gaps, gaps.dtype.name, tinytorch.from_gaps(values, gaps, shape), bool(np.array_equal(before, array))]
    answers += list(tinytorch.to_gaps(np.asfortranarray(holed(rng, 4, 5))))
    return [*answers, raised(lambda: tinytorch.from_gaps(np.ones(2), np.array([3, 3], np.uint8), (2, 3))),
            raised(lambda: tinytorch.from_gaps(np.ones(2), np.array([3], np.uint8), (2, 3)))]


@probe("test-csr", close(1e-5))
def products(tinytorch, rng):
    answers = []
    for shape in ((5, 7), (40, 300), (1, 4), (6, 1), (0, 3)):
        for zeros in (0.0, 0.6, 0.9, 1.1):
            for dtype in ("float32", "float64"):
                sparse, x = tinytorch.CSR.from_dense(holed(rng, *shape, zeros=zeros, dtype=dtype)), numbers(rng, shape[1], dtype=dtype)
                before = x.copy()
                answers += [sparse.matvec(x), sparse.matvec(x.astype("float64")), sparse.values, bool(np.array_equal(before, x))]
    return [*answers, raised(lambda: sparse.matvec(x[:1]))]


# ---- smaller layers ----------------------------------------------------------------------------

@probe("test-strongest", exact)
def outputs_that_stay(tinytorch, rng):
    answers = []
    for _ in range(3):
        for layer in (tinytorch.Linear(4, 6), tinytorch.Linear(5, 1), tinytorch.Conv2d(3, 8, (2, 3)), tinytorch.Conv2d(1, 5, 1)):
            answers += [tinytorch.strongest(drawn(rng, layer), ratio).tolist() for ratio in (0, 0.2, 0.5, 0.7, 0.99)]
        kept = np.sort(rng.permutation(9)[:4])
        answers += [tinytorch.inputs_behind(kept, each).tolist() for each in (1, 2, 9)]
    return [*answers, raised(lambda: tinytorch.strongest(layer, 1)), raised(lambda: tinytorch.strongest(layer, -0.5))]


@probe("test-low-rank", close(1e-4))
def thin_factors(tinytorch, rng):
    answers = []
    for shape in ((6, 4), (3, 5), (4, 4)):
        for dtype in ("float32", "float64"):
            w = numbers(rng, *shape, dtype=dtype)
            for rank in (1, 2, min(shape)):
                for given in (w, tinytorch.Tensor(w, dtype=w.dtype)):
                    first, second = tinytorch.low_rank_approximate(given, rank)
                    answers += [np.asarray(first) @ np.asarray(second), np.shape(first), np.shape(second)]
    layer = drawn(rng, tinytorch.Linear(6, 5))
    thin, x = tinytorch.factorize(layer, 2), tinytorch.Tensor(numbers(rng, 3, 6))
    answers += [thin(x), np.matmul(*map(np.asarray, tinytorch.low_rank_approximate(layer, 3)))]
    return [*answers, raised(lambda: tinytorch.low_rank_approximate(w, 0)), raised(lambda: tinytorch.low_rank_approximate(w[0], 1))]


# ---- a teacher ---------------------------------------------------------------------------------

@probe("test-distillation-loss", close(1e-6))
def softened(tinytorch, rng):
    answers = []
    for n, classes in ((1, 2), (5, 4), (3, 10)):
        for temperature, alpha in ((1.0, 1.0), (2.5, 0.3), (0.7, 0.0), (5, 1)):
            student, teacher = tensors(tinytorch, numbers(rng, n, classes) * 3, numbers(rng, n, classes) * 3)
            targets = rng.integers(0, classes, n)
            loss = tinytorch.distillation_loss(student, teacher, targets, temperature, alpha)
            slope, none = tinytorch.grad(loss, [student, teacher], allow_unused=True)
            answers += [loss, slope, none, tinytorch.distillation_loss(student, teacher, targets)]
    plain = [tinytorch.Tensor(t.numpy().astype("float32")) for t in (student, teacher)]
    answers.append(tinytorch.distillation_loss(*plain, targets).dtype.name)
    return [*answers, raised(lambda: tinytorch.distillation_loss(*plain, targets, temperature=-1)),
            raised(lambda: tinytorch.distillation_loss(*plain, targets, alpha=1.5))]


@probe("test-module", close(1e-3))
def compressed(tinytorch, rng):
    answers = []
    model, x = network(tinytorch, rng), tinytorch.Tensor(numbers(rng, 8, 5))
    targets = rng.integers(0, 3, 8)
    masks = tinytorch.prune_and_finetune(model, [(x, targets)], [(0.3, 2), (0.6, 3)], optimizer=lambda p: tinytorch.SGD(p, lr=0.02),
                                         evaluate=lambda m: m(x).sum().item())
    answers += [model.state_dict(), masks.history, tinytorch.measure_sparsity(model), dict(masks.keep)]
    cut = tinytorch.structured_prune(model, 0.5)
    answers += [cut(x), [p.shape for p in cut.parameters()]]
    smaller, report = tinytorch.compress_model(model, {"magnitude_prune": 0.7, "structured_prune": 0.25, "low_rank": 0.4})
    answers += [smaller(x), list(report), [row["nonzero"] for row in report.values()]]
    pair = tinytorch.KnowledgeDistillation(model, network(tinytorch, rng), 2.0, 0.6)
    optimizer = tinytorch.SGD(pair.student.parameters(), lr=0.02)
    return [*answers, [pair.train_epoch([(x, targets)], optimizer) for _ in range(3)], raised(lambda: tinytorch.compress_model(model, {"zip": 1}))]
