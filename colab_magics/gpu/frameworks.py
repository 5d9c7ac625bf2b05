"""Whether the installed frameworks can use the GPUs that are here, importing none of them.

Source of the rule: NVIDIA, "CUDA C++ Programming Guide", 5.1 "Binary Compatibility" and 5.2 "PTX
Compatibility": code compiled for X.y runs on X.z with z >= y; PTX for X.y can be compiled by the
driver for anything from X.y on. For drivers: see `_driver_too_old`.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Iterable, List, Literal, NamedTuple, Optional, Protocol, Sequence, Tuple

from ..core.registry import load
from .fatbin import Capability, Kernels, parse_architecture
from .model import Gpu

#: Adding a framework is one class and one line here.
FRAMEWORKS = {
    "torch": "colab_magics.gpu.torch:Torch",
    "tensorflow": "colab_magics.gpu.frameworks:TensorFlow",
    "jax": "colab_magics.gpu.frameworks:Jax",
}

#: By the CUDA of JAX's plugin, the first capability that it supports. Source: JAX's documentation,
#: "Installation", "NVIDIA GPU".
_JAX_PLUGINS = {13: (7, 5), 12: (5, 2)}
#: In TensorFlow's ``build_info.py``, whose dictionary is written as pairs (2.17) or as a literal.
_BUILD_CUDA = re.compile(r"['\"]cuda_version['\"]\s*[,:]\s*['\"](\d+)(?:\.(\d+))?")
_BUILD_CODE = re.compile(r"\b(sm|compute)_(\d+)")
#: Nothing is known of what a library carries.
NO_KERNELS = Kernels()

#: Why a build cannot use a card: it has no CUDA, needs a newer driver, is too old for the card, or
#: has dropped the card.
Problem = Literal["no cuda", "old driver", "new card", "old card"]


@dataclass(frozen=True)
class Build:
    """How an installed framework was built.

    ``cuda`` is the CUDA that it was built with, None where it was built without; ``since`` the
    first capability of a framework that makes its code on the card and has no kernels.
    """

    name: str
    version: str
    cuda: Optional[Tuple[int, int]]
    kernels: Kernels = NO_KERNELS
    since: Optional[Capability] = None

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


class Framework(Protocol):
    """One framework: how it was built, and what to install where that does not fit."""

    def find_build(self) -> Optional[Build]:
        """Return the build that this interpreter would import, from its files alone."""

    def hint(self, build: Build, problem: Problem, card: Capability) -> str:
        """Return what to install instead of a build that cannot use a card."""


class Fit(NamedTuple):
    """Whether a framework can use a card, as far as that is known, and a line that says so."""

    runs: bool
    text: str


def describe_frameworks(gpus: Sequence[Gpu]) -> List[str]:
    """Say of each installed framework whether it runs on these GPUs, each line once."""
    lines = [
        judge(framework, build, gpu).text
        for framework, build in _find_builds(FRAMEWORKS)
        for gpu in _list_usable(gpus)
    ]
    return list(dict.fromkeys(lines))


def find_problem(name: str, gpus: Sequence[Gpu]) -> str:
    """Return why a framework cannot use one of these GPUs; empty where it can use them all."""
    builds = _find_builds([name])
    if not builds:
        return f"{name} is not installed: %pin {name}"
    judged = (judge(*builds[0], gpu) for gpu in _list_usable(gpus))
    return next((fit.text for fit in judged if not fit.runs), "")


def _find_builds(names: Iterable[str]) -> List[Tuple[Framework, Build]]:
    frameworks: List[Framework] = [load(FRAMEWORKS[name])() for name in names]
    builds = [(framework, framework.find_build()) for framework in frameworks]
    return [(framework, build) for framework, build in builds if build is not None]


def _list_usable(gpus: Sequence[Gpu]) -> List[Gpu]:
    return [gpu for gpu in gpus if gpu.capability is not None and not gpu.hidden]


def judge(framework: Framework, build: Build, gpu: Gpu) -> Fit:
    """Return whether a framework's build runs on a GPU, and if not, what to install instead."""
    card = gpu.capability or (0, 0)
    problem, text = _find_misfit(build, gpu, card)
    if problem is None:
        return Fit(True, text)
    hint = framework.hint(build, problem, card)
    return Fit(False, f"{text}: {hint}" if hint else text)


