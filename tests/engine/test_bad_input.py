"""Bad input to what the library offers beside its operations: refused by name, or answered rightly; nothing else."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinytorch as tt
from tests.engine import bad
from tests.engine.calls import CALLS, ROW, TABLE
from tinytorch import optimization
from tinytorch.benchmarking import benchmark

# What is right, though it was not meant: ways of spoiling, and the arguments (of all, or of one: "callable.argument") that take them.
RIGHT = {
    "list of one":
        "AvgPool2d.kernel_size  Conv1d.dilation  Conv1d.kernel_size  Conv1d.stride  Conv2d.dilation  Conv2d.kernel_size  Conv2d.stride "
        "MaxPool2d.dilation  MaxPool2d.kernel_size  RandomCrop.size  batch_sizes  normalized_shape  shape  sizes  widths",
    "zero, half, huge":
        "Adagrad.eps  Adam.eps  AdamW.eps  BatchNorm1d.eps  BatchNorm2d.eps  CosineSchedule.min_lr  KnowledgeDistillation.temperature "
        "LayerNorm.eps  RMSprop.alpha  RMSprop.eps  RMSprop.momentum  ReduceLROnPlateau.eps  SGD.momentum  TinyGPT.write.temperature "
        "epoch  eta_min  gain  gamma  generate.temperature  initial_accumulator_value  kaiming_uniform.a  lr  lr_decay  max_lr  threshold "
        "token_probabilities.temperature  weight_decay",
    "None":
        "compress_model.finetune  MixedPrecisionTrainer.model  MixedPrecisionTrainer.optimizer  Trainer.fit.patience  Trainer.optimizer "
        "adaptive_avg_pool2d.output_size  analyze_batch_size_effects.model  analyze_profiling_overhead.model  avg_pool2d.stride "
        "batch_sampler  fan_in  fan_out  generator  hidden_dim  images  load_digits.path  load_text.path  max_pool2d.stride  pos_encoding "
        "positions  scheduler  storage.dtype  compress_model.dtype  Compressor.dtype  top_k  top_p",
    "table, nans, infs": "array  vectorized_matmul.a",
    "list of one, row, whole":
        "BenchmarkResult.samples  bootstrap_interval.samples  effect_size.a  effect_size.b  percentiles.samples  times",
    "zero":
        "create_sinusoidal_embeddings.embed_dim  create_sinusoidal_embeddings.max_seq_len  "
        "Dropout.p  GPT.num_layers  KVCache.get.layer  KVCache.update.layer  KnowledgeDistillation.alpha  RandomCrop.padding "
        "RandomHorizontalFlip.p  ReduceLROnPlateau.patience  avg_pool2d.padding  beta  col2im.padding  conv2d.padding  cooldown "
        "distillation_loss.alpha  dropout  epochs  factor  im2col.padding  max_new_tokens  max_pool2d.padding  num_workers "
        "output_size.padding  ratio  seed  seq_len  sparsity  warmup",
    "list of one, six axes, row, table, whole": "sample_tokens.p  token_probabilities.logits",
    "function": "BenchmarkSuite.quality  Sequential.append.layer  Sequential.layer  fn  loss_fn",
    "minus, zero": "end_dim  start_dim",
    "whole": "TextDataset.ids  bias",
    "None, zero": "BatchNorm1d.momentum  BatchNorm2d.momentum  max_length  num_samples",
    "minus, zero, half, huge": "dampening  kaiming_uniform.a  target",
    "None, zero, half, huge": "RMSNorm.eps  agree  peak",
    "zero, half, huge, list of one, true, one number, six axes": "ReduceLROnPlateau.min_lr",
    "minus, zero, half, huge, nan, inf, list of one, true, one number, six axes": "metric",
    "None, half, huge, inf": "grad_clip_norm",
    "dict, empty, no list": "allowed_special  callbacks  parameters  transforms",
    "table, whole, nans, infs": "accuracy.logits",
    "half, nan, inf, true, empty, no list, one number, six axes, row, table, whole, nans, infs": "targets",
    "zero, half, huge, inf": "clip_value  max_norm",
    "minus, zero, half, huge, inf": "norm_type",
    "dict": "calls  history  plan  submission",
    "list of one, empty, no list, six axes, row, table, whole, nans, infs": "tensor",
    "None, function": "collate_fn  rotary  transform  Compressor.finetune",
    "text, bytes, list of one, list of text": "collate.samples",
    "minus, zero, half, huge, list of one, true, one number, six axes, row, table, whole": "mean",
    "half, huge, list of one, true, one number, six axes": "std",
    "empty, six axes, row, table, whole, nans, infs": "Normalize().image  RandomHorizontalFlip().image",
    "six axes, table, nans, infs": "RandomCrop().image",
    "zero, list of one": "AvgPool2d.padding  Conv1d.padding  Conv2d.padding  MaxPool2d.padding",
    "None, list of one": "AdaptiveAvgPool2d.output_size  AvgPool2d.stride  MaxPool2d.stride",
    "dict, list of text, empty, no list": "skip  special_tokens",
    "text, dict, list of text, empty, no list": "texts",
    "text": "bits_per_character.text  encode.text  held  prompt  show_tokens.text",
    "None, text": "validate_submission.text",
    "list of one, empty, no list, whole": "decode.ids",
    "zero, list of one, whole": "Embedding().ids",
    "list of one, whole": "EmbeddingLayer().ids  prompt_tokens",
    "true": "context_length",
    "zero, true": "KVCache.advance.n  index  start",
    "None, minus, zero, true": "axis  padding_idx",
    "half, huge": "base  distillation_loss.temperature",
    "half": "loss_scale  mlp_ratio",
    "huge, true": "tile",
    "empty, six axes, row, table, nans, infs": "to_bfloat16.x",
    "half, one number, six axes, row, table": "quantize_int8.x",
    "minus, zero, half, huge, list of one, true, empty, no list, one number, six axes, row, table, whole": "high  quantize.x",
    "minus, zero, half, huge, nan, inf, list of one, one number, six axes, row, table, whole, nans, infs": "Observer.observe.x",
    "huge": "max_loss_scale",
    "minus, zero, half, huge, nan, inf, list of one, true, empty, no list, one number, six axes, row, table, whole, nans, infs":
        "dequantize_int8.q  values",
    "minus, zero, true, empty, no list, six axes": "low",
    "half, huge, true": "scale",
    "minus, zero, half, huge, true": "zero_point",
    "table": "points  weight",
    "ragged": "names",
    "bytes, dict, set, list of one, empty, no list": "ranks",
}
EXPECTED = {key: how.split(", ") for how, keys in RIGHT.items() for key in keys.split()}
COLLECTIONS = {"dataset", "data_source", "sampler"}         # anything that has a length, or can be gone through, is one

LET_THROUGH = {                                             # callable, argument and way -> why the error is another's
    ("TransformerBlock, MLP, MultiHeadAttention", "norm", "function"): "a norm is called, and says itself what it cannot take",
    ("measure, compare", "call", "function"): "what is measured is called, and says itself what it lacks",
    ("peak_memory", "call", "function"): "the same",
    ("compress_model, Compressor, storage", "finetune", "function"): "the same",
    ("time_to_quality", "step", "function"): "the same",
    ("time_to_quality", "quality", "function"): "the same",
    ("count_flops", "input_shape", "list of one"): "a shape; the layer that cannot take it says so",
    ("train_step", "batch", "ragged"): "a pair; the layer that cannot take it says so",
    ("TinyGPTTrainer", "text", "text"): "a text; the dataset says that it is too short",
    ("GPT.load", "path", "bytes"): "bytes are the name of a file to NumPy, which names the file that is not there",
}


@pytest.mark.parametrize("name", CALLS)
def test_an_argument_that_is_spoiled_is_refused_by_name_or_answered_rightly(name: str) -> None:
    right: dict[str, list[str]] = {}
    wrong = []
    for argument, how in bad.spoiled(name):
        with contextlib.redirect_stdout(io.StringIO()):
            came = bad.outcome(name, argument, how)
        if came == "returned":
            right.setdefault(argument, []).append(how)
        elif came != "refused" and (name, argument, how) not in LET_THROUGH:
            wrong.append(f"{argument} {how}: {came}")
    first = name.partition(",")[0].replace(" ", "_")
    expected = {argument: EXPECTED.get(f"{first}.{argument}", EXPECTED.get(argument, [])) for argument, _ in bad.spoiled(name)}
    assert not wrong
    for argument, ways in expected.items():
        assert argument in COLLECTIONS or right.get(argument, []) == ways, argument


@pytest.mark.parametrize("name", CALLS)
def test_the_good_call_is_answered(name: str) -> None:
    call, good = CALLS[name]()
    if good != {"path": None}:
        with contextlib.redirect_stdout(io.StringIO()):
            call(**good)


VIEWS: dict[str, Callable[[Any], Any]] = {
    "every second number": lambda x: np.repeat(x, 2, axis=-1)[..., ::2],
    "backwards": lambda x: np.ascontiguousarray(x[..., ::-1])[..., ::-1],
    "column by column": np.asfortranarray, "of the other byte order": lambda x: x.astype(x.dtype.newbyteorder()), "read-only": bad.frozen,
}
ARRAYS: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "accuracy": (lambda x: tt.accuracy(x, [0, 1, 2, 0]), TABLE), "TensorDataset": (lambda x: tt.TensorDataset(x)[2][0], TABLE),
    "Normalize": (tt.Normalize([0.5], [0.25]), TABLE), "RandomCrop": (lambda x: tt.RandomCrop((4, 3), padding=0)(x), TABLE),
    "conv2d": (lambda x: tt.conv2d(x.reshape(1, 1, 4, 3), tt.ones(1, 1, 2, 2)), TABLE),
    "max_pool2d": (lambda x: tt.max_pool2d(x.reshape(1, 1, 4, 3), 2), TABLE),
    "embedding": (lambda x: tt.embedding(x, tt.Tensor(TABLE)), np.array([[0, 3], [2, 1]])),
    "decode": (lambda x: tt.Tokenizer().encode(tt.Tokenizer().decode(x)), np.array([104, 105])),
    "TextDataset": (lambda x: tt.TextDataset(x, 2)[1][1], np.arange(6)),
    "causal_attention": (lambda x: tt.causal_attention(x.reshape(1, 2, 6), num_heads=1), TABLE),
    "masked_softmax": (tt.masked_softmax, TABLE),
    "layer_norm": (lambda x: tt.layer_norm(x, 3), TABLE), "token_probabilities": (lambda x: tt.token_probabilities(x, top_k=2), TABLE),
    "tiled_matmul": (lambda x: tt.tiled_matmul(x, x.T, tile=2), TABLE), "fused_gelu": (tt.fused_gelu, TABLE),
    "quantize_int8": (lambda x: tt.quantize_int8(x, axis=0)[0], TABLE), "fake_quantize": (lambda x: tt.fake_quantize(x, 0.5), TABLE),
    "pack_int4": (optimization.pack_int4, np.arange(6, dtype=np.int8)),
    "keep_largest": (lambda x: optimization.keep_largest(x, 0.5), TABLE),
    "low_rank_approximate": (lambda x: np.matmul(*tt.low_rank_approximate(x, 2)), TABLE),
    "CSR": (lambda x: tt.CSR.from_dense(x).to_dense(), TABLE), "percentiles": (lambda x: benchmark.percentiles(x)["p50"], ROW),
    "pareto_frontier": (benchmark.pareto_frontier, TABLE),
}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", ARRAYS)
def test_how_an_array_lies_in_memory_changes_nothing(name: str, view: str) -> None:
    call, array = ARRAYS[name]
    given = VIEWS[view](array)
    want = np.asarray(call(array.copy()))
    np.testing.assert_allclose(np.asarray(call(given)), want, rtol=1e-6)
    np.testing.assert_array_equal(given, array)
