"""pip, uv and conda: what they install becomes a pin."""

from __future__ import annotations

import re
from typing import List, Sequence
from urllib.parse import unquote, urlsplit

from .options import Options, options
from .shell import Command, NotUnderstood, name_list
from .state import State

#: Options that a pin has too.
_PINNED = name_list(
    "--index-url --find-links --constraint --extra-index-url --torch-backend --pre --no-deps"
)
_SHOWS = name_list("list show freeze check help --version -V debug config")
_TOOLS = frozenset({"pip", "setuptools", "wheel", "uv", "colab-magics"})
#: Repositories whose package has another name.
_NAMES = {
    "pytorch_geometric": "torch-geometric",
    "segment-anything": "segment_anything",
    "segment-anything-2": "SAM-2",
    "lm-evaluation-harness": "lm_eval",
    "pytorch-image-models": "timm",
    "BLIP": "blip",
    "GroundingDINO": "groundingdino",
    "stable-baselines": "stable_baselines",
    "cocoapi": "pycocotools",
}
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*", re.ASCII)
_BARE = re.compile(r"([A-Za-z0-9][\w.-]*)(\[[\w, -]+\])?")
_CONDA_ITEM = re.compile(r"([\w.-]+?)(?:(==|>=|<=|=|<|>)([\w.*]+))?")
#: What conda has and PyPI has not, or has under another name.
_CONDA_ONLY = name_list("python cudatoolkit cudnn pytorch-cuda cuda conda pip mamba")
_CONDA_NAMES = {"pytorch": "torch", "opencv": "opencv-python", "faiss": "faiss-cpu"}


def pip(command: Command, state: State) -> None:
    """Read ``pip install``, ``uninstall`` and what only shows."""
    words = command.words[1:]
    while words[:1] in (["-q"], ["--quiet"], ["-v"], ["--disable-pip-version-check"]):
        words.pop(0)
    command.refuse_variables()
    verb = words[0] if words else "help"
    if verb == "install":
        _install(options(Command(["pip", *words]), 0, verb=verb), state)
    elif verb == "uninstall":
        _uninstall(options(Command(["pip", *words]), 1, verb=verb).rest, state)
    elif verb in _SHOWS:
        state.drop("it only shows something")
    else:
        raise NotUnderstood("it installs nothing")


def uv(command: Command, state: State) -> None:
    """Read ``uv pip install`` and ``uv add``."""
    words = command.words[1:]
    if words[:1] == ["add"]:
        words = ["pip", "install", *words[1:]]
    if words[:1] != ["pip"]:
        raise NotUnderstood("it is no installation by uv that is known here")
    pip(Command(words, variables=command.variables), state)


def _install(read: Options, state: State) -> None:
    """Add the pin of a line."""
    items = _items(read, state)
    if not items:
        state.drop("it is no package of the notebook's own")
        return
    flags: List[str] = []
    for name, value in read.pairs:
        if name in _PINNED:
            is_path = name in ("--find-links", "--constraint") and "://" not in value
            flags += [name, *filter(None, [state.place(value) if is_path else value])]
    day = state.versions.day
    if day and "--find-links" not in flags and not all(map(_is_settled, items)):
        flags += ["--as-of", day]
    state.note_version(items, read.value("--index-url"))
    state.add("pin", [*items, *flags], _why(read, items))


def _items(read: Options, state: State) -> List[str]:
    """Return the words of a pin for what is installed, without what is no one's package."""
    items: List[str] = []
    for text in read.rest:
        if _is_path(text):
            items += ["-e", _project(text, state)]
        elif canonical(text) not in _TOOLS:
            items.append(_requirement(text, state))
    for name, value in read.pairs:
        if name == "--requirement":
            if "://" in value:
                raise NotUnderstood("its requirements are at a URL")
            items += ["-r", state.place(value)]
        elif name == "--editable":
            is_url = "://" in value
            items += [_requirement(value, state)] if is_url else ["-e", _project(value, state)]
    if not items and not read.rest:
        raise NotUnderstood("it names no package")
    return items


