"""How values and exceptions are shown: short, the same on every machine, and never failing, whatever they are."""

from __future__ import annotations

import re
import reprlib
import types
from collections.abc import Callable
from typing import Any

WIDTH = 63                  # of a card's right-hand column
ROWS = 4
LONGEST = 400               # characters of any one text

_ADDRESS = re.compile(r" at 0x[0-9A-Fa-f]+")
_FOLDERS = re.compile(r"(?<![^\s'\"(=])(?:(?:/[^\s/'\":,]+)+/|[A-Za-z]:(?:\\[^\s\\'\":,]+)+\\+)(?=[^\s/\\'\":,]+)")

_short = reprlib.Repr()
_short.maxstring = _short.maxother = 200
_short.maxlist = _short.maxtuple = _short.maxset = _short.maxdict = 8


def clean(text: str, limit: int = LONGEST) -> str:
    """A text without memory addresses and control characters: equal from run to run, harmless to a terminal."""
    text = _ADDRESS.sub("", text if len(text) <= 2 * limit else text[:2 * limit])
    text = "".join(c if c.isprintable() or c == "\n" else " " if c == "\t" else ascii(c)[1:-1] for c in text)
    return text if len(text) <= limit else text[:limit - 4] + " ..."


def short(value: Any) -> str:
    """The value's repr, shortened.  A repr that raises is said to be so."""
    try:
        return clean(_short.repr(value), 200)
    except RecursionError:
        return f"<a {type(value).__name__} that contains itself>"
    except (Exception, SystemExit) as err:              # a student's __repr__ may do anything
        return f"<a {type(value).__name__} whose repr raises {type(err).__name__}>"


def message(error: BaseException) -> str:
    """An exception as Python's last line shows it: "ValueError: operands ..."."""
    name = type(error).__name__
    try:
        text = str(error.msg) if isinstance(error, SyntaxError) else str(error)
        text = clean(_FOLDERS.sub("", text[:2 * LONGEST])).strip()      # files by their names: folders differ from machine to machine
    except (Exception, SystemExit):                     # a student's __str__ may do anything
        return f"{name}: <its message cannot be shown>"
    return f"{name}: {text}" if text else name


def article(noun: str) -> str:
    """ "an int", "a Tensor". """
    return f"{'an' if noun[:1] in 'aeiouAEIOU' else 'a'} {noun}"


def kind(value: Any) -> str:
    """What a value is, with its shape where it has one: "Tensor (2, 3)"."""
    array = getattr(value, "data", None)
    shape = getattr(array if hasattr(array, "dtype") else value, "shape", None)
    return f"{type(value).__name__} {shape}" if isinstance(shape, tuple) else type(value).__name__


def plain(value: Any) -> str:
    """Anything that is not an array."""
    if value is None:
        return "None"
    if isinstance(value, type):
        return value.__name__
    if isinstance(value, (types.FunctionType, types.MethodType, types.BuiltinFunctionType)):
        return f"the {'method' if isinstance(value, types.MethodType) else 'function'} {value.__name__}"
    return short(value)


def number_style(*arrays: Any) -> Callable[[Any], str]:
    """One way to write the numbers of these arrays, fine enough to tell the arrays apart."""
    if any(a.dtype.kind not in "fc" for a in arrays) or not arrays:
        return _element
    for pattern in ("%.4f", "%.6g", "%.9g"):
        if pattern == "%.4f" and not all(_fixed(a) for a in arrays):
            continue
        style = _pattern(pattern)
        if len(arrays) < 2 or _told_apart(style, *arrays[:2]):
            return style
    return _element


def _pattern(pattern: str) -> Callable[[Any], str]:
    def style(x: Any) -> str:
        if x.dtype.kind == "c":
            return f"{pattern % x.real}{'+' if x.imag >= 0 or x.imag != x.imag else ''}{pattern % x.imag}j"
        text = str(pattern % x)
        return text.lstrip("-") if text.startswith("-") and not text.strip("-0.") else text     # no -0.0000
    return style


def _element(x: Any) -> str:
    if getattr(getattr(x, "dtype", None), "kind", "O") == "f":
        return format(float(x), ".17g")
    return short(x.item() if hasattr(x, "item") else x)[:24]


def _fixed(array: Any) -> bool:
    """Four decimals say enough: nothing huge, and not everything tiny."""
    sizes = [abs(x) for x in array.ravel()[:1000] if x == x and abs(x) != float("inf")]
    return not sizes or max(sizes) < 1e5 and (max(sizes) >= 1e-2 or max(sizes) == 0)


def _told_apart(style: Callable[[Any], str], a: Any, b: Any) -> bool:
    if a.shape != b.shape:
        return True
    differ = (a != b) & ((a == a) | (b == b))
    if not differ.any():
        return True
    gap = abs(a[differ].astype("D") - b[differ].astype("D"))
    at = int(gap.argmax())                              # the plainest difference must be visible (nan counts as one)
    return bool(style(a[differ][at]) != style(b[differ][at]))


def array_text(array: Any, style: Callable[[Any], str] | None = None, dtype: str | None = None) -> str:
    """An array in at most four rows, then its dtype and shape.  `dtype` replaces its own dtype's name."""
    style = style or number_style(array)
    lines = _rows(array, style)
    tail = f"{array.dtype.name if dtype is None else dtype} {array.shape}".strip()
    if len(lines[-1]) + 5 + len(tail) <= WIDTH:
        lines[-1] += "     " + tail
    else:
        lines.append(tail)
    return "\n".join(lines)


def _rows(array: Any, style: Callable[[Any], str]) -> list[str]:
    if array.ndim == 0:
        return [style(array[()])]
    if array.size == 0:
        return ["[]"]
    leading, n = array.shape[:-1], array.shape[-1]
    count = array.size // n
    keep = count if count <= ROWS else ROWS - 1
    flat = array.reshape(count, n)[:keep]
    cells = _columns(flat, style, array.ndim)
    lines = [_bracketed(" ".join(row), k, leading) for k, row in enumerate(cells)]
    return lines if keep == count else [*lines, " " * (array.ndim - 1) + "..." + "]" * (array.ndim - 1)]


def _columns(flat: Any, style: Callable[[Any], str], ndim: int) -> list[list[str]]:
    """The numbers of some rows, lined up; the middle columns make way when a row is too wide."""
    n, most = flat.shape[1], 40
    shown = [[style(x) for x in (row if n <= most else row[:most])] + ([style(row[-1])] if n > most else []) for row in flat]
    wide = max(len(t) for row in shown for t in row)
    room = max(2, (WIDTH - 2 * ndim + 1) // (wide + 1))
    if n > room:
        room = max(1, room - 2 + (wide >= 4))
        return [[t.rjust(wide) for t in row[:max(1, room - 1)]] + ["..."] + [row[-1].rjust(wide)] for row in shown]
    return [[t.rjust(wide) for t in row] for row in shown]


def _bracketed(text: str, k: int, leading: tuple[int, ...]) -> str:
    """Row number k of an array with these leading axes, with the brackets that open before and close after it."""
    opens = closes = 1
    before, after, open_run, close_run = k, k, True, True
    for size in reversed(leading):
        open_run, close_run = open_run and before % size == 0, close_run and after % size == size - 1
        opens, closes = opens + open_run, closes + close_run
        before, after = before // size, after // size
    return " " * (len(leading) + 1 - opens) + "[" * opens + text + "]" * closes
