"""`python3 -m tito` in a fresh clone: installs once, says so on stderr, survives accidents, and names what is wrong."""

import ast
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tito import bootstrap, install
from tito.errors import TitoError

ROOT = Path(__file__).parents[2]


def test_first_run_installs_and_runs_the_command_inside(clone):
    done = clone.run("module", "test", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"argv": ["module", "test", "--json"], "cwd": str(clone.root), "prefix": str(clone.root / ".venv")}
    assert str(clone.root / ".venv") in done.stderr and "3 installed" in done.stderr and "\r" not in done.stderr


def test_second_run_says_and_installs_nothing(clone):
    clone.run()
    done = clone.run("fail")
    assert (done.returncode, done.stderr, clone.installs) == (7, "", 1)


def test_it_installs_the_extras_of_this_half(clone):
    clone.run()
    assert "-e .[lab]\n" in clone.log.read_text()
    (clone.root / "tito" / "dev").mkdir()
    (clone.root / "requirements.lock").write_text("numpy==2\n")
    clone.run()
    assert clone.log.read_text().endswith("-c requirements.lock -e .[lab,grading,dev]\n")


def test_a_changed_lock_brings_up_to_date_without_starting_afresh(clone):
    clone.run()
    (clone.root / "requirements.lock").write_text("numpy==2\n")
    done = clone.run()
    assert "up to date" in done.stderr and clone.installs == 2
    assert clone.log.read_text().count("venv --allow-existing") == 1


def test_an_update_without_a_network_goes_on_as_before(clone):
    clone.run()
    (clone.root / "requirements.lock").write_text("numpy==2\n")
    done = clone.run(FAKE_SAYS="error: Failed to fetch\n  cause: dns error", FAKE_CODE="1")
    assert done.returncode == 0 and "going on with the packages as they are" in done.stderr
    assert clone.run().returncode == 0 and clone.installs == 3          # and the next run tries again


def test_a_moved_folder_is_made_afresh(clone):
    clone.run()
    clone.root = clone.root.rename(clone.root.with_name("moved ß"))
    assert json.loads(clone.run().stdout)["prefix"] == str(clone.root / ".venv")
    assert clone.installs == 2


def test_a_killed_install_is_repaired(clone):
    child = clone.begin_install(FAKE_SECONDS="30")
    stamp = clone.root / ".venv" / "tito-stamp.txt"
    child.kill()
    child.communicate()
    assert stamp.read_text() == install.MAKING
    lock = clone.root / ".tito" / "install.lock"
    os.utime(lock, (time.time() - 60,) * 2)                             # as if it were a while ago
    done = clone.run()
    assert done.returncode == 0, done.stderr
    assert not lock.exists()


def test_two_at_once_install_once(clone):
    first = clone.begin_install("one", FAKE_SECONDS="1")
    second = clone.run("two")
    out, _ = first.communicate(timeout=30)
    assert json.loads(out)["argv"] == ["one"] and json.loads(second.stdout)["argv"] == ["two"]
    assert clone.installs == 1 and "waiting for it" in second.stderr


@pytest.mark.skipif(signal.getsignal(signal.SIGINT) == signal.SIG_IGN, reason="started in the background, where Ctrl-C is ignored")
def test_interrupt_ends_the_installer_and_says_so(clone):
    child = clone.begin_install(FAKE_SECONDS="30")
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=10)
    assert child.returncode == 130 and "interrupted" in err and "Traceback" not in err
    assert not (clone.root / ".tito" / "install.lock").exists()


def test_somebody_elses_venv_is_left_alone(clone):
    (clone.root / ".venv").mkdir()
    (clone.root / ".venv" / "mine").touch()
    done = clone.run()
    assert done.returncode == 3 and "move it away" in done.stderr and (clone.root / ".venv" / "mine").exists()


@pytest.mark.parametrize("lib", ["lib/python3.12", "Lib"])
def test_somebody_elses_venv_that_has_the_course_is_used(clone, lib):
    """As after `uv venv` and `uv pip install -e ".[lab]"`."""
    python = clone.root / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(Path(sys.executable).resolve())
    (clone.root / ".venv" / "pyvenv.cfg").write_text(f"home = {Path(sys.executable).resolve().parent}\n")
    (clone.root / ".venv" / "lib" / lib.partition("/")[2] / "site-packages" / "tinytorch_course-0.1.0.dist-info").mkdir(parents=True)
    done = clone.run("--json")
    assert json.loads(done.stdout)["prefix"] == str(clone.root / ".venv"), done.stderr
    assert (done.stderr, clone.installs) == ("", 0)


