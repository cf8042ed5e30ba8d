"""What can be typed: Typer's commands.  Each one calls a function and shows its result; nothing heavy is imported before."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from tito.cli import completion
from tito.cli.app_author import dev_app
from tito.cli.app_milestone import milestone_app
from tito.cli.app_module import module_app
from tito.cli.app_progress import progress_app
from tito.cli.app_status import status
from tito.cli.typed import EXTRA, NN, NNS, PLAIN, Context, here, show
from tito.course import Course, root_above
from tito.errors import TitoError

GRADING = Path(__file__).parents[2] / "grading"
REPOSITORY = ("init", "demo", "grade", "dev")   # commands of the course repository: last in the help, and not in an edition's

app = typer.Typer(name="tito", help="Build PyTorch yourself, module by module.", **PLAIN)
app.add_typer(module_app)
app.add_typer(milestone_app)
app.add_typer(progress_app)
app.add_typer(dev_app)
app.command()(status)


class _AsTyped:
    """Takes an argument as the text that it is."""

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        return () if value is None and (param.multiple or param.nargs == -1) else value


def command(given: Sequence[str] = (), *, also: Sequence[Any] = ()) -> Any:
    """The whole command, ready to be called with these arguments; `tito grade` is the one of grading/, where that is there.

    also: options that each of its commands is to have besides its own.

    All its arguments are text or flags.  Typer since 0.27 would import pydantic to find that out, which takes longer than everything
    else that `tito` does; a Typer without this private door only starts more slowly.
    """
    whole: Any = typer.main.get_command(app)
    in_an_edition = _in_an_edition()
    if given[:1] == ["grade"] and GRADING.is_dir() and not in_an_edition:
        grading = importlib.import_module("grading.cli")        # by its name: tito itself works without it
        whole.commands["grade"] = typer.main.get_command(grading.grade_app)
    whole.commands = dict(sorted(whole.commands.items(), key=lambda item: item[0] in REPOSITORY))
    for name in REPOSITORY:
        whole.commands[name].hidden |= in_an_edition
    waiting: list[Any] = [whole]
    while waiting:
        each = waiting.pop()
        waiting += getattr(each, "commands", {}).values()
        each.params += also
        for param in each.get_params(Context(each)):            # with --help, which is made here
            param._runtime_param = _AsTyped()
    return whole


def _in_an_edition() -> bool:
    root = root_above(Path.cwd())
    return root is not None and Course(root).is_edition


@app.callback(invoke_without_command=True)
def tito(ctx: Context, version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> int:
    """Where am I, and what comes next."""
    if ctx.invoked_subcommand:
        return 0
    if version:
        from tito.cli.version import installed
        return show(ctx, installed())
    from tito.cli.status import overview
    return show(ctx, overview(Course.find()))


@app.command()
def init(ctx: Context, folder: Annotated[str, typer.Argument(metavar="DIR", help="A new or empty folder.")]) -> int:
    """Make a student edition in a new folder."""
    from tito.cli import course
    with ctx.obj.busy("making a student edition"):
        result = course.init(Path(folder))
    return show(ctx, result)


@app.command("submit")
def submit_(ctx: Context, nn: NN,
            name: Annotated[str, typer.Option("--name", metavar="NAME", help="Whose work it is; remembered for the next time.")] = "",
            to: Annotated[str, typer.Option("--to", metavar="DIR", help="A drop folder; submissions/ by default.")] = "") -> int:
    """Pack a notebook, as it is, into the file that you hand in."""
    from tito.submit import submit
    course, chosen = here(nn)
    return show(ctx, submit(course, chosen, name=name, to=Path(to) if to else None))


@app.command()
def watch(ctx: Context,
          nn: Annotated[str | None, typer.Argument(metavar="NN", help="A module; by default the one that is started.")] = None) -> int:
    """Check a module again whenever its notebook is saved; keys give hints."""
    from tito.watch import loop
    course = Course.find()
    return loop.watch(course, course.module(nn) if nn else loop.current(course), ctx.obj)


@app.command()
def doctor(ctx: Context, fix: Annotated[bool, typer.Option("--fix", help="Mend what can be mended without a loss.")] = False) -> int:
    """Something is wrong?  See what, and what to do; the report has nothing private in it, and can be shown to anybody."""
    from tito.doctor import doctor
    return show(ctx, doctor(Course.find(), fix=fix, say=ctx.obj.note))


@app.command()
def demo(ctx: Context, folder: Annotated[str | None, typer.Argument(metavar="[DIR]", help="Where to build it.")] = None) -> int:
    """See it all: an edition worked through as a student would, and a model trained on real digits."""
    from tito.cli import course
    with ctx.obj.aside():
        result = course.demo(Path(folder) if folder else None)
    return show(ctx, result)


@app.command(hidden=not GRADING.is_dir(), context_settings={"ignore_unknown_options": True, **EXTRA})
def grade(ctx: Context) -> int:
    """For instructors: hand out, collect, grade, give feedback."""
    from tito.cli import course
    course.repository("grade")
    raise TitoError("grading is not part of this copy", why="there is no grading/ folder", fix="see what there is with: tito --help")


@app.command("completion")
def completion_(ctx: Context,
                shell: Annotated[str, typer.Argument(metavar="SHELL", autocompletion=completion.shells,
                                                     help="bash, zsh, fish or powershell.")]) -> int:
    """Print the script with which a shell completes commands, options and modules; how it is installed goes to stderr."""
    result = completion.script(shell)
    code = show(ctx, result)
    ctx.obj.note(f"to have it in every {shell}, type this once:\n\n{result.data['install']}")
    return code


@app.command()
def bench(ctx: Context, nn: NNS = None) -> int:
    """Measure your library beside NumPy, beside torch where it is installed, and beside the last time."""
    from tito.cli import bench
    with ctx.obj.busy("measuring"):
        result = bench.run(Course.find(), list(nn or ()))
    return show(ctx, result)
