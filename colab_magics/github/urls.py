"""How people name a repository, and where it is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Tuple
from urllib.parse import parse_qs, parse_qsl, unquote, urlencode, urlsplit

from ..core.controls import has_controls
from ..core.errors import usage_error
from ..core.redact import register_secret, userinfo_spans
from ..core.secret_scan import find, looks_secret
from .repository import at

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
    def read(cls, text: str) -> Address:
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
        register_secret(url)
        raise usage_error("%github: that is no URL.", "Check its brackets.") from None
    name = parts.username if parts.scheme in ("http", "https") else ""
    secrets = [parts.password or ("" if name in _NAMES else name)]
    secrets += [value for key, value in parse_qsl(parts.query) if looks_secret(key, value)]
    secrets += [url] if find(unquote(url)) else []
    if any(secrets):
        for secret in filter(None, secrets):
            register_secret(secret)
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


# ---------------------------------------------------------------------- target
# Which file on GitHub people mean: by what they type, by a ``.git``, by what is remembered.

#: ``owner/name``, as GitHub allows it.
REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/(?!\.{1,2}$)[\w.-]+", re.ASCII)
_BRANCH = re.compile(r"(?![-/.])(?!.*(\.\.|@\{|//|/\.))[^\s~^:?*\[\\\x00-\x20]+(?<![./])")
_ORIGIN = re.compile(r"(?:\w+://)?(?:[^/@]+@)?github\.com[:/](.+?)(\.git)?/?")
_GIST = re.compile(r"[0-9a-f]{5,64}")
_KEYS = ("repository", "branch", "path", "gist", "to")


class Target(NamedTuple):
    """Where a notebook is saved. ``to``: a ``pull`` request, a ``gist``; empty: the branch."""

    repository: str = ""
    branch: str = ""
    path: str = ""
    gist: str = ""
    to: str = ""

    def encode(self) -> str:
        """The text that is kept in the notebook's metadata."""
        return urlencode([(k, v) for k, v in zip(_KEYS, self) if v], safe="/")

    @classmethod
    def decode(cls, text: Optional[str]) -> Target:
        """What was kept; empty where that is no target, since anybody may have written it.

        A path that is no notebook's is left out: a notebook is not to replace another file.
        """
        found: Dict[str, str] = {k: v for k, v in parse_qsl(text or "") if k in _KEYS}
        made = cls(**found)
        fits = (
            (not made.repository or REPOSITORY.fullmatch(made.repository))
            and (not made.branch or _is_branch(made.branch))
            and (not made.path or _fits(made.path))
            and (not made.gist or _GIST.fullmatch(made.gist))
        )
        if not fits or made.to not in ("", "pull", "gist"):
            return cls()
        return made if made.path.endswith(".ipynb") else made._replace(path="")

    @property
    def key(self) -> str:
        """What a person is asked about: the repository, its branch and the path, or the gist."""
        place = " ".join([self.repository.lower(), self.branch, self.path])
        return f"gist {self.gist}" if self.to == "gist" else place

    @property
    def shown(self) -> str:
        """As people name it."""
        return f"{self.repository}, branch {self.branch}"


class Source(NamedTuple):
    """A notebook to be fetched: of a repository (what stands behind ``blob/``), or of a gist."""

    repository: str = ""
    ref: str = ""
    path: str = ""
    gist: str = ""
    #: Whether it was typed where the ref ends.
    exact: bool = False

    @classmethod
    def read(cls, text: str) -> Source:
        """What was typed; ``UsageError`` where it names no notebook."""
        found = _of_url(text) if "://" in text else _of_words(text)
        if found is None or not (found.gist or found.path.endswith(".ipynb")):
            raise usage_error(
                f"%github open: {_bare(text)} names no notebook on GitHub.",
                "Such as: owner/repo/path/nb.ipynb, or the address of one on github.com",
            )
        return found

    def splits(self) -> List[Tuple[str, str]]:
        """The refs and paths that this may mean: a branch may hold slashes, and a URL shows none.

        The shortest ref comes first. Without a ref it is the default branch.
        """
        if self.exact or not self.ref:
            return [(self.ref, self.path)]
        parts = self.path.split("/")
        return [
            ("/".join([self.ref, *parts[:n]]), "/".join(parts[n:]))
            for n in range(min(len(parts), 4))
        ]

    @property
    def name(self) -> str:
        """The file's name; empty where only the gist knows it."""
        return self.path.rpartition("/")[2]


