"""Putting in place what has arrived: never over what is a person's own."""

import os
import shutil
from pathlib import Path
from typing import Callable, Dict, List, Set, Tuple

from ...errors import SourceError
from .state import Entry, Member, digest, keep, recall

__all__ = ["put", "put_members"]


def put(part: Path, path: Path, sha256: str, ours: str, over: bool) -> str:
    """Move a file to its place: ``put``, ``there`` already, or ``refused``: not ``ours``."""
    if path.is_dir():
        return "refused"
    if path.exists():
        have = digest(path)
        if have == sha256:
            return "there"
        if have != ours and not over:
            return "refused"
    part.replace(path)
    return "put"


def put_members(
    archive: Path,
    folder: Path,
    name: str,
    at: Path,
    fresh: Entry,
    over: bool,
    told: Callable[[object], None],
) -> None:
    """Unpack beside the folder's files, then move each to its place; remembered under ``at``.

    What may be written over is known before anything is moved, also to a run that comes after a
    kill: a file that is moved keeps its size and time.
    """
    from .unpack import unpack

    beside = folder / f".{archive.name.strip('.')}.unpacking"
    shutil.rmtree(beside, ignore_errors=True)  # of one that was killed
    try:
        found = unpack(archive, beside, fresh.strip, told, name)
        members = tuple(_member(beside, path) for path, _ in found)
        was = recall(at).members
        there = _all_of(beside)
        _refuse_others(beside, folder, there, {*was}, over)
        keep(at, fresh._replace(sha256="", members=(*was, *members)))
        for path in there:
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            (beside / path).replace(target)
        _remove_old(folder, was, {one.path for one in members})
        keep(at, fresh._replace(members=members))
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _member(folder: Path, path: str) -> Member:
    stat = os.lstat(str(folder / path))
    return Member(path, stat.st_size, stat.st_mtime_ns)


def _all_of(folder: Path) -> List[str]:
    """All files and links in a folder, by their paths in it."""
    found: List[str] = []
    for at, folders, names in os.walk(str(folder)):
        links = [one for one in folders if (Path(at) / one).is_symlink()]
        found += [os.path.relpath(str(Path(at) / one), str(folder)) for one in (*names, *links)]
    return sorted(found)


def _refuse_others(
    fresh: Path, folder: Path, paths: List[str], known: Set[Member], over: bool
) -> None:
    """`SourceError` where something that is not ours is in the way; nothing was moved then."""
    mine: Dict[str, Set[Tuple[int, int]]] = {}
    for path, size, mtime_ns in known:
        mine.setdefault(path, set()).add((size, mtime_ns))
    bad: List[str] = []
    parents = {parent for path in paths for parent in Path(path).parents}
    # Each archive's links stay inside, but with those of another one they may lead anywhere.
    links = {parent for parent in parents if (folder / parent).is_symlink() and parent.name}
    for path in paths:
        target = folder / path
        if links.intersection(Path(path).parents):
            bad.append(path)
            continue
        try:
            stat = os.lstat(str(target))
        except FileNotFoundError:
            continue
        except NotADirectoryError:
            bad.append(path)
            continue
        ours = over or (stat.st_size, stat.st_mtime_ns) in mine.get(Path(path).as_posix(), ())
        if target.is_dir() or not (ours or _same(fresh / path, target)):
            bad.append(path)
    if bad:
        more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
        raise SourceError(
            f"{bad[0]}{more} of the archive would take the place of other files; "
            "they were left alone.",
            "Unpack into another folder, or move them away. To write over them: --update",
            "\n".join(bad[:5]),
        )


def _same(one: Path, other: Path) -> bool:
    """Whether two files hold the same."""
    if one.is_symlink() or other.is_symlink():
        both = one.is_symlink() and other.is_symlink()
        return both and os.readlink(str(one)) == os.readlink(str(other))
    return one.stat().st_size == other.stat().st_size and digest(one) == digest(other)


def _remove_old(folder: Path, was: Tuple[Member, ...], now: Set[str]) -> None:
    """Take out what an older archive had brought, where nobody has changed it."""
    for path, size, mtime_ns in was:
        target = folder / path
        try:
            stat = os.lstat(str(target))
            if path not in now and (stat.st_size, stat.st_mtime_ns) == (size, mtime_ns):
                target.unlink()
                target.parent.rmdir()
        except OSError:  # gone, or the folder holds more
            continue
