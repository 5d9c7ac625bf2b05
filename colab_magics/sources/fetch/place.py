"""Putting what was fetched in its place, and telling what there is a person's."""

import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, List, Optional

from ...display import amount, files
from ...errors import SourceError
from ...steps import Progress
from .download import Download
from .state import Entry, digest, seen, short
from .step import FetchStep, Target

__all__ = ["Edited", "put", "settled"]

#: In a folder: the files of an archive that a newer one is about to take the place of.
_ASIDE = ".colab-magics-old"


class Edited(Exception):
    """A person has changed what was fetched: it stays, which is no failure."""

    def __init__(self, label: str) -> None:
        super().__init__(
            f"{label} was changed here since it was fetched: left as it is. "
            "To have it as it was, move that away and run this again."
        )


def settled(part: FetchStep, target: Target, old: Optional[Entry], wanted: str) -> str:
    """What to say where nothing has to be fetched; empty where something has.

    `SourceError` where something else is in the place.
    """
    if part.unpack:
        changed = [there for _, there in old.differing()] if old is not None else []
        edited = bool(changed) and all(changed) and not part.update
        return str(Edited(part.label)) if edited and old and old.sha256 == wanted else ""
    if target.file is None or not os.path.lexists(target.file):
        return ""
    if not target.file.is_file():
        raise SourceError(f"{part.label} is there and is no file.", "Name another place.")
    found = digest(target.file)
    if wanted and found == wanted:
        _keep(part, target, target.file, found)
        return f"{part.label}: already there, the same (sha256 {short(found)})"
    if old is not None and found == old.sha256:
        return ""  # ours, as it came
    if old is not None and not part.update:
        return str(Edited(part.label))
    raise _in_the_way(part.label)


def put(
    part: FetchStep, target: Target, old: Optional[Entry], download: Download, progress: Progress
) -> str:
    """Take the part to its place, or unpack it there; what to say of it."""
    if part.unpack:
        return _unpacked(part, target, old, download, progress)
    place = target.file or target.folder / download.name
    if target.file is None and place.exists():
        found = digest(place)
        if found == download.sha256:
            _keep(part, target, place, found)
            return f"{place.name}: already there, the same (sha256 {short(found)})"
        if old is None or found != old.sha256:
            raise _in_the_way(place.name)
    same = old is not None and old.sha256 == download.sha256 and place.exists()
    os.replace(download.part, place)  # noqa: PTH105
    download.taken()
    _keep(part, target, place, download.sha256)
    label = part.label if target.file else place.name
    if same:
        return f"{label}: still the same (sha256 {short(download.sha256)})"
    return f"{label} fetched: {amount(place.stat().st_size)}, sha256 {short(download.sha256)}"


def _unpacked(
    part: FetchStep, target: Target, old: Optional[Entry], download: Download, progress: Progress
) -> str:
    from .unpack import unpack

    label = part.label if part.label != part.urls[0] else download.name
    with _aside(target.folder, old):
        found = unpack(download.part, target.folder, part.strip, progress, download.name)
    names = [name for name, _ in found]
    entry = Entry(str(target.folder), download.name, download.sha256, seen(target.folder, names))
    entry.write(target.key)
    where = f" in {part.dest}" if part.dest else ""
    return (
        f"{label} fetched and unpacked: {files(len(names))} ({amount(entry.size)}){where}, "
        f"sha256 {short(download.sha256)}"
    )


def _keep(part: FetchStep, target: Target, place: Path, sha256: str) -> None:
    """Know it from now on, by the line as it was typed and as it is recorded."""
    entry = Entry(str(place.parent), place.name, sha256, seen(place.parent, [place.name]))
    entry.write(target.key, f"{part.urls[0]}\n{place}\nFalse0")


@contextmanager
def _aside(folder: Path, old: Optional[Entry]) -> Iterator[None]:
    """While another archive is unpacked: without the files of the last one that nobody changed.

    They are back where that fails. One that was killed is fetched again, so that they are not
    needed then.
    """
    aside = folder / _ASIDE
    shutil.rmtree(aside, ignore_errors=True)
    ours: List[str] = []
    if old is not None:
        changed = {name for name, _ in old.differing()}
        ours = [name for name, _, _ in old.files if name not in changed]
    try:
        for name in ours:
            _move(folder / name, aside / name)
        yield
    except BaseException:
        for name in ours:
            if (aside / name).exists():
                _move(aside / name, folder / name)
        raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _move(place: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    place.replace(to)


def _in_the_way(label: str) -> SourceError:
    return SourceError(
        f"{label} is there and is not what would be fetched; it was left alone.",
        "Move it away, or name another place behind the address.",
    )
