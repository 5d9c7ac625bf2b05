"""A notebook that remembers its own setup.

``%load_ext colab_magics`` adds ``%pin``, ``%drive``, ``%cd_persist``, ``%gpu`` and ``%setup``.
What they do is recorded, as the lines that were typed, in one setup cell at the top of the
notebook; running that cell on a fresh machine brings everything back.
"""

from __future__ import annotations

from typing import Any

from ._version import __version__

__all__ = ["__version__", "load_ipython_extension", "unload_ipython_extension"]


def load_ipython_extension(ipython: Any) -> None:
    """Register the magics; each is imported when it is first used."""
    from .extension.registration import register

    register(ipython)


def unload_ipython_extension(ipython: Any) -> None:
    """Take back all that loading added; lines not yet in the notebook stay remembered."""
    from .extension.registration import unregister

    unregister(ipython)
