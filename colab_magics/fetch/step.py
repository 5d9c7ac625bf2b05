"""``%fetch`` as a step: a file from elsewhere at its place, or what was packed in it."""

from __future__ import annotations

import posixpath
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Dict, FrozenSet, List, Optional, Sequence, Tuple, Union

from ..core.arguments import Parser
from ..core.display import files
from ..core.errors import usage_error
from ..core.host import Host
from ..core.redact import register_secret
from ..core.steps import Outcome, Progress, Step, Verdict
from ..secret.lookup import is_name
from .urls import exposed, is_url, source

_SHA256 = re.compile(r"[0-9a-f]{64}")
#: What IPython would expand in a magic's line; a server reads both spellings alike.
_EXPANDED = {"$": "%24", "{": "%7B", "}": "%7D"}
_USAGE = "%fetch URL... [DEST] [--sha256 HEX] [--unpack] [--strip N] [--update] [--token NAME]"


@dataclass(frozen=True)
class FetchStep(Step):
    """One URL. ``sha256`` is what was seen; a line that is typed may have none yet."""

    url: str
    dest: str = ""
    sha256: str = ""
    unpack: bool = False
    strip: int = 0
    token: str = ""
    #: Take what is there now; said in a line, and not recorded.
    update: bool = False

    word: ClassVar[str] = "fetch"
    rank: ClassVar[int] = 60

    def arguments(self) -> Tuple[str, ...]:
        """See `Step`."""
        words = [self.url, *([self.dest] if self.dest else []), *_options(self)]
        return (*words, *(("--sha256", self.sha256) if self.sha256 else ()))

    @property
    def keys(self) -> FrozenSet[str]:
        """See `Step`: one place holds one file."""
        return frozenset({self.label()})

    def label(self, name: str = "") -> str:
        """The file as people see it; of an archive, where it would lie."""
        if not self.in_folder and not self.unpack:
            return _tidy(self.dest)
        return _tidy(f"{self.dest}/{name or self.name}" if self.dest else name or self.name)

    @property
    def name(self) -> str:
        """What the file is called, as far as the URL says."""
        return source(self.url).name

    @property
    def in_folder(self) -> bool:
        """Whether the line names a folder, and not the file itself."""
        last = posixpath.basename(self.dest)
        return not last or last.endswith(":") or last in {".", "..", "~"}

    def settled(self, host: Host) -> FetchStep:
        """The same, as it is recorded: a folder that is there ends in ``/``."""
        dest = self.dest
        if dest and not self.unpack and not self.in_folder:
            with suppress(OSError):  # a name that is too long
                dest += "/" * host.resolve(dest).is_dir()
        if Path(dest).is_absolute():
            spelled = host.spell(host.resolve(dest))
            dest = spelled + "/" * dest.endswith("/") if ":" in spelled else dest
        return replace(self, dest=dest)

    def place(self, host: Host) -> Path:
        """Where the file is, or the archive would be, by the name that the URL gives it."""
        if self.in_folder or self.unpack:
            return host.resolve(self.dest or ".") / self.name
        return host.resolve(self.dest)

    def after(self, old: Step) -> Step:
        """See `Step`: what a line leaves open stays as it was recorded."""
        if not isinstance(old, FetchStep) or old.url != self.url:
            return self
        return replace(self, sha256=self.sha256 or old.sha256, token=self.token or old.token)

    def check(self, host: Host) -> Verdict:
        """See `Step`: a glance at its size and time, where they are as they were."""
        from .target import listed, look

        step = self.settled(host)
        if source(step.url).several:
            found = listed(step, host)
            if found and not step.update:
                return FetchSteps(found).check(host)
            return Verdict("differs", f"{step.url} is to be asked for")
        seen = look(step, host)
        return Verdict("ok" if seen.state == "ok" else "differs", seen.message)

    def apply(self, host: Host, progress: Progress) -> Outcome:
        """Fetch it."""
        from .fetcher import fetch_all

        return fetch_all((self,), host, progress)

    def recorded(self, host: Host) -> Optional[Step]:
        """See `Step`: with the hash of what was seen, and the name that the server gave."""
        from .target import listed, remembered

        step = self.settled(host)
        if source(step.url).several:
            found = [one.recorded(host) for one in listed(step, host)]
            return FetchSteps(tuple(one for one in found if isinstance(one, FetchStep)))
        path, entry = remembered(step, host)
        sha256 = entry.sha256 if entry.url == step.url else ""
        if not step.unpack and path.name != step.place(host).name:
            step = replace(step, dest=step.label(path.name))
        return replace(step, sha256=sha256 or step.sha256, update=False)


