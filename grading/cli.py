"""`tito grade`: each command opens the term, calls one function, and shows the report that it returns."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from grading.term import Term
from tito.cli.course import repository
from tito.cli.results import Report
from tito.cli.typed import EXTRA, PLAIN
from tito.course import Module
from tito.errors import TitoError

grade_app = typer.Typer(name="grade", help="Hand out, collect, grade, give feedback: an instructor's term.", **PLAIN)
Context = typer.Context
Progress = Callable[[int, int, str], None]
Nn = Annotated[str, typer.Option("--module", "-m", metavar="NN", help="Only this module.")]
Who = Annotated[str, typer.Option("--student", "-s", metavar="ID", help="Only this student.")]
NNS = Annotated[list[str] | None, typer.Argument(metavar="[NN]...", help="Modules; all by default.")]


def _term() -> Term:
    return Term.open(repository("grade"))


def _module(term: Term, text: str) -> Module | None:
    return term.course.module(text) if text else None


def _modules(term: Term, names: list[str] | None, module: str) -> tuple[Module, ...]:
    """The modules that are named, either way."""
    return tuple(term.course.module(name) for name in [*(names or ()), *filter(None, [module])])


def _student(term: Term, student: str) -> str:
    if student and term.students and student not in term.students:
        import difflib
        near = difflib.get_close_matches(student, term.students, 1)
        raise TitoError(f"nobody in students.csv has the id '{student}'", fix=f"did you mean {near[0]}?" if near else
                        f"look it up in {term.path('students.csv')}")
    return student


def _show(ctx: Context, work: Callable[[Progress], Report]) -> int:
    with ctx.obj.progress() as progress:
        report = work(progress)
    ctx.obj.show(report, " ".join(ctx.command_path.split()[1:]))
    return int(report.code)


@grade_app.command()
def init(ctx: Context) -> int:
    """Make the folder that settings.ini names: for submissions, results and the gradebook."""
    term = Term.of(repository("grade"))
    made = term.create()
    lines = tuple(f"  {name}" for name in made) if made else ("  nothing was missing",)
    return _show(ctx, lambda _: Report(f"the term of {term.settings.course.id} is in {term.folder}", lines,
                                       {"folder": str(term.folder), "made": made}, "" if not made else "tito grade generate"))


@grade_app.command()
def generate(ctx: Context, nn: NNS = None, module: Nn = "") -> int:
    """Make assignments of modules: the notebooks, the probes and the answers as they are now are what work is judged by."""
    from grading.author.generate import generate
    term = _term()
    return _show(ctx, lambda progress: generate(term, _modules(term, nn, module) or term.course.modules, progress=progress))


@grade_app.command()
def release(ctx: Context, nn: NNS = None, module: Nn = "",
            to: Annotated[str, typer.Option("--to", metavar="DIR", help="A new folder, in place of a zip.")] = "",
            untried: Annotated[bool, typer.Option("--untried", help="Without the rehearsal.")] = False) -> int:
    """Rehearse the assignments, then make the edition that students get."""
    from grading.author.release import release
    term = _term()
    modules = _modules(term, nn, module) or term.modules()

    def work(progress: Progress) -> Report:
        if not untried:
            from grading.author.rehearsal import refuse
            refuse(term, modules, progress=progress)
        return release(term, modules, to=Path(to) if to else None)

    return _show(ctx, work)


@grade_app.command()
def answers(ctx: Context, nn: NNS = None, module: Nn = "",
            to: Annotated[str, typer.Option("--to", metavar="DIR", help="Where to; build/answers by default.")] = "") -> int:
    """The reference solutions, for an edition's answers/: shown there beside a student's own when all checks pass."""
    from grading.author.answers import answers
    course = repository("grade")
    chosen = [course.module(name) for name in [*(nn or ()), *filter(None, [module])]] or course.modules
    return _show(ctx, lambda _: answers(course, chosen, to=Path(to) if to else None))


@grade_app.command()
def collect(ctx: Context, source: Annotated[list[str], typer.Argument(metavar="PATH...", help="Folders, zips, notebooks.")],
            module: Nn = "", student: Who = "",
            received: Annotated[str, typer.Option("--received", metavar="TIME", help="When, as 2027-01-18T17:30; else as the files say.")]
            = "") -> int:
    """Take in what was handed in: a folder, the zip of an LMS, or the zips of `tito submit`."""
    from grading.intake.collect import collect
    term = _term()
    chosen, who, when = _module(term, module), _student(term, student), _time(term, received)
    paths = [Path(s) for s in source]
    return _show(ctx, lambda progress: collect(term, paths, module=chosen, student=who, received=when, progress=progress))


def _time(term: Term, text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text) if text else None
    except ValueError:
        raise TitoError(f"--received {text} is not a time", fix="for example: --received 2027-01-18T17:30") from None
    return moment.replace(tzinfo=term.settings.deadlines.timezone) if moment and moment.tzinfo is None else moment


@grade_app.command()
def autograde(ctx: Context, module: Nn = "", student: Who = "",
              again: Annotated[bool, typer.Option("--again", help="Also what is judged already.")] = False,
              unsafe: Annotated[bool, typer.Option("--unsafe", help="Without a sandbox: students' code may do whatever you may.")] = False,
              workers: Annotated[str, typer.Option("--workers", metavar="N", help="At once; as many as processors by default.")] = "",
              cluster: Annotated[str, typer.Option("--cluster", metavar="URL", help="A Dask scheduler, in place of settings.ini's.")] = "",
              ) -> int:
    """Judge what was collected, each submission in a sandbox, and record it in the gradebook."""
    from grading.run.autograde import autograde
    from grading.run.jobs import chosen
    from grading.sandbox import choose
    term = _term()
    if workers and (not workers.isdecimal() or not int(workers)):
        raise TitoError(f"--workers {workers} is not a number from 1 on", fix="for example: --workers 4")
    sandbox = choose(term.settings.grading, unsafe=unsafe)
    students = {_student(term, student)} if student else None

    def work(progress: Progress) -> Report:
        with chosen(cluster or term.settings.cluster.address, int(workers or 0)) as jobs:
            return autograde(term, term.modules(_module(term, module)), students=students, jobs=jobs, sandbox=sandbox, force=again,
                             progress=progress)

    return _show(ctx, work)


@grade_app.command()
def feedback(ctx: Context, module: Nn = "", student: Who = "") -> int:
    """A page for each student and module, with the same cards that they see at home."""
    from grading.tell import feedback
    term = _term()
    return _show(ctx, lambda progress: feedback(term, _module(term, module), student=_student(term, student), progress=progress))


@grade_app.command()
def report(ctx: Context, module: Nn = "") -> int:
    """One page for you: who stands where, which checks fail, what is late or waits."""
    from grading.tell import report
    term = _term()
    return _show(ctx, lambda _: report(term, _module(term, module)))


@grade_app.command()
def export(ctx: Context, module: Nn = "", student: Who = "",
           format: Annotated[str, typer.Option("--format", help="csv, canvas, moodle or gradescope.")] = "csv",
           to: Annotated[str, typer.Option("--to", metavar="DIR", help="Where to; the term's exports/ by default.")] = "",
           zeros: Annotated[bool, typer.Option("--zeros", help="What was not handed in is a 0, at the end of a term.")] = False,
           bom: Annotated[bool, typer.Option("--bom", help="With the mark by which Excel knows UTF-8.")] = False) -> int:
    """The points, with lateness and extensions reckoned anew, for an LMS or a spreadsheet."""
    from grading.tell import export
    term = _term()
    return _show(ctx, lambda _: export(term, _module(term, module), student=_student(term, student), form=format,
                                       to=Path(to) if to else None, zeros=zeros, bom=bom))


@grade_app.command()
def regrade(ctx: Context, nn: Annotated[str, typer.Argument(metavar="NN")],
            preview: Annotated[bool, typer.Option("--preview", help="Only say who would move, by how much and why.")] = False,
            undo: Annotated[bool, typer.Option("--undo", help="Take the last regrade back, exactly.")] = False,
            unsafe: Annotated[bool, typer.Option("--unsafe", help="Without a sandbox.")] = False) -> int:
    """Judge a module's submissions by its checks as they are now: see who moves, then apply it."""
    from grading import regrade as again
    from grading.run.jobs import chosen
    from grading.sandbox import choose
    term = _term()
    module = term.course.module(nn)
    if undo:
        return _show(ctx, lambda _: again.undo(term, module))
    sandbox = choose(term.settings.grading, unsafe=unsafe)

    def work(progress: Progress) -> Report:
        with chosen(term.settings.cluster.address, 0) as jobs:
            return again.regrade(term, module, preview=preview, jobs=jobs, sandbox=sandbox, progress=progress)

    return _show(ctx, work)


@grade_app.command()
def doctor(ctx: Context, module: Nn = "",
           everything: Annotated[bool, typer.Option("--all", help="Rehearse every assignment, too.")] = False,
           fix: Annotated[bool, typer.Option("--fix", help="Set right what can be without a loss.")] = False) -> int:
    """Is everything fit for grading: the machine, the term, and with --module or --all the assignments?"""
    from grading.doctor import doctor
    course = repository("grade")
    chosen = course.modules if everything else (course.module(module),) if module else ()
    return _show(ctx, lambda progress: doctor(course, chosen, fix=fix, progress=progress))


@grade_app.command(context_settings=EXTRA)
def formgrader(ctx: Context, no_browser: Annotated[bool, typer.Option("--no-browser", help="Only print the address.")] = False,
               port: Annotated[str, typer.Option("--port", help="Of the page; any free one by default.")] = "") -> int:
    """Grade written answers in nbgrader's formgrader; JupyterLab's own options may follow after `--`."""
    from grading.book.formgrader import formgrader
    if port and not port.isdecimal():
        raise TitoError(f"--port {port} is not a number", fix="for example: --port 8888")
    return formgrader(_term(), browser=not no_browser, port=int(port or 0), options=ctx.args, say=ctx.obj.note)


