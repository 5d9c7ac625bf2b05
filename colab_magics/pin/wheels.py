"""What the name of a file of a project says, and how early an installer takes that file here.

Source: names of wheels and sdists (PEP 427, PEP 625) and compatibility tags (PEP 425), all as
``packaging`` reads them.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Dict, Iterable, Optional

if TYPE_CHECKING:
    from packaging.tags import Tag


def rank_file(name: str) -> Optional[int]:
    """Return the rank of a wheel or an sdist here, 0 the best; None where it does not fit.

    An sdist fits everywhere, and ranks below every wheel. `ValueError` where it is neither.
    """
    from packaging.utils import parse_sdist_filename, parse_wheel_filename

    if not name.endswith(".whl"):
        parse_sdist_filename(name)
        return sys.maxsize
    ranks = _tag_ranks()
    return min((ranks[tag] for tag in parse_wheel_filename(name)[3] if tag in ranks), default=None)


def nearest(versions: Iterable[str], version: str) -> str:
    """Return the next release after a version, else the last before it; empty where none is."""
    from packaging.version import Version

    known = sorted(v for v in map(Version, versions) if not v.is_prerelease)
    later = [v for v in known if v > Version(version)]
    return str((later or known[-1:])[0]) if known else ""


@lru_cache(maxsize=1)
def _tag_ranks() -> Dict[Tag, int]:
    """Return the wheel tags (about a thousand) that this Python takes on this machine."""
    from packaging.tags import sys_tags

    return {tag: rank for rank, tag in reversed([*enumerate(sys_tags())])}
