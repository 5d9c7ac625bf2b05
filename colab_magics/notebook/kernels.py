"""The kernels that a Jupyter server runs, and how they are ended.

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
from .servers import Server, session_name

#: Seconds that a kernel has to end.
PATIENCE = 20.0

_CONNECTION_FILE = re.compile(r"kernel-([0-9a-f]{8}-[0-9a-f-]{27})\.json")


@dataclass(frozen=True)
class Running:
    """A kernel of a server.

    ``names`` are its notebooks, none for one that has lost its own; ``state`` as the server says
    (``idle``, ``busy``, ``starting``); ``last`` when it was last used, in seconds since 1970;
    ``sessions`` the ids of what has it open; ``pid`` None where there is no such process here;
    ``pages`` how many are connected to it.
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
        """Its name for people."""
        return ", ".join(self.names) or f"no notebook ({self.kernel[:8]})"

    @property
    def quiet(self) -> bool:
        """Whether nothing runs on it; one that no page has ever used stays at ``starting``."""
        return self.state == "idle" or (self.state == "starting" and not self.pages)

    def idle(self, now: float) -> float:
        """Return for how many seconds nothing was run on it; 0 while something is."""
        return max(0.0, now - self.last) if self.quiet else 0.0


def running(server: Server) -> List[Running]:
    """Return all kernels of a server, by their names; `ServerError` where it does not say."""
    kernels, sessions = server.ask("GET", "api/kernels"), server.ask("GET", "api/sessions")
    pids, result = _pids(), []
    for kernel in kernels:
        identity = str(kernel["id"])
        own = [x for x in sessions if (x.get("kernel") or {}).get("id") == identity]
        result.append(
            Running(
                kernel=identity,
                names=tuple(sorted({session_name(x) for x in own})),
                state=str(kernel.get("execution_state", "")),
                last=_timestamp(str(kernel.get("last_activity", ""))),
                sessions=tuple(str(session["id"]) for session in own),
                pid=pids.get(identity),
                pages=int(kernel.get("connections", 1)),  # where they are not counted: one
            )
        )
    return sorted(result, key=lambda kernel: (not kernel.names, kernel.name))


def stop(server: Server, kernels: Sequence[Running]) -> List[Running]:
    """End kernels as "Shut Down" does in a front end; return those that have not ended."""
    for kernel in kernels:
        for session in kernel.sessions:
            _delete(server, f"api/sessions/{session}")
        if any(other.kernel == kernel.kernel for other in running(server)):
            _delete(server, f"api/kernels/{kernel.kernel}")
    until, alive = time.monotonic() + PATIENCE, list(kernels)
    while alive and time.monotonic() < until:
        known = {kernel.kernel for kernel in running(server)} | {*_pids()}
        alive = [kernel for kernel in alive if kernel.kernel in known]
        time.sleep(0.05 if alive else 0)
    return alive


def _delete(server: Server, path: str) -> None:
    try:
        server.ask("DELETE", path, PATIENCE)
    except ServerError as error:
        if error.code not in {"failed", "late"}:  # it may be gone already: checked afterwards
            raise


def _pids() -> Dict[str, int]:
    """Return kernel -> its process, by the connection file that each was started with."""
    import psutil

    pids: Dict[str, int] = {}
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            for match in map(_CONNECTION_FILE.search, process.cmdline()):
                if match:  # a program of the kernel may have the same word, and is younger
                    pids.setdefault(match.group(1), process.pid)
    return pids


def _timestamp(text: str) -> float:
    """Return the seconds since 1970 of the server's ``2026-11-24T01:02:03.456789Z``."""
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return time.time()
