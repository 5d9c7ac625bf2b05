"""Google's login for a desktop program: PKCE, a redirect to this machine, and tokens by one POST.

The user brings the OAuth client. The addresses are Google's own and not those of the client's file,
which may be a stranger's. Sources: RFC 7636, RFC 8252; developers.google.com/identity, "OAuth 2.0
for iOS & Desktop Apps".
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Any, Dict, NamedTuple, Optional, Union
from urllib.parse import parse_qsl, urlencode, urlsplit

from ...core.errors import DriveError
from ...core.redact import register_secret
from .retry import Passing

AUTHORIZE = "https://accounts.google.com/o/oauth2/v2/auth"
TOKEN = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
REVOKE = "https://oauth2.googleapis.com/revoke"
#: Reading and writing all files: a smaller scope does not see what another program has uploaded.
SCOPE = "https://www.googleapis.com/auth/drive"
#: Where one makes a client.
CONSOLE = "https://console.cloud.google.com/apis/credentials"

_TEXT = re.compile(r"[\x21-\x7e]{1,4096}")
_PAGE = (
    "<!DOCTYPE html><meta charset=utf-8><title>colab_magics</title>"
    "<p>{} Go back to where you typed %drive login, and press Enter there.</p>"
)
#: Errors of Google's token server that another login does not help against.
_CLIENT_ERRORS = {"invalid_client", "unauthorized_client", "deleted_client", "disabled_client"}


@dataclass(frozen=True)
class Client:
    """An OAuth client of type "Desktop app", which is the user's own."""

    id: str
    secret: str = field(repr=False)


class Grant(NamedTuple):
    """Tokens that Google gave. ``lifetime`` and ``ends_in`` are seconds; 0: it does not end.

    ``access`` serves for ``lifetime``, ``refresh`` (empty on a refresh) for ``ends_in``.
    """

    access: str
    refresh: str
    lifetime: int
    ends_in: int
    scope: str


def read_client(text: str, name: str) -> Client:
    """Read the JSON that Google's console lets one download; ``name`` is how errors call it."""
    try:
        values = json.loads(text)
    except ValueError:
        values = None
    values = values if isinstance(values, dict) else {}
    client = values.get("installed")
    if isinstance(client, dict):
        client_id, secret = (_read_text(client.get(n)) for n in ("client_id", "client_secret"))
        if client_id and secret:
            register_secret(secret)
            return Client(client_id, secret)
    kind, code = "no OAuth client", "bad-client"
    if "web" in values:
        kind, code = 'the client of a "Web application"', "web-client"
    elif values.get("type") == "service_account":
        hint = f"To log in with it: %drive login --service-account {name}"
        raise DriveError(f"{name} is the key of a service account.", hint, code="service-account")
    hint = f'Make a client of type "Desktop app" and download its JSON: {CONSOLE}'
    raise DriveError(f"{name} is {kind}.", hint, code=code)


def _read_text(value: Any) -> str:
    """Return what is a plain word; empty for anything else."""
    return value if isinstance(value, str) and _TEXT.fullmatch(value) else ""


# ---------------------------------------------------------------------- permission
class Flow:
    """One login: the address of Google's page, what that page answers, and the tokens for it."""

    def __init__(self, client: Client, redirect: str) -> None:
        self._client, self._redirect = client, redirect
        self._state = secrets.token_urlsafe(24)
        self._verifier = secrets.token_urlsafe(64)
        register_secret(self._verifier)

    @property
    def url(self) -> str:
        """The page on which a person allows it."""
        digest = hashlib.sha256(self._verifier.encode()).digest()
        query = {
            "client_id": self._client.id,
            "redirect_uri": self._redirect,
            "response_type": "code",
            "scope": SCOPE,
            "state": self._state,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
            "access_type": "offline",
            "prompt": "consent",  # without it Google gives a refresh token the first time alone
        }
        return f"{AUTHORIZE}?{urlencode(query)}"

    def is_answer(self, address: str) -> bool:
        """Tell whether an address is that to which Google's page leads, of this login."""
        query = _read_query(address)
        is_own = hmac.compare_digest(query.get("state", ""), self._state)
        return is_own and ("code" in query or "error" in query)

    def read_code(self, address: str) -> str:
        """Return the code in the address to which Google's page has led."""
        query = _read_query(address)
        code = query.get("code", "")
        if not self.is_answer(address):
            raise DriveError(
                "That is not the address of the page that came after Google's.",
                "Run it again, and paste the address that begins with http://127.0.0.1:",
                code="wrong-address",
            )
        if query.get("error") == "access_denied":
            raise DriveError(
                "Google did not get your permission for Drive.",
                'Run it again, and allow it; while your app is in "Testing", only the test users '
                "that it names can.",
                code="no-permission",
            )
        if not _read_text(code):
            raise refused("the login", query.get("error", ""))
        register_secret(code)
        return code

    def exchange(self, code: str) -> Grant:
        """Return the tokens for a code, which serves once."""
        form = {"grant_type": "authorization_code", "code": code, "code_verifier": self._verifier}
        return _grant(self._client, {**form, "redirect_uri": self._redirect})


