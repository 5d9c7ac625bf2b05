"""``devcontainer``: for Codespaces and VS Code, by the schema of containers.dev."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, List

from .formats import File, as_data
from .recipe import Gpu, Recipe, Secrets
from .shell import Shell


class Devcontainer(Shell):
    """A container of Python's, and a script that is run once it is made."""

    name = "devcontainer"
    path = ".devcontainer"
    is_folder = True
    lasts = False

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe)
        self._more: Dict[str, Any] = {}

    def _add_secret(self, item: Secrets) -> None:
        secrets = self._more.setdefault("secrets", {})
        secrets.update({name: {"description": "A secret of the notebook"} for name in item.names})

    def _add_gpu(self, item: Gpu) -> None:
        self._more["hostRequirements"] = {"gpu": True}
        name = f"{item.count} {item.name}".strip() if item.name or item.count > 1 else ""
        self.note_more(replace(item, more=f"{name} {item.more}".strip()))

    def files(self) -> List[File]:
        """See `Format`."""
        image = f"mcr.microsoft.com/devcontainers/python:{self.recipe.python or '3'}"
        data: Dict[str, Any] = {"name": self.recipe.name, "image": image, **self._more}
        data.update({"containerEnv": self.variables} if self.variables else {})
        if self.lines:
            data["onCreateCommand"] = ["sh", ".devcontainer/setup.sh"]
        script = [("setup.sh", self.script())] if self.lines else []
        return [("devcontainer.json", as_data(data)), *script]
