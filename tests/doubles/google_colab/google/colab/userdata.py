"""A stub of ``google.colab.userdata``, with the signature and the errors that colabtools has.

`SECRETS` maps a name to its value; to None where this notebook may not see it. `SILENT`: no browser
answers. `ASKED` are the names that were asked for.
"""

from __future__ import annotations

from typing import Dict, List, Optional

SECRETS: Dict[str, Optional[str]] = {}
SILENT = False
ASKED: List[str] = []


class SecretNotFoundError(Exception):
    """There is no secret of that name."""


class NotebookAccessError(Exception):
    """There is, and it is not switched on for this notebook."""


class TimeoutException(Exception):
    """Nobody has answered in ten seconds."""


def get(key: str) -> str:
    """The value of a secret."""
    ASKED.append(key)
    if SILENT:
        raise TimeoutException(f"Requesting secret {key} timed out.")
    if key not in SECRETS:
        raise SecretNotFoundError(f"Secret {key} does not exist.")
    value = SECRETS[key]
    if value is None:
        raise NotebookAccessError(f"Notebook does not have access to secret {key}")
    return value
