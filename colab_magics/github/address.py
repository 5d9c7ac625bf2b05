"""How people name a repository on a line, and which address git is given for it."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from ..core.controls import has_controls
from ..core.errors import usage_error
from ..core.redact import register_secret, userinfo_spans
from ..core.secret_scan import find, looks_secret

_SHORT = re.compile(r"(?P<repository>[A-Za-z0-9][\w-]*/[\w.-]+?)(?P<git>\.git)?(@(?P<ref>\S+))?")
_URL = re.compile(
    r"(?P<repository>(?:https?|ssh|git|file)://(?:[^/@\s]+@)?[^@\s]+|[\w.-]+@[\w.-]+:[^@\s]+)"
    r"(@(?P<ref>\S+))?"
)
#: User names in a URL that say nothing about who it is.
_ANYBODY = ("git", "x-access-token")
#: What git accepts as the name of a ref, and could not take for an option.
_REF = re.compile(r"(?![-/.])(?!.*(\.\.|@\{|//|/\.))[^\s~^:?*\[\\]+(?<![./])")


class Address(NamedTuple):
    """A repository as it was typed (``owner/name`` is GitHub's), and the ref after ``@``."""

    repository: str
    ref: str = ""

    @classmethod
    def parse(cls, text: str) -> Address:
        """Parse what was typed; ``UsageError`` where it is no repository, or holds a password."""
        match = _SHORT.fullmatch(text) or _URL.fullmatch(text)
        if match is None or match["repository"].startswith("-"):
            raise usage_error(
                f"%github: {text} is not a repository.",
                "Write owner/name, owner/name@v1.2 or the URL of a git repository.",
                code="repository",
            )
        _refuse_secret(match["repository"])
        ref = match["ref"] or ""
        if ref and not is_ref(ref):
            raise usage_error(
                f"%github: {ref} cannot be a branch, tag or commit.", "Check it.", code="ref"
            )
        return cls(match["repository"], ref)

    @property
    def url(self) -> str:
        """Return the address for git."""
        short = _SHORT.fullmatch(self.repository)
        return f"https://github.com/{self.repository}.git" if short else self.repository

    @property
    def scheme(self) -> str:
        """Return ``https``; empty for ``git@host:path``, which is ssh."""
        return urlsplit(self.url).scheme if "://" in self.url else ""

    @property
    def host(self) -> str:
        """Return the only server that a token is sent to."""
        return urlsplit(self.url).netloc.rpartition("@")[2]

    @property
    def user(self) -> str:
        """Return the user name in the URL, with which git asks for a token."""
        return urlsplit(self.url).username or ""

    @property
    def name(self) -> str:
        """Return the folder that it is cloned into."""
        return re.sub(r"\.git$", "", re.split(r"[/:]", self.repository.rstrip("/"))[-1])


def is_ref(text: str) -> bool:
    """Tell whether git accepts this as a branch, a tag or a commit."""
    return _REF.fullmatch(text) is not None and not has_controls(text)


def _refuse_secret(url: str) -> None:
    """Raise ``UsageError`` where a URL may hold a secret: git would show it to every process.

    Servers take a token as the user name too: over http only names that say nothing are accepted.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises where it is no number, which may be a part of a password
    except ValueError:
        register_secret(url)
        raise usage_error(
            "%github: that is not a URL.", "Check its brackets.", code="url"
        ) from None
    name = parts.username if parts.scheme in ("http", "https") else ""
    secrets = [parts.password or ("" if name in _ANYBODY else name)]
    secrets += [value for key, value in parse_qsl(parts.query) if looks_secret(key, value)]
    secrets += [url] if find(unquote(url)) else []
    if any(secrets):
        for secret in filter(None, secrets):
            register_secret(secret)
        raise usage_error(
            "%github: that URL holds a password, a token or a user name; remove it from the cell.",
            "Store a token: %secret set NAME, and name it: --token NAME",
            code="secret-value",
        )


def holds_login(text: str) -> bool:
    """Tell whether a text, such as git's configuration, holds a URL with a secret in it."""
    names = (text[start:end] for start, end in userinfo_spans(text))
    return any(":" in name or name not in _ANYBODY for name in names)


def is_same(url: str, other: str) -> bool:
    """Tell whether two URLs mean one repository, whatever the protocol."""
    return _normalize(url) == _normalize(other)


def _normalize(url: str) -> str:
    text = re.sub(r"^\w+://", "", url)
    text = re.sub(r"^[^/@]+@", "", text).replace(":", "/", 1) if "@" in text else text
    host, slash, path = text.rstrip("/").partition("/")
    return host.lower() + slash + re.sub(r"\.git$", "", path)
