"""Checking file by file what is installed, and removing what an interrupted installer has left.

Source: the database of installed projects (PEP 376, PEP 627). A ``RECORD`` lists every file with
its size. Compiled files may be missing, since anybody may delete them; a line without a size
holds where the file exists; a file that two distributions claim has the size of either.
"""

from __future__ import annotations

import csv
import os
import shutil
import site
import sys
import sysconfig
from contextlib import suppress
from pathlib import Path
from typing import AbstractSet, Dict, Iterable, Iterator, List, Optional, Set, Tuple

from ..core.origin import parse_origin

#: File of a RECORD → its size here, None where it is missing.
Faults = Dict[str, Optional[int]]
#: Canonical name → dist-info folders.
Places = Dict[str, List[Path]]

#: Seconds by which the times of files may lag behind the clock.
_SLACK = 0.05


def _sites() -> List[Path]:
    """Return the folders that installers put packages into."""
    places = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    places += [site.getusersitepackages()] if site.ENABLE_USER_SITE else []
    return [place for place in map(Path, dict.fromkeys(places)) if place.is_dir()]


def infos() -> Iterator[Path]:
    """Iterate over the ``.dist-info`` folders of what is installed."""
    for place in _sites():
        yield from sorted(place.glob("*.dist-info"))


def name_of(info: Path) -> str:
    """Return the canonical name of a distribution; what its METADATA says may be gone."""
    from packaging.utils import canonicalize_name

    return canonicalize_name(info.stem.rpartition("-")[0])


def present() -> Dict[str, str]:
    """Return canonical name → version of what is in the folders that installers put packages into.

    What pip has moved aside, under a name with a ``~``, is not there.
    """
    return {name_of(info): info.stem.rpartition("-")[2] for info in infos() if info.name[0] != "~"}


def origin_files() -> Dict[Path, bytes]:
    """Return the ``direct_url.json`` (PEP 610) of each dist-info folder that has one."""
    files = {}
    for info in infos():
        with suppress(OSError):
            files[info] = (info / "direct_url.json").read_bytes()
    return files


def sources() -> Dict[str, str]:
    """Return canonical name → the URL that it came from, for what is of no index."""
    origins = {
        name_of(info): parse_origin(data.decode("utf-8", "replace"))
        for info, data in origin_files().items()
    }
    return {name: origin.source for name, origin in origins.items() if origin and origin.url}


def _infos_of(names: AbstractSet[str]) -> Places:
    places: Places = {}
    for info in infos():
        if name_of(info) in names:
            places.setdefault(name_of(info), []).append(info)
    return places


def _recorded(info: Path) -> List[Tuple[str, Optional[int]]]:
    """Return the files of a RECORD with their sizes."""
    try:
        with (info / "RECORD").open(newline="", encoding="utf-8", errors="replace") as stream:
            rows = [row for row in csv.reader(stream) if row]
    except OSError:
        return []
    return [(row[0], int(row[2]) if len(row) > 2 and row[2].isdigit() else None) for row in rows]


def _faults(info: Path) -> Faults:
    """Return the files of a dist-info's RECORD that are missing or have another size."""
    rows = _recorded(info)
    if not rows and (info / "RECORD").exists():
        return {f"{info.name}/RECORD": None}  # it was to be written, and lists not even itself
    faults: Faults = {}
    for path, size in rows:
        if path.endswith(".pyc"):
            continue
        try:
            actual = (info.parent / path).stat().st_size
        except OSError:
            faults[path] = None
            continue
        if size is not None and actual != size:
            faults[path] = actual
    if any(actual is not None for actual in faults.values()):
        others = (_recorded(other) for other in info.parent.glob("*.dist-info") if other != info)
        claims = {row for rows in others for row in rows}
        faults = {p: size for p, size in faults.items() if size is None or (p, size) not in claims}
    return faults


