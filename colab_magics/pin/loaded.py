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
from .environment import Entry, Installed


class Stale(NamedTuple):
    """The version that is loaded, and the one that is installed ("": none)."""

    old: str
    new: str


#: Canonical name → what is stale, of this process.
STALE: Dict[str, Stale] = {}
#: Canonical name → the names that were pinned when it changed.
_CAUSES: Dict[str, Set[str]] = {}


def loaded_versions(installed: Optional[Installed] = None) -> Dict[str, str]:
    """Return canonical name → version of each distribution that owns a loaded module.

    A file that several distributions bring, the root of a namespace, counts for none of them.
    """
    loaded = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    owners: Dict[str, List[Entry]] = {}
    for entry, file in _files(installed or Installed()):
        if file in loaded:
            owners.setdefault(file, []).append(entry)
    return {only.name: only.version for only, *others in owners.values() if not others}


_COMPILED = tuple(EXTENSION_SUFFIXES)


def _files(installed: Installed) -> Iterator[Tuple[Entry, str]]:
    """Iterate over every Python module on disk with the distribution that brought it.

    ``Distribution.files`` would do, at ten times the cost: it makes an object of each line.
    """
    for entry in installed.entries:
        text = (entry.distribution.read_text("RECORD") if entry.name else None) or ""
        root = str(entry.distribution.locate_file(""))
        for line in text.splitlines():
            path = line.rsplit(",", 2)[0].strip('"')
            if path.endswith((".py", *_COMPILED)):
                yield entry, os.path.join(root, *path.split("/"))  # noqa: PTH118 - for speed


def mark(
    changed: Mapping[str, Tuple[str, str]], pinned: Collection[str], before: Mapping[str, str]
) -> None:
    """Remember which changed distributions (name → old, new version) are loaded.

    ``pinned`` are the names that were pinned when they changed, ``before`` are the
    `loaded_versions` then. A distribution that is put back to the version that is loaded is no
    longer stale. One of another folder, such as the system's, has no old version where the new one
    was installed.
    """
    for name, (old, new) in changed.items():
        _CAUSES.setdefault(name, set()).update(pinned)
        known = STALE.pop(name, None)
        if known is None and name not in before:
            continue
        entry = Stale(known.old if known else old or before[name], new)
        if entry.old != new:
            STALE[name] = entry


def foretell(
    planned: Mapping[str, str], versions: Mapping[str, str], before: Collection[str]
) -> str:
    """Return that a plan (name → version) takes a restart; empty where it takes none.

    ``versions`` are those that are installed, ``before`` the names that own loaded modules.
    """
    names = [n for n in planned if n in before and versions.get(n) not in (None, planned[n])]
    shown = ", ".join(f"{name} {versions[name]}" for name in names)
    return f"A restart will be needed: this kernel has loaded {shown}" if names else ""


def stale(pinned: Collection[str]) -> Dict[str, Stale]:
    """Return those stale distributions that these names are, or that pinning them has changed."""
    names = {*pinned}
    return {n: v for n, v in STALE.items() if n in names or names & _CAUSES.get(n, set())}


def restart(behind: Mapping[str, Stale]) -> RestartRequired:
    """Make the error for distributions that only a restart brings to the version installed."""
    changes = [f"{name} {v.old} -> {v.new or 'removed'}" for name, v in behind.items()]
    if len(behind) == 1:
        [(name, v)] = behind.items()
        state = f"{name} {v.new} is installed" if v.new else f"{name} is removed"
        text = f"{state}; this kernel still uses {v.old}."
    else:
        more = f" and {len(behind) - 3} more" if len(behind) > 3 else ""
        text = f"{', '.join(changes[:3])}{more}: this kernel still uses the old versions."
    error = RestartRequired(text, "Restart the kernel, then run the setup cell and this cell.")
    error.packages = tuple(behind)
    error.reason = ", ".join(changes)
    return error
