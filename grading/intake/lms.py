"""Who handed in what, told from names: those that Canvas, Moodle, nbgrader and `tito submit` give, and plain ones."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import permutations

from grading.term import STUDENT_ID, Student, Term
from tito.course import Module

# Canvas: name_[LATE_]user_file_name, the user's name without spaces in small letters, last name first; without names: anon_user_file_name
CANVAS = re.compile(r"(?:(?P<name>\w+?)_)??(?:(?P<late>LATE)_)?(?P<user>\d+|anon_[^\W_]+)_\d{3,}_(?P<file>.+)", re.DOTALL)
# Moodle: "Full Name_participant_assignsubmission_file[_]" as a folder, or in front of the file's name
MOODLE = re.compile(r"(?P<name>.+)_(?P<user>\d+)_assignsubmission_file(?:_(?P<file>.*))?", re.DOTALL)
# What browsers, Canvas and Jupyter add to the name of a file that is there already
AGAIN = re.compile(r"(?P<stem>.+?)(?:-(?P<again>\d{1,3})| ?\((?P<browser>\d{1,3})\)|(?P<copy>[- ]Copy\d*))+", re.DOTALL | re.IGNORECASE)
USE = re.compile(rb"notebook\.use\(\s*(\d{1,2})\s*\)")
GRADE_ID = re.compile(rb'"grade_id"\s*:\s*"([^"\\]+)"')
LMS = ("canvas", "moodle")
FULL_NAME = 5                           # more words than that are not tried in every order


@dataclass(frozen=True)
class Name:
    """What may be a student's name, and which part of the path says so: -1 stands for what is outside of it."""

    text: str
    at: int


@dataclass(frozen=True)
class Named:
    """What a path says."""

    names: tuple[Name, ...]             # that may be the student's, the outermost first: what stands inside, the student may have named
    best: Name | None                   # what the layout calls the student
    stem: str                           # the notebook's name, without what was added to it: "tensor_dev"
    layout: str                         # canvas, moodle, nbgrader, or plain
    module: Module | None = None
    late: bool | None = None            # Canvas's mark; None where nobody marks
    attempt: int = 0                    # which of several with one name
    copy: bool = False                  # Jupyter's copy of a notebook


def read(parts: tuple[str, ...], modules: Sequence[Module], outer: str = "") -> Named:
    """What the path of a notebook says; `outer` is the name of the archive or folder that it starts in."""
    stem = _stem(parts[-1])
    folders = [Name(part, at) for at, part in enumerate(parts[:-1]) if not by_name(part, modules)[0]]
    for at, part in enumerate((outer, *parts[:-1], stem), -1):
        found = CANVAS.fullmatch(part) or MOODLE.fullmatch(part)
        if found and (found["name"] or found["user"].startswith("anon_")):
            own = found["file"] if at == len(parts) - 1 and found["file"] else stem
            return _from_lms(found, at, own, [f for f in folders if f.at < at], modules)
    plain, attempt, copy = _plain(stem)
    module, person = by_name(plain, modules)
    assigned = next((at for at in range(len(parts) - 2, 0, -1) if _assignment(parts[at], modules)), 0)
    if assigned:
        module = module or _assignment(parts[assigned], modules)
        return Named(tuple(folders), Name(parts[assigned - 1], assigned - 1), plain, "nbgrader", module, None, attempt, copy)
    file = len(parts) - 1
    if module:
        rest = [Name(person, file)] if person else []
        return Named((*folders, *rest), next(iter(rest or folders[-1:]), None), plain, "plain", module, None, attempt, copy)
    rest = [Name(stem, file), *([Name(plain, file)] if plain != stem else [])]
    return Named((*folders, *rest), (folders[-1:] or rest)[0], plain, "plain", None, None, attempt, copy)


def _from_lms(found: re.Match[str], at: int, stem: str, above: list[Name], modules: Sequence[Module]) -> Named:
    plain, attempt, copy = _plain(stem)
    canvas = found.re is CANVAS
    best = Name(found["name"] or found["user"].replace("_", " "), at)
    return Named((*above, Name(f"{best.text} {found['user']}", at), best), best, plain, "canvas" if canvas else "moodle",
                 by_name(plain, modules)[0], found["late"] is not None if canvas else None, attempt, copy)


def _assignment(folder: str, modules: Sequence[Module]) -> Module | None:
    return next((m for m in modules if m.folder.name == folder), None)


def _stem(file: str) -> str:
    return file.rpartition(".")[0] or file


def _plain(stem: str) -> tuple[str, int, bool]:
    """A notebook's name without what was added to it, which attempt that tells of, and whether it is a copy."""
    if not (found := AGAIN.fullmatch(stem)):
        return stem, 0, False
    return found["stem"], int(found["again"] or found["browser"] or 0), found["copy"] is not None


