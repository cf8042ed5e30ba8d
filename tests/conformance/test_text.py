"""Embeddings beside torch's: the same table, the same steps, padding, and what they refuse."""

import copy
import inspect
import math
import pickle
import tracemalloc

import numpy as np
import pytest

import tinytorch as tt
from tinytorch.text import embeddings

torch = pytest.importorskip("torch", reason="torch is only installed where conformance is checked: see the extra `conformance`")
NN = torch.nn


@pytest.mark.parametrize("rows", [7, 300])
@pytest.mark.parametrize("padding_idx", [None, 0, -1])
def test_a_table_is_trained_as_torchs_is(rows, padding_idx):
    rng = np.random.default_rng(0)
    ours, out = tt.Embedding(rows, 5, padding_idx), tt.Linear(5, 3)
    theirs, other = NN.Embedding(rows, 5, padding_idx), NN.Linear(5, 3)
    theirs.load_state_dict({"weight": torch.tensor(ours.weight.numpy())})
    other.load_state_dict({"weight": torch.tensor(out.weight.numpy().T), "bias": torch.tensor(out.bias.numpy())})
    steps = (tt.Adam([*ours.parameters(), *out.parameters()], lr=0.05),
             torch.optim.Adam([*theirs.parameters(), *other.parameters()], lr=0.05))
    for _ in range(10):
        ids, target = rng.integers(0, rows, (4, 6)), rng.integers(0, 3, 4)
        losses = (tt.cross_entropy(out(tt.tanh(ours(ids)).sum(dim=1)), target),
                  NN.functional.cross_entropy(other(torch.tanh(theirs(torch.tensor(ids))).sum(dim=1)), torch.tensor(target)))
        for loss, optimizer in zip(losses, steps):
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        np.testing.assert_allclose(losses[0].item(), losses[1].item(), rtol=1e-4)
    np.testing.assert_allclose(ours.weight.numpy(), theirs.weight.detach().numpy(), rtol=1e-3, atol=1e-4)
    assert padding_idx is None or not ours.weight.numpy()[padding_idx].any()


def test_a_table_starts_as_torchs_does():
    ours, theirs = tt.Embedding(400, 50).weight.numpy(), NN.Embedding(400, 50).weight.detach().numpy()
    assert ours.shape == theirs.shape and ours.dtype == theirs.dtype
    assert abs(ours.mean()) < 0.03 and abs(ours.std() - theirs.std()) < 0.03
    assert tt.Embedding(4, 2, padding_idx=-1).padding_idx == NN.Embedding(4, 2, padding_idx=-1).padding_idx == 3


def test_slopes_of_slopes_of_slopes():
    rng = np.random.default_rng(0)
    for rows, skip in ((5, None), (5, 2), (90, 2)):
        w, ids = rng.normal(size=(rows, 3)), rng.integers(0, 5, (3, 4))
        ours, theirs = tt.Tensor(w, requires_grad=True, dtype="float64"), torch.tensor(w, requires_grad=True)
        a = (tt.embedding(ids, ours, skip) ** 4).sum()
        b = (NN.functional.embedding(torch.tensor(ids), theirs, skip) ** 4).sum()
        for _ in range(3):
            got, want = tt.grad(a, ours, create_graph=True)[0], torch.autograd.grad(b, theirs, create_graph=True)[0]
            np.testing.assert_allclose(got.numpy(), want.detach().numpy(), rtol=1e-10, atol=1e-12)
            a, b = (got * got).sum(), (want * want).sum()


def test_ids_are_whole_numbers_end_to_end():
    with pytest.raises(TypeError, match="float32"):
        tt.embedding(tt.Tensor([1.0]), tt.ones(3, 2))
    assert embeddings.token_ids([16_777_217, 2 ** 40 + 1], 2 ** 41).tolist() == [16_777_217, 2 ** 40 + 1]
    assert embeddings.token_ids(np.array([250], "uint8"), 251).dtype == np.int64
    for ids in ([[1, 2]], (1, 2), np.array([1], "int16"), tt.Tensor([1]), 2):
        assert tt.Embedding(3, 4)(ids).shape == (*np.shape(ids), 4)


def test_the_gradient_makes_little_besides_itself():
    rows, dim, n = 40_000, 64, 1000
    weight, ids = tt.Tensor(np.zeros((rows, dim), "float32"), requires_grad=True), np.random.default_rng(0).integers(0, rows, n)
    found = tt.embedding(ids, weight)
    g = np.ones(found.shape, "float32")
    tracemalloc.start()
    try:
        found.backward(g)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < weight.data.nbytes + 8 * g.nbytes
    assert not [f for f in (embeddings.sum_by_product, embeddings.sum_by_sorting) if "add.at" in inspect.getsource(f)]


def test_a_slope_that_is_infinite_at_the_padding_counts_nothing():
    w = tt.Tensor(np.ones((3, 2)), requires_grad=True)
    tt.embedding([0, 1], w, 1).backward(np.array([[1.0, 1.0], [np.inf, np.nan]], "float32"))
    assert w.grad.tolist() == [[1.0, 1.0], [0.0, 0.0], [0.0, 0.0]]


