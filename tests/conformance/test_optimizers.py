"""Optimizers and schedules go where torch's go, for a hundred steps and more, also after a stop, and from torch's own saved state.

Distances are told in ulps of the largest number that a weight was on its way: where a path passes 0, an ulp of 0 would mean nothing.
Run with `-rP` to read the figures.
"""

from __future__ import annotations

import copy
import inspect
import itertools
import warnings

import numpy as np
import pytest

import tinytorch as tt
from tinytorch import Tensor, optim

torch = pytest.importorskip("torch", reason="torch is only installed where conformance is checked: see the extra `conformance`")
lr_scheduler = torch.optim.lr_scheduler
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")       # of torch's tensors

STEPS = 100
ULPS = 24.0                     # two roundings of a step in ten differ: torch multiplies and adds in one
FURTHEST: dict[str, float] = {}
SHAPES = [(37, 23), (130,), (), (200, 200), (3, 0)]                 # 40,000 numbers are more than a block


def every(**choices):
    """Each combination of settings as a dict."""
    return [dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())]


NESTEROV = every(lr=[0.01], momentum=[0.5, 0.9], weight_decay=[0, 0.1], nesterov=[True])
SETTINGS = {
    "SGD": [{}, *every(lr=[0.01], momentum=[0, 0.9], dampening=[0, 0.3], weight_decay=[0, 0.1]), *NESTEROV],
    "Adam": [{}, *every(lr=[0.01], betas=[(0.9, 0.999), (0.5, 0.9), (0.0, 0.99)], eps=[1e-8, 1e-2], weight_decay=[0, 0.1])],
    "AdamW": [{}, *every(lr=[0.01], betas=[(0.9, 0.999), (0.5, 0.9)], eps=[1e-8, 1e-2], weight_decay=[0, 0.1])],
    "RMSprop": [{}, *every(lr=[0.01], alpha=[0.99, 0.5], eps=[1e-8, 1e-2], weight_decay=[0, 0.1], momentum=[0, 0.9])],
    "Adagrad": [{}, *every(lr_decay=[0, 0.1], weight_decay=[0, 0.1], initial_accumulator_value=[0, 0.5], eps=[1e-10, 1e-2])],
}
CASES = [pytest.param(name, s, id=f"{name}-{'-'.join(f'{k}={v}' for k, v in s.items()) or 'defaults'}")
         for name, choices in SETTINGS.items() for s in choices]
each_case = pytest.mark.parametrize("name, settings", CASES)
each_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


class Pair:
    """The same parameters, gradients and steps, ours and torch's."""

    def __init__(self, name, settings, dtype="float32", shapes=SHAPES, groups=None, seed=0):
        self.name, self.dtype, self.rng = name, np.dtype(dtype), np.random.default_rng(seed)
        starts = [np.asarray(self.rng.normal(size=shape), dtype) for shape in shapes]
        self.ours = [Tensor(w.copy(), requires_grad=True, dtype=w.dtype) for w in starts]
        self.theirs = [torch.nn.Parameter(torch.tensor(w)) for w in starts]
        self.make(settings, groups)
        self.arrays, self.largest = [p.data for p in self.ours], [np.abs(w) for w in starts]

    def make(self, settings, groups=None):
        """Optimizers for these parameters; `groups`: a dict of settings for each parameter."""
        mine, other = ([{"params": [p], **g} for p, g in zip(ps, groups, strict=True)] if groups else ps for ps in (self.ours, self.theirs))
        self.optimizer, self.torchs = getattr(optim, self.name)(mine, **settings), getattr(torch.optim, self.name)(other, **settings)

    def step(self):
        """Gradients over four powers of ten; one in five parameters gets none."""
        for p, q in zip(self.ours, self.theirs, strict=True):
            g = np.asarray(self.rng.normal(size=p.shape) * 10 ** self.rng.uniform(-3, 1, size=p.shape), self.dtype)
            left_out = self.rng.random() < 0.2
            p.grad, q.grad = (None, None) if left_out else (Tensor(g.copy(), dtype=g.dtype), torch.tensor(g))
        self.optimizer.step()
        self.torchs.step()
        self.largest = [np.maximum(a, np.abs(q.detach().numpy())) for a, q in zip(self.largest, self.theirs, strict=True)]

    def apart(self):
        """How many ulps at most."""
        found = [np.max(np.abs(p.data - q.detach().numpy()) / np.spacing(most), initial=0.0)
                 for p, q, most in zip(self.ours, self.theirs, self.largest, strict=True)]
        return float(max(found))

    def check(self, limit=ULPS):
        """Near enough, in the arrays that were there, of the dtype that was there."""
        far = self.apart()
        FURTHEST[f"{self.name} {self.dtype}"] = max(far, FURTHEST.get(f"{self.name} {self.dtype}", 0.0))
        assert far <= limit, f"{far:.1f} ulps"
        assert all(p.data is a and a.dtype == self.dtype for p, a in zip(self.ours, self.arrays, strict=True))
        kept = [x for entries in self.optimizer.state.values() for x in entries.values()]
        assert all(x.dtype == self.dtype if isinstance(x, np.ndarray) else type(x) is int for x in kept)


