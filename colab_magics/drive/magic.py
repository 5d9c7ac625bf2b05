"""``%drive``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

from ..core.arguments import Parser
from ..core.display import Report
from ..core.errors import usage_error
from ..core.host import Host
from ..core.steps import parse
from ..extension.magic import Call, Magic
from ..extension.output import Status, say
from .providers import Request
from .step import DriveStep, current, find_mounted, parser


class DriveMagic(Magic):
    """Have a drive under one path on any host, and remember that the notebook needs it.

    On Colab this is Google Drive, and a mount that is there asks nothing again. Elsewhere it is a
    remote of rclone where one is configured, which is flushed before it goes and mounted again
    when it died; else a stand-in: a folder on this machine in the same shape, so that the notebook
    runs; nothing is uploaded. Files are under ``MOUNTPOINT/MyDrive``, which recorded
    lines call ``drive:``.

    Examples
    --------
    ::

        %drive                                 # its state
        %drive mount                           # /content/drive, or ~/drive
        %drive mount --provider folder         # the stand-in, also on Colab
        %drive mount --from ~/datasets         # the stand-in shows this folder
        %drive mount --remote gdrive:          # a remote of rclone, of any type
        %drive mount -v                        # and why other providers were passed over
        %drive flush                           # wait until all that was written is sent
        %drive unmount                         # flushes first
    """

    name = "drive"

    @classmethod
    def parser(cls) -> Parser:
        """Return the arguments that the step is read from."""
        return parser()

    def run(self, call: Call) -> Any:
        """Mount; ``-v`` also shows which providers were passed over, and why."""
        outcome = super().run(call)
        step = parse("drive", call.words)
        if isinstance(step, DriveStep) and {"-v", "--verbose"} & {*call.words}:
            _, reasons = step.providers(self.host, step.request(self.host))
            say(*(f"not {name}: {reason}" for name, reason in reasons.items()))
        return outcome

    def bare(self, call: Call) -> Any:
        """Show the state, and mount a drive again that has died; or flush, or unmount."""
        command, arguments = parser().parse_words(call.words)
        mount_point = getattr(arguments, "mount_point", "")
        point = DriveStep(mount_point).point(self.host) if mount_point else current(self.host)
        mounted = find_mounted(self.host, point)
        if mounted is None and command:
            raise usage_error(
                f"%drive {command}: no drive is mounted there.",
                "Type %drive for the state.",
                code="not-mounted",
            )
        if mounted is None:
            say("No drive is mounted. Mount one: %drive mount")
            return None
        provider, state = mounted
        if not state.healthy and provider.heals:
            say(heal(self.host, point))
            state = provider.state(self.host, Request(point)) or state
        elif not command:
            say(state.describe())
        if command:
            quiet = "quiet" in call.flags
            act = getattr(provider, command)
            _show(self.host, quiet, lambda status: act(self.host, Request(point), status))
        return state


def heal(host: Host, point: Path) -> str:
    """Mount a drive again that has died at a mount point; return the message, empty for none."""
    mounted = find_mounted(host, point)
    if mounted is None or mounted[1].healthy or not mounted[0].heals:
        return ""
    status = Status(host, quiet=False)
    try:
        return DriveStep(str(point), mounted[0].name).apply(host, status).message
    finally:
        status.done(None)


def _show(host: Host, quiet: bool, act: Callable[[Status], str]) -> None:
    """Show the progress of an act, and its message at the end."""
    status, report = Status(host, quiet), None
    try:
        report = Report((act(status),))
    finally:
        status.done(None if quiet else report)
