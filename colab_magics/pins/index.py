"""Why an installation failed, in the words of somebody who has looked at the package index.

Source: the simple repository API in JSON and HTML (PEP 503, PEP 691), wheel names (PEP 427).
"""

import re
import sys
from dataclasses import dataclass
from functools import lru_cache
from html import unescape
from typing import TYPE_CHECKING, Dict, FrozenSet, List, Optional, Sequence, Set, Tuple
from urllib.parse import urlsplit

from ..errors import InstallFailed
from .conflict import core
from .environments.pythons import elsewhere
from .requirements import requirement
from .settings import PipSettings

if TYPE_CHECKING:
    import requests
    from packaging.requirements import Requirement
    from packaging.tags import Tag
    from packaging.version import Version

__all__ = ["File", "Unreachable", "ask", "asked", "explain", "files_of"]

_ACCEPT = "application/vnd.pypi.simple.v1+json, text/html;q=0.2"
_TIMEOUT = (5, 20)
#: Answers of those who want a password first; they say nothing of packages.
_UNSAID = {401, 407}

#: What installers say of the machine itself, what is wrong, and what to do.
_MACHINE = (
    (
        r"no space left|disk quota|os error 28\b",
        "The disk is full; nothing was installed.",
        "Free some space, and run it again.",
    ),
    (
        r"read-only file ?system|permission denied|os error (13|30)\b",
        "The environment may not be written; nothing was installed.",
        "Use a kernel in an environment of your own: python3 -m venv NAME.",
    ),
    (
        r"hash mismatch|do not match the hashes",
        "What the index has is not what was asked for: a hash differs; nothing was installed.",
        "Compare the hash with the one that its makers publish.",
    ),
)


class Unreachable(Exception):
    """No index answered; ``refused``: one did, and wants a password, or another one."""

    def __init__(self, hosts: str, refused: bool = False) -> None:
        super().__init__(hosts)
        self.refused = refused


@dataclass(frozen=True)
class File:
    """One file of a project: its version, whether it can be used here, its Pythons (3.x minors)."""

    version: "Version"
    fits: bool
    minors: FrozenSet[int]


def explain(
    texts: Sequence[str],
    settings: PipSettings,
    said: Sequence[str],
    line: Optional[Sequence[str]] = None,
) -> InstallFailed:
    """The error for requirements that could not be installed: never raised here, only made.

    ``line`` are all that were asked for, where ``texts`` are only those that do not hold.
    """
    for pattern, what, todo in _MACHINE:
        if any(re.search(pattern, line, flags=re.I) for line in said):
            return InstallFailed(what, todo)
    for text in texts:
        wanted = requirement(text)
        if wanted.url:
            continue
        try:
            files = files_of(wanted.name, settings)
        except Unreachable as error:
            if error.refused:
                return InstallFailed(
                    f"The package index {error} cannot be reached without a password, "
                    "or not with this one; nothing was installed.",
                    "Look at the variable that --index-auth names, or at index-url in pip.conf.",
                )
            return InstallFailed(
                f"The package index {error} cannot be reached; nothing was installed.",
                "Check the network; for a mirror, set index-url in pip.conf or PIP_INDEX_URL.",
            )
        found = _judge(wanted, files, settings)
        if found is not None:
            return found
    fetched = [re.search(r"[Ff]ailed to fetch.*?://(?:[^/@\s]*@)?([^/:\s]+)", one) for one in said]
    hosts = sorted({found.group(1) for found in fetched if found})
    if hosts:
        return InstallFailed(
            f"{', '.join(hosts)} cannot be reached; nothing was installed.",
            "Check the network, and the addresses in pip.conf and PIP_* variables.",
        )
    what, details = core(said, texts if line is None else line)
    if not what:
        what, details = _reason(said)
    todo = "Loosen one of the versions, and run it again."
    return InstallFailed(f"Not installed: {what}", todo, details)


def _reason(said: Sequence[str]) -> Tuple[str, str]:
    """What an installer gives as its reason, in one line, and the lines that come after it."""
    because = [line for line in said if "ecause " in line]
    errors = [line for line in said if line.lower().startswith("error")]
    core = (because or errors or list(said[-1:]))[:2]
    if not core:
        return "the installer gave no reason", ""
    after = said[said.index(core[-1]) + 1 :]
    return " ".join(map(_shortened, core)), "\n".join(after[:8])


def _judge(
    wanted: "Requirement", files: List[File], settings: PipSettings
) -> Optional[InstallFailed]:
    """What is wrong with one requirement, or None where it could be had by itself."""
    name = wanted.name
    if not files:
        where = ", ".join(map(_host, asked(settings))) or "the folders given"
        return InstallFailed(f"There is no package {name} on {where}.", "Check the spelling.")
    here = sorted({file.version for file in files if file.fits})
    chosen = set(wanted.specifier.filter({file.version for file in files}))
    if chosen & set(here):
        return None
    final = [version for version in here if not version.is_prerelease] or here
    python = f"Python {sys.version_info[0]}.{sys.version_info[1]}"
    near = next((one for one in final if chosen and one > max(chosen)), max(final, default=None))
    todo = (
        f"For {python} there is: {_some(final)}. For instance: %pin {name}=={near}"
        if here
        else f"No version of {name} has a build for {python} on this machine."
    )
    if not chosen:
        return InstallFailed(f"{name} has no version {wanted.specifier}.", todo)
    version = max(chosen)
    minors: Set[int] = set()
    for file in files:
        minors |= file.minors if file.version == version else frozenset()
    if sys.version_info[1] in minors:
        return InstallFailed(f"{name} {version} has no build for this machine.", todo)
    only = f" (only {_ranges(minors)})" if minors else ""
    return InstallFailed(
        f"{name} {version} has no build for {python}{only}.", todo, elsewhere(str(wanted), minors)
    )


