"""The kernels of environments, as Jupyter finds them: kernelspecs in the user's data directory.

Source: jupyter_client, "Making kernels for Jupyter: kernel specs".
"""

import json
import shutil
from contextlib import suppress
from pathlib import Path

from .store import Environment


def kernel_folder(name: str) -> Path:
    """Where Jupyter looks for the kernel of this name, for this user."""
    from jupyter_core.paths import jupyter_data_dir

    return Path(jupyter_data_dir(), "kernels", name)


def named(found: Environment) -> None:
    """Have Jupyter offer it as a kernel, by its title."""
    start = ["-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {
        "argv": [str(found.interpreter), *start],
        "display_name": found.title,
        "language": "python",
        "metadata": {"colab_magics": {"notebook": found.notebook}},
    }
    folder = kernel_folder(found.name)
    text = json.dumps(spec, indent=1)
    place = folder / "kernel.json"
    if place.exists() and place.read_text(encoding="utf-8") == text:
        return
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / "kernel.json.new"
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(place)


def unnamed(name: str) -> None:
    """Have Jupyter forget the kernel of this name, if it is one of ours."""
    place = kernel_folder(name) / "kernel.json"
    with suppress(OSError, ValueError):
        if "colab_magics" in json.loads(place.read_text(encoding="utf-8"))["metadata"]:
            shutil.rmtree(place.parent)
