"""The doctor: a healthy term is fit for grading, and each thing that can be amiss is named with what to do about it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("nbgrader")

from grading.assignment import Assignment, freeze
from grading.book.gradebook import opened
from grading.book.record import record
from grading.doctor import doctor, machine
from grading.intake.versions import Version, counting
from grading.run.autograde import Task
from grading.term import Term
from tests.grading.handed import copied, hand_in, shelf, verdict  # noqa: F401    # a fixture
from tito.cli.results import Report
from tito.course import Course
from tito.errors import ExitCode

ROOT = Path(__file__).parents[2]
DEADLINE = "\n03 = 2027-02-01\n"


@pytest.fixture
def term(shelf: Path, tmp_path: Path) -> Term:  # noqa: F811
    """One student's work, judged and recorded; all is well."""
    term = copied(shelf, tmp_path)
    settings = term.course.root / "settings.ini"
    settings.write_text(settings.read_text(encoding="utf-8").rstrip() + DEADLINE, encoding="utf-8")
    term.folder.chmod(0o700)
    term = Term.open(term.course)
    graded(term, "ada")
    return term


def force(term: Term) -> Assignment:
    return Assignment.current(term, term.course.modules[0])


def graded(term: Term, student: str, **states: str) -> Version:
    version = hand_in(term, force(term), student)
    result = verdict(term, force(term), version, **states)
    result.save(Task.of(term, force(term), version).path(term))
    with opened(term) as gradebook:
        record(term, gradebook, force(term), result, version)
    return version


def look(term: Term, **options: Any) -> Report:
    return doctor(Term.of(Course(term.course.root)), **options)     # as the next command sees it


def said(report: Report, *states: str) -> list[str]:
    return [line for line in report.lines if line.split()[0] in (states or ("problem", "warning"))]


def test_a_healthy_term_is_fit_for_grading(term: Term) -> None:
    told = look(term)
    machines = ("packages", "sandbox", "disk", "gradebook: 01 counting: 1 answer waits")        # as they may be here
    assert [line for line in said(told) if not any(word in line for word in machines)] == [], told.lines
    text = "\n".join(told.lines)
    for name in ("packages: nbgrader 0.9", "sandbox: bubblewrap", "sandbox: docker", "clock: ", "disk: ", "cluster: none is named",
                 "lock: nobody", "students: 3", "extensions: 0", "deadlines: 3", "assignments: 01 counting is in force", "versions: 1 were",
                 "results: 1 of 1", "gradebook: sqlite"):
        assert name in text, (name, text)
    assert told.to_dict()["states"]["ok"] == len(said(told, "ok"))


def test_a_look_changes_nothing(term: Term) -> None:
    def files() -> dict[str, tuple[int, bytes]]:
        found = [p for home in (term.folder, term.course.root / "modules") for p in home.rglob("*") if p.is_file() and p.name != ".lock"]
        return {str(p): (p.stat().st_mode, p.read_bytes()) for p in found}

    before = files()
    look(term)
    assert files() == before


def test_nothing_private_is_in_it(term: Term) -> None:
    graded(term, "ben", test_mean="failed")
    text = json.dumps(look(term).to_dict()) + "\n".join(look(term).lines)
    for word in ("Lovelace", "example.org", "Müller", term.secret.hex(), "canary"):
        assert word not in text


def test_there_may_be_no_term_yet(term: Term) -> None:
    shutil.rmtree(term.folder)
    told = look(term)
    assert told.code is ExitCode.ENVIRONMENT and told.next == "tito grade init" and "there is none" in "\n".join(said(told))


def test_settings_that_put_the_term_inside_the_course(term: Term) -> None:
    settings = term.course.root / "settings.ini"
    settings.write_text(settings.read_text(encoding="utf-8") + "\n[grading]\nfolder = inside\n", encoding="utf-8")
    told = doctor(Course(term.course.root))
    assert told.code is ExitCode.INTEGRITY and "settings.ini" in told.lines[0]


# ---- what is planted ---------------------------------------------------------------------------

def write(name: str, text: str) -> Callable[[Term], None]:
    return lambda term: term.path(name).write_text(text, encoding="utf-8") and None


