"""Reading what is kept in the metadata of the running notebook (see `kept`).

Read from the file where the kernel knows it, since asking a page takes longer; written through
the writers.
"""

from contextlib import suppress
from pathlib import Path
from typing import Optional

from ..core import files
from ..core.errors import NotebookError
from ..core.host import Host
from .colab_message import notebook
from .comm import ask, present
from .document import Document
from .locate import Site, place
from .metadata_keys import KEPT
from .servers import own
from .writers.run import exchange_read


def read_kept(host: Host, site: Site, what: str) -> Optional[str]:
    """What the running notebook keeps of that name; None where it does not, or it is not known
    which notebook it is (an executor does not say).
    """
    if site.shared is not None:
        return exchange_read(site.shared, what)
    if site.kind == "colab":
        return KEPT[what]((notebook() or {}).get("metadata"))
    path = place(host, site).path
    if path is not None:
        with suppress(NotebookError):
            return _in_file(path, what)
    if site.kind == "jupyter" and present(host):
        answer = ask(host, "read") or {}
        text = answer.get(what)
        return text if isinstance(text, str) else None
    return None


def holds(path: str, what: str, value: Optional[str]) -> Optional[bool]:
    """Whether the file that a front end names keeps this; None where that cannot be seen."""
    server = own()
    if server is None:
        return None
    try:
        return _in_file(server.file(path), what) == value
    except NotebookError:
        return False


def _in_file(path: Path, what: str) -> Optional[str]:
    return KEPT[what](Document.parse(files.read(path), path.name).metadata)