def _find_misfit(build: Build, gpu: Gpu, card: Capability) -> Tuple[Optional[Problem], str]:
    """Return what is wrong with a build for a card, or None, and a line that says it."""
    sm = "sm_{}{}".format(*card)
    if build.cuda is None:
        return "no cuda", f"{build} is built without CUDA"
    if _driver_too_old(build.cuda, gpu):
        return "old driver", (
            f"{build} is built for CUDA {build.cuda[0]}.{build.cuda[1]}, and the driver here "
            f"({gpu.driver}) runs up to {gpu.cuda[0]}.{gpu.cuda[1]}"
        )
    if build.since is not None and card < build.since:
        needed = "sm_{}{}".format(*build.since)
        return "old card", f"{build} needs {needed} or newer, not {sm} ({gpu.name})"
    match = "yes" if build.since is not None else match_kernels(build.kernels, card)
    if match == "no":
        newest = max(build.kernels.sass | build.kernels.ptx)
        problem: Problem = "new card" if card > newest else "old card"
        return problem, f"{build} has no kernels for {sm} ({gpu.name})"
    return None, {
        "yes": f"{build} runs here ({sm})",
        "ptx": f"{build} runs here, once the driver has compiled it for {sm}",
        "unknown": f"{build}: not known for which cards it is built",
    }[match]


def match_kernels(kernels: Kernels, card: Capability) -> Literal["yes", "ptx", "no", "unknown"]:
    """Tell whether there is code for a card: compiled, or to be compiled by the driver (PTX)."""
    if not kernels.sass and not kernels.ptx:
        return "unknown"
    if any(major == card[0] and minor <= card[1] for major, minor in kernels.sass):
        return "yes"
    return "ptx" if any(ptx <= card for ptx in kernels.ptx) else "no"


def _driver_too_old(cuda: Tuple[int, int], gpu: Gpu) -> bool:
    """Tell whether a build is of a newer CUDA major version than the driver's, where that is known.

    Source: NVIDIA, "CUDA Compatibility", chapter "Minor Version Compatibility": from CUDA 11 on,
    every build of a major version runs on every driver of it, and on later drivers.
    """
    return 0 < gpu.cuda[0] < cuda[0]


class TensorFlow:
    """The tensorflow that this interpreter would import, by the text of its ``build_info.py``."""

    def find_build(self) -> Optional[Build]:
        """See `Framework`."""
        text = read_package_file("tensorflow", "python/platform/build_info.py")
        if text is None:
            return None
        match = _BUILD_CUDA.search(text)
        cuda = (int(match.group(1)), int(match.group(2) or 0)) if match else None
        codes = [
            (kind, parse_architecture(int(number))) for kind, number in _BUILD_CODE.findall(text)
        ]
        sass = frozenset(code for kind, code in codes if kind == "sm")
        ptx = frozenset(code for kind, code in codes if kind == "compute")
        release = installed_version("tensorflow", "tensorflow-cpu", "tf-nightly") or "?"
        return Build("tensorflow", release, cuda, Kernels(sass, ptx))

    def hint(self, build: Build, problem: Problem, card: Capability) -> str:
        """See `Framework`."""
        if problem == "no cuda":
            return "%pin 'tensorflow[and-cuda]'"
        return "%pin --upgrade tensorflow" if problem == "new card" else "install an older version"


class Jax:
    """The jax that this interpreter would import: the plugin beside it says for which CUDA it is.

    XLA makes its code on the card. No operation of JAX is run to find out: the first one takes
    three quarters of the card's memory.
    """

    def find_build(self) -> Optional[Build]:
        """See `Framework`."""
        own = installed_version("jax")
        if own is None or find_folder("jax") is None:
            return None
        for cuda, since in _JAX_PLUGINS.items():
            if installed_version(f"jax-cuda{cuda}-plugin"):
                return Build("jax", own, (cuda, 0), since=since)
        return Build("jax", own, None)

    def hint(self, build: Build, problem: Problem, card: Capability) -> str:
        """See `Framework`."""
        fits_plugin = problem == "no cuda" or card >= _JAX_PLUGINS[12]
        return "%pin 'jax[cuda12]'" if fits_plugin else "install an older version"


def find_folder(name: str) -> Optional[Path]:
    """Return the folder of a package that is imported already, or would be."""
    module = sys.modules.get(name)
    place = getattr(module, "__file__", None)
    if place is None and module is None:
        try:
            spec = find_spec(name)
        except (ImportError, ValueError):
            return None
        place = spec.origin if spec else None
    return Path(place).parent if place else None


def read_package_file(package: str, path: str) -> Optional[str]:
    """Return the text of a file of a package that is not imported for it; None without one."""
    folder = find_folder(package)
    try:
        return (folder / path).read_text(encoding="utf-8") if folder else None
    except OSError:
        return None


def installed_version(*names: str) -> Optional[str]:
    """Return the version of the first of these distributions that is installed."""
    for name in names:
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return None
