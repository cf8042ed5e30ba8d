"""The first Python inside a sandbox: gives up every right, takes on the limits, and becomes the module that it is told to be.

    python enter.py '{"module": "tito.check.child", "uid": 60001, "first": true, "limits": {"cpu": 61}}'

Standard library only; it is read inside the sandbox.  `first`: it is process 1, has to mind the others, and is free
to become the user `uid`, or to stay the one that it is (null).
"""

import json
import os
import runpy
import signal
import sys
from pathlib import Path

PR_SET_DUMPABLE, PR_CAPBSET_DROP = 4, 24
CAPABILITY_VERSION_3 = 0x20080522


def become(uid: int | None) -> None:
    """Give up every capability, for good; with a uid, be that user from now on.  It takes CAP_SETUID, CAP_SETGID and CAP_SETPCAP."""
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    if uid is not None:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
    number = 0
    while libc.prctl(PR_CAPBSET_DROP, number, 0, 0, 0) == 0:
        number += 1
    if uid is not None:
        os.setresuid(uid, uid, uid)
    header, none = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0), (ctypes.c_uint32 * 6)()
    if libc.capset(header, none):
        raise OSError(ctypes.get_errno(), "the sandbox's capabilities cannot be given up")
    libc.prctl(PR_SET_DUMPABLE, int(os.getpid() != 1), 0, 0, 0)     # process 1 keeps its /proc closed, the other has its own open


def limit(limits: dict[str, int]) -> None:
    """Take on the limits; where the hard limit is lower already, that one."""
    try:
        import resource
    except ImportError:                                 # not on Windows
        return
    for name, value in limits.items():
        which = getattr(resource, f"RLIMIT_{name.upper()}", None)
        if which is None or name == "as" and sys.platform == "darwin":      # there it is known, and cannot be set
            continue
        hard = resource.getrlimit(which)[1]
        most = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(which, (most, most))


def fork() -> None:
    """Go on as a second process.  The first one waits for all that end, and ends with the second, or with whoever reads stderr.

    For that it needs no word from bubblewrap, whose --die-with-parent may leave a process behind if the parent dies while it starts.
    """
    import threading
    signal.signal(signal.SIGINT, signal.SIG_DFL)        # without a handler, process 1 cannot be hit from inside
    second = os.fork()
    if second == 0:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        return
    os.closerange(0, 2)
    become(None)
    threading.Thread(target=end_unheard, daemon=True).start()
    while True:
        pid, status = os.wait()
        if pid == second:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)


def end_unheard() -> None:
    """End this process once the other end of stderr is closed: the coordinator holds it for as long as it lives."""
    import select
    line = select.poll()
    line.register(2, 0)
    line.poll()
    os._exit(1)


def main() -> None:
    job = json.loads(sys.argv[1])
    if job["first"]:
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))     # what bubblewrap held
        fork()
        become(job["uid"])
    limit(job["limits"])
    sys.path[0] = str(Path.cwd())                       # as `python -m` has it
    del sys.argv[1:]
    runpy.run_module(job["module"], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
