"""A source is read as a notebook, the same one every time; students get it without solutions."""

import json
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tito.course import Course
from tito.dev.page import cell_lines
from tito.dev.source import dumps, notebook, read_source, solution_blocks, strip
from tito.errors import TitoError


def test_a_source_reads_as_a_document(course: Course) -> None:
    read = read_source(course.module("01").source)
    assert read.default_exp == "core.tensor"
    assert [c.grade_id for c in read.tests] == ["test-add"]
    assert read.manual_points == 10
    assert read.cells[0].heading == "Tensor"
    assert [c.grade_id for c in read.cells if c.exported] == ["", "tensor", "tensor-add"]
    assert read.cells[-1].analysis
    assert "%matplotlib inline" in read.cells[-1].source.split("\n")


def test_a_notebook_is_valid_and_its_bytes_are_stable(course: Course) -> None:
    for module in course.modules:
        first = notebook(module.source)
        nbformat.validate(nbformat.from_dict(first))
        assert dumps(first) == dumps(notebook(module.source))
        assert nbformat.reads(dumps(first), as_version=4).cells[1].source == first["cells"][1]["source"]


def test_ids_come_from_grade_ids_and_content(course: Course) -> None:
    path = course.module("01").source
    before = [c["id"] for c in notebook(path)["cells"]]
    assert "tensor-add" in before and len(set(before)) == len(before)
    text = path.read_text(encoding="utf-8")
    path.write_text("# %%\n1 + 1\n\n# %%\n1 + 1\n\n" + text, encoding="utf-8")
    after = [c["id"] for c in notebook(path)["cells"]]
    assert after[2:] == before, "a new cell above does not rename the others"
    assert after[1] == after[0] + "-2"


def test_a_byte_order_mark_and_windows_line_ends_change_nothing(course: Course) -> None:
    path = course.module("02").source
    before = notebook(path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert notebook(path) == before


def test_every_cell_is_found_at_its_line(course: Course) -> None:
    for module in course.modules:
        text = module.source.read_text(encoding="utf-8")
        cells = read_source(module.source).cells
        lines = text.splitlines()
        for cell, line in zip(cells, cell_lines(text, cells), strict=True):
            source = cell.source.split("\n")
            assert [t.replace("# %matplotlib", "%matplotlib") for t in lines[line - 1 : line - 1 + len(source)]] == source


HEADER = "# ---\n# jupyter:\n#   jupytext:\n#     text_representation:\n#       format_name: percent\n# ---\n\n"


@pytest.mark.parametrize("head", ["", "\n\n", "print(0)\n\n", HEADER])
def test_cells_are_found_whatever_stands_above_them(tmp_path: Path, head: str) -> None:
    path = tmp_path / "x_dev.py"
    path.write_text(head + "# %%\n\nx = 1\n\n# %% [markdown]\n# a comment is the text\n\n# %%\n\n# %%\ny = 2\n", encoding="utf-8")
    text = path.read_text(encoding="utf-8")
    cells = read_source(path).cells
    found = {
        cell.source.strip(): text.splitlines()[line - 1 :] for cell, line in zip(cells, cell_lines(text, cells), strict=True) if cell.source
    }
    assert {"x = 1", "a comment is the text", "y = 2"} <= found.keys()
    for source, lines in found.items():
        assert source in "".join(lines[:2]), "at the line where it begins, or at a blank one above it that belongs to the cell"


def test_students_get_no_solution_no_output_and_locked_tests(course: Course) -> None:
    whole = notebook(course.module("01").source)
    whole["cells"][1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "42"}]
    before = json.dumps(whole)
    student = strip(whole)
    assert json.dumps(whole) == before, "the original is left as it was"
    nbformat.validate(nbformat.from_dict(student))
    text = dumps(student)
    for secret in ("np.add", "memory traffic", "SOLUTION", "math.cos", "42"):
        assert secret not in text
    cells = {c["id"]: c for c in student["cells"]}
    assert [c["id"] for c in whole["cells"]] == list(cells)
    assert cells["tensor-add"]["source"].endswith(
        '"""\n    # YOUR CODE HERE\n    raise NotImplementedError()\n\nTensor.__add__ = add'.replace('"""', 'Tensors."""')
    )
    assert "Why float32?" in cells["why-float32"]["source"] and "YOUR ANSWER HERE" in cells["why-float32"]["source"]
    assert cells["test-add"]["metadata"]["editable"] is False and cells["test-add"]["metadata"]["deletable"] is False
    assert cells["test-add"]["metadata"]["nbgrader"]["checksum"]
    assert strip(notebook(course.module("01").source)) == strip(notebook(course.module("01").source))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    ### BEGIN SOLUTION\n    total", "    total"),
        ("    ### END SOLUTION\n\nTensor.__add__", "\nTensor.__add__"),
        (
            '"grade_id": "tensor-add", "locked": false, "schema_version": 3, "solution": true',
            '"grade_id": "tensor-add", "locked": false, "schema_version": 3, "solution": false',
        ),
    ],
)
def test_a_solution_that_would_stay_is_refused(course: Course, old: str, new: str) -> None:
    path = course.module("01").source
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(TitoError, match="tensor-add"):
        strip(notebook(path))


def test_solution_blocks() -> None:
    assert solution_blocks("a\n# BEGIN SOLUTION\nb\n# END SOLUTION\n### BEGIN SOLUTION\n### END SOLUTION") == [(1, 3), (4, 5)]
    for wrong in ("# END SOLUTION", "# BEGIN SOLUTION\n# BEGIN SOLUTION\n# END SOLUTION", "# BEGIN SOLUTION"):
        with pytest.raises(ValueError, match="no partner"):
            solution_blocks(wrong)


def test_a_missing_or_foreign_source_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "latin_dev.py").write_bytes("# Größe".encode("latin-1"))
    for name in ("latin_dev.py", "none_dev.py"):
        with pytest.raises(TitoError, match=name):
            read_source(tmp_path / name)


def test_reading_and_stripping_write_nothing_anywhere(course: Course, tmp_path: Path) -> None:
    """No database, no configuration, no log: not where we stand and not at home."""
    here, home = tmp_path / "here", tmp_path / "home"
    here.mkdir()
    home.mkdir()
    root = Path(__file__).parents[2]
    program = (
        f"import sys; sys.path.insert(0, {str(root)!r})\nfrom pathlib import Path\nfrom tito.dev.source import *\n"
        f"strip(notebook(Path({str(course.module('01').source)!r})))\nprint(sorted(m for m in sys.modules if sys.modules[m] is None))"
    )
    places = ("HOME", "USERPROFILE", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "JUPYTER_CONFIG_DIR", "IPYTHONDIR", "TMPDIR")
    before = sorted(course.root.rglob("*"))
    done = subprocess.run(
        [sys.executable, "-B", "-c", program],
        cwd=here,
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": "", "SYSTEMROOT": "", "MPLCONFIGDIR": str(here.parent), **dict.fromkeys(places, str(home))},
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.strip() == "[]", "modules hidden for a faster import are found again"
    assert not list(here.iterdir()) and not list(home.rglob("*"))
    assert sorted(course.root.rglob("*")) == before
