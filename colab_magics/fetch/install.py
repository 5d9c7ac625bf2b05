"""Moving what has arrived to its place, never over a person's own files."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Callable, Container, Dict, List, Sequence, Set, Tuple

from ..core.controls import visible
from ..core.errors import SourceError
from ..core.files import clear
from .cache import Entry, FileStamp, digest, is_folder, keep, recall, same


def put(part: Path, path: Path, sha256: str, ours: str, over: bool) -> str:
    """Move a file to its place: ``put``, ``there`` already, or ``refused``: not ``ours``.

    ``replaced``: it was not, and this was to be ``over`` it.
    """
    became = "put"
    if path.is_file():
        have = digest(path)
        if have == sha256:
            return "there"
        became = "put" if have == ours else "replaced"
    elif path.exists():  # a folder, a device or a pipe
        return "refused"
    elif os.path.lexists(path):  # a link that leads nowhere
        became = "replaced"
    if became == "replaced" and not over:
        return "refused"
    part.replace(path)
    return became


def put_members(
    archive: Path,
    folder: Path,
    name: str,
    at: Path,
    fresh: Entry,
    over: bool,
    told: Callable[[object], None],
) -> bool:
    """Unpack beside the folder's files, then move each to its place; remembered under ``at``.

    Gives whether files that are not ours were replaced, which is done where this is ``over`` them.
    What may be written over is known before anything is moved, also to a run that comes after a
    kill: a file that is moved keeps its size and time.
    """
    from .extract import unpack

    beside = folder / f".{archive.name.strip('.')}.unpacking"
    clear(beside)  # of one that was killed
    try:
        beside.mkdir(0o700)
        made = beside / "files"
        members = unpack(archive, made, fresh.strip, told, name)
        was = recall(at).members
        there, replaced = _there(made, folder, members, {*was}, over)
        now = tuple(there.get(one.path, one) for one in members) if there else tuple(members)
        keep(at, fresh._replace(sha256="", members=(*was, *now)))
        _move(made, folder, "", there)
        _remove_old(folder, was, {one.path for one in members})
        keep(at, fresh._replace(members=now))
        return replaced
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _move(fresh: Path, folder: Path, path: str, stays: Container[str]) -> None:
    """Move what a folder holds, whole folders where there are none; the paths of ``stays`` stay."""
    with os.scandir(f"{fresh}{os.sep}{path}") as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            below = f"{path}/{entry.name}" if path else entry.name
            target = f"{folder}{os.sep}{below}"
            if entry.is_dir(follow_symlinks=False) and os.path.lexists(target):
                _move(fresh, folder, below, stays)
            elif below not in stays:
                os.replace(entry.path, target)  # noqa: PTH105


def _there(
    fresh: Path, folder: Path, members: Sequence[FileStamp], known: Set[FileStamp], over: bool
) -> Tuple[Dict[str, FileStamp], bool]:
    """What is there with the same content, and stays: its time may be another line's to know.

    And whether something that is not ours is in the way: `SourceError` where it is not to be
    written ``over``, or cannot be; nothing was moved then.
    """
    found: Dict[str, FileStamp] = {}
    bad: List[str] = []
    others: List[str] = []
    folders = {"": "folder"}
    for one in members:
        path = one.path
        above = _kind(folder, path.rpartition("/")[0], folders)
        if above == "other":
            bad.append(path)
        if above != "folder":
            continue
        try:
            stat = os.lstat(f"{folder}{os.sep}{path}")
        except FileNotFoundError:
            continue
        there = FileStamp(path, stat.st_size, stat.st_mtime_ns)
        target = folder / path
        if there == one and there in known:
            continue  # as it was moved here, and ours
        if same(fresh / path, target):
            found[path] = there
        elif is_folder(target):
            bad.append(path)
        elif there not in known:
            others.append(path)
    if bad or (others and not over):
        raise _refused(sorted([*bad, *others]))
    return found, bool(others)


def _kind(folder: Path, path: str, known: Dict[str, str]) -> str:
    """Whether a path is a ``folder``, is ``absent``, or is or lies below an ``other`` thing.

    A link is no folder: each archive's stay inside, but with those of another one they may lead
    anywhere.
    """
    if path not in known:
        known[path] = _kind(folder, path.rpartition("/")[0], known)
        if known[path] == "folder":
            place = f"{folder}{os.sep}{path}"
            there = os.path.lexists(place)
            known[path] = ("folder" if is_folder(Path(place)) else "other") if there else "absent"
    return known[path]


def _refused(bad: Sequence[str]) -> SourceError:
    more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
    bad = [visible(path, keep="") for path in bad]
    return SourceError(
        f"{bad[0]}{more} of the archive would take the place of other files; they were left alone.",
        "Unpack into another folder, or move them away. To write over them: --update",
        "\n".join(bad[:5]),
    )


def _remove_old(folder: Path, was: Tuple[FileStamp, ...], now: Set[str]) -> None:
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
