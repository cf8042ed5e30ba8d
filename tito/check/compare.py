"""What "equal" means to a check, and how a difference is told."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tito.check.shown import array_text, article, clean, kind, number_style, plain, short

KINDS = {"i": "int", "u": "int", "f": "float", "b": "bool", "c": "complex"}
DEEPEST = 16                # a list that contains itself has no end


@dataclass(frozen=True)
class Difference:
    """Expected and got as texts; `first` says where or in what they differ; `place` is the item of a tuple or dict."""

    expected: str
    got: str
    first: str = ""
    fact: str = ""          # a hint that is surely right: nothing came back
    guess: str = ""         # a hint from what the value looks like: the test's own hint goes before it
    place: str = ""


def array_of(value: Any, depth: int = 0) -> np.ndarray | None:
    """The array in a Tensor, an array, a number or a list of them; None for everything else."""
    if isinstance(value, (np.ndarray, np.generic)):
        return np.array(value, copy=None, subok=False)          # a subclass may lie about equality
    if isinstance(value, numbers.Number):
        return np.asarray(value)
    try:
        data = value.data                                       # a Tensor's; a student's may raise anything
    except Exception:
        data = None
    if isinstance(data, np.ndarray):
        return np.array(data, copy=None, subok=False)
    return _stacked(value, depth) if isinstance(value, (list, tuple)) and depth < DEEPEST else None


def _stacked(items: list[Any] | tuple[Any, ...], depth: int = 0) -> np.ndarray | None:
    parts = [array_of(item, depth + 1) for item in items]
    arrays = [p for p in parts if p is not None]
    if len(arrays) < len(parts) or len({a.shape for a in arrays}) > 1:
        return None
    return np.array(arrays) if arrays else np.array([], float)


def literal(value: Any) -> bool:
    """Numbers and lists as written in a test: their dtype says no more than int, float or bool."""
    return isinstance(value, (bool, int, float, complex)) and not isinstance(value, np.generic) or (
        isinstance(value, (list, tuple)) and all(literal(v) for v in value))


def close(got: Any, want: Any, tol: float) -> Difference | None:
    """None where shape, kind of dtype and numbers agree; |got - want| <= tol + tol |want|, and nan equals nan."""
    if isinstance(want, dict) or isinstance(want, (list, tuple)) and _stacked(want) is None:
        return _items(got, want, lambda g, w: close(g, w, tol))
    w = array_of(want)
    if w is None:
        raise TypeError(f"expect.close compares numbers, and want is {article(type(want).__name__)}: use expect.same")
    g = array_of(got)
    if g is None or g.dtype.kind not in KINDS:
        return _no_array(got, w, literal(want))
    weak = literal(want) and w.dtype.kind in "iu" and g.dtype.kind == "f"       # close(x.mean(), 2, ...)
    if bad := _structure(g, w, exact=False, weak=weak, name=None if literal(want) else w.dtype.name):
        return _bare(bad, got)
    with np.errstate(all="ignore"):
        wrong = ~np.isclose(g, w, rtol=tol, atol=tol, equal_nan=True)
    return _bare(_numbers(g, w.astype(g.dtype) if weak else w, wrong, g.dtype.name), got) if wrong.any() else None


def same(got: Any, want: Any) -> Difference | None:
    """None where got == want in value, shape, dtype and type (numbers as written in a test have no exact dtype)."""
    if isinstance(want, dict) or isinstance(want, (list, tuple)) and not isinstance(got, np.ndarray) and not _tensor(got):
        return _items(got, want, same)
    w = array_of(want)
    if w is None or isinstance(want, (list, tuple)) and w.dtype.kind not in KINDS:
        return _plain(got, want)
    g = array_of(got) if not isinstance(got, (list, tuple)) else None
    if g is None:
        return _no_array(got, w, literal(want))
    exact = not literal(want)
    if bad := _structure(g, w, exact=exact, weak=False, name=w.dtype.name if exact else None):
        return _bare(bad, got)
    wrong = np.asarray(g != w) & ~(np.asarray(g != g) & np.asarray(w != w))
    return _bare(_numbers(g, w, wrong, g.dtype.name), got) if wrong.any() else None


def finite(got: Any) -> Difference | None:
    """None where there is neither nan nor infinity."""
    g = array_of(got)
    if g is None or g.dtype.kind not in KINDS:
        return Difference("finite numbers", plain(got), fact=structural(got))
    wrong = ~np.isfinite(g)
    if not wrong.any():
        return None
    at, style = _first(wrong), number_style(g)
    return Difference("only finite numbers", array_or_number(got, g), f"{at}{style(g[wrong][0])}" if g.ndim else "")


def structural(got: Any) -> str:
    """The hint for a value that is no answer at all."""
    if got is None:
        return "nothing came back: is there a `return`?"
    if got is NotImplemented or got is Ellipsis:
        return "the answer is still a placeholder"
    if callable(got) and not isinstance(got, type) and hasattr(got, "__name__"):
        return f"`{clean(str(got.__name__), 40)}` came back itself: is a () or an @property missing?"
    if _tensor_name(got) and not _tensor(got):
        return f"`.data` must be a NumPy array, and is {article(type(getattr(got, 'data', None)).__name__)}"
    return ""


def _bare(bad: Difference, got: Any) -> Difference:
    """Python's own numbers have no dtype and no shape to tell."""
    if isinstance(got, (list, tuple)) or not literal(got):
        return bad
    expected = bad.expected.removesuffix(" ()").rpartition("     ")[0] if bad.expected.endswith(" ()") else bad.expected
    wanted = bad.first.rpartition("not ")[2]
    first = f"{article(type(got).__name__)}, not {article(wanted)}" if bad.first.startswith("dtype") else bad.first
    return replace(bad, expected=expected, got=bad.got.rpartition("     ")[0], first=first)


