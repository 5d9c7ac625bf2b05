"""Read the running notebook: as it is in the front end, else as its file has it."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import Any, Dict, NamedTuple, Optional, Tuple

from ..core.errors import NotebookError
from ..core.host import Host
from .colab_message import Summary, notebook, summary
from .comm import ask, reachable
from .document import Document, Test
from .locate import Site, locate_notebook
from .metadata_keys import READERS
from .servers import colab_name, notebook_name, own
from .writers.run import FILE, exchange_read

#: Lines that may stand above the setup cell: blank ones, comments, what installs or loads us.
_HARMLESS = re.compile(r"\s*(#|$)|%.*\bcolab[-_.]magics\b")


def read_stored(host: Host, site: Site, name: str) -> Optional[str]:
    """Return a value of `metadata_keys` of the running notebook; None: none, or not known which.

    Read from the file where the kernel knows it, since asking a page takes longer.
    """
    if site.shared is not None:
        return exchange_read(site.shared, name)
    if site.kind == "colab":
        known = summary(host)
        return READERS[name](known.metadata if known else None)
    path = locate_notebook(host, site).path
    if path is not None:
        with suppress(NotebookError):
            return READERS[name](Document.load(path).metadata)
    if site.kind == "jupyter" and reachable(host):
        text = (ask(host, "read") or {}).get(name)
        return text if isinstance(text, str) else None
    return None


class Layout(NamedTuple):
    """The numbers of a notebook's setup cells, from 1, and whether code stands above the first."""

    numbers: Tuple[int, ...]
    is_below_code: bool


def read_layout(host: Host, site: Site, is_setup: Test) -> Optional[Layout]:
    """Return where the setup cells are, as the file or Colab's browser has it; None: not known."""
    if site.kind == "colab":
        texts = (summary(host) or Summary([], None)).texts
        numbers = [at + 1 for at, text in enumerate(texts) if is_setup(text)]
    else:
        path = notebook_file(host, site)
        if path is None:
            return None
        try:
            document = Document.load(path)
        except NotebookError:
            return None
        numbers = [at + 1 for at in document.setup_places(is_setup)]
        texts = [document.source(x) if x.get("cell_type") == "code" else "" for x in document.heads]
    above = "\n".join(texts[: numbers[0] - 1] if numbers else ()).split("\n")
    return Layout(tuple(numbers), not all(map(_HARMLESS.match, above)))


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
    return locate_notebook(host, site).path


def read_notebook(host: Host, site: Site) -> Optional[OpenNotebook]:
    """Return the running notebook; None where nothing says which it is, or nobody has it."""
    if site.kind == "colab":
        content = notebook(host)
        return None if content is None else _live(content, name_in_colab(host, site), None)
    path = notebook_file(host, site)
    if site.kind == "jupyter" and reachable(host):
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


def name_in_colab(host: Host, site: Site) -> str:
    """Return the notebook's name in Colab's browser, or the empty text where it is not known.

    Its server has it; a copy that Colab has saved may have an older one in its metadata.
    """
    if site.kind != "colab":
        return ""
    name = colab_name(site.kernel)
    known = None if name else summary(host)
    colab = known.metadata.get("colab") if known and isinstance(known.metadata, dict) else None
    return name or notebook_name(colab.get("name") if isinstance(colab, dict) else None)
