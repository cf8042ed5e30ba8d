"""GPT beside its twin in torch with the same weights: scores, loss, gradients, steps, texts; and its files, which may be anything."""

import json
import math
import pickle
import zipfile

import numpy as np
import pytest

import tinytorch as tt
from tinytorch.models.transformer import GPT, initialize_weights, next_token_loss, sample_tokens, token_probabilities

try:
    import torch
except ImportError:                                 # the extra `conformance`
    torch = None
needs_torch = pytest.mark.skipif(torch is None, reason="torch is only installed where conformance is checked: see the extra `conformance`")

V, C, L, H, T = 11, 16, 3, 2, 9
KINDS = [{}, {"tie_weights": False}, {"positions": "sinusoidal"}, {"positions": "rotary"}, {"positions": None, "tie_weights": False}]


def model(seed=0, scale=0.3, **settings):
    """A small GPT whose weights are all other than those it begins with."""
    rng = np.random.default_rng(seed)
    gpt = GPT(V, C, L, H, T, **settings)
    for p in gpt.parameters():
        p.data[...] = rng.normal(size=p.shape) * scale + (p.ndim == 1)
    return gpt


def tokens(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, V, shape)


class Twin:
    """The same model from torch's own layers, by a dict of our arrays."""

    def __init__(self, gpt):
        self.p = {name: torch.tensor(array, requires_grad=True) for name, array in gpt.state_dict().items()}
        self.positions, self.tied = gpt.settings["positions"], gpt.settings["tie_weights"]

    def norm(self, x, name):
        return torch.nn.functional.layer_norm(x, (C,), self.p[name + ".weight"], self.p[name + ".bias"])

    def linear(self, x, name):
        return torch.nn.functional.linear(x, self.p[name + ".weight"].T, self.p[name + ".bias"])

    def turned(self, x):
        """LLaMA's rotary positions of x (B, H, T, D)."""
        half = x.shape[-1] // 2
        angles = torch.arange(x.shape[-2])[:, None] / 10000 ** (torch.arange(half) / half)
        first, second = x[..., :half], x[..., half:]
        return torch.cat([first * angles.cos() - second * angles.sin(), second * angles.cos() + first * angles.sin()], -1)

    def block(self, x, name):
        shape = *x.shape[:2], 3, H, C // H
        q, k, v = self.linear(self.norm(x, name + ".norm1"), name + ".attention.qkv").view(shape).permute(2, 0, 3, 1, 4)
        if self.positions == "rotary":
            q, k = self.turned(q), self.turned(k)
        found = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(x.shape)
        x = x + self.linear(found, name + ".attention.proj")
        inner = torch.nn.functional.gelu(self.linear(self.norm(x, name + ".norm2"), name + ".mlp.fc"), approximate="tanh")
        return x + self.linear(inner, name + ".mlp.proj")

    def __call__(self, ids):
        ids = torch.as_tensor(ids)
        x = torch.nn.functional.embedding(ids, self.p["token_embedding.weight"])
        if self.positions == "learned":
            x = x + self.p["position_embedding.weight"][:ids.shape[1]]
        if self.positions == "sinusoidal":
            x = x + torch.tensor(tt.create_sinusoidal_embeddings(T, C).numpy())[:ids.shape[1]]
        for k in range(L):
            x = self.block(x, f"blocks.{k}")
        x = self.norm(x, "norm")
        return x @ (self.p["token_embedding.weight"].T if self.tied else self.p["head.weight"])

    def loss(self, ids, targets):
        return torch.nn.functional.cross_entropy(self(ids).reshape(-1, V), torch.as_tensor(targets).reshape(-1))


def close(got, want, what=""):
    np.testing.assert_allclose(got, want.detach().numpy(), rtol=2e-4, atol=2e-6, err_msg=what)


@needs_torch
@pytest.mark.parametrize("settings", KINDS, ids=str)
def test_scores_loss_and_gradients_are_torchs(settings):
    ours, ids, targets = model(**settings), tokens(2, 7), tokens(2, 7, seed=1)
    twin = Twin(ours)
    close(ours(ids).numpy(), twin(ids))
    loss, wanted = next_token_loss(ours(ids), targets), twin.loss(ids, targets)
    close(loss.numpy(), wanted)
    loss.backward()
    wanted.backward()
    assert {name for name, _ in ours.named_parameters()} == set(twin.p)
    for name, p in ours.named_parameters():
        close(p.grad.numpy(), twin.p[name].grad, name)


