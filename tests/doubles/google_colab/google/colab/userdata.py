"""A stub of ``google.colab.userdata``, with the signature and the errors that colabtools has.

The page is asked, by the real protocol: see ``_message.py``, and `support.colab_page` for a page.
"""

from __future__ import annotations

from . import _message

#: Seconds until it gives up, while the page goes on waiting for the person.
PATIENCE = 10.0


class SecretNotFoundError(Exception):
    """There is no secret of that name."""


class NotebookAccessError(Exception):
    """There is, and it is not switched on for this notebook."""


class TimeoutException(Exception):
    """Nobody has answered in time."""


def get(key: str) -> str:
    """Return the value of a secret."""
    answer = _message.blocking_request("GetSecret", request={"key": key}, timeout_sec=PATIENCE)
    if not answer:
        raise TimeoutException(f"Requesting secret {key} timed out.")
    if not answer.get("exists", False):
        raise SecretNotFoundError(f"Secret {key} does not exist.")
    if not answer.get("access", False):
        raise NotebookAccessError(f"Notebook does not have access to secret {key}")
    value: str = answer.get("payload", "")
    return value
