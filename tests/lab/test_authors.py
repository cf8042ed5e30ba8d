"""The sources in the course repository open as notebooks, and nobody's settings are changed for that."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from tests.lab.browser import PANEL, started
from tests.modules.shelf import COURSE, MODULES
from tito.dev.source import notebook


def files(folder: Path) -> set[str]:
    return {str(p) for p in folder.rglob("*") if p.is_file()}


def test_a_source_opens_as_a_notebook(tmp_path: Path) -> None:
    pytest.importorskip("jupytext")
    root = tmp_path / "course"
    for name in ("tito", "modules", "tinytorch"):
        shutil.copytree(COURSE.root / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "*.ipynb", ".ipynb_checkpoints"))
    shutil.copy(COURSE.root / "settings.ini", root)
    settings = Path(sys.prefix) / "share" / "jupyter" / "lab" / "settings"
    first, second = (module.source.relative_to(COURSE.root) for module in MODULES[:2])
    before = files(settings)
    source = (root / first).read_bytes()
    with started(root, tmp_path, "module", "open", "01", PYTHONDONTWRITEBYTECODE="1") as lab:
        lab.page.goto(lab.address)
        lab.page.locator(f"{PANEL} .jp-Notebook .jp-MarkdownCell h1").first.wait_for()
        lab.choose_kernel()
        lab.shot("source")
        lab.page.locator(".jp-FileBrowser .jp-BreadCrumbs-home").click()
        for name in second.parts:
            lab.page.locator(".jp-FileBrowser .jp-DirListing-item", has_text=name).first.dblclick()
        lab.page.locator(f"{PANEL} h1", has_text="02").first.wait_for()
        lab.choose_kernel()
        lab.whole(len(notebook(MODULES[1].source)["cells"]))
        where = lab.new_cell("import sys, tito; print(tito.__file__)")
        assert Path(lab.printed(where).strip()) == root / "tito" / "__init__.py"
    assert files(settings) == before and (root / first).read_bytes() == source
    assert not [p for p in files(tmp_path / "home") if ".npm" not in Path(p).parts]
