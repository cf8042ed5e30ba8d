# %% [markdown]
"""
# 12 Attention

> A mean whose weights are computed: every place decides for itself what it looks at.

"The glass fell off the table because **it** shook." To know what *it* is, a network must look something up elsewhere in the sentence. You write
what does so: with loops, as two matrix products, with masks and with several heads, and in the end as one operation with its own gradient.
"""

# %% nbgrader={"grade": false, "grade_id": "start", "locked": true, "schema_version": 3, "solution": false, "task": false}
import tito.notebook     # where this fails, open the notebook with: tito module open 12
from tito.check import expect

tito.notebook.use(12)

# %%
#| default_exp core.attention
#| view nn

# %% nbgrader={"grade": false, "grade_id": "imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
import math
from collections.abc import Callable

import numpy as np

from tinytorch.core.activations import softmax
from tinytorch.core.autograd import gradient, run
from tinytorch.core.layers import Linear, Module, check_kind, check_whole
from tinytorch.core.tensor import Tensor, broadcast_shape, cat, composed, op, where

# %% nbgrader={"grade": false, "grade_id": "tools", "locked": true, "schema_version": 3, "solution": false, "task": false}
import timeit
import tracemalloc

from tinytorch.core.autograd import grad, gradcheck
from tinytorch.core.losses import cross_entropy
from tinytorch.core.tensor import float32, float64, manual_seed, tensor

def seconds(call, repeat=5):
    """How long `call()` takes: the shortest of a few times."""
    return min(timeit.repeat(call, number=1, repeat=repeat))

def peak(call):
    """How many bytes of arrays `call()` holds at its worst moment."""
    tracemalloc.start()
    call()
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found

# %% [markdown]
"""
## 1 · An average cannot look anything up

Two telephone books. Each row holds a name (three places, of which one is 1) and a number. What is Bob's number, Bob being the second name?
"""

# %%
names = np.eye(3)                                                # Ann, Bob, Cem
book = np.column_stack([names, [3.0, 1.0, 5.0]])                 # (3, 4)
other = np.column_stack([names, [5.0, 3.0, 1.0]])
print(book)
print("the mean of the rows:", book.mean(0).round(2), " and of the other book:", other.mean(0).round(2))

# %% [markdown]
"""
Bob has 1 in the first book, and 3 in the other. But the two have the same mean: whatever comes after it cannot know. The kernels of module 09 do not
help either. They see a few neighbours, and Bob may stand a thousand rows further up.

Python would use a dict: compare the question, the *query*, with every *key*, and take the *value* of the one that is equal. That is all or nothing,
so it has no slope, and nothing can be learned. Make it soft:

```
           ┌─ · key 1 ──► score ─┐             ┌─ weight · value 1 ─┐
   query ──┼─ · key 2 ──► score ─┼─ softmax ───┼─ weight · value 2 ─┼─ + ──► answer
           └─ · key 3 ──► score ─┘             └─ weight · value 3 ─┘
```

The score is a dot product, large where query and key point the same way. Softmax makes weights of the scores, and the answer is the mean of the
values with these weights: with sharp ones the value that was asked for.
"""

# %%
query = names[1]                                                 # Bob
for sharpness in (1.0, 3.0, 10.0):
    weights = softmax(Tensor(book[:, :3] @ query * sharpness))   # (3,)
    print("weights", weights.numpy().round(3), " answer", (weights @ Tensor(book[:, 3])).numpy().round(3))

# %% [markdown]
r"""
In a network queries and keys are vectors of $D$ numbers about as large as 1. How large is their dot product? And which share gets the best of 8
keys, if all of this is random, before anything has been learned?
"""

# %%
rng = np.random.default_rng(0)
for D in (4, 64, 1024):
    scores = rng.normal(size=(200, 1, D)) @ rng.normal(size=(200, D, 8))                   # (200, 1, 8)
    best, best_scaled = (softmax(Tensor(s)).numpy().max(-1).mean() for s in (scores, scores / math.sqrt(D)))
    print(f"D = {D:4}: scores of size {scores.std():4.1f}, the best key gets {best:.2f}; divided by √D {best_scaled:.2f}")

# %% [markdown]
r"""
A sum of $D$ random products is about as large as $\sqrt D$. With 1024 numbers one key gets nearly all, by chance, and softmax is flat there: no
slope, no learning. So the scores are divided by $\sqrt D$. For query $t$ and key $s$:

$$w_{ts} = \frac{e^{z_{ts}}}{\sum_{s'} e^{z_{ts'}}} \qquad z_{ts} = \frac{q_t \cdot k_s}{\sqrt D} \qquad\qquad \mathrm{out}_t = \sum_s w_{ts}\, v_s$$

**Your turn.** As the formula says, one number at a time: `math.exp`, `math.sqrt`, `max`, `sum`. Subtract the largest score of a query before `exp`.
"""

# %% nbgrader={"grade": false, "grade_id": "attention-loops", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def attention_loops(q, k, v):
    """Attention as it is defined, with loops: arrays q (T, D), k (S, D), v (S, E) -> (T, E).

    >>> attention_loops(np.zeros((1, 2)), np.eye(2), np.array([[1.0], [5.0]])).tolist()
    [[3.0]]
    """
    (T, D), S = q.shape, len(k)
    out = np.zeros((T, v.shape[1]), v.dtype)
    ### BEGIN SOLUTION
    for t in range(T):
        scores = [sum(q[t, d] * k[s, d] for d in range(D)) / math.sqrt(D) for s in range(S)]
        parts = [math.exp(score - max(scores)) for score in scores]
        for s in range(S):
            out[t] += parts[s] / sum(parts) * v[s]
    return out
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-attention-loops", "locked": true, "points": 10, "schema_version": 3, "solution": false, "task": false}
def test_unit_attention_loops():
    """Each query compares itself with all keys, and mixes the values."""
    q = np.array([[1.0, 0.0, 2.0, -1.0], [0.5, -1.0, 0.0, 1.0]])
    k = np.array([[2.0, 1.0, 0.0, 1.0], [0.0, 1.0, -1.0, 3.0], [1.0, -2.0, 1.0, 0.5]])
    v = np.array([[1.0, 10.0], [2.0, -20.0], [4.0, 30.0]])
    raw, parts = q @ k.T, lambda z, axis=1: np.exp(z - z.max(axis, keepdims=True))
    share = lambda z, axis=1: parts(z, axis) / parts(z, axis).sum(axis, keepdims=True)
    want = share(raw / 2) @ v
    expect.close(lambda: attention_loops(q, k, v), want, "two queries, three keys, D = 4", mistaken={
        "divide the scores by √D": share(raw) @ v, "divide by √D, not by D": share(raw / 4) @ v,
        "multiply nothing: the scores are DIVIDED by √D": share(raw * 2) @ v,
        "divide by the sum of the exponentials": parts(raw / 2) @ v, "scores are no weights: softmax": raw / 2 @ v,
        "the weights of ONE query add up to 1": share(raw / 2, 0) @ v,
        "add up over all keys: +=": share(raw / 2)[:, 2:] * v[2], "that is the plain mean of the values": np.repeat(v.mean(0)[None], 2, 0)},
        hint="for each query t: scores, exponentials, their sum; then add weight · v[s] to out[t]",
        raises={IndexError: "t counts queries, s keys, d the numbers of either"})
    for size in (1e4, -1e4):
        expect.close(lambda: attention_loops(q * size, k, v), v[(raw * size).argmax(1)], "large scores pick the best",
                     hint="subtract the largest score of this query before exp",
                     raises={(OverflowError, ZeroDivisionError): "subtract the largest score before exp"})
    expect.same(lambda: attention_loops(*(x.astype(float32) for x in (q, k, v))).dtype, float32, "float32 stays float32", hint="write into out")

