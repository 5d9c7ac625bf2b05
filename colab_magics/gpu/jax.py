"""JAX: the plugin beside it says for which CUDA; XLA makes its code on the card.

Source of the capabilities: JAX's documentation, "Installation", "NVIDIA GPU". No operation of JAX
is run to find out: the first one takes three quarters of the card's memory.
"""

from importlib.metadata import PackageNotFoundError, version
from typing import Optional

from .fatbin import Capability
from .frameworks import Build, folder_of


#: By the CUDA of a plugin, the first capability that it supports.
_PLUGINS = {13: (7, 5), 12: (5, 2)}


class Jax:
    """The jax that this interpreter would import."""

    name = "jax"

    def find(self) -> Optional[Build]:
        """See `Framework`."""
        own = _version("jax")
        if own is None or folder_of("jax") is None:
            return None
        for cuda, since in _PLUGINS.items():
            if _version(f"jax-cuda{cuda}-plugin"):
                return Build("jax", own, (cuda, 0), instead=_INSTEAD, since=since)
        return Build("jax", own, None, instead=_INSTEAD)

    def newer(self, card: Capability) -> str:
        """See `Framework`."""
        return "take a newer one: %pin --upgrade jax"

    def older(self, card: Capability) -> str:
        """See `Framework`."""
        return "%pin 'jax[cuda12]'" if card >= _PLUGINS[12] else "take an older one"


_INSTEAD = "%pin 'jax[cuda12]'"


def _version(name: str) -> Optional[str]:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
