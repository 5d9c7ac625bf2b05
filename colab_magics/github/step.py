"""``%github clone`` as a step: a repository in a folder, at a commit; and the magic's arguments."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Callable, ClassVar, FrozenSet, List, Optional, Sequence, Tuple

from ..core.arguments import Parser
from ..core.effects import Effects, contact, join, write
from ..core.errors import SourceError, usage_error
from ..core.host import Host
from ..core.steps import Change, Outcome, Progress, Step, Verdict
from ..secret.lookup import check_name
from .address import Address, is_same
from .clone import CloneSpec, clone_or_update
from .git import read_remote
from .repository import MOVING, SHA, SHORT_SHA, Repository, open_repository
from .target import REPOSITORY, check_branch, check_path

#: Seconds that a server may take to name a commit.
_REMOTE = 5.0


@dataclass(frozen=True)
class CloneStep(CloneSpec):
    """A clone, with the commit that was checked out."""

    word: ClassVar[str] = "github"
    rank: ClassVar[int] = 40
    compare_ends: ClassVar[bool] = True

    def arguments(self) -> Tuple[str, ...]:
        """See `Step`."""
        address = f"{self.repository}@{self.ref}" if self.ref else self.repository
        words = ["clone", address, *([self.folder] if self.folder else [])]
        words += ["--depth", str(self.depth)] if self.depth else []
        flags = {"submodules": self.submodules, "lfs": self.lfs, "update": self.update}
        words += [f"--{name}" for name, is_set in flags.items() if is_set]
        words += ["--token", self.token] if self.token else []
        return (*words, *(("--commit", self.commit) if self.commit else ()))

    @property
    def keys(self) -> FrozenSet[str]:
        """See `Step`: one folder contains one repository."""
        return frozenset({self.label})

    def spelled(self, spell: Callable[[str], str]) -> CloneStep:
        """See `Step`: a repository's own name is not repeated."""
        folder = spell(self.label)
        return replace(self, folder="" if folder == self.address.name else folder)

    def replacing(self, old: Step) -> Step:
        """See `Step`: what a line leaves open stays as it was recorded."""
        if not isinstance(old, CloneStep) or old.repository != self.repository:
            return self
        names = ("ref", "depth", "submodules", "lfs", "token")
        return replace(self, **{name: getattr(self, name) or getattr(old, name) for name in names})

    def check(self, host: Host) -> Verdict:
        """See `Step`: it is there, at the commit; read from its files."""
        place = self.place(host)
        repository = open_repository(place)
        if repository is None:
            occupied = place.exists() and (not place.is_dir() or any(place.iterdir()))
            return Verdict("differs", f"{self.label} is not a clone" if occupied else "not cloned")
        if not is_same(repository.origin, self.address.url):
            return Verdict("differs", f"{self.label} is a clone of something else")
        if (repository.git / MOVING).exists():
            return Verdict("differs", f"an update of {self.label} was interrupted")
        if self.update or not self._is_current(repository):
            goal = self.commit[:7] or self.ref or "the newest"
            return Verdict("differs", f"at {repository.label}; {goal} wanted")
        lacks = " and ".join(sorted(self.extras - repository.record[2]))
        if lacks:
            return Verdict("differs", f"{self.label} was cloned without its {lacks}")
        return Verdict("ok", f"{self.label}: already at {repository.label}")

    def _is_current(self, repository: Repository) -> bool:
        """Tell whether a clone is at the commit; without a recorded one, whether we cloned it so.

        A line that names a branch is not moved by what the branch has become since.
        """
        if self.commit or not repository.head:
            return repository.head == self.commit
        is_ours = not self.ref or repository.record[0] == self.ref
        return is_ours or repository.resolve(self.ref) == repository.head

    def compare(self, host: Host, comment: str) -> Sequence[Change]:
        """See `Step`: the commit that the branch or tag is on its server now.

        A check logs in nowhere: the notebook, which may be a stranger's, names the server.
        """
        name = f"{self.repository}@{self.ref}" if self.ref else self.repository
        if not self.commit or SHORT_SHA.fullmatch(self.ref):
            return ()
        if self.token or self.address.scheme in ("", "ssh"):
            note = "it takes a login, and a check logs in nowhere"
            return (Change("upstream", name, self.commit, "", "unknown", note),)
        try:
            now = read_remote(self.address, _REMOTE)
        except SourceError as error:
            return (Change("upstream", name, self.commit, "", "unknown", error.message),)
        note = "" if now == self.commit else "to take it: add --update to the line"
        return (Change.of("upstream", name, self.commit, now, note),)

    def effects(self, host: Host) -> Effects:
        """See `Step`."""
        asks = contact(self.address.url, filter(None, [self.token]))
        return join([asks, write(host, lambda: self.place(host), self.label)])

    def apply(self, host: Host, progress: Progress) -> Outcome:
        """Clone it, or move a clone that nobody has changed."""
        return clone_or_update(self, host, progress)

    def recorded(self, host: Host) -> Step:
        """Return the step with the commit that we checked out, or that the server is known to have.

        A person's own commit may be nowhere else yet.
        """
        repository = open_repository(self.place(host))
        commit = repository.record[1] or repository.published if repository is not None else ""
        return replace(self, commit=commit or self.commit, update=False)


