"""How results look: as lines of styled text, at most so many columns wide where the words allow it."""

from __future__ import annotations

import textwrap
from functools import singledispatch
from typing import Any

from tito.cli.results import (
    Completed,
    Examined,
    Hinted,
    Kept,
    ModuleLine,
    ModuleList,
    Opened,
    Overview,
    Report,
    Restored,
    Tested,
    Watched,
    number,
    wrong,
)
from tito.cli.results_runs import Benched, MilestoneLine, MilestoneList, MilestoneRun
from tito.cli.status_words import milestone, sentences
from tito.errors import ExitCode
from tito.ui import Line, as_typed

STYLES = {"passed": "green", "failed": "bold red", "error": "bold red", "timeout": "bold red", "skipped": "yellow", "infra": "bold magenta",
          "ok": "green", "mended": "cyan", "warning": "yellow", "problem": "bold red",
          "unwritten": "yellow", "done": "green", "started": "cyan", "next": "bold", "ready": "bold",
          "locked": "dim", "source": ""}
WORDS = {"unwritten": "to write"}


@singledispatch
def render(result: Any, width: int) -> list[Line]:
    """A result as lines of styled text, at most `width` columns wide where the words allow it."""
    raise TypeError(f"nothing says how a {type(result).__name__} looks")


@render.register
def _(result: Overview, width: int) -> list[Line]:
    kind = "student edition" if result.edition else "course repository"
    lines = [[(result.title, "bold")], _plain(f"{kind} in {result.root}")]
    lines += [_plain(line) for text in sentences(result, width) for line in textwrap.wrap(text, width, subsequent_indent="  ")]
    if result.detailed:
        lines += [_plain(""), *_module_lines(result.modules, width)]
    if result.milestones:
        lines += [_plain(""), *_milestone_lines(result.milestones, width)]
    if result.rebuilt:
        lines += [_plain(""), _plain("progress was rebuilt from the notebooks and the package")]
    lines += [_plain(f"kept aside: {name}") for name in result.aside]
    return lines + _next(result.next)


@render.register
def _(result: ModuleList, width: int) -> list[Line]:
    return _module_lines(result.modules, width)


@render.register
def _(result: Opened, width: int) -> list[Line]:
    lines = []
    if result.restored:
        lines.append(_plain("the notebook was missing: the released one was put in its place"))
    verb = "opening" if result.lab else "ready:"
    lines.append([("module ", ""), (result.label, "bold"), (f", {verb} {result.path.as_posix()}", "")])
    return lines + _next(result.next)


@render.register
def _(result: Tested, width: int) -> list[Line]:
    return [*_rows(result.verdict.rows, width), *_notes(result.notes, width), *_cards(result.verdict, width, every=result.every_card),
            *_troubles(result.verdict, width), *_total(result.label, result.verdict), *_stuck(result), *_next(result.next)]


@render.register
def _(result: Watched, width: int) -> list[Line]:
    carried = f", {result.of - result.again} of {result.of} checks as before" if result.again < result.of else ""
    return [*render(result.tested, width), _plain(""), [(f"saved at {result.saved}, checked in {result.seconds:.1f} s{carried}", "dim")],
            [(result.keys, "dim")]]


@render.register
def _(result: Completed, width: int) -> list[Line]:
    if result.exported:
        points = _points(result.verdict.points, result.verdict.max_points)
        lines = [[("complete", "green"), (f"  {result.label}  {points} points", "")]]
        lines += [_plain(f"          {name}") for name in result.changed or (f"{result.exported} (as it was)",)]
        return [*_notes(result.notes, width), *lines, *_next(result.next)]
    head = _rows(result.verdict.rows, width) if not result.problems else []
    problems = [[("error  " if i == 0 else "       ", STYLES["error"]), (line, "")]
                for text in result.problems for i, line in enumerate(textwrap.wrap(text, width - 7))]
    cards = _cards(result.verdict, width, every=False) + _troubles(result.verdict, width) if not result.problems else []
    last = [_plain(""), _plain(f"{result.label} is not complete; nothing was changed")]
    return [*head, *_notes(result.notes, width), *cards, *problems, *last, *_next(result.next)]


@render.register
def _(result: Restored, width: int) -> list[Line]:
    lines = [[("module ", ""), (result.label, "bold"), (f": {result.what}", "")]]
    lines += [_plain(f"  brought back  {path}") for path in result.restored]
    lines += [_plain(f"  removed       {path}") for path in result.removed]
    return lines + _next(result.next)


