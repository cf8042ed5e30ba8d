# %% [markdown]
"""
# 01 Tensor

> An array that knows how it was made: the one type that everything in this course is built from.

A network is arithmetic on blocks of numbers: pixels, weights, probabilities. By the end of this notebook you have a `Tensor` that does this
arithmetic, and one small function, `op`, through which every later module will pass.

The first cell below connects this notebook to the course. Cells that begin with `#| export` become your own library.
"""

# %% nbgrader={"grade": false, "grade_id": "start", "locked": true, "schema_version": 3, "solution": false, "task": false}
import tito.notebook     # where this fails, open the notebook with: tito module open 01
from tito.check import expect

tito.notebook.use(1)

# %%
#| default_exp core.tensor

# %% nbgrader={"grade": false, "grade_id": "imports", "locked": true, "schema_version": 3, "solution": false, "task": false}
#| export
import functools
import inspect
import math
import os

import numpy as np

float32, float64, int64 = np.dtype("float32"), np.dtype("float64"), np.dtype("int64")

# %% [markdown]
"""
## 1 · What a tensor holds
Python already has lists of numbers. Why not use them? Run this cell: the same million additions, written twice.
"""

# %% tags=["analysis"]
import timeit

import matplotlib.pyplot as plt

plt.rcParams["figure.figsize"] = 5, 3

def seconds(work, rounds=5):
    """The shortest of `rounds` runs, in seconds."""
    return min(timeit.repeat(work, number=1, repeat=rounds))

numbers = [float(i) for i in range(1_000_000)]
array = np.array(numbers, dtype=np.float32)
slow, fast = seconds(lambda: [x + 1.0 for x in numbers]), seconds(lambda: array + 1.0)
print(f"list {slow * 1e3:.2f} ms, array {fast * 1e3:.2f} ms: {slow / fast:.0f} times less")

# %% [markdown]
"""
A list holds a million *pointers* to a million separate Python objects. An array is one block of memory with the numbers side by side, and one
description of them:

```
 a list                                an ndarray
 ┌───┬───┬───┬─ ─                      ┌─────────────────────────┐
 │ • │ • │ • │                         │ dtype float32           │   what each number is
 └─┼─┴─┼─┴─┼─┘                         │ shape (2, 3)            │   how they are arranged
   ▼   ▼   ▼                           │ data ─┐                 │
 ┌───┐┌───┐┌───┐                       └───────┼─────────────────┘
 │1.0││2.0││3.0│  24 bytes each                ▼
 └───┘└───┘└───┘                       │1.0│2.0│3.0│4.0│5.0│6.0│   4 bytes each
```

NumPy makes `float64` of Python's floats: 8 bytes a number. Networks are trained in `float32`: half the memory, twice the numbers in each step of
the processor, and precision enough. So a Tensor's rule is:

* floats become `float32`, unless somebody asks for another dtype by name;
* whole numbers and truth values stay what they are (a `float32` cannot hold the token id 16,777,217);
* anything that is not a number is refused at once, with a sentence that says so.

**Your turn.** `np.asarray(data, dtype)` does most of it: it makes an array of lists and numbers and leaves arrays alone. `array.dtype.kind` is one
letter: `f` float, `i` and `u` whole numbers, `b` bool, and others (`U` text, `O` objects).
"""

# %% nbgrader={"grade": false, "grade_id": "as-array", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def as_array(data, dtype=None):
    """The ndarray for `data`: a number, a list of numbers or an array.

    float64 becomes float32, unless `dtype` is given.  TypeError for what holds no numbers, such as text and objects.

    >>> as_array([1.0, 2.0]).dtype, as_array([1, 2]).dtype, as_array([1.0], float64).dtype
    (dtype('float32'), dtype('int64'), dtype('float64'))
    """
    ### BEGIN SOLUTION
    array = np.asarray(data, dtype)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"a tensor holds numbers, not {array.dtype}: {data!r:.60}")
    return array.astype(float32) if array.dtype == float64 and dtype is None else array
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-as-array", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_as_array():
    """as_array makes float32 of floats, leaves whole numbers alone, and refuses what is not a number."""
    fits = np.ones((2, 3), float32)
    expect.close(lambda: as_array([[1.5, 2.0], [3.0, 4.0]]), [[1.5, 2.0], [3.0, 4.0]], "the numbers are kept")
    expect.same(lambda: as_array([1.5, 2.0]).dtype, float32, "floats become float32",
                mistaken={"NumPy made float64 of them: change the dtype to float32": lambda got: got == float64})
    expect.same(lambda: as_array(np.ones(3)).dtype, float32, "so do float64 arrays",
                mistaken={"ask the array for its dtype, not `data` for its type": lambda got: got == float64})
    expect.same(lambda: as_array(16_777_217).item(), 16_777_217, "whole numbers stay whole",
                mistaken={"float32 makes 16,777,216 of it: change float64 only": 16_777_216})
    expect.same(lambda: [as_array([True, False]).dtype, as_array(np.uint8([255])).dtype], [np.dtype(bool), np.dtype("uint8")],
                "truth values and bytes stay what they are", raises={
        TypeError: 'truth values ("b") and bytes ("u") are numbers, too'})
    expect.same(lambda: [as_array([1.0], "float64").dtype, as_array([1, 2], "float32").dtype], [float64, float32],
                "a dtype that is asked for is kept", mistaken={
        "float64 was asked for by name: change it only where `dtype` is None": lambda got: got[0] == float32,
        "give `dtype` to np.asarray, too": lambda got: got[1] == int64})
    expect.true(lambda: as_array(fits) is fits, "an array that fits is not copied",
                hint="np.array and astype always copy: use np.asarray, and astype only for float64")
    for what, data in [("text", ["cat", "dog"]), ("a dict", {"a": 1}), ("a complex number", 1j)]:
        expect.raises(TypeError, lambda: as_array(data), f"{what} is refused",
                      hint='look at dtype.kind: only "f", "i", "u" and "b" are numbers here; all else is a TypeError')
test_unit_as_array()

# %% [markdown]
"""
Now the class. `__slots__` lists every attribute that a Tensor will ever have: no others can be set by mistake, and it takes less memory. Only
`data` is used in this module. The rest are empty places that module 05 fills:

```
 Tensor ── data            the ndarray
        ├─ requires_grad   does anybody want its gradient?
        ├─ grad            the gradient, once there is one
        ├─ node            how it was made
        └─ hooks           who wants to see its gradient
```

A class does not have to be finished in one cell: a function becomes a method when it is assigned to the class. So the class cell holds the
constructor, the next one shows a Tensor and gives its numbers back, and from there on methods are added as they are needed.
"""

# %%
#| export
class Tensor:
    """Numbers in a block: `data` is always an ndarray (the one that was given, when its dtype fits; `tensor(a)` copies).  As `torch.Tensor`.

    >>> Tensor([[1, 2, 3], [4, 5, 6]]).shape
    (2, 3)
    """
    __slots__ = ("data", "grad", "requires_grad", "node", "hooks", "__weakref__")

    def __init__(self, data, requires_grad=False, dtype=None):
        if isinstance(data, Tensor):
            data, dtype = data.data, dtype or data.dtype
        if isinstance(data, (list, tuple)) and any(isinstance(t, Tensor) and t.requires_grad for t in data):
            raise TypeError("Tensor([…]) would lose the gradients of the tensors in the list; join them with stack(…) or cat(…)")
        try:
            self.data = as_array(data, dtype)
        except ValueError as error:
            raise ValueError(f"Tensor: rows of one length wanted, all of numbers, not {data!r:.60}") from error
        if requires_grad and self.data.dtype.kind != "f":
            raise TypeError(f"only floats have gradients; this tensor is {self.data.dtype}")
        self.requires_grad = requires_grad
        self.grad = self.node = self.hooks = None

    shape = property(lambda self: self.data.shape)      # (2, 3)
    ndim = property(lambda self: self.data.ndim)        # 2
    size = property(lambda self: self.data.size)        # 6
    dtype = property(lambda self: self.data.dtype)      # float32

# %%
#| export
def _repr(self):
    rows = np.array2string(self.data, separator=", ", prefix="Tensor(", threshold=100, precision=4)
    kind = "" if self.dtype == float32 else f", dtype={self.dtype}"
    return f"Tensor({rows}{kind}{', requires_grad=True' if self.requires_grad else ''})"

def _item(self):
    if self.size != 1:
        raise ValueError(f"item: one number wanted, this tensor of shape {self.shape} has {self.size}")
    return self.data.item()

Tensor.__repr__, Tensor.item = _repr, _item                      # item: a Python number
Tensor.numpy, Tensor.tolist = lambda self: self.data, lambda self: self.data.tolist()       # numpy: the array itself, not a copy
Tensor.numel, Tensor.__len__ = lambda self: self.data.size, lambda self: len(self.data)
Tensor.detach = lambda self: Tensor(self.data, dtype=self.dtype)           # same numbers, no history
Tensor.copy = lambda self: Tensor(self.data.copy(), dtype=self.dtype)      # numbers of its own, no history
Tensor.__float__, Tensor.__int__ = lambda self: float(_item(self)), lambda self: int(_item(self))
Tensor.__bool__ = lambda self: bool(_item(self))
Tensor.__format__ = lambda self, spec: format(_item(self), spec) if spec else repr(self)

