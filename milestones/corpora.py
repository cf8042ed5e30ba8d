"""The texts that milestone 5 learns to write: which, what of them is held out, and how what was written is judged."""

import ast
import re
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from common import Refused

import tinytorch as tt

PIECE, EVERY = 10_000, 10               # a text is cut into pieces of about so many letters, a short one finer; of each ten one is held out
ENOUGH, PLENTY = 10_000, 1_000_000      # letters: a text has at least so many, and of Python's sources no more are read


@dataclass(frozen=True)
class Corpus:
    name: str
    text: str
    prompt: str                         # what the network goes on from
    instead: str = ""                   # why this does not count as passed


def corpus(run):
    """The text that was asked for: the King James Bible, Python's own sources, or a file."""
    if run.options.corpus == "python":
        return Corpus("Python's standard library", python_sources(), "\n\ndef ", "these were the sources of Python")
    try:
        text = tt.text.load_text(run.options.text)
    except (OSError, ValueError) as err:
        raise Refused(str(err), "name a text file in UTF-8 with --text FILE") from None
    if len(text) < ENOUGH:
        raise Refused(f"{run.options.text} has {len(text):,} letters", f"nobody learns to write from fewer than {ENOUGH:,}")
    if run.options.text:
        return Corpus(Path(run.options.text).name, text, "\n", "this was a text of your own")
    return Corpus("the King James Bible", text, "John 22\n\n")          # the gospel has 21 chapters


def python_sources(folder=None):
    """The modules of Python's standard library that are plain ASCII, one after the other; every machine that runs this has them."""
    folder, texts, total = Path(folder or sysconfig.get_path("stdlib")), [], 0
    for path in sorted(folder.glob("*.py")):
        data = path.read_bytes()
        if data.isascii() and total + len(data) <= PLENTY:
            texts.append(data.decode("ascii").replace("\r\n", "\n").strip("\n"))
            total += len(data)
    if total < ENOUGH:
        raise Refused(f"{folder} has no sources of Python", "give a text of your own: --text FILE")
    return "\n\n\n".join(texts) + "\n"


def split(run, name, text):
    """(what to learn from, what is asked about): the same every time, whatever the seed.

    Each tenth piece is held out, and asked about once, at the end.  With --validate it stays shut, and another one takes its place: that is
    how the settings were chosen.
    """
    pieces = list(cut(text, min(PIECE, len(text) // (3 * EVERY))))
    held, other = pieces[EVERY - 1::EVERY], pieces[EVERY // 2 - 1::EVERY]
    learn = [piece for k, piece in enumerate(pieces) if k % EVERY != EVERY - 1 and not (run.validate and k % EVERY == EVERY // 2 - 1)]
    learn, asked = "".join(learn), "".join(other if run.validate else held)
    run.asked = f"{len(asked):,} {'validation' if run.validate else 'held-out'} letters"
    run.fact("data", f"{name}: {len(learn):,} letters to learn from, {run.asked}")
    return learn, asked


def cut(text, size):
    """Pieces of at least `size` letters that end where a line does."""
    begin = 0
    while begin < len(text):
        end = text.find("\n", begin + size - 1) + 1 or len(text)
        yield text[begin:end]
        begin = end


def definition(text):
    """Of what was written after `def ` the part that is complete: up to the next line that begins at the margin."""
    lines = text.strip("\n").split("\n")
    end = next((k for k, line in enumerate(lines[1:], 1) if line and not line[0].isspace() and line[0] not in ")]}"), len(lines) - 1)
    return "\n".join(lines[:end])


def judged(text, samples):
    """How many of the samples Python's own parser reads, and how many of so many real definitions, cut off in the same way."""
    size = sum(map(len, samples)) // len(samples)
    real = [text[found.start():found.start() + size] for found in re.finditer(r"^def ", text, re.MULTILINE)][:len(samples)]
    return sum(map(parses, map(definition, samples))), f"{sum(map(parses, map(definition, real)))} of {len(real)}"


def parses(text):
    """Whether this is Python."""
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return bool(text.strip())
