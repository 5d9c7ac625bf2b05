"""NVIDIA GPUs by NVML, through ``nvidia-ml-py`` (the module ``pynvml``).

Source: NVIDIA's NVML API reference. A field that the driver does not support is None, never 0. NVML
is started anew for each snapshot, so that a process that was forked, or a driver that came later,
needs nothing special.
"""

from __future__ import annotations

import ctypes
import os
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

from .cuda_visible import NAME, Identity, find_visible
from .model import DetailedGpu, Gpu, Process, Reading, Snapshot

#: Where the library is on WSL, on Colab and in containers, in which the loader does not search.
PLACES = ("/usr/lib/wsl/lib", "/usr/lib64-nvidia", "/usr/local/nvidia/lib64")
_LIBRARY = "libnvidia-ml.so.1"

#: Codes of ``nvmlReturn_t``.
_NOT_SUPPORTED, _NOT_FOUND = 3, 12
#: By the code of an error, the state and the next action; {} is the card's number, where known.
_MEANINGS = {
    4: "This user may not use the NVIDIA driver{}: check the rights of /dev/nvidia*",
    9: "The NVIDIA driver is installed but not loaded{}: restart the machine",
    15: "The driver has lost GPU{}: restart the machine, or get another one",
    16: "GPU{} has to be reset: restart the machine",
    17: "The system blocks GPU{}: on WSL update the driver of Windows, then: wsl --update",
    18: "The NVIDIA driver was updated while running{}: restart the machine",
}
#: By the bits of ``nvmlClocksThrottleReasons``, why clocks are held down. Those that slow nothing
#: (an idle card, clocks set by a user) are left out.
_SLOWED = {
    0x04: "power limit",
    0x08: "hardware slowdown",
    0x20: "heat (software)",
    0x40: "heat (hardware)",
    0x80: "power brake",
}


class Unavailable(Exception):
    """NVML cannot be used; the message says why."""


class NoDriver(Unavailable):
    """There is no driver of NVIDIA's."""


class Driver(NamedTuple):
    """A driver: its version, the newest CUDA that it runs ((0, 0): unknown), and if it has GPUs."""

    version: str = ""
    cuda: Tuple[int, int] = (0, 0)
    gpus: bool = False


def take_snapshot(detailed: bool) -> Snapshot:
    """Read the GPUs that NVIDIA's driver shows, in one session; without a driver there are none."""
    try:
        with open_nvml() as nvml:
            return read_gpus(nvml, detailed)[0]
    except NoDriver:
        return Snapshot()
    except Unavailable as error:
        return Snapshot(reasons=(str(error),))


def driver() -> Optional[Driver]:
    """Read NVIDIA's driver, an empty `Driver` without one; None where it cannot be known."""
    try:
        with open_nvml() as nvml:
            return _read_driver(nvml)._replace(gpus=_query(nvml, "DeviceGetCount") != 0)
    except NoDriver:
        return Driver()
    except Unavailable:
        return None


@contextmanager
def open_nvml() -> Iterator[Any]:
    """Start NVML and yield the module ``pynvml``; raise `Unavailable` where it cannot start."""
    import pynvml

    if not hasattr(pynvml, "_nvmlGetFunctionPointer"):
        raise Unavailable("An outdated package pynvml hides nvidia-ml-py: uninstall pynvml")
    try:
        _start(pynvml)
    except pynvml.NVMLError as error:
        kind = NoDriver if _get_code(error) == _NOT_FOUND else Unavailable
        raise kind(_explain(error)) from None
    try:
        yield pynvml
    finally:
        pynvml.nvmlShutdown()


def _start(nvml: Any) -> None:
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        libraries = [path for path in (Path(at, _LIBRARY) for at in PLACES) if path.is_file()]
        if _get_code(error) != _NOT_FOUND or not libraries:
            raise
        with suppress(OSError):
            ctypes.CDLL(str(libraries[0]))
        nvml.nvmlInit()  # once it is loaded, the loader knows it by its name


