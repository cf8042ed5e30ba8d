"""`tito milestone`: what can be typed of milestones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tito.cli import completion
from tito.cli.typed import EXTRA, PLAIN, Context, show, whole_number
from tito.course import Course

milestone_app = typer.Typer(name="milestone", help="Run what your library makes possible: list, run.", **PLAIN)


@milestone_app.command("list")
def milestones_(ctx: Context) -> int:
    """Every milestone: what it needs, and whether it was passed."""
    from tito.cli import milestone
    return show(ctx, milestone.milestone_list(Course.find()))


@milestone_app.command("run", context_settings=EXTRA)
def run_(ctx: Context,
         which: Annotated[str, typer.Argument(metavar="N", help="A milestone: 3, mlp or 03_mlp.", autocompletion=completion.milestones)],
         seed: Annotated[str, typer.Option("--seed", metavar="S", help="Of the first weights and the order of the data.")] = "0",
         output: Annotated[str, typer.Option("--output", metavar="DIR", help="For its picture; else build/milestones/.")] = "") -> int:
    """Run a milestone on your library and record that it passed; its own options may follow after `--`."""
    from tito.cli import milestone
    whole_number(seed, "--seed", f"tito milestone run {which} --seed 1")
    with ctx.obj.aside():
        result = milestone.run(Course.find(), which, seed=int(seed), output=Path(output) if output else None, options=ctx.args)
    return show(ctx, result)
