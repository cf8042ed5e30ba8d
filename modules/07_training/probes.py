"""Inputs and calls for the judge: never an expected value.  The reference's answers to the same calls are the expectation."""

import os
import tempfile
from pathlib import Path

import numpy as np

from tito.check.probing import close, exact, holds, probe, raised


def tensor(tinytorch, array):
    """A Tensor with the dtype of the array."""
    return tinytorch.Tensor(array, dtype=np.asarray(array).dtype)


def batched(tinytorch, rng, sizes, features=3, classes=4):
    """A list of batches of these sizes: float64 inputs and class numbers."""
    return [(tensor(tinytorch, rng.normal(size=(n, features))), tinytorch.Tensor(rng.integers(0, classes, size=n))) for n in sizes]


def layer(tinytorch, seed, features=3, classes=4, dropout=0.0):
    """A small network in float64."""
    nn = tinytorch.nn
    model = nn.Sequential(nn.Linear(features, classes, generator=np.random.default_rng(seed)), nn.Dropout(dropout, generator=np.random.default_rng(seed)))
    for p in model.parameters():
        p.data = p.data.astype("float64")
    return model


def trainer_of(tinytorch, seed, lr=0.3, scheduler=None, clip=None, kind="SGD", **settings):
    model = layer(tinytorch, seed, **settings)
    optimizer = getattr(tinytorch.optim, kind)(model.parameters(), lr=lr)
    return tinytorch.Trainer(model, optimizer, tinytorch.nn.CrossEntropyLoss(), scheduler and scheduler(optimizer), grad_clip_norm=clip)


def weights(trainer):
    return [p.numpy() for p in trainer.model.parameters()]


# ---- measuring ---------------------------------------------------------------------------------

@probe("test-accuracy", close(1e-12))
def shares(tinytorch, rng):
    answers = []
    for shape in [(1, 1), (1, 5), (7, 2), (9, 4), (3, 3), (2, 3, 4), (4, 4, 4), (2, 5, 3, 2)]:
        logits, targets = rng.normal(size=shape), rng.integers(0, shape[1], size=(shape[0], *shape[2:]))
        best = logits.argmax(axis=1)
        for given in (targets, best, np.where(rng.random(best.shape) < 0.5, best, targets)):
            answers += [tinytorch.accuracy(tinytorch.Tensor(logits), tinytorch.Tensor(given)), tinytorch.accuracy(logits, given), tinytorch.accuracy(logits, given.tolist())]
            answers += [tinytorch.accuracy(logits, given.astype(kind)) for kind in ("int32", "uint8", "float32", "float64")]
    return answers


@probe("test-accuracy", exact)
def what_does_not_fit(tinytorch, rng):
    n = int(rng.integers(2, 6))
    shapes = [((n, 3), (n, 1)), ((n, 3), (1,)), ((n, 3), ()), ((n, 3), (n + 1,)), ((n, 3), (3,) if n != 3 else (4,)), ((n, 3, 2), (n, 3) if n != 2 else (5, 3)), ((n, 3, 2), (n,)), ((n, n), (n, n))]
    kinds = [type(tinytorch.accuracy(rng.normal(size=(n, 3)), rng.integers(0, 3, size=n))).__name__ for n in (1, 4)]
    return [kinds, [raised(lambda: tinytorch.accuracy(np.zeros(a), np.zeros(b, int))) for a, b in shapes]]


@probe("test-evaluate", close(1e-9))
def every_sample_once(tinytorch, rng):
    answers = []
    for sizes in [(1,), (5,), (4, 4), (6, 6, 1), (1, 7, 2), tuple(int(k) for k in rng.integers(1, 9, size=6))]:
        trainer, data = trainer_of(tinytorch, int(rng.integers(99)), dropout=0.5), batched(tinytorch, rng, sizes)
        answers += [trainer.evaluate(data), trainer.evaluate([(x.numpy(), y.numpy()) for x, y in data]), trainer.evaluate(tuple(data)), weights(trainer)]
        answers += [p.grad is None for p in trainer.model.parameters()]
    return answers


