"""Whatever the ladder says of the real course, no line of an answer is in it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from tests.modules.shelf import COURSE, each_module, stub
from tito.check.row import Row, columns
from tito.cli.render_hint import hint_lines
from tito.cli.results import Hinted
from tito.course import Module
from tito.dev.outline import outline_file
from tito.dev.source import notebook, solution_blocks
from tito.errors import ExitCode
from tito.ladder.rungs import Place, ladder

SHORTEST = 12


def secret_lines(module: Module) -> set[str]:
    """The lines of a module's answers that nothing else in it says."""
    answers: set[str] = set()
    public = ""
    for cell in notebook(module.source)["cells"]:
        lines = cell["source"].split("\n")
        inside = {n for begin, end in solution_blocks(cell["source"]) for n in range(begin + 1, end)}
        answers |= {plain(lines[n]) for n in inside}
        public += "\n".join(plain(line) for n, line in enumerate(lines) if n not in inside)
    return {line for line in answers if len(line) > SHORTEST and line not in public}


def plain(line: str) -> str:
    return " ".join(line.partition("  #")[0].split())


@each_module
def test_no_rung_and_no_outline_has_a_line_of_an_answer(module: Module, tmp_path: Path) -> None:
    secret = secret_lines(module)
    assert secret
    folder = tmp_path / module.folder.name
    (folder / ".released").mkdir(parents=True)
    source = notebook(module.source)
    (folder / ".released" / "outline.json").write_text(outline_file(source), encoding="utf-8")
    said = [json.dumps(json.loads(outline_file(source)), ensure_ascii=False)]
    edition = replace(module, folder=folder)
    for cell in stub(module).code:
        if cell.test or cell.solution:
            rungs = ladder(Place(edition, stub(module), Row("failed", cell.grade_id, sentence="it does")))
            result = Hinted(module.label, cell.grade_id, "", 3, len(rungs), rungs, 1, (), (), "", ExitCode.OK)
            shown = [["".join(text for text, _ in line) for line in hint_lines(result, width)] for width in (80, 160)]
            assert max(map(columns, shown[0])) <= 80
            said += [" ".join(" ".join(page).split()) for page in shown] + [" ".join(json.dumps(result.to_dict()).split())]
    found = {line for line in secret for text in said if line in text}
    assert not found


def test_in_the_course_repository_there_is_no_stub() -> None:
    module = COURSE.modules[0]
    shown = ladder(Place(module, module.read(), Row("failed", "test-as-array")))[-1]
    assert "the reference stands in its cell as-array" in shown.parts[0].text and len(shown.parts) == 1


def test_every_answer_of_the_course_has_an_outline() -> None:
    for module in COURSE.modules:
        known = json.loads(outline_file(notebook(module.source)))["answers"]
        assert set(known) == {c.grade_id for c in stub(module).code if c.solution and not c.grade}
