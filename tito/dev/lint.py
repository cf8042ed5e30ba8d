"""What a module's source must keep to: the tools' silent traps, and the course's own rules, each with a line and a mend."""

from __future__ import annotations

import ast
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tito.course import Course, Module
from tito.dev.page import MAGIC, Page, Placed, read_page
from tito.dev.source import CELL_ID, solution_blocks
from tito.ladder.stubs import is_text

EXPORT_LINES, LARGE_EXPORT_LINES, ALL_LINES = 150, 300, 900
LARGE = {1, 5, 8, 9, 15, 16, 17, 18, 20}            # modules of which much is asked
POINTS = (60, 100)
DIRECTIVE = re.compile(r"^\s*#\s*\|\s*(default_exp|view|export\w*)\b[ \t]*(\S*)")
CLOCK = re.compile(r"(timeit|tracemalloc)\.|(time\.)?(perf_counter|process_time|monotonic)(_ns)?$")
STUB = "raise NotImplementedError()"

Found = tuple[int, str, str]                        # line, what is wrong, how to mend it


@dataclass(frozen=True, order=True)
class Problem:
    """One thing to mend, where it is and how."""

    path: Path
    line: int                   # of the .py source, from 1
    message: str
    fix: str
    warning: bool = False       # advice: does not fail the lint

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {'warning: ' if self.warning else ''}{self.message}; {self.fix}"


def lint(course: Course, module: Module) -> list[Problem]:
    """All problems of one module's source, by line."""
    from tito.dev import lint_names, lint_probes
    page = read_page(course, module)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")         # `syntax` listens for itself
        problems = [Problem(module.source, *found) for rule in (*RULES, *lint_names.RULES, *lint_probes.RULES)
                    for found in rule(page)]
    problems += [Problem(module.source, *found, warning=True) for found in sizes(page)]
    return sorted(set(problems))


# ---- what goes to the package ------------------------------------------------------------------

def targets(page: Page) -> Iterator[Found]:
    """One `#| default_exp`; directives where nbdev sees them, spelled as tito reads them."""
    named = []
    for placed in page.code:
        leading = True
        for offset, text in enumerate(placed.cell.source.split("\n")):
            found = DIRECTIVE.match(text)
            leading = leading and (found is not None or not text.strip())
            if found is None:
                continue
            line = placed.line + offset
            if found[1] == "default_exp":
                named.append((line, found[2]))
            if found[1].startswith("export"):
                if text.rstrip() != "#| export":
                    yield line, f"`{text.strip()}` is not understood", "write just `#| export`"
                elif offset:
                    yield line, "`#| export` is not the first line of its cell, and may be dropped", "move it to the cell's first line"
            elif not leading:
                yield line, f"`{text.strip()}` stands below code, where it is dropped", "move it to the top of its cell"
            elif not text.startswith("#| "):
                yield line, f"`{text.strip()}` is not understood", f"write it at the line's start as `#| {found[1]} …`"
    if not named:
        yield 1, "no `#| default_exp`: nothing says where the module exports to", "add a cell `#| default_exp core.name`"
    for line, name in named[1:]:
        yield line, f"a second `#| default_exp {name}`: nbdev takes the last one, silently", "keep one"
    for line, name in named:
        if not re.fullmatch(r"[a-z_]\w*(\.[a-z_]\w*)+", name):
            yield line, f"`{name}` is not a module in a package", "write for example `#| default_exp core.tensor`"


def syntax(page: Page) -> Iterator[Found]:
    """Every cell is Python; magics only where nothing is exported."""
    for placed in page.code:
        magic = MAGIC.search(placed.cell.source)
        if magic and not placed.cell.exported:
            continue
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                compile(placed.cell.source, str(page.module.source), "exec", dont_inherit=True)
        except SyntaxError as err:
            where = "an exported" if placed.cell.exported else "a"
            yield placed.line + (err.lineno or 1) - 1, f"{err.msg} in {where} cell", \
                "move the magic to a cell that is not exported" if magic else "mend the syntax"
            continue
        for warning in caught:
            yield placed.line + warning.lineno - 1, str(warning.message), "write a raw string, or mend what Python warns of"


def definitions(page: Page) -> Iterator[Found]:
    """No class or function of the package replaces an earlier one."""
    seen: dict[str, int] = {}
    for placed in page.exported:
        for node in placed.tree.body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.name != "_":
                if node.name in seen:
                    yield placed.at(node), f"a second `{node.name}` silently replaces the one in line {seen[node.name]}", \
                        "attach methods by assignment (`Tensor.sum = sum`), or give it its own name"
                seen.setdefault(node.name, placed.at(node))


