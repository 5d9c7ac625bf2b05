"""Google's login: consent page, tokens and refresh; and that of a service account."""

from __future__ import annotations

import base64
import hashlib
import time
from dataclasses import dataclass
from typing import Any, Dict, Optional, Set
from urllib.parse import parse_qsl, urlencode, urlsplit

from .files import new_id
from .http import Reply, Request, json_reply

#: A token that is always taken.
TOKEN = "ya29.canary-8d3b6c" + "0" * 20
#: Whose drive it is.
ADA = "ada@example.com"
CLIENT_ID = "1234567890-fake.apps.googleusercontent.com"
CLIENT_SECRET = "GOCSPX-canary-fake-client-secret"


@dataclass
class _Grant:
    """What a person has agreed to."""

    redirect: str
    challenge: str
    scope: str
    offline: bool


class OAuth:
    """The accounts server. ``consent``: what the person answers on the page."""

    def __init__(self) -> None:
        self.consent = True
        #: Whether the app is "in testing": its refresh tokens end after a week.
        self.testing = False
        #: What the person left unticked.
        self.refused_scopes: Set[str] = set()
        #: Seconds that an access token serves.
        self.lifetime = 3600.0
        self.access: Dict[str, float] = {TOKEN: float("inf")}
        self.refresh: Dict[str, str] = {}
        self.codes: Dict[str, _Grant] = {}
        self.exchanges = self.refreshes = self.signed = 0
        #: Service accounts: address -> the certificate (PEM) of their key.
        self.service_accounts: Dict[str, bytes] = {}
        #: Token -> whose it is.
        self.emails: Dict[str, str] = {}

    def is_valid(self, token: str) -> bool:
        return time.monotonic() < self.access.get(token, 0)

    def expire(self) -> None:
        """Take no access token any more that was given before."""
        self.access.clear()

    def revoke(self) -> None:
        """Take no refresh token any more, as when the seven days of a test app are over."""
        self.refresh.clear()
        self.expire()

    def issue_refresh_token(self, scope: str = "https://www.googleapis.com/auth/drive") -> str:
        token = "1//canary-refresh-" + new_id()
        self.refresh[token] = scope
        return token

    # ------------------------------------------------------------------ answers
    def authorize(self, request: Request) -> Reply:
        """The consent page: it leads to the redirect address at once."""
        query = request.query
        redirect = urlsplit(query.get("redirect_uri", ""))
        wrong = _wrong_request(query, redirect.hostname)
        if wrong:
            return Reply(400, {"Content-Type": "text/html"}, f"Error 400: {wrong}".encode())
        answer = {"state": query["state"]} if "state" in query else {}
        if self.consent:
            code = "4/0canary-code-" + new_id()
            offline = query.get("access_type") == "offline"
            scope, challenge = query["scope"], query["code_challenge"]
            self.codes[code] = _Grant(query["redirect_uri"], challenge, scope, offline)
            answer.update(code=code, scope=scope)
        else:
            answer["error"] = "access_denied"
        path = redirect.path or "/"
        return Reply(302, {"Location": f"http://{redirect.netloc}{path}?{urlencode(answer)}"})

    def token(self, request: Request) -> Reply:
        form = dict(parse_qsl(request.body.read_all().decode()))
        if form.get("grant_type") == "urn:ietf:params:oauth:grant-type:jwt-bearer":
            return self._take_assertion(form.get("assertion", ""))
        if form.get("client_id") != CLIENT_ID or form.get("client_secret") != CLIENT_SECRET:
            return _error(401, "invalid_client", "The OAuth client was not found.")
        if form.get("grant_type") == "authorization_code":
            return self._exchange(form)
        if form.get("grant_type") == "refresh_token":
            scope = self.refresh.get(form.get("refresh_token", ""))
            if scope is None:
                return _error(400, "invalid_grant", "Token has been expired or revoked.")
            self.refreshes += 1
            return self._grant(scope)
        return _error(400, "unsupported_grant_type", "Invalid grant_type.")

    def revoke_token(self, request: Request) -> Reply:
        form = {**request.query, **dict(parse_qsl(request.body.read_all().decode()))}
        token = form.get("token", "")
        if self.refresh.pop(token, None) is None and self.access.pop(token, None) is None:
            return _error(400, "invalid_token", "Token expired or revoked")
        self.access.clear()
        return json_reply({})

    def _exchange(self, form: Dict[str, str]) -> Reply:
        grant = self.codes.pop(form.get("code", ""), None)  # a code serves once
        if grant is None:
            return _error(400, "invalid_grant", "Malformed auth code.")
        if form.get("redirect_uri") != grant.redirect:
            return _error(400, "redirect_uri_mismatch", "Bad Request")
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != grant.challenge:
            return _error(400, "invalid_grant", "Invalid code verifier.")
        self.exchanges += 1
        refresh = self.issue_refresh_token(grant.scope) if grant.offline else None
        return self._grant(grant.scope, refresh)

    def _take_assertion(self, assertion: str) -> Reply:
        """A service account: what its key has signed, as Google's own library reads it."""
        from google.auth import jwt

        try:
            email = jwt.decode(assertion, verify=False)["iss"]
            certificate = self.service_accounts[email]
            audience = "https://oauth2.googleapis.com/token"
            payload = jwt.decode(assertion, certs=certificate, audience=audience)
        except (ValueError, KeyError) as wrong:
            return _error(400, "invalid_grant", f"Invalid JWT: {wrong}")
        if payload["exp"] - payload["iat"] > 3600 or not payload.get("scope"):
            return _error(400, "invalid_grant", "Invalid JWT: too long, or without a scope")
        self.signed += 1
        return self._grant(payload["scope"], email=email)

    def issue(self, email: str = ADA) -> str:
        """Give an access token."""
        token = "ya29.canary-access-" + new_id()
        self.access[token] = time.monotonic() + self.lifetime
        self.emails[token] = email
        return token

    def _grant(self, scope: str, refresh: Optional[str] = None, email: str = ADA) -> Reply:
        token = self.issue(email)
        granted = " ".join(name for name in scope.split() if name not in self.refused_scopes)
        answer: Dict[str, Any] = {"access_token": token, "scope": granted}
        answer["expires_in"] = int(self.lifetime)
        if refresh:
            answer["refresh_token"] = refresh
            if self.testing:
                answer["refresh_token_expires_in"] = 7 * 24 * 3600 - 1
        return json_reply({**answer, "token_type": "Bearer"})


def _wrong_request(query: Dict[str, str], host: Optional[str]) -> str:
    if query.get("client_id") != CLIENT_ID:
        return "invalid_client"
    if host not in ("127.0.0.1", "localhost", "::1"):
        return "redirect_uri_mismatch"
    if query.get("response_type") != "code" or "scope" not in query:
        return "invalid_request"
    if query.get("code_challenge_method") != "S256" or len(query.get("code_challenge", "")) != 43:
        return "invalid_request"
    return ""


def _error(status: int, error: str, description: str) -> Reply:
    return json_reply({"error": error, "error_description": description}, status)
