"""What a writer is: one way to read and write one notebook."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Optional

from ...core.host import Host
from ..locate import RunningCell, Site


class Writer(ABC):
    """Reads and writes the setup cell of one notebook, and what is kept in its metadata."""

    name: str
    #: Whether it replaces the running cell, which takes effect only when that cell has ended.
    in_place = False
    #: Whether `keep` can be called.
    can_keep = False
    #: Whether the front end said that it has saved, which it is believed only where nobody can see.
    told = False

    def available(self, host: Host, site: Site, cell: RunningCell) -> Optional[str]:
        """None where it applies to the running cell, else why not."""
        return "it is made for a notebook that was named"

    @abstractmethod
    def read(self) -> Optional[str]:
        """The text of the setup cell, or None where there is none yet."""

    @abstractmethod
    def put(self, text: Optional[str], expected: Optional[str]) -> str:
        """Put the text (None: take the cell out) where ``expected`` stands, and say how it ended.

        Ends as ``saved`` (read back from the file), ``written`` (not proved) or ``shown`` (to be
        copied); raises `Conflict` where the cell is not ``expected`` any more.
        """

    @property
    def saved(self) -> Optional[bool]:
        """Whether the file is as it was put, by now; None: not known."""
        return None

    def keep(self, what: str, value: Optional[str]) -> str:
        """Put a value of `metadata_keys` into the notebook's metadata (None: take it out).

        Ends as ``saved``, ``written`` or ``kept`` (by the run, until its end).
        """
        raise NotImplementedError

    def follow_up(self) -> str:
        """What became of the text, asked when a later cell ends; empty: there is nothing to say."""
        return ""
