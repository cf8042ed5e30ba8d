"""Parsing where there are several threads: Python 3.11 needs a guard."""

from __future__ import annotations

import ast
import functools
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

MIXES_UP = sys.version_info < (3, 12)


@contextmanager
def parsing_in_turn() -> Iterator[None]:
    """Inside, one thread at a time is in `ast.parse`, whoever calls it.

    Python 3.11 counts the depth of the tree that it makes in one place for all threads; where they mix it up, `ast.parse` ends
    with a SystemError, "AST constructor recursion depth mismatch".
    """
    if not MIXES_UP:
        yield
        return
    turn, parse = threading.RLock(), ast.parse

    @functools.wraps(parse)
    def in_turn(*args: Any, **settings: Any) -> Any:
        with turn:
            return parse(*args, **settings)

    ast.parse = in_turn
    try:
        yield
    finally:
        ast.parse = parse
