"""A notebook on disk, looked at again and again: whether it was saved, and whether all of it is there yet."""

from __future__ import annotations

import json
import time
from datetime import datetime
from enum import Enum
from pathlib import Path

FRESH = 3.0             # seconds for which a file may change and its time of change stay as it is: clocks of file systems are coarse


class State(Enum):
    SAME = "as it was"
    SAVED = "saved anew, and whole"
    TORN = "not whole"
    GONE = "not there"


class Saved:
    """What was seen last of a file."""

    def __init__(self, path: Path):
        self.path = path
        self.content = b""                      # the last that was whole
        self._key: tuple[int, int, int] | None = None
        self._state = State.SAME
        self._waiting = b""                     # of a source: what the last look found

    @property
    def when(self) -> datetime:
        """When it was written; now, where that cannot be told."""
        try:
            return datetime.fromtimestamp(self.path.stat().st_mtime)
        except OSError:
            return datetime.now()

    def look(self) -> State:
        """What has become of it since the last look."""
        self._state = self._look()
        return self._state

    def changed(self) -> bool:
        """It does not say any more what it said at the last look."""
        try:
            return self.path.read_bytes() != self.content
        except OSError:
            return True

    def _look(self) -> State:
        try:
            status = self.path.stat()
            key = status.st_mtime_ns, status.st_size, status.st_ino
            if key == self._key and self._state not in (State.GONE, State.TORN) and abs(time.time() - status.st_mtime) > FRESH:
                return State.SAME
            content = self.path.read_bytes()
        except FileNotFoundError:
            return State.GONE
        except OSError:                         # Windows, while an editor writes it
            return State.TORN
        if key == self._key and content == self.content:
            return State.SAME
        if not self._whole(content):
            return State.TORN
        self._key, self.content = key, content
        return State.SAVED

    def _whole(self, content: bytes) -> bool:
        """A notebook's JSON tells; any other file is whole when it stays as it is from one look to the next."""
        if self.path.suffix != ".ipynb":
            before, self._waiting = self._waiting, content
            return content == before and content.strip() != b""
        try:
            json.loads(content)
        except (ValueError, RecursionError):
            return False
        return True