def setting(text: str) -> Callable[[Term], None]:
    def change(term: Term) -> None:
        path = term.course.root / "settings.ini"
        path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")
    return change


def spoil_version(term: Term) -> None:
    counting(term, term.course.modules[0])["ada"].path.write_bytes(b"{}")


def lose_receipt(term: Term) -> None:
    counting(term, term.course.modules[0])["ada"].path.with_suffix(".json").unlink()


def spoil_receipt(term: Term) -> None:
    counting(term, term.course.modules[0])["ada"].path.with_suffix(".json").write_text("{", encoding="utf-8")


def lose_version(term: Term) -> None:
    shutil.rmtree(term.path("versions", "ada"))


def newer_version(term: Term) -> None:
    hand_in(term, force(term), "ada", {**force(term).solved, "cells": force(term).solved["cells"][:-1]}, days=1)


def infra(term: Term) -> None:
    graded(term, "ben", test_mean="infra", test_total="infra")


def unrecorded(term: Term) -> None:
    version = hand_in(term, force(term), "ben")
    verdict(term, force(term), version).save(Task.of(term, force(term), version).path(term))


def edit_source(term: Term) -> None:
    source = term.course.modules[0].source
    source.write_text(source.read_text(encoding="utf-8").replace("Add things up.", "Add them up."), encoding="utf-8")


def edit_release(term: Term) -> None:
    term.path("release", "01_counting", "counting_dev.ipynb").write_text("{}", encoding="utf-8")


def edit_frozen(term: Term) -> None:
    path = term.path("assignments", "01_counting", f"{force(term).digest}.json")
    path.write_text(path.read_text(encoding="utf-8").replace("three numbers", "four numbers"), encoding="utf-8")


def half_a_regrade(term: Term) -> None:
    from grading.book.rows import snapshot
    from grading.regrade import ledger
    new = freeze(term, term.course.modules[0])
    with opened(term) as gradebook:
        rows = snapshot(gradebook, new)
    ledger.Plan(ledger.APPLY, ledger.Record.begun(term.course.modules[0], new.digest, new.digest, {}, {}, {}, rows)).write(term)


def old_gradebook(term: Term) -> None:
    with sqlite3.connect(term.path("gradebook.db")) as database:
        database.execute("UPDATE alembic_version SET version_num = 'abc'")
    database.close()


def from_the_future(term: Term) -> None:
    path = counting(term, term.course.modules[0])["ada"].path.with_suffix(".json")
    facts = json.loads(path.read_text(encoding="utf-8"))
    facts["seen"] = (datetime.now(UTC) + timedelta(days=2)).strftime("%Y-%m-%d %H:%M:%S UTC")
    path.write_text(json.dumps(facts), encoding="utf-8")


