"""The texts that milestone 5 reads, what of them is held out, and what their letters cost."""

import argparse
import hashlib
import re
import runpy
import shutil
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
DATA = ROOT / "datasets"


@pytest.fixture(autouse=True)
def _milestones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "milestones"))


def asked(**options: Any) -> Any:
    """A run with these options."""
    import common
    settings = {"seed": 0, "output": "", "validate": False, "json": True, "text": None, "corpus": None} | options
    return common.Run(ROOT / "milestones" / "05_transformer.py", "2017: a title.", argparse.Namespace(**settings))


@pytest.mark.parametrize(("name", "letters", "different"), [("king_james.txt", 940_613, 73), ("ruth.txt", 13_039, 58)])
def test_the_texts_are_the_ones_the_readme_describes(name: str, letters: int, different: int) -> None:
    data, readme = (DATA / name).read_bytes(), (DATA / "README.md").read_text(encoding="utf-8")
    assert data.isascii() and b"\r" not in data and b"  " not in data and b" \n" not in data and data.endswith(b".\n")
    assert (len(data), len(set(data))) == (letters, different) and f"{letters:,}" in readme
    assert f"`{name}` `{hashlib.sha256(data).hexdigest()}`" in readme


def test_a_chapter_is_a_heading_and_its_verses() -> None:
    text = (DATA / "king_james.txt").read_text(encoding="ascii")
    headings = re.findall(r"(?:^|\n\n)(\w+ \d+)\n\n(?=\S)", text)
    assert (len(headings), headings[0], headings[-1]) == (320, "Genesis 1", "John 21")
    assert sum(1 for line in text.splitlines() if line) == 320 + 8688 and not re.search(r"\d", re.sub(r"^\w+ \d+$", "", text, flags=re.M))
    assert "Ruth 1" not in text


def test_the_same_bytes_come_out_of_the_command() -> None:
    if shutil.which("bible") is None:
        pytest.skip("Debian's bible-kjv is not installed")
    made = runpy.run_path(str(DATA / "make_king_james.py"))
    for name, books in made["FILES"].items():
        assert ("\n\n".join(map(made["text"], books)) + "\n").encode("ascii") == (DATA / name).read_bytes()


def test_what_is_held_out_is_the_same_always_and_stays_shut_while_settings_are_chosen() -> None:
    import corpora
    text = (DATA / "king_james.txt").read_text(encoding="ascii")
    learn, held = corpora.split(asked(seed=7), "it", text)
    less, other = corpora.split(asked(validate=True), "it", text)
    assert corpora.split(asked(), "it", text) == (learn, held)
    assert len(learn) + len(held) == len(text) and len(less) + len(other) == len(learn)
    assert 0.08 < len(held) / len(text) < 0.11 and 0.08 < len(other) / len(text) < 0.11
    pieces = list(corpora.cut(text, 10_000))
    assert "".join(pieces) == text and all(piece.endswith("\n") and len(piece) >= 10_000 for piece in pieces[:-1])
    assert held == "".join(pieces[9::10]) and other == "".join(pieces[4::10])
    assert held not in learn and held not in less and hashlib.sha256(held.encode()).hexdigest().startswith("7c22087df5a37c27")


def test_pythons_own_sources_are_read() -> None:
    import corpora
    text = corpora.python_sources()
    assert 300_000 < len(text) <= 1_010_000 and text.isascii() and "\ndef " in text
    assert corpora.python_sources() == text


def test_without_sources_or_with_a_bad_file_it_says_so(tmp_path: Path) -> None:
    import common
    import corpora
    with pytest.raises(common.Refused, match="no sources of Python"):
        corpora.python_sources(tmp_path)
    (tmp_path / "short.txt").write_text("In the beginning", encoding="utf-8")
    (tmp_path / "other.txt").write_bytes(b"\xff\xfe" * 9000)
    for name, said in ("none.txt", "none.txt"), ("short.txt", "16 letters"), ("other.txt", "UTF-8"):
        with pytest.raises(common.Refused, match=said):
            corpora.corpus(asked(text=str(tmp_path / name)))


WHOLE = "def f(x):\n    return (x +\n        1\n    )\n"


@pytest.mark.parametrize(("written", "cut", "good"), [
    ("\n\n" + WHOLE + "\n\nclass A:\n    de", WHOLE + "\n", True),
    (WHOLE + "    if x:\n        re", "def f(x):\n    return (x +\n        1\n    )\n    if x:", False),
    ("def f(\n    x,\n):\n    pass\nx = 1", "def f(\n    x,\n):\n    pass", True),
    ("def f(x:\n    pass\nx = 1", "def f(x:\n    pass", False),
    ("def f():", "", False), ("\0", "", False),
])
def test_a_definition_is_judged_as_far_as_it_is_complete(written: str, cut: str, good: bool) -> None:
    import corpora
    assert corpora.definition(written) == cut and corpora.parses(cut) is good


def test_samples_are_compared_with_real_definitions_cut_off_in_the_same_way() -> None:
    import corpora
    assert corpora.judged(f"{WHOLE}\n\n" * 5, ["\n\n" + WHOLE + "\nx = 1\n" + 90 * "y", "def f(:\n    1\nx"]) == (1, "2 of 2")


