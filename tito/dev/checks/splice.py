"""Code as text and as a tree at once: where a node stands, and what may be written there without changing the rest."""

from __future__ import annotations

import ast
import io
import keyword
import tokenize
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

Edit = tuple[int, int, str]         # from, to (characters of the source) and what stands there afterwards
Edits = tuple[Edit, ...]            # of one change, in any order, not overlapping

LOWEST, OR, AND, NOT, COMPARE, SUM, PRODUCT, UNARY, POWER, ATOM = range(0, 100, 10)     # how tightly an expression holds together
ARITHMETIC: dict[type[ast.operator], tuple[str, int]] = {
    ast.Add: ("+", SUM), ast.Sub: ("-", SUM), ast.Mult: ("*", PRODUCT), ast.Div: ("/", PRODUCT), ast.FloorDiv: ("//", PRODUCT),
    ast.Mod: ("%", PRODUCT), ast.MatMult: ("@", PRODUCT), ast.Pow: ("**", POWER),
    ast.BitOr: ("|", COMPARE + 2), ast.BitXor: ("^", COMPARE + 4), ast.BitAnd: ("&", COMPARE + 6),
    ast.LShift: ("<<", COMPARE + 8), ast.RShift: (">>", COMPARE + 8),
}
STRENGTH = dict(ARITHMETIC.values())
INVISIBLE = (tokenize.NL, tokenize.COMMENT, tokenize.INDENT, tokenize.DEDENT)


def strength(node: ast.AST) -> int:
    """How tightly an expression holds together: ATOM for a name or a call, less for `a * b`, still less for `a or b`."""
    match node:
        case ast.BinOp(op=op):
            return ARITHMETIC[type(op)][1]
        case ast.UnaryOp(op=ast.Not()):
            return NOT
        case ast.UnaryOp():
            return UNARY
        case ast.Compare():
            return COMPARE
        case ast.BoolOp(op=ast.And()):
            return AND
        case ast.BoolOp():
            return OR
        case ast.IfExp() | ast.Lambda() | ast.NamedExpr() | ast.Yield() | ast.YieldFrom() | ast.Await():
            return LOWEST
    return ATOM