@probe("test-evaluate", close(1e-9))
def places_and_numbers(tinytorch, rng):
    nn, answers = tinytorch.nn, []
    sizes = [3, 5, 1]
    model = nn.Sequential(nn.Identity())
    data = [(rng.normal(size=(n, 4, 6)), rng.integers(0, 4, size=(n, 6))) for n in sizes]
    answers.append(tinytorch.Trainer(model, None, nn.CrossEntropyLoss()).evaluate(data))
    values = [(rng.normal(size=(n, 2)), rng.normal(size=(n, 2))) for n in sizes]
    for loss in (nn.MSELoss(), nn.L1Loss(), nn.HuberLoss()):
        answers.append(tinytorch.Trainer(model, None, loss).evaluate(values))
    return answers


@probe("test-evaluate", exact)
def modes_before_and_after(tinytorch, rng):
    seen = []

    class Listener(tinytorch.nn.Module):
        def forward(self, x):
            seen.append([self.training, tinytorch.is_grad_enabled()])
            if self.breaks:
                raise KeyError("on purpose")
            return x
    nn, answers = tinytorch.nn, []
    for breaks in (False, True):
        inner, deep = Listener(), Listener()
        inner.breaks, deep.breaks = False, breaks
        model = nn.Sequential(inner, nn.Sequential(nn.Dropout(0.5), deep))
        for modes in rng.random(size=(6, 5)) < 0.5:
            for module, mode in zip(model.modules(), modes.tolist()):
                module.training = mode
            data = [(rng.normal(size=(n, 3)), rng.integers(0, 3, size=n)) for n in (2, 3)]
            answers.append(raised(lambda: tinytorch.Trainer(model, None, nn.CrossEntropyLoss()).evaluate(data)))
            answers.append([module.training for module in model.modules()])
    with tinytorch.no_grad():
        tinytorch.Trainer(nn.Sequential(nn.Identity()), None, nn.CrossEntropyLoss()).evaluate(data)
        answers.append(tinytorch.is_grad_enabled())
    trainer = tinytorch.Trainer(nn.Identity(), None, nn.CrossEntropyLoss())
    answers += [raised(lambda: trainer.evaluate(bad)) for bad in ([], iter(()), [np.ones((2, 3))], [(np.ones((2, 3)),)], [[np.ones((2, 3)), np.zeros(2, int), 1]])]
    return [seen, answers, tinytorch.is_grad_enabled()]


# ---- one pass ----------------------------------------------------------------------------------

@probe("test-train-epoch", close(1e-9))
def steps_of_groups(tinytorch, rng):
    answers = []
    for kind in ("SGD", "Adam"):
        for steps in (1, 2, 3, 4, 50):
            for clip in (None, 0.05, 1e6):
                trainer = trainer_of(tinytorch, int(rng.integers(99)), clip=clip, kind=kind)
                data = batched(tinytorch, rng, [int(k) for k in rng.integers(1, 9, size=7)])
                answers += [trainer.train_epoch(data, steps), weights(trainer), trainer.train_epoch(data, accumulation_steps=steps), weights(trainer)]
    return answers


@probe("test-train-epoch", close(1e-9))
def modes_and_old_gradients(tinytorch, rng):
    answers = []
    for mode in (True, False):
        trainer, data = trainer_of(tinytorch, 5, dropout=0.4), batched(tinytorch, rng, [4, 3])
        trainer.model.train(mode)
        for p in trainer.model.parameters():
            p.grad = tensor(tinytorch, rng.normal(size=p.shape))
        answers += [trainer.train_epoch(data), [m.training for m in trainer.model.modules()], weights(trainer)]
        answers += [trainer.train_epoch([(x.numpy(), y.numpy()) for x, y in data]), weights(trainer), trainer.epoch]
    trainer = trainer_of(tinytorch, 6)
    answers += [raised(lambda: trainer.train_epoch(*bad)) for bad in (([],), (data, 0), (data, -1), ([data[0][0]],))]
    return [*answers, weights(trainer)]


