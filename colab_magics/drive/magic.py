"""``%drive``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, List

from ..core.arguments import Parser, complete_folder
from ..core.display import Report
from ..core.errors import usage_error
from ..core.host import Host
from ..extension.magic import Call, Magic
from ..extension.output import Status, say
from .providers import Request
from .step import DriveStep, current, find_mounted, parser
from .transfer.arguments import NAMES as TRANSFERS


class DriveMagic(Magic):
    """Have a drive under one path on any host, and remember that the notebook needs it.

    On Colab this is Google Drive, and a mount that is there asks nothing again. Elsewhere it is a
    remote of rclone where one is configured, which is flushed before it goes and mounted again
    when it died; else a stand-in: a folder on this machine in the same shape, so that the notebook
    runs; nothing is uploaded. Files are under ``MOUNTPOINT/MyDrive``, which recorded
    lines call ``drive:``.

    ``push`` and ``pull`` copy files and folders, where ``drive:`` is the drive and anything else is
    on this machine: what is there already is not sent, what was cut off goes on, each file is
    verified, and what is newer there is left alone without ``--overwrite``. A folder is copied with
    its name; with a slash behind it, what is in it. ``sync`` brings two folders in step: what is
    new or edited on a side comes to the other, and what was edited on both is kept twice. None of
    these lines is recorded.

    Examples
    --------
    ::

        %drive                                 # its state
        %drive mount                           # /content/drive, or ~/drive
        %drive mount --provider folder         # the stand-in, also on Colab
        %drive mount --from ~/datasets         # the stand-in shows this folder
        %drive mount --provider mirror         # a folder for pull and push, after %drive login
        %drive mount --remote gdrive:          # a remote of rclone, of any type
        %drive mount -v                        # and why other providers were passed over
        %drive flush                           # wait until all that was written is sent
        %drive unmount                         # flushes first
        %drive push results drive:project      # a folder: drive:project/results
        %drive push data drive: --background up  # goes on without this notebook: %jobs follow up
        %drive push data/ drive:backup --pack  # as one file, which is much faster for many small
        %drive pull drive:project/results/ .   # what is in a folder
        %drive pull drive:backup/data.tar . --unpack
        %drive pull drive:notes . --export     # Google documents, as docx, xlsx, pptx
        %drive sync ~/project drive:project    # both ways; --dry-run shows what it would do
        %drive sync ~/project drive:project --delete   # deletions too
        %drive sync ~/project drive:project --watch    # keep both in step; end it: --stop
        %drive du drive:project                # how much is in what
        %drive rm -r drive:project/old
        %drive login --client client.json      # copy by Google's own interface; logout, whoami
    """

    name = "drive"
    dry_run_commands = ("", "mount", "sync")

    @classmethod
    def parser(cls) -> Parser:
        """Return the arguments that the step is read from."""
        return parser()

    def run(self, call: Call) -> Any:
        """Mount, or copy; ``-v`` also shows which providers were passed over, and why."""
        command, arguments = parser().parse_words(call.words)
        if command in TRANSFERS:
            from .magic_transfer import run

            self.refuse_body(call)
            arguments.dry_run = "dry_run" in call.flags
            if getattr(arguments, "background", ""):
                from .magic_job import start

                return start(self.session, command, arguments, call)
            return run(self.session, command, arguments, "quiet" in call.flags)
        outcome = super().run(call)
        step = self.parse(call.words)
        if isinstance(step, DriveStep) and {"-v", "--verbose"} & {*call.words}:
            _, reasons = step.providers(self.host, step.request(self.host))
            say(*(f"not {name}: {reason}" for name, reason in reasons.items()))
        return outcome

    def complete(self, line: str, symbol: str) -> List[str]:
        """Offer options, and behind the commands that copy, paths on both sides."""
        options = super().complete(line, symbol)
        words = line.split()[1:]
        if symbol.startswith("-") or not {*words[:1]} & {*TRANSFERS}:
            return options
        return [*options, *complete_folder(symbol, self.host, suffix="")]

    def bare(self, call: Call) -> Any:
        """Show the state, and mount a drive again that has died; or flush, or unmount."""
        command, arguments = parser().parse_words(call.words)
        mount_point = getattr(arguments, "mount_point", "")
        point = current(self.host)
        if mount_point:
            point = self.host.resolve(self.host.spell_typed(mount_point))
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
            say(state.describe("is mounted at"))
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
    except KeyboardInterrupt:
        report = Report(("Interrupted: what was written lately may not be sent. See: %drive",))
        raise
    finally:
        status.done(None if quiet else report)
