"""A notebook whose cells raise what only our own magics raise."""

from __future__ import annotations

from pathlib import Path

import pytest
from faults.runs import Started
from kernel.files import notebook

#: Cells, and how often the notebook is run from the top.
RAISED = [
    ("class RestartRequired(Exception): pass\nraise RestartRequired('')", 1),
    ("class OtherPython(Exception): pass\nraise OtherPython('asks for Python 3.8;')", 1),
    ("from colab_magics.core.errors import RestartRequired\nraise RestartRequired('x')", 2),
    (
        "import time\nfrom colab_magics.core.errors import RestartRequired\n"
        "error = RestartRequired('x')\nerror.reason = str(time.time())\nraise error",
        2,
    ),
    (
        "from colab_magics.core.errors import OtherPython\n"
        "error = OtherPython('x')\nerror.python = '--help'\nraise error",
        1,
    ),
]


@pytest.mark.parametrize(("cell", "times"), RAISED)
def test_an_error_of_our_name(cell: str, times: int, tmp_path: Path) -> None:
    """The run ends with status 1 and no traceback, however often the cell asks for a restart."""
    path = notebook(tmp_path / "notebooks" / "nb.ipynb", "%load_ext colab_magics", cell)
    run = Started(path, prelude="from colab_magics.run import runner; runner.RESTARTS = 1")
    ended = run.ended()
    assert ended.status == 1 and "Traceback" not in ended.errors
    assert ended.out.count("failed") == times
    assert run.left() == []
