"""``environment.yml``: for conda and mamba, with the packages by pip; JSON is YAML too."""

from __future__ import annotations

from typing import Any, Dict, List

from .commands import requirement_lines
from .formats import File, Format, as_data


class Conda(Format):
    """The packages keep their names and indexes: conda's own may have other ones."""

    name = "environment.yml"
    path = "environment.yml"

    def files(self) -> List[File]:
        """See `Format`."""
        lines = list(dict.fromkeys(line for pins in self.pins for line in requirement_lines(pins)))
        python = f"python={self.recipe.python}" if self.recipe.python else "python"
        packages: List[Any] = [python, "pip", *([{"pip": lines}] if lines else [])]
        data: Dict[str, Any] = {"name": self.recipe.name, "channels": ["conda-forge"]}
        data["dependencies"] = packages
        data.update({"variables": self.variables} if self.variables else {})
        return [(self.path, as_data(data))]
