"""What of a ``%pin`` line is kept, so that it means the same on another machine."""

from __future__ import annotations

import re
from pathlib import Path
from typing import List

from ..core.errors import ColabMagicsError
from ..core.host import Host
from .requirements import read_file, requirement


def is_bare(text: str) -> bool:
    """Whether a requirement is a name, and perhaps a marker, and nothing else."""
    asked = requirement(text)
    return not (asked.specifier or asked.url or asked.extras)


def taken_over(old: str, new: str) -> str:
    """The new version in place of the one of a recorded requirement, which keeps the rest.

    The rest is its extras, and that it names a local part such as ``+cu128``.
    """
    from .environment import find

    was, now = requirement(old), requirement(new)
    if was.url or now.url or not str(now.specifier).startswith("=="):
        return new
    found = find(now.name)
    local = found is not None and "+" in str(was.specifier)
    version = found.version if found is not None and local else str(now.specifier)[2:]
    extras = f"[{','.join(sorted(was.extras))}]" if was.extras else ""
    return f"{now.name}{extras}=={version}" + (f"; {now.marker}" if now.marker else "")


def pinned(text: str, newest: bool = False) -> str:
    """A bare name with its installed version, without a local part such as ``+cu128``.

    ``newest``: also one with bounds, since the newest version within them was asked for.
    """
    from .environment import find, source_of

    asked = requirement(text)
    exact = re.fullmatch(r"==[^*,]+", str(asked.specifier)) or " --hash" in text
    if (asked.specifier and (exact or not newest)) or asked.url:
        return text
    found = find(asked.name)
    if found is None:
        return text
    source = source_of(found)
    extras = f"[{','.join(sorted(asked.extras))}]" if asked.extras else ""
    marker = f"; {asked.marker}" if asked.marker else ""
    version = f" @ {source}" if source else f"=={found.version.split('+')[0]}"
    return f"{asked.name}{extras}{version}{' ' if source and marker else ''}{marker}"


def expanded(file: str, host: Host) -> List[str]:
    """The requirements of a file that goes with this machine."""
    inner, options = read_file(host.resolve(file))
    if options:
        raise ColabMagicsError(
            f"{file} goes with this machine, and {options[0].split()[0]} in it "
            "cannot stand in a recorded line.",
            "Keep the file on the drive.",
        )
    return inner


def spelled(path: str, host: Host) -> str:
    """A path as it is recorded: as typed when relative."""
    return path if not Path(path).is_absolute() else host.spell(Path(path))


def survives(path: Path, host: Host) -> bool:
    """Whether a file is there again after a wipe: on a drive, kept beside the notebook, or cloned.

    Beside it is anywhere in the repository that the notebook is in. A clone below its folder is
    not, unless a line of the notebook brings it back.
    """
    for find in host.places.values():
        root = find()
        if root is not None and root in path.parents:
            return True
    places = (host.start, *host.start.parents)
    kept = next((folder for folder in places if (folder / ".git").exists()), host.start)
    above = (path, *path.parents)
    if kept in above and not host.ephemeral:
        below = [folder for folder in above if kept in folder.parents]
        if not any((folder / ".git").exists() for folder in below):
            return True
    return any(folder in above for folder in host.context.clones())
