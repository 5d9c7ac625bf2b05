"""The files of a drive: metadata in memory, content on disk, and what changed."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import threading
import zlib
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple
from urllib.parse import quote

from .query import parse_query

FOLDER = "application/vnd.google-apps.folder"
SHORTCUT = "application/vnd.google-apps.shortcut"
DOCUMENT = "application/vnd.google-apps.document"
SHEET = "application/vnd.google-apps.spreadsheet"
ROOT = "0AFakeRootOfMyDrive"
_WRITABLE = (
    "id name mimeType description starred trashed parents properties appProperties createdTime"
    " modifiedTime viewedByMeTime originalFilename shortcutDetails contentHints folderColorRgb"
    " copyRequiresWriterPermission writersCanShare kind"
)


class Refused(Exception):
    """An answer that is an error, in the form of Drive's."""

    def __init__(
        self, status: int, reason: str, message: str = "", headers: Optional[Dict[str, str]] = None
    ) -> None:
        super().__init__(status, reason)
        self.status, self.reason, self.headers = status, reason, headers or {}
        self.message = message or reason


@dataclass
class Content:
    """The bytes of a file."""

    path: Path
    size: int
    md5: str


@dataclass
class File:
    """A file, a folder, a Google document or a shortcut."""

    meta: Dict[str, Any]
    order: int
    content: Optional[Content] = None
    #: What a Google document can be exported as, by MIME type.
    exports: Dict[str, bytes] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return str(self.meta["id"])

    @property
    def name(self) -> str:
        return str(self.meta["name"])


def new_id() -> str:
    """An id as Drive gives it."""
    return "1" + base64.urlsafe_b64encode(os.urandom(24)).decode()


def now() -> str:
    """The time as Drive writes it."""
    return timestamp(datetime.now(timezone.utc))


def timestamp(time: datetime) -> str:
    """A time as Drive writes it: UTC, in milliseconds."""
    text = time.astimezone(timezone.utc).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def read_time(text: str) -> str:
    """A time that a client sent, as Drive answers it."""
    text = text.replace("Z", "+00:00")
    if "." in text:  # Go sends nanoseconds
        seconds, _, rest = text.partition(".")
        digits = rest.split("+")[0].split("-")[0]
        text = f"{seconds}.{digits[:6].ljust(6, '0')}{rest[len(digits) :]}"
    try:
        return timestamp(datetime.fromisoformat(text))
    except ValueError:
        raise Refused(400, "invalid", f"Invalid value for a time: {text}") from None


