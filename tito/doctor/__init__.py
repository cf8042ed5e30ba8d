"""The tool of last resort: looks at everything that can go wrong in an installation and in a student's work, and mends what it safely can.

Looking changes nothing.  Its report can be shown to anybody: what is private is taken out in private.py, of all of it.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from tito.cli.results import Examined
from tito.course import Course
from tito.doctor.check import MENDED, PROBLEM, WARNING, Check, fine, guarded
from tito.doctor.visit import Look, Visit
from tito.errors import ExitCode, TitoError

if TYPE_CHECKING:
    from tito.doctor.private import Scrub

COMMAND = re.compile(r"tito( [a-z]+)+( \d\d)?( --[a-z]+)?")
PASSES = 4                      # what is mended first may bring to light what it hid


def doctor(course: Course, *, fix: bool = False, say: Callable[[str], None] = lambda text: None) -> Examined:
    """A line for each thing that was looked at; with `fix`, what was mended is looked at again."""
    from tito.doctor.facts import facts
    from tito.doctor.private import Scrub
    scrub = Scrub.of(course)
    found = _examined(course)
    mended: list[Check] = []
    tried: dict[Check, str] = {}            # and why it could not be mended; empty where it could
    for _ in range(PASSES if fix else 0):
        waiting = [check for check in found if check.mend and check not in tried]
        if not waiting:
            break
        for check in waiting:
            say(scrub.text(f"mending {check.name}: {check.text}"))
            done, tried[check] = _mended(check)
            mended += [done] if done else []
        found = _examined(course)
    known = [replace(check, fix=f"{check.fix} (--fix could not: {tried[check]})") if tried.get(check) else check for check in found]
    told = [*(check for check in mended if check.text not in {c.text for c in found}), *known]
    return _report(facts(course), told, scrub)


def _examined(course: Course) -> list[Check]:
    """What every look finds; one that finds nothing to say is told by the first line of its docstring."""
    visit = Visit(course)
    return [check for look in _looks(course) for check in
            (list(guarded(look.__name__, partial(look, visit))) or [fine(look.__name__, _sentence(look))])]


def _looks(course: Course) -> Iterator[Look]:
    from tito.doctor import jupyter, machine, notebooks, paths, work
    of_work = (*notebooks.LOOKS, *work.FRAME, *work.THEN, *work.LAST) if course.is_edition else work.THEN
    yield from (*machine.LOOKS, *paths.LOOKS, *jupyter.LOOKS, *work.FIRST, *of_work)


def _sentence(look: Look) -> str:
    return (inspect.getdoc(look) or "").partition("\n")[0].rstrip(".")


def _mended(check: Check) -> tuple[Check | None, str]:
    """What was done, or why it could not be."""
    assert check.mend
    try:
        return Check(MENDED, check.name, check.text, check.mend()), ""
    except TitoError as err:
        return None, ": ".join(filter(None, [err.what, err.why]))
    except Exception as err:                    # the others are mended all the same
        return None, f"{type(err).__name__}: {err}"


def _report(known: dict[str, Any], told: list[Check], scrub: Scrub) -> Examined:
    problems, warnings = ([c for c in told if c.state == state] for state in (PROBLEM, WARNING))
    code = ExitCode.INTEGRITY if any(c.code is ExitCode.INTEGRITY for c in problems) else ExitCode.ENVIRONMENT if problems else ExitCode.OK
    left = (*problems, *warnings)
    following = "tito doctor --fix" if any(c.mend for c in left) else next((c.fix for c in left if COMMAND.fullmatch(c.fix)), "")
    checks = tuple({**c.to_dict(), "text": scrub.text(c.text), "fix": scrub.text(c.fix)} for c in told)
    return Examined(scrub(known), checks, following, code)