class Device:
    """A card, or a MIG instance of one: ``own`` is its handle, ``card`` that of the whole card."""

    def __init__(self, nvml: Any, card: Any, index: int, instance: Optional[int] = None) -> None:
        self.nvml, self.card, self.index, self.instance = nvml, card, index, instance
        self.own = card
        if instance is not None:
            self.own = nvml.nvmlDeviceGetMigDeviceHandleByIndex(card, instance)

    def ask(self, field: str) -> Any:
        """Return a field of its own, or None where it is not supported."""
        return _query(self.nvml, f"DeviceGet{field}", self.own)

    def _ask_card(self, field: str, *arguments: Any, scale: float = 1) -> Any:
        answer = _query(self.nvml, f"DeviceGet{field}", self.card, *arguments)
        return answer / scale if scale != 1 and answer is not None else answer

    def read(self, driver: Driver, detailed: bool) -> Gpu:
        """Read all fields."""
        free, total, shared = self._read_memory()
        capability = self._ask_card("CudaComputeCapability")
        details = self._read_details() if detailed else {}
        return (DetailedGpu if detailed else Gpu)(
            name=self.ask("Name") or "NVIDIA GPU",
            free=free,
            total=total,
            shared=shared,
            driver=driver.version or "n/a",
            cuda=driver.cuda,
            load=self._read_load(),
            temperature=self._ask_card("Temperature", self.nvml.NVML_TEMPERATURE_GPU),
            capability=None if capability is None else (int(capability[0]), int(capability[1])),
            index=self.index,
            instance=self.instance,
            **details,
        )

    def _read_details(self) -> Dict[str, Any]:
        nvml, ask = self.nvml, self._ask_card
        reasons, mig = ask("CurrentClocksThrottleReasons"), ask("MigMode")
        link = ask("CurrPcieLinkGeneration"), ask("CurrPcieLinkWidth")
        running = self._list_processes()
        errors = nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, nvml.NVML_VOLATILE_ECC
        slowed = tuple(text for bit, text in _SLOWED.items() if (reasons or 0) & bit)
        return {
            "uuid": self.ask("UUID") or "",
            "power": ask("PowerUsage", scale=1000),
            "power_limit": ask("EnforcedPowerLimit", scale=1000),
            "energy": ask("TotalEnergyConsumption", scale=1000),
            "clock": ask("ClockInfo", nvml.NVML_CLOCK_SM),
            "memory_clock": ask("ClockInfo", nvml.NVML_CLOCK_MEM),
            "slowed": None if reasons is None else slowed,
            "ecc": ask("TotalEccErrors", *errors),
            "pcie": link if None not in link else None,
            "mig": None if mig is None else bool(mig[0]),
            "processes": None if running is None else tuple(map(_name_process, running)),
        }

    def sample(self) -> Reading:
        """Read what changes; load and power of an instance are those of the whole card."""
        free, total, _ = self._read_memory()
        used = None if free is None or total is None else total - free
        if self.instance is not None:
            return Reading(used, None, None)
        return Reading(used, self._read_load(), self._ask_card("PowerUsage", scale=1000))

    def read_energy(self) -> Optional[float]:
        """Read the counter of joules, which an instance does not have. It is slow (4 ms)."""
        name = "TotalEnergyConsumption"
        return None if self.instance is not None else self._ask_card(name, scale=1000)

    def read_memory_of(self, pid: int) -> Optional[int]:
        """Read the bytes that a process has; None where it is not listed. It is slow."""
        sizes = (p.usedGpuMemory for p in self._list_processes() or () if p.pid == pid)
        return next(sizes, None)

    def _read_load(self) -> Optional[int]:
        load = self.ask("UtilizationRates")
        return None if load is None else int(load.gpu)

    def _read_memory(self) -> Tuple[Optional[int], Optional[int], bool]:
        """Read the free bytes, all bytes, and whether they are the machine's own memory.

        A card without memory of its own (GB10, Jetson) answers that the question is not supported.
        """
        try:
            memory = self.nvml.nvmlDeviceGetMemoryInfo(self.own)
            if memory.total:
                return int(memory.free), int(memory.total), False
        except self.nvml.NVMLError as error:
            if _get_code(error) != _NOT_SUPPORTED:
                return None, None, False
        import psutil

        machine = psutil.virtual_memory()
        return int(machine.available), int(machine.total), True

    def _list_processes(self) -> Optional[List[Any]]:
        """List what computes or draws on it, each once; None where the driver does not say.

        Drivers before 510 know only the older call, which answers with the same structure. The
        calls without a number raise, on such drivers, what is no ``NVMLError``.
        """
        by_pid = None
        for kind in ("Compute", "Graphics"):
            running = self.ask(f"{kind}RunningProcesses_v3")
            if running is None:
                running = self.ask(f"{kind}RunningProcesses_v2")
            if running is not None:
                by_pid = {**(by_pid or {}), **{process.pid: process for process in running}}
        return None if by_pid is None else list(by_pid.values())


