"""How far the downloads of an installer are, while it works."""

from __future__ import annotations

import time
from typing import Dict, Mapping, Optional

from ..core.steps import Progress
from ..core.transfer import Transfer
from .installer import Installer


class Downloads:
    """Shows what an installer does in words, and how far its downloads are.

    One that does not say it is measured: by the bytes that its connections have received since it
    named the first file.
    """

    def __init__(self, installer: Installer, progress: Progress) -> None:
        self._installer, self._progress = installer, progress
        self._sizes: Dict[str, int] = {}
        self._received: Dict[str, int] = {}
        self._before: Optional[int] = None
        self._text, self._transfer = "", Transfer()

    def on_line(self, line: str) -> None:
        """Handle a line that it has printed."""
        installer = self._installer
        size, done, text = installer.read_size(line), installer.read_done(line), ""
        if size is not None:
            self._sizes[size[0]] = size[1]
            names = [*self._sizes]
            text = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if names[3:] else "")
            text = f"downloading {text}"
        else:
            text = installer.describe(line)
        if text:
            self._text = text
            self._progress(text)
        if done is not None:
            self._show(*done)
        elif size is None and text:  # it does something else now
            self._sizes.clear()
            self._before = None

    def on_wait(self, received: Mapping[str, int]) -> None:
        """Handle that it has printed nothing for a moment; ``received``: bytes by connection."""
        self._received.update(received)
        if not self._sizes or not received:
            return
        count = sum(self._received.values())
        self._before = count if self._before is None else self._before
        total = sum(self._sizes.values())
        self._show(min(count - self._before, total), total)

    def _show(self, done: int, total: int) -> None:
        self._progress(f"{self._text}: {self._transfer.describe(done, total, time.monotonic())}")
