"""What is installed in this interpreter, asked in-process: no program is started."""

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
    Dict,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Set,
    Tuple,
)

from ..core.origin import Origin, read_origin
from .requirements import split_extras

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
        self.entries: List[Entry] = []
        for distribution in metadata.distributions():
            text = head(distribution)
            self.entries.append(Entry(*_named(text), text, distribution))

    def versions(self) -> Dict[str, str]:
        """Return canonical name → version, as Python would find it."""
        found: Dict[str, str] = {}
        for entry in self.entries:
            if entry.name:
                found.setdefault(entry.name, entry.version)
        return found

    def broken(self, among: Optional[AbstractSet[str]] = None) -> Set[str]:
        """Return a text for each need that is not met: ``pandas 2.2.3 needs numpy<2, not 2.1.3``.

        As ``pip check`` does it, in-process: uv and pip install all the same. Needs of extras do
        not count. ``among``: only those that these canonical names have, or that they are to meet.
        """
        here, found = self.versions(), set()
        for entry in self.entries:
            texts = values("Requires-Dist", entry.head) if entry.name else []
            for need in filter(None, map(_need, texts)):
                unmet = _unmet(need, here)
                if unmet and (among is None or {entry.name, canonical_name(need.name)} & among):
                    found.add(f"{values('Name', entry.head)[0]} {entry.version} {unmet}")
        return found


@lru_cache(maxsize=None)
def _need(text: str) -> Optional[Requirement]:
    """A need without extras that applies to this machine."""
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        asked = Requirement(text)
    except InvalidRequirement:  # old metadata; installers pass over it too
        return None
    return None if asked.marker and not asked.marker.evaluate({"extra": ""}) else asked


def _unmet(asked: Requirement, here: Dict[str, str]) -> str:
    found = here.get(canonical_name(asked.name))
    if found is not None and asked.specifier.contains(found, prereleases=True):
        return ""
    wants = f"needs {asked.name}{asked.specifier}"
    return f"{wants}, not {found}" if found else f"{wants}, which is not installed"


def versions() -> Dict[str, str]:
    """Return canonical name → version of everything installed; see `Installed`."""
    return Installed().versions()


def broken(among: Optional[AbstractSet[str]] = None) -> Set[str]:
    """Return a text for each need that is not met; see `Installed`."""
    return Installed().broken(among)


def find(name: str) -> Optional[metadata.Distribution]:
    """The installed distribution of this name, in any spelling."""
    found = _find(name)
    return None if found is None else found[0]


def _find(name: str) -> Optional[Tuple[metadata.Distribution, str]]:
    """The same with its version, which is read with the name."""
    from packaging.utils import canonicalize_name

    wanted = canonicalize_name(name)
    # Older wheels kept dots in their folder's name, which Python 3.8 does not fold.
    for found in chain(metadata.distributions(name=wanted), _by_name(wanted)):
        own, version = _named(head(found))
        if own == wanted:
            return found, version
    return None


def _by_name(wanted: str) -> Iterator[metadata.Distribution]:
    """The distribution that names itself so, whatever its folder is called; read once a change."""
    folders = tuple((entry, _changed(entry)) for entry in sys.path)
    found = _scanned(folders).get(wanted)
    if found is not None:
        yield found


@lru_cache(1)
def _scanned(folders: Tuple[Tuple[str, int], ...]) -> Dict[str, metadata.Distribution]:
    found: Dict[str, metadata.Distribution] = {}
    for entry in Installed().entries:
        found.setdefault(entry.name, entry.distribution)
    return found


def _changed(folder: str) -> int:
    try:
        return Path(folder or ".").stat().st_mtime_ns
    except OSError:
        return 0


def canonical_name(name: str) -> str:
    """A name as names are compared: ``Foo.Bar`` and ``foo_bar`` are ``foo-bar`` (PEP 503)."""
    from packaging.utils import canonicalize_name

    return canonicalize_name(name)


