"""Which installed distributions do not find what they need; uv and pip install all the same."""

from importlib import metadata
from typing import Dict, Set

from .installed import canonical, canonical_name, versions

__all__ = ["broken"]


def broken() -> Set[str]:
    """A text for each need that is not met: ``pandas 2.2.3 needs numpy<2, not 2.1.3``.

    As ``pip check`` does it, in-process; needs of extras do not count.
    """
    here = versions()
    return {
        text
        for one in metadata.distributions()
        if canonical(one)
        for need in one.requires or ()
        if (text := _unmet(one, need, here))
    }


def _unmet(one: metadata.Distribution, need: str, here: Dict[str, str]) -> str:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        asked = Requirement(need)
    except InvalidRequirement:  # old metadata; installers pass over it too
        return ""
    if asked.marker and not asked.marker.evaluate({"extra": ""}):
        return ""
    found = here.get(canonical_name(asked.name))
    if found is not None and asked.specifier.contains(found, prereleases=True):
        return ""
    wants = f"{one.metadata['Name']} {one.version} needs {asked.name}{asked.specifier}"
    return f"{wants}, not {found}" if found else f"{wants}, which is not installed"
