"""``%apt`` as a step: packages of the system (Debian, Ubuntu), checked in dpkg's database."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Dict, FrozenSet, List, Optional, Sequence, Tuple

from ..core.arguments import Parser
from ..core.effects import Effects
from ..core.errors import SourceError
from ..core.host import Host
from ..core.steps import Outcome, Progress, Step, Verdict
from .dpkg import Package, find_installed

#: Seconds to wait for another apt, which usually ends soon: where a person may be present to
#: interrupt that, and where nobody is.
WAIT, WAIT_ALONE = 120, 60

Installed = Dict[str, List[Package]]


@dataclass(frozen=True)
class AptStep(Step):
    """Packages as they were typed; a version only where a person wrote one.

    Archives drop old versions: one that we recorded would be a line that fails next month.
    """

    packages: Tuple[str, ...]

    word: ClassVar[str] = "apt"
    rank: ClassVar[int] = 35

    def arguments(self) -> Tuple[str, ...]:
        """See `Step`."""
        return self.packages

    @property
    def keys(self) -> FrozenSet[str]:
        """Return the names, with the architecture where one was typed."""
        return frozenset(map(_key, self.packages))

    def parts(self) -> Sequence[AptStep]:
        """Return one step for each package."""
        return tuple(AptStep((text,)) for text in self.packages)

    def merged_with(self, other: Step) -> Optional[Step]:
        """Return all packages on one line; earlier ones stay in their places."""
        if not isinstance(other, AptStep):
            return None
        return replace(self, packages=_unique(*self.packages, *other.packages))

    def without(self, keys: FrozenSet[str]) -> Optional[Step]:
        """See `Step`."""
        rest = tuple(text for text in self.packages if _key(text) not in keys)
        return AptStep(rest) if rest else None

    def check(self, host: Host) -> Verdict:
        """See `Step`."""
        installed = self._find_installed()
        if installed is None:
            return Verdict("unknown", "apt is not on this machine")
        missing = self._select_missing(installed)
        if missing:
            return Verdict("differs", "; ".join(_describe(text, installed) for text in missing))
        if len(self.packages) == 1:
            return Verdict("ok", "1 package is already installed")
        return Verdict("ok", f"{len(self.packages)} packages are already installed")

    def effects(self, host: Host) -> Effects:
        """See `Step`: apt's own sources, which it verifies by their keys, also over http."""
        from .sources import read_sources

        installs = tuple(f"apt: {text}" for text in self.packages)
        return Effects(installs=installs, hosts=read_sources(), writes=("the system, by apt",))

    def apply(self, host: Host, progress: Progress) -> Outcome:
        """Install what is missing, and check in dpkg's database that it is there."""
        from .apt_get import install

        before = self._find_installed()
        missing = self.packages if before is None else self._select_missing(before)
        install(missing, progress, wait=WAIT if host.may_ask else WAIT_ALONE)
        installed = self._find_installed() or {}
        absent = self._select_missing(installed)
        if absent:
            raise SourceError(
                f"apt-get reported success, but {' '.join(absent)} is not installed.",
                f"See what it prints in a terminal: sudo apt-get install {' '.join(absent)}",
                code="not-installed",
            )
        names = [_label(text, installed) for text in missing]
        more = f" and {len(names) - 4} more" if len(names) > 4 else ""
        return Outcome("applied", f"{', '.join(names[:4])}{more} installed", self)

    def note(self, host: Host) -> str:
        """Return the installed version, for a single package that was typed without one."""
        installed = self._find_installed()
        if installed is None or len(self.packages) != 1 or "=" in self.packages[0]:
            return ""
        label = _label(self.packages[0], installed)
        return label if " " in label else ""

    def _find_installed(self) -> Optional[Installed]:
        return find_installed([Package.parse(text).name for text in self.packages])

    def _select_missing(self, installed: Installed) -> Tuple[str, ...]:
        return tuple(text for text in self.packages if not _matching(text, installed))


def _key(text: str) -> str:
    return text.partition("=")[0]


def _unique(*texts: str) -> Tuple[str, ...]:
    """Return each package once: at its first place, as it was written last."""
    return tuple({_key(text): text for text in texts}.values())


def _matching(text: str, installed: Installed) -> List[Package]:
    package = Package.parse(text)
    return [other for other in installed.get(package.name, []) if package.matches(other)]


def _label(text: str, installed: Installed) -> str:
    """Return ``ffmpeg 7:5.1.4``; the name alone for a virtual package, which has no version."""
    packages = _matching(text, installed)
    return f"{_key(text)} {packages[0].version}".strip() if packages else _key(text)


def _describe(text: str, installed: Installed) -> str:
    package = Package.parse(text)
    others = installed[package.name]
    if package.version and others:
        return f"{package.name} {others[0].version} is installed; {package.version} wanted"
    return f"{_key(text)} is not installed"


def parser() -> Parser:
    """Return the arguments of ``%apt``."""
    tree = Parser("%apt")
    tree.add_argument(
        "packages", nargs="*", metavar="PACKAGE", help="name, name:architecture or name=version"
    )
    return tree


def parse(words: List[str]) -> Optional[AptStep]:
    """Return the packages that a line installs; None for a bare line."""
    if words[:1] == ["install"]:  # as one types it in a terminal
        words = words[1:]
    texts = parser().parse_words(words)[1].packages
    for text in texts:
        Package.parse(text)
    return AptStep(_unique(*texts)) if texts else None
