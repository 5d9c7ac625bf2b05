"""Which changed distributions this kernel has loaded already, so that only a restart helps.

Nothing is ever reloaded: objects of the old modules stay alive and mixing them breaks in
subtle ways.
"""

import sys
from typing import Dict, Iterable, Mapping, Set, Tuple

from .installed import find

__all__ = ["STALE", "mark", "owned"]

#: Canonical name → (version loaded, version installed), of this process.
STALE: Dict[str, Tuple[str, str]] = {}


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


def mark(changed: Mapping[str, Tuple[str, str]]) -> Dict[str, Tuple[str, str]]:
    """Remember which changed distributions (name → old, new version) are loaded, and return them.

    A distribution that is put back to the version that is loaded is stale no more.
    """
    for name, (old, new) in changed.items():
        was = STALE.get(name, (old, ""))[0]
        if was == new:
            STALE.pop(name, None)
        elif name in STALE:
            STALE[name] = (was, new)
    fresh = [name for name, (old, _) in changed.items() if old and name not in STALE]
    for name in owned(fresh):
        STALE[name] = changed[name]
    return {name: STALE[name] for name in changed if name in STALE}
