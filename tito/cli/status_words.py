"""What `tito` and `tito status` say, as sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from tito import when
from tito.cli.results import ModuleLine, Overview, number
from tito.cli.results_runs import MilestoneLine
from tito.ui import as_typed

BAR = 20


def sentences(found: Overview, width: int) -> Iterator[str]:
    """Where I am, in the order in which one wants to know it."""
    if not found.edition:
        yield f"{len(found.modules)} modules, {number(found.max_points)} points for code"
        return
    words = f"{found.done} of {len(found.modules)} modules complete, {number(found.points)} of {number(found.max_points)} points"
    beside = width - len(words) - 1
    if beside < 12:
        yield bar(found.done, len(found.modules), width)
    yield f"{bar(found.done, len(found.modules), beside)} {words}" if beside >= 12 else words
    if found.manual_points:
        yield f"written answers are worth {number(found.manual_points)} more points, which a person gives"
    if found.latest:
        yield last_test(found.latest)
    if found.current and found.current != found.latest and found.current.state == "started" and not found.detailed:
        yield f"module {found.current.label}, {checks(found.current)}"
    if since := [m for m in found.modules if m.changed]:
        yield edited(since)
    if found.due:
        yield found.due
    if found.milestone and not found.detailed:
        yield as_typed(f"milestone {found.milestone} is within reach: tito milestone run {found.milestone.split()[0]}")
    if found.note:
        yield found.note


def bar(done: int, of: int, room: int) -> str:
    """ "[#####---------------]": at most `room` columns, full only when all is done, empty only when nothing is. """
    cells = min(BAR, room - 2)
    filled = max(cells * done // max(of, 1), min(done, 1))
    return f"[{'#' * filled}{'-' * (cells - filled)}]"


def last_test(line: ModuleLine) -> str:
    """Where somebody was, and when; a day that has not come yet is not told."""
    if line.tested is None:
        return ""
    ago = when.ago(line.tested.moment)
    lead = "you were last at" if not ago else "tested today:" if ago == "today" else \
        f"you were last here {ago} ({when.day(line.tested.moment)}):"
    return f"{lead} module {line.label}, {checks(line)}"


def checks(line: ModuleLine) -> str:
    """How a module's last test went: "3 of 8 checks passed; next to mend: Momentum keeps a velocity"."""
    test = line.tested
    if test is None:
        return "begun and not tested yet"
    passed = f"all {test.of} checks passed" if test.passed == test.of else f"{test.passed} of {test.of} checks passed"
    complete = ", complete" if line.state == "done" and test.well and not line.changed else ""
    mend = f"; next to {'write' if test.unwritten else 'mend'}: {test.mend.rstrip('.')}" if test.mend else ""
    return passed + complete + mend + ("; the notebook was edited since" if line.edited else "")


def edited(lines: Sequence[ModuleLine]) -> str:
    """Complete modules whose notebook has moved on: the package has them as they were."""
    names = [line.label for line in lines[:3]] + ([f"{len(lines) - 3} more"] if len(lines) > 3 else [])
    told = " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
    return as_typed(f"{told} {'was' if len(lines) == 1 else 'were'} edited after completion, and your tinytorch has the older code: "
                    f"tito module complete {lines[0].number:02d}")


def milestone(line: MilestoneLine) -> str:
    """How a milestone stands: "passed 2026-10-02", "ready: tito milestone run 2", "missing 06-08"."""
    if line.passed:
        return f"passed {line.passed.when[:10]}"
    return f"missing {spans(line.missing)}" if line.missing else as_typed(f"ready: tito milestone run {line.number}") \
        if line.state == "ready" else line.state


def spans(numbers: Sequence[int]) -> str:
    """ "02, 06-08" """
    found = [[n for _, n in group] for _, group in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0])]
    return ", ".join(f"{run[0]:02d}" if len(run) == 1 else f"{run[0]:02d}-{run[-1]:02d}" for run in found)
