"""`tito status --html`: progress as a page that can be shown to others.  It needs nothing but itself, and knows no names and no paths."""

from __future__ import annotations

from datetime import date
from html import escape
from math import cos, pi, sin
from pathlib import Path
from string import Template

from tito import when
from tito.cli.results import ModuleLine, Overview, Report, number
from tito.cli.results_runs import MilestoneLine
from tito.cli.status_words import spans
from tito.course import Course
from tito.errors import TitoError
from tito.journal import write_atomically

TEMPLATE = Path(__file__).with_name("progress.html")
BARS = 5                        # of a milestone that are told
OURS = b'<meta name="generator" content="tito status">'
KINDS = {"done": "done", "started": "now", "next": "now", "locked": "ahead"}
WORDS = {"done": "complete", "started": "begun", "next": "next", "locked": "to come"}
MARKS = {
    "done": '<circle class="solid" cx="10" cy="10" r="9"/><path class="cut" d="M6 10.5l3 3 5.5-6.5"/>',
    "now": '<circle class="stroke" cx="10" cy="10" r="8"/><path class="stroke" d="M8 6.5l4.5 3.5L8 13.5"/>',
    "ahead": '<circle class="faint" cx="10" cy="10" r="4"/>',
}


def write(course: Course, found: Overview, output: Path | None) -> Report:
    """Write the page.  TitoError in the course repository, and where something else is in its place."""
    if not course.is_edition:
        raise TitoError("there is no progress to show: this is the course repository", fix="in a student edition: tito status --html")
    path = (output or course.root / "build" / "progress.html").absolute()
    if path.is_dir():
        raise TitoError(f"{path} is a folder", fix="name a file in it, such as progress.html")
    if path.exists() and OURS not in path.read_bytes():
        raise TitoError(f"{path} is not a page of progress", why="it was not written by this command, and would be lost",
                        fix="name a file that does not exist yet")
    write_atomically(path, page(found).encode("utf-8", "replace"))
    shown = path.relative_to(course.root).as_posix() if path.is_relative_to(course.root) else str(path)
    lines = ("it holds no names and no paths: you can give it to others", f"open it in a browser: {path.as_uri()}")
    return Report(f"your progress is drawn in {shown}", lines, {"path": str(path), "url": path.as_uri()})


def page(found: Overview) -> str:
    """The whole page as HTML."""
    written = f" Written answers, worth {number(found.manual_points)} more, are judged by a person." if found.manual_points else ""
    parts = {"title": escape(found.title), "date": _day(when.day(when.now())), "next": _next(found), "milestones": _milestones(found),
             "ring": _ring(found.done, len(found.modules)), "figures": _figures(found),
             "tiles": "\n".join(_tile(m, found.milestones) for m in found.modules),
             "written": f"Points are for code that has passed the course's checks.{written}"}
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(parts)


def _day(text: str) -> str:
    """The "2026-03-12" at the beginning of a text as "12 March 2026"."""
    try:
        found = date.fromisoformat(text[:10])
    except ValueError:
        return escape(text[:10])
    return f"{found.day} {found:%B %Y}"


def _ring(done: int, of: int) -> str:
    """A ring of as many arcs as there are modules; those that are complete are broad."""
    gap = 0 if of < 2 else min(2 * pi / of * 0.3, 0.09)
    kinds = ["done"] * done + ["open"] * (of - done)
    arcs = "".join(f'<path class="{kind}" d="{_arc(k, of, gap)}"/>' for k, kind in enumerate(kinds))
    return (f'<svg class="ring" viewBox="0 0 160 160" role="img" aria-label="{done} of {of} modules complete">{arcs}'
            f'<text x="80" y="87">{done}</text><text class="of" x="80" y="107">of {of} modules</text></svg>')


def _arc(k: int, of: int, gap: float) -> str:
    """The k-th of so many arcs, clockwise from the top."""
    begin, end = 2 * pi * k / of + gap / 2, 2 * pi * (k + 1) / of - gap / 2 - (1e-3 if of == 1 else 0)
    (x0, y0), (x1, y1) = ((80 + 70 * sin(a), 80 - 70 * cos(a)) for a in (begin, end))
    return f"M{x0:.2f} {y0:.2f}A70 70 0 {int(end - begin > pi)} 1 {x1:.2f} {y1:.2f}"


def _figures(found: Overview) -> str:
    passed, of = sum(m.state == "passed" for m in found.milestones), len(found.milestones)
    rows = [(number(found.points), f"of {number(found.max_points)} points"), *([(passed, f"of {of} milestones")] if of else [])]
    return '<ul class="figures" role="list">' + "".join(f"<li><b>{value}</b> {words}</li>" for value, words in rows) + "</ul>"


