"""Probes: calls whose answers are compared with the reference's own, apart from the code that gave them.

    from tito.check.probing import close, probe

    @probe("test-softmax", close(1e-5))
    def any_axis(tinytorch, rng):
        z = rng.normal(size=(3, 4, 5)).astype("float32")
        return [tinytorch.softmax(tinytorch.Tensor(z), dim=d).numpy() for d in (0, 1, 2, -1)]

A probe makes inputs from `rng`, a numpy Generator, and calls; it knows no expected value.  `tinytorch` has the names of the notebook that
is judged, and of the package before it.  What a probe returns is raw: arrays, numbers, text, None, and lists, tuples and dicts of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from tito.check.compare import array_of

T = TypeVar("T")
Comparator = Callable[[Any, Any], str]          # (got, reference) -> "" where they agree, else in what they differ
Run = Callable[[Any, np.random.Generator], Any]


class View:
    """What a probe knows as `tinytorch`: the names of a notebook, then those of the package."""

    def __init__(self, space: Mapping[str, Any], package: Any):
        self._space, self._package = space, package

    def __getattr__(self, name: str) -> Any:
        return self._space[name] if name in self._space else getattr(self._package, name)


@dataclass(frozen=True)
class Probe:
    """One question to an answer."""

    grade_id: str           # of the test cell whose points depend on it
    name: str
    run: Run
    compare: Comparator

    def values(self, tinytorch: Any, seed: int) -> Any:
        """Its raw values; the same inputs for the same seed."""
        return raw(self.run(tinytorch, np.random.default_rng(seed)))


@dataclass(frozen=True)
class Ban:
    """Means by which a task is not to be done: names such as "sum" and "np.matmul", and "@"."""

    grade_id: str           # of the test cell whose answer is looked at
    means: tuple[str, ...]


def forbid(grade_id: str, *means: str) -> Ban:
    """The answer to this test cell is to do without these means; grading reads its code for them."""
    return Ban(grade_id, means)


def load_probes(path: Path) -> list[Probe]:
    """The probes of a file, in its order."""
    return defined(path.read_text(encoding="utf-8"), Probe)


def defined(text: str, kind: type[T]) -> list[T]:
    """What the text of a probes file defines of this kind (Probe, Ban), in its order."""
    space: dict[str, Any] = {"__name__": "probes"}
    exec(compile(text, "<probes>", "exec", dont_inherit=True), space)
    return [value for value in space.values() if isinstance(value, kind)]


def raw(value: Any) -> Any:
    """The value without any class of a student's: arrays, Python's numbers and text, lists and dicts.  TypeError for anything else."""
    if value is None or type(value) in (bool, int, float, complex, str):
        return value
    if isinstance(value, np.generic) and isinstance(value, (float, complex)):      # np.float64 is a float, and an answer may give either
        return value.item()
    if isinstance(value, dict):
        return {str(key): raw(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [raw(item) for item in value]
    array = array_of(value)
    if array is None or array.dtype.kind not in "biufcU":
        raise TypeError(f"a probe returns arrays, numbers and text, not {type(value).__name__}")
    return array.copy()


def raised(call: Callable[[], Any]) -> str:
    """The name of the exception that `call()` raises, "" where it raises none: an answer that a probe may return."""
    try:
        call()
    except Exception as error:
        return type(error).__name__
    return ""


# ---- what several probes give and ask ----------------------------------------------------------

def numbers(rng: np.random.Generator, *shape: int, dtype: str = "float64") -> Any:
    """Random numbers as an array."""
    return np.asarray(rng.normal(size=shape), dtype)


def tensors(tinytorch: Any, *arrays: Any) -> list[Any]:
    """Tensors with the dtypes of the arrays, all with a gradient; None stays None."""
    return [None if a is None else tinytorch.Tensor(a, requires_grad=True, dtype=a.dtype) for a in arrays]


def slopes(tinytorch: Any, rng: np.random.Generator, call: Callable[..., Any], *arrays: Any) -> list[Any]:
    """What `call` gives, its gradients, those of their squares, and the arrays afterwards."""
    inputs = tensors(tinytorch, *arrays)
    leaves = [t for t in inputs if t is not None]
    y = call(*inputs)
    weights = tinytorch.Tensor(rng.normal(size=y.shape), dtype=y.dtype)
    first = tinytorch.grad((y * y * weights).sum(), leaves, create_graph=True)
    steepness = first[0].sum() * 0.0
    for g in first:
        steepness = steepness + (g * g).sum()
    return [y, list(first), list(tinytorch.grad(steepness, leaves, allow_unused=True)), arrays]


# ---- comparators -------------------------------------------------------------------------------

def exact(got: Any, reference: Any) -> str:
    """The same bits: shape, dtype and every number; nan equals nan."""
    return _differ(got, reference, lambda g, w: np.array_equal(g, w, equal_nan=w.dtype.kind in "fc"))


def close(tol: float = 1e-5) -> Comparator:
    """The same shape and dtype, floats up to `tol` (absolute and relative), all else exactly."""

    def alike(got: np.ndarray, want: np.ndarray) -> bool:
        return np.allclose(got, want, rtol=tol, atol=tol, equal_nan=True) if want.dtype.kind in "fc" else np.array_equal(got, want)

    return lambda got, reference: _differ(got, reference, alike)


def statistics(false_alarm: float = 1e-9) -> Comparator:
    """Arrays of the same shape and dtype whose numbers come from the same distribution (Kolmogorov-Smirnov, two samples)."""

    def alike(got: np.ndarray, want: np.ndarray) -> bool:
        a, b = np.sort(got, axis=None), np.sort(want, axis=None)
        both = np.concatenate([a, b])
        distance = np.abs(np.searchsorted(a, both, "right") / a.size - np.searchsorted(b, both, "right") / b.size).max()
        return bool(distance <= math.sqrt(math.log(2 / false_alarm) / a.size))

    return lambda got, reference: _differ(got, reference, alike)


def holds(property: Callable[[Any, Any], bool]) -> Comparator:
    """`property(got, reference)` is true.  What it needs of the inputs, the probe returns with its values: take it from `reference`."""
    return lambda got, reference: "" if property(got, reference) else "the property does not hold"


def probe(grade_id: str, compare: Comparator = close()) -> Callable[[Run], Probe]:      # noqa: B008  a value, never changed
    """Make a function a probe of a test cell's answers."""
    return lambda run: Probe(grade_id, run.__name__, run, compare)


def _differ(got: Any, want: Any, alike: Callable[[np.ndarray, np.ndarray], bool], where: str = "") -> str:
    """Where the first difference is, and what it is."""
    if isinstance(want, (list, dict)):
        if type(got) is not type(want) or len(got) != len(want) or isinstance(want, dict) and list(got) != list(want):
            return f"{where or 'the whole'}: another structure"
        pairs = want.items() if isinstance(want, dict) else enumerate(want)
        return next((found for key, item in pairs if (found := _differ(got[key], item, alike, f"{where}[{key}]"))), "")
    if not isinstance(want, (np.ndarray, float, complex)):
        return "" if type(got) is type(want) and got == want else f"{where} is {got!r:.40}, not {want!r:.40}".strip()
    if not isinstance(got, type(want)):
        return f"{where} is a {type(got).__name__}, not a {type(want).__name__}".strip()
    g, w = np.asarray(got), np.asarray(want)
    if g.shape != w.shape or g.dtype != w.dtype:
        return f"{where} is {g.dtype} {g.shape}, not {w.dtype} {w.shape}".strip()
    return "" if w.size == 0 or alike(g, w) else f"{where} has other numbers".strip()