def by_name(stem: str, modules: Sequence[Module]) -> tuple[Module | None, str]:
    """The module that a notebook's name ends with (tensor_dev, 01_tensor, ben_01_tensor_dev), and what stands before it."""
    for module in sorted(modules, key=lambda m: -len(m.name)):
        name = re.escape(module.name)
        forms = rf"{module.number:02d}_{name}(?:_dev)?|{name}_dev"
        if found := re.fullmatch(rf"(?:(?P<who>.+?)[-_. ])?(?:{forms})|{name}", stem, re.DOTALL | re.IGNORECASE):
            return module, found["who"] or ""
    return None, ""


class Cells:
    """Tells a module by a notebook's cells, though it may be too damaged to be read."""

    def __init__(self, term: Term):
        self.term = term

    @cached_property
    def ids(self) -> dict[Module, set[str]]:
        """The grade_ids of every assignment."""
        from grading.assignment import Assignment
        return {m: {c.grade_id for c in Assignment.current(self.term, m).document.cells if c.grade_id} for m in self.term.modules()}

    def module(self, content: bytes) -> Module | None:
        """By its first cell, else by its graded ones."""
        numbers = {int(n) for n in USE.findall(content)}
        if len(numbers) == 1:
            return next((m for m in self.term.course.modules if m.number in numbers), None)
        if not (found := {text.decode("utf-8", "replace") for text in GRADE_ID.findall(content)}):
            return None
        best = max((len(found & ids) for ids in self.ids.values()), default=0)
        winners = [m for m, ids in self.ids.items() if len(found & ids) == best > 0]
        return winners[0] if len(winners) == 1 else None


@dataclass(frozen=True)
class Match:
    """The student that a path names, or why there is none."""

    student: str = ""
    at: int = -1
    reason: str = ""
    fix: str = ""


class Roster:
    """The students of a term, found by id, address, alias or name; the first two literally, the others whatever their accents and order."""

    def __init__(self, students: Mapping[str, Student]):
        self.students = students
        self.tiers: list[dict[str, set[str]]] = [{}, {}, {}, {}]
        for one in students.values():
            for tier, keys in zip(self.tiers, ([literal(one.id)], [literal(one.email)], map(normal, one.aliases),
                                               [*orders(one.name), normal(one.id)]), strict=True):
                for key in filter(None, keys):
                    tier.setdefault(key, set()).add(one.id)

    def find(self, names: Iterable[Name], best: Name | None) -> Match:
        """The student whom the first of the names that means somebody means.  With no students.csv to ask, the best name is the id."""
        if best is None:
            return Match(reason="its name does not say whose it is", fix="say it with: --student ID")
        if not self.students:
            return self._unlisted(best)
        for name in names:
            hits = self._hits(name.text)
            if len(hits) == 1:
                return Match(next(iter(hits)), name.at)
            if hits:
                return Match(reason=f"'{name.text}' may be {' or '.join(sorted(hits))}", fix=self._alias(name.text))
        return Match(reason=f"nobody in students.csv is '{best.text}'", fix=self._alias(best.text))

    def _hits(self, text: str) -> set[str]:
        for tier, keys in zip(self.tiers, ((literal(text),), (literal(text),), (normal(text),), orders(text)), strict=True):
            hits = set().union(*(tier.get(key, set()) for key in keys if key))
            if hits:
                return hits
        return set()

    def _unlisted(self, name: Name) -> Match:
        text = re.sub(r"\s+", ".", unicodedata.normalize("NFC", name.text).strip())
        if STUDENT_ID.fullmatch(text):
            return Match(text, name.at)
        return Match(reason=f"'{name.text}' cannot be a student's id", fix="list the students in students.csv, or give --student ID")

    def _alias(self, text: str) -> str:
        return f"write '{text}' into the column aliases of students.csv, in the student's line"


def literal(text: str) -> str:
    return unicodedata.normalize("NFC", text.strip()).casefold()


def normal(text: str) -> str:
    """Letters and digits alone, in small letters, without accents."""
    bare = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in unicodedata.normalize("NFKD", bare.casefold()) if c.isalnum())


def orders(name: str) -> Iterator[str]:
    """A name's words in every order, as one word: Canvas writes müllerben, Moodle Ben Müller."""
    words = [word for part in re.split(r"[\s,_.]+", name) if (word := normal(part))]
    if len(words) > FULL_NAME:
        yield "".join(words)
        yield "".join([*words[-1:], *words[:-1]])
    else:
        yield from {"".join(order) for order in permutations(words)}
