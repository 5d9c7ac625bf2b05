"""Which changed distributions this kernel has loaded already, so that only a restart helps.

Nothing is ever reloaded: objects of the old modules stay alive and mixing them breaks in
subtle ways.
"""

import sys
from typing import Dict, Iterable, Mapping, Set, Tuple

from .installed import find

__all__ = ["STALE", "mark", "owned", "stale"]

#: Canonical name → (version loaded, version installed), of this process.
STALE: Dict[str, Tuple[str, str]] = {}
#: Canonical name → the names that were pinned when it changed.
_CAUSES: Dict[str, Set[str]] = {}


def owned(names: Iterable[str]) -> Dict[str, int]:
    """How many loaded modules each of these distributions owns, where it owns any."""
    loaded: Set[str] = set()
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str):
            loaded.add(file)
    counts = {}
    for name in names:
        found = find(name)
        files = found.files if found is not None else None
        count = sum(str(found.locate_file(f)) in loaded for f in files or ()) if found else 0
        if count:
            counts[name] = count
    return counts


def mark(changed: Mapping[str, Tuple[str, str]], asked: Iterable[str]) -> None:
    """Remember which changed distributions (name → old, new version) are loaded.

    ``asked`` are the names that were pinned when they changed. A distribution that is put back
    to the version that is loaded is stale no more.
    """
    known = [name for name in changed if name in STALE]
    for name in known:
        loaded, new = STALE.pop(name)[0], changed[name][1]
        if loaded != new:
            STALE[name] = (loaded, new)
    fresh = [name for name, (old, _) in changed.items() if old and name not in known]
    for name in owned(fresh):
        STALE[name] = changed[name]
    for name in changed:
        _CAUSES.setdefault(name, set()).update(asked)


def stale(asked: Iterable[str]) -> Dict[str, Tuple[str, str]]:
    """Those stale distributions that these names are, or that pinning them has changed."""
    wanted = set(asked)
    return {n: v for n, v in STALE.items() if n in wanted or wanted & _CAUSES.get(n, set())}
