"""Random expressions: up to 50 operations of the table on a few leaves, built by ours and by torch step by step."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st

import tinytorch as tt
from tests.conformance.compare import to_torch
from tests.conformance.forms import SHAPES_AND_SETTINGS, Draw
from tests.conformance.operations import OPERATIONS, Operation, torch

LEAVES = ((2, 3), (3,), (1, 3), (3, 2), (), (2, 1))
MOST, LARGE = 64, 10.0                              # numbers in a value; the size of a number
NEAR = 1e-7                                         # so close to a corner that ours and torch may be on different sides of it
ONE = {"one", "number", "reshape", "permute", "expand", "key", "squeeze", "swap", "matrix", "unsqueeze", "flatten", "reduced", "axis",
       "clip", "masked"}
TWO = {"pair", "compared", "joined", "stacked", "chosen", "product"}
USED = [name for name, operation in OPERATIONS.items() if operation.slope and operation.form in ONE | TWO and name != "dropout"]


@dataclass(eq=False)
class Value:
    """One number or block in the expression, ours and torch's."""

    ours: Any
    theirs: Any
    used: bool = False


@dataclass
class Expression:
    """Leaves, everything computed from them so far, and how: `steps` reads like a program."""

    values: list[Value]
    steps: list[str] = field(default_factory=list)

    def add(self, text: str, inputs: list[Value], ours: Any, theirs: Any) -> Value:
        """Keep a new value, if it is what an expression can go on with."""
        value = Value(ours, theirs)
        for x in inputs:
            x.used = True
        self.values.append(value)
        self.steps.append(f"{len(self.values) - 1}: {text}{ours.shape}")
        return value

    def __repr__(self) -> str:
        return "\n".join(self.steps)


def leaves(draw: Draw) -> list[Value]:
    """Two to four leaves; one of them may have no gradient."""
    rng, count = np.random.default_rng(draw(st.integers(0, 2 ** 32))), draw(st.integers(2, 4))
    arrays = [rng.uniform(-2, 2, shape) for shape in draw(st.permutations(LEAVES))[:count]]
    sloped = [True, *(draw(st.integers(0, 3)) > 0 for _ in arrays[1:])]
    return [Value(tt.Tensor(a, requires_grad=s, dtype="float64"), torch.tensor(a, requires_grad=s)) for a, s in zip(arrays, sloped)]


def into_range(expression: Expression, value: Value, operation: Operation) -> Value:
    """A value as it is, or, where an operation wants a range, bent into it by a tanh."""
    if (operation.low, operation.high) in ((-2.0, 2.0), (-4.0, 4.0), (-30, 30)):
        return value
    middle, half = (operation.low + operation.high) / 2, (operation.high - operation.low) / 2
    ours, theirs = tt.tanh(value.ours) * half + middle, torch.tanh(value.theirs) * half + middle
    return expression.add("bend ", [value], ours, theirs)


def near_a_corner(operation: Operation, inputs: list[Value], settings: dict[str, Any]) -> bool:
    """Would rounding decide which way the slope goes?  Then ours and torch's may differ, and neither is wrong."""
    if not operation.corner:
        return False
    limits = [v for v in (settings.get("min", 0.0), settings.get("max", 0.0)) if v is not None]
    arrays = [value.ours.numpy() for value in inputs]
    if len(arrays) == 2:
        away = abs(arrays[0] - arrays[1])
        return bool((np.minimum(away, abs(away - settings.get("delta", 0.0))) < NEAR).any())
    if operation.form == "reduced":
        numbers = np.sort(arrays[0], axis=None)
        return bool((np.diff(numbers) < NEAR).any())
    return any((abs(arrays[0] - limit) < NEAR).any() for limit in limits)


def fitting(draw: Draw, expression: Expression, form: str) -> list[Value] | None:
    """Inputs for a form, from anywhere in the expression: what was used before may be used again."""
    pool = st.sampled_from(expression.values[::-1])
    first = draw(pool)
    if form in ONE:
        return [first]
    alike = [v for v in expression.values if suit(form, first.ours.shape, v.ours.shape)]
    return [first, draw(st.sampled_from(alike[::-1]))] if alike else None


def suit(form: str, a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    """Whether shapes fit together for a form of two inputs."""
    if form == "product":
        return bool(a and b and a[-1] == b[-min(2, len(b))] and broadcast(a[:-2] if len(b) > 1 else (), b[:-2]))
    if form == "joined":
        return bool(a) and a == b
    return a == b if form in ("compared", "stacked") else broadcast(a, b)


def broadcast(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    return all(n == m or 1 in (n, m) for n, m in zip(a[::-1], b[::-1]))


def step(draw: Draw, expression: Expression) -> None:
    """One more operation, with settings that fit; none where it does not fit here."""
    name = draw(st.sampled_from(USED))
    operation = OPERATIONS[name]
    chosen = fitting(draw, expression, operation.form)
    if chosen is None or (operation.form == "axis" and not chosen[0].ours.ndim) or (operation.form == "swap" and not chosen[0].ours.ndim):
        return
    if operation.form == "matrix" and chosen[0].ours.ndim < 2:
        return
    inputs = [into_range(expression, value, operation) for value in chosen]
    settings = SHAPES_AND_SETTINGS[operation.form][1](draw, [value.ours.shape for value in inputs])
    settings |= {key: draw(st.sampled_from(choices)) for key, choices in operation.extra}
    if operation.refuses([value.ours.data for value in inputs], settings) or near_a_corner(operation, inputs, settings):
        return
    with np.errstate(all="ignore"):
        ours = operation.ours(*(value.ours for value in inputs), **settings)
    if not ours.size or ours.size > MOST or not np.isfinite(ours.numpy()).all():
        return
    theirs = operation.theirs(*(value.theirs for value in inputs), **{key: to_torch(value) for key, value in settings.items()})
    expression.add(f"{name} of {[expression.values.index(v) for v in inputs]} {settings or ''} ", inputs, ours, theirs)
    tame(draw, expression)


def tame(draw: Draw, expression: Expression) -> None:
    """The newest value divided, if it has become large; now and then cut off from what it was made of."""
    value = expression.values[-1]
    largest = float(abs(value.ours.numpy()).max())
    if largest > LARGE:
        value = expression.add("divide ", [value], value.ours / largest, value.theirs / largest)
    if draw(st.integers(0, 15)) == 15:
        expression.add("detach ", [value], value.ours.detach(), value.theirs.detach())


@st.composite
def expressions(draw: Draw, most: int = 50) -> Expression:
    """An expression of up to `most` operations; more than half of them have nearly as many."""
    made = Expression(leaves(draw))
    for _ in range(draw(st.sampled_from((most, most // 2, most, 5)))):
        step(draw, made)
        if len(made.steps) >= most - 3:                             # one step may add three
            break
    return made
