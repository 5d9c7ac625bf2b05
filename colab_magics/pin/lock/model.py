"""A lock as it stands in a notebook: one line of text, read and judged.

Source: PEP 751 (``pylock.toml``). What the standard has no word for is in ``[tool.colab_magics]``:
the lines that it was made for, and when and where.
"""

from __future__ import annotations

import base64
import gzip
import platform
import re
import sys
import zlib
from dataclasses import dataclass, field
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional, Tuple
from urllib.parse import unquote, urlsplit

from ...core.controls import visible
from ...core.errors import NotebookError
from ..wheels import rank_file

#: Stands in the place of a lock in a notebook that wants none.
OFF = "off"

#: Text longer than this is packed, in bytes.
_LARGE = 8000
_PACKED = "gzip:"
#: No lock is longer, unpacked.
_MOST = 2_000_000
#: A string of TOML, but for those of several lines, which no lock has.
_STRING = re.compile(r"\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*'")
_SEVERAL_LINES = re.compile("\"{3}|'{3}")
#: What no lock has beside strings: a long line, a long head of a table. The time and memory that a
#: reader of TOML takes may grow with the square of their length.
_LONG = re.compile(r"[^\n]{200}|^[ \t]*\[[^\n]{64}", re.MULTILINE)

#: A normalized name (PEP 503), which is a name by PEP 508; a version by PEP 440, without spaces.
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_VERSION = re.compile(r"[A-Za-z0-9.!+_-]+")
_HEX = re.compile(r"[0-9a-f]+")
_WORDS = re.compile(r"[A-Za-z0-9_.: -]+")
#: Characters of a name, a version, a hash, a marker and the name of a file, at most.
_LONGEST = 255
#: The digits of a hash, for each algorithm that uv takes.
_DIGITS = {"md5": 32, "sha256": 64, "sha384": 96, "sha512": 128, "blake2b": 128}


@dataclass(frozen=True)
class Lock:
    """The data of a ``pylock.toml``: its packages each with the one file that was taken.

    Every part that is used is of its grammar, whoever wrote it: `NotebookError` otherwise.
    """

    data: Mapping[str, Any] = field(repr=False)

    def __post_init__(self) -> None:
        try:
            _check(self.data)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise _unreadable() from None

    @classmethod
    def decode(cls, text: str) -> Lock:
        """Read what `encode` gave; `NotebookError` where it is no lock."""
        try:
            if text.startswith(_PACKED):
                packed = base64.b64decode(text[len(_PACKED) :], validate=True)
                text = _unpacked(packed).decode("utf-8")
            if len(text) > _MOST or _SEVERAL_LINES.search(text):
                raise ValueError
            if _LONG.search(_STRING.sub("", text)):
                raise ValueError
            data = parsed(text)
        except (ValueError, RecursionError):
            raise _unreadable() from None
        return cls(data)

    def text(self) -> str:
        """The lock as a ``pylock.toml``."""
        import tomli_w

        return tomli_w.dumps(self.data)

    def encode(self) -> str:
        """The lock as text for the notebook's metadata; packed where it is large."""
        text = self.text()
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
        return tuple(self.about["lines"])

    @property
    def packages(self) -> List[Dict[str, Any]]:
        """Its packages, by name."""
        return list(self.data["packages"])

    @property
    def versions(self) -> Dict[str, str]:
        """Canonical name → version, for those that come from an index."""
        return {one["name"]: one["version"] for one in self.packages if files_of(one)}

    def same(self, other: Lock) -> bool:
        """Whether both name the same set for the same lines, whenever they were made."""
        return (self.lines, self.packages) == (other.lines, other.packages)

    def constraints(self, urls: Optional[Mapping[str, str]] = None) -> Iterator[str]:
        """Its packages as the lines of a constraints file, each with its hash.

        Those from a URL, only where the lines name it too: ``urls``, by canonical name.

        Constraints let in nothing that the lines themselves do not ask for: what nobody reads in
        the metadata cannot install another package, or one from elsewhere.
        """
        for one in self.packages:
            if "archive" in one and one["archive"]["url"] == (urls or {}).get(one["name"]):
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
            wheels = [file for one in self.packages for file in one.get("wheels", ())]
            other = [file_name(file) for file in wheels if rank(file) is None]
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