@needs_torch
@pytest.mark.parametrize("settings", KINDS[:2], ids=str)
def test_it_is_trained_as_torchs_is(settings):
    ours, ids = model(scale=0.1, **settings), tokens(4, T + 1)
    twin = Twin(ours)
    optimizer, theirs = tt.AdamW(ours.parameters(), lr=1e-2, eps=1e-3), torch.optim.AdamW(twin.p.values(), lr=1e-2, eps=1e-3)
    for _ in range(5):
        optimizer.zero_grad()
        theirs.zero_grad()
        next_token_loss(ours(ids[:, :-1]), ids[:, 1:]).backward()
        twin.loss(ids[:, :-1], ids[:, 1:]).backward()
        optimizer.step()
        theirs.step()
    for name, p in ours.named_parameters():
        np.testing.assert_allclose(p.numpy(), twin.p[name].detach().numpy(), rtol=1e-3, atol=1e-4, err_msg=name)


@needs_torch
@pytest.mark.parametrize("settings", KINDS, ids=str)
def test_the_best_tokens_are_torchs(settings):
    ours, text = model(**settings), tokens(2, 4)
    twin = Twin(ours)
    got = ours.generate(text, 12, temperature=0).numpy()
    for _ in range(12):
        text = np.concatenate([text, twin(text[:, -T:])[:, -1].argmax(-1)[:, None].numpy()], axis=1)
    np.testing.assert_array_equal(got, text)
    assert got.dtype == np.int64


@needs_torch
@pytest.mark.parametrize(("name", "settings"), [
    ("LayerNorm", {}), ("LayerNorm", {"bias": False}), ("LayerNorm", {"elementwise_affine": False}), ("LayerNorm", {"eps": 0.1}),
    ("RMSNorm", {}), ("RMSNorm", {"elementwise_affine": False}), ("RMSNorm", {"eps": 0.1})])
def test_a_norm_has_torchs_state_and_gives_its_numbers(name, settings):
    for shape in (4, (3, 4)):
        ours, theirs = getattr(tt, name)(shape, **settings), getattr(torch.nn, name)(shape, **settings)
        x = np.random.default_rng(0).normal(size=(2, 3, 4)).astype("float32") * 3 + 1
        assert {k: a.shape for k, a in ours.state_dict().items()} == {k: tuple(a.shape) for k, a in theirs.state_dict().items()}
        close(ours(tt.Tensor(x)).numpy(), theirs(torch.tensor(x)))


# ---- what holds for it by itself ---------------------------------------------------------------

@pytest.mark.parametrize("settings", KINDS, ids=str)
def test_a_position_knows_nothing_of_what_comes_after(settings):
    ours, ids = model(**settings), tokens(1, T)
    before = ours(ids).numpy()
    for t in range(1, T):
        other = ids.copy()
        other[:, t:] = (other[:, t:] + 1 + t) % V
        np.testing.assert_allclose(ours(other).numpy()[:, :t], before[:, :t], rtol=1e-4, atol=1e-5)
        assert not np.allclose(ours(other).numpy()[:, t:], before[:, t:])
    np.testing.assert_allclose(ours(ids[:, :4]).numpy(), before[:, :4], rtol=1e-4, atol=1e-5)


def test_tied_weights_are_one_parameter():
    ours = model()
    assert ours.head.weight is ours.token_embedding.weight
    names = [name for name, _ in ours.named_parameters()]
    assert "head.weight" not in names and len(names) == len(set(names)) == len(ours.state_dict())
    next_token_loss(ours(tokens(2, 5)), tokens(2, 5, seed=1)).backward()
    before = ours.head(tt.ones(1, C)).numpy()
    tt.SGD(ours.parameters(), lr=0.1).step()
    assert not np.allclose(ours.head(tt.ones(1, C)).numpy(), before)
    assert ours.head.weight is ours.token_embedding.weight
    again = pickle.loads(pickle.dumps(ours))
    assert again.head.weight is again.token_embedding.weight


@pytest.mark.parametrize("layers", [1, 4, 16])
def test_the_stream_has_one_size_at_any_depth(layers):
    gpt = GPT(50, 64, layers, 2, 8, generator=np.random.default_rng(0))
    x = tt.Tensor(np.random.default_rng(1).normal(size=(4, 8, 64)))
    start = x
    for block in gpt.blocks:
        x = block(x)
    assert 0.018 < (x - start).numpy().std() < 0.025
    assert gpt(np.zeros((1, 8), int)).numpy().std() < 0.5


def test_a_seed_gives_the_same_start():
    first, second = (GPT(V, C, L, H, T, generator=np.random.default_rng(3)) for _ in range(2))
    assert all((a == second.state_dict()[name]).all() for name, a in first.state_dict().items())
    initialize_weights(first, np.random.default_rng(4))
    tables = [gpt.token_embedding.weight.numpy() for gpt in (first, second)]
    assert (first.norm.weight.numpy() == 1).all() and not (tables[0] == tables[1]).any()


