"""``%gpu`` and ``%%gpu`` on the GPU that is here, beside what ``nvidia-smi`` and torch say of it.

Elsewhere a double of NVML plays the cards. Nothing of a card's settings is touched.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest
from support.cells import Child

from colab_magics.gpu.devices import take_snapshot

GPUS = take_snapshot().gpus
MIB = 1024**2

pytestmark = pytest.mark.skipif(
    not GPUS or shutil.which("nvidia-smi") is None, reason="elsewhere: there is no NVIDIA GPU here"
)
needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="elsewhere: torch is not installed here"
)

#: Half a GiB of a card is another process's until this one is told to end.
OTHER = "import torch; x = torch.ones(2**27, device='cuda'); print(flush=True); input()"
#: How many cards a program sees, by the driver itself: none where it cannot start.
COUNT = """
import ctypes
cuda, count = ctypes.CDLL("libcuda.so.1"), ctypes.c_int(0)
cuda.cuInit(0), cuda.cuDeviceGetCount(ctypes.byref(count))
print(count.value)
"""
#: Two seconds of products, with what they take known to torch.
WORK = """
import time, torch
a = torch.randn(8192, 8192, device='cuda', dtype=torch.bfloat16)
until = time.monotonic() + 2
while time.monotonic() < until:
    for _ in range(20):
        b = a @ a
    torch.cuda.synchronize()
"""


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Child]:
    """A shell in a process of its own, with this machine's driver."""
    with Child({**os.environ, "HOME": str(tmp_path), "IPYTHONDIR": str(tmp_path)}) as state:
        yield state


def smi(*fields: str, kind: str = "gpu") -> List[List[str]]:
    """What ``nvidia-smi`` says of each card, or of each process."""
    command = ["nvidia-smi", f"--query-{kind}={','.join(fields)}", "--format=csv,noheader,nounits"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [[word.strip() for word in line.split(",")] for line in text.splitlines()]


def json_of(child: Child) -> List[Dict[str, Any]]:
    """The cards by ``%gpu --json``."""
    return list(json.loads(child("%gpu --json"))["gpus"])


def cost(child: Child, body: str) -> Dict[str, Any]:
    """A cell's measurement, as its fields."""
    assert child(f"%%gpu -q -o\n{body}") == ""
    cell = "import json, dataclasses; print(json.dumps(dataclasses.asdict(gpu_cost)))"
    return dict(json.loads(child(cell)))


def test_a_card_is_what_nvidia_smi_says(child: Child) -> None:
    """Name, memory, driver, capability, limit and identity, of each card in the same order."""
    names = ("name", "memory.total", "driver_version", "compute_cap", "power.limit", "uuid")
    state = json_of(child)
    ours = [
        [
            entry["name"],
            str(entry["total"] // MIB),
            entry["driver"],
            "{}.{}".format(*entry["capability"]),
            f"{entry['power_limit']:.2f}",
            entry["uuid"],
        ]
        for entry in state
    ]
    assert ours == smi(*names)
    assert all(entry["energy"] > 0 and entry["power"] > 0 and entry["clock"] > 0 for entry in state)
    shown = child("%gpu").splitlines()
    assert all(f"{at} {entry['name']} · " in shown[at] for at, entry in enumerate(state))


def test_a_requirement_is_met_or_not(child: Child) -> None:
    """By any word of its name, its nominal memory and its capability; else it is said."""
    first = GPUS[0]
    assert first.total is not None and first.capability is not None
    words = [word for word in first.name.split() if not word.startswith(("NVIDIA", "Tesla"))]
    nominal = f"{round(first.total / 1024**3 + 0.5)}GB"
    compute = "{}.{}".format(*first.capability)
    met = f"%gpu require {words[0]} --memory {nominal} --compute {compute}"
    assert "as required" in child(met)
    for lacking in ("require K80", "require --memory 9000GB", "require --compute 99.0"):
        answer = child.attempt(f"%gpu {lacking}")
        assert answer.error == "GpuUnmet" and first.name in answer.message


@needs_torch
def test_whether_torch_runs_is_told_without_it(child: Child) -> None:
    """The verdict from torch's files is what torch itself comes to; it is not imported for it."""
    program = "import torch; print(torch.ones(2, device='cuda').sum().item() == 2)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    (verdict,) = (line for line in child("%gpu").splitlines() if line.startswith("torch "))
    assert ("runs here" in verdict) == (done.stdout.strip() == "True")
    assert child("import sys; print('torch' in sys.modules)") == "False"


@pytest.mark.skipif(len(GPUS) > 1, reason="elsewhere: there is one GPU")
@pytest.mark.parametrize(
    "value",
    [
        *("", "0", "-1", "9,0", ",0", "0,", "0,9", "0,0", "+0", "-0", "0x", "0;1", " 0", "\u00b2"),
        *("all", "NoDevFiles", "GPU", "GPU-", "{}", "{}x", "{},{}", "0,{}", "MIG-x"),
    ],
)
def test_what_programs_see(tmp_path: Path, value: str) -> None:
    """A card is hidden where CUDA itself says that there is none."""
    ((uuid,),) = smi("uuid")
    home = {"HOME": str(tmp_path), "IPYTHONDIR": str(tmp_path)}
    with Child({**os.environ, **home, "CUDA_VISIBLE_DEVICES": value.format(uuid, uuid)}) as child:
        (entry,) = json_of(child)
        assert entry["hidden"] is (child(COUNT) != "1")


@needs_torch
def test_who_uses_a_card_is_told(child: Child) -> None:
    """Another process with its memory, this kernel with its own, as ``nvidia-smi`` has them."""
    with subprocess.Popen(
        [sys.executable, "-c", OTHER], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        child("import torch; kept = torch.ones(2**26, device='cuda')")
        known = {
            int(pid): int(size) for pid, size in smi("pid", "used_memory", kind="compute-apps")
        }
        state = {entry["pid"]: entry for entry in json_of(child)[0]["processes"]}
        for pid, least in ((other.pid, 512), (child.process.pid, 256)):
            assert state[pid]["here"] and state[pid]["memory"] // MIB == known[pid] >= least
        (line,) = (line for line in child("%gpu -v").splitlines() if "(this kernel)" in line)
        assert f"{known[child.process.pid]} MiB" in line
        other.communicate(b"\n")


@needs_torch
def test_a_cell_costs_what_the_card_counts(child: Child) -> None:
    """Energy by the card's counter, peaks by torch's own, load and samples over the whole cell."""
    child("import torch; torch.ones(1, device='cuda')")
    child("%%gpu -q\npass")
    before = json_of(child)[0]["energy"]
    state = cost(child, WORK)
    around = json_of(child)[0]["energy"] - before
    (gpu, *_) = state["samples"]["gpus"]
    assert 0 < gpu["counter"] <= around
    assert gpu["counter"] == pytest.approx(gpu["power"], rel=0.3)
    assert gpu["max_load"] > 50 and gpu["mean_load"] > 25
    assert state["samples"]["count"] > 2
    peak = state["peaks"][0]
    assert peak["tensors"] == int(child("print(torch.cuda.max_memory_allocated())"))
    assert peak["reserved"] <= gpu["own"] <= gpu["peak"] <= gpu["total"]


@needs_torch
def test_what_holds_memory_is_named_and_given_back(child: Child) -> None:
    """A variable that holds some; without it the card has it back."""
    child("import torch; kept = torch.ones(2**28, device='cuda')")
    assert "still held: kept 1.00 GiB" in child("%gpu free")
    assert "1.00 GiB freed" in child("del kept\n%gpu free")
