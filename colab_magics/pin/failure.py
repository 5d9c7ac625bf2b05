"""Why an installation failed: what uv and pip print, read into a code, fields and a message.

Nothing else reads the sentences of installers. Each pattern is of a whole statement; what matches
none is shown in the installer's own words, under the code ``install-failed``.
"""

from __future__ import annotations

import errno
import re
import sys
from typing import Callable, Collection, Dict, Optional, Sequence, Tuple

from ..core.day import python_of
from ..core.errors import InstallFailed
from .environment import canonical_name, versions, why_not
from .environments.interpreters import elsewhere, platform
from .requirements import requirement
from .slips import find_package

_PACKAGE, _VERSION = r"(?P<package>[A-Za-z\d][\w.-]*(?<=\w))", r"(?P<version>[\w.!+-]*\w)"
_NUMBER = r"(?:\(os error |\[Errno )(?:%s|%s)[)\]]"

#: Code → the statement of an installer, of uv first. The first one that is there counts.
_STATEMENTS: Tuple[Tuple[str, str], ...] = (
    ("disk-full", _NUMBER % (errno.ENOSPC, errno.EDQUOT)),
    ("build-failed", "Failed to build |Failed building wheel|metadata-generation-failed"),
    ("not-writable", _NUMBER % (errno.EACCES, errno.EROFS)),
    ("externally-managed", "is externally managed|externally-managed-environment"),
    ("hash-mismatch", f"[Hh]ash mismatch for `?{_PACKAGE}"),
    ("hash-mismatch", "DO NOT MATCH THE HASHES"),
    ("no-upload-times", r"Index (?P<url>\S+?/(?P<package>[\w.-]+)/?) does not provide upload-time"),
    ("index-login", r"index URL \((?P<url>\S+)\) could not be queried due to a lack of valid"),
    ("index-login", r"401 Error, Credentials not correct for (?P<url>\S+)"),
    ("index-unreachable", r"error sending request for url \((?P<url>[^)]+)\)"),
    ("index-unreachable", r"HTTP status server error \([^)]*\) for url \((?P<url>[^)]+)\)"),
    ("index-unreachable", "after connection broken by"),
    ("no-such-package", f"{_PACKAGE} was not found in the (?:package registry|provided package)"),
    (
        "no-build",
        f"{_PACKAGE}=={_VERSION} has no (?:usable )?wheels\\b.* you require (?P=package)\\b"
        r"(?:.*following (?P<kind>.+? tags?): (?P<tags>[^:]+))?",
    ),
    (
        "no-build",
        rf"does not satisfy Python(?P<python>\S+) and {_PACKAGE}=={_VERSION} depends on Python"
        r".* you require (?P=package)\b",
    ),
    (
        "no-build",
        rf"[:;] {_VERSION} Requires-Python (?P<python>[^;]+?)(?:;.*)? Could not find a "
        rf"version that satisfies the requirement {_PACKAGE}==(?P=version)(?= )",
    ),
    (
        "no-such-version",
        rf"there (?:is|are) no versions? of {_PACKAGE}(?P<specifier>[<>=!~]\S*)? and you require "
        r"(?P=package)\b",
    ),
    (
        "no-such-version",
        rf"Because only {_PACKAGE}[<>=!~]\S* is available and you require "
        r"(?P=package)(?P<specifier>[<>=!~][^\s,]*(?:,[^\s,]+)*), we can conclude that your",
    ),
    (
        "no-such-version",
        rf"find a version that satisfies the requirement {_PACKAGE}(?P<specifier>[<>=!~]\S*)? "
        r".*\(from versions: (?:none|(?P<versions>(?:[^)]*, )?(?P<newest>[^),]+)))\)",
    ),
    ("conflict", "your requirements are unsatisfiable|ResolutionImpossible"),
)

