"""Which file on GitHub people mean: by what they type, by a clone, by what is remembered."""

from __future__ import annotations

import re
from pathlib import Path
from typing import List, NamedTuple, Optional, Tuple
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from ..core.errors import usage_error
from ..core.redact import register_secret
from .address import is_ref
from .repository import open_repository

#: ``owner/name``, as GitHub allows it.
REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/(?!\.{1,2}$)[\w.-]+", re.ASCII)
_ORIGIN = re.compile(r"(?:\w+://)?(?:[^/@]+@)?github\.com[:/](.+?)(\.git)?/?")
_GIST = re.compile(r"[0-9a-f]{5,64}")


class Target(NamedTuple):
    """Where a notebook is saved. ``to``: a ``pull`` request, a ``gist``; empty: the branch."""

    repository: str = ""
    branch: str = ""
    path: str = ""
    gist: str = ""
    to: str = ""

    def encode(self) -> str:
        """Return the text for the notebook's metadata."""
        pairs = zip(self._fields, self)
        return urlencode([(key, value) for key, value in pairs if value], safe="/")

    @classmethod
    def decode(cls, text: Optional[str]) -> Target:
        """Parse that text; an empty target where it is invalid, since anybody may have written it.

        A path that is no notebook's is dropped: a notebook must not replace another file.
        """
        target = cls(**{key: value for key, value in parse_qsl(text or "") if key in cls._fields})
        valid = (
            (not target.repository or REPOSITORY.fullmatch(target.repository))
            and (not target.branch or is_ref(target.branch))
            and (not target.path or _is_path(target.path))
            and (not target.gist or _GIST.fullmatch(target.gist))
            and target.to in ("", "pull", "gist")
        )
        if not valid:
            return cls()
        return target if target.path.endswith(".ipynb") else target._replace(path="")

    @property
    def key(self) -> str:
        """Return what a person confirms: repository, branch and path, or the gist."""
        if self.to == "gist":
            return f"gist {self.gist}"
        return " ".join([self.repository.lower(), self.branch, self.path])


def find_target(file: Path) -> Optional[Target]:
    """Return where a file is on GitHub, by the clone that contains it; None where that is unknown.

    The branch is the one that is checked out, or the commit, where none is. A clone that other
    users of the machine can change is ignored.
    """
    for folder in file.parents:
        repository = open_repository(folder)
        if repository is None:
            continue
        match = _ORIGIN.fullmatch(repository.origin) if repository.closed else None
        if match is None or not REPOSITORY.fullmatch(match[1]):
            return None
        path = file.relative_to(folder).as_posix()
        return Target(match[1], repository.branch or repository.head, path)
    return None


class Source(NamedTuple):
    """A notebook to be fetched: from a repository, or from a gist.

    ``exact`` says that the ref ends where it was typed to end: a URL does not show that.
    """

    repository: str = ""
    ref: str = ""
    path: str = ""
    gist: str = ""
    exact: bool = False

    @classmethod
    def parse(cls, text: str) -> Source:
        """Parse what was typed; ``UsageError`` where it is no notebook."""
        source = _parse_url(text) if "://" in text else _parse_words(text)
        if source is None or not (source.gist or source.path.endswith(".ipynb")):
            raise usage_error(
                f"%github open: {text.partition('?')[0]} is not a notebook on GitHub.",
                "Write owner/repo/path/nb.ipynb, or the address of one on github.com.",
                code="notebook-address",
            )
        return source

    def splits(self) -> List[Tuple[str, str]]:
        """Return the refs and paths that it may mean, the shortest ref first.

        A branch may contain slashes. Without a ref it is the default branch.
        """
        if self.exact or not self.ref:
            return [(self.ref, self.path)]
        parts = self.path.split("/")
        return [
            ("/".join([self.ref, *parts[:n]]), "/".join(parts[n:]))
            for n in range(min(len(parts), 4))
        ]


def check_branch(text: str) -> str:
    """Return a branch that was typed, or none; ``UsageError`` where git would refuse it."""
    if text and not is_ref(text):
        raise usage_error(f"%github: {text} cannot be a branch.", "Check --branch.", code="branch")
    return text


def check_path(text: str) -> str:
    """Return a path in a repository that was typed, or none; ``UsageError`` for no file's."""
    if text and not _is_path(text):
        raise usage_error(
            f"%github: {text} cannot be a file of a repository.",
            "For instance: --path notebooks/nb.ipynb",
            code="path",
        )
    return text


def _is_path(path: str) -> bool:
    parts = path.split("/")
    return bool(path) and not {"", ".", "..", ".git"} & set(parts) and path.isprintable()


def _parse_words(text: str) -> Optional[Source]:
    """Parse ``owner/name/path/nb.ipynb@ref``."""
    match = re.fullmatch(r"([^/\s]+/[^/\s]+)/([^@]+\.ipynb)(?:@(\S+))?", text)
    if match is None or not REPOSITORY.fullmatch(match[1]) or not _is_path(match[2]):
        return None
    return Source(match[1], match[3] or "", match[2], exact=True)


def _parse_url(text: str) -> Optional[Source]:
    """Parse an address of GitHub, Colab or nbviewer; what follows ``?`` may be a token."""
    try:
        parts = urlsplit(text)
    except ValueError:  # brackets that are no IPv6 address
        return None
    for _, value in parse_qsl(parts.query):
        register_secret(value)
    if parts.scheme not in ("http", "https"):
        return None
    words = [unquote(word) for word in parts.path.strip("/").split("/")]
    host = (parts.hostname or "").replace("www.", "", 1)
    if host in ("colab.research.google.com", "nbviewer.org") and words[0] in ("github", "gist"):
        host, words = {"github": "github.com", "gist": "gist.github.com"}[words[0]], words[1:]
    if host in ("gist.github.com", "gist.githubusercontent.com"):
        return _parse_gist(words)
    if host == "raw.githubusercontent.com":
        words[2:2] = ["raw"]
    elif host != "github.com":
        return None
    return _parse_blob(words)


def _parse_blob(words: List[str]) -> Optional[Source]:
    """Parse ``owner/name/blob/ref/path``, or with ``refs/heads/`` before the ref."""
    if len(words) < 5 or words[2] not in ("blob", "raw", "tree", "edit"):
        return None
    rest = words[5:] if words[3:5] in (["refs", "heads"], ["refs", "tags"]) else words[3:]
    repository, path = "/".join(words[:2]), "/".join(rest[1:])
    if not REPOSITORY.fullmatch(repository) or not _is_path(path):
        return None
    return Source(repository, rest[0], path)


def _parse_gist(words: List[str]) -> Optional[Source]:
    """Parse ``user/id`` or ``id``, followed by ``raw/revision/name.ipynb`` or the name."""
    ids = [word for word in words[:2] if _GIST.fullmatch(word)]
    name = words[-1] if words[-1].endswith(".ipynb") else ""
    return Source(gist=ids[-1], path=name) if ids else None
