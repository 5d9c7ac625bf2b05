"""The half of colab_magics in a Jupyter server that runs the cells and has the notebooks itself.

Enabled by ``etc/jupyter/jupyter_server_config.d/colab_magics.json``. It adds one address, by which
a kernel edits the notebook of its own session, and only where jupyter-server-nbmodel or
jupyter-server-documents is enabled.
"""

from __future__ import annotations

from typing import Any, Dict, List


def _jupyter_server_extension_points() -> List[Dict[str, str]]:
    return [{"module": "colab_magics.server"}]


def _load_jupyter_server_extension(app: Any) -> None:
    from .executors import executor_of

    if executor_of(app) is not None:
        from .handler import add_handler

        add_handler(app)
