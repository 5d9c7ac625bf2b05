"""A lock as it stands in a notebook: one line of text, read and judged.

Source: PEP 751 (``pylock.toml``). What the standard has no word for is in ``[tool.colab_magics]``:
the lines that it was made for, and when and where.
"""

import base64
import gzip
import platform
import re
import sys
import zlib
from dataclasses import dataclass, field
from typing import Any, Container, Dict, Iterable, Iterator, List, Mapping, Optional, Tuple
from urllib.parse import unquote, urlsplit

from ...errors import ColabMagicsError

__all__ = [
    "OFF",
    "Lock",
    "environment",
    "file_name",
    "files_of",
    "machine",
    "parsed",
    "rank",
    "tag_ranks",
]

#: Stands in the place of a lock in a notebook that wants none.
OFF = "off"

#: Text longer than this is packed, in bytes.
_LARGE = 8000
_PACKED = "gzip:"
#: No lock is longer, unpacked.
_MOST = 50_000_000


@dataclass(frozen=True)
class Lock:
    """The data of a ``pylock.toml``: its packages each with the one file that was taken."""

    data: Mapping[str, Any] = field(repr=False)

    @classmethod
    def decode(cls, text: str) -> "Lock":
        """Read what `encode` gave; `ColabMagicsError` where it is no lock."""
        try:
            if text.startswith(_PACKED):
                packed = base64.b64decode(text[len(_PACKED) :], validate=True)
                text = _unpacked(packed).decode("utf-8")
            found = cls(parsed(text))
            _check(found)
        except (ValueError, OSError, EOFError, KeyError, TypeError, AttributeError):
            raise ColabMagicsError(
                "The lock in this notebook's metadata cannot be read.", "Make it again: %pin lock"
            ) from None
        return found

    def encode(self) -> str:
        """The lock as text for the notebook's metadata; packed where it is large."""
        import tomli_w

        text = tomli_w.dumps(self.data)
        data = text.encode("utf-8")
        if len(data) <= _LARGE:
            return text
        return _PACKED + base64.b64encode(gzip.compress(data, mtime=0)).decode("ascii")

    # ------------------------------------------------------------------ what it says
    @property
    def about(self) -> Mapping[str, Any]:
        """Where and when it was made."""
        found: Mapping[str, Any] = self.data["tool"]["colab_magics"]
        return found

    @property
    def lines(self) -> Tuple[str, ...]:
        """The ``%pin`` lines that it was made for."""
        return tuple(map(str, self.about["lines"]))

    @property
    def packages(self) -> List[Dict[str, Any]]:
        """Its packages, by name."""
        return list(self.data["packages"])

    @property
    def versions(self) -> Dict[str, str]:
        """Canonical name → version, for those that come from an index."""
        return {one["name"]: one["version"] for one in self.packages if files_of(one)}

    def same(self, other: "Lock") -> bool:
        """Whether both name the same set for the same lines, whenever they were made."""
        return (self.lines, self.packages) == (other.lines, other.packages)

    def constraints(self, urls: Container[str] = ()) -> Iterator[str]:
        """Its packages as the lines of a constraints file, each with its hash.

        Those from a URL, only where the lines name it too: ``urls``.

        Constraints let in nothing that the lines themselves do not ask for: what nobody reads in
        the metadata cannot install another package, or one from elsewhere.
        """
        for one in self.packages:
            if "archive" in one and one["archive"]["url"] in urls:
                pairs = _hashes(one["archive"])
                yield f"{one['name']} @ {one['archive']['url']}" + "".join(_written(pairs))
            elif files_of(one):
                pairs = [pair for file in files_of(one) for pair in _hashes(file)]
                yield f"{one['name']}=={one['version']}" + "".join(_written(pairs))

    # ------------------------------------------------------------------ on this machine
    def differs(self, here: Mapping[str, str]) -> str:
        """What is installed (``here``: canonical name → version) in another version; or empty."""
        locked = self.versions
        other = [name for name, version in locked.items() if here.get(name, version) != version]
        if not other:
            return ""
        name, more = other[0], f" and {len(other) - 1} more" if other[1:] else ""
        return f"{name} {here[name]} is installed, the lock says {locked[name]}{more}"

    def unfit(self) -> str:
        """Why it is not for this Python on this platform; empty where it is."""
        from packaging.markers import Marker

        if all(Marker(text).evaluate() for text in self.data["environments"]):
            ranks = tag_ranks()
            wheels = [file for one in self.packages for file in one.get("wheels", ())]
            other = [file_name(file) for file in wheels if rank(file, ranks) is None]
            return f"{other[0]} does not fit this machine" if other else ""
        return f"it was made on Python {self.about['python']}, {self.about['platform']}"


