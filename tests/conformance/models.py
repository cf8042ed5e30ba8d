"""Random definitions of models, and of how they are trained: data first, then built of our layers, and of torch's with the same numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st

import tinytorch as tt
from tests.conformance import adapters as by
from tests.conformance.adapters import torch
from tests.conformance.forms import Draw, Shape

Spec = tuple[Any, ...]                              # the kind of a layer, and what it is made with
WORDS = 7                                           # of a vocabulary
nn = torch.nn if torch else None


@dataclass(frozen=True)
class Definition:
    """A model, its inputs, its loss and its optimizer, by names and numbers alone."""

    kind: str                                       # of its inputs: table, images or words
    inputs: Shape
    layers: tuple[Spec, ...]
    outputs: int
    loss: Spec
    optimizer: Spec
    schedule: Spec
    clip: float | None
    seed: int


@dataclass
class Twins:
    """The same model of our layers and of torch's; and which parameter is which, turned round or not."""

    ours: Any
    theirs: Any
    pairs: list[tuple[Any, Any, bool]] = field(default_factory=list)


# ---- layers, built twice --------------------------------------------------------------------------

class Around(tt.Module):
    """x + f(x)."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def forward(self, x: Any) -> Any:
        return x + self.inner(x)


def around(inner: Any) -> Any:
    """The same of torch's."""
    class Sum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, x: Any) -> Any:
            return x + self.inner(x)
    return Sum()


def heads(width: int, count: int, causal: bool) -> Any:
    """torch's attention, of queries, keys and values that one layer makes."""
    class Heads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

        def forward(self, x: Any) -> Any:
            seen = None if causal else torch.ones(x.shape[1], x.shape[1], dtype=torch.bool)
            return self.proj(by.side_by_side(self.qkv(x), count, seen))
    return Heads()


SIMPLE: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "ReLU": (tt.ReLU, lambda: nn.ReLU()), "Tanh": (tt.Tanh, lambda: nn.Tanh()), "Sigmoid": (tt.Sigmoid, lambda: nn.Sigmoid()),
    "SiLU": (tt.SiLU, lambda: nn.SiLU()), "GELU": (tt.GELU, lambda form: nn.GELU(form)),
    "LeakyReLU": (tt.LeakyReLU, lambda slope: nn.LeakyReLU(slope)), "Softmax": (tt.Softmax, lambda dim: nn.Softmax(dim)),
    "LogSoftmax": (tt.LogSoftmax, lambda dim: nn.LogSoftmax(dim)), "Identity": (tt.Identity, lambda: nn.Identity()),
    "Flatten": (tt.Flatten, lambda *ends: nn.Flatten(*ends)),
    "LayerNorm": (tt.LayerNorm, lambda *how: nn.LayerNorm(*how)), "RMSNorm": (tt.RMSNorm, lambda *how: nn.RMSNorm(*how)),
    "BatchNorm1d": (tt.BatchNorm1d, lambda width: nn.BatchNorm1d(width)),
    "BatchNorm2d": (tt.BatchNorm2d, lambda width: nn.BatchNorm2d(width)),
    "Conv2d": (lambda *how, **more: tt.Conv2d(*how, **more), lambda *how, **more: nn.Conv2d(*how, **more)),
    "MaxPool2d": (tt.MaxPool2d, lambda *how: nn.MaxPool2d(*how)), "AvgPool2d": (tt.AvgPool2d, lambda *how: nn.AvgPool2d(*how)),
    "AdaptiveAvgPool2d": (tt.AdaptiveAvgPool2d, lambda size: nn.AdaptiveAvgPool2d(size)),
    "Embedding": (tt.Embedding, lambda *how: nn.Embedding(*how)), "Linear": (tt.Linear, lambda *how: nn.Linear(*how)),
    "Heads": (tt.MultiHeadAttention, heads),
}
TURNED = "Linear", "Heads"                          # torch's matrices are turned round


