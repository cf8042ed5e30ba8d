"""torch's operations by the names of its own samples (OpInfo), in our words, with what ours lacks on purpose.

Only the arguments named here are understood: a sample with any other keyword counts as *not supported*.  Further reasons are told as rules.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import tinytorch as tt
from tests.conformance.operations import torch
from tinytorch.core import activations, losses, spatial
from tinytorch.core import tensor as T

Arguments = dict[str, Any]
Rule = Callable[[Arguments], bool]                  # of a sample's arguments by name, as torch gave them: does the reason hold?


@dataclass(frozen=True)
class Adapter:
    """One of torch's operations: our function for it, and the arguments that ours understands."""

    operation: str                                  # the entry of the table that it is
    call: Callable[..., Any]
    names: str = "input"                            # of the arguments, in torch's order; some may come as keywords
    lacks: dict[str, Rule] = field(default_factory=dict)        # reason -> rule
    ignored: Arguments = field(default_factory=dict)            # keywords that ours lacks, and the value at which nothing is lost


def sloped_limits(given: Arguments) -> bool:
    """A limit that wants a gradient; other tensors may be limits."""
    return any(getattr(given.get(name), "requires_grad", False) for name in ("min", "max"))


def truth_values(given: Arguments) -> bool:
    return bool(given["input"].dtype == torch.bool)


def numbers_beside_lists(given: Arguments) -> bool:
    key = given["key"] if isinstance(given["key"], tuple) else ()
    return any(type(k) is int for k in key) and any(isinstance(k, (list, torch.Tensor)) for k in key)


def probabilities(given: Arguments) -> bool:
    return bool(given["target"].dtype.is_floating_point)


def empty_mean(given: Arguments) -> bool:
    """A mean over no numbers, or over targets of which none counts."""
    targets, averaged = given["target"], given.get("reduction", "mean") == "mean"
    return averaged and not (targets.numel() if probabilities(given) else (targets != given.get("ignore_index", -100)).sum())


def axis_of_a_point(given: Arguments) -> bool:
    return given["input"].ndim == 0 and given.get("dim") is not None


def axes_of_a_point(given: Arguments) -> bool:
    return bool(given["input"].ndim == 0)


def negative_power(given: Arguments) -> bool:
    """Of whole numbers; the exponents stand first in `__rpow__`."""
    return not given["input"].dtype.is_floating_point and bool((given["input"] < 0).any())


def fractions_as_whole(given: Arguments) -> bool:
    ends = [given.get(name) for name in ("input", "end", "step")]
    return given.get("dtype") == torch.int64 and any(type(end) is float for end in ends)


def unlike_sizes(given: Arguments) -> bool:
    """An empty vector beside tables, which torch lets pass for the sake of old programs."""
    return len({t.ndim for t in given["input"]}) > 1


def no_classes(given: Arguments) -> bool:
    return 0 in given["input"].shape and not given["input"].shape[given["dim"]]


def dice(given: Arguments) -> bool:
    return given.get("training", True) and given.get("p", 0.5) not in (0.0, 1.0)


def always(given: Arguments) -> bool:
    return True


def spread(function: Callable[..., Any]) -> Callable[..., Any]:
    """torch's `var` and `std`, whose old setting `unbiased` is a correction of 1 or 0."""
    def call(x: Any, dim: Any = None, unbiased: Any = None, keepdim: bool = False, correction: Any = 1) -> Any:
        dim, unbiased = (None, dim) if type(dim) is bool else (dim, unbiased)                   # var(x, True)
        return function(x, dim=dim, keepdim=keepdim, correction=correction if unbiased is None else int(unbiased))
    return call


def looked_up(q: Any, k: Any, v: Any, attn_mask: Any = None, dropout_p: float = 0.0, is_causal: bool = False) -> Any:
    """torch's attention, which makes its causal mask itself; the output only."""
    mask = np.tri(q.shape[-2], k.shape[-2], dtype=bool) if is_causal else attn_mask
    return tt.scaled_dot_product_attention(q, k, v, mask)[0]


