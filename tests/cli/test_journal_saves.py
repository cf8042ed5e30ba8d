"""What somebody else saves while several files are changed is kept, at whichever moment it comes, on whichever disk."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.cli.journals import CHANGES, ENTRY, NEW, OLD, STEPS, files, fresh, root, settled
from tito import journal
from tito.errors import ExitCode, TitoError

__all__ = ["root"]
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
        fresh(root)
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