def _named(head: str) -> Tuple[str, str]:
    """The canonical name and the version that a head says; both empty where one is missing."""
    from packaging.utils import canonicalize_name

    both = [values(field, head)[:1] for field in ("Name", "Version")]
    return (canonicalize_name(both[0][0]), both[1][0]) if all(both) else ("", "")


def head(found: metadata.Distribution) -> str:
    """The fields of a METADATA. The standard library also parses its description, each time."""
    text = found.read_text("METADATA")
    if text is not None:
        return _first(text)
    # An egg, if anything. `metadata` of the importlib_metadata package raises where there is none.
    egg = _first(found.read_text("PKG-INFO") or found.read_text("") or "")
    fields = [f"{field}: {said}" for field in ("Name", "Version") for said in values(field, egg)]
    return "\n".join([*fields, *(f"Requires-Dist: {need}" for need in _needed(found, egg))])


def _first(text: str) -> str:
    return re.split(r"\r?\n\r?\n", text, maxsplit=1)[0]


def _needed(found: metadata.Distribution, head: str) -> List[str]:
    return list(found.requires or ()) if head else []


def values(field: str, head: str) -> List[str]:
    """All that a head says of one field."""
    return re.findall(rf"(?m)^{field}: *(.*?)\r?$", head)


def source_of(found: metadata.Distribution) -> Optional[str]:
    """Return the URL at its commit that a distribution was cloned from; None: it was not."""
    origin = read_origin(found)
    return origin.source if origin and origin.vcs else None


def is_editable(folder: Path) -> bool:
    """Whether a distribution is installed from this folder so that edits take effect at once.

    Extras after its name, as in ``.[dev]``, are to hold too.
    """
    bare, extras = split_extras(str(folder))
    folders = (Path(bare), Path(bare).resolve())
    for found in metadata.distributions():
        origin = read_origin(found)
        if origin and origin.editable and origin.folder in folders:
            needs = [need for extra in extras for need in _needs(found, extra)]
            return not any(map(why_not, needs))
    return False


def why_not(asked: Requirement) -> Optional[str]:
    """Why a requirement does not hold here; None where it does.

    Markers that do not apply hold; extras hold when what they need is installed; a URL holds when
    ``direct_url.json`` names it.
    """
    if asked.marker and not asked.marker.evaluate():
        return None
    both = _find(asked.name)
    if both is None:
        return f"{asked.name} is not installed"
    found, version = both
    if asked.url:
        return _other_source(asked, found)
    if not asked.specifier.contains(version, prereleases=True):
        return f"{asked.name} {version} is installed, not {asked.specifier}"
    for extra in sorted(asked.extras):
        for need in _needs(found, extra):
            reason = why_not(need)
            if reason:
                return f"{asked.name}[{extra}]: {reason}"
    return None


def _needs(found: metadata.Distribution, extra: str) -> List[Requirement]:
    """What an extra of a distribution adds to its dependencies, on this machine."""
    from packaging.requirements import Requirement

    needs = []
    for text in found.requires or ():
        need = Requirement(text)
        if need.marker and need.marker.evaluate({"extra": extra}):
            if need.marker.evaluate({"extra": ""}):
                continue
            need.marker = None
            needs.append(need)
    return needs


def _other_source(asked: Requirement, found: metadata.Distribution) -> Optional[str]:
    """Why an installed distribution is not the one at the URL asked for."""
    origin = read_origin(found) or Origin()
    url = re.sub(r"(?<!ssh)://[^/]+@", "://", asked.url or "").split("#")[0]
    if origin.vcs:
        base, at, ref = url.rpartition("@") if "@" in url.split("/")[-1] else (url, "", "")
        same = base == f"{origin.vcs}+{origin.url}" and (
            not at
            or ref in (origin.revision, origin.commit)
            or (len(ref) >= 7 and origin.commit.startswith(ref))
        )
    else:
        same = origin.url == url
    return None if same else f"{asked.name} {found.version} is not from the URL asked for"
