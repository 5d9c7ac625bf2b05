"""How people name a repository, and where it is."""

import re
from typing import NamedTuple, Optional
from urllib.parse import parse_qsl, unquote, urlsplit

from ..core.errors import hide, usage_error, userinfo_spans
from ..core.secret_scan import find, looks_secret


_SHORT = re.compile(r"(?P<repository>[A-Za-z0-9][\w-]*/[\w.-]+?)(?P<git>\.git)?(@(?P<ref>\S+))?")
_URL = re.compile(
    r"(?P<repository>(?:https?|ssh|git|file)://(?:[^/@\s]+@)?[^@\s]+|[\w.-]+@[\w.-]+:[^@\s]+)"
    r"(@(?P<ref>\S+))?"
)
#: Before the host of a URL these stand for anybody.
_NAMES = ("git", "x-access-token")
#: What git itself refuses in the name of a ref, and what would be an option.
_REF = re.compile(r"(?!-)(?!.*(\.\.|@\{|//))[^\s~^:?*\[\\]+(?<![./])")


class Address(NamedTuple):
    """A repository as it was typed (``owner/name`` is GitHub's), and the ref behind ``@``."""

    repository: str
    ref: str = ""

    @classmethod
    def read(cls, text: str) -> "Address":
        """What was typed; ``UsageError`` where it names no repository, or holds a password."""
        found = _SHORT.fullmatch(text) or _URL.fullmatch(text)
        if found is None or found["repository"].startswith("-"):
            raise usage_error(
                f"%github: {text} names no repository.", "Such as: owner/name@v1.2, or a git URL"
            )
        _check(found["repository"])
        ref = found["ref"] or ""
        if ref and not _REF.fullmatch(ref):
            raise usage_error(f"%github: {ref} cannot be the name of a ref.", "Check it.")
        return cls(found["repository"], ref)

    @property
    def url(self) -> str:
        """What git is given."""
        return f"https://github.com/{self.repository}.git" if self.short else self.repository

    @property
    def short(self) -> bool:
        """Whether it is ``owner/name``, of GitHub."""
        return _SHORT.fullmatch(self.repository) is not None

    @property
    def scheme(self) -> str:
        """``https``; empty for ``git@host:path``, which is ssh."""
        return urlsplit(self.url).scheme if "://" in self.url else ""

    @property
    def host(self) -> str:
        """Where a token is sent, and nowhere else."""
        return urlsplit(self.url).netloc.rpartition("@")[2]

    @property
    def user(self) -> str:
        """The name before the host, which a token is asked for with."""
        return urlsplit(self.url).username or ""

    @property
    def name(self) -> str:
        """The folder that it is cloned into."""
        return re.sub(r"\.git$", "", re.split(r"[/:]", self.repository.rstrip("/"))[-1])


def _check(url: str) -> None:
    """``UsageError`` where a URL is none, or where a secret may stand in it: git would be given it.

    Servers take a token as the name too, so that over http only names that say nothing are let in.
    """
    try:
        parts = urlsplit(url)
        port = parts.port  # noqa: F841 - it raises where it is none: part of a password perhaps
    except ValueError:
        hide(url)
        raise usage_error("%github: that is no URL.", "Check its brackets.") from None
    name = parts.username if parts.scheme in ("http", "https") else ""
    secrets = [parts.password or ("" if name in _NAMES else name)]
    secrets += [value for key, value in parse_qsl(parts.query) if looks_secret(key, value)]
    secrets += [url] if find(unquote(url)) else []
    if any(secrets):
        for secret in filter(None, secrets):
            hide(secret)
        raise usage_error(
            "%github: that URL holds a password, a token or a name; take it out of the cell.",
            "Keep a token: %secret set NAME, and name it: --token NAME",
        )


def holds_login(text: str) -> bool:
    """Tell whether a text, such as a configuration of git's, holds a URL with a secret in it."""
    names = (text[start:end] for start, end in userinfo_spans(text))
    return any(":" in name or name not in _NAMES for name in names)


def same(one: Optional[str], other: str) -> bool:
    """Whether two URLs mean one repository, by whichever protocol."""
    return one is not None and _plain(one) == _plain(other)


def _plain(url: str) -> str:
    text = re.sub(r"^\w+://", "", url)
    text = re.sub(r"^[^/@]+@", "", text).replace(":", "/", 1) if "@" in text else text
    host, slash, path = text.rstrip("/").partition("/")
    return host.lower() + slash + re.sub(r"\.git$", "", path)
