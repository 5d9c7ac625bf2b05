"""Whether the CUDA build that is about to be downloaded can run on this machine's GPU.

Source: NVIDIA, "CUDA Compatibility", chapter "Minor Version Compatibility"
(https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html): from CUDA 11
on, a build runs on a driver of the same major version and on every later one (11.x from driver 450
on, 12.x from 525, 13.x from 580). The "forward compatibility" package lifts that on some cards of
data centres; so a newer major version gets a message, and is never refused.
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


#: Loaded on use: most plans have no CUDA build.
_DRIVER = "colab_magics.gpu.nvidia:driver"
#: Bytes that are worth a message where there is no GPU.
_BIG = 500e6
#: PyTorch's builds by the driver's major version.
_BACKENDS = {12: "cu126", 11: "cu118"}
_RUNTIME = re.compile(r"nvidia-cuda-runtime(?:-cu\d+)?")
_LOCAL = re.compile(r"\+cu(\d+)(\d)\b")
_VERSION = re.compile(r"(\d+)\.(\d+)")


def advice(plan: Plan, installer: str) -> List[str]:
    """Return a line if what is planned cannot run on this machine's GPU, or there is no GPU."""
    build = _build(plan)
    driver = _driver() if build is not None else None
    if build is None or driver is None:
        return []
    if not driver.gpus:
        items = [
            x for x in plan.values() if x.name.startswith("nvidia-") or _LOCAL.search(x.version)
        ]
        size = sum(item.size or 0 for item in items)
        text = f"no NVIDIA GPU here, and {amount(size)} of this is for one"
        return [text + _instead("cpu", plan, installer)] if size > _BIG else []
    name, major, minor = build
    if not driver.cuda[0] or major <= driver.cuda[0]:
        return []
    backend = _BACKENDS.get(driver.cuda[0], "cpu")
    return [
        f"{name} is built for CUDA {major}.{minor}; this driver ({driver.version}) runs up to "
        f"{'.'.join(map(str, driver.cuda))}{_instead(backend, plan, installer)}"
    ]


@lru_cache(maxsize=1)
def _driver() -> Optional[Driver]:
    driver: Optional[Driver] = load(_DRIVER)()
    return driver


def _build(plan: Plan) -> Optional[Tuple[str, int, int]]:
    """Return what is built for a CUDA, and its version: the local one, else the runtime's."""
    for item in plan.values():
        local = _LOCAL.search(item.version)
        if local:
            return f"{item.name} {item.version.split('+')[0]}", int(local[1]), int(local[2])
    for item in plan.values():
        version = _VERSION.match(item.version) if _RUNTIME.fullmatch(item.name) else None
        if version:
            named = plan.get("torch", item)
            return f"{named.name} {named.version}", int(version[1]), int(version[2])
    return None


def _is_for_gpu(name: str, version: str) -> bool:
    return name.startswith("nvidia-") or _LOCAL.search(version) is not None


def _instead(backend: str, plan: Plan, installer: str) -> str:
    """Return the option that selects another build, if the plan has PyTorch."""
    if "torch" not in plan:
        return ""
    url = f"--index-url https://download.pytorch.org/whl/{backend}"
    return f": take {f'--torch-backend {backend}' if installer == 'uv' else url}"
