"""What can go wrong, said once: an exit code, what happened, why, and what to do."""

from enum import IntEnum


class ExitCode(IntEnum):
    OK = 0
    CHECKS_FAILED = 1       # your code ran and failed its checks
    USAGE = 2               # the command was not understood, or does not apply here
    ENVIRONMENT = 3         # the machine or the folder: no disk, no network, read-only, locked
    INFRASTRUCTURE = 4      # grading could not be done: never a zero
    INTEGRITY = 5           # a file is not what it should be: truncated, tampered with
    INTERRUPTED = 130


class TitoError(Exception):
    """An error for a person: one sentence of what happened, then why, then what to do."""

    def __init__(self, what: str, *, why: str = "", fix: str = "", code: ExitCode = ExitCode.USAGE):
        super().__init__(what)
        self.what, self.why, self.fix, self.code = what, why, fix, code
