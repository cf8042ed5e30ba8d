"""What a program gets from every command: `--json`, byte for byte, in tests/cli/json/.

`COMMANDS` says for each file what is typed, in the edition of conftest.py, with its first module answered.  A new command needs a line
there, or in `NONE` the reason why it cannot have one.  After a change that is meant:

    TITO_GOLDEN=write tito dev test tests/cli/test_json.py      then read what changed, as somebody whose program reads it
"""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tito.cli.results_runs import Benched, BenchRow
from tito.cli.version import installed
from tito.dev.lint import Problem
from tito.errors import ExitCode

from .conftest import Answer, Edition, every_command

HERE = Path(__file__).with_name("json")
WRITE = os.environ.get("TITO_GOLDEN") == "write"
Tito = Callable[..., Answer]

# The file, and what is typed; where that is more than one command, the last one's answer is what the file holds.
COMMANDS: dict[str, list[str]] = {
    "tito": [""],
    "tito-version": ["--version"],
    "error": ["module start 9"],
    "bench": ["bench 01"],
    "completion": ["completion fish"],
    "demo": ["demo"],
    "dev-check": ["dev check"],
    "dev-export": ["dev export"],
    "dev-export-check": ["dev export --check"],
    "dev-lint": ["dev lint 01"],
    "dev-test": ["dev test"],
    "init": ["init there"],
    "milestone-list": ["milestone list"],
    "milestone-run": ["module complete 01", "milestone run 1"],
    "module-complete": ["module complete 01"],
    "module-complete-failed": ["module complete 01", "module complete 02"],
    "module-hint": ["module complete 01", "module hint 02"],
    "module-hint-passed": ["module hint 01"],
    "module-history": ["module reset 01 --yes", "module history 01"],
    "module-list": ["module list"],
    "module-open": ["module open 01 --no-open"],
    "module-reset": ["module reset 01 --yes"],
    "module-start": ["module start 01 --no-open"],
    "module-status": ["module complete 01", "module start 02 --no-open", "module status"],
    "module-test": ["module test 01"],
    "module-test-failed": ["module complete 01", "module test 02"],
    "module-undo": ["module reset 01 --yes", "module undo 01"],
    "module-undo-list": ["module reset 01 --yes", "module undo 01 --list"],
    "progress-export": ["module complete 01", "progress export mine.zip"],
    "progress-import": ["module complete 01", "progress export mine.zip", "progress import mine.zip"],
    "status": ["module complete 01", "module start 02 --no-open", "status"],
    "status-html": ["status --html"],
    "submit": ["submit 01 --name Ada"],
}
NONE = {"grade": "its commands have files, folders and a term of their own: tests/grading",
        "doctor": "what it finds is this machine's: tests/doctor", "watch": "it needs a terminal, and JSON is for programs: tests/watch"}

# What stands in for work that takes long, or for figures that no two machines share.
ROW = BenchRow(1, "twice", 2e-6, 1.5, 0.1, None, 1.6, "", "")
INSTEAD: dict[str, dict[str, Any]] = {
    "bench": {"tito.cli.bench.run": lambda *_: Benched((ROW,), "2.0.0", "", "", ExitCode.OK)},
    "demo": {"tito.dev.demo.demo": lambda *_: 0},
    "dev-check": {"tito.dev.checks.run.check": lambda *_, **__: []},
    "dev-export": {"tito.export.export_course": lambda *_, **__: [Path("tinytorch/core/alpha.py")]},
    "dev-export-check": {"tito.export.export_course": lambda *_, **__: [Path("tinytorch/core/alpha.py")]},
    "dev-lint": {"tito.dev.lint.lint": lambda course, module: [Problem(module.source, 3, "no heading", "write one")]},
    "dev-test": {"tito.dev.testing.run_tests": lambda *_: 1},
    "init": {"tito.dev.edition.make_edition": lambda *_: None},
}
MILESTONE = '''"""1950: twice two is four."""
import json, sys
from pathlib import Path
import tinytorch as tt
value, output = tt.twice(2), Path(sys.argv[sys.argv.index("--output") + 1])
bars = [{"what": "answer", "value": value, "passed": value == 4, "bound": "at least 4", "text": f"answer: {value}"}]
result = {"schema_version": 1, "milestone": 1, "name": "double", "seed": 0, "passed": value == 4, "bars": bars, "seconds": 0.25}
output.mkdir(parents=True, exist_ok=True)
(output / "01_double.json").write_text(json.dumps(result), encoding="utf-8")
'''


@pytest.fixture
def course(edition: Edition) -> Edition:
    edition.solve(1)
    (edition.root / "milestones").mkdir()
    (edition.root / "milestones" / "01_double.py").write_text(MILESTONE, encoding="utf-8")
    return edition


@pytest.mark.parametrize("name", COMMANDS)
def test_json(name: str, course: Edition, tito: Tito, monkeypatch: pytest.MonkeyPatch) -> None:
    if name in INSTEAD and name != "bench":
        (course.root / "tito" / "dev").mkdir(parents=True)          # now it is no edition any more
    for target, value in INSTEAD.get(name, {}).items():
        monkeypatch.setattr(target, value)
    *before, last = COMMANDS[name]
    for typed in before:
        tito(*typed.split())
    answer = tito(*last.split(), "--json")
    assert answer.json["exit_code"] == answer.code
    same(HERE / f"{name}.json", json.dumps(general(answer.json, course.root), indent=1, ensure_ascii=False) + "\n")


def test_every_command_has_a_file_or_a_reason() -> None:
    shown = {json.loads(path.read_text(encoding="utf-8")).get("command") for path in HERE.glob("*.json")}
    assert shown - {None, ""} | set(NONE) == {name for name, inner in every_command() if not inner}
    assert {path.stem for path in HERE.glob("*.json")} == set(COMMANDS)


def same(path: Path, text: str) -> None:
    """The file holds this text; or, when we are told to, it does from now on."""
    if WRITE:
        path.write_text(text, encoding="utf-8", newline="\n")
    assert path.read_text(encoding="utf-8") == text


def general(value: Any, root: Path) -> Any:
    """The same without what differs from one machine, one moment, one version to another."""
    if isinstance(value, dict):
        return {key: f"<{key}>" if key in ("script", "seconds") else general(inner, root) for key, inner in value.items()}
    if isinstance(value, list):
        return [general(inner, root) for inner in value]
    if not isinstance(value, str):
        return value
    text = value.replace(str(root.parent), "<folder>").replace(platform.python_version(), "<python>")
    text = text.replace(str(installed().data["version"]), "<tito>").replace("\\", "/")
    text = re.sub(r"\d{8}T\d{6}(\.\d{6})?Z", "<stamp>", text)
    text = re.sub(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|\+00:00)?", "<when>", text)
    return re.sub(r"\b[0-9a-f]{8,64}\b", "<hash>", text)
