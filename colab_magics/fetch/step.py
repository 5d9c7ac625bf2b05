"""``%fetch`` as a step: a file from elsewhere at its place, or what was packed in it."""

from __future__ import annotations

import os
import posixpath
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import (
    Any,
    ClassVar,
    FrozenSet,
    List,
    Literal,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
    Union,
)

from ..core.arguments import Parser
from ..core.display import files
from ..core.errors import usage_error
from ..core.host import Host
from ..core.redact import register_secret
from ..core.steps import Outcome, Progress, Step, Verdict
from ..secret.lookup import is_name
from .cache import Entry, compare, digest, load, save
from .urls import is_url, others_can_read, read_url

#: What IPython would expand in a magic's line; a server reads both spellings alike.
_EXPANDED = {"$": "%24", "{": "%7B", "}": "%7D"}


@dataclass(frozen=True)
class FetchStep(Step):
    """One URL. ``sha256`` is that of the fetched file; a line that was typed may have none yet."""

    url: str
    dest: str = ""
    sha256: str = ""
    unpack: bool = False
    strip: int = 0
    token: str = ""
    #: Ask for what the server has now. It is for one run, and not recorded.
    update: bool = False

    word: ClassVar[str] = "fetch"
    rank: ClassVar[int] = 60

    def arguments(self) -> Tuple[str, ...]:
        """See `Step`."""
        hashed = ("--sha256", self.sha256) if self.sha256 else ()
        return (self.url, *_common_arguments(self), *hashed)

    @property
    def keys(self) -> FrozenSet[str]:
        """See `Step`: one place holds one file."""
        return frozenset({self.label()})

    def label(self, name: str = "") -> str:
        """Return the file as people see it; for an archive, where it would lie."""
        if not self.in_folder and not self.unpack:
            return _normalize(self.dest)
        name = name or self.name
        return _normalize(f"{self.dest}/{name}" if self.dest else name)

    @property
    def name(self) -> str:
        """The name of the file, as far as the URL says."""
        return read_url(self.url).name

    @property
    def several(self) -> bool:
        """Whether the URL stands for a list of files."""
        return read_url(self.url).several

    @property
    def in_folder(self) -> bool:
        """Whether the line names a folder, and not the file itself."""
        last = posixpath.basename(self.dest)
        return not last or last.endswith(":") or last in {".", "..", "~"}

    def settled(self, host: Host) -> FetchStep:
        """Return the step as it is recorded: an existing folder ends in ``/``."""
        dest = self.dest
        if dest and not self.unpack and not self.in_folder:
            with suppress(OSError):  # a name that is too long
                dest += "/" * host.resolve(dest).is_dir()
        if Path(dest).is_absolute():
            spelled = host.spell(host.resolve(dest))
            dest = spelled + "/" * dest.endswith("/") if ":" in spelled else dest
        return replace(self, dest=dest)

    def place(self, host: Host) -> Path:
        """Return where the file is, or the archive would be, by the name that the URL says."""
        if self.in_folder or self.unpack:
            return host.resolve(self.dest or ".") / self.name
        return host.resolve(self.dest)

    def after(self, old: Step) -> Step:
        """See `Step`: what a line leaves open stays as it was recorded."""
        if not isinstance(old, FetchStep) or old.url != self.url:
            return self
        return replace(self, sha256=self.sha256 or old.sha256, token=self.token or old.token)

    def check(self, host: Host) -> Verdict:
        """See `Step`: a glance at its size and time, if they are as they were."""
        step = self.settled(host)
        if not step.several:
            state = inspect(step, host)
            return Verdict("ok" if state.status == "ok" else "differs", state.message)
        listed = listed_steps(step, host)
        if listed and not step.update:
            return FetchSteps(listed).check(host)
        return Verdict("differs", f"{step.url} has to be requested")

    def apply(self, host: Host, progress: Progress) -> Outcome:
        """Fetch it."""
        return FetchSteps((self,)).apply(host, progress)

    def recorded(self, host: Host) -> Optional[Step]:
        """See `Step`: with the hash of the file, and the name that the server gave it."""
        step = self.settled(host)
        if step.several:
            return FetchSteps(listed_steps(step, host)).recorded(host)
        return step.recorded_file(host)

    def recorded_file(self, host: Host) -> FetchStep:
        """Return `recorded` of a settled step for one file."""
        path, entry = remembered(self, host)
        sha256 = entry.sha256 if entry.url == self.url else ""
        renamed = not self.unpack and path.name != self.place(host).name
        dest = self.label(path.name) if renamed else self.dest
        return replace(self, dest=dest, sha256=sha256 or self.sha256, update=False)


