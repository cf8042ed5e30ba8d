"""Several files are changed together or not at all, wherever a process dies and whichever write fails."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.journals import CHANGES, ENTRY, STEPS, fresh, root, settled
from tito import journal
from tito.errors import ExitCode, TitoError

__all__ = ["root"]
REPOSITORY = Path(__file__).resolve().parents[2]
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


def run(root: Path, steps: int, action: str) -> int:
    return subprocess.run([sys.executable, "-c", KILLED, str(steps), action, repr(CHANGES), ENTRY], cwd=root, check=False,
                          env={**os.environ, "PYTHONPATH": str(REPOSITORY)}).returncode


def test_a_commit_changes_everything(root: Path) -> None:
    journal.commit(root, CHANGES, ENTRY, {"action": "test"})
    assert settled(root)
    assert not journal.interrupted(root)


def test_killed_at_every_step(root: Path) -> None:
    outcomes = []
    for steps in range(STEPS):
        fresh(root)
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
        fresh(root)
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
        fresh(root)
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


def test_two_of_one_name_put_aside_at_one_moment_are_both_kept(root: Path) -> None:
    one, other = root / "package" / ".x.new", root / ".tito" / ".x.new"
    for path in (one, other):
        path.write_bytes(path.parent.name.encode())
    names = [journal.aside(root, path, "then") for path in (one, other)]
    assert [(root / name).read_bytes() for name in names] == [b"package", b".tito"]


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x", "C:/x", "a\\b"])
def test_no_path_leaves_the_folder(path: str) -> None:
    with pytest.raises(ValueError, match="leaves"):
        journal.inside(path)
