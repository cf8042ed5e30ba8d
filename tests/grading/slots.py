"""Slots of sandboxes that no other test process uses at the same time: as root they are users, whose processes are counted."""

import os
import re

FIRST = 100 * (1 + int((re.findall(r"\d+", os.environ.get("PYTEST_XDIST_WORKER", "")) or ["0"])[0]))
