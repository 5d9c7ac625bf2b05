"""Recording a ``%pin`` line so that it means the same on another machine."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, List

from ..core.errors import ColabMagicsError
from ..core.host import Host
from .environment import find, source_of
from .requirements import read_file, requirement

if TYPE_CHECKING:
    from packaging.requirements import Requirement


def is_bare(text: str) -> bool:
    """Return whether a requirement is a name, and perhaps a marker, and nothing else."""
    need = requirement(text)
    return not (need.specifier or need.url or need.extras)


def update_version(old: str, new: str) -> str:
    """Return a recorded requirement with a new version, and the rest as it was.

    The rest is its extras, and that it names a local part such as ``+cu128``.
    """
    was, now = requirement(old), requirement(new)
    if was.url or now.url or not str(now.specifier).startswith("=="):
        return new
    distribution = find(now.name)
    version = str(now.specifier)[2:]
    if distribution is not None and "+" in str(was.specifier):
        version = distribution.version
    return f"{now.name}{_extras(was)}=={version}" + (f"; {now.marker}" if now.marker else "")


def pinned(text: str, newest: bool = False) -> str:
    """Return a bare name with its installed version, without a local part such as ``+cu128``.

    ``newest``: also one with bounds, since the newest version within them was asked for.
    """
    need = requirement(text)
    exact = re.fullmatch(r"==[^*,]+", str(need.specifier)) or " --hash" in text
    distribution = find(need.name)
    if distribution is None or need.url or (need.specifier and (exact or not newest)):
        return text
    source = source_of(distribution)
    version = f" @ {source}" if source else f"=={distribution.version.split('+')[0]}"
    marker = f"{' ' if source else ''}; {need.marker}" if need.marker else ""
    return f"{need.name}{_extras(need)}{version}{marker}"


def _extras(need: Requirement) -> str:
    return f"[{','.join(sorted(need.extras))}]" if need.extras else ""


def expanded(file: str, host: Host) -> List[str]:
    """Return the requirements of a file that is lost with this machine."""
    texts, options = read_file(host.resolve(file))
    if options:
        raise ColabMagicsError(
            f"{file} is lost with this machine, and its option {options[0].split()[0]} cannot be "
            "recorded.",
            "Keep the file on the drive.",
            code="not-recordable",
        )
    return texts


def survives(path: Path, host: Host) -> bool:
    """Return whether a file is there again after a wipe: on a drive, beside the notebook, cloned.

    Beside it is anywhere in the repository that the notebook is in. A clone below its folder is
    not, unless a line of the notebook brings it back.
    """
    above = (path, *path.parents)
    if any(root in path.parents for root in (find_root() for find_root in host.places.values())):
        return True
    folders = (host.start, *host.start.parents)
    repository = next((folder for folder in folders if (folder / ".git").exists()), host.start)
    if repository in above and not host.ephemeral:
        below = above[: above.index(repository)]
        if not any((folder / ".git").exists() for folder in below):
            return True
    return any(folder in above for folder in host.context.clones())
