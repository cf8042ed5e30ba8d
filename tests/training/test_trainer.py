"""What the Trainer promises beside the notebook's checks: accumulation, modes, the line on the screen, pictures."""

import importlib.util
import io
import os
import subprocess
import sys
import types
import xml.etree.ElementTree as xml
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinytorch as tt
from tests.training import runs
from tinytorch import nn, optim
from tinytorch.core.training import Progress, Trainer, clip_grad_norm, clip_grad_value, plot_history

ROOT = Path(__file__).parents[2]
F64 = np.dtype("float64")


def linear(lr=0.5, clip=None, seed=1):
    model = nn.Linear(3, 4, generator=np.random.default_rng(seed))
    model.weight.data, model.bias.data = model.weight.data.astype(F64), model.bias.data.astype(F64)
    return Trainer(model, optim.SGD(model.parameters(), lr=lr), nn.CrossEntropyLoss(), grad_clip_norm=clip)


def samples(n, seed=0):
    rng = np.random.default_rng(seed)
    return tt.Tensor(rng.normal(size=(n, 3)), dtype=F64), tt.Tensor(rng.integers(0, 4, size=n))


@given(sizes=st.lists(st.integers(1, 9), min_size=1, max_size=8), steps=st.integers(1, 9), clip=st.sampled_from([None, 0.01, 1.0]))
@settings(deadline=None, max_examples=60, derandomize=True, database=None)
def test_accumulated_batches_equal_large_ones(sizes, steps, clip):
    x, y = samples(sum(sizes))
    ends = np.cumsum([0, *sizes]).tolist()
    small = [(x[a:b], y[a:b]) for a, b in zip(ends, ends[1:], strict=False)]
    ends = ends[::steps] + [ends[-1]] * ((len(ends) - 1) % steps > 0)
    large = [(x[a:b], y[a:b]) for a, b in zip(ends, ends[1:], strict=False)]
    one, other = linear(clip=clip), linear(clip=clip)
    np.testing.assert_allclose(one.train_epoch(small, steps), other.train_epoch(large), rtol=1e-12)
    np.testing.assert_allclose(one.model.weight.data, other.model.weight.data, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(one.evaluate(small), other.evaluate([(x, y)]), rtol=1e-12)


def test_a_loader_is_anything_that_can_be_gone_through():
    x, y = samples(10)
    expected = linear().fit([(x[:5], y[:5]), (x[5:], y[5:])], 2)

    class Stream:
        def __iter__(self):
            yield x.numpy()[:5], y.numpy()[:5].astype("int32")
            yield [x[5:], y[5:].tolist()]
    assert linear().fit(Stream(), 2)["train_loss"] == pytest.approx(expected["train_loss"])
    with pytest.raises(ValueError, match="gone through only once"):
        linear().fit(iter([(x, y)]), 2)


def test_a_run_with_nan_goes_on_and_can_be_saved(tmp_path):
    x, y = samples(10)
    made = linear()
    made.model.weight.data[...] = np.nan
    made.fit([(x, y)], 2, [(x, y)], patience=5, checkpoint=tmp_path / "a")
    again = linear()
    history = again.fit([(x, y)], 3, [(x, y)], patience=5, checkpoint=tmp_path / "a", resume=True)
    assert len(history["train_loss"]) == 3 and np.isnan(history["val_loss"]).all() and again.best is None


def test_two_fits_are_one_and_a_resumed_second_one_ends_where_it_should(tmp_path):
    x, y = samples(12)
    data = [(x[:6], y[:6]), (x[6:], y[6:])]
    whole, twice = linear(), linear()
    whole.fit(data, 5)
    twice.fit(data, 2)
    twice.fit(data, 3, checkpoint=tmp_path / "a", callbacks=[lambda t: None])
    assert twice.history == whole.history and twice.epoch == 5
    third = linear()
    third.fit(data, 3, checkpoint=tmp_path / "a", resume=True)
    assert third.epoch == 5 and third.history == whole.history
    third.fit(data, 6, checkpoint=tmp_path / "a", resume=True)
    assert third.epoch == 8                             # two of the first fit, six of the second


def test_saved_and_loaded_before_the_loader_is_known(tmp_path):
    """A loader's generator waits for its state until the loader is met, through another save as well."""
    first = runs.trainer()
    train, held_out = runs.loaders()
    first.fit(train, 2, held_out)
    first.save_checkpoint(tmp_path / "a")
    first.fit(train, 2, held_out)
    second = runs.trainer(4)
    second.load_checkpoint(tmp_path / "a")
    second.save_checkpoint(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    third = runs.trainer(5)
    third.load_checkpoint(tmp_path / "b")
    third.fit(runs.loaders()[0], 2, runs.loaders()[1])
    assert third.history == first.history


def test_a_samplers_generator_is_saved_too(tmp_path):
    def loader():
        made = runs.loaders()[0]
        made.sampler, made.generator = types.SimpleNamespace(generator=made.generator), None
        plain = type(made).__iter__
        type(made).__iter__ = lambda self: iter([(self.x[o], self.y[o]) for o in [self.sampler.generator.permutation(90)[:40]]])
        return made, plain
    data, plain = loader()
    try:
        first, second = runs.trainer(), runs.trainer(2)
        first.fit(data, 2, checkpoint=tmp_path / "a")
        first.fit(data, 2)
        second.load_checkpoint(tmp_path / "a")
        second.fit(loader()[0], 2)
        assert second.history == first.history
    finally:
        runs.Loader.__iter__ = plain


@pytest.mark.parametrize("kind", ["PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64"])
def test_every_kind_of_generator(tmp_path, kind):
    def data():
        made = runs.loaders()[0]
        made.generator = np.random.Generator(getattr(np.random, kind)(5))
        return made
    whole = runs.trainer()
    whole.fit(data(), 3)
    first = runs.trainer()
    first.fit(data(), 1, checkpoint=tmp_path / "a")
    second = runs.trainer(2)
    second.fit(data(), 3, checkpoint=tmp_path / "a", resume=True)
    assert second.history == whole.history


# ---- clipping as torch -------------------------------------------------------------------------

torch_only = pytest.mark.skipif(not importlib.util.find_spec("torch"), reason="torch is only installed where conformance is checked")
SPECIAL = [np.nan, np.inf, -np.inf, 0.0, 1e30, 1e-30, -1e20]


def both(shapes, seed, dtype, special):
    import torch
    rng, ours, theirs = np.random.default_rng(seed), [], []
    for k, shape in enumerate(shapes):
        p = tt.Tensor(np.zeros(shape or 1), requires_grad=True, dtype=dtype)
        q = torch.zeros(shape or 1, dtype=getattr(torch, dtype.name), requires_grad=True)
        if shape:
            g = rng.normal(size=shape).astype(dtype) * 10.0 ** float(rng.integers(-3, 3))
            if special is not None and k == 0:
                g.flat[0] = special
            p.grad, q.grad = tt.Tensor(g, dtype=dtype), torch.from_numpy(g.copy())
        ours.append(p)
        theirs.append(q)
    return ours, theirs


@torch_only
@pytest.mark.parametrize("special", [None, *SPECIAL])
@pytest.mark.parametrize("dtype", [np.dtype("float32"), F64])
@pytest.mark.parametrize("shapes", [[(3, 4), (4,)], [None, (2,), (3, 1, 2)], [None], []])
def test_clipping_is_torchs(special, dtype, shapes):
    import torch
    torch_norm, torch_value = torch.nn.utils.clip_grad_norm_, torch.nn.utils.clip_grad_value_
    calls = [(lambda p, m=m, t=t: clip_grad_norm(p, m, t), lambda p, m=m, t=t: torch_norm(p, m, t))
             for m in (1e-3, 1.0, 1e6, 0.0) for t in (2.0, 1.0, np.inf, 3.0, 0.5)]
    if any(shapes):                                     # torch's raises where there is no gradient
        calls += [(lambda p, m=m: clip_grad_value(p, m), lambda p, m=m: torch_value(p, m)) for m in (0.0, 0.3, 100.0)]
    for seed, (our, their) in enumerate(calls):
        ours, theirs = both(shapes, seed, dtype, special)
        with np.errstate(all="ignore"):
            got, want = our(ours), their(theirs)
        assert (got is None) == (want is None)
        if got is not None:
            np.testing.assert_allclose(got, want.item(), rtol=1e-5)
        for p, q in zip(ours, theirs, strict=True):
            assert (p.grad is None) == (q.grad is None)
            if p.grad is not None:
                np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-5, atol=1e-30)
                assert p.grad.dtype == p.dtype


@torch_only
def test_one_parameter_and_generators_are_taken_as_torch_takes_them():
    import torch
    for ours, theirs in [(clip_grad_norm, torch.nn.utils.clip_grad_norm_), (clip_grad_value, torch.nn.utils.clip_grad_value_)]:
        for given_as in (lambda ps: ps[0], lambda ps: (p for p in ps), tuple):
            p, q = both([(3, 2), (4,)], 1, F64, None)
            ours(given_as(p), 0.2)
            theirs(given_as(q), 0.2)
            for a, b in zip(p, q, strict=True):
                np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-9)


