"""``%drive mount`` as a step."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, FrozenSet, List, Optional, Tuple

from ..core.arguments import Choice, Parser
from ..core.errors import DriveError, usage_error
from ..core.host import Host
from ..core.registry import load
from ..core.steps import Outcome, Progress, Step, Verdict
from .providers import PROVIDERS, Provider, Refused, State, Wanted, default_mount_point, root

#: Names of providers with why each was passed over.
Passed = Tuple[Tuple[str, str], ...]


@dataclass(frozen=True)
class DriveStep(Step):
    """A drive at a mount point; empty fields mean: decided by the host."""

    mount_point: str = ""
    provider: str = ""
    source: str = ""
    remote: str = ""

    word: ClassVar[str] = "drive"
    rank: ClassVar[int] = 30

    def arguments(self) -> Tuple[str, ...]:
        """See `Step`."""
        options = (
            ("--provider", self.provider),
            ("--from", self.source),
            ("--remote", self.remote),
        )
        given = (word for option in options if option[1] for word in option)
        return ("mount", *([self.mount_point] if self.mount_point else []), *given)

    @property
    def keys(self) -> FrozenSet[str]:
        """See `Step`: one drive at one mount point."""
        return frozenset({self.mount_point or "default"})

    def point(self, host: Host) -> Path:
        """Where it is mounted on this host."""
        return host.resolve(self.mount_point) if self.mount_point else default_mount_point(host)

    def wanted(self, host: Host) -> Wanted:
        """What it asks of a provider on this host."""
        source = host.resolve(self.source) if self.source else None
        return Wanted(self.point(host), source, self.remote)

    def chosen(self, host: Host) -> Tuple[List[Provider], Passed]:
        """The providers that apply here, best first, and why others do not."""
        wanted, fit, passed = self.wanted(host), [], []
        names = [self.provider] if self.provider else list(PROVIDERS)
        for name in names:
            one: Provider = load(PROVIDERS[name])()
            reason = one.available(host, wanted)
            if reason is None:
                fit.append(one)
            else:
                passed.append((name, reason))
        if fit:
            return fit, tuple(passed)
        because = "; ".join(f"{name}: {reason}" for name, reason in passed)
        if self.provider:
            raise DriveError(f"{because}.", "Take --provider off the line.")
        if self.remote:
            because = dict(passed).get("rclone", because)
            raise DriveError(f"rclone: {because}.", "Take --remote off the line, or mend that.")
        raise DriveError("No provider of a drive can be used here.", because)

    def check(self, host: Host) -> Verdict:
        """See `Step`; nobody is asked."""
        wanted = self.wanted(host)
        state = self.chosen(host)[0][0].state(host, wanted)
        if state is None:
            return Verdict("differs", "not mounted")
        if state.healthy:
            remember(host, wanted.point)
        return Verdict("ok" if state.healthy else "differs", state.message)

    def apply(self, host: Host, progress: Progress) -> Outcome:
        """Mount, and prove it by looking."""
        wanted = self.wanted(host)
        fit, _ = self.chosen(host)
        before = fit[0].state(host, wanted)
        provider, more = self._mounted(host, fit, progress)
        state = provider.state(host, wanted)
        if state is None or not state.healthy:
            raise DriveError("The drive was mounted but cannot be listed.", "Run it again.")
        remember(host, wanted.point)
        now = "is back at" if before is not None else "is at"
        message = state.message.replace("was already at", now).replace(", nothing asked", "")
        return Outcome("applied", f"{message}; {more}" if more else message, self)

    def _mounted(self, host: Host, fit: List[Provider], progress: Progress) -> Tuple[Provider, str]:
        """The first that can be mounted; that a machine lets nobody is found out by trying."""
        for provider in fit[:-1]:
            try:
                return provider, provider.mount(host, self.wanted(host), progress)
            except Refused:
                if self.remote:
                    raise
        return fit[-1], fit[-1].mount(host, self.wanted(host), progress)


def standing(host: Host, point: Path) -> Optional[Tuple[Provider, State]]:
    """The provider whose drive stands at a mount point, and how; None where none does."""
    wanted = Wanted(point)
    for target in PROVIDERS.values():
        one: Provider = load(target)()
        state = one.state(host, wanted) if one.available(host, wanted) is None else None
        if state is not None:
            return one, state
    return None


def current(host: Host) -> Path:
    """The mount point that ``drive:`` paths mean now, else the default one."""
    return host.mount_point or default_mount_point(host)


def remember(host: Host, point: Path) -> None:
    """Let ``drive:`` paths mean the drive at this mount point from now on."""
    host.mount_point = point
    host.places["drive"] = lambda: root(point)


def parser() -> Parser:
    """Return the arguments of ``%drive``."""
    tree = Parser("%drive")
    mount = tree.add_command("mount", "Mount a drive, and remember that the notebook needs it.")
    mount.add_argument("mount_point", nargs="?", default="", help="/content/drive, or ~/drive")
    mount.add_argument(
        "--provider",
        type=Choice("%drive", "provider", PROVIDERS),
        default="",
        metavar="NAME",
        help=f"{', '.join(PROVIDERS)}; without it the first that can",
    )
    mount.add_argument(
        "--from", dest="source", default="", metavar="DIR", help="the stand-in shows this folder"
    )
    mount.add_argument("--remote", default="", metavar="NAME:", help="a remote of rclone, any type")
    mount.add_argument(
        "-v", "--verbose", action="store_true", help="also say why other providers were passed over"
    )
    for name, text in (
        ("flush", "Wait until everything written has reached the drive."),
        ("unmount", "Flush, then unmount."),
    ):
        tree.add_command(name, text).add_argument("mount_point", nargs="?", default="")
    return tree


def parse(words: List[str]) -> Optional[DriveStep]:
    """Return the drive that a line mounts; None for the commands that mount nothing."""
    command, arguments = parser().parse_words(words)
    if command != "mount":
        return None
    if arguments.mount_point.startswith("drive:"):
        raise usage_error("%drive mount: a drive cannot be mounted on itself.", "Name a folder.")
    if arguments.remote and not re.fullmatch(r"[\w.+@-][\w .+@-]*:[^:]*", arguments.remote):
        raise usage_error(f"%drive: {arguments.remote} is not a remote.", "Write it like gdrive:")
    return DriveStep(arguments.mount_point, arguments.provider, arguments.source, arguments.remote)
