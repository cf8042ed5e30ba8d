"""The author's checks as a table in a terminal, and as the page that docs/ shows."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence

from tito.dev.checks.audit import Audit, comparable, right

SHOWN = 12                      # problems of a module, at most
PAGE = """# The author's checks

Printed by `tito dev check --all --write` on {date}: do not edit. What each column means stands below the table.

{table}

* **stub**, **empty**: graded cells that pass before anything is written, and with an empty package. None may.
* **answers**, **prefix**: points of the answers, here and in a course that has the modules up to this one alone.
* **mistakes**: wrong answers that learners write (`mistakes.py`), and how many of them a check that students see has failed.
  **by probes**: how many the hidden calls alone see, so that there is nothing to be gained by tampering with the visible checks.
  **own hint**: how many of the cards name that very mistake. **2nd input**: how many of these hints, and of the hints that mutants
  get, are the same when the numbers in the check are others.
* **mutants**: small changes to the answers, made by a program (operators, comparisons, constants, axes, signs, dropped lines, …).
  **visible**: how many of them the checks that students see notice. **+ probes**: with the hidden calls whose values are compared with
  the answers' own. **fresh**: the same two numbers for {sample} mutants drawn with another seed. **left**: mutants that nobody notices,
  each explained below.
* **seeds**: runs of the answers with other random numbers in which nothing failed.

## What nobody notices, and why

{left}
"""


def table(audits: Sequence[Audit]) -> list[str]:
    """One line a module, 80 columns."""
    head = f"{'module':<15}{'stub':>5}{'empty':>7}{'answers':>9}{'mistakes':>10}{'own':>6}{'mutants':>9}{'visible':>9}{'+probes':>9}"
    return [head, *(_line(a) for a in audits), *_foot(audits)]


def _line(a: Audit) -> str:
    return (f"{a.module:<15}{_passed(a.unsolved):>5}{_passed(a.empty):>7}{_points(a.solved):>9}{_seen(a):>10}"
            f"{_percent(a.own_hints, len(a.mistakes), 0):>6}{len(a.tried):>9}{_killed(a.tried, 'visible'):>9}"
            f"{_killed(a.tried, 'visible', 'probe'):>9}")


def _foot(audits: Sequence[Audit]) -> list[str]:
    hints = [h for a in audits for h in a.hinted()]
    runs = [run for a in audits for run in a.seeds]
    left, listed = sum(len(a.survivors()) for a in audits), sum(bool(m["why"]) for a in audits for m in a.survivors())
    prefixes = sum(a.prefix.get("ok", False) for a in audits)
    sampled = [a.module for a in audits if not a.complete]
    alone, mistakes = sum(a.alone for a in audits), sum(len(a.mistakes) for a in audits)
    foot = [f"mistakes that probes alone see {alone}/{mistakes}, prefixes {prefixes}/{len(audits)}, "
            f"seeds {sum(not r['seen'] for r in runs)}/{len(runs)}, hints right on a second input "
            f"{sum(map(right, hints))}/{len(hints)}, seen by nobody {left}, of which explained {listed}"]
    if sampled:
        foot.append(f"unchanged since the last full run, a sample only: {', '.join(sampled)}")
    return ["", *(line for text in foot for line in textwrap.wrap(text, 80))]


def problems(audits: Sequence[Audit], most: int = SHOWN) -> list[str]:
    """What is amiss, module by module, and how much it is."""
    lines: list[str] = []
    amiss = 0
    for audit in audits:
        found = list(audit.problems())
        amiss += len(found)
        if found:
            lines += ["", audit.module, *(f"  {text}" for text in found[:most])]
            lines += [f"  … and {len(found) - most} more: --json prints them all"] if len(found) > most else []
    return [*lines, "", f"{len(audits)} module{'' if len(audits) == 1 else 's'}, {amiss} problem{'' if amiss == 1 else 's'}"]


def page(audits: Sequence[Audit], date: str, sample: int) -> str:
    """The page for docs/."""
    columns: dict[str, Callable[[Audit], str]] = {
        "module": lambda a: a.module,
        "stub": lambda a: _passed(a.unsolved),
        "empty": lambda a: _passed(a.empty),
        "answers": lambda a: _points(a.solved),
        "prefix": lambda a: _points(a.prefix),
        "mistakes": _seen,
        "by probes": lambda a: f"{a.alone}/{len(a.mistakes)}",
        "own hint": lambda a: _percent(a.own_hints, len(a.mistakes), 0),
        "2nd input": _second,
        "mutants": lambda a: str(len(a.mutants)),
        "visible": lambda a: _killed(a.mutants, "visible"),
        "+ probes": lambda a: _killed(a.mutants, "visible", "probe"),
        "fresh": lambda a: f"{_killed(a.fresh, 'visible')} / {_killed(a.fresh, 'visible', 'probe')}",
        "left": lambda a: str(len(a.survivors())),
        "seeds": lambda a: f"{sum(not r['seen'] for r in a.seeds)}/{len(a.seeds)}",
    }
    rows = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    rows += ["| " + " | ".join(show(a) for show in columns.values()) + " |" for a in audits]
    left = [f"* **{a.module}**, `{m['grade_id']}`, {m['operator']}: `{m['old']}` → `{m['new']}`: {m['why'] or 'not explained'}"
            for a in audits for m in a.survivors()]
    return PAGE.format(date=date, sample=sample, table="\n".join(rows), left="\n".join(left) or "Nothing is left.")


def _passed(facts: dict[str, object]) -> str:
    return f"{len(facts['passed'])}/{facts['cells']}" if facts else "?"      # type: ignore[arg-type]


def _points(facts: dict[str, object]) -> str:
    return f"{facts['points']:g}/{facts['of']:g}" if facts else "?"


def _seen(a: Audit) -> str:
    return f"{sum(bool(m['seen_by']) for m in a.mistakes)}/{len(a.mistakes)}"


def _second(a: Audit) -> str:
    own = [m["second"] for m in a.mistakes if m["own"] and comparable(m["second"])]
    return f"{sum(map(right, own))}/{len(own)}, {sum(map(right, a.hinted()))}/{len(a.hinted())}"


def _killed(tried: list[dict[str, object]], *by: str) -> str:
    return _percent(sum(m["by"] in by for m in tried), len(tried), 1)


def _percent(part: int, whole: int, digits: int) -> str:
    return f"{part / whole:.{digits}%}" if whole else "-"