# %%
Tensor([[1, 2, 3], [4, 5, 6]], dtype=float32)

# %% [markdown]
"""
**Your turn.** Memory is what runs out first when networks grow. How many bytes do the numbers of a tensor take? One takes `dtype.itemsize`.
"""

# %% nbgrader={"grade": false, "grade_id": "memory-footprint", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def memory_footprint(self):
    """Bytes that the numbers of a Tensor take: how many there are, times the bytes of one.

    >>> memory_footprint(Tensor([1.0, 2.0, 3.0]))
    12
    """
    ### BEGIN SOLUTION
    return self.size * self.dtype.itemsize
    ### END SOLUTION

Tensor.memory_footprint = memory_footprint

# %% nbgrader={"grade": true, "grade_id": "test-memory-footprint", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def test_unit_memory_footprint():
    """A tensor knows its size in memory, and gives its numbers back."""
    x = Tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])                       # (2, 3)
    expect.same(lambda: x.memory_footprint(), 24, "six float32 numbers take 24 bytes", mistaken={
        "that is how many numbers there are: how many bytes does each take?": 6, "count every number, not only the rows": 8,
        "that is what ONE number takes: how many are there?": 4})
    expect.same(lambda: Tensor([1, 2, 3, 4, 5]).memory_footprint(), 40, "five int64 numbers take 8 bytes each",
                mistaken={"not every number takes 4 bytes: ask the dtype": 20})
    expect.same((x.shape, x.ndim, x.size, x.numel(), len(x)), ((2, 3), 2, 6, 6, 2), "shape, ndim, size, numel, len")
    expect.same((x.tolist(), repr(Tensor([1.0]))), ([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], "Tensor([1.])"),
                "it shows itself, and tolist gives Python's lists back")
    expect.same((Tensor(2.5).item(), float(Tensor(4.0)), int(Tensor(7)), bool(Tensor(0)), f"{Tensor(2.5):.2f}"),
                (2.5, 4.0, 7, False, "2.50"), "one number becomes Python's")
    expect.raises(ValueError, lambda: x.item(), "six numbers are not one", match="item (2, 3)")
    expect.raises(TypeError, lambda: Tensor([1, 2], requires_grad=True), "whole numbers have no gradient")
    expect.true(x.detach().data is x.data and x.copy().data is not x.data, "detach shares the numbers, copy does not")
test_unit_memory_footprint()

# %% [markdown]
"""
## 2 · The door
Tensors should add, multiply, take exponentials … dozens of operations in all. Each has to do the same three things: take the arrays out of the
tensors, compute with NumPy, put the result into a new tensor. Here is what becomes of that when it is written out:

```python
def add(a, b):
    a = a.data if isinstance(a, Tensor) else a
    b = b.data if isinstance(b, Tensor) else b
    return Tensor(a + b)                            # the only line that is about adding
```

So write it once. A *decorator* takes a function and returns a better one. Ours takes a function of arrays and returns a function of tensors:

```
        tensors        arrays                  array          tensor
 a ──► [unwrap] ──────► a.data ─► ┌─────────┐
                                  │ forward │ ─► result ──► [wrap] ──► Tensor
 b ──► [unwrap] ──────► b.data ─► └─────────┘
```

**Your turn.** Write `lifted`: unwrap each Tensor in `args`, call `forward`, wrap the result. Numbers that are not tensors go through as they are.
"""

# %% nbgrader={"grade": false, "grade_id": "lift", "locked": false, "schema_version": 3, "solution": true, "task": false}
def lift(forward):
    """A function of arrays, made into a function of Tensors (and numbers) that returns a Tensor.

    >>> double = lift(lambda a: 2 * a)
    >>> double(Tensor([1.0, 2.0]))
    Tensor([2., 4.])
    """
    def lifted(*args):                  # args: a tuple of Tensors and numbers
        ### BEGIN SOLUTION
        arrays = [a.data if isinstance(a, Tensor) else a for a in args]
        return Tensor(forward(*arrays))
        ### END SOLUTION
    return lifted

# %% nbgrader={"grade": true, "grade_id": "test-lift", "locked": true, "points": 10, "schema_version": 3, "solution": false, "task": false}
def test_unit_lift():
    """lift turns a function of arrays into a function of tensors."""
    x, plus, seen = Tensor([1.0, 2.0]), lift(lambda a, b: a + b), []
    lift(lambda *args: seen.append([type(a) for a in args]) or np.ones(2))(x, x)
    expect.same(seen, [[np.ndarray, np.ndarray]], "forward sees two arrays, once", mistaken={
        "unwrap every Tensor in `args`: `forward` computes with arrays": lambda got: Tensor in got[0],
        "give `forward` its arguments one by one: a * spreads a list": lambda got: list in got[0],
        "call `forward` once": lambda got: len(got) > 1})
    expect.same(lambda: type(plus(x, x)), Tensor, "the result is a Tensor",
                mistaken={"wrap what `forward` returns into a Tensor": lambda got: got == np.ndarray})
    expect.close(lambda: plus(x, x), [2, 4], "it computes with the arrays")
    expect.close(lambda: [plus(x, 10.0), plus(10.0, x)], [[11, 12]] * 2, "numbers go through as they are",
                 raises={AttributeError: "a float has no .data: unwrap only what is a Tensor"})
    expect.close(lambda: lift(lambda a, b, c: a * b - c)(2.0, x, x), [1, 2], "in any place, among any number of arguments",
                 hint="unwrap each of `args`, in order")
test_unit_lift()

# %%
# `lift` works, and yet it would not carry a course.  Two failures:
exact = Tensor([1.0 + 1e-12], dtype=float64)
print(lift(lambda a: a * 1.0)(exact).dtype, "came out, float64 went in")
try:
    lift(lambda a, b: a @ b)(Tensor(np.ones((32, 784))), Tensor(np.ones((256, 784))))
except ValueError as error:
    print(error)

# %% [markdown]
"""
Precision that somebody asked for was lost, and the message speaks of `gufunc` signatures, not of what *you* did.

The full decorator is called `op`, and it is given. It is `lift` with four additions, in this order:

1. **Dtypes.** A result is `float64` only if an input was. Python's numbers (and NumPy's) never widen a tensor: they are *weak*.
2. **Names.** An error says which operation it was, on which shapes; `broadcast_shape`, which you write in part 3, explains shapes that do not fit.
   `@composed` does the same for a function that is made of operations.
3. **Names of arguments.** `add(x, b=y)`: an input given by name is put in its place; what is left (`dim=0`) is a setting. NumPy's spellings
   `axis` and `keepdims` are understood.
4. **Two empty chairs.** Whoever wants to know what a network does need only sit down here. On `record`, module 05 will note how each result was
   made: that is all it takes to compute gradients. `around` is a list, which a profiler or half precision (modules 15, 16) joins while at work.
"""

# %%
#| export
# 1. Dtypes
WEAK = {int, float, bool, type(None), slice, type(...), str}             # go through as they are

def operand(x, args):
    """An argument that is neither a Tensor nor weak: arrays and lists follow the dtype rule, NumPy's scalars become Python's."""
    if isinstance(x, np.generic):
        return x.item()
    if isinstance(x, (list, tuple)) and any(isinstance(t, Tensor) for t in x):
        raise TypeError("a list of tensors is not a tensor; join them with stack(…) or cat(…)")
    if isinstance(x, (np.ndarray, list)):
        wide = any(isinstance(t, Tensor) and t.dtype == float64 for t in args)
        return as_array(x, np.asarray(x).dtype if wide else None)
    return x

def settle(data, arrays):
    """What an operation computed, as an ndarray; its floats are float32, and of another dtype only if an input was."""
    data = np.asarray(data)
    if data.dtype.kind not in "fiub":
        raise TypeError(f"the result is no tensor of numbers, but of {data.dtype}")
    known = data.dtype.kind != "f" or any(isinstance(a, np.ndarray) and a.dtype == data.dtype for a in arrays)
    return data if known else data.astype(float32, copy=False)      # of truth values and bytes NumPy makes float16

# %%
#| export
# 2. Names
SYMBOLS = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "power": "**", "matmul": "@"}

def named(error, op, args):
    """The same error, telling of the operation and what it was given: `add: (2, 3) + (4,): …`."""
    name, sign = op.__name__, SYMBOLS.get(op.__name__)
    shapes = [a.shape if hasattr(a, "shape") else () for a in args if hasattr(a, "shape") or sign]
    strange = [a for k, a in enumerate(args) if not isinstance(a, (np.ndarray, Tensor, int, float, list, tuple)) and (a is not None or k == 0)]
    numbers = [a for a in args if isinstance(a, (int, float))] if isinstance(error, AttributeError) else []
    if isinstance(error, (AttributeError, TypeError)) and (strange or numbers):
        error = TypeError(f"a Tensor{' or a number' if strange else ''} wanted, not {[*strange, *numbers][0]!r:.40}")
    if sign and "broadcast" in str(error):
        try:
            broadcast_shape(*shapes)
        except ValueError as better:
            error = better
    kind = next((k for k in (IndexError, TypeError, AttributeError) if isinstance(error, k)), ValueError)
    met = (f" {sign} " if sign else ", ").join(map(str, shapes))
    said = str(error).replace("range object index", "dim").removeprefix(f"{name}: ")     # we look axes up in a range
    return kind(": ".join(filter(None, [name, met, said])))