BAD, HERE, NOTE = ("problem", ExitCode.INTEGRITY), ("problem", ExitCode.ENVIRONMENT), ("warning", None)
PLANTED: list[tuple[tuple[str, ExitCode | None], str, str, Callable[[Term], Any]]] = [
    (BAD, "folder: others may read", "chmod 700", lambda term: term.folder.chmod(0o755)),
    (BAD, "folder: it lies in the git repository", "outside", lambda term: (term.folder / ".git").mkdir()),
    (BAD, "secret: others may read", "chmod 600", lambda term: term.path("secret").chmod(0o644)),
    (BAD, "secret: ", "backup", write("secret", "short\n")),
    (BAD, "students: students.csv, line 3 cannot be used", "mend it", write("students.csv", "id,name\nada,\nada,\n")),
    (NOTE, "students: nobody is in students.csv", "write them", write("students.csv", "id,name,email,aliases\n")),
    (NOTE, "students: handed in, but not in students.csv: ada", "add them", write("students.csv", "id,name\nben,\n")),
    (BAD, "extensions: extensions.csv, line 2 cannot be used", "mend it", write("extensions.csv", "student,module,until\nada,1,soon\n")),
    (NOTE, "extensions: of nobody in students.csv: dora", "mend", write("extensions.csv", "student,module,until\ndora,1,2027-02-02\n")),
    (NOTE, "extensions: of no effect", "take them out", write("extensions.csv", "student,module,until\nada,1,2027-01-01\n")),
    (NOTE, "assignments: 01 counting: its source was changed", "regrade 01 --preview", edit_source),
    (BAD, "assignments: 01 counting: source/ or release/", "generate 01", edit_release),
    (BAD, "assignments: the frozen assignment of 01 counting was changed", "generate 01", edit_frozen),
    (HERE, "assignments: the regrade of 01 counting of ", "regrade 01", half_a_regrade),
    (BAD, "versions: ", "backup", spoil_version),
    (BAD, "cannot be used", "backup", spoil_receipt),
    (NOTE, "versions: without a receipt: ada/01_counting/", "collect", lose_receipt),
    (BAD, "versions: submitted/ is not the latest version of ada/01_counting", "collect",
     lambda term: term.path("submitted", "ada", "01_counting", "counting_dev.ipynb").unlink()),
    (NOTE, "results: of versions that are not here: 01_counting/ada/", "backup", lose_version),
    (NOTE, "results: not judged yet: ada 01", "autograde", newer_version),
    (HERE, "results: could not be judged: ben 01", "autograde", infra),
    (NOTE, "results: cannot be read: 01_counting/ada/", "judges anew",
     lambda term: next(term.path("results").rglob("*.json")).write_text("{", encoding="utf-8")),
    (NOTE, "gradebook: judged, but not recorded: ben 01", "autograde", unrecorded),
    (NOTE, "01 counting: 1 answer waits for a person", "formgrader", lambda term: None),
    (NOTE, "gradebook: sqlite:///", "generate", lambda term: term.path("gradebook.db").unlink()),
    (BAD, "is of version abc", "nbgrader db upgrade", old_gradebook),
    (HERE, "gradebook: the gradebook cannot be used", "backup", lambda term: term.path("gradebook.db").write_bytes(b"no database" * 100)),
    (HERE, "gradebook: the gradebook cannot be used", "server", setting("\n[gradebook]\nurl = postgresql+psycopg2://u:pw@127.0.0.1:1/x\n")),
    (HERE, "clock: something was collected", "clock", from_the_future),
    (HERE, "cluster: tcp://127.0.0.1:1 does not answer", "scheduler", setting("\n[cluster]\naddress = tcp://127.0.0.1:1\n")),
]


@pytest.mark.parametrize("kind, what, fix, plant", PLANTED, ids=[what for _, what, _, _ in PLANTED])
def test_what_is_planted_is_found(term: Term, kind: tuple[str, ExitCode | None], what: str, fix: str, plant: Callable[[Term], Any]) -> None:
    plant(term)
    told = look(term)
    lines = [line for line in said(told, kind[0]) if what in line]
    assert lines and fix in "\n".join(lines), told.lines
    assert not kind[1] or told.code in (kind[1], ExitCode.INTEGRITY)
    assert kind[1] is not ExitCode.INTEGRITY or told.code is ExitCode.INTEGRITY
    assert "pw@" not in "\n".join(told.lines)


def test_a_missing_deadline(term: Term) -> None:
    settings = term.course.root / "settings.ini"
    settings.write_text(settings.read_text(encoding="utf-8").replace(DEADLINE.strip(), ""), encoding="utf-8")
    assert any("none for 03 mixing: never late" in line for line in said(look(term), "warning"))


def test_a_command_at_work(term: Term) -> None:
    with term.lock():
        assert any("another tito grade is at work" in line for line in said(look(term), "warning"))


def test_a_lock_that_a_dead_command_left_is_none(term: Term) -> None:
    with term.lock():
        pass
    assert term.path(".lock").exists() or os.name == "nt"
    assert any("nobody else is at work" in line for line in look(term).lines)


def test_a_cluster_that_answers(term: Term) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        setting(f"\n[cluster]\naddress = tcp://127.0.0.1:{server.getsockname()[1]}\n")(term)
        assert any("answers" in line and "cluster" in line for line in said(look(term), "ok"))