def _tensor(value: Any) -> bool:
    try:
        return isinstance(value.data, np.ndarray)
    except Exception:                                           # a student's attribute may raise anything
        return False


def _tensor_name(value: Any) -> bool:
    return type(value).__name__ == "Tensor" and "data" in dir(type(value)) + list(getattr(value, "__dict__", ()))


def array_or_number(value: Any, array: np.ndarray) -> str:
    return number_style(array)(array[()]) if literal(value) and not array.ndim else array_text(array)


def _no_array(got: Any, want: np.ndarray, weak: bool) -> Difference:
    array, kind_only = array_of(got), KINDS.get(want.dtype.kind) if weak else None
    expected = array_text(want, None, kind_only)
    if array is not None:
        nothing = structural(None) if array.dtype.kind == "O" and not array.ndim and array.item() is None else ""    # an operation's None
        hint = "the rows have different lengths, or are not numbers" if array.dtype.kind == "O" else ""
        return Difference(expected, array_text(array), f"dtype {array.dtype}, not {kind_only or want.dtype}", fact=nothing, guess=hint)
    return Difference(expected, plain(got), f"type {type(got).__name__}" if got is not None else "", structural(got))


def _structure(got: np.ndarray, want: np.ndarray, *, exact: bool, weak: bool, name: str | None) -> Difference | None:
    """A difference in shape or dtype.  `name`: the wanted dtype, where the test gives one."""
    g, w = KINDS.get(got.dtype.kind, got.dtype.name), KINDS.get(want.dtype.kind, want.dtype.name)
    agree = got.dtype == want.dtype if exact else g == w or weak
    shown = name if exact or not agree else got.dtype.name
    style = number_style(got, want) if got.shape == want.shape and g == w else None
    expected, came = array_text(want, style, shown or w), array_text(got, style)
    if got.shape != want.shape:
        return Difference(expected, came, f"shape {got.shape}, not {want.shape}", guess=_axes(got.shape, want.shape))
    return None if agree else Difference(expected, came, f"dtype {got.dtype.name}, not {shown or w}")


def _axes(got: tuple[int, ...], want: tuple[int, ...]) -> str:
    if len(got) > 1 and got == want[::-1]:
        return "the shape is turned around"
    if want and got and [n for n in got if n != 1] == [n for n in want if n != 1]:
        return "an axis of length 1 is missing" if len(got) < len(want) else "there is an axis of length 1 too many" \
            if len(got) > len(want) else "the axis of length 1 is in the wrong place"
    return ""


def _numbers(got: np.ndarray, want: np.ndarray, wrong: np.ndarray, dtype: str) -> Difference:
    style = number_style(got, want)
    first = f"{_first(wrong)}{style(got[wrong][0])}, not {style(want[wrong][0])}" if got.ndim else ""
    return Difference(array_text(want, style, dtype), array_text(got, style), first, guess=_resemblance(got, want))


