"""``modal``: an app of Modal's, with its image, secrets and GPU."""

from __future__ import annotations

from typing import List

from .commands import Command, Programs, option_words, shell_line
from .formats import File, Format, NotHeld, Packages
from .recipe import Apt, Directory, Gpu, Pins, Recipe, Secrets, Variables

_HEAD = """\
import modal

image = (
    modal.Image.debian_slim({})
    .apt_install("curl", "git")
"""


class Modal(Programs, Packages):
    """A step of the image for each line, in their order."""

    name = "modal"
    path = "modal_setup.py"

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe)
        self._steps: List[str] = []
        self._secrets: List[str] = []
        self._gpu = ""

    def run(self, command: Command) -> None:
        """See `Programs`."""
        self._steps.append(f"    .run_commands({shell_line(command)!r})\n")

    def _add_pin(self, pins: Pins) -> None:
        Packages._add_pin(self, pins)
        options = option_words(self.pins[-1])
        more = f", extra_options={shell_line(tuple(options))!r}" if options else ""
        self._steps.append(f"    .uv_pip_install({[*pins.requirements]!r}{more})\n")

    def _add_apt(self, item: Apt) -> None:
        self._steps.append(f"    .apt_install({[*item.packages]!r})\n")

    def _add_env(self, item: Variables) -> None:
        Format._add_env(self, item)
        self._steps.append(f"    .env({dict(zip(item.names, item.values))!r})\n")

    def _add_secret(self, item: Secrets) -> None:
        names = (f"    modal.Secret.from_name({x!r}, required_keys=[{x!r}]),\n" for x in item.names)
        self._secrets += names

    def _add_gpu(self, item: Gpu) -> None:
        self.note_more(item)
        self._gpu = f"{item.name or 'any'}:{item.count}"

    def _add_cd(self, item: Directory) -> None:
        if item.path.below_home:
            raise NotHeld("needs-machine", "name an absolute folder of the image")
        self.make_directory(item)
        self._steps.append(f"    .workdir({str(item.path)!r})\n")

    def files(self) -> List[File]:
        """See `Format`."""
        python = f"python_version={self.recipe.python!r}" if self.recipe.python else ""
        parts = [_HEAD.replace("{}", python), *self._steps, ")\n"]
        parts += ["secrets = [\n", *self._secrets, "]\n"]
        parts += [f"app = modal.App({self.recipe.name!r}, image=image, secrets=secrets)\n"]
        parts += [f"gpu = {self._gpu or None!r}  # for @app.function(gpu=gpu)\n"]
        return [(self.path, "".join(parts))]
