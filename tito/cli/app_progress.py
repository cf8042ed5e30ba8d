"""`tito progress`: what can be typed to take progress to another machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tito.cli.typed import PLAIN, Context, show
from tito.course import Course

progress_app = typer.Typer(name="progress", help="Take your progress to another machine: export, import.", **PLAIN)


@progress_app.command()
def export(ctx: Context,
           file: Annotated[str, typer.Argument(metavar="[FILE]", help="tinytorch-progress-YYYYMMDD.zip by default.")] = "",
           force: Annotated[bool, typer.Option("--force", "-f", help="Overwrite a file of that name.")] = False) -> int:
    """Write your notebooks, what is complete and what is kept into one file."""
    from tito.cli import progress
    with ctx.obj.busy("packing"):
        result = progress.export(Course.find(), Path(file) if file else None, force=force)
    return show(ctx, result)


@progress_app.command("import")
def import_(ctx: Context, file: Annotated[str, typer.Argument(metavar="FILE", help="What the other machine has exported.")]) -> int:
    """Take in such a file: what is further wins, module by module, and what does not is kept."""
    from tito.cli import progress
    with ctx.obj.busy("taking it in"):
        result = progress.import_(Course.find(), Path(file))
    return show(ctx, result)
