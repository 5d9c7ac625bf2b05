"""How large the files are that an installer would fetch here, where the indexes say it.

Source: ``size`` in the simple repository API (PEP 700). What is not said is left out, and a size
that two indexes say differently too: nothing is guessed, and nothing here may fail.
"""

import os
import sys
import time
from collections import deque
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, Deque, Dict, List, Optional, Sequence, Tuple
from urllib.parse import urlsplit

from .index import ask, asked
from .pip_config import PipSettings
from .plan import Item, Plan

if TYPE_CHECKING:
    import requests
    from packaging.tags import Tag


#: Seconds for all of it.
PATIENCE = 2.0
#: Pages of an index that are asked for at once.
_AT_ONCE = 16

_OF_UV = ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_EXTRA_INDEX", "UV_FIND_LINKS")

#: File name and size, as one place has them.
_Files = List[Tuple[str, int]]


def with_sizes(plan: Plan, settings: PipSettings, first: Sequence[str], version: str = "") -> Plan:
    """The plan with the sizes that can be had in time, ``first`` those of these names.

    ``version`` is that of the Python that it is for, where that is another one than this.

    Without them where a file may come from a place that is not asked here.
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
    left: Deque[str], heard: Dict[str, "Future[_Files]"], bases: List[str], settings: PipSettings
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


def _page(base: str, name: str, settings: PipSettings, session: "requests.Session") -> _Files:
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
        _rank(item, path.name, python)
        for folder in folders
        if folder.is_dir()
        for path in folder.iterdir()
    )


def _chosen(item: Item, files: _Files, python: str) -> Optional[int]:
    """The size of the file that an installer takes; None where that is not certain."""
    ranked = [(rank, size) for name, size in files for rank in [_rank(item, name, python)] if rank]
    if not ranked:
        return None
    best = min(rank for rank, _ in ranked)
    sizes = {size for rank, size in ranked if rank == best}
    return sizes.pop() if len(sizes) == 1 else None


def _rank(item: Item, file: str, python: str) -> Optional[int]:
    """How early a file of this version would be taken here; None: not at all."""
    from packaging.utils import parse_sdist_filename, parse_wheel_filename

    try:
        if file.endswith(".whl"):
            name, version, _, tags = parse_wheel_filename(file)
            known = _supported(python)
            ranks = [known[tag] for tag in tags if tag in known]
        else:
            name, version = parse_sdist_filename(file)
            ranks = [sys.maxsize]  # only where no wheel fits
    except ValueError:
        return None
    same = name == item.name and str(version) == item.version
    return min(ranks) if same and ranks else None


@lru_cache(maxsize=2)
def _supported(python: str) -> Dict["Tag", int]:
    """The tags that a Python of this version (empty: this one) takes here; the best is 1."""
    from packaging.tags import compatible_tags, cpython_tags, sys_tags

    if not python:
        return {tag: place for place, tag in enumerate(sys_tags(), 1)}
    version = [int(part) for part in python.split(".")[:2]]
    interpreter = "cp{}{}".format(*version)
    tags = [*cpython_tags(version), *compatible_tags(version, interpreter)]
    return {tag: place for place, tag in enumerate(tags, 1)}
