"""What ``%github save`` sends: the notebook and files of its folder, and nothing that is secret."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from ..core.display import amount
from ..core.errors import NotebookError, SourceError, usage_error
from ..notebook.document import Document
from ..notebook.reading import OpenNotebook
from . import secret_scan
from .contents import LIMIT, File
from .target import Target, check_path


class Parcel(NamedTuple):
    """What is to be sent, by names in the notebook's folder; the notebook, if any, is first."""

    has_notebook: bool
    names: Tuple[str, ...]
    contents: Tuple[bytes, ...]

    def files(self, path: str, target: Target) -> List[File]:
        """Return the files for a repository, in which ``path`` is that of the first.

        The target is in the notebook's metadata, so that one that is opened from there is saved
        there. Without the gist, whose address may be known to nobody else.
        """
        first = self.contents[0]
        if self.has_notebook:
            text = target._replace(gist="").encode() if target.repository else None
            first = Document.parse(first, self.names[0]).with_stored("github", text).encode()
        folder = path.rpartition("/")[0]
        rest = [f"{folder}/{name}" if folder else name for name in self.names[1:]]
        return [File(*pair) for pair in zip([path, *rest], [first, *self.contents[1:]])]

    def check(self, message: str) -> None:
        """Raise `SourceError` where something in it, or the message, holds a secret."""
        secret_scan.check_text("The message", message)
        for name, data in zip(self.names, self.contents):
            secret_scan.check_text("The name of a file", name)
            if name.endswith(".ipynb"):
                secret_scan.check_notebook(name, secret_scan.read(name, data))
            else:
                secret_scan.check_file(name, data)


def pack(
    notebook: Optional[OpenNotebook], folder: Path, words: Sequence[str], strip: bool, running: str
) -> Parcel:
    """Pack the notebook, and the files of the folder that are named."""
    packed: Dict[str, bytes] = {}
    if notebook is not None:
        packed[notebook.name] = _copy(notebook.document, strip, running)
    for word in words:
        name, data = _read(folder, word)
        if notebook is None or folder / name != notebook.path:
            is_notebook = name.endswith(".ipynb")
            data = _copy(Document.parse(data, name), strip, "") if is_notebook else data
            packed.setdefault(name, data)
    if not packed:
        raise NotebookError(
            "It is not known which notebook this is.",
            "Name its file: %github save OWNER/REPO NOTEBOOK.ipynb",
            code="unknown-notebook",
        )
    if "" in packed:
        message = "The notebook's name is not known here."
        raise NotebookError(message, "Add it: --path nb.ipynb", code="unknown-name")
    for name, data in packed.items():
        _check_size(name, len(data))
    return Parcel(notebook is not None, tuple(packed), tuple(packed.values()))


def _read(folder: Path, word: str) -> Tuple[str, bytes]:
    """Return the name of a file in the notebook's folder, and its content."""
    file = (folder / word).resolve()
    hint = "Check the name."
    if folder.resolve() not in file.parents:
        message, hint = "is not in the notebook's folder", "Copy it there."
    elif file.is_dir():
        message = "is a folder; name its files"
    elif not file.is_file():
        message = "does not exist"
    else:
        _check_size(word, file.stat().st_size)
        return check_path(file.relative_to(folder.resolve()).as_posix()), file.read_bytes()
    raise usage_error(f"%github save: {word} {message}.", hint, code="file")


def _check_size(name: str, size: int) -> None:
    if size > LIMIT:
        raise SourceError(
            f"{name} has {amount(size)}; GitHub takes files of up to 100 MB. Nothing was sent.",
            "Leave the outputs out (--strip)." if name.endswith(".ipynb") else "Put it on a drive.",
            code="too-large",
        )


def _copy(document: Document, strip: bool, running: str) -> bytes:
    """Return the notebook to send, without the outputs of the cell that sends it.

    With them each save would find the notebook changed by the one before it.
    """
    new: Dict[int, Dict[str, Any]] = {}
    for at, cell in enumerate(document.cells):
        own = bool(running.strip()) and Document.source(cell).strip() == running.strip()
        if cell.get("cell_type") == "code" and (strip or own):
            new[at] = {**cell, "outputs": [], "execution_count": None}
    return document.with_cells(new.items()).encode()