# ---- the notebook ------------------------------------------------------------------------------

def first_cell(page: Page) -> Iterator[Found]:
    """The first code cell is locked and calls `tito.notebook.use` with the module's own number."""
    if not page.code:
        yield 1, "there is no code cell", "begin with a locked cell that calls tito.notebook.use(NN)"
        return
    first, number = page.code[0], page.module.number
    calls = [node for node in ast.walk(first.tree) if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "use"]
    if not first.marks.get("locked") or not calls or "tito" not in first.cell.source:
        yield first.line, "the first code cell must be the locked one that calls `tito.notebook.use`", \
            f"begin with a locked cell: from tito import notebook; notebook.use({number})"
    for call in calls:
        if [ast.unparse(arg) for arg in call.args] != [str(number)]:
            yield first.at(call), f"`{ast.unparse(call)}` is not this folder's number", f"write use({number})"


def metadata(page: Page) -> Iterator[Found]:
    """nbgrader's metadata are complete, and say one of the four things that a cell can be."""
    ids = Counter(p.cell.grade_id for p in page.cells if p.marks)
    for placed in page.cells:
        marks, cell, line = placed.marks, placed.cell, placed.line
        if not marks:
            continue
        missing = [key for key in ("grade", "grade_id", "locked", "schema_version", "solution", "task") if key not in marks]
        if missing:
            yield line, f"nbgrader metadata without {', '.join(missing)}", "complete them: see any graded cell of module 01"
        if marks.get("schema_version", 3) != 3 or marks.get("task"):
            yield line, "nbgrader metadata of another kind", "use \"schema_version\": 3 and \"task\": false"
        if not CELL_ID.fullmatch(cell.grade_id):
            yield line, f"grade_id `{cell.grade_id}` is not a name", "use letters, digits, - and _, at most 64"
        elif ids[cell.grade_id] > 1:
            yield line, f"grade_id `{cell.grade_id}` stands {ids[cell.grade_id]} times", "give each cell its own"
        if cell.grade and not (isinstance(marks.get("points"), int | float) and cell.points > 0):
            yield line, f"graded cell `{cell.grade_id}` without points", "add \"points\": a number above 0"
        if cell.solution and (cell.locked or cell.kind == "code" and cell.grade):
            yield line, f"solution cell `{cell.grade_id}` is locked or graded", \
                "a code solution has solution true, grade and locked false; its points belong to the test cell"
        if cell.solution and cell.kind == "markdown" and not cell.grade:
            yield line, f"written answer `{cell.grade_id}` without points", "a written question is a markdown cell, solution and grade true"
        if cell.grade and not cell.solution and (not cell.locked or cell.kind != "code"):
            yield line, f"test cell `{cell.grade_id}` is not a locked code cell", "set \"locked\": true"


def solutions(page: Page) -> Iterator[Found]:
    """Solutions are well marked, and what is left of them for the student parses and is explained."""
    for placed in page.cells:
        cell = placed.cell
        try:
            blocks = solution_blocks(cell.source)
        except ValueError as err:
            yield placed.line, str(err), "write ### BEGIN SOLUTION and ### END SOLUTION in pairs"
            continue
        if blocks and not cell.solution:
            yield placed.line + blocks[0][0], "a solution in a cell that is not a solution cell", "say \"solution\": true in its metadata"
        if cell.solution and cell.kind == "code":
            if not blocks:
                yield placed.line, f"solution cell `{cell.grade_id}` without BEGIN SOLUTION", "mark what the student writes"
            yield from _left_to_student(placed, blocks)
        if cell.kind == "markdown" and (heading := re.search(r"^#+\s.*\b(BEGIN|END) SOLUTION", cell.source, re.MULTILINE)):
            line = placed.line + cell.source[:heading.start()].count("\n")
            yield line, "in markdown this marker is a heading", f"write <!-- {heading[1]} SOLUTION -->"


def _left_to_student(placed: Placed, blocks: list[tuple[int, int]]) -> Iterator[Found]:
    """The stub: every block replaced as nbgrader does it, line numbers kept."""
    lines = placed.cell.source.split("\n")
    for begin, end in blocks:
        indent = re.match(r"\s*", lines[begin])
        lines[begin:end + 1] = [(indent[0] if indent else "") + STUB, *[""] * (end - begin)]
    try:
        tree = ast.parse("\n".join(lines))
    except SyntaxError as err:
        yield placed.line + (err.lineno or 1) - 1, f"what is left for the student is not Python: {err.msg}", "widen or narrow the solution"
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and not ast.get_docstring(node):
            if any(node.lineno <= begin + 1 <= (node.end_lineno or 0) for begin, _ in blocks) and not _inner(node, tree):
                yield placed.at(node), f"`{node.name}` is left to the student without a docstring", "say what it must do"


