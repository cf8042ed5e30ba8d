"""`tito status --html`: progress as a page that can be shown to others."""

from __future__ import annotations

import os
import re
import tomllib
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from tito.cli.results import ModuleLine, Overview
from tito.cli.results_runs import MilestoneLine
from tito.cli.status_page import TEMPLATE, page
from tito.errors import ExitCode
from tito.state import Passed

from .conftest import REPOSITORY, Edition
from .test_status import Tito, remember, three


class Checked(HTMLParser):
    """A page whose elements are all closed, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.headings: list[int] = []
        self.labels: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == [] and self.headings[0] == 1 and self.headings.count(1) == 1
        assert all(after <= before + 1 for before, after in pairwise(self.headings))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        names = [name for name, _ in attrs]
        assert len(set(names)) == len(names) and not any(name in ("src", "href") or name.startswith("on") for name in names)
        self.labels += [value or "" for name, value in attrs if name == "aria-label"]
        if tag not in ("meta", "br"):
            self.open.append(tag)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ("path", "circle", "rect")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data


def drawn(edition: Edition, tito: Tito) -> tuple[str, Checked]:
    assert tito("status", "--html").code == 0
    text = (edition.root / "build/progress.html").read_text(encoding="utf-8")
    return text, Checked(text)


def test_the_page_needs_nothing_but_itself(edition: Edition, tito: Tito) -> None:
    three(edition)
    (edition.root / "settings.ini").write_text("[course]\ntitle = <script>alert(1)</script> & $title\n", encoding="utf-8")
    text, found = drawn(edition, tito)
    assert "script" not in found.tags and "<script>alert(1)</script> & $title" in found.text
    assert not re.search(r"https?:|url\(|@import|@font-face|<link|<img|//", text)
    assert "default-src 'none'" in text
    assert "Half of it <b>&" in found.text and "answer: 4 < 5" in found.text
    assert "passed on 3 July 2026" in found.text and "ready to run" in found.text and "2 modules away" in found.text


def test_the_page_holds_nothing_private(edition: Edition, tito: Tito, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("USER", "LOGNAME", "USERNAME", "HOSTNAME"):
        monkeypatch.setenv(name, "ada-lovelace")
    three(edition)
    remember(edition, number=2)
    (edition.root / ".tito/student.json").write_text('{"schema_version": 1, "name": "ada-lovelace"}', encoding="utf-8")
    edition.cells(2, lambda cells: [{**cells[0], "source": "# 02 Beta, by ada-lovelace"}, *cells[1:]])
    text, found = drawn(edition, tito)
    assert "ada-lovelace" not in text and "Beta" in found.text
    for part in (*edition.root.parts[1:], os.fspath(Path.home())):
        assert part not in found.text


def test_the_command_says_where_the_page_is(edition: Edition, tito: Tito, tmp_path: Path) -> None:
    answer = tito("status", "--html")
    assert answer.out.splitlines()[0] == "your progress is drawn in build/progress.html" and "file://" in answer.out
    path = tmp_path / "new folder" / "my page.html"
    data = tito("status", "--html", "--output", str(path), "--json").json
    assert data["path"] == str(path) and path.read_bytes().startswith(b"<!DOCTYPE html>") and data["url"].endswith("my%20page.html")
    assert [p.name for p in path.parent.iterdir()] == ["my page.html"]
    assert tito("status", "--html", "--output", str(path)).code == 0    # a page of ours may be drawn anew


def test_the_page_takes_nobodys_place(edition: Edition, tito: Tito) -> None:
    mine = edition.notebook(1).read_bytes()
    for output, said in ((edition.notebook(1), "is not a page of progress"), (edition.root, "is a folder")):
        answer = tito("status", "--html", "--output", str(output))
        assert answer.code == ExitCode.USAGE and said in answer.err
    assert edition.notebook(1).read_bytes() == mine
    answer = tito("status", "--output", "x.html")
    assert answer.code == ExitCode.USAGE and "fix:   tito status --html --output x.html" in answer.err


def test_the_course_repository_has_no_progress(edition: Edition, tito: Tito) -> None:
    (edition.root / "tito/dev").mkdir(parents=True)
    answer = tito("status", "--html")
    assert answer.code == ExitCode.USAGE and "this is the course repository" in answer.err
    assert tito("status").code == 0 and not (edition.root / "build").exists()


def module(number: int, done: int, title: str) -> ModuleLine:
    state = "done" if number <= done else "next" if number == done + 1 else "locked"
    return ModuleLine(number, f"m{number}", state, 5.0 * (number <= done), 5, title=title)


@pytest.mark.parametrize(("done", "of"), [(0, 3), (1, 3), (3, 3), (0, 20), (7, 20), (20, 20), (1, 1), (0, 0), (98, 99)])
def test_none_some_and_all_modules(done: int, of: int) -> None:
    title = "Donaudampfschifffahrtsgesellschaft & Söhne <i>" * 3
    modules = tuple(module(n, done, title) for n in range(1, of + 1))
    milestones = tuple(MilestoneLine(k, "m", 1900 + k, "works", (1,), (1,) if done == 0 else (), "locked" if done == 0 else "passed",
                                     Passed("nobody knows", 0, tuple("abcdefg")) if done else None) for k in range(min(of, 6)))
    found = Checked(page(Overview(Path("x"), True, modules, "tito module start 08", True, title="T", milestones=milestones)))
    assert found.labels == [f"{done} of {of} modules complete"] and found.tags.count("svg") == 1 + of + 2 * len(milestones)
    assert found.text.count(title) == of + (done < of) and ("All" in found.text) == (0 < done == of)
    assert found.text.count("complete") >= done and found.text.count("and 3 more") == (len(milestones) if done else 0)


def luminance(colour: str) -> float:
    whole = colour[1:] if len(colour) == 7 else "".join(2 * c for c in colour[1:])
    parts = [int(whole[i:i + 2], 16) / 255 for i in (0, 2, 4)]
    return sum(w * (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4) for w, p in zip((0.2126, 0.7152, 0.0722), parts))


def test_text_stands_out_from_what_is_behind_it() -> None:
    blocks = re.findall(r":root \{(.*?)\}", TEMPLATE.read_text("utf-8"), re.DOTALL)
    schemes = [dict(re.findall(r"--([\w-]+): (#\w+);", block)) for block in blocks]
    assert len(schemes) == 3                                            # light, dark, on paper
    for colours in schemes:
        for behind, texts in (("paper", "ink soft accent now-ink"), ("done", "ink soft accent"), ("now", "ink now-ink")):
            for name in texts.split():
                dark, light = sorted((luminance(colours[name]), luminance(colours[behind])))
                assert (light + 0.05) / (dark + 0.05) >= 4.5, (name, behind, colours)


def test_the_template_is_installed_with_tito() -> None:
    data = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["package-data"]["tito"]
    assert TEMPLATE.relative_to(REPOSITORY / "tito").as_posix() in data