def file_name(file: Mapping[str, Any]) -> str:
    """The name of a wheel or sdist, as PEP 751 says it: the end of its URL or path."""
    return unquote(urlsplit(file.get("url") or file["path"]).path.rpartition("/")[2])


def rank(file: Mapping[str, Any]) -> Optional[int]:
    """Rank a wheel by its file name, 0 the best; None where it does not fit here."""
    try:
        return rank_file(file_name(file))
    except ValueError:
        return None


def files_of(package: Mapping[str, Any]) -> List[Mapping[str, Any]]:
    """The files of an index among which an installer may choose."""
    return [*package.get("wheels", ()), *([package["sdist"]] if "sdist" in package else [])]


def _hashes(file: Mapping[str, Any]) -> List[Tuple[str, str]]:
    return sorted(file["hashes"].items())


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


def _unreadable() -> NotebookError:
    return NotebookError(
        "The lock in this notebook's metadata cannot be read.", "Make it again: %pin lock"
    )


# ---------------------------------------------------------------------- what a lock may hold
def _check(data: Mapping[str, Any]) -> None:
    """`ValueError` where a part that is used is not what it has to be.

    Anybody may have written the metadata of a notebook, and parts of it become lines of files
    for installers, which read options there.
    """
    from packaging.markers import Marker

    about, packages = data["tool"]["colab_magics"], data["packages"]
    _demand(data["lock-version"] == "1.0", isinstance(packages, list))
    _demand(*(_is_word(about[name]) for name in ("python", "platform", "made")))
    for texts in (about["lines"], data["environments"]):
        _demand(isinstance(texts, list), *map(_is_plain, texts))
    for text in data["environments"]:
        _demand(len(text) <= _LONGEST)
        Marker(text).evaluate()  # what cannot be compared shows only now
    for package in packages:
        check_package(package)
    _demand(len({package["name"] for package in packages}) == len(packages))


def check_package(package: Mapping[str, Any]) -> None:
    """`ValueError` where a package of a lock is not what it has to be.

    Its name has the one spelling that uv and PEP 751 write; a version and hashes are needed only
    where a file is named.
    """
    from packaging.version import Version

    _demand(_matches(_NAME, package["name"]), isinstance(package.get("wheels", []), list))
    files = files_of(package)
    if files or "version" in package:
        _demand(_matches(_VERSION, package["version"]))
        Version(package["version"])
    if "archive" in package:
        _demand(_is_plain(package["archive"]["url"]), "://" in package["archive"]["url"])
        files.append(package["archive"])
    for file in files:
        _check_file(file)


def _check_file(file: Mapping[str, Any]) -> None:
    places = [file[key] for key in ("url", "path") if key in file]
    size, hashes = file.get("size", 0), file["hashes"]
    _demand(bool(places), *map(_is_plain, places))
    _demand(len(file_name(file)) <= _LONGEST, _is_plain(file_name(file)))
    _demand(type(size) is int and 0 <= size < 2**63)
    _demand(isinstance(hashes, dict), bool(hashes))
    for kind, value in hashes.items():
        _demand(kind in _DIGITS, _matches(_HEX, value), len(value) == _DIGITS[kind])


def _demand(*conditions: bool) -> None:
    if not all(conditions):
        raise ValueError


def _matches(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and len(value) <= _LONGEST and bool(pattern.fullmatch(value))


def _is_word(value: Any) -> bool:
    return _matches(_WORDS, value)


def _is_plain(value: Any) -> bool:
    """Whether it is a text without anything that people do not see."""
    return isinstance(value, str) and visible(value, keep="") == value


def parsed(text: str) -> Dict[str, Any]:
    """TOML as Python's own reader, or the one that it came from, reads it."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    found: Dict[str, Any] = tomllib.loads(text)
    return found
