"""NVIDIA GPUs by NVML, through ``nvidia-ml-py`` (the module ``pynvml``).

Source: NVIDIA's NVML API reference. A field that the driver does not support is None, never 0.
"""

from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Iterator, List, NamedTuple, Optional, Tuple

from .cuda_visible import Named, seen, wanted
from .details import Details
from .model import Found, Gpu, Reading
from .nvidia_details import details, processes
from .nvml import Unavailable, advice, query, session


_NOT_SUPPORTED = 3


class Driver(NamedTuple):
    """A driver: its version, the CUDA that it goes up to ((0, 0): unsaid), and if it has a GPU."""

    version: str = ""
    cuda: Tuple[int, int] = (0, 0)
    gpus: bool = False


class Nvidia:
    """The GPUs that NVIDIA's driver shows."""

    def find(self) -> Found:
        """See `Vendor`."""
        try:
            with session() as nvml:
                return _found(nvml)
        except Unavailable as error:
            return Found((), tuple(filter(None, [str(error)])))

    def details(self) -> Tuple[Details, ...]:
        """See `Vendor`."""
        try:
            with session() as nvml:
                handles = [_handles(nvml, gpu) for gpu in _found(nvml).gpus]
                return tuple(details(nvml, *both) for both in handles)
        except Unavailable:
            return ()

    @contextmanager
    def watch(self) -> Iterator["_Watch"]:
        """See `Vendor`."""
        with session() as nvml:
            yield _Watch(nvml)


def driver() -> Optional[Driver]:
    """NVIDIA's driver, without one `Driver` of nothing; None where it cannot be told."""
    try:
        with session() as nvml:
            count = query(nvml, nvml.nvmlDeviceGetCount)
            return _driver(nvml)._replace(gpus=count != 0)
    except Unavailable as error:
        return None if str(error) else Driver()


def _found(nvml: Any) -> Found:
    """The cards that answer, and what is said of the others."""
    gpus: List[Gpu] = []
    reasons: List[str] = []
    driver = _driver(nvml)
    try:
        count = nvml.nvmlDeviceGetCount()
    except nvml.NVMLError as error:
        return Found((), (advice(error),))
    for index in range(count):
        try:
            card = nvml.nvmlDeviceGetHandleByIndex(index)
            mode = query(nvml, nvml.nvmlDeviceGetMigMode, card)
            if not mode or not mode[0]:
                gpus.append(_gpu(nvml, Gpu("", index=index), driver))
                continue
            slices = list(_slices(nvml, card))
            gpus += [_gpu(nvml, Gpu("", index=index, mig=at), driver) for at in slices]
            reasons += [] if slices else [f"GPU {index} is divided (MIG) into nothing"]
        except nvml.NVMLError as error:
            reasons.append(advice(error, str(index)))
    return Found(tuple(_marked(nvml, gpus, all_read=not reasons)), tuple(reasons))


def _marked(nvml: Any, gpus: List[Gpu], all_read: bool) -> List[Gpu]:
    """With those marked that programs do not see."""
    asked = wanted()
    if asked is None:
        return gpus
    uuids = [query(nvml, nvml.nvmlDeviceGetUUID, _handles(nvml, gpu)[1]) or "" for gpu in gpus]
    numbers = [gpu.index if gpu.mig is None else None for gpu in gpus]
    cards = [Named(*both) for both in zip(numbers, uuids)]
    alike = all_read and len({gpu.name for gpu in gpus}) == 1
    return [
        replace(gpu, hidden=None if sees is None else not sees)
        for gpu, sees in zip(gpus, seen(asked, cards, alike))
    ]


def _slices(nvml: Any, card: Any) -> Iterator[int]:
    """The numbers of a card's MIG instances; they need not follow each other."""
    for at in range(query(nvml, nvml.nvmlDeviceGetMaxMigDeviceCount, card) or 0):
        if query(nvml, nvml.nvmlDeviceGetMigDeviceHandleByIndex, card, at) is not None:
            yield at


