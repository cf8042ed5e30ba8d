"""Merges equal those of the plain loop for any words, and those of Hugging Face's trainer on real text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinytorch as tt
from benchmarks.text import hugging_face, mapped
from tinytorch.text import count_words, learn_merges, learn_merges_loops

ROOT = Path(__file__).parents[2]
RUTH = ROOT / "datasets" / "ruth.txt"


def words_of(letters: str) -> st.SearchStrategy[dict[bytes, int]]:
    """Words of these letters, with counts."""
    return st.dictionaries(st.text(letters, max_size=12).map(str.encode), st.integers(1, 20), max_size=12)


@given(words=words_of("ab") | words_of("abcdef") | words_of("aé東"), n=st.integers(0, 60))
def test_the_fast_trainer_learns_what_the_loop_learns(words: dict[bytes, int], n: int) -> None:
    assert learn_merges(words, n) == learn_merges_loops(words, n)


@given(words=words_of("abc"), n=st.integers(0, 60))
def test_encoding_leaves_each_word_as_training_left_it(words: dict[bytes, int], n: int) -> None:
    merges = learn_merges(words, n)
    made = {pair: 256 + k for k, pair in enumerate(merges)}
    for word in words:
        ids = list(word)
        for pair, new in made.items():
            ids = tt.merge_pair(ids, pair, new)
        assert tt.merge_word(word, made) == ids


@given(words=words_of("abc"), n=st.integers(0, 60))
def test_no_two_merges_make_the_same_piece(words: dict[bytes, int], n: int) -> None:
    """So an id and a piece are the same thing, here and where merges of one piece share an id."""
    tokenizer = tt.BPETokenizer().learn(learn_merges(words, n))
    assert len(set(tokenizer.pieces)) == tokenizer.vocab_size


def test_fewer_merges_are_the_first_of_more() -> None:
    words = count_words(RUTH.read_text(encoding="utf-8"))
    assert learn_merges(words, 50) == learn_merges(words, 300)[:50]


def test_one_long_word_is_cut_so_that_no_text_is_slow() -> None:
    text = "a" * 100_000 + "長" * 20_000 + "-" * 20_000
    tokenizer = tt.BPETokenizer(400).train(text)
    assert len(count_words(text)) <= 6 and tokenizer.decode(tokenizer.encode(text)) == text


# ---- Hugging Face ------------------------------------------------------------------------------

TEXTS = {
    "Ruth": lambda: RUTH.read_text(encoding="utf-8"),
    "this program": lambda: Path(__file__).read_text(encoding="utf-8"),
    "few letters": lambda: "".join(np.random.default_rng(0).choice(list("ab "), size=20_000)),
    "wide characters": lambda: "".join(map(chr, np.random.default_rng(1).integers(32, 0x900, size=5_000).tolist())),
}


@pytest.mark.parametrize("name", TEXTS)
def test_merges_and_ids_are_those_of_hugging_face(name: str) -> None:
    pytest.importorskip("tokenizers", reason="Hugging Face's tokenizers is only installed where ours are compared with it")
    text = TEXTS[name]()
    train, merges_of = hugging_face(700)
    other = train(mapped(text))
    ours = tt.BPETokenizer(700).train(text)
    assert ours.merges == merges_of(other)
    assert ours.encode(text) == other.encode(mapped(text)).ids
