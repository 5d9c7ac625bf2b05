"""The front-end half comes with the wheel, and JupyterLab accepts it."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

PLACE = Path(sys.prefix, "share", "jupyter", "labextensions", "colab-magics")


@pytest.mark.once
def test_jupyterlab_lists_the_extension() -> None:
    """After ``pip install colab-magics`` JupyterLab calls it enabled and OK."""
    if importlib.util.find_spec("jupyterlab") is None:
        pytest.skip("elsewhere: JupyterLab is not in this version")
    if not PLACE.exists():
        pytest.skip("needs the wheel: run tests/run.py")
    command = [sys.executable, "-m", "jupyter", "labextension", "list"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    said = re.sub(r"\x1b\[\d*m", "", done.stdout + done.stderr)
    assert re.search(r"(?m)^\s*colab-magics v\S+ enabled\s+OK", said), said
