"""Variables of the environment that list folders, for the processes that are started here."""

from __future__ import annotations

import os
from pathlib import Path


def before(name: str, *paths: Path) -> str:
    """What a variable lists, with these folders first."""
    return os.pathsep.join([*map(str, paths), *filter(None, [os.environ.get(name)])])
