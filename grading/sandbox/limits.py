"""What one submission may use, as settings.ini says it, and what follows from that for the kernel."""

from __future__ import annotations

from dataclasses import dataclass

from tito.settings import Grading

MB = 1 << 20
OPEN_FILES = 64             # also bounds what can be hidden in the buffers of sockets and pipes


@dataclass(frozen=True)
class Limits:
    """The limits of one submission, all its processes together."""

    cpu_seconds: int = 60
    wall_seconds: int = 120
    memory_mb: int = 2048
    processes: int = 64
    output_kb: int = 256
    files: int = 256
    file_mb: int = 64

    @classmethod
    def of(cls, settings: Grading) -> Limits:
        """The limits that settings.ini gives."""
        return cls(**{name: getattr(settings, name) for name in cls.__dataclass_fields__})

    def resources(self) -> dict[str, int]:
        """Limits of a single process, by the kernel's names in lower case (`man setrlimit`).

        The watch outside counts all processes together and speaks first; these hold where it is too slow.
        """
        return {"cpu": self.cpu_seconds + 1, "as": self.memory_mb * MB, "fsize": self.file_mb * MB, "nproc": self.processes,
                "nofile": OPEN_FILES, "core": 0, "msgqueue": 0, "memlock": 0}

    def folders(self) -> dict[str, int]:
        """The folders that may be written to, and their sizes in bytes.  They stand in memory, and together fit into it."""
        room = min(self.files * self.file_mb, self.memory_mb // 2) * MB
        return {"/work": room, "/tmp": room // 2, "/dev/shm": room // 2}

    def too_long(self, seconds: float) -> str:
        """Why the clock ends it; nothing where it does not."""
        return f"it ran longer than {self.wall_seconds} seconds" if seconds > self.wall_seconds else ""

    def too_much(self, memory: int, files: int, cpu_seconds: float) -> str:
        """Why its use, in bytes, files and seconds, ends it; nothing where it does not."""
        if memory > self.memory_mb * MB:
            return f"it used more than {self.memory_mb} MB of memory"
        if files > self.files:
            return f"it wrote more than {self.files} files"
        if cpu_seconds > self.cpu_seconds:
            return f"it used more than {self.cpu_seconds} seconds of processor time"
        return ""
