"""Unpacking an archive into a new folder: the one place that decides what is safe to write."""

from __future__ import annotations

import os
import re
import shutil
import time
from pathlib import Path
from typing import Dict, Iterator, List, Set, Tuple

from ..core.display import amount, files
from ..core.errors import SourceError
from ..core.steps import Progress
from .archive import read_members
from .cache import FileStamp, is_folder
from .member import BLOCK, Data, Member, SizeLimit, damage_reported

Parts = Tuple[str, ...]
#: The most members of an archive, and the most parts of a path in it.
MANY, DEEP = 10**6, 100
#: Bytes between two looks at the free space, and how much of it is left to others.
_INTERVAL, _RESERVE = 1 << 24, 5 * 10**8
#: Only a new file is opened: never one that exists, nor what a link leads to.
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
#: What Windows does not allow in a name.
_NOT_WINDOWS = re.compile(r'[<>:"|?*\\\x00-\x1f]|[. ]$|^(con|prn|aux|nul|com\d|lpt\d)(\.|$)', re.I)
#: A path that begins with a drive of Windows; elsewhere ``a:b`` is a plain name.
_DRIVE = re.compile("[A-Za-z]:" if os.name == "nt" else r"[A-Za-z]:[/\\]")
#: Names that git takes for ``.git`` on some system, and whose hooks it would run. Source: its
#: ``is_hfs_dotgit`` (macOS ignores some characters) and ``is_ntfs_dotgit`` (Windows has short
#: names and streams behind a colon, and drops dots and spaces at the end), which its fsck uses.
_GIT = re.compile(r"(?:^|[/\\])(?:\.git|git~1)[. ]*(?:$|[/\\:])", re.I)
_IGNORED = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")


def unpack(
    archive: Path, into: Path, strip: int, progress: Progress, name: str = ""
) -> List[FileStamp]:
    """Unpack an archive into a folder that is made for it, and return its files and links.

    On a `SourceError` nothing is left. The first ``strip`` parts are removed from each path.
    """
    label = name or archive.name
    try:
        into.mkdir(parents=True)
        try:
            tree = Tree(into, strip, SizeLimit(archive, label), progress, label)
            with damage_reported(label):
                for member in read_members(archive, label, tree.check_size):
                    tree.add(member)
            tree.finish()
        except BaseException:
            shutil.rmtree(into, ignore_errors=True)
            raise
    except OSError as error:
        message = f"{label} cannot be unpacked: {error.strerror or type(error).__name__}."
        hint = "Check the folder, and the space on its disk."
        raise SourceError(message, hint, code="archive-not-written") from error
    return sorted(tree.files.values())


