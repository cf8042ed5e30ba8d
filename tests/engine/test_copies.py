"""Copies of tensors, of every kind of model, and of what trains them: equal, tied as they were, and in memory of their own."""

import copy
import itertools
import pickle

import numpy as np
import pytest

import tinytorch as tt
from tests.engine.kinds import KINDS, TABLE, made
from tinytorch import optim
from tinytorch.core.layers import _walk
from tinytorch.core.losses import Loss
from tinytorch.core.training import Trainer
from tinytorch.generation.kv_cache import disable_kv_cache, enable_kv_cache
from tinytorch.optimization.acceleration import MixedPrecisionTrainer
from tinytorch.optimization.compression import KnowledgeDistillation, magnitude_prune

COPIERS = {"deepcopy": copy.deepcopy} | {f"pickle {p}": lambda x, p=p: pickle.loads(pickle.dumps(x, p)) for p in (2, 3, 4, 5)}
each_copier = pytest.mark.parametrize("copied", COPIERS.values(), ids=COPIERS)


def tensors(model):
    """[(name, Tensor)] of a model, scratch tensors and the arrays of a cache among them."""
    return [*_walk(model)] + [(f"{name}.{key}", value) for name, part in model.named_modules() for key, value in vars(part).items()
                              if isinstance(value, tt.Tensor) and not isinstance(value, tt.Parameter)]


def arrays(model):
    found = [t for _, t in tensors(model) if isinstance(t, tt.Tensor)]
    return [t.data for t in found] + [t.grad.data for t in found if t.grad is not None] + [
        array for part in model.modules() if hasattr(part, "kv_cache") for array in (part.kv_cache.keys, part.kv_cache.values)]


def with_gradients(kind):
    """A model after one backward pass, its input, and what it says of it."""
    model, x = made(kind)
    model.train()
    loss = (model(x) ** 2).sum()
    if loss.requires_grad:
        loss.backward()
    return model, x


def answer(model, x):
    """What it says in evaluation, as bytes; the modes are as before."""
    modes = [(part, part.training) for part in model.modules()]
    model.eval()
    with tt.no_grad():
        said = model(x).numpy()
    for part, mode in modes:
        part.training = mode
    return said.dtype, said.shape, said.tobytes()


def places(model):
    """Which of its names mean the same part, as numbers: two models with equal lists are tied alike."""
    seen, found = {}, []

    def look(value):
        if isinstance(value, (tt.Module, tt.Tensor)):
            new = id(value) not in seen
            found.append(seen.setdefault(id(value), len(seen)))
            value = vars(value) if new and isinstance(value, tt.Module) else ()
        for part in value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ():
            look(part)
    look(model)
    return found


