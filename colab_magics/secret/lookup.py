"""Look secrets up: in which places, in which order, and what a place promises."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import Dict, List, Optional, Sequence, Tuple

from ..core import secret_scan
from ..core.arguments import is_near
from ..core.errors import Slip, SourceError, usage_error
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
#: The codes of the errors where a person was asked for a secret, and has not given it.
DECLINED = ("secret-late", "secret-refused")
#: The place of what a person types.
TYPED = "you"
#: Why a place of another host does not apply.
ELSEWHERE = "not here"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Unanswered(Exception):
    """A place exists but does not give the secret; the text says why, for people."""


class Declined(Unanswered):
    """A person was asked there and has not given it: nobody is asked again by a prompt."""

    def __init__(self, text: str, hint: str, code: str) -> None:
        super().__init__(text)
        self.hint, self.code = hint, code


class Place:
    """One place where secrets are stored."""

    name = ""
    #: As people call it: ``Colab's secrets``.
    label = ""

    def available(self, host: Host) -> Optional[str]:
        """Return None, or why it cannot be used here; start nothing and ask nobody."""
        return None

    def names(self, host: Optional[Host] = None) -> List[str]:
        """Return the names of those that are there, where it can list them."""
        return []

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
    declined: Optional[Declined] = None
    for key in PLACES if source == "auto" else [source]:
        if key in without or (key == "prompt" and declined):
            continue
        place: Place = load(PLACES[key])()
        try:
            reason = place.available(host)
            if reason is not None:
                raise Unanswered(reason)
            secret = place.get(host, name)
        except Unanswered as error:
            skipped[place.label] = str(error)
            declined = error if isinstance(error, Declined) else declined
            continue
        if secret:
            register_secret(secret)
            return secret, place
        searched.append(place.label)
    similar = find_similar(host, name) if source == "auto" else None
    raise _missing(host, name, searched, skipped, source, declined, similar)


def find_similar(host: Host, name: str) -> Optional[Slip]:
    """Return a name that is not set, and one that is a letter off and is; not only in a number.

    None in a setup cell: its names were right when they were recorded.
    """
    if host.context.cell_steps("secret"):
        return None
    names = {key for key, value in os.environ.items() if secret_scan.looks_secret(key, value)}
    for key in ("keyring", "file", "dotenv"):
        place: Place = load(PLACES[key])()
        with suppress(Unanswered):
            names.update(place.names(host) if place.available(host) is None else ())
    near = (other for other in sorted(names) if is_near(name, other))
    numbers = re.compile(r"\d")
    return next(((name, x) for x in near if numbers.sub("", x) != numbers.sub("", name)), None)


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
    host: Host,
    name: str,
    searched: List[str],
    skipped: Dict[str, str],
    source: str,
    declined: Optional[Declined],
    similar: Optional[Slip],
) -> SourceError:
    hint = declined.hint if declined else _advise(host, name)
    if source == "auto":
        skipped = {label: why for label, why in skipped.items() if why != ELSEWHERE}
    else:
        hint = f"Search everywhere: take --from off the line. {hint}"
    places = f"; searched {', '.join(searched)}" if searched else ""
    details = "\n".join(f"{label}: {why}" for label, why in skipped.items())
    code = declined.code if declined else "secret-missing"
    return SourceError(f"{name} is not set{places}.", hint, details, code=code, slip=similar)


def _advise(host: Host, name: str) -> str:
    """Say where to store a secret for this front end."""
    if host.colab_page:
        return "On Colab: the key at the left, add it there and let this notebook see it."
    if host.colab and not host.person:
        return f"Only Colab's own page has its secrets; elsewhere: colab exec --env {name}=..."
    if "KAGGLE_KERNEL_RUN_TYPE" in os.environ:
        return "On Kaggle: Add-ons > Secrets, add it there and attach it to this notebook."
    return f"Store it on this machine: %secret set {name}"
