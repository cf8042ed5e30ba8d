"""Bubblewrap's sandbox: bombs of every kind are ended, with the reason, and nothing stays of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from grading.sandbox import Limits
from grading.sandbox.bubblewrap import Bubblewrap
from tests.grading.sandbox_lab import FORKS, Lab, alive, marked
from tests.waiting import soon

TROUBLE = Bubblewrap().works() if sys.platform == "linux" else "not on Linux"
pytestmark = pytest.mark.skipif(bool(TROUBLE), reason=f"bubblewrap: {TROUBLE}")

ROOT = Path(__file__).parent.parent.parent
SMALL = dict(wall_seconds=20, memory_mb=512, processes=12, files=40, file_mb=4)
BOMBS = {
    "memory in many processes": ("it used more than 512 MB of memory", {}, """
import os, time
for i in range(8):
    if not os.fork():
        held = bytearray(90 << 20)
        time.sleep(60)
time.sleep(60)"""),
    "memory in files": ("it used more than 512 MB of memory", {"files": 1000, "file_mb": 512}, """
held = b"x" * (1 << 20)
for place in ("/work/x", "/tmp/x", "/dev/shm/x"):
    with open(place, "wb") as file:
        try:
            while True: file.write(held)
        except OSError: pass
import time; time.sleep(60)"""),
    "files": ("it wrote more than 40 files", {}, "for i in range(10**6): open(f'/work/{i}', 'w').close()"),
    "folders": ("it wrote more than 40 files", {}, "import os\nfor i in range(10**6): os.mkdir(f'/dev/shm/{i}')"),
    "links": ("it wrote more than 40 files", {}, "import os\nfor i in range(10**6): os.symlink('x', f'/tmp/{i}')"),
    "processors": ("it used more than 1 seconds of processor time", {"cpu_seconds": 1}, "import os\nos.fork()\nwhile True: pass"),
    "forks": ("it used more than 1 seconds of processor time", {"cpu_seconds": 1}, """
import os
while True:
    try: os.fork()
    except OSError: pass"""),
    "deaf to signals": ("it ran longer than 1 seconds", {"wall_seconds": 1}, """
import signal, time
for number in (1, 2, 14, 15, 24): signal.signal(number, signal.SIG_IGN)
time.sleep(60)"""),
    "stderr": ("it wrote more than 256 KB to stderr", {}, "import os\nwhile True: os.write(2, b'x' * 65536)"),
}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(Bubblewrap(), tmp_path_factory.mktemp("lab"))


@pytest.mark.parametrize("bomb", BOMBS)
def test_what_goes_too_far_is_ended_and_told(lab: Lab, bomb: str) -> None:
    why, more, code = BOMBS[bomb]
    limits = marked(**{**SMALL, **more})
    ended = lab.run(code, limits)
    assert (ended.ended, ended.code) == (why, 137)
    assert ended.seconds < 15 and soon(lambda: not alive(limits)) and len(ended.err) <= 256 << 10


def test_bombs_that_the_kernel_stops(lab: Lab) -> None:
    """An exception in the student's own cell: the others are still run."""
    ended = lab.run("""
import mmap
held = []
try:
    while True: held.append(mmap.mmap(-1, 10 << 20))
except OSError: print("memory", 20 < len(held) < 51)
try: open("/work/x", "wb").write(bytes(5 << 20))
except OSError as err: print("too large:", err.errno)
try:
    for i in range(30): open(f"/tmp/{i}", "wb").write(bytes(4 << 20))
except OSError as err: print("no space:", err.errno, i)
""", Limits(**SMALL))
    assert (ended.ended, ended.out) == ("", "memory True\ntoo large: 27\nno space: 28 20\n")


def test_memory_that_processes_share_is_counted_once(lab: Lab) -> None:
    ended = lab.run("""
import os, time
held = bytearray(300 << 20)
if os.fork() == 0:
    time.sleep(0.5)
    os._exit(0)
os.wait()
print("fine")""", Limits(**SMALL))
    assert (ended.ended, ended.out) == ("", "fine\n")