def built(specs: tuple[Spec, ...]) -> Twins:
    """Layers in a row; torch's only where it is installed."""
    parts = [layer(*spec) for spec in specs]
    return Twins(tt.Sequential(*(p.ours for p in parts)), nn and nn.Sequential(*(p.theirs for p in parts)),
                 [pair for p in parts for pair in p.pairs])


def layer(name: str, *how: Any) -> Twins:
    if name == "Around":
        inner = built(how)
        return Twins(Around(inner.ours), nn and around(inner.theirs), inner.pairs)
    mine, other = SIMPLE[name][0](*how), nn and SIMPLE[name][1](*how)
    both = zip(mine.parameters(), other.parameters(), strict=True) if nn else ()
    return Twins(mine, other, [(a, b, name in TURNED and a.ndim == 2) for a, b in both])


def twins(definition: Definition) -> Twins:
    """The model in float64, with the numbers that its seed stands for, ours and torch's alike."""
    made, rng = built(definition.layers), np.random.default_rng(definition.seed)
    for p in made.ours.parameters():
        p.data = rng.uniform(-0.7, 0.7, p.shape) + (p.ndim == 1)
    if nn:
        made.theirs.double()
        for mine, other, turned in made.pairs:
            other.data = torch.tensor(mine.numpy().T if turned else mine.numpy())
    return made


# ---- definitions, drawn -----------------------------------------------------------------------------

BENDS = st.sampled_from([("ReLU",), ("Tanh",), ("Sigmoid",), ("SiLU",), ("GELU", "none"), ("GELU", "tanh"),
                         ("LeakyReLU", 0.2), ("Identity",)])
WIDTHS = st.integers(1, 6)


def table_layers(draw: Draw, width: int) -> tuple[list[Spec], int]:
    """Layers for (N, width), and the width at their end."""
    specs: list[Spec] = []
    for _ in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(("linear", "bend", "norm", "around")))
        if kind == "linear":
            specs.append(("Linear", width, out := draw(WIDTHS), draw(st.booleans())))
            width = out
        elif kind == "around":
            specs.append(("Around", ("Linear", width, width, True), draw(BENDS)))
        else:
            specs.append(draw(BENDS) if kind == "bend" else draw(st.sampled_from(norms(width))))
    return specs, width


def norms(width: int) -> list[Spec]:
    return [("BatchNorm1d", width)] + ([("LayerNorm", width, 0.01), ("RMSNorm", width, 0.01), ("Softmax", 1)] if width > 1 else [])


