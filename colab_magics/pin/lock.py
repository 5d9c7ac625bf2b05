"""The lock of a notebook: a ``pylock.toml`` (PEP 751) in a line of text.

``[tool.colab_magics]`` has what the standard lacks: the lines that it was made for, when and where.
"""

from __future__ import annotations

import base64
import gzip
import platform
import re
import sys
import zlib
from dataclasses import dataclass, field
from typing import (
    Any,
    Dict,
    Iterator,
    List,
    Mapping,
    Optional,
    Tuple,
)
from urllib.parse import unquote, urlsplit

from ..core.controls import visible
from ..core.errors import NotebookError
from ..core.host import Host
from ..notebook.locate import Site
from ..notebook.reading import read_stored
from .plan import parse_toml
from .wheels import rank_file

#: The lock of a notebook that wants none.
OFF = "off"

#: Text of more bytes is packed.
_LARGE = 8000
_PACKED = "gzip:"
#: No lock is longer, unpacked.
_MOST = 2_000_000
#: A string of TOML, but for those of several lines, which no lock has.
_STRING = re.compile(r"\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*'")
_SEVERAL_LINES = re.compile("\"{3}|'{3}")
#: What no lock has outside strings: a long line or a long table header. A TOML reader may take time
#: and memory that grow with the square of their length.
_LONG = re.compile(r"[^\n]{200}|^[ \t]*\[[^\n]{64}", re.MULTILINE)

#: A normalized name (PEP 503); a version (PEP 440) without spaces.
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_VERSION = re.compile(r"[A-Za-z0-9.!+_-]+")
_HEX = re.compile(r"[0-9a-f]+")
_WORDS = re.compile(r"[A-Za-z0-9_.: -]+")
#: The most characters of a name, a version, a hash, a marker and the name of a file.
_LONGEST = 255
#: The digits of a hash by algorithm, for those that uv accepts.
_DIGITS = {"md5": 32, "sha256": 64, "sha384": 96, "sha512": 128, "blake2b": 128}


@dataclass(frozen=True)
class Lock:
    """The data of a ``pylock.toml``, each package with one file.

    Every part that is used is checked, whoever wrote it: `NotebookError` otherwise.
    """

    data: Mapping[str, Any] = field(repr=False)

    def __post_init__(self) -> None:
        try:
            _check(self.data)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise _unreadable() from None

    @classmethod
    def decode(cls, text: str) -> Lock:
        """Return the lock of a text from `encode`; `NotebookError` if it is none."""
        try:
            if text.startswith(_PACKED):
                text = _unpack(text[len(_PACKED) :])
            _require(len(text) <= _MOST)
            _require(not _SEVERAL_LINES.search(text), not _LONG.search(_STRING.sub("", text)))
            return cls(parse_toml(text))
        except (ValueError, RecursionError):
            raise _unreadable() from None

    def text(self) -> str:
        """Return the lock as a ``pylock.toml``."""
        import tomli_w

        return tomli_w.dumps(self.data)

    def encode(self) -> str:
        """Return the lock as text for the notebook's metadata, packed if it is large."""
        text = self.text()
        data = text.encode("utf-8")
        if len(data) <= _LARGE:
            return text
        return _PACKED + base64.b64encode(gzip.compress(data, mtime=0)).decode("ascii")

    # ------------------------------------------------------------------ its parts
    @property
    def about(self) -> Mapping[str, Any]:
        """Where and when it was made."""
        return dict(self.data["tool"]["colab_magics"])

    @property
    def lines(self) -> Tuple[str, ...]:
        """The ``%pin`` lines that it was made for."""
        return tuple(self.about["lines"])

    @property
    def packages(self) -> List[Dict[str, Any]]:
        """Its packages, by name."""
        return list(self.data["packages"])

    @property
    def versions(self) -> Dict[str, str]:
        """Canonical name → version, for those that come from an index."""
        return {x["name"]: x["version"] for x in self.packages if files_of(x)}

    def same(self, other: Lock) -> bool:
        """Return whether both have the same packages for the same lines, whenever made."""
        return (self.lines, self.packages) == (other.lines, other.packages)

    def constraints(self, urls: Optional[Mapping[str, str]] = None) -> Iterator[str]:
        """Yield its packages as lines of a constraints file, with hashes.

        A package from a URL only if the lines name that URL too: ``urls``, by canonical name.
        Constraints add nothing that the lines do not ask for: metadata, which nobody reads, cannot
        install another package, or one from elsewhere.
        """
        for package in self.packages:
            name, files = package["name"], files_of(package)
            source = f"{name}=={package['version']}" if files else ""
            if "archive" in package and package["archive"]["url"] == (urls or {}).get(name):
                files, source = [package["archive"]], f"{name} @ {package['archive']['url']}"
            hashes = (pair for file in files for pair in sorted(file["hashes"].items()))
            if source:
                yield source + "".join(f" --hash={kind}:{value}" for kind, value in hashes)

    # ------------------------------------------------------------------ on this machine
    def differs(self, installed: Mapping[str, str]) -> str:
        """Return what is installed in another version (canonical name → version); or empty."""
        locked = self.versions
        other = [
            name for name, version in locked.items() if installed.get(name, version) != version
        ]
        if not other:
            return ""
        name, more = other[0], f" and {len(other) - 1} more" if other[1:] else ""
        return f"{name} {installed[name]} is installed, the lock says {locked[name]}{more}"

    def mismatch(self) -> str:
        """Return why it is not for this Python on this platform; empty if it is."""
        from packaging.markers import Marker

        if all(Marker(text).evaluate() for text in self.data["environments"]):
            wheels = [file for package in self.packages for file in package.get("wheels", ())]
            other = [file_name(file) for file in wheels if rank(file) is None]
            return f"{other[0]} does not fit this machine" if other else ""
        return f"it was made on Python {self.about['python']}, {self.about['platform']}"


