"""``%pin`` as a step: requirements that hold, are installed, and are recorded."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, FrozenSet, List, Mapping, Optional, Sequence, Tuple

from ..arguments import Parser
from ..errors import ColabMagicsError, InstallFailed, RestartRequired, usage_error
from ..host import Host
from ..steps import Outcome, Progress, Step, Verdict
from .install import KERNEL
from .requirements import carries_secret, key, normal, read_file, requirement

if TYPE_CHECKING:
    from .loaded import Stale

__all__ = ["PinStep", "parse"]


@dataclass(frozen=True)
class PinStep(Step):
    """Requirements as they were written, and requirements files by their recorded paths."""

    requirements: Tuple[str, ...] = ()
    files: Tuple[str, ...] = ()

    word: ClassVar[str] = "pin"
    rank: ClassVar[int] = 50

    def arguments(self) -> Tuple[str, ...]:
        """See `Step`."""
        return (*self.requirements, *(w for file in self.files for w in ("-r", file)))

    @property
    def keys(self) -> FrozenSet[str]:
        """See `Step`."""
        return frozenset([*map(key, self.requirements), *(f"-r {file}" for file in self.files)])

    def parts(self) -> Sequence[Step]:
        """One step for each requirement and each file."""
        return (
            *(PinStep(requirements=(text,)) for text in self.requirements),
            *(PinStep(files=(file,)) for file in self.files),
        )

    def joined(self, other: Step) -> Optional[Step]:
        """Requirements of the same key in their places, the others at the end."""
        if not isinstance(other, PinStep):
            return None
        new = {key(text): text for text in other.requirements}
        kept = tuple(_later(text, new.pop(key(text), text)) for text in self.requirements)
        files = tuple(dict.fromkeys((*self.files, *other.files)))
        return PinStep((*kept, *new.values()), files)

    def without(self, keys: FrozenSet[str]) -> Optional[Step]:
        """See `Step`; a name with a marker is another key."""
        left = PinStep(
            tuple(text for text in self.requirements if key(text) not in keys),
            tuple(file for file in self.files if f"-r {file}" not in keys),
        )
        return left if left.requirements or left.files else None

    # ------------------------------------------------------------------ on this machine
    def check(self, host: Host) -> Verdict:
        """See `Step`; asked in-process, no program is started."""
        from .installed import why_not
        from .loaded import stale

        asked, _ = self._all(host)
        for text in asked:
            reason = why_not(requirement(text))
            if reason:
                return Verdict("differs", reason)
        if stale(map(_name, asked)):
            return Verdict("differs", "installed, but an older version is loaded: restart")
        many = f"{len(asked)} pins already hold" if len(asked) != 1 else "1 pin already holds"
        return Verdict("ok", f"{many}, nothing to do")

    def apply(self, host: Host, progress: Progress) -> Outcome:
        """Install what differs; what is loaded in an older version asks for a restart."""
        from .install import install, summary
        from .installed import why_not
        from .loaded import mark, owned, stale

        self.recorded(host)  # what cannot be recorded is refused before anything is installed
        asked, options = self._all(host)
        changes, before, message = {}, {}, "installed already"
        if any(why_not(requirement(text)) for text in asked):
            progress("installing " + ", ".join(requirement(text).name for text in asked[:5]))
            before = owned()
            changes = install(asked, options, progress)
            message = summary(changes, asked) if changes else "installed from the URL asked for"
        for text in asked:
            reason = why_not(requirement(text))
            if reason:
                raise InstallFailed(
                    f"Installed, and still: {reason}.", "Another copy on sys.path hides it."
                )
        names = [_name(text) for text in asked]
        mark(changes, names, before)
        behind = stale(names)
        return Outcome(
            "applied", message, self.recorded(host), error=_restart(behind) if behind else None
        )

    def recorded(self, host: Host) -> Optional[Step]:
        """Bare names with the version that is installed; files that a wipe takes, expanded."""
        texts = [_pinned(text) for text in self.requirements]
        files: List[str] = []
        for file in self.files:
            path = host.resolve(file)
            if _survives(path, host):
                files.append(file if not Path(file).is_absolute() else host.spell(path))
                continue
            inner, options = read_file(path)
            if options:
                raise ColabMagicsError(
                    f"{file} goes with this machine, and {options[0].split()[0]} in it "
                    "cannot stand in a recorded line.",
                    "Keep the file on the drive.",
                )
            texts += [_pinned(text) for text in inner]
        # Another machine's kernel runs on versions of its own, which nothing may change there.
        texts = [text for text in texts if _name(text) not in KERNEL]
        step = replace(self, requirements=tuple(texts), files=tuple(files))
        if not step.arguments() or any(carries_secret(text) for text in texts):
            return None
        return step

    def _all(self, host: Host) -> Tuple[List[str], List[str]]:
        """Every requirement, those of files too, and the option lines of the files."""
        texts, options = list(self.requirements), []
        for file in self.files:
            inner, lines = read_file(host.resolve(file))
            texts += inner
            options += lines
        return texts, options


def _name(text: str) -> str:
    return key(text).split(";")[0]


def _later(old: str, new: str) -> str:
    """The requirement that stands from now on: a bare name takes no version back."""
    asked = requirement(new)
    return new if asked.specifier or asked.url or asked.extras else old


def _pinned(text: str) -> str:
    """A bare name with its installed version, without a local part such as ``+cu128``."""
    from .installed import find, source_of

    asked = requirement(text)
    found = find(asked.name)
    if asked.specifier or asked.url or found is None:
        return text
    source = source_of(found)
    extras = f"[{','.join(sorted(asked.extras))}]" if asked.extras else ""
    marker = f"; {asked.marker}" if asked.marker else ""
    version = f" @ {source}" if source else f"=={found.version.split('+')[0]}"
    return f"{asked.name}{extras}{version}{' ' if source and marker else ''}{marker}"


def _survives(path: Path, host: Host) -> bool:
    """Whether a file is there again after a wipe: on a drive, or kept beside the notebook.

    Beside it is anywhere in the repository that the notebook is in. A clone below its folder is
    not: nothing recorded brings that back.
    """
    for find in host.places.values():
        root = find()
        if root is not None and root in path.parents:
            return True
    places = (host.start, *host.start.parents)
    kept = next((folder for folder in places if (folder / ".git").exists()), host.start)
    if kept not in path.parents or host.ephemeral:
        return False
    below = [folder for folder in path.parents if kept in folder.parents]
    return not any((folder / ".git").exists() for folder in below)


def _restart(stale: Mapping[str, "Stale"]) -> RestartRequired:
    takes = "takes effect after a restart"
    named = [f"{n} {v}; {f'{v.new} {takes}' if v.new else 'it is gone'}" for n, v in stale.items()]
    error = RestartRequired(
        f"{', '.join(named)}.", "Restart the kernel, then run the setup cell, or this one, again."
    )
    error.packages = tuple(stale)
    error.reason = ", ".join(f"{name} {v.old} -> {v.new}" for name, v in stale.items())
    return error


def parse(words: List[str]) -> Optional[PinStep]:
    """The pins that a line asks for; None for a line that asks for nothing."""
    parser = Parser("%pin", usage="%pin REQUIREMENT... [-r FILE]")
    parser.add_argument("requirements", nargs="*")
    parser.add_argument("-r", "--requirement", dest="files", action="append", default=[])
    found = parser.parse_intermixed_args(words)
    for text in found.requirements:  # typed with spaces around the operator
        if text in {"==", "=", ">=", "<=", "~=", "!=", "<", ">", "@"} or text[:1] in {*"=<>~!"}:
            raise usage_error(f"%pin: a space before {text}.", "Write numpy==2.1.3 without spaces.")
    texts = {key(text): text for text in map(normal, found.requirements)}
    if not texts and not found.files:
        return None
    return PinStep(tuple(texts.values()), tuple(dict.fromkeys(found.files)))
