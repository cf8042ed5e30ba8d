"""The table of operations: ours, torch's, and how inputs for both are made.  Every conformance test is generated from it.

The first word of an entry's name is the public name that it stands for.  `torch` may be missing: then only `theirs` cannot be called.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import tinytorch as tt
from tests.conformance import adapters as by
from tests.conformance.adapters import Call, F, torch
from tinytorch.core import activations, attention, layers, losses, spatial
from tinytorch.core import tensor as T
from tinytorch.optimization import acceleration


@dataclass(frozen=True)
class Operation:
    """One row of the table: the same calculation, ours and torch's, and which inputs it is tried on."""

    name: str
    ours: Call
    theirs: Call
    form: str = "one"                               # how many inputs, of which shapes, with which settings: forms.py
    kinds: str = "f"                                # of inputs: f float32 and float64, i int64, b bool
    low: float = -2.0                               # the range of the inputs
    high: float = 2.0
    slope: bool = True                              # has it a gradient?
    twice: bool = True                              # and a second one?
    corner: bool = False                            # a slope that jumps, somewhere inside the range
    built: Call | None = None                       # the same as an object: built(**settings)(*inputs)
    refuses: Callable[[list[Any], dict[str, Any]], bool] = lambda arrays, settings: False       # torch answers, and ours refuses
    extra: tuple[tuple[str, tuple[Any, ...]], ...] = ()     # further settings, and the values to choose from


def nothing_to_average(arrays: list[Any], settings: dict[str, Any]) -> bool:
    """The mean of an empty batch, or of one that is ignored as a whole: torch's answer is nan, which spoils every weight it meets."""
    counted = arrays[0].size if "targets" not in settings else (settings["targets"] != settings["ignore_index"]).sum()
    return settings["reduction"] == "mean" and not counted


def no_classes(arrays: list[Any], settings: dict[str, Any]) -> bool:
    """Probabilities of no classes at all: torch's answer is empty, ours says that there is nothing to choose from."""
    return 0 in arrays[0].shape and not arrays[0].shape[settings["dim"]]


def too_few(arrays: list[Any], settings: dict[str, Any]) -> bool:
    """Statistics of one number or of none: torch refuses the first only, and its running statistics become nan."""
    return arrays[0].size < 2 * arrays[0].shape[1]


def does_not_fit(arrays: list[Any], settings: dict[str, Any]) -> bool:
    """A pool whose window is larger than the image with its padding, or whose padding is more than half of it: both libraries refuse."""
    kernel = settings["kernel_size"]
    given = [settings[name] for name in ("kernel_size", "stride", "padding")] + [settings.get("dilation", 1)]
    axes = [value if isinstance(value, tuple) else (value, value) for value in (kernel if value is None else value for value in given)]
    return any(p > k // 2 or d * (k - 1) + 1 > size + 2 * p + (s - 1) * settings["ceil_mode"]
               for size, k, s, p, d in zip(arrays[0].shape[-2:], *axes))


def no_axis(arrays: list[Any], settings: dict[str, Any]) -> bool:
    """Axis 0 of a single number: torch counts it as an axis, NumPy's mean does not."""
    return arrays[0].ndim == 0 and settings["dim"] is not None


def same(name: str, call: Call, **more: Any) -> Operation:
    """An operation that both libraries spell alike."""
    return Operation(name, call, call, **more)


def operations_of(*entries: Operation) -> dict[str, Operation]:
    """By name; two of one name would hide one another."""
    table = {entry.name: entry for entry in entries}
    if len(table) != len(entries):
        raise ValueError("two operations of one name")
    return table


POSITIVE = {"low": 0.2, "high": 2.0}
WIDE = {"low": -4.0, "high": 4.0}
FLAT = {"slope": False}                             # no gradient: positions and truth values
PLAIN = {"form": "pair", "kinds": "fib"}
REDUCED = {"form": "reduced"}
EPS = (("eps", (0.05, 0.5)),)                       # one that is seen beside variances near 1
LOSS = {"form": "compared", "refuses": nothing_to_average}

