"""Mutants: which slips are made, that nothing but a solution changes, and that every mutant is another program."""

import ast
import warnings
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from tests.modules.shelf import MODULES, each_module, solved
from tito.cells import Cell, Document
from tito.dev.checks.mutate import Mutant, mutants
from tito.dev.checks.splice import ARITHMETIC, Text, splice
from tito.dev.source import solution_blocks

KINDS = {"arithmetic", "comparison", "boolean", "constant", "index", "axis", "keepdims", "sign", "augmented", "drop", "swap", "dtype",
         "twin", "range", "loop", "exception", "name"}


def cell(*lines: str, head: str = "def f(x, y, dim, keepdim=False):", index: int = 0) -> Cell:
    body = ["### BEGIN SOLUTION", *lines, "### END SOLUTION"]
    return Cell(index, "code", "\n".join([head, *(f"    {line}" for line in body)]), "", grade_id="f", solution=True)


def of(*lines: str, seeds: int = 6, head: str = "def f(x, y, dim, keepdim=False):") -> list[Mutant]:
    """The mutants of a small solution, with several seeds: so many make every choice likely."""
    document = Document(Path("f.py"), (cell(*lines, head=head),))
    return [mutant for seed in range(seeds) for mutant in mutants(document, seed)]


def news(found: list[Mutant], operator: str = "") -> set[str]:
    return {m.new for m in found if not operator or m.operator == operator}


@pytest.mark.parametrize(("line", "operator", "expected"), [
    ("return x - y", "arithmetic", "return x + y"),
    ("return x - y", "swap", "return y - x"),
    ("return x - y", "drop", "return x"),
    ("return x - y", "drop", "return y"),
    ("return x @ y", "swap", "return y @ x"),
    ("return (x + y) ** 2", "arithmetic", "return (x * y) ** 2"),
    ("return (x + y) * 2", "drop", "return x * 2"),
    ("return x - y * 2", "arithmetic", "return x - (y + 2)"),
    ("return x - y + dim", "arithmetic", "return (x - y) * dim"),
    ("return x < y", "comparison", "return x <= y"),
    ("return x < y", "comparison", "return x >= y"),
    ("return x == y", "comparison", "return x != y"),
    ("return x in y", "comparison", "return x not in y"),
    ("return x is not y", "comparison", "return x is y"),
    ("return 0 <= x < y", "comparison", "return 0 <= x <= y"),
    ("return x or y", "boolean", "return x and y"),
    ("return x or y", "drop", "return y"),
    ("return not x", "boolean", "return x"),
    ("return x if y else dim", "boolean", "return dim if y else x"),
    ("return x if y else dim", "boolean", "return x if True else dim"),
    ("return x if y else dim", "boolean", "return x if not y else dim"),
    ("return [n for n in x if n]", "boolean", "return [n for n in x if True]"),
    ("return x + 3", "constant", "return x + 4"),
    ("return x + 3", "constant", "return x + 0"),
    ("return x + 3", "constant", "return x + -3"),
    ("return x ** -2", "constant", "return x ** -1"),
    ("return x * 0.5", "constant", "return x * 0.25"),
    ("return g(x, strict=True)", "constant", "return g(x, strict=False)"),
    ("return g(x, scale=2)", "constant", "return g(x, scale=None)"),
    ("return x.shape[0]", "index", "return x.shape[-1]"),
    ("return x.sum(axis=dim)", "axis", "return x.sum(axis=0)"),
    ("return x.sum(axis=dim)", "axis", "return x.sum(axis=-dim)"),
    ("return g(x, dim)", "axis", "return g(x, None)"),
    ("return x.sum(keepdims=True)", "keepdims", "return x.sum(keepdims=False)"),
    ("return x.sum(keepdims=True)", "keepdims", "return x.sum()"),
    ("return x.sum(dim, keepdim)", "keepdims", "return x.sum(dim, not keepdim)"),
    ("return -x", "sign", "return x"),
    ("return g(x)", "sign", "return -g(x)"),
    ("return g(x)", "sign", "return g(-x)"),
    ("return x - y", "sign", "return -(x - y)"),
    ("return x ** y", "sign", "return (-x) ** y"),
    ("x += y", "augmented", "x = y"),
    ("x += y", "augmented", "x -= y"),
    ("x += y", "drop", "pass"),
    ("return x.copy()", "drop", "return x"),
    ("return x.mT @ y", "drop", "return x @ y"),
    ("return np.exp(x)", "drop", "return x"),
    ("return g(x, scale=2)", "drop", "return g(x)"),
    ("x.data[...] = y", "drop", "x.data = y"),
    ("return x[:dim]", "drop", "return x"),
    ("return x, y, dim", "drop", "return x, dim"),
    ("return x, y", "drop", "return y,"),
    ("return (x, y)", "drop", "return (x,)"),
    ("return g(x, y)", "swap", "return g(y, x)"),
    ("return x, y", "swap", "return y, x"),
    ("return x[:dim]", "swap", "return x[dim:]"),
    ("x, y = g(dim)", "swap", "y, x = g(dim)"),
    ("return x.astype(np.float32)", "dtype", "return x.astype(np.float64)"),
    ("return x.astype(np.float32)", "dtype", "return x"),
    ("return np.zeros(x, dtype=y)", "dtype", "return np.zeros(x)"),
    ("return 0.5 * np.exp(x)", "dtype", "return np.float64(0.5) * np.exp(x)"),
    ("return np.maximum(x, 0)", "twin", "return np.minimum(x, 0)"),
    ("return max(x, 0)", "twin", "return min(x, 0)"),
    ("return x.sum()", "twin", "return x.mean()"),
    ("return range(x)", "range", "return range(x - 1)"),
    ("return range(x)", "range", "return range(1, x)"),
    ("return enumerate(x)", "twin", "return enumerate(x, 1)"),
    ("raise ValueError(f'no {x}')", "exception", "raise TypeError(f'no {x}')"),
    ("return g(x)", "name", "return g(y)"),
])
def test_operator_makes(line: str, operator: str, expected: str) -> None:
    assert expected in news(of(line), operator)


