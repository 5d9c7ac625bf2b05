"""Builds the test double of NVML and points other processes at it.

The loader reads ``LD_LIBRARY_PATH`` when a process starts, so the double works in a process that is
started with :func:`environment` (a kernel, a client), never in the process that calls it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Dict

HERE = Path(__file__).resolve().parent
SONAME = "libnvidia-ml.so.1"

#: The scenarios by name, each a JSON file that says what the double answers.
SCENARIOS: Dict[str, Path] = {
    path.stem: path for path in sorted((HERE / "scenarios").glob("*.json"))
}


def build(folder: Path) -> Path:
    """Compile the double into ``folder`` and return the folder that holds it.

    Without a C compiler: FileNotFoundError. A compiler that refuses the source: RuntimeError.
    """
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise FileNotFoundError("the NVML test double needs a C compiler: no gcc or cc on PATH")
    command = [compiler, "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-O1"]
    command += [f"-Wl,-soname,{SONAME}", "-o", str(folder / SONAME), str(HERE / "fake_nvml.c")]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stdout}")
    return folder


def environment(folder: Path, scenario: str) -> Dict[str, str]:
    """Return this process's environment, changed so that a child's NVML is the double.

    The machine's own ``CUDA_VISIBLE_DEVICES`` is left out: it speaks of other cards.
    """
    if scenario not in SCENARIOS:
        raise KeyError(f"no NVML scenario {scenario!r}; there are {', '.join(SCENARIOS)}")
    variables = dict(os.environ)
    variables.pop("CUDA_VISIBLE_DEVICES", None)
    folders = [str(folder), variables.get("LD_LIBRARY_PATH", "")]
    variables["LD_LIBRARY_PATH"] = os.pathsep.join(filter(None, folders))
    variables["FAKE_NVML"] = str(SCENARIOS[scenario])
    return variables
