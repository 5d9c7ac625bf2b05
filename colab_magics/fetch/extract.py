"""Unpacking an archive into a fresh folder, where nothing can be in the way or be a trap."""

import shutil
from pathlib import Path
from typing import List, Tuple

from ..core.errors import SourceError
from ..core.steps import Progress
from .archive import members
from .member import Budget
from .tree import Tree


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
