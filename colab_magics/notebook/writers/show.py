"""The text of the setup cell, to copy: where nothing can write it, someone asked for it."""

from typing import Optional

from ...core.display import printable
from ...core.host import Host
from ..locate import RunningCell, Site


class ShowWriter:
    """Prints the cell for ``%setup write``; there is no notebook that it could read."""

    name = "show"
    in_place = False

    def available(self, host: Host, site: Site, cell: RunningCell) -> Optional[str]:
        """None where ``%setup write`` was typed and no other writer applies."""
        return None if cell.becomes_setup else "this cell does not say %setup write"

    def read(self) -> Optional[str]:
        """See `Writer`."""
        return None

    def put(self, text: Optional[str], expected: Optional[str]) -> str:
        """See `Writer`: ``shown``; printed plainly, so that it is copied as it stands."""
        print(printable(text or ""))
        return "shown"
