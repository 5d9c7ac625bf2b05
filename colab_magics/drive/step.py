"""``%drive mount`` as a step."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, FrozenSet, List, Optional, Tuple

from ..arguments import Parser
from ..errors import DriveError, usage_error
from ..host import Host
from ..registry import choose, load
from ..steps import Outcome, Progress, Step, Verdict
from .base import PROVIDERS, Provider, State, default_mount_point, root

__all__ = ["DriveStep", "current", "parse", "remember", "standing"]


@dataclass(frozen=True)
class DriveStep(Step):
    """A drive at a mount point; empty fields mean: decided by the host."""

    mount_point: str = ""
    provider: str = ""
    source: str = ""

    word: ClassVar[str] = "drive"
    rank: ClassVar[int] = 30

    def arguments(self) -> Tuple[str, ...]:
        """See `Step`."""
        options = (("--provider", self.provider), ("--from", self.source))
        given = (word for option in options if option[1] for word in option)
        return ("mount", *([self.mount_point] if self.mount_point else []), *given)

    @property
    def keys(self) -> FrozenSet[str]:
        """See `Step`: one drive at one mount point."""
        return frozenset({self.mount_point or "default"})

    def point(self, host: Host) -> Path:
        """Where it is mounted on this host."""
        return host.resolve(self.mount_point) if self.mount_point else default_mount_point(host)

    def chosen(self, host: Host) -> Provider:
        """The provider for this host: the one that is forced, else the first that applies."""
        point = self.point(host)

        def against(one: Provider) -> Optional[str]:
            if self.source and one.name == "colab":
                return "--from belongs to the stand-in"
            return one.available(host, point)

        if self.provider:
            forced: Provider = load(PROVIDERS[self.provider])()
            reason = forced.available(host, point)
            if reason:
                raise DriveError(f"{forced.name}: {reason}.", "Take --provider off the line.")
            return forced
        found, reasons = choose(PROVIDERS.values(), against)
        if found is None:
            because = "; ".join(f"{name}: {reason}" for name, reason in reasons)
            raise DriveError("No provider of a drive can be used here.", because)
        provider: Provider = found
        return provider

    def check(self, host: Host) -> Verdict:
        """See `Step`; nobody is asked."""
        provider = self.chosen(host)
        state = provider.state(host, self.point(host), self._source(host))
        if state is None:
            return Verdict("differs", "not mounted")
        if state.healthy:
            remember(host, self.point(host))
        return Verdict("ok" if state.healthy else "differs", state.message)

    def apply(self, host: Host, progress: Progress) -> Outcome:
        """Mount, and prove it by looking."""
        provider = self.chosen(host)
        point = self.point(host)
        provider.mount(host, point, self._source(host), progress)
        state = provider.state(host, point, self._source(host))
        if state is None or not state.healthy:
            raise DriveError("The drive was mounted but cannot be listed.", "Run it again.")
        remember(host, point)
        message = state.message.replace("was already at", "is at").replace(", nothing asked", "")
        return Outcome("applied", message, self)

    def _source(self, host: Host) -> Optional[Path]:
        return host.resolve(self.source) if self.source else None


def standing(host: Host, point: Path) -> "Optional[Tuple[Provider, State]]":
    """The provider whose drive stands at a mount point, and how; None where none does."""
    for target in PROVIDERS.values():
        one: Provider = load(target)()
        if one.available(host, point) is None:
            state = one.state(host, point, None)
            if state is not None:
                return one, state
    return None


def current(host: Host) -> Path:
    """The mount point that ``drive:`` paths mean now, else the default one."""
    files = host.places["drive"]() if "drive" in host.places else None
    return default_mount_point(host) if files is None else files.parent


def remember(host: Host, point: Path) -> None:
    """Let ``drive:`` paths mean the drive at this mount point from now on."""
    host.places["drive"] = lambda: root(point)


def parse(words: List[str]) -> Optional[DriveStep]:
    """The drive that a line asks for; None for the commands that mount nothing."""
    if words[:1] != ["mount"]:
        return None
    parser = Parser("%drive", usage="%drive mount [MOUNTPOINT] [--provider NAME] [--from DIR]")
    parser.add_argument("mount_point", nargs="?", default="")
    parser.add_argument("--provider", choices=list(PROVIDERS), default="")
    parser.add_argument("--from", dest="source", default="")
    found = parser.parse_args(words[1:])
    if found.mount_point.startswith("drive:"):
        raise usage_error("%drive mount: a drive cannot be mounted on itself.", "Name a folder.")
    return DriveStep(found.mount_point, found.provider, found.source)
