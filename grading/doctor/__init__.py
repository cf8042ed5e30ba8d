"""Is everything fit for grading: the machine, the term, and where it is asked, the assignments?  Looks, and changes nothing unasked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from grading.doctor import data, machine
from grading.term import SECRET, Term
from tito.cli.results import Report
from tito.course import Course, Module
from tito.doctor.check import OK, PROBLEM, WARNING, Check, fine, guarded, problem, spoilt, warning
from tito.errors import ExitCode, TitoError

__all__ = ["doctor"]
Progress = Callable[[int, int, str], None]


def doctor(of: Term | Course, modules: Sequence[Module] = (), *, fix: bool = False,
           progress: Progress = lambda done, total, what: None) -> Report:
    """One line for each thing that was looked at; `modules` are rehearsed, too.  `fix` sets right what can be without a loss.

    The report has no names, no addresses and no points in it: ids alone.
    """
    found: list[Check] = []
    try:
        term = of if isinstance(of, Term) else Term.of(of)
    except TitoError as err:
        found.append(problem("settings", ": ".join(filter(None, [err.what, err.why])), err.fix, ExitCode.INTEGRITY))
        return _report(found)
    looks = list(_looks(term, modules, fix))
    for done, (name, look) in enumerate(looks):
        progress(done, len(looks), name)
        found += guarded(name, look, extra="grading")
    progress(len(looks), len(looks), "")
    return _report(found)


def _looks(term: Term, modules: Sequence[Module], mend: bool) -> Iterator[tuple[str, Callable[[], Iterator[Check]]]]:
    for on_machine in machine.LOOKS:
        yield on_machine.__name__, partial(on_machine, term)
    visit = data.Visit(term, mend)
    yield "term", partial(_term, visit)
    if term.path(SECRET).is_file() or mend:
        for on_data in data.LOOKS:
            yield on_data.__name__, partial(on_data, visit)
    for module in modules:
        yield module.label, partial(_rehearsed, term, module)


def _term(visit: data.Visit) -> Iterator[Check]:
    """There is one, with the tables that an instructor edits."""
    term = visit.term
    if visit.mend:
        made = term.create()
        yield fine("term", f"{term.folder}" + (f"; made: {', '.join(made)}" if made else ""))
    elif term.path(SECRET).is_file():
        yield fine("term", f"{term.folder}")
    else:
        yield problem("term", f"there is none in {term.folder}", "tito grade init")


def _rehearsed(term: Term, module: Module) -> Iterator[Check]:
    from grading.author.rehearsal import rehearse
    faults = rehearse(term, module)
    for fault in faults:
        yield spoilt(module.label, str(fault), "") if fault.blocks else warning(module.label, str(fault))
    if not faults:
        yield fine(module.label, "the rehearsal found no fault")


def _report(found: Sequence[Check]) -> Report:
    problems, warnings = ([c for c in found if c.state == state] for state in (PROBLEM, WARNING))
    code = ExitCode.INTEGRITY if any(c.code is ExitCode.INTEGRITY for c in problems) else ExitCode.ENVIRONMENT if problems else ExitCode.OK
    what = f"{len(problems)} problem{'s' * (len(problems) != 1)}, {len(warnings)} warning{'s' * (len(warnings) != 1)}"
    if not problems:
        what = f"fit for grading; {what}" if warnings else "fit for grading"
    states = {state: sum(c.state == state for c in found) for state in (OK, WARNING, PROBLEM)}
    return Report(what, tuple(map(str, found)), {"checks": [c.to_dict() for c in found], "states": states},
                  next((c.fix for c in (*problems, *warnings) if c.fix.startswith("tito ")), ""), code)