def environment() -> str:
    """The marker that says for which Pythons and platforms a lock made here is."""
    words = {
        "python_version": ".".join(map(str, sys.version_info[:2])),
        "implementation_name": sys.implementation.name,
        "sys_platform": sys.platform,
        "platform_machine": platform.machine(),
    }
    return " and ".join(f"{name} == '{value}'" for name, value in words.items())


def machine() -> str:
    """The platform for people: ``linux x86_64``."""
    return f"{sys.platform} {platform.machine()}"


def tag_ranks() -> Dict[Any, int]:
    """The wheel tags that this interpreter takes → their rank, 0 the best."""
    from packaging.tags import sys_tags

    return {tag: rank for rank, tag in reversed(list(enumerate(sys_tags())))}


def file_name(file: Mapping[str, Any]) -> str:
    """The name of a wheel or sdist, as PEP 751 says it: the end of its URL or path."""
    return unquote(urlsplit(file.get("url") or file["path"]).path.rpartition("/")[2])


def rank(file: Mapping[str, Any], ranks: Mapping[Any, int]) -> Optional[int]:
    """The rank of a wheel by its file name; None where it does not fit."""
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    try:
        tags = parse_wheel_filename(file_name(file))[3]
    except InvalidWheelFilename:
        return None
    return min((ranks[tag] for tag in tags if tag in ranks), default=None)


def files_of(package: Mapping[str, Any]) -> List[Mapping[str, Any]]:
    """The files of an index among which an installer may choose."""
    return [*package.get("wheels", ()), *([package["sdist"]] if "sdist" in package else [])]


def _hashes(file: Mapping[str, Any]) -> List[Tuple[str, str]]:
    return sorted((str(kind), str(value)) for kind, value in file["hashes"].items())


def _written(hashes: Iterable[Tuple[str, str]]) -> List[str]:
    return [f" --hash={kind}:{value}" for kind, value in hashes]


def _unpacked(data: bytes) -> bytes:
    """What was packed; `ValueError` where it is none, or more than any lock is."""
    reader = zlib.decompressobj(wbits=31)
    try:
        found = reader.decompress(data, _MOST)
    except zlib.error:
        raise ValueError from None
    if not reader.eof:
        raise ValueError
    return found


def _check(lock: Lock) -> None:
    """`ValueError` where a part that becomes a line of a file, or code, is not what it has to be.

    Anybody may have written the metadata of a notebook.
    """
    from packaging.markers import InvalidMarker, Marker
    from packaging.version import Version

    words = [str(lock.about[word]) for word in ("python", "platform", "made")]
    words += [one["name"] for one in lock.packages]
    files = [file for one in lock.packages for file in (*files_of(one), one.get("archive")) if file]
    words += [word for file in files for pair in _hashes(file) for word in pair]
    if not all(re.fullmatch(r"[\w.: -]+", word) for word in [*words, *lock.versions]):
        raise ValueError
    for version in lock.versions.values():
        Version(version)
    try:
        [Marker(text) for text in lock.data["environments"]]
    except InvalidMarker:
        raise ValueError from None
    if not all(isinstance(line, str) for line in lock.about["lines"]):
        raise ValueError


def parsed(text: str) -> Dict[str, Any]:
    """TOML as Python's own reader, or the one that it came from, reads it."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    found: Dict[str, Any] = tomllib.loads(text)
    return found
