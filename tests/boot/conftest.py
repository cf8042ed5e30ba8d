"""A clone of the course with nothing installed, and an installer that takes milliseconds and can fail in every way."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

TITO = Path(__file__).parents[2] / "tito"
FAKE_UV = f"""#!/bin/sh
exec "{sys.executable}" "$0.py" "$@"
"""                             # a path with a space cannot stand in a script's first line
FAKE_UV_PY = f"""
import os, sys, time
from pathlib import Path
log = Path(os.environ["FAKE_LOG"])
log.write_text((log.read_text() if log.exists() else "") + " ".join(sys.argv[1:]) + "\\n")
if sys.argv[1] == "venv":
    Path(".venv/bin").mkdir(parents=True, exist_ok=True)
    Path(".venv/pyvenv.cfg").write_text("home = " + os.path.dirname(os.path.realpath({sys.executable!r})) + "\\n")
    Path(".venv/bin/python").symlink_to(os.path.realpath({sys.executable!r}))
else:
    time.sleep(float(os.environ.get("FAKE_SECONDS", "0")))
    print(os.environ.get("FAKE_SAYS", "Resolved 3 packages in 1ms\\nInstalled 3 packages in 1ms"))
    sys.exit(int(os.environ.get("FAKE_CODE", "0")))
"""
FAKE_CLI = """
import json, os, sys
def main():
    print(json.dumps({"argv": sys.argv[1:], "cwd": os.getcwd(), "prefix": sys.prefix}))
    return 7 if "fail" in sys.argv else 0
"""


class Clone:
    """A course folder whose path has a space and a letter beyond ASCII."""

    def __init__(self, root: Path):
        self.root = root
        (root / "tito" / "cli").mkdir(parents=True)
        for name in ("__init__.py", "__main__.py", "bootstrap.py", "streams.py", "install.py", "install_steps.py", "errors.py"):
            shutil.copy(TITO / name, root / "tito")
        (root / "tito" / "cli" / "__init__.py").write_text(FAKE_CLI, encoding="utf-8")
        (root / "pyproject.toml").write_text("[project]\n", encoding="utf-8")
        (root / "requirements.lock").write_text("numpy==1\n", encoding="utf-8")
        tools = root.parent / "tools"
        tools.mkdir()
        (tools / "uv").write_text(FAKE_UV, encoding="utf-8")
        (tools / "uv.py").write_text(FAKE_UV_PY, encoding="utf-8")
        (tools / "uv").chmod(0o755)
        self.log = root.parent / "log"
        self.env = {"PATH": str(tools), "FAKE_LOG": str(self.log), "PYTHONDONTWRITEBYTECODE": "1"}

    def start(self, *args: str, cwd: Path | None = None, **env: str) -> "subprocess.Popen[str]":
        python = os.path.realpath(sys.executable)           # not a virtual environment's
        return subprocess.Popen([python, "-m", "tito", *args], cwd=cwd or self.root, env={**self.env, **env}, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8")

    def run(self, *args: str, **env: Any) -> "subprocess.CompletedProcess[str]":
        with self.start(*args, **env) as child:
            out, err = child.communicate(timeout=60)
        return subprocess.CompletedProcess(args, child.returncode, out, err)

    def begin_install(self, *args: str, **env: str) -> "subprocess.Popen[str]":
        """A tito that is in the midst of installing."""
        child = self.start(*args, **env)
        end = time.monotonic() + 20
        while not self.installs:
            assert child.poll() is None and time.monotonic() < end, child.communicate()
            time.sleep(0.02)
        return child

    @property
    def installs(self) -> int:
        return self.log.read_text().count("pip install") if self.log.exists() else 0


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    if os.name == "nt":
        pytest.skip("the fake installer is a script with a first line that only POSIX follows")
    return Clone(tmp_path / "a clone é")
