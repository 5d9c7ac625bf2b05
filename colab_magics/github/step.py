"""``%github clone`` as a step: a repository in a folder, at a commit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, FrozenSet, List, Optional, Tuple

from ..core.arguments import Parser
from ..core.errors import usage_error
from ..core.host import Host
from ..core.redact import register_secret
from ..core.steps import Outcome, Progress, Step, Verdict
from ..secret.lookup import is_name
from .repository import MOVING, SHA, Repository, at
from .urls import Address, same


@dataclass(frozen=True)
class CloneStep(Step):
    """``commit`` is what was checked out; a line that is typed has none yet."""

    repository: str
    ref: str = ""
    folder: str = ""
    depth: int = 0
    submodules: bool = False
    lfs: bool = False
    token: str = ""
    commit: str = ""
    #: Move on to what the ref is now; said in a line, and not recorded.
    update: bool = False

    word: ClassVar[str] = "github"
    rank: ClassVar[int] = 40

    def arguments(self) -> Tuple[str, ...]:
        """See `Step`."""
        address = f"{self.repository}@{self.ref}" if self.ref else self.repository
        words = ["clone", address, *([self.folder] if self.folder else [])]
        words += ["--depth", str(self.depth)] if self.depth else []
        words += ["--submodules"] if self.submodules else []
        words += ["--lfs"] if self.lfs else []
        words += ["--update"] if self.update else []
        words += ["--token", self.token] if self.token else []
        return (*words, *(("--commit", self.commit) if self.commit else ()))

    @property
    def keys(self) -> FrozenSet[str]:
        """See `Step`: one folder holds one repository."""
        return frozenset({self.folder or self.address.name})

    @property
    def address(self) -> Address:
        """The repository."""
        return Address(self.repository, self.ref)

    @property
    def extras(self) -> FrozenSet[str]:
        """What is to come with the commit, in words."""
        asked = {"submodules": self.submodules, "large files": self.lfs}
        return frozenset(name for name, wanted in asked.items() if wanted)

    def place(self, host: Host) -> Path:
        """Where it is on this host."""
        return host.resolve(self.folder or self.address.name)

    def after(self, old: Step) -> Step:
        """See `Step`: what a line leaves open stays as it was recorded."""
        if not isinstance(old, CloneStep) or old.repository != self.repository:
            return self
        return replace(
            self,
            ref=self.ref or old.ref,
            depth=self.depth or old.depth,
            submodules=self.submodules or old.submodules,
            lfs=self.lfs or old.lfs,
            token=self.token or old.token,
        )

    def check(self, host: Host) -> Verdict:
        """See `Step`: it is there, at the commit; read from its files."""
        place = self.place(host)
        found = at(place)
        if found is None:
            full = place.exists() and (not place.is_dir() or any(place.iterdir()))
            return Verdict("differs", f"{self.label} is no clone" if full else "not cloned")
        if not same(found.origin, self.address.url):
            return Verdict("differs", f"{self.label} is a clone of something else")
        if (found.git / MOVING).exists():
            return Verdict("differs", f"{self.label} was being changed when that was cut off")
        if self.update or not self._meant(found):
            goal = self.commit[:7] or self.ref or "the newest"
            return Verdict("differs", f"at {found.said}, not {goal}")
        lacks = " and ".join(sorted(self.extras - found.brought))
        if lacks:
            return Verdict("differs", f"{self.label} came without its {lacks}")
        return Verdict("ok", f"{self.label}: already at {found.said}")

    def _meant(self, found: Repository) -> bool:
        """Whether a clone is at the commit; where none is recorded, whether it was made so.

        A line that names a branch is not moved by what the branch has become since.
        """
        if self.commit or not found.head:
            return found.head == self.commit
        if not self.ref or found.seen[0] == self.ref:
            return True
        return found.means(self.ref) == found.head

    def apply(self, host: Host, progress: Progress) -> Outcome:
        """Clone it, or move a clone on that nobody has changed."""
        from .clone import brought

        return brought(self, host, progress)

    def recorded(self, host: Host) -> Optional[Step]:
        """See `Step`: with the commit that we checked out, or that the server is known to have.

        A commit of a person's own may be nowhere else yet.
        """
        found = at(self.place(host))
        commit = found.seen[1] or found.published if found is not None else ""
        return replace(self, commit=commit or self.commit, update=False)

    @property
    def label(self) -> str:
        """The folder as people see it."""
        return self.folder or self.address.name


def parse(words: List[str]) -> Optional[CloneStep]:
    """The repository that a line asks for; None for the other commands."""
    if words[:1] != ["clone"]:
        return None
    parser = Parser("%github", usage=_USAGE)
    parser.add_argument("repository")
    parser.add_argument("folder", nargs="?", default="")
    parser.add_argument("--depth", type=int, default=0)
    for flag in ("--submodules", "--lfs", "--update", "--install"):  # the magic installs
        parser.add_argument(flag, action="store_true")
    parser.add_argument("--token", default="")
    parser.add_argument("--commit", default="")
    found = parser.parse_intermixed_args(words[1:])
    address = Address.read(found.repository)
    if found.token and not is_name(found.token):
        register_secret(found.token)
        raise usage_error(
            "%github: --token takes the name of a secret; take the token out of the cell.",
            "Keep it: %secret set GH_TOKEN, then --token GH_TOKEN",
        )
    if found.commit and not SHA.fullmatch(found.commit):
        raise usage_error("%github: --commit takes a whole commit.", "Else write owner/name@COMMIT")
    if found.depth < 0:
        raise usage_error("%github: --depth takes a number above 0.", "Such as: --depth 1")
    named = "" if found.folder == address.name else found.folder
    return CloneStep(
        *address,
        folder=named,
        depth=found.depth,
        submodules=found.submodules,
        lfs=found.lfs,
        token=found.token,
        commit=found.commit,
        update=found.update,
    )


_USAGE = (
    "%github clone OWNER/NAME[@REF] [DIR] [--depth N] [--submodules] [--lfs] [--token SECRET] "
    "[--update] [--install]"
)
