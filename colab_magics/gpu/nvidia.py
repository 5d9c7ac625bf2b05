"""NVIDIA GPUs by NVML, through ``nvidia-ml-py`` (the module ``pynvml``).

Source: NVIDIA's NVML API reference. A field that the driver does not support is None, never 0. NVML
is started anew for each snapshot, so that a process that was forked, or a driver that came later,
needs nothing special.
"""

from __future__ import annotations

import ctypes
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Iterator, List, NamedTuple, Optional, Tuple

from .cuda_visible import Named, seen, wanted
from .model import Details, Gpu, Process, Reading, Snapshot, Vendor

#: Where the library is that the loader does not find by itself: on WSL, on Colab, in containers.
PLACES = ("/usr/lib/wsl/lib", "/usr/lib64-nvidia", "/usr/local/nvidia/lib64")
_LIBRARY = "libnvidia-ml.so.1"

#: By the code of an error, what it is and what to do; {} is the card, where it is one's.
_MEANINGS = {
    4: "This user may not use the NVIDIA driver{}: look at the rights of /dev/nvidia*",
    9: "The NVIDIA driver is installed but not loaded{}: restart the machine",
    15: "The driver has lost GPU{}: restart the machine, or get another one",
    16: "GPU{} has to be reset: restart the machine",
    17: "The system blocks GPU{}: on WSL update the driver of Windows, then: wsl --update",
    18: "The NVIDIA driver was updated while running{}: restart the machine",
}
#: Codes of ``nvmlReturn_t``.
_NOT_SUPPORTED, _NOT_FOUND = 3, 12
#: Why clocks are held down, by the bits of ``nvmlClocksThrottleReasons``; what slows nothing (an
#: idle card, clocks that were asked for) is left out.
_SLOWED = {
    0x04: "power limit",
    0x08: "hardware slowdown",
    0x20: "heat (software)",
    0x40: "heat (hardware)",
    0x80: "power brake",
}


class Unavailable(Exception):
    """NVML cannot be asked; the message says why, and is empty where there is no driver at all."""


class Driver(NamedTuple):
    """A driver: its version, the CUDA that it goes up to ((0, 0): unsaid), and if it has a GPU."""

    version: str = ""
    cuda: Tuple[int, int] = (0, 0)
    gpus: bool = False


class Nvidia(Vendor):
    """The GPUs that NVIDIA's driver shows."""

    def find(self, detailed: bool) -> Snapshot:
        """See `Vendor`."""
        try:
            with session() as nvml:
                return _snapshot(nvml, detailed)
        except Unavailable as error:
            return Snapshot(reasons=tuple(filter(None, [str(error)])))

    @contextmanager
    def watch(self) -> Iterator[_Watch]:
        """See `Vendor`."""
        with session() as nvml:
            yield _Watch(nvml)


def driver() -> Optional[Driver]:
    """Read NVIDIA's driver, without one `Driver` of nothing; None where it cannot be known."""
    try:
        with session() as nvml:
            return _driver(nvml)._replace(gpus=_query(nvml, nvml.nvmlDeviceGetCount) != 0)
    except Unavailable as error:
        return None if str(error) else Driver()


class _Watch:
    """See `Watch`."""

    def __init__(self, nvml: Any) -> None:
        self._nvml, self.gpus = nvml, _snapshot(nvml).gpus
        self._handles = [_handles(nvml, gpu) for gpu in self.gpus]

    def read(self) -> List[Reading]:
        """See `Watch`."""
        return [self._read(gpu, *both) for gpu, both in zip(self.gpus, self._handles)]

    def energy(self) -> List[Optional[float]]:
        """See `Watch`."""
        call = self._nvml.nvmlDeviceGetTotalEnergyConsumption
        counted = [
            _query(self._nvml, call, card) if gpu.mig is None else None  # it is the whole card's
            for gpu, (card, _) in zip(self.gpus, self._handles)
        ]
        return [None if joules is None else joules / 1000 for joules in counted]

    def _read(self, gpu: Gpu, card: Any, own: Any) -> Reading:
        nvml = self._nvml
        free, total, _ = _memory(nvml, own)
        used = None if free is None or total is None else total - free
        if gpu.mig is not None:  # load and power are those of the whole card
            return Reading(used, None, None)
        load = _query(nvml, nvml.nvmlDeviceGetUtilizationRates, own)
        power = _query(nvml, nvml.nvmlDeviceGetPowerUsage, card)
        return Reading(
            used,
            None if load is None else int(load.gpu),
            None if power is None else power / 1000,
        )

    def memory_of(self, pid: int) -> List[Optional[int]]:
        """See `Watch`."""
        lists = [_processes(self._nvml, own) or [] for _, own in self._handles]
        sizes = [{each.pid: each.usedGpuMemory for each in running} for running in lists]
        return [by_pid.get(pid) for by_pid in sizes]


