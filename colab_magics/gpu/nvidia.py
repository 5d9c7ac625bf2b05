"""NVIDIA GPUs by NVML, through ``nvidia-ml-py`` (the module ``pynvml``).

Source: NVIDIA's NVML API reference. A field that the driver does not support is None, never 0.
"""

from typing import Any, Iterable, List, NamedTuple, Optional, Tuple

from .details import Details, Process
from .devices import Found, Gpu
from .nvml import Unavailable, advice, query, session

__all__ = ["Driver", "Nvidia", "driver"]


#: Why clocks are held down, by the bits of ``nvmlClocksThrottleReasons``; what slows nothing (an
#: idle card, clocks that were asked for) is left out.
_SLOWED = {
    0x04: "power limit",
    0x08: "hardware slowdown",
    0x20: "heat (software)",
    0x40: "heat (hardware)",
    0x80: "power brake",
}


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
                return tuple(_details(nvml, gpu.index) for gpu in _found(nvml).gpus)
        except Unavailable:
            return ()


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
    gpus, reasons, driver = [], [], _driver(nvml)
    try:
        count = nvml.nvmlDeviceGetCount()
    except nvml.NVMLError as error:
        return Found((), (advice(error),))
    for index in range(count):
        try:
            gpus.append(_gpu(nvml, index, driver))
        except nvml.NVMLError as error:
            reasons.append(advice(error, str(index)))
    return Found(tuple(gpus), tuple(reasons))


def _driver(nvml: Any) -> Driver:
    cuda = query(nvml, nvml.nvmlSystemGetCudaDriverVersion) or 0
    version = query(nvml, nvml.nvmlSystemGetDriverVersion) or ""
    return Driver(version, (cuda // 1000, cuda % 1000 // 10))


def _gpu(nvml: Any, index: int, driver: Driver) -> Gpu:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    memory = query(nvml, nvml.nvmlDeviceGetMemoryInfo, handle)
    load = query(nvml, nvml.nvmlDeviceGetUtilizationRates, handle)
    heat = query(nvml, nvml.nvmlDeviceGetTemperature, handle, nvml.NVML_TEMPERATURE_GPU)
    capability = query(nvml, nvml.nvmlDeviceGetCudaComputeCapability, handle)
    return Gpu(
        index=index,
        name=query(nvml, nvml.nvmlDeviceGetName, handle) or "NVIDIA GPU",
        free=None if memory is None else int(memory.free),
        total=None if memory is None else int(memory.total),
        driver=driver.version or "n/a",
        cuda=driver.cuda,
        load=None if load is None else int(load.gpu),
        temperature=None if heat is None else int(heat),
        capability=None if capability is None else (int(capability[0]), int(capability[1])),
    )


def _details(nvml: Any, index: int) -> Details:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)

    def ask(name: str, *more: Any, scale: float = 1) -> Any:
        call = getattr(nvml, name, None)
        answer = query(nvml, call, handle, *more) if call else None
        return answer / scale if scale != 1 and answer is not None else answer

    reasons = ask("nvmlDeviceGetCurrentClocksThrottleReasons")
    link = ask("nvmlDeviceGetCurrPcieLinkGeneration"), ask("nvmlDeviceGetCurrPcieLinkWidth")
    mig = ask("nvmlDeviceGetMigMode")
    kinds = ("nvmlDeviceGetComputeRunningProcesses", "nvmlDeviceGetGraphicsRunningProcesses")
    lists = [found for found in map(ask, kinds) if found is not None]
    errors = nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, nvml.NVML_VOLATILE_ECC
    return Details(
        uuid=ask("nvmlDeviceGetUUID") or "",
        power=ask("nvmlDeviceGetPowerUsage", scale=1000),
        power_limit=ask("nvmlDeviceGetEnforcedPowerLimit", scale=1000),
        energy=ask("nvmlDeviceGetTotalEnergyConsumption", scale=1000),
        clock=ask("nvmlDeviceGetClockInfo", nvml.NVML_CLOCK_SM),
        memory_clock=ask("nvmlDeviceGetClockInfo", nvml.NVML_CLOCK_MEM),
        slowed=None if reasons is None else _slowed(reasons),
        ecc=ask("nvmlDeviceGetTotalEccErrors", *errors),
        pcie=link if None not in link else None,
        mig=None if mig is None else bool(mig[0]),
        processes=tuple(map(_process, _once(lists))) if lists else None,
    )


def _slowed(reasons: int) -> Tuple[str, ...]:
    return tuple(text for bit, text in _SLOWED.items() if reasons & bit)


def _once(lists: Iterable[Iterable[Any]]) -> List[Any]:
    """Each process once, though it may compute and draw."""
    return list({one.pid: one for found in lists for one in found}.values())


def _process(found: Any) -> Process:
    """Who a process is, as far as this process table has it."""
    memory = None if found.usedGpuMemory is None else int(found.usedGpuMemory)
    try:
        import psutil  # comes with ipykernel

        one = psutil.Process(found.pid)
        with one.oneshot():
            return Process(found.pid, memory, one.username(), " ".join(one.cmdline()))
    except ImportError:
        return Process(found.pid, memory)
    except Exception:  # it has ended, is somebody else's, or is outside this container
        return Process(found.pid, memory, here=False)
