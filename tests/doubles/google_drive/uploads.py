"""Uploads: in one request, in one with metadata, and in a session that can be resumed."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Tuple
from urllib.parse import quote

from .files import Content, File, Files, Refused, new_id
from .http import Cut, Reply, Request

#: The server takes this much at a time: a chunk that is not the last is a multiple of it.
QUANTUM = 256 * 1024
_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")


@dataclass
class Upload:
    """A session."""

    id: str
    #: The file that is replaced; empty for a new one.
    target: str
    meta: Mapping[str, Any]
    path: Path
    #: What the start of the session said.
    total: Optional[int]
    accepted: int = 0
    #: All bytes that arrived, also those that were not taken.
    received: int = 0
    #: Chunks that were neither the last nor a multiple of 256 KiB.
    misaligned: int = 0
    file: Optional[File] = None
    hash: Any = field(default_factory=hashlib.md5)


class Uploads:
    """All sessions. Methods raise `Refused`, and `Cut` where the body ended early."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self.sessions: Dict[str, Upload] = {}
        self.ended: Dict[str, Upload] = {}

    def expire(self, session: str = "") -> None:
        """End a session, or all."""
        for name in [session] if session else list(self.sessions):
            if name in self.sessions:
                self.ended[name] = self.sessions.pop(name)

    # ------------------------------------------------------------------ in one request
    def simple(self, request: Request) -> File:
        kind = request.headers.get("content-type", "application/octet-stream")
        content, meta = self._files.store(request.body.read_all()), {"mimeType": kind}
        return self._finish(request.id, {} if request.id else meta, content, request)

    def multipart(self, request: Request) -> File:
        meta, data = _parts(request.headers.get("content-type", ""), request.body.read_all())
        return self._finish(request.id, meta, self._files.store(data), request)

    def _finish(
        self, target: str, meta: Mapping[str, Any], content: Content, request: Request
    ) -> File:
        if not target:
            return self._files.create(meta, content)
        query = request.query
        add, remove = query.get("addParents", ""), query.get("removeParents", "")
        return self._files.update(target, meta, content, add, remove)

    # ------------------------------------------------------------------ in a session
    def start(self, request: Request, base: str) -> Reply:
        meta = request.json()
        kind = request.headers.get("x-upload-content-type")
        if kind and not request.id:
            meta.setdefault("mimeType", kind)
        length = request.headers.get("x-upload-content-length")
        self._files._checked(meta)
        if request.id:
            self._files.get(request.id)
        else:
            self._files.check_id(meta.get("id"))
            for parent in meta.get("parents") or ():
                self._files.get(parent)
        self._files.check_room(int(length or 0))
        upload = Upload(
            new_id(), request.id, meta, self._files.new_path(), int(length) if length else None
        )
        upload.path.touch()
        self.sessions[upload.id] = upload
        query = "&".join(f"{name}={quote(value)}" for name, value in request.query.items())
        location = f"{base}{request.path}?{query}&upload_id={upload.id}"
        return Reply(200, {"Location": location, "X-GUploader-UploadID": upload.id})

    def put(self, request: Request, most: Optional[int]) -> Reply | File:
        """Take a chunk (``most``: not more of it than so many bytes), or say where to go on."""
        upload = self.sessions.get(request.query["upload_id"])
        if upload is None:
            raise Refused(404, "notFound", "The upload session was not found.")
        if request.method == "DELETE":
            self.expire(upload.id)
            return Reply(499)
        try:
            return self._take(upload, request, most)
        finally:
            request.body.drain()
            upload.received += request.body.received

    def _take(self, upload: Upload, request: Request, most: Optional[int]) -> Reply | File:
        start, total = self._position(upload, request)
        if upload.file is not None:
            return upload.file
        if start is None:
            return _resume_at(upload)
        if start > upload.accepted:
            message = (
                f"According to the Content-Range header, the upload offset is {start} byte(s), "
                f"which exceeds already uploaded size of {upload.accepted} byte(s)."
            )
            raise Refused(503, "backendError", message)
        _skip(request, upload.accepted - start)
        self._append(upload, request, total, most)
        if request.body.is_cut:
            raise Cut
        if total is None or upload.accepted < total:
            return _resume_at(upload)
        return self._end(upload, request)

    def _position(self, upload: Upload, request: Request) -> Tuple[Optional[int], Optional[int]]:
        """Where the body starts (None: it is a question), and how long the file is."""
        text = request.headers.get("content-range")
        length = request.body.length
        if text is None:
            # In chunks of HTTP and of no known length: the file is whatever comes.
            return 0, (upload.total or 0) if length is None else length
        match = _RANGE.fullmatch(text)
        if match is None:
            raise Refused(400, "invalid", "Failed to parse Content-Range header.")
        total = None if match[3] == "*" else int(match[3])
        if None not in (total, upload.total) and total != upload.total:
            raise Refused(400, "invalid", "The total differs from X-Upload-Content-Length.")
        if match[1] is None:
            # An empty file has no other form.
            return (0 if total == 0 else None), total
        size = int(match[2]) - int(match[1]) + 1
        if (
            size <= 0
            or length not in (None, size)
            or (total is not None and int(match[2]) >= total)
        ):
            raise Refused(400, "invalid", "Failed to parse Content-Range header.")
        return int(match[1]), total

    def _append(
        self, upload: Upload, request: Request, total: Optional[int], most: Optional[int]
    ) -> None:
        """Write what can be taken: all of the file's last bytes, else whole quanta."""
        left = None if most is None else most // QUANTUM * QUANTUM
        with upload.path.open("ab", buffering=0) as file:
            while left is None or left:
                # Short only at the end of the body.
                data = request.body.read(4 * QUANTUM if left is None else min(4 * QUANTUM, left))
                if total is None or upload.accepted + len(data) < total:
                    usable = len(data) // QUANTUM * QUANTUM
                    upload.misaligned += usable < len(data) and not request.body.is_cut
                    data = data[:usable]
                if not data:
                    return
                file.write(data)
                upload.hash.update(data)
                upload.accepted += len(data)
                left = None if left is None else left - len(data)

    def _end(self, upload: Upload, request: Request) -> File:
        content = Content(upload.path, upload.accepted, upload.hash.hexdigest())
        upload.file = self._finish(upload.target, upload.meta, content, request)
        return upload.file


