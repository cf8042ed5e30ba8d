"""`tito.notebook`: a failing cell shows in JupyterLab the card that the terminal shows, word for word."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.check.workbench import SETUP, TEST_ADD, Bench, code, demo

HOME = Path(__file__).parents[2]


def ran(bench: Bench, cells: list[dict[str, Any]], folder: Path | None = None) -> tuple[list[str], str]:
    """What IPython shows of every cell's exception, and what was printed."""
    bench.put(cells)
    run = subprocess.run([sys.executable, str(Path(__file__).with_name("kernel.py")), str(bench.path)], cwd=folder or bench.path.parent,
                         env={**os.environ, "PYTHONPATH": str(HOME)}, capture_output=True, timeout=60)
    assert run.returncode == 0, run.stderr.decode()
    return list(json.loads(run.stdout)), run.stderr.decode()


def shown(bench: Bench, cells: list[dict[str, Any]], folder: Path | None = None) -> list[str]:
    return ran(bench, cells, folder)[0]


@pytest.mark.parametrize("cells", [
    demo("return Tensor(a.data - b.data)"),
    demo("# YOUR CODE HERE\n    raise NotImplementedError()"),
    demo(whole="# YOUR CODE HERE\nraise NotImplementedError()"),
    demo("retrun a"),
    demo("raise ValueError('no')"),
    demo("return Tenso(a.data)"),
    demo("import sys; sys.exit(3)"),
    demo("class E(Exception):\n        def __str__(self): raise ValueError\n    raise E()"),
    demo("raise ValueError('no')", test_add=TEST_ADD.replace("lambda: add(a, b)", "add(a, b)")),
    demo("return add(a, b)"),
    demo(extra=(code("expect = None"), code("np = 5"))),
    demo("return a", extra=(code("%matplotlib inline\n!true"), code("def broken(:"), code("1 / 0"))),
    demo(whole="%%time\ndef add(a, b):\n    return a.nonsense"),
], ids=[str(k) for k in range(13)])
def test_the_card_is_the_terminals(bench: Bench, cells: list[dict[str, Any]]) -> None:
    index = next(i for i, c in enumerate(cells) if c["metadata"].get("nbgrader", {}).get("grade_id") == "test-add")
    row = bench.judge(cells).rows[0]
    assert row.state in ("failed", "error")
    assert shown(bench, cells)[index] == "\n".join(row.card())


def test_a_check_that_holds_says_so(bench: Bench) -> None:
    shown, printed = ran(bench, demo())
    assert not any(shown)
    assert "PASSED  5 of 5   Adding works entry by entry.\n" in printed


def test_the_last_check_of_a_module_has_a_whole_card_too(bench: Bench) -> None:
    cells = demo("return Tensor(a.data - b.data)", test_add=TEST_ADD.replace("test_unit_add", "test_module"))
    card = next(text for text in shown(bench, cells) if text)
    assert card == "\n".join(bench.judge(cells).rows[0].card())
    assert card.startswith("FAILED  0 of 5")


def test_other_exceptions_keep_their_traceback(bench: Bench) -> None:
    found = shown(bench, [*demo(), code("def own():\n    return 1 / 0\nown()"), code("expect.close(1.0, 2.0, 'by hand')"), code("x =")])
    assert not any(found[:9])
    assert "ZeroDivisionError" in found[9]
    assert "own()" in found[9]
    assert found[10].startswith("FAILED")
    assert "by hand" in found[10]
    assert "SyntaxError" in found[11]


def test_without_a_readable_notebook_the_card_shows_less(bench: Bench) -> None:
    cells = demo("return Tensor(a.data - b.data)", extra=(code("from pathlib import Path\nPath('demo_dev.ipynb').write_text('{')"),))
    card = shown(bench, cells)[6]
    assert card.startswith("FAILED")
    assert "this subtracts" in card
    cells = demo("return Tensor(a.data - b.data)")
    del cells[0]
    assert "this subtracts" in shown(bench, cells)[4]                   # nobody called use()


def test_an_unsaved_answer_is_still_located(bench: Bench) -> None:
    path = json.dumps(str(bench.path))
    older = json.dumps(json.dumps(demo("pass")))
    edit = f"import json\nfrom pathlib import Path\nold = json.loads(Path({path}).read_text(encoding='utf-8'))\n" \
           f"old['cells'] = json.loads({older})\nPath({path}).write_text(json.dumps(old), encoding='utf-8')"
    card = shown(bench, demo("raise ValueError('no')", extra=(code(edit),)))[6]
    assert "in `add`, cell add, line 4: raise ValueError('no')" in card


def test_running_the_first_cell_again_changes_nothing(bench: Bench) -> None:
    cells = demo("retrun a")
    cells.insert(5, code(SETUP))
    found = shown(bench, cells)
    assert found[6].count("cell add runs") == 1


def test_the_course_is_found_from_below_and_comes_first(bench: Bench, tmp_path: Path) -> None:
    where = code("import tinytorch, sys\nassert tinytorch.limited == 1, 'limit'\nassert sys.path.count(sys.path[0]) == 1\n1 / 0")
    below = bench.path.parent / "deeper"
    below.mkdir()
    assert "ZeroDivisionError" in shown(bench, [code(SETUP), where], below)[1]
    found = shown(bench, [code(SETUP), code("2 + 2")], tmp_path)        # outside of a course: nothing to do, no error
    assert found == ["", ""]


def test_it_prints_nothing_and_needs_no_numpy(bench: Bench) -> None:
    program = "import sys; from tito import notebook; notebook.use(1); assert not {'numpy', 'IPython'} & set(sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], cwd=bench.path.parent, capture_output=True,
                         env={**os.environ, "PYTHONPATH": str(HOME)})
    assert (run.returncode, run.stdout, run.stderr) == (0, b"", b"")


def test_a_real_kernel_saves_just_the_card(bench: Bench) -> None:
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    cells = demo("return Tensor(a.data - b.data)")
    card = "\n".join(bench.judge(cells).rows[0].card())
    notebook = nbformat.read(bench.path, as_version=4)
    client = nbclient.NotebookClient(notebook, timeout=60, allow_errors=True, resources={"metadata": {"path": str(bench.path.parent)}})
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(HOME)
    try:
        client.execute()
    finally:
        os.environ.pop("PYTHONPATH") if before is None else os.environ.update(PYTHONPATH=before)
    (output,) = notebook.cells[5].outputs
    assert output.output_type == "error"
    assert "\n".join(output.traceback) == card
