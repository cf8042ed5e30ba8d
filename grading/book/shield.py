"""What formgrader's server is given in place of parts of its own, so that nothing of a student's runs in it or in the browser."""

from __future__ import annotations

import html
from typing import Any

import bleach  # type: ignore[import-untyped]
from jinja2 import pass_context
from nbconvert.exporters import NotebookExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbgrader.converters.base import NbGraderException

MORE = "p h1 h2 h3 h4 h5 h6 pre span div hr br del sub sup img dl dt dd table thead tbody tr th td"
TAGS = frozenset({*bleach.ALLOWED_TAGS, *MORE.split()})
NAMES = frozenset({"class", "id", "title", "alt", "align", "colspan", "rowspan"})


class Refused(NotebookExporter):  # type: ignore[misc]
    """An exporter for nbgrader's converters that raises as soon as it is made: before a notebook is read, run, written or removed."""

    def __init__(self, *_: Any, **__: Any) -> None:
        raise NbGraderException("this is done in a terminal: see `tito grade --help`; students' code runs in a sandbox only")


@pass_context  # type: ignore[untyped-decorator]
def markdown(context: Any, source: str) -> str:
    """Markdown as HTML without scripts, forms, frames, styles and addresses elsewhere; as plain text where it cannot be read."""
    attachments = context.get("cell", {}).get("attachments", {})
    try:
        rendered = MarkdownWithMath(renderer=IPythonRenderer(escape=False, attachments=attachments)).render(source)
    except Exception:               # of a missing attachment, or whatever else a text can bring about in its reader
        rendered = f"<pre>{html.escape(source)}</pre>"
    cleaned: str = bleach.clean(rendered, TAGS, _allowed, protocols={"http", "https", "mailto", "data"})
    return cleaned


def _allowed(tag: str, name: str, value: str) -> bool:
    if tag == "img" and name == "src":
        return value.startswith("data:image/")
    return name in NAMES or tag == "a" and name == "href" and not value.lower().startswith("data")
