"""The rules about names between modules: what may be imported, from where, and who may export what."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterator
from functools import lru_cache

from tito.course import Course, Module
from tito.dev.lint import Found
from tito.dev.page import Page, Placed
from tito.errors import TitoError
from tito.export import VIEW, export_module
from tito.package import RESERVED, Entry, owned, parts, view_of

BASE = sys.stdlib_module_names | {"numpy", "tinytorch"}
TOOLS = {"tito"}                                # in any cell that is not exported
WORD = re.compile(r"`(?:tinytorch\.|tt\.)?([A-Za-z_]\w*)(?:\([^`]*\))?`")        # `relu`, `tt.relu(x)`
PICTURES = {"matplotlib", "IPython"}            # in analysis cells


def course_table(course: Course) -> list[Entry]:
    """What each module exports; those that do not export yet are left out (their own lint says why)."""
    rows = [_entry(course, m, m.source.stat().st_mtime_ns, m.source.stat().st_size) for m in course.modules if m.source.exists()]
    return [row for row in rows if row is not None]


@lru_cache(maxsize=256)
def _entry(course: Course, module: Module, modified: int, size: int) -> Entry | None:
    """`modified` and `size` are there for the cache: a source that changed is read again."""
    try:
        return export_module(course, module)[0]
    except TitoError:
        return None


def libraries(page: Page) -> Iterator[Found]:
    """Cells import what the place they will run in has, and nothing relative."""
    for placed in page.code:
        allowed = BASE if placed.cell.exported else BASE | TOOLS | PICTURES if placed.cell.analysis else BASE | TOOLS
        for node in ast.walk(placed.tree):
            if isinstance(node, ast.ImportFrom) and node.level:
                yield placed.at(node), f"relative import `{ast.unparse(node)}`", "write it in full: from tinytorch.core.tensor import …"
            elif isinstance(node, ast.Import | ast.ImportFrom):
                modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
                for name in modules:
                    if (top := name.partition(".")[0]) not in allowed:
                        yield placed.at(node), f"import of `{top}`", _instead(top, placed)


def _instead(top: str, placed: Placed) -> str:
    if top in PICTURES and not placed.cell.exported:
        return "move it to a cell tagged analysis"
    return "exported cells use numpy and the standard library" if placed.cell.exported else "use what a student edition has"


def later_modules(page: Page) -> Iterator[Found]:
    """No module needs itself or a later one, under whatever name."""
    table = course_table(page.course)
    bound: dict[str, str] = {}                  # local name -> what of tinytorch it stands for
    for placed in page.code:
        for node in ast.walk(placed.tree):
            for dotted, name in _tinytorch_imports(node):
                bound[name] = dotted
            for dotted in _mentions(node, bound):
                number = _number(dotted, table)
                if number is None and isinstance(node, ast.ImportFrom):
                    yield placed.at(node), f"no module exports `{dotted}`", "import a name that an earlier module exports"
                elif number is not None and number >= page.module.number:
                    which = "this module itself" if number == page.module.number else f"the later module {number:02d}"
                    yield placed.at(node), f"`{dotted}` belongs to {which}", \
                        "use what this notebook defines" if number == page.module.number else "a module needs only earlier ones"


def later_words(page: Page) -> Iterator[Found]:
    """No text speaks of a name that only a later module brings, as if the reader knew it."""
    brought_by = {name: entry.number for entry in owned(course_table(page.course)) for name in entry.names}
    own = {name for placed in page.code for node in placed.tree.body for name in _defines(node)}
    for placed in page.cells:
        if placed.cell.kind != "markdown":
            continue
        for found in WORD.finditer(placed.cell.source):
            if brought_by.get(found[1], 0) > page.module.number and found[1] not in own:
                line = placed.line + placed.cell.source[:found.start()].count("\n")
                yield line, f"the text speaks of `{found[1]}`, which the later module {brought_by[found[1]]:02d} brings", \
                    "say it with what is known here"


def _tinytorch_imports(node: ast.AST) -> Iterator[tuple[str, str]]:
    """(what of tinytorch, the name it gets here)."""
    if isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").partition(".")[0] == "tinytorch":
        for alias in node.names:
            yield f"{node.module}.{alias.name}", alias.asname or alias.name
    if isinstance(node, ast.Import):
        for alias in node.names:
            if alias.name.partition(".")[0] == "tinytorch":
                yield (alias.name, alias.asname) if alias.asname else ("tinytorch", "tinytorch")


def _mentions(node: ast.AST, bound: dict[str, str]) -> Iterator[str]:
    """What of tinytorch a node needs, dotted."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if alias.name.startswith("tinytorch."))
    yield from (dotted for dotted, _ in _tinytorch_imports(node) if isinstance(node, ast.ImportFrom))
    if isinstance(node, ast.Attribute) and re.fullmatch(r"\w+(\.\w+)+", text := ast.unparse(node)):
        first, _, rest = text.partition(".")
        if bound.get(first, "").startswith("tinytorch"):
            yield f"{bound[first]}.{rest}"