def _resume_at(upload: Upload) -> Reply:
    taken = {"Range": f"bytes=0-{upload.accepted - 1}"} if upload.accepted else {}
    return Reply(308, taken)


def _skip(request: Request, size: int) -> None:
    """Pass over what has been taken before."""
    while size > 0:
        data = request.body.read(min(size, 4 * QUANTUM))
        if not data:
            return
        size -= len(data)


def _parts(kind: str, body: bytes) -> Tuple[Dict[str, Any], bytes]:
    """Metadata and content of a multipart/related body."""
    match = re.search(r'boundary="?([^";]+)"?', kind)
    if match is None:
        raise Refused(400, "badContent", "Malformed multipart body.")
    mark = b"--" + match[1].encode()
    first = body.find(mark)
    second = body.find(mark, first + 1)
    last = body.rfind(mark)
    if not -1 < first < second < last:
        raise Refused(400, "badContent", "Malformed multipart body.")
    meta, data = body[first:second], body[second:last]
    try:
        return json.loads(_after_headers(meta)), _without_newline(_after_headers(data))
    except ValueError:
        raise Refused(400, "parseError", "Parse Error") from None


def _after_headers(part: bytes) -> bytes:
    """Python's email library ends lines with LF, others with CRLF."""
    match = re.search(rb"\r?\n\r?\n", part)
    return part[match.end() :] if match else b""


def _without_newline(data: bytes) -> bytes:
    return re.sub(rb"\r?\n\Z", b"", data)
