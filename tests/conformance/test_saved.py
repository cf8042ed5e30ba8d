"""Random models, saved and read back: equal to the last bit; what does not fit is refused whole, with all that is wrong with it."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

import tinytorch as tt
from tests.conformance.adapters import torch
from tests.conformance.models import batch, definitions, twins
from tinytorch.core.training import Trainer, read_tree, write_tree

REPEATABLE = settings(derandomize=True, deadline=None, database=None, max_examples=60, suppress_health_check=list(HealthCheck))
STEPS = 10
SEEDS = st.integers(0, 2 ** 32)


def inputs(definition):
    return tuple(tt.Tensor(part, dtype=part.dtype) for part in batch(definition))


def loss_of(definition, library=tt):
    """The loss, ours or one of `torch.nn`."""
    name, *how = definition.loss
    named = dict(zip(("reduction", "delta") if name != "CrossEntropyLoss" else ("label_smoothing",), how, strict=False))
    return getattr(library, name)(**named)


def trainer(definition, seed):
    """A Trainer of the model that is defined, with weights of this seed, and of its optimizer and schedule."""
    model, (name, how) = twins(replace(definition, seed=seed)).ours, definition.optimizer
    optimizer = getattr(tt, name)(model.parameters(), **how)
    schedule, *when = definition.schedule or (None,)
    return Trainer(model, optimizer, loss_of(definition), schedule and getattr(tt, schedule)(optimizer, *when), definition.clip)


def everything(made):
    """All that a run depends on, bit by bit."""
    return json.dumps(made.state_dict(), default=lambda array: [array.dtype.str, array.shape, array.tobytes().hex()])


def shapes(state):
    return {name: array.shape for name, array in state.items()}


def said(model, x):
    """What a model says in evaluation, as bytes."""
    with tt.no_grad():
        return model.eval()(x).numpy().tobytes()


# ---- states of models -----------------------------------------------------------------------------------

@pytest.mark.filterwarnings("ignore")
@REPEATABLE
@given(definition=definitions(), seed=SEEDS)
def test_a_model_with_the_state_of_another_says_what_that_one_says(definition, seed):
    note(f"{definition}")
    made, other, (x, _) = trainer(definition, definition.seed), trainer(definition, seed), inputs(definition)
    made.model(x)                                                     # batch norm has seen something
    state, file = made.model.state_dict(), io.BytesIO()
    np.savez(file, **state)
    file.seek(0)
    with np.load(file, allow_pickle=False) as read:
        assert other.model.load_state_dict(dict(read)) is other.model
    assert said(other.model, x) == said(made.model, x)
    assert other.model.train()(x).numpy().tobytes() == made.model.train()(x).numpy().tobytes()
    for array in state.values():
        array[...] = 0                                                # what was saved is its own
    assert said(other.model, x) == said(made.model.load_state_dict(other.model.state_dict()), x)


SOME = st.sets(st.integers(0, 9), max_size=3)


@REPEATABLE
@given(definition=definitions(), gone=SOME, bent=SOME, extra=st.sets(st.sampled_from(("extra", "0.weights", "a.0.b"))))
def test_a_state_that_does_not_fit_is_refused_with_all_that_is_wrong(definition, gone, bent, extra):
    model = twins(definition).ours
    state, before = {name: array + 1 for name, array in model.state_dict().items()}, model.state_dict()
    names, wrong = dict(enumerate(state)), [f"{name} is unexpected" for name in extra]
    for k in (bent - gone) & names.keys():
        state[names[k]] = np.zeros((*before[names[k]].shape, 2))
        wrong.append(f"{names[k]} has shape {state[names[k]].shape}, not {before[names[k]].shape}")
    for k in gone & names.keys():
        del state[names[k]]
        wrong.append(f"{names[k]} is missing")
    state |= {name: np.zeros(1) for name in extra}
    if not wrong:
        model.load_state_dict(state)
        assert all((array == before[name] + 1).all() for name, array in model.state_dict().items())
        return
    with pytest.raises(ValueError, match="^load_state_dict: this state does not fit Sequential: ") as caught:
        model.load_state_dict(state)
    assert sorted(str(caught.value).split("Sequential: ", 1)[1].split("; ")) == sorted(wrong)
    assert all((array == before[name]).all() for name, array in model.state_dict().items())


@REPEATABLE
@given(one=definitions(), other=definitions())
def test_a_state_of_another_model_is_taken_only_where_every_name_and_shape_fits(one, other):
    made, theirs = twins(one).ours, twins(other).ours.state_dict()
    before = made.state_dict()
    if shapes(before) == shapes(theirs):
        made.load_state_dict(theirs)
        return
    with pytest.raises(ValueError) as caught:
        made.load_state_dict(theirs)
    differing = {name for name in before.keys() | theirs.keys() if shapes(before).get(name) != shapes(theirs).get(name)}
    assert {line.split(" ")[0] for line in str(caught.value).split("Sequential: ", 1)[1].split("; ")} == differing
    assert all(np.array_equal(array, before[name]) for name, array in made.state_dict().items())


def test_a_state_with_text_in_it_changes_nothing():
    model = tt.Sequential(tt.Linear(1, 1), tt.Linear(1, 1))
    before, state = model.state_dict(), {name: array + 1 for name, array in model.state_dict().items()}
    state["1.bias"] = np.array(["many"])
    with pytest.raises(TypeError, match="1.bias"):
        model.load_state_dict(state)
    assert all((array == before[name]).all() for name, array in model.state_dict().items())


# ---- training that goes on ------------------------------------------------------------------------------------

def in_a_file(made, other, folder):
    made.save_checkpoint(folder / "run.npz")
    other.load_checkpoint(folder / "run.npz")


def in_a_tree(made, other, folder):
    write_tree(folder / "tree.npz", {"model": made.model.state_dict(), "schedule": made.scheduler.state_dict() if made.scheduler else None})
    tree = read_tree(folder / "tree.npz")
    other.model.load_state_dict(tree["model"])
    other.optimizer.load_state_dict(made.optimizer.state_dict())      # whose names are whole numbers, which JSON does not know
    if other.scheduler:
        other.scheduler.load_state_dict(tree["schedule"])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("through", [in_a_file, in_a_tree])
@REPEATABLE
@given(definition=definitions(), seed=SEEDS)
def test_ten_steps_saved_loaded_and_ten_more_are_twenty(through, definition, seed, tmp_path):
    note(f"{definition}")
    data = [inputs(definition)]
    straight, stopped, resumed = (trainer(definition, s) for s in (definition.seed, definition.seed, seed))
    straight.fit(data, 2 * STEPS)
    stopped.fit(data, STEPS)
    resumed.fit(data, 1)                                              # it has a past of its own, which must not count
    through(stopped, resumed, tmp_path)
    for made in (resumed, stopped):                                   # who was saved goes on as well
        made.fit(data, STEPS)
        for name, array in straight.model.state_dict().items():
            assert made.model.state_dict()[name].tobytes() == array.tobytes(), name
        for what in ("train_loss", "lr"):
            assert np.array_equal(made.history[what][-STEPS:], straight.history[what][-STEPS:], equal_nan=True)


@pytest.mark.filterwarnings("ignore")
@settings(REPEATABLE, max_examples=40)
@given(one=definitions(), other=definitions())
def test_a_checkpoint_of_another_run_is_refused_and_changes_nothing(one, other, tmp_path):
    path = tmp_path / "other.npz"
    theirs, ours = trainer(one, 1), trainer(other, 2)
    for made, definition in ((theirs, one), (ours, other)):
        made.fit([inputs(definition)], 2)
    theirs.save_checkpoint(path)
    before = everything(ours)
    kinds = [[shapes(made.model.state_dict()), type(made.optimizer), type(made.scheduler)] for made in (ours, theirs)]
    if kinds[0] == kinds[1]:
        ours.load_checkpoint(path)
        return
    with pytest.raises(ValueError, match="load_checkpoint: .* cannot be loaded here"):
        ours.load_checkpoint(path)
    assert everything(ours) == before


# ---- torch's ------------------------------------------------------------------------------------------------------

def turned(both, state):
    """torch's state of an optimizer, with the matrices that lie the other way in ours turned round."""
    about = [turn for _, _, turn in both.pairs]
    return {**state, "state": {i: {key: x.T if about[i] and x is not None and x.ndim == 2 else x for key, x in kept.items()}
                               for i, kept in state["state"].items()}}


