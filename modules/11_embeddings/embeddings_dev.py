# %% [markdown]
"""
# 11 Embeddings

> A row of numbers for each word, found by its id; and a way to say where in the sentence the word stands.

Text has become whole numbers, one for each token. A network multiplies and adds, and the number of a word is only its name. You give each word a row
of numbers that training may change, write its gradient so that it costs little, look at what the rows learn, and add what they lack: an order.
"""

# %% nbgrader={"grade": false, "grade_id": "start", "locked": true, "schema_version": 3, "solution": false, "task": false}
import tito.notebook     # where this fails, open the notebook with: tito module open 11
from tito.check import expect

tito.notebook.use(11)

# %%
#| default_exp text.embeddings
#| view nn
#| view text

# %% nbgrader={"grade": false, "grade_id": "imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
import math
from numbers import Integral

import numpy as np

from tinytorch.core.autograd import bare, gradient, rows, run
from tinytorch.core.layers import Dropout, Module, Parameter, check_array, check_choice, check_kind, check_number, check_whole
from tinytorch.core.tensor import Tensor, composed, int64, op, randn, where

# %% nbgrader={"grade": false, "grade_id": "tools", "locked": true, "schema_version": 3, "solution": false, "task": false}
from tinytorch.core.activations import relu
from tinytorch.core.autograd import grad, gradcheck
from tinytorch.core.layers import Linear
from tinytorch.core.losses import cross_entropy
from tinytorch.core.tensor import float32, float64, manual_seed, ones, tensor

# %% [markdown]
"""
## 1 · A word is not a quantity

Number the words of a sentence, in the order of the alphabet:
"""

# %%
sentence = "the dog bites the man".split()
vocab = sorted(set(sentence))
ids = np.array([vocab.index(word) for word in sentence])
print(vocab, ids)

# %% [markdown]
"""
To a network that multiplies, `bites` is nothing, and `the` is three dogs. All ids should be equally far apart. A row of zeros with a single 1, at the
place of the id, does that. It is called *one-hot*. A `Linear` layer then multiplies it by its matrix:
"""

# %%
table = np.array([[0.1, 0.2], [1.1, 1.2], [2.1, 2.2], [3.1, 3.2]])       # (4 words, 2 numbers each)
one_hot = np.eye(4)[ids]                                                # (5 places, 4 words)
print(one_hot)
print(one_hot @ table)

# %% [markdown]
"""
Row by row: `[0 0 0 1]` picked row 3 of the table, `[0 1 0 0]` row 1. Each product did nothing but find the row that the id names, with a great many
multiplications by 0. `table[ids]` gives the same rows.

What do the zeros cost with 10,000 words, 128 numbers each, and 2,048 places?
"""

# %% tags=["analysis"]
import timeit
import tracemalloc

import matplotlib.pyplot as plt

def milliseconds(call, repeat=7):
    """How long `call()` takes: the shortest of a few times."""
    return min(timeit.repeat(call, number=1, repeat=repeat)) * 1e3

rng = np.random.default_rng(0)
many, big = rng.integers(0, 10_000, 2048), rng.normal(size=(10_000, 128)).astype(float32)

def by_one_hot():
    hot = np.zeros((2048, 10_000), float32)
    hot[np.arange(2048), many] = 1
    return hot @ big

print("the same numbers:", np.array_equal(by_one_hot(), big[many]))
print(f"one-hot {milliseconds(by_one_hot, 3):7.2f} ms, {2048 * 10_000 * 4:,} bytes of zeros and ones")
print(f"rows    {milliseconds(lambda: big[many]):7.2f} ms, {many.nbytes:,} bytes of ids")

# %% [markdown]
"""
So the table is a matrix, and the lookup a matrix product that nobody carries out. Such a table is an *embedding*.

## 2 · Ids are whole numbers

Almost all numbers of this course are float32. Why not ids?
"""

# %%
print(np.array([16_777_215, 16_777_216, 16_777_217], float32).astype(int))

# %% [markdown]
"""
A float32 has 24 bits for its digits, so it cannot hold 16,777,217: the id of one word becomes that of its neighbour, and no error tells. Our ids are
int64 from the text to the table, and floats are refused, also those that happen to be whole.

NumPy has a second trap: `table[-1]` is the last row. An id of -1 is a mistake somewhere, and should not go unnoticed.

**Your turn.** `ids` is an array of any shape. Anything but whole numbers (`dtype.kind` "i" or "u") is a TypeError. An id below 0, or not below
`vocab_size`, is an IndexError whose message names the first such id. Otherwise return the ids as int64.
"""

# %% nbgrader={"grade": false, "grade_id": "token-ids", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def token_ids(ids, vocab_size):
    """`ids`, whole numbers of any shape, as an int64 array.  TypeError for other numbers; IndexError for ids not in 0 … vocab_size - 1.

    >>> token_ids([[3, 0], [2, 3]], 4)
    array([[3, 0],
           [2, 3]])
    """
    ids = np.asarray(ids)
    ### BEGIN SOLUTION
    if ids.dtype.kind not in "iu":
        raise TypeError(f"ids must be whole numbers, not {ids.dtype}; floats cannot hold every id")
    wrong = ids[(ids < 0) | (ids >= vocab_size)]
    if wrong.size:
        raise IndexError(f"id {wrong[0]} is not one of the {vocab_size} in the table, which are numbered from 0")
    return ids.astype(int64)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-token-ids", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
def test_unit_token_ids():
    """Ids are whole numbers, and the table has them."""
    ids = np.array([[3, 0], [2, 3]], np.int32)
    expect.same(lambda: token_ids(ids, 4), np.array([[3, 0], [2, 3]]), "whole numbers come back as int64",
                hint="return the ids themselves, in their shape, with .astype(int64)", raises={
        IndexError: "0 and vocab_size - 1 are both in the table", TypeError: 'dtype.kind "i" is a whole number'})
    expect.same(lambda: token_ids(np.array([200], np.uint8), 201), np.array([200]), "so do bytes", hint='dtype.kind "u" is a whole number too',
                raises={TypeError: 'dtype.kind "u" is a whole number too'})
    expect.same(lambda: token_ids([16_777_217], 20_000_000), np.array([16_777_217]), "large ones too", mistaken={
        "never make a float of an id": np.array([16_777_216])})
    expect.same(lambda: token_ids(np.zeros((0, 3), int), 4).shape, (0, 3), "and none at all", hint="an empty array has no smallest id",
                raises={ValueError: "an empty array has no min() and no max()"})
    for wrong in (np.array([1.0, 2.0], float32), np.array([True, False])):
        expect.raises(TypeError, lambda: token_ids(wrong, 4), f"{wrong.dtype} is no id", hint='refuse every dtype.kind but "i" and "u"')
    expect.raises(IndexError, lambda: token_ids([3, 4], 4), "4 rows are 0 to 3", match="4", hint="ids must be below vocab_size, not equal to it")
    expect.raises(IndexError, lambda: token_ids([0, -1], 4), "-1 is no row", match="-1", hint="NumPy counts negative ones from the end: refuse them")
    expect.raises(IndexError, lambda: token_ids([[0, 1], [1007, 2], [1008, 3]], 4), "the first wrong one is named", match="1007",
                  hint="name the id itself: ids[wrong][0]")