test_unit_attention_loops()

# %%
query = names[[1]] * 10 * math.sqrt(3)                           # Bob again, sharp; √3 undoes the division
print(attention_loops(query, names, book[:, 3:]), attention_loops(query, names, other[:, 3:]))

# %% [markdown]
r"""
## 2 · Who may look at whom

Some places must not be looked at. The sentences of a batch have different lengths, and the filling at their ends means nothing. And whoever learns
to write a text word by word must not see the word that comes next. A *mask* says it: True where a query (row) may look at a key (column).

Two ways to use it that are often seen. The first key of the three scores 0, the second 2; the third, with $10^4$, is forbidden:
"""

# %%
scores, may = Tensor([[0.0, 2.0, 1e4]]), np.array([[True, True, False]])
print("without the third:       ", softmax(Tensor([[0.0, 2.0]])).numpy().round(3))
print("weights set to 0:        ", (softmax(scores).numpy() * may).round(3))
print("10,000 taken off a score:", softmax(scores - 1e4 * ~may).numpy().round(3))

# %% [markdown]
r"""
In the first way the forbidden key has already taken all of the weight. In the second it comes back, because the scores were larger than the author
of the code thought. What is right for any scores is $-\infty$ *before* the softmax: $e^{-\infty}$ is 0 exactly.

A mask may also hold floats, which are added to the scores: 0 and $-\infty$, or anything between (a network can learn that far away matters less).

One trap is left. Where a whole row is forbidden, the largest score is $-\infty$, and $-\infty - (-\infty)$ is `nan`. Such a row gets weights of 0,
as in PyTorch. It is not enough to replace the `nan` afterwards: in the gradient 0 · `nan` is `nan` again. Give the row harmless scores *before*
softmax too.

**Your turn.** `_as_mask` (given) makes a Tensor of what is a mask, and refuses what is none. `where(condition, a, b)` is module 01's;
`scores.data.max(axis=-1, keepdims=True)` tells of which rows nothing is left.
"""

# %%
#| export
def _as_mask(mask, dtype):
    """A mask as a Tensor: of truth values, or of floats, which get this dtype.  TypeError for whole numbers."""
    mask = mask if isinstance(mask, Tensor) else Tensor(mask, dtype=dtype if np.asarray(mask).dtype.kind == "f" else None)
    if mask.dtype.kind not in "bf":
        raise TypeError(f"a mask is truth values (True: may look) or floats to be added, not {mask.dtype}; of zeros and ones take mask == 1")
    return mask

# %% nbgrader={"grade": false, "grade_id": "masked-softmax", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
@composed
def masked_softmax(scores, mask=None):
    """Softmax of the scores that a mask lets through: a Tensor (…, T, S) -> the same shape.  A row of which nothing is left gets zeros.

    mask: truth values (True: may be looked at), or floats that are added; its shape broadcasts to the scores'.

    >>> masked_softmax(Tensor([[0.0, 0.0, 9.0], [1.0, 2.0, 3.0]]), [[True, True, False], [False, False, False]])
    Tensor([[0.5, 0.5, 0. ],
            [0. , 0. , 0. ]])
    """
    scores = scores if isinstance(scores, Tensor) else Tensor(scores)
    if mask is None:
        return softmax(scores, dim=-1)
    mask = _as_mask(mask, scores.dtype)
    if broadcast_shape(mask.shape, scores.shape) != scores.shape:
        raise ValueError(f"a mask of shape {mask.shape} does not broadcast to the scores' {scores.shape}")
    ### BEGIN SOLUTION
    scores = where(mask, scores, -math.inf) if mask.dtype.kind == "b" else scores + mask
    nothing = scores.data.max(axis=-1, keepdims=True) == -math.inf
    return where(nothing, 0.0, softmax(where(nothing, 0.0, scores), dim=-1))
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-masked-softmax", "locked": true, "points": 12, "schema_version": 3, "solution": false, "task": false}
def test_unit_masked_softmax():
    """What is forbidden gets no weight, whatever the scores are."""
    z, may = np.array([[1.0, 2.0, 0.0], [3.0, 1.0, 2.0]]), np.array([[True, True, False], [False, True, True]])
    share = lambda z: np.exp(z - z.max(-1, keepdims=True)) / np.exp(z - z.max(-1, keepdims=True)).sum(-1, keepdims=True)
    x = Tensor(z.copy())
    expect.close(lambda: masked_softmax(x, may), share(np.where(may, z, -np.inf)), "truth values: True may be looked at", mistaken={
        "True means: may be looked at": share(np.where(may, -np.inf, z)), "the mask is not used": share(z),
        "the others share all of the weight: mask before the softmax": share(z) * may, "a score of 0 is no ban: -math.inf": share(z * may),
        "True is no score: where truth values do not hold, put -math.inf": share(z + may)},
        hint="where(mask, scores, -math.inf), then softmax along the last axis")
    expect.close(x, z, "the scores are as they were", hint="where makes a new Tensor: do not write into .data")
    expect.close(lambda: masked_softmax(Tensor([[0.0, 2.0, 1e4], [-1e4, 0.0, 2.0]]), [[True, True, False], [True, True, True]]),
                 [[0.119203, 0.880797, 0.0], [0.0, 0.119203, 0.880797]], "scores of 10,000 are fine",
                 hint="put -math.inf in their place: no number is low enough for all scores, and no product with the mask")
    bias = np.array([[0.5, -1.0, 0.25], [-np.inf, 2.0, 0.0]])
    expect.close(lambda: masked_softmax(x, bias), share(z + bias), "floats are added", mistaken={
        "add floats to the scores": lambda got: np.allclose(got, share(z)) or np.allclose(got[0], share(z)[0]),
        "add them before the softmax": share(z) + bias}, hint="a mask of floats is added to the scores")
    rows = np.array([[True, True, False], [False, False, False]])
    expect.close(lambda: masked_softmax(x, rows), [share(z[0, :2]).tolist() + [0.0], [0.0, 0.0, 0.0]], "nothing left: zeros", mistaken={
        "where nothing is left, softmax gives nan: put zeros there": lambda got: np.isnan(got[1]).all(),
        "where nothing is left, all share alike: put zeros there": lambda got: np.allclose(got[1], 1 / 3)},
        hint="only rows whose largest score is -inf get zeros")
    def slope(mask):
        s = Tensor(z, requires_grad=True)
        return grad((masked_softmax(s, mask) * z).sum(), s)[0]
    for mask in (rows, np.where(rows, 0.0, -np.inf)):
        expect.finite(lambda: slope(mask), "its gradient is no nan either", raises={
            RuntimeError: "compute with Tensors to the end: where and softmax"},
                      hint="give that row scores of 0 before softmax: afterwards 0 · nan is nan again")
    expect.close(lambda: masked_softmax(Tensor([z, z]), [True, False, True]), [share(np.where([True, False, True], z, -np.inf))] * 2,
                 "one mask for all rows, of any number of axes", hint="where and + broadcast; rows lie along the last axis")
    s, m = tensor(z, float64, requires_grad=True), tensor(z[:1] - 1, float64, requires_grad=True)
    expect.true(lambda: gradcheck(lambda s, m: masked_softmax(s, m) ** 2, [s, m]), "small steps agree, for a mask of floats too",
                hint="compute with Tensors to the end: only the question whether anything is left looks at .data")
    expect.true(lambda: gradcheck(lambda s: masked_softmax(s, may) ** 2, s), "also under truth values",
                hint="compute with Tensors to the end: where and softmax, no NumPy")
    expect.same(lambda: masked_softmax(x, rows).dtype, float32, "float32 stays float32")

