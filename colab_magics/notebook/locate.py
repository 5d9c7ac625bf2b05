"""Where the kernel's notebook is, judged by evidence; never by a guess that could lose edits.

``colab-magics run`` names its kernel's connection file in the folder that it shares with it, so
that an executor started inside the notebook, which inherits the variable, does not match.
"""

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional

from .. import files
from ..errors import NotebookError
from ..host import Host
from .document import Document

__all__ = ["RUN_VARIABLE", "RunningCell", "Site", "held_by", "locate", "saved_as"]

#: Names the folder that ``colab-magics run`` shares with the kernel it started.
RUN_VARIABLE = "COLAB_MAGICS_RUN"

_SERVER_KERNEL = re.compile(r"kernel-[0-9a-f]{8}-[0-9a-f-]{27}\.json")


@dataclass(frozen=True)
class Site:
    """What kind of place this is: ``run``, ``executor``, ``front end`` or ``terminal``.

    ``shared`` is the folder of ``colab-magics run``; ``jupyter`` says that the front end is
    JupyterLab or Notebook, as far as its messages tell.
    """

    kind: str
    shared: Optional[Path] = None
    jupyter: bool = False


@dataclass(frozen=True)
class RunningCell:
    """The cell that is running: its text, whether it is the setup cell, or is to become it."""

    text: str = ""
    is_setup: bool = False
    becomes_setup: bool = False


def locate(host: Host) -> Site:
    """Where the notebook of the current request is."""
    if getattr(host.shell, "kernel", None) is None:
        return Site("terminal")
    connection = _connection_file()
    shared = os.environ.get(RUN_VARIABLE)
    if shared and connection and _names(Path(shared), connection):
        return Site("run", Path(shared))
    served = connection is not None and _SERVER_KERNEL.fullmatch(connection.name)
    metadata = host.request.get("metadata", {})
    other = "colab" in metadata or str(metadata.get("cellId", "")).startswith("vscode-")
    if served or "cellId" in metadata or "colab" in metadata or host.may_ask:
        return Site("front end", jupyter=bool(served or "cellId" in metadata) and not other)
    return Site("executor")


def _connection_file() -> Optional[Path]:
    try:
        from ipykernel.connect import get_connection_file

        return Path(get_connection_file())
    except Exception:  # no kernel application: an embedded kernel
        return None


def _names(shared: Path, connection: Path) -> bool:
    try:
        named = (shared / "kernel").read_text(encoding="utf-8")
        return Path(named) == connection.resolve()
    except OSError:
        return False


def saved_as(path: str, text: Optional[str]) -> bool:
    """Whether the file that a front end names holds a cell of this text (None: there is a file).

    Looked up at the server that started this kernel; False where that cannot be found out.
    """
    for server in _servers():
        if str(server.get("pid")) != os.environ.get("JPY_PARENT_PID"):
            continue
        file = Path(server.get("root_dir") or "/", path.rpartition(":")[2])
        try:
            cells = Document.parse(files.read(file), file.name).cells
        except NotebookError:
            return False
        return text is None or text in map(Document.source, cells)
    return False


def _servers() -> List[Dict[str, Any]]:
    """The Jupyter servers of this user, as they have written themselves down."""
    from jupyter_core.paths import jupyter_runtime_dir

    found = []
    # nbserver: the classic Notebook, up to version 6
    for entry in sorted(Path(jupyter_runtime_dir()).glob("*server-*.json")):
        try:
            found.append(json.loads(entry.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            continue
    return found


def held_by(path: Path) -> Optional[str]:
    """Which running Jupyter server has this notebook open, or may have; None where none does.

    A server that is alive and does not say counts as holding it.
    """
    for server in _servers():
        if not _alive(server.get("pid")):
            continue
        folder = Path(server.get("root_dir") or server.get("notebook_dir") or "/")
        if folder.resolve() not in path.resolve().parents:
            continue
        sessions = _sessions(server)
        if sessions is None:
            return f"the Jupyter server at {server.get('url')} does not say what it has open"
        if any(_same(folder / one.get("path", ""), path) for one in sessions):
            return f"it is open at {server.get('url')}"
    return None


def _sessions(server: Any) -> Optional[List[Any]]:
    import requests

    try:
        with requests.Session() as session:
            session.trust_env = False  # no proxy stands between here and this machine
            answer = session.get(
                f"{server['url']}api/sessions",
                headers={"Authorization": f"token {server.get('token', '')}"},
                timeout=2,
            )
        return list(answer.json()) if answer.ok else None
    except (requests.RequestException, ValueError, KeyError):
        return None


def _alive(pid: Any) -> bool:
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


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False
