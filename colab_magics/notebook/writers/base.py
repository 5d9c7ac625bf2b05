"""What a writer is: one way to read and write one notebook."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Optional

from ...core.host import Host
from ..locate import RunningCell, Site


class Writer(ABC):
    """Reads and writes the setup cell of one notebook, and values in its metadata."""

    name: str
    #: Where a new setup cell is put, as the line that reports it says.
    target = "on top"
    #: Who has the text until the notebook is saved; empty: it goes into the notebook.
    kept_by = ""
    #: Whether it replaces the running cell, which takes effect only when that cell has ended.
    in_place = False
    #: Whether `set_metadata` can be called.
    can_set_metadata = False
    #: Whether the front end reports that it has saved; it counts only where `saved` is None.
    reports_saving = False

    def available(self, host: Host, site: Site, cell: RunningCell) -> Optional[str]:
        """Return None where it applies to the running cell, else why not."""
        return "it is made for a notebook that was named"

    @abstractmethod
    def read(self) -> Optional[str]:
        """Return the text of the setup cell, or None where there is none yet."""

    @abstractmethod
    def put(self, text: Optional[str], expected: Optional[str]) -> str:
        """Replace the setup cell ``expected`` by the text (None: by nothing); return the result.

        ``saved`` (read back from the file), ``written`` (not proved), ``sent`` (to a front end that
        may put it elsewhere: see `follow_up`) or ``shown`` (to be copied).
        `Conflict` where the cell is not ``expected`` any more.
        """

    @property
    def saved(self) -> Optional[bool]:
        """Whether the file is by now as it was put; None: not known."""
        return None

    def set_metadata(self, name: str, value: Optional[str]) -> str:
        """Set a value of `metadata_keys` in the notebook (None: remove it); return the result.

        ``saved``, ``written`` or ``kept`` (by ``colab-magics run``, until its end).
        """
        raise NotImplementedError

    def follow_up(self) -> str:
        """Return what became of the text, once a later cell ends; empty: nothing to report."""
        return ""
