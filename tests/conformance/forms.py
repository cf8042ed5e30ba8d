"""How inputs are made: shapes that fit an operation, settings that fit the shapes, and arrays in every layout that memory can have."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

import tinytorch as tt
from tests.conformance import settings as given
from tests.conformance.operations import Operation

Shape = tuple[int, ...]
Draw = Callable[[st.SearchStrategy[Any]], Any]
SIZES = st.sampled_from((2, 3, 1, 4, 0))
FLOATS = st.sampled_from((np.dtype("float32"), np.dtype("float64")))


@dataclass
class Case:
    """What an operation is called with: inputs, which may have gradients, and settings by name."""

    arrays: list[np.ndarray]
    settings: dict[str, Any]

    def __repr__(self) -> str:
        return f"Case({', '.join(f'{a.dtype}{a.shape} strides {a.strides}' for a in self.arrays)}, {self.settings})"


def shape(draw: Draw, least: int = 0, most: int = 3) -> Shape:
    """Any shape of `least` to `most` axes; sizes 0 and 1 among them."""
    return tuple(draw(st.lists(SIZES, min_size=least, max_size=most)))


def broadcasting(draw: Draw, count: int) -> list[Shape]:
    """Shapes that broadcast: axes left out on the left, or of size 1."""
    whole = shape(draw)
    cut = [draw(st.sampled_from((0, 0, len(whole)))) and draw(st.integers(0, len(whole))) for _ in range(count)]
    return [tuple(1 if draw(st.integers(0, 3)) == 3 else n for n in whole[k:]) for k in cut]


def product(draw: Draw) -> list[Shape]:
    """Two shapes for @: vectors, matrices, batches of them that broadcast."""
    n, k, m = draw(SIZES), draw(SIZES), draw(SIZES)
    left, right = draw(st.sampled_from((((n, k), (k, m)), ((k,), (k, m)), ((n, k), (k,)), ((k,), (k,)))))
    before, after = broadcasting(draw, 2)
    return [(before if len(left) == 2 else ()) + left, (after if len(right) == 2 else ()) + right]


def matrices(draw: Draw) -> list[Shape]:
    """Two matrices for @."""
    n, k, m = draw(SIZES), draw(SIZES), draw(SIZES)
    return [(n, k), (k, m)]


def linear(draw: Draw) -> list[Shape]:
    """x (…, in), w (in, out), and a bias (out,) or none."""
    fan_in, fan_out = draw(SIZES.filter(bool)), draw(SIZES.filter(bool))
    return [(*shape(draw, 0, 2), fan_in), (fan_in, fan_out), *[(fan_out,)] * draw(st.integers(0, 1))]


def joined(draw: Draw) -> list[Shape]:
    """One to three shapes that differ along one axis at most."""
    first = shape(draw, 1)
    at = draw(st.integers(0, len(first) - 1))
    return [first, *((*first[:at], draw(SIZES), *first[at + 1:]) for _ in range(draw(st.integers(0, 2))))]


def classes(draw: Draw) -> list[Shape]:
    """Scores (C,), (N, C) or (N, C, …), of one class at least."""
    count = draw(SIZES.filter(bool))
    return [(count,) if draw(st.integers(0, 3)) == 3 else (draw(SIZES), count, *shape(draw, 0, 1))]


def images(draw: Draw, batch: bool = False, sides: tuple[int, ...] = (1, 2, 3, 5, 6)) -> Shape:
    """(N, C, H, W), or without N; N may be 0."""
    side = st.sampled_from(sides)
    single = not batch and draw(st.integers(0, 4)) == 4
    return (*(() if single else (draw(st.sampled_from((2, 1, 3, 0))),)), draw(st.integers(1, 3)), draw(side), draw(side))


def convolution(draw: Draw, axes: int = 2) -> list[Shape]:
    """x (N, C, …) or without N, w (O, C / groups, …), and perhaps a bias (O,); the kernel may be too large."""
    groups, fan_in, out = (draw(st.sampled_from(some)) for some in ((1, 1, 2, 3), (1, 2), (1, 2)))
    front, side = images(draw)[:-2], st.sampled_from((3, 5, 6, 2))
    x = (*front[:-1], groups * fan_in, *(draw(side) for _ in range(axes)))
    w = (groups * out, fan_in, *(draw(st.integers(1, 3)) for _ in range(axes)))
    return [x, w, *[w[:1]] * draw(st.integers(0, 1))]


def columns(draw: Draw) -> list[Shape]:
    """Columns of patches of 2 x 3 numbers from images of 5 x 6 places, as many as the settings of `columns` ask for."""
    return [(draw(st.sampled_from((2, 1))), 6 * draw(st.integers(1, 2)), draw(st.sampled_from((16, 4, 20))))]


def channels(draw: Draw) -> list[Shape]:
    """x (N, C, …), and a weight and a bias, or none."""
    x = (draw(st.sampled_from((4, 3, 2))), draw(st.integers(1, 3)), *shape(draw, 0, 2))
    return [x, *[x[1:2]] * (2 * draw(st.integers(0, 1)))]


def tables(draw: Draw) -> list[Shape]:
    """A table (words, dim): few rows, or more than are added up by a product."""
    return [(draw(st.sampled_from((3, 1, 70, 5))), draw(st.sampled_from((2, 1, 4))))]


def sequences(draw: Draw) -> list[Shape]:
    """x (…, T, D) of an even number of columns, with no more than 5 positions."""
    return [(*shape(draw, 0, 2), draw(st.sampled_from((3, 1, 5, 0))), draw(st.sampled_from((2, 4, 6))))]


def looked_up(draw: Draw, front: bool = True) -> list[Shape]:
    """Queries (…, T, D), keys (…, S, D) and values (…, S, E), of one place at least."""
    some = st.integers(1, 4)
    before, t, s, d, e = shape(draw, 0, 2) if front else (), draw(some), draw(some), draw(some), draw(some)
    return [(*before, t, d), (*before, s, d), (*before, s, e)]


def side_by_side(draw: Draw) -> list[Shape]:
    """Queries, keys and values of at least one place, side by side: (B, T, 3·C)."""
    return [(draw(st.sampled_from((2, 1, 0))), draw(st.sampled_from((1, 2, 5, 40))), 3 * draw(st.sampled_from((6, 1, 2))))]


def attention_layer(draw: Draw) -> list[Shape]:
    """x (B, T, C), and weights and biases for 3·C numbers and for C."""
    c = draw(st.sampled_from((6, 2, 1)))
    return [(draw(st.sampled_from((2, 1))), draw(st.integers(1, 4)), c), (c, 3 * c), (3 * c,), (c, c), (c,)]


def normalised(draw: Draw, parameters: int) -> list[Shape]:
    """x, of one number at least in the axes that are normalised (one or two), and up to so many parameters of their shape."""
    last = shape(draw, 1, 2)
    last = tuple(n or 5 for n in last)
    return [(*shape(draw, 0, 2), *last), *[last] * draw(st.integers(0, parameters))]


ONE = lambda draw: [shape(draw)]                                    # noqa: E731
AXES = lambda draw: [shape(draw, 1)]                                # noqa: E731
TWO = lambda draw: broadcasting(draw, 2)                            # noqa: E731
NONE = lambda draw, shapes: {}                                      # noqa: E731
SHAPES_AND_SETTINGS: dict[str, tuple[Callable[[Draw], list[Shape]], Callable[[Draw, list[Shape]], dict[str, Any]]]] = {
    "one": (ONE, NONE), "pair": (TWO, NONE), "number": (ONE, given.number), "product": (product, NONE), "linear": (linear, NONE),
    "matrices": (matrices, NONE), "alike": (lambda draw: [shape(draw)] * 2, NONE), "vectors": (lambda draw: [(draw(SIZES),)] * 2, NONE),
    "compared": (lambda draw: [shape(draw)] * 2, given.reduction),
    "classes": (classes, given.targets), "matrix": (lambda draw: [shape(draw, 2, 4)], NONE), "reshape": (ONE, given.reshape),
    "permute": (ONE, given.permute), "expand": (ONE, given.expand), "key": (ONE, given.key), "squeeze": (ONE, given.squeeze),
    "swap": (AXES, given.swap), "unsqueeze": (ONE, given.unsqueeze), "flatten": (ONE, given.flatten), "reduced": (ONE, given.reduced),
    "reduced to one": (ONE, given.reduced_to_one), "axis": (ONE, given.axis), "joined": (joined, given.joined),
    "stacked": (lambda draw: [shape(draw)] * draw(st.integers(1, 3)), given.stacked), "chosen": (TWO, given.condition),
    "masked": (ONE, given.masked), "clip": (ONE, given.clip), "images": (lambda draw: [images(draw)], NONE),
    "convolution": (convolution, given.convolution), "named padding": (convolution, given.named_padding),
    "convolution of lines": (lambda draw: convolution(draw, 1), given.convolution_of_lines),
    "small convolution": (lambda draw: [(2, 2, 4, 3), (2, 2, *(draw(st.integers(1, 5)) for _ in range(2)))], NONE),
    "patches": (lambda draw: [images(draw, batch=True)], given.patches), "columns": (columns, given.columns),
    "pool": (lambda draw: [images(draw)], given.pool), "spread pool": (lambda draw: [images(draw)], given.spread_pool),
    "channels": (channels, NONE),
    "ids": (tables, given.ids), "sequence": (sequences, given.start),
    "sequence and table": (lambda draw: [(draw(st.sampled_from((3, 1, 5))), 4), (9, 4)], given.start),
    "ids and positions": (lambda draw: [(draw(st.sampled_from((3, 70))), 4), (9, 4)], given.ids_at),
    "known channels": (channels, given.statistics),
    "one image a line": (lambda draw: [(draw(st.sampled_from((3, 2, 1))), 2, *shape(draw, 0, 1))], NONE),
    "looked up": (looked_up, given.looked_up), "looked up once": (lambda draw: looked_up(draw, front=False), NONE),
    "scores": (lambda draw: [(*shape(draw, 0, 2), draw(st.integers(1, 4)), draw(st.integers(1, 4)))], given.mask),
    "heads": (lambda draw: [(*shape(draw, 1, 3), draw(st.sampled_from((6, 2, 1))))], given.heads),
    "split heads": (lambda draw: [(*shape(draw, 0, 1), draw(st.integers(1, 3)), *shape(draw, 2, 2))], NONE),
    "side by side": (side_by_side, given.side_by_side),
    "attention layer": (attention_layer, given.attention_layer),
    "normalised": (lambda draw: normalised(draw, 2), given.normalised), "scaled": (lambda draw: normalised(draw, 1), given.normalised),
    "last axes": (lambda draw: normalised(draw, 0), given.normalised),
    "batch of images": (lambda draw: [images(draw, batch=True)], NONE),
}


def values(rng: np.random.Generator, operation: Operation, size: Shape, dtype: np.dtype[Any], coarse: bool) -> np.ndarray:
    """Numbers in the operation's range; coarse ones are quarters, so that many are equal, or at a corner."""
    low, high = operation.low, operation.high
    if dtype.kind == "b":
        return rng.random(size) < 0.5 if low <= 0 else np.ones(size, bool)
    if dtype.kind == "i":
        return rng.integers(math.ceil(low), math.floor(high) + 1, size)
    if coarse:
        return (rng.integers(math.ceil(low * 4), math.floor(high * 4) + 1, size) / 4).astype(dtype)
    return rng.uniform(low, high, size).astype(dtype)