test_unit_token_ids()

# %% [markdown]
"""
## 3 · The lookup

`padding_idx` is a word that stands for nothing: sentences of one batch are filled up with it to one length. Its row should stay as it is, which is
the gradient's business; here it is only looked at. (Given, as `_padding`.)

**Your turn.** Two lines. `take_rows` is the operation, and its arguments are arrays: return the rows. `embedding` is what people call: look at the
ids with `token_ids` first. (`composed` makes errors begin with `embedding:`, as in module 04.)
"""

# %% nbgrader={"grade": false, "grade_id": "embedding", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def _padding(padding_idx, vocab_size):
    """`padding_idx` as a row from 0 on (-1 is the last), or None."""
    check_kind("embedding", Integral, none=True, padding_idx=padding_idx)
    if padding_idx is not None and not -vocab_size <= padding_idx < vocab_size:
        raise ValueError(f"embedding: padding_idx {padding_idx} is not one of the {vocab_size} ids")
    return padding_idx if padding_idx is None else padding_idx % vocab_size


@op
def take_rows(weight, ids, skip=None):
    """The rows of `weight` (vocab, dim) for `ids` (…) -> (…, dim).  Arrays here; row `skip` will get no gradient."""
    ### BEGIN SOLUTION
    return weight[ids]
    ### END SOLUTION


@composed
def embedding(ids, weight, padding_idx=None):
    """The rows of a Tensor `weight` (vocab, dim) for `ids` (…) -> (…, dim).  As `torch.nn.functional.embedding`.

    Row `padding_idx` gets no gradient.  TypeError and IndexError for ids that do not fit.

    >>> embedding([2, 0, 2], Tensor([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])).tolist()
    [[4.0, 5.0], [0.0, 1.0], [4.0, 5.0]]
    """
    if np.ndim(weight) != 2:
        raise ValueError(f"ids, then a table (vocab, dim) wanted; the table has shape {np.shape(weight)}")
    ### BEGIN SOLUTION
    ids = token_ids(ids, len(weight))
    ### END SOLUTION
    return take_rows(weight, ids, _padding(padding_idx, len(weight)))

# %% nbgrader={"grade": true, "grade_id": "test-embedding", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
def test_unit_embedding():
    """Each id gets its row."""
    weight = Tensor([[0.5, 1.0, 1.5], [2.0, 3.0, 2.5], [4.0, 5.5, 6.0]])
    w = weight.numpy()
    expect.close(lambda: embedding([2, 0, 2], weight), np.stack([w[2], w[0], w[2]]), "rows 2, 0 and 2", mistaken={
        "ids pick rows, not columns": lambda got: np.allclose(got, w[:, [2, 0, 2]]),
        "whole rows: np.take needs axis=0": lambda got: np.allclose(got, w.reshape(-1)[[2, 0, 2]])})
    expect.same(lambda: embedding([[1, 1], [0, 2]], weight).shape, (2, 2, 3), "ids of any shape, and the row as the last axis",
                hint="index with the ids as they are: weight[ids]")
    expect.same(lambda: embedding(np.array(1), weight).shape, (3,), "a single id")
    expect.raises(TypeError, lambda: embedding(Tensor([1.0, 2.0]), weight), "floats are refused", match="float32", hint="call token_ids")
    expect.raises(IndexError, lambda: embedding([0, -1], weight), "so are ids that are no row", match="-1", hint="call token_ids(ids, len(weight))")
    expect.raises(IndexError, lambda: embedding([3], weight), "on either side", match="3 numbered", hint="the table has len(weight) rows")
    expect.same(lambda: embedding([1], Tensor([[1.0], [2.0]], dtype=float64)).dtype, float64, "float64 stays float64")

test_unit_embedding()

# %% [markdown]
"""
## 4 · Backwards: everything adds up

In `the dog bites the man` the row of `the` was used twice. Both uses want to change it, so its gradient is the sum of both. The obvious line forgets
one:
"""

# %%
slopes = np.array([[1.0], [10.0], [100.0], [1000.0], [10000.0]])         # g, one row for each word of the sentence
dw = np.zeros((4, 1))
dw[ids] += slopes
print(dict(zip(vocab, dw[:, 0].tolist())), " and `the` should have 1 + 1000")

# %% [markdown]
"""
NumPy reads the old rows first, adds, and writes: the second write wins. `np.add.at(dw, ids, g)` is right, one number after the other. There are
better ways. The first is in part 1: the lookup was `hot @ table`, so the gradient for the table is `hot.T @ g`:

```
   hot.T  (words, places)        g              dw
  bites ┌ 0  0  1  0  0 ┐    ┌     1 ┐      ┌   100 ┐
  dog   │ 0  1  0  0  0 │    │    10 │      │    10 │
  man   │ 0  0  0  0  1 │  @ │   100 │  =   │ 10000 │
  the   └ 1  0  0  1  0 ┘    │  1000 │      └  1001 ┘
                             └ 10000 ┘
```

For a table of a few rows the zeros cost little, and matrix products are what the machine does best.

**Your turn.** `g` (n, dim) and `ids` (n,) are arrays. Build the matrix of zeros and ones (count, n), of g's dtype, and multiply.
"""

# %% nbgrader={"grade": false, "grade_id": "sum-by-product", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def sum_by_product(g, ids, count):
    """Row i is the sum of the rows of g (n, dim) whose id is i: ids (n,) -> (count, dim).  By one matrix product.

    >>> sum_by_product(np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), np.array([1, 0, 1]), 2).tolist()
    [[3.0, 4.0], [6.0, 8.0]]
    """
    n = len(ids)
    ### BEGIN SOLUTION
    hot = np.zeros((count, n), g.dtype)
    hot[ids, np.arange(n)] = 1
    return hot @ g
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-sum-by-product", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_sum_by_product():
    """Rows of one id are added up, by a matrix product."""
    g, used = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), np.array([3, 0, 3])
    want = np.stack([g[1], 0 * g[1], 0 * g[1], g[0] + g[2]])
    expect.close(lambda: sum_by_product(g, used, 4), want, "row 3 gets two of them, rows 1 and 2 none", mistaken={
        "one 1 in each column: hot[ids, places] = 1": lambda got: np.allclose(got[[0, 3]], g.sum(0)),
        "what has the same id adds up": lambda got: np.allclose(got[3], g[2]) or np.allclose(got[3], g[0]),
        "the sum, not the mean": lambda got: np.allclose(got[3], (g[0] + g[2]) / 2)},
        hint="count rows, one column for each row of g",
        raises={ValueError: "(count, n) @ (n, dim): a row for each word, a column for each place", IndexError: "hot has count rows, n columns"})
    expect.same(lambda: sum_by_product(g.astype(float32), used, 4).dtype, float32, "float32 stays float32", hint="give the zeros g's dtype")
    rng = np.random.default_rng(0)
    g, used = rng.normal(size=(50, 3)), rng.integers(0, 7, 50)
    want = np.stack([np.bincount(used, column, 7) for column in g.T], 1)
    expect.close(lambda: sum_by_product(g, used, 7), want, "fifty of them")