@contextmanager
def session() -> Iterator[Any]:
    """Start NVML and give the module ``pynvml``; `Unavailable` where it cannot be."""
    import pynvml

    if not hasattr(pynvml, "_nvmlGetFunctionPointer"):
        raise Unavailable("An outdated package pynvml hides nvidia-ml-py: uninstall pynvml")
    try:
        _start(pynvml)
    except pynvml.NVMLError as error:
        missing = getattr(error, "value", None) == _NOT_FOUND
        raise Unavailable("" if missing else _advice(error)) from None
    try:
        yield pynvml
    finally:
        pynvml.nvmlShutdown()


def _start(nvml: Any) -> None:
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        if getattr(error, "value", None) != _NOT_FOUND or not _loaded():
            raise
        nvml.nvmlInit()  # the loader now knows a library of this name


def _loaded() -> bool:
    """Load the library from where it may be besides, and tell whether one was."""
    for place in PLACES:
        try:
            ctypes.CDLL(str(Path(place, _LIBRARY)))
        except OSError:
            continue
        return True
    return False


def _snapshot(nvml: Any, detailed: bool = False) -> Snapshot:
    """Read the cards that answer, and why the others do not."""
    gpus: List[Gpu] = []
    reasons: List[str] = []
    driver = _driver(nvml)
    try:
        count = nvml.nvmlDeviceGetCount()
    except nvml.NVMLError as error:
        return Snapshot(reasons=(_advice(error),))
    for index in range(count):
        try:
            card = nvml.nvmlDeviceGetHandleByIndex(index)
            mode = _query(nvml, nvml.nvmlDeviceGetMigMode, card)
            if not mode or not mode[0]:
                gpus.append(_gpu(nvml, Gpu("", index=index), driver))
                continue
            slices = list(_slices(nvml, card))
            gpus += [_gpu(nvml, Gpu("", index=index, mig=at), driver) for at in slices]
            reasons += [] if slices else [f"GPU {index} is divided (MIG) into nothing"]
        except nvml.NVMLError as error:
            reasons.append(_advice(error, str(index)))
    return Snapshot(
        tuple(_marked(nvml, gpus, all_read=not reasons)),
        tuple(reasons),
        tuple(_details(nvml, *_handles(nvml, gpu)) for gpu in gpus) if detailed else (),
    )


def _marked(nvml: Any, gpus: List[Gpu], all_read: bool) -> List[Gpu]:
    """Mark those that programs do not see."""
    value = wanted()
    if value is None:
        return gpus
    uuids = [_query(nvml, nvml.nvmlDeviceGetUUID, _handles(nvml, gpu)[1]) or "" for gpu in gpus]
    numbers = [gpu.index if gpu.mig is None else None for gpu in gpus]
    cards = [Named(*both) for both in zip(numbers, uuids)]
    alike = all_read and len({gpu.name for gpu in gpus}) == 1
    return [
        replace(gpu, hidden=None if sees is None else not sees)
        for gpu, sees in zip(gpus, seen(value, cards, alike))
    ]


def _slices(nvml: Any, card: Any) -> Iterator[int]:
    """Number a card's MIG instances; the numbers need not follow each other."""
    for at in range(_query(nvml, nvml.nvmlDeviceGetMaxMigDeviceCount, card) or 0):
        if _query(nvml, nvml.nvmlDeviceGetMigDeviceHandleByIndex, card, at) is not None:
            yield at


def _handles(nvml: Any, gpu: Gpu) -> Tuple[Any, Any]:
    """Return the card's handle, and that of what programs see: the card, or its MIG instance."""
    card = nvml.nvmlDeviceGetHandleByIndex(gpu.index)
    if gpu.mig is None:
        return card, card
    return card, nvml.nvmlDeviceGetMigDeviceHandleByIndex(card, gpu.mig)


