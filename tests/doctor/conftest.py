"""A student's course folder with an environment of its own, in which everything is well, and a home and a machine to go with it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.conftest import Answer, Edition, edition, installed, tito  # noqa: F401    # fixtures
from tito import bootstrap
from tito.cli import main
from tito.doctor import jupyter, paths

PYPROJECT = '[project]\nname = "course"\ndependencies = ["tried-one>=1"]\n[project.optional-dependencies]\nlab = ["tried-lab>=1"]\n'
LOCK = "tried-one==1.0\ntried-lab==1.0\nelsewhere==2 ; sys_platform == 'amiga'\n"
KERNEL = {"argv": ["python", "-m", "ipykernel_launcher", "-f", "{connection_file}"], "display_name": "Python 3", "language": "python"}
# An installer that takes milliseconds: `venv` makes .venv, `pip install` puts our two packages in place as the lock has them.
UV = """
import re, shutil, sys
from pathlib import Path
site, root = Path({site!r}), Path({root!r})
if sys.argv[1] == "venv":
    (root / ".venv/bin").mkdir(parents=True, exist_ok=True)
    (root / ".venv/bin/python").symlink_to({python!r})
elif "-e" in sys.argv:
    kernel = root / ".venv/share/jupyter/kernels/python3"
    kernel.mkdir(parents=True, exist_ok=True)
    (kernel / "kernel.json").write_text({kernel!r})
    for old in site.glob("*.dist-info"):
        shutil.rmtree(old)
    for name, version in re.findall(r"(tried-\\w+)==(\\S+)", (root / "requirements.lock").read_text()):
        new = site / (name.replace("-", "_") + "-" + version + ".dist-info")
        new.mkdir()
        (new / "METADATA").write_text("Name: " + name + "\\nVersion: " + version + "\\n")
"""


@dataclass
class Student:
    """A student's machine, and what may be done to it."""

    edition: Edition
    patch: pytest.MonkeyPatch
    run: Callable[..., Answer]
    site: Path
    home: Path

    @property
    def root(self) -> Path:
        return self.edition.root

    @property
    def venv(self) -> Path:
        return self.root / ".venv"

    @property
    def kernel(self) -> Path:
        return self.venv / "share" / "jupyter" / "kernels" / "python3" / "kernel.json"

    def doctor(self, *arguments: str) -> Answer:
        return self.run("doctor", *arguments)

    def said(self, *arguments: str) -> list[str]:
        """What is not well, as `problem name: text; fix`."""
        checks = json.loads(self.doctor(*arguments, "--json").out)["checks"]
        return [f"{c['state']} {c['name']}: {c['text']}; {c['fix']}" for c in checks if c["state"] != "ok"]

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def install(self, name: str, version: str, record: str = "") -> None:
        """A package as pip would leave it; any other version is gone."""
        for old in self.site.glob(f"{name.replace('-', '_')}-*"):
            shutil.rmtree(old)
        place = self.site / f"{name.replace('-', '_')}-{version}.dist-info"
        place.mkdir(parents=True)
        (place / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n", encoding="utf-8")
        (place / "RECORD").write_text(record, encoding="utf-8")

    def stamp(self) -> None:
        """`.venv` is finished, from the files as they are."""
        (self.venv / "tito-stamp.txt").write_text(bootstrap.recipe(str(self.root)), encoding="utf-8")

    def complete(self, number: int = 1) -> None:
        self.edition.solve(number)
        assert main(["module", "complete", f"{number:02d}"]) == 0


@pytest.fixture
def student(edition: Edition, tito: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Student:  # noqa: F811
    one = Student(edition, monkeypatch, tito, tmp_path / "site", tmp_path / "home")
    _environment(one, tmp_path)
    one.home.mkdir()
    monkeypatch.setattr(paths, "HERE", one.root)            # tito runs from this folder
    monkeypatch.setattr(jupyter, "PORT", _free_port())
    monkeypatch.setattr(jupyter, "LOOKS", tuple(look for look in jupyter.LOOKS if look is not jupyter.imports))      # it starts two Pythons
    monkeypatch.setattr(os, "geteuid", lambda: 1000, raising=False)
    for name, value in {"HOME": str(one.home), "USERPROFILE": str(one.home), "BROWSER": sys.executable,
                        "PATH": os.pathsep.join([str(tmp_path / "tools"), os.environ["PATH"]])}.items():
        monkeypatch.setenv(name, value)
    for name in ("PYTHONHOME", "PYTHONPATH", "JUPYTER_PATH", "JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    return one


def _environment(one: Student, tmp_path: Path) -> None:
    """`.venv`, as if this Python were its own; two packages; and an installer."""
    python = os.path.realpath(sys.executable)
    (one.root / "tito").mkdir()
    one.write("pyproject.toml", PYPROJECT)
    one.write("requirements.lock", LOCK)
    for name in ("tried-one", "tried-lab"):
        one.install(name, "1.0")
    one.patch.syspath_prepend(str(one.site))
    (one.venv / "bin").mkdir(parents=True)
    (one.venv / "bin" / "python").symlink_to(python)
    one.write(".venv/pyvenv.cfg", "version_info = {}.{}.{}\n".format(*sys.version_info[:3]))
    one.kernel.parent.mkdir(parents=True)
    one.kernel.write_text(json.dumps(KERNEL), encoding="utf-8")
    one.patch.setattr(sys, "prefix", str(one.venv))
    one.stamp()
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "uv.py").write_text(UV.format(site=str(one.site), root=str(one.root), python=python,
                                                                        kernel=json.dumps(KERNEL)), encoding="utf-8")
    (tmp_path / "tools" / "uv").write_text(f'#!/bin/sh\nexec "{python}" "$0.py" "$@"\n', encoding="utf-8")
    (tmp_path / "tools" / "uv").chmod(0o755)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
