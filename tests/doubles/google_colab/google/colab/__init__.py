"""A stub of Colab's own package, with the signatures that colabtools has (2026-04)."""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from typing import Any

#: Modules that a fresh kernel has loaded before its first cell: Colab's package imports them.
PRELOADED = ("numpy", "matplotlib", "PIL", "six", "packaging", "ipywidgets")


def load_ipython_extension(shell: Any) -> None:
    """Do what Colab's package does at the start of each kernel, where its configuration names it.

    Of `PRELOADED`, what is installed is loaded.
    """
    from . import _shell, _system_commands

    for name in PRELOADED:
        with suppress(ImportError):
            import_module(name)
    _system_commands._register_magics(shell)
    shell.set_custom_exc((ImportError,), _shell.show_import_error)