def _inner(function: ast.FunctionDef, tree: ast.Module) -> bool:
    """A function within a function: the outer one's docstring explains it."""
    outer = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n is not function]
    return any(function in ast.walk(n) for n in outer)


def tests(page: Page) -> Iterator[Found]:
    """A test cell is one explained function that it calls at its end."""
    for placed in page.code:
        if not placed.cell.test:
            continue
        cell, line, body = placed.cell, placed.line, placed.tree.body
        functions = [node for node in body if isinstance(node, ast.FunctionDef)]
        if not cell.grade_id.startswith("test-"):
            yield line, f"test cell named `{cell.grade_id}`", "let its grade_id begin with test-"
        if cell.exported:
            yield line, "a test cell is exported", "remove `#| export`"
        if len(functions) != 1 or not re.fullmatch(r"test_unit_\w+|test_module", functions[0].name):
            yield line, "a test cell defines exactly one function, test_unit_<what> or test_module", "rename it, or split the cell"
            continue
        if not ast.get_docstring(functions[0]):
            yield placed.at(functions[0]), f"`{functions[0].name}` has no docstring", "write the sentence that the student reads"
        if ast.unparse(body[-1]) != f"{functions[0].name}()":
            yield placed.at(body[-1]), f"the cell does not end by calling `{functions[0].name}()`", "call it in the last line"


def measuring(page: Page) -> Iterator[Found]:
    """What a measurement takes is not the student's doing: a cell that only measures is not run by tests and grading."""
    clocks = {node.name for placed in page.code for node in placed.tree.body
              if isinstance(node, ast.FunctionDef) and not placed.cell.exported and _first_clock([node], set())}
    for placed in page.code:
        if placed.cell.analysis or placed.cell.test or placed.cell.exported:
            continue
        done = [node for node in placed.tree.body if not isinstance(node, ast.FunctionDef | ast.ClassDef)]
        if call := _first_clock(done, clocks):
            yield placed.at(call), f"`{ast.unparse(call.func)}` measures, in a cell that is not tagged analysis", \
                'write # %% tags=["analysis"]'


def _first_clock(nodes: list[ast.stmt], clocks: set[str]) -> ast.Call | None:
    """The first call of a clock, or of a function that has one."""
    calls = [call for node in nodes for call in ast.walk(node) if isinstance(call, ast.Call)]
    return next((call for call in calls if CLOCK.match(ast.unparse(call.func)) or ast.unparse(call.func) in clocks), None)


def points(page: Page) -> Iterator[Found]:
    """The module's points lie between the bounds."""
    total = sum(p.cell.points for p in page.cells if p.cell.grade)
    if not POINTS[0] <= total <= POINTS[1]:
        yield 1, f"the module is worth {total:g} points", f"a module is worth {POINTS[0]} to {POINTS[1]}"


# ---- advice ------------------------------------------------------------------------------------

def sizes(page: Page) -> Iterator[Found]:
    """A module is small enough to be read."""
    most = LARGE_EXPORT_LINES if page.module.number in LARGE else EXPORT_LINES
    count = sum(code_lines(placed.tree) for placed in page.exported)
    if count > most:
        yield 1, f"{count} exported lines of code", f"say it in {most}"
    if (count := len(page.text.splitlines())) > ALL_LINES:
        yield 1, f"{count} lines in all", f"say it in {ALL_LINES}"


def code_lines(tree: ast.Module) -> int:
    """Lines that do something: without docstrings, imports, blanks and comments."""
    lines: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt) and not isinstance(node, ast.Import | ast.ImportFrom) and not is_text(node):
            inner = [n for n in ast.walk(node) if isinstance(n, ast.stmt) and n is not node]
            end = min((n.lineno for n in inner), default=(node.end_lineno or node.lineno) + 1)
            lines.update(range(node.lineno, max(end, node.lineno + 1)))
            lines.update(d.lineno for d in getattr(node, "decorator_list", []))
    return len(lines)


RULES: tuple[Callable[[Page], Iterator[Found]], ...] = (
    targets, syntax, definitions, first_cell, metadata, solutions, tests, measuring, points)
