"""Waiting until all that was written to a mount by rclone is on the remote."""

import time
from pathlib import Path
from typing import Optional

from ...core.display import amount, files
from ...core.errors import DriveError
from ...core.steps import Progress
from .mount import Mount, shut_out


#: Seconds without any byte sent after which a flush gives up; nothing is lost by that.
STALLED = 60.0
#: Seconds after which a file that is not sent is taken for one that is still open.
_OPEN = 3.0


def flush(mount: Mount, progress: Progress) -> None:
    """Wait; `DriveError` where something is not sent and will not be, which is kept here."""
    seen, moved = None, time.monotonic()
    idle: Optional[float] = None
    while True:
        waiting = mount.control.waiting()
        if waiting is None:
            raise DriveError(f"{mount.remote} does not answer.", "Bring it back: %drive mount")
        unsent = [] if waiting else mount.unsent()
        if not waiting and not unsent:
            return
        now = time.monotonic()
        idle = None if waiting else idle or now
        if idle and now - idle > _OPEN:
            raise DriveError(
                f"{files(len(unsent))} of {mount.remote} still open, and not sent: "
                f"{', '.join(Path(name).name for name in unsent[:3])}.",
                "Close them, and run this again.",
            )
        reason = mount.control.refused(mount.remote)
        if reason:
            raise shut_out(mount.remote, reason)
        sent = (waiting, mount.control.sent())
        seen, moved = (seen, moved) if sent == seen else (sent, now)
        if now - moved > STALLED:
            raise DriveError(
                f"Nothing is sent to {mount.remote} any more; {files(waiting)} wait.",
                "They are kept here. Look at the network, then: %drive flush",
                mount.control.said(),
            )
        rest = amount(max(0, mount.size() - sent[1]))
        progress(f"{files(waiting or len(unsent))} ({rest}) to send")
        time.sleep(0.05)