ARITHMETIC = operations_of(
    same("add", lambda a, b: a + b, **PLAIN),
    same("subtract", lambda a, b: a - b, form="pair", kinds="fi"),
    same("multiply", lambda a, b: a * b, **PLAIN),
    same("divide", lambda a, b: a / b, form="pair", kinds="fi", **POSITIVE),
    same("power", lambda a, b: a ** b, form="pair", kinds="fi", **POSITIVE),
    same("power of whole numbers", lambda x, exponent: x ** exponent, extra=(("exponent", (0, 1, 2, 3, 3.0, 4)),)),
    same("power of positive numbers", lambda x, exponent: x ** exponent, extra=(("exponent", (-1, -2, 0.5, 1.5, -0.5)),), **POSITIVE),
    same("add number", lambda x, number: x + number, form="number", kinds="fib"),
    same("add a truth value", lambda x, number: x + number, kinds="fib", extra=(("number", (True, False)),)),
    same("add to a number", lambda x, number: number + x, form="number", kinds="fib"),
    same("subtract number", lambda x, number: x - number, form="number", kinds="fi"),
    same("subtract from a number", lambda x, number: number - x, form="number", kinds="fi"),
    same("multiply number", lambda x, number: x * number, form="number", kinds="fib"),
    same("multiply a number", lambda x, number: number * x, form="number", kinds="fib"),
    same("divide by number", lambda x, number: x / (number + 0.25), form="number", kinds="fib"),
    same("divide a number", lambda x, number: number / x, form="number", kinds="fi", **POSITIVE),
    same("power with a number below", lambda x, number: (abs(number) + 0.5) ** x, form="number", kinds="fi"),
    same("negative", lambda x: -x, kinds="fi"),
    same("absolute", abs, kinds="fi", corner=True),
    Operation("exp", T.exp, lambda x: torch.exp(x), kinds="fi"),
    Operation("log", T.log, lambda x: torch.log(x), kinds="fi", **POSITIVE),
    Operation("sqrt", T.sqrt, lambda x: torch.sqrt(x), kinds="fi", **POSITIVE),
    Operation("maximum", T.maximum, lambda a, b: torch.maximum(a, b), corner=True, **PLAIN),
    Operation("minimum", T.minimum, lambda a, b: torch.minimum(a, b), corner=True, **PLAIN),
    same("equal", lambda a, b: a == b, **PLAIN, **FLAT),
    same("not_equal", lambda a, b: a != b, **PLAIN, **FLAT),
    same("less", lambda a, b: a < b, **PLAIN, **FLAT),
    same("less_equal", lambda a, b: a <= b, **PLAIN, **FLAT),
    same("greater", lambda a, b: a > b, **PLAIN, **FLAT),
    same("greater_equal", lambda a, b: a >= b, **PLAIN, **FLAT),
    same("greater number", lambda x, number: x > number, form="number", kinds="fib", **FLAT),
    same("matmul", lambda a, b: a @ b, form="product", kinds="fi"),
    Operation("dot", T.dot, lambda a, b: torch.dot(a, b), form="vectors", kinds="fi"),
)
SHAPES = operations_of(
    same("reshape", lambda x, shape: x.reshape(shape), form="reshape", kinds="fib"),
    same("permute", lambda x, dims: x.permute(dims), form="permute", kinds="fib"),
    same("expand", lambda x, shape: x.expand(shape), form="expand", kinds="fib"),
    same("getitem", lambda x, key: x[key], form="key", kinds="fib"),
    same("squeeze", lambda x, **dim: x.squeeze(**dim), form="squeeze", kinds="fib"),
    Operation("transpose", T.transpose, lambda x, dim0, dim1: torch.transpose(x, dim0, dim1), form="swap", kinds="fib"),
    Operation("transpose of the last two axes", lambda x: x.T, lambda x: x.mT, form="matrix", kinds="fib"),
    Operation("unsqueeze", T.unsqueeze, lambda x, dim: torch.unsqueeze(x, dim), form="unsqueeze", kinds="fib"),
    Operation("flatten", T.flatten, lambda x, **dims: torch.flatten(x, **dims), form="flatten", kinds="fib", built=tt.Flatten),
)
REDUCTIONS = operations_of(
    same("reduce_sum", lambda x, **dims: x.sum(**dims), kinds="fib", **REDUCED),
    same("mean", lambda x, **dims: x.mean(**dims), **REDUCED, refuses=no_axis),
    same("var", lambda x, **dims: x.var(**dims), extra=(("correction", (0, 1)),), **REDUCED, refuses=no_axis),
    same("var of too few", lambda x, **dims: x.var(**dims), extra=(("correction", (2, 3, 5)),), **REDUCED, refuses=no_axis, **FLAT),
    same("std", lambda x, **dims: x.std(**dims), extra=(("correction", (0, 1)),), **REDUCED, refuses=no_axis),
    Operation("amax", T.amax, lambda x, dim, keepdim: torch.amax(x, () if dim is None else dim, keepdim), kinds="fib", corner=True,
              **REDUCED),
    Operation("amin", T.amin, lambda x, dim, keepdim: torch.amin(x, () if dim is None else dim, keepdim), kinds="fib", corner=True,
              **REDUCED),
    Operation("argmax", T.argmax, lambda x, **dims: torch.argmax(x, **dims), kinds="fi", form="reduced to one", **FLAT),
    Operation("argmin", T.argmin, lambda x, **dims: torch.argmin(x, **dims), kinds="fi", form="reduced to one", **FLAT),
)
CHOICES = operations_of(
    Operation("concatenate", lambda *xs, dim: T.cat(xs, dim), lambda *xs, dim: torch.cat(xs, dim), form="joined", kinds="fib"),
    Operation("cat", lambda *xs, dim: T.cat(list(xs), axis=dim), lambda *xs, dim: torch.cat(xs, dim), form="joined"),
    Operation("stack", lambda *xs, dim: T.stack(xs, dim), lambda *xs, dim: torch.stack(xs, dim), form="stacked", kinds="fib"),
    Operation("where", lambda a, b, condition: T.where(condition, a, b), lambda a, b, condition: torch.where(condition, a, b),
              form="chosen", kinds="fib"),
    same("masked_fill", lambda x, mask, value: x.masked_fill(mask, value), form="masked"),
    same("clip", lambda x, **ends: x.clip(**ends), form="clip", kinds="fi", corner=True),
)
ACTIVATIONS = operations_of(
    Operation("relu", tt.relu, lambda x: F.relu(x), kinds="fi", corner=True, built=tt.ReLU),
    Operation("leaky_relu", tt.leaky_relu, lambda x, **slope: F.leaky_relu(x, **slope), corner=True, built=tt.LeakyReLU,
              extra=(("negative_slope", (0.01, 0.2, 1.5, -0.5, 0.0)),)),
    Operation("sigmoid", tt.sigmoid, lambda x: torch.sigmoid(x), kinds="fi", low=-8, high=8, built=tt.Sigmoid),
    Operation("tanh", tt.tanh, lambda x: torch.tanh(x), kinds="fi", built=tt.Tanh, **WIDE),
    Operation("erf", activations.erf, lambda x: torch.erf(x), kinds="fib"),
    Operation("gelu", tt.gelu, lambda x, **form: F.gelu(x, **form), extra=(("approximate", ("none", "tanh")),), built=tt.GELU, **WIDE),
    Operation("silu", tt.silu, lambda x: F.silu(x), built=tt.SiLU, **WIDE),
    Operation("softmax", tt.softmax, lambda x, dim: F.softmax(x, dim), form="axis", low=-30, high=30, built=tt.Softmax, refuses=no_classes),
    Operation("softmax of small scores", tt.softmax, lambda x, dim: F.softmax(x, dim), form="axis", refuses=no_classes),
    Operation("log_softmax", tt.log_softmax, lambda x, dim: F.log_softmax(x, dim), form="axis", low=-30, high=30,
              built=tt.LogSoftmax, refuses=no_classes),
    Operation("logistic", lambda x: by.of_arrays(activations.logistic, x), lambda x: torch.sigmoid(x), low=-30, high=30, **FLAT),
    Operation("error_function", lambda x: by.of_arrays(activations.error_function, x), lambda x: torch.erf(x), **WIDE, **FLAT),
)
LAYERS = operations_of(
    Operation("linear", layers.linear, lambda x, w, b=None: F.linear(x, w.T, b), form="linear"),
    Operation("Linear", lambda x, w, b=None: by.as_layer(w, b)(x), lambda x, w, b=None: F.linear(x, w.T, b), form="linear"),
    Operation("dropout", layers.dropout, lambda x, p: F.dropout(x, p, training=True), extra=(("p", (0.0, 1.0, 0, 1)),),
              built=tt.Dropout),
    Operation("Identity", lambda x: tt.Identity()(x), lambda x: torch.nn.Identity()(x), kinds="fib"),
    Operation("Sequential", lambda x: tt.Sequential(tt.Tanh(), tt.Sequential(tt.Identity()), tt.ReLU())(x),
              lambda x: F.relu(torch.tanh(x)), corner=True),
)
LOSSES = operations_of(
    Operation("mse_loss", tt.mse_loss, lambda a, b, **how: F.mse_loss(a, b, **how), built=tt.MSELoss, **LOSS),
    Operation("l1_loss", tt.l1_loss, lambda a, b, **how: F.l1_loss(a, b, **how), corner=True, built=tt.L1Loss, **LOSS),
    Operation("huber_loss", tt.huber_loss, lambda a, b, **how: F.huber_loss(a, b, **how), extra=(("delta", (1.0, 0.3, 2.5)),), corner=True,
              built=tt.HuberLoss, **LOSS),
    Operation("binary_cross_entropy", tt.binary_cross_entropy, lambda a, b, **how: F.binary_cross_entropy(a, b, **how), low=0.05, high=0.95,
              built=tt.BCELoss, **LOSS),
    Operation("binary_cross_entropy_with_logits", tt.binary_cross_entropy_with_logits,
              lambda a, b, **how: F.binary_cross_entropy_with_logits(a, b, **how), low=0, high=1, built=tt.BCEWithLogitsLoss, **LOSS),
    Operation("nll_loss", tt.nll_loss, lambda x, targets, **how: F.nll_loss(x, targets, **how), form="classes", refuses=nothing_to_average,
              built=tt.NLLLoss),
    Operation("cross_entropy", tt.cross_entropy, lambda x, targets, **how: F.cross_entropy(x, targets, **how), form="classes",
              low=-5, high=5, refuses=nothing_to_average, extra=(("label_smoothing", (0.0, 0.1, 1.0)),), twice=False,
              built=tt.CrossEntropyLoss),
    Operation("softplus", losses.softplus, lambda z: F.softplus(z), **WIDE),
    Operation("clamped_log", losses.clamped_log, lambda x: torch.log(x).clamp(min=-100.0), **POSITIVE),
)
SPATIAL = operations_of(
    Operation("conv2d", tt.conv2d, lambda *xs, **how: F.conv2d(*xs, **how), form="convolution"),
    Operation("conv2d with named padding", tt.conv2d, lambda *xs, **how: F.conv2d(*xs, **how), form="named padding"),
    Operation("conv1d", tt.conv1d, lambda *xs, **how: F.conv1d(*xs, **how), form="convolution of lines"),
    Operation("Conv2d", partial(by.as_kernels, tt.Conv2d), lambda *xs, **how: F.conv2d(*xs, **how), form="convolution"),
    Operation("Conv1d", partial(by.as_kernels, tt.Conv1d), lambda *xs, **how: F.conv1d(*xs, **how),
              form="convolution of lines"),
    Operation("conv2d_loops", lambda x, w: tt.Tensor(spatial.conv2d_loops(x.data, w.data), dtype=x.dtype), lambda x, w: F.conv2d(x, w),
              form="small convolution", **FLAT),
    Operation("im2col", spatial.im2col, lambda x, kernel_size, stride, padding, dilation: F.unfold(
        x, kernel_size, dilation, padding, stride), form="patches"),
    Operation("col2im", spatial.col2im, lambda x, size, kernel_size, stride, padding, dilation: F.fold(
        x, size, kernel_size, dilation, padding, stride), form="columns"),
    Operation("max_pool2d", tt.max_pool2d, lambda x, **how: F.max_pool2d(x, **how), form="spread pool", corner=True,
              built=tt.MaxPool2d, refuses=does_not_fit, extra=(("ceil_mode", (False, True)),)),
    Operation("avg_pool2d", tt.avg_pool2d, lambda x, **how: F.avg_pool2d(x, **how), form="pool", built=tt.AvgPool2d, refuses=does_not_fit,
              extra=(("ceil_mode", (False, True)), ("count_include_pad", (True, False)))),
    Operation("adaptive_avg_pool2d", tt.adaptive_avg_pool2d, lambda x, output_size: F.adaptive_avg_pool2d(x, output_size), form="images",
              built=tt.AdaptiveAvgPool2d, extra=(("output_size", (1, 2, 3, (2, 3), (None, 2), 7)),)),
    Operation("batch_norm in training", lambda x, *wb, eps: tt.batch_norm(x, None, None, *wb, training=True, eps=eps),
              lambda x, *wb, eps: F.batch_norm(x, None, None, *wb, training=True, eps=eps), form="channels", refuses=too_few,
              extra=(("eps", (0.05, 0.5)),)),
    Operation("batch_norm in use", lambda x, *wb, mean, var, eps: tt.batch_norm(x, mean, var, *wb, eps=eps),
              lambda x, *wb, mean, var, eps: F.batch_norm(x, mean.to(x.dtype), var.to(x.dtype), *wb, eps=eps), form="known channels",
              extra=(("eps", (1e-5, 0.5)),)),
    Operation("BatchNorm1d", lambda x, eps: tt.BatchNorm1d(x.shape[1], eps)(x),
              lambda x, eps: torch.nn.BatchNorm1d(x.shape[1], eps).to(x.dtype)(x),
              form="one image a line", refuses=too_few, extra=(("eps", (0.05, 0.5)),)),
    Operation("BatchNorm2d", lambda x, eps: tt.BatchNorm2d(x.shape[1], eps)(x),
              lambda x, eps: torch.nn.BatchNorm2d(x.shape[1], eps).to(x.dtype)(x),
              form="batch of images", refuses=too_few, extra=(("eps", (0.05, 0.5)),)),
)
TEXT = operations_of(
    Operation("embedding", lambda w, ids: tt.embedding(ids, w), lambda w, ids: F.embedding(ids, w), form="ids"),
    Operation("Embedding", lambda w, ids: by.as_table(w)(ids), lambda w, ids: F.embedding(ids, w), form="ids"),
    Operation("PositionalEncoding", lambda x, start: tt.PositionalEncoding(9, x.shape[-1])(x, start),
              lambda x, start: x + by.sinusoids(9, x.shape[-1])[start:start + x.shape[-2]].to(x.dtype), form="sequence"),
    Operation("LearnedPositionalEmbedding", lambda x, w, start: by.as_positions(w)(x, start),
              lambda x, w, start: x + w[start:start + len(x)], form="sequence and table"),
    Operation("EmbeddingLayer", lambda w, p, ids, start, scale: by.as_both(w, p, scale)(ids, start),
              lambda w, p, ids, start, scale: F.embedding(ids, w) * (w.shape[1] ** 0.5 if scale else 1) + p[start:start + ids.shape[-1]],
              form="ids and positions", extra=(("scale", (False, True)),)),
    Operation("RotaryEmbedding", lambda x, start, base: tt.RotaryEmbedding(x.shape[-1], 9, base)(x, start),
              lambda x, start, base: by.llama_rotation(x, start, base), form="sequence", extra=(("base", (10000.0, 30.0)),)),
)
ATTENTION = operations_of(
    Operation("attention_loops", lambda *xs: tt.Tensor(attention.attention_loops(*(x.data for x in xs)), dtype=xs[0].dtype),
              lambda *xs: F.scaled_dot_product_attention(*xs), form="looked up once", **FLAT),
    Operation("masked_softmax", attention.masked_softmax, lambda z, mask: torch._safe_softmax(by.masked(z, mask), -1), form="scores"),
    Operation("scaled_dot_product_attention", lambda q, k, v, mask: tt.scaled_dot_product_attention(q, k, v, mask)[0],
              lambda q, k, v, mask: F.scaled_dot_product_attention(q, k, v, by.of_dtype(mask, q.dtype)), form="looked up"),
    Operation("split_heads", tt.split_heads, lambda x, num_heads: x.unflatten(-1, (num_heads, x.shape[-1] // num_heads)).transpose(-3, -2),
              form="heads", kinds="fib"),
    Operation("merge_heads", tt.merge_heads, lambda x: x.transpose(-3, -2).flatten(-2), form="split heads", kinds="fib"),
    Operation("causal_attention", tt.causal_attention, by.side_by_side, form="side by side"),
    Operation("MultiHeadAttention", by.as_heads, by.heads_of,
              form="attention layer", low=-0.5, high=0.5, extra=(("causal", (False, True)),)),
)
NORMS = operations_of(
    Operation("layer_norm", lambda x, *wb, normalized_shape, eps: tt.layer_norm(x, normalized_shape, *wb, eps=eps),
              lambda x, *wb, normalized_shape, eps: F.layer_norm(x, normalized_shape, *wb, eps=eps), form="normalised", extra=EPS),
    Operation("rms_norm", lambda x, *w, normalized_shape, eps: tt.rms_norm(x, normalized_shape, *w, eps=eps),
              lambda x, *w, normalized_shape, eps: F.rms_norm(x, normalized_shape, *w, eps=eps), form="scaled", extra=EPS),
    Operation("LayerNorm", lambda x, **how: tt.LayerNorm(**how)(x), lambda x, **how: torch.nn.LayerNorm(**how).to(x.dtype)(x),
              form="last axes", extra=EPS),
    Operation("RMSNorm", lambda x, **how: tt.RMSNorm(**how)(x), lambda x, **how: torch.nn.RMSNorm(**how).to(x.dtype)(x),
              form="last axes", extra=EPS),
)
ACCELERATION = operations_of(
    Operation("loop_matmul", lambda a, b: tt.Tensor(acceleration.loop_matmul(a.data, b.data), dtype=a.dtype), lambda a, b: a @ b,
              form="matrices", **FLAT),
    Operation("vectorized_matmul", tt.vectorized_matmul, lambda a, b: a @ b, form="matrices"),
    Operation("tiled_matmul", tt.tiled_matmul, lambda a, b, tile: a @ b, form="matrices", extra=(("tile", (1, 2, 3, 64)),)),
    Operation("unfused_gelu", tt.unfused_gelu, lambda x: F.gelu(x, approximate="tanh"), **WIDE),
    Operation("fused_gelu", tt.fused_gelu, lambda x: F.gelu(x, approximate="tanh"), **WIDE),
    Operation("fuse", by.fused_chain, lambda x, y: torch.tanh(x * y) / (1.0 + torch.exp(-x)) - 2.0 * y, form="alike", twice=False),
)
QUANTISATION = operations_of(
    # Its gradient is not the slope of what it computes: tests/optimization/test_quantization.py holds it beside torch's.
    Operation("fake_quantize", tt.fake_quantize, by.fake_quantized,
              extra=(("scale", (0.25, 0.5)), ("zero_point", (0, 1)), ("bits", (8, 4, 2))), **WIDE, **FLAT),
)
CREATION = operations_of(
    Operation("zeros", tt.zeros, lambda *size: torch.zeros(size), form="size"),
    Operation("ones", tt.ones, lambda *size: torch.ones(size), form="size"),
    Operation("full", lambda *size, value: tt.full(size, value), lambda *size, value: torch.full(size, value), form="size",
              extra=(("value", (1.5, 2, True)),)),
    Operation("eye", tt.eye, lambda *size: torch.eye(*size), form="table"),
    Operation("arange", tt.arange, lambda *ends: torch.arange(*ends), form="range"),
    Operation("tensor", lambda x: tt.tensor(x.tolist()), lambda x: torch.tensor(x.tolist()), kinds="fib", **FLAT),
)
OPERATIONS = ARITHMETIC | SHAPES | REDUCTIONS | CHOICES | ACTIVATIONS | LAYERS | LOSSES | SPATIAL | TEXT | ATTENTION | NORMS \
    | ACCELERATION | QUANTISATION
EVERYTHING = OPERATIONS | CREATION


# Public names that are no entry of their own, and why: test_complete.py holds the table to it.
EXCEPTIONS = {
    **dict.fromkeys(("refuse", "check_whole", "check_number", "check_kind", "check_choice", "check_sizes", "check_array", "plain_array",
                     "check_sampling", "check_generate"), "refuse what people type: tests/engine/test_bad_input.py"),
    "scatter_sum": "the gradient of getitem, and tried as that",
    "checkpoint": "computes what its function computes: tests/engine looks at its gradients",
    **dict.fromkeys(("rand", "randn", "manual_seed", "xavier_uniform", "kaiming_uniform"), "random: the modules' tests measure the spread"),
    **dict.fromkeys(("Activation", "Module", "Layer", "Loss", "Parameter", "in_blocks"), "what others are made of"),
    **dict.fromkeys(("reduce_loss", "paired", "class_targets", "composed"), "a part of every loss, and tried with them"),
    **dict.fromkeys(("convolve_weight", "convolve_input", "batch_norm_gradient"), "the gradient of another operation, and tried as that"),
    "scatter_lines": "the gradient of a pool, and tried as that",
    **dict.fromkeys(("convolve", "frame", "max_along", "sum_along", "output_size", "patches", "lines", "taps", "in_parts", "rows_of",
                     "by_group", "moments", "Pool"), "a part of convolutions, pools or batch norm, and tried with them"),
    "sum_by_id": "the gradient of embedding, and tried as that",
    **dict.fromkeys(("token_ids", "take_rows", "sum_by_product", "sum_by_sorting", "position_angles", "positions_of", "rotate",
                     "create_sinusoidal_embeddings"), "a part of embeddings, and tried with them"),
    "create_causal_mask": "truth values: tests/conformance/test_attention.py",
    **dict.fromkeys(("thirds", "blocks_of", "causal_weights", "attention_gradients"), "a part of attention, and tried with it"),
    **dict.fromkeys(("standardize", "norm_gradient"), "a part of the norms, and tried with them"),
    **dict.fromkeys(("MLP", "TransformerBlock", "GPT", "TiedLinear", "next_token_loss"), "tried beside its twin in test_transformer.py"),
    **dict.fromkeys(("initialize_weights", "token_probabilities", "sample_tokens"), "how a GPT begins and writes: test_transformer.py"),
    **dict.fromkeys(("cached_attention", "start_step", "block_step", "head_step", "KVCache", "CachedGeneration", "cache_for",
                     "cached_block", "cached_forward", "decode_weights", "decode_step", "next_tokens", "generate_cached", "enable_kv_cache",
                     "disable_kv_cache"),
                    "writing with a cache, without gradients: tests/generation has it beside torch"),
    **dict.fromkeys(("spans", "gelu_into", "in_pieces", "slopes_in_pieces"), "a part of fused operations, and tried with them"),
    **dict.fromkeys(("to_bfloat16", "from_bfloat16", "Packed", "to_half", "rounded", "widen", "each", "half_door", "autocast", "kept_bytes",
                     "MixedPrecisionTrainer"), "storing in half: tests/optimization/test_acceleration.py"),
    **dict.fromkeys(("analyze_vectorization_scaling", "analyze_arithmetic_intensity", "analyze_mixed_precision_benefits",
                     "analyze_acceleration_decision_framework"), "measures: tests/optimization/test_acceleration.py"),
    **dict.fromkeys(("quantization_grid", "grid_of", "quantize", "quantize_int8", "dequantize_int8", "pack_int4", "unpack_int4",
                     "product_by_tiles", "widen_rows", "quantized_linear", "quantized_rows", "model_nbytes", "Quantized", "QuantizedLinear",
                     "QuantizedConv2d", "QuantizedEmbedding", "replace_layers", "Observer", "QuantizationAware", "Quantizer",
                     "quantize_model", "save_quantized", "load_quantized"), "numbers kept in bytes: tests/optimization"),
    "BinaryCrossEntropyLoss": "another name of BCELoss",
    **dict.fromkeys(("Tensor", "as_array", "operand", "settle", "named", "in_place", "through", "record", "op", "from_numpy", "reflected",
                     "reduction", "broadcast_shape", "sizes_of", "memory_footprint"), "the tensor itself and its door, no operation"),
}
