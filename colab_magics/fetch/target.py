"""How a target stands on this machine: as it was fetched, changed since, or somebody's own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, Tuple

from ..core.display import files
from ..core.host import Host
from .cache import Entry, digest, keep, looked_at, recall, stamp
from .step import FetchStep


class Look(NamedTuple):
    """``state``: ``ok``; ``absent``; ``ours``, to be brought anew; ``edited``; ``foreign``.

    ``wanted`` is the hash that what comes must have; ``whole``: all that was fetched is there.
    """

    state: str
    message: str
    path: Path
    entry: Entry
    wanted: str = ""
    whole: bool = False


def memory(step: FetchStep, host: Host) -> Path:
    """Under which path a target is remembered: what came out of an archive is another one."""
    place = step.place(host)
    return place / ":unpacked" if step.unpack else place


def remembered(step: FetchStep, host: Host) -> Tuple[Path, Entry]:
    """Where a file is, by the name that the server gave it, and what is remembered of it."""
    place, entry = step.place(host), recall(memory(step, host))
    if step.unpack or not entry.name or entry.name == place.name or entry.url != step.url:
        return place, entry
    place = place.parent / entry.name
    return place, recall(place)


def listed(step: FetchStep, host: Host) -> Tuple[FetchStep, ...]:
    """The files that a URL was found to stand for; none where it has not been asked yet."""
    entry = recall(memory(step, host))
    return tuple(replace(step, url=url) for url in entry.files) if entry.url == step.url else ()


def look(step: FetchStep, host: Host) -> Look:
    """A glance; the file is hashed only where its size or time is another than it was."""
    path, entry = remembered(step, host)
    label = step.label("" if step.unpack else path.name)
    known = entry.sha256 if entry.url == step.url else ""
    wanted = step.sha256 or ("" if step.update else known)
    if step.unpack:
        return _unpacked(step, path, entry, wanted)
    now = stamp(path)
    if now[0] < 0:
        return Look("absent", f"{label} is not there", path, entry, wanted)
    if path.is_dir():
        return Look("foreign", f"{label} is a folder", path, entry, wanted)
    if not path.is_file():
        kind = "is a link that leads nowhere" if path.is_symlink() else "is a device or a pipe"
        return Look("foreign", f"{label} {kind}", path, entry, wanted)
    fresh = bool(entry.sha256) and now == (entry.size, entry.mtime_ns)
    have = entry.sha256 if fresh else digest(path) if entry.sha256 or step.sha256 else ""
    if have and have == wanted:
        if not fresh or entry.sha256 != have:
            seen = Entry(step.url, sha256=have, size=now[0], mtime_ns=now[1])
            keep(path, seen._replace(tag=entry.tag if entry.sha256 == have else ""))
        return Look("ok", f"{label} {_there(step)}", path, entry, wanted, True)
    if not entry.sha256:
        return Look("foreign", f"{label} is there and was not fetched", path, entry, wanted)
    if have != entry.sha256:
        return Look("edited", f"{label} was changed since it was fetched", path, entry, wanted)
    said = "is to be asked for again" if step.update else "is not what this line names"
    return Look("ours", f"{label} {said}", path, entry, wanted, True)


def _unpacked(step: FetchStep, path: Path, entry: Entry, wanted: str) -> Look:
    """The same for what came out of an archive, by the size and time of each file."""
    label = step.label()
    if not entry.sha256:
        return Look("absent", f"{label} is not unpacked", path, entry, wanted)
    missing, changed = looked_at(path.parent, entry.members)
    count = files(len(entry.members))
    if changed:
        message = f"{label}: {files(len(changed))} of {count} changed since they were unpacked"
        return Look("edited", message, path, entry, wanted)
    if missing:
        message = f"{label}: {files(len(missing))} of {count} missing"
        return Look("ours", message, path, entry, wanted)
    if wanted != entry.sha256 or step.strip != entry.strip:
        said = "is to be asked for again" if step.update else "is not what this line names"
        return Look("ours", f"{label} {said}", path, entry, wanted, step.strip == entry.strip)
    return Look("ok", f"{label}: {count} {_there(step)}", path, entry, wanted, True)


def _there(step: FetchStep) -> str:
    if step.update:  # with a hash, or it would be asked for
        return "already there, as --sha256 says; without that, --update asks for a newer one"
    return "already there, nothing to do"
