"""One download: into a part beside its place, resumed if the server still has the same version.

Source: RFC 9110, "Range Requests" and ``If-Range``.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, BinaryIO, Callable, Iterable, NamedTuple, Optional, Tuple
from urllib.parse import urlsplit

import requests

from ..core.display import amount
from ..core.errors import SourceError
from ..core.files import open_own
from ..core.host import Host
from ..core.meter import Track
from .http import Retry, Web, host_of, is_page, name_of, strong_tag, total_size, undo_packing
from .urls import Request, last_part

#: Small, since what has arrived of a block is lost when the connection ends.
_BLOCK = 1 << 15
#: The most bytes of a page that are read.
_PAGE = 1 << 20
#: Suffixes of files that may be pages.
_PAGE_SUFFIX = re.compile(r"(\.([sx]?html?|mhtml|php|aspx?|jsp))?", re.I)


class Arrival(NamedTuple):
    """A file that has arrived; ``unchanged``: nothing has, since the server has the same."""

    sha256: str = ""
    size: int = 0
    name: str = ""
    tag: str = ""
    unchanged: bool = False


class Download:
    """One file on its way into ``part``.

    ``known`` are the address and the tag of what is in the part already. ``on_begin`` is called
    with those of what is being written, so that another run can resume it. A ``packed`` file is no
    page. Files are opened once: others may be able to write the folder.
    """

    def __init__(
        self,
        request: Request,
        part: Path,
        label: str,
        track: Track,
        known: Tuple[str, ...] = (),
        on_begin: Callable[[Tuple[str, ...]], None] = lambda known: None,
        packed: bool = False,
    ) -> None:
        self._request, self._part, self._label, self._track = request, part, label, track
        self._known, self._on_begin, self._packed = known, on_begin, packed
        self._url, self._most = request.url, 0
        self._out: Optional[BinaryIO] = None

    def run(self, web: Web, host: Host, tag: str = "") -> Arrival:
        """Download all of it, unless the server still has the version with this tag."""
        try:
            if self._request.open is not None:
                arrival = self._copy(web, host)
            else:
                arrival = web.retry(lambda: self._attempt(web, tag), self._track.say)
            self._check_part()
            return arrival
        except BaseException as error:
            full = isinstance(error, OSError) and error.errno == errno.ENOSPC
            self._close()
            with suppress(OSError):
                # It is in the way of others, or nobody can resume it.
                if full or not self._known or not os.lstat(self._part).st_size:
                    self._part.unlink()
            raise
        finally:
            self._close()

    def _attempt(self, web: Web, tag: str) -> Arrival:
        have = self._open_known()
        headers = {"Accept-Encoding": "identity"}
        if tag:
            headers["If-None-Match" if tag.endswith('"') else "If-Modified-Since"] = tag
        if have:
            headers.update({"Range": f"bytes={have}-", "If-Range": self._known[1]})
        with closing(web.open(self._request, self._url, headers)) as response:
            if response.status_code == 304 and tag:
                return Arrival(unchanged=True)
            if response.status_code == 416 and have:
                return self._complete(response, have)
            if not self._expects_page(response):
                web.raise_for_status(response, self._label)
                return self._receive(response, have, web)
            self._url = self._read_page(response)
        return self._attempt(web, tag)

    # ------------------------------------------------------------------ the part
    def _open_known(self) -> int:
        """Open what is there of the same version, and return its size."""
        if len(self._known) != 2 or self._known[0] != self._request.url:
            return 0
        with suppress(OSError):
            if self._out is None:
                self._out = os.fdopen(open_own(self._part, os.O_RDWR), "r+b")
            return self._out.seek(0, os.SEEK_END)
        return 0

    def _open_new(self, known: Tuple[str, ...]) -> BinaryIO:
        self._close()
        with suppress(FileNotFoundError):
            self._part.unlink()
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        self._out = os.fdopen(os.open(str(self._part), flags, 0o666), "w+b")
        self._known = known
        self._on_begin(known)
        return self._out

    def _close(self) -> None:
        if self._out is not None:
            with suppress(OSError):  # the disk is full, which was raised on writing
                self._out.close()
            self._out = None

    def _check_part(self) -> None:
        """Raise `SourceError` if somebody has put another file in the place of the part."""
        if self._out is None:
            return
        self._out.flush()
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(self._out.fileno()), os.lstat(self._part)):
                return
        self._known = ()
        message = f"{self._label} was replaced by another program while it was downloaded."
        hint = "Fetch it into a folder that only you can write."
        raise SourceError(message, hint, code="replaced-by-others")

    def _hash(self, have: int) -> Any:
        """Return the hash of what is in the part, to be continued."""
        state = hashlib.sha256()
        if have and self._out is not None:
            self._out.seek(0)
            for block in iter(lambda: self._out.read(_BLOCK * 16), b""):  # type: ignore[union-attr]
                state.update(block)
        return state

    def _check_space(self, size: int) -> None:
        free = shutil.disk_usage(str(self._part.parent)).free
        if size > free:
            message = f"{self._label} needs {amount(size)}, and {amount(free)} are free."
            hint = "Free some space, or choose a folder on another disk."
            raise SourceError(message, hint, code="disk-full")

    # ------------------------------------------------------------------ the content
    def _complete(self, response: Any, have: int) -> Arrival:
        """Return the part if it is as long as the file; else start again."""
        headers = response.headers
        if headers.get("Content-Range", "").rpartition("/")[2] == str(have):
            return Arrival(self._hash(have).hexdigest(), have, name_of(headers), self._known[1])
        self._known = ()
        raise Retry(f"{host_of(response.url)} has another file now", gained=True)

    def _receive(self, response: Any, have: int, web: Web) -> Arrival:
        """Write the body behind what is there."""
        headers, host = response.headers, host_of(response.url)
        name = name_of(headers) or _packed_name(response.url, self._request.name)
        undo_packing(response, name or self._label)
        self._refuse_page(response, name)
        if response.status_code != 206:
            have = 0
        elif not headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            self._known = ()
            raise Retry(f"{host} sent another part")
        total, tag = total_size(headers, have), strong_tag(headers)
        self._check_space(total - have)
        if not have:
            self._open_new((self._request.url, tag) if tag and total else ())
        try:
            sha256, size = self._write(response.iter_content(_BLOCK), have, total, web)
            if not total or size == total:
                return Arrival(sha256, size, name, tag)
        except requests.RequestException:
            size = self._track.done
        gained, self._most = size > self._most, max(size, self._most)
        raise Retry(f"{host} closed the connection half way", gained=gained)

    def _copy(self, web: Web, host: Host) -> Arrival:
        """Read what is not on the web, from its start."""
        assert self._request.open is not None  # noqa: S101 - see `run`
        stream, size = self._request.open(host)
        self._check_space(size)
        self._open_new(())
        with stream:
            blocks = iter(lambda: stream.read(_BLOCK * 16), b"")
            sha256, written = self._write(blocks, 0, max(size, 0), web)
        if size not in (-1, written):
            message = f"{self._label} changed while it was copied."
            raise SourceError(message, "Run it again when it is complete.", code="changed")
        return Arrival(sha256, written)

    def _write(self, blocks: Iterable[bytes], done: int, total: int, web: Web) -> Tuple[str, int]:
        assert self._out is not None  # noqa: S101 - the callers have opened it
        state = self._hash(done)
        self._track.advance(done, total)
        for block in blocks:
            web.check()
            self._out.write(block)
            state.update(block)
            done += len(block)
            self._track.advance(done, total)
        return state.hexdigest(), done

    # ------------------------------------------------------------------ pages
    def _expects_page(self, response: Any) -> bool:
        """Tell whether there is a page that ``request.page`` can read."""
        status = response.status_code
        readable = self._request.page is not None and is_page(response.headers)
        return readable and status < 500 and status not in (404, 410, 429)

    def _read_page(self, response: Any) -> str:
        """Return the address that the page gives for the file."""
        assert self._request.page is not None  # noqa: S101 - see `_expects_page`
        text = next(response.iter_content(_PAGE), b"").decode("utf-8", "replace")
        url = self._request.page(text, response.url)
        if self._url != self._request.url:
            message = f"{host_of(response.url)} sent a page behind its page."
            raise SourceError(message, "Open the URL in a browser.", code="page")
        return url

    def _refuse_page(self, response: Any, name: str) -> None:
        suffix, host = Path(name or self._label).suffix, host_of(response.url)
        if is_page(response.headers) and (self._packed or not _PAGE_SUFFIX.fullmatch(suffix)):
            message = f"{host} sent a page instead of {self._label}: a login, or an error."
            hint = "Open the URL in a browser. A private file may need --token NAME"
            raise SourceError(message, hint, code="page")


def _packed_name(url: str, name: str) -> str:
    """Return the name of a file that its server sends as a zip, as Kaggle does with some."""
    last = last_part(urlsplit(url).path)
    return last if name and last == f"{name}.zip" else ""
