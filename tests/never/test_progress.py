"""Progress that moves to another machine: nothing that is complete and no version of a notebook is lost."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Edition
from tests.never.progress import Tito, complete, export, move, on, passed, saved_at, state, versions
from tito.errors import ExitCode

FILE = "progress.zip"


def test_a_fresh_machine_gets_everything(edition: Edition, other: Edition, tito: Tito) -> None:
    edition.solve(1)
    assert on(edition, tito, "module", "complete", "01").code == 0
    edition.write(2, "fourfold", "    return 1\n")
    on(edition, tito, "module", "start", "02", "--no-open")
    passed(edition, "01_double", "2027-01-01T00:00:00+00:00")
    answer = on(other, tito, "progress", "import", export(edition, tito))
    assert answer.out.splitlines() == [
        "took in the progress in mein Kurs ü.zip",
        "  01 alpha  taken from the file: complete, 10 of 10 points; 1 kept version came along",
        "  02 beta   taken from the file: not complete yet; 1 kept version came along", "next: tito module test 02"]
    assert state(other) == state(edition)
    assert other.notebook(2).read_bytes() == edition.notebook(2).read_bytes()
    assert other.notebook(2).stat().st_mtime_ns == edition.notebook(2).stat().st_mtime_ns     # it is not newer than it is
    other.write(2, "fourfold", "    return twice(twice(x))\n")
    assert on(other, tito, "module", "complete", "02").code == 0        # what was exported there works here


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_importing_twice_or_the_own_file_changes_nothing(edition: Edition, other: Edition, tito: Tito, arguments: list[str]) -> None:
    edition.solve(1)
    complete(edition, 1)
    edition.write(2, "fourfold", "    return 1\n")
    other.write(1, "twice", "    return 1\n")
    move(edition, other, tito)
    for here in (edition, other):
        before = here.files()
        answer = on(here, tito, "progress", "import", export(edition, tito), *arguments)
        assert answer.code == 0 and "is here already" in answer.out
        assert here.files() == before


def test_what_is_further_wins_and_the_other_is_kept(edition: Edition, other: Edition, tito: Tito) -> None:
    for here, body, points in ((edition, "    return 1\n", 9.0), (other, "    return 2\n", 8.0)):
        here.write(1, "twice", body)
        complete(here, 1, points=points)
    other.write(2, "fourfold", "    return 3\n")
    complete(other, 2)
    edition.write(2, "fourfold", "    return 4\n")
    theirs, ours = edition.notebook(1).read_bytes(), other.notebook(1).read_bytes()
    assert move(edition, other, tito) == {"01 alpha": "taken kept", "02 beta": "stayed kept"}
    assert other.notebook(1).read_bytes() == theirs and state(other).completed[1].points == 9
    assert state(other).completed[2].points == 10
    name = on(other, tito, "module", "history", "02", "--json").json["kept"][0]["name"]
    assert on(other, tito, "module", "undo", "02", "--to", name).code == 0
    assert other.notebook(2).read_bytes() == edition.notebook(2).read_bytes() and 2 not in state(other).completed
    assert on(other, tito, "module", "undo", "01").code == 0            # an import is undone like any other command
    assert other.notebook(1).read_bytes() == ours and state(other).completed[1].points == 8


def test_of_two_that_are_not_complete_the_later_wins_but_never_an_untouched_one(edition: Edition, other: Edition, tito: Tito) -> None:
    for number, (here, there) in ((1, (100, 200)), (2, (200, 100))):
        for one, seconds, body in ((edition, here, "    return 1\n"), (other, there, "    return 2\n")):
            one.edit(number, ("twice", "fourfold")[number - 1], lambda source, body=body: source + body)      # type: ignore[misc]
            saved_at(one, number, seconds)
    edition.edit(3, "gamma", lambda source: source + "# mine\n")
    saved_at(edition, 3, 100)
    on(other, tito, "module", "start", "01", "--no-open")
    assert move(edition, other, tito) == {"01 alpha": "stayed kept", "02 beta": "taken kept", "03 gamma": "taken"}


def test_undo_means_what_was_done_here(edition: Edition, other: Edition, tito: Tito) -> None:
    edition.solve(1)
    on(edition, tito, "module", "reset", "01", "--yes")
    move(edition, other, tito)
    (kept,) = on(other, tito, "module", "history", "01", "--json").json["kept"]
    assert kept["elsewhere"]
    answer = on(other, tito, "module", "undo", "01")
    assert answer.code == ExitCode.USAGE and "nothing to undo" in answer.err
    assert on(other, tito, "module", "undo", "01", "--to", kept["name"]).code == 0


def test_a_package_file_that_does_not_fit_counts_as_started(edition: Edition, other: Edition, tito: Tito) -> None:
    edition.solve(1)
    complete(edition, 1)
    (edition.root / "tinytorch/core/alpha.py").write_text("# edited by hand\n", encoding="utf-8")
    answer = on(other, tito, "progress", "import", export(edition, tito))
    assert "its exported file is not the one that was recorded" in answer.out
    assert 1 not in state(other).completed and 1 in state(other).started
    assert not (other.root / "tinytorch/core/alpha.py").exists()
    assert other.notebook(1).read_bytes() == edition.notebook(1).read_bytes()


def test_another_version_of_the_course_is_said(edition: Edition, other: Edition, tito: Tito) -> None:
    edition.solve(1)
    complete(edition, 1)
    released = other.root / "modules/01_alpha/.released/alpha_dev.ipynb"
    released.write_bytes(released.read_bytes().replace(b"01 Alpha", b"01 Alpha, second edition"))
    answer = on(other, tito, "progress", "import", export(edition, tito))
    assert answer.code == 0 and "note: it comes from another version of this course, where 01 alpha began differently" in answer.out
    assert 1 in state(other).completed


def test_nothing_is_overwritten_unasked(edition: Edition, tito: Tito, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"mine")
    answer = tito("progress", "export", str(tmp_path / FILE))
    assert answer.code == ExitCode.USAGE and "--force" in answer.err and (tmp_path / FILE).read_bytes() == b"mine"
    assert tito("progress", "export", str(tmp_path / FILE), "--force").code == 0
    assert tito("progress", "export").code == 0
    (made,) = edition.root.glob("tinytorch-progress-2*.zip")
    assert not [p for p in (*tmp_path.iterdir(), *edition.root.iterdir()) if p.name.endswith(".new")]
    assert str(edition.root).encode() not in b"".join(zipfile.ZipFile(made).read(name) for name in zipfile.ZipFile(made).namelist())


def test_what_cannot_be_read_here_is_left_out_and_said(edition: Edition, other: Edition, tito: Tito) -> None:
    edition.solve(1)
    on(edition, tito, "module", "reset", "01", "--yes")
    (entry,) = (edition.root / ".tito/history/01").iterdir()
    (entry / ".DS_Store").write_bytes(b"")
    shutil.copytree(entry, entry.with_name("20270101T000000.000000Z-reset"))
    (entry / "0-alpha_dev.ipynb").unlink()
    answer = on(edition, tito, "progress", "export", str(edition.root / FILE))
    assert answer.code == 0 and f"left out, for it cannot be read: the kept version {entry.name}" in answer.out
    assert on(other, tito, "progress", "import", str(edition.root / FILE)).code == 0


def test_stopped_in_the_middle_it_goes_on_when_it_is_done_again(
        edition: Edition, other: Edition, tito: Tito, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in (1, 2):
        edition.edit(number, ("twice", "fourfold")[number - 1], lambda source: source + "# mine\n")
        complete(edition, number)
        other.edit(number, ("twice", "fourfold")[number - 1], lambda source: source + "# other\n")
    before = versions(other) | versions(edition)
    file, fresh = export(edition, tito), other.root.with_name("fresh")
    shutil.copytree(other.root, fresh)
    replaced, steps = Path.replace, 0
    for stop in range(0, 100, 2):
        shutil.rmtree(other.root)
        shutil.copytree(fresh, other.root)
        with monkeypatch.context() as patched:
            patched.setattr(Path, "replace", full_after(stop, replaced))
            answer = on(other, tito, "progress", "import", file)
        if answer.code == 0:
            break
        steps += 1
        assert answer.code == ExitCode.ENVIRONMENT and "it goes on from there" in answer.err
        assert on(other, tito, "progress", "import", file).code == 0
        assert state(other).completed == state(edition).completed and before <= versions(other)
        assert on(other, tito, "progress", "import", file).out.startswith("all that is in")
    assert steps > 5


def full_after(count: int, real: Callable[[Path, Path], Path]) -> Callable[[Path, Path], Path]:
    """A disk that takes so many files more."""
    calls = iter(range(10**6))

    def replace(path: Path, target: Path) -> Path:
        if next(calls) == count:
            raise OSError(28, "No space left on device")
        return real(path, target)
    return replace


def test_milestones_are_joined(edition: Edition, other: Edition, tito: Tito) -> None:
    passed(edition, "01_double", "2027-01-02T00:00:00+00:00")
    passed(edition, "02_fourfold", "2027-01-03T00:00:00+00:00")
    passed(other, "01_double", "2027-01-01T00:00:00+00:00")
    move(edition, other, tito)
    assert {name: p.when[:10] for name, p in state(other).milestones.items()} == {"01_double": "2027-01-01", "02_fourfold": "2027-01-03"}