def composed(function):
    """A function made of operations, whose errors tell its name and what it was given, as an operation's do."""
    @functools.wraps(function)
    def named_function(*args, **settings):
        try:
            return function(*args, **settings)
        except (ValueError, TypeError, IndexError, AttributeError, OverflowError) as error:
            raise named(error, function, args) from error
    return named_function

# 3. Names of arguments
ALIASES = {"axis": "dim", "keepdims": "keepdim"}

def in_place(op, args, params):
    """`add(b=y, a=x)`: the inputs, each in its place, and the settings that are left."""
    params = {ALIASES.get(name, name): value for name, value in params.items()}
    for name, default in list(op.places.items())[len(args):]:
        if params.keys() & op.places.keys():
            args += (params.pop(name, default),)
    for name, value in params.items():
        if isinstance(value, Tensor):
            if value.requires_grad:
                raise TypeError(f"{op.__name__}: {name} is a setting; no gradient can flow through it")
            params[name] = value.data
    return args, params

# %%
#| export
# 4. Two empty chairs
OPS = {}            # name -> operation
record = None       # record(op, args, arrays, params, extra, data) -> how it was made, or None
around = []         # watch(call, op, arrays, params) -> what call(arrays, params) returns

def through(op, run, arrays, params):
    """`run(*arrays, **params)`, with everybody who sits around the door looking on."""
    call = lambda arrays, params: run(*arrays, **params)
    for watch in tuple(around):                                  # another thread may join or leave meanwhile
        call = functools.partial(watch, call, op)
    return call(arrays, params)

# %%
#| export
def op(forward):
    """Lift a function of arrays to Tensors: the one door through which every operation passes.

    `forward` returns its result, or (result, {name: what its gradient will want}), as dropout does to keep its mask.

    >>> op(lambda x: x * x * x)(Tensor([2.0]))
    Tensor([8.])
    """
    new = Tensor.__new__
    @functools.wraps(forward)
    def lifted(*args, **params):
        if params:
            args, params = in_place(lifted, args, params)
        arrays, track, extra = [], False, None
        try:
            for x in args:                                       # unwrap
                if isinstance(x, Tensor):
                    arrays.append(x.data)
                    if x.requires_grad:
                        track = True
                else:
                    arrays.append(x if type(x) in WEAK else operand(x, args))
            data = forward(*arrays, **params) if not around else through(lifted, forward, arrays, params)      # compute
            if type(data) is tuple:
                data, extra = data
            if type(data) is not np.ndarray or data.dtype is not float32:
                data = settle(data, arrays)
        except (ValueError, TypeError, IndexError, AttributeError, OverflowError) as error:
            raise named(error, lifted, arrays) from error
        out = new(Tensor)                                        # wrap
        out.data, out.grad, out.hooks = data, None, None
        out.node = node = record(lifted, args, arrays, params, extra, data) if track and record else None
        out.requires_grad = node is not None
        return out

    lifted.places = {p.name: p.default for p in inspect.signature(forward).parameters.values() if p.kind == p.POSITIONAL_OR_KEYWORD}
    lifted.rule = None                                           # its gradient: module 05
    OPS[forward.__name__] = lifted
    return lifted

# %% nbgrader={"grade": false, "grade_id": "operations", "locked": true, "schema_version": 3, "solution": false, "task": false}
def operations(call):
    """The names of the operations that pass the door during `call()`: somebody sits around it and writes them down."""
    seen = []
    around.append(lambda call, op, arrays, params: seen.append(op.__name__) or call(arrays, params))
    try:
        call()
    finally:
        around.clear()
    return seen

# %% [markdown]
"""
## 3 · Arithmetic, and how shapes meet
With the door in place, an operation is its one line; and where NumPy has it as a function, not even that, as you will see below.

**Your turn.** `add` and `subtract` are done; three more. Below `@op`, `a` and `b` are arrays or plain numbers, never Tensors. `power` has a trap
of its own: NumPy computes `a ** 3` by a general method. Compare:
"""

# %% tags=["analysis"]
a = np.linspace(0.1, 2, 100_000, dtype=np.float32)
general, product = seconds(lambda: a ** 3), seconds(lambda: a * a * a)
print(f"a ** 3 {general * 1e6:.0f} µs, a * a * a {product * 1e6:.0f} µs: {general / product:.1f} times less")

# %% nbgrader={"grade": false, "grade_id": "arithmetic", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
@op
def add(a, b):
    """a + b, element by element."""
    return a + b

@op
def subtract(a, b):
    """a - b, element by element."""
    return a - b

@op
def multiply(a, b):
    """a * b, element by element.  `a` and `b` are arrays (or numbers) here, as in the next two."""
    ### BEGIN SOLUTION
    return a * b
    ### END SOLUTION

@op
def divide(a, b):
    """a / b, element by element; whole numbers give floats."""
    ### BEGIN SOLUTION
    return a / b
    ### END SOLUTION

@op
def power(a, b):
    """a ** b, element by element; where `b` is the plain number 3, two multiplications."""
    ### BEGIN SOLUTION
    return a * a * a if type(b) in (int, float) and b == 3 else a ** b
    ### END SOLUTION

# %% [markdown]
"""
Python turns `a + b` into `a.__add__(b)`, and where `a` is a plain number that does not know tensors, into `b.__radd__(a)`: the *reflected* form,
in which the sides are swapped. Both are made from the operation, never written twice.
"""

# %%
#| export
def from_numpy(ufunc):
    """An operation from a NumPy function of one array (x) or of two (a, b)."""
    forward = (lambda x: ufunc(x)) if ufunc.nin == 1 else (lambda a, b: ufunc(a, b))
    forward.__name__, forward.__doc__ = ufunc.__name__, f"NumPy's {ufunc.__name__}, element by element."
    return op(forward)

negative, absolute, exp, log, sqrt = map(from_numpy, (np.negative, np.absolute, np.exp, np.log, np.sqrt))
maximum, minimum, equal, not_equal = map(from_numpy, (np.maximum, np.minimum, np.equal, np.not_equal))
less, less_equal, greater, greater_equal = map(from_numpy, (np.less, np.less_equal, np.greater, np.greater_equal))

def reflected(op):
    """The operation with its sides swapped: for `2 - x`, Python calls `x.__rsub__(2)`."""
    return lambda a, b: op(b, a)

for _name, _op in dict(add=add, sub=subtract, mul=multiply, truediv=divide, pow=power).items():
    setattr(Tensor, f"__{_name}__", _op)
    setattr(Tensor, f"__r{_name}__", reflected(_op))
for _name, _op in dict(eq=equal, ne=not_equal, lt=less, le=less_equal, gt=greater, ge=greater_equal, neg=negative, abs=absolute).items():
    setattr(Tensor, f"__{_name}__", _op)
Tensor.exp, Tensor.log, Tensor.sqrt, Tensor.abs = exp, log, sqrt, absolute
Tensor.__hash__ = object.__hash__           # `==` compares elements; a tensor can still be the key of a dict

# %% nbgrader={"grade": true, "grade_id": "test-arithmetic", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_arithmetic():
    """Tensors add, subtract, multiply, divide and raise to powers, both ways round."""
    a, b, whole, x = Tensor([1.0, 2.0, 3.0]), Tensor([4.0, 5.0, 6.0]), Tensor([1, 2]), np.linspace(0.1, 2, 1000, dtype=float32)
    expect.close(lambda: a + b, [5, 7, 9], "addition")
    expect.close(lambda: b - a, [3, 3, 3], "subtraction")
    expect.close(lambda: a * b, [4, 10, 18], "multiplication, element by element",
                 mistaken={"@ adds the products up: here each stays by itself": 32})
    expect.close(lambda: b / a, [4.0, 2.5, 2.0], "division", mistaken={"the sides are swapped: `a` is above the line": [0.25, 0.4, 0.5],
                 "// throws the fraction away": [4, 2, 2]})
    expect.close(lambda: a ** 3, [1, 8, 27], "a cube", mistaken={"that is the square: a cube has three factors": [1, 4, 9]})
    expect.close(lambda: a ** 0.5, np.sqrt([1.0, 2.0, 3.0]), "any power",
                 mistaken={"that is still the cube: only 3 itself is a product": [1, 8, 27]})
    expect.close(lambda: a ** b, [1, 32, 729], "also one that is a tensor",
                 raises={ValueError: "b == 3 is an array where b is one: ask first whether b is a plain number"})
    expect.same(lambda: [power(x, 3).data, power(x, 3.0).data], [x * x * x] * 2, "a cube has the very bits of a * a * a",
                hint="NumPy's ** is the slow way: where b is the plain number 3, multiply")
    expect.close(lambda: [t.tolist() for t in (-a, 1 + a, 10 - a, 6 / a, 2 ** a)],
                 [[-1, -2, -3], [2, 3, 4], [9, 8, 7], [6, 3, 2], [2, 4, 8]], "a sign; a number on the left")
    expect.close(lambda: whole / Tensor([2, 2]), [0.5, 1.0], "whole numbers divide into floats")
    expect.same(lambda: ((a * np.float64(2) + 1.0).dtype, (whole + whole).dtype), (float32, int64),
                "numbers never widen a tensor, whole numbers stay whole")
    expect.same(lambda: [(t * [0.5, 0.5]).dtype for t in (whole, Tensor([1.0], dtype=float64))], [float32, float64],
                "float64 only where it was asked for")
    expect.raises(TypeError, lambda: a + [a, b], "a list of tensors is refused", match="stack")
    expect.raises(TypeError, lambda: add(a, c=b), "a setting that does not exist is refused", match="add")
