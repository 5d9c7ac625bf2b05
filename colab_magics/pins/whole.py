"""Whether what is installed is whole, file by file, and taking away what a cut has left.

Source: the database of installed projects (PEP 376, PEP 627). A ``RECORD`` lists every file with
its size. Compiled files may be missing, since anybody may delete them; a line without a size
holds where the file exists; a file that two distributions claim has the size of either.
"""

import csv
import json
import os
import shutil
import site
import sys
import sysconfig
from contextlib import suppress
from pathlib import Path
from typing import Dict, Iterable, Iterator, List, Mapping, Optional, Set, Tuple

__all__ = [
    "Faults",
    "cut",
    "discard",
    "faults",
    "hide",
    "infos",
    "orphans",
    "present",
    "restore",
    "sources",
]

#: File of a RECORD → its size here, None where it is missing.
Faults = Dict[str, Optional[int]]

#: The end of the name of a dist-info folder that is hidden while its package is repaired.
_HIDDEN = ".cut"
#: Seconds by which the times of files may lag behind the clock.
_SLACK = 0.05


def _sites() -> List[Path]:
    """The folders that installers put packages into."""
    places = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    places += [site.getusersitepackages()] if site.ENABLE_USER_SITE else []
    return [place for place in map(Path, dict.fromkeys(places)) if place.is_dir()]


def _infos() -> Iterator[Path]:
    for place in _sites():
        yield from sorted(place.glob("*.dist-info"))


def _name(info: Path) -> str:
    """The canonical name of a distribution; what its METADATA says may be gone."""
    from packaging.utils import canonicalize_name

    return canonicalize_name(info.name[: -len(".dist-info")].rpartition("-")[0])


def _version(info: Path) -> str:
    return info.name[: -len(".dist-info")].rpartition("-")[2]


def present() -> Dict[str, str]:
    """Canonical name → version of what lies in the folders that installers put packages into."""
    return {_name(info): _version(info) for info in _infos() if info.name[0] != "~"}


def sources() -> Dict[str, str]:
    """Canonical name → the URL that it came from (PEP 610), for what came from no index."""
    found = {}
    for info in _infos():
        with suppress(OSError, ValueError, KeyError):
            said = json.loads((info / "direct_url.json").read_text(encoding="utf-8"))
            control = said.get("vcs_info")
            at = f"{control['vcs']}+{said['url']}@{control['commit_id']}" if control else ""
            found[_name(info)] = at or str(said["url"])
    return found


def infos(names: Iterable[str]) -> Dict[str, List[Path]]:
    """Canonical name → the dist-info folders of these distributions."""
    wanted, found = set(names), _named()
    return {name: found[name] for name in found if name in wanted}


def _named() -> Dict[str, List[Path]]:
    found: Dict[str, List[Path]] = {}
    for info in _infos():
        found.setdefault(_name(info), []).append(info)
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
    for name, places in infos(names).items():
        for info in places:
            found.setdefault(name, {}).update(_faults(info))
        if len({info.parent for info in places}) < len(places):
            found[name][places[0].name] = None  # installed twice in one place
    return {name: lacks for name, lacks in found.items() if lacks}


def cut(since: float, before: Mapping[str, str], trusting: bool = False) -> Dict[str, List[Path]]:
    """Canonical name → dist-info folders of what was touched since then and may be in pieces.

    ``before`` are the versions that were there. After a kill nothing that is newer is believed,
    since a RECORD itself may have been cut short; ``trusting``, where the installer has ended by
    itself, what its RECORD says is. What nobody touched since then is left alone.
    """
    return {
        name: places
        for name, places in _named().items()
        if any(_in_pieces(info, since, before, trusting) for info in places)
        or (trusting and name in faults([name]) and any(_touched(p, since) for p in places))
    }


def _in_pieces(info: Path, since: float, before: Mapping[str, str], trusting: bool) -> bool:
    touched = _touched(info, since)
    if info.name.startswith("~"):  # what pip moved aside, to move it back or delete it
        return touched
    if touched or before.get(_name(info)) != _version(info):
        named = all((info / one).exists() for one in ("METADATA", "RECORD"))
        return not trusting or not named or bool(_faults(info))
    gone = [path for path, here in _faults(info).items() if here is None]
    return any(_touched(info.parent / path, since) for path in gone)


def _touched(path: Path, since: float) -> bool:
    """Whether a path was changed or, where it is gone, deleted since then."""
    for place in (path, *path.parents):
        with suppress(OSError):
            found = place.stat()
            return max(found.st_mtime, found.st_ctime) >= since - _SLACK
    return False


# ---------------------------------------------------------------------- taking away
def hide(found: Mapping[str, List[Path]]) -> None:
    """Make damaged distributions look uninstalled, so that any installer puts them back."""
    for infos in found.values():
        for info in infos:
            hidden = info.with_name(f"~~{info.name}{_HIDDEN}")
            shutil.rmtree(hidden, ignore_errors=True)
            info.rename(hidden)


def _hidden() -> Iterator[Path]:
    for place in _sites():
        yield from sorted(place.glob(f"~~*{_HIDDEN}"))


def restore() -> None:
    """Show again what is hidden and could not be put back: its files are still there."""
    for hidden in _hidden():
        shown = hidden.with_name(hidden.name[2 : -len(_HIDDEN)])
        if not shown.exists():
            hidden.rename(shown)


def discard(since: float) -> None:
    """Delete what a cut has left, now that its packages are repaired.

    These are the files of hidden distributions that nobody owns now, and folders that pip has
    moved aside since then.
    """
    hidden = list(_hidden())
    owned = _owned() if hidden else set()
    for info in hidden:
        for path, _ in _recorded(info):
            _remove(Path(os.path.normpath(info.parent / path)), owned)
        shutil.rmtree(info, ignore_errors=True)
    for place in _sites():
        for aside in place.glob("~*"):
            if _touched(aside, since):
                shutil.rmtree(aside) if aside.is_dir() else aside.unlink()


def orphans(since: float) -> None:
    """Delete files that appeared in site-packages since then and that nobody owns.

    Only for an installation that has just failed in this process: later they may be a person's.
    """
    owned = _owned()
    for place in _sites():
        for folder, _, files in os.walk(str(place)):
            for file in files:
                path = Path(folder, file)
                if path.suffix != ".pyc" and path.lstat().st_ctime >= since:
                    _remove(path, owned)


def _owned() -> Set[str]:
    """Every file that an installed distribution lists."""
    return {
        os.path.normpath(info.parent / path) for info in _infos() for path, _ in _recorded(info)
    }


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
