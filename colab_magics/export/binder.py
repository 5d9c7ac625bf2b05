"""``binder``: the files that repo2docker reads, beside the notebook or in ``binder/``."""

from __future__ import annotations

from typing import List

from .commands import export_lines
from .formats import File
from .recipe import Apt, Pins, Recipe, Variables
from .requirements import Requirements
from .shell import Shell


class Binder(Shell):
    """Pins in ``requirements.txt``; those with other options, and files, in ``postBuild``."""

    name = "binder"
    path = "binder"
    is_folder = True
    lasts = False
    instead = {"secret": "Binder has no secrets: anybody can start it"}

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe)
        self._requirements = Requirements(recipe)
        self._requirements.omissions = self.omissions
        self._apt: List[str] = []
        self._start: List[str] = []

    def _add_pin(self, pins: Pins) -> None:
        if self.group_of(pins) == self.main:
            self._requirements._add_pin(pins)
        else:
            super()._add_pin(pins)

    def _add_apt(self, item: Apt) -> None:
        self._apt += item.packages

    def _add_env(self, item: Variables) -> None:
        self._start += export_lines(item)

    def files(self) -> List[File]:
        """See `Format`."""
        start = "\n".join(["#!/bin/sh", *self._start, 'exec "$@"', ""])
        python = self.recipe.python
        files = (
            (self._requirements.pins, self._requirements.files()[0]),
            (self._apt, ("apt.txt", "".join(f"{name}\n" for name in self._apt))),
            (python, ("runtime.txt", f"python-{python}\n")),
            (self.lines, ("postBuild", self.script())),
            (self._start, ("start", start)),
        )
        return [file for needed, file in files if needed]
