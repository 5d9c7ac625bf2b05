"""The login of a service account: a key that signs for access tokens, without any person.

Sources: RFC 7523; developers.google.com/identity, "Using OAuth 2.0 for Server to Server
Applications". The signature is that of google-auth, which is an extra.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, field
from typing import Any

from ...core.errors import DriveError
from ...core.host import Host
from ...core.redact import register_secret
from ...secret.lookup import find, is_name
from .oauth import SCOPE, TOKEN, Grant, request_tokens

#: Names the file of a key, as for all of Google's programs, or holds its JSON.
VARIABLE = "GOOGLE_APPLICATION_CREDENTIALS"
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
#: Seconds for which a signature serves; Google takes no more.
_LIFETIME = 3600


@dataclass(frozen=True)
class Key:
    """What is needed of a key: the account's address, and the private key as PEM."""

    account: str
    private_key: str = field(repr=False)


def find_key(host: Host, name: str) -> Key:
    """Return the key that a file holds, a variable (or the file that it names), or a secret."""
    hint = "Name the JSON key of a service account, or a secret that holds it."
    if "{" in name:
        message = "The key itself does not belong in a cell: take it out, and clear the history."
        raise DriveError(message, hint, code="literal-key")
    text = os.environ.get(name, name)
    if not text.lstrip().startswith("{"):
        path = host.resolve(host.spell_typed(text))
        if text == name and is_name(name) and not path.exists():
            text = find(host, name, without=("prompt",))[0]
        else:
            try:
                text = path.read_text("utf-8")
            except (OSError, UnicodeDecodeError):
                raise DriveError(f"{name} cannot be read.", hint, code="no-file") from None
    return _read_key(text, name)


def _read_key(text: str, name: str) -> Key:
    try:
        values = json.loads(text)
        key = Key(values["client_email"], values["private_key"])
        is_key = values["type"] == "service_account"
        if not (is_key and isinstance(key.account, str) and isinstance(key.private_key, str)):
            raise ValueError
    except (ValueError, KeyError, TypeError):
        message = f"{name} is no key of a service account."
        hint = "In Google's console: the service account, Keys, Add key, JSON."
        raise DriveError(message, hint, code="bad-key") from None
    register_secret(key.private_key)
    return key


def request_grant(key: Key) -> Grant:
    """Return an access token; `retry.Passing` where it may be had by another try."""
    answer = request_tokens({"grant_type": _GRANT, "assertion": _sign(key)})
    if isinstance(answer, Grant):
        return answer
    raise DriveError(
        "Google does not accept the key of the service account.",
        "See whether it was deleted, and whether the clock is right. "
        "Then: %drive login --service-account KEY",
        code="login",
    )


def _sign(key: Key) -> str:
    try:
        from google.auth import crypt, jwt
    except ImportError:
        message = "A service account needs google-auth, which is not installed."
        raise DriveError(message, "%pip install google-auth", code="no-google-auth") from None
    now = int(time.time())
    payload = {"iss": key.account, "scope": SCOPE, "aud": TOKEN, "iat": now, "exp": now + _LIFETIME}
    try:
        signer: Any = crypt.RSASigner.from_string(key.private_key)
        signed: bytes = jwt.encode(signer, payload)
    except ValueError:
        message = "The private key of the service account is damaged."
        raise DriveError(message, "Download a new one.", code="bad-key") from None
    assertion = signed.decode()
    register_secret(assertion)
    return assertion
