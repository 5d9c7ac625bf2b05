"""Google Drive as a store, by its interface (v3). Sources: developers.google.com/drive, "Search
for files", "Upload file data", "Download files", "Create a shortcut", "Delete".
"""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import replace
from typing import Any, Dict, Iterator, List, Optional, Tuple

import requests

from ...core.meter import Track
from ...core.web import number
from .api import Api, not_drive
from .retry import Passing
from .store import BLOCK, Change, Changes, Entry, Kind, Source, same_name
from .upload import FIELDS, Upload, parse_time

_FILES = "/drive/v3/files"
_FOLDER = "application/vnd.google-apps.folder"
_SHORTCUT = "application/vnd.google-apps.shortcut"
#: What has no bytes of its own.
_GOOGLE = "application/vnd.google-apps."
#: The most files that one answer lists.
_PAGE = "1000"
#: What is answered to a token for changes that Google does not know any more.
_EXPIRED = (400, 404, 410)
_ID = re.compile(r"[\w-]{1,200}")
#: The folder of one's own files.
ROOT = Entry("root", "", "folder")


class DriveStore:
    """One's own files on Google Drive, by their ids; shortcuts are what they lead to.

    ``has_shared``: at the top are also what others share with the account, and shared drives. A
    service account has little else.
    """

    def __init__(self, api: Api, has_shared: bool = False) -> None:
        self._api, self._has_shared = api, has_shared

    def list(self, folder: Entry) -> List[Entry]:
        """Return what is in a folder, as many pages as it takes; shortcuts to nothing are left out.

        Names are as Drive has them: anybody who may write into a shared folder has made them.
        """
        entries = self._search(f"{_quote(folder.id)} in parents and trashed = false")
        if self._has_shared and folder.id == ROOT.id:
            entries += self._search("sharedWithMe and trashed = false")
            entries += self._list_drives()
        return entries

    def stat(self, path: str) -> Optional[Entry]:
        """Return what a path names; `DriveError` where a name of it stands twice."""
        entry, done = ROOT, []
        for name in filter(None, path.split("/")):
            done.append(name)
            if entry.kind != "folder":
                return None
            if self._has_shared and entry is ROOT:
                listed = self.list(entry)
            else:
                parent = _quote(entry.id)
                query = f"name = {_quote(name)} and {parent} in parents and trashed = false"
                listed = self._search(query)
            # Drive itself takes no notice of upper and lower case.
            entries = [x for x in listed if x.name == name]
            if len(entries) > 1:
                raise same_name(done, entries)
            if not entries:
                return None
            entry = entries[0]
        return entry

    def read(self, entry: Entry, start: int, end: int) -> Iterator[bytes]:
        """Yield a part of a file; `Passing` where it was cut off."""
        if start >= end:
            return
        path, headers = _path(entry), {"Accept-Encoding": "identity"}
        if entry.kind == "document":  # is exported, and all of it
            path, params = f"{path}/export", {"mimeType": entry.type}
        else:
            params = {"alt": "media", "supportsAllDrives": "true"}
            headers["Range"] = f"bytes={start}-{end - 1}"
        response = self._api.send(
            "GET", path, entry.name, params=params, headers=headers, stream=True
        )
        with closing(response):
            skip = start if response.status_code != 206 else 0
            if not skip and start:
                content = response.headers.get("Content-Range", "")
                if not content.startswith(f"bytes {start}-"):
                    raise Passing("Google Drive sent another part")
            left = end - start
            try:
                for block in response.iter_content(BLOCK):
                    block, skip = block[skip:], max(skip - len(block), 0)
                    block = block[:left]
                    left -= len(block)
                    if block:
                        yield block
                    if not left:
                        return
            except (requests.RequestException, OSError):
                raise Passing("Google Drive closed the connection") from None

    def write(
        self, folder: Entry, name: str, source: Source, old: Optional[Entry], track: Track
    ) -> Entry:
        """Send a file; a new version of ``old`` keeps its id, and Drive keeps the one before."""
        return Upload(self._api, folder, name, source, old, track).run()

    def make_folder(self, folder: Entry, name: str) -> Entry:
        """Make a folder."""
        new = self._api.take_id()
        self._api.bucket.take()
        metadata = {"id": new, "name": name, "mimeType": _FOLDER, "parents": [folder.id]}
        self._api.call("POST", _FILES, {"fields": "id"}, metadata, name, (409,))
        return Entry(new, name, "folder")

    def delete(self, entry: Entry) -> None:
        """Move it to the trash, where it is for thirty days; of a shortcut, the shortcut alone."""
        place = f"{_FILES}/{entry.via or entry.id}"
        self._api.call("PATCH", place, {"fields": "id"}, {"trashed": True}, entry.name)

    def delete_empty(self, folder: Entry) -> bool:
        """Delete a folder with nothing in it; tell whether that was so."""
        if self.list(folder):
            return False
        self.delete(folder)
        return True

    # ------------------------------------------------------------------ what has changed
    def refresh(self, entry: Entry) -> Optional[Entry]:
        """Return it as Drive has it now; None where it is gone, or in the trash."""
        params = {"fields": FIELDS}
        answer = self._api.call("GET", _path(entry), params, subject=entry.name, allow=(404,))
        if answer.status == 404 or answer.json.get("trashed") is True:
            return None
        return _parse(answer.json)

    def begin_changes(self, folder: Entry) -> Tuple[Entry, str]:
        """Return the folder by its real id.

        No token in a shared drive, whose changes are apart, and for a top with what is shared.
        """
        if self._has_shared and folder.id == ROOT.id:
            return folder, ""
        answer = self._api.call("GET", _path(folder), {"fields": "id,driveId"}).json
        id, token = answer.get("id"), ""
        if not isinstance(id, str) or not _ID.fullmatch(id):
            raise not_drive()
        if not answer.get("driveId"):
            place = "/drive/v3/changes/startPageToken"
            token = _text(self._api.call("GET", place).json.get("startPageToken"))
        return replace(folder, id=id), token

    def changes(self, token: str) -> Optional[Changes]:
        """Return what has changed since, as many pages as it takes."""
        changes: List[Change] = []
        params = {
            "fields": f"nextPageToken,newStartPageToken,changes(fileId,file({FIELDS},parents))",
            "pageSize": _PAGE,
            "pageToken": token,
            "includeItemsFromAllDrives": "true",
        }
        while True:
            answer = self._api.call("GET", "/drive/v3/changes", params, allow=_EXPIRED)
            if answer.status in _EXPIRED:
                return None
            listed = answer.json.get("changes")
            if not isinstance(listed, list):
                raise not_drive()
            changes += [_parse_change(x) for x in listed if isinstance(x, dict) and "fileId" in x]
            if "nextPageToken" not in answer.json:
                return Changes(changes, _text(answer.json.get("newStartPageToken")))
            params["pageToken"] = _text(answer.json["nextPageToken"])

    # ------------------------------------------------------------------ what Drive lists
    def _search(self, query: str) -> List[Entry]:
        params = {
            "q": query,
            "fields": f"nextPageToken,files({FIELDS})",
            "pageSize": _PAGE,
            "includeItemsFromAllDrives": "true",
        }
        return [self._read_entry(values) for values in self._list_pages(_FILES, "files", params)]

    def _list_drives(self) -> List[Entry]:
        params = {"fields": "nextPageToken,drives(id,name)", "pageSize": "100"}
        drives = self._list_pages("/drive/v3/drives", "drives", params)
        return [_parse({**_require(x), "mimeType": _FOLDER}) for x in drives]

    def _list_pages(self, path: str, key: str, params: Dict[str, str]) -> Iterator[Any]:
        """Yield what is listed, as many pages as it takes."""
        while True:
            answer = self._api.call("GET", path, params).json
            items, token = answer.get(key), answer.get("nextPageToken", "")
            if not isinstance(items, list) or not isinstance(token, str):
                raise not_drive()
            yield from items
            if not token:
                return
            params = {**params, "pageToken": token}

    def _read_entry(self, values: Any) -> Entry:
        """Return what a shortcut leads to under its own name, else what is described."""
        entry = _parse(values)
        if values["mimeType"] != _SHORTCUT:
            return entry
        details = values.get("shortcutDetails")
        target = details.get("targetId") if isinstance(details, dict) else None
        if not isinstance(target, str) or not _ID.fullmatch(target):
            raise not_drive()
        place = f"{_FILES}/{target}"
        answer = self._api.call("GET", place, {"fields": FIELDS}, subject=entry.name, allow=(404,))
        if answer.status == 404 or answer.json.get("trashed") is True:
            return Entry(entry.id, entry.name, "other")
        return replace(_parse(answer.json), name=entry.name, via=entry.id)