@pytest.mark.skipif(torch is None, reason="torch is only installed where conformance is checked: see the extra `conformance`")
@pytest.mark.filterwarnings("ignore")
@REPEATABLE
@given(definition=definitions())
def test_ours_goes_on_where_torch_stopped(definition):
    """Ten steps of torch; then its weights and its optimizer's state, read by ours; and ten more of both."""
    note(f"{definition}")
    both, (name, how), (x, targets) = twins(definition), definition.optimizer, batch(definition)
    mine, other = getattr(tt, name)(both.ours.parameters(), lr=0.5), getattr(torch.optim, name)(both.theirs.parameters(), **how)
    ours, theirs = loss_of(definition), loss_of(definition, torch.nn)

    def steps(model, loss, optimizer, x, targets):
        found = []
        for _ in range(STEPS):
            optimizer.zero_grad()
            value = loss(model(x), targets)
            value.backward()
            optimizer.step()
            found.append(value.item())
        return found
    steps(both.theirs, theirs, other, torch.tensor(x), torch.tensor(targets))
    for p, q, turn in both.pairs:
        p.data[...] = q.detach().numpy().T if turn else q.detach().numpy()
    mine.load_state_dict(turned(both, other.state_dict()))
    got, want = steps(both.ours, ours, mine, *inputs(definition)), steps(both.theirs, theirs, other, torch.tensor(x), torch.tensor(targets))
    np.testing.assert_allclose(got, want, rtol=1e-8)
    for p, q, turn in both.pairs:
        np.testing.assert_allclose(p.numpy(), q.detach().numpy().T if turn else q.detach().numpy(), rtol=1e-6, atol=1e-9)


SPOILED = {
    "a negative rate": (lambda state: state["param_groups"][0].update(lr=-3), ValueError, "lr .* not -3"),
    "no row of betas": (lambda state: state["param_groups"][0].update(betas=3), TypeError, "betas must be two numbers"),
    "a parameter too many": (lambda state: state["state"].update({7: {}}), ValueError, "no parameter 7"),
    "other numbers": (lambda state: state["param_groups"][0].update(params=[5]), ValueError, "no parameter 0"),
    "a list for a table": (lambda state: state.update(state=[1]), TypeError, "state must be a Mapping")}


@pytest.mark.parametrize("way", SPOILED)
def test_a_state_of_an_optimizer_that_makes_no_sense_changes_nothing(way):
    spoil, kind, words = SPOILED[way]
    w = tt.Tensor([1.0, 2.0], requires_grad=True)
    w.grad = tt.ones(2)
    optimizer = tt.Adam([w])
    optimizer.step()
    state, before = optimizer.state_dict(), str(optimizer.state_dict())
    spoil(state)
    with pytest.raises(kind, match=f"^Adam: .*{words}"):
        optimizer.load_state_dict(state)
    assert str(optimizer.state_dict()) == before
