"""The second input: a test cell with other numbers in it, to tell a hint that is right from one that fits by chance.

`perturbed` changes the floats inside `Tensor(...)` and array literals and the seeds of generators, never what is expected.  What the
reference gives on these inputs, noted by a `Recorder`, takes the place of what the test expects (`Replay`).  A typical mistake that is
written down as a value holds for the first input only: on the second, it is what the handwritten mistake of that hint gives there.
"""

from __future__ import annotations

import ast
import copy
import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FunctionType
from typing import Any

from tito.check import compare, expect
from tito.check.compare import array_of

MAKERS = {"Tensor", "tensor", "Parameter", "array", "asarray"}
SEEDED = {"default_rng", "manual_seed"}
KEPT = ...                              # in the place of a value that cannot be noted: what the test expects stays


@dataclass(frozen=True)
class Call:
    """One call of `expect`: where it stands in the test cell, and the value that it was given."""

    line: int
    value: Any


# ---- other numbers -----------------------------------------------------------------------------

def perturbed(source: str, seed: int) -> str:
    """The cell with other numbers for its inputs: equal ones stay equal, signs and zeros stay, whole numbers stay."""
    rng = random.Random(seed)
    factors: dict[float, float] = {}
    lines = [line.encode() for line in source.split("\n")]
    for node in sorted(set(_inputs(ast.parse(source))), key=lambda n: (n.lineno, n.col_offset), reverse=True):
        factor = factors.setdefault(node.value, rng.uniform(1.02, 1.12) ** rng.choice([-1, 1]))     # type: ignore[arg-type]
        new = repr(node.value + seed) if isinstance(node.value, int) else f"{node.value * factor:.4g}"      # type: ignore[operator]
        line = lines[node.lineno - 1]
        lines[node.lineno - 1] = line[:node.col_offset] + new.encode() + line[node.end_col_offset:]
    return "\n".join(line.decode() for line in lines)


def _inputs(tree: ast.AST) -> Iterator[ast.Constant]:
    """The floats that a test computes with, and seeds; not those that it expects."""
    waiting: list[tuple[ast.AST, bool]] = [(tree, False)]
    seeded = SEEDED | {name.id for node in ast.walk(tree) for name, value in _bound(node) if ast.unparse(value).endswith("default_rng")}
    while waiting:
        node, inside = waiting.pop()
        children: list[ast.AST] = list(ast.iter_child_nodes(node))
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if isinstance(node.func, ast.Attribute) and getattr(node.func.value, "id", "") == "expect":
                children = [*(node.args[1:2] if name == "raises" else node.args[:1])]
            seeds = [k.value for k in node.keywords if k.arg == "seed"] + (node.args if name in seeded else [])
            yield from (a for a in seeds if isinstance(a, ast.Constant) and type(a.value) is int)
            inside = inside or name in MAKERS
        if isinstance(node, ast.Constant) and inside and type(node.value) is float and node.value:
            yield node
        waiting += [(child, inside) for child in children]


def _bound(node: ast.AST) -> Iterator[tuple[ast.Name, ast.expr]]:
    """The names that an assignment binds, each with its value: `own = default_rng`, and `data, own = …, default_rng`."""
    if isinstance(node, ast.Assign):
        target, value = node.targets[0], node.value
        several = isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple)
        pairs = zip(target.elts, value.elts) if several else [(target, value)]      # type: ignore[attr-defined]
        yield from ((name, what) for name, what in pairs if isinstance(name, ast.Name))


# ---- what comes of them ------------------------------------------------------------------------

class Recorder:
    """Stands for `expect`: notes what the calls are given, and never fails."""

    CheckFailed = expect.CheckFailed

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def close(self, got: Any, *args: Any, **settings: Any) -> None:
        line = sys._getframe(1).f_lineno
        try:
            value = noted(got() if isinstance(got, FunctionType) else got)
        except Exception as error:
            value = type(error).__name__
        self.calls.append(Call(line, value))

    same = true = finite = close

    def raises(self, kind: Any, call: Callable[[], Any], *args: Any, **settings: Any) -> None:
        self.calls.append(Call(sys._getframe(1).f_lineno, KEPT))


class Replay:
    """Stands for `expect`: expects what the reference gave, and takes the values of typical mistakes from those who make them."""

    CheckFailed = expect.CheckFailed

    def __init__(self, reference: list[Call], owners: dict[str, list[list[Call]]]):
        self.reference, self.owners, self.at = reference, owners, -1

    def close(self, got: Any, want: Any, why: str, **settings: Any) -> None:
        expect.close(got, self._want(want), why, **self._typical(settings))

    def same(self, got: Any, want: Any, why: str, **settings: Any) -> None:
        expect.same(got, self._want(want), why, **self._typical(settings))

    def true(self, got: Any, why: str, **settings: Any) -> None:
        if self._want(True):                            # a fact about the first numbers may not be one about these
            expect.true(got, why, **settings)

    def finite(self, got: Any, why: str, **settings: Any) -> None:
        self._want(None)
        expect.finite(got, why, **settings)

    def raises(self, kind: Any, call: Any, why: str, **settings: Any) -> None:
        self._want(None)
        expect.raises(kind, call, why, **settings)

    def _want(self, want: Any) -> Any:
        self.at += 1
        if self.at >= len(self.reference):
            return want
        value = self.reference[self.at].value
        return want if value is KEPT else value

    def _typical(self, settings: dict[str, Any]) -> dict[str, Any]:
        if not settings.get("mistaken"):
            return settings
        typical: dict[str, Any] = {}
        for hint, wrong in settings["mistaken"].items():
            if isinstance(wrong, FunctionType):
                typical[hint] = wrong
            elif values := [calls[self.at].value for calls in self.owners.get(hint, ()) if self.at < len(calls)]:
                typical[hint] = lambda got, values=values: _one_of(values, got)
        return {**settings, "mistaken": typical}


def _one_of(values: list[Any], got: Any) -> bool:
    """Whether it is what one of those who make this mistake get."""
    numbers = array_of(got) is not None
    return any((compare.close(got, value, 1e-5) if numbers and array_of(value) is not None else compare.same(got, value)) is None
               for value in values if value is not KEPT)


def noted(value: Any) -> Any:
    """The value as it can be kept and sent: arrays in place of Tensors; KEPT where it is something else."""
    if isinstance(value, (list, tuple)):
        items = [noted(item) for item in value]
        return KEPT if any(item is KEPT for item in items) else type(value)(items)
    if isinstance(value, dict):
        items = noted(list(value.values()))
        return KEPT if items is KEPT else dict(zip(value, items))
    array = array_of(value)
    if array is not None and not isinstance(value, (bool, int, float, complex)):
        return array.copy()
    return copy.copy(value) if value is None or isinstance(value, (bool, int, float, complex, str)) else KEPT
