"""The doctor: all is well where all is well, each fault has its sentence and its mend, and nothing of anybody's is told or lost."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.doctor import planted_machine, planted_work  # noqa: F401    # they plant
from tests.doctor.conftest import Answer, Student
from tests.doctor.planted import FAULTS, Fault
from tito.cli import lab
from tito.course import Course
from tito.doctor import jupyter, work
from tito.errors import ExitCode


def test_all_is_well_in_a_healthy_course(student: Student) -> None:
    answer = student.doctor()
    assert answer.code == ExitCode.OK and answer.out.rstrip().endswith("all is well"), answer.out
    assert student.said() == []


def test_at_least_twenty_faults_are_planted_and_most_are_mended() -> None:
    assert len({(f.name, f.says) for f in FAULTS.values()}) >= 40
    assert sum(f.mends for f in FAULTS.values()) > len(FAULTS) / 2


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_named_with_a_mend_that_works(student: Student, name: str) -> None:
    fault = FAULTS[name]
    fault.plant(student)
    before = student.edition.files()
    told = [line for line in student.said() if line.startswith(f"{fault.state} {fault.name}: ") and fault.says in line]
    assert len(told) == 1 and fault.fix in told[0].partition("; ")[2], student.said()
    assert student.edition.files() == before, "a look changes nothing"
    if fault.mends:
        _mended(student, fault)
    if fault.cure:
        fault.cure(student)
    answer = student.doctor("--json")
    assert answer.code == ExitCode.OK and [c for c in answer.json["checks"] if c["state"] != "ok"] == []


def _mended(student: Student, fault: Fault) -> None:
    answer = student.doctor("--fix", "--json")
    checks = answer.json["checks"]
    assert [c["name"] for c in checks if c["state"] == "mended"] == [fault.name], checks
    assert fault.cure or answer.code == ExitCode.OK


@pytest.mark.parametrize(("name", "code"), [("no_tito", ExitCode.INTEGRITY), ("a_missing_package", ExitCode.ENVIRONMENT),
                                            ("copies", ExitCode.OK), ("an_edited_export", ExitCode.INTEGRITY)])
def test_the_exit_code_tells_whose_matter_it_is(student: Student, name: str, code: ExitCode) -> None:
    FAULTS[name].plant(student)
    assert student.doctor().code == code


# ---- --fix loses nothing -----------------------------------------------------------------------

def test_what_is_replaced_is_kept(student: Student) -> None:
    for name in ("truncated_progress", "a_truncated_notebook"):
        FAULTS[name].plant(student)
    cut, state = student.edition.notebook(1).read_bytes(), (student.root / ".tito/state.json").read_bytes()
    student.doctor("--fix")
    contents = [p.read_bytes() for p in (student.root / ".tito").rglob("*") if p.is_file()]
    assert cut in contents and state in contents


def test_an_export_that_was_edited_by_hand_is_kept(student: Student) -> None:
    FAULTS["an_edited_export"].plant(student)
    path = student.root / "tinytorch/core/alpha.py"
    edited = path.read_bytes()
    student.doctor("--fix")
    assert path.read_bytes() != edited
    assert student.run("module", "undo", "01").code == 0 and path.read_bytes() == edited


def test_the_latest_version_that_can_be_read_comes_back(student: Student) -> None:
    student.complete()
    notebook = student.edition.notebook(1)
    latest = notebook.read_bytes()
    assert student.run("module", "reset", "01", "--yes").code == 0          # which keeps it
    notebook.write_bytes(b"")
    assert "a kept version" in " ".join(student.said())
    student.doctor("--fix")
    assert notebook.read_bytes() == latest
    assert student.run("module", "undo", "01").code == 0 and notebook.read_bytes() == b""


def test_progress_is_rebuilt_from_what_was_mended_first(student: Student) -> None:
    student.complete()
    for name in ("a_notebook_for_another_kernel", "no_top"):
        FAULTS[name].plant(student)
    student.edition.notebook(2).write_bytes(b"")
    student.write(".tito/state.json", "{")
    assert student.doctor("--fix").code == ExitCode.OK
    assert student.doctor("--json").json["completed"] == [1] and student.said() == []


def test_a_kernel_written_anew_leaves_no_temporary_file(student: Student, tmp_path: Path) -> None:
    student.patch.setenv("TMPDIR", str(tmp_path))
    student.patch.setattr("tempfile.tempdir", None)
    student.kernel.unlink()
    before = set(tmp_path.iterdir())
    student.doctor("--fix")
    assert student.kernel.is_file() and set(tmp_path.iterdir()) == before


def test_of_a_merge_your_side_comes_back(student: Student) -> None:
    FAULTS["a_merge_conflict"].plant(student)
    student.doctor("--fix")
    text = student.edition.notebook(1).read_text(encoding="utf-8")
    assert "# mine" in text and "# theirs" not in text


def test_a_frame_made_anew_is_the_one_that_was_handed_out(student: Student) -> None:
    path = student.root / "tinytorch" / "__init__.py"
    handed_out = path.read_bytes()
    path.unlink()
    student.doctor("--fix")
    assert path.read_bytes() == handed_out


def test_what_cannot_be_mended_says_why_and_stops_nothing(student: Student) -> None:
    FAULTS["a_file_that_hides_a_library"].plant(student)
    student.write("modules/01_alpha/my_random.py", "")
    FAULTS["a_truncated_notebook"].plant(student)
    answer = student.doctor("--fix")
    assert answer.code == ExitCode.ENVIRONMENT and "mended   notebooks" in answer.out
    assert "--fix could not: my_random.py is there already" in " ".join(answer.out.split())


# ---- the tool of last resort -------------------------------------------------------------------

def test_much_may_be_broken_at_once(student: Student) -> None:
    several = ["settings_with_a_mistake", "truncated_progress", "no_top", "an_empty_notebook", "no_pyproject", "a_broken_kernel", "copies"]
    for name in several:
        FAULTS[name].plant(student)
    told = " ".join(student.said())
    for name in several:
        assert FAULTS[name].says in told, name
    assert student.doctor("--fix").code == ExitCode.INTEGRITY               # the settings are the teacher's


def test_a_look_that_stumbles_stops_no_other(student: Student) -> None:
    def lock(visit: object) -> None:
        raise RuntimeError("surprise")

    student.patch.setattr(work, "FIRST", (lock, *work.FIRST))
    told = student.said()
    assert len(told) == 1 and "the look itself stumbled: RuntimeError: surprise" in told[0]
    assert "ok       package:" in student.doctor().out


def test_it_runs_without_typer_and_rich(student: Student) -> None:
    broken = student.root.parent / "broken"
    for name in ("typer", "rich"):
        student.write(str(broken / name / "__init__.py"), f"raise ModuleNotFoundError('No module named {name}', name='{name}')\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(broken), str(Path(__file__).parents[2])]), "TITO_BOOTSTRAP": "0"}
    (student.root / "tito").rmdir()                     # the repository's runs

    def tito(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-m", "tito", *words], cwd=student.root, env=environment, capture_output=True, text=True)

    assert "ok       notebooks:" in (done := tito("doctor")).stdout, done.stderr
    done = tito("module", "list")
    assert done.returncode == ExitCode.ENVIRONMENT and "typer is missing" in done.stderr and "doctor" in done.stderr


def test_outside_of_a_course(student: Student) -> None:
    student.patch.chdir(student.home)
    answer = student.doctor()
    assert answer.code == ExitCode.ENVIRONMENT and "not part of a TinyTorch course" in answer.err


# ---- the deep look -----------------------------------------------------------------------------

def deep(student: Student) -> list[str]:
    """What the look `imports` says, with .venv's kernel."""
    student.patch.setattr(jupyter, "LOOKS", (jupyter.imports,))
    student.patch.setenv("JUPYTER_PATH", str(student.venv / "share" / "jupyter"))
    environment = lab.environment
    repository = str(Path(__file__).parents[2])         # this edition has no tito of its own
    student.patch.setattr(lab, "environment", lambda course: {**(e := environment(course)),
                                                              "PYTHONPATH": os.pathsep.join([e["PYTHONPATH"], repository])})
    (student.root / "tito").rmdir()
    return [line for line in student.said() if " imports: " in line]