def test_a_turn_keeps_lengths_and_knows_distances_only():
    rotary, rng = tt.RotaryEmbedding(16, 2000), np.random.default_rng(0)
    q, k = (tt.Tensor(rng.normal(size=(2, 3, 4, 16))) for _ in range(2))
    near, far = ((rotary(q, start=s) @ rotary(k, start=s + 7).mT).numpy() for s in (0, 1900))
    np.testing.assert_allclose(near, far, atol=1e-3)
    np.testing.assert_allclose((rotary(q, 50) ** 2).sum(dim=-1).numpy(), (q ** 2).sum(dim=-1).numpy(), rtol=1e-4)


def test_only_what_is_learned_is_saved_and_all_of_it_can_be_copied():
    for layer, names in ((tt.Embedding(5, 4), ["weight"]), (tt.PositionalEncoding(9, 4), []),
                         (tt.LearnedPositionalEmbedding(9, 4), ["weight"]),
                         (tt.EmbeddingLayer(5, 4, 9), ["token_embedding.weight", "position_embedding.weight"]),
                         (tt.EmbeddingLayer(5, 4, 9, None), ["token_embedding.weight"]), (tt.RotaryEmbedding(4, 9), [])):
        assert list(layer.state_dict()) == names
        x = [[1, 2, 3]] if isinstance(layer, (tt.Embedding, tt.EmbeddingLayer)) else tt.ones(1, 3, 4)
        for again in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
            np.testing.assert_array_equal(again(x).numpy(), layer(x).numpy())


def test_words_are_scaled_and_positions_are_not():
    layer = tt.EmbeddingLayer(5, 9, 4, scale_embeddings=True)
    words, places = layer.token_embedding.weight.numpy(), layer.position_embedding.weight.numpy()
    np.testing.assert_allclose(layer([4, 0], start=2).numpy(), words[[4, 0]] * math.sqrt(9) + places[2:4], rtol=1e-6)


@pytest.mark.parametrize(("call", "kind", "words"), [
    (lambda: tt.embedding([3], tt.ones(3, 2)), IndexError, "embedding 3"),
    (lambda: tt.embedding([0, -1], tt.ones(3, 2)), IndexError, "embedding -1"),
    (lambda: tt.embedding([1.0], tt.ones(3, 2)), TypeError, "embedding float64"),
    (lambda: tt.embedding([True], tt.ones(3, 2)), TypeError, "embedding bool"),
    (lambda: tt.embedding(["a"], tt.ones(3, 2)), TypeError, "embedding <U1"),
    (lambda: tt.embedding([1], tt.ones(3)), ValueError, "embedding (3,)"),
    (lambda: tt.embedding(tt.ones(3, 2), [1]), ValueError, "embedding (1,)"),
    (lambda: tt.embedding([1], tt.ones(3, 2), 3), ValueError, "embedding padding_idx 3"),
    (lambda: tt.Embedding(3, 2, -4), ValueError, "padding_idx -4"),
    (lambda: tt.Embedding(0, 2), ValueError, "Embedding 0 2"),
    (lambda: tt.Embedding(2, 0), ValueError, "Embedding 2 0"),
    (lambda: tt.PositionalEncoding(9, 4)(tt.ones(2, 10, 4)), ValueError, "PositionalEncoding max_seq_len 9"),
    (lambda: tt.PositionalEncoding(9, 4)(tt.ones(2, 3, 4), start=7), ValueError, "PositionalEncoding 7 9"),
    (lambda: tt.PositionalEncoding(9, 4)(tt.ones(2, 3, 4), start=-1), ValueError, "PositionalEncoding -1"),
    (lambda: tt.LearnedPositionalEmbedding(9, 4)(tt.ones(2, 3, 1)), ValueError, "LearnedPositionalEmbedding (2, 3, 1) 4"),
    (lambda: tt.LearnedPositionalEmbedding(9, 4)(tt.ones(4)), ValueError, "LearnedPositionalEmbedding (4,)"),
    (lambda: tt.EmbeddingLayer(9, 4, 3)([0, 1, 2, 3]), ValueError, "max_seq_len 3"),
    (lambda: tt.EmbeddingLayer(9, 4, 3)(1), ValueError, "(4,)"),
    (lambda: tt.EmbeddingLayer(9, 4, 3, "rotary"), ValueError, "EmbeddingLayer learned sinusoidal rotary"),
    (lambda: tt.RotaryEmbedding(5, 9), ValueError, "RotaryEmbedding even 5"),
    (lambda: tt.RotaryEmbedding(4, 9)(tt.ones(3, 6)), ValueError, "RotaryEmbedding (3, 6) 4"),
    (lambda: tt.RotaryEmbedding(4, 9)(tt.ones(3, 4), start=7), ValueError, "RotaryEmbedding max_seq_len 9"),
])
def test_what_does_not_fit_is_refused_by_name(call, kind, words):
    with pytest.raises(kind) as caught:
        call()
    assert [word for word in words.split() if word not in str(caught.value)] == []


def test_angles_have_no_gradient_and_say_so():
    cos = tt.Tensor(np.ones((3, 2)), requires_grad=True)
    with pytest.raises(RuntimeError, match="angles"):
        embeddings.rotate(tt.ones(3, 4), cos, tt.ones(3, 2)).sum().backward()
