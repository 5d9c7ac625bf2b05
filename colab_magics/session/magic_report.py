"""What ``%session`` shows of the machine and the kernel."""

from __future__ import annotations

import os
import platform
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Dict, List, Tuple

from ..core.display import Bar, Report, amount, duration
from ..core.host import Host
from ..gpu.model import find
from ..notebook.locate import Site
from . import machine as machines
from .limit import left

_FRONT_ENDS = {
    "jupyter": "JupyterLab or Notebook",
    "colab": "Colab, in a browser",
    "vscode": "VS Code",
    "front end": "one that does not say which",
    "terminal": "none: IPython in a terminal",
    "executor": "none: an executor",
    "run": "none: colab-magics run",
}
_HOSTS = {
    "COLAB_RELEASE_TAG": "Colab",
    "KAGGLE_KERNEL_RUN_TYPE": "Kaggle",
    "BINDER_SERVICE_HOST": "Binder",
}


def look(host: Host, site: Site) -> Dict[str, Any]:
    """All of it: times in seconds, memory and disks in bytes, None where there is no limit."""
    folders = [folder for folder in (host.cwd, Path.home()) if folder is not None]
    machine, now = machines.look(folders), time.time()
    limit = left(machine.started, now)
    named = (name for variable, name in _HOSTS.items() if variable in os.environ)
    return {
        "host": next(named, platform.node()),
        "front_end": _FRONT_ENDS[site.kind],
        "python": platform.python_version(),
        "executable": sys.executable,
        "kernel_seconds": max(0.0, now - machine.kernel_started),
        "machine_seconds": max(0.0, now - machine.started),
        "limit_seconds": limit and limit.seconds,
        "left_seconds": limit and limit.left,
        "memory": machine.memory._asdict(),
        "kernel_memory": machine.own,
        "disks": [{**one._asdict(), "folder": str(one.folder)} for one in machine.disks],
        "gpus": [asdict(gpu) for gpu in find().gpus],
    }


def report(host: Host, found: Dict[str, Any]) -> Report:
    """As a table with bars."""
    memory = found["memory"]
    rows = [
        ("host", found["host"]),
        ("front end", found["front_end"]),
        ("Python", found["python"]),
        ("kernel", f"up for {duration(found['kernel_seconds'])}"),
        ("machine", f"up for {duration(found['machine_seconds'])}"),
        *_left(found),
        ("memory", _used(memory["used"], memory["total"])),
        ("this kernel", _used(found["kernel_memory"], memory["total"])),
        *_disks(host, found),
        *_gpus(found),
    ]
    return Report((), tuple(rows))


def _left(found: Dict[str, Any]) -> List[Tuple[str, str]]:
    if found["limit_seconds"] is None:
        return []
    rest, whole = max(0.0, found["left_seconds"]), found["limit_seconds"]
    text = f"{duration(rest)} of {duration(whole)}" if rest else f"{duration(whole)} are over"
    return [("time left", Bar.of(text, rest / whole, drawn=True))]


def _used(used: float, total: float) -> Bar:
    return Bar.of(f"{amount(used)} of {amount(total)} used", used / total if total else 0.0)


def _disks(host: Host, found: Dict[str, Any]) -> List[Tuple[str, str]]:
    rows: List[Tuple[str, str]] = []
    for disk in found["disks"]:
        where = "here" if not rows else f"at {host.spell(Path(disk['folder']))}"
        bar = _used(disk["total"] - disk["free"], disk["total"])
        rows.append((f"disk {where}", Bar.of(f"{bar}", bar.share)))
    return rows


def _gpus(found: Dict[str, Any]) -> List[Tuple[str, str]]:
    rows: List[Tuple[str, str]] = []
    for gpu in found["gpus"]:
        name = f"GPU {gpu['index']}"
        if gpu["total"] is None or gpu["free"] is None:
            rows.append((name, gpu["name"]))
        else:
            bar = _used(gpu["total"] - gpu["free"], gpu["total"])
            rows.append((name, Bar.of(f"{gpu['name']}: {bar}", bar.share)))
    return rows