def test_a_notebooks_kernel_imports_what_it_should(student: Student) -> None:
    assert deep(student) == []


def test_a_kernel_that_does_not_start_is_named(student: Student) -> None:
    FAULTS["a_kernel_of_another_environment"].plant(student)
    assert "the kernel of the notebooks does not start" in deep(student)[0]


def test_a_numpy_that_is_broken_is_named(student: Student) -> None:
    student.write("numpy.py", "raise ImportError('not for this Python')\n")
    assert "a notebook cannot import numpy: ImportError: not for this Python" in deep(student)[0]


def test_another_tinytorch_is_named(student: Student) -> None:
    student.write("modules/01_alpha/tinytorch/__init__.py", "")
    assert any("another tinytorch than this folder's" in line for line in deep(student))


# ---- a home that is shut -----------------------------------------------------------------------

def test_jupyterlab_keeps_its_files_in_the_course_where_the_home_is_shut(student: Student) -> None:
    course = Course(student.root)
    assert "JUPYTER_RUNTIME_DIR" not in lab.environment(course)
    student.patch.setenv("HOME", os.devnull)
    student.patch.setenv("JUPYTER_DATA_DIR", "/chosen")
    environment = lab.environment(course)
    assert Path(environment["JUPYTER_RUNTIME_DIR"]).parent == student.root / ".tito" / "jupyter"
    assert environment["JUPYTER_DATA_DIR"] == "/chosen"


