"""The test double of NVML: real clients read from it what its scenarios say."""

from __future__ import annotations

import ctypes
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest
from doubles import nvml

MIB = 1024 * 1024
WITH_CARDS = ["t4", "l4", "two"]

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(
        not sys.platform.startswith("linux"), reason="the NVML double is a Linux shared library"
    ),
]

# Runs in a child process: everything that the project's own code may ask of pynvml.
READ_ALL = """
import json
import pynvml as n

def ask(function, *arguments):
    try:
        return function(*arguments)
    except n.NVMLError as error:
        return {"error": error.value}

# Some releases of the binding have version 3 alone.
compute_v2 = getattr(
    n, "nvmlDeviceGetComputeRunningProcesses_v2", n.nvmlDeviceGetComputeRunningProcesses
)

def text(value):  # bytes in old releases
    return value if isinstance(value, str) else value.decode()

def processes(function, handle):
    return [[process.pid, process.usedGpuMemory] for process in function(handle)]

def card(handle):
    memory = n.nvmlDeviceGetMemoryInfo(handle, version=n.nvmlMemory_v2)
    plain = n.nvmlDeviceGetMemoryInfo(handle)
    use = n.nvmlDeviceGetUtilizationRates(handle)
    pci = n.nvmlDeviceGetPciInfo(handle)
    uuid = n.nvmlDeviceGetUUID(handle)
    return {
        "name": n.nvmlDeviceGetName(handle),
        "uuid": uuid,
        "index": n.nvmlDeviceGetIndex(handle),
        "index by uuid": n.nvmlDeviceGetIndex(n.nvmlDeviceGetHandleByUUID(uuid)),
        "index by pci": n.nvmlDeviceGetIndex(n.nvmlDeviceGetHandleByPciBusId(pci.busId)),
        "pci": [text(pci.busId), text(pci.busIdLegacy), pci.bus, pci.device, pci.pciDeviceId],
        "capability": list(n.nvmlDeviceGetCudaComputeCapability(handle)),
        "memory": [memory.total, memory.reserved, memory.used, memory.free],
        "plain memory": [plain.total, plain.used, plain.free],
        "use": [use.gpu, use.memory],
        "temperature": n.nvmlDeviceGetTemperature(handle, n.NVML_TEMPERATURE_GPU),
        "power": [n.nvmlDeviceGetPowerUsage(handle), n.nvmlDeviceGetEnforcedPowerLimit(handle)],
        "compute": processes(n.nvmlDeviceGetComputeRunningProcesses, handle),
        "compute v2": processes(compute_v2, handle),
        "graphics": processes(n.nvmlDeviceGetGraphicsRunningProcesses, handle),
        "mig": ask(n.nvmlDeviceGetMigMode, handle),
        "more": [
            ask(n.nvmlDeviceGetTotalEnergyConsumption, handle),
            ask(n.nvmlDeviceGetClockInfo, handle, n.NVML_CLOCK_SM),
            ask(n.nvmlDeviceGetCurrentClocksThrottleReasons, handle),
            ask(
                n.nvmlDeviceGetTotalEccErrors,
                handle,
                n.NVML_MEMORY_ERROR_TYPE_CORRECTED,
                n.NVML_VOLATILE_ECC,
            ),
            ask(n.nvmlDeviceGetCurrPcieLinkWidth, handle),
        ],
        "fan": ask(n.nvmlDeviceGetFanSpeed, handle),
    }

n.nvmlInit()
count = n.nvmlDeviceGetCount()
print(json.dumps({
    "driver": n.nvmlSystemGetDriverVersion(),
    "cuda": [n.nvmlSystemGetCudaDriverVersion(), n.nvmlSystemGetCudaDriverVersion_v2()],
    "cards": [card(n.nvmlDeviceGetHandleByIndex(i)) for i in range(count)],
    "beyond": ask(n.nvmlDeviceGetHandleByIndex, count),
    "stranger": ask(n.nvmlDeviceGetHandleByUUID, "GPU-0"),
}))
n.nvmlShutdown()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the double once."""
    try:
        return nvml.build(tmp_path_factory.mktemp("nvml"))
    except FileNotFoundError as error:
        pytest.skip(str(error))


def client(module: str) -> None:
    """Skip, aloud, where a real client is not installed."""
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed: no real client to read the NVML double with")


