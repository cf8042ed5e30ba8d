"""What a teacher needs to know to help from afar: versions, the course, how far the student is."""

from __future__ import annotations

import platform
from typing import Any

from tito.cli.version import installed
from tito.course import Course
from tito.doctor.machine import version
from tito.doctor.visit import Visit
from tito.errors import TitoError
from tito.settings import read_settings

PACKAGES = ("numpy", "jupyterlab", "ipykernel", "matplotlib", "typer", "nbdev")


def facts(course: Course) -> dict[str, Any]:
    """Plain values, as JSON shows them."""
    state = Visit(course).state
    return {"tito": installed().data["version"], "python": platform.python_version(), "system": _system(),
            "packages": {name: version(name) or "missing" for name in PACKAGES}, "course": _title(course),
            "kind": "student edition" if course.is_edition else "course repository",
            "completed": sorted(state.completed), "started": sorted(state.started - state.completed.keys())}


def _system() -> str:
    """The system's name and version: "Debian GNU/Linux 12 (Linux 6.1.0, x86_64)"."""
    kernel = f"{platform.system()} {platform.release()}"
    try:
        return f"{platform.freedesktop_os_release()['PRETTY_NAME']} ({kernel}, {platform.machine()})"
    except (OSError, KeyError):                 # not a Linux
        return f"macOS {platform.mac_ver()[0]} ({platform.machine()})" if platform.mac_ver()[0] else f"{kernel} ({platform.machine()})"


def _title(course: Course) -> str:
    try:
        return read_settings(course.root / "settings.ini").course.title
    except TitoError:
        return "settings.ini cannot be read"
