"""Whether the frameworks that are installed can use the GPUs that are here, importing none.

Source of the rule: NVIDIA, "CUDA C++ Programming Guide", 5.1 "Binary Compatibility" and 5.2 "PTX
Compatibility": code compiled for X.y runs on X.z with z >= y; PTX for X.y can be compiled by the
driver for anything from X.y on. Of drivers: see `driver_too_old`.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import List, NamedTuple, Optional, Protocol, Sequence, Tuple

from ..core.registry import load
from .fatbin import Capability, Kernels, architecture

#: Adding a framework is one class and one line here.
FRAMEWORKS = {
    "torch": "colab_magics.gpu.torch:Torch",
    "tensorflow": "colab_magics.gpu.frameworks:TensorFlow",
    "jax": "colab_magics.gpu.frameworks:Jax",
}

#: By the CUDA of JAX's plugin, the first capability that it supports. Source: JAX's documentation,
#: "Installation", "NVIDIA GPU".
_JAX_PLUGINS = {13: (7, 5), 12: (5, 2)}
_JAX_WITH_CUDA = "%pin 'jax[cuda12]'"
_TENSORFLOW_WITH_CUDA = "%pin 'tensorflow[and-cuda]'"
#: Of the dictionary in TensorFlow's ``build_info.py``, written as pairs (2.17) or as a literal.
_BUILD_CUDA = re.compile(r"['\"]cuda_version['\"]\s*[,:]\s*['\"](\d+)(?:\.(\d+))?")
_BUILD_CODE = re.compile(r"\b(sm|compute)_(\d+)")
#: Nothing is known of what a library carries.
NO_KERNELS = Kernels()


@dataclass(frozen=True)
class Build:
    """How an installed framework was built.

    ``cuda`` is the CUDA that it was built with, None where it was built without; ``instead`` is
    what to type for a build with it; ``since`` is the first card that one supports which makes its
    code on the card, in place of kernels.
    """

    name: str
    version: str
    cuda: Optional[Tuple[int, int]]
    kernels: Kernels = NO_KERNELS
    instead: str = ""
    since: Optional[Capability] = None


class Framework(Protocol):
    """One framework: how to find it, and what to take where it does not fit."""

    name: str

    def find(self) -> Optional[Build]:
        """The build that this interpreter would import, or None; reads files, imports nothing."""

    def newer(self, card: Capability) -> str:
        """What to take where a card is newer than the build."""

    def older(self, card: Capability) -> str:
        """What to take where a card is older than the build."""


@dataclass(frozen=True)
class Card:
    """A GPU as a framework sees it. ``cuda`` is up to which the driver goes, (0, 0): not known."""

    name: str
    capability: Capability
    driver: str = ""
    cuda: Tuple[int, int] = (0, 0)


def installed() -> List[Tuple[Framework, Build]]:
    """Find the frameworks that are installed."""
    frameworks: List[Framework] = [load(target)() for target in FRAMEWORKS.values()]
    builds = [(framework, framework.find()) for framework in frameworks]
    return [(framework, build) for framework, build in builds if build is not None]


def verdicts(cards: Sequence[Card]) -> List[str]:
    """Say of each installed framework whether it runs on these cards, each line once."""
    lines = [judge(framework, build, card) for framework, build in installed() for card in cards]
    return list(dict.fromkeys(line.text for line in lines))


def unusable(name: str, cards: Sequence[Card]) -> str:
    """Why a framework cannot use one of these cards; empty where it can use them all."""
    builds = [pair for pair in installed() if pair[0].name == name]
    if not builds:
        return f"{name} is not installed: %pin {name}"
    judged = (judge(*pair, card) for pair in builds for card in cards)
    return next((verdict.text for verdict in judged if not verdict.runs), "")


class Judged(NamedTuple):
    """Whether a framework can use a card, as far as that is known, and a line that says it."""

    runs: bool
    text: str


def judge(framework: Framework, build: Build, card: Card) -> Judged:
    """Whether it runs here, and if not, why and what to do."""
    who = f"{build.name} {build.version}"
    sm = "sm_{}{}".format(*card.capability)
    if build.cuda is None:
        return _refused(f"{who} is built without CUDA", build.instead)
    if driver_too_old(build, card):
        text = (
            f"{who} is built for CUDA {build.cuda[0]}.{build.cuda[1]}, and the driver here "
            f"({card.driver}) runs up to {card.cuda[0]}.{card.cuda[1]}"
        )
        return _refused(text, framework.older(card.capability))
    if build.since is not None and card.capability < build.since:
        text = f"{who} needs sm_{build.since[0]}{build.since[1]} or newer, not {sm} ({card.name})"
        return _refused(text, framework.older(card.capability))
    fit = "yes" if build.since is not None else fits(build.kernels, card.capability)
    if fit == "yes":
        return Judged(True, f"{who} runs here ({sm})")
    if fit == "unknown":
        return Judged(True, f"{who}: not known for which cards it is built")
    if fit == "ptx":
        return Judged(True, f"{who} runs here, once the driver has compiled it for {sm}")
    newest = max(build.kernels.sass | build.kernels.ptx)
    hint = framework.newer if card.capability > newest else framework.older
    text = f"{who} has no kernels for {sm} ({card.name})"
    return _refused(text, hint(card.capability))


def _refused(text: str, instead: str) -> Judged:
    return Judged(False, f"{text}: {instead}" if instead else text)


def fits(kernels: Kernels, card: Capability) -> str:
    """Whether there is code for a card: ``yes``, ``ptx``, ``no``, or ``unknown``."""
    if not kernels.sass and not kernels.ptx:
        return "unknown"
    if any(major == card[0] and minor <= card[1] for major, minor in kernels.sass):
        return "yes"
    return "ptx" if any(ptx <= card for ptx in kernels.ptx) else "no"


def driver_too_old(build: Build, card: Card) -> bool:
    """Whether a build is of a newer CUDA major version than the driver's.

    Source: NVIDIA, "CUDA Compatibility", chapter "Minor Version Compatibility": from CUDA 11 on,
    every build of a major version runs on every driver of it, and on later drivers.
    """
    return build.cuda is not None and bool(card.cuda[0]) and build.cuda[0] > card.cuda[0]


class TensorFlow:
    """The tensorflow that this interpreter would import, by the text of its ``build_info.py``."""

    name = "tensorflow"

    def find(self) -> Optional[Build]:
        """See `Framework`."""
        folder = folder_of("tensorflow")
        if folder is None:
            return None
        try:
            text = (folder / "python/platform/build_info.py").read_text(encoding="utf-8")
        except OSError:
            return None
        match = _BUILD_CUDA.search(text)
        cuda = (int(match.group(1)), int(match.group(2) or 0)) if match else None
        codes = [(kind, architecture(int(number))) for kind, number in _BUILD_CODE.findall(text)]
        sass = frozenset(code for kind, code in codes if kind == "sm")
        ptx = frozenset(code for kind, code in codes if kind == "compute")
        release = installed_version("tensorflow", "tensorflow-cpu", "tf-nightly") or "?"
        return Build("tensorflow", release, cuda, Kernels(sass, ptx), _TENSORFLOW_WITH_CUDA)

    def newer(self, card: Capability) -> str:
        """See `Framework`."""
        return "take a newer one: %pin --upgrade tensorflow"

    def older(self, card: Capability) -> str:
        """See `Framework`."""
        return "take an older one"


class Jax:
    """The jax that this interpreter would import: the plugin beside it says for which CUDA it is.

    XLA makes its code on the card. No operation of JAX is run to find out: the first one takes
    three quarters of the card's memory.
    """

    name = "jax"

    def find(self) -> Optional[Build]:
        """See `Framework`."""
        own = installed_version("jax")
        if own is None or folder_of("jax") is None:
            return None
        for cuda, since in _JAX_PLUGINS.items():
            if installed_version(f"jax-cuda{cuda}-plugin"):
                return Build("jax", own, (cuda, 0), instead=_JAX_WITH_CUDA, since=since)
        return Build("jax", own, None, instead=_JAX_WITH_CUDA)

    def newer(self, card: Capability) -> str:
        """See `Framework`."""
        return "take a newer one: %pin --upgrade jax"

    def older(self, card: Capability) -> str:
        """See `Framework`."""
        return "%pin 'jax[cuda12]'" if card >= _JAX_PLUGINS[12] else "take an older one"


def folder_of(name: str) -> Optional[Path]:
    """The folder of a package that is imported already, or would be."""
    module = sys.modules.get(name)
    place = getattr(module, "__file__", None)
    if place is None and module is None:
        try:
            spec = find_spec(name)
        except (ImportError, ValueError):
            return None
        place = spec.origin if spec else None
    return Path(place).parent if place else None


def installed_version(*names: str) -> Optional[str]:
    """Return the version of the first of these distributions that is installed."""
    for name in names:
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return None