test_unit_sum_by_product()

# %% [markdown]
"""
A table of 50,000 rows wants a way that looks only at the rows that occur. Sort the ids, take the rows of g along, and equal ids stand side by side:

```
   ids       3 1 0 3 2          sorted  0 1 2 3 3        runs begin at  0 1 2 3
   g         a b c d e                  c b e a d        sums           c  b  e  a + d
```

**Your turn.** Sort the ids: `np.argsort(ids)` is the `order` in which to take them. The line that finds where runs begin is given.
`np.add.reduceat(x, first, axis=0)` adds up the rows of x from each `first` to the next. Write the sums into the rows of `out` that they belong to.
"""

# %% nbgrader={"grade": false, "grade_id": "sum-by-sorting", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def sum_by_sorting(g, ids, count):
    """The same, touching only the rows that occur: the ids are sorted, and each run of equal ones is added up.

    >>> sum_by_sorting(np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), np.array([1, 0, 1]), 2).tolist()
    [[3.0, 4.0], [6.0, 8.0]]
    """
    out = np.zeros((count, g.shape[1]), g.dtype)
    if not len(ids):
        return out
    ### BEGIN SOLUTION
    order = np.argsort(ids)
    ids = ids[order]
    ### END SOLUTION
    first = np.flatnonzero(np.diff(ids, prepend=-1))             # where an id differs from the one before
    ### BEGIN SOLUTION
    out[ids[first]] = np.add.reduceat(g[order], first, axis=0)
    ### END SOLUTION
    return out

# %% nbgrader={"grade": true, "grade_id": "test-sum-by-sorting", "locked": true, "points": 10, "schema_version": 3, "solution": false, "task": false}
def test_unit_sum_by_sorting():
    """Rows of one id are added up, and no other row is touched."""
    g, used = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 9.0]]), np.array([5, 2, 5, 0])
    want = np.stack([g[3], 0 * g[0], g[1], 0 * g[0], 0 * g[0], g[0] + g[2]])
    expect.close(lambda: sum_by_sorting(g, used, 6), want, "rows 0, 2 and 5", mistaken={
        "take the rows of g in the same order: g[order]": lambda got: np.allclose(got[[0, 2, 5]], [g[0], g[1], g[2] + g[3]]),
        "each sum belongs to the row of its id: out[ids[first]]": lambda got: np.allclose(got[:3], want[[0, 2, 5]]),
        "sort the ids too: ids = ids[order]": lambda got: np.allclose(got[[0, 2, 5]], [g[2], g[1], g[0]]),
        "the sum of the run, not its first or last row": lambda got: np.allclose(got[[0, 2]], want[[0, 2]]) and not np.allclose(got[5], want[5]),
        "nothing arrived in `out`": lambda got: not got.any()},
        raises={IndexError: "sort the ids too: ids = ids[order]", ValueError: "as many sums as runs: out[ids[first]] = …"},
        hint="sort the ids, and look where each differs from the one before")
    expect.same(lambda: sum_by_sorting(g.astype(float32), used, 6).dtype, float32, "float32 stays float32")
    rng = np.random.default_rng(0)
    g, used = rng.normal(size=(300, 3)), rng.integers(0, 40, 300) * 25
    want = np.stack([np.bincount(used, column, 1000) for column in g.T], 1)
    before = used.copy()
    expect.close(lambda: sum_by_sorting(g, used, 1000), want, "three hundred of them, in forty rows of a thousand", hint="add up each run")
    expect.same(used, before, "the ids are as they were", hint="ids.sort() sorts what somebody else still needs: take ids[order]")

test_unit_sum_by_sorting()

# %% [markdown]
"""
`sum_by_id` takes the product for small tables. And what is the gradient of *that*? Each row of g went into the sum of its id, so it gets that row of
the gradient: a lookup again. The two are each other's gradients, so slopes of slopes need no further thought. (Given.)
"""

# %%
#| export
SMALL_TABLE = 64                # up to so many rows the product is faster

@op
def sum_by_id(g, ids, *, count):
    """Row i is the sum of the rows of g (…, dim) whose id is i: ids (…) -> (count, dim).  Arrays here."""
    return (sum_by_product if count <= SMALL_TABLE else sum_by_sorting)(rows(g), np.ravel(ids), count)

gradient(sum_by_id)(lambda h, ids: (run(take_rows, h, ids), None))       # h: the gradient of what the sums are used for

# %% [markdown]
"""
**Your turn.** The gradient of `take_rows`, with `run` of module 05 for operations on arrays and Tensors alike. Rows of g whose id is `skip` (where
that is not None) become 0.0: `run(where, condition, g, 0.0)`, with a condition of one axis more than the ids. Then add up by id; the table has
`shape[0]` rows.
"""

# %% nbgrader={"grade": false, "grade_id": "embedding-gradient", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
@gradient(take_rows)
def _(g, ids, skip, shape):
    """The gradient for weight, of shape `shape`, from g (…, dim)."""
    ### BEGIN SOLUTION
    if skip is not None:
        g = run(where, (bare(ids) != skip)[..., None], g, 0.0)
    return run(sum_by_id, g, ids, count=shape[0])
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-embedding-gradient", "locked": true, "points": 10, "schema_version": 3, "solution": false, "task": false}
def test_unit_embedding_gradient():
    """The gradient of a table: all uses of a row add up, and padding counts nothing."""
    rng = np.random.default_rng(0)
    ids, weights = np.array([[3, 1, 3], [0, 3, 1]]), rng.normal(size=(2, 3, 2))
    for count in (5, 100):
        w = tensor(rng.normal(size=(count, 2)), float64, requires_grad=True)
        want = np.eye(count)[ids.reshape(-1)].T @ weights.reshape(6, 2)
        slope = lambda skip: grad(embedding(ids, w, skip), w, weights)[0]
        expect.close(lambda: slope(None), want, f"{count} rows, ids three times and twice", hint="add up by id, into shape[0] rows", raises={
            (ValueError, IndexError): "run(sum_by_id, g, ids, count=shape[0]); and skip may be None: then every row counts",
            RuntimeError: "one gradient, of the shape of the table"})
        rest, but_first = (np.where(np.arange(count)[:, None] == skip, 0.0, want) for skip in (3, 0))
        expect.close(lambda: slope(3), rest, "id 3 is padding", mistaken={
            "rows of g whose id is `skip` become 0": want, "0 where the id IS skip": want - rest})
        expect.close(lambda: slope(0), but_first, "so may id 0 be", hint="0 is an id; only None means no padding")
        expect.close(lambda: slope(-count), but_first, "also counted from the end")
        for skip in (None, 1):
            expect.true(lambda: gradcheck(lambda w: grad((embedding(ids, w, skip) ** 3).sum(), w, create_graph=True)[0], w), "slopes of slopes",
                        hint="g may be a Tensor: use run(…), and change nothing in place",
                        raises={(AttributeError, TypeError, ValueError): "g and ids may be Tensors: run(…) for g, bare(ids) for the ids"})

