"""Careless judges, each with one weakness that is common: an attack that gains nothing under any of them is no attack.

Each takes an attack and the scene, and says what it lets the attack gain: points above what the same wrong answers deserve, or harm.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from tests.grading.redteam.attack import Attack
from tests.grading.redteam.driver import without_bans
from tests.grading.redteam.scene import Scene, leaked
from tests.grading.redteam.targets import ROOT, TARGETS
from tito.check import probing
from tito.check.verdict import judge

SEED, PATIENCE, BUSY = 20270118, 2.5, 0.5
Judge = Callable[[Attack, Scene], str]          # what was gained; nothing where nothing was


def visible(attack: Attack, scene: Scene) -> str:
    """The visible checks alone, on this machine without a sandbox, as at a student's home."""
    return _visible(attack, scene, TARGETS[attack.target].document(_restored(attack, scene)))


def unrepaired(attack: Attack, scene: Scene) -> str:
    """The same, and the notebook is taken as it was handed in."""
    return _visible(attack, scene, TARGETS[attack.target].document(attack.notebook(scene.places)))


def _visible(attack: Attack, scene: Scene, document: Any) -> str:
    verdict = judge(document, scene.course, 1, "01 tensor", cell_seconds=10.0)
    points = {row.grade_id: row.points for row in verdict.rows}
    return attack.gain(points) or _harm(scene, json.dumps(verdict.to_dict()), attack)


def _restored(attack: Attack, scene: Scene) -> dict[str, Any]:
    """The notebook with the released tests in their places."""
    model = {c["metadata"]["nbgrader"]["grade_id"]: c for c in TARGETS[attack.target].released["cells"] if "nbgrader" in c["metadata"]}
    made = attack.notebook(scene.places)
    for cell in made["cells"]:
        marks = cell["metadata"].get("nbgrader", {})
        if marks.get("grade") and not marks.get("solution"):
            cell["source"] = model[marks["grade_id"]]["source"]
    return made


def script(attack: Attack, scene: Scene) -> str:
    """All cells in one script: success is an exit code of 0."""
    code, _ = _script(attack, scene, 30.0)
    return "full points: exit code 0" if code == 0 else ""


def stands_still(attack: Attack, scene: Scene) -> str:
    """A judge without a clock."""
    return "it never ends" if _script(attack, scene, PATIENCE)[0] is None else ""


def does_not_stop(attack: Attack, scene: Scene) -> str:
    """A judge that ends what takes too long with a signal that can be ignored."""
    return "it ignores being ended" if _script(attack, scene, PATIENCE)[1] else ""


def last_words(attack: Attack, scene: Scene) -> str:
    """A judge that shows the last line of stderr when a script did not end well."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "work").mkdir()
        _script(attack, scene, PATIENCE, Path(folder) / "work")
        return _harm(scene, (Path(folder) / "stderr.txt").read_text(errors="replace"), attack)


def _script(attack: Attack, scene: Scene, seconds: float, work: Path | None = None) -> tuple[int | None, bool]:
    """The exit code, None where it had to be ended; and whether asking it to end was in vain."""
    cells = [c["source"] for c in _restored(attack, scene)["cells"] if c["cell_type"] == "code"]
    errors_to = work.parent / "stderr.txt" if work else Path(os.devnull)
    with tempfile.TemporaryDirectory() as folder, errors_to.open("wb") as errors:
        path = Path(folder) / "script.py"
        path.write_text("\n\n".join(cells), encoding="utf-8")
        process = subprocess.Popen([sys.executable, path], cwd=work or folder, env=_environment(scene), stdout=subprocess.DEVNULL,
                                   stderr=errors)
        try:
            return process.wait(seconds), False
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(1.0)
            return None, False
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return None, True


def threads(attack: Attack, scene: Scene) -> str:
    """The visible checks, each cell in a thread of its own."""
    with tempfile.TemporaryDirectory() as folder:
        said = _weak_child("threads", _restored(attack, scene), attack.target, scene, Path(folder), 30.0)
    return attack.gain(json.loads(said or b"{}"))


def inside(attack: Attack, scene: Scene) -> str:
    """The hidden tests are run, and compared with what is wanted, in the process of the student's code; it reports its own results."""
    with tempfile.TemporaryDirectory() as folder:
        _weak_child("inside", _restored(attack, scene), attack.target, scene, Path(folder), 30.0)
        path = Path(folder) / "results.txt"
        lines = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
        points: dict[str, float] = {}
        for nonce, name, worth in (line for line in lines if len(line) == 3):
            if nonce == "nonce-5a" and name.startswith("test-"):
                points.setdefault(name, float(worth))
        return attack.gain(points) or _harm(scene, path.read_text() if path.exists() else "", attack)


