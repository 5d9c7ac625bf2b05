"""What dpkg's database says is installed: read from its file, no process is started."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

#: The database; tests set it to one of their own.
STATUS = Path("/var/lib/dpkg/status")

#: By Debian's policy, so that no option, pattern or path can be meant.
_WANTED = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9+.-]+)(:(?P<arch>[a-z0-9][a-z0-9-]*))?(=(?P<version>[\w.+~:*-]+))?"
)
#: What was wanted, whether it needs to be installed again, its state; held back counts like others.
_USABLE = re.compile(r"\w+ ok (installed|triggers-(pending|awaited))")


class Package(NamedTuple):
    """A package as it was asked for, or as it is installed."""

    name: str
    arch: str = ""
    version: str = ""

    def holds(self, found: Package) -> bool:
        """Whether an installed package is this one; a version may end in a ``*``, as for apt.

        Without an architecture the machine's own is meant, as by apt.
        """
        arch = _native() if self.arch in {"", "native"} else self.arch
        if arch not in {"", "any", found.arch} and found.arch != "all":
            return False
        if self.version.endswith("*"):
            return found.version.startswith(self.version[:-1])
        return self.version in {"", found.version}


def wanted(text: str) -> Optional[Package]:
    """``name``, ``name:arch``, ``name=version`` taken apart; None where it is no such thing.

    apt would take a ``-`` at the end of a name for a removal.
    """
    found = _WANTED.fullmatch(text)
    if found is None or found.group("name").endswith("-") or "*" in (found["version"] or "")[:-1]:
        return None
    return Package(found.group("name"), found.group("arch") or "", found.group("version") or "")


def installed(names: Sequence[str]) -> Optional[Dict[str, List[Package]]]:
    """What is installed of these names, or provides them; None where dpkg is not at home."""
    try:
        entries = _entries(names)
    except OSError:
        return None
    found: Dict[str, List[Package]] = {name: [] for name in names}
    provided: Dict[str, List[Package]] = {name: [] for name in names}
    for fields in entries:
        if not _USABLE.fullmatch(fields["status"]):
            continue
        one = Package(fields["package"], fields["architecture"], fields["version"])
        if one.name in found:
            found[one.name].append(one)
        for name, version in _provided(fields["provides"]).items():
            if name in provided:
                provided[name].append(Package(name, one.arch, version))
    return {name: found[name] or provided[name] for name in names}


def half_unpacked() -> List[str]:
    """What dpkg was cut off at while it unpacked: it is whole only when installed once more.

    Named with its architecture, unless it is for all.
    """
    try:
        entries = _entries([" reinstreq "])
    except OSError:
        return []
    broken = [fields for fields in entries if " reinstreq " in fields["status"]]
    return [
        one["package"]
        if one["architecture"] == "all"
        else f"{one['package']}:{one['architecture']}"
        for one in broken
    ]


def _entries(words: Sequence[str]) -> List[Dict[str, str]]:
    """The fields of each entry that holds one of these words, as dpkg has noted it last."""
    texts = STATUS.read_text(encoding="utf-8", errors="replace").split("\n\n")
    texts += [file.read_text(encoding="utf-8", errors="replace") for file in _journal()]
    last: Dict[Tuple[str, str], Dict[str, str]] = {}
    for text in texts:
        if any(word in text for word in words):
            fields = _fields(text)
            last[fields["package"], fields["architecture"]] = fields
    return list(last.values())


def _journal() -> List[Path]:
    """What dpkg has noted since it last wrote its database: where it is at work, or was cut off."""
    folder = STATUS.parent / "updates"
    if not folder.is_dir():
        return []
    return sorted(file for file in folder.iterdir() if file.name.isdigit())


def _native() -> str:
    """The machine's own architecture where there are others too; empty where it is the only one."""
    try:
        return (STATUS.parent / "arch").read_text(encoding="ascii").split("\n")[0].strip()
    except OSError:
        return ""


def _fields(stanza: str) -> Dict[str, str]:
    """The fields of a stanza that are asked for here."""
    fields = dict.fromkeys(("package", "status", "architecture", "version", "provides"), "")
    for line in stanza.split("\n"):
        name, colon, value = line.partition(": ")
        if colon and name.lower() in fields:
            fields[name.lower()] = value.strip()
    return fields


def _provided(text: str) -> Dict[str, str]:
    """Each virtual name of a ``Provides`` field, and its version where it has one."""
    found: Dict[str, str] = {}
    for entry in filter(None, text.split(",")):
        name, _, version = entry.strip().partition(" (= ")
        found[name.partition(":")[0]] = version.rstrip(")")
    return found