test_unit_embedding_gradient()

# %% [markdown]
"""
Which way is faster, for 2,048 places of 128 numbers? `weight[ids]` of module 01 has a gradient too, which serves any index: the last two columns.
"""

# %% tags=["analysis"]
def peak(call):
    """The most bytes that `call()` holds at one time, in MB."""
    tracemalloc.start()
    call()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most / 1e6

def back(found, table):
    """The gradient of `found`, rows of the table, made anew."""
    table.grad = None
    found.backward(g, retain_graph=True)

g = rng.normal(size=(2048, 128)).astype(float32)
print("   rows    product    sorting  np.add.at | embedding              weight[ids]")
for count in (16, 64, 256, 1024, 50_000):
    many, weight = rng.integers(0, count, 2048), Tensor(np.zeros((count, 128), float32), requires_grad=True)
    ways = [sum_by_product] * (count < 5000) + [sum_by_sorting, lambda g, ids, count: np.add.at(np.zeros((count, 128), float32), ids, g)]
    times = [f"{milliseconds(lambda: way(g, many, count)):6.2f} ms" for way in ways]
    print(f"{count:7,}  {'  '.join(times):>31} |", end=" ")
    for found in (embedding(many, weight), weight[many]):
        print(f"{milliseconds(lambda: back(found, weight)):6.2f} ms, {peak(lambda: back(found, weight)):5.1f} MB", end="     ")
    print()

# %% [markdown]
"""
Up to about 64 rows the product wins or is even, then sorting. The gradient of 50,000 rows has 50,000 · 128 · 4 bytes, or 25.6 MB: `embedding` makes
little besides, and the index of module 01 three times as much.

## 5 · The layer

A table starts with numbers of the normal distribution (mean 0, variance 1), as in PyTorch.

**Your turn.** Draw `weight` with `randn(…, generator=generator)`, as a Parameter. If there is a padding row, it is 0.
"""

# %% nbgrader={"grade": false, "grade_id": "embedding-class", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
class Embedding(Module):
    """A table of vectors, one for each id: whole numbers (…) -> (…, embed_dim).  As `torch.nn.Embedding`.

    >>> Embedding(1000, 16)([[3, 1, 4], [1, 5, 9]]).shape
    (2, 3, 16)
    """
    def __init__(self, vocab_size, embed_dim, padding_idx=None, generator=None):
        """Draw `weight` (vocab_size, embed_dim) from the normal distribution; row `padding_idx` is 0."""
        check_whole("Embedding", vocab_size=vocab_size, embed_dim=embed_dim)
        check_kind("Embedding", np.random.Generator, none=True, generator=generator)
        self.vocab_size, self.embed_dim, self.padding_idx = vocab_size, embed_dim, _padding(padding_idx, vocab_size)
        ### BEGIN SOLUTION
        self.weight = Parameter(randn(vocab_size, embed_dim, generator=generator))
        if self.padding_idx is not None:
            self.weight.data[self.padding_idx] = 0
        ### END SOLUTION

    def forward(self, ids):
        """ids (…) -> (…, embed_dim)"""
        return embedding(ids, self.weight, self.padding_idx)

# %%
manual_seed(0)
words = Embedding(len(vocab), 3)
print(words, words([3, 1, 0, 3, 2]), sep="\n")

# %% nbgrader={"grade": true, "grade_id": "test-embedding-class", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
def test_unit_embedding_class():
    """The layer holds a table of normal numbers, and a row of zeros for padding."""
    drawn = lambda *args, **how: Embedding(*args, generator=np.random.default_rng(1), **how)
    want = np.random.default_rng(1).standard_normal((50, 40), float32)
    expect.close(lambda: drawn(50, 40).weight, want, "as randn draws them", mistaken={
        "pass generator=generator on": lambda got: got.shape == want.shape and abs(got.std() - 1) < 0.1 and not np.allclose(got, want),
        "the normal distribution: randn, as it comes": lambda got: got.shape == want.shape and abs(got.std() - 1) > 0.2,
        "a row for each word: (vocab_size, embed_dim)": lambda got: got.shape == (40, 50)})
    expect.same(lambda: [name for name, _ in drawn(5, 2).named_parameters()], ["weight"], "it is trained", hint="make it a Parameter")
    for at, row in ((2, 2), (0, 0), (-1, 4)):
        rest = want.reshape(-1)[:15].reshape(5, 3) * (np.arange(5)[:, None] != row)
        expect.close(lambda: drawn(5, 3, padding_idx=at).weight, rest, f"padding_idx={at}: row {row} is 0", mistaken={
            "only the padding row, not a column": lambda got: not got[:, row if row < 3 else -1].any() and got[row].any(),
            "the padding row becomes 0 (also row 0)": lambda got: got[row].any()}, hint="all other rows stay as they were drawn",
            raises={RuntimeError: "write into the array: self.weight.data[…] = 0"})
    expect.raises(ValueError, lambda: Embedding(5, 3, padding_idx=5), "5 is no row of 5", match="5")
    expect.same(lambda: drawn(5, 3)([[1, 2], [3, 4]]).shape, (2, 2, 3), "forward looks up")

test_unit_embedding_class()

# %% [markdown]
"""
## 6 · What do the rows learn?

Nobody tells the rows anything. Let a small network guess the next letter of a text from the three before it, with only **two** numbers for each
letter, so that the table itself can be drawn. The text is the King James Bible of module 10.
"""

# %% tags=["analysis"]
from tinytorch.core.activations import Tanh
from tinytorch.core.layers import Flatten, Sequential
from tinytorch.core.optimizers import Adam
from tinytorch.text.tokenization import load_text

letters, text = np.unique(list(" ".join(load_text().lower().split())), return_inverse=True)
print(len(text), "letters, of", len(letters), "kinds")

manual_seed(0)
places = Embedding(len(letters), 2)
net = Sequential(places, Flatten(), Linear(3 * 2, 64), Tanh(), Linear(64, len(letters)))
start, adam = places.weight.numpy().copy(), Adam(net.parameters(), lr=0.01)
for step in range(1, 1001):
    at = rng.integers(3, len(text), 512)
    adam.zero_grad()
    loss = cross_entropy(net(text[at[:, None] + [-3, -2, -1]]), text[at])           # (512, 3) ids -> (512, kinds)
    loss.backward()
    adam.step()
    if step % 250 == 0 or step == 1:
        print(f"step {step:4}: {loss.item():.2f} (all letters alike: {math.log(len(letters)):.2f})")