test_unit_masked_softmax()

# %% [markdown]
"""
For a text that is written from left to right, each place may look at itself and at what came before. This mask is called *causal*:

```
                     looks at
                 the  cat  sat  down
         the      1    .    .    .
  place  cat      1    1    .    .
         sat      1    1    1    .
         down     1    1    1    1
```

**Your turn.** `np.tri` draws such a triangle. What comes back is a Tensor of truth values.
"""

# %% nbgrader={"grade": false, "grade_id": "causal-mask", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def create_causal_mask(seq_len):
    """Who may look at whom where nobody sees what comes later: truth values (T, T), True at and below the diagonal.

    >>> create_causal_mask(3).tolist()
    [[True, False, False], [True, True, False], [True, True, True]]
    """
    check_whole("create_causal_mask", 0, seq_len=seq_len)
    ### BEGIN SOLUTION
    return Tensor(np.tri(seq_len, dtype=bool))
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-causal-mask", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_causal_mask():
    """A place sees itself and what came before."""
    places = np.arange(4)
    want = places[:, None] >= places
    expect.same(lambda: create_causal_mask(4), want, "four places", mistaken={
        "row t looks at columns up to t: this is turned round": want.T, "a place may look at itself": places[:, None] > places,
        "True where it MAY look": ~want}, hint="a triangle of truth values: np.tri(…, dtype=bool)")
    expect.true(lambda: isinstance(create_causal_mask(2), Tensor), "a Tensor", hint="Tensor(…)")
    expect.same(lambda: create_causal_mask(1), np.array([[True]]), "one place")

test_unit_causal_mask()

# %% [markdown]
"""
## 3 · Two matrix products

All dot products of queries and keys are one matrix product, and all weighted means another:

```
     Q (T, D) @ Kᵀ (D, S)  ──►  scores (T, S)  ──► / √D, mask, softmax ──►  weights (T, S)
                                                                      weights (T, S) @ V (S, E)  ──►  output (T, E)
```

Axes in front, such as a batch, come along by themselves.

**Your turn.** Three lines: scores, weights, and both results. `K.mT` turns the last two axes round.
"""

# %% nbgrader={"grade": false, "grade_id": "attention", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
@composed
def scaled_dot_product_attention(Q, K, V, mask=None):
    """Mix the rows of V, by other weights for each query: Q (…, T, D), K (…, S, D), V (…, S, E) -> (output (…, T, E), weights (…, T, S)).

    mask: see `masked_softmax`.  The output is that of `torch.nn.functional.scaled_dot_product_attention`.  Source: Vaswani et al., 2017.

    >>> output, weights = scaled_dot_product_attention(Tensor([[0.0, 0.0]]), Tensor([[1.0, 0.0], [0.0, 1.0]]), Tensor([[1.0], [5.0]]))
    >>> output.tolist(), weights.tolist()
    ([[3.0]], [[0.5, 0.5]])
    """
    Q, K, V = (x if isinstance(x, Tensor) else Tensor(x) for x in (Q, K, V))
    if min(Q.ndim, K.ndim, V.ndim) < 2 or Q.shape[-1] != K.shape[-1] or K.shape[-2] != V.shape[-2] or not Q.shape[-1]:
        raise ValueError(f"Q (…, T, D), K (…, S, D) and V (…, S, E) wanted, got {Q.shape}, {K.shape} and {V.shape}")
    ### BEGIN SOLUTION
    scores = Q @ K.mT * (1 / math.sqrt(Q.shape[-1]))                     # (…, T, S)
    weights = masked_softmax(scores, mask)
    return weights @ V, weights
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-attention", "locked": true, "points": 10, "schema_version": 3, "solution": false, "task": false}
def test_unit_attention():
    """Two matrix products give what the loops give."""
    rng = np.random.default_rng(0)
    q, k, v = rng.normal(size=(2, 3, 16)), rng.normal(size=(2, 5, 16)), rng.normal(size=(2, 5, 6))
    make = lambda *arrays: [Tensor(x, dtype=float64) for x in arrays]
    share = lambda z: np.exp(z) / np.exp(z).sum(-1, keepdims=True)
    raw, want = q @ k.mT, np.stack([attention_loops(*each) for each in zip(q, k, v)])
    expect.same(lambda: [x.shape for x in scaled_dot_product_attention(*make(q, k, v))], [(2, 3, 6), (2, 3, 5)], "output, then weights", mistaken={
        "the output comes first": [(2, 3, 5), (2, 3, 6)]}, raises={ValueError: "Q @ K.mT, then weights @ V"})
    expect.close(lambda: scaled_dot_product_attention(*make(q, k, v))[0], want, "what the loops give", mistaken={
        "divide the scores by √D": share(raw) @ v, "by √D, not by D": share(raw / 16) @ v, "divide by √D, do not multiply": share(raw * 4) @ v,
        "D is the last size of Q": lambda got: any(np.allclose(got, share(raw / math.sqrt(n)) @ v) for n in (2, 3, 5))},
        hint="softmax along the last axis, then @ V")
    expect.close(lambda: scaled_dot_product_attention(*make(q, k, v))[1], share(raw / 4), "the weights", hint="the weights, not the scores")
    may = rng.random((3, 5)) > 0.4
    may[1] = False
    expect.close(lambda: scaled_dot_product_attention(*make(q, k, v), may)[1][:, 1], np.zeros((2, 5)), "the mask is passed on",
                 hint="masked_softmax(scores, mask)")
    expect.close(lambda: scaled_dot_product_attention(*make(q * 1e4, k, v))[0], np.take_along_axis(v, raw.argmax(-1)[..., None], 1),
                 "large scores pick the best", hint="softmax of module 02 is stable: use it")
    expect.same(lambda: [x.dtype for x in scaled_dot_product_attention(Tensor(q), Tensor(k), Tensor(v))], [float32, float32],
                "float32 stays float32", hint="use math.sqrt: NumPy's numbers make float64 of it")
    leaves = [tensor(x[:1, :3, :4], float64, requires_grad=True) for x in (q, k, v)]
    expect.true(lambda: gradcheck(lambda *leaves: scaled_dot_product_attention(*leaves, create_causal_mask(3))[0] ** 2, leaves),
                "small steps agree", hint="compute with Tensors to the end")

test_unit_attention()

# %% [markdown]
"""
How much faster than loops is it? And does the causal mask keep its promise? Change the last word of six, and see which outputs notice.
"""

# %% tags=["analysis"]
q, k, v = (np.random.default_rng(s).normal(size=(64, 16)).astype(float32) for s in range(3))
slow, fast = seconds(lambda: attention_loops(q, k, v), 1), seconds(lambda: scaled_dot_product_attention(q, k, v), 50)
print(f"64 places: {slow * 1e3:.0f} ms with loops, {fast * 1e3:.2f} ms with two products, {slow / fast:.0f} times faster")

