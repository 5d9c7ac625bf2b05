"""Who is logged in to Google Drive: ``%drive login``, ``logout`` and ``whoami``.

What is stored is a refresh token, in a file of the user's that nobody else can read. Access tokens
are in memory alone. On Colab's page Colab itself logs in, and nothing is stored but that.
"""

from __future__ import annotations

import json
import os
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Literal, Optional, Tuple

from ...core.display import Link, Report, amount, duration
from ...core.errors import DriveError
from ...core.files import read_own, save
from ...core.folders import user_path
from ...core.host import Host
from ...core.ownership import make_private
from ...core.prompt import ask
from ...core.redact import register_secret
from ...core.steps import Progress
from ..providers import LOGIN_FILE
from .oauth import CONSOLE, SCOPE, Client, Grant, Receiver, read_client, refresh, refused, revoke
from .retry import FIRST_TRIES, Backoff

if TYPE_CHECKING:
    pass

#: Names the file of an OAuth client, or holds its JSON.
VARIABLE = "COLAB_MAGICS_GOOGLE_CLIENT"
#: Seconds before its end at which an access token is renewed.
_MARGIN = 120
#: Seconds for which a token of Colab's is taken before another one is asked for.
_COLAB_LIFETIME = 1800
#: How often Enter may be pressed before Google's page has led here.
_PROMPTS = 3
#: Access tokens of this process, by what they were had for, with the time that each ends at.
_ACCESS: Dict[str, Tuple[str, float]] = {}


@dataclass(frozen=True)
class Login:
    """A login that is stored; of ``colab`` Colab has the tokens, for ``service`` a key signs."""

    kind: Literal["user", "colab", "service"]
    account: str
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)
    private_key: str = field(default="", repr=False)

    @property
    def client(self) -> Client:
        """The client that it was made with."""
        return Client(self.client_id, self.client_secret)

    def token(self, renew: bool = False) -> str:
        """Return an access token; with ``renew``, another one than before.

        `DriveError`; `retry.Passing` where it may be had by another try.
        """
        key = self.refresh_token or self.private_key or self.kind
        token, end = _ACCESS.get(key, ("", 0.0))
        if renew or time.monotonic() >= end:
            if self.kind == "colab":
                token, lifetime = _colab_token(), _COLAB_LIFETIME
            else:
                grant = self._request_grant()
                token, lifetime = grant.access, grant.lifetime
            _remember(key, token, lifetime)
        return token

    def _request_grant(self) -> Grant:
        if self.kind == "user":
            return refresh(self.client, self.refresh_token)
        from .service_account import Key, request_grant

        return request_grant(Key(self.account, self.private_key))


def _remember(key: str, token: str, lifetime: int) -> None:
    register_secret(token)
    _ACCESS[key] = token, time.monotonic() + lifetime - _MARGIN


# ---------------------------------------------------------------------- for transfers
def load() -> Optional[Login]:
    """Return the stored login; `NotOwn` where others can write it, `DriveError` for a bad file."""
    try:
        values = json.loads(read_own(_place()))
        stored = Login(**values)
        if not all(isinstance(value, str) for value in asdict(stored).values()):
            raise TypeError
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        message = "The stored login cannot be read."
        raise DriveError(
            message, "Log in again: %drive login --client FILE", code="login"
        ) from None
    for secret in (stored.client_secret, stored.refresh_token, stored.private_key):
        register_secret(secret)
    return stored


def _place() -> Path:
    return user_path("config", LOGIN_FILE)


def _store(login: Login) -> str:
    """Store a login once Drive has answered to it; return the account."""
    account, place = _request_about(login)["account"], _place()
    make_private(place.parent)
    save(place, json.dumps(asdict(replace(login, account=account)), indent=1))
    return account


