"""Run the tutorials, and save in each what its cells show: ``python notebooks/save_outputs.py``.

As a user sees it on a machine that has nothing yet: in a home of its own, without humanize, by
``colab-magics run`` on a copy. For all tutorials, or for those that are named.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict

from colab_magics.pin.uv import find_uv
from colab_magics.record.cell import is_setup

FOLDER = Path(__file__).resolve().parent


def save_outputs(path: Path) -> None:
    """Run one; its cells stay as they are."""
    uninstall = [str(find_uv()), "pip", "uninstall", "-q", "--python", sys.executable, "humanize"]
    subprocess.run(uninstall, check=True)
    notebook = json.loads(path.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as home:
        copy = Path(home, "work", path.name)
        copy.parent.mkdir()
        copy.write_text(json.dumps(notebook), encoding="utf-8")
        run = [sys.executable, "-m", "colab_magics", "run", str(copy)]
        subprocess.run(run, check=True, env={**os.environ, "HOME": home})
        cells = json.loads(copy.read_text(encoding="utf-8"))["cells"]
    cells = [cell for cell in cells if not is_setup("".join(cell["source"]))]
    for cell, after in zip(notebook["cells"], cells):
        cell.update({key: after[key] for key in ("execution_count", "outputs") if key in after})
        if "outputs" in cell:
            cell["outputs"] = [clean(output) for output in cell["outputs"] if not of_here(output)]
    text = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
    path.write_text(text, encoding="utf-8")


def of_here(output: Dict[str, Any]) -> bool:
    """Return whether an output is about the lock, or this clone: nbval's run has neither."""
    text = "".join(output.get("data", {}).get("text/plain", ""))
    return text.startswith(("Lock", "On a new machine, install"))


def clean(output: Dict[str, Any]) -> Dict[str, Any]:
    """Return an output without the paths of this machine that are in a traceback."""
    if output["output_type"] != "error":
        return output
    return {**output, "traceback": [f"{output['ename']}: {output['evalue']}"]}


if __name__ == "__main__":
    for name in sys.argv[1:] or sorted(FOLDER.glob("*.ipynb")):
        save_outputs(Path(name))
