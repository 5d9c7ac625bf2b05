"""What a clone on disk is, read from its files: no process is started.

Source: git's documentation, "gitrepository-layout" and "git-pack-refs".
"""

import configparser
import re
from pathlib import Path
from typing import FrozenSet, NamedTuple, Optional, Tuple

__all__ = ["MOVING", "SEEN", "SHA", "SOME", "Repository", "at"]

#: In the git directory: the ref and the commit that we checked out last, and what came with it.
SEEN = "colab-magics"
#: There while the work tree is being changed.
MOVING = "colab-magics-moving"

SHA = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
SOME = re.compile(r"[0-9a-f]{7,64}")


class Repository(NamedTuple):
    """A work tree with its git directory."""

    folder: Path
    git: Path

    @property
    def head(self) -> str:
        """The commit that is checked out; empty where there is none yet."""
        text = self._text("HEAD")
        return self._ref(text[5:].strip()) if text.startswith("ref: ") else text.strip()

    @property
    def branch(self) -> str:
        """The branch that is checked out; empty where HEAD is detached."""
        text = self._text("HEAD")
        return text[5:].strip().replace("refs/heads/", "", 1) if text.startswith("ref: ") else ""

    @property
    def origin(self) -> Optional[str]:
        """The URL of ``origin``."""
        parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
        try:
            parser.read_string(re.sub(r"(?m)^\s+", "", self._text("config")))
        except configparser.Error:
            return None
        return parser.get('remote "origin"', "url", fallback=None)

    @property
    def said(self) -> str:
        """The commit for people: ``1a2b3c4 (main)``."""
        short = self.head[:7] or "no commit"
        return f"{short} ({self.branch})" if self.branch else short

    @property
    def seen(self) -> Tuple[str, str]:
        """The ref and the commit that we checked out last; empty where we never did."""
        ref, commit = [*self._text(SEEN).splitlines(), "", ""][:2]
        return ref, commit

    @property
    def brought(self) -> FrozenSet[str]:
        """What came with the commit that we checked out last: see `CloneStep.extras`."""
        return frozenset(self._text(SEEN).splitlines()[2:])

    @property
    def published(self) -> str:
        """The commit that is checked out, if it is where a branch of the server was seen."""
        head = self.head
        known = [self._ref(f"refs/remotes/origin/{name}") for name in (self.branch, "HEAD") if name]
        return head if head in known else ""

    def means(self, ref: str) -> str:
        """The commit that a ref was when it was last fetched; empty where it is not known here."""
        head = self.head
        if SOME.fullmatch(ref) and head.startswith(ref):
            return head
        places = (f"refs/tags/{ref}", f"refs/remotes/origin/{ref}")
        return next((found for found in map(self._ref, places) if found), "")

    def _ref(self, name: str) -> str:
        """The commit of a ref; an annotated tag's own, which ``packed-refs`` names beside it."""
        text = self._text(name).strip()
        if SHA.fullmatch(text):
            return text
        lines = self._text("packed-refs").splitlines()
        for at_line, line in enumerate(lines):
            if line.endswith(f" {name}"):
                peeled = "".join(lines[at_line + 1 : at_line + 2])
                return peeled[1:] if peeled.startswith("^") else line.split()[0]
        return ""

    def _text(self, name: str) -> str:
        try:
            return (self.git / name).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""


def at(folder: Path) -> Optional[Repository]:
    """The clone that a folder is the top of; None where it is none."""
    git = folder / ".git"
    if git.is_dir():
        return Repository(folder, git)
    try:
        text = git.read_text(encoding="utf-8")  # a work tree, or a submodule
    except (OSError, UnicodeDecodeError):
        return None
    return Repository(folder, folder / text[8:].strip()) if text.startswith("gitdir: ") else None