def _driver(nvml: Any) -> Driver:
    cuda = _query(nvml, nvml.nvmlSystemGetCudaDriverVersion) or 0
    version = _query(nvml, nvml.nvmlSystemGetDriverVersion) or ""
    return Driver(version, (cuda // 1000, cuda % 1000 // 10))


def _gpu(nvml: Any, gpu: Gpu, driver: Driver) -> Gpu:
    card, own = _handles(nvml, gpu)
    free, total, shared = _memory(nvml, own)
    load = _query(nvml, nvml.nvmlDeviceGetUtilizationRates, own)
    heat = _query(nvml, nvml.nvmlDeviceGetTemperature, card, nvml.NVML_TEMPERATURE_GPU)
    capability = _query(nvml, nvml.nvmlDeviceGetCudaComputeCapability, card)
    return replace(
        gpu,
        name=_query(nvml, nvml.nvmlDeviceGetName, own) or "NVIDIA GPU",
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
    """Read the bytes that are free, all of them, and whether they are the machine's own memory.

    A card without memory of its own (GB10, Jetson) says that the question is not supported.
    """
    try:
        memory = nvml.nvmlDeviceGetMemoryInfo(handle)
        if memory.total:
            return int(memory.free), int(memory.total), False
    except nvml.NVMLError as error:
        if getattr(error, "value", None) != _NOT_SUPPORTED:
            return None, None, False
    try:
        import psutil  # comes with ipykernel
    except ImportError:
        return None, None, True
    machine = psutil.virtual_memory()
    return int(machine.available), int(machine.total), True


def _details(nvml: Any, card: Any, own: Any) -> Details:
    """Read a card's details; ``own`` is the handle of what programs see, the card or an instance.

    Raises nothing: what the driver or the card does not say is None.
    """

    def ask(name: str, *more: Any, scale: float = 1) -> Any:
        call = getattr(nvml, name, None)
        answer = _query(nvml, call, card, *more) if call else None
        return answer / scale if scale != 1 and answer is not None else answer

    reasons = ask("nvmlDeviceGetCurrentClocksThrottleReasons")
    slowed = tuple(text for bit, text in _SLOWED.items() if (reasons or 0) & bit)
    link = ask("nvmlDeviceGetCurrPcieLinkGeneration"), ask("nvmlDeviceGetCurrPcieLinkWidth")
    mig = ask("nvmlDeviceGetMigMode")
    running = _processes(nvml, own)
    errors = nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, nvml.NVML_VOLATILE_ECC
    return Details(
        uuid=_query(nvml, nvml.nvmlDeviceGetUUID, own) or "",
        power=ask("nvmlDeviceGetPowerUsage", scale=1000),
        power_limit=ask("nvmlDeviceGetEnforcedPowerLimit", scale=1000),
        energy=ask("nvmlDeviceGetTotalEnergyConsumption", scale=1000),
        clock=ask("nvmlDeviceGetClockInfo", nvml.NVML_CLOCK_SM),
        memory_clock=ask("nvmlDeviceGetClockInfo", nvml.NVML_CLOCK_MEM),
        slowed=None if reasons is None else slowed,
        ecc=ask("nvmlDeviceGetTotalEccErrors", *errors),
        pcie=link if None not in link else None,
        mig=None if mig is None else bool(mig[0]),
        processes=None if running is None else tuple(map(_process, running)),
    )


def _processes(nvml: Any, handle: Any) -> Optional[List[Any]]:
    """List what computes or draws on it, each once; None where the driver does not say.

    Drivers before 510 know only the older call, which answers with the same structure. The calls
    without a number raise, on such drivers, what is no ``NVMLError``.
    """
    lists = []
    for kind in ("Compute", "Graphics"):
        names = (f"nvmlDeviceGet{kind}RunningProcesses_v{version}" for version in ("3", "2"))
        answers = (_query(nvml, getattr(nvml, name), handle) for name in names)
        lists += [next((answer for answer in answers if answer is not None), None)]
    known = [running for running in lists if running is not None]
    return (
        list({each.pid: each for running in known for each in running}.values()) if known else None
    )


def _process(running: Any) -> Process:
    """Name a process, as far as this process table has it."""
    pid, memory = running.pid, running.usedGpuMemory
    try:
        import psutil  # comes with ipykernel

        process = psutil.Process(pid)
        with process.oneshot():
            return Process(pid, memory, process.username(), " ".join(process.cmdline()))
    except ImportError:
        return Process(pid, memory)
    except Exception:  # it has ended, is somebody else's, or is outside this container
        return Process(pid, memory, here=False)


def _query(nvml: Any, call: Callable[..., Any], *arguments: Any) -> Any:
    """Return the answer, or None where this driver or this GPU has none."""
    try:
        answer = call(*arguments)
    except nvml.NVMLError:
        return None
    return answer.decode() if isinstance(answer, bytes) else answer


def _advice(error: Any, card: str = "") -> str:
    """Say what an error means and what to do; ``card`` where it is about one."""
    text = _MEANINGS.get(getattr(error, "value", None) or 0)
    if text is None:
        return f"The NVIDIA driver says{f' of GPU {card}' if card else ''}: {error}"
    return text.format(f" {card}" if card else "")
