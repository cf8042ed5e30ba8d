"""`tito module`: what can be typed of one module."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tito.cli.app_status import status
from tito.cli.typed import EXTRA, NN, PLAIN, Context, here, show
from tito.course import Course
from tito.errors import ExitCode, TitoError

module_app = typer.Typer(name="module", help="Work on a module: start, test, hint, complete, reset, undo, history.", **PLAIN)
module_app.command()(status)


@module_app.command("list")
def list_(ctx: Context) -> int:
    """Every module: number, name, state, points."""
    from tito.cli import module
    return show(ctx, module.module_list(Course.find()))


@module_app.command(context_settings=EXTRA)
def start(ctx: Context, nn: NN, no_open: Annotated[bool, typer.Option("--no-open", help="Only prepare the notebook.")] = False) -> int:
    """Begin a module: its notebook opens in JupyterLab, whose own options may follow after `--`."""
    from tito.cli import lab, module
    course, chosen = here(nn)
    if not no_open:
        lab.require()
    return _open(ctx, course, module.start(course, chosen, lab=not no_open))


@module_app.command("open", context_settings=EXTRA)
def open_(ctx: Context, nn: NN, no_open: Annotated[bool, typer.Option("--no-open", help="Only say which file it is.")] = False) -> int:
    """Open a module's notebook in JupyterLab, whose own options may follow after `--`."""
    from tito.cli import module
    course, chosen = here(nn)
    return _open(ctx, course, module.opened(course, chosen, lab=not no_open))


def _open(ctx: Context, course: Course, result: Any) -> int:
    from tito.cli import lab
    code = show(ctx, result)
    with ctx.obj.aside():
        ended = lab.run(course, result.path, ctx.args, ctx.obj.note) if result.lab else 0
    if ended != 0:
        again = f"tito module open {result.label[:2]}"
        raise TitoError("JupyterLab ended with an error", why="its own messages are above", code=ExitCode.ENVIRONMENT,
                        fix=f"try again; its own options stand after two dashes, such as: {again} -- --no-browser --port 9999")
    return code


@module_app.command()
def test(ctx: Context, nn: NN, every: Annotated[bool, typer.Option("--all", help="Show every card in full.")] = False) -> int:
    """Check a module: one line for each check, and a card for the first that fails."""
    from tito.cli import module
    course, chosen = here(nn)
    with ctx.obj.busy(f"checking {chosen.label}"):
        result = module.test(course, chosen, every_card=every)
    return show(ctx, result)


@module_app.command()
def hint(ctx: Context, nn: NN,
         check: Annotated[str, typer.Argument(metavar="CHECK", help="By its name; else the first that fails.")] = "",
         every: Annotated[bool, typer.Option("--all", help="Show all hints at once.")] = False) -> int:
    """Help with the check that fails: what went wrong, the idea, the shape of the answer; one more each time."""
    from tito.cli.hint import hint as hinted
    course, chosen = here(nn)
    with ctx.obj.busy(f"checking {chosen.label}"):
        result = hinted(course, chosen, check, every=every)
    return show(ctx, result)


@module_app.command()
def complete(ctx: Context, nn: NN) -> int:
    """Check a module, export it to your tinytorch, and record it: all of it or nothing."""
    from tito.cli import module
    course, chosen = here(nn)
    with ctx.obj.busy(f"completing {chosen.label}"):
        result = module.complete(course, chosen)
    return show(ctx, result)


@module_app.command()
def reset(ctx: Context, nn: NN, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False) -> int:
    """Begin again with the released notebook; yours is kept."""
    from tito.cli import module
    course, chosen = here(nn)
    return show(ctx, module.reset(course, chosen, yes=yes, ask=ctx.obj.confirm))


@module_app.command()
def undo(ctx: Context, nn: NN, list_only: Annotated[bool, typer.Option("--list", help="List the kept versions.")] = False,
         to: Annotated[str, typer.Option("--to", metavar="NAME", help="A kept version, by its name in the history.")] = "") -> int:
    """Bring back what the last command replaced."""
    from tito.cli import history, module
    course, chosen = here(nn)
    return show(ctx, history.kept(course, chosen) if list_only else module.undo(course, chosen, to=to))


@module_app.command()
def history(ctx: Context, nn: NN) -> int:
    """What is kept of a module, newest first: when, by which command, and how it differs from now."""
    from tito.cli import history
    course, chosen = here(nn)
    return show(ctx, history.kept(course, chosen))
