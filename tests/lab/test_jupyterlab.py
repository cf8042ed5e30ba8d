"""A student's edition in JupyterLab, in a browser: what is typed, what is shown, and that the shell agrees."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.browser import Lab, require, started
from tests.modules.conftest import released  # noqa: F401    # a fixture
from tests.modules.shelf import COURSE, MODULES, each_module
from tests.sampling import ALL, chosen
from tito.course import Module
from tito.dev.demo import write_solutions
from tito.dev.source import notebook
from tito.export import SOLUTION_MARK

FIRST = MODULES[0]


def path_of(module: Module) -> Path:
    return module.notebook.relative_to(COURSE.root)


def joined(cell: Any) -> str:
    return "".join(cell["source"])


def first_answer() -> tuple[str, str]:
    """The name that the first solution defines, and the solution."""
    source = next(c["source"] for c in notebook(FIRST.source)["cells"] if c["metadata"].get("nbgrader", {}).get("solution"))
    return re.findall(r"^def (\w+)", source, re.MULTILINE)[0], SOLUTION_MARK.sub("", source).rstrip("\n")


def lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines() if line.strip() and not line.startswith(("next:", "stuck?"))]


def rows(text: str) -> list[str]:
    return re.findall(r"^(?:passed|to write|skipped|failed|error) +\d+/\d+ .*$", text, re.MULTILINE)


@pytest.fixture(scope="module")
def lab(released: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:  # noqa: F811
    """One server for all of these, in an edition whose package has every module: each notebook hides what it has to."""
    require()
    scratch = tmp_path_factory.mktemp("lab")
    root = shutil.copytree(released, scratch / "meine Übung")
    shutil.copytree(COURSE.package, root / "tinytorch", dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    with started(root, scratch, "module", "start", "01") as lab:
        yield lab
        assert not list((scratch / "home").glob(".jupyter*"))


def test_a_newcomer_sees_the_notebook_and_nothing_that_asks(lab: Lab) -> None:
    with lab.page.expect_response(lambda r: "/api/workspaces" in r.url and r.request.method == "PUT"):      # all is where it belongs
        lab.page.goto(lab.address)
    lab.arrived(path_of(FIRST))
    lab.shot("first")
    assert lab.page.locator(".jp-FileBrowser .jp-DirListing-item", has_text=FIRST.notebook.name).is_visible()
    assert lab.page.locator(".jp-Dialog, .Toastify__toast").all_inner_texts() == []


def test_an_answer_fails_is_mended_and_passes_and_the_shell_agrees(lab: Lab) -> None:
    lab.open(path_of(FIRST))
    where = lab.new_cell("import sys, tito, tinytorch; print(sys.executable, tito.__file__, tinytorch.__file__, sep='\\n')")
    python, *files = lab.printed(where).strip().split("\n")
    assert Path(python) == Path(sys.executable) and [Path(f).parent.parent for f in files] == [lab.root, lab.root]

    name, right = first_answer()
    answer, check = lab.cell(f"def {name}("), lab.cell(f"def test_unit_{name}(")
    answer.locator(".cm-content").click()
    lab.menu("Run", "Run All Above Selected Cell")
    answer.locator(".cm-content").click()
    for key in ("Control+End", "Shift+Home"):
        lab.page.keyboard.press(key)
    lab.page.keyboard.type("return np.asarray(data)")
    lab.run(answer)
    card = lab.run(check)
    lab.shot("card")
    assert card.startswith("FAILED  0 of ") and "Traceback" not in card

    answer.locator(".cm-content").click()
    lab.page.keyboard.press("Control+a")
    lab.page.keyboard.insert_text(right)
    lab.run(answer)
    assert lab.run(check).startswith("PASSED")
    lab.shot("passed")

    refused = lab.printed(lab.new_cell("%tito complete"))
    assert refused.startswith("error: ") and "not saved yet" in refused and "Ctrl+S" in refused
    said = lab.printed(lab.new_cell("%tito test"))
    lab.shot("tito-test")
    assert re.search(rf"^passed +\d+/\d+  {name} ", said, re.MULTILINE)
    assert "note: 1 cell was run but is not saved yet: save with Ctrl+S (Cmd+S)" in " ".join(said.split())
    lab.save(path_of(FIRST))
    saved = lab.printed(lab.new_cell("%tito test"))
    shell = subprocess.run([sys.executable, "-m", "tito", "module", "test", "01"], cwd=lab.root, capture_output=True, encoding="utf-8",
                           env={**os.environ, "TITO_BOOTSTRAP": "0", "PYTHONUTF8": "1"})
    assert "note:" not in saved and lines(saved) == lines(shell.stdout)
    assert rows(saved) == rows(said)


SAMPLE = MODULES if ALL else chosen(FIRST, MODULES[:6], 2)          # the others train for a while


@each_module
def test_restart_and_run_all(lab: Lab, module: Module) -> None:
    """Every cell of a solved notebook, as JupyterLab runs them: no error anywhere, and a card for every check."""
    if module not in SAMPLE:
        pytest.skip("all of them: TITO_ALL=1")
    path = path_of(module)
    write_solutions(lab.root / path, module)
    lab.open(path)
    lab.run_all()
    done = lab.save(path)
    errors = [f"{joined(c)[:200]}\n{o['ename']}: {o['evalue']}" for c in done["cells"] for o in c.get("outputs", ())
              if o["output_type"] == "error"]
    assert not errors, "\n\n".join(errors)
    graded = [c for c in done["cells"] if c["cell_type"] == "code" and c["metadata"].get("nbgrader", {}).get("grade")]
    assert graded and all("PASSED" in "".join("".join(o.get("text", "")) for o in c["outputs"]) for c in graded)
    assert all(c["execution_count"] for c in done["cells"] if c["cell_type"] == "code" and joined(c).strip())
