"""A sandbox seen from outside: what all its processes use together, read through the /proc and the root of its first process."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from grading.sandbox.limits import Limits

PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
BLIND = 400                 # looks: what a busy machine may take to set up a sandbox
TICK = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


@dataclass
class Bubble:
    """The processes of a pid namespace, by the pid of its first one: ending that one ends all."""

    pid: int
    limits: Limits
    handle: int = field(init=False)
    blind: int = 0                  # looks in a row at which nothing was to be seen

    def __post_init__(self) -> None:
        self.handle = os.pidfd_open(self.pid)           # a pid may come to mean another process, this may not
        self.root = Path(f"/proc/{self.pid}/root")

    def end(self) -> None:
        """End every process in it; nothing where they have ended."""
        try:
            signal.pidfd_send_signal(self.handle, signal.SIGKILL)
        except ProcessLookupError:
            return

    def look(self) -> str:
        """Why it must be ended, or nothing."""
        try:
            use = self.use()
        except OSError:                                 # not yet set up, or gone already
            self.blind += 1
            return "it could not be watched" if self.blind > BLIND else ""
        self.blind = 0
        return self.limits.too_much(*use)

    def use(self) -> tuple[int, int, float]:
        """Bytes of memory (files stand in memory too), files, and seconds of processor time.  OSError before it is set up."""
        if (self.root / "proc").stat().st_dev == Path("/proc").stat().st_dev:
            raise FileNotFoundError("still outside")
        processes = list(self._processes())
        stored, files = self._stored()
        memory = sum(resident for _, resident, _ in processes) + stored
        if memory > self.limits.memory_mb << 20:        # pages that processes share were counted for each of them
            memory = sum(_share(place, resident) for place, resident, _ in processes) + stored
        return memory, files, sum(seconds for *_, seconds in processes)

    def _processes(self) -> Iterator[tuple[Path, int, float]]:
        """Of each process: its folder in /proc, the bytes in memory, the seconds at work (with its ended children's)."""
        for place in (self.root / "proc").iterdir():
            if place.name.isdigit():
                try:
                    resident = int((place / "statm").read_bytes().split()[1]) * PAGE
                    times = (place / "stat").read_bytes().rpartition(b")")[2].split()[11:15]
                except (FileNotFoundError, ProcessLookupError):
                    continue                            # it has just ended
                yield place, resident, sum(map(int, times)) / TICK

    def _stored(self) -> tuple[int, int]:
        """Bytes and files in the folders that may be written to."""
        size = files = 0
        for folder in self.limits.folders():
            space = os.statvfs(self.root / folder[1:])
            size += (space.f_blocks - space.f_bfree) * space.f_frsize
            files += space.f_files - space.f_ffree - 1  # but the folder itself
        return size, files

    def close(self) -> None:
        os.close(self.handle)


def _share(place: Path, resident: int) -> int:
    """A process's bytes in memory, of a shared page only its part; `resident` where the kernel does not say."""
    try:
        text = (place / "smaps_rollup").read_text("ascii")
    except (FileNotFoundError, ProcessLookupError):
        return 0
    except OSError:
        return resident
    return next((int(line.split()[1]) << 10 for line in text.splitlines() if line.startswith("Pss:")), resident)