@pytest.mark.parametrize(("line", "absent"), [
    ("return x + y", "return y + x"),                       # the same sum
    ("return x * 1", "return x / 1"),
    ("return x * 1", "return x"),
    ("return np.maximum(x, y)", "return np.maximum(y, x)"),
    ("return np.abs(x)", "return np.abs(-x)"),
    ("return np.swapaxes(x, dim, y)", "return np.swapaxes(x, y, dim)"),
    ("return [n for n, m in zip(x, y)]", "return [n for n, m in zip(y, x)]"),       # as `for m, n in zip(x, y)`
    ("return g(x, keepdim)", "return g(x, -keepdim)"),
    ("return isinstance(x, (int, float))", "return isinstance(x, (float, int))"),
    ("return x * 0", "return x * -0"),
    ("while x: break", "while True: break"),                # never ends
])
def test_what_is_plainly_the_same_is_left_out(line: str, absent: str) -> None:
    assert absent not in news(of(line))


def test_statement_that_does_nothing_is_made_once() -> None:
    assert [m.new for m in of("x = x - y", "return x", seeds=1) if m.old == "x = x - y" and m.new in ("x = x", "pass")] == ["pass"]
    assert "return x and x" not in news(of("return x and y"))


def test_texts_messages_and_what_only_they_read_stay() -> None:
    lines = ("def inner(z: 1 + 2) -> 3:", '    """Adds 1 + 2."""', "    return 'a' + z      # 7 * x", "if x:", "    hint = y + 2",
             "    raise ValueError(f'{x + 5} of', hint, 9 - y)")
    for mutant in of(*lines):
        source = mutant.cell.source
        for kept in ("1 + 2) -> 3", '"""Adds 1 + 2."""', "'a'", "# 7 * x", "hint = y + 2", "f'{x + 5} of', hint, 9 - y"):
            assert kept in source or "pass" in mutant.new or mutant.new == "return z"


def test_lines_beyond_ascii_are_cut_in_the_right_place() -> None:
    assert "return ('äöü…', x + ñ - dim)" in news(of("ñ = x", "return ('äöü…', x + ñ + dim)   # é — ü"))


def test_statement_over_several_lines_is_told_in_one() -> None:
    found = of("return g(", "    x,     # ä", "    axis=dim,", ")")
    assert any(m.operator == "axis" and m.line == 5 and m.old == "return g( x,     # ä axis=dim, )" for m in found)
    assert any(m.operator == "drop" and m.new == "return g( x,     # ä )" for m in found)


def test_loop_ends_after_its_first_turn() -> None:
    (mutant,) = [m for m in of("for n in x:", "    if n:", "        y += n", "return y", seeds=1) if m.operator == "loop"]
    assert (mutant.line, mutant.new) == (3, "for n in x: if n: y += n break") and "\n        break\n    return y" in mutant.cell.source


