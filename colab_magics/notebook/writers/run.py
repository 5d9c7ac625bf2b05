"""The notebook that ``colab-magics run`` is running: its parent process owns the file.

The setup cell is exchanged through a file in a folder that both share; the parent takes it into
the notebook together with the outputs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from ...core.files import save
from ...core.host import Host
from ..locate import RunningCell, Site
from .base import Writer

#: The file of the setup cell in the shared folder; what is kept in metadata stands there by name.
CELL = "setup-cell"
#: Names the notebook's own file.
FILE = "notebook-file"
#: Says what a cell that failed asks for: JSON of the error's name, its reason, and a Python.
RESTART = "restart"


def exchange_read(shared: Path, name: str = CELL) -> Optional[str]:
    """Read the setup cell, or what is kept (see `metadata_keys`); None where there is none."""
    try:
        return (shared / name).read_bytes().decode("utf-8", "surrogatepass")
    except FileNotFoundError:
        return None


def exchange_write(shared: Path, text: Optional[str], name: str = CELL) -> None:
    """Put the setup cell or what is kept (None: none), whole or not at all."""
    if text is None:
        if (shared / name).exists():
            (shared / name).unlink()
        return
    # A name that is not UTF-8 has halves of characters here.
    save(shared / name, text.encode("utf-8", "surrogatepass"))


class RunWriter(Writer):
    """Writes for ``colab-magics run``; only this kernel writes, so there is no conflict."""

    name = "run"
    can_keep = True
    shared: Path

    def available(self, host: Host, site: Site, cell: RunningCell) -> Optional[str]:
        """None in a kernel that ``colab-magics run`` has started."""
        if site.shared is None:
            return "not started by colab-magics run"
        self.shared = site.shared
        return None

    def read(self) -> Optional[str]:
        """See `Writer`."""
        return exchange_read(self.shared)

    def put(self, text: Optional[str], expected: Optional[str]) -> str:
        """See `Writer`: ``written``, since the file is saved when the run ends."""
        exchange_write(self.shared, text)
        return "written"

    def keep(self, what: str, value: Optional[str]) -> str:
        """See `Writer`: ``kept`` until the run ends."""
        exchange_write(self.shared, value, what)
        return "kept"