def _next(found: Overview) -> str:
    """What comes next, or that all is done."""
    ready = next((m for m in found.milestones if f"{m.number} {m.name}" == found.milestone), None)
    if found.current:
        return _box("next", "Next", f"{found.current.number:02d} {found.current.title}", found.current.about, found.next)
    if ready:
        return _box("next", "Next", f"Milestone {ready.number}: {ready.title}", "", found.next)
    return _box("next done", "Done", f"All {found.done} modules are complete", "", "") if found.done else ""


def _box(kind: str, over: str, title: str, about: str, command: str) -> str:
    quoted = f'<p class="about">{escape(about)}</p>' if about else ""
    typed = f'<p class="soft"><code>{escape(command)}</code></p>' if command else ""
    return f'<div class="{kind}"><p class="soft">{over}</p><h2>{escape(title)}</h2>{quoted}{typed}</div>'


def _tile(line: ModuleLine, milestones: tuple[MilestoneLine, ...]) -> str:
    kind = KINDS[line.state]
    told = f"{number(line.points)} of {number(line.max_points)} points" if kind == "done" else \
        f"{line.tested.passed} of {line.tested.of} checks" if line.tested and kind == "now" else f"{number(line.max_points)} points"
    word = WORDS[line.state] + (", edited since" if line.changed else "")
    years = ", ".join(str(m.year) for m in milestones if m.needs and m.needs[-1] == line.number)
    opens = f'<p class="opens">opens <b>{years}</b></p>' if years else ""
    return (f'<li class="tile {kind}"><span class="number">{line.number:02d}</span>{_mark(kind)}<h3>{escape(line.title)}</h3>'
            f'{opens}<p class="state"><b>{word}</b><br>{told}</p></li>')


def _mark(kind: str) -> str:
    """A shape for each state, beside the word for it."""
    return f'<svg class="mark" viewBox="0 0 20 20" aria-hidden="true">{MARKS[kind]}</svg>'


def _milestones(found: Overview) -> str:
    if not found.milestones:
        return ""
    items = "\n".join(_milestone(m, found.modules) for m in found.milestones)
    return f'<section>\n<h2>Milestones on the way</h2>\n<ol class="way" role="list">\n{items}\n</ol>\n</section>'


def _milestone(line: MilestoneLine, modules: tuple[ModuleLine, ...]) -> str:
    kind = {"passed": "done", "ready": "now"}.get(line.state, "ahead")
    away = f"{len(line.missing)} module{'s' if len(line.missing) > 1 else ''} away" if line.missing else "not in this course"
    stands = f"passed on {_day(line.passed.when)}" if line.passed else "ready to run" if line.state == "ready" else away
    needs = f"after module{'s' if len(line.needs) > 1 else ''} {spans(line.needs).replace('-', '–')}" if line.needs else "at any time"
    bars = line.passed.bars if line.passed else ()
    shown = bars if len(bars) <= BARS else (*bars[:BARS - 1], f"and {len(bars) - BARS + 1} more")
    reached = "".join(f"<li>{escape(bar)}</li>" for bar in shown)
    listed = f'<ul class="reached">{reached}</ul>' if reached else ""
    title = line.title[:1].upper() + line.title[1:]
    stood = f'<p class="soft"><b class="whole">{stands}</b> <span class="whole">{needs}</span></p>'
    return (f'<li class="{line.state}"><span class="year">{line.year}</span>{_mark(kind)}<div><h3>{escape(title)}</h3>'
            f'{_steps(line, modules)}</div><div class="stands">{stood}{listed}</div></li>')


def _steps(line: MilestoneLine, modules: tuple[ModuleLine, ...]) -> str:
    """The modules in a row: a full square for one that is needed and there, an open one where it is missing, a dot for the rest."""
    squares = []
    for k, m in enumerate(modules):
        x = 11 * k
        if m.number not in line.needs:
            squares.append(f'<circle class="faint" cx="{x + 5}" cy="5" r=".75"/>')
        elif m.number in line.missing:
            squares.append(f'<rect class="faint" x="{x + .75}" y=".75" width="8.5" height="8.5" rx="1"/>')
        else:
            squares.append(f'<rect class="solid" x="{x}" y="0" width="10" height="10" rx="1.5"/>')
    width = 11 * len(modules)
    return f'<svg class="steps" width="{width}" height="10" viewBox="0 0 {width} 10" aria-hidden="true">{"".join(squares)}</svg>'