# %% tags=["analysis"]
figure, axes = plt.subplots(1, 2, figsize=(11, 4.6))
kinds = [np.array([letter in kind for letter in letters]) for kind in ("aeiou", "bcdfghjklmnpqrstvwxz")]
for axis, table, title in zip(axes, (start, places.weight.numpy()), ("before training", "after")):
    vowels, others = (table[kind] for kind in kinds)
    away = lambda a, b: np.hypot(*(a[:, None] - b).T).mean()                         # the mean distance of a point in a to one in b
    print(f"{title}: from vowel to vowel {away(vowels, vowels) * 5 / 4:.2f}, to a consonant {away(vowels, others):.2f}")
    for letter, (x, y) in zip(letters, table):
        colour = "tab:red" if letter in "aeiou" else "tab:blue" if letter.isalpha() else "tab:gray"
        axis.text(x, y, "␣" if letter == " " else letter, color=colour, fontsize=13)
    axis.set(xlim=(table[:, 0].min() - 0.3, table[:, 0].max() + 0.3), ylim=(table[:, 1].min() - 0.3, table[:, 1].max() + 0.3), title=title)
plt.show()

# %% [markdown]
"""
Before, a vowel (red) was as near to consonants (blue) as to other vowels. Now vowels have a corner of their own, and so have the marks that end a phrase.
The network was told the next letter and nothing else. Letters that are followed by the same things are the same to it, so their rows became alike.

## 7 · Dog bites man

What does a sentence look like now? A set of rows. Add them up, as the simplest network would:
"""

# %%
manual_seed(0)
words = Embedding(len(vocab), 4)
sentences = [[vocab.index(word) for word in s.split()] for s in ("dog bites man", "man bites dog")]
print(words(sentences).sum(dim=1))

# %% [markdown]
r"""
Two different pieces of news, one sum. The mean, the largest, any function of the *set* of rows gives the same. The rows do not know where they stand,
so each gets told: a vector for its position is added. Which vector? The number of the position itself grows without end, until hardly anything of the
word is left. A good code stays between -1 and 1, differs at every place, and changes little from one to the next.

Clocks do that: a second hand tells near moments apart, an hour hand far ones, and no hand ever leaves its circle. Take $d/2$ hands, each slower than
the one before; after $p$ steps hand $i$ has turned by the angle

$$a_{p,i} = \frac{p}{10000^{\,2i/d}}$$

and its tip is at $(\sin a, \cos a)$. Column $2i$ of the table holds the sines, column $2i+1$ the cosines.

```
   position      0        1        2        3
   hand 0        ↑        ↗        ↘        ↓        fast: tells neighbours apart
   hand 1        ↑        ↑        ↑        ↗        slow: tells near from far
```

**Your turn.** The angles, positions down and hands across (for an odd `dim` the last hand has only a sine). Then two lines that fill the columns.
"""

# %% nbgrader={"grade": false, "grade_id": "sinusoidal", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def position_angles(max_seq_len, dim, base=10000.0):
    """How far each clock has turned at each position: an array (max_seq_len, (dim + 1) // 2) of float64, position / base^(2i / dim)."""
    ### BEGIN SOLUTION
    return np.arange(max_seq_len)[:, None] / base ** (np.arange(0, dim, 2) / dim)
    ### END SOLUTION


