"""Environments with a kernel of a certain version, as `tests/run.py` makes them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, Optional

ROOT = Path(__file__).resolve().parents[2]
COLAB = ROOT / "tests" / "constraints-colab.txt"
BIN = "Scripts" if os.name == "nt" else "bin"


def versions() -> Dict[str, List[str]]:
    """What to hold fixed for each kernel: what Colab ships, and the last before ipykernel 7."""
    colab = [line for line in COLAB.read_text(encoding="utf-8").split("\n") if "==" in line]
    old, newest = ["ipykernel==6.29.5"], ["ipykernel>=7"]
    return {"ipykernel-colab": colab, "ipykernel-6.29.5": old, "ipykernel-newest": newest}


def environment(name: str, folder: Path) -> Path:
    """A fresh environment with that kernel and this project; returns its interpreter."""
    from uv import find_uv_bin

    uv = find_uv_bin()
    python = folder / BIN / "python"
    project = os.environ.get("COLAB_MAGICS_WHEEL") or str(ROOT)
    fixed = versions()[name]
    _call(uv, "venv", "-q", "--seed", "--python", sys.executable, str(folder))
    install = (uv, "pip", "install", "-q", "--python", str(python))
    _call(*install, "--no-deps", *fixed)
    _call(*install, project)
    return python


def register(name: str, python: Path, data: Path, env: Optional[Dict[str, str]] = None) -> None:
    """Make it a kernel of the server with that data directory."""
    spec = {
        "argv": [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": name,
        "language": "python",
        "env": env or {},
    }
    folder = data / "kernels" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")


def _call(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=str(ROOT))
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
