"""Starting a kernel for a notebook that is run from a shell."""

import sys
from pathlib import Path
from typing import Any

from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager, NoSuchKernel

from ..core.errors import NotebookError


def manager(shared: Path, kernel: str = "", interpreter: str = sys.executable) -> Any:
    """A manager for a kernel of an interpreter, or of an installed kernelspec.

    ``shared`` is the folder in which its connection file is put. `NotebookError` where there is no
    kernel of that name.
    """

    class OnePython(KernelSpecManager):  # type: ignore[misc]
        """Every name is that interpreter: a kernelspec elsewhere might be another one."""

        def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
            argv = [interpreter, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
            argv.append("--log-level=ERROR")
            return KernelSpec(argv=argv, display_name="Python 3", language="python")

    connection = (shared / "connection.json").resolve()
    (shared / "kernel").write_text(str(connection), encoding="utf-8")
    made = AsyncKernelManager(connection_file=str(connection))
    if kernel:
        made.kernel_name = kernel
        _known(made)
    else:
        made.kernel_spec_manager = OnePython()
    return made


def _known(manager: Any) -> None:
    try:
        _ = manager.kernel_spec
    except NoSuchKernel as error:
        raise NotebookError(
            f"There is no kernel {error.name}.", "They are named by: jupyter kernelspec list"
        ) from None
