"""What ``%github save`` sends: the notebook and files of its folder, and nothing that is secret."""

import json
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ..core.display import amount
from ..core.errors import NotebookError, SourceError, usage_error
from ..notebook.document import Document
from ..notebook.reading import Whole
from . import secret_scan
from .contents import LIMIT, File
from .target import REPOSITORY, Target, check_path


class Parcel(NamedTuple):
    """What is to be sent, by names in the notebook's folder; the notebook, if any, is first."""

    whole: Optional[Whole]
    names: Tuple[str, ...]
    contents: Tuple[bytes, ...]

    def files(self, path: str) -> List[File]:
        """As they are to stand in a repository, in which ``path`` is that of the first."""
        folder = path.rpartition("/")[0]
        rest = [f"{folder}/{name}" if folder else name for name in self.names[1:]]
        return [File(*one) for one in zip([path, *rest], self.contents)]


def pack(magic: Any, asked: Any, whole: Optional[Whole]) -> "tuple[Parcel, str]":
    """The notebook and the files that are named, and the repository that is, if one is."""
    path = whole.path if whole is not None else None
    folder = path.parent if path is not None else magic.host.start
    words, repository = list(asked.words), ""
    if words and REPOSITORY.fullmatch(words[0]) and not (folder / words[0]).exists():
        repository = words.pop(0)
    names, contents = [], []
    if whole is not None:
        names.append(whole.name)
        contents.append(_copy(whole.document, asked.strip, magic.session.source))
    for word in words:
        name, data = _named(folder, word)
        if path is not None and folder / name == path:
            continue
        if name.endswith(".ipynb"):
            data = _copy(Document.parse(data, name), asked.strip, "")
        names.append(name)
        contents.append(data)
    if not names:
        raise NotebookError(
            "It is not known which notebook this is.",
            "Name its file: %github save OWNER/REPO NOTEBOOK.ipynb",
        )
    if not names[0]:
        raise NotebookError("The notebook's name is not known here.", "Say it: --path nb.ipynb")
    for name, data in zip(names, contents):
        _small(name, len(data))
    return Parcel(whole, tuple(names), tuple(contents)), repository


def _named(folder: Path, word: str) -> Tuple[str, bytes]:
    """A file of the notebook's folder, its name there, and its content."""
    file = (folder / word).resolve()
    if folder.resolve() not in file.parents:
        raise usage_error(
            f"%github save: {word} is not in the notebook's folder.", "Copy it there."
        )
    if not file.is_file():
        kind = "a folder; name its files" if file.is_dir() else "not there"
        raise usage_error(f"%github save: {word} is {kind}.", "Check the name.")
    _small(word, file.stat().st_size)
    name = check_path(file.relative_to(folder.resolve()).as_posix())
    return name, file.read_bytes()


def _small(name: str, size: int) -> None:
    if size > LIMIT:
        raise SourceError(
            f"{name} has {amount(size)}; GitHub takes files of up to 100 MB. Nothing was sent.",
            "Leave the outputs out (--strip)."
            if name.endswith(".ipynb")
            else "Keep it on a drive.",
        )


def _copy(document: Document, strip: bool, running: str) -> bytes:
    """The notebook as it is sent: the cell that says so, without what it has put out.

    Else each save would find the notebook changed by the one before it.
    """
    new: Dict[int, Dict[str, Any]] = {}
    for at, cell in enumerate(document.cells):
        own = bool(running.strip()) and Document.source(cell).strip() == running.strip()
        if cell.get("cell_type") == "code" and (strip or own):
            new[at] = {**cell, "outputs": [], "execution_count": None}
    return document.with_cells(new.items()).encode()


def check(parcel: Parcel, message: str) -> None:
    """`SourceError` where something in it, or what goes with it, is a secret."""
    secret_scan.check_text("The message", message)
    for name, data in zip(parcel.names, parcel.contents):
        secret_scan.check_text("The name of a file", name)
        if name.endswith(".ipynb"):
            secret_scan.check_notebook(name, json.loads(data))
        else:
            secret_scan.check_file(name, data)


def with_target(parcel: Parcel, target: Target) -> Parcel:
    """With the target in the copy, so that a notebook opened from there is saved there.

    Without the gist, whose address may be known to nobody else.
    """
    if parcel.whole is None:
        return parcel
    document = Document.parse(parcel.contents[0], parcel.names[0])
    text = target._replace(gist="").encode() if target.repository else None
    first = document.with_kept("github", text).encode()
    return parcel._replace(contents=(first, *parcel.contents[1:]))