@each_dtype
@each_case
def test_a_hundred_steps(name, settings, dtype):
    pair = Pair(name, settings, dtype)
    for _ in range(STEPS):
        pair.step()
    pair.check()


def test_the_figures():
    """After the tests above: how far ours and torch's were apart, in ulps."""
    for name, far in sorted(FURTHEST.items()):
        print(f"{name:<18}{far:5.1f} ulps after {STEPS} steps")


@pytest.mark.parametrize("name", SETTINGS)
def test_parameters_and_gradients_of_any_layout(name):
    pair = Pair(name, {"lr": 0.01}, shapes=[(60, 50), (40, 30)])
    base = np.zeros((60, 100), np.float32)
    base[:, ::2] = pair.ours[0].data
    pair.ours[0].data, pair.ours[1].data = base[:, ::2], np.asfortranarray(pair.ours[1].data)
    pair.arrays = [p.data for p in pair.ours]
    for _ in range(20):
        pair.step()
    for p, q in zip(pair.ours, pair.theirs, strict=True):
        p.grad, q.grad = Tensor(np.ones(p.shape[::-1])).T, torch.ones(p.shape)
    pair.optimizer.step()
    pair.torchs.step()
    pair.check()
    assert (base[:, 1::2] == 0).all()


@pytest.mark.parametrize("name", SETTINGS)
def test_groups_with_settings_of_their_own(name):
    groups = [{"lr": 0.1}, {"weight_decay": 0.3}, {"lr": 0.001, "weight_decay": 0.0}, {}, {"lr": 0.02}]
    pair = Pair(name, {"lr": 0.01, "weight_decay": 0.05}, groups=groups)
    for _ in range(STEPS):
        pair.step()
    pair.check()
    assert [g["lr"] for g in pair.optimizer.param_groups] == [g["lr"] for g in pair.torchs.param_groups]


@pytest.mark.parametrize("name", SETTINGS)
def test_defaults_and_order_of_arguments(name):
    ours, theirs = (list(inspect.signature(getattr(home, name)).parameters.values()) for home in (optim, torch.optim))
    for mine, other in zip(ours, theirs[:len(ours)], strict=True):
        assert (mine.name, mine.default) == (other.name, other.default)


# ---- what both refuse ---------------------------------------------------------------------------

def wrong_calls(home, tensor):
    """Calls that make no sense, by name; `tensor()` makes a parameter."""
    a, b = tensor(), tensor()
    return {
        "no parameters": lambda: home.SGD([], lr=0.1),
        "an empty generator": lambda: home.SGD((p for p in []), lr=0.1),
        "one tensor": lambda: home.SGD(a, lr=0.1),
        "no tensors": lambda: home.Adam([3.0]),
        "a set in a group": lambda: home.Adam([{"params": {a, b}}]),
        "a result": lambda: home.SGD([a * 2.0], lr=0.1),
        "twice": lambda: home.SGD([{"params": [a]}, {"params": [a]}], lr=0.1),
        "twice later": lambda: home.SGD([a], lr=0.1).add_param_group({"params": a}),
        "a negative lr": lambda: home.SGD([a], lr=-0.1),
        "a negative momentum": lambda: home.SGD([a], momentum=-0.1),
        "a negative decay": lambda: home.AdamW([a], weight_decay=-1),
        "nesterov alone": lambda: home.SGD([a], nesterov=True),
        "nesterov, dampened": lambda: home.SGD([a], momentum=0.9, dampening=0.1, nesterov=True),
        "a negative eps": lambda: home.Adam([a], eps=-1),
        "beta 1": lambda: home.Adam([a], betas=(0.9, 1.0)),
        "a negative beta": lambda: home.Adam([a], betas=(-0.1, 0.9)),
        "a negative alpha": lambda: home.RMSprop([a], alpha=-1),
        "a negative lr_decay": lambda: home.Adagrad([a], lr_decay=-1),
        "a negative accumulator": lambda: home.Adagrad([a], initial_accumulator_value=-1),
        "an unknown setting": lambda: home.Adam([a], learning_rate=0.1),
    }


