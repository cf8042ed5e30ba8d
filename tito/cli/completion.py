"""Completion: the script that a shell loads, and what it then asks tito while somebody types."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from tito.cli.results import Report
from tito.course import Course
from tito.errors import TitoError

ASKED = "_TITO_COMPLETE"        # set by the script: the shell wants to know what may follow
TYPED = "_TYPER_COMPLETE_ARGS", "COMP_WORDS"
INSTALL = {                     # a shell, and the line that has it load the script from now on, also where tito is not on the path yet
    "bash": "tito completion bash > ~/.tito-completion.bash && echo 'source ~/.tito-completion.bash' >> ~/.bashrc",
    "zsh": "tito completion zsh > ~/.tito-completion.zsh && "
           "echo 'autoload -Uz compinit && compinit && source ~/.tito-completion.zsh' >> ~/.zshrc",
    "fish": "mkdir -p ~/.config/fish/completions && tito completion fish > ~/.config/fish/completions/tito.fish",
    "powershell": "New-Item -ItemType Directory -Force (Split-Path $PROFILE) | Out-Null; tito completion powershell | Add-Content $PROFILE",
}


def script(shell: str) -> Report:
    """The script for a shell, and how it is installed."""
    if shell not in INSTALL:
        raise TitoError(f"there is no completion for '{shell}'", fix=f"one of: {', '.join(INSTALL)}")
    from typer._completion_shared import get_completion_script
    text = get_completion_script(prog_name="tito", complete_var=ASKED, shell=shell)
    return Report("", tuple(text.split("\n")), {"shell": shell, "script": text, "install": INSTALL[shell]})


def shells(incomplete: str) -> list[str]:
    return [name for name in INSTALL if name.startswith(incomplete)]


def modules(incomplete: str) -> list[tuple[str, str]]:
    """The numbers of the modules, or their names once a letter is typed, each with its state."""
    from tito.cli.module import module_list
    return _offered(incomplete, "02d", lambda: module_list(Course.find()).modules)


def milestones(incomplete: str) -> list[tuple[str, str]]:
    """The same of the milestones."""
    from tito.cli.milestone import milestone_list
    return _offered(incomplete, "d", lambda: milestone_list(Course.find()).milestones)


def answer() -> int:
    """Tell the shell what may follow the words that stand there; an exit code."""
    from typer import _completion_classes
    from typer.completion import shell_complete

    from tito.cli.app import command
    _completion_classes._sanitize_help_text = lambda text: text         # else it imports rich to remove markup, of which there is none
    typed = next((os.environ[name] for name in TYPED if name in os.environ), "").split()[1:]
    whole = command([word for word in typed if not word.startswith("-")], also=typer.main.get_command(_everywhere).params)
    _completion_classes.completion_init()
    return int(shell_complete(whole, {}, "tito", ASKED, os.environ[ASKED]))


def _offered(incomplete: str, digits: str, lines: Callable[[], Sequence[Any]]) -> list[tuple[str, str]]:
    short = not incomplete or incomplete.isdecimal()
    try:
        return [(text, f"{m.name}, {m.state}") for m in lines()
                for text in ([f"{m.number:{digits}}"] if short else [m.name, f"{m.number:02d}_{m.name}"])]
    except (TitoError, OSError):                # whatever is wrong is said when the command is run
        return []


_everywhere = typer.Typer(add_completion=False)


@_everywhere.command()
def _(json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
      debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False) -> None:
    """The options that every command has, which tito takes before Typer sees them."""
