"""Moving what has arrived to its place, never over a person's own files."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Container, Dict, Iterator, List, Sequence, Set, Tuple

from ..core.controls import visible
from ..core.errors import SourceError
from ..core.files import clear
from ..core.steps import Progress
from .cache import Entry, FileStamp, digest, is_folder, load, same_content, save


def install_file(part: Path, path: Path, label: str, sha256: str, ours: str, over: bool) -> str:
    """Move a file to its place, over a file with the hash ``ours``, or over any file if ``over``.

    Return ``new``, ``same`` (already there) or ``replaced`` (what was there was not ours).
    """
    status = "new"
    if path.is_file():
        sha256_there = digest(path)
        if sha256_there == sha256:
            return "same"
        status = "new" if sha256_there == ours else "replaced"
    elif os.path.lexists(path):
        status = "replaced"
        over = over and not path.exists()  # a link that leads nowhere, but no folder or device
    if status == "replaced" and not over:
        raise not_ours(label)
    part.replace(path)
    return status


def not_ours(label: str) -> SourceError:
    """Return the error for a file in the way that was not fetched, or has been changed."""
    message = f"{label} is there and is another file; it was left alone."
    hint = "Move it away. Or put what this line names in its place: --update"
    return SourceError(message, hint, code="not-ours")


def install_members(
    archive: Path, folder: Path, name: str, key: Path, entry: Entry, over: bool, progress: Progress
) -> bool:
    """Unpack beside the files of a folder, then move each to its place; remember it under ``key``.

    Return whether files that are not ours were replaced, which is done only if ``over``. What may
    be replaced is decided before anything is moved, and saved for a run after a kill: a file that
    is moved keeps its size and time.
    """
    from .extract import unpack

    beside = folder / f".{archive.name.strip('.')}.unpacking"
    clear(beside)  # of a run that was killed
    try:
        beside.mkdir(0o700)
        fresh = beside / "files"
        members = tuple(unpack(archive, fresh, entry.strip, progress, name))
        old = load(key).members
        same, replaced = _compare(fresh, folder, members, {*old}, over)
        new = tuple([same.get(member.path, member) for member in members])
        save(key, entry._replace(sha256="", members=(*old, *new)))
        _move(fresh, folder, "", same)
        _remove_old(folder, old, {member.path for member in members})
        save(key, entry._replace(members=new))
        return replaced
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _move(fresh: Path, folder: Path, path: str, stays: Container[str]) -> None:
    """Move what a folder holds except ``stays``; whole folders if there are none yet."""
    with os.scandir(f"{fresh}{os.sep}{path}") as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            below = f"{path}/{entry.name}" if path else entry.name
            target = f"{folder}{os.sep}{below}"
            if entry.is_dir(follow_symlinks=False) and os.path.lexists(target):
                _move(fresh, folder, below, stays)
            elif below not in stays:
                os.replace(entry.path, target)  # noqa: PTH105


def _compare(
    fresh: Path, folder: Path, members: Sequence[FileStamp], old: Set[FileStamp], over: bool
) -> Tuple[Dict[str, FileStamp], bool]:
    """Return the files that are there with the same content, and whether others are in the way.

    The former stay: another line may remember their times. `SourceError` if the others must not,
    or cannot, be replaced.
    """
    same: Dict[str, FileStamp] = {}
    blocked: List[str] = []
    foreign: List[str] = []
    for member, present in _existing(folder, members, blocked):
        path = member.path
        if present == member and present in old:
            continue  # moved here by a run that was killed
        if same_content(fresh / path, folder / path):
            same[path] = present
        elif is_folder(folder / path):
            blocked.append(path)
        elif present not in old:
            foreign.append(path)
    if blocked or (foreign and not over):
        raise _refusal(sorted([*blocked, *foreign]))
    return same, bool(foreign)


def _existing(
    folder: Path, members: Sequence[FileStamp], blocked: List[str]
) -> Iterator[Tuple[FileStamp, FileStamp]]:
    """Yield the members that exist with what is there; add to ``blocked`` those below no folder."""
    folders = {"": "folder"}
    for member in members:
        above = _folder_status(folder, member.path.rpartition("/")[0], folders)
        if above == "other":
            blocked.append(member.path)
        elif above == "folder":
            try:
                stat = os.lstat(f"{folder}{os.sep}{member.path}")
            except FileNotFoundError:
                continue
            yield member, FileStamp(member.path, stat.st_size, stat.st_mtime_ns)


def _folder_status(folder: Path, path: str, known: Dict[str, str]) -> str:
    """Return ``folder``, ``absent``, or ``other`` if the path is, or is below, something else.

    A link is no folder: each archive's links stay inside, but together with those of another one
    they may lead anywhere.
    """
    if path not in known:
        known[path] = _folder_status(folder, path.rpartition("/")[0], known)
        place = folder / path
        if known[path] == "folder" and not is_folder(place):
            known[path] = "other" if os.path.lexists(place) else "absent"
    return known[path]


def _refusal(paths: Sequence[str]) -> SourceError:
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    paths = [visible(path, allow="") for path in paths]
    return SourceError(
        f"{paths[0]}{more} of the archive would replace other files; nothing was changed.",
        "Unpack into another folder, or move them away. To replace them: --update",
        "\n".join(paths[:5]),
        code="not-ours",
    )


def _remove_old(folder: Path, old: Sequence[FileStamp], new: Set[str]) -> None:
    """Delete what only an older archive had, unless somebody has changed it."""
    for path, size, mtime_ns in old:
        target = folder / path
        try:
            stat = os.lstat(str(target))
            if path not in new and (stat.st_size, stat.st_mtime_ns) == (size, mtime_ns):
                target.unlink()
                target.parent.rmdir()
        except OSError:  # it is gone, or the folder is not empty
            continue
