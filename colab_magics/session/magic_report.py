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
from ..gpu.devices import take_snapshot
from ..notebook.locate import Site
from .limit import read_limit
from .machine import read_disks, read_family, read_memory, read_start

_FRONT_ENDS = {
    "jupyter": "JupyterLab or Notebook",
    "colab": "Colab, in a browser",
    "vscode": "VS Code",
    "front end": "unknown",
    "terminal": "none: IPython in a terminal",
    "executor": "none: an executor",
    "run": "none: colab-magics run",
}
_HOSTS = {
    "COLAB_RELEASE_TAG": "Colab",
    "KAGGLE_KERNEL_RUN_TYPE": "Kaggle",
    "BINDER_SERVICE_HOST": "Binder",
}


def inspect(host: Host, site: Site) -> Dict[str, Any]:
    """Return all of it: seconds, bytes of memory and disks, None where there is no limit."""
    import psutil

    started, now = read_start(), time.time()
    limit = read_limit(started, now)
    names = (name for variable, name in _HOSTS.items() if variable in os.environ)
    folders = [folder for folder in (host.cwd, Path.home()) if folder is not None]
    return {
        "host": next(names, platform.node()),
        "front_end": _FRONT_ENDS[site.kind],
        "python": platform.python_version(),
        "executable": sys.executable,
        "kernel_seconds": max(0.0, now - psutil.Process().create_time()),
        "machine_seconds": max(0.0, now - started),
        "limit_seconds": limit and limit.seconds,
        "left_seconds": limit and limit.remaining,
        "memory": read_memory()._asdict(),
        "kernel_memory": sum(read_family(os.getpid()).values()),
        "disks": [{**disk._asdict(), "folder": str(disk.folder)} for disk in read_disks(folders)],
        "gpus": [asdict(gpu) for gpu in take_snapshot().gpus],
    }


def report(host: Host, state: Dict[str, Any]) -> Report:
    """Return the state as a table with bars."""
    memory = state["memory"]
    rows = [
        ("host", state["host"]),
        ("front end", state["front_end"]),
        ("Python", state["python"]),
        ("kernel", f"up for {duration(state['kernel_seconds'])}"),
        ("machine", f"up for {duration(state['machine_seconds'])}"),
        *_format_time_left(state),
        ("memory", _format_usage(memory["used"], memory["total"])),
        ("this kernel", _format_usage(state["kernel_memory"], memory["total"])),
    ]
    for at, disk in enumerate(state["disks"]):
        where = f"at {host.spell(Path(disk['folder']))}" if at else "here"
        rows.append((f"disk {where}", _format_usage(disk["total"] - disk["free"], disk["total"])))
    for gpu in state["gpus"]:
        text = gpu["name"]
        if gpu["total"] is not None and gpu["free"] is not None:
            text = _format_usage(gpu["total"] - gpu["free"], gpu["total"], f"{text}: ")
        rows.append((f"GPU {gpu['index']}", text))
    return Report((), tuple(rows))


def _format_time_left(state: Dict[str, Any]) -> List[Tuple[str, str]]:
    total = state["limit_seconds"]
    if total is None:
        return []
    rest = max(0.0, state["left_seconds"])
    text = f"{duration(rest)} of {duration(total)}" if rest else f"{duration(total)} are over"
    return [("time left", Bar.of(text, rest / total, drawn=True))]


def _format_usage(used: float, total: float, before: str = "") -> Bar:
    text = f"{before}{amount(used)} of {amount(total)} used"
    return Bar.of(text, used / total if total else 0.0)
