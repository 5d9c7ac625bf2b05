"""Where secrets already are: the environment, Colab, Kaggle, a ``.env``, and the user's memory.

Sources: ``google.colab.userdata`` of colabtools, and its request ``GetSecret``; Kaggle's
documentation of ``kaggle_secrets.UserSecretsClient``.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional

from ..core.errors import NotebookError
from ..core.files import open_regular
from ..core.host import Host
from ..core.ownership import is_own, others_write
from ..core.prompt import ask
from .lookup import ELSEWHERE, TYPED, Declined, Place, Unanswered, find_similar

#: Seconds that a person has to allow a notebook its secret, in the window of Colab's page.
PATIENCE = 120


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
        return None if host.colab_page else "only Colab's own page has them"

    def get(self, host: Host, name: str) -> Optional[str]:
        """See `Place`; `Declined` where the person does not allow it, or not in time.

        ``userdata.get`` gives up after ten seconds, while the page still waits for the person. A
        second request would open a second window there, and its answer would be another's; so the
        request is sent here, once, with more patience.
        """
        try:
            from google.colab import _message

            answer = _message.blocking_request("GetSecret", {"key": name}, timeout_sec=PATIENCE)
        except Exception as error:
            raise Unanswered(f"{type(error).__name__} of Colab") from None
        return _read_secret(name, answer)


def _read_secret(name: str, answer: Any) -> Optional[str]:
    """Return the secret in an answer of Colab's page; only a text is one."""
    if answer is None:
        raise Declined(
            "the page has not answered; it may be waiting for you to allow it",
            f"Allow it in the window that Colab shows, and run this again; or switch {name} on at "
            "the key at the left.",
            code="secret-late",
        )
    if not isinstance(answer, dict):
        raise Unanswered("its answer is not a secret")
    if not answer.get("exists"):
        return None
    if not answer.get("access"):
        raise Declined(
            f"{name} is there, but this notebook may not see it",
            f"Switch {name} on at the key at the left, and run this again.",
            code="secret-refused",
        )
    secret = answer.get("payload")
    return secret if isinstance(secret, str) else None


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
        """See `Place`."""
        return self._read(host).get(name)

    def names(self, host: Optional[Host] = None) -> List[str]:
        """See `Place`."""
        return [*self._read(host)] if host else []

    def _read(self, host: Host) -> Dict[str, Optional[str]]:
        """Return what the file says; nothing in it is expanded."""
        from dotenv import dotenv_values

        try:
            for path in _find_dotenv(host):
                with open_regular(path) as plain, TextIOWrapper(plain, encoding="utf-8") as stream:
                    if _is_trusted(os.fstat(stream.fileno()), path.lstat()):
                        self.label = ".env" if path.parent == host.start else str(path)
                        return dotenv_values(stream=stream, interpolate=False)
        except (OSError, UnicodeDecodeError, NotebookError):
            raise Unanswered("it cannot be read") from None
        return {}


class Prompt(Place):
    """The user, who types it: it is not shown, and set for this kernel only."""

    name = "prompt"
    label = TYPED

    def available(self, host: Host) -> Optional[str]:
        """See `Place`."""
        return None if host.person else "nobody is here to type it"

    def get(self, host: Host, name: str) -> Optional[str]:
        """See `Place`."""
        similar = find_similar(host, name)
        return ask_for(host, name, f"; leave it empty if you meant {similar[1]}" if similar else "")


def ask_for(host: Host, name: str, note: str = "") -> Optional[str]:
    """Have the user type a secret; None where nothing was typed, or nobody can."""
    # In a terminal the prompt replaces the progress message on the same line.
    clear_line = "\r\x1b[K" if sys.stdout.isatty() else ""
    try:
        return ask(host, f"{clear_line}{name} (not shown{note}): ", hidden=True).strip() or None
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