@pytest.mark.parametrize("clip", [clip_grad_norm, clip_grad_value])
def test_what_are_no_parameters_is_shown_as_it_was_given(clip):
    with pytest.raises(TypeError, match="^gradients: parameters must be Tensors, not 'seven'$"):
        clip("seven", 1.0)


# ---- the line on the screen --------------------------------------------------------------------

class Screen(io.StringIO):
    def __init__(self, tty):
        super().__init__()
        self.tty = tty

    def isatty(self):
        return self.tty


def said(monkeypatch, tty, progress, columns="60", **environment):
    screen = Screen(tty)
    monkeypatch.setattr(sys, "stderr", screen)
    for name, value in {"COLUMNS": columns, "TERM": "xterm", **environment}.items():
        monkeypatch.setenv(name, value)
    x, y = samples(12)
    linear().fit([(x, y)] * 3, 4, [(x, y)], progress=progress)
    return screen.getvalue()


def test_in_a_terminal_one_line_rewrites_itself(monkeypatch):
    text = said(monkeypatch, True, None)
    assert text.count("\n") == 1 and text.endswith("\n") and "epoch 4/4" in text and "\x1b" not in text
    assert all(len(line) <= 59 for line in text.rstrip("\n").split("\r"))
    assert all(len(line) <= 19 for line in said(monkeypatch, True, None, columns="20").rstrip("\n").split("\r"))