def _handles(nvml: Any, gpu: Gpu) -> Tuple[Any, Any]:
    """The card's handle, and that of what programs see: the card, or its MIG instance."""
    card = nvml.nvmlDeviceGetHandleByIndex(gpu.index)
    if gpu.mig is None:
        return card, card
    return card, nvml.nvmlDeviceGetMigDeviceHandleByIndex(card, gpu.mig)


def _driver(nvml: Any) -> Driver:
    cuda = query(nvml, nvml.nvmlSystemGetCudaDriverVersion) or 0
    version = query(nvml, nvml.nvmlSystemGetDriverVersion) or ""
    return Driver(version, (cuda // 1000, cuda % 1000 // 10))


def _gpu(nvml: Any, gpu: Gpu, driver: Driver) -> Gpu:
    card, own = _handles(nvml, gpu)
    free, total, shared = _memory(nvml, own)
    load = query(nvml, nvml.nvmlDeviceGetUtilizationRates, own)
    heat = query(nvml, nvml.nvmlDeviceGetTemperature, card, nvml.NVML_TEMPERATURE_GPU)
    capability = query(nvml, nvml.nvmlDeviceGetCudaComputeCapability, card)
    return replace(
        gpu,
        name=query(nvml, nvml.nvmlDeviceGetName, own) or "NVIDIA GPU",
        free=free,
        total=total,
        shared=shared,
        driver=driver.version or "n/a",
        cuda=driver.cuda,
        load=None if load is None else int(load.gpu),
        temperature=None if heat is None else int(heat),
        capability=None if capability is None else (int(capability[0]), int(capability[1])),
    )


def _memory(nvml: Any, handle: Any) -> Tuple[Optional[int], Optional[int], bool]:
    """The bytes that are free, all of them, and whether they are the machine's own memory.

    A card without memory of its own (GB10, Jetson) says that the question is not supported.
    """
    try:
        found = nvml.nvmlDeviceGetMemoryInfo(handle)
        if found.total:
            return int(found.free), int(found.total), False
    except nvml.NVMLError as error:
        if getattr(error, "value", None) != _NOT_SUPPORTED:
            return None, None, False
    try:
        import psutil  # comes with ipykernel
    except ImportError:
        return None, None, True
    machine = psutil.virtual_memory()
    return int(machine.available), int(machine.total), True


class _Watch:
    """See `Watch`."""

    def __init__(self, nvml: Any) -> None:
        self._nvml, self.gpus = nvml, _found(nvml).gpus
        self._handles = [_handles(nvml, gpu) for gpu in self.gpus]

    def read(self) -> List[Reading]:
        """See `Watch`."""
        return [self._read(gpu, *both) for gpu, both in zip(self.gpus, self._handles)]

    def energy(self) -> List[Optional[float]]:
        """See `Watch`."""
        call = self._nvml.nvmlDeviceGetTotalEnergyConsumption
        counted = [
            query(self._nvml, call, card) if gpu.mig is None else None  # it is the whole card's
            for gpu, (card, _) in zip(self.gpus, self._handles)
        ]
        return [None if joules is None else joules / 1000 for joules in counted]

    def _read(self, gpu: Gpu, card: Any, own: Any) -> Reading:
        nvml = self._nvml
        free, total, _ = _memory(nvml, own)
        used = None if free is None or total is None else total - free
        if gpu.mig is not None:  # load and power are those of the whole card
            return Reading(used, None, None)
        load = query(nvml, nvml.nvmlDeviceGetUtilizationRates, own)
        power = query(nvml, nvml.nvmlDeviceGetPowerUsage, card)
        return Reading(
            used,
            None if load is None else int(load.gpu),
            None if power is None else power / 1000,
        )

    def memory_of(self, pid: int) -> List[Optional[int]]:
        """See `Watch`."""
        found = [processes(self._nvml, own) or [] for _, own in self._handles]
        return [next((one.usedGpuMemory for one in x if one.pid == pid), None) for x in found]
