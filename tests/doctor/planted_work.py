"""What goes wrong with a student's work."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable

from filelock import FileLock

from tests.doctor.conftest import Student
from tests.doctor.planted import Act, fault
from tito.cli import main

ALPHA = "tinytorch/core/alpha.py"


def spoiling(name: str, change: Callable[[bytes], bytes]) -> Act:
    def spoil(s: Student) -> None:
        path = s.root / name
        path.write_bytes(change(path.read_bytes()))
    return spoil



# ---- what tito keeps ---------------------------------------------------------------------------

@fault("settings", "settings.ini: unknown key titel", "did you mean title?", cure=lambda s: s.write("settings.ini", "[course]\n"))
def settings_with_a_mistake(s: Student) -> None:
    s.write("settings.ini", "[course]\ntitel = Mine\n")


@fault("lock", "another tito is at work", "wait until it has finished", state="warning", cure=lambda s: HELD.pop().release())
def another_tito(s: Student) -> None:
    (s.root / ".tito").mkdir()
    HELD.append(FileLock(s.root / ".tito" / "lock"))
    HELD[0].acquire()


HELD: list[FileLock] = []


@fault("interrupted", "a command was interrupted in the middle", "tito module status", state="warning", mends=True)
def an_interrupted_command(s: Student) -> None:
    s.write(".tito/pending/journal.json", json.dumps({"entry": ".tito/history/01/20260101T000000.000000Z-reset", "files": []}))
    note = {"action": "reset", "when": "2026-01-01T00:00:00+00:00", "files": [], "record": None, "started": False}
    s.write(".tito/pending/kept/note.json", json.dumps(note))


@fault("interrupted", "its journal cannot be read", "tito module status --rebuild", mends=True)
def a_broken_journal(s: Student) -> None:
    s.write(".tito/pending/journal.json", "{")


@fault("progress", "the record of your progress cannot be read", "tito module status --rebuild", mends=True)
def truncated_progress(s: Student) -> None:
    s.complete()
    spoiling(".tito/state.json", lambda content: content[:40])(s)


@fault("leftovers", "left by a command that was killed: modules/01_alpha/.alpha_dev.ipynb.new, .tito/stage", "--fix",
       state="warning", mends=True)
def leftovers(s: Student) -> None:
    s.write("modules/01_alpha/.alpha_dev.ipynb.new", "{")
    s.write(".tito/stage/tinytorch/__init__.py", "")


@fault("kept", "cannot be read, and stands in the way of tito module undo 01", "move that folder away", mends=True)
def a_broken_kept_version(s: Student) -> None:
    assert main(["module", "start", "01", "--no-open"]) == 0
    next((s.root / ".tito" / "history" / "01").glob("*/note.json")).write_text("", encoding="utf-8")


# ---- the package -------------------------------------------------------------------------------

@fault("top", "missing, or not as it was made: tinytorch/__init__.py", "--fix", mends=True)
def no_top(s: Student) -> None:
    (s.root / "tinytorch" / "__init__.py").unlink()


@fault("top", "missing, or not as it was made: tinytorch/core/__init__.py", "--fix", mends=True)
def a_broken_frame(s: Student) -> None:
    s.write("tinytorch/core/__init__.py", "import (")


@fault("package", f"{ALPHA} is not as it was exported: it was edited by hand", "tito module complete 01", mends=True)
def an_edited_export(s: Student) -> None:
    s.complete()
    spoiling(ALPHA, lambda content: content + b"\n# mine\n")(s)


@fault("package", f"01 alpha is complete, but {ALPHA} is missing", "tito module complete 01", mends=True)
def a_missing_export(s: Student) -> None:
    s.complete()
    (s.root / ALPHA).unlink()


@fault("package", f"the notebook of 01 alpha was changed since {ALPHA} was exported", "tito module complete 01", state="warning",
       cure=lambda s: main(["module", "complete", "01"]))
def a_stale_export(s: Student) -> None:
    s.complete()
    s.edition.write(1, "half", "    return 0.5 * x\n")


@fault("package", f"{ALPHA} is there, but 01 alpha is not complete", "tito module complete 01", state="warning",
       cure=lambda s: main(["module", "complete", "01"]))
def an_export_without_a_record(s: Student) -> None:
    s.complete()
    (s.root / ".tito/state.json").unlink()


# ---- the notebooks -----------------------------------------------------------------------------

@fault("originals", "alpha_dev.ipynb is missing", "fresh student edition",
       cure=lambda s: shutil.copy(s.edition.notebook(1), s.root / "modules/01_alpha/.released"))
def no_released_notebook(s: Student) -> None:
    (s.root / "modules/01_alpha/.released/alpha_dev.ipynb").unlink()


@fault("originals", "alpha_dev.ipynb was changed", "fresh student edition",
       cure=lambda s: shutil.copy(s.edition.notebook(1), s.root / "modules/01_alpha/.released"))
def a_broken_released_notebook(s: Student) -> None:
    spoiling("modules/01_alpha/.released/alpha_dev.ipynb", lambda content: content[:100])(s)


@fault("notebooks", "modules/02_beta/beta_dev.ipynb is missing", "puts back the released one", mends=True)
def a_missing_notebook(s: Student) -> None:
    s.edition.notebook(2).unlink()


@fault("notebooks", "alpha_dev.ipynb is damaged: it is not JSON", "puts back the released one", mends=True)
def a_truncated_notebook(s: Student) -> None:
    spoiling("modules/01_alpha/alpha_dev.ipynb", lambda content: content[:-300])(s)


@fault("notebooks", "alpha_dev.ipynb is empty", "puts back the latest that can be read: JupyterLab's last checkpoint", mends=True)
def an_empty_notebook(s: Student) -> None:
    place = s.root / "modules/01_alpha/.ipynb_checkpoints/alpha_dev-checkpoint.ipynb"
    place.parent.mkdir()
    shutil.copy(s.edition.notebook(1), place)
    s.edition.notebook(1).write_bytes(b"")


@fault("notebooks", "has git's conflict marks in it", "puts back your side of the merge", mends=True)
def a_merge_conflict(s: Student) -> None:
    mine, theirs = (f'   "source": "# {who}"\n' for who in ("mine", "theirs"))
    text = s.edition.notebook(1).read_text(encoding="utf-8")
    old = next(line for line in text.splitlines(keepends=True) if '"# 01 Alpha"' in line)
    s.edition.notebook(1).write_text(text.replace(old, f"<<<<<<< HEAD\n{mine}=======\n{theirs}>>>>>>> main\n"), encoding="utf-8")


@fault("kernels", "alpha_dev.ipynb asks for the kernel conda-env-ml-py", "Change Kernel", mends=True)
def a_notebook_for_another_kernel(s: Student) -> None:
    notebook = json.loads(s.edition.notebook(1).read_text(encoding="utf-8"))
    notebook["metadata"]["kernelspec"] = {"name": "conda-env-ml-py", "display_name": "ML"}
    s.edition.notebook(1).write_text(json.dumps(notebook), encoding="utf-8")


COPIES = ("alpha_dev-Copy1.ipynb", "alpha_dev (1).ipynb", "alpha_dev (Zoe Quark's conflicted copy).ipynb")


@fault("copies", "modules/01_alpha has 3 copies of its notebook: only alpha_dev.ipynb is tested", "move the others away", state="warning",
       cure=lambda s: [(s.root / "modules/01_alpha" / name).unlink() for name in COPIES])
def copies(s: Student) -> None:
    for name in COPIES:
        shutil.copy(s.edition.notebook(1), s.root / "modules/01_alpha" / name)


