"""How grading speaks to people: names of modules, times, numbers, cards, and pages from the templates in `pages/`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, tzinfo
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grading.book.rules import MISSING, Score
from grading.run.judge import HIDDEN
from tito.check.row import Row
from tito.cli.results import number
from tito.course import Course

if TYPE_CHECKING:
    from jinja2 import Environment

PAGES = Path(__file__).parent / "pages"
WIDTH = 80                  # of a card, as in a terminal
ILLEGIBLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def labels(course: Course, numbers: Iterable[int]) -> dict[int, str]:
    """ "01 tensor" of these modules, in order; the bare number of one that the course no longer has."""
    known = {module.number: module.label for module in course.modules}
    return {n: known.get(n, f"{n:02d}") for n in sorted(set(numbers))}


def folder(label: str) -> str:
    """ "01_tensor", as nbgrader's folders are called. """
    return label.replace(" ", "_")


def exact(value: float) -> float | int:
    """To four digits after the point: what lies beyond them comes from the arithmetic, not from a person."""
    return number(round(value, 4))


def count(n: int, noun: str, nouns: str = "") -> str:
    """ "1 day", "2 days". """
    return f"{n} {noun if n == 1 else nouns or noun + 's'}"


def when(moment: datetime | None, zone: tzinfo) -> str:
    """A time on the course's clock, with its zone."""
    return moment.astimezone(zone).strftime("%Y-%m-%d %H:%M %Z") if moment else ""


def summary(score: Score) -> str:
    """How a score came about, in a sentence."""
    if score.state == MISSING:
        return "nothing was handed in"
    said = f"{exact(score.points)} of {exact(score.max_points)} points"
    said += f" and {exact(score.extra)} extra" if score.extra else ""
    if score.late_days:
        said += f"; {count(score.late_days, 'day')} late: {exact(100 * score.share)} % of that counts"
    return said


def card_of(row: Row) -> str:
    """The card as the terminal shows it, without the values of a hidden check.  Empty for infra: "0 points" would not be true."""
    if row.state == "infra":
        return ""
    hidden = row.check == HIDDEN
    return "\n".join((replace(row, call="", expected="", got="", first="", at="", line=0) if hidden else row).card(WIDTH))


def legible(value: Any) -> Any:
    """A text without control characters and halves of characters, which no file can hold; anything else as it is."""
    return ILLEGIBLE.sub("\ufffd", value) if type(value) is str else value


def page(template: str, **values: Any) -> bytes:
    """A page from its template: every value escaped, every name known."""
    text: str = _environment().get_template(template).render(values)
    return (text.strip() + "\n").encode()


@lru_cache(maxsize=1)
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    environment = Environment(loader=FileSystemLoader(PAGES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
                              lstrip_blocks=True, finalize=legible)
    environment.filters |= {"exact": exact, "percent": percent, "names": names}
    environment.globals |= {"count": count}
    return environment


def percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def names(students: Sequence[str]) -> str:
    return ", ".join(students)
