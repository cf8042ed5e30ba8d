"""The three streams as tito finds them: closed, read by nobody any more, or in an encoding that lacks letters.

Standard library only, and syntax that Python 3.8 can read: installing prints too.
"""

from __future__ import annotations

import codecs
import errno
import os
import sys
from typing import TextIO

PLAIN = {ord(letter): text for letter, text in {
    "·": "-", "•": "*", "…": "...", "‐": "-", "‑": "-", "–": "-", "—": "-", "−": "-", "±": "+-", "×": "x", "÷": "/", "√": "sqrt ",
    "∞": "inf",
    "‘": "'", "’": "'", "‚": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "′": "'", "″": '"', "\u00a0": " ", "\u202f": " ",
    "→": "->", "←": "<-", "↔": "<->", "⇒": "=>", "↑": "^", "↓": "v", "►": ">", "◄": "<", "▲": "^", "▼": "v", "●": "*", "■": "#",
    "≤": "<=", "≥": ">=", "≠": "!=", "≈": "~", "½": "1/2", "¼": "1/4", "¾": "3/4", "⁰": "^0", "¹": "^1", "²": "^2", "³": "^3",
    "⁴": "^4", "⁵": "^5", "⁶": "^6", "⁷": "^7", "⁸": "^8", "⁹": "^9", "⁺": "^+", "⁻": "^-", "ᵀ": "^T", "∂": "d", "⌊": "[", "⌋": "]",
    "₁": "_1", "₂": "_2", "₃": "_3", "µ": "u", "μ": "u", "π": "pi", "ε": "eps", "Σ": "sum", "δ": "delta", "‖": "||", "✓": "ok", "✗": "x",
}.items()}
PLAIN.update({**dict.fromkeys(range(0x2500, 0x2580), "+"), **dict.fromkeys(range(0x2580, 0x25A0), "#"),     # boxes, blocks
              **dict.fromkeys(map(ord, "─━┄═╌"), "-"), **dict.fromkeys(map(ord, "│┃┆║╎"), "|")})


def prepare() -> None:
    """Make the streams such that printing to them never fails for the sake of a letter, or of there being no stream."""
    open_closed()
    codecs.register_error("tito", plainly)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="tito")


def open_closed() -> None:
    """Where a stream was closed (`tito >&-`), what is said goes nowhere, and no file that is opened later takes its place."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(descriptor, True)
            setattr(sys, name, os.fdopen(descriptor, "r" if name == "stdin" else "w", encoding="utf-8"))


def plainly(err: UnicodeError) -> tuple[bytes, int]:
    """What the encoding lacks, in ASCII: `...` for an ellipsis; a letter of a name as Python would write it, so that nothing is lost."""
    if not isinstance(err, UnicodeEncodeError):
        raise err
    return b"".join(map(_plain, err.object[err.start:err.end])), err.end


def _plain(letter: str) -> bytes:
    if "\udc80" <= letter <= "\udcff":          # a byte of a file's name that Python itself could not read: as it was
        return bytes([ord(letter) - 0xDC00])
    return letter.translate(PLAIN).encode("ascii", "backslashreplace")


def unread(err: OSError) -> bool:
    """What a write to a stream raised says that nobody reads on, as in `tito module list | head -1`; Windows says it in its own words."""
    return isinstance(err, BrokenPipeError) or os.name == "nt" and err.errno == errno.EINVAL


def silence(stream: TextIO) -> None:
    """Let whatever is still written go nowhere, or Python complains of it at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
