"""One file on its way to Google Drive: verified by its md5, and gone on with after any cut.

Source: developers.google.com/drive, "Upload file data" (multipart, resumable). An id is reserved
before, so that a file which is made again is no second one.
"""

from __future__ import annotations

import json
import mimetypes
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timezone
from typing import Any, Callable, Dict, Iterator, Optional

from ...core.errors import DriveError
from ...core.meter import Track
from ...core.web import number
from .api import Answer, Api, not_drive, read_answer
from .journal import Journal, Record, held
from .retry import Passing
from .store import SMALL, Entry, Source, new_md5

#: Bytes of a chunk, of which few are in memory: each costs one request. A multiple of 256 KiB.
CHUNK = 256 << 20
#: What is asked of each file.
FIELDS = "id,name,mimeType,size,md5Checksum,modifiedTime,trashed,shortcutDetails"
_VERIFIED = "md5Checksum,modifiedTime,trashed"
#: The statuses after which a session must be begun anew.
_EXPIRED = (400, 404, 410)
#: The end of the year 9999, in seconds.
_LATEST = 253402300799
_UPLOAD = "/upload/drive/v3/files"
_BYTES = "application/octet-stream"


class Expired(Exception):
    """Google knows the session no more: what it had of the file is lost."""


class Body:
    """Bytes that are read while they are sent; ``requests`` takes their number from here."""

    def __init__(self, blocks: Callable[[], Iterator[bytes]], size: int) -> None:
        self._blocks, self._size = blocks, size

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        return self._blocks()


class Upload:
    """A file that is made in a folder, or written in the place of ``old``."""

    def __init__(
        self,
        api: Api,
        folder: Entry,
        name: str,
        source: Source,
        old: Optional[Entry],
        track: Track,
    ) -> None:
        self._api, self._folder, self._name = api, folder, name
        self._source, self._old, self._track = source, old, track
        #: The file that is written; that of a new one is reserved.
        self._id = old.id if old is not None else ""
        self._exists = old is not None

    def run(self) -> Entry:
        """Send it, and again if it arrived damaged; `DriveError` if that is so twice."""
        for _ in range(2):
            if self._source.size > SMALL:
                answer, digest = self._send_large()
            else:
                answer, digest = self._send_small()
            if answer.json.get("md5Checksum") == digest:
                self._track.advance(self._source.size, self._source.size)
                mtime_ns = parse_time(answer.json.get("modifiedTime"))  # a time that it can have
                return Entry(self._id, self._name, "file", self._source.size, mtime_ns, digest)
            self._exists = True  # with other bytes in it
        raise DriveError(
            f"{self._name} arrived damaged, twice: its md5 is another one on Google Drive.",
            "Run the same line again; what is there now is not your file.",
            code="hash-differs",
        )

    # ------------------------------------------------------------------ a small one
    def _send_small(self) -> Any:
        data = b"".join(self._source.read(0, self._source.size))
        state = new_md5()
        state.update(data)
        self._reserve()
        boundary = f"{state.hexdigest()}-colab-magics"
        head = (
            f"--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n"
            f"{json.dumps(self._metadata())}\r\n--{boundary}\r\n"
            f"Content-Type: {_kind(self._name)}\r\n\r\n"
        )
        body = b"".join((head.encode(), data, f"\r\n--{boundary}--\r\n".encode()))
        headers = {"Content-Type": f"multipart/related; boundary={boundary}"}

        def attempt() -> Answer:
            self._track.check()
            if not self._exists:
                self._api.bucket.take()
            return self._begin("multipart", headers, data=body)

        answer = self._api.backoff(self._track.say).run(attempt)
        if answer.status == 409:
            answer = self._read_back()
        self._api.bucket.accepted()
        return answer, state.hexdigest()

    def _begin(self, kind: str, headers: Dict[str, str], **options: Any) -> Answer:
        method, path = ("PATCH", f"{_UPLOAD}/{self._id}") if self._exists else ("POST", _UPLOAD)
        params = {"uploadType": kind, "fields": _VERIFIED}
        allow = () if self._exists else (409,)
        return self._api.attempt(
            method, path, params, subject=self._name, allow=allow, headers=headers, **options
        )

    def _reserve(self) -> None:
        if not self._id:
            self._id = self._api.take_id()

    def _metadata(self) -> Dict[str, Any]:
        metadata: Dict[str, Any] = {"modifiedTime": format_time(self._source.mtime_ns)}
        if not self._exists:
            metadata.update(id=self._id, name=self._name, parents=[self._folder.id])
        return metadata

    def _read_back(self) -> Answer:
        """Return the file that an earlier try has made, whose answer did not come."""
        self._exists = True
        return self._api.call(
            "GET",
            f"/drive/v3/files/{self._id}",
            {"fields": _VERIFIED},
            subject=self._name,
            say=self._track.say,
        )

    # ------------------------------------------------------------------ a large one
    def _send_large(self) -> Any:
        key = f"{self._source.id}\0{self._folder.id}\0{self._name}"
        with held(key, self._name) as journal:
            return self._resume(journal)

    def _resume(self, journal: Journal) -> Any:
        """Go on with what a journal says, if it is of the same file; else begin."""
        source, record = self._source, journal.load()
        session = Session(self._api, self._name, source, self._track)
        if record is None or not self._is_of(record):
            record = None
        elif not self._id:
            self._id = record.id
        self._reserve()
        if record is not None and self._api.is_own(record.uri):
            with suppress(Expired):
                answer, digest = session.run(record.uri, ask=True)
                journal.remove()
                if self._old is not None or self._read_back().json.get("trashed") is not True:
                    return answer, digest
                self._id, self._exists = self._api.take_id(), False
        backoff = self._api.backoff(self._track.say)
        while True:
            answer = backoff.run(self._begin_session)
            if answer.status == 409:
                answer = self._read_back()
                if answer.json.get("trashed") is True:  # since the journal was written
                    self._id, self._exists = self._api.take_id(), False
                    continue
                journal.remove()
                return answer, session.digest()
            uri = str(answer.headers.get("Location", ""))
            if not self._api.is_own(uri):
                raise not_drive()
            journal.save(Record(source.id, source.version, source.size, self._id, uri))
            try:
                answer, digest = session.run(uri)
            except Expired:
                backoff.pause(Passing("Google Drive has ended the upload"))
                continue
            journal.remove()
            return answer, digest

    def _begin_session(self) -> Answer:
        headers = {
            "X-Upload-Content-Type": _kind(self._name),
            "X-Upload-Content-Length": str(self._source.size),
        }
        if not self._exists:
            self._api.bucket.take()
        return self._begin("resumable", headers, json=self._metadata())

    def _is_of(self, record: Record) -> bool:
        """Tell whether a record is of this version of the source, to the same file."""
        same = (record.path, record.version) == (self._source.id, self._source.version)
        return same and self._id in ("", record.id)


