"""What follows the error that a cell has ended with: a restart that is made, offered by a button,
or explained; and the exit status of ``colab-magics run``.
"""

from __future__ import annotations

import json
import uuid
from typing import Any, Optional

from ..core.errors import ColabMagicsError, OtherPython, RestartRequired
from ..core.exit_status import status_of
from ..core.host import Host
from ..notebook.locate import Site
from ..notebook.writers.run import RESTART, STATUS, exchange_write
from .batch import Batch
from .output import say

_AGAIN = (
    "Not restarted again: after a restart for this, the older version was loaded once more.",
    "Two cells pin different versions, or something imports it before the setup cell is run.",
)


def restart_after(host: Host, site: Site, error: Optional[BaseException], batch: Batch) -> None:
    """Act on the error that a cell has ended with, as the last thing in that cell.

    ``batch`` is for a server that runs the cells: a page knows better what it has run.
    """
    if site.shared is not None and isinstance(error, ColabMagicsError):
        ended = [type(error).__name__, int(status_of(error)), error.code]
        exchange_write(site.shared, json.dumps(ended), STATUS)
    if not isinstance(error, RestartRequired):
        return
    if site.kind == "colab":
        _colab_button(error)
    elif site.kind == "jupyter":
        _jupyter(host, error, batch)
    elif site.shared is not None:
        python = error.python if isinstance(error, OtherPython) else ""
        request = [type(error).__name__, error.reason, python]
        exchange_write(site.shared, json.dumps(request), RESTART)


def _jupyter(host: Host, error: RestartRequired, batch: Batch) -> None:
    from ..notebook.comm import reachable
    from ..notebook.restart import offer, restart

    if not reachable(host):
        return  # the error says what to do by hand
    if isinstance(error, OtherPython):
        if not error.kernel:
            return
        answer = restart(host, error.reason, error.reason, error.kernel)
    elif error.now:
        answer = restart(host, error.reason, ", ".join(error.packages), batch=batch.sources)
    else:
        offer(host, error.reason, ", ".join(error.packages), error.message)
        return
    if answer is None:
        return
    if answer["status"] == "again":
        say(*_AGAIN)
    else:
        say(f"The kernel was not restarted ({answer['status']}): restart it by hand.")


def _colab_button(error: RestartRequired) -> None:
    """Colab's own button below the cell; the form of its pip warning, which libraries may use."""
    from IPython.display import display

    data: Any = {"pip_warning": {"packages": list(error.packages)}, "id": uuid.uuid4().hex}
    kind = "application/vnd.colab-display-data+json"
    display({kind: data, "text/plain": ""}, raw=True)
