"""Reads an HTML page strictly: what does not nest, repeats an id, or leaves a table without headers is an error."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = {"meta", "br", "link", "input", "hr", "img"}


class Page(HTMLParser):
    """A page's text, tags, headings and tables."""

    def __init__(self, text: str):
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, f"left open: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), f"an attribute stands twice in {tag}"
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


def checked(text: str) -> Page:
    """The page, which keeps to what every page of ours promises."""
    assert text.startswith("<!DOCTYPE html>")
    page = Page(text)
    assert page.all("html")[0]["lang"] == "en"
    for landmark in ("header", "main", "footer", "title", "h1"):
        assert len([t for t, _ in page.tags if t == landmark]) - (landmark == "title" and len(page.all("svg"))) == 1, landmark
    levels = [int(tag[1]) for tag, _ in page.tags if tag in ("h1", "h2", "h3", "h4")]
    assert levels[0] == 1 and all(b <= a + 1 for a, b in zip(levels, levels[1:])), levels
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    links = [attrs["href"] or "" for attrs in page.all("a")]
    assert all(link.startswith("#") and link[1:] in ids for link in links), links
    assert all(attrs.get("scope") in ("row", "col") for attrs in page.all("th"))
    tables = text.split("<table")[1:]
    assert all("<caption" in t.split("</table>")[0] and "<th scope=" in t.split("</table>")[0] for t in tables)
    assert all("aria-labelledby" in attrs for attrs in page.all("section"))
    loads = [attrs for _, attrs in page.tags for name in attrs if name in ("src", "srcset", "data", "action") or name.startswith("on")]
    assert not loads and not page.all("link"), loads
    return page