WRONG = wrong_calls(torch.optim, lambda: torch.ones(2, requires_grad=True))


@pytest.mark.parametrize("what", WRONG)
def test_what_torch_refuses_is_refused_as_it_does(what):
    with pytest.raises((TypeError, ValueError)) as theirs:
        WRONG[what]()
    with pytest.raises((TypeError, ValueError)) as ours:
        wrong_calls(optim, lambda: Tensor([1.0, 1.0], requires_grad=True))[what]()
    assert ours.type is theirs.type
    assert len(str(ours.value)) > 15


def test_a_generator_is_read_and_a_parameter_that_is_twice_in_a_group_is_warned_of():
    a, q = Tensor([1.0], requires_grad=True), torch.ones(1, requires_grad=True)
    a.grad, q.grad = Tensor([1.0]), torch.ones(1)
    assert len(optim.Adam(p for p in [a, Tensor([2.0])]).param_groups[0]["params"]) == 2
    for make, p in ((optim.SGD, a), (torch.optim.SGD, q)):
        with pytest.warns(UserWarning, match="parameter"):
            make([p, p], lr=0.1).step()
    assert a.item() == pytest.approx(q.item()) == pytest.approx(0.8)


def test_a_gradient_of_another_shape_is_refused():
    a = Tensor([[1.0, 1.0, 1.0]], requires_grad=True)
    a.grad = Tensor([[1.0], [1.0], [1.0]])
    with pytest.raises(ValueError, match=r"SGD.*\(1, 3\).*\(3, 1\)"):
        optim.SGD([a]).step()
    assert a.numpy().tolist() == [[1.0, 1.0, 1.0]]


# ---- saved and restored -------------------------------------------------------------------------

def as_torch(state):
    """Our saved state with torch's tensors in it."""
    entries = {i: {k: torch.tensor(x, dtype=torch.float32 if k == "step" else None) for k, x in kept.items()}
               for i, kept in state["state"].items()}
    return {"state": entries, "param_groups": state["param_groups"]}


@each_dtype
@pytest.mark.parametrize("name, settings", [pytest.param(n, s[-1], id=n) for n, s in SETTINGS.items()])
def test_goes_on_bit_for_bit_after_a_stop(name, settings, dtype):
    straight, stopped = (Pair(name, settings, dtype, seed=7) for _ in range(2))
    for pair in (straight, stopped):
        for _ in range(10):
            pair.step()
    saved, before = copy.deepcopy(stopped.optimizer.state_dict()), stopped.optimizer.state_dict()
    stopped.make(settings)
    stopped.optimizer.load_state_dict(saved)
    for _ in range(10):
        straight.step()
        stopped.step()
    for p, q in zip(straight.ours, stopped.ours, strict=True):
        np.testing.assert_array_equal(p.data, q.data)
    for mine, kept in itertools.product((saved, before), [0]):
        for key, x in mine["state"][kept].items():                  # training went on, what was saved did not change
            np.testing.assert_array_equal(x, saved["state"][kept][key])


@each_dtype
@pytest.mark.parametrize("name, settings", [pytest.param(n, s[-1], id=n) for n, s in SETTINGS.items()])
def test_each_goes_on_from_the_others_state(name, settings, dtype):
    pair = Pair(name, settings, dtype)
    for _ in range(10):
        pair.step()
    mine, other = pair.optimizer.state_dict(), pair.torchs.state_dict()
    assert [g["params"] for g in mine["param_groups"]] == [g["params"] for g in other["param_groups"]]
    for i, entries in mine["state"].items():
        assert set(entries) == set(other["state"][i])
    for group in mine["param_groups"]:
        assert {k: other["param_groups"][0][k] for k in group} == group
    pair.make({"lr": 0.5})
    pair.optimizer.load_state_dict(other)
    mine["param_groups"] = [{**pair.torchs.param_groups[0], **group} for group in mine["param_groups"]]
    pair.torchs.load_state_dict(as_torch(mine))
    for _ in range(10):
        pair.step()
    pair.check()


