"""Which notebook the kernel runs, by evidence; never by a guess that could lose edits.

``colab-magics run`` names its kernel's connection file in the folder that it shares with it, so
that an executor started inside the notebook, which inherits the variable, does not match.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Optional
from urllib.parse import unquote, urlsplit

from ..core.errors import NotebookError
from ..core.host import Host
from .document import Document
from .servers import own

#: The variable with the folder that ``colab-magics run`` shares with the kernel it started.
RUN_VARIABLE = "COLAB_MAGICS_RUN"

_SERVER_KERNEL = re.compile(r"kernel-([0-9a-f]{8}-[0-9a-f-]{27})\.json")


@dataclass(frozen=True)
class Site:
    """The kind of place that a cell runs in, and what says so.

    ``run`` (colab-magics run), ``executor``, ``terminal``, or a front end: ``jupyter`` (JupyterLab
    or Notebook), ``vscode``, ``colab``, or ``front end`` where it does not say which: a console, or
    on a Colab machine ``colab exec``, which opens no notebook and replaces no cell.
    """

    kind: str
    evidence: str
    #: The folder that is shared with ``colab-magics run``.
    shared: Optional[Path] = None
    #: The id that a Jupyter server gave this kernel.
    kernel: str = ""

    @property
    def front_end(self) -> bool:
        """Whether the notebook is open before someone, as far as its messages tell."""
        return self.kind not in {"run", "executor", "terminal"}


@dataclass(frozen=True)
class NotebookFile:
    """The file of the notebook, None where that is not known, and what says so."""

    path: Optional[Path]
    evidence: str


@dataclass(frozen=True)
class RunningCell:
    """The cell that is running, and whether it says ``%setup write``; ``test`` tells a setup cell
    by its text.
    """

    text: str
    becomes_setup: bool
    test: Callable[[str], bool]

    @property
    def is_setup(self) -> bool:
        """Whether it is the setup cell."""
        return self.test(self.text)


def locate(host: Host) -> Site:
    """Return the kind of place that the current request comes from; nobody is asked."""
    if getattr(host.shell, "kernel", None) is None:
        return Site("terminal", "there is no kernel: IPython itself")
    connection, shared = _connection_file(), os.environ.get(RUN_VARIABLE)
    if shared and connection and _is_shared_with(Path(shared), connection):
        return Site("run", "started by colab-magics run", Path(shared))
    metadata = host.request.get("metadata", {})
    kernel = server_kernel()
    if "colab" in metadata:
        return Site("colab", "the request carries the id of a Colab cell", kernel=kernel)
    if str(metadata.get("cellId", "")).startswith("vscode-"):
        return Site("vscode", "the request carries the address of a VS Code cell", kernel=kernel)
    # Every page that can have our extension names the cell.
    if kernel and host.colab and "cellId" not in metadata:
        evidence = "a client of this Colab machine that names no cell, such as colab exec"
        return Site("front end", evidence, kernel=kernel)
    if kernel:
        return Site("jupyter", "a Jupyter server started this kernel", kernel=kernel)
    if "cellId" in metadata:
        return Site("jupyter", "the request carries the id of a cell")
    if host.may_ask:
        return Site("front end", "standard input may be asked for, and nothing says by whom")
    return Site("executor", "no cell, no server, and nobody to ask")


def server_kernel() -> str:
    """Return the id that a Jupyter server gave this kernel; empty where none started it."""
    connection = _connection_file()
    served = _SERVER_KERNEL.fullmatch(connection.name) if connection else None
    return served.group(1) if served else ""


def locate_notebook(host: Host, site: Site) -> NotebookFile:
    """Return which notebook it is; asks the Jupyter server, for 2 s at most."""
    cell = str(host.request.get("metadata", {}).get("cellId", ""))
    if site.kind == "vscode":
        name = host.shell.user_ns.get("__vsc_ipynb_file__")
        path = Path(str(name)) if name else _path_of(cell)
        return NotebookFile(path, "named by VS Code" if path else "VS Code has no file of it")
    if site.kind == "colab":
        return NotebookFile(None, "in the browser; this machine has no file of it")
    if site.kind == "jupyter":
        return _file_by_session(site.kernel, cell) or _file_at_start(cell)
    return NotebookFile(None, "")


def _file_by_session(kernel: str, cell: str) -> Optional[NotebookFile]:
    """Ask the server: a notebook that was renamed has its new name there."""
    server = own() if kernel else None
    if server is None:
        return None
    paths = [server.file(path) for path in server.paths(kernel)]
    if len(paths) > 1:  # several notebooks on one kernel
        paths = [path for path in paths if _has_cell(path, cell)]
    if len(paths) != 1:
        return None
    return NotebookFile(paths[0], f"a session of the Jupyter server at {server.url}")


def _file_at_start(cell: str) -> NotebookFile:
    """Take the name at the kernel's start, where that file still holds the running cell."""
    path = Path(os.environ.get("JPY_SESSION_NAME", ""))
    if path.is_absolute() and path.suffix == ".ipynb" and _has_cell(path, cell):
        return NotebookFile(path, "its name when the kernel started; it holds the running cell")
    return NotebookFile(None, "no server says which file it is")


def _has_cell(path: Path, cell: str) -> bool:
    try:
        return bool(cell) and any(head.get("id") == cell for head in Document.load(path).heads)
    except NotebookError:
        return False


def _path_of(uri: str) -> Optional[Path]:
    """Return the path in ``vscode-notebook-cell://HOST/path/nb.ipynb#W2s`` (HOST may be empty)."""
    path = unquote(urlsplit(uri).path)
    if not path.startswith("/") or not path.endswith(".ipynb"):  # never saved yet
        return None
    return Path(path[1:] if re.match(r"/[A-Za-z]:/", path) else path)  # /c:/Users/...


def _connection_file() -> Optional[Path]:
    try:
        from ipykernel.connect import get_connection_file

        return Path(get_connection_file())
    except Exception:  # no kernel application: an embedded kernel
        return None


def _is_shared_with(shared: Path, connection: Path) -> bool:
    try:
        return Path((shared / "kernel").read_text(encoding="utf-8")) == connection.resolve()
    except OSError:
        return False
