"""How arrays, tensors and data frames are pickled: out of band, and sharing memory as before.

numpy pickles a view as a copy and torch each tensor with a copy of its storage: a later change of
one would no longer be seen in the other. Nothing is imported here that the kernel has not imported.
"""

from __future__ import annotations

import ctypes
import sys
from pickle import PickleBuffer, PicklingError
from typing import Any, Callable, Dict, Tuple

Reduced = Tuple[Any, ...]


def _loaded(name: str) -> Any:
    return sys.modules.get(name)


# ---------------------------------------------------------------------- numpy
def reduce_array(array: Any) -> Any:
    """Reduce a view to the array whose memory it shows; `NotImplemented` for what has its own."""
    numpy = sys.modules["numpy"]
    root = array
    while type(root.base) is numpy.ndarray:
        root = root.base
    owned = root is array or not array.size or type(root) is not numpy.ndarray
    if owned or array.dtype.hasobject != root.dtype.hasobject:
        return _copy_strided(array)
    flat = root if root.flags.c_contiguous else root.T
    if not flat.flags.c_contiguous or (array.dtype.hasobject and array.dtype != root.dtype):
        return _copy_strided(array)
    start, first = (x.__array_interface__["data"][0] for x in (root, array))
    place = first - start, array.shape, array.strides, array.dtype
    return _view_array, (root, *place, array.flags.writeable)


def _copy_strided(array: Any) -> Any:
    if array.flags.forc or array.dtype.hasobject:
        return NotImplemented
    return array.copy(order="K").__reduce_ex__(5)


def _view_array(
    root: Any, offset: int, shape: Any, strides: Any, dtype: Any, writeable: bool
) -> Any:
    numpy = sys.modules["numpy"]
    flat = (root if root.flags.c_contiguous else root.T).reshape(-1)
    if dtype.hasobject:
        place = flat[offset // dtype.itemsize :]
        view = numpy.lib.stride_tricks.as_strided(place, shape, strides)
    else:
        view = numpy.ndarray(shape, dtype, flat.view(numpy.uint8), offset, strides)
    if not writeable:
        view.flags.writeable = False
    return view


# ---------------------------------------------------------------------- pandas
class _Apart:
    """An array of a data frame: pandas copies on write by counts that a pickle does not have."""

    def __init__(self, values: Any) -> None:
        self._values = values

    def __reduce__(self) -> Any:
        if hasattr(self._values, "__array_interface__"):
            reduced = _copy_strided(self._values)
            return self._values.view().__reduce_ex__(5) if reduced is NotImplemented else reduced
        return self._values.copy().__reduce_ex__(5)


def _reduce_block(block: Any) -> Any:
    function, (values, *rest), *more = block.__reduce_ex__(5)
    return (function, (_Apart(values), *rest), *more)


def _copies_on_write(pandas: Any) -> bool:
    if int(pandas.__version__.split(".")[0]) >= 3:
        return True
    return getattr(pandas.options.mode, "copy_on_write", False) is True


# ---------------------------------------------------------------------- torch
class _Storage:
    """The memory of tensors, once for all of them."""

    def __init__(self, storage: Any) -> None:
        self._device = str(storage.device)
        self._storage = storage.cpu()

    def __reduce__(self) -> Reduced:
        size = self._storage.nbytes()
        if not size:
            return _make_storage, (b"", self._device)
        memory = (ctypes.c_ubyte * size).from_address(self._storage.data_ptr())
        memory._storage = self._storage
        return _make_storage, (PickleBuffer(memory), self._device)


def _make_storage(data: Any, device: str) -> Any:
    import torch

    view = memoryview(data)
    storage = torch.UntypedStorage(view.nbytes)
    if view.nbytes:
        ctypes.memmove(storage.data_ptr(), ctypes.addressof(_address(view)), view.nbytes)
    if device == "cpu":
        return storage
    if device.startswith("cuda") and torch.cuda.is_available():
        index = int(device.partition(":")[2] or 0)
        return storage.cuda(index if index < torch.cuda.device_count() else 0)
    MOVED.add(device)
    return storage


def _address(view: memoryview) -> Any:
    data = view if not view.readonly else bytearray(view)
    return (ctypes.c_ubyte * view.nbytes).from_buffer(data)


#: Devices that are not here, whose tensors the last load has put on the CPU.
MOVED: set[str] = set()


def _make_typed(storage: Any, dtype: Any) -> Any:
    import torch

    return torch.storage.TypedStorage(wrap_storage=storage, dtype=dtype, _internal=True)


def _same_storage(storage: Any) -> Any:
    return storage


def _reduce_tensor(tensor: Any) -> Any:
    """Reduce a tensor with its gradient; one that is computed, as a value without its graph."""
    if not tensor.is_leaf:
        return tensor.detach().__reduce_ex__(5)
    if tensor.grad is None:
        return NotImplemented
    return (*tensor.__reduce_ex__(5)[:2], tensor.grad, None, None, _set_grad)


def _set_grad(tensor: Any, grad: Any) -> None:
    tensor.grad = grad


# ---------------------------------------------------------------------- what a pickler takes
def reducers() -> Dict[type, Callable[[Any], Any]]:
    """Return reducers by type, for the libraries that are loaded; each set shares storages."""
    table: Dict[type, Callable[[Any], Any]] = {}
    numpy, pandas, torch = _loaded("numpy"), _loaded("pandas"), _loaded("torch")
    if hasattr(numpy, "memmap"):
        table[numpy.ndarray] = reduce_array
        table[numpy.memmap] = _refuse_memmap
    if hasattr(pandas, "DataFrame") and _copies_on_write(pandas):
        blocks = sys.modules["pandas.core.internals.blocks"]
        kinds = [kind for kind in vars(blocks).values() if isinstance(kind, type)]
        table.update((k, _reduce_block) for k in kinds if issubclass(k, blocks.Block))
    if hasattr(torch, "UntypedStorage"):
        storages: Dict[int, Tuple[_Storage, Any]] = {}

        def share(storage: Any) -> _Storage:
            # The storage is held too, so that its address stays its own.
            return storages.setdefault(storage._cdata, (_Storage(storage), storage))[0]

        table[torch.UntypedStorage] = lambda storage: (_same_storage, (share(storage),))
        table[torch.storage.TypedStorage] = lambda storage: (
            _make_typed,
            (share(storage._untyped_storage), storage.dtype),
        )
        table[torch.Tensor] = table[torch.nn.Parameter] = _reduce_tensor
    return table


def _refuse_memmap(array: Any) -> Any:
    raise PicklingError("it shows a file, which is not saved with it")
