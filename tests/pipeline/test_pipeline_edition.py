"""A student edition: complete, without any solution, written whole or not at all."""

import gzip
import json
import py_compile
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.pipeline.leaks import distinctive, leaks
from tito.course import Course
from tito.dev.edition import kept_by_git, make_edition, sections
from tito.dev.source import dumps, notebook
from tito.errors import ExitCode, TitoError
from tito.export import export_course

Run = Callable[..., str]


@pytest.fixture
def edition(whole_course: Course, tmp_path: Path) -> Path:
    target = tmp_path / "Übung eins"
    make_edition(whole_course, target)
    return target


def test_what_is_in_an_edition(whole_course: Course, edition: Path) -> None:
    here = {p.name for p in edition.iterdir()}
    assert here == {"tito", "modules", "tinytorch", "pyproject.toml", "settings.ini", "README.md", ".gitignore"}
    assert Course(edition).is_edition
    assert [m.label for m in Course(edition).modules] == ["01 tensor", "02 activations", "03 autograd"]
    files = {p.relative_to(edition).as_posix() for p in edition.rglob("*") if p.is_file()}
    assert {f for f in files if f.startswith("modules/01")} == {
        "modules/01_tensor/tensor_dev.ipynb",
        "modules/01_tensor/.released/tensor_dev.ipynb",
        "modules/01_tensor/.released/outline.json",
    }
    assert "tinytorch/nn/functional.py" in files and "tinytorch/core/tensor.py" not in files
    assert not any("tito/dev/" in f or f.endswith(".pyc") for f in files)
    assert not list(edition.parent.glob(".*")), "nothing is left beside it"
    assert sys.platform == "win32" or edition.stat().st_mode & 0o055 == 0o055
    read = Course(edition).module("01").read()
    assert [c.grade_id for c in read.tests] == ["test-add"] and not any("SOLUTION" in c.source for c in read.cells)
    settings = (edition / "settings.ini").read_text(encoding="utf-8")
    assert settings == ("# who we are\n[course]\nid = tiny\ntitle = Tiny Torch\n\n# when things are due\n[deadlines]\n01 = 2027-01-31\n")
    assert (edition / ".gitignore").read_text(encoding="utf-8") == ".venv/\n.ipynb_checkpoints/\n"


def test_how_to_install_goes_into_an_edition(whole_course: Course, tmp_path: Path) -> None:
    for name in (".devcontainer/devcontainer.json", "docs/installing.md", "docs/teaching.md"):
        (whole_course.root / name).parent.mkdir(exist_ok=True)
        (whole_course.root / name).write_text("{}", encoding="utf-8")
    make_edition(whole_course, tmp_path / "one")
    assert (tmp_path / "one" / ".devcontainer" / "devcontainer.json").is_file()
    assert [p.name for p in (tmp_path / "one" / "docs").iterdir()] == ["installing.md"]


def test_downloaded_data_does_not_go_into_an_edition(whole_course: Course, tmp_path: Path) -> None:
    data = whole_course.root / "datasets"
    (data / "mnist").mkdir(parents=True)
    (data / "mnist" / "images.gz").write_bytes(b"large")
    (data / "digits.npz").write_bytes(b"ships")
    (data / ".gitignore").write_text("mnist/\ncifar10/\n", encoding="utf-8")
    make_edition(whole_course, tmp_path / "one")
    assert {p.name for p in (tmp_path / "one" / "datasets").iterdir()} == {"digits.npz", ".gitignore"}


def test_an_edition_imports_by_itself(edition: Path, python: Run) -> None:
    out = python(
        edition,
        "import tinytorch as tt, tito.course, tito.export\nprint(sorted(tt.MODULES))\ntry: tt.relu\nexcept ImportError as e: print(e)",
    )
    assert "module 02; build it with: tito module start 02" in out and "tinytorch.core.autograd" in out


def test_two_editions_are_the_same_bytes(whole_course: Course, edition: Path, tmp_path: Path) -> None:
    export_course(whole_course)
    make_edition(whole_course, tmp_path / "zwei")
    first, second = ({p.relative_to(root): p.read_bytes() for p in root.rglob("*") if p.is_file()} for root in (edition, tmp_path / "zwei"))
    assert first == second, "and what is exported in the course does not get into it"


def test_an_edition_has_no_solution(whole_course: Course, edition: Path) -> None:
    assert len(distinctive(whole_course)) >= 5
    assert leaks(whole_course, edition) == []


def test_outlines_name_what_an_answer_is_made_of_and_say_none_of_it(whole_course: Course, edition: Path) -> None:
    outline = json.loads((edition / "modules/01_tensor/.released/outline.json").read_text(encoding="utf-8"))
    add = outline["answers"]["tensor-add"][0]
    assert (outline["schema_version"], add["name"], add["lines"], add["returns"]) == (1, "add", 2, 1)
    assert add["uses"] == ["np.add", "Tensor"]
    said = [text for part in outline["answers"].values() for each in part for text in (each["name"], *each["uses"], *each["signs"])]
    assert not [text for text in said if set(text) & set("():,") or len(text.split()) > 2]


def _in_notebook(line: str, place: Path) -> None:
    place.with_suffix(".ipynb").write_text(json.dumps({"cells": [{"source": ["x\n", line]}]}), encoding="utf-8")


