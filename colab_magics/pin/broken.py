"""Which installed distributions do not find what they need; uv and pip install all the same."""

from functools import lru_cache
from importlib import metadata
from typing import TYPE_CHECKING, AbstractSet, Dict, Optional, Set

from .environment import canonical_name, head, values, versions

if TYPE_CHECKING:
    from packaging.requirements import Requirement


def broken(among: Optional[AbstractSet[str]] = None) -> Set[str]:
    """A text for each need that is not met: ``pandas 2.2.3 needs numpy<2, not 2.1.3``.

    As ``pip check`` does it, in-process; needs of extras do not count. ``among``: only those
    that these canonical names have, or that they are to meet.
    """
    here = versions()
    found = set()
    for one in metadata.distributions():
        said = head(one)
        name = "".join(values("Name", said)[:1])
        for need in map(_need, values("Requires-Dist", said)) if name else ():
            ends = {canonical_name(name), canonical_name(need.name)} if need and among else set()
            unmet = _unmet(need, here) if need else ""
            if unmet and (among is None or ends & among):
                found.add(f"{name} {''.join(values('Version', said)[:1])} {unmet}")
    return found


@lru_cache(maxsize=None)
def _need(text: str) -> Optional["Requirement"]:
    """A need without extras that applies to this machine."""
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        asked = Requirement(text)
    except InvalidRequirement:  # old metadata; installers pass over it too
        return None
    return None if asked.marker and not asked.marker.evaluate({"extra": ""}) else asked


def _unmet(asked: "Requirement", here: Dict[str, str]) -> str:
    found = here.get(canonical_name(asked.name))
    if found is not None and asked.specifier.contains(found, prereleases=True):
        return ""
    wants = f"needs {asked.name}{asked.specifier}"
    return f"{wants}, not {found}" if found else f"{wants}, which is not installed"
