"""What the files of commands share: how arguments are written, how a result is shown."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tito.cli import completion
from tito.course import Course, Module
from tito.errors import TitoError
from tito.ui import Screen

EVERYWHERE = "Everywhere: --json prints the result as JSON, --debug shows the traceback of an error."
PLAIN: dict[str, Any] = {"rich_markup_mode": None, "add_completion": False, "pretty_exceptions_enable": False, "epilog": EVERYWHERE}
EXTRA = {"allow_extra_args": True}              # what stands after `--` is for JupyterLab, pytest, a milestone
NN = Annotated[str, typer.Argument(metavar="NN", help="A module: 1, 01, tensor or 01_tensor.", autocompletion=completion.modules)]
NNS = Annotated[list[str] | None, typer.Argument(metavar="[NN]...", help="Modules; all by default.", autocompletion=completion.modules)]
Context = typer.Context


def show(ctx: Context, result: Any) -> int:
    """Print a command's result; its exit code."""
    screen: Screen = ctx.obj
    names = ctx.command_path.split()[1:]
    screen.show(result, " ".join(names))
    return int(result.code)


def here(text: str) -> tuple[Course, Module]:
    """The course around this folder, and the module that a person means."""
    course = Course.find()
    return course, course.module(text)


def whole_number(text: str, option: str, example: str) -> None:
    """TitoError where an option's text is no number such as 0 or 12."""
    if not (text.isascii() and text.isdecimal()):
        raise TitoError(f"{option} {text} is not a whole number", fix=f"for example: {example}")
