"""Unpacking an archive into a fresh folder: the one place that decides what is safe to write."""

from __future__ import annotations

import os
import re
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Dict, Iterator, List, Set, Tuple

from ..core.display import amount, files
from ..core.errors import SourceError
from ..core.steps import Progress
from .archive import members
from .cache import is_folder
from .member import Budget, Member
from .names import is_git

Parts = Tuple[str, ...]
#: No archive holds more, and no path in it has more parts.
MANY, DEEP = 10**6, 100
#: Bytes between two looks at the free space, and how much of it is left to others.
_LOOK, _SPARE = 1 << 24, 5 * 10**8
_BLOCK = 1 << 20
#: A new file: nothing that is there is opened, nor is a link followed.
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
#: What Windows does not have in a name.
_ODD = re.compile(r'[<>:"|?*\\\x00-\x1f]|[. ]$|^(con|prn|aux|nul|com\d|lpt\d)(\.|$)', re.I)

#: What leads to another drive: elsewhere ``a:b`` is a name as any.
_DRIVE = re.compile("[A-Za-z]:" if os.name == "nt" else r"[A-Za-z]:[/\\]")


def unpack(
    archive: Path, into: Path, strip: int, progress: Progress, name: str = ""
) -> List[Tuple[str, int]]:
    """Unpack an archive; gives the paths of its files and links, with their sizes.

    The folder is made for it, and is there whole or not at all: else `SourceError`. ``strip``
    leading parts are taken off each path.
    """
    label = name or archive.name
    try:
        into.mkdir(parents=True)
        try:
            tree = Tree(into, strip, Budget(archive, label), progress, label)
            for member in members(archive, label, tree.expect):
                tree.add(member)
            tree.finish()
        except BaseException:
            shutil.rmtree(into, ignore_errors=True)
            raise
    except OSError as error:
        raise SourceError(
            f"{label} cannot be unpacked: {error.strerror or type(error).__name__}.",
            "Check the folder, and the space on its disk.",
        ) from error
    return sorted(tree.files.items())


