"""Where an installed package came from, and what installs this one's very version elsewhere.

Source: PEP 610 (``direct_url.json``), which installers write for anything not from an index.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import NamedTuple, Optional

from .._version import __version__


class Origin(NamedTuple):
    """What a ``direct_url.json`` says; ``url`` is empty where it does not follow PEP 610.

    ``vcs``, ``commit`` and ``revision`` (the one that was requested) are of a clone.
    """

    url: str = ""
    vcs: str = ""
    commit: str = ""
    revision: Optional[str] = None
    editable: bool = False

    @property
    def source(self) -> str:
        """The URL as a requirement names it: that of a clone at its commit."""
        return f"{self.vcs}+{self.url}@{self.commit}" if self.vcs else self.url

    @property
    def folder(self) -> Path:
        """The folder that a ``file:`` URL names; installers quote the same path differently."""
        from urllib.parse import urlsplit
        from urllib.request import url2pathname

        return Path(url2pathname(urlsplit(self.url).path))


def parse_origin(text: Optional[str]) -> Optional[Origin]:
    """Read a ``direct_url.json``; None where there is none, since it came from an index."""
    if not text:
        return None
    try:
        record = json.loads(text)
        url, editable = str(record["url"]), bool(record.get("dir_info", {}).get("editable"))
        control = record.get("vcs_info")
        if not control:
            return Origin(url, editable=editable)
        vcs, commit = str(control["vcs"]), str(control["commit_id"])
        return Origin(url, vcs, commit, control.get("requested_revision"), editable)
    except (ValueError, KeyError, TypeError, AttributeError):
        return Origin()


def read_origin(distribution: metadata.Distribution) -> Optional[Origin]:
    """Read where a distribution was installed from; None: from an index."""
    return parse_origin(distribution.read_text("direct_url.json"))


def portable_requirement() -> str:
    """Return what installs this very version on any machine; empty for a local copy."""
    try:
        url = _own_source()
    except metadata.PackageNotFoundError:
        return ""
    if url is None:
        return f"colab-magics~={__version__}"
    return "" if re.match(r"([a-z]+\+)?file:", url) else url


def requirement() -> str:
    """Return what installs this very version on this machine."""
    folder = Path(__file__).resolve().parents[2]
    if (folder / "pyproject.toml").is_file():
        return str(folder)  # the checkout that this code runs from
    with suppress(metadata.PackageNotFoundError):
        url = _own_source()
        if url:
            return f"colab-magics @ {url}"
    return f"colab-magics=={__version__}"


def _own_source() -> Optional[str]:
    """Return the URL that this package was installed from, without a password, or None."""
    origin = read_origin(metadata.distribution("colab-magics"))
    return None if origin is None else re.sub(r"://[^/@]+@", "://", origin.source)
