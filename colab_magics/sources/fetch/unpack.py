"""Unpacking what a stranger made: nothing outside the folder, nothing half, no bomb.

Everything is written to a folder of our own beside the place first, and nothing is written through
a link. What counts is what is really written, not what the archive says of itself.
"""

import filecmp
import os
import shutil
import time
import zlib
from pathlib import Path
from typing import Dict, Iterator, List, Set, Tuple

from ...display import amount, files
from ...errors import SourceError
from ...steps import Progress
from .archives import DAMAGED, Member, members

__all__ = ["unpack"]

#: More than both is no honest archive: bytes written, and as a multiple of the archive.
_MUCH, _RATIO = 10**9, 200
#: Members, bytes that stay free on the disk, and bytes between two looks at that.
_MOST, _FREE, _LOOK = 1_000_000, 500 * 10**6, 64 * 10**6
_CHUNK = 1 << 18
#: How our folders begin; behind it stands the process that writes there.
_OURS = ".colab-magics-unpacking-"


def unpack(
    archive: Path, into: Path, strip: int, progress: Progress, name: str = ""
) -> List[Tuple[str, int]]:
    """Unpack into a folder, whole or not at all; gives each regular file, and its bytes.

    ``strip`` leading folders are left off. A file that is there stays; where it is another one,
    `SourceError`, as for an archive that is damaged or leads elsewhere.
    """
    name = name or archive.name
    base = into if into.is_dir() else next(one for one in into.parents if one.is_dir())
    _tidy(base)
    ours = base / f"{_OURS}{os.getpid()}"
    try:
        ours.mkdir()
        writer = _Writer(ours / "files", strip, archive.stat().st_size, name, progress)
        for member in members(archive, name, ours / "whole", writer.watch):
            writer.write(member)
        writer.check_links()
        found = sorted(writer.sizes.items())
        _move(ours / "files", into, name)
        return found
    except (*DAMAGED, zlib.error):
        raise SourceError(f"{name} is damaged, or only a part.", "Fetch it again.") from None
    except OSError as error:
        raise SourceError(
            f"{name} cannot be unpacked: {error.strerror or 'damaged'}.",
            "Make room, or name another folder.",
        ) from None
    finally:
        shutil.rmtree(ours, ignore_errors=True)