def test_little_room_on_the_disk(term: Term, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(term.folder)
    for free, state in ((1 << 30, "warning"), (10 << 20, "problem")):
        monkeypatch.setattr(machine.shutil, "disk_usage", lambda path, free=free: usage._replace(free=free))
        assert any("disk" in line and "make room" in line for line in said(look(term), state))


def test_packages_that_are_missing_or_others(term: Term, monkeypatch: pytest.MonkeyPatch) -> None:
    (term.course.root / "requirements.lock").write_text("nbgrader==0.0.1\n    # via x\n", encoding="utf-8")
    monkeypatch.setattr(machine, "NEEDED", ("nbgrader", "no-such-package"))
    text = "\n".join(said(look(term)))
    assert "tried was 0.0.1" in text and "no-such-package is not installed" in text


@pytest.mark.parametrize("asked, words", [("auto", "none works"),
                                          ("docker", "docker, which settings.ini asks for, does not work: no engine")])
def test_no_sandbox_works(term: Term, monkeypatch: pytest.MonkeyPatch, asked: str, words: str) -> None:
    import grading.sandbox

    class Broken:
        def works(self) -> str:
            return "no engine"

    monkeypatch.setattr(grading.sandbox, "named", lambda name, image="": Broken())
    setting(f"\n[grading]\nsandbox = {asked}\n")(term)
    told = look(term)
    assert told.code is ExitCode.ENVIRONMENT and words in "\n".join(said(told, "problem"))
    assert any("bubblewrap is not to be had: no engine" in line for line in told.lines)


def test_a_clock_that_stands_in_the_past(term: Term, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "LONG_AGO", datetime.now(UTC) + timedelta(days=1))
    assert any("this machine believes" in line for line in said(look(term), "problem"))


# ---- mending and rehearsing --------------------------------------------------------------------

def test_fix_sets_right_what_it_can(term: Term) -> None:
    term.folder.chmod(0o755)
    term.path("secret").chmod(0o644)
    term.path("extensions.csv").unlink()
    before = term.path("secret").read_bytes()
    told = look(term, fix=True)
    assert "made: extensions.csv" in "\n".join(told.lines) and "is yours alone now" in "\n".join(told.lines)
    assert (term.folder.stat().st_mode & 0o777, term.path("secret").stat().st_mode & 0o777) == (0o700, 0o600)
    assert term.path("secret").read_bytes() == before and told.code is ExitCode.OK


def test_a_module_is_rehearsed_where_that_is_asked(term: Term, monkeypatch: pytest.MonkeyPatch) -> None:
    import grading.author.rehearsal
    from grading.author.rehearsal import Problem
    from grading.author.rehearsal import problem as kinds

    asked: list[str] = []

    def rehearse(term: Term, module: Any) -> list[Problem]:
        asked.append(module.label)
        fault = Problem(12, kinds.STUB, "test-total passes", "test-total", "6 points for nothing", "ask for more")
        return [fault, replace(fault, kind=kinds.DIFFERS, blocks=False)] if module.number == 2 else []

    monkeypatch.setattr(grading.author.rehearsal, "rehearse", rehearse)
    told = look(term, modules=term.course.modules[:2])
    assert asked == ["01 counting", "02 scaling"] and told.code is ExitCode.INTEGRITY
    text = "\n".join(told.lines)
    assert "ok       01 counting: the rehearsal found no fault" in text
    assert "problem  02 scaling: stub passes: test-total passes (test-total, line 12); 6 points for nothing; ask for more" in text
    assert "warning  02 scaling: note: release differs" in text


def test_a_missing_package_keeps_no_other_look_from_looking(term: Term) -> None:
    """As in a copy in which nbgrader was never installed."""
    program = ("import sys; sys.modules.update(dict.fromkeys(['nbgrader', 'nbgrader.api', 'sqlalchemy']))\n"
               "from pathlib import Path\nfrom grading.doctor import doctor\nfrom tito.course import Course\n"
               "print(*doctor(Course(Path(sys.argv[1]))).lines, sep='\\n')")
    done = subprocess.run([sys.executable, "-c", program, str(term.course.root)], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "problem  gradebook: cannot be looked at" in done.stdout and "ok       versions: 1 were handed in" in done.stdout
