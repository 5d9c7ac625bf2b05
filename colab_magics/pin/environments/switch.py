"""What a line with ``--python`` does on another Python: its environment is made, then gone to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...core.errors import InstallFailed, OtherPython
from ...core.host import Host
from ...core.steps import Progress
from .interpreters import platform

if TYPE_CHECKING:
    from ..step import PinStep


def switch(step: PinStep, host: Host, progress: Progress) -> OtherPython:
    """The error that asks for the switch; the environment is ready, unless nobody could go there.

    `InstallFailed` where it cannot be made; nothing is left behind then.
    """
    version = step.python
    error = OtherPython(
        f"This notebook asks for Python {version}; this kernel is Python {platform()}.",
        _todo(host, version),
    )
    if host.colab:
        raise InstallFailed(error.message, error.hint)
    error.python, error.packages, error.reason = version, step.names, f"Python {version}"
    if host.live:
        from .make import ensure

        notebook = host.context.notebook() or host.start / "notebook"
        made = ensure(notebook, version, progress, step.wanted(host).texts, step.place(host))
        error.kernel = made.name
        error.hint = f"Choose the kernel {made.title}, then run the setup cell."
    return error


def _todo(host: Host, version: str) -> str:
    run = f"colab-magics run NOTEBOOK --python {version}"
    if host.colab:
        past = "Runtime > Change runtime type > Runtime version lists past ones"
        return f"{past}; or, where there is a terminal: {run}"
    return f"Run it by: {run}"
