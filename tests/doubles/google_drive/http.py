"""One request to the server and its answer, as values."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Dict, Mapping, Optional

from .files import Refused


class Cut(Exception):
    """The connection ends here, without an answer."""


class Body:
    """The body of a request, of a given length or in chunks; it may end early.

    ``limit``: behind so many bytes the connection is cut.
    """

    def __init__(self, stream: BinaryIO, headers: Mapping[str, str]) -> None:
        self._stream = stream
        self._chunked = "chunked" in headers.get("Transfer-Encoding", "").lower()
        self._left = 0 if self._chunked else int(headers.get("Content-Length") or 0)
        self.length: Optional[int] = None if self._chunked else self._left
        self.limit: Optional[int] = None
        self.received = 0
        self.is_cut = False

    def read(self, size: int) -> bytes:
        """The next bytes: fewer than ``size`` only at the end, or where it was cut."""
        parts = []
        while size > 0 and not self.is_cut:
            if self._chunked and not self._left and not self._next_chunk():
                break
            wanted = min(size, self._left)
            if self.limit is not None:
                wanted = min(wanted, self.limit - self.received)
                self.is_cut = wanted == 0 and self._left > 0
            data = self._stream.read(wanted) if wanted else b""
            if len(data) < wanted:
                self.is_cut = True
            self._left -= len(data)
            self.received += len(data)
            size -= len(data)
            parts.append(data)
            if self._chunked and not self._left and not self.is_cut:
                self._stream.readline()
            if not data:
                break
        return b"".join(parts)

    def _next_chunk(self) -> bool:
        line = self._stream.readline().split(b";")[0].strip()
        if not line:
            self.is_cut = True
            return False
        self._left = int(line, 16)
        if not self._left:
            self._chunked = False
            while self._stream.readline().strip():  # trailers
                pass
        return self._left > 0

    def read_all(self) -> bytes:
        """Everything; `Cut` where it ended early."""
        parts = []
        while True:
            data = self.read(1 << 20)
            if not data:
                break
            parts.append(data)
        if self.is_cut:
            raise Cut
        return b"".join(parts)

    def drain(self) -> None:
        """Read what is left, and forget it."""
        while self.read(1 << 20):
            pass


@dataclass
class Request:
    """What was asked for, and in the end what was answered."""

    action: str
    method: str
    path: str
    query: Dict[str, str]
    headers: Dict[str, str]
    body: Body
    #: The file or session that the path names.
    id: str = ""
    at: float = field(default_factory=time.monotonic)
    #: 0 while it is worked on, or where the connection was cut instead of an answer.
    status: int = 0
    #: Bytes of the body of the answer.
    sent: int = 0

    @property
    def received(self) -> int:
        """Bytes of the body that arrived."""
        return self.body.received

    @property
    def token(self) -> str:
        return self.headers.get("authorization", "").replace("Bearer ", "", 1)

    @property
    def all_drives(self) -> bool:
        names = ("supportsAllDrives", "includeItemsFromAllDrives", "supportsTeamDrives")
        return any(self.query.get(name) == "true" for name in names)

    def json(self) -> Any:
        data = self.body.read_all()
        try:
            return json.loads(data or b"{}")
        except ValueError:
            raise Refused(400, "parseError", "Parse Error") from None

    def number(self, name: str, default: int, largest: int) -> int:
        text = self.query.get(name, str(default))
        if not text.isdigit() or not 1 <= int(text) <= largest:
            raise Refused(400, "invalid", f"Invalid value '{text}' for {name}: 1 to {largest}")
        return int(text)


@dataclass
class Reply:
    """An answer: some bytes, or a part of a file on disk."""

    status: int = 200
    headers: Dict[str, str] = field(default_factory=dict)
    data: bytes = b""
    path: Optional[Path] = None
    start: int = 0
    length: int = 0
    #: Sent in chunks, so that nobody learns the size.
    chunked: bool = False


def json_reply(value: Any, status: int = 200, **headers: str) -> Reply:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    kind = {"Content-Type": "application/json; charset=UTF-8", **named}
    return Reply(status, kind, json.dumps(value).encode())


def error_reply(refused: Refused) -> Reply:
    detail = {"domain": "global", "reason": refused.reason, "message": refused.message}
    error = {"code": refused.status, "message": refused.message, "errors": [detail]}
    reply = json_reply({"error": error}, refused.status)
    reply.headers.update(refused.headers)
    return reply