def create_sinusoidal_embeddings(max_seq_len, embed_dim):
    """A Tensor (max_seq_len, embed_dim) that is different in every row: sines in the even columns, cosines in the odd ones.

    Vaswani et al. 2017, section 3.5.

    >>> create_sinusoidal_embeddings(2, 4).numpy().round(2).tolist()
    [[0.0, 1.0, 0.0, 1.0], [0.8399999737739563, 0.5400000214576721, 0.009999999776482582, 1.0]]
    """
    check_whole("create_sinusoidal_embeddings", 0, max_seq_len=max_seq_len, embed_dim=embed_dim)
    angles, table = position_angles(max_seq_len, embed_dim), np.zeros((max_seq_len, embed_dim))
    ### BEGIN SOLUTION
    table[:, 0::2] = np.sin(angles)
    table[:, 1::2] = np.cos(angles[:, :embed_dim // 2])
    ### END SOLUTION
    return Tensor(table)

# %% nbgrader={"grade": true, "grade_id": "test-sinusoidal", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_sinusoidal():
    """Every position is a row of clock hands."""
    base = float(np.array([100.0])[0])
    want = np.outer(np.arange(3.0), [1.0, 1 / math.sqrt(base)])
    expect.close(lambda: position_angles(3, 4, base), want, "two hands, three positions", mistaken={
        "positions divided by base^(2i/dim), not multiplied": lambda got: np.allclose(got, np.outer(np.arange(3.0), [1.0, math.sqrt(base)])),
        "the first position is 0": lambda got: np.allclose(got[0], want[1]),
        "use `base`": lambda got: np.allclose(got, np.outer(np.arange(3.0), [1.0, 0.01])),
        "the exponent is 2i/dim": lambda got: got.shape == want.shape and not np.allclose(got[1, 1], want[1, 1])},
        hint="positions down, hands across: a column (max_seq_len, 1) and a row (hands,)",
        raises={ValueError: "positions as a column: [:, None]"})
    expect.same(lambda: [position_angles(5, dim).shape for dim in (1, 2, 7)], [(5, 1), (5, 1), (5, 4)], "a hand for every two columns, or one more",
                hint="one hand for each i in 0, 2, 4, … below dim")
    for dim in (6, 5):
        angles = position_angles(60, dim)
        table = np.stack([np.sin(angles), np.cos(angles)], 2).reshape(60, 6)[:, :dim].astype(float32)
        expect.close(lambda: create_sinusoidal_embeddings(60, dim), table, f"sines and cosines, {dim} columns", mistaken={
            "sines first: they stand in columns 0, 2, 4": lambda got: np.allclose(got[:, 0::2], np.cos(angles), atol=1e-6),
            "side by side: a sine, then its cosine": lambda got: np.allclose(got[:, :3], np.sin(angles), atol=1e-6)},
            hint="even columns np.sin(angles), odd columns np.cos(angles)",
            raises={ValueError: "of an odd number the last sine has no cosine: angles[:, :embed_dim // 2]"})

test_unit_sinusoidal()

# %% [markdown]
"""
The whole table, and beside it the dot product of every row with every other: near positions are alike, far ones less. Along each diagonal the number
is the same, so it tells only how far two places are apart. (cos a cos b + sin a sin b = cos(a - b), for each hand.)
"""

# %% tags=["analysis"]
table = create_sinusoidal_embeddings(100, 64)                             # (positions, columns)
figure, axes = plt.subplots(1, 2, figsize=(11, 4))
for axis, picture, title, x, y in zip(axes, (table.numpy(), (table @ table.T).numpy()), ("the table", "dot products"), ("column", "position"),
                                      ("position", "position")):
    shown = axis.imshow(picture, cmap="RdBu", aspect="auto"); axis.set(title=title, xlabel=x, ylabel=y); figure.colorbar(shown, ax=axis)
plt.show()

# %% [markdown]
"""
A layer gets x (…, T, embed_dim) and adds the rows of its positions. Mostly they are 0 … T-1. When a text is made token by token, the next one stands
at position `start`, not 0. And a table has an end: past it there is no row.

**Your turn.** x must have at least two axes, the last of size `width`. T positions from `start` on must lie in 0 … `layer.max_seq_len` - 1. If not,
raise a ValueError: for the shape name `width`, for the positions `max_seq_len`. Return the positions as a `slice`.
"""

# %% nbgrader={"grade": false, "grade_id": "positions-of", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def positions_of(layer, x, start, width):
    """The positions of x (…, T, width) as a slice, from `start` on.  ValueError where the layer has not so many, or x another shape."""
    check_array(type(layer).__name__, x=x)
    check_kind(type(layer).__name__, Integral, start=start)
    name, most = type(layer).__name__, layer.max_seq_len
    ### BEGIN SOLUTION
    if np.ndim(x) < 2 or x.shape[-1] != width:
        raise ValueError(f"{name}: x of shape (…, T, {width}) wanted, not {np.shape(x)}")
    stop = start + x.shape[-2]
    if start < 0 or stop > most:
        raise ValueError(f"{name}: positions {start} to {stop - 1} wanted, and max_seq_len is {most}; shorten the text, or make the layer longer")
    return slice(start, stop)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-positions-of", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
def test_unit_positions_of():
    """A sequence gets the positions that it has, and none that the layer has not."""
    layer = Module()
    layer.max_seq_len = 10
    ends = lambda x, start: (lambda at: (at.start, at.stop))(positions_of(layer, x, start, 3))
    expect.same(lambda: ends(ones(2, 5, 3), 0), (0, 5), "five positions", mistaken={
        "T is the last axis but one": (0, 2), "T is the last axis but one, not the last": (0, 3), "a slice ends after its last": (0, 4)},
        raises={ValueError: "raise only where width or positions do not fit", AttributeError: "return a slice(first, end)"})
    expect.same(lambda: ends(ones(4, 3), 6), (6, 10), "up to the last one, without a batch", mistaken={
        "it begins at `start`": (0, 4), "it ends T after `start`": (6, 4), "T is the last axis but one": (6, 9)},
        raises={ValueError: "position 9 is there: the slice may end at max_seq_len", IndexError: "count axes from the end"})
    expect.raises(ValueError, lambda: positions_of(layer, ones(4, 3), 7, 3), "not one further", match="max_seq_len 7 10",
                  hint="start + T may be max_seq_len at most")
    expect.raises(ValueError, lambda: positions_of(layer, ones(4, 3), -1, 3), "none before 0", match="max_seq_len", hint="refuse a negative start")
    expect.raises(ValueError, lambda: positions_of(layer, ones(4, 1), 0, 3), "1 would be stretched", match="3", hint="compare the last size")
    expect.raises(ValueError, lambda: positions_of(layer, ones(3), 0, 3), "one row has no positions", match="3", hint="count the axes first")

test_unit_positions_of()

# %% [markdown]
"""
Two layers. One adds the clock hands, which nobody trains (its name `_table` keeps it out of what is saved). The other adds rows that are trained like
those of words, which is what GPT-2 does. `PositionalEncoding` ends with dropout, as in the paper.

**Your turn.** One line for each: x plus the rows of its positions; the first then goes through `self.dropout`.
"""

# %%
#| export
class PositionalEncoding(Module):
    """Adds sinusoidal positions, which are not trained: (…, T, embed_dim) -> the same shape.

    >>> PositionalEncoding(100, 8)(Tensor(np.zeros((2, 5, 8)))).shape
    (2, 5, 8)
    """
    def __init__(self, max_seq_len, embed_dim, dropout=0.0):
        check_whole("PositionalEncoding", max_seq_len=max_seq_len, embed_dim=embed_dim)
        check_number("PositionalEncoding", 0, 1, dropout=dropout)
        self.max_seq_len, self.embed_dim, self.dropout = max_seq_len, embed_dim, Dropout(dropout)
        self._table = create_sinusoidal_embeddings(max_seq_len, embed_dim)


class LearnedPositionalEmbedding(Module):
    """Adds a trained row for each position: (…, T, embed_dim) -> the same shape."""
    def __init__(self, max_seq_len, embed_dim, generator=None):
        """Draw `weight` (max_seq_len, embed_dim) from the normal distribution."""
        check_whole("LearnedPositionalEmbedding", max_seq_len=max_seq_len, embed_dim=embed_dim)
        check_kind("LearnedPositionalEmbedding", np.random.Generator, none=True, generator=generator)
        self.max_seq_len, self.embed_dim = max_seq_len, embed_dim
        self.weight = Parameter(randn(max_seq_len, embed_dim, generator=generator))

# %% nbgrader={"grade": false, "grade_id": "positions", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def _add_fixed(self, x, start=0):
    """x (…, T, embed_dim), whose first row stands at position `start`, plus rows of `self._table`; then dropout."""
    at = positions_of(self, x, start, self.embed_dim)
    ### BEGIN SOLUTION
    return self.dropout(x + self._table[at])
    ### END SOLUTION


def _add_learned(self, x, start=0):
    """x (…, T, embed_dim), whose first row stands at position `start`, plus rows of `self.weight`."""
    at = positions_of(self, x, start, self.embed_dim)
    ### BEGIN SOLUTION
    return x + self.weight[at]
    ### END SOLUTION


PositionalEncoding.forward, LearnedPositionalEmbedding.forward = _add_fixed, _add_learned

# %% nbgrader={"grade": true, "grade_id": "test-positions", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_positions():
    """Every row of a sequence is told its position."""
    rng = np.random.default_rng(0)
    x = Tensor(rng.normal(size=(2, 3, 4)))
    fixed, learned = PositionalEncoding(9, 4), LearnedPositionalEmbedding(9, 4)
    for layer, told in ((fixed, create_sinusoidal_embeddings(9, 4).numpy()), (learned, learned.weight.numpy())):
        name = type(layer).__name__
        expect.close(lambda: layer(x), x.numpy() + told[:3], f"{name}: the first three rows are added", mistaken={
            "plus x itself": lambda got: np.allclose(got, told[:3]), "added, not multiplied": lambda got: np.allclose(got, x.numpy() * told[:3])},
            raises={ValueError: "three rows for three positions: index with `at`"})
        expect.close(lambda: layer(x, start=5), x.numpy() + told[5:8], f"{name}: from position 5 on", mistaken={
            "begin at `start`: index with `at`": lambda got: np.allclose(got, x.numpy() + told[:3])})
        expect.raises(ValueError, lambda: layer(x, start=7), f"{name}: there is no position 9", match="max_seq_len 9")
    noisy = PositionalEncoding(9, 4, dropout=0.5)
    manual_seed(0)
    expect.true(lambda: 0.2 < (noisy(ones(50, 9, 4)).numpy() == 0).mean() < 0.8, "half is dropped in training", hint="self.dropout, last of all")
    expect.close(lambda: noisy.eval()(x), fixed(x), "and nothing in use")
    expect.same(lambda: list(fixed.state_dict()) + list(learned.state_dict()), ["weight"], "only learned rows are saved")
    expect.close(lambda: grad(learned(x).sum(), learned.weight)[0], np.where(np.arange(9)[:, None] < 3, 2.0, 0.0) * np.ones(4),
                 "each of the first three rows was used twice", raises={RuntimeError: "use self.weight, not its .data"})

test_unit_positions()

# %% [markdown]
"""
Both together, for those who want ids in and vectors out. The paper multiplies the rows of words by the root of `embed_dim` first, so that positions
do not drown them: its rows start small. (Given.)
"""

# %%
#| export
class EmbeddingLayer(Module):
    """Ids to vectors that know their place: whole numbers (…, T) -> (…, T, embed_dim).

    `pos_encoding`: "learned", "sinusoidal" or None.

    >>> EmbeddingLayer(1000, 16, max_seq_len=100)([[3, 1, 4], [1, 5, 9]]).shape
    (2, 3, 16)
    """
    def __init__(self, vocab_size, embed_dim, max_seq_len=512, pos_encoding="learned", scale_embeddings=False, generator=None):
        check_choice("EmbeddingLayer", ("learned", "sinusoidal", None), pos_encoding=pos_encoding)
        check_whole("EmbeddingLayer", vocab_size=vocab_size, embed_dim=embed_dim, max_seq_len=max_seq_len)
        check_kind("EmbeddingLayer", np.random.Generator, none=True, generator=generator)
        self.embed_dim, self.scale_embeddings = embed_dim, scale_embeddings
        self.token_embedding, self.position_embedding = Embedding(vocab_size, embed_dim, generator=generator), None
        if pos_encoding == "learned":
            self.position_embedding = LearnedPositionalEmbedding(max_seq_len, embed_dim, generator)
        elif pos_encoding == "sinusoidal":
            self.position_embedding = PositionalEncoding(max_seq_len, embed_dim)

    def forward(self, ids, start=0):
        """ids (…, T), the first of them at position `start` -> (…, T, embed_dim)"""
        x = self.token_embedding(ids)
        if self.scale_embeddings:
            x = x * math.sqrt(self.embed_dim)
        return x if self.position_embedding is None else self.position_embedding(x, start)

# %% [markdown]
"""
Is order told now? A *sum* of words and positions still is the same for both sentences: it does not care which position went with which word. Whoever
looks at each row before adding up can tell. A small network shall say which of two words comes first among eight: `Linear`, ReLU, then the mean over
places.
"""

# %% tags=["analysis"]
def batch(count):
    """Rows of the words 1 … 8, mixed, and whether word 1 stands before word 2."""
    ids = rng.permuted(np.tile(np.arange(1, 9), (count, 1)), axis=1)             # (count, 8)
    return ids, (ids.argmin(axis=1) < (ids == 2).argmax(axis=1)) * 1

for kind in (None, "learned", "sinusoidal"):
    manual_seed(0)
    layer, inner, outer = EmbeddingLayer(9, 16, max_seq_len=8, pos_encoding=kind), Linear(16, 64), Linear(64, 2)
    scores = lambda ids: outer(relu(inner(layer(ids))).mean(dim=1))              # (count, 2)
    adam = Adam([*layer.parameters(), *inner.parameters(), *outer.parameters()], lr=0.01)
    for _ in range(400):
        ids, target = batch(128)
        adam.zero_grad()
        cross_entropy(scores(ids), target).backward()
        adam.step()
    ids, target = batch(1000)
    print(f"{str(kind):12} {(scores(ids).numpy().argmax(axis=1) == target).mean():.1%} of new rows")

# %% [markdown]
"""
## 8 · Turning instead of adding

How well two words go together can be told by the dot product of their vectors. With positions added, the same two words at the same distance give
another number wherever the sentence is moved:
"""

# %%
rng = np.random.default_rng(0)
table, (q, k) = create_sinusoidal_embeddings(1000, 64), rng.normal(size=(2, 64)).astype(float32)       # positions, two words
for first in (0, 7, 900):
    print(f"positions {first} and {first + 5}:", (table[first] + q) @ (table[first + 5] + k))

# %% [markdown]
r"""
Words that belong together should do so anywhere. So do not add: **turn**. Take the vector as pairs of numbers, each a point in a plane, and turn the
pair by its clock hand's angle, which grows with the position. A turn changes no length, and the dot product of two turned vectors depends only on the
*difference* of the angles, that is, on the distance of the words.

Turned by $t$, a pair $(a, b)$ becomes $(a\cos t - b\sin t,\; b\cos t + a\sin t)$.

Pairs are made of the two halves: number i goes with number i + D/2. This is *rotary* embedding, which Llama uses.

**Your turn.** `a` and `b` are the halves of x (…, T, D/2), `cos` and `sin` are (T, D/2). Turn, and join the halves again with `np.concatenate`. For
the gradient: what turned the numbers one way turns slopes back, by the same operation.
"""

# %% nbgrader={"grade": false, "grade_id": "rotate", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
@op
def rotate(x, cos, sin):
    """Each pair (x[i], x[i + D/2]) turned by an angle: x (…, T, D), cos and sin (T, D/2) -> (…, T, D).  Arrays here.

    >>> rotate(Tensor([[3.0, 4.0]]), Tensor([[0.0]]), Tensor([[1.0]]))           # a quarter turn
    Tensor([[-4.,  3.]])
    """
    a, b = np.split(x, 2, axis=-1)
    ### BEGIN SOLUTION
    return np.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1)
    ### END SOLUTION


@gradient(rotate)
def _(g, need, cos, sin):
    """The gradients for x, and None for cos and sin, which are not learned."""
    if need[1] or need[2]:
        raise RuntimeError("rotate: the angles are given, and have no gradient")
    ### BEGIN SOLUTION
    return run(rotate, g, cos, -sin), None, None
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-rotate", "locked": true, "points": 10, "schema_version": 3, "solution": false, "task": false}
def test_unit_rotate():
    """Pairs are turned, and their slopes turned back."""
    x, angles = np.array([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]]), np.array([[0.5, 0.0], [1.0, -0.3]])
    cos, sin = (Tensor(f(angles), dtype=float64) for f in (np.cos, np.sin))
    points = (x[:, :2] + 1j * x[:, 2:]) * np.exp(1j * angles)                # as complex numbers
    want = np.concatenate([points.real, points.imag], 1)
    back = (x[:, :2] + 1j * x[:, 2:]) * np.exp(-1j * angles)
    expect.close(lambda: rotate(Tensor(x, dtype=float64), cos, sin), want, "two pairs, two positions", mistaken={
        "that is the other way round: a cos - b sin": lambda got: np.allclose(got, np.concatenate([back.real, back.imag], 1)),
        "the first half first": lambda got: np.allclose(got, np.concatenate([points.imag, points.real], 1)),
        "join the halves along the last axis": lambda got: got.shape != want.shape,
        "a minus in the first half, a plus in the second": lambda got: np.allclose(got[:, :2], want[:, :2]) or np.allclose(got[:, 2:], want[:, 2:])})
    rng = np.random.default_rng(0)
    x = tensor(rng.normal(size=(3, 2, 2, 4)), float64, requires_grad=True)
    expect.close(lambda: (rotate(x, cos, sin) ** 2).sum(dim=-1), (x.numpy() ** 2).sum(-1), "no length changes")
    expect.true(lambda: gradcheck(lambda t: rotate(t, cos, sin), x), "slopes are turned back", raises={
        RuntimeError: "turned back: the same cos, minus sin"}, hint="three gradients: for x, and None twice")
    expect.true(lambda: gradcheck(lambda t: grad((rotate(t, cos, sin) ** 3).sum(), t, create_graph=True)[0], x), "also slopes of slopes",
                raises={(AttributeError, TypeError, ValueError, RuntimeError): "g may be a Tensor: run(rotate, …)"})
    expect.same(lambda: rotate(ones(2, 4), Tensor(np.cos(angles)), Tensor(np.sin(angles))).dtype, float32, "float32 stays float32")