@each_copier
@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_is_equal_and_in_memory_of_its_own(kind, copied):
    model, x = with_gradients(kind)
    twin, before = copied(model), answer(model, x)
    assert answer(twin, x) == before and type(twin) is type(model) and repr(twin) == repr(model)
    assert [type(part) for part in twin.modules()] == [type(part) for part in model.modules()]
    assert places(twin) == places(model)
    for (name, mine), (_, its) in zip(tensors(model), tensors(twin), strict=True):
        if isinstance(mine, tt.Tensor):
            assert (type(its), its.dtype, its.requires_grad) == (type(mine), mine.dtype, mine.requires_grad), name
            assert (its.grad is None) == (mine.grad is None) and (mine.grad is None or its.grad.tolist() == mine.grad.tolist()), name
        else:
            assert its.training == mine.training, name
    assert not any(np.shares_memory(a, b) for a, b in itertools.product(arrays(model), arrays(twin)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("copied", [copy.deepcopy, COPIERS["pickle 5"]], ids=["deepcopy", "pickle"])
def test_a_step_of_the_copy_leaves_the_original_where_it_was(kind, copied):
    model, x = with_gradients(kind)
    twin, before = copied(model), answer(model, x)
    optim.SGD(twin.parameters(), lr=0.5).step()
    assert answer(model, x) == before != answer(twin, x)
    optim.SGD(model.parameters(), lr=0.5).step()
    assert answer(model, x) == answer(twin, x)          # tied weights moved as one, here and there


def test_the_kinds_are_all_that_there_are():
    below = lambda kind: {kind}.union(*map(below, kind.__subclasses__()))                          # noqa: E731
    wanted = {kind.__name__ for kind in below(tt.Module) - below(Loss) if kind.__module__.startswith("tinytorch.")}
    met = {type(part).__name__ for kind in KINDS for part in made(kind)[0].modules()}
    assert wanted - met == {"Module", "Quantized", "Pool"}


@each_copier
def test_a_copy_with_a_cache_writes_with_a_cache_of_its_own(copied):
    model, _ = made("GPT with a cache")
    twin = copied(model)
    assert twin.generate.model is twin and twin.kv_cache is not model.kv_cache and twin.generate.cache is twin.kv_cache
    assert twin.kv_cache.seq_pos == model.kv_cache.seq_pos and twin.kv_cache.keys.tobytes() == model.kv_cache.keys.tobytes()
    first = [m.generate([1, 2, 3], 3, generator=np.random.default_rng(0)).tolist() for m in (model, twin)]
    disable_kv_cache(twin)
    assert first[0] == first[1] == twin.generate([1, 2, 3], 3, generator=np.random.default_rng(0)).tolist()
    assert "generate" in vars(model) and "generate" not in vars(twin)
    assert enable_kv_cache(twin).model is twin


@each_copier
def test_hooks_stay_with_the_original(copied):
    model, heard = tt.Linear(6, 1), []
    model.weight.register_hook(lambda g: heard.append("hook"))
    twin = copied(model)
    twin(tt.Tensor(TABLE)).sum().backward()
    assert heard == [] and twin.weight.grad is not None
    model(tt.Tensor(TABLE)).sum().backward()
    assert heard == ["hook"]


@each_copier
def test_generators_of_a_copy_go_on_by_themselves_from_where_they_were(copied):
    model = tt.Sequential(tt.Dropout(0.5, np.random.default_rng(2)), tt.Dropout(0.2, np.random.default_rng(3)))
    x = tt.ones(40)
    model(x)
    twin = copied(model)
    said = [model(x).tolist() for _ in range(3)]
    assert [twin(x).tolist() for _ in range(3)] == said


# ---- tensors ------------------------------------------------------------------------------------------------

@each_copier
@pytest.mark.parametrize("data", [np.ones((2, 3)), np.float32(2.5), np.zeros((0, 3)), np.arange(6).reshape(2, 3).T, np.arange(8.0)[::-2],
                                  np.broadcast_to(1.5, (3, 2)), np.array([True, False]), np.ones(3, np.float16), np.ones(2, np.uint8)],
                         ids=lambda data: f"{data.dtype}{data.shape}")
def test_a_tensor_of_any_kind(data, copied):
    for kind in (tt.Tensor, tt.Parameter):
        if kind is tt.Parameter and data.dtype.kind != "f":
            continue
        x = kind(data, dtype=data.dtype)
        twin = copied(x)
        assert (type(twin), twin.dtype, twin.requires_grad, twin.tolist(), twin.grad) == (kind, x.dtype, x.requires_grad, x.tolist(), None)
        assert twin.node is None and not np.shares_memory(twin.data, x.data)


@each_copier
def test_the_result_of_operations_is_refused_alone_and_inside_others(copied):
    x, model = tt.Parameter([1.0, 2.0]), tt.Linear(2, 2)
    model.kept = x * 2
    for value in (x * 2, [x, x * 2], {"loss": x.sum()}, model):
        with pytest.raises(TypeError, match=r"^only leaf tensors can be copied or pickled; use x\.detach\(\)$"):
            copied(value)
    with pytest.raises(TypeError, match="detach"):
        copy.copy(x * 2)
    assert copied((x * 2).detach()).tolist() == [2.0, 4.0]


def test_a_shallow_copy_shares_its_numbers_as_torchs_does():
    x, model = tt.Parameter([1.0, 2.0]), tt.Linear(2, 2)
    assert np.shares_memory(copy.copy(x).data, x.data) and type(copy.copy(x)) is tt.Parameter
    twin = copy.copy(model)
    twin.bias = None
    assert twin.weight is model.weight and model.bias is not None and twin is not model


def test_backward_through_a_shallow_copy_leaves_the_gradient_of_the_original_alone():
    x = tt.Parameter([1.0, 2.0])
    (x * 3).sum().backward()
    (copy.copy(x) * 5).sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]


def test_a_leaf_whose_gradient_was_recorded_can_be_copied():
    x = tt.Parameter([2.0])
    (x * x * x).backward(create_graph=True)
    twin = copy.deepcopy(x)
    assert twin.grad.item() == 12.0 and twin.grad.node is None


# ---- what trains a model ---------------------------------------------------------------------------------------

def model_and(name):
    """(a model, its optimizer with a state, its schedule), after three steps."""
    model, x = tt.Sequential(tt.Linear(6, 5), tt.Tanh(), tt.Linear(5, 3)), tt.Tensor(TABLE)
    optimizer = getattr(optim, name)([{"params": model[0].parameters(), "lr": 0.02}, {"params": model[2].parameters()}], lr=0.05)
    run = model, optimizer, optim.ExponentialLR(optimizer, 0.9)
    go_on(*run, x)
    return run, x


def go_on(model, optimizer, schedule, x, steps=3):
    for _ in range(steps):
        optimizer.zero_grad()
        tt.cross_entropy(model(x), [0, 1, 2, 0, 1]).backward()
        optimizer.step()
        schedule.step()
    return [p.data.tobytes() for p in model.parameters()], optimizer.state_dict()["param_groups"]


@each_copier
@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad"])
def test_an_optimizer_copied_with_its_model_trains_the_copy(name, copied):
    run, x = model_and(name)
    twins, before = copied(run), [p.data.tobytes() for p in run[0].parameters()]
    assert [id(p) for group in twins[1].param_groups for p in group["params"]] == [id(p) for p in twins[0].parameters()]
    assert set(map(id, twins[1].state)) <= set(map(id, twins[0].parameters())) and twins[2].optimizer is twins[1]
    after = go_on(*twins, x)
    assert [p.data.tobytes() for p in run[0].parameters()] == before != after[0]
    assert go_on(*run, x) == after


@each_copier
def test_a_trainer_is_copied_with_all_that_it_trains(copied):
    rng = np.random.default_rng(0)
    model = tt.Sequential(tt.Linear(6, 8), tt.BatchNorm1d(8), tt.Dropout(0.3, rng), tt.Linear(8, 3))
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    trainer = Trainer(model, optimizer, tt.CrossEntropyLoss(), optim.ReduceLROnPlateau(optimizer, patience=0), grad_clip_norm=0.5)
    data = [(tt.Tensor(TABLE), tt.Tensor(np.array([0, 1, 2, 0, 1])))]
    trainer.fit(data, 3, data, patience=5)
    twin = copied(trainer)
    assert twin.scheduler.optimizer is twin.optimizer and twin.optimizer.param_groups[0]["params"][0] is twin.model[0].weight
    assert twin.fit(data, 4, data, patience=5) != trainer.history
    assert trainer.fit(data, 4, data, patience=5) == twin.history
    assert all(np.array_equal(a, b) for a, b in zip(trainer.model.state_dict().values(), twin.model.state_dict().values(), strict=True))


@each_copier
def test_other_trainers_and_masks_are_copied_with_their_models(copied):
    model = tt.Sequential(tt.Linear(6, 8), tt.ReLU(), tt.Linear(8, 3))
    mixed = copied(MixedPrecisionTrainer(model, optim.SGD(model.parameters(), lr=0.1)))
    assert mixed.optimizer.param_groups[0]["params"][0] is mixed.model[0].weight is not model[0].weight
    pair = copied(KnowledgeDistillation(model, model))
    assert pair.teacher is pair.student is not model
    twin, masks = copied((model, magnitude_prune(model, 0.5)))
    twin[0].weight.data[...] = 1.0
    masks.apply()
    assert (twin[0].weight.data == 0).any() and (model[0].weight.data != 1).all()
