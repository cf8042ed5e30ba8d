"""Several files are changed together or not at all, wherever a process dies and whichever write fails."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tito import journal
from tito.errors import ExitCode, TitoError
from tito.journal import Change

REPOSITORY = Path(__file__).resolve().parents[2]
OLD = {"package/ä.py": b"old\n", "gone.txt": b"to be removed\n", ".tito/state.json": b"{}\n"}
NEW = {"package/ä.py": b"new\n", "package/deep/b.py": b"b\n", ".tito/state.json": b'{"a": 1}\n'}
CHANGES = [*(Change(path, content) for path, content in NEW.items())]
CHANGES.insert(2, Change("gone.txt", None))
ENTRY = ".tito/history/01/now-test"
STEPS = 80                  # more than there are

KILLED = '''
import os, shutil, sys
from pathlib import Path
from tito import journal
from tito.journal import Change

left = int(sys.argv[1])

def dying(function):
    def step(*args, **kwargs):
        global left
        if left == 0:
            os._exit(9)
        left -= 1
        return function(*args, **kwargs)
    return step

Path.replace, Path.unlink, Path.mkdir = dying(Path.replace), dying(Path.unlink), dying(Path.mkdir)
os.fsync, os.link, shutil.rmtree = dying(os.fsync), dying(os.link), dying(shutil.rmtree)
action = sys.argv[2]
if action == "commit":
    journal.commit(Path("."), eval(sys.argv[3]), sys.argv[4], {"action": "test"})
else:
    journal.recover(Path("."))
'''


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "a ü"
    for path, content in OLD.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


def files(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file() and "history" not in p.parts}


def run(root: Path, steps: int, action: str) -> int:
    return subprocess.run([sys.executable, "-c", KILLED, str(steps), action, repr(CHANGES), ENTRY], cwd=root, check=False,
                          env={**os.environ, "PYTHONPATH": str(REPOSITORY)}).returncode


def settled(root: Path) -> bool:
    """Whether everything happened (True) or nothing (False); no trace of the work is left either way."""
    now = files(root)
    assert now in (OLD, NEW)
    assert (root / ENTRY).exists() == (now == NEW)
    if now == NEW:
        assert (root / ENTRY / "0-ä.py").read_bytes() == b"old\n"
        assert (root / ENTRY / "2-gone.txt").read_bytes() == OLD["gone.txt"]
    return now == NEW


def test_a_commit_changes_everything(root: Path) -> None:
    journal.commit(root, CHANGES, ENTRY, {"action": "test"})
    assert settled(root)
    assert not journal.interrupted(root)


def test_killed_at_every_step(root: Path) -> None:
    outcomes = []
    for steps in range(STEPS):
        shutil.rmtree(root)
        for path, content in OLD.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(content)
        code = run(root, steps, "commit")
        journal.recover(root)
        outcomes.append(settled(root))
        if code == 0:
            break
    else:
        pytest.fail(f"there are more than {STEPS} steps")
    assert outcomes == sorted(outcomes) and len(outcomes) > 15      # nothing, nothing, ..., then all: one moment at which it counts
    assert False in outcomes and outcomes.count(True) > 3


def test_killed_while_recovering(root: Path) -> None:
    for steps in range(STEPS):
        shutil.rmtree(root)
        for path, content in OLD.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(content)
        journal._prepare(root, CHANGES, ENTRY, {})
        (root / ".tito/preparing").replace(root / ".tito/pending")
        code = run(root, steps, "recover")
        journal.recover(root)
        assert settled(root)
        if code == 0:
            return


def test_killed_while_putting_back(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    for steps in range(STEPS):
        shutil.rmtree(root)
        for path, content in OLD.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(content)
        with monkeypatch.context() as patched, pytest.raises(OSError, match="output"):
            patched.setattr(journal, "_settle", fails)                          # everything is in place already
            patched.setattr(journal, "_put_back", lambda root: None)
            journal.commit(root, CHANGES, ENTRY, {})
        code = run(root, steps, "recover")
        journal.recover(root)
        assert not settled(root)
        if code == 0:
            return


@pytest.mark.parametrize("where", ["fsync", "replace", "mkdir", "unlink", "rmtree", "link"])
def test_a_failing_write_changes_nothing(root: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    owner: Any = {"fsync": os, "link": os, "rmtree": shutil}.get(where, Path)
    real: Callable[..., Any] = getattr(owner, where)
    for failing in range(STEPS):
        calls = iter(range(10**6))

        def full(*args: Any, failing: int = failing, calls: Any = calls, **kwargs: Any) -> Any:
            if next(calls) == failing:
                raise OSError(errno.ENOSPC, "No space left on device", "somewhere")
            return real(*args, **kwargs)

        monkeypatch.setattr(owner, where, full)
        try:
            journal.commit(root, CHANGES, ENTRY, {})
        except OSError:
            monkeypatch.setattr(owner, where, real)
            journal.recover(root)
            assert not settled(root)
            continue
        finally:
            monkeypatch.setattr(owner, where, real)
        journal.recover(root)
        assert settled(root)
        return
    pytest.fail("it never came to an end")


def test_edits_made_after_an_interruption_are_kept(root: Path) -> None:
    journal._prepare(root, CHANGES, ENTRY, {})
    (root / ".tito/preparing").replace(root / ".tito/pending")
    (root / "package/ä.py").write_bytes(b"edited since\n")
    journal.recover(root)
    assert (root / ENTRY / "0-ä.py").read_bytes() == b"edited since\n"


@pytest.mark.parametrize("content", ["", "{", '{"schema_version": 1}', '{"entry": "x", "files": [["../../escape", true, null]]}'])
def test_an_unreadable_journal_stops_and_is_kept(root: Path, content: str) -> None:
    journal._prepare(root, CHANGES, ENTRY, {})
    (root / ".tito/preparing").replace(root / ".tito/pending")
    (root / ".tito/pending/journal.json").write_text(content, encoding="utf-8")
    with pytest.raises(TitoError, match="journal") as caught:
        journal.recover(root)
    assert caught.value.code == ExitCode.INTEGRITY and "--rebuild" in caught.value.fix
    assert journal.set_aside(root, "then") == [".tito/aside/then-pending"]
    assert not journal.interrupted(root)
    assert (root / ".tito/aside/then-pending/kept/0-ä.py").read_bytes() == b"old\n"


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x", "C:/x", "a\\b"])
def test_no_path_leaves_the_folder(path: str) -> None:
    with pytest.raises(ValueError, match="leaves"):
        journal.inside(path)


SAVED = b"saved in the meantime\n"
REPLACE = Path.replace


class Editor:
    """Saves a file in the middle of somebody else's work: just before step `at`, counted in calls of what moves or writes files."""

    def __init__(self, path: Path, way: str, at: int):
        self.path, self.way, self.left = path, way, at
        self.overwritten: list[bytes] = []
        self.open: Any = None

    def step(self) -> None:
        self.left -= 1
        if self.left == -1:
            self.save()
        elif self.open:
            self.finish()

    def save(self) -> None:
        """Empty the file and fill it, as JupyterLab does, at once or slowly; or write another one and rename that."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            self.overwritten.append(self.path.read_bytes())
        self.open = (self.path if self.way != "rename" else self.path.parent / "editor").open("wb")
        if self.way != "slowly":
            self.finish()

    def finish(self) -> None:
        self.open.write(SAVED)
        self.open.close()
        self.open = None
        if self.way == "rename":
            REPLACE(self.path.parent / "editor", self.path)


def beside(editor: Editor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the editor take its step before each of ours."""
    for owner, name in ((Path, "replace"), (Path, "unlink"), (Path, "rename"), (Path, "samefile"), (os, "link"), (os, "fsync")):
        monkeypatch.setattr(owner, name, after(editor.step, getattr(owner, name)))


