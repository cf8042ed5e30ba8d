"""A model with its tokenizer: what a text costs it, and the one file that both live in."""

from __future__ import annotations

import json
import math
import zipfile
from pathlib import Path

import numpy as np
import pytest

import tinytorch as tt
from tinytorch.applications.tinygpt import FORMS, TinyGPT, TinyGPTTrainer, split_text
from tinytorch.models.transformer import GPT
from tinytorch.optimization.quantization import quantize_model
from tinytorch.text.tokenization import BPETokenizer, CharTokenizer

TEXT = "In the beginning was the word, and the word was naïve; it was 東京 too.\n" * 20


def made(form: str = "float32", seed: int = 0, **settings: object) -> TinyGPT:
    tokenizer = BPETokenizer(280).train(TEXT)
    model = GPT(tokenizer.vocab_size, **{"embed_dim": 8, "num_layers": 2, "num_heads": 2, "max_seq_len": 7} | settings,
                generator=np.random.default_rng(seed))
    for p in model.parameters():
        p.data *= 15.0 if p.ndim == 2 else 1.0
    return TinyGPT(tokenizer, quantize_model(model) if form == "quantized" else model, form)


@pytest.mark.parametrize("length", [1, 2, 3, 8, 15, 16, 100, len(TEXT)])
@pytest.mark.parametrize("positions", ["learned", "sinusoidal", "rotary", None])
def test_every_token_is_asked_about_once_given_its_window(length: int, positions: str | None) -> None:
    tiny, text = made(positions=positions), TEXT[:length]
    ids, nats = tiny.tokenizer.encode(text), math.log(280)
    for k in range(1, len(ids)):
        scores = np.asarray(tiny.model([ids[(k - 1) // 7 * 7:k]])).astype("float64")[0, -1]
        nats += math.log(np.exp(scores - scores.max()).sum()) - (scores[ids[k]] - scores.max())
    assert tiny.bits_per_character(text) == pytest.approx(nats / math.log(2) / length, rel=1e-5)


def test_bits_can_be_compared_across_tokenizers() -> None:
    """Models that know nothing: log V a token, whatever a token is; bits a character follow from it."""
    for tokenizer in (CharTokenizer(300).train(TEXT), BPETokenizer(400).train(TEXT)):
        model = GPT(tokenizer.vocab_size, 8, 1, 2, 8)
        for p in model.parameters():
            p.data[...] = 0.0
        want = len(tokenizer.encode(TEXT)) * math.log2(tokenizer.vocab_size) / len(TEXT)
        assert TinyGPT(tokenizer, model).bits_per_character(TEXT) == pytest.approx(want, rel=1e-5)


def test_no_text_costs_nothing_that_could_be_told() -> None:
    with pytest.raises(ValueError, match="at least one character"):
        made().bits_per_character("")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("positions", ["learned", "rotary"])
def test_what_is_saved_comes_back(tmp_path: Path, form: str, positions: str) -> None:
    tiny, path = made(form, positions=positions), tmp_path / "a b é.tinygpt"
    tiny.save(path)
    again, once_more = TinyGPT.load(path), TinyGPT.load(path)
    assert again.form == form and again.model.settings == tiny.model.settings and again.tokenizer.pieces == tiny.tokenizer.pieces
    assert again.bits_per_character(TEXT) == pytest.approx(tiny.bits_per_character(TEXT), rel=1e-2 if form == "sparse" else 1e-6)
    assert again.bits_per_character(TEXT) == once_more.bits_per_character(TEXT)
    before = path.read_bytes()
    again.save(path)
    assert path.read_bytes() == before, "a model that came from a file makes the same file"
    assert list(tmp_path.iterdir()) == [path]


def hostile(tiny: TinyGPT, path: Path) -> dict[str, bytes]:
    tiny.save(path)
    good = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}

    def zipped(change: dict[str, bytes | None]) -> bytes:
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in (parts | change).items():
                if data is not None:
                    archive.writestr(name, data)
        return path.read_bytes()
    settings = json.loads(parts["settings.json"])
    return {"nothing": b"", "no zip": b"hello", "half": good[:len(good) // 2], "no end": good[:-5],
            "no tokenizer": zipped({"tokenizer.json": None}), "no settings": zipped({"settings.json": None}),
            "no weights": zipped({"weights.npz": None}),
            "another form": zipped({"settings.json": json.dumps(["zip", settings[1]]).encode()}),
            "the form of another": zipped({"settings.json": json.dumps(["quantized", settings[1]]).encode()}),
            "a setting too many": zipped({"settings.json": json.dumps([settings[0], settings[1] | {"code": "x"}]).encode()}),
            "settings that are none": zipped({"settings.json": b"7"}), "weights that are none": zipped({"weights.npz": b"PK"}),
            "another vocabulary": zipped({"tokenizer.json": b'{"version": 1, "kind": "char", "special_tokens": [], "learned": []}'})}


def test_another_file_is_refused_in_words(tmp_path: Path) -> None:
    for name, data in hostile(made(), tmp_path / "x").items():
        (tmp_path / "bad.tinygpt").write_bytes(data)
        with pytest.raises(ValueError, match="bad.tinygpt"):
            TinyGPT.load(tmp_path / "bad.tinygpt")
            pytest.fail(name)


def test_nothing_is_written_outside_of_where_it_belongs(tmp_path: Path) -> None:
    made().save(tmp_path / "a")
    with zipfile.ZipFile(tmp_path / "a", "a") as archive:
        archive.writestr("../../escaped.txt", "x")
    (tmp_path / "in").mkdir()
    TinyGPT.load(tmp_path / "a")
    assert not list(tmp_path.parent.rglob("escaped.txt"))


def test_the_held_out_part_is_the_last_tenth_and_begins_a_line() -> None:
    for text in (TEXT, "x" * 1000, "line\n" * 200 + "y" * 300, "a\n" + "b" * 5000):
        learned, held = split_text(text)
        assert learned + held == text and 0 < len(held) <= len(text) / 10 + 1
    assert split_text(TEXT)[0].endswith("\n")


def test_training_is_repeated_by_its_seed_and_learns() -> None:
    def run() -> list[float]:
        tt.manual_seed(5)
        tiny = TinyGPT(CharTokenizer(256), GPT(256, 16, 1, 2, 16))
        return TinyGPTTrainer(tiny, TEXT, TEXT[:200], rounds=3, steps=10, batch_size=4).fit()["bits_per_character"]
    first = run()
    assert first == run() and first[-1] < first[0] < 9
