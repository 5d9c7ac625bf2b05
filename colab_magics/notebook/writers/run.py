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

#: The file of the setup cell in the shared folder; values of the metadata are files beside it.
CELL = "setup-cell"
#: The file with the path of the notebook.
FILE = "notebook-file"
#: The file with what a failed cell asks for: JSON of the error's name, its reason, and a Python.
RESTART = "restart"
#: The file with how a failed cell ended: JSON of the error's name, an `ExitStatus`, and its code.
STATUS = "exit-status"
#: The file that is there where cells which were done before are not to run again, and the one with
#: the numbers of those: JSON.
RESUME, RESUMED = "resume", "resumed"


def exchange_read(shared: Path, name: str = CELL) -> Optional[str]:
    """Return the setup cell, or a value of `metadata_keys`; None where there is none."""
    try:
        return (shared / name).read_bytes().decode("utf-8", "surrogatepass")
    except FileNotFoundError:
        return None


def exchange_write(shared: Path, text: Optional[str], name: str = CELL) -> None:
    """Write the setup cell, or a value (None: none), at once or not at all."""
    if text is not None:
        # A name that is not UTF-8 has halves of characters here.
        save(shared / name, text.encode("utf-8", "surrogatepass"))
    elif (shared / name).exists():
        (shared / name).unlink()


class RunWriter(Writer):
    """Writes for ``colab-magics run``; only this kernel writes, so there is no conflict."""

    name = "run"
    kept_by = "colab-magics run"
    can_set_metadata = True
    shared: Path

    def available(self, host: Host, site: Site, cell: RunningCell) -> Optional[str]:
        """Return None in a kernel that ``colab-magics run`` has started."""
        if site.shared is None:
            return "not started by colab-magics run"
        self.shared = site.shared
        return None

    def read(self) -> Optional[str]:
        """Return the text of the setup cell in the shared folder."""
        return exchange_read(self.shared)

    def put(self, text: Optional[str], expected: Optional[str]) -> str:
        """Write the setup cell; ``written``, since the file is saved when the run ends."""
        exchange_write(self.shared, text)
        return "written"

    def set_metadata(self, name: str, value: Optional[str]) -> str:
        """Write a value; ``kept`` until the run ends."""
        exchange_write(self.shared, value, name)
        return "kept"
