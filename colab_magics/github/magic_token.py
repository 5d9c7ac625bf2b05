"""Which token GitHub is asked with."""

from __future__ import annotations

from typing import Any, Callable, Optional

from ..core.errors import SourceError
from ..core.host import Host
from ..extension.output import confirm
from ..secret.lookup import DECLINED, PLACES, find, value
from .api import Api, Refused

#: The secrets that may hold the token, in this order.
TOKENS = ("GH_TOKEN", "GITHUB_TOKEN")


def sign_in(host: Host, name: str = "", ask: bool = True) -> Api:
    """Return GitHub with the token of this name, else of the usual ones; a person is asked last.

    With ``ask`` false nobody is asked: a typing error in a name is no reason to ask for a token. A
    person also confirms a token of a ``.env``, which may have come with the notebook: it would save
    to the account of whoever wrote it.
    """
    if name:
        return Api(value(host, name), name)
    declined: Optional[SourceError] = None
    for place in PLACES:
        for token in TOKENS if place != "prompt" else ():
            if declined is not None and place == "colab":  # one window is enough
                continue
            try:
                secret = find(host, token, place)[0]
            except SourceError as error:
                declined = error if error.code in DECLINED else declined
                continue
            if place != "dotenv" or (ask and confirm(host, f"Use {token} of the file .env here?")):
                return Api(secret, token)
    if declined is not None:
        raise declined
    source = "auto" if ask else "env"
    return Api(find(host, TOKENS[0], source, without=["dotenv"])[0], TOKENS[0])


def call_api(host: Host, name: str, call: Callable[[Api], Any]) -> Any:
    """Return what a call gives; unless a token is named, first without one, then with one."""
    if name:
        return call(sign_in(host, name))
    try:
        return call(Api())
    except Refused as refused:
        if refused.status not in (401, 403, 404, 429):
            raise
        try:
            api = sign_in(host, ask=False)
        except SourceError:
            raise refused from None
    return call(api)
