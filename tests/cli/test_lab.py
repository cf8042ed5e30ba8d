"""JupyterLab is started so that its kernels import this folder's packages; the user's home is left alone."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tito.cli import lab
from tito.course import Course
from tito.errors import ExitCode

from .conftest import Answer, Edition

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

    def __init__(self) -> None:
        self.started, self.interrupts = [], 1

    def __call__(self, command: list[str], **options: Any) -> Lab:
        self.started.append({"command": command, **options})
        return self

    def wait(self) -> int:
        if self.interrupts:
            self.interrupts -= 1
            raise KeyboardInterrupt
        return self.code


@pytest.fixture
def jupyter(monkeypatch: pytest.MonkeyPatch) -> Lab:
    fake = Lab()
    monkeypatch.setattr("tito.cli.lab.subprocess.Popen", fake)
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
    assert started["command"][-1] == str(edition.notebook(1)) and started["cwd"] == edition.root
    assert started["env"]["PYTHONPATH"].split(os.pathsep) == [str(edition.root), "/elsewhere"]


def test_options_of_jupyterlab_follow_two_dashes(edition: Edition, tito: Tito, jupyter: Lab) -> None:
    assert tito("module", "open", "01", "--", "--no-browser", "--debug").code == 0
    assert jupyter.started[0]["command"][-2:] == ["--no-browser", "--debug"]


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


def test_sources_open_as_notebooks_in_this_environment_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    path = tmp_path / "share/jupyter/lab/settings/overrides.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"other": {"kept": true}}', encoding="utf-8")
    assert lab.show_sources_as_notebooks() and lab.show_sources_as_notebooks()
    settings = json.loads(path.read_text(encoding="utf-8"))
    assert settings == {"other": {"kept": True}, lab.PLUGIN: {"defaultViewers": {"python": "Jupytext Notebook"}}}


def test_outside_a_virtual_environment_nothing_is_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(sys, "base_prefix", str(tmp_path))
    assert not lab.show_sources_as_notebooks() and list(tmp_path.iterdir()) == []


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
