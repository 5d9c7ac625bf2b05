"""Look secrets up: in which places, in which order, and what a place promises."""

from __future__ import annotations

import os
import re
from typing import Dict, List, Optional, Sequence, Tuple

from ..core import secret_scan
from ..core.errors import SourceError, usage_error
from ..core.host import Host
from ..core.redact import register_secret
from ..core.registry import load

#: Name → class, in the order of the search: adding one is one file and one line here.
PLACES = {
    "env": "colab_magics.secret.places:Environment",
    "colab": "colab_magics.secret.places:Colab",
    "kaggle": "colab_magics.secret.places:Kaggle",
    "keyring": "colab_magics.secret.stores:Keyring",
    "file": "colab_magics.secret.stores:File",
    "dotenv": "colab_magics.secret.places:Dotenv",
    "prompt": "colab_magics.secret.places:Prompt",
}
#: Why a place of another host does not apply.
ELSEWHERE = "not here"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Unanswered(Exception):
    """A place exists but does not give the secret; the text says why, for people."""


class Place:
    """One place where secrets are stored."""

    name = ""
    #: As people call it: ``Colab's secrets``.
    label = ""

    def available(self, host: Host) -> Optional[str]:
        """Return None, or why it cannot be used here; start nothing and ask nobody."""
        return None

    def get(self, host: Host, name: str) -> Optional[str]:
        """Return the secret, None where there is none; raise `Unanswered` where it refuses."""
        raise NotImplementedError


def is_name(text: str) -> bool:
    """Tell whether this can be a secret's name, and is no secret itself: it names a variable."""
    return bool(_NAME.fullmatch(text)) and not secret_scan.find(text)


def find(
    host: Host, name: str, source: str = "auto", without: Sequence[str] = ()
) -> Tuple[str, Place]:
    """Return a secret and its place, or raise `SourceError` with the places that were searched.

    Places in ``without`` are skipped. The secret is redacted from then on.
    """
    searched: List[str] = []
    skipped: Dict[str, str] = {}
    for key in PLACES if source == "auto" else [source]:
        if key in without:
            continue
        place: Place = load(PLACES[key])()
        try:
            reason = place.available(host)
            if reason is not None:
                raise Unanswered(reason)
            secret = place.get(host, name)
        except Unanswered as error:
            skipped[place.label] = str(error)
            continue
        if secret:
            register_secret(secret)
            return secret, place
        searched.append(place.label)
    raise _missing(host, name, searched, skipped, source)


def check_name(text: str) -> str:
    """Return a name, as ``--token`` takes it, or none; ``UsageError`` where it may be a secret."""
    if text and not is_name(text):
        register_secret(text)
        raise usage_error(
            "That is not the name of a secret. If it is the secret, remove it from the cell.",
            "Store it: %secret set NAME, and name it: --token NAME",
            code="secret-value",
        )
    return text


def value(host: Host, name: str) -> str:
    """Return a secret for another magic, such as the token of ``--token NAME``."""
    return find(host, check_name(name))[0]


def _missing(
    host: Host, name: str, searched: List[str], skipped: Dict[str, str], source: str
) -> SourceError:
    if host.colab:
        hint = "On Colab: the key at the left, add it there and let this notebook see it."
    elif "KAGGLE_KERNEL_RUN_TYPE" in os.environ:
        hint = "On Kaggle: Add-ons > Secrets, add it there and attach it to this notebook."
    else:
        hint = f"Store it on this machine: %secret set {name}"
    if source == "auto":
        skipped = {label: why for label, why in skipped.items() if why != ELSEWHERE}
    else:
        hint = f"Search everywhere: take --from off the line. {hint}"
    places = f"; searched {', '.join(searched)}" if searched else ""
    details = "\n".join(f"{label}: {why}" for label, why in skipped.items())
    return SourceError(f"{name} is not set{places}.", hint, details, code="secret-missing")
