"""Our operations as torch functions, so that torch's own checkers of gradients can be asked about them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tinytorch as tt
from tests.conformance.operations import torch


def through(call: Callable[..., Any], twice: bool = True) -> Callable[..., Any]:
    """A torch function of float64 tensors that computes with ours: forward, backward and, if `twice`, the gradient of backward."""
    return lambda *xs: Value.apply(call, twice, *xs)


def ours(x: Any, wanted: bool) -> Any:
    return tt.Tensor(x.detach().numpy().copy(), requires_grad=wanted, dtype="float64")


def theirs(x: Any, like: Any) -> Any:
    """Ours as torch's; zeros where there is none, for nothing depends on it."""
    return torch.zeros_like(like) if x is None else torch.from_numpy(np.array(x.numpy()))


class Value(torch.autograd.Function):
    """What `call` computes."""

    @staticmethod
    def forward(ctx: Any, call: Callable[..., Any], twice: bool, *xs: Any) -> Any:
        ctx.call, ctx.twice, ctx.wanted = call, twice, ctx.needs_input_grad[2:]
        ctx.save_for_backward(*xs)
        return theirs(call(*(ours(x, False) for x in xs)), None)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return None, None, *Slopes.apply(ctx.call, ctx.twice, ctx.wanted, g, *ctx.saved_tensors)


class Slopes(torch.autograd.Function):
    """The gradients of what `call` computes for the inputs that are wanted, from its own, `g`."""

    @staticmethod
    def forward(ctx: Any, call: Callable[..., Any], twice: bool, wanted: tuple[bool, ...], g: Any, *xs: Any) -> Any:
        again = twice and any(ctx.needs_input_grad)
        start, inputs = ours(g, again), [ours(x, w) for x, w in zip(xs, wanted)]
        sloped = [x for x, w in zip(inputs, wanted) if w]
        found = iter(tt.grad(call(*inputs), sloped, start, create_graph=again, allow_unused=True))
        slopes = [next(found) if w else None for w in wanted]
        ctx.start, ctx.inputs, ctx.slopes = start, inputs, slopes
        return tuple(theirs(s, x) if w else None for s, x, w in zip(slopes, xs, wanted))

    @staticmethod
    def backward(ctx: Any, *gs: Any) -> Any:
        pairs = [(s, g.numpy()) for s, g in zip(ctx.slopes, gs) if s is not None and s.requires_grad]
        of = [x for x in (ctx.start, *ctx.inputs) if x.requires_grad]
        if not pairs:
            return (None,) * (4 + len(ctx.inputs))
        found = iter(tt.grad([s for s, _ in pairs], of, [g for _, g in pairs], retain_graph=True, allow_unused=True))
        bends = [next(found) if x.requires_grad else None for x in (ctx.start, *ctx.inputs)]
        return None, None, None, *(b if b is None else torch.from_numpy(np.array(b.numpy())) for b in bends)
