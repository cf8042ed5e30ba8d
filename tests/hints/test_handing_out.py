"""`tito grade answers`: made from the sources, read by the edition that was made from the same."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from grading.author.answers import answers
from tests.pipeline.conftest import course, whole_course
from tito.course import Course
from tito.dev.demo import write_solutions
from tito.dev.edition import make_edition
from tito.dev.source import notebook
from tito.errors import TitoError
from tito.ladder.answers import pairs, path_of, read_answers

__all__ = ["course", "whole_course"]


def test_an_edition_knows_the_answers_of_its_own_version(whole_course: Course, tmp_path: Path) -> None:
    make_edition(whole_course, tmp_path / "edition")
    edition = Course(tmp_path / "edition")
    report = answers(whole_course, whole_course.modules[:2], to=edition.root / "answers")
    assert report.data["files"] == ["01.zip", "02.zip"] and path_of(edition, edition.modules[0]).is_file()
    module, source = edition.modules[0], whole_course.modules[0].source
    found = read_answers(edition, module)
    assert found is not None and not found.other and read_answers(edition, edition.modules[2]) is None
    names = {marks["grade_id"] for c in notebook(source)["cells"] if c["cell_type"] == "code"
             and (marks := c["metadata"].get("nbgrader", {})).get("solution")}
    assert set(found.known) == names and not any("SOLUTION" in text for text in found.known.values())
    assert {pair.grade_id for pair in pairs(module.read(), found)} == names
    write_solutions(module.notebook, whole_course.modules[0])
    assert pairs(module.read(), found) == []
    released = module.folder / ".released" / module.notebook.name
    changed = json.loads(released.read_text(encoding="utf-8"))
    changed["cells"][-1]["source"] = ["x = 2\n"]
    released.write_text(json.dumps(changed), encoding="utf-8")
    again = read_answers(edition, module)
    assert again is not None and again.other and again.known == found.known


def test_the_same_sources_give_the_same_bytes_and_the_default_is_in_build(course: Course, tmp_path: Path) -> None:
    answers(course, course.modules[:1])
    answers(course, course.modules[:1], to=tmp_path / "other")
    first, second = course.root / "build" / "answers" / "01.zip", tmp_path / "other" / "01.zip"
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as archive:
        assert archive.namelist() == ["answers.json"]


def test_a_folder_that_cannot_be_written(course: Course, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TitoError, match="cannot write"):
        answers(course, course.modules[:1], to=tmp_path / "file")