@pytest.mark.parametrize("streams", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams(clone, streams):
    """Whoever starts it may have closed them; the first command installs, too."""
    python = os.path.realpath(sys.executable)
    command = ["/bin/sh", "-c", f'"$0" -m tito fail {streams}', python]
    done = subprocess.run(command, cwd=clone.root, env=clone.env, capture_output=True, text=True)
    assert done.returncode == 7 and clone.installs == 1
    assert "Traceback" not in done.stderr and "Exception" not in done.stderr


def test_a_read_only_folder_is_named(clone):
    (clone.root / ".tito").touch()                      # root may write everywhere, but nobody makes a folder where a file is
    done = clone.run()
    assert done.returncode == 3 and done.stderr.startswith("error: ") and "Traceback" not in done.stderr


def test_it_starts_from_any_folder_by_path(clone, tmp_path):
    python = os.path.realpath(sys.executable)
    done = subprocess.run([python, clone.root / "tito"], cwd=tmp_path, env=clone.env, capture_output=True, text=True)
    assert json.loads(done.stdout) == {"argv": [], "cwd": str(tmp_path), "prefix": str(clone.root / ".venv")}


@pytest.mark.parametrize(("said", "what", "why"), [
    ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "the disk is full", "[Errno 28] No space"),
    ("error: failed\n  cause: Disk quota exceeded (os error 122)", "the disk is full", "quota"),
    ("WARNING: Retrying after connection broken by 'NewConnectionError('x: [Errno 111] Connection refused')': /s\nERROR: No matching "
     "distribution", "no connection to the package index", "[Errno 111] Connection refused"),
    ("  ERROR: Could not find a version that satisfies the requirement setuptools>=80 (from versions: none)\n  [end of output]\n"
     "error: subprocess-exited-with-error", "no connection to the package index", "from versions: none"),
    ("error: Request failed\n  cause: dns error\n  cause: failed to lookup address", "no connection to the package index", "dns error"),
    ("  cause: invalid peer certificate: UnknownIssuer\nhint: certificates", "the package index could not be trusted", "UnknownIssuer"),
    ("The virtual environment was not created because ensurepip is not available.", "this Python cannot make", "ensurepip"),
    ("[Errno 30] Read-only file system: '/x'", "this folder cannot be written to", "Read-only"),
    ("error: No solution found when resolving: numpy==9", "the installation failed", "No solution found"),
    ("", "the installation failed", "said nothing"),
])
def test_each_trouble_has_one_clear_error(said, what, why):
    got = install.explain(said)
    assert got.what.startswith(what) and why in got.why and got.fix and got.code == 3


def test_failure_is_shown_with_its_cause(clone):
    done = clone.run(FAKE_SAYS="error: No space left on device", FAKE_CODE="2")
    assert done.returncode == 3 and done.stdout == ""
    assert "error: the disk is full\nwhy:   No space left on device\nfix:   make room" in done.stderr
    assert "No space left" in (clone.root / ".tito" / "install.log").read_text()


def test_an_old_python_hears_which_one_to_use(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 9, 1))
    with pytest.raises(TitoError) as caught:
        install._check_python()
    assert caught.value.why == "it is Python 3.9; TinyTorch needs 3.11 or newer" and caught.value.code == 3


def test_no_room_is_named_before_anything_is_made(monkeypatch, tmp_path):
    monkeypatch.setattr(install.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 5 * 10**6}))
    with pytest.raises(TitoError, match="the disk is too full"):
        install._check_disk(str(tmp_path))


def test_no_uv_and_no_ensurepip_names_the_package(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(install, "_tools", lambda keep: [])
    assert install.install(str(tmp_path)) == 3
    out, err = capsys.readouterr()
    assert "sudo apt install python3-venv" in err and out == ""


@pytest.mark.parametrize("name", ["bootstrap.py", "streams.py", "install.py", "install_steps.py", "errors.py", "__init__.py"])
def test_python_38_can_read_it(name):
    ast.parse((ROOT / "tito" / name).read_text(encoding="utf-8"), feature_version=(3, 8))


def test_the_fast_path_imports_nothing():
    tree = ast.parse(Path(bootstrap.__file__).read_text(encoding="utf-8"))
    assert {node.names[0].name for node in tree.body if isinstance(node, ast.Import)} == {"os", "sys"}


def test_the_lock_names_versions_and_no_addresses():
    for line in (ROOT / "requirements.lock").read_text(encoding="ascii").splitlines():
        assert line.startswith("#") or "==" in line, line
        assert "://" not in line and "@" not in line and "file:" not in line