def read_lock(host: Host, site: Site) -> Optional[Lock]:
    """Return the lock of the running notebook; None if it has none, or wants none."""
    text = read_stored(host, site, "lock")
    return Lock.decode(text) if text not in (None, OFF) else None


def environment() -> str:
    """Return the marker of this Python and platform, for which a lock made here is."""
    words = {
        "python_version": ".".join(map(str, sys.version_info[:2])),
        "implementation_name": sys.implementation.name,
        "sys_platform": sys.platform,
        "platform_machine": platform.machine(),
    }
    return " and ".join(f"{name} == '{value}'" for name, value in words.items())


def machine() -> str:
    """Return the platform for people: ``linux x86_64``."""
    return f"{sys.platform} {platform.machine()}"


def file_name(file: Mapping[str, Any]) -> str:
    """Return the name of a wheel or sdist (PEP 751): the end of its URL or path."""
    return unquote(urlsplit(file.get("url") or file["path"]).path.rpartition("/")[2])


def rank(file: Mapping[str, Any]) -> Optional[int]:
    """Rank a wheel by its file name, 0 the best; None if it does not fit here."""
    try:
        return rank_file(file_name(file))
    except ValueError:
        return None


def files_of(package: Mapping[str, Any]) -> List[Mapping[str, Any]]:
    """Return the files of an index among which an installer may choose."""
    return [*package.get("wheels", ()), *([package["sdist"]] if "sdist" in package else [])]


def _unpack(text: str) -> str:
    """Return what was packed; `ValueError` if it is none, or longer than any lock."""
    reader = zlib.decompressobj(wbits=31)
    try:
        data = reader.decompress(base64.b64decode(text, validate=True), _MOST)
    except zlib.error:
        raise ValueError from None
    _require(reader.eof)
    return data.decode("utf-8")


def _unreadable() -> NotebookError:
    return NotebookError(
        "The lock in this notebook's metadata cannot be read.",
        "Make it again: %pin lock",
        code="unreadable-lock",
    )


# ---------------------------------------------------------------------- what a lock may contain
# Anybody may have written a notebook's metadata, and parts of it become lines of files in which
# installers read options. Each check raises `ValueError`.
def _check(data: Mapping[str, Any]) -> None:
    from packaging.markers import Marker

    about, packages = data["tool"]["colab_magics"], data["packages"]
    _require(data["lock-version"] == "1.0", isinstance(packages, list))
    _require(*(_matches(_WORDS, about[name]) for name in ("python", "platform", "made")))
    for texts in (about["lines"], data["environments"]):
        _require(isinstance(texts, list), *map(_is_plain, texts))
    for text in data["environments"]:
        _require(len(text) <= _LONGEST)
        Marker(text).evaluate()  # which shows what cannot be compared
    for package in packages:
        check_package(package)
    _require(len({package["name"] for package in packages}) == len(packages))


def check_package(package: Mapping[str, Any]) -> None:
    """Raise `ValueError` unless a package of a lock is valid.

    Its name must be normalized, as uv writes it; version and hashes are required with a file.
    """
    from packaging.version import Version

    _require(_matches(_NAME, package["name"]), isinstance(package.get("wheels", []), list))
    files = files_of(package)
    if files or "version" in package:
        _require(_matches(_VERSION, package["version"]))
        Version(package["version"])
    if "archive" in package:
        _require(_is_plain(package["archive"]["url"]), "://" in package["archive"]["url"])
        files.append(package["archive"])
    for file in files:
        _check_file(file)


def _check_file(file: Mapping[str, Any]) -> None:
    places = [file[key] for key in ("url", "path") if key in file]
    size, hashes = file.get("size", 0), file["hashes"]
    _require(bool(places), *map(_is_plain, places))
    _require(len(file_name(file)) <= _LONGEST, _is_plain(file_name(file)))
    _require(type(size) is int and 0 <= size < 2**63, isinstance(hashes, dict), bool(hashes))
    for kind, value in hashes.items():
        _require(kind in _DIGITS, _matches(_HEX, value), len(value) == _DIGITS[kind])


def _require(*conditions: bool) -> None:
    if not all(conditions):
        raise ValueError


def _matches(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and len(value) <= _LONGEST and bool(pattern.fullmatch(value))


def _is_plain(value: Any) -> bool:
    """Return whether this is a text without invisible characters."""
    return isinstance(value, str) and visible(value, allow="") == value
