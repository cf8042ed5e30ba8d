"""Settings that fit given shapes: axes from both ends, keys, targets, limits.  Each takes hypothesis's `draw` and the inputs' shapes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

Shape = tuple[int, ...]
Shapes = list[Shape]
Draw = Callable[[st.SearchStrategy[Any]], Any]
Settings = dict[str, Any]
NUMBERS = (2, -1, 0, 1.5, -0.25, 0.0)


def place(draw: Draw, axes: int) -> int:
    """An axis, counted from the front or from the end; a single number has one, as in torch and NumPy."""
    axes = max(axes, 1)
    return draw(st.integers(-axes, axes - 1))


def number(draw: Draw, shapes: Shapes) -> Settings:
    return {"number": draw(st.sampled_from(NUMBERS))}


def reduction(draw: Draw, shapes: Shapes) -> Settings:
    return {"reduction": draw(st.sampled_from(("mean", "sum", "none")))}


def targets(draw: Draw, shapes: Shapes) -> Settings:
    """Class numbers that fit the scores, some of them ignored."""
    scores = shapes[0]
    classes, size = (scores[0], ()) if len(scores) == 1 else (scores[1], (scores[0], *scores[2:]))
    ignored = draw(st.sampled_from((-100, 0, classes - 1)))
    found = np.random.default_rng(draw(st.integers(0, 999))).integers(0, classes, size)
    if draw(st.booleans()) and found.size > 1:
        found[(0,) * found.ndim] = ignored
    return {"targets": np.asarray(found), "ignore_index": ignored} | reduction(draw, shapes)


def axis(draw: Draw, shapes: Shapes) -> Settings:
    return {"dim": place(draw, len(shapes[0]))}


def reduced_to_one(draw: Draw, shapes: Shapes) -> Settings:
    """One axis or all of them; kept or not."""
    return {"dim": None if draw(st.booleans()) else place(draw, len(shapes[0])), "keepdim": draw(st.booleans())}


def reduced(draw: Draw, shapes: Shapes) -> Settings:
    """One axis, several of them in any order, or all; kept or not."""
    chosen, count = reduced_to_one(draw, shapes), len(shapes[0])
    if count and draw(st.booleans()):
        some = draw(st.permutations(range(count)))[:draw(st.integers(1, count))]
        chosen["dim"] = tuple(d - count * draw(st.integers(0, 1)) for d in some)
    return chosen


def reshape(draw: Draw, shapes: Shapes) -> Settings:
    """All in one row, the sizes the other way round, a size of 1 more; one of them perhaps as -1."""
    old = shapes[0]
    new = list(draw(st.sampled_from(((math.prod(old),), old[::-1], (1, *old), (*old, 1)))))
    at = draw(st.integers(0, max(len(new) - 1, 0)))
    if new and math.prod(n for i, n in enumerate(new) if i != at) and draw(st.booleans()):
        new[at] = -1
    return {"shape": tuple(new)}


def permute(draw: Draw, shapes: Shapes) -> Settings:
    count = len(shapes[0])
    return {"dims": tuple(d - count * draw(st.integers(0, 1)) for d in draw(st.permutations(range(count))))}


def expand(draw: Draw, shapes: Shapes) -> Settings:
    """Sizes of 1 become any size, others stay (or are given as -1), and there may be more in front."""
    wider = [draw(st.sampled_from((0, 1, 3))) if n == 1 else draw(st.sampled_from((n, -1))) for n in shapes[0]]
    return {"shape": (*draw(st.lists(st.sampled_from((1, 2, 0)), max_size=2)), *wider)}


def squeeze(draw: Draw, shapes: Shapes) -> Settings:
    return axis(draw, shapes) if draw(st.booleans()) else {}


def swap(draw: Draw, shapes: Shapes) -> Settings:
    return {"dim0": place(draw, len(shapes[0])), "dim1": place(draw, len(shapes[0]))}


def unsqueeze(draw: Draw, shapes: Shapes) -> Settings:
    return {"dim": place(draw, len(shapes[0]) + 1)}


def stacked(draw: Draw, shapes: Shapes) -> Settings:
    return unsqueeze(draw, shapes)


def joined(draw: Draw, shapes: Shapes) -> Settings:
    """The axis along which the shapes differ, or any if they do not."""
    differ = [i for i, sizes in enumerate(zip(*shapes)) if len(set(sizes)) > 1]
    at = differ[0] if differ else place(draw, len(shapes[0]))
    return {"dim": at - len(shapes[0]) if at >= 0 and draw(st.booleans()) else at}


def flatten(draw: Draw, shapes: Shapes) -> Settings:
    count = max(len(shapes[0]), 1)
    first = draw(st.integers(0, count - 1))
    last = draw(st.integers(first, count - 1))
    return {"start_dim": first - count * draw(st.integers(0, 1)), "end_dim": last - count * draw(st.integers(0, 1))}


def truths(draw: Draw, size: Shape) -> np.ndarray:
    return np.asarray(np.random.default_rng(draw(st.integers(0, 999))).random(size) < 0.5)


def fitting(draw: Draw, whole: Shape) -> Shape:
    """A shape that broadcasts to `whole`."""
    return tuple(1 if draw(st.integers(0, 2)) == 2 else n for n in whole[draw(st.integers(0, len(whole))):])


def condition(draw: Draw, shapes: Shapes) -> Settings:
    """Truth values that broadcast with both inputs."""
    return {"condition": truths(draw, fitting(draw, np.broadcast_shapes(*shapes)))}


def masked(draw: Draw, shapes: Shapes) -> Settings:
    """A mask that broadcasts with the input, which may have to stretch itself."""
    size = fitting(draw, shapes[0]) if draw(st.booleans()) else (draw(st.sampled_from((1, 2))), *shapes[0])
    return {"mask": truths(draw, size), "value": draw(st.sampled_from((7.0, -math.inf, 0, 2)))}


def clip(draw: Draw, shapes: Shapes) -> Settings:
    """Two limits or one, 0 among them."""
    ends = {"min": draw(st.sampled_from((-0.5, 0, 0.0, -1))), "max": draw(st.sampled_from((0.5, 0, 1, 1.25)))}
    return {name: ends[name] for name in draw(st.sampled_from((("min", "max"), ("min",), ("max",))))}


def of_one_axis(draw: Draw, size: int) -> Any:
    """What may stand in a key for an axis: a number, a slice, or a list of numbers that may repeat."""
    whole = slice(*draw(st.sampled_from(((None,), (1, None), (None, None, 2), (-2, 9), (2, 1)))))
    one = draw(st.integers(-size, size - 1)) if size else whole
    return draw(st.sampled_from((whole, one, whole)))


def key(draw: Draw, shapes: Shapes) -> Settings:
    """Numbers, slices, `...`, None, and at most one list or mask among slices (see test_where_we_differ of lists among numbers)."""
    size, parts = shapes[0], []
    several = draw(st.integers(0, len(size)))                       # how many axes are named from the front
    kind = draw(st.sampled_from(("basic", "basic", "list", "table", "mask")))
    for n in size[:several]:
        parts.append(of_one_axis(draw, n))
    if kind != "basic" and size:
        at = draw(st.integers(0, max(several - 1, 0)))
        parts = [p if isinstance(p, slice) else slice(None) for p in parts] or [slice(None)]
        if kind == "mask":
            parts[at] = truths(draw, (size[at],))
        elif size[at]:
            shape = (4,) if kind == "list" else (2, 2)
            parts[at] = np.random.default_rng(draw(st.integers(0, 999))).integers(-size[at], size[at], shape)
    for extra in draw(st.sampled_from(((), (None,), (...,), ()))):
        at_the_end = extra is ... and len(parts) < len(size)        # before them, `...` would move the others to other axes
        parts.insert(len(parts) if at_the_end else draw(st.integers(0, len(parts))), extra)
    return {"key": tuple(parts) if len(parts) != 1 or draw(st.booleans()) else parts[0]}


def pair(draw: Draw, choices: tuple[int, ...]) -> Any:
    """One number for both axes, or two."""
    one, two = draw(st.sampled_from(choices)), draw(st.sampled_from(choices))
    return draw(st.sampled_from((one, (one, two))))


def windows(draw: Draw) -> Settings:
    return {"stride": pair(draw, (1, 2, 3)), "padding": pair(draw, (0, 1, 2)), "dilation": pair(draw, (1, 1, 2))}


def convolution(draw: Draw, shapes: Shapes) -> Settings:
    return windows(draw) | {"groups": shapes[0][-3] // shapes[1][1]}


def convolution_of_lines(draw: Draw, shapes: Shapes) -> Settings:
    single = lambda choices: draw(st.sampled_from(choices))                                     # noqa: E731
    return {"stride": single((1, 2, (2,))), "padding": single((0, 1, (2,), "valid")), "dilation": single((1, 2)),
            "groups": shapes[0][-2] // shapes[1][1]}


def named_padding(draw: Draw, shapes: Shapes) -> Settings:
    """"same" also where the stride forbids it, and for kernels of even size."""
    return convolution(draw, shapes) | {"padding": draw(st.sampled_from(("same", "valid"))), "stride": draw(st.sampled_from((1, 1, 2)))}


def patches(draw: Draw, shapes: Shapes) -> Settings:
    return windows(draw) | {"kernel_size": pair(draw, (1, 2, 3))}


def columns(draw: Draw, shapes: Shapes) -> Settings:
    """Settings with 16, 4 or 20 places, of which one fits."""
    chosen = draw(st.sampled_from(({}, {"stride": 2}, {"padding": (0, 1), "dilation": (2, 2)}, {"padding": (1, 0), "dilation": (2, 1)})))
    return {"size": (5, 6), "kernel_size": (2, 3), "stride": 1, "padding": 0, "dilation": 1} | chosen


def pool(draw: Draw, shapes: Shapes) -> Settings:
    """The stride may be left to the kernel; the padding may be more than half of it, which is refused."""
    stride = draw(st.sampled_from((None, 1, 2, 3, (2, 1))))
    return {"kernel_size": pair(draw, (1, 2, 3)), "stride": stride, "padding": draw(st.sampled_from((0, 0, 1, (0, 1))))}


def spread_pool(draw: Draw, shapes: Shapes) -> Settings:
    """With dilation.  Where a window lies in the padding as a whole, torch writes outside of its memory (Bus error): not there."""
    chosen, dilation = pool(draw, shapes), pair(draw, (1, 1, 2))
    return chosen | {"dilation": dilation} | ({"padding": 0} if dilation != 1 and min(shapes[0][-2:]) < 3 else {})


def ids(draw: Draw, shapes: Shapes) -> Settings:
    """Row numbers of a table, of any shape; padding, whose gradient is left out, cannot be checked by small steps: see test_text.py."""
    count = shapes[0][0]
    rng, size = np.random.default_rng(draw(st.integers(0, 999))), draw(st.sampled_from(((4,), (2, 5), (), (0,), (3, 1, 2))))
    chosen = rng.integers(0, count, size, draw(st.sampled_from(("int64", "int32"))))
    return {"ids": np.asarray(chosen)}


def start(draw: Draw, shapes: Shapes) -> Settings:
    return {"start": draw(st.sampled_from((0, 1, 4)))}


def ids_at(draw: Draw, shapes: Shapes) -> Settings:
    size = draw(st.sampled_from(((4,), (2, 5), (3, 1, 2))))
    return {"ids": np.random.default_rng(draw(st.integers(0, 999))).integers(0, shapes[0][0], size)} | start(draw, shapes)


def statistics(draw: Draw, shapes: Shapes) -> Settings:
    """Means and variances of channels, as if they had been seen before."""
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    return {"mean": rng.normal(size=shapes[0][1]), "var": rng.uniform(0.2, 2.0, shapes[0][1])}


def mask_of(draw: Draw, size: Shape) -> Any:
    """Nothing, truth values (of some rows none holds), or floats, for scores of this shape."""
    rng, kind = np.random.default_rng(draw(st.integers(0, 999))), draw(st.sampled_from(("none", "truth", "row", "float", "holes")))
    may = rng.random((1, size[-1]) if kind == "row" else size[-2:]) < 0.6
    bias = rng.normal(size=size[-2:])
    return {"none": None, "truth": may, "row": may, "float": bias, "holes": np.where(may, bias, -np.inf)}[kind]


def mask(draw: Draw, shapes: Shapes) -> Settings:
    return {"mask": mask_of(draw, shapes[0])}


def looked_up(draw: Draw, shapes: Shapes) -> Settings:
    return {"mask": mask_of(draw, (shapes[0][-2], shapes[1][-2]))}


def heads(draw: Draw, shapes: Shapes) -> Settings:
    return {"num_heads": draw(st.sampled_from([n for n in (1, 2, 3) if shapes[0][-1] % n == 0]))}


def side_by_side(draw: Draw, shapes: Shapes) -> Settings:
    """Heads for each of three thirds."""
    return heads(draw, [(shapes[0][-1] // 3,)])


def attention_layer(draw: Draw, shapes: Shapes) -> Settings:
    return heads(draw, shapes) | {"mask": mask_of(draw, (shapes[0][1],) * 2)}


def normalised(draw: Draw, shapes: Shapes) -> Settings:
    """Which of the last axes are normalised together: those of the weight; without one, the last one."""
    return {"normalized_shape": shapes[1] if shapes[1:] else shapes[0][-1:]}