def _name_process(running: Any) -> Process:
    import psutil

    pid, memory = running.pid, running.usedGpuMemory
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            return Process(pid, memory, process.username(), " ".join(process.cmdline()))
    except psutil.Error:  # it has ended, is another user's, or is outside this container
        return Process(pid, memory, here=False)


def read_gpus(nvml: Any, detailed: bool = False) -> Tuple[Snapshot, List[Device]]:
    """Read the cards that answer, with their devices, and why the others do not."""
    try:
        count = nvml.nvmlDeviceGetCount()
    except nvml.NVMLError as error:
        return Snapshot(reasons=(_explain(error),)), []
    driver = _read_driver(nvml)
    gpus: List[Gpu] = []
    devices: List[Device] = []
    reasons: List[str] = []
    for index in range(count):
        try:
            parts = _open_card(nvml, index)
            gpus += [part.read(driver, detailed) for part in parts]
            devices += parts
            reasons += [] if parts else [f"GPU {index} is divided (MIG) into nothing"]
        except nvml.NVMLError as error:
            reasons.append(_explain(error, str(index)))
    return Snapshot(tuple(_mark_hidden(gpus, devices, not reasons)), tuple(reasons)), devices


def _open_card(nvml: Any, index: int) -> List[Device]:
    """Open a card, or its MIG instances, whose numbers need not be consecutive."""
    card = nvml.nvmlDeviceGetHandleByIndex(index)
    mode = _query(nvml, "DeviceGetMigMode", card)
    if not mode or not mode[0]:
        return [Device(nvml, card, index)]
    numbers = range(_query(nvml, "DeviceGetMaxMigDeviceCount", card) or 0)
    name = "DeviceGetMigDeviceHandleByIndex"
    return [
        Device(nvml, card, index, at) for at in numbers if _query(nvml, name, card, at) is not None
    ]


def _mark_hidden(gpus: List[Gpu], devices: List[Device], complete: bool) -> List[Gpu]:
    value = os.environ.get(NAME)
    if value is None:
        return gpus
    numbers = [device.index if device.instance is None else None for device in devices]
    uuids = [device.ask("UUID") or "" for device in devices]
    cards = [Identity(*pair) for pair in zip(numbers, uuids)]
    alike = complete and len({gpu.name for gpu in gpus}) == 1
    return [
        replace(gpu, hidden=None if visible is None else not visible)
        for gpu, visible in zip(gpus, find_visible(value, cards, alike))
    ]


def _read_driver(nvml: Any) -> Driver:
    cuda = _query(nvml, "SystemGetCudaDriverVersion") or 0
    version = _query(nvml, "SystemGetDriverVersion") or ""
    return Driver(version, (cuda // 1000, cuda % 1000 // 10))


def _query(nvml: Any, name: str, *arguments: Any) -> Any:
    """Return the answer, or None where the binding, the driver or the card has none."""
    call = getattr(nvml, f"nvml{name}", None)
    try:
        answer = call(*arguments) if call is not None else None
    except nvml.NVMLError:
        return None
    return answer.decode() if isinstance(answer, bytes) else answer


def _get_code(error: Any) -> int:
    return getattr(error, "value", None) or 0


def _explain(error: Any, card: str = "") -> str:
    """Return what an error means and what to do; ``card`` where it is about one."""
    text = _MEANINGS.get(_get_code(error))
    if text is None:
        return f"NVIDIA driver error{f' on GPU {card}' if card else ''}: {error}"
    return text.format(f" {card}" if card else "")
