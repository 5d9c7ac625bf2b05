"""``dask``: plugins for the workers of a Dask cluster, as a module."""

from __future__ import annotations

from typing import List

from .commands import option_words
from .formats import File, Packages

_TEXT = '''\
from distributed.diagnostics.plugin import Environ, PipInstall

PLUGINS = [
{}]


def register(client):
    """Have each worker, also one that joins later, set up like the notebook."""
    for plugin in PLUGINS:
        client.register_plugin(plugin)
'''


class Dask(Packages):
    """``PipInstall`` for each line, and ``Environ``: ``register(client)`` sends them."""

    name = "dask"
    path = "dask_setup.py"
    has_groups = True

    def files(self) -> List[File]:
        """See `Format`."""
        plugins = [f"Environ({self.variables!r})"] if self.variables else []
        for pins in self.pins:
            arguments = f"{[*pins.requirements]!r}, {option_words(pins)!r}"
            plugins.append(f"PipInstall({arguments}, restart_workers=True)")
        return [(self.path, _TEXT.replace("{}", "".join(f"    {x},\n" for x in plugins)))]
