"""``%fetch`` as a step: files from elsewhere, in their places, the same as when first seen."""

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, FrozenSet, List, Optional, Sequence, Tuple
from urllib.parse import parse_qsl, urlsplit

from ... import tokens
from ...arguments import Parser
from ...display import amount, files
from ...errors import hide, usage_error
from ...host import Host
from ...secrets.base import NAME
from ...steps import Outcome, Progress, Step, Verdict
from .kinds import is_address
from .names import file_name
from .state import Entry, short

__all__ = ["FetchStep", "Target", "parse"]

_SHA256 = re.compile(r"[0-9a-f]{64}")
#: Fields of an address that holds for hours only.
_SIGNED = frozenset({"x-amz-signature", "x-goog-signature", "signature", "sig"})


@dataclass(frozen=True)
class Target:
    """Where the file of one address goes on this machine. ``file``: None where its name, or what
    an archive holds, is known only once it was fetched.
    """

    key: str
    folder: Path
    file: Optional[Path]


@dataclass(frozen=True)
class FetchStep(Step):
    """``hashes`` are as many as ``urls``, or none where nothing was seen yet."""

    urls: Tuple[str, ...]
    dest: str = ""
    hashes: Tuple[str, ...] = ()
    unpack: bool = False
    strip: int = 0
    token: str = ""
    #: Take what is there now; said in a line, and not recorded.
    update: bool = False

    word: ClassVar[str] = "fetch"
    rank: ClassVar[int] = 60

    def arguments(self) -> Tuple[str, ...]:
        """See `Step`."""
        words = [*self.urls, *([self.dest] if self.dest else [])]
        words += ["--unpack"] if self.unpack else []
        words += ["--strip", str(self.strip)] if self.strip else []
        words += ["--token", self.token] if self.token else []
        words += ["--update"] if self.update else []
        return (*words, *(word for one in self.hashes for word in ("--sha256", one)))

    @property
    def keys(self) -> FrozenSet[str]:
        """See `Step`: a place holds one file; an archive is known by its name, or its address."""
        return frozenset(part.key for part in self.parts())

    @property
    def key(self) -> str:
        """Of a part: where its file goes, as it is written."""
        name = file_name(self.urls[0]) or self.urls[0]
        if not self.unpack and self.dest and not self.dest.endswith("/"):
            return os.path.normpath(self.dest)
        return os.path.normpath(self.dest or ".") + f"/{name}"

    @property
    def label(self) -> str:
        """Of a part: the file, as people see it."""
        if not self.unpack and self.dest and not self.dest.endswith("/"):
            return self.dest
        return file_name(self.urls[0]) or self.urls[0]

    def parts(self) -> Sequence["FetchStep"]:
        """One step for each address."""
        if len(self.urls) == 1:
            return (self,)
        into = f"{self.dest.rstrip('/')}/" if self.dest else ""
        hashes = self.hashes or ("",) * len(self.urls)
        return tuple(
            replace(self, urls=(url,), dest=into, hashes=(one,) if one else ())
            for url, one in zip(self.urls, hashes)
        )

    def after(self, old: Step) -> Step:
        """See `Step`: a line without a hash keeps the one that was recorded for its address."""
        if not isinstance(old, FetchStep) or old.urls != self.urls:
            return self
        return replace(self, hashes=self.hashes or old.hashes, token=self.token or old.token)

    def without(self, keys: FrozenSet[str]) -> Optional[Step]:
        """See `Step`."""
        left = [part for part in self.parts() if part.key not in keys]
        if not left or len(left) == len(self.urls):
            return self if left else None
        hashes = tuple(one for part in left for one in part.hashes)
        return replace(self, urls=tuple(part.urls[0] for part in left), hashes=hashes)

    # ------------------------------------------------------------------ on this machine
    def target(self, host: Host) -> Target:
        """Of a part: where it goes; a folder is one that ends in ``/``, or is there."""
        place = host.resolve(self.dest or ".")
        how = f"{self.unpack}{self.strip}"
        key = f"{self.urls[0]}\n{place}\n{how}"
        if self.unpack:
            return Target(key, place, None)
        if self.dest and not self.dest.endswith("/") and not place.is_dir():
            return Target(key, place.parent, place)
        name = file_name(self.urls[0])
        return Target(
            f"{self.urls[0]}\n{place / name}\n{how}", place, place / name if name else None
        )

    def check(self, host: Host) -> Verdict:
        """See `Step`: what was fetched is as it was, by size and time."""
        verdicts = [part.verdict(host) for part in self.parts()]
        bad = [one.message for one in verdicts if one.state != "ok"]
        if bad:
            return Verdict("differs", "; ".join(bad))
        if len(verdicts) == 1:
            return verdicts[0]
        return Verdict("ok", f"{files(len(verdicts))} already there, nothing to do")

    def verdict(self, host: Host) -> Verdict:
        """Of a part."""
        target = self.target(host)
        entry = Entry.read(target.key)
        if self.update:
            return Verdict("differs", f"{self.label} is to be asked for again")
        if entry is None:
            there = target.file is not None and target.file.exists()
            return Verdict("differs", f"{self.label} is {'not known' if there else 'not there'}")
        if self.hashes and entry.sha256 != self.hashes[0]:
            said = f"{short(entry.sha256)}, not {short(self.hashes[0])}"
            return Verdict("differs", f"{self.label} is {said}")
        for name, there in entry.differing():
            return Verdict("differs", f"{name} {'has changed' if there else 'is gone'}")
        held = f"{files(len(entry.files))}, " if self.unpack else ""
        said = f"{held}{amount(entry.size)}, sha256 {short(entry.sha256)}"
        return Verdict("ok", f"{self.label}: already there ({said})")

    def apply(self, host: Host, progress: Progress) -> Outcome:
        """Fetch what is missing, some at a time."""
        from .bring import bring

        return bring(self, host, progress)

    def recorded(self, host: Host) -> Optional[Step]:
        """See `Step`: with the hashes that were seen, and a name that only the server knew."""
        if any(part.signed for part in self.parts()):
            return None
        found = [part.seen(host) for part in self.parts()]
        hashes = tuple(one for part in found for one in part.hashes)
        whole = len(hashes) == len(found)
        dest = found[0].dest if len(found) == 1 else self.dest
        return replace(self, dest=dest, hashes=hashes if whole else (), update=False)

    def seen(self, host: Host) -> "FetchStep":
        """Of a part: as it stands in a setup cell."""
        target = self.target(host)
        entry = Entry.read(target.key)
        if entry is None:
            return self
        dest = self.dest
        if not self.unpack and not file_name(self.urls[0]) and dest in ("", f"{dest.rstrip('/')}/"):
            dest += entry.name
        elif dest and target.folder == host.resolve(dest) and not dest.endswith((":", "/")):
            dest += "/"
        return replace(self, dest=dest, hashes=(entry.sha256,), update=False)

    @property
    def signed(self) -> bool:
        """Whether its address holds for a while only."""
        return any(name.lower() in _SIGNED for name, _ in parse_qsl(urlsplit(self.urls[0]).query))


