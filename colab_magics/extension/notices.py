"""What is said of the setup cell: that a line is in it, is not yet, or what became of it later."""

from __future__ import annotations

from typing import Callable, Dict, Set

from ..core.display import Report
from ..core.host import Host
from ..notebook.writers.base import Writer
from ..record.record import Record
from .output import say, show

OFF = "Setup cell: recording is off; on again: %setup auto on"
UNDO = "undo: %setup forget --all - stop: %setup auto off"


class Notices:
    """One line under the cell that recorded something; some are said once for each kernel."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._said: Set[str] = set()
        #: Client session → what finishes a notice, once a later cell ends.
        self._unfinished: Dict[str, Callable[[], object]] = {}

    def once(self, *lines: str, key: str = "") -> None:
        """Say it, unless this kernel has said it already, or another one of that key."""
        key = key or lines[0]
        if key not in self._said:
            self._said.add(key)
            say(*lines)

    def unfinished(self) -> Callable[[], object]:
        """What finishes the notice of an earlier cell: whether its text has arrived."""
        return self._unfinished.pop(self._host.client, lambda: None)

    def recorded(self, record: Record, writer: Writer) -> None:
        """Say what recording has come to."""
        if writer.name == "run":
            self.once("Setup cell: kept by colab-magics run")
        elif record.state == "off":
            self.once(OFF)
        elif record.state == "shown" or not record.changes:
            return  # what was asked for is there to be copied, and nothing stands below it
        elif writer.in_place:
            self._in_place(record, writer)
        else:
            self._in_the_notebook(record, writer)

    def _in_place(self, record: Record, writer: Writer) -> None:
        """What is to become of the running cell."""
        self._unfinished[self._host.client] = lambda: say(*filter(None, [writer.follow_up()]))
        if record.created:
            say(
                "Setup cell: this cell is it now; delete an older one. Save the notebook - "
                "undo: Ctrl-Z - stop: %setup auto off"
            )
        else:
            say("Setup cell: took in " + ", ".join(record.changes))

    def _in_the_notebook(self, record: Record, writer: Writer) -> None:
        """What became of the cell in the notebook that is open."""
        added = ("Setup cell: added on top, ", f" - {UNDO}")
        before, after = (
            added if record.created else (f"Setup cell: {', '.join(record.changes)} - ", "")
        )
        if record.state == "saved":
            say(f"{before}saved{after}")
            return
        if writer.saved is None and writer.told:
            say(f"{before}saved, as the front end says{after}")
            return
        handle = show(Report((f"{before}not saved yet{after}",)), live=True)

        def finish() -> None:
            if writer.saved:
                handle.update(Report((f"{before}saved{after}",)))

        self._unfinished[self._host.client] = finish
