"""``%setup editor`` where no page of JupyterLab or Notebook runs the cell: a line, and no error."""

from __future__ import annotations

from pathlib import Path

from support.machine import Machine
from support.notebooks import MARKER, notebook, whole

LINE = "%setup editor --theme dark --indent 4 --font-size 14 --line-numbers on"


def test_an_executor_passes_over_a_recorded_line(
    machine: Machine, folder: Path, tmp_path: Path
) -> None:
    """The line in a setup cell is a no-op that says so; what is behind it runs."""
    setup = f"{MARKER}\n%reload_ext colab_magics\n{LINE}"
    path = notebook(folder / "nb.ipynb", setup, "%setup editor", "print('behind')")
    machine.execute(path, tmp_path / "out.ipynb")
    cells = whole(tmp_path / "out.ipynb")["cells"]
    for cell in cells[:2]:
        assert "settings are left alone" in str(cell["outputs"][0]["data"]["text/plain"])
    assert cells[2]["outputs"][0]["text"] == ["behind\n"]
