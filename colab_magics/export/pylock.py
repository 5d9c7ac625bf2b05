"""``pylock``: the lock of the notebook as a ``pylock.toml`` (PEP 751)."""

from __future__ import annotations

from typing import List

from ..core.errors import NotebookError
from .formats import File, Format, NotHeld
from .recipe import Pins, Recipe


class Pylock(Format):
    """The lock as it is; a pin that it does not fulfil is named."""

    name = "pylock"
    path = "pylock.toml"
    _add_env = Format.refuse

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe)
        if not recipe.lock:
            message = "This notebook has no lock."
            raise NotebookError(message, "Make it: %pin lock", code="no-lock")

    def files(self) -> List[File]:
        """See `Format`."""
        return [(self.path, self.recipe.lock)]

    def _add_pin(self, pins: Pins) -> None:
        """Compare a line with the lock."""
        from packaging.requirements import Requirement
        from packaging.utils import canonicalize_name

        if pins.folders:
            raise NotHeld("folder", "a lock has no folders")
        versions = dict(self.recipe.locked)
        for text in pins.requirements:
            need = Requirement(text.partition(" --hash")[0])
            version = versions.get(canonicalize_name(need.name), "")
            if need.url or (need.marker and not need.marker.evaluate()):
                continue
            if not version or not need.specifier.contains(version, prereleases=True):
                reason = f"the lock has {version or 'none'}: make it again by %pin lock"
                self.note(pins, "not-in-lock", reason, text)
