"""What a ``%fetch`` line asks for, and the state in which it is on this machine."""

from __future__ import annotations

import os
import posixpath
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Callable, Literal, NamedTuple, Tuple, TypeVar

from ..core.display import files
from ..core.host import Host
from ..core.steps import Step
from .cache import Entry, compare, digest, load, save
from .urls import read_url

Spec = TypeVar("Spec", bound="FetchSpec")


@dataclass(frozen=True)
class FetchSpec(Step):
    """One URL. ``sha256`` is that of the fetched file; a line that was typed may have none yet."""

    url: str
    dest: str = ""
    sha256: str = ""
    unpack: bool = False
    strip: int = 0
    token: str = ""
    #: Ask for what the server has now. It is for one run, and not recorded.
    update: bool = False
    #: A folder of the drive that has a copy of the file, for the next machine: ``drive:cache``.
    cache: str = ""

    def label(self, name: str = "") -> str:
        """Return the file as people see it; for an archive, where it would lie."""
        if not self.in_folder and not self.unpack:
            return _normalize(self.dest)
        name = name or self.name
        return _normalize(f"{self.dest}/{name}" if self.dest else name)

    @property
    def name(self) -> str:
        """The name of the file, as far as the URL says."""
        return read_url(self.url).name

    @property
    def several(self) -> bool:
        """Whether the URL stands for a list of files."""
        return read_url(self.url).several

    @property
    def in_folder(self) -> bool:
        """Whether the line names a folder, and not the file itself."""
        last = posixpath.basename(self.dest)
        return not last or last.endswith(":") or last in {".", "..", "~"}

    def spelled(self: Spec, spell: Callable[[str], str]) -> Spec:
        """See `Step`: without a destination it is the folder that the kernel is in."""
        dest = spell(self.dest or ".")
        if self.in_folder and dest[-1] not in ":/":
            dest = "" if dest == "." else f"{dest}/"
        return replace(self, dest=dest)

    def settled(self: Spec, host: Host) -> Spec:
        """Return the step as it is recorded: an existing folder ends in ``/``."""
        dest = self.dest
        if dest and not self.unpack and not self.in_folder:
            with suppress(OSError):  # a name that is too long
                dest += "/" * host.resolve(dest).is_dir()
        return replace(self, dest=dest)

    def place(self, host: Host) -> Path:
        """Return where the file is, or the archive would be, by the name that the URL says."""
        if self.in_folder or self.unpack:
            return host.resolve(self.dest or ".") / self.name
        return host.resolve(self.dest)

    def recorded_file(self: Spec, host: Host) -> Spec:
        """Return `recorded` of a settled step for one file."""
        path, entry = remembered(self, host)
        sha256 = entry.sha256 if entry.url == self.url else ""
        renamed = not self.unpack and path.name != self.place(host).name
        dest = self.label(path.name) if renamed else self.dest
        return replace(self, dest=dest, sha256=sha256 or self.sha256, update=False)


def _normalize(path: str) -> str:
    """Return one spelling of a path: ``./data//x`` is ``data/x``."""
    prefix, colon, rest = path.rpartition(":")
    plain = posixpath.normpath(rest)
    return f"{prefix}:{plain.lstrip('/')}" if colon else plain


# ---------------------------------------------------------------------- the state of a target
Status = Literal["ok", "absent", "ours", "edited", "foreign"]


class Target(NamedTuple):
    """How a target is on this machine; ``ours`` is one of us that is to be fetched anew.

    ``expected`` is the hash that a new file must have; ``complete``: all that was fetched is there.
    """

    status: Status
    message: str
    path: Path
    entry: Entry
    expected: str
    complete: bool


def entry_key(step: FetchSpec, host: Host) -> Path:
    """Return the path that a target is remembered under; what was unpacked has one of its own."""
    place = step.place(host)
    return place / ":unpacked" if step.unpack else place


def remembered(step: FetchSpec, host: Host) -> Tuple[Path, Entry]:
    """Return where a file is, by the name that the server gave it, and what is remembered of it."""
    place, entry = step.place(host), load(entry_key(step, host))
    if step.unpack or not entry.name or entry.name == place.name or entry.url != step.url:
        return place, entry
    place = place.parent / entry.name
    return place, load(place)


