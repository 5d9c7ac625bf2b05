"""``shell``: one script for ``sh``: a post-startup script, Slurm's sbatch, another's setup."""

from __future__ import annotations

from typing import ClassVar, List

from .commands import Command, Programs, export_lines, quote, shell_line
from .formats import File
from .recipe import Directory, Recipe, Secrets, Variables


class Shell(Programs):
    """Each line as the programs that do the same; it stops at the first that fails.

    Variables and the directory are those of what follows: sourced, or in the same script.
    """

    name = "shell"
    path = "setup.sh"
    #: Whether what a script sets is there for what runs behind it.
    lasts: ClassVar[bool] = True

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe)
        self.lines: List[str] = []

    def files(self) -> List[File]:
        """See `Format`."""
        return [(self.path, self.script())]

    def script(self) -> str:
        """Return the script."""
        return "\n".join(["#!/bin/sh", "set -eu", *self.lines]) + "\n"

    def run(self, command: Command) -> None:
        """See `Programs`; apt-get by sudo where a person is not root."""
        if command[0] == "apt-get":
            sudo = '$(test "$(id -u)" = 0 || echo sudo)'
            self.lines.append(f"{sudo} {shell_line(command)}")
        else:
            self.lines.append(shell_line(command))

    def _add_env(self, item: Variables) -> None:
        if not self.lasts:
            return super()._add_env(item)
        self.lines += export_lines(item)
        return None

    def _add_secret(self, item: Secrets) -> None:
        if not self.lasts:
            self.refuse(item)
        self.lines += [f': "${{{name}:?is a secret: set it first}}"' for name in item.names]

    def _add_cd(self, item: Directory) -> None:
        if not self.lasts:
            self.refuse(item)
        self.make_directory(item)
        self.lines.append(f"cd {quote(item.path)}")
