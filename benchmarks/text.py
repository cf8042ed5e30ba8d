"""What byte pairs cost, beside the textbook loop and beside Hugging Face: `python -m benchmarks.text [--text FILE] [--json FILE]`.

One megabyte of text, one thread and processor time, the median of interleaved rounds.  The merges and the ids are equal, or the row is
broken: Hugging Face gets the same words, with a character for each byte.  Exit code 1 where a gate is missed by more than a tenth.
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    os.environ["RAYON_NUM_THREADS"], os.environ["TOKENIZERS_PARALLELISM"] = "1", "false"

import json  # noqa: E402
import platform  # noqa: E402
import statistics  # noqa: E402
from collections.abc import Callable  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402

import tinytorch as tt  # noqa: E402
from benchmarks.measure import ratio, seconds  # noqa: E402
from benchmarks.report import Row, options, report  # noqa: E402
from tinytorch.text import WORD, count_words, learn_merges_loops  # noqa: E402

SIZE, FEW, MANY, ROUNDS = 1_000_000, 500, 2000, 5
SECONDS = 5.0               # the gate for training on one megabyte
LOOP, TRAIN, ENCODE = 0.05, 2.0, 0.5        # ours over the loop, and over Hugging Face, which is compiled


def mapped(text: str) -> str:
    """The words of the text with a character for each byte, in the order of bytes, and spaces between them."""
    return " ".join("".join(chr(256 + byte) for byte in tt.as_bytes(word)) for word in WORD.findall(text))


def hugging_face(vocab_size: int) -> tuple[Callable[[str], Any], Callable[[Any], list[tuple[int, int]]]] | None:
    """Its training on a mapped text, and the merges of what came out; None where it is not installed."""
    try:
        from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    except ImportError:
        return None

    def train(text: str) -> Any:
        other = Tokenizer(models.BPE())
        other.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        alphabet = [chr(256 + byte) for byte in range(256)]
        other.train_from_iterator([text], trainers.BpeTrainer(vocab_size=vocab_size, initial_alphabet=alphabet, show_progress=False))
        return other

    def merges(other: Any) -> list[tuple[int, int]]:
        model = json.loads(other.to_str())["model"]
        return [(model["vocab"][a], model["vocab"][b]) for a, b in model["merges"]]

    return train, merges


def row(case: str, gate: float, ours: Callable[[], object], beside: Callable[[], object] | None, same: bool, rounds: int) -> Row:
    """The two in turns; broken where they did not give the same."""
    if not same:
        return Row(case, None, None, "s", gate, error="the two differ")
    times = [(seconds(ours, 1), seconds(beside, 1) if beside else 0.0) for _ in range(rounds)]
    mine = statistics.median(a for a, _ in times)
    if beside is None:
        return Row(case, mine, None, "s", gate, absolute=True)
    measured, spread = ratio(*map(list, zip(*times, strict=True)))
    return Row(case, mine, statistics.median(b for _, b in times), "s", gate, spread=spread, measured=measured)


def rows_of(text: str, few: int, many: int, rounds: int) -> list[Row]:
    """All rows for a text, with so many merges beside the loop and so many beside Hugging Face."""
    def train(merges: int) -> tt.BPETokenizer:
        return tt.BPETokenizer(256 + merges).train(text)

    tokenizer = train(many)
    slow = learn_merges_loops(count_words(text), few) == tokenizer.merges[:few]
    rows = [row(f"train {few} merges, beside the textbook loop", LOOP, lambda: train(few),
                lambda: learn_merges_loops(count_words(text), few), slow, rounds),
            row(f"train {many} merges", SECONDS, lambda: train(many), None, True, rounds)]
    if found := hugging_face(256 + many):
        (train_theirs, merges_of), given = found, mapped(text)
        other = train_theirs(given)
        rows += [row(f"train {many} merges, beside Hugging Face", TRAIN, lambda: train(many), lambda: train_theirs(given),
                     merges_of(other) == tokenizer.merges, rounds),
                 row("encode, each word for the first time, beside Hugging Face", ENCODE,
                     lambda: tokenizer.learn(tokenizer.merges).encode(text), lambda: other.encode(given),
                     other.encode(given).ids == tokenizer.encode(text), rounds)]
    ids = tokenizer.encode(text)
    back = tokenizer.decode(ids) == text
    return [*rows, row("encode, once more", SECONDS, lambda: tokenizer.encode(text), None, back, rounds),
            row("decode", SECONDS, lambda: tokenizer.decode(ids), None, back, rounds)]


def main(arguments: list[str] | None = None, size: int = SIZE, few: int = FEW, many: int = MANY, rounds: int = ROUNDS) -> int:
    """Measure every row."""
    parser = options("What byte pairs cost, beside the textbook loop and beside Hugging Face.")
    parser.add_argument("--text", metavar="FILE", help="a text of your own; King James by default")
    chosen = parser.parse_args(arguments)
    text = tt.load_text(chosen.text)
    text = (text * (size // len(text) + 1))[:size]
    about = {"python": platform.python_version(), "numpy": np.__version__, "characters": len(text), "words": len(count_words(text)),
             "threads": 1, "clock": "process_time", "rounds": rounds}
    return report(rows_of(text, few, many, rounds), chosen.json, "beside", **about)


if __name__ == "__main__":
    sys.exit(main())