#: Code → message and hint; see `explain` for the fields.
_MESSAGES: Dict[str, Tuple[str, str]] = {
    "disk-full": (
        "The disk is full; nothing was installed.",
        "Free some space, and run it again.",
    ),
    "not-writable": (
        "The environment may not be written; nothing was installed.",
        "Use a kernel in an environment of your own: python3 -m venv NAME.",
    ),
    "externally-managed": (
        "This Python belongs to the operating system (PEP 668); nothing was installed.",
        "Use a kernel in an environment of its own: python3 -m venv NAME.",
    ),
    "index-login": (
        "The package index {host} refused the login; nothing was installed.",
        "Check the variable that --index-auth names, or index-url in pip.conf.",
    ),
    "index-unreachable": (
        "The package index {host} cannot be reached; nothing was installed.",
        "Check the network; for a mirror, set index-url in pip.conf or PIP_INDEX_URL.",
    ),
    "no-upload-times": (
        "{host} does not say when {package} was uploaded; nothing was installed.",
        "Take it from an index that does, such as pypi.org; or on a line without --as-of.",
    ),
    "not-yet": (
        "{package} has no version {specifier} as of {day}; nothing was installed.",
        "{python}Or name a later day.",
    ),
    "no-such-package": ("There is no package {package} on {host}.", "Check the spelling."),
    "no-such-version": ("{package} has no version {specifier}.", "{newest}"),
    "no-build": ("{package} {version} has no build for {only}.", "{newest}"),
    "kernel-held": (
        "{package} needs {need}, which runs this kernel; nothing was installed.",
        "Pin another version; or install it with --allow-kernel-changes, and restart.",
    ),
}
_OTHERWISE = (
    "Not installed: {reason}",
    "Loosen one of the versions, or check the network; then run it again.",
)

#: As uv and pip print a need: ``a==1.0 depends on b>=2``, ``a 1.0 depends on b>=2``.
_NEED = re.compile(
    r"([A-Za-z][\w.-]*)(?:[<>=!~ ]+\d[\w.+]*)? depends? on "
    r"([A-Za-z][\w.-]*\w(?:[<>=!~,]+\d(?:[\w.*+]*[\w*])?)*)"
)
#: What stands before a statement, and differs between versions of uv.
_MARKS = re.compile(r"^(error:|cause:|caused by:|×|[├╰]─▶|\s)+", re.I)
#: A file of which an index does not say when it was uploaded, as uv warns.
_UNDATED = re.compile(r"warning: `([A-Za-z\d][\w.]*(?:-[A-Za-z][\w.]*)*)-\S+` is missing an upload")
#: A line on which uv goes on with what has caused the error of the line before.
_CAUSE = re.compile(r"\s*([├╰]─▶|caused by:|cause:)", re.I)


def _read(lines: Sequence[str], held: Collection[str]) -> Tuple[str, Dict[str, str]]:
    """Return the code of a failure, and the fields that its statement has."""
    text = " ".join(" ".join(_MARKS.sub("", line) for line in lines).split())
    for package, need in _NEED.findall(text):
        if canonical_name(requirement(need).name) in held and why_not(requirement(need)):
            return "kernel-held", {"package": package, "need": need}
    for code, pattern in _STATEMENTS:
        match = re.search(pattern, text)
        if match:
            return code, {name: value or "" for name, value in match.groupdict().items()}
    return "install-failed", {}


def _reason(lines: Sequence[str]) -> Tuple[str, str]:
    """Return the sentence in which an installer gives its reason, and the lines that follow it."""
    starts = (
        [at for at, line in enumerate(lines) if "ecause " in line or "is caused by:" in line]
        or [at for at, line in enumerate(lines) if line.lower().startswith("error")]
        or [len(lines) - 1]
    )
    block = list(lines[starts[0] :][:9]) if lines else []
    if not block:
        return "the installer gave no reason", ""
    causes = 1 if block[1:] and _CAUSE.match(block[1]) else 0
    sentence = ": ".join(map(_without_marks, block[: 1 + causes]))
    return sentence, "\n".join(map(_without_marks, block[1 + causes :]))


def _without_marks(line: str) -> str:
    """Return a line without its marks, and without what differs each time."""
    line = re.sub(r" in \d+(\.\d+)?m?s\b", "", _MARKS.sub("", line.strip()))
    return line.replace(", we can conclude that your requirements are unsatisfiable", "")


