"""``%drive``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..core.arguments import Parser
from ..core.display import Report
from ..core.errors import usage_error
from ..core.host import Host
from ..core.steps import parse
from ..extension.magic import Call, Magic
from ..extension.output import Status, say
from .providers import Provider, Wanted
from .step import DriveStep, current, parser, standing


class DriveMagic(Magic):
    """Have a drive under one path on any host, and remember that the notebook needs it.

    On Colab this is Google Drive, and a mount that is there asks nothing again. Elsewhere it is a
    remote of rclone's where one is configured, which is flushed before it goes and brought back
    when it died; else a stand-in: a folder on this machine in the same shape, so that the notebook
    runs; nothing is uploaded. Files are under ``MOUNTPOINT/MyDrive``, which recorded
    lines call ``drive:``.

    Examples
    --------
    ::

        %drive                                 # how it stands
        %drive mount                           # /content/drive, or ~/drive
        %drive mount --provider folder         # the stand-in, also on Colab
        %drive mount --from ~/datasets         # the stand-in shows this folder
        %drive mount --remote gdrive:          # a remote of rclone's, of any type
        %drive mount -v                        # and why other ways were passed over
        %drive flush                           # wait until all that was written is there
        %drive unmount                         # flushes first
    """

    name = "drive"

    @classmethod
    def parser(cls) -> Parser:
        """Return the tree that the step is read by."""
        return parser()

    def run(self, call: Call) -> Any:
        """Mount; ``-v`` also says which providers were passed over, and why."""
        outcome = super().run(call)
        step = parse("drive", call.words)
        if isinstance(step, DriveStep) and {"-v", "--verbose"} & {*call.words}:
            say(*(f"not {name}: {reason}" for name, reason in step.chosen(self.host)[1]))
        return outcome

    def bare(self, call: Call) -> Any:
        """Show the state, and bring back a drive that has died; or flush, or unmount."""
        command, arguments = parser().parse_words(call.words)
        mount_point = getattr(arguments, "mount_point", "")
        named = DriveStep(mount_point)
        point = named.point(self.host) if mount_point else current(self.host)
        there = standing(self.host, point)
        if there is None and command:
            raise usage_error(f"%drive {command}: nothing is there.", "Type %drive for the state.")
        if there is None:
            say("No drive is there. Mount one: %drive mount")
            return None
        provider, state = there
        if not state.healthy and provider.heals:
            say(healed(self.host, point))
            state = provider.state(self.host, Wanted(point)) or state
        elif not command:
            say(state.message)
        if command:
            self._end(provider, Wanted(point), command, call)
        return state

    def _end(self, provider: Provider, wanted: Wanted, command: str, call: Call) -> None:
        """Flush or unmount, with progress."""
        status = Status(self.host, "quiet" in call.flags)
        try:
            said = getattr(provider, command)(self.host, wanted, status)
        except BaseException:
            status.done(None)
            raise
        status.done(None if "quiet" in call.flags else Report((said,)))


def healed(host: Host, point: Path) -> str:
    """Make a drive anew that has died at a mount point, and say so; empty where none has."""
    there = standing(host, point)
    if there is None or there[1].healthy or not there[0].heals:
        return ""
    status = Status(host, quiet=False)
    try:
        message = DriveStep(str(point), there[0].name).apply(host, status).message
    finally:
        status.done(None)
    return message