def run(environment: Dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def more(card: Dict[str, Any]) -> List[Any]:
    """What only some cards of the scenarios say."""
    values = [
        card.get("energy_mJ"),
        card.get("clocks_MHz", {}).get("sm"),
        card.get("throttle_reasons"),
        card.get("ecc_errors", {}).get("corrected"),
        card.get("pcie", {}).get("lanes"),
    ]
    return [{"error": 3} if value is None else value for value in values]


def read_scenario(scenario: str) -> Dict[str, Any]:
    return dict(json.loads(nvml.SCENARIOS[scenario].read_text(encoding="utf-8")))


def read(environment: Dict[str, str], code: str) -> Any:
    client("pynvml")
    done = run(environment, "-c", code)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def gpustat(environment: Dict[str, str]) -> subprocess.CompletedProcess[str]:
    client("gpustat")
    return run(environment, "-m", "gpustat", "--json")


NVITOP = """
import json, nvitop
def plain(value):
    return None if value is nvitop.NA else value
def row(gpu):
    return [*map(plain, (gpu.name(), gpu.uuid(), gpu.memory_total(), gpu.gpu_utilization())),
            sorted([pid, plain(one.gpu_memory())] for pid, one in gpu.processes().items())]
def rows(gpu):
    found = gpu.mig_devices() if gpu.is_mig_mode_enabled() else [gpu]
    return [[*row(one), plain(gpu.temperature()), plain(gpu.power_usage())] for one in found]
print(json.dumps([row for gpu in nvitop.Device.all() for row in rows(gpu)]))
"""
OURS = "import json; from colab_magics.gpu.magic import as_json; print(json.dumps(as_json()))"


@pytest.mark.parametrize(
    "scenario", [*WITH_CARDS, "mig", "vgpu", "old", "unified", "hostpids", "busy"]
)
def test_nvitop_reads_what_we_read(folder: Path, scenario: str) -> None:
    """``%gpu --json`` and nvitop say the same of each card and each instance of a divided one.

    Processes that the scenario calls the client or its parent are two here, and stand aside.
    """
    client("nvitop")
    environment = nvml.environment(folder, scenario)
    listed = [
        entry["pid"]
        for card in read_scenario(scenario)["devices"]
        for part in [card, *card.get("mig_devices", [])]
        for entry in part["processes"]
        if isinstance(entry["pid"], int)
    ]

    def named(processes: List[Any]) -> List[Any]:
        return [[pid, memory] for pid, memory in processes if pid in listed]

    theirs = read(environment, NVITOP)
    ours = read(environment, OURS)["gpus"]
    assert [
        [
            *(entry["name"], entry["uuid"], entry["total"], entry["load"]),
            named(sorted([x["pid"], x["memory"]] for x in entry["processes"] or ())),
            entry["temperature"],
            None if entry["power"] is None else round(1000 * entry["power"]),
        ]
        for entry in ours
    ] == [[*row[:4], named(row[4]), *row[5:]] for row in theirs]


@pytest.mark.parametrize("scenario", WITH_CARDS)
def test_gpustat_reads_what_we_read(folder: Path, scenario: str) -> None:
    """``%gpu --json`` and a client that is not ours say the same of each card."""
    environment = nvml.environment(folder, scenario)
    theirs = json.loads(gpustat(environment).stdout)
    ours = read(environment, OURS)["gpus"]
    assert [
        (
            *(entry["name"], entry["uuid"], entry["driver"], entry["total"] // MIB, entry["load"]),
            *(entry["temperature"], round(entry["power"]), entry["power_limit"]),
            [process["pid"] for process in entry["processes"]],
        )
        for entry in ours
    ] == [
        (
            *(entry["name"], entry["uuid"], theirs["driver_version"], entry["memory.total"]),
            *(entry["utilization.gpu"], entry["temperature.gpu"], entry["power.draw"]),
            entry["enforced.power.limit"],
            [process["pid"] for process in read_scenario(scenario)["devices"][number]["processes"]],
        )
        for number, entry in enumerate(theirs["gpus"])
    ]


@pytest.mark.parametrize("scenario", WITH_CARDS)
def test_gpustat_reads_the_scenario(folder: Path, scenario: str) -> None:
    """A client that is not ours reports the driver and the cards as the scenario has them."""
    done = gpustat(nvml.environment(folder, scenario))
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    expected = read_scenario(scenario)
    assert seen["driver_version"] == expected["driver_version"]
    assert [
        {
            "name": card["name"],
            "uuid": card["uuid"],
            "total": card["memory.total"],
            "used": card["memory.used"],
            "use": card["utilization.gpu"],
            "temperature": card["temperature.gpu"],
            "limit": card["enforced.power.limit"],
        }
        for card in seen["gpus"]
    ] == [
        {
            "name": card["name"],
            "uuid": card["uuid"],
            "total": card["memory_MiB"]["total"],
            "used": card["memory_MiB"]["used"],
            "use": card["utilization_percent"]["gpu"],
            "temperature": card["temperature_C"],
            "limit": card["power_limit_mW"] // 1000,
        }
        for card in expected["devices"]
    ]


@pytest.mark.parametrize("scenario", [*WITH_CARDS, "nogpu"])
def test_pynvml_reads_the_scenario(folder: Path, scenario: str) -> None:
    """NVIDIA's own Python binding reads every field in scope as the scenario has it."""
    expected = read_scenario(scenario)
    cards: List[Dict[str, Any]] = []
    for index, card in enumerate(expected["devices"]):
        memory = {name: size * MIB for name, size in card["memory_MiB"].items()}
        in_use = memory["used"] + memory["reserved"]
        bus = card["pci_bus_id"].split(":")
        busy = [[entry["pid"], entry["used_MiB"] * MIB] for entry in card["processes"]]
        cards.append(
            {
                "name": card["name"],
                "uuid": card["uuid"],
                "index": index,
                "index by uuid": index,
                "index by pci": index,
                "pci": [
                    card["pci_bus_id"],
                    card["pci_bus_id"][4:],
                    int(bus[1], 16),
                    int(bus[2].split(".")[0], 16),
                    int(card["pci_device_id"], 16),
                ],
                "capability": card["compute_capability"],
                "memory": [
                    memory["total"],
                    memory["reserved"],
                    memory["used"],
                    memory["total"] - in_use,
                ],
                "plain memory": [memory["total"], in_use, memory["total"] - in_use],
                "use": [card["utilization_percent"][name] for name in ("gpu", "memory")],
                "temperature": card["temperature_C"],
                "power": [card["power_mW"], card["power_limit_mW"]],
                "compute": busy,
                "compute v2": busy,
                "graphics": [],
                "mig": [card["mig"]] * 2 if "mig" in card else {"error": 3},
                "more": more(card),
                "fan": {"error": 3},
            }
        )
    assert read(nvml.environment(folder, scenario), READ_ALL) == {
        "driver": expected["driver_version"],
        "cuda": [expected["cuda_version"]] * 2,
        "cards": cards,
        "beyond": {"error": 2},
        "stranger": {"error": 6},
    }


@pytest.mark.parametrize(
    ("scenario", "code", "text"),
    [("mismatch", 18, "Driver/library version mismatch"), ("notloaded", 9, "Driver Not Loaded")],
)
def test_init_refuses_with_the_scenarios_code(
    folder: Path, scenario: str, code: int, text: str
) -> None:
    """A driver that does not start answers nvmlInit with the scenario's code and its words."""
    source = """
import json
import pynvml as n
try:
    n.nvmlInit()
except n.NVMLError as error:
    print(json.dumps([error.value, n.nvmlErrorString(error.value)]))
"""
    error, words = read(nvml.environment(folder, scenario), source)
    assert (error, words) == (code, text)
    assert gpustat(nvml.environment(folder, scenario)).returncode != 0


def test_a_field_the_scenario_lacks_is_not_supported(folder: Path, tmp_path: Path) -> None:
    """A card known by its name alone answers Not Supported (3) to everything else."""
    scenario = tmp_path / "bare.json"
    scenario.write_text('{"devices": [{"name": "NVIDIA Bare", "power_mW": null}]}\n')
    source = """
import json
import pynvml as n
n.nvmlInit()
handle = n.nvmlDeviceGetHandleByIndex(0)
answers = {}
for name in ("Name", "UUID", "PciInfo", "CudaComputeCapability", "MemoryInfo", "UtilizationRates",
             "PowerUsage", "EnforcedPowerLimit", "ComputeRunningProcesses", "MigMode"):
    try:
        answers[name] = getattr(n, "nvmlDeviceGet" + name)(handle)
    except n.NVMLError as error:
        answers[name] = error.value
print(json.dumps(answers))
"""
    environment = {**nvml.environment(folder, "nogpu"), "FAKE_NVML": str(scenario)}
    answers = read(environment, source)
    assert answers.pop("Name") == "NVIDIA Bare"
    assert answers == dict.fromkeys(answers, 3)
    assert len(answers) == 9


def test_a_scenario_may_change_while_it_is_read(folder: Path, tmp_path: Path) -> None:
    """So that a card can be busy while somebody samples it; without a session nothing is said."""
    scenario = tmp_path / "changing.json"
    scenario.write_text('{"driver_version": "1"}')
    source = """
import json, os
import pynvml as n

def change(version):
    with open(os.environ["FAKE_NVML"] + ".new", "w") as file:
        json.dump({"driver_version": version}, file)
    os.replace(file.name, os.environ["FAKE_NVML"])

n.nvmlInit()
seen = [n.nvmlSystemGetDriverVersion()]
change("2")
seen.append(n.nvmlSystemGetDriverVersion())
n.nvmlShutdown()
try:
    n.nvmlSystemGetDriverVersion()
except n.NVMLError as error:
    seen.append(error.value)
print(json.dumps(seen))
"""
    environment = {**nvml.environment(folder, "nogpu"), "FAKE_NVML": str(scenario)}
    assert read(environment, source) == ["1", "2", 1]


def test_energy_rises_with_the_power(folder: Path) -> None:
    """Where a scenario says so, its counter adds up the watts."""
    source = """
import json, time
import pynvml as n
n.nvmlInit()
card = n.nvmlDeviceGetHandleByIndex(0)
start, first, rise = time.monotonic(), n.nvmlDeviceGetTotalEnergyConsumption(card), 0
while rise < 3000:  # mJ, at 60 W
    rise = n.nvmlDeviceGetTotalEnergyConsumption(card) - first
print(json.dumps([time.monotonic() - start, rise]))
"""
    seconds, rise = read(nvml.environment(folder, "busy"), source)
    assert 3000 <= rise <= 60_000 * seconds + 1


#: What a driver lacked that the next one has. Source: the change logs of NVIDIA's NVML reference.
SYMBOLS = {
    "nvmlDeviceGetComputeRunningProcesses": 450,
    "nvmlDeviceGetComputeRunningProcesses_v2": 460,
    "nvmlDeviceGetComputeRunningProcesses_v3": 510,
    "nvmlDeviceGetMemoryInfo_v2": 510,
    "nvmlDeviceGetCurrentClocksEventReasons": 535,
    "nvmlDeviceGetConfComputeMemSizeInfo": 9999,
    "nvmlDeviceGetRunningProcessDetailList": 9999,
}


@pytest.mark.parametrize("driver", nvml.DRIVERS)
def test_a_driver_has_its_own_symbols(tmp_path: Path, driver: int) -> None:
    """Clients probe for symbols: what a driver did not have is not there."""
    library = ctypes.CDLL(str(nvml.build(tmp_path, driver) / nvml.SONAME))
    assert {name: hasattr(library, name) for name in SYMBOLS} == {
        name: driver >= since for name, since in SYMBOLS.items()
    }


@pytest.mark.parametrize("content", [None, "", '{"devices": [}', '{"init": oops}', "{} {}"])
def test_a_scenario_that_cannot_be_read_says_so(
    folder: Path, tmp_path: Path, content: Optional[str]
) -> None:
    """A broken or absent scenario is an error with its name, never a machine without a GPU."""
    client("pynvml")
    scenario = tmp_path / "broken.json"
    if content is not None:
        scenario.write_text(content)
    environment = {**nvml.environment(folder, "nogpu"), "FAKE_NVML": str(scenario)}
    done = run(environment, "-c", "import pynvml; pynvml.nvmlInit()")
    assert done.returncode != 0
    assert f"fake NVML: cannot read {scenario}" in done.stderr
    assert "NVMLError_Unknown" in done.stderr


def test_an_unknown_scenario_is_named(folder: Path) -> None:
    """A misspelt scenario fails at once, with the names there are."""
    with pytest.raises(KeyError, match="no NVML scenario 'T4'; there are blocked, busy, denied"):
        nvml.environment(folder, "T4")


def test_no_compiler_is_a_clear_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without a C compiler the helper says what is missing."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="needs a C compiler"):
        nvml.build(tmp_path)