@lru_cache(maxsize=1)  # a line is parsed several times
def parser() -> Parser:
    """Return the arguments of ``%github``."""
    tree = Parser("%github")
    clone = tree.add_command("clone", "Clone a repository, and remember it with its commit.")
    clone.add_argument("repository", type=Address.parse, help="OWNER/NAME[@REF], or a git URL")
    clone.add_argument("folder", nargs="?", default="")
    clone.add_argument(
        "--depth", type=_check_depth, default=0, metavar="N", help="only the last N commits"
    )
    clone.add_argument("--submodules", action="store_true", help="with submodules")
    clone.add_argument("--lfs", action="store_true", help="with the large files of git-lfs")
    clone.add_argument("--update", action="store_true", help="move to what the ref is now")
    clone.add_argument("--install", action="store_true", help="and %%pin -e the folder")
    clone.add_argument(
        "--commit", type=_check_commit, default="", metavar="SHA", help="as it is recorded"
    )
    save = tree.add_command("save", "Save this notebook, and files of its folder, to GitHub.")
    save.add_argument("words", nargs="*", metavar="OWNER/REPO|FILE")
    save.add_argument("--message", "-m", default="", metavar="TEXT", help="of the commit")
    save.add_argument("--pr", action="store_true", help="as a pull request")
    save.add_argument("--gist", action="store_true", help="to a secret gist")
    save.add_argument("--strip", action="store_true", help="without outputs")
    open_ = tree.add_command("open", "Fetch a notebook; no other file is overwritten.")
    open_.add_argument("url", help="an address on GitHub, or OWNER/REPO/PATH.ipynb[@REF]")
    open_.add_argument("path", nargs="?", default="")
    badge = tree.add_command("badge", "Make the badges that open this notebook elsewhere.")
    badge.add_argument(
        "repository", nargs="?", default="", metavar="OWNER/REPO", type=_check_repository
    )
    badge.add_argument("--commit", action="store_true", help="the present commit of the branch")
    for command, text in ((save, "created if it is missing"), (badge, "without it, as saved")):
        command.add_argument("--branch", default="", type=check_branch, help=text)
        command.add_argument("--path", default="", type=check_path, help="in the repository")
    for command in tree.commands.values():
        command.add_argument(
            "--token", type=check_name, default="", metavar="NAME", help="a secret with a token"
        )
    return tree


def _check_repository(text: str) -> str:
    if text and not REPOSITORY.fullmatch(text):
        raise usage_error(f"%github: {text} is not OWNER/REPO.", "Check it.", code="repository")
    return text


def _check_commit(text: str) -> str:
    if text and not SHA.fullmatch(text):
        hint = "Otherwise write owner/name@COMMIT."
        raise usage_error("%github: --commit takes a full commit.", hint, code="commit")
    return text


def _check_depth(text: str) -> int:
    if not text.isdecimal():
        hint = "For instance: --depth 1"
        raise usage_error("%github: --depth takes a number of commits.", hint, code="depth")
    return int(text)


def parse(words: List[str]) -> Optional[CloneStep]:
    """Return the clone that a line asks for; None for the other commands."""
    command, arguments = parser().parse_words(words)
    if command != "clone":
        return None
    values = {name: value for name, value in vars(arguments).items() if name != "install"}
    address = values.pop("repository")
    if values["folder"] == address.name:
        values["folder"] = ""
    return CloneStep(address.repository, address.ref, **values)
