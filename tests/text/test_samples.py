"""From ids to batches, and tokens to look at."""

from __future__ import annotations

import html.parser

import numpy as np
import pytest

import tinytorch as tt
from tinytorch.data import DataLoader

IDS = np.random.default_rng(0).integers(0, 2**40, size=50)


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_are_whole_numbers_and_the_target_is_one_ahead(workers: int) -> None:
    loader = DataLoader(tt.TextDataset(IDS, 8), batch_size=5, shuffle=True, num_workers=workers, generator=np.random.default_rng(1))
    batches = list(loader)
    assert sum(len(x) for x, _ in batches) == 42
    for x, y in batches:
        assert x.dtype == y.dtype == np.dtype("int64") and x.shape == y.shape == (len(x), 8)
        assert np.array_equal(x.numpy()[:, 1:], y.numpy()[:, :-1])
    assert sorted(int(x[0]) for batch, _ in batches for x in batch) == sorted(IDS[:42].tolist())


@pytest.mark.parametrize("given", [IDS, IDS.tolist(), tt.Tensor(IDS), IDS.astype("int32") % 1000])
def test_ids_of_any_kind(given: object) -> None:
    first = tt.TextDataset(given, 3)[1]
    assert [part.tolist() for part in first] == [np.asarray(given)[1:4].tolist(), np.asarray(given)[2:5].tolist()]


def test_what_is_no_row_of_ids() -> None:
    for wrong in ([0.5, 1.0, 2.0], [[1, 2], [3, 4]], "abc"):
        with pytest.raises(TypeError, match="TextDataset: ids are one row of whole numbers"):
            tt.TextDataset(wrong, 1)
    for context in (0, -1, 50):
        with pytest.raises(ValueError, match=f"context_length is from 1 to 49 for 50 ids, not {context}"):
            tt.TextDataset(IDS, context)


class Spans(html.parser.HTMLParser):
    """The text and the titles of a page, as a browser reads them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text, self.titles, self.tags = "", list[str](), set[str]()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.titles += [value for name, value in attrs if name == "title" and value]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("text", ["the cat\n\n  that", "<script>alert('&amp;')</script>", "naïve 🙂 \ud83d", ""])
def test_a_map_shows_every_token_and_nothing_runs(text: str) -> None:
    tokenizer = tt.BPETokenizer(262, ["<|end|>"]).train("the cat that ate")
    shown = tt.show_tokens(text + "<|end|>", tokenizer)
    page = Spans(shown._repr_html_())
    assert page.titles == [str(i) for i in tokenizer.encode(text + "<|end|>", "all")]
    assert page.tags == {"div", "span"}
    assert page.text == "".join(repr(shown).split("│"))
    if text.isascii():
        assert page.text == text + "<|end|>"
    shown._repr_html_().encode("utf-8")                     # it can be saved in a notebook


def test_counts_of_texts() -> None:
    tokenizer = tt.BPETokenizer(258).train("the cat that ate")
    assert tt.analyze_tokenization("that", tokenizer) == tt.analyze_tokenization(iter(["that"]), tokenizer)
    assert tt.analyze_tokenization([], tokenizer)["compression_ratio"] == 0
    assert tt.tokenize_dataset("that", tokenizer) == [tokenizer.encode("that")]
