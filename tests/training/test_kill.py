"""A run that is killed without warning, again and again, ends bit for bit as the one that was left alone."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.training import runs

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")


def start(folder, *args):
    return subprocess.Popen([sys.executable, "-m", "tests.training.runs", str(folder), *map(str, args)], cwd=ROOT,
                            env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The folder of the run that nobody disturbs."""
    folder = tmp_path_factory.mktemp("alone")
    process = start(folder)
    assert process.wait(120) == 0, process.stderr.read().decode()
    return folder


@pytest.fixture(scope="module")
def events():
    """How many function calls and returns a run has."""
    import tempfile
    count = [0]
    made = runs.trainer()
    with tempfile.TemporaryDirectory() as folder:
        sys.setprofile(lambda *_: count.__setitem__(0, count[0] + 1))
        try:
            runs.complete(made, Path(folder) / "run.npz", resume=True)
        finally:
            sys.setprofile(None)
    return count[0]


@pytest.fixture(scope="module")
def nursery():
    """Starts runs: one process that has imported everything makes a child of itself for each.  Gives the child's exit code."""
    with subprocess.Popen([sys.executable, "-m", "tests.training.runs"], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)},
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        def run(folder, events):
            print(folder, events, sep="\t", file=process.stdin, flush=True)
            return int(process.stdout.readline())
        yield run
        process.stdin.close()


def assert_equal(folder, alone):
    assert (folder / "result.json").read_text() == (alone / "result.json").read_text()
    assert (folder / "run.npz").read_bytes() == (alone / "run.npz").read_bytes()
    assert sorted(p.name for p in folder.iterdir()) == ["result.json", "run.npz"]


def test_killed_at_any_function_call(tmp_path, alone, events, nursery):
    """30 kills or more, spread over everything a run does: steps, evaluation, and every part of writing a checkpoint."""
    rng, kills, writing, lives = random.Random(7), 0, 0, 0
    while kills < 30:
        folder = tmp_path / str(lives)
        folder.mkdir()
        lives += 1
        while True:
            code = nursery(folder, rng.randrange(events // 12, events // 2))
            if code == 0:
                break
            assert code == -signal.SIGKILL
            kills += 1
            writing += (folder / "run.npz.new").exists()
        assert_equal(folder, alone)
    assert writing >= 2                                 # some of them while a checkpoint was being written


def test_killed_from_outside_at_any_time(tmp_path, alone):
    begin, quiet = time.monotonic(), tmp_path / "quiet"
    quiet.mkdir()
    assert start(quiet).wait(120) == 0
    whole, rng, kills = time.monotonic() - begin, random.Random(8), 0
    tmp_path = tmp_path / "killed"
    tmp_path.mkdir()
    process = start(tmp_path)
    while True:
        try:
            assert process.wait(rng.uniform(0.3, 1.0) * whole if kills < 8 else 120) == 0, process.stderr.read().decode()
            break
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kills += 1
            process = start(tmp_path)
    assert_equal(tmp_path, alone)


@pytest.mark.parametrize("at", ["open", "write", "fsync", "replace", "replaced"])
def test_killed_in_the_middle_of_writing(tmp_path, alone, at):
    """At each step of writing the second checkpoint: what is there is the first one or the second one, and it is whole."""
    program = f"""
import os, signal, sys, zipfile
import numpy as np
from pathlib import Path
from tests.training import runs
from tinytorch.core import training
calls = [0]
def dies(real, before=True, count=2):
    def call(*args, **settings):
        calls[0] += 1
        if before and calls[0] == count: os.kill(os.getpid(), signal.SIGKILL)
        answer = real(*args, **settings)
        if calls[0] == count: os.kill(os.getpid(), signal.SIGKILL)
        return answer
    return call
at = {at!r}
if at == "open": zipfile.ZipFile.__init__ = dies(zipfile.ZipFile.__init__)
if at == "write": np.lib.format.write_array = dies(np.lib.format.write_array, count=25)
if at == "fsync": os.fsync = dies(os.fsync)
if at == "replace": os.replace = dies(os.replace)
if at == "replaced": os.replace = dies(os.replace, False)
runs.complete(runs.trainer(), Path(sys.argv[1]) / "run.npz", resume=True)
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    code = subprocess.run([sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, env=environment, timeout=120).returncode
    assert code == -signal.SIGKILL
    made = runs.trainer(3)
    made.load_checkpoint(tmp_path / "run.npz")
    assert made.epoch == (2 if at == "replaced" else 1)
    assert start(tmp_path).wait(120) == 0
    assert_equal(tmp_path, alone)


@pytest.mark.parametrize("kind, settings", [
    ("SGD", {"momentum": 0.9}), ("SGD", {}), ("Adam", {}), ("AdamW", {}), ("RMSprop", {}), ("Adagrad", {})])
@pytest.mark.parametrize("scheduler", ["", "StepLR", "ReduceLROnPlateau", "Cosine"])
@pytest.mark.parametrize("own", [True, False])
def test_every_optimizer_and_schedule_resumes_bit_for_bit(tmp_path, kind, settings, scheduler, own):
    whole = runs.trainer(kind=kind, scheduler=scheduler, **settings)
    runs.complete(whole, tmp_path / "a.npz", own=own)
    expected = runs.result(whole)

    class Cut(Exception):
        pass

    def cut(trainer):
        if trainer.epoch == 4:
            raise Cut
    first = runs.trainer(kind=kind, scheduler=scheduler, **settings)
    train, held_out = runs.loaders(own)
    with pytest.raises(Cut):
        first.fit(train, runs.EPOCHS, held_out, 4, 2, callbacks=[cut], checkpoint=tmp_path / "b.npz")
    second = runs.trainer(9, kind=kind, scheduler=scheduler, **settings)
    runs.complete(second, tmp_path / "b.npz", resume=True, own=own)
    assert runs.result(second) == expected
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
