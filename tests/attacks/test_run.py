"""A notebook whose cells raise what only our own magics raise."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.notebooks import notebook
from support.runs import Started

from colab_magics.core.exit_status import ExitStatus

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
    """No traceback, and no restart without end; a name alone has not the status of our error."""
    path = notebook(tmp_path / "notebooks" / "nb.ipynb", "%load_ext colab_magics", cell)
    run = Started(path, prelude="from colab_magics.run import runner; runner.RESTARTS = 1")
    ended = run.ended()
    is_ours = "colab_magics.core.errors" in cell
    status = ExitStatus.NEEDS_RESTART if is_ours else ExitStatus.FAILED
    assert ended.status == status and "Traceback" not in ended.errors
    assert ended.out.count("failed") + ended.out.count("restart ") == times
    assert run.left() == []


@pytest.mark.parametrize("breaks", [False, True])
def test_metadata_of_a_strange_form(breaks: bool, tmp_path: Path) -> None:
    """A key that is spelled with an escape is found by the run that takes it out; outputs are not
    lost where that fails, whatever it is: they are put beside the notebook.
    """
    path = notebook(
        tmp_path / "notebooks" / "nb.ipynb",
        "%load_ext colab_magics",
        "print('precious')",
        "%gpu request none",
        **{"a": "accelerator", "accelerator": "GPU", "colab": {"gpuType": "T4"}},
    )
    text = path.read_text().replace('"accelerator": "GPU"', '"accel\\u0065rator": "GPU"')
    path.write_text(text)
    broken = "from colab_magics.notebook import document; document.changed = lambda *a: 1 / 0"
    ended = Started(path, prelude=broken if breaks else "").ended()
    assert ended.status == breaks and "Traceback" not in ended.errors
    saved = path.with_name("nb-run.ipynb" if breaks else "nb.ipynb").read_text()
    assert "precious\\n" in saved
    assert ('rator": "GPU"' in saved) == breaks and '"a": "accelerator"' in saved
    assert not breaks or path.read_text() == text
