"""Files: what is saved comes back, a hostile one is refused in words, and a text is found or missed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tinytorch as tt
from tinytorch.text import Tokenizer

TEXT = "the cat that ate the other cat, naïve café 東京 🙂 \ud83d"
GOOD: dict[str, Any] = {"version": 1, "kind": "bpe", "special_tokens": ["<|end|>"], "learned": [[97, 116], [116, 104]]}


@pytest.mark.parametrize("kind", ["char", "bpe"])
def test_what_is_saved_comes_back(tmp_path: Path, kind: str) -> None:
    tokenizer = tt.create_tokenizer(kind, TEXT, 290, ["<|end|>", "日本"])
    tokenizer.save(tmp_path / "a b é.json")
    (tmp_path / "a b é.json").read_bytes().decode("ascii")
    for again in (Tokenizer.load(tmp_path / "a b é.json"), type(tokenizer).load(str(tmp_path / "a b é.json"))):
        assert type(again) is type(tokenizer)
        assert again.pieces == tokenizer.pieces and again.special_tokens == tokenizer.special_tokens
        assert again.encode(TEXT + "<|end|>", "all") == tokenizer.encode(TEXT + "<|end|>", "all")
    assert again.train("dünn dünn").vocab_size <= tokenizer.vocab_size          # as much room as before


def test_a_failed_save_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    tt.BPETokenizer(300).train(TEXT).save(path)
    before, broken = path.read_bytes(), tt.BPETokenizer(300).train(TEXT)
    broken.learned = [object()]
    with pytest.raises(TypeError):
        broken.save(path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


BAD: dict[str, bytes | dict[str, Any]] = {
    "empty": b"",
    "no JSON": b"merges: 97 116",
    "no text": bytes(range(256)),
    "a list": b"[1, 2]",
    "a number": b"5",
    "nothing": b"null",
    "deep": b"[" * 100_000,
    "a number of 5,000 digits": b'{"version": ' + b"9" * 5000 + b"}",
    "no kind": {k: v for k, v in GOOD.items() if k != "kind"},
    "an unknown kind": GOOD | {"kind": "words"},
    "a list as its kind": GOOD | {"kind": ["bpe"]},
    "a later version": GOOD | {"version": 2},
    "special tokens: a text": GOOD | {"special_tokens": "<|end|>"},
    "special tokens: numbers": GOOD | {"special_tokens": [1]},
    "special tokens: the same": GOOD | {"special_tokens": ["a", "a"]},
    "special tokens: an empty one": GOOD | {"special_tokens": [""]},
    "special tokens: half of a pair": GOOD | {"special_tokens": ["\ud83d"]},
    "special tokens: none": GOOD | {"special_tokens": None},
    "merges: none": GOOD | {"learned": None},
    "merges: a number": GOOD | {"learned": 5},
    "merges: text": GOOD | {"learned": ["ab"]},
    "merges: three": GOOD | {"learned": [[1, 2, 3]]},
    "merges: one": GOOD | {"learned": [[1]]},
    "merges: floats": GOOD | {"learned": [[1.0, 2]]},
    "merges: truth": GOOD | {"learned": [[True, 2]]},
    "merges: an id of later": GOOD | {"learned": [[256, 97]]},
    "merges: an id below 0": GOOD | {"learned": [[-1, 97]]},
    "merges: a special token": GOOD | {"learned": [[97, 97], [257, 97]]},
    "merges: twice": GOOD | {"learned": [[97, 116], [97, 116]]},
    "merges: a piece of 2**40 bytes": GOOD | {"learned": [[97, 97], *([k, k] for k in range(256, 295))]},
    "characters: numbers": GOOD | {"kind": "char", "learned": [233]},
    "characters: lists": GOOD | {"kind": "char", "learned": [["é"]]},
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_no_tokenizer_wrote_is_refused(tmp_path: Path, name: str) -> None:
    bad, path = BAD[name], tmp_path / "bad.json"
    path.write_bytes(bad if isinstance(bad, bytes) else json.dumps(bad).encode())
    with pytest.raises(ValueError, match=r"load: .*bad\.json is not a tokenizer's file"):
        Tokenizer.load(path)


any_json = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
                        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(sorted(GOOD)), inner), max_leaves=10)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(changed=st.dictionaries(st.sampled_from(sorted(GOOD)), any_json | st.lists(st.lists(st.integers(-2, 300), max_size=3))))
def test_any_other_file_is_refused_or_works(tmp_path_factory: pytest.TempPathFactory, changed: dict[str, Any]) -> None:
    path = tmp_path_factory.getbasetemp() / "changed.json"
    path.write_text(json.dumps(GOOD | changed), encoding="utf-8")
    try:
        tokenizer = Tokenizer.load(path)
    except ValueError as error:
        assert "is not a tokenizer's file" in str(error)
    else:
        assert tokenizer.decode(tokenizer.encode(TEXT)) == TEXT


def test_a_file_of_another_kind_or_none(tmp_path: Path) -> None:
    tt.CharTokenizer().train(TEXT).save(tmp_path / "t.json")
    with pytest.raises(ValueError, match="kind 'char'; wanted is version 1, BPETokenizer"):
        tt.BPETokenizer.load(tmp_path / "t.json")
    with pytest.raises(FileNotFoundError):
        Tokenizer.load(tmp_path / "none.json")


# ---- texts -------------------------------------------------------------------------------------

def test_the_text_that_ships_is_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert len(tt.load_text()) > 300_000 and tt.load_text().count("\r") == 0


def test_a_text_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "my text é.txt"
    path.write_bytes(b"\xef\xbb\xbfd\xc3\xbcnn\r\nold\rend\n")
    assert tt.load_text(path) == tt.load_text(str(path)) == "dünn\nold\nend\n"


def test_a_text_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    (tmp_path / "old.txt").write_bytes("naïve".encode("latin-1"))
    (tmp_path / "empty.txt").write_bytes(b"")
    with pytest.raises(ValueError, match=r"old\.txt is not UTF-8 \(byte 2\): save it as UTF-8"):
        tt.load_text(tmp_path / "old.txt")
    for name in ("none.txt", "empty.txt", "."):
        with pytest.raises(FileNotFoundError, match="load_text: there is no file"):
            tt.load_text(tmp_path / name)
