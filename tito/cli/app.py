"""What can be typed: Typer's commands.  Each one calls a function and shows its result; nothing heavy is imported before."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from tito.course import Course, Module, root_above
from tito.errors import ExitCode, TitoError
from tito.ui import Screen

EVERYWHERE = "Everywhere: --json prints the result as JSON, --debug shows the traceback of an error."
PLAIN: dict[str, Any] = {"rich_markup_mode": None, "add_completion": False, "pretty_exceptions_enable": False, "epilog": EVERYWHERE}
EXTRA = {"allow_extra_args": True}              # what stands after `--` is for JupyterLab, pytest, a milestone
NN = Annotated[str, typer.Argument(metavar="NN", help="A module: 1, 01, tensor or 01_tensor.")]
NNS = Annotated[list[str] | None, typer.Argument(metavar="[NN]...", help="Modules; all by default.")]
Context = typer.Context
GRADING = Path(__file__).parents[2] / "grading"

app = typer.Typer(name="tito", help="Build PyTorch yourself, module by module.", **PLAIN)
module_app = typer.Typer(name="module", help="Work on a module: start, test, complete, reset, undo.", **PLAIN)
dev_app = typer.Typer(name="dev", help="For the course's authors: export, lint, test.", **PLAIN)
milestone_app = typer.Typer(name="milestone", help="Run what your library makes possible: list, run.", **PLAIN)
app.add_typer(module_app)
app.add_typer(milestone_app)
app.add_typer(dev_app)


class _AsTyped:
    """Takes an argument as the text that it is."""

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        return () if value is None and (param.multiple or param.nargs == -1) else value


def command(given: Sequence[str] = ()) -> Any:
    """The whole command, ready to be called with these arguments; `tito grade` is the one of grading/, where that is there.

    All its arguments are text or flags.  Typer since 0.27 would import pydantic to find that out, which takes longer than everything
    else that `tito` does; a Typer without this private door only starts more slowly.
    """
    whole: Any = typer.main.get_command(app)
    if given[:1] == ["grade"] and GRADING.is_dir() and not _in_an_edition():
        grading = importlib.import_module("grading.cli")        # by its name: tito itself works without it
        whole.commands["grade"] = typer.main.get_command(grading.grade_app)
    waiting: list[Any] = [whole]
    while waiting:
        each = waiting.pop()
        waiting += getattr(each, "commands", {}).values()
        for param in each.get_params(Context(each)):            # with --help, which is made here
            param._runtime_param = _AsTyped()
    return whole


def _in_an_edition() -> bool:
    root = root_above(Path.cwd())
    return root is not None and Course(root).is_edition


def _show(ctx: Context, result: Any) -> int:
    screen: Screen = ctx.obj
    names = ctx.command_path.split()[1:]
    screen.show(result, " ".join(names))
    return int(result.code)


def _here(text: str) -> tuple[Course, Module]:
    course = Course.find()
    return course, course.module(text)


@app.callback(invoke_without_command=True)
def tito(ctx: Context, version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> int:
    """Where am I, and what comes next."""
    if ctx.invoked_subcommand:
        return 0
    from tito.cli import module
    from tito.cli.version import installed
    return _show(ctx, installed() if version else module.overview(Course.find()))


@app.command()
def init(ctx: Context, folder: Annotated[str, typer.Argument(metavar="DIR", help="A new or empty folder.")]) -> int:
    """Make a student edition in a new folder."""
    from tito.cli import course
    with ctx.obj.busy("making a student edition"):
        result = course.init(Path(folder))
    return _show(ctx, result)


@app.command("submit")
def submit_(ctx: Context, nn: NN,
            name: Annotated[str, typer.Option("--name", metavar="NAME", help="Whose work it is; remembered for the next time.")] = "",
            to: Annotated[str, typer.Option("--to", metavar="DIR", help="A drop folder; submissions/ by default.")] = "") -> int:
    """Pack a notebook, as it is, into the file that you hand in."""
    from tito.submit import submit
    course, chosen = _here(nn)
    return _show(ctx, submit(course, chosen, name=name, to=Path(to) if to else None))


@app.command()
def demo(ctx: Context, folder: Annotated[str | None, typer.Argument(metavar="[DIR]", help="Where to build it.")] = None) -> int:
    """See it all: an edition worked through as a student would, and a model trained on real digits."""
    from tito.cli import course
    with ctx.obj.aside():
        result = course.demo(Path(folder) if folder else None)
    return _show(ctx, result)


@app.command(hidden=not GRADING.is_dir(), context_settings={"ignore_unknown_options": True, **EXTRA})
def grade(ctx: Context) -> int:
    """For instructors: hand out, collect, grade, give feedback."""
    from tito.cli import course
    course.repository("grade")
    raise TitoError("grading is not part of this copy", why="there is no grading/ folder", fix="see what there is with: tito --help")


@module_app.command("list")
def list_(ctx: Context) -> int:
    """Every module: number, name, state, points."""
    from tito.cli import module
    return _show(ctx, module.module_list(Course.find()))


@module_app.command()
def status(ctx: Context,
           rebuild: Annotated[bool, typer.Option("--rebuild", help="Test every notebook and write progress anew.")] = False) -> int:
    """Where am I, module by module."""
    from tito.cli import module
    if not rebuild:
        return _show(ctx, module.overview(Course.find(), detailed=True))
    with ctx.obj.busy("testing every notebook"):
        result = module.rebuild(Course.find())
    return _show(ctx, result)


@module_app.command(context_settings=EXTRA)
def start(ctx: Context, nn: NN, no_open: Annotated[bool, typer.Option("--no-open", help="Only prepare the notebook.")] = False) -> int:
    """Begin a module: its notebook opens in JupyterLab, whose own options may follow after `--`."""
    from tito.cli import lab, module
    course, chosen = _here(nn)
    if not no_open:
        lab.require()
    return _open(ctx, course, module.start(course, chosen, lab=not no_open))


@module_app.command("open", context_settings=EXTRA)
def open_(ctx: Context, nn: NN, no_open: Annotated[bool, typer.Option("--no-open", help="Only say which file it is.")] = False) -> int:
    """Open a module's notebook in JupyterLab, whose own options may follow after `--`."""
    from tito.cli import module
    course, chosen = _here(nn)
    return _open(ctx, course, module.opened(course, chosen, lab=not no_open))


