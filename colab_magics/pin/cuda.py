"""Whether the CUDA build that is about to be downloaded can run on the GPU that is here.

Source: NVIDIA, "CUDA Compatibility", chapter "Minor Version Compatibility"
(https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html): from CUDA 11
on, what was built with any toolkit of a major version runs on a driver of the same major version
(11.x from driver 450 on, 12.x from 525, 13.x from 580), and on every later driver. So only a newer
major version is told. The "forward compatibility" package lifts that on some cards of data
centres; hence it is said, and never refused.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, List, Optional, Tuple

from ..core.display import amount
from ..core.registry import load
from .plan import Plan

if TYPE_CHECKING:
    from ..gpu.nvidia import Driver


#: Who knows the driver: the vendor's file, which knows nothing of packages.
DRIVER = "colab_magics.gpu.nvidia:driver"

#: Bytes for a GPU that is not there, from which on it is said.
_BIG = 500e6
#: The builds of PyTorch for a driver's major version: see the note on minor versions above.
_BACKENDS = {12: "cu126", 11: "cu118"}
_RUNTIME = re.compile(r"nvidia-cuda-runtime(?:-cu\d+)?")
_LOCAL = re.compile(r"\+cu(\d+)(\d)\b")


def advice(plan: Plan, installer: str) -> List[str]:
    """A line where what is planned cannot run on this machine's GPU, or is for one in vain."""
    built = _built(plan)
    if built is None:
        return []
    driver = _driver()
    if driver is None:
        return []
    who, cuda = built
    if not driver.gpus:
        size = sum(item.size or 0 for item in plan.values() if _for_gpu(item.name, item.version))
        if size <= _BIG:
            return []
        instead = _instead("cpu", plan, installer)
        return [f"no NVIDIA GPU here, and {amount(size)} of this is for one{instead}"]
    if not driver.cuda[0] or cuda[0] <= driver.cuda[0]:
        return []
    backend = _BACKENDS.get(driver.cuda[0], "cpu")
    return [
        f"{who} is built for CUDA {_dotted(cuda)}; this driver ({driver.version}) runs up to "
        f"{_dotted(driver.cuda)}{_instead(backend, plan, installer)}"
    ]


@lru_cache(maxsize=1)
def _driver() -> Optional[Driver]:
    found: Optional[Driver] = load(DRIVER)()
    return found


def _built(plan: Plan) -> Optional[Tuple[str, Tuple[int, int]]]:
    """What is built for a CUDA, and which: by its version, else by the runtime that it brings."""
    for item in plan.values():
        local = _LOCAL.search(item.version)
        if local:
            version = item.version.split("+")[0]
            return f"{item.name} {version}", (int(local.group(1)), int(local.group(2)))
    for item in plan.values():
        found = re.match(r"(\d+)\.(\d+)", item.version)
        if _RUNTIME.fullmatch(item.name) and found:
            named = plan.get("torch", item)
            return f"{named.name} {named.version}", (int(found.group(1)), int(found.group(2)))
    return None


def _for_gpu(name: str, version: str) -> bool:
    return name.startswith("nvidia-") or _LOCAL.search(version) is not None


def _instead(backend: str, plan: Plan, installer: str) -> str:
    """What to take in its place, where that is a matter of one option."""
    if "torch" not in plan:
        return ""
    if installer == "uv":
        return f": take --torch-backend {backend}"
    return f": take --index-url https://download.pytorch.org/whl/{backend}"


def _dotted(version: Tuple[int, int]) -> str:
    return ".".join(map(str, version))