def test_where_nothing_can_be_rewritten(monkeypatch):
    assert said(monkeypatch, False, None) == said(monkeypatch, False, False) == ""
    assert said(monkeypatch, True, False) == said(monkeypatch, True, None, TERM="dumb") == ""
    for tty, environment in [(False, {}), (True, {"TERM": "dumb"})]:
        lines = said(monkeypatch, tty, True, **environment).splitlines()
        assert len(lines) == 4 and not any("\r" in line for line in lines)
    assert "\x1b" not in said(monkeypatch, True, True, NO_COLOR="1")


def test_without_any_stderr(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    x, y = samples(5)
    linear().fit([(x, y)], 1)


def test_in_a_notebook_one_display_is_updated(monkeypatch):
    shown = []

    class Handle:
        def update(self, data, raw):
            shown.append(data["text/plain"])

    def display(data, raw, display_id):
        shown.append("new")
        return Handle()
    shell = types.SimpleNamespace(kernel=object())
    ipython = types.SimpleNamespace(get_ipython=lambda: shell, display=types.SimpleNamespace(display=display))
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    assert "epoch 4/4" in said(monkeypatch, False, True) and shown == [], "a stderr that was redirected is no notebook's"
    monkeypatch.setattr(Screen, "__module__", "ipykernel.iostream")
    assert said(monkeypatch, False, None) == "" and shown[0] == "new" and shown.count("new") == 1 and "epoch 4/4" in shown[-1]
    shown.clear()
    assert said(monkeypatch, False, False) == "" and shown == []


def test_an_error_ends_the_line(monkeypatch):
    def stop(trainer):
        raise KeyError
    screen = Screen(True)
    monkeypatch.setattr(sys, "stderr", screen)
    x, y = samples(5)
    made = linear()
    with pytest.raises(KeyError):
        made.fit([(x, y)], 3, callbacks=[stop])
    assert screen.getvalue().endswith("\n") and made.line is None


def test_ipython_is_not_imported():
    code = "import sys, tinytorch.core.training as t; t.Progress(); sys.exit('IPython' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}).returncode == 0
    assert Progress(False).on is False


# ---- pictures ----------------------------------------------------------------------------------

@given(runs=st.lists(st.one_of(st.none(), st.floats(), st.floats(-1e-6, 1e-6), st.just(3.0)), max_size=40), n=st.integers(0, 5))
@settings(deadline=None, max_examples=150, derandomize=True, database=None)
def test_any_history_can_be_drawn(runs, n):
    picture = plot_history({"train_loss": runs, "val_loss": runs[:n], "val_accuracy": runs[n:]})
    root = xml.fromstring(picture)
    assert root.tag.endswith("svg") and "nan" not in picture and "inf" not in picture
    for line in root.iter("{http://www.w3.org/2000/svg}polyline"):
        points = [tuple(map(float, p.split(","))) for p in line.get("points").split()]
        assert all(40 <= x <= 590 and 29 <= y <= 196 for x, y in points)
    assert len(list(root.iter("{http://www.w3.org/2000/svg}text"))) < 60


def test_what_a_state_holds_is_its_own():
    """A trainer that goes on does not change the state that it gave away."""
    layer = tt.Linear(2, 1)
    trainer = Trainer(layer, tt.Adam(layer.parameters()), tt.MSELoss())
    state = trainer.state_dict()
    trainer.fit([(np.ones((3, 2)), np.ones((3, 1)))], 2)
    assert state["run"]["history"]["train_loss"] == []


def test_settings_come_back_from_a_file_as_they_were(tmp_path):
    layer = tt.Linear(2, 1)
    trainer = Trainer(layer, tt.Adam(layer.parameters()), tt.MSELoss())
    trainer.save_checkpoint(tmp_path / "run")
    before = repr(trainer.optimizer)
    trainer.load_checkpoint(tmp_path / "run")
    assert repr(trainer.optimizer) == before and "betas=(0.9, 0.999)" in before