def test_tokens_are_drawn_by_their_chances():
    p = np.array([[0.5, 0.25, 0.0, 0.25], [0.0, 0.1, 0.9, 0.0]])
    drawn = sample_tokens(np.broadcast_to(p, (20_000, 2, 4)), np.random.default_rng(0))
    for row, chances in zip(drawn.T, p):
        np.testing.assert_allclose(np.bincount(row, minlength=4) / len(row), chances, atol=0.015)
    assert set(np.unique(drawn[:, 0])) == {0, 1, 3} and set(np.unique(drawn[:, 1])) == {1, 2}


def test_a_token_without_a_chance_is_never_drawn():
    class Edge:
        def random(self, size):
            return np.full(size, self.value)
    edge, p = Edge(), np.array([0.0, 0.4, 0.0, 0.6, 0.0])
    for edge.value, want in ((0.0, 1), (0.39, 1), (np.nextafter(1.0, 0.0), 3)):
        assert sample_tokens(p, edge) == want


@needs_torch
@pytest.mark.parametrize("top_k", [None, 1, 4, 50])
@pytest.mark.parametrize("top_p", [None, 0.3, 0.9, 1.0])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_chances_are_cut_as_in_the_common_recipe(top_k, top_p, temperature):
    z = np.random.default_rng(0).normal(size=(6, 20)) * 2            # no two are equal
    want = torch.tensor(z) / temperature
    if top_k is not None:
        want = want.masked_fill(want < want.topk(min(top_k, 20)).values[:, -1:], -math.inf)
    if top_p is not None:
        ordered, at = want.sort(descending=True)
        late = ordered.softmax(-1).cumsum(-1) - ordered.softmax(-1) >= top_p
        want = want.masked_fill(torch.zeros_like(late).scatter(1, at, late), -math.inf)
    np.testing.assert_allclose(token_probabilities(z, temperature, top_k, top_p), want.softmax(-1).numpy(), atol=1e-12)


def test_generating_leaves_no_traces():
    ours = model(dropout=0.3)
    ours.blocks[1].eval()
    modes = [m.training for m in ours.modules()]
    tt.manual_seed(0)
    state = tt.default_generator.bit_generator.state
    first = ours.generate([1, 2], 20, generator=np.random.default_rng(0)).tolist()
    assert tt.default_generator.bit_generator.state == state and [m.training for m in ours.modules()] == modes
    assert first == ours.generate([1, 2], 20, generator=np.random.default_rng(0)).tolist()
    with pytest.raises(IndexError):
        ours.generate([V], 1)
    assert [m.training for m in ours.modules()] == modes and tt.is_grad_enabled()
    out = ours.generate([3], 4)
    assert not out.requires_grad and all(p.grad is None for p in ours.parameters())


@pytest.mark.parametrize(("call", "kind", "words"), [
    (lambda: GPT(V, C, 1, H, T, positions="none"), ValueError, "positions rotary none"),
    (lambda: GPT(V, C, 1, 3, T), ValueError, "16 3 heads"),
    (lambda: model()(tokens(1, T + 1)), ValueError, "max_seq_len 9 (1, 10)"),
    (lambda: model()(tokens(3)), ValueError, "(B, T) (3,)"),
    (lambda: model()([[0.5, 1.0]]), TypeError, "whole numbers float"),
    (lambda: model()([[0, V]]), IndexError, "11"),
    (lambda: model().generate([], 3), ValueError, "generate prompt"),
    (lambda: model().generate("In the beginning", 3), ValueError, "generate prompt ids"),
    (lambda: model().generate([1], 3, temperature=-1.0), ValueError, "temperature -1.0"),
    (lambda: model().generate([1], 3, top_k=0), ValueError, "top_k 0"),
    (lambda: model().generate([1], 3, top_p=0.0), ValueError, "top_p 0.0"),
    (lambda: token_probabilities([1.0, math.nan]), ValueError, "nan"),
    (lambda: tt.layer_norm(tt.ones(2, 3), 4), ValueError, "layer_norm (2, 3) 4"),
    (lambda: tt.layer_norm(tt.ones(2, 3), 3, tt.ones(2)), ValueError, "layer_norm weight (3,) (2,)"),
    (lambda: tt.layer_norm(tt.Tensor([[1, 2]]), 2), TypeError, "layer_norm floats int64"),
    (lambda: tt.rms_norm(tt.ones(2, 0), 0), ValueError, "rms_norm (2, 0)"),
    (lambda: next_token_loss(tt.ones(2, 3, V), tokens(2, 4)), ValueError, "next_token_loss")])
def test_what_does_not_fit_is_refused(call, kind, words):
    with pytest.raises(kind) as refused:
        call()
    for word in words.split():
        assert word in str(refused.value), word