class Text:
    """A source with its tree and its tokens.  All places are characters from 0, whatever bytes the source needs."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.tree = ast.parse(source)
        self._lines = source.split("\n")
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line) + 1)
        self.tokens = [t for t in tokenize.generate_tokens(io.StringIO(source, newline="\n").readline) if t.type not in INVISIBLE]
        self._from = [self._starts[t.start[0] - 1] + t.start[1] for t in self.tokens]
        self._to = [self._starts[t.end[0] - 1] + t.end[1] for t in self.tokens]
        self._parents = {child: (parent, field) for parent in ast.walk(self.tree) for field, value in ast.iter_fields(parent)
                         for child in (value if isinstance(value, list) else [value]) if isinstance(child, ast.AST)}

    def parent(self, node: ast.AST) -> tuple[ast.AST, str]:
        """The node above, and the name of its field in which this one stands."""
        return self._parents.get(node, (self.tree, ""))

    def above(self, node: ast.AST) -> Iterator[ast.AST]:
        """All nodes above, the nearest first."""
        while node in self._parents:
            node = self._parents[node][0]
            yield node

    def span(self, node: ast.AST) -> tuple[int, int]:
        """Where the node stands, without parentheses around it."""
        assert isinstance(node, (ast.expr, ast.stmt, ast.keyword))
        return self._at(node.lineno, node.col_offset), self._at(node.end_lineno or 0, node.end_col_offset or 0)

    def _at(self, line: int, utf8: int) -> int:
        return self._starts[line - 1] + len(self._lines[line - 1].encode()[:utf8].decode())

    def line(self, at: int) -> int:
        """The number, from 1, of the line at a place."""
        return self.source.count("\n", 0, at) + 1

    def full(self, node: ast.AST) -> tuple[int, int]:
        """Where the node stands with the parentheses that are its own: `(a + b)`, but not those of `f(a + b)`."""
        start, end = self.span(node)
        before, after = bisect_left(self._from, start) - 1, bisect_left(self._from, end)
        while before >= 0 and after < len(self.tokens) and self._groups(before) and self.tokens[after].string == ")" \
                and not self.source[self._to[after]:self._to[after] + 1].isidentifier():
            start, end = self._from[before], self._to[after]
            before, after = before - 1, after + 1
        return start, end

    def _groups(self, number: int) -> bool:
        """Whether a token opens parentheses that are not a call's, and that can go: `return(a)` needs them."""
        if self.tokens[number].string != "(" or number == 0:
            return self.tokens[number].string == "("
        before = self.tokens[number - 1]
        if before.type == tokenize.NAME:
            return keyword.iskeyword(before.string) and self._to[number - 1] < self._from[number]
        return before.type not in (tokenize.STRING, tokenize.NUMBER) and before.string not in (")", "]", "}")

    def text(self, node: ast.AST) -> str:
        start, end = self.span(node)
        return self.source[start:end]

    def room(self, node: ast.AST) -> int:
        """How tightly an expression must hold together to stand in this one's place without parentheses."""
        if self.full(node) != self.span(node):
            return LOWEST
        parent, field = self.parent(node)
        match parent:
            case ast.BinOp(op=ast.Pow()):
                return ATOM if field == "left" else UNARY
            case ast.BinOp():
                return strength(parent) + (field == "right")
            case ast.UnaryOp() | ast.BoolOp():
                return strength(parent) + isinstance(parent, ast.BoolOp)
            case ast.Compare() | ast.Starred():
                return COMPARE + 1
            case ast.IfExp() if field != "orelse":
                return OR
            case ast.comprehension():
                return OR
            case ast.Attribute() | ast.Subscript() | ast.Call() if field in ("value", "func"):
                return ATOM
        return LOWEST

    def put(self, node: ast.AST, text: str, held: int = ATOM) -> Edit:
        """The node's place taken by `text`, an expression that holds together as tightly as `held` says."""
        if "\n" in text:
            return *self.full(node), f"({text})"
        if held == ATOM:
            return *self.full(node), text
        return *self.span(node), f"({text})" if held < self.room(node) else text

    def move(self, node: ast.AST, other: ast.AST) -> Edit:
        """The node's place taken by what another node says."""
        return self.put(node, self.text(other), strength(other))

    def exchange(self, one: ast.AST, two: ast.AST) -> Edits:
        return self.move(one, two), self.move(two, one)

    def held(self, node: ast.AST, least: int) -> str:
        """A node's text, in parentheses if it would not hold together as tightly as `least`."""
        return f"({self.text(node)})" if strength(node) < least else self.text(node)

    def between(self, left: ast.AST, right: ast.AST, text: str) -> Edit:
        """What stands between two operands, the operator, replaced."""
        first, last = bisect_left(self._from, self.full(left)[1]), bisect_left(self._from, self.full(right)[0]) - 1
        while self.tokens[first].string == ")":
            first += 1
        while self.tokens[last].string == "(":
            last -= 1
        return self._from[first], self._to[last], text

    def arithmetic(self, node: ast.BinOp, symbol: str) -> Edits:
        """Another operator between the same operands, which keep together what they kept."""
        held = STRENGTH[symbol]
        edits = [self.between(node.left, node.right, symbol)]
        sides = ((node.left, held + (symbol == "**")), (node.right, UNARY if symbol == "**" else held + 1))
        edits += [self.put(side, f"({self.text(side)})") for side, room in sides
                  if strength(side) < room and self.full(side) == self.span(side)]
        if held < self.room(node):
            start, end = self.span(node)
            edits += [(start, start, "("), (end, end, ")")]
        return tuple(edits)

    def without(self, items: Sequence[ast.AST], number: int, alone: str = "") -> Edits:
        """One of several items dropped with a comma, and no comment between them.  `alone` follows where only one item is left."""
        start, end = self._item(items[number])
        before, after = bisect_left(self._from, start) - 1, bisect_left(self._from, end)
        lonely = bool(alone) and len(items) == 2 and not self._comma(bisect_left(self._from, self._item(items[-1])[1]))
        if self._comma(after):
            end = self._to[after]
            end += len(self.source[end:]) - len(self.source[end:].lstrip(" "))
            last = self._item(items[-1])[1]
            return (start, end, ""), *([(last, last, alone)] if lonely else [])
        if not self._comma(before):
            return ((start, end, ""),)
        comma = self._from[before] + lonely
        if "#" in self.source[comma:start]:
            return (comma, self._to[before], ""), (start, end, "")
        return ((comma, end, ""),)

    def _item(self, node: ast.AST) -> tuple[int, int]:
        return self.span(node) if isinstance(node, ast.keyword) else self.full(node)

    def _comma(self, number: int) -> bool:
        return 0 <= number < len(self.tokens) and self.tokens[number].string == ","

    def logical(self, start: int, end: int) -> tuple[int, int]:
        """The logical lines around a place, from the first word to the last, without the comment that follows."""
        begins, ends = [0], []
        for number, token in enumerate(self.tokens):
            if token.type == tokenize.NEWLINE:
                begins.append(self._from[number + 1] if number + 1 < len(self.tokens) else len(self.source))
                ends.append(self._to[number - 1])
        return max(begin for begin in begins if begin <= start), next((e for e in ends if e >= end), len(self.source))


def splice(source: str, edits: Iterable[Edit]) -> str:
    """The source with all edits of one change made."""
    for start, end, text in sorted(edits, key=lambda e: e[:2], reverse=True):
        source = source[:start] + text + source[end:]
    return source
