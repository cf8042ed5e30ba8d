"""A PostgreSQL of our own: a cluster in a temporary folder, reached through a socket there, gone when the tests are."""

from __future__ import annotations

import importlib.util
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

# Quick, and safe as long as the machine itself stays up: what was committed outlives `kill`.
FAST = ("fsync=off", "full_page_writes=off", "listen_addresses=", "unix_socket_permissions=0777")
OWNER = "tito"


def programs() -> Path | None:
    """The folder of initdb and postgres: Debian does not put them on the PATH."""
    found = shutil.which("postgres")
    places = [Path(found).resolve().parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((place for place in places if (place / "initdb").exists()), None)


def absent() -> str:
    """Why there can be no cluster here, or nothing."""
    if programs() is None:
        return "PostgreSQL is not installed"
    return "" if importlib.util.find_spec("psycopg2") else "psycopg2 is not installed"


class Cluster:
    """A server with its own data; `kill` is what a power cut does to it, `start` brings it back."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))       # a socket's path must be short
        self.who = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
        if self.who:
            shutil.chown(self.folder, "nobody", "nogroup")
        self.folder.chmod(0o711)
        self.names = itertools.count()
        self.server: subprocess.Popen[bytes] | None = None

    def make(self) -> None:
        self._run("initdb", "-D", str(self.folder / "data"), "-U", OWNER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        self.start()

    def start(self) -> None:
        """Returns when the server answers."""
        options = [option for setting in FAST for option in ("-c", setting)]
        with (self.folder / "log").open("ab") as log:
            self.server = subprocess.Popen(
                [*self._dies_with_us(), str(self._program("postgres")), "-D", str(self.folder / "data"), "-k", str(self.folder), *options],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.folder, start_new_session=True, **self.who)
        until = time.monotonic() + 30
        while not self._answers():
            if time.monotonic() > until or self.server.poll() is not None:
                raise RuntimeError((self.folder / "log").read_text(encoding="utf-8"))
            time.sleep(0.05)

    def kill(self) -> None:
        """At once, with everything that it is doing."""
        if self.server is not None:
            self.server.send_signal(signal.SIGQUIT)
            self.server.wait(30)
            self.server = None

    def remove(self) -> None:
        try:
            self.kill()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def database(self) -> str:
        """The URL of a new, empty database."""
        name = f"gradebook_{next(self.names)}"
        self._tell(f"CREATE DATABASE {name}")
        return f"postgresql+psycopg2://{OWNER}@/{name}?host={self.folder}"

    def _answers(self) -> bool:
        import psycopg2
        try:
            self._tell("SELECT 1")
        except psycopg2.OperationalError:
            return False
        return True

    def _tell(self, sql: str) -> None:
        import psycopg2
        connection = psycopg2.connect(host=str(self.folder), user=OWNER, dbname="postgres")
        try:
            connection.autocommit = True            # a database is not created in a transaction
            connection.cursor().execute(sql)
        finally:
            connection.close()

    def _dies_with_us(self) -> list[str]:
        """Not even a killed test run leaves a server behind."""
        return ["setpriv", "--pdeathsig", "QUIT", "--"] if shutil.which("setpriv") else []

    def _run(self, name: str, *options: str) -> None:
        done = subprocess.run([str(self._program(name)), *options], capture_output=True, cwd=self.folder, timeout=120, **self.who)
        if done.returncode:
            raise RuntimeError(done.stderr.decode())

    @staticmethod
    def _program(name: str) -> Path:
        place = programs()
        assert place is not None
        return place / name


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """One cluster for all tests of a run."""
    if why := absent():
        pytest.skip(why)
    found = Cluster()
    try:
        found.make()
        yield found
    finally:
        found.remove()
