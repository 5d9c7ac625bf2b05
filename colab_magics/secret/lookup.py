"""Where secrets are looked for, in which order, and what a place promises."""

from __future__ import annotations

import os
import re
from typing import Dict, List, Optional, Protocol, Sequence, Tuple

from ..core import secret_scan
from ..core.errors import SourceError, usage_error
from ..core.host import Host
from ..core.redact import register_secret
from ..core.registry import load

#: Name → class, in the order to look: adding one is one file and one line here.
PLACES = {
    "env": "colab_magics.secret.stores:Environment",
    "colab": "colab_magics.secret.stores:Colab",
    "kaggle": "colab_magics.secret.stores:Kaggle",
    "keyring": "colab_magics.secret.stores:Keyring",
    "file": "colab_magics.secret.stores:File",
    "dotenv": "colab_magics.secret.stores:Dotenv",
    "prompt": "colab_magics.secret.stores:Prompt",
}

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Unanswered(Exception):
    """A place is there and does not give the secret; the text says why, for people."""


class Place(Protocol):
    """One place where secrets are kept."""

    name: str
    #: What people call it: ``Colab's secrets``.
    called: str

    def available(self, host: Host) -> Optional[str]:
        """None, or why it cannot be asked here. Starts nothing and asks nobody."""

    def get(self, host: Host, name: str) -> Optional[str]:
        """The secret, or None where it has none of this name; `Unanswered` where it refuses."""


class Kept(Place, Protocol):
    """A place that ``%secret set`` can keep one in."""

    def set(self, name: str, value: str) -> None:
        """Keep it, taking the place of an earlier one."""

    def delete(self, name: str) -> bool:
        """Keep it no more; whether it was there."""

    def names(self) -> List[str]:
        """Those that it has, as far as it tells."""


def is_name(text: str) -> bool:
    """Whether a secret may be called so, and it is none itself: it names a variable."""
    return bool(_NAME.fullmatch(text)) and not secret_scan.find(text)


def find(
    host: Host, name: str, source: str = "auto", without: Sequence[str] = ()
) -> Tuple[str, Place]:
    """A secret and where it was found; `SourceError` says which places were looked at.

    ``without`` are places that are not asked. It is redacted from then on.
    """
    looked: List[str] = []
    passed: Dict[str, str] = {}
    for one in [one for one in PLACES if one not in without] if source == "auto" else [source]:
        place: Place = load(PLACES[one])()
        reason = place.available(host)
        if reason is None:
            try:
                found = place.get(host, name)
            except Unanswered as error:
                reason = str(error)
            else:
                looked.append(place.called)
                if found:
                    register_secret(found)
                    return found, place
        if reason is not None:
            passed[place.called] = reason
    raise _missing(host, name, looked, passed, source)


def value(host: Host, name: str) -> str:
    """A secret for another magic, such as the token of ``--token NAME``."""
    if not is_name(name):
        register_secret(name)
        raise usage_error(
            "That is no name of a secret; if it is the secret itself, take it out of the cell.",
            "Keep it: %secret set NAME, and name it: --token NAME",
        )
    return find(host, name)[0]


def keeps(name: str = "") -> Kept:
    """The place that ``%secret set`` uses: the one named, else the best that is there."""
    for one in [name] if name else ["keyring", "file"]:
        place: Kept = load(PLACES[one])()
        reason = place.available(Host())
        if reason is None:
            return place
    raise SourceError(f"{place.called} cannot be used: {reason}.", "Take --to off the line.")


def _missing(
    host: Host, name: str, looked: List[str], passed: Dict[str, str], source: str
) -> SourceError:
    """Where was looked, what could not be asked though it might have it, and what to do here."""
    what = f"{name} is not set"
    if looked:
        what += f"; looked at {', '.join(looked)}"
    # Why a place of another host does not apply helps nobody who has not named it.
    told = [(place, why) for place, why in passed.items() if source != "auto" or why != "not here"]
    if host.colab:
        hint = "On Colab: the key at the left, add it there and let this notebook see it."
    elif "KAGGLE_KERNEL_RUN_TYPE" in os.environ:
        hint = "On Kaggle: Add-ons > Secrets, add it there and attach it to this notebook."
    else:
        hint = f"Keep it on this machine: %secret set {name}"
    if source != "auto":
        hint = f"Look everywhere: take --from off the line. {hint}"
    return SourceError(what + ".", hint, "\n".join(f"{place}: {why}" for place, why in told))
