"""What is in use here, as names to pin: ``%pin freeze``."""

from __future__ import annotations

from typing import Tuple

from ..core.origin import read_origin
from .environment import find, versions, with_needs
from .installer import KERNEL
from .loaded import loaded_versions

#: What makes environments and is in all of them.
_TOOLS = {"pip", "setuptools", "uv", "wheel"}
#: This package, and what `%pin` itself imports.
_OWN = {"colab-magics", "uv", "tomli", "tomli-w"}


def freeze(everything: bool = False) -> Tuple[Tuple[str, ...], Tuple[str, ...]]:
    """Return the distributions to pin: those that this kernel has imported, or all.

    The kernel's machinery is left out. So is what came from a local folder, which no line could
    restore: the second tuple names it.
    """
    machinery = {*KERNEL, *_TOOLS, *_OWN} if everything else with_needs([*KERNEL, *_OWN])
    names = sorted({*(versions() if everything else loaded_versions())} - machinery)
    local = tuple(filter(_is_local, names))
    return tuple(name for name in names if name not in local), local


def _is_local(name: str) -> bool:
    """Return whether a distribution came from a folder or a file of this machine."""
    distribution = find(name)
    origin = read_origin(distribution) if distribution else None
    return origin is not None and not origin.vcs and origin.url.startswith("file:")
