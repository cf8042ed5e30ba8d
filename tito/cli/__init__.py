"""The command line.  `main` is its door: every way to fail becomes one clear message and an exit code."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tito.errors import ExitCode, TitoError

if TYPE_CHECKING:
    from tito.ui import Screen

FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}


def main(arguments: Sequence[str] | None = None, screen: Screen | None = None) -> int:
    """Run tito with these arguments (default: the command line's) and print to this screen (default: the terminal); the exit code."""
    try:
        return _guarded(arguments, screen)
    except KeyboardInterrupt:                               # before there was anything that could be interrupted
        return ExitCode.INTERRUPTED


def _guarded(arguments: Sequence[str] | None, screen: Screen | None) -> int:
    from tito import streams
    from tito.ui import Screen
    given = list(sys.argv[1:] if arguments is None else arguments)
    given, as_json = _take(given, "--json")
    given, debug = _take(given, "--debug")
    streams.prepare()
    screen = screen or Screen(sys.stdout, sys.stderr)
    screen.json = as_json
    try:
        return _run(given, screen)
    except BaseException as err:
        if debug and not isinstance(err, SystemExit):
            import traceback
            traceback.print_exc()
        if isinstance(err, KeyboardInterrupt):
            screen.interrupted()
            return ExitCode.INTERRUPTED
        if isinstance(err, SystemExit):
            if isinstance(err.__context__, OSError) and streams.unread(err.__context__):
                return ExitCode.OK              # of `tito --help | head -1` Typer makes a failure
            return err.code if isinstance(err.code, int) else ExitCode.OK if err.code is None else ExitCode.USAGE
        error = explain(err)
        screen.fail(error)
        return error.code


def _run(given: list[str], screen: Screen) -> int:
    try:
        import typer

        from tito.cli import completion
        from tito.cli.app import command
    except ImportError:
        if given[:1] != ["doctor"]:
            raise
        return _last_resort(given, screen)
    if completion.ASKED in os.environ:
        return completion.answer()
    try:
        code = command(given)(given, prog_name="tito", standalone_mode=False, obj=screen)
    except typer.Abort:
        raise KeyboardInterrupt from None
    code = code if isinstance(code, int) else 0
    if code == ExitCode.INTERRUPTED:                        # Typer turns Ctrl-C into this code
        screen.interrupted()
    return code


def _last_resort(given: list[str], screen: Screen) -> int:
    """`tito doctor` where Typer is missing: it is there to say so."""
    from tito.course import Course
    from tito.doctor import doctor
    os.environ["NO_COLOR"] = "1"                            # colours are Rich's, which comes and goes with Typer
    result = doctor(Course.find(), fix="--fix" in given, say=screen.note)
    screen.show(result, "doctor")
    return int(result.code)


def explain(err: BaseException) -> TitoError:
    """Whatever was raised, as an error for a person."""
    if isinstance(err, TitoError):
        return err
    if hasattr(err, "format_message"):                      # Typer's own: unknown command, missing argument ...
        context = getattr(err, "ctx", None)
        command = context.command_path if context else "tito"
        return TitoError(err.format_message().rstrip("."), fix=f"see what there is with: {command} --help", code=ExitCode.USAGE)
    if isinstance(err, OSError):
        return _explain_os(err)
    if isinstance(err, ImportError) and err.name and err.name.partition(".")[0] not in ("tito", "tinytorch"):
        return TitoError(f"the package {err.name} is missing" if isinstance(err, ModuleNotFoundError) else f"{err.name} cannot be used",
                         why=str(err), fix="see what to do with: tito doctor", code=ExitCode.ENVIRONMENT)
    return TitoError(f"tito itself stumbled: {type(err).__name__}: {err}".splitlines()[0], code=ExitCode.INFRASTRUCTURE,
                     fix="see whether all is well here with: tito doctor (or where it stumbled, with --debug)")


def _explain_os(err: OSError) -> TitoError:
    where = os.fspath(err.filename) if err.filename else "a file"
    if isinstance(where, bytes):
        where = os.fsdecode(where)
    if err.errno in FULL:
        return TitoError("the disk is full; nothing was changed", why=f"no room for {where}", fix="make room, then run the command again",
                         code=ExitCode.ENVIRONMENT)
    if err.errno in FORBIDDEN:
        return TitoError(f"{where} may not be written or read", why=err.strerror or "", code=ExitCode.ENVIRONMENT,
                         fix="check the folder's permissions (is it read-only?)")
    return TitoError(f"the system refused: {err.strerror or err}", why=where if err.filename else "", code=ExitCode.ENVIRONMENT,
                     fix="run again with --debug to see where")


def _take(arguments: list[str], flag: str) -> tuple[list[str], bool]:
    """The arguments without a flag that may stand anywhere before `--`, and whether it stood there."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    return [a for i, a in enumerate(arguments) if a != flag or i > end], flag in arguments[:end]
