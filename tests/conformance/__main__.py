"""`python -m tests.conformance [--json] [name …]`: the ledger of torch's own samples.

Exit code 1 if one fails, 2 without torch or for a name that is not in the ledger.
"""

import json
import sys
from collections import Counter
from importlib.util import find_spec

from tests.conformance.operations import torch
from tests.conformance.samples import ADAPTERS

WIDTH = 80


def table(rows):
    """The ledger in 80 columns: a line for each of torch's operations, reasons below it, and all reasons once more at the end."""
    lines = [f"{'torch':<40}{'pass':>8}{'fail':>8}{'not supported':>24}", "-" * WIDTH]
    for row in rows:
        lines.append(f"{short(row.name, 39):<40}{row.passed:>8}{len(row.failed) or '':>8}{row.missing.total() or '':>24}")
        lines += reason_lines(row.missing)
        lines += [short(f"      FAIL {' '.join(failure.split())}", WIDTH) for failure in row.failed]
    reasons = sum((row.missing for row in rows), Counter())
    lines += ["-" * WIDTH, f"{f'{len(rows)} of torch’s operations':<40}{sum(row.passed for row in rows):>8}"
              f"{sum(len(row.failed) for row in rows):>8}{reasons.total():>24}", *reason_lines(reasons)]
    return "\n".join(line.rstrip() for line in lines)


def reason_lines(reasons):
    return [f"{'':6}{short(reason, 60):<66}{count:>8}" for reason, count in reasons.most_common()]


def short(text, width):
    return text if len(text) <= width else text[:width - 1] + "…"


def main(arguments):
    names = [name for name in arguments if name != "--json"]
    if torch is None or find_spec("expecttest") is None:
        print("torch or expecttest is not installed; both come with the extra `conformance`", file=sys.stderr)
        return 2
    if unknown := [name for name in names if name not in ADAPTERS]:
        print(f"not in the ledger: {', '.join(unknown)}; there are: {' '.join(ADAPTERS)}", file=sys.stderr)
        return 2
    from tests.conformance.opinfo import ledger
    rows = ledger(names)
    print(json.dumps([row.as_json() for row in rows], indent=2) if "--json" in arguments else table(rows))
    return int(any(row.failed for row in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
