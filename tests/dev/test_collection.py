"""The tests themselves: pytest-xdist needs every worker to find the same ones, whenever and however it starts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LATER = "import time\nreal = time.time\ntime.time = lambda: real() + 86_400\n"
COLLECT = ["-m", "pytest", "-p", "later", "-p", "no:cacheprovider", "-o", "addopts=-q --import-mode=importlib", "--collect-only"]


def test_a_test_has_the_same_name_tomorrow_and_under_another_hash_seed(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    (tmp_path / "later.py").write_text(LATER, encoding="utf-8")
    mine = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    tomorrow = {**mine, "PYTHONPATH": str(tmp_path), "PYTHONHASHSEED": "7"}
    run = subprocess.run([sys.executable, *COLLECT], cwd=ROOT, env=tomorrow, capture_output=True, encoding="utf-8", timeout=280)
    found = set(run.stdout.splitlines())
    missing = [item.nodeid for item in request.session.items if item.nodeid not in found]
    assert not missing, f"{run.stderr}{len(missing)} tests change their names, the first: {missing[0]}"
