"""One thing that a doctor looks at, what was found, and where it can be mended, how."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from tito.errors import ExitCode, TitoError

OK, WARNING, PROBLEM, MENDED = "ok", "warning", "problem", "mended"
MOST = 8                        # names in a sentence
Mend = Callable[[], str]        # sets it right, and says what was done


@dataclass(frozen=True)
class Check:
    """What was looked at, how it is, and where it is not well, what to do."""

    state: str
    name: str
    text: str
    fix: str = ""
    code: ExitCode = ExitCode.ENVIRONMENT       # of a problem
    mend: Mend | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return f"{self.state:<8} {self.name}: " + "; ".join(filter(None, [self.text, self.fix]))

    def to_dict(self) -> dict[str, Any]:
        return {"state": self.state, "name": self.name, "text": self.text, "fix": self.fix}

    def by(self, mend: Mend) -> Check:
        """The same, to be mended so."""
        return replace(self, mend=mend)


def fine(name: str, text: str) -> Check:
    return Check(OK, name, text)


def warning(name: str, text: str, fix: str = "") -> Check:
    return Check(WARNING, name, text, fix)


def problem(name: str, text: str, fix: str, code: ExitCode = ExitCode.ENVIRONMENT) -> Check:
    return Check(PROBLEM, name, text, fix, code)


def spoilt(name: str, text: str, fix: str) -> Check:
    """A file or a row is not what it should be."""
    return problem(name, text, fix, ExitCode.INTEGRITY)


def guarded(name: str, look: Callable[[], Iterator[Check]], *, extra: str = "lab") -> Iterator[Check]:
    """What a look finds; an error is a finding, too, and no look keeps another from looking.

    `extra` is the part of the course that has the packages which the look needs.
    """
    try:
        yield from look()
    except TitoError as err:
        code = ExitCode.INTEGRITY if err.code is ExitCode.INTEGRITY else ExitCode.ENVIRONMENT
        yield problem(name, ": ".join(filter(None, [err.what, err.why])), err.fix, code)
    except ImportError as err:
        yield problem(name, f"cannot be looked at: {err}", f'pip install -c requirements.lock -e ".[{extra}]"')
    except OSError as err:
        yield problem(name, f"{err.filename or 'a file'}: {err.strerror or err}", "see that you may read it")
    except Exception as err:                    # the other looks may well find out why
        yield problem(name, f"the look itself stumbled: {type(err).__name__}: {err}", "show this to your teacher")


def listed(names: list[str]) -> str:
    """Some of them, and how many more."""
    more = len(names) - MOST
    return ", ".join(names[:MOST]) + (f" and {more} more" if more > 0 else "")