# %%
x = np.random.default_rng(0).normal(size=(6, 4))
changed = x.copy()
changed[5] += 1.0
for name, mask in (("no mask", None), ("causal", create_causal_mask(6))):
    before, after = (scaled_dot_product_attention(t, t, t, mask)[0].numpy() for t in (x, changed))
    print(f"{name:8}", ["notices" if moved else "-" for moved in (before != after).any(1)])

# %% [markdown]
"""
One more fact, without a mask. Put the places in another order, and the outputs are the same numbers in that order:
"""

# %%
order = [3, 1, 5, 0, 4, 2]
straight, mixed = (scaled_dot_product_attention(t, t, t)[0].numpy() for t in (x, x[order]))
print("the same, in another order:", np.allclose(mixed, straight[order]))

# %% [markdown]
"""
So attention has no idea of order: to it "dog bites man" is "man bites dog". That is why module 11 adds something about the place to every word.

## 4 · Several heads

One softmax gives one mean. A word may need two things at once: its verb, and the word just before it. Can it look at both?
"""

# %%
for values in ([[3.0], [5.0]], [[2.0], [6.0]]):
    print(values, "with half of the weight on each:", attention_loops(np.zeros((1, 1)), np.zeros((2, 1)), np.array(values)))

# %% [markdown]
"""
It gets the mean, and nobody can take that apart again. So the $C$ numbers of a place are dealt out to $H$ *heads* of $D = C / H$ numbers. Each head
looks for its own thing, with weights of its own, and what they find is put side by side. The products cost as much as those of one
head of $C$ numbers.

```
   C = 6, H = 3                      head 0    head 1    head 2
   place 0   a a b b c c                a a       b b       c c
   place 1   d d e e f f     ──►        d d       e e       f f
   (T, C) = (2, 6)                   (H, T, D) = (3, 2, 2)
```

**Your turn.** Arrays here, with any axes in front. Splitting is a `reshape` of the last axis alone, then `swapaxes(-3, -2)`; merging is the way
back. Each is the other's gradient (given).
"""

