"""The commands of the course repository as functions: the author's half, imported when it is called."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tito.cli.results import Report
from tito.course import Course
from tito.errors import ExitCode, TitoError
from tito.settings import read_settings


def repository(command: str) -> Course:
    """The course repository.  TitoError in a student edition, which has no author's half."""
    course = Course.find()
    if course.is_edition:
        raise TitoError(f"tito {command} belongs to the course repository; this is a student edition", fix="see where you are with: tito")
    return course


def init(target: Path) -> Report:
    """Make a student edition in a new folder."""
    course = repository("init")
    from tito.dev.edition import make_edition
    read_settings(course.root / "settings.ini")
    make_edition(course, target)
    path = target.resolve()
    shown = f'"{target}"' if " " in str(target) else str(target)
    return Report(f"a student edition of {len(course.modules)} modules is in {path}", data={"edition": str(path)},
                  next=f"cd {shown} && python3 -m tito")


def export(*, check: bool) -> Report:
    """Export every module to tinytorch/, or say which files are not a fresh export."""
    course = repository("dev export")
    from tito.export import export_course
    changed = [path.as_posix() for path in export_course(course, check=check)]
    lines = tuple(f"  {path}" for path in changed)
    if check and changed:
        return Report("tinytorch/ is not a fresh export", lines, {"stale": changed}, "tito dev export", ExitCode.INTEGRITY)
    what = f"exported {len(changed)} file{'s' if len(changed) > 1 else ''}" if changed else "tinytorch/ is a fresh export"
    return Report(what, lines, {"changed": changed})


def lint(names: list[str]) -> Report:
    """Look for what breaks the pipeline: file, line and mend."""
    course = repository("dev lint")
    from tito.dev.lint import lint as lint_module
    read_settings(course.root / "settings.ini")
    modules = [course.module(name) for name in names] or list(course.modules)
    problems = [p for module in modules for p in lint_module(course, module)]
    lines = [f"{_shown(course, p.path)}:{p.line}: {'warning: ' if p.warning else ''}{p.message}; {p.fix}" for p in problems]
    data = {"problems": [{"path": _shown(course, p.path), "line": p.line, "message": p.message, "fix": p.fix, "warning": p.warning}
                         for p in problems]}
    what = "" if problems else f"{len(modules)} modules, nothing to mend"
    return Report(what, tuple(lines), data, code=ExitCode.CHECKS_FAILED if any(not p.warning for p in problems) else ExitCode.OK)


def test(arguments: list[str]) -> Report:
    """Run the project's linters and tests, which print as they go."""
    course = repository("dev test")
    from tito.dev.testing import run_tests
    return Report("", code=_known(run_tests(course, arguments)))


def check(names: list[str], *, everything: bool, seed: int, again: bool, write: bool,
          progress: Callable[[int, int, str], None]) -> Report:
    """Try wrong answers on the modules' checks; only what changed in full, unless modules are named or `everything` is asked for."""
    course = repository("dev check")
    from tito.dev.checks import report, run
    from tito.parsing import parsing_in_turn
    modules = [course.module(name) for name in names] or list(course.modules)
    if write and (names or not everything):
        raise TitoError("--write is for the whole course", fix="tito dev check --all --write")
    known = {} if everything or names else run.load(course.root / run.RESULTS)
    with parsing_in_turn():
        audits = run.check(course, modules, known=known, seed=seed, again=again, progress=progress)
    if write:
        run.write(course, audits)
    bad = [a.module for a in audits if any(a.problems())]
    data = {"modules": [a.to_dict() for a in audits]}
    return Report("", (*report.table(audits), *report.problems(audits)), data, code=ExitCode.CHECKS_FAILED if bad else ExitCode.OK)


def demo(target: Path | None) -> Report:
    """Build an edition, work through it as a student would, train on real digits; it prints as it goes."""
    course = repository("demo")
    from tito.dev.demo import demo as run_demo
    return Report("", code=_known(run_demo(course, target)))


def _known(code: int | None) -> ExitCode:
    """A program's exit code as one of ours: whatever is not known is a failure."""
    return ExitCode(code or 0) if (code or 0) in set(ExitCode) else ExitCode.CHECKS_FAILED


def _shown(course: Course, path: Path) -> str:
    return path.relative_to(course.root).as_posix() if path.is_absolute() and path.is_relative_to(course.root) else path.as_posix()
