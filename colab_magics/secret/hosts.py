"""The secrets that Colab and Kaggle keep for their users.

Sources: ``google.colab.userdata`` of colabtools (``get``, ``SecretNotFoundError``,
``NotebookAccessError``, ``TimeoutException`` after ten seconds where no browser answers), and
Kaggle's documentation of ``kaggle_secrets.UserSecretsClient``.
"""

import os
from importlib import import_module
from typing import List, Optional

from ..core.host import Host
from .lookup import Unanswered


#: That Colab has not answered in this kernel: it is not asked again, which takes ten seconds.
_SILENT: List[str] = []


class Colab:
    """The key symbol at the left of Colab's page."""

    name = "colab"
    called = "Colab's secrets"

    def available(self, host: Host) -> Optional[str]:
        """See `Place`."""
        if not host.colab:
            return "not here"
        if not host.may_ask:
            return "nobody is there whose browser could answer"
        return _SILENT[-1] if _SILENT else None

    def get(self, host: Host, name: str) -> Optional[str]:
        """See `Place`; Colab itself waits for ten seconds at most."""
        try:
            from google.colab import userdata
        except ImportError:
            raise Unanswered("this Colab has no google.colab.userdata") from None
        try:
            found = userdata.get(name)
            return None if found is None else str(found)
        except Exception as error:
            kind = type(error).__name__
            if kind == "SecretNotFoundError":
                return None
            if kind == "NotebookAccessError":
                raise Unanswered(
                    f"{name} is there, but this notebook may not see it: switch it on at the key"
                ) from None
            if kind == "TimeoutException":
                _SILENT.append("they do not answer outside Colab's own page")
                raise Unanswered(_SILENT[-1]) from None
            raise Unanswered(f"{kind} of Colab") from None


class Kaggle:
    """Add-ons > Secrets of a Kaggle notebook."""

    name = "kaggle"
    called = "Kaggle's secrets"

    def available(self, host: Host) -> Optional[str]:
        """See `Place`."""
        return None if "KAGGLE_KERNEL_RUN_TYPE" in os.environ else "not here"

    def get(self, host: Host, name: str) -> Optional[str]:
        """See `Place`."""
        try:
            UserSecretsClient = import_module("kaggle_secrets").UserSecretsClient
        except ImportError:
            raise Unanswered("this Kaggle has no kaggle_secrets") from None
        try:
            found = UserSecretsClient().get_secret(name)
            return None if found is None else str(found)
        except Exception as error:
            if "No user secrets" in str(error) or "not found" in str(error).lower():
                return None
            raise Unanswered(f"{type(error).__name__} of Kaggle") from None