def slowly(text: str, order: int, letters: list[str]) -> Any:
    """Interpolated Kneser-Ney, word for word as the textbook has it: the chance of a letter after others."""
    def seen(n: int) -> dict[str, int]:
        grams = [text[i:i + n] for i in range(len(text) - n + 1)]
        if n == order:
            return {gram: grams.count(gram) for gram in set(grams)}
        longer = {text[i:i + n + 1] for i in range(len(text) - n)}
        return {gram: max(1, sum(each[1:] == gram for each in longer)) for gram in set(grams)}

    counts = {n: seen(n) for n in range(1, order + 1)}

    def chance(before: str, letter: str) -> float:
        n = len(before) + 1
        lower = chance(before[1:], letter) if before else 1 / len(letters)
        after = {gram: count for gram, count in counts[n].items() if gram[:-1] == before}
        if not after:
            return lower
        ones, twos = (sum(count == k for count in counts[n].values()) for k in (1, 2))
        taken = ones / (ones + 2 * twos) if twos else 0.5
        return (max(after.get(before + letter, 0) - taken, 0) + taken * len(after) * lower) / sum(after.values())

    return chance


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_the_table_is_the_textbooks_kneser_ney(order: int) -> None:
    from scoring import NGram
    text, other = "abracadabra, abraham ate a bar", "a crab, zebra"
    table = NGram(text, order, "xyzr")
    chance = slowly(text, order, table.letters)
    want = [-np.log2(chance(other[i - order + 1:i], other[i])) for i in range(order - 1, len(other))]
    np.testing.assert_allclose(table.bits(other)[order - 1:], want)
    np.testing.assert_allclose(table.bits(other)[:order - 1], np.log2(len(table.letters)))


def test_the_chances_of_all_letters_add_up_to_one() -> None:
    from scoring import NGram
    table = NGram((DATA / "ruth.txt").read_text(encoding="ascii"), 4, "é")
    for before in ("And", "the", "zzz", "é a", "\n\nR"):
        every = np.array([[*table.ids(before), k] for k in range(len(table.letters))])
        assert table.chances(every).sum() == pytest.approx(1) and table.chances(every).min() > 0
    with pytest.raises(ValueError, match="more than can be numbered"):
        NGram("abc" * 9, 99)


def test_the_table_of_four_is_as_strong_as_it_was() -> None:
    import corpora
    from scoring import NGram
    text = (DATA / "king_james.txt").read_text(encoding="ascii")
    less, other = corpora.split(asked(validate=True), "it", text)
    assert NGram(less, 4, other).bits(other).mean() == pytest.approx(1.9567, abs=2e-4)      # chosen on this part; nothing else came lower


class Peeks:
    """Says the token that comes next in its window for certain; where none comes, it does not know."""

    max_seq_len, vocab_size = 5, 300

    def eval(self) -> None:
        pass

    def __call__(self, ids: np.ndarray) -> Any:
        import tinytorch as tt
        logits = np.zeros((*ids.shape, self.vocab_size), np.float32)
        rows, places = np.indices(ids[:, 1:].shape)
        logits[rows, places, ids[:, 1:]] = 50.0
        return tt.Tensor(logits)


def test_what_is_scored_is_not_to_be_seen() -> None:
    from scoring import costs
    ids = np.random.default_rng(0).integers(0, 300, 400)
    np.testing.assert_allclose(costs(Peeks(), ids, np.arange(5, 400)), np.log2(300), rtol=1e-6)


def test_a_look_ahead_is_seen() -> None:
    from scoring import foresight

    import tinytorch as tt
    ids = np.random.default_rng(0).integers(0, 300, 400)
    model = tt.GPT(300, embed_dim=32, num_layers=2, num_heads=2, max_seq_len=6)
    assert foresight(model, ids) == 0.0 and foresight(Peeks(), ids) == 50.0
    for block in model.blocks:
        block.attention.causal = False
    assert foresight(model, ids) > 1e-3


def test_bits_are_counted_by_the_letter_also_where_a_letter_is_several_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    import scoring

    import tinytorch as tt
    text = "naïve café, naïve café: ☃ and ☃☃ " * 12
    tokenizer = tt.text.BPETokenizer(270).train(text)
    model = types.SimpleNamespace(max_seq_len=5, eval=lambda: None)
    monkeypatch.setattr(scoring, "PLACES", 10**6)                      # all of them
    monkeypatch.setattr(scoring, "costs", lambda model, ids, places: np.full(len(places), 2.0))
    table = scoring.NGram(text, 2)
    ours, theirs = scoring.compared(model, tokenizer, [table], text)
    ids = tokenizer.encode(text)
    letters = len(text) - len(tokenizer.decode(ids[:5]))
    assert ours == pytest.approx(2 * (len(ids) - 5) / letters)
    assert theirs[2] == pytest.approx(table.bits(text)[-letters:].mean())


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    yield
    for name in ("common", "corpora", "scoring"):
        sys.modules.pop(name, None)