def _is_path(text: str) -> bool:
    bare = text.partition("[")[0]
    is_url = "://" in text or " @ " in text
    return not is_url and (bare in (".", "..") or "/" in bare or bare.startswith("~"))


def _project(text: str, state: State) -> str:
    """Return a local project as ``-e`` names it."""
    path, bracket, extras = text.partition("[")
    if re.search(r"\.(whl|zip|tar\.gz|tgz)$", path):
        raise NotUnderstood("%pin takes no file of a package")
    return state.place(path.rstrip("/") or "/") + bracket + extras


def _requirement(text: str, state: State) -> str:
    """Return a requirement as a pin has it; a bare name may get a version, a URL gets a name."""
    if " @ " in text or "://" not in text:
        bare = _BARE.fullmatch(text)
        version = state.versions.installed.get(canonical(bare[1])) if bare else None
        return f"{text}=={version}" if version else " ".join(text.split())
    url, _, fragment = text.partition("#")
    egg = re.search(r"egg=([A-Za-z0-9._-]+(?:\[[\w,-]+\])?)", fragment)
    rest = "&".join(x for x in fragment.split("&") if x and not x.startswith("egg="))
    name = egg[1] if egg else _name_of(url, fragment)
    url = url.replace("git+git://github.com", "git+https://github.com")
    return f"{name} @ {url}" + (f"#{rest}" if rest else "")


def _name_of(url: str, fragment: str) -> str:
    """Return the name of the package at a URL: that of its folder in there, or of all of it."""
    folder = re.search(r"subdirectory=(?:[^&]*/)?([\w.-]+)", fragment)
    if folder and folder[1] not in ("python", "py", "src"):
        return folder[1]
    last = unquote(urlsplit(url).path.rstrip("/").rpartition("/")[2])
    if last.endswith(".whl"):
        return last.partition("-")[0]
    name = re.sub(r"(\.git)?(@.*)?$", "", last)
    if not url.startswith("git+") or not _NAME.fullmatch(name):
        raise NotUnderstood("the package at that URL has no name: add #egg=NAME")
    return _NAMES.get(name, name)


def canonical(name: str) -> str:
    """Return the canonical name of a package."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _is_settled(item: str) -> bool:
    return "==" in item or " @ " in item or item.startswith("-e")


def _why(read: Options, items: Sequence[str]) -> str:
    reasons = []
    if read.has("--upgrade"):
        reasons.append("without --upgrade: a recorded version stays")
    if any(" @ git+" in item for item in items) and not any("egg=" in word for word in read.rest):
        reasons.append("named after its repository")
    if "-e" in items and not read.has("--editable"):
        reasons.append("editable")
    return "; ".join(reasons)


def _uninstall(names: Sequence[str], state: State) -> None:
    """Add a line that uninstalls; a later pin of the same packages makes it needless."""
    if not all(map(_NAME.fullmatch, names)):
        raise NotUnderstood("it names no package")
    draft = state.add_line(f"!pip uninstall -y -q {' '.join(names)}")
    draft.subject = tuple(map(canonical, names))


def conda(command: Command, state: State) -> None:
    """Read ``conda install`` of packages that PyPI has too, by the same names."""
    verb, *names = options(command, 2).rest
    items = []
    for text in names:
        match = _CONDA_ITEM.fullmatch(text)
        if verb != "install" or match is None or match[1] in _CONDA_ONLY:
            raise NotUnderstood("conda has packages that PyPI has not")
        bound = f"=={match[3]}.*" if match[2] == "=" else f"{match[2] or ''}{match[3] or ''}"
        items.append(_CONDA_NAMES.get(match[1], match[1]) + bound)
    state.add("pin", items, "from PyPI instead of conda: check the names")
