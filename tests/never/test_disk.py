"""A disk that is really full, a clock that goes back, two commands at once: one clear error, nothing lost, and afterwards all goes on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import REPOSITORY, Answer, Edition
from tito import journal, milestones
from tito import state as progress
from tito.course import Course
from tito.errors import ExitCode, TitoError
from tito.milestones import Milestone

Tito = Callable[..., Answer]
RUN = "import sys; from tito.cli import main; sys.exit(main())"


@pytest.fixture
def small(edition: Edition, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Edition]:
    """The edition on a disk of two megabytes."""
    place = tmp_path / "small disk"
    place.mkdir()
    mounted = shutil.which("mount") and sys.platform == "linux" and \
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", place], capture_output=True, check=False).returncode == 0
    if not mounted:
        pytest.skip("only root may mount a disk, on Linux")
    try:
        shutil.copytree(edition.root, place / "edition")
        monkeypatch.chdir(place / "edition")
        monkeypatch.setattr(tempfile, "tempdir", str(place))
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
        yield Edition(place / "edition")
    finally:
        monkeypatch.chdir(tmp_path)
        subprocess.run(["umount", place], check=True)


def fill(edition: Edition) -> Path:
    """Not a byte is left."""
    ballast = edition.root.parent / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while file.write(b"x" * size) == size:
                    pass
            except OSError:
                continue
    return ballast


def settled(edition: Edition) -> dict[str, bytes]:
    """What counts, without what a command that found no room may leave to be tidied away."""
    return {path: content for path, content in edition.files().items() if not path.startswith(".tito/stage/")}


@pytest.mark.parametrize("arguments", [
    ["module", "start", "02", "--no-open"], ["module", "complete", "01"], ["module", "reset", "01", "--yes"], ["module", "undo", "01"],
    ["module", "test", "01"], ["progress", "import", "{file}"], ["progress", "export", "export.zip"], ["submit", "01", "--name", "Ada"]],
    ids=lambda arguments: " ".join(arguments[:2]))
def test_a_full_disk(small: Edition, tito: Tito, tmp_path: Path, arguments: list[str]) -> None:
    small.solve(1)
    assert tito("module", "complete", "01").code == 0
    small.write(1, "half", "    return x * 0.5\n")
    assert tito("module", "reset", "01", "--yes").code == 0
    file = str(tmp_path / "progress.zip")
    assert tito("progress", "export", file).code == 0
    assert tito("module", "undo", "01").code == 0
    small.write(1, "half", "    return 0.5 * x\n")
    if "import" in arguments:
        shutil.rmtree(small.root / ".tito/history/01")
    arguments = [argument.format(file=file) for argument in arguments]
    before, ballast = settled(small), fill(small)
    answer = tito(*arguments)
    if "test" in arguments:
        assert answer.code == 0                                         # it needs no room
    else:
        assert answer.code == ExitCode.ENVIRONMENT and answer.err.count("error:") == 1, answer.err
        assert answer.err.startswith("error: the disk is full; nothing was changed") or \
            "import" in arguments and "No space left" in answer.err, answer.err
        assert answer.out == "" and all(len(line) < 300 for line in answer.err.splitlines())
    ballast.unlink()
    assert tito("module", "list").code == 0
    if "import" not in arguments:
        assert settled(small) == before
    answer = tito(*arguments)
    assert answer.code == 0, answer.err
    assert not (small.root / ".tito/stage").exists() and not list(small.root.rglob(".*.new"))


def test_a_milestone_that_cannot_be_written_down_says_so(edition: Edition, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device", str(path))
    monkeypatch.setattr("tito.milestones.write_atomically", full)
    milestone = Milestone(1, "double", edition.root / "milestones/01_double.py")
    with pytest.raises(TitoError, match="passed, but that could not be written down") as caught:
        milestones.record(Course(edition.root), milestone, {"bars": [], "seed": 1})
    assert caught.value.code == ExitCode.ENVIRONMENT and "No space left" in caught.value.why


class Past(datetime):
    """A clock that was set back by twenty years."""

    @classmethod
    def now(cls, tz: Any = None) -> datetime:
        return datetime.now(tz) - timedelta(days=20 * 365)


def test_a_clock_that_was_set_back(edition: Edition, tito: Tito, monkeypatch: pytest.MonkeyPatch) -> None:
    versions = []
    for number in range(4):
        if number == 2:
            for module in ("tito.history", "tito.state", "tito.when"):
                monkeypatch.setattr(f"{module}.datetime", Past)
        edition.write(1, "twice", f"    return {number}\n")
        versions.append(edition.notebook(1).read_bytes())
        assert tito("module", "reset", "01", "--yes").code == 0
    kept = tito("module", "history", "01", "--json").json["kept"]
    names = [version["name"] for version in kept]
    assert len(names) == 4 and names == sorted(names, reverse=True)
    assert [version["ago"] for version in kept] == ["just now"] * 2 + ["by a clock that was ahead of this one"] * 2
    assert kept[0]["when"] < kept[-1]["when"]
    for version, content in zip(reversed(kept), versions):
        assert tito("module", "undo", "01", "--to", version["name"]).code == 0
        assert edition.notebook(1).read_bytes() == content
    edition.solve(1)
    assert tito("module", "complete", "01").code == 0 and tito("module", "undo", "01").code == 0
    assert tito("module", "status").code == 0 and tito("progress", "export").code == 0
    assert datetime.fromisoformat(kept[0]["when"]) < datetime.now(UTC) - timedelta(days=19 * 365)


def started(*arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONIOENCODING": "utf-8"}
    return subprocess.Popen([sys.executable, "-c", RUN, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            encoding="utf-8", env=environment)


def test_many_at_once_leave_a_sound_state(edition: Edition, tito: Tito) -> None:
    """Each does its work or says that another one is at work; what they leave is what some order of them would have left."""
    edition.solve(1)
    mine = edition.notebook(1).read_bytes()
    assert tito("module", "complete", "01").code == 0
    commands = [("complete", "01"), ("reset", "01", "--yes"), ("undo", "01"), ("start", "02", "--no-open")]
    running = [(started("module", *command), command) for command in commands]
    for process, command in running:
        out, err = process.communicate(timeout=60)
        assert "Traceback" not in err
        if process.returncode == ExitCode.ENVIRONMENT:
            assert "another tito is at work in this folder" in err and out == ""
        else:
            assert process.returncode == 0 or command[0] in ("complete", "start"), err          # of a notebook that was reset meanwhile
    assert tito("module", "status").code == 0
    state = progress.load(Course(edition.root))
    assert (1 in state.completed) == (edition.root / "tinytorch/core/alpha.py").exists()
    found = {path.read_bytes() for path in edition.root.rglob("*.ipynb")}
    assert mine in found


@pytest.mark.parametrize(("first", "second"), [
    (["complete", "01"], ["complete", "01"]), (["reset", "01", "--yes"], ["complete", "01"]),
    (["undo", "01"], ["start", "01", "--no-open"])], ids=lambda arguments: arguments[0])
def test_two_at_once(edition: Edition, tito: Tito, monkeypatch: pytest.MonkeyPatch, first: list[str], second: list[str]) -> None:
    """One does its work, the other says so: it is typed while the first one is about to write."""
    edition.solve(1)
    assert tito("module", "start", "01", "--no-open").code == 0
    answers, commit = [], journal.commit

    def writing(*arguments: Any) -> None:
        process = started("module", *second)
        out, err = process.communicate(timeout=60)
        answers.append((process.returncode, out, err.splitlines()[0]))
        commit(*arguments)

    monkeypatch.setattr("tito.journal.commit", writing)
    assert tito("module", *first).code == 0
    assert answers == [(ExitCode.ENVIRONMENT, "", "error: another tito is at work in this folder")]
    assert started("module", "history", "01").wait(60) == 0