def image_layers(draw: Draw, size: Shape) -> tuple[list[Spec], int]:
    """Layers for images (N, C, H, W), flat at their end, and how wide that is."""
    (c, h, w), specs = size, []
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(("convolve", "bend", "norm", "pool", "around")))
        if kind == "convolve":
            groups, kernel, padding = draw(st.sampled_from((1, c))), draw(st.sampled_from((1, 3))), draw(st.integers(0, 1))
            out, stride = groups * draw(st.integers(1, 2)), draw(st.integers(1, 2))
            if min(h, w) + 2 * padding < kernel:
                continue
            specs.append(("Conv2d", c, out, kernel, stride, padding, 1, groups, draw(st.booleans())))
            c, h, w = out, *((n + 2 * padding - kernel) // stride + 1 for n in (h, w))
        elif kind == "around":
            specs.append(("Around", ("Conv2d", c, c, 3, 1, 1), draw(BENDS)))
        elif kind == "pool" and min(h, w) > 1:
            specs.append((draw(st.sampled_from(("MaxPool2d", "AvgPool2d"))), 2))
            h, w = h // 2, w // 2
        else:
            specs.append(draw(BENDS) if kind == "bend" else ("BatchNorm2d", c))
    if draw(st.booleans()):
        specs.append(("AdaptiveAvgPool2d", 2))
        h = w = 2
    return [*specs, ("Flatten",)], c * h * w


def word_layers(draw: Draw) -> tuple[list[Spec], int]:
    """Layers for ids (N, T): a line for each at their end, and how wide it is."""
    count = draw(st.integers(1, 2))
    width = count * draw(st.integers(1, 3)) * 2
    specs: list[Spec] = [("Embedding", WORDS, width)]
    for _ in range(draw(st.integers(1, 2))):
        norm = draw(st.sampled_from((("LayerNorm", width, 0.01), ("RMSNorm", width, 0.01), ("Identity",))))
        specs.append(("Around", norm, ("Heads", width, count, draw(st.booleans()))))
        specs.append(("Around", norm, ("Linear", width, 2 * width, True), draw(BENDS), ("Linear", 2 * width, width, True)))
    return [*specs, ("Flatten", 0, 1)], width


LOSSES = st.sampled_from([("CrossEntropyLoss",), ("CrossEntropyLoss", 0.1), ("MSELoss",), ("L1Loss",), ("HuberLoss", "mean", 0.5),
                          ("BCEWithLogitsLoss",), ("NLLLoss",), ("MSELoss", "sum")])
RATES, DECAYS = st.sampled_from((0.01, 0.003, 0.03)), st.sampled_from((0.0, 0.01, 0.1))


def optimizers(draw: Draw) -> Spec:
    """A name and settings; never an eps so small that a slope which is nothing but rounding would count."""
    name = draw(st.sampled_from(("SGD", "Adam", "AdamW", "RMSprop", "Adagrad")))
    how: dict[str, Any] = {"lr": draw(RATES), "weight_decay": draw(DECAYS)}
    if name in ("SGD", "RMSprop"):
        how["momentum"] = draw(st.sampled_from((0.0, 0.9)))
    if name == "SGD" and how["momentum"]:
        how |= draw(st.sampled_from(({}, {"nesterov": True}, {"dampening": 0.3})))
    if name in ("Adam", "AdamW"):
        how["betas"] = draw(st.sampled_from(((0.9, 0.999), (0.5, 0.9), (0.0, 0.99))))
    return name, how | ({"eps": draw(st.sampled_from((1e-3, 1e-4)))} if name != "SGD" else {})


SCHEDULES = st.sampled_from([(), ("StepLR", 5, 0.5), ("ExponentialLR", 0.9), ("CosineAnnealingLR", 12, 1e-4)])


@st.composite
def definitions(draw: Draw) -> Definition:
    """A model of one to about ten layers, its loss, its optimizer, its schedule, and perhaps a bound for its gradients."""
    kind = draw(st.sampled_from(("table", "images", "words")))
    count = draw(st.integers(3, 6))
    if kind == "table":
        inputs: Shape = (count, draw(WIDTHS))
        specs, width = table_layers(draw, inputs[1])
    elif kind == "images":
        inputs = (count, draw(st.integers(1, 3)), draw(st.integers(3, 7)), draw(st.integers(3, 7)))
        specs, width = image_layers(draw, inputs[1:])
    else:
        inputs = (count, draw(st.integers(1, 4)))
        specs, width = word_layers(draw)
    loss, outputs = draw(LOSSES), draw(st.integers(2, 4))
    specs += [("Linear", width, outputs, True)] + [("LogSoftmax", 1)] * (loss[0] == "NLLLoss")
    return Definition(kind, inputs, tuple(specs), outputs, loss, optimizers(draw), draw(SCHEDULES),
                      draw(st.sampled_from((None, 0.5))), draw(st.integers(0, 2 ** 32)))


def batch(definition: Definition) -> tuple[Any, Any]:
    """Inputs and targets as arrays."""
    rng = np.random.default_rng(definition.seed + 1)
    words = definition.kind == "words"
    x = rng.integers(0, WORDS, definition.inputs) if words else rng.uniform(-2, 2, definition.inputs)
    lines = x.size if words else len(x)
    if definition.loss[0] in ("CrossEntropyLoss", "NLLLoss"):
        return x, rng.integers(0, definition.outputs, lines)
    return x, rng.uniform(0, 1, (lines, definition.outputs))
