"""Attacks on the line between the judging process and the judge: forged, poisoned, endless and unreadable messages."""

from __future__ import annotations

from tests.grading.redteam.attack import Attack
from tests.grading.redteam.attacks_patch import TO_DOUBLED, TO_ORDERED, TO_SHAPE

SAY = """
import json, os
def say(data):
    for fd in range(1, 32):
        try:
            os.set_blocking(fd, True)
            os.write(fd, data)
        except OSError:
            pass
"""
ROWS = SAY + """
def row(cell, **facts):
    return {"event": "end", "cell": cell, "blame": "",
            "row": {"state": "passed", "grade_id": "test-broadcast-shape", "points": 10.0, "max_points": 10.0, **facts}}
"""
# What is on its way into the process, whatever descriptor it is on; `heard` is what was known before.
HEARD = """for fd in range(32):
    try:
        os.set_blocking(fd, False)
        heard += os.read(fd, 1 << 20) if fd not in (1, 2) else b""
    except OSError:
        continue
text = heard.decode(errors="replace")
"""
FORGED = ROWS + """
lines = [{"event": "ready"}, *(row(k) for k in range(200)), {"event": "done"}]
say(b"\\n" + b"".join(json.dumps(line).encode() + b"\\n" for line in lines))
"""

ATTACKS = [
    Attack("forged-rows", "good rows for every cell are written to every descriptor, and then the end", "visible", **TO_SHAPE,
           setup=FORGED + "os._exit(0)"),
    Attack("forged-at-the-end", "good rows are written to every descriptor after the last cell", "visible", **TO_SHAPE, last=FORGED),
    Attack("forged-answers", "answers to questions that were not asked yet, in every form they might have", "visible", **TO_SHAPE,
           last=FORGED + """
answers = [{"event": name, "n": n, "value": v} for name in ("asked", "answer") for n in range(100) for v in (True, [], None)]
say(b"".join(json.dumps(a).encode() + b"\\n" for a in [*answers, {"event": "answered"}, {"event": "done"}]))"""),
    Attack("forged-by-a-child", "a forked process keeps the line and writes good rows when everything is over", "visible", **TO_SHAPE,
           last=FORGED.replace("say(b", "pid = os.fork()\nif pid == 0:\n    say(b", 1) + "\n    os._exit(0)\nos.waitpid(pid, 0)"),
    Attack("more-points", "a row that is worth more than its cell", "visible", **TO_SHAPE, setup=ROWS + """
say(b"".join(json.dumps(row(k, points=1e6, max_points=1e6)).encode() + b"\\n" for k in range(200)))""", last=ROWS + """
say(b"\\n" + b"".join(json.dumps(row(k, points=1e6, max_points=1e6)).encode() + b"\\n" for k in range(200)) + b'{"event": "done"}\\n')"""),
    Attack("pickled-payload", "an answer whose unpickling runs code in the judge", "pickle", target="plain", setup="""
import os
class Payload(list):
    def __reduce__(self):
        return os.system, ("touch @DROP@/unpickled",)
""", answers={"ordered": "def ordered(items):\n    return Payload()", "doubled": "def doubled(x):\n    return Payload()"}),
    Attack("pickled-lines", "a pickle with a payload is written to every descriptor", "pickle", target="plain", setup=SAY + """
say(b"cos\\nsystem\\n(S'touch @DROP@/unpickled-line'\\ntR.")"""),
    Attack("colliding-keys", "a dict of numbers that all have one hash keeps the judge busy", "pickle", target="plain",
           setup="many = {k * (2 ** 61 - 1): 0 for k in range(15000)}", answers={"spelled": "def spelled(digit):\n    return many"}),
    Attack("deep-answer", "an answer nested so deep that whoever walks it falls", "reader", **TO_ORDERED, last=SAY + """
say(b"\\n" + b"[" * 200000 + b"]" * 200000 + b"\\n")
say(b'{"event": "answer", "n": 0, "value": ' + b"[" * 50000 + b"]" * 50000 + b"}\\n")"""),
    Attack("huge-number", "a number of so many digits that whoever reads it stops", "reader", **TO_ORDERED, last=SAY + """
say(b'\\n{"event": "answer", "n": 0, "value": ' + b"9" * 100000 + b"}\\n")"""),
    Attack("strange-array", "an array whose dtype and shape ask for more memory than there is", "reader", **TO_DOUBLED, last=SAY + """
for kind, shape in (("V99999999", [1]), ("f8", [1 << 60]), ("O", [1]), ("U99999999", [3]), ("f8", [-1]), ("nonsense", []), ("f8,f8", [2])):
    value = {"array": "", "dtype": kind, "shape": shape}
    say(b"\\n" + json.dumps({"event": "answer", "n": 0, "value": [value, value, value]}).encode() + b"\\n")"""),
    Attack("no-end-of-line", "a message of 100 MB without an end", "reader", **TO_ORDERED, setup=SAY + """
for _ in range(100):
    say(b"x" * (1 << 20))"""),
    Attack("giant-message", "a row whose texts are as long as a book", "reader", **TO_ORDERED, setup=ROWS + """
for _ in range(3):
    say(json.dumps(row(7, got="x" * (8 << 20), hint="y" * (8 << 20))).encode() + b"\\n")"""),
    Attack("swapped-stderr", "the file of the last words is replaced by a link to a secret, and Python ends", "last words", setup=SAY + """
import glob
for path in ("../stderr.txt", *glob.glob("/tmp/tito-*/stderr.txt")):
    try:
        os.unlink(path)
        os.symlink("@TERM@/secret", path)
    except OSError:
        pass
say(b'\\n{"event": "infra", "error": "no judge"}\\n{"event": "ready"}\\n')
os._exit(1)"""),
    Attack("asks-early", "the judge is told that all is done; the hidden part then comes early, is read from any descriptor, and told",
           "inside", target="plain", setup=ROWS + """
import time
say(b'\\n{"event": "done"}\\n')
time.sleep(0.3)
heard = b""
""" + HEARD + """text = text[max(text.find("HID" + "DEN"), 0):][:1500]
open("results.txt", "w").write(text)
say(b"".join(b"\\n" + json.dumps(row(k, got=text)).encode() + b"\\n" for k in range(40)))
print(text)
raise RuntimeError(text)"""),
    Attack("dies-knowing", "as before, and Python ends with the hidden part as its last words", "last words", target="plain",
           setup=ROWS + """
import sys, time
say(b'\\n{"event": "done"}\\n')
time.sleep(0.3)
heard = os.environ.get("TT_SECRET", "").encode()
""" + HEARD + """start = max(text.find("HID" + "DEN"), 0)
for fd in (2, *range(32)):
    try:
        os.write(fd, text[start:start + 1500].replace("\\n", " ").encode() + b"\\n")
    except OSError:
        pass
os._exit(1)"""),
    Attack("leaks-the-questions", "a thread waits for the hidden part, and tells it in rows and troubles of cells that have run", "inside",
           target="plain", setup=ROWS + """
import gc, sys, threading, time
def texts():
    for frame in list(sys._current_frames().values()):
        while frame:
            yield from (str(v) for v in list(frame.f_locals.values()) if isinstance(v, (str, dict)))
            frame = frame.f_back
def leak():
    for _ in range(4000):
        time.sleep(0.0005)
        for text in texts():
            if (start := text.find("HID" + "DEN = ")) >= 0:
                for k in range(40):
                    say(b"\\n" + json.dumps(row(k, state="failed", got=text[start:start + 300])).encode() + b"\\n")
                    say(json.dumps({"event": "end", "cell": k, "trouble": {"error": text[start:start + 300], "line": 1}}).encode() + b"\\n")
                open("results.txt", "a").write(text)
                return
threading.Thread(target=leak, daemon=True).start()""", answers={"spelled": """
import time
def spelled(digit):
    time.sleep(0.02)
    return "zero one two three four five six seven eight nine".split()[digit]"""}),
]
