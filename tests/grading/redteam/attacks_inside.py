"""Attacks on the judging process from inside: trace hooks, frames, the garbage collector, exits, threads, what it says at its end."""

from __future__ import annotations

from tests.grading.redteam.attack import Attack
from tests.grading.redteam.attacks_patch import TO_DOUBLED, TO_LOOPS, TO_ORDERED, TO_SHAPE

JUMP = """
import sys
def jump(frame, event, arg):
    if event == "call":
        return jump if frame.f_code.co_name == "test_unit_broadcast_shape" else None
    if event == "line":
        frame.f_lineno = max(line for _, _, line in frame.f_code.co_lines() if line)
        return None
    return jump
"""
FIND = """
import gc
def found(name):
    return [o for o in gc.get_objects() if type(o).__name__ == name]
"""

ATTACKS = [
    Attack("settrace", "a trace hook jumps over the lines of the test", "visible", **TO_SHAPE, setup=JUMP + "sys.settrace(jump)"),
    Attack("threading-settrace", "a trace hook for new threads, for a judge that runs each cell in one", "threads", **TO_SHAPE,
           setup=JUMP + "import threading\nthreading.settrace(jump)"),
    Attack("setprofile", "a profile hook makes what is wanted equal to what came", "visible", **TO_LOOPS, setup="""
import sys
def level(frame, event, arg):
    if event == "call" and frame.f_code.co_filename.endswith("compare.py") and frame.f_code.co_name in ("close", "same"):
        frame.f_locals["want"] = frame.f_locals["got"]
sys.setprofile(level)"""),
    Attack("frames", "the stack is climbed to the harness, whose method that makes rows makes good ones", "visible", **TO_SHAPE, setup="""
import sys
frame = sys._getframe()
while frame:
    run = frame.f_locals.get("self")
    if hasattr(run, "told"):
        run.told = lambda cell, error, told=type(run).told, run=run: told(run, cell, None)
    frame = frame.f_back"""),
    Attack("gc-harness", "the harness's line to the judge is found by the garbage collector, and says what the attack likes", "visible",
           **TO_SHAPE, setup=FIND + """
for wire in [run.wire for run in found("Run")]:
    send = wire.send
    def sends(event, **facts):
        if facts.get("row"):
            facts["row"] = facts["row"] | {"state": "passed", "points": facts["row"]["max_points"]}
        send(event, **facts)
    wire.send = sends"""),
    Attack("gc-run", "the harness is found by the garbage collector, and passes over a test",
           "visible", **TO_ORDERED, setup=FIND + """
for run in found("Run"):
    execute = run._execute
    run._execute = lambda cell: None if cell.grade_id == "test-ordered" else execute(cell)"""),
    Attack("gc-expected", "the values that are wanted are found by the garbage collector", "inside", target="plain", aim=("test-doubled",),
           answers={"doubled": FIND + """
def doubled(x):
    if x.tolist() == [1.0, 2.0, 4.0]:
        return np.array([2.0, 4.0, 8.0])
    for o in gc.get_objects():
        if type(o) is dict and "test-doubled/doubles" in o:
            for array in o["test-doubled/doubles"]:
                if isinstance(array, np.ndarray) and array.shape == x.shape:
                    return array
    return x"""}),
    Attack("rewritten-at-exit", "atexit writes the results again, after the judge's own", "inside", **TO_DOUBLED, setup="""
import atexit, pathlib, re
def better():
    path = pathlib.Path("results.txt")
    path.write_text(re.sub(r"test-doubled \\S+", "test-doubled 3", path.read_text()))
atexit.register(better)"""),
    Attack("copied-nonce", "the word that makes a result genuine is read from the harness's frames", "inside", **TO_DOUBLED, setup="""
import pathlib, sys, threading
for frame in list(sys._current_frames().values()):
    while frame:
        nonce = frame.f_locals.get("job", {}).get("nonce") if isinstance(frame.f_locals.get("job"), dict) else None
        if nonce:
            pathlib.Path("results.txt").write_text(f"{nonce} test-doubled 3\\n")
        frame = frame.f_back"""),
    Attack("stolen-questions", "the hidden part waits on stdin: it is read there, and answered from what it expects", "inside",
           **TO_DOUBLED, setup="""
import json, os, pathlib, sys, time
hidden = b""
os.set_blocking(0, False)
for _ in range(20):
    time.sleep(0.02)
    try:
        hidden += os.read(0, 1 << 20)
    except OSError:
        continue
if hidden:
    job = next(f.f_locals["job"] for f in sys._current_frames().values() for f in (f, f.f_back, f.f_back and f.f_back.f_back)
               if f and "job" in f.f_locals)
    names = set(__import__("re").findall(r'"(test-[a-z]+)', hidden.decode()))
    pathlib.Path("results.txt").write_text("".join(f"{job['nonce']} {name} 3\\n" for name in sorted(names) or ["test-doubled"]))
    os._exit(0)"""),
    Attack("os-exit", "os._exit(0) before the first test: an end without an error", "script", **TO_SHAPE, setup="import os\nos._exit(0)"),
    Attack("sys-exit", "sys.exit(0) inside the answer", "script", target="plain", aim=("test-ordered",),
           answers={"ordered": "import sys\ndef ordered(items):\n    sys.exit(0)"}),
    Attack("excepthook", "whatever exception ends Python, it ends with success", "script", **TO_ORDERED,
           setup="import os, sys\nsys.excepthook = lambda *a: os._exit(0)"),
    Attack("exit-at-exit", "atexit ends Python with success, whatever happened", "script", **TO_ORDERED,
           setup="import atexit, os\natexit.register(os._exit, 0)"),
]
