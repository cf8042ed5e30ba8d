"""Sandboxes: what student code runs in, so that it can use no more than it may, and reach nothing but its kit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from grading.sandbox.bubblewrap import Bubblewrap
from grading.sandbox.docker import Docker
from grading.sandbox.limits import Limits
from grading.sandbox.plain import Plain
from tito.check.process import Launch
from tito.errors import ExitCode, TitoError
from tito.settings import Grading

__all__ = ["Limits", "Sandbox", "choose", "named"]


class Sandbox(Protocol):
    """A kind of sandbox."""

    @property
    def name(self) -> str:
        """What results call it."""

    def home(self, kit: Path) -> Path:
        """Where a kit is for the code inside."""

    def launch(self, kit: Path, slot: int, limits: Limits) -> Launch:
        """Starts judging processes on a kit; no two that are at work on a machine have the same slot."""

    def works(self) -> str:
        """Why it cannot be used here, or nothing."""


KINDS: dict[str, Callable[[str], Sandbox]] = {"bubblewrap": lambda image: Bubblewrap(), "docker": Docker}      # the best first


def named(name: str, image: str = "") -> Sandbox:
    """The sandbox of that name; docker's runs that image."""
    return Plain() if name == Plain.name else KINDS[name](image)


def choose(settings: Grading, *, unsafe: bool = False) -> Sandbox:
    """The sandbox that the settings name, or the best that works here; none where `unsafe` says so.  TitoError where none works."""
    if unsafe:
        return Plain()
    troubles = []
    for name in KINDS if settings.sandbox == "auto" else (settings.sandbox,):
        sandbox = named(name, settings.image)
        trouble = sandbox.works()
        if not trouble:
            return sandbox
        troubles.append(f"{name}: {trouble}")
    raise TitoError("students' code cannot be run safely on this machine", why="; ".join(troubles),
                    fix="on Linux install bubblewrap (apt-get install bubblewrap, dnf install bubblewrap), elsewhere Docker; "
                        "--unsafe runs their code with all your rights", code=ExitCode.INFRASTRUCTURE)