# ---- nothing private ---------------------------------------------------------------------------

@pytest.mark.parametrize("arguments", [("--json",), ("--fix",)])
def test_nothing_private_is_in_the_report(student: Student, arguments: tuple[str, ...]) -> None:
    home = student.root.parent / "home" / "zquark"
    home.mkdir()
    planted_machine.moved(student, student.root, home / "kürs of Zoe")
    for name, value in {"HOME": str(home), "LOGNAME": "zquark", "USER": "zquark", "SECRET_TOKEN": "hunter2"}.items():
        student.patch.setenv(name, value)
    student.patch.setattr(socket, "gethostname", lambda: "zoes-laptop.example.org")
    student.write(".tito/student.json", json.dumps({"name": "Zoe Quark"}))
    student.write("settings.ini", "[course]\ntitel = write zoe@example.org at zoes-laptop or to ZQUARK, Zoe Quark, /home/other/x\n")
    for name in ("an_edited_export", "copies", "a_truncated_notebook", "a_kernel_in_the_home", "a_broken_kept_version"):
        FAULTS[name].plant(student)
    student.kernel.write_text(json.dumps({"argv": [str(home / "conda" / "bin" / "python")]}), encoding="utf-8")
    answer = student.doctor(*arguments)
    for word in ("zquark", "zoe", "quark", "example.org", "hunter2", "/home/other", str(home), "kürs", "k\\u00fcrs"):
        assert word.lower() not in (answer.out + answer.err).lower(), word
    assert "~/conda/bin/python" in answer.out + answer.err


def test_a_name_that_is_a_word_of_the_report_leaves_it_readable(student: Student) -> None:
    for name in ("LOGNAME", "USER"):
        student.patch.setenv(name, "ok")
    assert "ok       disk: There is room" in student.doctor().out


def test_it_tells_what_a_teacher_needs(student: Student) -> None:
    student.complete()
    assert student.run("module", "start", "02", "--no-open").code == 0
    facts = student.doctor("--json").json
    assert facts["completed"] == [1] and facts["started"] == [2] and facts["course"].startswith("TinyTorch")
    assert facts["python"].startswith(f"{sys.version_info[0]}.{sys.version_info[1]}") and facts["packages"]["numpy"] and facts["system"]
    out = " ".join(student.doctor().out.split())
    assert "complete: 01; started: 02" in out and "numpy " in out


def test_the_course_repository_has_a_doctor_too(tmp_path: Path, tito: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    names = {check["name"] for check in tito("doctor", "--json").json["checks"]}
    assert {"python", "kernel", "imports", "settings"} <= names and "notebooks" not in names