def _first(wrong: np.ndarray) -> str:
    if not wrong.ndim:
        return ""
    return f"[{', '.join(str(int(i[0])) for i in np.nonzero(wrong))}]: "


def _resemblance(got: np.ndarray, want: np.ndarray) -> str:
    """The plain mistakes that a wrong array gives away by itself."""
    if got.dtype.kind not in "fiu" or want.size == 0:
        return ""
    g, w = got.astype(float), want.astype(float)
    with np.errstate(all="ignore"):
        if np.isfinite(w).all() and np.isnan(g).any():
            return "there is nan where a number should be"
        if np.allclose(g, -w) and np.any(w):
            return "right but for the sign"
        if w.ndim > 1 and w.shape[-1] == w.shape[-2] and np.allclose(g, np.swapaxes(w, -1, -2)):
            return "transposed: rows and columns are exchanged"
        ratio = g[w != 0] / w[w != 0]
        if ratio.size > 1 and np.allclose(ratio, ratio[0]) and np.allclose(g[w == 0], 0) and ratio[0] not in (0, 1):
            return f"every number is {ratio[0]:.4g} times what it should be"
    return ""


def _items(got: Any, want: Any, compare: Callable[[Any, Any], Difference | None]) -> Difference | None:
    """Tuples, lists and dicts, item by item."""
    if type(got) is not type(want) and not (isinstance(got, tuple) and isinstance(want, tuple)):
        if isinstance(want, list) and _tensor(got) or got is None:
            return Difference(short(want), plain(got), "" if got is None else f"a {kind(got)}, not a list", structural(got))
        return Difference(short(want), plain(got), f"{article(type(got).__name__)}, not {article(type(want).__name__)}", structural(got))
    keys = list(want) if isinstance(want, dict) else list(range(len(want)))
    theirs = list(got) if isinstance(got, dict) else list(range(len(got)))
    if set(map(short, keys)) != set(map(short, theirs)):
        told = f"{len(theirs)} items, not {len(keys)}" if len(keys) != len(theirs) else "the keys"
        return Difference(short(want), short(got), told)
    small = all(isinstance(v, (int, float, str, bool, type(None))) for v in (want.values() if isinstance(want, dict) else want))
    for key in keys:
        if found := compare(got[key], want[key]):
            if small and len(keys) <= 8:
                told = f"[{short(key)}]: {plain(got[key])}, not {plain(want[key])}"
                return Difference(short(want), short(got), told, found.fact, found.guess)
            return replace(found, place=f"[{short(key)}]{found.place}")
    return None


def _plain(got: Any, want: Any) -> Difference | None:
    """Strings, types, dtypes, None, and whatever else has an ==."""
    if isinstance(got, np.dtype) and (isinstance(want, (type, np.dtype, str))):
        return None if got == np.dtype(want) else Difference(np.dtype(want).name, got.name)
    if isinstance(want, np.dtype) and isinstance(got, type) and issubclass(got, (np.generic, bool, int, float)):
        return None if np.dtype(got) == want else Difference(want.name, got.__name__)
    if got is want:
        return None
    if type(got) is not type(want) and not isinstance(got, type(want)):
        what = "" if got is None or want is None or isinstance(want, type) else \
            f"{article(type(got).__name__)}, not {article(type(want).__name__)}"
        return Difference(plain(want), plain(got), what, structural(got))
    try:
        equal = bool(got == want)
    except Exception:                                           # a student's __eq__ may do anything
        equal = False
    if equal:
        return None
    return _strings(got, want) if isinstance(got, str) else Difference(plain(want), plain(got))


def _strings(got: str, want: str) -> Difference:
    at = next((k for k, (g, w) in enumerate(zip(got, want)) if g != w), min(len(got), len(want)))
    near = slice(max(0, at - 20), at + 40)
    told = f"{short(got[at])}, not {short(want[at])}" if at < min(len(got), len(want)) else \
        f"the text {'ends' if len(got) < len(want) else 'should end'} here"
    dots = "..." if near.start else ""
    return Difference(dots + short(want[near]), dots + short(got[near]), f"[{at}]: {told}")
