"""Plain nbgrader, as it comes: what it gives to a batch of submissions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.grading.redteam.targets import ROOT

CONFIG = """
c = get_config()
c.CourseDirectory.course_id = "plain"
c.CourseDirectory.root = {root!r}
c.ExecutePreprocessor.timeout = 10
c.Execute.timeout = 10
c.IncludeHeaderFooter.header = ""
"""
# One process: `nbgrader autograde` takes one student at a time as well as a batch, and half its time is the import.
RUN = """
import json, sys
from traitlets.config import Config
from nbgrader.api import Gradebook
from nbgrader.apps import NbGraderAPI
config = Config()
config.CourseDirectory.root, config.CourseDirectory.course_id, config.Execute.timeout = sys.argv[1], "plain", 10
api = NbGraderAPI(config=config)
assignments = sys.argv[2].split(",")
for name in assignments:
    said = api.generate_assignment(name, force=True, create=True)
    assert said["success"], said["log"][-3000:]
logs = {}
for name in assignments:
    said = api.autograde(name, "*", force=True, create=True)
    logs[name] = said["log"][-20000:]
found = {}
with Gradebook(api.coursedir.db_url, "plain") as book:
    for name in assignments:
        for submission in book.assignment_submissions(name):
            found[submission.student.id] = {g.cell.name: g.auto_score or 0.0 for n in submission.notebooks for g in n.grades}
print("\\n" + json.dumps({"points": found, "logs": logs}))
"""


@dataclass(frozen=True)
class Graded:
    """What nbgrader gave to whom, and what it kept."""

    points: dict[str, dict[str, float]]         # student -> grade_id -> points
    folder: Path

    def kept(self, student: str) -> str:
        """The graded notebook, as text."""
        return "".join(p.read_text(encoding="utf-8", errors="replace") for p in self.folder.glob(f"autograded/{student}/*/*.ipynb"))


def autograde(folder: Path, course: Path, sources: dict[str, dict[str, Any]], submissions: dict[str, dict[str, bytes]]) -> Graded:
    """Grade {assignment: {student: file}}.  `course`: whose tinytorch the students' code imports; `sources`: {assignment: solved}."""
    for name, notebook in sources.items():
        _write(folder / "source" / name / f"{name}_dev.ipynb", json.dumps(notebook).encode())
    for name, students in submissions.items():
        for student, content in students.items():
            _write(folder / "submitted" / student / name / f"{name}_dev.ipynb", content)
    env = {**os.environ, "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]), "HOME": str(folder),
           "PYTHONPATH": os.pathsep.join([str(course), str(ROOT)]), "MPLBACKEND": "Agg", "JUPYTER_ALLOW_INSECURE_WRITES": "1",
           "JUPYTER_PLATFORM_DIRS": "1", "IPYTHONDIR": str(folder / "ipython")}
    done = subprocess.run([sys.executable, "-c", RUN, str(folder), ",".join(sources)], cwd=folder, env=env, capture_output=True, text=True,
                          timeout=400, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    facts = json.loads(done.stdout.strip().splitlines()[-1])
    (folder / "log.json").write_text(json.dumps(facts["logs"]))
    return Graded(facts["points"], folder)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
