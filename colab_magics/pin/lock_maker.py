"""Making the lock of a notebook from what is installed.

Nothing is resolved, since the versions are those installed: uv only finds their files. What no
index has, such as folders of this machine and what came with it, is left out.
"""

from __future__ import annotations

import hashlib
import re
import sys
import time
from typing import Any, Dict, Mapping, Sequence, Set, Tuple

from ..core.errors import InstallFailed
from ..core.host import Host
from ..core.steps import Progress
from .day import without_day
from .environment import find, with_needs
from .installer import KERNEL
from .integrity import sources
from .job import Job
from .lock import Lock, check_package, environment, file_name, files_of, machine, rank
from .plan import parse_toml
from .requirements import carries_secret
from .step import PinStep


def line_of(step: PinStep, host: Host) -> str:
    """Return how a lock names a line: as it reads, with a hash of the files that it names."""
    places = [*step.files, *(v for k, v in step.options.pairs if k == "--constraint")]
    files = [host.resolve(place) for place in places if "://" not in place]
    text = b"\n".join(file.read_bytes() for file in files if file.is_file())
    mark = f" (files: {hashlib.sha256(text).hexdigest()[:16]})" if text else ""
    return " ".join(step.arguments()) + mark


def make(steps: Sequence[PinStep], host: Host, progress: Progress) -> Tuple[Lock, Tuple[str, ...]]:
    """Return the lock of these lines, and the names that are in no index.

    Needs uv and the indexes of the lines; `InstallFailed` if they do not have what is installed.
    """
    packages: Dict[str, Dict[str, Any]] = {}
    names: Set[str] = set()
    for step in steps:
        new = sorted(_names(step, host) - packages.keys())
        names.update(new)
        packages.update(_fetch_packages(step, host, _exact(new), progress))
    options = [pair for step in steps for pair in step.options.pairs]
    backends = sorted({value for option, value in options if option == "--torch-backend"})
    about: Dict[str, Any] = {
        "lines": sorted(line_of(step, host) for step in steps),
        "made": time.strftime("%Y-%m-%d"),
        "python": ".".join(map(str, sys.version_info[:3])),
        "platform": machine(),
        **({"torch-backend": " ".join(backends)} if backends else {}),
    }
    data = {
        "lock-version": "1.0",
        "environments": [environment()],
        "requires-python": f">={sys.version_info[0]}.{sys.version_info[1]}",
        "created-by": "colab_magics",
        "packages": [packages[name] for name in sorted(packages)],
        "tool": {"colab_magics": about},
    }
    return Lock(data), tuple(sorted(names - packages.keys()))


def _names(step: PinStep, host: Host) -> Set[str]:
    """Return the canonical names of all that a line needs here, less the kernel's machinery."""
    needs = step.needs(host)
    folders = {folder.as_uri() for folder in needs.folders}
    projects = [name for name, url in sources().items() if url in folders]
    return with_needs([*needs.texts, *projects], KERNEL)


def _exact(names: Sequence[str]) -> Dict[str, str]:
    """Return the requirement for just what is installed by its name, less local folders."""
    origins, texts = sources(), {}
    for name in names:
        distribution, origin = find(name), origins.get(name, "")
        if distribution is not None and not origin.startswith("file:"):
            texts[name] = f"{name} @ {origin}" if origin else f"{name}=={distribution.version}"
    return texts


def _fetch_packages(
    step: PinStep, host: Host, texts: Mapping[str, str], progress: Progress
) -> Dict[str, Dict[str, Any]]:
    """Return the packages by name, as uv finds them where the line says, with the file for here."""
    if not texts:
        return {}
    job = Job(progress, (), without_day(step.place(host)), hold=False)  # these are exact
    try:
        text = job.make_pylock(list(texts.values()))
    except InstallFailed as error:
        # Local versions may have come with the machine.
        rest = {name: text for name, text in texts.items() if "+" not in text.partition("==")[2]}
        if error.code == "timeout" or len(rest) == len(texts):
            raise
        return _fetch_packages(step, host, rest, progress)
    packages = map(_with_single_file, parse_toml(text).get("packages", ()))
    indexes = [re.sub("://[^/@]*@", "://", url) for url in job.settings.indexes]
    index = {"index": indexes[0]} if len(indexes) == 1 else {}
    return {
        package["name"]: {**package, **(index if files_of(package) else {})}
        for package in packages
        if _is_lockable(package)
    }


def _with_single_file(package: Mapping[str, Any]) -> Dict[str, Any]:
    """Return a package with the one file that an installer chooses here."""
    result = {key: package[key] for key in ("name", "version", "vcs", "archive") if key in package}
    ranked = [(rank(wheel), wheel) for wheel in package.get("wheels", ())]
    fitting = [(order, wheel) for order, wheel in ranked if order is not None]
    if fitting:
        result["wheels"] = [_file(min(fitting, key=lambda pair: pair[0])[1])]
    elif "sdist" in package:
        result["sdist"] = _file(package["sdist"])
    return result


def _file(file: Mapping[str, Any]) -> Dict[str, Any]:
    """Return the parts of a file that are locked; not the local folder that it may be in."""
    local = file["url"].startswith("file:")
    place = {"path": file_name(file)} if local else {"url": file["url"]}
    return {**place, **{key: file[key] for key in ("size", "hashes") if key in file}}


def _is_lockable(package: Mapping[str, Any]) -> bool:
    """Return whether a package has a source that others can reach and that may be written down."""
    try:
        check_package(package)
    except (ValueError, KeyError, TypeError, AttributeError):  # a file without a hash, for instance
        return False
    files = [*(package[word] for word in ("vcs", "archive") if word in package), *files_of(package)]
    urls = [str(file.get("url", "")) for file in files]
    return bool(files) and not any(url.startswith("file:") or carries_secret(url) for url in urls)
