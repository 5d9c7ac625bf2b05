"""Secrets of this process, of the project's folder, and of the person who is there."""

import os
import sys
from pathlib import Path
from typing import Optional

from ..host import Host
from .base import Unanswered

__all__ = ["Dotenv", "Environment", "Prompt", "ask"]


class Environment:
    """What the kernel was started with, or has been set since."""

    name = "env"
    called = "the environment"

    def available(self, host: Host) -> Optional[str]:
        """See `Place`."""
        return None

    def get(self, host: Host, name: str) -> Optional[str]:
        """See `Place`."""
        return os.environ.get(name)


class Dotenv:
    """A file ``.env`` in the folder that the kernel started in, or the nearest above it."""

    name = "dotenv"
    called = ".env"

    def available(self, host: Host) -> Optional[str]:
        """See `Place`."""
        return None if _file(host) else "not here"

    def get(self, host: Host, name: str) -> Optional[str]:
        """See `Place`; nothing in it is expanded."""
        from dotenv import dotenv_values

        path = _file(host)
        try:
            return dotenv_values(path, interpolate=False).get(name) if path else None
        except (OSError, UnicodeDecodeError):
            raise Unanswered("it cannot be read") from None


class Prompt:
    """The person who is there; what is typed is not shown, and kept for this kernel only."""

    name = "prompt"
    called = "you"

    def available(self, host: Host) -> Optional[str]:
        """See `Place`."""
        return None if host.person else "nobody is known to be there to be asked"

    def get(self, host: Host, name: str) -> Optional[str]:
        """See `Place`."""
        return ask(name)


def ask(name: str) -> Optional[str]:
    """Have a person type a secret; None where nothing was typed, or nobody can."""
    from getpass import getpass

    # In a terminal it takes the place of what was said to be going on.
    over = "\r\x1b[K" if sys.stdout.isatty() else ""
    try:
        return getpass(f"{over}{name} (not shown): ").strip() or None
    except EOFError:
        return None


def _file(host: Host) -> Optional[Path]:
    for folder in (host.start, *host.start.parents):
        path = folder / ".env"
        if path.is_file():
            return path
        if folder == Path.home() or (folder / ".git").exists():
            break  # what is above belongs to something else
    return None
