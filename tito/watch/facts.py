"""What a cell's text tells of it, for the question how far a change of it reaches; in doubt rather too much than too little."""

from __future__ import annotations

import ast
import re
import symtable
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

ANY = "*"                       # as a use: whatever there is
HIDDEN = {"globals", "locals", "exec", "eval", "compile", "__import__", "builtins", "__builtins__"}
HIDDEN_METHODS = {"import_module", "reload", "__subclasses__", "__globals__", "get_ipython"}
WORD = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")
MAGIC = re.compile(r"^\s*[%!?]|\?\s*$", re.MULTILINE)
Def = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Facts:
    """Names as they are: "relu"; attributes with a dot: ".relu", whoever has them."""

    binds: frozenset[str]       # gets a meaning here
    uses: frozenset[str]        # is looked up, now or when a function of this cell is called
    imports: frozenset[str]     # of `binds`, what comes from elsewhere
    values: frozenset[str]      # of `binds`, what is assigned, and so may be changed in place later
    touches: frozenset[str]     # is used while the cell runs, and might be changed in place by that
    changes: frozenset[str]     # is changed in place by a function of this cell
    stores: frozenset[str]      # of `changes`, what gets an attribute or an item
    marks: frozenset[str]       # is given to a decorator: `@gradient(multiply)` teaches `multiply` something
    owners: frozenset[str]      # gets an attribute or an item while the cell runs
    acts: bool                  # something is called while the cell runs, decorators apart
    opaque: bool                # it says less than it does


NONE: frozenset[str] = frozenset()
UNKNOWN = Facts(NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, acts=True, opaque=True)


@lru_cache(maxsize=256)
def facts(source: str) -> Facts:
    """What there is to know of a cell's source."""
    if MAGIC.search(source):
        return UNKNOWN
    try:
        tree, table = ast.parse(source), symtable.symtable(source, "cell", "exec")
    except (SyntaxError, ValueError, RecursionError):
        return UNKNOWN
    now, nodes = list(_at_once(tree)), list(ast.walk(tree))
    later, used = list(set(nodes) - set(now)), set(_used(table))
    decorators = [part for node in now if isinstance(node, (*Def, ast.ClassDef)) for each in node.decorator_list for part in ast.walk(each)]
    imports = {(a.asname or a.name).split(".")[0] for node in nodes if isinstance(node, (ast.Import, ast.ImportFrom)) for a in node.names}
    assigned = {node.id for node in now if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
    given = {part.id for each in decorators if isinstance(each, ast.Call) for argument in (*each.args, *(k.value for k in each.keywords))
             for part in ast.walk(argument) if isinstance(part, ast.Name)}
    return Facts(
        binds=frozenset({*_bound(table), *_attributes(now), *_decorated(now)}),
        uses=frozenset({*used, *_looked_up(nodes)}),
        imports=frozenset(imports), values=frozenset(assigned),
        touches=frozenset(node.id for node in now if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)),
        changes=frozenset((_stored(later) | _told(later)) & used | set(_globals(table))), stores=frozenset(_stored(later) & used),
        marks=frozenset(given), owners=frozenset(_stored(now)),
        acts=any(isinstance(node, (ast.Call, ast.Await, ast.AugAssign, ast.Delete)) and node not in decorators for node in now),
        opaque="*" in imports or any(map(_hides, nodes)))