def check_branch(text: str) -> str:
    """A branch that was typed, or none; ``UsageError`` where git would not have it."""
    if text and not _is_branch(text):
        raise usage_error(f"%github: {text} cannot be the name of a branch.", "Check --branch.")
    return text


def check_path(text: str) -> str:
    """A path in a repository that was typed, or none; ``UsageError`` where it can be no file."""
    if text and not _fits(text):
        raise usage_error(
            f"%github: {text} can be no file of a repository.", "Such as: --path notebooks/nb.ipynb"
        )
    return text


def in_folder(file: Path) -> Optional[Target]:
    """Where a file is on GitHub, by the clone that it lies in; None where that is not known.

    The branch is the one that is checked out, or the commit, where none is. A clone that other
    users of the machine can change says nothing.
    """
    for folder in file.parents:
        found = at(folder)
        if found is None:
            continue
        origin = _ORIGIN.fullmatch(found.origin or "") if found.closed else None
        if origin is None or not REPOSITORY.fullmatch(origin[1]):
            return None
        path = file.relative_to(folder).as_posix()
        return Target(origin[1], found.branch or found.head, path)
    return None


def _is_branch(text: str) -> bool:
    return _BRANCH.fullmatch(text) is not None and not has_controls(text)


def _fits(path: str) -> bool:
    parts = path.split("/")
    return bool(path) and not {"", ".", "..", ".git"} & set(parts) and path.isprintable()


def _of_words(text: str) -> Optional[Source]:
    """``owner/name/path/nb.ipynb@ref``."""
    found = re.fullmatch(r"([^/\s]+/[^/\s]+)/([^@]+\.ipynb)(?:@(\S+))?", text)
    if found is None or not REPOSITORY.fullmatch(found[1]) or not _fits(found[2]):
        return None
    return Source(found[1], found[3] or "", found[2], exact=True)


def _of_url(text: str) -> Optional[Source]:
    """An address as GitHub, Colab or nbviewer show it; what follows ``?`` may be a token."""
    try:
        parts = urlsplit(text)
    except ValueError:  # brackets that are no IPv6 address
        return None
    for values in parse_qs(parts.query).values():
        for value in values:
            register_secret(value)
    if parts.scheme not in ("http", "https"):
        return None
    words = [unquote(word) for word in parts.path.strip("/").split("/")]
    host = (parts.hostname or "").replace("www.", "", 1)
    if host in ("colab.research.google.com", "nbviewer.org") and words[0] in ("github", "gist"):
        host, words = {"github": "github.com", "gist": "gist.github.com"}[words[0]], words[1:]
    if host in ("gist.github.com", "gist.githubusercontent.com"):
        return _of_gist(words)
    if host == "raw.githubusercontent.com":
        words[2:2] = ["raw"]
    elif host != "github.com":
        return None
    return _of_blob(words)


def _of_blob(words: List[str]) -> Optional[Source]:
    """``owner/name/blob/ref/path``, or ``refs/heads/`` before the ref."""
    if len(words) < 5 or words[2] not in ("blob", "raw", "tree", "edit"):
        return None
    rest = words[5:] if words[3:5] in (["refs", "heads"], ["refs", "tags"]) else words[3:]
    repository, path = "/".join(words[:2]), "/".join(rest[1:])
    if not REPOSITORY.fullmatch(repository) or not _fits(path):
        return None
    return Source(repository, rest[0], path)


def _of_gist(words: List[str]) -> Optional[Source]:
    """``user/id``, ``id``, and behind them ``raw/revision/name.ipynb`` or the name."""
    ids = [word for word in words[:2] if _GIST.fullmatch(word)]
    name = words[-1] if words[-1].endswith(".ipynb") else ""
    return Source(gist=ids[-1], path=name) if ids else None


def _bare(text: str) -> str:
    return text.partition("?")[0]