@pytest.mark.parametrize("name, settings", [("Adam", {"amsgrad": True}), ("RMSprop", {"centered": True}), ("SGD", {"maximize": True})])
def test_a_state_of_torchs_that_we_cannot_continue_is_refused(name, settings):
    q = torch.ones(2, requires_grad=True)
    with pytest.raises(ValueError, match=next(iter(settings))):
        getattr(optim, name)([Tensor([1.0, 1.0])]).load_state_dict(getattr(torch.optim, name)([q], **settings).state_dict())


def test_states_that_do_not_fit_change_nothing():
    a, b = Tensor([1.0, 1.0], requires_grad=True), Tensor([[1.0]], requires_grad=True)
    adam, swapped = optim.Adam([a, b]), optim.Adam([b, a])
    for p in (a, b):
        p.grad = Tensor(np.ones(p.shape))
    adam.step()
    for state in (adam.state_dict(), optim.Adam([a]).state_dict(), optim.SGD([a, b]).state_dict()):
        with pytest.raises(ValueError, match="Adam"):
            swapped.load_state_dict(state)
        assert swapped.state == {} and swapped.param_groups[0]["lr"] == 1e-3


# ---- schedules ----------------------------------------------------------------------------------

METRICS = np.random.default_rng(3).random(1000).cumsum() * -0.01 + np.random.default_rng(4).random(1000) * 3 - 1
SCHEDULES = {
    "StepLR": (lambda o: optim.StepLR(o, 30, 0.5), lambda o: lr_scheduler.StepLR(o, 30, 0.5)),
    "StepLR of one": (lambda o: optim.StepLR(o, 1, 0.99), lambda o: lr_scheduler.StepLR(o, 1, 0.99)),
    "ExponentialLR": (lambda o: optim.ExponentialLR(o, 0.99), lambda o: lr_scheduler.ExponentialLR(o, 0.99)),
    "CosineAnnealingLR": (lambda o: optim.CosineAnnealingLR(o, 50), lambda o: lr_scheduler.CosineAnnealingLR(o, 50)),
    "CosineAnnealingLR, eta_min": (lambda o: optim.CosineAnnealingLR(o, 33, 1e-3), lambda o: lr_scheduler.CosineAnnealingLR(o, 33, 1e-3)),
    "CosineAnnealingLR of one": (lambda o: optim.CosineAnnealingLR(o, 1), lambda o: lr_scheduler.CosineAnnealingLR(o, 1)),
    "LinearWarmup": (lambda o: optim.LinearWarmup(o, 40, 0.1), lambda o: lr_scheduler.LinearLR(o, 0.1, 1.0, 40)),
    "LinearWarmup, defaults": (optim.LinearWarmup, lr_scheduler.LinearLR),
    "ReduceLROnPlateau": (optim.ReduceLROnPlateau, lr_scheduler.ReduceLROnPlateau),
    **{f"ReduceLROnPlateau {s}": (lambda o, s=s: optim.ReduceLROnPlateau(o, **s), lambda o, s=s: lr_scheduler.ReduceLROnPlateau(o, **s))
       for s in every(mode=["min", "max"], threshold_mode=["rel", "abs"], threshold=[1e-4, 0.3], patience=[0, 3], cooldown=[0, 4],
                      factor=[0.9], min_lr=[0, 0.01])},
    "ReduceLROnPlateau, min_lr each": (lambda o: optim.ReduceLROnPlateau(o, patience=1, min_lr=[0.1, 0.02]),
                                       lambda o: lr_scheduler.ReduceLROnPlateau(o, patience=1, min_lr=[0.1, 0.02])),
}