test_unit_arithmetic()

# %% [markdown]
"""
### Broadcasting
Adding a row to every row of a table is so common that it needs no loop: sizes of 1 stretch. Draw it first, then write the rule.
"""

# %% tags=["analysis"]
column, row = np.array([[0], [10], [20]]), np.array([[1, 2, 3, 4]])
pictures = [(column, "(3, 1)"), (row, "(1, 4)"), (np.broadcast_to(column, (3, 4)), "stretched to (3, 4)"),
            (np.broadcast_to(row, (3, 4)), "stretched to (3, 4)"), (column + row, "the sum, (3, 4)")]
figure, axes = plt.subplots(1, 5, figsize=(12, 2.2))
for axis, (values, title) in zip(axes, pictures):
    axis.imshow(values, cmap="Blues", vmin=-4, vmax=34)
    for (i, j), value in np.ndenumerate(values):
        axis.text(j, i, f"{value:g}", ha="center", va="center")
    axis.set(title=title, xticks=[], yticks=[], xlim=(-0.5, 3.5), ylim=(2.5, -0.5), frame_on=False)
plt.show()

# %% [markdown]
"""
The rule, for any two shapes. Write them one below the other, **aligned at the right**; missing sizes on the left count as 1. Each column must hold
equal sizes, or a 1, which stretches:

```
    (8, 1, 6)              (2, 3)               (2, 3)
 +     (7, 1)           +     (3)            +     (4)
 -------------          ----------           ----------
    (8, 7, 6)              (2, 3)            3 and 4: error
```

**Your turn.** `broadcast_shape` gives the result's shape, or raises a ValueError that names the two sizes: this is the sentence that everyone who
mixes up shapes will read, so make it a good one. Begin by filling the shorter shape: `(1,) * 2 + (3,)` is `(1, 1, 3)`.
"""

# %% nbgrader={"grade": false, "grade_id": "broadcast-shape", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def broadcast_shape(a, b):
    """The shape of the result where arrays of shapes `a` and `b` (tuples) meet.  ValueError, naming both sizes, if they do not fit.

    >>> broadcast_shape((8, 1, 6), (7, 1))
    (8, 7, 6)
    """
    ### BEGIN SOLUTION
    a, b = (1,) * (len(b) - len(a)) + a, (1,) * (len(a) - len(b)) + b       # (1,) * -2 is ()
    for n, m in zip(a, b):
        if n != m and 1 not in (n, m):
            raise ValueError(f"sizes {n} and {m} differ, and neither is 1, so they cannot be broadcast")
    return tuple(m if n == 1 else n for n, m in zip(a, b))
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "test-broadcast-shape", "locked": true, "points": 10, "schema_version": 3, "solution": false, "task": false}
def test_unit_broadcast_shape():
    """Shapes are aligned at the right; a size of 1 stretches; anything else is refused."""
    expect.same(lambda: broadcast_shape((3, 1, 2), (1, 4, 2)), (3, 4, 2), "a 1 stretches, on either side", mistaken={
        "a shape is a tuple, not a list": [3, 4, 2], "a 1 stretches to the other size, not the other way round": (1, 1, 2)}, raises={
        ValueError: "equal sizes fit, and a 1 fits every size: refuse only the rest"})
    expect.same(lambda: broadcast_shape((5, 2, 3), (3,)), (5, 2, 3), "the shorter shape is aligned at the right", mistaken={
        "what the longer shape has more is lost: fill the shorter one first": (3,)}, raises={
        ValueError: "(3,) stands below the last size, not the first: the 1s go to its left",
        IndexError: "the lengths differ: fill the shorter shape with 1s"})
    expect.same(lambda: [broadcast_shape((3,), (5, 2, 3)), broadcast_shape((), (4,))], [(5, 2, 3), (4,)], "either one may be the shorter",
                hint="fill whichever shape is shorter, `a` or `b`")
    expect.same(lambda: [broadcast_shape((0, 3), (1, 3)), broadcast_shape((1,), (0,))], [(0, 3), (0,)],
                "a size of 0 is a size: 1 stretches to it", mistaken={
        "the larger of 0 and 1 is 1: take the size that is not 1": lambda got: 1 in (got[0][0], got[1][0])})
    for a, b in [((2, 3), (4,)), ((2, 4), (2, 2)), ((0,), (2,)), ((2,), (0,))]:
        expect.raises(ValueError, lambda: broadcast_shape(a, b), f"{a} and {b} do not fit",
                      hint="sizes that differ, neither of them 1, cannot meet: raise ValueError")
    expect.raises(ValueError, lambda: broadcast_shape((2, 3), (4,)), "the message says what does not fit", match="3 4",
                  hint="name both sizes in the message")
    expect.raises(ValueError, lambda: Tensor(np.ones((2, 3))) + Tensor(np.ones(4)), "the door passes your sentence on", match="add 3 4")
test_unit_broadcast_shape()

# %% [markdown]
"""
### NumPy at the door
`array * tensor`, `np.exp(tensor)`: NumPy asks the tensor what to do, through two methods. The first leads to the same door. The second refuses by
name every NumPy function that we have ourselves: it would return an array without a history, and a gradient would be lost in silence.
"""

# %%
#| export
TWINS = {"concatenate": "cat", "transpose": "permute", "swapaxes": "transpose", "broadcast_to": "expand", "sum": "x.sum"}

def _bare(x):
    """The array of a Tensor, also inside a tuple; anything else as it is."""
    return x.data if isinstance(x, Tensor) else tuple(map(_bare, x)) if type(x) is tuple else x

def _array_ufunc(self, ufunc, method, *args, **settings):
    if method != "__call__" or settings or ufunc.__name__ not in OPS:
        raise TypeError(f"np.{ufunc.__name__} does not work on tensors in this form; use x.numpy() where no gradient is needed")
    return OPS[ufunc.__name__](*args)

def _array_function(self, function, types, args, settings):
    name = function.__name__
    if ours := TWINS.get(name) or (name if name in OPS or callable(getattr(Tensor, name, None)) else None):
        raise TypeError(f"np.{name} would lose the gradient; use tinytorch's {ours}")
    args = [tuple(a) if isinstance(a, list) else a for a in args]
    result = function(*map(_bare, args), **{k: _bare(v) for k, v in settings.items()})
    tracked = any(t.requires_grad for a in (*args, *settings.values()) for t in (a if type(a) is tuple else (a,)) if isinstance(t, Tensor))
    if tracked and getattr(result, "dtype", int64).kind == "f":
        raise TypeError(f"np.{name} would lose the gradient; use x.detach() if none is needed")
    return result

Tensor.__array__ = lambda self, dtype=None, copy=None: np.array(self.data, dtype, copy=copy)
Tensor.__array_ufunc__, Tensor.__array_function__ = _array_ufunc, _array_function

# %% nbgrader={"grade": true, "grade_id": "test-numpy", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def test_unit_numpy():
    """Comparisons give truth values, and NumPy's operators come through the door."""
    x = Tensor([1.0, 2.0, 3.0])
    expect.same([c.tolist() for c in (x > 2, x >= 2, x < 2, x <= 1)],
                [[False, False, True], [False, True, True], [True, False, False], [True, False, False]], "> >= < <=")
    expect.same([(x == 2).tolist(), (x != 2).tolist(), type(np.ones(3) * x)], [[False, True, False], [True, False, True], Tensor],
                "== != and array * tensor")
    expect.close(np.array([2.0, 4.0, 6.0]) - x, [1, 2, 3], "with its sides in order")
    expect.true(np.allclose(np.asarray(x), x), "np.asarray gives the array, and what has no gradient to lose works")
    expect.raises(TypeError, lambda: np.sum(x), "np.sum is refused: it would lose the gradient", match="x.sum gradient")
    expect.raises(TypeError, lambda: np.arctan(x), "so is what we do not have", match="arctan")
test_unit_numpy()

# %% [markdown]
r"""
## 4 · Matrix multiplication
Nearly all the time of a network is spent in this one operation. Entry $(i, j)$ of the product is row $i$ of `a` times column $j$ of `b`:

$$c_{ij} = \sum_k a_{ik}\, b_{kj}$$

```
                 b  (3, 2)
                 ┌───┬───┐
                 │   │ ● │ k
                 │   │ ● │ │
                 │   │ ● │ ▼
  a (4, 3)       └───┴───┘          the inner sizes, 3 and 3, must agree
 ┌───┬───┬───┐   ┌───┬───┐
 │   │   │   │   │   │   │          (4, 3) @ (3, 2) -> (4, 2)
 │ ● │ ● │ ● │   │   │ ■ │ i
 │   │   │   │   │   │   │
 └───┴───┴───┘   └───┴───┘
   k ─────►            j    c (4, 2)
```

**Your turn.** First exactly as the formula says, with three loops and single numbers. It will be slow; it is your yardstick for what is right.
"""

