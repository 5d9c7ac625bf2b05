"""Ways to write the setup cell into a notebook, in the order to try; one file each.

A writer is made by ``module:Class`` called without arguments and then asked
``available(host, site, cell)``: None, or the reason why it does not apply.
"""

from typing import Any, List, Tuple

from ...host import Host
from ...registry import choose
from ..locate import RunningCell, locate

__all__ = ["WRITERS", "writer_for"]

#: Adding a writer is one file and one line here.
WRITERS = (
    "colab_magics.notebook.writers.run:RunWriter",
    "colab_magics.notebook.writers.frontend:FrontEndWriter",
    "colab_magics.notebook.writers.in_place:InPlaceWriter",
)


def writer_for(host: Host, cell: RunningCell) -> Tuple[Any, List[str]]:
    """The first writer that applies (or None), and why the earlier ones did not."""
    site = locate(host)
    writer, reasons = choose(WRITERS, lambda part: part.available(host, site, cell))
    return writer, [reason for _, reason in reasons]
