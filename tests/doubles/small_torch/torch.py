"""A torch of the shape that pickling tensors relies on: memory that tensors share, and devices.

`tests/integration/test_checkpoint_torch.py` checks that the real one does the same.
"""

from __future__ import annotations

import ctypes
import random
from types import SimpleNamespace
from typing import Any, Iterator, List, Optional, Tuple

float64 = "torch.float64"
#: How many GPUs there are; a test sets it.
GPUS = 0
_random = random.Random(0)
cuda = SimpleNamespace(
    is_available=lambda: GPUS > 0,
    is_initialized=lambda: GPUS > 0,
    device_count=lambda: GPUS,
    get_rng_state_all=lambda: [f"state {at}" for at in range(GPUS)],
    set_rng_state_all=lambda states: SET.append(states),
)
#: What the states of the GPUs were set to.
SET: List[Any] = []


def manual_seed(seed: int) -> None:
    _random.seed(seed)


def get_rng_state() -> Any:
    return _random.getstate()


def set_rng_state(state: Any) -> None:
    _random.setstate(state)


def rand(*shape: int) -> Tensor:
    [count] = shape
    return tensor([_random.random() for _ in range(count)])


class UntypedStorage:
    """Bytes of a device. Several of these may be of the same memory."""

    def __init__(self, size: int, memory: Any = None, device: str = "cpu") -> None:
        self._memory = (ctypes.c_ubyte * size)() if memory is None else memory
        self.device = device

    @property
    def _cdata(self) -> int:
        return id(self._memory)

    def nbytes(self) -> int:
        return len(self._memory)

    def data_ptr(self) -> int:
        assert self.device == "cpu", "no memory of this process"
        return ctypes.addressof(self._memory)

    def cpu(self) -> UntypedStorage:
        return self if self.device == "cpu" else self._copy("cpu")

    def cuda(self, device: int) -> UntypedStorage:
        assert device < GPUS
        return self._copy(f"cuda:{device}")

    def _copy(self, device: str) -> UntypedStorage:
        copy = type(self._memory).from_buffer_copy(self._memory)
        return UntypedStorage(len(copy), copy, device)

    def __reduce__(self) -> Any:
        raise AssertionError("the storage was pickled, not its memory")


class TypedStorage:
    def __init__(self, *, wrap_storage: UntypedStorage, dtype: str, _internal: bool) -> None:
        assert _internal
        self._untyped_storage, self.dtype = wrap_storage, dtype

    def __reduce__(self) -> Any:
        raise AssertionError("the storage was pickled, not its memory")


storage = SimpleNamespace(TypedStorage=TypedStorage)


class Tensor:
    """Numbers of a storage: an offset, a shape and strides, in numbers."""

    def __init__(
        self, typed: TypedStorage, offset: int, shape: Tuple[int, ...], strides: Tuple[int, ...]
    ) -> None:
        self._typed, self._place = typed, (offset, shape, strides)
        self.requires_grad, self.is_leaf, self.grad = False, True, None

    def __reduce_ex__(self, protocol: int) -> Any:
        # As in `torch.Tensor._reduce_ex_internal`: a new object for the same storage.
        assert self.is_leaf, "its graph would be pickled"
        raw = self._typed._untyped_storage
        again = UntypedStorage(raw.nbytes(), raw._memory, raw.device)
        typed = TypedStorage(wrap_storage=again, dtype=self._typed.dtype, _internal=True)
        return _rebuild_tensor_v2, (typed, *self._place, self.requires_grad, {})

    @property
    def device(self) -> str:
        return self._typed._untyped_storage.device

    @property
    def shape(self) -> Tuple[int, ...]:
        return self._place[1]

    @property
    def data(self) -> Tensor:
        return self.detach()

    def untyped_storage(self) -> UntypedStorage:
        return self._typed._untyped_storage

    def detach(self) -> Tensor:
        return Tensor(self._typed, *self._place)

    def requires_grad_(self) -> Tensor:
        self.requires_grad = True
        return self

    def cuda(self, device: int) -> Tensor:
        raw = self._typed._untyped_storage.cuda(device)
        return Tensor(_typed(raw), *self._place)

    def __mul__(self, factor: float) -> Tensor:
        made = tensor([x * factor for x in self.tolist()])
        made.requires_grad, made.is_leaf = self.requires_grad, not self.requires_grad
        return made

    def __getitem__(self, part: slice) -> Tensor:
        offset, [count], [stride] = self._place
        begin, end, _ = part.indices(count)
        return Tensor(self._typed, offset + begin * stride, (end - begin,), (stride,))

    def __setitem__(self, at: int, value: float) -> None:
        offset, _, [stride] = self._place
        self._numbers()[offset + at * stride] = value

    def view(self, *shape: int) -> Tensor:
        return Tensor(self._typed, self._place[0], shape, (shape[1], 1))

    @property
    def T(self) -> Tensor:
        offset, shape, strides = self._place
        return Tensor(self._typed, offset, shape[::-1], strides[::-1])

    def tolist(self) -> List[Any]:
        offset, shape, strides = self._place
        return list(_rows(self._numbers(), offset, shape, strides))

    def _numbers(self) -> Any:
        raw = self._typed._untyped_storage
        return (ctypes.c_double * (raw.nbytes() // 8)).from_buffer(raw._memory)


def _rows(numbers: Any, at: int, shape: Tuple[int, ...], strides: Tuple[int, ...]) -> Iterator[Any]:
    for _ in range(shape[0]):
        yield numbers[at] if len(shape) == 1 else list(_rows(numbers, at, shape[1:], strides[1:]))
        at += strides[0]


def _typed(raw: UntypedStorage) -> TypedStorage:
    return TypedStorage(wrap_storage=raw, dtype=float64, _internal=True)


def tensor(values: List[float], dtype: str = float64) -> Tensor:
    made = Tensor(_typed(UntypedStorage(8 * len(values))), 0, (len(values),), (1,))
    for at, value in enumerate(values):
        made[at] = value
    return made


def _rebuild_tensor_v2(
    typed: TypedStorage, offset: int, shape: Any, strides: Any, requires_grad: bool, hooks: Any
) -> Tensor:
    made = Tensor(typed, offset, shape, strides)
    made.requires_grad = requires_grad
    return made


class Parameter(Tensor):
    """A tensor that is trained; it has the memory of another one."""

    def __init__(self, data: Optional[Tensor] = None) -> None:
        assert data is not None
        super().__init__(data._typed, *data._place)
        self.requires_grad = True

    def __reduce_ex__(self, protocol: int) -> Any:
        return _rebuild_parameter, (self.data, self.requires_grad, {})


def _rebuild_parameter(data: Tensor, requires_grad: bool, hooks: Any) -> Parameter:
    return Parameter(data)


nn = SimpleNamespace(Parameter=Parameter)
