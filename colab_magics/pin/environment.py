"""What is installed in this interpreter, read in-process: no program is started."""

from __future__ import annotations

import re
import sys
from functools import lru_cache
from importlib import metadata
from itertools import chain
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    AbstractSet,
    Container,
    Dict,
    FrozenSet,
    Iterable,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Set,
    Tuple,
)

from ..core.origin import Origin, read_origin
from .requirements import project_name, requirement, split_extras

if TYPE_CHECKING:
    from packaging.requirements import Requirement


class Entry(NamedTuple):
    """An installed distribution: canonical name, version, and the fields of its METADATA.

    Name and version are empty for what an interrupted installation has left.
    """

    name: str
    version: str
    head: str
    distribution: metadata.Distribution


class Installed:
    """What is installed in this interpreter at one time, read once, in the order of ``sys.path``.

    Every METADATA is opened for it; so whoever has one hands it on.
    """

    def __init__(self) -> None:
        self.entries = [*map(_entry, metadata.distributions())]

    def versions(self) -> Dict[str, str]:
        """Return canonical name → version, as Python would find it."""
        return {entry.name: entry.version for entry in reversed(self.entries) if entry.name}

    def broken(self, among: Optional[AbstractSet[str]] = None) -> Set[str]:
        """Return a text for each need that is not met: ``pandas 2.2.3 needs numpy<2, not 2.1.3``.

        As ``pip check`` does it, in-process: uv and pip install all the same. Needs of extras do
        not count. ``among``: only those that these canonical names have, or that they are to meet.
        """
        versions, texts = self.versions(), set()
        for entry in self.entries:
            needs = values("Requires-Dist", entry.head) if entry.name else []
            for need in filter(None, map(_need, needs)):
                name = canonical_name(need.name)
                version = versions.get(name)
                if version is not None and need.specifier.contains(version, prereleases=True):
                    continue
                if among is None or {entry.name, name} & among:
                    state = f"not {version}" if version else "which is not installed"
                    shown = f"{values('Name', entry.head)[0]} {entry.version}"
                    texts.add(f"{shown} needs {need.name}{need.specifier}, {state}")
        return texts


@lru_cache(maxsize=None)
def _need(text: str) -> Optional[Requirement]:
    """Return a need without extras that applies to this machine."""
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        need = Requirement(text)
    except InvalidRequirement:  # old metadata; installers pass over it too
        return None
    return None if need.marker and not need.marker.evaluate({"extra": ""}) else need


def versions() -> Dict[str, str]:
    """Return canonical name → version of everything installed; see `Installed`."""
    return Installed().versions()


def find(name: str) -> Optional[metadata.Distribution]:
    """Return the installed distribution of this name, in any spelling."""
    entry = _find(name)
    return entry.distribution if entry else None


def _find(name: str) -> Optional[Entry]:
    canonical = canonical_name(name)
    for entry in map(_entry, metadata.distributions(name=canonical)):
        if entry.name == canonical:
            return entry
    # Older wheels kept dots in their folder's name, which Python 3.8 does not fold.
    return _entries_by_name(tuple((entry, _changed(entry)) for entry in sys.path)).get(canonical)


@lru_cache(maxsize=1)
def _entries_by_name(folders: Tuple[Tuple[str, int], ...]) -> Dict[str, Entry]:
    """Read all names, whatever their folders are called, once after each change of the folders."""
    return {entry.name: entry for entry in reversed(Installed().entries)}


def _changed(folder: str) -> int:
    try:
        return Path(folder or ".").stat().st_mtime_ns
    except OSError:
        return 0


def canonical_name(name: str) -> str:
    """Return a name as names are compared (PEP 503): ``Foo.Bar`` is ``foo-bar``."""
    from packaging.utils import canonicalize_name

    return canonicalize_name(name)


def _entry(distribution: metadata.Distribution) -> Entry:
    text = head(distribution)
    names, versions = values("Name", text), values("Version", text)
    both = (canonical_name(names[0]), versions[0]) if names and versions else ("", "")
    return Entry(*both, text, distribution)


def head(distribution: metadata.Distribution) -> str:
    """Return the fields of a METADATA. The standard library also parses its description."""
    text = distribution.read_text("METADATA")
    if text is not None:
        return _BLANK_LINE.split(text, maxsplit=1)[0]
    # An egg, if anything. `metadata` of the importlib_metadata package raises where there is none.
    text = distribution.read_text("PKG-INFO") or distribution.read_text("") or ""
    egg = _BLANK_LINE.split(text, maxsplit=1)[0]
    needs = distribution.requires or () if egg else ()
    return "\n".join([egg, *(f"Requires-Dist: {need}" for need in needs)])


_BLANK_LINE = re.compile(r"\r?\n\r?\n")


def values(field: str, head: str) -> List[str]:
    """Return all that a head says of one field."""
    return re.findall(rf"(?m)^{field}: *(.*?)\r?$", head)


