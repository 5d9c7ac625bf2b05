"""``%apt`` as a step: packages of the system (Debian, Ubuntu), by dpkg's own database."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Dict, FrozenSet, List, Optional, Sequence, Tuple

from ..core.arguments import Parser
from ..core.errors import SourceError, usage_error
from ..core.host import Host
from ..core.steps import Outcome, Progress, Step, Verdict
from .dpkg import Package, installed, wanted

#: Seconds to wait for another apt, which most often has soon ended: where somebody may be there to
#: interrupt that, and where nobody is.
WAIT, WAIT_ALONE = 120, 60


@dataclass(frozen=True)
class AptStep(Step):
    """Packages as they were typed; a version stands there only if a person wrote it.

    Archives drop old versions, so that one frozen unasked would be a line that fails next month.
    """

    packages: Tuple[str, ...]

    word: ClassVar[str] = "apt"
    rank: ClassVar[int] = 35

    def arguments(self) -> Tuple[str, ...]:
        """See `Step`."""
        return self.packages

    @property
    def keys(self) -> FrozenSet[str]:
        """See `Step`: the names, with the architecture where one was typed."""
        return frozenset(map(_key, self.packages))

    def parts(self) -> Sequence[AptStep]:
        """One step for each package."""
        return tuple(AptStep((text,)) for text in self.packages)

    def joined(self, other: Step) -> Optional[Step]:
        """All packages on one line, those that were there in their places."""
        if not isinstance(other, AptStep):
            return None
        return replace(self, packages=_once(*self.packages, *other.packages))

    def without(self, keys: FrozenSet[str]) -> Optional[Step]:
        """See `Step`."""
        left = tuple(text for text in self.packages if _key(text) not in keys)
        return AptStep(left) if left else None

    def check(self, host: Host) -> Verdict:
        """See `Step`."""
        found = self._installed()
        if found is None:
            return Verdict("cannot tell", "there is no apt here")
        bad = [_differs(text, found[_wanted(text).name]) for text in self._missing(found)]
        if bad:
            return Verdict("differs", "; ".join(bad))
        count = len(self.packages)
        said = "1 package" if count == 1 else f"{count} packages"
        return Verdict("ok", f"{said} already there, nothing to do")

    def apply(self, host: Host, progress: Progress) -> Outcome:
        """Install what is missing, and read in dpkg's database that it is there."""
        from .apt_get import install

        before = self._installed()
        missing = self.packages if before is None else self._missing(before)
        install(missing, progress, wait=WAIT if host.may_ask else WAIT_ALONE)
        found = self._installed() or {}
        still = self._missing(found)
        if still:
            raise SourceError(
                f"apt-get succeeded, and {' '.join(still)} is not installed all the same.",
                _other(still[0], found),
            )
        said = [_seen(text, found) for text in missing]
        more = f" and {len(said) - 4} more" if len(said) > 4 else ""
        return Outcome("applied", f"{', '.join(said[:4])}{more} installed", self)

    def note(self, host: Host) -> str:
        """The version that is there, where one package was typed without any."""
        found = self._installed()
        if found is None or len(self.packages) != 1 or _wanted(self.packages[0]).version:
            return ""
        seen = _seen(self.packages[0], found)
        return seen if " " in seen else ""

    def _installed(self) -> Optional[Dict[str, List[Package]]]:
        return installed([_wanted(text).name for text in self.packages])

    def _missing(self, found: Dict[str, List[Package]]) -> Tuple[str, ...]:
        """Those of which nothing that is installed is what was asked for."""
        asked = [(text, _wanted(text)) for text in self.packages]
        return tuple(
            text
            for text, one in asked
            if not any(one.holds(have) for have in found.get(one.name, []))
        )


def _wanted(text: str) -> Package:
    one = wanted(text)
    if one is None:
        raise usage_error(f"{text!r} is no name of a package.", "For instance: %apt ffmpeg")
    return one


def _key(text: str) -> str:
    return text.partition("=")[0]


def _once(*texts: str) -> Tuple[str, ...]:
    """Each package once, where it stood first, as it was written last."""
    return tuple({_key(text): text for text in texts}.values())


def _differs(text: str, found: Sequence[Package]) -> str:
    one = _wanted(text)
    if one.version and found:
        return f"{one.name} is {found[0].version}, not {one.version}"
    return f"{_key(text)} is not installed"


def _other(text: str, found: Dict[str, List[Package]]) -> str:
    """What to do about a package that apt takes for installed."""
    one = _wanted(text)
    for have in found.get(one.name, []):
        if have.arch != one.arch and one._replace(arch="any").holds(have):
            return f"It is there for another architecture. Name that: %apt {one.name}:{have.arch}"
    return f"See what it says in a terminal: sudo apt-get install {text}"


def _seen(text: str, found: Dict[str, List[Package]]) -> str:
    """``ffmpeg 7:5.1.4``; of a virtual package, which has none, the name alone."""
    one = _wanted(text)
    versions = [have.version for have in found[one.name] if one.holds(have)]
    return f"{_key(text)} {versions[0]}".strip() if versions else _key(text)


def parse(words: List[str]) -> Optional[AptStep]:
    """The packages that a line asks for; None for a bare line."""
    parser = Parser("%apt", usage="%apt PACKAGE[=VERSION] ...")
    parser.add_argument("packages", nargs="*")
    texts = parser.parse_args(words).packages
    if texts[:1] == ["install"]:  # as one types it in a terminal
        texts = texts[1:]
    for text in texts:
        _wanted(text)
    return AptStep(_once(*texts)) if texts else None
