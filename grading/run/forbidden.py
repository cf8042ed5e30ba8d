"""What an answer is not to be done with: read from its code, apart from any run.

No list of names is complete: where it matters, a probe hands in things that count or refuse.  This finds the means that the task names,
and the ways by which such names are hidden, in whatever cell they stand.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator

from tito.cells import Cell, Document
from tito.check.names import bound, defined
from tito.check.names import used as uses
from tito.check.probing import Ban

# By these a name can be hidden: as names of their own or imported, and as attributes.
DYNAMIC = {"eval", "exec", "compile", "__import__", "globals", "locals", "vars", "builtins", "__builtins__", "importlib", "ctypes",
           "pickle", "pkgutil", "inspect"}
HIDDEN = {"__dict__", "__getattribute__", "__globals__", "__subclasses__", "__func__", "attrgetter", "methodcaller", "import_module"}
OPERATORS = {"@": (ast.MatMult, {"__matmul__", "__rmatmul__", "__imatmul__"})}
MAGIC = re.compile(r"^([ \t]*)((?:[%!?]|\w[\w, ]*=\s*[%!]).*)$", re.MULTILINE)


def used(document: Document, ban: Ban, reference: Document) -> str:
    """The first forbidden means in the answer to a test, or way to hide one.  Empty where there is none.

    `reference`: the notebook with the right answers, which says what that answer defines, and which cells were given.
    """
    given = [cell.source for cell in reference.code if not cell.solution]
    statements = {ast.dump(node) for source in given for node in _body(source)}
    own = [c for c in document.code if not (c.test or c.manual or c.analysis or c.source in given or _pieces(c.source, statements))]
    star = any(re.search(r"^\s*from\s+\S+\s+import\s+\*", cell.source, re.MULTILINE) for cell in own)
    return next((found for cell in _answer(own, _asked(reference, ban)) for found in _means(cell, ban.means, star)), "")


def _body(source: str) -> list[ast.stmt]:
    tree, _ = _parsed(source)
    return tree.body if tree else []


def _pieces(source: str, given: set[str]) -> bool:
    """Whether a cell holds nothing but statements that were given: a part of a given cell that was split."""
    tree, magics = _parsed(source)
    try:
        return tree is not None and not magics and all(ast.dump(node) in given for node in tree.body)
    except RecursionError:                      # nested more deeply than anything that was given
        return False


def _asked(reference: Document, ban: Ban) -> set[str]:
    """What the answer to the test is to define: the names of the last solution before it."""
    test = next((c for c in reference.tests if c.grade_id == ban.grade_id), None)
    before = [c for c in reference.code if test and c.solution and not c.grade and c.index < test.index]
    return defined(before[-1].source) if before else set()


def _answer(own: list[Cell], names: set[str]) -> list[Cell]:
    """Every cell that defines one of these names, and what those cells use, however indirectly."""
    found: dict[int, Cell] = {}
    while new := [c for c in own if c.index not in found and names & bound(c.source)]:
        found |= {c.index: c for c in new}
        names = names | {name for c in new for name in uses(c.source) if not name.startswith(".")}
    return [found[i] for i in sorted(found)]


def _means(cell: Cell, means: tuple[str, ...], star: bool) -> Iterator[str]:
    tree, magics = _parsed(cell.source)
    if tree is None:
        yield "code that cannot be read without running it"
        return
    dotted = {m.rpartition(".")[2]: m for m in means if "." in m}
    plain = {m: m for m in means if "." not in m}
    special = {name: sign for sign in plain for name in OPERATORS.get(sign, (None, set()))[1]}
    operators = tuple(OPERATORS[sign][0] for sign in plain if sign in OPERATORS)
    words = {*dotted, *special, *plain, *DYNAMIC, *HIDDEN}
    yield from (name for line in magics for name in re.findall(r"\w+|@", line) if name in words)
    for node in ast.walk(tree):
        if isinstance(node, (ast.BinOp, ast.AugAssign)) and isinstance(node.op, operators):
            yield next(sign for sign in plain if sign in OPERATORS)
        elif isinstance(node, ast.Attribute):
            yield from _named(node.attr, {**dotted, **special}, HIDDEN)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield from _named(node.id, {**plain, **(dotted if star else {})}, DYNAMIC)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [*(getattr(node, "module", "") or "").split("."), *(part for a in node.names for part in a.name.split("."))]
            yield from (found for name in names for found in _named(name, dotted, DYNAMIC | HIDDEN))
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "getattr":
            name = [*node.args, None, None][1]
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                yield from _named(name.value, {**dotted, **special, **plain}, HIDDEN)
            else:
                yield "getattr with a computed name"


def _named(name: str, means: dict[str, str], hidden: set[str]) -> Iterator[str]:
    if name in means:
        yield means[name]
    elif name in hidden:
        yield name


def _parsed(source: str) -> tuple[ast.Module | None, list[str]]:
    """A cell's syntax tree, and the magics that had to be left out of it; None where it cannot be read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for text, magics in ((source, []), (MAGIC.sub(r"\1pass", source), [line for _, line in MAGIC.findall(source)])):
            try:
                return ast.parse(text), magics
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                continue
    return None, []
