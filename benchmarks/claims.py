"""What the course claims about making things faster and smaller, on one page: `python -m benchmarks.claims [CLAIM …] [--json FILE]`.

Each claim is measured here on real work: how much, how good it was before and after, and where it does not pay.  One thread and processor
time, in turns; sizes are counted from outside.  Exit code 1 where a gate is missed (by more than a tenth, where it is a time) or a row
breaks.
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    for name in ("OPENBLAS", "OMP", "MKL"):
        os.environ[f"{name}_NUM_THREADS"] = "1"     # read when NumPy is imported, so before everything below

import json  # noqa: E402
import platform  # noqa: E402
import textwrap  # noqa: E402
from collections.abc import Callable, Iterator  # noqa: E402
from dataclasses import asdict, dataclass  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402

from benchmarks.report import SLACK, options, shown  # noqa: E402


@dataclass(frozen=True)
class Figure:
    """One number of a claim and its gate: at least (or, with `most`, at most) so much; none where it is only told.

    `spread`: half of what lies between the quartiles, where it is a time; such a gate may be missed by a tenth.
    """

    value: float
    what: str
    gate: float | None = None
    most: bool = False
    spread: float | None = None

    @property
    def verdict(self) -> str:
        """met, nearly met, missed, or told where there is no gate."""
        if self.gate is None:
            return "told"
        slack = SLACK if self.spread is not None else 1.0
        low, high = (self.value, self.gate) if self.most else (self.gate, self.value)
        return "met" if low <= high else "nearly met" if low <= high * slack else "missed"


@dataclass(frozen=True)
class Claim:
    """What was claimed, and what was found: figures, the quality before and after, and where it does not pay; or why there are none."""

    name: str
    claimed: str
    figures: tuple[Figure, ...] = ()
    quality: str = ""
    unless: str = ""
    error: str = ""

    @property
    def verdict(self) -> str:
        """The worst of its figures', or broken."""
        found = {figure.verdict for figure in self.figures}
        return "broken" if self.error or not found else next((v for v in ("missed", "nearly met") if v in found), "met")


def lines(claim: Claim) -> Iterator[str]:
    """A claim as it stands on the page."""
    yield f"{claim.name}: {claim.claimed}"
    for figure in claim.figures:
        gate = "" if figure.gate is None else f"; the gate: at {'most' if figure.most else 'least'} {shown(figure.gate)}"
        spread = "" if figure.spread is None else f" ± {shown(figure.spread)}"
        yield f"  {figure.verdict:<12}{shown(figure.value) + spread} {figure.what}{gate}"
    for word, text in ("quality", claim.quality), ("limits", claim.unless), ("broken", claim.error):
        if text:
            yield textwrap.fill(text, 118, initial_indent=f"  {word:<12}", subsequent_indent=" " * 14)


def measured(name: str, claimed: str, measure: Callable[[], tuple[list[Figure], str, str]]) -> Claim:
    """One claim; one whose measurement breaks has no figures."""
    try:
        figures, quality, unless = measure()
    except Exception as error:                  # whatever a broken module raises
        return Claim(name, claimed, error=f"{type(error).__name__}: {error}".splitlines()[0])
    return Claim(name, claimed, tuple(figures), quality, unless)


def main(arguments: list[str] | None = None) -> int:
    """Measure the claims that are named, or all, and tell each as soon as it is known."""
    from benchmarks.claimed import CLAIMS
    parser = options("What the course claims about making things faster and smaller, measured.")
    parser.add_argument("claims", metavar="CLAIM", nargs="*", help=f"of {', '.join(CLAIMS)}; all by default")
    chosen = parser.parse_args(arguments)
    if unknown := set(chosen.claims) - set(CLAIMS):
        parser.error(f"no claim {', '.join(sorted(unknown))}; there are {', '.join(CLAIMS)}")
    found = []
    for name in chosen.claims or CLAIMS:
        claim = measured(name, *CLAIMS[name])
        found.append(claim)
        if chosen.json != "-":
            print("\n".join(lines(claim)) + "\n", flush=True)
    failed = [claim.name for claim in found if claim.verdict in ("missed", "broken")]
    told = [{**asdict(c), "verdict": c.verdict, "figures": [{**asdict(f), "verdict": f.verdict} for f in c.figures]} for c in found]
    text = json.dumps({"schema_version": 1, "python": platform.python_version(), "numpy": np.__version__, "threads": 1,
                       "clock": "process_time", "claims": told}, indent=1)
    if chosen.json == "-":
        print(text)
    else:
        print(f"{len(found) - len(failed)} of {len(found)} claims hold" + (f"; not {', '.join(failed)}" if failed else ""))
        if chosen.json:
            Path(chosen.json).write_text(text + "\n", encoding="utf-8")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
