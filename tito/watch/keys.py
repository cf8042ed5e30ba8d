"""Single keys of a terminal, as they are pressed, on every system; and the signals that ask us to end."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

CTRL_C, CLOSED = "ctrl-c", "closed"
ENDING = ("SIGTERM", "SIGHUP", "SIGBREAK")      # as far as this system has them


def load() -> None:
    """Import what `pressed` needs: half a second, and more on a busy machine."""
    import prompt_toolkit.input  # noqa: F401


@contextmanager
def pressed(tell: Callable[[str], None]) -> Iterator[None]:
    """Inside, `tell` gets each letter that is pressed, CTRL_C, and CLOSED when the terminal is gone; afterwards all is as it was."""
    from prompt_toolkit.input import create_input
    from prompt_toolkit.keys import Keys
    keyboard = create_input()

    def heard() -> None:
        keys = keyboard.read_keys()
        if keyboard.closed or not keys and not sys.stdin.isatty():
            tell(CLOSED)
        for key in keys:
            tell(CTRL_C if key.key == Keys.ControlC else key.data.lower())

    with keyboard.raw_mode(), keyboard.attach(heard):
        yield


@contextmanager
def signalled(tell: Callable[[signal.Signals], None]) -> Iterator[None]:
    """Inside, a signal that would end us calls `tell` instead."""
    def caught(number: int, frame: FrameType | None) -> None:
        tell(signal.Signals(number))

    numbers = [getattr(signal, name) for name in ENDING if hasattr(signal, name)]
    before = {n: signal.signal(n, caught) for n in numbers if signal.getsignal(n) is not signal.SIG_IGN}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
