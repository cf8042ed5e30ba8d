"""What to say of exceptions that need no knowledge of the exercise."""

from __future__ import annotations

import builtins
import difflib
import re

from tito.check.site import Spot, spots

# Slips of the pen: the hint of a check, which is about the idea, does not fit them.
SLIPS = (NameError, AttributeError, TypeError, SyntaxError, ImportError, RecursionError, SystemExit, EOFError)


def of_exception(error: BaseException) -> str:
    """A hint for this exception, or nothing."""
    if isinstance(error, NameError):
        return _of_name(error)
    if isinstance(error, RecursionError):
        frames = spots(error)
        return f"`{frames[-1].code.co_name}` calls itself without end" if frames else ""
    if isinstance(error, SystemExit):
        return "exit() ends Python: return a value instead"
    if isinstance(error, EOFError):
        return "checks run without a keyboard: do not ask with input()"
    if isinstance(error, TypeError) and "NoneType" in str(error.args[:1]):
        return "something returned None: is there a `return` missing?"
    return ""


def _of_name(error: NameError) -> str:
    if isinstance(error, UnboundLocalError):
        local = re.search(r"'(\w+)'", str(error))          # such an error has no `.name`
        return f"`{local[1]}` is used before it is given a value" if local else ""
    name, frames = str(getattr(error, "name", None) or ""), spots(error)
    if not name or not frames:
        return ""
    near = difflib.get_close_matches(name, sorted(_known(frames[-1]) - {name}), 1, 0.75)
    return f"did you mean `{near[0]}`?" if near else ""


def _known(spot: Spot) -> set[str]:
    names = {*spot.frame.f_locals, *spot.frame.f_globals, *vars(builtins)}
    return {n for n in names if not n.startswith("_")}
