"""Whom the storm of `benchmarks.kills` must not harm: an edition of one module, and somebody who saves its notebook all the time."""

from __future__ import annotations

import json
import os
import random
import re
import threading
import time
from pathlib import Path
from typing import Any

from tito.course import Course
from tito.export import write_files
from tito.package import Entry, skeleton

VERSION = re.compile(rb"# version (\d+)\b")
QUICK = 0.01            # seconds between two saves, about


def notebook(version: int) -> bytes:
    """A notebook that is complete, and like no other."""
    def cell(source: str, **marks: Any) -> dict[str, Any]:
        metadata = {"nbgrader": {"grade": False, "locked": False, "solution": False, "schema_version": 3, **marks}} if marks else {}
        return {"cell_type": "code", "id": marks.get("grade_id", f"c{len(source)}"), "metadata": metadata, "source": source, "outputs": [],
                "execution_count": None}

    cells = [cell("#| default_exp core.alpha"), cell("from tito.check import expect"),
             cell(f"#| export\ndef twice(x):\n    # version {version}\n    return 2 * x", solution=True, grade_id="twice"),
             cell('def test_unit_twice():\n    """Twice is twice."""\n    expect.same(lambda: twice(3), 6, "twice")\n\ntest_unit_twice()',
                  grade=True, locked=True, grade_id="test-twice", points=4)]
    return (json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}, indent=1) + "\n").encode()


def edition(root: Path) -> Course:
    """A student edition of one module.  Version 0 is the released one."""
    for folder in (root / "modules/01_alpha", root / "modules/01_alpha/.released"):
        folder.mkdir(parents=True)
        (folder / "alpha_dev.ipynb").write_bytes(notebook(0))
    (root / "settings.ini").write_text("[course]\n", encoding="utf-8")
    write_files(root / "tinytorch", skeleton([Entry(1, "core.alpha", ("twice",))]))
    return Course(root)


def version(content: bytes) -> int | None:
    """Which version this is, where it is a whole one."""
    found = VERSION.search(content)
    return int(found[1]) if found and content == notebook(int(found[1])) else None


class Saver(threading.Thread):
    """Somebody who saves all the time, and knows what he has overwritten himself."""

    def __init__(self, path: Path, chance: random.Random):
        super().__init__(daemon=True)
        self.path, self.chance = path, chance
        self.pause, self.over = threading.Lock(), threading.Event()
        self.rest = QUICK
        self.saved: set[int] = set()
        self.overwritten: set[int | None] = set()

    def run(self) -> None:
        while not self.over.is_set():
            time.sleep(self.chance.expovariate(1 / self.rest))
            self.again()

    def save(self) -> None:
        number = len(self.saved) + 1
        content = notebook(number)
        if self.chance.random() < 0.5:
            self._in_place(content)
        else:
            self._rename(content)
        self.saved.add(number)

    def again(self) -> None:
        with self.pause:
            self.save()

    def remove(self) -> None:
        with self.pause:
            self.overwritten.add(self._found())
            self.path.unlink(missing_ok=True)

    def _in_place(self, content: bytes) -> None:
        with os.fdopen(os.open(self.path, os.O_RDWR | os.O_CREAT), "r+b", buffering=0) as file:
            self.overwritten.add(version(file.read()))
            file.seek(0)
            file.truncate()
            file.write(content[:100])
            time.sleep(self.chance.choice((0.0, 0.001)))
            file.write(content[100:])

    def _rename(self, content: bytes) -> None:
        new = self.path.with_name("saving")
        new.write_bytes(content)
        self.overwritten.add(self._found())
        new.replace(self.path)

    def _found(self) -> int | None:
        return version(self.path.read_bytes()) if self.path.exists() else None
