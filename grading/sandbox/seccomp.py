"""A filter of system calls for bubblewrap: what would get around the limits, or reach parts of the kernel that no notebook needs.

Namespaces of one's own bring the right to mount, and with it memory that nobody counts; so do memfd_create and System V shared memory.
Sockets that are not Unix ones may leave the network namespace (vsock), or hold megabytes each.  The rest is there to attack kernels with.
"""

from __future__ import annotations

import errno
import os
import struct

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}      # AUDIT_ARCH_*, in the order of the columns below
REFUSED = {
    "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51),
    "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432),
    "fspick": (433, 433), "mount_setattr": (442, 442),
    "memfd_create": (319, 279), "memfd_secret": (447, 447), "shmget": (29, 194), "msgget": (68, 186), "semget": (64, 190),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "userfaultfd": (323, 282),
    "perf_event_open": (298, 241), "bpf": (321, 280), "io_uring_setup": (425, 425),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
}
CLONE, CLONE3, SOCKET = (56, 220), (435, 435), (41, 198)
CLONE_NEWUSER, AF_UNIX, X32 = 0x10000000, 1, 0x40000000

LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06      # BPF_LD|W|ABS, BPF_JMP|JEQ, |JGE, |JSET, BPF_RET
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16                             # offsets in struct seccomp_data, little endian
ALLOW, ERRNO = 0x7FFF0000, 0x00050000


def machine() -> str:
    """This machine's name, if the filter can be made for it; else nothing."""
    name = os.uname().machine
    return name if name in ARCHITECTURES else ""


def program(name: str) -> bytes:
    """The filter for a machine of that name, as the kernel reads it."""
    column = list(ARCHITECTURES).index(name)
    lines = [_line(LOAD, ARCHITECTURE), _line(EQUAL, ARCHITECTURES[name], yes=1), _refuse(errno.EPERM), _line(LOAD, NUMBER)]
    if name == "x86_64":
        lines += [_line(AT_LEAST, X32, no=1), _refuse(errno.EPERM)]
    for numbers in REFUSED.values():
        lines += [_line(EQUAL, numbers[column], no=1), _refuse(errno.EPERM)]
    lines += [_line(EQUAL, CLONE3[column], no=1), _refuse(errno.ENOSYS)]           # its flags cannot be read here: libc takes clone then
    lines += [_line(EQUAL, CLONE[column], no=4), _line(LOAD, FIRST_ARGUMENT), _line(ANY_BIT, CLONE_NEWUSER, no=1), _refuse(errno.EPERM),
              _line(RETURN, ALLOW)]
    lines += [_line(EQUAL, SOCKET[column], no=4), _line(LOAD, FIRST_ARGUMENT), _line(EQUAL, AF_UNIX, yes=1), _refuse(errno.EAFNOSUPPORT),
              _line(RETURN, ALLOW)]
    return b"".join([*lines, _line(RETURN, ALLOW)])


def _line(code: int, value: int, *, yes: int = 0, no: int = 0) -> bytes:
    """One struct sock_filter; `yes` and `no`: how many lines a test skips."""
    return struct.pack("<HBBI", code, yes, no, value)


def _refuse(error: int) -> bytes:
    return _line(RETURN, ERRNO | error)
