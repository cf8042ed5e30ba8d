"""`tito --version`."""

from __future__ import annotations

import platform

from tito.cli.results import Report


def installed() -> Report:
    """The installed version of the course, and the Python it runs on."""
    from importlib import metadata
    try:
        found = metadata.version("tinytorch-course")
    except metadata.PackageNotFoundError:
        found = "0 (not installed)"
    return Report(f"tito {found}, Python {platform.python_version()}", data={"version": found, "python": platform.python_version()})
