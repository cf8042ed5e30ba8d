"""Two machines that went different ways come together, whatever they did: the same on both, and nothing is lost."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import HealthCheck, given, settings

from tests.cli.conftest import Edition
from tito import history
from tito import state as progress
from tito.cli.progress import export, import_
from tito.course import Course, Module
from tito.journal import Change, write_atomically
from tito.state import Passed, Record, State
from tito.versions import cells

DAY = "2027-01-{:02d}T00:00:00+00:00"
small = st.integers(1, 3)
ACTIONS = st.one_of(
    st.tuples(st.just("write"), small, small, st.integers(1, 9)), st.tuples(st.just("complete"), small, small, st.integers(1, 9)),
    st.tuples(st.just("reset"), small), st.tuples(st.just("undo"), small), st.tuples(st.just("start"), small),
    st.tuples(st.just("passed"), small, st.integers(1, 9)), st.tuples(st.just("break"), small), st.tuples(st.just("run"), small, small))


class Machine:
    """A copy of the course, and what can be done there."""

    def __init__(self, root: Path):
        self.course = Course(root)

    def do(self, action: str, number: int, *how: int) -> None:
        with progress.locked(self.course):
            getattr(self, f"_{action}")(self.course.modules[number - 1], *how)

    def _write(self, module: Module, text: int, seconds: int) -> None:
        data = json.loads(self.released(module))
        data["cells"][-1]["source"] += f"\n# {text}"
        self._save(module, json.dumps(data), seconds)

    def _run(self, module: Module, count: int) -> None:
        """Its outputs change, and nothing that a person wrote."""
        if cells(self.content(module)):
            data = json.loads(self.content(module))
            data["cells"][-1]["outputs"] = [count]
            module.notebook.write_text(json.dumps(data), encoding="utf-8")

    def _break(self, module: Module) -> None:
        self._save(module, "{", 5)

    def _save(self, module: Module, text: str, seconds: int) -> None:
        """What stood there was overwritten by its author."""
        module.notebook.write_text(text, encoding="utf-8")
        os.utime(module.notebook, (seconds, seconds))

    def _complete(self, module: Module, points: int, day: int) -> None:
        content = b"# exported\n" + repr(texts(self.content(module))).encode()
        record = Record(points, 10, DAY.format(day), sha256(content).hexdigest(), sha256(content).hexdigest())
        state = self.state.with_module(module.number, record, started=True)
        history.keep(self.course, module, "complete", [Change(f"tinytorch/core/{module.name}.py", content)], state)

    def _start(self, module: Module) -> None:
        state = self.state.with_module(module.number, self.state.completed.get(module.number), started=True)
        history.keep(self.course, module, "start", [], state)

    def _reset(self, module: Module) -> None:
        path = module.notebook.relative_to(self.course.root).as_posix()
        history.keep(self.course, module, "reset", [Change(path, self.released(module))], self.state)

    def _undo(self, module: Module) -> None:
        if any(not history.entry(self.course, module, name).elsewhere for name in history.names(self.course, module)):
            history.undo(self.course, module)

    def _passed(self, module: Module, day: int) -> None:
        state = self.state.with_milestone(f"{module.number:02d}_x", Passed(DAY.format(day), 1, ("fine",)))
        write_atomically(self.course.root / progress.STATE, state.to_bytes())

    def released(self, module: Module) -> bytes:
        return (module.folder / ".released" / module.notebook.name).read_bytes()

    def content(self, module: Module) -> bytes:
        return module.notebook.read_bytes()

    @property
    def state(self) -> State:
        return progress.load(self.course)

    def standing(self) -> tuple[State, list[str], list[bytes | None]]:
        """All that counts: progress, what the notebooks say, what is exported."""
        paths = [self.course.package / "core" / f"{m.name}.py" for m in self.course.modules]
        return self.state, [texts(self.content(m)) for m in self.course.modules], [p.read_bytes() if p.exists() else None for p in paths]

    def versions(self) -> set[str]:
        """What every notebook says that is there or kept, and that somebody wrote."""
        found = {path: texts(path.read_bytes()) for path in self.course.root.rglob("*.ipynb")}
        return set(found.values()) - {text for path, text in found.items() if ".released" in path.parts}

    def files(self) -> dict[str, bytes]:
        return Edition(self.course.root).files()

    def takes_from(self, other: Machine) -> None:
        path = other.course.root.with_suffix(".zip")
        export(other.course, path, force=True)
        import_(self.course, path)


def texts(content: bytes) -> str:
    found = cells(content)
    return repr([cell.source for cell in found]) if found is not None else content.decode()


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=st.lists(ACTIONS, max_size=4), here=st.lists(ACTIONS, max_size=5), there=st.lists(ACTIONS, max_size=5))
def test_both_become_the_same_and_nothing_is_lost(
        edition: Edition, before: list[tuple[str, int]], here: list[tuple[str, int]], there: list[tuple[str, int]]) -> None:
    folder = edition.root.with_name("machines")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(edition.root, folder / "one")
    one, other = Machine(folder / "one"), Machine(folder / "other")
    for action in before:
        one.do(*action)
    shutil.copytree(folder / "one", folder / "other")
    for machine, actions in ((one, here), (other, there)):
        for action in actions:
            machine.do(*action)
    versions = one.versions() | other.versions()
    complete = one.state.completed.keys() | other.state.completed.keys()
    other.takes_from(one)
    assert versions <= other.versions()
    assert other.state.completed.keys() == complete
    one.takes_from(other)
    assert one.standing() == other.standing()
    assert one.versions() == other.versions() == versions
    assert {name for m in one.course.modules for name in history.names(one.course, m)} >= \
        {name for m in one.course.modules for name in history.names(other.course, m)}
    for machine, source in ((one, other), (one, one), (other, other)):
        files = machine.files()
        machine.takes_from(source)
        assert machine.files() == files


def test_a_record_is_compared_by_its_moment_whatever_its_time_zone(edition: Edition) -> None:
    folder = edition.root.with_name("machines")
    for name in ("one", "other"):
        shutil.copytree(edition.root, folder / name)
    one, other = Machine(folder / "one"), Machine(folder / "other")
    for machine, text, when in ((one, 1, "2027-01-01T23:00:00+00:00"), (other, 2, "2027-01-02T00:30:00+05:00")):
        machine.do("write", 1, text, 5)
        machine.do("complete", 1, 3, 1)
        state = machine.state
        changed = state.with_module(1, replace(state.completed[1], when=when), started=True)
        write_atomically(machine.course.root / progress.STATE, changed.to_bytes())
    standing = one.standing()
    other.takes_from(one)
    assert other.standing() == standing
