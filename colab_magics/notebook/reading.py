"""Read the running notebook: as it is in the front end, else as its file has it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any, Dict, NamedTuple, Optional

from ..core.errors import NotebookError
from ..core.host import Host
from .colab_message import notebook
from .comm import ask, present
from .document import Document
from .locate import Site, place
from .metadata_keys import READERS
from .servers import own
from .writers.run import FILE, exchange_read


def read_stored(host: Host, site: Site, name: str) -> Optional[str]:
    """Return a value of `metadata_keys` of the running notebook; None: none, or not known which.

    Read from the file where the kernel knows it, since asking a page takes longer.
    """
    if site.shared is not None:
        return exchange_read(site.shared, name)
    if site.kind == "colab":
        return READERS[name]((notebook() or {}).get("metadata"))
    path = place(host, site).path
    if path is not None:
        with suppress(NotebookError):
            return READERS[name](Document.load(path).metadata)
    if site.kind == "jupyter" and present(host):
        text = (ask(host, "read") or {}).get(name)
        return text if isinstance(text, str) else None
    return None


class OpenNotebook(NamedTuple):
    """A notebook, its name (empty: not known), and its file, if it has one on this machine.

    ``live``: changes that are not saved yet are in it.
    """

    document: Document
    name: str
    path: Optional[Path]
    live: bool


def notebook_file(host: Host, site: Site) -> Optional[Path]:
    """Return the file of the running notebook, or None where none is known on this machine."""
    if site.shared is not None:
        text = exchange_read(site.shared, FILE)
        return Path(text) if text else None
    return place(host, site).path


def read_notebook(host: Host, site: Site) -> Optional[OpenNotebook]:
    """Return the running notebook; None where nothing says which it is, or nobody has it."""
    if site.kind == "colab":
        content = notebook()
        return None if content is None else _live(content, _colab_name(content), None)
    path = notebook_file(host, site)
    if site.kind == "jupyter" and present(host):
        answer = ask(host, "whole") or {}
        server, server_path = own(), str(answer.get("path", ""))
        if path is None and server is not None and server_path:
            path = server.file(server_path)
        if isinstance(answer.get("notebook"), dict):
            return _live(answer["notebook"], Path(server_path.rpartition(":")[2]).name, path)
    return None if path is None else OpenNotebook(Document.load(path), path.name, path, live=False)


def _live(content: Dict[str, Any], name: str, path: Optional[Path]) -> OpenNotebook:
    """Return the content of a front end, in the text in which Jupyter Server saves it."""
    import nbformat

    node = nbformat.from_dict(content)
    for cell in node.get("cells", ()):
        if cell.get("cell_type") == "code":  # a cell that is running has none yet
            cell.setdefault("execution_count", None)
            cell.setdefault("outputs", [])
    data = f"{nbformat.v4.writes(node)}\n".encode()
    return OpenNotebook(Document.parse(data, name or "the notebook"), name, path, live=True)


def _colab_name(content: Dict[str, Any]) -> str:
    """Return the name that Colab puts into some notebooks, or the empty text."""
    colab = content.get("metadata", {}).get("colab", {})
    name = colab.get("name") if isinstance(colab, dict) else None
    return name if isinstance(name, str) and name.endswith(".ipynb") else ""
