"""Keyrings that do not do what they promise, for ``PYTHON_KEYRING_BACKEND``."""

from __future__ import annotations

import threading
from typing import Optional

from keyring.backend import KeyringBackend


class Swallows(KeyringBackend):  # type: ignore[misc, unused-ignore]
    """Takes all, says nothing, and has nothing."""

    priority = -1  # type: ignore[assignment, unused-ignore] # no other test is to find it

    def get_password(self, service: str, username: str) -> Optional[str]:
        """Nothing."""
        return None

    def set_password(self, service: str, username: str, password: str) -> None:
        """As if it were kept."""

    def delete_password(self, service: str, username: str) -> None:
        """As if it had been there."""


class Silent(Swallows):
    """Never answers, as one that waits to be unlocked."""

    def get_password(self, service: str, username: str) -> Optional[str]:
        """Says in the pipe ``asked``, of the working directory, that it was asked."""
        with open("asked", "w"):
            pass
        threading.Event().wait()
        return None
