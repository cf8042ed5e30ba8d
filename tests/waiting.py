"""What a test waits for, as long as a busy machine may need and no longer than that."""

import time
from collections.abc import Callable


def soon(true: Callable[[], object], seconds: float = 15.0) -> bool:
    """Whether something comes to be true."""
    until = time.monotonic() + seconds
    while not true():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True
