"""What is shown of the setup cell: that a line is in it, is not yet, or what became of it later."""

from __future__ import annotations

from typing import Callable, Dict, Optional, Set

from ..core.display import Report
from ..core.host import Host
from ..notebook.reading import Layout
from ..notebook.writers.base import Writer
from ..record.cell import brief
from ..record.record import Record, lines_in_words
from .output import say, show

OFF = "Setup cell: recording is off; on again: %setup auto on"
UNDO = "undo: %setup forget --all - stop: %setup auto off"


def misplaced(layout: Optional[Layout]) -> str:
    """Return what is wrong with the place of the setup cell, and what to do; empty: nothing."""
    numbers = layout.numbers if layout is not None else ()
    if layout is None or not numbers:
        return ""
    if len(numbers) > 1:
        cells = " and ".join(map(str, numbers))
        return f"Cells {cells} are both setup cells: delete the one that you do not want."
    text = f"The setup cell is cell {numbers[0]}, below other code: move it to the top."
    return text if layout.is_below_code else ""


class Notices:
    """One line under the cell that recorded something; some are shown once for each kernel."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._shown: Set[str] = set()
        #: Client session → what finishes a notice, once a later cell ends: see `finish`.
        self._unfinished: Dict[str, Callable[[], Optional[bool]]] = {}

    def once(self, *lines: str, key: str = "") -> None:
        """Show lines, unless this kernel has shown them already, or others of that key."""
        key = key or lines[0]
        if key not in self._shown:
            self._shown.add(key)
            say(*lines)

    @property
    def is_unfinished(self) -> bool:
        """Whether what was recorded in this notebook has not been seen in its file yet."""
        return self._host.client in self._unfinished

    def finish(self) -> bool:
        """Finish the notice of an earlier cell; tell whether what it recorded is saved by now."""
        finish = self._unfinished.get(self._host.client, lambda: False)
        done = finish()
        if done is not None:
            self._unfinished.pop(self._host.client, None)
        return bool(done)

    def recorded(self, record: Record, writer: Writer) -> None:
        """Show what recording has come to."""

        def follow_up() -> bool:
            say(*filter(None, [writer.follow_up()]))
            return False

        if record.text is not None:  # it holds what an earlier one waits to see saved
            self._unfinished.pop(self._host.client, None)
        changed = brief(", ".join(record.changes))
        if writer.kept_by:
            self.once(f"Setup cell: {writer.kept_by} writes it when the run ends")
        elif record.state == "off":
            self.once(OFF)
        elif record.state == "gone":
            lines = lines_in_words(record.lines)
            say(
                f"Setup cell is gone; bring back its {lines}: %setup write - "
                "start anew: %setup forget --all"
            )
        elif record.state == "shown" or not record.changes:
            return  # it can be copied, and nothing below it says more
        elif writer.in_place:
            self._unfinished[self._host.client] = follow_up
            if record.state == "sent":
                changes = "" if record.created else f"{changed} - "
                say(
                    f"Setup cell: {changes}sent to Colab, which puts it in place of this cell or "
                    "below it. Run another cell: its output says where it is, and what to delete "
                    "- stop: %setup auto off"
                )
            elif record.created:
                say(
                    "Setup cell: this cell is it now; delete an older one. Save the notebook - "
                    "undo: Ctrl-Z - stop: %setup auto off"
                )
            else:
                say(f"Setup cell: took in {changed}")
        else:
            self._recorded_in_notebook(record, writer)

    def _recorded_in_notebook(self, record: Record, writer: Writer) -> None:
        def line(state: str) -> str:
            if record.lines:
                lines = lines_in_words(record.lines)
                return f"Setup cell: {lines} brought back {writer.target}, {state}"
            if record.created:
                return f"Setup cell: added {writer.target}, {state} - {UNDO}"
            return f"Setup cell: {brief(', '.join(record.changes))} - {state}"

        def finish() -> Optional[bool]:
            is_saved = writer.saved
            if is_saved and self._host.live:
                handle.update(Report((line("saved"),)))
            elif is_saved:
                say("Setup cell: saved by now")
            return None if is_saved is False else bool(is_saved)

        if record.state == "saved":
            say(line("saved"))
        elif writer.saved is None and writer.reports_saving:
            say(line("saved, as the front end says"))
        else:
            handle = show(Report((line("not saved yet"),)), live=True)
            self._unfinished[self._host.client] = finish
