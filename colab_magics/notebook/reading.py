"""The running notebook as a whole: as it stands in the front end, else as its file has it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any, Dict, NamedTuple, Optional

from ..core import files
from ..core.errors import NotebookError
from ..core.host import Host
from .colab_message import notebook
from .comm import ask, present
from .document import Document
from .locate import Site, place
from .metadata_keys import KEPT
from .servers import own
from .writers.run import FILE, exchange_read


# ---------------------------------------------------------------------- metadata
# Reading what is kept in the metadata of the running notebook (see `metadata_keys`).
#
# Read from the file where the kernel knows it, since asking a page takes longer; written through
# the writers.
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


# ---------------------------------------------------------------------- reading
class Whole(NamedTuple):
    """A notebook: its text, its name (empty: not known), its file on this machine, if there is one.

    ``live``: what is not saved yet is in it.
    """

    document: Document
    name: str
    path: Optional[Path]
    live: bool


def file_of(host: Host, site: Site) -> Optional[Path]:
    """The file of the running notebook, or None where none is known on this machine."""
    if site.shared is not None:
        text = exchange_read(site.shared, FILE)
        return Path(text) if text else None
    return place(host, site).path


def read_whole(host: Host, site: Site) -> Optional[Whole]:
    """The running notebook; None where nothing says which it is, or nobody gives it."""
    if site.kind == "colab":
        found = notebook()
        return None if found is None else _live(found, _named(found), None)
    path = file_of(host, site)
    if site.kind == "jupyter" and present(host):
        answer = ask(host, "whole") or {}
        server, where = own(), str(answer.get("path", ""))
        if path is None and server is not None and where:
            path = server.file(where)
        if isinstance(answer.get("notebook"), dict):
            return _live(answer["notebook"], Path(where.rpartition(":")[2]).name, path)
    if path is None:
        return None
    return Whole(Document.parse(files.read(path), path.name), path.name, path, live=False)


def _live(found: Dict[str, Any], name: str, path: Optional[Path]) -> Whole:
    """What a front end gave, in the text in which Jupyter Server saves it."""
    import nbformat

    node = nbformat.from_dict(found)
    for cell in node.get("cells", ()):
        if cell.get("cell_type") == "code":  # a cell that is running has none yet
            cell.setdefault("execution_count", None)
            cell.setdefault("outputs", [])
    text = str(nbformat.v4.writes(node)) + "\n"
    return Whole(
        Document.parse(text.encode("utf-8"), name or "the notebook"), name, path, live=True
    )


def _named(found: Dict[str, Any]) -> str:
    """The name that Colab keeps in some notebooks; empty where it does not."""
    about = found.get("metadata", {}).get("colab", {})
    name = about.get("name") if isinstance(about, dict) else None
    return name if isinstance(name, str) and name.endswith(".ipynb") else ""
