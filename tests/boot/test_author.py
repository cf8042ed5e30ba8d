"""The demo, `tito dev test` and the digits: what they refuse, what they notice, what they stand on."""

import hashlib
import json
import re
import runpy
from pathlib import Path

import numpy as np
import pytest

from tito.course import Course, Module
from tito.dev import demo, testing
from tito.errors import TitoError

ROOT = Path(__file__).parents[2]
SOURCE = '''# %% [markdown]
"""
# One
"""

# %% nbgrader={"grade": false, "grade_id": "one", "locked": false, "schema_version": 3, "solution": true, "task": false}
#| export
def one():
    """1"""
    ### BEGIN SOLUTION
    return 1
    ### END SOLUTION
'''


def test_the_demo_replaces_only_what_a_demo_made(tmp_path):
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(TitoError, match="no demo made it"):
        demo._clear(tmp_path, ours=False)
    assert (tmp_path / "thesis.txt").exists()
    (tmp_path / demo.MARK).touch()
    demo._clear(tmp_path, ours=False)
    assert not tmp_path.exists()


def test_the_demo_writes_answers_and_leaves_the_rest(tmp_path):
    module = Module(1, "one", tmp_path)
    module.source.write_text(SOURCE, encoding="utf-8")
    stub = {"cells": [{"source": "# One", "metadata": {}}, {"source": "raise", "metadata": {"nbgrader": {"grade_id": "one"}}}]}
    module.notebook.write_text(json.dumps(stub), encoding="utf-8")
    assert demo.write_solutions(module.notebook, module) == 1
    first, second = json.loads(module.notebook.read_text(encoding="utf-8"))["cells"]
    assert first == stub["cells"][0] and "".join(second["source"]) == '#| export\ndef one():\n    """1"""\n    return 1'


def test_a_stub_that_passes_stops_the_demo(tmp_path):
    class Passes(demo.Student):
        def tito(self, *args, code=0, show=""):
            return ["passed      8/8  A check that checks nothing"] if "test" in args else []

    student = Passes(tmp_path, demo.Console(quiet=True))
    with pytest.raises(TitoError, match="passes although nothing was written") as caught:
        list(demo._work_through(student, Course(tmp_path), Module(1, "one", tmp_path)))
    assert caught.value.code == 1


def test_an_unexpected_exit_code_stops_the_demo(tmp_path):
    student = demo.Student(tmp_path, demo.Console(quiet=True))
    with pytest.raises(TitoError, match="exit code 4, not 0") as caught:
        student.run("-c", "print('all lost'); raise SystemExit(4)", shown="tito x", code=0)
    assert "all lost" in caught.value.why and caught.value.code == 1


@pytest.mark.parametrize(("codes", "code", "closing"), [((0, 0), 0, "all is well"), ((1, 0), 1, "failed: a"), ((0, 5), 1, "failed: b")])
def test_dev_test_runs_every_step_and_fails_if_any_did(monkeypatch, capfd, tmp_path, codes, code, closing):
    for name, value in zip("ab", codes):
        (tmp_path / f"{name}.py").write_text(f"print('{name} ran')\nraise SystemExit({value})\n", encoding="utf-8")
    monkeypatch.setattr(testing, "STEPS", {"a": ["a"], "b": ["b"]})
    assert testing.run_tests(Course(tmp_path)) == code
    out = capfd.readouterr().out
    assert "a ran" in out and "b ran" in out and out.splitlines()[-1] == closing


def test_the_digits_are_the_ones_the_readme_describes():
    data = (ROOT / "datasets" / "digits.npz").read_bytes()
    readme = (ROOT / "datasets" / "README.md").read_text(encoding="utf-8")
    assert re.search(r"\*\*sha256\*\*: `(\w+)`", readme)[1] == hashlib.sha256(data).hexdigest()
    with np.load(ROOT / "datasets" / "digits.npz", allow_pickle=False) as digits:
        images, labels = digits["images"], digits["labels"]
    assert (images.shape, images.dtype, images.max(), labels.shape, labels.dtype) == ((1797, 8, 8), np.uint8, 16, (1797,), np.int64)
    assert sorted(set(labels.tolist())) == list(range(10))


def test_the_same_arrays_are_packed_into_the_same_bytes():
    pack = runpy.run_path(str(ROOT / "datasets" / "make_digits.py"))["pack"]
    with np.load(ROOT / "datasets" / "digits.npz", allow_pickle=False) as digits:
        assert pack({name: digits[name] for name in ("images", "labels")}) == (ROOT / "datasets" / "digits.npz").read_bytes()