def _parse_change(values: Dict[str, Any]) -> Change:
    """Return a change, read strictly; a shortcut is none of what it leads to."""
    id, file = _text(values["fileId"]), values.get("file")
    if file is None:
        return Change(id, "", None)
    entry = _parse(file)
    if file["mimeType"] == _SHORTCUT:
        entry = Entry(entry.id, entry.name, "other")
    parents = file.get("parents") or [""]
    if entry.id != id or not isinstance(parents, list):
        raise not_drive()
    is_gone = file.get("trashed") is True
    return Change(id, str(parents[0]), None if is_gone else entry)


def _text(value: Any) -> str:
    """Return a token or an id of Drive's; `DriveError` for what is none."""
    if not isinstance(value, str) or not value:
        raise not_drive()
    return value


def _require(values: Any) -> Dict[str, Any]:
    if not isinstance(values, dict):
        raise not_drive()
    return values


def _parse(values: Any) -> Entry:
    """Return an entry as Drive describes it, read strictly; `DriveError` for what is none."""
    values = _require(values)
    texts: Dict[str, str] = {}
    for key in ("id", "name", "mimeType"):
        if not isinstance(values.get(key), str):
            raise not_drive()
        texts[key] = values[key]
    if not _ID.fullmatch(texts["id"]):
        raise not_drive()
    kind: Kind = "file"
    if texts["mimeType"] == _FOLDER:
        kind = "folder"
    elif texts["mimeType"].startswith(_GOOGLE):
        kind = "document"
    size, md5 = number(str(values.get("size", ""))), values.get("md5Checksum", "")
    if kind == "file" and size is None:
        kind = "document"
    if not isinstance(md5, str) or not re.fullmatch(r"([0-9a-f]{32})?", md5):
        raise not_drive()
    mtime_ns = parse_time(values.get("modifiedTime"))
    type = texts["mimeType"] if kind == "document" else ""
    return Entry(texts["id"], texts["name"], kind, size or 0, mtime_ns, md5, type=type)


def _path(entry: Entry) -> str:
    return f"{_FILES}/{entry.id}"


def _quote(text: str) -> str:
    r"""Return a text as a string of Drive's queries, in which ``\`` and ``'`` are escaped."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