def laid_out(array: np.ndarray, layout: str) -> np.ndarray:
    """The same numbers, otherwise in memory: transposed, every second one of a larger array, backwards, or not to be written to."""
    if layout == "transposed":
        return np.asfortranarray(array) if array.ndim else array
    if layout == "stepped":
        within = np.full([2 * n for n in array.shape], 77, array.dtype)
        view = within[(slice(None, None, 2),) * array.ndim or (...,)]
        view[...] = array
        return view
    if layout == "backwards":
        turn = (slice(None, None, -1),) * array.ndim or (...,)
        return array[turn].copy()[turn]
    if layout == "read-only":
        array.flags.writeable = False
    return array


LAYOUTS = st.sampled_from(("contiguous", "transposed", "stepped", "backwards", "read-only"))
MIXED = ("pair", "chosen", "stacked")               # operations whose inputs may have different dtypes


@st.composite
def cases(draw: Draw, operation: Operation, dtype: str | None = None, coarse: bool | None = None) -> Case:
    """Inputs and settings for an operation; the layouts and the numbers differ, and unless a `dtype` is given the dtypes too."""
    make, settle = SHAPES_AND_SETTINGS[operation.form]
    shapes = make(draw)
    settings = settle(draw, shapes) | {name: draw(st.sampled_from(choices)) for name, choices in operation.extra}
    dtypes = st.just(np.dtype(dtype)) if dtype else st.sampled_from(operation.kinds).flatmap(
        lambda kind: FLOATS if kind == "f" else st.just(np.dtype("int64" if kind == "i" else bool)))
    rng, shared = np.random.default_rng(draw(st.integers(0, 2 ** 32))), draw(dtypes)
    rough = draw(st.booleans()) if coarse is None else coarse
    each = [values(rng, operation, s, draw(dtypes) if operation.form in MIXED else shared, rough) for s in shapes]
    return Case([laid_out(np.asarray(array), draw(LAYOUTS)) for array in each], settings)


def sloped(draw: Draw, operation: Operation) -> tuple[Case, list[bool]]:
    """A case in float64, away from corners, with a finite result; and which of its inputs, at least one, have a gradient."""
    case = draw(cases(operation, dtype="float64", coarse=False))
    assume(not operation.refuses(case.arrays, case.settings))
    wanted = draw(st.lists(st.booleans(), min_size=len(case.arrays), max_size=len(case.arrays)).filter(any))
    try:
        assume(np.isfinite(operation.ours(*(tt.Tensor(a, dtype=a.dtype) for a in case.arrays), **case.settings).numpy()).all())
    except (ValueError, IndexError):                # the largest of no numbers, and the like
        assume(False)
    return case, wanted