def _number(dotted: str, table: list[Entry]) -> int | None:
    """The first module that gives `dotted` its meaning; 0 for a package, a view or a helper of the top level; None if nothing does."""
    path = dotted.removeprefix("tinytorch").lstrip(".")
    within, _, last = path.rpartition(".")
    for entry in sorted(table, key=lambda e: e.number):
        if path == entry.path or within == entry.path or path.startswith(entry.path + "."):
            return entry.number
        if last in entry.names and (not within or any(view_of(last, view) == within for view in entry.views)):
            return entry.number
    return 0 if not path or last == "*" or path in RESERVED or path in parts(table) else None


def owners(page: Page) -> Iterator[Found]:
    """A name of the package has one owner; a later module may only pass it on."""
    table = course_table(page.course)
    mine = next((e for e in table if e.number == page.module.number), None)
    if mine is None:
        return
    imported = {name for placed in page.exported for node in ast.walk(placed.tree) for _, name in _tinytorch_imports(node)}
    taken = {*RESERVED, *(part for part in parts(table) if "." not in part)}
    for name in mine.names:
        if name in taken:
            yield _line_of(name, page), f"`{name}` is also what tinytorch calls a part of itself", "rename it, or begin it with _"
        for other in table:
            if other.number < mine.number and name in other.names and (name not in imported or _defined(name, page)):
                yield _line_of(name, page), f"`{name}` is exported by module {other.number:02d} too", \
                    "rename it, begin it with _, or import that one and name it in `_all_`"
    for other in table:
        if other.number < mine.number and other.path == mine.path:
            yield 1, f"tinytorch.{mine.path} is what module {other.number:02d} exports to", "choose another #| default_exp"


def _defined(name: str, page: Page) -> bool:
    return any(name in _defines(node) for placed in page.exported for node in placed.tree.body)


def _line_of(name: str, page: Page) -> int:
    return next((placed.at(node) for placed in page.exported for node in placed.tree.body if name in _defines(node)), 1)


def _defines(node: ast.stmt) -> set[str]:
    """Names that a statement defines at the top of a module (an import passes on, and does not define)."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


def views(page: Page) -> Iterator[Found]:
    """A view is a dotted name, and not the module itself."""
    for placed in page.code:
        for found in VIEW.finditer(placed.cell.source):
            if not re.fullmatch(r"[a-z_]\w*(\.[a-z_]\w*)*", found[1]) or found[1] == page.document.default_exp:
                line = placed.line + placed.cell.source[:found.start()].count("\n")
                yield line, f"`{found[1]}` is not a name for a view", "write for example `#| view nn`"


RULES: tuple[Callable[[Page], Iterator[Found]], ...] = (libraries, later_modules, later_words, owners, views)