@dataclass(frozen=True)
class FetchSteps(Step):
    """Several URLs, each with a line of its own in the setup cell."""

    each: Tuple[FetchStep, ...]

    word: ClassVar[str] = "fetch"
    rank: ClassVar[int] = 60

    def arguments(self) -> Tuple[str, ...]:
        """See `Step`; they differ in their URLs, as they are typed."""
        dest = [self.each[0].dest] if self.each[0].dest else []
        return (*(one.url for one in self.each), *dest, *_options(self.each[0]))

    @property
    def keys(self) -> FrozenSet[str]:
        """See `Step`."""
        return frozenset().union(*(one.keys for one in self.each))

    def parts(self) -> Sequence[Step]:
        """See `Step`."""
        return self.each

    def joined(self, other: Step) -> Optional[Step]:
        """See `Step`: a file gets a line of its own."""
        return other if self.keys == other.keys else None

    def without(self, keys: FrozenSet[str]) -> Optional[Step]:
        """See `Step`."""
        left = tuple(one for one in self.each if not one.keys <= keys)
        if len(left) == 1:
            return left[0]
        return self if left == self.each else FetchSteps(left) if left else None

    def check(self, host: Host) -> Verdict:
        """See `Step`."""
        found = [one.check(host) for one in self.each]
        bad = [verdict.message for verdict in found if verdict.state != "ok"]
        if bad:
            more = f"; and {len(bad) - 3} more" if len(bad) > 3 else ""
            return Verdict("differs", "; ".join(bad[:3]) + more)
        return Verdict("ok", f"{files(len(self.each))} already there, nothing to do")

    def apply(self, host: Host, progress: Progress) -> Outcome:
        """Fetch them, some at once."""
        from .fetcher import fetch_all

        return fetch_all(self.each, host, progress)

    def recorded(self, host: Host) -> Optional[Step]:
        """See `Step`."""
        steps: List[FetchStep] = []
        for one in self.each:
            found = one.recorded(host)
            steps += found.each if isinstance(found, FetchSteps) else ()
            steps += [found] if isinstance(found, FetchStep) else []
        return FetchSteps(tuple(steps))


def _options(step: FetchStep) -> List[str]:
    """The options that hold for each of several URLs."""
    words = ["--unpack"] if step.unpack else []
    words += ["--strip", str(step.strip)] if step.strip else []
    words += ["--token", step.token] if step.token else []
    return [*words, *(["--update"] if step.update else [])]


def _tidy(path: str) -> str:
    """One spelling of a path: ``./data//x`` is ``data/x``."""
    prefix, colon, rest = path.rpartition(":")
    plain = posixpath.normpath(rest)
    return f"{prefix}:{plain.lstrip('/')}" if colon else plain


# ---------------------------------------------------------------------- reading a line
def parse(words: List[str]) -> Optional[Union[FetchStep, FetchSteps]]:
    """The files that a line asks for; None for a bare line."""
    parser = Parser("%fetch", usage=_USAGE)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--sha256", type=str.lower, default="")
    parser.add_argument("--strip", type=int, default=0)
    parser.add_argument("--token", default="")
    for flag in ("--unpack", "--update"):
        parser.add_argument(flag, action="store_true")
    found = parser.parse_intermixed_args(words)
    _judge_token(found.token, found.words)
    if not found.words:
        if words:
            raise usage_error("%fetch: a URL is missing.", "Such as: %fetch https://host/data.csv")
        return None
    urls, dest = _apart(found.words)
    several = sum(2 if source(url).several else 1 for url in urls) > 1
    if found.sha256 and (several or not _SHA256.fullmatch(found.sha256)):
        raise usage_error("%fetch: --sha256 is the hash of one file: 64 digits.", "Check it.")
    if found.strip < 0 or (found.strip and not found.unpack):
        raise usage_error("%fetch: --strip N goes with --unpack.", "Such as: --unpack --strip 1")
    if several and dest and not found.unpack and not dest.endswith(("/", ":")):
        dest += "/"
    common = (dest, found.sha256, found.unpack, found.strip, found.token, found.update)
    return _joined([FetchStep(_safe(url), *common) for url in urls])


def _joined(steps: Sequence[FetchStep]) -> Union[FetchStep, FetchSteps]:
    """One step; no two files get one place."""
    names: Dict[str, int] = {}
    for step in steps:
        names[step.label()] = names.get(step.label(), 0) + 1
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        raise usage_error(f"%fetch: two of these are {twice[0]}.", "Write a line for each.")
    return steps[0] if len(steps) == 1 else FetchSteps(tuple(steps))


def _apart(words: Sequence[str]) -> Tuple[List[str], str]:
    """URLs and the destination: what stands last and is no URL, or is on the drive."""
    urls, dest = list(words), ""
    if not is_url(urls[-1]) or (len(urls) > 1 and urls[-1].startswith("drive:")):
        dest = urls.pop()
    for text in urls or [dest]:
        if not is_url(text):
            raise usage_error(
                f"%fetch: {text} is no URL.", "Such as: %fetch https://host/data.zip data/"
            )
    return urls, dest


def _judge_token(token: str, words: Sequence[str]) -> None:
    if not token:
        return
    if not is_name(token):
        register_secret(token)
        raise usage_error(
            "%fetch: --token takes the name of a secret; take the token out of the cell.",
            "Keep it: %secret set NAME, then --token NAME",
        )
    if any(exposed(one) for one in words):
        raise usage_error(
            "%fetch: a token is not sent over http://, where others can read it.",
            "Write https://, or take --token off the line.",
        )


def _safe(url: str) -> str:
    """A URL as it can stand in a cell."""
    return "".join(_EXPANDED.get(char, char) for char in url)
