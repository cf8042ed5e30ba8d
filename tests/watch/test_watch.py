"""`tito watch` on a terminal: what it prints after each save, what the keys do, and that it leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import FOURFOLD, HALF, REPOSITORY, Answer, Edition
from tests.waiting import soon
from tito.course import Course
from tito.errors import ExitCode, TitoError
from tito.watch.loop import current

pty = pytest.importorskip("pty", reason="there are no pseudo terminals here")
fcntl = pytest.importorskip("fcntl")
termios = pytest.importorskip("termios")

Tito = Callable[..., Answer]
CLEARED = "\x1b[2J"
ENDLESS = "    import os\n    open({!r}, 'w').write(str(os.getpid()))\n    while True: pass\n"


class Terminal:
    """A watch in the edition, its screen as one text, its keyboard."""

    def __init__(self, root: Path, **env: str):
        self.master, self.inner = pty.openpty()
        self.before = termios.tcgetattr(self.inner)
        kept = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tito", "watch", "01"], cwd=root, stdin=self.inner, stdout=self.inner, stderr=self.inner,
            env={**kept, "TERM": "xterm-256color", "PYTHONPATH": str(REPOSITORY), "TITO_BOOTSTRAP": "0", **env},
            start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))     # so that Ctrl-C always means something
        self.text, self.seen = "", 0
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        try:
            while part := os.read(self.master, 1 << 16):
                self.text += part.decode("utf-8", "replace")
        except OSError:
            return

    def until(self, words: str) -> str:
        """What is printed from the last time on, as far as the line with these words."""
        assert soon(lambda: re.search(re.escape(words) + ".*\n", self.text[self.seen:]), 60), self.text[self.seen:]
        start, self.seen = self.seen, self.text.index("\n", self.text.index(words, self.seen)) + 1
        return self.text[start:self.seen]

    def verdict(self) -> str:
        return self.until("q quit")

    def press(self, key: bytes) -> None:
        os.write(self.master, key)

    def ended(self) -> int:
        code = self.process.wait(60)
        assert termios.tcgetattr(self.inner) == self.before, "the terminal is as it was"
        return code

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for end in (self.inner, self.master):
            os.close(end)


@pytest.fixture
def start(edition: Edition) -> Iterator[Callable[..., Terminal]]:
    open_ones: list[Terminal] = []

    def run(**env: str) -> Terminal:
        open_ones.append(Terminal(edition.root, **env))
        return open_ones[-1]
    yield run
    for each in open_ones:
        each.close()


def test_every_save_is_answered_and_the_keys_work(edition: Edition, start: Callable[..., Terminal]) -> None:
    watch = start()
    first = watch.verdict()
    assert "to write" in first and "is not written yet" in first and "0 of 10 points" in first and "h hint, n next card" in first
    files = edition.files()
    watch.press(b"h")
    assert "hint 1 of 3" in (hint := watch.verdict()) and "`twice` is not written yet" in hint
    watch.press(b"n")
    assert "card 2 of 2" in (card := watch.verdict()) and "Half does what it says" in card
    watch.press(b"h")
    assert "`half` is not written yet" in watch.verdict()
    assert {name for name, content in edition.files().items() if files.get(name) != content} == {".tito/hints.json"}

    edition.solve(1)
    assert "checking 01 alpha: all checks" in (passed := watch.verdict()) and "10 of 10 points" in passed and "next: " in passed
    watch.press(b"n")
    assert "tito module complete 01" in watch.until("complete 01")

    edition.write(1, "half", "    return x / 3\n")
    wrong = watch.verdict()
    assert "checking 01 alpha: 1 of 2 checks" in wrong and "1 of 2 checks as before" in wrong
    assert CLEARED in wrong and "half of six" in wrong and "4 of 10 points" in wrong and "next: \x1b[1mmend what the card shows" in wrong

    edition.cells(1, lambda cells: [{**c, "source": c["source"] + " and more"} if c["cell_type"] == "markdown" else c for c in cells])
    assert "checking" not in watch.until("there is nothing to check again")

    edition.write(1, "half", HALF)
    assert "checking all once more" in (mended := watch.verdict()) and "10 of 10 points" in mended and "as before" not in mended
    watch.press(b"r")
    assert "all checks" in watch.verdict()
    watch.press(b"q")
    assert watch.ended() == ExitCode.OK


def test_a_notebook_that_is_half_written_or_gone_is_waited_for(edition: Edition, start: Callable[..., Terminal]) -> None:
    edition.solve(1)
    whole = edition.notebook(1).read_text(encoding="utf-8")
    watch = start(NO_COLOR="1")
    assert "10 of 10 points" in watch.verdict()
    edition.notebook(1).write_text(whole[:len(whole) // 2], encoding="utf-8")
    watch.until("alpha_dev.ipynb is not whole: waiting until it is saved again")
    edition.notebook(1).write_text(whole.replace("2 * x", "3 * x"), encoding="utf-8")
    assert "three twice" in watch.verdict()
    edition.notebook(1).unlink()
    assert "tito module undo 01" in watch.until("alpha_dev.ipynb is not there: waiting")
    edition.notebook(1).write_text(whole, encoding="utf-8")
    assert "10 of 10 points" in watch.verdict()
    assert "\x1b" not in watch.text, "lines, and nothing else"


def test_the_notebook_of_another_time_is_told_as_the_error_that_it_is(edition: Edition, start: Callable[..., Terminal]) -> None:
    edition.solve(1)
    whole = edition.notebook(1).read_text(encoding="utf-8")
    watch = start()
    watch.verdict()
    edition.notebook(1).write_text('{"cells": []}', encoding="utf-8")
    assert "01 alpha cannot be judged" in watch.until("fix:")
    watch.press(b"n")
    watch.until("there is no verdict yet")
    edition.notebook(1).write_text(whole, encoding="utf-8")
    assert "10 of 10 points" in watch.verdict()


def endless(edition: Edition, watch: Terminal) -> int:
    """Save an answer that does not end; the process that is judging it."""
    pid = edition.root.parent / "pid"
    edition.write(1, "half", ENDLESS.format(str(pid)))
    assert soon(lambda: pid.exists() and pid.read_text(), 60)
    return int(pid.read_text())


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_newer_save_takes_the_place_of_the_check_under_way(edition: Edition, start: Callable[..., Terminal]) -> None:
    watch = start()
    watch.verdict()
    judging = endless(edition, watch)
    edition.solve(1)
    assert "10 of 10 points" in watch.verdict()
    assert gone(judging)


@pytest.mark.parametrize("how, code", [("q", 0), ("\x03", 130), ("SIGTERM", -15), ("SIGHUP", -1)])
def test_every_way_out_ends_the_check_under_way_and_leaves_the_terminal_as_it_was(
        edition: Edition, start: Callable[..., Terminal], tmp_path: Path, how: str, code: int) -> None:
    (tmp_path / "temporary").mkdir()
    watch = start(TMPDIR=str(tmp_path / "temporary"))
    watch.verdict()
    judging = endless(edition, watch)
    if how.startswith("SIG"):
        watch.process.send_signal(getattr(signal, how))
    else:
        watch.press(how.encode())
    assert watch.ended() == code
    assert soon(lambda: gone(judging))
    assert list((tmp_path / "temporary").iterdir()) == []


def test_ctrl_c_ends_it_before_it_listens_to_keys(start: Callable[..., Terminal]) -> None:
    watch = start()
    watch.until("checking")
    watch.press(b"\x03")
    assert watch.ended() == ExitCode.INTERRUPTED


def test_off_a_terminal_it_says_what_to_do_instead(edition: Edition, tito: Tito) -> None:
    for arguments in (("watch", "01"), ("watch", "01", "--json")):
        answer = tito(*arguments)
        assert answer.code == ExitCode.USAGE
        assert "needs a terminal" in answer.err and "tito module test 01" in answer.err


def test_modules_come_in_order(edition: Edition, tito: Tito, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tito.watch.loop.on_a_terminal", lambda screen: True)
    answer = tito("watch", "02")
    assert answer.code == ExitCode.USAGE and "02 beta builds on 01 alpha" in answer.err


def test_without_a_number_it_is_the_module_that_is_started_and_not_complete(edition: Edition, tito: Tito) -> None:
    course = Course(edition.root)
    with pytest.raises(TitoError, match="no module is started") as told:
        current(course)
    assert told.value.fix == "begin one with: tito module start 01"
    tito("module", "start", "01", "--no-open")
    assert current(course).number == 1
    edition.solve(1)
    assert tito("module", "complete", "01").code == ExitCode.OK
    assert "tito module start 02" in pytest.raises(TitoError, current, course).value.fix
    tito("module", "start", "02", "--no-open")
    edition.write(2, "fourfold", FOURFOLD)
    assert current(course).number == 2


def test_a_package_that_changed_meanwhile_is_a_reason_to_check_everything(edition: Edition) -> None:
    from tito.released import read
    from tito.watch.standing import Check
    course = Course(edition.root)
    edition.solve(1)
    work = read(course.module("01")).document
    found = Check(course, course.module("01"), work, None).run()
    assert found is not None and found[1].ok
    edition.write(1, "half", HALF.replace("/ 2", "/ 4"))
    changed = read(course.module("01")).document
    assert len(Check(course, course.module("01"), changed, found[0]).again) == 1
    (edition.root / "tinytorch" / "more.py").write_text("", encoding="utf-8")
    assert len(Check(course, course.module("01"), changed, found[0]).again) == 2
