"""``requirements``: a requirements file, as pip and uv read it."""

from __future__ import annotations

from typing import List

from .commands import requirement_lines
from .formats import File, Format


class Requirements(Format):
    """The pins of one set of options."""

    name = "requirements"
    path = "requirements.txt"
    _add_env = Format.refuse

    def files(self) -> List[File]:
        """See `Format`."""
        return [(self.path, self.text())]

    def text(self) -> str:
        """Return the lines of the file: each once, so that options are too."""
        lines = dict.fromkeys(line for pins in self.pins for line in requirement_lines(pins))
        return "".join(f"{line}\n" for line in lines)
