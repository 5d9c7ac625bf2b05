"""A notebook on disk that was named and that nobody has open.

It is not among `WRITERS`: a kernel whose notebook no front end holds has none of its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Optional

from ...core import files
from ...core.errors import NotebookError
from ..document import Document
from ..servers import held_by
from .base import Writer


class FileWriter(Writer):
    """Reads and replaces the setup cell of a file; `NotebookError` where that is not safe."""

    name = "file"

    def __init__(self, path: Path, is_setup: Callable[[str], bool]) -> None:
        self.path, self._is_setup = path, is_setup
        self._data = b""
        self._document: Optional[Document] = None

    def read(self) -> Optional[str]:
        """See `Writer`."""
        self._data = files.read(self.path)
        self._document = Document.parse(self._data, self.path.name)
        return self._document.setup_text(self._is_setup)

    def put(self, text: Optional[str], expected: Optional[str]) -> str:
        """See `Writer`: ``saved``, proved by reading back."""
        holder = held_by(self.path)
        if holder:
            raise NotebookError(
                f"{self.path.name} was left alone: {holder}.",
                "Close it there, or type %setup write in an empty first cell of it.",
            )
        if self._document is None:
            self.read()
        assert self._document is not None  # noqa: S101
        changed = self._document.with_setup(text, self._is_setup)
        files.replace(self.path, changed.encode(), expected=self._data)
        return "saved"
