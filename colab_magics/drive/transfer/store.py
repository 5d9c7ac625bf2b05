"""A store: a place for files that is read and written by five verbs, whatever it is.

There are two, a folder (`local`) and Google Drive by its interface (`rest`). What copies from the
one to the other (`copy`) knows neither.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import (
    Any,
    Dict,
    Iterable,
    Iterator,
    List,
    Literal,
    NamedTuple,
    Optional,
    Protocol,
    Sequence,
    Tuple,
)

from ...core.controls import has_controls, visible
from ...core.errors import DriveError
from ...core.meter import Track

#: ``document``: it has no bytes of its own, as one of Google Docs; ``other``: a link, a device;
#: ``unreadable``: a folder that cannot be listed.
Kind = Literal["file", "folder", "document", "other", "unreadable"]
#: Why what is no file and no folder is passed over, for people.
REASONS: Dict[Kind, str] = {
    "file": "",
    "folder": "",
    "document": "a Google document",
    "other": "a link, or no plain file",
    "unreadable": "it cannot be read",
}
#: Bytes of the largest file that is sent at once, and from its start again: no state is kept of it.
SMALL = 5 * 10**6
#: Bytes that are read and written at once.
BLOCK = 1 << 20
#: Bytes of the longest name that file systems have.
LONGEST = 255


@dataclass(frozen=True)
class Entry:
    """A file or a folder in a store; ``id`` is what the store itself calls it.

    ``md5`` is empty where it is not known without reading the file; ``via`` is the id of the
    shortcut that has led to it. ``type`` is the media type of a document, and to read one, that
    which it is to be exported as.
    """

    id: str
    name: str
    kind: Kind = "file"
    size: int = 0
    mtime_ns: int = 0
    md5: str = ""
    via: str = ""
    type: str = ""


class Change(NamedTuple):
    """What is now known of an id: the folder that it is in, and what it is; None: it is gone."""

    id: str
    parent: str
    entry: Optional[Entry]


class Changes(NamedTuple):
    """What has changed in a store, and the token from which the next changes are counted."""

    changes: List[Change]
    token: str


class Source(Protocol):
    """What is to be written: a file of another store, or a folder in one stream."""

    size: int
    mtime_ns: int
    #: What names exactly these bytes, as far as that is known without reading them.
    version: str
    #: Empty where it is not known without reading.
    md5: str

    @property
    def id(self) -> str:
        """What it is called on this machine, or by its store."""

    def is_alike(self, entry: Entry) -> bool:
        """Tell whether a file is plainly this one, without reading either of them."""

    def read(self, start: int, end: int) -> Iterator[bytes]:
        """Yield the bytes from ``start`` to before ``end``; `DriveError` if it has changed."""


class Store(Protocol):
    """Five verbs, and folders to write in. All of them raise `DriveError`."""

    def list(self, folder: Entry) -> List[Entry]:
        """Return what is in a folder, by name; names may be strangers' text, and stand twice."""

    def stat(self, path: str) -> Optional[Entry]:
        """Return what a typed path names; None for nothing."""

    def read(self, entry: Entry, start: int, end: int) -> Iterator[bytes]:
        """Yield a part of a file; `retry.Passing` where it may be had by another try."""

    def write(
        self, folder: Entry, name: str, source: Source, old: Optional[Entry], track: Track
    ) -> Entry:
        """Write a file, or in the place of ``old``; whole and verified, or not at all.

        A run that is cut off, in whatever way, is gone on with by the next.
        """

    def make_folder(self, folder: Entry, name: str) -> Entry:
        """Make a folder in a folder."""

    def delete(self, entry: Entry) -> None:
        """Delete a file, or a folder with all in it."""

    def delete_empty(self, folder: Entry) -> bool:
        """Delete a folder with nothing in it; tell whether that was so."""

    def refresh(self, entry: Entry) -> Optional[Entry]:
        """Return a file or folder as it is now; None where it is gone."""

    def begin_changes(self, folder: Entry) -> Tuple[Entry, str]:
        """Return a folder by its lasting id, and a token for `changes`.

        The token is empty where the changes below the folder cannot be had.
        """

    def changes(self, token: str) -> Optional[Changes]:
        """Return what has changed anywhere in the store; None where the token is not known."""


class FileSource:
    """A file of a store, to be written into another one."""

    def __init__(self, store: Store, entry: Entry) -> None:
        self._store, self._entry = store, entry
        self.size, self.mtime_ns, self.md5 = entry.size, entry.mtime_ns, entry.md5
        self.version = f"{entry.size}-{entry.mtime_ns}-{entry.md5}"

    @property
    def id(self) -> str:
        """What its store calls it."""
        return self._entry.id

    def is_alike(self, entry: Entry) -> bool:
        """Tell whether size and time are the same."""
        return self.size == entry.size and in_ms(self.mtime_ns) == in_ms(entry.mtime_ns)

    def read(self, start: int, end: int) -> Iterator[bytes]:
        """Yield a part of it."""
        return self._store.read(self._entry, start, end)


def in_ms(ns: int) -> int:
    """Return a time in milliseconds, as Drive has it."""
    return ns // 10**6


def new_md5() -> Any:
    """Return the hash that Drive gives for each file; it is no protection from attackers."""
    return hashlib.md5()  # noqa: S324


def md5_of(source: Source, track: Track) -> str:
    """Return the md5 of a source, which is read for it where it is not known."""
    if source.md5:
        return source.md5
    state = new_md5()
    for block in source.read(0, source.size):
        track.check()
        state.update(block)
    return str(state.hexdigest())


def refuse_name(name: str) -> str:
    """Return why a file of this name cannot be written everywhere; empty: it can.

    Names are strangers' text: on Drive others may have made them, and they may hold anything.
    """
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        return "its name is a path"
    if os.name == "nt" and ({"\\", ":"} & {*name} or name[-1] in ". "):
        return "Windows cannot have its name"
    try:
        size = len(name.encode("utf-8"))
    except UnicodeEncodeError:
        return "its name is no text"
    if has_controls(name):
        return "its name has invisible characters"
    return "its name is too long" if size > LONGEST else ""


def join(parts: Iterable[str]) -> str:
    """Return a path for people, safe to show."""
    return visible("/".join(parts), allow="")


def same_name(parts: Sequence[str], entries: Sequence[Entry]) -> DriveError:
    """Return the error for a name that stands several times in a folder, as Drive allows it."""
    ids = ", ".join(entry.id for entry in entries)
    return DriveError(
        f"{join(parts)} is there {len(entries)} times: {ids}.",
        "Rename all but one, at drive.google.com.",
        code="same-name",
    )


def split_path(text: str, typed: str) -> Tuple[str, ...]:
    """Return the parts of a typed path in a drive, which must not lead out of it."""
    parts: List[str] = []
    for part in text.split("/"):
        if part == "..":
            if not parts:
                message = f"{visible(typed)} leads out of the drive."
                raise DriveError(message, "Name a path in it.", code="outside")
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return tuple(parts)