def with_gradients(tinytorch, rng, shapes, dtype="float32", scale=1.0):
    made = []
    for shape in shapes:
        p = tinytorch.Tensor(np.zeros(shape if shape is not None else 2), requires_grad=True)
        p.grad = None if shape is None else tinytorch.Tensor(np.asarray(rng.normal(size=shape) * scale, dtype), dtype=dtype)
        made.append(p)
    return made


def grads(parameters):
    return [None if p.grad is None else p.grad.numpy() for p in parameters]


@probe("test-clip", close(1e-5))
def lengths(tinytorch, rng):
    answers = []
    for dtype in ("float32", "float64"):
        for shapes in [[(3,)], [(2, 3), (3,), None], [None, (4, 1, 2)], [(), (1,)], [None], []]:
            for norm_type in (2.0, 1.0, np.inf, 3.0):
                for most in (1e-3, 0.7, 5.0, 1e5, 0.0):
                    params = with_gradients(tinytorch, rng, shapes, dtype, float(rng.choice([0.01, 1.0, 100.0])))
                    arrays = [p.grad.data for p in params if p.grad is not None]
                    answers += [tinytorch.clip_grad_norm(params, most, norm_type), grads(params), arrays]
                    answers += [tinytorch.clip_grad_norm(iter(params), most), grads(params)]
    return answers


@probe("test-clip", close(1e-5))
def other_norms(tinytorch, rng):
    answers = []
    for norm_type in (0.0, -np.inf, 0.5, 2.0, np.inf):
        for shapes in [[(3,), (2, 2)], [(5,)], [None], []]:
            params = with_gradients(tinytorch, rng, shapes)
            answers += [tinytorch.clip_grad_norm(params, 0.5, norm_type), grads(params)]
    return answers


@probe("test-clip", close(1e-5))
def strange_numbers(tinytorch, rng):
    answers = []
    for bad in (np.nan, np.inf, -np.inf, 0.0):
        for function in (lambda p: tinytorch.clip_grad_norm(p, 1.0), lambda p: tinytorch.clip_grad_norm(p, 1.0, np.inf), lambda p: tinytorch.clip_grad_value(p, 0.5)):
            params = with_gradients(tinytorch, rng, [(3,), (2, 2)])
            params[0].grad.data[:] = bad
            params[1].grad.data *= bad == bad
            with np.errstate(all="ignore"):
                answers += [function(params), grads(params)]
    return answers


@probe("test-clip", close(1e-6))
def values(tinytorch, rng):
    answers = []
    for dtype in ("float32", "float64"):
        for most in (0.0, 0.1, 1.0, 100.0, float(rng.uniform(0, 3))):
            params = with_gradients(tinytorch, rng, [(4, 3), None, (5,)], dtype, 2.0)
            arrays = [p.grad.data for p in params if p.grad is not None]
            answers += [tinytorch.clip_grad_value(params, most), grads(params), arrays, tinytorch.clip_grad_value(params[0], most / 2), grads(params)]
            answers += [tinytorch.clip_grad_norm(params[2], 0.3), grads(params)]
    return answers


# ---- many epochs -------------------------------------------------------------------------------

@probe("test-cosine", close(1e-9))
def rates(tinytorch, rng):
    answers = []
    for total in (1, 2, 7, 100, int(rng.integers(3, 50))):
        high, low = float(rng.uniform(0.1, 2)), float(rng.uniform(0, 0.1))
        for schedule in (tinytorch.CosineSchedule(high, low, total), tinytorch.CosineSchedule(max_lr=high, min_lr=low, total_epochs=total), tinytorch.CosineSchedule(low, high, total)):
            answers.append([schedule.get_lr(epoch) for epoch in (*range(total + 3), 10 * total, 0.5)])
    kinds = [type(tinytorch.CosineSchedule(1.0, 0.1, 5).get_lr(epoch)).__name__ for epoch in (0, 3, 9)]
    return [answers, kinds, [raised(lambda: tinytorch.CosineSchedule(1.0, 0.1, total)) for total in (0, -3)]]


SCHEDULERS = [("None", lambda o: None), ("StepLR", lambda o: (2, 0.5)), ("ExponentialLR", lambda o: (0.9,)), ("ReduceLROnPlateau", lambda o: ("min", 0.5, 1))]


