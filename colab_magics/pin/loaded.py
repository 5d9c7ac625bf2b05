"""Which changed distributions this kernel has loaded already, so that only a restart helps.

Nothing is ever reloaded: objects of the old modules stay alive and mixing them breaks in
subtle ways. What owns a loaded module is asked *before* an installation, since afterwards the old
version's list of files is gone.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from typing import Collection, Dict, Iterator, List, Mapping, NamedTuple, Optional, Set, Tuple

from ..core.errors import RestartRequired
from .environment import Installed


class Owned(NamedTuple):
    """How many loaded modules a distribution owns, and how many of those are compiled."""

    modules: int
    compiled: int


class Stale(NamedTuple):
    """The version that is loaded, the one that is installed ("": none), and what is loaded."""

    old: str
    new: str
    owned: Owned

    def __str__(self) -> str:
        modules, compiled = self.owned
        many = f"{modules} module{'s' if modules > 1 else ''}"
        return f"{self.old} is loaded ({many}{f', {compiled} compiled' if compiled else ''})"


#: Canonical name → what is stale, of this process.
STALE: Dict[str, Stale] = {}
#: Canonical name → the names that were pinned when it changed.
_CAUSES: Dict[str, Set[str]] = {}


def owned(installed: Optional[Installed] = None) -> Dict[str, Owned]:
    """Return what each distribution owns of the loaded modules, by canonical name.

    A file that several distributions bring, the root of a namespace, counts for none of them.
    """
    loaded = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    owners: Dict[str, List[str]] = {}
    for name, file in _files(installed or Installed()):
        if file in loaded:
            owners.setdefault(file, []).append(name)
    result: Dict[str, Owned] = {}
    for file, names in owners.items():
        if len(names) == 1:
            modules, compiled = result.get(names[0], Owned(0, 0))
            result[names[0]] = Owned(modules + 1, compiled + file.endswith(_COMPILED))
    return result


_COMPILED = tuple(EXTENSION_SUFFIXES)


def _files(installed: Installed) -> Iterator[Tuple[str, str]]:
    """Iterate over every Python module on disk with the name of the distribution that brought it.

    ``Distribution.files`` would do, at ten times the cost: it makes an object of each line.
    """
    for entry in installed.entries:
        text = (entry.distribution.read_text("RECORD") if entry.name else None) or ""
        root = str(entry.distribution.locate_file(""))
        for line in text.splitlines():
            path = line.rsplit(",", 2)[0].strip('"')
            if path.endswith((".py", *_COMPILED)):
                yield entry.name, os.path.join(root, *path.split("/"))  # noqa: PTH118 - for speed


def mark(
    changed: Mapping[str, Tuple[str, str]], pinned: Collection[str], before: Mapping[str, Owned]
) -> None:
    """Remember which changed distributions (name → old, new version) are loaded.

    ``pinned`` are the names that were pinned when they changed, ``before`` is what was `owned`
    then. A distribution that is put back to the version that is loaded is stale no more.
    """
    for name, (old, new) in changed.items():
        _CAUSES.setdefault(name, set()).update(pinned)
        known = STALE.pop(name, None)
        if known is None and (not old or name not in before):
            continue
        entry = Stale(old, new, before[name]) if known is None else known._replace(new=new)
        if entry.old != new:
            STALE[name] = entry


def stale(pinned: Collection[str]) -> Dict[str, Stale]:
    """Return those stale distributions that these names are, or that pinning them has changed."""
    names = {*pinned}
    return {n: v for n, v in STALE.items() if n in names or names & _CAUSES.get(n, set())}


def restart(behind: Mapping[str, Stale]) -> RestartRequired:
    """Make the error for distributions that only a restart brings to the version installed."""
    texts = [
        f"{name} {v}; {f'{v.new} takes effect after a restart' if v.new else 'it is gone'}"
        for name, v in behind.items()
    ]
    error = RestartRequired(
        f"{', '.join(texts)}.", "Restart the kernel, then run the setup cell, or this one, again."
    )
    error.packages = tuple(behind)
    error.reason = ", ".join(f"{name} {v.old} -> {v.new}" for name, v in behind.items())
    return error
