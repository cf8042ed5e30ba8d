"""decode(encode(s)) == s for every string that Python has, and decode of whatever a model may say."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import tinytorch as tt
from tinytorch.text import LONGEST, WORD, Tokenizer

SPECIAL = ["<|end|>", "<|", "|"]
TRAINED = ["the cat that ate the other cat, naïve café", "東京 🙂🙂 \ud83d\n\n\t x" * 3, "aaaaaaaaaa   aaaa"]
TOKENIZERS = {
    "bytes": Tokenizer(special_tokens=SPECIAL),
    "characters": tt.CharTokenizer(special_tokens=SPECIAL).train(TRAINED),
    "pairs": tt.BPETokenizer(300, SPECIAL).train(TRAINED),
    "all pairs": tt.BPETokenizer(10_000).train(TRAINED),
    "untrained": tt.BPETokenizer(),
}
every_tokenizer = pytest.mark.parametrize("tokenizer", TOKENIZERS.values(), ids=TOKENIZERS)
any_text = st.text(st.characters(exclude_categories=()) | st.sampled_from("ab \n<|end>東🙂\ud83d\ude00"))


@every_tokenizer
@given(text=any_text)
@example("")
@example("\ud83d\ude42")                # two halves are two characters, and stay two
@example("".join(map(chr, range(0x3000))))
@example("\x00\x1c\x85\u2028\ufeff\U0010ffff")
@example(" " * 100 + "a" * 100 + "-" * 100 + "\n" * 100)
def test_every_text_comes_back(tokenizer: Tokenizer, text: str) -> None:
    for allowed in ((), "all"):
        ids = tokenizer.encode(text, allowed_special=allowed)
        assert tokenizer.decode(ids) == text
        assert all(type(i) is int and 0 <= i < tokenizer.vocab_size for i in ids)


@every_tokenizer
@given(data=st.data())
def test_whatever_a_model_says_is_read(tokenizer: Tokenizer, data: st.DataObject) -> None:
    ids = data.draw(st.lists(st.integers(0, tokenizer.vocab_size - 1)))
    text = tokenizer.decode(ids)
    assert text == tokenizer.decode(np.array(ids, "int32")) == tokenizer.decode(tt.Tensor(np.array(ids, "int64")))
    whole = b"".join(tokenizer.pieces[i] for i in ids)
    assert "�" in text or text.encode("utf-8", "surrogatepass") == whole


@every_tokenizer
@given(text=any_text)
def test_a_user_never_writes_a_special_token(tokenizer: Tokenizer, text: str) -> None:
    assert not set(tokenizer.encode(text + "<|end|>")) & set(tokenizer.special_tokens.values())


@given(text=any_text)
@example("it's 3 o'clock_x, été" + "長" * 70)
def test_words_are_a_partition_of_the_text_and_short(text: str) -> None:
    words = WORD.findall(text)
    assert "".join(words) == text
    assert all(0 < len(word) <= 33 and len(tt.as_bytes(word)) <= LONGEST for word in words)


@every_tokenizer
def test_ids_that_are_none(tokenizer: Tokenizer) -> None:
    for wrong in ([tokenizer.vocab_size], [-1], [2**62]):
        with pytest.raises(ValueError, match=f"decode: there is no id {wrong[0]}; with vocab_size {tokenizer.vocab_size}"):
            tokenizer.decode(wrong)
    for wrong in ([1.0], [[1, 2]], 5, ["a"], [None], [True], [2**70], tt.Tensor([1.0])):
        with pytest.raises(TypeError, match="decode: ids are one row of whole numbers"):
            tokenizer.decode(wrong)


@every_tokenizer
@pytest.mark.parametrize("wrong", [b"bytes", None, 5, ["a"]])
def test_what_is_no_text(tokenizer: Tokenizer, wrong: object) -> None:
    with pytest.raises(TypeError, match="encode: text is a str, not"):
        tokenizer.encode(wrong)


@every_tokenizer
def test_special_tokens_that_there_are_not(tokenizer: Tokenizer) -> None:
    for wrong in ("any", ["<|end|>", "<|no|>"], ("",)):
        with pytest.raises(ValueError, match="encode: no special token"):
            tokenizer.encode("a", allowed_special=wrong)


@pytest.mark.parametrize("special", ["<|end|>", ["a", "a"], [""], [5], ["\ud83d"]])
def test_special_tokens_that_cannot_be(special: object) -> None:
    with pytest.raises(ValueError):
        tt.BPETokenizer(special_tokens=special)


def test_a_vocabulary_that_is_too_small() -> None:
    with pytest.raises(ValueError, match=r"vocab_size is at least 257 \(256 bytes, 1 special tokens\), not 256"):
        tt.BPETokenizer(256, ["<|end|>"])
    assert tt.BPETokenizer(257, ["<|end|>"]).train("the the the").vocab_size == 257


@pytest.mark.parametrize("kind", [tt.CharTokenizer, tt.BPETokenizer])
def test_training_takes_one_text_or_several_and_nothing_else(kind: type) -> None:
    once = kind(400).train("".join(TRAINED[:1]))
    assert once.pieces == kind(400).train(TRAINED[:1]).pieces == kind(400).train(text for text in TRAINED[:1]).pieces
    assert once.train(TRAINED).pieces == kind(400).train(TRAINED).pieces            # what it knew before is forgotten
    assert kind(400).train([]).vocab_size == kind(400).train("").vocab_size == 256
    for wrong in (5, [5], [b"bytes"], None):
        with pytest.raises(TypeError):
            kind(400).train(wrong)


@every_tokenizer
def test_it_travels_to_workers(tokenizer: Tokenizer) -> None:
    tokenizer.encode(TRAINED[0])
    for again in (pickle.loads(pickle.dumps(tokenizer)), copy.deepcopy(tokenizer)):
        assert again.encode(TRAINED[1] + "<|end|>", "all" if tokenizer.special_tokens else ()) == tokenizer.encode(
            TRAINED[1] + "<|end|>", "all" if tokenizer.special_tokens else ())


def test_what_is_remembered_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    import tinytorch.text.tokenization as module
    monkeypatch.setattr(module, "REMEMBERED", 10)
    tokenizer = tt.BPETokenizer(300).train(TRAINED)
    text = " ".join(f"word{k}" for k in range(100))
    assert tokenizer.decode(tokenizer.encode(text)) == text and len(tokenizer.cache) <= 10
