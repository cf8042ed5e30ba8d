"""Public functions, and a good call of each."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

import tinytorch as tt
from tinytorch import optimization
from tinytorch.benchmarking import benchmark
from tinytorch.profiling import profiler

Good = tuple[Callable[..., Any], dict[str, Any]]
ROW, TABLE = np.arange(6.0, dtype=np.float32), np.arange(12.0, dtype=np.float32).reshape(4, 3)


def net() -> Any:
    return tt.Sequential(tt.Linear(3, 4), tt.ReLU(), tt.Linear(4, 2))


def gpt() -> Any:
    return tt.GPT(11, 8, 1, 2, 6)


def sgd() -> Any:
    return tt.SGD(net().parameters(), lr=0.1)


def pairs() -> Any:
    return tt.TensorDataset(TABLE, np.arange(4) % 2)


def trainer() -> Any:
    model = net()
    return tt.Trainer(model, tt.SGD(model.parameters(), lr=0.1), tt.CrossEntropyLoss())


def loader() -> Any:
    return tt.DataLoader(pairs(), 2)


def tokens() -> Any:
    return tt.BPETokenizer(260).train("the cat that ate")


def slope() -> Any:
    p = tt.Parameter([1.0, 2.0])
    p.grad = tt.Tensor([3.0, 4.0])
    return p


# A name is that of the callable; behind a comma stand those that it hands its arguments to.
CALLS: dict[str, Callable[[], Good]] = {
    # 03
    "xavier_uniform": lambda: (tt.xavier_uniform, dict(shape=(3, 2), gain=1.0, fan_in=3, fan_out=2, generator=None)),
    "kaiming_uniform": lambda: (tt.kaiming_uniform, dict(shape=(3, 2), a=0.0, fan_in=3, generator=None)),
    "Linear": lambda: (tt.Linear, dict(in_features=3, out_features=2, generator=None)),
    "Dropout": lambda: (tt.Dropout, dict(p=0.5, generator=None)),
    "Sequential": lambda: (lambda layer: tt.Sequential(layer), dict(layer=tt.ReLU())),
    "Sequential.append": lambda: (tt.Sequential().append, dict(layer=tt.ReLU())),
    "Flatten": lambda: (tt.Flatten, dict(start_dim=1, end_dim=-1)),
    "load_state_dict": lambda: (net().load_state_dict, dict(state=net().state_dict())),
    "load_state_dict entry": lambda: (lambda bias: net().load_state_dict(net().state_dict() | {"0.bias": bias}), dict(bias=np.ones(4,
        np.float32))),
    # 06
    "SGD params": lambda: (lambda params: tt.SGD(params), dict(params=[slope()])),
    "SGD": lambda: (tt.SGD, dict(params=[slope()], lr=0.1, momentum=0.9, dampening=0.0, weight_decay=0.0)),
    "Adagrad": lambda: (tt.Adagrad, dict(params=[slope()], lr=0.1, lr_decay=0.0, weight_decay=0.0, initial_accumulator_value=0.0,
        eps=1e-8)),
    "RMSprop": lambda: (tt.RMSprop, dict(params=[slope()], lr=0.1, alpha=0.9, eps=1e-8, weight_decay=0.0, momentum=0.0)),
    "Adam": lambda: (tt.Adam, dict(params=[slope()], lr=0.1, betas=(0.9, 0.99), eps=1e-8, weight_decay=0.0)),
    "AdamW": lambda: (tt.AdamW, dict(params=[slope()], lr=0.1, betas=(0.9, 0.99), eps=1e-8, weight_decay=0.0)),
    "Adam betas": lambda: (lambda beta: tt.Adam([slope()], betas=(beta, 0.99)), dict(beta=0.9)),
    "SGD.add_param_group": lambda: (sgd().add_param_group, dict(group={"params": [slope()]})),
    "SGD.load_state_dict": lambda: ((o := sgd()).load_state_dict, dict(saved=o.state_dict())),
    "StepLR": lambda: (tt.StepLR, dict(optimizer=sgd(), step_size=2, gamma=0.5)),
    "ExponentialLR": lambda: (tt.ExponentialLR, dict(optimizer=sgd(), gamma=0.5)),
    "LinearWarmup": lambda: (tt.LinearWarmup, dict(optimizer=sgd(), total_iters=2, start_factor=0.5)),
    "CosineAnnealingLR": lambda: (tt.CosineAnnealingLR, dict(optimizer=sgd(), T_max=4, eta_min=0.0)),
    "ReduceLROnPlateau": lambda: (tt.ReduceLROnPlateau, dict(optimizer=sgd(), mode="min", factor=0.5, patience=2, threshold=1e-4,
                                                             threshold_mode="rel", cooldown=0, min_lr=0.0, eps=1e-8)),
    "ReduceLROnPlateau.step": lambda: (tt.ReduceLROnPlateau(sgd()).step, dict(metric=1.0)),
    "StepLR.load_state_dict": lambda: ((o := tt.StepLR(sgd(), 2)).load_state_dict, dict(saved=o.state_dict())),
    # 07
    "Trainer": lambda: (tt.Trainer, dict(model=net(), optimizer=sgd(), loss_fn=tt.CrossEntropyLoss(), scheduler=None,
        grad_clip_norm=1.0)),
    "Trainer.evaluate, batches": lambda: (trainer().evaluate, dict(loader=loader())),
    "Trainer.train_epoch, batches": lambda: (trainer().train_epoch, dict(loader=loader(), accumulation_steps=1)),
    "Trainer.fit, train_epoch, batches": lambda: (trainer().fit, dict(train_loader=loader(), epochs=1, val_loader=loader(), patience=2,
        accumulation_steps=1, callbacks=())),
    "Trainer.load_checkpoint": lambda: (lambda path: trainer().load_checkpoint(path), dict(path=None)),
    "accuracy": lambda: (tt.accuracy, dict(logits=TABLE, targets=np.array([0, 1, 2, 0]))),
    "clip_grad_norm, gradients": lambda: (tt.clip_grad_norm, dict(parameters=[slope()], max_norm=1.0, norm_type=2.0)),
    "clip_grad_value, gradients": lambda: (tt.clip_grad_value, dict(parameters=[slope()], clip_value=1.0)),
    "CosineSchedule": lambda: (tt.CosineSchedule, dict(max_lr=0.1, min_lr=0.0, total_epochs=4)),
    "CosineSchedule.get_lr": lambda: (tt.CosineSchedule(0.1, 0.0, 4).get_lr, dict(epoch=1)),
    "plot_history": lambda: (tt.plot_history, dict(history={"train_loss": [1.0]})),
    # 08
    "TensorDataset": lambda: (lambda tensor, transform: tt.TensorDataset(tensor, transform=transform), dict(tensor=TABLE,
        transform=None)),
    "random_split": lambda: (tt.random_split, dict(dataset=pairs(), lengths=[3, 1], generator=None)),
    "SequentialSampler": lambda: (tt.SequentialSampler, dict(data_source=pairs())),
    "RandomSampler": lambda: (tt.RandomSampler, dict(data_source=pairs(), num_samples=3, generator=None)),
    "BatchSampler": lambda: (lambda **settings: tt.BatchSampler(drop_last=False, **settings), dict(sampler=range(4), batch_size=2)),
    "DataLoader, SequentialSampler": lambda: (tt.DataLoader, dict(dataset=pairs(), batch_size=2, sampler=None, batch_sampler=None,
        num_workers=0, collate_fn=None,
                                               prefetch_factor=2, generator=None)),
    "collate": lambda: (tt.default_collate, dict(samples=[1.0, 2.0])),
    "Compose": lambda: (lambda transforms: tt.Compose(transforms)(tt.ones(1, 4, 4)), dict(transforms=[])),
    "Normalize": lambda: (tt.Normalize, dict(mean=[0.5], std=[0.5])),
    "Normalize()": lambda: (tt.Normalize([0.5], [0.5]), dict(image=np.ones((1, 4, 4), np.float32))),
    "RandomHorizontalFlip": lambda: (tt.RandomHorizontalFlip, dict(p=0.5, generator=None)),
    "RandomHorizontalFlip()": lambda: (tt.RandomHorizontalFlip(1.0), dict(image=np.ones((1, 4, 4), np.float32))),
    "RandomCrop": lambda: (tt.RandomCrop, dict(size=2, padding=1, generator=None)),
    "RandomCrop()": lambda: (tt.RandomCrop(2, padding=1), dict(image=np.ones((1, 4, 4), np.float32))),
    "load_digits": lambda: (tt.load_digits, dict(path=None)),
    # 09
    "Conv2d": lambda: (tt.Conv2d, dict(in_channels=2, out_channels=4, kernel_size=3, stride=1, padding=0, dilation=1, groups=1,
        generator=None)),
    "Conv1d": lambda: (tt.Conv1d, dict(in_channels=2, out_channels=4, kernel_size=3, stride=1, padding=0, dilation=1, groups=1,
        generator=None)),
    "MaxPool2d": lambda: (tt.MaxPool2d, dict(kernel_size=2, stride=None, padding=0, dilation=1)),
    "AvgPool2d": lambda: (tt.AvgPool2d, dict(kernel_size=2, stride=None, padding=0)),
    "AdaptiveAvgPool2d": lambda: (tt.AdaptiveAvgPool2d, dict(output_size=2)),
    "BatchNorm2d": lambda: (tt.BatchNorm2d, dict(num_features=3, eps=1e-5, momentum=0.1)),
    "BatchNorm1d": lambda: (tt.BatchNorm1d, dict(num_features=3, eps=1e-5, momentum=0.1)),
    "conv2d": lambda: (tt.conv2d, dict(x=np.ones((1, 2, 5, 5), np.float32), weight=tt.ones(2, 2, 3, 3), stride=1, padding=0,
        dilation=1, groups=1)),
    "max_pool2d": lambda: (tt.max_pool2d, dict(x=np.ones((1, 2, 5, 5), np.float32), kernel_size=2, stride=None, padding=0, dilation=1)),
    "avg_pool2d": lambda: (tt.avg_pool2d, dict(x=np.ones((1, 2, 5, 5), np.float32), kernel_size=2, stride=None, padding=0)),
    "adaptive_avg_pool2d": lambda: (tt.adaptive_avg_pool2d, dict(x=np.ones((1, 2, 5, 5), np.float32), output_size=2)),
    "im2col": lambda: (tt.im2col, dict(x=np.ones((1, 2, 5, 5), np.float32), kernel_size=2, stride=1, padding=0, dilation=1)),
    "col2im": lambda: (tt.col2im, dict(cols=np.ones((1, 8, 16), np.float32), size=(5, 5), kernel_size=2, stride=1, padding=0,
        dilation=1)),
    "output_size": lambda: (functools.partial(tt.output_size, 5), dict(kernel=2, stride=1, padding=0, dilation=1)),
    # 10
    "Tokenizer": lambda: (tt.Tokenizer, dict(vocab_size=300, special_tokens=["<|end|>"])),
    "CharTokenizer": lambda: (tt.CharTokenizer, dict(vocab_size=300, special_tokens=["<|end|>"])),
    "BPETokenizer": lambda: (tt.BPETokenizer, dict(vocab_size=300, special_tokens=["<|end|>"])),
    "CharTokenizer.train": lambda: (tt.CharTokenizer().train, dict(texts=["dünn"])),
    "BPETokenizer.train": lambda: (tt.BPETokenizer(260).train, dict(texts=["the cat"])),
    "encode": lambda: (tokens().encode, dict(text="cat", allowed_special=())),
    "decode": lambda: (tokens().decode, dict(ids=[97])),
    "Tokenizer.load": lambda: (lambda path: tt.Tokenizer.load(path), dict(path=None)),
    "create_tokenizer, BPETokenizer, train": lambda: (tt.create_tokenizer, dict(kind="bpe", texts=["the cat"], vocab_size=300,
        special_tokens=())),
    "tokenize_dataset": lambda: (tt.tokenize_dataset, dict(texts=["the cat"], tokenizer=tokens(), max_length=3)),
    "analyze_tokenization": lambda: (tt.analyze_tokenization, dict(texts=["the cat"], tokenizer=tokens())),
    "show_tokens, encode": lambda: (tt.show_tokens, dict(text="the cat", tokenizer=tokens())),
    "TextDataset": lambda: (tt.TextDataset, dict(ids=[1, 2, 3, 4, 5, 6], context_length=2)),
    "TextDataset[]": lambda: (tt.TextDataset([1, 2, 3, 4, 5, 6], 2).__getitem__, dict(index=1)),
    "load_text": lambda: (tt.load_text, dict(path=None)),
    # 11
    "Embedding": lambda: (tt.Embedding, dict(vocab_size=5, embed_dim=4, padding_idx=None, generator=None)),
    "Embedding()": lambda: (tt.Embedding(5, 4), dict(ids=[1, 2])),
    "PositionalEncoding": lambda: (tt.PositionalEncoding, dict(max_seq_len=6, embed_dim=4, dropout=0.0)),
    "PositionalEncoding()": lambda: (tt.PositionalEncoding(6, 4), dict(x=tt.ones(2, 3, 4), start=1)),
    "LearnedPositionalEmbedding": lambda: (tt.LearnedPositionalEmbedding, dict(max_seq_len=6, embed_dim=4, generator=None)),
    "LearnedPositionalEmbedding()": lambda: (tt.LearnedPositionalEmbedding(6, 4), dict(x=tt.ones(2, 3, 4), start=1)),
    "EmbeddingLayer": lambda: (tt.EmbeddingLayer, dict(vocab_size=5, embed_dim=4, max_seq_len=6, pos_encoding="learned", generator=None)),
    "EmbeddingLayer(), embedding, LearnedPositionalEmbedding": lambda: (tt.EmbeddingLayer(5, 4, 6), dict(ids=[1, 2], start=1)),
    "create_sinusoidal_embeddings": lambda: (tt.create_sinusoidal_embeddings, dict(max_seq_len=6, embed_dim=4)),
    "RotaryEmbedding": lambda: (tt.RotaryEmbedding, dict(head_dim=4, max_seq_len=6, base=100.0)),
    "RotaryEmbedding()": lambda: (tt.RotaryEmbedding(4, 6), dict(x=tt.ones(2, 3, 4), start=1)),
    # 12
    "create_causal_mask": lambda: (tt.create_causal_mask, dict(seq_len=3)),
    "scaled_dot_product_attention": lambda: (tt.scaled_dot_product_attention, dict(Q=TABLE, K=TABLE, V=TABLE, mask=None)),
    "masked_softmax": lambda: (tt.masked_softmax, dict(scores=TABLE, mask=None)),
    "causal_attention": lambda: (tt.causal_attention, dict(qkv=np.ones((1, 2, 12), np.float32), num_heads=2)),
    "split_heads": lambda: (tt.split_heads, dict(x=np.ones((1, 2, 12), np.float32), num_heads=2)),
    "MultiHeadAttention": lambda: (tt.MultiHeadAttention, dict(embed_dim=4, num_heads=2, rotary=None, generator=None)),
    # 13
    "LayerNorm": lambda: (tt.LayerNorm, dict(normalized_shape=4, eps=1e-5)),
    "RMSNorm": lambda: (tt.RMSNorm, dict(normalized_shape=4, eps=1e-5)),
    "MLP": lambda: (tt.MLP, dict(embed_dim=4, hidden_dim=8, dropout=0.0, generator=None)),
    "TransformerBlock, MLP, MultiHeadAttention": lambda: (tt.TransformerBlock, dict(embed_dim=4, num_heads=2, mlp_ratio=4, dropout=0.0,
        rotary=None, norm=tt.LayerNorm,
                                                           generator=None)),
    "GPT": lambda: (tt.GPT, dict(vocab_size=11, embed_dim=8, num_layers=1, num_heads=2, max_seq_len=6, dropout=0.0, positions="learned",
                                 generator=None)),
    "GPT(), embedding": lambda: (gpt(), dict(ids=[[1, 2]])),
    "generate": lambda: (gpt().generate, dict(prompt_tokens=[1, 2], max_new_tokens=2, temperature=1.0, top_k=3, top_p=0.9,
        generator=None)),
    "GPT.load": lambda: (lambda path: tt.GPT.load(path), dict(path=None)),
    "next_token_loss": lambda: (tt.next_token_loss, dict(logits=TABLE, targets=[0, 1, 2, 0])),
    "token_probabilities": lambda: (tt.token_probabilities, dict(logits=TABLE, temperature=1.0, top_k=2, top_p=0.9)),
    "sample_tokens": lambda: (tt.sample_tokens, dict(p=TABLE, generator=None)),
    # 14
    "KVCache": lambda: (tt.KVCache, dict(batch_size=1, max_seq_len=4, num_layers=1, num_heads=2, head_dim=4, dtype=np.float32)),
    "KVCache.update": lambda: (tt.KVCache(1, 4, 1, 2, 4).update, dict(layer=0, key=np.ones((1, 2, 1, 4), np.float32),
                                                                     value=np.ones((1, 2, 1, 4), np.float32))),
    "KVCache.get": lambda: (tt.KVCache(1, 4, 1, 2, 4).get, dict(layer=0)),
    "KVCache.advance": lambda: (tt.KVCache(1, 4, 1, 2, 4).advance, dict(n=1)),
    "enable_kv_cache": lambda: (tt.enable_kv_cache, dict(model=gpt())),
    "disable_kv_cache": lambda: (tt.disable_kv_cache, dict(model=gpt())),
    "generate, cached": lambda: (tt.enable_kv_cache(gpt()), dict(prompt_tokens=[1, 2], max_new_tokens=2, temperature=1.0, top_k=3,
        top_p=0.9,
                                                                 generator=None)),
    # 15
    "compare": lambda: (profiler.compare, dict(calls={"a": int}, warmup=1, rounds=2)),
    "measure, compare": lambda: (profiler.measure, dict(call=int, warmup=1, rounds=2)),
    "peak_memory": lambda: (profiler.peak_memory, dict(call=int)),
    "count_parameters": lambda: (tt.Profiler().count_parameters, dict(model=net())),
    "count_flops": lambda: (tt.Profiler().count_flops, dict(model=net(), input_shape=(2, 3))),
    "measure_memory": lambda: (lambda model: tt.Profiler().measure_memory(model, (2, 3)), dict(model=net())),
    "measure_latency, evaluating, compare": lambda: (lambda **settings: tt.Profiler().measure_latency(x=TABLE, **settings),
        dict(model=net(), warmup=1, iterations=2)),
    "profile_forward_pass, evaluating, compare": lambda: (lambda **settings: tt.profile_forward_pass(x=TABLE, peak=(1e9, 1e9),
        **settings), dict(model=net(), rounds=2)),
    "profile_backward_pass, untouched": lambda: (lambda **settings: tt.profile_backward_pass(x=TABLE, **settings), dict(model=net(),
        rounds=2)),
    "roofline, evaluating": lambda: (lambda **settings: tt.roofline(x=TABLE, peak=(1e9, 1e9), **settings), dict(model=net(), rounds=2)),
    "machine_peak": lambda: (profiler.machine_peak.__wrapped__, dict(size=8, numbers=16, rounds=2)),
    "analyze_model_scaling": lambda: (tt.analyze_model_scaling, dict(widths=(2,), batch=2)),
    "analyze_batch_size_effects": lambda: (lambda **settings: tt.analyze_batch_size_effects(input_shape=(3,), **settings),
        dict(model=net(), batch_sizes=(2,))),
    "analyze_profiling_overhead, compare": lambda: (lambda **settings: tt.analyze_profiling_overhead(x=TABLE, **settings),
        dict(model=net(), rounds=2)),
    # 16
    "vectorized_matmul": lambda: (tt.vectorized_matmul, dict(a=TABLE, b=TABLE.T)),
    "tiled_matmul": lambda: (tt.tiled_matmul, dict(a=TABLE, b=TABLE.T, tile=2)),
    "fused_gelu": lambda: (tt.fused_gelu, dict(x=ROW)),
    "fuse": lambda: (tt.fuse, dict(fn=lambda x: x * 2)),
    "to_bfloat16": lambda: (tt.to_bfloat16, dict(x=ROW)),
    "from_bfloat16": lambda: (tt.from_bfloat16, dict(bits=np.arange(4, dtype=np.uint16))),
    "autocast": lambda: (lambda dtype: tt.autocast(dtype).__enter__(), dict(dtype="float32")),
    "MixedPrecisionTrainer": lambda: (tt.MixedPrecisionTrainer, dict(model=net(), optimizer=sgd(), loss_scale=1024.0,
        max_loss_scale=65536.0,
                                                                     loss_fn=tt.cross_entropy, growth_interval=10, dtype="float16")),
    "train_step": lambda: (tt.MixedPrecisionTrainer(net(), sgd()).train_step, dict(batch=(TABLE, np.array([0, 1, 0, 1])))),
    "analyze_vectorization_scaling, compare": lambda: (tt.analyze_vectorization_scaling, dict(sizes=(1,), rounds=1)),
    "analyze_arithmetic_intensity, compare": lambda: (tt.analyze_arithmetic_intensity, dict(n=2, rounds=1)),
    # 17
    "quantize_int8, quantize, quantization_grid": lambda: (tt.quantize_int8, dict(x=TABLE, axis=None, bits=8)),
    "dequantize_int8": lambda: (lambda q: tt.dequantize_int8(q, 0.5), dict(q=np.arange(4, dtype=np.int8))),
    "quantization_grid, quantize": lambda: (tt.quantization_grid, dict(low=-1.0, high=1.0, bits=8)),
    "quantize": lambda: (lambda x, bits: optimization.quantize(x, 0.5, bits=bits), dict(x=TABLE, bits=8)),
    "fake_quantize": lambda: (tt.fake_quantize, dict(x=TABLE, scale=0.5, zero_point=0, bits=8)),
    "pack_int4": lambda: (tt.pack_int4, dict(q=np.arange(4, dtype=np.int8))),
    "unpack_int4": lambda: (tt.unpack_int4, dict(packed=np.arange(4, dtype=np.uint8), n=8)),
    "QuantizedLinear": lambda: (tt.QuantizedLinear, dict(linear=tt.Linear(3, 2), bits=8)),
    "QuantizedConv2d": lambda: (tt.QuantizedConv2d, dict(conv=tt.Conv2d(2, 2, 3), bits=8)),
    "quantize_model, Quantizer": lambda: (tt.quantize_model, dict(model=net(), bits=8)),
    "Quantizer": lambda: (tt.Quantizer, dict(bits=8, percentile=99.0, skip=())),
    "Quantizer.calibrate": lambda: (lambda model: tt.Quantizer().calibrate(model, [TABLE]), dict(model=net())),
    "Quantizer.convert": lambda: (tt.Quantizer().convert, dict(model=net())),
    "Observer": lambda: (tt.Observer, dict(percentile=99.0)),
    "Observer.observe": lambda: (tt.Observer().observe, dict(x=TABLE)),
    "load_quantized": lambda: (lambda path: tt.load_quantized(path, net()), dict(path=None)),
    # 18
    "measure_sparsity, weights_of": lambda: (tt.measure_sparsity, dict(model=net(), skip=())),
    "magnitude_prune, weights_of": lambda: (tt.magnitude_prune, dict(model=net(), sparsity=0.5, scope="global", skip=())),
    "structured_prune": lambda: (tt.structured_prune, dict(model=net(), ratio=0.5)),
    "low_rank_approximate": lambda: (tt.low_rank_approximate, dict(weight=TABLE, rank=2)),
    "distillation_loss": lambda: (tt.distillation_loss, dict(student_logits=tt.Tensor(TABLE), teacher_logits=tt.Tensor(TABLE),
        targets=[0, 1, 2, 0],
                                                             temperature=3.0, alpha=0.5)),
    "KnowledgeDistillation": lambda: (tt.KnowledgeDistillation, dict(teacher=net(), student=net(), temperature=3.0, alpha=0.5)),
    "compress_model, Compressor, storage": lambda: (tt.compress_model, dict(model=net(), plan={"magnitude_prune": 0.5}, finetune=None,
        dtype=None)),
    "Compressor": lambda: (tt.Compressor, dict(plan={"magnitude_prune": 0.5}, finetune=None, dtype=None)),
    "CSR.from_dense": lambda: (tt.CSR.from_dense, dict(array=TABLE)),
    "CSR.matvec": lambda: (tt.CSR.from_dense(TABLE).matvec, dict(x=np.ones(3))),
    "load_sparse": lambda: (lambda path: tt.load_sparse(net(), path), dict(path=None)),
    "storage": lambda: (tt.storage, dict(model=net(), dtype=None)),
    "keep_largest": lambda: (optimization.keep_largest, dict(values=TABLE, sparsity=0.5)),
    # 19
    "bootstrap_interval, samples": lambda: (tt.bootstrap_interval, dict(samples=ROW, confidence=0.9, generator=None, resamples=5)),
    "effect_size, samples": lambda: (tt.effect_size, dict(a=ROW, b=ROW)),
    "noise_of, samples": lambda: (tt.noise_of, dict(times=ROW + 1)),
    "BenchmarkResult, samples": lambda: (lambda samples: tt.BenchmarkResult("a", samples), dict(samples=ROW)),
    "BenchmarkResult.speedup_over": lambda: (tt.BenchmarkResult("a", ROW + 1).speedup_over, dict(other=tt.BenchmarkResult("b", ROW + 1))),
    "Benchmark": lambda: (tt.Benchmark, dict(contestants={"a": int}, warmup=1, rounds=2, agree=None)),
    "BenchmarkSuite, Benchmark": lambda: (lambda **settings: tt.BenchmarkSuite(x=TABLE, **settings), dict(models={"a": net()},
        quality=len, warmup=1, rounds=2)),
    "break_even, samples": lambda: (tt.break_even, dict(xs=[1, 2], cost_a=[1.0, 2.0], cost_b=[3.0, 3.0])),
    "pareto_frontier": lambda: (tt.pareto_frontier, dict(points=TABLE)),
    "plot_pareto, samples": lambda: (tt.plot_pareto, dict(names=["a", "b"], costs=[1.0, 2.0], qualities=[1.0, 2.0])),
    "percentiles, samples": lambda: (benchmark.percentiles, dict(samples=ROW, ranks=(50,))),
    "time_to_quality": lambda: (tt.time_to_quality, dict(step=int, quality=float, target=1.0, most=2)),
    "DigitsTask": lambda: (tt.DigitsTask, dict(images=np.ones((8, 1, 8, 8)), labels=np.arange(8), count=2)),
    "TinyMLPerf": lambda: (tt.TinyMLPerf, dict(warmup=1, rounds=1, seed=0)),
    # 20
    "split_text": lambda: (tt.split_text, dict(text="a line\n" * 200)),
    "TinyGPT": lambda: (tt.TinyGPT, dict(tokenizer=tt.Tokenizer(), model=tt.GPT(256, 8, 1, 2, 6))),
    "TinyGPT.write, encode, generate": lambda: (tt.TinyGPT(tt.Tokenizer(), tt.GPT(256, 8, 1, 2, 6)).write, dict(prompt="a",
        max_new_tokens=1, temperature=1.0, top_k=3)),
    "bits_per_character": lambda: (tt.TinyGPT(tt.Tokenizer(), tt.GPT(256, 8, 1, 2, 6)).bits_per_character, dict(text="a text")),
    "TinyGPT.load": lambda: (lambda path: tt.TinyGPT.load(path), dict(path=None)),
    "TinyGPTTrainer": lambda: (tt.TinyGPTTrainer, dict(tiny=tt.TinyGPT(tt.Tokenizer(), tt.GPT(256, 8, 1, 2, 6)), text="a longer text",
        held="text",
                                                       rounds=1, steps=1, batch_size=2, lr=1e-3)),
    "validate_submission": lambda: (tt.validate_submission, dict(submission={"entries": {}}, text="a line\n" * 200, peak=1e9)),
}
