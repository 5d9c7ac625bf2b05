"""What is shown of the setup cell: that a line is in it, is not yet, or what became of it later."""

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
    """One line under the cell that recorded something; some are shown once for each kernel."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._shown: Set[str] = set()
        #: Client session → what finishes a notice, once a later cell ends.
        self._unfinished: Dict[str, Callable[[], object]] = {}

    def once(self, *lines: str, key: str = "") -> None:
        """Show lines, unless this kernel has shown them already, or others of that key."""
        key = key or lines[0]
        if key not in self._shown:
            self._shown.add(key)
            say(*lines)

    def unfinished(self) -> Callable[[], object]:
        """Return what finishes the notice of an earlier cell: whether its text has arrived."""
        return self._unfinished.pop(self._host.client, lambda: None)

    def recorded(self, record: Record, writer: Writer) -> None:
        """Show what recording has come to."""
        if writer.kept_by:
            self.once(f"Setup cell: kept by {writer.kept_by}")
        elif record.state == "off":
            self.once(OFF)
        elif record.state == "shown" or not record.changes:
            return  # it can be copied, and nothing below it says more
        elif writer.in_place:
            self._unfinished[self._host.client] = lambda: say(*filter(None, [writer.follow_up()]))
            if record.created:
                say(
                    "Setup cell: this cell is it now; delete an older one. Save the notebook - "
                    "undo: Ctrl-Z - stop: %setup auto off"
                )
            else:
                say("Setup cell: took in " + ", ".join(record.changes))
        else:
            self._recorded_in_notebook(record, writer)

    def _recorded_in_notebook(self, record: Record, writer: Writer) -> None:
        def line(state: str) -> str:
            if record.created:
                return f"Setup cell: added on top, {state} - {UNDO}"
            return f"Setup cell: {', '.join(record.changes)} - {state}"

        def finish() -> None:
            if writer.saved:
                handle.update(Report((line("saved"),)))

        if record.state == "saved":
            say(line("saved"))
        elif writer.saved is None and writer.reports_saving:
            say(line("saved, as the front end says"))
        else:
            handle = show(Report((line("not saved yet"),)), live=True)
            self._unfinished[self._host.client] = finish