# %% nbgrader={"grade": false, "grade_id": "heads", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
@op
def split_heads(x, num_heads):
    """(…, T, H·D) -> (…, H, T, D): every head gets D columns.  `x` is an array here.

    >>> split_heads(Tensor([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]]), 2).tolist()
    [[[1.0, 2.0], [5.0, 6.0]], [[3.0, 4.0], [7.0, 8.0]]]
    """
    if np.ndim(x) < 2 or num_heads < 1 or x.shape[-1] % num_heads:
        raise ValueError(f"(…, T, C) wanted, C a multiple of {num_heads} heads, not {np.shape(x)}")
    ### BEGIN SOLUTION
    return x.reshape(*x.shape[:-1], num_heads, x.shape[-1] // num_heads).swapaxes(-3, -2)
    ### END SOLUTION

@op
def merge_heads(x):
    """(…, H, T, D) -> (…, T, H·D): the way back.  `x` is an array here."""
    if np.ndim(x) < 3:
        raise ValueError(f"(…, H, T, D) wanted, not {np.shape(x)}")
    ### BEGIN SOLUTION
    x = x.swapaxes(-3, -2)
    return x.reshape(*x.shape[:-2], x.shape[-2] * x.shape[-1])
    ### END SOLUTION

gradient(split_heads)(lambda g: run(merge_heads, g))

@gradient(merge_heads)
def _(g, shape):
    return run(split_heads, g, shape[-3])

# %% nbgrader={"grade": true, "grade_id": "test-heads", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_heads():
    """Every head gets its own columns of every place, and back again."""
    x = np.random.default_rng(0).normal(size=(2, 3, 8))
    parted = np.stack([x[..., 2 * h:2 * h + 2] for h in range(4)], 1)                      # (2, 4, 3, 2)
    given = Tensor(x.copy(), dtype=float64)
    expect.close(lambda: split_heads(given, 4), parted, "four heads of two columns", mistaken={
        "reshape alone mixes the places: first (…, T, H, D), then swap": x.reshape(2, 4, 3, 2),
        "swap the axes of places and heads, after reshape": x.reshape(2, 3, 4, 2),
        "neighbouring columns belong together: (…, T, H, D), not (…, T, D, H)": x.reshape(2, 3, 2, 4).transpose(0, 3, 1, 2)},
        hint="(…, T, H·D) -> (…, T, H, D) -> (…, H, T, D)", raises={ValueError: "D is the last size // num_heads"})
    expect.close(lambda: merge_heads(Tensor(parted, dtype=float64)), x, "and back", mistaken={
        "swap the axes first, then reshape": parted.reshape(2, 3, 8), "put the heads side by side: reshape": x.reshape(2, 3, 4, 2)},
        hint="(…, H, T, D) -> (…, T, H, D) -> (…, T, H·D)")
    expect.close(lambda: split_heads(Tensor(x[0], dtype=float64), 2), np.stack([x[0, :, :4], x[0, :, 4:]]), "without a batch, two heads",
                 hint="count axes from the end")
    expect.close(lambda: merge_heads(Tensor([parted], dtype=float64)), x[None], "with one axis more", hint="count axes from the end")
    leaf = tensor(x, float64, requires_grad=True)
    expect.true(lambda: gradcheck(lambda x: merge_heads(split_heads(x, 4) ** 2), leaf), "the gradients go back the same way")
    expect.true(lambda: np.shares_memory(split_heads.__wrapped__(x, 4), x), "splitting copies nothing", hint="reshape and swapaxes give views")

test_unit_heads()

# %% [markdown]
"""
## 5 · One operation

Queries, keys and values of one place are made of the same $x$: one `Linear` layer makes all three, side by side, `qkv` (B, T, 3·C). `thirds` (given)
takes them apart again, without a copy. How many arrays of the scores' size does causal attention by the formula make, with its gradient?
"""

# %%
#| export
def thirds(heads):
    """q, k and v: the first, second and last third of the heads (B, 3·H, T, D), without a copy."""
    n = heads.shape[1] // 3
    return heads[:, :n], heads[:, n:2 * n], heads[:, 2 * n:]

# %%
def by_formula(qkv, num_heads):
    """Causal attention of many heads, operation by operation: (B, T, 3·C) -> (B, T, C)."""
    q, k, v = thirds(split_heads(qkv, 3 * num_heads))
    return merge_heads(scaled_dot_product_attention(q, k, v, create_causal_mask(qkv.shape[1]))[0])

B, T, C, H = 4, 128, 64, 4
qkv = Tensor(np.random.default_rng(0).normal(size=(B, T, 3 * C)), requires_grad=True)
print("qkv", qkv.shape, " output", by_formula(qkv, H).shape, " scores", (B, H, T, T))

# %% tags=["analysis"]
scores_size = B * H * T * T * 4
forward, both = peak(lambda: by_formula(qkv, H)), peak(lambda: by_formula(qkv, H).sum().backward())
print(f"arrays of {scores_size:,} bytes: {forward / scores_size:.1f} at once forward, {both / scores_size:.1f} with backward")

# %% [markdown]
"""
One is enough: the product `q @ k.mT` is our own array. Scale it, mask it and take its softmax in place, and the weights lie where the scores were.
The scores of what comes later are pushed to −∞ by adding `later`, once for all heads.

**Your turn.** Arrays; everything after the product in place: `*=`, `+=`, `-=`, `np.exp(p, out=p)`, `/=`. The queries may be those of the last `n`
places only (you will see below what for); `later` (n, S) takes care of that.
"""

# %% nbgrader={"grade": false, "grade_id": "causal-weights", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def causal_weights(q, k):
    """softmax(q @ k.mT / √D) under a causal mask, in one array: the last n of S places look, q (…, n, D), k (…, S, D) -> (…, n, S).

    >>> causal_weights(np.zeros((2, 4)), np.zeros((3, 4))).round(2).tolist()
    [[0.5, 0.5, 0.0], [0.33, 0.33, 0.33]]
    """
    n, S = q.shape[-2], k.shape[-2]
    later = np.where(np.tri(n, S, S - n, dtype=bool), 0.0, -math.inf).astype(q.dtype)
    ### BEGIN SOLUTION
    p = q @ k.mT                                                         # (…, n, S)
    p *= 1 / math.sqrt(q.shape[-1])
    p += later
    p -= p.max(axis=-1, keepdims=True)
    np.exp(p, out=p)
    p /= p.sum(axis=-1, keepdims=True)
    return p
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-causal-weights", "locked": true, "points": 14, "schema_version": 3, "solution": false, "task": false}
def test_unit_causal_weights():
    """From queries and keys to causal weights, in one array."""
    q, k = np.random.default_rng(0).normal(size=(2, 2, 3, 5, 16))                       # (2, 3, 5, 16) each
    raw, tri = q @ k.mT, np.tri(5, dtype=bool)
    part = lambda z, may=tri: np.exp(np.where(may, z, -np.inf) - np.where(may, z, -np.inf).max(-1, keepdims=True))
    share = lambda *how: part(*how) / part(*how).sum(-1, keepdims=True)
    expect.close(lambda: causal_weights(q.copy(), k), share(raw / 4), "two texts, three heads, five places", mistaken={
        "divide the scores by √D": share(raw), "by √D, not by D": share(raw / 16), "multiply by 1 / √D": share(raw * 4),
        "D is the last size of q": share(raw / math.sqrt(5)), "add `later`: nobody sees what comes later": share(raw / 4, True),
        "add `later` as it is, do not turn it round": share(raw / 4, tri.T), "divide by the sum of each row": part(raw / 4),
        "each ROW adds up to 1: axis=-1": lambda got: np.allclose(got.sum(-2), 1)},
        raises={ValueError: "keepdims=True keeps (…, 5, 1), which lines up with (…, 5, 5)"},
        hint="scale, add `later`, subtract the largest, exp, divide by the sum: all along the last axis")
    expect.close(lambda: causal_weights(q[:, :, 3:], k), share(raw / 4)[:, :, 3:], "the last two places look at all five",
                 hint="add `later` as it is: it fits the last n of S places")
    expect.close(lambda: causal_weights(q * 1e4, k), share(raw * 2500), "scores of 10,000 are fine",
                 hint="subtract the largest score of each row before exp")
    given = q.copy()
    expect.close(lambda: (causal_weights(given, k), given)[1], q, "q is as it was", hint="write into p only: q is a view of what others need")
    expect.same(lambda: [causal_weights(q.astype(t), k.astype(t)).dtype for t in (float32, float64)], [float32, float64], "dtypes stay")
    import tracemalloc
    wide = np.zeros((8, 256, 8), float32)
    tracemalloc.start(); causal_weights(wide, wide); most = tracemalloc.get_traced_memory()[1]; tracemalloc.stop()
    expect.same(round(most / (8 * 256 * 256 * 4)), 1, "arrays of the size of the scores: one",
                hint="after q @ k.mT all in place: *=, +=, -=, out=p, /=")

test_unit_causal_weights()

# %% [markdown]
"""
Nearly half of these weights are 0, and were computed for nothing. So take the places in blocks of rows, each with the keys up to its own end only:

```
              keys  0 ──────────► T
   rows  0 ┌──────────────────────────┐
         │ │ ██████                   │   a block of T/4 rows and T/4 keys
         │ │ ████████████             │
         │ │ ██████████████████       │
         ▼ │ ████████████████████████ │   the last T/4 rows look at all T
           └──────────────────────────┘   10 of 16 parts are left
```

The rest is given. The results are written straight into `out`, where the heads lie side by side, and the weights are kept for the gradient.
"""

# %%
#| export
def blocks_of(t):
    """t places in blocks: [(the rows of a block, the keys that they may look at)], four of them unless that makes them small."""
    n = max(32, -(-t // 4))
    return [(slice(a, min(a + n, t)), slice(min(a + n, t))) for a in range(0, t, n)]

@op
def causal_attention(qkv, *, num_heads):
    """Attention of many heads, none of which sees what comes later, in one operation: (B, T, 3·C) -> (B, T, C).

    The last axis holds queries, keys and values side by side.  Keeps the weights for the gradient, and no other array of their size.

    >>> causal_attention(Tensor([[[0.0, 0.0, 1.0], [0.0, 0.0, 5.0]]]), num_heads=1).tolist()
    [[[1.0], [3.0]]]
    """
    if np.ndim(qkv) != 3 or qkv.dtype.kind != "f" or num_heads < 1 or qkv.shape[2] % (3 * num_heads) or 0 in qkv.shape[1:]:
        raise ValueError(f"floats (B, T, 3·C) wanted, C a multiple of {num_heads} heads, not {np.asarray(qkv).dtype} {np.shape(qkv)}")
    (b, t, c3), kept = qkv.shape, []
    q, k, v = thirds(run(split_heads, qkv, 3 * num_heads))               # (B, H, T, D), views
    out = np.empty((b, t, num_heads, v.shape[-1]), qkv.dtype)
    for rows, keys in blocks_of(t):
        kept.append(causal_weights(q[:, :, rows], k[:, :, keys]))
        np.matmul(kept[-1], v[:, :, keys], out=out.swapaxes(1, 2)[:, :, rows])
    return out.reshape(b, t, c3 // 3), {"kept": tuple(kept)}

# %%
print("as by the formula:", np.allclose(by_formula(qkv, H), causal_attention(qkv, num_heads=H), atol=1e-6))

# %% [markdown]
r"""
### Its gradient

With $P$ the weights, $Z$ the scores and $g$ the gradient of the output:

$$\mathrm{d}V = P^\top g \qquad \mathrm{d}P = g V^\top \qquad
\mathrm{d}Q = \mathrm{d}Z\, K / \sqrt D \qquad \mathrm{d}K = \mathrm{d}Z^\top Q / \sqrt D$$

$$\mathrm{d}Z_{ts} = P_{ts} \Big(\mathrm{d}P_{ts} - \sum_{s'} P_{ts'}\, \mathrm{d}P_{ts'}\Big)$$

The first line has the gradients of two products, the second that of softmax. Its sum needs no (T, T) array: $\sum_{s'} P_{ts'} (g_t \cdot v_{s'})$ is
$g_t \cdot \mathrm{out}_t$. You get it as `row`.

**Your turn.** Make $\mathrm{d}Z / \sqrt D$ in one array of your own, `d`. Then each gradient is a product of two factors. Return them as three
pairs: what calls it (given) writes each product straight into its third of the result. Operators and `.mT` only, so that it works with Tensors too
and attention can be differentiated twice. (`d -= row` writes into an array; of Tensors it makes a new one.)
"""

# %% nbgrader={"grade": false, "grade_id": "attention-gradients", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def attention_gradients(g, q, k, v, p, row):
    """For out = p @ v, p = softmax(q @ k.mT / √D): the gradients for q, k and v, each as the two factors of a product.  Arrays or Tensors.

    q, and g, the gradient of out: (…, T, D); k, v: (…, S, D); p: (…, T, S); row, the sums of g · out along D: (…, T, 1).
    """
    ### BEGIN SOLUTION
    d = g @ v.mT                                                         # dP
    d -= row
    d *= p                                                               # dZ
    d *= 1 / math.sqrt(q.shape[-1])
    return (d, k), (d.mT, q), (p.mT, g)
    ### END SOLUTION

@gradient(causal_attention)
def _(g, qkv, out, num_heads, kept):
    q, k, v = thirds(run(split_heads, qkv, 3 * num_heads))
    g, out = run(split_heads, g, num_heads), run(split_heads, out, num_heads)
    if isinstance(g, Tensor):                                    # to be differentiated again: p as what it is of q and k
        p = masked_softmax(q @ k.mT * (1 / math.sqrt(q.shape[-1])), create_causal_mask(q.shape[-2]))
        factors = attention_gradients(g, q, k, v, p, (g * out).sum(axis=-1, keepdims=True))
        return merge_heads(cat([a @ b for a, b in factors], dim=1))
    slopes, row = np.empty((*qkv.shape[:2], 3 * num_heads, q.shape[-1]), qkv.dtype), np.einsum("...d,...d->...", g, out)[..., None]
    dq, dk, dv = thirds(slopes.swapaxes(1, 2))
    for p, (rows, keys) in zip(reversed(kept), reversed(blocks_of(qkv.shape[1]))):
        by_q, *others = attention_gradients(g[:, :, rows], q[:, :, rows], k[:, :, keys], v[:, :, keys], p, row[:, :, rows])
        np.matmul(*by_q, out=dq[:, :, rows])
        for (a, b), into in zip(others, (dk, dv)):
            if rows.stop == qkv.shape[1]:                        # the last block, which comes first, sees all keys
                np.matmul(a, b, out=into)
            else:
                into[:, :, keys] += a @ b
    return slopes.reshape(qkv.shape)

# %% nbgrader={"grade": true, "grade_id": "test-attention-gradients", "locked": true, "points": 12, "schema_version": 3, "solution": false, "task": false}
def test_unit_attention_gradients():
    """The three gradients of attention are those that module 05 finds step by step."""
    q, k, v, g = np.random.default_rng(0).normal(size=(4, 2, 5, 16))
    leaves = [tensor(x, float64, requires_grad=True) for x in (q, k, v)]
    out, weights = scaled_dot_product_attention(*leaves, create_causal_mask(5))
    for_q, for_k, for_v = (x.numpy() for x in grad(out, leaves, g))
    p, row, dp = weights.numpy().copy(), (g * out.numpy()).sum(-1, keepdims=True), g @ v.mT
    d = p * (dp - row) / 4
    pairs = {TypeError: "return three pairs of factors", ValueError: "three pairs: (a, b) stands for a @ b"}
    expect.close(lambda: np.matmul(*attention_gradients(g, q, k, v, p.copy(), row)[0]), for_q, "for q", raises=pairs, mistaken={
        "divide by √D here too": 4 * d @ k, "divide by √D once": d / 4 @ k, "times 1 / √D": 16 * d @ k, "subtract row": p * dp / 4 @ k,
        "minus row, not plus": p * (dp + row) / 4 @ k, "multiply by p": (dp - row) / 4 @ k, "made with k": d @ q, "q's comes first": for_v,
        "dQ is dZ @ K, not turned round": d.mT @ k, "subtract row before you multiply by p": (p * dp - row) / 4 @ k,
        "dZ is p times (dP - row)": p @ k},
        hint="d = g @ v.mT, minus row, times p, times 1 / √D; then (d, k)")
    expect.close(lambda: np.matmul(*attention_gradients(g, q, k, v, p.copy(), row)[1]), for_k, "for k", raises=pairs, mistaken={
        "a key gathers from all queries: turn d round": d @ q, "made with q": d.mT @ k, "the second pair is k's": for_v}, hint="(d.mT, q)")
    expect.close(lambda: np.matmul(*attention_gradients(g, q, k, v, p.copy(), row)[2]), for_v, "for v", raises=pairs, mistaken={
        "a value gathers from all queries: turn p round": p @ g, "v was weighted by p, not by d": d.mT @ g,
        "p was overwritten: write into d only": 4 * d.mT @ g, "made with g": p.mT @ v},
        hint="(p.mT, g)")
    leaf = tensor(np.random.default_rng(1).normal(size=(1, 3, 12)), float64, requires_grad=True)
    expect.true(lambda: gradcheck(lambda x: causal_attention(x, num_heads=2) ** 2, leaf), "small steps agree")
    slope = lambda x: (grad((causal_attention(x, num_heads=2) ** 2).sum(), x, create_graph=True)[0] ** 2).sum()
    expect.true(lambda: gradcheck(slope, leaf, rtol=1e-3), "also for the gradient of the gradient", raises={
        (AttributeError, TypeError, ValueError): "g may be a Tensor: operators and .mT only"},
        hint="g, p and row may be Tensors: compute with operators, not with NumPy's functions")

test_unit_attention_gradients()

# %% tags=["analysis"]
forward, both = (peak(call) for call in (lambda: causal_attention(qkv, num_heads=H), lambda: causal_attention(qkv, num_heads=H).sum().backward()))
print(f"arrays of {scores_size:,} bytes: {forward / scores_size:.1f} at once forward, {both / scores_size:.1f} with backward")
long, short = (seconds(lambda: call(qkv, num_heads=H).sum().backward(), 20) for call in (by_formula, causal_attention))
print(f"forward and backward: by the formula {long * 1e3:.1f} ms, in one operation {short * 1e3:.1f} ms")

# %% [markdown]
"""
## 6 · The layer

`qkv` makes queries, keys and values of x, the heads look, and a second `Linear`, `proj`, mixes what they found:

```
                                    ┌──► head 0 ──┐
   x (B, T, C) ──► qkv (B, T, 3·C) ─┼──► head 1 ──┼──► side by side (B, T, C) ──► proj ──► (B, T, C)
                                    └──► head 2 ──┘
```

**Your turn.** The constructor: draw `qkv` first, then `proj`. `Linear(in, out, bias, generator)` is module 03's.
"""

# %% nbgrader={"grade": false, "grade_id": "multi-head", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
class MultiHeadAttention(Module):
    """Places that look at one another with several heads: (B, T, C) -> (B, T, C).

    causal: nobody sees what comes later.  rotary: a function (B, H, T, D) -> the same shape, which turns queries and keys by their places.
    """
    def __init__(self, embed_dim, num_heads, causal=False, bias=True, rotary=None, generator=None):
        """Draw `qkv`, a Linear from C numbers to 3·C, then `proj`, a Linear from C to C."""
        check_whole("MultiHeadAttention", embed_dim=embed_dim, num_heads=num_heads)
        check_kind("MultiHeadAttention", Callable, none=True, rotary=rotary)
        check_kind("MultiHeadAttention", np.random.Generator, none=True, generator=generator)
        if embed_dim % num_heads:
            raise ValueError(f"MultiHeadAttention: {embed_dim} numbers cannot be dealt out to {num_heads} heads")
        self.embed_dim, self.num_heads, self.causal, self.rotary = embed_dim, num_heads, causal, rotary
        ### BEGIN SOLUTION
        self.qkv = Linear(embed_dim, 3 * embed_dim, bias, generator)
        self.proj = Linear(embed_dim, embed_dim, bias, generator)
        ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-multi-head", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_multi_head():
    """The layer has two Linear layers of the right shapes."""
    shapes = lambda layer: [(name, p.shape) for name, p in layer.named_parameters()]
    want = [("qkv.weight", (6, 18)), ("qkv.bias", (18,)), ("proj.weight", (6, 6)), ("proj.bias", (6,))]
    expect.same(lambda: shapes(MultiHeadAttention(6, 2)), want, "its parameters", mistaken={
        "first qkv, then proj": lambda got: got[0][0].startswith("proj"),
        "queries, keys and values side by side: 3 * embed_dim": lambda got: got[0][1] == (6, 6)},
        hint="qkv: embed_dim to 3 * embed_dim; proj: embed_dim to embed_dim")
    expect.same(lambda: shapes(MultiHeadAttention(6, 2, bias=False)), want[::2], "no bias, if none is wanted", hint="pass bias on to both")
    draw = lambda: [p.numpy() for p in MultiHeadAttention(4, 2, generator=np.random.default_rng(0)).parameters()]
    expect.same(draw, draw(), "a generator makes them repeat", hint="pass generator on to both")

test_unit_multi_head()

# %% [markdown]
"""
**Your turn.** `_attend` takes the formula, for any mask: split into heads, turn queries and keys where there is a `rotary`, and look. The causal
mask has been joined to the given one. `_forward` takes the one operation where it can: if the layer is causal, without a mask, and nothing is to be
turned.
"""

# %% nbgrader={"grade": false, "grade_id": "multi-head-forward", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def _attend(self, qkv, mask=None):
    """By the formula: (B, T, 3·C) -> what every head found (B, H, T, D), and its weights (B, H, T, T)."""
    if self.causal:
        causal = create_causal_mask(qkv.shape[1])
        mask = causal if mask is None else _as_mask(mask, qkv.dtype)
        mask = where(causal, mask, False if mask.dtype == bool else -math.inf)
    ### BEGIN SOLUTION
    q, k, v = thirds(split_heads(qkv, 3 * self.num_heads))
    if self.rotary is not None:
        q, k = self.rotary(q), self.rotary(k)
    return scaled_dot_product_attention(q, k, v, mask)
    ### END SOLUTION

def _forward(self, x, mask=None):
    """(B, T, C) -> (B, T, C).  mask: see `masked_softmax`; its shape broadcasts to (B, H, T, T)."""
    if x.ndim != 3 or x.shape[-1] != self.embed_dim:
        raise ValueError(f"MultiHeadAttention: x of shape (B, T, {self.embed_dim}) wanted, not {x.shape}")
    ### BEGIN SOLUTION
    qkv = self.qkv(x)
    if self.causal and mask is None and self.rotary is None:
        return self.proj(causal_attention(qkv, num_heads=self.num_heads))
    return self.proj(merge_heads(self.attend(qkv, mask)[0]))
    ### END SOLUTION

def _attention_weights(self, x, mask=None):
    """What each head looks at: (B, T, C) -> (B, H, T, T); row t holds the weights that place t gives."""
    return self.attend(self.qkv(x), mask)[1]

MultiHeadAttention.attend, MultiHeadAttention.forward, MultiHeadAttention.attention_weights = _attend, _forward, _attention_weights

# %% nbgrader={"grade": true, "grade_id": "test-multi-head-forward", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_multi_head_forward():
    """Every head looks for itself, under any mask, and `proj` mixes what they found."""
    import tinytorch.core.tensor as door
    rng = np.random.default_rng(0)
    x, may = Tensor(rng.normal(size=(2, 4, 6))), np.array([[True, True, True, False]])
    def found(layer, mask, turn=1.0):
        z = layer.qkv(x).numpy().reshape(2, 4, 3, 2, 3).transpose(2, 0, 3, 1, 4)                 # (3, B, H, T, D)
        z = np.exp(np.where(mask, z[0] @ z[1].mT * (turn ** 2 / math.sqrt(3)), -np.inf)), z[2]
        return layer.proj(Tensor((z[0] / z[0].sum(-1, keepdims=True) @ z[1]).transpose(0, 2, 1, 3).reshape(2, 4, 6))).numpy()
    manual_seed(0)
    plain, causal, tri = MultiHeadAttention(6, 2), MultiHeadAttention(6, 2, causal=True), np.tri(4, dtype=bool)
    expect.close(lambda: plain(x), found(plain, True), "two heads, no mask", mistaken={
        "end with proj": lambda got: np.allclose(plain.proj(Tensor(got)).numpy(), found(plain, True)),
        "only a causal layer is causal": found(plain, tri)},
        hint="thirds of 3 * num_heads heads; merge_heads before proj",
        raises={ValueError: "thirds(split_heads(qkv, 3 * self.num_heads)), then merge_heads"})
    expect.close(lambda: plain(x, may), found(plain, may), "with a mask", hint="pass the mask on")
    expect.close(lambda: causal(x), found(causal, tri), "a causal layer")
    expect.close(lambda: causal(x, may), found(causal, tri & may), "a causal layer with a mask", mistaken={
        "the mask is lost: one operation only where there is none": found(causal, tri)}, hint="with a mask take the formula: attend(qkv, mask)")
    twice = MultiHeadAttention(6, 2, rotary=lambda t: t * 2.0)
    expect.close(lambda: twice(x), found(twice, True, 2.0), "queries and keys are turned", mistaken={
        "turn queries and keys with self.rotary": found(twice, True), "turn both queries and keys": found(twice, True, math.sqrt(2))},
        hint="turn q and k, and leave v")
    both = MultiHeadAttention(6, 2, causal=True, rotary=lambda t: t * 2.0)
    expect.close(lambda: both(x), found(both, tri, 2.0), "also in a causal layer", mistaken={
        "one operation only where there is no rotary": found(both, tri)})
    seen = []
    watch = lambda call, op, arrays, params: seen.append(op.__name__) or call(arrays, params)
    def operations(layer):
        door.around.append(watch)
        try:
            layer(x)
        finally:
            door.around.remove(watch)
        return "causal_attention" in seen
    expect.same(lambda: operations(causal), True, "causal, no mask, no rotary: one operation", hint="causal_attention(qkv, num_heads=self.num_heads)")
    expect.close(lambda: causal.attention_weights(x).numpy().sum(-1), np.ones((2, 2, 4)), "the weights of a row add up to 1",
                 hint="attend returns what scaled_dot_product_attention returns: output and weights")

test_unit_multi_head_forward()

# %% [markdown]
r"""
## 7 · What it costs

The scores are $T \times T$ for each head. What happens when the text gets longer?
"""

# %% tags=["analysis"]
import matplotlib.pyplot as plt

lengths, layer = [64, 128, 256, 512, 1024], MultiHeadAttention(128, 4, causal=True)
texts = [Tensor(np.random.default_rng(0).normal(size=(1, T, 3 * 128)), requires_grad=True) for T in lengths]
plain = [Tensor(t.numpy()[..., :128]) for t in texts]
ways = {"the formula": lambda t, x: by_formula(t, 4).sum().backward(),
        "one operation": lambda t, x: causal_attention(t, num_heads=4).sum().backward(),
        "its two Linear layers": lambda t, x: (layer.qkv(x).sum() + layer.proj(x).sum()).backward()}
times = {name: [seconds(lambda: call(t, x), max(5, 4000 // t.shape[1])) * 1e3 for t, x in zip(texts, plain)] for name, call in ways.items()}
sizes = {name: [peak(lambda: call(t, x)) / 1e6 for t, x in zip(texts, plain)] for name, call in ways.items()}
print(f"{'T':26}" + "".join(f"{T:8}" for T in lengths))
for unit, table in (("ms", times), ("MB", sizes)):
    for name, numbers in table.items():
        print(f"{name + ', ' + unit:26}" + "".join(f"{number:8.1f}" for number in numbers))
figure, axes = plt.subplots(1, 2, figsize=(10, 3.4))
for axis, table, unit in zip(axes, (times, sizes), ("ms, forward and backward", "MB at the worst moment")):
    for name, numbers in table.items():
        axis.loglog(lengths, numbers, "o-", label=f"{name}: T to the {np.polyfit(np.log(lengths[-3:]), np.log(numbers[-3:]), 1)[0]:.1f}")
    axis.set(xlabel="T", title=unit); axis.set_xticks(lengths, lengths); axis.minorticks_off(); axis.legend(fontsize=8)
plt.show()

# %% [markdown]
r"""
Twice as long costs about four times as much, in time and in memory; `Linear` layers cost twice as much. For short texts they are the larger part,
for long ones attention is. This square is why models have a longest text.

## 8 · Looking something up

Back to the telephone books: 8 names in any order, each with one of 8 numbers, and a question at the end. Which number is it? A network that sees the
mean of all rows, and the question, learns beside one with attention. The mean tells which number stands there most often, and no more.
"""

# %% nbgrader={"grade": false, "grade_id": "books", "locked": true, "schema_version": 3, "solution": false, "task": false}
from tinytorch.core.activations import relu
from tinytorch.core.optimizers import Adam

def books(count, rng, n):
    """Telephone books and questions (count, n + 1, 2n): name and number in a row, the question last; and the numbers asked for."""
    order, digits = rng.permuted(np.tile(np.arange(n), (count, 1)), axis=1), rng.integers(0, n, (count, n))
    asked, which = rng.integers(0, n, count), np.arange(count)
    x = np.zeros((count, n + 1, 2 * n), float32)
    x[which[:, None], np.arange(n), order] = x[which[:, None], np.arange(n), n + digits] = x[which, n, order[which, asked]] = 1
    return Tensor(x), digits[which, asked]

def learned(model, parameters, steps, rng, n, lr=0.01):
    """The share of right answers to new questions after training."""
    optimizer = Adam(parameters, lr)
    for _ in range(steps):
        x, y = books(64, rng, n)
        optimizer.zero_grad()
        cross_entropy(model(x), y).backward()
        optimizer.step()
    x, y = books(1000, rng, n)
    return (model(x).numpy().argmax(1) == y).mean()

# %% tags=["analysis"]
manual_seed(0)
rng = np.random.default_rng(0)
layer, read, wide, last = MultiHeadAttention(16, 1, causal=True), Linear(16, 8), Linear(32, 128), Linear(128, 8)
by_mean = lambda x: last(relu(wide(cat([x.mean(1), x[:, -1]], 1))))
print(f"mean: {learned(by_mean, [*wide.parameters(), *last.parameters()], 500, rng, 8):.1%} right")
print(f"attention: {learned(lambda x: read(layer(x)[:, -1]), [*layer.parameters(), *read.parameters()], 200, rng, 8):.1%} right")

# %% [markdown]
"""
The rows of this *attention map* are the places that look, the columns what they look at. The question, in the bottom row, has learned to look for
its own name. It finds the row of the book, and itself, who has that name too.
"""

# %% tags=["analysis"]
x, y = books(1, np.random.default_rng(2), 8)
labels = [f"{'ABCDEFGH'[row[:8].argmax()]}{row[8:].argmax() if row[8:].any() else '?'}" for row in x.numpy()[0]]
plt.figure(figsize=(4, 3.4)); plt.imshow(layer.attention_weights(x).numpy()[0, 0], cmap="Blues", vmin=0, vmax=1)
plt.xticks(range(9), labels); plt.yticks(range(9), labels); plt.xlabel("looks at"); plt.ylabel("place"); plt.colorbar(); plt.show()

# %% nbgrader={"grade": true, "grade_id": "test-module", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_module():
    """Everything together: a layer learns to look numbers up, and nobody sees what comes later."""
    rng = np.random.default_rng(0)
    manual_seed(0)
    layer, read = MultiHeadAttention(8, 2, causal=True), Linear(8, 4)
    answer = lambda x: read(layer(x)[:, -1])
    expect.true(lambda: learned(answer, [*layer.parameters(), *read.parameters()], 60, rng, 4, lr=0.05) > 0.9, "it learns to look up",
                hint="a gradient is wrong: gradcheck causal_attention")
    x, _ = books(8, rng, 4)
    changed = x.numpy().copy()
    changed[:, 3] += 1.0
    expect.close(lambda: layer(Tensor(changed))[:, :3], layer(x)[:, :3], "what comes later changes nothing")
    expect.close(lambda: layer(x, np.ones((5, 5), bool)), layer(x), "the formula and the one operation agree")
    expect.close(lambda: np.triu(layer.attention_weights(x).numpy(), 1), np.zeros((8, 2, 5, 5)), "a map for each head, empty above the diagonal")

test_module()

# %% [markdown]
"""
## 9 · In your own words

**Question 1.** A model has 12 layers of 12 heads, and keeps a table (T, T) of float32 weights for each head and layer. How many bytes is that for a
text of 1,024 places? And for one that is eight times as long? Which part of the layer does not grow like that?
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-length", "locked": false, "points": 5, "schema_version": 3, "solution": true, "task": false}
"""
12 layers · 12 heads · 1,024² · 4 bytes = 603,979,776 bytes, about 0.6 GB. Eight times as long is 64 times as much: 38.7 GB. The `Linear` layers
work on each place by itself, so their time and memory grow eight times only.
"""

# %% [markdown]
"""
**Question 2.** Somebody computes softmax first, and sets the weights of later places to 0 afterwards. In training the loss is lower than it should
be, and the written texts are poor. Why? Would it be mended by dividing each row by its new sum?
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-leak", "locked": false, "points": 5, "schema_version": 3, "solution": true, "task": false}
"""
The later scores still stand in the sum below the fraction line, so the size of a row tells something about words that should not be known: the
model learns to read it, and when it writes there are no later words. Dividing by the new sum is right on paper, since the factor cancels. In floats
it is not: where a later score is far larger, what is left has been rounded to 0, and 0 / 0 is `nan`.
"""

# %% [markdown]
"""
## Where you are

Attention by loops, by two products, with masks, with heads, and as one operation, each checked by the one before. Next: `tito module complete 12`.
"""
