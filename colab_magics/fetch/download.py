"""One download: into a part beside its place, gone on with where the server still has the same.

Source: RFC 9110, "Range Requests" and ``If-Range``.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, BinaryIO, Callable, NamedTuple, Optional, Tuple
from urllib.parse import urlsplit

from ..core.display import amount
from ..core.errors import SourceError
from ..core.file_lock import PLAIN
from ..core.host import Host
from ..core.ownership import is_own
from .http import (
    Again,
    Answer,
    Web,
    conditions,
    date,
    is_page,
    length,
    named,
    strong_tag,
    undo_packing,
)
from .progress import Track
from .urls import Request, last_part

#: Small, since what has arrived of one that is cut off is lost.
_BLOCK = 1 << 15
#: Of a page no more than this is read.
_PAGE = 1 << 20
_BINARY = getattr(os, "O_BINARY", 0)
#: A file with such an ending may be a page.
_PAGES = {"", ".html", ".htm", ".xhtml", ".shtml", ".mhtml", ".php", ".asp", ".aspx", ".jsp"}


class Got(NamedTuple):
    """What has arrived; ``same``: nothing, since the server still has what is here."""

    sha256: str = ""
    size: int = 0
    name: str = ""
    tag: str = ""
    same: bool = False


class Download:
    """One file on its way into ``part``; ``wanted`` is what it is called.

    ``known`` are the address and the tag of what lies there already; ``begun`` is told those of
    what is being written, so that another run may go on with it. A ``packed`` one is no page.
    """

    def __init__(
        self,
        request: Request,
        part: Path,
        wanted: str,
        track: Track,
        known: Tuple[str, ...] = (),
        begun: Callable[[Tuple[str, ...]], None] = lambda part: None,
        packed: bool = False,
    ) -> None:
        self._request, self._part, self._wanted = request, part, wanted
        self._track, self._known, self._begun, self._packed = track, known, begun, packed
        self._url, self._pages, self._most = request.url, 0, 0
        self._out: Optional[BinaryIO] = None

    def run(self, web: Web, host: Host, unless: str = "") -> Got:
        """Bring all of it; ``unless``: the tag of what is here, which is not brought again."""
        try:
            if self._request.opened is not None:
                got = self._copied(web, host)
            else:
                got = web.persist(lambda: self._attempt(web, unless), self._track.say)
            self._refuse_another()
            return got
        except BaseException as error:
            full = isinstance(error, OSError) and error.errno == errno.ENOSPC
            self._close()
            with suppress(OSError):
                # In the way of others, or nobody can go on with it.
                if full or not self._known or not os.lstat(self._part).st_size:
                    self._part.unlink()
            raise
        finally:
            self._close()

    def _attempt(self, web: Web, unless: str) -> Got:
        """Ask for what is missing, and take it in."""
        have = self._have()
        headers = {"Accept-Encoding": "identity", **conditions(unless)}
        if have:
            headers.update({"Range": f"bytes={have}-", "If-Range": self._known[1]})
        answer = web.open(self._request, self._url, headers)
        with closing(answer.got) as got:
            if got.status_code == 304 and unless:
                return Got(same=True)
            if got.status_code == 416 and have:
                return self._complete(answer, have)
            if self._reads_page(got):
                self._url = self._turned(answer)
            else:
                web.judge(answer, self._wanted)
                return self._taken(answer, have, web)
        return self._attempt(web, unless)

    def _have(self) -> int:
        """How much of it lies there, of the same version."""
        if len(self._known) != 2 or self._known[0] != self._request.url:
            return 0
        with suppress(OSError):
            return self._opened().seek(0, os.SEEK_END)
        return 0

    def _opened(self) -> BinaryIO:
        """The part that lies there, if it is one of ours; from now on all is done with this file.

        Others may be able to write the folder: what a link leads to, or has another name too, is
        not to be written.
        """
        if self._out is None:
            self._out = os.fdopen(os.open(str(self._part), os.O_RDWR | PLAIN | _BINARY), "r+b")
            found = os.fstat(self._out.fileno())
            if not (stat.S_ISREG(found.st_mode) and is_own(found) and found.st_nlink == 1):
                self._close()
                raise OSError(errno.EPERM, "not a part of ours", str(self._part))
        return self._out

    def _begin(self) -> BinaryIO:
        """A new part, in the place of what lies there."""
        self._close()
        with suppress(FileNotFoundError):
            self._part.unlink()
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | _BINARY
        self._out = os.fdopen(os.open(str(self._part), flags, 0o666), "w+b")
        return self._out

    def _close(self) -> None:
        if self._out is not None:
            with suppress(OSError):  # the disk is full: that was said where it was written
                self._out.close()
            self._out = None

    def _refuse_another(self) -> None:
        """What lies there now is what was written, and not what somebody has put there since."""
        if self._out is None:
            return
        self._out.flush()
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(self._out.fileno()), os.lstat(self._part)):
                return
        self._known = ()
        raise SourceError(
            f"{self._wanted} was replaced by another program while it arrived.",
            "Fetch it into a folder that only you can write.",
        )

    def _complete(self, answer: Answer, have: int) -> Got:
        """Nothing is missing where the part is as long as the file; else from the start."""
        headers = answer.got.headers
        if headers.get("Content-Range", "").rpartition("/")[2] == str(have):
            return Got(self._hashed(have).hexdigest(), have, named(headers), self._known[1])
        self._known = ()
        raise Again(f"{answer.host} has another file now", gained=True)

    def _taken(self, answer: Answer, have: int, web: Web) -> Got:
        """The body, behind what is there, in its full length."""
        import requests

        got = answer.got
        name = named(got.headers) or _zipped(answer.url, self._request.name)
        undo_packing(got, name or self._wanted)
        self._refuse_page(answer, name)
        if got.status_code != 206:
            have = 0
        elif not got.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            self._known = ()
            raise Again(f"{answer.host} sent another part")
        total, tag = length(got.headers, have), strong_tag(got.headers)
        self._refuse_size(total - have)
        out = self._opened() if have else self._begin()
        if not have:  # what was there is gone: now the new one may be named
            self._known = (self._request.url, tag) if tag and total else ()
            self._begun(self._known)
        made, done = self._hashed(have), have
        self._track.of(total)
        try:
            for block in got.iter_content(_BLOCK):
                web.check()
                out.write(block)
                made.update(block)
                done += len(block)
                self._track.at(done)
        except requests.RequestException:
            pass
        else:
            if not total or done == total:
                return Got(made.hexdigest(), done, name, tag or date(got.headers))
        gained, self._most = done > self._most, max(done, self._most)
        raise Again(f"{answer.host} stopped half way", gained=gained)

    def _copied(self, web: Web, host: Host) -> Got:
        """What is not on the web, from its start."""
        assert self._request.opened is not None  # noqa: S101 - the caller looked
        self._known = ()
        self._begun(())
        stream, size = self._request.opened(host)
        self._refuse_size(size)
        made, done = hashlib.sha256(), 0
        self._track.of(max(size, 0))
        out = self._begin()
        with stream:
            for block in iter(lambda: stream.read(_BLOCK * 16), b""):
                web.check()
                out.write(block)
                made.update(block)
                done += len(block)
                self._track.at(done)
        if size not in (-1, done):
            raise SourceError(
                f"{self._wanted} changed while it was copied.", "Run it again when it is whole."
            )
        return Got(made.hexdigest(), done)

    def _refuse_size(self, size: int) -> None:
        """Do not begin with what does not fit."""
        free = shutil.disk_usage(str(self._part.parent)).free
        if size > free:
            raise SourceError(
                f"{self._wanted} needs {amount(size)}, and {amount(free)} are free.",
                "Free some space, or choose a folder on another disk.",
            )

    def _hashed(self, have: int) -> Any:
        """The hash of what is there so far, to be gone on with."""
        made = hashlib.sha256()
        if have:
            stream = self._opened()
            stream.seek(0)
            for block in iter(lambda: stream.read(_BLOCK * 16), b""):
                made.update(block)
        return made

    # ------------------------------------------------------------------ pages
    def _reads_page(self, got: Any) -> bool:
        """Whether there is a page, and somebody who understands it."""
        asked = self._request.page is not None and is_page(got.headers)
        return asked and got.status_code < 500 and got.status_code not in (404, 410, 429)

    def _turned(self, answer: Answer) -> str:
        """Where the page says that the file is."""
        assert self._request.page is not None  # noqa: S101 - see `_reads_page`
        text = next(answer.got.iter_content(_PAGE), b"").decode("utf-8", "replace")
        self._pages += 1
        url = self._request.page(text, answer.url)
        if self._pages > 2:
            raise SourceError(
                f"{answer.host} gives a page behind its page.", "Open the URL in a browser."
            )
        return url

    def _refuse_page(self, answer: Answer, name: str) -> None:
        """A page in the place of a file is none."""
        suffix = Path(name or self._wanted).suffix.lower()
        if is_page(answer.got.headers) and (self._packed or suffix not in _PAGES):
            raise SourceError(
                f"{answer.host} sent a page instead of {self._wanted}: a login, or an error.",
                "Open the URL in a browser; a private file may need --token NAME",
            )


def _zipped(url: str, name: str) -> str:
    """The name of a file that its server sends packed, as Kaggle does with some."""
    last = last_part(urlsplit(url).path)
    return last if name and last == f"{name}.zip" else ""
