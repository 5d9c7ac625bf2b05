"""Builds the test double of NVML and points other processes at it.

The loader reads ``LD_LIBRARY_PATH`` when a process starts, so the double works in a process that is
started with :func:`environment` (a kernel, a client), never in the process that calls it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from threading import Lock
from typing import Dict

HERE = Path(__file__).resolve().parent
_BUILDING = Lock()
SONAME = "libnvidia-ml.so.1"

#: A cell: ``starts()`` is how often its process, whose NVML is the double, has called nvmlInit.
STARTS = f"""
import ctypes
def starts():
    return ctypes.c_int.in_dll(ctypes.CDLL({SONAME!r}), "fake_nvml_starts").value
"""

#: A cell: ``sampled(n)`` waits until the double, which logs that, was read so many times more, and
#: ``hold(n)`` does so in one call that holds the GIL. A sampler may take a minute to start.
SAMPLED = """
import ctypes, os, time
from colab_magics.gpu import sampler
sampler.PATIENCE, log = 60, os.environ['FAKE_NVML_LOG']
def sampled(times):
    least = os.stat(log).st_size + times
    while os.stat(log).st_size < least: time.sleep(0.01)
def hold(times):
    least = os.stat(log).st_size + times
    test = f'[ $(wc -c < "{log}") -ge {least} ]'
    wait = f'for i in $(seq 1000); do {test} && exit 0; sleep 0.05; done; exit 1'
    return ctypes.PyDLL(None).system(wait.encode())
"""

#: The scenarios by name, each a JSON file that says what the double answers.
SCENARIOS: Dict[str, Path] = {
    path.stem: path for path in sorted((HERE / "scenarios").glob("*.json"))
}


#: The drivers whose symbols the double can have; the newest is the one of most scenarios.
DRIVERS = (450, 470, 510, 550)


def build(folder: Path, driver: int = DRIVERS[-1]) -> Path:
    """Compile the double into ``folder`` and return the folder that holds it.

    It exports what that driver does. Without a C compiler: FileNotFoundError. A compiler that
    refuses the source: RuntimeError.
    """
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise FileNotFoundError("the NVML test double needs a C compiler: no gcc or cc on PATH")
    command = [compiler, "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-O1"]
    command += [f"-DDRIVER={driver}"]
    command += [f"-Wl,-soname,{SONAME}", "-o", str(folder / SONAME), str(HERE / "fake_nvml.c")]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stdout}")
    return folder


def environment(folder: Path, scenario: str) -> Dict[str, str]:
    """Return this process's environment, changed so that a child's NVML is the double.

    A scenario of an older driver gets a double with the symbols of that one. The machine's own
    ``CUDA_VISIBLE_DEVICES`` is left out: it speaks of other cards.
    """
    if scenario not in SCENARIOS:
        raise KeyError(f"no NVML scenario {scenario!r}; there are {', '.join(SCENARIOS)}")
    variables = dict(os.environ)
    variables.pop("CUDA_VISIBLE_DEVICES", None)
    folders = [str(_of_driver(folder, SCENARIOS[scenario])), variables.get("LD_LIBRARY_PATH", "")]
    variables["LD_LIBRARY_PATH"] = os.pathsep.join(filter(None, folders))
    variables["FAKE_NVML"] = str(SCENARIOS[scenario])
    return variables


def _of_driver(folder: Path, scenario: Path) -> Path:
    """Where the double with the symbols of this scenario's driver is."""
    version = json.loads(scenario.read_text(encoding="utf-8")).get("driver_version", "999")
    release = max(one for one in DRIVERS if one <= int(version.split(".")[0]))
    if release == DRIVERS[-1]:
        return folder
    with _BUILDING:
        other = folder / str(release)
        if not (other / SONAME).exists():
            other.mkdir(exist_ok=True)
            build(other, release)
    return other