def _read_query(address: str) -> Dict[str, str]:
    with suppress(ValueError):
        query = dict(parse_qsl(urlsplit(address.strip()).query))
        return {name: value for name, value in query.items() if value.isascii()}
    return {}


class Receiver:
    """A server on this machine to which Google's page leads; ``address`` once it has.

    It takes only the answer of its own login: any program and any web page can send to it.
    """

    def __init__(self, client: Client) -> None:
        self.address: Optional[str] = None
        handler = type("_Handler", (_Handler,), {"receiver": self})
        # Unlike an HTTPServer it does not look up a name for this machine, which may take long.
        self._server = ThreadingTCPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.flow = Flow(client, f"http://127.0.0.1:{self._server.server_address[1]}/")

    def __enter__(self) -> Receiver:
        threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    receiver: Receiver
    timeout = 10

    def log_message(self, format: str, *words: Any) -> None:
        """Say nothing: the line would hold the code."""

    def do_GET(self) -> None:
        """Note the answer."""
        if self.receiver.flow.is_answer(self.path):
            self.receiver.address = self.path
            is_allowed = "code" in _read_query(self.path)
            page = _PAGE.format("" if is_allowed else "Google gave no permission.").encode()
            status = 200
        else:
            page, status = b"", 404
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.send_header("Referrer-Policy", "no-referrer")
        self.end_headers()
        self.wfile.write(page)


# ---------------------------------------------------------------------- tokens
def refresh(client: Client, token: str) -> Grant:
    """Return a new access token; `DriveError` with code ``login`` where Google gives none more."""
    return _grant(client, {"grant_type": "refresh_token", "refresh_token": token})


def revoke(token: str) -> bool:
    """Have Google forget a login; false where that failed."""
    try:
        return _post(REVOKE, {"token": token}) == {}
    except (Passing, DriveError):
        return False


def _grant(client: Client, form: Dict[str, str]) -> Grant:
    answer = request_tokens({"client_id": client.id, "client_secret": client.secret, **form})
    if isinstance(answer, Grant):
        return answer
    raise refused("the login", answer)


def request_tokens(form: Dict[str, str]) -> Union[Grant, str]:
    """Return the tokens for a form, or Google's word for why there are none."""
    answer = _post(TOKEN, form)
    error = answer.get("error")
    if error is not None:
        return str(error)
    access, token = (_read_text(answer.get(n)) for n in ("access_token", "refresh_token"))
    if not access:
        return "no token"
    register_secret(access)
    register_secret(token)
    values = (answer.get(name) for name in ("expires_in", "refresh_token_expires_in"))
    lifetime, ends_in = (value if isinstance(value, int) else 0 for value in values)
    return Grant(access, token, lifetime, ends_in, str(answer.get("scope", "")))


def refused(subject: str, error: Any) -> DriveError:
    """Return the error for what Google answered; ``error`` is its word for it."""
    if error in _CLIENT_ERRORS:
        return DriveError(
            "Google does not know your OAuth client any more.",
            f"See whether it is still there: {CONSOLE}. Then: %drive login --client FILE",
            code="client",
        )
    if error == "invalid_grant":
        return DriveError(
            "Google does not accept the login any more.",
            'Log in again: %drive login. An app in "Testing" loses its login after seven days; '
            "it stays once you publish the app.",
            code="login",
        )
    word = error if isinstance(error, str) and re.fullmatch(r"[a-z_ ]{1,40}", error) else "no word"
    message = f"Google refused {subject} ({word})."
    return DriveError(message, "Log in again: %drive login", code="login")


def _post(url: str, form: Dict[str, str]) -> Dict[str, Any]:
    """Send a form; return the answer, also one that is an error. `Passing` where it may pass."""
    import requests

    from ...core.web import Session, signer

    try:
        response = Session().send("POST", url, signer(None), data=form)
    except requests.exceptions.SSLError:
        hint = "Check the clock and the certificates of this machine."
        message = f"{urlsplit(url).hostname} has no valid certificate."
        raise DriveError(message, hint, code="certificate") from None
    except (requests.RequestException, OSError):
        raise Passing("Google's login server did not answer") from None
    if response.status_code == 429 or response.status_code >= 500:
        raise Passing(f"Google's login server answered {response.status_code}")
    try:
        answer = response.json()
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        message = "The answer is not from Google."
        raise DriveError(message, "Check the network, and run it again.", code="not-google")
    return answer
