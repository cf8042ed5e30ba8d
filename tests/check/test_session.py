"""What a judging process claims, and what is made of it: forged rows, early ends, questions and their answers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays, scalar_dtypes

from tests.check.workbench import RIGHT, Bench, demo
from tests.waiting import soon
from tito.check.process import Process, plain
from tito.check.session import Limits, Questions
from tito.check.values import pack, unpack

PROBES = """
from tito.check.probing import close, probe
import numpy as np

@probe("test-add")
def sums(tinytorch, rng):
    a, b = rng.normal(size=3), rng.normal(size=3)
    return tinytorch.add(tinytorch.Tensor(a), tinytorch.Tensor(b)).data

@probe("test-double")
def doubles(tinytorch, rng):
    return tinytorch.double(tinytorch.Tensor(rng.normal(size=2))).data
"""
QUESTIONS = Questions(PROBES, ((0, 1), (0, 2), (1, 1)))
LIE = """
import glob, json, os
for name in os.listdir("/proc/self/fd"):
    try:
        os.write(int(name), ("\\n" + json.dumps({event}) + "\\n").encode())
    except OSError:
        pass
def add(a, b): return a
"""
needs_proc = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="the descriptors of a process are looked up in /proc")


@needs_proc
def test_a_forged_row_is_worth_what_the_cell_is_and_only_until_the_truth_comes(bench: Bench) -> None:
    row = {"state": "passed", "points": 1000, "max_points": 1000, "grade_id": "other", "sentence": "a lie", "hint": "x" * 10**5}
    verdict = bench.judge(demo(whole=LIE.replace("{event}", repr({"event": "end", "cell": 5, "row": row, "blame": ""}))))
    assert [(r.grade_id, r.max_points) for r in verdict.rows] == [("test-add", 5), ("test-double", 3)]
    assert verdict.rows[0].state == "failed" and verdict.points == 0
    assert all(len(r.hint) <= 4000 for r in verdict.rows)


@needs_proc
@pytest.mark.parametrize(
    "event",
    [
        {"event": "done"},
        {"event": "infra", "error": "forged"},
        {"event": "end", "cell": 10**9},
        {"event": "end", "cell": [1]},
        {"event": "end", "cell": 1.0, "row": 3},
        {"event": "late", "cell": 5, "row": {"state": "passed"}},
        [1],
        None,
    ],
)
def test_no_claim_ends_the_run_in_anybodys_favour(bench: Bench, event: Any) -> None:
    verdict = bench.judge(demo(whole=LIE.replace("{event}", repr(event))))
    assert len(verdict.rows) == 2 and verdict.points == 0
    assert {r.state for r in verdict.rows} <= {"error", "failed", "timeout", "skipped"}


def test_questions_are_answered_with_raw_values_after_the_last_cell(bench: Bench) -> None:
    right, wrong = (bench.judge(demo(add), questions=QUESTIONS).answers for add in (RIGHT, "return Tensor(a.data - b.data)"))
    assert len(right) == len(wrong) == 3 and not any(a.error for a in right + wrong)
    assert unpack(right[0].value).shape == (3,) and not np.allclose(unpack(right[0].value), unpack(wrong[0].value))
    assert pack(unpack(right[0].value)) == right[0].value
    assert not np.array_equal(unpack(right[0].value), unpack(right[1].value)), "another seed"
    assert not bench.judge(demo(RIGHT)).answers


@pytest.mark.parametrize(
    ("inside", "error"),
    [
        ("raise ZeroDivisionError", "ZeroDivisionError"),
        ("import os; os._exit(3)", "ended Python: exit code 3"),
        ("while True: pass", "did not end"),
        ("import sys; sys.exit()", "SystemExit"),
    ],
)
def test_a_probe_that_finds_no_end_costs_only_its_own_answer(bench: Bench, inside: str, error: str) -> None:
    probes = PROBES.replace("a, b = rng", f"{inside}\n    a, b = rng")
    verdict = bench.judge(demo(RIGHT), questions=Questions(probes, ((0, 1), (1, 1))), limits=Limits(cell_seconds=0.3))
    assert [r.state for r in verdict.rows] == ["passed", "passed"]
    assert [a.error for a in verdict.answers] == [error, ""]


def test_rows_stand_once_the_questions_were_told(bench: Bench) -> None:
    """What is in the probes cannot come out in a row, also not in the pass after one that ended."""
    spy = (
        RIGHT
        + "\nimport gc, os, sys\ndef double(a): return add(a, a)\nseen = [0]\n"
        + """
def later(a):
    text = [o for o in gc.get_objects() if isinstance(o, str)]
    os._exit(1)
