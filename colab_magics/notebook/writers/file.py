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

    def read(self) -> Optional[str]:
        """Return the text of the setup cell in the file."""
        self._data = files.read(self.path)
        return Document.parse(self._data, self.path.name).setup_text(self._is_setup)

    def put(self, text: Optional[str], expected: Optional[str]) -> str:
        """Replace what was read last; ``saved``, proved by reading back."""
        holder = held_by(self.path)
        if holder:
            raise NotebookError(
                f"{self.path.name} was not written: {holder}.",
                "Close it there, or type %setup write in an empty first cell of it.",
                code="open-elsewhere",
            )
        document = Document.parse(self._data, self.path.name)
        changed = document.with_setup(text, self._is_setup)
        files.replace(self.path, changed.encode(), expected=self._data)
        return "saved"
