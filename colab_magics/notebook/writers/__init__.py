"""Ways to write the setup cell into a notebook, in the order to try; one file each.

A writer is made by ``module:Class`` called without arguments and then asked
``available(host, site, cell)``: None, or the reason why it does not apply.
"""

from __future__ import annotations

from typing import Optional, Tuple

from ...core.host import Host
from ...core.registry import choose
from ..locate import RunningCell, Site
from .base import Writer

__all__ = ["WRITERS", "writer_for"]

#: Adding a writer is one file and one line here.
WRITERS = (
    "colab_magics.notebook.writers.run:RunWriter",
    "colab_magics.notebook.writers.server:ServerWriter",
    "colab_magics.notebook.writers.frontend:FrontEndWriter",
    "colab_magics.notebook.writers.in_place:ColabWriter",
    "colab_magics.notebook.writers.in_place:InPlaceWriter",
    "colab_magics.notebook.writers.in_place:ShowWriter",
)


def writer_for(
    host: Host, site: Site, cell: RunningCell
) -> Tuple[Optional[Writer], Tuple[Tuple[str, str], ...]]:
    """Return the first writer that applies (or None), and (name, reason) of those before it.

    None is asked where an executor runs the notebook: it saves or compares that by itself.
    """
    if site.kind == "executor":
        return None, ()
    return choose(WRITERS, lambda part: part.available(host, site, cell))
