"""Raw values as JSON and back, without pickle: the judge reads what it cannot trust."""

from __future__ import annotations

import base64
import binascii
import math
from typing import Any

import numpy as np

KINDS = "biufcU"                # of arrays: numbers, booleans and text; nothing that holds objects


def pack(value: Any) -> Any:
    """What `tito.check.probing.raw` gives, as JSON has it."""
    if isinstance(value, np.ndarray):
        data = np.ascontiguousarray(value)              # of a 0-d array it makes one number in a row: the shape is kept apart
        return {"array": base64.b64encode(data.tobytes()).decode("ascii"), "dtype": value.dtype.str, "shape": list(value.shape)}
    if isinstance(value, complex):
        return {"complex": [value.real, value.imag]}
    if isinstance(value, dict):
        return {"dict": [[key, pack(item)] for key, item in value.items()]}
    return [pack(item) for item in value] if isinstance(value, list) else value


def unpack(packed: Any) -> Any:
    """The value again.  ValueError for whatever `pack` does not give, however it was made."""
    if isinstance(packed, list):
        return [unpack(item) for item in packed]
    if not isinstance(packed, dict):
        return packed
    try:
        if packed.keys() == {"array", "dtype", "shape"}:
            return _array(packed["array"], packed["dtype"], packed["shape"])
        if packed.keys() == {"complex"}:
            real, imaginary = packed["complex"]
            return complex(float(real), float(imaginary))
        if packed.keys() == {"dict"}:
            return {str(key): unpack(item) for key, item in packed["dict"]}
    except (TypeError, OverflowError, binascii.Error) as err:
        raise ValueError(f"not a packed value: {err}") from None
    raise ValueError("not a packed value")


def _array(text: str, kind: str, shape: list[Any]) -> np.ndarray:
    dtype, data = np.dtype(kind), base64.b64decode(text, validate=True)
    if dtype.kind not in KINDS or dtype.fields or dtype.subdtype or not all(type(n) is int and n >= 0 for n in shape) or len(shape) > 32:
        raise ValueError("not an array of numbers or text")
    if len(data) != math.prod(shape) * dtype.itemsize or dtype.itemsize == 0 and math.prod(shape):
        raise ValueError("not as many bytes as the shape says")
    array = np.frombuffer(data, np.dtype("u1") if dtype.kind == "b" else dtype) if dtype.itemsize else np.empty(0, dtype)
    if dtype.kind == "b":
        if array.size and array.max() > 1:
            raise ValueError("neither true nor false")
        array = array.astype(bool)
    return array.reshape(shape)