def _open(ctx: Context, course: Course, result: Any) -> int:
    from tito.cli import lab
    code = _show(ctx, result)
    if result.lab and lab.run(course, result.path, ctx.args, ctx.obj.note) != 0:
        again = f"tito module open {result.label[:2]}"
        raise TitoError("JupyterLab ended with an error", why="its own messages are above", code=ExitCode.ENVIRONMENT,
                        fix=f"try again; its own options stand after two dashes, such as: {again} -- --no-browser --port 9999")
    return code


@module_app.command()
def test(ctx: Context, nn: NN, every: Annotated[bool, typer.Option("--all", help="Show every card in full.")] = False) -> int:
    """Check a module: one line for each check, and a card for the first that fails."""
    from tito.cli import module
    course, chosen = _here(nn)
    with ctx.obj.busy(f"checking {chosen.label}"):
        result = module.test(course, chosen, every_card=every)
    return _show(ctx, result)


@module_app.command()
def complete(ctx: Context, nn: NN) -> int:
    """Check a module, export it to your tinytorch, and record it: all of it or nothing."""
    from tito.cli import module
    course, chosen = _here(nn)
    with ctx.obj.busy(f"completing {chosen.label}"):
        result = module.complete(course, chosen)
    return _show(ctx, result)


@module_app.command()
def reset(ctx: Context, nn: NN, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False) -> int:
    """Begin again with the released notebook; yours is kept."""
    from tito.cli import module
    course, chosen = _here(nn)
    return _show(ctx, module.reset(course, chosen, yes=yes, ask=ctx.obj.confirm))