class _Writer:
    """Writes members below a folder, and keeps count."""

    def __init__(self, root: Path, strip: int, packed: int, name: str, progress: Progress) -> None:
        self.root, self._strip, self._packed, self._name = root, strip, packed, name
        self.sizes: Dict[str, int] = {}
        self._links: Set[str] = set()
        self._count = self._written = self._looked = 0
        self._progress, self._said = progress, 0.0
        root.mkdir()

    def write(self, member: Member) -> None:
        """Write one, if it is what it should be; `SourceError` else."""
        self._count += 1
        if self._count > _MOST:
            raise self._bomb()
        path = self._below(member.name)
        if not path:
            return
        place = self.root / path
        if member.kind == "folder":
            place.mkdir(parents=True, exist_ok=True)
            return
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.is_file() or place.is_symlink():
            place.unlink()  # the last of two counts, as for tar and unzip
        if member.kind == "link":
            self._link(member, place, path)
        elif member.kind == "hard":
            self._fill(self._same(member), place, path)
        elif member.kind == "file":
            self._fill(member, place, path)
        else:
            raise self._refused(member.name, "is a device")

    def watch(self, folder: Path) -> None:
        """See what another program has written so far."""
        self._written = sum(
            os.lstat(os.path.join(where, one)).st_size  # noqa: PTH118
            for where, _, names in os.walk(folder)
            for one in names
        )
        self._account(0)

    def check_links(self) -> None:
        """Each link leads below the folder, also through others."""
        root = os.path.realpath(self.root)
        for path in self._links:
            real = os.path.realpath(self.root / path)
            if real != root and not real.startswith(root + os.sep):
                raise self._refused(path, "is a link that leads out")

    def _below(self, name: str) -> str:
        """Where a member goes; empty where nothing of its path is left."""
        parts = [part for part in name.split("/") if part not in ("", ".")]
        drive = os.name == "nt" and ":" in name
        if name.startswith("/") or ".." in parts or "\0" in name or drive or _windows(name):
            raise self._refused(name, "leads out of the folder")
        parts = parts[self._strip :]
        for end in range(1, len(parts)):
            if "/".join(parts[:end]) in self._links:
                raise self._refused(name, "goes through a link")
        return "/".join(parts)

    def _link(self, member: Member, place: Path, path: str) -> None:
        if member.leads.startswith("/") or _windows(member.leads):
            raise self._refused(member.name, "is a link that leads out")
        place.symlink_to(member.leads)
        self.sizes.pop(path, None)
        self._links.add(path)

    def _same(self, member: Member) -> Member:
        """A hard link as the file that it is, which was written before it."""
        other = self._below(member.leads)
        if other not in self.sizes:
            raise self._refused(member.name, "is a link to what is not there")
        source = self.root / other
        return Member(member.name, "file", source.stat().st_mode, "", lambda: source.open("rb"))

    def _fill(self, member: Member, place: Path, path: str) -> None:
        size = 0
        with member.open() as stream, place.open("wb") as file:
            while True:
                block = stream.read(_CHUNK)
                if not block:
                    break
                file.write(block)
                size += len(block)
                self._account(len(block))
        if member.mode & 0o100:  # of its rights only this one means something here
            place.chmod(place.stat().st_mode | 0o111)
        self.sizes[path] = size
        self._links.discard(path)
        self._account(0)

    def _account(self, size: int) -> None:
        """Count, and stop where it becomes too much."""
        self._written += size
        if self._written > _MUCH and self._written > _RATIO * self._packed:
            raise self._bomb()
        if self._written - self._looked > _LOOK:
            self._looked = self._written
            if shutil.disk_usage(self.root).free < _FREE:
                raise SourceError(
                    f"{self._name} does not fit on this disk.", "Make room, or name another folder."
                )
        now = time.monotonic()
        if now - self._said > 0.2:
            self._said = now
            count = files(len(self.sizes))
            self._progress(f"unpacking {self._name}: {count}, {amount(self._written)}")

    def _bomb(self) -> SourceError:
        return SourceError(
            f"{self._name} becomes far larger than an honest archive; nothing was unpacked.",
            "If you trust it, fetch it without --unpack.",
        )

    def _refused(self, name: str, why: str) -> SourceError:
        return SourceError(
            f"{self._name} holds {name[:80]!r}, which {why}; nothing was unpacked.",
            "Do not trust this archive.",
        )


def _windows(name: str) -> bool:
    r"""``C:\x`` or ``..\x``, which lead out on one system and are odd names on the other."""
    return name[1:3] == ":\\" or name[1:3] == ":/" or "..\\" in name or name.startswith("\\")


def _tidy(base: Path) -> None:
    """Take away what a process that was killed has left."""
    for left in base.glob(f"{_OURS}*"):
        number = left.name[len(_OURS) :]
        if number.isdigit() and (int(number) == os.getpid() or not _runs(int(number))):
            shutil.rmtree(left, ignore_errors=True)


def _runs(pid: int) -> bool:
    if os.name == "nt":  # there a signal of 0 would end it
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _move(root: Path, into: Path, name: str) -> None:
    """Have all that is below one folder below another, where nothing of it may be lost."""
    if not into.is_dir():
        into.parent.mkdir(parents=True, exist_ok=True)
        root.replace(into)
        return
    taken = [path for path in _entries(root) if not _fits(root / path, into / path)]
    if taken:
        some = ", ".join(taken[:3]) + (" and more" if len(taken) > 3 else "")
        raise SourceError(
            f"{name} would overwrite {some}; nothing was unpacked.",
            "Move that away, or name another folder behind the address.",
        )
    for path in _entries(root):
        place = into / path
        if (root / path).is_dir() and not (root / path).is_symlink():
            place.mkdir(exist_ok=True)
        elif not os.path.lexists(place):
            (root / path).replace(place)


def _entries(root: Path) -> Iterator[str]:
    """All below a folder, a folder before what it holds."""
    for where, folders, names in os.walk(root):
        for one in sorted((*folders, *names)):
            yield (Path(where) / one).relative_to(root).as_posix()


def _fits(new: Path, place: Path) -> bool:
    """Whether there is room for it, or it is there already."""
    if not os.path.lexists(place):
        return True
    if new.is_symlink():
        return place.is_symlink() and os.readlink(place) == os.readlink(new)
    if new.is_dir():
        return place.is_dir()
    return place.is_file() and filecmp.cmp(new, place, shallow=False)
