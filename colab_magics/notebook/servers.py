"""The Jupyter servers of this machine: what they have open, and which of them this kernel is of.

A server writes itself down in the runtime folder (``jpserver-PID.json``) and sets
``JPY_PARENT_PID`` for its kernels. Executors set that variable too, so it proves nothing alone:
the kernel's own id, from its connection file, has to be among the server's sessions.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from ..core import files
from ..core.errors import NotebookError, ServerError
from .document import Document


@dataclass(frozen=True)
class Server:
    """One server, as it has written itself down."""

    entry: Dict[str, Any]

    @property
    def url(self) -> str:
        """Where it answers; the token is not in it."""
        return str(self.entry.get("url", ""))

    @property
    def root(self) -> Path:
        """The folder that its paths count from."""
        return Path(self.entry.get("root_dir") or self.entry.get("notebook_dir") or "/")

    def file(self, path: str) -> Path:
        """The file that one of its paths means; ``RTC:`` stands before those edited together."""
        return Path(self.root, path.rpartition(":")[2])

    @property
    def alive(self) -> bool:
        """Whether its process is there; where that cannot be told, it counts as there."""
        pid = self.entry.get("pid")
        if not isinstance(pid, int):
            return False
        if os.name == "nt":
            return True  # os.kill would end it there
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True

    @property
    def python(self) -> Optional[Path]:
        """The interpreter that runs it, and so the environment that its extensions stand in."""
        try:
            import psutil  # comes with ipykernel

            word = Path(psutil.Process(self.entry["pid"]).cmdline()[0])
        except Exception:  # gone, not ours to look at, or no psutil
            return None
        return word if "python" in word.name and word.is_absolute() else None

    def ask(self, method: str, path: str, seconds: float = 2.0) -> Any:
        """What its REST interface answers, True where that is nothing; else `ServerError`."""
        from .asking import request

        return request(self.url, str(self.entry.get("token") or ""), method, path, seconds)

    def sessions(self) -> Optional[List[Dict[str, Any]]]:
        """What it has open; None where it does not say."""
        try:
            found = self.ask("GET", "api/sessions")
        except ServerError:
            return None
        return found if isinstance(found, list) else None

    def paths(self, kernel: str) -> Tuple[str, ...]:
        """The notebooks that it runs on this kernel, by their names of now."""
        return tuple(
            str(one.get("path", ""))
            for one in self.sessions() or ()
            if one.get("type") == "notebook" and (one.get("kernel") or {}).get("id") == kernel
        )


def servers() -> List[Server]:
    """The servers of this user that are alive."""
    from jupyter_core.paths import jupyter_runtime_dir

    found = []
    # nbserver: the classic Notebook, up to version 6
    for entry in sorted(Path(jupyter_runtime_dir()).glob("*server-*.json")):
        try:
            found.append(Server(dict(json.loads(entry.read_text(encoding="utf-8")))))
        except (OSError, ValueError):
            continue
    return [server for server in found if server.alive]


def own() -> Optional[Server]:
    """The server that started this kernel, as far as the variable that it sets tells."""
    parent = os.environ.get("JPY_PARENT_PID")
    return next((server for server in servers() if str(server.entry["pid"]) == parent), None)


def colab() -> Optional[Server]:
    """Colab's own server, which its machine reaches by an address of two variables."""
    host, port = os.environ.get("COLAB_JUPYTER_IP"), os.environ.get("KMP_TARGET_PORT")
    return Server({"url": f"http://{host}:{port}/"}) if host and port else None


def saved_as(path: str, text: Optional[str], old: Optional[str]) -> Optional[bool]:
    """Whether the file that a front end names holds a cell of this text (None: none of the old).

    Looked up at the server that started this kernel; None where that cannot be found out, as
    where the server is on another machine.
    """
    server = own()
    if server is None:
        return None
    file = server.file(path)
    try:
        cells = Document.parse(files.read(file), file.name).heads
    except NotebookError:
        return False
    there = list(map(Document.source, cells))
    return old not in there if text is None else text in there


def held_by(path: Path) -> Optional[str]:
    """Which running Jupyter server has this notebook open, or may have; None where none does.

    A server that is alive and does not say counts as holding it.
    """
    for server in servers():
        if server.root.resolve() not in path.resolve().parents:
            continue
        sessions = server.sessions()
        if sessions is None:
            return f"the Jupyter server at {server.url} does not say what it has open"
        if any(_same(server.file(str(one.get("path", ""))), path) for one in sessions):
            return f"it is open at {server.url}"
    return None


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False
