"""Makes king_james.txt and ruth.txt from what Debian's command `bible` prints, byte for byte the same every time.

    apt-get install bible-kjv
    python datasets/make_king_james.py
"""

import hashlib
import re
import subprocess
from pathlib import Path

FOLDER = Path(__file__).parent
KING_JAMES = ("Genesis", "Psalms", "Proverbs", "Matthew", "Mark", "Luke", "John")
FILES = {"king_james.txt": KING_JAMES, "ruth.txt": ("Ruth",)}
VERSE = r"[A-Za-z]+(\d+):(\d+) (.+?) *"          # Ge1:1 In the beginning God created the heaven and the earth.


def verses(book: str) -> list[tuple[str, ...]]:
    """(chapter, verse, words) of one book, as text; `bible` takes a chapter and a verse that are too large for the last ones."""
    printed = subprocess.run(["bible", "-f", f"{book}1:1-{book}150:176"], capture_output=True, encoding="ascii", check=True).stdout
    lines = [line for line in printed.splitlines() if line]
    return [re.fullmatch(VERSE, line).groups() for line in lines]


def text(book: str) -> str:
    """For each chapter a heading and a blank line, then a line for each verse, without its number, and a blank line."""
    chapters: dict[str, list[str]] = {}
    for chapter, _, words in verses(book):
        chapters.setdefault(chapter, []).append(words)
    return "\n\n".join(f"{book} {chapter}\n\n" + "\n".join(lines) for chapter, lines in chapters.items())


if __name__ == "__main__":
    for name, books in FILES.items():
        data = ("\n\n".join(map(text, books)) + "\n").encode("ascii")
        (FOLDER / name).write_bytes(data)
        print(f"{name}: {len(data):,} bytes, sha256 {hashlib.sha256(data).hexdigest()}")
