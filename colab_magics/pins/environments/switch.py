"""What a line with ``--python`` does on another Python: its environment is made, then gone to."""

from typing import Sequence

from ...errors import InstallFailed, OtherPython
from ...host import Host
from ...steps import Progress
from .pythons import platform

__all__ = ["switch"]


def switch(version: str, names: Sequence[str], host: Host, progress: Progress) -> OtherPython:
    """The error that asks for the switch; the environment is ready, unless nobody could go there.

    `InstallFailed` where it cannot be made; nothing is left behind then.
    """
    error = OtherPython(
        f"This notebook asks for Python {version}; this kernel is Python {platform()}.",
        _todo(host, version),
    )
    if host.colab:
        raise InstallFailed(error.what, error.todo)
    error.python, error.packages, error.reason = version, tuple(names), f"Python {version}"
    if host.live:
        from .make import ensure

        made = ensure(host.notebook() or host.start / "notebook", version, progress)
        error.kernel = made.name
        error.todo = f"Choose the kernel {made.title}, then run the setup cell."
    return error


def _todo(host: Host, version: str) -> str:
    run = f"colab-magics run NOTEBOOK --python {version}"
    if host.colab:
        past = "Runtime > Change runtime type > Runtime version lists past ones"
        return f"{past}; or, where there is a terminal: {run}"
    return f"Run it by: {run}"