@probe("test-end-epoch", close(1e-9))
def ends_of_epochs(tinytorch, rng):
    answers = []
    for name, given in SCHEDULERS:
        for patience in (None, 1, 2, 4):
            for measured in (True, False) if patience is None else (True,):
                trainer = trainer_of(tinytorch, 3, scheduler=None if name == "None" else lambda o: getattr(tinytorch.optim, name)(o, *given(o)))
                losses = rng.choice([1.0, 2.0, 0.5, np.nan, 3.0, float(rng.uniform())], size=8).tolist()
                for k, loss in enumerate(losses):
                    trainer.model.parameters()[1].data += 1.0
                    row = {"train_loss": float(rng.uniform()), "lr": trainer.optimizer.param_groups[0]["lr"]}
                    trainer.end_epoch({**row, "val_loss": loss, "val_accuracy": k / 8} if measured else row, patience)
                    answers += [trainer.epoch, trainer.stale, bool(trainer.done), trainer.optimizer.param_groups[0]["lr"]]
                    answers.append(trainer.best and [trainer.best["loss"], trainer.best["epoch"], {n: w.copy() for n, w in trainer.best["model"].items()}])
                answers += [dict(sorted(trainer.history.items())), weights(trainer)]
    return answers


@probe("test-end-epoch", close(1e-7))
def early_ends(tinytorch, rng):
    answers, data, others = [], batched(tinytorch, rng, [5, 5, 2]), batched(tinytorch, rng, [6, 3])
    for patience in (None, 1, 2, 3):
        trainer = trainer_of(tinytorch, 4, lr=float(rng.uniform(2, 9)), scheduler=lambda o: tinytorch.CosineSchedule(9.0, 0.1, 9))
        answers += [trainer.fit(data, 12, others, patience), weights(trainer), trainer.evaluate(others)]
    return answers


# ---- files -------------------------------------------------------------------------------------

def inside(folder):
    return {p.name: p.read_bytes().decode() for p in sorted(Path(folder).iterdir())}


@probe("test-replace-file", exact)
def whole_or_not(tinytorch, rng):
    answers = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.npz"

        def write(text, error=None):
            def into(file):
                file.write(text)
                file.flush()
                answers.append(inside(folder))
                if error:
                    raise error
            return into
        for k, error in enumerate([None, OSError(28, "full"), None, KeyError("x"), KeyboardInterrupt(), SystemExit(3), MemoryError(), None]):
            text = bytes(rng.integers(97, 123, size=int(rng.integers(1, 50))).tolist())
            try:
                tinytorch.replace_file(str(path) if k % 2 else path, write(text, error))
                answers.append("")
            except BaseException as err:
                answers.append([type(err).__name__, err is error])
            answers.append(inside(folder))
        calls, real, moved = [], os.fsync, os.replace
        os.fsync = lambda number: calls.append("fsync") or real(number)
        os.replace = lambda a, b: calls.append("replace") or moved(a, b)
        try:
            tinytorch.replace_file(path, lambda file: file.write(b"last"))
        finally:
            os.fsync, os.replace = real, moved
        answers += [calls, inside(folder), raised(lambda: tinytorch.replace_file(Path(folder) / "no" / "b", write(b""))), inside(folder)]

        def vanishes(file):
            file.close()
            Path(folder, "a.npz.new").unlink()
            raise KeyError("and it is gone")
        answers += [raised(lambda: tinytorch.replace_file(path, vanishes)), inside(folder)]
    return answers


def state(trainer):
    tree = trainer.state_dict()
    return [tree["model"], tree["run"]["epoch"], tree["run"]["history"], str(tree["optimizer"]), str(tree["generators"])]


