"""``%fetch`` as a step: a file from elsewhere at its place, or what was packed in it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    ClassVar,
    FrozenSet,
    List,
    Optional,
    Sequence,
    Tuple,
    Union,
)

from ..core.arguments import Parser
from ..core.display import amount, files
from ..core.effects import Effects, join
from ..core.errors import Slip, usage_error
from ..core.host import Host
from ..core.redact import register_secret
from ..core.steps import Change, ChangeState, Outcome, OutcomeStatus, Progress, Step, Verdict
from ..secret.lookup import is_name
from .drive_cache import STORES
from .spec import FetchSpec, inspect, lacks_copy, listed_steps, read_hash
from .urls import is_url, others_can_read, read_url

if TYPE_CHECKING:
    from .fetcher import Result

#: What IPython would expand in a magic's line; a server reads both spellings alike.
_EXPANDED = {"$": "%24", "{": "%7B", "}": "%7D"}


@dataclass(frozen=True)
class FetchStep(FetchSpec):
    """One URL with a line of its own."""

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

    def replacing(self, old: Step) -> Step:
        """See `Step`: what a line leaves open stays as it was recorded."""
        if not isinstance(old, FetchStep) or old.url != self.url:
            return self
        sha256, token = self.sha256 or old.sha256, self.token or old.token
        return replace(self, sha256=sha256, token=token, cache=self.cache or old.cache)

    def check(self, host: Host) -> Verdict:
        """See `Step`: a glance at its size and time, if they are as they were."""
        step = self.settled(host)
        if not step.several:
            state = inspect(step, host)
            if state.status == "ok" and lacks_copy(step, state.entry):
                if step.unpack:  # the archive is gone
                    return Verdict("ok", f"{state.message}; to put it into {step.cache}: --update")
                return Verdict("differs", f"{state.message}; not in {step.cache} yet")
            return Verdict("ok" if state.status == "ok" else "differs", state.message)
        listed = listed_steps(step, host)
        if listed and not step.update:
            return FetchSteps(listed).check(host)
        return Verdict("differs", f"{step.url} has to be requested")

    def compare(self, host: Host, comment: str) -> Sequence[Change]:
        """See `Step`: the hash of the file."""
        step = self.settled(host)
        if not step.sha256 or step.several:
            return ()
        now = read_hash(step, host)
        state: ChangeState = "same" if now == step.sha256 else "differs"
        return (Change("file", step.label(), step.sha256, now, state),)

    def effects(self, host: Host) -> Effects:
        """See `Step`."""
        from .effects import describe_effects

        return describe_effects(self, host)

    def apply(self, host: Host, progress: Progress) -> Outcome:
        """Fetch it."""
        return FetchSteps((self,)).apply(host, progress)

    def recorded(self, host: Host) -> Optional[Step]:
        """See `Step`: with the hash of the file, and the name that the server gave it."""
        step = self.settled(host)
        if step.several:
            return FetchSteps(listed_steps(step, host)).recorded(host)
        return step.recorded_file(host)


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

    def spelled(self, spell: Callable[[str], str]) -> FetchSteps:
        """See `Step`."""
        return FetchSteps(tuple(step.spelled(spell) for step in self.each))

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

    def compare(self, host: Host, comment: str) -> Sequence[Change]:
        """See `Step`."""
        return tuple(change for step in self.each for change in step.compare(host, comment))

    def effects(self, host: Host) -> Effects:
        """See `Step`."""
        return join([step.effects(host) for step in self.each])

    def apply(self, host: Host, progress: Progress) -> Outcome:
        """Fetch them, some at once."""
        from .fetcher import fetch_all

        return _outcome(fetch_all(self.each, host, progress))

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
    words += ["--cache", step.cache] if step.cache else []
    return [*words, *(["--update"] if step.update else [])]


def _outcome(results: Sequence[Result]) -> Outcome:
    steps = tuple(result.step for result in results if isinstance(result.step, FetchStep))
    step = FetchSteps(steps) if len(steps) > 1 else steps[0] if steps else None
    applied = [result for result in results if result.applied]
    status: OutcomeStatus = "applied" if applied else "unchanged"
    if len(results) == 1:
        return Outcome(status, results[0].message, step, results[0].hint)
    untouched = [result for result in results if result.hint]
    present = len(results) - len(applied) - len(untouched)
    parts = []
    for verb in dict.fromkeys(result.verb for result in applied):
        sizes = [result.size for result in applied if result.verb == verb]
        parts.append(f"{files(len(sizes))} {verb}, {amount(sum(sizes))}")
    if present:
        parts.append(f"{present} already there")
    notes = [result.note for result in results if result.note]
    for note in dict.fromkeys(notes):
        number = notes.count(note)
        parts.append(note if number == len(results) else f"{number} {note}")
    parts += [result.message for result in untouched[:3]]
    return Outcome(status, "; ".join(parts), step, untouched[0].hint if untouched else "")


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
    tree.add_argument(
        "--cache", default="", metavar="FOLDER", help="copies on the drive: drive:cache"
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
    cache = _read_cache(line.cache, line.words)
    common = (dest, line.sha256, line.unpack, line.strip, line.token, line.update, cache)
    return _join([FetchStep(_escape(url), *common) for url in urls])


def _unusable(problem: str, example: str, slip: Optional[Slip] = None) -> Exception:
    return usage_error(f"%fetch: {problem}.", f"For example: %fetch {example}", slip=slip)


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
            shown = text.partition("?")[0]  # a token may be behind it
            slip = (shown, f"https://{shown}") if re.match(r"[\w-]+(\.[\w-]+)+/", text) else None
            raise _unusable(f"{shown} is not a URL", "https://host/data.zip data/", slip)
        read_url(text)
    return urls, dest


def _read_cache(folder: str, words: Sequence[str]) -> str:
    """Return the folder of ``--cache`` as it is recorded."""
    if not folder:
        return ""
    prefix, _, path = folder.partition(":")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if prefix not in STORES or not parts or ".." in parts:
        example = f"{words[0].partition('?')[0]} --cache drive:cache"
        raise _unusable("--cache names a folder of your drive", example)
    return f"{prefix}:{'/'.join(parts)}"


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
