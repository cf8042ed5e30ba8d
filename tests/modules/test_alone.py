"""In a student's folder: what the commands do with a mistake, that nothing else is needed, and that no solution is there."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.modules.conftest import Edition, Run
from tests.modules.plant import Spot, spots
from tests.modules.shelf import COURSE, MODULES, ROOT, package_file, solved, stub, verdict
from tests.pipeline.leaks import leaks
from tito.cells import Document
from tito.course import Module

Tito = Callable[..., tuple[int, Any]]
TENSOR, ACTIVATIONS = MODULES[:2]


def _spot(module: Module, name: str) -> Spot:
    return next(spot for spot in spots(solved(module)) if spot.name == name)


def test_a_mistake_stops_test_and_complete_and_changes_nothing(edition: Edition, tito: Tito) -> None:
    edition.solve(TENSOR)
    code, said = tito(edition.root, "module", "complete", "01")
    assert code == 0 and said["exported"] == "tinytorch/core/tensor.py"
    spot = _spot(TENSOR, "broadcast_shape")
    edition.write(TENSOR, spot.planted_in(solved(TENSOR)))
    before = edition.files()
    assert {".tito/state.json", "tinytorch/core/tensor.py"} <= before.keys()
    for command in ("test", "complete"):
        code, said = tito(edition.root, "module", command, "01")
        assert code == 1 and not said["ok"] and not said.get("exported")
        first = next(row for row in said["rows"] if row["state"] != "passed")
        assert f"in `broadcast_shape`, cell {spot.label}, line" in first["at"] and "planted" in first["at"]
        assert edition.files() == before


def test_a_first_complete_that_fails_exports_and_records_nothing(edition: Edition, tito: Tito) -> None:
    spot = _spot(TENSOR, "matmul")
    edition.write(TENSOR, spot.planted_in(solved(TENSOR)))
    before = edition.files()
    assert tito(edition.root, "module", "complete", "01")[0] == 1
    assert edition.files() == before and ".tito/state.json" not in before


GONE = """
import os, sys
ROOT, KEPT = {root!r}, {kept!r}

def gone(event, args):
    if event in ("open", "os.listdir", "os.scandir") and args and isinstance(args[0], (str, bytes)):
        path = os.path.abspath(os.fsdecode(args[0]))
        if (path + os.sep).startswith(ROOT + os.sep) and not any((path + os.sep).startswith(k + os.sep) for k in KEPT):
            raise FileNotFoundError(2, "the course repository is gone", path)

sys.path[:] = [p for p in sys.path if os.path.abspath(p or ".") != ROOT]
sys.addaudithook(gone)
"""

JUDGE = """
import json, sys
from pathlib import Path
from tito.check.verdict import judge
from tito.course import Course

try:
    open({settings!r})
except FileNotFoundError as error:
    assert "gone" in str(error)
else:
    sys.exit("the course repository is still there")
course = Course.find()
module = course.module(sys.argv[1])
found = judge(module.read(), course.root, module.number, module.label)
print(json.dumps([found.to_dict(), [m.__file__ for m in sys.modules.values() if getattr(m, "__file__", None)]]))
"""


def _judged_alone(edition: Edition, module: Module, aside: Path, python: Run) -> dict[str, Any]:
    """The verdict of a process that, like the processes it starts, cannot open a file of this repository (but for a .venv in it)."""
    aside.mkdir(exist_ok=True)
    kept = [p for p in (sys.prefix, sys.base_prefix) if p != str(ROOT)]
    (aside / "sitecustomize.py").write_text(GONE.format(root=str(ROOT), kept=kept), encoding="utf-8")
    path = os.pathsep.join([str(edition.root), str(aside)])
    done = python(edition.root, "-c", JUDGE.format(settings=str(ROOT / "settings.ini")), module.name, PYTHONPATH=path)
    assert done.returncode == 0, done.stderr
    found, files = json.loads(done.stdout)
    assert not [f for f in files if Path(f).is_relative_to(ROOT) and not any(Path(f).is_relative_to(k) for k in kept)]
    assert any(Path(f) == edition.root / "tito" / "check" / "verdict.py" for f in files)
    return dict(found)


@pytest.mark.parametrize("work", ["solved", "stub", "planted"])
def test_the_verdict_is_the_same_with_the_course_gone(work: str, edition: Edition, tmp_path: Path, python: Run) -> None:
    module = ACTIVATIONS
    planted = _spot(module, "relu").planted_in(solved(module))
    document: Document = {"solved": solved(module), "stub": stub(module), "planted": planted}[work]
    target = edition.root / package_file(TENSOR)
    target.write_bytes((ROOT / package_file(TENSOR)).read_bytes())
    edition.write(module, document)
    here = verdict(document, module).to_dict()
    assert here["ok"] == (work == "solved")
    assert _judged_alone(edition, module, tmp_path / "aside", python) == here


def test_no_solution_is_in_an_edition_not_even_after_work_in_it(edition: Edition, tito: Tito) -> None:
    for command in ("test", "complete"):
        assert tito(edition.root, "module", command, "01")[0] == 1
    assert list(edition.root.rglob("*.pyc")), "what Python kept is looked through, too"
    assert leaks(COURSE, edition.root) == []