class Files:
    """All files. Methods that a server calls raise `Refused`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lock = threading.RLock()
        self.all: Dict[str, File] = {}
        self.reserved: Dict[str, bool] = {}
        self.changes: List[str] = []
        self.limit: Optional[int] = None
        self._count = 0
        self._by_name: Dict[str, Dict[str, File]] = {}
        self._by_parent: Dict[str, Dict[str, File]] = {}
        root = {"id": ROOT, "name": "My Drive", "mimeType": FOLDER, "createdTime": now()}
        self._insert(File({**root, "modifiedTime": root["createdTime"], "parents": []}, 0))
        self.changes.clear()

    # ------------------------------------------------------------------ reading
    def get(self, file_id: str, all_drives: bool = True) -> File:
        file = self.all.get(ROOT if file_id == "root" else file_id)
        if file is None or (self.drive_of(file) and not all_drives):
            raise Refused(404, "notFound", f"File not found: {file_id}.")
        return file

    def view(self, file: File) -> Dict[str, Any]:
        """Everything that Drive says of a file."""
        trashed = self.is_trashed(file)
        view = {"kind": "drive#file", "starred": False, "spaces": ["drive"], "ownedByMe": True}
        view.update(file.meta, trashed=trashed, version=str(file.meta.get("version", 1)))
        view["explicitlyTrashed"] = bool(file.meta.get("trashed"))
        view["capabilities"] = {"canDownload": not self.is_native(file), "canEdit": True}
        if self.drive_of(file):
            view["driveId"] = self.drive_of(file)
        if file.content is not None:
            view.update(size=str(file.content.size), md5Checksum=file.content.md5)
            view["quotaBytesUsed"] = view["size"]
        elif file.meta["mimeType"] not in (FOLDER, SHORTCUT):
            place = f"https://www.googleapis.com/drive/v3/files/{file.id}/export?mimeType="
            view["exportLinks"] = {kind: place + quote(kind, "") for kind in file.exports}
        return view

    def is_native(self, file: File) -> bool:
        """Tell whether a file has no bytes of its own."""
        return file.content is None

    def is_trashed(self, file: File) -> bool:
        return any(above.meta.get("trashed") for above in self._line(file))

    def drive_of(self, file: File) -> str:
        """The shared drive that a file is in; empty for My Drive."""
        return next((a.meta["driveId"] for a in self._line(file) if "driveId" in a.meta), "")

    def _line(self, file: File) -> Iterator[File]:
        """The file, the folder it is in, and so on."""
        current: Optional[File] = file
        while current is not None:
            yield current
            parents = current.meta.get("parents") or [""]
            current = self.all.get(parents[0])

    def search(self, text: str, all_drives: bool = False) -> List[File]:
        """The files that a query means, in the order in which they were made."""
        try:
            query = parse_query(text, ROOT)
        except ValueError as wrong:
            raise Refused(400, "invalid", f"Invalid Value: {wrong}") from None
        parent, name = query.required.get("parent"), query.required.get("name")
        if parent is not None and parent not in self.all:
            raise Refused(404, "notFound", f"File not found: {parent}.")
        candidates: Mapping[str, File] = self.all
        if name is not None:
            candidates = self._by_name.get(name, {})
        elif parent is not None:
            candidates = self._by_parent.get(parent, {})
        matches = [file for file in candidates.values() if self._matches(file, query, all_drives)]
        return sorted(matches, key=lambda file: file.order)

    def _matches(self, file: File, query: Any, all_drives: bool) -> bool:
        if file.id == ROOT or (not all_drives and self.drive_of(file)):
            return False
        return bool(query.matches({**file.meta, "trashed": self.is_trashed(file)}))

    def children(self, file_id: str) -> List[File]:
        return list(self._by_parent.get(file_id, {}).values())

    @property
    def usage(self) -> int:
        return sum(file.content.size for file in self.all.values() if file.content)

    def check_room(self, size: int) -> None:
        if self.limit is not None and self.usage + size > self.limit:
            message = "The user's Drive storage quota has been exceeded."
            raise Refused(403, "storageQuotaExceeded", message)

    # ------------------------------------------------------------------ changing
    def create(self, meta: Mapping[str, Any], content: Optional[Content] = None) -> File:
        with self.lock:
            made = self._checked(meta)
            file_id = self.check_id(made.pop("id", None))
            parents = [self.get(parent).id for parent in made.pop("parents", None) or ["root"]]
            made.setdefault("name", "Untitled")
            made.setdefault("mimeType", "application/octet-stream")
            time = now()
            made.setdefault("modifiedTime", time)
            made.setdefault("createdTime", time)
            native = made["mimeType"].startswith("application/vnd.google-apps.")
            if content is None and not native:
                content = self.store(b"")
            if content is not None:
                self.check_room(content.size)
            if made["mimeType"] == SHORTCUT:
                self._resolve(made)
            self._count += 1
            file = File({**made, "id": file_id, "parents": parents}, self._count, content)
            self._insert(file)
            return file

    def update(
        self,
        file_id: str,
        meta: Mapping[str, Any],
        content: Optional[Content] = None,
        add: str = "",
        remove: str = "",
    ) -> File:
        with self.lock:
            file = self.get(file_id)
            changed = self._checked(meta)
            if "parents" in changed or "id" in changed:
                message = "The field is not directly writable in update requests."
                raise Refused(403, "fieldNotWritable", message)
            added = [self.get(parent).id for parent in add.split(",") if parent]
            removed = [self.get(parent).id for parent in remove.split(",") if parent]
            if content is not None:
                self.check_room(content.size - (file.content.size if file.content else 0))
                changed.setdefault("modifiedTime", now())
            self._remove(file)
            file.meta.update(changed, version=int(file.meta.get("version", 1)) + 1)
            remaining = [parent for parent in file.meta["parents"] if parent not in removed]
            file.meta["parents"] = added or remaining
            if content is not None:
                old, file.content = file.content, content
                if old is not None:
                    old.path.unlink()
            self._insert(file)
            return file

    def delete(self, file_id: str) -> None:
        """Delete a file, and what is in it."""
        with self.lock:
            file = self.get(file_id)
            for child in self.children(file.id):
                self.delete(child.id)
            self._remove(file)
            self.changes.append(file.id)
            if file.content is not None:
                file.content.path.unlink()

    def copy(self, file_id: str, meta: Mapping[str, Any]) -> File:
        file = self.get(file_id)
        if file.content is None:
            raise Refused(403, "cannotCopyFile", "This file cannot be copied by the user.")
        path = self.new_path()
        shutil.copy(str(file.content.path), str(path))
        names = {"name", "mimeType", "parents"}
        inherited = {name: value for name, value in file.meta.items() if name in names}
        return self.create(
            {**inherited, **meta}, Content(path, file.content.size, file.content.md5)
        )

    def reserve(self, count: int) -> List[str]:
        ids = [new_id() for _ in range(count)]
        self.reserved.update(dict.fromkeys(ids, True))
        return ids

    def check_id(self, file_id: Optional[str]) -> str:
        """The id of a new file: one that was reserved, or another."""
        if file_id is None:
            return new_id()
        if file_id in self.all or self.reserved.get(file_id) is False:
            raise Refused(409, "fileIdInUse", "A file already exists with the provided ID.")
        if file_id not in self.reserved:
            raise Refused(400, "invalid", "The provided file ID is not usable.")
        return file_id

    def store(self, data: bytes) -> Content:
        path = self.new_path()
        path.write_bytes(data)
        return Content(path, len(data), hashlib.md5(data).hexdigest())

    def new_path(self) -> Path:
        return self.folder / new_id()

    def _checked(self, meta: Mapping[str, Any]) -> Dict[str, Any]:
        if not isinstance(meta, dict):
            raise Refused(400, "parseError", "Parse Error")
        for name in meta:
            if name not in _WRITABLE.split():
                message = "The resource body includes fields which are not directly writable."
                raise Refused(403, "fieldNotWritable", message)
        checked = {name: value for name, value in meta.items() if name != "kind"}
        for name in ("createdTime", "modifiedTime", "viewedByMeTime"):
            if name in checked:
                checked[name] = read_time(checked[name])
        return checked

    def _resolve(self, meta: Dict[str, Any]) -> None:
        target = self.get(meta.get("shortcutDetails", {}).get("targetId", ""))
        kind = target.meta["mimeType"]
        meta["shortcutDetails"] = {"targetId": target.id, "targetMimeType": kind}

    def _insert(self, file: File) -> None:
        self.all[file.id] = file
        if file.id in self.reserved:
            self.reserved[file.id] = False
        self._by_name.setdefault(file.name.casefold(), {})[file.id] = file
        for parent in file.meta["parents"]:
            self._by_parent.setdefault(parent, {})[file.id] = file
        self.changes.append(file.id)

    def _remove(self, file: File) -> None:
        del self.all[file.id]
        self._by_name[file.name.casefold()].pop(file.id)
        for parent in file.meta["parents"]:
            self._by_parent[parent].pop(file.id)

    # ------------------------------------------------------------------ what changed
    def changed(self, start: int, size: int) -> Tuple[List[str], int]:
        """The ids of what changed behind a token, each once, and the next token."""
        last = {file_id: at for at, file_id in enumerate(self.changes)}
        ids: List[str] = []
        at = start
        while at < len(self.changes) and len(ids) < size:
            if last[self.changes[at]] == at:
                ids.append(self.changes[at])
            at += 1
        return ids, at


def page_token(text: str, position: int) -> str:
    """A token that continues a list of this query only."""
    return f"~{zlib.crc32(text.encode()):08x}{position}"


def read_page_token(text: str, token: str) -> int:
    """Where a list goes on."""
    start = page_token(text, 0)[:-1]
    if not token:
        return 0
    if not token.startswith(start) or not token[len(start) :].isdigit():
        raise Refused(400, "invalid", "Invalid Value: pageToken")
    return int(token[len(start) :])
