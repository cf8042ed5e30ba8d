"""Is this machine fit for grading: packages, sandboxes, the clock, the disk, the cluster?"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import shutil
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from urllib.parse import urlsplit

from grading.term import Term
from tito.doctor.check import Check, fine, problem, warning

NEEDED = ("nbgrader", "jupyterlab", "alembic", "SQLAlchemy", "jupytext", "numpy")
LOCKED = re.compile(r"^([A-Za-z0-9_.-]+)==([^\s;\\]+)", re.MULTILINE)
LITTLE, VERY_LITTLE = 2 << 30, 200 << 20        # bytes that are free
CONNECT_SECONDS = 3.0
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)     # this code is younger


def packages(term: Term) -> Iterator[Check]:
    """What grading needs is installed, in the versions that it was tried with."""
    lock = term.course.root / "requirements.lock"
    wanted = {name.lower(): version for name, version in LOCKED.findall(lock.read_text(encoding="utf-8") if lock.is_file() else "")}
    for name in NEEDED:
        try:
            found = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            yield problem("packages", f"{name} is not installed", 'pip install -e ".[grading]"')
            continue
        tried = wanted.get(name.lower(), found)
        yield fine("packages", f"{name} {found}") if found == tried else \
            warning("packages", f"{name} is {found}; tried was {tried}", "pip install -r requirements.lock")


def sandboxes(term: Term) -> Iterator[Check]:
    """Each kind of sandbox, why it does not work where it does not, and the one that will be used."""
    from grading.sandbox import KINDS, named
    settings = term.settings.grading
    asked = list(KINDS) if settings.sandbox == "auto" else [settings.sandbox]
    used = ""
    for name in KINDS:
        trouble = named(name, settings.image).works()
        if not trouble:
            used = used or name * (name in asked)
            yield fine("sandbox", f"{name} works" + ", and is used" * (used == name))
        elif settings.sandbox == name:
            yield problem("sandbox", f"{name}, which settings.ini asks for, does not work: {trouble}", "install it, or set sandbox = auto")
        else:
            yield fine("sandbox", f"{name} is not to be had: {trouble}")
    if not used and settings.sandbox == "auto":
        yield problem("sandbox", "none works: students' code cannot be run safely",
                      "on Linux install bubblewrap, elsewhere Docker; with --unsafe their code has all your rights")


def clock(term: Term) -> Iterator[Check]:
    """The time is a likely one, and what has been handed in is not from the future."""
    now, zone = datetime.now(UTC), term.settings.deadlines.timezone
    if now < LONG_AGO:
        yield problem("clock", f"this machine believes that it is {now:%Y-%m-%d}", "set its clock: receipts and lateness hang on it")
        return
    yield fine("clock", f"{now:%Y-%m-%d %H:%M} UTC; deadlines are in {zone}, where it is {now.astimezone(zone):%Y-%m-%d %H:%M}")


def disk(term: Term) -> Iterator[Check]:
    """There is room for a term."""
    place = next(folder for folder in (term.folder, *term.folder.parents) if folder.exists())
    free = shutil.disk_usage(place).free
    text = f"{free / (1 << 30):.1f} GB are free where the term is"
    yield fine("disk", text) if free >= LITTLE else \
        (warning if free >= VERY_LITTLE else problem)("disk", text, "make room: versions, results and notebooks of a term take some GB")


def cluster(term: Term) -> Iterator[Check]:
    """The scheduler that settings.ini names answers."""
    address = term.settings.cluster.address
    if not address:
        yield fine("cluster", "none is named: the processors of this machine do the work")
        return
    if importlib.util.find_spec("distributed") is None:
        yield problem("cluster", "Dask is not installed", 'pip install -e ".[scale]"')
    parts = urlsplit(address)
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 0), CONNECT_SECONDS):
            yield fine("cluster", f"{address} answers")
    except OSError as err:
        yield problem("cluster", f"{address} does not answer: {err.strerror or err}", "start its scheduler, or empty [cluster] address")


LOOKS: tuple[Callable[[Term], Iterator[Check]], ...] = (packages, sandboxes, clock, disk, cluster)