TWO, AXES, SPREAD = "input other", "input dim keepdim", "input dim unbiased keepdim correction"
ALPHA, CPU = {"alpha": 1}, {"device": "cpu"}
HALF = {"truth values: NumPy computes in half precision": truth_values}
PLACES = {"places beside the values": always}
LIMITS = {"limits with a gradient": sloped_limits}
POINT = {"an axis of a single number": axis_of_a_point}
SPREADS = POINT | {"a correction of None": lambda given: "correction" in given and given["correction"] is None}
NO_CLASSES = {"no classes": no_classes}
UNLIKE = {"shapes that differ": lambda given: given["input"].shape != given["target"].shape, "the mean of nothing": empty_mean}
CLASSES = {"probabilities as targets": probabilities, "the mean of nothing": empty_mean}
CONVOLVED = "input weight bias stride padding dilation groups"
WHOLE = {"whole numbers": lambda given: not given["input"].dtype.is_floating_point}
ADAPTERS = {
    "add": Adapter("add", T.add, TWO, ignored=ALPHA),
    "__radd__": Adapter("add", lambda a, b: b + a, TWO),
    "sub": Adapter("subtract", T.subtract, TWO, ignored=ALPHA),
    "rsub": Adapter("subtract", lambda a, b: b - a, TWO, ignored=ALPHA),
    "__rsub__": Adapter("subtract", lambda a, b: b - a, TWO),
    "mul": Adapter("multiply", T.multiply, TWO),
    "__rmul__": Adapter("multiply", lambda a, b: b * a, TWO),
    "div.no_rounding_mode": Adapter("divide", T.divide, TWO),
    "true_divide": Adapter("divide", T.divide, TWO),
    "__rdiv__": Adapter("divide", lambda a, b: b / a, TWO),
    "pow": Adapter("power", T.power, "input exponent"),
    "__rpow__": Adapter("power", lambda a, b: b ** a, TWO, {"whole numbers to a negative power": negative_power}),
    "square": Adapter("power", lambda x: x ** 2, lacks={"powers of truth values": truth_values}),
    "neg": Adapter("negative", T.negative),
    "abs": Adapter("absolute", T.absolute),
    "exp": Adapter("exp", T.exp, lacks=HALF),
    "log": Adapter("log", T.log, lacks=HALF),
    "sqrt": Adapter("sqrt", T.sqrt, lacks=HALF),
    "maximum": Adapter("maximum", T.maximum, TWO),
    "max.binary": Adapter("maximum", T.maximum, TWO),
    "minimum": Adapter("minimum", T.minimum, TWO),
    "min.binary": Adapter("minimum", T.minimum, TWO),
    "eq": Adapter("equal", T.equal, TWO),
    "ne": Adapter("not_equal", T.not_equal, TWO),
    "lt": Adapter("less", T.less, TWO),
    "le": Adapter("less_equal", T.less_equal, TWO),
    "gt": Adapter("greater", T.greater, TWO),
    "ge": Adapter("greater_equal", T.greater_equal, TWO),
    "matmul": Adapter("matmul", T.matmul, TWO),
    "__rmatmul__": Adapter("matmul", lambda a, b: b @ a, TWO),
    "mm": Adapter("matmul", T.matmul, "input mat2"),
    "bmm": Adapter("matmul", T.matmul, "input mat2"),
    "mv": Adapter("matmul", T.matmul, "input vec"),
    "dot": Adapter("dot", T.dot, TWO),
    "reshape": Adapter("reshape", lambda x, shape: x.reshape(shape), "input shape"),
    "view": Adapter("reshape", lambda x, shape: x.view(shape), "input shape"),
    "ravel": Adapter("flatten", T.flatten),
    "flatten": Adapter("flatten", T.flatten, "input start_dim end_dim"),
    "permute": Adapter("permute", lambda x, dims: x.permute(dims), "input dims"),
    "expand": Adapter("expand", lambda x, size: x.expand(size), "input size"),
    "broadcast_to": Adapter("expand", lambda x, size: x.expand(size), "input size"),
    "__getitem__": Adapter("getitem", lambda x, key: x[key], "input key", {"numbers beside lists in a key": numbers_beside_lists}),
    "squeeze": Adapter("squeeze", T.squeeze, "input dim"),
    "squeeze.multiple": Adapter("squeeze", T.squeeze, "input dim", {"several axes at once": always}),
    "unsqueeze": Adapter("unsqueeze", T.unsqueeze, "input dim"),
    "transpose": Adapter("transpose", T.transpose, "input dim0 dim1", {"axes of a single number": axes_of_a_point}),
    "T": Adapter("transpose of the last two axes", lambda x: x.T),
    "mT": Adapter("transpose of the last two axes", lambda x: x.mT),
    "t": Adapter("transpose of the last two axes", lambda x: x.T, lacks={"fewer than two axes": lambda given: given["input"].ndim < 2}),
    "sum": Adapter("reduce_sum", T.reduce_sum, AXES),
    "mean": Adapter("mean", T.mean, AXES, POINT),
    "amax": Adapter("amax", T.amax, AXES),
    "amin": Adapter("amin", T.amin, AXES),
    "max.reduction_no_dim": Adapter("amax", T.amax),
    "min.reduction_no_dim": Adapter("amin", T.amin),
    "max.reduction_with_dim": Adapter("amax", T.amax, AXES, PLACES),
    "min.reduction_with_dim": Adapter("amin", T.amin, AXES, PLACES),
    "argmax": Adapter("argmax", T.argmax, AXES),
    "argmin": Adapter("argmin", T.argmin, AXES),
    "var": Adapter("var", spread(T.var), SPREAD, SPREADS),
    "var.unbiased": Adapter("var", spread(T.var), SPREAD),
    "std": Adapter("std", spread(T.std), SPREAD, SPREADS),
    "std.unbiased": Adapter("std", spread(T.std), SPREAD),
    "cat": Adapter("cat", T.cat, "input dim", {"an empty vector beside tables": unlike_sizes}),
    "stack": Adapter("stack", T.stack, "input dim"),
    "where": Adapter("where", lambda a, condition, b: T.where(condition, a, b), "input condition other"),
    "masked_fill": Adapter("masked_fill", T.masked_fill, "input mask value",
                           {"a number in place of a truth value": lambda given: truth_values(given) and type(given["value"]) is int}),
    "clamp": Adapter("clip", T.clip, "input min max", LIMITS),
    "clamp_min": Adapter("clip", lambda x, low: T.clip(x, min=low), "input min", LIMITS),
    "clamp_max": Adapter("clip", lambda x, high: T.clip(x, max=high), "input max", LIMITS),
    "nn.functional.relu": Adapter("relu", tt.relu),
    "nn.functional.leaky_relu": Adapter("leaky_relu", tt.leaky_relu, "input negative_slope"),
    "sigmoid": Adapter("sigmoid", tt.sigmoid, lacks={"truth values": truth_values}),
    "tanh": Adapter("tanh", tt.tanh, lacks=HALF),
    "erf": Adapter("erf", activations.erf),
    "nn.functional.gelu": Adapter("gelu", tt.gelu, "input approximate"),
    "nn.functional.silu": Adapter("silu", tt.silu),
    "nn.functional.softplus": Adapter("softplus", losses.softplus),
    "softmax": Adapter("softmax", tt.softmax, "input dim", NO_CLASSES),
    "softmax.with_dtype": Adapter("softmax", tt.softmax, "input dim"),
    "log_softmax": Adapter("log_softmax", tt.log_softmax, "input dim", NO_CLASSES),
    "log_softmax.with_dtype": Adapter("log_softmax", tt.log_softmax, "input dim"),
    "nn.functional.linear": Adapter("linear", lambda x, w, b=None: tt.linear(x, w.T, b), "input weight bias"),
    "nn.functional.dropout": Adapter("dropout", lambda x, p=0.5, training=True: tt.Dropout(p).train(training)(x), "input p training",
                                     {"random numbers": dice}),
    "nn.functional.mse_loss": Adapter("mse_loss", tt.mse_loss, "input target reduction", UNLIKE),
    "nn.functional.l1_loss": Adapter("l1_loss", tt.l1_loss, "input target reduction", UNLIKE),
    "nn.functional.huber_loss": Adapter("huber_loss", tt.huber_loss, "input target reduction delta", UNLIKE),
    "nn.functional.binary_cross_entropy": Adapter("binary_cross_entropy", tt.binary_cross_entropy, "input target reduction", UNLIKE),
    "nn.functional.binary_cross_entropy_with_logits": Adapter(
        "binary_cross_entropy_with_logits", tt.binary_cross_entropy_with_logits, "input target reduction", UNLIKE),
    "nn.functional.nll_loss": Adapter("nll_loss", tt.nll_loss, "input target ignore_index reduction", CLASSES),
    "nn.functional.cross_entropy": Adapter(
        "cross_entropy", tt.cross_entropy, "input target ignore_index reduction label_smoothing", CLASSES),
    "nn.functional.conv1d": Adapter("conv1d", tt.conv1d, CONVOLVED, WHOLE),
    "nn.functional.conv2d": Adapter("conv2d", tt.conv2d, CONVOLVED, WHOLE),
    "nn.functional.unfold": Adapter("im2col", lambda x, kernel_size, dilation=1, padding=0, stride=1: spatial.im2col(
        x, kernel_size, stride, padding, dilation), "input kernel_size dilation padding stride", WHOLE),
    "nn.functional.max_pool2d": Adapter("max_pool2d", tt.max_pool2d, "input kernel_size stride padding dilation ceil_mode", WHOLE,
                                        {"return_indices": False}),
    "nn.functional.avg_pool2d": Adapter("avg_pool2d", lambda x, *given, divisor_override=None, **more: tt.avg_pool2d(x, *given[:5], **more),
                                        "input kernel_size stride padding ceil_mode count_include_pad divisor_override", WHOLE | {
        "a divisor of one's own": lambda given: given.get("divisor_override") is not None}),
    "nn.functional.adaptive_avg_pool2d": Adapter("adaptive_avg_pool2d", tt.adaptive_avg_pool2d, "input output_size", WHOLE),
    "nn.functional.batch_norm": Adapter("batch_norm in training", tt.batch_norm,
                                        "input running_mean running_var weight bias training momentum eps",
                                        WHOLE | {"statistics of nothing": lambda given: not given["input"].numel()}),
    "nn.functional.embedding": Adapter("embedding", lambda weight, ids, padding_idx=None: tt.embedding(ids, weight, padding_idx),
                                       "input idx padding_idx", ignored={"max_norm": None, "norm_type": 2.0, "scale_grad_by_freq": False,
                                                                         "sparse": False}),
    "nn.functional.scaled_dot_product_attention": Adapter(
        "scaled_dot_product_attention", looked_up, "input key value attn_mask dropout_p is_causal", {
            "dropout of weights": lambda given: given.get("dropout_p", 0.0) > 0.0}),
    "nn.functional.layer_norm": Adapter("layer_norm", tt.layer_norm, "input normalized_shape weight bias eps", {
        "the slope of one number alone, 0, which torch rounds": lambda given: math.prod(given["normalized_shape"]) == 1}),
    "nn.functional.rms_norm": Adapter("rms_norm", tt.rms_norm, "input normalized_shape weight eps"),
    "zeros": Adapter("zeros", tt.zeros, "input dtype", ignored=CPU),
    "ones": Adapter("ones", tt.ones, "input dtype", ignored=CPU),
    "full": Adapter("full", tt.full, "input fill_value dtype", ignored=CPU),
    "eye": Adapter("eye", tt.eye, "input m dtype requires_grad", ignored=CPU),
    "arange": Adapter("arange", tt.arange, "input end step dtype", {"fractions as whole numbers": fractions_as_whole}, CPU),
}
# Entries of the table that have no samples of torch's, and why: test_opinfo.py holds the table to it.
WITHOUT_SAMPLES = {
    **dict.fromkeys(("Linear", "Sequential", "Identity", "Conv1d", "Conv2d", "BatchNorm1d", "BatchNorm2d", "Embedding",
                     "PositionalEncoding", "LearnedPositionalEmbedding", "EmbeddingLayer", "RotaryEmbedding", "MultiHeadAttention",
                     "LayerNorm", "RMSNorm"), "an object"),
    "col2im": "torch has no samples of fold; tried as the gradient of unfold",
    "conv2d_loops": "the definition, with seven loops: too slow",
    **dict.fromkeys(("logistic", "error_function", "clamped_log", "concatenate"), "a part of another operation"),
    **dict.fromkeys(("masked_softmax", "split_heads", "merge_heads", "causal_attention"), "torch has no operation of its own for it"),
    "attention_loops": "the definition, with loops: too slow",
    **dict.fromkeys(("loop_matmul", "vectorized_matmul", "tiled_matmul"), "another way to compute matmul, whose samples are tried"),
    **dict.fromkeys(("unfused_gelu", "fused_gelu", "fuse"), "torch has no operation of its own for it"),
    "fake_quantize": "torch has no samples of it",
    "tensor": "makes a tensor of Python's numbers",
}
# None of whose samples ours supports: all of them ask for what is told in the ledger.
NEVER = {"squeeze.multiple", "max.reduction_with_dim", "min.reduction_with_dim", "softmax.with_dtype", "log_softmax.with_dtype",
         "nn.functional.softplus"}
