"""Secrets of this process, of the project's folder, and of the person who is there."""

import os
import sys
from pathlib import Path
from typing import Iterator, Optional

from ..core.file_lock import is_own
from ..core.host import Host
from .lookup import Unanswered


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
    """A file ``.env`` in the folder that the kernel started in, or the nearest above it.

    One above counts only if this user owns it and nobody else may write it: else whoever can write
    a folder above, such as the one for temporary files, would say what our secrets are.
    """

    name = "dotenv"
    called = ".env"

    def available(self, host: Host) -> Optional[str]:
        """See `Place`."""
        bad = ""
        for path in _files(host):
            if path.parent == host.start or _is_trusted(path.stat(), path.lstat()):
                return None
            bad = bad or f"{path} is another user's, or others may write it"
        return bad or "not here"

    def get(self, host: Host, name: str) -> Optional[str]:
        """See `Place`; nothing in it is expanded."""
        from dotenv import dotenv_values

        try:
            for path in _files(host):
                with path.open(encoding="utf-8") as stream:
                    here = path.parent == host.start
                    if here or _is_trusted(os.fstat(stream.fileno()), path.lstat()):
                        self.called = ".env" if here else str(path)
                        return dotenv_values(stream=stream, interpolate=False).get(name)
        except (OSError, UnicodeDecodeError):
            raise Unanswered("it cannot be read") from None
        return None


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


def _files(host: Host) -> Iterator[Path]:
    for folder in (host.start, *host.start.parents):
        path = folder / ".env"
        if path.is_file():
            yield path
        if folder == Path.home() or (folder / ".git").exists():
            break  # what is above belongs to something else


def _is_trusted(file: os.stat_result, link: os.stat_result) -> bool:
    """Whether only this user can have written a file, and put it there if that is a link."""
    return os.name == "nt" or (is_own(file) and is_own(link) and not file.st_mode & 0o022)