def test_comment_after_the_line_stays_in_the_cell_and_out_of_the_listing() -> None:
    mutant = next(m for m in of("return x - y      # (N, 1)") if m.operator == "swap")
    assert mutant.old == "return x - y" and mutant.new == "return y - x" and "return y - x      # (N, 1)" in mutant.cell.source
    assert str(mutant) == "f, line 3, swap: `return x - y` -> `return y - x`" and mutant.grade_id == "f"


def test_nested_function_sees_the_names_around_it() -> None:
    found = of("def inner(z):", "    return z", "return [inner(n) for n in x]")
    assert {"return x", "return y", "return dim"} <= news(found, "name")
    assert "return [inner(x) for n in x]" in news(found, "name")
    assert not any("for n in n" in new for new in news(found))          # not yet bound there


def test_only_marked_lines_and_solution_cells_change() -> None:
    mixed = cell("return x - y")
    mixed = replace(mixed, source=mixed.source + "\n    return x * 2\n")
    given = replace(mixed, index=1, solution=False)
    assert {m.line for m in mutants(Document(Path("f.py"), (mixed, given)))} == {3}
    assert {m.cell.index for m in mutants(Document(Path("f.py"), (mixed, given)))} == {0}


EXPRESSIONS = ["x + y * z", "(x + y) * z", "x - (y - z)", "x ** y ** z", "(x ** y) ** z", "-x ** y", "x / y / z", "x @ (y + z) @ x",
               "-(x + y) * z", "x + -y * z", "(x)*(y)-(z)", "x - y - z * x ** -y // z", "f(x + y)[z] % x", "(x - y).T @ z", "not x - y",
               "x < y + z"]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_another_operator_keeps_its_operands(expression: str) -> None:
    """As text the change must come to what it would be in the tree."""
    text = Text(expression)
    for node in [n for n in ast.walk(text.tree) if isinstance(n, ast.BinOp)]:
        for kind, (symbol, _) in list(ARITHMETIC.items())[:8]:
            old, node.op = node.op, kind()
            wanted, node.op = ast.dump(text.tree), old
            assert ast.dump(ast.parse(splice(expression, text.arithmetic(node, symbol)))) == wanted


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_a_moved_operand_stays_whole(expression: str) -> None:
    text = Text(expression)
    for node in [n for n in ast.walk(text.tree) if isinstance(n, ast.BinOp)]:
        left, right = node.left, node.right
        node.left, node.right = right, left
        wanted = ast.dump(text.tree)
        node.left, node.right = left, right
        assert ast.dump(ast.parse(splice(expression, text.exchange(left, right)))) == wanted


def test_parentheses_that_part_words_stay() -> None:
    assert {"return(x)", "return(y)"} <= news(of("return(x - y)"))
    assert "return(x)not in(y)" in news(of("return(x)in(y)"))


@each_module
def test_real_mutants_are_other_programs_in_the_solution_alone(module) -> None:
    document = solved(module)
    sources = {c.index: c.source for c in document.code}
    found = mutants(document)
    assert len(found) >= 200
    for mutant in found:
        with warnings.catch_warnings(action="ignore"):
            compile(mutant.cell.source, "mutant", "exec")
    programs = Counter((m.cell.index, ast.dump(ast.parse(m.cell.source))) for m in found)
    assert max(programs.values()) == 1
    for mutant in found:
        source = mutant.cell.source
        assert ast.dump(ast.parse(source)) != ast.dump(ast.parse(sources[mutant.cell.index]))
        assert outside(source) == outside(sources[mutant.cell.index])
        assert mutant.old != mutant.new and "\n" not in mutant.old + mutant.new


def outside(source: str) -> list[str]:
    """All text of a cell but its solutions."""
    lines, parts, begin = source.split("\n"), [], 0
    for start, end in solution_blocks(source):
        parts.append("\n".join(lines[begin:start + 1]))
        begin = end
    return [*parts, "\n".join(lines[begin:])]


@each_module
def test_seed_chooses_among_slips_at_the_same_places(module) -> None:
    document = solved(module)
    first, again, other = mutants(document), mutants(document), mutants(document, seed=1)
    assert first == again
    assert {m.cell.source for m in first} != {m.cell.source for m in other}
    assert {(m.grade_id, m.line) for m in first} == {(m.grade_id, m.line) for m in other}
    assert abs(len(first) - len(other)) <= 0.03 * len(first)


def test_the_course_meets_every_kind() -> None:
    assert KINDS <= {m.operator for module in MODULES for m in mutants(solved(module))}
