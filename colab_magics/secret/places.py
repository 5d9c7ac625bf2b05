"""Where secrets already are: the environment, Colab, Kaggle, a ``.env``, and the user's memory.

Sources: ``google.colab.userdata`` of colabtools (``get``, ``SecretNotFoundError``,
``NotebookAccessError``, ``TimeoutException`` after ten seconds where no browser answers), and
Kaggle's documentation of ``kaggle_secrets.UserSecretsClient``.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from typing import Iterator, List, Optional

from ..core.errors import NotebookError
from ..core.files import open_regular
from ..core.host import Host
from ..core.ownership import is_own, others_write
from .lookup import ELSEWHERE, Place, Unanswered

_SILENT = "they do not answer outside Colab's own page"
#: Filled where Colab did not answer in this kernel: it is not asked again, which takes ten seconds.
_TIMEOUTS: List[str] = []


class Environment(Place):
    """What the kernel was started with, or has been set since."""

    name = "env"
    label = "the environment"

    def get(self, host: Host, name: str) -> Optional[str]:
        """See `Place`."""
        return os.environ.get(name)


class Colab(Place):
    """The secrets behind the key at the left of Colab's page."""

    name = "colab"
    label = "Colab's secrets"

    def available(self, host: Host) -> Optional[str]:
        """See `Place`."""
        if not host.colab:
            return ELSEWHERE
        if not host.may_ask:
            return "no browser is open that could answer"
        return _SILENT if _TIMEOUTS else None

    def get(self, host: Host, name: str) -> Optional[str]:
        """See `Place`; Colab itself waits for at most ten seconds."""
        try:
            from google.colab import userdata

            secret = userdata.get(name)
            return None if secret is None else str(secret)
        except Exception as error:
            kind = type(error).__name__
            if kind == "SecretNotFoundError":
                return None
            if kind == "TimeoutException":
                _TIMEOUTS.append(name)
                raise Unanswered(_SILENT) from None
            if kind == "NotebookAccessError":
                raise Unanswered(
                    f"{name} is there, but this notebook may not see it: switch it on at the key"
                ) from None
            raise Unanswered(f"{kind} of Colab") from None


class Kaggle(Place):
    """Add-ons > Secrets of a Kaggle notebook."""

    name = "kaggle"
    label = "Kaggle's secrets"

    def available(self, host: Host) -> Optional[str]:
        """See `Place`."""
        return None if "KAGGLE_KERNEL_RUN_TYPE" in os.environ else ELSEWHERE

    def get(self, host: Host, name: str) -> Optional[str]:
        """See `Place`."""
        try:
            secret = import_module("kaggle_secrets").UserSecretsClient().get_secret(name)
            return None if secret is None else str(secret)
        except Exception as error:
            if "No user secrets" in str(error) or "not found" in str(error).lower():
                return None
            raise Unanswered(f"{type(error).__name__} of Kaggle") from None


class Dotenv(Place):
    """A file ``.env`` in the folder that the kernel started in, or the nearest above it.

    It counts only if this user owns it and nobody else may write it: else whoever can write one of
    these folders, such as the one for temporary files, would say what our secrets are.
    """

    name = "dotenv"
    label = ".env"

    def available(self, host: Host) -> Optional[str]:
        """See `Place`."""
        reason = ELSEWHERE
        for path in _find_dotenv(host):
            if _is_trusted(path.stat(), path.lstat()):
                return None
            if reason == ELSEWHERE:
                reason = f"{path} is another user's, or others may write it"
        return reason

    def get(self, host: Host, name: str) -> Optional[str]:
        """See `Place`; nothing in it is expanded."""
        from dotenv import dotenv_values

        try:
            for path in _find_dotenv(host):
                with open_regular(path) as plain, TextIOWrapper(plain, encoding="utf-8") as stream:
                    if _is_trusted(os.fstat(stream.fileno()), path.lstat()):
                        self.label = ".env" if path.parent == host.start else str(path)
                        return dotenv_values(stream=stream, interpolate=False).get(name)
        except (OSError, UnicodeDecodeError, NotebookError):
            raise Unanswered("it cannot be read") from None
        return None


class Prompt(Place):
    """The user, who types it: it is not shown, and set for this kernel only."""

    name = "prompt"
    label = "you"

    def available(self, host: Host) -> Optional[str]:
        """See `Place`."""
        return None if host.person else "nobody is known to be present"

    def get(self, host: Host, name: str) -> Optional[str]:
        """See `Place`."""
        return ask(name)


def ask(name: str) -> Optional[str]:
    """Have the user type a secret; None where nothing was typed, or nobody can."""
    from getpass import getpass

    # In a terminal the prompt replaces the progress message on the same line.
    clear_line = "\r\x1b[K" if sys.stdout.isatty() else ""
    try:
        return getpass(f"{clear_line}{name} (not shown): ").strip() or None
    except EOFError:
        return None


def _find_dotenv(host: Host) -> Iterator[Path]:
    for folder in (host.start, *host.start.parents):
        path = folder / ".env"
        if path.is_file():
            yield path
        if folder == Path.home() or (folder / ".git").exists():
            break  # what is above belongs to something else


def _is_trusted(file: os.stat_result, link: os.stat_result) -> bool:
    """Tell whether only this user can have written a file, and put it there if that is a link."""
    return is_own(file) and is_own(link) and not others_write(file)