@probe("test-module", exact)
def loaded_or_refused(tinytorch, rng):
    answers, data = [], batched(tinytorch, rng, [5, 5, 2])
    tinytorch.manual_seed(int(rng.integers(99)))
    with tempfile.TemporaryDirectory() as folder:
        path, bad = Path(folder) / "a.npz", Path(folder) / "bad.npz"
        first = trainer_of(tinytorch, 1, kind="Adam", dropout=0.3)
        first.fit(data, 3)
        first.save_checkpoint(path)
        for settings in ({"kind": "Adam"}, {"kind": "SGD"}, {"kind": "Adam", "features": 5}, {"kind": "Adam", "scheduler": lambda o: tinytorch.optim.StepLR(o, 3)}):
            trainer = trainer_of(tinytorch, 2, dropout=0.3, **settings)
            answers += [raised(lambda: trainer.load_checkpoint(path)), state(trainer)]
            answers += [raised(lambda: trainer.load_checkpoint(Path(folder) / "missing")), state(trainer)]
        trainer, text = trainer_of(tinytorch, 2, kind="Adam", dropout=0.3), path.read_bytes()
        trainer.fit(data, 1)
        for content in (b"", b"text", text[: len(text) // 2], text[:-30], text[:100] + bytes(200) + text[300:]):
            bad.write_bytes(content)
            answers += [raised(lambda: trainer.load_checkpoint(bad)), state(trainer)]
        trainer.load_checkpoint(path)
        answers += [trainer.fit(data, 2), state(trainer)]
    return answers


@probe("test-module", exact)
def undone(tinytorch, rng):
    answers, data = [], batched(tinytorch, rng, [5, 2])
    tinytorch.manual_seed(int(rng.integers(99)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.npz"
        first, second = (trainer_of(tinytorch, k, kind="Adam") for k in (1, 2))
        first.fit(data, 3)
        first.save_checkpoint(path)
        second.fit(data, 1)
        for error in (KeyError("x"), ValueError("x"), MemoryError(), RecursionError()):
            whole, calls = second.load_state_dict, []

            def breaks(tree):
                second.load_state_dict = whole
                second.model.load_state_dict(tree["model"])
                calls.append(1)
                raise error
            second.load_state_dict = breaks
            answers += [raised(lambda: second.load_checkpoint(path)), state(second), len(calls)]
    return answers


# ---- everything --------------------------------------------------------------------------------

@probe("test-module", close(1e-7))
def whole_runs(tinytorch, rng):
    answers = []
    with tempfile.TemporaryDirectory() as folder:
        for k, settings in enumerate([{}, {"clip": 0.1}, {"kind": "Adam", "lr": 0.05}, {"scheduler": lambda o: tinytorch.CosineSchedule(0.5, 0.01, 4)},
                                      {"scheduler": lambda o: tinytorch.optim.ReduceLROnPlateau(o, patience=0)}]):
            data, others, path = batched(tinytorch, rng, [6, 6, 3]), batched(tinytorch, rng, [4, 1]), Path(folder) / f"{k}.npz"
            for patience in (None, 2):
                trainer = trainer_of(tinytorch, k, dropout=0.2, **settings)
                answers += [trainer.fit(data, 6, others, patience, 2), weights(trainer), trainer.evaluate(others), trainer.epoch]
            trainer.fit(data, 3, others, checkpoint=path)
            again = trainer_of(tinytorch, 50, dropout=0.2, **settings)
            answers += [again.fit(data, 5, others, checkpoint=path, resume=True), weights(again), again.epoch]
    return answers


@probe("test-module", exact)
def words(tinytorch, rng):
    trainer, data = trainer_of(tinytorch, 1), batched(tinytorch, rng, [3])
    calls = [lambda: trainer.fit(data, 1, patience=1), lambda: trainer.fit(data, 1, resume=True), lambda: trainer.fit(data, 1, accumulation_steps=0),
             lambda: trainer.fit(data, 0), lambda: tinytorch.Trainer(None, None, None, grad_clip_norm=0.0), lambda: trainer.fit(iter(data), 2)]
    return [raised(call) for call in calls]


@probe("test-module", holds(lambda got, reference: got == reference))
def pictures(tinytorch, rng):
    runs = [{"train_loss": rng.uniform(size=n).tolist(), "val_loss": rng.uniform(size=n).tolist(), "val_accuracy": rng.uniform(size=n).tolist()} for n in (1, 2, 30)]
    return [str(tinytorch.plot_history(run)) for run in [*runs, {}, {"train_loss": [1.0, float("nan"), 2.0], "val_accuracy": [None, None]}]]
