"""What is ours in a notebook's own metadata: ``metadata.colab_magics``, which holds the lock.

Read from the file where the kernel knows it, since asking a page takes longer; written through
the writers.
"""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any, Mapping, Optional

from .. import files
from ..errors import NotebookError
from ..host import Host
from .colab import notebook
from .document import KEY
from .frontend import ask, present
from .locate import Site, place
from .servers import own
from .writers.run import LOCK, exchange_read

__all__ = ["holds", "lock_in", "read_lock"]


def lock_in(metadata: Any) -> Optional[str]:
    """The text of the lock in a notebook's metadata, or None where there is none."""
    ours = metadata.get(KEY) if isinstance(metadata, Mapping) else None
    text = ours.get("lock") if isinstance(ours, Mapping) else None
    return text if isinstance(text, str) else None


def read_lock(host: Host, site: Site) -> Optional[str]:
    """The text of the lock of the running notebook; None where there is none, or it is not known
    which notebook it is (an executor does not say).
    """
    if site.shared is not None:
        return exchange_read(site.shared, LOCK)
    if site.kind == "colab":
        return lock_in((notebook() or {}).get("metadata"))
    path = place(host, site).path
    if path is not None:
        with suppress(NotebookError):
            return _in_file(path)
    if site.kind == "jupyter" and present(host):
        answer = ask(host, "read") or {}
        text = answer.get("lock")
        return text if isinstance(text, str) else None
    return None


def holds(path: str, lock: Optional[str]) -> Optional[bool]:
    """Whether the file that a front end names has this lock; None where that cannot be seen."""
    server = own()
    if server is None:
        return None
    try:
        return _in_file(server.file(path)) == lock
    except NotebookError:
        return False


def _in_file(path: Path) -> Optional[str]:
    try:
        return lock_in(json.loads(files.read(path)).get("metadata"))
    except (ValueError, AttributeError):
        return None
