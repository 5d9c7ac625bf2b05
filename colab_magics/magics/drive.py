"""``%drive``."""

from typing import Any

from ..arguments import Parser
from ..drive.base import PROVIDERS
from ..drive.step import DriveStep, current, standing
from ..errors import usage_error
from ._base import Call, Magic, say

__all__ = ["DriveMagic"]


class DriveMagic(Magic):
    """Have a drive under one path on any host, and remember that the notebook needs it.

    On Colab this is Google Drive, and a mount that is there asks nothing again. Elsewhere
    it is a stand-in: a folder on this machine in the same shape, so that the notebook
    runs; nothing is uploaded. Files are under ``MOUNTPOINT/MyDrive``, which recorded
    lines call ``drive:``.

    Examples
    --------
    ::

        %drive                                 # how it stands
        %drive mount                           # /content/drive, or ~/drive
        %drive mount --provider folder         # the stand-in, also on Colab
        %drive mount --from ~/datasets         # the stand-in shows this folder
        %drive unmount

    Options
    -------
    ``-q``: say nothing. ``-o``: return the outcome. ``--dry-run``: only say what differs.
    ``--no-record``: do not remember it.
    """

    name = "drive"
    offers = ("mount", "unmount", "--provider", "--from", *PROVIDERS)

    def bare(self, call: Call) -> Any:
        """Show the state, or unmount."""
        parser = Parser("%drive", usage="%drive [mount|unmount] [MOUNTPOINT]")
        parser.add_argument("command", nargs="?", choices=["mount", "unmount"])
        parser.add_argument("mount_point", nargs="?", default="")
        found = parser.parse_args(list(call.words))
        named = DriveStep(found.mount_point)
        point = named.point(self.host) if found.mount_point else current(self.host)
        there = standing(self.host, point)
        if found.command != "unmount":
            say(there[1].message if there else "No drive is there. Mount one: %drive mount")
        elif there is None:
            raise usage_error("%drive unmount: nothing is there.", "Type %drive for the state.")
        else:
            say(there[0].unmount(self.host, point))
        return there[1] if there else None
