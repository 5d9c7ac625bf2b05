"""Names that git takes for its own, on some system: what lies there is run by it.

Source: git's ``is_hfs_dotgit`` and ``is_ntfs_dotgit``, by which its fsck judges.
"""

from __future__ import annotations

import re

#: What the file system of macOS does not see in a name.
_UNSEEN = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
#: Windows has short names, streams behind a colon, and drops dots and spaces at the end.
_GIT = re.compile(r"(?:^|[/\\])(?:\.git|git~1)[. ]*(?:$|[/\\:])", re.I)


def is_git(path: str) -> bool:
    """Whether any part of a path is ``.git`` to git."""
    if path.isascii() and "git" not in path.lower():  # nearly all
        return False
    return bool(_GIT.search(_UNSEEN.sub("", path)))
