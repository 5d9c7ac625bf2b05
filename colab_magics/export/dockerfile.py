"""``dockerfile``: an image with what the notebook needs; no shell reads the words of programs."""

from __future__ import annotations

import json
import re
from pathlib import PurePosixPath
from typing import List

from .commands import Command, Programs
from .formats import File, NotHeld
from .recipe import Directory, Pins, Place, Recipe, Variables

#: Where relative paths count from, and what ``~`` is in the image.
_START, _HOME = "/work", "/root"
_PATH = re.compile(r"[A-Za-z0-9_./+@-]+")


class Dockerfile(Programs):
    """Python's own image, which has git and curl, and a layer for each line."""

    name = "dockerfile"
    path = "Dockerfile"
    instead = {
        "gpu": "when it runs: docker run --gpus all",
        "secret": "when it runs: docker run -e NAME. An image shows what is in it",
    }

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe)
        has_folders = any(isinstance(item, Pins) and item.folders for item in recipe.items)
        copy = ["COPY . ."] if has_folders else []
        self._lines = [f"FROM python:{recipe.python or '3'}", f"WORKDIR {_START}", *copy]

    def files(self) -> List[File]:
        """See `Format`."""
        return [(self.path, "\n".join(self._lines) + "\n")]

    def run(self, command: Command) -> None:
        """See `Programs`: in the exec form."""
        words = [_spell(word) if isinstance(word, Place) else word for word in command]
        self._lines.append(f"RUN {json.dumps(words, ensure_ascii=False)}")

    def _add_env(self, item: Variables) -> None:
        for name, place in item.pairs:
            value = _spell(place)
            if item.mode:
                value = str(PurePosixPath(_START, value))
            value = value.replace("\\", "\\\\").replace('"', '\\"')
            if item.mode:
                value = f"{value}:${name}" if item.mode == "prepend" else f"${name}:{value}"
            self._lines.append(f'ENV {name}="{value}"')

    def _add_cd(self, item: Directory) -> None:
        path = _spell(item.path)
        if not _PATH.fullmatch(path):
            raise NotHeld("path", "no instruction can name this folder: rename it")
        self.make_directory(item)
        self._lines.append(f"WORKDIR {path}")


def _spell(place: Place) -> str:
    return f"{_HOME}{place.below_home}" if place.below_home else str(place)