@render.register
def _(result: Kept, width: int) -> list[Line]:
    lines: list[Line] = []
    for version in result.versions:
        by = f"{version.action} on another machine" if version.elsewhere else version.action
        lines += [[(version.name, "bold")], _plain(f"  replaced by {by}, {version.shown} ({version.ago})"),
                  *(_plain(f"  {path}") for path in version.files or ("progress only",))]
        lines += [_plain(f"  {version.differs}")] if version.differs else []
        lines += [_plain(f"  beside it: {path}") for path in version.beside]
    if not lines:
        return [_plain(f"nothing is kept of {result.label} yet")]
    return [*lines, _plain(as_typed(f"bring one back with: tito module undo {result.label[:2]} --to NAME"))]


@render.register
def _(result: Hinted, width: int) -> list[Line]:
    from tito.cli.render_hint import hint_lines  # no other result has Markdown or code in it
    return hint_lines(result, width) + _next(result.next)


@render.register
def _(result: Examined, width: int) -> list[Line]:
    lines = [_plain(line) for text in _about(result.facts) for line in textwrap.wrap(text, width, subsequent_indent="  ")] + [_plain("")]
    for check in result.checks:
        words = as_typed("; ".join(filter(None, [f"{check['name']}: {check['text']}", check["fix"]])))
        first, *more = textwrap.wrap(words, width - 9, break_long_words=False, break_on_hyphens=False)
        lines += [[(f"{check['state']:<8} ", STYLES[check["state"]]), (first, "")], *(_plain(" " * 9 + line) for line in more)]
    counts = [f"{n} {state}{'s' * (n != 1 and state != 'mended')}" for state, n in result.states.items() if n and state != "ok"]
    return [*lines, _plain(""), _plain(", ".join(counts) or "all is well"), *_next(result.next)]


def _about(facts: dict[str, Any]) -> list[str]:
    """The machine and the course in three lines."""
    done, begun = (", ".join(f"{n:02d}" for n in facts[key]) or "none" for key in ("completed", "started"))
    return [f"tito {facts['tito']}, Python {facts['python']}, {facts['system']}",
            ", ".join(f"{name} {version}" for name, version in facts["packages"].items()),
            f"{facts['course']}, {facts['kind']}; complete: {done}; started: {begun}"]


@render.register
def _(result: Report, width: int) -> list[Line]:
    return [*([_plain(result.what)] if result.what else []), *map(_plain, result.lines), *_next(result.next)]


@render.register
def _(result: MilestoneList, width: int) -> list[Line]:
    lines: list[Line] = []
    longest = max((len(m.name) for m in result.milestones), default=0)
    for m in result.milestones:
        needs = f"needs {m.needs[0]:02d}-{m.needs[-1]:02d}" if m.needs else "needs nothing"
        left = f"{m.number} {m.name:<{longest}}  {m.year}  {needs}  "
        lines.append([(left, ""), (f"{m.state:<6}", STYLES[m.state]),
                      ("  " + textwrap.shorten(m.title, max(width - len(left) - 8, 20), placeholder=" ..."), "")])
        more = [f"{m.passed.when[:10]}: {'; '.join(m.passed.bars)}"] if m.passed else \
            ["missing: " + ", ".join(f"{n:02d}" for n in m.missing)] if m.missing else []
        lines += [_plain(line) for text in more for line in textwrap.wrap(text, width, initial_indent="  ", subsequent_indent="    ")]
    return lines


@render.register
def _(result: MilestoneRun, width: int) -> list[Line]:
    note = [_plain(f"note: {result.note}")] if result.note else []
    return [_plain(""), [("milestone ", ""), (result.label, "bold"), (" passed", "green")], *note, *_next(result.next)] \
        if result.code == 0 else _next(result.next)


@render.register
def _(result: Benched, width: int) -> list[Line]:
    longest = max(len(row.title) for row in result.rows)
    lines = [[(f"{'':<{longest + 4}}{'yours':>9}{'/ NumPy':>14}{'/ torch':>8}{'before':>8}", "dim")]]
    for row in result.rows:
        left = f"{row.number:02d}  {row.title:<{longest}}"
        if row.error:
            lines += [[(left + "  ", ""), ("error", STYLES["error"])], *map(_plain, textwrap.wrap(row.error, width, initial_indent=" " * 4,
                                                                                              subsequent_indent=" " * 6))]
            continue
        torch, before = (f"{value:.3g}" if value else "" for value in (row.over_torch, row.before))
        lines.append([(f"{left}{_seconds(row.ours):>9}{f'{row.over_numpy:.3g} ± {row.spread:.2g}':>14}{torch:>8}{before:>8}", ""),
                      (f"  {row.change}" if row.change else "", "green" if row.change == "faster" else "yellow")])
    beside = f"NumPy {result.numpy}, {f'torch {result.torch}' if result.torch else 'torch is not installed'}; one thread, processor time"
    return [*lines, _plain(""), _plain(beside), _plain("/ is how many times as long: below 1 yours is faster; ± is the spread"),
            *_notes((result.note,) if result.note else (), width)]


