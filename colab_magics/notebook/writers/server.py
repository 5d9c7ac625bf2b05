"""The notebook that the Jupyter server has itself, whose cells it runs: nobody needs a page."""

from __future__ import annotations

from typing import Optional

from ...core.host import Host
from ..locate import RunningCell, Site
from ..server_side import obstacle
from .frontend import FrontEndWriter


class ServerWriter(FrontEndWriter):
    """Writes through our half in a server with jupyter-server-nbmodel or -documents."""

    name = "server"
    retry = "Run this again."

    def available(self, host: Host, site: Site, cell: RunningCell) -> Optional[str]:
        """Return None where the server runs this cell and has its notebook."""
        if site.kind != "jupyter":
            return f"not a notebook of a Jupyter server ({site.kind})"
        self.host = host
        return obstacle(host)
