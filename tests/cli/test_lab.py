"""JupyterLab is started so that its kernels import this folder's packages; the user's home is left alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tito.cli import lab
from tito.course import Course
from tito.errors import ExitCode

from .conftest import Answer, Edition

ROOT = Path(__file__).parents[2]
Tito = Callable[..., Answer]


@pytest.fixture(autouse=True)
def ordinary_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000, raising=False)


def test_root_is_told_what_to_say(edition: Edition, tito: Tito, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0, raising=False)
    answer = tito("module", "start", "01")
    assert answer.code == ExitCode.ENVIRONMENT
    assert "tito module open 01 -- --allow-root" in answer.err


class Lab:
    """In place of the process; Ctrl-C reaches it once."""

    started: list[dict[str, Any]]
    code = 0
    asked = terminated = False

    def __init__(self) -> None:
        self.started, self.interrupts = [], 1

    def __call__(self, command: list[str], **options: Any) -> Lab:
        self.started.append({"command": command, **options})
        return self

    def terminate(self) -> None:
        self.terminated = True

    def wait(self) -> int:
        if self.asked:
            signal.raise_signal(signal.SIGTERM)
        if self.interrupts:
            self.interrupts -= 1
            raise KeyboardInterrupt
        return self.code


@pytest.fixture
def jupyter(monkeypatch: pytest.MonkeyPatch) -> Lab:
    fake = Lab()
    monkeypatch.setattr("tito.cli.lab.subprocess", SimpleNamespace(Popen=fake))
    monkeypatch.setattr("tito.cli.lab.require", lambda: None)
    return fake


@pytest.mark.parametrize("command", ["start", "open"])
def test_it_opens_at_the_notebook(edition: Edition, tito: Tito, jupyter: Lab, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    answer = tito("module", command, "01")
    assert answer.code == 0 and "opening modules/01_alpha/alpha_dev.ipynb" in answer.out and "Ctrl-C" in answer.err
    (started,) = jupyter.started
    assert started["command"][:3] == [sys.executable, "-m", "jupyterlab"]
    assert f"--ServerApp.root_dir={edition.root}" in started["command"]
    assert "--LabApp.default_url=/lab/tree/modules/01_alpha/alpha_dev.ipynb" in started["command"]
    assert started["cwd"] == edition.root
    assert started["env"]["PYTHONPATH"].split(os.pathsep) == [str(edition.root), "/elsewhere"]


def test_options_of_jupyterlab_follow_two_dashes(edition: Edition, tito: Tito, jupyter: Lab) -> None:
    assert tito("module", "open", "01", "--", "--no-browser", "--debug").code == 0
    assert jupyter.started[0]["command"][-2:] == ["--no-browser", "--debug"]


def test_a_jupyterlab_that_runs_for_this_folder_is_used_again(edition: Edition, tito: Tito, jupyter: Lab, runs: Runs) -> None:
    opened = runs(Course(edition.root))
    answer = tito("module", "open", "01")
    page = "http://localhost:8899/lab/tree/modules/01_alpha/alpha_dev.ipynb"
    assert answer.code == 0 and jupyter.started == [] and opened == [page]
    assert f"{page}?token=s3cret" in answer.err
    assert tito("module", "open", "01", "--", "--no-browser").code == 0 and jupyter.started == [] and opened == [page]
    assert tito("module", "open", "01", "--", "--port", "9999").code == 0 and len(jupyter.started) == 1


def test_a_jupyterlab_of_another_folder_or_of_nobodys_is_left_alone(edition: Edition, tito: Tito, jupyter: Lab, runs: Runs,
                                                                   tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = runs(Course(tmp_path / "another"))
    path = next(tmp_path.glob("jpserver-*.json"))
    path.write_text(path.read_text(encoding="utf-8").replace("another", edition.root.name), encoding="utf-8")
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    assert tito("module", "open", "01").code == 0 and len(jupyter.started) == 1 and opened == []


def test_who_ends_tito_ends_jupyterlab(edition: Edition, tito: Tito, jupyter: Lab) -> None:
    before = signal.getsignal(signal.SIGTERM)
    jupyter.asked = True
    assert tito("module", "open", "01").code == 0 and jupyter.terminated
    assert signal.getsignal(signal.SIGTERM) == before


def test_no_open(edition: Edition, tito: Tito, jupyter: Lab) -> None:
    assert tito("module", "start", "01", "--no-open").code == 0 and jupyter.started == []


def test_without_jupyterlab(edition: Edition, tito: Tito, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    answer = tito("module", "start", "01")
    assert answer.code == ExitCode.ENVIRONMENT and "JupyterLab is not installed" in answer.err
    assert not (edition.root / ".tito").exists()


def test_jupyterlab_that_fails(edition: Edition, tito: Tito, jupyter: Lab) -> None:
    jupyter.code = 1
    answer = tito("module", "open", "01")
    assert answer.code == ExitCode.ENVIRONMENT and "JupyterLab ended with an error" in answer.err


def settings(course: Course) -> dict[str, Any]:
    """What JupyterLab's settings are by default, in a home of its own."""
    program = "import json; from jupyterlab_server.settings_utils import _get_overrides; print(json.dumps(_get_overrides('nowhere')[0]))"
    pytest.importorskip("jupyterlab_server")
    done = subprocess.run([sys.executable, "-c", program], env=lab.environment(course), capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def test_nothing_greets_a_student_and_sources_open_as_notebooks_for_authors(edition: Edition, tmp_path: Path,
                                                                           monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path / "config"))
    news = {"@jupyterlab/apputils-extension:notification": {"checkForUpdates": False, "fetchNews": "false"}}
    assert settings(Course(edition.root)) == news
    viewers = {"@jupyterlab/docmanager-extension:plugin": {"defaultViewers": {"python": "Jupytext Notebook"}}}
    assert settings(Course(ROOT)) == news | viewers
    assert not (tmp_path / "config").exists()