class Rates:
    """Two groups under the same schedules, ours and torch's."""

    def __init__(self, *names):
        makers = (optim, lambda x: Tensor([x])), (torch.optim, lambda x: torch.tensor([x], requires_grad=True))
        self.optimizers = [home.SGD([{"params": [make(1.0)]}, {"params": [make(2.0)], "lr": 0.05}], lr=0.3) for home, make in makers]
        self.schedulers = [[SCHEDULES[name][side](optimizer) for name in names] for side, optimizer in enumerate(self.optimizers)]

    def step(self, t):
        """One step of all, after the optimizers'."""
        for optimizer, schedulers in zip(self.optimizers, self.schedulers, strict=True):
            optimizer.step()
            for scheduler in schedulers:
                scheduler.step(*[METRICS[t]] if "Plateau" in type(scheduler).__name__ else [])

    def same(self):
        """The groups' rates, and what each scheduler says they were."""
        mine, other = ([g["lr"] for g in optimizer.param_groups] for optimizer in self.optimizers)
        np.testing.assert_allclose(mine, other, rtol=1e-11, atol=1e-15)
        for a, b in zip(*self.schedulers, strict=True):
            np.testing.assert_allclose(a.get_last_lr(), b.get_last_lr(), rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_thousand_steps_of_a_schedule(name):
    rates = Rates(name)
    rates.same()
    for t in range(1000):
        rates.step(t)
        rates.same()


TOGETHER = list(itertools.permutations(["StepLR", "LinearWarmup", "CosineAnnealingLR, eta_min", "ReduceLROnPlateau"], 2))


@pytest.mark.parametrize("names", TOGETHER, ids=" + ".join)
def test_two_schedules_together(names):
    rates = Rates(*names)
    for t in range(300):
        rates.step(t)
        rates.same()


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_goes_on_after_a_stop(name):
    straight, stopped = Rates(name), Rates(name)
    for t in range(70):
        straight.step(t)
        stopped.step(t)
    states = [(o.state_dict(), s[0].state_dict()) for o, s in zip(stopped.optimizers, stopped.schedulers, strict=True)]
    for source in (0, 1):                                           # from our own state, and from torch's
        fresh = Rates(name)
        fresh.optimizers[0].load_state_dict(states[0][0])
        fresh.schedulers[0][0].load_state_dict(states[source][1] if source == 0 or "Warmup" not in name else states[0][1])
        for t in range(70, 200):
            if source == 0:
                straight.step(t)
            for scheduler in fresh.schedulers[0]:
                scheduler.step(*[METRICS[t]] if "Plateau" in name else [])
        np.testing.assert_allclose(fresh.schedulers[0][0].get_last_lr(), straight.schedulers[0][0].get_last_lr(), rtol=1e-11, atol=1e-15)


def test_a_schedule_wants_an_optimizer():
    for make in (lambda: optim.StepLR([Tensor([1.0])], 3), lambda: lr_scheduler.StepLR([torch.ones(1)], 3)):
        with pytest.raises(TypeError, match="ptimizer"):
            make()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        optim.StepLR(optim.SGD([Tensor([1.0])]), 3).step()


@pytest.mark.parametrize("make, words", [
    (lambda o: optim.LinearWarmup(o, 5, 0.0), "start_factor"), (lambda o: optim.LinearWarmup(o, 0), "total_iters"),
    (lambda o: optim.ReduceLROnPlateau(o, "least"), "mode"), (lambda o: optim.ReduceLROnPlateau(o, factor=1.0), "factor"),
    (lambda o: optim.StepLR(o, 3).load_state_dict({"gamma": 0.1}), "StepLR.*step_size.*last_epoch")])
def test_schedules_that_make_no_sense_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make(optim.SGD([Tensor([1.0])], lr=0.3))


def test_a_closure_computes_the_loss_with_gradients_and_is_given_back():
    results = []
    for package in (torch, tt):
        w = package.tensor([3.0], requires_grad=True)
        optimizer = (torch.optim if package is torch else optim).SGD([w], lr=0.25)

        def closure(w=w, optimizer=optimizer):
            optimizer.zero_grad()
            loss = (w * w).sum()
            loss.backward()
            return loss

        with package.no_grad():
            loss = optimizer.step(closure)
        results.append((loss.item(), w.tolist(), optimizer.step()))
    assert results[0] == results[1] == (9.0, [1.5], None)


def test_an_optimizer_tells_its_settings():
    shown = repr(optim.Adam([{"params": [Tensor([1.0])]}, {"params": [Tensor([1.0])], "lr": 0.5}], lr=0.1))
    assert shown.startswith("Adam(1 parameters, lr=0.1") and "; 1 parameters, lr=0.5" in shown