def _seconds(seconds: float | None) -> str:
    """Seconds in a unit that fits."""
    value = seconds or 0.0
    factor, unit = next(((f, u) for f, u in ((1.0, "s"), (1e3, "ms"), (1e6, "us")) if value * f >= 1), (1e9, "ns"))
    return f"{value * factor:.3g} {unit}"


def _module_lines(modules: tuple[ModuleLine, ...], width: int) -> list[Line]:
    longest = max((len(m.name) for m in modules), default=0)
    return [[(f"{m.number:02d} {m.name:<{longest}}  ", ""), (f"{m.state:<7}", STYLES[m.state]),
             (f"  {_points(m.points, m.max_points):>9} points" + _since(m), "")] for m in modules]


def _since(line: ModuleLine) -> str:
    """How its last test went, as long as it is not complete, and whether it was edited after that."""
    passed = f"  {line.tested.passed} of {line.tested.of} checks" if line.tested and line.state != "done" else ""
    return passed + ("  edited since" if line.changed or passed and line.edited else "")


def _milestone_lines(milestones: tuple[MilestoneLine, ...], width: int) -> list[Line]:
    longest = max(len(m.name) for m in milestones)
    return [[(f"{m.year} milestone {m.number} {m.name:<{longest}}  ", ""), (milestone(m), STYLES[m.state])] for m in milestones]


def _rows(rows: Any, width: int) -> list[Line]:
    lines: list[Line] = []
    for row in rows:
        word = "unwritten" if row.unwritten else row.state
        points = f"{number(row.points)}/{number(row.max_points)}"
        sentence = textwrap.shorten(row.sentence or row.grade_id, width - 18, placeholder=" ...")
        lines.append([(f"{WORDS.get(word, word):<8}", STYLES.get(word, "")), (f"  {points:>6}  {sentence}", "")])
    return lines


def _cards(verdict: Any, width: int, *, every: bool) -> list[Line]:
    """The first card in full and one line for each of the others; all of them in full where `every`."""
    rows = wrong(verdict)
    skipped = sum(row.state == "skipped" for row in verdict.rows)
    full, brief = (rows, []) if every else (rows[:1], rows[1:])
    lines = [line for row in full for line in ([_plain("")] + [_plain(text) for text in row.card(width=min(width, 80))])]
    if brief or skipped:
        lines.append(_plain(""))
    for row in brief:
        text = row.hint or row.check or row.sentence
        lines.append(_plain(textwrap.shorten(f"also {row.grade_id}: {text}", width, placeholder=" ...")))
    if skipped:
        lines.append(_plain(f"{skipped} skipped: what {'they use' if skipped > 1 else 'it uses'} comes first"))
    return lines


def _troubles(verdict: Any, width: int) -> list[Line]:
    lines: list[Line] = []
    for trouble in verdict.troubles:
        where = f"cell {trouble.cell}" + (f" ({trouble.heading})" if trouble.heading else "")
        where += f", line {trouble.line}" if trouble.line else ""
        text = textwrap.wrap(f"{where} raised {trouble.error}", width, subsequent_indent="  ", max_lines=3, placeholder=" ...")
        lines += [_plain(line) for line in text]
    return [_plain(""), *lines] if lines else []


def _total(label: str, verdict: Any) -> list[Line]:
    manual = f", and {number(verdict.manual_points)} for written answers" if verdict.manual_points else ""
    return [_plain(""), [(label, "bold"), (f"  {_points(verdict.points, verdict.max_points)} points{manual}", "")]]


def _notes(notes: tuple[str, ...], width: int) -> list[Line]:
    return [_plain(line) for note in notes for line in textwrap.wrap(f"note: {note}", width, subsequent_indent="      ")]


def _stuck(result: Tested) -> list[Line]:
    """Where help is, for who has had the first card."""
    mistaken = result.code == ExitCode.CHECKS_FAILED and not all(row.unwritten for row in wrong(result.verdict))
    return [[("stuck? ", ""), (as_typed(f"tito module hint {result.label[:2]}"), "")]] if mistaken else []


def _next(command: str) -> list[Line]:
    return [[("next: ", ""), (as_typed(command), "bold")]] if command else []


def _points(earned: float, most: float) -> str:
    return f"{number(earned)} of {number(most)}"


def _plain(text: str) -> Line:
    return [(text, "")]
