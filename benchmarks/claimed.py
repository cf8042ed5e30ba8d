"""The claims of benchmarks.claims: what earlier years said of each, and how it is measured here."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

import tinytorch as tt
from benchmarks.cases import SQUARE, gelu
from benchmarks.claims import Figure
from benchmarks.measure import Side, alive, in_turns, peak, ratio
from benchmarks.readers import digits, fit, milestone, mlp, right, unsteady

ROUNDS, LEAST = 7, 0.02
SEEDS, EPOCHS = 6, {"cnn": 60, "dense": 30, "narrow": 15, "few": 200, "many": 30, "half": 60}
STEPS = (0.5, 3), (0.75, 4), (0.85, 6), (0.9, 8), (0.93, 10), (0.95, 20)       # of pruning: the share that goes, and rounds of training
Found = tuple[list[Figure], str, str]
Array = np.ndarray


# -- what the claims share


def race(**steps: Callable[[], Any]) -> dict[str, list[float]]:
    """Seconds of each step, once a round, in turns."""
    return in_turns({name: Side(step, lambda x: [x]) for name, step in steps.items()}, ROUNDS, LEAST)


def times_faster(slow: Callable[[], Any], fast: Callable[[], Any]) -> tuple[float, float]:
    """How many times as fast the second is as the first: the median of the rounds, and its spread."""
    times = race(slow=slow, fast=fast)
    return ratio(times["slow"], times["fast"])


def apart(got: Any, want: Array) -> float:
    """How far two results differ at most; AssertionError where that is more than rounding: what is wrong is not fast."""
    wrong = float(np.abs(np.asarray(got) - want).max())
    assert wrong < 1e-4 * max(1.0, float(np.abs(want).max())), f"the results differ by {wrong:.2g}"
    return wrong


def listed(gains: dict[Any, float]) -> str:
    """32: 4.1, 64: 16"""
    return ", ".join(f"{x}: {gain:.3g}" for x, gain in gains.items())


@cache
def cnn() -> tt.Module:
    """The network of milestone 4, trained as there."""
    tt.manual_seed(0)
    model = milestone()["network"]()
    milestone()["learn"](model, unsteady(), EPOCHS["cnn"])
    return model


# -- the claims


def vectorised() -> Found:
    """Three loops over arrays beside one call of the library."""
    gains, wrong = {}, 0.0
    for n in (1, 2, 4, 8, 16, 32, 64, 96):
        a, b = np.random.default_rng(n).standard_normal((2, n, n), dtype=np.float32)
        gains[n], spread = times_faster(partial(tt.loop_matmul, a, b), partial(tt.vectorized_matmul, a, b))
        wrong = max(wrong, apart(tt.vectorized_matmul(a, b), tt.loop_matmul(a, b)))
    rows = a.tolist(), b.tolist()
    lists, other = times_faster(partial(product_of_lists, *rows), partial(tt.vectorized_matmul, a, b))
    below = [n for n, gain in gains.items() if gain <= 1]
    return ([Figure(gains[96], "times as fast as three loops over arrays, 96 x 96", 2987, spread=spread),
             Figure(lists, "times as fast as three loops over lists, which Python walks faster", spread=other)],
            f"the numbers differ by {wrong:.1g} at most",
            f"times as fast by size, {listed(gains)}" + (f"; no faster at {below}" if below else ""))


def product_of_lists(a: list[list[float]], b: list[list[float]]) -> list[list[float]]:
    """A product as plain as Python can have it."""
    columns = list(zip(*b))
    return [[sum(x * y for x, y in zip(row, column)) for column in columns] for row in a]


def quantised() -> Found:
    """A layer whose weights fit into no cache, and one row: what a model that writes does at every token."""
    def beside(n: int, m: int, rows: int) -> dict[str, list[float]]:
        layer = tt.Linear(n, m, bias=False)
        w, x = layer.weight.numpy(), np.random.default_rng(0).standard_normal((rows, n), dtype=np.float32)
        small, given = tt.QuantizedLinear(layer), tt.Tensor(x)
        double, row = w.astype(np.float64), x.astype(np.float64)
        assert np.allclose(small(given).numpy(), x @ w, atol=0.02 * float(np.abs(x @ w).max())), "int8 computes something else"
        with tt.no_grad():
            return race(int8=lambda: small(given), single=lambda: x @ w, double=lambda: row @ double)

    layer = tt.Linear(4096, 4096, bias=False)
    bytes_ = {bits: sum(a.nbytes for a in tt.QuantizedLinear(layer, bits=bits).state_dict().values()) for bits in (8, 4)}
    whole, few, many = beside(4096, 8192, 1), beside(512, 512, 1), beside(2048, 4096, 128)
    gain, spread = ratio(whole["double"], whole["int8"])
    as_long, other = ratio(whole["int8"], whole["single"])
    before = right(cnn())
    after = {f"{bits} bits": right(tt.quantize_model(cnn(), bits=bits)) for bits in (8, 4)}
    q = np.ones((256, 256), np.int8)
    f = q.astype(np.float32)
    arithmetic = times_faster(lambda: q @ q, lambda: f @ f)[0]
    return ([Figure(gain, "times as fast as float64: one row times 4096 x 8192", 2.2, spread=spread),
             Figure(as_long, "of the time of float32, for the same row", 1.1, most=True, spread=other),
             Figure(2 * layer.weight.numpy().nbytes / bytes_[8], "times less memory than float64, scales included", 7.9),
             Figure(layer.weight.numpy().nbytes / bytes_[4], "times less memory than float32 in int4", 7.9),
             Figure(before - min(after.values()), "points of accuracy lost, at worst", 0.5, most=True)],
            f"digits {before:.1f} % -> " + ", ".join(f"{right_:.1f} % in {bits}" for bits, right_ in after.items()),
            f"of float32's time: {ratio(few['int8'], few['single'])[0]:.2f} at 512 x 512, "
            f"{ratio(many['int8'], many['single'])[0]:.2f} with 128 rows; int8 arithmetic itself takes {arithmetic:.0f} times as long")


def cached() -> Found:
    """A GPT of four blocks of 128 numbers, which writes from one token on."""
    from benchmarks.decoding import HEADS, LAYERS, LENGTH, VOCABULARY, WIDTH, start
    slow, fast = (tt.GPT(VOCABULARY, WIDTH, LAYERS, HEADS, LENGTH, tie_weights=False).load_state_dict(start()) for _ in range(2))
    tt.enable_kv_cache(fast)

    def write(model: tt.Module, count: int) -> Array:
        return model.generate([0], count, temperature=0).numpy()

    gains, same = {}, 1.0
    for count in (1, 2, 4, 16, 64, 200):
        gains[count], spread = times_faster(partial(write, slow, count), partial(write, fast, count))
        same = min(same, float((write(slow, count) == write(fast, count)).mean()))
    return ([Figure(gains[200], "times as fast when 200 tokens are written", 12, spread=spread),
             Figure(100 * same, "% of the tokens are the same", 100)],
            "the same text, token by token",
            f"times as fast by tokens, {listed(gains)}; past max_seq_len nothing cached is true any more; it holds "
            f"{fast.kv_cache.get_memory_usage()['bytes_per_token']:,} bytes a token")


def pruned() -> Found:
    """A network of 64-512-256-10 for the digits, pruned in six steps and trained in between."""
    tt.manual_seed(0)
    dense = fit(mlp(512, 256), EPOCHS["dense"])
    sparse, before = copy.deepcopy(dense), right(dense)
    tt.prune_and_finetune(sparse, unsteady(), STEPS)
    with TemporaryDirectory() as folder:
        sizes = {kind: tt.save_sparse(sparse, Path(folder) / "sparse.npz", dtype=kind) for kind in (None, "float16")}
        back = tt.load_sparse(mlp(512, 256), Path(folder) / "sparse.npz")
        packed = tt.save_sparse(dense, Path(folder) / "dense.npz", dtype="float16")
        shares = {}
        for share in (0.1, 0.3, 0.5, 0.7, 0.9):
            some = copy.deepcopy(dense)
            tt.magnitude_prune(some, share)
            shares[share] = len(tt.packed(dense)) / tt.save_sparse(some, Path(folder) / "some.npz")
    weights = [p.numpy() for p in back.parameters() if p.ndim > 1]
    zeros = 100 * (1 - sum(map(np.count_nonzero, weights)) / sum(w.size for w in weights))
    w, x = weights[1].T, np.random.default_rng(0).standard_normal(512, dtype=np.float32)
    rows = tt.CSR.from_dense(w)
    slower = times_faster(lambda: rows.matvec(x), lambda: w @ x)[0]
    size = len(tt.packed(dense))
    return ([Figure(zeros, "% of the weights are zero in what was read from the file", 94.99),
             Figure(size / sizes["float16"], "times smaller on disk, what is left in float16", 20),
             Figure(size / sizes[None], "times smaller on disk, what is left in float32"),
             Figure(before - right(back), "points of accuracy lost", 1.0, most=True)],
            f"digits {before:.1f} % -> {right(back):.1f} %, as read from the file",
            f"times smaller by share of zeros, before any training, {listed(shares)}; dense and packed: {size / packed:.2f}; "
            f"and not one product is saved: the sparse one takes {slower:.1f} times as long as the dense one, 256 x 512")


def fused() -> Found:
    """GELU of four million numbers in one operation, nine, and by hand in two arrays that are there before."""
    x, out = tt.Tensor(SQUARE), gelu(None)
    with tt.no_grad():
        times = race(one=lambda: tt.fused_gelu(x), nine=lambda: tt.unfused_gelu(x), hand=out["numpy"].step)
        gain, spread = ratio(times["nine"], times["one"])
        over, other = ratio(times["one"], times["hand"])
        wrong = apart(tt.fused_gelu(x), out["numpy"].step())
        peaks = [peak(partial(f, x)) for f in (tt.unfused_gelu, tt.fused_gelu)]
        gains = {}
        for n in (10, 1000, 100_000, 1_000_000):
            some = tt.Tensor(SQUARE.ravel()[:n])
            gains[n] = times_faster(partial(tt.unfused_gelu, some), partial(tt.fused_gelu, some))[0]
    return ([Figure(gain, "times as fast as nine operations, 2000 x 2000", 1.5, spread=spread),
             Figure(over, "of the time of NumPy by hand, in place", 1.1, most=True, spread=other),
             Figure(peaks[0] / peaks[1], "times less memory at the worst moment", 2.0)],
            f"the numbers differ by {wrong:.1g} at most", f"times as fast by numbers, {listed(gains)}")


def halved() -> Found:
    """A GPT of two blocks that learns from a text by letters, in float32 and with what is kept in float16."""
    text = tt.CharTokenizer().train(tt.load_text()[:100_000])
    ids = np.array(text.encode(tt.load_text()[:100_000]))
    data = [(ids[k:k + 1024].reshape(8, 128), ids[k + 1:k + 1025].reshape(8, 128)) for k in range(0, 80 * 1024, 1024)]
    tt.manual_seed(0)
    start = tt.GPT(text.vocab_size, 64, 2, 4, 128)

    def loss(model: tt.Module, k: int) -> tt.Tensor:
        return tt.next_token_loss(model(data[k][0]), data[k][1])

    def half(model: tt.Module, k: int) -> tt.Tensor:
        with tt.autocast():
            return loss(model, k)

    single, mixed = copy.deepcopy(start), copy.deepcopy(start)
    optimizer = tt.Adam(single.parameters(), lr=3e-3)
    trainer = tt.MixedPrecisionTrainer(mixed, tt.Adam(mixed.parameters(), lr=3e-3), loss_fn=tt.next_token_loss)
    for k in range(EPOCHS["half"]):
        optimizer.zero_grad()
        loss(single, k).backward()
        optimizer.step()
        trainer.train_step(data[k])
    with tt.no_grad():
        first, last, other = (np.mean([loss(model, k).item() for k in range(60, 76)]) / np.log(2) for model in (start, single, mixed))
    kept = [alive(partial(f, start, 0)) for f in (loss, half)]
    slower = times_faster(lambda: trainer.scale_loss(half(start, 0)).backward(), lambda: loss(start, 0).backward())[0]
    a = np.ones((64, 512), np.float16)
    arithmetic = times_faster(lambda: a @ a.T, lambda: a.astype(np.float32) @ a.astype(np.float32).T)[0]
    return ([Figure(kept[0] / kept[1], "times less memory for what the gradients need", 1.8),
             Figure((first - other) / (first - last), f"of float32's progress after {EPOCHS['half']} steps", 0.97)],
            f"bits a letter, of letters not learnt from: {first:.2f} at the start, {last:.3f} in float32, {other:.3f} in halves",
            f"it saves room, not time: a step takes {slower:.2f} times as long, and float16 arithmetic itself {arithmetic:.0f} times")


def narrowed() -> Found:
    """The CNN of milestone 4 without its weakest channels, trained on for 15 epochs."""
    x, whole, gains, after = tt.Tensor(digits().queries), cnn(), {}, {}
    before = right(whole)
    for share in (0.25, 0.5, 0.75):
        tt.manual_seed(0)
        small = tt.structured_prune(whole, share)
        milestone()["learn"](small, unsteady(), EPOCHS["narrow"])
        after[share] = right(small)
        with tt.no_grad():
            found = times_faster(partial(whole, x), partial(small, x))
        gains[share] = found[0]
        if share == 0.5:
            (gain, spread), size = found, len(tt.packed(whole)) / len(tt.packed(small))
    return ([Figure(gain, "times as fast without half of the channels, 360 scans at once", 1.4, spread=spread),
             Figure(size, "times smaller on disk", 2.5),
             Figure(before - after[0.5], "points of accuracy lost", 1.0, most=True)],
            f"digits {before:.1f} % -> " + ", ".join(f"{right_:.1f} % without {share:.0%}" for share, right_ in after.items()),
            f"times as fast by share of channels, {listed(gains)}")


def distilled() -> Found:
    """A network of 64-32-10 that learns from labels alone, or from milestone 4's answers as well; the first weights are the same."""
    few = distillation(100, EPOCHS["few"], SEEDS)
    many = distillation(None, EPOCHS["many"], SEEDS // 2)
    low, high = tt.bootstrap_interval(few[1] - few[0], np.mean, generator=np.random.default_rng(0))
    x, student = tt.Tensor(digits().queries), mlp(32).eval()
    teacher = cnn().eval()
    with tt.no_grad():
        faster = times_faster(lambda: teacher(x), lambda: student(x))[0]
    return ([Figure(float((few[1] - few[0]).mean()), f"points more than alone, of 100 scans, the mean of {SEEDS} seeds", 0.5),
             Figure(low, f"points at the lower end of the interval that holds 95 % of such means; {high:.2f} at the upper", 0.0)],
            f"digits {few[0].mean():.1f} % alone, {few[1].mean():.1f} % taught; teacher {right(teacher):.1f} %, {faster:.0f} times slower",
            f"where all 1,437 scans have labels: {many[0].mean():.1f} % alone, {many[1].mean():.1f} % taught, by seed "
            + ", ".join(f"{gain:+.1f}" for gain in many[1] - many[0]))


def distillation(count: int | None, epochs: int, seeds: int) -> Array:
    """Accuracies (2, seeds) of students of so many scans: alone, and taught."""
    found: list[list[float]] = [[], []]
    for seed in range(seeds):
        for scores, taught in zip(found, (False, True)):
            tt.manual_seed(seed)
            student = mlp(32)
            optimizer = tt.SGD(student.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
            teaching = tt.KnowledgeDistillation(cnn(), student, temperature=2.0, alpha=0.9)
            schedule = tt.CosineSchedule(0.05, 0.0, epochs)
            for epoch in range(epochs):
                optimizer.param_groups[0]["lr"] = schedule.get_lr(epoch)
                for x, y in unsteady(count):
                    optimizer.zero_grad()
                    (teaching.loss(x, y) if taught else tt.cross_entropy(student(x), y)).backward()
                    optimizer.step()
            scores.append(right(student))
            student.train()
    return np.array(found)


CLAIMS: dict[str, tuple[str, Callable[[], Found]]] = {
    "vectorised": ("matrix multiplication 2987 times as fast as a Python loop", vectorised),
    "quantised": ("int8: 2.2 times as fast with 8 times less memory", quantised),
    "cached": ("a KV cache: 12 times as fast at 200 tokens", cached),
    "pruned": ("pruning: 20 times smaller with 95 % zeros", pruned),
    "fused": ("GELU in one operation: no slower than by hand", fused),
    "halved": ("mixed precision: half of the memory, the same learning", halved),
    "narrowed": ("pruning whole channels: really faster", narrowed),
    "distilled": ("a small network learns better from a large one than alone", distilled),
}