def source_of(distribution: metadata.Distribution) -> Optional[str]:
    """Return the URL at its commit that a distribution was cloned from; None: it was not."""
    origin = read_origin(distribution)
    return origin.source if origin and origin.vcs else None


def is_editable(folder: Path) -> bool:
    """Return whether a distribution is installed from this folder so that edits take effect.

    Extras after its name, as in ``.[dev]``, are to hold too.
    """
    bare, extras = split_extras(str(folder))
    folders = (Path(bare), Path(bare).resolve())
    for distribution in metadata.distributions():
        origin = read_origin(distribution)
        if origin and origin.editable and origin.folder in folders:
            needs = [need for extra in extras for need in _needs(distribution, extra)]
            return not any(map(why_not, needs))
    return False


def why_not(need: Requirement) -> Optional[str]:
    """Return why a requirement does not hold here; None where it does.

    Markers that do not apply hold; extras hold when what they need is installed; a URL holds when
    ``direct_url.json`` names it.
    """
    if need.marker and not need.marker.evaluate():
        return None
    entry = _find(need.name)
    if entry is None:
        return f"{need.name} is not installed"
    if need.url:
        same = _is_from(need.url, read_origin(entry.distribution) or Origin())
        return None if same else f"{need.name} {entry.version} is not from the URL on the line"
    if not need.specifier.contains(entry.version, prereleases=True):
        wanted = re.sub("^==(?=[^,]*$)", "", str(need.specifier))
        return f"{need.name} {entry.version} is installed; {wanted} wanted"
    for extra in sorted(need.extras):
        for reason in filter(None, map(why_not, _needs(entry.distribution, extra))):
            return f"{need.name}[{extra}]: {reason}"
    return None


class Needs(NamedTuple):
    """All that a line requires: requirements, editable folders, and option lines of files."""

    texts: List[str]
    folders: List[Path]
    lines: List[str]
    #: The canonical names that other lines of the notebook pin, where that matters.
    others: FrozenSet[str] = frozenset()

    @property
    def names(self) -> List[str]:
        """The canonical names of the requirements."""
        return [project_name(text) for text in self.texts]

    def describe(self) -> str:
        """Return that all of it is installed."""
        count = len(self.texts) + len(self.folders)
        if count != 1:
            return f"{count} packages are already installed"
        if self.folders:
            return f"{self.folders[0].name} is already installed"
        name, entry = requirement(self.texts[0]).name, _find(self.names[0])
        if entry is None:  # by its marker
            return f"{name} is not needed on this machine"
        return f"{name} {entry.version} is already installed"

    def unmet(self) -> str:
        """Return why some of it does not hold in this interpreter; empty if all of it does."""
        reasons = (why_not(requirement(text)) for text in self.texts)
        folders = (
            f"{folder.name} is not installed editable"
            for folder in self.folders
            if not is_editable(folder)
        )
        return next(filter(None, chain(reasons, folders)), "")


def with_needs(texts: Iterable[str], without: Container[str] = ()) -> Set[str]:
    """Return the installed distributions that requirements need here, by canonical name.

    Those in ``without`` and what only they need are left out.
    """
    queue: List[Tuple[str, Tuple[str, ...]]] = [(text, ("",)) for text in texts]
    seen: Set[Tuple[str, Tuple[str, ...]]] = set()
    while queue:
        text, extras = queue.pop()
        need = requirement(text)
        if need.marker and not any(need.marker.evaluate({"extra": extra}) for extra in extras):
            continue
        name, extras = canonical_name(need.name), ("", *sorted(need.extras))
        distribution = None if name in without or (name, extras) in seen else find(name)
        if distribution is not None:
            seen.add((name, extras))
            queue += [(text, extras) for text in distribution.requires or ()]
    return {name for name, _ in seen}


def _needs(distribution: metadata.Distribution, extra: str) -> Iterator[Requirement]:
    """Iterate over what an extra of a distribution adds to its dependencies, on this machine."""
    from packaging.requirements import Requirement

    for need in map(Requirement, distribution.requires or ()):
        marker, need.marker = need.marker, None
        if marker and marker.evaluate({"extra": extra}) and not marker.evaluate({"extra": ""}):
            yield need


def _is_from(url: str, origin: Origin) -> bool:
    """Return whether an installed distribution is the one at a URL."""
    url = re.sub(r"(?<!ssh)://[^/]+@", "://", url).split("#")[0]
    if not origin.vcs:
        return origin.url == url
    base, _, ref = url.rpartition("@") if "@" in url.split("/")[-1] else (url, "", "")
    if base != f"{origin.vcs}+{origin.url}":
        return False
    commit = len(ref) >= 7 and origin.commit.startswith(ref)
    return commit or ref in ("", origin.revision, origin.commit)