def lacks_copy(step: FetchSpec, entry: Entry) -> bool:
    """Tell whether a file that is there may not be in the cache of its line."""
    return bool(step.cache) and (step.update or entry.cached != step.cache)


def listed_steps(step: Spec, host: Host) -> Tuple[Spec, ...]:
    """Return the files that a URL stands for; none if its server was not asked yet."""
    entry = load(entry_key(step, host))
    return tuple(replace(step, url=url) for url in entry.files) if entry.url == step.url else ()


def inspect(step: FetchSpec, host: Host) -> Target:
    """Return the state of a target; a file is hashed only if its size or time has changed."""
    path, entry = remembered(step, host)
    known = entry.sha256 if entry.url == step.url else ""
    expected = step.sha256 or ("" if step.update else known)
    if step.unpack:
        status, message, complete = _inspect_members(step, path, entry, expected)
    else:
        status, message, complete = _inspect_file(step, path, entry, expected)
    label = step.label("" if step.unpack else path.name)
    return Target(status, f"{label}{message}", path, entry, expected, complete)


def read_hash(step: FetchSpec, host: Host) -> str:
    """Return the hash of the file that is there, or of the archive that was unpacked; or empty.

    It is not computed where size and time are those that are remembered.
    """
    path, entry = remembered(step, host)
    if step.unpack:
        return entry.sha256
    try:
        stat = path.stat()
        if not S_ISREG(stat.st_mode):
            return ""
        fresh = bool(entry.sha256) and (stat.st_size, stat.st_mtime_ns) == entry[3:5]
        return entry.sha256 if fresh else digest(path)
    except OSError:
        return ""


def _inspect_file(
    step: FetchSpec, path: Path, entry: Entry, expected: str
) -> Tuple[Status, str, bool]:
    try:
        stat = path.stat()
    except OSError:
        if os.path.islink(path):  # noqa: PTH114 - of a name that is too long too
            return "foreign", " is a link that leads nowhere", False
        return "absent", " is not there", False
    if not S_ISREG(stat.st_mode):
        kind = "folder" if S_ISDIR(stat.st_mode) else "device or a pipe"
        return "foreign", f" is a {kind}", False
    stamp = stat.st_size, stat.st_mtime_ns
    fresh = bool(entry.sha256) and stamp == (entry.size, entry.mtime_ns)
    sha256 = entry.sha256
    if not fresh and (entry.sha256 or step.sha256):
        sha256 = digest(path)
    if sha256 and sha256 == expected:
        if not fresh:
            same = entry.sha256 == sha256
            tag, cached = (entry.tag, entry.cached) if same else ("", "")
            save(path, Entry(step.url, "", sha256, *stamp, tag, cached=cached))
        return "ok", f" {_already(step)}", True
    if not entry.sha256:
        return "foreign", " is there and was not fetched", False
    if sha256 != entry.sha256:
        return "edited", " was changed since it was fetched", False
    return "ours", _outdated(step), True


def _inspect_members(
    step: FetchSpec, path: Path, entry: Entry, expected: str
) -> Tuple[Status, str, bool]:
    if not entry.sha256:
        return "absent", " is not unpacked", False
    missing, changed = compare(path.parent, entry.members)
    count = files(len(entry.members))
    if changed:
        return "edited", f": {files(changed)} of {count} changed since they were unpacked", False
    if missing:
        return "ours", f": {files(missing)} of {count} missing", False
    if expected != entry.sha256 or step.strip != entry.strip:
        return "ours", _outdated(step), step.strip == entry.strip
    return "ok", f": {count} {_already(step)}", True


def _outdated(step: FetchSpec) -> str:
    return " is to be requested again" if step.update else " is not the file that this line names"


def _already(step: FetchSpec) -> str:
    if step.update:  # with a hash, or it would be requested
        return "already there, as --sha256 says; without that, --update asks for a newer one"
    return "already there, nothing to do"
