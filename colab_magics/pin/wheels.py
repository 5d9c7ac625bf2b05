"""What the name of a file of a project says, and how early an installer takes that file here.

Source: names of wheels and sdists (PEP 427, PEP 625) and compatibility tags (PEP 425), all as
``packaging`` reads them.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Dict, FrozenSet, NamedTuple, Optional

if TYPE_CHECKING:
    from packaging.tags import Tag
    from packaging.version import Version


class FileName(NamedTuple):
    """The parts of a file's name: canonical project name, version, tags (None: an sdist)."""

    project: str
    version: Version
    tags: Optional[FrozenSet[Tag]]

    def rank(self, python: str = "") -> Optional[int]:
        """Return the file's rank for a Python (see `tag_ranks`), 0 the best; None: it does not fit.

        An sdist fits everywhere, and ranks below every wheel.
        """
        if self.tags is None:
            return sys.maxsize
        ranks = tag_ranks(python)
        return min((ranks[tag] for tag in self.tags if tag in ranks), default=None)


def parse_file_name(name: str) -> FileName:
    """Take the name of a wheel or an sdist apart; `ValueError` where it is the name of neither."""
    from packaging.utils import parse_sdist_filename, parse_wheel_filename

    if name.endswith(".whl"):
        project, version, _, tags = parse_wheel_filename(name)
        return FileName(project, version, tags)
    return FileName(*parse_sdist_filename(name), None)


@lru_cache(maxsize=2)
def tag_ranks(python: str = "") -> Dict[Tag, int]:
    """Return the wheel tags (about a thousand) that a Python takes on this machine, each ranked.

    ``python`` is its version; empty: the Python that runs this.
    """
    from packaging.tags import compatible_tags, cpython_tags, sys_tags

    if python:
        version = [int(part) for part in python.split(".")[:2]]
        interpreter = "cp{}{}".format(*version)
        tags = [*cpython_tags(version), *compatible_tags(version, interpreter)]
    else:
        tags = [*sys_tags()]
    return {tag: rank for rank, tag in reversed([*enumerate(tags)])}
