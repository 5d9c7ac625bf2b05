"""Which installed distributions do not find what they need; uv and pip install all the same."""

import re
from functools import lru_cache
from importlib import metadata
from typing import TYPE_CHECKING, Dict, List, Optional, Set

from .installed import canonical, canonical_name, versions

if TYPE_CHECKING:
    from packaging.requirements import Requirement

__all__ = ["broken"]


def broken() -> Set[str]:
    """A text for each need that is not met: ``pandas 2.2.3 needs numpy<2, not 2.1.3``.

    As ``pip check`` does it, in-process; needs of extras do not count.
    """
    here = versions()
    found = set()
    for one in metadata.distributions():
        head = _head(one)
        name = "".join(_values("Name", head)[:1])
        for need in map(_need, _values("Requires-Dist", head)) if name else ():
            unmet = _unmet(need, here) if need else ""
            if unmet:
                found.add(f"{name} {''.join(_values('Version', head)[:1])} {unmet}")
    return found


def _head(one: metadata.Distribution) -> str:
    """The fields of a METADATA; the standard library parses its description too, each time."""
    text = one.read_text("METADATA")
    if text is None:  # an egg, if anything
        needs = (f"Requires-Dist: {need}" for need in one.requires or ())
        name = f"Name: {canonical(one)}" if canonical(one) else ""
        return "\n".join([name, f"Version: {one.version if name else ''}", *needs])
    return re.split(r"\r?\n\r?\n", text, maxsplit=1)[0]


def _values(field: str, head: str) -> List[str]:
    return re.findall(rf"(?m)^{field}: *(.*?)\r?$", head)


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