test_unit_rotate()

# %%
#| export
class RotaryEmbedding(Module):
    """Turns vectors by their position: (…, T, head_dim) -> the same shape.  Su et al. 2021; halves make the pairs, as in LLaMA.

    >>> RotaryEmbedding(8, max_seq_len=100)(Tensor(np.zeros((2, 5, 8))), start=3).shape
    (2, 5, 8)
    """
    def __init__(self, head_dim, max_seq_len, base=10000.0):
        check_whole("RotaryEmbedding", head_dim=head_dim, max_seq_len=max_seq_len)
        check_number("RotaryEmbedding", 1, base=base)
        if head_dim % 2:
            raise ValueError(f"RotaryEmbedding: head_dim must be even, to make pairs, not {head_dim}")
        self.head_dim, self.max_seq_len, self.base = head_dim, max_seq_len, base
        angles = position_angles(max_seq_len, head_dim, base)
        self._cos, self._sin = Tensor(np.cos(angles)), Tensor(np.sin(angles))

    def forward(self, x, start=0):
        """x (…, T, head_dim), whose first row stands at position `start`"""
        at = positions_of(self, x, start, self.head_dim)
        return rotate(x, self._cos[at], self._sin[at])

# %%
rotary = RotaryEmbedding(64, max_seq_len=1000)
turned_q, turned_k = rotary(np.tile(q, (1000, 1))), rotary(np.tile(k, (1000, 1)))     # both words at every position, (1000, 64)
for first in (0, 7, 900):
    print(f"positions {first} and {first + 5}:", (turned_q[first] @ turned_k[first + 5]).numpy().round(4))

