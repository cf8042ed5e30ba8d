"""The small hand-made edition of the command line's tests."""

from tests.cli.conftest import edition, installed, terminal, tito

__all__ = ["edition", "installed", "terminal", "tito"]