def pickled(attack: Attack, scene: Scene, seconds: float = 6.0) -> str:
    """Values come out of the process by pickle, and are compared outside; nobody reads the code."""
    with tempfile.TemporaryDirectory() as folder:
        said = _weak_child("pickle", _restored(attack, scene), attack.target, scene, Path(folder), seconds)
    if said is None:
        return "it never ends"
    began = time.monotonic()
    try:
        rows, values = pickle.loads(said[said.rfind(b"\x80\x04\x95") if not said.startswith((b"\x80", b"cos")) else 0:])
    except Exception as error:
        return _harm(scene, "", attack) or f"the judge fell: {type(error).__name__}"
    if time.monotonic() - began > BUSY:
        return "the judge was kept busy"
    if harm := _harm(scene, "", attack):
        return harm
    wanted = _reference(attack.target, scene.course)
    for probe in probing.defined(without_bans(attack.target).probes, probing.Probe):
        name = f"{probe.grade_id}/{probe.name}"
        try:
            same = not probe.compare(probing.raw(values[name]), wanted[name])
        except Exception:
            same = False
        if not same:
            rows[probe.grade_id] = 0.0
    return attack.gain(rows)


def reader(attack: Attack, scene: Scene) -> str:
    """What the process says is read line by line, and believed to be what it should be."""
    import numpy as np
    with tempfile.TemporaryDirectory() as folder:
        said = _weak_child("inside", _restored(attack, scene), attack.target, scene, Path(folder), 30.0) or b""
    for line in said.splitlines():
        if len(line) > 10 << 20:
            return "a message of many megabytes was read"
        if not line.startswith((b"{", b"[")):
            continue
        try:
            event = json.loads(line)
            if isinstance(event, dict) and isinstance(event.get("value"), list):
                [np.zeros(v["shape"], v["dtype"]) for v in event["value"] if isinstance(v, dict)]
        except json.JSONDecodeError:
            continue
        except Exception as error:
            return f"the judge fell: {type(error).__name__}"
    return ""


def cannot_be_read(attack: Attack, scene: Scene) -> str:
    """A judge that reads whatever is called JSON."""
    try:
        json.loads(attack.file(scene.places))
    except RecursionError:
        return "the judge fell: RecursionError"
    return ""


def bloats_the_file(attack: Attack, scene: Scene) -> str:
    """A judge that keeps outputs."""
    return "a file of many megabytes" if len(attack.file(scene.places)) > 10 << 20 else ""


@lru_cache(maxsize=2)
def _reference(target: str, course: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        said = _run_child("pickle", TARGETS[target].solved, target, course, Path(folder), 60.0, b"")
    values = pickle.loads(said or b"")[1]
    return {name: probing.raw(value) for name, value in values.items()}


def _weak_child(mode: str, notebook: dict[str, Any], target: str, scene: Scene, work: Path, seconds: float) -> bytes | None:
    return _run_child(mode, notebook, target, scene.course, work, seconds, pickle.dumps(_reference(target, scene.course)))


def _run_child(mode: str, notebook: dict[str, Any], target: str, course: Path, work: Path, seconds: float, expected: bytes) -> bytes | None:
    """What weak_child.py writes to its stdout; None where it had to be ended."""
    document = TARGETS[target].document(notebook)
    job = {"cells": [vars(c) for c in document.cells], "name": target, "root": str(course), "nonce": "nonce-5a"}
    hidden = {"probes": TARGETS[target].assignment.probes, "seed": SEED, "expected": expected.hex()}
    process = subprocess.Popen([sys.executable, "-m", "tests.grading.redteam.weak_child", mode], cwd=work, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": str(ROOT)})
    try:
        return process.communicate(f"{json.dumps(job)}\n{json.dumps(hidden)}\n".encode(), seconds)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return None


def _environment(scene: Scene) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(scene.course), str(ROOT)]), "MPLBACKEND": "Agg"}


def _harm(scene: Scene, said: str, attack: Attack) -> str:
    if leaked(said):
        return "a secret was told, or it had its way"
    time.sleep(attack.lingers)
    return ", ".join(scene.touched())


JUDGES: dict[str, Judge] = {
    "visible": visible, "unrepaired": unrepaired, "script": script, "last words": last_words, "stands still": stands_still,
    "does not stop": does_not_stop, "threads": threads, "inside": inside, "pickle": pickled, "pickle stands still": pickled,
    "no static check": pickled, "reader": reader, "cannot be read": cannot_be_read, "bloats the file": bloats_the_file}
