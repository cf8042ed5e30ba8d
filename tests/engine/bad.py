"""Values that spoil one argument of a good call, and what comes of that."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tests.engine.calls import CALLS, ROW, TABLE

SPOILED: dict[str, Callable[[], Any]] = {
    "None": lambda: None, "text": lambda: "seven", "bytes": lambda: b"7", "object": object, "dict": dict, "function": lambda: len,
    "set": lambda: {3},
    "minus": lambda: -1, "zero": lambda: 0, "half": lambda: 1.5, "huge": lambda: 10 ** 12, "nan": lambda: float("nan"),
    "inf": lambda: float("inf"),
    "complex": lambda: 1j, "list of one": lambda: [2], "list of text": lambda: ["seven"], "ragged": lambda: [[1], [1, 2]],
    "true": lambda: True,
    "empty": lambda: np.zeros(0, np.float32), "no list": list, "one number": lambda: np.array(2.0),
    "six axes": lambda: np.ones((1,) * 6, np.float32),
    "row": lambda: ROW.copy(), "table": lambda: TABLE.copy(), "whole": lambda: np.arange(4), "objects": lambda: np.array([object()] * 4),
    "dates": lambda: np.array(["2026-01-01"] * 4, "datetime64[D]"), "complexes": lambda: TABLE * 1j, "nans": lambda: TABLE * np.nan,
    "infs": lambda: TABLE + np.inf,
}

PLAIN = [how for how in SPOILED if not isinstance(SPOILED[how](), (list, np.ndarray))]


def frozen(array: Any) -> Any:
    """A copy that nobody can write to."""
    array = array.copy()
    array.flags.writeable = False
    return array


OPERATIONS = (
    "conv2d", "max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "im2col", "col2im", "causal_attention", "split_heads", "tiled_matmul",
    "fused_gelu", "fake_quantize", "scaled_dot_product_attention", "masked_softmax", "next_token_loss", "distillation_loss")
DELEGATED = {                                       # inputs of operations
    "x", "a", "b", "cols", "Q", "K", "V", "scores", "qkv", "mask", "weight", "logits", "targets", "student_logits", "teacher_logits"}


def outcome(name: str, argument: str, how: str) -> str:
    """What comes of a call with one argument spoiled: "refused", by an error that says a word of `name`; "returned"; or another error."""
    call, good = CALLS[name]()
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            call(**good | {argument: SPOILED[how]()})
    except FileNotFoundError as error:
        return "refused" if "seven" in str(error) else f"unnamed {error!r}"
    except (ValueError, TypeError, IndexError) as error:
        named = any(word.lower() in str(error).lower() for word in re.findall(r"\w+", name))
        return "refused" if named else f"unnamed {error!r}"
    except Exception as error:
        return repr(error)
    return "returned"


def spoiled(name: str) -> Iterator[tuple[str, str]]:
    """(argument, how to spoil it).  Of an operation only the settings, by what is no array: the rest is the affair of the door."""
    for argument in CALLS[name]()[1]:
        if name not in OPERATIONS:
            yield from ((argument, how) for how in SPOILED)
        elif argument not in DELEGATED:
            yield from ((argument, how) for how in PLAIN)
