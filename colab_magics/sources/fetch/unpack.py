"""Unpacking an archive into a folder: whole or not at all, and never over a file that is there.

All of it is written into a fresh folder first, where nothing can be in the way or be a trap, and
moved to its place when it is whole.
"""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Iterator, List, Tuple

from ...errors import SourceError
from ...files import cache, named
from ...locks import alone_if_possible
from ...steps import Progress
from .archives import members
from .member import Budget
from .state import is_folder, same
from .tree import Tree

__all__ = ["unpack"]


def unpack(
    archive: Path, into: Path, strip: int, progress: Progress, name: str = ""
) -> List[Tuple[str, int]]:
    """Unpack an archive; gives the paths of its files and links in it, with their sizes.

    ``strip`` leading parts are taken off each path. A file that is there with the same content
    stays; where another is in the way, `SourceError`, and nothing was changed.
    """
    label, into = name or archive.name, Path(os.path.realpath(str(into)))
    if into.exists() and not into.is_dir():
        raise SourceError(f"{into.name} is a file; it was left alone.", "Name another folder.")

    def waits(seconds: float) -> None:
        progress(f"waiting for another kernel, which unpacks into {into.name}")

    try:
        with alone_if_possible(cache("archives") / f"{named(into)}.lock", waits):
            return _unpacked(archive, into, strip, progress, label)
    except OSError as error:
        raise SourceError(
            f"{label} cannot be unpacked: {error.strerror or type(error).__name__}.",
            "Check the folder, and the space on its disk.",
        ) from error


def _unpacked(
    archive: Path, into: Path, strip: int, progress: Progress, label: str
) -> List[Tuple[str, int]]:
    # In the folder if it is there: it may be all that we may write, or be a disk of its own.
    base = next(one for one in (into, *into.parents) if one.is_dir())
    prefix = f".colab-magics-{named(into)}-"
    for place in {base, into.parent}:
        for left in place.glob(f"{prefix}*"):  # by one that was killed: we are alone
            shutil.rmtree(str(left), ignore_errors=True)
    beside = Path(tempfile.mkdtemp(prefix=prefix, dir=str(base)))
    try:
        tree = Tree(beside / "files", strip, Budget(archive, label), progress, label)
        for member in members(archive, label, tree.expect):
            tree.add(member)
        tree.finish()
        _put(beside / "files", into, label)
        return sorted(tree.files.items())
    finally:
        shutil.rmtree(str(beside), ignore_errors=True)


def _put(fresh: Path, into: Path, label: str) -> None:
    """Move all of it, once nothing is in the way; what was moved before a kill is the same."""
    if not into.is_dir():
        into.parent.mkdir(parents=True, exist_ok=True)
        fresh.rename(into)
        return
    bad = [one.relative_to(into).as_posix() for one in _in_the_way(fresh, into)]
    if bad:
        more = f" and {len(bad) - 3} more" if len(bad) > 3 else ""
        raise SourceError(
            f"{label} holds other files than are there: {', '.join(bad[:3])}{more}; "
            "they were left alone.",
            "Move them away, or name another folder.",
        )
    _move(fresh, into)


def _in_the_way(fresh: Path, into: Path) -> Iterator[Path]:
    """What is there and is not the same; a link where a folder is to be could lead anywhere."""
    for one in fresh.iterdir():
        there = into / one.name
        if not os.path.lexists(str(there)):
            continue
        if is_folder(one) and is_folder(there):
            yield from _in_the_way(one, there)
        elif not same(one, there):
            yield there


def _move(fresh: Path, into: Path) -> None:
    for one in list(fresh.iterdir()):
        there = into / one.name
        if not os.path.lexists(str(there)):
            one.rename(there)
        elif is_folder(one):
            _move(one, there)