# %% [markdown]
"""
The same number everywhere. As pictures: the dot product of the two words, one at each position down, the other at each position across.
"""

# %% tags=["analysis"]
figure, axes = plt.subplots(1, 2, figsize=(10, 4))
added_q, added_k = table.numpy()[:60] + q, table.numpy()[:60] + k
for axis, picture, title in zip(axes, (added_q @ added_k.T, (turned_q[:60] @ turned_k[:60].T).numpy()), ("positions added", "turned by positions")):
    shown = axis.imshow(picture); axis.set(title=title, xlabel="position of k", ylabel="position of q"); figure.colorbar(shown, ax=axis)
plt.show()

# %% nbgrader={"grade": true, "grade_id": "test-module", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_module():
    """Everything together: a small network learns which of two words comes first."""
    seen = np.random.default_rng(0)
    ids = seen.permuted(np.tile(np.arange(1, 6), (64, 1)), axis=1)
    target = (ids.argmin(axis=1) < (ids == 2).argmax(axis=1)) * 1
    manual_seed(0)
    layer, inner, outer = EmbeddingLayer(8, 8, 5), Linear(8, 32), Linear(32, 2)
    parameters = [*layer.parameters(), *inner.parameters(), *outer.parameters()]
    for _ in range(80):
        loss = cross_entropy(outer(relu(inner(layer(ids))).mean(dim=1)), target)
        for p, slope in zip(parameters, grad(loss, parameters)):
            p.data -= 0.5 * slope.data
    expect.true(lambda: loss.item() < 0.4, "it learns (ln 2 = 0.69 is guessing)", hint="a gradient is wrong, or positions are missing")
    untouched = EmbeddingLayer(8, 8, 5, generator=manual_seed(0)).token_embedding.weight.numpy()
    expect.same(lambda: layer.token_embedding.weight.numpy()[[0, 6, 7]], untouched[[0, 6, 7]], "words that never occur stay as they were")
    scaled = EmbeddingLayer(8, 9, 5, "sinusoidal", scale_embeddings=True)
    want = scaled.token_embedding.weight.numpy()[[1, 4]] * 3 + create_sinusoidal_embeddings(5, 9).numpy()[2:4]
    expect.close(lambda: scaled([1, 4], start=2), want, "words times the root of 9, then positions from 2 on")
    expect.same(lambda: list(scaled.state_dict()), ["token_embedding.weight"], "only what is learned is saved")
    rotary, (q, k) = RotaryEmbedding(6, 50), Tensor(seen.normal(size=(2, 1, 6)))
    near, far = ((rotary(q, start=s) * rotary(k, start=s + 4)).sum().item() for s in (1, 40))
    expect.close(near, far, "turned words know only their distance")

test_module()

# %% [markdown]
"""
## 9 · In your own words

**Question 1.** A table has 50,000 rows of 768 numbers, in float32. How many bytes is that? A batch has 16 texts of 1,024 tokens. How many rows of its
gradient are not 0, at most? How many bytes would the one-hot matrix of the batch have?
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-table", "locked": false, "points": 5, "schema_version": 3, "solution": true, "task": false}
"""
50,000 · 768 · 4 = 153,600,000 bytes. There are 16 · 1,024 = 16,384 tokens, so at most 16,384 rows have a gradient, fewer if words repeat; the other
33,616 rows or more are 0. The one-hot matrix has 16,384 · 50,000 numbers, 3,276,800,000 bytes: more than twenty times the table.
"""

# %% [markdown]
"""
**Question 2.** A model is trained on texts of 128 tokens, with learned positions and `max_seq_len` 512. Somebody gives it 300 tokens. Is there an
error? What do positions 200 and more look like to the model? Would sinusoidal or rotary positions be better off?
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-positions", "locked": false, "points": 5, "schema_version": 3, "solution": true, "task": false}
"""
No error: the table has 512 rows. But rows 128 and more never got a gradient, so they still hold the random numbers they were drawn with, and mean
nothing. Sinusoidal and rotary positions are at least of the same kind as those seen: each hand goes on turning. Rotary ones depend on distances only,
and distances below 128 are well known; larger ones are new to the model all the same, so neither is sure to work.
"""

# %% [markdown]
"""
## Where you are

Ids become rows that are trained, and rows that know their place, added or turned. Next: `tito module complete 11`. Then every row gets to look at the
others.
"""