def test_jupyters_own_variables_are_kept(edition: Edition, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("JUPYTER_PATH", "JUPYTER_CONFIG_PATH"):
        monkeypatch.setenv(name, "/mine")
        assert lab.environment(Course(edition.root))[name].split(os.pathsep)[-1] == "/mine"


def plant(folder: Path, name: str) -> None:
    """A kernel of another environment."""
    spec = {"argv": ["/elsewhere/python"], "display_name": "Python 3", "language": "python"}
    (folder / "kernels" / name).mkdir(parents=True)
    (folder / "kernels" / name / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")


def test_somebody_elses_python3_is_not_taken(edition: Edition, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("jupyter_client")
    for name, place in (("HOME", ".local/share/jupyter"), ("JUPYTER_DATA_DIR", ""), ("JUPYTER_PATH", "")):
        plant(tmp_path / name / place, "python3")
        monkeypatch.setenv(name, str(tmp_path / name))
    program = "from jupyter_client.kernelspec import KernelSpecManager as K; print(K().get_kernel_spec('python3').argv[0])"
    found = subprocess.run([sys.executable, "-c", program], env=lab.environment(Course(edition.root)), capture_output=True, text=True,
                           check=True)
    assert found.stdout.strip() != "/elsewhere/python"


@pytest.mark.parametrize(("metadata", "told"), [({}, False), ({"kernelspec": {"name": "python3"}}, False), ({"kernelspec": None}, False),
                                                ({"kernelspec": {"name": "gone"}}, False), ({"kernelspec": {"name": "conda"}}, True)])
def test_another_kernel_that_would_be_taken_is_told(edition: Edition, tito: Tito, jupyter: Lab, tmp_path: Path,
                                                    monkeypatch: pytest.MonkeyPatch, metadata: dict[str, Any], told: bool) -> None:
    pytest.importorskip("jupyter_client")
    plant(tmp_path / "path", "conda")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "path"))
    data = json.loads(edition.notebook(1).read_text(encoding="utf-8")) | {"metadata": metadata}
    edition.notebook(1).write_text(json.dumps(data), encoding="utf-8")
    assert ("the kernel 'conda', which is not this course's" in tito("module", "open", "01").err) is told


Runs = Callable[[Course], list[str]]


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runs]:
    """Pretend that a JupyterLab was started for a course; what the browser is opened at."""
    pytest.importorskip("psutil")
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    opened: list[str] = []
    monkeypatch.setattr("tito.cli.lab.webbrowser.open", opened.append)
    sleepers = []

    def start(course: Course) -> list[str]:
        sleepers.append(subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, env=lab.environment(course)))
        server = {"pid": sleepers[-1].pid, "url": "http://localhost:8899/", "token": "s3cret", "sock": "", "root_dir": str(course.root)}
        (tmp_path / f"jpserver-{server['pid']}.json").write_text(json.dumps(server), encoding="utf-8")
        return opened

    yield start
    for sleeper in sleepers:
        sleeper.communicate(b"\n")


def test_the_kernel_is_this_interpreters_and_imports_this_folder(edition: Edition) -> None:
    manager = pytest.importorskip("jupyter_client.manager")
    kernel, client = manager.start_new_kernel(kernel_name="python3", env=lab.environment(Course(edition.root)),
                                              cwd=str(edition.notebook(1).parent))
    try:
        said: list[str] = []
        client.execute_interactive("import sys, tinytorch; print(sys.executable, tinytorch.__file__, sep='\\n')", timeout=60,
                                   output_hook=lambda m: said.append(m["content"].get("text", "")))
    finally:
        client.stop_channels()
        kernel.shutdown_kernel(now=True)
    executable, package = "".join(said).splitlines()
    assert Path(executable) == Path(sys.executable)
    assert Path(package) == edition.root / "tinytorch/__init__.py"
