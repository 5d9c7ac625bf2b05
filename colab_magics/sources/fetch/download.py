"""One file on its way: asked for again where the connection ends, from where it ended.

It goes to a part, which a line about where it comes from stands beside, so that the next attempt,
also of another process, goes on if the server says that the file is still the same (RFC 9110,
``If-Range``).
"""

import json
import re
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, Dict, Optional, Tuple
from urllib.parse import urlsplit

from ...errors import SourceError
from .kinds import PATIENCE, Source
from .names import given_name
from .state import digest

__all__ = ["Download"]

_CHUNK = 1 << 18
#: Attempts in a row that bring nothing, and all attempts.
_TRIES, _ALL = 5, 50
#: Seconds that a server may ask us to wait.
_LONGEST = 60.0


class _Again(Exception):
    """It may work the next time, after these seconds."""

    def __init__(self, said: str, after: float = 0.0) -> None:
        self.after = after
        super().__init__(said)


class Download:
    """One file; `run` is called in a thread, everything else from another one."""

    def __init__(self, source: Source, part: Path, token: str = "", called: str = "") -> None:
        self.source, self.part = source, part
        self.name, self.called = source.name, called or source.name or "the file"
        #: Bytes that are here, and all of them, as far as that is known.
        self.got, self.total = 0, 0
        self.sha256 = ""
        self.error: Optional[BaseException] = None
        self.stopped = threading.Event()
        self._token, self._url = token, source.url
        self._from = part.with_name(part.name + ".from")

    def run(self) -> None:
        """Have the file in `part`, or say in `error` why not; a part that helps nobody is gone."""
        try:
            self.part.parent.mkdir(parents=True, exist_ok=True)
            if self.source.open is not None:
                self._copy()
            else:
                self._ask_until_whole()
            self._verify()
        except BaseException as error:
            self.error = error if isinstance(error, SourceError) else self._told(error)
            if not self._from.exists():
                self.drop()

    def drop(self) -> None:
        """Take away what is here of it."""
        for path in (self.part, self._from):
            with suppress(FileNotFoundError):
                path.unlink()

    def taken(self) -> None:
        """The part was taken to its place."""
        if self._from.exists():
            self._from.unlink()

    # ------------------------------------------------------------------ attempts
    def _ask_until_whole(self) -> None:
        import requests
        import urllib3

        idle, before = 0, -1
        with requests.Session() as session:
            for _ in range(_ALL):
                start, validator = self._half()
                idle, before = (0 if start > before else idle + 1), start
                try:
                    self._ask(session, start, validator)
                    return
                except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
                    again = _Again(self._lost(error))
                except _Again as error:
                    again = error
                if idle >= _TRIES - 1:
                    break
                if self.stopped.wait(max(again.after, 0.2 * 2**idle)):
                    raise KeyboardInterrupt
        raise SourceError(f"{self.called}: {again}.", "Try again; it goes on where it ended.")

    def _ask(self, session: Any, start: int, validator: str) -> None:
        """One request, and what it brings; `_Again` where that is not all."""
        headers = {"Accept-Encoding": "identity", **self.source.headers}
        if start:
            headers.update({"Range": f"bytes={start}-", "If-Range": validator})
        options = {"headers": headers, "stream": True, "timeout": PATIENCE, "auth": self._sign()}
        with session.get(self._url, **options) as answer:
            if answer.status_code == 416:  # it has become shorter
                self.drop()
                raise _Again("the server has another file now")
            self._refuse(answer)
            if self._is_page(answer):
                self._url = self._behind(answer)
                self._ask(session, 0, "")
                return
            found = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
            on = answer.status_code == 206 and found is not None and int(found.group(1)) == start
            self.name = self.name or given_name(answer)
            self._keep(answer, start if on else 0)

    def _keep(self, answer: Any, start: int) -> None:
        """Write what comes; `_Again` where it ends before it should."""
        coded = answer.headers.get("Content-Encoding", "identity") != "identity"
        # A server that says so of an archive means the archive, which is what people want.
        decoded = coded and not self.called.endswith((".gz", ".tgz"))
        length = answer.headers.get("Content-Length", "")
        self.got = start
        self.total = start + int(length) if length.isdigit() and not decoded else 0
        validator = "" if decoded else _validator(answer.headers)
        self._remember(validator)
        with self.part.open("ab" if start else "wb") as stream:
            stream.truncate(start)
            while True:
                block = answer.raw.read(_CHUNK, decode_content=decoded)
                if self.stopped.is_set():
                    raise KeyboardInterrupt
                if not block:
                    break
                stream.write(block)
                self.got += len(block)
        if self.total and self.got < self.total:
            raise _Again("the connection ended too early")

    def _copy(self) -> None:
        """What opens like a file, from a drive or another service."""
        assert self.source.open is not None  # noqa: S101
        with self.source.open() as stream, self.part.open("wb") as part:
            while not self.stopped.is_set():
                block = stream.read(_CHUNK)
                if not block:
                    return
                part.write(block)
                self.got += len(block)
        raise KeyboardInterrupt

    # ------------------------------------------------------------------ what a server says
    def _refuse(self, answer: Any) -> None:
        """Nothing for what is well; else why the server does not give it."""
        status, host = answer.status_code, urlsplit(self._url).hostname
        if status == 429 or status >= 500:
            after = answer.headers.get("Retry-After", "")
            raise _Again(
                f"{host} answered {status}", min(_LONGEST, float(after) if after.isdigit() else 0)
            )
        if status in (401, 403):
            why = "does not take that token for" if self._token else "asks for a login for"
            raise SourceError(f"{host} {why} {self.called} ({status}).", self.source.login)
        if status in (404, 410):
            raise SourceError(f"{host} has no {self.called} ({status}).", "Check the address.")
        if status >= 300:
            raise SourceError(f"{host} answered {status} to {self.called}.", "Check the address.")

    def _is_page(self, answer: Any) -> bool:
        """Whether a web page came where a file was asked for."""
        kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind != "text/html" or "attachment" in answer.headers.get("Content-Disposition", ""):
            return False
        return self.source.behind is not None or not (
            self.source.name == "" or self.source.name.lower().endswith((".html", ".htm"))
        )

    def _behind(self, answer: Any) -> str:
        """Where the file is that a page stands before; once."""
        if self.source.behind is None or self._url != self.source.url:
            host = urlsplit(answer.url).hostname
            raise SourceError(
                f"{host} sent a web page, not {self.called}.",
                f"Open the address in a browser: is a login needed? {self.source.login}",
            )
        return self.source.behind(
            answer.raw.read(1 << 20, decode_content=True).decode("utf-8", "replace")
        )

    def _lost(self, error: Exception) -> str:
        host = urlsplit(self._url).hostname
        return f"the connection to {host} was lost" if self.got else f"{host} did not answer"

    def _sign(self) -> Any:
        """Puts the token on the first request; on the way elsewhere requests takes it off."""
        if not self._token or self._url != self.source.url:
            return None

        def sign(request: Any) -> Any:
            request.headers["Authorization"] = f"Bearer {self._token}"
            return request

        return sign

    # ------------------------------------------------------------------ the part
    def _half(self) -> Tuple[int, str]:
        """How many bytes of it are here, and by what the server will know that they are of it."""
        try:
            known: Dict[str, str] = json.loads(self._from.read_text(encoding="utf-8"))
            size = self.part.stat().st_size
        except (OSError, ValueError):
            return 0, ""
        if known.get("url") != self._url or not known.get("validator"):
            return 0, ""
        self.name = self.name or known.get("name", "")
        return size, known["validator"]

    def _remember(self, validator: str) -> None:
        if not validator:
            self._from.unlink() if self._from.exists() else None
            return
        known = {"url": self._url, "validator": validator, "name": self.name}
        self._from.write_text(json.dumps(known), encoding="utf-8")

    def _verify(self) -> None:
        """Its hash, as it is on the disk; and the one that the service says, where it does."""
        self.sha256 = digest(self.part)
        kind, _, wanted = self.source.checksum.rpartition(":")
        if kind in ("md5", "sha1", "sha256") and digest(self.part, kind) != wanted.lower():
            self.drop()
            raise SourceError(
                f"{self.called} does not have the {kind} that the service says.", "Try again."
            )

    def _told(self, error: BaseException) -> BaseException:
        if isinstance(error, OSError):
            if error.errno == 28:  # what is here only takes more of it
                self.drop()
            return SourceError(
                f"{self.called} cannot be written: {error.strerror or type(error).__name__}.",
                "Make room, or name another folder.",
            )
        return error


def _validator(headers: Any) -> str:
    """What says that a file is the same: a strong ETag, else its time."""
    tag = str(headers.get("ETag", ""))
    if tag and not tag.startswith("W/"):
        return tag
    return str(headers.get("Last-Modified", ""))