# %% nbgrader={"grade": false, "grade_id": "matmul-loops", "locked": false, "schema_version": 3, "solution": true, "task": false}
def matmul_loops(a, b):
    """The product of two matrices, number by number.  Arrays (n, k), (k, m) -> (n, m).

    >>> matmul_loops(np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]))
    array([[11.]])
    """
    (n, inner), m = a.shape, b.shape[1]
    c = np.zeros((n, m), dtype=a.dtype)
    ### BEGIN SOLUTION
    for i in range(n):
        for j in range(m):
            for k in range(inner):
                c[i, j] += a[i, k] * b[k, j]
    ### END SOLUTION
    return c

# %% nbgrader={"grade": true, "grade_id": "test-matmul-loops", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_matmul_loops():
    """Three loops compute the product of two matrices."""
    class Single(np.ndarray):
        __array_ufunc__ = __array_function__ = dot = None                # its numbers can be multiplied, rows and matrices cannot
    a, b = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), np.array([[1.0, 0.0, 2.0, 0.0], [0.0, 1.0, 0.0, -1.0], [2.0, -1.0, 1.0, 1.0]])
    expect.close(lambda: matmul_loops(a, b), [[7, -1, 5, 1], [16, -1, 14, 1]], "(2, 3) @ (3, 4)", mistaken={
        "only the last k is kept: the products must add up": [[6, -3, 3, 3], [12, -6, 6, 6]],
        "nothing was added to c": lambda got: not got.any(),
        "the last k is missing: range(n) stops before n by itself": [[1, 2, 2, -2], [4, 5, 8, -5]]}, raises={
        IndexError: "i counts a's rows, j counts b's columns; k goes along a row of a and down a column of b"})
    expect.close(lambda: matmul_loops(b.T, a.T), [[7, 16], [-1, -1], [5, 14], [1, 1]], "(4, 3) @ (3, 2)")
    expect.close(lambda: matmul_loops(a.view(Single), b.view(Single)), [[7, -1, 5, 1], [16, -1, 14, 1]], "with single numbers only",
                 raises={
        TypeError: "take one number of a and one of b at a time, no whole rows or matrices"})
test_unit_matmul_loops()

# %% tags=["analysis"]
sizes = [8, 16, 32, 64]
pairs = [(np.random.rand(n, n).astype(np.float32), np.random.rand(n, n).astype(np.float32)) for n in sizes]
loops = [seconds(lambda: matmul_loops(a, b), rounds=1) for a, b in pairs]
blas = [seconds(lambda: a @ b, rounds=20) for a, b in pairs]
plt.loglog(sizes, loops, "o-", sizes, blas, "o-"); plt.legend(["three loops", "np.matmul"])
plt.xticks(sizes, sizes); plt.minorticks_off()
plt.xlabel("n, for (n, n) @ (n, n)"); plt.ylabel("seconds"); plt.show()
print(f"at n = {sizes[-1]}: np.matmul takes {loops[-1] / blas[-1]:,.0f} times less")

# %% [markdown]
"""
`a @ b` on arrays hands the work to BLAS, a library tuned for decades. So the exported operation is that, plus the error that NumPy does not give.
The commonest mistake is a weight matrix that lies the wrong way; then the *last* sizes agree, and the whole message should be
`matmul: (32, 784) @ (256, 784): inner sizes 784 and 256 differ; did you mean b.T?` (the door puts the name and the shapes in front).

**Your turn.** Compare the inner sizes, then multiply. The last size of `a` meets the second-to-last of `b`, or the only one where `b` is a vector.
A plain number cannot be matrix-multiplied: `np.ndim(a)` is 0 there.
"""

# %% nbgrader={"grade": false, "grade_id": "matmul", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
@op
def matmul(a, b):
    """a @ b for arrays: (…, n, k) @ (…, k, m) -> (…, n, m); vectors as in NumPy.  As `torch.matmul`.

    ValueError "inner sizes … and … differ" where they do, ending "; did you mean b.T?" where the last sizes agree.
    ValueError for a single number.
    """
    ### BEGIN SOLUTION
    if 0 in (np.ndim(a), np.ndim(b)):
        raise ValueError("a single number cannot be matrix-multiplied; use *")
    ours, theirs = a.shape[-1], b.shape[-min(2, b.ndim)]
    if ours != theirs:
        turned = "; did you mean b.T?" if ours == b.shape[-1] else ""
        raise ValueError(f"inner sizes {ours} and {theirs} differ{turned}")
    return a @ b
    ### END SOLUTION

@composed
def dot(a, b):
    """The dot product of two vectors, a Tensor of one number.  As `torch.dot`.  (This one is given.)"""
    if np.ndim(a) != 1 or np.ndim(b) != 1:
        raise ValueError("two vectors wanted; use @ for matrices")
    return matmul(a, b)

Tensor.__matmul__, Tensor.__rmatmul__, Tensor.matmul, Tensor.dot = matmul, reflected(matmul), matmul, dot

# %% nbgrader={"grade": true, "grade_id": "test-matmul", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_matmul():
    """@ multiplies matrices, vectors and batches, and explains sizes that do not fit."""
    def shape_or_error(a, b):                                            # of `a @ b`, for arrays of these two shapes
        try:
            return (Tensor(np.ones(a)) @ Tensor(np.ones(b))).shape
        except ValueError as error:
            return str(error)
    rng, v = np.random.default_rng(0), Tensor([1.0, 2.0, 3.0])
    a, b, c = rng.normal(size=(3, 4)).astype(float32), rng.normal(size=(4, 2)).astype(float32), Tensor(np.ones((3, 5)))
    expect.close(lambda: [Tensor(a) @ Tensor(b), a @ Tensor(b)], [matmul_loops(a, b)] * 2,
                 "the same as your three loops, an array on the left or not")
    expect.close(lambda: [v @ v, v.dot(v)], [14, 14], "two vectors give one number, their dot product",
                 hint="a vector has one size only, the inner one: in a as in b")
    expect.same(lambda: [shape_or_error((2, 3), (3,)), shape_or_error((3,), (3, 5))], [(2,), (5,)], "a matrix and a vector give a vector",
                hint="a vector has one size only, the inner one: in a as in b")
    expect.same(lambda: shape_or_error((7, 2, 3), (7, 3, 5)), (7, 2, 5), "two batches of matrices",
                hint="in a batch, too, the inner size of b is its second-to-last")
    expect.same(lambda: shape_or_error((32, 784), (256, 784)),
                "matmul: (32, 784) @ (256, 784): inner sizes 784 and 256 differ; did you mean b.T?", "a matrix that lies the wrong way",
                mistaken={
        "NumPy was asked first: compare the sizes before you multiply": lambda got: "gufunc" in got,
        "name a's inner size first, then b's": lambda got: "256 and 784" in got,
        "the last sizes agree, so b.T would fit: say so": lambda got: "b.T" not in got})
    expect.same(lambda: shape_or_error((3, 5), (4, 6)), "matmul: (3, 5) @ (4, 6): inner sizes 5 and 4 differ",
                "sizes that do not fit at all", mistaken={
        "b.T would not fit here: offer it only where the last sizes agree": lambda got: "b.T" in got})
    for left, right in [(v, Tensor(2.0)), (Tensor(2.0), v), (v, 2.0), (2.0, v)]:
        expect.raises(ValueError, lambda: left @ right, "a single number is refused, on either side", match="matmul",
                      hint="a single number has no sizes to compare: ask np.ndim of both first")
    expect.raises(ValueError, lambda: c.dot(v), "dot is for vectors", match="dot")
test_unit_matmul()

# %% [markdown]
"""
## 5 · Shapes
The numbers of an array lie in one long line, whatever its shape. A shape is only a way of reading that line: `strides` says how many bytes to skip
for a step along each axis. Changing the shape, or swapping axes, changes the description and moves nothing.
"""

# %%
numbers = np.arange(6, dtype=np.float32)
table = numbers.reshape(2, 3)
for name, array in [("numbers", numbers), ("table", table), ("table.T", table.T)]:
    print(f"{name:8} shape {str(array.shape):7} strides {array.strides}  same memory: {np.shares_memory(array, numbers)}")

# %%
#| export
def sizes_of(args):
    """Sizes given one by one or as one tuple: `reshape(2, 3)` and `reshape((2, 3))` mean the same."""
    return tuple(args[0]) if len(args) == 1 and isinstance(args[0], (tuple, list)) else args

@op
def reshape(x, *, shape):
    """The same numbers read in another shape; one size may be -1, to be worked out."""
    return x.reshape(shape)

@op
def permute(x, *, dims):
    """The axes in another order."""
    return x.transpose(dims)

@op
def expand(x, *, shape):
    """Sizes of 1 stretched to `shape`, without a copy (the result is read-only); -1 leaves a size as it is."""
    old = (1,) * (len(shape) - x.ndim) + x.shape
    return np.broadcast_to(x, [o if n == -1 else n for n, o in zip(shape, old)])

@op
def getitem(x, *, key):
    """x[key], with NumPy's rules: numbers, slices, `...`, None, truth values, lists."""
    return x[key]

@composed
def squeeze(x, dim=None):
    """The Tensor `x` without axis `dim` if its size is 1; without any axis of size 1 where `dim` is None."""
    axes = range(max(x.ndim, 1))
    drop = axes if dim is None else [axes[dim]]
    return reshape(x, shape=tuple(n for i, n in enumerate(x.shape) if n != 1 or i not in drop))

