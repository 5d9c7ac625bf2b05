"""Google's documents as files: without bytes of their own, they are exported in a format.

Source: developers.google.com/workspace/drive, "Export MIME types for Google Workspace documents".
"""

from __future__ import annotations

import sys
from copy import copy
from typing import Dict, Iterator, Optional, Sequence

from ...core.meter import Track
from .retry import Backoff
from .store import Entry, Store, in_ms, new_md5

_GOOGLE = "application/vnd.google-apps."
_OFFICE = "application/vnd.openxmlformats-officedocument."
_OPEN = "application/vnd.oasis.opendocument."
_PDF = {"pdf": "application/pdf"}
#: Kind of document -> what a file's name ends in -> media type; the first one is the usual one.
_FORMATS: Dict[str, Dict[str, str]] = {
    "document": {
        "docx": f"{_OFFICE}wordprocessingml.document",
        "odt": f"{_OPEN}text",
        "txt": "text/plain",
        "md": "text/markdown",
        "epub": "application/epub+zip",
        **_PDF,
    },
    "spreadsheet": {
        "xlsx": f"{_OFFICE}spreadsheetml.sheet",
        "ods": f"{_OPEN}spreadsheet",
        "csv": "text/csv",
        "tsv": "text/tab-separated-values",
        **_PDF,
    },
    "presentation": {
        "pptx": f"{_OFFICE}presentationml.presentation",
        "odp": f"{_OPEN}presentation",
        "txt": "text/plain",
        **_PDF,
    },
    "drawing": {"svg": "image/svg+xml", "png": "image/png", **_PDF},
}
#: All formats that there are.
FORMATS = sorted({x for formats in _FORMATS.values() for x in formats})


class Export:
    """A document as a file in one format, as a source for a store; `load` gets its bytes.

    Two exports of the same version may differ in their bytes: the time tells whether it is there.
    """

    size = 0
    md5 = version = ""
    _data = b""

    def __init__(self, store: Store, entry: Entry, suffix: str, type: str) -> None:
        self._store, self._entry = store, Entry(entry.id, entry.name, "document", type=type)
        self._suffix = f".{suffix}"
        self.id, self.mtime_ns = entry.id, entry.mtime_ns

    @classmethod
    def of(cls, store: Store, entry: Entry, wanted: Sequence[str]) -> Optional[Export]:
        """Return a document in the first wanted format that it has, else in the usual one.

        None for a kind of document that has no format, as a form.
        """
        formats = _FORMATS.get(entry.type[len(_GOOGLE) :], {})
        suffix = next((x for x in (*wanted, *formats) if x in formats), "")
        return cls(store, entry, suffix, formats[suffix]) if suffix else None

    def rename(self, name: str) -> str:
        """Return the name of the file."""
        return name if name.endswith(self._suffix) else f"{name}{self._suffix}"

    def load(self, track: Track) -> Export:
        """Return it with its bytes, of which Google exports no more than 10 MB."""

        def attempt() -> bytes:
            return b"".join(self._store.read(self._entry, 0, sys.maxsize))

        loaded, state = copy(self), new_md5()
        loaded._data = Backoff(track.stop, track.say).run(attempt)
        state.update(loaded._data)
        loaded.size, loaded.md5 = len(loaded._data), state.hexdigest()
        loaded.version = loaded.md5
        return loaded

    def is_alike(self, entry: Entry) -> bool:
        """Tell whether a file is of this version."""
        return in_ms(self.mtime_ns) == in_ms(entry.mtime_ns)

    def read(self, start: int, end: int) -> Iterator[bytes]:
        """Yield a part of it."""
        yield self._data[start:end]
