"""Making a lock: what is installed behind the pins, looked up with its hashes by uv.

The versions are those that are here, so that nothing is resolved: uv only finds the files. What
no index can give again (folders of this machine, versions that came with it) is left out.
"""

from __future__ import annotations

import hashlib
import re
import sys
import time
from dataclasses import dataclass
from typing import Any, Dict, Iterable, List, Mapping, Sequence, Set, Tuple

from ...core.errors import InstallFailed
from ...core.host import Host
from ...core.steps import Progress
from ..environment import canonical_name, find
from ..installer import KERNEL, Job
from ..integrity import sources
from ..requirements import carries_secret, requirement
from ..step import PinStep
from .model import (
    Lock,
    check_package,
    environment,
    file_name,
    files_of,
    machine,
    parsed,
    rank,
)


@dataclass(frozen=True)
class Made:
    """A lock, and the names that are not in it because no index could give them again."""

    lock: Lock
    left: Tuple[str, ...] = ()


def line_of(step: PinStep, host: Host) -> str:
    """A line of the setup cell as a lock names it; with what its files say, for they may change."""
    places = [*step.files, *(v for k, v in step.options.pairs if k == "--constraint")]
    files = [host.resolve(place) for place in places if "://" not in place]
    text = b"\n".join(file.read_bytes() for file in files if file.is_file())
    mark = f" (files: {hashlib.sha256(text).hexdigest()[:16]})" if text else ""
    return " ".join(step.arguments()) + mark


def make(steps: Sequence[PinStep], host: Host, progress: Progress) -> Made:
    """The lock of these lines; `InstallFailed` where an index does not have what is here.

    Needs uv and the indexes of the lines; changes nothing.
    """
    packages: Dict[str, Dict[str, Any]] = {}
    left: List[str] = []
    for step in steps:
        names = sorted(_behind(step, host) - packages.keys())
        texts = _exact(names)
        try:
            found = _looked_up(step, host, texts, progress)
        except InstallFailed as error:  # what came with the machine may be in no index
            came = [name for name, text in texts.items() if "+" in text.partition("==")[2]]
            if not came or error.code == "timeout":
                raise
            texts = {name: text for name, text in texts.items() if name not in came}
            found = _looked_up(step, host, texts, progress)
        packages.update({one["name"]: one for one in found})
        left += names
    about: Dict[str, Any] = {
        "lines": sorted(line_of(step, host) for step in steps),
        "made": time.strftime("%Y-%m-%d"),
        "python": ".".join(map(str, sys.version_info[:3])),
        "platform": machine(),
    }
    backends = {
        value for step in steps for name, value in step.options.pairs if name == "--torch-backend"
    }
    about.update({"torch-backend": " ".join(sorted(backends))} if backends else {})
    data = {
        "lock-version": "1.0",
        "environments": [environment()],
        "requires-python": f">={sys.version_info[0]}.{sys.version_info[1]}",
        "created-by": "colab_magics",
        "packages": [packages[name] for name in sorted(packages)],
        "tool": {"colab_magics": about},
    }
    return Made(Lock(data), tuple(sorted({*left} - packages.keys())))


def _behind(step: PinStep, host: Host) -> Set[str]:
    """The canonical names of all that a line needs here, less the kernel's machinery."""
    wanted = step.wanted(host)
    hint = [(one.name, tuple(sorted(one.extras))) for one in _applying(wanted.texts)]
    for name, url in sources().items():
        if any(url == folder.as_uri() for folder in wanted.folders):
            hint.append((name, ()))
    seen: Set[Tuple[str, Tuple[str, ...]]] = set()
    while hint:
        name, extras = hint.pop()
        name = canonical_name(name)
        found = find(name) if (name, extras) not in seen and name not in KERNEL else None
        if found is None:
            continue
        seen.add((name, extras))
        needs = _applying(found.requires or (), extras)
        hint += [(one.name, tuple(sorted(one.extras))) for one in needs]
    return {name for name, _ in seen}


def _applying(texts: Iterable[str], extras: Sequence[str] = ()) -> List[Any]:
    """The requirements among them whose markers hold here, with one of the extras or without."""
    found = [requirement(text) for text in texts]
    given = [{"extra": extra} for extra in ("", *extras)]
    return [one for one in found if not one.marker or any(map(one.marker.evaluate, given))]


def _exact(names: Sequence[str]) -> Dict[str, str]:
    """Name → the requirement for just what is installed, where something else than a folder of
    this machine may have it.
    """
    origins, texts = sources(), {}
    for name in names:
        found, origin = find(name), origins.get(name, "")
        if found is not None and not origin.startswith("file:"):
            texts[name] = f"{name} @ {origin}" if origin else f"{name}=={found.version}"
    return texts


def _looked_up(
    step: PinStep, host: Host, texts: Mapping[str, str], progress: Progress
) -> List[Dict[str, Any]]:
    """The packages as uv finds them at the places of the line, each with the file for here."""
    if not texts:
        return []
    job = Job(progress, (), step.place(host), hold=False)
    found = job.make_pylock(list(texts.values()))
    chosen = [_chosen(package) for package in parsed(found).get("packages", ())]
    kept = [one for one in chosen if _may_be_kept(one)]
    indexes = [re.sub("://[^/@]*@", "://", url) for url in job.settings.indexes]
    if len(indexes) == 1:
        kept = [{**one, **_at(one, indexes[0])} for one in kept]
    return kept


def _chosen(package: Mapping[str, Any]) -> Dict[str, Any]:
    """A package with the one file that an installer takes here."""
    kept = {key: package[key] for key in ("name", "version", "vcs", "archive") if key in package}
    ranked = [(rank(wheel), wheel) for wheel in package.get("wheels", ())]
    fitting = [(order, wheel) for order, wheel in ranked if order is not None]
    if fitting:
        kept["wheels"] = [_file(min(fitting, key=lambda pair: pair[0])[1])]
    elif "sdist" in package:
        kept["sdist"] = _file(package["sdist"])
    return kept


def _file(file: Mapping[str, Any]) -> Dict[str, Any]:
    """What is kept of a file; one that lies in a folder of this machine is named without it."""
    where = {"url": file["url"]}
    if file["url"].startswith("file:"):
        where = {"path": file_name(file)}
    return {**where, **{key: file[key] for key in ("size", "hashes") if key in file}}


def _may_be_kept(package: Mapping[str, Any]) -> bool:
    """Whether it has a source that another machine may have too, and that may be written down."""
    sources = [package[word] for word in ("vcs", "archive") if word in package]
    try:
        check_package(package)
    except (ValueError, KeyError, TypeError, AttributeError):  # a file without a hash, for instance
        return False
    if not sources and not files_of(package):
        return False
    urls = [str(one["url"]) for one in sources]
    urls += [str(file.get("url", "")) for file in files_of(package)]
    return not any(url.startswith("file:") or carries_secret(url) for url in urls)


def _at(package: Mapping[str, Any], index: str) -> Dict[str, str]:
    return {"index": index} if files_of(package) else {}
