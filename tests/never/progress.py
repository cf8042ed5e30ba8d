"""Progress of a small edition: made without the checks, written to a file, and brought to another machine."""

from __future__ import annotations

import os
from collections.abc import Callable
from hashlib import sha256

from tests.cli.conftest import Answer, Edition
from tito import history
from tito import state as progress
from tito.course import Course
from tito.journal import Change
from tito.state import Passed, Record, State

Tito = Callable[..., Answer]


def on(edition: Edition, tito: Tito, *arguments: str) -> Answer:
    os.chdir(edition.root)
    return tito(*arguments)


def export(edition: Edition, tito: Tito) -> str:
    path = str(edition.root.parent / f"{edition.root.name}.zip")
    assert on(edition, tito, "progress", "export", path, "--force").code == 0
    return path


def move(here: Edition, there: Edition, tito: Tito) -> dict[str, str]:
    """What was done, {module: how}."""
    answer = on(there, tito, "progress", "import", export(here, tito), "--json")
    assert answer.code == 0, answer.err
    return {line["module"]: line["did"] + (" kept" if line["kept"] else "") for line in answer.json["modules"]}


def complete(edition: Edition, number: int, *, points: float = 10, when: str = "2027-01-01T00:00:00+00:00") -> None:
    """As `tito module complete` leaves it, without the checks."""
    course = Course(edition.root)
    module = course.modules[number - 1]
    content = b"# exported\n" + module.notebook.read_bytes()
    record = Record(points, 10, when, sha256(module.notebook.read_bytes()).hexdigest(), sha256(content).hexdigest())
    with progress.locked(course):
        state = progress.load(course).with_module(number, record, started=True)
        history.keep(course, module, "complete", [Change(f"tinytorch/core/{module.name}.py", content)], state)


def passed(edition: Edition, name: str, when: str) -> None:
    course = Course(edition.root)
    state = progress.load(course).with_milestone(name, Passed(when, 1, ("reached 4",)))
    (edition.root / ".tito").mkdir(exist_ok=True)
    (edition.root / progress.STATE).write_bytes(state.to_bytes())


def saved_at(edition: Edition, number: int, seconds: int) -> None:
    os.utime(edition.notebook(number), (seconds, seconds))


def state(edition: Edition) -> State:
    return progress.load(Course(edition.root))


def versions(edition: Edition) -> set[bytes]:
    """Every notebook that is there or kept."""
    return {path.read_bytes() for path in edition.root.rglob("*.ipynb") if ".released" not in path.parts}