@module_app.command()
def undo(ctx: Context, nn: NN, show: Annotated[bool, typer.Option("--list", help="List the kept versions.")] = False,
         to: Annotated[str, typer.Option("--to", metavar="NAME", help="A kept version, by its name in the list.")] = "") -> int:
    """Bring back what the last command replaced."""
    from tito.cli import module
    course, chosen = _here(nn)
    return _show(ctx, module.kept(course, chosen) if show else module.undo(course, chosen, to=to))


@milestone_app.command("list")
def milestones_(ctx: Context) -> int:
    """Every milestone: what it needs, and whether it was passed."""
    from tito.cli import milestone
    return _show(ctx, milestone.milestone_list(Course.find()))


@milestone_app.command("run", context_settings=EXTRA)
def run_(ctx: Context, which: Annotated[str, typer.Argument(metavar="N", help="A milestone: 3, mlp or 03_mlp.")],
         seed: Annotated[str, typer.Option("--seed", metavar="S", help="Of the first weights and the order of the data.")] = "0",
         output: Annotated[str, typer.Option("--output", metavar="DIR", help="For its picture; else build/milestones/.")] = "") -> int:
    """Run a milestone on your library and record that it passed; its own options may follow after `--`."""
    from tito.cli import milestone
    whole_number(seed, "--seed", f"tito milestone run {which} --seed 1")
    with ctx.obj.aside():
        result = milestone.run(Course.find(), which, seed=int(seed), output=Path(output) if output else None, options=ctx.args)
    return _show(ctx, result)


@app.command()
def bench(ctx: Context, nn: NNS = None) -> int:
    """Measure your library beside NumPy, beside torch where it is installed, and beside the last time."""
    from tito.cli import bench
    with ctx.obj.busy("measuring"):
        result = bench.run(Course.find(), list(nn or ()))
    return _show(ctx, result)


def whole_number(text: str, option: str, example: str) -> None:
    """TitoError where an option's text is no number such as 0 or 12."""
    if not (text.isascii() and text.isdecimal()):
        raise TitoError(f"{option} {text} is not a whole number", fix=f"for example: {example}")


@dev_app.command()
def export(ctx: Context, check: Annotated[bool, typer.Option("--check", help="Only look whether tinytorch/ is fresh.")] = False) -> int:
    """Export every module to tinytorch/."""
    from tito.cli import course
    with ctx.obj.busy("exporting"):
        result = course.export(check=check)
    return _show(ctx, result)


@dev_app.command()
def lint(ctx: Context, nn: NNS = None) -> int:
    """Look for what breaks the pipeline: file, line and mend."""
    from tito.cli import course
    with ctx.obj.busy("reading the modules"):
        result = course.lint(list(nn or ()))
    return _show(ctx, result)


@dev_app.command()
def check(ctx: Context, nn: NNS = None,
          everything: Annotated[bool, typer.Option("--all", help="All modules, all mutants; else what changed, and a sample.")] = False,
          seed: Annotated[str, typer.Option("--seed", metavar="N", help="Of the fresh sample.")] = "0",
          again: Annotated[bool, typer.Option("--again", help="Ask again what is known of the same content.")] = False,
          write: Annotated[bool, typer.Option("--write", help="Write the table to docs/.")] = False) -> int:
    """Do the modules' checks see wrong answers?  Tries mistakes and hundreds of mutations of every answer."""
    from tito.cli import course
    whole_number(seed, "--seed", "tito dev check 03 --seed 1")
    with ctx.obj.progress() as progress:
        result = course.check(list(nn or ()), everything=everything, seed=int(seed), again=again, write=write, progress=progress)
    return _show(ctx, result)


@dev_app.command("test", context_settings={"ignore_unknown_options": True, **EXTRA})
def dev_test(ctx: Context) -> int:
    """Run the project's tests; further arguments go to pytest."""
    from tito.cli import course
    with ctx.obj.aside():
        result = course.test(ctx.args)
    return _show(ctx, result)
