"""`tito watch`: looks at a notebook ten times a second, checks it when it was saved, and listens to keys meanwhile."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime

from tito import state as progress
from tito.check.verdict import Verdict
from tito.cli.module import verdict_code
from tito.cli.results import Report, Result, Tested, Watched, wrong
from tito.course import Course, Module
from tito.errors import ExitCode, TitoError
from tito.parsing import parsing_in_turn
from tito.released import read
from tito.tested import remember
from tito.ui import Screen, as_typed
from tito.watch.advice import card, hint_for, keys
from tito.watch.affected import unchanged
from tito.watch.keys import CLOSED, CTRL_C, load, pressed, signalled
from tito.watch.saved import Saved, State
from tito.watch.standing import Check, Standing

LOOK = 0.1              # seconds between two looks at the notebook
HUNG_UP = 128 + 1       # as a shell tells of SIGHUP
PATIENCE = 2.0          # seconds after which a notebook that is half written, or gone, is spoken of


def watch(course: Course, module: Module, screen: Screen) -> int:
    """Check the module whenever it is saved, until a key or a signal ends it; the exit code.  TitoError off a terminal."""
    if not on_a_terminal(screen):
        raise TitoError("tito watch needs a terminal and its keyboard", why="JSON was asked for" if screen.json else
                        "its input or its output goes elsewhere", fix=f"check once with: tito module test {module.number:02d}")
    progress.require_in_order(course, progress.load(course), module)
    try:
        ended = asyncio.run(Watch(course, module, screen).run())
    except OSError:
        if screen.out.isatty():
            raise
        return HUNG_UP                          # the terminal was closed while something was printed
    if isinstance(ended, signal.Signals):       # all is put away: now the signal may do what it does
        signal.raise_signal(ended)
        return 128 + ended
    return ended


def on_a_terminal(screen: Screen) -> bool:
    """Somebody reads, and has keys to press."""
    return bool(not screen.json and sys.stdin and sys.stdin.isatty() and screen.out.isatty())


def current(course: Course) -> Module:
    """The module that is started and not complete.  TitoError where there is none."""
    state = progress.load(course)
    open_ones = [m for m in course.modules if m.number not in state.completed]
    if found := next((m for m in open_ones if m.number in state.started), None):
        return found
    number = f"{(open_ones or course.modules)[0].number:02d}"
    raise TitoError("no module is started and not complete", fix=f"begin one with: tito module start {number}"
                    if course.is_edition and open_ones else f"name one: tito watch {number}")


@dataclass
class Watch:
    """What is known of the notebook, what is under way, and what a key does with it."""

    course: Course
    module: Module
    screen: Screen
    ended: int | None = None                # an exit code, or a signal
    pressed: list[str] = field(default_factory=list)
    standing: Standing | None = None
    tested: Tested | None = None
    check: Check | None = None              # under way
    answer: asyncio.Future[tuple[Standing, Verdict] | None] | None = None
    card: int = 0                           # of those that fail, the one shown last
    away: float = 0.0                       # since when the notebook is not whole
    told: bool = False                      # and that was said
    listening: bool = False                 # to the keyboard

    async def run(self) -> int:
        """Until something ends it; then nothing of it is left."""
        self.file = Saved(self.module.source if self.module.source.exists() else self.module.notebook)
        loading = asyncio.ensure_future(asyncio.to_thread(load))        # the first check does not wait for the keyboard
        with parsing_in_turn(), ThreadPoolExecutor(1) as self.pool, signalled(self.end), ExitStack() as keyboard:
            try:
                self.seen(self.file.look())
                while self.ended is None:
                    if loading.done() and not self.listening:
                        loading.result()
                        keyboard.enter_context(pressed(self.pressed.append))
                        self.listening = True
                    await self.turn()
                return self.ended
            finally:
                self.stop()

    def end(self, how: int) -> None:
        self.ended = how if self.ended is None else self.ended

    async def turn(self) -> None:
        """What happens ten times a second, and when a check has come to its end."""
        if self.answer is None:
            await asyncio.sleep(LOOK)
        elif (await asyncio.wait({self.answer}, timeout=LOOK))[0]:
            self.answered(self.answer)
        while self.pressed:
            self.press(self.pressed.pop(0))
        self.seen(self.file.look())

    # ---- saves ---------------------------------------------------------------------------------

    def seen(self, state: State) -> None:
        """What a look at the notebook means."""
        if state in (State.GONE, State.TORN):
            self.away = self.away or time.monotonic()
            if not self.told and time.monotonic() - self.away > PATIENCE:
                self.told = True
                back = f" (or bring it back with: tito module undo {self.module.number:02d})" if state is State.GONE else ""
                self.say(f"{self.file.path.name} is {state.value}: waiting until it is saved again{as_typed(back)}")
            return
        if self.told and state is State.SAME:
            self.say(f"{self.file.path.name} is there again, as it was")
        self.away, self.told = 0.0, False
        if state is State.SAVED:
            self.begin(self.file.when)

    def begin(self, saved: datetime, *, every: bool = False) -> None:
        """Check the notebook as it is now, as far as it has changed; what is under way is given up."""
        try:
            work = read(self.module)
        except TitoError as err:
            if not self.file.changed():         # else the next look finds what is being written
                self.stop()
                self.standing = self.tested = None
                self.screen.fail(err)
            return
        last = self.check.document if self.check else self.standing.document if self.standing else None
        if not every and last and unchanged(last, work.document):
            if self.standing and len(last.cells) != len(work.document.cells):
                self.standing = None            # cells have other numbers now: next time nothing is carried over
            if self.check is None:
                self.say(f"saved at {saved:%H:%M:%S}: the code is as it was, so there is nothing to check again")
            return
        self.saved, self.notes, self.began = saved, work.notes, time.monotonic()
        check = Check(self.course, self.module, work.document, None if every else self.standing)
        several = "all checks" if len(check.again) == check.of else f"{len(check.again)} of {check.of} checks"
        self.launch(check, f"checking {self.module.label}: {several} ...")

    def launch(self, check: Check, words: str) -> None:
        self.stop()
        self.say(words)
        self.check = check
        self.answer = asyncio.get_running_loop().run_in_executor(self.pool, check.run)

    def stop(self) -> None:
        """Give up the check under way."""
        if self.check:
            self.check.end()
        self.check = self.answer = None

    def answered(self, answer: asyncio.Future[tuple[Standing, Verdict] | None]) -> None:
        """The check under way has come to its end."""
        check, found = self.check, answer.result()
        self.check = self.answer = None
        if check is None or found is None:
            return
        self.standing, verdict = found
        seconds, partly = time.monotonic() - self.began, len(check.again) < check.of
        if partly and verdict.ok:               # it is not said before all have been checked
            self.launch(Check(self.course, self.module, check.document, None), "these passed; checking all once more ...")
            return
        follows = f"tito module complete {self.module.number:02d}" if verdict.ok else \
            f"mend {'what the card shows' if wrong(verdict) else 'the cell that raised'}, and save"
        remember(self.course, self.module, verdict, check.document)
        self.tested = Tested(self.module.label, verdict, self.notes, False, follows, verdict_code(verdict))
        self.card = 0
        self.show(Watched(self.tested, f"{self.saved:%H:%M:%S}", seconds, len(check.again), check.of, keys(verdict)))

    # ---- keys ----------------------------------------------------------------------------------

    def press(self, key: str) -> None:
        if key in ("q", CTRL_C, CLOSED):
            self.end({"q": ExitCode.OK, CTRL_C: ExitCode.INTERRUPTED, CLOSED: HUNG_UP}[key])
        elif key == "r":
            self.begin(datetime.now(), every=True)
        elif key in ("h", "n") and self.tested is None:
            self.say("there is no verdict yet")
        elif key in ("h", "n") and self.tested:
            self.advise(self.tested, hint=key == "h")

    def advise(self, tested: Tested, *, hint: bool) -> None:
        """The hint for the card that was shown last; or the card after it; or, where no check fails, what comes next."""
        rows = wrong(tested.verdict)
        if not rows:
            self.say(f"next: {as_typed(tested.next)}")
            return
        if hint:
            self.show(hint_for(self.course, self.module, tested.verdict, rows[self.card]))
        else:
            self.card = (self.card + 1) % len(rows)
            self.show(card(tested.verdict, self.card, self.screen.columns()))
        self.say(keys(tested.verdict))

    # ---- the screen ----------------------------------------------------------------------------

    def show(self, result: Result) -> None:
        self.screen.clear()
        self.screen.show(result, "watch")

    def say(self, text: str) -> None:
        self.screen.show(Report(text), "watch")