@dataclass(frozen=True)
class FetchSteps(Step):
    """Several URLs, each with a line of its own in the setup cell."""

    each: Tuple[FetchStep, ...]

    word: ClassVar[str] = "fetch"
    rank: ClassVar[int] = 60

    def arguments(self) -> Tuple[str, ...]:
        """See `Step`; they differ in their URLs, as they are typed."""
        return (*(step.url for step in self.each), *_common_arguments(self.each[0]))

    @property
    def keys(self) -> FrozenSet[str]:
        """See `Step`."""
        return frozenset().union(*(step.keys for step in self.each))

    def parts(self) -> Sequence[Step]:
        """See `Step`."""
        return self.each

    def without(self, keys: FrozenSet[str]) -> Optional[Step]:
        """See `Step`."""
        remaining = tuple(step for step in self.each if not step.keys <= keys)
        return _join(remaining) if remaining else None

    def check(self, host: Host) -> Verdict:
        """See `Step`."""
        verdicts = [step.check(host) for step in self.each]
        bad = [verdict.message for verdict in verdicts if verdict.state != "ok"]
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
        steps: List[Any] = [step.recorded(host) for step in self.each]
        return FetchSteps(tuple(part for step in steps for part in step.parts()))


def _common_arguments(step: FetchStep) -> List[str]:
    """Return the arguments that several URLs of a line share."""
    words = [step.dest] if step.dest else []
    words += ["--unpack"] if step.unpack else []
    words += ["--strip", str(step.strip)] if step.strip else []
    words += ["--token", step.token] if step.token else []
    return [*words, *(["--update"] if step.update else [])]


def _normalize(path: str) -> str:
    """Return one spelling of a path: ``./data//x`` is ``data/x``."""
    prefix, colon, rest = path.rpartition(":")
    plain = posixpath.normpath(rest)
    return f"{prefix}:{plain.lstrip('/')}" if colon else plain


# ---------------------------------------------------------------------- the state of a target
Status = Literal["ok", "absent", "ours", "edited", "foreign"]


class Target(NamedTuple):
    """How a target is on this machine; ``ours`` is one of us that is to be fetched anew.

    ``expected`` is the hash that a new file must have; ``complete``: all that was fetched is there.
    """

    status: Status
    message: str
    path: Path
    entry: Entry
    expected: str
    complete: bool


def entry_key(step: FetchStep, host: Host) -> Path:
    """Return the path that a target is remembered under; what was unpacked has one of its own."""
    place = step.place(host)
    return place / ":unpacked" if step.unpack else place


def remembered(step: FetchStep, host: Host) -> Tuple[Path, Entry]:
    """Return where a file is, by the name that the server gave it, and what is remembered of it."""
    place, entry = step.place(host), load(entry_key(step, host))
    if step.unpack or not entry.name or entry.name == place.name or entry.url != step.url:
        return place, entry
    place = place.parent / entry.name
    return place, load(place)


def listed_steps(step: FetchStep, host: Host) -> Tuple[FetchStep, ...]:
    """Return the files that a URL stands for; none if its server was not asked yet."""
    entry = load(entry_key(step, host))
    return tuple(replace(step, url=url) for url in entry.files) if entry.url == step.url else ()


def inspect(step: FetchStep, host: Host) -> Target:
    """Return the state of a target; a file is hashed only if its size or time has changed."""
    path, entry = remembered(step, host)
    known = entry.sha256 if entry.url == step.url else ""
    expected = step.sha256 or ("" if step.update else known)
    if step.unpack:
        status, message, complete = _inspect_members(step, path, entry, expected)
    else:
        status, message, complete = _inspect_file(step, path, entry, expected)
    label = step.label("" if step.unpack else path.name)
    return Target(status, f"{label}{message}", path, entry, expected, complete)


def _inspect_file(
    step: FetchStep, path: Path, entry: Entry, expected: str
) -> Tuple[Status, str, bool]:
    try:
        stat = path.stat()
    except OSError:
        if os.path.islink(path):  # noqa: PTH114 - of a name that is too long too
            return "foreign", " is a link that leads nowhere", False
        return "absent", " is not there", False
    if not S_ISREG(stat.st_mode):
        kind = "folder" if S_ISDIR(stat.st_mode) else "device or a pipe"
        return "foreign", f" is a {kind}", False
    stamp = stat.st_size, stat.st_mtime_ns
    fresh = bool(entry.sha256) and stamp == (entry.size, entry.mtime_ns)
    sha256 = entry.sha256
    if not fresh and (entry.sha256 or step.sha256):
        sha256 = digest(path)
    if sha256 and sha256 == expected:
        if not fresh:
            tag = entry.tag if entry.sha256 == sha256 else ""
            save(path, Entry(step.url, "", sha256, *stamp, tag))
        return "ok", f" {_already(step)}", True
    if not entry.sha256:
        return "foreign", " is there and was not fetched", False
    if sha256 != entry.sha256:
        return "edited", " was changed since it was fetched", False
    return "ours", _outdated(step), True