def explain(
    lines: Sequence[str],
    indexes: Sequence[str] = (),
    held: Collection[str] = (),
    newest: Optional[Callable[[str], str]] = None,
    day: str = "",
) -> InstallFailed:
    """Make the error for an installer that has failed, printing these lines.

    ``indexes`` are those of the line; ``held`` are the names whose versions must not change: a
    need of another one is the reason. ``newest`` finds the newest version of a package for this
    Python. ``day`` is that of ``--as-of``.
    """
    code, fields = _read(lines, held)
    if day:
        code = _judge_by_day(code, fields.get("package", ""), lines)
    reason, details = _reason(lines)
    package, version = fields.get("package", ""), fields.get("version", "")
    message, hint = _MESSAGES.get(code, _OTHERWISE)
    fields.update(reason=reason, day=day)
    fields["host"] = hosts_of([fields.get("url") or " ".join(indexes)])
    if code in _MESSAGES:
        details = ""
    if code == "no-build":
        minors = _minors(fields)
        fields["only"] = _only(fields, minors)
        details = elsewhere(f"{package}=={version}", minors)
    if code == "not-yet":
        fields["specifier"] = fields.get("specifier") or f"for Python {platform()}"
    if "{newest}" in hint:
        other = fields.get("newest") or (newest(package) if newest else "")
        fields["newest"] = f"For Python {platform()} try: %pin {package}=={other}" if other else ""
        specifier = re.sub(r"^==(?=[^,*]+$)", "", fields.get("specifier", ""))
        fields["specifier"] = specifier or f"for Python {platform()}"
    fields["host"] = fields["host"] or ("any index" if code == "no-such-package" else "")
    fields["python"] = python_hint(day)
    message, hint = " ".join(message.format_map(fields).split()), hint.format_map(fields)
    if day and code in {"build-failed", "no-build", "conflict", "install-failed"}:
        hint = f"{fields['python']}{hint}"
    slip = find_package(package, versions()) if code == "no-such-package" else None
    error = InstallFailed(message, hint, details, code=code, slip=slip)
    error.package, error.reason = package, reason
    error.versions = tuple(filter(None, fields.get("versions", "").split(", ")))
    return error


def _judge_by_day(code: str, package: str, lines: Sequence[str]) -> str:
    """Return the code of a failure of a line with a day.

    uv passes over files of which an index does not say when they were uploaded, and warns.
    """
    names = {canonical_name(match[1]) for match in map(_UNDATED.match, lines) if match}
    if package and canonical_name(package) in names:
        return "no-upload-times"
    return "not-yet" if code == "no-such-version" else code


def python_hint(day: str) -> str:
    """Return which Python to take for the versions of a day, if not this one; or empty."""
    version = python_of(day) if day else platform()
    return "" if version == platform() else f"Python of that day: --python {version}. "


def hosts_of(texts: Sequence[str]) -> str:
    """Return the hosts of the addresses in these texts, each once."""
    pattern = r"https?://(?:[^/@\s]*@)?([\w.-]+|\[[\da-fA-F:]+\])"
    return ", ".join(dict.fromkeys(re.findall(pattern, " ".join(texts))))


def _minors(fields: Dict[str, str]) -> Tuple[int, ...]:
    """Return the Pythons (3.x) of ``tags`` such as ``cp38``, or of ``python``, a specifier."""
    from packaging.specifiers import SpecifierSet

    if fields.get("python"):
        allowed = SpecifierSet(fields["python"].rstrip(","))
        return tuple(minor for minor in range(3, 30) if allowed.contains(f"3.{minor}.99"))
    tags = re.findall(r"\bcp3(\d+)", fields.get("tags", ""))
    return tuple(sorted({int(minor) for minor in tags}))


def _only(fields: Dict[str, str], minors: Sequence[int]) -> str:
    """Return what a package has no build for: this Python, or this machine."""
    if not fields.get("python") and (not minors or sys.version_info[1] in minors):
        return "this machine"
    named = f"Python {fields['python']}" if fields.get("python") else ""
    return f"Python {platform()} (only {named or ', '.join(f'3.{minor}' for minor in minors)})"
