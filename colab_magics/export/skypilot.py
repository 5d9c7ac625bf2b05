"""``skypilot``: a task of SkyPilot's, whose setup is the shell script; JSON is YAML too."""

from __future__ import annotations

from typing import Any, Dict, List

from .formats import File, NotHeld, as_data
from .recipe import Gpu, Recipe, Secrets
from .shell import Shell


class Skypilot(Shell):
    """What runs is up to the person: ``sky launch skypilot.yaml 'python train.py'``."""

    name = "skypilot"
    path = "skypilot.yaml"
    lasts = False

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe)
        self._more: Dict[str, Any] = {}

    def _add_secret(self, item: Secrets) -> None:
        """Name secrets, which ``sky launch --secret NAME`` takes from the environment."""
        self._more.setdefault("secrets", {}).update(dict.fromkeys(item.names))

    def _add_gpu(self, item: Gpu) -> None:
        if not item.name:
            raise NotHeld("no-name", "name an accelerator: %gpu require T4")
        self.note_more(item)
        self._more["resources"] = {"accelerators": f"{item.name}:{item.count}"}

    def files(self) -> List[File]:
        """See `Format`."""
        data = {"name": self.recipe.name, **self._more, "setup": self.script()}
        data.update({"envs": self.variables} if self.variables else {})
        return [(self.path, as_data(data))]