# ---------------------------------------------------------------------- the commands
def login(host: Host, client: str, progress: Progress) -> Report:
    """Log a person in, and store it; ``client`` names the file of an OAuth client, or is empty.

    Nothing is stored before Drive has answered. `DriveError` with code ``no-person`` where nobody
    is there.
    """
    if host.colab_page and not client and _has_colab_auth():
        return _login_on_colab(progress)
    chosen = _find_client(host, client)
    if not host.person:
        raise _nobody()
    grant = _request_grant(host, chosen, progress)
    if not grant.refresh:
        raise refused("the login", "no token")
    if SCOPE not in grant.scope.split():
        raise DriveError(
            "The login does not allow files to be read and written.",
            "Log in again, and tick the box for Google Drive: %drive login",
            code="scope",
        )
    _remember(grant.refresh, grant.access, grant.lifetime)
    account = _store(Login("user", "", chosen.id, chosen.secret, grant.refresh))
    lines = [f"Logged in to Google Drive as {account}; stored for you alone, on this machine"]
    if grant.ends_in:
        end = duration(-(-grant.ends_in // 3600) * 3600)
        lines.append(
            f"Google ends it in {end}, since your app is in Testing; it stays once you publish the "
            f"app: {CONSOLE}/consent"
        )
    return Report(tuple(lines))


def login_as_service(host: Host, name: str) -> Report:
    """Log a service account in by its key, and store it: a file, a variable or a secret."""
    from .service_account import find_key

    key = find_key(host, name)
    account = _store(Login("service", key.account, private_key=key.private_key))
    return Report(
        (
            f"Logged in to Google Drive as {account}; its key is stored for you alone",
            "drive: has what was shared with that address, and its shared drives",
        )
    )


def logout() -> Report:
    """Forget the login here, and have Google forget it."""
    stored = load()
    if stored is None:
        return Report(("Nobody is logged in to Google Drive",))
    _ACCESS.clear()
    is_revoked = not stored.refresh_token or revoke(stored.refresh_token)
    with suppress(FileNotFoundError):
        _place().unlink()
    line = f"Logged out of Google Drive: {stored.account}"
    if is_revoked:
        return Report((line,))
    more = "Google did not answer; see that it is gone: https://myaccount.google.com/connections"
    return Report((line, more))


def whoami() -> Report:
    """Show who is logged in, and how much space is left."""
    stored = load()
    if stored is None:
        return Report(("Nobody is logged in to Google Drive. Log in: %drive login",))
    about = _request_about(stored)
    return Report((f"{about['account']}: {about['space']}",))


def _request_about(stored: Login) -> Dict[str, str]:
    """Return the account and its space as Drive says them."""
    from .api import Api  # it takes a tenth of a second to import

    api = Api(stored.token, threading.Event())
    params = {"fields": "user(emailAddress),storageQuota(limit,usage)"}
    answer = api.call("GET", "/drive/v3/about", params).json
    user, quota = (answer.get(name) for name in ("user", "storageQuota"))
    user, quota = (part if isinstance(part, dict) else {} for part in (user, quota))
    usage, limit = (str(quota.get(name, "")) for name in ("usage", "limit"))
    used = amount(float(usage)) if usage.isdigit() else "?"
    of_all = f" of {amount(float(limit))}" if limit.isdigit() else ""
    return {"account": str(user.get("emailAddress", "?")), "space": f"{used}{of_all} used"}


# ---------------------------------------------------------------------- a client of the user's
def _find_client(host: Host, typed: str) -> Client:
    """Return the client of a file, of the environment, or of the login before."""
    text = os.environ.get(VARIABLE, "")
    if not typed and text.lstrip().startswith("{"):
        return read_client(text, VARIABLE)
    if typed or text:
        name = typed or text
        try:
            return read_client(host.resolve(host.spell_typed(name)).read_text("utf-8"), name)
        except (OSError, UnicodeDecodeError):
            message = f"{name} cannot be read."
            raise DriveError(message, "Name the JSON of an OAuth client.", code="no-file") from None
    with suppress(DriveError):
        stored = load()
        if stored and stored.client_id:
            return stored.client
    raise DriveError(
        "Google wants an OAuth client of your own to log in with.",
        f'Make one of type "Desktop app" and download its JSON: {CONSOLE}. '
        "Then: %drive login --client FILE",
        code="no-client",
    )


def _nobody() -> DriveError:
    return DriveError(
        "Nobody is there to log in to Google Drive.",
        "Run it where you can type: in your notebook, or in a terminal.",
        code="no-person",
    )


def _request_grant(host: Host, client: Client, progress: Progress) -> Grant:
    """Have a person allow it on Google's page; return the tokens."""
    with Receiver(client) as receiver:
        flow = receiver.flow
        progress(
            Report(
                (
                    "Open this page, and allow access to Google Drive:",
                    Link(flow.url),
                    "If the page after it cannot be opened, copy its address "
                    "(http://127.0.0.1:…) and paste it here",
                )
            )
        )
        address = ""
        for _ in range(_PROMPTS):
            try:
                typed = ask(host, "Enter when done, or that address (not shown): ", hidden=True)
            except EOFError:
                raise _nobody() from None
            address = typed.strip() or receiver.address or ""
            if address:
                break
    code = flow.read_code(address)
    progress("asking Google for the login")
    backoff = Backoff(threading.Event(), progress, FIRST_TRIES)
    return backoff.run(lambda: flow.exchange(code))


# ---------------------------------------------------------------------- on Colab
def _has_colab_auth() -> bool:
    try:
        return all(find_spec(name) for name in ("google.colab", "google.auth"))
    except ModuleNotFoundError:
        return False


def _login_on_colab(progress: Progress) -> Report:
    from google.colab import auth

    progress("waiting for your permission in the browser")
    try:
        auth.authenticate_user()
    except Exception as error:
        message = "Google did not get your permission for Drive."
        hint = "Run it again, and tick every box in Google's window."
        details = f"{type(error).__name__}: {error}"
        raise DriveError(message, hint, details, code="no-permission") from None
    stored = Login("colab", "")
    _ACCESS.pop(stored.kind, None)
    account = _store(stored)
    return Report((f"Logged in to Google Drive as {account}, until this machine ends",))


def _colab_token() -> str:
    """Return a new token of Colab's."""
    try:
        import google.auth
        from google.auth.transport.requests import Request

        credentials: Any = google.auth.default(scopes=[SCOPE])[0]
        credentials.refresh(Request())
        return str(credentials.token)
    except Exception as error:
        message = "Colab does not give a login any more."
        details = f"{type(error).__name__}: {error}"
        raise DriveError(message, "Log in again: %drive login", details, code="login") from None
