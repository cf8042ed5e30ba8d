"""What graded cells call: each function compares, and raises a CheckFailed that helps.

    expect.close(lambda: softmax(z), want, "each row adds up to 1",
                 mistaken={"the whole array adds up to 1: sum along `dim` only": lambda got: np.isclose(got.sum(), 1)},
                 raises={ValueError: "keepdims=True keeps (2, 1), which lines up with (2, 3)"})

`got` is a value (a Tensor, an array, a number, ...) or a function of no arguments that computes it; `why` is the promise in words.
`hint` is what to say when the check fails.  `mistaken` maps hints to what a typical mistake gives: its value, or a test of `got`.
`raises` maps exceptions to the hints that they deserve.
"""

from __future__ import annotations

import functools
import sys
import types
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import numpy as np

from tito.check import compare, hints, site
from tito.check.compare import Difference, array_of
from tito.check.failure import CheckFailed
from tito.check.shown import array_text, article, kind, message, plain

__all__ = ["CheckFailed", "close", "finite", "raises", "same", "true"]

Mistakes = Mapping[str, Any]
Raised = Mapping[type[BaseException], str]


def close(got: Any, want: Any, why: str, *, tol: float = 1e-5, hint: str = "", mistaken: Mistakes | None = None,
          raises: Raised | None = None) -> None:
    """`got` has the numbers of `want` up to `tol` (absolute and relative), its shape and its kind of dtype.  nan equals nan."""
    got = _value("close", got, why, hint, raises, lambda: _expected(want, weak=True))
    if bad := compare.close(got, want, tol):
        _fail("close", why, bad, hint, _mistake(got, mistaken, tol))


def same(got: Any, want: Any, why: str, *, hint: str = "", mistaken: Mistakes | None = None, raises: Raised | None = None) -> None:
    """`got == want`: numbers, shape, dtype, text, type, and the items of tuples, lists and dicts."""
    got = _value("same", got, why, hint, raises, lambda: _expected(want))
    if bad := compare.same(got, want):
        _fail("same", why, bad, hint, _mistake(got, mistaken, 0.0))


def true(got: Any, why: str, *, hint: str = "", raises: Raised | None = None) -> None:
    """`got` is true: for arrays, everywhere."""
    got = _value("true", got, why, hint, raises, lambda: "True")
    try:
        array = None if isinstance(got, (list, tuple)) else array_of(got)
        holds = bool(got) if array is None else bool(np.all(array))
    except Exception:                                   # a student's __bool__ may do anything
        holds = False
    if not holds:
        _fail("true", why, Difference("True", _shown(got), guess=compare.structural(got)), hint)


def finite(got: Any, why: str, *, hint: str = "", raises: Raised | None = None) -> None:
    """`got` has neither nan nor infinity."""
    got = _value("finite", got, why, hint, raises, lambda: "only finite numbers")
    if bad := compare.finite(got):
        _fail("finite", why, bad, hint)


def raises(kind: type[BaseException] | tuple[type[BaseException], ...], call: Callable[[], Any], why: str, *, match: str = "",
           hint: str = "") -> None:
    """`call()` raises an exception of this kind whose message has every word of `match`."""
    kinds = kind if isinstance(kind, tuple) else (kind,)
    expected = " or ".join(article(k.__name__) for k in kinds) + (f" that says: {match}" if match else "")
    try:
        got = call()
    except (Exception, SystemExit) as err:
        unwritten = isinstance(err, NotImplementedError) and NotImplementedError not in kinds     # which is a RuntimeError
        if unwritten or not isinstance(err, kinds):
            _raised("raises", err, why, hint, None, expected)
        said = message(err).partition(": ")[2].lower()
        if missing := [w for w in match.split() if w.lower() not in said]:
            _fail("raises", why, Difference(expected, message(err), f"the message lacks {', '.join(missing)}"), hint)
        return
    _fail("raises", why, Difference(expected, f"no exception; {_shown(got)} came back" if got is not None else "no exception"), hint)


def _value(name: str, got: Any, why: str, hint: str, raises: Raised | None, expected: Callable[[], str]) -> Any:
    """The value of `got`, which is called where it is a function written in the test."""
    if not isinstance(got, (types.FunctionType, functools.partial)):
        return got
    try:
        return got()
    except (Exception, SystemExit) as err:
        _raised(name, err, why, hint, raises, expected())


def _raised(name: str, error: BaseException, why: str, hint: str, raises: Raised | None, expected: str) -> NoReturn:
    chosen = next((h for k, h in (raises or {}).items() if isinstance(error, k)), "")
    chosen = chosen or hints.of_exception(error) or (hint if not isinstance(error, hints.SLIPS) else "")
    raise CheckFailed(why, call=_call(name), expected=expected, got=message(error), hint=chosen) from error


def _fail(name: str, why: str, bad: Difference, hint: str, mistake: str = "") -> NoReturn:
    call = _call(name)
    raise CheckFailed(why, call=call + bad.place if call else "", expected=bad.expected, got=bad.got, first=bad.first,
                      hint=bad.fact or mistake or hint or bad.guess)


def _call(name: str) -> str:
    frame = sys._getframe(1)
    while frame.f_code.co_filename == __file__ and frame.f_back:
        frame = frame.f_back
    return site.call_of(site.Spot(frame, frame.f_lineno, frame.f_lasti), name)


def _mistake(got: Any, mistaken: Mistakes | None, tol: float) -> str:
    """The hint of the first typical mistake that gives exactly this."""
    array = array_of(got)
    value = got if array is None else array
    return next((hint for hint, wrong in (mistaken or {}).items() if _matches(value, wrong, tol)), "")


def _matches(got: Any, wrong: Any, tol: float) -> bool:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            if isinstance(wrong, types.FunctionType):
                return bool(np.all(wrong(got)))
            if isinstance(got, np.ndarray) and (literal := array_of(wrong)) is not None:
                return got.shape == literal.shape and bool(np.allclose(got, literal, rtol=tol or 1e-5, atol=tol or 1e-8, equal_nan=True))
            return bool(got == wrong)
        except Exception:                               # a predicate that raises is no match
            return False


def _expected(want: Any, *, weak: bool = False) -> str:
    """`weak`: whole numbers written in a test stand for floats as well, so nothing is said of their kind."""
    array = array_of(want)
    if array is None or array.dtype.kind not in compare.KINDS or isinstance(want, tuple):
        return plain(want)
    kind_name = "" if weak and array.dtype.kind in "iu" else compare.KINDS[array.dtype.kind]
    return array_text(array, None, kind_name if compare.literal(want) else None)


def _shown(value: Any) -> str:
    if isinstance(value, tuple) and any(map(site.brief, value)):      # Tensors, side by side
        return f"({', '.join(site.brief(item) or plain(item) for item in value)})"
    array = array_of(value)
    if array is None or isinstance(value, (list, tuple)):
        return plain(value) if not isinstance(value, type) else kind(value)
    return compare.array_or_number(value, array)
