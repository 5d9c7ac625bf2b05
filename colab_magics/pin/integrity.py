"""Whether what is installed is whole, file by file, and taking away what a cut has left.

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
    """The folders that installers put packages into."""
    places = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    places += [site.getusersitepackages()] if site.ENABLE_USER_SITE else []
    return [place for place in map(Path, dict.fromkeys(places)) if place.is_dir()]


def infos() -> Iterator[Path]:
    """The ``.dist-info`` folders of what is installed."""
    for place in _sites():
        yield from sorted(place.glob("*.dist-info"))


def name_of(info: Path) -> str:
    """The canonical name of a distribution; what its METADATA says may be gone."""
    from packaging.utils import canonicalize_name

    return canonicalize_name(info.name[: -len(".dist-info")].rpartition("-")[0])


def _version(info: Path) -> str:
    return info.name[: -len(".dist-info")].rpartition("-")[2]


def present() -> Dict[str, str]:
    """Canonical name → version of what lies in the folders that installers put packages into."""
    return {name_of(info): _version(info) for info in infos() if info.name[0] != "~"}


def sources() -> Dict[str, str]:
    """Canonical name → the URL that it came from (PEP 610), for what came from no index."""
    found = {}
    for info in infos():
        with suppress(OSError, UnicodeError):
            origin = parse_origin((info / "direct_url.json").read_text(encoding="utf-8"))
            if origin and origin.url:
                found[name_of(info)] = origin.source
    return found


def _named() -> Dict[str, List[Path]]:
    found: Dict[str, List[Path]] = {}
    for info in infos():
        found.setdefault(name_of(info), []).append(info)
    return found


def _recorded(info: Path) -> List[Tuple[str, Optional[int]]]:
    """The files of a RECORD with their sizes."""
    try:
        record = info / "RECORD"
        with record.open(newline="", encoding="utf-8", errors="replace") as stream:
            rows = [row for row in csv.reader(stream) if row]
    except OSError:
        return []
    return [(row[0], int(row[2]) if len(row) > 2 and row[2].isdigit() else None) for row in rows]


def _faults(info: Path) -> Faults:
    """The files of a dist-info's RECORD that are missing or have another size."""
    rows = _recorded(info)
    found: Faults = {}
    if not rows and (info / "RECORD").exists():
        return {f"{info.name}/RECORD": None}  # it was to be written, and lists not even itself
    for path, size in rows:
        if path.endswith(".pyc"):
            continue
        try:
            here = (info.parent / path).stat().st_size
        except OSError:
            found[path] = None
            continue
        if size is not None and here != size:
            found[path] = here
    if any(here is not None for here in found.values()):
        others = [_recorded(one) for one in info.parent.glob("*.dist-info") if one != info]
        claims = {row for rows in others for row in rows}
        found = {p: here for p, here in found.items() if here is None or (p, here) not in claims}
    return found


def faults(names: Iterable[str]) -> Dict[str, Faults]:
    """Those of these distributions that are not whole; what has no RECORD is not judged."""
    found: Dict[str, Faults] = {}
    named = _named()
    for name, places in ((name, named[name]) for name in {*names} & named.keys()):
        for info in places:
            found.setdefault(name, {}).update(_faults(info))
        if len({info.parent for info in places}) < len(places):
            found[name][places[0].name] = None  # installed twice in one place
    return {name: lacks for name, lacks in found.items() if lacks}


def torn(names: AbstractSet[str], since: float, known: bool = True) -> Places:
    """Those of these distributions that an installer has left in pieces, touched since then.

    What is ``known`` to have been about to change has a RECORD that an installer has finished.
    Files of other sizes are what somebody has edited; that of a cut write is not listed yet.
    """
    return {
        name: places
        for name, infos in _named().items()
        for places in [[info for info in infos if _in_pieces(info, since, known)]]
        if name in names and places
    }


def _in_pieces(info: Path, since: float, known: bool) -> bool:
    gone = [path for path, here in _faults(info).items() if not here]
    if not (gone or not (info / "METADATA").exists() or (known and not _finished(info))):
        return False
    return any(_touched(path, since) for path in (info, *(info.parent / path for path in gone)))


def _finished(info: Path) -> bool:
    """Whether an installer came to write the RECORD, the last thing it does, to its end."""
    with suppress(OSError):
        text = (info / "RECORD").read_text(encoding="utf-8", errors="replace")
        listed = (f"{info.name}/{name}," in text for name in ("INSTALLER", "RECORD"))
        return text.endswith("\n") and all(listed)
    return False


def _touched(path: Path, since: float) -> bool:
    """Whether a path was changed or, where it is gone, deleted since then."""
    for place in (path, *path.parents):
        with suppress(OSError):
            found = place.stat()
            return max(found.st_mtime, found.st_ctime) >= since - _SLACK
    return False


# ---------------------------------------------------------------------- taking away
def remove(found: Places) -> None:
    """Uninstall distributions, as far as they say what is theirs; what others list stays."""
    infos = [info for places in found.values() for info in places]
    owned = _owned(infos) if infos else set()
    for info in infos:
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
            if path.is_file() and _touched(path, since):
                _remove(path, owned)


def discard(names: AbstractSet[str]) -> None:
    """Delete what pip has moved aside of these distributions: its first letter is a ``~``."""
    for place in _sites():
        infos = [*place.glob("*.dist-info")]
        those = [info for info in infos if any(name_of(info)[1:] == name[1:] for name in names)]
        rows = (row for info in those for row, _ in _recorded(info))
        tops = {Path(row).parts[0] for row in rows} | {info.name for info in those}
        for aside in (place / f"~{top[1:]}" for top in tops if top != ".."):
            if aside.is_dir():
                shutil.rmtree(aside)


def _owned(without: Iterable[Path] = ()) -> Set[str]:
    """Every file that an installed distribution lists."""
    left = [info for info in infos() if info not in without]
    return {os.path.normpath(info.parent / path) for info in left for path, _ in _recorded(info)}


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
