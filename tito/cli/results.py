"""What commands return: plain values that know their exit code and their JSON.  How they look is decided in tito.cli.render."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tito.errors import ExitCode

if TYPE_CHECKING:
    from tito.cli.results_runs import MilestoneLine
    from tito.tested import Outcome


def wrong(verdict: Any) -> list[Any]:
    """The rows of a verdict that have a card: what failed by itself, not what was skipped for that."""
    return [row for row in verdict.rows if row.state not in ("passed", "skipped")]


class Result(Protocol):
    """What every command returns."""

    @property
    def code(self) -> ExitCode: ...

    def to_dict(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class ModuleLine:
    """One module in a list."""

    number: int
    name: str
    state: str                  # "done", "started", "next", "locked"; in the course repository "source"
    points: float
    max_points: float
    changed: bool = False       # the notebook was edited after it was completed
    manual_points: float = 0.0  # for written answers
    title: str = ""             # its notebook's first heading
    about: str = ""             # the sentence below that
    tested: Outcome | None = None
    edited: bool = False        # the notebook was edited after it was tested

    @property
    def label(self) -> str:
        return f"{self.number:02d} {self.name}"

    def to_dict(self) -> dict[str, Any]:
        return {"number": self.number, "name": self.name, "state": self.state, "points": number(self.points),
                "max_points": number(self.max_points), "changed": self.changed}


@dataclass(frozen=True)
class Overview:
    """Where am I, and the one next command."""

    root: Path
    edition: bool
    modules: tuple[ModuleLine, ...]
    next: str
    detailed: bool = False      # `status`: the modules and the milestones one by one
    rebuilt: bool = False
    aside: tuple[str, ...] = ()
    title: str = "TinyTorch"
    due: str = ""               # the deadline of the module that is next
    milestone: str = ""         # one that has come within reach: "3 mlp"
    milestones: tuple[MilestoneLine, ...] = ()
    note: str = ""              # why they are not shown
    last: int = 0               # the module that was tested last
    code: ExitCode = ExitCode.OK

    @property
    def done(self) -> int:
        return sum(m.state == "done" for m in self.modules)

    @property
    def points(self) -> float:
        return sum(m.points for m in self.modules)

    @property
    def max_points(self) -> float:
        return sum(m.max_points for m in self.modules)

    @property
    def manual_points(self) -> float:
        return sum(m.manual_points for m in self.modules)

    @property
    def current(self) -> ModuleLine | None:
        """The first module that is not complete and can be worked on."""
        return next((m for m in self.modules if m.state in ("started", "next")), None)

    @property
    def latest(self) -> ModuleLine | None:
        """The module that was tested last."""
        return next((m for m in self.modules if m.number == self.last and m.tested), None)

    def to_dict(self) -> dict[str, Any]:
        tested = {f"{m.number:02d}": {**asdict(m.tested), "edited": m.edited} for m in self.modules if m.tested}
        more = {"manual_points": number(self.manual_points), "milestones": [m.to_dict() for m in self.milestones], "note": self.note} \
            if self.detailed else {}
        return {"title": self.title, "root": str(self.root), "edition": self.edition, "due": self.due, "done": self.done,
                "points": number(self.points), "max_points": number(self.max_points), "modules": [m.to_dict() for m in self.modules],
                "milestone": self.milestone, "last": self.last or None, "tested": tested, **more,
                "next": self.next, "rebuilt": self.rebuilt, "aside": list(self.aside)}


@dataclass(frozen=True)
class ModuleList:
    """`module list`."""

    modules: tuple[ModuleLine, ...]
    code: ExitCode = ExitCode.OK

    def to_dict(self) -> dict[str, Any]:
        return {"modules": [m.to_dict() for m in self.modules]}


@dataclass(frozen=True)
class Opened:
    """`module start` and `module open`: the notebook is there; JupyterLab comes after this was shown."""

    label: str
    path: Path
    started: bool = False       # recorded as started just now
    restored: bool = False      # the notebook was missing
    lab: bool = True
    next: str = ""
    code: ExitCode = ExitCode.OK

    def to_dict(self) -> dict[str, Any]:
        return {"module": self.label, "notebook": self.path.as_posix(), "started": self.started, "restored": self.restored,
                "opens": self.lab, "next": self.next}


@dataclass(frozen=True)
class Tested:
    """`module test`: the verdict."""

    label: str
    verdict: Any                # tito.check.Verdict: typed there, imported late
    notes: tuple[str, ...]
    every_card: bool
    next: str
    code: ExitCode

    def to_dict(self) -> dict[str, Any]:
        return {**self.verdict.to_dict(), "notes": list(self.notes), "next": self.next}


@dataclass(frozen=True)
class Watched:
    """`watch`: the verdict after a save."""

    tested: Tested
    saved: str                  # the time of day
    seconds: float              # from then to the verdict
    again: int                  # how many checks were run; the rows of the others are as before
    of: int
    keys: str
    code: ExitCode = ExitCode.OK

    def to_dict(self) -> dict[str, Any]:
        return {**self.tested.to_dict(), "saved": self.saved, "seconds": self.seconds, "again": self.again, "of": self.of}


@dataclass(frozen=True)
class Completed:
    """`module complete`: the package has it, or it says why not."""

    label: str
    verdict: Any
    notes: tuple[str, ...]
    exported: str               # the package file; empty where nothing was exported
    changed: tuple[str, ...]
    problems: tuple[str, ...]
    next: str
    code: ExitCode

    def to_dict(self) -> dict[str, Any]:
        return {**self.verdict.to_dict(), "notes": list(self.notes), "exported": self.exported, "changed": list(self.changed),
                "problems": list(self.problems), "next": self.next}


@dataclass(frozen=True)
class Restored:
    """`module reset` and `module undo`: files brought back, and where their last versions are kept."""

    label: str
    what: str
    restored: tuple[str, ...]
    removed: tuple[str, ...] = ()
    next: str = ""
    code: ExitCode = ExitCode.OK

    def to_dict(self) -> dict[str, Any]:
        return {"module": self.label, "what": self.what, "restored": list(self.restored), "removed": list(self.removed), "next": self.next}


@dataclass(frozen=True)
class KeptVersion:
    """What a command replaced."""

    name: str                   # as `undo --to` takes it
    action: str                 # the command
    elsewhere: bool             # it was typed on another machine
    when: str                   # UTC, ISO 8601
    shown: str                  # by the clock on the wall
    ago: str
    files: tuple[str, ...]
    differs: str                # a notebook from the present one, in a phrase; empty where none was replaced
    beside: tuple[str, ...]     # earlier saves, which lie in the same folder

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name, "action": self.action, "elsewhere": self.elsewhere, "when": self.when, "ago": self.ago,
                "files": list(self.files), "differs": self.differs, "beside": list(self.beside)}


@dataclass(frozen=True)
class Kept:
    """`module history` and `module undo --list`: the kept versions, newest first."""

    label: str
    versions: tuple[KeptVersion, ...]
    code: ExitCode = ExitCode.OK

    def to_dict(self) -> dict[str, Any]:
        return {"module": self.label, "kept": [version.to_dict() for version in self.versions]}


@dataclass(frozen=True)
class Hinted:
    """`module hint`: a rung of the ladder, or all; where every check passes, the course's own answers beside the student's."""

    label: str
    check: str                  # its grade_id; empty where all pass
    sentence: str               # what the check promises, or how the module stands
    rung: int                   # the one that was reached; 0 where there is nothing to climb
    of: int
    rungs: tuple[Any, ...]      # tito.ladder.rungs.Rung, those that are shown
    first: int                  # the number of the first of them
    answers: tuple[Any, ...]    # tito.ladder.answers.Pair
    notes: tuple[str, ...]
    next: str
    code: ExitCode = ExitCode.OK
    widest: int = 160           # columns that it can use: for two answers side by side

    def to_dict(self) -> dict[str, Any]:
        return {"module": self.label, "check": self.check, "sentence": self.sentence, "rung": self.rung, "of": self.of,
                "rungs": [{"rung": number, **rung.to_dict()} for number, rung in enumerate(self.rungs, self.first)],
                "answers": [pair.to_dict() for pair in self.answers], "notes": list(self.notes), "next": self.next}


@dataclass(frozen=True)
class Examined:
    """`doctor`: on what machine, what was looked at, and how it is; nothing private is in it."""

    facts: dict[str, Any]
    checks: tuple[dict[str, str], ...]      # state ("ok", "mended", "warning", "problem"), name, text, fix
    next: str
    code: ExitCode

    @property
    def states(self) -> dict[str, int]:
        return {state: sum(c["state"] == state for c in self.checks) for state in ("problem", "warning", "mended", "ok")}

    def to_dict(self) -> dict[str, Any]:
        return {**self.facts, "states": self.states, "checks": list(self.checks), "next": self.next}


@dataclass(frozen=True)
class Report:
    """A course command: a sentence, lines of detail, perhaps a next command."""

    what: str
    lines: tuple[str, ...] = ()
    data: dict[str, Any] = field(default_factory=dict)
    next: str = ""
    code: ExitCode = ExitCode.OK

    def to_dict(self) -> dict[str, Any]:
        return {"what": self.what, **self.data, "next": self.next}


def number(value: float) -> float | int:
    """8.0 as 8, in text and in JSON."""
    return int(value) if float(value).is_integer() else value
