"""The kernels that a Jupyter server runs, and ending or restarting one.

Source: the REST interface of Jupyter Server (``api/sessions``, ``api/kernels``).
"""

from __future__ import annotations

import re
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Dict, List, Optional, Sequence, Tuple

from ..core.errors import ServerError
from .servers import Server

#: Seconds that a kernel has to end.
PATIENCE = 20.0


@dataclass(frozen=True)
class Running:
    """A kernel of a server.

    ``names`` are the notebooks that it is of, none for one that was left; ``state`` as the server
    says (``idle``, ``busy``, ``starting``); ``last`` when it was last used, in seconds since 1970;
    ``sessions`` the ids of what has it open; ``pid`` None where the process is not found; ``pages``
    how many are connected to it.
    """

    kernel: str
    names: Tuple[str, ...]
    state: str
    last: float
    sessions: Tuple[str, ...]
    pid: Optional[int]
    pages: int

    @property
    def name(self) -> str:
        """What a person calls it."""
        return ", ".join(self.names) or f"no notebook ({self.kernel[:8]})"

    @property
    def quiet(self) -> bool:
        """Whether nothing runs on it. One that no page has ever used says ``starting`` for ever."""
        return self.state == "idle" or (self.state == "starting" and not self.pages)

    def idle(self, now: float) -> float:
        """For how many seconds nothing was run on it; 0 while something is."""
        return max(0.0, now - self.last) if self.quiet else 0.0


def running(server: Server) -> List[Running]:
    """All kernels of a server, by their names. `ServerError` where it does not say."""
    kernels, sessions = server.ask("GET", "api/kernels"), server.ask("GET", "api/sessions")
    pids = _pids()
    found = []
    for kernel in kernels:
        identity = str(kernel["id"])
        mine = [one for one in sessions if (one.get("kernel") or {}).get("id") == identity]
        found.append(
            Running(
                kernel=identity,
                names=tuple(sorted({str(one.get("path") or one.get("name")) for one in mine})),
                state=str(kernel.get("execution_state", "")),
                last=_seconds(str(kernel.get("last_activity", ""))),
                sessions=tuple(str(one["id"]) for one in mine),
                pid=pids.get(identity),
                pages=int(kernel.get("connections", 1)),  # one that is not counted may be there
            )
        )
    return sorted(found, key=lambda one: (not one.names, one.name))


def stop(server: Server, kernels: Sequence[Running]) -> List[Running]:
    """End kernels as "Shut Down" does in a front end; gives those that have not ended."""
    for one in kernels:
        for session in one.sessions:
            _delete(server, f"api/sessions/{session}")
        if any(now.kernel == one.kernel for now in running(server)):
            _delete(server, f"api/kernels/{one.kernel}")
    until = time.monotonic() + PATIENCE
    left = list(kernels)
    while left and time.monotonic() < until:
        known, pids = {one.kernel for one in running(server)}, _pids()
        left = [one for one in left if one.kernel in known or one.kernel in pids]
        time.sleep(0.05 if left else 0)
    return left


def _delete(server: Server, path: str) -> None:
    """One that is gone meanwhile is an error to the server; whether it is, is looked for after."""
    try:
        server.ask("DELETE", path, PATIENCE)
    except ServerError as error:
        if error.code not in {"failed", "late"}:
            raise


def _pids() -> Dict[str, int]:
    """Kernel → its process, by the connection file that each was started with."""
    import psutil

    named = re.compile(r"kernel-([0-9a-f]{8}-[0-9a-f-]{27})\.json")
    found: Dict[str, int] = {}
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            for word in process.cmdline():
                match = named.search(word)
                if match:  # a program of the kernel may have the same word, and is younger
                    found.setdefault(match.group(1), process.pid)
    return found


def _seconds(text: str) -> float:
    """Of the server's ``2026-11-24T01:02:03.456789Z``."""
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return time.time()
