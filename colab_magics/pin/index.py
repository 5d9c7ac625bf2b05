"""What a package index has of a project, asked for as the user's pip settings say.

Source: the simple repository API in JSON and HTML (PEP 503, PEP 691), wheel names (PEP 427).
"""

import re
import sys
from dataclasses import dataclass
from functools import lru_cache
from html import unescape
from typing import TYPE_CHECKING, Dict, FrozenSet, List, Optional, Set, Tuple
from urllib.parse import urlsplit

from .pip_config import PipSettings

if TYPE_CHECKING:
    import requests
    from packaging.tags import Tag
    from packaging.version import Version


_ACCEPT = "application/vnd.pypi.simple.v1+json, text/html;q=0.2"
_TIMEOUT = (3, 5)
#: Answers of those who want a password first; they say nothing of packages.
_UNSAID = {401, 407}


class Unreachable(Exception):
    """No index answered; ``refused``: one did, and wants a password, or another one."""

    def __init__(self, hosts: str, refused: bool = False) -> None:
        super().__init__(hosts)
        self.refused = refused


@dataclass(frozen=True)
class File:
    """One file of a project: its version, whether it can be used here, its Pythons (3.x minors)."""

    version: "Version"
    fits: bool
    minors: FrozenSet[int]


def files_of(name: str, settings: PipSettings) -> List[File]:
    """All files of a project on the user's indexes and in folders; `Unreachable`: none answers."""
    import requests

    # Files of other projects among them are no harm: `_file` asks for the name.
    names = (path.name for folder in settings.folders for path in folder.iterdir())
    found: Dict[str, Optional[str]] = dict.fromkeys(names)
    reached, refused = False, False
    for base in asked(settings):
        try:
            answer = ask(base, name, settings, _TIMEOUT)
        except requests.RequestException:
            continue
        if answer.status_code in _UNSAID or answer.status_code >= 500:
            refused = refused or answer.status_code == 401
            continue
        reached = True
        try:
            found.update(_listed(answer) if answer.ok else {})
        except ValueError:
            continue  # not a page of an index
    if not reached and asked(settings):
        raise Unreachable(", ".join(map(host_of, asked(settings))), refused)
    files = (_file(name, filename, python) for filename, python in found.items())
    return [file for file in files if file is not None]


def ask(
    base: str,
    name: str,
    settings: PipSettings,
    timeout: Tuple[float, float],
    session: "Optional[requests.Session]" = None,
) -> "requests.Response":
    """The page of a project on an index, asked for as the user's settings say.

    `requests.RequestException` where it does not answer, or sends on to what is no address.
    """
    import requests
    from packaging.utils import canonicalize_name

    trusted = urlsplit(base).hostname in settings.words("trusted-host")
    proxy = settings.values.get("proxy", "").strip()
    try:
        return (session.get if session else requests.get)(
            f"{base.rstrip('/')}/{canonicalize_name(name)}/",
            headers={"Accept": _ACCEPT},
            timeout=timeout,
            proxies={"http": proxy, "https": proxy} if proxy else None,
            verify=False if trusted else settings.values.get("cert", "").strip() or True,
        )
    except ValueError:
        raise requests.exceptions.InvalidURL("no address") from None


def _listed(answer: "requests.Response") -> Dict[str, Optional[str]]:
    """File name → ``requires-python`` of an index page; withdrawn files are left out."""
    if "json" in answer.headers.get("Content-Type", ""):
        return {
            file["filename"]: file.get("requires-python")
            for file in answer.json().get("files", ())
            if not file.get("yanked")
        }
    links = re.findall(r"<a\s([^>]*)>\s*([^<]+?)\s*</a>", answer.text, flags=re.I)
    found: Dict[str, Optional[str]] = {}
    for attributes, filename in links:
        python = re.search(r"data-requires-python=[\"']([^\"']*)", attributes)
        if "data-yanked" not in attributes:
            found[filename] = unescape(python.group(1)) if python else None
    return found


def _file(name: str, filename: str, python: Optional[str]) -> Optional[File]:
    """What a file's name says, None where it is not one of this project."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet
    from packaging.utils import canonicalize_name, parse_sdist_filename, parse_wheel_filename

    try:
        if filename.endswith(".whl"):
            project, version, _, tags = parse_wheel_filename(filename)
            fits = not tags.isdisjoint(_supported())
            minors = {m for tag in tags for m in _minors(tag.interpreter, tag.abi)}
        else:
            project, version = parse_sdist_filename(filename)
            fits, minors = True, set(range(3, 30))
        allowed = SpecifierSet(python or "")
    except (ValueError, InvalidSpecifier):
        return None
    if project != canonicalize_name(name):
        return None
    here = ".".join(map(str, sys.version_info[:3]))
    minors = {minor for minor in minors if allowed.contains(f"3.{minor}.99")}
    return File(version, fits and allowed.contains(here, prereleases=True), frozenset(minors))


@lru_cache(maxsize=1)
def _supported() -> FrozenSet["Tag"]:
    """The tags that this interpreter takes, about a thousand."""
    from packaging.tags import sys_tags

    return frozenset(sys_tags())


def _minors(interpreter: str, abi: str) -> Set[int]:
    """The minor versions of Python 3 that a wheel's tag names."""
    if interpreter in {"py3", "py2.py3"}:
        return set(range(3, 30))
    found = re.fullmatch(r"(?:cp|py)3(\d+)", interpreter)
    if not found:
        return set()
    least = int(found.group(1))
    open_ended = abi == "abi3" or (abi == "none" and interpreter.startswith("py"))
    return set(range(least, 30)) if open_ended else {least}


def asked(settings: PipSettings) -> List[str]:
    """The indexes that can be asked; folders given as indexes only add to them."""
    return [url for url in settings.indexes if url.startswith(("http:", "https:"))]


def host_of(url: str) -> str:
    """The host of an address; what has none is given whole."""
    parts = urlsplit(url)
    return parts.hostname or url