def after(first: Callable[[], None], real: Callable[..., Any]) -> Callable[..., Any]:
    def both(*args: Any, **kwargs: Any) -> Any:
        first()
        return real(*args, **kwargs)
    return both


@pytest.mark.parametrize("path", ["package/ä.py", "package/deep/b.py", "gone.txt"], ids=["replaced", "new", "removed"])
@pytest.mark.parametrize("way", ["in place", "slowly", "rename"])
@pytest.mark.parametrize("failing", [False, True], ids=["", "put back"])
def test_a_save_at_any_moment_is_kept(root: Path, monkeypatch: pytest.MonkeyPatch, path: str, way: str, failing: bool) -> None:
    def fails(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    for at in range(STEPS):
        shutil.rmtree(root)
        for name, content in OLD.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content)
        editor = Editor(root / path, way, at)
        with monkeypatch.context() as patched:
            beside(editor, patched)
            if failing:
                patched.setattr(journal, "_settle", fails)
            with suppress(OSError):
                journal.commit(root, CHANGES, ENTRY, {})
        if editor.open:
            editor.finish()
        assert not journal.interrupted(root)
        assert not list(root.rglob(".*.new"))
        found = {file.read_bytes() for file in root.rglob("*") if file.is_file()}
        assert editor.left >= 0 or SAVED in found, at
        assert {OLD["package/ä.py"], OLD["gone.txt"]} - set(editor.overwritten) <= found, at
        if editor.left >= 0:
            assert at > 15
            return
    pytest.fail("it never came to an end")


