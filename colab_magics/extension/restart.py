"""The restart that a cell needs: it is made, offered by a button, or explained by the error."""

from __future__ import annotations

import json
import uuid
from typing import Any, Optional

from ..core.errors import OtherPython, RestartRequired
from ..core.host import Host
from ..notebook.locate import Site
from ..notebook.writers.run import RESTART, exchange_write
from .output import say

_AGAIN = (
    "Not restarted again: after a restart for this, the older version was loaded once more.",
    "Two cells pin different versions, or something imports it before the setup cell is run.",
)


def restart_after(host: Host, site: Site, error: Optional[BaseException]) -> None:
    """Act on the error that a cell has ended with, as the last thing in that cell."""
    if not isinstance(error, RestartRequired):
        return
    if site.kind == "colab":
        _colab_button(error)
    elif site.kind == "jupyter":
        _jupyter(host, error)
    elif site.shared is not None:
        python = error.python if isinstance(error, OtherPython) else ""
        request = [type(error).__name__, error.reason, python]
        exchange_write(site.shared, json.dumps(request), RESTART)


def _jupyter(host: Host, error: RestartRequired) -> None:
    from ..notebook.comm import present
    from ..notebook.restart import offer, restart

    if not present(host):
        return  # the error says what to do by hand
    if isinstance(error, OtherPython):
        if not error.kernel:
            return
        answer = restart(host, error.reason, error.reason, error.kernel)
    elif error.now:
        answer = restart(host, error.reason, ", ".join(error.packages))
    else:
        offer(host, error.reason, ", ".join(error.packages))
        return
    if answer is None:
        return
    if answer["status"] == "again":
        say(*_AGAIN)
    else:
        say(f"The front end did not restart the kernel ({answer['status']}): restart it by hand.")


def _colab_button(error: RestartRequired) -> None:
    """Colab's own button below the cell; the form of its pip warning, which libraries may use."""
    from IPython.display import display

    data: Any = {"pip_warning": {"packages": list(error.packages)}, "id": uuid.uuid4().hex}
    kind = "application/vnd.colab-display-data+json"
    display({kind: data, "text/plain": ""}, raw=True)
