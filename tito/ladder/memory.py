"""How far up the ladder a student has come, in `.tito/hints.json`: a convenience, which begins anew wherever it cannot be read."""

from __future__ import annotations

import json
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from tito.check.row import Row
from tito.course import Module
from tito.journal import write_atomically

SCHEMA = 1
HINTS = ".tito/hints.json"
Steps = dict[str, tuple[str, int]]          # {check: (its mistake, the rung shown last)}


def mistake(row: Row) -> str:
    """The same for the same mistake: for one that has a hint of its own, whatever the numbers that came of it."""
    return sha256("\0".join((row.state, row.check, row.hint or row.got)).encode()).hexdigest()[:16]


def climb(root: Path, module: Module, row: Row, top: int, *, at_once: bool = False) -> int:
    """The rung that is next for this mistake, from 1 to `top`; `at_once` it is the last one.  It is remembered."""
    known = _load(root)
    steps = known.setdefault(f"{module.number:02d}", {})
    before, rung = steps.get(row.grade_id, ("", 0))
    rung = top if at_once else min(rung + 1, top) if before == mistake(row) else 1
    steps[row.grade_id] = mistake(row), rung
    _save(root, known)
    return rung


def forget(root: Path, module: Module) -> None:
    """Of a module that passes nothing need be remembered."""
    known = _load(root)
    if known.pop(f"{module.number:02d}", None):
        _save(root, known)


def _load(root: Path) -> dict[str, Steps]:
    try:
        data = json.loads((root / HINTS).read_bytes())
        if data["schema_version"] != SCHEMA:
            return {}
        return {str(number): {str(check): (str(found[0]), max(int(found[1]), 0)) for check, found in steps.items()}
                for number, steps in data["modules"].items()}
    except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError):
        return {}


def _save(root: Path, known: dict[str, Steps]) -> None:
    """A folder that cannot be written is no reason not to help."""
    text = json.dumps({"schema_version": SCHEMA, "modules": known}, indent=1, sort_keys=True) + "\n"
    with suppress(OSError):
        write_atomically(root / HINTS, text.encode())
