"""What is in use here, as requirements that bring it back: ``%pin freeze``."""

from __future__ import annotations

from typing import List, NamedTuple, Set, Tuple

from ..core.origin import read_origin
from .environment import canonical_name, find, versions
from .installer import KERNEL
from .loaded import owned
from .requirements import requirement

#: What makes environments and is in all of them.
_TOOLS = {"pip", "setuptools", "uv", "wheel"}
#: What `%pin` itself imports.
_OWN = ("uv", "tomli", "tomli-w")


class Frozen(NamedTuple):
    """Names to pin at what is installed, and those that no line could bring back."""

    names: Tuple[str, ...]
    local: Tuple[str, ...]


def frozen(everything: bool = False) -> Frozen:
    """The distributions that this kernel has imported (or all), less the kernel's machinery.

    What stands in a local folder, installed from there or editable, is left out and named.
    """
    machinery = _needed([*KERNEL, "colab-magics", *_OWN])
    if everything:
        machinery = {*KERNEL, "colab-magics", *_TOOLS, *_OWN}
    found = sorted({*(versions() if everything else owned())} - machinery)
    local = tuple(name for name in found if _is_local(name))
    return Frozen(tuple(name for name in found if name not in local), local)


def _needed(names: List[str]) -> Set[str]:
    """These distributions and all that they need on this machine, without extras."""
    seen: Set[str] = set()
    left = list(names)
    while left:
        name = canonical_name(left.pop())
        one = find(name) if name not in seen else None
        seen.add(name)
        for text in (one.requires or ()) if one else ():
            need = requirement(text)
            if not need.marker or need.marker.evaluate({"extra": ""}):
                left.append(need.name)
    return seen


def _is_local(name: str) -> bool:
    """Whether a distribution came from a folder or a file of this machine."""
    found = find(name)
    origin = read_origin(found) if found else None
    return origin is not None and not origin.vcs and origin.url.startswith("file:")
