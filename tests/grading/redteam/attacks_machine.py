"""Attacks on the machine: time, processes, memory, disk, output.  Each stops by itself, and says by its words that it had its way."""

from __future__ import annotations

from tests.grading.redteam.attack import Attack, Notebook
from tests.grading.redteam.attacks_patch import SHAPE

WON = "raise RuntimeError('@WON1@' + '@WON2@')"



def _deep(text: str) -> str:
    nested = "[" * 100_000 + "]" * 100_000
    return text.replace('"outputs": []', f'"outputs": {nested}', 1)


def _heavy(notebook: Notebook) -> Notebook:
    output = {"output_type": "stream", "name": "stdout", "text": "x" * (30 << 20)}
    next(c for c in notebook["cells"] if c["cell_type"] == "code")["outputs"] = [output]
    return notebook


ATTACKS = [
    Attack("endless-before", "a loop without end before the answers", "stands still", answers={"broadcast-shape": SHAPE}, setup="""
while True:
    pass"""),
    Attack("endless-after", "a loop without end after the last cell", "stands still", last="while True:\n    pass"),
    Attack("endless-in-c", "a wait without end that no Python signal handler interrupts", "stands still", setup="""
import threading
lock = threading.Lock()
lock.acquire()
while True:
    try:
        lock.acquire()
    except BaseException:
        pass"""),
    Attack("endless-when-asked", "an answer that never comes back once the notebook's tests are over", "pickle stands still",
           target="plain", answers={"spelled": """
def spelled(digit):
    while digit not in (3, 7):
        pass
    return {3: "three", 7: "seven"}[digit]"""}),
    Attack("ignores-signals", "a loop without end that ignores every signal it may", "does not stop", setup="""
import signal
for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
while True:
    try:
        while True:
            pass
    except BaseException:
        pass"""),
    Attack("fork-bomb", "two hundred processes at once", "visible", setup=f"""
import os, time
made = []
try:
    for _ in range(200):
        pid = os.fork()
        if pid == 0:
            time.sleep(3)
            os._exit(0)
        made.append(pid)
except OSError:
    pass
for pid in made:
    os.kill(pid, 9)
    os.waitpid(pid, 0)
if len(made) == 200:
    {WON}"""),
    Attack("thread-bomb", "five hundred threads at once", "visible", setup=f"""
import threading
gate, made = threading.Event(), []
try:
    for _ in range(500):
        made.append(threading.Thread(target=gate.wait, daemon=True))
        made[-1].start()
except RuntimeError:
    made.pop()
gate.set()
if len(made) == 500:
    {WON}"""),
    Attack("memory-bomb", "more memory than a submission may have", "visible", setup=f"""
kept = np.ones(200 << 20, np.uint8), np.ones(200 << 20, np.uint8), np.ones(200 << 20, np.uint8), np.ones(200 << 20, np.uint8)
{WON}"""),
    Attack("memory-in-children", "much memory in several processes, each of which has little", "visible", setup=f"""
import os, time
made = []
for _ in range(8):
    pid = os.fork()
    if pid == 0:
        kept = np.ones(100 << 20, np.uint8)
        time.sleep(1)
        os._exit(0 if kept[-1] else 1)
    made.append(pid)
if sum(os.waitpid(pid, 0)[1] for pid in made) == 0:
    {WON}"""),
    Attack("disk-bomb", "one file of a hundred megabytes", "visible", setup=f"""
import os
try:
    with open("big", "wb") as file:
        for _ in range(100):
            file.write(b"x" * (1 << 20))
    size = os.path.getsize("big")
finally:
    if os.path.exists("big"):
        os.remove("big")
if size == 100 << 20:
    {WON}"""),
    Attack("many-files", "thousands of files, kept for a second", "visible", setup=f"""
import os, time
os.mkdir("many")
try:
    for k in range(3000):
        open(f"many/{{k}}", "w").close()
    time.sleep(1)
finally:
    made = len(os.listdir("many"))
    for name in os.listdir("many"):
        os.remove("many/" + name)
if made == 3000:
    {WON}"""),
    Attack("output-bomb", "twenty megabytes are printed", "bloats nbgrader", target="plain",
           setup="for _ in range(20):\n    print('x' * (1 << 20))"),
    Attack("exception-bomb", "an exception whose text has fifty megabytes", "bloats nbgrader", target="plain",
           setup="raise RuntimeError('x' * (20 << 20))"),
    Attack("heavy-outputs", "the notebook comes with thirty megabytes of output", "bloats the file", target="plain", reshape=_heavy),
    Attack("deep-outputs", "the notebook's outputs are nested so deep that a reader of JSON falls", "cannot be read", target="plain",
           text=_deep),
]
