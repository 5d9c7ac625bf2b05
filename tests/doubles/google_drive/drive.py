"""`GoogleDrive`: what is answered to each request, and what tests do with it."""

from __future__ import annotations

import re
import shutil
import ssl
import tempfile
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple

from .faults import Fault, Faults
from .fields import select
from .files import (
    DOCUMENT,
    FOLDER,
    ROOT,
    SHEET,
    SHORTCUT,
    File,
    Files,
    Refused,
    now,
    page_token,
    read_page_token,
)
from .http import Reply, Request, json_reply
from .oauth import ADA, OAuth
from .proxy import Proxy
from .server import Server
from .uploads import Upload, Uploads

_WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_EXCEL = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_EXPORTS = {
    DOCUMENT: [_WORD, "application/pdf", "text/plain"],
    SHEET: [_EXCEL, "application/pdf", "text/csv"],
}
_EXPORT_LIMIT = 10 * 1024 * 1024


class GoogleDrive:
    """The server, as ``with GoogleDrive() as drive``.

    ``url`` has the interface and the login; `proxy` leads a client to it that knows only Google's
    addresses. ``certificate``: a certificate and its key, for TLS. ``delay``: seconds for each
    request. `close` raises the first error that was one of this double itself.
    """

    def __init__(self, certificate: Optional[Tuple[Path, Path]] = None, port: int = 0) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="google-drive-"))
        self.files = Files(self.folder)
        self.uploads = Uploads(self.files)
        self.oauth = OAuth()
        self.faults = Faults()
        self.delay = 0.0
        self.requests: List[Request] = []
        self.errors: List[BaseException] = []
        context = None
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*map(str, certificate))
        self._server = Server(self, context, port)
        self._proxy: Optional[Proxy] = None
        self.url = self._server.url

    def __enter__(self) -> GoogleDrive:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Serve no more; delete all."""
        self._server.close()
        if self._proxy is not None:
            self._proxy.close()
        shutil.rmtree(str(self.folder), ignore_errors=True)
        for error in self.errors:
            raise error

    @property
    def proxy(self) -> Proxy:
        """A proxy that leads every host here."""
        if self._proxy is None:
            self._proxy = Proxy(self._server.server_address[:2])
        return self._proxy

    # ------------------------------------------------------------------ to put things there
    def add_file(self, name: str, data: bytes = b"", parent: str = ROOT, **meta: Any) -> str:
        """Put a file there; return its id."""
        return self._add({"name": name, "parents": [parent], **meta}, data)

    def add_folder(self, name: str, parent: str = ROOT, **meta: Any) -> str:
        """Make a folder; return its id."""
        return self._add({"name": name, "parents": [parent], "mimeType": FOLDER, **meta})

    def add_document(
        self, name: str, exports: Mapping[str, bytes], parent: str = ROOT, kind: str = DOCUMENT
    ) -> str:
        """Put a Google document there that can be exported as these; return its id."""
        meta = {"name": name, "parents": [parent], "mimeType": kind}
        file_id = self._add(meta)
        self.files.all[file_id].exports.update(exports)
        return file_id

    def add_shortcut(self, name: str, target: str, parent: str = ROOT) -> str:
        """Make a shortcut to a file; return its id."""
        details = {"targetId": target}
        meta = {"name": name, "mimeType": SHORTCUT, "shortcutDetails": details}
        return self._add({**meta, "parents": [parent]})

    def share(self, file_id: str) -> None:
        """Let another one have shared this: it is in none of one's own folders."""
        file = self.files.all[file_id]
        self.files._remove(file)
        file.meta.update(parents=[], sharedWithMeTime=now())
        self.files._insert(file)

    def add_shared_drive(self, name: str) -> str:
        """Make a shared drive; return the id of its top folder."""
        file_id = self.add_folder(name)
        file = self.files.all[file_id]
        self.files._remove(file)
        file.meta.update(parents=[], driveId=file_id)
        self.files._insert(file)
        return file_id

    def _add(self, meta: Dict[str, Any], data: Optional[bytes] = None) -> str:
        content = None if data is None else self.files.store(data)
        return self.files.create(meta, content).id

    # ------------------------------------------------------------------ to see what is there
    def find(self, name: str, parent: str = "") -> List[str]:
        """The ids of what has this name, in a folder or anywhere."""
        files = (file for file in self.files.all.values() if file.name == name)
        return [file.id for file in files if not parent or parent in file.meta["parents"]]

    def read(self, file_id: str) -> bytes:
        """The bytes of a file."""
        content = self.files.get(file_id).content
        assert content is not None
        return content.path.read_bytes()

    def meta(self, file_id: str) -> Dict[str, Any]:
        """Everything that Drive says of a file."""
        return self.files.view(self.files.get(file_id))

    def tree(self, parent: str = ROOT, prefix: str = "") -> Dict[str, bytes]:
        """The files below a folder by path, with their bytes; not what is in the trash.

        A name that a folder has twice is an error: a test that expects that uses `find`.
        """
        content: Dict[str, bytes] = {}
        for file in self.files.children(parent):
            if self.files.is_trashed(file):
                continue
            path = f"{prefix}{file.name}"
            below = {path: self.read(file.id)} if file.content else {}
            if file.meta["mimeType"] == FOLDER:
                below = self.tree(file.id, f"{path}/") or {f"{path}/": b""}
            twice = {*below} & {*content}
            assert not twice, f"there twice: {twice}"
            content.update(below)
        return content

    # ------------------------------------------------------------------ to see what happened
    def count(self, *actions: str) -> int:
        """How many requests of these actions there were; of any without one."""
        return len(self.made(*actions))

    def made(self, *actions: str) -> List[Request]:
        """The requests of these actions, in order."""
        return [
            request for request in list(self.requests) if not actions or request.action in actions
        ]

    @property
    def connections(self) -> int:
        """How many connections were opened."""
        return self._server.connections

    @property
    def sessions(self) -> List[Upload]:
        """All upload sessions, also those that ended: what arrived, and what was taken."""
        return [*self.uploads.ended.values(), *self.uploads.sessions.values()]

    @property
    def received(self) -> int:
        """Bytes of content and metadata that uploads sent, also those that were not taken."""
        return sum(request.received for request in self.made("chunk", "multipart", "simple"))

    def reset(self) -> None:
        """Forget the requests so far; the files stay."""
        self.requests.clear()

    # ------------------------------------------------------------------ for the server
    def is_authorized(self, token: str) -> bool:
        return self.oauth.is_valid(token)

    def expire_session(self, session: str) -> None:
        self.uploads.expire(session)

    def answer(self, request: Request, fault: Fault, base: str) -> Reply:
        """The answer to a request, which is done here."""
        uploads, oauth = self.uploads, self.oauth
        if request.action == "chunk":
            done = uploads.put(request, fault.accept)
            return done if isinstance(done, Reply) else self._file(request, done)
        if request.action == "start":
            return uploads.start(request, base)
        if request.action in ("multipart", "simple"):
            return self._file(request, getattr(uploads, request.action)(request))
        if request.action in ("authorize", "token"):
            return getattr(oauth, request.action)(request)
        if request.action == "revoke":
            return oauth.revoke_token(request)
        with self.files.lock:
            return getattr(self, f"_{request.action}")(request)

    def _unknown(self, request: Request) -> Reply:
        raise Refused(404, "notFound", f"{request.method} {request.path} is not here")

    def _selected(self, request: Request, answer: Any, kind: str) -> Reply:
        try:
            return json_reply(select(answer, kind, request.query.get("fields")))
        except ValueError as wrong:
            raise Refused(400, "invalidParameter", f"Invalid field selection {wrong}") from None

    def _file(self, request: Request, file: File) -> Reply:
        return self._selected(request, self.files.view(file), "file")

    def _find(self, request: Request) -> File:
        return self.files.get(request.id, request.all_drives)

    # ------------------------------------------------------------------ files
    def _list(self, request: Request) -> Reply:
        text = request.query.get("q", "")
        size = request.number("pageSize", 100, 1000)
        start = read_page_token(text, request.query.get("pageToken", ""))
        files = self.files.search(text, request.all_drives)
        files = [file for file in files if file.order > start]
        page = files[:size]
        answer: Dict[str, Any] = {"kind": "drive#fileList", "incompleteSearch": False}
        if len(files) > size:
            answer["nextPageToken"] = page_token(text, page[-1].order)
        answer["files"] = [self.files.view(file) for file in page]
        return self._selected(request, answer, "files")

    def _get(self, request: Request) -> Reply:
        return self._file(request, self._find(request))

    def _create(self, request: Request) -> Reply:
        return self._file(request, self.files.create(request.json()))

    def _update(self, request: Request) -> Reply:
        query, file = request.query, self._find(request)
        add, remove = query.get("addParents", ""), query.get("removeParents", "")
        changed = self.files.update(file.id, request.json(), None, add, remove)
        return self._file(request, changed)

    def _copy(self, request: Request) -> Reply:
        return self._file(request, self.files.copy(self._find(request).id, request.json()))

    def _delete(self, request: Request) -> Reply:
        if self._find(request).id == ROOT:
            raise Refused(403, "insufficientFilePermissions")
        self.files.delete(self._find(request).id)
        return Reply(204)

    def _empty_trash(self, request: Request) -> Reply:
        for file in list(self.files.all.values()):
            if file.meta.get("trashed") and file.id in self.files.all:
                self.files.delete(file.id)
        return Reply(204)

    def _ids(self, request: Request) -> Reply:
        ids = self.files.reserve(request.number("count", 10, 1000))
        answer = {"kind": "drive#generatedIds", "space": "drive", "ids": ids}
        return self._selected(request, answer, "ids")

    def _media(self, request: Request) -> Reply:
        file = self._find(request)
        if file.content is None:
            message = "Only files with binary content can be downloaded. Use Export with Docs."
            raise Refused(403, "fileNotDownloadable", message)
        size, kind = file.content.size, {"Content-Type": file.meta["mimeType"]}
        text = request.headers.get("range")
        if text is None:
            return Reply(200, kind, path=file.content.path, length=size)
        start, end = _read_range(text, size)
        headers = {**kind, "Content-Range": f"bytes {start}-{end - 1}/{size}"}
        return Reply(206, headers, path=file.content.path, start=start, length=end - start)

    def _export(self, request: Request) -> Reply:
        file, kind = self._find(request), request.query.get("mimeType", "")
        if file.content is not None or not file.exports:
            raise Refused(403, "fileNotExportable", "Export only supports Docs Editors files.")
        if kind not in file.exports:
            raise Refused(400, "badRequest", "The requested conversion is not supported.")
        if len(file.exports[kind]) > _EXPORT_LIMIT:
            message = "This file is too large to be exported."
            raise Refused(403, "exportSizeLimitExceeded", message)
        return Reply(200, {"Content-Type": kind}, file.exports[kind], chunked=True)

    # ------------------------------------------------------------------ the rest
    def _start_page_token(self, request: Request) -> Reply:
        answer = {"kind": "drive#startPageToken", "startPageToken": str(len(self.files.changes))}
        return self._selected(request, answer, "token")

    def _changes(self, request: Request) -> Reply:
        token, size = request.query.get("pageToken", ""), request.number("pageSize", 100, 1000)
        if not token.isdigit() or int(token) > len(self.files.changes):
            raise Refused(400, "invalid", f"Invalid Value: pageToken {token!r}")
        ids, end = self.files.changed(int(token), size)
        changes = [self._change(file_id) for file_id in ids]
        answer: Dict[str, Any] = {"kind": "drive#changeList", "changes": changes}
        is_last = end == len(self.files.changes)
        answer["newStartPageToken" if is_last else "nextPageToken"] = str(end)
        return self._selected(request, answer, "changes")

    def _change(self, file_id: str) -> Dict[str, Any]:
        change = {"kind": "drive#change", "type": "file", "changeType": "file", "time": now()}
        file = self.files.all.get(file_id)
        change.update(fileId=file_id, removed=file is None)
        return change if file is None else {**change, "file": self.files.view(file)}

    def _about(self, request: Request) -> Reply:
        if not request.query.get("fields"):
            message = "The 'fields' parameter is required for this method."
            raise Refused(400, "required", message)
        usage = str(self.files.usage)
        quota = {"usage": usage, "usageInDrive": usage, "usageInDriveTrash": "0"}
        if self.files.limit is not None:
            quota["limit"] = str(self.files.limit)
        email = self.oauth.emails.get(request.token, ADA)
        user = {"kind": "drive#user", "displayName": "Ada", "emailAddress": email}
        answer = {"kind": "drive#about", "user": {**user, "me": True}, "storageQuota": quota}
        return self._selected(
            request, {**answer, "importFormats": {}, "exportFormats": _EXPORTS}, "about"
        )

    def _drives(self, request: Request) -> Reply:
        shared = [file for file in self.files.all.values() if "driveId" in file.meta]
        drives = [{"kind": "drive#drive", "id": top.id, "name": top.name} for top in shared]
        return self._selected(request, {"kind": "drive#driveList", "drives": drives}, "drives")


def _read_range(text: str, size: int) -> Tuple[int, int]:
    """The first byte and the one behind the last; `Refused` where none is there."""
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", text.strip())
    if match and match[1]:
        start, end = int(match[1]), min(int(match[2] or size - 1) + 1, size)
    elif match and match[2]:
        start, end = max(size - int(match[2]), 0), size
    else:
        start = end = size
    if start >= end:
        headers = {"Content-Range": f"bytes */{size}"}
        raise Refused(416, "requestedRangeNotSatisfiable", headers=headers)
    return start, end