Tensor.reshape = Tensor.view = lambda x, *shape: reshape(x, shape=sizes_of(shape))
Tensor.permute = lambda x, *dims: permute(x, dims=sizes_of(dims))
Tensor.expand = lambda x, *sizes: expand(x, shape=sizes_of(sizes))
Tensor.__getitem__, Tensor.squeeze = lambda x, key: getitem(x, key=_bare(key)), squeeze

# %% [markdown]
"""
**Your turn.** Three more. Axes may be counted from the end (`-1` is the last), as everywhere; `range(n)[dim]` does the counting: `range(4)[-1]` is
3, and `range(4)[4]` an IndexError. The last two get a Tensor, work out the new shape, and return `reshape(x, shape=…)`.

* `transpose(x, dim0, dim1)` swaps two axes (`np.swapaxes`); without arguments the last two, so that in a batch every matrix is transposed.
* `unsqueeze(x, dim)` puts in an axis of size 1 at place `dim`: `(2, 3)` becomes `(1, 2, 3)`, `(2, 1, 3)` or, with `dim` 2 or -1, `(2, 3, 1)`.
* `flatten(x, start_dim, end_dim)` joins the axes from `start_dim` to `end_dim`, both included, into one (`math.prod` multiplies sizes).
"""

# %% nbgrader={"grade": false, "grade_id": "shapes", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
@op
def transpose(x, dim0=-2, dim1=-1):
    """Two axes swapped: (…, n, m) -> (…, m, n).  `x` is an array here.  As `torch.transpose`."""
    ### BEGIN SOLUTION
    return np.swapaxes(x, dim0, dim1)
    ### END SOLUTION

@composed
def unsqueeze(x, dim):
    """The Tensor `x` with a new axis of size 1 at place `dim`: (2, 3) with dim=1 -> (2, 1, 3).  As `torch.unsqueeze`."""
    ### BEGIN SOLUTION
    at = range(x.ndim + 1)[dim]
    return reshape(x, shape=(*x.shape[:at], 1, *x.shape[at:]))
    ### END SOLUTION

@composed
def flatten(x, start_dim=0, end_dim=-1):
    """The Tensor `x` with axes `start_dim` to `end_dim` joined into one: (2, 3, 4) with start_dim=1 -> (2, 12); () -> (1,)."""
    ### BEGIN SOLUTION
    axes = range(max(x.ndim, 1))
    start_dim, end_dim = axes[start_dim], axes[end_dim]
    return reshape(x, shape=(*x.shape[:start_dim], math.prod(x.shape[start_dim:end_dim + 1]), *x.shape[end_dim + 1:]))
    ### END SOLUTION

Tensor.transpose, Tensor.T, Tensor.unsqueeze, Tensor.flatten = transpose, property(transpose), unsqueeze, flatten

# %% nbgrader={"grade": true, "grade_id": "test-shapes", "locked": true, "points": 10, "schema_version": 3, "solution": false, "task": false}
def test_unit_shapes():
    """Shapes change and the numbers keep their order."""
    line, column = np.arange(24, dtype=float32), Tensor(np.ones((1, 3, 1)))
    x = Tensor(line.reshape(2, 3, 4))
    expect.close(lambda: x.T, [matrix.T for matrix in x.numpy()], "T transposes a batch matrix by matrix", mistaken={
        "swap the last two axes, do not turn all of them around": lambda got: got.shape == (4, 3, 2),
        "those are the first two axes": lambda got: got.shape == (3, 2, 4),
        "that only reads the same line in another shape: swap axes": line.reshape(2, 4, 3)})
    expect.same(lambda: [x.transpose(0, 2).shape, x.transpose(1, 0).shape], [(4, 3, 2), (3, 2, 4)], "any two axes", mistaken={
        "those are always the same two: swap dim0 and dim1": lambda got: got[0] == got[1]})
    expect.same(lambda: [t.unsqueeze(dim).shape for t, dim in ((x, 0), (x, 1), (x, 3), (x[:0], 0))],
                [(1, 2, 3, 4), (2, 1, 3, 4), (2, 3, 4, 1), (1, 0, 3, 4)], "a new axis anywhere", mistaken={
        "the new axis stands AT `dim`, what was there moves right": lambda got: got[0] == (2, 1, 3, 4),
        "there is no new axis": lambda got: got.shape == (4, 3),
        "it stands at `dim`, not always in the same place": lambda got: got[0] == got[1]}, raises={
        ValueError: "every size of x stays, and a 1 comes in between",
        IndexError: "there is one place more for a new axis than there are axes"})
    expect.same(lambda: [x.unsqueeze(dim).shape for dim in (-1, -4)], [(2, 3, 4, 1), (1, 2, 3, 4)], "-1 puts it last",
                hint="counted from the end there is one place more than there are axes")
    expect.close(lambda: x.flatten(), line, "flatten joins all axes",
                 mistaken={"the axis end_dim is joined as well": lambda got: got.shape == (6, 4)})
    expect.close(lambda: [x.flatten(1), x.flatten(-2)], [line.reshape(2, 12)] * 2, "or all from start_dim on", mistaken={
        "the axes before start_dim stay as they are": lambda got: got.shape == (2, 24),
        "the axis start_dim is joined as well": lambda got: got.shape == (2, 2, 3, 4)})
    expect.same(lambda: [x.flatten(0, 1).shape, x[:0].flatten(1).shape], [(6, 4), (0, 12)], "up to end_dim, which is joined too", mistaken={
        "the axis end_dim is joined as well": lambda got: got[0] == (2, 3, 4),
        "the axes after end_dim stay as they are": lambda got: got[0] == (24,)}, raises={
        ValueError: "-1 cannot be worked out where there are no numbers: multiply the sizes"})
    expect.same(lambda: [Tensor(data).flatten(-1).shape for data in ([6.0, 7.0], 5.0)], [(2,), (1,)],
                "a single number becomes a vector of one", raises={
        IndexError: "a single number has no axes: count as if it had one"})
    expect.true(lambda: operations(lambda: x.unsqueeze(0)) and operations(lambda: x.flatten(1)), "both pass the door",
                hint="reshape the Tensor itself: what is made of x.data does not know where it came from")
    expect.same((x.reshape(4, 6).shape, x.view((4, -1)).shape, x.permute(2, 0, 1).shape), ((4, 6), (4, 6), (4, 2, 3)),
                "reshape, view, permute")
    expect.same([t.shape for t in (column.squeeze(), column.squeeze(0), column.squeeze(1), column.expand(2, 5, -1, 4))],
                [(3,), (3, 1), (1, 3, 1), (2, 5, 3, 4)], "squeeze and expand sizes of 1")
    expect.same((x[0].shape, x[..., -1].shape, x[x > 20].shape, x[Tensor([1, 0, 1])].shape), ((3, 4), (2, 3), (3,), (3, 3, 4)), "indexing")
    expect.close(x[[0, 1], Tensor([2, 0]), 1], [9, 13], "with lists and tensors")
    for what, call in {"x[5]": lambda: x[5], "x.unsqueeze(4)": lambda: x.unsqueeze(4), "x.flatten(3)": lambda: x.flatten(3)}.items():
        expect.raises((IndexError, ValueError), call, f"{what} is out of range, and refused",
                      hint="let range(n)[dim] do the counting: it refuses what is not there")
test_unit_shapes()

# %% [markdown]
"""
## 6 · Reductions
Many numbers become few: the loss of a batch, the largest score. `dim` names the axis that *disappears*; `keepdim=True` leaves it there with size
1, so that the result still broadcasts against what it came from. That is the difference between these two lines:
"""

# %%
scores = np.array([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]], dtype=np.float32)      # (2, 3)
print("keepdims:", scores / scores.sum(axis=1, keepdims=True), sep="\n")        # (2, 3) / (2, 1): each row by its own sum
try:
    scores / scores.sum(axis=1)                                                 # (2, 3) / (2,):   2 meets 3
except ValueError as error:
    print("without: ", error)

# %%
#| export
def reduction(name, method):
    """An operation that makes few numbers of many, along `dim` (one axis, several, or all), from a method of arrays."""
    forward = lambda x, dim=None, keepdim=False: method(x, axis=dim, keepdims=keepdim)
    forward.__name__, forward.__doc__ = name, f"The {name} along `dim`; keepdim=True leaves its axis with size 1."
    return op(forward)

reduce_sum, amax, amin = reduction("sum", np.ndarray.sum), reduction("amax", np.ndarray.max), reduction("amin", np.ndarray.min)
argmax, argmin = reduction("argmax", np.ndarray.argmax), reduction("argmin", np.ndarray.argmin)     # where it stands along `dim`
Tensor.sum, Tensor.max, Tensor.min, Tensor.argmax, Tensor.argmin = reduce_sum, amax, amin, argmax, argmin

def _method(function):
    """A method that understands NumPy's spellings `axis` and `keepdims` too, for what is not an operation itself."""
    return lambda x, *args, **settings: function(x, *args, **{ALIASES.get(k, k): v for k, v in settings.items()})

# %% [markdown]
r"""
**Your turn.** `mean` is an operation on arrays, as usual. `var` is different: it gets a Tensor, and is written *with tensors and operations that
exist already* (`mean`, `reduce_sum`, `-`, `*`, `/`). What is made of operations needs no gradient of its own later on.

$$\mathrm{var}(x) = \frac{1}{\max(n - \mathrm{correction},\, 0)} \sum_i (x_i - \bar x)^2$$

`correction=1` is PyTorch's default (the mean was estimated from the same numbers, which makes the spread look a little too small). `n` is how many
numbers go into one result: the size of `x` over the size of the mean (or 1, if there are no means).
"""