def _at_once(tree: ast.AST) -> Iterator[ast.AST]:
    """What is evaluated while the cell runs: everything but the bodies of functions."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, Def):
            waiting += [*node.decorator_list, *_kept(node.args), *filter(None, [node.returns])]
        elif isinstance(node, ast.Lambda):
            waiting += _kept(node.args)
        else:
            waiting += ast.iter_child_nodes(node)


def _kept(arguments: ast.arguments) -> list[ast.AST]:
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *filter(None, [arguments.vararg, arguments.kwarg])]
    return [*arguments.defaults, *filter(None, arguments.kw_defaults), *(a.annotation for a in every if a.annotation)]


def _bound(table: symtable.SymbolTable) -> set[str]:
    return {s.get_name() for s in table.get_symbols() if s.is_assigned() or s.is_imported() or s.is_namespace()} | set(_globals(table))


def _globals(table: symtable.SymbolTable) -> Iterator[str]:
    """What functions assign to under `global`."""
    for inner in table.get_children():
        yield from (s.get_name() for s in inner.get_symbols() if s.is_declared_global() and s.is_assigned())
        yield from _globals(inner)


def _used(table: symtable.SymbolTable) -> Iterator[str]:
    """The names of the notebook that are looked up, in all scopes."""
    top = table.get_type() == "module"
    yield from (s.get_name() for s in table.get_symbols() if s.is_referenced() and (top or s.is_global()))
    for inner in table.get_children():
        yield from _used(inner)


def _attributes(now: list[ast.AST]) -> Iterator[str]:
    """The attributes that get a meaning: methods, `Tensor.sum = ...`, `setattr(Tensor, "sum", ...)`."""
    for node in now:
        if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
            yield "." + node.attr
        elif isinstance(node, ast.ClassDef):
            yield from ("." + each.name for each in node.body if isinstance(each, Def) and not _special(each.name))
        elif isinstance(node, ast.Call) and _called(node) in ("setattr", "delattr"):
            yield from ("." + str(a.value) for a in node.args[1:2] if isinstance(a, ast.Constant))


def _decorated(now: list[ast.AST]) -> Iterator[str]:
    """A decorator may enter the function in a table, where it is found by its name: as NumPy's functions find ours."""
    yield from ("." + node.name for node in now if isinstance(node, Def) and node.decorator_list and not _special(node.name))


def _looked_up(nodes: list[ast.AST]) -> Iterator[str]:
    """Attributes; and what texts might name: `getattr(x, "sum")`, `OPS["sum"]`."""
    for node in nodes:
        if isinstance(node, ast.Attribute):
            yield "." + node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and WORD.fullmatch(node.value):
            yield from (text for word in node.value.split(".") for text in (word, "." + word))
        elif isinstance(node, ast.Call) and _called(node) in ("getattr", "hasattr") and not _named(node) and not _own(node):
            yield ANY


def _stored(nodes: list[ast.AST]) -> set[str]:
    """The names whose things get an attribute or an item."""
    stores = [n for n in nodes if isinstance(n, (ast.Attribute, ast.Subscript)) and not isinstance(n.ctx, ast.Load)]
    calls = [n.args[0] for n in nodes if isinstance(n, ast.Call) and _called(n) in ("setattr", "delattr") and n.args]
    return set(map(_root, [*stores, *calls])) - {""}


def _told(nodes: list[ast.AST]) -> set[str]:
    """The names whose things may be changed by a method: `tests.append(...)`."""
    return {_root(n.func) for n in nodes if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute)} - {""}


def _root(node: ast.expr) -> str:
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def _hides(node: ast.AST) -> bool:
    """It may define or look up what it does not name."""
    if isinstance(node, ast.Call) and _called(node) in ("setattr", "delattr"):
        return not _named(node) and not _own(node)
    if isinstance(node, ast.Attribute):
        return node.attr in HIDDEN_METHODS or ast.unparse(node) == "sys.modules"
    return isinstance(node, ast.Name) and node.id in HIDDEN | HIDDEN_METHODS


def _called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else ""


def _named(node: ast.Call) -> bool:
    return len(node.args) > 1 and isinstance(node.args[1], ast.Constant)


def _own(node: ast.Call) -> bool:
    """Of an object that does it to itself."""
    return bool(node.args) and isinstance(node.args[0], ast.Name) and node.args[0].id == "self"


def _special(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


def special(attribute: str) -> bool:
    """ ".__add__": Python looks it up without naming it. """
    return attribute.startswith(".") and _special(attribute[1:])
