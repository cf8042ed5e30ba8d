"""Attention beside torch's: its own layer with our numbers, steps of training, masks, scores of any size; and what is refused."""

import gc
import math
import tracemalloc

import numpy as np
import pytest

import tinytorch as tt
from tinytorch.core.attention import blocks_of, causal_weights, masked_softmax


def numbers(*shape, seed=0, dtype="float32"):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def by_formula(layer, x, mask=None):
    return layer.proj(tt.merge_heads(layer.attend(layer.qkv(x), mask)[0]))


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="torch is only installed where conformance is checked: see the extra `conformance`")


def twin(torch, ours):
    """torch's own layer with our numbers."""
    theirs = torch.nn.MultiheadAttention(ours.embed_dim, ours.num_heads, bias=ours.qkv.bias is not None, batch_first=True)
    state = {"in_proj_weight": ours.qkv.weight.numpy().T, "out_proj.weight": ours.proj.weight.numpy().T}
    if ours.qkv.bias is not None:
        state |= {"in_proj_bias": ours.qkv.bias.numpy(), "out_proj.bias": ours.proj.bias.numpy()}
    theirs.load_state_dict({name: torch.tensor(array.copy()) for name, array in state.items()})
    return theirs


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("causal", [True, False])
def test_the_layer_is_torchs_with_the_same_numbers(torch, causal, bias):
    ours = tt.MultiHeadAttention(12, 3, causal=causal, bias=bias)
    theirs, x = twin(torch, ours), numbers(2, 7, 12)
    forbidden = torch.tensor(np.triu(np.ones((7, 7), bool), 1)) if causal else None
    given = [torch.tensor(x)] * 3
    want, weights = theirs(*given, attn_mask=forbidden, average_attn_weights=False)
    np.testing.assert_allclose(ours(tt.Tensor(x)).numpy(), want.detach().numpy(), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(ours.attention_weights(tt.Tensor(x)).numpy(), weights.detach().numpy(), rtol=1e-4, atol=1e-6)


def test_filled_up_sentences_are_torchs(torch):
    ours, x, filling = tt.MultiHeadAttention(8, 2), numbers(3, 5, 8), np.arange(5) >= np.array([[5], [3], [1]])
    theirs = twin(torch, ours)
    want, _ = theirs(*[torch.tensor(x)] * 3, key_padding_mask=torch.tensor(filling))
    got = ours(tt.Tensor(x), ~filling[:, None, None])                       # (B, 1, 1, S): True may be looked at
    np.testing.assert_allclose(got.numpy(), want.detach().numpy(), rtol=1e-4, atol=1e-6)


def test_training_goes_the_same_way(torch):
    ours = tt.MultiHeadAttention(8, 2, causal=True)
    theirs, x, wanted = twin(torch, ours), numbers(4, 40, 8), numbers(4, 40, 8, seed=1)
    forbidden = torch.tensor(np.triu(np.ones((40, 40), bool), 1))
    steps = tt.SGD(ours.parameters(), lr=0.5), torch.optim.SGD(theirs.parameters(), lr=0.5)
    for _ in range(10):
        losses = (tt.mse_loss(ours(tt.Tensor(x)), wanted),
                  torch.nn.functional.mse_loss(theirs(*[torch.tensor(x)] * 3, attn_mask=forbidden)[0], torch.tensor(wanted)))
        for loss, optimizer in zip(losses, steps):
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        np.testing.assert_allclose(losses[0].item(), losses[1].item(), rtol=1e-4)
    np.testing.assert_allclose(ours.qkv.weight.numpy().T, theirs.in_proj_weight.detach().numpy(), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("size", [1e-4, 1.0, 1e4])
def test_scores_of_any_size(torch, size):
    for sign in (1, -1):
        q, k, v = numbers(2, 6, 4) * np.float32(size * sign), numbers(2, 6, 4, seed=1), numbers(2, 6, 4, seed=2)
        a, b = ([kind(x, requires_grad=True) for x in (q, k, v)] for kind in (tt.Tensor, torch.tensor))
        may = np.tri(6, dtype=bool)
        may[2] = False
        got, want = tt.scaled_dot_product_attention(*a, may)[0], torch.nn.functional.scaled_dot_product_attention(*b, torch.tensor(may))
        np.testing.assert_allclose(got.numpy(), want.detach().numpy(), rtol=1e-3, atol=1e-5)
        got.sum().backward(), want.sum().backward()
        for x, y in zip(a, b):
            np.testing.assert_allclose(x.grad.numpy(), y.grad.numpy(), rtol=1e-3, atol=1e-4 * max(1.0, float(abs(y.grad).max())))


def test_the_mask_is_torchs_triangle(torch):
    for n in (1, 5):
        np.testing.assert_array_equal(tt.create_causal_mask(n).numpy(), torch.ones(n, n).tril().bool().numpy())


def test_a_masked_row_stays_at_zero_with_floats_too():
    z = tt.Tensor(numbers(3, 4), requires_grad=True)
    for mask in (np.zeros((3, 4), bool), np.full((3, 4), -np.inf)):
        weights = masked_softmax(z, mask)
        assert not weights.numpy().any()
        assert not tt.grad(weights.sum(), z)[0].numpy().any()


@pytest.mark.parametrize("length", [1, 2, 31, 32, 33, 64, 100, 129, 200])
def test_blocks_give_what_the_whole_gives(length):
    layer = tt.MultiHeadAttention(6, 2, causal=True)
    for dtype in ("float32", "float64"):
        x = tt.Tensor(numbers(2, length, 6, dtype=dtype), requires_grad=True, dtype=dtype)
        slopes = []
        for way in (layer, lambda x: by_formula(layer, x)):
            y = way(x)
            slopes.append([y.numpy(), *(g.numpy() for g in tt.grad((y * y).sum(), [x, *layer.parameters()]))])
        for fast, slow in zip(*slopes):
            np.testing.assert_allclose(fast, slow, rtol=1e-3, atol=2e-4)
    blocks = blocks_of(length)
    assert [i for rows, _ in blocks for i in range(rows.start, rows.stop)] == [*range(length)]
    assert all(keys.stop == rows.stop for rows, keys in blocks)


def test_the_second_gradient_does_not_depend_on_the_way():
    x = tt.Tensor(numbers(1, 40, 12, dtype="float64"), requires_grad=True, dtype="float64")
    mask = tt.create_causal_mask(40)

    def formula(x):
        q, k, v = (tt.split_heads(x[..., 4 * i:4 * i + 4], 2) for i in range(3))
        return tt.merge_heads(tt.scaled_dot_product_attention(q, k, v, mask)[0])

    found = []
    for way in (lambda x: tt.causal_attention(x, num_heads=2), formula):
        slope = tt.grad((way(x) ** 2).sum(), x, create_graph=True)[0]
        found.append(tt.grad((slope * slope).sum(), x)[0].numpy())
    np.testing.assert_allclose(*found, rtol=1e-8, atol=1e-10)


def test_nobody_sees_what_comes_later():
    layer, x = tt.MultiHeadAttention(8, 4, causal=True), numbers(1, 70, 8)
    for place in (1, 31, 32, 64, 69):
        changed = x.copy()
        changed[:, place:] += 100.0
        before, after = (layer(tt.Tensor(t)).numpy()[:, :place] for t in (x, changed))
        np.testing.assert_array_equal(before, after)
        leaf = tt.Tensor(x, requires_grad=True)
        layer(leaf)[:, :place].sum().backward()
        assert not leaf.grad.numpy()[:, place:].any()


def test_the_weights_of_one_new_place_are_the_last_row():
    q, k = numbers(2, 3, 9, 4), numbers(2, 3, 9, 4, seed=1)
    np.testing.assert_allclose(causal_weights(q[:, :, -1:], k), causal_weights(q, k)[:, :, -1:], rtol=1e-5, atol=1e-7)


def test_rotary_turns_queries_and_keys_alone():
    turned = []

    def rotary(x):
        turned.append(x.shape)
        return x * 2.0

    layer, x = tt.MultiHeadAttention(6, 3, causal=True, rotary=rotary), tt.Tensor(numbers(2, 4, 6))
    y = layer(x)
    assert turned == [(2, 3, 4, 2)] * 2 and y.shape == x.shape
    plain = tt.MultiHeadAttention(6, 3, causal=True)
    plain.load_state_dict(layer.state_dict())
    plain.qkv.weight.data[:, :12] *= 2.0
    plain.qkv.bias.data[:12] *= 2.0
    np.testing.assert_allclose(y.numpy(), plain(x).numpy(), rtol=1e-4, atol=1e-6)


def test_it_keeps_the_weights_and_nothing_else_of_their_size():
    x = tt.Tensor(numbers(1, 256, 3 * 32), requires_grad=True)
    whole = 8 * 256 * 256 * 4
    tracemalloc.start()
    y = tt.causal_attention(x, num_heads=8)
    kept, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 0.75 * whole and most < 0.9 * whole
    assert y.shape == (1, 256, 32)


def test_memory_does_not_grow_without_the_collector():
    layer, x = tt.MultiHeadAttention(16, 4, causal=True), tt.Tensor(numbers(2, 33, 16))

    def step():
        layer.zero_grad()
        layer(x).sum().backward()

    step()
    gc.disable()
    try:
        tracemalloc.start()
        step()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(20):
            step()
        assert tracemalloc.get_traced_memory()[0] < before + 20_000
    finally:
        tracemalloc.stop()
        gc.enable()


def test_an_empty_batch_and_saved_numbers():
    layer = tt.MultiHeadAttention(8, 2, causal=True)
    x = tt.Tensor(np.ones((0, 5, 8)), requires_grad=True)
    layer(x).sum().backward()
    assert x.grad.shape == x.shape
    assert list(layer.state_dict()) == ["qkv.weight", "qkv.bias", "proj.weight", "proj.bias"]
    other = tt.MultiHeadAttention(8, 2, causal=True).load_state_dict(layer.state_dict())
    np.testing.assert_array_equal(other(tt.Tensor(numbers(1, 3, 8))).numpy(), layer(tt.Tensor(numbers(1, 3, 8))).numpy())


def zeros(*shape):
    return tt.Tensor(np.zeros(shape))


look = tt.scaled_dot_product_attention


@pytest.mark.parametrize(("call", "kind", "words"), [
    (lambda: look(zeros(2, 3), zeros(4, 2), zeros(4, 3)), ValueError, "scaled_dot_product_attention (2, 3) (4, 2) (…, S, D)"),
    (lambda: look(zeros(2, 3), zeros(4, 3), zeros(5, 3)), ValueError, "scaled_dot_product_attention (4, 3) (5, 3)"),
    (lambda: look(zeros(3), zeros(4, 3), zeros(4, 3)), ValueError, "scaled_dot_product_attention (3,)"),
    (lambda: look(zeros(2, 3), zeros(4, 3), zeros(4, 3), np.ones((2, 4), int)), TypeError, "truth values int64 mask == 1"),
    (lambda: look(zeros(2, 3), zeros(4, 3), zeros(4, 3), np.ones((4, 2), bool)), ValueError, "masked_softmax (2, 4) (4, 2)"),
    (lambda: tt.MultiHeadAttention(3, 1, causal=True)(zeros(1, 2, 3), np.ones((2, 2), int)), TypeError, "truth values int64"),
    (lambda: masked_softmax(zeros(3, 4), np.ones((2, 3, 4), bool)), ValueError, "masked_softmax (2, 3, 4) (3, 4)"),
    (lambda: tt.split_heads(zeros(2, 5), 2), ValueError, "split_heads 2 heads (2, 5)"),
    (lambda: tt.merge_heads(zeros(2, 5)), ValueError, "merge_heads (2, 5)"),
    (lambda: tt.causal_attention(zeros(2, 5, 10), num_heads=2), ValueError, "causal_attention (2, 5, 10) 2 heads"),
    (lambda: tt.causal_attention(zeros(5, 12), num_heads=2), ValueError, "causal_attention (5, 12)"),
    (lambda: tt.causal_attention(zeros(2, 0, 12), num_heads=2), ValueError, "causal_attention (2, 0, 12)"),
    (lambda: tt.causal_attention(tt.Tensor(np.zeros((1, 2, 3), int)), num_heads=1), ValueError, "causal_attention int64"),
    (lambda: tt.MultiHeadAttention(10, 3), ValueError, "MultiHeadAttention 10 3 heads"),
    (lambda: tt.MultiHeadAttention(8, 2)(zeros(5, 8)), ValueError, "MultiHeadAttention (B, T, 8) (5, 8)"),
    (lambda: tt.MultiHeadAttention(8, 2)(zeros(1, 5, 6)), ValueError, "MultiHeadAttention (B, T, 8) (1, 5, 6)"),
])
def test_what_does_not_fit_is_refused_by_name(call, kind, words):
    with pytest.raises(kind) as caught:
        call()
    assert [word for word in words.split() if word not in str(caught.value)] == []


def test_lists_and_one_query():
    output, weights = tt.scaled_dot_product_attention([[1.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]], [[2.0], [4.0]], [[True, True]])
    first = 1 / (1 + math.exp(-1 / math.sqrt(2)))
    np.testing.assert_allclose(weights.numpy(), [[first, 1 - first]], rtol=1e-6)
    np.testing.assert_allclose(output.numpy(), [[2 * first + 4 * (1 - first)]], rtol=1e-6)