class Session:
    """A resumable upload that has begun: what Google has of it, and the hash of that."""

    def __init__(self, api: Api, name: str, source: Source, track: Track) -> None:
        self._api, self._name, self._source, self._track = api, name, source, track
        self._hashed, self._state = 0, new_md5()

    def run(self, uri: str, ask: bool = False) -> Any:
        """Send what is missing; return the last answer and the md5 of all bytes.

        ``ask``: first how much is there. `Expired` where Google does not know the session.
        """
        size, backoff = self._source.size, self._api.backoff(self._track.say)
        at = 0
        while True:
            try:
                answer = self._ask(uri) if ask else self._send(uri, at)
            except Passing as failure:
                backoff.pause(failure)
                ask = True
                continue
            if answer.status < 300:
                return answer, self.digest()
            before, at, was_query, ask = at, _received(answer, size), ask, False
            self._track.advance(at, size)
            if before < at < size:
                backoff.reset()
            elif not was_query or at >= size:
                ask = True
                backoff.pause(Passing("Google Drive has taken nothing of it"))

    def digest(self) -> str:
        """Return the md5 of all bytes, of which those that were not sent are read again."""
        self._hash_to(self._source.size)
        return str(self._state.hexdigest())

    def _ask(self, uri: str) -> Answer:
        return self._put(uri, f"bytes */{self._source.size}", b"")

    def _send(self, uri: str, start: int) -> Answer:
        """Send a chunk; what Google has taken of it is in the answer."""
        self._hash_to(start)
        size = self._source.size
        end, state = min(start + CHUNK, size), self._state.copy()

        def blocks() -> Iterator[bytes]:
            done = start
            for block in self._source.read(start, end):
                hashed = pool.submit(state.update, block)  # while the block is being sent
                yield block
                done += len(block)
                self._track.check()
                self._track.advance(done, size)
                hashed.result()

        with ThreadPoolExecutor(1) as pool:
            answer = self._put(uri, f"bytes {start}-{end - 1}/{size}", Body(blocks, end - start))
        if answer.status < 300 or _received(answer, size) == end:
            self._hashed, self._state = end, state
        return answer

    def _put(self, uri: str, content_range: str, data: Any) -> Answer:
        headers = {"Content-Range": content_range, "Content-Type": _BYTES}
        allow = (308, *_EXPIRED)
        response = self._api.send("PUT", uri, self._name, allow, headers=headers, data=data)
        answer = read_answer(response)
        if answer.status in _EXPIRED:
            raise Expired
        return answer

    def _hash_to(self, end: int) -> None:
        """Have the hash of the bytes before ``end``."""
        if end < self._hashed:
            self._hashed, self._state = 0, new_md5()
        if end > self._hashed:
            for block in self._source.read(self._hashed, end):
                self._track.check()
                self._state.update(block)
            self._hashed = end


def _kind(name: str) -> str:
    """Return the media type by which Drive shows a file."""
    return mimetypes.guess_type(name)[0] or _BYTES


def _received(answer: Answer, size: int) -> int:
    """Return how many bytes Google has, as a 308 says; none where it does not say it."""
    text = answer.headers.get("Range", "")
    match = re.fullmatch(r"(?:bytes=)?0-([0-9]+)", text)
    last = number(match[1]) if match else None
    if text and (last is None or last >= size):
        raise not_drive()
    return 0 if last is None else last + 1


def format_time(ns: int) -> str:
    """Return a time as Drive takes it, in milliseconds."""
    seconds, rest = divmod(ns, 10**9)
    seconds = min(max(seconds, 0), _LATEST)
    moment = datetime.fromtimestamp(seconds, timezone.utc)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest // 10**6:03}Z"


def parse_time(text: Any) -> int:
    """Return a time of Drive's in nanoseconds; 0 where it is none."""
    match = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z", str(text))
    with suppress(ValueError, TypeError, OverflowError):
        if match:
            moment = datetime.strptime(match[1], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)
            return int(moment.timestamp()) * 10**9 + int((match[2] or "").ljust(9, "0"))
    return 0
