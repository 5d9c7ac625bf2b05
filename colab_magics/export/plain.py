"""``plain``: a cell that needs nothing of ours: ``%pip``, programs, and plain Python."""

from __future__ import annotations

import shlex
from typing import List

from .commands import PIP, Command, Programs, install
from .formats import File, Format, NotHeld
from .recipe import Code, Directory, Pins, Place, Recipe, Secrets, Variables


class Plain(Programs):
    """The lines in their order, the user's own code among them."""

    name = "plain"
    path = "setup.ipy"
    options = Format.options

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe)
        self.lines = ["import os, subprocess"]

    def files(self) -> List[File]:
        """See `Format`."""
        text = "\n".join(["# What the setup cell does, without colab_magics.", *self.lines])
        return [(self.path, text + "\n")]

    def run(self, command: Command) -> None:
        """See `Programs`: as Python starts one, since IPython expands what is behind ``!``."""
        words = ", ".join(_path(x) if isinstance(x, Place) else repr(x) for x in command)
        self.lines.append(f"subprocess.run([{words}], check=True)")

    def _add_pin(self, pins: Pins) -> None:
        if pins.hashed:
            raise NotHeld("hashes", "%pip takes no hashes: see requirements, shell")
        Format._add_pin(self, pins)
        (command,) = install(self.pins[-1])
        words = [f"~/{shlex.quote(x[2:])}" if x.startswith("~/") else quote(x) for x in command]
        self.lines.append(" ".join(["%pip install -q", *words[len(PIP) :]]))

    def _add_env(self, item: Variables) -> None:
        for name, value in item.pairs:
            code = _path(value) if item.mode or value.below_home else repr(str(value))
            if item.mode:
                self.lines.append(
                    f"_old = [os.environ[{name!r}]] if {name!r} in os.environ else []"
                )
                entries = f"[{code}, *_old]" if item.mode == "prepend" else f"[*_old, {code}]"
                code = f"os.pathsep.join({entries})"
            self.lines.append(f"os.environ[{name!r}] = {code}")

    def _add_secret(self, item: Secrets) -> None:
        for name in item.names:
            self.lines.append(f"assert os.environ.get({name!r}), 'set this secret first: {name}'")

    def _add_cd(self, item: Directory) -> None:
        self.make_directory(item)
        self.lines.append(f"os.chdir({_path(item.path)})")

    def _add_code(self, item: Code) -> None:
        self.lines.append(item.text)


def quote(word: str) -> str:
    """Return a word of a magic's line: a ``?`` at its end would show a help."""
    return f"'{word}'" if word.endswith("?") and "'" not in word else shlex.quote(word)


def _path(place: Place) -> str:
    """Return the code for a path."""
    function = "expanduser" if place.below_home else "abspath"
    return f"os.path.{function}({str(place)!r})"
