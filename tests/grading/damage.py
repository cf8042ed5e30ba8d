"""A corpus of damaged notebooks, made from any released notebook and the work in it: one damage, or two on top of each other."""

from __future__ import annotations

import ast
import copy
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from tests.grading.damage_cells import CELLS, LAST
from tests.grading.damage_files import FILES, NOTHING
from tests.grading.damage_work import Notebook, NotHere, Work, marks, sort, text
from tito.export import SOLUTION_MARK
from tito.repair.piece import plain

SAFE = ["json", "with_bom", "utf16", "windows_lines", "compact"]
SPLIT = {"answers_split", "answer_in_pieces"}
MOVED = {"upside_down", "shuffled", "answer_at_the_end", "answers_at_the_end"}
# Pairs that destroy what each leaves: the order of a split answer's parts.
CLASHES = [(SPLIT, MOVED)]


@dataclass(frozen=True)
class Case:
    """One damaged notebook; `lost` are the answers in code (grade_ids) that it truly destroys: all others are worth what they were."""

    name: str
    content: bytes
    lost: frozenset[str] = frozenset()


def answered(released: Notebook, solved: Notebook) -> Notebook:
    """The released notebook with the reference's answers, as a student has it who is right."""
    answers = {marks(c)["grade_id"]: text(c) for c in solved["cells"] if marks(c).get("solution")}
    work = copy.deepcopy(released)
    for cell in work["cells"]:
        cell["source"] = text(cell)
        if marks(cell).get("solution"):
            cell["source"] = SOLUTION_MARK.sub("", answers[marks(cell)["grade_id"]]).rstrip("\n")
    return work


def corpus(released: Notebook, work: Notebook, *, pairs: int = 60, seed: int = 0) -> list[Case]:
    """Every damage to `work` that fits it, and pairs of damages to cells, each written to one of the kinds of file that lose nothing."""
    cases = [case for name in CELLS for case in _case(released, work, (name,), "json", seed)]
    cases += [case for name in FILES for case in _case(released, work, (), name, seed)]
    cases += [Case(name, content, frozenset(_answers(released))) for name, content in NOTHING.items()]
    chance, wanted = random.Random(seed), len(cases) + pairs
    while len(cases) < wanted:
        first, second = chance.sample(sorted(CELLS), 2)
        kind = chance.choice(SAFE if second in LAST else [*SAFE, "format_3", "format_4_0"])
        if first not in LAST and not _clash(first, second):
            cases += _case(released, work, (first, second), kind, chance.randrange(1000))
    return cases


def _clash(first: str, second: str) -> bool:
    """Whether two damages together destroy more than is known of each."""
    return any(first in a and second in b or first in b and second in a for a, b in CLASHES)


def _case(released: Notebook, work: Notebook, names: tuple[str, ...], kind: str, seed: int) -> Iterator[Case]:
    damaged = Work(work, released, seed)
    try:
        for name in names:
            CELLS[name](damaged)
        content, lost = FILES[kind](damaged.notebook)
    except NotHere:
        return
    answers = _answers(released)
    yield Case(" + ".join([*names, *([kind] if kind != "json" or not names else [])]), content,
               frozenset(damaged.lost | (answers & lost)))


def _answers(released: Notebook) -> set[str]:
    return {marks(c)["grade_id"] for c in released["cells"] if sort(c) == "answer"}


def meaning(notebook: Notebook) -> dict[str, dict[str, str]]:
    """Per check the last definition of every name in the code above it: what two notebooks must share to be worth the same."""
    found: dict[str, dict[str, str]] = {}
    known: dict[str, str] = {}
    for cell in notebook["cells"]:
        if sort(cell) == "check":
            found[marks(cell)["grade_id"]] = dict(known) | {"the check": text(cell)}
        elif cell["cell_type"] == "code" and sort(cell) != "written" and "analysis" not in cell["metadata"].get("tags", ()):
            known = known | _definitions(text(cell))
    return found


@lru_cache(maxsize=4096)
def _definitions(source: str) -> dict[str, str]:
    try:
        tree = ast.parse("\n".join("" if line.startswith(("%", "!")) else line for line in plain(source).split("\n")))
    except SyntaxError:
        return {}
    found = {}
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found[node.name if node.name != "_" else ast.unparse(node.decorator_list[0])] = ast.unparse(node)
        elif isinstance(node, ast.Assign):
            found[ast.unparse(node.targets[0])] = ast.unparse(node.value)
    return found