def save(path: Path) -> None:
    path.write_bytes(SAVED)


def test_what_was_saved_last_is_what_undo_brings_back(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "_finish", after(lambda: save(root / "package/ä.py"), journal._finish))
    journal.commit(root, CHANGES, ENTRY, {})
    assert files(root) == NEW
    assert (root / ENTRY / "0-ä.py").read_bytes() == SAVED
    assert (root / ENTRY / "earlier-0-ä.py").read_bytes() == b"old\n"      # it cost nothing to keep that as well


def test_a_file_that_appears_is_kept_and_noted(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "_finish", after(lambda: save(root / "package/deep/b.py"), journal._finish))
    journal.commit(root, CHANGES, ENTRY, {})
    note = json.loads((root / ENTRY / "note.json").read_text(encoding="utf-8"))
    assert files(root) == NEW and ["package/deep/b.py", "1-b.py"] in note["files"]
    assert (root / ENTRY / "1-b.py").read_bytes() == SAVED


@pytest.mark.parametrize("number", range(len(CHANGES) - 1))
def test_a_file_that_is_open_on_windows_cannot_be_moved(root: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    held, replace = root / CHANGES[number].path, Path.replace

    def refused(path: Path, target: Path) -> Path:
        if path == held:
            raise PermissionError(errno.EACCES, "The process cannot access the file because it is being used by another process")
        return replace(path, target)

    held.parent.mkdir(parents=True, exist_ok=True)
    with monkeypatch.context() as patched, pytest.raises(TitoError, match="cannot be replaced") as caught:
        patched.setattr(Path, "replace", refused)
        journal.commit(root, CHANGES, ENTRY, {})
    if CHANGES[number].path in OLD:
        assert caught.value.code == ExitCode.ENVIRONMENT and "JupyterLab" in caught.value.fix and "nothing was changed" in caught.value.why
    assert not settled(root) and not journal.interrupted(root)


def test_a_disk_that_knows_no_links(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")
    monkeypatch.setattr(os, "link", unknown)
    journal.commit(root, CHANGES, ENTRY, {"action": "test"})
    assert settled(root)


def test_another_disk(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace = Path.replace

    def across(path: Path, target: Path) -> Path:
        if ("kept" in path.parts) != ("kept" in target.parts) and path.name != "kept":
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", across)
    journal.commit(root, CHANGES, ENTRY, {"action": "test"})
    assert settled(root)


@pytest.mark.skipif(os.name == "nt", reason="making a link needs a right of its own there")
def test_of_a_link_the_file_behind_it_stays_and_what_it_says_is_kept(root: Path) -> None:
    (root / "elsewhere").write_bytes(b"old\n")
    (root / "package/ä.py").unlink()
    (root / "package/ä.py").symlink_to("../elsewhere")
    journal.commit(root, CHANGES, ENTRY, {})
    assert (root / "package/ä.py").read_bytes() == b"new\n" and not (root / "package/ä.py").is_symlink()
    assert (root / "elsewhere").read_bytes() == (root / ENTRY / "0-ä.py").read_bytes() == b"old\n"
    (root / "package/ä.py").unlink()
    (root / "package/ä.py").symlink_to("nowhere")
    journal.commit(root, CHANGES, ENTRY + "2", {})
    assert (root / "package/ä.py").read_bytes() == b"new\n"
