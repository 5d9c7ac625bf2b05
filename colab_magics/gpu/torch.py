"""PyTorch: its version from ``torch/version.py``, its kernels from the library itself; and, where
it is in use, its memory from its own counters.
"""

from __future__ import annotations

import re
import sys
from itertools import islice
from types import ModuleType
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional, Set, Tuple

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


class Torch:
    """The torch that this interpreter would import."""

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
        version, cuda = _said("__version__", text), _said("cuda", text)
        plain = version.partition("+")[0]
        instead = f"%pin torch=={plain} --torch-backend auto"
        if not cuda:
            return Build("torch", version, None, instead=instead)
        libraries = [place for name in _LIBRARIES for place in [folder / "lib" / name]]
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


def _said(name: str, text: str) -> str:
    """What a line such as ``cuda: Optional[str] = '12.8'`` says; empty for None."""
    found = re.search(rf"(?m)^{name}\b[^=\n]*=\s*['\"]([^'\"]*)['\"]", text)
    return found.group(1) if found else ""


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
        found = (
            Peak(f"torch cuda:{at}", cuda.max_memory_allocated(at), cuda.max_memory_reserved(at))
            for at in range(cuda.device_count())
        )
        return [peak for peak in found if peak.reserved]

    def free(self) -> None:
        """See `Meter`."""
        cuda = _cuda()
        if cuda is not None:
            cuda.empty_cache()

    def held(self, namespace: Mapping[str, Any]) -> Dict[str, int]:
        """See `Meter`; memory that several share counts for the first, views for what they see."""
        if _cuda() is None:
            return {}
        seen: Set[Any] = set()
        names = [(name, value) for name, value in namespace.items() if not _OURS.match(name)]
        names += [(f"Out[{at}]", value) for at, value in _items(namespace.get("Out"))]
        sizes = {name: _size(value, seen) for name, value in names}
        return {name: size for name, size in sizes.items() if size}


#: What IPython keeps beside a user's variables.
_OURS = re.compile(r"_+(i*|[ido]?h|\d+|i\d+)$|(In|Out|exit|quit|get_ipython)$")
#: A tensor is looked for so deep in lists, dictionaries and objects, and among so many of each.
_DEPTH, _WIDTH = 4, 10_000


def _size(value: Any, seen: Set[Any]) -> int:
    """The bytes that a variable holds; what cannot be looked into, holds none that we can name."""
    try:
        return sum(_sizes(value, seen, _DEPTH))
    except Exception:  # proxies of what is gone, and objects that answer with errors
        return 0


def _sizes(value: Any, seen: Set[Any], depth: int) -> Iterator[int]:
    """The bytes of each tensor on a GPU that is reached from a value, each once."""
    torch = sys.modules["torch"]
    if isinstance(value, torch.Tensor):
        for tensor in (value, value.grad if value.is_leaf else None):
            if tensor is None or not tensor.is_cuda:
                continue
            place = _place(tensor)
            if place not in seen:
                seen.add(place)
                yield tensor.numel() * tensor.element_size()
        return
    if id(value) in seen or not depth or isinstance(value, (type, ModuleType)):
        return
    seen.add(id(value))
    if isinstance(value, torch.nn.Module):
        parts = [*value.parameters(), *value.buffers()]
    else:
        own = getattr(value, "__dict__", None)
        parts = [part for _, part in (*_items(value), *_items(own))]
    for part in parts:
        yield from _sizes(part, seen, depth - 1)


def _place(tensor: Any) -> Any:
    """Where a tensor's memory is, by which views of one are known; a sparse one has no place."""
    try:
        return "at", tensor.data_ptr()
    except (RuntimeError, ValueError):
        return "id", id(tensor)


def _items(value: Any) -> List[Tuple[Any, Any]]:
    """Keys and values of what holds some; too many are not looked through."""
    found: Iterable[Tuple[Any, Any]] = ()
    if isinstance(value, dict):
        found = list(dict.items(value))
    elif isinstance(value, (list, tuple, set, frozenset)):
        found = enumerate(value)
    return list(islice(found, _WIDTH))


def _cuda() -> Any:
    """``torch.cuda``, where it is in use; else None."""
    cuda = getattr(sys.modules.get("torch"), "cuda", None)
    started = getattr(cuda, "is_initialized", None)
    return cuda if started is not None and started() else None


def _wait(cuda: Any) -> None:
    for at in range(cuda.device_count()):
        if cuda.memory_reserved(at):  # else it would be given a context, which takes memory
            cuda.synchronize(at)