"""
    )
    verdict = bench.judge(demo(spy), questions=QUESTIONS)
    assert all("rng.normal" not in str(r.to_dict()) for r in verdict.rows)


def test_one_who_says_too_much_is_ended(bench: Bench) -> None:
    flood = LIE.replace('("\\n" + json.dumps({event}) + "\\n").encode()', 'b"x" * 300000')
    if Path("/proc/self/fd").is_dir():
        verdict = bench.judge(demo(whole=flood), limits=Limits(said=200_000))
        assert verdict.rows[0].state == "error" and "said more than" in verdict.rows[0].got


def test_the_whole_has_an_end_too(bench: Bench) -> None:
    verdict = bench.judge(demo(whole="import time; time.sleep(60)\ndef add(a, b): return a"), limits=Limits(cell_seconds=30, seconds=1.5))
    assert [r.state for r in verdict.rows] == ["timeout", "skipped"]
    assert verdict.rows[0].got == "the whole notebook ran longer than 1.5 seconds"


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is POSIX's")
def test_a_kill_from_outside_is_tried_again_before_anybody_is_blamed(bench: Bench) -> None:
    started: list[Any] = []

    def launch(work: Path, errors: IO[bytes]) -> Process:
        process = plain(work, errors)
        started.append(process)
        if len(started) == 1:
            import threading

            threading.Timer(0.6, process.kill).start()
        return process

    verdict = bench.judge(demo(whole="import time; time.sleep(1.2)\n" + "def add(a, b): return Tensor(a.data + b.data)"), launch=launch)
    assert verdict.ok and len(started) == 2
    started.clear()
    verdict = bench.judge(demo(f"import os; os.kill(os.getpid(), {int(signal.SIGKILL)})"))
    assert verdict.rows[0].state == "error" and verdict.rows[0].got == "the Python process ended here: signal 9"


RAW = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.complex_numbers()
    | arrays(scalar_dtypes(), array_shapes(min_dims=0, min_side=0)),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(RAW)
def test_values_survive_the_way(value: Any) -> None:
    import json

    if any(a.dtype.kind not in "biufc" for a in _arrays(value)):
        return
    back = unpack(json.loads(json.dumps(pack(value))))
    assert repr(back) == repr(value)


def _arrays(value: Any) -> list[np.ndarray]:
    if isinstance(value, np.ndarray):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [array for item in inner for array in _arrays(item)]


@pytest.mark.parametrize(
    "packed",
    [
        {"array": "AAAA", "dtype": "O", "shape": [1]},
        {"array": "AAAA", "dtype": "<f4", "shape": [10**12]},
        {"array": "AAAAAA==", "dtype": "<f4", "shape": [-1]},
        {"array": "AAAAAA==", "dtype": "<f4", "shape": [True]},
        {"array": "Ag==", "dtype": "?", "shape": [1]},
        {"array": "?", "dtype": "<f4", "shape": []},
        {"array": "", "dtype": "V8", "shape": [0]},
        {"array": "", "dtype": "i4,i4", "shape": [0]},
        {"array": 3, "dtype": 4, "shape": 5},
        {"complex": "ab"},
        {"complex": [1, 2, 3]},
        {"complex": ["x", 1]},
        {"dict": [1]},
        {"dict": [[1]]},
        {"other": 1},
        {},
        [{}],
        {"array": "", "dtype": "<U0", "shape": [5]},
        {"array": "", "dtype": "M8[s]", "shape": [0]},
    ],
)
def test_what_was_never_packed_is_refused(packed: Any) -> None:
    with pytest.raises(ValueError):
        unpack(packed)


ALONE = """
import os, sys
from pathlib import Path
from tests.check.workbench import demo
from tito.cells import document
from tito.check import process
from tito.check.session import Limits, Questions, Session

def told(work, errors):
    child = process.plain(work, errors)
    print(child.pid, flush=True)
    return child

endless = document({"cells": demo(f"open({sys.argv[2]!r}, 'w').close()\\n    while True: pass"), "metadata": {}}, Path("demo.ipynb"))
Session(endless, sys.argv[1], 1, "01 demo", told, Limits(1000.0), Questions()).run()
"""


def test_a_judging_process_does_not_outlive_the_one_that_asked(bench: Bench, tmp_path: Path) -> None:
    """Killed without a word, as by a closed lid or an impatient hand: an endless loop must not go on for ever."""
    at_work = tmp_path / "at work"
    asker = subprocess.Popen([sys.executable, "-c", ALONE, str(bench.root), str(at_work)], stdout=subprocess.PIPE, text=True,
                             env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])})
    assert asker.stdout
    with asker.stdout:
        child = int(asker.stdout.readline())
        assert soon(at_work.exists) and alive(child)
        asker.kill()
        asker.wait()
    assert soon(lambda: not alive(child))


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").split()[2] != "Z"
    except FileNotFoundError:
        return False
