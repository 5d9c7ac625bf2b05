"""What a magic shows: one display, updated in place where that can be, or lines of text."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any, Optional, Union

from ..core.controls import visible
from ..core.display import Report, printable
from ..core.host import Host
from ..core.prompt import ask


def interrupted() -> KeyboardInterrupt:
    """Return what Ctrl-C raises, shown as one line: the way to it through our code says nothing."""
    error = KeyboardInterrupt()
    setattr(error, "_render_traceback_", lambda: ["KeyboardInterrupt"])  # noqa: B010 - not typed
    return error


def show(report: object, live: bool = False) -> Any:
    """Show a report, or what draws itself; return a handle to update a live one."""
    from IPython.display import display

    mark = {"colab_magics": True}  # for who runs the cell; it is not saved
    if live:
        return display(report, display_id=True, transient=mark)
    return display(report, transient=mark)


def say(*lines: str) -> None:
    """Show lines of text; without one, nothing."""
    if lines:
        show(Report(lines))


def confirm(host: Host, question: str) -> bool:
    """Ask a person, who must be there, and tell whether the answer is yes."""
    return host.person and ask(host, f"{question} [y/N] ").strip().lower() in {"y", "yes"}


class Status:
    """One display, updated in place until it shows the outcome.

    Where no front end is live (executors compare outputs), only the outcome is displayed. As a
    context manager it is cleared by an error.
    """

    def __init__(self, host: Host, quiet: bool) -> None:
        self._live = host.live and not quiet
        self._terminal = not quiet and host.may_ask and not host.live and sys.stdout.isatty()
        self._handle: Any = None
        self._above = Report()
        self._last: Union[str, Report] = ""

    def __enter__(self) -> Status:
        return self

    def __exit__(self, kind: object, error: Optional[BaseException], trace: object) -> None:
        if error is not None:
            self.done(None)

    def __call__(self, message: Union[str, Report]) -> None:
        """Show what is going on; a report stays above the lines that follow."""
        if message == self._last:
            return
        self._last = message
        if self._terminal:
            self._write(message)
        lines = (message,) if isinstance(message, str) else ()
        self._above = message if isinstance(message, Report) else self._above
        if self._live:
            self._update(replace(self._above, after=(*self._above.after, *lines)))

    def _update(self, report: Report) -> None:
        if self._handle is None:
            self._handle = show(report, live=True)
        else:
            self._handle.update(report)

    def _write(self, message: Union[str, Report]) -> None:
        """Write a line over the one before it, or a report above, once: it cannot be updated."""
        if isinstance(message, str):
            text = visible(printable(message), allow="")[:100]
        else:
            text = "" if self._above.lines else f"{message.text()}\n"
        sys.stdout.write(f"\r\x1b[K{text}")
        sys.stdout.flush()

    def done(self, report: Optional[Report]) -> None:
        """Show the outcome in the same place; None where an error will be shown instead."""
        if self._terminal:
            sys.stdout.write("\r\x1b[K")
        if self._handle is not None:
            self._handle.update(report or Report())
        elif report is not None:
            show(report)
