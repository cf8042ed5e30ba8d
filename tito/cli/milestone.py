"""The `tito milestone` commands as functions: a course in, a typed result out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tito import milestones
from tito import state as progress
from tito.cli.module import next_command
from tito.cli.results_runs import MilestoneLine, MilestoneList, MilestoneRun
from tito.course import Course
from tito.errors import ExitCode


def milestone_list(course: Course) -> MilestoneList:
    """Every milestone: what it needs, what of that is missing, whether it was passed."""
    lines = []
    for s in milestones.standings(course, progress.load(course)):
        year, title = s.milestone.heading
        lines.append(MilestoneLine(s.milestone.number, s.milestone.name, year, title, s.needs, s.missing, s.word, s.passed))
    return MilestoneList(tuple(lines))


def run(course: Course, text: str, *, seed: int, output: Path | None, options: Sequence[str] = ()) -> MilestoneRun:
    """Run a milestone; one that is passed is recorded, and stays so."""
    milestone = milestones.find(course, text)
    state = progress.load(course)
    milestones.require(course, state, milestones.standing(course, state, milestone))
    output = (output or course.root / "build" / "milestones").absolute()
    code, data = milestones.run(course, milestone, seed=seed, output=output, options=options)
    if code != ExitCode.OK:
        return MilestoneRun(milestone.label, data, "", "", code)
    note = milestones.record(course, milestone, data)
    state = progress.load(course)
    ahead = milestones.reachable(course, state)
    command = f"tito milestone run {ahead.number}" if ahead else next_command(course, state) if course.is_edition else ""
    return MilestoneRun(milestone.label, data, note, command, code)