# %% nbgrader={"grade": false, "grade_id": "mean-var", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
@op
def mean(x, dim=None, keepdim=False):
    """The mean along `dim` (one axis, several, or all).  `x` is an array here.

    >>> mean(Tensor([[1.0, 3.0], [5.0, 7.0]]), dim=1)
    Tensor([2., 6.])
    """
    ### BEGIN SOLUTION
    return x.mean(axis=dim, keepdims=keepdim)
    ### END SOLUTION

@composed
def var(x, dim=None, keepdim=False, correction=1):
    """The variance of the Tensor `x` along `dim`, made of Tensor operations.  As `torch.var`.

    >>> var(Tensor([1.0, 2.0, 3.0, 4.0]), correction=0)
    Tensor(1.25)
    """
    ### BEGIN SOLUTION
    center = mean(x, dim, True)
    n = x.size / max(center.size, 1)
    away = x - center
    return reduce_sum(away * away, dim, keepdim) / max(n - correction, 0)
    ### END SOLUTION

@composed
def std(x, *args, **settings):
    """The root of the variance; where that is 0, so is the slope.  As `torch.std`."""
    v = var(x, *args, **settings)
    return sqrt(v + (v == 0)) * (v != 0)                         # never the root of 0, which is infinitely steep

Tensor.mean, Tensor.var, Tensor.std = mean, _method(var), _method(std)

# %% nbgrader={"grade": true, "grade_id": "test-mean-var", "locked": true, "points": 10, "schema_version": 3, "solution": false, "task": false}
def test_unit_mean_var():
    """Reductions work along one axis, several or all, and the variance is PyTorch's."""
    x, far = Tensor([[1.0, 2.0, 3.0], [4.0, 6.0, 11.0]]), Tensor([1000.1, 1000.2, 1000.4, 1000.9])
    expect.close(lambda: x.mean(), 4.5, "the mean of all numbers", mistaken={"that is the sum: divide by how many there are": 27.0})
    expect.close(lambda: x.mean(dim=1), [2, 7], "dim=1 leaves one number a row",
                 mistaken={"that is the mean of everything: pass `dim` on": lambda got: got.ndim == 0})
    expect.close(lambda: x.mean(axis=(0, 1), keepdims=True), [[4.5]], "keepdim leaves axes of size 1",
                 mistaken={"the axes are gone: pass `keepdim` on": lambda got: got.ndim == 0})
    expect.close(lambda: x.var(dim=1), [1, 13], "divided by n - 1", mistaken={
        "divided by n: correction is 1 unless told otherwise": [2 / 3, 26 / 3],
        "n is how many numbers go into ONE result, here 3": [2 / 5, 26 / 5],
        "differences from the mean cancel: square them first": [0, 0],
        "that is the root: the variance is the mean SQUARE": np.sqrt([1.0, 13.0]),
        "take the mean away first": [7, 86.5]}, raises={ValueError: "keep the mean's axis, so that (2, 1) lines up with (2, 3)"})
    expect.close(lambda: x[None].var(dim=(0, 2), correction=0), np.var(x.numpy(), axis=1), "two axes at once, divided by n", mistaken={
        "`correction` is a setting, not always 1": [1, 13], "n is how many numbers go into ONE result, here 3": [1 / 3, 13 / 3]})
    expect.close(lambda: far.var(), np.var(far.numpy(), ddof=1, dtype=float64), "also far from 0", tol=1e-4,
                 hint="square the differences only: in large squares, small ones are lost")
    expect.same(lambda: x.var(axis=0, keepdims=True).shape, (1, 3), "keepdim reaches the variance",
                mistaken={"the axis is gone: pass `keepdim` to the sum, too": lambda got: got == (3,)})
    expect.same(lambda: Tensor(np.ones((0, 3))).var(dim=1).shape, (0,), "no rows, no variances",
                raises={ZeroDivisionError: "without rows there are 0 means: divide by 1 then"})
    with np.errstate(divide="ignore"):
        expect.close(lambda: x.var(dim=0, correction=3), [math.inf] * 3, "2 numbers, less 3",
                     mistaken={"n - correction is never below 0": lambda got: got < 0})
    expect.true(lambda: len(operations(x.var)) > 2, "made of Tensor operations",
                hint="compute with Tensors: what is made of x.data does not know where it came from")
    expect.close(lambda: x.std(dim=1), np.sqrt([1.0, 13.0]), "std is its root")
    expect.same(lambda: x.var().dtype, float32, "float32 stays float32")
    expect.close([(x * 2).sum(dim=0), x.max(dim=0) - x.min(dim=0)], [[10, 16, 28], [3, 4, 8]], "sum, max and min")
    expect.same((x.argmax().item(), x.argmax(dim=1).tolist(), x.argmin(dim=0, keepdim=True).tolist()), (5, [2, 2], [[0, 0, 0]]),
                "argmax, argmin")
    expect.close([x.log().exp().sqrt() ** 2, abs(-x)], [x.numpy()] * 2, "log, exp, sqrt, abs", tol=1e-4)
    expect.raises(IndexError, lambda: x.sum(dim=5), "an axis that is not there", match="sum (2, 3)")
test_unit_mean_var()

# %% [markdown]
"""
## 7 · Choosing and joining
**Your turn.** Four short ones; `cat` is given. `where(condition, a, b)` takes from `a` where the condition holds and from `b` elsewhere;
`masked_fill(x, mask, value)` puts `value` where the mask holds, and `clip(x, min, max)` cuts off at both ends (either may be None). `stack` joins
tensors along a *new* axis, `cat` along one that exists: with `unsqueeze`, one is made of the other.
"""

# %% nbgrader={"grade": false, "grade_id": "choosing", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
@op
def concatenate(*arrays, dim=0):
    """Arrays, given one by one, joined along axis `dim`."""
    return np.concatenate(arrays, dim), {"sizes": [a.shape[dim] for a in arrays]}

@composed
def cat(tensors, dim=0, *, axis=None):
    """The Tensors of a list joined along an axis that they have: (2, 3) and (4, 3) -> (6, 3).  As `torch.cat`."""
    return concatenate(*tensors, dim=dim if axis is None else axis)

@op
def where(condition, a, b):
    """`a` where `condition` holds, else `b`, element by element; all three are arrays (or numbers) here.  As `torch.where`."""
    ### BEGIN SOLUTION
    return np.where(condition, a, b)
    ### END SOLUTION

def masked_fill(x, mask, value):
    """A new Tensor: `value` where the Tensor `mask` holds, the Tensor `x` elsewhere.  As `torch.Tensor.masked_fill`."""
    ### BEGIN SOLUTION
    return where(mask, value, x)
    ### END SOLUTION

@op
def clip(x, min=None, max=None):
    """A new array: `x` with what lies outside [min, max] cut off; None is no limit.  As `torch.clip`."""
    ### BEGIN SOLUTION
    x = x if min is None else np.maximum(x, min)
    return x if max is None else np.minimum(x, max)
    ### END SOLUTION

@composed
def stack(tensors, dim=0):
    """A list of Tensors of one shape joined along a new axis `dim`: three of (2, 4) -> (3, 2, 4).  As `torch.stack`."""
    ### BEGIN SOLUTION
    return cat([unsqueeze(t, dim) for t in tensors], dim)
    ### END SOLUTION

concatenate.__name__ = "cat"            # what errors call it
Tensor.masked_fill, Tensor.clip, Tensor.clamp = masked_fill, clip, clip

# %% nbgrader={"grade": true, "grade_id": "test-choosing", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
def test_unit_choosing():
    """where, masked_fill and clip choose numbers; cat and stack join tensors."""
    x, a, b = Tensor([-2.0, -0.5, 0.5, 2.0]), Tensor([[1.0, 2.0]]), Tensor([[3.0, 4.0]])
    expect.close(lambda: where(x > 0, x, Tensor([3.0, 4.0, 5.0, 6.0])), [3, 4, 0.5, 2], "from a where it holds, else from b",
                 mistaken={"a and b are the wrong way round": [-2, -0.5, 5, 6]})
    expect.close(lambda: x.masked_fill(x < 0, -math.inf), [-math.inf, -math.inf, 0.5, 2], "value where the mask holds", mistaken={
        "value belongs where the mask holds, x where it does not": [-2, -0.5, -math.inf, -math.inf],
        "x was multiplied: infinity times 0 is nan": lambda got: np.isnan(got).any()})
    expect.close(x, [-2, -0.5, 0.5, 2], "and x itself is as it was", hint="that wrote into x: make a new tensor")
    expect.close(lambda: x.clip(-1, 1), [-1, -0.5, 0.5, 1], "both ends cut off", mistaken={
        "at the lower end the LARGER of x and min stays": [-2, -1, -1, -1], "the lower end is not cut off": lambda got: got.min() < -1,
        "the upper end is not cut off": lambda got: got.max() > 1})
    expect.close(x, [-2, -0.5, 0.5, 2], "and x itself is as it was", hint="that wrote into x: make a new array")
    expect.close(lambda: [x.clip(min=0), x.clip(max=0)], [[0, 0, 0.5, 2], [-2, -0.5, 0, 0]], "one end, or the other", mistaken={
        "0 is a limit like any other: only None is none": lambda got: np.array_equal(got[0], x.numpy()) or np.array_equal(got[1],
        x.numpy())}, raises={TypeError: "None is no limit: look for it before you compare"})
    expect.close(lambda: stack([a, b]), [[[1, 2]], [[3, 4]]], "stack makes a new axis",
                 mistaken={"that is cat: each tensor needs its new axis first": lambda got: got.shape == (2, 2)})
    expect.close(lambda: [stack([a, b], dim) for dim in (-1, 2)], [[[[1, 3], [2, 4]]]] * 2, "anywhere, also counted from the end",
                 mistaken={
        "cat joins along the new axis, so it needs the same dim": lambda got: got.shape[1:] == (2, 2, 1),
        "the new axis of each tensor belongs at dim, too": lambda got: got.shape[1:] == (1, 1, 4)})
    for what, call in dict(masked_fill=lambda: x.masked_fill(x < 0, 0.0), stack=lambda: stack([a, b])).items():
        expect.true(operations(call), f"{what} passes the door",
                    hint="join operations of ours: what is made of x.data does not know where it came from")
    expect.close(cat([a, b], axis=1), [[1, 2, 3, 4]], "cat joins along one that exists")
    expect.raises(ValueError, lambda: cat([a, Tensor([1.0])]), "which all of them must have", match="cat")
