"""`tito dev`: what can be typed by the course's authors."""

from __future__ import annotations

from typing import Annotated

import typer

from tito.cli.typed import EXTRA, NNS, PLAIN, Context, show, whole_number

dev_app = typer.Typer(name="dev", help="For the course's authors: export, lint, test.", **PLAIN)


@dev_app.command()
def export(ctx: Context, check: Annotated[bool, typer.Option("--check", help="Only look whether tinytorch/ is fresh.")] = False) -> int:
    """Export every module to tinytorch/."""
    from tito.cli import course
    with ctx.obj.busy("exporting"):
        result = course.export(check=check)
    return show(ctx, result)


@dev_app.command()
def lint(ctx: Context, nn: NNS = None) -> int:
    """Look for what breaks the pipeline: file, line and mend."""
    from tito.cli import course
    with ctx.obj.busy("reading the modules"):
        result = course.lint(list(nn or ()))
    return show(ctx, result)


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
    return show(ctx, result)


@dev_app.command("test", context_settings={"ignore_unknown_options": True, **EXTRA})
def dev_test(ctx: Context) -> int:
    """Run the project's tests; further arguments go to pytest."""
    from tito.cli import course
    with ctx.obj.aside():
        result = course.test(ctx.args)
    return show(ctx, result)
