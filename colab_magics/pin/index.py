"""What a package index has of a project, asked for as the user's pip settings say.

Sources: the simple repository API in JSON and HTML (PEP 503, PEP 691), and its ``size`` (PEP 700).
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections import deque
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from html import unescape
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, Deque, Dict, FrozenSet, List, Optional, Sequence, Set, Tuple
from urllib.parse import urlsplit

from .pip_config import PipSettings
from .plan import Item, Plan
from .wheels import parse_file_name

if TYPE_CHECKING:
    import requests
    from packaging.version import Version

_ACCEPT = "application/vnd.pypi.simple.v1+json, text/html;q=0.2"
_TIMEOUT = (3, 5)
#: Answers of those who want a password first; they say nothing of packages.
_UNSAID = {401, 407}

#: Seconds for all sizes.
PATIENCE = 2.0
#: Pages of an index that are asked for at once.
_AT_ONCE = 16
_OF_UV = ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_EXTRA_INDEX", "UV_FIND_LINKS")
#: File name and size, as one place has them.
_Files = List[Tuple[str, int]]


class Unreachable(Exception):
    """No index answered; ``refused``: one did, and wants a password, or another one."""

    def __init__(self, hosts: str, refused: bool = False) -> None:
        super().__init__(hosts)
        self.refused = refused


@dataclass(frozen=True)
class File:
    """One file of a project: its version, whether it can be used here, its Pythons (3.x minors)."""

    version: Version
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
    session: Optional[requests.Session] = None,
) -> requests.Response:
    """The page of a project on an index, asked for as the user's settings say.

    `requests.RequestException` where it does not answer, or sends on to what is no address. Not
    by `core.web.Session`: pip asks an index with the login of ``~/.netrc`` and follows redirects
    as ``requests`` does, and what pip reaches is to be reached here.
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


def asked(settings: PipSettings) -> List[str]:
    """The indexes that can be asked; folders given as indexes only add to them."""
    return [url for url in settings.indexes if url.startswith(("http:", "https:"))]


def host_of(url: str) -> str:
    """The host of an address; what has none is given whole."""
    parts = urlsplit(url)
    return parts.hostname or url


def _listed(answer: requests.Response) -> Dict[str, Optional[str]]:
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
    from packaging.utils import canonicalize_name

    try:
        parts = parse_file_name(filename)
        allowed = SpecifierSet(python or "")
    except (ValueError, InvalidSpecifier):
        return None
    if parts.project != canonicalize_name(name):
        return None
    if parts.tags is None:
        minors = set(range(3, 30))
    else:
        minors = {m for tag in parts.tags for m in _minors(tag.interpreter, tag.abi)}
    minors = {minor for minor in minors if allowed.contains(f"3.{minor}.99")}
    here = ".".join(map(str, sys.version_info[:3]))
    fits = parts.rank() is not None and allowed.contains(here, prereleases=True)
    return File(parts.version, fits, frozenset(minors))


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


# ---------------------------------------------------------------------- sizes of files
def with_sizes(plan: Plan, settings: PipSettings, first: Sequence[str], version: str = "") -> Plan:
    """The plan with the sizes that can be had in time, ``first`` those of these names.

    ``version`` is that of the Python that it is for, where that is another one than this.

    Without them where a file may come from a place that is not asked here. A size that no index
    says is left out, and one that two say differently: nothing is guessed, and nothing here fails.
    """
    bases = asked(settings)
    if not bases or _elsewhere(settings):
        return plan
    until = time.monotonic() + PATIENCE
    open_ = [i.name for i in plan.values() if not i.cached and not _here(i, settings, version)]
    heard: Dict[str, Future[_Files]] = {name: Future() for name in open_}
    left = deque(sorted(heard, key=lambda name: name not in first))
    for _ in range(min(_AT_ONCE, len(left))):  # daemons: a page that never ends holds nobody up
        Thread(target=_fetch, args=(left, heard, bases, settings), daemon=True).start()
    found = dict(plan)
    for name, files in heard.items():
        with suppress(Exception):
            known = files.result(max(0.0, until - time.monotonic()))
            size = _chosen(plan[name], known, version)
            found[name] = replace(plan[name], size=size)
    return found


def _elsewhere(settings: PipSettings) -> bool:
    """Whether there are places with a password, that are no index, or that only uv knows of."""
    return (
        any(urlsplit(url).username is not None for url in settings.indexes)
        or any(not url.startswith(("http:", "https:")) for url in settings.indexes)
        or "://" in settings.values.get("find-links", "")
        or bool(settings.words("no-binary") or settings.words("only-binary"))
        or any(name.startswith(_OF_UV) for name in os.environ)
    )


def _fetch(
    left: Deque[str], heard: Dict[str, Future[_Files]], bases: List[str], settings: PipSettings
) -> None:
    """Ask the indexes for one project after another, until none is left."""
    import requests

    with suppress(IndexError), requests.Session() as session:  # its connections are used again
        while True:
            name = left.popleft()
            try:
                pages = [_page(base, name, settings, session) for base in bases]
                heard[name].set_result([one for page in pages for one in page])
            except Exception as error:
                heard[name].set_exception(error)


def _page(base: str, name: str, settings: PipSettings, session: requests.Session) -> _Files:
    """The files of a project on one index, as far as it says their sizes."""
    answer = ask(base, name, settings, (PATIENCE, PATIENCE), session)
    if answer.status_code == 404 or "json" not in answer.headers.get("Content-Type", ""):
        return []
    entries: List[Dict[str, Any]] = answer.json().get("files", [])
    return [(one["filename"], one["size"]) for one in entries if "size" in one]


def _here(item: Item, settings: PipSettings, python: str) -> bool:
    """Whether a folder on this machine has a file of this version: nothing may be fetched then."""
    folders = [Path(place).expanduser() for place in settings.words("find-links")]
    return any(
        _rank(item, path.name, python) is not None
        for folder in folders
        if folder.is_dir()
        for path in folder.iterdir()
    )


def _chosen(item: Item, files: _Files, python: str) -> Optional[int]:
    """The size of the file that an installer takes; None where that is not certain."""
    ranks = [(_rank(item, name, python), size) for name, size in files]
    ranked = [(rank, size) for rank, size in ranks if rank is not None]
    if not ranked:
        return None
    best = min(rank for rank, _ in ranked)
    sizes = {size for rank, size in ranked if rank == best}
    return sizes.pop() if len(sizes) == 1 else None


def _rank(item: Item, file: str, python: str) -> Optional[int]:
    """How early a file of this version would be taken here; None: not at all."""
    try:
        parts = parse_file_name(file)
    except ValueError:
        return None
    same = parts.project == item.name and str(parts.version) == item.version
    return parts.rank(python) if same else None
