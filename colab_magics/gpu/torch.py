"""PyTorch: its build by its files, and where it is in use, its memory by its own counters."""

from __future__ import annotations

import re
import sys
from contextlib import suppress
from types import ModuleType
from typing import Any, Dict, Iterable, List, Optional, Set, Tuple

from .fatbin import Capability, kernels
from .frameworks import Build, folder_of
from .measurement import Peak

#: From which release on the builds have kernels for a major capability that was new then.
#: Source: PyTorch's release notes (1.7 Ampere, 2.0 Hopper with CUDA 11.8, 2.7 Blackwell).
_SINCE = {8: "1.7", 9: "2.0", 10: "2.7", 12: "2.7"}
#: The capabilities that only the builds for CUDA 12.6 still have. Source: RELEASE.md of PyTorch,
#: "PyTorch CUDA Support Matrix" (2.8 on: 5.0 and 6.0; 2.11 on: 7.0; until 2.14).
_ONLY_CU126 = (5, 7)
_LIBRARIES = ("libtorch_cuda.so", "libtorch_cuda_cu.so", "torch_cuda.dll", "libtorch.so")
#: Tensors are found so deep in containers and objects, and among so many parts of each.
_DEPTH, _WIDTH = 4, 10_000


class Torch:
    """The torch that this interpreter would import, by its ``version.py`` and its library."""

    name = "torch"

    def find(self) -> Optional[Build]:
        """See `Framework`."""
        folder = folder_of("torch")
        if folder is None:
            return None
        try:
            text = (folder / "version.py").read_text(encoding="utf-8")
        except OSError:
            return None
        version, cuda = _assigned("__version__", text), _assigned("cuda", text)
        plain = version.partition("+")[0]
        instead = f"%pin torch=={plain} --torch-backend auto"
        if not cuda:
            return Build("torch", version, None, instead=instead)
        libraries = [folder / "lib" / name for name in _LIBRARIES]
        library = next((place for place in libraries if place.is_file()), libraries[0])
        major, _, minor = cuda.partition(".")
        return Build("torch", version, (int(major), int(minor or 0)), kernels(library), instead)

    def newer(self, card: Capability) -> str:
        """See `Framework`."""
        since = _SINCE.get(card[0])
        return (
            f"{since} and later have: %pin 'torch>={since}' --torch-backend auto" if since else ""
        )

    def older(self, card: Capability) -> str:
        """See `Framework`."""
        first, last = _ONLY_CU126
        if first <= card[0] <= last and card != (7, 5):
            return "builds for CUDA 12.6 may: --torch-backend cu126"
        return "take --torch-backend auto"


def _assigned(name: str, text: str) -> str:
    """Read what a line such as ``cuda: Optional[str] = '12.8'`` assigns; empty for None."""
    match = re.search(rf"(?m)^{name}\b[^=\n]*=\s*['\"]([^'\"]*)['\"]", text)
    return match.group(1) if match else ""


class TorchMemory:
    """PyTorch's own peak counters, where it is loaded and has used CUDA; see `Meter`.

    They start anew with each measurement, which is how PyTorch means them to be used; what has a
    context is waited for, since work is handed to a GPU and goes on there.
    """

    def begin(self) -> None:
        """See `Meter`."""
        cuda = _cuda()
        if cuda is not None:
            _wait(cuda)
            for at in range(cuda.device_count()):
                cuda.reset_peak_memory_stats(at)

    def peaks(self) -> List[Peak]:
        """See `Meter`."""
        cuda = _cuda()
        if cuda is None:
            return []
        _wait(cuda)
        peaks = (
            Peak(f"torch cuda:{at}", cuda.max_memory_allocated(at), cuda.max_memory_reserved(at))
            for at in range(cuda.device_count())
        )
        return [peak for peak in peaks if peak.reserved]

    def free(self) -> None:
        """See `Meter`."""
        cuda = _cuda()
        if cuda is not None:
            cuda.empty_cache()

    def held(self, variables: Iterable[Tuple[str, Any]]) -> Dict[str, int]:
        """See `Meter`; memory that several share counts for the first, views for what they see."""
        sizes: Dict[str, int] = {}
        seen: Set[Any] = set()
        for name, value in variables if _cuda() is not None else ():
            with suppress(Exception):  # proxies of what is gone, objects that answer with errors
                sizes[name] = _size(value, seen)
        return {name: size for name, size in sizes.items() if size}


def _size(value: Any, seen: Set[Any], depth: int = _DEPTH) -> int:
    """Add up the bytes of the tensors on a GPU that a value is or holds, those not yet seen."""
    torch = sys.modules["torch"]
    if isinstance(value, torch.Tensor):
        return _tensor_size(value, seen) + _tensor_size(value.grad if value.is_leaf else None, seen)
    if id(value) in seen or not depth or isinstance(value, (type, ModuleType)):
        return 0
    seen.add(id(value))
    if isinstance(value, torch.nn.Module):
        parts = [*value.parameters(), *value.buffers()]
    else:
        parts = [*_items(value), *_items(getattr(value, "__dict__", None))]
    return sum(_size(part, seen, depth - 1) for part in parts)


def _tensor_size(tensor: Any, seen: Set[Any]) -> int:
    if tensor is None or not tensor.is_cuda:
        return 0
    try:
        place = ("data", tensor.data_ptr())
    except (RuntimeError, ValueError):  # a sparse one has none
        place = ("tensor", id(tensor))
    if place in seen:
        return 0
    seen.add(place)
    return int(tensor.numel() * tensor.element_size())


def _items(value: Any) -> List[Any]:
    """List the parts of a container; of a very large one, the first of them."""
    if isinstance(value, dict):
        return list(dict.values(value))[:_WIDTH]
    return list(value)[:_WIDTH] if isinstance(value, (list, tuple, set, frozenset)) else []


def _cuda() -> Any:
    """``torch.cuda``, where it is in use; else None."""
    cuda = getattr(sys.modules.get("torch"), "cuda", None)
    started = getattr(cuda, "is_initialized", None)
    return cuda if started is not None and started() else None


def _wait(cuda: Any) -> None:
    for at in range(cuda.device_count()):
        if cuda.memory_reserved(at):  # else it would be given a context, which takes memory
            cuda.synchronize(at)