def files_of(name: str, settings: PipSettings) -> List[File]:
    """All files of a project on the user's indexes; `Unreachable` where none answers."""
    import requests

    found: Dict[str, Optional[str]] = {}
    reached, refused = False, False
    for base in asked(settings):
        try:
            answer = ask(base, name, settings, _TIMEOUT)
        except requests.RequestException:
            continue
        if answer.status_code in _UNSAID or answer.status_code >= 500:
            refused = refused or answer.status_code == 401
            continue
        reached = True
        try:
            found.update(_listed(answer) if answer.ok else {})
        except ValueError:
            continue  # not a page of an index
    if not reached and asked(settings):
        raise Unreachable(", ".join(map(_host, asked(settings))), refused)
    files = (_file(filename, python) for filename, python in found.items())
    return [file for file in files if file is not None]


def ask(
    base: str,
    name: str,
    settings: PipSettings,
    timeout: Tuple[float, float],
    session: "Optional[requests.Session]" = None,
) -> "requests.Response":
    """The page of a project on an index, asked for as the user's settings say."""
    import requests
    from packaging.utils import canonicalize_name

    trusted = urlsplit(base).hostname in settings.words("trusted-host")
    proxy = settings.values.get("proxy", "").strip()
    return (session.get if session else requests.get)(
        f"{base.rstrip('/')}/{canonicalize_name(name)}/",
        headers={"Accept": _ACCEPT},
        timeout=timeout,
        proxies={"http": proxy, "https": proxy} if proxy else None,
        verify=False if trusted else settings.values.get("cert", "").strip() or True,
    )


def _listed(answer: "requests.Response") -> Dict[str, Optional[str]]:
    """File name → ``requires-python`` of an index page; withdrawn files are left out."""
    if "json" in answer.headers.get("Content-Type", ""):
        return {
            file["filename"]: file.get("requires-python")
            for file in answer.json().get("files", ())
            if not file.get("yanked")
        }
    links = re.findall(r"<a\s([^>]*)>\s*([^<]+?)\s*</a>", answer.text, flags=re.I)
    found: Dict[str, Optional[str]] = {}
    for attributes, filename in links:
        python = re.search(r"data-requires-python=[\"']([^\"']*)", attributes)
        if "data-yanked" not in attributes:
            found[filename] = unescape(python.group(1)) if python else None
    return found


def _file(filename: str, python: Optional[str]) -> Optional[File]:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet
    from packaging.utils import parse_sdist_filename, parse_wheel_filename

    try:
        if filename.endswith(".whl"):
            _, version, _, tags = parse_wheel_filename(filename)
            fits = not tags.isdisjoint(_supported())
            minors = {m for tag in tags for m in _minors(tag.interpreter, tag.abi)}
        else:
            _, version = parse_sdist_filename(filename)
            fits, minors = True, set(range(3, 30))
        allowed = SpecifierSet(python or "")
    except (ValueError, InvalidSpecifier):
        return None
    here = ".".join(map(str, sys.version_info[:3]))
    minors = {minor for minor in minors if allowed.contains(f"3.{minor}.99")}
    return File(version, fits and allowed.contains(here, prereleases=True), frozenset(minors))


@lru_cache(maxsize=1)
def _supported() -> FrozenSet["Tag"]:
    """The tags that this interpreter takes, about a thousand."""
    from packaging.tags import sys_tags

    return frozenset(sys_tags())


def _minors(interpreter: str, abi: str) -> Set[int]:
    """The minor versions of Python 3 that a wheel's tag names."""
    if interpreter in {"py3", "py2.py3"}:
        return set(range(3, 30))
    found = re.fullmatch(r"(?:cp|py)3(\d+)", interpreter)
    if not found:
        return set()
    least = int(found.group(1))
    open_ended = abi == "abi3" or (abi == "none" and interpreter.startswith("py"))
    return set(range(least, 30)) if open_ended else {least}


def _ranges(minors: Set[int]) -> str:
    """``3.5-3.8, 3.10`` for {5, 6, 7, 8, 10}; an open end is ``3.8+``."""
    parts: List[str] = []
    left = sorted(minors)
    while left:
        last = left[0]
        while last + 1 in minors:
            last += 1
        first = f"3.{left[0]}"
        parts.append(
            f"{first}+" if last >= 29 else first if last == left[0] else f"{first}-3.{last}"
        )
        left = [minor for minor in left if minor > last]
    return ", ".join(parts)


def _some(versions: Sequence["Version"]) -> str:
    """All of a few versions, else the first two and the last four."""
    texts = [str(v) for v in versions]
    return ", ".join(texts if len(texts) <= 8 else [*texts[:2], "...", *texts[-4:]])


def _shortened(line: str) -> str:
    line = re.sub(r"^(error:|cause:|×|╰─▶|\s)+", "", line.strip(), flags=re.I)
    line = re.sub(r" in \d+(\.\d+)?m?s\b", "", line)  # the error is to be the same each time
    return line.replace(", we can conclude that your requirements are unsatisfiable", "")


def asked(settings: PipSettings) -> List[str]:
    """The indexes that can be asked; folders given as indexes only add to them."""
    return [url for url in settings.indexes if url.startswith(("http:", "https:"))]


def _host(url: str) -> str:
    parts = urlsplit(url)
    return parts.hostname or url