class Tree:
    """A new folder that members are written into; `SourceError` for one that is not safe.

    The folder exists and is empty. Every folder in it is made here, and nothing is written below
    a link, so each path leads to the inside.
    """

    def __init__(
        self, folder: Path, strip: int, limit: SizeLimit, progress: Progress, label: str
    ) -> None:
        self._base, self._strip, self._label = f"{folder}{os.sep}", strip, label
        self._limit, self._progress = limit, progress
        self._mask = folder.stat().st_mode & 0o755
        self._folders: Set[Parts] = {()}
        self._members = self._skipped = self._bytes = 0
        self._next_look, self._last_message = 0, time.monotonic()
        #: The files and links by their paths.
        self.files: Dict[str, FileStamp] = {}

    def check_size(self, size: int) -> None:
        """Raise `SourceError` if an archive declares more than may, or can, be unpacked."""
        self._limit.check(size)
        self._check_space(size)

    def add(self, member: Member) -> None:
        """Write one member."""
        parts = self._parts(member.name)[self._strip :]
        if member.kind == "other":
            raise self._refusal(member.name, "which is neither file nor folder")
        self._count_member()
        if member.kind == "folder":
            self._make_folder(parts)
        elif not parts:
            self._skipped += 1
        else:
            if parts[:-1] not in self._folders:
                self._make_folder(parts[:-1])
            try:
                self._write(parts, member)
            except FileExistsError:
                raise self._refusal(member.name, "twice") from None

    def finish(self) -> None:
        """Raise `SourceError` if all paths were too short for ``strip``."""
        if self._skipped and not self.files:
            raise SourceError(
                f"{self._label} has fewer than {self._strip} folders to strip: nothing would "
                "remain.",
                "Use a smaller number with --strip.",
                code="archive-stripped",
            )

    # ------------------------------------------------------------------ what is safe
    def _parts(self, name: str) -> Parts:
        """Return the parts of a path, which must lead down."""
        rooted = name.startswith(("/", "\\")) or _DRIVE.match(name)
        if rooted or (".." in name and ".." in re.split(r"[/\\]", name)) or "\0" in name:
            raise self._refusal(name, "which leads out of the folder")
        parts = tuple([part for part in name.split("/") if part not in ("", ".")])
        if len(parts) > DEEP:
            raise self._refusal(name, "which is too deep")
        if _is_git(name):
            raise self._refusal(name, "from which git would run programs")
        if os.name == "nt" and any(_NOT_WINDOWS.search(part) for part in parts):
            raise self._refusal(name, "which Windows does not allow")
        return parts

    def _make_folder(self, parts: Parts) -> None:
        if parts in self._folders:
            return
        self._make_folder(parts[:-1])
        place = self._base + "/".join(parts)
        try:
            os.mkdir(place)  # noqa: PTH102 - here and below: tens of thousands
        except FileExistsError:  # a folder only where the system takes ``A`` for ``a``
            if not is_folder(Path(place)):
                raise self._refusal("/".join(parts), "both as a folder and as a file") from None
        self._folders.add(parts)
        self._count_member()

    def _write(self, parts: Parts, member: Member) -> None:
        """Write a file or a link at a free place, else `FileExistsError`."""
        path = "/".join(parts)
        place = self._base + path
        if member.kind == "symlink":
            if not _leads_inside(member.target, len(parts) - 1) or _is_git(member.target):
                raise self._refusal(member.name, "a link that leads out of the folder")
            os.symlink(member.target, place)  # noqa: PTH211
            stat = os.lstat(place)
        else:
            data = self._linked(member) if member.kind == "hardlink" else member.data
            stat = self._write_file(place, member, data)
        self.files[path] = FileStamp(path, stat.st_size, stat.st_mtime_ns)

    def _linked(self, member: Member) -> Iterator[bytes]:
        """Yield the content of a hard link; it becomes a copy, so that an edit changes one file."""
        parts = self._parts(member.target)[self._strip :]
        place = Path(self._base, *parts)
        if "/".join(parts) not in self.files or place.is_symlink():
            raise self._refusal(member.name, "a link to what is not in it")
        with place.open("rb") as stream:
            yield from iter(lambda: stream.read(BLOCK), b"")

    def _write_file(self, place: str, member: Member, data: Data) -> os.stat_result:
        # What its owner may, and others as far as they may read what is new here.
        mode = member.mode & self._mask | 0o600 if member.mode else 0o666
        handle = os.open(place, _NEW, mode)
        try:
            for block in data:
                self._count_bytes(len(block))
                while block:  # a disk that gets full takes some of it first
                    block = block[os.write(handle, block) :]
            if member.mtime is not None:
                try:
                    times = (member.mtime, member.mtime)
                    os.utime(handle if os.utime in os.supports_fd else place, times)
                except (OSError, OverflowError, ValueError):
                    pass  # a time that this system does not have
            return os.fstat(handle)
        finally:
            os.close(handle)

    # ------------------------------------------------------------------ how much there is
    def _count_bytes(self, size: int) -> None:
        """Raise `SourceError` if these bytes are too many; say how far it is from time to time."""
        self._bytes += size
        self._limit.check(self._bytes)
        if self._bytes >= self._next_look:
            self._next_look = self._bytes + _INTERVAL
            self._check_space(0)
        if time.monotonic() - self._last_message > 0.2:
            self._last_message = time.monotonic()
            so_far = f"{amount(self._bytes)}, {files(len(self.files))}"
            self._progress(f"unpacking {self._label}: {so_far}")

    def _check_space(self, size: int) -> None:
        disk = shutil.disk_usage(self._base)
        if disk.free - size < min(_RESERVE, disk.total // 20):
            raise SourceError(
                f"The disk has only {amount(disk.free)} free, too little for {self._label}; "
                "none of it was kept.",
                "Free some space, and run it again.",
                code="disk-full",
            )

    def _count_member(self) -> None:
        self._members += 1
        if self._members > MANY:
            message = f"{self._label} holds more than {MANY} files; none of it was kept."
            hint = "If you trust it, unpack it by hand."
            raise SourceError(message, hint, code="archive-too-large")

    def _refusal(self, name: str, reason: str) -> SourceError:
        shown = "".join(char if char.isprintable() else "?" for char in name[:80])
        message = f"{self._label} holds {shown}, {reason}; none of it was kept."
        hint = "Check where the archive comes from. If you trust it, unpack it by hand."
        return SourceError(message, hint, code="archive-unsafe")


def _is_git(path: str) -> bool:
    if path.isascii() and "git" not in path.lower():  # nearly all
        return False
    return bool(_GIT.search(_IGNORED.sub("", path)))


def _leads_inside(target: str, depth: int) -> bool:
    """Tell whether a link in a folder so deep stays inside: it goes up at its beginning only.

    A ``..`` after a name could follow another link, and go up from where that leads. Before any
    name it cannot, since links are in real folders alone.
    """
    if not target or re.search(r"^/|[\\\0]", target) or _DRIVE.match(target):
        return False
    steps = [step for step in target.split("/") if step not in ("", ".")]
    up = next((at for at, step in enumerate(steps) if step != ".."), len(steps))
    return up <= depth and ".." not in steps[up:]
