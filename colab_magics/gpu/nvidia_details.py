"""What ``%gpu -v`` adds of a card of NVIDIA's, and who uses it. Source: see `nvidia`."""

from typing import Any, List, Optional, Tuple

from .details import Details, Process
from .nvml import query


#: Why clocks are held down, by the bits of ``nvmlClocksThrottleReasons``; what slows nothing (an
#: idle card, clocks that were asked for) is left out.
_SLOWED = {
    0x04: "power limit",
    0x08: "hardware slowdown",
    0x20: "heat (software)",
    0x40: "heat (hardware)",
    0x80: "power brake",
}


def details(nvml: Any, card: Any, own: Any) -> Details:
    """All of a card's details; ``own`` is the handle of what programs see, the card or an instance.

    Raises nothing: what the driver or the card does not say is None.
    """

    def ask(name: str, *more: Any, scale: float = 1) -> Any:
        call = getattr(nvml, name, None)
        answer = query(nvml, call, card, *more) if call else None
        return answer / scale if scale != 1 and answer is not None else answer

    reasons = ask("nvmlDeviceGetCurrentClocksThrottleReasons")
    link = ask("nvmlDeviceGetCurrPcieLinkGeneration"), ask("nvmlDeviceGetCurrPcieLinkWidth")
    mig = ask("nvmlDeviceGetMigMode")
    running = processes(nvml, own)
    errors = nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, nvml.NVML_VOLATILE_ECC
    return Details(
        uuid=query(nvml, nvml.nvmlDeviceGetUUID, own) or "",
        power=ask("nvmlDeviceGetPowerUsage", scale=1000),
        power_limit=ask("nvmlDeviceGetEnforcedPowerLimit", scale=1000),
        energy=ask("nvmlDeviceGetTotalEnergyConsumption", scale=1000),
        clock=ask("nvmlDeviceGetClockInfo", nvml.NVML_CLOCK_SM),
        memory_clock=ask("nvmlDeviceGetClockInfo", nvml.NVML_CLOCK_MEM),
        slowed=None if reasons is None else _slowed(reasons),
        ecc=ask("nvmlDeviceGetTotalEccErrors", *errors),
        pcie=link if None not in link else None,
        mig=None if mig is None else bool(mig[0]),
        processes=None if running is None else tuple(map(_process, running)),
    )


def processes(nvml: Any, handle: Any) -> Optional[List[Any]]:
    """Who computes or draws on it, each once; None where the driver does not say.

    Drivers before 510 know only the older call, which answers with the same structure. The calls
    without a number raise, on such drivers, what is no ``NVMLError``.
    """
    lists = []
    for kind in ("Compute", "Graphics"):
        names = (f"nvmlDeviceGet{kind}RunningProcesses_v{version}" for version in ("3", "2"))
        answers = (query(nvml, getattr(nvml, name), handle) for name in names)
        lists += [next((found for found in answers if found is not None), None)]
    known = [found for found in lists if found is not None]
    return list({one.pid: one for found in known for one in found}.values()) if known else None


def _slowed(reasons: int) -> Tuple[str, ...]:
    return tuple(text for bit, text in _SLOWED.items() if reasons & bit)


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
