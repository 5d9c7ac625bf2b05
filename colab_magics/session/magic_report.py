"""What ``%session`` shows of the machine and the kernel."""

from __future__ import annotations

import os
import platform
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from ..core.display import Bar, Report, Tone, amount, duration
from ..core.host import Host
from ..gpu.devices import take_snapshot
from ..gpu.format import draw_rows
from ..gpu.model import Gpu
from ..notebook.locate import Site
from .limit import read_limit
from .machine import read_disks, read_family, read_memory, read_start

_FRONT_ENDS = {
    "jupyter": "JupyterLab or Notebook",
    "colab": "Colab, in a browser",
    "vscode": "VS Code",
    "front end": "a client without a notebook: a console, colab exec",
    "terminal": "none: IPython in a terminal",
    "executor": "none: an executor",
    "run": "none: colab-magics run",
}
_HOSTS = {
    "COLAB_RELEASE_TAG": "Colab",
    "KAGGLE_KERNEL_RUN_TYPE": "Kaggle",
    "BINDER_SERVICE_HOST": "Binder",
}


def inspect(host: Host, site: Optional[Site]) -> Dict[str, Any]:
    """Return all of it: seconds, bytes of memory and disks, None where there is no limit.

    Without a ``site``, outside a kernel, nothing of a kernel and its front end.
    """
    import psutil

    started, now = read_start(), time.time()
    limit = read_limit(started, now)
    names = (name for variable, name in _HOSTS.items() if variable in os.environ)
    folders = [folder for folder in (host.cwd, Path.home()) if folder is not None]
    kernel = {
        "front_end": _FRONT_ENDS[site.kind] if site else "",
        "kernel_seconds": max(0.0, now - psutil.Process().create_time()),
        "kernel_memory": sum(read_family(os.getpid()).values()),
    }
    return {
        "schema": 1,
        **(kernel if site else {}),
        "host": next(names, platform.node()),
        "python": platform.python_version(),
        "executable": sys.executable,
        "machine_seconds": max(0.0, now - started),
        "limit_seconds": limit and limit.seconds,
        "left_seconds": limit and limit.remaining,
        "memory": read_memory()._asdict(),
        "disks": [{**disk._asdict(), "folder": str(disk.folder)} for disk in read_disks(folders)],
        "gpus": [asdict(gpu) for gpu in take_snapshot().gpus],
    }


def report(host: Host, state: Dict[str, Any]) -> Report:
    """Return the state as a table with bars."""
    memory, in_kernel = state["memory"], "kernel_seconds" in state
    rows = [
        ("host", state["host"]),
        *([("front end", state["front_end"])] if in_kernel else ()),
        ("Python", state["python"]),
        *([("kernel", f"up for {duration(state['kernel_seconds'])}")] if in_kernel else ()),
        ("machine", f"up for {duration(state['machine_seconds'])}"),
        *_format_time_left(state),
        ("memory", _format_usage(memory["used"], memory["total"])),
    ]
    if in_kernel:
        rows.append(("this kernel", _format_usage(state["kernel_memory"], memory["total"])))
    for at, disk in enumerate(state["disks"]):
        where = f"at {host.spell(Path(disk['folder']))}" if at else "here"
        rows.append((f"disk {where}", _format_usage(disk["total"] - disk["free"], disk["total"])))
    for label, memory, *_ in draw_rows([Gpu(**gpu) for gpu in state["gpus"]]):
        rows.append((f"GPU {label}", memory))
    return Report((), tuple(rows), head=("what", "state"))


def _format_time_left(state: Dict[str, Any]) -> List[Tuple[str, str]]:
    total = state["limit_seconds"]
    if total is None:
        return []
    rest = max(0.0, state["left_seconds"])
    text = f"{duration(rest)} of {duration(total)}" if rest else f"{duration(total)} are over"
    return [("time left", Bar.of(text, rest / total, _rate(1 - rest / total)))]


def _format_usage(used: float, total: float) -> Bar:
    share = used / total if total else 0.0
    return Bar.of(f"{amount(used)} of {amount(total)} used", share, _rate(share))


def _rate(used: float) -> Tone:
    return "good" if used < 0.8 else "caution" if used < 0.95 else "bad"
