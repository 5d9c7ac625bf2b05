"""``%drive mount`` as a step."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Callable, ClassVar, Dict, FrozenSet, List, Optional, Tuple

from ..core.arguments import Choice, Parser
from ..core.effects import Effects, join, write
from ..core.errors import DriveError, usage_error
from ..core.host import Host
from ..core.registry import load
from ..core.steps import Outcome, Progress, Step, Verdict
from .providers import PROVIDERS, Provider, Refused, Request, State, default_mount_point, root
from .transfer.arguments import add_commands


@dataclass(frozen=True)
class DriveStep(Step):
    """A drive at a mount point; empty fields mean: decided by the host."""

    mount_point: str = ""
    provider: str = ""
    source: str = ""
    remote: str = ""

    word: ClassVar[str] = "drive"
    rank: ClassVar[int] = 30

    @property
    def options(self) -> Dict[str, str]:
        """The options that are set."""
        values = {"--provider": self.provider, "--from": self.source, "--remote": self.remote}
        return {option: value for option, value in values.items() if value}

    def arguments(self) -> Tuple[str, ...]:
        """Return the command, the mount point and the options."""
        point = (self.mount_point,) if self.mount_point else ()
        return ("mount", *point, *(word for option in self.options.items() for word in option))

    @property
    def keys(self) -> FrozenSet[str]:
        """One key: there is one drive at a mount point."""
        return frozenset({self.mount_point or "default"})

    def spelled(self, spell: Callable[[str], str]) -> DriveStep:
        """See `Step`: only relative paths, since an absolute one is typed for the host."""
        paths = (self.mount_point, self.source)
        point, source = (p if not p or Path(p).is_absolute() else spell(p) for p in paths)
        _check_point(point)
        return replace(self, mount_point=point, source=source)

    def point(self, host: Host) -> Path:
        """Return where it is mounted on this host."""
        return host.resolve(self.mount_point) if self.mount_point else default_mount_point(host)

    def request(self, host: Host) -> Request:
        """Return what it asks of a provider on this host."""
        source = host.resolve(self.source) if self.source else None
        return Request(self.point(host), source, self.remote)

    def providers(self, host: Host, request: Request) -> Tuple[List[Provider], Dict[str, str]]:
        """Return the providers that can be used here, best first, and why others cannot."""
        usable: List[Provider] = []
        reasons: Dict[str, str] = {}
        for name in [self.provider] if self.provider else PROVIDERS:
            provider: Provider = load(PROVIDERS[name])()
            reason = self._mismatch(provider) or provider.available(host, request)
            if reason is None:
                usable.append(provider)
            else:
                reasons[name] = reason
        if usable:
            return usable, reasons
        text, hint = "; ".join(map(": ".join, reasons.items())), "Name another MOUNTPOINT."
        if self.provider:
            hint = "Remove --provider from the line."
        elif self.remote:
            text, hint = reasons["rclone"], "Correct that, or remove --remote."
        raise DriveError(f"{text}.", hint, code="no-provider")

    def _mismatch(self, provider: Provider) -> Optional[str]:
        """Return why this line is not for a provider; None where it may be."""
        if provider.by_name and not self.provider:
            return "it is used where --provider names it"
        foreign = [x for x in self.options if x not in ("--provider", provider.option)]
        return f"it takes no {foreign[0]}" if foreign else None

    def check(self, host: Host) -> Verdict:
        """Tell whether the drive is mounted and answers; nobody is asked."""
        request = self.request(host)
        state = self.providers(host, request)[0][0].state(host, request)
        if state is None:
            return Verdict("differs", "not mounted")
        if state.healthy:
            set_current(host, request.point)
        return Verdict("ok" if state.healthy else "differs", state.describe())

    def effects(self, host: Host) -> Effects:
        """See `Step`: where a remote of rclone is, its configuration says."""
        is_folder = self.source or self.provider == "folder"
        point = self.mount_point or "the place of the drive"
        return join(
            [
                Effects(hosts=() if self.remote or is_folder else ("drive.google.com",)),
                Effects(unknown=(f"where the remote {self.remote} is",) if self.remote else ()),
                write(host, lambda: self.point(host), point),
            ]
        )

    def apply(self, host: Host, progress: Progress) -> Outcome:
        """Mount, and prove it by listing the drive."""
        request = self.request(host)
        usable, _ = self.providers(host, request)
        is_again = usable[0].state(host, request) is not None
        provider, more = self._mount(host, usable, request, progress)
        state = provider.state(host, self.request(host))
        if state is None or not state.healthy:
            raise DriveError("The drive was mounted but cannot be listed.", "Run it again.")
        set_current(host, request.point)
        message = state.describe("is mounted again at" if is_again else "is mounted at")
        return Outcome("applied", f"{message}; {more}" if more else message, self)

    def _mount(
        self, host: Host, usable: List[Provider], request: Request, progress: Progress
    ) -> Tuple[Provider, str]:
        """Mount by the first provider that the machine allows, which only trying shows."""
        for provider in usable[:-1]:
            try:
                return provider, provider.mount(host, request, progress)
            except Refused:
                if self.remote:
                    raise
        return usable[-1], usable[-1].mount(host, request, progress)


def find_mounted(host: Host, point: Path) -> Optional[Tuple[Provider, State]]:
    """Return the provider whose drive is at a mount point, and how it is; None for no drive."""
    request = Request(point)
    for target in PROVIDERS.values():
        provider: Provider = load(target)()
        if provider.available(host, request) is None:
            state = provider.state(host, request)
            if state is not None:
                return provider, state
    return None


def current(host: Host) -> Path:
    """Return the mount point that ``drive:`` paths mean now, else the default one."""
    return host.mount_point or default_mount_point(host)


def set_current(host: Host, point: Path) -> None:
    """Have ``drive:`` paths mean the drive at this mount point from now on."""
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
    add_commands(tree)
    return tree


def parse(words: List[str]) -> Optional[DriveStep]:
    """Return the drive that a line mounts; None for the commands that mount nothing."""
    command, arguments = parser().parse_words(words)
    if command != "mount":
        return None
    _check_point(arguments.mount_point)
    name = re.fullmatch(r"([\w.+@-]{2,}):[^/\\]*", arguments.mount_point)
    if name:
        raise usage_error(
            f"%drive mount: {arguments.mount_point} is not a folder.",
            f"For a remote of rclone: %drive mount --remote {name[1]}:",
            code="no-folder",
        )
    if arguments.remote and not re.fullmatch(r"[\w.+@-][\w .+@-]*:[^:]*", arguments.remote):
        raise usage_error(
            f"%drive mount: {arguments.remote} is no remote.", "Type NAME:PATH.", code="no-remote"
        )
    return DriveStep(arguments.mount_point, arguments.provider, arguments.source, arguments.remote)


def _check_point(path: str) -> None:
    if path.startswith("drive:"):
        raise usage_error(
            "%drive mount: a drive cannot be mounted on itself.", "Name a folder.", code="on-itself"
        )
