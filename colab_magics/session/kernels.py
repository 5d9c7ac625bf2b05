"""Kernels of a Jupyter server as ``%session`` shows and names them."""

import time
from typing import Any, Dict, List, Optional, Tuple

from ..core.display import amount, duration
from ..core.errors import usage_error
from ..notebook.kernels import Running
from .machine import family


def known(one: Running, here: str) -> Dict[str, Any]:
    """What is known of a kernel: seconds, bytes, and None where nobody says.

    The one that asks is busy with that, whether the server has heard of it or not.
    """
    asks = one.kernel == here
    memory = family(one.pid) if one.pid is not None else {}
    return {
        "name": one.name,
        "kernel": one.kernel,
        "state": "busy" if asks else one.state,
        "idle_seconds": 0.0 if asks else one.idle(time.time()),
        "pid": one.pid,
        "memory": sum(memory.values()) or None,
        "gpu_memory": _on_gpus(memory),
        "here": asks,
    }


def idle(found: List[Running], seconds: float) -> List[Running]:
    """Those on which nothing was run for so long, and nothing is."""
    now = time.time()
    return [one for one in found if one.quiet and one.idle(now) >= seconds]


def named(name: str, found: List[Running]) -> Running:
    """The kernel that a name means: a notebook's path or file name, or the beginning of an id."""
    for same in (
        lambda one: name in one.names,
        lambda one: any(path.rpartition("/")[2] == name for path in one.names),
        lambda one: len(name) > 3 and one.kernel.startswith(name),
    ):
        matching = [one for one in found if same(one)]
        if len(matching) == 1:
            return matching[0]
        if matching:
            which = ", ".join(f"{one.name} ({one.kernel[:8]})" for one in matching)
            raise usage_error(f"{name} is several: {which}.", "Say the path, or the id.")
    there = ", ".join(one.name for one in found)
    raise usage_error(f"There is no notebook {name} here.", f"There are: {there}")


def rows(found: List[Dict[str, Any]]) -> Tuple[Tuple[str, ...], ...]:
    """The list as a table; a column of GPUs only where one is used."""
    gpus = any(one["gpu_memory"] for one in found)
    head = ("notebook", "kernel", "state", "memory", *(["GPU memory"] if gpus else []), "")
    table: List[Tuple[str, ...]] = [head]
    for one in found:
        since = f" for {duration(one['idle_seconds'])}" if one["idle_seconds"] else ""
        memory = amount(one["memory"]) if one["memory"] else "n/a"
        on_gpus = [amount(one["gpu_memory"]) if one["gpu_memory"] else ""] if gpus else []
        here = "this one" if one["here"] else ""
        table.append(
            (one["name"], one["kernel"][:8], f"{one['state']}{since}", memory, *on_gpus, here)
        )
    return tuple(table)


def _on_gpus(pids: Dict[int, int]) -> Optional[int]:
    """The bytes that these processes have on GPUs; None where no driver says so of any."""
    from ..gpu.model import details

    found = [
        process.memory
        for card in details()
        for process in card.processes or ()
        if process.here and process.pid in pids and process.memory is not None
    ]
    return sum(found) if found else None