def faults(names: Iterable[str]) -> Dict[str, Faults]:
    """Return those of these distributions with faults; what has no RECORD is not judged."""
    result: Dict[str, Faults] = {}
    for name, places in _infos_of({*names}).items():
        lacks = {path: size for info in places for path, size in _faults(info).items()}
        if len({info.parent for info in places}) < len(places):
            lacks[places[0].name] = None  # installed twice in one place
        result.update({name: lacks} if lacks else {})
    return result


def torn(names: AbstractSet[str], since: float, known: bool = True) -> Places:
    """Return those of these distributions that an installer has left in pieces since then.

    What is ``known`` to have been about to change has a RECORD that an installer has finished.
    Files of other sizes are what somebody has edited; that of a cut write is not listed yet.
    """
    pieces = {
        name: [info for info in infos if _is_torn(info, since, known)]
        for name, infos in _infos_of(names).items()
    }
    return {name: infos for name, infos in pieces.items() if infos}


def _is_torn(info: Path, since: float, known: bool) -> bool:
    gone = [path for path, size in _faults(info).items() if not size]
    if not (gone or not (info / "METADATA").exists() or (known and not _is_finished(info))):
        return False
    return any(_is_touched(path, since) for path in (info, *(info.parent / p for p in gone)))


def _is_finished(info: Path) -> bool:
    """Return whether an installer came to write the RECORD, the last thing it does, to its end."""
    with suppress(OSError):
        text = (info / "RECORD").read_text(encoding="utf-8", errors="replace")
        listed = (f"{info.name}/{name}," in text for name in ("INSTALLER", "RECORD"))
        return text.endswith("\n") and all(listed)
    return False


def _is_touched(path: Path, since: float) -> bool:
    """Return whether a path was changed or, where it is gone, deleted since then."""
    for place in (path, *path.parents):
        with suppress(OSError):
            status = place.stat()
            return max(status.st_mtime, status.st_ctime) >= since - _SLACK
    return False


# ---------------------------------------------------------------------- taking away
def remove(places: Places) -> None:
    """Uninstall distributions, as far as they say what is theirs; what others list stays."""
    removed = [info for infos in places.values() for info in infos]
    owned = _owned(removed) if removed else set()
    for info in removed:
        for path, _ in _recorded(info):
            if info.name not in Path(path).parts:  # that goes last: it says what is in pieces
                _remove(Path(os.path.normpath(info.parent / path)), owned)
        shutil.rmtree(info)


def sweep(records: Iterable[Path], since: float) -> None:
    """Delete files that are newer, that these RECORDs list, and that nobody owns."""
    rows = {row for record in records for row, _ in _recorded(record.parent)}
    owned = _owned() if rows else set()
    for place in _sites():
        for path in (Path(os.path.normpath(place / row)) for row in sorted(rows)):
            if path.is_file() and _is_touched(path, since):
                _remove(path, owned)


def discard(names: AbstractSet[str]) -> None:
    """Delete what pip has moved aside of these distributions: its first letter is a ``~``."""
    for place in _sites():
        infos = [*place.glob("*.dist-info")]
        infos = [info for info in infos if name_of(info)[1:] in {name[1:] for name in names}]
        tops = {Path(row).parts[0] for info in infos for row, _ in _recorded(info)}
        for top in {*tops, *(info.name for info in infos)} - {".."}:
            if (place / f"~{top[1:]}").is_dir():
                shutil.rmtree(place / f"~{top[1:]}")


def _owned(without: Iterable[Path] = ()) -> Set[str]:
    """Return every file that an installed distribution lists."""
    owners = [info for info in infos() if info not in without]
    return {os.path.normpath(info.parent / path) for info in owners for path, _ in _recorded(info)}


def _remove(path: Path, owned: Set[str]) -> None:
    """Delete a file of this environment that nobody owns, and folders that it leaves empty."""
    places = [*_sites(), Path(sys.prefix)]
    if str(path) in owned or not any(place in path.parents for place in places):
        return
    with suppress(OSError):
        path.unlink()
        for folder in path.parents:
            if folder in places:
                return
            shutil.rmtree(folder / "__pycache__", ignore_errors=True)
            folder.rmdir()  # fails, and ends this, where it is not empty
