"""PyTorch: its build by its files, and where it is in use, its memory by its own counters."""

from __future__ import annotations

import re
import sys
from contextlib import suppress
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Dict, Iterable, List, Optional, Set, Tuple

from .fatbin import Capability, read_kernels
from .frameworks import Build, Problem, find_folder, read_package_file

#: From which release on the builds have kernels for a major capability that was new then.
#: Source: PyTorch's release notes (1.7 Ampere, 2.0 Hopper with CUDA 11.8, 2.7 Blackwell).
_SINCE = {8: "1.7", 9: "2.0", 10: "2.7", 12: "2.7"}
_LIBRARIES = ("libtorch_cuda.so", "libtorch_cuda_cu.so", "torch_cuda.dll", "libtorch.so")
#: Tensors are searched so deep in containers and objects, and among so many parts of each.
_DEPTH, _WIDTH = 4, 10_000


class Torch:
    """The torch that this interpreter would import, by its ``version.py`` and its library."""

    def find_build(self) -> Optional[Build]:
        """See `Framework`."""
        folder, text = find_folder("torch"), read_package_file("torch", "version.py")
        if folder is None or text is None:
            return None
        version, cuda = _read_string("__version__", text), _read_string("cuda", text)
        if not cuda:
            return Build("torch", version, None)
        libraries = [folder / "lib" / name for name in _LIBRARIES]
        library = next((path for path in libraries if path.is_file()), libraries[0])
        major, _, minor = cuda.partition(".")
        return Build("torch", version, (int(major), int(minor or 0)), read_kernels(library))

    def hint(self, build: Build, problem: Problem, card: Capability) -> str:
        """See `Framework`."""
        since = _SINCE.get(card[0])
        if problem == "new card":
            return f"%pin 'torch>={since}' --torch-backend auto" if since else ""
        # What only the builds for CUDA 12.6 still have. Source: RELEASE.md of PyTorch, "PyTorch
        # CUDA Support Matrix" (2.8 on: 5.0 and 6.0; 2.11 on: 7.0; until 2.14).
        old = problem != "no cuda" and 5 <= card[0] <= 7 and card != (7, 5)
        version = build.version.partition("+")[0]
        return f"%pin torch=={version} --torch-backend {'cu126' if old else 'auto'}"


def _read_string(name: str, text: str) -> str:
    """Return what a line such as ``cuda: Optional[str] = '12.8'`` assigns; empty for None."""
    match = re.search(rf"(?m)^{name}\b[^=\n]*=\s*['\"]([^'\"]*)['\"]", text)
    return match.group(1) if match else ""


@dataclass(frozen=True)
class Peak:
    """The most that torch had on a device, in bytes: in tensors, and with what it reserves."""

    device: str
    tensors: int
    reserved: int


def reset_peaks() -> None:
    """Begin to count peaks anew, once the work that was handed to the GPU is done."""
    cuda = _find_cuda()
    if cuda is not None:
        _synchronize(cuda)
        for at in range(cuda.device_count()):
            cuda.reset_peak_memory_stats(at)


def read_peaks() -> List[Peak]:
    """Return the peaks since `reset_peaks`, once all work of the GPU is done."""
    cuda = _find_cuda()
    if cuda is None:
        return []
    _synchronize(cuda)
    peaks = (
        Peak(f"torch cuda:{at}", cuda.max_memory_allocated(at), cuda.max_memory_reserved(at))
        for at in range(cuda.device_count())
    )
    return [peak for peak in peaks if peak.reserved]


def empty_cache() -> None:
    """Give memory that torch reserves for later back to the GPU."""
    cuda = _find_cuda()
    if cuda is not None:
        cuda.empty_cache()


def measure_variables(variables: Iterable[Tuple[str, Any]]) -> Dict[str, int]:
    """Return the bytes on GPUs that variables hold, by name, without those that hold none.

    Memory that several share counts for the first; a view counts for what it shows.
    """
    sizes: Dict[str, int] = {}
    seen: Set[Any] = set()
    for name, value in variables if _find_cuda() is not None else ():
        with suppress(Exception):  # dead proxies, objects that answer with errors
            sizes[name] = _measure(value, seen)
    return {name: size for name, size in sizes.items() if size}


def first_line(error: Exception) -> str:
    """Return an error of torch, such as CUDA's, as one line."""
    text = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return f"torch: {text[:150]}"


def _measure(value: Any, seen: Set[Any], depth: int = _DEPTH) -> int:
    """Return the bytes of the tensors on a GPU that a value is or holds, those not yet seen."""
    torch = sys.modules["torch"]
    if isinstance(value, torch.Tensor):
        gradient = value.grad if value.is_leaf else None
        return sum(_measure_tensor(x, seen) for x in (value, gradient) if x is not None)
    if id(value) in seen or not depth or isinstance(value, (type, ModuleType)):
        return 0
    seen.add(id(value))
    if isinstance(value, torch.nn.Module):
        parts = [*value.parameters(), *value.buffers()]
    else:
        parts = [*_list_items(value), *_list_items(getattr(value, "__dict__", None))]
    return sum(_measure(part, seen, depth - 1) for part in parts)


def _measure_tensor(tensor: Any, seen: Set[Any]) -> int:
    if not tensor.is_cuda:
        return 0
    try:
        place = ("data", tensor.data_ptr())
    except (RuntimeError, ValueError):  # a sparse tensor has none
        place = ("tensor", id(tensor))
    if place in seen:
        return 0
    seen.add(place)
    return int(tensor.numel() * tensor.element_size())


def _list_items(value: Any) -> List[Any]:
    if isinstance(value, dict):
        return list(dict.values(value))[:_WIDTH]
    return list(value)[:_WIDTH] if isinstance(value, (list, tuple, set, frozenset)) else []


def _find_cuda() -> Any:
    """Return ``torch.cuda`` where it is in use; else None."""
    cuda = getattr(sys.modules.get("torch"), "cuda", None)
    started = getattr(cuda, "is_initialized", None)
    return cuda if started is not None and started() else None


def _synchronize(cuda: Any) -> None:
    for at in range(cuda.device_count()):
        if cuda.memory_reserved(at):  # else it would be given a context, which takes memory
            cuda.synchronize(at)