test_unit_choosing()

# %% [markdown]
"""
### Tensors from nothing
Last, the usual ways to make one, sizes given one by one or as a tuple. Random numbers all come from **one generator**: `manual_seed(0)` makes
everything after it repeat, and `generator=` is for those who want one of their own. A tensor can be pickled and copied as long as it is a *leaf*,
not computed from others: a computed one would drag its whole history along, so it says what to do instead.
"""

# %%
#| export
default_generator = np.random.default_rng()
if hasattr(os, "register_at_fork"):                              # else what is forked while a thread draws would wait for ever for its lock
    _lock = default_generator.bit_generator.lock
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)

def manual_seed(seed):
    """Start the common generator anew, so that everything random after this repeats.  As `torch.manual_seed`."""
    default_generator.bit_generator.state = np.random.default_rng(seed).bit_generator.state
    return default_generator

def tensor(data, dtype=None, requires_grad=False):
    """A Tensor with a copy of `data`.  As `torch.tensor`."""
    return Tensor(Tensor(data, dtype=dtype).copy(), requires_grad)

@composed
def arange(start, end=None, step=1, dtype=None, requires_grad=False):
    """start, start + step, … up to but without `end`: arange(3) -> [0, 1, 2].  As `torch.arange`."""
    return Tensor(np.arange(0, start, step) if end is None else np.arange(start, end, step), requires_grad, dtype)

@composed
def rand(*size, dtype=float32, requires_grad=False, generator=None):
    """Random numbers, uniform in [0, 1).  As `torch.rand`."""
    return Tensor((generator or default_generator).random(sizes_of(size), dtype=dtype), requires_grad, dtype)

@composed
def randn(*size, dtype=float32, requires_grad=False, generator=None):
    """Random numbers from the normal distribution with mean 0 and variance 1.  As `torch.randn`."""
    return Tensor((generator or default_generator).standard_normal(sizes_of(size), dtype=dtype), requires_grad, dtype)

# %%
#| export
@composed
def full(size, fill_value, dtype=None, requires_grad=False):
    """A Tensor of shape `size` that holds `fill_value` everywhere.  As `torch.full`."""
    return Tensor(np.full(size, fill_value), requires_grad, dtype)

@composed
def zeros(*size, dtype=float32, requires_grad=False):
    """Zeros: zeros(2, 3) or zeros((2, 3)).  As `torch.zeros`."""
    return Tensor(np.zeros(sizes_of(size), dtype), requires_grad, dtype)

@composed
def ones(*size, dtype=float32, requires_grad=False):
    """Ones: ones(2, 3) or ones((2, 3)).  As `torch.ones`."""
    return Tensor(np.ones(sizes_of(size), dtype), requires_grad, dtype)

@composed
def eye(n, m=None, dtype=float32, requires_grad=False):
    """The identity matrix (n, m): ones on the diagonal, zeros elsewhere.  As `torch.eye`."""
    return Tensor(np.eye(n, m), requires_grad, dtype)

def _reduce(self):
    if self.node is not None:
        raise TypeError("only leaf tensors can be copied or pickled; use x.detach()")
    return type(self), (self.data, self.requires_grad, self.dtype), (None, {"grad": None if self.grad is None else self.grad.detach()})

def _copy(self):
    make, how, _ = _reduce(self)
    return make(*how)                                            # the same numbers, and a gradient of its own

Tensor.__reduce__, Tensor.__copy__ = _reduce, _copy

# %% nbgrader={"grade": true, "grade_id": "test-module", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def test_module():
    """Everything together: a small network's forward pass, with nothing but tensors."""
    import copy
    manual_seed(0)
    x, w1, w2, data = randn(5, 8), randn(8, 16), randn(16, 3), np.ones(2, dtype=np.float32)
    hidden = (x @ w1).clip(min=0)                                        # (5, 8) @ (8, 16) -> (5, 16)
    scores = hidden @ w2 - full((3,), 1.0)                               # (5, 16) @ (16, 3) -> (5, 3)
    e = (scores - scores.max(dim=1, keepdim=True)).exp()
    chances = e / e.sum(dim=1, keepdim=True)
    expect.close(chances.sum(dim=1), np.ones(5), "each row of probabilities adds up to one")
    manual_seed(0)
    expect.close(randn(5, 8), x.numpy(), "the same seed gives the same numbers")
    rng = np.random.default_rng
    expect.close([rand(2, generator=rng(1)), randn(2, generator=rng(1))], [rng(1).random(2, float32), rng(1).standard_normal(2, float32)],
                 "so does a generator")
    expect.same([t.dtype for t in (zeros(2), ones((2, 2)), eye(2), rand(2), full((2,), 1.5), arange(3))], [float32] * 5 + [int64],
                "float32, but for arange(3)")
    expect.same([arange(3).tolist(), arange(1, 2, 0.5).tolist()], [[0, 1, 2], [1.0, 1.5]], "arange")
    expect.close(stack([zeros(3), ones(3)]) @ eye(3), [[0] * 3, [1] * 3], "zeros, ones, eye")
    expect.raises(TypeError, lambda: np.where(x > 0, x, x), "np.where has a twin of our own", match="where gradient")
    expect.true(tensor(data).data is not data and Tensor(data).data is data, "tensor(…) copies, Tensor(…) does not")
    expect.close([copy.deepcopy(x), copy.copy(x)], [x.numpy()] * 2, "a leaf can be copied")
    expect.same(operations(lambda: x.exp().sum()), ["exp", "sum"], "who sits around the door sees every operation")
test_module()

# %% [markdown]
"""
### What it costs
The door adds a few function calls to every operation. From how many numbers on does that no longer count on your machine?
"""

# %% tags=["analysis"]
sizes, ours, theirs = [4, 64, 1_024, 16_384, 262_144, 1_048_576], [], []
for n in sizes:
    a = np.random.rand(n).astype(np.float32)
    t, times = Tensor(a), max(1, 20_000 // n)
    ours.append(seconds(lambda: [t + t for _ in range(times)]) / times)
    theirs.append(seconds(lambda: [a + a for _ in range(times)]) / times)
plt.loglog(sizes, ours, "o-", sizes, theirs, "o-"); plt.legend(["Tensor + Tensor", "array + array"])
plt.xlabel("numbers in each"); plt.ylabel("seconds"); plt.show()
print("times NumPy:", "  ".join(f"{n:,}: {o / t:.1f}" for n, o, t in zip(sizes, ours, theirs)))

# %% [markdown]
"""
## 8 · In your own words
**Question 1.** `x` has shape (32, 10). You want to subtract from each row its own mean. Why does `x - x.mean(dim=1)` fail, why would
`x - x.mean(dim=1)` *not* fail but be wrong if `x` had shape (10, 10), and what do you write instead?
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-keepdim", "locked": false, "points": 6, "schema_version": 3, "solution": true, "task": false}
"""
The mean has shape (32,). Aligned at the right, 32 meets 10, and neither is 1: an error. With (10, 10) the mean has shape (10,) and lines up with the
*columns*: number j is taken from column j instead of row j, silently. `keepdim=True` gives (32, 1), which stretches along the row it came from.
"""

# %% [markdown]
"""
**Question 2.** A network has 100 million parameters. How many megabytes are they in float32 and in float64? Name one thing besides memory that
float32 gains, and one kind of computation in this course for which you would still choose float64.
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "question-float32", "locked": false, "points": 6, "schema_version": 3, "solution": true, "task": false}
"""
400 MB and 800 MB. The processor handles twice as many float32 numbers in one step, and half as many bytes have to travel from memory, so it is
faster too. Checking gradients by small differences needs float64: the differences are lost in float32's rounding.
"""

# %% [markdown]
"""
## Where you are
You have a tensor with a block of memory and a description of it, some thirty operations, and one door through which they all pass. Next:
`tito module complete 01` puts this into your own `tinytorch` package, and module 02 imports it from there.
"""