def _in_npz(line: str, place: Path) -> None:
    np.savez_compressed(place.with_suffix(".npz"), text=np.frombuffer(line.encode(), np.uint8))


def _in_gzip(line: str, place: Path) -> None:
    place.with_suffix(".gz").write_bytes(gzip.compress(line.encode()))


def _in_git(line: str, place: Path) -> None:
    git = ["git", "-C", str(place.parent), "-c", "user.name=x", "-c", "user.email=x@y"]
    place.write_text(line, encoding="utf-8")
    for command in (
        ["init", "-q"],
        ["add", "-A"],
        ["commit", "-q", "-m", "one"],
        ["rm", "-q", "-f", place.name],
        ["commit", "-q", "-m", "two"],
        ["gc", "-q"],
    ):
        subprocess.run([*git, *command], check=True, capture_output=True)
    assert not place.exists()


def _in_pycache(line: str, place: Path) -> None:
    source = place.with_suffix(".py")
    source.write_text(f"def add(a, b):\n    {line}\n    return Tensor(total)\n", encoding="utf-8")
    py_compile.compile(str(source), cfile=str(place.with_suffix(".pyc")))
    source.unlink()


@pytest.mark.parametrize("hide", [_in_notebook, _in_npz, _in_gzip, _in_git, _in_pycache])
def test_the_search_finds_a_solution_wherever_it_hides(course: Course, tmp_path: Path, hide: Callable[[str, Path], None]) -> None:
    if hide is _in_git and not shutil.which("git"):
        pytest.skip("git is not installed")
    folder = tmp_path / "edition"
    folder.mkdir()
    assert leaks(course, folder) == []
    hide("total = np.add(a.data, b.data)", folder / "file")
    assert any("tensor-add" in found or "compiled add" in found for found in leaks(course, folder))


def test_the_search_finds_what_stripping_would_leave(course: Course, tmp_path: Path) -> None:
    (tmp_path / "e").mkdir()
    (tmp_path / "e" / "tensor_dev.ipynb").write_text(dumps(notebook(course.module("01").source)), encoding="utf-8")
    assert len(leaks(course, tmp_path / "e")) >= 3


def test_nothing_is_overwritten(whole_course: Course, tmp_path: Path) -> None:
    target = tmp_path / "mine"
    target.mkdir()
    (target / "homework.txt").write_text("mine", encoding="utf-8")
    for taken in (target, target / "homework.txt"):
        with pytest.raises(TitoError, match="is not empty"):
            make_edition(whole_course, taken)
    assert [p.name for p in target.iterdir()] == ["homework.txt"]
    for inside in ("tito/x", "modules/x", "tinytorch"):
        with pytest.raises(TitoError, match="inside the course"):
            make_edition(whole_course, whole_course.root / inside)
    empty = tmp_path / "empty"
    empty.mkdir()
    make_edition(whole_course, empty)
    assert (empty / "README.md").is_file()


def test_a_failure_leaves_nothing(whole_course: Course, tmp_path: Path) -> None:
    path = whole_course.module("03").source
    path.write_text(path.read_text(encoding="utf-8").replace("    ### END SOLUTION\n", "", 1), encoding="utf-8")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(TitoError, match="cannot be given to students"):
        make_edition(whole_course, tmp_path / "new" / "edition")
    assert sorted(p for p in tmp_path.rglob("*") if ".new" in p.name or ".edition" in p.name) == []
    assert not (tmp_path / "new" / "edition").exists() and sorted(p for p in tmp_path.iterdir() if p.name != "new") == before


def test_a_folder_that_cannot_be_written(whole_course: Course, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(TitoError, match="cannot write") as caught:
        make_edition(whole_course, tmp_path / "file" / "edition")
    assert caught.value.code == ExitCode.ENVIRONMENT


def test_an_edition_takes_less_than_five_seconds(whole_course: Course, tmp_path: Path, python: Run) -> None:
    """From a cold start; processor time, because other work may share the machine."""
    start = time.perf_counter()
    out = python(
        whole_course.root,
        "import time; from pathlib import Path; from tito.course import Course; from tito.dev.edition import make_edition\n"
        f"make_edition(Course(Path('.').resolve()), Path({str(tmp_path / 'cold')!r})); print(time.process_time())",
    )
    print(f"wall {time.perf_counter() - start:.2f} s, processor {out.strip()} s")
    assert float(out) < 5


def test_sections_and_gitignore() -> None:
    text = "; top\n\n[a]\nx = 1\n# about b\n\n# about c\n# more\n[c]\ny = 2\n"
    assert sections(text, ("c",)) == "# about c\n# more\n[c]\ny = 2\n"
    assert sections(text, ("a",)) == "[a]\nx = 1\n# about b\n"
    assert sections("", ("a",)) == "\n"
    assert kept_by_git("a\nmodules/*/*.ipynb  \n*.ipynb\n.ipynb_checkpoints/\n") == "a\n.ipynb_checkpoints/\n"


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX temporary folder")
def test_no_temporary_folder_stays(edition: Path, tmp_path: Path) -> None:
    assert {p.name for p in tmp_path.iterdir()} == {"Mein Kurs für 2027", "Übung eins"}
