"""One thing that the doctor looks at, and what was found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from tito.errors import ExitCode, TitoError

OK, WARNING, PROBLEM = "ok", "warning", "problem"
MOST = 8                        # names in a sentence


@dataclass(frozen=True)
class Check:
    """What was looked at, how it is, and where it is not well, what to do."""

    state: str
    name: str
    text: str
    fix: str = ""
    code: ExitCode = ExitCode.ENVIRONMENT       # of a problem

    def __str__(self) -> str:
        return f"{self.state:<8} {self.name}: " + "; ".join(filter(None, [self.text, self.fix]))

    def to_dict(self) -> dict[str, Any]:
        facts = asdict(self)
        del facts["code"]
        return facts


def fine(name: str, text: str) -> Check:
    return Check(OK, name, text)


def warning(name: str, text: str, fix: str = "") -> Check:
    return Check(WARNING, name, text, fix)


def problem(name: str, text: str, fix: str, code: ExitCode = ExitCode.ENVIRONMENT) -> Check:
    return Check(PROBLEM, name, text, fix, code)


def spoilt(name: str, text: str, fix: str) -> Check:
    """A file or a row is not what it should be."""
    return problem(name, text, fix, ExitCode.INTEGRITY)


def guarded(name: str, look: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    """What a look finds; an error is a finding, too, and no look keeps another from looking."""
    try:
        yield from look()
    except TitoError as err:
        code = ExitCode.INTEGRITY if err.code is ExitCode.INTEGRITY else ExitCode.ENVIRONMENT
        yield problem(name, ": ".join(filter(None, [err.what, err.why])), err.fix, code)
    except ImportError as err:
        yield problem(name, f"cannot be looked at: {err}", 'pip install -e ".[grading]"')
    except OSError as err:
        yield problem(name, f"{err.filename or 'a file'}: {err.strerror or err}", "see that you may read it")


def listed(names: list[str]) -> str:
    """Some of them, and how many more."""
    more = len(names) - MOST
    return ", ".join(names[:MOST]) + (f" and {more} more" if more > 0 else "")