def _inspect_members(
    step: FetchStep, path: Path, entry: Entry, expected: str
) -> Tuple[Status, str, bool]:
    if not entry.sha256:
        return "absent", " is not unpacked", False
    missing, changed = compare(path.parent, entry.members)
    count = files(len(entry.members))
    if changed:
        return "edited", f": {files(changed)} of {count} changed since they were unpacked", False
    if missing:
        return "ours", f": {files(missing)} of {count} missing", False
    if expected != entry.sha256 or step.strip != entry.strip:
        return "ours", _outdated(step), step.strip == entry.strip
    return "ok", f": {count} {_already(step)}", True


def _outdated(step: FetchStep) -> str:
    return " is to be requested again" if step.update else " is not the file that this line names"


def _already(step: FetchStep) -> str:
    if step.update:  # with a hash, or it would be requested
        return "already there, as --sha256 says; without that, --update asks for a newer one"
    return "already there, nothing to do"


# ---------------------------------------------------------------------- reading a line
def parser() -> Parser:
    """Return the arguments of ``%fetch``."""
    tree = Parser("%fetch", usage="%%fetch [options] URL... [DEST]")
    tree.add_argument("words", nargs="*", metavar="URL", help="one or more, then the destination")
    tree.add_argument(
        "--sha256", type=str.lower, default="", metavar="HEX", help="refuse any other file"
    )
    tree.add_argument("--unpack", action="store_true", help="unpack an archive into DEST")
    tree.add_argument(
        "--strip", type=int, default=0, metavar="N", help="without the first N folders of its paths"
    )
    tree.add_argument(
        "--update", action="store_true", help="take what is there now, also over your changes"
    )
    tree.add_argument(
        "--token", default="", metavar="NAME", help="a secret for that host, and no other"
    )
    return tree


def parse(words: List[str]) -> Optional[Union[FetchStep, FetchSteps]]:
    """Return the files that a line asks for; None for a bare line."""
    _, line = parser().parse_words(words)
    _check_token(line.token, line.words)
    if not line.words:
        if words:
            raise _unusable("a URL is missing", "https://host/data.csv")
        return None
    urls, dest = _split_destination(line.words)
    several = len(urls) > 1 or read_url(urls[0]).several
    if line.sha256 and (several or not re.fullmatch("[0-9a-f]{64}", line.sha256)):
        raise _unusable("--sha256 is the hash of one file, 64 digits", "URL --sha256 0123abcd...")
    if line.strip < 0 or (line.strip and not line.unpack):
        raise _unusable("--strip N needs --unpack", "URL --unpack --strip 1")
    if several and dest and not line.unpack and not dest.endswith(("/", ":")):
        dest += "/"
    common = (dest, line.sha256, line.unpack, line.strip, line.token, line.update)
    return _join([FetchStep(_escape(url), *common) for url in urls])


def _unusable(problem: str, example: str) -> Exception:
    return usage_error(f"%fetch: {problem}.", f"For example: %fetch {example}")


def _join(steps: Sequence[FetchStep]) -> Union[FetchStep, FetchSteps]:
    labels = [step.label() for step in steps]
    for label in labels:
        if labels.count(label) > 1:
            raise usage_error(
                f"%fetch: two of these are {label}.", "Write a line for each.", code="same-place"
            )
    return steps[0] if len(steps) == 1 else FetchSteps(tuple(steps))


def _split_destination(words: Sequence[str]) -> Tuple[List[str], str]:
    """Return URLs and destination: the last word, if it is no URL, or is on the drive."""
    urls, dest = list(words), ""
    if not is_url(urls[-1]) or (len(urls) > 1 and urls[-1].startswith("drive:")):
        dest = urls.pop()
    for text in urls or [dest]:
        if not is_url(text):
            raise _unusable(f"{text} is not a URL", "https://host/data.zip data/")
        read_url(text)
    return urls, dest


def _check_token(name: str, words: Sequence[str]) -> None:
    if name and not is_name(name):
        register_secret(name)
        raise usage_error(
            "%fetch: --token takes the name of a secret. Remove the token itself from the cell.",
            "Store it: %secret set NAME, then use --token NAME",
            code="secret-in-line",
        )
    if name and any(others_can_read(word) for word in words):
        message = "%fetch: a token is not sent over http://, where others can read it."
        raise usage_error(message, "Write https://, or remove --token.", code="token-over-http")


def _escape(url: str) -> str:
    """Return a URL as it can stand in a cell."""
    return "".join(_EXPANDED.get(char, char) for char in url)