class Tree:
    """A fresh folder that members are written into; `SourceError` where one is not to be trusted.

    It is there, and empty. Each folder in it was made here, and nothing is written below a link:
    whatever a path leads through is inside. ``strip`` leading parts are taken off each path.
    """

    def __init__(
        self, folder: Path, strip: int, budget: Budget, progress: Progress, label: str
    ) -> None:
        self._base, self._strip, self._label = f"{folder}{os.sep}", strip, label
        self._budget, self._progress = budget, progress
        self._mask = folder.stat().st_mode & 0o755
        self._folders: Set[Parts] = {()}
        self._count = self._written = self._passed = 0
        self._looked, self._said = -_LOOK, time.monotonic()
        #: The files and links by their paths, and their sizes.
        self.files: Dict[str, int] = {}

    def expect(self, size: int) -> None:
        """`SourceError` where what an archive says that it holds is too much already."""
        self._budget.allow(size)
        self._fits(size)

    def add(self, member: Member) -> None:
        """Write one member."""
        parts = self._parts(member.name)[self._strip :]
        if member.kind == "other":
            raise self._refused(member.name, "which is neither file nor folder")
        self._one_more()
        if member.kind == "folder":
            self._folder(parts)
        elif not parts:
            self._passed += 1
        else:
            self._folder(parts[:-1])
            try:
                self._write(parts, member)
            except FileExistsError:
                raise self._refused(member.name, "twice") from None
            self._written += 1

    def finish(self) -> None:
        """`SourceError` where there was something, and nothing is left of it."""
        if self._passed and not self._written:
            raise SourceError(
                f"{self._label} has fewer than {self._strip} folders to strip: nothing is left.",
                "Strip fewer of them.",
            )

    # ------------------------------------------------------------------ what is safe
    def _parts(self, name: str) -> Parts:
        """The parts of a path, which must lead down."""
        rooted = name.startswith(("/", "\\")) or _DRIVE.match(name)
        if rooted or (".." in name and ".." in re.split(r"[/\\]", name)) or "\0" in name:
            raise self._refused(name, "which leads out of the folder")
        parts = tuple([part for part in name.split("/") if part not in ("", ".")])
        if len(parts) > DEEP:
            raise self._refused(name, "which is too deep")
        if is_git(name):
            raise self._refused(name, "which git would run programs of")
        if os.name == "nt" and any(_ODD.search(part) for part in parts):
            raise self._refused(name, "which Windows does not allow")
        return parts

    def _folder(self, parts: Parts) -> None:
        """Make a folder and those above it."""
        if parts in self._folders:
            return
        self._folder(parts[:-1])
        place = self._base + "/".join(parts)
        try:
            os.mkdir(place)  # noqa: PTH102 - here and below: tens of thousands
        except FileExistsError:  # a folder only where the system takes ``A`` for ``a``
            if not is_folder(Path(place)):
                raise self._refused("/".join(parts), "both as a folder and as none") from None
        self._folders.add(parts)
        self._one_more()

    def _write(self, parts: Parts, member: Member) -> None:
        """Write a file or a link where nothing is; `FileExistsError` where something is."""
        path = "/".join(parts)
        place = self._base + path
        if member.kind == "symlink":
            if not _inside(member.target, len(parts) - 1) or is_git(member.target):
                raise self._refused(member.name, "a link that leads out of the folder")
            os.symlink(member.target, place)  # noqa: PTH211
            self.files[path] = os.lstat(place).st_size
            return
        data = self._linked(member) if member.kind == "hardlink" else member.data
        # What its owner may, and others as far as they may read what is new here.
        mode = member.mode & self._mask | 0o600 if member.mode else 0o666
        self.files[path] = self._copy(data, place, mode)
        if member.mtime is not None:
            with suppress(OSError, OverflowError, ValueError):
                os.utime(place, (member.mtime, member.mtime))

    def _linked(self, member: Member) -> Iterator[bytes]:
        """What a hard link holds, to be copied: who edits one file means one file."""
        parts = self._parts(member.target)[self._strip :]
        place = Path(self._base, *parts)
        if "/".join(parts) not in self.files or place.is_symlink():
            raise self._refused(member.name, "a link to what is not in it")
        with place.open("rb") as stream:
            yield from iter(lambda: stream.read(_BLOCK), b"")

    # ------------------------------------------------------------------ how much there is
    def _copy(self, data: Iterator[bytes], place: str, mode: int) -> int:
        """Write a new file; gives its size."""
        size = 0
        handle = os.open(place, _NEW, mode)
        try:
            for block in data:
                size += len(block)
                self._budget.spend(len(block))
                self._look()
                while block:  # a disk that gets full takes some of it first
                    block = block[os.write(handle, block) :]
        finally:
            os.close(handle)
        self._say()
        return size

    def _look(self) -> None:
        """`SourceError` where the disk is nearly full."""
        self._say()
        if self._budget.spent - self._looked < _LOOK:
            return
        self._looked = self._budget.spent
        self._fits(0)

    def _fits(self, size: int) -> None:
        disk = shutil.disk_usage(self._base)
        if disk.free - size < min(_SPARE, disk.total // 20):
            raise SourceError(
                f"The disk has only {amount(disk.free)} left, too little for {self._label}; "
                "nothing of it was kept.",
                "Free some space, and run it again.",
            )

    def _say(self) -> None:
        if time.monotonic() - self._said > 0.2:
            self._said = time.monotonic()
            so_far = f"{amount(self._budget.spent)}, {files(len(self.files))}"
            self._progress(f"unpacking {self._label}: {so_far}")

    def _one_more(self) -> None:
        self._count += 1
        if self._count > MANY:
            raise SourceError(
                f"{self._label} holds more than {MANY} files; nothing of it was kept.",
                "If it is to be trusted, unpack it by hand.",
            )

    def _refused(self, name: str, why: str) -> SourceError:
        shown = "".join(one if one.isprintable() else "?" for one in name[:80])
        return SourceError(
            f"{self._label} holds {shown}, {why}; nothing of it was kept.",
            "Look at where it comes from; if it is to be trusted, unpack it by hand.",
        )


def _inside(target: str, depth: int) -> bool:
    """Whether a link in a folder so deep stays inside: it goes up at its beginning only.

    A ``..`` after a name could follow another link, and go up from where that leads; before any
    name it cannot, since a link stands in real folders alone.
    """
    if not target or re.search(r"^/|[\\\0]", target) or _DRIVE.match(target):
        return False
    steps = [step for step in target.split("/") if step not in ("", ".")]
    up = next((at for at, step in enumerate(steps) if step != ".."), len(steps))
    return up <= depth and ".." not in steps[up:]