def test_each_slot_counts_its_own_processes(lab: Lab) -> None:
    """A fork bomb next door takes nothing away."""
    full = lab.start(FORKS + "print(n, flush=True); input()", Limits(**SMALL), slot=1)
    with full.stdin, full.stdout:
        own = int(full.stdout.readline())
        assert 5 <= own < 12
        ended = lab.run(FORKS + "print(n, flush=True); os._exit(0)", Limits(**SMALL), slot=2)
        assert int(ended.out) == own
        full.kill()
        assert full.wait() == 137 and full.ended == ""


@pytest.mark.parametrize(("ending", "code"), [("os._exit(3)", 3), ("os.kill(os.getpid(), 9)", 137), ("raise SystemExit(5)", 5)])
def test_nothing_stays_when_it_ends_by_itself(lab: Lab, ending: str, code: int) -> None:
    limits = marked()
    ended = lab.run(f"""
import os, time
if not os.fork():                       # a daemon
    os.setsid()
    if not os.fork(): time.sleep(60)
    os._exit(0)
os.wait()
{ending}""", limits)
    assert (ended.code, ended.ended) == (code, "")
    assert soon(lambda: not alive(limits))


def test_no_zombie_stays(lab: Lab) -> None:
    def zombies() -> set[str]:
        stats = [place.read_text().split() for place in Path("/proc").glob("[0-9]*/stat")]
        return {words[0] for words in stats if words[1:3] == ["(bwrap)", "Z"] and words[3] in ("1", str(os.getpid()))}

    before = zombies()
    for code in ("pass", "import time; time.sleep(60)"):
        process = lab.start(code, Limits(wall_seconds=1))
        with process.stdin, process.stdout:
            process.wait()
    assert soon(lambda: zombies() <= before)


def test_kill_ends_it_once_and_may_be_said_again(lab: Lab) -> None:
    limits = marked()
    process = lab.start(FORKS + "print('full', flush=True); time.sleep(60)", limits)
    with process.stdin, process.stdout:
        assert process.stdout.readline() == b"full\n" and process.poll() is None
        for _ in range(3):
            process.kill()
        assert process.wait() == process.poll() == process.returncode == 137
        process.end("too late to be the reason")
    assert process.ended == "" and soon(lambda: not alive(limits))


COORDINATOR = """
import os, sys, threading, time
from pathlib import Path
from grading.sandbox import Limits
from grading.sandbox.bubblewrap import Bubblewrap
from tests.grading.sandbox_lab import Lab
from tests.waiting import soon
lab, limits, delay = Lab(Bubblewrap(), Path(sys.argv[1])), Limits(cpu_seconds=int(sys.argv[2])), float(sys.argv[3])
lab.run("pass")
if delay < 1:
    threading.Timer(delay, os.kill, (os.getpid(), 9)).start()
process = lab.start("print('up', flush=True); import time; time.sleep(60)", limits)
print(process.stdout.readline(), flush=True)
time.sleep(60)
"""


def coordinator(folder: Path, limits: Limits, delay: float) -> subprocess.Popen[bytes]:
    """A process that starts a sandbox, and kills itself so many seconds later, while it starts; or is there to be killed."""
    folder.mkdir()
    command = [sys.executable, "-c", COORDINATOR, str(folder), str(limits.cpu_seconds), str(delay)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})


def test_it_ends_with_the_coordinator(tmp_path: Path) -> None:
    limits = marked()
    with coordinator(tmp_path / "lab", limits, 60) as process:
        assert process.stdout and process.stdout.readline()
        assert alive(limits)
        process.send_signal(signal.SIGKILL)
    assert soon(lambda: not alive(limits))


def test_it_ends_with_a_coordinator_that_dies_while_it_starts(tmp_path: Path) -> None:
    limits = [marked() for _ in range(6)]
    dying = [coordinator(tmp_path / str(number), each, 0.004 * number) for number, each in enumerate(limits)]
    for process in dying:
        with process:
            assert process.wait(30) == -signal.SIGKILL
    assert soon(lambda: not any(alive(each) for each in limits), 20)
