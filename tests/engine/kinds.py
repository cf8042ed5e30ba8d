"""One of every kind of model that the library has, ready to be copied: small, the same every time, with weights that make a difference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tinytorch as tt
from tinytorch.applications.tinygpt import TinyGPT
from tinytorch.generation.kv_cache import enable_kv_cache
from tinytorch.optimization.compression import factorize, magnitude_prune, structured_prune
from tinytorch.optimization.quantization import Quantizer, quantize_model
from tinytorch.text.tokenization import CharTokenizer

rng = np.random.default_rng(0)
TABLE, IMAGES, LINES = rng.normal(size=(5, 6)), rng.normal(size=(3, 2, 6, 6)), rng.normal(size=(3, 2, 6))
WORDS, IDS = rng.normal(size=(2, 4, 8)), rng.integers(0, 7, (2, 4))


def tables() -> Any:
    return tt.Sequential(tt.Linear(6, 8), tt.BatchNorm1d(8), tt.GELU(), tt.Dropout(0.3, np.random.default_rng(1)), tt.Identity(),
                         tt.Linear(8, 4, bias=False), tt.LayerNorm(4), tt.RMSNorm(4), tt.LogSoftmax(-1))


def images() -> Any:
    return tt.Sequential(tt.Conv2d(2, 4, 3, padding=1), tt.BatchNorm2d(4), tt.ReLU(), tt.MaxPool2d(2), tt.Conv2d(4, 4, 1),
                         tt.AvgPool2d(2), tt.AdaptiveAvgPool2d(1), tt.Flatten(), tt.Linear(4, 3))


def lines() -> Any:
    return tt.Sequential(tt.Conv1d(2, 3, 3), tt.SiLU(), tt.Flatten(), tt.Linear(12, 2))


class Shelf(tt.Module):
    """Layers in a list, a dict and an attribute, one of them in two places; a buffer; and a layer that stands still."""

    def __init__(self) -> None:
        self.layers, self.named = [tt.Linear(6, 6), tt.Tanh()], {"same": tt.Linear(6, 6)}
        self.again, self.seen = self.layers[0], tt.Tensor(np.full(1, 0.5))
        self.named["same"].weight.requires_grad = False

    def forward(self, x: Any) -> Any:
        return self.again(self.named["same"](self.layers[1](self.layers[0](x)))) + self.seen


def gpt(**settings: Any) -> Any:
    return tt.GPT(7, 8, num_layers=2, num_heads=2, max_seq_len=6, **settings)


def cached() -> Any:
    model = gpt()
    enable_kv_cache(model)
    model.generate([1, 2], 2)
    return model


def pruned() -> Any:
    model = tables()
    magnitude_prune(model, 0.5)
    return model


def calibrated() -> Any:
    return Quantizer(bits=4).calibrate(images(), IMAGES.astype(np.float32)).convert(images())


def aware() -> Any:
    return Quantizer().prepare_qat(tt.Sequential(tt.Linear(6, 8), tt.ReLU(), tt.Linear(8, 3)))


def writer() -> Any:
    tokenizer = CharTokenizer()
    tokenizer.train("abcdefghij")
    return TinyGPT(tokenizer, tt.GPT(tokenizer.vocab_size, 8, num_layers=1, num_heads=2, max_seq_len=6))


POSITIONS = "learned", "sinusoidal", "rotary", None

KINDS: dict[str, tuple[Callable[[], Any], Any]] = {
    "linear": (lambda: tt.Linear(6, 3), TABLE), "tables": (tables, TABLE), "images": (images, IMAGES), "lines": (lines, LINES),
    "layers in lists and dicts": (Shelf, TABLE),
    "embedding": (lambda: tt.Embedding(7, 8, padding_idx=0), IDS), "ids with sines": (lambda: tt.EmbeddingLayer(7, 8, 6), IDS),
    "attention": (lambda: tt.MultiHeadAttention(8, 2, causal=True, rotary=tt.RotaryEmbedding(4, 6)), WORDS),
    "block": (lambda: tt.TransformerBlock(8, 2, dropout=0.1), WORDS),
    **{f"GPT, {kind} positions": (lambda kind=kind: gpt(positions=kind, dropout=0.1), IDS) for kind in POSITIONS},
    "GPT, untied": (lambda: gpt(tie_weights=False), IDS), "GPT with a cache": (cached, IDS), "TinyGPT": (writer, IDS),
    "quantised table": (lambda: quantize_model(tables()), TABLE), "quantised images, 4 bits, calibrated": (calibrated, IMAGES),
    "quantised lines, a scale for all": (lambda: quantize_model(lines(), per_channel=False), LINES),
    "quantised GPT": (lambda: quantize_model(gpt()), IDS), "aware of quantisation": (aware, TABLE),
    "pruned": (pruned, TABLE), "fewer outputs": (lambda: structured_prune(images(), 0.5), IMAGES),
    "low rank": (lambda: tt.Sequential(tt.Linear(6, 8), tt.ReLU(), factorize(tt.Linear(8, 8), 2)), TABLE),
}


def made(kind: str) -> tuple[Any, Any]:
    """The model and an input; each weight drawn, no two alike."""
    tt.manual_seed(11)
    make, x = KINDS[kind]
    return make(), tt.Tensor(x)