def parse(words: List[str]) -> Optional[FetchStep]:
    """The files that a line asks for; None for a bare line."""
    parser = Parser("%fetch", usage=_USAGE)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--sha256", action="append", default=[])
    parser.add_argument("--unpack", action="store_true")
    parser.add_argument("--strip", type=int, default=0)
    parser.add_argument("--token", default="")
    parser.add_argument("--update", action="store_true")
    found = parser.parse_intermixed_args(words)
    if not found.words:
        return None
    urls, dest = _sorted(found.words)
    _check_token(found.token)
    if found.strip < 0 or (found.strip and not found.unpack):
        raise usage_error(
            "%fetch: --strip takes a number, with --unpack.", "Such as: --unpack --strip 1"
        )
    hashes = tuple(one.lower() for one in found.sha256)
    if not all(_SHA256.fullmatch(one) for one in hashes) or len(hashes) not in (0, len(urls)):
        raise usage_error(
            "%fetch: --sha256 takes 64 hexadecimal digits, once for each address.",
            "Leave it out to record what comes.",
        )
    step = FetchStep(urls, dest, hashes, found.unpack, found.strip, found.token, found.update)
    if len(step.keys) < len(urls):
        raise usage_error("%fetch: two of these would be one file.", "Give each a line and a name.")
    return step


_USAGE = "%fetch URL ... [DEST] [--sha256 HEX] [--unpack] [--strip N] [--token SECRET] [--update]"


def _sorted(words: List[str]) -> Tuple[Tuple[str, ...], str]:
    """The addresses of a line, and where their files go."""
    *first, last = words
    # `drive:` names a source or a place; behind an address it is the place.
    is_place = bool(first) and (not is_address(last) or last.startswith("drive:"))
    urls, dest = (first, last) if is_place else (words, "")
    for url in urls:
        if not is_address(url):
            raise usage_error(
                f"%fetch: {url} is no address.", "Such as: %fetch https://host/data.csv data/"
            )
    return tuple(dict.fromkeys(map(_address, urls))), dest


def _address(text: str) -> str:
    """An address that may stand in a cell: without secrets, and without what IPython expands."""
    parts = urlsplit(text)
    signed = {name.lower() for name, _ in parse_qsl(parts.query)} & _SIGNED
    secret = [v for name, v in parse_qsl(parts.query) if tokens.looks_secret(name, v)]
    if parts.password or (parts.username and parts.scheme.startswith("http")):
        secret.append(parts.password or parts.username or "")
    if (secret or tokens.find(text)) and not signed:
        for one in secret:
            hide(one)
        raise usage_error(
            "%fetch: that address holds a secret; take it out of the cell.",
            "Keep it: %secret set NAME, and send it as a header: --token NAME",
        )
    return text.translate({ord(c): f"%{ord(c):02X}" for c in "${} "})


def _check_token(name: str) -> None:
    if name and (not NAME.fullmatch(name) or tokens.find(name)):
        hide(name)
        raise usage_error(
            "%fetch: --token takes the name of a secret; take the token out of the cell.",
            "Keep it: %secret set NAME, then --token NAME",
        )
