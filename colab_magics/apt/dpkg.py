"""Read what is installed from dpkg's database, without starting a process."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from ..core.errors import usage_error

#: The database; tests set it to one of their own.
STATUS = Path("/var/lib/dpkg/status")

#: By Debian's policy, so that no option, pattern or path can be meant.
_PACKAGE = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9+.-]+)(:(?P<arch>[a-z0-9][a-z0-9-]*))?(=(?P<version>[\w.+~:*-]+))?"
)
#: Selection (held back counts too), whether a reinstallation is required, and state.
_USABLE = re.compile(r"\w+ ok (installed|triggers-(pending|awaited))")


class Package(NamedTuple):
    """A package as it is typed, or as it is installed."""

    name: str
    arch: str = ""
    version: str = ""

    @classmethod
    def parse(cls, text: str) -> Package:
        """Parse ``name``, ``name:arch`` or ``name=version``; raise ``UsageError`` for all else.

        apt would take a ``-`` at the end of a name for a removal.
        """
        match = _PACKAGE.fullmatch(text)
        if match is None or match["name"].endswith("-") or "*" in (match["version"] or "")[:-1]:
            raise usage_error(
                f"{text!r} is not the name of a package.",
                "For instance: %apt ffmpeg",
                code="package-name",
            )
        return cls(match["name"], match["arch"] or "", match["version"] or "")

    def matches(self, installed: Package) -> bool:
        """Tell whether an installed package is this one; a version may end in ``*``, as for apt.

        Without an architecture the machine's own is meant, as by apt.
        """
        arch = _native_arch() if self.arch in {"", "native"} else self.arch
        if arch not in {"", "any", installed.arch} and installed.arch != "all":
            return False
        if self.version.endswith("*"):
            return installed.version.startswith(self.version[:-1])
        return self.version in {"", installed.version}


def find_installed(names: Sequence[str]) -> Optional[Dict[str, List[Package]]]:
    """Return what is installed under each name, or provides it; None where there is no dpkg."""
    try:
        entries = _read_entries(names)
    except OSError:
        return None
    installed: Dict[str, List[Package]] = {name: [] for name in names}
    provided: Dict[str, List[Package]] = {name: [] for name in names}
    for fields in entries:
        if not _USABLE.fullmatch(fields["status"]):
            continue
        name, arch = fields["package"], fields["architecture"]
        installed.get(name, []).append(Package(name, arch, fields["version"]))
        for entry in filter(None, fields["provides"].split(",")):
            virtual, _, version = entry.strip().partition(" (= ")
            virtual = virtual.partition(":")[0]
            provided.get(virtual, []).append(Package(virtual, arch, version.rstrip(")")))
    return {name: installed[name] or provided[name] for name in names}


def find_half_unpacked() -> List[str]:
    """Return the packages that dpkg was unpacking when it was killed: they need a reinstallation.

    Named with their architecture, unless that is ``all``.
    """
    try:
        entries = _read_entries([" reinstreq "])
    except OSError:
        return []
    return [
        f"{fields['package']}:{fields['architecture']}".replace(":all", "")
        for fields in entries
        if " reinstreq " in fields["status"]
    ]


def _read_entries(words: Sequence[str]) -> List[Dict[str, str]]:
    """Return the fields of each entry that contains one of the words, the newest of a package.

    Newer than the database is dpkg's journal: it is not empty while dpkg works, or was killed.
    """
    texts = STATUS.read_text(encoding="utf-8", errors="replace").split("\n\n")
    journal = sorted(path for path in STATUS.parent.glob("updates/*") if path.name.isdigit())
    texts += [path.read_text(encoding="utf-8", errors="replace") for path in journal]
    newest: Dict[Tuple[str, str], Dict[str, str]] = {}
    for text in texts:
        if any(word in text for word in words):
            fields = _parse_fields(text)
            newest[fields["package"], fields["architecture"]] = fields
    return list(newest.values())


def _parse_fields(stanza: str) -> Dict[str, str]:
    fields = dict.fromkeys(("package", "status", "architecture", "version", "provides"), "")
    for line in stanza.split("\n"):
        name, colon, value = line.partition(": ")
        if colon and name.lower() in fields:
            fields[name.lower()] = value.strip()
    return fields


def _native_arch() -> str:
    """Return the machine's own architecture; empty where it is the only one."""
    try:
        return (STATUS.parent / "arch").read_text(encoding="ascii").split("\n")[0].strip()
    except OSError:
        return ""