def test_a_trainer_trains_it_and_goes_on_from_a_checkpoint(tmp_path):
    """Flattened scores and targets are what the Trainer's cross-entropy takes."""
    ids = np.tile(np.arange(V), 20)
    pairs = [(ids[k:k + 6], ids[k + 1:k + 7]) for k in range(60)]

    def flat(batch):
        texts, following = (np.stack(part) for part in zip(*batch))
        return tt.Tensor(texts), tt.Tensor(following.reshape(-1))

    def trainer():
        tt.manual_seed(0)
        gpt = GPT(V, C, 1, H, T, dropout=0.1)
        net = tt.Sequential(gpt, tt.Flatten(0, 1))
        made = tt.Trainer(net, tt.Adam(net.parameters(), lr=1e-2), tt.cross_entropy)
        loader = tt.DataLoader(pairs, batch_size=12, shuffle=True, collate_fn=flat, generator=np.random.default_rng(1))
        return gpt, made, loader
    gpt, whole, loader = trainer()
    whole.fit(loader, 4)
    assert whole.history["train_loss"][-1] < whole.history["train_loss"][0]
    _, first, loader = trainer()
    first.fit(loader, 2)
    first.save_checkpoint(tmp_path / "half.npz")
    tt.manual_seed(5)
    again, second, loader = trainer()
    second.load_checkpoint(tmp_path / "half.npz")
    second.fit(loader, 2)
    for name, array in gpt.state_dict().items():
        np.testing.assert_array_equal(array, again.state_dict()[name], err_msg=name)


# ---- files -------------------------------------------------------------------------------------

@pytest.mark.parametrize("settings", [*KINDS, {"dropout": 0.25}], ids=str)
def test_a_model_comes_back_from_its_file(tmp_path, settings):
    ours, path = model(**settings), tmp_path / "größe 1.npz"
    ours.save(path)
    again = GPT.load(str(path))
    assert again.settings == ours.settings and repr(again) == repr(ours)
    np.testing.assert_array_equal(again.eval()(tokens(2, 5)).numpy(), ours.eval()(tokens(2, 5)).numpy())
    assert (again.head.weight is again.token_embedding.weight) == ours.settings["tie_weights"]
    with np.load(path, allow_pickle=False) as archive:          # a plain file of arrays, one for each parameter
        assert set(archive) == {"settings", *ours.state_dict()}


def test_settings_from_numpy_are_saved(tmp_path):
    GPT(np.int64(V), C, 1, H, np.int32(T), dropout=np.float32(0.5)).save(tmp_path / "a.npz")
    assert GPT.load(tmp_path / "a.npz").settings["max_seq_len"] == T


def test_a_file_is_whole_or_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    model().save(path)
    before = path.read_bytes()

    def full(*args, **settings):
        raise OSError(28, "no space left")
    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError):
        model(1).save(path)
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["a.npz"]


def changed(path, **arrays):
    """The file with some arrays replaced, and those that are None left out."""
    with np.load(path) as archive:
        state = dict(archive) | arrays
    np.savez(path, **{name: array for name, array in state.items() if array is not None})


@pytest.mark.parametrize("harm", [
    lambda path: path.write_bytes(b""), lambda path: path.write_bytes(b"hello"), lambda path: path.write_bytes(path.read_bytes()[:400]),
    lambda path: path.write_bytes(pickle.dumps([1])), lambda path: np.savez(path, a=np.zeros(3)),
    lambda path: np.save(path.open("wb"), np.zeros(3)),
    lambda path: changed(path, settings=None), lambda path: changed(path, settings=np.zeros(3)), lambda path: changed(path, settings="[]"),
    lambda path: changed(path, settings=json.dumps({"vocab_size": 3})), lambda path: changed(path, settings="{"),
    lambda path: changed(path, settings=json.dumps({**model().settings, "embed_dim": "16"})),
    lambda path: changed(path, settings=json.dumps({**model().settings, "embed_dim": 32})),
    lambda path: changed(path, settings=json.dumps({**model().settings, "wings": 2})),
    lambda path: changed(path, **{"norm.bias": None}), lambda path: changed(path, **{"norm.bias": np.zeros(3)}),
    lambda path: changed(path, extra=np.zeros(3)), lambda path: changed(path, **{"norm.bias": np.array([None] * C)}),
    lambda path: zipfile.ZipFile(path, "w").close()])
def test_any_other_file_is_refused(tmp_path, harm):
    path = tmp_path / "model.npz"
    model().save(path)
    harm(path)
    with pytest.raises(ValueError, match=r"model\.npz is not a model that GPT\.save wrote"):
        GPT.load(path)


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        GPT.load(tmp_path / "none.npz")
